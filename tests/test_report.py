"""The grammar of a reading: parse and format are inverse, and no hostile text breaks them."""

import random
import time

import pytest

from ecg_r1.report import STEP_TITLES, TAGS, Report, format_report, parse_report

STEPS = {number: f"Finding {number}." for number in range(1, 7)}
REPORT = Report(STEPS, "A short summary.", ("atrial fibrillation", "st depression"))
TEXT = format_report(REPORT)
ALPHABET = [*"abcXYZ 019.,:*<>/&'\n-\u00e9\u2265", "**", "Step 3:", "<b>", "</", "**S"]


def swapped(text):
    return (
        text.replace("**Step 2:", "**Step x:")
        .replace("**Step 3:", "**Step 2:")
        .replace("**Step x:", "**Step 3:")
    )


def test_layout_is_the_papers():
    lines = TEXT.split("\n")
    assert lines[0] == "<think>"
    assert lines[1] == "**Step 1: Technical, Rate & Rhythm** Finding 1."
    assert lines[7:] == [
        "</think>",
        "A short summary.",
        "<answer>atrial fibrillation; st depression</answer>",
    ]


def random_text(rng):
    while True:
        text = "".join(rng.choices(ALPHABET, k=rng.randrange(1, 60))).strip()
        if text and not any(tag in text for tag in TAGS) and "**step" not in text.lower():
            return text


def test_parse_inverts_format_on_random_reports():
    rng = random.Random(0)
    for _ in range(1000):
        labels = tuple(
            "".join(rng.choices("abc -*>/0", k=rng.randrange(1, 12))).strip() or "x"
            for _ in range(rng.randrange(1, 5))
        )
        report = Report({n: random_text(rng) for n in STEP_TITLES}, random_text(rng), labels)
        try:
            text = format_report(report)
        except ValueError:  # "** step" and the like: refused, never mangled
            continue
        parsed = parse_report(text)
        assert parsed.well_formed, (parsed.problems, text)
        assert Report(parsed.steps, parsed.summary, tuple(parsed.diagnoses)) == report


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(TEXT.replace("**Step 3:", "**Step 2:"), "1, 2, 2, 4", id="duplicate"),
        pytest.param(
            TEXT.replace("**Step 4: Ischemia, Infarction & Mimics** Finding 4.\n", ""),
            "1, 2, 3, 5, 6",
            id="missing",
        ),
        pytest.param(swapped(TEXT), "1, 3, 2, 4", id="swapped"),
        pytest.param(
            "<answer>a</answer>" + TEXT.split("<answer>")[0],
            "not in the order",
            id="answer-first",
        ),
        pytest.param("Sure! " + TEXT, "before <think>", id="text-before"),
        pytest.param(TEXT + "<answer>b</answer>", "<answer> stands 2", id="two-answers"),
        pytest.param(TEXT + " Bye.", "after </answer>", id="text-after"),
        pytest.param(TEXT.split("<answer>")[0], "<answer> stands 0", id="no-answer"),
        pytest.param(
            TEXT.replace("atrial fibrillation; st depression", " "), "empty", id="blank"
        ),
        pytest.param(TEXT.replace("; ", ";; "), "empty label", id="double-semicolon"),
        pytest.param(TEXT.replace("A short summary.", ""), "summary", id="no-summary"),
        pytest.param(TEXT.replace("Finding 5.", ""), "step 5 is empty", id="empty-step"),
        pytest.param(TEXT.replace("<think>\n", "<think>\nHm. "), "first step", id="preface"),
        pytest.param(TEXT.replace("Electrolytes & QT", "QT"), "titled 'QT'", id="title"),
        pytest.param(TEXT.replace("</think>\n", ""), "</think> stands 0", id="think-unclosed"),
        pytest.param(
            TEXT.replace("Finding 6.", "F. <think>"), "<think> stands 2", id="two-think"
        ),
        pytest.param(
            TEXT.replace("A short summary.", "S. **Step 6: Final Medical Reasoning** F."),
            "after </think>",
            id="step-outside",
        ),
        pytest.param(TEXT.replace("**Step 6", "**Step 7"), "4, 5, 7", id="unknown-step"),
        pytest.param("", "<think> stands 0", id="nothing"),
    ],
)
def test_malformed_text_is_named_as_such(text, problem):
    parsed = parse_report(text)
    assert not parsed.well_formed
    assert any(problem in each for each in parsed.problems), parsed.problems


def test_title_may_differ_in_case_and_spelling():
    text = TEXT.replace("Ischemia, Infarction & Mimics", "ISCHAEMIA, infarction & mimics")
    assert parse_report(text).well_formed


def test_titles_are_no_step_text_and_the_first_of_two_equal_steps_counts():
    parsed = parse_report(TEXT.replace("**Step 3:", "**Step 2:"))
    assert parsed.steps[2] == "Finding 2."
    assert not any("Rhythm" in step for step in parsed.steps.values())


def test_a_seventh_step_is_no_step():
    assert sorted(parse_report(TEXT.replace("**Step 6", "**Step 7")).steps) == [1, 2, 3, 4, 5]


def test_labels_are_lower_case_and_stripped():
    text = TEXT.replace("atrial fibrillation; st", " Atrial  Fibrillation ;ST")
    assert parse_report(text).diagnoses == ["atrial  fibrillation", "st depression"]


def test_stream_shows_finished_parts_only():
    seen = [parse_report(TEXT[:end]) for end in range(len(TEXT) + 1)]
    for parsed in seen:
        for number, step in parsed.steps.items():
            assert STEPS[number].startswith(step)
        assert REPORT.summary.startswith(parsed.summary)
        assert tuple(parsed.diagnoses) == REPORT.diagnoses[: len(parsed.diagnoses)]
    counts = [len(parsed.steps) for parsed in seen]
    assert counts == sorted(counts)
    assert [parsed.well_formed for parsed in seen] == [False] * len(TEXT) + [True]


@pytest.mark.parametrize(
    "text",
    [
        "<think>" * 5000 + "x" * 65_000,
        "<answer>" * 12_500,
        "**Step 1: a" * 9000,
        "**Step 1:" * 11_000,
        "**Step 1: t** " * 7000,
        "**Step" + " " * 100_000,
        "**Step 1:" + "\t" * 100_000,
        "**Step 1" + " " * 100_000,
        "**Step " + "1" * 100_000,
        "*" * 100_000,
        "<" * 100_000,
        "<answer>" + ";" * 100_000,
    ],
    ids=lambda text: text[:14],
)
def test_hostile_text_costs_milliseconds(text):
    start = time.process_time()
    assert not parse_report(text).well_formed
    assert time.process_time() - start < 0.05


@pytest.mark.parametrize(
    ("change", "quoted"),
    [
        ({"steps": {**STEPS, 2: "a <answer> b"}}, "a <answer> b"),
        ({"steps": {**STEPS, 2: "see **Step 3: x"}}, "see \\*\\*Step 3: x"),
        ({"steps": {**STEPS, 2: " padded"}}, "' padded'"),
        ({"steps": {1: "only one"}}, r"\[1\]"),
        ({"summary": ""}, "summary .*''"),
        ({"diagnoses": ()}, "at least one"),
        ({"diagnoses": ("a; b",)}, "'a; b'"),
        ({"diagnoses": ("a<b",)}, "'a<b'"),
        ({"diagnoses": ("Upper",)}, "'Upper'"),
    ],
)
def test_format_refuses_what_would_not_read_back(change, quoted):
    fields = {"steps": STEPS, "summary": "S.", "diagnoses": ("a",)} | change
    with pytest.raises(ValueError, match=quoted):
        format_report(Report(**fields))
