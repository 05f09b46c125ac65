"""Strict rewards: by hand, against the table of cheats, and on anything at all."""

import json
import random

import pytest
from conftest import ROOT

from benchmarks.rewards import cheat_table
from ecg_r1.claims.facts import Facts
from ecg_r1.rewards import (
    paper_diagnosis_reward,
    paper_evidence_reward,
    strict_diagnosis_reward,
    strict_evidence_reward,
    strict_format_reward,
)
from ecg_r1.rewards.cheats import CHEATS, honest, reading

SOLUTION = (
    "<|key_diagnostic_evidence|>"
    "step_1_technical_rate_rhythm: sinus rhythm; heart rate 108 bpm\n"
    "step_2_conduction_axis_intervals: PR 160 ms; QRS 96 ms; left axis deviation\n"
    "step_3_chamber_hypertrophy_voltage: no LVH; S in V1 14 mm\n"
    "step_4_ischemia_infarction_mimics: ST elevation in V1-V3; Q waves in V1-V3; "
    "no ST depression in II\n"
    "step_5_electrolytes_qt: QTc 470 ms; no U waves\n"
    "step_6_final_medical_reasoning: anterior infarction<|/key_diagnostic_evidence|>\n"
    "<|answer|>anterior myocardial infarction; sinus tachycardia; left axis deviation"
    "<|/answer|>"
)
MEASURED = json.dumps({"hr_bpm": 108, "pr_ms": 160, "qrs_ms": 96, "qtc_ms": 470})


def evidence(text, **columns):
    return strict_evidence_reward([text], solution=[SOLUTION], **columns)[0]


def diagnosis(text):
    return strict_diagnosis_reward([text], solution=[SOLUTION])[0]


# Their leads or numbers are wrong, and all the other evidence, which is most of it, is right.
MOSTLY_RIGHT = ("right findings in wrong leads", "numbers as wide ranges")


def total(text):
    """The three strict rewards together, as RL adds them up."""
    known = {"measurements": [MEASURED]}
    return strict_format_reward([text])[0] + diagnosis(text) + evidence(text, **known)


def test_the_whole_truth_earns_all():
    text = honest(SOLUTION)
    assert strict_format_reward([text]) == [1.0]
    assert diagnosis(text) == 1.0
    assert evidence(text) == pytest.approx(1.0)


def test_a_paraphrase_earns_what_the_words_of_the_key_earn():
    text = reading(
        {
            1: "The rhythm is sinus at a rate of 107/min.",
            2: "PR interval 0.16 s. QRS duration is 96 ms. The axis is deviated to the left: "
            "left axis deviation.",
            3: "There is no evidence of left ventricular hypertrophy. SV1 14 mm.",
            4: "ST segments are elevated in V1, V2 and V3, with pathological Q waves in V1-V3. "
            "ST depression is absent in lead II.",
            5: "The QTc measures 468 ms. U waves are not seen.",
            6: "These findings indicate an anterior MI.",
        },
        "acute anterior myocardial infarction; sinus tachycardia; left axis deviation",
    )
    assert evidence(text) > 0.85
    assert diagnosis(text) == 1.0
    assert paper_evidence_reward([text], solution=[SOLUTION])[0] < 0.5


def test_labels_by_hand():
    # 2 of 3 right, 1 too many: F1 = 2 * 2 / (3 + 3)
    text = reading({}, "anterior mi; left axis deviation; lbbb")
    assert diagnosis(text) == pytest.approx(4 / 6)
    # The same label in two wordings is one label: F1 = 2 * 1 / (1 + 3)
    assert diagnosis(reading({}, "anterior mi; anterior infarct")) == pytest.approx(2 / 4)
    assert diagnosis(reading({}, "no anterior mi")) == 0.0
    assert strict_diagnosis_reward(["x"], solution=["<|answer|><|/answer|>"]) == [None]


def test_evidence_by_hand():
    key = "step_5_electrolytes_qt: QTc 470 ms; no U waves"
    only = {"solution": [key]}

    def score(words):
        return strict_evidence_reward([reading({5: words}, "x")], **only)[0]

    assert score("QTc 470 ms. No U waves.") == pytest.approx(1.0)
    # Recall 1/2, precision 1: F1 = 2/3.
    assert score("QTc 470 ms.") == pytest.approx(2 / 3)
    # One of two claims contradicts: recall 1/2, precision 1/2, and all of it lost to the cost.
    assert score("QTc 470 ms. U waves are present.") == 0.0
    # A third claim that nothing bears out: recall 1, precision 2/3, F1 = 0.8.
    assert score("QTc 470 ms. No U waves. Flat T waves.") == pytest.approx(0.8)
    # In another step each is worth a quarter: recall and precision 1/4.
    elsewhere = reading({2: "QTc 470 ms. No U waves."}, "x")
    assert strict_evidence_reward([elsewhere], **only)[0] == pytest.approx(0.25)
    # Said in its own step and pasted into another: recall 1, precision 1/2, F1 = 2/3.
    pasted = reading({4: "QTc 470 ms. No U waves.", 5: "QTc 470 ms. No U waves."}, "x")
    assert strict_evidence_reward([pasted], **only)[0] == pytest.approx(2 / 3)


def test_not_measurable_costs_what_wrong_numbers_cost():
    """Found by nano: "Voltages not measurable" was free, and wrong voltages were not."""
    key = "step_3_chamber_hypertrophy_voltage: S in V1 14 mm; R in V5 20 mm; no LVH; no RVH"
    key += "\nstep_5_electrolytes_qt: QT 400 ms; no U waves; no hyperkalemia; no hypokalemia"
    rest = "No LVH. No RVH.", "No U waves. No hyperkalemia. No hypokalemia."

    def score(voltages, qt, **known):
        steps = {3: f"{voltages} {rest[0]}", 5: f"{qt} {rest[1]}"}
        return strict_evidence_reward([reading(steps, "x")], solution=[key], **known)[0]

    wrong = score("S in V1 44 mm. R in V5 50 mm.", "QT 200 ms.")
    silent = score("", "")
    withheld = score("Voltages not measurable.", "QT not measurable.")
    assert 0 < withheld < silent
    assert withheld == pytest.approx(wrong)
    # Recall 5/8, precision 5/8, of 8 claims 3 are wrong: 5/8 * (1 - 2 * 3/8).
    assert withheld == pytest.approx(5 / 8 * 2 / 8)
    # Where it was not measured and is not asked for, it is true and costs nothing.
    no_qt = key.replace("QT 400 ms; ", "")
    steps = {3: f"S in V1 14 mm. R in V5 20 mm. {rest[0]}", 5: f"QT not measurable. {rest[1]}"}
    known = json.dumps({"hr_bpm": 70})
    (free,) = strict_evidence_reward(
        [reading(steps, "x")], solution=[no_qt], measurements=[known]
    )
    assert free == pytest.approx(1.0)


def test_leads_count_by_their_overlap():
    key = "step_4_ischemia_infarction_mimics: ST elevation in V1-V4"
    told = [
        reading({4: f"ST elevation in {leads}."}, "x") for leads in ("V1-V4", "V1-V2", "II")
    ]
    scores = strict_evidence_reward(told, solution=[key] * 3)
    assert scores == [pytest.approx(1.0), pytest.approx(0.5), 0.0]


def test_the_reasoning_may_say_again_what_the_steps_said():
    once = honest(SOLUTION)
    again = once.replace(
        "Summary.", "Sinus rhythm with a heart rate of 108 bpm and QTc 470 ms."
    )
    assert evidence(again) == pytest.approx(evidence(once))


def test_measurements_bear_out_or_contradict_what_was_not_asked():
    key = "step_5_electrolytes_qt: QTc 470 ms"
    true = reading({5: "QTc 470 ms. QT 380 ms."}, "x")
    false = reading({5: "QTc 470 ms. QT 480 ms."}, "x")
    measured = [json.dumps({"qtc_ms": 470, "qt_ms": 380})] * 2
    scores = strict_evidence_reward([true, false], solution=[key] * 2, measurements=measured)
    assert scores == [pytest.approx(1.0), 0.0]
    unknown = strict_evidence_reward([true], solution=[key])
    assert unknown == [pytest.approx(2 * 1 * 0.5 / 1.5)]


def test_truisms_do_not_dilute_what_is_wrong():
    key = "step_5_electrolytes_qt: QTc 470 ms"
    said = (
        "QTc 470 ms. U waves are present. QTc above 100 ms. QT above 100 ms. QT below 700 ms."
    )
    measured = {"measurements": [json.dumps({"qtc_ms": 470, "qt_ms": 380})]}
    told = strict_evidence_reward([reading({5: said}, "x")], solution=[key], **measured)
    # As without them: recall 1, precision 1/2, and U waves are only unasked for.
    assert told == [pytest.approx(2 / 3)]
    wrong = said.replace("U waves are present", "QT 480 ms")
    told = strict_evidence_reward([reading({5: wrong}, "x")], solution=[key], **measured)
    assert told == [0.0]  # one of two is wrong, whatever is true beside it


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("QTc 465-475 ms", 1.0),
        ("QTc 300-640 ms", 0.0),  # its middle is right, and it says nothing
        ("QTc above 465 ms", 0.0),
        ("QTc 484 ms", 1.0),  # within half of 30 ms
        ("QTc 486 ms", 0.0),
    ],
)
def test_a_number_is_told_and_not_surrounded(said, expected):
    key = "step_5_electrolytes_qt: QTc 470 ms"
    told = strict_evidence_reward([reading({5: f"{said}."}, "x")], solution=[key])
    assert told == [pytest.approx(expected)]


def test_what_leaves_room_for_the_truth_contradicts_nothing():
    key = "step_5_electrolytes_qt: QTc 470 ms; no U waves"
    texts = [reading({5: f"No U waves. QTc {x} ms."}, "x") for x in ("above 440", "above 500")]
    room, none = strict_evidence_reward(texts, solution=[key] * 2)
    assert room == pytest.approx(1 / 2)  # recall and precision 1/2
    assert none == 0.0


def test_facts_and_plain_numbers_say_the_same():
    facts = Facts(numbers={"qtc_ms": 470.0, "qt_ms": 380.0}).to_json()
    text = reading({5: "QTc 470 ms. QT 480 ms."}, "x")
    for measured in (facts, json.dumps({"qtc_ms": 470, "qt_ms": 380})):
        assert strict_evidence_reward(
            [text], solution=["step_5_electrolytes_qt: QTc 470 ms"], measurements=[measured]
        ) == [0.0]


def test_structured_evidence_comes_before_phrases():
    claims = {"step_5_electrolytes_qt": [{"kind": "interval", "name": "qtc_ms", "value": 400,
                                          "comparator": "="}]}  # fmt: skip
    text = reading({5: "QTc 400 ms."}, "x")
    assert strict_evidence_reward(
        [text], solution=[SOLUTION], evidence=[json.dumps(claims)]
    ) == [pytest.approx(1.0)]


def test_without_evidence_there_is_no_reward():
    assert strict_evidence_reward(["x"], solution=[""]) == [None]
    assert strict_evidence_reward(["x"]) == [None]


@pytest.mark.parametrize("name", CHEATS)
def test_no_cheat_beats_an_honest_half_right_answer(name):
    half = total(honest(SOLUTION, 0.5))
    cheat = CHEATS[name](SOLUTION)
    assert total(cheat) < half, (name, total(cheat), half)
    known = {"measurements": [MEASURED]}
    if name not in MOSTLY_RIGHT:
        assert evidence(cheat, **known) < evidence(honest(SOLUTION, 0.5), **known)


def test_the_published_table_is_what_the_rewards_pay():
    table = cheat_table()
    assert table in (ROOT / "README.md").read_text(encoding="utf-8")
    paid = [float(row.split("|")[3]) for row in table.splitlines()[2:]]
    assert max(paid[2:]) < paid[1] < paid[0] == 3  # any cheat, half of the truth, all of it


def test_the_table_shows_what_the_paper_pays():
    """Cheats that the paper's rewards pay in full are what the strict ones are for."""
    paid = {
        name: paper_evidence_reward([cheat(SOLUTION)], solution=[SOLUTION])[0]
        for name, cheat in CHEATS.items()
    }
    for name in ("negates every finding", "pastes everything everywhere", "affirms and denies"):
        assert paid[name] == 1.0
    full = paper_diagnosis_reward(
        [CHEATS["lists every diagnosis"](SOLUTION)], solution=[SOLUTION]
    )
    assert full[0] < 0.1  # Jaccard sees over-listing; substrings do not see anything


def test_any_text_is_scored_without_an_error():
    rng = random.Random(0)
    pieces = [
        *(
            "**Step 1:",
            "<think>",
            "</answer>",
            "ST elevation",
            "no ",
            "V1-V9",
            "((((",
            "\u202e",
        ),
        *("1" * 500, "QTc", " ms", ";", "\n", "\x00", "İ", "<|answer|>", "and " * 50),
    ]
    for _ in range(150):
        text = "".join(rng.choices(pieces, k=rng.randint(0, 60)))
        for score in (*strict_format_reward([text]), diagnosis(text), evidence(text)):
            assert 0.0 <= score <= 1.0


DEEP = "[" * 100_000
BROKEN = {
    "evidence": (
        "3", "[", DEEP, "null", '{"step_5_electrolytes_qt": null}',
        '{"step_5_electrolytes_qt": [3]}', '{"step_5_electrolytes_qt": [{"name": "x"}]}',
        '{"step_5_electrolytes_qt": [{"kind": "finding", "name": "u waves", "leads": null}]}',
        '{"step_5_electrolytes_qt": [{"kind": "interval", "name": "qtc_ms", "value": "x"}]}',
        '{"step_5_electrolytes_qt": [{"kind": "finding", "name": ["u waves"]}]}',
        {"step_5_electrolytes_qt": object()},
    ),
    "measurements": (
        3, "3", "[", DEEP, '{"numbers": 3}', '{"numbers": {"hr_bpm": null}}',
        '{"hr_bpm": "x"}', '{"hr_bpm": NaN}', '{"hr_bpm": 1e999}', '{"leads": {"V1": 3}}',
        {"hr_bpm": object()},
    ),
    "solution": (None, 3, [], {}, "\ud800", "step_1_" * 5000, DEEP),
}  # fmt: skip


@pytest.mark.parametrize(("column", "value"), [(c, v) for c in BROKEN for v in BROKEN[c]])
def test_a_broken_column_is_no_error(column, value):
    columns = {"solution": [SOLUTION], column: [value]}
    (told,) = strict_evidence_reward([honest(SOLUTION)], **columns)
    assert told == (1.0 if column == "measurements" else None)
    assert strict_diagnosis_reward([honest(SOLUTION)], **columns)[0] in (None, 1.0)


def test_messages_are_read_like_strings():
    text = honest(SOLUTION)
    messages = [{"role": "assistant", "content": text}]
    assert strict_evidence_reward([messages], solution=[SOLUTION])[0] == evidence(text)
