"""Free text to claims: what a reading says about its ECG, statement by statement.

Made for cardiologists' prose, machine statements, model output and our own grammar alike; never
raises, and takes time linear in the text. What this leaves out: whether a claim is true
(`judge`), and statements that name nothing of `schema`.
"""

from dataclasses import replace
from functools import lru_cache

from ecg_r1.claims.frame import Frame
from ecg_r1.claims.headings import topics_of
from ecg_r1.claims.ignored import is_gone, start_of_claims, unjudged
from ecg_r1.claims.lexicon import DENYING_WORDS, Mention, mentions
from ecg_r1.claims.numbers import numbers
from ecg_r1.claims.places import places
from ecg_r1.claims.quantities import (
    amount_of,
    axis_claims,
    further_amounts,
    quantity_claims,
    rate_claims,
    with_numbers,
)
from ecg_r1.claims.schema import QUALITY_FINDINGS, Claim, Polarity, kind_of
from ecg_r1.claims.tables import without_tables
from ecg_r1.claims.text import ANSWER, lowered, sentences
from ecg_r1.claims.withheld import withheld_claims
from ecg_r1.labels import canonical

_PLACED = ("myocardial ischaemia", "brugada pattern", "wellens pattern")  # said of leads
_SIZED = ("st elevation", "st depression", "t wave inversion")
_KEPT_SENTENCES = 8192  # most texts of a corpus repeat each other's


def parse_claims(text: str) -> tuple[Claim, ...]:
    """Every claim of a text, in its order.

    Args:
        text: Any text about one ECG.

    Example:
        >>> for claim in parse_claims("PR 0.21 s, prolonged. No ST elevation in V2-V4."):
        ...     print(claim.name, claim.polarity, claim.leads, claim.value, claim.qualifier)
        pr_ms present () 210.0 prolonged
        st elevation absent ('V2', 'V3', 'V4') None None
    """
    prose, cells = without_tables(text)
    found = [
        claim.at(sentence.step, sentence.span(*claim.span), claim.text)
        for sentence in sentences(prose)
        for claim in _claims_of(sentence.raw, is_answer=sentence.step == ANSWER)
    ]
    found += [
        claim.at(None, (cell.start, cell.end), text[cell.start : cell.end])
        for cell in cells
        for claim in _claims_of(cell.sentence, is_answer=False)
    ]
    return tuple(sorted(found, key=lambda claim: claim.span[0]) if cells else found)


def stated(text: str) -> list[tuple[int | None, Claim]]:
    """What a text says in which step, whatever the place: repeated sentences cost nothing.

    Args:
        text: Any text about one ECG.

    Returns:
        Step and claim, as `parse_claims` finds them but for what the same sentence says again
        in the same step; `step`, `span` and `text` of the claims are those of no text.

    Example:
        >>> [(step, claim.name) for step, claim in stated("PR 160 ms. Rate 70. PR 160 ms.")]
        [(None, 'pr_ms'), (None, 'hr_bpm')]
    """
    prose, cells = without_tables(text)
    told = [(one.step, one.raw) for one in sentences(prose)]
    told += [(None, cell.sentence) for cell in cells]
    return [
        (step, claim)
        for step, raw in dict.fromkeys(told)
        for claim in _bare_claims_of(raw, is_answer=step == ANSWER)
    ]


@lru_cache(maxsize=_KEPT_SENTENCES)
def _bare_claims_of(raw: str, *, is_answer: bool) -> tuple[Claim, ...]:
    return tuple(one.at(None, (0, 0), "") for one in _claims_of(raw, is_answer=is_answer))


@lru_cache(maxsize=_KEPT_SENTENCES)
def _claims_of(raw: str, *, is_answer: bool) -> tuple[Claim, ...]:
    """Claims of a sentence, with spans inside it."""
    text = lowered(raw)
    if not is_answer:
        return tuple(_sentence(text, raw))
    label = canonical(text)
    if label is None:
        return tuple(_as_diagnosis(claim) for claim in _sentence(text, raw))
    kind = kind_of(label)
    kind = "diagnosis" if kind == "finding" else kind
    return (Claim(kind, label, span=(0, len(text)), text=raw),)


def _as_diagnosis(claim: Claim) -> Claim:
    is_label = claim.kind == "finding" and canonical(claim.name) == claim.name
    return replace(claim, kind="diagnosis") if is_label else claim


def _sentence(text: str, raw: str) -> list[Claim]:
    start = start_of_claims(text)
    if start is None:
        return []
    if start:
        text, raw = " " * start + text[start:], " " * start + raw[start:]
    named, found_numbers = mentions(text), numbers(text)
    withheld = withheld_claims(text, raw, named)
    if not named and not any(n.unit in ("bpm", "ms", "degrees") for n in found_numbers):
        return withheld
    first, last = unjudged(text)
    if last:
        named = [one for one in named if not first <= one.start < last]
        found_numbers = [one for one in found_numbers if not first <= one.start < last]
    topics, none_of_them = topics_of(text, named)
    if not none_of_them:
        named = [one for one in named if one not in topics]
    found = withheld + _claims(Frame(text, raw, named, found_numbers, places(raw, text)))
    if none_of_them:
        stop = topics[-1].end
        found = [_denied(one) if one.span[0] < stop else one for one in found]
    return sorted(found, key=lambda claim: claim.span[0]) if withheld else found


def _denied(claim: Claim) -> Claim:
    return replace(claim, polarity="absent", kind=kind_of(claim.name, polarity="absent"))


def _claims(frame: Frame) -> list[Claim]:
    found: list[tuple[int, Claim]] = []
    with_numbers(frame)
    for index, one in enumerate(frame.named):
        if one.is_quantity:
            found += [(one.start, claim) for claim in quantity_claims(frame, index)]
    loose = rate_claims(frame) + axis_claims(frame)
    found += [(claim.span[0], claim) for claim in loose]
    for index, one in enumerate(frame.named):
        if not one.is_quantity:
            found += [(one.start, claim) for claim in _named(frame, index)]
    more = further_amounts(frame, [claim for _, claim in found])
    found += [(claim.span[0], claim) for claim in more]
    found.sort(key=lambda pair: pair[0])
    told: dict[tuple, Claim] = {}
    for _, claim in found:  # the same said twice in a sentence is said once
        key = (claim.name, claim.polarity, claim.leads, claim.value, claim.qualifier,
               claim.wrong_unit)  # fmt: skip
        told.setdefault(key, claim)
    return list(told.values())


def _named(frame: Frame, index: int) -> list[Claim]:
    """Findings and diagnoses that a mention stands for."""
    one = frame.named[index]
    if is_gone(frame.text, one.start, one.end):
        return []
    said, found = frame.polarity_of(one), []
    for name in _conducted(frame, one):
        fields: dict[str, object] = {}
        if name == "lead reversal":  # "limb lead reversal"
            fields["leads"] = frame.leads_behind(index)
        elif kind_of(name) in ("finding", "quality") or name.endswith("p waves"):
            fields["leads"] = frame.leads_of(index)
        elif name in _PLACED:
            fields["leads"] = frame.leads_close_to(index)
        if name in _SIZED:
            fields |= amount_of(frame, index)
        if one.age:
            fields["qualifier"] = one.age
        polarity = _own_polarity(frame, one, name, said)
        found.append(frame.claim(name, one.start, one.end, polarity, **fields))
    return found


def _conducted(frame: Frame, one: Mention) -> tuple[str, ...]:
    """Of a flutter, "2:1 block" is how it is conducted, no disease of the AV node."""
    words = frame.text[one.start : one.end]
    is_ratio = one.names == ("second-degree av block",) and words.startswith("2:1")
    return ("2:1 conduction",) if is_ratio and "flutter" in frame.text else one.names


def _own_polarity(frame: Frame, one: Mention, name: str, around: Polarity) -> Polarity:
    """Polarity with that of the phrase itself: "poor quality", "absent P waves"."""
    words = frame.text[one.start : one.end]
    if name == "av dissociation" and "relation" in words:
        return "possible" if around == "possible" else "present"
    # "Noise" and "not calibrated" are what they are, whatever words they are made of.
    quality = name in QUALITY_FINDINGS and name not in ("noise", "uncalibrated")
    speaks = quality or name == "p waves"
    if not speaks or DENYING_WORDS.search(words) is None:
        return around
    return {"absent": "present", "present": "absent"}.get(around, around)
