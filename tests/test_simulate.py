"""The simulator: its leads obey the laws, and its truth is true."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecg_r1.ecg import FS, LEADS, ECGError
from ecg_r1.simulate import HeartSpec, sample_spec, simulate

QUIET = HeartSpec(wander_mv=0, emg_mv=0, mains_mv=0, rr_variation=0)
RBBB = replace(QUIET, conduction="rbbb", qrs_ms=140, t_front_mv=-0.2, qt_ms=420)
LBBB = replace(QUIET, conduction="lbbb", qrs_ms=150, qt_ms=430, axis_deg=-10, t_axis_deg=170)


def spans(mask: np.ndarray, value: int) -> list[tuple[int, int]]:
    """First and one past the last sample of every whole run of `value`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask == value, [0]])))
    runs = edges.reshape(-1, 2)
    return [(a, b) for a, b in runs.tolist() if a > 0 and b < len(mask)]


def beat(ecg, lead: str) -> np.ndarray:
    """The first whole QRS of a lead, against the level at its onset."""
    onset = ecg.truth.qrs_onsets[ecg.truth.qrs_onsets > 100][0]
    x = ecg.lead(lead)[onset : onset + round(ecg.truth.qrs_ms * FS / 1000) + 1]
    return x - x[0]


def test_limb_leads_obey_einthoven_and_goldberger_in_every_noisy_record():
    rng = np.random.default_rng(3)
    for seed in range(20):
        i, ii, iii, avr, avl, avf = simulate(sample_spec(rng), seed).signal[:6]
        assert np.abs(i + iii - ii).max() < 1e-5
        assert np.abs(avr + (i + ii) / 2).max() < 1e-5
        assert np.abs(avl - (i - iii) / 2).max() < 1e-5
        assert np.abs(avf - (ii + iii) / 2).max() < 1e-5


@pytest.mark.parametrize("hr", [40.0, 60.0, 75.0, 120.0])
def test_rr_is_sixty_over_the_rate(hr):
    truth = simulate(replace(QUIET, hr_bpm=hr, qt_ms=300), 1).truth
    assert np.abs(np.diff(truth.qrs_onsets) - 60 / hr * FS).max() <= 1
    assert truth.hr_bpm == pytest.approx(hr, rel=0.004)


@pytest.mark.parametrize("axis", [-170.0, -85.0, -40.0, 0.0, 30.0, 60.0, 100.0, 150.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_dialled_axis_is_the_axis_of_the_clean_leads(axis, seed):
    ecg = simulate(replace(QUIET, axis_deg=axis), seed)
    net_i, net_avf = beat(ecg, "I").sum(), beat(ecg, "aVF").sum()
    seen = np.degrees(np.arctan2(2 * net_avf, np.sqrt(3) * net_i))
    assert abs((ecg.truth.axis_deg - axis + 180) % 360 - 180) < 1
    assert abs((seen - axis + 180) % 360 - 180) < 6  # breathing moves each beat a little


def test_the_dialled_axis_is_reached_by_every_drawn_patient():
    rng = np.random.default_rng(4)
    for seed in range(200):
        spec = sample_spec(rng)
        off = simulate(spec, seed).truth.axis_deg - spec.axis_deg
        if spec.rhythm != "paced":  # the stimulus adds to the QRS
            assert abs((off + 180) % 360 - 180) < 1, spec


@pytest.mark.parametrize(("pr", "qrs", "qt"), [(160, 90, 390), (260, 80, 460), (120, 104, 340)])
def test_the_mask_spans_the_dialled_intervals(pr, qrs, qt):
    truth = simulate(replace(QUIET, pr_ms=pr, qrs_ms=qrs, qt_ms=qt, p_ms=96), 2).truth
    p, q, t = (spans(truth.wave_mask, value) for value in (1, 2, 3))
    begin, end = q[2]
    assert abs((end - begin) * 2 - qrs) <= 4
    assert min(abs((begin - a) * 2 - pr) for a, _ in p) <= 4
    assert min(abs((b - a) * 2 - 96) for a, b in p) <= 4
    assert min(abs((b - begin) * 2 - qt) for _, b in t) <= 4
    assert (truth.pr_ms, truth.qrs_ms, truth.qt_ms) == (pr, qrs, qt)


@pytest.mark.parametrize("spec", [QUIET, RBBB, LBBB], ids=["normal", "rbbb", "lbbb"])
def test_the_clean_qrs_leaves_and_meets_the_baseline_at_its_marks(spec):
    """The eight leads together stay within hundredths of the QRS peak outside the mask."""
    flat = replace(spec, t_mv=0.0, t_axis_deg=0, t_front_mv=0.0, p_mv=0.0)
    ecg = simulate(flat, 5)
    size = np.sqrt((ecg.signal[[0, 1, *range(6, 12)]] ** 2).sum(0))
    inside = ecg.truth.wave_mask == 2
    begin, end = spans(ecg.truth.wave_mask, 2)[1]
    peak = size[inside].max()
    assert size[begin - 20 : begin - 1].max() < 0.04 * peak
    assert size[end + 1 : end + 20].max() < 0.04 * peak
    assert size[begin + 3] > 0.02 * peak
    assert size[end - 3] > 0.02 * peak


def test_t_ends_where_the_qt_says():
    ecg = simulate(replace(QUIET, qt_ms=400, hr_bpm=50), 6)
    onset = ecg.truth.qrs_onsets[1]
    t = np.abs(ecg.lead("V3")[onset + 100 : onset + 300])
    above = np.flatnonzero(t > 0.05 * t.max())
    assert abs((100 + above[-1]) * 2 - 400) <= 8


def test_a_plain_record_is_sinus_rhythm_and_normal():
    assert simulate(HeartSpec(), 0).truth.diagnoses == ("sinus rhythm", "normal ecg")


def test_normal_leads_look_normal():
    ecg = simulate(QUIET, 0)
    r = {lead: beat(ecg, lead).max() for lead in LEADS}
    assert r["V1"] < r["V2"] < r["V3"] < r["V4"]
    assert -beat(ecg, "V1").min() > r["V1"]
    t = dict(zip(LEADS, ecg.truth.lead_values["t_mv"], strict=True))
    assert all(t[lead] > 0.05 for lead in ("I", "II", "V3", "V4", "V5", "V6"))
    assert t["aVR"] < -0.05
    onset = ecg.truth.qrs_onsets[1]
    assert ecg.lead("II")[onset - 80 : onset - 20].max() == pytest.approx(0.12, abs=0.02)


def test_atrial_fibrillation_has_no_p_and_irregular_rr():
    spec = replace(QUIET, rhythm="atrial fibrillation", hr_bpm=90, rr_variation=0.2, qt_ms=350)
    truth = simulate(spec, 7).truth
    rr = np.diff(truth.qrs_onsets)
    assert truth.pr_ms is None
    assert not (truth.wave_mask == 1).any()
    assert rr.std() / rr.mean() > 0.08
    assert truth.diagnoses[0] == "atrial fibrillation"


def test_flutter_waves_come_ratio_times_the_ventricular_rate():
    spec = replace(QUIET, rhythm="atrial flutter", hr_bpm=75, flutter_ratio=4, f_wave_mv=0.25)
    x = simulate(replace(spec, qrs_gain=0.01, t_mv=0.0, t_front_mv=0.0), 8).lead("aVF")
    power = np.abs(np.fft.rfft(x - x.mean())) ** 2
    assert power.argmax() / 10 == pytest.approx(5.0, abs=0.11)  # 300 a minute


def test_right_bundle_branch_block_ends_forward_and_to_the_right():
    for seed in range(5):
        ecg = simulate(RBBB, seed)
        late = slice(45, 68)  # 90-136 ms after onset
        assert beat(ecg, "V1")[late].max() > 0.2
        assert beat(ecg, "V1").argmax() > 35
        assert beat(ecg, "I")[late].min() < -0.03
        assert beat(ecg, "V6")[late].min() < -0.1
        assert "right bundle branch block" in ecg.truth.diagnoses


def test_left_bundle_branch_block_is_wide_and_negative_in_v1():
    for seed in range(5):
        ecg = simulate(LBBB, seed)
        v1, v6 = beat(ecg, "V1"), beat(ecg, "V6")
        assert v1.sum() < 0
        assert v1.max() < 0.15
        assert v6.sum() > 0
        assert v6.min() > -0.1  # neither q nor S
        t = dict(zip(LEADS, ecg.truth.lead_values["t_mv"], strict=True))
        assert t["V1"] > 0 > t["V6"]
        assert ecg.truth.qrs_ms >= 120
        assert "left bundle branch block" in ecg.truth.diagnoses


def test_inferior_st_elevation_comes_with_reciprocal_depression():
    truth = simulate(replace(QUIET, st_mv={"inferior": 0.25}), 9).truth
    st = dict(zip(LEADS, truth.lead_values["st_mv"], strict=True))
    assert np.mean([st["II"], st["III"], st["aVF"]]) == pytest.approx(0.25, abs=0.05)
    assert st["aVL"] < -0.05
    assert {"inferior myocardial infarction", "st elevation"} <= set(truth.diagnoses)


@pytest.mark.parametrize(
    ("dials", "label"),
    [
        ({"hr_bpm": 45}, "sinus bradycardia"),
        ({"hr_bpm": 130, "qt_ms": 300}, "sinus tachycardia"),
        ({"pr_ms": 240}, "first-degree av block"),
        ({"axis_deg": -50, "conduction": "lafb"}, "left anterior fascicular block"),
        ({"axis_deg": 120}, "right axis deviation"),
        ({"qt_ms": 480}, "prolonged qt interval"),
        ({"qrs_gain": 0.3}, "low qrs voltage"),
        ({"lv_gain": 2.2}, "left ventricular hypertrophy"),
        ({"t_wave_mv": {"lateral": -0.3}}, "t wave inversion"),
        ({"st_mv": {"lateral": -0.15}}, "st depression"),
        ({"old_infarction": ("inferior",), "axis_deg": 0}, "inferior myocardial infarction"),
        ({"n_pvc": 2}, "premature ventricular complexes"),
        ({"n_pac": 1}, "premature atrial complexes"),
        ({"rhythm": "paced", "qrs_ms": 160, "qt_ms": 440}, "paced rhythm"),
        ({"rr_variation": 0.08}, "sinus arrhythmia"),
    ],
)
def test_a_dial_turned_far_gives_its_label_and_no_normal_ecg(dials, label):
    labels = simulate(replace(QUIET, **dials), 0).truth.diagnoses
    assert label in labels
    assert label == "sinus arrhythmia" or "normal ecg" not in labels


def test_every_premature_beat_dialled_is_early():
    truth = simulate(replace(QUIET, n_pvc=2), 3).truth
    rr = np.diff(truth.qrs_onsets) * 2
    assert (rr < 0.8 * 60000 / 70).sum() == 2


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


def test_a_drawn_population_holds_normals_and_every_rhythm():
    rng = np.random.default_rng(0)
    truths = [simulate(sample_spec(rng), seed).truth for seed in range(500)]
    normal = np.mean(["normal ecg" in truth.diagnoses for truth in truths])
    assert 0.3 < normal < 0.55
    assert len({truth.rhythm for truth in truths}) == 6
    assert all(len(set(truth.diagnoses)) == len(truth.diagnoses) for truth in truths)


@pytest.mark.parametrize(
    ("dials", "quoted"),
    [
        ({"rhythm": "waltz"}, "'waltz'"),
        ({"hr_bpm": 0}, "hr_bpm 0"),
        ({"qt_ms": 150}, "qt_ms 150"),
        ({"pr_ms": 50}, "pr_ms 50"),
        ({"st_mv": {"septal": 0.1}}, "'septal'"),
    ],
)
def test_impossible_dials_are_refused_by_name_and_value(dials, quoted):
    with pytest.raises(ECGError, match=quoted):
        HeartSpec(**dials)


def test_more_premature_beats_than_fit_are_refused():
    with pytest.raises(ECGError, match="9 PVCs"):
        simulate(HeartSpec(n_pvc=9))
