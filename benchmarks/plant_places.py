"""Where a reading says something: its sentences, numbers, leads and diagnoses, for `plants`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.plant_words import (
    DENIALS,
    DIAGNOSES,
    HEDGES,
    NOT_OF_THIS_RECORD,
    TERRITORIES,
)

# --- sentences ------------------------------------------------------------------------------

# What is no sentence about the record: tags, headings, and the answer, which has its own rule.
_FRAME = re.compile(
    r"<answer>.*?</answer>|</?\w+>|^[ \t]*[#*]*[ \t]*Step\s+\d\b[^\n*]*\**|^[ \t]*#+ [^\n]*",
    re.IGNORECASE | re.DOTALL | re.MULTILINE,
)
_SENTENCE = re.compile(r"(?:[^.!?\n]|\.(?=\d))+[.!?]?")


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """Start and words of each sentence that speaks of this record."""
    body = _FRAME.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)
    for match in _SENTENCE.finditer(body):
        if match[0].strip() and not NOT_OF_THIS_RECORD.search(match[0]):
            yield match.start(), match[0]


def is_affirmed(sentence: str, start: int, end: int) -> bool:
    """Whether these words are neither denied nor hedged in their sentence."""
    return not (HEDGES.search(sentence) or is_denied(sentence, start, end))


def is_denied(sentence: str, start: int, end: int) -> bool:
    """Whether what stands before or after these words denies them."""
    before = re.split(r"\bbut\b|;", sentence[:start])[-1]
    after = sentence[end : end + 40]
    return bool(DENIALS.search(before) or re.match(rf"[^.;]*?(?:{DENIALS.pattern})", after))


# --- numbers ----------------------------------------------------------------------------------

_NUMBER = re.compile(
    r"(?<![\w.,/])(?P<number>[-+\u2212]?\d+(?:[.,]\d+)?)(?P<gap>\s*)"
    r"(?P<unit>beats per minute|beats/min|bpm|/min|per minute|milliseconds?|msec|ms|seconds?|"
    r"sec|s|degrees?|deg|\u00b0|mm|mV)(?![\w/])"
)
# A number after these is a limit or part of a range.
_LIMIT_BEFORE = re.compile(
    r"(?:[<>\u2264\u2265]=?|\b(?:above|below|over|under|than|limits?|range|least|most|up to|"
    r"within|between|exceed\w*|normal|maximum|minimum)\b[^\d]{0,12}|"
    r"\d\s*\w{0,4}\s*(?:-|\u2013|\u2212|to|and))\s*$"
)
_LIMIT_AFTER = re.compile(
    r"\s*(?:(?:-|\u2013|\u2212|to)\s*[-\u2212]?\d|or (?:more|less)|and (?:above|below))"
)
_BRACKETED_LIMIT = re.compile(r"\([^()]*\b(?:normal|limit|range|up to|above|below|of)\b[^()]*$")
_TIMES = re.compile(r"\b(QTc|QT|PR|PQ|QRS|RR)\b|\b([PTU])(?:[ -]wave|\b)")
_VOLTAGES = re.compile(r"\b(?:[PQRSTU]|ST|Sokolow\S*|Cornell|together|in sum|add up|give)\b")
RATES = ("beats per minute", "beats/min", "bpm", "/min", "per minute")
DEGREES = ("degree", "degrees", "deg", "\u00b0")
_VOLTS = ("mm", "mV")
TIMES = ("PR", "QRS", "QT", "QTc")


@dataclass(frozen=True)
class Number:
    """A number with its unit that says a quantity of this record.

    Attributes:
        start: Where the number begins in the text.
        end: Where its unit ends.
        digits: The number as written.
        gap: What stands between number and unit.
        unit: The unit as written.
        quantity: "rate", "axis", "voltage" or one of `TIMES`.
        name: Words of the text for it.
    """

    start: int
    end: int
    digits: str
    gap: str
    unit: str
    quantity: str
    name: str


def numbers(text: str) -> list[Number]:
    """Numbers of this record whose quantity is plain from their unit and sentence."""
    found = []
    for offset, sentence in sentences(text):
        for match in _NUMBER.finditer(sentence):
            before, after = sentence[: match.start()], sentence[match.end() :]
            if _is_limit(before, after):
                continue
            quantity, name = _quantity(before, after, match["unit"])
            if quantity:
                start, end = offset + match.start(), offset + match.end()
                found.append(
                    Number(
                        start, end, match["number"], match["gap"], match["unit"], quantity, name
                    )
                )
    return found


def _is_limit(before: str, after: str) -> bool:
    return bool(
        _LIMIT_BEFORE.search(before[-30:])
        or _LIMIT_AFTER.match(after)
        or _BRACKETED_LIMIT.search(before)
    )


def _quantity(before: str, after: str, unit: str) -> tuple[str, str]:
    """The quantity and its name; "" where the sentence does not tell or it is none of ours."""
    if unit in RATES:
        return "rate", "atrial rate" if re.search(
            r"\b(?:atrial rate|atria beat)", before
        ) else "heart rate"
    if unit in DEGREES:
        axes = re.findall(r"(\b[PT][ -](?:wave )?)?\b[Aa]xis\b", before)
        return ("axis", "axis") if axes and not axes[-1] else ("", "")
    if unit in _VOLTS:
        named = _VOLTAGES.findall(before)
        return ("voltage", named[-1]) if named else ("", "")
    times = list(_TIMES.finditer(before)) or list(_TIMES.finditer(after[:12]))[:1]
    name = times[-1][1] if times else None
    name = "PR" if name == "PQ" else name
    return (name, name) if name in TIMES else ("", "")


def value_of(digits: str) -> float:
    """A number as texts write it, with a comma or a true minus sign, as a float."""
    return float(digits.replace("\u2212", "-").replace(",", "."))


# --- leads and diagnoses ----------------------------------------------------------------------

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
_LEAD = r"(?:aV[RLF]|III|II|I|V[1-6])"
LEAD_LIST = re.compile(
    rf"(?<![\w-]){_LEAD}(?:(?:\s*,\s*(?:and\s+)?|\s+(?:and|to|through)\s+|\s*[-\u2013]\s*)"
    rf"{_LEAD})*(?![\w'-])"
)
TERRITORY = re.compile(rf"\b({'|'.join(TERRITORIES)})(?= leads?\b)", re.IGNORECASE)


def leads_in(words: str) -> set[str]:
    """Leads and territories named in some words, ranges spelt out.

    Example:
        >>> sorted(leads_in("II, V2-V4"))
        ['II', 'V2', 'V3', 'V4']
    """
    found: set[str] = set()
    for match in LEAD_LIST.finditer(words):
        names = re.findall(_LEAD, match[0])
        found.update(names)
        for first, last in re.findall(
            rf"({_LEAD})\s*(?:-|\u2013|to|through)\s*({_LEAD})", match[0]
        ):
            found.update(LEADS[LEADS.index(first) : LEADS.index(last) + 1])
    for match in TERRITORY.finditer(words):
        found.update(TERRITORIES[match[1].lower()])
    return found


def diagnoses(words: str) -> list[tuple[str, int, int]]:
    """Diagnoses named in some words with their places; the longest name wins.

    Example:
        >>> diagnoses("Incomplete right bundle branch block.")
        [('incomplete right bundle branch block', 0, 36)]
    """
    spans = [
        (name, m.start(), m.end()) for name, p in DIAGNOSES.items() for m in p.finditer(words)
    ]
    spans.sort(key=lambda span: span[1] - span[2])
    kept: list[tuple[str, int, int]] = []
    for span in spans:
        if all(span[2] <= other[1] or span[1] >= other[2] for other in kept):
            kept.append(span)
    return sorted(kept, key=lambda span: span[1])
