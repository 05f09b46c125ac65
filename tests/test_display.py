"""Results in words: complete, in calm order, escaped once, and the same in text and HTML."""

import re
from dataclasses import replace

import numpy as np
import pytest

from ecg_r1.display import TEXT_WIDTH, account, account_text, headline, measured_html
from ecg_r1.ecg import ECG
from ecg_r1.measurement import Measurements
from ecg_r1.protocol import Finding, Findings, Urgency

EVIL = '<img src=x onerror="alert(1)">'


def finding(name, statement, met=True):
    return Finding(name, 1, statement, ("II",), 1.0, 1.0, "ms", met, "Guideline 2009")


ECG_ = ECG(np.zeros((12, 5000)), source="zeros", notes=("cut to the first 10 s",))
MEASURED = Measurements(
    hr_bpm=71.6,
    pr_ms=212.0,
    uncertainty={"hr_bpm": 0.3, "pr_ms": 10.6},
    unmeasurable={"axis_deg": "no net QRS area in leads I and aVF"},
    quality={"V4": "flat"},
)
FOUND = Findings(
    (
        finding("pr_long", "PR interval 212 ms (> 200 ms): first-degree AV block"),
        finding("vpaced", "Share of paced beats 0 (not >= 0.5): no pacing spikes", met=False),
        finding("p_tall", "P wave amplitude in II not judged: a tall P neither", met=None),
    ),
    ["first-degree av block"],
    {
        "low qrs voltage": "voltages mean nothing",
        "p_tall": "voltages mean nothing",
        "axis_left": "no axis",
    },
    {"first-degree av block": ("pr_long", "wide_escape")},
    {"first-degree av block": ("vpaced", "third-degree av block")},
    Urgency("prompt", ("first-degree av block with syncope",)),
)


def test_every_value_stands_with_its_uncertainty_or_its_reason():
    words = headline(MEASURED)
    assert words["Heart rate"] == "71.6 ± 0.3 bpm"
    assert words["PR interval"] == "212 ± 11 ms"
    assert words["QRS duration"] == "not measurable"
    assert words["QRS axis"] == "not measurable: no net QRS area in leads I and aVF"


def test_a_diagnosis_is_followed_back_to_numbers_and_to_what_was_excluded():
    (one,) = account(ECG_, MEASURED, FOUND).diagnoses
    assert one.support == (
        "PR interval 212 ms (> 200 ms): first-degree AV block",
        "wide escape",  # an inner step has a name, not a statement
    )
    assert one.excluded == ("pacing spikes", "third-degree av block")


def test_only_criteria_that_are_met_stand_among_them():
    (met,) = account(ECG_, MEASURED, FOUND).met
    assert met == "PR interval 212 ms (> 200 ms): first-degree AV block (Guideline 2009)"


def test_what_was_not_judged_is_told_once_for_each_reason():
    told = account(ECG_, MEASURED, FOUND).unjudged
    # Criteria only where no diagnosis hangs on the reason.
    assert told == ("low qrs voltage: voltages mean nothing", "axis left: no axis")


@pytest.mark.parametrize(
    ("level", "first"), [("immediate", "minutes"), ("prompt", "hours"), ("routine", "haste")]
)
def test_the_urgency_is_a_calm_sentence_with_its_reasons(level, first):
    found = replace(FOUND, urgency=Urgency(level, ("a reason",)))
    told = account(ECG_, MEASURED, found)
    assert told.urgency.startswith(level.capitalize())
    assert first in told.urgency
    for shown in (account_text(told), measured_html(ECG_, MEASURED, found)):
        assert "a reason" in shown
        assert told.urgency in shown


@pytest.mark.parametrize("kind", ["arms", "right leg", "chest order", "left leg"])
def test_a_suspected_lead_reversal_stands_above_everything(kind):
    measured = replace(MEASURED, reversal=kind)
    told = account(ECG_, measured, FOUND)
    assert "Suspected lead reversal" in told.warnings[0]
    assert kind.split()[0].rstrip("s") in told.warnings[0]
    for shown in (account_text(told), measured_html(ECG_, measured, FOUND)):
        flat = re.sub(r"\s+", " ", shown)
        assert flat.index("Suspected lead reversal") < flat.index("Heart rate")


def test_without_reversal_and_with_calibration_nothing_is_warned_of():
    assert account(ECG_, MEASURED, FOUND).warnings == ()


def test_an_uncalibrated_or_unmeasurable_record_says_so_first():
    bare = Measurements(unmeasurable={"hr_bpm": "no lead can be trusted"})
    told = account(replace(ECG_, calibrated=False), bare, Findings((), [], {}))
    assert "no lead can be trusted" in told.warnings[0]
    assert "not true millivolts" in told.warnings[1]
    assert "Nothing to name." in account_text(told)


def test_the_text_holds_everything_and_keeps_to_its_width():
    long = replace(ECG_, notes=(*ECG_.notes, "word " * 60))
    text = account_text(account(long, MEASURED, FOUND))
    assert TEXT_WIDTH - 5 < max(map(len, text.splitlines())) <= TEXT_WIDTH
    for part in (
        "not a diagnosis",
        "212 ± 11 ms",
        "excluded: pacing spikes, third-degree av block",
        "Guideline 2009",
        "V4: flat",
        "cut to the first 10 s",
        "voltages mean nothing",
    ):
        assert part in text


def test_nothing_from_a_file_reaches_the_page_unescaped():
    ecg = replace(ECG_, notes=(EVIL,))
    measured = replace(
        MEASURED,
        quality={"V1": EVIL},
        unmeasurable={"hr_bpm": EVIL},
        reversal=EVIL,
        hr_bpm=None,
    )
    found = Findings(
        (finding("a", EVIL), finding("b", EVIL, met=False)),
        [EVIL],
        {"x": EVIL, EVIL: "y"},
        {EVIL: ("a", EVIL)},
        {EVIL: ("b", EVIL)},
        Urgency("prompt", (EVIL,)),
    )
    page = measured_html(ecg, measured, found)
    assert "<img" not in page
    assert page.count("&lt;img") >= 10


def test_the_page_folds_support_under_each_diagnosis():
    page = measured_html(ECG_, MEASURED, FOUND)
    assert (
        "<summary>first-degree av block</summary><ul><li>PR interval 212 ms (&gt; 200" in page
    )
    assert "Excluded: pacing spikes, third-degree av block" in page
    assert "Not judged, and why" in page
    assert 'class="urgency prompt"' in page
