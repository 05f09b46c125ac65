"""The protocol on a record: every criterion, every rule, and what follows."""

from typing import TYPE_CHECKING

from ecg_r1.labels import LABELS, SINUS_RHYTHMS, in_order
from ecg_r1.protocol.criteria import CRITERIA
from ecg_r1.protocol.judge import all_of, any_of, judge, read_values, why_open
from ecg_r1.protocol.model import Findings, Rule, Urgency
from ecg_r1.protocol.quantities import columns_of
from ecg_r1.protocol.rules import ALARMS, NOT_NORMAL, RULES

if TYPE_CHECKING:
    from ecg_r1.measurement import Measurements

UNCALIBRATED = "the record is not calibrated, so voltages and ST levels mean nothing"


def apply_protocol(
    measurements: "Measurements",
    *,
    age_years: float | None = None,
    sex: str | None = None,
    calibrated: bool = True,
) -> Findings:
    """Judge a record's measurements by the five phases.

    Where a limit depends on sex or age and these are not known, a criterion is met or excluded
    only if every possible limit says so, else unjudged.

    Args:
        measurements: What `measure` gave.
        age_years: For the ST limits in V2 and V3.
        sex: "female" or "male", for ST, QTc and Cornell limits; anything else is unknown.
        calibrated: False leaves all voltage and ST criteria unjudged.

    Returns:
        Findings, diagnoses and what was not judged; never a clinical diagnosis.

    Source:
        Each criterion names its own; the phases are those of ECG-R1, arXiv:2602.04279.
    """
    unjudged: dict[str, str] = {}
    findings = []
    columns = columns_of(measurements)
    for criterion in CRITERIA:
        is_barred = criterion.voltage and not calibrated
        values = read_values(criterion, measurements, columns)
        finding = judge(criterion, values, (age_years, sex), is_barred=is_barred)
        if finding.met is None:
            reason = UNCALIBRATED if is_barred else why_open(criterion, measurements, values)
            unjudged[criterion.name] = reason
        findings.append(finding)
    state = {finding.name: finding.met for finding in findings}
    for rule in RULES:
        _decide(rule, state, unjudged)
    labels = [label.text for label in LABELS if state.get(label.text)]
    if labels and set(labels) <= set(SINUS_RHYTHMS) and not calibrated:
        unjudged["normal ecg"] = UNCALIBRATED
    elif labels and set(labels) <= set(SINUS_RHYTHMS):
        labels += _normal(state, unjudged)
    diagnoses = list(in_order(labels))
    support, excluded = _reasons(state, diagnoses)
    urgency = _urgency(state, set(diagnoses))
    return Findings(tuple(findings), diagnoses, unjudged, support, excluded, urgency)


def _reasons(
    state: dict[str, bool | None], diagnoses: list[str]
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Diagnosis to the findings it rests on, and to what it demanded to be absent."""
    support: dict[str, dict[str, None]] = {}  # keys only: a set that keeps its order
    excluded: dict[str, dict[str, None]] = {}
    for rule in RULES:
        if not _met(rule, state):
            continue
        names = (*rule.needs, *(name for name in rule.one_of if state[name]))
        found = support.setdefault(rule.label, {})
        for name in names:
            found.update(support.get(name, {name: None}))
        excluded.setdefault(rule.label, {}).update(dict.fromkeys(rule.without))
    if "normal ecg" in diagnoses:
        rhythms = [support[label] for label in diagnoses if label in support]
        support["normal ecg"] = {name: None for found in rhythms for name in found}
        others = [rule.label for rule in RULES if rule.label not in SINUS_RHYTHMS]
        excluded["normal ecg"] = dict.fromkeys([*others, *NOT_NORMAL])
    return (
        {label: tuple(support[label]) for label in diagnoses},
        {label: tuple(excluded[label]) for label in diagnoses},
    )


def _urgency(state: dict[str, bool | None], diagnoses: set[str]) -> Urgency:
    """The highest level that an alarm asks for, with the reasons of that level."""
    named = {label.text for label in LABELS}
    met = [
        alarm
        for alarm in ALARMS
        if all(name in diagnoses if name in named else state[name] for name in alarm.needs)
    ]
    for level in ("immediate", "prompt"):
        reasons = dict.fromkeys(alarm.reason for alarm in met if alarm.level == level)
        if reasons:
            return Urgency(level, tuple(reasons))
    return Urgency()


def _normal(state: dict[str, bool | None], unjudged: dict[str, str]) -> list[str]:
    """Normal only if every rule could be judged and nothing else speaks against it."""
    if any(state[name] for name in NOT_NORMAL):
        return []
    open_labels = [label.text for label in LABELS if state.get(label.text, False) is None]
    if not open_labels:
        return ["normal ecg"]
    unjudged["normal ecg"] = f"{open_labels[0]} could not be judged"
    return []


def _decide(rule: Rule, state: dict[str, bool | None], unjudged: dict[str, str]) -> None:
    """Three-valued AND of the rule's parts; several rules for one label are joined by OR."""
    met = _met(rule, state)
    joined = any_of([state.get(rule.label, False), met])
    state[rule.label] = joined
    if joined is None and met is None:
        names = (*rule.needs, *rule.one_of, *rule.without)
        missing = next(name for name in names if state[name] is None)
        unjudged[rule.label] = unjudged[missing]
    elif joined is not None:
        unjudged.pop(rule.label, None)


def _met(rule: Rule, state: dict[str, bool | None]) -> bool | None:
    parts = [state[name] for name in rule.needs]
    parts += [None if state[name] is None else not state[name] for name in rule.without]
    if rule.one_of:
        parts.append(any_of([state[name] for name in rule.one_of]))
    return all_of(parts)
