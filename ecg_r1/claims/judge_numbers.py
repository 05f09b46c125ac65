"""Is a number of a text the one that was measured, and does it deserve its word?"""

from ecg_r1.claims.bands import away, middle, says_nothing, tolerance, word_against
from ecg_r1.claims.facts import Facts
from ecg_r1.claims.judgement import NOT_MEASURED, SAYS_NOTHING, UNCALIBRATED, Judgement, Verdict
from ecg_r1.claims.schema import QUANTITIES, Claim
from ecg_r1.labels import WITHOUT_P

_WAVE_OF = {"p": "P", "pr": "P", "qrs": "QRS", "qt": "QRS", "qtc": "QRS", "t": "T", "st": "QRS",
            "hr": "RR", "rr": "RR"}  # fmt: skip


def judge_number(claim: Claim, facts: Facts) -> Judgement:
    """The verdict on a rate, an interval, an axis or a voltage."""
    kind, unit = QUANTITIES[claim.name]
    if claim.wrong_unit is not None:
        return Judgement("contradicted", f"{claim.wrong_unit} is no unit of it")
    if kind == "voltage" and not facts.calibrated:
        return Judgement("not_checkable", UNCALIBRATED)
    measured = _measured(claim, facts)
    is_empty = says_nothing(claim)
    quarrel = None if is_empty else word_against(claim, middle(claim.value), facts.person)
    if quarrel and claim.polarity == "present":
        return Judgement("contradicted", f"the text's own number speaks against it: {quarrel}")
    if not measured:
        reason = facts.reasons.get(claim.name, NOT_MEASURED)
        return Judgement("not_checkable", reason)
    nearest = min(measured, key=lambda one: abs(away(claim, one[1], unit)))
    lead, value = nearest
    leads = (lead,) if lead else ()
    where = _where(claim.name, facts)
    told = f"{value:.2f} mV" if unit == "mV" else f"{value:.0f} {unit}"
    told = f"measured {told}" + (f" in {lead}" if lead else "")
    wrong = claim.value is not None and abs(away(claim, value, unit)) > tolerance(claim, value)
    against = word_against(claim, value, facts.person)
    if claim.polarity != "absent":
        is_true = not wrong and not against
    elif claim.qualifier is None:
        is_true = wrong
    else:  # "420 ms, not prolonged": it is the word that is denied
        is_true = not wrong and against is not None
    if is_true and is_empty and claim.qualifier is None:
        return Judgement("not_checkable", SAYS_NOTHING, value, leads, where)
    verdict: Verdict = "supported" if is_true else "contradicted"
    return Judgement(verdict, told if is_true else against or told, value, leads, where)


def judge_withheld(claim: Claim, facts: Facts) -> Judgement:
    """The verdict on "not measurable"."""
    kind, unit = QUANTITIES[claim.name]
    if kind == "voltage" and not facts.calibrated:
        return Judgement("supported", UNCALIBRATED)
    known = (*facts.diagnoses, *(facts.key or ()))
    if claim.name == "pr_ms" and (rhythm := next((r for r in WITHOUT_P if r in known), None)):
        return Judgement("supported", f"no P wave leads each QRS in {rhythm}")
    measured = _measured(claim, facts)
    if measured:
        lead, value = measured[0]
        told = f"measured {value:.2f} mV in {lead}" if lead else f"measured {value:.0f} {unit}"
        where = _where(claim.name, facts)
        return Judgement("contradicted", told, value, (lead,) if lead else (), where)
    return Judgement("supported", facts.reasons.get(claim.name, NOT_MEASURED))


def _measured(claim: Claim, facts: Facts) -> list[tuple[str, float]]:
    """(lead, value) pairs that the claim may mean; lead "" for the whole record."""
    name = claim.name
    if name == "rr_ms":
        return [("", one) for one in facts.rr_ms]
    if name in ("sokolow_mv", "cornell_mv"):
        value = _sum_of_voltages(name, facts)
        return [] if value is None else [("", value)]
    if not claim.leads and name in facts.numbers:
        return [("", facts.numbers[name])]
    if name == "p_ms" and not claim.leads:
        durations = [row["p_ms"] for row in facts.leads.values() if "p_ms" in row]
        return [("", max(durations))] if durations else []
    if QUANTITIES[name][0] != "voltage" and name not in facts.leads.get("II", {}):
        return [("", facts.numbers[name])] if name in facts.numbers else []
    looked_at = claim.leads or tuple(facts.leads)
    pairs = [(lead, _lead_value(name, lead, facts)) for lead in looked_at]
    return [(lead, value) for lead, value in pairs if value is not None]


def _lead_value(name: str, lead: str, facts: Facts) -> float | None:
    """A wave's size in a lead; depths of Q and S as positive numbers, 0 where none stands."""
    row = facts.leads.get(lead)
    if row is None:
        return None
    has_qrs = {"q_mv", "r_mv", "s_mv"} & set(row)
    if name in ("q_mv", "s_mv"):
        deepest = -min(row.get(name, 0.0), 0.0)
        if name == "s_mv" and "r_mv" not in row:  # a QS is told as S or as Q
            deepest = max(deepest, -row.get("q_mv", 0.0))
        return deepest if has_qrs else None
    if name == "r_mv":
        return max(row.get("r_mv", 0.0), 0.0) if has_qrs else None
    if name == "qrs_mv":
        depth = max(-row.get("q_mv", 0.0), -row.get("s_mv", 0.0), 0.0)
        return max(row.get("r_mv", 0.0), 0.0) + depth if has_qrs else None
    return row.get(name)


def _sum_of_voltages(name: str, facts: Facts) -> float | None:
    parts = (
        (("s_mv", "V1"), ("r_mv", "V5"), ("r_mv", "V6"))
        if name == "sokolow_mv"
        else (("r_mv", "aVL"), ("s_mv", "V3"))
    )
    values = [_lead_value(column, lead, facts) for column, lead in parts]
    first, *rest = values
    known = [one for one in rest if one is not None]
    return None if first is None or not known else first + max(known)


def _where(name: str, facts: Facts) -> tuple[float, float] | None:
    """The stretch of the trace that a number was read from."""
    wave = _WAVE_OF.get(name.partition("_")[0], "QRS")
    ends = {"pr_ms": ("P", "QRS", 0), "qt_ms": ("QRS", "T", 1), "qtc_ms": ("QRS", "T", 1)}
    if name in ends and all(one in facts.marks for one in ends[name][:2]):
        first, last, side = ends[name]
        return facts.marks[first][0], facts.marks[last][side]
    return facts.marks.get(wave)
