"""What is true of a simulated record: its marks, intervals, amplitudes and diagnoses."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from ecg_r1.ecg import LEADS
from ecg_r1.fiducials import WAVES
from ecg_r1.simulate.diagnoses import diagnose
from ecg_r1.simulate.heart import Heart
from ecg_r1.simulate.loops import Marks
from ecg_r1.simulate.recording import describe
from ecg_r1.simulate.rhythm import ALONE, OWN, RECORD_MS, STEP_MS, Impulses
from ecg_r1.simulate.spec import HeartSpec

P, QRS, T = 1, 2, 3  # values of `Truth.wave_mask`; 0 is none
LAST = RECORD_MS / STEP_MS
LEVEL_MS = 20.0  # before the QRS onset; the level is the mean of the first half of it
SMALLEST_MV = 0.03  # of a Q, R or S that counts as one


@dataclass(frozen=True, eq=False, repr=False)
class Truth:
    """What was dialled and came out of the clean waves, before any noise.

    Each value is worked out when it is first asked for, and kept.

    Attributes:
        spec: The dials, as the serum potassium moved them.
        heart: The patient's waves.
        impulses: Their times.
        scales: `(beats,)` stretch of each beat's recovery.
    """

    spec: HeartSpec
    heart: Heart = field(repr=False)
    impulses: Impulses = field(repr=False)
    scales: np.ndarray = field(repr=False)

    def __repr__(self) -> str:
        names = ("rhythm", "hr_bpm", "pr_ms", "qrs_ms", "qt_ms", "axis_deg", "diagnoses")
        return f"Truth({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    @property
    def rhythm(self) -> str:
        """One of `RHYTHMS`."""
        return self.spec.rhythm

    @cached_property
    def rr_ms(self) -> np.ndarray:
        """RR intervals of the record."""
        qrs = self.impulses.qrs
        return np.diff(qrs[(qrs >= 0) & (qrs < RECORD_MS)])

    @cached_property
    def hr_bpm(self) -> float:
        """60 / mean RR interval of the record, ectopic beats included."""
        return 60000 / float(self.rr_ms.mean()) if self.rr_ms.size else self.spec.hr_bpm

    @cached_property
    def atrial_bpm(self) -> float | None:
        """Rate of P or flutter waves; None in fibrillation and without P."""
        flutter = self.impulses.flutter
        times = flutter if len(flutter) else self.impulses.p
        inside = times[(times >= 0) & (times < RECORD_MS)]
        return 60000 / float(np.diff(inside).mean()) if inside.size > 1 else None

    @cached_property
    def pr_ms(self) -> float | None:
        """P onset to QRS onset, median over conducted beats; None without such a P."""
        found = self.impulses
        led = (found.p_beats != ALONE) & (found.p_kinds == OWN)
        led &= (found.p >= 0) & (found.p < RECORD_MS)
        if not self.spec.has_p or not led.any():
            return None
        return float(np.median(found.qrs[found.p_beats[led]] - found.p[led]))

    @property
    def qrs_ms(self) -> float:
        """QRS onset to offset of the rhythm's own beat."""
        return self.heart.forms[0].qrs_ms

    @cached_property
    def qt_ms(self) -> float:
        """QRS onset to T offset, median over the rhythm's own beats in the record.

        After a long interval T takes longer: in block or ectopy this is not the dialled QT.
        """
        form = self.heart.forms[0]
        scales = self.scales[self._inside][self.beat_forms == 0]
        stretch = float(np.median(scales)) if scales.size else 1.0
        return form.qrs_ms + stretch * (form.qt_ms - form.qrs_ms)

    @cached_property
    def axis_deg(self) -> float:
        """Frontal axis of the net area of the QRS, -180 to 180."""
        return self.heart.torso.axis(self.heart.forms[0].qrs.area)

    @cached_property
    def p_axis_deg(self) -> float | None:
        """The same of P; None without a P wave."""
        return (
            self.heart.torso.axis(self.heart.atria[0].loop.area) if len(self.p_waves) else None
        )

    @cached_property
    def t_axis_deg(self) -> float:
        """The same of T with ST."""
        return self.heart.torso.axis(self.heart.forms[0].recovery.area)

    @cached_property
    def diagnoses(self) -> tuple[str, ...]:
        """Canonical labels in the order of `<answer>`."""
        return diagnose(
            self.spec,
            rr_ms=self.rr_ms,
            hr_bpm=self.hr_bpm,
            atrial_bpm=self.atrial_bpm,
            axis_deg=self.axis_deg,
            values=self.lead_values,
        )

    @property
    def faults(self) -> tuple[str, ...]:
        """Faults of the recording in words, such as exchanged electrodes."""
        return describe(self.spec.recording)

    @cached_property
    def lead_values(self) -> dict[str, np.ndarray]:
        """Amplitudes (mV) and durations (ms) of the rhythm's own clean beat, rows as `LEADS`.

        Against the level before the QRS. Q is what goes down before R, S what goes down
        after it; a QS stands in both. J is the end of the QRS over leads; ST is taken at
        J + 40, 60 (`st_mv`) and 80 ms.
        """
        return _lead_values(self.heart, self.pr_ms)

    @property
    def qrs_onsets(self) -> np.ndarray:
        """Samples of the QRS onsets within the record, over leads."""
        return self.beat_marks[:, 12, 1, 0]

    @property
    def beat_marks(self) -> np.ndarray:
        """Samples, `(beats, 13, 3, 3)`, of the beats that begin in the record.

        Rows as `LEADS` and "global", waves P, QRS, T, onset, peak, offset; NaN where there is
        none. Times between samples are exact.
        """
        marks = self._laid[0][self._inside]
        return np.where((marks >= 0) & (marks < LAST), marks, np.nan)

    @property
    def beat_forms(self) -> np.ndarray:
        """`(beats,)` 0 for the rhythm's own beat, 1 and more for ectopic forms."""
        return self.impulses.forms[self._inside]

    @cached_property
    def p_waves(self) -> np.ndarray:
        """`(waves, 4)` onset, peak, offset over leads in samples of every P wave, and its beat.

        The beat is that which it led to or came from, -1 where there is none in the record.
        """
        waves = self._laid[1]
        first = self._inside[0] if self._inside.size else 0
        beats = np.where(self.impulses.p_beats == ALONE, ALONE, self.impulses.p_beats - first)
        beats[(beats < 0) | (beats >= len(self._inside))] = ALONE
        seen = (waves[:, 2] > 0) & (waves[:, 0] < LAST)
        return np.column_stack([waves, beats])[seen]

    @property
    def spikes(self) -> np.ndarray:
        """Samples of pacing stimuli."""
        spikes = self.impulses.spikes / STEP_MS
        return spikes[(spikes >= 0) & (spikes < LAST)]

    @cached_property
    def fiducials(self) -> pd.DataFrame:
        """The marks as a table like `measure`'s: beat, lead, wave, onset, peak, offset."""
        marks = self.beat_marks
        index = pd.MultiIndex.from_product(
            [range(len(marks)), [*LEADS, "global"], WAVES], names=["beat", "lead", "wave"]
        )
        columns = ["onset", "peak", "offset"]
        return pd.DataFrame(marks.reshape(-1, 3), index, columns).reset_index()

    @cached_property
    def wave_mask(self) -> np.ndarray:
        """uint8 `(samples,)` over all leads: 0 none, 1 P, 2 QRS, 3 T.

        Where waves overlap, P hides T and QRS hides both, as a reader sees them.
        """
        mask = np.zeros(int(LAST), np.uint8)
        marks, waves = self._laid
        for value, spans in ((T, marks[:, 12, 2]), (P, waves), (QRS, marks[:, 12, 1])):
            for onset, _, offset in spans:
                mask[max(round(onset), 0) : max(round(offset), 0)] = value
        return mask

    @cached_property
    def _inside(self) -> np.ndarray:
        """Beats that begin in the record."""
        return np.flatnonzero((self.impulses.qrs >= 0) & (self.impulses.qrs < RECORD_MS))

    @cached_property
    def _laid(self) -> tuple[np.ndarray, np.ndarray]:
        """Marks `(beats, 13, 3, 3)` of all beats, `(waves, 3)` of all P waves, in samples."""
        found = self.impulses
        marks = np.full((len(found.qrs), 13, 3, 3), np.nan)
        for number, form in enumerate(self.heart.forms):
            own = found.forms == number
            onset, stretch = found.qrs[own, None, None], self.scales[own, None, None]
            marks[own, :, 1] = onset + _rows(form.qrs_marks)
            marks[own, :, 2] = onset + form.qrs_ms + stretch * _rows(form.t_marks)
        waves = np.full((len(found.p), 3), np.nan)
        for kind, atria in enumerate(self.heart.atria):
            own = found.p_kinds == kind
            led = own & (found.p_beats != ALONE)
            rows = _rows(atria.marks)
            waves[own] = found.p[own, None] + rows[12]
            marks[found.p_beats[led], :, 0] = found.p[led, None, None] + rows
        return marks / STEP_MS, waves / STEP_MS


def _rows(marks: Marks) -> np.ndarray:
    """`(13, 3)`: the leads' marks, then those over leads."""
    return np.vstack([marks.leads, [marks.onset, marks.peak, marks.offset]])


def _lead_values(heart: Heart, pr_ms: float | None) -> dict[str, np.ndarray]:
    """`Truth.lead_values`; `pr_ms` of a P wave that leads the beat, or None."""
    form, twelve = heart.forms[0], heart.torso.twelve()
    # The level just before the QRS, where no lead has left it yet.
    t = np.arange(-LEVEL_MS, form.qt_ms + STEP_MS, STEP_MS)
    total = form.qrs.seen(twelve) @ form.qrs.bumps(t)
    total += form.recovery.seen(twelve) @ form.recovery.bumps(t - form.qrs_ms)
    if pr_ms is not None:  # the atria still recover
        atria = heart.atria[0].loop
        total += atria.seen(twelve) @ atria.bumps(t + pr_ms)
    before = round(LEVEL_MS / STEP_MS)
    total = total[:, before:] - total[:, : before // 2].mean(1, keepdims=True)
    j = round(form.qrs_ms / STEP_MS)
    values = _deflections(total[:, : j + 1])
    wave = total[:, j + round(0.25 * (form.qt_ms - form.qrs_ms) / STEP_MS) :]
    values["t_mv"] = wave[np.arange(12), np.abs(wave).argmax(1)]
    values["j_mv"] = total[:, j]
    for name, delay in (("st40_mv", 20), ("st_mv", 30), ("st80_mv", 40)):
        values[name] = total[:, min(j + delay, total.shape[1] - 1)]
    if heart.atria:
        atria = heart.atria[0]
        t = np.arange(0.0, atria.p_ms + STEP_MS, STEP_MS)
        p = atria.loop.seen(twelve) @ atria.loop.bumps(t)
        values["p_mv"] = p[np.arange(12), np.abs(p).argmax(1)]
        values["p_end_mv"] = p[:, len(t) // 2 :].min(1)
    return values


def _deflections(qrs: np.ndarray) -> dict[str, np.ndarray]:
    """Q, R and S of every lead, `(12, samples)` against the level at the onset."""
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
        "q_ms": np.where(q < -SMALLEST_MV, deep.sum(1) * STEP_MS, 0.0),
        "r_mv": np.where(qs, 0.0, height),
        "r_ms": (qrs > 0.25 * SMALLEST_MV).sum(1) * STEP_MS,
        "s_mv": np.where(s < -SMALLEST_MV, s, 0.0),
        "size_mv": height - qrs.min(1),
    }
