"""What is wrong with the recording: leads not to trust, and exchanged electrodes."""

from math import sqrt

import numpy as np
import pandas as pd

from ecg_r1.ecg import FS, LEADS
from ecg_r1.measurement.beats import bridge
from ecg_r1.measurement.complexes import PRE, Complex

QUALITY_COLUMNS = ("missing", "flat", "clipped", "noise_mv", "wander_mv", "mains_mv", "off")
RAIL_S = 0.2  # one stretch at a rail that clips (ours)
OFF_MV = 5.0  # a lead this far from zero or with this much mains hum has lost its electrode


def lead_problem(x: np.ndarray) -> str | None:
    """Why one lead (millivolts) is not trusted, or None."""
    missing = np.isnan(x).mean()
    if missing > 0.5:
        return f"gap: {missing:.0%} not recorded"
    x = x[~np.isnan(x)]
    low, high = x.min(), x.max()
    if high - low > 50 and np.abs(x - np.median(x)).max() > 50:
        return f"out of range: {high - low:.3g} mV peak to peak"
    if high - low < 0.02 or (np.abs(np.diff(x)) < 1e-5).mean() > 0.9:
        return "flat"
    if high - low > 1 and _held(x) > 0.005:
        return "clipped"
    return None


def _held(x: np.ndarray) -> float:
    """Share of samples that stay at the lead's highest or lowest value.

    A recorder's rail is met again and again, or for long; a single short stretch is none. Nor
    is what lasts to the end of the record, where files are filled up with their last value.
    """
    rest = (((x == x.min()) | (x == x.max())) & np.r_[False, np.diff(x) == 0]).astype(int)
    edge = np.diff(rest, prepend=0, append=0)
    start, stop = np.flatnonzero(edge == 1), np.flatnonzero(edge == -1)
    length = (stop - start)[stop < x.size]
    is_rail = length.size > 1 or length.sum() > RAIL_S * FS
    return float(length.sum() / x.size) if is_rail else 0.0


def fill(signal: np.ndarray) -> np.ndarray:
    """Gaps bridged by straight lines (empty leads: zeros), float64, for filtering only."""
    x = signal.astype(np.float64)
    for row in x:
        gap = np.isnan(row)
        if gap.all():
            row[:] = 0.0
        elif gap.any():
            row[gap] = np.interp(np.flatnonzero(gap), np.flatnonzero(~gap), row[~gap])
    return x


def quality_table(
    signal: np.ndarray, filled: np.ndarray, drift_free: np.ndarray
) -> pd.DataFrame:
    """Numbers of each lead's quality; columns `QUALITY_COLUMNS`.

    Args:
        signal: `(12, samples)` mV as read, NaN in gaps.
        filled: The same, gaps bridged.
        drift_free: The same without what is below 0.5 Hz.
    """
    wander = np.ptp((filled - drift_free)[:, ::10], axis=1)
    # The second difference holds little of the ECG; white noise of 1 mV gives sqrt(6) mV.
    rough = np.diff(drift_free, n=2, axis=1)
    noise = 1.48 * np.median(np.abs(rough[:, ::3]), axis=1) / sqrt(6)
    mains = _mains(drift_free)
    missing = np.isnan(signal).mean(axis=1)
    flat = (np.abs(np.diff(filled, axis=1)) < 1e-5).mean(axis=1)
    clipped = [0.0 if np.ptp(x) <= 1 else _held(x) for x in filled]
    off = (
        (np.abs(np.median(filled[:, ::10], axis=1)) > OFF_MV) | (mains > OFF_MV) | (flat > 0.9)
    )
    columns = (missing, flat, clipped, noise, wander, mains, off.astype(float))
    return pd.DataFrame(
        np.stack(columns, axis=1),
        index=pd.Index(LEADS, name="lead"),
        columns=list(QUALITY_COLUMNS),
    )


def _mains(x: np.ndarray) -> np.ndarray:
    """Amplitude in mV of the larger of the 50 and 60 Hz hum in each lead."""
    samples = x.shape[1] - x.shape[1] % (FS // 10)  # whole periods of both
    if samples == 0:
        return np.zeros(12)
    turn = np.exp(-2j * np.pi * np.outer(np.arange(samples), (50, 60)) / FS)
    return 2 / samples * np.abs(x[:, :samples] @ turn).max(axis=1)


def flag_noisy(complex_: Complex, trusted: np.ndarray, quality: dict[str, str]) -> np.ndarray:
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


def pacing_spikes(signal: np.ndarray) -> np.ndarray:
    """Samples of pacing spikes, found in the signal as it was read.

    A spike is over within 4 ms, in four leads at once: its second difference stands out of
    that of the steepest QRS by far. Fewer than three are taken for artefacts.
    """
    x = np.nan_to_num(signal)
    if x.shape[1] < 50:
        return np.zeros(0, int)
    # Up and down again within 4 ms: large against the point before and the point after alike.
    up = x[:, 3:-3] - 0.5 * (x[:, :-6] + x[:, 6:])
    width = np.sort(np.abs(up), axis=0)[-4]  # seen by at least four leads
    sharp = np.abs(np.diff(x, n=2, axis=1))
    fourth = np.sort(sharp, axis=0)[-4]
    # Two spikes a beat hold up to 3 % of the samples themselves. (With these limits of ours one
    # paced and none of 561 other records of PTB-XL has spikes, and the paced ones of LUDB 1-100
    # in which a spike can be seen.)
    limit = max(0.15, *(np.percentile(fourth, (95, 97)) * (12, 11)))
    hits = np.flatnonzero((fourth[2:-2] > limit) & (width > 0.1)) + 3
    spikes = hits[np.diff(hits, prepend=-100) > 10]
    return spikes if spikes.size >= 3 else spikes[:0]  # a single one is an artefact


def without_spikes(x: np.ndarray, spikes: np.ndarray) -> np.ndarray:
    """`x`, `(leads, samples)`, with a line from 4 ms before to 8 ms after each spike."""
    x = x.copy()
    for spike in spikes:
        bridge(x, spike - 2, spike + 4)
    return x


# --- electrodes -------------------------------------------------------------------------------

# Exchanges after which the limb leads have no axis.
NO_AXIS = {
    "arms": "the arm electrodes seem exchanged: record again",
    "right leg": "the right leg electrode seems exchanged: record again",
}


def reversal(net: np.ndarray, p_mv: np.ndarray, size: np.ndarray) -> str | None:
    """Which exchange of electrodes the complexes suggest; None when they suggest none.

    Args:
        net: Net QRS of each lead (R + S, mV), NaN where not measured.
        p_mv: P of each lead.
        size: The larger of QRS, peak to peak, and T of each lead, mV; NaN where not measured,
            0 in a flat lead.

    Returns:
        "arms": P and QRS point down in I while both are upright in V6, which looks the same
        way (in dextrocardia V6 is small and points down).
        "right leg": a lead of the three bipolar ones is nearly flat (the right leg's electrode
        sits on an arm).
        "chest order": R falls and rises again along V1-V6 as no heart does.

    Source: Batchvarov et al. 2007, Europace 9:1081; Rosen et al. 2014, JRAAS 15:123.
    """
    lead = {name: i for i, name in enumerate(LEADS)}
    first, sixth = lead["I"], lead["V6"]
    if net[first] < -0.1 and p_mv[first] < -0.03 and net[sixth] > 0.1 and p_mv[sixth] > 0:
        return "arms"
    limbs = size[[lead["I"], lead["II"], lead["III"]]]
    if (limbs < 0.06).any() and (limbs > 0.6).any():
        return "right leg"
    return "chest order" if _chest_disorder(net[6:]) else None


def _chest_disorder(net: np.ndarray) -> bool:
    """Whether the net QRS turns from rise to fall to rise by a lot along V1-V6."""
    if np.isnan(net).any():
        return False
    steps = np.diff(net)
    swing = 0.6 * max(np.ptp(net), 1.0)
    falls = np.flatnonzero(steps < -swing)
    return any((steps[i + 1 :] > swing).any() for i in falls)
