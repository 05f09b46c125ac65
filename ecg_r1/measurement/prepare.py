"""From a record to its beats and representative complex, or the reason why there is none."""

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfiltfilt

from ecg_r1.ecg import ECG, FS, LEADS
from ecg_r1.measurement import quality
from ecg_r1.measurement.beats import EACH_WAY, QRS_BAND, Rhythm, cluster, detect, rhythm_of
from ecg_r1.measurement.complexes import Complex, build_complex

# Samples, all ours: how far R lies from the spike that leads it, and how soon after it what no
# spike leads is its T wave.
SPIKE_BEFORE_R, R_AFTER_SPIKE, T_AFTER_R = 10, 80, 220
DRIFT_FREE = butter(2, 0.5, "highpass", fs=FS, output="sos")


@dataclass
class Prepared:
    """A record ready for marking; without `complex_` it is not measurable for `reason`."""

    problems: dict[str, str]  # lead to why it is not trusted
    reason: str = ""
    filled: np.ndarray | None = None  # (12, samples) mV, gaps and pacing spikes bridged
    drift_free: np.ndarray | None = None  # the same without what is below 0.5 Hz
    complex_: Complex | None = None
    rhythm: Rhythm | None = None
    trusted: np.ndarray | None = None
    spikes: np.ndarray | None = None  # samples of pacing spikes


def prepare(ecg: ECG) -> Prepared:
    """Finds the beats and their representative complex.

    Args:
        ecg: Any record.
    """
    problems = {
        lead: problem
        for lead, x in zip(LEADS, ecg.signal, strict=True)
        if (problem := quality.lead_problem(x))
    }
    trusted = np.array([lead not in problems for lead in LEADS])
    if not trusted.any():
        return Prepared(problems, "no lead can be trusted")
    if ecg.signal.shape[1] < FS:
        return Prepared(problems, "shorter than one second")
    filled = quality.fill(ecg.signal)
    band = sosfiltfilt(QRS_BAND, filled[trusted], axis=1)
    beats = detect(band)
    spikes = quality.pacing_spikes(ecg.signal)
    if spikes.size:
        filled = quality.without_spikes(filled, spikes)
        beats = _led_by_spikes(beats, spikes, filled[trusted])
    if beats.size == 0:
        return Prepared(problems, "no QRS complex stands out of the noise")
    beats, match = cluster(band, beats)
    gaps = np.isnan(ecg.signal)
    rhythm = rhythm_of(beats, match, gaps[trusted].mean(axis=0) > 0.5)
    drift_free = sosfiltfilt(DRIFT_FREE, filled, axis=1)
    complex_ = build_complex(filled, drift_free, gaps, rhythm, trusted)
    trusted = trusted & ~quality.flag_noisy(complex_, trusted, problems)
    return Prepared(problems, "", filled, drift_free, complex_, rhythm, trusted, spikes)


def _led_by_spikes(beats: np.ndarray, spikes: np.ndarray, spikeless: np.ndarray) -> np.ndarray:
    """The beats of a paced record, of which none is the stimulus of the atria nor a T wave.

    The stimulus is as steep as a QRS, and T as steep as a QRS from the ventricles. What is a
    beat is seen without spikes; where it lies, with them, since the stimulus of the ventricles
    marks their beats to the sample.

    Args:
        beats: Samples of R, found with the spikes.
        spikes: Samples of the spikes.
        spikeless: `(leads, samples)` mV without them.
    """
    real = detect(sosfiltfilt(QRS_BAND, spikeless, axis=1))
    if not (real.size and beats.size):
        return real
    nearest = beats[np.abs(real[:, None] - beats).argmin(axis=1)]
    real = np.unique(np.where(np.abs(nearest - real) <= EACH_WAY, nearest, real))
    after = real[:, None] - spikes
    led = ((after >= -SPIKE_BEFORE_R) & (after <= R_AFTER_SPIKE)).any(axis=1)
    is_t = ~led[1:] & led[:-1] & (np.diff(real) < T_AFTER_R)
    return real[np.r_[True, ~is_t]]
