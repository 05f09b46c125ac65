"""From marks on the representative complex to amplitudes, durations, shapes and axes."""

from itertools import pairwise
from math import atan2, degrees, sqrt

import numpy as np
from scipy.signal import find_peaks

from ecg_r1.measurement.beats import MS
from ecg_r1.measurement.marks import MARKS

LEAD_COLUMNS = (
    *("pr_ms", "qrs_ms", "qt_ms"),
    *("p_mv", "q_mv", "q_ms", "r_mv", "s_mv", "t_mv", "j_mv", "st_mv", "p_ms", "rsr"),
    *("r_ms", "r2_mv", "s_ms", "t_ms", "st40_mv", "st80_mv", "st_slope_mv_s"),
    *("st_trend", "st_curve", "t_symmetry", "notches", "delta_ms", "pr_level_mv", "u_mv"),
)
LEVEL = 6  # samples (12 ms) before an onset that give its level
BEFORE_QRS = 12  # the same before the QRS: the median, which a pacing spike does not move
# Samples behind J that give its level: at J itself, a mark over leads, some leads still see
# the end of a late QRS (the S of a right bundle branch block).
BEHIND_J = slice(2, 6)
ST_STEP_MV = 0.05  # half a small square: less rise or fall over 80 ms is horizontal
ST_BEND_MV = 0.02  # less distance from the chord J to J+80 is straight


def qtc_fridericia(qt_ms: float, rr_ms: float) -> float:
    """QT corrected for rate by the cube root.

    Args:
        qt_ms: QT interval in ms.
        rr_ms: RR interval in ms.

    Returns:
        Corrected QT in ms.

    Source: Fridericia 1920; recommended over Bazett by AHA/ACCF/HRS 2009 part IV.

    Example:
        >>> round(qtc_fridericia(400, 512), 6)
        500.0
    """
    return qt_ms / (rr_ms / 1000) ** (1 / 3)


def qtc_bazett(qt_ms: float, rr_ms: float) -> float:
    """QT corrected for rate by the square root, in ms.

    Source: Bazett 1920.

    Example:
        >>> round(qtc_bazett(400, 640), 6)
        500.0
    """
    return qt_ms / sqrt(rr_ms / 1000)


def qtc_framingham(qt_ms: float, rr_ms: float) -> float:
    """QT corrected for rate by a straight line in RR, in ms.

    Source: Sagie et al. 1992, Am J Cardiol 70:797: QT + 154 ms * (1 - RR / s).

    Example:
        >>> round(qtc_framingham(400, 800), 6)
        430.8
    """
    return qt_ms + 0.154 * (1000 - rr_ms)


def qtc_hodges(qt_ms: float, rr_ms: float) -> float:
    """QT corrected for rate by a straight line in the heart rate, in ms.

    Source: Hodges et al. 1983, J Am Coll Cardiol 1:694: QT + 1.75 ms * (HR - 60).

    Example:
        >>> round(qtc_hodges(400, 750), 6)
        435.0
    """
    return qt_ms + 1.75 * (60000 / rr_ms - 60)


def frontal_axis(net_i: float, net_avf: float) -> float:
    """Frontal axis in degrees, -180 to 180, from net areas (or amplitudes) in I and aVF.

    aVF is an augmented lead, 2/sqrt(3) smaller than a lead of the Einthoven triangle.

    Example:
        >>> round(frontal_axis(1.0, 0.0)), round(frontal_axis(0.0, -1.0))
        (0, -90)
    """
    return degrees(atan2(2 * net_avf, sqrt(3) * net_i))


# --- one lead ---------------------------------------------------------------------------------


def lead_values(
    x: np.ndarray, marks: np.ndarray, noise: float, rr: float, qrs: tuple[float, float]
) -> dict[str, float]:
    """Everything of one lead's representative complex; NaN is "not measurable".

    Args:
        x: The lead in mV, full band.
        marks: Samples in the order of `MARKS`.
        noise: Standard error of `x` in mV.
        rr: Typical RR interval in samples.
        qrs: QRS onset and J point over leads: level and ST are taken at the same instants in
            all leads (AHA/ACCF/HRS 2009 part VI), so that they keep Einthoven's law.
    """
    row = dict.fromkeys(LEAD_COLUMNS, np.nan)
    at = dict(zip(MARKS, marks, strict=True))
    if np.isnan(at["qrs_on"] + at["qrs_off"]):
        return row
    on, off = round(at["qrs_on"]), round(at["qrs_off"])
    row["qrs_ms"] = (at["qrs_off"] - at["qrs_on"]) * MS
    row["qt_ms"] = (at["t_off"] - at["qrs_on"]) * MS
    row["pr_ms"] = (at["qrs_on"] - at["p_on"]) * MS
    row["p_ms"] = (at["p_off"] - at["p_on"]) * MS
    zero, j = (
        round(at[name]) if np.isnan(q) else round(q)
        for name, q in zip(("qrs_on", "qrs_off"), qrs, strict=True)
    )
    level = np.median(x[max(0, zero - BEFORE_QRS) : max(zero, 1)])
    row |= _deflections(x[on : off + 1] - level)
    row |= _qrs_shape(x[on : off + 1] - level, noise)
    row |= _st(x - level, j)
    row |= _t_wave(x - level, at, noise, rr)
    if not np.isnan(at["p_on"] + at["p_off"]):
        row |= _p_wave(x, round(at["p_on"]), round(at["p_off"]), on)
    return row


def _deflections(qrs: np.ndarray) -> dict[str, float]:
    """Q, R, R', S: heights (mV) and durations (ms) of one QRS given against its level."""
    least = max(0.03, 0.03 * np.ptp(qrs))
    top = int(np.argmax(qrs))
    if qrs[top] < least:  # a QS complex
        depth, wide = qrs.min(), qrs.size * MS
        return {"q_mv": depth, "s_mv": depth, "q_ms": wide, "s_ms": wide, "rsr": 0.0}
    peaks, _ = find_peaks(np.r_[-1e9, qrs, -1e9], height=least, prominence=2 * least)
    first = _first_r(qrs, least)
    row = {"r_mv": qrs[top], "rsr": float(peaks.size >= 2), "r_ms": _width(qrs, top, least)}
    if peaks.size >= 2:
        row["r2_mv"] = qrs[peaks[1:] - 1].max()
    before, after = qrs[: first + 1], qrs[first:]
    if before.min() < -least:
        row["q_mv"] = before.min()
        row["q_ms"] = _width(-before, int(np.argmin(before)), least)
    if after.min() < -least:
        row["s_mv"] = after.min()
        row["s_ms"] = _width(-after, int(np.argmin(after)), least)
    return row


def _first_r(qrs: np.ndarray, least: float) -> int:
    """Sample of the first positive deflection higher than `least`."""
    peaks, _ = find_peaks(np.r_[-1e9, qrs, -1e9], height=least, prominence=least)
    return int(peaks[0]) - 1 if peaks.size else int(np.argmax(qrs))


def _width(wave: np.ndarray, peak: int, least: float) -> float:
    """Time in ms around `peak` for which a positive wave stays above a quarter of `least`."""
    low = np.flatnonzero(wave < 0.25 * least)
    left, right = low[low < peak], low[low > peak]
    start = left[-1] if left.size else -1
    stop = right[0] if right.size else wave.size
    return float(stop - start - 1) * MS


def _qrs_shape(qrs: np.ndarray, noise: float) -> dict[str, float]:
    """Notches beyond the QRS' own deflections, and the duration of a slurred beginning."""
    size = np.ptp(qrs)
    least = max(0.04, 0.05 * size, 4 * noise)
    around = np.r_[0.0, qrs, 0.0]
    turns = sum(find_peaks(side, prominence=least)[0].size for side in (around, -around))
    waves = sum(1 for a, b in pairwise(np.r_[0, _signs(qrs, least)]) if b not in (0, a))
    slope = np.abs(np.gradient(qrs)) if qrs.size > 2 else np.zeros(1)
    steep = int(np.argmax(slope >= 0.5 * slope.max()))
    return {"notches": float(max(0, turns - waves)), "delta_ms": steep * MS}


def _signs(qrs: np.ndarray, least: float) -> np.ndarray:
    """Signs of the deflections beyond +-`least`, one for each run."""
    sign = np.where(qrs > least, 1, np.where(qrs < -least, -1, 0))
    sign = sign[sign != 0]
    return sign[np.r_[True, np.diff(sign) != 0]] if sign.size else sign


def _st(x: np.ndarray, off: int) -> dict[str, float]:
    """J and ST levels (mV), slope (mV/s) and shape of a lead against its level before QRS."""
    last = x.size - 1
    j, st40, st60, st80 = (x[min(off + k, last)] for k in (0, 20, 30, 40))
    rise = st80 - j
    bend = 0.5 * (st40 + x[min(off + 21, last)]) - 0.5 * (j + st80)
    return {
        "j_mv": j,
        "st40_mv": st40,
        "st_mv": st60,
        "st80_mv": st80,
        "st_slope_mv_s": rise / 0.08,
        "st_trend": float(np.sign(rise) * (abs(rise) >= ST_STEP_MV)),
        "st_curve": float(np.sign(bend) * (abs(bend) >= ST_BEND_MV)),
    }


def _t_wave(x: np.ndarray, at: dict[str, float], noise: float, rr: float) -> dict[str, float]:
    """Height, duration and symmetry of T, and the U wave that follows."""
    on, peak, off = at["t_on"], at["t_peak"], at["t_off"]
    if np.isnan(on + peak + off):
        return {}
    row = {"t_ms": (off - on) * MS, "t_mv": x[int(np.clip(round(peak), 0, x.size - 1))]}
    if off > peak > on:
        row["t_symmetry"] = (peak - on) / (off - peak)
    # U lies between the T end and the next P, within 200 ms of the T end.
    start = round(off) + 8
    p_on = at["p_on"] if not np.isnan(at["p_on"]) else at["qrs_on"] - 100
    stop = int(min(start + 100, p_on + rr - 8, x.size - 1))
    if stop - start >= 50:
        wave = x[start:stop] - np.linspace(x[start], x[stop], stop - start)
        height = wave[np.argmax(np.abs(wave))]
        row["u_mv"] = float(height) if abs(height) > max(0.02, 4 * noise) else 0.0
    return row


def _p_wave(x: np.ndarray, start: int, stop: int, qrs_on: int) -> dict[str, float]:
    """Height of P against the level before it; the PR segment against the same level (mV)."""
    if start < 1 or stop <= start:
        return {}
    level = x[max(0, start - LEVEL) : start].mean()
    wave = x[start : stop + 1] - level
    row = {"p_mv": wave[np.argmax(np.abs(wave))]}
    first = max(stop, qrs_on - 10)
    if qrs_on - first >= 4:
        row["pr_level_mv"] = x[first:qrs_on].mean() - x[max(0, start - 10) : start].mean()
    return row


# --- the record -------------------------------------------------------------------------------


def wave_axes(
    waves: np.ndarray, start: float, stop: float, before: float, *, to_j: bool = False
) -> np.ndarray:
    """Frontal axes of a wave's net area in I and aVF; NaN where it is too small or missing.

    Args:
        waves: `(beats, 2, samples)` in mV: leads I and aVF of each beat or of one complex.
        start: First sample of the wave.
        stop: Its last.
        before: Sample before which the level is taken.
        to_j: Whether the level goes over into that behind the end, as the square of time: an
            ST shift grows while the ventricles depolarise and is no part of the QRS (the course
            is ours; on simulated infarcts it is better than a straight line or none).

    Returns:
        One axis in degrees for each beat.
    """
    if np.isnan(start + stop + before):
        return np.full(waves.shape[0], np.nan)
    first, last, zero = round(start), round(stop), round(before)
    part = waves[:, :, first : last + 1]
    level = waves[:, :, max(0, zero - LEVEL) : zero].mean(axis=2, keepdims=True)
    if to_j:
        course = np.linspace(0, 1, part.shape[2]) ** 2
        behind = waves[:, :, last + BEHIND_J.start : last + BEHIND_J.stop]
        level = level + (behind.mean(axis=2, keepdims=True) - level) * course
    area = (part - level).sum(axis=2) * MS / 1000
    axes = [frontal_axis(float(one), float(foot)) for one, foot in area]
    # Below 0.0005 mV s the direction is noise.
    return np.where(np.abs(area).max(axis=1) >= 0.0005, axes, np.nan)


def transition_lead(r_mv: np.ndarray, s_mv: np.ndarray) -> str | None:
    """First chest lead from which R is at least as tall as S is deep; None when V6 is not.

    Args:
        r_mv: Heights of R in V1-V6, NaN where there is none.
        s_mv: Depths of S (negative), NaN where there is none.
    """
    tall = np.nan_to_num(r_mv) >= -np.nan_to_num(s_mv)
    tall &= ~(np.isnan(r_mv) & np.isnan(s_mv))
    if not tall[5]:
        return None
    low = np.flatnonzero(~tall)
    return f"V{(low[-1] + 2) if low.size else 1}"
