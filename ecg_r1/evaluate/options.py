"""`python -m ecg_r1 evaluate`: its options, and what it runs."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ecg_r1.ecg import ECGError

if TYPE_CHECKING:
    from ecg_r1.evaluate.files import Truth
    from ecg_r1.evaluate.readers import Reader

SUITES = ("nano", "stage-one")
EMBEDDING = "all-MiniLM-L6-v2"  # here too, since `consistency` is slow to import
READERS = ("own", "protocol", "endpoint", "measurements", "image-text")


def add_evaluate_options(parser: argparse.ArgumentParser) -> None:
    """Options of `evaluate`."""
    parser.add_argument(
        "--suite",
        choices=SUITES,
        default="nano",
        help="nano: all offline measures; stage-one: numbers and labels of clean records only",
    )
    parser.add_argument(
        "--reader",
        choices=READERS,
        default="own",
        help="own: a checkpoint of ours; protocol: measurement and rules; endpoint and "
        "measurements: a vision or a text model behind ECG_R1_LLM_URL; image-text: a folder"
        " or hub id that transformers loads",
    )
    parser.add_argument("--model", default="nano", help="nano, a folder or a hub id")
    parser.add_argument(
        "--beside",
        nargs="*",
        metavar="CHECKPOINT",
        help="the same records read by the protocol engine too, and by these checkpoints (say "
        "one trained without modality dropout), clean only; all in one table and page",
    )
    parser.add_argument("--name", default="", help="what to call it in results")
    parser.add_argument(
        "--data",
        nargs="+",
        metavar="SOURCE",
        help="as for `corpus`, for instance ptbxl:FOLDER or cinc:FOLDER (default: PTB-XL)",
    )
    parser.add_argument(
        "--split", choices=("report", "choose", "all"), default="report", help="of the records"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="at most so many records")
    parser.add_argument("--conditions", nargs="+", metavar="NAME", help="some of the suite's")
    parser.add_argument("--seed", type=int, default=0, help="of conditions (default: 0)")
    parser.add_argument("--batch", type=int, default=24, metavar="N", help="readings at once")
    parser.add_argument("-o", "--out", type=Path, metavar="FOLDER", help="(default: runs/...)")
    parser.add_argument(
        "--recompute", type=Path, metavar="FOLDER", help="measures anew from kept readings"
    )
    parser.add_argument(
        "--judge",
        type=Path,
        metavar="FOLDER",
        help="the seven criteria of a finished run by the model behind ECG_R1_LLM_URL",
    )
    parser.add_argument(
        "--embedding",
        default=EMBEDDING,
        metavar="MODEL",
        help=f'for the cosine of two arms\' texts (default: {EMBEDDING}, of the extra "eval"; '
        "the paper's is BAAI/bge-m3, 2.3 GB from the hub)",
    )
    parser.add_argument("--runs", type=int, default=2, metavar="N", help="of the judge")
    parser.add_argument(
        "--page", type=Path, nargs="+", metavar="FOLDER", help="results of runs as one page"
    )
    parser.add_argument(
        "--ecgbench",
        nargs=3,
        metavar=("SET", "GOLD.jsonl", "ANSWERS.jsonl"),
        help="score answers to ECGBench's own questions: ptbxl, cpsc, code15, csn or g12ec",
    )
    parser.add_argument(
        "--paper", action="store_true", help="with --ecgbench: the reference's own parser"
    )
    parser.add_argument(
        "--allow-restricted", action="store_true", help="as your data-use agreement says"
    )


def run_evaluate(options: argparse.Namespace) -> Iterator[str]:
    """Evaluate, or show what was evaluated; yields what is to be printed.

    Raises:
        ECGError: A bad option, no records, or a folder of another run.
    """
    _check(options)
    if options.ecgbench:
        yield _ecgbench(options)
    elif options.judge:
        yield from _judge(options)
    elif options.page:
        yield _page(options)
    elif options.recompute:
        yield from _finish(options.recompute, options.embedding)
    else:
        yield from _read(options)


def _check(options: argparse.Namespace) -> None:
    for name, least in (("limit", 1), ("batch", 1), ("seed", 0), ("runs", 1)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise ECGError(f"--{name} {value}: give {least} or more")


def _read(options: argparse.Namespace) -> Iterator[str]:
    from ecg_r1.evaluate.readers import name_of  # noqa: PLC0415
    from ecg_r1.evaluate.records import (  # noqa: PLC0415  brings scipy and pandas
        LEFT_OUT,
        list_records,
        prepare,
        usual_sources,
    )
    from ecg_r1.evaluate.runner import jobs_of, run_reader  # noqa: PLC0415
    from ecg_r1.evaluate.suite import SUITES as CONDITIONS_OF  # noqa: PLC0415

    sources = options.data or usual_sources()
    split = None if options.split == "all" else options.split
    listed = list_records(sources, split=split, limit=options.limit, seed=options.seed)
    folder = options.out or Path("runs") / f"evaluate-{options.reader}-{name_of(options.model)}"
    reader = _reader(options, folder)
    _check_names([reader.name, *_names_beside(options.beside)])
    others = _readers_beside(options.beside)
    yield f"{len(listed)} records of {', '.join(sources)}; readings go to {folder}"
    truths = prepare(listed, folder)
    if len(truths) < len(listed):
        missing = len(listed) - len(truths)
        yield f"{missing} of them left out; {folder / LEFT_OUT} says why"
    names = options.conditions or CONDITIONS_OF[options.suite]
    readings = len(jobs_of(truths, reader, names, seed=options.seed))
    yield (
        f"{readings} readings, kept as they come: the bar tells the time left, and the same "
        "command goes on with a run that was stopped"
    )
    run_reader(
        reader,
        truths,
        folder,
        conditions=names,
        seed=options.seed,
        batch=options.batch,
    )
    yield from _finish(folder, options.embedding)
    if others:
        yield from _beside(options, others, truths, folder)


def _names_beside(checkpoints: "Sequence[str] | None") -> list[str]:
    from ecg_r1.evaluate.readers import ProtocolReader, name_of  # noqa: PLC0415

    return [] if checkpoints is None else [ProtocolReader.name, *map(name_of, checkpoints)]


def _readers_beside(checkpoints: "Sequence[str] | None") -> "list[Reader]":
    """Loaded before anything is read: a name without a checkpoint is told at once."""
    from ecg_r1.evaluate import own, readers  # noqa: PLC0415  brings torch

    if checkpoints is None:
        return []
    return [readers.ProtocolReader(), *(own.OwnReader(name) for name in checkpoints)]


def _check_names(names: "Sequence[str]") -> None:
    """Columns of a table need names of their own; asked before hours are spent."""
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ECGError(
            f"two readers would both be called {twice[0]!r}: give the first a --name, or "
            "rename a folder"
        )


def _beside(
    options: argparse.Namespace,
    others: "Sequence[Reader]",
    truths: "Sequence[Truth]",
    folder: Path,
) -> Iterator[str]:
    """The table of this run, the protocol engine and further checkpoints, on its records."""
    from ecg_r1.evaluate.files import RECORDS  # noqa: PLC0415
    from ecg_r1.evaluate.page import load_results, summary_table, write_page  # noqa: PLC0415
    from ecg_r1.evaluate.runner import run_reader  # noqa: PLC0415
    from ecg_r1.evaluate.suite import evaluate_run  # noqa: PLC0415

    folders = [folder]
    for reader in others:
        place = folder / "beside" / reader.name
        place.mkdir(parents=True, exist_ok=True)
        (place / RECORDS).write_bytes((folder / RECORDS).read_bytes())
        run_reader(reader, truths, place, seed=options.seed, batch=options.batch)
        evaluate_run(place, embedding=options.embedding)
        folders.append(place)
    yield summary_table(load_results(folders))
    yield f"written: {write_page(folders, folder)}"


def _reader(options: argparse.Namespace, folder: Path) -> "Reader":
    from ecg_r1.evaluate import readers  # noqa: PLC0415

    if options.reader == "protocol":
        return readers.ProtocolReader()
    if options.reader == "own":
        from ecg_r1.evaluate.own import OwnReader  # noqa: PLC0415  brings torch

        return OwnReader(options.model, name=options.name)
    if options.reader == "image-text":
        return readers.ImageTextReader.load(options.model)
    arm = "image" if options.reader == "endpoint" else "measurements"
    return readers.EndpointReader(
        _endpoint(temperature=0.0),
        folder / "journal.jsonl",
        arm=arm,
        allow_restricted=options.allow_restricted,
    )


def _endpoint(**changes: float) -> object:
    from ecg_r1.corpus.endpoint import Endpoint  # noqa: PLC0415

    try:
        return Endpoint.from_environment(**changes)
    except ValueError as error:
        raise ECGError(str(error)) from error


def _finish(folder: Path, embedding: str) -> Iterator[str]:
    from ecg_r1.evaluate.page import summary_table  # noqa: PLC0415
    from ecg_r1.evaluate.suite import evaluate_run  # noqa: PLC0415

    result = evaluate_run(folder, embedding=embedding)
    yield summary_table([result])
    yield f"every number: {folder / 'result.json'}; the readings: {folder / 'readings.jsonl'}"


def _judge(options: argparse.Namespace) -> Iterator[str]:
    from ecg_r1.evaluate.llm_judge import judge_run  # noqa: PLC0415

    yield from judge_run(
        options.judge,
        _endpoint(temperature=0.0),
        runs=options.runs,
        allow_restricted=options.allow_restricted,
    )


def _page(options: argparse.Namespace) -> str:
    from ecg_r1.evaluate.page import write_page  # noqa: PLC0415

    out = options.out or options.page[0]
    return f"written: {write_page(options.page, out)}"


def _ecgbench(options: argparse.Namespace) -> str:
    import json  # noqa: PLC0415

    from ecg_r1.evaluate.ecgbench import score_files  # noqa: PLC0415

    space, gold, told = options.ecgbench
    mode = "paper" if options.paper else "strict"
    return json.dumps(score_files(Path(gold), Path(told), space, mode=mode), indent=1)
