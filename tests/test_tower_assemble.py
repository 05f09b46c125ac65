"""Qwen3-VL and an ECG-CoCa tower into one model, with small stand-ins for both."""

import json
import os

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer
from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLConfig
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLForConditionalGeneration

from ecg_r1.assemble import assemble, check_loaded, load_tower, read_coca, tower_config
from ecg_r1.ecg import ECGError
from ecg_r1.loading import load_model
from ecg_r1.processing import ECG_PAD
from ecg_r1.sft.parts import check_tower
from ecg_r1.tower import ECGTower

HEAD_WIDTH = 16  # of the reference's tiny tower


@pytest.fixture(scope="module")
def tensors(shared):
    return load_file(shared / "reference" / "ecg_tower_tiny.safetensors")


@pytest.fixture(scope="module")
def coca(tensors, tmp_path_factory):
    """A file laid out as ECG-CoCa's, with what else stands in it."""
    file = tmp_path_factory.mktemp("coca") / "cpt_wfep_epoch_20.pt"
    state = {f"module.ecg.{name}": value for name, value in tensors.items()}
    state |= {"module.text.proj.weight": torch.ones(2, 2), "module.logit_scale": torch.ones(())}
    torch.save(
        {"epoch": 20, "name": "wfep", "state_dict": state, "optimizer": {"lr": 1e-4}}, file
    )
    return file


@pytest.fixture(scope="module")
def qwen(shared, tmp_path_factory):
    """A tiny Qwen3-VL without any ECG part, its embeddings padded as Qwen's are."""
    tiny = shared / "reference" / "tiny_ecgr1"
    folder = tmp_path_factory.mktemp("qwen")
    plain = json.loads((tiny / "config.json").read_text())
    plain = {k: v for k, v in plain.items() if not k.startswith("ecg_")}
    plain["text_config"]["vocab_size"] = 320
    torch.manual_seed(0)
    model = Qwen3VLForConditionalGeneration(Qwen3VLConfig.from_dict(plain))
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny).save_pretrained(folder)
    for name in ("preprocessor_config.json", "chat_template.jinja"):
        (folder / name).write_bytes((tiny / name).read_bytes())
    return folder, model.state_dict()


@pytest.fixture(scope="module")
def made(qwen, coca):
    return assemble(str(qwen[0]), coca, head_width=HEAD_WIDTH)


def test_every_tower_tensor_equals_its_source(made, tensors):
    tower = made[0].model.ecg_tower.state_dict()
    assert tower.keys() == tensors.keys()
    assert all(torch.equal(tower[name], tensors[name]) for name in tensors)


def test_every_tensor_of_qwen_equals_its_source_and_only_the_projector_is_new(made, qwen):
    own = made[0].state_dict()
    for name, value in qwen[1].items():
        rows = min(len(value), len(own[name])) if value.ndim else None
        assert torch.equal(own[name][:rows], value[:rows]), name
    new = own.keys() - qwen[1].keys()
    assert all("ecg_tower" in name or "ecg_projector" in name for name in new)
    assert all(torch.isfinite(own[name]).all() for name in new)


def test_the_saved_model_loads_and_its_tower_may_be_frozen(made, tensors, tmp_path):
    for part in made:
        part.save_pretrained(tmp_path)
    loaded = load_model(str(tmp_path), device="cpu")
    check_tower(loaded.model, "paper")
    check_loaded(loaded.model.model.ecg_tower, tensors)
    ids = loaded.processor.tokenizer.convert_tokens_to_ids(ECG_PAD)
    assert loaded.model.config.ecg_token_id == ids < loaded.model.config.text_config.vocab_size
    assert loaded.processor.prompt.ecg_tokens == loaded.model.config.tower.tokens


def test_the_wrong_order_is_noticed(made, qwen, tensors):
    """Loading the plain Qwen3-VL over a finished model initialises the tower anew."""
    tower = made[0].model.ecg_tower
    tower_before = {name: value.clone() for name, value in tower.state_dict().items()}
    made[0]._init_weights(tower.transformer.resblocks[0].mlp.c_fc)
    with pytest.raises(ECGError, match=r"2 of 32 tensors .* differ .* after all other weights"):
        check_loaded(tower, tensors)
    tower.load_state_dict(tower_before)


@pytest.mark.parametrize(
    "name", ["ln_pre.weight", "transformer.resblocks.1.mlp.c_fc.bias", "proj"]
)
def test_a_half_loaded_tower_is_refused_and_left_alone(tensors, name):
    tower = ECGTower(tower_config(tensors, HEAD_WIDTH))
    for parameter in tower.parameters():
        torch.nn.init.normal_(parameter)
    before = {key: value.clone() for key, value in tower.state_dict().items()}
    half = {key: value for key, value in tensors.items() if key != name}
    with pytest.raises(ECGError, match=f"1 tensors are missing .{name}"):
        load_tower(tower, half)
    assert all(torch.equal(before[key], value) for key, value in tower.state_dict().items())
    with pytest.raises(ECGError, match="another shape"):
        load_tower(tower, tensors | {name: torch.ones(3)})
    with pytest.raises(ECGError, match=r"unknown to the tower \(more\)"):
        load_tower(tower, tensors | {"more": torch.ones(3)})


def test_a_source_that_was_never_trained_is_refused(tensors):
    tower = ECGTower(tower_config(tensors, HEAD_WIDTH))
    new = {name: value.clone() for name, value in tensors.items()}
    for name, value in new.items():
        if "ln_" in name and name.endswith("weight"):
            value.fill_(1)
        elif name.endswith("bias"):
            value.zero_()
    with pytest.raises(ECGError, match="never trained"):
        load_tower(tower, new)


class Evil:
    def __reduce__(self):
        return os.system, ("true",)


def test_what_is_no_tower_is_refused_without_running_it(tmp_path):
    torch.save({"state_dict": {"module.ecg.a": Evil()}}, tmp_path / "evil.pt")
    with pytest.raises(ECGError, match="no checkpoint that can be read safely"):
        read_coca(tmp_path / "evil.pt")
    torch.save({"state_dict": {"module.text.a": torch.ones(1)}}, tmp_path / "text.pt")
    with pytest.raises(ECGError, match=r"no tensor named module.ecg.\*, but module.text.a"):
        read_coca(tmp_path / "text.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "text.pt").read_bytes()[:200])
    with pytest.raises(ECGError, match=r"cut\.pt"):
        read_coca(tmp_path / "cut.pt")
    with pytest.raises(ECGError, match=r"absent\.pt"):
        read_coca(tmp_path / "absent.pt")


def test_a_qwen_without_weights_is_refused(qwen, coca, tmp_path):
    for file in qwen[0].iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ECGError, match="no Qwen3-VL could be loaded"):
        assemble(str(tmp_path), coca, head_width=HEAD_WIDTH)
