"""The statements of steps 3 to 5: chambers, ischaemia, electrolytes and QT."""

from collections.abc import Iterator, Mapping, Sequence

from ecg_r1.claims.schema import Claim
from ecg_r1.claims.support import (
    Q_WAVES,
    ST_DEPRESSION,
    ST_ELEVATION,
    T_INVERSION,
)
from ecg_r1.corpus.case import Case, absent, excluded, finding, quantity, unknown
from ecg_r1.corpus.reasons import cornell, labelled, sokolow, sokolow_parts
from ecg_r1.corpus.statement import Statement
from ecg_r1.ecg import LEADS
from ecg_r1.protocol.sources import PART4, UDMI

INFARCTIONS = tuple(
    f"{place} myocardial infarction"
    for place in ("anterior", "inferior", "lateral", "posterior")
)
_HYPERTROPHY = "left ventricular hypertrophy"
_AXIS_LABELS = ("left axis deviation", "right axis deviation")


# --- step 3 -----------------------------------------------------------------------------------


def chambers(case: Case) -> Iterator[Statement]:
    """Voltages, R progression, P size, and what they say of the chambers."""
    if case.calibrated:
        yield from _sokolow(case)
        yield from _cornell(case)
        yield from _progression(case)
        yield from _p_size(case)
        yield from _voltage_scan(case)
        yield from _voltage_findings(case)
    else:
        yield Statement(finding("uncalibrated"), required=True)
    yield from labelled(case, "chamber", without=_AXIS_LABELS)
    if case.calibrated:
        yield from _no_chamber(case)


def _sokolow(case: Case) -> Iterator[Statement]:
    parts, total = sokolow_parts(case), sokolow(case)
    if case.is_foreign:
        yield unknown("sokolow_mv", "the ventricles are not stirred in their usual way")
        return
    if parts is None or total is None:
        yield unknown("sokolow_mv", "V1 or V5 and V6 are not usable")
        return
    for part in parts:
        yield Statement(part, required=True)
    judged = case.found["sokolow_lyon"]
    limit = judged.threshold
    word = "high" if total.value >= limit else "normal"
    # The number shown is rounded: near the limit it may say what the protocol does not.
    fits = judged.met is not None and judged.met == (word == "high")
    word = case.verdict("sokolow_mv", total.value, word) if fits else None
    yield Statement(
        quantity("sokolow_mv", total.value, qualifier=word),
        required=True,
        limits=(None, limit) if word else None,
        source="Sokolow & Lyon 1949",
    )


def _cornell(case: Case) -> Iterator[Statement]:
    """Said only where it speaks for the key's hypertrophy."""
    judged, total = case.found["cornell"], cornell(case)
    if total is None or case.is_foreign or not judged.met or not case.has(_HYPERTROPHY):
        return
    word = "high" if total.value > judged.threshold else None  # the number shown is rounded
    yield Statement(
        quantity("cornell_mv", total.value, qualifier=word),
        required=True,
        limits=(None, judged.threshold) if word else None,
        source="Casale 1985",
    )


def _progression(case: Case) -> Iterator[Statement]:
    """How R grows over the chest leads."""
    if case.has("poor r wave progression", "left bundle branch block", "paced rhythm"):
        return
    lead = case.m.transition_lead
    if lead in ("V3", "V4") and case.is_absent("r_v3_small", "chest_exchanged"):
        yield Statement(finding("normal r progression"), reason=lead)
    elif lead in ("V5", "V6") and not case.is_normal:
        yield Statement(finding("late transition", (lead,)))
    elif lead in ("V1", "V2") and not case.is_normal:
        yield Statement(finding("early transition", (lead,)))


def _p_size(case: Case) -> Iterator[Statement]:
    if case.state.get("p_present") is not True or not case.has_p_statement:
        return
    for name, column in (("p_ms", "p_ms"), ("p_mv", "p_mv")):
        value = case.value("II", column)
        if value is not None and value > 0:
            yield Statement(quantity(name, value, leads=("II",)))


def _voltage_scan(case: Case) -> Iterator[Statement]:
    """R and S of every lead, for a reading that goes through them one by one."""
    for lead in LEADS:
        for name in ("r_mv", "s_mv"):
            value = case.value(lead, name)
            if value is not None and abs(value) >= 0.05:
                yield Statement(quantity(name, abs(value), leads=(lead,)))


def _voltage_findings(case: Case) -> Iterator[Statement]:
    strains = {"left_strain": "left ventricular", "right_strain": "right ventricular"}
    for name, side in strains.items():
        if case.state.get(name) and case.has(f"{side} hypertrophy"):
            yield Statement(finding("strain pattern", case.found[name].leads))
    dominant = finding("dominant r waves", ("V1",))
    if case.has("right ventricular hypertrophy") and case.shows(dominant):
        yield Statement(dominant)


def _no_chamber(case: Case) -> Iterator[Statement]:
    total = None if case.is_foreign else sokolow(case)
    high = case.found["sokolow_lyon"].threshold
    if total is not None and total.value < high and case.excludes(_HYPERTROPHY):
        yield excluded(_HYPERTROPHY, total)
    if case.excludes("right ventricular hypertrophy", "right axis deviation"):
        yield excluded("right ventricular hypertrophy")
    if case.excludes("low qrs voltage"):
        yield excluded("low qrs voltage")
    if case.state.get("p_present") and case.has_p_statement:
        wide, tall = case.value("II", "p_ms"), case.value("II", "p_mv")
        if wide is not None and case.excludes("left atrial abnormality"):
            yield excluded("left atrial abnormality", quantity("p_ms", wide, leads=("II",)))
        if tall is not None and tall > 0 and case.excludes("right atrial abnormality"):
            yield excluded("right atrial abnormality", quantity("p_mv", tall, leads=("II",)))


# --- step 4 -----------------------------------------------------------------------------------

# What is looked for -> the protocol's findings of it.
_SEARCH = {
    "st elevation": ST_ELEVATION,
    "st depression": ST_DEPRESSION,
    "t wave inversion": T_INVERSION,
    "q waves": Q_WAVES,
}
_CHANGES = ("st depression", "t wave inversion")
_NONSPECIFIC = "nonspecific st-t abnormality"
_SECONDARY = ("left bundle branch block", "paced rhythm", "ventricular tachycardia")
_LIMITS = {
    "st elevation": ((None, 0.1), UDMI),
    "st depression": ((-0.05, None), UDMI),
    "t wave inversion": ((-0.1, None), UDMI),
    "q waves": ((None, 30), UDMI),
}


def ischaemia(case: Case) -> Iterator[Statement]:
    """ST, T and Q, what they mean, and what imitates it."""
    if not case.calibrated:
        yield Statement(finding("uncalibrated"), required=True)
        yield from labelled(case, "ischaemia")
        return
    found = [one for name, names in _SEARCH.items() for one in _search(case, name, names)]
    yield from found
    yield from _st_scan(case)
    yield from _pericardium(case)
    yield from labelled(case, "ischaemia")
    yield from _no_ischaemia(case, {one.claim.name: one.claim for one in found
                                    if one.claim.polarity == "absent"})  # fmt: skip


def _search(case: Case, name: str, names: Sequence[str]) -> Iterator[Statement]:
    """One kind of change: where it is, that it is nowhere, or that this is not known."""
    if name == "q waves" and case.is_foreign and not case.has(*INFARCTIONS):
        return
    found = [case.found[one] for one in names if case.state.get(one)]
    leads = [lead for one in found for lead in one.leads]
    leads = [lead for lead in leads if case.shows(finding(name, (lead,)))]
    if leads and case.is_normal:
        case.left_out.append(f"{name} in {', '.join(leads)}, against normal ecg")
    elif leads:
        limits, source = _LIMITS[name]
        yield Statement(finding(name, leads), required=True, limits=limits, source=source)
        yield from _most(case, name, leads)
    elif any(case.state.get(one) is None for one in names):
        yield unknown(name, "not all of these leads could be measured")
    elif case.is_absent(*names) and not case.has(name) and case.shows(absent(name)):
        yield Statement(absent(name), required=True)
    else:
        case.left_out.append(f"absence of {name}, against the key or against single leads")


def _most(case: Case, name: str, leads: Sequence[str]) -> Iterator[Statement]:
    """The lead that shows an ST change or a T inversion most."""
    column = {"st elevation": "st_mv", "st depression": "st_mv", "t wave inversion": "t_mv"}
    sign = 1 if name == "st elevation" else -1
    if name not in column:
        return
    values = {lead: case.value(lead, column[name]) for lead in leads}
    known = {lead: value for lead, value in values.items() if value is not None}
    if known:
        lead = max(known, key=lambda one: sign * known[one])
        if sign * known[lead] >= 0.05:
            claim = quantity(column[name], known[lead], leads=(lead,))
            yield Statement(claim, reason="the clearest of these leads")


def _st_scan(case: Case) -> Iterator[Statement]:
    """ST level and T of every lead, for a reading that goes through them one by one."""
    for lead in LEADS:
        for name in ("st_mv", "t_mv"):
            value = case.value(lead, name)
            if value is not None:
                yield Statement(quantity(name, value, leads=(lead,)))


def _pericardium(case: Case) -> Iterator[Statement]:
    if case.has("pericarditis"):
        for name, said in (
            ("widespread_st", "st elevation"),
            ("pr_depressed", "pr depression"),
        ):
            if case.state.get(name) and not (said == "st elevation" and _raised(case)):
                yield Statement(finding(said, case.found[name].leads))
    if case.has("early repolarisation") and case.state.get("end_qrs_notch"):
        yield Statement(finding("j point notching", case.found["end_qrs_notch"].leads))


def _raised(case: Case) -> bool:
    return any(case.state.get(name) for name in ST_ELEVATION)


def _no_ischaemia(case: Case, denied: Mapping[str, Claim]) -> Iterator[Statement]:
    """What the absence of changes speaks against."""
    if case.has(*_SECONDARY, "myocardial ischaemia"):
        return
    against = {
        "myocardial infarction": (INFARCTIONS, ("q waves", "st elevation")),
        "myocardial ischaemia": (("myocardial ischaemia",), _CHANGES),
        "pericarditis": (("pericarditis",), ("st elevation",)),
    }
    for name, (labels, signs) in against.items():
        is_known = name != "myocardial ischaemia" or not case.has(_NONSPECIFIC)
        if is_known and case.excludes(*labels) and set(signs) <= set(denied):
            yield excluded(name, *(denied[sign] for sign in signs))


# --- step 5 -----------------------------------------------------------------------------------


def electrolytes(case: Case) -> Iterator[Statement]:
    """QT, QTc, tall T and U waves."""
    qtc = _qtc(case)
    if case.m.qt_ms is not None and qtc.how == "stated":
        yield Statement(quantity("qt_ms", case.m.qt_ms), required=True)
    yield qtc
    if case.calibrated:
        yield from _t_and_u(case)
    yield from labelled(case, "electrolytes")
    if qtc.claim.qualifier == "normal" and case.excludes("prolonged qt interval"):
        yield excluded("prolonged qt interval", qtc.claim)
    if case.calibrated:
        for label, sign in (("hyperkalaemia", "tall t waves"), ("hypokalaemia", "u waves")):
            if case.excludes(label) and _is_missing(case, sign):
                yield excluded(label, absent(sign))


def _qtc(case: Case) -> Statement:
    if case.m.qtc_ms is None:
        return unknown("qtc_ms", "the end of the T wave was not found in enough leads")
    qtc = round(case.m.qtc_ms)
    judged = case.found["qtc_long"]
    # Men and women have limits 10 ms apart: between them only the sex decides.
    word = "prolonged" if qtc >= judged.threshold else "short" if qtc <= 340 else "normal"
    if judged.met is None:
        word = "borderline"
    if word == "prolonged" and qtc >= 500:
        word = "severely prolonged"
    shown = case.verdict("qtc_ms", qtc, word)
    limits = (None, judged.threshold) if shown and shown != "borderline" else None
    return Statement(
        quantity("qtc_ms", qtc, qualifier=shown), required=True, limits=limits, source=PART4
    )


_SIGNS = {
    "tall t waves": ("t_tall", "t_tented", "t_narrow"),
    "u waves": ("u_tall",),
    "flat t waves": ("t_low",),
}


def _is_missing(case: Case, sign: str) -> bool:
    return case.is_absent(*_SIGNS[sign]) and case.shows(absent(sign))


def _t_and_u(case: Case) -> Iterator[Statement]:
    owners = {
        "tall t waves": ("hyperkalaemia",),
        "u waves": ("hypokalaemia",),
        "flat t waves": ("hypokalaemia", "nonspecific st-t abnormality"),
    }
    for sign, names in _SIGNS.items():
        leads = [x for name in names if case.state.get(name) for x in case.found[name].leads]
        if leads and case.has(*owners[sign]):
            if case.shows(finding(sign, leads)):
                yield Statement(finding(sign, leads))
        elif not leads and _is_missing(case, sign) and sign != "flat t waves":
            yield Statement(absent(sign))
