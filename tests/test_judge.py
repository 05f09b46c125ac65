"""Verdicts on claims, by hand-made facts; and the labelled claims, as far as they were seen."""

import json
from pathlib import Path

import pytest

from benchmarks.claims import facts_about, is_same, labelled
from ecg_r1.claims.facts import Facts
from ecg_r1.claims.judge import judge
from ecg_r1.claims.parse import parse_claims
from ecg_r1.claims.schema import Claim

# A man of 50; ST raised in II, III, aVF; lead aVR has a QS and no R.
FACTS = Facts(
    numbers={
        "hr_bpm": 101.0,
        "pr_ms": 160.0,
        "qrs_ms": 90.0,
        "qtc_ms": 450.0,
        "axis_deg": 170.0,
    },
    words={"p_present": True, "regular": True},
    leads={
        **{
            lead: {"r_mv": 1.0, "s_mv": -0.2, "st_mv": st, "j_mv": st, "t_mv": 0.3, "p_mv": 0.1}
            for lead, st in (("I", 0.0), ("II", 0.2), ("III", 0.25), ("aVF", 0.22), ("V5", 0.0))
        },
        "aVR": {"q_mv": -0.9, "st_mv": 0.0, "j_mv": 0.0, "t_mv": -0.3, "p_mv": -0.1},
    },
    findings={"pr_long": (False, ()), "p_present": (True, ()), "qtc_long": (True, ())},
    diagnoses=("sinus tachycardia", "prolonged qt interval"),
    quality={"V3": "clipped for 0.2 s"},
    person=(50.0, "male"),
)


def verdict(text: str, facts: Facts = FACTS) -> list[str]:
    return [judge(claim, facts).verdict for claim in parse_claims(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("PR 175 ms", "supported", id="15 ms off"),
        pytest.param("PR 185 ms", "contradicted", id="25 ms off"),
        pytest.param("axis -175 degrees", "supported", id="15 degrees off, around the circle"),
        pytest.param("heart rate 101 bpm, normal", "contradicted", id="101 is not normal"),
        pytest.param("QTc 450 ms, within normal limits", "contradicted", id="450 in a man"),
        pytest.param("QRS 90 mV", "contradicted", id="impossible unit"),
        pytest.param("QT 400 ms", "not_checkable", id="not measured"),
        pytest.param("QT interval not measurable", "supported", id="not measured, as told"),
        pytest.param("PR interval not measurable", "contradicted", id="160 ms were measured"),
        pytest.param("Voltages not measurable", "contradicted", id="they were measured"),
        pytest.param("R 1.1 mV in V5", "supported", id="0.1 mV off"),
        pytest.param("R 1.1 mV in aVR", "contradicted", id="no R there"),
        pytest.param("ST elevation in II, III and aVF", "supported", id="all leads"),
        pytest.param("ST elevation in I and V5", "contradicted", id="other leads"),
        pytest.param("ST elevation in I, II and V5", "unsupported", id="one of three"),
        pytest.param("No ST elevation in the inferior leads", "contradicted", id="denied"),
        pytest.param("Possible ST elevation in I and V5", "unsupported", id="hedged and wrong"),
        pytest.param("Sinus rhythm", "supported", id="implied by sinus tachycardia"),
        pytest.param("Atrial fibrillation", "contradicted", id="another rhythm"),
        pytest.param("No first-degree AV block", "supported", id="exclusion"),
        pytest.param("Clipping in V3", "supported", id="quality by its reason"),
        pytest.param("Pulmonary embolism", "not_checkable", id="out of scope"),
        pytest.param("Upright P waves are seen in aVR", "contradicted", id="P points down"),
        pytest.param("QTc 100-900 ms", "not_checkable", id="a range that holds of any ECG"),
        pytest.param("Heart rate between 0 and 300", "not_checkable", id="and without a unit"),
        pytest.param("The rate is above 20 bpm", "not_checkable", id="a bound of any ECG"),
        pytest.param("QTc 300-600 ms, prolonged", "supported", id="only its word says a thing"),
        pytest.param("QTc 300-600 ms, normal", "contradicted", id="and a wrong one"),
        pytest.param("QTc is not between 100 and 900 ms", "contradicted", id="denied truism"),
        pytest.param("QTc below 500 ms", "supported", id="a bound that says something"),
        pytest.param("QTc 430-470 ms", "supported", id="a range that says something"),
        pytest.param("Axis above 90 degrees", "supported", id="a bound in degrees"),
        pytest.param("Axis below 90 degrees", "contradicted", id="and a wrong one in degrees"),
        pytest.param("QRS 90 ms, not wide", "supported", id="the word is denied"),
        pytest.param("QRS 150 ms, not wide", "contradicted", id="not the number"),
        pytest.param("More than 1 mm ST elevation in III", "supported", id="a bound on ST"),
        pytest.param(
            "More than 4 mm ST elevation in III", "contradicted", id="too high a bound"
        ),
        pytest.param("1-3 mm ST elevation in III", "supported", id="a range of ST"),
    ],
)
def test_verdicts(text, expected):
    assert verdict(text) == [expected]


@pytest.mark.parametrize(("text", "word"), [("PR {}prolonged", "PR"), ("QRS {}wide", "QRS")])
def test_near_a_limit_both_the_word_and_its_denial_pass(text, word):
    # 200 ms and 110 ms are the limits, a pen's width is 10 ms.
    near = {"PR": (195, 205), "QRS": (105, 115)}[word]
    clear = {"PR": 215, "QRS": 125}[word]
    for value in near:
        facts = Facts(numbers={f"{word.lower()}_ms": float(value)})
        assert verdict(text.format("is "), facts) == ["supported"]
        assert verdict(text.format("is not "), facts) == ["supported"]
    facts = Facts(numbers={f"{word.lower()}_ms": float(clear)})
    assert verdict(text.format("is not "), facts) == ["contradicted"]


def test_st_elevation_bears_out_an_acute_infarction_that_nothing_else_explains():
    raised = {"st_elevation_anterior": (True, ("V2", "V3")), "q_v2_v3": (False, ())}
    text = "Acute anterior infarction. No acute anterior infarction. Anterior infarction."
    said = verdict(text, Facts(numbers={}, findings=raised))
    assert said == ["supported", "unsupported", "unsupported"]
    explained = Facts(numbers={}, findings=raised, diagnoses=("paced rhythm",))
    assert verdict("Acute anterior infarction.", explained) == ["unsupported"]


def test_without_calibration_voltages_say_nothing():
    facts = Facts(numbers={}, leads=FACTS.leads, calibrated=False)
    assert verdict("R 3 mV in V5; ST elevation in II", facts) == ["not_checkable"] * 2
    assert verdict("Voltages not measurable", facts) == ["supported"]


def test_no_pr_interval_is_measurable_where_no_p_leads_the_qrs():
    flutter = Facts(numbers={"pr_ms": 180.0, "qt_ms": 400.0}, key=("atrial flutter",))
    assert verdict("PR and QT are not measurable", flutter) == ["supported", "contradicted"]


def test_facts_survive_json():
    assert Facts.from_json(FACTS.to_json()) == FACTS


def test_a_claim_written_by_hand_is_judged():
    claim = Claim("interval", "pr_ms", value=160, comparator="=")
    found = judge(claim, FACTS)
    assert (found.verdict, found.measured) == ("supported", 160.0)


LINES = [
    json.loads(line)
    for line in (Path(__file__).parent / "claims/test.jsonl").read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("half", [0, 1], ids=["even", "odd"])
def test_the_labelled_claims_are_found_and_judged(half):
    """Floors a little below what `python -m benchmarks.claims` reports; no single line."""
    told = found = hit = right = 0
    for line in LINES[half::2]:
        claims = [labelled(plain) for plain in line["claims"]]
        left = list(parse_claims(line["text"]))
        told, found = told + len(claims), found + len(left)
        for claim, plain in zip(claims, line["claims"], strict=True):
            right += judge(claim, facts_about(line["ecg"])).verdict == plain["verdict"]
            match = next((one for one in left if is_same(claim, one, whole=False)), None)
            if match is not None:
                left.remove(match)
                hit += 1
    assert hit / told >= 0.93
    assert hit / found >= 0.95
    assert right / told >= 0.96
