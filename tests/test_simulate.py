"""The simulator: its leads obey the laws, its truth is true, its pathologies look like them."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ecg_r1.ecg import FS, LEADS, ECGError
from ecg_r1.fiducials import over_leads
from ecg_r1.simulate import BALANCES, HeartSpec, Recording, sample_spec, simulate
from ecg_r1.simulate.conditions import CATALOGUE, condition
from ecg_r1.simulate.loops import EDGE, Marks, evenly
from ecg_r1.simulate.population import spec_of
from ecg_r1.simulate.torso import FIELD, Torso

IDEAL = Recording(wander_mv=0, emg_mv=0, adc_uv=0, high_pass_hz=0, low_pass_hz=None)
# The mean heart on an ideal machine, regular, without U.
QUIET = HeartSpec(variation=0, rr_variation=0, beat_variation=0, u_mv=0, recording=IDEAL)
ONLY_QRS = replace(QUIET, p_mv=0.0, t_gain=0.0)
ONLY_T = replace(QUIET, p_mv=0.0, qrs_gain=1e-6)
ONLY_P = replace(QUIET, qrs_gain=1e-6, t_gain=0.0, p_mv=0.2)


def beat(ecg, lead: str, number: int = 2) -> np.ndarray:
    """One lead from the onset of a QRS (third by default), against the level there."""
    onset = round(ecg.truth.qrs_onsets[number])
    x = ecg.lead(lead)[onset:]
    return x - x[0]


def at(ecg, lead: str, ms: float, number: int = 2) -> float:
    return float(beat(ecg, lead, number)[round(ms * FS / 1000)])


def values(ecg, name: str) -> dict[str, float]:
    return dict(zip(LEADS, ecg.truth.lead_values[name].tolist(), strict=True))


def rows(ecg, wave: str, lead: str = "global"):
    table = ecg.truth.fiducials
    return table[(table.wave == wave) & (table.lead == lead)]


# ---------------------------------------------------------------- laws


@pytest.mark.parametrize("balance", BALANCES)
def test_limb_leads_obey_einthoven_and_goldberger_in_every_noisy_record(balance):
    rng = np.random.default_rng(3)
    for seed in range(20):
        i, ii, iii, avr, avl, avf = simulate(sample_spec(rng, balance), seed).signal[:6]
        assert np.abs(i + iii - ii).max() <= 0.0011  # of 1 uV steps
        assert np.abs(avr + (i + ii) / 2).max() <= 0.0011
        assert np.abs(avl - (i - iii) / 2).max() <= 0.0011
        assert np.abs(avf - (ii + iii) / 2).max() <= 0.0011


def test_the_mean_heart_is_one_dipole_and_a_patient_nearly_one():
    """Beyond three components: nothing, and the 0.1 to 0.3 % of PTB-XL's normal records."""
    beyond = []
    for variation in (0, 1):
        ecg = simulate(replace(QUIET, variation=variation, p_mv=0.0), 3)
        powers = np.linalg.svd(ecg.signal[[0, 1, 6, 7, 8, 9, 10, 11]], compute_uv=False) ** 2
        beyond.append(powers[3:].sum() / powers.sum())
    assert beyond[0] < 1e-9
    assert 3e-4 < beyond[1] < 5e-3


# ---------------------------------------------------------------- marks, by the mathematics


@pytest.mark.parametrize(
    ("spec", "wave"), [(ONLY_QRS, "QRS"), (ONLY_T, "T"), (ONLY_P, "P")], ids=["QRS", "T", "P"]
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_wave_begins_and_ends_at_the_stated_share_of_its_peak_in_every_lead(spec, wave, seed):
    """Each wave alone in the record: the trace itself says where it crosses its edge."""
    ecg = simulate(replace(spec, variation=1, hr_bpm=50), seed)
    time = np.arange(ecg.signal.shape[1])
    checked = 0
    for lead in LEADS:
        marks = rows(ecg, wave, lead).iloc[2]
        x = np.abs(ecg.lead(lead))
        if np.isnan(marks.onset):
            continue
        peak = x[round(marks.onset) : round(marks.offset) + 1].max()
        edges = [marks.offset] if wave == "T" else [marks.onset, marks.offset]
        for edge in edges:  # T's onset is that of T alone, without the ST segment
            assert np.interp(edge, time, x) == pytest.approx(
                EDGE[wave] * peak, abs=float(0.015 * peak)
            )
        before, after = round(edges[0]) - 40, round(edges[-1]) + 2
        assert x[after : after + 40].max() < (EDGE[wave] + 0.02) * peak
        if wave != "T":
            assert x[before : before + 38].max() < (EDGE[wave] + 0.02) * peak
        checked += 1
    assert checked >= 6


@pytest.mark.parametrize(
    ("wave", "widths"),
    # exp(-x^2 / 2) = 0.02 at x = sqrt(2 ln 50); = 0.08 at sqrt(2 ln 12.5)
    [("QRS", 2.797), ("P", 2.248), ("T", 2.248)],
)
def test_a_single_bump_begins_and_ends_where_hand_arithmetic_says(wave, widths):
    bump = evenly(np.array([100.0]), 10.0, np.array([[1.0, 0.5, -0.7]]))
    field = Torso(FIELD).twelve()
    marks = Marks(bump, field, wave, np.arange(0.0, 200.0))
    seen = np.abs(field @ bump.vectors[0]) > 0.1
    assert marks.leads[seen, 0] == pytest.approx(100 - 10 * widths, abs=0.05)
    assert marks.leads[seen, 2] == pytest.approx(100 + 10 * widths, abs=0.05)
    assert (marks.onset, marks.peak) == (pytest.approx(100 - 10 * widths, abs=0.05), 100)


def test_marks_over_leads_follow_the_rule_of_measure():
    """On the mean heart every lead shows the QRS, so the rule needs no choice of leads."""
    ecg = simulate(replace(QUIET, axis_deg=50), 0)
    table = ecg.truth.fiducials
    one = table[(table.wave == "QRS") & (table.beat == 2) & (table.lead != "global")]
    sizes = np.array([np.ptp(beat(ecg, lead)[:50]) for lead in LEADS])
    used = (sizes > 0.35 * sizes.max()).tolist()
    glob = rows(ecg, "QRS").iloc[2]
    assert over_leads("qrs_on", one.onset.to_numpy()[used]) == pytest.approx(glob.onset, abs=3)
    assert over_leads("qrs_off", one.offset.to_numpy()[used]) == pytest.approx(
        glob.offset, abs=3
    )


@pytest.mark.parametrize(
    ("pr", "qrs", "qt", "hr"),
    [(160, 90, 390, 70), (260, 80, 460, 50), (120, 104, 340, 85), (140.5, 97.3, 371.9, 70)],
)
@pytest.mark.parametrize("seed", [0, 7])
def test_the_dialled_intervals_are_those_of_the_marks(pr, qrs, qt, hr, seed):
    dials = {"pr_ms": pr, "qrs_ms": qrs, "qt_ms": qt, "p_ms": 96, "hr_bpm": hr, "variation": 1}
    truth = simulate(replace(QUIET, **dials), seed).truth
    table = truth.fiducials[truth.fiducials.lead == "global"]
    p, q, t = (table[table.wave == wave].iloc[2] for wave in ("P", "QRS", "T"))
    assert truth.qrs_ms == qrs
    assert truth.qt_ms == pytest.approx(qt)
    assert truth.pr_ms == pytest.approx(pr)
    assert 2 * (q.offset - q.onset) == pytest.approx(qrs)
    assert 2 * (q.onset - p.onset) == pytest.approx(pr)
    assert 2 * (p.offset - p.onset) == pytest.approx(96)
    assert 2 * (t.offset - q.onset) == pytest.approx(qt)


def test_the_mask_paints_the_marks():
    truth = simulate(QUIET, 1).truth
    q, p, t = (rows(simulate(QUIET, 1), wave).iloc[2] for wave in ("QRS", "P", "T"))
    for value, marks in ((2, q), (1, p), (3, t)):
        assert (
            truth.wave_mask[round(marks.onset) + 1 : round(marks.offset) - 1] == value
        ).all()
    assert (truth.wave_mask[round(t.offset) + 2 : round(t.offset) + 40] == 0).all()


def test_the_mask_holds_waves_cut_by_the_borders_of_the_record():
    for seed in range(12):
        truth = simulate(replace(QUIET, hr_bpm=150, qt_ms=330), seed).truth
        runs = np.flatnonzero(np.diff(np.concatenate([[9], truth.wave_mask, [9]])))
        waves = truth.wave_mask[runs[:-1]]
        order = {3: 1, 1: 2, 2: 3}  # T, P, QRS, T, P, ... with or without a line between
        seen = [order[value] for value in waves.tolist() if value]
        assert all(b == a % 3 + 1 for a, b in pairwise(seen))


def test_recovery_after_a_short_interval_is_shorter():
    spec = replace(QUIET, rhythm="atrial fibrillation", rr_variation=0.25, qt_ms=340)
    truth = simulate(spec, 4).truth
    table = truth.fiducials[truth.fiducials.lead == "global"]
    qt = 2 * (
        table[table.wave == "T"].offset.to_numpy() - table[table.wave == "QRS"].onset.to_numpy()
    )
    rr = np.diff(truth.qrs_onsets)
    known = ~np.isnan(qt[1:])
    assert np.corrcoef(rr[known], qt[1:][known])[0, 1] > 0.9


# ---------------------------------------------------------------- rate, axis, amplitudes


@pytest.mark.parametrize("hr", [40.0, 60.0, 75.0, 120.0])
def test_rr_is_sixty_over_the_rate(hr):
    truth = simulate(replace(QUIET, hr_bpm=hr, qt_ms=300), 1).truth
    assert np.diff(truth.qrs_onsets) == pytest.approx(60 / hr * FS)
    assert truth.hr_bpm == pytest.approx(hr)


@pytest.mark.parametrize("axis", [-170.0, -85.0, -40.0, 0.0, 30.0, 60.0, 100.0, 150.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_dialled_axis_is_the_axis_of_the_clean_leads(axis, seed):
    ecg = simulate(replace(ONLY_QRS, axis_deg=axis, variation=1), seed)
    start = round(ecg.truth.qrs_onsets[2]) - 50  # a whole beat with nothing but QRS
    net = {lead: ecg.lead(lead)[start : start + 300].sum() for lead in ("I", "aVF")}
    seen = np.degrees(np.arctan2(2 * net["aVF"], np.sqrt(3) * net["I"]))
    assert abs((ecg.truth.axis_deg - axis + 180) % 360 - 180) < 1
    assert abs((seen - axis + 180) % 360 - 180) < 1


def test_true_amplitudes_are_those_of_the_clean_trace():
    ecg = simulate(replace(QUIET, variation=1, st_elevation_mv={"V3": 0.3}), 6)
    truth, j = ecg.truth.lead_values, ecg.truth.qrs_ms
    size = len(beat(ecg, "II", 0))
    for row, lead in enumerate(LEADS):
        one = np.mean([beat(ecg, lead, k)[: size // 12] for k in range(2, 10)], axis=0)
        qrs = one[: round(j / 2) + 1]
        assert truth["r_mv"][row] == pytest.approx(max(qrs.max(), 0), abs=0.05)
        assert truth["size_mv"][row] == pytest.approx(np.ptp(qrs), abs=0.1)
        for name, ms in (("j_mv", j), ("st40_mv", j + 40), ("st_mv", j + 60)):
            assert truth[name][row] == pytest.approx(one[round(ms / 2)], abs=0.03)


def test_men_have_taller_chest_leads_and_the_young_too():
    """The fit knows that: PTB-XL's normals, Macfarlane's limits."""
    v2 = {}
    for sex in ("female", "male"):
        for age in (25, 75):
            ecg = simulate(replace(QUIET, sex=sex, age_years=age), 0)
            v2[sex, age] = values(ecg, "size_mv")["V2"]
    assert v2["male", 25] > v2["female", 25]
    assert v2["male", 25] > v2["male", 75]


def test_normal_leads_look_normal():
    ecg = simulate(QUIET, 0)
    r, s, t = (values(ecg, name) for name in ("r_mv", "s_mv", "t_mv"))
    assert r["V1"] < r["V2"] < r["V3"] < r["V4"]
    assert -s["V1"] > r["V1"]
    assert r["V6"] > -s["V6"]
    assert all(t[lead] > 0.05 for lead in ("I", "II", "V3", "V4", "V5", "V6"))
    assert t["aVR"] < -0.05
    assert ecg.truth.diagnoses == ("sinus rhythm", "normal ecg")


# ---------------------------------------------------------------- rhythms


def test_breathing_carries_sinus_arrhythmia():
    spec = replace(QUIET, rr_variation=0.11, breaths_per_min=12)
    truth = simulate(spec, 2).truth
    rr = 2 * np.diff(truth.qrs_onsets)
    assert np.ptp(rr) > 120
    assert "sinus arrhythmia" in truth.diagnoses
    assert truth.pr_ms == pytest.approx(160, abs=3)


def test_atrial_fibrillation_has_no_p_and_irregular_rr():
    spec = replace(QUIET, rhythm="atrial fibrillation", hr_bpm=90, rr_variation=0.2, qt_ms=350)
    ecg = simulate(spec, 7)
    rr = np.diff(ecg.truth.qrs_onsets)
    assert ecg.truth.pr_ms is None
    assert len(ecg.truth.p_waves) == 0
    assert rr.std() / rr.mean() > 0.1
    assert abs(np.corrcoef(rr[:-1], rr[1:])[0, 1]) < 0.6
    assert ecg.truth.diagnoses[0] == "atrial fibrillation"


def test_fibrillation_waves_lie_between_four_and_ten_hertz():
    spec = replace(QUIET, rhythm="atrial fibrillation", qrs_gain=1e-6, t_gain=0.0)
    x = simulate(spec, 8).lead("V1")
    power = np.abs(np.fft.rfft(x - x.mean())) ** 2
    hertz = np.fft.rfftfreq(x.size, 1 / FS)
    inside = power[(hertz > 4) & (hertz < 10)].sum()
    assert inside > 0.6 * power.sum()
    assert power.max() < 0.35 * power.sum()  # no single frequency: not a flutter


@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_flutter_waves_come_ratio_times_the_ventricular_rate(ratio):
    spec = replace(
        QUIET,
        rhythm="atrial flutter",
        hr_bpm=300 / ratio,
        flutter_ratios=(ratio,),
        f_wave_mv=0.25,
        qt_ms=195 if ratio == 2 else 300,
        qrs_ms=80,
    )
    truth = simulate(spec, 8).truth
    x = simulate(replace(spec, qrs_gain=1e-6, t_gain=0.0), 8).lead("aVF")
    power = np.abs(np.fft.rfft(x - x.mean())) ** 2
    assert power.argmax() / 10 == pytest.approx(5.0, abs=0.11)  # 300 a minute
    assert truth.hr_bpm == pytest.approx(300 / ratio, rel=0.01)
    assert truth.atrial_bpm == pytest.approx(300, rel=0.01)


def test_variable_flutter_conducts_whole_numbers_of_waves():
    spec = replace(QUIET, rhythm="atrial flutter", hr_bpm=100, flutter_ratios=(2, 4), qt_ms=300)
    rr = 2 * np.diff(simulate(spec, 8).truth.qrs_onsets)
    assert set(np.round(rr / 200).tolist()) == {2, 4}  # 300 waves a minute: 200 ms each
    assert rr / 200 == pytest.approx(np.round(rr / 200))


def test_a_premature_atrial_beat_comes_early_with_another_p_and_resets_the_sinus_node():
    ecg = simulate(replace(QUIET, n_pac=1), 3)
    rr = 2 * np.diff(ecg.truth.qrs_onsets)
    usual = 60000 / 70
    early = int(rr.argmin())
    assert rr[early] < 0.85 * usual
    assert rr[early] + rr[early + 1] < 2 * usual - 20  # less than a full compensatory pause
    p = rows(ecg, "P")
    usual_p = ecg.lead("II")[round(p.iloc[1].peak)]
    level = ecg.lead("II")[round(p.iloc[early + 1].onset)]
    assert ecg.lead("II")[round(p.iloc[early + 1].peak)] - level < 0.6 * usual_p


def test_a_pvc_is_wide_early_and_followed_by_a_full_pause():
    truth = simulate(replace(QUIET, n_pvc=1), 3).truth
    number = int(np.flatnonzero(truth.beat_forms)[0])
    rr = 2 * np.diff(truth.qrs_onsets)
    usual = 60000 / 70
    assert rr[number - 1] < 0.75 * usual
    assert rr[number - 1] + rr[number] == pytest.approx(2 * usual, abs=1)
    marks = truth.fiducials[(truth.fiducials.beat == number)]
    glob = marks[(marks.lead == "global") & (marks.wave == "QRS")].iloc[0]
    assert 2 * (glob.offset - glob.onset) >= 120
    assert marks[marks.wave == "P"].onset.isna().all()
    assert (truth.p_waves[:, 3] == -1).sum() == 1  # the sinus P is there, without a beat


def test_t_points_away_from_the_qrs_of_a_pvc():
    ecg = simulate(replace(QUIET, n_pvc=1), 5)
    number = int(np.flatnonzero(ecg.truth.beat_forms)[0])
    t = rows(ecg, "T").iloc[number]
    opposed = []
    for lead in LEADS:
        one = beat(ecg, lead, number)
        qrs = one[:90][np.abs(one[:90]).argmax()]
        if abs(qrs) > 0.6:
            opposed.append(qrs * (ecg.lead(lead)[round(t.peak)] - one[0]) < 0)
    assert len(opposed) >= 4
    assert np.mean(opposed) > 0.7


def test_multiform_pvcs_have_two_shapes_and_uniform_ones_a_single_one():
    assert set(simulate(replace(QUIET, n_pvc=2, pvc_forms=2), 3).truth.beat_forms) == {0, 1, 2}
    assert set(simulate(replace(QUIET, n_pvc=2), 3).truth.beat_forms) == {0, 1}


def test_a_couplet_is_two_pvcs_in_a_row():
    forms = simulate(replace(QUIET, n_pvc=1, pvc_pattern="couplet"), 3).truth.beat_forms
    places = np.flatnonzero(forms)
    assert np.diff(places).tolist() == [1]


@pytest.mark.parametrize(("pattern", "every"), [("bigeminy", 2), ("trigeminy", 3)])
def test_bigeminy_and_trigeminy_repeat(pattern, every):
    forms = simulate(replace(QUIET, pvc_pattern=pattern), 3).truth.beat_forms
    places = np.flatnonzero(forms)
    assert set(np.diff(places)) == {every}


def test_supraventricular_tachycardia_is_regular_and_its_p_comes_after_the_qrs():
    spec = replace(
        QUIET,
        rhythm="supraventricular tachycardia",
        hr_bpm=180,
        qt_ms=260,
        retrograde_p_ms=110.0,
    )
    ecg = simulate(spec, 1)
    assert np.ptp(np.diff(ecg.truth.qrs_onsets)) < 1e-6
    assert ecg.truth.pr_ms is None
    p, q = rows(ecg, "P").iloc[3], rows(ecg, "QRS").iloc[3]
    assert 2 * (p.onset - q.onset) == pytest.approx(110)
    with_p = simulate(replace(spec, p_mv=0.2), 1).lead("II")
    without = simulate(replace(spec, p_mv=0.0), 1).lead("II")
    assert (with_p - without)[round(p.peak)] < -0.1  # upward through the atria: negative in II


def test_ventricular_tachycardia_is_wide_and_the_atria_go_their_own_way():
    spec = replace(
        QUIET,
        rhythm="ventricular tachycardia",
        hr_bpm=160,
        qrs_ms=150,
        qt_ms=330,
        atrial_bpm=73,
    )
    truth = simulate(spec, 1).truth
    assert truth.atrial_bpm == pytest.approx(73)
    assert truth.pr_ms is None
    assert truth.diagnoses == ("ventricular tachycardia",)
    gaps = [truth.qrs_onsets - p for p in truth.p_waves[:, 0]]
    pr = [gap[gap > 0].min() for gap in gaps if (gap > 0).any()]
    assert np.ptp(pr) > 60 * FS / 1000


def test_junctional_p_runs_backwards_before_during_or_after_the_qrs():
    for after in (-90.0, 60.0):
        spec = replace(QUIET, rhythm="junctional", hr_bpm=50, retrograde_p_ms=after, p_ms=80)
        ecg = simulate(spec, 1)
        p, q = rows(ecg, "P").iloc[3], rows(ecg, "QRS").iloc[3]
        assert 2 * (p.onset - q.onset) == pytest.approx(after)
        assert -180 < ecg.truth.p_axis_deg < 180
    hidden = simulate(replace(QUIET, rhythm="junctional", hr_bpm=50), 1)
    assert len(hidden.truth.p_waves) == 0


def test_wenckebach_pr_grows_until_a_beat_drops():
    spec = replace(QUIET, av_block="mobitz i", av_ratio=4, hr_bpm=80)
    truth = simulate(spec, 2).truth
    led = truth.p_waves[truth.p_waves[:, 3] >= 0]
    pr = 2 * (truth.qrs_onsets[led[:, 3].astype(int)] - led[:, 0])
    rr = 2 * np.diff(truth.qrs_onsets)
    assert np.unique(np.round(pr)).tolist() == [160, 220, 250]  # + 60, + 30 ms
    pause = rr.max()
    assert pause < 2 * 60000 / 80  # shorter than two sinus intervals, as Wenckebach saw
    assert (truth.p_waves[:, 3] == -1).sum() >= 2
    assert "second-degree av block" in truth.diagnoses


@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_mobitz_ii_drops_beats_without_warning(ratio):
    spec = replace(QUIET, av_block="mobitz ii", av_ratio=ratio, hr_bpm=80)
    truth = simulate(spec, 2).truth
    led = truth.p_waves[truth.p_waves[:, 3] >= 0]
    pr = 2 * (truth.qrs_onsets[led[:, 3].astype(int)] - led[:, 0])
    assert pr == pytest.approx(160)
    assert 2 * np.diff(truth.qrs_onsets).max() == pytest.approx(2 * 60000 / 80)
    assert truth.atrial_bpm == pytest.approx(80)
    if ratio == 2:
        assert truth.hr_bpm == pytest.approx(40)


@pytest.mark.parametrize(("escape", "wide"), [("junctional", False), ("ventricular", True)])
def test_in_complete_block_atria_and_ventricles_go_apart(escape, wide):
    spec = replace(QUIET, av_block="third degree", escape=escape, escape_bpm=36, hr_bpm=85)
    spec = replace(spec, qrs_ms=150 if wide else 90)
    truth = simulate(spec, 2).truth
    assert truth.hr_bpm == pytest.approx(36)
    assert truth.atrial_bpm == pytest.approx(85)
    assert truth.pr_ms is None
    assert (truth.p_waves[:, 3] == -1).all()
    marks = truth.fiducials[
        (truth.fiducials.lead == "global") & (truth.fiducials.wave == "QRS")
    ]
    width = 2 * (marks.iloc[1].offset - marks.iloc[1].onset)
    assert (width > 120) == wide
    assert "third-degree av block" in truth.diagnoses


def test_pre_excitation_starts_slowly_and_early():
    spec = replace(QUIET, pr_ms=100, p_ms=80, qrs_ms=130, delta_ms=50, pathway="left lateral")
    ecg = simulate(spec, 1)
    plain = simulate(replace(QUIET, pr_ms=100, p_ms=80, qrs_ms=130), 1)
    slow, fast = np.abs(np.diff(beat(ecg, "V2"))), np.abs(np.diff(beat(plain, "V2")))
    assert "wolff-parkinson-white syndrome" in ecg.truth.diagnoses
    assert slow[:12].max() < 0.4 * slow[:65].max()  # the first 24 ms are slurred
    assert at(ecg, "V2", 30) > 0.05  # and already positive over the front
    assert slow[:65].argmax() > fast[:65].argmax() - 20


@pytest.mark.parametrize(
    ("pathway", "lead"), [("left lateral", "aVL"), ("posteroseptal", "aVF"), ("right", "V1")]
)
def test_the_delta_wave_points_away_from_its_pathway(pathway, lead):
    spec = replace(QUIET, pr_ms=100, p_ms=80, qrs_ms=130, delta_ms=50, pathway=pathway)
    assert at(simulate(spec, 1), lead, 36) < -0.02


@pytest.mark.parametrize("pacing", ["atrial", "ventricular", "dual"])
def test_stimuli_come_just_before_what_they_capture(pacing):
    spec = replace(
        QUIET, rhythm="paced", pacing=pacing, qrs_ms=90 if pacing == "atrial" else 150
    )
    ecg = simulate(replace(spec, qt_ms=420), 1)
    spikes = ecg.truth.spikes
    before_qrs = [np.min(np.abs(spikes + 3 - onset)) for onset in ecg.truth.qrs_onsets[1:]]
    before_p = [np.min(np.abs(spikes + 4 - p)) for p in ecg.truth.p_waves[1:-1, 0]]
    assert (max(before_qrs) < 0.01) == (pacing != "atrial")
    assert (np.median(before_p) < 0.01) == (pacing != "ventricular")
    steps = np.abs(np.diff(ecg.lead("II")))
    assert steps[np.round(spikes).astype(int) - 1].min() > 0.3
    assert ecg.truth.diagnoses[0] == "paced rhythm"


def test_a_pause_is_as_long_as_dialled():
    truth = simulate(replace(QUIET, pause_s=3.0), 1).truth
    assert 2 * np.diff(truth.qrs_onsets).max() == pytest.approx(3000)
    assert "sinus pause" in truth.diagnoses


# ---------------------------------------------------------------- morphology


def test_right_bundle_branch_block_ends_forward_and_to_the_right():
    for seed in range(5):
        spec = replace(QUIET, conduction="rbbb", qrs_ms=140, qt_ms=420, variation=0.5)
        ecg = simulate(spec, seed)
        v1, v6 = beat(ecg, "V1")[:71], beat(ecg, "V6")[:71]
        assert v1[45:68].max() > 0.2
        assert v1.argmax() > 40  # R' after 80 ms
        assert v6[45:68].min() < -0.1
        assert beat(ecg, "I")[45:68].min() < -0.03
        assert values(ecg, "t_mv")["V1"] < 0
        assert "right bundle branch block" in ecg.truth.diagnoses


def test_left_bundle_branch_block_is_wide_and_negative_in_v1():
    for seed in range(5):
        spec = replace(QUIET, conduction="lbbb", qrs_ms=150, qt_ms=430, variation=0.3)
        ecg = simulate(spec, seed)
        v1, v6 = beat(ecg, "V1")[:76], beat(ecg, "V6")[:76]
        assert v1.sum() < 0
        assert v1.max() < 0.15
        assert v6.sum() > 0
        assert v6.min() > -0.1  # neither q nor S
        t = values(ecg, "t_mv")
        assert t["V1"] > 0 > t["V6"]
        assert "left bundle branch block" in ecg.truth.diagnoses


def test_left_anterior_block_starts_down_and_ends_up_and_left():
    ecg = simulate(replace(QUIET, conduction="lafb", axis_deg=-60), 0)
    assert beat(ecg, "aVL")[:60].min() < -0.02  # qR
    assert values(ecg, "r_mv")["aVL"] > 0.3
    early, late = beat(ecg, "III")[:18], beat(ecg, "III")[18:50]
    assert early.max() > 0.03  # rS
    assert late.min() < -0.3


def test_left_posterior_block_starts_up_and_ends_down_and_right():
    ecg = simulate(replace(QUIET, conduction="lpfb", axis_deg=115), 0)
    assert beat(ecg, "III")[:20].min() < -0.03  # qR
    assert values(ecg, "r_mv")["III"] > 0.4
    assert beat(ecg, "I")[:20].max() > 0.03  # rS
    assert values(ecg, "s_mv")["I"] < -0.3


def test_incomplete_and_unspecific_delays_keep_the_main_course():
    half = simulate(replace(QUIET, conduction="irbbb", qrs_ms=108), 0)
    v1 = beat(half, "V1")[:55]
    assert v1[36:].max() > 0.05  # a small r'
    slow = simulate(replace(QUIET, conduction="ivcd", qrs_ms=130), 0)
    assert "nonspecific intraventricular conduction delay" in slow.truth.diagnoses
    assert values(slow, "r_mv")["V5"] == pytest.approx(
        values(simulate(QUIET, 0), "r_mv")["V5"], rel=0.02
    )
    left = simulate(replace(QUIET, conduction="ilbbb", qrs_ms=114), 0)
    assert beat(left, "V6")[:20].min() > -0.05  # the septal q is gone


def grows(dials: list[dict], name: str, lead: str, sign: float = 1.0) -> bool:
    """Whether a value rises strictly along the settings of a dial."""
    found = [sign * values(simulate(replace(QUIET, **one), 0), name)[lead] for one in dials]
    return bool((np.diff(found) > 0).all())


@pytest.mark.parametrize(
    ("dial", "settings", "name", "lead", "sign"),
    [
        ("lv_gain", (1, 1.5, 2, 2.5), "r_mv", "V5", 1),
        ("lv_gain", (1, 1.5, 2, 2.5), "s_mv", "V1", -1),
        ("rv_gain", (1, 2, 4, 6), "r_mv", "V1", 1),
        ("rv_gain", (1, 2, 4, 6), "s_mv", "V6", -1),
        ("qrs_gain", (0.3, 0.6, 1, 1.4), "size_mv", "II", 1),
        ("front_gain", (0.5, 1, 1.5), "size_mv", "V3", 1),
        ("t_gain", (0.2, 0.6, 1, 1.5), "t_mv", "V4", 1),
        ("rotation_deg", (-20, 0, 30, 60), "r_mv", "V3", -1),
        ("strain", (0, 0.4, 0.8), "t_mv", "V6", -1),
        ("digoxin", (0, 0.3, 0.6, 1), "st80_mv", "V5", -1),
        ("potassium_mmol", (5.5, 6, 7), "t_mv", "V3", 1),
        ("potassium_mmol", (3.5, 3, 2.5, 2), "t_mv", "V3", -1),
        ("p_terminal_mv", (0, 0.1, 0.2), "p_end_mv", "V1", -1),
        ("pr_depression_mv", (0, 0.05, 0.1), "st_mv", "II", 0),
    ],
)
def test_a_dial_moves_its_value_one_way(dial, settings, name, lead, sign):
    dials = [{dial: setting} for setting in settings]
    if sign:
        assert grows(dials, name, lead, sign)
    else:  # the PR segment goes down, ST of the loop stays
        levels = [simulate(replace(QUIET, **one), 0) for one in dials]
        pr = [e.lead("II")[round(e.truth.qrs_onsets[2]) - 2] for e in levels]
        assert (np.diff(pr) < -0.02).all()


@pytest.mark.parametrize(
    ("site", "up", "down"),
    [
        ("anterior", ("V2", "V3"), ()),
        ("inferior", ("II", "III", "aVF"), ("aVL",)),
        ("lateral", ("I", "aVL", "V5", "V6"), ("III",)),
        ("high lateral", ("I", "aVL"), ("III",)),
        ("posterior", (), ("V1", "V2", "V3")),
    ],
)
def test_injury_raises_its_leads_and_lowers_those_opposite(site, up, down):
    st = values(simulate(replace(QUIET, st_elevation_mv={site: 0.25}), 9), "st_mv")
    usual = values(simulate(QUIET, 9), "st_mv")
    assert all(st[lead] - usual[lead] > 0.08 for lead in up)
    assert all(st[lead] - usual[lead] < -0.08 for lead in down)


def test_the_dialled_st_level_is_added_at_j_plus_sixty():
    """Both in the truth and in the trace."""
    for level in (-0.2, 0.1, 0.3):
        spec = replace(QUIET, st_elevation_mv={"II": level})
        ecg, usual = simulate(spec, 2), simulate(QUIET, 2)
        added = values(ecg, "st_mv")["II"] - values(usual, "st_mv")["II"]
        assert added == pytest.approx(level, abs=0.01)
        ms = ecg.truth.qrs_ms + 60
        trace = ecg.lead("II") - usual.lead("II")
        place = round(ecg.truth.qrs_onsets[2] + ms / 2)
        assert trace[place] == pytest.approx(level, rel=0.08)


def test_convex_st_stays_higher_than_concave():
    late = {}
    for curve in (-1.0, 0.0, 1.0):
        spec = replace(QUIET, st_elevation_mv={"anterior": 0.3}, st_curve=curve)
        ecg = simulate(spec, 0)
        late[curve] = values(ecg, "st80_mv")["V3"] - values(ecg, "st40_mv")["V3"]
    assert late[-1.0] < late[0.0] < late[1.0]


def test_a_slider_for_st_moves_nothing_but_st():
    spec = HeartSpec(recording=Recording(adc_uv=0, high_pass_hz=0))
    with_it, without = (
        simulate(replace(spec, st_elevation_mv={"II": 0.2}), 5),
        simulate(spec, 5),
    )
    change = np.abs(with_it.signal - without.signal).max(axis=0)
    assert with_it.truth.fiducials.onset.equals(without.truth.fiducials.onset)
    onsets = without.truth.qrs_onsets
    for a, b in pairwise(onsets[1:]):
        end = a + without.truth.qt_ms * 1.1 / 2
        assert change[round(end) + 5 : round(b) - 2].max() < 0.01
        assert change[round(a) + 60 : round(a) + 100].max() > 0.15


@pytest.mark.parametrize(
    "dials",
    [
        {"rhythm": "atrial fibrillation", "rr_variation": 0.2},
        {"rhythm": "ventricular tachycardia", "qrs_ms": 150},
        {"n_pvc": 2, "pvc_forms": 2},
        {"conduction": "lbbb", "qrs_ms": 140},
        {"av_block": "mobitz i"},
        {"p_mv": 0.3, "scar_mv": {"inferior": 0.4}},
    ],
)
def test_no_dial_of_the_heart_moves_the_noise(dials):
    """What stays between two electrodes when every wave is gone."""
    noisy = HeartSpec(
        qrs_gain=1e-9, t_gain=0.0, p_mv=0.0, f_wave_mv=0.0, u_mv=0.0, n_pvc=0,
        recording=Recording(wander_mv=0.05, emg_mv=0.02, high_pass_hz=0, adc_uv=0),
    )  # fmt: skip
    loud = replace(noisy.recording, wander_mv=0.1, emg_mv=0.04)
    for spec in (noisy, replace(noisy, **dials)):
        heart = simulate(replace(spec, recording=IDEAL), 5).signal
        once = simulate(replace(spec, recording=noisy.recording), 5).signal - heart
        twice = simulate(replace(spec, recording=loud), 5).signal - heart
        if spec is noisy:
            first = twice - once
    assert first == pytest.approx(twice - once, abs=2e-3)


def test_scars_leave_q_waves_where_they_are():
    for site, lead in (("inferior", "aVF"), ("lateral", "aVL"), ("anterior", "V3")):
        q = values(simulate(replace(QUIET, scar_mv={site: 0.6}), 0), "q_mv")
        usual = values(simulate(QUIET, 0), "q_mv")
        assert q[lead] < usual[lead] - 0.1, site


def test_dialled_t_heights_are_reached():
    spec = replace(QUIET, t_wave_mv={"V5": -0.3})
    assert values(simulate(spec, 0), "t_mv")["V5"] == pytest.approx(-0.3, abs=0.03)


def test_potassium_tents_t_flattens_p_and_widens_the_qrs():
    usual, high, severe = (
        simulate(replace(QUIET, potassium_mmol=k, hr_bpm=55), 0) for k in (4.2, 6.4, 8.0)
    )
    assert values(high, "t_mv")["V3"] > 1.3 * values(usual, "t_mv")["V3"]
    assert severe.truth.qrs_ms >= 120
    assert np.abs(severe.truth.lead_values["p_mv"]).max() < 0.02
    wide = {}
    for ecg, name in ((usual, "usual"), (high, "high")):
        x = ecg.lead("V3")[round(ecg.truth.qrs_onsets[2]) + 60 :][:180]
        wide[name] = (x > 0.5 * x.max()).sum()
    assert wide["high"] < 0.8 * wide["usual"]


def test_u_stays_small_in_a_heart_turned_past_v3():
    """V3 sees nearly nothing of this patient's U: what is dialled there is 70 mV in II."""
    spec = sample_spec(np.random.default_rng([5166, 4]), "balanced")
    quiet = replace(spec, recording=Recording(wander_mv=0.0, emg_mv=0.0))
    assert quiet.u_mv < 0.1
    signal, without = (
        simulate(one, seed=5166).signal for one in (quiet, replace(quiet, u_mv=0.0))
    )
    assert 0.01 < np.abs(signal - without).max() < 1.5


def test_low_potassium_raises_u_above_t():
    spec = replace(QUIET, potassium_mmol=2.2, hr_bpm=55)
    ecg = simulate(spec, 0)
    t_end = round(ecg.truth.qrs_onsets[2] + ecg.truth.qt_ms / 2)
    u = ecg.lead("V3")[t_end + 25 : t_end + 60].max()
    assert u > 0.12
    assert u > values(ecg, "t_mv")["V3"] * 0.8


def test_a_j_wave_is_a_notch_at_the_end_of_the_qrs():
    spec = replace(QUIET, j_wave_mv={"V5": 0.25})
    change = simulate(spec, 0).lead("V5") - simulate(QUIET, 0).lead("V5")
    end = round(simulate(QUIET, 0).truth.qrs_onsets[2] + 45)
    assert change[end - 5 : end + 10].max() == pytest.approx(0.25, rel=0.1)
    assert np.abs(change[end + 40 : end + 150]).max() < 0.005


def test_dextrocardia_mirrors_left_and_right():
    usual, mirrored = simulate(QUIET, 0), simulate(replace(QUIET, dextrocardia=True), 0)
    net = {lead: beat(mirrored, lead)[:45].sum() for lead in ("I", "aVR", "V6")}
    assert net["I"] < 0 < net["aVR"]
    assert net["V6"] < 0 < beat(usual, "V6")[:45].sum()


def test_exchanged_arm_electrodes_invert_lead_i_and_are_said():
    usual = simulate(QUIET, 0)
    wrong = simulate(replace(QUIET, recording=replace(IDEAL, swapped=("RA", "LA"))), 0)
    assert wrong.lead("I") == pytest.approx(-usual.lead("I"), abs=1e-5)
    assert wrong.lead("II") == pytest.approx(usual.lead("III"), abs=1e-5)
    assert wrong.lead("V3") == pytest.approx(usual.lead("V3"), abs=1e-5)
    assert wrong.truth.faults == ("right arm and left arm electrodes exchanged",)


@pytest.mark.parametrize(
    ("dials", "label"),
    [
        ({"hr_bpm": 45}, "sinus bradycardia"),
        ({"hr_bpm": 130, "qt_ms": 300}, "sinus tachycardia"),
        ({"pr_ms": 240}, "first-degree av block"),
        ({"axis_deg": -50, "conduction": "lafb"}, "left anterior fascicular block"),
        ({"axis_deg": 120}, "right axis deviation"),
        ({"axis_deg": -50}, "left axis deviation"),
        ({"qt_ms": 480}, "prolonged qt interval"),
        ({"qt_ms": 300}, "short qt interval"),
        ({"qrs_gain": 0.3}, "low qrs voltage"),
        ({"lv_gain": 2.5}, "left ventricular hypertrophy"),
        ({"t_wave_mv": {"lateral": -0.3}}, "t wave inversion"),
        ({"st_elevation_mv": {"lateral": -0.15}}, "st depression"),
        ({"st_elevation_mv": {"inferior": 0.25}}, "inferior myocardial infarction"),
        ({"scar_mv": {"inferior": 0.6}}, "inferior myocardial infarction"),
        ({"p_mv": 0.35}, "right atrial abnormality"),
        ({"digoxin": 0.9}, "digoxin effect"),
    ],
)
def test_a_dial_turned_far_gives_its_label_and_no_normal_ecg(dials, label):
    labels = simulate(replace(QUIET, **dials), 0).truth.diagnoses
    assert label in labels
    assert "normal ecg" not in labels


# ---------------------------------------------------------------- catalogue and population


@pytest.mark.parametrize("one", CATALOGUE, ids=lambda one: one.name)
def test_a_condition_of_the_catalogue_shows_its_label(one):
    shown = []
    for seed in range(10):
        spec = spec_of({one.group: one.name}, np.random.default_rng([7, seed]))
        shown.append(simulate(spec, seed).truth.diagnoses)
    if one.label:
        assert sum(one.label in labels for labels in shown) >= 7
    if one.group != "rhythm" and one.label:
        assert not any("normal ecg" in labels for labels in shown if one.label in labels)


# Limits of AHA/ACCF/HRS 2009 part III (Surawicz et al.), written out apart from
# `ecg_r1.limits`; rates of the ACC/AHA/HRS guidelines 2015 and 2018.
DEFINED = {
    "sinus bradycardia": lambda t: t.hr_bpm < 60,
    "sinus tachycardia": lambda t: t.hr_bpm > 100,
    "first-degree AV block": lambda t: t.pr_ms > 200,
    "RBBB": lambda t: t.qrs_ms >= 120,
    "incomplete RBBB": lambda t: 110 <= t.qrs_ms < 120,
    "LBBB": lambda t: t.qrs_ms >= 120,
    "incomplete LBBB": lambda t: 110 <= t.qrs_ms < 120,
    "LAFB": lambda t: -90 <= t.axis_deg <= -45 and t.qrs_ms < 120,
    "LPFB": lambda t: 90 <= t.axis_deg <= 180 and t.qrs_ms < 120,
    "RBBB and LAFB": lambda t: -90 <= t.axis_deg <= -45 and t.qrs_ms >= 120,
    "RBBB and LPFB": lambda t: 90 <= t.axis_deg <= 180 and t.qrs_ms >= 120,
    "IVCD": lambda t: t.qrs_ms > 110,
    "WPW": lambda t: t.pr_ms < 120 < t.qrs_ms,
    "ventricular tachycardia": lambda t: t.hr_bpm > 100 and t.qrs_ms >= 120,
    "ectopic atrial rhythm": lambda t: t.hr_bpm <= 100 and not 0 <= t.p_axis_deg <= 75,
    "normal conduction": lambda t: 120 <= t.pr_ms <= 200 and t.qrs_ms <= 110,
}


@pytest.mark.parametrize("name", DEFINED)
def test_every_draw_of_a_condition_keeps_its_defining_limits(name):
    one = condition(name)
    for seed in range(30):
        spec = spec_of({one.group: name}, np.random.default_rng([9, seed]))
        truth = simulate(spec, seed).truth
        assert DEFINED[name](truth), (seed, truth)


@pytest.mark.parametrize("muscle", ["old lateral infarction", "LVH", "low voltage"])
def test_a_scar_or_a_small_frontal_area_does_not_turn_a_fascicular_block_away(muscle):
    """A turn about z alone leaves the axis of some of these at 120 degrees."""
    for seed in range(40):
        spec = spec_of(
            {"conduction": "RBBB and LAFB" if seed % 2 else "LAFB", "muscle": muscle},
            np.random.default_rng([3, seed]),
        )
        assert simulate(spec, seed).truth.axis_deg == pytest.approx(spec.axis_deg, abs=0.5)


def test_the_fastest_ventricular_tachycardia_still_has_room_for_its_t():
    for seed in range(400):
        spec = spec_of({"rhythm": "ventricular tachycardia"}, np.random.default_rng(seed))
        assert spec.qrs_ms + 100 <= spec.qt_ms <= spec.rr_ms


@pytest.mark.parametrize("balance", BALANCES)
def test_a_drawn_population_holds_normals_and_no_label_twice(balance):
    rng = np.random.default_rng(0)
    truths = [simulate(sample_spec(rng, balance), seed).truth for seed in range(300)]
    normal = np.mean(["normal ecg" in truth.diagnoses for truth in truths])
    low, high = {"balanced": (0.12, 0.35), "prevalent": (0.3, 0.6)}[balance]
    assert low < normal < high
    assert all(len(set(truth.diagnoses)) == len(truth.diagnoses) for truth in truths)
    assert all(truth.diagnoses for truth in truths)


def test_a_balanced_population_shows_every_rhythm_and_most_labels():
    rng = np.random.default_rng(1)
    truths = [simulate(sample_spec(rng), seed).truth for seed in range(900)]
    assert len({truth.rhythm for truth in truths}) == 8
    assert len({label for truth in truths for label in truth.diagnoses}) >= 40


def test_the_same_seed_gives_the_same_samples_in_another_process():
    code = (
        "import hashlib, numpy as np; from ecg_r1.simulate import *;"
        "e = simulate(sample_spec(np.random.default_rng(5)), 5);"
        "print(hashlib.sha256(e.signal.tobytes()).hexdigest())"
    )
    root = Path(__file__).resolve().parent.parent
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True
    ).stdout.strip()
    here = simulate(sample_spec(np.random.default_rng(5)), 5)
    assert told == hashlib.sha256(here.signal.tobytes()).hexdigest()
    assert not np.array_equal(here.signal, simulate(HeartSpec(), 6).signal)


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("dials", "quoted"),
    [
        ({"rhythm": "waltz"}, "'waltz'"),
        ({"hr_bpm": 0}, "hr_bpm 0"),
        ({"qt_ms": 150}, "qt_ms 150"),
        ({"pr_ms": 50}, "pr_ms 50"),
        ({"st_elevation_mv": {"apex": 0.1}}, "'apex'"),
        ({"conduction": "slow"}, "'slow'"),
        ({"potassium_mmol": 12}, "12"),
        ({"digoxin": 2}, "digoxin 2"),
        ({"flutter_ratios": ()}, r"flutter_ratios \(\)"),
        ({"delta_ms": 80}, "delta_ms 80"),
        ({"sex": "m"}, "'m'"),
    ],
)
def test_impossible_dials_are_refused_by_name_and_value(dials, quoted):
    with pytest.raises(ECGError, match=quoted):
        HeartSpec(**dials)


def test_more_premature_beats_than_fit_are_refused():
    with pytest.raises(ECGError, match="9 PVCs"):
        simulate(HeartSpec(n_pvc=9))


def test_an_unknown_condition_or_balance_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ECGError, match="'hiccups'"):
        spec_of({"rhythm": "hiccups"}, rng)
    with pytest.raises(ECGError, match="'fair'"):
        sample_spec(rng, "fair")


def test_qt_of_slow_escape_beats_is_that_of_their_marks_not_the_dialled_one():
    spec = spec_of(
        {condition("complete AV block, ventricular escape").group:
         "complete AV block, ventricular escape"},
        np.random.default_rng([1, 1]),
    )  # fmt: skip
    truth = simulate(spec, 1).truth
    table = truth.fiducials[truth.fiducials.lead == "global"]
    table = table.pivot(index="beat", columns="wave")
    marked = 2 * (table["offset"]["T"] - table["onset"]["QRS"]).median()
    assert truth.qt_ms == pytest.approx(marked, abs=0.1)
    assert truth.qt_ms > spec.qt_ms + 20  # restitution
