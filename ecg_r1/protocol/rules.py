"""From findings to labels, and from labels to urgency."""

from collections.abc import Iterator
from dataclasses import replace

from ecg_r1.protocol.leads import PLACES
from ecg_r1.protocol.model import Alarm, Rule

_BLOCKS = ("left bundle branch block", "right bundle branch block")
_INCOMPLETE = tuple(f"incomplete {block}" for block in _BLOCKS)
# Ventricles that are not stirred through their own bundles: their QRS, ST and T speak of
# nothing else.
_FOREIGN = (
    "paced_qrs", "wide_escape", "ventricular tachycardia", "wolff-parkinson-white syndrome",
)  # fmt: skip
_NOT_SINUS = ("p_inverted", "pacing_spikes", "flutter_waves")
_DROPPED = ("second-degree av block", "third-degree av block")
_MIMICS = ("pericarditis", "early repolarisation", "left ventricular hypertrophy")


def _infarction_rules(place: str, mirror: str) -> Iterator[Rule]:
    """Old infarction by its Q waves; acute by ST elevation.

    That is so with reciprocal depression, or beyond what hearts without infarction show.
    """
    label = f"{place} myocardial infarction"
    hidden = (*_FOREIGN, _BLOCKS[0], _INCOMPLETE[0])
    more = {
        "anterior": ("q_v2_v3", "qs_v2_v3"),
        "inferior": ("q_over_r_inferior", "q_iii", "q_avf"),
    }.get(place, ())
    q_waves = (f"q_waves_{place}", *more)
    # A fascicle's block begins the QRS away from the leads that its fascicle serves.
    turned = {"lateral": ("left anterior fascicular block",),
              "inferior": ("left posterior fascicular block",)}.get(place, ())  # fmt: skip
    yield Rule(label, one_of=q_waves, without=(*hidden, *turned))
    yield Rule(label, (f"st_elevation_{place}", f"st_depression_{mirror}"),
               without=(*hidden, "pericarditis"))  # fmt: skip
    raised = f"st_elevation_{place}"
    # Healthy hearts raise ST in V2 and V3, so there the level alone does not do.
    beyond = ("large_st_elevation_anterior", "lad_score") if place == "anterior" else ()
    yield Rule(label, (raised,), beyond, (*hidden, *_MIMICS))
    # Hypertrophy raises ST by less than a quarter of the QRS: Armstrong 2012.
    yield Rule(label, (raised, f"excessive_st_{place}", _MIMICS[2]),
               without=(*hidden, *_MIMICS[:2]))  # fmt: skip
    yield Rule(label, (f"sgarbossa_{place}",))


def _sgarbossa_rules() -> Iterator[Rule]:
    """Infarction beside left bundle branch block or a paced QRS, by territory."""
    for place in PLACES:
        names = (f"concordant_st_{place}", f"excessive_st_{place}")
        yield Rule(f"sgarbossa_{place}", (_BLOCKS[0],), one_of=names)
        yield Rule(f"sgarbossa_{place}", ("paced_wide", names[0]))
    for ventricles in (_BLOCKS[0], "paced_wide"):
        yield Rule("sgarbossa_posterior", (ventricles, "concordant_drop"))


_RHYTHM_RULES = (
    Rule("paced rhythm", ("pacing_spikes",)),
    Rule("paced_wide", ("paced_qrs", "qrs_wide")),
    Rule("dextrocardia", ("heart_on_right",), without=("qrs_wide",)),
    Rule("second-degree av block", ("p_lengthening", "more_p")),
    Rule("second-degree av block", ("p_blocked", "more_p", "grouped")),
    Rule("second-degree av block", ("p_blocked", "two_p", "regular"),
         without=("three_p", "tachycardia")),
    Rule("third-degree av block", ("p_dissociated", "more_p", "regular", "bradycardia"),
         without=("paced_qrs",)),
    Rule("third-degree av block", ("p_apart", "no_p", "more_p", "regular", "bradycardia"),
         without=("paced_qrs",)),
    Rule("wide_escape", ("third-degree av block", "qrs_wide")),
    Rule("atrial flutter", ("flutter_waves", "no_p"), without=("pacing_spikes",)),
    Rule("atrial fibrillation", ("irregular", "no_p"),
         without=("atrial flutter", *_DROPPED)),
    Rule("wolff-parkinson-white syndrome", ("p_present", "pr_short", "delta_wave", "qrs_slow"),
         without=("paced_qrs",)),
    Rule("ectopic atrial rhythm", ("p_present", "p_inverted"),
         without=("pr_short", "pacing_spikes")),
    Rule("junctional rhythm", ("p_present", "p_inverted", "pr_short"),
         without=("pacing_spikes", "wolff-parkinson-white syndrome")),
    Rule("junctional rhythm", ("regular", "no_p"),
         without=("qrs_wide", "tachycardia", "pacing_spikes", "atrial flutter", *_DROPPED)),
    Rule("supraventricular tachycardia", ("regular", "tachycardia", "no_p"),
         without=("qrs_wide", "pacing_spikes", "atrial flutter")),
    Rule("supraventricular tachycardia", ("regular", "rate_150", "p_unfollowed"),
         without=("qrs_wide", "pacing_spikes", "atrial flutter")),
    Rule("ventricular tachycardia", ("regular", "tachycardia", "qrs_wide"),
         ("no_p", "p_dissociated"), ("pacing_spikes", "atrial flutter")),
    Rule("ventricular tachycardia", ("regular", "rate_150", "qrs_wide", "p_unfollowed"),
         without=("pacing_spikes", "atrial flutter")),
    Rule("sinus bradycardia", ("p_present", "bradycardia"),
         without=(*_NOT_SINUS, *_DROPPED)),
    Rule("sinus tachycardia", ("p_present", "tachycardia"),
         without=(*_NOT_SINUS, "supraventricular tachycardia", "ventricular tachycardia")),
    Rule("sinus arrhythmia", ("p_present", "rr_spread"),
         without=(*_NOT_SINUS, "narrow_premature", "wide_premature", "long_pause", *_DROPPED)),
    Rule("sinus rhythm", ("p_present",),
         without=(*_NOT_SINUS, "bradycardia", "tachycardia", "third-degree av block")),
    Rule("sinus rhythm", ("second-degree av block", "p_lengthening"),
         without=("flutter_waves",)),
    Rule("sinus pause", ("long_pause", "pause_stands_out", "p_present"),
         without=("pacing_spikes", "grouped", "wide_premature", *_DROPPED)),
    Rule("premature atrial complexes", ("narrow_premature",),
         without=("atrial fibrillation", "atrial flutter", *_DROPPED)),
    Rule("premature ventricular complexes", ("wide_premature",)),
    Rule("first-degree av block", ("p_present", "pr_long"),
         without=("supraventricular tachycardia", "ventricular tachycardia",
                  "third-degree av block")),
)  # fmt: skip

_VENTRICLE_RULES = (
    # Tall narrow T beside a narrow QRS; beside a slowed one they need not be so tall.
    Rule("hyperkalaemia", ("t_tented",), without=("qrs_wide", "tachycardia", "qtc_short")),
    Rule("hyperkalaemia", ("t_narrow", "qrs_slow"), without=("tachycardia", "qtc_short")),
    Rule("late_right", ("rsr_v1", "s_wide_lateral")),
    # The QRS of V1 may end in a small second R: only a positive one speaks against the left.
    Rule("left bundle branch block", ("qrs_wide", "left_clean", "left_broad"),
         without=("v1_positive", "late_right")),
    Rule("incomplete left bundle branch block", ("qrs_slow", "left_clean", "left_broad"),
         without=("qrs_wide", "v1_positive", "rsr_v1")),
    Rule("right bundle branch block", ("qrs_wide", "s_lateral"),
         ("rsr_v1", "v1_positive"), (_BLOCKS[0],)),
    Rule("incomplete right bundle branch block", ("qrs_slow", "s_lateral", "rsr_v1"),
         without=("qrs_wide",)),
    Rule("incomplete right bundle branch block", ("r_prime_v1", "s_lateral"),
         without=("qrs_wide",)),
    Rule("nonspecific intraventricular conduction delay", ("qrs_above_110",),
         without=(*_BLOCKS, *_INCOMPLETE)),
    Rule("left anterior fascicular block", ("axis_lafb",), ("rs_inferior", "q_avl"),
         (_BLOCKS[0],)),
    # Beside a right bundle branch block the late forces turn the axis.
    Rule("left anterior fascicular block", ("axis_lafb_initial", "right bundle branch block"),
         ("rs_inferior", "q_avl")),
    Rule("left anterior fascicular block", ("axis_left", "rs_inferior", "q_avl"),
         without=(_BLOCKS[0],)),
    Rule("left axis deviation", ("axis_left",)),
    Rule("right axis deviation", ("axis_right",)),
    Rule("left ventricular hypertrophy", one_of=("sokolow_lyon", "cornell"), without=_BLOCKS),
    # The left anterior fascicle's block alone raises R in I and aVL and deepens S in III.
    Rule("left ventricular hypertrophy", needs=("r_avl", "gubner"),
         without=(*_BLOCKS, "left anterior fascicular block")),
    Rule("right ventricular hypertrophy", ("r_v1_tall", "r_v1_dominant", "axis_right"),
         without=_BLOCKS),
    Rule("right ventricular hypertrophy", ("r_v1_dominant", "axis_right", "right_strain"),
         without=_BLOCKS),
    Rule("left posterior fascicular block", ("axis_right", "rs_high_lateral", "q_inferior"),
         without=("right ventricular hypertrophy", _BLOCKS[0])),
    Rule("low qrs voltage", one_of=("low_limb", "low_chest")),
    Rule("poor r wave progression", ("r_v3_small", "r_v4_small"), without=_BLOCKS[:1]),
    Rule("pericarditis", ("widespread_st", "pr_depressed", "st_over_t_v6"),
         without=("qrs_wide", *(f"st_depression_{place}" for place in PLACES))),
    Rule("early repolarisation", ("end_qrs_notch",),
         without=("qrs_wide", "pericarditis", "atrial flutter",
                  *(f"st_depression_{place}" for place in PLACES))),
    # ST and T follow a bundle branch block by themselves (secondary changes).
    Rule("st elevation", one_of=tuple(f"st_elevation_{place}" for place in PLACES),
         without=_BLOCKS[:1]),
    Rule("st depression", one_of=tuple(f"st_depression_{place}" for place in PLACES),
         without=_BLOCKS),
    Rule("t wave inversion", one_of=tuple(f"t_inversion_{place}" for place in PLACES),
         without=_BLOCKS),
    Rule("myocardial ischaemia", ("st depression", "t wave inversion"),
         without=("left ventricular hypertrophy", "right_strain")),
    Rule("nonspecific st-t abnormality", ("t_low",),
         without=(*_BLOCKS, "myocardial ischaemia", "t wave inversion")),
    # A wide QRS lengthens QT by itself (part IV), so no label beside one.
    Rule("prolonged qt interval", ("qtc_long",), without=("qrs_wide",)),
    Rule("short qt interval", ("qtc_short",)),
    # Where T has sunk into U, their common end is taken for that of T: the QT is a QU.
    Rule("hypokalaemia", ("t_low",), ("u_tall", "u_large"), _BLOCKS),
    Rule("hypokalaemia", ("qtc_500", "t_low", "st depression"), without=_BLOCKS),
)  # fmt: skip


def _own_ventricles_only(rule: Rule) -> Rule:
    return replace(rule, without=(*_FOREIGN, *rule.without))


RULES: tuple[Rule, ...] = (
    *_RHYTHM_RULES,
    Rule("left atrial abnormality", ("p_present", "p_long", "p_terminal_v1")),
    Rule("right atrial abnormality", ("p_present", "p_tall"),
         without=("supraventricular tachycardia", "ventricular tachycardia")),
    *(_own_ventricles_only(rule) for rule in _VENTRICLE_RULES),
    *_sgarbossa_rules(),
    *_infarction_rules("anterior", "inferior"),
    *_infarction_rules("inferior", "lateral"),
    *_infarction_rules("lateral", "inferior"),
    Rule("posterior myocardial infarction", ("posterior_st", "posterior_t"),
         without=(*_FOREIGN, *_BLOCKS, "right ventricular hypertrophy")),
    Rule("posterior myocardial infarction", ("posterior_r",),
         without=(*_FOREIGN, *_BLOCKS, *_INCOMPLETE, "right ventricular hypertrophy",
                  "axis_right")),
    Rule("posterior myocardial infarction", ("sgarbossa_posterior",)),
    Rule("digoxin effect", ("qtc_low",), ("st depression", "st_sagging"),
         (*_FOREIGN, *_BLOCKS, "left ventricular hypertrophy", "t wave inversion",
          "right_strain", "tachycardia",
          *(f"{place} myocardial infarction" for place in (*PLACES, "posterior")))),
)  # fmt: skip

# Findings without a label of their own that no normal ECG has.
NOT_NORMAL = ("axis_extreme",)

_ACUTE = "ST elevation as in acute infarction"
# Immediate: reperfusion, pacing, cardioversion or calcium within minutes; ESC 2023 acute
# coronary syndromes (Byrne), ACC/AHA/HRS 2018 bradycardia, 2017 ventricular arrhythmias.
ALARMS: tuple[Alarm, ...] = (
    *(Alarm("immediate", f"{_ACUTE} ({place})",
            (f"st_elevation_{place}", f"{place} myocardial infarction")) for place in PLACES),
    *(Alarm("immediate", "infarction by Sgarbossa's criteria", (f"sgarbossa_{place}",))
      for place in (*PLACES, "posterior")),
    Alarm("immediate", "ST depression as in acute posterior infarction",
          ("posterior myocardial infarction", "posterior_st")),
    Alarm("immediate", "complete AV block", ("third-degree av block",)),
    Alarm("immediate", "ventricular tachycardia", ("ventricular tachycardia",)),
    Alarm("immediate", "T waves as in hyperkalaemia", ("hyperkalaemia",)),
    Alarm("immediate", "heart rate below 40 in AV block",
          ("second-degree av block", "slow_40")),
    Alarm("immediate", "pause of three seconds or more", ("sinus pause", "pause_3_s")),
    *(Alarm("prompt", label, (label,)) for label in (
        "second-degree av block", "sinus pause", "supraventricular tachycardia",
        "atrial flutter", "wolff-parkinson-white syndrome", "left bundle branch block",
        "myocardial ischaemia", "st elevation", "st depression", "pericarditis", "hypokalaemia",
        *(f"{place} myocardial infarction" for place in (*PLACES, "posterior")),
    )),
    Alarm("prompt", "fast atrial fibrillation", ("atrial fibrillation", "tachycardia")),
    Alarm("prompt", "heart rate below 40", ("slow_40",)),
    Alarm("prompt", "QTc of 500 ms or more", ("prolonged qt interval", "qtc_500")),
    *(Alarm("prompt", "electrodes seem exchanged: record again", (name,))
      for name in ("arms_exchanged", "leg_exchanged", "chest_exchanged")),
)  # fmt: skip
