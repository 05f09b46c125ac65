"""What `measure` promises: hand-built beats, hand arithmetic, annotations, bad input."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import wfdb

from benchmarks.measure_ludb import Matches, annotations, levels, load, reference
from ecg_r1.ecg import ECG, FS, LEADS, read_ecg
from ecg_r1.measurement import (
    frontal_axis,
    measure,
    qtc_bazett,
    qtc_framingham,
    qtc_fridericia,
    qtc_hodges,
)
from ecg_r1.measurement.atrial import av_relation, grouped
from ecg_r1.measurement.beats import rhythm_of
from ecg_r1.measurement.complexes import Complex
from ecg_r1.measurement.flutter import without_waves
from ecg_r1.measurement.marks import _t_ends_before
from ecg_r1.measurement.pwaves import _in_time, _keeping_time
from ecg_r1.measurement.quality import lead_problem, pacing_spikes, quality_table, reversal
from ecg_r1.measurement.values import lead_values, transition_lead, wave_axes
from ecg_r1.simulate import HeartSpec, Recording, simulate
from ecg_r1.simulate.conditions import CATALOGUE
from ecg_r1.simulate.population import spec_of

SHAPE = np.array([0.6, 1.0, 0.4, -0.8, 0.1, 0.7, -0.6, -0.4, 0.5, 1.2, 1.1, 0.9])


def half_sine(samples: int) -> np.ndarray:
    return np.sin(np.pi * np.arange(samples + 1) / samples)


def beat_train(
    rr_ms: float = 800, *, with_p: bool = True, seconds: float = 10, starts: object = None
) -> ECG:
    """P 100 ms, PR 160, QRS 90 (triangle), QT 400 (half-sine T of 160 ms); 1 mV R in II."""
    n = int(seconds * FS)
    x = np.zeros(n + 1000)
    for start in np.arange(150, n, rr_ms / 2) if starts is None else starts:
        qrs = int(start)
        if with_p:
            x[qrs - 80 : qrs - 29] += 0.15 * half_sine(50)
        x[qrs : qrs + 46] += 1 - np.abs(np.linspace(-1, 1, 46))
        x[qrs + 120 : qrs + 201] += 0.3 * half_sine(80)
    noise = np.random.default_rng(1).normal(0, 0.003, (12, n))
    return ECG(signal=SHAPE[:, None] * x[:n] + noise, source="by hand")


@pytest.fixture(scope="module")
def plain():
    return measure(beat_train())


# --- values -----------------------------------------------------------------------------------


def test_known_intervals_of_a_hand_built_beat_train_are_found(plain):
    assert plain.hr_bpm == pytest.approx(75, abs=0.3)
    assert plain.pr_ms == pytest.approx(160, abs=6)
    assert plain.qrs_ms == pytest.approx(90, abs=6)
    assert plain.qt_ms == pytest.approx(400, abs=9)
    assert plain.p_present is True
    assert plain.regular is True
    assert plain.av_relation == "constant"
    assert set(plain.beat_class) == {"dominant"}
    assert plain.rr_sd_ms == pytest.approx(0, abs=2)


def test_amplitudes_and_durations_of_a_hand_built_beat_train_are_found(plain):
    lead = plain.leads.loc["II"]
    assert lead.r_mv == pytest.approx(1.0, abs=0.03)
    assert lead.t_mv == pytest.approx(0.3, abs=0.02)
    assert lead.p_mv == pytest.approx(0.15, abs=0.02)
    assert lead.st40_mv == pytest.approx(0.0, abs=0.02)
    assert lead.st_mv == pytest.approx(0.0, abs=0.02)
    assert lead.r_ms == pytest.approx(90, abs=8)
    assert lead.t_ms == pytest.approx(160, abs=20)
    assert lead.t_symmetry == pytest.approx(1.0, abs=0.15)
    assert (lead.st_trend, lead.st_curve, lead.rsr, lead.notches) == (0, 0, 0, 0)
    assert lead.pr_level_mv == pytest.approx(0.0, abs=0.02)
    assert plain.leads.loc["aVR", "s_mv"] == pytest.approx(-0.8, abs=0.03)
    assert np.isnan(plain.leads.loc["aVR", "r_mv"])


def test_no_p_wave_means_no_pr_with_the_reason():
    m = measure(beat_train(with_p=False))
    assert m.p_present is False
    assert m.pr_ms is None
    assert m.unmeasurable["pr_ms"]
    assert m.qrs_ms == pytest.approx(90, abs=6)


def test_axis_of_equal_areas_in_i_and_avf_is_the_arctangent_of_two_over_root_three():
    # tan(a) = 2 * 1 / (sqrt(3) * 1) = 1.1547, a = 49.1 degrees
    assert frontal_axis(1.0, 1.0) == pytest.approx(49.1066, abs=1e-3)
    # a dipole at 60 degrees shows cos(60) = 0.5 in I and cos(30) * 2/sqrt(3)... / aVF = 0.75
    assert frontal_axis(0.5, 0.75) == pytest.approx(60.0, abs=1e-9)
    assert frontal_axis(-1.0, 0.0) == pytest.approx(180.0)


def test_axes_of_a_dipole_are_found_from_its_leads():
    signal = beat_train().signal.copy()
    base = signal[1].copy()
    signal[0], signal[5] = 0.5 * base, -0.75 * base  # -60 degrees
    m = measure(ECG(signal=signal, source=""))
    for axis in (m.axis_deg, m.p_axis_deg, m.t_axis_deg):
        assert axis == pytest.approx(-60, abs=2)


def test_qtc_formulas_by_hand():
    assert qtc_fridericia(400, 512) == pytest.approx(500)  # 0.512 ** (1/3) = 0.8
    assert qtc_bazett(400, 640) == pytest.approx(500)  # sqrt(0.64) = 0.8
    assert qtc_framingham(400, 500) == pytest.approx(477)  # 400 + 154 * 0.5
    assert qtc_hodges(400, 500) == pytest.approx(505)  # 120 bpm: 400 + 1.75 * 60
    for correct in (qtc_fridericia, qtc_bazett, qtc_framingham, qtc_hodges):
        assert correct(400, 1000) == pytest.approx(400)  # 60 bpm: nothing to correct


def test_heart_rate_variability_by_hand():
    # RR 800, 840, 800, ... ms: mean 820, SD 20; successive differences all 40
    starts = 150 + np.cumsum(np.r_[0, np.tile([400, 420], 5)])
    m = measure(beat_train(starts=starts))
    assert m.rr_sd_ms == pytest.approx(20, abs=2)
    assert m.rmssd_ms == pytest.approx(40, abs=3)


def drawn(*points: tuple[int, float]) -> np.ndarray:
    """A lead of 700 samples through the given (sample, mV) corners."""
    return np.interp(np.arange(700), *zip(*points, strict=True))


MARKED = np.array([200.0, 220, 240, 280, 300, 330, 380, 420, 460])  # P, QRS, T: on, peak, off
OVER = (280.0, 330.0)  # QRS onset and J over leads


def test_q_r_s_and_second_r_of_a_drawn_complex():
    corners = [(280, 0), (285, -0.2), (290, 0), (300, 1), (310, -0.4), (320, 0.5), (330, 0)]
    row = lead_values(drawn((0, 0), *corners, (699, 0)), MARKED, 0.001, 400, OVER)
    assert row["q_mv"] == pytest.approx(-0.2)
    assert row["q_ms"] == pytest.approx(20, abs=3)
    assert row["r_mv"] == pytest.approx(1.0)
    assert row["s_mv"] == pytest.approx(-0.4)
    assert row["r2_mv"] == pytest.approx(0.5)
    assert (row["rsr"], row["notches"]) == (1, 0)


def test_a_qs_complex_has_no_r_and_a_notch_is_counted():
    corners = [(280, 0), (295, -0.6), (300, -0.4), (306, -0.9), (330, 0)]
    row = lead_values(drawn((0, 0), *corners, (699, 0)), MARKED, 0.001, 400, OVER)
    assert row["q_mv"] == row["s_mv"] == pytest.approx(-0.9)
    assert np.isnan(row["r_mv"])
    assert row["q_ms"] == pytest.approx(100, abs=3)
    assert row["notches"] >= 1


def test_st_levels_slope_and_shape_of_a_drawn_segment():
    # 0.1 mV at J, rising by 0.1 mV over 80 ms on a straight line: 1.25 mV/s
    rising = drawn((0, 0), (280, 0), (300, 1), (330, 0.1), (370, 0.2), (420, 0.5), (460, 0))
    row = lead_values(rising, MARKED, 0.001, 400, OVER)
    assert row["j_mv"] == pytest.approx(0.1)
    assert row["st40_mv"] == pytest.approx(0.15)
    assert row["st_mv"] == pytest.approx(0.175)
    assert row["st80_mv"] == pytest.approx(0.2)
    assert row["st_slope_mv_s"] == pytest.approx(1.25)
    assert (row["st_trend"], row["st_curve"]) == (1, 0)
    dome = drawn((0, 0), (280, 0), (300, 1), (330, 0.1), (350, 0.2), (370, 0.1), (460, 0))
    row = lead_values(dome, MARKED, 0.001, 400, OVER)
    assert (row["st_trend"], row["st_curve"]) == (0, 1)
    falling = lead_values(-rising, MARKED, 0.001, 400, OVER)
    assert falling["st_trend"] == -1


def test_a_slurred_onset_is_longer_than_a_sharp_one():
    sharp = drawn((0, 0), (280, 0), (300, 1), (330, 0))
    slurred = drawn((0, 0), (280, 0), (298, 0.15), (306, 1), (330, 0))
    row = lead_values(slurred, MARKED, 0.001, 400, OVER)
    assert lead_values(sharp, MARKED, 0.001, 400, OVER)["delta_ms"] <= 4
    assert row["delta_ms"] == pytest.approx(36, abs=4)


def test_pr_depression_and_u_wave_of_a_drawn_lead():
    x = drawn(
        *((0, 0), (200, 0), (220, 0.1), (240, -0.08), (279, -0.08), (280, -0.08), (300, 1)),
        *((330, -0.08), (380, -0.08), (420, 0.3), (460, -0.08), (480, -0.08), (500, 0.05)),
        *((530, -0.08), (699, -0.08)),
    )
    row = lead_values(x, MARKED, 0.001, 450, OVER)
    assert row["pr_level_mv"] == pytest.approx(-0.08, abs=0.01)
    assert row["u_mv"] == pytest.approx(0.13, abs=0.01)
    assert row["p_mv"] == pytest.approx(0.1, abs=0.01)


def test_transition_is_the_lead_after_the_last_with_s_above_r():
    r, s = (
        np.array([0.1, 0.3, 0.6, 1.0, 1.2, 1.0]),
        np.array([-1, -1.2, -0.8, -0.5, -0.1, np.nan]),
    )
    assert transition_lead(r, s) == "V4"
    assert transition_lead(r[::-1], s[::-1]) is None


# --- beats and rhythm -------------------------------------------------------------------------


def premature_of(rr_ms: list[int], foreign: tuple[int, ...] = ()) -> list[int]:
    beats = np.cumsum([100, *(value // 2 for value in rr_ms)])
    match = np.ones(beats.size)
    match[list(foreign)] = 0.5
    rhythm = rhythm_of(beats, match, np.zeros(beats[-1] + 100, bool))
    return np.flatnonzero(rhythm.premature).tolist()


@pytest.mark.parametrize(
    ("rr_ms", "foreign", "expected"),
    [
        pytest.param([800] * 9, (), [], id="regular"),
        pytest.param([800, 800, 500, 1000, 800, 800, 800], (), [3], id="pac"),
        pytest.param([1000, 950, 860, 780, 820, 900, 990, 1000], (), [], id="breathing"),
        pytest.param([800, 800, 700, 850, 800, 800], (3,), [3], id="pvc-a-little-early"),
        # most intervals are short ones: the median is no measure of what is early
        pytest.param([500, 1100] * 4 + [500], (1, 3, 5, 7, 9), [1, 3, 5, 7, 9], id="bigeminy"),
    ],
)
def test_premature_beats_stand_out_of_their_neighbours(rr_ms, foreign, expected):
    assert premature_of(rr_ms, foreign) == expected


def with_wide_beat() -> ECG:
    signal = beat_train(1000).signal.copy()
    at = 2650 - 200  # 400 ms before the sixth R's onset, 600 ms after the fifth
    signal[:, at - 50 : at + 400] = 0.0
    signal[:, at - 50 : at + 51] = -1.5 * SHAPE[::-1, None] * half_sine(100)
    return ECG(signal=signal, source="")


def test_one_early_wide_beat_is_counted_and_marked_in_every_lead():
    m = measure(with_wide_beat())
    assert (m.n_wide_premature, m.n_narrow_premature) == (1, 0)
    assert m.beat_class.count("premature wide") == 1
    beat = m.beat_class.index("premature wide")
    own = m.fiducials[(m.fiducials.beat == beat) & (m.fiducials.wave == "QRS")]
    # One beat whose half-sine has no like in the training data: some 20 ms are missed.
    assert (own.offset - own.onset).median() * 2 == pytest.approx(200, abs=45)


def test_fiducials_have_every_beat_lead_and_wave_in_order(plain):
    marks = plain.fiducials
    assert list(marks) == ["beat", "lead", "wave", "onset", "peak", "offset"]
    assert len(marks) == len(plain.rpeaks) * 13 * 3
    known = marks.dropna()
    assert (known.onset <= known.peak).all()
    assert (known.peak <= known.offset).all()


def test_p_waves_that_come_later_and_later_are_marked_where_they_are():
    signal = beat_train(with_p=False).signal.copy()
    starts = np.arange(150, 5000, 400)
    late = np.resize([80, 95, 110], starts.size)  # PR 160, 190, 220 ms
    for qrs, before in zip(starts[starts < 4900], late, strict=False):
        signal[:, qrs - before : qrs - before + 51] += 0.15 * SHAPE[:, None] * half_sine(50)
    m = measure(ECG(signal=signal, source=""))
    p = m.fiducials[(m.fiducials.lead == "global") & (m.fiducials.wave == "P")]
    off = p.peak.to_numpy() - (starts[: len(p)] - late[: len(p)] + 25)
    assert np.nanmedian(np.abs(off)) * 2 < 10


@pytest.mark.parametrize(
    ("dials", "relation"),
    [
        ({"av_block": "mobitz i"}, "lengthening"),
        ({"av_block": "mobitz ii", "av_ratio": 3}, "blocked"),
        ({"av_block": "third degree"}, "dissociated"),
        ({}, "constant"),
    ],
)
def test_the_relation_of_p_to_qrs_is_told(dials, relation):
    found = [
        measure(simulate(HeartSpec(hr_bpm=72, **dials), seed=s)).av_relation for s in range(4)
    ]
    assert found.count(relation) >= 3


def test_av_relation_by_hand():
    beats = np.arange(500, 5000, 400)
    own = np.ones(beats.size, bool)
    assert av_relation(beats - 80, beats, own, -20) == "constant"
    assert av_relation(np.arange(300, 5000, 290), beats, own, -20) == "dissociated"
    half = np.sort(np.r_[beats - 80, beats + 120])
    assert av_relation(half, beats, own, -20) == "blocked"
    assert av_relation(beats[:2], beats, own, -20) is None


def test_grouped_beating_by_hand():
    assert grouped(np.array([600.0, 600, 1000] * 3)) is True
    assert grouped(np.array([800.0] * 9)) is False
    # groups of three, but pauses of 1000, 1500 and 900 ms
    assert grouped(np.array([600.0, 600, 1000, 600, 600, 1500, 600, 600, 900])) is False
    assert grouped(np.array([610, 900, 700, 1200, 650, 640, 630, 1500, 900])) is False
    assert grouped(np.array([800.0] * 4)) is None


def test_fibrillation_and_flutter_are_told_from_sinus_rhythm(plain):
    flutter = measure(simulate(HeartSpec(rhythm="atrial flutter", hr_bpm=75), seed=1))
    assert flutter.flutter_bpm == pytest.approx(flutter.atrial_bpm)
    assert flutter.flutter_bpm == pytest.approx(300, abs=15)
    assert flutter.pr_ms is None
    af = measure(simulate(HeartSpec(rhythm="atrial fibrillation", rr_variation=0.2), seed=1))
    assert af.p_present is False
    assert af.flutter_bpm is None
    assert af.f_wave_mv > 0.02 > 2 * plain.f_wave_mv
    assert plain.flutter_bpm is None


def clean(condition: str, seed: int) -> ECG:
    """One noise-free draw of a condition of the simulator's catalogue."""
    found = next(one for one in CATALOGUE if one.name == condition)
    spec = spec_of({found.group: condition}, np.random.default_rng(seed))
    quiet = Recording(wander_mv=0.0, emg_mv=0.0)
    # Another seed: the same would bind the patient to the dials.
    return simulate(replace(spec, recording=quiet), seed=seed + 1000)


@pytest.mark.parametrize(
    ("condition", "least"),
    [("atrial flutter 2:1", 5), ("atrial flutter 3:1", 7), ("atrial flutter 4:1", 7)],
)
def test_flutter_waves_at_a_fixed_ratio_are_found_behind_qrs_and_t(condition, least):
    found = 0
    for seed in range(8):
        ecg = clean(condition, seed)
        m = measure(ecg)
        right = m.flutter_bpm is not None and abs(m.flutter_bpm - ecg.truth.atrial_bpm) < 5
        found += right
        assert not right or (m.pr_ms, m.av_relation, len(m.p_times)) == (None, None, 0)
    assert found >= least


@pytest.mark.parametrize(
    "condition",
    ["sinus rhythm", "sinus tachycardia", "hypokalaemia", "LVH with strain", "atrial pacing"],
)
def test_sinus_rhythms_have_no_flutter_waves(condition):
    for seed in range(6):
        assert measure(clean(condition, seed)).flutter_bpm is None


def test_flutter_is_told_in_no_record_that_cardiologists_called_normal(shared):
    for ecg in of_fold_7(shared, "NORM"):
        m = measure(ecg)
        assert m.flutter_bpm is None, ecg.source
        assert m.av_relation in ("constant", "variable"), ecg.source


def of_fold_7(shared, code: str) -> list[ECG]:
    """PTB-XL's records of fold 7 with a code."""
    folder = shared / "data/ptbxl"
    table = pd.read_csv(folder / "ptbxl_database.csv")
    mine = table[(table.strat_fold == 7) & table.scp_codes.str.contains(f"'{code}'")]
    return [read_ecg(folder / name) for name in mine.filename_hr]


def test_premature_beats_of_another_shape_are_wide_beside_a_wide_rhythm(shared):
    """Of PTB-XL's records with PVC in folds 1-7, most have a premature wide beat."""
    folder = shared / "data/ptbxl"
    table = pd.read_csv(folder / "ptbxl_database.csv")
    mine = table[(table.strat_fold < 8) & table.scp_codes.str.contains("'PVC'")]
    found = [measure(read_ecg(folder / n)).n_wide_premature > 0 for n in mine.filename_hr]
    assert len(found) == 9
    assert sum(found) >= 7


def test_ventricular_tachycardia_has_a_rate_and_no_p():
    for seed in range(6):
        ecg = clean("ventricular tachycardia", seed)
        m = measure(ecg)
        assert m.hr_bpm == pytest.approx(ecg.truth.hr_bpm, abs=5)
        assert m.pr_ms is None


@pytest.mark.parametrize(
    "condition", ["ventricular bigeminy", "multiform PVC", "ventricular pacing"]
)
def test_the_heart_rate_counts_every_beat_and_no_t_wave(condition):
    ecgs = [clean(condition, seed) for seed in range(8)]
    off = [measure(ecg).hr_bpm - ecg.truth.hr_bpm for ecg in ecgs]
    assert np.median(np.abs(off)) < 0.5
    assert sum(abs(one) > 5 for one in off) <= 1


@pytest.mark.parametrize(
    "condition",
    ["sinus bradycardia", "short QT", "no substance", "respiratory sinus arrhythmia"],
)
def test_a_t_or_u_wave_between_two_beats_is_no_blocked_p(condition):
    found = [measure(clean(condition, seed)).av_relation for seed in range(8)]
    assert found.count("constant") >= 7


def test_a_p_that_is_not_conducted_lies_midway():
    leading = np.array([0, 400, 800, 1400])
    # 400-800: 200 is off the middle by none, 215 by 15, 250 by 50; the limit is 20
    assert _in_time(np.array([0, 400, 615, 800, 1400]), leading)[2]
    assert not _in_time(np.array([0, 400, 650, 800, 1400]), leading)[2]
    # two of three parts of 200: both must be there
    assert _in_time(np.array([0, 400, 800, 1000, 1200, 1400]), leading)[[3, 4]].all()
    assert not _in_time(np.array([0, 400, 800, 1000, 1400]), leading)[3]


@pytest.mark.parametrize(
    "condition",
    [
        "AV nodal re-entrant tachycardia",
        "AV re-entrant tachycardia",
        "junctional rhythm with retrograde P",
    ],
)
def test_a_t_wave_or_a_retrograde_p_gives_no_pr(condition):
    found = [measure(clean(condition, seed)) for seed in range(8)]
    assert sum(m.p_present is False for m in found) >= 7
    assert all(m.unmeasurable["pr_ms"] for m in found if m.pr_ms is None)


def test_the_low_p_of_an_ectopic_atrial_rhythm_is_kept():
    found = [measure(clean("ectopic atrial rhythm", seed)) for seed in range(8)]
    assert sum(m.p_present is True for m in found) >= 7


def test_pr_of_wenckebach_is_the_median_of_its_beats():
    off = []
    for seed in range(8):
        ecg = clean("Mobitz I", seed)
        m = measure(ecg)
        off += [abs(m.pr_ms - ecg.truth.pr_ms)] if m.pr_ms else []
    assert len(off) >= 6
    assert np.median(off) < 12


@pytest.mark.parametrize("condition", ["hypokalaemia", "flat T", "poor R progression"])
def test_the_qt_ends_before_the_u_wave(condition):
    off, u = [], []
    for seed in range(8):
        ecg = clean(condition, seed)
        m = measure(ecg)
        off.append(m.qt_ms - ecg.truth.qt_ms)
        u.append(m.leads.u_mv.abs().max())
    assert sum(abs(one) > 50 for one in off) <= 1  # U ends 170-180 ms after T
    assert np.median(np.abs(off)) < 12
    assert condition != "hypokalaemia" or np.median(u) > 0.04


def two_humps(between_ms: float, valley: float) -> np.ndarray:
    """A lead with T at 420 and a second hump, the given height (mV) between them."""
    second = 420 + round(between_ms / 2)
    corners = [(380, 0), (420, 0.2), ((420 + second) // 2, valley), (second, 0.15)]
    return drawn((0, 0), *corners, (second + 40, 0), (699, 0))[None]


def test_two_humps_far_apart_are_t_and_u():
    marks = np.delete(np.tile(MARKED, (1, 1)), 4, axis=1)
    marks[:, -1] = 540  # the T end, as if U belonged to T
    assert _t_ends_before(two_humps(160, 0.02), marks, 450) == pytest.approx(460, abs=1)
    assert _t_ends_before(two_humps(160, 0.12), marks, 450) is None  # one wave with a notch
    assert _t_ends_before(two_humps(100, 0.02), marks, 450) is None  # too near: parts of T


def test_an_st_shift_does_not_turn_the_axis():
    off = []
    for seed in range(12):
        ecg = clean("acute inferior infarction", seed)
        turn = measure(ecg).axis_deg - ecg.truth.axis_deg
        off.append(abs((turn + 180) % 360 - 180))
    assert np.median(off) < 5  # 13 where the level before the QRS holds to its end


def test_the_end_of_a_late_s_wave_is_no_st_shift():
    # I: 0.5 mV for 40 samples, then -0.4 mV for 19, of which the last lies behind the J point.
    frontal = np.zeros((1, 2, 700))
    frontal[0, 0, 100:140], frontal[0, 0, 140:159] = 0.5, -0.4
    frontal[0, 1, 100:140] = 0.3
    net_i, net_avf = 40 * 0.5 - 18 * 0.4, 40 * 0.3  # mV samples, J included
    axis = wave_axes(frontal, 100, 157, 100, to_j=True)
    assert axis == pytest.approx([frontal_axis(net_i, net_avf)], abs=0.01)


def test_flutter_waves_are_taken_out_of_qrs_st_and_t(plain):
    # Four waves of 200 ms in each RR, as an atrial circuit draws them: down slowly, up fast.
    ecg = beat_train(with_p=False)
    at = np.arange(ecg.signal.shape[1]) % 100
    saw = np.where(at < 70, 0.5 - at / 70, (at - 70) / 30 - 0.5)
    m = measure(replace(ecg, signal=ecg.signal + 0.2 * SHAPE[:, None] * saw))
    assert m.flutter_bpm == pytest.approx(300, abs=3)
    assert m.qrs_ms == pytest.approx(plain.qrs_ms, abs=6)
    assert m.qt_ms == pytest.approx(plain.qt_ms, abs=9)
    for column in ("r_mv", "t_mv", "st_mv", "st80_mv"):
        assert np.abs(m.leads[column] - plain.leads[column]).max() < 0.02, column


def test_flutter_waves_that_t_hides_are_left_in():
    leads = np.random.default_rng(0).normal(size=(12, 700))
    whole = Complex(leads, leads, np.ones(12), leads[None], leads, leads)
    marks = {"qrs_on": 281.0, "t_off": 460.0}

    def left(rr: int, bpm: float, marks: dict[str, float] = marks) -> bool:
        beats = np.arange(100, 4900, rr)
        rhythm = rhythm_of(beats, np.ones(beats.size), np.zeros(5000, bool))
        return without_waves(whole, rhythm, marks, bpm) is whole

    assert not left(400, 300)  # a cycle of 100 samples
    assert left(200, 300, {"qrs_on": 281.0, "t_off": 341.0})  # two to one, wherever T ends
    assert left(440, 300)  # no whole number of waves in a regular RR
    assert left(400, 300, {"qrs_on": 281.0, "t_off": 281.0 + 301})  # 99 samples of rest


def test_flutter_waves_do_not_turn_the_axis():
    off = []
    for seed in range(8):
        ecg = clean("atrial flutter 4:1", seed)
        turn = measure(ecg).axis_deg - ecg.truth.axis_deg
        off.append(abs((turn + 180) % 360 - 180))
    assert np.mean(off) < 4


def test_the_level_of_a_paced_beat_is_not_its_spike():
    x = drawn((0, 0), (280, 0), (300, 1), (330, 0), (699, 0))
    x[276:278] = 1.5
    assert lead_values(x, MARKED, 0.001, 400, OVER)["st_mv"] == pytest.approx(0, abs=0.001)


# --- the recording ----------------------------------------------------------------------------


def test_pacing_spikes_are_found_where_they_were_put():
    signal = beat_train().signal.copy()
    at = np.arange(140, 4900, 400)
    signal[:, at] += 1.5
    assert np.abs(pacing_spikes(signal) - at).max() <= 2
    assert pacing_spikes(beat_train().signal).size == 0
    signal = beat_train().signal.copy()
    signal[:, 1000] += 1.5  # one is an artefact
    assert pacing_spikes(signal).size == 0


def test_t_waves_of_paced_beats_are_no_beats():
    found = next(one for one in CATALOGUE if one.name == "ventricular pacing")
    spec = spec_of({found.group: found.name}, np.random.default_rng([61000, 5]))
    quiet = Recording(wander_mv=0.0, emg_mv=0.0, low_pass_hz=None)
    ecg = simulate(replace(spec, recording=quiet), seed=61000)  # T is as steep as the QRS
    assert measure(ecg).hr_bpm == pytest.approx(ecg.truth.hr_bpm, abs=1)


def test_p_waves_that_keep_time_are_found_with_some_hidden_by_a_qrs():
    p = np.delete(np.arange(20, 1250, 90), [4, 9])  # at 125 Hz
    odd = np.array([150, 700, 1100])
    assert _keeping_time(np.sort(np.r_[p, odd])).tolist() == p.tolist()
    assert _keeping_time(p[::3]).size == 0  # too far apart
    assert _keeping_time(p[:7]).size == 7
    assert _keeping_time(np.r_[p[:7], 1200]).size == 0  # not for most of the record


def test_a_regular_escape_rhythm_is_no_wenckebach():
    # Five P to three QRS: PR grows twice and falls, but no pause follows.
    p_times, beats = np.arange(40, 5000, 375), np.arange(200, 4500, 625)
    assert av_relation(p_times, beats, np.ones(beats.size, bool), -20) == "dissociated"


def test_a_stimulus_is_no_part_of_the_qrs_that_follows(plain):
    ecg = beat_train()
    signal = ecg.signal.copy()
    onsets = np.arange(150, 5000, 400)
    signal[:, onsets - 8] -= 2.0  # 16 ms before
    m = measure(replace(ecg, signal=signal))
    assert len(m.pacing_spikes) == onsets.size
    assert m.qrs_ms == pytest.approx(plain.qrs_ms, abs=1)
    assert m.pr_ms == pytest.approx(plain.pr_ms, abs=2)
    assert m.leads.q_mv.fillna(0).min() == pytest.approx(
        plain.leads.q_mv.fillna(0).min(), abs=0.01
    )


@pytest.mark.parametrize("hr_bpm", [70, 85])
def test_stimuli_of_the_atria_are_no_beats(hr_bpm):
    quiet = Recording(wander_mv=0.0, emg_mv=0.0, low_pass_hz=None)
    dial = HeartSpec(rhythm="paced", pacing="dual", hr_bpm=hr_bpm, qrs_ms=150, recording=quiet)
    ecg = simulate(dial, seed=3)  # twice as many beats where the stimuli count
    m = measure(ecg)
    assert m.hr_bpm == pytest.approx(ecg.truth.hr_bpm, abs=0.5)
    assert len(m.pacing_spikes) == len(ecg.truth.spikes)


def test_quality_numbers_of_a_lead_are_those_put_in():
    rng, time = np.random.default_rng(0), np.arange(5000) / FS
    x = np.zeros((12, 5000))
    x[0] = 0.2 * np.sin(2 * np.pi * 50 * time)
    x[1] = rng.normal(0, 0.05, 5000)
    x[2] = np.cos(2 * np.pi * 0.1 * time)
    drift_free = x.copy()
    drift_free[2] = 0
    table = quality_table(x, x, drift_free)
    assert table.loc["I", "mains_mv"] == pytest.approx(0.2, abs=0.002)
    assert table.loc["II", "noise_mv"] == pytest.approx(0.05, abs=0.005)
    assert table.loc["III", "wander_mv"] == pytest.approx(2.0, abs=0.01)
    assert table.loc["V1", ["flat", "off"]].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("held", "clipped"),
    [
        ([(4900, 5000)], False),  # to the end: how PTB-XL fills a record up
        ([(1000, 1050)], False),
        ([(1000, 1102)], True),  # more than 0.2 s
        ([(1000, 1020), (2000, 2020)], True),
    ],
)
def test_a_rail_is_met_more_than_once_or_for_long(held, clipped):
    x = np.sin(np.arange(5000) / 300) + 1e-4 * np.arange(5000)
    for start, stop in held:
        x[start:stop] = 2.0
    assert (lead_problem(x) == "clipped") is clipped


def test_a_lead_that_is_lost_is_not_a_flat_one():
    signal = simulate(HeartSpec(), seed=3).signal.copy()
    signal[2] = np.nan
    assert measure(ECG(signal=signal, source="")).reversal is None
    usual = np.array([0.6, 0.9, np.nan, 0.7, 0.2, 0.6, *[1.0] * 6])
    rest = (np.full(12, 0.3), np.full(12, 0.1))
    assert reversal(*rest, usual) is None
    assert reversal(*rest, np.nan_to_num(usual)) == "right leg"


def test_a_lead_at_right_angles_to_the_axis_is_not_the_right_leg():
    """The mean heart's QRS points at 30 degrees: almost none of it is in III, but T is."""
    ecg = simulate(HeartSpec(pr_ms=180, variation=0), seed=1)
    m = measure(ecg)
    assert np.ptp(ecg.signal[2, 500:4500]) < 0.25
    assert m.reversal is None
    assert m.axis_deg == pytest.approx(ecg.truth.axis_deg, abs=5)
    exchanged = ecg.signal.copy()
    exchanged[2] *= 0.1  # 20 uV in all: what the leg's electrode sees of the heart
    assert measure(ECG(signal=exchanged, source="")).reversal == "right leg"


def test_exchanged_arms_are_suspected():
    signal = simulate(HeartSpec(), seed=3).signal
    swapped = signal.copy()  # I upside down; II and III, aVR and aVL change places
    swapped[[0, 1, 2, 3, 4]] = -signal[0], signal[2], signal[1], signal[4], signal[3]
    m = measure(ECG(signal=swapped, source=""))
    assert m.reversal == "arms"
    assert (m.axis_deg, m.p_axis_deg, m.t_axis_deg) == (None, None, None)
    assert m.unmeasurable["axis_deg"].startswith("the arm electrodes seem exchanged")
    assert "axis_deg" not in m.uncertainty
    assert measure(ECG(signal=signal, source="")).reversal is None
    usual = np.array([-0.9, -0.5, 0.1, 0.6, 1.0, 0.8])
    limb = np.array([0.6, 0.9, 0.3, -0.7, 0.2, 0.6])
    rest = (np.full(12, 0.1), np.full(12, 1.0))
    assert reversal(np.r_[limb, usual], *rest) is None
    assert reversal(np.r_[limb, usual[[4, 1, 2, 3, 0, 5]]], *rest) == "chest order"


# --- annotations ------------------------------------------------------------------------------


def test_matching_pairs_each_mark_once_and_counts_the_rest():
    pool = Matches()
    # 100 is met 4 ms late, 500 is missed (160 ms away), 700 lies outside the span
    pool.add(np.array([102.0, 420, 700]), np.array([100.0, 500]), (90, 600))
    assert pool.errors == [4.0]
    assert (pool.missed, pool.extra) == (1, 1)
    assert (pool.sensitivity, pool.ppv) == (0.5, 0.5)


def test_levels_at_the_marks_are_the_drawn_ones():
    marks = {"wave": ["P", "QRS", "T"], "onset": [200, 280, 380], "offset": [240, 330, 460]}
    x = drawn((0, 0), (200, 0), (220, 0.1), (240, 0), (280, 0), (300, 1), (315, -0.3), (330, 0))
    found = levels(x, pd.DataFrame(marks))
    assert [found[k] for k in ("P", "R", "S", "ST")] == pytest.approx([100, 1000, -300, 0])
    # ST is taken 60 ms (30 samples) after the QRS: half of what is reached after 120 ms
    x = drawn((0, 0), (280, 0), (300, 1), (330, 0), (390, 0.2), (420, 0.5), (460, 0), (699, 0))
    assert levels(x, pd.DataFrame(marks))["ST"] == pytest.approx(100)


@pytest.mark.parametrize("number", [1, 2, 5, 10, 20, 40, 70, 98])
def test_ludb_records_agree_with_their_cardiologists(shared, number):
    folder = shared / "data/ludb"
    true = reference(annotations(folder, number))
    m = measure(load(folder, number), fold=number % 5)
    middle = m.leads.median()
    inside = m.rpeaks[(m.rpeaks > true["first"]) & (m.rpeaks < true["last"])]
    assert 60 * FS / np.diff(inside).mean() == pytest.approx(true["hr"], abs=0.3)
    assert middle.pr_ms == pytest.approx(true["pr"], abs=20)
    assert middle.qrs_ms == pytest.approx(true["qrs"], abs=20)
    assert middle.qt_ms == pytest.approx(true["qt"], abs=30)


def test_mean_error_over_twenty_ludb_records_meets_the_goals(shared):
    folder, errors = shared / "data/ludb", []
    for number in range(11, 31):
        true = reference(annotations(folder, number))
        middle = measure(load(folder, number), fold=number % 5).leads.median()
        errors.append([middle[f"{k}_ms"] - true[k] for k in ("pr", "qrs", "qt")])
    pr, qrs, qt = np.nanmean(np.abs(errors), axis=0)
    assert pr < 7
    assert qrs < 7
    assert qt < 9


@pytest.mark.parametrize("number", [38, 88, 90, 95])  # atrial fibrillation in ludb.csv
def test_atrial_fibrillation_has_no_pr(shared, number):
    m = measure(load(shared / "data/ludb", number), fold=number % 5)
    assert m.pr_ms is None
    assert m.p_present is False


# --- bad input --------------------------------------------------------------------------------


def degenerate() -> dict[str, np.ndarray]:
    rng, good = np.random.default_rng(0), beat_train().signal
    gap, flat = good.copy(), good.copy()
    gap[:, 2000:3000], flat[3:] = np.nan, 0.0
    blocks = np.where(np.arange(5000) % 900 < 200, np.nan, good)
    return {
        "zeros": np.zeros((12, 5000)),
        "constant 1e6": np.full((12, 5000), 1e6),
        "times 1e6": good * 1e6,
        "noise": rng.normal(0, 0.2, (12, 5000)),
        "wander": np.cumsum(rng.normal(0, 0.02, (12, 5000)), axis=1),
        "nothing": np.full((12, 5000), np.nan),
        "infinite": np.where(np.arange(5000) == 7, np.inf, good),
        "one sample": good[:, :1],
        "one beat": good[:, 50:650],
        "two beats": good[:, :800],
        "3 s": good[:, :1500],
        "gap": gap,
        "blocks": blocks,
        "one lead": np.where(np.arange(12)[:, None] == 1, good, np.nan),
        "nine flat leads": flat,
        "clipped": np.clip(good, -0.3, 0.3),
        "one minute": np.tile(good, 6),
        "one second": good[:, :500],
    }


def test_uncertainty_of_qtc_follows_from_qt_and_rate(plain):
    qt, rr = plain.qt_ms, 60000 / plain.hr_bpm
    of_qt, of_rr = plain.uncertainty["qt_ms"], rr * plain.uncertainty["hr_bpm"] / plain.hr_bpm
    # Fridericia: 1 / RR^(1/3) of QT's, and a third of QTc of the relative one of RR.
    share = (rr / 1000) ** (-1 / 3)
    by_hand = np.hypot(of_qt * share, qt * share * of_rr / rr / 3)
    assert plain.uncertainty["qtc_ms"] == pytest.approx(by_hand, abs=0.1)
    by_hand = np.hypot(of_qt, 0.154 * of_rr)
    assert plain.uncertainty["qtc_framingham_ms"] == pytest.approx(by_hand, abs=0.1)


def test_uncertainty_of_the_axis_grows_with_the_beats_own_axes():
    steady = simulate(HeartSpec(), seed=5).signal
    turning = steady.copy()
    turning[0] *= 1 + 0.5 * np.sin(np.arange(5000) / 700)
    records = (ECG(signal=x, source="") for x in (steady, turning))
    wide = [measure(record).uncertainty["axis_deg"] for record in records]
    assert wide[1] > wide[0] + 0.3


def test_the_initial_axis_leaves_the_late_right_ventricle_out(assets):
    # A right bundle branch block: its late forces turn the whole QRS past -90 degrees.
    m = measure(read_ecg(assets / "ecgs" / "A0010.hea"))
    assert m.axis_deg < -90
    assert -90 <= m.initial_axis_deg <= -45


SINGLE = (
    *("hr_bpm", "pr_ms", "qrs_ms", "qt_ms", "qtc_ms", "qtc_bazett_ms", "qtc_framingham_ms"),
    *("qtc_hodges_ms", "axis_deg", "initial_axis_deg", "p_axis_deg", "t_axis_deg"),
    *("p_present", "regular"),
    *("rr_sd_ms", "rmssd_ms", "n_wide_premature", "n_narrow_premature", "atrial_bpm"),
    *("av_relation", "f_wave_mv", "flutter_bpm", "grouped"),
)


@pytest.mark.parametrize("name", list(degenerate()))
def test_degenerate_records_give_values_or_reasons(name):
    m = measure(ECG(signal=degenerate()[name], source=name))
    json.dumps(m.to_json(), allow_nan=False)
    for quantity in SINGLE:
        assert (getattr(m, quantity) is None) == (quantity in m.unmeasurable), quantity
    assert all(m.unmeasurable.values())


def test_noise_has_no_heart_rate_and_a_gap_does_not_change_it():
    assert measure(ECG(signal=degenerate()["noise"], source="")).hr_bpm is None
    m = measure(ECG(signal=degenerate()["gap"], source=""))
    assert m.hr_bpm == pytest.approx(75, abs=0.3)
    assert m.qt_ms == pytest.approx(400, abs=14)


def test_every_cinc_record_is_measured(shared):
    files = sorted((shared / "data/cinc2021").rglob("*.hea"))
    for file in files:
        signal, fields = wfdb.rdsamp(str(file.with_suffix("")))
        names = [name.lower() for name in fields["sig_name"]]
        rows = [signal[:, names.index(lead.lower())] for lead in LEADS]
        assert 30 < measure(ECG(signal=np.stack(rows), source=file.stem)).hr_bpm < 250
    assert len(files) == 40


def test_a_record_that_ends_inside_a_wide_qrs_is_measured():
    spec = HeartSpec(hr_bpm=75, conduction="lbbb", qrs_ms=170, qt_ms=440)
    whole = simulate(spec, seed=1)
    for end in range(3770, 3830, 4):
        cut = ECG(whole.signal[:, :end], "cut")
        assert measure(cut).hr_bpm == pytest.approx(75, abs=2)


def test_uncertainty_is_given_for_what_was_measured(plain):
    assert {"hr_bpm", "pr_ms", "qrs_ms", "qt_ms", "p_axis_deg"} <= set(plain.uncertainty)
    assert "pr_ms" not in measure(beat_train(with_p=False)).uncertainty
