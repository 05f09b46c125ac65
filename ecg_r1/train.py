"""The whole way to nano: corpus, tower, vision, fine-tuning, evaluation, a folder to ship."""

import hashlib
import json
import platform
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ecg_r1 import DISCLAIMER
from ecg_r1.corpus import Task, build_corpus, ptbxl_tasks, simulated_tasks
from ecg_r1.ecg import ECGError
from ecg_r1.evaluate import read_rows, summarise
from ecg_r1.loading import load_model
from ecg_r1.model import ECGR1ForConditionalGeneration
from ecg_r1.nano import new_nano
from ecg_r1.pretrain import PretrainConfig, pretrain
from ecg_r1.processing import ECGR1Processor
from ecg_r1.sft import SFTConfig, freeze_encoders, train_sft

STAGES = ("corpus", "tower", "vision", "sft", "report")
TOKENIZER_TEXTS = 4000
TOWER_RUN = PretrainConfig("tower", steps=2200)
VISION_RUN = PretrainConfig("vision", steps=1100)
SFT_RUN = SFTConfig(steps=1200)
CHOOSING_SEED = 1_000_000  # far from the seeds that train


@dataclass(frozen=True)
class Recipe:
    """Sizes of a run; the defaults made the shipped checkpoint."""

    simulated: int = 5000
    choosing: int = 200  # simulated records that are never trained on
    ptbxl_variants: int = 3
    uncalibrated_variants: int = 1
    tower: PretrainConfig = TOWER_RUN
    vision: PretrainConfig = VISION_RUN
    sft: SFTConfig = SFT_RUN
    seed: int = 0
    processes: int = 2


def tasks_of(folders: Sequence[Path], recipe: Recipe) -> list[Task]:
    """What the corpus is made from: simulated records, and PTB-XL folders when given."""
    tasks = simulated_tasks(recipe.simulated)
    for folder in folders:
        raw = folder.name == "ptbxl"
        variants = recipe.ptbxl_variants if raw else recipe.uncalibrated_variants
        tasks += ptbxl_tasks(folder, variants=variants)
    tasks += simulated_tasks(recipe.choosing, first_seed=CHOOSING_SEED, split="choose")
    random.Random(recipe.seed).shuffle(tasks)  # the tokenizer learns from the first ones
    return tasks


def train_nano(
    folders: Sequence[Path], out: Path, recipe: Recipe, stages: Sequence[str] = STAGES
) -> None:
    """Run stages of the recipe; each resumes where a cut run left it.

    Args:
        folders: PTB-XL folders; none trains on simulated ECGs alone.
        out: Keeps every stage's results; the finished checkpoint is `out/nano`.
        recipe: Sizes.
        stages: Some of `STAGES`, in order. "tower" and "vision" need only the corpus.
    """
    rows = _corpus(folders, out, recipe)
    training = rows.filter(lambda split: split == "train", input_columns="split")
    model, processor = new_nano(training[:TOKENIZER_TEXTS]["text"], recipe.seed)
    for part in ("tower", "vision"):
        if part in stages:
            config = getattr(recipe, part)
            _log(pretrain(model, processor, training, out, config), out / f"{part}.jsonl")
    if "sft" in stages:
        load_encoders(model, out)
        freeze_encoders(model)
        told = train_sft(model, processor, training, out / "sft", recipe.sft)
        (out / "sft.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
        export(model, processor, out / "nano")
    if "report" in stages:
        _report(rows, out, recipe)


def _corpus(folders: Sequence[Path], out: Path, recipe: Recipe) -> Any:
    from datasets import load_from_disk  # noqa: PLC0415  an extra that reading needs not

    saved, key_file = out / "corpus" / "saved", out / "corpus" / "made_from.txt"
    tasks = tasks_of(folders, recipe)
    key = hashlib.sha256(repr(tasks).encode()).hexdigest()
    if not key_file.is_file():  # written last, so that a cut run leaves no half corpus
        rows = build_corpus(tasks, out / "corpus", processes=recipe.processes)
        rows.save_to_disk(saved)
        key_file.write_text(key, encoding="utf-8")
    if key_file.read_text(encoding="utf-8") != key:
        raise ECGError(f"{saved} was made from other records: choose another folder for --out")
    return load_from_disk(saved)


def _log(reports: Any, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as log:
        for report in reports:
            log.write(json.dumps(report) + "\n")
            log.flush()


def load_encoders(model: ECGR1ForConditionalGeneration, folder: Path) -> None:
    """Put the pretrained tower and vision blocks into `model` and check that they are there.

    Raises:
        RuntimeError: If a tensor of the encoder is missing from the state.
        ValueError: If a tensor is another one after loading.
    """
    for part, encoder in (("tower", model.model.ecg_tower), ("vision", model.model.visual)):
        state = torch.load(folder / f"{part}.pt", weights_only=True)["trained"]
        own = {k.removeprefix("encoder."): v for k, v in state.items() if "encoder." in k}
        encoder.load_state_dict(own)
        for name, value in encoder.state_dict().items():
            if not torch.equal(value, own[name]):
                raise ValueError(f"{part}: tensor {name} differs from its source after loading")


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
    held_out = list(rows.filter(_reported, input_columns="split"))
    cases = read_rows(held_out, model)
    calibrated = [c for c, row in zip(cases, held_out, strict=True) if row["calibrated"]]
    groups = {"fold 8, calibrated": calibrated, "fold 8, all": cases}
    results = {name: summarise(group) for name, group in groups.items() if group}
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
    "seconds": "seconds for three arms at once",
}


def _table(results: dict[str, dict[str, Any]]) -> str:
    def cell(value: Any) -> str:
        return "" if value is None else f"{value:g}"

    head = f"| | {' | '.join(_COLUMNS)} |\n|---|{'---|' * len(_COLUMNS)}\n"
    return head + "\n".join(
        f"| {words} | {' | '.join(cell(results[c].get(key)) for c in _COLUMNS)} |"
        for key, words in _LINES.items()
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
ones, from which neither voltages nor ST levels are learned. A number in a training text is what
`ecg_r1.measure` measures; a label is the data set's, or what was dialled in the simulator.
Copies of a training record are stretched in time by up to 6 %.

## How

1. Tower and vision encoder alone, supervised by waves, intervals, amplitudes and labels:
   {recipe["tower"]["steps"]} and {recipe["vision"]["steps"]} steps of {recipe["tower"]["batch_size"]} records, {minutes["tower"]} and {minutes["vision"]} minutes.
2. Fine-tuning with Interleaved Modality Dropout ({recipe["sft"]["dropout"]["p_drop"]} / {recipe["sft"]["dropout"]["p_swap"]}, once per sample),
   encoders frozen: {recipe["sft"]["steps"]} steps of {recipe["sft"]["batch_size"]} samples, {sft["minutes"]} minutes, loss {sft["first_loss"]:.2f} to {sft["last_loss"]:.2f}. Shown: {shown}.

Machine: {run["machine"]}. torch {run["versions"]["torch"]}, transformers {run["versions"]["transformers"]}. The command:
`python -m ecg_r1 train nano --data FOLDERS`. {run["notes"]}

## What it reaches

Greedy decoding. Errors are those of the numbers in the text against `ecg_r1.measure`, a machine
too. "constant" answers every ECG with the median of these very records and with "sinus rhythm;
normal ecg". An error is over the records for which a number is both stated and measured.

{tables}

## Limits

Adults at rest, twelve leads, ten seconds. Rare diagnoses are mostly missed, and the labels
come from few real patients. The image arm knows pages as `draw_page` draws them; scans and
photographs are untested. Pages at 50 mm/s are outside its training. A reading can contradict
itself.
"""
