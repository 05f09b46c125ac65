"""Which findings speak for a diagnosis, and how far a record bears one out.

Weaker than the protocol's rules on purpose: here it is asked whether a text may say it.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from ecg_r1.labels import SINUS_RHYTHMS

Standing = Literal["confirmed", "open", "unconfirmed"]
State = Mapping[str, bool | None]  # a finding's name to whether it is met

_PLACES = ("anterior", "inferior", "lateral")
ST_ELEVATION = tuple(f"st_elevation_{place}" for place in _PLACES)
ST_DEPRESSION = tuple(f"st_depression_{place}" for place in _PLACES)
T_INVERSION = tuple(f"t_inversion_{place}" for place in _PLACES)
_ANTERIOR_Q = ("q_waves_anterior", "q_v2_v3", "qs_v2_v3")
_INFERIOR_Q = ("q_waves_inferior", "q_over_r_inferior", "q_iii", "q_avf")
Q_WAVES = (*_ANTERIOR_Q, *_INFERIOR_Q, "q_waves_lateral")


def _one(*names: str) -> tuple[tuple[str, ...], ...]:
    return tuple((name,) for name in names)


# Label -> what speaks for it: any of the entries, of an entry all findings together.
SUPPORT: dict[str, tuple[tuple[str, ...], ...]] = {
    **dict.fromkeys(SINUS_RHYTHMS, _one("p_present")),
    "sinus rhythm": _one("p_present", "p_lengthening", "p_blocked", "p_dissociated"),
    "sinus bradycardia": (("p_present", "bradycardia"),),
    "sinus tachycardia": (("p_present", "tachycardia"),),
    "sinus arrhythmia": (("p_present", "rr_spread"), ("p_present", "irregular")),
    "sinus pause": _one("long_pause"),
    "atrial fibrillation": (("no_p", "irregular"),),
    "atrial flutter": _one("flutter_waves"),
    "supraventricular tachycardia": (("tachycardia", "no_p"), ("rate_150",)),
    "paced rhythm": _one("pacing_spikes"),
    "junctional rhythm": _one("no_p", "p_inverted"),
    "ectopic atrial rhythm": _one("p_inverted"),
    "ventricular tachycardia": (("tachycardia", "qrs_wide"),),
    "premature atrial complexes": _one("narrow_premature"),
    "premature ventricular complexes": _one("wide_premature"),
    "first-degree av block": (("p_present", "pr_long"),),
    "second-degree av block": _one("p_lengthening", "p_blocked", "more_p"),
    "third-degree av block": _one("p_dissociated", "p_apart"),
    "wolff-parkinson-white syndrome": (("pr_short", "delta_wave"),),
    "left bundle branch block": (("qrs_wide", "left_clean"),),
    "incomplete left bundle branch block": (("qrs_slow", "left_clean"),),
    "right bundle branch block": (("qrs_wide", "rsr_v1"), ("qrs_wide", "v1_positive")),
    "incomplete right bundle branch block": _one("rsr_v1"),
    "left anterior fascicular block": _one("axis_lafb", "axis_lafb_initial", "axis_left"),
    "left posterior fascicular block": _one("axis_right"),
    "nonspecific intraventricular conduction delay": _one("qrs_above_110"),
    "left axis deviation": _one("axis_left"),
    "right axis deviation": _one("axis_right"),
    "left atrial abnormality": _one("p_long", "p_terminal_v1"),
    "right atrial abnormality": _one("p_tall"),
    "left ventricular hypertrophy": _one("sokolow_lyon", "cornell", "r_avl", "gubner"),
    "right ventricular hypertrophy": _one("r_v1_tall", "r_v1_dominant", "right_strain"),
    "low qrs voltage": _one("low_limb", "low_chest"),
    "poor r wave progression": _one("r_v3_small"),
    "dextrocardia": _one("heart_on_right"),
    "anterior myocardial infarction": _one(*_ANTERIOR_Q, "st_elevation_anterior"),
    "inferior myocardial infarction": _one(*_INFERIOR_Q, "st_elevation_inferior"),
    "lateral myocardial infarction": _one("q_waves_lateral", "st_elevation_lateral"),
    "posterior myocardial infarction": _one("posterior_st", "posterior_r", "concordant_drop"),
    "st elevation": _one(*ST_ELEVATION),
    "st depression": _one(*ST_DEPRESSION),
    "t wave inversion": _one(*T_INVERSION),
    "myocardial ischaemia": _one(*ST_DEPRESSION, *T_INVERSION),
    "nonspecific st-t abnormality": _one(*ST_DEPRESSION, *T_INVERSION, "t_low"),
    "pericarditis": _one("widespread_st"),
    "early repolarisation": _one("end_qrs_notch"),
    "prolonged qt interval": _one("qtc_long"),
    "short qt interval": _one("qtc_short"),
    "hyperkalaemia": _one("t_tented", "t_narrow", "t_tall"),
    "hypokalaemia": _one("u_tall", "qtc_500"),
    "digoxin effect": _one(*ST_DEPRESSION),
    "normal ecg": (),
}


def met(entry: tuple[str, ...], state: State) -> bool | None:
    """Whether all findings of an entry are met; None when that cannot be known."""
    values = [state.get(name) for name in entry]
    return False if False in values else None if None in values else True


def standing(label: str, state: State, diagnoses: Sequence[str]) -> Standing:
    """How far the measurements bear a label of the answer key out.

    Args:
        label: A canonical label.
        state: Every finding of the protocol and whether it is met.
        diagnoses: What the protocol itself concludes.

    Returns:
        "confirmed" when the protocol says so or a finding speaks for it, "open" when what
        would speak for it could not be judged, otherwise "unconfirmed".

    Example:
        >>> standing("first-degree av block", {"p_present": True, "pr_long": False}, [])
        'unconfirmed'
    """
    entries = [met(entry, state) for entry in SUPPORT[label]]
    if label in diagnoses or True in entries or not entries:
        return "confirmed"
    return "open" if None in entries else "unconfirmed"


def is_excluded(label: str, state: State, diagnoses: Sequence[str]) -> bool:
    """Whether a reading may deny a label: all that would speak for it was judged and not met.

    Example:
        >>> is_excluded("first-degree av block", {"p_present": True, "pr_long": False}, [])
        True
    """
    entries = [met(entry, state) for entry in SUPPORT[label]]
    return label not in diagnoses and not any(entry is not False for entry in entries)
