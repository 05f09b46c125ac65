"""What stands behind the page: changes, marks, agreement, guesses, links, reports, options."""

import csv
import json
import pickle
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from types import SimpleNamespace
from urllib.parse import parse_qsl

import numpy as np
import pytest
from conftest import ROOT
from gradio.utils import get_function_description
from PIL import Image
from pypdf import PdfReader
from studio import HOSTILE, Nano, Script, text_of

import ecg_r1.loading
import ecg_r1.reading
from ecg_r1 import DISCLAIMER
from ecg_r1.auditing import audit
from ecg_r1.ecg import FS, LEADS, ECGError
from ecg_r1.inputs import Case, open_case
from ecg_r1.page import page_segments
from ecg_r1.report import Reading, parse_report
from ecg_r1.studio import api, exports, guess, links, marked
from ecg_r1.studio.agreement import ROWS, agreement, agreement_html
from ecg_r1.studio.batch import read_folder, records
from ecg_r1.studio.build import read_examples
from ecg_r1.studio.dials import DIALS, START, simulated
from ecg_r1.studio.models import Job, Models
from ecg_r1.studio.options import read_settings
from ecg_r1.studio.own import lacks_words, open_own, stated
from ecg_r1.studio.pdf import to_pdf
from ecg_r1.studio.recorded import (
    Asked,
    example_fingerprint,
    model_fingerprint,
    record_examples,
    recorded,
)
from ecg_r1.studio.study import (
    Change,
    Session,
    altered,
    altered_page,
    control_of,
    damaged,
    study,
)
from ecg_r1.studio.tempfiles import Passing

EXAMPLES = list(read_examples().values())


@pytest.fixture(scope="module")
def example():
    """The first shipped record, measured."""
    return study(open_case([ROOT / "assets/ecgs/A0002.hea"]), "Regular rhythm", EXAMPLES[0])


@pytest.fixture
def session(example):
    """A session in which all three arms have read."""
    made = Session(study=example, asked={0: Asked.of(Nano())})
    for arm in ("signal", "image", "both"):
        made.readings[arm] = reading(arm)
        made.finish(arm)
    return made


def reading(arm, text=None):
    text = text_of(arm) if text is None else text
    parsed = parse_report(text)
    return Reading(
        arm, text, dict(parsed.steps), parsed.summary, list(parsed.diagnoses),
        parsed.well_formed, 1.5, 30, done=True,
    )  # fmt: skip


class Tags(HTMLParser):
    """Every tag of a page with its attributes, and its text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.words = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words += data


# ------------------------------------------------------------------ what the models see


def test_a_silent_lead_is_silent_and_the_others_stay(example):
    seen = altered(example.ecg, Change(leads_off=("V1",)))
    assert np.isnan(seen.lead("V1")).all()
    kept = [lead for lead in LEADS if lead != "V1"]
    assert all((seen.lead(lead) == example.ecg.lead(lead)).all() for lead in kept)


def test_noise_has_the_dialled_spread_and_is_the_same_each_time(example):
    seen = altered(example.ecg, Change(noise_mv=0.2))
    added = seen.signal - example.ecg.signal
    assert added.std() == pytest.approx(0.2, rel=0.02)
    again = altered(example.ecg, Change(noise_mv=0.2))
    assert (again.signal == seen.signal).all()


def test_an_unchanged_record_and_page_are_the_very_same(example):
    assert altered(example.ecg, Change()) is example.ecg
    picture = Image.new("RGB", (300, 200), "white")
    assert damaged(picture, Change()) is picture


def test_a_full_turn_of_the_page_moves_a_mark_to_where_it_belongs():
    page = Image.new("RGB", (400, 400), "white")
    page.paste((0, 0, 0), (190, 90, 210, 110))  # 100 pixels above the middle
    turned = np.asarray(damaged(page, Change(rotate_deg=15)).convert("L")) < 128
    row, column = np.argwhere(turned).mean(axis=0)
    assert column < 200  # counter-clockwise: the upper half goes left
    assert row < 200


def test_layout_and_speed_reach_the_page(example):
    plain = altered_page(example.ecg, Change(), {"px_per_mm": 2.0})
    fast = altered_page(example.ecg, Change(speed_mm_s=50), {"px_per_mm": 2.0})
    assert (plain.width, fast.width) == (540, 1040)  # (20 mm + 10 s x speed) x 2


def test_an_unknown_lead_or_modality_is_refused():
    with pytest.raises(ECGError, match="'V9'"):
        Change(leads_off=("V9",))
    with pytest.raises(ECGError, match="'sound'"):
        Change(hide="sound")


def test_the_control_is_another_patient_or_a_flat_line_and_says_which(example):
    assert control_of(example, "none", EXAMPLES) is None
    flat = control_of(example, "blank", EXAMPLES)
    assert not flat.ecg.signal.any()
    assert flat.words == "a flat line"
    other = control_of(example, "other", EXAMPLES)
    assert other.ecg.source != example.ecg.source
    assert EXAMPLES[-1]["title"] in other.words
    last = replace(example, known=EXAMPLES[-1])
    assert control_of(last, "other", EXAMPLES).ecg.source != EXAMPLES[-1]["file"]
    with pytest.raises(ECGError, match="'same'"):
        control_of(example, "same", EXAMPLES)


# ------------------------------------------------------------------ claims on the page


def test_every_sentence_carries_a_verdict_in_words_and_every_claim_is_a_button(session):
    html = marked.audited_html(
        session.readings["both"], session.audits["both"], session.study.measured
    )
    page = Tags(html)
    sentences = [a for t, a in page.tags if t == "span" and "sentence" in a.get("class", "")]
    badges = [a for t, a in page.tags if t == "span" and "badge" in a.get("class", "")]
    assert len(badges) >= len(sentences) >= 9
    ids = {
        int(one)
        for tag, attrs in page.tags
        if tag == "button"
        for one in attrs["data-ids"].split(",")
    }
    assert ids == set(range(len(session.audits["both"].claims)))
    data = json.loads(dict(page.tags[0][1])["data-claims"])
    pr = next(one for one in data if one["text"] == "PR interval 120 ms")
    assert (pr["verdict"], pr["claimed"]) == ("contradicted", "120 ms")
    assert pr["measured"] == f"{session.study.measured.pr_ms:.4g} ms"


def test_the_marked_text_holds_every_word_of_the_reading_and_none_of_its_markup(session):
    one = session.readings["both"]
    html = marked.audited_html(one, session.audits["both"], session.study.measured)
    page = Tags(html)
    assert "img" not in {tag for tag, _ in page.tags}
    assert HOSTILE in page.words
    flat = "".join(page.words.split())
    for step in one.steps.values():
        for sentence in step.split(". "):
            assert "".join(sentence.rstrip(".").split()) in flat


def test_windows_lie_in_the_panels_of_the_claimed_leads(example):
    found = audit("ST elevation in V4. PR interval 160 ms.", example.facts)
    st, pr = found.claims
    segments = page_segments()
    places = marked.windows(replace(st, leads=("V4",)), example.measured)
    assert {segments[panel - 1].lead for panel, *_ in places} == {"V4"}
    strip = marked.windows(pr, example.measured)
    assert {panel for panel, *_ in strip} == {len(segments)}
    assert len(strip) >= 10  # 78 beats a minute for 10 s, less those at the edges
    for panel, start, end in (*places, *strip):
        assert segments[panel - 1].start_s <= start < end <= segments[panel - 1].end_s


def test_a_window_stands_at_every_whole_beat_of_the_same_class(example):
    beats = [500, 1000, 1500, 2000, 2500, 3000, 3500, 4000]  # each second, at 500 Hz
    classes = ["dominant"] * 8
    classes[2] = "wide"
    measured = replace(example.measured, rpeaks=np.array(beats), beat_class=tuple(classes))
    found = audit("QRS duration 92 ms in V1.", example.facts).claims[0]
    one = replace(found, leads=("V1",), time_s=(0.8, 1.1))  # about the first beat
    # V1 stands from 5.0 to 7.5 s: of the beats at 5, 6 and 7 s the first is cut by the edge.
    assert [place[1:] for place in marked.windows(one, measured)] == [(5.8, 6.1), (6.8, 7.1)]
    strip = replace(found, leads=(), time_s=(0.8, 1.1))
    starts = [start for _, start, _ in marked.windows(strip, measured)]
    assert starts == [0.8, 1.8, 3.8, 4.8, 5.8, 6.8, 7.8]  # not at the wide beat


def test_an_rr_interval_is_marked_from_beat_to_beat_however_long(example):
    measured = replace(
        example.measured, rpeaks=np.array([500, 900, 1700]), beat_class=("dominant",) * 3
    )
    found = audit("Heart rate 78 bpm.", example.facts).claims[0]
    one = replace(found, leads=(), time_s=(1.0, 1.8))
    assert [p[1:] for p in marked.windows(one, measured)] == [(1.0, 1.8), (1.8, 3.4)]


def test_a_claim_without_a_whole_beat_in_its_lead_is_marked_there_as_a_whole(example):
    measured = replace(example.measured, rpeaks=np.array([500]), beat_class=("dominant",))
    found = audit("QRS duration 92 ms in V1.", example.facts).claims[0]
    one = replace(found, leads=("V1",), time_s=(0.8, 1.1))
    assert [place[1:] for place in marked.windows(one, measured)] == [(5.0, 7.5)]


# ------------------------------------------------------------------ agreement


def test_the_table_has_every_row_and_sets_off_the_arm_that_differs(session):
    rows = agreement(session.study, session.readings, session.audits)
    assert tuple(row.title for row in rows) == ROWS
    by_title = {row.title: row for row in rows}
    assert by_title["QTc"].cells["image"].words == "540 ms"
    assert [row.title for row in rows if row.is_split] == ["QTc"]
    assert by_title["Rhythm"].measured == "sinus rhythm"
    assert by_title["Axis"].cells["both"].words == "not said"


def test_the_control_arm_cannot_make_the_arms_differ(session):
    session.readings["control"] = reading("control", text_of("image").replace("78", "140"))
    session.finish("control")
    rows = agreement(session.study, session.readings, session.audits)
    assert not next(row for row in rows if row.title == "Rate").is_split


def test_a_strangers_label_is_text_in_the_table(session):
    hostile = text_of("both").replace("<answer>sinus rhythm", "<answer><b>x")
    session.readings["both"] = reading("both", hostile)
    session.audits.pop("both")
    session.finish("both")
    rows = agreement(session.study, session.readings, session.audits)
    page = Tags(agreement_html(rows, session.titles()))
    assert "b" not in {tag for tag, _ in page.tags}


# ------------------------------------------------------------------ guess


def test_each_field_is_judged_by_its_own_tolerance(example):
    measured = example.measured
    hr, pr, qrs = (getattr(measured, name) for name in ("hr_bpm", "pr_ms", "qrs_ms"))
    made = guess.Guess("sinus rhythm", hr + 4.9, "left", pr - 31, qrs + 41, None, ("x",))
    told = {one.field: one for one in guess.compare(made, example)}
    assert told["Rhythm"].credit == 1
    assert told["Heart rate"].credit == 1
    assert told["PR interval"].credit == 0.5  # within twice 30 ms
    assert told["PR interval"].reason == "31 ms too low"
    assert told["QRS duration"].credit == 0  # beyond twice 20 ms
    assert told["QRS axis"].credit == 0  # measured 56 degrees: normal, and far from the left
    assert told["QTc (Fridericia)"].credit is None
    assert "not found: x" in told["Diagnoses"].reason
    page = Tags(guess.feedback_html(list(told.values()), (), {}))
    assert "2.5 of 6 points" in page.words


@pytest.mark.parametrize(
    ("degrees", "guessed", "credit"),
    [(-40, "left", 1), (-40, "normal", 0.5), (-46, "normal", 0), (95, "normal", 0.5),
     (-80, "extreme", 0.5), (175, "extreme", 0.5), (60, "right", 0)],
)  # fmt: skip
def test_an_axis_near_its_limit_is_half_right_under_its_neighbours_name(
    example, degrees, guessed, credit
):
    turned = replace(example, measured=replace(example.measured, axis_deg=float(degrees)))
    told = guess.compare(guess.Guess(axis=guessed), turned)
    assert next(one for one in told if one.field == "QRS axis").credit == credit


@pytest.mark.parametrize(
    ("guessed", "truth", "credit", "reason"),
    [
        (("a",), (), 0, "not found: a"),
        (("left bundle branch block",), ("left bundle branch block",), 1, ""),
        (
            ("left bundle branch block",), ("right bundle branch block",), 0.5,
            "near: left bundle branch block for right bundle branch block",
        ),
        # One right, one near, one missed: 1.5 of 3.
        (
            ("st depression", "first-degree av block"),
            ("st depression", "second-degree av block", "prolonged qt interval"), 0.5,
            "near: first-degree av block for second-degree av block; "
            "missed: prolonged qt interval",
        ),
    ],
)  # fmt: skip
def test_diagnoses_of_one_family_are_half_right(guessed, truth, credit, reason):
    told = guess._diagnoses(guessed, truth)
    assert told.credit == pytest.approx(credit)
    assert told.reason == reason


def test_a_rhythm_of_the_same_family_is_half_right():
    assert guess._rhythm("atrial flutter", ["atrial fibrillation"]).credit == 0.5
    assert guess._rhythm("paced rhythm", ["atrial fibrillation"]).credit == 0
    assert guess._rhythm("paced rhythm", []).credit is None


def test_families_hold_labels_and_share_none():
    members = [label for family in guess.FAMILIES for label in family]
    assert set(members) <= set(guess.RHYTHMS) | set(guess.DIAGNOSES)
    assert len(set(members)) == len(members)


def test_a_guess_that_is_no_number_is_refused_and_an_empty_one_is_none():
    assert guess.marked("", "", None, "", " ", "") == guess.Guess()
    with pytest.raises(ECGError, match="'fast'"):
        guess.marked("", "fast", None, "", "", "")


# ------------------------------------------------------------------ links


def test_a_link_brings_back_what_it_was_made_of():
    change = Change(("V1", "aVR"), "signal", 0.1, 0.2, 0.3, -4.0, 0.5, "6x2", 50.0, 5.0)
    files = [one["file"] for one in EXAMPLES]
    turned = {name: dial.high for name, dial in DIALS.items()} | {
        "rhythm": "junctional", "conduction": "rbbb", "territory": "high lateral",
    }  # fmt: skip
    for linked in (
        links.Linked("A0003.hea", None, change, "other"),
        links.Linked(None, {**START}, Change(), "none"),
        links.Linked(None, {**START, **turned}, change, "blank"),
    ):
        query = dict(parse_qsl(links.link_query(linked)))
        assert links.from_query(query, files) == linked
    assert links.from_query({}, files) == links.Linked()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("example", "../../etc/passwd"),
        ("noise_mv", "nan"),
        ("blur", "2"),
        ("rotate_deg", "1e999"),
        ("layout", "9x9"),
        ("leads_off", "V1-<b>"),
        ("speed_mm_s", "33"),  # between two that the page offers
        ("gain_mm_mv", "nan"),
        ("control", "mine"),
        ("hr_bpm", "12"),
        ("seed", "-1"),
        ("territory", "<b>"),
    ],
)
def test_a_link_with_a_wrong_setting_is_refused_with_it(name, value):
    with pytest.raises(ECGError, match=name):
        links.from_query({"example": "simulator", name: value}, ["A0003.hea"])


def test_a_lead_that_a_link_names_twice_is_silent_once():
    linked = links.from_query({"leads_off": "V1-V2-V1"}, [])
    assert linked.change.leads_off == ("V1", "V2")


# ------------------------------------------------------------------ take away


def test_the_report_holds_readings_audits_model_and_disclaimer(session):
    plain = json.loads(exports.to_json(session))
    assert plain["disclaimer"] == DISCLAIMER
    assert plain["models"][0]["name"] == "nano"
    assert plain["models"][0]["question"] == "What <is> it?"  # the model's own
    assert plain["readings"]["both"]["text"] == text_of("both")
    assert plain["audits"]["image"]["counts"]["contradicted"] >= 2
    text = exports.to_markdown(session)
    assert DISCLAIMER in text
    assert 'contradicted: "PR interval 120 ms"' in text
    assert "<img" not in text


def as_read(made):
    """A PDF as an independent reader has it, and its words without where lines end."""
    found = PdfReader(BytesIO(made))
    pages = [" ".join(page.extract_text().split()) for page in found.pages]
    return found, pages


def test_the_pdf_has_the_trace_first_then_words_that_can_be_selected(session):
    made = to_pdf(session)
    found, pages = as_read(made)
    assert len(pages) >= 3  # the trace, and two of words
    assert len(made) < 3_000_000
    assert [page.count(DISCLAIMER) for page in pages] == [2, *[1] * (len(pages) - 1)]
    drawn = found.pages[0].images[0].image
    assert drawn.size == (1620, 1134)  # 270 x 189 mm at six pixels per mm
    words = " ".join(pages)
    assert "All is well, says both." in words
    assert 'contradicted: "PR interval 120 ms"' in words


def test_the_pdf_tells_its_title_language_sections_and_what_the_picture_shows(session):
    found, pages = as_read(to_pdf(session))
    assert found.trailer["/Root"]["/Lang"] == "en"
    assert found.metadata.title == "ECG-R1 Studio: Regular rhythm"
    assert found.metadata.subject == DISCLAIMER
    (title, (measured, *_)) = found.outline
    assert (title.title, measured.title) == (found.metadata.title, "Measured on the signal")
    assert "The twelve leads, drawn on ECG paper" in pages[0]
    assert "/MarkInfo" not in found.trailer["/Root"]  # tags on a part would hide the rest


def test_the_pdf_of_a_photograph_shows_it_no_finer_than_paper_does():
    photo = Image.new("RGB", (2400, 1680), "white")
    found, pages = as_read(to_pdf(Session(study=study(Case(image=photo), "photo.jpg"))))
    assert found.pages[0].images[0].image.size == (1600, 1120)
    assert "The picture of an ECG page that was read." in pages[0]
    assert "nothing was measured" in pages[1]


def test_the_words_of_strangers_are_no_markup_in_the_markdown_and_whole_in_the_pdf(
    session,
):
    hostile = "# Big\n- item\n1. one\n*bold* [a](b) `code` &lt;b> | x\n{0} {1}"
    session.readings["both"] = reading("both", hostile)
    shown = exports.to_markdown(session).splitlines()
    for line in (
        "\\# Big", "\\- item", "1\\. one", "{0} {1}",
        "\\*bold\\* \\[a\\](b) \\`code\\` &amp;lt;b> \\| x",
    ):  # fmt: skip
        assert line in shown
    signs = "\u00e9\u00df\u00b0\u00b1\u00b5\u2265\u2264\u2013\u2192\u221a\u2713\u2717\u223c"
    session.study = replace(session.study, title=f"{signs} {'x' * 300}")
    _, pages = as_read(to_pdf(session))
    words = " ".join(pages)
    assert "*bold* [a](b) `code` &lt;b> | x" in words
    assert "- \u2717 contradicted" in words
    assert signs in words
    assert pages[0].count("x") == 300  # too long for a line, and yet whole


def test_the_report_names_the_version_of_a_model_from_the_hub(session):
    folder = f"/cache/models--a--b/snapshots/{'0123456789' * 4}"
    session.asked = {0: Asked.of(Nano("a/b", folder=folder))}
    assert exports.report(session)["models"][0]["version"] == "0123456789" * 4
    assert f"model: a/b {'0123456789' * 4}" in exports.to_markdown(session)
    assert Asked.of(Nano()).version == ""


def test_a_report_is_of_one_moment(session):
    now = session.as_now()
    session.readings["control"] = reading("control")
    assert list(exports.report(now)["readings"]) == ["signal", "image", "both"]
    session.start(session.study, Change(blur=1), "blank")
    assert exports.report(now)["changed"] == []
    assert set(exports.report(now)["audits"]) == {"signal", "image", "both"}


def test_nothing_to_take_away_is_said():
    with pytest.raises(ECGError, match="choose an ECG"):
        exports.report(Session())


# ------------------------------------------------------------------ simulator, own files


def test_a_dialled_heart_is_simulated_with_its_truth():
    turned = {"hr_bpm": 60, "qt_ms": 400, "territory": "inferior", "st_mv": 0.3, "seed": 3}
    made = simulated({**START, **turned})
    assert made.measured.hr_bpm == pytest.approx(60, abs=2)
    assert "inferior myocardial infarction" in made.known["known_label"]


def test_a_pasted_table_is_an_ecg_and_nothing_at_all_is_refused():
    wave = np.sin(np.arange(1000) / 20)
    rows = ["I,II,V1,V2,V3,V4,V5,V6"] + [",".join([f"{v:.3f}"] * 8) for v in wave]
    case, title = open_own(None, "\n".join(rows), {"fs": 500.0, "units": "mV", "leads": None})
    assert case.ecg.duration_s == 1000 / FS
    assert title == "Pasted table"
    with pytest.raises(ECGError, match="choose a file"):
        open_own(None, " ", {})
    with pytest.raises(ECGError, match="17 files"):
        open_own(["a"] * 17, "", {})


def test_a_channel_whose_lead_is_unsaid_is_asked_for_by_its_place():
    with pytest.raises(ECGError, match="channel 2, 4 is"):
        stated("500", "mV", "I,?,V1,?")


def test_a_sampling_rate_that_is_no_number_is_refused_and_an_empty_one_is_unsaid():
    assert stated("", "", " ") == {"fs": None, "units": None, "leads": None}
    with pytest.raises(ECGError, match="'fast'"):
        stated("fast")


# ------------------------------------------------------------------ options, many records


def test_options_come_from_the_line_then_the_environment():
    assert read_settings([], {}).model == "nano"
    assert read_settings([], {"ECG_R1_MODEL": "a/b"}).model == "a/b"
    assert read_settings(["--model", "nano"], {"ECG_R1_MODEL": "a/b"}).model == "nano"
    assert read_settings([], {"ECG_R1_LOGIN": "me:a:b"}).login == ("me", "a:b")
    assert read_settings([], {}).mcp is False
    assert read_settings([], {}).host is None  # this machine alone


def test_the_image_serves_for_an_ordinary_user_with_the_torch_of_the_requirements():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    steps = dict(re.findall(r"^([A-Z]+) (.*)$", text, re.MULTILINE))
    needs = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    torch = next(line for line in needs if line.startswith("torch"))
    assert f'"{torch}" --index-url https://download.pytorch.org/whl/cpu' in text
    assert steps["FROM"] == "python:3.12-slim"  # as on a Space
    program, script, *options = json.loads(steps["CMD"])
    settings = read_settings(options, {})
    assert (program, script) == ("python", "app.py")
    assert (settings.host, str(settings.port)) == ("0.0.0.0", steps["EXPOSE"])
    assert f"http://127.0.0.1:{settings.port}/health" in text
    assert steps["USER"] != "root"
    assert text.index("\nUSER ") < text.index("\nCMD ")


def test_help_tells_of_every_option_and_variable(capsys):
    with pytest.raises(SystemExit):
        read_settings(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for name in ("MODEL", "SECOND_MODEL", "QUANTISE", "LOGIN"):
        assert f"ECG_R1_{name} " in shown
    for option in ("model", "second-model", "quantise", "host", "port", "queue", "record"):
        assert f"--{option} " in shown
    assert DISCLAIMER in shown


@pytest.mark.parametrize("port", ["0", "-1", "65536"])
def test_a_port_that_cannot_be_is_refused_with_its_number(port, capsys):
    with pytest.raises(SystemExit):
        read_settings(["--port", port], {})
    assert f"--port {port} must be from 1 to 65535" in capsys.readouterr().err


def test_a_login_without_a_password_is_refused_and_not_repeated():
    with pytest.raises(ECGError, match="name:password") as caught:
        read_settings([], {"ECG_R1_LOGIN": "secret"})
    assert "secret" not in str(caught.value)


def test_the_second_model_comes_from_the_line_then_the_environment_and_is_another_one():
    environment = {"ECG_R1_SECOND_MODEL": "a/b"}
    assert read_settings([], {}).models == ("nano",)
    assert read_settings([], environment).models == ("nano", "a/b")
    assert read_settings(["--second-model", "c/d"], environment).models == ("nano", "c/d")
    with pytest.raises(ECGError, match="'a/b'"):
        read_settings(["--model", "a/b"], environment)


def test_few_bits_come_from_the_line_then_the_environment_and_never_for_nano_alone():
    environment = {"ECG_R1_QUANTISE": "8bit", "ECG_R1_MODEL": "a/b"}
    assert read_settings([], {}).quantise is None
    assert read_settings([], environment).quantise == "8bit"
    assert read_settings(["--quantise", "4bit"], environment).quantise == "4bit"
    with pytest.raises(ECGError, match="'3bit'"):
        read_settings([], environment | {"ECG_R1_QUANTISE": "3bit"})
    with pytest.raises(ECGError, match="4bit is not for nano"):
        read_settings(["--quantise", "4bit"], {})


def test_a_folder_becomes_a_table_with_reasons_for_what_cannot_be_read(tmp_path, monkeypatch):
    script = Script()
    monkeypatch.setattr(ecg_r1.reading, "interpret", script.interpret)
    for name in ("A0003.hea", "A0003.dat"):
        (tmp_path / name).write_bytes((ROOT / "assets/ecgs" / name).read_bytes())
    (tmp_path / "=bad.csv").write_text("I,II\n1,2\n")
    assert [one.name for one in records(tmp_path)] == ["=bad.csv", "A0003.hea"]
    (tmp_path / "scans.csv").mkdir()  # a folder, whatever its name
    table = tmp_path / "out.csv"
    for _ in range(2):  # the table of the first time is no record
        told = list(read_folder(tmp_path, table, model=Nano(), arms=("signal", "both")))
        assert len(told) == 2
    with table.open(newline="") as file:
        bad, good = csv.DictReader(file)
    assert bad["file"] == "'=bad.csv"  # a spreadsheet would run it
    assert "bad.csv" in bad["problem"]
    assert good["criteria"].startswith("atrial fibrillation")
    assert good["both_diagnoses"] == "sinus rhythm"
    assert float(good["both_hallucination_rate"]) > 0
    assert good["disclaimer"] == DISCLAIMER


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ECGError, match="no ECG file"):
        records(tmp_path)


def test_files_that_lack_words_are_told_from_those_that_cannot_be_read(tmp_path):
    lacking, broken = tmp_path / "plain.npy", tmp_path / "broken.npy"
    np.save(lacking, np.zeros((12, 5000)))
    broken.write_bytes(b"not numpy")
    assert lacks_words([str(lacking)])
    assert not lacks_words([str(broken)])
    assert not lacks_words([])


# ------------------------------------------------------------------ for programs


@pytest.mark.parametrize(
    "call", [api.measure_api, api.page_api, api.audit_api, api.read_api(Models(["nano"]))]
)
def test_each_call_tells_of_every_argument_by_itself(call):
    """Of a docstring Gradio shows one line for each argument, and of no other function."""
    words, arguments, returns = get_function_description(call)
    assert words.endswith(".")
    assert returns
    assert all(len(told) > 10 for told in arguments.values()), arguments


def test_a_text_that_is_too_long_to_audit_is_refused():
    with pytest.raises(ECGError, match="100001 characters"):
        api.audit_api("x" * 100_001, [str(ROOT / "assets/ecgs/A0003.hea")], None, "", "")


def test_a_file_that_nobody_came_for_is_let_go_of(tmp_path):
    left, used = tmp_path / "a/left", tmp_path / "b/used"
    for file in (left, used):
        file.parent.mkdir()
        file.touch()
    files = Passing(keep_s=0.01)
    files.expect([str(left)])
    time.sleep(0.02)
    files.expect([str(used)])
    assert [left.exists(), used.exists()] == [False, True]
    assert list(files._needed) == [str(used)]


# ------------------------------------------------------------------ models, recorded readings


@pytest.fixture
def script(monkeypatch):
    made = Script()
    monkeypatch.setattr(ecg_r1.reading, "stream", made.stream)
    monkeypatch.setattr(ecg_r1.reading, "interpret", made.interpret)
    monkeypatch.setattr(ecg_r1.loading, "load_model", made.load)
    return made


def test_each_model_is_loaded_once_for_all_who_ask_at_once(script):
    models = Models(["nano", "other"])
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(models.get, [0, 1] * 8))
    assert len({id(one) for one in got}) == 2
    assert models.told["other"] == ["other: 17.7 GB, licence <free>"]


def test_every_model_but_nano_is_loaded_in_few_bits(script):
    Models(["nano", "other"], "4bit").load_all()
    assert script.loaded == [("nano", None), ("other", "4bit")]


def test_all_models_read_in_one_call_and_a_refusal_comes_back_as_it_was(script, example):
    models = Models(["nano", "other"])
    last = dict(models.stream([Job(p, ("signal",), ecg=example.ecg) for p in (0, 1)]))
    assert {place: set(one) for place, one in last.items()} == {0: {"signal"}, 1: {"signal"}}

    def refused(**_):
        raise ECGError("no such arm")
        yield

    ecg_r1.reading.stream = refused  # undone by `script`
    with pytest.raises(ECGError, match="no such arm"):
        list(models.stream([Job(0, ("signal",), ecg=example.ecg)]))


def test_zero_gpu_lends_one_gpu_for_all_arms_for_as_long_as_the_longest_readings(
    script, example, monkeypatch
):
    lent = []

    def gpu(duration):
        def decorate(call):
            def lend(jobs):
                lent.append(duration(jobs))
                # Another process reads there: what goes in and comes out is copied.
                yield from map(copied, call(copied(jobs)))

            return lend

        return decorate

    def copied(one):
        return pickle.loads(pickle.dumps(one))

    monkeypatch.setattr("ecg_r1.studio.models.spaces", SimpleNamespace(GPU=gpu))
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    models = Models(["nano", "other"])
    jobs = [Job(p, ("signal", "both"), ecg=example.ecg) for p in (0, 1)]
    last = dict(models.stream(jobs))
    assert last[1]["both"].done
    assert lent == [15 + 0.05 * 600]  # two models of 300 tokens at most


def test_recorded_readings_are_those_of_this_model_and_these_examples(script, tmp_path):
    path, examples = tmp_path / "readings.json", EXAMPLES[:2]
    assert recorded(path) == {}
    assert len(list(record_examples(Nano(), examples, path))) == 2
    found = recorded(path)
    assert set(found) == {one["file"] for one in examples}
    before = found["A0002.hea"]
    assert before.asked.question == "What <is> it?"
    assert before.readings()["both"].text == text_of("both")
    assert before.readings()["both"].steps[2].startswith("PR interval 120 ms")
    made = json.loads(path.read_text())
    assert made["model_sha256"] == model_fingerprint()
    made["examples"]["A0002.hea"]["sha256"] = example_fingerprint("A0003.hea")
    path.write_text(json.dumps(made))
    assert set(recorded(path)) == {"A0003.hea"}
    path.write_text(json.dumps(made | {"model_sha256": "0" * 64}))
    assert recorded(path) == {}


def test_the_fingerprint_is_of_what_reads_and_not_of_what_is_told_about_it(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("ecg_r1.studio.recorded.shipped", lambda name: tmp_path / name)
    (tmp_path / "nano").mkdir()
    prints = []
    for name in ("model.safetensors", "README.md", "run.json", "rewards.png", "config.json"):
        (tmp_path / "nano" / name).write_text(name)
        prints.append(model_fingerprint())
    assert len(set(prints[:4])) == 1
    assert prints[4] != prints[0]


def test_the_first_view_of_what_was_recorded_needs_no_torch(script, tmp_path):
    """It would wait for it, and stumble over whoever loads the model at the same time."""
    path = tmp_path / "readings.json"
    list(record_examples(Nano(), EXAMPLES[:1], path))
    code = f"""
import sys; from pathlib import Path; from types import SimpleNamespace; import gradio as gr
from ecg_r1.studio import build
from ecg_r1.studio.models import Models
from ecg_r1.studio.reader import Reader
from ecg_r1.studio.recorded import recorded
from ecg_r1.studio.study import Session
before = {{("nano", name): one for name, one in recorded(Path({str(path)!r})).items()}}
examples = build.read_examples()
with gr.Blocks():
    at = build._lay_page(list(examples), ("nano",))
reader = Reader(Models(["nano"]), examples, at, None, read_before=before)
values = {{at.session: Session(), at.number: 0, at.example.example: list(examples)[0]}}
list(reader.open_page(values, SimpleNamespace(session_hash="visitor", query_params={{}})))
session = values[at.session]
print(*session.readings, session.finish("both") is not None)
print({{"torch", "transformers"}} & set(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["signal image both True", "set()"]


# ------------------------------------------------------------------ the shipped recording


@pytest.fixture(scope="module")
def shipped_readings(assets):
    path = assets / "readings.json"
    if not path.is_file():
        pytest.skip(f"{path} is not made yet: python app.py --record")
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_shipped_readings_are_of_the_shipped_model_and_examples(shipped_readings, assets):
    assert shipped_readings["model_sha256"] == model_fingerprint(), (
        "run: python app.py --record"
    )
    assert set(recorded(assets / "readings.json")) == {one["file"] for one in EXAMPLES}


def test_the_shipped_readings_are_what_their_texts_say(shipped_readings):
    for file, one in shipped_readings["examples"].items():
        assert set(one["arms"]) == {"signal", "image", "both"}, file
        for plain in one["arms"].values():
            parsed = parse_report(plain["text"])
            assert plain["done"], file
            assert {int(n): text for n, text in plain["steps"].items()} == parsed.steps, file
            assert plain["diagnoses"] == parsed.diagnoses, file
            assert plain["well_formed"] == parsed.well_formed, file


def test_the_shipped_model_says_again_what_was_recorded(shipped_readings):
    """One example, drawn by the model's own hash, which nobody can choose."""
    files = sorted(shipped_readings["examples"])
    file = files[int(shipped_readings["model_sha256"][:8], 16) % len(files)]
    case = open_case([ROOT / "assets/ecgs" / file])
    found = ecg_r1.reading.interpret(ecg=case.ecg, image=case.image, model="nano")
    arms = shipped_readings["examples"][file]["arms"]
    assert {arm: one.text for arm, one in found.items()} == {
        arm: one["text"] for arm, one in arms.items()
    }
