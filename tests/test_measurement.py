"""What `measure` promises: hand-built beats, hand arithmetic, annotations, bad input."""

import json

import numpy as np
import pytest
import wfdb

from benchmarks.measure import annotations, load, reference
from ecg_r1.ecg import ECG, FS, LEADS
from ecg_r1.measurement import frontal_axis, measure, qtc_bazett, qtc_fridericia
from ecg_r1.simulate import HeartSpec, simulate

SHAPE = np.array([0.6, 1.0, 0.4, -0.8, 0.1, 0.7, -0.6, -0.4, 0.5, 1.2, 1.1, 0.9])


def half_sine(samples: int) -> np.ndarray:
    return np.sin(np.pi * np.arange(samples + 1) / samples)


def beat_train(rr_ms: float = 800, *, with_p: bool = True, seconds: float = 10) -> ECG:
    """P 100 ms, PR 160, QRS 90 (triangle), QT 400 (half-sine T of 160 ms); 1 mV R in II."""
    n = int(seconds * FS)
    x = np.zeros(n + 1000)
    for start in np.arange(150, n, rr_ms / 2):
        qrs = int(start)
        if with_p:
            x[qrs - 80 : qrs - 29] += 0.15 * half_sine(50)
        x[qrs : qrs + 46] += 1 - np.abs(np.linspace(-1, 1, 46))
        x[qrs + 120 : qrs + 201] += 0.3 * half_sine(80)
    noise = np.random.default_rng(1).normal(0, 0.003, (12, n))
    return ECG(signal=SHAPE[:, None] * x[:n] + noise, source="by hand")


def test_known_intervals_of_a_hand_built_beat_train_are_found():
    m = measure(beat_train())
    assert m.hr_bpm == pytest.approx(75, abs=0.3)
    assert m.pr_ms == pytest.approx(160, abs=10)
    # a corner without noise is marked up to 8 ms outside on each side: 40 Hz and 10 ms window
    assert m.qrs_ms == pytest.approx(90 + 8, abs=9)
    assert m.qt_ms == pytest.approx(400 + 8, abs=9)
    assert m.p_present is True
    assert m.regular is True
    assert m.leads.loc["II", "r_mv"] == pytest.approx(1.0, abs=0.03)
    assert m.leads.loc["aVR", "s_mv"] == pytest.approx(-0.8, abs=0.03)
    assert m.leads.loc["II", "t_mv"] == pytest.approx(0.3, abs=0.02)
    assert m.leads.loc["II", "p_mv"] == pytest.approx(0.15, abs=0.02)
    assert m.leads.loc["II", "st_mv"] == pytest.approx(0.0, abs=0.02)
    assert np.isnan(m.leads.loc["aVR", "r_mv"])


def test_no_p_wave_means_no_pr_with_the_reason():
    m = measure(beat_train(with_p=False))
    assert m.p_present is False
    assert m.pr_ms is None
    assert "P wave" in m.unmeasurable["pr_ms"]
    assert m.qt_ms == pytest.approx(400, abs=14)


def test_axis_of_equal_areas_in_i_and_avf_is_the_arctangent_of_two_over_root_three():
    # tan(a) = 2 * 1 / (sqrt(3) * 1) = 1.1547, a = 49.1 degrees
    assert frontal_axis(1.0, 1.0) == pytest.approx(49.1066, abs=1e-3)
    # a dipole at 60 degrees shows cos(60) = 0.5 in I and cos(30) * 2/sqrt(3)... / aVF = 0.75
    assert frontal_axis(0.5, 0.75) == pytest.approx(60.0, abs=1e-9)
    assert frontal_axis(-1.0, 0.0) == pytest.approx(180.0)


def test_axis_of_a_dipole_is_found_from_its_leads():
    signal = beat_train().signal.copy()
    base = signal[1].copy()
    signal[0], signal[5] = 0.5 * base, -0.75 * base  # -60 degrees
    assert measure(ECG(signal=signal, source="")).axis_deg == pytest.approx(-60, abs=1)


def test_qtc_formulas_by_hand():
    assert qtc_fridericia(400, 512) == pytest.approx(500)  # 0.512 ** (1/3) = 0.8
    assert qtc_bazett(400, 640) == pytest.approx(500)  # sqrt(0.64) = 0.8


def test_one_early_wide_beat_is_counted_as_premature_wide():
    signal = beat_train(1000).signal.copy()
    r = measure(ECG(signal=signal, source="")).rpeaks
    at = int(r[5]) - 200  # 400 ms before the sixth R: 600 ms after the fifth
    signal[:, at - 50 : at + 400] = 0.0
    signal[:, at - 50 : at + 51] = -1.5 * SHAPE[::-1, None] * half_sine(100)
    m = measure(ECG(signal=signal, source=""))
    assert (m.n_wide_premature, m.n_narrow_premature) == (1, 0)
    assert len(m.rpeaks) == len(r)


def test_fiducials_have_every_beat_lead_and_wave_in_order():
    m = measure(beat_train())
    marks = m.fiducials
    assert list(marks) == ["beat", "lead", "wave", "onset", "peak", "offset"]
    assert len(marks) == len(m.rpeaks) * 13 * 3
    known = marks.dropna()
    assert (known.onset <= known.peak).all()
    assert (known.peak <= known.offset).all()


@pytest.mark.parametrize("number", [1, 2, 5, 10, 20, 40, 70, 98])
def test_ludb_records_agree_with_their_cardiologists(shared, number):
    ecg, true = (
        load(shared / "data/ludb", number),
        reference(annotations(shared / "data/ludb", number)),
    )
    m = measure(ecg)
    middle = m.leads.median()
    inside = m.rpeaks[(m.rpeaks > true["first"]) & (m.rpeaks < true["last"])]
    assert 60 * FS / np.diff(inside).mean() == pytest.approx(true["hr"], abs=0.3)
    assert middle.pr_ms == pytest.approx(true["pr"], abs=20)
    assert middle.qrs_ms == pytest.approx(true["qrs"], abs=27)
    assert middle.qt_ms == pytest.approx(true["qt"], abs=30)


def test_mean_error_over_ten_ludb_records_stays_small(shared):
    folder, errors = shared / "data/ludb", []
    for number in range(11, 21):
        true, middle = (
            reference(annotations(folder, number)),
            measure(load(folder, number)).leads.median(),
        )
        errors.append([middle[f"{k}_ms"] - true[k] for k in ("pr", "qrs", "qt")])
    pr, qrs, qt = np.nanmean(np.abs(errors), axis=0)
    assert pr < 9
    assert qrs < 9
    assert qt < 12


@pytest.mark.parametrize("number", [38, 88, 90, 95])  # atrial fibrillation in ludb.csv
def test_atrial_fibrillation_has_no_pr(shared, number):
    m = measure(load(shared / "data/ludb", number))
    assert m.pr_ms is None
    assert m.p_present is False


def degenerate() -> dict[str, np.ndarray]:
    rng, good = np.random.default_rng(0), beat_train().signal
    gap, flat = good.copy(), good.copy()
    gap[:, 2000:3000], flat[3:] = np.nan, 0.0
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
        "nine flat leads": flat,
        "clipped": np.clip(good, -0.3, 0.3),
    }


@pytest.mark.parametrize("name", list(degenerate()))
def test_degenerate_records_give_values_or_reasons(name):
    m = measure(ECG(signal=degenerate()[name], source=name))
    json.dumps(m.to_json(), allow_nan=False)
    for quantity in ("hr_bpm", "pr_ms", "qrs_ms", "qt_ms", "qtc_ms", "axis_deg"):
        assert (getattr(m, quantity) is None) == (quantity in m.unmeasurable), quantity


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
