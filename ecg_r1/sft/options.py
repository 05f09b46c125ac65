"""`python -m ecg_r1 sft`: its options, and what it runs; torch is imported when it runs."""

import argparse
from dataclasses import replace
from pathlib import Path

from ecg_r1.dropout import ModalityDropout
from ecg_r1.ecg import ECGError
from ecg_r1.sft.config import PRESETS, SFTConfig
from ecg_r1.sft.recipes import RECIPES, Recipe

_TEXTS = {
    "steps": "optimiser steps",
    "batch_size": "samples of a step, over all processes",
    "micro_batch": "samples of one pass in one process; 0 takes all of its share",
    "learning_rate": "after the warm-up",
    "warmup_steps": "steps of the warm-up",
    "weight_decay": "of AdamW",
    "beta2": "of AdamW",
    "seed": "of order, environments and augmentation",
    "real_share": "share of samples that are real ECGs, where the corpus has both kinds",
    "rare_most": "most copies of a real record with a rare label in an epoch",
    "number_smoothing": "width of a measured number's target as a share of it",
    "label_weight": "weight of tokens that are a diagnosis",
    "workers": "processes that prepare batches, for each training process",
    "save_steps": "steps between states to resume from",
    "log_steps": "steps between lines of the log",
    "sample_steps": "steps between readings written to samples.jsonl; 0 writes none",
}


def add_sft_options(parser: argparse.ArgumentParser) -> None:
    """Options of `sft`."""
    parser.add_argument(
        "--data", type=Path, required=True, metavar="CORPUS", help="folder that `corpus` made"
    )
    parser.add_argument("--model", default="nano", help='"nano", a folder or a hub id')
    parser.add_argument("--out", type=Path, default=Path("runs/sft"), metavar="FOLDER")
    parser.add_argument("--preset", choices=tuple(PRESETS), default="paper", help="what learns")
    parser.add_argument(
        "--recipe",
        choices=tuple(RECIPES),
        help="settings for the 8B on one GPU; what else is said here counts more",
    )
    parser.add_argument("--lora-rank", type=int, metavar="N", help="0: no LoRA (the default)")
    parser.add_argument(
        "--qlora",
        action="store_true",
        default=None,
        help="LoRA on a decoder in 4 bits (GPU, bitsandbytes)",
    )
    parser.add_argument(
        "--dropout",
        choices=("paper", "paper-code", "none"),
        default="paper",
        help="modality dropout; paper-code draws twice, as the released code does by mistake",
    )
    parser.add_argument("--p-drop", type=float, metavar="P", help="instead of the paper's 0.5")
    parser.add_argument("--p-swap", type=float, metavar="P", help="instead of the paper's 0.1")
    parser.add_argument(
        "--bf16",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="mixed precision (default: where the hardware computes in bfloat16)",
    )
    parser.add_argument(
        "--group-lengths",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="put samples of like length into one batch (default: yes)",
    )
    parser.add_argument("--gradient-checkpointing", action="store_true", default=None)
    parser.add_argument("--tensorboard", action="store_true", default=None)
    defaults = SFTConfig()
    for name, text in _TEXTS.items():
        default = getattr(defaults, name)
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=type(default),
            metavar="N" if isinstance(default, int) else "X",
            help=f"{text} (default: {default})",
        )


def settings_of(options: argparse.Namespace) -> Recipe:
    """The settings that the options say, over those of a recipe or the defaults.

    Raises:
        ECGError: If one of them is impossible.
    """
    base = RECIPES[options.recipe] if options.recipe else Recipe(SFTConfig())
    rank = base.lora_rank if options.lora_rank is None else options.lora_rank
    qlora = base.qlora if options.qlora is None else options.qlora
    if qlora and not rank:
        raise ECGError("--qlora needs the rank of its matrices: add --lora-rank 16")
    switches = ("bf16", "group_lengths", "gradient_checkpointing", "tensorboard")
    said = {name: getattr(options, name) for name in (*_TEXTS, *switches)}
    given = {name: value for name, value in said.items() if value is not None}
    try:
        named = ModalityDropout.named(options.dropout)
        dropout = ModalityDropout(
            p_drop=named.p_drop if options.p_drop is None else options.p_drop,
            p_swap=named.p_swap if options.p_swap is None else options.p_swap,
            draws=named.draws,
        )
        return Recipe(replace(base.config, **given, dropout=dropout), rank, qlora)
    except ValueError as error:
        raise ECGError(str(error)) from error


def run_sft(options: argparse.Namespace) -> None:
    """Fine-tune a checkpoint; the result is in the folder's `model`."""
    settings = settings_of(options)
    try:
        from ecg_r1.sft.run import sft_checkpoint  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ECGError(f'{error}; training needs `pip install -e ".[train]"`') from error
    sft_checkpoint(
        options.model,
        options.data,
        options.out,
        settings.config,
        preset=options.preset,
        lora_rank=settings.lora_rank,
        qlora=settings.qlora,
    )
