"""The catalogue: every condition by name, as draws of the dials that make it.

Groups combine, one condition of each: a rhythm, an ectopy, a way of conduction, a state of the
muscle or chambers, a substance or the QT. Ranges follow Surawicz B, Knilans T 2008, Chou's
Electrocardiography, 6th ed., and the AHA/ACCF/HRS 2009 recommendations, parts III-VI, unless a
line names its own source.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecg_r1.ecg import ECGError

Dials = dict[str, Any]
Draw = Callable[[np.random.Generator], Dials]


@dataclass(frozen=True)
class Condition:
    """One line of the catalogue.

    Attributes:
        name: As in textbooks.
        group: "rhythm", "ectopy", "conduction", "muscle" or "substance".
        label: Canonical label that most draws must show; "" where none belongs to it.
        draw: Draws the dials. Keys beside those of `HeartSpec`: `qtc_ms` (Fridericia).
        balanced: Weight within its group for teaching.
        prevalent: Weight as met in a hospital, after PTB-XL's statements.
    """

    name: str
    group: str
    label: str
    draw: Draw
    balanced: float
    prevalent: float


def _is(**dials: object) -> Draw:
    """The same dials in every draw; a pair of numbers is a range."""

    def draw(rng: np.random.Generator) -> Dials:
        return {
            name: float(rng.uniform(*value)) if _is_range(value) else value
            for name, value in dials.items()
        }

    return draw


def _is_range(value: object) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(isinstance(end, float) for end in value)
    )


def _many(*places: str, dial: str, low: float, high: float) -> Draw:
    """A mapping dial whose places all get one drawn level."""

    def draw(rng: np.random.Generator) -> Dials:
        level = float(rng.uniform(low, high))
        return {dial: dict.fromkeys(places, level)}

    return draw


def _all(*draws: Draw) -> Draw:
    """Several draws; mapping dials that meet are joined."""

    def draw(rng: np.random.Generator) -> Dials:
        dials: Dials = {}
        for one in draws:
            for name, value in one(rng).items():
                known = dials.get(name)
                both = isinstance(known, Mapping) and isinstance(value, Mapping)
                dials[name] = {**known, **value} if both else value
        return dials

    return draw


def _usual_rate(rng: np.random.Generator) -> Dials:
    """Resting rates as in PTB-XL, mean 69 bpm, without the slow ones."""
    return {"hr_bpm": float(min(max(np.exp(rng.normal(4.25, 0.14)), 60.5), 99))}


def _ratios(rng: np.random.Generator) -> Dials:
    """A variable block of the AV node in flutter."""
    ratios = [(2, 4), (2, 3, 4), (3, 4)][int(rng.integers(3))]
    return {
        "flutter_ratios": ratios,
        "hr_bpm": rng.uniform(250, 330) / float(np.mean(ratios)),
    }


def _fixed_ratio(ratio: int) -> Draw:
    return lambda rng: {
        "flutter_ratios": (ratio,),
        "hr_bpm": float(rng.uniform(max(240, 55 * ratio), 330) / ratio),
    }


def _side(rng: np.random.Generator) -> Dials:
    """An accessory pathway somewhere on the AV ring."""
    sides = ("left lateral", "posteroseptal", "right")
    return {"pathway": sides[int(rng.integers(3))]}


def _wpw(rng: np.random.Generator) -> Dials:
    return _side(rng) | {
        "delta_ms": float(rng.uniform(35, 55)),
        "qrs_ms": float(rng.uniform(121, 145)),
        "pr_ms": float(rng.uniform(88, 116)),
        "p_ms": float(rng.uniform(76, 86)),
    }


def _stemi(site: str, stage: str) -> Draw:
    """Stages of Surawicz B, Knilans T 2008, chapter 7: hyperacute T, ST, Q, inverted T."""
    st, t, scar = {
        "hyperacute": ((0.08, 0.16), (0.9, 1.2), None),
        "acute": ((0.24, 0.42), (0.25, 0.6), None),
        "evolving": ((0.12, 0.25), (-0.30, -0.12), (0.30, 0.55)),
        "old": (None, (-0.18, 0.10), (0.35, 0.65)),
    }[stage]

    def draw(rng: np.random.Generator) -> Dials:
        dials: Dials = {"t_wave_mv": {site: float(rng.uniform(*t))}}
        if st:
            dials["st_elevation_mv"] = {site: float(rng.uniform(*st))}
            dials["st_curve"] = float(rng.uniform(0.2, 1.0))
        if scar:
            dials["scar_mv"] = {site: float(rng.uniform(*scar))}
        return dials

    return draw


def _ischaemia(rng: np.random.Generator) -> Dials:
    """Subendocardial ischaemia: ST down towards the apex, whatever the artery."""
    depth = float(rng.uniform(0.10, 0.28))
    return {
        "st_elevation_mv": {"II": -0.6 * depth, "V4": -depth, "V5": -depth},
        "t_wave_mv": {"V5": float(rng.uniform(-0.25, -0.1)), "II": -0.05},
        "hr_bpm": float(rng.uniform(66, 108)),
    }


def _pericarditis(rng: np.random.Generator) -> Dials:
    rise = float(rng.uniform(0.16, 0.30))
    return {
        "st_elevation_mv": {"I": 0.6 * rise, "II": rise, "V3": 1.2 * rise, "V5": rise},
        "st_curve": float(rng.uniform(-1.0, -0.5)),
        "pr_depression_mv": float(rng.uniform(0.05, 0.10)),
        "hr_bpm": float(rng.uniform(72, 112)),
        "p_mv": float(rng.uniform(0.08, 0.16)),
    }


def _early_repolarisation(rng: np.random.Generator) -> Dials:
    """Macfarlane et al. 2015, J Am Coll Cardiol 66:470: notch of 0.1 mV or more, then ST."""
    notch = float(rng.uniform(0.14, 0.28))
    return {
        "j_wave_mv": {"II": notch, "V5": notch},
        "st_elevation_mv": {"II": 0.06, "V4": float(rng.uniform(0.08, 0.18)), "V5": 0.08},
        "st_curve": float(rng.uniform(-1.0, -0.5)),
        "t_gain": float(rng.uniform(1.1, 1.5)),
        "hr_bpm": float(rng.uniform(48, 72)),
        "age_years": float(rng.integers(18, 45)),
    }


def _rvh(rng: np.random.Generator) -> Dials:
    return {
        "rv_gain": float(rng.uniform(5.0, 7.0)),
        "axis_deg": float(rng.uniform(98, 140)),
        "t_wave_mv": {"V1": float(rng.uniform(-0.35, -0.15)), "V2": -0.1},
        "st_elevation_mv": {"V1": float(rng.uniform(-0.08, 0.0))},
    }


CATALOGUE: tuple[Condition, ...] = (
    # Rhythm
    Condition("sinus rhythm", "rhythm", "sinus rhythm", _usual_rate, 30, 660),
    Condition("sinus bradycardia", "rhythm", "sinus bradycardia",
              _is(hr_bpm=(42.0, 59.4)), 5, 160),
    Condition("sinus tachycardia", "rhythm", "sinus tachycardia",
              _is(hr_bpm=(103.0, 145.0)), 6, 40),
    Condition("respiratory sinus arrhythmia", "rhythm", "sinus arrhythmia",
              _is(hr_bpm=(61.0, 84.0), rr_variation=(0.09, 0.13),
                  breaths_per_min=(10.0, 15.0)), 4, 35),
    Condition("sinus pause", "rhythm", "sinus pause",
              _is(hr_bpm=(55.0, 75.0), pause_s=(2.2, 3.6)), 1, 1),
    Condition("ectopic atrial rhythm", "rhythm", "ectopic atrial rhythm",
              _is(rhythm="ectopic atrial", hr_bpm=(55.0, 92.0), pr_ms=(124.0, 150.0)), 2, 6),
    Condition("atrial fibrillation", "rhythm", "atrial fibrillation",
              _is(rhythm="atrial fibrillation", hr_bpm=(52.0, 140.0),
                  rr_variation=(0.14, 0.28), f_wave_mv=(0.03, 0.16)), 9, 68),
    Condition("atrial flutter 2:1", "rhythm", "atrial flutter",
              _all(_is(rhythm="atrial flutter", rr_variation=0.0, f_wave_mv=(0.10, 0.25)),
                   _fixed_ratio(2)), 2, 2),
    Condition("atrial flutter 3:1", "rhythm", "atrial flutter",
              _all(_is(rhythm="atrial flutter", rr_variation=0.0, f_wave_mv=(0.10, 0.25)),
                   _fixed_ratio(3)), 1, 0.5),
    Condition("atrial flutter 4:1", "rhythm", "atrial flutter",
              _all(_is(rhythm="atrial flutter", rr_variation=0.0, f_wave_mv=(0.10, 0.25)),
                   _fixed_ratio(4)), 2, 2),
    Condition("atrial flutter, variable block", "rhythm", "atrial flutter",
              _all(_is(rhythm="atrial flutter", rr_variation=0.0, f_wave_mv=(0.10, 0.25)),
                   _ratios), 2, 2),
    Condition("AV nodal re-entrant tachycardia", "rhythm", "supraventricular tachycardia",
              _is(rhythm="supraventricular tachycardia", hr_bpm=(150.0, 210.0),
                  rr_variation=0.003), 2, 2),
    Condition("AV re-entrant tachycardia", "rhythm", "supraventricular tachycardia",
              _is(rhythm="supraventricular tachycardia", hr_bpm=(150.0, 205.0),
                  rr_variation=0.003, retrograde_p_ms=(95.0, 125.0)), 1, 1),
    Condition("junctional rhythm", "rhythm", "junctional rhythm",
              _is(rhythm="junctional", hr_bpm=(38.0, 62.0), rr_variation=0.008), 2, 2),
    Condition("junctional rhythm with retrograde P", "rhythm", "junctional rhythm",
              _is(rhythm="junctional", hr_bpm=(40.0, 66.0), rr_variation=0.008,
                  retrograde_p_ms=(-100.0, -80.0), p_ms=(74.0, 82.0)), 1, 1),
    Condition("ventricular tachycardia", "rhythm", "ventricular tachycardia",
              _is(rhythm="ventricular tachycardia", hr_bpm=(125.0, 205.0),
                  qrs_ms=(136.0, 168.0), rr_variation=0.008, atrial_bpm=(70.0, 100.0)), 2, 0.5),
    Condition("ventricular pacing", "rhythm", "paced rhythm",
              _is(rhythm="paced", pacing="ventricular", hr_bpm=(58.0, 82.0),
                  qrs_ms=(140.0, 176.0), rr_variation=0.0, atrial_bpm=(62.0, 95.0)), 2, 7),
    Condition("atrial pacing", "rhythm", "paced rhythm",
              _is(rhythm="paced", pacing="atrial", hr_bpm=(59.0, 82.0), rr_variation=0.0,
                  pr_ms=(150.0, 198.0)), 1, 2),
    Condition("dual-chamber pacing", "rhythm", "paced rhythm",
              _is(rhythm="paced", pacing="dual", hr_bpm=(59.0, 84.0), qrs_ms=(140.0, 172.0),
                  rr_variation=0.0, pr_ms=(130.0, 178.0)), 2, 5),
    Condition("Mobitz I", "rhythm", "second-degree av block",
              _is(hr_bpm=(62.0, 92.0), av_block="mobitz i", av_ratio=4,
                  rr_variation=(0.005, 0.02), pr_ms=(160.0, 215.0)), 2, 1),
    Condition("Mobitz II", "rhythm", "second-degree av block",
              _is(hr_bpm=(62.0, 92.0), av_block="mobitz ii", av_ratio=4,
                  rr_variation=(0.005, 0.02), pr_ms=(140.0, 196.0)), 1.5, 0.5),
    Condition("2:1 AV block", "rhythm", "second-degree av block",
              _is(hr_bpm=(66.0, 100.0), av_block="mobitz ii", av_ratio=2,
                  rr_variation=(0.005, 0.02), pr_ms=(140.0, 198.0)), 1.5, 0.5),
    Condition("complete AV block, junctional escape", "rhythm", "third-degree av block",
              _is(hr_bpm=(70.0, 100.0), av_block="third degree", escape="junctional",
                  escape_bpm=(40.0, 56.0), rr_variation=(0.005, 0.02)), 1.5, 0.5),
    Condition("complete AV block, ventricular escape", "rhythm", "third-degree av block",
              _is(hr_bpm=(70.0, 100.0), av_block="third degree", escape="ventricular",
                  escape_bpm=(28.0, 40.0), qrs_ms=(140.0, 168.0),
                  rr_variation=(0.005, 0.02)), 1.5, 0.5),
    # Ectopy
    Condition("no ectopy", "ectopy", "", _is(), 74, 930),
    Condition("PAC", "ectopy", "premature atrial complexes",
              lambda rng: {"n_pac": int(rng.integers(1, 3))}, 8, 22),
    Condition("uniform PVC", "ectopy", "premature ventricular complexes",
              lambda rng: {"n_pvc": int(rng.integers(1, 4))}, 7, 42),
    Condition("multiform PVC", "ectopy", "premature ventricular complexes",
              _is(n_pvc=2, pvc_forms=2), 3, 3),
    Condition("PVC couplet", "ectopy", "premature ventricular complexes",
              _is(n_pvc=1, pvc_pattern="couplet"), 3, 2),
    Condition("ventricular bigeminy", "ectopy", "premature ventricular complexes",
              _is(pvc_pattern="bigeminy"), 3, 2),
    Condition("ventricular trigeminy", "ectopy", "premature ventricular complexes",
              _is(pvc_pattern="trigeminy"), 2, 1),
    # Conduction
    Condition("normal conduction", "conduction", "", _is(), 58, 800),
    Condition("first-degree AV block", "conduction", "first-degree av block",
              _is(pr_ms=(208.0, 300.0)), 7, 40),
    Condition("RBBB", "conduction", "right bundle branch block",
              _is(conduction="rbbb", qrs_ms=(122.0, 162.0)), 6, 20),
    Condition("incomplete RBBB", "conduction", "incomplete right bundle branch block",
              _is(conduction="irbbb", qrs_ms=(110.5, 119.0)), 5, 45),
    Condition("LBBB", "conduction", "left bundle branch block",
              _is(conduction="lbbb", qrs_ms=(126.0, 172.0), axis_deg=(-55.0, 60.0)), 6, 22),
    Condition("incomplete LBBB", "conduction", "incomplete left bundle branch block",
              _is(conduction="ilbbb", qrs_ms=(111.0, 118.0), axis_deg=(-25.0, 60.0)), 2, 3),
    Condition("LAFB", "conduction", "left anterior fascicular block",
              _is(conduction="lafb", qrs_ms=(84.0, 112.0), axis_deg=(-76.0, -46.0)), 6, 60),
    Condition("LPFB", "conduction", "left posterior fascicular block",
              _is(conduction="lpfb", qrs_ms=(84.0, 112.0), axis_deg=(98.0, 135.0)), 2, 6),
    Condition("RBBB and LAFB", "conduction", "left anterior fascicular block",
              _is(conduction="rbbb+lafb", qrs_ms=(124.0, 162.0), axis_deg=(-80.0, -46.0)), 3,
              8),
    Condition("RBBB and LPFB", "conduction", "left posterior fascicular block",
              _is(conduction="rbbb+lpfb", qrs_ms=(124.0, 162.0), axis_deg=(98.0, 130.0)), 1,
              1),
    Condition("IVCD", "conduction", "nonspecific intraventricular conduction delay",
              _is(conduction="ivcd", qrs_ms=(113.0, 138.0)), 3, 25),
    Condition("WPW", "conduction", "wolff-parkinson-white syndrome", _wpw, 3, 2),
    # Muscle, chambers, body
    Condition("healthy muscle", "muscle", "", _is(), 42, 700),
    Condition("LVH", "muscle", "left ventricular hypertrophy",
              _is(lv_gain=(2.0, 2.7)), 4, 35),
    Condition("LVH with strain", "muscle", "left ventricular hypertrophy",
              _is(lv_gain=(2.0, 2.6), strain=(0.7, 1.0)), 4, 20),
    Condition("RVH with strain", "muscle", "right ventricular hypertrophy", _rvh, 3, 5),
    Condition("left atrial abnormality", "muscle", "left atrial abnormality",
              _is(p_ms=(124.0, 142.0), p_terminal_mv=(0.13, 0.2), pr_ms=(168.0, 199.0)), 3, 14),
    Condition("right atrial abnormality", "muscle", "right atrial abnormality",
              _is(p_mv=(0.28, 0.42), p_axis_deg=(65.0, 82.0)), 2, 5),
    Condition("low voltage", "muscle", "low qrs voltage",
              _is(qrs_gain=(0.24, 0.36), t_gain=(0.3, 0.6)), 3, 9),
    Condition("poor R progression", "muscle", "poor r wave progression",
              _is(rotation_deg=(60.0, 85.0), front_gain=(0.6, 0.8)), 3, 15),
    *(
        Condition(f"{stage} {site} infarction", "muscle", f"{label} myocardial infarction",
                  _stemi(site, stage), balanced, prevalent)
        for site, label, share in (("anterior", "anterior", 1.0), ("inferior", "inferior", 1.0),
                                   ("lateral", "lateral", 0.5))
        for stage, balanced, prevalent in (("hyperacute", 0.7 * share, 0.5 * share),
                                           ("acute", 2.2 * share, 1.5 * share),
                                           ("evolving", 1.6 * share, 6 * share),
                                           ("old", 2.2 * share, 40 * share))
    ),
    Condition("acute posterior infarction", "muscle", "posterior myocardial infarction",
              _all(_many("posterior", dial="st_elevation_mv", low=0.14, high=0.26),
                   _many("posterior", dial="scar_mv", low=0.2, high=0.4),
                   _is(st_curve=(-0.5, 0.3))), 1.5, 0.5),
    Condition("acute inferior and right ventricular infarction", "muscle",
              "inferior myocardial infarction",
              _all(lambda rng: {"st_elevation_mv": {"II": float(rng.uniform(0.15, 0.22)),
                                                    "III": float(rng.uniform(0.28, 0.4)),
                                                    "V1": float(rng.uniform(0.12, 0.2))}},
                   _is(st_curve=(0.2, 1.0))), 1.5, 0.3),
    Condition("subendocardial ischaemia", "muscle", "st depression", _ischaemia, 4, 22),
    Condition("T inversion", "muscle", "t wave inversion",
              lambda rng: {"t_wave_mv": {str(rng.choice(["lateral", "anterior"])):
                                         float(rng.uniform(-0.45, -0.2))}}, 4, 25),
    Condition("flat T", "muscle", "nonspecific st-t abnormality",
              _is(t_gain=(0.10, 0.22)), 3, 40),
    Condition("pericarditis", "muscle", "pericarditis", _pericarditis, 2, 0.5),
    Condition("early repolarisation", "muscle", "early repolarisation",
              _early_repolarisation, 3, 3),
    Condition("dextrocardia", "muscle", "dextrocardia", _is(dextrocardia=True), 0.5, 0.05),
    # Substances and QT
    Condition("no substance", "substance", "", _is(), 84, 980),
    Condition("mild hyperkalaemia", "substance", "hyperkalaemia",
              _is(potassium_mmol=(6.1, 6.7)), 2, 0.5),
    Condition("moderate hyperkalaemia", "substance", "hyperkalaemia",
              _is(potassium_mmol=(6.7, 7.4)), 1.5, 0.3),
    Condition("severe hyperkalaemia", "substance", "hyperkalaemia",
              _is(potassium_mmol=(8.0, 8.8), hr_bpm=(50.0, 85.0)), 1, 0.1),
    Condition("hypokalaemia", "substance", "hypokalaemia",
              _is(potassium_mmol=(2.2, 2.9), hr_bpm=(55.0, 85.0)), 3, 1),
    Condition("long QT", "substance", "prolonged qt interval",
              _is(qtc_ms=(470.0, 540.0), hr_bpm=(50.0, 88.0)), 3, 8),
    Condition("short QT", "substance", "short qt interval",
              _is(qtc_ms=(295.0, 330.0), t_sharpness=(1.1, 1.4), hr_bpm=(56.0, 85.0)), 1.5,
              0.3),
    Condition("digoxin effect", "substance", "digoxin effect",
              _is(digoxin=(0.6, 1.0), qtc_ms=(345.0, 390.0)), 2, 6),
)  # fmt: skip

_BY_NAME = {condition.name: condition for condition in CATALOGUE}


def condition(name: str) -> Condition:
    """A line of the catalogue.

    Raises:
        ECGError: There is none of that name; the message lists all.
    """
    if name not in _BY_NAME:
        raise ECGError(f"condition {name!r} is unknown: choose one of {'; '.join(_BY_NAME)}")
    return _BY_NAME[name]


def of_group(group: str) -> list[Condition]:
    """The conditions of one group, in the order of the catalogue."""
    return [one for one in CATALOGUE if one.group == group]
