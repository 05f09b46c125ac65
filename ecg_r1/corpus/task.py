"""One record to make: the unit that sources list, processes share and resuming counts."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

SPLIT_NAMES = ("train", "choose", "report")


@dataclass(frozen=True)
class Task:
    """One record to make: where it comes from, which variant of it, and what is known of it.

    A task is plain data, so that it travels between processes and machines and fits into a
    column of a `datasets.Dataset`.

    Attributes:
        source: "simulated" or a data set's short name.
        record: Seed of a simulated record, path of a real one.
        labels: Answer key, canonical labels; empty where the source gives none, and then the
            protocol's own diagnoses are the key.
        split: "train", "choose" or "report".
        variant: 0 is the record itself; others are stretched in time by a few per cent.
        key: Name of the record within its source, where the file's name is not unique.
        report: What the source's report says, in its own words and language.
        age_years: Age by the source's table; None leaves what the record's file says.
        sex: "female" or "male" by the source's table; None leaves what the file says.
        calibrated: False where the source says that its voltages mean nothing; None leaves
            what the file says.
        restricted: Under a data-use agreement: never sent to an endpoint unasked.
        fs: Sampling rate in Hz, for files that do not state it.
        units: Unit of the samples, for files that do not state it.
        leads: Lead names in the file's order, for files that do not state them.
        messages: JSON of a published sample's own conversation; empty where we write one.
        picture: Path of a published sample's own page; empty where we draw one.
        problem: Why the source leaves this record out; such a task makes no row.
    """

    source: str
    record: str
    labels: tuple[str, ...] = ()
    split: str = "train"
    variant: int = 0
    key: str = ""
    report: str = ""
    age_years: float | None = None
    sex: str | None = None
    calibrated: bool | None = None
    restricted: bool = False
    fs: float | None = None
    units: str | None = None
    leads: tuple[str, ...] = ()
    messages: str = ""
    picture: str = ""
    problem: str = ""

    @property
    def sample_id(self) -> str:
        """Key of the sample, unique in a corpus."""
        return f"{self.source}/{self.key or Path(self.record).stem}/{self.variant}"

    def to_json(self) -> dict[str, Any]:
        """The task as plain values, a row of a table of tasks."""
        plain = asdict(self)
        return plain | {"labels": list(self.labels), "leads": list(self.leads)}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Task":
        """The task of a table's row; columns that are no field are left alone.

        Example:
            >>> task = Task("simulated", "7", labels=("sinus rhythm",))
            >>> Task.from_json(task.to_json() | {"another": 1}) == task
            True
        """
        known = {field.name: plain[field.name] for field in fields(cls) if field.name in plain}
        for name in ("labels", "leads"):
            known[name] = tuple(known.get(name) or ())
        return cls(**known)


def stable_hash(text: str) -> int:
    """64 bits that follow from a text alone, in every process and on every machine.

    Example:
        >>> stable_hash("simulated/7/0")
        1053501203303058476
    """
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def chance(seed: int, sample_id: str, what: str) -> np.random.Generator:
    """The stream of chance of one part of one row: it follows from the three alone."""
    return np.random.default_rng([seed, stable_hash(f"{what}:{sample_id}")])


def hashed_split(patient: str) -> str:
    """Split of a patient where a source has none of its own: 80, 10 and 10 per cent."""
    tenth = stable_hash(f"split:{patient}") % 10
    return {0: "choose", 1: "report"}.get(tenth, "train")
