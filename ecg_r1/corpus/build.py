"""From tasks to a corpus on disk: many processes, many machines, and cut off at any moment.

Tasks are taken in batches ("parts"). A part is made whole or not at all, so a run that was
killed goes on where it was: finished parts are kept, the others made again, byte for byte the
same. Nothing but a few parts is ever in memory, whatever the size of the corpus.
"""

import json
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

from ecg_r1 import __version__
from ecg_r1.corpus.card import data_card
from ecg_r1.corpus.journal import Answer, Job
from ecg_r1.corpus.parts import PART_ROWS, Part, Whole, arrow_schema, jobs_of, make_part
from ecg_r1.corpus.rows import RowMaker
from ecg_r1.corpus.task import Task, stable_hash
from ecg_r1.ecg import ECGError

MOST_REJECTS = 0.2  # share of records that may fail before a run stops (issue of this project)
FEWEST_JUDGED = 50  # records before that share means anything


def in_shard(task: Task, shard: tuple[int, int]) -> bool:
    """Whether a task falls to machine `shard[0]` of `shard[1]`; each falls to exactly one."""
    return stable_hash(f"shard:{task.sample_id}") % shard[1] == shard[0]


class Model(Protocol):
    """A language model that writes: `EndpointWriter`, `LocalWriter`."""

    def answers(self, jobs: Iterable[Job]) -> Iterator[Answer]:
        """An answer for each job, in their order, asked for one by one."""


@dataclass(frozen=True)
class Plant:
    """How a corpus is made; none of it changes what is in it.

    Attributes:
        processes: Worker processes; 1 works in this one.
        model: Writes the texts where the maker's `writer` is neither template nor plain.
        most_rejects: Share of records that may fail before a run stops.
    """

    processes: int = 1
    model: Model | None = None
    most_rejects: float = MOST_REJECTS


def build_corpus(
    tasks: Iterable[Task],
    folder: Path,
    *,
    maker: RowMaker,
    plant: Plant,
    files: bool = False,
    shard: tuple[int, int] = (0, 1),
    sources: Sequence[str] = (),
) -> Any:
    """Make a corpus in parallel, with a progress bar; goes on where an earlier run was cut off.

    Args:
        tasks: What to make; each sample once.
        folder: Where it goes. Shards of one corpus may share it.
        maker: Makes the rows.
        plant: Processes, the model that writes, and when to stop.
        files: Also write `corpus.jsonl` in the paper's layout with pages and WFDB records.
        shard: Which share of how many this run makes.
        sources: What the tasks come from, for the data card: "kind:where".

    Returns:
        A `datasets.Dataset` of `make_row` rows, mapped from disk.

    Raises:
        ECGError: Too many of the records failed, a sample stands twice, or the folder
            holds a corpus made from something else.
    """
    from tqdm.auto import tqdm  # noqa: PLC0415  comes with the extra "train"

    # What can be gone through twice is counted first, for the bar.
    listed = iter(tasks) is not tasks
    total = sum(in_shard(task, shard) for task in tasks) if listed else None
    for stray in (folder / "parts").glob(f"{shard[0]}-of-{shard[1]}-*.tmp"):
        stray.unlink(missing_ok=True)
    _check_origin(folder, maker, files=files, shards=shard[1], sources=sources)
    judged: Counter[str] = Counter()
    parts = _parts(tasks, folder, maker, files=files, shard=shard)
    with tqdm(total=total, unit="record", smoothing=0.05) as bar:
        try:
            for part, said in _made(parts, plant):
                bar.update(len(part.tasks))
                failed = [reject for reject in said["rejects"] if reject["failed"]]
                judged["rows"] += said["rows"]
                judged["failed"] += len(failed)
                _stop_if_hopeless(judged, folder, plant.most_rejects, at_end=False)
        finally:
            finish(folder)
    _stop_if_hopeless(judged, folder, plant.most_rejects, at_end=True)
    return load_corpus(folder)


def _check_origin(
    folder: Path, maker: RowMaker, *, files: bool, shards: int, sources: Sequence[str]
) -> None:
    """Keep what a corpus is made from, and refuse to mix it with something else."""
    origin = {
        "version": __version__,
        "maker": repr(maker),
        "files": files,
        "shards": shards,
        # Another machine may keep the same data elsewhere.
        "sources": [named(source) for source in sources],
    }
    note = folder / "made_from.json"
    if note.is_file() and any((folder / "parts").glob("*.json")):
        earlier = json.loads(note.read_text(encoding="utf-8"))
        changed = [name for name in origin if origin[name] != earlier.get(name)]
        if changed:
            name = changed[0]
            raise ECGError(
                f"{folder} holds a corpus with {name} {earlier.get(name)!r}, not "
                f"{origin[name]!r}: choose another folder, or delete it"
            )
    with Whole(note) as file:
        file.write_text(json.dumps(origin, indent=1), encoding="utf-8")


def named(source: str) -> str:
    """A source without the way to it.

    Example:
        >>> named("ptbxl:/data/ptbxl"), named("simulated:10")
        ('ptbxl:ptbxl', 'simulated:10')
    """
    kind, _, where = source.partition(":")
    return f"{kind}:{Path(where).name}"


def _parts(
    tasks: Iterable[Task],
    folder: Path,
    maker: RowMaker,
    *,
    files: bool,
    shard: tuple[int, int],
) -> Iterator[Part]:
    seen: set[int] = set()  # about 100 bytes for each sample: 100,000 take 10 MB
    share = (task for task in _once(tasks, seen) if in_shard(task, shard))
    for index, batch in enumerate(_batches(share, PART_ROWS)):
        name = f"{shard[0]}-of-{shard[1]}-{index:06d}"
        plain = tuple(task.to_json() for task in batch)
        yield Part(folder, name, plain, maker, files)


def _batches(tasks: Iterator[Task], size: int) -> Iterator[list[Task]]:
    while batch := list(islice(tasks, size)):
        yield batch


def _once(tasks: Iterable[Task], seen: set[int]) -> Iterator[Task]:
    for task in tasks:
        mark = stable_hash(task.sample_id)
        if mark in seen:
            raise ECGError(
                f"the sample {task.sample_id} stands twice: two sources or records have one "
                "name; rename a folder"
            )
        seen.add(mark)
        yield task


def _made(parts: Iterator[Part], plant: Plant) -> Iterator[tuple[Part, dict[str, Any]]]:
    """Each part with what its marker says, in the order in which they get done."""
    with _pool(plant.processes) as pool:
        ready = parts
        if plant.model is not None:
            ready = _written(parts, plant.model, lambda p: pool.submit(jobs_of, p).result())
        waiting: dict[Future, Part] = {}
        try:
            for part in ready:
                done = _already(part)
                if done:
                    yield part, done
                else:
                    waiting[pool.submit(make_part, part)] = part
                if len(waiting) >= 2 * plant.processes:
                    yield from _finished(waiting)
            while waiting:
                yield from _finished(waiting)
        except BrokenProcessPool as error:
            raise ECGError(
                "a worker process was killed, perhaps for lack of memory; run the same command "
                "again: what was finished is kept"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class _Here(Executor):
    """Does in this process at once what a pool does in others."""

    def submit(self, work: Callable[..., Any], /, *given: Any, **named: Any) -> Future:
        future: Future = Future()
        future.set_result(work(*given, **named))
        return future


def _written(
    parts: Iterator[Part], model: Model, plan: Callable[[Part], list[Job]]
) -> Iterator[Part]:
    """Parts with a model's answers; those that are done already are not asked for again."""
    queue: deque[tuple[Part, int]] = deque()

    def jobs() -> Iterator[Job]:
        for part in parts:
            found = [] if _already(part) else plan(part)
            queue.append((part, len(found)))
            yield from found

    answers: list[Answer] = []
    for answer in model.answers(jobs()):
        while queue[0][1] == 0:
            yield queue.popleft()[0]
        answers.append(answer)
        if len(answers) == queue[0][1]:
            yield replace(queue.popleft()[0], answers=tuple(answers))
            answers = []
    yield from (part for part, _ in queue)


def _finished(waiting: dict[Future, Part]) -> Iterator[tuple[Part, dict[str, Any]]]:
    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
        yield waiting.pop(future), future.result()


def _already(part: Part) -> dict[str, Any] | None:
    """The marker of a part that an earlier run has finished."""
    if not part.marker.is_file():
        return None
    said = json.loads(part.marker.read_text(encoding="utf-8"))
    if said["digest"] != part.digest:
        raise ECGError(
            f"{part.folder} was made from other records (part {part.name} differs): choose "
            "another folder, or delete it"
        )
    return said


@contextmanager
def _pool(processes: int) -> Iterator[Executor]:
    """Fresh processes with one thread each, which end when this one is killed."""
    if processes == 1:
        yield _Here()
        return
    limited = {
        name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    }
    os.environ.update(dict.fromkeys(limited, "1"))
    try:
        with ProcessPoolExecutor(
            processes,
            mp_context=get_context("spawn"),
            initializer=_end_with_parent,
            initargs=(os.getpid(),),
        ) as pool:
            yield pool
    finally:
        for name, value in limited.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _end_with_parent(parent: int) -> None:
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _stop_if_hopeless(
    judged: Counter[str], folder: Path, most_rejects: float, *, at_end: bool
) -> None:
    n = judged["rows"] + judged["failed"]
    if n == 0 and at_end:
        raise ECGError(f"no record was left to make a row of: see {folder / 'rejects.jsonl'}")
    if judged["failed"] > most_rejects * n and (at_end or n >= FEWEST_JUDGED):
        table = "; ".join(f"{count} x {reason}" for reason, count in _reasons(folder)[:5])
        raise ECGError(
            f"{judged['failed']} of {n} records failed, more than {most_rejects:.0%}: {table}. "
            f"All are in {folder / 'rejects.jsonl'}; what was made is kept"
        )


def _reasons(folder: Path) -> list[tuple[str, int]]:
    """Reasons of failed records without their details, the most frequent first."""
    found = Counter(
        reject["reason"].partition(":")[0]
        for said in _markers(folder)
        for reject in said["rejects"]
        if reject["failed"]
    )
    return found.most_common()


def _markers(folder: Path) -> Iterator[dict[str, Any]]:
    for marker in sorted((folder / "parts").glob("*.json")):
        yield json.loads(marker.read_text(encoding="utf-8"))


def finish(folder: Path) -> None:
    """Write what speaks of the whole from the parts that are there: lines, rejects, card."""
    parts = sorted((folder / "parts").glob("*.json"))
    rejects = folder / "rejects.jsonl"
    with Whole(rejects) as beside, beside.open("w", encoding="utf-8") as out:
        for said in _markers(folder):
            out.writelines(
                json.dumps(reject, ensure_ascii=False) + "\n" for reject in said["rejects"]
            )
    origin = json.loads((folder / "made_from.json").read_text(encoding="utf-8"))
    if origin["files"]:
        with Whole(folder / "corpus.jsonl") as beside, beside.open("wb") as out:
            for part in parts:
                out.write(part.with_suffix(".jsonl").read_bytes())
    with Whole(folder / "README.md") as beside:
        beside.write_text(data_card(origin, list(_markers(folder))), encoding="utf-8")
    _write_index(folder, parts)


def _write_index(folder: Path, parts: Sequence[Path]) -> None:
    """What `datasets.load_from_disk` looks for, so that the parts are read where they lie."""
    from datasets import DatasetInfo, Features  # noqa: PLC0415  comes with the extra "train"

    filled = [said for said in zip(parts, _markers(folder), strict=True) if said[1]["rows"]]
    digests = "".join(said["digest"] for _, said in filled)
    state = {
        "_data_files": [{"filename": f"parts/{part.stem}.arrow"} for part, _ in filled],
        "_fingerprint": f"{stable_hash(digests):016x}",
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    info = DatasetInfo(features=Features.from_arrow_schema(arrow_schema()))
    with Whole(folder / "dataset_info.json") as beside, beside.open("wb") as out:
        info._dump_info(out)
    with Whole(folder / "state.json") as beside:
        beside.write_text(json.dumps(state, indent=1), encoding="utf-8")


def load_corpus(folder: Path) -> Any:
    """A corpus that `build_corpus` has made, as a `datasets.Dataset` mapped from disk.

    `datasets.load_from_disk` does the same.

    Raises:
        ECGError: The folder holds none, or none with a row.
    """
    from datasets import load_from_disk  # noqa: PLC0415  comes with the extra "train"

    state = folder / "state.json"
    if not state.is_file() or not json.loads(state.read_text(encoding="utf-8"))["_data_files"]:
        raise ECGError(f"{folder} holds no rows of a corpus: give a folder that `corpus` made")
    return load_from_disk(str(folder))
