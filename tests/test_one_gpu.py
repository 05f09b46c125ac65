"""The 8B on one GPU: its settings, the memory that they take, and what comes out of LoRA."""

import argparse
from collections import namedtuple

import pytest
import torch

from benchmarks.random_weights import RELEASED
from ecg_r1.ecg import ECGError
from ecg_r1.model import ECGR1Config, ECGR1ForConditionalGeneration
from ecg_r1.nano import nano_config, train_tokenizer
from ecg_r1.quantise import BYTES_PER_WEIGHT
from ecg_r1.room import sizes
from ecg_r1.sft.config import SFTConfig
from ecg_r1.sft.options import add_sft_options, settings_of
from ecg_r1.sft.recipes import RECIPES
from ecg_r1.sft.room import check_training, free_for_training, training_need

peft = pytest.importorskip("peft", reason="needs the extra 'train'")

from ecg_r1.sft.parts import merge_adapter, with_lora

GB = 10**9


def said(*words):
    parser = argparse.ArgumentParser()
    add_sft_options(parser)
    return settings_of(parser.parse_args(["--data", "corpus", *words]))


def test_without_a_recipe_the_settings_are_the_defaults():
    assert said().config == SFTConfig()
    assert (said().lora_rank, said().qlora) == (0, False)


def test_a_recipe_sets_what_is_not_said():
    assert said("--recipe", "8b-qlora") == RECIPES["8b-qlora"]
    other = said("--recipe", "8b-lora", "--steps", "7", "--lora-rank", "8", "--no-bf16")
    assert (other.config.steps, other.lora_rank, other.qlora) == (7, 8, False)
    assert (other.config.learning_rate, other.config.bf16) == (1e-4, False)
    assert other.config.gradient_checkpointing
    with pytest.raises(ECGError, match="--qlora needs the rank"):
        said("--recipe", "8b-qlora", "--lora-rank", "0")


@pytest.fixture(scope="module")
def eight_b():
    """The 8B with LoRA, without memory of its own."""
    config = ECGR1Config(**RELEASED, tie_word_embeddings=False)
    with torch.device("meta"):
        model = ECGR1ForConditionalGeneration(config).to(torch.bfloat16)
        return with_lora(model, RECIPES["8b-lora"].lora_rank, "paper"), sizes(config)


def test_lora_on_the_8b_needs_what_the_hand_sum_says(eight_b):
    """Rank 16 beside each of seven matrices in 36 layers; four mergers and the projector."""
    lora = 36 * 16 * (2 * (4096 + 4096) + 2 * (4096 + 1024) + 3 * (4096 + 12288))
    wide = 4 * 1152
    merger = wide * wide + wide + wide * 4096 + 4096
    mergers = 4 * merger + 2 * 1152 + 3 * 2 * wide  # one norm before merging, three behind
    projector = 768 * 4096 + 4096 + 4096 * 4096 + 4096
    learned = lora + mergers + projector
    assert learned == 224_075_008
    needed = training_need(eight_b[0], RECIPES["8b-lora"].config)
    assert needed.weights == 2 * 8_870_882_032 + 4 * learned
    assert needed.learning == 12 * learned
    tokens = 911 + 2048
    layer = 2 * tokens * (3 * 12288 + 8 * 4096)
    assert needed.activations == 36 * tokens * 4096 * 2 + layer
    assert needed.logits == 3 * 4 * 2048 * 151_672
    assert needed.total / GB == pytest.approx(27.3, abs=0.1)  # as the README says


def test_qlora_on_the_8b_fits_24_gigabytes(eight_b):
    model, size = eight_b
    base = size.decoder * BYTES_PER_WEIGHT["4bit"] + 2 * (size.total - size.decoder)
    config = RECIPES["8b-qlora"].config
    needed = training_need(model, config, weights=round(base) + 4 * 224_075_008)
    assert needed.total / GB == pytest.approx(17.0, abs=0.1)  # as the README says
    assert check_training(needed, 24 * GB).endswith("; the GPU has 24.0 GB")
    with pytest.raises(
        ECGError, match=r"needs about 17\.0 GB .* the GPU has 16\.0 GB: try --q"
    ):
        check_training(needed, 16 * GB)


def small_model():
    tokenizer = train_tokenizer(["A reading of few words."] * 20)
    torch.manual_seed(0)
    config = nano_config(tokenizer)
    config.text_config.num_hidden_layers = 1
    config.vision_config.depth = 1
    config.ecg_tower_config = config.ecg_tower_config | {"layers": 1}
    return ECGR1ForConditionalGeneration(config)


def batch_of(model):
    ids = torch.ones(1, 110, dtype=torch.long)
    ids[0, 2:103] = model.config.ecg_token_id
    signal = torch.randn(1, 12, 5000, generator=torch.Generator().manual_seed(0))
    return {"input_ids": ids, "ecg_values": signal, "labels": ids}


def test_beside_a_frozen_half_precision_base_float32_learns():
    model = small_model().to(torch.bfloat16)
    batch = batch_of(model)
    tuned = with_lora(model, 4, "paper")
    kinds = {p.dtype for p in tuned.parameters() if p.requires_grad}
    assert kinds == {torch.float32}
    assert {p.dtype for p in tuned.parameters() if not p.requires_grad} == {torch.bfloat16}
    with torch.autocast("cpu", torch.bfloat16):
        tuned(**batch).loss.backward()
    grads = {n: p.grad for n, p in tuned.named_parameters() if p.grad is not None}
    assert all(torch.isfinite(grad).all() for grad in grads.values())
    for part in ("lora_B", "ecg_projector"):
        assert any(part in name and grad.abs().sum() > 0 for name, grad in grads.items()), part
    assert free_for_training(tuned) is None


def test_an_adapter_merges_into_the_weights_before_quantisation(tmp_path, monkeypatch):
    model = small_model()
    model.save_pretrained(tmp_path / "base")
    tuned = with_lora(model, 4, "paper")
    with torch.no_grad():
        for parameter in tuned.parameters():
            if parameter.requires_grad:
                parameter.add_(0.01 * torch.randn_like(parameter))
    tuned.save_pretrained(tmp_path / "adapter")
    merge_adapter(str(tmp_path / "base"), tmp_path / "adapter", tmp_path / "out")
    theirs = tuned.merge_and_unload().state_dict()
    ours = ECGR1ForConditionalGeneration.from_pretrained(tmp_path / "out").state_dict()
    assert ours.keys() == theirs.keys()
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], atol=1e-6, rtol=1e-5)
    memory = namedtuple("Memory", "available")
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory(1000))
    with pytest.raises(ECGError, match="the same command merges it later"):
        merge_adapter(str(tmp_path / "base"), tmp_path / "adapter", tmp_path / "out")
