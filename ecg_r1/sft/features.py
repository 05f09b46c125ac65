"""What frozen encoders make of a corpus, computed once and kept on disk.

A frozen encoder gives the same tokens for the same input in every epoch. A few augmented
variants of each record are encoded before the run; its steps then draw one of them and run the
decoder, mergers and projector only.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm
from transformers.models.qwen3_vl.modeling_qwen3_vl import BaseModelOutputWithDeepstackFeatures

from ecg_r1.augment import degrade_signal, jitter_page
from ecg_r1.corpus import row_ecg, row_page
from ecg_r1.ecg import ECGError
from ecg_r1.model import ECGR1ForConditionalGeneration
from ecg_r1.pictures import on_white_paper
from ecg_r1.processing import ECGR1Processor, tower_input
from ecg_r1.sft.parts import modules_of


@dataclass(frozen=True)
class Features:
    """Encoders' outputs on disk, float16.

    Attributes:
        tower: `(rows, variants, tokens, width)`.
        vision: `(rows, variants, patches, width)`, before the merger.
        grid: Patches of a page: 1, down, across.
    """

    tower: np.ndarray
    vision: np.ndarray
    grid: tuple[int, int, int]

    def of(self, row: int, environment: str, rng: np.random.Generator) -> dict[str, Any]:
        """What a sample of this row shows, as `SFTData` has it; each input of any variant."""
        variants = self.tower.shape[1]
        shown: dict[str, Any] = {}
        if "signal" in environment:
            shown["ecg"] = self.tower[row, rng.integers(variants)]
        if "image" in environment:
            shown["image_features"] = (self.grid, self.vision[row, rng.integers(variants)])
        return shown


class _Variants(Dataset):
    """Inputs of all variants of each row, row by row."""

    def __init__(
        self, rows: Any, processor: ECGR1Processor, variants: int, seed: int, first: int
    ) -> None:
        self.rows, self.processor = rows, processor
        self.variants, self.seed, self.first = variants, seed, first

    def __len__(self) -> int:
        return len(self.rows) - self.first

    def __getitem__(self, place: int) -> dict[str, Tensor]:
        index = self.first + place
        row = self.rows[index]
        rng = np.random.default_rng([self.seed, 3, index])
        ecg, page = row_ecg(row), row_page(row)
        signals = [
            tower_input(degrade_signal(ecg, rng), self.processor.prompt)
            for _ in range(self.variants)
        ]
        pages = [on_white_paper(jitter_page(page, rng)[0]) for _ in range(self.variants)]
        seen = self.processor.image_processor(pages, return_tensors="pt")
        return {
            "ecg_values": torch.from_numpy(np.stack(signals)),
            "pixel_values": seen["pixel_values"],
            "grid": seen["image_grid_thw"],
        }


def encode_rows(
    model: ECGR1ForConditionalGeneration,
    processor: ECGR1Processor,
    rows: Any,
    folder: Path,
    *,
    variants: int = 4,
    seed: int = 0,
    workers: int = 0,
) -> Features:
    """Encode augmented variants of every row, or read what an earlier run encoded.

    A run that was cut off goes on after the last row that it noted.

    Args:
        model: Its tower and vision blocks are run as they are.
        processor: For the inputs.
        rows: A corpus whose pages are all of one size.
        folder: Where the features go: 146 kB for each variant of a row of nano.
        variants: Variants of each row.
        seed: Of the augmentation.
        workers: Processes that prepare inputs.

    Raises:
        ECGError: If the folder holds features of other weights or rows, pages differ in size,
            or the model takes features from within its vision blocks (deepstack).
    """
    if model.config.vision_config.deepstack_visual_indexes:
        raise ECGError("encoders' outputs are kept for models without deepstack only")
    folder.mkdir(parents=True, exist_ok=True)
    grid = _grid(processor, rows)
    made_from = {
        "rows": len(rows),
        "first": rows[0]["id"],
        "last": rows[-1]["id"],
        "variants": variants,
        "seed": seed,
        "grid": grid,
        "weights": _fingerprint(model),
    }
    done = _done(folder, made_from)
    arrays = _arrays(model, folder, len(rows), variants, grid, new=done == 0)
    data = _Variants(rows, processor, variants, seed, first=done)
    loader = DataLoader(data, batch_size=None, num_workers=workers)
    bar = tqdm(loader, initial=done, total=len(rows), desc="features", mininterval=5)
    model.eval()
    for index, one in enumerate(bar, start=done):
        if any(tuple(of_page) != grid for of_page in one["grid"].tolist()):
            raise ECGError(f"{rows[index]['id']}: its page has another size than the first")
        tower, vision = encode(model, one)
        arrays[0][index] = tower.view(arrays[0].shape[1:]).cpu().numpy()
        arrays[1][index] = vision.view(arrays[1].shape[1:]).cpu().numpy()
        if (index + 1) % 256 == 0 or index + 1 == len(rows):
            for array in arrays:
                array.flush()
            _note(folder, made_from, index + 1)
    return Features(
        *(np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("tower", "vision")), grid
    )


@torch.inference_mode()
def encode(
    model: ECGR1ForConditionalGeneration, one: dict[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Tower and vision tokens of a batch in float16, before projector and merger."""
    device = model.device
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16_helps()):
        tower = model.model.ecg_tower(one["ecg_values"].to(device))
        vision = model.model.visual(
            one["pixel_values"].to(device), grid_thw=one["grid"].to(device)
        ).last_hidden_state
    return tower.half(), vision.half()


def bf16_helps() -> bool:
    """Whether this machine computes in bfloat16 rather than imitating it."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


@contextmanager
def given(model: ECGR1ForConditionalGeneration) -> Iterator[None]:
    """While this lasts, the model takes the encoders' outputs in place of their inputs.

    `ecg_values` then are the tower's tokens, `pixel_values` those of the vision blocks. The
    encoders stay in the model and in what it saves.
    """
    tower, visual = model.model.ecg_tower, model.model.visual
    tower.forward = lambda tokens: tokens
    visual.forward = partial(_merge, visual)
    try:
        yield
    finally:
        del tower.forward, visual.forward


@contextmanager
def computed(model: ECGR1ForConditionalGeneration) -> Iterator[None]:
    """Within `given`, a time in which the encoders run after all, for generation."""
    modules = (model.model.ecg_tower, model.model.visual)
    kept = [vars(module).pop("forward", None) for module in modules]
    try:
        yield
    finally:
        for module, forward in zip(modules, kept, strict=True):
            if forward is not None:
                module.forward = forward


def _merge(visual: Any, tokens: Tensor, grid_thw: Tensor, **_: Any) -> Any:  # noqa: ARG001
    return BaseModelOutputWithDeepstackFeatures(
        last_hidden_state=tokens, pooler_output=visual.merger(tokens), deepstack_features=[]
    )


def _grid(processor: ECGR1Processor, rows: Any) -> tuple[int, int, int]:
    seen = processor.image_processor([on_white_paper(row_page(rows[0]))], return_tensors="pt")
    return tuple(seen["image_grid_thw"][0].tolist())


def _arrays(
    model: ECGR1ForConditionalGeneration,
    folder: Path,
    n_rows: int,
    variants: int,
    grid: Sequence[int],
    *,
    new: bool,
) -> list[np.memmap]:
    tower, vision = model.config.tower, model.config.vision_config
    shapes = {
        "tower": (n_rows, variants, tower.tokens, tower.width),
        "vision": (n_rows, variants, int(np.prod(grid)), vision.hidden_size),
    }
    return [
        np.lib.format.open_memmap(
            folder / f"{name}.npy", mode="w+" if new else "r+", dtype=np.float16, shape=shape
        )
        for name, shape in shapes.items()
    ]


def _fingerprint(model: ECGR1ForConditionalGeneration) -> str:
    """A sum over the encoders' weights: other weights give other features."""
    parts = modules_of(model)
    frozen = [p for m in parts["tower"] + parts["vision"] for p in m.parameters()]
    total = sum(p.detach().double().abs().sum().item() for p in frozen)
    return f"{total:.6f}"


def _done(folder: Path, made_from: dict[str, Any]) -> int:
    """Rows that an earlier run has finished."""
    note = folder / "features.json"
    if not note.is_file():
        return 0
    earlier = json.loads(note.read_text(encoding="utf-8"))
    done = earlier.pop("done")
    if earlier != json.loads(json.dumps(made_from)):
        raise ECGError(f"{folder} holds features of other rows or weights: delete it")
    return done


def _note(folder: Path, made_from: dict[str, Any], done: int) -> None:
    beside = folder / "features.tmp"
    beside.write_text(json.dumps(made_from | {"done": done}), encoding="utf-8")
    beside.replace(folder / "features.json")
