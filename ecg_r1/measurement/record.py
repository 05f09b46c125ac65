"""What `measure` returns: every value with its unit, or the reason why there is none."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ecg_r1.ecg import LEADS
from ecg_r1.measurement.quality import QUALITY_COLUMNS
from ecg_r1.measurement.values import LEAD_COLUMNS

FIDUCIAL_COLUMNS = ("beat", "lead", "wave", "onset", "peak", "offset")


def _per_lead(columns: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame(np.nan, index=pd.Index(LEADS, name="lead"), columns=list(columns))


@dataclass(frozen=True, eq=False)
class Measurements:
    """What was measured on one ECG; None or NaN is "not measurable", never zero.

    Attributes:
        hr_bpm: Ventricular rate from the mean RR interval of all beats, ectopic ones included.
        pr_ms: Global PR interval, P onset to QRS onset by `GLOBAL_RULE` over leads.
        qrs_ms: Global QRS duration.
        qt_ms: Global QT interval.
        qtc_ms: QT corrected by Fridericia, QT / RR^(1/3): the one to use (AHA/ACCF/HRS 2009
            advises against Bazett, which over-corrects fast rhythms).
        qtc_bazett_ms: QT corrected by Bazett, QT / RR^(1/2).
        qtc_framingham_ms: QT corrected by Framingham, QT + 154 ms (1 - RR / s).
        qtc_hodges_ms: QT corrected by Hodges, QT + 1.75 ms (HR - 60).
        axis_deg: Frontal QRS axis from net areas in I and aVF, -180 to 180; like the other
            axes None where limb electrodes seem exchanged.
        initial_axis_deg: The same of the first 80 ms of the QRS: beside a right bundle branch
            block the axis of the left ventricle, before the late forces of the right.
        p_axis_deg: The same of the P wave.
        t_axis_deg: The same of the T wave.
        p_present: Whether P waves lead the dominant beats; None when undecided. Flutter waves,
            P waves that keep their own time, and P waves from the AV node just before the QRS
            (junctional rhythm) do not lead them.
        regular: Whether the RR intervals (ectopy aside) vary by less than 10 %.
        rr_ms: RR intervals in order.
        rr_sd_ms: Standard deviation of the RR intervals between normal beats (SDNN).
        rmssd_ms: Root mean square of their successive differences.
        leads: One row per lead; columns `LEAD_COLUMNS`, see below.
        rpeaks: Sample of each beat's R.
        beat_class: Per beat "dominant", "premature" (dominant shape, early), "wide" (another,
            wide shape) or "premature wide".
        n_wide_premature: Premature wide beats.
        n_narrow_premature: Premature narrow beats; None when the rhythm is irregular without P.
        fiducials: Columns beat, lead, wave, onset, peak, offset (samples).
        p_times: Samples of the peaks of all P waves found, whatever their place against QRS.
        atrial_bpm: Rate of those, or of the flutter waves.
        av_relation: "constant" (a P before each QRS, PR steady), "lengthening" (PR grows until
            a P is not conducted), "blocked" (PR steady, some P not conducted), "dissociated" (P
            and QRS each keep their own time), "variable" (none of these); None without P and in
            flutter.
        f_wave_mv: Root mean square of what is left between T and QRS in 4-10 Hz, in the chest
            lead or limb lead that shows most of it, in mV.
        flutter_bpm: Rate of a regular atrial wave of 200-350 per minute, also one hidden behind
            QRS and T at two to four times a steady ventricular rate; None when none.
        grouped: Whether beats come in groups parted by pauses (as in Wenckebach or bigeminy).
        pacing_spikes: Samples of pacing spikes, found before any filter.
        transition_lead: First chest lead from which R is at least as tall as S is deep.
        reversal: Exchange of electrodes that the complexes suggest: "arms", "right leg" or
            "chest order"; None when none.
        uncertainty: Quantity to the half-width (ms, bpm, degrees) within which about nine of
            ten of LUDB's records have the cardiologists' value. A QTc has that of QT and RR
            together; an axis also that of the beats' own axes. None where the leads or beats
            that it comes from are fewer than three.
        unmeasurable: Quantity to the reason why it is missing.
        quality: Lead to the reason why it is not trusted.
        lead_quality: One row per lead; columns `QUALITY_COLUMNS`: missing, flat and clipped
            (shares of samples), noise_mv (standard deviation, white), wander_mv (peak to peak
            below 0.5 Hz), mains_mv (amplitude at 50 or 60 Hz), off (1: electrode lost).

    Columns of `leads`; amplitudes are signed, in mV, against the level just before the QRS
    (P and the PR segment: before the P); durations in ms:
        pr_ms, qrs_ms, qt_ms, p_ms, t_ms: intervals and durations of this lead alone.
        p_mv, t_mv: peak of P and T.
        q_mv, r_mv, s_mv: depth of Q, tallest R, depth of S. A QS complex stands in both q_mv
            and s_mv with r_mv NaN.
        r2_mv: height of R', a later positive peak parted by a notch; rsr is 1 where there is
            one.
        q_ms, r_ms, s_ms: durations at the level.
        j_mv, st40_mv, st_mv, st80_mv: level at J, J+40, J+60 and J+80 ms; J over leads.
        st_slope_mv_s: slope from J to J+80 ms; st_trend is 1 (up), 0 (horizontal: less than
            0.05 mV over the 80 ms) or -1 (down).
        st_curve: 1 convex (above the chord from J to J+80 by 0.02 mV), -1 concave, 0 straight.
        t_symmetry: duration of T before its peak over that after it.
        notches: turns of the QRS beyond those of its Q, R, S and R'.
        delta_ms: time from QRS onset until its slope first reaches half of the steepest: long
            when the onset is slurred.
        pr_level_mv: PR segment (its last 20 ms) against the level before P.
        u_mv: peak of U above the chord from T end to the next P; 0 when none stands out.
    """

    hr_bpm: float | None = None
    pr_ms: float | None = None
    qrs_ms: float | None = None
    qt_ms: float | None = None
    qtc_ms: float | None = None
    qtc_bazett_ms: float | None = None
    qtc_framingham_ms: float | None = None
    qtc_hodges_ms: float | None = None
    axis_deg: float | None = None
    initial_axis_deg: float | None = None
    p_axis_deg: float | None = None
    t_axis_deg: float | None = None
    p_present: bool | None = None
    regular: bool | None = None
    rr_ms: tuple[float, ...] = ()
    rr_sd_ms: float | None = None
    rmssd_ms: float | None = None
    leads: pd.DataFrame = field(default_factory=lambda: _per_lead(LEAD_COLUMNS), repr=False)
    rpeaks: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    beat_class: tuple[str, ...] = ()
    n_wide_premature: int | None = None
    n_narrow_premature: int | None = None
    fiducials: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=list(FIDUCIAL_COLUMNS)), repr=False
    )
    p_times: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    atrial_bpm: float | None = None
    av_relation: str | None = None
    f_wave_mv: float | None = None
    flutter_bpm: float | None = None
    grouped: bool | None = None
    pacing_spikes: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    transition_lead: str | None = None
    reversal: str | None = None
    uncertainty: dict[str, float] = field(default_factory=dict)
    unmeasurable: dict[str, str] = field(default_factory=dict)
    quality: dict[str, str] = field(default_factory=dict)
    lead_quality: pd.DataFrame = field(
        default_factory=lambda: _per_lead(QUALITY_COLUMNS), repr=False
    )

    def to_json(self) -> dict:
        """All values as plain Python, None for NaN, so that `json.dumps` gives valid JSON."""
        names = (name for name in self.__dataclass_fields__ if name != "fiducials")
        plain = {name: _plain(getattr(self, name)) for name in names}
        marks = self.fiducials.astype(object).where(self.fiducials.notna(), None)
        plain["fiducials"] = marks.to_dict("records")
        return plain


def _plain(value: object) -> object:
    """One value as plain Python; a table as lead -> column -> number."""
    if isinstance(value, pd.DataFrame):
        return {
            str(lead): {k: None if np.isnan(v) else round(float(v), 4) for k, v in row.items()}
            for lead, row in value.to_dict("index").items()
        }
    if isinstance(value, np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value
