"""The representative complex: the median over beats of the straightened record."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, sosfiltfilt

from ecg_r1.ecg import FS
from ecg_r1.measurement.beats import Rhythm, windows

PRE, POST = 300, 400  # samples of the representative complex before and after its R
SMOOTH = butter(2, 40, "lowpass", fs=FS, output="sos")


@dataclass
class Complex:
    """The representative complex and what it was made from."""

    raw: np.ndarray  # (12, PRE + POST) mV, full band, for amplitudes and marks
    smooth: np.ndarray  # the same below 40 Hz
    noise: np.ndarray  # (12,) mV, standard error of `smooth`
    stack: np.ndarray  # (beats, 12, PRE + POST) below 40 Hz, the beats it was made from
    levelled: np.ndarray  # (12, samples) the straightened record, NaN in gaps
    record: np.ndarray  # the same below 40 Hz


def middle(stack: np.ndarray) -> np.ndarray:
    """Median over the first axis, NaN ignored (NaN where nothing is there)."""
    ordered = np.sort(stack, axis=0)  # NaN sorts last
    count = (~np.isnan(ordered)).sum(axis=0)
    low, high = np.maximum((count - 1) // 2, 0), count // 2
    high = np.minimum(high, stack.shape[0] - 1)
    take = np.take_along_axis
    return (take(ordered, low[None], 0)[0] + take(ordered, high[None], 0)[0]) / 2


def _quiet_edge(activity: np.ndarray, start: int, stop: int, limit: float, hold: int) -> float:
    """First sample from `start` towards `stop` from which activity stays below `limit`."""
    step = 1 if stop > start else -1
    run = activity[start : stop if stop >= 0 else None : step] < limit
    if run.size < hold:
        return np.nan
    total = np.convolve(run, np.ones(hold), "valid")
    first = np.flatnonzero(total >= hold)
    return float(start + step * first[0]) if first.size else np.nan


def coarse_qrs(complex_: np.ndarray, trusted: np.ndarray) -> tuple[int, int]:
    """QRS bounds from the slope of all leads together (spatial velocity), to some 10 ms."""
    slope = np.gradient(complex_[trusted], axis=1)
    speed = uniform_filter1d(np.sqrt((slope**2).mean(axis=0)), 5)
    centre = PRE - 40 + int(np.argmax(speed[PRE - 40 : PRE + 40]))
    peak = speed[centre]
    around = np.r_[speed[max(0, PRE - 130) : PRE - 50], speed[PRE + 60 : PRE + 130]]
    limit = max(0.08 * peak, min(1.6 * np.percentile(around, 30), 0.2 * peak))
    on = _quiet_edge(speed, centre, PRE - 90, limit, 6)
    off = _quiet_edge(speed, centre, PRE + 130, limit * 1.3, 8)
    return (
        PRE - 45 if np.isnan(on) else int(on),
        PRE + 60 if np.isnan(off) else int(off),
    )


def _level(x: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """The record minus straight lines between its levels at `knots` (before each QRS)."""
    knots = knots[(knots >= 6) & (knots < x.shape[1] - 6)]
    if knots.size == 0:
        return x - np.median(x, axis=1, keepdims=True)
    levels = x[:, knots[:, None] + np.arange(-6, 1)].mean(axis=2)
    time = np.arange(x.shape[1])
    return x - np.stack([np.interp(time, knots, row) for row in levels])


def build_complex(
    filled: np.ndarray,
    drift_free: np.ndarray,
    gaps: np.ndarray,
    rhythm: Rhythm,
    trusted: np.ndarray,
) -> Complex:
    """The representative complex after the baseline was straightened before each QRS.

    Moves `rhythm.beats` to the sample where the complex is largest over all leads: R.

    Args:
        filled: `(12, samples)` mV, gaps bridged.
        drift_free: The same without its drift.
        gaps: Where samples were bridged.
        rhythm: The beats.
        trusted: Leads to look at for R and the level.
    """
    steady = rhythm.steady()
    # A median over 12 beats is as good as one over 30, and costs half.
    some = np.flatnonzero(steady)[:12]
    first = sosfiltfilt(SMOOTH, _median_complex(drift_free, gaps, rhythm.beats[some]), axis=1)
    size = (first[trusted, PRE - 25 : PRE + 26] ** 2).sum(axis=0)
    shift = int(np.argmax(size)) - 25
    rhythm.beats = np.clip(rhythm.beats + shift, 0, filled.shape[1] - 1)
    on_all, _ = coarse_qrs(np.roll(first, -shift, axis=1), trusted)
    levelled = _level(filled, rhythm.beats[rhythm.dominant] - PRE + on_all - 4)
    record = sosfiltfilt(SMOOTH, levelled, axis=1)
    levelled[gaps] = record[gaps] = np.nan
    return _around(levelled, record, rhythm.beats[steady])


def _median_complex(x: np.ndarray, gaps: np.ndarray, beats: np.ndarray) -> np.ndarray:
    return np.nan_to_num(middle(windows(np.where(gaps, np.nan, x), beats, PRE, POST)))


def _around(levelled: np.ndarray, record: np.ndarray, beats: np.ndarray) -> Complex:
    """Median complex of the given beats, with its noise."""
    raw = np.nan_to_num(middle(windows(levelled, beats, PRE, POST)))
    smooth = sosfiltfilt(SMOOTH, raw, axis=1)
    below = windows(record, beats, PRE, POST)
    residual = np.abs(below - smooth)[:, :, PRE - 150 : PRE + 250 : 2]
    spread = middle(residual.transpose(0, 2, 1).reshape(-1, 12)) * 1.48
    noise = np.nan_to_num(spread) * 1.25 / sqrt(max(beats.size, 1))
    return Complex(raw, smooth, np.maximum(noise, 0.001), below, levelled, record)


def other_complexes(
    complex_: Complex, rhythm: Rhythm, *, most: int = 4
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Complexes of the beats of other shapes, the most frequent first.

    Args:
        complex_: The dominant complex, for its record.
        rhythm: The beats.
        most: Shapes to return at most; each costs a marking.

    Returns:
        Pairs of beats (indices) and their median complex `(12, PRE + POST)` in mV.
    """
    rest = list(np.flatnonzero(~rhythm.dominant))
    if not rest:
        return []
    shapes = np.nan_to_num(windows(complex_.levelled, rhythm.beats[rest], PRE, POST))
    flat = shapes[:, :, PRE - 60 : PRE + 80].reshape(len(rest), -1)
    flat = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
    alike = flat @ flat.T > 0.85
    groups, left = [], np.ones(len(rest), bool)
    while left.any() and len(groups) < most:
        seed = int(np.argmax((alike & left).sum(axis=1) * left))
        mine = np.flatnonzero(alike[seed] & left)
        left[mine] = False
        groups.append((np.array(rest)[mine], np.median(shapes[mine], axis=0)))
    return groups
