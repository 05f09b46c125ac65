"""Phase 2: PR, AV conduction, QRS duration and shape, axis."""

from ecg_r1 import limits
from ecg_r1.ecg import LEADS
from ecg_r1.protocol.leads import INFERIOR
from ecg_r1.protocol.model import Criterion
from ecg_r1.protocol.sources import BRADY, CHOU, MINNESOTA, PART3, WHO_ISFC

CONDUCTION = (
    Criterion(
        "pr_long", 2, "PR interval", "first-degree AV block",
        "pr_ms", **limits.PR_LONG.terms(),
    ),
    Criterion(
        "pr_short", 2, "PR interval", "a short PR interval", "pr_ms", "<", 120, "ms", CHOU,
    ),
    Criterion(
        "p_lengthening", 2, "PR intervals", "PR growing until a P wave is blocked",
        "p_lengthening", "is", 1, "", BRADY, paper_threshold="grouped beating = Mobitz I",
    ),
    Criterion(
        "p_blocked", 2, "P waves", "P waves without QRS beside a steady PR", "p_blocked", "is",
        1, "", BRADY,
    ),
    Criterion(
        "p_dissociated", 2, "P waves and QRS", "dissociation of atria and ventricles",
        "p_dissociated", "is", 1, "", BRADY,
    ),
    Criterion(
        "p_apart", 2, "P waves and QRS", "a variable relation of P waves to QRS", "p_apart",
        "is", 1, "", BRADY,
    ),
    Criterion(
        "more_p", 2, "P waves per QRS", "more P waves than QRS complexes", "atrial_ratio", ">=",
        1.15, "", f"{BRADY}; the ratio is ours: two blocked P waves in ten seconds",
    ),
    Criterion(
        "two_p", 2, "P waves per QRS", "two P waves for each QRS", "even_ratio", ">=", 1.9,
        "", BRADY,
    ),
    Criterion(
        "three_p", 2, "P waves per QRS", "more than two P waves for each QRS", "even_ratio",
        ">", 2.1, "", BRADY,
    ),
    Criterion(
        "delta_wave", 2, "time to the steep part of the QRS", "a slurred onset (delta wave)",
        "delta_ms", ">=", 45, "ms", f"{PART3}; the number of ms is ours", leads=LEADS,
        needs="three", paper_threshold="delta, without a number",
    ),
    Criterion(
        "qrs_wide", 2, "QRS duration", "a wide QRS complex",
        "qrs_ms", **limits.QRS_WIDE.terms(),
    ),
    Criterion(
        "qrs_slow", 2, "QRS duration", "slowed ventricular conduction", "qrs_ms", ">=", 110,
        "ms",
        PART3, paper_threshold="normal < 100 ms, incomplete block 100 to 120 ms",
    ),
    Criterion(
        "qrs_above_110", 2, "QRS duration", "a prolonged QRS duration",
        "qrs_ms", **limits.QRS_LONG.terms(),
    ),
    Criterion(
        "rsr_v1", 2, "second R wave", "an RSR' complex in V1 or V2", "rsr", "is", 1, "", PART3,
        leads=("V1", "V2"), paper_threshold="rSR' in V1",
    ),
    Criterion(
        "r_prime_v1", 2, "second R wave", "a clear R' wave in V1", "r_prime_mv", ">=", 0.15,
        "mV", f"{WHO_ISFC}, which asks for no least QRS duration; the height is ours",
        leads=("V1",), voltage=True, paper_threshold="rSR' in V1",
    ),
    Criterion(
        "v1_positive", 2, "net QRS", "a positive QRS in V1", "net_mv", ">", 0, "mV", PART3,
        leads=("V1",),
    ),
    Criterion(
        "s_lateral", 2, "S wave", "an S wave in I or V6", "has_s", "is", 1, "", PART3,
        leads=("I", "V6"),
    ),
    Criterion(
        "s_wide_lateral", 2, "S wave", "wide S waves in I and V6", "s_width_ms", ">=", 40, "ms",
        PART3, leads=("I", "V6"), needs="all",
    ),
    Criterion(
        "left_clean", 2, "monophasic R wave", "R waves in I and V6 without Q or S",
        "clean_left",
        "is", 1, "", PART3, leads=("I", "V6"), needs="all", paper_threshold="QS in V1",
    ),
    Criterion(
        "left_broad", 2, "R wave as a share of the QRS in I and V6",
        "broad R waves in I and V6",
        "broad_left", ">=", 0.7, "", f"{PART3}; the share is ours",
        paper_threshold="QS in V1",
    ),
    Criterion(
        "axis_left", 2, "frontal QRS axis", "left axis deviation",
        "axis_from_top_deg", **limits.AXIS_LEFT.terms(),
    ),
    Criterion(
        "axis_right", 2, "frontal QRS axis", "right axis deviation",
        "axis_deg", **limits.AXIS_RIGHT.terms(),
    ),
    Criterion(
        "axis_extreme", 2, "frontal QRS axis", "an extreme axis",
        "axis_deg", **limits.AXIS_EXTREME.terms(),
    ),
    Criterion(
        "axis_lafb", 2, "frontal QRS axis", "the axis of left anterior fascicular block",
        "axis_from_top_deg", "<=", -45, "degrees", f"{PART3}: -45 to -90 degrees",
        paper_threshold="left axis",
    ),
    Criterion(
        "axis_lafb_initial", 2, "frontal axis of the first 80 ms of the QRS",
        "initial forces as in left anterior fascicular block",
        "initial_axis_from_top_deg", "<=", -45, "degrees",
        f"{PART3}: -45 to -90 degrees, before the right ventricle's late forces ({CHOU})",
        paper_threshold="left axis",
    ),
    Criterion(
        "q_avl", 2, "Q wave", "a qR complex in aVL", "has_small_q", "is", 1, "",
        f"{PART3}; the least Q as in {MINNESOTA}, 7-7", leads=("aVL",),
    ),
    Criterion(
        "rs_inferior", 2, "rS complex", "rS complexes in II, III and aVF", "rs", "is", 1, "",
        PART3, leads=INFERIOR, needs="all",
    ),
    Criterion(
        "rs_high_lateral", 2, "rS complex", "rS complexes in I and aVL", "rs", "is", 1, "",
        PART3,
        leads=("I", "aVL"), needs="all",
    ),
    Criterion(
        "q_inferior", 2, "Q wave", "a qR complex in III or aVF", "has_q", "is", 1, "", PART3,
        leads=("III", "aVF"),
    ),
)  # fmt: skip
