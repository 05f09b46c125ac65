"""What is true of a simulated record: its marks, intervals, amplitudes and diagnoses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from ecg_r1.ecg import FS, LEADS
from ecg_r1.fiducials import WAVES
from ecg_r1.simulate.heart import Heart
from ecg_r1.simulate.rhythm import ALONE, RECORD_MS, Impulses
from ecg_r1.simulate.spec import HeartSpec

NONE, P, QRS, T = 0, 1, 2, 3  # values of `Truth.wave_mask`
STEP_MS = 1000 / FS
SMALLEST_MV = 0.03  # of a Q, R or S that counts as one


@dataclass(frozen=True, eq=False)
class Truth:
    """What was dialled and came out of the clean waves, before any noise.

    Attributes:
        rhythm: One of `RHYTHMS`.
        hr_bpm: 60 / mean RR interval of the record, ectopic beats included.
        atrial_bpm: Rate of P or flutter waves; None in fibrillation and without P.
        pr_ms: P onset to QRS onset, median over conducted beats; None without such a P.
        qrs_ms: QRS onset to offset of the rhythm's own beat.
        qt_ms: QRS onset to T offset of the rhythm's own beat at the mean rate.
        axis_deg: Frontal axis of the net area of the QRS, -180 to 180.
        p_axis_deg: The same of P; None without a P wave.
        t_axis_deg: The same of T with ST.
        diagnoses: Canonical labels in the order of `<answer>`.
        faults: Faults of the recording in words, such as exchanged electrodes.
        lead_values: Name of a value (`r_mv`, `st_mv`, ...) to twelve numbers, rows as `LEADS`,
            of the rhythm's own clean beat against the level at its QRS onset.
        beat_marks: `(beats, 13, 3, 3)` samples: rows as `LEADS` and "global", waves P, QRS, T,
            onset, peak, offset; NaN where there is none. Times between samples are exact.
        beat_forms: `(beats,)` 0 for the rhythm's own beat, 1 and more for ectopic forms.
        p_waves: `(waves, 4)` global onset, peak, offset in samples of every P wave, conducted
            or not, and the beat that it belongs to (-1: none).
        spikes: Samples of pacing stimuli.
        spans: `(waves, 3)` 1 P, 2 QRS or 3 T, then its onset and offset over leads in samples,
            of every wave that touches the record; they may lie before or after it.
    """

    rhythm: str
    hr_bpm: float
    atrial_bpm: float | None
    pr_ms: float | None
    qrs_ms: float
    qt_ms: float
    axis_deg: float
    p_axis_deg: float | None
    t_axis_deg: float
    diagnoses: tuple[str, ...]
    faults: tuple[str, ...]
    lead_values: Mapping[str, np.ndarray] = field(repr=False)
    beat_marks: np.ndarray = field(repr=False)
    beat_forms: np.ndarray = field(repr=False)
    p_waves: np.ndarray = field(repr=False)
    spikes: np.ndarray = field(repr=False)
    spans: np.ndarray = field(repr=False)

    @property
    def qrs_onsets(self) -> np.ndarray:
        """Samples of the QRS onsets within the record, over leads."""
        return self.beat_marks[:, 12, 1, 0]

    @cached_property
    def fiducials(self) -> pd.DataFrame:
        """The marks as a table like `measure`'s: beat, lead, wave, onset, peak, offset."""
        index = pd.MultiIndex.from_product(
            [range(len(self.beat_marks)), [*LEADS, "global"], WAVES],
            names=["beat", "lead", "wave"],
        )
        columns = ["onset", "peak", "offset"]
        return pd.DataFrame(self.beat_marks.reshape(-1, 3), index, columns).reset_index()

    @cached_property
    def wave_mask(self) -> np.ndarray:
        """uint8 `(samples,)` over all leads: 0 none, 1 P, 2 QRS, 3 T.

        Where waves overlap, P hides T and QRS hides both, as a reader sees them.
        """
        mask = np.zeros(round(RECORD_MS / STEP_MS), np.uint8)
        for value in (T, P, QRS):
            for _, onset, offset in self.spans[self.spans[:, 0] == value]:
                mask[max(round(onset), 0) : max(round(offset), 0)] = value
        return mask


@dataclass(frozen=True)
class Laid:
    """Where the waves of a record lie: fields of `Truth` of the same names."""

    beat_marks: np.ndarray
    beat_forms: np.ndarray
    p_waves: np.ndarray
    spans: np.ndarray


def atrial_rate(impulses: Impulses) -> float | None:
    """P or flutter waves a minute within the record."""
    times = impulses.flutter if len(impulses.flutter) else impulses.p
    inside = times[(times >= 0) & (times < RECORD_MS)]
    return 60000 / float(np.diff(inside).mean()) if inside.size > 1 else None


def pr_interval(spec: HeartSpec, impulses: Impulses) -> float | None:
    """Median P onset to QRS onset over the conducted beats of the record."""
    if not spec.has_p:
        return None
    led = (impulses.p_beats != ALONE) & (impulses.p_kinds == 0)
    led &= (impulses.p >= 0) & (impulses.p < RECORD_MS)
    if not led.any():
        return None
    return float(np.median(impulses.qrs[impulses.p_beats[led]] - impulses.p[led]))


def lay_marks(heart: Heart, impulses: Impulses, scales: np.ndarray) -> Laid:
    """Marks of the beats that begin in the record, and the spans of all waves.

    Args:
        heart: The waves.
        impulses: Their times.
        scales: `(beats,)` stretch of each beat's recovery.
    """
    last = RECORD_MS / STEP_MS
    marks = np.full((len(impulses.qrs), 13, 3, 3), np.nan)
    for number, form in enumerate(heart.forms):
        own = impulses.forms == number
        onset, stretch = impulses.qrs[own, None, None], scales[own, None, None]
        marks[own, :, 1] = onset + _rows(form.qrs_marks)
        marks[own, :, 2] = onset + form.qrs_ms + stretch * _rows(form.t_marks)
    waves = np.full((len(impulses.p), 4), np.nan)
    for kind, atria in enumerate(heart.atria):
        own = impulses.p_kinds == kind
        led = own & (impulses.p_beats != ALONE)
        rows = _rows(atria.marks)
        waves[own, :3] = impulses.p[own, None] + rows[12]
        marks[impulses.p_beats[led], :, 0] = impulses.p[led, None, None] + rows
    marks, waves[:, :3] = marks / STEP_MS, waves[:, :3] / STEP_MS
    ends = np.concatenate([waves[:, [0, 2]], marks[:, 12, 1, ::2], marks[:, 12, 2, ::2]])
    kinds = np.repeat([P, QRS, T], [len(waves), len(marks), len(marks)])
    spans = np.column_stack([kinds, ends])
    inside = np.flatnonzero((impulses.qrs >= 0) & (impulses.qrs < RECORD_MS))
    first = inside[0] if inside.size else 0
    waves[:, 3] = np.where(impulses.p_beats == ALONE, ALONE, impulses.p_beats - first)
    waves[(waves[:, 3] < 0) | (waves[:, 3] >= len(inside)), 3] = ALONE
    marks[(marks < 0) | (marks >= last)] = np.nan
    return Laid(
        marks[inside],
        impulses.forms[inside],
        waves[(waves[:, 2] > 0) & (waves[:, 0] < last)],
        spans[(spans[:, 2] > 0) & (spans[:, 1] < last)],
    )


def _rows(marks: object) -> np.ndarray:
    """`(13, 3)`: the leads' marks, then those over leads."""
    return np.vstack([marks.leads, [marks.onset, marks.peak, marks.offset]])


def lead_values(heart: Heart) -> dict[str, np.ndarray]:
    """Amplitudes (mV) and durations (ms) of the rhythm's own clean beat in each lead.

    Q is what goes down before R, S what goes down after it; a QS stands in both. J is the end
    of the QRS over leads; ST is taken at J + 40, 60 (`st_mv`) and 80 ms.
    """
    form, twelve = heart.forms[0], heart.torso.twelve()
    t = np.arange(0.0, form.qt_ms + 1.0)
    recovery = form.recovery.at(t - form.qrs_ms)
    total = twelve @ (form.qrs.at(t) + recovery)
    total -= total[:, :1]
    j = round(form.qrs_ms)
    values = _deflections(total[:, : j + 1])
    wave = total[:, j + round(0.25 * (form.qt_ms - form.qrs_ms)) :]
    values["t_mv"] = wave[np.arange(12), np.abs(wave).argmax(1)]
    values["j_mv"] = total[:, j]
    for name, delay in (("st40_mv", 40), ("st_mv", 60), ("st80_mv", 80)):
        values[name] = total[:, min(j + delay, total.shape[1] - 1)]
    if heart.atria:
        atria = heart.atria[0]
        p = twelve @ atria.loop.at(np.arange(0.0, atria.p_ms + 1.0))
        values["p_mv"] = p[np.arange(12), np.abs(p).argmax(1)]
        values["p_end_mv"] = p[:, round(0.5 * atria.p_ms) :].min(1)
    return values


def _deflections(qrs: np.ndarray) -> dict[str, np.ndarray]:
    """Q, R and S of every lead, `(12, ms)` against the level at the onset."""
    at = np.arange(qrs.shape[1])
    peak = qrs.argmax(1)
    height = qrs.max(1)
    qs = height < SMALLEST_MV
    before = np.where(at < peak[:, None], qrs, 0)
    after = np.where(at > peak[:, None], qrs, 0)
    q = np.where(qs, qrs.min(1), before.min(1))
    s = np.where(qs, qrs.min(1), after.min(1))
    deep = np.where(qs[:, None], qrs, before) < -0.25 * SMALLEST_MV
    return {
        "q_mv": np.where(q < -SMALLEST_MV, q, 0.0),
        "q_ms": np.where(q < -SMALLEST_MV, deep.sum(1), 0).astype(float),
        "r_mv": np.where(qs, 0.0, height),
        "r_ms": (qrs > 0.25 * SMALLEST_MV).sum(1).astype(float),
        "s_mv": np.where(s < -SMALLEST_MV, s, 0.0),
        "size_mv": height - qrs.min(1),
    }


def axes(heart: Heart) -> tuple[float, float | None, float]:
    """Frontal axes of QRS, P (None without one) and T in degrees."""
    own, torso = heart.forms[0], heart.torso
    p = torso.axis(heart.atria[0].loop.area) if heart.atria else None
    return torso.axis(own.qrs.area), p, torso.axis(own.recovery.area)
