"""What a reading has to say, and what happens where answer key and record disagree."""

import ast
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from ecg_r1.claims.facts import Facts
from ecg_r1.claims.judge import judge
from ecg_r1.corpus.plan import PlanError, make_plan
from ecg_r1.corpus.prompt import messages
from ecg_r1.corpus.statement import Plan
from ecg_r1.ecg import LEADS, read_ecg
from ecg_r1.labels import labels_from_scp
from ecg_r1.measurement import Measurements, measure
from ecg_r1.measurement.values import LEAD_COLUMNS
from ecg_r1.protocol import apply_protocol
from ecg_r1.simulate import simulate
from ecg_r1.simulate.population import spec_of

PTBXL = ROOT.parent / "shared" / "data" / "ptbxl"


def table(**columns):
    """Leads of a healthy heart; `columns` sets a column, for all leads or by lead."""
    plain = {
        "p_mv": 0.1, "p_ms": 100.0, "r_mv": 0.8, "s_mv": -0.4, "s_ms": 20.0, "t_mv": 0.25,
        "t_ms": 210.0, "j_mv": 0.0, "st_mv": 0.0, "st80_mv": 0.0, "rsr": 0.0, "delta_ms": 10.0,
        "u_mv": 0.0, "pr_level_mv": 0.0, "qrs_ms": 90.0, "r_ms": 40.0,
    }  # fmt: skip
    leads = pd.DataFrame(np.nan, index=pd.Index(LEADS, name="lead"), columns=LEAD_COLUMNS)
    for name, value in plain.items():
        leads[name] = value
    leads.loc["aVR", ["p_mv", "t_mv"]] = -0.1
    leads.loc["aVR", ["r_mv", "s_mv"]] = [0.1, -0.8]
    leads.loc["V1", ["r_mv", "s_mv"]] = [0.2, -1.0]
    for name, value in columns.items():
        if isinstance(value, dict):
            for lead, one in value.items():
                leads.loc[lead, name] = one
        else:
            leads[name] = value
    return leads


def healthy(leads=None, **values):
    """Hand-made measurements of a healthy heart."""
    plain = {
        "hr_bpm": 72.0, "pr_ms": 160.0, "qrs_ms": 90.0, "qt_ms": 380.0, "qtc_ms": 404.0,
        "axis_deg": 45.0, "p_present": True, "regular": True, "rr_ms": (833.0,) * 11,
        "n_wide_premature": 0, "n_narrow_premature": 0, "av_relation": "constant",
        "atrial_bpm": 72.0, "transition_lead": "V3", "rpeaks": np.arange(12) * 416,
        "p_times": np.arange(12) * 416 - 80, "grouped": False,
    }  # fmt: skip
    return Measurements(leads=table() if leads is None else leads, **(plain | values))


def plan_of(m, *labels, **options):
    findings = apply_protocol(
        m, age_years=50, sex="male", calibrated=options.get("calibrated", True)
    )
    return make_plan(m, findings, labels, **options)


def said(plan, name, step=None):
    found = [
        one
        for one in plan.statements
        if one.claim.name == name and one.claim.step == (step or one.claim.step)
    ]
    assert found, f"{name} is not in the plan"
    return found[0]


def names(plan, how="stated", polarity="present"):
    return {
        one.claim.name
        for one in plan.statements
        if one.how == how and one.claim.polarity == polarity
    }


# --- what is said -----------------------------------------------------------------------------


def test_a_healthy_heart():
    plan = plan_of(healthy(), "sinus rhythm", "normal ecg")
    assert said(plan, "hr_bpm").claim.value == 72
    assert said(plan, "pr_ms").claim.qualifier == "normal"
    # S 1.0 mV in V1 and R 0.8 mV in V5 or V6.
    assert said(plan, "sokolow_mv").claim.value == pytest.approx(1.8)
    denied = names(plan, polarity="absent")
    assert {"st elevation", "st depression", "t wave inversion", "q waves"} <= denied
    assert {"atrial fibrillation", "left bundle branch block", "pericarditis"} <= denied
    assert plan.left_out == ()


def test_every_required_statement_knows_its_step_and_numbers_know_their_limits():
    plan = plan_of(healthy(), "sinus rhythm", "normal ecg")
    for number, statements in plan.steps.items():
        assert all(one.claim.step == number for one in statements)
    pr = said(plan, "pr_ms")
    assert pr.limits == (120, 200)
    assert "2008" in pr.source


@pytest.mark.parametrize(
    ("name", "value", "shown", "word"),
    [
        ("pr_ms", 200.4, 200, "normal"),
        ("pr_ms", 200.6, 201, "prolonged"),
        ("pr_ms", 119.4, 119, "short"),
        ("qrs_ms", 110.4, 110, "normal"),
        ("qrs_ms", 110.6, 111, "borderline"),
        ("qrs_ms", 119.6, 120, "wide"),
        ("axis_deg", 90.4, 90, "normal"),
        ("axis_deg", -30.6, -31, "left"),
        ("axis_deg", -91.0, -91, "extreme"),
        ("qtc_ms", 449.4, 449, "normal"),
        ("qtc_ms", 449.6, 450, "prolonged"),  # a man's limit
        ("qtc_ms", 520.0, 520, "severely prolonged"),
        ("hr_bpm", 59.4, 59, "slow"),
        ("hr_bpm", 100.6, 101, "fast"),
    ],
)
def test_a_verdict_fits_the_number_that_is_shown(name, value, shown, word):
    claim = said(plan_of(healthy(**{name: value}), "left ventricular hypertrophy"), name).claim
    assert (claim.value, claim.qualifier) == (shown, word)


def test_between_the_limits_of_men_and_women_qtc_is_borderline():
    m = healthy(qtc_ms=455.0)
    plan = make_plan(m, apply_protocol(m), ("sinus rhythm",))
    assert said(plan, "qtc_ms").claim.qualifier == "borderline"


def test_st_elevation_names_its_leads_and_the_diagnosis_names_it():
    raised = dict.fromkeys(("II", "III", "aVF"), 0.3)
    leads = table(j_mv=raised, st_mv=raised, st80_mv=raised)
    plan = plan_of(healthy(leads), "inferior myocardial infarction", "st elevation")
    assert said(plan, "st elevation").claim.leads == ("II", "III", "aVF")
    infarction = said(plan, "inferior myocardial infarction")
    assert infarction.how == "stated"
    assert [claim.name for claim in infarction.because] == ["st elevation"]
    assert "myocardial infarction" not in names(plan, polarity="absent")
    assert plan.urgency == "immediate"


def test_what_was_not_measured_is_unknown_with_a_reason():
    m = healthy(pr_ms=None, unmeasurable={"pr_ms": "no P onset in three leads"})
    pr = said(plan_of(m, "sinus rhythm"), "pr_ms")
    assert pr.how == "unknown"
    assert pr.reason
    assert pr.claim.value is None
    assert "first-degree av block" not in names(plan_of(m, "sinus rhythm"), polarity="absent")


def test_an_uncalibrated_record_has_no_word_of_voltage_or_st():
    plan = plan_of(healthy(), "sinus rhythm", "left ventricular hypertrophy", calibrated=False)
    voltage = {"voltage"}
    findings = {"st elevation", "st depression", "t wave inversion", "q waves", "u waves"}
    for one in plan.statements:
        for claim in (one.claim, *one.because):
            assert claim.kind not in voltage
            assert claim.name not in findings
    assert said(plan, "uncalibrated", step=3)
    assert said(plan, "uncalibrated", step=4)


def test_a_report_gives_a_warning_of_quality_and_none_of_its_words():
    m = healthy()
    plan = make_plan(m, apply_protocol(m), ("sinus rhythm",), report="XYZZY, EKG verwackelt")
    assert said(plan, "noise").claim.polarity == "possible"
    assert "XYZZY" not in json.dumps(plan.to_json())
    assert "XYZZY" not in str(messages(plan))
    quiet = make_plan(m, apply_protocol(m), ("sinus rhythm",), report="XYZZY")
    assert "noise" not in {one.claim.name for one in quiet.statements}


# --- key against record -----------------------------------------------------------------------


def test_hypertrophy_without_voltages_is_the_overall_impression():
    plan = plan_of(healthy(), "sinus rhythm", "left ventricular hypertrophy")
    label = said(plan, "left ventricular hypertrophy")
    assert (label.how, label.reason) == ("unconfirmed", "the measured voltages")
    assert "left ventricular hypertrophy" not in names(plan, polarity="absent")
    total = said(plan, "sokolow_mv")
    assert (total.claim.value, total.claim.qualifier, total.limits) == (1.8, None, None)
    assert any("left ventricular hypertrophy unconfirmed" in one for one in plan.left_out)


def test_hypertrophy_rests_on_the_voltage_that_was_met():
    # 1.4 mV in aVL and 1.6 mV in V3; the Sokolow-Lyon sum stays at 1.8 mV.
    leads = table(r_mv={"aVL": 1.4}, s_mv={"V3": -1.6})
    plan = plan_of(healthy(leads), "sinus rhythm", "left ventricular hypertrophy")
    label = said(plan, "left ventricular hypertrophy")
    cornell = said(plan, "cornell_mv")
    assert "cornell_mv" in {one.name for one in label.because}
    assert "sokolow_mv" not in {one.name for one in label.because}
    assert cornell.claim.value == pytest.approx(3.0)
    assert (cornell.claim.qualifier, cornell.limits) == ("high", (None, 2.8))
    normal = plan_of(healthy(leads), "sinus rhythm", "normal ecg")
    assert "cornell_mv" not in names(normal)


def test_a_left_bundle_branch_block_has_no_voltage_criteria_and_no_q_waves():
    leads = table(r_mv={"V1": np.nan}, q_mv={"V1": -1.2, "V2": -1.0}, q_ms={"V1": 90, "V2": 80})
    plan = plan_of(healthy(leads, qrs_ms=140.0), "sinus rhythm", "left bundle branch block")
    assert said(plan, "sokolow_mv").how == "unknown"
    assert "q waves" not in {one.claim.name for one in plan.statements}
    assert "left ventricular hypertrophy" not in names(plan, polarity="absent")


def test_prolonged_qt_in_the_key_is_not_called_normal():
    plan = plan_of(healthy(), "sinus rhythm", "prolonged qt interval")
    assert said(plan, "qtc_ms").claim.qualifier is None
    assert said(plan, "prolonged qt interval").how == "unconfirmed"


def test_infarction_without_its_signs_does_not_deny_them():
    plan = plan_of(healthy(), "sinus rhythm", "anterior myocardial infarction")
    denied = names(plan, polarity="absent")
    assert not denied & {"q waves", "st elevation", "myocardial infarction"}
    assert "st depression" in denied


def test_lack_of_p_waves_in_sinus_rhythm_is_unknown_and_not_denied():
    m = healthy(p_present=False, pr_ms=None, p_times=np.zeros(0, int), av_relation=None)
    plan = plan_of(m, "sinus rhythm")
    assert said(plan, "p waves").how == "unknown"
    assert "p waves" not in names(plan, polarity="absent")
    assert said(plan, "sinus rhythm").how == "unconfirmed"


def test_p_waves_in_irregular_fibrillation_are_left_out():
    m = healthy(regular=False, av_relation="variable")
    plan = plan_of(m, "atrial fibrillation")
    assert "p waves" not in {one.claim.name for one in plan.steps[1]}
    assert said(plan, "pr_ms").how == "unknown"


def test_a_normal_ecg_with_a_pr_just_too_long_keeps_the_number_without_a_verdict():
    claim = said(plan_of(healthy(pr_ms=208.0), "sinus rhythm", "normal ecg"), "pr_ms").claim
    assert (claim.value, claim.qualifier) == (208, None)


@pytest.mark.parametrize(
    ("values", "labels", "part"),
    [
        (
            {"p_present": False, "regular": False, "pr_ms": None, "av_relation": None},
            ("sinus rhythm",),
            "irregular without P waves",
        ),
        ({}, ("atrial fibrillation",), "P wave before each QRS"),
        ({"hr_bpm": 88.0}, ("sinus bradycardia",), "88 bpm"),
        ({"hr_bpm": 80.0}, ("sinus tachycardia",), "80 bpm"),
        ({"pr_ms": 240.0}, ("sinus rhythm", "normal ecg"), "240"),
        ({"hr_bpm": 150.0}, ("ventricular tachycardia",), "narrow QRS of 90 ms"),
    ],
)
def test_a_contradicted_rhythm_makes_no_plan(values, labels, part):
    with pytest.raises(PlanError, match=part) as refused:
        plan_of(healthy(**values), *labels)
    assert labels[-1] in str(refused.value)


def test_a_rate_that_misses_a_label_by_little_makes_a_plan_without_a_verdict():
    claim = said(plan_of(healthy(hr_bpm=62.0), "sinus bradycardia"), "hr_bpm").claim
    assert (claim.value, claim.qualifier) == (62, None)


def test_no_label_no_plan():
    m = healthy()
    with pytest.raises(ValueError, match="at least one label"):
        make_plan(m, apply_protocol(m), ())


# --- laws over many records -------------------------------------------------------------------

_CONDITIONS = (
    {}, {"rhythm": "atrial fibrillation"}, {"rhythm": "atrial flutter, variable block"},
    {"rhythm": "Mobitz I"}, {"rhythm": "ventricular pacing"},
    {"rhythm": "complete AV block, ventricular escape"}, {"ectopy": "uniform PVC"},
    {"conduction": "LBBB"}, {"conduction": "RBBB and LAFB"}, {"conduction": "WPW"},
    {"muscle": "LVH with strain"}, {"muscle": "acute inferior infarction"},
    {"muscle": "pericarditis"}, {"muscle": "low voltage"},
    {"substance": "severe hyperkalaemia"}, {"substance": "long QT"},
)  # fmt: skip


@pytest.fixture(scope="module")
def cases():
    """(measurements, findings, labels) of simulated patients, contradictions left out."""
    found = []
    for index, groups in enumerate(_CONDITIONS):
        ecg = simulate(spec_of(groups, np.random.default_rng(index)), seed=index)
        m = measure(ecg)
        found.append((m, apply_protocol(m), ecg.truth.diagnoses))
    return found


def _plans(cases):
    for m, findings, labels in cases:
        try:
            yield m, findings, make_plan(m, findings, labels)
        except PlanError:
            continue


def test_plans_survive_json(cases):
    plans = [plan for _, _, plan in _plans(cases)]
    assert len(plans) >= 14
    for plan in plans:
        assert Plan.from_json(json.dumps(plan.to_json())) == plan


def test_nothing_of_the_key_or_of_the_findings_is_excluded(cases):
    for _, findings, plan in _plans(cases):
        excluded = {one.claim.name for one in plan.statements if one.claim.kind == "exclusion"}
        assert not excluded & set(plan.labels)
        assert not excluded & set(findings.diagnoses)


def test_nothing_is_both_said_and_denied(cases):
    for _, _, plan in _plans(cases):
        both = names(plan) & names(plan, polarity="absent")
        assert not both, (plan.labels, both)


def test_each_label_is_said_in_a_step_and_in_the_summary(cases):
    for _, _, plan in _plans(cases):
        for label in plan.labels:
            assert said(plan, label, step=7).required
            if label != "normal ecg":
                assert any(
                    one.claim.name == label for n in range(1, 6) for one in plan.steps[n]
                )


def _contradicted(plan, facts):
    claims = [
        claim
        for one in plan.statements
        if one.how == "stated"
        for claim in (one.claim, *one.because)
    ]
    return len(claims), [c for c in claims if judge(c, facts).verdict == "contradicted"]


def test_measurements_contradict_nothing_that_a_plan_states(cases):
    for m, findings, plan in _plans(cases):
        count, wrong = _contradicted(plan, Facts.of(m, findings, key=plan.labels))
        assert count > 50
        assert not wrong, (plan.labels, wrong)


@pytest.mark.skipif(not PTBXL.is_dir(), reason="shared/data/ptbxl is not here")
def test_on_ptbxl_few_records_are_refused_and_next_to_nothing_is_contradicted():
    rows = pd.read_csv(PTBXL / "ptbxl_database.csv").query("strat_fold <= 7").head(60)
    refused, claims, wrong = 0, 0, 0
    for row in rows.itertuples():
        labels = labels_from_scp(ast.literal_eval(row.scp_codes))
        path = PTBXL / row.filename_hr
        if not labels or not path.with_suffix(".hea").is_file():
            continue
        ecg = read_ecg(str(path))
        m = measure(ecg)
        findings = apply_protocol(m, age_years=ecg.age_years, sex=ecg.sex)
        try:
            plan = make_plan(m, findings, labels)
        except PlanError:
            refused += 1
            continue
        person = (ecg.age_years, ecg.sex)
        count, bad = _contradicted(plan, Facts.of(m, findings, key=labels, person=person))
        claims, wrong = claims + count, wrong + len(bad)
    assert refused <= 2
    assert claims > 3000
    assert wrong <= 0.002 * claims


def test_a_plan_is_plain_data_without_measurement_objects():
    plan = plan_of(healthy(), "sinus rhythm", "normal ecg")
    assert replace(plan, labels=plan.labels) == plan
    for one in plan.statements:
        assert one.claim.value is None or type(one.claim.value) in (int, float, tuple)
