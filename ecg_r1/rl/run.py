"""From a checkpoint and a corpus on disk to a checkpoint trained with rewards."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from ecg_r1.ecg import ECGError
from ecg_r1.evaluate.files import code_state
from ecg_r1.loading import load_model
from ecg_r1.rl.config import RLConfig
from ecg_r1.rl.groups import Reward
from ecg_r1.rl.train import train_rl


def train_checkpoint(
    name: str, corpus: Path, rewards: Sequence[Reward], out: Path, config: RLConfig
) -> None:
    """Train a checkpoint and save it in `out/model`, with `run.json` beside it.

    Args:
        name: What `load_model` takes.
        corpus: A folder that `datasets.load_from_disk` reads. Of a column `split` only "train"
            is used, and of a column `solution` what is not empty.
        rewards: See `train_rl`.
        out: Log, states and result.
        config: The run.

    Raises:
        ECGError: If the corpus has no training rows, or settings and data do not fit.
    """
    rows = _training_rows(corpus)
    state = PartialState(cpu=not torch.cuda.is_available())
    loaded = load_model(name, device=str(state.device))
    model = loaded.model if config.lora_rank else loaded.model.float()  # bf16 loses small steps
    try:
        log = train_rl(model, loaded.processor, rows, rewards, out, config)
    except ValueError as error:
        raise ECGError(str(error)) from error
    if not state.is_main_process:
        return
    # A small model may be kept in a repository without large files; of 8B there would be
    # thousands of shards.
    small = sum(p.numel() for p in model.parameters()) < _SMALL
    model.save_pretrained(out / "model", max_shard_size="8MB" if small else "5GB")
    loaded.processor.save_pretrained(out / "model")
    run = {
        "model": name,
        "config": asdict(config),
        "rewards": [function.__name__ for function in rewards],
        "rows": len(rows),
        "data_hash": _data_hash(rows),
        "commit": code_state(),
        "minutes": round(sum(entry["seconds"] for entry in log) / 60, 2),
        "processes": state.num_processes,
        "versions": {package: version(package) for package in ("torch", "transformers")},
    }
    (out / "model" / "run.json").write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")


_SMALL = 50_000_000  # parameters


def _data_hash(rows: Any) -> str:
    """Of the prompts' ids and solutions, whatever their order."""
    names = [name for name in ("id", "solution") if name in rows.column_names]
    told = sorted(map("\t".join, zip(*(map(str, rows[name]) for name in names), strict=True)))
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def _training_rows(corpus: Path) -> Any:
    from datasets import load_from_disk  # noqa: PLC0415  slow to import

    if not corpus.is_dir():
        raise ECGError(f"{corpus} is no folder; make one with `python -m ecg_r1 corpus`")
    rows = load_from_disk(str(corpus))
    # Published conversations come without evidence: there is nothing to reward.
    for column, fits in (("split", "train".__eq__), ("solution", bool)):
        if column in rows.column_names:
            rows = rows.select([i for i, value in enumerate(rows[column]) if fits(value)])
    if not len(rows):
        raise ECGError(f"{corpus} holds no rows of the split 'train' that have a solution")
    return rows
