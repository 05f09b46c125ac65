"""Does a text say what its plan says, and nothing that the record denies?

Every claim that the parser finds must be in the plan or be borne out by the record, every
number must belong to a claim, everything required must be there, and the answer must hold the
plan's labels. What this leaves out: style.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ecg_r1.claims.facts import Facts
from ecg_r1.claims.judge import judge
from ecg_r1.claims.numbers import Number, numbers
from ecg_r1.claims.parse import parse_claims
from ecg_r1.claims.schema import GROUPS, QUANTITIES, Claim
from ecg_r1.claims.text import ANSWER, sentences
from ecg_r1.corpus.statement import Plan, Statement
from ecg_r1.ecg import LEADS
from ecg_r1.labels import canonical
from ecg_r1.report import parse_report

# How far a number may be rounded from the plan's, in the unit of `QUANTITIES`: 0.01 s, 1 mm.
ROUNDING = {"bpm": 1.0, "ms": 5.0, "degrees": 1.0, "mV": 0.06}
_BOTH = ("st elevation", "st depression", "t wave inversion")  # findings and labels alike

Fault = Literal["grammar", "answer", "contradicted", "unsupported", "unread number", "missing"]


@dataclass(frozen=True)
class Problem:
    """One reason to reject a text.

    Attributes:
        kind: What sort of fault.
        words: The text's words, or what is missing.
        reason: Why it is one.
    """

    kind: Fault
    words: str
    reason: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.words!r} ({self.reason})"


@dataclass(frozen=True)
class Verification:
    """The faults of a text; none is a text to keep."""

    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.problems


def verify(text: str, plan: Plan, facts: Facts) -> Verification:
    """Check a text against its plan and its record.

    Args:
        text: What a writer made of the plan.
        plan: What it was to say.
        facts: The record, with the answer key.
    """
    claims = parse_claims(text)
    said = [claim for claim in claims if claim.step != ANSWER]
    known = _by_name(plan)
    return Verification(
        (
            *_grammar(text),
            *_answer(text, plan),
            *(problem for claim in said for problem in _claim(claim, known, plan, facts)),
            *_unread(text, claims),
            *_missing(said, plan),
        )
    )


# --- form and answer --------------------------------------------------------------------------


def _grammar(text: str) -> Iterator[Problem]:
    for problem in parse_report(text).problems:
        yield Problem("grammar", problem, "the six-step grammar")


def _answer(text: str, plan: Plan) -> Iterator[Problem]:
    told = [canonical(label) or label for label in parse_report(text).diagnoses]
    for label in told:
        if label not in plan.labels:
            yield Problem("answer", label, "no label of the answer key")
    for label in plan.labels:
        if label not in told:
            yield Problem("answer", label, "a label of the answer key that is not there")
    if len(told) > len(set(told)):
        yield Problem("answer", "; ".join(told), "a label twice")


# --- claims -----------------------------------------------------------------------------------

Known = Mapping[str, Sequence[Claim]]


def _by_name(plan: Plan) -> Known:
    """What the plan states or leans on, by name; what it calls unknown is not in it."""
    known: dict[str, list[Claim]] = {}
    for one in plan.statements:
        claims = (*one.because, *((one.claim,) if one.how != "unknown" else ()))
        for claim in claims:
            known.setdefault(claim.name, []).append(claim)
    return known


def _claim(claim: Claim, known: Known, plan: Plan, facts: Facts) -> Iterator[Problem]:
    planned = known.get(claim.name, ())
    if any(_says(claim, one) for one in planned):
        return
    opposed = next((one for one in planned if _opposes(claim, one)), None)
    if opposed is not None:
        yield Problem("contradicted", claim.text, f"the plan says {_words(opposed)}")
        return
    found = judge(claim, facts)
    if found.verdict == "contradicted":
        yield Problem("contradicted", claim.text, found.reason)
    elif found.verdict != "supported" or not _may_add(claim, plan, found.measured):
        yield Problem("unsupported", claim.text, found.reason)


def _may_add(claim: Claim, plan: Plan, measured: float | None) -> bool:
    """Whether what the record bears out may stand although the plan does not say it.

    A diagnosis beyond the answer key may not, and a number must be the measured one.
    """
    if claim.name in GROUPS and claim.name not in _BOTH and claim.polarity != "absent":
        return claim.name in plan.labels
    if claim.value is None or measured is None:
        return True
    return _near(claim.name, claim.value, measured)


def _near(
    name: str, told: float | tuple[float, float], true: float | tuple[float, float]
) -> bool:
    """Whether two numbers, or two ranges, are one number rounded differently."""
    pair = (told, told) if isinstance(told, int | float) else told
    other = (true, true) if isinstance(true, int | float) else true
    unit = QUANTITIES[name][1] if name in QUANTITIES else "mV"
    return all(abs(a - b) <= ROUNDING[unit] for a, b in zip(pair, other, strict=True))


def _says(claim: Claim, planned: Claim) -> bool:
    """Whether a claim of the text is one of the plan: same polarity, leads, number, word."""
    if claim.polarity != planned.polarity and not _hedged(claim, planned):
        return False
    if claim.leads and planned.leads and not set(claim.leads) <= set(planned.leads):
        return False
    # "No ST elevation" holds in any lead; a finding without leads does not.
    in_some = claim.leads and not planned.leads and set(claim.leads) != set(LEADS)
    if in_some and planned.polarity != "absent":
        return False
    if claim.value is not None and (
        planned.value is None or not _near(claim.name, claim.value, planned.value)
    ):
        return False
    words = claim.qualifier, planned.qualifier
    return None in words or words[0] == words[1]


def _hedged(claim: Claim, planned: Claim) -> bool:
    return {claim.polarity, planned.polarity} == {"possible", "present"}


def _opposes(claim: Claim, planned: Claim) -> bool:
    """Whether both cannot be true: denied and affirmed, or another number."""
    share_leads = not (claim.leads and planned.leads) or bool(
        set(claim.leads) & set(planned.leads)
    )
    if "absent" in (claim.polarity, planned.polarity):
        return claim.polarity != planned.polarity and share_leads
    both = claim.value is not None and planned.value is not None
    return both and share_leads and not _near(claim.name, claim.value, planned.value)


def _words(claim: Claim) -> str:
    parts = [
        "no" if claim.polarity == "absent" else "",
        claim.name,
        "" if claim.value is None else f"{claim.value}",
        f"in {', '.join(claim.leads)}" if claim.leads else "",
    ]
    return " ".join(part for part in parts if part)


# --- numbers and omissions --------------------------------------------------------------------


def _unread(text: str, claims: Sequence[Claim]) -> Iterator[Problem]:
    """Numbers with a unit that no claim states: of another unit, or of nothing known."""
    for sentence in sentences(text):
        if sentence.step == ANSWER:
            continue
        first, last = sentence.span(0, len(sentence.raw))
        own = [c for c in claims if first <= c.span[0] < last and c.value is not None]
        for number in numbers(sentence.raw.lower()):
            if number.is_limit or number.unit not in ROUNDING:
                continue
            if not any(_is_of(number, claim) for claim in own):
                start, end = sentence.span(number.start, number.end)
                yield Problem("unread number", text[start:end], "no statement that it fits")


def _is_of(number: Number, claim: Claim) -> bool:
    unit = QUANTITIES[claim.name][1] if claim.name in QUANTITIES else "mV"
    stated = {number.low, number.low if number.high is None else number.high}
    value = claim.value if isinstance(claim.value, tuple) else (claim.value,)
    same = all(any(abs(abs(a) - abs(b)) < 1e-6 for b in value) for a in stated)
    return unit == number.unit and same


def _missing(said: Iterable[Claim], plan: Plan) -> Iterator[Problem]:
    by_name: dict[str, list[Claim]] = {}
    for claim in said:
        by_name.setdefault(claim.name, []).append(claim)
    for one in plan.statements:
        if one.required and one.how != "unknown" and not _is_said(one, by_name):
            yield Problem("missing", _words(one.claim), "the plan requires it")


def _is_said(one: Statement, by_name: Mapping[str, Sequence[Claim]]) -> bool:
    wanted = one.claim
    return any(
        _says(claim, wanted)
        and (wanted.value is None or claim.value is not None)
        and (not wanted.leads or set(claim.leads) == set(wanted.leads))
        for claim in by_name.get(wanted.name, ())
    )
