"""`python -m ecg_r1 rl`: its options, and what it runs; torch is imported when it runs."""

import argparse
from dataclasses import fields
from pathlib import Path

from ecg_r1.ecg import ECGError
from ecg_r1.rewards import REWARDS
from ecg_r1.rl.config import RLConfig

DEFAULT_REWARDS = ("strict_format", "strict_diagnosis", "strict_evidence", "soft_overlong")
_TEXTS = {
    "steps": "batches of answers",
    "prompts": "prompts in a batch",
    "samples": "answers to each prompt",
    "retries": "rounds that dynamic sampling may add",
    "iterations": "optimiser steps on each batch",
    "clip_low": "clipping below",
    "clip_high": "clipping above",
    "beta": "weight of the divergence from the start",
    "temperature": "of sampling",
    "learning_rate": "after the warm-up",
    "warmup_steps": "steps of the warm-up",
    "seed": "of order, environments and sampling",
    "lora_rank": "0 trains the language model in full",
    "sample_prompts": "prompts that a process samples from at once",
    "learn_prompts": "prompts of one backward pass",
    "save_steps": "steps between states to resume from",
}


def add_rl_options(parser: argparse.ArgumentParser) -> None:
    """Options of `rl`."""
    parser.add_argument(
        "corpus", type=Path, metavar="CORPUS", help="folder of a data set with its solutions"
    )
    parser.add_argument("--model", default="nano", help='"nano", a folder or a hub id')
    parser.add_argument("--out", type=Path, default=Path("runs/rl"), metavar="FOLDER")
    parser.add_argument(
        "--rewards",
        nargs="+",
        action="extend",  # said twice it adds up, where the reference lost the first list
        metavar="NAME[=WEIGHT]",
        help=f"of {', '.join(REWARDS)} (default: {' '.join(DEFAULT_REWARDS)})",
    )
    parser.add_argument(
        "--max-new-tokens", type=int, metavar="N", help="default: what the checkpoint says"
    )
    for option in fields(RLConfig):
        if option.name in _TEXTS:
            parser.add_argument(
                f"--{option.name.replace('_', '-')}",
                type=type(option.default),
                default=option.default,
                metavar="N" if isinstance(option.default, int) else "X",
                help=f"{_TEXTS[option.name]} (default: {option.default})",
            )


def run_rl(options: argparse.Namespace) -> None:
    """Train a checkpoint with rewards; the result is in the folder's `model`."""
    names, weights = _rewards(options.rewards or DEFAULT_REWARDS)
    given = {name: getattr(options, name) for name in (*_TEXTS, "max_new_tokens")}
    try:
        config = RLConfig(**given, reward_weights=weights)
    except ValueError as error:
        raise ECGError(str(error)) from error
    try:
        from ecg_r1.rl.run import train_checkpoint  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ECGError(f'{error}; training needs `pip install -e ".[train]"`') from error
    functions = [REWARDS[name] for name in names]
    train_checkpoint(options.model, options.corpus, functions, options.out, config)


def _rewards(texts: list[str]) -> tuple[list[str], tuple[float, ...]]:
    """Names and weights of `NAME[=WEIGHT]` words."""
    names, weights = [], []
    for text in texts:
        name, _, weight = text.partition("=")
        try:
            number = float(weight or 1)
        except ValueError as error:
            raise ECGError(f"{weight!r} in {text!r} is not a number") from error
        if name not in REWARDS or name in names:
            raise ECGError(f"{name!r} must be one of {', '.join(REWARDS)}, each once")
        names.append(name)
        weights.append(number)
    return names, tuple(weights)
