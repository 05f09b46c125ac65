"""From marks to `Measurements`: per beat, per lead, over leads and over the record."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.signal import sosfiltfilt

from ecg_r1.ecg import LEADS
from ecg_r1.measurement import atrial, flutter, pwaves, quality, values
from ecg_r1.measurement.beats import MS, Rhythm
from ecg_r1.measurement.complexes import PRE, SMOOTH, Complex, other_complexes
from ecg_r1.measurement.marks import P_OFF, P_ON, QRS_ON, mark
from ecg_r1.measurement.prepare import Prepared
from ecg_r1.measurement.record import Measurements
from ecg_r1.measurement.table import fiducial_table, global_marks, wave_lags, with_global

NO_P = np.zeros(0, int)
WIDE_MS, WIDER_MS = 110, 20  # a beat of another shape is wide: at least so long, and longer by
# Or of quite another shape, beside which the rhythm's own beats may be wide too. The QRS of a
# single beat is marked some 20 ms short. (All four limits are ours.)
OTHER_SHAPE, OTHER_MS = 0.5, 100

# Half-widths in ms, bpm and degrees: a floor and a share of the leads' spread, of which 90 % of
# LUDB's errors are covered (`benchmarks.measure` prints how many are). The floors of the axes
# cover the cardiologists' own marks: they move a wave's area.
UNCERTAINTY = {"pr_ms": (10.5, 1.0), "qrs_ms": (12.0, 1.0), "qt_ms": (13.5, 1.0)}
HR_UNCERTAINTY = 0.3
AXIS_UNCERTAINTY = {"axis_deg": 10.0, "p_axis_deg": 18.0, "t_axis_deg": 20.0}  # floors
CORRECTIONS = {
    "qtc_ms": values.qtc_fridericia,
    "qtc_bazett_ms": values.qtc_bazett,
    "qtc_framingham_ms": values.qtc_framingham,
    "qtc_hodges_ms": values.qtc_hodges,
}
INITIAL = 40  # samples (80 ms) of the QRS that a late right ventricle does not reach
# Axis -> the marks over leads where its wave begins and ends, and before which its level lies.
AXES = {
    "axis_deg": ("qrs_on", "qrs_off", "qrs_on"),
    "initial_axis_deg": ("qrs_on", "qrs_80_ms", "qrs_on"),
    "p_axis_deg": ("p_on", "p_off", "p_on"),
    "t_axis_deg": ("t_on", "t_off", "qrs_on"),
}


@dataclass
class Marked:
    """The record with its complexes marked."""

    complex_: Complex
    rhythm: Rhythm
    trusted: np.ndarray  # leads that were marked
    marks: np.ndarray  # (12, 9) on the dominant complex, samples from its start
    others: list[tuple[np.ndarray, np.ndarray]]  # beats and marks of the other shapes
    p_present: bool | None
    p_reason: str
    flutter_bpm: float | None
    p_times: np.ndarray  # samples of the peaks of all P waves
    av_relation: str | None


def mark_shapes(
    complex_: Complex, rhythm: Rhythm, trusted: np.ndarray, fold: int | None
) -> Marked:
    """Marks on the complexes of all shapes, the dominant one first."""
    others = other_complexes(complex_, rhythm)
    raw = np.stack([complex_.raw, *(x for _, x in others)])
    smooth = np.stack([complex_.smooth, *(sosfiltfilt(SMOOTH, x, axis=1) for x in raw[1:])])
    single = complex_.noise * np.sqrt(max(1, complex_.stack.shape[0]))
    noise = np.stack([complex_.noise, *(single for _ in others)])
    marks, spread = mark(raw, smooth, noise, trusted, rhythm.typical_rr, fold=fold)
    present, reason = atrial.p_present(complex_, rhythm, marks[0], spread[0], trusted)
    fluttering = flutter.flutter_bpm(complex_, rhythm, marks[0], trusted)
    if fluttering:
        present, reason = False, f"flutter waves, {fluttering:.0f} a minute"
        over = global_marks(marks[0])
        complex_ = flutter.without_waves(complex_, rhythm, over, fluttering)
        marks[:1], _ = mark(
            complex_.raw[None], complex_.smooth[None], complex_.noise[None], trusted,
            rhythm.typical_rr, fold=fold,
        )  # fmt: skip
    if not present:
        marks[:, :, : P_OFF + 1] = np.nan
    shapes = [(beats, one) for (beats, _), one in zip(others, marks[1:], strict=True)]
    found = Marked(
        complex_, rhythm, trusted, marks[0], shapes, present, reason, fluttering, NO_P, None
    )
    return found if fluttering else _with_p_waves(found, fold)


def _with_p_waves(marked: Marked, fold: int | None) -> Marked:
    """All P waves and their relation to the QRS; P of a lengthening PR is marked only here."""
    rhythm = marked.rhythm
    parts = (marked.complex_, rhythm, marked.marks, marked.trusted)
    rest = pwaves.without_qrst(*parts)
    times = pwaves.all_p_waves(
        rest, rhythm.beats, marked.complex_, marked.marks, marked.trusted
    )
    on = float(np.median(marked.marks[marked.trusted, QRS_ON])) - PRE
    relation = atrial.av_relation(times, rhythm.beats, rhythm.steady(), on)
    if not marked.p_present and relation == "lengthening":
        marked = _with_moving_p(marked, times, on, fold)
    if not marked.p_present and relation != "dissociated":
        relation = None  # waves that do not lead the beats cannot be conducted to them
    return replace(marked, p_times=times, av_relation=relation)


def _with_moving_p(marked: Marked, times: np.ndarray, on: float, fold: int | None) -> Marked:
    """P marked on a complex whose P waves were laid upon each other, at the median PR."""
    c = marked.complex_
    raw = pwaves.with_p_at_median(c.raw, c.levelled, times, marked.rhythm.beats, on)
    smooth = sosfiltfilt(SMOOTH, raw, axis=1)
    new, _ = mark(
        raw[None], smooth[None], c.noise[None], marked.trusted, marked.rhythm.typical_rr,
        fold=fold,
    )  # fmt: skip
    marks = marked.marks.copy()
    marks[:, : P_OFF + 1] = new[0, :, : P_OFF + 1]
    lead = replace(c, raw=raw, smooth=smooth)
    return replace(marked, complex_=lead, marks=marks, p_present=True, p_reason="")


# --- every beat -------------------------------------------------------------------------------


def beat_marks(marked: Marked) -> np.ndarray:
    """Marks of every beat `(beats, 13, 9)` relative to its R, over leads last."""
    rhythm = marked.rhythm
    table = np.full((rhythm.beats.size, 13, 9), np.nan)
    table[rhythm.dominant] = with_global(marked.marks)
    for beats, own in marked.others:
        table[beats] = with_global(own)
    if marked.p_present:
        _move_p(marked, table)
    return table - PRE


def _move_p(marked: Marked, table: np.ndarray) -> None:
    """Moves P of every beat to where it lies; none where nothing looks like it, in place.

    Small lags are left out: they are noise, and the complex's marks are better.
    """
    trusted, marks, rhythm = marked.trusted, marked.marks, marked.rhythm
    on, off, qrs = (round(float(np.median(marks[trusted, i]))) for i in (P_ON, P_OFF, QRS_ON))
    lag, alike = wave_lags(
        marked.complex_.record[trusted],
        marked.complex_.smooth[trusted],
        rhythm.beats,
        (on - 8, off + 8),
        reach=60,
    )
    real = (np.abs(lag) > 6) & (alike > 0.7) & (off + lag < qrs + 5)
    lag = np.where(real, lag, 0)
    table[:, :, : P_OFF + 1] += lag[:, None, None]
    odd = rhythm.premature | ~rhythm.dominant
    table[odd & (alike < 0.5), :, : P_OFF + 1] = np.nan


def beat_classes(marked: Marked) -> tuple[str, ...]:
    """Class of every beat, see `Measurements.beat_class`."""
    rhythm = marked.rhythm
    own_ms = _duration(marked.marks)
    wide = np.zeros(rhythm.beats.size, bool)
    wide[~rhythm.dominant] = rhythm.match[~rhythm.dominant] < 0.75
    for beats, marks in marked.others:
        length = _duration(marks)
        wide[beats] = length >= WIDE_MS and length >= own_ms + WIDER_MS
        wide[beats] |= (rhythm.match[beats] < OTHER_SHAPE) & (length >= OTHER_MS)
    names = (("dominant", "wide"), ("premature", "premature wide"))
    return tuple(names[int(e)][int(w)] for e, w in zip(rhythm.premature, wide, strict=True))


def _duration(marks: np.ndarray) -> float:
    glob = global_marks(marks)
    return (glob["qrs_off"] - glob["qrs_on"]) * MS


# --- values -----------------------------------------------------------------------------------


def assemble(signal: np.ndarray, ready: Prepared, marked: Marked) -> Measurements:
    """Everything that follows from the marks."""
    rhythm = marked.rhythm
    leads = lead_table(marked)
    classes = beat_classes(marked)
    found, missing = _headline(marked, classes)
    per_beat = beat_marks(marked)
    chest = leads.loc["V1":"V6"]
    exchange = _reversal(leads, ready.problems)
    if exchange in quality.NO_AXIS:
        found |= dict.fromkeys(AXES)
        missing |= dict.fromkeys(AXES, quality.NO_AXIS[exchange])
    return Measurements(
        **found,
        rr_ms=tuple(rhythm.rr_ms.tolist()),
        leads=leads,
        rpeaks=rhythm.beats,
        beat_class=classes,
        fiducials=fiducial_table(per_beat, rhythm, signal.shape[1]),
        pacing_spikes=ready.spikes,
        transition_lead=values.transition_lead(
            chest["r_mv"].to_numpy(), chest["s_mv"].to_numpy()
        ),
        reversal=exchange,
        uncertainty=_uncertainty(marked, leads, found),
        unmeasurable=missing,
        quality=ready.problems,
        lead_quality=quality.quality_table(signal, ready.filled, ready.drift_free),
    )


def _headline(
    marked: Marked, classes: tuple[str, ...]
) -> tuple[dict[str, Any], dict[str, str]]:
    """All single values, and the reason for each that is missing."""
    rhythm = marked.rhythm
    glob = global_marks(marked.marks)
    rr = rhythm.rr_ms
    found, why = _intervals(glob, float(rr.mean()) if rr.size else np.nan, marked.p_reason)
    more = (
        _axes(marked, glob),
        _counts(marked, classes),
        _variability(rhythm),
        _atria(marked),
    )
    for part, reasons in more:
        found |= part
        why |= reasons
    found |= {"p_present": marked.p_present, "regular": rhythm.regular}
    why |= {"p_present": marked.p_reason, "regular": "fewer than three RR intervals"}
    return found, {name: why[name] for name, value in found.items() if value is None}


def _intervals(glob: dict[str, float], rr_ms: float, p_reason: str) -> tuple[dict, dict]:
    """Headline intervals (ms, None when missing) and why they may be missing."""
    pr, qrs, qt = (
        (glob[stop] - glob[start]) * MS
        for start, stop in (("p_on", "qrs_on"), ("qrs_on", "qrs_off"), ("qrs_on", "t_off"))
    )
    found = {"hr_bpm": 60000 / rr_ms, "pr_ms": pr, "qrs_ms": qrs, "qt_ms": qt}
    found |= {name: correct(qt, rr_ms) for name, correct in CORRECTIONS.items()}
    why = dict.fromkeys(CORRECTIONS, "no QT or no RR interval") | {
        "hr_bpm": "a single beat has no rate",
        "pr_ms": p_reason or "no P onset in three leads",
        "qrs_ms": "no QRS bounds in three leads",
        "qt_ms": "no T end in three leads",
    }
    return {n: None if np.isnan(v) else round(float(v), 1) for n, v in found.items()}, why


def _axis_of(name: str, glob: dict[str, float], waves: np.ndarray) -> np.ndarray:
    """One of `AXES` for each of `(beats, 12, samples)`, NaN where there is none."""
    at = glob | {"qrs_80_ms": min(glob["qrs_on"] + INITIAL, glob["qrs_off"])}
    on, off, before = (at[mark] for mark in AXES[name])
    return values.wave_axes(waves[:, [0, 5]], on, off, before, to_j=name == "axis_deg")


def _axes(marked: Marked, glob: dict[str, float]) -> tuple[dict, dict]:
    """Frontal axes of QRS, P and T in degrees."""
    found: dict[str, float | None] = dict.fromkeys(AXES)
    if marked.trusted[0] and marked.trusted[5]:
        axes = {name: _axis_of(name, glob, marked.complex_.raw[None])[0] for name in AXES}
        found = {
            n: None if np.isnan(axis) else round(float(axis), 1) for n, axis in axes.items()
        }
    return found, {
        "axis_deg": "no net QRS area in leads I and aVF",
        "initial_axis_deg": "no net area of the first 80 ms of the QRS in leads I and aVF",
        "p_axis_deg": marked.p_reason or "no net P area in leads I and aVF",
        "t_axis_deg": "no net T area in leads I and aVF",
    }


def _counts(marked: Marked, classes: tuple[str, ...]) -> tuple[dict, dict]:
    """Premature beats; narrow ones mean nothing in fibrillation."""
    fibrillating = marked.p_present is False and marked.rhythm.regular is False
    found = {
        "n_wide_premature": classes.count("premature wide"),
        "n_narrow_premature": None if fibrillating else classes.count("premature"),
    }
    return found, {"n_narrow_premature": "irregular rhythm without P waves"}


def _variability(rhythm: Rhythm) -> tuple[dict, dict]:
    """Variability of the RR intervals between normal beats, in ms."""
    rr = rhythm.normal_rr_ms
    few = "fewer than three RR intervals between normal beats"
    found = {"rr_sd_ms": None, "rmssd_ms": None}
    if rr.size >= 3:
        found["rr_sd_ms"] = round(float(np.std(rr)), 1)
        found["rmssd_ms"] = round(float(np.sqrt(np.mean(np.diff(rr) ** 2))), 1)
    return found, dict.fromkeys(found, few)


def _atria(marked: Marked) -> tuple[dict, dict]:
    """P waves over the record, their rate and relation to QRS, flutter and fibrillation."""
    parts = (marked.complex_, marked.rhythm, marked.marks, marked.trusted)
    fluttering, times = marked.flutter_bpm, marked.p_times
    rate = 60000 / (float(np.median(np.diff(times))) * MS) if times.size >= 3 else None
    wave = flutter.f_wave_mv(*parts)
    found = {
        "p_times": times,
        "flutter_bpm": fluttering,
        "atrial_bpm": fluttering or rate,
        "av_relation": marked.av_relation,
        "f_wave_mv": None if np.isnan(wave) else round(wave, 4),
        "grouped": atrial.grouped(marked.rhythm.rr_ms),
    }
    return found, {
        "flutter_bpm": "no regular wave of 200-350 a minute between T and QRS",
        "atrial_bpm": "fewer than three P waves",
        "av_relation": marked.p_reason or "fewer than three P waves",
        "f_wave_mv": "no room between T and QRS",
        "grouped": "fewer than five RR intervals",
    }


def lead_table(marked: Marked) -> pd.DataFrame:
    """`Measurements.leads`."""
    over = global_marks(marked.marks)
    qrs = (over["qrs_on"], over["qrs_off"])
    rows = [
        values.lead_values(x, marks, noise, marked.rhythm.typical_rr, qrs)
        for x, marks, noise in zip(
            marked.complex_.raw, marked.marks, marked.complex_.noise, strict=True
        )
    ]
    columns = list(values.LEAD_COLUMNS)
    return pd.DataFrame(rows, index=pd.Index(LEADS, name="lead"), columns=columns)


def _reversal(leads: pd.DataFrame, problems: dict[str, str]) -> str | None:
    high = leads["r_mv"].fillna(0).to_numpy()
    low = np.minimum(leads["q_mv"].fillna(0), leads["s_mv"].fillna(0)).to_numpy()
    lost = leads["qrs_ms"].isna().to_numpy()
    flat = np.array([problems.get(lead) == "flat" for lead in leads.index])
    net = np.where(lost, np.nan, high + low)
    # An axis at right angles to a lead leaves it a T; one end on the right leg leaves nothing.
    whole = np.maximum(high - low, leads["t_mv"].abs().fillna(0))
    size = np.where(flat, 0.0, np.where(lost, np.nan, whole))
    return quality.reversal(net, leads["p_mv"].to_numpy(), size)


def _uncertainty(
    marked: Marked, leads: pd.DataFrame, found: dict[str, Any]
) -> dict[str, float]:
    """Half-widths of about 90 % from the leads' disagreement and the beats' number."""
    wide: dict[str, float] = {}
    for name, (floor, share) in UNCERTAINTY.items():
        known = leads[name].to_numpy()
        known = known[~np.isnan(known)]
        if known.size >= 3:
            spread = 1.48 * float(np.median(np.abs(known - np.median(known))))
            wide[name] = round(float(np.hypot(floor, share * spread)), 1)
    if marked.rhythm.rr_ms.size:
        wide["hr_bpm"] = HR_UNCERTAINTY
    return wide | _qtc_uncertainty(wide, found) | _axis_uncertainty(marked, found)


def _qtc_uncertainty(wide: dict[str, float], found: dict[str, Any]) -> dict[str, float]:
    """Of each QTc, from those of QT and of the rate, which are independent."""
    qt, bpm = found["qt_ms"], found["hr_bpm"]
    if qt is None or bpm is None or "qt_ms" not in wide:
        return {}
    rr = 60000 / bpm
    rr_wide = rr * wide["hr_bpm"] / bpm
    return {
        name: round(
            float(
                np.hypot(
                    correct(qt + wide["qt_ms"], rr) - correct(qt, rr),
                    correct(qt, rr + rr_wide) - correct(qt, rr),
                )
            ),
            1,
        )
        for name, correct in CORRECTIONS.items()
    }


def _axis_uncertainty(marked: Marked, found: dict[str, Any]) -> dict[str, float]:
    """Of each axis: the floor, and the standard error of the beats' own axes."""
    glob = global_marks(marked.marks)
    wide = {}
    for name, floor in AXIS_UNCERTAINTY.items():
        if found[name] is None:
            continue
        axes = _axis_of(name, glob, marked.complex_.stack)
        off = np.abs((axes[~np.isnan(axes)] - found[name] + 180) % 360 - 180)
        if off.size >= 3:  # 1.64: 90 %; 1.25: of a median; 1.48: from the median distance
            error = 1.64 * 1.25 * 1.48 * float(np.median(off)) / np.sqrt(off.size)
            wide[name] = round(float(np.hypot(floor, error)), 1)
    return wide
