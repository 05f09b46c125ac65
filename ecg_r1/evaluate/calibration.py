"""Do label probabilities keep their word? Raw ones, and after a fitted curve."""

from typing import Any

import numpy as np

from ecg_r1.evaluate.files import Run
from ecg_r1.evaluate.statistics import FEWEST_POSITIVES, crossfit_platt, reliability


def calibration(run: Run, arm: str, condition: str = "clean") -> dict[str, Any]:
    """Reliability of the labels' probabilities, all classes with enough positives pooled.

    A label's raw probability is the exponential of its score: the geometric mean over its
    tokens of being the first label. That is no chance of being true, and the raw curve shows
    it. `fitted` is a logistic curve for each label, fitted on other patients (five folds).

    Returns:
        `raw` and `fitted`, each with `brier`, `ece` and `curve`; `labels`, how many; `base`,
        the Brier score of answering every record with the label's frequency. Empty where no
        label was scored often enough.
    """
    pairs = [(t, r) for t, r in run.pairs(arm, condition) if r.scores]
    names = sorted(set().union(*(truth.labels for truth, _ in pairs)) if pairs else set())
    patients = [truth.patient for truth, _ in pairs]
    raw, fitted, base, truths = [], [], [], []
    for name in names:
        positive = np.array([name in truth.labels for truth, _ in pairs])
        if positive.sum() < FEWEST_POSITIVES or positive.all():
            continue
        if not all(name in row.scores for _, row in pairs):
            continue
        scores = np.array([row.scores[name] for _, row in pairs])
        raw.append(np.exp(scores))
        fitted.append(crossfit_platt(scores, positive, patients))
        base.append(np.full(len(positive), positive.mean()))
        truths.append(positive)
    if not truths:
        return {}
    true = np.concatenate(truths)
    return {
        "labels": len(truths),
        "raw": reliability(np.concatenate(raw), true),
        "fitted": reliability(np.concatenate(fitted), true),
        "base": round(float(np.mean((np.concatenate(base) - true) ** 2)), 4),
    }
