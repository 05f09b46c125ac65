"""What the criteria look at: an array over leads, or one number for the record."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ecg_r1.ecg import FS, LEADS
from ecg_r1.limits import LEAST_R_MV, Q_DEPTH_MV
from ecg_r1.protocol.leads import CHEST, LIMB

if TYPE_CHECKING:
    from ecg_r1.measurement import Measurements

FLUTTER_FIT = 0.1  # of a flutter wave, ours: chance gives 0.25
# Share of QT that a narrow T takes up, ours: in PTB-XL's normal records 95 % take 0.52 or more,
# and beside a wide QRS of other cause 1 in 130 takes less than 0.48.
TENTED_SHARE, NARROW_SHARE = 0.5, 0.48
NOTCH_ABOVE_ST_MV = 0.1  # ours, above J+40: the edge of a raised ST is no notch
LARGE_U_MV = 0.1  # one small square: Surawicz 1957
SAG_MV = 0.02  # ours, twice what J and ST are measured to
SMALL_Q_MV = 0.025  # a quarter of a small square: Minnesota code 7-7
LEAST_P_MV = 0.015  # ours: in PTB-XL's sinus rhythms 95 % have a P of 0.06 mV or more

Columns = dict[str, np.ndarray]  # `Measurements.leads` by column, rows as in LEADS
Quantity = Callable[["Measurements", Columns], "np.ndarray | float"]


def heart_on_the_right(m: "Measurements") -> bool:
    """P points down in I and in V6 and up in aVF, and QRS or T points down in I.

    Exchanged arms turn lead I alike, but leave V6 as it is.
    """
    at = m.leads.reindex(list(LEADS))
    p, first = at["p_mv"], at.loc["I"]
    turned = first["t_mv"] < 0 or first["r_mv"] < -first[["q_mv", "s_mv"]].min()
    seen = bool(m.p_present) and m.av_relation is not None
    return bool(seen and p["I"] <= -0.025 and p["V6"] < 0 < p["aVF"] and turned)


def untrusted_leads(m: "Measurements") -> tuple[str, ...]:
    """Leads that do not show what their names say; aVF outlives an exchange of the arms."""
    no_avf = tuple(lead for lead in LEADS if lead != "aVF")
    if heart_on_the_right(m):
        return no_avf
    affected = {"arms": no_avf[:5], "right leg": LIMB, "chest order": CHEST}
    return affected.get(m.reversal or "", ())


def _reversed(kind: str) -> Quantity:
    def read(m: "Measurements", _: Columns) -> float:
        return float(m.reversal == kind) if m.hr_bpm is not None else float("nan")

    return read


def _dextrocardia(m: "Measurements", _: Columns) -> float:
    known = m.leads.reindex(["I", "aVF", "V6"])[["p_mv"]].notna().all(axis=None)
    return float(heart_on_the_right(m)) if known else float("nan")


def columns_of(m: "Measurements") -> Columns:
    """`Measurements.leads` by column, 12 rows, NaN in leads that cannot be trusted.

    Adds depths and heights of the QRS: `q`, `r`, `s` (mV, positive, 0 where there is none) and
    `known`, whether any of them was measured.
    """
    table = m.leads.reindex(list(LEADS))
    c = {name: table[name].to_numpy(float).copy() for name in table.columns}
    away = [LEADS.index(lead) for lead in untrusted_leads(m)]
    for values in c.values():
        values[away] = np.nan
    q, r, s = c["q_mv"], c["r_mv"], c["s_mv"]
    c["known"] = ~np.isnan(np.stack([q, r, s])).all(axis=0)
    c["q"] = np.nan_to_num(-q)
    c["r"] = np.nan_to_num(r)
    c["s"] = np.where(np.isnan(s), np.where(np.isnan(r), c["q"], 0.0), -s)  # a QS counts as S
    return c


def _headline(name: str) -> Quantity:
    def read(m: "Measurements", _: Columns) -> float:
        value = getattr(m, name)
        return float("nan") if value is None else float(value)

    return read


def _column(name: str) -> Quantity:
    return lambda _, c: c[name]


def _qrs(formula: Callable[[Columns], np.ndarray]) -> Quantity:
    """A value of the QRS complex: NaN in leads where none was measured."""
    return lambda _, c: np.where(c["known"], formula(c), np.nan)


def _sum(*parts: tuple[str, str]) -> Quantity:
    """Sum of R or S over single leads, NaN if one of them was not measured."""

    def add(_: "Measurements", c: Columns) -> float:
        at = [(name, LEADS.index(lead)) for name, lead in parts]
        return float(sum(c[name][i] if c["known"][i] else np.nan for name, i in at))

    return add


def _sokolow(m: "Measurements", c: Columns) -> float:
    each = [_sum(("s", "V1"), ("r", lead))(m, c) for lead in ("V5", "V6")]
    return float(np.fmax(*each))


def _low_of_st(_: "Measurements", c: Columns) -> np.ndarray:
    # Raised at J, as the guideline asks, and still at J+60 ms: not a J wave alone.
    return np.fmin(c["j_mv"], c["st_mv"])


def _high_of_st(_: "Measurements", c: Columns) -> np.ndarray:
    # A steep upslope from J back to the baseline does not count.
    return np.fmax(c["j_mv"], c["st_mv"])


def _t_with_r(_: "Measurements", c: Columns) -> np.ndarray:
    # "Prominent R or R/S > 1" (Universal Definition); 0.5 mV is our reading of prominent.
    is_tall = (c["r"] >= 0.5) | (c["r"] > c["s"])
    return np.where(is_tall, c["t_mv"], np.maximum(c["t_mv"], 0.0))


def _t_share(c: Columns) -> np.ndarray:
    # Only beside an R of some size; elsewhere T is not low, whatever its size.
    share = np.abs(c["t_mv"]) / np.maximum(c["r"], LEAST_R_MV)
    return np.where(c["r"] >= LEAST_R_MV, share, np.inf)


def _axis(name: str, *, from_top: bool = False) -> Quantity:
    """An axis in degrees; from the top it is counted from -90 to 270, else from -180 to 180."""

    def read(m: "Measurements", _: Columns) -> float:
        value = getattr(m, name)
        if value is None or "I" in untrusted_leads(m):
            return float("nan")
        return float(value + 360 if from_top and value < -90 else value)

    return read


def _p_before_qrs(m: "Measurements", _: Columns) -> float:
    """Unknown where what hides P is called flutter but does not fit regular RR intervals."""
    fits = m.flutter_bpm is None or _flutter_misfit(m) <= FLUTTER_FIT
    known = m.p_present is not None and (fits or m.regular is False)
    heights = np.abs(m.leads["p_mv"].to_numpy(float))
    is_seen = np.isnan(heights).all() or np.nanmax(heights) >= LEAST_P_MV
    return float(m.p_present and is_seen) if known else float("nan")


def _flutter_misfit(m: "Measurements") -> float:
    """How far RR intervals are from whole numbers of flutter waves, at best 0, by chance 0.25.

    The rate of the flutter is known to 1.5 %, so the best one within that counts.
    """
    rr = np.array(m.rr_ms, float)
    if m.flutter_bpm is None or rr.size < 3:
        return float("nan")
    waves = rr[:, None] * m.flutter_bpm / 60000 * np.linspace(0.985, 1.015, 25)
    return float(np.abs(waves - np.round(waves)).mean(axis=0).min())


def _flutters(m: "Measurements", _: Columns) -> float:
    if m.hr_bpm is None:
        return float("nan")
    return float(_flutter_misfit(m) <= FLUTTER_FIT)


def _relation(*kinds: str | None) -> Quantity:
    """Whether P and QRS go together in one of these ways; None is "no series of P waves"."""

    def read(m: "Measurements", _: Columns) -> float:
        return float("nan") if m.hr_bpm is None else float(m.av_relation in kinds)

    return read


def _atrial_ratio(m: "Measurements", _: Columns) -> float:
    """P waves per QRS; 0 where no series of P waves was found."""
    if not m.hr_bpm:
        return float("nan")
    return (m.atrial_bpm or 0.0) / m.hr_bpm if m.flutter_bpm is None else 0.0


def _even_ratio(m: "Measurements", c: Columns) -> float:
    """The same, but 0 where the P waves do not keep time: a T may look like a P."""
    ratio = _atrial_ratio(m, c)
    gaps = np.diff(np.asarray(m.p_times, float))
    if gaps.size < 2 or np.isnan(ratio):
        return ratio if np.isnan(ratio) else 0.0
    whole = gaps / np.median(gaps)  # a P inside a QRS or T may be missed
    is_even = (np.abs(whole - np.round(whole)) < 0.15).mean() >= 0.7
    return ratio if is_even else 0.0


def _is_grouped(m: "Measurements", _: Columns) -> float:
    return float("nan") if m.hr_bpm is None else float(bool(m.grouped))


def _paced_share(before_ms: float) -> Quantity:
    """Share of beats with a pacing spike at most so long before their R."""

    def read(m: "Measurements", _: Columns) -> float:
        beats, spikes = np.asarray(m.rpeaks), np.asarray(m.pacing_spikes)
        if not beats.size:
            return float("nan")
        lag = beats[:, None] - spikes[None, :]
        near = (lag >= 0) & (lag * 1000 / FS <= before_ms)
        return float(near.any(axis=1).mean())

    return read


def _longest_rr(m: "Measurements", _: Columns) -> float:
    return float(max(m.rr_ms)) if m.rr_ms else float("nan")


def _pause_ratio(m: "Measurements", _: Columns) -> float:
    return float(max(m.rr_ms) / np.median(m.rr_ms)) if len(m.rr_ms) >= 3 else float("nan")


def _st_over_t_v6(_: "Measurements", c: Columns) -> float:
    """J over T; 0 where T is too low to divide by, NaN where it was not measured."""
    st, t = (float(c[name][LEADS.index("V6")]) for name in ("j_mv", "t_mv"))
    return st / t if t > 0.05 else float("nan") if np.isnan(t) else 0.0


def _posterior_r(_: "Measurements", c: Columns) -> np.ndarray:
    """Width of R where it outgrows S before an upright T, else 0."""
    turned = (c["r"] >= c["s"]) & (c["t_mv"] > 0)
    return np.where(c["known"], np.where(turned, c["r_ms"], 0.0), np.nan)


def _end_notch(_: "Measurements", c: Columns) -> np.ndarray:
    """Height of a wave at the end of the QRS that does not go over into ST; else 0.

    It is a second R lower than the first, or J itself where the notch was taken for its end.
    """
    second = np.where((c["r2_mv"] < c["r"]) & (c["j_mv"] >= 0.05), c["r2_mv"], 0.0)
    wave = np.fmax(second, c["j_mv"])
    stands_out = wave - c["st40_mv"] >= NOTCH_ABOVE_ST_MV
    return np.where(c["known"], np.where(stands_out, wave, 0.0), np.nan)


def _lad_score(m: "Measurements", c: Columns) -> float:
    """The 4-variable formula, amplitudes in mm; below 60 bpm QT is not corrected."""
    v2, v3, v4 = (LEADS.index(lead) for lead in ("V2", "V3", "V4"))
    is_slow = m.hr_bpm is not None and m.hr_bpm < 60
    qtc = m.qt_ms if is_slow else m.qtc_bazett_ms
    if qtc is None or not c["known"][[v2, v3, v4]].all():
        return float("nan")
    qrs_v2 = c["r"][v2] + max(c["q"][v2], c["s"][v2])
    in_mm = 1.062 * c["st_mv"][v3] - 0.151 * qrs_v2 - 0.268 * c["r"][v4]
    return float(0.052 * qtc + 10 * in_mm)


def _narrow_t(share: float) -> Quantity:
    """Height of T where its base takes up at most this share of QT, else 0."""

    def read(_: "Measurements", c: Columns) -> np.ndarray:
        height = np.where(c["t_ms"] <= share * c["qt_ms"], c["t_mv"], 0.0)
        return np.where(np.isnan(c["t_mv"]), np.nan, height)

    return read


def _broad_left(m: "Measurements", c: Columns) -> float:
    """Share of the QRS that R lasts, mean of I and V6."""
    at = [LEADS.index("I"), LEADS.index("V6")]
    if m.qrs_ms is None or not c["known"][at].all():
        return float("nan")
    return float(np.nan_to_num(c["r_ms"][at]).mean() / m.qrs_ms)


def _u_over_t(_: "Measurements", c: Columns) -> np.ndarray:
    # No U that stands out (or no room for it before the next P) is no U wave.
    u = np.nan_to_num(c["u_mv"])
    return np.where(u >= 0.05, u, 0.0) / np.maximum(np.abs(c["t_mv"]), 0.02)


def _large_u_over_t(m: "Measurements", c: Columns) -> np.ndarray:
    large = np.where(np.nan_to_num(c["u_mv"]) >= LARGE_U_MV, _u_over_t(m, c), 0.0)
    return np.where(np.isnan(c["t_mv"]), np.nan, large)


def _sagging_st(_: "Measurements", c: Columns) -> np.ndarray:
    """ST at J+60 where it sags below J before an upright T, else 0."""
    sags = (c["j_mv"] - c["st_mv"] >= SAG_MV) & (c["t_mv"] > 0)
    return np.where(np.isnan(c["st_mv"] + c["t_mv"]), np.nan, np.where(sags, c["st_mv"], 0.0))


def _strain(_: "Measurements", c: Columns) -> np.ndarray:
    known = ~np.isnan(c["st_mv"] + c["t_mv"])
    return np.where(known, (c["st_mv"] <= -0.05) & (c["t_mv"] < 0), np.nan)


def _concordant_rise(m: "Measurements", c: Columns) -> np.ndarray:
    up = c["r"] > np.maximum(c["q"], c["s"])
    return np.where(c["known"], np.where(up, _low_of_st(m, c), 0.0), np.nan)


def _concordant_drop(m: "Measurements", c: Columns) -> np.ndarray:
    down = c["r"] < np.maximum(c["q"], c["s"])
    return np.where(c["known"], np.where(down, _high_of_st(m, c), 0.0), np.nan)


def _discordant_share(_: "Measurements", c: Columns) -> np.ndarray:
    """ST elevation of at least 0.1 mV as a share of the S (or QS) before it."""
    depth = np.maximum(c["q"], c["s"])
    counts = (c["r"] < depth) & (c["j_mv"] >= 0.1)
    share = np.where(counts, c["j_mv"] / np.maximum(depth, 0.1), 0.0)
    return np.where(c["known"], share, np.nan)


def _rr_spread(m: "Measurements", _: Columns) -> float:
    return float(np.ptp(m.rr_ms)) if len(m.rr_ms) >= 2 else float("nan")


def _q_width(depth_mv: float, *, with_qs: bool = True) -> Quantity:
    """Q duration where Q is at least so deep, else 0; a QS counts in full or not at all."""
    return _qrs(
        lambda c: np.where((c["q"] >= depth_mv) & (with_qs | (c["r"] > 0)), c["q_ms"], 0.0)
    )


def _q_beside_avf(m: "Measurements", c: Columns) -> np.ndarray:
    """Q duration beside a Q in aVF, both deep enough to count, else 0."""
    width = _q_width(Q_DEPTH_MV)(m, c)
    foot = width[LEADS.index("aVF")]
    return width * (foot > 0) if np.isfinite(foot) else np.full(len(LEADS), np.nan)


QUANTITIES: dict[str, Quantity] = {
    **{
        name: _headline(name)
        for name in (
            *("hr_bpm", "pr_ms", "qrs_ms", "qtc_ms", "regular"),
            *("n_wide_premature", "n_narrow_premature"),
        )
    },
    **{name: _column(name) for name in ("p_ms", "p_mv", "t_mv", "rsr", "delta_ms", "j_mv")},
    "pr_level_mv": _column("pr_level_mv"),
    "r_prime_mv": _qrs(lambda c: np.nan_to_num(c["r2_mv"])),
    "s_width_ms": _qrs(lambda c: np.nan_to_num(c["s_ms"])),
    "axis_deg": _axis("axis_deg"),
    "axis_from_top_deg": _axis("axis_deg", from_top=True),
    "initial_axis_from_top_deg": _axis("initial_axis_deg", from_top=True),
    "p_present": _p_before_qrs,
    "p_unfollowed": _relation(None),
    "p_lengthening": _relation("lengthening"),
    "p_blocked": _relation("blocked"),
    "p_dissociated": _relation("dissociated"),
    "p_apart": _relation("dissociated", "variable"),
    "atrial_ratio": _atrial_ratio,
    "even_ratio": _even_ratio,
    "grouped": _is_grouped,
    "flutters": _flutters,
    "paced_share": _paced_share(400),
    "paced_qrs_share": _paced_share(120),
    "rr_longest_ms": _longest_rr,
    "pause_ratio": _pause_ratio,
    "arms_exchanged": _reversed("arms"),
    "leg_exchanged": _reversed("right leg"),
    "chest_exchanged": _reversed("chest order"),
    "dextrocardia": _dextrocardia,
    "st_over_t_v6": _st_over_t_v6,
    "posterior_r_ms": _posterior_r,
    "end_notch_mv": _end_notch,
    "lad_score": _lad_score,
    "tented_t_mv": _narrow_t(TENTED_SHARE),
    "narrow_t_mv": _narrow_t(NARROW_SHARE),
    "broad_left": _broad_left,
    "u_over_t": _u_over_t,
    "large_u_over_t": _large_u_over_t,
    "sagging_mv": _sagging_st,
    "strain": _strain,
    "concordant_rise_mv": _concordant_rise,
    "concordant_drop_mv": _concordant_drop,
    "discordant_share": _discordant_share,
    "rr_spread_ms": _rr_spread,
    "r_height_mv": _qrs(lambda c: c["r"]),
    "size_mv": _qrs(lambda c: c["r"] + np.maximum(c["q"], c["s"])),
    "net_mv": _qrs(lambda c: c["r"] - np.maximum(c["q"], c["s"])),
    "r_over_s": _qrs(lambda c: c["r"] / np.maximum(c["s"], 1e-3)),
    "has_q": _qrs(lambda c: c["q"] >= 0.05),
    "has_small_q": _qrs(lambda c: c["q"] >= SMALL_Q_MV),
    "has_s": _qrs(lambda c: c["s"] >= 0.1 * c["r"]),
    "rs": _qrs(lambda c: (c["r"] > 0) & (c["s"] > c["r"])),
    "clean_left": _qrs(lambda c: (c["q"] < 0.1 * c["r"]) & (c["s"] < c["r"] / 3)),
    "q_deep_ms": _q_width(Q_DEPTH_MV),
    "q_before_r_ms": _q_width(Q_DEPTH_MV, with_qs=False),
    "q_any_ms": _q_width(0.05, with_qs=False),
    "q_beside_avf_ms": _q_beside_avf,
    "qs": _qrs(lambda c: (c["r"] == 0) & (c["s"] > 0)),
    "q_large_ms": _qrs(
        lambda c: np.where((c["q"] >= Q_DEPTH_MV) & (c["q"] >= c["r"] / 3), c["q_ms"], 0.0)
    ),
    "rise_mv": _low_of_st,
    "drop_mv": _high_of_st,
    "t_with_r_mv": _t_with_r,
    "t_share": _qrs(_t_share),
    "sokolow_mv": _sokolow,
    "cornell_mv": _sum(("r", "aVL"), ("s", "V3")),
    "gubner_mv": _sum(("r", "I"), ("s", "III")),
}


# Leads inside the quantities of the whole record.
INSIDE = {
    **dict.fromkeys(
        ("axis_deg", "axis_from_top_deg", "initial_axis_from_top_deg"), ("I", "aVF")
    ),
    "sokolow_mv": ("V1", "V5", "V6"),
    "cornell_mv": ("aVL", "V3"),
    "gubner_mv": ("I", "III"),
    "st_over_t_v6": ("V6",),
    "broad_left": ("I", "V6"),
    "lad_score": ("V2", "V3", "V4"),
}
