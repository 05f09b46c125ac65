"""Readings of many records under many conditions: batched, with a bar, and resumable."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from ecg_r1.corpus.record import read_record
from ecg_r1.corpus.task import stable_hash
from ecg_r1.ecg import ECG, ECGError
from ecg_r1.evaluate.conditions import CONDITIONS, Condition, chance_of, shuffled
from ecg_r1.evaluate.files import READINGS, Readings, Row, Truth, provenance, settle_run
from ecg_r1.evaluate.readers import Reader, Shown, Told
from ecg_r1.page import draw_page

THINK_END = "</think>"


@dataclass(frozen=True)
class Job:
    """One reading to be made."""

    truth: Truth
    arm: str
    condition: Condition
    shown: Truth

    @property
    def key(self) -> tuple[str, str, str]:
        """As `Row.key`."""
        return self.truth.record, self.arm, self.condition.name


def jobs_of(
    truths: Sequence[Truth], reader: Reader, conditions: Iterable[str], *, seed: int
) -> list[Job]:
    """Every reading of a run, arms of one record beside each other.

    A condition is left out for arms that it does not name.

    Raises:
        ECGError: An unknown condition.
    """
    by_key = {one.record: one for one in truths}
    stand_in = shuffled(list(by_key), seed=seed)
    found = []
    for name in conditions:
        if name not in CONDITIONS:
            raise ECGError(f"{name!r} is no condition; choose from {', '.join(CONDITIONS)}")
        condition = CONDITIONS[name]
        if condition.other and len(truths) < 2:
            continue
        for truth in _asked(truths, condition, seed):
            other = by_key[stand_in[truth.record]] if condition.other else truth
            arms = [arm for arm in reader.arms if arm in condition.arms]
            found += [Job(truth, arm, condition, other) for arm in arms]
    return found


def _asked(truths: Sequence[Truth], condition: Condition, seed: int) -> list[Truth]:
    """The records that a condition is asked of, drawn by a hash of their keys."""
    if condition.most is None or condition.most >= len(truths):
        return list(truths)
    rank = sorted(truths, key=lambda one: stable_hash(f"asked {seed} {one.record}"))
    kept = {one.record for one in rank[: condition.most]}
    return [one for one in truths if one.record in kept]


def run_reader(
    reader: Reader,
    truths: Sequence[Truth],
    folder: Path,
    *,
    conditions: Iterable[str] = ("clean",),
    seed: int = 0,
    batch: int = 24,
) -> None:
    """Make every reading that the folder does not hold yet; a killed run goes on.

    Readings that failed are tried again.

    Args:
        reader: Who reads.
        truths: The records.
        folder: Of the run.
        conditions: Names of `CONDITIONS`.
        seed: Of the conditions.
        batch: Readings in one call of the reader.

    Raises:
        ECGError: An unknown condition, or the folder holds another run.
    """
    jobs = jobs_of(truths, reader, conditions, seed=seed)
    settle_run(folder, provenance(reader=reader.about(), seed=seed, truths=truths))
    store = Readings(folder / READINGS)
    waiting = [job for job in jobs if job.key not in store]
    with tqdm(total=len(jobs), initial=len(jobs) - len(waiting), unit="reading") as bar:
        for some in _batches(waiting, batch):
            bar.set_postfix_str(some[0].condition.name)
            store.keep(_read(reader, some, seed))
            bar.update(len(some))


def _batches(jobs: Sequence[Job], size: int) -> Iterator[Sequence[Job]]:
    return (jobs[start : start + size] for start in range(0, len(jobs), size))


def _read(reader: Reader, jobs: Sequence[Job], seed: int) -> list[Row]:
    signals: dict[tuple[str, str], ECG] = {}
    pages: dict[tuple[str, str], Image.Image] = {}
    shown = []
    for job in jobs:
        place = job.shown.record, job.condition.name
        if place not in signals:
            signals[place] = signal_of(job.shown, job.condition, seed)
        if job.arm in ("image", "both") and place not in pages:
            pages[place] = page_of(signals[place], reader, job.condition, job.shown, seed)
        shown.append(
            Shown(
                job.truth.record,
                job.arm,
                ecg=signals[place] if job.arm != "image" else None,
                image=pages.get(place) if job.arm in ("image", "both") else None,
                facts=job.shown.measured if job.arm == "measurements" else None,
                reasoning=reasoning_of(job.truth) if job.condition.reasoning else "",
                scored=job.condition.name == "clean",
                restricted=bool(job.shown.task.get("restricted")),
            )
        )
    told = reader.read(shown)
    return [_row(job, one) for job, one in zip(jobs, told, strict=True)]


def _row(job: Job, told: Told) -> Row:
    scores = told.scores
    return Row(
        record=job.truth.record,
        arm=job.arm,
        condition=job.condition.name,
        text=told.text,
        n_tokens=told.n_tokens,
        seconds=round(told.seconds, 4),
        scores=scores,
        shown=None if job.shown is job.truth else job.shown.record,
        problem=told.problem,
        cost=told.cost,
    )


def signal_of(truth: Truth, condition: Condition, seed: int) -> ECG:
    """The record as a condition leaves it."""
    ecg, _ = read_record(truth.read_again())
    if condition.signal is None:
        return ecg
    return condition.signal(ecg, _chance(truth, condition, seed, "signal"))


def page_of(
    ecg: ECG, reader: Reader, condition: Condition, truth: Truth, seed: int
) -> Image.Image:
    """The page of a record as a condition shows it."""
    page = draw_page(ecg, **{**reader.page, **condition.page})
    if condition.picture is None:
        return page
    return condition.picture(page, _chance(truth, condition, seed, "page"))


def _chance(truth: Truth, condition: Condition, seed: int, what: str) -> np.random.Generator:
    return chance_of(seed, truth.record, f"{condition.name} {what}")


def reasoning_of(truth: Truth) -> str:
    """The reference's reasoning, up to where a reader has to conclude.

    The labels themselves are named in step 6 of the reference, so this asks whether a reader
    follows what stands before its eyes, not whether it could find it.
    """
    head, closed, _ = truth.reference.partition(THINK_END)
    return head + closed + "\n" if closed else head
