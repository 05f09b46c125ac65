"""What a record says to a claim."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["supported", "contradicted", "unsupported", "not_checkable"]
UNCALIBRATED = "the record is not calibrated: its voltages mean nothing"
NOT_MEASURED = "it was not measured on this record"
SAYS_NOTHING = "this holds of nearly every ECG: it says nothing about this one"
OUT_OF_SCOPE = "no measurement of ours speaks for or against it"
# Verdict -> mark, words and colours of text and ground (contrast above 7:1 on either ground).
MARKS: dict[Verdict, tuple[str, str, str, str]] = {
    "supported": ("\u2713", "supported", "#0b4a22", "#dff3e4"),
    "contradicted": ("\u2717", "contradicted", "#7a0c12", "#fbe1e1"),
    "unsupported": ("?", "unsupported", "#5b3d00", "#fdf0d0"),
    "not_checkable": ("\u2013", "not checkable", "#3a3f46", "#eceef0"),
}


@dataclass(frozen=True)
class Judgement:
    """What the record says to a claim.

    Attributes:
        verdict: Supported, contradicted, unsupported or not checkable.
        reason: Why, in one sentence.
        measured: The number that decided, in the claim's unit, where there is one.
        leads: Leads in which it can be seen.
        span_s: Stretch of the trace in which it can be seen, in seconds; None where nowhere.
    """

    verdict: Verdict
    reason: str
    measured: float | None = None
    leads: tuple[str, ...] = ()
    span_s: tuple[float, float] | None = None
