"""Why a diagnosis stands: the claims that speak for it, or what the measurements leave open."""

from collections.abc import Iterator

from ecg_r1.claims.schema import GROUPS, Claim
from ecg_r1.claims.support import SUPPORT, met
from ecg_r1.corpus.case import Case, absent, diagnosis, finding, quantity
from ecg_r1.corpus.statement import Statement
from ecg_r1.labels import SINUS_RHYTHMS

# Findings of the protocol -> the claim's name, where it is a finding in leads.
_FINDINGS = {
    **dict.fromkeys(("p_present",), "p waves"),
    "irregular": "irregular rhythm",
    "flutter_waves": "flutter waves",
    "pacing_spikes": "pacing spikes",
    "p_inverted": "inverted p waves",
    "long_pause": "pause",
    "p_lengthening": "pr lengthening",
    "p_blocked": "dropped beats",
    "p_dissociated": "av dissociation",
    "delta_wave": "delta wave",
    "rsr_v1": "rsr pattern",
    "s_wide_lateral": "broad s waves",
    "r_v1_dominant": "dominant r waves",
    "right_strain": "strain pattern",
    "t_tented": "tall t waves",
    "t_narrow": "tall t waves",
    "t_tall": "tall t waves",
    "u_tall": "u waves",
    "t_low": "flat t waves",
    "widespread_st": "st elevation",
    "pr_depressed": "pr depression",
    "end_qrs_notch": "j point notching",
    "posterior_st": "st depression",
    "r_v3_small": "small r waves",
}
_PREFIXES = {
    "st_elevation": "st elevation",
    "st_depression": "st depression",
    "t_inversion": "t wave inversion",
    "q_waves": "q waves",
    **dict.fromkeys(("q_over_r", "q_iii", "q_avf", "q_v2_v3", "qs_v2_v3"), "q waves"),
}
_NUMBERS = {
    "bradycardia": "hr_bpm",
    "tachycardia": "hr_bpm",
    "rate_150": "hr_bpm",
    "pr_long": "pr_ms",
    "pr_short": "pr_ms",
    "qrs_wide": "qrs_ms",
    "qrs_above_110": "qrs_ms",
    "axis_left": "axis_deg",
    "axis_lafb": "axis_deg",
    "axis_right": "axis_deg",
    "qtc_long": "qtc_ms",
    "qtc_short": "qtc_ms",
    "qtc_500": "qtc_ms",
}
# Further findings that the writer names beside those of SUPPORT, where they are met.
_MORE = {
    "right bundle branch block": ("rsr_v1", "s_wide_lateral"),
    "incomplete right bundle branch block": ("qrs_above_110",),
    "left bundle branch block": ("qrs_wide",),
    "pericarditis": ("pr_depressed",),
    "hypokalaemia": ("t_low",),
}


def because(case: Case, label: str) -> tuple[Claim, ...]:
    """The claims that speak for a label of the key, each once.

    Nothing is given for what the writer may not say: voltages of an uncalibrated record.
    """
    if label in SINUS_RHYTHMS and case.state.get("p_present") is not True:
        return ()
    names = [name for entry in SUPPORT[label] if met(entry, case.state) for name in entry]
    names += [name for name in _MORE.get(label, ()) if case.state.get(name)]
    claims = (_claim(case, name) for name in names)
    merged: dict[str, Claim] = {}
    for claim in claims:
        if claim is None:
            continue
        if claim.name == "irregular rhythm" and label == "atrial fibrillation":
            claim = finding("irregularly irregular rhythm")  # noqa: PLW2901
        before = merged.get(claim.name)
        leads = (*(before.leads if before else ()), *claim.leads)
        merged[claim.name] = finding(claim.name, leads) if leads else claim
    return tuple(claim for claim in merged.values() if case.shows(claim))


def _claim(case: Case, name: str) -> Claim | None:
    """What a finding that is met is called in a text; None where no claim says just that."""
    prefix = next((p for p in _PREFIXES if name.startswith(p)), None)
    if prefix or name in _FINDINGS:
        said = _PREFIXES[prefix] if prefix else _FINDINGS[name]
        leads = case.found[name].leads
        return finding(said, () if name in ("p_present", "pacing_spikes") else leads)
    if name == "no_p":
        return absent("p waves")
    quantity_name = _NUMBERS.get(name)
    value = getattr(case.m, quantity_name) if quantity_name else None
    if value is not None:
        return quantity(quantity_name, value)
    if name == "sokolow_lyon":
        return sokolow(case)
    return cornell(case) if name == "cornell" else None


def sokolow(case: Case) -> Claim | None:
    """S(V1) + R(V5 or V6) as the sum of its two rounded parts; None where not measured."""
    parts = sokolow_parts(case)
    if parts is None:
        return None
    return quantity("sokolow_mv", sum(part.value for part in parts))


def sokolow_parts(case: Case) -> tuple[Claim, Claim] | None:
    """S in V1 and the taller R of V5 and V6, in mV to the millimetre."""
    if not case.calibrated:
        return None
    tall = {lead: case.value(lead, "r_mv") for lead in ("V5", "V6")}
    known = {lead: mv for lead, mv in tall.items() if mv is not None}
    if not known or all(
        case.value("V1", column) is None for column in ("q_mv", "r_mv", "s_mv")
    ):
        return None
    lead = max(known, key=known.__getitem__)
    s = case.value("V1", "s_mv")
    return (
        quantity("s_mv", abs(s or 0.0), leads=("V1",)),
        quantity("r_mv", max(known[lead], 0.0), leads=(lead,)),
    )


def cornell(case: Case) -> Claim | None:
    """R(aVL) + S(V3) as the sum of its two rounded parts; None where not measured."""
    parts = (case.value("aVL", "r_mv"), case.value("V3", "s_mv"))
    if not case.calibrated or None in parts:
        return None
    r, s = (quantity("r_mv", abs(one)).value for one in parts)
    return quantity("cornell_mv", r + s)


# What the measurements leave open where they do not bear a diagnosis out.
_OPEN = {
    "sinus pause": "the measured RR intervals",
    "sinus arrhythmia": "the measured RR intervals",
    "paced rhythm": "the search for pacing spikes",
    "premature atrial complexes": "the classification of single beats",
    "premature ventricular complexes": "the classification of single beats",
    "first-degree av block": "the measured PR interval",
    "second-degree av block": "the measured relation of P waves to QRS complexes",
    "third-degree av block": "the measured relation of P waves to QRS complexes",
    "wolff-parkinson-white syndrome": "the measured PR interval and QRS onset",
    "left atrial abnormality": "the measured P waves",
    "right atrial abnormality": "the measured P waves",
    "left ventricular hypertrophy": "the measured voltages",
    "right ventricular hypertrophy": "the measured voltages",
    "low qrs voltage": "the measured voltages",
    "poor r wave progression": "the measured R waves",
    "dextrocardia": "the measured directions of P and QRS",
    "left axis deviation": "the measured axis",
    "right axis deviation": "the measured axis",
    "left anterior fascicular block": "the measured axis",
    "left posterior fascicular block": "the measured axis",
    "prolonged qt interval": "the measured QT interval",
    "short qt interval": "the measured QT interval",
    "hyperkalaemia": "the measured T waves",
    "hypokalaemia": "the measured T and U waves",
}
_OPEN_BY_GROUP = {
    "rhythm": "the measured P waves and RR intervals",
    "conduction": "the measured QRS duration and shape",
    "ischaemia": "the measured QRS complexes, ST levels and T waves",
    "electrolytes": "the measured ST levels and T waves",
}


def open_question(label: str) -> str:
    """Which measurements leave a diagnosis open."""
    return _OPEN.get(label) or _OPEN_BY_GROUP[GROUPS[label]]


def labelled(
    case: Case, *groups: str, only: tuple[str, ...] = (), without: tuple[str, ...] = ()
) -> Iterator[Statement]:
    """The key's diagnoses of these groups, with what speaks for them or what is left open."""
    for label in case.of_group(*groups):
        if label in without or (only and label not in only):
            continue
        # ST and T labels are findings too: a reader with a ruler must agree.
        if case.standing[label] == "confirmed" and case.shows(diagnosis(label)):
            yield Statement(diagnosis(label), required=True, because=because(case, label))
            continue
        reason = open_question(label)
        how = "open" if case.standing[label] == "open" else "unconfirmed"
        case.left_out.append(f"{label} {how} by {reason}")
        yield Statement(diagnosis(label), required=True, how="unconfirmed", reason=reason)
