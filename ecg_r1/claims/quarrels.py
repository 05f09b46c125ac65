"""Where a text contradicts itself, whatever the trace shows.

What this leaves out: whether either side is true (`judge`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Literal

from ecg_r1.claims.bands import Person, allowed, middle, word_against
from ecg_r1.claims.schema import GROUPS, QUANTITIES, Claim
from ecg_r1.claims.text import ANSWER
from ecg_r1.labels import SINUS_RHYTHMS

Sort = Literal["number", "word", "denial", "labels", "answer"]

# How far two numbers for the same thing may lie apart before they quarrel: rounding. Ours.
ROUNDING = {"bpm": 3.0, "ms": 6.0, "degrees": 6.0, "mV": 0.06}

_MOST = 40  # statements of one sort that are compared with each other

_OTHER_RHYTHMS = (
    "atrial fibrillation", "atrial flutter", "supraventricular tachycardia",
    "ventricular tachycardia", "junctional rhythm", "ectopic atrial rhythm",
)  # fmt: skip
# Labels that cannot both be true of ten seconds.
EXCLUSIVE: frozenset[frozenset[str]] = frozenset(
    frozenset(pair)
    for pair in (
        *product(SINUS_RHYTHMS, _OTHER_RHYTHMS),
        ("sinus bradycardia", "sinus tachycardia"),
        ("left axis deviation", "right axis deviation"),
        ("left bundle branch block", "right bundle branch block"),
        ("left bundle branch block", "incomplete left bundle branch block"),
        ("right bundle branch block", "incomplete right bundle branch block"),
        ("left anterior fascicular block", "left posterior fascicular block"),
        ("prolonged qt interval", "short qt interval"),
        ("hyperkalaemia", "hypokalaemia"),
        ("normal ecg", "abnormal ecg"),
        ("normal ecg", "borderline ecg"),
        ("regular rhythm", "irregularly irregular rhythm"),
        ("atrial fibrillation", "p waves"),
        ("st isoelectric", "st elevation"),
        ("st isoelectric", "st depression"),
        ("normal t waves", "t wave inversion"),
        ("normal r progression", "poor r wave progression"),
    )
)
# Beside "normal ecg" a text may still name these.
_NORMAL_TOO = frozenset(
    {"normal ecg", "sinus rhythm", "sinus arrhythmia", "early repolarisation"}
)
# Labels that are a word on a number.
LABEL_WORDS: dict[str, tuple[str, str]] = {
    "sinus bradycardia": ("hr_bpm", "slow"),
    "sinus tachycardia": ("hr_bpm", "fast"),
    "first-degree av block": ("pr_ms", "prolonged"),
    "prolonged qt interval": ("qtc_ms", "prolonged"),
    "short qt interval": ("qtc_ms", "short"),
    "left axis deviation": ("axis_deg", "left"),
    "right axis deviation": ("axis_deg", "right"),
    "left bundle branch block": ("qrs_ms", "wide"),
    "right bundle branch block": ("qrs_ms", "wide"),
}


@dataclass(frozen=True)
class Quarrel:
    """Two statements of a text, or one with itself, that cannot both hold.

    Attributes:
        sort: "number" (two values), "word" (a word its number refutes), "denial" (affirmed and
            denied), "labels" (exclude each other), "answer" (summary or answer against steps).
        reason: What is wrong, in one sentence.
        spans: Start and end in the text of the statements.
    """

    sort: Sort
    reason: str
    spans: tuple[tuple[int, int], ...]


def quarrels(claims: Sequence[Claim], person: Person = (None, None)) -> tuple[Quarrel, ...]:
    """The contradictions of a text with itself, in the order of the text.

    Args:
        claims: All claims of one text, from `parse_claims`.
        person: Age in years and sex, which limits depend on; None where unknown.

    Example:
        >>> from ecg_r1.claims.parse import parse_claims
        >>> text = "QTc 450 ms, within normal limits."
        >>> quarrels(parse_claims(text), (50, "male"))[0].reason
        'the text itself: 450 ms is not normal'
    """
    told = list({(c.name, c.polarity, c.leads, c.value, c.qualifier, c.step): c
                 for c in reversed(claims)}.values())[::-1]  # fmt: skip
    found = [
        *_numbers(told), *_words(told, person), *_denials(told), *_labels(told),
    ]  # fmt: skip
    unique = {(one.sort, one.reason): one for one in reversed(found)}
    return tuple(sorted(unique.values(), key=lambda one: (one.spans, one.sort)))


def _sort(one: Claim, other: Claim, sort: Sort) -> Sort:
    """The sort: "answer" where one side is summary or answer and the other a step."""
    last = [c.step is not None and c.step >= ANSWER - 1 for c in (one, other)]
    in_steps = None not in (one.step, other.step)
    return "answer" if in_steps and any(last) and not all(last) else sort


def _quarrel(sort: Sort, reason: str, *claims: Claim) -> Quarrel:
    spans = tuple(sorted({claim.span for claim in claims}))
    return Quarrel(_sort(claims[0], claims[-1], sort), reason, spans)


def _by_name(claims: Sequence[Claim]) -> dict[str, list[Claim]]:
    found: dict[str, list[Claim]] = {}
    for claim in claims:
        found.setdefault(claim.name, []).append(claim)
    return found


def _numbers(claims: Sequence[Claim]) -> Iterator[Quarrel]:
    valued = [c for c in claims if c.value is not None and c.polarity == "present"]
    for name, same in _by_name([c for c in valued if c.name in QUANTITIES]).items():
        if name == "rr_ms":
            continue  # one for each pair of beats
        unit = QUANTITIES[name][1]
        for one, other in combinations(same[:_MOST], 2):
            if one.leads == other.leads and _gap(one, other, unit) > ROUNDING[unit]:
                yield _quarrel("number", f"{_told(one)} and {_told(other)}", one, other)


def _gap(one: Claim, other: Claim, unit: str) -> float:
    """How far what two claims allow lies apart."""
    (low, high), (least, most) = allowed(one), allowed(other)
    gap = max(low - most, least - high, 0.0)
    return min(gap, 360 - gap) if unit == "degrees" else gap


def _told(claim: Claim) -> str:
    unit = QUANTITIES[claim.name][1]
    value = claim.value
    number = f"{value[0]:g} to {value[1]:g}" if isinstance(value, tuple) else f"{value:g}"
    where = f" in {', '.join(claim.leads)}" if claim.leads else ""
    return f"{claim.name.rpartition('_')[0].replace('_', ' ')}{where} {number} {unit}"


def _words(claims: Sequence[Claim], person: Person) -> Iterator[Quarrel]:
    """Words that the text's own numbers refute, in one statement or in two."""
    present = [c for c in claims if c.polarity == "present"]
    numbers = _by_name([c for c in present if c.name in QUANTITIES and c.value is not None])
    for claim in present:
        name, word = LABEL_WORDS.get(claim.name, (claim.name, claim.qualifier))
        if word is None or name not in QUANTITIES:
            continue
        own = claim.value is not None
        for number in [claim] if own else numbers.get(name, [])[:_MOST]:
            if number.comparator not in ("=", "range"):
                continue
            said = Claim(QUANTITIES[name][0], name, value=number.value, qualifier=word)
            against = word_against(said, middle(number.value), person)
            if against and (own or claim.leads == number.leads):
                what = "the text itself" if own else f"{claim.text.strip()!r}"
                yield _quarrel("word", f"{what}: {against}", claim, number)


def _denials(claims: Sequence[Claim]) -> Iterator[Quarrel]:
    for name, same in _by_name([c for c in claims if c.name not in QUANTITIES]).items():
        denied = [c for c in same if c.polarity == "absent"][:_MOST]
        affirmed = [c for c in same if c.polarity == "present"][:_MOST]
        for no, yes in product(denied, affirmed):
            places = not no.leads or set(no.leads) & set(yes.leads)
            ages = None in (no.qualifier, yes.qualifier) or no.qualifier == yes.qualifier
            if places and (ages if no.qualifier else True):
                where = f" in {', '.join(yes.leads)}" if yes.leads else ""
                yield _quarrel("denial", f"{name}{where} is affirmed and denied", no, yes)


def _labels(claims: Sequence[Claim]) -> Iterator[Quarrel]:
    present = [c for c in claims if c.polarity == "present" and c.name not in QUANTITIES]
    first: dict[str, Claim] = {}
    for claim in present:
        if not claim.leads or claim.name not in first:
            first.setdefault(claim.name, claim)
    for one, other in combinations(first.values(), 2):
        apart = one.leads and other.leads and not set(one.leads) & set(other.leads)
        pair = frozenset((one.name, other.name))
        normal = "normal ecg" in pair and all(
            name in _NORMAL_TOO or name not in GROUPS for name in pair
        )
        excludes = pair in EXCLUSIVE and not apart
        abnormal = "normal ecg" in pair and all(name in GROUPS for name in pair) and not normal
        if excludes or abnormal:
            yield _quarrel("labels", f"{one.name} excludes {other.name}", one, other)
