"""Flutter and fibrillation waves: what the atria do when no P wave leads the QRS."""

from dataclasses import replace

import numpy as np
from scipy.signal import butter, sosfiltfilt

from ecg_r1.ecg import FS, LEADS
from ecg_r1.measurement.beats import Rhythm, bridge
from ecg_r1.measurement.complexes import POST, PRE, Complex
from ecg_r1.measurement.marks import QRS_OFF, QRS_ON, T_OFF

THIN = 4  # flutter waves are looked for at 125 Hz in the diastoles
# RR over the cycle of a wave that is taken out of the complex: at two to one T lies on the wave
# before the QRS, and a regular RR holds whole waves. (Both limits are ours.)
LEAST_RATIO, OFF_RATIO = 2.5, 0.15
SLOWEST, FASTEST = 235, 350  # flutter waves a minute that keep a fixed ratio to the QRS
F_BAND = butter(2, (4, 10), "bandpass", fs=FS, output="sos")
# Flutter waves are steep; T and U, which lie between them, are not.
STEEP = butter(2, (6, 25), "bandpass", fs=FS, output="sos")
STEEPER = butter(2, (10, 30), "bandpass", fs=FS, output="sos")
ALIKE = 0.62  # least autocorrelation over the diastoles
# Least likeness of the parts of a cycle. The highest of 700 records of PTB-XL folds 1-7
# without flutter is 0.58, that of simulated tachycardias 0.63 (ours).
SAME_PARTS = 0.68
STEADY_RR = 0.05  # coefficient of variation up to which a ratio may be fixed


def flutter_bpm(
    complex_: Complex, rhythm: Rhythm, marks: np.ndarray, trusted: np.ndarray
) -> float | None:
    """Rate of a flutter wave; None when there is none.

    Looked for in two ways: as a wave that fills the whole cycle of a regular rhythm two, three
    or four times, and as one that repeats within the diastoles.
    """
    return _fixed_ratio(complex_, rhythm, marks, trusted) or _in_diastoles(
        complex_, rhythm, marks, trusted
    )


def _fixed_ratio(
    complex_: Complex, rhythm: Rhythm, marks: np.ndarray, trusted: np.ndarray
) -> float | None:
    """Rate at two to four times that of the ventricles of a wave that repeats so in the cycle.

    The representative complex from one QRS to the next is cut into two, three or four parts
    of the same length. Without its QRS and above 10 Hz the parts are alike in flutter; in other
    rhythms one holds P, another T.
    """
    rr = rhythm.rr_ms
    if rr.size < 3 or np.std(rr) > STEADY_RR * rr.mean():
        return None
    rate = 60 * FS / rhythm.typical_rr
    ratios = [k for k in (2, 3, 4) if SLOWEST <= k * rate <= FASTEST]
    if not ratios:
        return None
    steep, wide = _cycle(complex_, round(rhythm.typical_rr), marks, trusted)
    alike = [_parts_alike(steep, wide, k) for k in ratios]
    best = int(np.argmax(alike))
    return ratios[best] * rate if alike[best] > SAME_PARTS else None


def _cycle(
    complex_: Complex, size: int, marks: np.ndarray, trusted: np.ndarray
) -> tuple[np.ndarray, int]:
    """One cycle from QRS to QRS `(leads, size)` of what is steep, and how far its QRS reaches.

    Its second half is taken from before the QRS, since the next beat's is blurred.
    """
    on, off = (round(float(np.median(marks[trusted, i]))) for i in (QRS_ON, QRS_OFF))
    at = on - 4 + np.arange(size)
    at = np.where(at - on > min(0.6 * size, PRE + POST - 5 - on), at - size, at)
    x = complex_.smooth[trusted][:, np.clip(at, 0, PRE + POST - 1)]
    wide = min(off - on + 4, size - 1)
    share = np.linspace(0, 1, wide)
    x[:, :wide] = (1 - share) * x[:, [-1]] + share * x[:, [wide]]
    whole = sosfiltfilt(STEEPER, np.tile(x, (1, 5)), axis=1)
    return whole[:, 2 * size : 3 * size], wide


def _parts_alike(x: np.ndarray, wide: int, ratio: int) -> float:
    """Intraclass correlation of the parts of a cycle, from where the QRS in the first ends."""
    length = x.shape[1] / ratio
    at = np.arange(wide, int(length))
    if at.size < 15:
        return 0.0
    parts = np.stack([x[:, np.round(at + i * length).astype(int)] for i in range(ratio)])
    parts = parts - parts.mean(axis=2, keepdims=True)
    mean = parts.mean(axis=0)
    between = ratio * (mean**2).sum()
    within = ((parts - mean) ** 2).sum() / (ratio - 1)
    times = between / max(within, 1e-12)
    return float((times - 1) / (times - 1 + ratio))


def _in_diastoles(
    complex_: Complex, rhythm: Rhythm, marks: np.ndarray, trusted: np.ndarray
) -> float | None:
    """Rate of a steep wave that repeats every 170-300 ms between T and QRS.

    Looked for as the autocorrelation over all diastoles: a P wave comes once in each, and
    fibrillation does not repeat.
    """
    first, last = round(FS / THIN * 60 / 350), round(FS / THIN * 60 / 200)
    spans = _diastoles(rhythm, marks, trusted, least=round(1.75 * THIN * first))
    if len(spans) < 2:
        return None
    record = np.nan_to_num(complex_.record[trusted])
    on, off = (round(float(np.median(marks[trusted, i]))) - PRE for i in (QRS_ON, QRS_OFF))
    for beat in rhythm.beats:
        bridge(record, beat + on - 3, beat + off + 6)
    record = sosfiltfilt(STEEP, record, axis=1)
    parts = [_detrended(record[:, a:b:THIN]) for a, b in spans]
    alike = np.array([_repeats(parts, lag) for lag in range(first, last + 1)])
    best = int(np.argmax(alike))
    inner = 0 < best < alike.size - 1
    return 60 * FS / THIN / (first + best) if inner and alike[best] > ALIKE else None


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


def without_waves(
    complex_: Complex, rhythm: Rhythm, marks: dict[str, float], bpm: float
) -> Complex:
    """The representative complex less the flutter wave, which goes on under QRS and T.

    Its cycle before the QRS, where nothing else is, shows what it adds to all others. Where
    that is not free of T, or the rate does not fit regular RR intervals, the complex is given
    back as it is.

    Args:
        complex_: The complex.
        rhythm: The beats.
        marks: Marks over leads, of which "qrs_on" and "t_off" are used.
        bpm: Flutter waves a minute.
    """
    rr, cycle = rhythm.typical_rr, 60 * FS / bpm
    if rhythm.regular:
        waves = round(rr / cycle)
        if abs(rr / cycle - waves) > OFF_RATIO:
            return complex_
        cycle = rr / waves
    rest = rr - (marks["t_off"] - marks["qrs_on"])
    if not (rr >= LEAST_RATIO * cycle and rest >= cycle):
        return complex_
    first, time = marks["qrs_on"] - 2 - cycle, np.arange(PRE + POST)
    source = first + (time - first) % cycle
    raw, smooth = (
        np.stack([np.interp(source, time, lead) for lead in leads])
        for leads in (complex_.raw, complex_.smooth)
    )
    return replace(
        complex_,
        raw=complex_.raw - raw,
        smooth=complex_.smooth - smooth,
        stack=complex_.stack - smooth,
    )
