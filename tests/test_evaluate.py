"""Measures of readings, on hand-made readings with hand-worked results."""

import json
from dataclasses import replace

import pytest

from ecg_r1.claims.facts import Facts
from ecg_r1.corpus import pack_signal
from ecg_r1.ecg import read_ecg
from ecg_r1.evaluate import Row, Run, Truth, jaccard, stated_numbers, summarise
from ecg_r1.evaluate.stage_one import truth_of_row
from ecg_r1.measurement import measure

NUMBERS = {"hr_bpm": 70.0, "pr_ms": 160.0, "qrs_ms": 90.0, "qt_ms": 400.0, "axis_deg": 175.0}


def case(text, labels, *, without=(), calibrated=True, **numbers):
    """A record's truth and what every arm says of it."""
    known = {k: v for k, v in (NUMBERS | numbers).items() if k not in without}
    facts = json.loads(Facts(numbers=known, calibrated=calibrated).to_json())
    return Truth("", "", {"source": "x"}, labels, (), facts, "", ""), text


def run_of(*cases):
    truths, rows = {}, {}
    for number, (truth, text) in enumerate(cases):
        key = str(number)
        truths[key] = replace(truth, record=key, patient=key)
        for arm in ("signal", "image", "both"):
            rows[key, arm, "clean"] = Row(key, arm, "clean", text)
    return Run({}, truths, rows)


def test_the_first_statement_of_each_number_counts():
    text = (
        "Heart rate 72 bpm. PR interval 164 ms. QT 392 ms, QTc 415 ms. Later: Heart rate 80 bpm"
    )
    assert stated_numbers(text) == {"hr_bpm": 72, "pr_ms": 164, "qt_ms": 392}


def test_qtc_is_not_taken_for_qt():
    assert "qt_ms" not in stated_numbers("QTc 415 ms")


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("ab", "ab", 1),
        ("ab", "bc", 1 / 3),
        ("a", "b", 0),
        ("", "", 1),
        ("", "a", 0),
        ("aa", "a", 1),
    ],
)
def test_jaccard_by_hand(a, b, expected):
    assert jaccard(a, b) == pytest.approx(expected)


def test_errors_are_means_over_records_that_state_the_number():
    run = run_of(
        case("Heart rate 72 bpm. Sinus rhythm.", ("sinus rhythm", "normal ecg")),
        case("Heart rate 66 bpm. Sinus rhythm.", ("sinus rhythm",)),
        case("no number", ("atrial fibrillation",)),
    )
    told = summarise(run)["signal"]
    assert told["records"] == 3
    assert told["hr_bpm_n"] == 2
    assert told["hr_bpm_mae"] == 3.0  # (2 + 4) / 2
    assert told["label_jaccard"] == 0.5  # (1/2 + 1 + 0) / 3
    assert told["well_formed"] == 0.0


def test_the_axis_error_goes_the_short_way_round():
    told = summarise(run_of(case("axis -175 degrees", ("sinus rhythm",))))["signal"]
    assert told["axis_deg_mae"] == 10.0


def test_the_constant_answer_gives_the_median_and_the_usual_labels():
    run = run_of(
        case("", ("sinus rhythm", "normal ecg"), hr_bpm=60.0),
        case("", ("sinus rhythm", "normal ecg"), hr_bpm=70.0),
        case("", ("atrial fibrillation",), hr_bpm=95.0),
    )
    told = summarise(run)["constant"]
    assert told["hr_bpm_mae"] == round((10 + 0 + 25) / 3, 2)
    assert told["hr_bpm_n"] == 3
    assert told["label_jaccard"] == round(2 / 3, 3)
    assert told["hr_bpm_r"] is None


def test_unmeasured_truth_is_left_out_not_counted_as_zero():
    told = summarise(run_of(case("PR interval 164 ms", ("x",), without=("pr_ms",))))["signal"]
    assert told["pr_ms_n"] == 0
    assert told["pr_ms_mae"] is None


def test_numbers_of_an_uncalibrated_record_are_not_judged_its_labels_are():
    run = run_of(case("Heart rate 72 bpm. Sinus rhythm.", ("sinus rhythm",), calibrated=False))
    told = summarise(run)["both"]
    assert (told["hr_bpm_n"], told["label_jaccard"]) == (0, 1.0)


def test_the_row_of_a_corpus_is_a_truth(assets):
    ecg = read_ecg(assets / "ecgs/A0002.hea")
    row = {
        "id": "ptbxl/1/0", "source": "ptbxl", "labels": ["sinus rhythm"], "calibrated": False,
        "text": "A reading.", "signal": pack_signal(ecg).tobytes(),
    }  # fmt: skip
    truth = truth_of_row(row)
    assert truth.labels == truth.measured.key == ("sinus rhythm",)
    assert (truth.source, truth.calibrated) == ("ptbxl", False)
    measured = measure(ecg)
    for name in ("hr_bpm", "pr_ms", "qt_ms"):  # the row's samples are rounded to microvolts
        assert truth.measured.numbers[name] == pytest.approx(getattr(measured, name), abs=1)
