"""What the atria do: P before the QRS or not, all P waves, flutter and fibrillation waves."""

from math import exp, log, sqrt

import numpy as np
from scipy.signal import butter, find_peaks, sosfiltfilt

from ecg_r1.ecg import FS, LEADS
from ecg_r1.measurement.beats import Rhythm
from ecg_r1.measurement.complexes import PRE, Complex
from ecg_r1.measurement.marks import P_OFF, P_ON, P_PEAK, QRS_OFF, QRS_ON, T_OFF

# Logistic weights of a P wave being there, fitted on LUDB 1-100 and PTB-XL folds 1-6.
P_BIAS, P_ALIKE, P_SPREAD, P_IRREGULAR = 9.4, 3.65, -2.85, -16.5
P_LEAST = 0.5  # probability
P_NEAREST = 14  # samples from P peak to QRS onset; nearer is a pacing spike or the QRS itself
FLUTTER_ALIKE = 0.6  # least autocorrelation of flutter waves
F_BAND = butter(2, (4, 10), "bandpass", fs=FS, output="sos")
THIN = 4  # P waves are looked for at 125 Hz


# --- P before the QRS -------------------------------------------------------------------------


def p_agreement(stack: np.ndarray, centre: int, on_all: int) -> float:
    """How alike the beats' P windows are: intraclass correlation, about 0 for fibrillation.

    Args:
        stack: `(beats, leads, samples)` of aligned dominant beats, each lead over its noise.
        centre: Sample of the P peak.
        on_all: Sample of the QRS onset.
    """
    part = stack[:, :, max(0, centre - 40) : min(centre + 40, on_all - 2)]
    part = part[~np.isnan(part).any(axis=(1, 2))]
    beats, _, samples = part.shape
    if beats < 2 or samples < 20:
        return np.nan
    ramp = np.linspace(-1, 1, samples)
    part = part - part.mean(axis=2, keepdims=True)
    part = part - (part @ ramp / (ramp @ ramp))[..., None] * ramp
    mean = part.mean(axis=0)
    between = beats * (mean**2).sum()
    within = ((part - mean) ** 2).sum() / (beats - 1)
    ratio = between / max(within, 1e-12)
    return float((ratio - 1) / (ratio - 1 + beats))


def p_present(
    complex_: Complex,
    rhythm: Rhythm,
    marks: np.ndarray,
    spread: np.ndarray,
    trusted: np.ndarray,
) -> tuple[bool | None, str]:
    """Whether a P wave keeps its shape and place before the QRS, and why not.

    Args:
        complex_: The representative complex.
        rhythm: The beats.
        marks: `(12, 9)` marks on the complex, P included.
        spread: Their half-widths: where there is no P, the network does not know where it is.
        trusted: Leads that count.
    """
    if not trusted.any():
        return None, "no QRS onset"
    on_all, centre = (float(np.median(marks[trusted, i])) for i in (QRS_ON, P_PEAK))
    scaled = complex_.stack[:, trusted] / complex_.noise[trusted, None]
    alike = p_agreement(scaled, round(centre), round(on_all))
    if np.isnan(alike):
        return None, "too few beats to tell a P wave from noise"
    if on_all - centre < P_NEAREST:
        return False, "nothing but the QRS itself or a pacing spike before it"
    rr = rhythm.normal_rr_ms if rhythm.normal_rr_ms.size > 2 else rhythm.rr_ms
    jumps = sqrt(float(np.mean(np.diff(rr) ** 2))) / rr.mean() if rr.size > 2 else 0.0
    wide = log(float(np.median(spread[trusted, P_PEAK])) + 0.5)
    score = P_BIAS + P_ALIKE * alike + P_SPREAD * wide + P_IRREGULAR * min(jumps, 0.3)
    if 1 / (1 + exp(-score)) < P_LEAST:
        return False, "no P wave keeps its shape and place before the QRS"
    return True, ""


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
        _bridge(record, first, last)
    return record


def _bridge(x: np.ndarray, first: int, last: int) -> None:
    """Replaces samples `first` to `last` by a straight line, in place."""
    first, last = max(first, 1), min(last, x.shape[1] - 2)
    if last > first:
        weight = np.linspace(0, 1, last - first)
        x[:, first:last] = (1 - weight) * x[:, [first - 1]] + weight * x[:, [last]]


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
    thin = rest[:, : rest.shape[1] // THIN * THIN].reshape(rest.shape[0], -1, THIN).mean(axis=2)
    if np.isnan(marks[trusted, P_PEAK]).all():
        return THIN * _repeating(thin, beats / THIN)
    start, peak, stop = (
        round(float(np.nanmedian(marks[trusted, i]))) for i in (P_ON, P_PEAK, P_OFF)
    )
    start, stop = max(start - 8, 0), min(stop + 8, PRE)
    wave = complex_.smooth[trusted, start:stop]
    size = wave.shape[1] // THIN
    if size < 8:
        return np.zeros(0, int)
    wave = wave[:, : size * THIN].reshape(wave.shape[0], size, THIN).mean(axis=2)
    found = _matches(thin, wave, least=0.6)
    return THIN * found + (peak - start)


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
    tries += [_keeping_time(found) for found in tries[:4]]
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

    Empty when it does not last for most of the record: chance makes short ones.
    """
    best = times[:0]
    for i, first in enumerate(times[:8]):
        for gap in times[i + 1 : i + 5] - first:
            if not 0.35 * FS / THIN <= gap <= 1.1 * FS / THIN:
                continue
            series = [first]
            while (near := np.abs(times - series[-1] - gap)).min() < 0.08 * gap:
                series.append(times[int(np.argmin(near))])
            if len(series) > best.size:
                best = np.array(series)
    enough = best.size >= 7 and np.ptp(best) > 0.8 * np.ptp(times)
    return best if enough else times[:0]


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


# --- conduction -------------------------------------------------------------------------------


def av_relation(
    p_times: np.ndarray, beats: np.ndarray, own: np.ndarray, qrs_on: float
) -> str | None:
    """How P waves and QRS complexes go together; see `Measurements.av_relation`.

    Args:
        p_times: Samples of the P peaks.
        beats: Samples of R.
        own: Which beats are neither premature nor of another shape: only their PR counts.
        qrs_on: QRS onset relative to R in samples (negative).
    """
    if p_times.size < 3 or own.sum() < 3:
        return None
    onsets = beats[own] + qrs_on
    before = np.searchsorted(p_times, onsets) - 1
    known = before >= 0
    pr = onsets[known] - p_times[before[known]]
    inside = (p_times > beats[0]) & (p_times < beats[-1])
    extra = int(inside.sum()) - (beats.size - 1)
    steady = np.abs(pr - np.median(pr)) < 0.02 * FS
    if steady.mean() >= 0.8:
        return "blocked" if extra >= 2 else "constant"
    apart = steady.mean() < 0.4 and np.ptp(pr) > 0.15 * FS
    if apart and _keeps_time(p_times) and _keeps_time(beats):
        return "dissociated"
    if _lengthening(p_times, onsets[known], before[known], pr):
        return "lengthening"
    return "variable"


def _keeps_time(times: np.ndarray) -> bool:
    gaps = np.diff(times)
    middle = np.median(gaps)
    return bool((np.abs(gaps - middle) < 0.1 * middle).mean() > 0.7)


def _lengthening(
    p_times: np.ndarray, onsets: np.ndarray, before: np.ndarray, pr: np.ndarray
) -> bool:
    """Whether PR grows beat by beat and falls after every P that was not conducted."""
    dropped = np.diff(before) >= 2
    if not dropped.any() or p_times.size <= onsets.size:
        return False
    steps = np.diff(pr)
    grows = (steps[~dropped] > -0.01 * FS).mean() if (~dropped).any() else 1.0
    falls = (steps[dropped] < -0.02 * FS).mean()
    return bool(grows > 0.8 and falls > 0.6)


# --- flutter and fibrillation -----------------------------------------------------------------


def f_wave_mv(
    complex_: Complex, rhythm: Rhythm, marks: np.ndarray, trusted: np.ndarray
) -> float:
    """Root mean square of 4-10 Hz between T end and QRS beside the representative complex.

    The largest of II, III, aVF, V1 and V2, where fibrillation shows; NaN when no diastole is
    long enough.
    """
    leads = [
        i for i in (LEADS.index(n) for n in ("II", "III", "aVF", "V1", "V2")) if trusted[i]
    ]
    spans = _diastoles(rhythm, marks, trusted, least=int(0.16 * FS))
    if not leads or not spans:
        return np.nan
    record = np.nan_to_num(complex_.record[leads])
    ends = [*(rhythm.beats[1:] - PRE // 2), record.shape[1]]
    for beat, end, own in zip(rhythm.beats, ends, rhythm.dominant, strict=True):
        a, b = max(beat - PRE // 2, 0), min(beat + PRE, end)
        if not own or b <= a:
            continue
        record[:, a:b] -= complex_.smooth[leads, a - beat + PRE : b - beat + PRE]
    band = sosfiltfilt(F_BAND, record, axis=1)
    power = np.concatenate([band[:, a:b] for a, b in spans], axis=1)
    return float(np.sqrt((power**2).mean(axis=1)).max())


def _diastoles(
    rhythm: Rhythm, marks: np.ndarray, trusted: np.ndarray, least: int
) -> list[tuple[int, int]]:
    """Samples from T end to the next QRS onset, after beats of the dominant shape."""
    t_end, on = (float(np.nanmedian(marks[trusted, i])) - PRE for i in (T_OFF, QRS_ON))
    pairs = zip(rhythm.beats[:-1], rhythm.beats[1:], rhythm.dominant[:-1], strict=True)
    spans = [(round(a + t_end) + 5, round(b + on) - 5) for a, b, own in pairs if own]
    return [(a, b) for a, b in spans if b - a >= least]


def flutter_bpm(
    complex_: Complex, rhythm: Rhythm, marks: np.ndarray, trusted: np.ndarray
) -> float | None:
    """Rate of a wave that repeats every 170-300 ms between T and QRS; None when none does.

    Looked for as the autocorrelation over all diastoles: a P wave comes once in each, and
    fibrillation does not repeat.
    """
    first, last = round(FS / THIN * 60 / 350), round(FS / THIN * 60 / 200)
    spans = _diastoles(rhythm, marks, trusted, least=round(1.75 * THIN * first))
    if len(spans) < 2:
        return None
    record = np.nan_to_num(complex_.record[trusted])
    parts = [_detrended(record[:, a:b:THIN]) for a, b in spans]
    alike = np.array([_repeats(parts, lag) for lag in range(first, last + 1)])
    best = int(np.argmax(alike))
    inner = 0 < best < alike.size - 1
    return 60 * FS / THIN / (first + best) if inner and alike[best] > FLUTTER_ALIKE else None


def _repeats(parts: list[np.ndarray], lag: int) -> float:
    """Correlation of stretches with themselves `lag` samples later, where long enough."""
    long = [p for p in parts if p.shape[1] >= 1.75 * lag]
    if not long:
        return 0.0
    early = np.concatenate([p[:, :-lag] for p in long], axis=1)
    late = np.concatenate([p[:, lag:] for p in long], axis=1)
    return float(2 * (early * late).sum() / max((early**2).sum() + (late**2).sum(), 1e-9))


def _detrended(x: np.ndarray) -> np.ndarray:
    ramp = np.linspace(-1, 1, x.shape[1])
    x = x - x.mean(axis=1, keepdims=True)
    return x - (x @ ramp / (ramp @ ramp))[:, None] * ramp


def grouped(rr_ms: np.ndarray) -> bool | None:
    """Whether beats come in groups of about the same size parted by pauses of the same length.

    None with fewer than five intervals.
    """
    if rr_ms.size < 5:
        return None
    short = float(np.median(rr_ms[rr_ms <= np.median(rr_ms)]))
    pauses = np.flatnonzero(rr_ms > 1.25 * short)
    if pauses.size < 2 or pauses.size > 0.6 * rr_ms.size:
        return False
    sizes, length = np.diff(pauses), rr_ms[pauses]
    even = np.ptp(sizes) <= 1 if sizes.size else False
    return bool(even and np.std(length) / np.mean(length) < 0.12)
