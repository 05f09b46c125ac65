"""The network against numbers recorded from the reference code, and its refusals."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText

from ecg_r1.model import ECGR1Config, ECGR1ForConditionalGeneration
from ecg_r1.tower import ECGTower, TowerConfig

TINY_TOWER = {"width": 64, "layers": 2, "head_width": 16, "embed_dim": 32}
IMAGE_PAD, ECG_PAD = 268, 282


@pytest.fixture(scope="module")
def reference(shared):
    return shared / "reference"


@pytest.fixture(scope="module")
def model(reference):
    return ECGR1ForConditionalGeneration.from_pretrained(
        reference / "tiny_ecgr1", ecg_tower_config=TINY_TOWER
    ).eval()


@pytest.fixture(scope="module")
def recorded(reference):
    return load_file(reference / "tiny_ecgr1_io.safetensors")


def inputs_of(recorded, case):
    ids = recorded[f"{case}.input_ids"]
    inputs = {
        "input_ids": ids,
        "attention_mask": recorded[f"{case}.attention_mask"],
        "ecg_values": recorded[f"{case}.ecg_features"],
    }
    if f"{case}.pixel_values" in recorded:
        inputs |= {
            "pixel_values": recorded[f"{case}.pixel_values"],
            "image_grid_thw": recorded[f"{case}.image_grid_thw"],
            "mm_token_type_ids": (ids == IMAGE_PAD).int(),
        }
    return inputs


def test_tower_gives_the_reference_output(reference):
    tower = ECGTower(TowerConfig(**TINY_TOWER))
    tower.load_state_dict(load_file(reference / "ecg_tower_tiny.safetensors"))
    recorded = np.load(reference / "ecg_tower_tiny_io.npz")
    with torch.no_grad():
        for given, expected in (("input", "output_tokens"), ("input_mv", "output_mv")):
            out = tower(torch.from_numpy(recorded[given]))
            torch.testing.assert_close(
                out, torch.from_numpy(recorded[expected]), atol=1e-5, rtol=0
            )


def test_full_size_tower_has_the_published_tensors(reference):
    full = json.loads((reference / "ecg_tower_names.json").read_text())["full"]
    with torch.device("meta"):
        ours = ECGTower(TowerConfig.named("coca_ViT-B-32")).state_dict()
    published = {name: shape for name, shape, *_ in full["params"]}
    assert {name: list(value.shape) for name, value in ours.items()} == published
    assert sum(value.numel() for value in ours.values()) == 85_989_888


@pytest.mark.parametrize("case", ["both", "ecg", "batch"])
def test_logits_match_the_reference(model, recorded, case):
    with torch.no_grad():
        logits = model(**inputs_of(recorded, case)).logits
    real = recorded[f"{case}.attention_mask"].bool()
    torch.testing.assert_close(
        logits[real], recorded[f"{case}.logits"][real], atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("case", ["both", "ecg", "batch"])
def test_greedy_tokens_match_the_reference_with_one_run_of_the_tower(model, recorded, case):
    inputs, calls = inputs_of(recorded, case), []
    hook = model.model.ecg_tower.register_forward_hook(lambda *_: calls.append(1))
    out = model.generate(**inputs, do_sample=False, max_new_tokens=20, min_new_tokens=20)
    hook.remove()
    assert (
        out[:, inputs["input_ids"].shape[1] :].tolist()
        == recorded[f"{case}.generated"].tolist()
    )
    assert calls == [1]  # the reference runs it 20 times for 20 tokens


def test_saving_and_loading_changes_no_tensor_and_the_auto_class_knows_it(model, tmp_path):
    model.save_pretrained(tmp_path)
    again = AutoModelForImageTextToText.from_pretrained(tmp_path)
    assert type(again) is ECGR1ForConditionalGeneration
    assert AutoConfig.from_pretrained(tmp_path).model_type == "ecg_r1"
    before, after = model.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def checkpoint_with(reference, folder, change):
    shutil.copytree(reference / "tiny_ecgr1", folder)
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_a_checkpoint_without_a_tower_tensor_is_refused_by_name(reference, tmp_path):
    lost = "model.ecg_tower.transformer.resblocks.1.attn.in_proj_weight"
    folder = checkpoint_with(reference, tmp_path / "c", lambda w: w.pop(lost))
    with pytest.raises(ValueError, match=f"missing.*{lost}"):
        ECGR1ForConditionalGeneration.from_pretrained(folder, ecg_tower_config=TINY_TOWER)


def test_a_checkpoint_with_an_unknown_tensor_is_refused_by_name(reference, tmp_path):
    def add(weights):
        weights["model.ecg_tower.extra"] = torch.zeros(1)

    folder = checkpoint_with(reference, tmp_path / "c", add)
    with pytest.raises(ValueError, match=r"unknown.*model\.ecg_tower\.extra"):
        ECGR1ForConditionalGeneration.from_pretrained(folder, ecg_tower_config=TINY_TOWER)


def test_a_tensor_of_another_shape_is_refused_by_name(reference, tmp_path):
    def widen(weights):
        weights["model.ecg_projector.0.bias"] = torch.zeros(65)

    folder = checkpoint_with(reference, tmp_path / "c", widen)
    with pytest.raises(ValueError, match=r"another shape.*ecg_projector\.0\.bias"):
        ECGR1ForConditionalGeneration.from_pretrained(folder, ecg_tower_config=TINY_TOWER)


def test_the_bare_model_is_as_strict_about_its_tensors(model, reference, tmp_path):
    model.save_pretrained(tmp_path / "whole")
    bare = AutoModel.from_pretrained(tmp_path / "whole")
    for name, value in bare.ecg_tower.state_dict().items():
        assert torch.equal(value, model.model.ecg_tower.state_dict()[name]), name
    weights = load_file(tmp_path / "whole" / "model.safetensors")
    weights.pop("model.ecg_tower.class_embedding")
    save_file(weights, tmp_path / "whole" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"missing.*class_embedding"):
        AutoModel.from_pretrained(tmp_path / "whole")


def test_two_configurations_at_once_are_refused(reference):
    with pytest.raises(ValueError, match="not both"):
        ECGR1ForConditionalGeneration.from_pretrained(
            reference / "tiny_ecgr1", config=tiny_config(), ecg_tower_config=TINY_TOWER
        )


def test_an_ecg_in_a_second_turn_is_refused_not_dropped(tiny):
    with torch.no_grad():
        cache = tiny(
            input_ids=torch.ones(1, 4, dtype=torch.long), use_cache=True
        ).past_key_values
        with pytest.raises(ValueError, match="filled cache"):
            tiny(
                input_ids=torch.full((1, 101), ECG_PAD),
                ecg_values=torch.zeros(1, 12, 5000),
                past_key_values=cache,
            )


def test_an_unknown_tower_name_is_refused_with_the_way_out(reference):
    with pytest.raises(ValueError, match=r"'tiny_coca'.*ecg_tower_config="):
        ECGR1ForConditionalGeneration.from_pretrained(reference / "tiny_ecgr1")


def tiny_config(**changes):
    """A few thousand parameters of every part, for tests that need no reference."""
    text = {
        "vocab_size": 300,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1e4,
            "mrope_section": [4, 2, 2],
        },
    }
    vision = {
        "depth": 1,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_heads": 2,
        "out_hidden_size": 32,
        "num_position_embeddings": 16,
        "deepstack_visual_indexes": [],
    }
    settings = {
        "text_config": text,
        "vision_config": vision,
        "image_token_id": IMAGE_PAD,
        "ecg_token_id": ECG_PAD,
        "ecg_tower_config": {"width": 24, "layers": 1, "head_width": 8, "embed_dim": 4},
    }
    return ECGR1Config(**(settings | changes))


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    return ECGR1ForConditionalGeneration(tiny_config()).eval()


def test_no_parameter_is_left_uninitialised_on_the_meta_device():
    torch.manual_seed(1)
    model = ECGR1ForConditionalGeneration(tiny_config())
    tower = model.model.ecg_tower
    for name in ("class_embedding", "positional_embedding", "proj"):
        assert 0.01 < getattr(tower, name).std().item() < 0.03, name  # normal, 0.02
    attention = tower.transformer.resblocks[0].attn
    assert 0.015 < attention.in_proj_weight.std().item() < 0.025
    assert attention.in_proj_bias.abs().max() == 0


@pytest.mark.parametrize(
    ("placeholders", "n_ecgs", "message"),
    [
        ([101], 0, "0 ECGs need 0 placeholders, got 101"),
        ([0], 1, "1 ECGs need 101 placeholders, got 0"),
        ([100], 1, r"needs 101 placeholders in its own sample, got \[100\]"),
        ([101, 101], 1, "1 ECGs need 101 placeholders, got 202"),
        ([50, 152], 2, r"needs 101 placeholders in its own sample, got \[50, 152\]"),
    ],
)
def test_every_mismatch_of_ecgs_and_placeholders_is_an_error(
    tiny, placeholders, n_ecgs, message
):
    ids = torch.ones(len(placeholders), 160, dtype=torch.long)
    for row, count in enumerate(placeholders):
        ids[row, 3 : 3 + count] = ECG_PAD
    signals = torch.zeros(n_ecgs, 12, 5000) if n_ecgs else None
    with pytest.raises(ValueError, match=message):
        tiny(input_ids=ids, ecg_values=signals)


def test_image_placeholders_without_pixels_are_an_error(tiny):
    ids = torch.full((1, 4), IMAGE_PAD)
    with pytest.raises(ValueError, match="4 image placeholders, but no pixel_values"):
        tiny(input_ids=ids)


def test_a_config_without_the_placeholder_id_cannot_ignore_an_ecg():
    model = ECGR1ForConditionalGeneration(tiny_config(ecg_token_id=None))
    with pytest.raises(ValueError, match="ecg_token_id is None"):
        model(
            input_ids=torch.ones(1, 120, dtype=torch.long), ecg_values=torch.zeros(1, 12, 5000)
        )


@pytest.mark.parametrize("samples", [2500, 4999, 5050])
def test_the_tower_refuses_other_lengths(tiny, samples):
    with pytest.raises(ValueError, match=rf"\(ecgs, 12, 5000\), got \(1, 12, {samples}\)"):
        tiny.model.ecg_tower(torch.zeros(1, 12, samples))


def test_both_stems_give_the_same_number_of_tokens():
    for stem in ("patch", "conv"):
        config = TowerConfig(width=24, layers=1, head_width=8, embed_dim=4, stem=stem)
        assert ECGTower(config)(torch.zeros(2, 12, 5000)).shape == (2, 101, 24)


@pytest.mark.parametrize(
    ("kind", "shapes"),
    [
        ("linear", [(32, 24)]),
        ("mlp2x_gelu", [(32, 24), (32, 32)]),
        ("mlp3x_gelu", [(32, 24), (32, 32), (32, 32)]),
    ],
)
def test_projector_layers_follow_its_name(kind, shapes):
    model = ECGR1ForConditionalGeneration(tiny_config(ecg_projector_type=kind))
    weights = [p for n, p in model.model.ecg_projector.named_parameters() if "weight" in n]
    assert [tuple(w.shape) for w in weights] == shapes


def test_an_unknown_projector_is_refused():
    with pytest.raises(ValueError, match="'mlp2x_relu'"):
        ECGR1ForConditionalGeneration(tiny_config(ecg_projector_type="mlp2x_relu"))


def test_an_old_cache_position_does_not_leak_into_the_next_batch(tiny):
    """Generation leaves M-RoPE offsets behind; a later forward pass must not use them."""
    ids = torch.arange(1, 9)[None]
    with torch.no_grad():
        fresh = tiny(input_ids=ids).logits
        tiny.model.rope_deltas = torch.tensor([[-50]])
        stale = tiny(input_ids=ids).logits
    torch.testing.assert_close(fresh, stale)


def test_images_and_ecgs_need_their_placeholder_ids_beside_embeddings(tiny):
    with pytest.raises(ValueError, match="need input_ids"):
        tiny(inputs_embeds=torch.zeros(1, 4, 32), ecg_values=torch.zeros(1, 12, 5000))


def test_gradients_reach_every_part_of_the_ecg_path(tiny):
    tiny.zero_grad()
    ids = torch.ones(1, 110, dtype=torch.long)
    ids[0, 2:103] = ECG_PAD
    signal = torch.randn(1, 12, 5000, generator=torch.Generator().manual_seed(0))
    tiny(input_ids=ids, ecg_values=signal, labels=ids).loss.backward()
    unused = {"ln_post.weight", "ln_post.bias", "proj"}  # ECG-CoCa's contrastive head
    for part in (tiny.model.ecg_tower, tiny.model.ecg_projector):
        for name, parameter in part.named_parameters():
            if name not in unused:
                assert parameter.grad is not None, name
                assert parameter.grad.abs().sum() > 0, name
    tiny.zero_grad()
