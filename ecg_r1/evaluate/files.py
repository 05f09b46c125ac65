"""What a run leaves on disk: who read what, the truth about it, every reading, every number.

A folder holds `run.json` (model, commit, data, seed, versions, machine, command),
`records.jsonl` (the truth), `readings.jsonl` (one line per record, arm and condition, written
the moment it is there) and `result.json`, which follows from the other three.
"""

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ecg_r1 import __version__
from ecg_r1.claims.facts import Facts
from ecg_r1.corpus.task import Task
from ecg_r1.ecg import ECGError

RUN, RECORDS, READINGS, RESULT = "run.json", "records.jsonl", "readings.jsonl", "result.json"
JUDGED = "judged.json"  # where a language model was asked
_PACKAGES = ("torch", "transformers", "numpy", "scipy", "pillow", "sacrebleu", "rouge-score")
_CODE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Truth:
    """What is known of one record before anyone reads it.

    Attributes:
        record: Its key.
        patient: Whose it is; records of one patient are drawn together in intervals.
        task: How to read the file again, as `Task.to_json` gives it.
        labels: Answer key.
        codes: The source's own codes, such as SCP statements.
        facts: Measurements and protocol, as `Facts.to_json` gives them.
        reference: A reading written from the truth by the corpus' template.
        signal_hash: Of the samples.
    """

    record: str
    patient: str
    task: dict[str, Any]
    labels: tuple[str, ...]
    codes: tuple[str, ...]
    facts: dict[str, Any]
    reference: str
    signal_hash: str

    @cached_property
    def measured(self) -> Facts:
        """The facts as an object."""
        return Facts.from_json(self.facts)

    @property
    def calibrated(self) -> bool:
        """Whether voltages, and therefore all numbers, are the record's own."""
        return bool(self.facts["calibrated"])

    @property
    def source(self) -> str:
        """Short name of the data set."""
        return str(self.task["source"])

    def read_again(self) -> Task:
        """The task that finds the file."""
        return Task.from_json(self.task)


@dataclass(frozen=True)
class Row:
    """One reading.

    Attributes:
        record: Key of the record.
        arm: What was shown: "signal", "image", "both", or "measurements".
        condition: How it was shown, a name of `CONDITIONS`.
        text: What was written, verbatim.
        n_tokens: Tokens written; 0 where the reader does not say.
        seconds: Wall time; of a batch, its time shared out evenly.
        scores: Label to mean log-probability of its tokens at `<answer>`, where asked for.
        shown: Key of the record that was shown, where it was another one.
        problem: Why there is no text.
        cost: By the endpoint's prices.
    """

    record: str
    arm: str
    condition: str
    text: str
    n_tokens: int = 0
    seconds: float = 0.0
    scores: dict[str, float] | None = None
    shown: str | None = None
    problem: str | None = None
    cost: float = 0.0

    @property
    def key(self) -> tuple[str, str, str]:
        """What a run may hold only once."""
        return self.record, self.arm, self.condition


class Readings:
    """A file of readings; safe to kill at any time, and to go on with.

    Args:
        path: The file; made when missing. A last line cut off by a kill is dropped.

    Raises:
        ECGError: A line of it is none of ours.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[tuple[str, str, str], Row] = {}
        if path.is_file():
            _drop_unfinished(path)
            for row in _lines(path, Row):
                self.rows[row.key] = row

    def keep(self, rows: Iterable[Row]) -> None:
        """Write readings through to the disk."""
        rows = list(rows)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            for row in rows:
                file.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.rows |= {row.key: row for row in rows}

    def __contains__(self, key: object) -> bool:
        """Whether it was read; what failed (an endpoint that was down) is asked for again."""
        row = self.rows.get(key)
        return row is not None and row.problem is None


@dataclass(frozen=True)
class Run:
    """A finished or unfinished run, read from its folder; all measures take one of these.

    Attributes:
        about: What `run.json` says.
        truths: Record to truth.
        rows: (record, arm, condition) to reading.
    """

    about: dict[str, Any]
    truths: dict[str, Truth]
    rows: dict[tuple[str, str, str], Row] = field(repr=False)

    @classmethod
    def load(cls, folder: Path) -> "Run":
        """A run from its folder.

        Raises:
            ECGError: The folder holds no run.
        """
        if not (folder / RUN).is_file():
            raise ECGError(f"{folder} holds no {RUN}: it is no folder of an evaluation")
        about = json.loads((folder / RUN).read_text(encoding="utf-8"))
        truths = {one.record: one for one in read_truths(folder)}
        return cls(about, truths, Readings(folder / READINGS).rows)

    def pairs(self, arm: str, condition: str = "clean") -> list[tuple[Truth, Row]]:
        """Truth and reading of every record that this arm read under this condition."""
        found = (
            (truth, self.rows.get((key, arm, condition))) for key, truth in self.truths.items()
        )
        return [(truth, row) for truth, row in found if row is not None]

    @property
    def arms(self) -> tuple[str, ...]:
        """Arms that read anything, in the order signal, image, both, others."""
        order = ("signal", "image", "both")
        found = {arm for _, arm, _ in self.rows}
        return (*(arm for arm in order if arm in found), *sorted(found - set(order)))

    @property
    def conditions(self) -> tuple[str, ...]:
        """Conditions that anything was read under, "clean" first."""
        found = dict.fromkeys(condition for _, _, condition in self.rows)
        return tuple(sorted(found, key=lambda name: name != "clean"))


def read_truths(folder: Path) -> list[Truth]:
    """The truths of a run's folder, none when it has none yet."""
    path = folder / RECORDS
    if not path.is_file():
        return []
    _drop_unfinished(path)
    return list(_lines(path, Truth))


def keep_truth(folder: Path, truth: Truth) -> None:
    """Add a record's truth to a run's folder."""
    with (folder / RECORDS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(truth), ensure_ascii=False) + "\n")


def _drop_unfinished(path: Path) -> None:
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        with path.open("r+b") as file:
            file.truncate(whole)


def _lines(path: Path, kind: type) -> Iterator[Any]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                plain = json.loads(line)
                for name in ("labels", "codes"):
                    if name in plain:
                        plain[name] = tuple(plain[name])
                yield kind(**plain)
            except (ValueError, TypeError) as error:
                raise ECGError(
                    f"{path}, line {number} is none of ours ({error}): move the file away, or "
                    f"remove the line: {line[:80]!r}"
                ) from error


# --- where numbers come from ------------------------------------------------------------------


def data_hash(truths: Iterable[Truth]) -> str:
    """Of all samples and labels of a run, whatever their order."""
    told = sorted(f"{one.record} {one.signal_hash} {';'.join(one.labels)}" for one in truths)
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def code_state() -> str | None:
    """The commit of this code, with "+" where files differ from it; None outside of git."""

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(_CODE), *words], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + (
            "+" if git("status", "--porcelain") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return None


def provenance(
    *, reader: Mapping[str, Any], seed: int, truths: Iterable[Truth]
) -> dict[str, Any]:
    """What `run.json` says of a run.

    Args:
        reader: What the reader says of itself: name, weights' hash, settings.
        seed: Of conditions and draws.
        truths: The records.
    """
    truths = list(truths)
    versions = {"python": platform.python_version(), "ecg_r1": __version__}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return {
        "reader": dict(reader),
        "commit": code_state(),
        "data_hash": data_hash(truths),
        "records": len(truths),
        "patients": len({one.patient for one in truths}),
        "sources": sorted({one.source for one in truths}),
        "seed": seed,
        "versions": versions,
        "machine": machine(),
        "command": " ".join(["python -m ecg_r1", *sys.argv[1:]]),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def machine() -> dict[str, Any]:
    """Processor, cores and accelerator."""
    import torch  # noqa: PLC0415  half a second, and result files can be read without it

    return {
        "platform": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def settle_run(folder: Path, about: dict[str, Any]) -> dict[str, Any]:
    """Write `run.json`, or go on with the one that stands there.

    Raises:
        ECGError: The folder holds a run of another model, other data or another seed.
    """
    path = folder / RUN
    if path.is_file():
        earlier = json.loads(path.read_text(encoding="utf-8"))
        for name in ("reader", "data_hash", "seed"):
            if earlier.get(name) != about[name]:
                raise ECGError(
                    f"{folder} holds a run with {name} {earlier.get(name)!r}, not "
                    f"{about[name]!r}: choose another --out, or delete it"
                )
        # A run that was gone on with by other code says so.
        about = earlier | {"resumed": [*earlier.get("resumed", []), about["commit"]]}
    write_whole(path, json.dumps(about, indent=1) + "\n")
    return about


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a kill leaves the old one or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
