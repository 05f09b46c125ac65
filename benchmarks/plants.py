"""Errors planted into readings, to see which of them a verifier finds.

Works on the raw text alone, with rules of its own: what plants an error must not share code
with what looks for it. Only statements about this record are touched; limits, general
knowledge, hedged sentences, headings and ranges stay. What this leaves out: whether the text
was right to begin with, which its writer must see to.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd

from benchmarks.plant_places import (
    DEGREES,
    LEAD_LIST,
    RATES,
    TERRITORY,
    Number,
    diagnoses,
    is_affirmed,
    is_denied,
    leads_in,
    numbers,
    sentences,
    value_of,
)
from benchmarks.plant_words import (
    DIAGNOSES,
    FAR_LEADS,
    FINDINGS,
    HEDGES,
    PARTNERS,
    TERRITORIES,
)

KINDS = (
    "wrong number", "wrong lead", "negated finding", "swapped diagnosis", "impossible unit",
)  # fmt: skip

T = TypeVar("T")
Shown = Mapping[str, Collection[str]]  # finding -> leads that show it, or something of it


@dataclass(frozen=True)
class Change:
    """One error that can be made: the characters from `start` to `end` become `new`."""

    start: int
    end: int
    new: str
    what: str

    def apply(self, text: str) -> str:
        """The text with this error."""
        return text[: self.start] + self.new + text[self.end :]


def plant(
    text: str, kind: str, rng: np.random.Generator, *, shown: Shown | None = None
) -> tuple[str, str] | None:
    """Plant one error of a kind somewhere in a reading.

    Args:
        text: Reading in free text or in the six-step grammar; what it says must be true.
        kind: One of `KINDS`.
        rng: Draws the place and the error.
        shown: `leads_showing` of its ECG. Without it a finding can by chance be moved to leads
            that show it in part, which would be no error.

    Returns:
        The text with the error and what was done in words; None if the kind finds no place.

    Raises:
        ValueError: If there is no such kind; quotes it.

    Example:
        >>> plant("Heart rate 72 bpm.", "impossible unit", np.random.default_rng(0))[0]
        'Heart rate 72 ms.'
    """
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no kind of error: choose from {', '.join(KINDS)}")
    if kind == "wrong lead":
        found = _wrong_leads(text, rng, shown or {})
    else:
        found = _FINDERS[kind](text, rng)
    changes = [c for c in found if c.apply(text) != text]
    if not changes:
        return None
    change = _draw(changes, rng)
    return change.apply(text), change.what


def plant_each(
    text: str, rng: np.random.Generator, *, shown: Shown | None = None
) -> tuple[dict[str, tuple[str, str]], tuple[str, ...]]:
    """One error of every kind, each in a copy of its own, and the kinds that found no place.

    Example:
        >>> planted, homeless = plant_each("QTc 402 ms.", np.random.default_rng(0))
        >>> sorted(planted)
        ['impossible unit', 'wrong number']
        >>> homeless
        ('wrong lead', 'negated finding', 'swapped diagnosis')
    """
    found = {kind: plant(text, kind, rng, shown=shown) for kind in KINDS}
    planted = {kind: one for kind, one in found.items() if one is not None}
    return planted, tuple(kind for kind in KINDS if kind not in planted)


def _draw(options: Sequence[T], rng: np.random.Generator) -> T:
    return options[int(rng.integers(len(options)))]


# --- numbers ----------------------------------------------------------------------------------

# Quantity -> smallest and largest error and the smallest value that still looks believable.
_ERRORS = {
    "rate": (16, 45, 25),
    "PR": (45, 90, 70),
    "QRS": (45, 80, 55),
    "QT": (70, 140, 220),
    "QTc": (70, 140, 250),
}


def _written(value: float, like: str, least: int) -> str:
    """A value with the comma, the sign and (`least` or more) decimals of another number."""
    decimals = max(least, len(re.split(r"[.,]", f"{like}.")[1]))
    text = f"{value:.{decimals}f}"
    text = text.replace(".", ",") if "," in like else text
    text = text.replace("-", "\u2212") if "\u2212" in like else text
    return f"+{text}" if like.startswith("+") and value > 0 else text


def _wrong_numbers(text: str, rng: np.random.Generator) -> list[Change]:
    found = []
    for number in numbers(text):
        # Whole mV would round the error away.
        least = 1 if number.unit == "mV" else 0
        new = _written(_wrong_value(number, rng), number.digits, least)
        what = f"{number.name} {number.digits} {number.unit} -> {new}"
        found.append(Change(number.start, number.start + len(number.digits), new, what))
    return found


def _wrong_value(number: Number, rng: np.random.Generator) -> float:
    """A value clearly outside the tolerance, in the unit of the text."""
    value = value_of(number.digits)
    if number.quantity == "axis":
        turned = value + float(rng.choice([-1, 1])) * round(rng.uniform(60, 120))
        return (turned + 180) % 360 - 180
    if number.quantity == "voltage":
        return _wrong_voltage(value, 10 if number.unit == "mm" else 1, rng)
    scale = 0.001 if number.unit.startswith("s") else 1.0
    least, most, floor = _ERRORS[number.quantity]
    least = max(least, 0.15 * value) if number.quantity == "rate" else least
    error = round(rng.uniform(least, max(most, 1.5 * least)))
    down = rng.random() < 0.5 and value / scale - error >= floor
    return value + scale * (-error if down else error)


def _wrong_voltage(value: float, per_mv: int, rng: np.random.Generator) -> float:
    """Less than a third, where that is 0.3 mV off at least, or well above; the sign stays."""
    size, sign = abs(value), -1.0 if value < 0 else 1.0
    if size * 0.7 >= 0.3 * per_mv and rng.random() < 0.5:
        return sign * size * rng.uniform(0.1, 0.3)
    return sign * (size + max(size * rng.uniform(0.8, 1.6), rng.uniform(0.4, 0.8) * per_mv))


# Unit -> units that its quantity cannot have.
_IMPOSSIBLE = {
    **dict.fromkeys(RATES, ("degrees", "ms")),
    **dict.fromkeys(DEGREES, ("bpm", "ms")),
    "mm": ("bpm", "degrees"),
    "mV": ("ms", "bpm"),
}
_IMPOSSIBLE_TIME = ("bpm", "mV")


def _impossible_units(text: str, rng: np.random.Generator) -> list[Change]:
    found = []
    for one in numbers(text):
        unit = _draw(_IMPOSSIBLE.get(one.unit, _IMPOSSIBLE_TIME), rng)
        start = one.start + len(one.digits)
        what = f"{one.name} {one.digits} {one.unit} -> {unit}"
        found.append(Change(start, one.end, f"{one.gap or ' '}{unit}", what))
    return found


# --- leads ------------------------------------------------------------------------------------

_R_IN = re.compile(
    r"\bR(?: wave)?s? in (V[56])\b[^.;\d]{0,14}(\d+(?:[.,]\d+)?)\s*(mm|mV)", re.ASCII
)


def leads_showing(leads: pd.DataFrame) -> dict[str, set[str]]:
    """Leads that show a finding, or half of what guidelines ask for it.

    Args:
        leads: Amplitudes (mV) and durations (ms), rows the leads' names, as in `measure` or
            the truth of a simulated record; columns that are missing are passed over.

    Example:
        >>> leads_showing(pd.DataFrame({"st_mv": [0.06, 0.0]}, index=["I", "V3"]))
        {'ST elevation': {'I'}, 'ST depression': set()}
    """
    return {
        name: set(leads.index[shows(leads[column].fillna(0))])
        for name, (column, shows) in _SHOWS.items()
        if column in leads
    }


# Half of the limits of the Fourth Universal Definition of Myocardial Infarction 2018; the
# others are ours.
_SHOWS: dict[str, tuple[str, Callable[[pd.Series], pd.Series]]] = {
    "ST elevation": ("st_mv", lambda mv: mv >= 0.05),
    "ST depression": ("st_mv", lambda mv: mv <= -0.025),
    "T wave inversion": ("t_mv", lambda mv: mv <= -0.05),
    "Q waves": ("q_ms", lambda ms: ms >= 15),
    "tall T waves": ("t_mv", lambda mv: mv >= 0.4),
    "rSR' pattern": ("rsr", lambda count: count > 0),
    "upright P waves": ("p_mv", lambda mv: mv > 0),
    "R": ("r_mv", lambda mv: mv >= 0.3),
}


def _wrong_leads(text: str, rng: np.random.Generator, shown: Shown) -> list[Change]:
    spoken = list(sentences(text))
    moved = [] if "aVR" in shown.get("R", ()) else spoken
    found = [change for one in moved for change in _moved_r_waves(*one)]
    for offset, sentence in spoken:
        named = [name for name in FAR_LEADS if FINDINGS[name].search(sentence)]
        places = [*LEAD_LIST.finditer(sentence), *TERRITORY.finditer(sentence)]
        if len(named) != 1 or len(places) != 1:
            continue  # it would not be plain which leads belong to which finding
        name, place = named[0], places[0]
        mention = FINDINGS[name].search(sentence)
        if not mention or not is_affirmed(sentence, *mention.span()):
            continue
        taken = set().union(*(leads_in(s) for _, s in spoken if FINDINGS[name].search(s)))
        taken |= set(shown.get(name, ()))
        new = _far_leads(name, place, taken, rng)
        if new:
            start, end = offset + place.start(), offset + place.end()
            found.append(Change(start, end, new, f"{name} in {place[0]} -> {new}"))
    return found


def _moved_r_waves(offset: int, sentence: str) -> Iterator[Change]:
    """A tall R of V5 or V6 said of aVR, which looks from the other side."""
    for match in _R_IN.finditer(sentence):
        if value_of(match[2]) >= (6 if match[3] == "mm" else 0.6):
            start, end = offset + match.start(1), offset + match.end(1)
            yield Change(start, end, "aVR", f"R in {match[1]} -> aVR")


def _far_leads(
    name: str, place: re.Match[str], taken: set[str], rng: np.random.Generator
) -> str:
    """As many leads of a wall that does not show the finding; "" if there is none."""
    walls = [
        wall
        for wall, leads in FAR_LEADS[name].items()
        if not taken & {*leads, *TERRITORIES.get(wall, ())}
        and (wall in TERRITORIES or place.re is not TERRITORY)
    ]
    if not walls:
        return ""
    wall = _draw(walls, rng)
    if place.re is TERRITORY:
        return wall
    leads = FAR_LEADS[name][wall][: max(1, len(leads_in(place[0])))]
    return leads[0] if len(leads) == 1 else f"{', '.join(leads[:-1])} and {leads[-1]}"


# --- findings ---------------------------------------------------------------------------------

_TERM = "|".join(
    f"(?:{pattern})"
    for pattern in sorted(
        [*(p.pattern for p in FINDINGS.values()), *(p.pattern for p in DIAGNOSES.values())],
        key=len,
        reverse=True,
    )
)
_LIST = rf"(?:{_TERM})(?:(?:\s*,\s*(?:or\s+|nor\s+|and\s+)?|\s+(?:or|nor|and)\s+)(?:{_TERM}))*"
_OF = (
    r"(?:(?:convincing |clear |voltage )?(?:signs?|evidence|criteria) (?:of|for) |consistent )?"
)
_NO = re.compile(rf"(?P<no>\b[Nn]o\s+{_OF})(?P<list>{_LIST})", re.IGNORECASE)
_NOTHING = re.compile(rf"(?P<no>\bNothing (?:suggests|points to)\s+)(?P<list>{_LIST})", re.I)
_GONE = re.compile(
    rf"(?P<list>{_TERM})"
    r"(?P<gone> (?P<be>is|are) (?:absent|excluded|ruled out|not seen|not present|not met))",
    re.IGNORECASE,
)
_UNSURE = re.compile(
    r"[^.\n]*\b(?:overall (?:impression|picture)|whole picture|leave this open)\b[^.\n]*", re.I
)
# Affirmed sentence -> its denial; `{x}` is the finding as the text has it.
_AFFIRMED = (
    (re.compile(rf"\b(?P<head>[Tt]here (?:is|are) )(?:an? )?(?P<x>{_TERM})", re.I),
     "{head}no {x}"),
    (re.compile(rf"(?P<x>{_TERM})(?P<be> (?:is|are)) (?P<how>present|seen|noted|visible)\b",
                re.I), "{x}{be} not {how}"),
    (re.compile(rf"(?P<head>\bshows? )(?:an? )?(?P<x>{_TERM})", re.I), "{head}no {x}"),
    (re.compile(rf"^(?P<head>[\s*-]*)(?P<x>{_TERM})(?= in (?:leads? |the )?[IVa\w])", re.I),
     "{head}No {x}"),
    (re.compile(r"(?P<x>P waves) (?P<how>precede|come before) ", re.I), "{x} do not {how} "),
    (re.compile(r"(?P<x>P wave) precedes ", re.I), "{x} does not precede "),
    (re.compile(r"(?P<x>QRS(?: complex)?(?:es)?)(?P<be> (?:is|are)) preceded by ", re.I),
     "{x}{be} not preceded by "),
    (re.compile(r"\b(?P<x>(?:RR intervals?|rhythm)(?: is| are)?) regular\b", re.I),
     "{x} irregular"),
    (re.compile(r"\b(?P<x>(?:RR intervals?|rhythm)(?: is| are)?) (?:irregularly )?irregular\b",
                re.I), "{x} regular"),
)  # fmt: skip


def _negations(text: str, rng: np.random.Generator) -> list[Change]:
    # What the text itself does not see in the measurements is no error when denied.
    unsure = {name for one in _UNSURE.findall(text) for name, *_ in diagnoses(one)}
    found = []
    for offset, sentence in sentences(text):
        if HEDGES.search(sentence):
            continue
        denials = () if unsure & {x[0] for x in diagnoses(sentence)} else _denials(sentence)
        for new, what in [*_affirmations(sentence, rng), *denials]:
            found.append(_difference(offset, sentence, new, what))
    return found


def _difference(offset: int, old: str, new: str, what: str) -> Change:
    """Only what differs: headings and answers stand blanked in `old`, and must stay."""
    start = _same(old, new)
    end = _same(old[start:][::-1], new[start:][::-1])
    return Change(offset + start, offset + len(old) - end, new[start : len(new) - end], what)


def _same(one: str, other: str) -> int:
    """How many first characters two texts share."""
    pairs = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _affirmations(sentence: str, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """The sentence with one of what it denies said to be there."""
    for match in (*_NO.finditer(sentence), *_NOTHING.finditer(sentence)):
        terms = [m[0] for m in re.finditer(_TERM, match["list"], re.IGNORECASE)]
        chosen = _draw(terms, rng)
        yield _with_one(sentence, match, terms, chosen), f"no {chosen} -> {chosen}"
    for match in _GONE.finditer(sentence):
        tail = sentence[match.end() :] if "met" in match["gone"] else ""
        start = sentence[: match.start()]
        new = f"{match['list']} {match['be']} present"
        yield f"{start}{new}{tail or '.'}", f"no {match['list']} -> {new}"


def _with_one(sentence: str, match: re.Match[str], terms: list[str], chosen: str) -> str:
    head, tail = sentence[: match.start()], sentence[match.end() :]
    rest = [term for term in terms if term != chosen]
    if not rest and re.search(r"\b(?:there (?:is|are)|shows?) $", head, re.IGNORECASE):
        return f"{head}{chosen}{tail}"
    kept = f"{head}{match['no']}{_or(rest)}{tail}" if rest else head
    where = re.match(r" in (?:the )?[\w ,-]*?leads?| in [IVaRLF\d, and-]+", tail)
    space = re.match(r"\s*", sentence)
    be = "are" if chosen.lower().endswith(("waves", "spikes", "beats", "complexes")) else "is"
    added = f"There {be} {chosen}{where[0].rstrip() if where else ''}."
    start = kept.rstrip() or (space[0] if space else "")
    return f"{start} {added}" if start.strip() else f"{start}{added}"


def _or(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} or {items[-1]}"


def _denials(sentence: str) -> Iterator[tuple[str, str]]:
    """The sentence with one of what it says denied."""
    for pattern, denial in _AFFIRMED:
        for match in pattern.finditer(sentence):
            if not is_denied(sentence, match.start("x"), match.end("x")):
                new = denial.format(**{k: v or "" for k, v in match.groupdict().items()})
                what = f"{match[0].strip()} -> {new.strip()}"
                yield sentence[: match.start()] + new + sentence[match.end() :], what


# --- diagnoses --------------------------------------------------------------------------------

_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.IGNORECASE | re.DOTALL)


def _swaps(text: str, rng: np.random.Generator) -> list[Change]:
    named = {name for name, pattern in DIAGNOSES.items() if pattern.search(text)}
    found = []
    for offset, sentence in sentences(text):
        for name, start, end in diagnoses(sentence):
            if is_affirmed(sentence, start, end):
                found += _swap(name, offset + start, sentence[start:end], named, rng)
    for answer in _ANSWER.finditer(text):
        for name, start, end in diagnoses(answer[1]):
            found += _swap(name, answer.start(1) + start, answer[1][start:end], named, rng)
    return found


def _swap(
    name: str, start: int, words: str, named: set[str], rng: np.random.Generator
) -> list[Change]:
    options = [other for other in PARTNERS[name] if other not in named]
    if not options:
        return []
    new = _draw(options, rng)
    if words.isupper() and len(words) > 4:
        new = new.upper()
    elif words[:1].isupper():
        new = new[:1].upper() + new[1:]
    return [Change(start, start + len(words), new, f"{words} -> {new}")]


_FINDERS: dict[str, Callable[[str, np.random.Generator], list[Change]]] = {
    "wrong number": _wrong_numbers,
    "negated finding": _negations,
    "swapped diagnosis": _swaps,
    "impossible unit": _impossible_units,
}
