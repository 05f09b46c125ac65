"""Evidence for RL: claims of the plan, phrases of the text, and the reference's format."""

import json
import re

import numpy as np
import pytest
from test_plan import healthy, plan_of, table

from ecg_r1.claims.parse import parse_claims
from ecg_r1.corpus.evidence import (
    STEP_KEYS,
    evidence,
    evidence_columns,
    measurements,
    phrases,
    solution,
)
from ecg_r1.corpus.template import write
from ecg_r1.report import Report, format_report, parse_report


def infarction():
    raised = dict.fromkeys(("II", "III", "aVF"), 0.3)
    leads = table(j_mv=raised, st_mv=raised, st80_mv=raised)
    return plan_of(
        healthy(leads), "sinus rhythm", "inferior myocardial infarction", "st elevation"
    )


def texts(plan):
    return [format_report(write(plan, np.random.default_rng(seed))) for seed in range(12)]


def by_hand(plan):
    """A reading written by hand, so that the phrases can be said beforehand."""
    steps = {
        1: "The rate is 72 bpm with regular RR intervals. Sinus rhythm.",
        2: "The PR interval is 160 ms and there is no sign of first-degree AV block.",
        3: "R in V5 is 0.8 mV.",
        4: "There is ST elevation in II, III and aVF. No pathological Q waves.",
        5: "QT 380 ms, QTc 404 ms.",
        6: "Inferior myocardial infarction.",
    }
    return format_report(Report(steps, "Inferior myocardial infarction.", plan.labels))


def test_cornells_voltage_is_evidence_where_it_was_met():
    # 1.4 mV in aVL and 1.6 mV in V3 make 3.0, above 2.8; the Sokolow-Lyon sum stays at 1.8.
    leads = table(r_mv={"aVL": 1.4}, s_mv={"V3": -1.6})
    plan = plan_of(healthy(leads), "sinus rhythm", "left ventricular hypertrophy")
    step = evidence(plan)[STEP_KEYS[3]]
    (cornell,) = (claim for claim in step if claim["name"] == "cornell_mv")
    assert (cornell["value"], cornell["qualifier"]) == (pytest.approx(3.0), "high")
    for text in texts(plan):
        found = [claim for claim in parse_claims(text) if claim.name == "cornell_mv"]
        assert found
        assert all(claim.value == pytest.approx(3.0, abs=0.1) for claim in found)


def test_phrases_are_verbatim_short_and_few():
    plan = infarction()
    for text in texts(plan):
        steps = parse_report(text).steps
        found = phrases(plan, text)
        assert list(found) == list(STEP_KEYS.values())
        for number, key in STEP_KEYS.items():
            assert len(found[key]) <= 3
            for phrase in found[key]:
                assert phrase in steps[number]
                assert 1 <= len(phrase.split()) <= 6
                assert ";" not in phrase
        assert sum(map(len, found.values())) >= 12


def test_a_phrase_begins_and_ends_with_whole_words():
    plan = infarction()
    for text in texts(plan):
        for found in phrases(plan, text).values():
            for phrase in found:
                assert re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", text), phrase


def test_the_diagnosis_and_its_evidence_come_first():
    plan = infarction()
    found = phrases(plan, by_hand(plan))
    assert found["step_4_ischemia_infarction_mimics"][0].startswith("ST elevation")
    assert found["step_1_technical_rate_rhythm"][0] == "Sinus rhythm"
    assert found["step_6_final_medical_reasoning"] == ("Inferior myocardial infarction",)


def test_a_denial_is_kept_whole():
    plan = infarction()
    found = phrases(plan, by_hand(plan))
    assert "No pathological Q waves" in found["step_4_ischemia_infarction_mimics"]
    step = found["step_2_conduction_axis_intervals"]
    assert any(phrase.startswith("no sign of first-degree AV block") for phrase in step)
    for text in texts(plan):
        for found in phrases(plan, text).values():
            denied = [x for x in found if "Q waves" in x or "hyperkalaemia" in x]
            for phrase in denied:
                assert re.search(
                    r"\b(?:no|nothing|absence|absent|exclude|speak|argue)", phrase.lower()
                )


def test_what_the_text_does_not_say_gives_no_phrase():
    plan = infarction()
    text = by_hand(plan).replace("There is ST elevation in II, III and aVF. ", "")
    found = phrases(plan, text)["step_4_ischemia_infarction_mimics"]
    assert not any("ST elevation" in phrase for phrase in found)


def test_claims_that_were_parsed_before_give_the_same():
    plan = infarction()
    text = texts(plan)[0]
    assert phrases(plan, text, parse_claims(text)) == phrases(plan, text)


def test_structured_evidence_is_that_of_the_plan():
    found = evidence(infarction())
    fourth = found["step_4_ischemia_infarction_mimics"]
    raised = next(one for one in fourth if one["name"] == "st elevation")
    assert raised["leads"] == ["II", "III", "aVF"]
    assert raised["polarity"] == "present"
    second = found["step_2_conduction_axis_intervals"]
    pr = next(one for one in second if one["name"] == "pr_ms")
    assert (pr["value"], pr["qualifier"]) == (160, "normal")
    json.dumps(found, allow_nan=False)


def test_unknown_things_are_no_evidence():
    plan = plan_of(healthy(pr_ms=None), "sinus rhythm")
    names = [one["name"] for one in evidence(plan)["step_2_conduction_axis_intervals"]]
    assert "pr_ms" not in names
    assert "qrs_ms" in names


def test_measurements_are_the_numbers_of_the_record():
    plan = infarction()
    numbers = measurements(plan)
    assert numbers["hr_bpm"] == 72
    assert numbers["qtc_ms"] == 404
    assert numbers["axis_deg"] == 45
    assert "rr_ms" not in numbers
    columns = evidence_columns(plan, by_hand(plan))
    assert json.loads(columns["measurements"]) == numbers
    assert json.loads(columns["evidence"]) == evidence(plan)
    assert columns["solution"] == solution(plan, by_hand(plan))


def _reference_items(found):
    """Items per step as the reference reads them (shared/ecg-r1.md B3)."""
    inside = re.search(
        r"<\|key_diagnostic_evidence\|>(.*?)<\|/key_diagnostic_evidence\|>", found, re.DOTALL
    )[1]
    parts = re.split(r"(step_\d\w*):", inside)[1:]
    return {
        key: [item.strip() for item in items.split(";") if item.strip()]
        for key, items in zip(parts[::2], parts[1::2], strict=True)
    }


def test_the_solution_is_read_back_by_the_references_rules():
    plan = infarction()
    for text in texts(plan):
        found = solution(plan, text)
        expected = {key: list(items) for key, items in phrases(plan, text).items()}
        assert _reference_items(found) == expected
        answer = re.search(r"<\|answer\|>(.*)<\|/answer\|>", found)[1]
        assert answer.split("; ") == list(plan.labels)


def test_a_solution_has_the_form_of_the_recorded_ones(shared):
    cases = json.loads((shared / "reference" / "rewards.json").read_text())["cases"]
    recorded = next(
        case["solution"]
        for case in cases
        if all(k in case["solution"] for k in STEP_KEYS.values())
    )
    ours = solution(infarction(), by_hand(infarction()))
    assert list(_reference_items(recorded)) == list(_reference_items(ours))

    def skeleton(text):
        return re.sub(r"(?<=[:>])[^<\n]*(?=[<\n])", "", text)

    assert skeleton(ours) == skeleton(recorded)


def test_an_unfinished_text_gives_empty_steps():
    plan = infarction()
    found = phrases(plan, "<think>\n**Step 1: Technical, Rate & Rhythm** Sinus rhythm.")
    assert found["step_1_technical_rate_rhythm"] == ("Sinus rhythm",)
    assert found["step_5_electrolytes_qt"] == ()


@pytest.mark.parametrize("text", ["", "garbage", "<think></think>", "\x00" * 50])
def test_garbage_gives_no_phrase_and_no_error(text):
    assert not any(phrases(infarction(), text).values())
