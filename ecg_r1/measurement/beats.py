"""Where the beats are, which of them look alike, and which come too early."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, find_peaks

from ecg_r1.ecg import FS

MS = 1000 / FS  # milliseconds per sample
QRS_BAND = butter(2, (5, 25), "bandpass", fs=FS, output="sos")
SAME_SHAPE = 0.85  # least correlation of a beat with the dominant shape
SELF_ALIKE = 0.7  # least correlation of a record without rests with itself a beat later
EACH_WAY = 50  # samples before and after R that make a beat's shape


# --- detection --------------------------------------------------------------------------------


def _qrs_energy(band: np.ndarray) -> np.ndarray:
    """Slope energy over leads, each lead weighed by how far its QRS stand out of its rest."""
    slope = np.abs(np.gradient(band, axis=1))
    slope = uniform_filter1d(slope, 31, axis=1)
    high = np.percentile(slope, 98, axis=1)
    rest = np.percentile(slope, 40, axis=1)
    weight = np.clip(high / np.maximum(rest, 1e-9), 1, 30) - 1 + 1e-6
    scaled = np.minimum(slope / np.maximum(high, 1e-9)[:, None], 3)
    return weight @ scaled / weight.sum()


def detect(band: np.ndarray) -> np.ndarray:
    """Approximate samples of all QRS complexes; empty when nothing stands out.

    Args:
        band: `(leads, samples)` in the band of the QRS, `QRS_BAND`.
    """
    energy = _qrs_energy(band)
    step = int(1.6 * FS)
    blocks = [
        energy[i : i + step].max() for i in range(0, max(1, energy.size - step // 2), step)
    ]
    typical = float(np.median(blocks))
    if typical < 2.2 * np.percentile(energy, 30):
        return _periodic(band, energy)
    peaks, _ = find_peaks(energy, distance=int(0.24 * FS), height=0.18 * typical)
    height = energy[peaks]
    strong = height > 0.3 * typical
    keep = _drop_t_waves(peaks[strong], height[strong])
    keep = _search_back(keep, peaks, height, 0.25 * typical)
    weak = peaks[~np.isin(peaks, keep)]
    keep = _without_cut_t_wave(band, keep, weak)
    return _with_ectopic(band, keep, weak)


def _periodic(band: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """Beats of a wide tachycardia, which leaves no rest for a QRS to stand out of.

    The record must repeat itself every 240-600 ms as no noise does.
    """
    short, long = int(0.24 * FS), int(0.6 * FS)
    if band.shape[1] < 4 * long:
        return np.zeros(0, int)
    power = np.array(
        [
            2 * (band[:, :-lag] * band[:, lag:]).sum()
            / ((band[:, :-lag] ** 2).sum() + (band[:, lag:] ** 2).sum() + 1e-12)
            for lag in range(short, long, 2)
        ]
    )  # fmt: skip
    tops, found = find_peaks(power, height=SELF_ALIKE)
    if not tops.size:
        return np.zeros(0, int)
    period = short + 2 * int(tops[np.argmax(found["peak_heights"])])
    half = period // 2
    inner = energy[half:-half]
    seed = half + int(np.argmax(inner))
    slides = np.lib.stride_tricks.sliding_window_view(band, 2 * half, axis=1)
    wave = band[:, seed - half : seed + half]
    product = np.einsum("lsn,ln->s", slides, wave)
    power = np.convolve((band**2).sum(axis=0), np.ones(2 * half), "valid")
    alike = product / np.sqrt(np.maximum(power * (wave**2).sum(), 1e-12))
    return half + find_peaks(alike, height=0.5, distance=int(0.7 * period))[0]


def _shapes(band: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """`(centres, leads, 200 ms)` of the band, zero outside the record."""
    return np.nan_to_num(windows(band, centres, EACH_WAY, EACH_WAY))


def _without_cut_t_wave(band: np.ndarray, beats: np.ndarray, weak: np.ndarray) -> np.ndarray:
    """Beats without the first if it is the T wave of a QRS before the record's start.

    It looks like the T waves left out after other beats, not like a beat.
    """
    if beats.size < 4 or weak.size < 2:
        return beats
    flat = _shapes(band, np.r_[beats, weak]).reshape(beats.size + weak.size, -1)
    flat = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
    alike = flat @ flat[0]
    like_t = (alike[beats.size :] > SAME_SHAPE).sum() >= 2
    return beats[1:] if like_t and alike[1 : beats.size].max() < SAME_SHAPE else beats


def _with_ectopic(band: np.ndarray, beats: np.ndarray, weak: np.ndarray) -> np.ndarray:
    """Beats and those weak peaks that are ventricular ectopic ones.

    They are slow, but come too late for a T wave, too far before the next beat for a P, and
    are not small. (None found in PTB-XL folds 1-7 without PVC nor in LUDB 1-100.)
    """
    if beats.size < 3:
        return beats
    size = np.sqrt((np.ptp(_shapes(band, beats), axis=2) ** 2).sum(axis=1))
    after = np.searchsorted(beats, weak)
    between = (after > 0) & (after < beats.size)
    weak, after = weak[between], after[between]
    if not weak.size:
        return beats
    own = np.sqrt((np.ptp(_shapes(band, weak), axis=2) ** 2).sum(axis=1))
    before, rest = weak - beats[after - 1], beats[after] - weak
    late = (before >= 0.44 * FS) & (rest >= 1.2 * before)
    return np.sort(np.r_[beats, weak[late & (own > 0.25 * np.median(size))]])


def _drop_t_waves(peaks: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Peaks without those that follow a much steeper one as closely as a T wave does."""
    kept: list[int] = []
    for i in range(peaks.size):
        if kept:
            gap = (peaks[i] - peaks[kept[-1]]) / FS
            if gap < 0.4 and height[i] < (0.7 if gap < 0.36 else 0.5) * height[kept[-1]]:
                continue
            if gap < 0.24 and height[i] > height[kept[-1]] / 0.6:
                kept.pop()
        kept.append(i)
    return peaks[kept]


def _search_back(
    beats: np.ndarray, peaks: np.ndarray, height: np.ndarray, floor: float
) -> np.ndarray:
    """Adds the highest weaker peak inside every gap longer than 1.7 typical RR intervals."""
    if beats.size < 3:
        return beats
    typical = np.median(np.diff(beats))
    found = []
    for a, b in pairwise(beats):
        if b - a < 1.7 * typical:
            continue
        inside = (peaks > a + 0.45 * typical) & (peaks < b - 0.45 * typical) & (height > floor)
        if inside.any():
            found.append(peaks[inside][np.argmax(height[inside])])
    return np.sort(np.r_[beats, np.array(found, int)]).astype(int)


# --- shapes -----------------------------------------------------------------------------------


def windows(x: np.ndarray, centres: np.ndarray, pre: int, post: int) -> np.ndarray:
    """`(beats, leads, pre + post)` around each centre, NaN outside the record."""
    padded = np.pad(x, ((0, 0), (pre, post)), constant_values=np.nan)
    index = centres[:, None] + np.arange(pre + post)
    return padded[:, index].transpose(1, 0, 2)


def bridge(x: np.ndarray, first: int, last: int) -> None:
    """Replaces samples `first` to `last` by a straight line, in place."""
    first, last = max(first, 1), min(last, x.shape[1] - 2)
    if last > first:
        weight = np.linspace(0, 1, last - first)
        x[:, first:last] = (1 - weight) * x[:, [first - 1]] + weight * x[:, [last]]


def cluster(band: np.ndarray, beats: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Aligned beats and each one's correlation with the dominant shape.

    The dominant shape is that of the beat which resembles most others, then the mean of those.
    """
    half, lag = 50, 20
    wide = np.nan_to_num(windows(band, beats, half + lag, half + lag))
    shifts = np.lib.stride_tricks.sliding_window_view(wide, 2 * half, axis=2)
    shifts = shifts[:, :, ::2, ::2]  # the band ends at 25 Hz
    shifts = shifts.transpose(0, 2, 1, 3).reshape(beats.size, lag + 1, -1)
    size = np.linalg.norm(shifts[:, lag // 2], axis=1)
    shifts = shifts / np.maximum(np.linalg.norm(shifts, axis=2, keepdims=True), 1e-9)
    seeds = shifts[:60, lag // 2]
    alike = np.einsum("blk,ck->bcl", shifts, seeds, optimize=True).max(axis=2)
    # In bigeminy half of the beats are ectopic: those that come early count less.
    rr = np.diff(beats, prepend=beats[0], append=beats[-1])
    vote = np.where((rr[:-1] > 0) & (rr[:-1] < 0.8 * rr[1:]), 0.6, 1.0)
    likes = vote @ (alike > SAME_SHAPE) + alike.mean(axis=0)
    template = seeds[int(np.argmax(likes))]
    for _ in range(2):
        match = shifts @ template
        best = match.argmax(axis=1)
        close = match.max(axis=1) > SAME_SHAPE
        if not close.any():
            break
        template = shifts[close, best[close]].mean(axis=0)
        template /= max(np.linalg.norm(template), 1e-9)
    match = shifts @ template
    lags, match = 2 * match.argmax(axis=1) - lag, match.max(axis=1)
    typical = np.median(size[match > SAME_SHAPE]) if (match > SAME_SHAPE).any() else 0.0
    real = (match > 0.6) | (size > 0.3 * typical)  # the rest: pacing spikes, artefacts
    beats = (beats + lags).clip(0, band.shape[1] - 1)  # a record may end inside a QRS
    return beats[real], match[real]


# --- rhythm -----------------------------------------------------------------------------------


@dataclass
class Rhythm:
    """Beats, their class and their spacing."""

    beats: np.ndarray
    match: np.ndarray  # correlation with the dominant shape
    dominant: np.ndarray
    premature: np.ndarray
    whole: np.ndarray  # per RR interval: no gap inside that could hide a beat

    @property
    def rr_ms(self) -> np.ndarray:
        """RR intervals without a gap inside, in ms."""
        return np.diff(self.beats)[self.whole] * MS

    @property
    def typical_rr(self) -> float:
        """Median RR in samples; one second when there is none."""
        return float(np.median(self.rr_ms)) / MS if self.whole.any() else float(FS)

    @property
    def normal_rr_ms(self) -> np.ndarray:
        """RR intervals that neither begin nor end with a premature or foreign beat, in ms."""
        odd = self.premature | ~self.dominant
        return np.diff(self.beats)[self.whole & ~(odd[1:] | odd[:-1])] * MS

    @property
    def regular(self) -> bool | None:
        """Whether the RR intervals beside no premature beat vary by less than 10 %."""
        rr = self.rr_ms
        clean = ~(self.premature[1:] | self.premature[:-1])[self.whole]
        rr = rr[clean] if clean.sum() >= 3 else rr
        return bool(np.std(rr) / np.mean(rr) < 0.10) if rr.size >= 3 else None

    def steady(self) -> np.ndarray:
        """Beats that make the representative complex: dominant and in time, when there are."""
        good = self.dominant & ~self.premature
        return good if good.sum() >= 2 else self.dominant


def rhythm_of(beats: np.ndarray, match: np.ndarray, gap: np.ndarray) -> Rhythm:
    """Classes of beats: dominant by shape, premature by time.

    Args:
        beats: Samples of R.
        match: Each beat's correlation with the dominant shape.
        gap: Per sample of the record, whether most leads are missing.
    """
    lost = np.diff(np.cumsum(gap)[beats])
    whole = lost < 0.1 * FS
    dominant = match > SAME_SHAPE if (match > SAME_SHAPE).any() else match == match.max()
    early = np.zeros(beats.size, bool)
    if whole.any():
        early[1:] = whole & _premature(np.diff(beats).astype(float), ~dominant[1:])
    return Rhythm(beats, match, dominant, early, whole)


def _premature(rr: np.ndarray, foreign: np.ndarray) -> np.ndarray:
    """RR intervals that end with a premature beat.

    An interval is held against those around it, so that breathing, which lengthens and
    shortens RR over several beats, makes none of them premature: 25 % shorter than them, 13 %
    when a pause follows, or 10 % when the beat has another shape. (PTB-XL folds 1-8: found in
    88 % of records with PAC, 13 % of those with sinus arrhythmia, 2 % of normal ones.)

    Args:
        rr: RR intervals in samples.
        foreign: Per interval, whether its last beat has another shape than the dominant one.
    """
    usual = np.median(rr)
    early = np.zeros(rr.size, bool)
    for i in range(rr.size):
        around = np.r_[rr[max(0, i - 2) : i], rr[i + 2 : i + 4]]
        local = around.mean() if around.size else usual
        pause = i + 1 < rr.size and rr[i + 1] > max(1.4 * rr[i], 0.98 * local)
        limit = 0.9 if foreign[i] else 0.87 if pause else 0.75
        run = i > 0 and early[i - 1] and rr[i] < 0.8 * usual  # the next of a salvo
        early[i] = run or (rr[i] < limit * local and (foreign[i] or rr[i] < 0.92 * usual))
    return early
