"""Twelve leads to numbers: beats, representative complex, fiducials, intervals, amplitudes.

The way of a cardiograph: find the QRS complexes over all leads together, keep the beats of the
dominant shape, take their median as one representative complex per lead, and mark its waves.
Noise falls with the number of beats, so every headline value comes from that complex.
"""

import numpy as np
from scipy.signal import butter, sosfiltfilt

from ecg_r1.ecg import ECG, FS, LEADS
from ecg_r1.measurement import quality
from ecg_r1.measurement.beats import QRS_BAND, cluster, detect, rhythm_of
from ecg_r1.measurement.complexes import build_complex
from ecg_r1.measurement.record import Measurements
from ecg_r1.measurement.result import assemble, mark_shapes
from ecg_r1.measurement.values import (
    LEAD_COLUMNS,
    frontal_axis,
    qtc_bazett,
    qtc_framingham,
    qtc_fridericia,
    qtc_hodges,
)

__all__ = [
    "LEAD_COLUMNS",
    "Measurements",
    "frontal_axis",
    "measure",
    "qtc_bazett",
    "qtc_framingham",
    "qtc_fridericia",
    "qtc_hodges",
]

DRIFT_FREE = butter(2, 0.5, "highpass", fs=FS, output="sos")


def measure(ecg: ECG, *, fold: int | None = None) -> Measurements:
    """Measures one ECG. Never raises on a valid `ECG`: what cannot be measured has its reason.

    Args:
        ecg: Any record; three leads and one QRS suffice for something.
        fold: For benchmarks on LUDB alone: use the marking weights that never saw the records
            whose number is `fold` modulo `marks.FOLDS`.

    Returns:
        `Measurements`; intervals in ms, amplitudes in mV, axis in degrees.

    Example:
        >>> import numpy as np
        >>> measure(ECG(signal=np.zeros((12, 5000)), source="flat")).unmeasurable["hr_bpm"]
        'no lead can be trusted'
    """
    problems = {
        lead: problem
        for lead, x in zip(LEADS, ecg.signal, strict=True)
        if (problem := quality.lead_problem(x))
    }
    trusted = np.array([lead not in problems for lead in LEADS])
    if not trusted.any():
        return _nothing("no lead can be trusted", problems)
    if ecg.signal.shape[1] < FS:
        return _nothing("shorter than one second", problems)
    filled = quality.fill(ecg.signal)
    band = sosfiltfilt(QRS_BAND, filled[trusted], axis=1)
    beats = detect(band)
    if beats.size == 0:
        return _nothing("no QRS complex stands out of the noise", problems)
    beats, match = cluster(band, beats)
    gaps = np.isnan(ecg.signal)
    rhythm = rhythm_of(beats, match, gaps[trusted].mean(axis=0) > 0.5)
    drift_free = sosfiltfilt(DRIFT_FREE, filled, axis=1)
    complex_ = build_complex(filled, drift_free, gaps, rhythm, trusted)
    trusted = trusted & ~quality.flag_noisy(complex_, trusted, problems)
    marked = mark_shapes(complex_, rhythm, trusted, fold)
    return assemble(ecg.signal, filled, drift_free, marked, problems)


# Every value that is None must have its reason.
_SINGLE = (
    *("hr_bpm", "pr_ms", "qrs_ms", "qt_ms", "qtc_ms", "qtc_bazett_ms", "qtc_framingham_ms"),
    *("qtc_hodges_ms", "axis_deg", "p_axis_deg", "t_axis_deg", "p_present", "regular"),
    *("rr_sd_ms", "rmssd_ms", "n_wide_premature", "n_narrow_premature", "atrial_bpm"),
    *("av_relation", "f_wave_mv", "flutter_bpm", "grouped"),
)


def _nothing(reason: str, problems: dict[str, str]) -> Measurements:
    return Measurements(unmeasurable=dict.fromkeys(_SINGLE, reason), quality=problems)
