"""Does the record show a finding, in the leads that a text names or anywhere?"""

from ecg_r1.claims.bands import TOLERANCE, allowed
from ecg_r1.claims.facts import Facts
from ecg_r1.claims.judgement import NOT_MEASURED, UNCALIBRATED, Judgement, Verdict
from ecg_r1.claims.patterns import PATTERNS, Seen
from ecg_r1.claims.schema import Claim
from ecg_r1.claims.signs import NEED_CALIBRATION, NEEDED, USUAL_LEADS, sign
from ecg_r1.ecg import LEADS

ST_SIZE_MV = TOLERANCE["st_mv"][0]  # how far a stated size may lie from every measured level


def judge_finding(claim: Claim, facts: Facts) -> Judgement:
    """The verdict on a finding that single leads show."""
    if not facts.calibrated and claim.name in NEED_CALIBRATION:
        return Judgement("not_checkable", UNCALIBRATED)
    named = claim.name in (*facts.diagnoses, *(facts.key or ()))
    if named and claim.polarity == "present" and not claim.leads and claim.value is None:
        return Judgement("supported", f"{claim.name} follows from what was measured")
    looked_at = claim.leads or USUAL_LEADS.get(claim.name, LEADS)
    signs = {lead: sign(facts, claim.name, lead) for lead in looked_at}
    known = {lead: value for lead, value in signs.items() if value is not None}
    if not known:
        return Judgement("not_checkable", NOT_MEASURED)
    is_p, is_t = "p waves" in claim.name.split(" ", 1), "t wave" in claim.name
    where = facts.marks.get("P" if is_p else "T" if is_t else "QRS")
    told = _amount(claim, facts, tuple(known))
    if claim.polarity == "absent":
        showing = tuple(lead for lead, value in known.items() if value >= 1)
        return _denied(claim, showing, tuple(known), where)
    showing = tuple(lead for lead, value in known.items() if value > -1)
    if told is not None and showing:
        return Judgement("contradicted", told, leads=showing, span_s=where)
    return _affirmed(claim, showing, tuple(known), where)


def _affirmed(
    claim: Claim,
    showing: tuple[str, ...],
    known: tuple[str, ...],
    where: tuple[float, float] | None,
) -> Judgement:
    needed = len(known) / 2 if claim.leads else NEEDED.get(claim.name, 1)
    if len(showing) >= needed:
        return Judgement("supported", f"seen in {', '.join(showing)}", None, showing, where)
    if not showing or not claim.leads:
        return Judgement("contradicted", f"not seen in {', '.join(known)}", None, known, where)
    reason = f"seen in {', '.join(showing)} only"
    return Judgement("unsupported", reason, None, showing, where)


def _denied(
    claim: Claim,
    showing: tuple[str, ...],
    known: tuple[str, ...],
    where: tuple[float, float] | None,
) -> Judgement:
    # Of all twelve leads, or of none by name, those count where it is usually looked for.
    many = not claim.leads or len(claim.leads) > 6
    usual = USUAL_LEADS.get(claim.name, LEADS)
    counted = tuple(lead for lead in showing if not many or lead in usual)
    needed = NEEDED.get(claim.name, 1) if many else len(known) / 2
    if counted and len(counted) >= needed:
        return Judgement("contradicted", f"seen in {', '.join(counted)}", None, counted, where)
    if counted and not many:
        reason = f"seen in {', '.join(counted)} of the leads named"
        return Judgement("unsupported", reason, None, counted, where)
    return Judgement("supported", f"not seen in {', '.join(known)}", None, known, where)


def _amount(claim: Claim, facts: Facts, leads: tuple[str, ...]) -> str | None:
    """Why the stated size of a finding is wrong, or None."""
    if claim.value is None or claim.name not in ("st elevation", "st depression"):
        return None
    turn = -1 if claim.name == "st depression" else 1
    levels = [
        turn * facts.leads[lead][column]
        for lead in leads
        for column in ("j_mv", "st_mv", "st80_mv")
        if column in facts.leads[lead]
    ]
    low, high = allowed(claim)
    if not levels or (low <= max(levels) + ST_SIZE_MV and high >= min(levels) - ST_SIZE_MV):
        return None
    return f"measured {min(levels):.2f} to {max(levels):.2f} mV"


def judge_pattern(claim: Claim, facts: Facts) -> Judgement:
    """The verdict on a finding of the whole record."""
    seen: Seen = PATTERNS[claim.name](facts, claim.leads)
    where = facts.marks.get("RR" if claim.kind == "rhythm" else "QRS")
    if seen.shows is None:
        return Judgement("not_checkable", seen.reason)
    is_true = seen.shows is not (claim.polarity == "absent")
    verdict: Verdict = "supported" if is_true else "contradicted"
    return Judgement(verdict, seen.reason, None, seen.leads, where)
