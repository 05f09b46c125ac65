"""The released checkpoint's form, from its shards to what the model sees."""

import json
import math
import re

import numpy as np
import pytest
import torch
from hub_server import REPO, serving
from PIL import Image
from released import (
    SHARDS,
    TOWER,
    tower_shapes,
    write_released,
    write_shards,
)
from safetensors import safe_open
from safetensors.torch import load_file

from ecg_r1 import draw_page, interpret, read_ecg
from ecg_r1.ecg import ECG, LEADS, ECGError
from ecg_r1.loading import check_parts, load_model
from ecg_r1.page import PAGE_S
from ecg_r1.pictures import looks_like_page
from ecg_r1.processing import (
    LEAD_ORDERS,
    REFERENCE_SETTINGS,
    ECGR1Processor,
    PromptSettings,
    tower_input,
)
from ecg_r1.tower import NAMED_TOWERS

ECG_END_ID = 284  # of the reference's tiny tokenizer
TINY_TOWER = {"width": 64, "layers": 2, "head_width": 16, "embed_dim": 32}


@pytest.fixture(scope="module")
def named():
    """The CoCa configuration's name stands for a narrow tower of as many blocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NAMED_TOWERS, "coca_ViT-B-32", TOWER)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("released")
    write_released(folder)
    return folder


@pytest.fixture(scope="module")
def loaded(folder, named):
    return load_model(folder, device="cpu")


def stored(folder):
    tensors = {}
    for file in folder.glob("*.safetensors"):
        tensors |= load_file(file)
    return tensors


def test_the_stand_in_has_the_names_of_the_published_tower(shared):
    full = json.loads((shared / "reference" / "ecg_tower_names.json").read_text())["full"]
    assert tower_shapes(768, 512) == {name: tuple(shape) for name, shape, *_ in full["params"]}


def test_the_stand_in_has_the_parts_of_the_published_shards(folder):
    names = set(stored(folder))
    assert len(list(folder.glob("model-*.safetensors"))) == SHARDS
    assert sum(name.startswith("model.ecg_tower.") for name in names) == 152
    assert sum(name.startswith("model.ecg_projector.") for name in names) == 4
    assert "lm_head.weight" in names
    mergers = ["model.visual.merger.linear_fc1.weight"]
    mergers += [f"model.visual.deepstack_merger_list.{i}.linear_fc1.weight" for i in range(3)]
    mergers += ["model.visual.blocks.3.mlp.linear_fc1.weight"]
    mergers += ["model.language_model.layers.2.self_attn.q_norm.weight"]
    assert names >= set(mergers)


def test_every_tensor_of_the_shards_is_in_the_model_and_no_other(loaded, folder):
    own, theirs = loaded.model.state_dict(), stored(folder)
    assert own.keys() == theirs.keys()
    assert all(torch.equal(own[name].to(torch.bfloat16), theirs[name]) for name in theirs)
    assert loaded.warnings == ()


def test_the_configuration_is_ours_with_the_tower_by_its_name(loaded):
    config = loaded.model.config
    assert config.model_type == "ecg_r1"
    assert (config.tower.width, config.tower.layers) == (24, 12)
    assert not hasattr(config, "ecg_tower_path")  # it points nowhere
    assert config.text_config.rope_parameters["mrope_section"] == [4, 2, 2]
    assert config.ecg_token_id == loaded.processor.ecg_token_id
    assert not loaded.model.generation_config.do_sample  # the paper reads greedily
    assert loaded.model.generation_config.temperature is None


def test_the_stand_in_reads_an_ecg_in_all_three_arms(loaded, assets):
    ecg = read_ecg(assets / "ecgs" / "A0002.hea")
    told = interpret(ecg=ecg, model=loaded, max_new_tokens=3)
    assert all(reading.n_tokens == 3 or reading.text for reading in told.values())
    assert len({reading.problem for reading in told.values()}) == 1


def changed(folder, out, change):
    """A copy of the checkpoint with other tensors."""
    out.mkdir()
    for file in folder.iterdir():
        if file.suffix != ".safetensors":
            (out / file.name).write_bytes(file.read_bytes())
    tensors = stored(folder)
    change(tensors)
    write_shards(out, tensors)
    return out


def test_a_missing_and_an_unknown_tensor_are_named(folder, named, tmp_path):
    lost = "model.ecg_tower.transformer.resblocks.11.attn.in_proj_weight"

    def swap(tensors):
        tensors["model.ecg_tower.extra"] = tensors.pop(lost)

    out = changed(folder, tmp_path / "c", swap)
    with pytest.raises(
        ECGError, match=rf"missing \({lost}\).*unknown.*\(model\.ecg_tower\.ext"
    ):
        load_model(out, device="cpu")


def as_new(tensors):
    """What the reference's loading bug leaves of the pretrained tower."""
    chance = torch.Generator().manual_seed(7)
    for name, value in tensors.items():
        if (
            not name.startswith("model.ecg_tower.")
            or "embedding" in name
            or name.endswith("tower.proj")
        ):
            continue
        if ".ln_" in name:
            value.fill_(1.0 if name.endswith("weight") else 0.0)
        elif name.endswith("bias"):
            value.zero_()
        else:
            value.copy_(0.02 * torch.randn(value.shape, generator=chance))


def test_a_tower_lost_on_the_way_is_told_with_what_it_means(folder, named, tmp_path):
    out, lines = changed(folder, tmp_path / "c", as_new), []
    loaded = load_model(out, device="cpu", tell=lines.append)
    assert len(loaded.warnings) == 1
    assert "exactly 1, biases exactly 0" in loaded.warnings[0]
    assert re.search(r"standard deviation of 0\.0(199|200|201) ", loaded.warnings[0])
    assert lines[-1] == f"Warning: {loaded.warnings[0]}"


def test_one_trained_scale_speaks_against_a_lost_tower(folder, named, tmp_path):
    def nearly(tensors):
        as_new(tensors)
        tensors["model.ecg_tower.transformer.resblocks.5.ln_2.weight"][3] = 0.75

    out = changed(folder, tmp_path / "c", nearly)
    assert load_model(out, device="cpu").warnings == ()


def test_an_id_that_the_reference_forgot_comes_from_the_tokenizer(folder, named, tmp_path):
    out = changed(folder, tmp_path / "c", lambda tensors: None)
    config = json.loads((out / "config.json").read_text())
    token = config.pop("ecg_token_id")
    (out / "config.json").write_text(json.dumps(config))
    assert load_model(out, device="cpu").model.config.ecg_token_id == token
    (out / "config.json").write_text(json.dumps(config | {"ecg_token_id": token + 1}))
    with pytest.raises(ECGError, match=rf"ecg_pad\|>: the model has {token + 1}, its"):
        load_model(str(out) + "/", device="cpu")


def test_a_tokenizer_of_more_words_than_rows_is_refused(loaded):
    rows = loaded.model.config.text_config.vocab_size
    loaded.model.config.text_config.vocab_size -= 1
    try:
        with pytest.raises(ValueError, match=rf"knows {rows} tokens, the model {rows - 1}"):
            check_parts(loaded.model, loaded.processor)
    finally:
        loaded.model.config.text_config.vocab_size += 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"model_type": "llama"}, "describes a 'llama', which is no ECG-R1"),
        ({"model_type": "qwen3_vl"}, "without an ECG tower.*tower assemble"),
        ({"model_type": "qwen3_vl", "ecg_model_config": "coca_RN"}, "tower 'coca_RN', known"),
    ],
)
def test_another_kind_of_checkpoint_is_refused_before_its_weights(content, said, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(ECGError, match=said):
        load_model(tmp_path, device="cpu")


# ---- from the hub


def test_from_the_hub_facts_come_first_and_the_cache_serves_offline(
    folder, named, tmp_path, monkeypatch
):
    lines = []
    with serving(folder, tmp_path / "cache", monkeypatch) as hub:
        hub.cut["model-00002-of-00004.safetensors"] = 5_000
        first = load_model(REPO, device="cpu", tell=lines.append)
        again = [line for line in hub.asked if "GET" in line and "model-00002" in line]
        assert len(again) == 2
        assert not any("README" in line for line in hub.asked)
    assert lines[0].startswith(f"{REPO}, revision f9257759, licence apache-2.0\n")
    again = load_model(REPO, device="cpu", revision="main", tell=lines.append)  # hub is gone
    assert len(lines) == 1
    ours, theirs = first.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert load_model(REPO, device="cpu") is first  # kept


def test_too_little_memory_is_told_before_the_weights_are_fetched(
    folder, named, tmp_path, monkeypatch
):
    monkeypatch.setattr("ecg_r1.loading.free_memory", lambda device: 500_000_000)
    with serving(folder, tmp_path / "cache", monkeypatch) as hub:
        with pytest.raises(
            ECGError, match=r"needs about 1\.. GB .* and 0\.5 GB are free: try a"
        ):
            load_model(REPO, device="cpu", revision=hub.commit)
        assert not any("safetensors" in line for line in hub.asked)


def test_a_folder_has_no_revision_and_an_unknown_device_is_named(folder):
    with pytest.raises(ECGError, match=r"is a folder and has no revision 'v2'"):
        load_model(folder, revision="v2")
    with pytest.raises(ECGError, match="device 'gpu' cannot be used here"):
        load_model(folder, device="gpu")


# ---- what the model sees


def test_signal_rows_stand_in_the_order_that_was_trained(loaded):
    """MIMIC-IV-ECG: aVF before aVL; the option puts them as in other databases."""
    prompt = loaded.processor.prompt
    assert prompt.lead_order == (*LEADS[:4], "aVF", "aVL", *LEADS[6:]) == LEAD_ORDERS["mimic"]
    rows = np.repeat(np.arange(12, dtype=np.float32)[:, None], 5000, axis=1)
    values = tower_input(ECG(rows, "test"), prompt)
    assert values[:, 0].tolist() == [0, 1, 2, 3, 5, 4, 6, 7, 8, 9, 10, 11]


def test_the_lead_order_can_be_chosen_without_loading_twice(loaded, folder):
    other = load_model(folder, device="cpu", lead_order="standard")
    assert other.model is load_model(folder, device="cpu").model
    assert other.processor.prompt.lead_order == LEADS
    assert load_model(folder, device="cpu").processor.prompt.lead_order != LEADS
    with pytest.raises(ECGError, match="standard, mimic, got 'ptbxl'"):
        load_model(folder, lead_order="ptbxl")


def test_the_signal_is_what_the_reference_loads(shared):
    """Millivolts at 500 Hz, gaps as 0, cut to and filled up to 10 s; nothing else is done."""
    reference = shared / "reference"
    recorded = np.load(reference / "load_ecg.npz")
    settings = PromptSettings()
    for name in ("ecg5000", "ecg2500", "ecg6000"):
        ours = tower_input(read_ecg(reference / f"{name}.hea"), settings)
        np.testing.assert_allclose(ours, recorded[name], atol=1e-6)


def test_the_prompt_of_both_inputs_is_token_for_token_the_reference(shared):
    """Order of the tags, the words, the page's patches: recorded from the reference."""
    reference = shared / "reference"
    recorded = load_file(reference / "tiny_ecgr1_io.safetensors")
    settings = REFERENCE_SETTINGS | {"question": "Interpret the ECG."}
    processor = ECGR1Processor.from_pretrained(reference / "tiny_ecgr1", settings=settings)
    page = Image.open(reference / "tiny_image_96x64.png")
    signal = np.zeros((12, 5000), np.float32)
    ours = processor(["signal+image"], ecgs=[signal], images=[page])
    theirs = recorded["both.input_ids"][0].tolist()
    # The record was made from "<ecg>\n<image>"; samples for training have no break there.
    theirs.pop(theirs.index(ECG_END_ID) + 1)
    assert ours["input_ids"][0].tolist() == theirs
    assert ours["image_grid_thw"].tolist() == recorded["both.image_grid_thw"].tolist()
    torch.testing.assert_close(
        ours["pixel_values"], recorded["both.pixel_values"], atol=1e-6, rtol=0
    )


def patches_by_hand(page):
    """Qwen's patches of one picture: bicubic to multiples of 32, -1..1, 16 px, 2 x 2 merged."""
    width, height = page.size
    budget = 768 * 32 * 32
    sides = [max(32, round(side / 32) * 32) for side in (height, width)]
    if math.prod(sides) > budget:
        shrink = math.sqrt(height * width / budget)
        sides = [math.floor(side / shrink / 32) * 32 for side in (height, width)]
    small = page.resize((sides[1], sides[0]), Image.Resampling.BICUBIC)
    pixels = (np.asarray(small, dtype=np.float64) / 255 - 0.5) / 0.5
    down, across = sides[0] // 16, sides[1] // 16
    out = []
    for top in range(0, down, 2):
        for left in range(0, across, 2):
            for row in (top, top + 1):
                for column in (left, left + 1):
                    patch = pixels[row * 16 : row * 16 + 16, column * 16 : column * 16 + 16]
                    twice = np.repeat(patch.transpose(2, 0, 1)[:, None], 2, axis=1)
                    out.append(twice.reshape(-1))
    return (down, across), np.stack(out)


@pytest.mark.parametrize("size", [(2200, 1700), (333, 250)])
def test_a_page_becomes_the_patches_of_bicubic_arithmetic(loaded, size):
    chance = np.random.default_rng(3)
    coarse = Image.fromarray(chance.integers(0, 255, (17, 22, 3), dtype=np.uint8))
    page = coarse.resize(size, Image.Resampling.BILINEAR)
    seen = loaded.processor(["image"], images=[page])
    grid, patches = patches_by_hand(page)
    assert seen["image_grid_thw"].tolist() == [[1, *grid]]
    np.testing.assert_allclose(seen["pixel_values"].numpy(), patches, atol=1e-5)
    n_tokens = int((seen["input_ids"] == loaded.processor.image_token_id).sum())
    assert n_tokens == grid[0] * grid[1] // 4 <= 768


def test_the_default_page_is_the_one_of_ecg_image_kit(loaded, assets):
    """Letter at 200 dpi, twelve rows and the strip, red grid; 744 tokens as recorded."""
    ecg = read_ecg(assets / "ecgs" / "A0002.hea")
    page = draw_page(ecg, **loaded.page)
    assert page.size == (2200, 1700)
    seen = loaded.processor(["image"], images=[page])
    assert int((seen["input_ids"] == loaded.processor.image_token_id).sum()) == 744
    assert looks_like_page(page) == (True, "")
    pixels = np.asarray(page).astype(int)
    top = pixels[: round(30 / 25.4 * 200)]  # no trace here
    red = (top[..., 0] > 200) & (top[..., 1] < 90)
    assert np.flatnonzero(red.mean(axis=0) > 0.9)[1:4] == pytest.approx(
        [39, 79, 118], abs=1
    )  # every 5 mm


def test_the_rows_of_the_kit_page_stand_where_its_arithmetic_puts_them():
    """Rows of a fifteenth of 215.9 mm counted from below, the trace from 10 to 260 mm."""
    signal = np.full((12, 5000), np.nan, dtype=np.float32)
    style = REFERENCE_SETTINGS["page"]
    empty = np.asarray(draw_page(ECG(signal, "gaps"), **style)).astype(int)
    per_mm = 200 / 25.4
    for lead, above_mm in (("V4", 12.5 * 215.9 / 15), ("III", 1.5 * 215.9 / 15)):
        drawn = signal.copy()
        drawn[LEADS.index(lead)] = 0.0
        ink = np.abs(np.asarray(draw_page(ECG(drawn, "flat"), **style)) - empty).sum(axis=2)
        rows, columns = np.nonzero(ink > 60)
        assert rows.mean() == pytest.approx((215.9 - above_mm) * per_mm, abs=1.5)
        assert columns.min() == pytest.approx(10 * per_mm, abs=2)
        assert columns.max() == pytest.approx((10 + 25 * PAGE_S) * per_mm, abs=2)


def test_the_reference_checkpoint_itself_loads_by_its_towers_name(shared, monkeypatch):
    """What the reference code saved; its tower has a name that no one else knows."""
    monkeypatch.setitem(NAMED_TOWERS, "tiny_coca", TINY_TOWER)
    folder = shared / "reference" / "tiny_ecgr1"
    loaded = load_model(folder, device="cpu")
    with safe_open(folder / "model.safetensors", "pt") as file:
        theirs = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    own = loaded.model.state_dict()
    assert own.keys() == theirs.keys()
    assert all(torch.equal(own[name], theirs[name]) for name in theirs)
    assert loaded.model.config.ecg_token_id == loaded.processor.ecg_token_id == 282
    assert loaded.page == REFERENCE_SETTINGS["page"]
