"""Where an answer key and a record cannot both be right."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ecg_r1.labels import SINUS_RHYTHMS

if TYPE_CHECKING:
    from ecg_r1.measurement import Measurements
    from ecg_r1.protocol import Findings

# Beyond these a rate or interval is not a matter of how it was measured (tests/claims/README).
_RATE_SLACK = 0.05
_FAR_FROM_NORMAL = {
    "pr_ms": (100, 220),
    "qrs_ms": (0, 130),
    "qtc_ms": (320, 490),
    "axis_deg": (-50, 110),
}


def contradiction(m: "Measurements", findings: "Findings", labels: Sequence[str]) -> str | None:
    """Why no reading can hold both the labels and the record, or None.

    Example:
        >>> from ecg_r1.measurement import Measurements
        >>> from ecg_r1.protocol import apply_protocol
        >>> m = Measurements(hr_bpm=88.0)
        >>> contradiction(m, apply_protocol(m), ("sinus bradycardia",))
        'the answer key says sinus bradycardia, the record has 88 bpm'
    """
    state = {finding.name: finding.met for finding in findings.findings}
    return next(
        (
            f"the answer key says {label}, the record {what}"
            for label in labels
            for what in _against(label, m, state, findings, set(labels))
        ),
        None,
    )


_PACED = "paced rhythm"


def _against(
    label: str,
    m: "Measurements",
    state: Mapping[str, bool | None],
    findings: "Findings",
    labels: set[str],
) -> Iterator[str]:
    """What in the record contradicts a label."""
    if m.hr_bpm is not None:
        yield from _wrong_rate(label, round(m.hr_bpm))
    is_single = not labels & {"second-degree av block", "third-degree av block", _PACED}
    if label in SINUS_RHYTHMS and "atrial fibrillation" in findings.diagnoses and is_single:
        if "atrial fibrillation" not in labels and "atrial flutter" not in labels:
            yield "is irregular without P waves"
    elif label == "atrial fibrillation" and _PACED not in labels:
        if state.get("p_present") and state.get("regular") and m.av_relation == "constant":
            yield "is regular with a P wave before each QRS"
    elif label == "ventricular tachycardia" and state.get("qrs_wide") is False:
        yield f"has a narrow QRS of {round(m.qrs_ms or 0)} ms"
    elif label == "normal ecg":
        yield from _not_normal(m, findings)


def _wrong_rate(label: str, hr_bpm: int) -> Iterator[str]:
    slack = max(5, _RATE_SLACK * hr_bpm)
    is_wrong = {
        "sinus bradycardia": hr_bpm - slack >= 60,
        "sinus tachycardia": hr_bpm + slack <= 100,
        "ventricular tachycardia": hr_bpm + slack <= 100,
        "supraventricular tachycardia": hr_bpm + slack <= 100,
    }
    if is_wrong.get(label):
        yield f"has {hr_bpm} bpm"


def _not_normal(m: "Measurements", findings: "Findings") -> Iterator[str]:
    if findings.urgency.level == "immediate":
        yield f"shows {findings.urgency.reasons[0]}"
    for name, (low, high) in _FAR_FROM_NORMAL.items():
        value = getattr(m, name)
        if value is not None and not low <= round(value) <= high:
            yield f"has a {name} of {round(value)}, far from the normal range"
