"""Diagnoses of a simulated record: what was dialled, where the clean leads show it.

Rhythms, blocks and substances are named when dialled; what is defined by a threshold
(voltage, ST, Q, T, axis, QT) only when the clean leads pass it.
"""

from collections.abc import Mapping

import numpy as np

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

# Tallest T of healthy adults, mV: 0.5 in limb, 1.0 in chest leads; Surawicz B, Knilans T 2008.
TALL_T_MV = np.array([0.5] * 6 + [1.0] * 6)

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
    tall = (values["t_mv"] >= TALL_T_MV).sum() > 1
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
    if rate < 60 or rate > 100:
        found.append("sinus bradycardia" if rate < 60 else "sinus tachycardia")
    disturbed = spec.n_pac or spec.n_pvc or spec.pvc_pattern != "single" or spec.pause_s
    # More than 0.12 s between the longest and the shortest RR: Surawicz B, Knilans T 2008.
    if not disturbed and spec.av_block == "none" and np.ptp(rr_ms) > 120:
        found.append("sinus arrhythmia")
    pause = ["sinus pause"] * bool(spec.pause_s >= 2)
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
    return ["first-degree av block"] * (spec.has_p and spec.p_mv != 0 and spec.pr_ms > 200)


def _conduction(spec: HeartSpec) -> list[str]:
    """AHA/ACCF/HRS 2009 part III (Surawicz et al.): durations of the blocks."""
    if spec.conduction in _BLOCK_LABELS:
        return _BLOCK_LABELS[spec.conduction]
    return ["nonspecific intraventricular conduction delay"] * (spec.qrs_ms > 110)


def _voltage(spec: HeartSpec, axis_deg: float, v: Values) -> list[str]:
    """AHA/ACCF/HRS 2009 part V (Hancock et al.): Sokolow-Lyon, Cornell, R in V1, P."""
    r, s, size = v["r_mv"], -v["s_mv"], v["size_mv"]
    block = spec.conduction in _SECONDARY
    sokolow = s[_AT["V1"]] + max(r[_AT["V5"]], r[_AT["V6"]])
    cornell = r[_AT["aVL"]] + s[_AT["V3"]]
    lvh = sokolow >= 3.5 or cornell > (2.0 if spec.sex == "female" else 2.8)
    r_v1, s_v1 = r[_AT["V1"]], s[_AT["V1"]]
    rvh = spec.rv_gain > 1.5 and r_v1 > 0.6 and r_v1 > s_v1 and axis_deg > 90
    p, p_end = v.get("p_mv", np.zeros(12)), v.get("p_end_mv", np.zeros(12))
    found = {
        "left axis deviation": -90 <= axis_deg < -30,
        "right axis deviation": 90 < axis_deg <= 180,
        "left atrial abnormality": spec.has_p and spec.p_ms >= 120 and p_end[_AT["V1"]] <= -0.1,
        "right atrial abnormality": spec.has_p and p[_AT["II"]] > 0.25,
        "left ventricular hypertrophy": lvh and not block,
        "right ventricular hypertrophy": rvh and not block,
        "low qrs voltage": size[:6].max() < 0.5 or size[6:].max() < 1.0,
        "poor r wave progression": r[_AT["V3"]] <= 0.3 and spec.conduction != "lbbb",
    }
    return [label for label, met in found.items() if met]


def st_limits(spec: HeartSpec) -> np.ndarray:
    """Least ST elevation that counts, per lead in mV, by age and sex.

    Source:
        Fourth Universal Definition of Myocardial Infarction 2018 (Thygesen et al.)
    """
    limit = np.full(12, 0.1)
    young = spec.age_years is not None and spec.age_years < 40
    limit[_V2_V3] = 0.15 if spec.sex == "female" else 0.25 if young else 0.2
    return limit


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
    """Q waves or ST elevation of the Fourth Universal Definition 2018 in a dialled site."""
    if not (_dialled(spec.scar_mv, site) or _dialled(spec.st_elevation_mv, site)):
        return False
    at = _leads(site)
    if site == "posterior":
        tall = (v["r_mv"] > -v["s_mv"]) & (v["r_ms"] >= 40)
        scar = _dialled(spec.scar_mv, site) and tall[[_AT["V1"], _AT["V2"]]].any()
        injury = _dialled(spec.st_elevation_mv, site) and (v["st_mv"][at] <= -0.05).sum() > 1
        return bool(scar or injury)
    wide = (v["q_ms"] >= 30) & (v["q_mv"] <= -0.1)
    wide[_V2_V3] |= ((v["q_ms"] >= 20) & (v["q_mv"] < 0))[_V2_V3]
    old = _dialled(spec.scar_mv, site) and wide[at].sum() > 1
    changed = raised | (v["t_mv"] >= TALL_T_MV)  # ST, or before it hyperacute T
    acute = _dialled(spec.st_elevation_mv, site) and changed[at].sum() > 1
    return bool(old or acute)


def _ischaemia(spec: HeartSpec, v: Values, others: set[str]) -> list[str]:
    """ST, T and Q criteria of the Fourth Universal Definition 2018 (Thygesen et al.)."""
    secondary = spec.conduction in _SECONDARY
    st = np.minimum(v["st_mv"], v["j_mv"])
    raised = (st >= st_limits(spec)) & (spec.conduction not in ("lbbb", "ilbbb"))
    prominent = (v["r_mv"] > -v["s_mv"]) | (v["r_mv"] >= 0.5)
    inverted = (v["t_mv"] <= -0.1) & prominent
    inverted[[_AT["aVR"], _AT["V1"], _AT["III"]]] = False
    lowered = np.maximum(v["st_mv"], v["j_mv"]) <= -0.05
    lowered[_AT["aVR"]] = False
    pericarditis = spec.pr_depression_mv >= 0.04 and raised.sum() >= 4
    early = max(spec.j_wave_mv.values(), default=0) >= 0.1
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
    low = np.abs(v["t_mv"]) < 0.1 * v["r_mv"]
    low &= v["r_mv"] >= 0.3  # AHA/ACCF/HRS 2009 part IV: T below a tenth of R
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
    """AHA/ACCF/HRS 2009 part IV (Rautaharju et al.), with Fridericia's correction.

    A wide QRS lengthens QT by itself (part IV), so it is not judged beside one.
    """
    if spec.qrs_ms >= 120:
        return []
    qtc = spec.qt_ms / np.cbrt(60 / hr_bpm)
    if qtc > (450 if spec.sex == "male" else 460):
        return ["prolonged qt interval"]
    return ["short qt interval"] if qtc < 340 else []
