"""The marks of every beat: those of its shape's complex, moved to where its own waves lie."""

import numpy as np
import pandas as pd

from ecg_r1.ecg import LEADS
from ecg_r1.fiducials import GLOBAL_RULE, WAVES, over_leads
from ecg_r1.measurement.beats import Rhythm, windows
from ecg_r1.measurement.complexes import POST, PRE
from ecg_r1.measurement.marks import MARKS, QRS_ON

THIN = 4  # lags are looked for in steps of 8 ms


def global_marks(marks: np.ndarray) -> dict[str, float]:
    """One mark over leads each; at least three leads must agree that a wave is there."""
    need = min(3, max(1, int((~np.isnan(marks[:, QRS_ON])).sum())))
    rules = {name: i for i, name in enumerate(MARKS) if name in GLOBAL_RULE}
    return {name: over_leads(name, marks[:, i], need=need) for name, i in rules.items()}


def wave_lags(
    record: np.ndarray,
    template: np.ndarray,
    beats: np.ndarray,
    span: tuple[int, int],
    reach: int,
) -> tuple[np.ndarray, np.ndarray]:
    """How far a wave of each beat lies from where the representative complex has it.

    Args:
        record: `(leads, samples)` in mV below 40 Hz, NaN in gaps.
        template: The complex of the same leads.
        beats: Samples of R.
        span: First and last sample of the wave in the complex.
        reach: Largest lag in samples, each way.

    Returns:
        Per beat the lag in samples of the best correlation over all leads, and that.
    """
    start, stop = max(span[0], 0), min(span[1], PRE + POST)
    wide = windows(record, beats, PRE + reach, POST + reach)[:, :, start : stop + 2 * reach]
    wave = template[:, start:stop:THIN]
    size = wave.shape[1]
    shifts = np.nan_to_num(wide[:, :, ::THIN])
    shifts = np.lib.stride_tricks.sliding_window_view(shifts, size, axis=2)
    wave = wave - wave.mean(axis=1, keepdims=True)
    product = np.einsum("blkn,ln->bk", shifts, wave)
    energy = (shifts.var(axis=3) * size).sum(axis=1)
    match = product / np.sqrt(np.maximum(energy * (wave**2).sum(), 1e-12))
    # Among equals the nearest: a flat stretch must not move a mark.
    lags = np.arange(match.shape[1]) * THIN - reach
    best = (match - 1e-6 * np.abs(lags)).argmax(axis=1)
    return lags[best], match[np.arange(beats.size), best]


def with_global(marks: np.ndarray) -> np.ndarray:
    """`(13, 9)`: the leads' marks and, last, those over leads; R is the complex's centre."""
    over = global_marks(marks)
    known = not np.isnan(over["qrs_on"])
    row = [over.get(name, float(PRE) if known else np.nan) for name in MARKS]
    return np.vstack([marks, row])


def fiducial_table(marks: np.ndarray, rhythm: Rhythm, samples: int) -> pd.DataFrame:
    """All marks of all beats and, as lead "global", over leads.

    Args:
        marks: `(beats, 13, 9)` in samples relative to each beat's R, NaN absent.
        rhythm: The beats.
        samples: Length of the record; marks outside are NaN.
    """
    table = marks.reshape(-1, 13, 3, 3) + rhythm.beats[:, None, None, None]
    table[(table < 0) | (table >= samples)] = np.nan
    beats, rows = rhythm.beats.size, [*LEADS, "global"]
    flat = table.reshape(-1, 3)
    return pd.DataFrame(
        {
            "beat": np.repeat(np.arange(beats), 39),
            "lead": np.tile(np.repeat(np.array(rows, object), 3), beats),
            "wave": np.tile(np.array(WAVES, object), 13 * beats),
            "onset": flat[:, 0],
            "peak": flat[:, 1],
            "offset": flat[:, 2],
        }
    )
