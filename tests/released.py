"""A checkpoint of the released 8B's form: fewer and narrower layers, but the tower's twelve.

The form is written out by hand (../shared/ecg-r1.md, A3.4 and B2) and by plain transformers,
not by our own classes, which shall read it.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLConfig
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLForConditionalGeneration

from ecg_r1.nano import train_tokenizer

SHARDS = 4
# What "coca_ViT-B-32" stands for here; as many blocks, narrower.
TOWER = {"width": 24, "head_width": 8, "embed_dim": 4}
BLOCKS = 12
TEXT = "<think>\n**Step 1: Technical, Rate & Rhythm** Heart rate 72 bpm.\n</think>"


def tower_shapes(width: int = 24, embed_dim: int = 4) -> dict[str, tuple[int, ...]]:
    """Names and shapes of ECG-CoCa's tower, as its own code makes them."""
    shapes = {
        "class_embedding": (width,),
        "positional_embedding": (101, width),
        "proj": (width, embed_dim),
        "conv1.weight": (width, 12, 50),
    }
    for norm in ("ln_pre", "ln_post"):
        shapes |= {f"{norm}.weight": (width,), f"{norm}.bias": (width,)}
    for i in range(BLOCKS):
        block = {
            "ln_1.weight": (width,),
            "ln_1.bias": (width,),
            "attn.in_proj_weight": (3 * width, width),
            "attn.in_proj_bias": (3 * width,),
            "attn.out_proj.weight": (width, width),
            "attn.out_proj.bias": (width,),
            "ln_2.weight": (width,),
            "ln_2.bias": (width,),
            "mlp.c_fc.weight": (4 * width, width),
            "mlp.c_fc.bias": (4 * width,),
            "mlp.c_proj.weight": (width, 4 * width),
            "mlp.c_proj.bias": (width,),
        }
        shapes |= {f"transformer.resblocks.{i}.{name}": shape for name, shape in block.items()}
    return shapes


def released_config(tokenizer: Any, **changes: Any) -> dict[str, Any]:
    """`config.json` as the reference code saves it (transformers 4.57), with small numbers."""
    ids = {token: tokenizer.convert_tokens_to_ids(f"<|{token}|>") for token in _NAMED}
    text = {
        "attention_bias": False,
        "bos_token_id": ids["im_start"],
        "dtype": "bfloat16",
        "eos_token_id": ids["im_end"],
        "head_dim": 16,
        "hidden_act": "silu",
        "hidden_size": 32,
        "initializer_range": 0.02,
        "intermediate_size": 48,
        "max_position_embeddings": 262144,
        "model_type": "qwen3_vl_text",
        "num_attention_heads": 2,
        "num_hidden_layers": 3,
        "num_key_value_heads": 1,
        "rms_norm_eps": 1e-06,
        "rope_scaling": {
            "mrope_interleaved": True,
            "mrope_section": [4, 2, 2],
            "rope_type": "default",
        },
        "rope_theta": 5000000,
        "use_cache": True,
        "vocab_size": len(tokenizer),
    }
    vision = {
        "deepstack_visual_indexes": [0, 1, 2],
        "depth": 4,
        "dtype": "bfloat16",
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_size": 16,
        "in_channels": 3,
        "initializer_range": 0.02,
        "intermediate_size": 20,
        "model_type": "qwen3_vl",
        "num_heads": 2,
        "num_position_embeddings": 64,
        "out_hidden_size": 32,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    }
    return {
        "architectures": ["ECGR1ForConditionalGeneration"],
        "dtype": "bfloat16",
        "ecg_hidden_size": 768,
        "ecg_model_config": "coca_ViT-B-32",
        "ecg_projector_type": "mlp2x_gelu",
        "ecg_token_id": ids["ecg_pad"],
        "ecg_tower_path": "ecg_coca/checkpoint/cpt_wfep_epoch_20.pt",
        "hidden_size": 32,
        "image_token_id": ids["image_pad"],
        "model_type": "qwen3_vl",
        "pad_token_id": tokenizer.pad_token_id,
        "text_config": text,
        "tie_word_embeddings": False,
        "transformers_version": "4.57.1",
        "video_token_id": len(tokenizer) - 1,
        "vision_config": vision,
        "vision_end_token_id": ids["vision_end"],
        "vision_start_token_id": ids["vision_start"],
    } | changes


_NAMED = ("im_start", "im_end", "ecg_pad", "image_pad", "vision_start", "vision_end")
_PREPROCESSOR = {
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_processor_type": "Qwen2VLImageProcessorFast",
    "image_std": [0.5, 0.5, 0.5],
    "merge_size": 2,
    "patch_size": 16,
    "processor_class": "Qwen3VLProcessor",
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
    "size": {"longest_edge": 16777216, "shortest_edge": 65536},
    "temporal_patch_size": 2,
}
_GENERATION = {"do_sample": True, "temperature": 0.7, "top_p": 0.8, "top_k": 20}


def released_tensors(config: dict[str, Any], seed: int = 0) -> dict[str, torch.Tensor]:
    """Random tensors by the names of the released shards, bfloat16."""
    plain = {k: v for k, v in config.items() if not k.startswith("ecg_")}
    with torch.device("meta"):
        qwen = Qwen3VLForConditionalGeneration(Qwen3VLConfig.from_dict(plain))
    shapes = {name: tuple(value.shape) for name, value in qwen.state_dict().items()}
    shapes |= {f"model.ecg_tower.{name}": s for name, s in tower_shapes().items()}
    hidden, width = config["text_config"]["hidden_size"], TOWER["width"]
    shapes |= {
        "model.ecg_projector.0.weight": (hidden, width),
        "model.ecg_projector.0.bias": (hidden,),
        "model.ecg_projector.2.weight": (hidden, hidden),
        "model.ecg_projector.2.bias": (hidden,),
    }
    chance = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in sorted(shapes.items()):
        is_norm = "norm" in name or ".ln_" in name
        mean = 1.0 if is_norm and name.endswith("weight") else 0.0
        value = mean + 0.05 * torch.randn(shape, generator=chance)
        tensors[name] = value.to(torch.bfloat16)
    return tensors


def write_released(folder: Path, **changes: Any) -> dict[str, torch.Tensor]:
    """A whole checkpoint in four shards, as the hub would hold it.

    Args:
        folder: Where to.
        changes: To `config.json`; None leaves a field out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer([TEXT] * 20)
    tokenizer.save_pretrained(folder)
    config = released_config(tokenizer, **changes)
    config = {name: value for name, value in config.items() if value is not None}
    tensors = released_tensors(config)
    files = {
        "config.json": config,
        "preprocessor_config.json": _PREPROCESSOR,
        "generation_config.json": _GENERATION,
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=2))
    write_shards(folder, tensors)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    return tensors


def write_shards(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    """The tensors in four files and their index."""
    names, weight_map = list(tensors), {}
    for i in range(SHARDS):
        file = f"model-{i + 1:05d}-of-{SHARDS:05d}.safetensors"
        mine = names[i * len(names) // SHARDS : (i + 1) * len(names) // SHARDS]
        save_file({name: tensors[name] for name in mine}, folder / file, {"format": "pt"})
        weight_map |= dict.fromkeys(mine, file)
    total = sum(value.nbytes for value in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
