"""The audit: verdicts with their places, quarrels, omissions, and safe marked-up text."""

import json
import re
import time
from html import unescape

import pytest
from conftest import ROOT

import ecg_r1
from ecg_r1.__main__ import main
from ecg_r1.auditing import audit, facts_of
from ecg_r1.claims.facts import Facts
from ecg_r1.claims.omissions import SPOKEN_OF
from ecg_r1.claims.parse import parse_claims
from ecg_r1.claims.quarrels import quarrels
from ecg_r1.display import audit_html
from ecg_r1.measurement import measure
from ecg_r1.protocol import CRITERIA

RECORD = ROOT / "assets/ecgs/A0002.hea"  # sinus rhythm, 78 bpm, PR 194 ms


@pytest.fixture(scope="module")
def facts():
    return facts_of(ecg_r1.read_ecg(str(RECORD)))


def sorts(text: str, sex: str = "male") -> list[str]:
    return [one.sort for one in quarrels(parse_claims(text), (50.0, sex))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PR 160 ms. Later: PR 210 ms.", ["number"]),
        ("PR 160 ms. The PR interval is 0.162 s.", []),
        ("R 12 mm in V5, R 5 mm in V6.", []),
        ("QTc 450 ms, within normal limits.", ["word"]),
        ("Rate 101 bpm, controlled.", ["word"]),
        ("QTc 400 ms. Prolonged QTc.", ["word"]),
        ("PR 150 ms. First-degree AV block.", ["word"]),
        ("No ST elevation. ST elevation in V2.", ["denial"]),
        ("No ST elevation in V5. ST elevation in V2.", []),
        ("No acute inferior infarction. Old inferior infarction.", []),
        ("Normal ECG. Left bundle branch block.", ["labels"]),
        ("Normal ECG. Sinus rhythm.", []),
        ("Sinus rhythm. Atrial fibrillation.", ["labels"]),
        ("Sinus rhythm. Possible atrial fibrillation.", []),
        ("**Step 4: x** No ST elevation.\n<answer>st elevation</answer>", ["answer"]),
    ],
)
def test_a_text_that_contradicts_itself(text, expected):
    assert sorts(text) == expected


def test_the_limit_of_the_word_is_that_of_the_person():
    assert sorts("QTc 450 ms, within normal limits.", sex="female") == []


def test_every_claim_has_verdict_reason_and_place(facts):
    found = audit("Sinus rhythm at 101 bpm. PR 195 ms. Wellens syndrome.", facts)
    assert [one.verdict for one in found.claims] == [
        "supported", "contradicted", "supported", "not_checkable",
    ]  # fmt: skip
    assert found.hallucination_rate == pytest.approx(1 / 3)
    rate, pr = found.claims[1], found.claims[2]
    assert rate.measured == pytest.approx(facts.numbers["hr_bpm"])
    assert (rate.unit, rate.reason) == ("bpm", f"measured {rate.measured:.0f} bpm")
    start, end = pr.time_s
    assert 0 <= start < end <= 10
    assert end - start == pytest.approx(facts.numbers["pr_ms"] / 1000, abs=0.05)
    assert found.text[slice(*pr.span)] == "PR 195 ms"


def test_nothing_to_check_has_no_rate(facts):
    assert audit("", facts).hallucination_rate is None
    picture = audit("PR 160 ms.", None)
    assert picture.claims[0].verdict == "not_checkable"
    assert "picture" in picture.claims[0].reason
    assert picture.hallucination_rate is None


def test_omissions_are_what_supports_a_diagnosis_and_is_not_spoken_of():
    facts = Facts(
        numbers={},
        findings={
            "st_elevation_inferior": (True, ("II", "III", "aVF")),
            "q_waves_inferior": (False, ()),
            "p_present": (True, ()),
            "t_low": (True, ("V5",)),  # supports nothing here
        },
        diagnoses=("sinus rhythm", "inferior myocardial infarction"),
    )
    silent = audit("Sinus rhythm.", facts)
    assert [one.finding for one in silent.omissions] == ["st_elevation_inferior"]
    one = silent.omissions[0]
    assert one.is_urgent
    assert one.text == "st elevation in II, III, aVF"
    assert silent.omission_rate == pytest.approx(1 / 2)
    assert not audit("Sinus rhythm, ST elevation in III.", facts).omissions
    assert not audit("Sinus rhythm, inferior infarction.", facts).omissions


def test_a_truism_is_no_word_on_a_finding():
    facts = Facts(
        numbers={"qtc_ms": 520.0},
        findings={"qtc_long": (True, ())},
        diagnoses=("prolonged qt interval",),
    )
    assert not audit("QTc 520 ms.", facts).omissions
    found = audit("QTc between 100 and 900 ms.", facts)
    assert [one.finding for one in found.omissions] == ["qtc_long"]
    assert found.hallucination_rate is None


def test_what_goes_by_the_same_words_is_left_out_once():
    facts = Facts(
        numbers={},
        findings={
            "tachycardia": (True, ()),
            "rate_150": (True, ()),
            "no_p": (True, ()),
            "st_elevation_inferior": (True, ("III", "aVF")),
            "st_elevation_lateral": (True, ("V6",)),
        },
        diagnoses=(
            "supraventricular tachycardia",
            "inferior myocardial infarction",
            "lateral myocardial infarction",
        ),
    )
    found = audit("Normal axis.", facts)
    told = [(one.text, one.supports) for one in found.omissions]
    assert told == [
        ("rate", ("supraventricular tachycardia",)),
        ("p waves", ("supraventricular tachycardia",)),
        (
            "st elevation in III, aVF, V6",
            ("inferior myocardial infarction", "lateral myocardial infarction"),
        ),
    ]
    assert (found.n_expected, found.omission_rate) == (3, 1.0)
    assert len(audit("Rate 160 bpm.", facts).omissions) == 2


def test_every_finding_of_the_protocol_has_words():
    assert set(SPOKEN_OF) == {one.name for one in CRITERIA}


def test_html_escapes_and_says_the_verdict_in_words(facts):
    text = '<script>alert("x")</script> PR 160 ms & "LVH" <b>'
    page = audit_html(audit(text, facts))
    assert "<script" not in page
    assert "<b>" not in page
    assert "\u2717 contradicted" in page
    body = page.partition("pre-wrap")[2].partition("</div>")[0].partition(">")[2]
    plain = unescape(re.sub(r"<[^>]+>", "", re.sub(r"<sup.*?</sup>", "", body)))
    assert plain == text


def test_json_is_plain(facts):
    told = json.loads(
        json.dumps(audit("PR 160-180 ms. LVH.", facts).to_json(), allow_nan=False)
    )
    assert {one["verdict"] for one in told["claims"]} == {"supported", "contradicted"}
    assert told["counts"]["contradicted"] == 1


def test_the_same_from_record_measurements_and_facts(facts):
    ecg = ecg_r1.read_ecg(str(RECORD))
    text = "Sinus rhythm at 78 bpm, PR 194 ms, no LVH."
    verdicts = [
        [one.verdict for one in ecg_r1.audit(text, subject).claims]
        for subject in (ecg, measure(ecg), facts)
    ]
    assert verdicts[0] == verdicts[1] == verdicts[2] == ["supported"] * 4


@pytest.mark.parametrize(("text", "subject"), [(b"PR", None), ("PR", "a.hea")])
def test_what_is_no_text_or_no_ecg_is_refused(text, subject):
    with pytest.raises(TypeError, match=r"got (bytes|str)"):
        audit(text, subject)


def test_an_audit_takes_ten_milliseconds(facts):
    text = "Sinus rhythm at 78 bpm. PR 194 ms, QRS 90 ms. No ST elevation. " * 18  # 1.2k
    audit(text, facts)
    started = time.process_time()
    for _ in range(5):
        audit(text, facts)
    assert (time.process_time() - started) / 5 < 0.02  # 3 ms alone on a core


def test_the_command_prints_text_or_json(tmp_path, capsys):
    reading = tmp_path / "reading.txt"
    reading.write_text("Sinus rhythm. PR 300 ms.", encoding="utf-8")
    assert main(["audit", str(reading), "--ecg", str(RECORD)]) == 0
    assert "1 contradicted" in capsys.readouterr().out
    assert main(["audit", str(reading), "--ecg", str(RECORD), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["hallucination_rate"] == 0.5


def test_the_command_refuses_what_is_no_text(tmp_path, capsys):
    reading = tmp_path / "reading.txt"
    reading.write_bytes(b"\xff\xfe\x00")
    assert main(["audit", str(reading), "--ecg", str(RECORD)]) == 2
    assert "reading.txt is no UTF-8 text" in capsys.readouterr().err
