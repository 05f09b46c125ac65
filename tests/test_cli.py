"""The command line: what scripts rely on, and one clear line when the input is bad."""

import contextlib
import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

import ecg_r1.loading
import ecg_r1.reading
from ecg_r1 import DISCLAIMER
from ecg_r1.__main__ import main
from ecg_r1.ecg import LEADS, ECGError, read_ecg
from ecg_r1.page import draw_page
from ecg_r1.pictures import open_page_image
from ecg_r1.reading import Reading
from ecg_r1.simulate import HeartSpec, Recording, simulate
from ecg_r1.train import Recipe

EXAMPLE = str(ROOT / "assets/ecgs/A0002.hea")  # CPSC2018, sinus rhythm, 500 Hz
DONE = Reading(
    arm="signal",
    text="<think>\nfirst words",
    steps={1: "words"},
    summary="Short.",
    diagnoses=("sinus rhythm",),
    well_formed=True,
    seconds=1.25,
    n_tokens=7,
    done=True,
)


class Nano:
    name = "nano"


@pytest.fixture
def asked(monkeypatch):
    """A scripted model; gives the arguments that it was asked with."""
    calls = {}

    def stream(*, ecg=None, image=None, model=None, arms=()):
        calls.update(ecg=ecg, image=image, arms=arms)
        beginning = {"text": "<think>\nfirst \ufffd", "done": False}
        yield {arm: replace(DONE, arm=arm, **beginning) for arm in arms}
        lacking = {"text": "", "problem": "This arm needs a signal."}
        yield {
            arm: replace(DONE, arm=arm, **({} if ecg or arm == "image" else lacking))
            for arm in arms
        }

    monkeypatch.setattr(
        ecg_r1.loading, "load_model", lambda name, **said: calls.update(said) or Nano()
    )
    monkeypatch.setattr(ecg_r1.reading, "stream", stream)
    return calls


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "page.png"
    draw_page(read_ecg(EXAMPLE), px_per_mm=2.5).save(path)
    return str(path)


def test_read_prints_the_promised_keys_for_each_arm(asked, capsys):
    assert main(["read", EXAMPLE, "--arms", "both,signal", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["disclaimer"] == DISCLAIMER
    assert list(printed["arms"]) == ["both", "signal"]
    reading = printed["arms"]["both"]
    assert reading["steps"] == {"1": "words"}
    assert reading["diagnoses"] == ["sinus rhythm"]
    assert (reading["text"], reading["summary"]) == ("<think>\nfirst words", "Short.")
    assert (reading["well_formed"], reading["seconds"], reading["n_tokens"]) == (True, 1.25, 7)


def test_read_hands_on_how_the_model_is_to_be_loaded(asked, capsys):
    said = ["--device", "cuda:1", "--revision", "v2", "--quantise", "4bit"]
    assert main(["read", EXAMPLE, *said, "--lead-order", "mimic"]) == 0
    keys = ("device", "revision", "quantise", "lead_order")
    assert [asked[key] for key in keys] == ["cuda:1", "v2", "4bit", "mimic"]


def test_read_streams_each_arms_text_once_under_the_disclaimer(asked, capsys):
    assert main(["read", EXAMPLE]) == 0
    out = capsys.readouterr().out
    assert out.startswith(DISCLAIMER)
    assert out.count("<think>\nfirst words") == 3
    assert "\ufffd" not in out
    assert out.index("Signal only") < out.index("Image only") < out.index("Signal and image")


def test_a_picture_is_read_as_an_image_without_a_signal(asked, picture, capsys):
    assert main(["read", picture]) == 0
    assert asked["ecg"] is None
    assert asked["image"].size == (675, 472)  # 270 x 189 mm at 2.5 px per mm
    out = capsys.readouterr().out
    assert out.count("This arm needs a signal.") == 2
    assert out.count("[7 tokens in 1.2 s]") == 1


def test_measure_prints_the_measurements_the_leads_and_the_protocol(capsys):
    assert main(["measure", EXAMPLE, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert set(printed) >= {
        *("disclaimer", "hr_bpm", "pr_ms", "qrs_ms", "qt_ms", "qtc_ms", "qtc_bazett_ms"),
        *("axis_deg", "leads", "findings", "diagnoses", "unmeasurable", "quality"),
    }
    assert {"pr_ms", "qrs_ms", "r_mv", "s_mv", "t_mv", "st_mv"} <= set(printed["leads"]["aVR"])
    assert printed["hr_bpm"] == pytest.approx(
        78, abs=3
    )  # counted on the page: 13 beats in 10 s


def test_measure_speaks_to_people_too(capsys):
    assert main(["measure", EXAMPLE]) == 0
    out = capsys.readouterr().out
    assert out.startswith(DISCLAIMER)
    assert "QTc (Fridericia)" in out


def test_measure_tells_urgency_support_and_uncertainty_in_text_and_json(capsys):
    assert main(["measure", EXAMPLE]) == 0
    told = capsys.readouterr().out
    assert " ± " in told
    assert "Routine: " in told
    assert "    + " in told  # what supports the diagnosis
    assert main(["measure", EXAMPLE, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["warnings"] == []
    assert printed["urgency"]["level"] == "routine"
    assert {"support", "excluded", "unjudged", "uncertainty", "reversal"} <= set(printed)
    for label in printed["diagnoses"]:
        assert f"  {label}" in told


def test_exchanged_electrodes_are_warned_of_first(tmp_path, capsys):
    spec = HeartSpec(recording=Recording(swapped=("RA", "LA")))
    path = tmp_path / "swapped.npy"
    np.save(path, simulate(spec, seed=4).signal)
    words = ["measure", str(path), "--fs", "500", "--units", "mV", "--leads", ",".join(LEADS)]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert told.index("Suspected lead reversal") < told.index("Heart rate")
    assert main([*words, "--json"]) == 0
    assert "arm electrodes" in json.loads(capsys.readouterr().out)["warnings"][0]


@pytest.fixture
def nameless(tmp_path):
    """A record whose file says nothing of the person, as the words after the subcommand."""
    path = tmp_path / "beats.npy"
    np.save(path, simulate(HeartSpec(), seed=4).signal)
    return [str(path), "--fs", "500", "--units", "mV", "--leads", ",".join(LEADS)]


def test_age_and_sex_reach_the_limits_that_depend_on_them(nameless, capsys):
    def limit(*words):
        assert main(["measure", *nameless, "--json", *words]) == 0
        printed = json.loads(capsys.readouterr().out)
        assert printed["record"]["age_years"] == 50
        return next(f["threshold"] for f in printed["findings"] if f["name"] == "cornell")

    # Cornell voltage: 2.0 mV in women, 2.8 mV in men (Casale 1985).
    assert limit("--sex", "female", "--age", "50") == 2.0
    assert limit("--sex", "male", "--age", "50") == 2.8


def test_a_person_who_contradicts_the_file_is_refused(capsys):
    assert main(["measure", EXAMPLE, "--sex", "male", "--age", "1"]) == 2
    assert "--age 1.0 contradicts the file, which says" in capsys.readouterr().err


def test_measure_draws_the_marks_beside_what_it_prints(tmp_path, capsys):
    path = tmp_path / "marks.png"
    assert main(["measure", EXAMPLE, "--json", "--plot", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["hr_bpm"] > 0
    with Image.open(path) as picture:
        assert picture.width == 1600


def test_without_matplotlib_the_picture_is_refused_and_says_what_to_install(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.delitem(sys.modules, "ecg_r1.gallery", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    assert main(["measure", EXAMPLE, "--plot", str(tmp_path / "a.png")]) == 2
    assert '--plot needs matplotlib: `pip install -e ".[notebooks]"`' in capsys.readouterr().err


def test_page_writes_the_picture_at_the_asked_speed(tmp_path):
    slow, fast = tmp_path / "slow.png", tmp_path / "fast.png"
    assert main(["page", EXAMPLE, "-o", str(slow)]) == 0
    assert main(["page", EXAMPLE, "-o", str(fast), "--speed", "50"]) == 0
    with Image.open(slow) as narrow, Image.open(fast) as wide:
        assert wide.height == narrow.height
        assert wide.width - narrow.width == 4 * 250  # px per mm x mm more


def test_what_a_file_does_not_say_is_taken_from_the_options(tmp_path, capsys):
    path = tmp_path / "beats.npy"
    tone = np.sin(np.arange(2500) / 25)
    np.save(path, np.tile(1000 * tone, (12, 1)))
    leads = "V6,V5,V4,V3,V2,V1,aVF,aVL,aVR,III,II,I"
    words = ["measure", str(path), "--fs", "250", "--units", "uV", "--leads", leads, "--json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["record"]["source_fs"] == 250


def broken(name):
    """A function that makes an input file and the words that follow the subcommand."""

    def make(folder):
        path = folder / name
        path.write_bytes(b"\x00\x01 this is nothing")
        return [str(path)]

    return make


BAD = {
    "no such file": ("measure", lambda folder: [str(folder / "absent.hea")], "absent.hea"),
    "broken header": ("measure", broken("x.hea"), "x.hea"),
    "broken DICOM": ("measure", broken("x.dcm"), "x.dcm"),
    "broken picture": ("read", broken("x.png"), "x.png"),
    "unknown kind": ("measure", broken("x.docx"), "x.docx"),
    "unknown layout": ("page", lambda f: [EXAMPLE, "-o", "p.png", "--layout", "5x5"], "5x5"),
    "unknown arm": ("read", lambda f: [EXAMPLE, "--arms", "signal,smell"], "smell"),
    "no arm": ("read", lambda f: [EXAMPLE, "--arms", ","], "','"),
    "fs is no number": ("measure", lambda f: [EXAMPLE, "--fs", "fast"], "fast"),
    "age is no number": ("measure", lambda folder: [EXAMPLE, "--age", "old"], "'old'"),
    "age of a tree": ("measure", lambda folder: [EXAMPLE, "--age", "300"], "'300'"),
    "marks under no picture name": ("measure", lambda f: [EXAMPLE, "--plot", "p.svg"], "p.svg"),
    "marks in no folder": (
        "measure",
        lambda f: [EXAMPLE, "--plot", str(f / "none" / "p.png")],
        "none",
    ),
    "not a picture name": ("page", lambda f: [EXAMPLE, "-o", str(f / "p.docx")], "p.docx"),
    "no such folder": ("page", lambda f: [EXAMPLE, "-o", str(f / "none" / "p.png")], "none"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_ends_with_code_2_and_one_line_that_names_it(case, tmp_path, capsys, asked):
    command, make, named = BAD[case]
    try:
        code = main([command, *make(tmp_path)])
    except SystemExit as stop:  # as argparse leaves
        code = stop.code
    printed = capsys.readouterr()
    assert code == 2
    assert printed.err.count("\n") == 1
    assert named in printed.err
    assert "Traceback" not in printed.err


@pytest.mark.parametrize("command", ["measure", "page"])
def test_a_picture_is_not_measured_or_drawn_anew(command, picture, tmp_path, capsys):
    output = ["-o", str(tmp_path / "p.png")] if command == "page" else []
    assert main([command, picture, *output]) == 2
    assert "page.png is a picture" in capsys.readouterr().err


def test_training_refuses_an_unknown_stage_and_a_folder_without_records(tmp_path, capsys):
    assert main(["train", "nano", "--out", str(tmp_path), "--stages", "tower,polish"]) == 2
    assert "'polish' is no stage; choose from corpus, tower" in capsys.readouterr().err
    assert main(["train", "nano", "--out", str(tmp_path), "--data", str(tmp_path)]) == 2
    assert "is no PTB-XL (ptbxl_database.csv), no LUDB" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "shares"), [([], (0.5, 0.1)), (["none"], (0.0, 0.0))])
def test_training_without_dropout_changes_nothing_else(option, shares, tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr("ecg_r1.train.train_nano", lambda *args: given.append(args))
    dropout = ["--dropout", *option] if option else []
    assert main(["train", "nano", "--out", str(tmp_path), *dropout]) == 0
    recipe, usual = given[0][2], Recipe()
    for run in (recipe.sft, recipe.rl):
        assert (run.dropout.p_drop, run.dropout.p_swap, run.dropout.draws) == (*shares, 1)
    assert recipe.with_dropout(usual.sft.dropout) == usual


def test_a_transparent_page_is_opened_on_white(tmp_path):
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "page.png")
    assert open_page_image(tmp_path / "page.png").getpixel((0, 0)) == (255, 255, 255)


def test_a_16_bit_page_keeps_its_greys(tmp_path):
    Image.fromarray(np.full((8, 8), 0x8000, np.uint16)).save(tmp_path / "page.png")
    assert open_page_image(tmp_path / "page.png").getpixel((0, 0)) == (128, 128, 128)


@pytest.mark.parametrize("kind", ["GIF", "EPS", "BMP"])
def test_other_kinds_of_picture_under_a_png_name_are_refused(tmp_path, kind):
    Image.new("RGB", (8, 8)).save(tmp_path / "page.png", format=kind)
    with pytest.raises(ECGError, match=r"page\.png is not a PNG or JPEG"):
        open_page_image(tmp_path / "page.png")


def test_a_strip_is_no_page(tmp_path, capsys):
    Image.new("RGB", (3000, 10)).save(tmp_path / "page.png")
    assert main(["read", str(tmp_path / "page.png")]) == 2
    assert "3000 x 10 pixels" in capsys.readouterr().err


def test_pictures_with_broken_camera_notes_are_read_or_refused(tmp_path):
    picture = Image.new("RGB", (32, 32), "white")
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.jpg", exif=exif)
    whole = (tmp_path / "a.jpg").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        broken = bytearray(whole)
        broken[int(rng.integers(20, 80))] = int(rng.integers(256))
        (tmp_path / "a.jpg").write_bytes(broken)
        with contextlib.suppress(ECGError):  # anything else would fail the test
            open_page_image(tmp_path / "a.jpg")


def test_a_saved_page_knows_its_resolution(tmp_path):
    assert main(["page", EXAMPLE, "-o", str(tmp_path / "a.png")]) == 0
    with Image.open(tmp_path / "a.png") as page:
        assert page.info["dpi"] == pytest.approx((4 * 25.4, 4 * 25.4), rel=1e-3)
        assert page.size == (270 * 4, 189 * 4)  # 4 px per mm


@pytest.mark.parametrize(
    ("command", "name", "text"),
    [
        (["page", EXAMPLE], "a.png", "Disclaimer"),
        (["page", EXAMPLE], "a.jpg", "comment"),
        (["simulate"], "a.png", "Disclaimer"),
    ],
)
def test_a_page_given_away_says_in_view_and_in_its_file_that_it_is_no_diagnosis(
    tmp_path, command, name, text
):
    assert main([*command, "-o", str(tmp_path / name)]) == 0
    with Image.open(tmp_path / name) as page:
        said = page.info[text]
        dark = np.asarray(page.convert("L"))[-48:-22, 60:] < 90
    assert DISCLAIMER in (said.decode() if isinstance(said, bytes) else said)
    assert dark.sum() > 300  # without the line, hardly a pixel


def test_a_cut_checkpoint_is_one_line_and_exit_code_2(tmp_path, capsys):
    folder = shutil.copytree(ROOT / "assets/nano", tmp_path / "cut")
    shard = next(folder.glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:100])
    assert main(["read", EXAMPLE, "--model", str(folder)]) == 2
    assert "no checkpoint could be loaded" in capsys.readouterr().err


def test_simulate_writes_a_record_that_reads_back_and_says_what_is_true(tmp_path, capsys):
    path = tmp_path / "stemi.csv"
    line = ["simulate", "acute inferior infarction", "LAFB", "--seed", "3", "-o", str(path)]
    assert main(line) == 0
    told = capsys.readouterr().out
    assert DISCLAIMER in told
    assert "inferior myocardial infarction" in told
    assert "left anterior fascicular block" in told
    assert main(["measure", str(path), "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    rate = float(told.split("Heart rate")[1].split()[0])
    assert measured["hr_bpm"] == pytest.approx(rate, abs=1)


def test_simulate_lists_its_conditions_and_draws_pages(tmp_path, capsys):
    assert main(["simulate", "--list"]) == 0
    assert "atrial fibrillation" in capsys.readouterr().out
    assert main(["simulate", "-o", str(tmp_path / "normal.png")]) == 0
    assert Image.open(tmp_path / "normal.png").width > 500


@pytest.mark.parametrize(
    ("words", "quoted"),
    [
        (["hiccups"], "'hiccups'"),
        (["LBBB", "RBBB"], "'RBBB' and 'LBBB'"),
        (["LBBB", "-o", "x.doc"], "'x.doc'"),
        (["--seed", "-4"], "-4"),
    ],
)
def test_simulate_refuses_by_name(words, quoted, capsys):
    assert main(["simulate", *words]) == 2
    assert quoted in capsys.readouterr().err
