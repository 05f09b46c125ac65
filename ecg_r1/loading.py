"""Checkpoints: the small one that ships, folders, and hub repositories, through one door."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from ecg_r1.ecg import ECGError
from ecg_r1.model import ECGR1ForConditionalGeneration
from ecg_r1.processing import ECGR1Processor
from ecg_r1.shipped import shipped


@dataclass(frozen=True)
class LoadedModel:
    """A checkpoint ready to read.

    Attributes:
        name: What was asked for, such as "nano".
        model: The network, in evaluation mode.
        processor: Its tokenizer, image processor and prompt settings.
    """

    name: str
    model: ECGR1ForConditionalGeneration
    processor: ECGR1Processor

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.model.device

    @property
    def page(self) -> dict[str, Any]:
        """Arguments of `draw_page` for pages like those the checkpoint was trained on."""
        return self.processor.prompt.page


def load_model(name: str | Path = "nano", *, device: str | None = None) -> LoadedModel:
    """Load a checkpoint and check that its parts belong together.

    Args:
        name: "nano" for the shipped checkpoint, a folder, or a hub id such as
            "PKUDigitalHealth/ECG-R1-8B-RL".
        device: "cpu", "cuda", ...; by default the GPU when there is one. A CPU computes in
            float32, a GPU in bfloat16.

    Raises:
        ECGError: If there is no such checkpoint, tensors are missing, or the parts disagree.
    """
    return _load(str(name), device)


@lru_cache(maxsize=2)
def _load(name: str, device: str | None) -> LoadedModel:
    source = str(shipped("nano")) if name == "nano" else name
    if name != "nano" and name.count("/") != 1 and not Path(name).is_dir():
        raise ECGError(f'{name!r} is neither "nano", nor a folder, nor a hub id "owner/name"')
    target = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    dtype = torch.float32 if target.type == "cpu" else torch.bfloat16
    try:
        model = ECGR1ForConditionalGeneration.from_pretrained(
            source, dtype=dtype, use_safetensors=True
        )
        processor = ECGR1Processor.from_pretrained(source)
        check_parts(model, processor)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        # Files that are not there, are cut short, or do not fit.
        raise ECGError(f"no checkpoint could be loaded from {name!r}: {error}") from error
    return LoadedModel(name, model.to(target).eval(), processor)


def check_parts(model: ECGR1ForConditionalGeneration, processor: ECGR1Processor) -> None:
    """Refuse a model and a processor that would misunderstand each other in silence.

    Raises:
        ValueError: If token ids, token counts or patch sizes disagree.
    """
    config, vision = model.config, model.config.vision_config
    pairs = {
        "id of <|ecg_pad|>": (config.ecg_token_id, processor.ecg_token_id),
        "id of <|image_pad|>": (config.image_token_id, processor.image_token_id),
        "tokens per ECG": (config.tower.tokens, processor.prompt.ecg_tokens),
        "patch size": (vision.patch_size, processor.image_processor.patch_size),
        "merge size": (vision.spatial_merge_size, processor.image_processor.merge_size),
    }
    for what, (of_model, of_processor) in pairs.items():
        if of_model != of_processor:
            raise ValueError(f"{what}: the model has {of_model}, its processor {of_processor}")
