"""The verifier: a text that says its plan passes, and each kind of error is named."""

from functools import cache

import numpy as np
import pytest

from benchmarks.plants import KINDS, leads_showing, plant
from ecg_r1.claims.facts import Facts
from ecg_r1.corpus import simulated_tasks
from ecg_r1.corpus.record import measured
from ecg_r1.corpus.template import write
from ecg_r1.corpus.verify import verify
from ecg_r1.corpus.writing import plan_of
from ecg_r1.report import Report, format_report, parse_report

SEEDS = (7, 11, 12, 20, 23, 31)


@cache
def case(seed):
    task = simulated_tasks(1, first_seed=seed)[0]
    record = measured(task)
    facts = Facts.of(record.m, record.findings, key=record.labels)
    plan = plan_of(task, record)
    text = format_report(write(plan, np.random.default_rng(seed)))
    return record, plan, facts, text


@pytest.mark.parametrize("seed", SEEDS)
def test_a_text_that_says_its_plan_passes(seed):
    _, plan, facts, text = case(seed)
    assert verify(text, plan, facts).problems == ()


@pytest.mark.parametrize("kind", KINDS)
def test_planted_errors_are_found(kind):
    found = []
    for seed in SEEDS:
        record, plan, facts, text = case(seed)
        change = plant(
            text, kind, np.random.default_rng(seed), shown=leads_showing(record.m.leads)
        )
        if change is not None:
            found.append((verify(change[0], plan, facts).ok, change[1]))
    assert len(found) >= 3
    assert not [what for passed, what in found if passed]


def kinds(text, plan, facts):
    return {problem.kind for problem in verify(text, plan, facts).problems}


def test_each_fault_has_its_name():
    record, plan, facts, text = case(7)
    bpm = round(record.m.hr_bpm)
    step = "**Step 2"
    assert kinds(text.replace(f"{bpm} ", f"{bpm + 20} "), plan, facts) >= {"contradicted"}
    assert kinds(text.replace("<think>", ""), plan, facts) >= {"grammar"}
    assert kinds(text.replace("</answer>", "; lbbb</answer>"), plan, facts) == {"answer"}
    said = text.replace(step, f"There is a Brugada pattern.\n{step}")
    assert kinds(said, plan, facts) == {"unsupported"}
    said = text.replace(step, f"The chest measures 12 mm.\n{step}")
    assert kinds(said, plan, facts) == {"unread number"}
    parts = parse_report(text)
    steps = {**parts.steps, 2: "Nothing to remark."}
    cut = format_report(Report(steps, parts.summary, tuple(parts.diagnoses)))
    assert "missing" in kinds(cut, plan, facts)


def test_a_label_beyond_the_key_is_not_borne_out_by_the_record():
    """What the protocol would conclude is no licence to add it to the key."""
    _, plan, facts, text = case(7)
    denied = text.replace("**Step 6", "There is left bundle branch block.\n**Step 6")
    assert kinds(denied, plan, facts) & {"contradicted", "unsupported"}


@pytest.mark.parametrize(
    "text", ["", "Sinus rhythm.", "<think></think><answer></answer>", "\x00"]
)
def test_anything_else_is_rejected(text):
    _, plan, facts, _ = case(7)
    assert not verify(text, plan, facts).ok
