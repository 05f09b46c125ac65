"""A run of fine-tuning: from rows to a trained model, from one checkpoint to another."""

import json
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from transformers import TrainingArguments

from ecg_r1.ecg import ECGError
from ecg_r1.loading import load_model
from ecg_r1.processing import ECGR1Processor
from ecg_r1.sft.config import SFTConfig
from ecg_r1.sft.data import Collator, SFTData
from ecg_r1.sft.features import Features, bf16_helps, given
from ecg_r1.sft.loss import TokenLoss
from ecg_r1.sft.parts import check_tower, freeze, merge_adapter, with_lora
from ecg_r1.sft.room import check_training, free_for_training, training_need
from ecg_r1.sft.saving import newest_complete, remove_halves, told_when_full
from ecg_r1.sft.trainer import Marker, Pace, Samples, SFTTrainer


def train_sft(  # noqa: PLR0913  a run is told everything in one place
    model: Any,
    processor: ECGR1Processor,
    rows: Any,
    folder: Path,
    config: SFTConfig,
    *,
    features: Features | None = None,
    save_to: Path | None = None,
    on_log: Callable[[dict[str, Any]], object] | None = None,
) -> dict[str, Any]:
    """Fine-tune `model` in place; resumes from the newest complete state in `folder`.

    Args:
        model: Parameters that require gradients are trained; ours, or one with LoRA.
        processor: For the inputs.
        rows: A corpus, training rows only.
        folder: States and logs. `left_out.jsonl` names the rows that cannot be learned from.
        config: The run.
        features: What the frozen encoders make of the rows, if that is known.
        save_to: Where the trained model goes, gathered from all processes; None saves nothing.
        on_log: Called with each new line of the log, on the main process, for curves that grow
            while it trains. Where `features` are given, it reads within `features.computed`.

    Returns:
        `log` (the trainer's history), `seconds` (of all its legs), `environments` (how often
        each was shown), `left_out` (rows) and `skipped` (samples that could not be decoded).

    Raises:
        ECGError: No row can be learned from, too many samples cannot be decoded, or the disk
            is full.
        ValueError: The batch cannot be split over the processes.
    """
    state = PartialState(cpu=not torch.cuda.is_available())
    data = SFTData(rows, processor, config, features)
    folder.mkdir(parents=True, exist_ok=True)
    if state.is_main_process:
        _tell_left_out(data, folder)
        for half in remove_halves(folder):
            print(f"{half.name} was cut short and is removed", file=sys.stderr)  # noqa: T201
    state.wait_for_everyone()
    resumed = newest_complete(folder)
    if config.gradient_checkpointing:
        # The other kind needs inputs with gradients, which frozen embeddings have not.
        enable = getattr(model, "activation_checkpointing_enable", None)  # newer name
        (enable or model.gradient_checkpointing_enable)({"use_reentrant": False})
    trainer = SFTTrainer(
        model=model,
        args=_arguments(folder, config, state.num_processes),
        train_dataset=data,
        data_collator=Collator(processor),
        token_loss=TokenLoss(processor, config),
        config=config,
    )
    marker = Marker(trainer, resumed)
    trainer.add_callback(marker)
    trainer.add_callback(Pace(config, on_log))
    if config.sample_steps:
        if trainer.is_fsdp_enabled:
            raise ECGError(
                "a model in shards writes no samples: use --sample-steps 0 with FSDP"
            )
        trainer.add_callback(Samples(model, processor, data, config, folder))
    with given(model) if features else nullcontext():
        trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    if save_to:
        with told_when_full(folder):
            trainer.save_model(str(save_to))
        (save_to / "training_args.bin").unlink(
            missing_ok=True
        )  # a pickle; run.json says it all
    return {
        "log": trainer.state.log_history,
        "seconds": marker.seconds(),
        "environments": trainer.environments(),
        "left_out": len(data.left_out),
        "skipped": trainer.skipped,
    }


def _tell_left_out(data: SFTData, folder: Path) -> None:
    file = folder / "left_out.jsonl"
    lines = [{"id": name, "reason": why} for name, why in data.left_out.items()]
    file.write_text(
        "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8"
    )
    for line in lines[:20]:
        print(f"left out: {line['id']}: {line['reason']}", file=sys.stderr)  # noqa: T201
    if lines:
        print(f"{len(lines)} rows left out: {file}", file=sys.stderr)  # noqa: T201


def _arguments(folder: Path, config: SFTConfig, processes: int) -> TrainingArguments:
    if config.tensorboard and find_spec("tensorboard") is None:
        raise ECGError("--tensorboard needs tensorboard: pip install tensorboard")
    micro, passes = config.micro(processes)
    bf16 = bf16_helps() if config.bf16 is None else config.bf16
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=config.steps,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=passes,
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=config.warmup_steps,
        weight_decay=config.weight_decay,
        adam_beta2=config.beta2,
        seed=config.seed,
        bf16=bf16,
        use_cpu=not torch.cuda.is_available(),
        dataloader_num_workers=config.workers,
        save_steps=config.save_steps,
        # Two, because a kill may come when the newer one is written but not yet marked whole.
        save_total_limit=2,
        logging_steps=config.log_steps,
        logging_first_step=True,
        report_to="tensorboard" if config.tensorboard else "none",
        remove_unused_columns=False,
        train_sampling_strategy="sequential",
        ddp_find_unused_parameters=True,  # a pass may show no image or no signal
    )


def sft_checkpoint(
    name: str,
    corpus: Path,
    out: Path,
    config: SFTConfig,
    *,
    preset: str = "paper",
    lora_rank: int = 0,
    qlora: bool = False,
) -> dict[str, Any]:
    """Fine-tune a checkpoint on a corpus and save it in `out/model`, with `run.json` beside it.

    Args:
        name: What `load_model` takes.
        corpus: A folder that `python -m ecg_r1 corpus` made; its training split is used.
        out: Log, states and result.
        config: The run.
        preset: What learns, by a name of `PRESETS`.
        lora_rank: Rank of LoRA matrices; 0 trains the language model in full.
        qlora: Load the language model in 4 bits; needs a CUDA GPU and bitsandbytes.

    Returns:
        What `train_sft` returns.

    Raises:
        ECGError: The corpus has no training rows, or settings, data and machine do not fit.
    """
    rows = training_rows(corpus)
    state = PartialState(cpu=not torch.cuda.is_available())
    try:
        quantise = "4bit" if qlora else None
        loaded = load_model(name, device=str(state.device), quantise=quantise)
        model, processor, dtype = loaded.model, loaded.processor, loaded.model.dtype
        check_tower(model, preset)
        if lora_rank:
            model = with_lora(model, lora_rank, preset)
            save_to = out / "adapter" if qlora else None  # merged below
            if dtype is not torch.float32:  # what learns is float32 all the same
                config = replace(config, bf16=True)
        else:
            freeze(model.float(), preset)  # AdamW's small steps are lost in bfloat16
            save_to = out / "model"
        if state.num_processes == 1:  # several share the model, or hold it once each
            needed = training_need(model, config)
            print(check_training(needed, free_for_training(model)), file=sys.stderr)  # noqa: T201
        told = train_sft(model, processor, rows, out, config, save_to=save_to)
    except ValueError as error:
        raise ECGError(str(error)) from error
    if state.is_main_process:
        with told_when_full(out):
            if qlora:
                merge_adapter(loaded.model.config.name_or_path, out / "adapter", out / "model")
            elif lora_rank:
                model.merge_and_unload().to(dtype).save_pretrained(out / "model")
            processor.save_pretrained(out / "model")
        run = {
            "model": name,
            "preset": preset,
            "lora_rank": lora_rank,
            "qlora": qlora,
            "config": asdict(config),
            "rows": len(rows),
            "sources": dict(Counter(rows["source"])),
            "processes": state.num_processes,
            "versions": {package: version(package) for package in ("torch", "transformers")},
            **told,
        }
        (out / "model" / "run.json").write_text(
            json.dumps(run, indent=1) + "\n", encoding="utf-8"
        )
    return told


def training_rows(corpus: Path) -> Any:
    """The training split of a corpus on disk.

    Raises:
        ECGError: There is none; says what to do.
    """
    from datasets import load_from_disk  # noqa: PLC0415  slow to import

    if corpus.suffix == ".jsonl":
        raise ECGError(
            f"{corpus} is a list of samples: make a corpus of it first, which names what is "
            f"missing: python -m ecg_r1 corpus published:{corpus} -o FOLDER"
        )
    if not corpus.is_dir():
        raise ECGError(f"{corpus} is no folder; make one with `python -m ecg_r1 corpus`")
    try:
        rows = load_from_disk(str(corpus))
    except FileNotFoundError as error:
        raise ECGError(
            f"{corpus} holds no corpus; `python -m ecg_r1 corpus` makes one"
        ) from error
    kept = [i for i, split in enumerate(rows["split"]) if split == "train"]
    if not kept:
        raise ECGError(f"{corpus} holds no rows of the split 'train'")
    return rows.select(kept)
