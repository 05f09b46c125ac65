"""The paper's seven grounded-interpretation criteria: their scales and how scores are joined.

Two judges fill them in: `llm_judge` asks a language model, `offline_judge` checks the claims
against the trace. What this leaves out: judging.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ecg_r1.evaluate.statistics import with_interval

# Criterion as judges name it -> its name in the paper's table, and the scores it may have.
CRITERIA: dict[str, tuple[str, tuple[int, ...]]] = {
    "DiagnosisAccuracy": ("DiagnosisAccuracy", (0, 1, 2)),
    "AnalysisCompleteness": ("AnalysisCompleteness", (0, 1)),
    "AnalysisRelevance": ("AnalysisRelevance", (0, 1, 2)),
    "LeadEvidenceValidity": ("LeadEvidenceValidity", (0, 1, 2)),
    "GroundedECGUnderstanding": ("ECGFeatureGrounding", (0, 50, 80, 100)),
    "EvidenceBasedReasoning": ("Evidence-BasedReasoning", (0, 50, 80, 100)),
    "RealisticDiagnosticProcess": ("ClinicalDiagnosticFidelity", (0, 50, 80, 100)),
}
MAY_BE_EMPTY = ("LeadEvidenceValidity",)
_OF_HUNDRED = ("ECGFeatureGrounding", "Evidence-BasedReasoning", "ClinicalDiagnosticFidelity")
Scores = Mapping[str, Sequence[float]]  # criterion to the scores of its items

_SCORE = re.compile(r'"Score"\s*:\s*("?[^,}]*)')


def parse_paper_reply(reply: str) -> dict[str, list[float]]:
    """A judge's reply as the reference's code reads it, faults included.

    A list ends at the first "]", also inside an explanation; "80/100" is 0.8 and "20+30" is
    2030; a criterion in single quotes is not seen.

    Returns:
        Criterion to scores; criteria that were not found are absent.
    """
    found: dict[str, list[float]] = {}
    for name in CRITERIA:
        match = re.search(rf'"{name}"\s*:\s*\[(.*?)\]', reply, re.DOTALL)
        if match:
            values = [_paper_number(text) for text in _SCORE.findall(match[1])]
            found[name] = [value for value in values if value is not None]
    return found


def _paper_number(text: str) -> float | None:
    plain = text.strip().strip('"').replace("+", "")
    match = re.fullmatch(r"(-?\d+(?:\.\d+)?)(?:\s*/\s*(\d+(?:\.\d+)?))?", plain.strip())
    if match is None:
        return None
    return float(match[1]) / float(match[2]) if match[2] else float(match[1])


def paper_record(scores: Scores) -> dict[str, float]:
    """One record's criteria in the paper's mode: a share for diagnoses, sums for all else."""
    found: dict[str, float] = {}
    for name, (title, _) in CRITERIA.items():
        if name not in scores:
            continue
        values = scores[name]
        if name == "DiagnosisAccuracy":
            found[title] = sum(v > 0 for v in values) / len(values) if values else 0
        else:
            found[title] = float(sum(values))
    return found


def paper_means(records: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means over records in the paper's mode: what is missing is skipped.

    Longer texts can score more: three criteria are sums without a maximum.
    """
    means: dict[str, float] = {}
    for name, (title, _) in CRITERIA.items():
        values = [record[title] for record in records if title in record]
        if values:
            factor = 100 if name == "DiagnosisAccuracy" else 1
            means[title] = float(np.mean(values)) * factor
    middles = [
        np.mean([record[title] for title in _OF_HUNDRED if title in record])
        for record in records
        if any(title in record for title in _OF_HUNDRED)
    ]
    if middles:
        means["Average"] = float(np.mean(middles))
    return {title: round(value, 2) for title, value in means.items()}


def strict_record(scores: Scores) -> dict[str, float | None]:
    """One record's criteria from 0 to 100: what was scored, of what could be.

    A half-right diagnosis counts half, an absent criterion 0, and more items do not earn more.
    `MAY_BE_EMPTY` says of which criteria an empty list means that there was nothing to judge,
    as of the leads of a normal ECG; these are None.
    """
    found: dict[str, float | None] = {}
    for name, (title, allowed) in CRITERIA.items():
        values = scores.get(name)
        if values:
            found[title] = 100 * sum(values) / (max(allowed) * len(values))
        else:
            found[title] = None if values is not None and name in MAY_BE_EMPTY else 0.0
    return found


def aggregate(
    records: Sequence[tuple[str, Scores | None]],
) -> dict[str, Any]:
    """Both modes over a run.

    Args:
        records: Patient and scores of each reading; None where the judge failed.

    Returns:
        `paper` and `strict` (with intervals; a failed judgement counts as 0 in neither and is
        in `failed`).
    """
    known = [(patient, scores) for patient, scores in records if scores is not None]
    strict = [strict_record(scores) for _, scores in known]
    patients = [patient for patient, _ in known]
    titles = [title for title, _ in CRITERIA.values()]
    return {
        "records": len(known),
        "failed": len(records) - len(known),
        "paper": paper_means([paper_record(scores) for _, scores in known]),
        "strict": {title: _mean_of(title, patients, strict) for title in titles},
    }


def _mean_of(
    title: str, patients: Sequence[str], strict: Sequence[Mapping[str, float | None]]
) -> dict[str, Any]:
    pairs = zip(patients, (one[title] for one in strict), strict=True)
    known = [(patient, value) for patient, value in pairs if value is not None]
    return with_interval([p for p, _ in known], [v for _, v in known], digits=1)


def agreement(first: Sequence[Scores], second: Sequence[Scores]) -> dict[str, Any]:
    """How far two judgements of the same readings agree, criterion by criterion.

    Returns:
        Criterion to the mean absolute difference of its strict score (0 to 100), the
        correlation over readings, and the share of readings with the same score.
    """
    found = {}
    one, two = [strict_record(s) for s in first], [strict_record(s) for s in second]
    for title, _ in CRITERIA.values():
        told = [(s[title], t[title]) for s, t in zip(one, two, strict=True)]
        known = [pair for pair in told if None not in pair]
        a, b = np.array(known, dtype=float).reshape(-1, 2).T
        varies = len(a) > 2 and a.std() > 0 and b.std() > 0
        found[title] = {
            "difference": round(float(np.abs(a - b).mean()), 2) if len(a) else None,
            "r": round(float(np.corrcoef(a, b)[0, 1]), 3) if varies else None,
            "same": round(float((a == b).mean()), 3) if len(a) else None,
            "n": len(a),
        }
    return found
