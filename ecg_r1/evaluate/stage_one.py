"""The table of stage one: grammar, stated numbers and labels of each arm, beside a constant."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

from ecg_r1.evaluate.conditions import ARMS
from ecg_r1.evaluate.files import Row, Run, Truth
from ecg_r1.evaluate.stated import NUMBERS, diagnoses_of, repeated_numbers, stated_numbers
from ecg_r1.evaluate.statistics import (
    counts_of,
    jaccard,
    macro_auroc,
    mean_interval,
    turned,
    with_interval,
)
from ecg_r1.report import parse_report

if TYPE_CHECKING:
    from ecg_r1.loading import LoadedModel
    from ecg_r1.reading import Reading

CONSTANT = ("sinus rhythm", "normal ecg")  # what an answer that never looks would say


# --- from a run -------------------------------------------------------------------------------


def stage_one(run: Run, arm: str, condition: str = "clean") -> dict[str, Any]:
    """Grammar, numbers, labels, tokens and seconds of one arm.

    Numbers are judged on calibrated records only, against our own `measure`; labels on all. A
    record whose text states no number counts in `unstated`, not in the errors.

    Returns:
        `numbers` (name to `mae` with interval, `median`, `r`, `n`, `unstated` and the same
        for a constant answer, the median of these records), `labels`, `well_formed`,
        `repeated`, `tokens`, `seconds`.
    """
    pairs = run.pairs(arm, condition)
    return {
        "records": len(pairs),
        "well_formed": _share(pairs, lambda row: parse_report(row.text).well_formed),
        "numbers": {name: _number(name, pairs) for name in NUMBERS},
        "labels": _labels(pairs),
        "repeated": _repeated(pairs),
        # 0 tokens: the reader does not count them.
        "tokens": _mean([row.n_tokens for _, row in pairs if row.n_tokens]),
        "seconds": _mean([row.seconds for _, row in pairs if row.problem is None]),
        "failed": sum(row.problem is not None for _, row in pairs),
    }


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 3) if len(values) else None


def _share(pairs: list[tuple[Truth, Row]], holds: Callable[[Row], bool]) -> dict[str, Any]:
    patients = [truth.patient for truth, _ in pairs]
    return with_interval(patients, [float(holds(row)) for _, row in pairs])


def _number(name: str, pairs: list[tuple[Truth, Row]]) -> dict[str, Any]:
    known = [(t, r) for t, r in pairs if t.calibrated and name in t.facts["numbers"]]
    true = np.array([truth.facts["numbers"][name] for truth, _ in known])
    middle = float(np.median(true)) if len(true) else np.nan
    told = [stated_numbers(row.text).get(name) for _, row in known]
    kept = [k for k, value in enumerate(told) if value is not None]
    patients = [known[k][0].patient for k in kept]
    values = np.array([told[k] for k in kept], dtype=float)
    found = error_summary(name, values, true[kept] if kept else np.array([]), patients)
    constant = np.abs(_difference(name, np.full(len(true), middle), true))
    return found | {
        "unstated": len(known) - len(kept),
        "constant": {
            "answer": round(middle, 1) if len(true) else None,
            "mae": round(float(constant.mean()), 2) if len(true) else None,
            "median": round(float(np.median(constant)), 2) if len(true) else None,
        },
    }


def _difference(name: str, told: np.ndarray, true: np.ndarray) -> np.ndarray:
    return turned(told - true) if name == "axis_deg" else told - true


def error_summary(
    name: str, told: np.ndarray, true: np.ndarray, patients: Sequence[str]
) -> dict[str, Any]:
    """Mean and median absolute error, correlation and count of one number."""
    if not len(told):
        return {"mae": None, "ci": None, "median": None, "r": None, "n": 0}
    error = np.abs(_difference(name, told, true))
    varies = len(told) > 2 and told.std() > 0 and true.std() > 0
    found = mean_interval(patients, error)
    return {
        "mae": round(float(error.mean()), 2),
        "ci": None if found is None else [round(x, 2) for x in found],
        "median": round(float(np.median(error)), 2),
        "r": round(float(np.corrcoef(told, true)[0, 1]), 3) if varies else None,
        "n": len(told),
    }


def _labels(pairs: list[tuple[Truth, Row]]) -> dict[str, Any]:
    patients = [truth.patient for truth, _ in pairs]
    true = [truth.labels for truth, _ in pairs]
    told = [diagnoses_of(row.text) for _, row in pairs]
    names = sorted({label for labels in (*true, *told) for label in labels})
    table = {}
    for name in names:
        counts = counts_of(name, told, true)
        table[name] = {
            "f1": round(counts.f1, 3),
            "tp": counts.true_positive,
            "fp": counts.false_positive,
            "fn": counts.false_negative,
        }
    scored = [(t, r) for t, r in pairs if r.scores is not None]
    auroc = None
    if scored:
        auroc = macro_auroc(
            [row.scores for _, row in scored],
            [truth.labels for truth, _ in scored],
            [truth.patient for truth, _ in scored],
        ) | {"unscored": len(pairs) - len(scored)}
    return {
        "jaccard": with_interval(
            patients, [jaccard(a, b) for a, b in zip(told, true, strict=True)]
        ),
        "constant_jaccard": with_interval(patients, [jaccard(CONSTANT, b) for b in true]),
        "per_label": table,
        "auroc": auroc,
    }


def _repeated(pairs: list[tuple[Truth, Row]]) -> dict[str, Any]:
    """Readings that state one number twice and differently, of those that state one twice."""
    counts = [(truth.patient, *repeated_numbers(row.text)) for truth, row in pairs]
    twice = [(patient, differing > 0) for patient, repeated, differing in counts if repeated]
    return with_interval([p for p, _ in twice], [float(d) for _, d in twice])


# --- without a run: for training, which has rows of a corpus ----------------------------------


@dataclass(frozen=True)
class Case:
    """One record with its truth and the readings of it."""

    numbers: dict[str, float]
    labels: tuple[str, ...]
    readings: "dict[str, Reading]"


def read_rows(rows: Sequence[dict[str, Any]], model: "LoadedModel") -> list[Case]:
    """Read every row of a corpus with all arms; shows a progress bar."""
    from ecg_r1.corpus import NUMBERS as COLUMNS  # noqa: PLC0415
    from ecg_r1.corpus import row_ecg  # noqa: PLC0415
    from ecg_r1.reading import interpret  # noqa: PLC0415  brings torch

    cases = []
    for row in tqdm(rows, desc="reading"):
        numbers = dict(zip(COLUMNS, row["numbers"], strict=True))
        readings = interpret(ecg=row_ecg(row), model=model)
        cases.append(Case(numbers, tuple(row["labels"]), readings))
    return cases


def summarise(cases: Sequence[Case]) -> dict[str, dict[str, Any]]:
    """Per arm and for a constant answer: grammar, errors of stated numbers, label overlap.

    Returns:
        Arm to a flat dictionary. `<number>_mae` and `<number>_median` are over records where
        the number is both measured and stated, `<number>_n` says how many those are, and
        `<number>_r` is the correlation.
    """
    return {arm: _arm(cases, arm) for arm in ARMS} | {"constant": _constant(cases)}


def _flat(name: str, told: Sequence[float], true: Sequence[float]) -> dict[str, Any]:
    found = error_summary(name, np.array(told, float), np.array(true, float), ["all"])
    return {f"{name}_{key}": found[key] for key in ("mae", "median", "r", "n")}


def _arm(cases: Sequence[Case], arm: str) -> dict[str, Any]:
    readings = [case.readings[arm] for case in cases]
    overlap = [jaccard(r.diagnoses, c.labels) for r, c in zip(readings, cases, strict=True)]
    result: dict[str, Any] = {
        "records": len(cases),
        "well_formed": round(float(np.mean([r.well_formed for r in readings])), 4),
        "label_jaccard": round(float(np.mean(overlap)), 3),
        "tokens": round(float(np.mean([r.n_tokens for r in readings])), 1),
        "seconds": round(float(np.median([r.seconds for r in readings])), 2),
    }
    stated = [stated_numbers(r.text) for r in readings]
    for name in NUMBERS:
        pairs = [
            (told[name], case.numbers[name])
            for told, case in zip(stated, cases, strict=True)
            if name in told and np.isfinite(case.numbers[name])
        ]
        result |= _flat(name, [a for a, _ in pairs], [b for _, b in pairs])
    return result


def _constant(cases: Sequence[Case]) -> dict[str, Any]:
    """What an answer that never looks at the ECG reaches: the medians and the usual labels."""
    overlap = [jaccard(CONSTANT, case.labels) for case in cases]
    result: dict[str, Any] = {"label_jaccard": round(float(np.mean(overlap)), 3)}
    for name in NUMBERS:
        truth = np.array([case.numbers[name] for case in cases])
        truth = truth[np.isfinite(truth)]
        middle = np.median(truth) if len(truth) else np.nan
        result |= _flat(name, np.full(len(truth), middle), truth)
    return result
