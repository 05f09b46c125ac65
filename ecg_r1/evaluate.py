"""First measures of a model's readings: grammar, stated numbers and labels, for each arm.

What this leaves out, for now: the paper's seven criteria, consistency, ECGBench, hallucination.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from ecg_r1.corpus import NUMBERS, row_ecg
from ecg_r1.loading import LoadedModel
from ecg_r1.reading import ARMS, Reading, interpret

# How the corpus writes each number; a model is judged on what stands in its text.
STATED = {
    "hr_bpm": r"Heart rate (\d+) bpm",
    "pr_ms": r"PR interval (\d+) ms",
    "qrs_ms": r"QRS duration (\d+) ms",
    "qt_ms": r"QT (\d+) ms",
    "axis_deg": r"axis (-?\d+) degrees",
}
CONSTANT = ("sinus rhythm", "normal ecg")


@dataclass(frozen=True)
class Case:
    """One record with its truth and the readings of it."""

    numbers: dict[str, float]
    labels: tuple[str, ...]
    readings: dict[str, Reading]


def stated_numbers(text: str) -> dict[str, float]:
    """The first statement of each measured number in a reading; absent ones are left out.

    Example:
        >>> stated_numbers("Heart rate 72 bpm. Frontal axis -30 degrees.")
        {'hr_bpm': 72.0, 'axis_deg': -30.0}
    """
    found = {name: re.search(pattern, text) for name, pattern in STATED.items()}
    return {name: float(match[1]) for name, match in found.items() if match}


def jaccard(a: Iterable[str], b: Iterable[str]) -> float:
    """Size of the intersection over size of the union; 1 for two empty sets.

    Example:
        >>> jaccard(["sinus rhythm", "normal ecg"], ["sinus rhythm"])
        0.5
    """
    a, b = set(a), set(b)
    return len(a & b) / len(a | b) if a | b else 1.0


def read_rows(rows: Sequence[dict[str, Any]], model: LoadedModel) -> list[Case]:
    """Read every row with all arms; shows a progress bar."""
    cases = []
    for row in tqdm(rows, desc="reading"):
        numbers = dict(zip(NUMBERS, row["numbers"], strict=True))
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


def _difference(name: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a - b + 180) % 360 - 180 if name == "axis_deg" else a - b


def _errors(name: str, told: Sequence[float], truth: Sequence[float]) -> dict[str, float]:
    told, truth = np.array(told, float), np.array(truth, float)
    error = np.abs(_difference(name, told, truth))
    spread = len(error) > 2 and told.std() > 0 and truth.std() > 0
    return {
        f"{name}_mae": round(float(error.mean()), 2) if len(error) else None,
        f"{name}_median": round(float(np.median(error)), 2) if len(error) else None,
        f"{name}_r": round(float(np.corrcoef(told, truth)[0, 1]), 3) if spread else None,
        f"{name}_n": len(error),
    }


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
    for name in STATED:
        pairs = [
            (told[name], case.numbers[name])
            for told, case in zip(stated, cases, strict=True)
            if name in told and np.isfinite(case.numbers[name])
        ]
        result |= _errors(name, [a for a, _ in pairs], [b for _, b in pairs])
    return result


def _constant(cases: Sequence[Case]) -> dict[str, Any]:
    """What an answer that never looks at the ECG reaches: the medians and the usual labels."""
    overlap = [jaccard(CONSTANT, case.labels) for case in cases]
    result: dict[str, Any] = {"label_jaccard": round(float(np.mean(overlap)), 3)}
    for name in STATED:
        truth = np.array([case.numbers[name] for case in cases])
        truth = truth[np.isfinite(truth)]
        middle = np.median(truth) if len(truth) else np.nan
        result |= _errors(name, np.full(len(truth), middle), truth)
    return result
