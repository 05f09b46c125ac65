"""Rewards: the reference's recorded numbers, hand arithmetic, hostile input, linear time."""

import json
import re
import sys
import time

import pytest

from benchmarks.rewards import CHARACTERS, columns, ours, plain, without_repetition
from ecg_r1.claims.text import sentences
from ecg_r1.rewards import (
    REWARDS,
    paper_diagnosis_reward,
    paper_evidence_reward,
    paper_format_reward,
    soft_overlong_reward,
)
from ecg_r1.rewards.completions import completion_text
from ecg_r1.rewards.paper import _fold, _fold_alike

EVIDENCE = "<|key_diagnostic_evidence|>{}<|/key_diagnostic_evidence|><|answer|>af<|/answer|>"


def three(completion, solution):
    return {
        "key_diagnostic_evidence_reward": paper_evidence_reward(
            [completion], solution=[solution]
        ),
        "format_reward": paper_format_reward([completion], solution=[solution]),
        "diagnosis_accuracy_reward": paper_diagnosis_reward([completion], solution=[solution]),
    }


def test_paper_rewards_are_the_reference_s_to_the_last_bit(shared):
    recorded = json.loads((shared / "reference/rewards.json").read_text())
    assert len(recorded["cases"]) == 60
    for case in recorded["cases"]:
        told = three(case["completion"], case["solution"])
        assert told == {name: [case[name]] for name in told}, case["name"]
    for table in recorded["soft_overlong"]:
        ids = [[0] * length for length in table["lengths"]]
        limits = {"max_length": table["soft_max_length"], "cache": table["soft_cache_length"]}
        got = soft_overlong_reward([""] * len(ids), completion_ids=ids, **limits)
        assert got == table["rewards"]


@pytest.mark.parametrize(
    ("listed", "thought", "expected"),
    [
        pytest.param("1: af", "1: AF.", 1.0, id="case does not count"),
        pytest.param("1: af; lbbb", "1: AF.", 1 / 2, id="half of a step"),
        pytest.param("1: af 2: lbbb; pr 210 ms", "1: AF", 1 / 2, id="a missing step is 0"),
        pytest.param("1: af 2: lbbb; wide", "1: AF **Step 2: wide", 3 / 4, id="mean of steps"),
        pytest.param("1: af", "2: AF", 0.0, id="the wrong step"),
        pytest.param("1: st elevation", "1: no ST elevation", 1.0, id="negation is not seen"),
        pytest.param("1: 108 bpm", "1: 1108 bpm", 1.0, id="nor are number boundaries"),
        pytest.param("1: af 1: ", "1: AF", 0.0, id="an empty second key forgets the first"),
        pytest.param("1: af 1: wide", "1: wide **Step 1: x", 0.0, id="last text of a step"),
        pytest.param("1: wide", "1: wide **Step 1: ", 1.0, id="but a blank one does not count"),
        pytest.param(
            "1: sinus", "1: S\u0130NU\u017f", 1.0, id="letters that re takes for i, s"
        ),
        pytest.param("1: \u00b5v", "1: \u03bcV", 1.0, id="micro sign and mu"),
        pytest.param("1: af", "1 **Step 2: AF", 1.0, id="a heading may end in a heading"),
        pytest.param("1: x step_2 y", "1: x", 1.0, id="any step_2 ends the list"),
    ],
)
def test_evidence_by_hand(listed, thought, expected):
    for number, key in ((1, "technical_rate_rhythm"), (2, "conduction_axis_intervals")):
        listed = re.sub(rf"\b{number}:", f"step_{number}_{key}:", listed)
    told = paper_evidence_reward(
        [f"<think>**Step {thought}</think>"], solution=[EVIDENCE.format(listed)]
    )
    assert told == [expected]


@pytest.mark.parametrize(
    ("answer", "truth", "expected"),
    [
        ("af; lbbb", "AF; LVH; LBBB", 2 / 3),
        ("af;lbbb;af", "af; lbbb", 1.0),
        ("af", "af;", 1.0),
        ("af;", "af", 1.0),
        ("normal ecg.", "normal ecg", 0.0),
        ("", "", 1.0),
        ("", "af", 0.0),
        (";", "af", 0.0),
    ],
)
def test_diagnosis_by_hand(answer, truth, expected):
    key = f"<|answer|>{truth}<|\\answer|>"
    assert paper_diagnosis_reward([f"<answer>{answer}</answer>"], solution=[key]) == [expected]


def test_message_lists_score_as_their_text():
    texts, keys = columns("Filler. ")
    parts = [{"type": "text", "text": texts[1]}, {"type": "image"}]
    as_messages = [
        [{"role": "assistant", "content": texts[0]}],
        [{"role": "assistant", "content": parts}, {"role": "tool", "content": texts[0]}],
    ]
    assert [completion_text(message) for message in as_messages] == texts[:2]
    assert ours(as_messages, keys[:2]) == ours(texts[:2], keys[:2])


@pytest.mark.parametrize("filler", ["Baseline stable. ", "60\u2013100 \u00b5V. "])
def test_an_independent_implementation_agrees(filler):
    batch = columns(filler)
    told = ours(*batch)
    assert told == plain(*batch)
    assert 0 < min(told[2]) < max(told[2]) < 1  # the texts are neither all right nor all wrong
    assert set(told[1]) == {1.0, 1 / 3}


@pytest.mark.parametrize("bad", [None, 3, b"x", [], [None], [{"content": 3}], {}, "", "\ud800"])
def test_nothing_makes_a_reward_raise(bad):
    good = "<think>**Step 1: af</think><answer>af</answer>"
    solution = EVIDENCE.format("step_1_technical_rate_rhythm: af")
    assert paper_format_reward([bad, good]) == [0.0, 1.0]
    for reward in (paper_diagnosis_reward, paper_evidence_reward):
        assert reward([bad, good], solution=[solution, solution]) == [0.0, 1.0]
        assert reward([good, good], solution=[bad, solution]) == [0.0, 1.0]
        assert reward([good, good], solution=[solution]) == [1.0, 0.0]  # one has no solution


HOSTILE = {
    "open tags": "<think>" * 15_000,
    "answers without end": "<think>" + "<answer>" * 12_000,
    "closing tags": "<think>" + "</think" * 15_000,
    "headings": "<think>" + "**Step 1" * 12_000 + "</think>",
    "headings without separator": "<think>" + "**Step1 " * 12_000 + "</think>",
    "white space": "<think>**Step" + " " * 100_000 + "</think>",
    "digits": "<think>**Step " + "9" * 100_000 + ": af</think>",
    "stars": "<think>" + "*" * 100_000 + "</think>",
    "one character": "<think>**Step 1:" + "a" * 100_000 + "</think>",
    "case": "<think>**Step 1:" + "\u0130\u0131\u017f\u212a" * 25_000 + "</think>",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hundred_thousand_hostile_characters_take_no_time(text):
    phrase = "a" * 50 + "b"
    solution = EVIDENCE.format(f"step_1_technical_rate_rhythm: {phrase}; \u00b5{phrase}")
    for completion, key in ((text, solution), (text, text), (solution, "step_1_" * 15_000)):
        started = time.process_time()
        told = three(completion, key)
        assert time.process_time() - started < 10  # a guard against hanging, no measurement
        assert all(0 <= value[0] <= 1 for value in told.values())


def test_folding_is_what_ignoring_case_means_to_re():
    cased = [c for c in map(chr, range(sys.maxunicode + 1)) if c.lower() != c.upper()]
    cased += ["\u0345", "\u1fd3", "\u1fe3", "\ufb05", "\ufb06"]
    everything = "".join(dict.fromkeys(cased))
    folded = _fold_alike(_fold(everything))
    assert len(folded) == len(everything)
    alike = {}
    for character, fold in zip(everything, folded, strict=True):
        alike.setdefault(fold, set()).add(character)
    for fold, characters in alike.items():
        found = set(re.findall(re.escape(fold), everything, re.IGNORECASE))
        assert found == characters, hex(ord(fold))


@pytest.mark.parametrize(("cache", "max_length"), [(0, 10), (10, 10), (-1, 10)])
def test_soft_overlong_refuses_limits_that_mean_nothing(cache, max_length):
    with pytest.raises(ValueError, match=f"cache={cache}, max_length={max_length}"):
        soft_overlong_reward([""], completion_ids=[[1]], cache=cache, max_length=max_length)


def test_every_reward_takes_the_columns_of_the_others():
    told = [
        reward(["?"], prompts=["p"], solution=["s"], completion_ids=[[1]], trainer_state=None)
        for reward in REWARDS.values()
    ]
    assert all(values in ([0.0], [None]) for values in told)  # None: no reference to judge by


def test_the_text_without_repetition_has_none():
    text = without_repetition(3)
    told = [one.raw for one in sentences(text)]
    assert len(told) == len(set(told)) > 150
    assert len(text) == pytest.approx(CHARACTERS, rel=0.05)
