"""All P waves of the record, in their place before the QRS or anywhere."""

from itertools import pairwise

import numpy as np
from scipy.signal import butter, find_peaks, sosfiltfilt

from ecg_r1.ecg import FS
from ecg_r1.measurement.beats import Rhythm, bridge, windows
from ecg_r1.measurement.complexes import PRE, Complex
from ecg_r1.measurement.marks import P_OFF, P_ON, P_PEAK, QRS_OFF, QRS_ON, T_OFF

THIN = 4  # P waves are looked for at 125 Hz
LONGEST_PR = 0.4 * FS  # from P peak; conducted P waves seldom lie further before the QRS
# Above this a P keeps its shape, while U and what is left of T, which are slower, do not.
SHARP = butter(2, 6, "highpass", fs=FS, output="sos")


# --- the record without its ventricles --------------------------------------------------------


def without_qrst(
    complex_: Complex, rhythm: Rhythm, marks: np.ndarray, trusted: np.ndarray
) -> np.ndarray:
    """`(trusted leads, samples)` below 40 Hz with QRS and T of every beat taken out.

    T is the representative complex's; QRS, which no template takes out to the last, becomes a
    straight line. Beats of other shapes are lines from QRS onset to T end.
    """
    record = np.nan_to_num(complex_.record[trusted])
    start, qrs_end, t_end = (
        round(float(np.nanmedian(marks[trusted, i]))) + extra
        for i, extra in ((QRS_ON, -3), (QRS_OFF, 6), (T_OFF, 10))
    )
    wave = complex_.smooth[trusted, start:t_end].copy()
    fade = min(20, wave.shape[1])
    wave[:, -fade:] *= np.linspace(1, 0, fade)
    for beat, own in zip(rhythm.beats, rhythm.dominant, strict=True):
        first = beat - PRE + start
        a, b = max(first, 0), min(first + wave.shape[1], record.shape[1])
        if own:
            record[:, a:b] -= wave[:, a - first : b - first]
        last = beat - PRE + (qrs_end if own else t_end)
        bridge(record, first, last)
    return record


# --- every P wave -----------------------------------------------------------------------------


def all_p_waves(
    rest: np.ndarray,
    beats: np.ndarray,
    complex_: Complex,
    marks: np.ndarray,
    trusted: np.ndarray,
) -> np.ndarray:
    """Samples of the peaks of all P waves, whatever their place against the QRS.

    Args:
        rest: What `without_qrst` gave.
        beats: Samples of R.
        complex_: The representative complex; its P is the pattern when it has one.
        marks: `(12, 9)` marks on it; P marks NaN when it has no P.
        trusted: Leads that count.

    Returns:
        Samples in order; empty when no pattern repeats in time.
    """
    if np.isnan(marks[trusted, P_PEAK]).all():
        sharp = sosfiltfilt(SHARP, rest, axis=1)
        return THIN * _repeating(_thinned(sharp), beats / THIN)
    start, peak, stop, on = (
        round(float(np.nanmedian(marks[trusted, i]))) for i in (P_ON, P_PEAK, P_OFF, QRS_ON)
    )
    start, stop = max(start - 8, 0), min(stop + 8, PRE)
    if stop - start < 8 * THIN:
        return np.zeros(0, int)
    wave = complex_.smooth[trusted].copy()
    wave[:, on - 3 :] = wave[:, [on - 3]]  # the QRS would ring in the filter
    found = _matches(_thinned(rest), _thinned(wave[:, start:stop]), least=0.6)
    sharp = _matches(
        _thinned(sosfiltfilt(SHARP, rest, axis=1)),
        _thinned(sosfiltfilt(SHARP, wave, axis=1)[:, start:stop]),
        least=0.5,
    )
    kept = np.abs(found[:, None] - sharp).min(axis=1, initial=rest.shape[1]) <= 3
    times = THIN * found + (peak - start)
    leads = _leads(times, beats + on - PRE)
    return times[leads | (kept & _in_time(times, times[leads]))]


def with_p_at_median(
    raw: np.ndarray, levelled: np.ndarray, times: np.ndarray, beats: np.ndarray, on: float
) -> np.ndarray:
    """The complex with its P made of P waves laid upon each other, whatever their PR was.

    Args:
        raw: The complex, `(12, PRE + POST)` mV, in which they are blurred.
        levelled: The record it was made from, NaN in gaps.
        times: Samples of the P peaks.
        beats: Samples of R.
        on: QRS onset relative to R in samples (negative).
    """
    onsets = beats + on
    leading = times[_leads(times, onsets)]
    pr = onsets[np.searchsorted(onsets, leading)] - leading
    # None is cut by its QRS further than the shortest PR allows.
    stop = round(PRE + on)
    peak = round(stop - float(np.median(pr)))
    after = max(min(int(pr.min()), stop - peak), 0)
    stacked = windows(levelled, leading, peak, after)
    raw = raw.copy()
    raw[:, : peak + after] = np.nan_to_num(np.nanmedian(stacked, axis=0))
    return raw


def _thinned(x: np.ndarray) -> np.ndarray:
    """Means of `THIN` samples each."""
    return x[:, : x.shape[1] // THIN * THIN].reshape(x.shape[0], -1, THIN).mean(axis=2)


def _leads(times: np.ndarray, onsets: np.ndarray) -> np.ndarray:
    """Which times are the last within `LONGEST_PR` before a QRS onset."""
    following = np.searchsorted(onsets, times)
    known = following < onsets.size
    onset = onsets[np.minimum(following, onsets.size - 1)]
    last = np.r_[times[1:], np.inf] > onset
    return known & last & (onset - times < LONGEST_PR)


def _in_time(times: np.ndarray, leading: np.ndarray) -> np.ndarray:
    """Which times part the interval between two leading ones into two, three or four alike.

    A P that is not conducted comes when the sinus node fires; a T or U that looks like one
    seldom lies there. What comes before the first leading P or after the last is kept.

    Args:
        times: Samples of all P waves, in order.
        leading: Those of them that a QRS follows.
    """
    if not leading.size:
        return np.ones(times.size, bool)
    even = (times < leading[0]) | (times > leading[-1])
    for first, last in pairwise(leading):
        for parts in (2, 3, 4):
            nodes = np.linspace(first, last, parts + 1)[1:-1]
            near = np.abs(times[:, None] - nodes).argmin(axis=0)
            if (np.abs(times[near] - nodes) < 0.05 * (last - first)).all():
                even[near] = True
    return even


def _matches(x: np.ndarray, wave: np.ndarray, least: float) -> np.ndarray:
    """Starts of the windows of `x` that look like `wave` in all leads and are about as tall."""
    if x.shape[1] <= wave.shape[1]:
        return np.zeros(0, int)
    slides = _slides(x, wave.shape[1])
    pattern = (wave - wave.mean(axis=1, keepdims=True)).ravel()
    return _tops(slides, slides @ pattern, pattern, least)


def _slides(x: np.ndarray, size: int) -> np.ndarray:
    """All windows of `x`, each lead without its mean, `(starts, leads * size)`."""
    slides = np.lib.stride_tricks.sliding_window_view(x, size, axis=1).transpose(1, 0, 2)
    return (slides - slides.mean(axis=2, keepdims=True)).reshape(slides.shape[0], -1)


def _tops(
    slides: np.ndarray, product: np.ndarray, pattern: np.ndarray, least: float
) -> np.ndarray:
    """Windows of the best correlation with a pattern, no two within 250 ms."""
    own = max(float(pattern @ pattern), 1e-12)
    alike = product / np.sqrt(np.maximum((slides**2).sum(axis=1) * own, 1e-12))
    height = product / own
    good = np.where((height > 0.4) & (height < 2.5), alike, 0.0)
    peaks, _ = find_peaks(np.r_[0.0, good, 0.0], height=least, distance=int(0.25 * FS / THIN))
    return peaks - 1


def _repeating(x: np.ndarray, beats: np.ndarray) -> np.ndarray:
    """Peaks of a wave of unknown shape that repeats evenly, as a P does in complete block.

    Not one that keeps its place after the QRS: that is what is left of a T.
    """
    size = int(0.12 * FS / THIN)
    if x.shape[1] < 10 * size:
        return np.zeros(0, int)
    slides = _slides(x, size)
    energy = (slides**2).sum(axis=1)
    seeds, _ = find_peaks(energy, distance=int(0.2 * FS / THIN))
    seeds = seeds[np.argsort(-energy[seeds])][:24]
    tries = [
        _tops(slides, product, slides[seed], least=0.6)
        for seed, product in zip(seeds, (slides @ slides[seeds].T).T, strict=True)
    ]
    tries.sort(key=lambda found: -found.size)
    # What is left of T may look like P: then P are the ones among them that keep time.
    tries += [_keeping_time(found) for found in tries[:8]]
    best = np.zeros(0, int)
    for found in tries:
        if found.size > best.size and _even(found) and not _locked(found, beats):
            best = found
    return _centred(x, best + size // 2) if best.size >= 5 else np.zeros(0, int)


def _centred(x: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Times moved to the top of the wave that all of them share."""
    half = int(0.14 * FS / THIN)
    whole = times[(times >= half) & (times < x.shape[1] - half)]
    mean = x[:, whole[:, None] + np.arange(-half, half + 1)].mean(axis=1)
    mean = mean - np.linspace(mean[:, 0], mean[:, -1], 2 * half + 1).T
    shift = int(np.argmax((mean**2).sum(axis=0))) - half
    return np.clip(times + shift, 0, x.shape[1] - 1)


def _keeping_time(times: np.ndarray) -> np.ndarray:
    """The longest series of times that follow each other at about one interval of 0.35-1.1 s.

    One at a time may be missing, hidden by a QRS, and a fifth of all. Empty when the series
    does not last for most of the record: chance makes short ones.
    """
    best, intervals = times[:0], 0
    for i, first in enumerate(times[:8]):
        for gap in times[i + 1 : i + 5] - first:
            if not 0.35 * FS / THIN <= gap <= 1.1 * FS / THIN:
                continue
            series, passed = _series(times, first, gap)
            if series.size > best.size:
                best, intervals = series, passed
    enough = best.size >= 7 and best.size - 1 >= 0.8 * intervals
    return best if enough and np.ptp(best) > 0.8 * np.ptp(times) else times[:0]


def _series(times: np.ndarray, first: float, gap: float) -> tuple[np.ndarray, int]:
    """Times one or two gaps after each other from `first` on, and how many gaps that are."""
    series, passed = [first], 0
    while True:
        for gaps in (1, 2):
            far = np.abs(times - series[-1] - gaps * gap)
            if far.min() < 0.08 * gap:
                break
        else:
            return np.array(series), passed
        series.append(times[int(np.argmin(far))])
        passed += gaps


def _locked(times: np.ndarray, beats: np.ndarray) -> bool:
    """Whether most times keep their place within 24 ms after the beat before them."""
    last = np.searchsorted(beats, times, side="right") - 1
    after = (times - beats[np.maximum(last, 0)])[last >= 0]
    near = np.abs(after - np.median(after)) <= 0.024 * FS / THIN if after.size else after > 0
    return bool(near.mean() > 0.7) if after.size else False


def _even(times: np.ndarray) -> bool:
    """Whether intervals are multiples (1 to 3) of one, but for a tenth of it."""
    gaps = np.diff(times).astype(float)
    if gaps.size < 4:
        return False
    base = float(np.median(gaps))
    whole = np.maximum(np.round(gaps / base), 1)
    return bool((np.abs(gaps / whole - base) < 0.1 * base).mean() > 0.85 and whole.max() <= 3)
