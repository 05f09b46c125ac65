"""What a record says to a claim."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["supported", "contradicted", "unsupported", "not_checkable"]
UNCALIBRATED = "the record is not calibrated: its voltages mean nothing"
NOT_MEASURED = "it was not measured on this record"
OUT_OF_SCOPE = "no measurement of ours speaks for or against it"


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
