"""Diagnoses of a simulated record: what was dialled, where the clean leads show it.

Rhythms, blocks and substances are named when dialled; what is defined by a threshold
(voltage, ST, Q, T, axis, QT) only when the clean leads pass it, by `ecg_r1.limits`.
"""

from collections.abc import Mapping

import numpy as np

from ecg_r1 import limits
from ecg_r1.ecg import LEADS
from ecg_r1.labels import in_order
from ecg_r1.simulate.spec import HeartSpec
from ecg_r1.simulate.torso import TERRITORIES

_AT = {lead: row for row, lead in enumerate(LEADS)}
# Leads that look at the heart from neighbouring places.
_NEIGHBOURS = np.array(
    [
        [_AT[lead] for lead in pair]
        for pair in (
            ("I", "aVL"), ("II", "aVF"), ("III", "aVF"), ("II", "III"), ("V1", "V2"),
            ("V2", "V3"), ("V3", "V4"), ("V4", "V5"), ("V5", "V6"), ("I", "V6"),
        )
    ]
).T  # fmt: skip
_V2_V3 = [_AT["V2"], _AT["V3"]]
_SITES = {
    "anterior": ("septal", "anterior"),
    "inferior": ("inferior",),
    "lateral": ("lateral", "high lateral"),
    "posterior": ("posterior",),
}
_BLOCK_LABELS = {
    "lbbb": ["left bundle branch block"],
    "ilbbb": ["incomplete left bundle branch block"],
    "rbbb": ["right bundle branch block"],
    "irbbb": ["incomplete right bundle branch block"],
    "lafb": ["left anterior fascicular block"],
    "lpfb": ["left posterior fascicular block"],
    "rbbb+lafb": ["right bundle branch block", "left anterior fascicular block"],
    "rbbb+lpfb": ["right bundle branch block", "left posterior fascicular block"],
}
# Blocks after which ST and T no longer speak of the muscle.
_SECONDARY = ("lbbb", "rbbb", "rbbb+lafb", "rbbb+lpfb", "ilbbb")
# PTB-XL calls most slow or breathing sinus rhythms normal, and most fast ones not.
_HARMLESS = {"sinus rhythm", "sinus bradycardia", "sinus arrhythmia"}
AGE_OF_SHAPE = 50.0  # whom the waves are drawn for where no age is dialled

Values = Mapping[str, np.ndarray]


def diagnose(
    spec: HeartSpec,
    *,
    rr_ms: np.ndarray,
    hr_bpm: float,
    atrial_bpm: float | None,
    axis_deg: float,
    values: Values,
) -> tuple[str, ...]:
    """Canonical labels in the order of `<answer>`.

    Args:
        spec: The dials, potassium already applied.
        rr_ms: RR intervals of the record.
        hr_bpm: Ventricular rate.
        atrial_bpm: Rate of P waves.
        axis_deg: Frontal QRS axis.
        values: `Truth.lead_values`.
    """
    labels = _rhythm(spec, rr_ms, hr_bpm, atrial_bpm) + _ectopy(spec) + _av_conduction(spec)
    own_ventricles = spec.rhythm == "ventricular tachycardia" or (
        spec.rhythm == "paced" and spec.pacing != "atrial"
    )
    if own_ventricles or (spec.av_block == "third degree" and spec.escape == "ventricular"):
        return in_order(labels)  # such a beat has no conduction, voltage or ST to judge
    if spec.dextrocardia:
        return in_order([*labels, "dextrocardia"])  # it imitates infarction and hypertrophy
    if spec.delta_ms >= 20:
        # Pre-excitation imitates blocks, hypertrophy and infarction.
        return in_order([*labels, "wolff-parkinson-white syndrome"])
    labels += _conduction(spec) + _voltage(spec, axis_deg, values)
    labels += _ischaemia(spec, values, set(labels)) + _substances(spec)
    labels += _qt(spec, hr_bpm)
    tall = limits.T_TALL.met_by_lead(values["t_mv"]).sum() > 1
    if set(labels) <= _HARMLESS and hr_bpm >= 50 and not (spec.scar_mv or tall):
        labels.append("normal ecg")
    return in_order(labels)


def _rhythm(
    spec: HeartSpec, rr_ms: np.ndarray, hr_bpm: float, atrial_bpm: float | None
) -> list[str]:
    named = {
        "ectopic atrial": "ectopic atrial rhythm",
        "junctional": "junctional rhythm",
        "paced": "paced rhythm",
    }
    if spec.rhythm != "sinus":
        return [named.get(spec.rhythm, spec.rhythm)]
    rate = hr_bpm if spec.av_block == "none" or atrial_bpm is None else atrial_bpm
    found = []
    if limits.BRADYCARDIA.met(rate):
        found.append("sinus bradycardia")
    elif limits.TACHYCARDIA.met(rate):
        found.append("sinus tachycardia")
    disturbed = spec.n_pac or spec.n_pvc or spec.pvc_pattern != "single" or spec.pause_s
    steady = spec.av_block == "none" and not disturbed
    if steady and limits.RR_SPREAD.met(float(np.ptp(rr_ms))):
        found.append("sinus arrhythmia")
    pause = ["sinus pause"] * limits.PAUSE.met(1000 * spec.pause_s)
    return (found or ["sinus rhythm"]) + pause


def _ectopy(spec: HeartSpec) -> list[str]:
    wide = spec.n_pvc > 0 or spec.pvc_pattern in ("bigeminy", "trigeminy")
    return ["premature atrial complexes"] * (spec.n_pac > 0) + [
        "premature ventricular complexes"
    ] * wide


def _av_conduction(spec: HeartSpec) -> list[str]:
    if spec.av_block in ("mobitz i", "mobitz ii"):
        return ["second-degree av block"]
    if spec.av_block == "third degree":
        return ["third-degree av block"]
    return ["first-degree av block"] * (
        spec.has_p and spec.p_mv != 0 and limits.PR_LONG.met(spec.pr_ms)
    )


def _conduction(spec: HeartSpec) -> list[str]:
    if spec.conduction in _BLOCK_LABELS:
        return _BLOCK_LABELS[spec.conduction]
    return ["nonspecific intraventricular conduction delay"] * limits.QRS_LONG.met(spec.qrs_ms)


def _voltage(spec: HeartSpec, axis_deg: float, v: Values) -> list[str]:
    r, s, size = v["r_mv"], -v["s_mv"], v["size_mv"]
    block = spec.conduction in _SECONDARY
    sokolow = s[_AT["V1"]] + max(r[_AT["V5"]], r[_AT["V6"]])
    cornell = r[_AT["aVL"]] + s[_AT["V3"]]
    lvh = limits.SOKOLOW.met(sokolow, *_person(spec)) or limits.CORNELL.met(
        cornell, *_person(spec)
    )
    r_v1, s_v1 = r[_AT["V1"]], s[_AT["V1"]]
    rightward = limits.AXIS_RIGHT.met(axis_deg)
    rvh = spec.rv_gain > 1.5 and limits.R_V1_TALL.met(r_v1) and r_v1 > s_v1 and rightward
    p, p_end = v.get("p_mv", np.zeros(12)), v.get("p_end_mv", np.zeros(12))
    found = {
        "left axis deviation": limits.AXIS_LEFT.met(axis_deg)
        and not limits.AXIS_EXTREME.met(axis_deg),
        "right axis deviation": rightward,
        "left atrial abnormality": spec.has_p
        and limits.P_LONG.met(spec.p_ms)
        and limits.P_TERMINAL.met(p_end[_AT["V1"]]),
        "right atrial abnormality": spec.has_p and limits.P_TALL.met(p[_AT["II"]]),
        "left ventricular hypertrophy": lvh and not block,
        "right ventricular hypertrophy": rvh and not block,
        "low qrs voltage": limits.LOW_LIMB.met(size[:6].max())
        or limits.LOW_CHEST.met(size[6:].max()),
        "poor r wave progression": limits.R_V3_SMALL.met(r[_AT["V3"]])
        and spec.conduction != "lbbb",
    }
    return [label for label, met in found.items() if met]


def _person(spec: HeartSpec) -> tuple[float, str | None]:
    return AGE_OF_SHAPE if spec.age_years is None else spec.age_years, spec.sex


def _side_by_side(met: np.ndarray) -> bool:
    return bool((met[_NEIGHBOURS[0]] & met[_NEIGHBOURS[1]]).any())


def _leads(site: str) -> list[int]:
    names = {lead for part in _SITES[site] for lead in TERRITORIES[part]}
    return [_AT[lead.removeprefix("-")] for lead in names]


def _dialled(dial: Mapping[str, float], site: str) -> bool:
    """Whether the dial raises this site, by its name or by one of its leads."""
    if not dial:
        return False
    leads = {lead for part in _SITES[site] for lead in TERRITORIES[part]}
    return any(dial.get(name, 0) > 0 for name in (*_SITES[site], *leads))


def _infarcted(spec: HeartSpec, v: Values, site: str, raised: np.ndarray) -> bool:
    """Q waves or ST elevation in a dialled site."""
    if not (_dialled(spec.scar_mv, site) or _dialled(spec.st_elevation_mv, site)):
        return False
    at = _leads(site)
    if site == "posterior":
        tall = (v["r_mv"] > -v["s_mv"]) & limits.R_POSTERIOR.met_by_lead(v["r_ms"])
        scar = _dialled(spec.scar_mv, site) and tall[[_AT["V1"], _AT["V2"]]].any()
        injury = (
            _dialled(spec.st_elevation_mv, site)
            and limits.ST_DEPRESSION.met_by_lead(v["st_mv"])[at].sum() > 1
        )
        return bool(scar or injury)
    wide = limits.Q_WIDE.met_by_lead(v["q_ms"]) & (v["q_mv"] <= -limits.Q_DEPTH_MV)
    wide[_V2_V3] |= (limits.Q_V2_V3.met_by_lead(v["q_ms"]) & (v["q_mv"] < 0))[_V2_V3]
    old = _dialled(spec.scar_mv, site) and wide[at].sum() > 1
    changed = raised | limits.T_TALL.met_by_lead(v["t_mv"])  # ST, or before it hyperacute T
    acute = _dialled(spec.st_elevation_mv, site) and changed[at].sum() > 1
    return bool(old or acute)


def _ischaemia(spec: HeartSpec, v: Values, others: set[str]) -> list[str]:
    secondary = spec.conduction in _SECONDARY
    st = np.minimum(v["st_mv"], v["j_mv"])
    raised = limits.ST_ELEVATION.met_by_lead(st, *_person(spec))
    raised &= spec.conduction not in ("lbbb", "ilbbb")
    prominent = (v["r_mv"] > -v["s_mv"]) | (v["r_mv"] >= 0.5)
    inverted = limits.T_INVERSION.met_by_lead(v["t_mv"]) & prominent
    inverted[[_AT["aVR"], _AT["V1"], _AT["III"]]] = False
    lowered = limits.ST_DEPRESSION.met_by_lead(np.maximum(v["st_mv"], v["j_mv"]))
    lowered[_AT["aVR"]] = False
    pericarditis = spec.pr_depression_mv >= 0.04 and raised.sum() >= 4
    early = limits.NOTCH.met(max(spec.j_wave_mv.values(), default=0))
    sites = (
        [site for site in _SITES if _infarcted(spec, v, site, raised)]
        if not (pericarditis or early or spec.conduction in ("lbbb", "ilbbb"))
        else []
    )
    found = {f"{site} myocardial infarction": True for site in sites}
    found["st elevation"] = _side_by_side(raised)
    found["st depression"] = _side_by_side(lowered) and not secondary
    found["t wave inversion"] = _side_by_side(inverted) and not secondary
    found["myocardial ischaemia"] = (
        found["st depression"]
        and found["t wave inversion"]
        and "left ventricular hypertrophy" not in others
    )
    found["pericarditis"] = pericarditis
    found["early repolarisation"] = early
    has_r = v["r_mv"] >= limits.LEAST_R_MV
    share = np.abs(v["t_mv"]) / np.maximum(v["r_mv"], limits.LEAST_R_MV)
    low = has_r & limits.T_LOW.met_by_lead(share)
    changed = not secondary and _side_by_side(low)
    found["nonspecific st-t abnormality"] = changed and not any(found.values())
    return [label for label, met in found.items() if met]


def _substances(spec: HeartSpec) -> list[str]:
    """Dialled far enough to be seen: potassium 6 or more, 3 or less; digoxin a half."""
    found = {
        "hyperkalaemia": spec.potassium_mmol >= 6.0,
        "hypokalaemia": spec.potassium_mmol <= 3.0,
        "digoxin effect": spec.digoxin >= 0.5,
    }
    return [label for label, met in found.items() if met]


def _qt(spec: HeartSpec, hr_bpm: float) -> list[str]:
    """By Fridericia; a wide QRS lengthens QT by itself (part IV), so it is not judged there."""
    if limits.QRS_WIDE.met(spec.qrs_ms):
        return []
    qtc = spec.qt_ms / np.cbrt(60 / hr_bpm)
    if limits.QTC_LONG.met(qtc, *_person(spec)):
        return ["prolonged qt interval"]
    return ["short qt interval"] * limits.QTC_SHORT.met(qtc)
