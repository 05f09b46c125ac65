"""A model for the paper's first stage: Qwen3-VL with a pretrained ECG-CoCa tower.

The reference reads the tower first and then loads Qwen3-VL over it, which initialises 29 of 32
tensors of its (small) tower anew. Here the tower comes last, and afterwards every tensor of it
is compared with its source.
"""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLForConditionalGeneration

from ecg_r1.ecg import ECGError
from ecg_r1.loading import check_parts
from ecg_r1.model import ECGR1Config, ECGR1ForConditionalGeneration
from ecg_r1.processing import (
    ECG_END,
    ECG_PAD,
    ECG_START,
    REFERENCE_SETTINGS,
    ECGR1Processor,
)
from ecg_r1.tower import ECGTower, TowerConfig, is_untrained

PREFIX = "module.ecg."  # of the tower's tensors in ECG-CoCa's file
HEAD_WIDTH = 64  # of ECG-CoCa; the file does not say it


def read_coca(file: Path) -> dict[str, Tensor]:
    """The tower's tensors of an ECG-CoCa file, by the tower's own names.

    Args:
        file: A torch pickle as ECG-Chat publishes it (`cpt_wfep_epoch_20.pt`): `state_dict`
            with `module.ecg.*` beside the text encoder's tensors. Nothing in it is executed.

    Raises:
        ECGError: If the file cannot be read that way or holds no tower.
    """
    try:
        state = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ECGError(f"{file} is no checkpoint that can be read safely: {first}") from error
    tensors = state.get("state_dict", state) if isinstance(state, dict) else {}
    found = {k.removeprefix(PREFIX): v for k, v in tensors.items() if k.startswith(PREFIX)}
    if not found:
        some = ", ".join(map(str, list(tensors)[:3]))
        raise ECGError(f"{file} holds no tensor named {PREFIX}*, but {some or 'nothing'}")
    return found


def tower_config(tensors: Mapping[str, Tensor], head_width: int = HEAD_WIDTH) -> TowerConfig:
    """The shape of the tower that these tensors make.

    Raises:
        ECGError: If tensors that tell the shape are missing.
    """
    try:
        width, leads, patch = tensors["conv1.weight"].shape
        tokens = tensors["positional_embedding"].shape[0]
        hidden = tensors["transformer.resblocks.0.mlp.c_fc.weight"].shape[0]
        embed = tensors["proj"].shape[1]
    except KeyError as error:
        raise ECGError(f"the tower lacks the tensor {error}") from error
    blocks = {
        name.split(".")[2] for name in tensors if name.startswith("transformer.resblocks.")
    }
    return TowerConfig(
        leads=leads,
        samples=(tokens - 1) * patch,
        patch_size=patch,
        width=width,
        layers=len(blocks),
        head_width=head_width,
        mlp_ratio=hidden / width,
        embed_dim=embed,
    )


def load_tower(tower: ECGTower, tensors: Mapping[str, Tensor]) -> None:
    """Fill a tower and make sure that it then holds what it was given.

    Raises:
        ECGError: If a tensor is missing, unknown or of another shape, or all blocks of the
            source are as new; the tower is then as it was.
    """
    own = tower.state_dict()
    faults = {
        "are missing": [name for name in own if name not in tensors],
        "are unknown to the tower": [name for name in tensors if name not in own],
        "have another shape": [
            name for name in own if name in tensors and own[name].shape != tensors[name].shape
        ],
    }
    told = [
        f"{len(names)} tensors {fault} ({', '.join(names[:3])})"
        for fault, names in faults.items()
        if names
    ]
    if told:
        raise ECGError(f"the tower cannot be loaded: {'; '.join(told)}")
    tower.load_state_dict(dict(tensors))
    check_loaded(tower, tensors)
    if is_untrained(tower):
        raise ECGError("the tower's source was never trained: its norms and biases are as new")


def check_loaded(tower: ECGTower, tensors: Mapping[str, Tensor]) -> None:
    """Compare every tensor of a tower with its source, in the tower's precision.

    Raises:
        ECGError: If one differs, as after loading in the wrong order.
    """
    other = [
        name
        for name, value in tower.state_dict().items()
        if name not in tensors or not torch.equal(value, tensors[name].to(value))
    ]
    if other:
        raise ECGError(
            f"{len(other)} of {len(tower.state_dict())} tensors of the ECG tower differ from "
            f"their source ({', '.join(other[:3])}): load the tower after all other weights"
        )


def assemble(
    qwen: str, coca: Path, *, head_width: int = HEAD_WIDTH, dtype: torch.dtype | None = None
) -> tuple[ECGR1ForConditionalGeneration, ECGR1Processor]:
    """Qwen3-VL and an ECG-CoCa tower as one model; only the projector between them is new.

    Args:
        qwen: Folder or hub id of Qwen3-VL, such as "Qwen/Qwen3-VL-8B-Instruct".
        coca: ECG-CoCa's file.
        head_width: Width of the tower's attention heads.
        dtype: Precision of the weights; Qwen's own by default.

    Returns:
        The model in evaluation mode, and its processor, which knows the ECG's tokens.

    Raises:
        ECGError: If one of the two is incomplete; see `read_coca` and `load_tower`.
    """
    tensors = read_coca(coca)  # first, because it fails fast
    shape = tower_config(tensors, head_width)
    processor = _processor(qwen, shape)
    config = _config(qwen, shape, processor)
    try:
        base, info = Qwen3VLForConditionalGeneration.from_pretrained(
            qwen, dtype=dtype or "auto", use_safetensors=True, output_loading_info=True
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise ECGError(f"no Qwen3-VL could be loaded from {qwen!r}: {error}") from error
    if info["missing_keys"]:
        some = ", ".join(sorted(info["missing_keys"])[:3])
        raise ECGError(f"{qwen} lacks {len(info['missing_keys'])} tensors: {some}")
    # As in the reference, rows beyond the tokenizer's are unused padding and go.
    base.resize_token_embeddings(len(processor.tokenizer), mean_resizing=False)
    config.text_config.vocab_size = len(processor.tokenizer)
    model = ECGR1ForConditionalGeneration._from_config(config, dtype=base.dtype)
    told = model.load_state_dict(base.state_dict(), strict=False, assign=True)
    strange = [n for n in told.missing_keys if ".ecg_" not in n] + list(told.unexpected_keys)
    if strange:
        raise ECGError(f"{qwen} does not fit the model: {', '.join(strange[:3])}")
    load_tower(model.model.ecg_tower, tensors)
    model.tie_weights()
    check_parts(model, processor)
    check_loaded(model.model.ecg_tower, tensors)
    return model.eval(), processor


def _processor(qwen: str, shape: TowerConfig) -> ECGR1Processor:
    from transformers import AutoTokenizer  # noqa: PLC0415

    try:
        tokenizer = AutoTokenizer.from_pretrained(qwen)
        # In the reference's order, so that its ids come out.
        tokenizer.add_tokens([ECG_PAD, ECG_START, ECG_END], special_tokens=True)
        settings = REFERENCE_SETTINGS | {
            "ecg_samples": shape.samples,
            "ecg_tokens": shape.tokens,
        }
        return ECGR1Processor.from_pretrained(qwen, settings=settings, tokenizer=tokenizer)
    except (OSError, ValueError) as error:
        raise ECGError(f"no Qwen3-VL processor in {qwen!r}: {error}") from error


def _config(qwen: str, shape: TowerConfig, processor: ECGR1Processor) -> ECGR1Config:
    plain = AutoConfig.from_pretrained(qwen).to_dict()
    if plain.get("model_type") != "qwen3_vl":
        raise ECGError(f"{qwen} is a {plain.get('model_type')}, not a qwen3_vl")
    plain |= {"model_type": "ecg_r1", "ecg_tower_config": shape.to_dict()}
    plain |= {"ecg_token_id": processor.ecg_token_id, "ecg_projector_type": "mlp2x_gelu"}
    plain["architectures"] = ["ECGR1ForConditionalGeneration"]
    return ECGR1Config.from_dict(plain)


def save_assembled(
    qwen: str, coca: Path, out: Path, *, head_width: int = HEAD_WIDTH
) -> dict[str, Any]:
    """Assemble and save as a checkpoint that `sft --model` takes.

    Returns:
        What `assembled.json` beside it says.

    Raises:
        ECGError: See `assemble`.
    """
    model, processor = assemble(qwen, coca, head_width=head_width)
    model.save_pretrained(out)
    processor.save_pretrained(out)
    tower = model.config.tower
    facts = {
        "qwen": qwen,
        "tower": coca.name,
        "tower_tensors": len(model.model.ecg_tower.state_dict()),
        "tower_layers": tower.layers,
        "tower_width": tower.width,
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    (out / "assembled.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return facts
