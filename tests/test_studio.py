"""What stands behind the page: changes, marks, agreement, guesses, links, reports, options."""

import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from studio import HOSTILE, Nano, Script, text_of

import ecg_r1.reading
from ecg_r1 import DISCLAIMER
from ecg_r1.auditing import audit
from ecg_r1.ecg import FS, LEADS, ECGError
from ecg_r1.inputs import open_case
from ecg_r1.page import page_segments
from ecg_r1.reading import Reading
from ecg_r1.report import parse_report
from ecg_r1.studio import exports, guess, links, marked
from ecg_r1.studio.agreement import ROWS, agreement, agreement_html
from ecg_r1.studio.batch import read_folder, records
from ecg_r1.studio.build import read_examples
from ecg_r1.studio.dials import dialled, simulated
from ecg_r1.studio.options import check_memory, read_settings
from ecg_r1.studio.reader import open_own, stated
from ecg_r1.studio.study import (
    Change,
    Session,
    altered,
    altered_page,
    control_of,
    damaged,
    study,
)

EXAMPLES = list(read_examples().values())


@pytest.fixture(scope="module")
def example():
    """The first shipped record, measured."""
    return study(open_case([ROOT / "assets/ecgs/A0002.hea"]), "Regular rhythm", EXAMPLES[0])


@pytest.fixture
def session(example):
    """A session in which all three arms have read."""
    made = Session(study=example, model="nano")
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


def test_the_control_is_another_patient_or_nothing_at_all(example):
    assert control_of(example, "none", EXAMPLES) is None
    assert not control_of(example, "blank", EXAMPLES).signal.any()
    assert control_of(example, "other", EXAMPLES).source != example.ecg.source
    last = replace(example, known=EXAMPLES[-1])
    assert control_of(last, "other", EXAMPLES).source != EXAMPLES[-1]["file"]
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
    assert [segments[panel - 1].lead for panel, *_ in places] == ["V4"]
    for panel, start, end in (*places, *marked.windows(pr, example.measured)):
        assert segments[panel - 1].start_s <= start < end <= segments[panel - 1].end_s
    (strip,) = marked.windows(pr, example.measured)
    assert strip[0] == len(segments)


def test_a_window_moves_by_whole_beats():
    # Beats every second; the claim's stretch is 0.2 s before to 0.1 s after the first.
    beats = np.array([1.0, 2.0, 3.0, 4.0])
    assert marked._moved((0.8, 1.1), beats, 2.5, 5.0) == pytest.approx((2.8, 3.1))
    assert marked._moved((0.8, 1.1), beats, 7.5, 10.0) == (7.5, 10.0)  # no beat in there


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
    page = Tags(agreement_html(rows, exports.NAMES))
    assert "b" not in {tag for tag, _ in page.tags}


# ------------------------------------------------------------------ guess


def test_each_field_is_judged_by_its_own_tolerance(example):
    hr, pr = example.measured.hr_bpm, example.measured.pr_ms
    made = guess.Guess("sinus rhythm", hr + 4.9, "left", pr - 31, None, None, ("x",))
    told = {one.field: one for one in guess.compare(made, example)}
    assert told["Rhythm"].is_right is True
    assert told["Heart rate"].is_right is True
    assert told["PR interval"].is_right is False
    assert told["PR interval"].reason == "31 ms too low"
    assert told["QRS axis"].is_right is False  # measured 56 degrees: normal
    assert told["QRS duration"].is_right is None
    assert "not found: x" in told["Diagnoses"].reason


def test_a_guess_that_is_no_number_is_refused_and_an_empty_one_is_none():
    assert guess.marked("", "", None, "", " ", "") == guess.Guess()
    with pytest.raises(ECGError, match="'fast'"):
        guess.marked("", "fast", None, "", "", "")


# ------------------------------------------------------------------ links


def test_a_link_brings_back_what_it_was_made_of():
    change = Change(("V1", "aVR"), "signal", 0.1, 0.2, 0.3, -4.0, 0.5, "6x2", 50.0, 5.0)
    query = links.link_query("A0003.hea", change, "other")
    pairs = dict(pair.split("=") for pair in query.split("&"))
    files = [one["file"] for one in EXAMPLES]
    assert links.from_query(pairs, files) == ("A0003.hea", change, "other")
    assert links.from_query({}, files) == (None, Change(), "none")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("example", "../../etc/passwd"),
        ("noise_mv", "nan"),
        ("blur", "2"),
        ("rotate_deg", "1e999"),
        ("layout", "9x9"),
        ("leads_off", "V1-<b>"),
        ("control", "mine"),
    ],
)
def test_a_link_with_a_wrong_setting_is_refused_with_it(name, value):
    with pytest.raises(ECGError, match=name):
        links.from_query({name: value}, ["A0003.hea"])


# ------------------------------------------------------------------ take away


def test_the_report_holds_readings_audits_model_and_disclaimer(session):
    plain = json.loads(exports.to_json(session))
    assert plain["disclaimer"] == DISCLAIMER
    assert plain["model"] == "nano"
    assert plain["readings"]["both"]["text"] == text_of("both")
    assert plain["audits"]["image"]["counts"]["contradicted"] >= 2
    text = exports.to_markdown(session)
    assert DISCLAIMER in text
    assert 'contradicted: "PR interval 120 ms"' in text
    assert "<img" not in text


def test_the_pdf_has_pages_with_the_trace_first(session):
    made = exports.to_pdf(session)
    assert made.startswith(b"%PDF")
    assert int(re.search(rb"/Count (\d+)", made)[1]) >= 3  # the trace, and two of words
    assert len(made) < 3_000_000


def test_nothing_to_take_away_is_said():
    with pytest.raises(ECGError, match="choose an ECG"):
        exports.report(Session())


# ------------------------------------------------------------------ simulator, own files


def test_a_dialled_heart_is_simulated_with_its_truth():
    spec = dialled(
        territory="inferior", st_mv=0.3, rhythm="sinus", hr_bpm=60, pr_ms=160, qrs_ms=90,
        qt_ms=400, axis_deg=40, conduction="normal", potassium_mmol=4.2,
    )  # fmt: skip
    made = simulated(spec, 3)
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


def test_a_login_without_a_password_is_refused_and_not_repeated():
    with pytest.raises(ECGError, match="name:password") as caught:
        read_settings([], {"ECG_R1_LOGIN": "secret"})
    assert "secret" not in str(caught.value)


def test_memory_is_checked_before_loading():
    # 4 GB of bfloat16 weights: 5 GB on a GPU, 9 GB on a CPU.
    check_memory("m", 4_000_000_000, 5_000_000_001, on_gpu=True)
    with pytest.raises(ECGError, match=r"'m' needs about 9\.0 GB of memory and 5\.0 GB"):
        check_memory("m", 4_000_000_000, 5_000_000_001, on_gpu=False)
    check_memory("m", None, 1, on_gpu=True)


def test_a_folder_becomes_a_table_with_reasons_for_what_cannot_be_read(tmp_path, monkeypatch):
    script = Script()
    monkeypatch.setattr(ecg_r1.reading, "interpret", script.interpret)
    for name in ("A0003.hea", "A0003.dat"):
        (tmp_path / name).write_bytes((ROOT / "assets/ecgs" / name).read_bytes())
    (tmp_path / "=bad.csv").write_text("I,II\n1,2\n")
    assert [one.name for one in records(tmp_path)] == ["=bad.csv", "A0003.hea"]
    table = tmp_path / "out.csv"
    assert len(list(read_folder(tmp_path, table, model=Nano, arms=("signal", "both")))) == 2
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


def test_reports_can_be_read_back_as_pictures_of_a4(session):
    page = exports._first_page(session)
    assert page.size == (1240, 1754)  # 210 x 297 mm at 150 dots per inch
    out = BytesIO()
    page.save(out, "PNG")
    assert out.tell() > 20_000  # the trace is on it
