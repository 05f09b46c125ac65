"""Which parameters learn: presets by name, LoRA and QLoRA."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from torch import nn

from ecg_r1.ecg import ECGError
from ecg_r1.model import ECGR1ForConditionalGeneration
from ecg_r1.sft.config import PRESETS
from ecg_r1.tower import is_untrained

# The linear layers of Qwen3's text decoder, and of nothing else.
LORA_TARGETS = r".*language_model\.layers\..*(q|k|v|o|gate|up|down)_proj"


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


def with_lora(model: ECGR1ForConditionalGeneration, rank: int, preset: str) -> Any:
    """LoRA matrices in the decoder's linear layers; mergers and projector learn as a whole.

    What learns is in float32, because AdamW's small steps are lost in less; what is frozen
    stays in the precision, or the 4 bits, that it was loaded in.

    Args:
        model: Its own parameters of the language model freeze.
        rank: Rank of the matrices; they are scaled by 2.
        preset: Says whether mergers and projector learn.

    Raises:
        ValueError: If the rank is below 1, or the preset is none that LoRA goes with.
    """
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415  needed for LoRA only

    parts = PRESETS[preset]
    if rank < 1:
        raise ValueError(f"the rank of LoRA must be at least 1, got {rank}")
    if "language" not in parts or {"tower", "vision"} & set(parts):
        raise ValueError(f"LoRA goes with the presets 'paper' and 'language', not {preset!r}")
    whole = ["ecg_projector"] if "projector" in parts else []
    if "mergers" in parts:
        deep = range(len(model.model.visual.deepstack_merger_list))  # peft takes no whole list
        whole += ["merger", *(f"deepstack_merger_list.{i}" for i in deep)]
    options = LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules=LORA_TARGETS, modules_to_save=whole or None
    )
    with _quiet():
        tuned = get_peft_model(model, options)
    for parameter in tuned.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return tuned


def merge_adapter(checkpoint: str, adapter: Path, out: Path) -> None:
    """Add what LoRA learned to the weights as they were before quantisation, and save the sum.

    4 bits would lose it again. This happens in the machine's memory, not on the GPU.

    Args:
        checkpoint: Folder of the weights.
        adapter: Folder that the trainer saved.
        out: Where the whole model goes.

    Raises:
        ECGError: The memory does not hold the weights; the adapter stays.
    """
    from peft import PeftModel  # noqa: PLC0415  needed for LoRA only

    needed = sum(file.stat().st_size for file in Path(checkpoint).glob("*.safetensors"))
    free = psutil.virtual_memory().available
    if needed > free:
        raise ECGError(
            f"to merge {adapter} takes {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} "
            "GB are free: the same command merges it later, on a larger machine"
        )
    model = ECGR1ForConditionalGeneration.from_pretrained(
        checkpoint, dtype="auto", use_safetensors=True
    )
    dtype = model.dtype
    with _quiet():
        merged = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    merged.to(dtype).save_pretrained(out)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():  # peft asks transformers 5 by an older name
        warnings.simplefilter("ignore")
        yield
