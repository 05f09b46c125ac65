"""The text of a row: planned, written, and where a model wrote it, checked against the plan."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecg_r1.claims.facts import Facts
from ecg_r1.corpus.evidence import evidence_columns
from ecg_r1.corpus.plan import PlanError, make_plan
from ecg_r1.corpus.record import Measured
from ecg_r1.corpus.statement import Plan
from ecg_r1.corpus.task import Task
from ecg_r1.corpus.template import UNCALIBRATED, write, write_report
from ecg_r1.corpus.verify import verify
from ecg_r1.ecg import ECGError
from ecg_r1.report import format_report


@dataclass(frozen=True)
class Written:
    """A reading and how it came about.

    Attributes:
        text: The reading.
        plan: What it was to say; None where the answer key contradicts the record, which
            only a plain text survives, or where a published sample has no answer.
        writer: "template", "plain", "published" or a model's name.
        unlearned: Spans of `text` that training must skip.
    """

    text: str
    plan: Plan | None
    writer: str
    unlearned: tuple[tuple[int, int], ...] = ()


def plan_of(task: Task, record: Measured) -> Plan:
    """What the reading of a record has to say.

    Raises:
        PlanError: The answer key contradicts the record.
    """
    return make_plan(
        record.m,
        record.findings,
        record.labels,
        calibrated=record.ecg.calibrated,
        report=task.report or None,
    )


def facts_of(record: Measured) -> Facts:
    """What a text about the record is checked against."""
    ecg = record.ecg
    return Facts.of(
        record.m,
        record.findings,
        key=record.labels,
        calibrated=ecg.calibrated,
        person=(ecg.age_years, ecg.sex),
    )


def write_plain(task: Task, record: Measured) -> Written:
    """The same sentences for every record, as the shipped model learned them.

    Raises:
        PlanError: A record to train on contradicts its answer key; one that models are only
            judged by is kept, without evidence.
    """
    try:
        plan = plan_of(task, record)
    except PlanError:
        if task.split == "train":
            raise
        plan = None
    text = format_report(write_report(record.m, record.findings, record.labels))
    return Written(text, plan, "plain", spans(text, UNCALIBRATED))


def write_template(task: Task, record: Measured, rng: np.random.Generator) -> Written:
    """Sentences of chance that say what the plan says.

    Raises:
        PlanError: The answer key contradicts the record.
        ECGError: The text does not say what the plan says: a fault of ours, and no row.
    """
    plan = plan_of(task, record)
    text = format_report(write(plan, rng))
    checked = verify(text, plan, facts_of(record))
    if not checked.ok:
        raise ECGError(f"the template's text was rejected: {checked.problems[0]}")
    return Written(text, plan, "template", spans(text, UNCALIBRATED))


def keep_published(task: Task, record: Measured) -> Written:
    """A published sample's own words."""
    text = json.loads(task.messages)[-1]["content"]
    try:
        plan = plan_of(task, record) if record.labels else None
    except PlanError:
        plan = None
    return Written(text, plan, "published")


def check_model(
    task: Task,
    record: Measured,
    text: str,
    writer: str,
    *,
    else_template: np.random.Generator | None,
) -> Written:
    """A model's reading, if it says what the plan says and nothing that the record denies.

    Args:
        task: The task.
        record: Its record.
        text: What the model wrote.
        writer: Name of the model.
        else_template: Draws the template's words where the model's are rejected; None makes no
            row of them.

    Raises:
        PlanError: The answer key contradicts the record.
        ECGError: The text is rejected, and nothing is to stand in for it.
    """
    plan = plan_of(task, record)
    checked = verify(text, plan, facts_of(record))
    if checked.ok:
        return Written(text, plan, writer)
    if else_template is not None:
        return write_template(task, record, else_template)
    raise ECGError(f"the model's text was rejected: {checked.problems[0]}")


def spans(text: str, phrase: str) -> tuple[tuple[int, int], ...]:
    """Where a phrase stands in a text.

    Example:
        >>> spans("No. No.", "No.")
        ((0, 3), (4, 7))
    """
    found, start = [], text.find(phrase)
    while start >= 0:
        found.append((start, start + len(phrase)))
        start = text.find(phrase, start + 1)
    return tuple(found)


def columns(written: Written) -> Mapping[str, Any]:
    """A row's columns on its text; those for RL are empty where there is no plan."""
    told = dict.fromkeys(("solution", "evidence", "measurements"), "")
    if written.plan is not None:
        told = evidence_columns(written.plan, written.text)
    return {
        **told,
        "text": written.text,
        "writer": written.writer,
        "unlearned": [list(span) for span in written.unlearned],
    }
