"""Planted errors: by hand-written sentences, each kind where it must and must not go."""

import ast
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import plants
from benchmarks.plant_places import leads_in, numbers
from benchmarks.plants import KINDS, plant, plant_each

READING = """<think>
**Step 1: Technical, Rate & Rhythm** Heart rate 72 bpm, RR intervals regular. P waves precede \
the QRS complexes. Rhythm: sinus rhythm.
**Step 2: Conduction, Axis & Intervals** PR interval 0.164 s (normal, 120 to 200). QRS \
duration 149 ms (upper limit 110 ms). Axis -72\u00b0. Conduction: right bundle branch block.
**Step 3: Chamber Hypertrophy & Voltage** S in V1 4 mm and R in V5 12 mm, together 16 mm.
**Step 4: Ischemia, Infarction & Mimics** T wave inversion in V2 and V3. No ST elevation, ST \
depression or pathological Q waves.
**Step 5: Electrolytes & QT** QT 425 ms, QTc 450 ms.
**Step 6: Final Medical Reasoning** Sinus rhythm with right bundle branch block.
</think>
Right bundle branch block.
<answer>sinus rhythm; right bundle branch block</answer>"""
DRAWS = 60


def draws(text: str, kind: str) -> list[tuple[str, str]]:
    """Many errors of one kind in one text; none where it has no place."""
    found = [plant(text, kind, np.random.default_rng(seed)) for seed in range(DRAWS)]
    return [one for one in found if one is not None]


def texts(text: str, kind: str) -> set[str]:
    return {planted for planted, _ in draws(text, kind)}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_changes_one_place_of_a_whole_reading(kind):
    changed = draws(READING, kind)
    assert len(changed) == DRAWS
    for planted, what in changed:
        start = next(
            i for i, (a, b) in enumerate(zip(READING, planted, strict=False)) if a != b
        )
        back = zip(reversed(READING), reversed(planted), strict=False)
        end = next(i for i, (a, b) in enumerate(back) if a != b)
        assert what
        assert "Step" not in READING[start : len(READING) - end]
        assert planted.count("**Step") == 6
        assert planted.count("\n") == READING.count("\n")


def test_the_same_stream_of_chance_plants_the_same():
    first, second = (plant_each(READING, np.random.default_rng(5)) for _ in range(2))
    assert first == second


def test_the_kinds_without_a_place_are_named():
    planted, homeless = plant_each("QTc 402 ms.", np.random.default_rng(0))
    assert set(planted) == {"wrong number", "impossible unit"}
    assert homeless == ("wrong lead", "negated finding", "swapped diagnosis")


def test_an_unknown_kind_is_refused_by_name():
    with pytest.raises(ValueError, match="'typo' is no kind of error"):
        plant("QTc 402 ms.", "typo", np.random.default_rng(0))


def test_the_verifier_shares_no_code_with_the_plants():
    for path in Path(plants.__file__).parent.glob("plant*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.startswith("ecg_r1")]


# --- numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("The heart rate is 72 bpm.", 11),
        ("The atria beat at 300 beats per minute.", 30),
        ("PR 164 ms.", 41),
        ("The QRS complex lasts 90 ms.", 41),
        ("QT is 380 ms.", 61),
        ("A QTc (Fridericia) of 404 ms.", 61),
        ("Frontal axis 50 degrees.", 51),
        ("S in V1 measures 12 mm.", 7.2),
        ("The Sokolow-Lyon sum is 3.1 mV.", 1.86),
        ("The ST level in V2 is 0.11 mV.", 0.2),
    ],
)
def test_a_wrong_number_is_far_outside_the_tolerance(text, least):
    [right] = numbers(text)
    changed = [numbers(planted)[0] for planted in texts(text, "wrong number")]
    assert len(changed) > 5
    for wrong in changed:
        error = abs(float(wrong.digits) - float(right.digits))
        error = min(error, 360 - error) if right.quantity == "axis" else error
        assert error >= least
        assert wrong.quantity == right.quantity


@pytest.mark.parametrize("text", ["PR 200 ms.", "Rate 90 bpm.", "R in V5 is 14 mm."])
def test_numbers_are_wrong_both_ways(text):
    [right] = numbers(text)
    signs = {
        np.sign(float(numbers(planted)[0].digits) - float(right.digits))
        for planted in texts(text, "wrong number")
    }
    assert signs == {-1, 1}


@pytest.mark.parametrize(
    ("text", "like"),
    [
        ("PR 0.164 s.", r"PR 0\.\d{3} s\."),
        ("PQ 0,16 s.", r"PQ 0,\d\d s\."),
        ("Axis \u221240\u00b0.", "Axis \u2212?\\d+\u00b0\\."),
        ("Axis +40\u00b0.", r"Axis [+-]?\d+\u00b0\."),
        ("T in V4 is -0.3 mV.", r"T in V4 is -\d\.\d mV\."),
        ("S in V1 is 0 mV.", r"S in V1 is 0\.[4-8] mV\."),
    ],
)
def test_a_wrong_number_is_written_as_the_right_one(text, like):
    changed = texts(text, "wrong number")
    assert len(changed) > 1
    for planted in changed:
        assert re.fullmatch(like, planted), planted


@pytest.mark.parametrize(
    "text",
    [
        "PR is normal (normal range 120 to 200 ms).",
        "QTc below 450 ms.",
        "QRS > 120 ms.",
        "RR intervals range from 700 to 900 ms.",
        "The rate is 70-75 bpm.",
        "PR 0.16 to 0.18 s.",
        "If the PR were 240 ms, this would be a block.",
        "Paper speed 25 mm/s, gain 10 mm/mV.",
        "The P wave lasts 110 ms.",
        "**Step 2: PR 160 ms**",
    ],
)
@pytest.mark.parametrize("kind", ["wrong number", "impossible unit"])
def test_limits_ranges_and_general_words_stay(text, kind):
    assert not texts(text, kind)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Rate 72 bpm.", {"Rate 72 ms.", "Rate 72 degrees."}),
        ("QRS 90 ms.", {"QRS 90 bpm.", "QRS 90 mV."}),
        ("PR 0.16 s.", {"PR 0.16 bpm.", "PR 0.16 mV."}),
        ("Axis 40\u00b0.", {"Axis 40 bpm.", "Axis 40 ms."}),
        ("S in V1 12 mm.", {"S in V1 12 bpm.", "S in V1 12 degrees."}),
        ("R in V5 1.2 mV.", {"R in V5 1.2 bpm.", "R in V5 1.2 ms."}),
    ],
)
def test_an_impossible_unit_keeps_the_number(text, expected):
    assert texts(text, "impossible unit") == expected


# --- leads ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "leads"),
    [
        ("II, III and aVF", {"II", "III", "aVF"}),
        ("V2-V4", {"V2", "V3", "V4"}),
        ("V1 to V3 and I", {"I", "V1", "V2", "V3"}),
        ("the high lateral leads", {"I", "aVL"}),
        ("IV access", set()),
    ],
)
def test_leads_are_read(words, leads):
    assert leads_in(words) == leads


@pytest.mark.parametrize(
    "text",
    [
        "ST elevation in II, III and aVF.",
        "There is ST depression in V4-V6.",
        "The inferior leads show T wave inversion.",
        "Pathological Q waves are present in V3 and V4.",
    ],
)
def test_a_wrong_lead_shares_no_lead_with_the_right_ones(text):
    planted = texts(text, "wrong lead")
    assert planted
    assert not [one for one in planted if leads_in(one) & leads_in(text)]
    assert all(leads_in(one) for one in planted)


def test_other_sentences_on_the_finding_keep_their_leads():
    text = "ST depression in II, III and aVF. ST depression is also seen in V5."
    changed = texts(text, "wrong lead")
    assert changed
    for planted in changed:  # only the anterior wall is free
        assert leads_in(planted) & {"V1", "V2", "V3", "V4"}


@pytest.mark.parametrize(
    "text",
    [
        "No ST elevation in V2-V4.",
        "Possible ST depression in V5.",
        "ST depression in II and Q waves in III.",  # not plain which leads are whose
        "The axis follows from the net area in I and aVF.",
        "ST elevation in II, V2 and V6. ST elevation in I.",  # every wall is named
    ],
)
def test_no_wrong_lead_where_it_would_be_no_plain_error(text):
    assert not texts(text, "wrong lead")


def test_leads_that_show_something_of_a_finding_are_no_wrong_leads():
    leads = pd.DataFrame(
        {"st_mv": [-0.03, 0.2, -0.1], "r_mv": [0.1, np.nan, 0.4]}, index=["V6", "V3", "aVR"]
    )
    shown = plants.leads_showing(leads)
    assert shown == {
        "ST elevation": {"V3"},
        "ST depression": {"V6", "aVR"},
        "R": {"aVR"},
    }
    rng = np.random.default_rng(0)
    for text in ("ST depression in V3 and V4.", "The anterior leads show ST depression."):
        planted, _ = plant(text, "wrong lead", rng, shown=shown)
        assert leads_in(planted) <= {"II", "III", "aVF"}
    assert plant("R in V5 is 18 mm.", "wrong lead", rng, shown=shown) is None


def test_a_tall_r_of_v5_is_said_of_avr():
    assert texts("R in V5 is 18 mm.", "wrong lead") == {"R in aVR is 18 mm."}
    assert not texts("R in V5 is 3 mm.", "wrong lead")


# --- findings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("There is ST elevation in V2.", {"There is no ST elevation in V2."}),
        ("T wave inversion in V2 and V3.", {"No T wave inversion in V2 and V3."}),
        ("A delta wave is present.", {"A delta wave is not present."}),
        ("The lateral leads show ST depression.", {"The lateral leads show no ST depression."}),
        ("P waves precede the QRS complexes.", {"P waves do not precede the QRS complexes."}),
        ("RR intervals are regular.", {"RR intervals are irregular."}),
        ("RR intervals are irregularly irregular.", {"RR intervals are regular."}),
        ("No delta waves.", {"There are delta waves."}),
        ("There is no sign of pericarditis.", {"There is pericarditis."}),
        ("P waves are absent.", {"P waves are present."}),
        ("Nothing suggests atrial flutter.", {"There is atrial flutter."}),
        ("Hyperkalaemia is ruled out by flat T waves.", {"Hyperkalaemia is present."}),
        (
            "No ST elevation or ST depression.",
            {
                "No ST elevation. There is ST depression.",
                "No ST depression. There is ST elevation.",
            },
        ),
        (
            "No ST elevation in the inferior leads.",
            {"There is ST elevation in the inferior leads."},
        ),
    ],
)
def test_a_finding_is_denied_or_its_denial_dropped(text, expected):
    assert texts(text, "negated finding") == expected


@pytest.mark.parametrize(
    "text",
    [
        "Possible ST depression is seen.",
        "It cannot be judged whether there is ST elevation.",
        "If there is ST elevation, call the laboratory.",
        "The overall impression is right axis deviation.\nThere is right axis deviation.",
    ],
)
def test_hedges_and_what_was_not_measured_are_not_negated(text):
    assert not texts(text, "negated finding")


# --- diagnoses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Left axis deviation.", {"Right axis deviation."}),
        ("SINUS BRADYCARDIA", {"SINUS TACHYCARDIA", "ATRIAL FIBRILLATION"}),
        (
            "Incomplete right bundle branch block is present.",
            {"Left bundle branch block is present.", "Paced rhythm is present."},
        ),
        (
            "<answer>sinus rhythm; lateral myocardial infarction</answer>",
            {
                f"<answer>{rhythm}; lateral myocardial infarction</answer>"
                for rhythm in ("atrial fibrillation", "atrial flutter",
                               "ventricular tachycardia")
            }
            | {
                f"<answer>sinus rhythm; {wall} myocardial infarction</answer>"
                for wall in ("inferior", "anterior")
            },
        ),
    ],
)  # fmt: skip
def test_a_diagnosis_is_swapped_for_another(text, expected):
    assert texts(text, "swapped diagnosis") == expected


def test_no_diagnosis_that_the_text_names_is_swapped_in():
    text = "Sinus rhythm. No atrial fibrillation, no atrial flutter."
    assert texts(text, "swapped diagnosis") == {
        "Ventricular tachycardia. No atrial fibrillation, no atrial flutter."
    }


@pytest.mark.parametrize(
    "text",
    ["No left bundle branch block.", "Possible pericarditis.", "Atrial flutter is excluded."],
)
def test_denied_and_hedged_diagnoses_stay(text):
    assert not texts(text, "swapped diagnosis")


def test_every_partner_is_a_diagnosis_and_none_is_itself():
    assert set(plants.PARTNERS) == set(plants.DIAGNOSES)
    for name, partners in plants.PARTNERS.items():
        assert partners
        assert name not in partners
        assert set(partners) <= set(plants.DIAGNOSES)
