"""Whole runs: readings kept and resumed, every reader, and measures on runs made by hand."""

import hashlib
import json
import subprocess
import sys
import threading
import types
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from conftest import ROOT
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from ecg_r1.__main__ import main
from ecg_r1.auditing import audit
from ecg_r1.claims.facts import Facts
from ecg_r1.corpus import pack_signal
from ecg_r1.corpus.endpoint import Endpoint, EndpointError
from ecg_r1.ecg import LEADS, ECGError, read_ecg
from ecg_r1.evaluate import conditions, modality, options, own, runner
from ecg_r1.evaluate.calibration import calibration
from ecg_r1.evaluate.compare import compare
from ecg_r1.evaluate.conditions import ARMS
from ecg_r1.evaluate.consistency import EMBEDDING_NAME, _embedder, consistency
from ecg_r1.evaluate.ecgbench import ecgbench
from ecg_r1.evaluate.evidence import evidence_following, first_wrong_step
from ecg_r1.evaluate.files import Readings, Row, Run, Truth, settle_run
from ecg_r1.evaluate.grounded import CRITERIA
from ecg_r1.evaluate.llm_judge import judge_run
from ecg_r1.evaluate.offline_judge import judge_offline
from ecg_r1.evaluate.page import _judged, _missing, load_results, write_page
from ecg_r1.evaluate.readers import (
    FORMAT,
    EndpointReader,
    ImageTextReader,
    ProtocolReader,
    Shown,
    Told,
    measurement_table,
)
from ecg_r1.evaluate.records import list_records, prepare
from ecg_r1.evaluate.stage_one import read_rows, stage_one, truth_of_row
from ecg_r1.evaluate.suite import SUITES, evaluate_run
from ecg_r1.page import draw_page
from ecg_r1.report import QUESTION

SHIPPED = f"cinc:{ROOT / 'assets/ecgs'}"


def forget_embeddings(monkeypatch):
    """As if the embedding model were not installed, also when an earlier test has loaded it."""
    _embedder.cache_clear()
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)


def truth(
    record, labels=("sinus rhythm",), *, patient=None, codes=(), source="ptbxl", **numbers
):
    facts = Facts(numbers={"hr_bpm": 70.0} | numbers, key=labels)
    return Truth(
        record,
        patient or record,
        {"source": source, "record": "nowhere"},
        labels,
        codes,
        json.loads(facts.to_json()),
        "",
        "",
    )


def answer(label, hr=70):
    return f"Heart rate {hr} bpm.\n<answer>{label}</answer>"


def run_of(truths, rows):
    return Run({}, {one.record: one for one in truths}, {row.key: row for row in rows})


# --- files ------------------------------------------------------------------------------------


def test_a_killed_run_loses_its_unfinished_line_only(tmp_path):
    path = tmp_path / "readings.jsonl"
    Readings(path).keep([Row("a", "signal", "clean", "text \u2013 one", scores={"x": -0.5})])
    with path.open("a") as file:
        file.write('{"record": "b", "arm": "sig')
    store = Readings(path)
    assert list(store.rows) == [("a", "signal", "clean")]
    store.keep([Row("b", "signal", "clean", "two")])
    assert Readings(path).rows["a", "signal", "clean"].scores == {"x": -0.5}
    assert ("b", "signal", "clean") in Readings(path)


def row_of(ecg, *labels):
    """A row of a corpus with what a report asks of it."""
    return {
        "id": "a", "signal": pack_signal(ecg).tobytes(), "calibrated": True, "source": "cinc",
        "labels": list(labels), "text": "",
    }  # fmt: skip


def test_a_record_of_a_corpus_that_lost_an_arm_to_a_kill_is_read_again(
    assets, tmp_path, monkeypatch
):
    asked, kept = [], tmp_path / "kept.jsonl"

    class Scripted:
        page = {"px_per_mm": 2.0}  # noqa: RUF012

        def __init__(self, _):
            pass

        def read(self, shown):
            asked.append([one.arm for one in shown])
            return [Told(one.arm) for one in shown]

    monkeypatch.setattr(own, "OwnReader", Scripted)
    ecg = read_ecg(assets / "ecgs/A0002.hea")
    row = row_of(ecg)
    read_rows([row], None, kept)
    kept.write_bytes(kept.read_bytes()[:-20])
    found = read_rows([row], None, kept)
    assert {key[1]: one.text for key, one in found.rows.items()} == {a: a for a in ARMS}
    read_rows([row], None, kept)
    assert asked == [list(ARMS)] * 2


def test_claims_on_a_record_of_a_corpus_are_checked_against_its_trace(assets):
    ecg = read_ecg(assets / "ecgs/A0002.hea")
    facts = truth_of_row(row_of(ecg, "atrial flutter")).measured
    assert facts.key == ("atrial flutter",)
    said = "QTc 900 ms. ST elevation in V2. Irregular rhythm."
    assert audit(said, facts).hallucination_rate == 1.0  # sinus rhythm, by the app's examples


def test_a_strange_line_is_quoted(tmp_path):
    path = tmp_path / "readings.jsonl"
    path.write_text('{"record": "a"}\n')
    with pytest.raises(ECGError, match=r'line 1 is none of ours.*\{"record": "a"\}'):
        Readings(path)


def test_another_seed_or_model_does_not_go_on_with_a_run(tmp_path):
    about = {"reader": {"name": "x"}, "data_hash": "1", "seed": 0, "commit": "c"}
    settle_run(tmp_path, about)
    settle_run(tmp_path, about)
    for name, value in (("seed", 1), ("data_hash", "2"), ("reader", {"name": "y"})):
        with pytest.raises(ECGError, match=f"a run with {name}"):
            settle_run(tmp_path, about | {name: value})


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(ECGError, match=r"holds no run\.json"):
        Run.load(tmp_path)


# --- records ----------------------------------------------------------------------------------


def test_limits_are_nested_and_follow_the_seed():
    few = {one.task.sample_id for one in list_records([SHIPPED], split=None, limit=2)}
    more = {one.task.sample_id for one in list_records([SHIPPED], split=None, limit=3)}
    assert few < more
    drawn = {
        frozenset(
            one.task.sample_id for one in list_records([SHIPPED], split=None, limit=2, seed=s)
        )
        for s in range(8)
    }
    assert len(drawn) > 1


def test_patients_and_codes_come_from_ptbxl(shared):
    found = list_records([f"ptbxl:{shared / 'data/ptbxl'}"])
    assert len(found) == 44  # raw records of fold 8, as the data's README says
    first = next(one for one in found if one.task.sample_id == "ptbxl/00012_hr/0")
    assert first.patient == "ptbxl 11031"
    assert first.codes == ("NORM", "SBRAD")


def test_no_records_say_what_to_do(tmp_path):
    with pytest.raises(ECGError, match="holds no record to report"):
        list_records(["simulated:3"])


# --- conditions -------------------------------------------------------------------------------


def test_nobody_stands_in_for_himself():
    keys = [str(k) for k in range(50)]
    swap = conditions.shuffled(keys, seed=3)
    assert sorted(swap) == sorted(swap.values()) == sorted(keys)
    assert all(a != b for a, b in swap.items())
    assert swap == conditions.shuffled(keys[::-1], seed=3)
    assert swap != conditions.shuffled(keys, seed=4)


def test_noise_keeps_einthoven_and_leads_are_lost_from_the_chest(assets):
    ecg = read_ecg(assets / "ecgs/A0002.hea")
    noisy = conditions.add_noise(ecg, np.random.default_rng(0))
    added = (noisy.signal - ecg.signal)[:6]
    assert added.std() > 0.05
    np.testing.assert_allclose(added[0] + added[2], added[1], atol=1e-5)
    fewer = conditions.lose_leads(ecg, np.random.default_rng(0))
    lost = [lead for lead, row in zip(LEADS, fewer.signal, strict=True) if np.isnan(row).all()]
    assert len(lost) == 3
    assert all(lead.startswith("V") for lead in lost)


# --- measures by hand -------------------------------------------------------------------------


def test_numbers_are_judged_on_calibrated_records_and_labels_on_all():
    real = truth("a", hr_bpm=60.0)
    other = truth("b", hr_bpm=80.0)
    other.facts["calibrated"] = False
    rows = [
        Row("a", "signal", "clean", answer("sinus rhythm", 63)),
        Row("b", "signal", "clean", answer("normal ecg", 10)),
    ]
    told = stage_one(run_of([real, other], rows), "signal")
    assert told["numbers"]["hr_bpm"]["mae"] == 3
    assert told["numbers"]["hr_bpm"]["n"] == 1
    assert told["numbers"]["hr_bpm"]["constant"]["answer"] == 60
    assert told["labels"]["jaccard"]["value"] == 0.5
    assert told["labels"]["per_label"]["normal ecg"] == {"f1": 0.0, "tp": 0, "fp": 1, "fn": 0}


def test_an_unstated_number_is_counted_and_not_an_error():
    told = stage_one(run_of([truth("a")], [Row("a", "signal", "clean", "no number")]), "signal")
    assert told["numbers"]["hr_bpm"]["unstated"] == 1
    assert told["numbers"]["hr_bpm"]["mae"] is None


def test_tokens_that_nobody_counted_and_failed_readings_are_no_zeros():
    rows = [
        Row("a", "signal", "clean", "x", n_tokens=10, seconds=2.0),
        Row("b", "signal", "clean", "x", seconds=4.0),
        Row("c", "signal", "clean", "", seconds=90.0, problem="HTTP 500"),
    ]
    told = stage_one(run_of([truth(name) for name in "abc"], rows), "signal")
    assert (told["tokens"], told["seconds"], told["failed"]) == (10, 3, 1)


def four_records():
    """The image arm is always wrong, the others are right."""
    truths = [truth(name) for name in "abcd"]
    rows = [
        Row(name, arm, "clean", answer("atrial flutter" if arm == "image" else "sinus rhythm"))
        for name in "abcd"
        for arm in ("signal", "image", "both")
    ]
    return truths, rows


def test_each_quarter_without_signal_costs_a_quarter():
    found = modality.missing_modality(run_of(*four_records()))
    curve = [
        found["signal"][ratio]["jaccard"]["value"] for ratio in ("0", "25", "50", "75", "100")
    ]
    assert curve == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert [one["jaccard"]["value"] for one in found["image"].values()] == [1.0] * 5


def test_a_change_on_any_paper_counts_once():
    truths, rows = four_records()
    rows += [
        Row(
            name,
            "image",
            paper,
            answer("sinus rhythm" if (name, paper) in changed else "atrial flutter"),
        )
        for changed in [{("a", "25/5"), ("a", "50/5"), ("b", "50/10")}]
        for name in "abcd"
        for paper in conditions.PAPERS[1:]
    ]
    assert modality.papers(run_of(truths, rows))["image"]["value"] == 0.5


def test_a_condition_is_compared_with_the_clean_readings_of_its_own_records():
    truths, rows = four_records()  # signal is right on all four
    rows[0] = Row("a", "signal", "clean", answer("atrial flutter", 100))
    rows += [Row(name, "signal", "noise", answer("atrial flutter", 75)) for name in "ab"]
    told = modality.robustness(run_of(truths, rows))["noise"]["arms"]["signal"]
    assert told["jaccard"]["value"] == 0
    assert told["clean"]["jaccard"] == {"value": 0.5, "ci": [0.0, 1.0], "n": 2}
    assert told["jaccard_change"]["value"] == -0.5
    assert (told["hr_mae"]["value"], told["clean"]["hr_mae"]["value"]) == (5, 15)


def test_runs_are_compared_record_by_record():
    truths, rows = four_records()
    better = [replace(row, text=answer("sinus rhythm", 72)) for row in rows[:9]]  # a, b and c
    told = compare(run_of(truths, rows), run_of(truths, better))
    assert told["signal"]["labels"] == {"value": 0.0, "ci": [0.0, 0.0], "n": 3}
    assert told["image"]["labels"] == {"value": 1.0, "ci": [1.0, 1.0], "n": 3}
    assert told["image"]["hr_error"]["value"] == 2.0  # 72 of 70, where 70 was told
    assert told["signal and image"]["findings"] == {"value": 1.0, "ci": [1.0, 1.0], "n": 3}
    assert compare(run_of(truths, rows[:1]), run_of(truths, rows[5:6])) == {}


def test_supplied_reasoning_is_compared_on_the_same_records():
    block = ("first-degree av block", "normal ecg")
    truths = [truth(name, block, pr_ms=230.0) for name in "abc"]
    for one in truths:
        one.facts["findings"] = {"p_present": [True, []], "pr_long": [True, []]}
    rows = [Row(name, "signal", "clean", answer(block[0])) for name in "bc"]
    rows += [Row("a", "signal", "clean", answer("sinus rhythm"))]
    rows += [Row(name, "signal", "reasoned", answer(block[0])) for name in "ab"]
    told = evidence_following(run_of(truths, rows), "signal")
    assert told["initial"]["value"] == pytest.approx(2 / 3, abs=1e-3)
    assert told["supplied"]["found"]["value"] == 1.0  # "normal ecg" is no walk
    assert told["supplied"]["unaided"]["value"] == 0.5
    assert told["supplied"]["jaccard"]["value"] == 0.5


def test_a_reader_that_looks_follows_the_shuffled_ecg():
    truths = [
        truth("a", ("sinus rhythm",), hr_bpm=60.0),
        truth("b", ("atrial flutter",), hr_bpm=90.0),
    ]
    looks = [
        Row("a", "signal", "shuffled", answer("atrial flutter", 90), shown="b"),
        Row("b", "signal", "shuffled", answer("sinus rhythm", 60), shown="a"),
        Row("a", "signal", "flat", "Nothing can be measured."),
    ]
    told = modality.control(run_of(truths, looks))["signal"]
    assert told["shuffled"]["shown"]["jaccard"]["value"] == 1
    assert told["shuffled"]["on_file"]["jaccard"]["value"] == 0
    assert told["shuffled"]["on_file"]["hr_mae"]["value"] == 30
    assert told["flat"]["states_rate"]["value"] == 0


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("Sinus rhythm.\n<answer>first-degree av block</answer>", "criterion"),
        ("PR 160 ms.\n<answer>first-degree av block</answer>", "finding"),
        ("PR 230 ms.\n<answer>sinus rhythm</answer>", "decision"),
        ("PR 230 ms.\n<answer>first-degree av block</answer>", None),
    ],
)
def test_the_walk_stops_at_the_first_wrong_step(text, step):
    met = {"p_present": (True, ()), "pr_long": (True, ())}
    facts = Facts(numbers={"pr_ms": 230.0}, findings=met)
    assert first_wrong_step(text, "first-degree av block", facts) == step


def test_a_diagnosis_without_evidence_is_no_walk():
    with pytest.raises(ValueError, match="nothing measured speaks for 'first-degree av block'"):
        first_wrong_step("", "first-degree av block", Facts(numbers={}))
    told = evidence_following(run_of([truth("a")], [Row("a", "signal", "clean", "")]), "signal")
    assert told["diagnoses"] == 0


def test_super_classes_use_the_codes_and_the_best_label_score():
    normal = {"normal ecg": -1.0, "inferior myocardial infarction": -5.0}
    infarct = {"normal ecg": -4.0, "inferior myocardial infarction": -0.1}
    truths, rows = [], []
    for k in range(5):  # as many as a class needs to count
        truths += [truth(f"a{k}", codes=("NORM", "SR")), truth(f"b{k}", codes=("IMI",))]
        told = answer("anterior myocardial infarction")
        rows += [
            Row(f"a{k}", "signal", "clean", answer("normal ecg"), scores=normal),
            Row(f"b{k}", "signal", "clean", told, scores=infarct),
        ]
    found = ecgbench(run_of(truths, rows), "signal", "ptbxl")
    assert found["f1"]["value"] == 100
    assert found["auc_from_scores"]["value"] == 100
    few = ecgbench(run_of(truths[:-1], rows), "signal", "ptbxl")["auc_from_scores"]
    assert list(few["classes"]) == ["NORM"]
    rows = [replace(row, record=row.record[0]) for row in rows[:2]]
    assert ecgbench(run_of([truth("a", codes=("SR",))], rows), "signal", "ptbxl") is None


def test_scores_that_sort_but_lie_are_mended_by_the_fitted_curve():
    truths = [
        truth(str(k), ("sinus rhythm",) if k % 2 else ("atrial flutter",)) for k in range(60)
    ]
    rows = [
        Row(str(k), "signal", "clean", "", scores={
            "sinus rhythm": -0.1 if k % 2 else -0.2, "atrial flutter": -9.0})
        for k in range(60)
    ]  # fmt: skip
    found = calibration(run_of(truths, rows), "signal")
    assert found["labels"] == 2
    assert found["fitted"]["ece"] < 0.3 < found["raw"]["ece"]


def test_the_offline_judge_prefers_the_truth():
    facts = Facts(
        numbers={"hr_bpm": 70.0, "pr_ms": 230.0},
        findings={"p_present": (True, ()), "pr_long": (True, ())},
        diagnoses=("sinus rhythm", "first-degree av block"),
    )
    labels = ("sinus rhythm", "first-degree av block")
    right = "Rate 70 bpm, PR 230 ms.\n<answer>sinus rhythm; first-degree av block</answer>"
    wrong = "Rate 110 bpm, PR 150 ms.\n<answer>sinus tachycardia</answer>"
    good, bad = judge_offline(right, facts, labels), judge_offline(wrong, facts, labels)
    assert set(good) == set(CRITERIA)
    assert good["DiagnosisAccuracy"] == [2, 2]
    assert good["GroundedECGUnderstanding"] == [100]
    assert bad["GroundedECGUnderstanding"] == [0]
    for name, (_, allowed) in CRITERIA.items():
        assert set(good[name]) | set(bad[name]) <= set(allowed)
        assert sum(good[name]) >= sum(bad[name])
    assert (
        judge_offline(right * 3, facts, labels)["AnalysisRelevance"]
        == good["AnalysisRelevance"]
    )


def test_leads_are_asked_for_where_a_diagnosis_rests_on_some():
    inferior = {"st_elevation_inferior": (True, ("II", "III", "aVF"))}
    raised = Facts(numbers={}, findings=inferior, diagnoses=("st elevation",))
    told = judge_offline("ST elevation.", raised, ("st elevation",))
    assert told["LeadEvidenceValidity"] == [0]
    usual = Facts(numbers={"hr_bpm": 70.0}, findings={"p_present": (True, ())})
    told = judge_offline("Sinus rhythm.", usual, ("sinus rhythm", "normal ecg"))
    assert told["LeadEvidenceValidity"] == []  # nothing to judge, which is no 0


def test_consistency_pairs_by_record_and_leaves_empty_texts_out(monkeypatch):
    forget_embeddings(monkeypatch)
    truths = [truth("a"), truth("b")]
    rows = [
        Row("b", "image", "clean", "No ST elevation."),
        Row("a", "image", "clean", "Sinus rhythm."),
        Row("a", "signal", "clean", "Sinus rhythm."),
        Row("b", "signal", "clean", ""),
    ]
    told = consistency(run_of(truths, rows))
    assert (told["records"], told["empty"]) == (1, 1)
    assert told["findings"]["value"] == 1.0


# --- our own model ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of nano on two shipped records under three conditions."""
    out = tmp_path_factory.mktemp("run")
    truths = prepare(list_records([SHIPPED], split=None, limit=2), out)
    names = ("clean", "shuffled", "reasoned")
    runner.run_reader(own.OwnReader("nano"), truths, out, conditions=names, batch=18)
    return out


def test_a_run_holds_every_reading_and_resumes_without_reading(folder, monkeypatch):
    run = Run.load(folder)
    assert len(run.rows) == 2 * 3 * 3
    before = (folder / "readings.jsonl").read_bytes()
    monkeypatch.setattr(own.OwnReader, "read", lambda *_: pytest.fail("read again"))
    names = ("clean", "shuffled", "reasoned")
    runner.run_reader(
        own.OwnReader("nano"), list(run.truths.values()), folder, conditions=names
    )
    assert (folder / "readings.jsonl").read_bytes() == before


def test_a_reading_does_not_depend_on_its_batch(folder):
    run = Run.load(folder)
    reader = own.OwnReader("nano")
    one = next(iter(run.truths.values()))
    job = runner.jobs_of([one], reader, ["clean"], seed=0)[0]
    (alone,) = runner._read(reader, [job], 0)
    kept = run.rows[job.key]
    assert alone.text == kept.text
    assert alone.scores == pytest.approx(kept.scores, abs=1e-3)


def test_a_shuffled_reading_is_the_clean_one_of_the_stand_in(folder):
    run = Run.load(folder)
    for arm in run.arms:
        for _, row in run.pairs(arm, "shuffled"):
            assert row.text == run.rows[row.shown, arm, "clean"].text


def test_supplied_reasoning_stands_before_the_conclusion(folder):
    run = Run.load(folder)
    for one, row in run.pairs("both", "reasoned"):
        head = one.reference.partition("</think>")[0]
        assert row.text.startswith(head)
        assert len(row.text) > len(head) + 10


def test_label_scores_equal_one_pass_over_each_label(folder):
    run = Run.load(folder)
    loaded = own.OwnReader("nano").loaded
    tokenizer = loaded.processor.tokenizer
    condition = conditions.CONDITIONS["clean"]
    one = next(iter(run.truths.values()))
    kept = run.rows[one.record, "signal", "clean"]
    ecg = runner.signal_of(one, condition, 0)
    prompt = own.prompts_of(loaded, [Shown(one.record, "signal", ecg=ecg)])
    head = kept.text[: kept.text.index(own.ANSWER) + len(own.ANSWER)]
    for label in ("sinus rhythm", "left ventricular hypertrophy"):
        ids = tokenizer(head + label, add_special_tokens=False)["input_ids"]
        tail = len(ids) - len(tokenizer(head, add_special_tokens=False)["input_ids"])
        whole = own.lengthened(prompt, [ids], tokenizer.pad_token_id)
        positions = torch.arange(whole["input_ids"].shape[1])[None, None].expand(3, 1, -1)
        with torch.inference_mode():
            logits = loaded.model(**whole, position_ids=positions).logits[0]
        told = logits.log_softmax(-1)[-tail - 1 : -1]
        expected = told.gather(1, whole["input_ids"][0, -tail:, None]).mean()
        assert kept.scores[label] == pytest.approx(float(expected), abs=1e-3)


def test_every_number_comes_from_the_files_alone(folder, tmp_path, monkeypatch):
    # Without the embedding model, which takes seconds to load; its measure says that it is out.
    forget_embeddings(monkeypatch)
    first = evaluate_run(folder)
    code = (
        "import sys; sys.modules['sentence_transformers'] = None; from pathlib import Path;"
        "from ecg_r1.evaluate.suite import evaluate_run;"
        f"evaluate_run(Path({str(folder)!r})); assert 'ecg_r1.loading' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    again = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert again == json.loads(json.dumps(first))
    assert "needs `pip install" in first["consistency"]["cosine"]["skipped"]
    assert first["run"]["reader"]["weights"]
    page = write_page([folder], tmp_path).read_text(encoding="utf-8")
    assert "nano, both, another's ECG" in page
    assert set(first["shuffled"]["both"]) == {"stage_one", "audit", "evidence"}
    assert first["run"]["data_hash"] in page
    assert (tmp_path / "missing_modality.png").is_file()


def test_an_unknown_condition_is_named(folder):
    run = Run.load(folder)
    with pytest.raises(ECGError, match="'upside down' is no condition; choose from clean"):
        runner.run_reader(
            own.OwnReader("nano"), list(run.truths.values()), folder, conditions=["upside down"]
        )


def test_a_page_needs_results(tmp_path):
    with pytest.raises(ECGError, match=r"holds no result\.json"):
        load_results([tmp_path])


# --- every condition, and going on after a kill ----------------------------------------------


class Echo:
    """Says what it was shown, as a hash; dies at its n-th call where told to."""

    name = "echo"
    arms = ("signal", "image")
    page = {"px_per_mm": 2.0}  # noqa: RUF012

    def __init__(self, dies_at=None):
        self.calls, self.dies_at = 0, dies_at

    def about(self):
        return {"name": self.name}

    def read(self, shown):
        self.calls += 1
        if self.calls == self.dies_at:
            raise KeyboardInterrupt
        seen = [
            one.ecg.signal.tobytes() if one.image is None else one.image.tobytes()
            for one in shown
        ]
        return [
            Told(f"{one.reasoning}{hashlib.sha256(data).hexdigest()}")
            for one, data in zip(shown, seen, strict=True)
        ]


@pytest.fixture(scope="module")
def echoes(tmp_path_factory):
    """Two records under every condition of the suite, in a folder of their own."""
    out = tmp_path_factory.mktemp("echo")
    truths = prepare(list_records([SHIPPED], split=None, limit=2), out)
    runner.run_reader(Echo(), truths, out, conditions=SUITES["nano"], batch=5)
    return out


def test_every_condition_changes_what_the_arms_that_can_notice_are_shown(echoes):
    run = Run.load(echoes)
    assert set(run.conditions) == set(SUITES["nano"])
    for name, condition in conditions.CONDITIONS.items():
        for arm in set(Echo.arms) & set(condition.arms):
            pairs = run.pairs(arm, name)
            assert len(pairs) == 2
            for one, row in pairs:
                usual = run.rows[one.record, arm, "clean"].text
                assert (row.text == usual) is (name == "clean")
    assert not run.pairs("signal", "rotated")


def test_a_killed_suite_goes_on_where_it_was(echoes, tmp_path):
    (tmp_path / "records.jsonl").write_bytes((echoes / "records.jsonl").read_bytes())
    truths = list(Run.load(echoes).truths.values())
    first = Echo(dies_at=3)
    with pytest.raises(KeyboardInterrupt):
        runner.run_reader(first, truths, tmp_path, conditions=SUITES["nano"], batch=5)
    kept = tmp_path / "readings.jsonl"
    kept.write_bytes(kept.read_bytes()[:-20])  # killed while it wrote
    second = Echo()
    runner.run_reader(second, truths, tmp_path, conditions=SUITES["nano"], batch=5)
    whole = Run.load(echoes).rows
    found = Run.load(tmp_path).rows
    assert {key: row.text for key, row in found.items()} == {
        key: row.text for key, row in whole.items()
    }
    assert second.calls == -(-(len(whole) - 9) // 5)  # two batches of five, less the cut line
    assert json.loads((tmp_path / "run.json").read_text())["resumed"]


def test_readers_of_measurements_are_asked_nothing_that_changes_what_they_do_not_see():
    reader = types.SimpleNamespace(arms=("measurements",))
    jobs = runner.jobs_of([truth("a"), truth("b")], reader, SUITES["nano"], seed=0)
    assert {job.condition.name for job in jobs} == {"clean", "shuffled", "reasoned"}


def test_a_run_without_readings_yet_has_a_page(echoes, tmp_path):
    for name in ("run.json", "records.jsonl"):
        (tmp_path / name).write_bytes((echoes / name).read_bytes())
    evaluate_run(tmp_path)
    page = write_page([tmp_path], tmp_path).read_text(encoding="utf-8")
    assert "no readings" in page


def test_the_page_tells_each_share_of_a_missing_modality():
    result = {"run": {"reader": {"name": "x"}}}
    result["missing_modality"] = modality.missing_modality(run_of(*four_records()))
    lines = _missing([result, {"run": {}, "missing_modality": {}}]).splitlines()
    assert "| | mean | 0 % | 25 % | 50 % | 75 % | 100 % |" in lines
    told = next(one for one in lines if one.startswith("| x without signal | labels"))
    shares = [one.split()[0] for one in told.strip(" |").split(" | ")[2:]]
    assert shares == ["1", "0.75", "0.5", "0.25", "0"]
    assert len([one for one in lines if one.startswith("| x without")]) == 4


def test_what_failed_is_asked_again(echoes, tmp_path, monkeypatch):
    (tmp_path / "records.jsonl").write_bytes((echoes / "records.jsonl").read_bytes())
    truths = list(Run.load(echoes).truths.values())
    down = Echo()
    monkeypatch.setattr(down, "read", lambda shown: [Told("", problem="down")] * len(shown))
    runner.run_reader(down, truths, tmp_path)
    assert {row.problem for row in Run.load(tmp_path).rows.values()} == {"down"}
    runner.run_reader(Echo(), truths, tmp_path)
    found = Run.load(tmp_path).rows
    assert len(found) == 4
    assert all(row.problem is None and row.text for row in found.values())


def test_two_readers_of_one_name_are_refused_before_anything_is_read(capsys):
    words = ["evaluate", "--reader", "protocol", "--data", SHIPPED, "--split", "all"]
    assert main([*words, "--beside", "a/rl/model", "b/rl"]) == 2
    assert "two readers would both be called 'protocol'" in capsys.readouterr().err
    with pytest.raises(ECGError, match="both be called 'rl'"):
        options._check_names(["nano", *options._names_beside(["a/rl/model", "b/rl"])])


def test_what_is_no_checkpoint_is_told_before_anything_is_read(tmp_path, capsys):
    out, wrong = tmp_path / "run", tmp_path / "nowhere"
    words = ["evaluate", "--suite", "stage-one", "--data", SHIPPED, "--split", "all"]
    words += ["--limit", "1", "--out", str(out)]
    assert main([*words, "--beside", str(wrong)]) == 2
    assert f"'{wrong}' is neither" in capsys.readouterr().err
    assert not out.exists()


def test_an_embedding_model_that_cannot_be_loaded_is_named(monkeypatch):
    def refuse(name, **_):
        raise OSError("offline")

    _embedder.cache_clear()
    stub = types.SimpleNamespace(SentenceTransformer=refuse)
    monkeypatch.setitem(sys.modules, "sentence_transformers", stub)
    with pytest.raises(ECGError, match="loaded from 'BAAI/bge-m3': offline"):
        consistency(run_of(*four_records()), embedding="BAAI/bge-m3")
    assert options.EMBEDDING == EMBEDDING_NAME


def test_one_command_sets_protocol_and_checkpoints_beside_a_run(echoes, tmp_path, monkeypatch):
    class Other(Echo):
        def __init__(self, name):
            super().__init__()
            self.name = name

    monkeypatch.setattr(own, "OwnReader", lambda model, **_: Other(model))
    forget_embeddings(monkeypatch)
    words = ["evaluate", "--data", SHIPPED, "--split", "all", "--limit", "2"]
    (tmp_path / "records.jsonl").write_bytes((echoes / "records.jsonl").read_bytes())
    assert main([*words, "--out", str(tmp_path), "--beside", "without"]) == 0
    page = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    head = next(line for line in page.splitlines() if "another's ECG" in line)
    for column in ("nano, signal", "nano, image, another's ECG", "protocol, signal"):
        assert f"| {column} " in head
    assert "| without, image " in head
    assert "### Against nano, record by record" in page
    assert "| without | image | labels, Jaccard | 0 " in page  # both say the same here


# --- other readers ----------------------------------------------------------------------------


def test_the_protocol_reads_its_own_measurements_without_error(tmp_path):
    truths = prepare(list_records([SHIPPED], split=None, limit=2), tmp_path)
    runner.run_reader(ProtocolReader(), truths, tmp_path)
    told = evaluate_run(tmp_path)["arms"]["signal"]
    assert told["stage_one"]["numbers"]["hr_bpm"]["mae"] <= 0.5  # rounding to whole bpm
    assert told["audit"]["hallucination_rate"]["value"] <= 0.05


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """Folder of a tiny random model that transformers loads as image-text-to-text."""
    alphabet = ["<pad>", "</s>", "<image>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    letters = Tokenizer(models.BPE({one: k for k, one in enumerate(alphabet)}, []))
    letters.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    letters.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=letters, pad_token="<pad>", eos_token="</s>",
        extra_special_tokens=["<image>"],
    )  # fmt: skip
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
             "num_attention_heads": 2, "initializer_range": 1.0}  # fmt: skip
    vision = CLIPVisionConfig(**small, image_size=28, patch_size=14)
    text = LlamaConfig(
        **small, vocab_size=len(alphabet), num_key_value_heads=2,
        pad_token_id=0, bos_token_id=1, eos_token_id=1,
    )  # fmt: skip
    torch.manual_seed(5)  # a model whose words depend on the picture
    model = LlavaForConditionalGeneration(
        LlavaConfig(vision_config=vision, text_config=text, image_token_index=2)
    )
    side = {"height": 28, "width": 28}
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessor(size=side, crop_size=side), tokenizer=tokenizer,
        patch_size=14, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template="{% for m in messages %}{% for part in m['content'] %}"
        "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
        "{% endfor %}{% endfor %}:",
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("stranger")
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def test_another_image_text_model_reads_the_page(stranger, assets):
    reader = ImageTextReader.load(str(stranger), max_new_tokens=6)
    page = draw_page(read_ecg(assets / "ecgs/A0002.hea"), **reader.page)
    shown = [
        Shown("a", "image", image=page),
        Shown("a", "image", image=page, reasoning="Sinus rhythm. "),
        Shown("b", "image", image=Image.eval(page, lambda grey: 255 - grey)),
    ]
    free, led, negative = reader.read(shown)
    # The same by hand: the whole conversation again for each letter.
    tokenizer, asked = reader.processor.tokenizer, f"<image>{QUESTION}\n{FORMAT}:"
    inputs = reader.processor(text=[asked], images=[page.convert("RGB")], return_tensors="pt")
    ids = inputs["input_ids"]
    with torch.inference_mode():
        for _ in range(6):
            logits = reader.model(
                input_ids=ids, pixel_values=inputs["pixel_values"],
                attention_mask=torch.ones_like(ids),
            ).logits  # fmt: skip
            ids = torch.cat([ids, logits[:, -1:].argmax(-1)], 1)
            if ids[0, -1] == tokenizer.eos_token_id:
                break
    new = ids[0, inputs["input_ids"].shape[1] :]
    assert free.text == tokenizer.decode(new, skip_special_tokens=True).strip()
    assert free.n_tokens <= 6
    assert led.text.startswith("Sinus rhythm. ")
    assert negative.text != free.text  # the page reaches the model
    assert reader.about()["kind"] == "image-text"


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(ECGError, match="no image-text model could be loaded from"):
        ImageTextReader.load(str(tmp_path))


@contextmanager
def endpoint(reply):
    """A local OpenAI-compatible endpoint that answers `reply(number, request)`."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append(request)
            content = reply(len(seen), request)
            usage = {"prompt_tokens": 1000, "completion_tokens": 100}
            body = json.dumps(
                {"choices": [{"message": {"content": content}}], "usage": usage}
            ).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Endpoint(
            f"http://127.0.0.1:{server.server_port}/v1", "model", temperature=0.0,
            concurrency=1, prompt_price=1.0, completion_price=10.0,
        ), seen  # fmt: skip
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_vision_endpoint_sees_the_page_and_costs_what_it_says(tmp_path):
    truths = prepare(list_records([SHIPPED], split=None, limit=1), tmp_path)
    with endpoint(lambda *_: answer("sinus rhythm", 74)) as (where, seen):
        reader = EndpointReader(where, tmp_path / "journal.jsonl")
        runner.run_reader(reader, truths, tmp_path)
    (row,) = Run.load(tmp_path).rows.values()
    image = seen[0]["messages"][1]["content"][0]["image_url"]["url"]
    assert image.startswith("data:image/png;base64,iVBOR")
    assert (row.arm, row.n_tokens, row.cost) == ("image", 100, pytest.approx(0.002))
    assert "key" not in json.dumps(reader.about()).lower()


def test_a_text_model_sees_measurements_and_no_label(tmp_path):
    truths = prepare(list_records([SHIPPED], split=None, limit=1), tmp_path)
    with endpoint(lambda *_: answer("sinus rhythm")) as (where, seen):
        reader = EndpointReader(where, tmp_path / "journal.jsonl", arm="measurements")
        runner.run_reader(reader, truths, tmp_path)
    asked = seen[0]["messages"][1]["content"]
    assert measurement_table(truths[0].measured) in asked
    assert f"heart rate (bpm): {truths[0].facts['numbers']['hr_bpm']:g}" in asked
    assert truths[0].labels[0] not in asked.lower()


def test_restricted_records_do_not_leave_this_machine(tmp_path):
    one = prepare(list_records([SHIPPED], split=None, limit=1), tmp_path)[0]
    held = replace(one, task=one.task | {"restricted": True})
    with endpoint(lambda *_: "x") as (where, seen):
        reader = EndpointReader(where, tmp_path / "journal.jsonl")
        with pytest.raises(ECGError, match="data-use agreement"):
            runner.run_reader(reader, [held], tmp_path)
    assert not seen


def test_an_endpoint_that_refuses_is_told_as_bad_input_is(tmp_path, monkeypatch):
    def refuse(*_):
        raise EndpointError("HTTP 401: no such key")

    reader = EndpointReader(Endpoint("http://127.0.0.1:9", "model"), tmp_path / "journal.jsonl")
    monkeypatch.setattr(reader.client, "ask", refuse)
    with pytest.raises(ECGError, match="HTTP 401: no such key"):
        reader.read([Shown("a", "image", image=Image.new("RGB", (4, 4)))])


def test_the_judge_is_asked_again_once_paid_once_and_compared_with_itself(folder):
    whole = {name: [{"Score": allowed[-1], "Explanation": ""}]
             for name, (_, allowed) in CRITERIA.items()}  # fmt: skip

    def reply(number, _):
        return "I would rather not" if number == 1 else json.dumps(whole)

    with endpoint(reply) as (where, seen):
        lines = list(judge_run(folder, where, runs=2))
        first = len(seen)
        assert first == 1 + 2 * 2 * 3  # one asked again; two runs of two records, three arms
        assert "no JSON object" in seen[2]["messages"][-1]["content"]
        list(judge_run(folder, where, runs=2))
        # Only the answer that broke its form is looked up in vain: it is kept as it was.
        assert len(seen) == first
    told = json.loads((folder / "judged.json").read_text(encoding="utf-8"))
    assert told["arms"]["signal"]["failed"] == 0
    assert told["arms"]["signal"]["strict"]["DiagnosisAccuracy"]["value"] == 100
    assert told["arms"]["signal"]["agreement"]["DiagnosisAccuracy"]["same"] == 1.0
    page = _judged("nano", folder / "judged.json")
    row = next(one for one in page.splitlines() if one.startswith("| DiagnosisAccuracy |"))
    cells = row.strip(" |").split(" | ")[1:]
    assert [one.split()[0] for one in cells] == ["100"] * 3 + ["1"] * 3
    assert _judged("nano", folder / "never.json") == ""
    assert "cost" in lines[0]


# --- command line -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--limit", "0"), "--limit 0: give 1 or more"),
        (("--recompute", "nowhere"), "nowhere holds no run.json"),
        (("--ecgbench", "mars", "a", "b"), "'mars' is no set of ECGBench"),
        (("--data", "ptbxl:nowhere"), "nowhere holds no ptbxl_database.csv"),
    ],
)
def test_bad_options_take_one_line(words, complaint, capsys):
    assert main(["evaluate", *words]) == 2
    told = capsys.readouterr().err
    assert complaint in told
    assert told.strip().count("\n") == 0


def test_recomputing_prints_the_table(folder, capsys, monkeypatch):
    forget_embeddings(monkeypatch)
    assert main(["evaluate", "--recompute", str(folder)]) == 0
    assert "| heart rate, MAE (bpm) |" in capsys.readouterr().out
