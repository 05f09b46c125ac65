"""Which parameters learn: presets by name, LoRA and QLoRA."""

import warnings
from typing import Any

import torch
from torch import nn

from ecg_r1.ecg import ECGError
from ecg_r1.model import ECGR1ForConditionalGeneration
from ecg_r1.sft.config import PRESETS
from ecg_r1.tower import is_untrained

# The linear layers of Qwen3's text decoder, and of nothing else.
LORA_TARGETS = r".*language_model\.layers\..*(q|k|v|o|gate|up|down)_proj"
_TRAINED_BESIDE_LORA = {
    "mergers": ("merger", "deepstack_merger_list"),
    "projector": ("ecg_projector",),
}


def modules_of(model: ECGR1ForConditionalGeneration) -> dict[str, list[nn.Module]]:
    """The model's modules by the part that presets name; together they are the whole model."""
    inner = model.model
    visual = inner.visual
    mergers = [visual.merger, visual.deepstack_merger_list]
    return {
        "language": [inner.language_model, model.lm_head],
        "projector": [inner.ecg_projector],
        "tower": [inner.ecg_tower],
        "vision": [m for m in visual.children() if not any(m is x for x in mergers)],
        "mergers": mergers,
    }


def freeze(model: ECGR1ForConditionalGeneration, preset: str) -> None:
    """Let the parts of a preset learn and freeze all others.

    Raises:
        ValueError: If there is no such preset.
    """
    if preset not in PRESETS:
        raise ValueError(f"{preset!r} is no preset; choose from {', '.join(PRESETS)}")
    model.requires_grad_(requires_grad=False)
    for part, modules in modules_of(model).items():
        for module in modules:
            module.requires_grad_(requires_grad=part in PRESETS[preset])


def freeze_encoders(model: ECGR1ForConditionalGeneration) -> None:
    """Freeze the tower and the vision blocks as the paper does, not merger and projector."""
    freeze(model, "paper")


def check_tower(model: ECGR1ForConditionalGeneration, preset: str) -> None:
    """Refuse to freeze a tower that holds nothing but its initial values.

    The reference's code re-initialises its pretrained tower while loading and then freezes it.

    Raises:
        ECGError: If the preset freezes the tower, and it is as new.
    """
    if "tower" not in PRESETS[preset] and is_untrained(model.model.ecg_tower):
        raise ECGError(
            f"preset {preset!r} freezes an ECG tower that was never trained: load one with "
            "`python -m ecg_r1 tower assemble`, or choose the preset 'all'"
        )


def check_qlora() -> None:
    """Refuse QLoRA where its 4-bit layers cannot run.

    Raises:
        ECGError: If there is no GPU or bitsandbytes is not installed.
    """
    if not torch.cuda.is_available():
        raise ECGError("QLoRA needs a CUDA GPU, and there is none: use --lora-rank without it")
    try:
        import bitsandbytes  # noqa: F401, PLC0415  only QLoRA needs it
    except (ImportError, RuntimeError) as error:  # it raises RuntimeError for a missing library
        raise ECGError(
            f"QLoRA needs bitsandbytes ({error}): pip install bitsandbytes, or use LoRA"
        ) from error


def quantization() -> Any:
    """4-bit settings for the language model; encoders, projector and head stay as they are."""
    check_qlora()
    from transformers import BitsAndBytesConfig  # noqa: PLC0415

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=["visual", "ecg_tower", "ecg_projector", "lm_head"],
    )


def with_lora(
    model: ECGR1ForConditionalGeneration, rank: int, preset: str, *, quantized: bool = False
) -> Any:
    """LoRA matrices in the decoder's linear layers; mergers and projector learn as a whole.

    Args:
        model: Its own parameters of the language model freeze.
        rank: Rank of the matrices; they are scaled by 2.
        preset: Says whether mergers and projector learn.
        quantized: Whether the decoder was loaded in 4 bits.

    Raises:
        ValueError: If the rank is below 1, or the preset is none that LoRA goes with.
    """
    from peft import (  # noqa: PLC0415  needed for LoRA only
        LoraConfig,
        get_peft_model,
        prepare_model_for_kbit_training,
    )

    parts = PRESETS[preset]
    if rank < 1:
        raise ValueError(f"the rank of LoRA must be at least 1, got {rank}")
    if "language" not in parts or {"tower", "vision"} & set(parts):
        raise ValueError(f"LoRA goes with the presets 'paper' and 'language', not {preset!r}")
    whole = [name for part in parts for name in _TRAINED_BESIDE_LORA.get(part, ())]
    if not len(model.model.visual.deepstack_merger_list):
        whole = [name for name in whole if name != "deepstack_merger_list"]
    options = LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules=LORA_TARGETS, modules_to_save=whole or None
    )
    with warnings.catch_warnings():  # peft asks transformers 5 by an older name
        warnings.simplefilter("ignore")
        if quantized:
            model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
        return get_peft_model(model, options)
