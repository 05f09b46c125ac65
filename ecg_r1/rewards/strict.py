"""Rewards that are hard to cheat: claims instead of substrings.

The same three ideas as the paper's, over parsed claims: a denial is no finding, a number counts
within its tolerance, what stands in the wrong step counts a quarter, what was not asked for or
is pasted elsewhere again lowers precision, and what contradicts the measurements costs. True
words beyond the evidence neither earn nor dilute. To call a measured number not measurable
costs as much as to tell it wrong: nano, paid for true numbers, learned within forty steps to
say so of those that it reads badly. What this leaves out: whether a text reads well.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from itertools import chain, repeat
from typing import Any

from ecg_r1.claims.bands import away, middle, says_nothing, tolerance
from ecg_r1.claims.facts import Facts
from ecg_r1.claims.judge import judge
from ecg_r1.claims.parse import parse_claims, stated
from ecg_r1.claims.schema import NOT_MEASURABLE, QUANTITIES, Claim
from ecg_r1.claims.text import ANSWER
from ecg_r1.corpus.evidence import STEP_KEYS
from ecg_r1.corpus.statement import claim_from
from ecg_r1.labels import canonical
from ecg_r1.report import parse_report
from ecg_r1.rewards.completions import completion_text
from ecg_r1.rewards.paper import evidence_phrases, true_labels

LONGEST = 20_000  # characters; a reading has about 3,000, and what is longer earns nothing
WRONG_STEP = 0.25  # what a claim is worth that stands in another step than its own
REPEATED_IN = (6, 7, 8)  # the reasoning, the summary and the answer say things again
CONTRADICTION_COST = 2.0  # times the share of contradicted claims
_VOLTAGES = {name for name, (kind, _) in QUANTITIES.items() if kind == "voltage"}
_FACTS = frozenset(field.name for field in fields(Facts))


def strict_format_reward(completions: Sequence[Any], **_: Any) -> list[float]:
    """1 for the whole grammar, once and in order, else 0.

    Args:
        completions: Strings or TRL message lists.

    Example:
        >>> strict_format_reward(["<think>Sinus rhythm.</think>"])
        [0.0]
    """
    return [float(_is_well_formed(completion_text(c))) for c in completions]


def _is_well_formed(text: str) -> bool:
    return len(text) <= LONGEST and parse_report(text).well_formed


def strict_diagnosis_reward(
    completions: Sequence[Any], *, solution: Sequence[Any], **_: Any
) -> list[float | None]:
    """F1 of the labels in `<answer>` against those of the solution, synonyms being equal.

    A label that is none of ours counts as one too many; the same label twice counts once.

    Args:
        completions: Strings or TRL message lists.
        solution: In the reference's format, one for each completion.

    Returns:
        0 to 1 for each completion; None where the solution names no label.

    Example:
        >>> key = "<|answer|>sinus rhythm; left bundle branch block<|/answer|>"
        >>> strict_diagnosis_reward(["<answer>LBBB; NSR</answer>"], solution=[key])
        [1.0]
    """
    pairs = zip(completions, chain(solution, repeat(None)), strict=False)
    return [_label_score(completion_text(c), key) for c, key in pairs]


def _label_score(text: str, solution: Any) -> float | None:
    truth = true_labels(solution) if isinstance(solution, str) else None
    if not truth:
        return None
    true = {canonical(label) or label for label in truth}
    if len(text) > LONGEST or text.count("<answer>") != 1:
        return 0.0
    told = {canonical(label) or label for label in parse_report(text).diagnoses}
    return _f1(len(told & true), len(told), len(true))


def _f1(hits: float, told: float, true: float) -> float:
    return 2 * hits / (told + true) if told + true else 0.0


def strict_evidence_reward(
    completions: Sequence[Any],
    *,
    solution: Sequence[Any] | None = None,
    evidence: Sequence[Any] | None = None,
    measurements: Sequence[Any] | None = None,
    **_: Any,
) -> list[float | None]:
    r"""F1 of the claims in the steps against the evidence, less for contradictions.

    A claim is matched on finding and polarity, leads by their overlap, numbers within the
    tolerance that the audit allows. It earns all in its own step, a quarter in another one;
    said again in the reasoning or the summary it costs nothing. A claim beyond the evidence
    counts against precision, and one that the measurements or the evidence contradict lowers
    the whole. One that the measurements bear out counts for nothing, nor does a truism ("the
    rate is above 20 bpm", see `bands.says_nothing`): otherwise any number of them would dilute
    what is wrong.

    Args:
        completions: Strings or TRL message lists.
        solution: In the reference's format; its phrases are parsed where `evidence` is not
            given.
        evidence: JSON of claims per step, as the corpus writes it.
        measurements: JSON of what was measured: `Facts.to_json`, `Measurements.to_json`, or
            numbers by name such as {"hr_bpm": 72}.

    Returns:
        0 to 1 for each completion; None where there is no evidence.

    Example:
        >>> key = "<|key_diagnostic_evidence|>step_5_electrolytes_qt: QTc 470 ms\n"
        >>> text = "<think>**Step 5: Electrolytes & QT** {} ms.</think>"
        >>> strict_evidence_reward([text.format("QTc 472"), text.format("QTc 1470")],
        ...                        solution=[key, key])
        [1.0, 0.0]
    """
    columns = (solution, evidence, measurements)
    rows = zip(
        completions, *(chain(column or (), repeat(None)) for column in columns), strict=False
    )
    return [_evidence_score(completion_text(c), *given) for c, *given in rows]


def _evidence_score(text: str, solution: Any, evidence: Any, measured: Any) -> float | None:
    expected = _expected(_hashable(evidence), solution if isinstance(solution, str) else None)
    if not expected:
        return None
    if len(text) > LONGEST:
        return 0.0
    claims = _said(text)
    if not claims:
        return 0.0
    facts = _facts(_hashable(measured))
    recall, matched = _matched(expected, claims)
    if not matched:
        return 0.0
    true, wrong, denied = _beside(claims, matched, expected, facts)
    counted = len(claims) - true + denied
    f1 = _harmonic(recall, sum(matched.values()) / counted)
    return f1 * max(0.0, 1 - CONTRADICTION_COST * (wrong + denied) / counted)


def _beside(
    claims: Sequence[tuple[int | None, Claim]],
    matched: Mapping[int, float],
    expected: Sequence[tuple[int, Claim]],
    facts: Facts | None,
) -> tuple[int, int, int]:
    """How many claims beyond the evidence are borne out, and how many contradicted.

    Third, how many more numbers of the evidence a false "not measurable" stands for: it costs
    what a wrong number in the place of each would.
    """
    told = {claims[index][1] for index in matched}
    true = wrong = denied = 0
    for index, (_, claim) in enumerate(claims):
        if index in matched or claim in told:  # again in another step: worth nothing
            continue
        told.add(claim)
        verdict = None if facts is None else judge(claim, facts).verdict
        if verdict == "supported" or (verdict != "contradicted" and says_nothing(claim)):
            true += 1
        elif withheld := _withholds(claim, expected):
            wrong += 1
            denied += withheld - 1
        elif verdict == "contradicted" or _is_opposed(claim, expected):
            wrong += 1
    return true, wrong, denied


def _withholds(claim: Claim, expected: Sequence[tuple[int, Claim]]) -> int:
    """How many numbers of the evidence a text calls not measurable; voltages all at once."""
    if claim.qualifier != NOT_MEASURABLE:
        return 0
    same = {claim.name} if claim.kind != "voltage" else _VOLTAGES
    return sum(wanted.name in same and wanted.value is not None for _, wanted in expected)


def _harmonic(a: float, b: float) -> float:
    return 2 * a * b / (a + b) if a + b else 0.0


def _hashable(column: Any) -> str | None:
    if isinstance(column, Mapping):
        return json.dumps(column, default=str)
    return column if isinstance(column, str) and column else None


@lru_cache(maxsize=2048)
def _expected(evidence: str | None, solution: str | None) -> tuple[tuple[int, Claim], ...]:
    """(step, claim) pairs that a good reading makes."""
    if evidence is not None:
        steps = _json_object(evidence)
        found = (
            (number, _claim(plain))
            for number, key in STEP_KEYS.items()
            for plain in (steps.get(key) if isinstance(steps.get(key), list) else ())
        )
        pairs = [(number, claim) for number, claim in found if claim is not None]
    else:
        pairs = [
            (number, claim)
            for number, phrases in evidence_phrases(solution or "").items()
            for phrase in phrases
            for claim in parse_claims(phrase)
        ]
    return tuple(_once((n, _bare(claim)) for n, claim in pairs))


def _claim(plain: Any) -> Claim | None:
    """A claim of the column; None of what is none."""
    try:
        claim = claim_from(plain)
        hash(claim)
    except (TypeError, ValueError, AttributeError):
        return None
    numbers = claim.value if isinstance(claim.value, tuple) else (claim.value,)
    known = claim.value is None or all(_is_number(one) for one in numbers)
    return claim if known and isinstance(claim.name, str) else None


def _is_number(value: Any) -> bool:
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and math.isfinite(value)


def _json_object(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}


_BOTH = ("st elevation", "st depression", "t wave inversion")  # findings, labels in an answer


def _bare(claim: Claim) -> Claim:
    """The claim without its place in a text; outside an answer a finding is a finding."""
    kind = "finding" if claim.name in _BOTH else claim.kind
    return Claim(
        kind, claim.name, claim.polarity, claim.leads, claim.value, claim.comparator,
        claim.qualifier,
    )  # fmt: skip


def _said(text: str) -> list[tuple[int | None, Claim]]:
    """Claims of the text, each once for a step that it stands in; the answer apart."""
    return _once((step, _bare(claim)) for step, claim in stated(text) if step != ANSWER)


def _once(told: Iterable[tuple[Any, Claim]]) -> list[tuple[Any, Claim]]:
    """What is said, or asked for, again in the reasoning or the summary is not there twice."""
    kept = list(dict.fromkeys(told))
    earlier = {claim for step, claim in kept if step not in REPEATED_IN}
    return [(step, c) for step, c in kept if step not in REPEATED_IN or c not in earlier]


def _matched(
    expected: Sequence[tuple[int, Claim]], claims: Sequence[tuple[int | None, Claim]]
) -> tuple[float, dict[int, float]]:
    """Recall over the evidence, and what each matching claim is worth."""
    by_name: dict[tuple[str, str], list[int]] = {}
    for index, (_, claim) in enumerate(claims):
        by_name.setdefault((claim.name, claim.polarity), []).append(index)
    worth: dict[int, float] = {}
    total = 0.0
    for step, wanted in expected:
        earned = {
            index: _likeness(wanted, claims[index][1]) * _place(step, claims[index][0])
            for index in by_name.get((wanted.name, wanted.polarity), ())
        }
        if not earned:
            continue
        best = max(earned, key=earned.__getitem__)  # the others say it once too often
        total += earned[best]
        if earned[best]:
            worth[best] = max(worth.get(best, 0.0), earned[best])
    return total / len(expected), worth


def _place(wanted: int, found: int | None) -> float:
    return 1.0 if found == wanted else WRONG_STEP


def _likeness(wanted: Claim, found: Claim) -> float:
    """How far two claims of one name and polarity say the same, 0 to 1."""
    if not _same_number(wanted, found):
        return 0.0
    if wanted.leads and found.leads:
        both, either = set(wanted.leads) & set(found.leads), {*wanted.leads, *found.leads}
        return len(both) / len(either)
    return 0.5 if bool(wanted.leads) != bool(found.leads) and wanted.leads else 1.0


def _same_number(wanted: Claim, found: Claim) -> bool:
    if wanted.value is None:
        return wanted.qualifier is None or wanted.qualifier == found.qualifier
    if found.value is None:
        return False
    if found.comparator in _ONE_SIDED:
        # "Above 100" is not wrong of 470, and not an answer either.
        same = wanted.comparator == found.comparator
        return same and abs(middle(found.value) - middle(wanted.value)) <= _near(wanted)
    ends = found.value if isinstance(found.value, tuple) else (found.value,)
    unit = QUANTITIES.get(wanted.name, ("", ""))[1]
    return all(abs(away(wanted, end, unit)) <= _near(wanted) for end in ends)


_ONE_SIDED = ("<", "<=", ">", ">=")


def _near(wanted: Claim) -> float:
    """Half of what an audit forgives: evidence is to be read, not guessed."""
    return tolerance(wanted, middle(wanted.value)) / 2


def _is_opposed(claim: Claim, expected: Sequence[tuple[int, Claim]]) -> bool:
    return any(_opposes(claim, wanted) for _, wanted in expected if wanted.name == claim.name)


def _opposes(claim: Claim, wanted: Claim) -> bool:
    if {claim.polarity, wanted.polarity} == {"present", "absent"}:
        return not (claim.leads and wanted.leads) or bool(set(claim.leads) & set(wanted.leads))
    if claim.value is None or wanted.value is None or claim.polarity != wanted.polarity:
        return False
    unit = QUANTITIES.get(wanted.name, ("", ""))[1]
    return abs(away(claim, middle(wanted.value), unit)) > _near(wanted)


@lru_cache(maxsize=2048)
def _facts(measured: str | None) -> Facts | None:
    """What was measured, from any of the JSON forms; None where nothing was."""
    plain = _json_object(measured) if measured else {}
    if not plain:
        return None
    if set(plain) >= _FACTS:
        return Facts.from_json(plain)
    told = plain["numbers"] if isinstance(plain.get("numbers"), Mapping) else plain
    numbers = {k: float(v) for k, v in told.items() if k in QUANTITIES and _is_number(v)}
    leads = plain.get("leads")
    rows = {
        lead: {k: v for k, v in row.items() if _is_number(v)}
        for lead, row in (leads.items() if isinstance(leads, Mapping) else ())
        if isinstance(row, Mapping)
    }
    words = {name: plain[name] for name in ("p_present", "regular") if name in plain}
    return Facts(numbers=numbers, leads=rows, words=words)
