"""Each format gives what its file states, as an independent writer meant it, or refuses."""

import base64
import re
import struct
import zlib

import numpy as np
import pydicom
import pytest
import scipy.io

from benchmarks.samples import (
    EIGHT,
    GAIN_UV,
    beats,
    of,
    write_aecg,
    write_all,
    write_muse,
    write_table,
    write_wfdb,
)
from ecg_r1.ecg import LEADS, ECGError, read_ecg
from ecg_r1.formats import MAX_BYTES, parse_table, read_channels
from ecg_r1.formats.common import CUT_SHORT, lies_upright
from ecg_r1.inputs import inspect_upload


def edit(path, old, new, count=-1):
    text = path.read_text(encoding="latin-1")
    assert old in text
    path.write_text(text.replace(old, new, count), encoding="latin-1")
    return path


# ---- GE MUSE


def test_a_muse_rhythm_is_steps_times_their_worth_and_its_median_is_ignored(tmp_path):
    signal = beats()
    channels = read_channels(write_muse(tmp_path / "a.xml", signal))
    assert channels.signal.shape == (8, 5000)  # the median waveform has 600
    assert (channels.names, set(channels.units)) == (EIGHT, {"uV"})
    assert (channels.fs, channels.age_years, channels.sex) == (500, 61, "female")
    np.testing.assert_allclose(channels.signal, 1000 * of(signal, EIGHT), atol=1e-9)


def test_the_first_samples_of_a_muse_lead_by_hand(tmp_path):
    # 100, -1 and 256 as little-endian 16-bit numbers: 64 00, FF FF, 00 01.
    packed = base64.b64encode(bytes.fromhex("6400 ffff 0001")).decode()
    text = (
        "<RestingECG><Waveform><WaveformType>Rhythm</WaveformType><SampleBase>5</SampleBase>"
        "<SampleExponent>2</SampleExponent><LeadData><LeadID>V2</LeadID>"
        "<LeadAmplitudeUnitsPerBit>4.88</LeadAmplitudeUnitsPerBit>"
        "<LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits>"
        f"<WaveFormData>{packed}</WaveFormData></LeadData></Waveform></RestingECG>"
    )
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    channels = read_channels(tmp_path / "a.xml")
    assert channels.signal[0].tolist() == pytest.approx([488, -4.88, 1249.28])
    assert (channels.fs, channels.names, channels.sex) == (500, ("V2",), None)


def test_muse_limb_leads_are_derived(tmp_path):
    signal = beats()
    ecg = read_ecg(write_muse(tmp_path / "a.xml", signal))
    assert ecg.derived == ("III", "aVR", "aVL", "aVF")
    np.testing.assert_allclose(ecg.signal, signal, atol=1e-5)


def test_a_muse_export_named_txt_and_in_utf_16_reads_alike(tmp_path):
    path = write_muse(tmp_path / "a.xml", beats())
    expected = read_ecg(path).signal
    (tmp_path / "a.txt").write_bytes(path.read_bytes())
    wide = path.read_text(encoding="latin-1").replace("ISO-8859-1", "UTF-16")
    (tmp_path / "b.xml").write_bytes(wide.encode("utf-16"))
    for name in ("a.txt", "b.xml"):
        np.testing.assert_array_equal(read_ecg(tmp_path / name).signal, expected)


def test_a_lead_that_the_cart_lost_is_noted(tmp_path):
    ecg = read_ecg(write_muse(tmp_path / "a.xml", beats(), lost=("V3",)))
    assert "the machine marked as not connected: V3" in ecg.notes


@pytest.mark.parametrize(
    ("unit", "years"), [("YEARS", 61), ("MONTHS", 61 / 12), ("HOURS", None)]
)
def test_a_muse_age_has_a_unit(tmp_path, unit, years):
    path = edit(write_muse(tmp_path / "a.xml", beats()), "YEARS", unit)
    age = read_ecg(path).age_years
    assert age == (None if years is None else pytest.approx(years))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (">Rhythm<", ">Other<", "holds 0 waveforms of type Rhythm"),
        (
            "Total>5000<",
            "Total>4000<",
            r"lead 'I' of a\.xml declares 4000 samples, but holds 5000",
        ),
        ("<LeadSampleSize>2", "<LeadSampleSize>4", "samples of 4 bytes"),
        ("Sample>0<", "Sample>250<", "begins 250 samples late"),
        (f"{GAIN_UV}<", "0<", "LeadAmplitudeUnitsPerBit of lead 'I' is 0"),
        (
            f"{GAIN_UV}<",
            "x<",
            "LeadAmplitudeUnitsPerBit of lead 'I' is 'x', which is no number",
        ),
        ("MICROVOLTS", "FURLONGS", "unknown units 'FURLONGS'"),
        ("MICROVOLTS", "", "does not state the units of lead I"),
        ("<SampleBase>500", "<SampleBase>9", "sampling rate 9 Hz"),
        ("<SampleExponent>0", "<SampleExponent>400", "SampleExponent is 400"),
        ("<LeadID>V6", "<LeadID>V5", "lead V5 stands twice"),
        ("<LeadID>V6", "<LeadID>V66", "unknown lead 'V66'"),
        ("<WaveFormData>", "<WaveFormData>!", "is not base64"),
        ("<WaveFormData>", "<WaveFormData/><x>", "no element found|mismatched tag"),
        ("RestingECG>", "restingecgdata>", "XML of another kind|mismatched"),
    ],
)
def test_a_muse_file_that_contradicts_itself_is_refused_with_the_value(
    tmp_path, old, new, message
):
    path = edit(write_muse(tmp_path / "a.xml", beats()), old, new)
    with pytest.raises(ECGError, match=message):
        read_ecg(path)


# ---- XML of strangers

LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))


@pytest.mark.parametrize(
    "declared",
    [
        f'<!ENTITY a0 "ha">{LAUGHS}',
        '<!ENTITY a11 SYSTEM "file:///etc/passwd">',
        '<!ENTITY % p SYSTEM "http://127.0.0.1:9/x.dtd"> %p;',
    ],
)
def test_entities_are_refused_before_they_grow_or_reach_out(tmp_path, declared):
    text = f"<!DOCTYPE RestingECG [{declared}]><RestingECG>&a11;</RestingECG>"
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    with pytest.raises(ECGError, match=r"uses the XML entity '(a0|a11|p)'"):
        read_ecg(tmp_path / "a.xml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<a>" * 5000, "levels, which is no ECG"),
        ("<a>" + "<b/>" * 200_001 + "</a>", "more than 200000 elements"),
        ("<RestingECG>&x;</RestingECG>", r"not readable XML \(undefined entity"),
        ('<?xml version="1.0" encoding="klingon"?><a/>', "not readable XML"),
        ("plain text", "not readable XML"),
        ("<svg/>", "XML of another kind, 'svg'"),
    ],
)
def test_xml_that_is_no_ecg_is_refused(tmp_path, text, message):
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    with pytest.raises(ECGError, match=message):
        read_ecg(tmp_path / "a.xml")


# ---- HL7 aECG


def test_an_annotated_ecg_reads_to_its_signal(tmp_path):
    signal = beats()
    path = write_aecg(tmp_path / "a.xml", signal)
    ecg = read_ecg(path)
    assert (ecg.source_fs, ecg.sex, ecg.derived, ecg.duration_s) == (500, "male", (), 10)
    # Half a step of 4.88 uV: derived leads fall between the steps.
    np.testing.assert_allclose(ecg.signal, signal, atol=GAIN_UV / 2000 + 1e-6)
    edit(path, '<origin value="0"', '<origin value="1000"')
    np.testing.assert_allclose(read_ecg(path).signal, ecg.signal + 1, atol=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('increment value="0.002" unit="s"', 'increment value="2" unit="h"', "2 'h' gives no"),
        (f'scale value="{GAIN_UV}"', 'scale value="0"', "the scale of lead 'I' is 0"),
        (f'scale value="{GAIN_UV}"', 'scale value="1e999"', "the scale of lead 'I' is '1e999'"),
        ('origin value="0" unit="uV"', 'origin value="1" unit="mV"', "origin in 'mV'"),
        ("<digits>0 ", "<digits>", r"leads differ in length, \[4999, 5000\]"),
        ("<digits>0 ", "<digits>zero ", "a sample of lead 'I' is 'zero'"),
        ("MDC_ECG_LEAD_V6", "MDC_ECG_LEAD_X", "unknown lead 'X'"),
    ],
)
def test_an_annotated_ecg_that_cannot_be_is_refused_with_the_value(tmp_path, old, new, message):
    path = edit(write_aecg(tmp_path / "a.xml", beats()), old, new, 1)
    with pytest.raises(ECGError, match=message):
        read_ecg(path)


# ---- MATLAB


@pytest.mark.parametrize("dtype", ["f8", "f4", "i2", "i4"])
@pytest.mark.parametrize("options", [{}, {"do_compression": True}, {"format": "4"}])
@pytest.mark.parametrize("turned", [False, True])
def test_arrays_as_scipy_writes_them(tmp_path, dtype, options, turned):
    signal = np.round(beats() * 1000).astype(dtype)
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"data": signal.T if turned else signal, "note": "x"}, **options)
    channels = read_channels(path)
    np.testing.assert_array_equal(channels.signal, signal)
    assert (channels.fs, channels.names, channels.n_samples) == (None, None, 5000)


def test_a_rate_beside_the_array_is_stated_and_val_is_preferred(tmp_path):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"Fs": 250, "val": beats(), "other": np.zeros((12, 300))})
    ecg = read_ecg(path, units="mV", leads=LEADS)
    assert ecg.source_fs == 250
    with pytest.raises(ECGError, match="states 250 Hz, but fs=500"):
        read_ecg(path, fs=500, units="mV", leads=LEADS)


def test_a_cinc_file_without_its_header_needs_all_three_words(shared):
    path = shared / "data/cinc2021/E07500.mat"
    whole = read_ecg(path)
    assert whole.source_fs == 500
    array = scipy.io.loadmat(path)["val"]
    lone = read_channels_without_header(path)
    np.testing.assert_array_equal(lone.signal, array[:, :22_000])
    assert (lone.fs, lone.names, set(lone.units)) == (None, None, {None})


def read_channels_without_header(path):
    from ecg_r1.formats.mat import read_mat

    return read_mat(path, None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"ECG": {"data": np.zeros((12, 500))}}, r"holds ECG \(structure\): save one array"),
        ({"c": np.array([np.zeros(3), "x"], dtype=object)}, r"holds c \(cell\)"),
        ({"a": np.zeros((12, 500)), "b": np.zeros((12, 500))}, r"a \(numbers\), b \(numbers\)"),
        ({"a": np.zeros((12, 500)) * 1j}, "complex array"),
        ({"a": np.zeros((12, 50))}, r"'a' in a\.mat has shape \(12, 50\)"),
        ({"a": np.zeros((120, 500))}, r"shape \(120, 500\)"),
        ({}, "holds nothing"),
    ],
)
def test_other_content_is_refused_by_name(tmp_path, content, message):
    scipy.io.savemat(tmp_path / "a.mat", content)
    with pytest.raises(ECGError, match=message):
        read_ecg(tmp_path / "a.mat", fs=500, units="mV")


def test_a_bomb_in_a_mat_file_is_not_inflated(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"a": np.zeros((12, 500))})
    head = (tmp_path / "a.mat").read_bytes()[:128]
    packer = zlib.compressobj(9)
    packed = packer.compress(struct.pack("<2I", 14, 2**31))
    packed += b"".join(packer.compress(bytes(2**20)) for _ in range(80)) + packer.flush()
    assert len(packed) < 2**18
    (tmp_path / "a.mat").write_bytes(head + struct.pack("<2I", 15, len(packed)) + packed)
    with pytest.raises(ECGError, match=f"unpacks to more than the {MAX_BYTES} bytes"):
        read_ecg(tmp_path / "a.mat")


def test_a_mat_file_that_lies_about_its_size_is_refused_with_both_counts(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"a": beats()})
    whole = (tmp_path / "a.mat").read_bytes()
    (tmp_path / "a.mat").write_bytes(whole[:-8])
    with pytest.raises(ECGError, match=r"declares (\d+) bytes for an element, but holds \d+"):
        read_ecg(tmp_path / "a.mat")
    shape = struct.pack("<2i", 12, 5000)
    at = whole.index(shape)
    lie = whole[:at] + struct.pack("<2i", 12, 2**30) + whole[at + 8 :]
    (tmp_path / "a.mat").write_bytes(lie)
    with pytest.raises(ECGError, match=r"declares shape \(12, 1073741824\), but holds 60000"):
        read_ecg(tmp_path / "a.mat")


@pytest.mark.parametrize("content", [b"MATLAB 7.3 MAT-file, x", b"\0" * 512 + b"\x89HDF\r\n"])
def test_version_7_3_is_refused_with_what_to_do(tmp_path, content):
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(ECGError, match=re.escape("save it with save(..., '-v7')")):
        read_ecg(tmp_path / "a.mat")


# ---- arrays


@pytest.mark.parametrize(
    ("shape", "upright"),
    [((12, 5000), True), ((5000, 12), False), ((8, 100), True), ((100, 64), False)],
)
def test_sides_tell_leads_from_samples(shape, upright):
    assert lies_upright(shape, None, "x") is upright


@pytest.mark.parametrize("shape", [(12, 99), (65, 5000), (5000,), (12, 5000, 1), (64, 64)])
def test_sides_that_do_not_tell_are_refused(shape):
    with pytest.raises(ECGError, match=re.escape(str(shape))):
        lies_upright(shape, None, "x")


def test_an_npy_header_that_never_ends_is_refused(tmp_path):
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (12, 5000" + b" " * 20
    start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header))
    (tmp_path / "a.npy").write_bytes(start + header + bytes(240_000))
    with pytest.raises(ECGError, match=r"a\.npy is not a readable NPY file"):
        read_channels(tmp_path / "a.npy")


# ---- tables


@pytest.mark.parametrize(
    ("delimiter", "comma"),
    [(",", False), (";", False), (";", True), ("\t", False), ("\t", True)],
)
@pytest.mark.parametrize("header", [LEADS, None])
def test_tables_of_every_kind_hold_the_same_numbers(tmp_path, delimiter, comma, header):
    signal = beats(seconds=2)
    path = write_table(
        tmp_path / "a.txt", signal, delimiter=delimiter, comma=comma, header=header
    )
    channels = read_channels(path)
    np.testing.assert_allclose(channels.signal, signal, atol=1e-6)
    assert channels.names == header
    pasted = parse_table(path.read_text(encoding="utf-8").replace("\n", "\r\n"))
    np.testing.assert_array_equal(pasted.signal, channels.signal)


def test_a_first_row_of_decimal_commas_is_parted_at_the_other_mark():
    for mark in ";\t":
        table = parse_table(f"0,5{mark}1,5\n-0,5{mark}2")
        assert table.signal.tolist() == [[0.5, -0.5], [1.5, 2.0]]


def test_decimal_commas_between_commas_cannot_be_told_and_are_refused(tmp_path):
    path = write_table(tmp_path / "a.csv", beats(seconds=2), comma=True)
    with pytest.raises(ECGError, match=r"decimal commas|changed from"):
        read_channels(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("I;II\n1.234,5;2", "could not convert string to float: '1.234,5'|1.234.5"),
        ("I,II\n1_000,2", "'1_000'"),
        ("I,II\n\u0661,2", "\u0661"),
        ("x" * 20_000, "line 1 of the pasted table has 20000 characters"),
        ("1," * 100, "has 101 columns, more than 64"),
        ("I,II\n1,2\n1,2,3", "changed from 2 to 3"),
        ("I,II\n1,2,3", "names 2 columns, but its rows have 3"),
    ],
)
def test_a_text_that_is_no_table_is_refused(text, message):
    with pytest.raises(ECGError, match=message):
        parse_table(text)


# ---- WFDB of strangers


def test_a_signal_file_that_is_a_link_to_elsewhere_is_refused(tmp_path):
    (tmp_path / "record").mkdir()
    header = write_wfdb(tmp_path / "record", beats())
    signal = header.with_suffix(".dat")
    signal.rename(tmp_path / "secret.dat")
    signal.symlink_to(tmp_path / "secret.dat")
    with pytest.raises(ECGError, match=r"rec\.dat is a link to .*secret\.dat'"):
        read_ecg(header)


def test_a_cache_that_links_header_and_signal_to_one_place_is_read(tmp_path):
    for name in ("blobs", "record"):
        (tmp_path / name).mkdir()
    header = write_wfdb(tmp_path / "blobs", beats())
    for file in (header, header.with_suffix(".dat")):
        (tmp_path / "record" / file.name).symlink_to(file)
    np.testing.assert_array_equal(
        read_ecg(tmp_path / "record/rec.hea").signal, read_ecg(header).signal
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (" 16 ", " 16:999999999 ", "shifts a signal by 999999999 samples"),
        ("mV 16", f"mV {'1' * 3000}", "has a line of 30"),
        ("rec.dat", "r" * 300, "is missing"),
    ],
)
def test_a_header_of_a_stranger_is_refused(tmp_path, old, new, message):
    path = edit(write_wfdb(tmp_path, beats()), old, new, 1)
    with pytest.raises(ECGError, match=message) as caught:
        read_ecg(path)
    assert len(str(caught.value)) < 400


def test_too_many_signals_are_refused_before_wfdb_sees_them(tmp_path):
    lines = ["rec 900 500 5000", *["rec.dat 16 1000/mV 16 0 0 0 0 I"] * 900]
    (tmp_path / "rec.hea").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ECGError, match="lists 900 signals"):
        read_ecg(tmp_path / "rec.hea")


# ---- files cut short


@pytest.fixture(scope="module")
def uploads(tmp_path_factory, assets):
    """Every kind of record, each as the files of one upload."""
    dicom = assets / "ecgs/waveform_ecg.dcm"
    made = write_all(tmp_path_factory.mktemp("whole"), dicom)
    return [files for files in made if files[0].suffix not in (".png", ".jpg")]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_file_cut_short_is_said_to_be(uploads, share, tmp_path):
    for files in uploads:
        for cut in files:
            copies = [tmp_path / one.name for one in files]
            for one, copy in zip(files, copies, strict=True):
                whole = one.read_bytes()
                copy.write_bytes(whole[: int(share * len(whole))] if one == cut else whole)
            with pytest.raises(ECGError, match=CUT_SHORT) as caught:
                inspect_upload(copies)
            assert files[0].stem in str(caught.value)


@pytest.mark.parametrize(("name", "n_bytes"), [("waveform_ecg.dcm", 900), ("v5.mat", 100)])
def test_a_file_cut_before_its_samples_is_said_to_be(uploads, name, n_bytes, tmp_path):
    whole = next(one for files in uploads for one in files if one.name == name)
    (tmp_path / name).write_bytes(whole.read_bytes()[:n_bytes])
    with pytest.raises(ECGError, match=CUT_SHORT):
        read_channels(tmp_path / name)


def test_a_dicom_of_another_kind_is_named(assets, tmp_path):
    dataset = pydicom.dcmread(assets / "ecgs/waveform_ecg.dcm")
    del dataset.WaveformSequence
    dataset.file_meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    dataset.save_as(tmp_path / "ct.dcm")
    with pytest.raises(ECGError, match="another kind, 'CT Image Storage'"):
        read_channels(tmp_path / "ct.dcm")


def test_a_header_without_a_last_line_break_is_whole(tmp_path):
    header = write_wfdb(tmp_path, beats())
    header.write_text(header.read_text(encoding="latin-1").rstrip(), encoding="latin-1")
    assert read_channels(header).signal.shape[0] == 12
