"""The whole way to nano: corpus, tower, vision, fine-tuning, evaluation, a folder to ship."""

import hashlib
import json
import platform
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ecg_r1 import DISCLAIMER
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
from ecg_r1.ecg import ECGError
from ecg_r1.evaluate import read_rows, summarise
from ecg_r1.loading import load_model
from ecg_r1.model import ECGR1ForConditionalGeneration
from ecg_r1.nano import new_nano
from ecg_r1.pretrain import PretrainConfig, load_part, pretrain, teach
from ecg_r1.processing import ECGR1Processor
from ecg_r1.sft.config import SFTConfig
from ecg_r1.sft.features import encode_rows
from ecg_r1.sft.parts import freeze_encoders
from ecg_r1.sft.run import train_sft

STAGES = ("corpus", "tower", "vision", "features", "sft", "report")
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


@dataclass(frozen=True)
class Recipe:
    """The third version of nano; every choice that a run makes is here.

    The steps fit into about 130 minutes on two quiet cores (README, "Train").

    Attributes:
        simulated: Simulated records to train on.
        choosing: Simulated records that are never trained on.
        variants: Copies of each calibrated real training record, stretched in time by a few
            per cent.
        uncalibrated_variants: The same for folders named `ptbxl_z`.
        tower_method: "supervised" (waves, intervals, amplitudes, labels) or "contrastive"
            (captions); `python -m ecg_r1 tower compare` decides.
        tower: The tower's run.
        vision: The vision part's run; `distil` has it learn from the tower's heads as well.
        feature_variants: Augmented variants of each record that SFT draws from, encoded once.
        sft: The run of fine-tuning.
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
    seed: int = 0
    processes: int = 2


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
        export(model, processor, out / "nano")
    if "report" in stages:
        _report(rows, out, recipe)


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


# --- the report -------------------------------------------------------------------------------


def _report(rows: Any, out: Path, recipe: Recipe) -> None:
    """Evaluate `out/nano` on the report fold and write its model card and run file."""
    folder = out / "nano"
    model = load_model(str(folder))
    read = read_rows(list(rows.filter(_reported, input_columns="split")), model)
    calibrated = {key: truth for key, truth in read.truths.items() if truth.calibrated}
    groups = {"fold 8, calibrated": replace(read, truths=calibrated), "fold 8, all": read}
    results = {name: summarise(group) for name, group in groups.items() if group.truths}
    run = {
        "recipe": asdict(recipe),
        "corpus": _counts(rows),
        "sft": _sft_facts(out),
        "notes": _notes(out / "notes.txt"),
        "encoders": {part: _last(out / f"{part}.jsonl") for part in ("tower", "vision")},
        "parameters": sum(p.numel() for p in model.model.parameters()),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "versions": {name: version(name) for name in ("torch", "transformers", "datasets")},
        "results": results,
    }
    (folder / "run.json").write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(model_card(run), encoding="utf-8")


def _reported(split: str) -> bool:
    return split == "report"


def _counts(rows: Any) -> dict[str, int]:
    table = rows.select_columns(["source", "split"]).to_pandas()
    return {f"{s}, {k}": int(n) for (s, k), n in table.value_counts().sort_index().items()}


def _notes(file: Path) -> str:
    """What whoever ran the training wants to be known of it; the card shows it."""
    return file.read_text(encoding="utf-8").strip() if file.is_file() else ""


def _last(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8").splitlines()[-1])


def _sft_facts(out: Path) -> dict[str, Any]:
    told = json.loads((out / "sft.json").read_text(encoding="utf-8"))
    losses = [entry["loss"] for entry in told["log"] if "loss" in entry]
    return {
        "minutes": round(told["seconds"] / 60, 1),
        "environments": told["environments"],
        "first_loss": losses[0],
        "last_loss": losses[-1],
    }


_COLUMNS = ("signal", "image", "both", "constant")
_LINES = {
    "well_formed": "well-formed readings (share)",
    "hr_bpm_mae": "heart rate in the text, mean absolute error (bpm)",
    "hr_bpm_median": "heart rate in the text, median error (bpm)",
    "hr_bpm_r": "heart rate, correlation",
    "hr_bpm_n": "records with a stated and a measured rate",
    "pr_ms_mae": "PR, mean absolute error (ms)",
    "pr_ms_n": "records with a stated and a measured PR",
    "qrs_ms_mae": "QRS, mean absolute error (ms)",
    "qt_ms_mae": "QT, mean absolute error (ms)",
    "axis_deg_mae": "axis, mean absolute error (degrees)",
    "label_jaccard": "labels of `<answer>`, mean Jaccard overlap",
    "tokens": "tokens of a reading",
    "seconds": "seconds for three arms at once, mean",
}


def _table(results: dict[str, dict[str, Any]]) -> str:
    def cell(value: Any) -> str:
        return "" if value is None else f"{value:g}"

    head = f"| | {' | '.join(_COLUMNS)} |\n|---|{'---|' * len(_COLUMNS)}\n"
    return head + "\n".join(
        f"| {words} | {' | '.join(cell(results[c].get(key)) for c in _COLUMNS)} |"
        for key, words in _LINES.items()
    )


def _copies(recipe: Mapping[str, Any]) -> str:
    """What copies of training records a run had; see `corpus.record.stretch`."""
    kinds = {"variants": "calibrated", "uncalibrated_variants": "uncalibrated"}
    told = [f"{recipe[key]} of each {kind} one" for key, kind in kinds.items() if recipe[key]]
    if not told:
        return "No training record has copies."
    return (
        f"Real training records have copies, {' and '.join(told)}: played up to 6 % slower or "
        "faster and up to 5 % higher or lower."
    )


def model_card(run: dict[str, Any]) -> str:
    """The model card of a run, in Markdown; every number comes from `run`."""
    recipe, sft = run["recipe"], run["sft"]
    corpus = "\n".join(f"- {name}: {count}" for name, count in run["corpus"].items())
    shown = ", ".join(f"{name} {count}" for name, count in sft["environments"].items())
    tables = "\n\n".join(
        f"### {name} ({r['signal']['records']} records)\n\n{_table(r)}"
        for name, r in run["results"].items()
    )
    minutes = {part: round(at["seconds"] / 60, 1) for part, at in run["encoders"].items()}
    return f"""---
license: apache-2.0
library_name: transformers
tags: [ecg, education]
---
# nano: a small ECG-R1 for teaching

**{DISCLAIMER}**

Its readings are often wrong. It is here so that the whole method can be run, looked into and
taken apart on a laptop. The architecture is ECG-R1's (Qwen3-VL with an ECG tower and a projector)
with {run["parameters"] / 1e6:.1f} million parameters, stored in float16. It writes a reading in
six steps from the signal, from an image of the page, or from both.

## What it was trained on

{corpus}

Simulated ECGs are ours; PTB-XL (Wagner et al. 2020, CC BY 4.0) is split by patient: folds 1-6
train, fold 7 chooses, fold 8 reports. Folder `ptbxl` holds raw records, `ptbxl_z` uncalibrated
ones, from which neither voltages nor ST levels are learned. `ludb` is LUDB (Kalyakulina et al.
2020, ODC-By 1.0), `cinc` what lies in a folder of the PhysioNet/CinC challenges of 2020 and 2021
(Reyna et al. 2021, CC BY 4.0). A number in a training text is what `ecg_r1.measure` measures; a
label is the data set's, or what was dialled in the simulator. {_copies(recipe)}

## How

1. Tower and vision encoder alone, supervised by waves, intervals, amplitudes and labels, the
   vision encoder also by what the tower's heads say of the same record:
   {recipe["tower"]["steps"]} and {recipe["vision"]["steps"]} steps of {recipe["tower"]["batch_size"]} records, {minutes["tower"]} and {minutes["vision"]} minutes.
2. Fine-tuning with Interleaved Modality Dropout ({recipe["sft"]["dropout"]["p_drop"]} / {recipe["sft"]["dropout"]["p_swap"]}, once per sample),
   encoders frozen and run once for {recipe["feature_variants"]} variants of each record: {recipe["sft"]["steps"]} steps of {recipe["sft"]["batch_size"]} samples, {sft["minutes"]} minutes, loss {sft["first_loss"]:.2f} to {sft["last_loss"]:.2f}. Shown: {shown}.

Machine: {run["machine"]}. torch {run["versions"]["torch"]}, transformers {run["versions"]["transformers"]}. The command:
`python -m ecg_r1 train nano --data FOLDERS`. {run["notes"]}

## What it reaches

Greedy decoding. Errors are those of the numbers in the text against `ecg_r1.measure`, a machine
too. "constant" answers every ECG with the median of these very records and with "sinus rhythm;
normal ecg". An error is over the calibrated records for which a number is both stated and measured;
grammar and labels are over all.

{tables}

## Limits

Adults at rest, twelve leads, ten seconds. Rare diagnoses are mostly missed, and the labels
come from few real patients. The image arm knows pages as `draw_page` draws them; scans and
photographs are untested. A reading can contradict itself.
"""
