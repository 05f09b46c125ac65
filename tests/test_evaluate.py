"""Measures of readings, on hand-made readings with hand-worked results."""

import pytest

from ecg_r1.evaluate import Case, jaccard, stated_numbers, summarise
from ecg_r1.reading import Reading

NUMBERS = {"hr_bpm": 70.0, "pr_ms": 160.0, "qrs_ms": 90.0, "qt_ms": 400.0, "axis_deg": 175.0}


def reading(text, diagnoses, *, well_formed=True):
    return Reading("signal", text=text, diagnoses=diagnoses, well_formed=well_formed, done=True)


def case(text, diagnoses, labels, **numbers):
    r = reading(text, diagnoses)
    return Case(NUMBERS | numbers, labels, dict.fromkeys(("signal", "image", "both"), r))


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
    cases = [
        case("Heart rate 72 bpm", ["sinus rhythm"], ("sinus rhythm", "normal ecg")),
        case("Heart rate 66 bpm", ["sinus rhythm"], ("sinus rhythm",)),
        case("no number", [], ("atrial fibrillation",)),
    ]
    told = summarise(cases)["signal"]
    assert told["hr_bpm_n"] == 2
    assert told["hr_bpm_mae"] == 3.0  # (2 + 4) / 2
    assert told["label_jaccard"] == 0.5  # (1/2 + 1 + 0) / 3
    assert told["well_formed"] == 1.0


def test_the_axis_error_goes_the_short_way_round():
    told = summarise([case("axis -175 degrees", [], ("sinus rhythm",))])["signal"]
    assert told["axis_deg_mae"] == 10.0


def test_the_constant_answer_gives_the_median_and_the_usual_labels():
    cases = [
        case("", [], ("sinus rhythm", "normal ecg"), hr_bpm=60.0),
        case("", [], ("sinus rhythm", "normal ecg"), hr_bpm=70.0),
        case("", [], ("atrial fibrillation",), hr_bpm=95.0),
    ]
    told = summarise(cases)["constant"]
    assert told["hr_bpm_mae"] == round((10 + 0 + 25) / 3, 2)
    assert told["label_jaccard"] == round(2 / 3, 3)
    assert told["hr_bpm_r"] is None


def test_unmeasured_truth_is_left_out_not_counted_as_zero():
    told = summarise([case("PR interval 164 ms", [], ("x",), pr_ms=float("nan"))])["signal"]
    assert told["pr_ms_n"] == 0
    assert told["pr_ms_mae"] is None
