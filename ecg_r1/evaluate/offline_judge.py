"""The offline judge of the seven criteria: deterministic, by claims against the trace.

The scales are the paper's; what earns which score is ours and stands at each function. No
language model takes part, so two runs agree always and nothing is paid. What this leaves out:
style, and everything that no measurement of ours speaks to.
"""

from collections.abc import Sequence

from ecg_r1.claims.facts import Facts
from ecg_r1.claims.judge import judge
from ecg_r1.claims.judge_diagnoses import ANY_OF
from ecg_r1.claims.judgement import Judgement
from ecg_r1.claims.schema import GROUPS, QUANTITIES, Claim
from ecg_r1.claims.support import SUPPORT
from ecg_r1.ecg import LEADS
from ecg_r1.evaluate.evidence import CLAIMS_FOR
from ecg_r1.evaluate.files import Run
from ecg_r1.evaluate.grounded import Scores, aggregate
from ecg_r1.evaluate.stated import claims_of, diagnoses_of
from ecg_r1.labels import SINUS_RHYTHMS
from ecg_r1.report import parse_report

# What an orderly reading speaks of, whatever it finds (the protocol's five phases): ours.
FEATURES: dict[str, tuple[str, ...]] = {
    "rate": ("hr_bpm",),
    "rhythm": ("rhythm",),
    "PR interval": ("pr_ms",),
    "QRS duration": ("qrs_ms",),
    "axis": ("axis_deg",),
    "QT": ("qt_ms", "qtc_ms"),
    "ST segments": ("st elevation", "st depression", "st isoelectric", "st-t changes", "st_mv"),
    "T waves": ("t wave inversion", "normal t waves", "flat t waves", "tall t waves", "t_mv"),
    "Q waves": ("q waves", "qs complexes", "small q waves"),
    "voltage": ("sokolow_mv", "cornell_mv", "high voltage", "r_mv", "low qrs voltage"),
}
_NEED_VOLTS = ("ST segments", "T waves", "Q waves", "voltage")
# Share of claims that hold -> score out of 0, 50, 80, 100; thresholds are ours.
_STEPS = ((0.95, 100), (0.8, 80), (0.5, 50))
Judged = tuple[Claim, Judgement]


def judge_offline(text: str, facts: Facts, labels: Sequence[str]) -> dict[str, list[float]]:
    """Scores of one reading.

    Args:
        text: The reading.
        facts: Of the record.
        labels: The answer key.

    Returns:
        Criterion to the scores of its items, as a judge gives them.
    """
    judged = [(claim, judge(claim, facts)) for claim in claims_of(text)]
    told = diagnoses_of(text)
    return {
        "DiagnosisAccuracy": _diagnoses(told, judged, labels),
        "AnalysisCompleteness": _completeness(judged, facts),
        "AnalysisRelevance": _relevance(judged, labels),
        "LeadEvidenceValidity": _leads(judged, labels, facts),
        "GroundedECGUnderstanding": [_level(_held(judged))],
        "EvidenceBasedReasoning": [_level(_backed(told, judged))],
        "RealisticDiagnosticProcess": [_level(_process(text, judged, told))],
    }


def _level(share: float) -> int:
    return next((score for least, score in _STEPS if share >= least), 0)


def _diagnoses(told: Sequence[str], judged: list[Judged], labels: Sequence[str]) -> list[float]:
    """For each true diagnosis 2 when concluded, 1 when hedged or only its kind is named.

    Each further diagnosis that the trace contradicts is an item with 0.
    """
    hedged = {c.name for c, _ in judged if c.polarity == "possible"}
    kinds = {part for name in told for part in ANY_OF.get(name, ())}
    sinus = any(name in SINUS_RHYTHMS for name in told)
    scores: list[float] = []
    for label in labels:
        near = label in hedged or label in kinds or (label in SINUS_RHYTHMS and sinus)
        scores.append(2 if label in told else 1 if near else 0)
    wrong = {
        claim.name
        for claim, found in judged
        if claim.name in told
        and claim.polarity == "present"
        and found.verdict == "contradicted"
    }
    return scores + [0.0] * len(wrong - set(labels))


def _completeness(judged: list[Judged], facts: Facts) -> list[float]:
    """One for each feature that the reading speaks of without being contradicted."""
    scores = []
    for feature, names in FEATURES.items():
        if feature in _NEED_VOLTS and not facts.calibrated:
            continue
        about = [f for c, f in judged if c.name in names or c.kind in names]
        held = bool(about) and not any(f.verdict == "contradicted" for f in about)
        scores.append(float(held))
    return scores


def _relevance(judged: list[Judged], labels: Sequence[str]) -> list[float]:
    """2 for a supported claim that speaks for a true diagnosis, 1 for another supported one.

    0 where it is contradicted. Claims of one name count once, so repetition earns nothing.
    """
    speaks = {name for label in labels for name in CLAIMS_FOR.get(label, ())}
    best: dict[str, float] = {}
    for claim, found in judged:
        if claim.kind in ("diagnosis", "exclusion", "quality") or claim.name in GROUPS:
            continue
        if found.verdict == "supported":
            best[claim.name] = max(best.get(claim.name, 0), 2 if claim.name in speaks else 1)
        elif found.verdict == "contradicted":
            best.setdefault(claim.name, 0)
    return list(best.values())


def _leads(judged: list[Judged], labels: Sequence[str], facts: Facts) -> list[float]:
    """For each affirmed finding that names leads: 2 when all hold, 1 when not to be seen.

    A reading that names none gets 0 where a true diagnosis rests on findings in some leads;
    where none does, there is nothing to judge.
    """
    points = {"supported": 2.0, "unsupported": 1.0, "contradicted": 0.0}
    told = [
        points[found.verdict]
        for claim, found in judged
        if claim.leads and claim.polarity == "present" and found.verdict in points
    ]
    return told or ([0.0] if any(_is_placed(label, facts) for label in labels) else [])


def _is_placed(label: str, facts: Facts) -> bool:
    """Whether a diagnosis rests on a finding that some leads show and others do not."""
    met = (e for e in SUPPORT.get(label, ()) if all(facts.met(name) is True for name in e))
    return any(0 < len(facts.findings[name][1]) < len(LEADS) for e in met for name in e)


def _held(judged: list[Judged]) -> float:
    """Share of the checkable claims that the trace supports."""
    verdicts = [found.verdict for _, found in judged if found.verdict != "not_checkable"]
    return verdicts.count("supported") / len(verdicts) if verdicts else 0.0


def _backed(told: Sequence[str], judged: list[Judged]) -> float:
    """Share of the diagnoses that rest on a claim of the text that the trace supports."""
    supported = {
        claim.name
        for claim, found in judged
        if found.verdict == "supported" and claim.name not in GROUPS
    }
    known = [name for name in told if name in SUPPORT and name != "normal ecg"]
    if not known:
        return float(bool(supported) and bool(told))
    return sum(bool(supported & set(CLAIMS_FOR.get(name, ()))) for name in known) / len(known)


def _process(text: str, judged: list[Judged], told: Sequence[str]) -> float:
    """Five signs of an orderly process, each worth a fifth.

    The phases come in the protocol's order; something is excluded; numbers are given; numbers
    are not contradicted by the text itself; the conclusion names only what the steps named.
    """
    steps = list(parse_report(text).steps)
    stated = [
        (c.name, c.value) for c, _ in judged if c.name in QUANTITIES and c.value and not c.leads
    ]
    values: dict[str, set] = {}
    for name, value in stated:
        values.setdefault(name, set()).add(value)
    before = {
        claim.name for claim, _ in judged if claim.step != 8 and claim.polarity != "absent"
    }
    signs = (
        steps == sorted(steps) and len(steps) >= 5,
        any(claim.polarity == "absent" for claim, _ in judged),
        len(values) >= 3,
        all(len(one) == 1 for one in values.values()),
        bool(told) and all(name in before or name == "normal ecg" for name in told),
    )
    return sum(signs) / len(signs)


def grounded_offline(run: Run, arm: str, condition: str = "clean") -> dict[str, object]:
    """The seven criteria over a run, by the offline judge."""
    records: list[tuple[str, Scores | None]] = [
        (truth.patient, judge_offline(row.text, truth.measured, truth.labels))
        for truth, row in run.pairs(arm, condition)
    ]
    return {"judge": "offline", **aggregate(records)}
