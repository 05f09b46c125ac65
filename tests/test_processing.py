"""Prompts, placeholders, padding, and what the reference's template recorded."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from ecg_r1.ecg import ECG, LEADS
from ecg_r1.nano import nano_config, nano_processor, train_tokenizer
from ecg_r1.processing import (
    NO_LOSS,
    ECGR1Processor,
    PromptSettings,
    tower_input,
)

TEXT = (
    "<think>\n**Step 1: Technical, Rate & Rhythm** Heart rate 72 bpm, axis -30 degrees.\n"
    "</think>\n"
    "Normal 12-lead ECG.\n<answer>sinus rhythm; normal ecg</answer>"
)
SIGNAL = np.zeros((12, 5000), np.float32)
PAGE = Image.new("RGB", (640, 448), "white")


@pytest.fixture(scope="module")
def processor():
    return nano_processor(train_tokenizer([TEXT] * 20))


def test_every_whole_number_to_699_is_one_token(processor):
    for number in range(700):
        assert len(processor.tokenizer(f" {number}")["input_ids"]) == 1, number


@pytest.mark.parametrize("text", [TEXT, "QTc 1234 ms\n\n  µV — ≥ 0.5", "V1-V4, aVR; II"])
def test_decoding_gives_back_any_text(processor, text):
    assert processor.tokenizer.decode(processor.tokenizer(text)["input_ids"]) == text


def test_saving_and_loading_keeps_settings_and_tokens(processor, tmp_path):
    processor.save_pretrained(tmp_path)
    again = ECGR1Processor.from_pretrained(tmp_path)
    assert again.prompt == processor.prompt
    assert again.tokenizer(TEXT)["input_ids"] == processor.tokenizer(TEXT)["input_ids"]
    batch = processor(["image"], images=[PAGE])
    torch.testing.assert_close(
        again(["image"], images=[PAGE])["pixel_values"], batch["pixel_values"]
    )


@pytest.mark.parametrize(
    ("environment", "ecgs", "images"),
    [("signal", 1, 0), ("image", 0, 1), ("image+signal", 1, 1)],
)
def test_only_shown_inputs_leave_a_trace_in_the_prompt(processor, environment, ecgs, images):
    batch = processor([environment], ecgs=[SIGNAL] * ecgs, images=[PAGE] * images)
    ids = batch["input_ids"]
    assert (ids == processor.ecg_token_id).sum() == 101 * ecgs
    assert (ids == processor.image_token_id).sum() == 70 * images  # 640 x 448 in 64 px tokens
    assert ("ecg_values" in batch, "pixel_values" in batch) == (bool(ecgs), bool(images))
    words = processor.tokenizer.decode(ids[0], skip_special_tokens=True)
    told = processor.prompt
    assert words == f"system\n{told.system}\nuser\n\n{told.question}\nassistant\n"


def test_order_of_the_tags_follows_the_environment(processor):
    def first(environment):
        ids = processor([environment], ecgs=[SIGNAL], images=[PAGE])["input_ids"][0].tolist()
        return ids.index(processor.ecg_token_id) < ids.index(processor.image_token_id)

    assert first("signal+image")
    assert not first("image+signal")


def test_generation_pads_left_and_training_right(processor):
    environments = ["signal", "signal+image"]
    inputs = {"ecgs": [SIGNAL] * 2, "images": [PAGE]}
    generation = processor(environments, **inputs)["attention_mask"]
    assert generation[0, 0] == 0
    assert generation[:, -1].tolist() == [1, 1]
    training = processor(environments, **inputs, answers=[TEXT, TEXT])["attention_mask"]
    assert training[:, 0].tolist() == [1, 1]
    assert training[0, -1] == 0


def test_loss_is_taken_on_the_answer_alone_and_skips_unlearned_spans(processor):
    start = TEXT.index("Heart rate 72 bpm")
    batch = processor(
        ["signal"],
        ecgs=[SIGNAL],
        answers=[TEXT],
        unlearned=[[(start, start + len("Heart rate 72 bpm"))]],
    )
    learned = batch["labels"][0]
    told = processor.tokenizer.decode(learned[learned != NO_LOSS])
    assert told == TEXT.replace(" Heart rate 72 bpm", "") + "<|im_end|>"


@pytest.mark.parametrize(
    ("environments", "ecgs", "images", "message"),
    [
        (["signal"], 0, 0, "1 samples show the signal, but 0 were given"),
        (["image"], 1, 1, "0 samples show the signal, but 1 were given"),
        (["signal+image", "image"], 1, 1, "2 samples show the image, but 1 were given"),
        (["both"], 1, 1, "'both'"),
    ],
)
def test_inputs_that_do_not_fit_the_environments_are_refused(
    processor, environments, ecgs, images, message
):
    with pytest.raises(ValueError, match=message):
        processor(environments, ecgs=[SIGNAL] * ecgs, images=[PAGE] * images)


def test_transparent_pixels_become_white_paper_not_black(processor):
    """The reference shows its model a black page."""
    clear = processor(["image"], images=[Image.new("RGBA", (640, 448), (0, 0, 0, 0))])
    white = processor(["image"], images=[PAGE])
    assert torch.equal(clear["pixel_values"], white["pixel_values"])


def test_tower_input_pads_cuts_and_hides_gaps():
    ramp = np.arange(12 * 6000, dtype=np.float32).reshape(12, 6000)
    ramp[3, 7] = np.nan
    settings = PromptSettings()
    cut = tower_input(ECG(ramp, "test"), settings)
    assert cut.shape == (12, 5000)
    assert cut[3, 7] == 0
    assert cut[11, 4999] == ramp[11, 4999]
    padded = tower_input(ECG(ramp[:, :2000], "test"), settings)
    assert padded[0, 1999] == 1999
    assert not padded[:, 2000:].any()


def test_lead_order_is_a_setting_matched_by_name():
    """MIMIC-IV-ECG stores aVF before aVL."""
    rows = np.repeat(np.arange(12, dtype=np.float32)[:, None], 500, axis=1)
    mimic = [*LEADS[:4], "aVF", "aVL", *LEADS[6:]]
    values = tower_input(ECG(rows, "test"), PromptSettings(lead_order=mimic))
    assert values[:, 0].tolist() == [0, 1, 2, 3, 5, 4, 6, 7, 8, 9, 10, 11]
    with pytest.raises(ValueError, match="lead_order"):
        PromptSettings(lead_order=mimic[:11])


def test_a_tokenizer_without_the_ecg_tokens_is_refused(processor):
    from transformers import PreTrainedTokenizerFast

    plain = json.loads(processor.tokenizer.backend_tokenizer.to_str())
    plain["added_tokens"] = [t for t in plain["added_tokens"] if "ecg_pad" not in t["content"]]
    del plain["model"]["vocab"]["<|ecg_pad|>"]
    from tokenizers import Tokenizer

    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(plain)))
    with pytest.raises(ValueError, match=r"ecg_pad"):
        ECGR1Processor(processor.image_processor, tokenizer)


def test_prompt_of_the_reference_checkpoint_is_token_for_token_the_same(shared):
    from safetensors.torch import load_file

    reference = shared / "reference"
    settings = {"question": "Interpret the ECG."}
    processor = ECGR1Processor.from_pretrained(reference / "tiny_ecgr1", settings=settings)
    recorded = load_file(reference / "tiny_ecgr1_io.safetensors")
    ours = processor(["signal"], ecgs=[SIGNAL])
    assert ours["input_ids"].tolist() == recorded["ecg.input_ids"].tolist()


def test_reference_checkpoints_get_the_image_budget_they_were_trained_with(shared):
    """Sizes and tokens as recorded from the reference's own resizing.

    A strip 10 pixels high is left out: transformers rounds it in another way; it is no page.
    """
    reference = shared / "reference"
    processor = ECGR1Processor.from_pretrained(reference / "tiny_ecgr1")
    recorded = json.loads((reference / "template.json").read_text())
    cases = [c for c in recorded["smart_resize_factor32_max768"] if c["h"] > 10]
    assert len(cases) > 15
    for case in cases:
        page = Image.new("RGB", (case["w"], case["h"]), "white")
        seen = processor(["image"], images=[page])
        assert seen["image_grid_thw"].tolist() == [[1, case["rh"] // 16, case["rw"] // 16]]
        assert (seen["input_ids"] == processor.image_token_id).sum() == case["tokens"]


def test_nano_fits_its_budget(processor):
    config = nano_config(processor.tokenizer)
    assert config.tower.tokens == processor.prompt.ecg_tokens == 101
    vision = config.vision_config
    assert vision.patch_size * vision.spatial_merge_size == 64
