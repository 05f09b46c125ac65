"""`python -m ecg_r1 tower`: pretrain, compare and assemble; torch is imported when it runs."""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from ecg_r1.ecg import ECGError

METHODS = ("supervised", "contrastive")


def add_tower_options(parser: argparse.ArgumentParser) -> None:
    """Options of `tower`."""
    what = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    for name, text in (
        ("pretrain", "train nano's tower alone on a corpus"),
        ("compare", "train one tower by each method and probe them on fold 7"),
    ):
        one = what.add_parser(name, help=text, description=text)
        one.add_argument("--data", type=Path, required=True, metavar="CORPUS")
        one.add_argument("--out", type=Path, default=Path("runs/tower"), metavar="FOLDER")
        one.add_argument("--steps", type=int, default=2200, metavar="N")
        one.add_argument("--batch-size", type=int, default=32, metavar="N")
        one.add_argument("--seed", type=int, default=0, metavar="N")
        if name == "pretrain":
            one.add_argument("--method", choices=METHODS, default=METHODS[0])
    text = "Qwen3-VL and the published ECG-CoCa tower into one checkpoint"
    one = what.add_parser("assemble", help=text, description=text)
    one.add_argument("--qwen", default="Qwen/Qwen3-VL-8B-Instruct", metavar="FOLDER_OR_ID")
    one.add_argument("--coca", type=Path, required=True, metavar="FILE", help="ECG-CoCa's .pt")
    one.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    one.add_argument("--head-width", type=int, default=64, metavar="N", help="of the tower")


def run_tower(options: argparse.Namespace) -> None:
    """Do what was asked, and print what came of it as JSON."""
    try:
        told = {"assemble": _assemble, "compare": _compare, "pretrain": _pretrain}[
            options.what
        ](options)
    except ModuleNotFoundError as error:
        raise ECGError(f'{error}; training needs `pip install -e ".[train]"`') from error
    print(json.dumps(told, indent=1))  # noqa: T201  the command's answer


def _assemble(options: argparse.Namespace) -> dict:
    from ecg_r1.assemble import save_assembled  # noqa: PLC0415

    return save_assembled(
        options.qwen, options.coca, options.out, head_width=options.head_width
    )


def _compare(options: argparse.Namespace) -> dict:
    from ecg_r1.probe import compare_towers  # noqa: PLC0415

    rows, config = _run(options)
    told = compare_towers(rows, options.out, config, ("untrained", *METHODS))
    (options.out / "compared.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    return told


def _pretrain(options: argparse.Namespace) -> dict:
    from ecg_r1.nano import new_nano  # noqa: PLC0415
    from ecg_r1.probe import METHODS as PRETRAIN  # noqa: PLC0415

    rows, config = _run(options)
    kept = [i for i, split in enumerate(rows["split"]) if split == "train"]
    training = rows.select(kept)
    model, processor = new_nano(training[:4000]["text"], options.seed)
    said = list(PRETRAIN[options.method](model, processor, training, options.out, config))
    return {"state": str(options.out / "tower.pt")} | (said[-1] if said else {})


def _run(options: argparse.Namespace) -> tuple:
    from ecg_r1.corpus import load_corpus  # noqa: PLC0415
    from ecg_r1.pretrain import PretrainConfig  # noqa: PLC0415

    for name in ("steps", "batch_size"):
        if getattr(options, name) < 1:
            raise ECGError(
                f"--{name.replace('_', '-')} {getattr(options, name)}: give 1 or more"
            )
    warmup = min(150, max(options.steps // 10, 1))
    config = PretrainConfig("tower", steps=options.steps, warmup_steps=warmup)
    config = replace(config, batch_size=options.batch_size, seed=options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    return load_corpus(options.data), config
