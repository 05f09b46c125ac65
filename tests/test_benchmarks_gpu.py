"""The GPU benchmark: the 8B's shapes counted, its arithmetic by hand, every line run small."""

import json

import pytest
import torch
from transformers import AutoModelForImageTextToText

from benchmarks import gpu
from benchmarks.gpu import Case, main, our_prompts, step_bytes, targets
from benchmarks.machine import bandwidth_gb_s
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
    row = {"way": "ours", "share of bound %": 60.0, "step ms": 10.0, "held GB": 24.0}
    rows = [
        row | {"arms": 1, "first token ms": 100.0},
        row | {"arms": 3, "first token ms": 999.0, "step ms": 13.5},
    ]
    few = [{"bits": "4bit", "held GB": 9.9}, {"bits": "8bit", "held GB": 12.0}]
    assert [one["met"] for one in targets(rows, [])] == [True, False, True, False]
    assert len(targets([], few)) == 1
    assert targets(rows, few)[-1] == {
        "": "memory in 4 bits (GB)",
        "found": 9.9,
        "wanted": "< 10",
        "met": True,
    }
    assert targets(rows, [])[1]["found"] == pytest.approx(1.35)


def test_a_copy_reads_and_writes():
    assert 0.05 < bandwidth_gb_s(torch.device("cpu"), 2**22) < 2000


@pytest.mark.skipif(torch.cuda.is_available(), reason="tells what a machine without GPU does")
def test_without_a_gpu_it_says_so_and_measures_every_row(tmp_path, capsys, monkeypatch):
    out = tmp_path / "found.json"
    monkeypatch.setattr(gpu, "LORA_STEPS", 2)
    main(["--config", "tiny", "--tokens", "4", "--out", str(out)])
    printed = capsys.readouterr().out
    assert printed.startswith("There is no CUDA GPU")
    assert "Not measured: bits, for 4bit needs a CUDA GPU, and there is none" in printed
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
    assert [row["base"] for row in found["lora"]] == ["float32"]
    assert found["lora"][0]["tokens"] > 2048  # the longest reading
    assert found["machine"]["torch"] == torch.__version__


@pytest.mark.skipif(torch.cuda.is_available(), reason="its parts are stand-ins")
def test_parts_join_in_one_file_and_a_broken_one_costs_no_other(tmp_path, monkeypatch, capsys):
    def broken(*_):
        raise RuntimeError("out of luck")

    out = tmp_path / "found.json"
    row = {"base": "float32", "step ms": 1.0}
    monkeypatch.setattr(gpu, "bandwidth_gb_s", lambda *_: 10.0)  # a second each
    monkeypatch.setitem(gpu.MEASURES, "readings", broken)
    monkeypatch.setitem(gpu.MEASURES, "lora", lambda found, *_: found["lora"].append(row))
    given = ["--config", "tiny", "--out", str(out), "--parts"]
    with pytest.raises(SystemExit) as stopped:
        main([*given, "lora", "readings"])
    assert stopped.value.code == 1
    found = json.loads(out.read_text())
    assert found["not measured"] == {"readings": "RuntimeError: out of luck"}
    assert found["lora"] == [row]
    assert "raise RuntimeError" in capsys.readouterr().err
    monkeypatch.setitem(
        gpu.MEASURES, "readings", lambda found, *_: found.update(readings=[row])
    )
    main([*given, "readings"])
    joined = json.loads(out.read_text())
    assert (joined["readings"], joined["lora"], joined["not measured"]) == ([row], [row], {})
    main([*given, "readings", "--tokens", "9"])  # another case begins anew
    assert json.loads(out.read_text())["lora"] == []


def test_plain_generate_has_qwens_own_stem_and_gives_ours_back(tiny):
    stem = tiny.model.model.visual.patch_embed
    ours = type(stem).forward
    patches = torch.randn(4, 3 * 2 * 16 * 16, generator=torch.Generator().manual_seed(0))
    seen = []
    stem.proj.register_forward_hook(lambda *_: seen.append("convolution"))
    with gpu._without_our_changes(tiny.model):
        theirs = stem(patches)
    assert seen == ["convolution"]
    assert type(stem).forward is ours
    torch.testing.assert_close(stem(patches), theirs, atol=1e-6, rtol=1e-5)
    assert seen == ["convolution"]
    assert not torch.backends.cuda.cudnn_sdp_enabled()


@pytest.mark.skipif(torch.cuda.is_available(), reason="tells what a machine without GPU does")
@pytest.mark.parametrize(
    ("arguments", "told"), [(["--config", "8b"], "24 GB"), (["--tokens", "2"], "got 2")]
)
def test_what_cannot_be_measured_is_refused(arguments, told, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert told in capsys.readouterr().err
