"""`python -m ecg_r1 corpus` and `fetch`: their options, and what they run."""

import argparse
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from ecg_r1.corpus.build import MOST_REJECTS, Model, Plant, build_corpus
from ecg_r1.corpus.endpoint import Endpoint, EndpointError, EndpointWriter, RestrictedError
from ecg_r1.corpus.journal import Journal
from ecg_r1.corpus.local import LocalWriter
from ecg_r1.corpus.rows import RowMaker
from ecg_r1.corpus.sources import SOURCES, tasks_named
from ecg_r1.corpus.task import Task
from ecg_r1.ecg import ECGError


def add_corpus_options(parser: argparse.ArgumentParser) -> None:
    """Options of `corpus`."""
    known = ", ".join(f"{source.name}:{source.where}" for source in SOURCES)
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", help=f"where records come from: {known}"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=0, help="of pages and wording (default: 0)")
    parser.add_argument(
        "--pages",
        choices=("varied", "nano"),
        default="varied",
        help="any paper, layout and scanner, or the shipped model's grey page",
    )
    parser.add_argument(
        "--writer",
        default="template",
        metavar="WRITER",
        help="template (varied wording), plain (the same sentences for every record), endpoint "
        "(ECG_R1_LLM_URL, ECG_R1_LLM_MODEL, ECG_R1_LLM_KEY) or local:FOLDER of a model",
    )
    parser.add_argument(
        "--repair", action="store_true", help="let the template write what a model got wrong"
    )
    parser.add_argument(
        "--concurrency", type=int, default=4, metavar="N", help="requests at once (default: 4)"
    )
    parser.add_argument(
        "--prices",
        type=prices,
        default=(0.0, 0.0),
        metavar="IN,OUT",
        help="of the endpoint, per million tokens, to have the cost told",
    )
    parser.add_argument(
        "--allow-restricted",
        action="store_true",
        help="my data-use agreement allows it to send MIMIC-derived facts to the endpoint",
    )
    parser.add_argument(
        "--most-rejects",
        type=float,
        default=MOST_REJECTS,
        metavar="SHARE",
        help=f"share of records that may fail before the run stops (default: {MOST_REJECTS})",
    )
    parser.add_argument(
        "--processes",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="worker processes (default: one for each core)",
    )
    parser.add_argument(
        "--shard",
        type=shard,
        default=(0, 1),
        metavar="I/N",
        help="make the share of machine I of N, counted from 0",
    )
    parser.add_argument(
        "--rows-only",
        action="store_true",
        help="leave out corpus.jsonl, page files and WFDB records",
    )


def run_corpus(options: argparse.Namespace) -> Iterator[str]:
    """Make a corpus, or go on with one; yields what is to be printed at the end."""
    _check_numbers(options)
    try:
        import datasets  # noqa: F401, PLC0415  asked for here, so that its absence is explained
    except ModuleNotFoundError as error:
        raise ECGError(f'{error}; a corpus needs `pip install -e ".[train]"`') from error
    name, model = _model(options)
    try:
        rows = build_corpus(
            Listing(tuple(options.sources)),
            options.out,
            maker=RowMaker(options.seed, options.pages, name, options.repair),
            plant=Plant(options.processes, model, options.most_rejects),
            files=not options.rows_only,
            shard=options.shard,
            sources=options.sources,
        )
    except (EndpointError, RestrictedError) as error:
        raise ECGError(str(error)) from error
    finally:
        if isinstance(model, EndpointWriter):
            yield str(model.spent)
    yield f"{len(rows)} rows in {options.out}; what they are: {options.out / 'README.md'}"


def _check_numbers(options: argparse.Namespace) -> None:
    for name, least in (("seed", 0), ("processes", 1), ("concurrency", 1)):
        if getattr(options, name) < least:
            raise ECGError(f"--{name} {getattr(options, name)}: give {least} or more")
    if not 0 <= options.most_rejects <= 1:
        raise ECGError(f"--most-rejects {options.most_rejects}: give a share from 0 to 1")


def _model(options: argparse.Namespace) -> tuple[str, Model | None]:
    """Name of the writer, and the model behind it where there is one."""
    kind, _, where = options.writer.partition(":")
    if kind in ("template", "plain") and not where:
        return kind, None
    journal = options.out / "journal-{}-of-{}.jsonl".format(*options.shard)
    try:
        if kind == "endpoint" and not where:
            bought, sold = options.prices
            endpoint = Endpoint.from_environment(
                concurrency=options.concurrency, prompt_price=bought, completion_price=sold
            )
            allowed = options.allow_restricted
            writer = EndpointWriter(endpoint, Journal(journal), allow_restricted=allowed)
            return endpoint.model, writer
        if kind == "local" and where:
            local = LocalWriter.load(where, Journal(journal))
            return Path(where).name, local
    except (ValueError, OSError) as error:
        raise ECGError(str(error)) from error
    raise ECGError(
        f"--writer {options.writer!r} is none of template, plain, endpoint, local:FOLDER"
    )


def prices(text: str) -> tuple[float, float]:
    """Two prices as `IN,OUT`.

    Example:
        >>> prices("0.5,1.5")
        (0.5, 1.5)
    """
    try:
        bought, sold = (float(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} are no two prices: write them as 0.5,1.5"
        ) from error
    return bought, sold


def shard(text: str) -> tuple[int, int]:
    """A share as `I/N`.

    Example:
        >>> shard("0/4")
        (0, 4)
    """
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if match is None or not int(match[1]) < int(match[2]):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no share: write I/N with I from 0 to N - 1, as in 0/4"
        )
    return int(match[1]), int(match[2])


@dataclass(frozen=True)
class Listing:
    """The tasks of several sources, listed anew each time so that none is kept in memory."""

    sources: Sequence[str]

    def __iter__(self) -> Iterator[Task]:
        """Each task in order."""
        return chain.from_iterable(map(tasks_named, self.sources))


# --- fetch ------------------------------------------------------------------------------------


def add_fetch_options(parser: argparse.ArgumentParser) -> None:
    """Options of `fetch`."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="ptbxl, cinc2021 or ludb")
    parser.add_argument("--list", action="store_true", help="say what can be fetched, and stop")
    parser.add_argument(
        "-o", "--out", type=Path, metavar="FOLDER", help="where to (default: data/NAME)"
    )
    parser.add_argument(
        "--folds",
        type=folds,
        metavar="LIST",
        help="only some folds of PTB-XL, as in 1-8 or 7,8",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask before the download")


def folds(text: str) -> tuple[int, ...]:
    """Numbers as a user writes them.

    Example:
        >>> folds("1-3,8")
        (1, 2, 3, 8)
    """
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,2})(?:-(\d{1,2}))?\s*", part)
        if match is None:
            raise argparse.ArgumentTypeError(f"{part!r} is no fold: write 1-8 or 7,8")
        found += range(int(match[1]), int(match[2] or match[1]) + 1)
    return tuple(found)


def run_fetch(options: argparse.Namespace) -> Iterator[str]:
    """Say what will be fetched, ask, fetch; yields what is to be printed."""
    from ecg_r1 import fetch  # noqa: PLC0415

    if options.list or options.name is None:
        for one in fetch.SETS:
            yield f"{one.name:10s}{one.title}\n{'':10s}{one.gigabytes:g} GB, {one.licence}"
        for name, why in fetch.UNFETCHED.items():
            yield f"{name:10s}not fetched: {why}"
        return
    one = fetch.public_set(options.name)
    folder = options.out or Path("data") / one.name
    chosen = options.folds or fetch.FOLDS
    yield fetch.announcement(one, folder, chosen)
    if not options.yes:
        try:
            answer = input("Download? [y/N] ")
        except EOFError:
            answer = ""
        if answer.strip().lower() not in ("y", "yes"):
            yield "Nothing was downloaded."
            return
    count = fetch.fetch(one, folder, folds=chosen)
    yield f"{count} files in {folder}, each with the publisher's checksum"
