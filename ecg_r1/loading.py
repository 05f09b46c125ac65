"""Checkpoints: the small one that ships, folders, and hub repositories, through one door."""

import sys
from collections import OrderedDict
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import GenerationConfig

from ecg_r1.ecg import ECGError
from ecg_r1.hub import HubFacts, cached, download, hub_config, look_up
from ecg_r1.model import ECGR1Config, ECGR1ForConditionalGeneration, checkpoint_config
from ecg_r1.processing import LEAD_ORDERS, ECGR1Processor
from ecg_r1.quantise import check_quantise, quantisation
from ecg_r1.room import (
    Sizes,
    check_room,
    choose_dtype,
    free_memory,
    need,
    sizes,
    slow_reading,
)
from ecg_r1.shipped import shipped
from ecg_r1.tower import ECGTower, is_untrained

KEPT_MODELS = 2  # in memory, so that asking for one again costs nothing
LARGE = 200_000_000  # parameters from which memory is worth a line, and a Mac's GPU its use


@dataclass(frozen=True)
class LoadedModel:
    """A checkpoint ready to read.

    Attributes:
        name: What was asked for, such as "nano".
        model: The network, in evaluation mode.
        processor: Its tokenizer, image processor and prompt settings.
        warnings: What a reader of its readings must know, one paragraph each.
    """

    name: str
    model: ECGR1ForConditionalGeneration
    processor: ECGR1Processor
    warnings: tuple[str, ...] = ()

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.model.device

    @property
    def page(self) -> dict[str, Any]:
        """Arguments of `draw_page` for pages like those the checkpoint was trained on."""
        return self.processor.prompt.page


_kept: OrderedDict[tuple[str | None, ...], LoadedModel] = OrderedDict()


def _to_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def load_model(
    name: str | Path = "nano",
    *,
    device: str | None = None,
    revision: str | None = None,
    quantise: str | None = None,
    lead_order: str | None = None,
    tell: Callable[[str], None] = _to_stderr,
) -> LoadedModel:
    """Load a checkpoint and check that its parts belong together.

    A checkpoint on the hub is looked up first: size, licence, revision, room on the disk and in
    memory are told before its download, which a later call resumes. Without a network the cache
    serves.

    Args:
        name: "nano" for the shipped checkpoint, a folder, or a hub id such as
            "PKUDigitalHealth/ECG-R1-8B-RL".
        device: "cpu", "cuda", ...; by default the GPU when there is one. A GPU computes in
            bfloat16, a CPU in float32 where its memory holds that.
        revision: Branch, tag or commit on the hub; the newest by default.
        quantise: "4bit" or "8bit" for the language model on a CUDA GPU, with bitsandbytes.
        lead_order: Which rows the tower sees, "standard" or "mimic" (aVF before aVL); by
            default what the checkpoint was trained on.
        tell: Called with each line that a person should see: facts before a download, minutes
            to expect, warnings.

    Raises:
        ECGError: If there is no such checkpoint, disk or memory is too small for it, tensors
            are missing or unknown, or the parts disagree.
    """
    if lead_order is not None and lead_order not in LEAD_ORDERS:
        known = ", ".join(LEAD_ORDERS)
        raise ECGError(f"lead_order must be one of {known}, got {lead_order!r}")
    key = (str(name), device, revision, quantise)
    if key not in _kept:
        while len(_kept) >= KEPT_MODELS:  # before the next one needs the room
            _kept.popitem(last=False)
        _kept[key] = _load(*key, tell=tell)
    _kept.move_to_end(key)
    loaded = _kept[key]
    if lead_order is None:
        return loaded
    processor = copy(loaded.processor)
    processor.settings = processor.settings | {"lead_order": LEAD_ORDERS[lead_order]}
    return replace(loaded, processor=processor)


def _load(
    name: str,
    device: str | None,
    revision: str | None,
    quantise: str | None,
    *,
    tell: Callable[[str], None],
) -> LoadedModel:
    if quantise is not None:
        check_quantise(quantise)
    if device is not None:
        _check_device(device)
    folder, facts = _locate(name, revision)
    if facts:
        tell(facts.to_text())
        facts.check_disk()
    config = _config(name, folder or hub_config(facts).parent)
    size = sizes(config)
    target = _indexed(torch.device(device) if device else _best_device(size))
    dtype, lines = _fit(name, size, target, quantise)
    for line in lines:
        tell(line)
    options: dict[str, Any] = {"config": config, "dtype": dtype}
    if target.type != "cpu":
        options["device_map"] = {"": target}
    if quantise is not None:
        options["quantization_config"] = quantisation(quantise, dtype)
    model, processor = _read(name, folder or download(name, revision), options)
    doubt = tower_doubt(model.model.ecg_tower)
    if doubt:
        tell(f"Warning: {doubt}")
    return LoadedModel(name, model, processor, (doubt,) if doubt else ())


def _read(
    name: str, folder: Path, options: dict[str, Any]
) -> tuple[ECGR1ForConditionalGeneration, ECGR1Processor]:
    """The parts of a checkpoint, checked against each other."""
    try:
        model = ECGR1ForConditionalGeneration.from_pretrained(
            folder, use_safetensors=True, **options
        )
        processor = ECGR1Processor.from_pretrained(folder)
        # The reference forgets the id where the tokenizer knew the token before it did.
        if model.config.ecg_token_id is None:
            model.config.ecg_token_id = processor.ecg_token_id
        check_parts(model, processor)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        # Files that are not there, are cut short, or do not fit.
        raise ECGError(f"no checkpoint could be loaded from {name!r}: {error}") from error
    # Readings are greedy, as in the paper; Qwen3-VL's own file asks for sampling.
    tokenizer = processor.tokenizer
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.convert_tokens_to_ids("<|im_end|>"),
        pad_token_id=tokenizer.pad_token_id,
    )
    return model.eval(), processor


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        problem = str(error).splitlines()[0]
        raise ECGError(f"device {device!r} cannot be used here: {problem}") from error


def _indexed(device: torch.device) -> torch.device:
    """The device with its number, which some of transformers' code asks for."""
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return device


def _best_device(size: Sizes) -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    # A small model stays on a Mac's CPU, which is fast enough and gives the same numbers as
    # every other CPU.
    if size.total >= LARGE and torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def _locate(name: str, revision: str | None) -> tuple[Path | None, HubFacts | None]:
    """The checkpoint's folder, or what the hub says about one that has to come first."""
    if name == "nano" or Path(name).is_dir():
        if revision is not None:
            raise ECGError(f"{name!r} is a folder and has no revision {revision!r}")
        return (shipped("nano") if name == "nano" else Path(name)), None
    if name.count("/") != 1:
        raise ECGError(f'{name!r} is neither "nano", nor a folder, nor a hub id "owner/name"')
    facts = look_up(name, revision)
    if facts is None:
        return cached(name, revision), None
    if not facts.missing_bytes:
        return cached(name, facts.commit), None
    return None, facts


def _config(name: str, folder: Path) -> ECGR1Config:
    try:
        found, _ = ECGR1Config.get_config_dict(folder)
        return checkpoint_config(found)
    except (OSError, ValueError) as error:
        raise ECGError(f"no checkpoint could be loaded from {name!r}: {error}") from error


def _fit(
    name: str, size: Sizes, target: torch.device, quantise: str | None
) -> tuple[torch.dtype, list[str]]:
    """What to compute in, and what to expect of it, once it is clear that the machine can."""
    if name == "nano":  # small enough for any machine
        return (torch.float32 if target.type == "cpu" else torch.bfloat16), []
    free = free_memory(target)
    dtype = choose_dtype(size, target, free)
    needed = need(size, dtype, quantise)
    check_room(name, needed, free, target, whole=quantise is None)
    told = [slow_reading(size, target, dtype)]
    if size.total >= LARGE:
        precision = str(dtype).removeprefix("torch.") + (f", {quantise}" if quantise else "")
        told.insert(
            0,
            f"Memory on {target} ({precision}): {needed.to_text()}; "
            f"{free / 1e9:.1f} GB are free",
        )
    return dtype, [line for line in told if line]


def tower_doubt(tower: ECGTower) -> str | None:
    """Why readings of the signal cannot be trusted, or None where nothing speaks against them.

    The reference's training script initialises the pretrained tower anew while loading and then
    freezes it; whether the published weights went that way is not known.
    """
    if not is_untrained(tower):
        return None
    first = next(p for p in tower.conv1.parameters() if p.ndim > 1)
    spread = first.detach().float().std().item()
    return (
        "the ECG tower looks as if it was never trained: the scales of its LayerNorms are "
        "exactly 1, biases exactly 0, and its first convolution has a standard deviation of "
        f"{spread:.4f} (as new: about 0.02). What the signal arm says then rests on random "
        "features of the signal; the image arm is not affected. This is how a checkpoint looks "
        "whose pretrained tower was lost while loading, a known fault of the reference's code"
    )


def check_parts(model: ECGR1ForConditionalGeneration, processor: ECGR1Processor) -> None:
    """Refuse a model and a processor that would misunderstand each other in silence.

    Raises:
        ValueError: If token ids, token counts, vocabularies or patch sizes disagree.
    """
    config, vision = model.config, model.config.vision_config
    rows, words = config.text_config.vocab_size, len(processor.tokenizer)
    if words > rows:
        raise ValueError(f"the tokenizer knows {words} tokens, the model {rows}")
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
