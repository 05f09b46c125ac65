"""Phase 4: ST, T and Q waves, and what imitates infarction."""

from collections.abc import Iterator

from ecg_r1 import limits
from ecg_r1.protocol.leads import (
    ANTERIOR,
    AWAY_FROM_V1,
    PLACES,
    T_PLACES,
)
from ecg_r1.protocol.model import Criterion
from ecg_r1.protocol.sources import ESC_PERI, MINNESOTA, SGARBOSSA, UDMI


def _st_elevation(place: str, leads: tuple[str, ...]) -> Criterion:
    return Criterion(
        name=f"st_elevation_{place}",
        phase=4,
        subject="ST level",
        meaning=f"ST elevation in the {place} leads",
        quantity="rise_mv",
        leads=leads,
        needs="two",
        voltage=True,
        **limits.ST_ELEVATION.terms(),
    )


def _st_depression(place: str, leads: tuple[str, ...]) -> Criterion:
    return Criterion(
        name=f"st_depression_{place}",
        phase=4,
        subject="ST level",
        meaning=f"ST depression in the {place} leads",
        quantity="drop_mv",
        leads=leads,
        needs="two",
        voltage=True,
        **limits.ST_DEPRESSION.terms(),
    )


def _t_inversion(place: str, leads: tuple[str, ...]) -> Criterion:
    return Criterion(
        name=f"t_inversion_{place}",
        phase=4,
        subject="T wave",
        meaning=f"T wave inversion in the {place} leads",
        quantity="t_with_r_mv",
        leads=leads,
        needs="two",
        voltage=True,
        **limits.T_INVERSION.terms(),
    )


def _q_waves(place: str, leads: tuple[str, ...]) -> Criterion:
    return Criterion(
        name=f"q_waves_{place}",
        phase=4,
        subject="width of Q waves at least 0.1 mV deep",
        meaning=f"pathological Q waves in the {place} leads",
        quantity="q_deep_ms",
        leads=leads,
        needs="two",
        voltage=True,
        **limits.Q_WIDE.terms(),
    )


def _sgarbossa(place: str, leads: tuple[str, ...]) -> Iterator[Criterion]:
    yield Criterion(
        f"concordant_st_{place}",
        4,
        "ST level beside a positive QRS",
        f"concordant ST elevation in the {place} leads",
        "concordant_rise_mv",
        ">=",
        0.1,
        "mV",
        SGARBOSSA,
        leads=leads,
        voltage=True,
    )
    yield Criterion(
        f"excessive_st_{place}", 4, "ST elevation as a share of S",
        f"excessive discordant ST elevation in the {place} leads", "discordant_share", ">=",
        0.25, "",
        "Smith 2012 (in place of 0.5 mV, Sgarbossa 1996); in hypertrophy Armstrong 2012",
        leads=leads, voltage=True,
    )  # fmt: skip


ISCHAEMIA = (
    *(_st_elevation(place, leads) for place, leads in PLACES.items()),
    *(_st_depression(place, leads) for place, leads in PLACES.items()),
    *(_t_inversion(place, leads) for place, leads in T_PLACES.items()),
    *(_q_waves(place, leads) for place, leads in PLACES.items()),
    Criterion(
        "q_over_r_inferior", 4, "width of Q waves at least 0.1 mV and a third of R deep",
        "Q waves large beside R in the inferior leads", "q_large_ms", ">=", 20, "ms",
        f"{MINNESOTA}, after 1-2-1", leads=("II", "III", "aVF"), needs="two",
        voltage=True, paper_threshold="> 0.03 s wide or > 0.1 mV deep",
    ),
    Criterion(
        "q_iii", 4, "width of a Q wave in III beside one in aVF, both at least 0.1 mV deep",
        "a broad Q wave in III", "q_beside_avf_ms", ">=", 40, "ms", f"{MINNESOTA}, 1-2-4",
        leads=("III",), voltage=True, paper_threshold="> 0.03 s wide or > 0.1 mV deep",
    ),
    Criterion(
        "q_avf", 4, "width of a Q wave at least 0.1 mV deep", "a broad Q wave in aVF",
        "q_before_r_ms", ">=", 40, "ms", f"{MINNESOTA}, 1-2-5", leads=("aVF",), voltage=True,
        paper_threshold="> 0.03 s wide or > 0.1 mV deep",
    ),
    Criterion(
        "q_v2_v3", 4, "width of Q waves at least 0.05 mV deep", "a Q wave in V2 or V3",
        "q_any_ms", leads=("V2", "V3"), voltage=True, **limits.Q_V2_V3.terms(),
    ),
    Criterion(
        "qs_v2_v3", 4, "QS complex", "QS complexes in V2 and V3", "qs", "is", 1, "", UDMI,
        leads=("V2", "V3"), needs="all",
    ),
    Criterion(
        "large_st_elevation_anterior", 4, "ST level",
        "an ST elevation in the anterior leads beyond that of healthy hearts", "rise_mv", ">=",
        0.3, "mV", "ours: above the 0.25 mV that healthy young men reach in V2 and V3 (Fourth "
        "Universal Definition 2018)", leads=ANTERIOR, needs="two", voltage=True,
        paper_threshold="convex with reciprocal change, without a number",
    ),
    Criterion(
        "lad_score", 4, "4-variable formula of QTc, QRS in V2, R in V4 and ST in V3",
        "an anterior ST elevation as in occlusion rather than in healthy hearts", "lad_score",
        ">=", 18.2, "", "Driver 2017 (Smith)", voltage=True,
    ),
    Criterion(
        "posterior_st", 4, "ST level", "ST depression as in posterior infarction",
        "drop_mv", leads=("V1", "V2", "V3"), needs="two", voltage=True,
        **limits.ST_DEPRESSION.terms(),
    ),
    Criterion(
        "posterior_t", 4, "T wave", "an upright T wave in V2 and V3", "t_mv", ">", 0.1, "mV",
        UDMI, leads=("V2", "V3"), needs="all", voltage=True,
    ),
    Criterion(
        "posterior_r", 4, "width of an R at least as tall as S before an upright T",
        "R waves as in posterior infarction",
        "posterior_r_ms", leads=("V1", "V2"), needs="all", **limits.R_POSTERIOR.terms(),
    ),
    *(one for place, leads in PLACES.items() for one in _sgarbossa(place, leads)),
    Criterion(
        "concordant_drop", 4, "ST level beside a negative QRS",
        "concordant ST depression in V1 to V3", "concordant_drop_mv", "<=", -0.1, "mV",
        SGARBOSSA, leads=("V1", "V2", "V3"), voltage=True,
    ),
    Criterion(
        "widespread_st", 4, "ST level", "widespread ST elevation", "rise_mv", ">=", 0.05, "mV",
        f"{ESC_PERI}; the number of leads is ours", needs="five", voltage=True,
        leads=("I", "II", "aVL", "aVF", "V3", "V4", "V5", "V6"),
        paper_threshold="diffuse concave elevation",
    ),
    Criterion(
        "pr_depressed", 4, "PR segment", "PR depression", "pr_level_mv", "<=", -0.03, "mV",
        f"{ESC_PERI}; the number of mV is ours", leads=("I", "II", "aVF", "V4", "V5", "V6"),
        needs="two", voltage=True, paper_threshold="PR depression, without a number",
    ),
    Criterion(
        "st_over_t_v6", 4, "ST as a share of T in V6", "the ST/T ratio of pericarditis",
        "st_over_t_v6", ">=", 0.25, "", "Ginzton & Laks 1982", voltage=True,
    ),
    Criterion(
        "end_qrs_notch", 4, "notch at the end of the QRS", "a J wave",
        "end_notch_mv", leads=AWAY_FROM_V1, needs="two", voltage=True, **limits.NOTCH.terms(),
    ),
    Criterion(
        "t_low", 4, "T wave as a share of R", "low or flat T waves",
        "t_share", leads=("I", "II", "V4", "V5", "V6"), needs="two", voltage=True,
        **limits.T_LOW.terms(),
    ),
)  # fmt: skip
