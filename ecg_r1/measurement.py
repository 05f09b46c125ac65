"""Twelve leads to numbers: beats, representative complex, fiducials, intervals, amplitudes.

The way of a cardiograph: find the QRS complexes over all leads together, keep the beats of the
dominant shape, take their median as one representative complex per lead, and mark its waves.
Noise falls with the number of beats, so every headline value comes from that complex.

Left out on purpose: pacing spikes, notches and delta waves, T shape, lead reversal.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from math import atan2, degrees, sqrt

import numpy as np
import pandas as pd
from scipy.ndimage import maximum_filter1d, minimum_filter1d, uniform_filter1d
from scipy.signal import butter, find_peaks, sosfiltfilt

from ecg_r1.ecg import ECG, FS, LEADS

WAVES = ("P", "QRS", "T")
LEAD_COLUMNS = (
    "pr_ms",
    "qrs_ms",
    "qt_ms",
    "p_mv",
    "q_mv",
    "q_ms",
    "r_mv",
    "s_mv",
    "t_mv",
    "j_mv",
    "st_mv",
    "p_ms",
    "rsr",
)
MS = 1000 / FS  # milliseconds per sample

# Settings of the marks, chosen on LUDB 1-100 (bias against the cardiologists near zero).
SAME_SHAPE = 0.85  # least correlation of a beat with the dominant shape
QRS_EDGE = 0.02  # activity at a QRS bound, of the largest in the lead
QRS_FLOOR = 0.008  # the same, in mV
QRS_NOISE = 1.5  # the same, in standard errors of the complex
T_REF, P_REF = 55, 30  # samples beyond a flank where T and P are taken to be over
CORNER = 0.7  # weight of the trapezium against the tangent
T_PEAK_LAST, T_END_LAST = 0.46, 0.60  # s * sqrt(RR / s) after R; later is the next P
P_NEAREST = 20  # samples between a P peak and the QRS onset; nearer is a pacing spike
P_AGREEMENT = 0.33  # least agreement of the P windows; 0.13 in 8 of 10 PTB-XL records with AF
PRE, POST = 300, 400  # samples of the representative complex before and after its R
QRS_BAND = butter(2, (5, 25), "bandpass", fs=FS, output="sos")
DRIFT_FREE = butter(2, 0.5, "highpass", fs=FS, output="sos")
SMOOTH = butter(2, 40, "lowpass", fs=FS, output="sos")
ATRIAL_BAND = butter(2, (2, 20), "bandpass", fs=FS, output="sos")


@dataclass(frozen=True, eq=False)
class Measurements:
    """What was measured on one ECG; None or NaN is "not measurable", never zero.

    Attributes:
        hr_bpm: Heart rate from the mean RR interval.
        pr_ms: Global PR interval, P onset to QRS onset by `GLOBAL_RULE` over leads.
        qrs_ms: Global QRS duration.
        qt_ms: Global QT interval.
        qtc_ms: QT corrected by Fridericia, QT / RR^(1/3).
        qtc_bazett_ms: QT corrected by Bazett, QT / RR^(1/2).
        axis_deg: Frontal QRS axis, -180 to 180.
        p_present: Whether P waves precede the dominant beats; None when undecided.
        regular: Whether the RR intervals (ectopy aside) vary by less than 10 %.
        rr_ms: RR intervals in order.
        leads: One row per lead; columns `LEAD_COLUMNS`. Amplitudes are signed, against the
            level just before the QRS (P: before the P). A QS complex stands in both q_mv and
            s_mv with r_mv NaN.
        rpeaks: Sample of each beat's R.
        n_wide_premature: Premature wide beats.
        n_narrow_premature: Premature narrow beats; None when the rhythm is irregular without P.
        fiducials: Columns beat, lead, wave, onset, peak, offset (samples).
        unmeasurable: Quantity to the reason why it is missing.
        quality: Lead to the reason why it is not trusted.
    """

    hr_bpm: float | None = None
    pr_ms: float | None = None
    qrs_ms: float | None = None
    qt_ms: float | None = None
    qtc_ms: float | None = None
    qtc_bazett_ms: float | None = None
    axis_deg: float | None = None
    p_present: bool | None = None
    regular: bool | None = None
    rr_ms: tuple[float, ...] = ()
    leads: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(
            np.nan, index=pd.Index(LEADS, name="lead"), columns=list(LEAD_COLUMNS)
        ),
        repr=False,
    )
    rpeaks: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    n_wide_premature: int | None = None
    n_narrow_premature: int | None = None
    fiducials: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(
            columns=["beat", "lead", "wave", "onset", "peak", "offset"]
        ),
        repr=False,
    )
    unmeasurable: dict[str, str] = field(default_factory=dict)
    quality: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict:
        """All values as plain Python, None for NaN, so that `json.dumps` gives valid JSON."""
        plain = {
            name: getattr(self, name)
            for name in self.__dataclass_fields__
            if name not in ("leads", "fiducials", "rpeaks")
        }
        plain["rr_ms"] = list(self.rr_ms)
        plain["rpeaks"] = self.rpeaks.tolist()
        plain["leads"] = {
            lead: {k: None if np.isnan(v) else round(float(v), 4) for k, v in row.items()}
            for lead, row in self.leads.to_dict("index").items()
        }
        marks = self.fiducials.astype(object).where(self.fiducials.notna(), None)
        plain["fiducials"] = marks.to_dict("records")
        return plain


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


def frontal_axis(net_i: float, net_avf: float) -> float:
    """Frontal axis in degrees, -180 to 180, from net areas (or amplitudes) in I and aVF.

    aVF is an augmented lead, 2/sqrt(3) smaller than a lead of the Einthoven triangle.

    Example:
        >>> round(frontal_axis(1.0, 0.0)), round(frontal_axis(0.0, -1.0))
        (0, -90)
    """
    return degrees(atan2(2 * net_avf, sqrt(3) * net_i))


# --- signal quality and preparation -----------------------------------------------------------


def _lead_problem(x: np.ndarray) -> str | None:
    """Why one lead (millivolts) is not trusted, or None."""
    missing = np.isnan(x).mean()
    if missing > 0.5:
        return f"gap: {missing:.0%} not recorded"
    x = x[~np.isnan(x)]
    low, high = x.min(), x.max()
    if np.abs(x - np.median(x)).max() > 50:
        return f"out of range: {high - low:.3g} mV peak to peak"
    if high - low < 0.02 or (np.abs(np.diff(x)) < 1e-5).mean() > 0.9:
        return "flat"
    held = ((x == high) | (x == low)) & np.r_[False, np.diff(x) == 0]
    if held.sum() > 0.005 * x.size and high - low > 1:
        return "clipped"
    return None


def _fill(signal: np.ndarray) -> np.ndarray:
    """Gaps bridged by straight lines (empty leads: zeros), float64, for filtering only."""
    x = signal.astype(np.float64)
    for row in x:
        gap = np.isnan(row)
        if gap.all():
            row[:] = 0.0
        elif gap.any():
            row[gap] = np.interp(np.flatnonzero(gap), np.flatnonzero(~gap), row[~gap])
    return x


# --- beats ------------------------------------------------------------------------------------


def _qrs_energy(band: np.ndarray) -> np.ndarray:
    """Slope energy over leads, each lead weighed by how far its QRS stand out of its rest."""
    slope = np.abs(np.gradient(band, axis=1))
    slope = uniform_filter1d(slope, 31, axis=1)
    high = np.percentile(slope, 98, axis=1)
    rest = np.percentile(slope, 40, axis=1)
    weight = np.clip(high / np.maximum(rest, 1e-9), 1, 30) - 1 + 1e-6
    scaled = np.minimum(slope / np.maximum(high, 1e-9)[:, None], 3)
    return weight @ scaled / weight.sum()


def _detect(band: np.ndarray) -> np.ndarray:
    """Approximate samples of all QRS complexes; empty when nothing stands out."""
    energy = _qrs_energy(band)
    step = int(1.6 * FS)
    blocks = [
        energy[i : i + step].max() for i in range(0, max(1, energy.size - step // 2), step)
    ]
    typical = float(np.median(blocks))
    if typical < 2.2 * np.percentile(energy, 30):
        return np.zeros(0, int)
    peaks, _ = find_peaks(energy, distance=int(0.24 * FS), height=0.18 * typical)
    height = energy[peaks]
    strong = height > 0.38 * typical
    keep = _drop_t_waves(peaks[strong], height[strong])
    return _search_back(keep, peaks, height, 0.25 * typical)


def _drop_t_waves(peaks: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Peaks without those that follow a much steeper one as closely as a T wave does."""
    kept: list[int] = []
    for i in range(peaks.size):
        if kept:
            gap = (peaks[i] - peaks[kept[-1]]) / FS
            if gap < 0.4 and height[i] < (0.6 if gap < 0.36 else 0.5) * height[kept[-1]]:
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


def _windows(x: np.ndarray, centres: np.ndarray, pre: int, post: int) -> np.ndarray:
    """`(beats, leads, pre + post)` around each centre, NaN outside the record."""
    padded = np.pad(x, ((0, 0), (pre, post)), constant_values=np.nan)
    index = centres[:, None] + np.arange(pre + post)
    return padded[:, index].transpose(1, 0, 2)


def _cluster(band: np.ndarray, beats: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Aligned beats and each one's correlation with the dominant shape.

    The dominant shape is that of the beat which resembles most others, then the mean of those.
    """
    half, lag = 50, 20
    wide = np.nan_to_num(_windows(band, beats, half + lag, half + lag))
    shifts = np.lib.stride_tricks.sliding_window_view(wide, 2 * half, axis=2)[:, :, ::2]
    shifts = shifts.transpose(0, 2, 1, 3).reshape(beats.size, lag + 1, -1)
    size = np.linalg.norm(shifts[:, lag // 2], axis=1)
    shifts = shifts / np.maximum(np.linalg.norm(shifts, axis=2, keepdims=True), 1e-9)
    seeds = shifts[:60, lag // 2]
    alike = np.einsum("blk,ck->bcl", shifts, seeds, optimize=True).max(axis=2)
    likes = (alike > SAME_SHAPE).sum(axis=0) + alike.mean(axis=0)
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
    real = (match > 0.6) | (size > 0.45 * typical)  # the rest: pacing spikes, artefacts
    beats = (beats + lags).clip(0, band.shape[1] - 1)  # a record may end inside a QRS
    return beats[real], match[real]


def _middle(stack: np.ndarray) -> np.ndarray:
    """Median over the first axis, NaN ignored (NaN where nothing is there)."""
    ordered = np.sort(stack, axis=0)  # NaN sorts last
    count = (~np.isnan(ordered)).sum(axis=0)
    low, high = np.maximum((count - 1) // 2, 0), count // 2
    high = np.minimum(high, stack.shape[0] - 1)
    take = np.take_along_axis
    return (take(ordered, low[None], 0)[0] + take(ordered, high[None], 0)[0]) / 2


# --- marks on the representative complex ------------------------------------------------------


@dataclass
class _Marks:
    """Marks per lead on the representative complex, in samples from its start; NaN absent."""

    qrs_on: np.ndarray
    qrs_peak: np.ndarray
    qrs_off: np.ndarray
    t_peak: np.ndarray
    t_off: np.ndarray
    t_on: np.ndarray
    p_on: np.ndarray
    p_peak: np.ndarray
    p_off: np.ndarray


def _activity(x: np.ndarray) -> np.ndarray:
    """Range of the signal within a centred window of 10 ms."""
    return maximum_filter1d(x, 5, axis=-1) - minimum_filter1d(x, 5, axis=-1)


def _quiet_edge(activity: np.ndarray, start: int, stop: int, limit: float, hold: int) -> float:
    """First sample from `start` towards `stop` from which activity stays below `limit`."""
    step = 1 if stop > start else -1
    run = activity[start : stop if stop >= 0 else None : step] < limit
    if run.size < hold:
        return np.nan
    total = np.convolve(run, np.ones(hold), "valid")
    first = np.flatnonzero(total >= hold)
    return float(start + step * first[0]) if first.size else np.nan


def _global_qrs(complex_: np.ndarray, trusted: np.ndarray) -> tuple[int, int]:
    """QRS bounds from the slope of all leads together (spatial velocity)."""
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


def _lead_qrs(x: np.ndarray, noise: float, on_all: int, off_all: int) -> tuple[float, float]:
    """QRS bounds of one lead, searched around the bounds over all leads."""
    activity = _activity(x)
    inside = activity[on_all : off_all + 1]
    size = np.ptp(x[on_all : off_all + 1])
    if size < max(0.08, 6 * noise):
        return np.nan, np.nan
    limit = max(QRS_EDGE * inside.max(), QRS_NOISE * noise, QRS_FLOOR)
    strong = on_all + np.flatnonzero(inside > 0.3 * inside.max())
    on = _quiet_edge(activity, int(strong[0]), on_all - 15, limit, 3)
    off = _quiet_edge(activity, int(strong[-1]), off_all + 25, 1.5 * limit, 5)
    return (on_all if np.isnan(on) else on), (off_all if np.isnan(off) else off)


def _flank_end(x: np.ndarray, start: int, ref: int) -> float:
    """Where a wave's flank ends between its steepest point `start` and the quiet sample `ref`.

    Mean of two marks without a threshold, `CORNER` of the first: the corner of the largest
    trapezium spanned with the quiet sample (late by a few ms against cardiologists) and the
    meeting point of the steepest tangent with the quiet level (early).

    Source: Vazquez-Seisdedos et al. 2011, Biomed Eng Online 10:43;
        Lepeschkin and Surawicz 1952, Circulation 6:378.
    """
    step = 1 if ref > start else -1
    index = np.arange(start, ref, step)
    if index.size < 4:
        return np.nan
    area = (x[start] - x[index]) * (2 * abs(ref - start) - np.abs(index - start))
    corner = float(index[np.argmax(area * np.sign(x[start] - x[ref]))])
    drop = x[max(0, ref - 2) : ref + 3].mean() - x[start]
    slope = (x[start + 1] - x[start - 1]) / 2
    if slope == 0 or drop * slope * step <= 0:
        return corner
    tangent = start + np.clip(drop / slope, -abs(ref - start), abs(ref - start))
    return CORNER * corner + (1 - CORNER) * float(tangent)


def _steepest(x: np.ndarray, peak: int, stop: int) -> int:
    """Sample between a wave's peak and `stop` where it returns fastest to the baseline."""
    step = 1 if stop > peak else -1
    index = np.arange(peak, stop, step)
    slope = np.gradient(x)[index] * step
    sign = np.sign(x[peak] - x[index[-1]]) or 1.0
    return int(index[np.argmax(-slope * sign)])


def _highest(curve: np.ndarray) -> int:
    """Index of the highest local maximum; of the highest value when there is none."""
    tops, _ = find_peaks(curve)
    return int(tops[np.argmax(curve[tops])]) if tops.size else int(np.argmax(curve))


def _t_wave(x: np.ndarray, begin: int, end: int, peak_all: int) -> tuple[float, float, float]:
    """Onset, peak and end of one lead's T wave; `peak_all` is the peak over all leads."""
    low, high = max(begin, peak_all - 45), min(end - 10, peak_all + 45)
    if high - low < 10:
        return np.nan, np.nan, np.nan
    chord = np.interp(np.arange(low, high), [begin, end], [x[begin], x[end]])
    peak = low + int(np.argmax(np.abs(x[low:high] - chord)))
    flank = _steepest(x, peak, min(end, peak + 75))
    off = _flank_end(x, flank, min(end, flank + T_REF))
    rise = _steepest(x, peak, max(begin, peak - 75))
    on = _flank_end(x, rise, max(begin, rise - 75))
    return on, float(peak), off


def _t_window(off_all: int, rr: float) -> tuple[int, int, int]:
    """First sample of the T wave, last of its peak, last of its end; `rr` in samples.

    A T peak later than 460 ms * sqrt(RR) would mean a QTc beyond 550 ms: rather the next P.
    """
    seconds = rr / FS
    end = PRE + int(min(POST - 5, T_END_LAST * sqrt(seconds) * FS, rr - 50))
    last = PRE + int(T_PEAK_LAST * sqrt(seconds) * FS)
    return off_all + 20, max(min(last, end - 20), off_all + 40), max(end, off_all + 60)


def _before_next_p(power: np.ndarray, peak: int, end: int, rr: float) -> int:
    """Last sample for the T end: the quietest one where T may meet the next P, else `end`."""
    first = peak + 25
    if end < PRE + rr - 120 or end - first < 5:
        return end
    return first + int(np.argmin(power[first : end + 1]))


def _delineate(
    complex_: np.ndarray, noise: np.ndarray, trusted: np.ndarray, rr: float
) -> _Marks:
    """Marks QRS and T on every trusted lead; P follows in `_mark_p`."""
    marks = _Marks(*(np.full(12, np.nan) for _ in range(9)))
    on_all, off_all = _global_qrs(complex_, trusted)
    begin, last, end = _t_window(off_all, rr)
    spread = complex_[trusted] - complex_[trusted][:, end : end + 1]
    power = np.sqrt((spread**2).mean(axis=0))
    line = np.interp(np.arange(begin, end), [begin, end], [power[begin], power[end]])
    late = begin + min(15, (end - begin) // 4)
    peak_all = late + _highest((power[begin:end] - 0.5 * line)[late - begin : last - begin])
    end = _before_next_p(power, peak_all, end, rr)
    for lead in np.flatnonzero(trusted):
        x = complex_[lead]
        marks.qrs_on[lead], marks.qrs_off[lead] = _lead_qrs(x, noise[lead], on_all, off_all)
        marks.qrs_peak[lead] = on_all + int(np.argmax(np.abs(x[on_all : off_all + 1])))
        on, peak, off = _t_wave(x, begin, end, peak_all)
        if not np.isnan(peak) and abs(x[int(peak)] - x[end]) > max(0.03, 3 * noise[lead]):
            marks.t_on[lead], marks.t_peak[lead], marks.t_off[lead] = on, peak, off
    return marks


def _p_score(complex_: np.ndarray, on_all: int, low: int) -> tuple[np.ndarray, np.ndarray]:
    """Per lead and over leads: how far each sample stands out of its sides, 60 ms away.

    What follows the QRS onset is held at the onset's level, so that the QRS is no flank.
    """
    held = complex_.copy()
    held[:, on_all:] = held[:, on_all - 3 : on_all + 1].mean(axis=1, keepdims=True)
    index = np.arange(low, on_all - P_NEAREST)
    left, right = np.maximum(index - 30, low), index + 30
    before, after = held[:, index] - held[:, left], held[:, index] - held[:, right]
    # The tail of a T wave stands out of one side only.
    bump = np.where(before * after > 0, 0.5 * (before + after), 0.0)
    return bump, np.sqrt((bump**2).mean(axis=0))


def _p_agreement(stack: np.ndarray, centre: int, on_all: int) -> float:
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


def _mark_p(
    complex_: np.ndarray, marks: _Marks, noise: np.ndarray, trusted: np.ndarray, low: int
) -> int | None:
    """Marks the P wave of each lead in place; the sample of its peak over leads, or None."""
    on_all = int(np.nanquantile(marks.qrs_on, 0.2))  # an early one: a slow QRS start is no P
    if on_all - low < 40:
        return None
    bump, power = _p_score(complex_[trusted], on_all, low)
    centre = low + int(np.argmax(power))
    for row, lead in enumerate(np.flatnonzero(trusted)):
        x = complex_[lead]
        first, last = max(low, centre - 20), min(on_all - P_NEAREST - 1, centre + 20)
        near = np.abs(bump[row, first - low : last - low + 1])
        peak = first + int(np.argmax(near))
        if near.max() < max(0.012, 2.5 * noise[lead]):
            continue
        held = x.copy()
        held[on_all:] = x[on_all]
        start, stop = max(low, peak - 60), min(on_all + 5, peak + 60)
        if peak - start < 8 or stop - peak < 8:
            continue
        rise = _steepest(held, peak, max(start, peak - 35))
        fall = _steepest(held, peak, min(stop, peak + 35))
        marks.p_on[lead] = _flank_end(held, rise, max(start, rise - P_REF))
        marks.p_off[lead] = _flank_end(held, fall, min(stop, fall + P_REF))
        marks.p_peak[lead] = peak
    return centre


# --- values -----------------------------------------------------------------------------------


def _lead_values(x: np.ndarray, marks: _Marks, lead: int) -> dict[str, float]:
    """Intervals (ms) and amplitudes (mV) of one lead's representative complex."""
    on, off = marks.qrs_on[lead], marks.qrs_off[lead]
    row = dict.fromkeys(LEAD_COLUMNS, np.nan)
    if np.isnan(on) or np.isnan(off):
        return row
    on, off = int(on), int(off)
    level = x[max(0, on - 6) : on].mean()
    row["qrs_ms"] = (off - on) * MS
    row["qt_ms"] = (marks.t_off[lead] - on) * MS
    row["pr_ms"] = (on - marks.p_on[lead]) * MS
    row["p_ms"] = (marks.p_off[lead] - marks.p_on[lead]) * MS
    row.update(_qrs_deflections(x[on : off + 1] - level))
    row["j_mv"] = x[off] - level
    row["st_mv"] = x[min(off + 30, x.size - 1)] - level
    if not np.isnan(marks.t_peak[lead]):
        row["t_mv"] = x[int(marks.t_peak[lead])] - level
    if not np.isnan(marks.p_on[lead] + marks.p_off[lead]):
        start, stop = int(marks.p_on[lead]), int(marks.p_off[lead])
        wave = x[start : stop + 1] - x[max(0, start - 6) : start + 1].mean()
        row["p_mv"] = wave[np.argmax(np.abs(wave))]
    return row


def _qrs_deflections(qrs: np.ndarray) -> dict[str, float]:
    """Q, R, S (mV), Q duration (ms) and R' of one QRS given against its baseline."""
    least = max(0.03, 0.03 * np.ptp(qrs))
    top = int(np.argmax(qrs))
    if qrs[top] < least:
        depth = qrs.min()
        return {"q_mv": depth, "s_mv": depth, "q_ms": qrs.size * MS, "rsr": 0.0}
    row = {"r_mv": qrs[top], "rsr": float(_second_r(qrs, least))}
    first = _first_r(qrs, least)
    before, after = qrs[: first + 1], qrs[first:]
    if before.min() < -least:
        row["q_mv"] = before.min()
        row["q_ms"] = float((before < -0.25 * least).sum() * MS)
    if after.min() < -least:
        row["s_mv"] = after.min()
    return row


def _first_r(qrs: np.ndarray, least: float) -> int:
    """Sample of the first positive deflection higher than `least`."""
    peaks, _ = find_peaks(np.r_[-1e9, qrs, -1e9], height=least, prominence=least)
    return int(peaks[0]) - 1 if peaks.size else int(np.argmax(qrs))


def _second_r(qrs: np.ndarray, least: float) -> bool:
    """Whether two positive peaks stand apart by a notch deeper than `least` (r S R')."""
    peaks, _ = find_peaks(np.r_[-1e9, qrs, -1e9], height=least, prominence=2 * least)
    return peaks.size >= 2


def _quantile(values: np.ndarray, q: float, need: int) -> float:
    """Quantile over the leads that have a value; NaN with fewer than `need`."""
    values = values[~np.isnan(values)]
    return float(np.quantile(values, q)) if values.size >= need else np.nan


# Quantile over leads that makes a global mark. Earliest onset and latest offset would be
# decided by the worst lead: with them half of LUDB's normal records have a QRS of >= 120 ms.
GLOBAL_RULE = {
    "p_on": 0.45,
    "p_peak": 0.5,
    "p_off": 0.55,
    "qrs_on": 0.45,
    "qrs_off": 0.55,
    "t_on": 0.45,
    "t_peak": 0.5,
    "t_off": 0.5,
}


def _bounds(marks: _Marks) -> dict[str, float]:
    """Global marks on the complex; at least three leads must agree that a wave is there."""
    need = min(3, max(1, int((~np.isnan(marks.qrs_on)).sum())))
    return {name: _quantile(getattr(marks, name), q, need) for name, q in GLOBAL_RULE.items()}


@dataclass
class _Rhythm:
    """Beats, their class and their spacing."""

    beats: np.ndarray
    match: np.ndarray  # correlation with the dominant shape
    dominant: np.ndarray
    premature: np.ndarray
    whole: np.ndarray  # per RR interval: no gap inside that could hide a beat

    @property
    def rr_ms(self) -> np.ndarray:
        return np.diff(self.beats)[self.whole] * MS

    @property
    def typical_rr(self) -> float:
        """Median RR in samples; one second when there is none."""
        return float(np.median(self.rr_ms)) / MS if self.whole.any() else float(FS)

    @property
    def regular(self) -> bool | None:
        """Whether the RR intervals beside no premature beat vary by less than 10 %."""
        rr = self.rr_ms
        clean = ~(self.premature[1:] | self.premature[:-1])[self.whole]
        rr = rr[clean] if clean.sum() >= 3 else rr
        return bool(np.std(rr) / np.mean(rr) < 0.10) if rr.size >= 3 else None

    def premature_counts(self, *, p_present: bool | None) -> tuple[int, int | None]:
        """Wide and narrow premature beats; narrow ones mean nothing in fibrillation."""
        wide = self.premature & (self.match < 0.75)
        fibrillating = p_present is False and self.regular is False
        return int(wide.sum()), None if fibrillating else int((self.premature & ~wide).sum())


def _rhythm(beats: np.ndarray, match: np.ndarray, gap: np.ndarray) -> _Rhythm:
    """Classes of beats: dominant by shape, premature by a sudden fall of RR of 15 %.

    Args:
        beats: Samples of R.
        match: Each beat's correlation with the dominant shape.
        gap: Per sample of the record, whether most leads are missing.
    """
    rr = np.diff(beats)
    lost = np.diff(np.cumsum(gap)[beats])
    whole = lost < 0.1 * FS
    early = np.zeros(beats.size, bool)
    if whole.any():
        usual = np.median(rr[whole])
        before = np.r_[
            rr[min(1, rr.size - 1)], rr[:-1]
        ]  # the first interval is held against the second
        sudden = (rr < 0.85 * before) | (before < 0.85 * usual)  # or a run of premature beats
        early[1:] = whole & sudden & (rr < 0.88 * usual)
    dominant = match > SAME_SHAPE if (match > SAME_SHAPE).any() else match == match.max()
    return _Rhythm(beats, match, dominant, early, whole)


def _fiducials(
    rhythm: _Rhythm, marks: _Marks, own: dict[int, tuple[int, int]], samples: int
) -> pd.DataFrame:
    """The complex's marks laid on every dominant beat; premature ones without their P.

    Args:
        rhythm: The beats.
        marks: Marks on the representative complex.
        own: Global QRS bounds (samples from the window's start) of beats of other shapes.
        samples: Length of the record; marks outside are NaN.
    """
    glob = _bounds(marks)
    glob["qrs_peak"] = float(PRE)
    names = [[f"{w.lower()}_{part}" for part in ("on", "peak", "off")] for w in WAVES]
    one = [[[getattr(marks, n)[i] for n in wave] for wave in names] for i in range(12)]
    one.append([[glob[n] for n in wave] for wave in names])
    table = np.tile(np.array(one), (rhythm.beats.size, 1, 1, 1))
    table[~rhythm.dominant] = np.nan
    table[rhythm.premature, :, 0] = np.nan
    for beat, (on, off) in own.items():
        table[beat, 12, 1] = on, PRE, off
    table += (rhythm.beats - PRE)[:, None, None, None]
    table[(table < 0) | (table >= samples)] = np.nan
    index = pd.MultiIndex.from_product(
        [range(rhythm.beats.size), [*LEADS, "global"], WAVES], names=["beat", "lead", "wave"]
    )
    columns = ["onset", "peak", "offset"]
    return pd.DataFrame(table.reshape(-1, 3), index=index, columns=columns).reset_index()


# --- the whole --------------------------------------------------------------------------------


def measure(ecg: ECG) -> Measurements:
    """Measures one ECG. Never raises on a valid `ECG`: what cannot be measured has its reason.

    Args:
        ecg: Any record; three leads and one QRS suffice for something.

    Returns:
        `Measurements`; intervals in ms, amplitudes in mV, axis in degrees.

    Example:
        >>> import numpy as np
        >>> measure(ECG(signal=np.zeros((12, 5000)), source="flat")).unmeasurable["hr_bpm"]
        'no lead can be trusted'
    """
    quality = {
        lead: problem
        for lead, x in zip(LEADS, ecg.signal, strict=True)
        if (problem := _lead_problem(x))
    }
    trusted = np.array([lead not in quality for lead in LEADS])
    if not trusted.any():
        return _nothing("no lead can be trusted", quality)
    if ecg.signal.shape[1] < FS:
        return _nothing("shorter than one second", quality)
    filled = _fill(ecg.signal)
    beats = _detect(sosfiltfilt(QRS_BAND, filled[trusted], axis=1))
    if beats.size == 0:
        return _nothing("no QRS complex stands out of the noise", quality)
    return _measure_beats(ecg.signal, filled, beats, trusted, quality)


def _nothing(reason: str, quality: dict[str, str]) -> Measurements:
    names = ("hr_bpm", "pr_ms", "qrs_ms", "qt_ms", "qtc_ms", "qtc_bazett_ms", "axis_deg")
    return Measurements(
        unmeasurable=dict.fromkeys((*names, "p_present", "regular"), reason), quality=quality
    )


@dataclass
class _Complex:
    """The representative complex and what it was made from."""

    raw: np.ndarray  # (12, PRE + POST) mV, full band, for amplitudes
    smooth: np.ndarray  # the same below 40 Hz, for marks
    noise: np.ndarray  # (12,) mV, standard error of `smooth`
    stack: np.ndarray  # (beats, 12, PRE + POST) below 40 Hz
    record: np.ndarray  # (12, samples) the levelled record below 40 Hz, NaN in gaps


def _build_complex(x: np.ndarray, gaps: np.ndarray, beats: np.ndarray) -> _Complex:
    """Median complex of the given beats, with its noise; `gaps` marks bridged samples."""
    stack = _windows(np.where(gaps, np.nan, x), beats, PRE, POST)
    raw = np.nan_to_num(_middle(stack))
    smooth = sosfiltfilt(SMOOTH, raw, axis=1)
    record = np.where(gaps, np.nan, sosfiltfilt(SMOOTH, x, axis=1))
    below = _windows(record, beats, PRE, POST)
    residual = np.abs(below - smooth)[:, :, PRE - 150 : PRE + 250]
    spread = _middle(residual.transpose(0, 2, 1).reshape(-1, 12)) * 1.48
    noise = np.nan_to_num(spread) * 1.25 / sqrt(max(beats.size, 1))
    return _Complex(raw, smooth, np.maximum(noise, 0.001), below, record)


def _level(x: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """The record minus straight lines between its levels at `knots` (before each QRS)."""
    knots = knots[(knots >= 6) & (knots < x.shape[1] - 6)]
    if knots.size == 0:
        return x - np.median(x, axis=1, keepdims=True)
    levels = x[:, knots[:, None] + np.arange(-6, 1)].mean(axis=2)
    time = np.arange(x.shape[1])
    return x - np.stack([np.interp(time, knots, row) for row in levels])


def _measure_beats(
    signal: np.ndarray,
    filled: np.ndarray,
    beats: np.ndarray,
    trusted: np.ndarray,
    quality: dict[str, str],
) -> Measurements:
    """Everything that follows once there are beats."""
    gaps = np.isnan(signal)
    band = sosfiltfilt(QRS_BAND, filled[trusted], axis=1)
    beats, match = _cluster(band, beats)
    rhythm = _rhythm(beats, match, gaps[trusted].mean(axis=0) > 0.5)
    complex_ = _level_complex(filled, gaps, rhythm, trusted)
    trusted = trusted & ~_flag_noisy(complex_, trusted, quality)
    marks = _delineate(complex_.smooth, complex_.noise, trusted, rhythm.typical_rr)
    p_present, p_reason = _find_p(complex_, marks, trusted, rhythm.typical_rr)
    values = _result(rhythm, complex_, marks, trusted, p_reason)
    missing = values["unmeasurable"]
    wide, narrow = rhythm.premature_counts(p_present=p_present)
    if p_present is None:
        missing["p_present"] = p_reason
    if rhythm.regular is None:
        missing["regular"] = "fewer than three RR intervals"
    if narrow is None:
        missing["n_narrow_premature"] = "irregular rhythm without P waves"
    return Measurements(
        p_present=p_present,
        regular=rhythm.regular,
        rr_ms=tuple(rhythm.rr_ms.tolist()),
        rpeaks=rhythm.beats,
        n_wide_premature=wide,
        n_narrow_premature=narrow,
        fiducials=_fiducials(
            rhythm, marks, _other_qrs(complex_, rhythm, trusted), gaps.shape[1]
        ),
        quality=quality,
        **values,
    )


def _level_complex(
    filled: np.ndarray, gaps: np.ndarray, rhythm: _Rhythm, trusted: np.ndarray
) -> _Complex:
    """The representative complex after the baseline was straightened before each QRS.

    Moves `rhythm.beats` to the sample where the complex is largest over all leads: R.
    """
    steady = rhythm.dominant & ~rhythm.premature
    steady = steady if steady.sum() >= 2 else rhythm.dominant
    first = _build_complex(sosfiltfilt(DRIFT_FREE, filled, axis=1), gaps, rhythm.beats[steady])
    size = (first.smooth[trusted, PRE - 25 : PRE + 26] ** 2).sum(axis=0)
    shift = int(np.argmax(size)) - 25
    rhythm.beats = np.clip(rhythm.beats + shift, 0, filled.shape[1] - 1)
    on_all, _ = _global_qrs(np.roll(first.smooth, -shift, axis=1), trusted)
    x = _level(filled, rhythm.beats[rhythm.dominant] - PRE + on_all - 4)
    return _build_complex(x, gaps, rhythm.beats[steady])


def _flag_noisy(complex_: _Complex, trusted: np.ndarray, quality: dict[str, str]) -> np.ndarray:
    """Leads whose beats differ by more than the QRS allows; named in `quality`.

    They are left out of the measurement when at least three better leads remain.
    """
    beats = complex_.stack.shape[0]
    spread = complex_.noise * sqrt(beats) / 1.25
    qrs = np.ptp(complex_.smooth[:, PRE - 50 : PRE + 60], axis=1)
    noisy = trusted & (spread > np.maximum(0.1, 0.2 * qrs))
    for lead in np.flatnonzero(noisy):
        quality[LEADS[lead]] = f"noisy: {spread[lead]:.2f} mV between beats"
    return noisy if (trusted & ~noisy).sum() >= 3 else np.zeros(12, bool)


def _other_qrs(
    complex_: _Complex, rhythm: _Rhythm, trusted: np.ndarray
) -> dict[int, tuple[int, int]]:
    """Global QRS bounds of every beat that has another shape than the dominant one."""
    others = np.flatnonzero(~rhythm.dominant)
    windows = np.nan_to_num(_windows(complex_.record, rhythm.beats[others], PRE, POST))
    return {
        int(beat): _global_qrs(window, trusted)
        for beat, window in zip(others, windows, strict=True)
    }


def _find_p(
    complex_: _Complex, marks: _Marks, trusted: np.ndarray, rr: float
) -> tuple[bool | None, str]:
    """Marks P and decides whether it is there; marks of an absent P are erased."""
    if np.isnan(marks.qrs_on).all():
        return None, "no QRS onset"
    on_all = int(np.nanmedian(marks.qrs_on))
    t_off = np.nanmedian(marks.t_off) if not np.isnan(marks.t_off).all() else PRE + 180
    low = int(max(5, on_all - 190, t_off - rr - 10))
    centre = _mark_p(complex_.smooth, marks, complex_.noise, trusted, low)
    if centre is None:
        return None, "no room for a P wave between T and QRS"
    scaled = complex_.stack[:, trusted] / complex_.noise[trusted, None]
    agreement = _p_agreement(scaled, centre, on_all)
    if np.isnan(agreement):
        _erase_p(marks)
        return None, "too few beats to tell a P wave from noise"
    enough = (~np.isnan(marks.p_on)).sum() >= min(3, trusted.sum())
    if agreement < P_AGREEMENT or not enough:
        _erase_p(marks)
        return False, "no P wave keeps its shape and place before the QRS"
    return True, ""


def _erase_p(marks: _Marks) -> None:
    for mark in (marks.p_on, marks.p_peak, marks.p_off):
        mark[:] = np.nan


def _axis(raw: np.ndarray, glob: dict[str, float], trusted: np.ndarray) -> float | None:
    """Frontal QRS axis from net areas in I and aVF; None when they are too small or missing."""
    on, off = glob["qrs_on"], glob["qrs_off"]
    if not (trusted[0] and trusted[5]) or np.isnan(on + off):
        return None
    on, off = round(on), round(off)
    part = raw[[0, 5], on : off + 1]
    level = raw[[0, 5], max(0, on - 6) : on].mean(axis=1)
    area = (part - level[:, None]).sum(axis=1) * MS / 1000
    if np.abs(area).max() < 0.0005:  # mV s; below, the direction is noise
        return None
    return frontal_axis(float(area[0]), float(area[1]))


def _intervals(glob: dict[str, float], rr_ms: float, p_reason: str) -> tuple[dict, dict]:
    """Headline intervals (ms, None when missing) and the reasons for the missing ones."""
    values = {
        "pr_ms": (glob["qrs_on"] - glob["p_on"]) * MS,
        "qrs_ms": (glob["qrs_off"] - glob["qrs_on"]) * MS,
        "qt_ms": (glob["t_off"] - glob["qrs_on"]) * MS,
    }
    known = not np.isnan(values["qt_ms"] + rr_ms)
    values["qtc_ms"] = qtc_fridericia(values["qt_ms"], rr_ms) if known else np.nan
    values["qtc_bazett_ms"] = qtc_bazett(values["qt_ms"], rr_ms) if known else np.nan
    why = {
        "pr_ms": p_reason or "no P onset in three leads",
        "qrs_ms": "no QRS bounds in three leads",
        "qt_ms": "no T end in three leads",
        "qtc_ms": "no QT or no RR interval",
        "qtc_bazett_ms": "no QT or no RR interval",
    }
    missing = {name: why[name] for name, value in values.items() if np.isnan(value)}
    return {n: None if n in missing else round(v, 1) for n, v in values.items()}, missing


def _result(
    rhythm: "_Rhythm", complex_: _Complex, marks: _Marks, trusted: np.ndarray, p_reason: str
) -> dict:
    """Values of `Measurements` that come from the marks on the representative complex."""
    glob = _bounds(marks)
    rr = rhythm.rr_ms
    values, missing = _intervals(glob, float(rr.mean()) if rr.size else np.nan, p_reason)
    values["axis_deg"] = _axis(complex_.raw, glob, trusted)
    if values["axis_deg"] is None:
        missing["axis_deg"] = "no net QRS area in leads I and aVF"
    values["hr_bpm"] = 60000 / float(rr.mean()) if rr.size else None
    if not rr.size:
        missing["hr_bpm"] = "a single beat has no rate"
    rows = [_lead_values(complex_.raw[i], marks, i) for i in range(12)]
    values["leads"] = pd.DataFrame(
        rows, index=pd.Index(LEADS, name="lead"), columns=list(LEAD_COLUMNS)
    )
    values["unmeasurable"] = missing
    return values
