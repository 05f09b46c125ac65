"""One part of a corpus: a batch of tasks made into files that appear whole or not at all.

A part is done when its marker stands beside it, and the marker is written last. Everything in
a part follows from its tasks, so that whoever makes it again writes the same bytes.
"""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecg_r1.corpus.journal import Answer, Job
from ecg_r1.corpus.record import measured, picture_format, wfdb_header, wfdb_samples
from ecg_r1.corpus.rows import COLUMNS, RowMaker
from ecg_r1.corpus.task import Task, stable_hash
from ecg_r1.corpus.writing import plan_of
from ecg_r1.ecg import ECGError
from ecg_r1.report import QUESTION, SYSTEM_PROMPT

PART_ROWS = 64
STORED = {name: kind for name, kind in COLUMNS.items() if name not in ("reason", "failed")}


@dataclass(frozen=True)
class Part:
    """A batch of tasks and where its files go.

    Attributes:
        folder: The corpus.
        name: Its own, as in "0-of-1-00003".
        tasks: `Task.to_json` of each.
        maker: Makes the rows.
        files: Whether pages, records and lines of JSON are written beside the rows.
        answers: What a language model wrote, by sample.
    """

    folder: Path
    name: str
    tasks: tuple[dict[str, Any], ...]
    maker: RowMaker
    files: bool
    answers: tuple[Answer, ...] = ()

    @property
    def marker(self) -> Path:
        """The file that says that the part is done, and what is in it."""
        return self.folder / "parts" / f"{self.name}.json"

    @property
    def table(self) -> Path:
        """The rows, as Arrow keeps them."""
        return self.marker.with_suffix(".arrow")

    @property
    def lines(self) -> Path:
        """The rows as lines of JSON."""
        return self.marker.with_suffix(".jsonl")

    @property
    def digest(self) -> str:
        """What the part is made from, in short; not where the files lie on this machine."""
        plain = [
            task | {name: Path(task[name]).name for name in ("record", "picture")}
            for task in self.tasks
        ]
        told = json.dumps([plain, repr(self.maker), self.files], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()


def make_part(part: Part) -> dict[str, Any]:
    """Make a part, its marker last.

    Returns:
        What the marker holds: `digest`, `rows`, `rejects` (id, reason, failed), and counts.
    """
    import pyarrow as pa  # noqa: PLC0415  comes with the extra "train"

    wrote = {answer.sample_id: answer for answer in part.answers}
    rows = [part.maker(task | _answer(task, wrote)) for task in part.tasks]
    kept = [row for row in rows if not row["reason"]]
    schema = arrow_schema()
    table = pa.Table.from_pylist([{name: row[name] for name in STORED} for row in kept], schema)
    with Whole(part.table) as file, pa.ipc.new_stream(str(file), schema) as stream:
        stream.write_table(table)
    if part.files:
        lines = [json.dumps(_write_files(part, row), ensure_ascii=False) for row in kept]
        with Whole(part.lines) as file:
            file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    said = {"digest": part.digest, **_counts(kept, rows)}
    with Whole(part.marker) as file:
        file.write_text(json.dumps(said, ensure_ascii=False), encoding="utf-8")
    return said


def _answer(task: Mapping[str, Any], wrote: Mapping[str, Answer]) -> dict[str, str]:
    answer = wrote.get(Task.from_json(task).sample_id)
    return {} if answer is None else {"answer": answer.text, "answer_error": answer.error}


def jobs_of(part: Part) -> list[Job]:
    """What a language model has to write for a part; none for records that make no row."""
    jobs = []
    for plain in part.tasks:
        task = Task.from_json(plain)
        if task.messages:  # brings its own text
            continue
        try:
            plan = plan_of(task, measured(task))
        except ECGError:  # the part itself will say so
            continue
        jobs.append(Job(task.sample_id, plan, task.restricted))
    return jobs


class Whole:
    """A file written under another name and renamed when all of it is there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")

    def __enter__(self) -> Path:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return self.beside

    def __exit__(self, kind: Any, *_: object) -> None:
        if kind is None:
            self.beside.replace(self.path)
        else:
            self.beside.unlink(missing_ok=True)


def arrow_schema() -> Any:
    """The Arrow schema of the rows, which carries `datasets.Features`."""
    from datasets import Features, List, Value  # noqa: PLC0415  comes with the extra "train"

    def feature(kind: Any) -> Any:
        return List(feature(kind[0])) if isinstance(kind, list) else Value(kind)

    return Features({name: feature(kind) for name, kind in STORED.items()}).arrow_schema


def _counts(kept: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "rows": len(kept),
        "rejects": [
            {"id": row["id"], "reason": row["reason"], "failed": row["failed"]}
            for row in rows
            if row["reason"]
        ],
        "sources": dict(Counter(f"{row['source']}, {row['split']}" for row in kept)),
        "keys": dict(Counter(row["key"] for row in kept)),
        "labels": dict(Counter(label for row in kept for label in row["labels"])),
        "restricted": sum(row["restricted"] for row in kept),
    }


# --- the reference's layout -------------------------------------------------------------------


def file_name(sample_id: str) -> str:
    """A plain file name for a sample; different samples get different ones.

    Example:
        >>> file_name("simulated/7/0")
        'simulated-7-0'
    """
    plain = re.sub(r"[^A-Za-z0-9_.-]", "-", sample_id)[:120].lstrip(".")
    return (
        plain if plain.replace("-", "/") == sample_id else f"{plain}-{stable_hash(sample_id):x}"
    )


def _write_files(part: Part, row: Mapping[str, Any]) -> dict[str, Any]:
    """Write a row's page and record, and return its line."""
    name = file_name(row["id"])
    picture = Path("images") / part.name / f"{name}{picture_format(row['page'])}"
    record = Path("records") / part.name / name
    for path in (part.folder / picture, part.folder / record):
        path.parent.mkdir(parents=True, exist_ok=True)
    (part.folder / picture).write_bytes(row["page"])
    comments = [] if row["calibrated"] else ["uncalibrated: the gain of the source is unknown"]
    header = wfdb_header(name, row["signal"], [f"sample: {row['id']}", *comments])
    (part.folder / f"{record}.hea").write_text(header, encoding="utf-8")
    (part.folder / f"{record}.dat").write_bytes(wfdb_samples(row["signal"]))
    return sample_line(row, images=[picture.as_posix()], ecg=[record.as_posix()])


def sample_line(
    row: Mapping[str, Any], *, images: Sequence[str] = (), ecg: Sequence[str] = ()
) -> dict[str, Any]:
    """A row in the layout of the paper's corpus: `id`, `messages`, `images`, `objects.ecg`.

    `solution` is that of its RL set; `labels`, `split` and `source` are ours.

    Args:
        row: A row.
        images: Path of its page.
        ecg: Path of its WFDB record, without suffix.
    """
    messages = json.loads(row["messages"]) if row["messages"] else None
    return {
        "id": row["id"],
        "messages": messages or conversation(row["text"]),
        "images": list(images),
        "objects": {"ecg": list(ecg)},
        "solution": row["solution"],
        "labels": list(row["labels"]),
        "split": row["split"],
        "source": row["source"],
    }


def conversation(answer: str) -> list[dict[str, str]]:
    """System, user and assistant, as the paper's training set has them."""
    return [
        {"role": "system", "content": SYSTEM_PROMPT},
        {"role": "user", "content": f"<ecg><image>\n{QUESTION}"},
        {"role": "assistant", "content": answer},
    ]
