"""Twelve leads to numbers: beats, representative complex, fiducials, intervals, amplitudes.

The way of a cardiograph: find the QRS complexes over all leads together, keep the beats of the
dominant shape, take their median as one representative complex per lead, and mark its waves.
Noise falls with the number of beats, so every headline value comes from that complex.
"""

from ecg_r1.ecg import ECG
from ecg_r1.measurement.prepare import prepare
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
    ready = prepare(ecg)
    if ready.complex_ is None:
        return Measurements(
            unmeasurable=dict.fromkeys(_SINGLE, ready.reason), quality=ready.problems
        )
    marked = mark_shapes(ready.complex_, ready.rhythm, ready.trusted, fold)
    return assemble(ecg.signal, ready, marked)


# Every value that is None must have its reason.
_SINGLE = (
    *("hr_bpm", "pr_ms", "qrs_ms", "qt_ms", "qtc_ms", "qtc_bazett_ms", "qtc_framingham_ms"),
    *("qtc_hodges_ms", "axis_deg", "initial_axis_deg", "p_axis_deg", "t_axis_deg"),
    *("p_present", "regular"),
    *("rr_sd_ms", "rmssd_ms", "n_wide_premature", "n_narrow_premature", "atrial_bpm"),
    *("av_relation", "f_wave_mv", "flutter_bpm", "grouped"),
)
