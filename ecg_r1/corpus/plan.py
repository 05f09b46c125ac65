"""What a reading of one record has to say: claims per step, from measurements and answer key.

Every number comes from the measurements, every diagnosis from the answer key. Where the two
disagree, this is what happens (`Plan.left_out` lists it):

- The rhythm, the rate or "normal ecg" against the record: no reading, `PlanError` with the
  reason (`contradiction`).
- A diagnosis whose evidence was measured and not found stays, as "unconfirmed": writers call
  it the overall impression and name what the measurements leave open. What would deny its
  evidence is left out, and numbers that speak against it stand without a verdict.
- A finding that "normal ecg" forbids is left out.
- P waves that the rhythm forbids (or lack of those it needs) are unknown, not denied.

What this leaves out: wording (`template`, `prompt`). The answer key's report is never quoted.
"""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ecg_r1.claims.schema import Claim
from ecg_r1.corpus.case import Case
from ecg_r1.corpus.contradiction import contradiction
from ecg_r1.corpus.statement import Plan, Statement
from ecg_r1.corpus.steps import build
from ecg_r1.ecg import ECGError
from ecg_r1.labels import in_order

if TYPE_CHECKING:
    from ecg_r1.measurement import Measurements
    from ecg_r1.protocol import Findings


# Machine and human reports on the recording itself, in English and PTB-XL's German.
_WARNING = re.compile(
    r"artifact|artefact|poor (?:data )?quality|noisy|baseline (?:wander|drift)|unsuitable for"
    r"|verwackelt|artefakt|schlechte (?:ableitung|qualit)|unruhig",
    re.IGNORECASE,
)


class PlanError(ECGError):
    """Answer key and record contradict each other: no consistent reading can be written."""


def make_plan(
    m: "Measurements",
    findings: "Findings",
    labels: Sequence[str],
    *,
    calibrated: bool = True,
    report: str | None = None,
) -> Plan:
    """What a reading of a record says, step by step.

    Args:
        m: Measurements of the record.
        findings: The protocol applied to them.
        labels: The answer key: canonical labels, at least one.
        calibrated: False leaves out all voltages and ST levels.
        report: The record's report, part of the answer key. Only its warnings about quality
            are used, and none of its words.

    Raises:
        PlanError: If the labels contradict the record so far that no reading can hold both.
        ValueError: If there is no label, or one that is not canonical.
    """
    if not labels:
        raise ValueError("a reading needs at least one label, got none")
    key = in_order(labels)
    reason = contradiction(m, findings, key)
    if reason:
        raise PlanError(reason)
    warned = report is not None and _WARNING.search(report) is not None
    case = Case.of(m, findings, key, calibrated=calibrated, warned=warned)
    steps, summary = build(case)
    return Plan(
        steps={number: _at(number, found) for number, found in steps.items()},
        summary=_at(7, summary),
        labels=key,
        calibrated=calibrated,
        urgency=findings.urgency.level,
        left_out=tuple(dict.fromkeys(case.left_out)),
    )


def _at(step: int, statements: Iterable[Statement]) -> tuple[Statement, ...]:
    # `dataclasses.replace` would take as long as all the rest together.
    return tuple(
        Statement(**{**vars(one), "claim": Claim(**{**vars(one.claim), "step": step})})
        for one in statements
    )
