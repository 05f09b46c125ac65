"""Fine-tuning: sample order, the loss by hand, freezing, and a resume that changes nothing."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import ROOT
from torch.utils.data import DataLoader

from ecg_r1.__main__ import main
from ecg_r1.corpus import make_row, simulated_tasks
from ecg_r1.dropout import ModalityDropout
from ecg_r1.ecg import ECGError
from ecg_r1.loading import load_model
from ecg_r1.model import ECGR1ForConditionalGeneration
from ecg_r1.nano import nano_config, nano_processor, train_tokenizer
from ecg_r1.processing import NO_LOSS
from ecg_r1.sft import (
    Collator,
    SFTConfig,
    SFTData,
    TokenLoss,
    freeze,
    freeze_encoders,
    train_sft,
)
from ecg_r1.sft.features import encode_rows, given
from ecg_r1.sft.parts import check_tower, with_lora
from ecg_r1.sft.saving import COMPLETE, newest_complete
from ecg_r1.sft.trainer import SFTTrainer

datasets = pytest.importorskip("datasets", reason="needs the extra 'train'")
CONFIG = SFTConfig(
    steps=4, batch_size=2, warmup_steps=1, workers=0, save_steps=2, bf16=False, seed=5
)


@pytest.fixture(scope="module")
def rows():
    made = [make_row(task) for task in simulated_tasks(5)]
    for row in made[:2]:
        row["source"] = "ptbxl"  # stands for real records in questions of order
    return datasets.Dataset.from_list(made)


@pytest.fixture(scope="module")
def processor(rows):
    return nano_processor(train_tokenizer(list(rows["text"]) * 10))


def small_model(processor):
    """nano cut to one thin layer of each part."""
    torch.manual_seed(0)
    config = nano_config(processor.tokenizer)
    config.text_config.num_hidden_layers = 1
    config.vision_config.depth = 1
    config.ecg_tower_config = config.ecg_tower_config | {"layers": 1}
    return ECGR1ForConditionalGeneration(config)


def test_each_kind_is_seen_once_in_each_of_its_epochs(rows, processor):
    data = SFTData(rows, processor, SFTConfig(steps=30, batch_size=2, real_share=0.5))
    places = [data.locate(i) for i in range(60)]
    real = [p for p in places if p[0] < 2]
    simulated = [p for p in places if p[0] >= 2]
    assert len(real) == len(simulated) == 30
    assert set(Counter(real).values()) == {1}  # a row never comes twice in an epoch
    assert real == sorted(real, key=lambda p: p[2])
    assert Counter(epoch for _, _, epoch in simulated) == dict.fromkeys(range(10), 3)


def test_workers_make_the_batches_that_the_main_process_makes(rows, processor):
    data, collate = SFTData(rows, processor, CONFIG), Collator(processor)
    batches = [
        list(DataLoader(data, batch_size=2, collate_fn=collate, num_workers=workers))
        for workers in (0, 2)
    ]
    for alone, forked in zip(*batches, strict=True):
        assert alone.keys() == forked.keys()
        assert alone.pop("problems") == forked.pop("problems") == []
        assert all(torch.equal(alone[name], forked[name]) for name in alone)


def test_environments_seen_are_those_of_the_batches(rows, processor):
    data = SFTData(rows, processor, CONFIG)
    shown = Counter(data[i]["environment"] for i in range(len(data)))
    assert data.seen(CONFIG.steps) == shown


def test_grouping_keeps_every_sample_once_and_pads_less(rows, processor):
    def padding(config):
        data = SFTData(rows, processor, config)
        placed = [i for window in range(2) for i in data._arrange(window)]
        assert sorted(placed) == list(range(80))
        lengths = np.array([data._length(i) for i in placed]).reshape(20, 4)
        return (lengths.max(axis=1, keepdims=True) - lengths).sum() / lengths.sum()

    config = SFTConfig(steps=20, batch_size=4)
    assert padding(config) < padding(replace(config, group_lengths=False)) / 3


def test_rare_labels_bring_more_copies_with_environments_of_their_own(rows, processor):
    """Labels of 1 of 40 records: sqrt(0.1 / 0.025) = 2 copies; of all records: one."""
    made = [
        dict(rows[0]) | {"id": f"ptbxl/{i}/0", "labels": ["sinus rhythm"]} for i in range(40)
    ]
    made[7]["labels"] = ["sinus rhythm", "atrial flutter"]
    data = SFTData(datasets.Dataset.from_list(made), processor, replace(CONFIG, rare_most=3))
    assert Counter(row for row, _ in data.kinds[0].tolist()) == dict.fromkeys(range(40), 1) | {
        7: 2
    }
    many = replace(CONFIG, rare_most=3, steps=410, batch_size=2)
    data = SFTData(datasets.Dataset.from_list(made), processor, many)
    drawn = {}
    for i in range(820):
        row, copy, epoch = data.locate(i)
        if row == 7:
            drawn[epoch, copy] = data.environment(i)
    assert any(drawn[e, 0] != drawn[e, 1] for e in range(20))


def tokens(processor, text):
    return processor.tokenizer(text)["input_ids"]


@pytest.fixture
def one_token(processor):
    """Logits that favour " 71" by 2 nats where " 72" bpm is asked for; the unit is certain."""
    (near,), (asked,), (unit,) = (tokens(processor, t) for t in (" 71", " 72", " bpm"))
    logits = torch.zeros(1, 3, len(processor.tokenizer))
    logits[0, 0, near] = 2.0
    logits[0, 1, unit] = 100.0
    return logits, torch.tensor([[NO_LOSS, asked, unit]])


def test_without_options_the_loss_is_plain_cross_entropy(processor, one_token):
    logits, labels = one_token
    loss = TokenLoss(processor, SFTConfig(number_smoothing=0, label_weight=1))(logits, labels)
    plain = torch.nn.functional.cross_entropy(logits[0, :2], labels[0, 1:])
    torch.testing.assert_close(loss, plain)


def test_smoothing_forgives_a_near_miss_by_the_neighbours_share(processor, one_token):
    """72 with sd 1.44: weights exp(-d^2 / 2 / 1.44^2), so 71 has 0.2180 of them by hand."""
    logits, labels = one_token
    exact = TokenLoss(processor, SFTConfig(number_smoothing=0, label_weight=1))(logits, labels)
    smooth = TokenLoss(processor, SFTConfig(number_smoothing=0.02, label_weight=1))(
        logits, labels
    )
    offsets = np.arange(-20, 21)
    weights = np.exp(-0.5 * (offsets / 1.44) ** 2)
    share = weights[19] / weights.sum()
    # The mean is over two tokens; the certain unit costs nothing either way.
    assert (exact - smooth).item() == pytest.approx(2.0 * share / 2, rel=1e-3)


@pytest.mark.parametrize(
    ("text", "measured"),
    [
        (" PR interval 164 ms (normal, 120 to 200).", [" 164"]),  # thresholds are exact
        (" Heart rate 72 bpm. Sinus rhythm at 72 bpm.", [" 72"]),  # said again: exact
        (" S in V1 7 mm and R in V5 or V6 9 mm, together 16 mm", [" 7", " 9", " 16"]),
    ],
)
def test_only_first_statements_with_a_unit_are_smoothed(processor, text, measured):
    loss = TokenLoss(processor, SFTConfig())
    ids = torch.tensor([tokens(processor, text)])
    found = ids[loss._measured(ids)].tolist()
    assert [processor.tokenizer.decode([i]) for i in found] == measured


def test_diagnoses_weigh_as_configured(processor):
    """Two tokens, one a diagnosis of weight 3: (1 * a + 3 * b) / 4."""
    word, label = (processor.tokenizer(t)["input_ids"] for t in (" axis", " sinus rhythm"))
    torch.manual_seed(0)
    logits = torch.randn(1, 3, len(processor.tokenizer))
    labels = torch.tensor([[NO_LOSS, word[0], *label]])
    loss = TokenLoss(processor, SFTConfig(label_weight=3))(logits, labels)
    a, b = torch.nn.functional.cross_entropy(logits[0, :2], labels[0, 1:], reduction="none")
    torch.testing.assert_close(loss, (a + 3 * b) / 4)


def test_freezing_leaves_what_the_paper_trains(processor):
    model = small_model(processor)
    freeze_encoders(model)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert not any("ecg_tower" in name or "visual.blocks" in name for name in trained)
    for part in ("visual.merger", "ecg_projector", "language_model"):
        assert any(part in name for name in trained), part


def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(
    rows, processor, tmp_path, monkeypatch
):
    whole = small_model(processor)
    train_sft(whole, processor, rows, tmp_path / "whole", CONFIG)

    fetch = SFTData.__getitem__

    def cut(self, index):
        if index == 3 * CONFIG.batch_size:  # the fourth step never comes; step 2 is saved
            raise KeyboardInterrupt
        return fetch(self, index)

    monkeypatch.setattr(SFTData, "__getitem__", cut)
    with pytest.raises(KeyboardInterrupt):
        train_sft(small_model(processor), processor, rows, tmp_path / "cut", CONFIG)
    monkeypatch.undo()

    resumed = small_model(processor)
    train_sft(resumed, processor, rows, tmp_path / "cut", CONFIG)
    for (name, a), b in zip(whole.named_parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-7, msg=name)


def test_the_encoders_outputs_stand_in_for_their_inputs(rows, processor, tmp_path, monkeypatch):
    """Without augmentation, the step on kept features is the step on the records themselves."""
    monkeypatch.setattr("ecg_r1.sft.features.degrade_signal", lambda ecg, rng: ecg)
    monkeypatch.setattr("ecg_r1.sft.data.degrade_signal", lambda ecg, rng: ecg)
    for module in ("features", "data"):
        monkeypatch.setattr(f"ecg_r1.sft.{module}.jitter_page", lambda page, rng: (page, 0))
    model = small_model(processor)
    kept = encode_rows(model, processor, rows, tmp_path, variants=2)
    both = []
    for features in (None, kept):
        data = SFTData(rows, processor, CONFIG, features)
        batch = Collator(processor)([data[i] for i in range(8)])
        inputs = {
            k: v for k, v in batch.items() if k not in ("labels", "environments", "problems")
        }
        if features:
            with given(model):
                both.append(model(**inputs).logits)
        else:
            both.append(model(**inputs).logits)
    torch.testing.assert_close(both[0], both[1], atol=0.05, rtol=0.05)  # kept in half precision
    assert np.isfinite(kept.vision).all()
    again = encode_rows(model, processor, rows, tmp_path, variants=2)
    assert np.array_equal(again.tower, kept.tower)
    with torch.no_grad():
        model.model.ecg_tower.conv1[0].weight.add_(1)
    with pytest.raises(ECGError, match="other rows or weights"):
        encode_rows(model, processor, rows, tmp_path, variants=2)


def test_a_step_is_the_same_however_it_is_split(rows, processor, tmp_path):
    """One pass of four samples, or four accumulated ones: the same losses and weights."""
    config = replace(CONFIG, batch_size=4, steps=2, log_steps=1)
    told = []
    for micro in (4, 1):
        model = small_model(processor)
        out = tmp_path / str(micro)
        run = train_sft(model, processor, rows, out, replace(config, micro_batch=micro))
        told.append((run, model.state_dict()))
    for one, four in zip(*(run["log"][:2] for run, _ in told), strict=True):
        assert one["loss"] == pytest.approx(four["loss"], rel=1e-5)
    for name, value in told[0][1].items():
        torch.testing.assert_close(value, told[1][1][name], atol=2e-5, rtol=0, msg=name)


def test_the_log_tells_loss_and_number_of_each_environment(rows, processor, tmp_path):
    config = replace(CONFIG, log_steps=1, steps=3, batch_size=4)
    heard = []
    model = small_model(processor)
    told = train_sft(model, processor, rows, tmp_path, config, on_log=heard.append)
    assert [line["step"] for line in heard] == [1, 2, 3]
    assert [line["loss"] for line in heard] == [line["loss"] for line in told["log"][:3]]
    seen = SFTData(rows, processor, config).seen(3)
    assert {k: v for k, v in told["environments"].items() if v} == dict(seen)
    for line in told["log"][:3]:
        shown = {k[8:]: v for k, v in line.items() if k.startswith("samples/") and v}
        assert sum(shown.values()) == 4
        losses = [line[f"loss/{name}"] for name in shown]
        assert min(losses) <= line["loss"] <= max(losses)


WORKER = """
import json, sys
from pathlib import Path
sys.path[:0] = [{root!r}, {tests!r}]
import torch
torch.set_num_threads(1)
from datasets import load_from_disk
from test_sft import CONFIG, replace, small_model, train_sft
from ecg_r1.nano import nano_processor
from transformers import PreTrainedTokenizerFast
processor = nano_processor(PreTrainedTokenizerFast.from_pretrained({out!r} + "/tokenizer"))
rows = load_from_disk({out!r} + "/rows")
config = replace(CONFIG, batch_size=4, steps=2, log_steps=1)
told = train_sft(small_model(processor), processor, rows, Path({out!r}) / "run", config)
if torch.distributed.get_rank() == 0:
    Path({out!r}, "told.json").write_text(json.dumps(told))
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(rows, processor, tmp_path):
    rows.save_to_disk(tmp_path / "rows")
    processor.tokenizer.save_pretrained(tmp_path / "tokenizer")
    tests = str(ROOT / "tests")
    script = tmp_path / "worker.py"
    script.write_text(WORKER.format(root=str(ROOT), tests=tests, out=str(tmp_path)))
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node=2",
        "--standalone",
    ]
    told = subprocess.run(
        [*launch, str(script)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert told.returncode == 0, told.stderr[-2000:]
    two = json.loads((tmp_path / "told.json").read_text())
    config = replace(CONFIG, batch_size=4, steps=2, log_steps=1)
    one = train_sft(small_model(processor), processor, rows, tmp_path / "one", config)
    assert two["environments"] == one["environments"]
    for a, b in zip(one["log"][:2], two["log"][:2], strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-4)
        assert a["grad_norm"] == pytest.approx(b["grad_norm"], rel=1e-3)


def test_what_cannot_be_learned_from_is_named_and_counted(rows, processor, tmp_path, capsys):
    made = [dict(row) for row in rows]
    made[0] |= {"id": "a", "page": made[0]["page"][:300]}  # half a picture
    made[2] |= {"id": "b", "signal": b"123"}
    made[3] |= {"id": "c", "signal": b"", "page": b""}
    talk = [{"role": "user", "content": "<ecg>What?"}, {"role": "assistant", "content": "AF."}]
    made[4] |= {"id": "d", "signal": b"", "messages": json.dumps(talk)}
    broken = datasets.Dataset.from_list(made)
    config = replace(
        CONFIG,
        steps=3,
        batch_size=4,
        most_skipped=1,
        dropout=ModalityDropout(p_drop=0),
        group_lengths=False,
    )
    told = train_sft(small_model(processor), processor, broken, tmp_path, config)
    said = capsys.readouterr().err
    assert told["left_out"] == 3
    lines = [json.loads(x) for x in (tmp_path / "left_out.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["b", "c", "d"]
    assert "left out: b: its signal has 3 bytes instead of 120000" in said
    assert "left out: d: <ecg> stands in its prompt, but it has no signal" in said
    assert told["skipped"] == said.count("left out: a: ") > 0
    # Those that are left are all that was learned from.
    assert sum(told["environments"].values()) == 12 - told["skipped"]
    few = replace(config, most_skipped=0.01, steps=40)
    with pytest.raises(ECGError, match="could not be decoded, more than 1%"):
        train_sft(small_model(processor), processor, broken, tmp_path / "2", few)


def test_conversations_learn_every_answer_and_nothing_else(rows, processor):
    talk = [
        {"role": "user", "content": "<ecg>\n<image>\nWhat is the rate?\n\nA. 60"},
        {"role": "assistant", "content": "72 bpm"},
        {"role": "user", "content": "And the rhythm?"},
        {"role": "assistant", "content": "sinus rhythm"},
    ]
    made = datasets.Dataset.from_list([dict(rows[0]) | {"messages": json.dumps(talk)}])
    config = replace(CONFIG, dropout=ModalityDropout(p_drop=0, p_swap=1))
    batch = Collator(processor)([SFTData(made, processor, config)[0]])
    learned = processor.tokenizer.decode(batch["labels"][batch["labels"] != NO_LOSS])
    assert learned == "72 bpm<|im_end|>sinus rhythm<|im_end|>"
    text = processor.tokenizer.decode(batch["input_ids"][0])
    assert text.index("<|image_pad|>") < text.index("<|ecg_pad|>")
    assert "<|ecg_end|>\nWhat is the rate?\n\nA. 60<|im_end|>\n" in text


def killed_while_saving(processor, rows, folder):
    """Train and be killed in the middle of writing the second state."""

    def save(self, output_dir):
        if self.state.global_step == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, output_dir)

    real = SFTTrainer._save_optimizer_and_scheduler
    SFTTrainer._save_optimizer_and_scheduler = save
    train_sft(small_model(processor), processor, rows, folder, CONFIG)


def test_killed_while_saving_the_last_complete_state_is_used(rows, processor, tmp_path, capsys):
    child = os.fork()
    if child == 0:  # pragma: no cover
        torch.set_num_threads(1)
        killed_while_saving(processor, rows, tmp_path)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert (tmp_path / "checkpoint-4").is_dir()
    assert not (tmp_path / "checkpoint-4" / COMPLETE).exists()
    assert newest_complete(tmp_path).name == "checkpoint-2"
    told = train_sft(small_model(processor), processor, rows, tmp_path, CONFIG)
    assert "checkpoint-4 was cut short and is removed" in capsys.readouterr().err
    assert newest_complete(tmp_path).name == "checkpoint-4"
    whole = train_sft(small_model(processor), processor, rows, tmp_path / "whole", CONFIG)
    assert told["environments"] == whole["environments"]  # those before the kill included


def test_a_full_disk_is_said_in_one_line(rows, processor, tmp_path, monkeypatch):
    def full(self, output_dir):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(SFTTrainer, "_save_optimizer_and_scheduler", full)
    with pytest.raises(ECGError, match=r"is full .* no state is complete yet; free some space"):
        train_sft(small_model(processor), processor, rows, tmp_path, CONFIG)


@pytest.mark.parametrize(
    ("preset", "learns"),
    [
        ("paper", {"language", "merger", "projector"}),
        ("projectors", {"merger", "projector"}),
        ("language", {"language"}),
        ("all", {"language", "merger", "projector", "tower", "blocks"}),
    ],
)
def test_presets_train_the_parts_they_name(processor, preset, learns):
    model = small_model(processor)
    freeze(model, preset)
    parts = {
        "language": "language_model",
        "merger": "visual.merger",
        "projector": "ecg_projector",
    }
    parts |= {"tower": "ecg_tower", "blocks": "visual.blocks"}
    for part, name in parts.items():
        found = {p.requires_grad for n, p in model.named_parameters() if name in n}
        assert found == {part in learns}, part
    with pytest.raises(ValueError, match="'papers' is no preset"):
        freeze(model, "papers")


def test_checkpointing_with_frozen_embeddings_gives_the_same_gradients(
    rows, processor, tmp_path
):
    config = replace(CONFIG, steps=1, batch_size=2, log_steps=1)
    norms = []
    for checkpointing in (False, True):
        model = small_model(processor)
        freeze(model, "projectors")  # the case that fails in the reference
        out = tmp_path / str(checkpointing)
        using = replace(config, gradient_checkpointing=checkpointing)
        norms.append(train_sft(model, processor, rows, out, using)["log"][0]["grad_norm"])
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)
    assert norms[0] > 0


def test_lora_learns_its_matrices_and_the_projector_and_merges(rows, processor, tmp_path):
    model = small_model(processor)
    before = {n: p.clone() for n, p in model.named_parameters()}
    tuned = with_lora(model, 4, "paper")
    learned = {n for n, p in tuned.named_parameters() if p.requires_grad}
    assert all("lora_" in n or "merger" in n or "ecg_projector" in n for n in learned)
    told = train_sft(tuned, processor, rows, tmp_path, replace(CONFIG, steps=3, log_steps=1))
    assert told["log"][0]["loss"] > 0
    merged = dict(tuned.merge_and_unload().named_parameters())
    assert merged.keys() == before.keys()
    changed = {n for n in before if not torch.equal(before[n], merged[n])}
    assert any("q_proj" in n for n in changed)
    assert any("ecg_projector" in n for n in changed)
    assert not any("ecg_tower" in n or "visual.blocks" in n for n in changed)


def test_qlora_without_a_gpu_is_refused_clearly():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(ECGError, match="4bit needs a CUDA GPU"):
        load_model("nano", quantise="4bit")


def test_a_tower_as_new_is_not_frozen_in_silence(processor):
    model = small_model(processor)
    with pytest.raises(ECGError, match="never trained"):
        check_tower(model, "paper")
    check_tower(model, "all")
    with torch.no_grad():
        model.model.ecg_tower.transformer.resblocks[0].ln_1.weight.add_(0.1)
    check_tower(model, "paper")


def test_a_batch_that_does_not_split_is_refused():
    with pytest.raises(ValueError, match="batch of 10 cannot be split evenly over 4"):
        SFTConfig(batch_size=10).micro(4)


@pytest.fixture(scope="module")
def corpus(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    rows.save_to_disk(folder)
    return folder


BAD = {
    "no such corpus": (["--data", "/nowhere"], "/nowhere is no folder; make one with"),
    "a list of samples": (["--data", "a.jsonl"], "corpus published:a.jsonl -o FOLDER"),
    "impossible share": (["--p-drop", "1.5"], "p_drop must lie in 0..1, got 1.5"),
    "no steps": (["--steps", "0"], "steps must be at least 1, got 0"),
    "4 bits without LoRA": (["--qlora"], "--qlora needs the rank of its matrices"),
    "LoRA without a decoder": (
        ["--lora-rank", "4", "--preset", "all"],
        "goes with the presets",
    ),
    "uneven": (["--batch-size", "5", "--micro-batch", "2"], "a batch of 5 cannot be split"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_options_end_in_one_line(case, corpus, tmp_path, capsys, assets):
    words, said = BAD[case]
    if not (assets / "nano").is_dir():
        pytest.skip("assets/nano is not here")
    command = ["sft", "--data", str(corpus), "--out", str(tmp_path), *words]
    assert main(command) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("python -m ecg_r1 sft: ")
    assert said in last


@pytest.mark.slow
def test_the_command_trains_resumes_and_leaves_a_checkpoint(corpus, tmp_path, assets):
    """LoRA on the shipped model: two steps, then two more, and the result reads."""
    if not (assets / "nano").is_dir():
        pytest.skip("assets/nano is not here")
    out = tmp_path / "run"
    fixed = ["--data", str(corpus), "--out", str(out), "--lora-rank", "2", "--workers", "0"]
    fixed += [
        "--batch-size",
        "2",
        "--warmup-steps",
        "1",
        "--save-steps",
        "1",
        "--log-steps",
        "1",
    ]
    assert main(["sft", *fixed, "--steps", "2", "--sample-steps", "2"]) == 0
    told = json.loads((out / "model" / "run.json").read_text())
    assert sum(told["environments"].values()) == 4
    samples = [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]
    assert [one["arm"] for one in samples] == ["signal", "image", "signal+image"]
    assert all(one["text"].startswith("<think>") for one in samples)
    read = load_model(str(out / "model"), device="cpu")
    before = load_model("nano", device="cpu")
    changed = {
        name
        for (name, a), b in zip(
            read.model.named_parameters(), before.model.parameters(), strict=True
        )
        if not torch.allclose(a, b, atol=1e-4)
    }
    assert not any("ecg_tower" in name or "visual.blocks" in name for name in changed)
