"""Is a claim true of a record? Supported, contradicted, unsupported, or not checkable.

The benefit of the doubt is the text's: a finding that is affirmed may be a pen's width below
its limit, one that is denied a pen's width above. What was not measured contradicts nothing.

A bound or a range that nearly every ECG meets ("QTc 100 to 900 ms") says nothing of this one:
it is not checkable.

What this leaves out: finding claims in text (`parse`), and a text's quarrels with itself
(`quarrels`).
"""

from ecg_r1.claims.facts import Facts
from ecg_r1.claims.judge_diagnoses import judge_diagnosis
from ecg_r1.claims.judge_findings import judge_finding, judge_pattern
from ecg_r1.claims.judge_numbers import judge_number, judge_withheld
from ecg_r1.claims.judgement import Judgement, Verdict
from ecg_r1.claims.patterns import PATTERNS
from ecg_r1.claims.schema import NOT_MEASURABLE, QUANTITIES, Claim
from ecg_r1.claims.signs import SIGNS

__all__ = ["Judgement", "Verdict", "judge"]


def judge(claim: Claim, facts: Facts) -> Judgement:
    """Check one claim against what is known of the record.

    Args:
        claim: From `parse_claims`, or written by hand.
        facts: The record.

    Example:
        >>> facts = Facts(numbers={"pr_ms": 210.0})
        >>> judge(Claim("interval", "pr_ms", value=160, comparator="="), facts).verdict
        'contradicted'
        >>> judge(Claim("interval", "qt_ms", value=400, comparator="="), facts).verdict
        'not_checkable'
    """
    if claim.qualifier == NOT_MEASURABLE:
        found = judge_withheld(claim, facts)
    elif claim.name in QUANTITIES:
        found = judge_number(claim, facts)
    elif claim.name in SIGNS and claim.kind not in ("diagnosis", "exclusion"):
        found = judge_finding(claim, facts)
    elif claim.name in PATTERNS:
        found = judge_pattern(claim, facts)
    else:
        found = judge_diagnosis(claim, facts)
    if claim.polarity == "possible" and found.verdict == "contradicted":
        return Judgement("unsupported", found.reason, found.measured, found.leads, found.span_s)
    return found
