"""Two runs on the same records: what changed, record by record, and by how much at least.

Intervals of two means overlap although every record got better; intervals of the records'
differences do not hide that. What this leaves out: why.
"""

from collections.abc import Callable
from typing import Any

from ecg_r1.auditing import audit
from ecg_r1.evaluate.consistency import claim_agreement
from ecg_r1.evaluate.files import Row, Run, Truth
from ecg_r1.evaluate.modality import rate_error
from ecg_r1.evaluate.stated import diagnoses_of
from ecg_r1.evaluate.statistics import jaccard, with_interval
from ecg_r1.report import parse_report

Measure = Callable[[Truth, Row], float | None]
MEASURES: dict[str, Measure] = {
    "well_formed": lambda _, row: float(parse_report(row.text).well_formed),
    "hr_error": lambda truth, row: rate_error(row, truth),
    "labels": lambda truth, row: jaccard(diagnoses_of(row.text), truth.labels),
    "hallucination_rate": lambda t, row: audit(row.text, t.measured).hallucination_rate,
}
_ARMS = ("signal", "image")  # whose agreement is compared


def compare(before: Run, after: Run) -> dict[str, dict[str, Any]]:
    """Mean differences, `after` less `before`, of the clean readings of both.

    Returns:
        Arm to measure (a key of `MEASURES`) to mean, interval by patient and number of records
        that both runs have a value for; "signal and image" to `findings` and `numbers` said
        alike by the two arms. Arms that one run lacks are absent.
    """
    found: dict[str, dict[str, Any]] = {}
    for arm in before.arms:
        earlier = {truth.record: row for truth, row in before.pairs(arm)}
        pairs = [(t, earlier[t.record], r) for t, r in after.pairs(arm) if t.record in earlier]
        if pairs:
            found[arm] = {
                name: _mean_change([(t, measure(t, a), measure(t, b)) for t, a, b in pairs])
                for name, measure in MEASURES.items()
            }
    agreed = [_agreements(run) for run in (before, after)]
    keys = [key for key in agreed[1] if key in agreed[0]]
    if keys:
        found["signal and image"] = {
            name: _mean_change(
                [(after.truths[k], agreed[0][k][name], agreed[1][k][name]) for k in keys]
            )
            for name in ("findings", "numbers")
        }
    return found


def _mean_change(told: list[tuple[Truth, float | None, float | None]]) -> dict[str, Any]:
    known = [(t.patient, b - a) for t, a, b in told if a is not None and b is not None]
    return with_interval([p for p, _ in known], [change for _, change in known])


def _agreements(run: Run) -> dict[str, dict[str, float | None]]:
    """Record to how far signal and image alone say the same."""
    first, second = ({t.record: row.text for t, row in run.pairs(arm)} for arm in _ARMS)
    return {
        key: claim_agreement(text, second[key]) for key, text in first.items() if key in second
    }
