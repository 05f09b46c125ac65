"""The GPU benchmark: the 8B's shapes counted, its arithmetic by hand, every line run small."""

import json

import pytest
import torch
from transformers import AutoModelForImageTextToText

from benchmarks.gpu import Case, bandwidth_gb_s, main, our_prompts, step_bytes, targets
from benchmarks.random_weights import RELEASED, SHAPES, random_model
from ecg_r1.model import ECGR1Config
from ecg_r1.simulate import HeartSpec, simulate


@pytest.fixture(scope="module")
def tiny():
    return random_model(SHAPES["tiny"], torch.device("cpu"))


def test_the_released_shapes_hold_as_many_parameters_as_are_known():
    """Projector and tower as recorded; embeddings and head 151,672 x 4,096 each."""
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(ECGR1Config(**RELEASED))
    inner = model.model
    assert sum(p.numel() for p in inner.ecg_tower.parameters()) == 85_989_888
    assert sum(p.numel() for p in inner.ecg_projector.parameters()) == 19_931_136
    assert inner.language_model.embed_tokens.weight.numel() == 151_672 * 4096
    # q and o 4096 x 4096, k and v 1024 x 4096, three of 12288 x 4096, and four norms.
    layer = 2 * 4096**2 + 2 * 1024 * 4096 + 3 * 12_288 * 4096 + 2 * 4096 + 2 * 128
    assert sum(p.numel() for p in inner.language_model.layers.parameters()) == 36 * layer
    assert 2 * model.num_parameters() / 1e9 == pytest.approx(17.7, abs=0.05)  # as published


def test_random_weights_leave_nothing_as_memory_had_it(tiny):
    state = tiny.model.state_dict()
    assert all(value.isfinite().all() for value in state.values())
    weights = tiny.model.model.ecg_tower.transformer.resblocks[0].attn.in_proj_weight
    assert weights.std().item() == pytest.approx(0.02, rel=0.05)
    fresh = AutoModelForImageTextToText.from_config(tiny.model.config)
    ours, theirs = dict(tiny.model.named_buffers()), dict(fresh.named_buffers())
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_bytes_of_a_step_are_those_counted_by_hand(tiny):
    case = Case(tiny, simulate(HeartSpec(), seed=1), ["signal"], tokens=10)
    prompts = our_prompts(case)
    layer = 2 * 64 * 64 + 2 * 32 * 64 + 3 * 128 * 64 + 2 * 64 + 2 * 16
    weights = 4 * layer + 64 + 4096 * 64
    kept = (prompts.input_ids.numel() + 5) * 2 * 4 * 2 * 16  # keys, values; layers, heads
    assert step_bytes(tiny, prompts, 10) == 4 * (weights + kept)


def test_targets_are_judged_by_their_own_sign():
    row = {"way": "ours", "share of bound %": 60.0, "step ms": 10.0, "peak GB": 24.0}
    rows = [
        row | {"arms": 1, "first token ms": 100.0},
        row | {"arms": 3, "first token ms": 999.0, "step ms": 13.5},
    ]
    few = [{"bits": "4bit", "peak GB": 9.9}, {"bits": "8bit", "peak GB": 12.0}]
    assert [one["met"] for one in targets(rows, None)] == [True, False, True, False]
    assert targets(rows, few)[-1] == {
        "": "memory in 4 bits (GB)",
        "found": 9.9,
        "wanted": "< 10",
        "met": True,
    }
    assert targets(rows, None)[1]["found"] == pytest.approx(1.35)


def test_a_copy_reads_and_writes():
    assert 0.05 < bandwidth_gb_s(torch.device("cpu"), 2**22) < 2000


@pytest.mark.skipif(torch.cuda.is_available(), reason="tells what a machine without GPU does")
def test_without_a_gpu_it_says_so_and_measures_every_row(tmp_path, capsys):
    out = tmp_path / "found.json"
    main(["--config", "tiny", "--tokens", "4", "--out", str(out)])
    printed = capsys.readouterr().out
    assert printed.startswith("There is no CUDA GPU")
    assert "Not measured: there is no GPU." in printed
    found = json.loads(out.read_text())
    assert [(row["arms"], row["way"]) for row in found["readings"]] == [
        (1, "plain generate"),
        (1, "ours"),
        (3, "plain generate"),
        (3, "ours"),
    ]
    for row in found["readings"]:
        assert row["same tokens"] == 4
        assert row["first token ms"] > row["prefill ms"] > row["step ms"] > 0
        assert row["tokens/s"] == pytest.approx(1000 * row["arms"] / row["step ms"])
    assert found["lora"]["step ms"] > 0
    assert found["machine"]["torch"] == torch.__version__


@pytest.mark.skipif(torch.cuda.is_available(), reason="tells what a machine without GPU does")
@pytest.mark.parametrize(
    ("arguments", "told"), [(["--config", "8b"], "24 GB"), (["--tokens", "2"], "got 2")]
)
def test_what_cannot_be_measured_is_refused(arguments, told, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert told in capsys.readouterr().err
