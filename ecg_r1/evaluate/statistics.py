"""Arithmetic of the measures: overlap, errors, ranks, intervals, calibration; no text here."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 1000  # of a bootstrap interval
FEWEST_POSITIVES = 5  # of a class that counts in a macro average (issue of stage one)


def jaccard(a: Iterable[str], b: Iterable[str]) -> float:
    """Size of the intersection over size of the union; 1 for two empty sets.

    Example:
        >>> jaccard(["sinus rhythm", "normal ecg"], ["sinus rhythm"])
        0.5
    """
    a, b = set(a), set(b)
    return len(a & b) / len(a | b) if a | b else 1.0


def turned(degrees: np.ndarray) -> np.ndarray:
    """Differences of angles, the short way round: -180 (included) to 180 degrees."""
    return (degrees + 180) % 360 - 180


def auroc(scores: Sequence[float], positive: Sequence[bool]) -> float | None:
    """Area under the ROC curve by ranks, ties counted half; None with one class only.

    Example:
        >>> auroc([0.1, 0.4, 0.35, 0.8], [False, False, True, True])
        0.75
    """
    scores, positive = np.asarray(scores, float), np.asarray(positive, bool)
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2  # mean rank of each value, from 1
    total = middle[inverse][positive].sum()
    return float((total - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


@dataclass(frozen=True)
class Counts:
    """Decisions on one class."""

    true_positive: int
    false_positive: int
    false_negative: int

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 where nothing was found or there.

        Example:
            >>> Counts(2, 1, 1).f1
            0.6666666666666666
        """
        told = 2 * self.true_positive + self.false_positive + self.false_negative
        return 2 * self.true_positive / told if told else 0.0


def counts_of(
    name: str, told: Sequence[Iterable[str]], true: Sequence[Iterable[str]]
) -> Counts:
    """How often a class was rightly named, wrongly named, and missed."""
    pairs = [(name in set(a), name in set(b)) for a, b in zip(told, true, strict=True)]
    return Counts(
        sum(a and b for a, b in pairs),
        sum(a and not b for a, b in pairs),
        sum(b and not a for a, b in pairs),
    )


def interval(
    patients: Sequence[str],
    statistic: Callable[[np.ndarray], float | None],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> tuple[float, float] | None:
    """95 % bootstrap interval of a statistic; patients are drawn, with all their records.

    Args:
        patients: Patient of each record.
        statistic: From indices of records (with repetitions) to a number, or None where that
            draw does not allow one.
        seed: Of the draws.
        resamples: How many draws.

    Returns:
        2.5th and 97.5th percentile; None with fewer than two patients, or where more than half
        of the draws gave no number.
    """
    names, index = np.unique(np.asarray(patients, dtype=object), return_inverse=True)
    if len(names) < 2:
        return None
    groups = [np.flatnonzero(index == k) for k in range(len(names))]
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(resamples):
        chosen = rng.integers(0, len(groups), len(groups))
        value = statistic(np.concatenate([groups[k] for k in chosen]))
        if value is not None and np.isfinite(value):
            draws.append(value)
    if len(draws) < resamples / 2:
        return None
    low, high = np.percentile(draws, (2.5, 97.5))
    return float(low), float(high)


def mean_interval(
    patients: Sequence[str], values: Sequence[float], *, seed: int = 0
) -> tuple[float, float] | None:
    """Bootstrap interval of a mean over records: as `interval`, all draws at once."""
    names, index = np.unique(np.asarray(patients, dtype=object), return_inverse=True)
    if len(names) < 2:
        return None
    totals, counts = np.bincount(index, values), np.bincount(index)
    drawn = np.random.default_rng(seed).integers(0, len(names), (RESAMPLES, len(names)))
    means = totals[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def with_interval(
    patients: Sequence[str], values: Sequence[float], *, digits: int = 3
) -> dict[str, object]:
    """Mean, its interval and the number of records, as result files hold them."""
    if not len(values):
        return {"value": None, "ci": None, "n": 0}
    found = mean_interval(patients, values)
    return {
        "value": round(float(np.mean(values)), digits),
        "ci": None if found is None else [round(x, digits) for x in found],
        "n": len(values),
    }


def macro_auroc(
    scores: Sequence[Mapping[str, float]],
    labels: Sequence[Iterable[str]],
    patients: Sequence[str],
    *,
    fewest: int = FEWEST_POSITIVES,
) -> dict[str, object]:
    """AUROC of each class with enough positives, and their mean.

    Args:
        scores: Record by record, class to score.
        labels: Record by record, the true classes.
        patients: Of the records, for the interval.
        fewest: Positives that a class needs to count.

    Returns:
        `macro`, `ci`, and `classes`: class to `auroc` and `positives`.
    """
    true = [set(one) for one in labels]
    names = sorted(set().union(*true)) if true else []
    table = {}
    for name in names:
        positive = np.array([name in one for one in true])
        if positive.sum() >= fewest and not positive.all() and all(name in s for s in scores):
            table[name] = (np.array([s[name] for s in scores]), positive)

    def macro(chosen: np.ndarray) -> float | None:
        areas = [auroc(value[chosen], positive[chosen]) for value, positive in table.values()]
        known = [area for area in areas if area is not None]
        return float(np.mean(known)) if known else None

    everyone = np.arange(len(true))
    value = macro(everyone)
    found = None if value is None else interval(patients, macro, resamples=300)
    return {
        "macro": None if value is None else round(value, 3),
        "ci": None if found is None else [round(x, 3) for x in found],
        "classes": {
            name: {"auroc": round(auroc(value, positive), 3), "positives": int(positive.sum())}
            for name, (value, positive) in table.items()
        },
    }


# --- calibration ------------------------------------------------------------------------------


def fit_platt(scores: np.ndarray, positive: np.ndarray) -> tuple[float, float]:
    """Slope and offset of a logistic curve through scores, by Newton's method.

    Targets are drawn in as Platt did, so that separable classes have a finite answer.

    Source:
        Platt 1999, Probabilistic outputs for support vector machines
    """
    n_positive, n_negative = positive.sum(), (~positive).sum()
    target = np.where(positive, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
    centre, scale = scores.mean(), scores.std() or 1.0
    x = np.stack([(scores - centre) / scale, np.ones_like(scores)], axis=1)
    weights = np.zeros(2)
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ weights))
        curvature = (x * (p * (1 - p))[:, None]).T @ x + 1e-6 * np.eye(2)
        step = np.linalg.solve(curvature, x.T @ (target - p) - 1e-6 * weights)
        weights += np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-8:
            break
    slope = weights[0] / scale
    return float(slope), float(weights[1] - slope * centre)


def crossfit_platt(
    scores: np.ndarray, positive: np.ndarray, patients: Sequence[str], *, folds: int = 5
) -> np.ndarray:
    """Probabilities from scores; each patient's by a curve that was fitted on the others'."""
    names = sorted(set(patients))
    fold_of = {name: rank % folds for rank, name in enumerate(names)}
    fold = np.array([fold_of[name] for name in patients])
    probability = np.full(len(scores), positive.mean())
    for k in range(folds):
        rest = fold != k
        if positive[rest].any() and not positive[rest].all():
            slope, offset = fit_platt(scores[rest], positive[rest])
            probability[~rest] = 1 / (1 + np.exp(-(slope * scores[~rest] + offset)))
    return probability


def reliability(
    probability: np.ndarray, positive: np.ndarray, *, bins: int = 10
) -> dict[str, object]:
    """How well probabilities keep their word.

    Returns:
        `brier`; `ece`, the mean distance between said and seen, weighted by bin; `curve`, a
        list of (mean probability, share of positives, count) for bins of equal width.

    Source:
        Brier 1950; Naeini et al. 2015 (expected calibration error)
    """
    place = np.minimum((probability * bins).astype(int), bins - 1)
    curve = [
        (float(probability[place == k].mean()), float(positive[place == k].mean()),
         int((place == k).sum()))
        for k in range(bins) if (place == k).any()
    ]  # fmt: skip
    n = len(probability)
    return {
        "brier": round(float(np.mean((probability - positive) ** 2)), 4),
        "ece": round(sum(count * abs(said - seen) for said, seen, count in curve) / n, 4),
        "curve": [[round(said, 4), round(seen, 4), count] for said, seen, count in curve],
    }
