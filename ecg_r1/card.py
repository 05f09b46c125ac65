"""What a training of nano reached: read, compared, chosen by fold 7, and told in its card."""

import json
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ecg_r1 import DISCLAIMER
from ecg_r1.evaluate import Run, read_rows, summarise
from ecg_r1.evaluate.compare import compare
from ecg_r1.evaluate.files import code_state, data_hash
from ecg_r1.evaluate.own import weights_hash
from ecg_r1.evaluate.statistics import with_interval
from ecg_r1.loading import load_model
from ecg_r1.rewards import strict_evidence_reward

# The checkpoints that a training may ship, by folder, in the order in which they are made.
TUNED, REWARDED = "tuned", "rewarded"
# What reinforcement learning may not make worse: 1 where more is better, -1 where less is.
BETTER = {
    "well_formed": 1,
    "labels": 1,
    "hr_error": -1,
    "strict_evidence": 1,
    "hallucination_rate": -1,
    "findings": 1,
    "numbers": 1,
}
SIMULATED = 100  # fresh hearts that both checkpoints read


def report(rows: Any, out: Path, recipe: Mapping[str, Any]) -> None:
    """Evaluate what was trained, ship the better checkpoint as `out/nano`, write its card.

    The checkpoint after reinforcement learning, where there is one, is shipped when it helps on
    fold 7's real records: labels overlap more, on the mean of the arms, and nothing of
    `BETTER` gets worse beyond noise. Without any such record it is not. Fold 8 and fresh simulated hearts only report; the latter alone where nothing is of
    fold 8, as of LUDB, which has no folds. Readings are kept in `out/readings`, so that a run
    that was cut goes on.

    Args:
        rows: The whole corpus.
        out: Of the training.
        recipe: Its settings, as plain values.
    """
    trained = [name for name in (TUNED, REWARDED) if (out / name / "config.json").is_file()]
    groups = {"fold 8": _of(rows, "report")}
    if len(trained) > 1 or not groups["fold 8"]:
        held_out = _of(rows, "choose")
        groups["fold 7"] = [row for row in held_out if row["source"] != "simulated"]
        groups["simulated"] = [r for r in held_out if r["source"] == "simulated"][:SIMULATED]
    groups = {name: members for name, members in groups.items() if members}
    models = {name: load_model(str(out / name)) for name in trained}
    read = {
        name: {
            group: read_rows(members, model, _kept(out, name))
            for group, members in groups.items()
        }
        for name, model in models.items()
    }
    changed = {}
    if len(trained) > 1:
        changed = {
            name: _before_and_after(members, *(read[one][name] for one in trained))
            for name, members in groups.items()
        }
    chosen = trained[-1] if "fold 7" in changed and helps(changed["fold 7"]) else trained[0]
    folder = out / "nano"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(out / chosen, folder)
    run = {
        "recipe": dict(recipe),
        "corpus": _counts(rows),
        "sft": _sft_facts(out),
        "notes": _notes(out / "notes.txt"),
        "encoders": {part: _last(out / f"{part}.jsonl") for part in ("tower", "vision")},
        "parameters": sum(p.numel() for p in models[chosen].model.model.parameters()),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "commit": code_state(),
        "data": {name: data_hash(one.truths.values()) for name, one in read[chosen].items()},
        "versions": {name: version(name) for name in ("torch", "transformers", "datasets")},
        "results": _results(read[chosen], "fold 8" if "fold 8" in groups else "simulated"),
    }
    if changed:
        log = [json.loads(line) for line in (out / "rl" / "log.jsonl").open(encoding="utf-8")]
        run["rl"] = {
            "shipped": chosen == REWARDED,
            "minutes": round(sum(entry["seconds"] for entry in log) / 60, 1),
            "groups": changed,
        }
        draw_rewards(log, folder / "rewards.png")
    (folder / "run.json").write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(model_card(run), encoding="utf-8")


def _kept(out: Path, name: str) -> Path:
    """Where a checkpoint's readings are kept; another checkpoint has another file."""
    return out / "readings" / f"{name}-{weights_hash(str(out / name))}.jsonl"


def _of(rows: Any, split: str) -> list[dict[str, Any]]:
    return list(rows.select([i for i, name in enumerate(rows["split"]) if name == split]))


def helps(group: Mapping[str, Any]) -> bool:
    """Whether labels overlap more after than before, and nothing is worse beyond noise.

    Args:
        group: Its "changes": arm, or "signal and image", to measure to mean and interval.
    """
    changes = group["changes"].values()
    gains = [one["labels"]["value"] for one in changes if "labels" in one]
    worse = [
        name
        for one in changes
        for name, sign in BETTER.items()
        if name in one and one[name]["ci"] and max(sign * end for end in one[name]["ci"]) < 0
    ]
    return sum(gains) > 0 and not worse


def _results(read: Mapping[str, Run], name: str) -> dict[str, Any]:
    whole = read[name]
    calibrated = {key: truth for key, truth in whole.truths.items() if truth.calibrated}
    groups = {f"{name}, calibrated": replace(whole, truths=calibrated), f"{name}, all": whole}
    return {name: summarise(group) for name, group in groups.items() if group.truths}


def _before_and_after(
    rows: Sequence[Mapping[str, Any]], before: Run, after: Run
) -> dict[str, Any]:
    """Means of both, and the records' changes with intervals."""
    changes = compare(before, after)
    for arm in before.arms:
        told = [_evidence(rows, run, arm) for run in (before, after)]
        keys = [key for key in told[0] if key in told[1]]
        change = with_interval(keys, [told[1][key] - told[0][key] for key in keys])
        means = [sum(one[key] for key in keys) / max(len(keys), 1) for one in told]
        changes[arm]["strict_evidence"] = change | {"before": means[0], "after": means[1]}
    return {"before": summarise(before), "after": summarise(after), "changes": changes}


def _evidence(rows: Sequence[Mapping[str, Any]], run: Run, arm: str) -> dict[str, float]:
    """Record to the strict evidence reward of its reading."""
    texts = {truth.record: row.text for truth, row in run.pairs(arm)}
    known = [row for row in rows if row["id"] in texts and row["solution"]]
    names = ("solution", "evidence", "measurements")
    scores = strict_evidence_reward(
        [texts[row["id"]] for row in known],
        **{name: [row[name] for row in known] for name in names},
    )
    paired = zip(known, scores, strict=True)
    return {row["id"]: score for row, score in paired if score is not None}


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
    "label_auroc": "score of each label at `<answer>`, macro AUROC (5 positives or more)",
    "repeated": "readings that state one number twice and differently (share)",
    "tokens": "tokens of a reading",
    "seconds": "seconds of a reading, 24 at once",
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


# What may change record by record, and how it is told.
_CHANGES = {
    "labels": "labels, Jaccard overlap",
    "hr_error": "heart rate, error (bpm)",
    "strict_evidence": "strict evidence reward",
    "hallucination_rate": "contradicted of the checkable claims",
    "findings": "findings that signal and image say alike",
    "numbers": "numbers that signal and image say alike",
}


def _both(one: Mapping[str, Any]) -> str:
    """Every number of a group's records before and after."""
    arms = _COLUMNS[:3]
    columns = [f"{arm}, {when}" for arm in arms for when in ("before", "after")]
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for key, words in _LINES.items():
        values = [one[when][arm].get(key) for arm in arms for when in ("before", "after")]
        told = " | ".join("" if value is None else f"{value:g}" for value in values)
        lines.append(f"| {words} | {told} |")
    evidence = [one["changes"][arm].get("strict_evidence", {}) for arm in arms]
    told = " | ".join(
        f"{e[k]:.3f}" if k in e else "" for e in evidence for k in ("before", "after")
    )
    lines.append(f"| {_CHANGES['strict_evidence']}, mean | {told} |")
    lines += ["", "| change, after less before, with its 95 % interval | | |", "|---|---|---|"]
    for arm, measures in one["changes"].items():
        for key in (name for name in _CHANGES if name in measures):
            told = measures[key]
            low, high = told["ci"] or (None, None)
            found = f"{told['value']} [{low}, {high}], {told['n']} records"
            lines.append(f"| {_CHANGES[key]} | {arm} | {found} |")
    return "\n".join(lines)


def _rl_section(run: Mapping[str, Any]) -> str:
    """What reinforcement learning changed; empty where there was none."""
    if "rl" not in run:
        return ""
    rl, settings = run["rl"], run["recipe"]["rl"]
    shipped = "after" if rl["shipped"] else "before"
    chose = (
        "Fold 7 chose: more overlap of labels, and nothing worse beyond noise"
        if "fold 7" in rl["groups"]
        else "There was no fold 7 to choose by"
    )
    parts = "\n\n".join(f"### {name}\n\n{_both(one)}" for name, one in rl["groups"].items())
    return f"""
## Reinforcement learning, before and after

{settings["steps"]} steps of DAPO, {settings["prompts"]} prompts with {settings["samples"]} answers each, {rl["minutes"]} minutes, with the
strict rewards for format, diagnoses and evidence, on all real training records and
{run["recipe"]["rl_simulated"]} simulated ones. {chose}; shipped is the checkpoint {shipped} it.

![The rewards of each step](rewards.png)

{parts}
"""


def draw_rewards(log: Sequence[Mapping[str, Any]], file: Path) -> None:
    """The rewards of each step and their running mean, as a picture."""
    from matplotlib.figure import Figure  # noqa: PLC0415  slow to import

    names = [name for name, value in log[0]["rewards"].items() if value is not None]
    figure = Figure(figsize=(3 * len(names), 2.6), layout="constrained")
    width = max(len(log) // 20, 1)
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        values = np.array([entry["rewards"][name] for entry in log], dtype=float)
        axes.plot(np.arange(1, len(values) + 1), values, color="#c9c9c9", linewidth=0.8)
        mean = np.convolve(values, np.ones(width) / width, "valid")
        axes.plot(np.arange(width, len(values) + 1), mean, color="#1f4e79")
        axes.set_title(name.replace("_", " "), fontsize=9)
        axes.set_xlabel("step", fontsize=8)
        axes.tick_params(labelsize=8)
    figure.savefig(file, dpi=110)


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
{_rl_section(run)}
## Limits

Adults at rest, twelve leads, ten seconds. Rare diagnoses are mostly missed, and the labels
come from few real patients. The image arm knows pages as `draw_page` draws them; scans and
photographs are untested. A reading can contradict itself.
"""
