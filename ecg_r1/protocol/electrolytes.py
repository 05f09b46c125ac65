"""Phase 5: QT, T and U waves."""

from ecg_r1 import limits
from ecg_r1.protocol.leads import CHEST, LIMB
from ecg_r1.protocol.model import Criterion
from ecg_r1.protocol.sources import CHOU, PART4, UDMI

ELECTROLYTES = (
    Criterion(
        "qtc_long", 5, "QTc (Fridericia)", "a prolonged QT interval",
        "qtc_ms", **limits.QTC_LONG.terms(),
    ),
    Criterion(
        "qtc_low", 5, "QTc (Fridericia)", "a QTc in the short range", "qtc_ms", "<=", 390, "ms",
        PART4,
    ),
    Criterion(
        "qtc_short", 5, "QTc (Fridericia)", "a short QT interval",
        "qtc_ms", **limits.QTC_SHORT.terms(),
    ),
    Criterion(
        "t_tall", 5, "T wave", "tall T waves",
        "t_mv", leads=LIMB[:3] + LIMB[4:] + CHEST, needs="two", voltage=True,
        **limits.T_TALL.terms(),
    ),
    Criterion(
        "t_tented", 5, "T wave that takes up at most half of QT",
        "tall T waves on a narrow base", "tented_t_mv", ">", 0.6, "mV",
        f"{CHOU}; height and width are ours", leads=CHEST[1:], needs="two", voltage=True,
        paper_threshold="tall and tented, without a number",
    ),
    Criterion(
        "t_narrow", 5, "T wave that takes up less than half of QT",
        "narrow T waves of some size", "narrow_t_mv", ">", 0.5, "mV",
        f"{CHOU}; height and width are ours", leads=CHEST[1:], needs="two", voltage=True,
        paper_threshold="tall and tented, without a number",
    ),
    Criterion(
        "p_flat", 5, "P wave amplitude", "a flat P wave", "p_mv", "<", 0.05, "mV", CHOU,
        leads=("II",), voltage=True,
    ),
    Criterion(
        "u_tall", 5, "U wave as a share of T", "U waves as tall as T", "u_over_t", ">=", 1,
        "", CHOU, leads=("V2", "V3", "V4"), needs="two", voltage=True,
        paper_threshold="flat T and U wave",
    ),
    Criterion(
        "u_large", 5, "U wave of 0.1 mV or more as a share of T", "large U waves",
        "large_u_over_t", ">=", 0.5, "", "ours: no PTB-XL record with low T has it",
        leads=("V2", "V3", "V4"), needs="two", voltage=True,
        paper_threshold="flat T and U wave",
    ),
    Criterion(
        "st_sagging", 5, "ST level below J before an upright T", "sagging ST segments",
        "sagging_mv", "<=", -0.05, "mV", f"{CHOU}; the level as in {UDMI}",
        leads=("I", "aVL", "II", "aVF", "V4", "V5", "V6"), needs="two", voltage=True,
        paper_threshold="scooped ST depression, without a number",
    ),
    Criterion(
        "qtc_500", 5, "QTc (Fridericia)", "a QTc at which torsades threaten", "qtc_ms", ">=",
        500, "ms", "AHA/ACCF 2010 torsade de pointes (Drew)",
    ),
)  # fmt: skip
