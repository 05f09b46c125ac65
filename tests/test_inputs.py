"""The door: what an upload says, what it leaves unsaid, and what comes of saying it."""

import shutil
import tempfile

import numpy as np
import pytest
import scipy.io
from PIL import Image

from benchmarks.samples import (
    EIGHT,
    beats,
    of,
    write_aecg,
    write_muse,
    write_table,
    write_wfdb,
)
from ecg_r1.ecg import ECG, LEADS, ECGError
from ecg_r1.inputs import (
    MAX_FILES,
    UPLOAD_LIMITS,
    inspect_table,
    inspect_upload,
    open_case,
    open_table,
    open_upload,
)
from ecg_r1.page import draw_page

OWN_NAMES = [f"ch{number}" for number in range(12)]


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where temporary folders go, to see that none stays."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_record_that_says_everything_misses_nothing(tmp_path):
    upload = inspect_upload([write_muse(tmp_path / "a.xml", beats())])
    assert (upload.source, upload.format, dict(upload.missing)) == ("a.xml", "GE MUSE XML", {})
    assert (upload.fs, upload.n_samples, upload.age_years, upload.sex) == (
        500,
        5000,
        61,
        "female",
    )
    assert [(one.key, one.lead, one.units) for one in upload.channels] == [
        (lead, lead, "uV") for lead in EIGHT
    ]


@pytest.mark.parametrize(
    ("name", "write", "known"),
    [
        ("a.xml", write_aecg, "HL7 aECG"),
        ("a.csv", write_table, "table"),
        ("a.mat", lambda path, signal: scipy.io.savemat(path, {"val": signal}), "MATLAB"),
        ("a.npy", np.save, "NPY"),
    ],
)
def test_formats_are_recognised(tmp_path, name, write, known):
    write(tmp_path / name, beats())
    upload = inspect_upload([tmp_path / name])
    assert (upload.format, upload.n_samples, len(upload.channels)) == (known, 5000, 12)


def test_an_array_misses_all_three_words_and_is_read_with_them(tmp_path):
    np.save(tmp_path / "a.npy", beats().T)
    upload = inspect_upload([tmp_path / "a.npy"])
    assert list(upload.missing) == ["fs", "units", "leads"]
    assert [one.key for one in upload.channels][:2] == ["channel 1", "channel 2"]
    leads = {one.key: lead for one, lead in zip(upload.channels, LEADS, strict=True)}
    ecg = open_upload([tmp_path / "a.npy"], fs=500, units="mV", leads=leads)
    np.testing.assert_allclose(ecg.signal, beats(), atol=1e-6)
    in_order = open_upload([tmp_path / "a.npy"], fs=500, units="mV", leads=LEADS)
    np.testing.assert_array_equal(in_order.signal, ecg.signal)


def test_only_unknown_channels_need_a_lead(tmp_path):
    names = ["i", "ii", *OWN_NAMES[2:4], *LEADS[4:], "vx", "resp"]
    table = np.vstack([beats(), np.zeros((2, 5000))])
    path = write_table(tmp_path / "a.csv", table, header=names)
    upload = inspect_upload([path])
    assert upload.missing["leads"] == "no lead is called ch2, ch3, resp"
    assert [one.lead for one in upload.channels] == [
        "I",
        "II",
        None,
        None,
        *LEADS[4:],
        "-",
        None,
    ]
    given = {"ch2": "III", "ch3": "avr", "resp": "-"}
    ecg = open_upload([path], fs=500, units="mV", leads=given)
    np.testing.assert_allclose(ecg.signal, beats(), atol=1e-5)
    assert ecg.notes == ("left out vx, resp, which are not among the 12 leads",)


@pytest.mark.parametrize(
    ("leads", "message"),
    [
        ({"ch0": "I"}, "which lead is 'ch1'"),
        ({"ch77": "I"}, "there is no channel 'ch77': the file has ch0, ch1"),
        (dict.fromkeys(OWN_NAMES, "V1"), "lead V1 stands twice"),
        (dict.fromkeys(OWN_NAMES, "MLII"), "unknown lead 'MLII'"),
        (dict(zip(OWN_NAMES, ["-", *LEADS[1:]], strict=True)), "lacks I"),
        ({}, "unknown lead 'ch0'"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(tmp_path, leads, message):
    path = write_table(tmp_path / "a.csv", beats(), header=OWN_NAMES)
    with pytest.raises(ECGError, match=message):
        open_upload([path], fs=500, units="mV", leads=leads)


def test_what_a_file_states_is_not_overruled(tmp_path):
    path = write_muse(tmp_path / "a.xml", beats())
    for given, message in (
        ({"fs": 250}, "states 500 Hz, but fs=250"),
        ({"units": "mV"}, "states 'uV', but units='mV'"),
        ({"leads": {"V1": "V2", "V2": "V1"}}, "calls a channel 'V1', but leads=... says 'V2'"),
    ):
        with pytest.raises(ECGError, match=message):
            open_upload([path], **given)


def test_two_channels_of_one_name_have_keys_of_their_own(tmp_path):
    path = write_table(tmp_path / "a.csv", beats(), header=("ECG",) * 12)
    upload = inspect_upload([path])
    keys = [one.key for one in upload.channels]
    assert keys[:2] == ["ECG channel 1", "ECG channel 2"]
    leads = dict(zip(keys, LEADS, strict=True))
    assert open_upload([path], fs=500, units="mV", leads=leads).duration_s == 10
    doubled = write_table(tmp_path / "b.csv", beats(), header=(*LEADS[:11], "v5"))
    assert inspect_upload([doubled]).missing["leads"] == "several channels are called V5"


def test_a_preview_keeps_the_lowest_and_the_highest(tmp_path):
    signal = beats()
    signal[0, 1234] = 3.0
    signal[0, 2345] = -2.0
    np.save(tmp_path / "a.npy", signal)
    preview = inspect_upload([tmp_path / "a.npy"]).channels[0].preview
    assert len(preview) == 500
    assert (preview.max(), preview.min()) == (3.0, -2.0)
    # 20 samples a stretch, two points each: sample 1234 lies in stretch 61.
    assert np.argmax(preview) == 2 * (1234 // 20) + 1
    assert np.argmin(preview) == 2 * (2345 // 20)


def test_what_no_word_can_mend_is_refused_at_once(tmp_path):
    few = write_wfdb(tmp_path, beats()).with_suffix(".hea")
    text = few.read_text(encoding="utf-8")
    few.write_text(text.replace("/mV", "/adu"), encoding="utf-8")
    with pytest.raises(ECGError, match="unknown units 'adu'"):
        inspect_upload([few])
    lacking = write_muse(tmp_path / "a.xml", beats(), leads=EIGHT[:5])
    with pytest.raises(ECGError, match="lacks V4, V5, V6"):
        inspect_upload([lacking])
    short = write_muse(tmp_path / "b.xml", beats(seconds=0.5))
    with pytest.raises(ECGError, match=r"lasts 0\.5 s"):
        inspect_upload([short])


def test_a_pasted_table_is_inspected_and_read():
    signal = of(beats(seconds=2), EIGHT)
    rows = [";".join(f"{value:.5f}".replace(".", ",") for value in row) for row in signal.T]
    text = "\r\n".join([";".join(f"{lead} [mV]" for lead in EIGHT), *rows])
    upload = inspect_table(text)
    assert (upload.source, list(upload.missing)) == ("the pasted table", ["fs"])
    ecg = open_table(text, fs=500)
    assert ecg.source == "the pasted table"
    np.testing.assert_allclose(ecg.lead("V6"), signal[7], atol=1e-5)


def test_parts_in_their_own_folders_are_read_and_leave_nothing(tmp_path, temporary):
    header = write_wfdb(tmp_path, beats())
    (tmp_path / "b").mkdir()
    part = shutil.move(header.with_suffix(".dat"), tmp_path / "b/rec.dat")
    upload = inspect_upload([part, header])
    assert (upload.format, upload.source, dict(upload.missing)) == ("WFDB", "rec.hea", {})
    np.testing.assert_allclose(open_upload([header, part]).signal, beats(), atol=6e-4)
    header.write_text("broken", encoding="utf-8")
    with pytest.raises(ECGError, match="lists no signals"):
        inspect_upload([header, part])
    assert list(temporary.iterdir()) == []


def test_a_page_is_opened_and_any_other_picture_refused_with_the_reason(tmp_path):
    page = tmp_path / "page.png"
    draw_page(ECG(beats(), "beats")).save(page)
    assert inspect_upload([page]).image.size == open_case([page]).image.size == (1080, 756)
    assert inspect_upload([page]).format == "picture"
    with pytest.raises(ECGError, match=r"page\.png is a picture, which holds no recorded"):
        open_upload([page])
    Image.new("RGB", (900, 700), "white").save(tmp_path / "white.jpg")
    for door in (inspect_upload, open_case):
        with pytest.raises(
            ECGError, match=r"white\.jpg does not look like an ECG page: no milli"
        ):
            door([tmp_path / "white.jpg"])


def test_what_is_no_upload_is_refused(tmp_path):
    path = write_table(tmp_path / "a.csv", beats())
    for paths, message in (
        ([], "no file was given"),
        ([path] * (MAX_FILES + 1), "17 files were given"),
        ([tmp_path / "gone.csv"], r"no such file: gone\.csv"),
        ([path, path], "cannot be combined"),
    ):
        with pytest.raises(ECGError, match=message):
            inspect_upload(paths)
    assert all(word in "; ".join(UPLOAD_LIMITS) for word in ("64 MiB", "60 minutes", "pixels"))
