"""From a record to its beats and representative complex, or the reason why there is none."""

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfiltfilt

from ecg_r1.ecg import ECG, FS, LEADS
from ecg_r1.measurement import quality
from ecg_r1.measurement.beats import QRS_BAND, Rhythm, cluster, detect, rhythm_of
from ecg_r1.measurement.complexes import Complex, build_complex

DRIFT_FREE = butter(2, 0.5, "highpass", fs=FS, output="sos")


@dataclass
class Prepared:
    """A record ready for marking; without `complex_` it is not measurable for `reason`."""

    problems: dict[str, str]  # lead to why it is not trusted
    reason: str = ""
    filled: np.ndarray | None = None  # (12, samples) mV, gaps bridged
    drift_free: np.ndarray | None = None  # the same without what is below 0.5 Hz
    complex_: Complex | None = None
    rhythm: Rhythm | None = None
    trusted: np.ndarray | None = None


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
    if beats.size == 0:
        return Prepared(problems, "no QRS complex stands out of the noise")
    beats, match = cluster(band, beats)
    gaps = np.isnan(ecg.signal)
    rhythm = rhythm_of(beats, match, gaps[trusted].mean(axis=0) > 0.5)
    drift_free = sosfiltfilt(DRIFT_FREE, filled, axis=1)
    complex_ = build_complex(filled, drift_free, gaps, rhythm, trusted)
    trusted = trusted & ~quality.flag_noisy(complex_, trusted, problems)
    return Prepared(problems, "", filled, drift_free, complex_, rhythm, trusted)
