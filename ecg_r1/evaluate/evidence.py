"""Does a diagnosis follow from evidence? Criterion, finding, place, decision, one by one.

In the manner of ECG-Reasoning-Benchmark (arXiv:2603.14326), on the reading's own text: for
each diagnosis that is true of the record, is the criterion named (1), is the finding that
decides stated the right way (2), is the lead or the number right (3), is the diagnosis
concluded (4)? The walk stops at the first wrong step. What this leaves out: asking in turns,
which models that only write readings cannot follow.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ecg_r1.claims.facts import Facts
from ecg_r1.claims.judge import judge
from ecg_r1.claims.omissions import SPOKEN_OF
from ecg_r1.claims.schema import GROUPS
from ecg_r1.claims.support import SUPPORT
from ecg_r1.evaluate.files import Row, Run, Truth
from ecg_r1.evaluate.stated import claims_of, diagnoses_of
from ecg_r1.evaluate.statistics import jaccard, with_interval

STEPS = ("criterion", "finding", "grounding", "decision")

# Finding of the protocol -> claims that state it. A diagnosis is no evidence of itself; a
# premature beat is, since the beat is what was seen.
NAMES: dict[str, tuple[str, ...]] = {
    finding: tuple(name for name in names if GROUPS.get(name) in (None, "ectopy"))
    for finding, names in SPOKEN_OF.items()
}
# Diagnosis -> every claim that can speak for it.
CLAIMS_FOR: dict[str, tuple[str, ...]] = {
    label: tuple(dict.fromkeys(n for entry in entries for f in entry for n in NAMES.get(f, ())))
    for label, entries in SUPPORT.items()
}


def deciding(label: str, facts: Facts) -> tuple[str, ...]:
    """Claims that could state what makes a diagnosis true of this record; maybe none."""
    met = [e for e in SUPPORT.get(label, ()) if all(facts.met(name) is True for name in e)]
    return tuple(
        dict.fromkeys(name for entry in met for f in entry for name in NAMES.get(f, ()))
    )


def first_wrong_step(text: str, label: str, facts: Facts) -> str | None:
    """The first step at which a reading leaves the way to a true diagnosis.

    Args:
        text: The reading.
        label: A diagnosis that is true of the record.
        facts: Of the record.

    Returns:
        One of `STEPS`; None when all four are right.

    Raises:
        ValueError: Nothing that was measured speaks for the diagnosis.
    """
    names = deciding(label, facts)
    if not names:
        raise ValueError(f"nothing measured speaks for {label!r}")
    about = [c for c in claims_of(text) if c.name in names]
    if not any(c.name in CLAIMS_FOR[label] for c in claims_of(text)):
        return "criterion"
    verdicts = {judge(c, facts).verdict for c in about if c.polarity != "possible"}
    if not verdicts - {"contradicted"}:  # not stated, or stated the wrong way
        return "finding"
    if "supported" not in verdicts:
        return "grounding"
    return None if label in diagnoses_of(text) else "decision"


def evidence_following(run: Run, arm: str, condition: str = "clean") -> dict[str, Any]:
    """How far readings walk from criterion to decision, over all true diagnoses with evidence.

    Returns:
        `completion` (share of walks without a wrong step, with interval over patients),
        `stopped_at` (step to count), `initial` (share of these diagnoses that were concluded,
        whatever the reasoning) and `supplied`, where condition "reasoned" was run: `found`,
        the share concluded with the correct reasoning put before the reader, `unaided`, the
        share without on the same records, and `jaccard` of all labels with it.
    """
    walks = _walks(run, arm, condition)
    patients = [truth.patient for truth, _, _ in walks]
    wrong = [first_wrong_step(row.text, label, t.measured) for t, label, row in walks]
    return {
        "diagnoses": len(walks),
        "completion": with_interval(patients, [float(one is None) for one in wrong]),
        "stopped_at": {step: Counter(wrong)[step] for step in STEPS},
        "initial": _concluded(walks),
        "supplied": _supplied(run, arm),
    }


def _walks(run: Run, arm: str, condition: str) -> list[tuple[Truth, str, Row]]:
    """Every true diagnosis with evidence, of every record that was read."""
    return [
        (truth, label, row)
        for truth, row in run.pairs(arm, condition)
        for label in truth.labels
        if label != "normal ecg" and deciding(label, truth.measured)
    ]


def _concluded(walks: Sequence[tuple[Truth, str, Row]]) -> dict[str, Any]:
    named = [float(label in diagnoses_of(row.text)) for _, label, row in walks]
    return with_interval([truth.patient for truth, _, _ in walks], named)


def _supplied(run: Run, arm: str) -> dict[str, Any] | None:
    """Decisions after the correct reasoning, beside those without it on the same records."""
    pairs = run.pairs(arm, "reasoned")
    if not pairs:
        return None
    walks = _walks(run, arm, "reasoned")
    clean = {truth.record: row for truth, row in run.pairs(arm)}
    overlap = [jaccard(diagnoses_of(row.text), truth.labels) for truth, row in pairs]
    return {
        "found": _concluded(walks),
        "unaided": _concluded(
            [(t, label, clean[t.record]) for t, label, _ in walks if t.record in clean]
        ),
        "jaccard": with_interval([truth.patient for truth, _ in pairs], overlap),
    }
