"""The record: what a file says comes out in millivolts at 500 Hz, or is refused by name."""

import json
import shutil

import numpy as np
import pydicom
import pytest
import wfdb

from ecg_r1.ecg import ECG, FS, LEADS, ECGError, canonical_lead, collect_wfdb, read_ecg
from ecg_r1.formats import MAX_BYTES, parse_age, parse_sex

INDEPENDENT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")


def sines(fs=FS, seconds=10.0, hz=5.0):
    """Twelve sines of 0.1 to 1.2 mV; whole microvolts, so that a WFDB file holds them."""
    t = np.arange(round(fs * seconds)) / fs
    amplitudes = np.arange(1, 13)[:, None] / 10
    return np.round(amplitudes * np.sin(2 * np.pi * hz * t), 3)


def write_wfdb(folder, signal, *, name="rec", fs=FS, leads=LEADS, units="mV", comments=()):
    wfdb.wrsamp(
        name,
        fs=fs,
        units=[units] * len(signal),
        sig_name=list(leads),
        p_signal=signal.T,
        fmt=["16"] * len(signal),
        adc_gain=[1000.0] * len(signal),
        baseline=[0] * len(signal),
        comments=list(comments),
        write_dir=str(folder),
    )
    return folder / f"{name}.hea"


def write_csv(path, signal, header=LEADS):
    rows = [",".join(header), *(",".join(f"{v:.6g}" for v in row) for row in signal.T)]
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def write_npy(path, signal):
    np.save(path, signal)
    return path


def edit(path, old, new, count=-1):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, count), encoding="utf-8")
    return path


# ---- the record itself


def test_a_record_cannot_be_changed():
    ecg = ECG(np.zeros((12, 500)), "x")
    with pytest.raises(ValueError, match="read-only"):
        ecg.signal[0, 0] = 1


@pytest.mark.parametrize("shape", [(11, 5000), (5000, 12), (12, 0), (12,)])
def test_a_record_of_another_shape_is_refused_with_its_shape(shape):
    with pytest.raises(ECGError, match=str(shape).replace("(", r"\(").replace(")", r"\)")):
        ECG(np.zeros(shape), "x")


# ---- the same ECG from every format


def test_wfdb_csv_and_npy_of_one_ecg_read_to_the_same_signal(tmp_path):
    signal = sines()
    from_wfdb = read_ecg(write_wfdb(tmp_path, signal))
    from_csv = read_ecg(write_csv(tmp_path / "a.csv", signal), fs=500, units="mV")
    options = {"fs": 500, "units": "mV", "leads": LEADS}
    upright = read_ecg(write_npy(tmp_path / "a.npy", signal), **options)
    lying = read_ecg(write_npy(tmp_path / "b.npy", signal.T), **options)
    for ecg in (from_wfdb, from_csv, upright, lying):
        assert ecg.signal.dtype == np.float32
        np.testing.assert_allclose(ecg.signal, signal, atol=1e-6)
        assert ecg.notes == ()


def test_ptbxl_reads_as_wfdb_itself_reads_it(shared):
    record = shared / "data/ptbxl/records500/00000/00001_hr"
    expected, _ = wfdb.rdsamp(str(record))
    for path in (record, f"{record}.hea", f"{record}.dat"):
        ecg = read_ecg(path)
        np.testing.assert_array_equal(ecg.signal, expected.T.astype(np.float32))
    assert ecg.calibrated
    assert (ecg.age_years, ecg.sex, ecg.source_fs) == (None, None, 500)


def test_ludb_header_gives_age_sex_and_lower_case_leads(shared):
    ecg = read_ecg(shared / "data/ludb/data/1")
    assert (ecg.age_years, ecg.sex, ecg.derived) == (51, "female", ())
    expected, fields = wfdb.rdsamp(str(shared / "data/ludb/data/1"))
    assert fields["sig_name"][9] == "v4"
    np.testing.assert_array_equal(ecg.lead("V4"), expected[:, 9].astype(np.float32))


def test_cinc_mat_gives_age_and_sex(shared):
    ecg = read_ecg(shared / "data/cinc2021/E07500.mat")
    assert (ecg.age_years, ecg.sex) == (78, "male")
    # The header's sixth field group: first sample of lead I, -68 steps of a microvolt.
    assert ecg.lead("I")[0] == pytest.approx(-0.068)


def test_uncalibrated_header_is_remembered_and_its_rate_raised(shared):
    ecg = read_ecg(shared / "data/ptbxl_z/records/13495")
    assert not ecg.calibrated
    assert ecg.signal.shape == (12, 5000)
    assert "resampled from 125 Hz to 500 Hz" in ecg.notes


def rr_ms_of(ecg):
    """Median distance of the steepest points of lead II: crude, and none of our code."""
    slope = np.abs(np.diff(ecg.lead("II")))
    steep = np.flatnonzero(slope > 0.6 * slope.max())
    beats = steep[np.diff(steep, prepend=-FS) > 0.3 * FS]
    return 1000 * np.median(np.diff(beats)) / FS


def test_dicom_takes_the_rhythm_and_agrees_with_the_machine(assets):
    ecg = read_ecg(assets / "ecgs/waveform_ecg.dcm")
    assert ecg.duration_s == 10  # the median beat would be 1.2 s
    assert (ecg.age_years, ecg.sex, ecg.source_fs) == (42, "female", 1000)
    assert rr_ms_of(ecg) == pytest.approx(982, abs=15)  # the machine's RR interval in the file
    other = read_ecg(assets / "ecgs/guangxi_teaching_sinus_rhythm.dcm")
    assert 60_000 / rr_ms_of(other) == pytest.approx(97, abs=2)  # its ventricular rate


def test_dicom_voltages_are_sensitivity_times_samples(assets):
    path = assets / "ecgs/guangxi_teaching_sinus_rhythm.dcm"
    group = pydicom.dcmread(path).WaveformSequence[0]
    steps = np.frombuffer(group.WaveformData, "<i2").reshape(5000, 12)[:, 7]
    expected_mv = steps * 4.88e-3  # 4.88 uV a step, stated for every channel of the file
    np.testing.assert_allclose(read_ecg(path).lead("V2"), expected_mv, rtol=1e-6)


def test_dicom_padding_is_a_gap(assets, tmp_path):
    dataset = pydicom.dcmread(assets / "ecgs/guangxi_teaching_sinus_rhythm.dcm")
    group = dataset.WaveformSequence[0]
    steps = np.frombuffer(group.WaveformData, "<i2").reshape(5000, 12).copy()
    steps[1000:1500, 6] = -32768
    group.WaveformData = steps.tobytes()
    group.WaveformPaddingValue = np.int16(-32768).tobytes()
    group["WaveformPaddingValue"].VR = "OW"
    dataset.save_as(tmp_path / "padded.dcm")
    gaps = np.isnan(read_ecg(tmp_path / "padded.dcm").signal)
    assert gaps[6, 1000:1500].all()
    assert gaps.sum() == 500


def test_every_example_reads_and_its_label_is_listed(assets):
    examples = json.loads((assets / "ecgs/examples.json").read_text(encoding="utf-8"))
    assert len(examples) >= 6
    for example in examples:
        ecg = read_ecg(assets / "ecgs" / example["file"])
        assert ecg.source_fs == example["fs"]
        assert ecg.signal.shape == (12, 5000)
        assert {"title", "known_label", "source", "licence"} <= example.keys()


# ---- leads


def test_order_of_channels_does_not_matter(tmp_path):
    signal = sines()
    order = np.random.default_rng(0).permutation(12)
    names = [LEADS[j] for j in order]
    mixed = read_ecg(write_wfdb(tmp_path, signal[order], leads=names))
    np.testing.assert_allclose(mixed.signal, signal, atol=1e-6)


@pytest.mark.parametrize(
    ("written", "lead"),
    [
        ("AVR", "aVR"),
        ("avf", "aVF"),
        (" v1 ", "V1"),
        ("Lead II", "II"),
        ("ECG Lead III", "III"),
        ("lead_aVL", "aVL"),
        ("Lead I (Einthoven)", "I"),
        ("aVR, augmented voltage, right", "aVR"),
        ("MLII", None),
        ("V7", None),
        ("", None),
    ],
)
def test_leads_are_known_by_name_however_spelt(written, lead):
    assert canonical_lead(written) == lead


def test_derived_limb_leads_obey_einthoven_and_goldberger(tmp_path):
    rows = [LEADS.index(name) for name in INDEPENDENT]
    ecg = read_ecg(write_wfdb(tmp_path, sines()[rows], leads=INDEPENDENT))
    assert ecg.derived == ("III", "aVR", "aVL", "aVF")
    i, ii, iii, avr, avl, avf = ecg.signal[:6]
    np.testing.assert_allclose(i + iii, ii, atol=1e-6)
    np.testing.assert_allclose(avr + avl + avf, 0, atol=1e-6)
    np.testing.assert_allclose(avr, -(i + ii) / 2, atol=1e-6)
    np.testing.assert_allclose(avl - avf, 1.5 * (i - ii), atol=1e-6)
    assert "computed III, aVR, aVL, aVF from I and II" in ecg.notes[0]


def test_derivation_restores_what_a_real_file_recorded(shared, tmp_path):
    whole = read_ecg(shared / "data/ptbxl/records500/00000/00001_hr")
    rows = [LEADS.index(name) for name in INDEPENDENT]
    part = read_ecg(write_wfdb(tmp_path, whole.signal[rows].astype(float), leads=INDEPENDENT))
    np.testing.assert_allclose(part.signal, whole.signal, atol=0.0021)  # recorded in 1 uV steps


def test_frank_leads_are_left_out_and_said_so(tmp_path):
    signal = np.vstack([sines(), sines()[:3]])
    ecg = read_ecg(write_wfdb(tmp_path, signal, leads=(*LEADS, "vx", "vy", "vz")))
    assert ecg.notes == ("left out vx, vy, vz, which are not among the 12 leads",)


def test_names_of_ones_own_are_given_and_a_channel_left_out(tmp_path):
    signal = np.vstack([sines()[:1] * 3, sines()])
    names = [f"ch{j}" for j in range(13)]
    path = write_wfdb(tmp_path, signal, leads=names)
    with pytest.raises(ECGError, match="unknown lead 'ch0': pass leads="):
        read_ecg(path)
    ecg = read_ecg(path, leads="-," + ",".join(LEADS))
    np.testing.assert_allclose(ecg.signal, sines(), atol=1e-6)


@pytest.mark.parametrize(
    ("names", "given", "message"),
    [
        (("I", "II", *LEADS[2:9], "V4", "V5", "resp"), None, "unknown lead 'resp'"),
        (("I", "II", *LEADS[2:11], "MLII"), None, "unknown lead 'MLII'"),
        ((*LEADS[:11], "v5"), None, "lead V5 stands twice, in channels 11 and 12"),
        (LEADS, (*LEADS[:10], "V6", "V5"), "calls a channel 'V5', but leads=... says 'V6'"),
        (LEADS, LEADS[:11], "11 leads were given for 12 channels"),
    ],
)
def test_leads_that_cannot_be_placed_are_refused_by_name(tmp_path, names, given, message):
    path = write_wfdb(tmp_path, sines(), leads=names)
    with pytest.raises(ECGError, match=message):
        read_ecg(path, leads=given)


def test_missing_chest_leads_are_named(tmp_path):
    path = write_wfdb(tmp_path, sines()[:9], leads=LEADS[:9])
    with pytest.raises(ECGError, match="lacks V4, V5, V6"):
        read_ecg(path)


# ---- units


@pytest.mark.parametrize(
    ("unit", "per_mv"),
    [("V", 1e-3), ("mV", 1), ("uV", 1e3), ("\u00b5V", 1e3), ("\u03bcV", 1e3)],
)
def test_units_become_millivolts(tmp_path, unit, per_mv):
    path = write_csv(tmp_path / "a.csv", sines() * per_mv)
    ecg = read_ecg(path, fs=500, units=unit)
    np.testing.assert_allclose(ecg.signal, sines(), rtol=1e-4, atol=1e-6)
    named = write_csv(tmp_path / "b.csv", sines() * per_mv, [f"{n} ({unit})" for n in LEADS])
    np.testing.assert_array_equal(read_ecg(named, fs=500).signal, ecg.signal)


def test_micro_sign_in_a_wfdb_header_is_not_dropped(tmp_path):
    """The wfdb library reads headers as ASCII and turns µV into V."""
    path = edit(write_wfdb(tmp_path, sines()), "/mV", "/\u00b5V")
    assert np.abs(read_ecg(path).signal).max() == pytest.approx(1.2e-3, rel=1e-3)


@pytest.mark.parametrize("unit", ["MV", "nu", "adu", "mmHg", ""])
def test_unknown_units_are_quoted(tmp_path, unit):
    path = write_csv(tmp_path / "a.csv", sines())
    with pytest.raises(ECGError, match=f"unknown units '{unit}'"):
        read_ecg(path, fs=500, units=unit)


def test_wrong_units_show_in_impossible_voltages(tmp_path):
    path = write_csv(tmp_path / "a.csv", sines() * 1000)
    with pytest.raises(ECGError, match=r"lead V5 reaches 1\d\d\d mV, which no electrode gives"):
        read_ecg(path, fs=500, units="mV")


def test_a_header_without_gain_is_uncalibrated(tmp_path):
    path = edit(write_wfdb(tmp_path, sines()), "1000.0(0)/mV", "0(0)/mV")
    ecg = read_ecg(path)
    assert not ecg.calibrated
    assert "states no gain" in ecg.notes[0]


# ---- nothing is guessed, and nothing overridden


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"units": "mV"}, "does not state its sampling rate: pass fs="),
        ({"fs": 500}, "does not state the units of lead I: pass units="),
    ],
)
def test_what_neither_file_nor_caller_says_is_an_error(tmp_path, given, message):
    with pytest.raises(ECGError, match=message):
        read_ecg(write_csv(tmp_path / "a.csv", sines()), **given)


def test_wfdb_defaults_are_not_taken_for_statements(tmp_path):
    """The wfdb library fills in 250 Hz and mV where the header has neither."""
    path = edit(write_wfdb(tmp_path, sines()), "rec 12 500 5000", "rec 12")
    with pytest.raises(ECGError, match="does not state its sampling rate"):
        read_ecg(path)
    edit(path, "/mV", "")
    with pytest.raises(ECGError, match="does not state the units"):
        read_ecg(path, fs=500)
    assert read_ecg(path, fs=500, units="mV").duration_s == 10


def test_npy_needs_lead_names_and_csv_without_header_too(tmp_path):
    with pytest.raises(ECGError, match="no lead names"):
        read_ecg(write_npy(tmp_path / "a.npy", sines()), fs=500, units="mV")
    bare = tmp_path / "a.csv"
    np.savetxt(bare, sines().T, delimiter=",", fmt="%.6g")
    with pytest.raises(ECGError, match="no lead names"):
        read_ecg(bare, fs=500, units="mV")
    ecg = read_ecg(bare, fs=500, units="mV", leads=LEADS)
    np.testing.assert_allclose(ecg.signal, sines(), atol=1e-6)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"fs": 250}, "states 500 Hz, but fs=250 was given"),
        ({"units": "uV"}, "states 'mV', but units='uV' was given"),
    ],
)
def test_an_argument_that_contradicts_the_file_is_an_error(tmp_path, given, message):
    with pytest.raises(ECGError, match=message):
        read_ecg(write_wfdb(tmp_path, sines()), **given)


def test_an_argument_that_agrees_with_the_file_is_fine(tmp_path):
    path = write_wfdb(tmp_path, sines())
    assert read_ecg(path, fs=500, units="mV", leads=LEADS).notes == ()


# ---- sampling rate and length


@pytest.mark.parametrize("fs", [100, 125, 257, 360, 1000, 2000])
def test_a_5_hz_sine_stays_itself_at_500_hz(tmp_path, fs):
    ecg = read_ecg(write_npy(tmp_path / "a.npy", sines(fs)), fs=fs, units="mV", leads=LEADS)
    assert ecg.signal.shape == (12, 5000)
    assert ecg.source_fs == fs
    error = np.abs(ecg.signal - sines())
    inner = slice(FS // 2, -FS // 2)  # the filter sees no signal beyond the ends
    assert error[:, inner].max() < 0.01 * 1.2
    assert f"resampled from {fs} Hz to 500 Hz" in ecg.notes


@pytest.mark.parametrize("fs", [99.9, 2001, 0, -500, float("nan"), float("inf")])
def test_impossible_sampling_rates_are_quoted(tmp_path, fs):
    path = write_npy(tmp_path / "a.npy", sines())
    with pytest.raises(ECGError, match=f"{fs:g}"):
        read_ecg(path, fs=fs, units="mV", leads=LEADS)


def test_gaps_stay_gaps_through_resampling(tmp_path):
    signal = sines(250)
    signal[1, 500:750] = np.nan  # lead II, from 2 s to 3 s
    signal[11] = np.nan
    ecg = read_ecg(write_npy(tmp_path / "a.npy", signal), fs=250, units="mV", leads=LEADS)
    gaps = np.isnan(ecg.signal)
    # One sample either side has a missing neighbour at 250 Hz.
    np.testing.assert_array_equal(np.flatnonzero(gaps[1]), np.arange(999, 1500))
    assert gaps[11].all()
    assert not gaps[[0, *range(2, 11)]].any()
    assert "gaps where nothing was recorded: II 1 s, V6 10 s" in ecg.notes


def test_a_wfdb_sample_marked_invalid_is_a_gap(tmp_path):
    signal = sines()
    signal[3, 100:200] = np.nan
    gaps = np.isnan(read_ecg(write_wfdb(tmp_path, signal)).signal)
    assert gaps.sum() == gaps[3, 100:200].sum() == 100


def test_long_records_are_cut_and_short_ones_kept(tmp_path):
    ecg = read_ecg(write_wfdb(tmp_path, sines(360, 30.0), fs=360))
    assert ecg.signal.shape == (12, 5000)
    assert "cut to the first 10 s of 30.0 s" in ecg.notes
    short = read_ecg(write_wfdb(tmp_path, sines(seconds=2.5)))
    assert short.duration_s == 2.5
    assert short.notes == ()


def test_too_short_and_too_long_are_refused_with_the_length(tmp_path):
    with pytest.raises(ECGError, match=r"lasts 0\.9 s"):
        read_ecg(write_wfdb(tmp_path, sines(seconds=0.9)))
    day = np.lib.format.open_memmap(
        tmp_path / "day.npy", mode="w+", dtype=np.float16, shape=(12, 361_000)
    )
    day.flush()
    with pytest.raises(ECGError, match="lasts 3610 s"):
        read_ecg(tmp_path / "day.npy", fs=100, units="mV", leads=LEADS)


# ---- CSV


@pytest.mark.parametrize(
    ("title", "unit_s"), [("time", 1), ("Time (s)", 1), ("t_ms", 1e-3), ("time [ms]", 1e-3)]
)
def test_a_time_column_gives_the_rate(tmp_path, title, unit_s):
    times = np.arange(3600) / 360 / unit_s
    table = np.vstack([np.round(times, 4), sines(360)])
    path = write_csv(tmp_path / "a.csv", table, (title, *LEADS))
    ecg = read_ecg(path, units="mV")
    assert ecg.source_fs == 360
    with pytest.raises(ECGError, match="states 360 Hz, but fs=500"):
        read_ecg(path, fs=500, units="mV")


def test_a_time_column_with_a_jump_is_refused(tmp_path):
    times = np.arange(5000) / 500
    times[2500:] += 3
    path = write_csv(tmp_path / "a.csv", np.vstack([times, sines()]), ("time", *LEADS))
    with pytest.raises(ECGError, match="column 'time' does not rise evenly"):
        read_ecg(path, units="mV")


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters_empty_cells_and_pandas_row_numbers(tmp_path, delimiter):
    rows = [["", *LEADS]]
    rows += [[str(n), *(f"{v:.6g}" for v in row)] for n, row in enumerate(sines().T)]
    rows[8][3] = ""  # lead III, sample 7
    path = tmp_path / "a.csv"
    path.write_text("\n".join(delimiter.join(row) for row in rows), encoding="utf-8")
    ecg = read_ecg(path, fs=500, units="mV")
    assert np.argwhere(np.isnan(ecg.signal)).tolist() == [[2, 7]]


@pytest.mark.parametrize(
    ("cell", "message"), [("oops", "'oops'"), ("inf", "lead I holds inf at sample 0")]
)
def test_a_cell_that_is_no_voltage_is_quoted(tmp_path, cell, message):
    signal = sines()
    path = write_csv(tmp_path / "a.csv", signal)
    edit(path, "\n0,", f"\n{cell},", 1)
    with pytest.raises(ECGError, match=message):
        read_ecg(path, fs=500, units="mV")


def test_a_ragged_csv_is_refused(tmp_path):
    path = write_csv(tmp_path / "a.csv", sines())
    more = "\n1,2,3\n" + ",".join("0" * 12)
    path.write_text(path.read_text(encoding="utf-8") + more, encoding="utf-8")
    with pytest.raises(ECGError, match=r"a\.csv, below its header: .* 12 to 3"):
        read_ecg(path, fs=500, units="mV")


# ---- age and sex


@pytest.mark.parametrize(
    ("comment", "age"),
    [("<age>: 51", 51), ("Age: 78", 78), ("<age>: >89", 90), ("Age: NaN", None)],
)
def test_age_stands_in_header_comments(tmp_path, comment, age):
    assert read_ecg(write_wfdb(tmp_path, sines(), comments=[comment])).age_years == age


def test_what_an_age_above_89_is_and_an_impossible_one():
    notes = []
    assert parse_age(">89", notes) == 90
    assert parse_age("300", notes) is None
    assert notes == [
        "the file gives the age as >89",
        "the file gives the age as 300, which is not used",
    ]


@pytest.mark.parametrize(
    ("text", "sex"), [("F", "female"), ("Male", "male"), ("Unknown", None), ("O", None)]
)
def test_sex_is_female_male_or_unknown(text, sex):
    assert parse_sex(text) == sex


# ---- hostile and broken files


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "https://x.org/a.dat",
        "..\\a.dat",
        "C:a.dat",
        "zip::a.dat",
        "~",
    ],
)
def test_a_header_that_points_elsewhere_is_refused_before_anything_is_opened(
    tmp_path, monkeypatch, name
):
    path = edit(write_wfdb(tmp_path, sines()), "rec.dat", name)
    for function in ("rdheader", "rdrecord"):
        monkeypatch.setattr(wfdb, function, lambda *_, **__: pytest.fail("was opened"))
    with pytest.raises(ECGError, match="only a plain file name") as caught:
        read_ecg(path)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("declared", [4000, 6000, 10**12])
def test_a_wfdb_file_that_lies_about_its_length_is_refused_with_both_counts(tmp_path, declared):
    path = edit(write_wfdb(tmp_path, sines()), "rec 12 500 5000", f"rec 12 500 {declared}")
    with pytest.raises(
        ECGError, match=rf"declares {declared} samples, but rec\.dat holds 5000"
    ):
        read_ecg(path)


def test_a_cut_off_npy_and_dicom_are_refused_with_both_counts(tmp_path, assets):
    path = write_npy(tmp_path / "a.npy", sines())
    path.write_bytes(path.read_bytes()[:-800])
    with pytest.raises(ECGError, match="declares 60000 numbers, but holds 59900"):
        read_ecg(path, fs=500, units="mV", leads=LEADS)
    dataset = pydicom.dcmread(assets / "ecgs/guangxi_teaching_sinus_rhythm.dcm")
    dataset.WaveformSequence[0].NumberOfWaveformSamples = 9000
    dataset.save_as(tmp_path / "a.dcm")
    with pytest.raises(ECGError, match="declares 9000 samples, but holds 5000"):
        read_ecg(tmp_path / "a.dcm")


def test_pickles_are_not_opened(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"x": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ECGError, match="holds object, not plain numbers"):
        read_ecg(tmp_path / "a.npy", fs=500, units="mV", leads=LEADS)


@pytest.mark.parametrize("shape", [(12, 12), (11, 5000), (12,), (12, 10, 10)])
def test_an_npy_that_could_lie_either_way_or_none_is_refused(tmp_path, shape):
    path = write_npy(tmp_path / "a.npy", np.zeros(shape))
    with pytest.raises(ECGError, match="exactly one side must be 12"):
        read_ecg(path, fs=500, units="mV", leads=LEADS)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.hea", b"", "empty"),
        ("a.hea", b"a 12 500 5000", "declares 12 signals and lists 0"),
        ("a.hea", b"a 0 500 5000", "lists no signals"),
        ("a.hea", b"a/2 12 500 10000\nb 5000\nc 5000", "multi-segment"),
        ("a.hea", b"\xff\xfe\x00\x00\n\x00\x00", "a.hea"),
        ("a.dat", b"1234", "needs its WFDB header a.hea"),
        ("a.mat", b"1234", "not a readable MATLAB file"),
        ("a.dcm", b"not DICOM at all", "not a readable DICOM"),
        ("a.npy", b"\x93NUMPY", "not a readable NPY"),
        ("a.csv", b"\xff\xfe\x00", "not UTF-8"),
        ("a.csv", b"I,II,III", "no samples"),
        ("a.pdf", b"%PDF", "is none of the files read here"),
    ],
)
def test_broken_files_are_refused_in_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ECGError, match=message) as caught:
        read_ecg(tmp_path / name, fs=500, units="mV", leads=LEADS)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", ["gone.hea", "gone.dcm", "gone", "a\0b.csv", "x" * 999])
def test_a_missing_file_is_an_ecg_error(tmp_path, name):
    with pytest.raises(ECGError, match="no such file"):
        read_ecg(tmp_path / name)


def test_a_huge_file_is_refused_before_reading(tmp_path):
    path = tmp_path / "a.csv"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(ECGError, match=str(MAX_BYTES + 1)):
        read_ecg(path, fs=500, units="mV")


def test_a_deflated_dicom_is_not_inflated(tmp_path, assets):
    dataset = pydicom.dcmread(assets / "ecgs/guangxi_teaching_sinus_rhythm.dcm")
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(tmp_path / "a.dcm")
    with pytest.raises(ECGError, match="deflated"):
        read_ecg(tmp_path / "a.dcm")


@pytest.mark.parametrize("name", ["A0002.hea", "guangxi_teaching_sinus_rhythm.dcm"])
def test_corrupted_files_give_a_record_or_an_ecg_error(tmp_path, assets, name):
    source = assets / "ecgs" / name
    content = source.read_bytes()
    if name.endswith(".hea"):
        shutil.copy(source.with_suffix(".dat"), tmp_path)
    rng = np.random.default_rng(7)
    refused = 0
    for _ in range(60):
        broken = bytearray(content)
        for place in rng.integers(0, min(len(content), 20_000), size=8):
            broken[place] = rng.integers(32, 127)
        (tmp_path / name).write_bytes(broken)
        try:
            read_ecg(tmp_path / name)
        except ECGError:
            refused += 1
    assert refused > 10


def test_a_record_of_gaps_alone_is_refused(tmp_path):
    path = write_npy(tmp_path / "a.npy", np.full((12, 5000), np.nan))
    with pytest.raises(ECGError, match="holds no samples"):
        read_ecg(path, fs=500, units="mV", leads=LEADS)


# ---- uploads


def test_an_upload_in_separate_folders_is_brought_together(tmp_path):
    made = write_wfdb(tmp_path, sines())
    for part in ("a", "b", "out"):
        (tmp_path / part).mkdir()
    header = shutil.move(made, tmp_path / "a/rec.hea")
    signal = shutil.move(made.with_suffix(".dat"), tmp_path / "b/rec.dat")
    with pytest.raises(ECGError, match=r"rec\.dat is missing: give it together with rec\.hea"):
        collect_wfdb([header], tmp_path / "out")
    with pytest.raises(ECGError, match=r"one \.hea file with its signal file, got rec\.dat"):
        collect_wfdb([signal], tmp_path / "out")
    ecg = read_ecg(collect_wfdb([signal, header], tmp_path / "out"))
    np.testing.assert_allclose(ecg.signal, sines(), atol=1e-6)


def test_an_upload_cannot_write_outside_its_folder(tmp_path):
    path = edit(write_wfdb(tmp_path, sines()), "rec.dat", "../evil.dat")
    (tmp_path / "out").mkdir()
    with pytest.raises(ECGError, match="only a plain file name"):
        collect_wfdb([path, path.with_suffix(".dat")], tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


# ---- what a review found


@pytest.mark.parametrize(("fs", "first", "last"), [(1000, 4001, 4002), (2000, 4001, 4004)])
def test_a_gap_between_the_kept_samples_is_not_bridged(tmp_path, fs, first, last):
    signal = sines(fs=fs)
    signal[2, first:last] = np.nan
    path = write_npy(tmp_path / "a.npy", signal)
    ecg = read_ecg(path, fs=fs, units="mV", leads=LEADS)
    lost = np.flatnonzero(np.isnan(ecg.signal[2]))
    assert lost.min() * fs / FS <= last
    assert lost.max() * fs / FS >= first - 1
    assert len(lost) <= 4
    assert not np.isnan(ecg.signal[1]).any()


@pytest.mark.parametrize(
    ("value", "calibrated"), [("0", None), ("", False), (None, False), ("4.88", True)]
)
def test_a_sensitivity_is_stated_or_missing_never_assumed(assets, tmp_path, value, calibrated):
    dataset = pydicom.dcmread(assets / "ecgs/guangxi_teaching_sinus_rhythm.dcm")
    channel = dataset.WaveformSequence[0].ChannelDefinitionSequence[3]
    if value is None:
        del channel.ChannelSensitivity
    else:
        channel.ChannelSensitivity = value
    dataset.save_as(tmp_path / "a.dcm")
    if calibrated is None:
        with pytest.raises(ECGError, match=r"ChannelSensitivity of channel .* is 0"):
            read_ecg(tmp_path / "a.dcm")
        return
    ecg = read_ecg(tmp_path / "a.dcm")
    assert ecg.calibrated is calibrated
    assert any("uncalibrated" in note for note in ecg.notes) is not calibrated


def test_a_dicom_that_holds_more_than_it_declares_is_refused(assets, tmp_path):
    dataset = pydicom.dcmread(assets / "ecgs/guangxi_teaching_sinus_rhythm.dcm")
    dataset.WaveformSequence[0].NumberOfWaveformSamples = 4000
    dataset.save_as(tmp_path / "a.dcm")
    with pytest.raises(ECGError, match="declares 4000 samples, but holds 5000"):
        read_ecg(tmp_path / "a.dcm")


def test_several_samples_per_frame_are_refused_not_averaged(tmp_path):
    path = write_wfdb(tmp_path, sines(), fs=FS)
    text = path.read_text()
    first, *rest = text.splitlines()
    name, n_sig, *_ = first.split()
    framed = [f"{name} {n_sig} 250 2500", *(line.replace(" 16 ", " 16x2 ", 1) for line in rest)]
    path.write_text("\n".join(framed) + "\n")
    with pytest.raises(ECGError, match="2 samples per frame"):
        read_ecg(path)


def test_missing_rows_in_a_time_column_are_refused(tmp_path):
    signal = sines(fs=250)
    table = np.vstack([np.arange(2500) / 250, signal])
    cut = np.delete(table, [1200, 1201], axis=1)
    path = write_csv(tmp_path / "a.csv", cut, header=("time", *LEADS))
    with pytest.raises(ECGError, match="does not rise evenly"):
        read_ecg(path, units="mV")


def test_a_first_row_of_numbers_with_a_gap_is_data(tmp_path):
    path = tmp_path / "a.csv"
    rows = [[""] + ["0.5"] * 11, *([["0.5"] * 12] * 999)]
    path.write_text("\n".join(",".join(row) for row in rows))
    ecg = read_ecg(path, fs=500, units="mV", leads=LEADS)
    assert ecg.signal.shape == (12, 1000)
    assert np.isnan(ecg.signal[0, 0])


def test_a_record_whose_kept_seconds_are_all_gaps_is_refused(tmp_path):
    signal = np.full((12, 6000), np.nan)
    signal[:, 5200] = 1.0
    path = write_npy(tmp_path / "a.npy", signal)
    with pytest.raises(ECGError, match="every lead is a gap"):
        read_ecg(path, fs=500, units="mV", leads=LEADS)
