"""Random weights of the released 8B's shapes, made in memory: nothing is downloaded."""

from typing import Any

import torch
from transformers import AutoModelForImageTextToText
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from ecg_r1.loading import LoadedModel, load_model
from ecg_r1.model import ECGR1Config
from ecg_r1.processing import (
    ECG_PAD,
    IMAGE_END,
    IMAGE_PAD,
    IMAGE_START,
    REFERENCE_IMAGE_TOKENS,
    REFERENCE_SETTINGS,
    ECGR1Processor,
)

# The released configuration as far as it is known (its file could not be read): Qwen3-VL-8B's
# shapes, and embeddings cut to the tokenizer's 151,669 entries and the three of the ECG.
RELEASED: dict[str, Any] = {
    "text_config": {
        "vocab_size": 151_672,
        "hidden_size": 4096,
        "intermediate_size": 12_288,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "max_position_embeddings": 262_144,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 5_000_000.0,
            "mrope_section": [24, 20, 20],
            "mrope_interleaved": True,
        },
    },
    "vision_config": {
        "depth": 27,
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_heads": 16,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "out_hidden_size": 4096,
        "num_position_embeddings": 2304,
        "deepstack_visual_indexes": [8, 16, 24],
    },
    "ecg_model_config": "coca_ViT-B-32",
}
# The same network with small numbers, to run every line of this file in seconds.
TINY: dict[str, Any] = {
    "text_config": RELEASED["text_config"]
    | {
        "vocab_size": 4096,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
    }
    | {
        "rope_parameters": RELEASED["text_config"]["rope_parameters"]
        | {"mrope_section": [4, 2, 2]}
    },
    "vision_config": RELEASED["vision_config"]
    | {
        "depth": 4,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "out_hidden_size": 64,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0, 1, 2],
    },
    "ecg_tower_config": {"width": 64, "layers": 2, "head_width": 16, "embed_dim": 32},
}
SHAPES = {"8b": RELEASED, "tiny": TINY}


def random_model(shapes: dict[str, Any], device: torch.device) -> LoadedModel:
    """Random weights of these shapes, made where they are used, with nano's tokenizer.

    bfloat16 on a GPU, float32 on a CPU, as `load_model` has them.
    """
    tokenizer = load_model("nano", device="cpu").processor.tokenizer
    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in (ECG_PAD, IMAGE_PAD)}
    config = ECGR1Config(
        **shapes,
        tie_word_embeddings=False,
        image_token_id=ids[IMAGE_PAD],
        vision_start_token_id=tokenizer.convert_tokens_to_ids(IMAGE_START),
        vision_end_token_id=tokenizer.convert_tokens_to_ids(IMAGE_END),
        video_token_id=shapes["text_config"]["vocab_size"] - 1,  # none is ever shown
        ecg_token_id=ids[ECG_PAD],
    )
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config, dtype=dtype)
    torch.manual_seed(0)
    model.to_empty(device=device)
    with torch.no_grad():
        model.apply(model._init_weights)
    vision = config.vision_config
    token = (vision.patch_size * vision.spatial_merge_size) ** 2
    least, most = REFERENCE_IMAGE_TOKENS
    image_processor = Qwen2VLImageProcessorPil(
        patch_size=vision.patch_size,
        merge_size=vision.spatial_merge_size,
        temporal_patch_size=vision.temporal_patch_size,
        size={"shortest_edge": least * token, "longest_edge": most * token},
    )
    return LoadedModel(
        "random", model.eval(), ECGR1Processor(image_processor, tokenizer, REFERENCE_SETTINGS)
    )
