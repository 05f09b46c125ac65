"""P before the QRS or not, how P waves are conducted, and beats in groups."""

from math import exp, log, sqrt

import numpy as np

from ecg_r1.ecg import FS, LEADS
from ecg_r1.measurement.beats import MS, Rhythm
from ecg_r1.measurement.complexes import Complex
from ecg_r1.measurement.marks import P_OFF, P_ON, P_PEAK, QRS_ON, T_OFF

# Logistic weights of a P wave being there, fitted on LUDB 1-100 and PTB-XL folds 1-6.
P_BIAS, P_ALIKE, P_SPREAD, P_IRREGULAR = 9.4, 3.65, -2.85, -16.5
P_LEAST = 0.5  # probability
P_ON_T_SPREAD = 25  # samples; a P before the last T's end is one if it is so certain (ours)
# Surawicz B, Knilans T 2008, Chou's Electrocardiography: P of the AV node leads by less than
# 120 ms; 5 ms less, since the marks over leads lie later than the earliest.
JUNCTIONAL_PR_MS = 115.0
P_NEAREST = 14  # samples from P peak to QRS onset; nearer is a pacing spike or the QRS itself


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
    on_all, centre, t_off = (
        float(np.median(marks[trusted, i])) for i in (QRS_ON, P_PEAK, T_OFF)
    )
    scaled = complex_.stack[:, trusted] / complex_.noise[trusted, None]
    alike = p_agreement(scaled, round(centre), round(on_all))
    if np.isnan(alike):
        return None, "too few beats to tell a P wave from noise"
    wide = float(np.median(spread[trusted, P_PEAK]))
    # In the order in which they are told: the first that holds.
    reasons = {
        "nothing but the QRS itself or a pacing spike before it": on_all - centre < P_NEAREST,
        "nothing but the T wave of the beat before": wide > P_ON_T_SPREAD
        and centre < t_off - rhythm.typical_rr,
        "P waves from below: down in II and aVF, just before the QRS": _is_retrograde(
            complex_, marks, trusted
        ),
        "no P wave keeps its shape and place before the QRS": _p_probability(
            rhythm, alike, wide
        )
        < P_LEAST,
    }
    found = [reason for reason, holds in reasons.items() if holds]
    return (False, found[0]) if found else (True, "")


def _p_probability(rhythm: Rhythm, alike: float, wide: float) -> float:
    """How probable a P is from the beats' likeness, its place's spread and the rhythm."""
    rr = rhythm.normal_rr_ms if rhythm.normal_rr_ms.size > 2 else rhythm.rr_ms
    jumps = sqrt(float(np.mean(np.diff(rr) ** 2))) / rr.mean() if rr.size > 2 else 0.0
    score = P_BIAS + P_ALIKE * alike + P_SPREAD * log(wide + 0.5)
    return 1 / (1 + exp(-score - P_IRREGULAR * min(jumps, 0.3)))


def _is_retrograde(complex_: Complex, marks: np.ndarray, trusted: np.ndarray) -> bool:
    """Whether P goes up from the AV node, just before the QRS, as in junctional rhythm."""
    ii, avf = LEADS.index("II"), LEADS.index("aVF")
    if not (trusted[ii] and trusted[avf]):
        return False
    on, off, qrs = (float(np.median(marks[trusted, i])) for i in (P_ON, P_OFF, QRS_ON))
    if (qrs - on) * MS >= JUNCTIONAL_PR_MS:
        return False
    first, last = round(on), max(round(off), round(on) + 2)
    level = complex_.smooth[[ii, avf], max(0, first - 6) : first + 1].mean(axis=1)
    wave = complex_.smooth[[ii, avf], first : last + 1] - level[:, None]
    area = wave.mean(axis=1)
    least = 3 * complex_.noise[[ii, avf]]
    return bool((area < -np.maximum(0.25 * np.abs(wave).max(axis=1), least)).all())


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
    apart = steady.mean() < 0.5 and np.ptp(pr) > 0.15 * FS
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
