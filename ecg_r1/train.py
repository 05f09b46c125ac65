"""The whole way to nano: corpus, encoders, fine-tuning, rewards, a folder to ship."""

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ecg_r1.card import REWARDED, TUNED, report
from ecg_r1.coca import pretrain_coca
from ecg_r1.corpus import (
    Plant,
    RowMaker,
    Task,
    build_corpus,
    load_corpus,
    simulated_tasks,
    tasks_named,
)
from ecg_r1.dropout import ModalityDropout
from ecg_r1.ecg import ECGError
from ecg_r1.loading import load_model
from ecg_r1.model import ECGR1ForConditionalGeneration
from ecg_r1.nano import new_nano
from ecg_r1.pretrain import PretrainConfig, load_part, pretrain, teach
from ecg_r1.processing import ECGR1Processor
from ecg_r1.rewards import REWARDS
from ecg_r1.rl.config import RLConfig
from ecg_r1.rl.options import DEFAULT_REWARDS
from ecg_r1.rl.train import train_rl
from ecg_r1.sft.config import SFTConfig
from ecg_r1.sft.features import encode_rows
from ecg_r1.sft.parts import freeze_encoders
from ecg_r1.sft.run import train_sft

STAGES = ("corpus", "tower", "vision", "features", "sft", "rl", "report")
TOKENIZER_TEXTS = 4000
CHOOSING_SEED = 1_000_000  # far from the seeds that train
# The tower that saw real records 47 times, whole, knew every label of theirs by heart, and the
# decoder trusted it where it should not: parts are hidden, and each comes 25 times.
TOWER_RUN = PretrainConfig(
    "tower",
    steps=3600,
    real_share=0.4,
    rare_most=3,
    hide=True,
    head_dropout=0.3,
    label_smoothing=0.05,
)
VISION_RUN = PretrainConfig(
    "vision", steps=4500, real_share=0.6, rare_most=3, distil=0.5, label_smoothing=0.05
)
# On kept features a batch is made in no time, so that no worker takes a core from the decoder.
SFT_RUN = SFTConfig(
    steps=2400, real_share=0.4, rare_most=2, label_weight=3.0, sample_steps=300, workers=0
)
# One hour of two cores; 1e-6, the paper's rate, is for 8 billion parameters.
RL_RUN = RLConfig(
    steps=240,
    samples=8,
    retries=1,
    learning_rate=5e-5,
    warmup_steps=10,
    max_new_tokens=256,
    learn_prompts=4,
    save_steps=20,
)


@dataclass(frozen=True)
class Recipe:
    """The third version of nano; every choice that a run makes is here.

    The steps take about four hours on two cores; the model card has the minutes of each stage.

    Attributes:
        simulated: Simulated records to train on.
        choosing: Simulated records that are never trained on, at least 1; the report is on
            them where no real record is held out.
        variants: Copies of each calibrated real training record, stretched in time by a few
            per cent.
        uncalibrated_variants: The same for folders named `ptbxl_z`.
        tower_method: "supervised" (waves, intervals, amplitudes, labels) or "contrastive"
            (captions); `python -m ecg_r1 tower compare` decides.
        tower: The tower's run.
        vision: The vision part's run; `distil` has it learn from the tower's heads as well.
        feature_variants: Augmented variants of each record that SFT draws from, encoded once.
        sft: The run of fine-tuning.
        rl: The run of reinforcement learning with the strict rewards.
        rl_simulated: Simulated prompts of it, beside all real ones.
        seed: Of the corpus, the tokenizer's texts and the first weights.
        processes: That make the corpus.
    """

    simulated: int = 6000
    choosing: int = 200
    variants: int = 2
    uncalibrated_variants: int = 0
    tower_method: str = "supervised"
    tower: PretrainConfig = TOWER_RUN
    vision: PretrainConfig = VISION_RUN
    feature_variants: int = 2
    sft: SFTConfig = SFT_RUN
    rl: RLConfig = RL_RUN
    rl_simulated: int = 2000
    seed: int = 0
    processes: int = 2

    def __post_init__(self) -> None:
        if self.choosing < 1:
            raise ECGError(f"choosing is {self.choosing}: the report needs a record, say 200")

    def with_dropout(self, dropout: ModalityDropout) -> "Recipe":
        """The same recipe but for how modalities are hidden in fine-tuning and RL."""
        return replace(
            self, sft=replace(self.sft, dropout=dropout), rl=replace(self.rl, dropout=dropout)
        )


def tasks_of(folders: Sequence[Path], recipe: Recipe) -> list[Task]:
    """What the corpus is made from: simulated records, and those of folders when given.

    Args:
        folders: PTB-XL (`ptbxl_database.csv`), LUDB (`ludb.csv`) or CinC 2020 and 2021 as
            PhysioNet lays them out; known by what is in them.
        recipe: How many simulated records, and how many copies of real ones.

    Raises:
        ECGError: If a folder is none of them.
    """
    tasks = simulated_tasks(recipe.simulated)
    for folder in folders:
        uncalibrated = folder.name == "ptbxl_z"
        variants = recipe.uncalibrated_variants if uncalibrated else recipe.variants
        for task in tasks_named(f"{_kind(folder)}:{folder}"):
            if task.problem:
                continue
            copies = variants if task.split == "train" else 0
            tasks += [replace(task, variant=variant) for variant in range(copies + 1)]
    tasks += simulated_tasks(recipe.choosing, first_seed=CHOOSING_SEED, split="choose")
    random.Random(recipe.seed).shuffle(tasks)  # the tokenizer learns from the first ones
    return tasks


def _kind(folder: Path) -> str:
    """The source that reads a folder."""
    for kind, sign in (("ptbxl", "ptbxl_database.csv"), ("ludb", "ludb.csv")):
        if (folder / sign).is_file():
            return kind
    if any(folder.rglob("*.hea")):
        return "cinc"
    raise ECGError(
        f"{folder} is no PTB-XL (ptbxl_database.csv), no LUDB (ludb.csv) and holds no WFDB "
        "records as CinC does: give folders as PhysioNet lays them out"
    )


def train_nano(
    folders: Sequence[Path], out: Path, recipe: Recipe, stages: Sequence[str] = STAGES
) -> None:
    """Run stages of the recipe; each resumes where a cut run left it.

    Args:
        folders: Real ECGs, see `tasks_of`; none trains on simulated ECGs alone.
        out: Keeps every stage's results; the finished checkpoint is `out/nano`.
        recipe: Sizes.
        stages: Some of `STAGES`, in order. "tower" needs only the corpus, and so does "vision"
            unless it learns from the tower's heads.

    Raises:
        ECGError: If the folder was made from other records or an earlier stage is missing.
    """
    rows = _corpus(folders, out, recipe)
    training = rows.filter(_trained_on, input_columns="split")
    model, processor = new_nano(training[:TOKENIZER_TEXTS]["text"], recipe.seed)
    if torch.cuda.is_available():
        model.to("cuda")
    if "tower" in stages:
        method = {"supervised": pretrain, "contrastive": pretrain_coca}[recipe.tower_method]
        _log(method(model, processor, training, out, recipe.tower), out / "tower.jsonl")
    if "vision" in stages:
        teacher = _teacher(model, processor, training, out) if _taught(recipe) else None
        said = pretrain(model, processor, training, out, recipe.vision, teacher)
        _log(said, out / "vision.jsonl")
    if {"features", "sft"} & set(stages):
        load_encoders(model, out)
        freeze_encoders(model)
        features = encode_rows(
            model,
            processor,
            training,
            out / "features",
            variants=recipe.feature_variants,
            seed=recipe.seed,
        )
    if "sft" in stages:
        told = train_sft(model, processor, training, out / "sft", recipe.sft, features=features)
        (out / "sft.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
        export(model, processor, out / TUNED)
    if "rl" in stages:
        _reinforce(training, out, recipe)
    if "report" in stages:
        report(rows, out, asdict(recipe))


def _reinforce(training: Any, out: Path, recipe: Recipe) -> None:
    if not (out / TUNED / "config.json").is_file():
        raise ECGError(f"{out} holds no {TUNED}: run the stage 'sft' first")
    loaded = load_model(str(out / TUNED))
    functions = [REWARDS[name] for name in DEFAULT_REWARDS]
    prompts = _prompts(training, recipe.rl_simulated)
    train_rl(loaded.model.float(), loaded.processor, prompts, functions, out / "rl", recipe.rl)
    export(loaded.model, loaded.processor, out / REWARDED)


def _prompts(training: Any, simulated: int) -> Any:
    """All real rows, and so many simulated ones, that have a solution to be rewarded by."""
    columns = zip(training["source"], training["solution"], strict=True)
    kept, left = [], simulated
    for index, (source, solution) in enumerate(columns):
        left -= source == "simulated"
        if solution and (source != "simulated" or left >= 0):
            kept.append(index)
    return training.select(kept)


def _trained_on(split: str) -> bool:
    return split == "train"


def _taught(recipe: Recipe) -> bool:
    return recipe.vision.distil > 0 and recipe.tower_method == "supervised"


def _teacher(
    model: ECGR1ForConditionalGeneration, processor: ECGR1Processor, rows: Any, out: Path
) -> dict[str, Any]:
    """What the trained tower's heads say of each row, computed once."""
    if not (out / "tower.pt").is_file():
        raise ECGError(
            f"{out} holds no tower.pt, whose heads teach: run the stage 'tower' first"
        )
    file = out / "teacher.npz"
    if not file.is_file():
        heads = load_part(model, out, "tower")
        beside = out / "teacher.part.npz"
        np.savez(beside, **teach(model, heads, processor, rows))
        beside.replace(file)
    with np.load(file) as told:
        taught = dict(told)
    if len(taught["numbers"]) != len(rows):
        raise ECGError(
            f"{file} is about {len(taught['numbers'])} rows, not {len(rows)}: delete it"
        )
    return taught


def _corpus(folders: Sequence[Path], out: Path, recipe: Recipe) -> Any:
    folder = out / "corpus"
    key_file, done = folder / "made_from.txt", folder / "done.txt"
    tasks = tasks_of(folders, recipe)
    key = hashlib.sha256(repr(tasks).encode()).hexdigest()
    if not key_file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        key_file.write_text(key, encoding="utf-8")
    if key_file.read_text(encoding="utf-8") != key:
        raise ECGError(f"{folder} was made from other records: choose another folder for --out")
    if not done.is_file():  # written last; a cut run goes on with what was made
        maker = RowMaker(recipe.seed, pages="nano", writer="plain")
        build_corpus(tasks, folder, maker=maker, plant=Plant(recipe.processes))
        done.write_text(key, encoding="utf-8")
    return load_corpus(folder)


def _log(reports: Any, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as log:
        for report in reports:
            log.write(json.dumps(report) + "\n")
            log.flush()


def load_encoders(model: ECGR1ForConditionalGeneration, folder: Path) -> None:
    """Put the pretrained tower and vision blocks into `model` and check that they are there.

    Raises:
        ECGError: If one was not trained yet.
        RuntimeError: If a tensor of the encoder is missing from the state.
        ValueError: If a tensor is another one after loading.
    """
    for part in ("tower", "vision"):
        if not (folder / f"{part}.pt").is_file():
            raise ECGError(f"{folder} holds no {part}.pt: run the stage {part!r} first")
        load_part(model, folder, part)


def export(
    model: ECGR1ForConditionalGeneration, processor: ECGR1Processor, folder: Path
) -> None:
    """Save in half precision, in shards small enough for a repository without large files."""
    model.to(torch.float16).save_pretrained(folder, max_shard_size="8MB")
    processor.save_pretrained(folder)
    model.to(torch.float32)
