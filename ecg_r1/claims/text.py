"""From a text to its sentences: plain characters, the step each stands in, and where it stood.

Headings, tags and the titles of the steps are blanked, so that they are never read as claims.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from ecg_r1.report import STEP_TITLES

SUMMARY, ANSWER = 7, 8  # steps of a claim outside the six

_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\uff0d"
_AS_PLAIN = str.maketrans(
    dict.fromkeys(_DASHES, "-")
    | dict.fromkeys("\u2018\u2019\u2032\u00b4`", "'")
    | dict.fromkeys("\u00a0\u2009\u202f\t*_\u2022\u00b7\u25cf", " ")
    | {"\u2264": "\u2264", "\r": "\n"}
)
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_LONGEST = 600  # characters after which a sentence ends at the next space: ours
_TAG = re.compile(r"</?(?:think|answer)>")
_STEP = re.compile(r"step(?<!\w....)[ \t]{0,3}([1-6])\b[ \t]*[:.\-]?([^\n*]{0,60}\*\*)?")
_TITLES = re.compile("|".join(re.escape(title.lower()) for title in STEP_TITLES.values()))
_HEADING = re.compile(r"^[ \t]*#{1,6}[^\n]*$", re.MULTILINE)
# A point ends a sentence when space follows, unless an abbreviation stands before it.
_SHORT = ("e.g", "i.e", "vs", "ca", "deg", "inf", "ant", "lat", "post", "vent", "approx")
# A class of characters comes first, so that the scan skips everything else.
_END = re.compile(
    r"[\n;.!?](?:(?<=[\n;])|(?=[\s)\"']|$)"
    + "".join(rf"(?<!\b{re.escape(one)}.)" for one in _SHORT)
    + ")",
    re.IGNORECASE,
)


class Sentence(NamedTuple):
    """A stretch of text between two ends.

    Attributes:
        raw: Plain characters, with their case, which tells lead I from a letter.
        at: Original index of each character.
        step: 1 to 6, `SUMMARY`, `ANSWER` or None.
    """

    raw: str
    at: Sequence[int]
    step: int | None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where characters `start` to `end` stood in the original."""
        return self.at[start], self.at[end - 1] + 1


def _plain(text: str) -> tuple[str, Sequence[int]]:
    """Plain characters and where each came from; invisible ones are dropped."""
    if text.isascii():
        return text.translate(_AS_PLAIN), range(len(text))
    dropped = [match.start() for match in _NOT_ASCII.finditer(text) if not _folded(match[0])]
    plain = _NOT_ASCII.sub(lambda match: _folded(match[0]), text).translate(_AS_PLAIN)
    if not dropped:
        return plain, range(len(text))
    gone = set(dropped)
    return plain, [index for index in range(len(text)) if index not in gone]


@lru_cache(maxsize=4096)
def _folded(char: str) -> str:
    """The plain form of a character, "" of an invisible one."""
    if unicodedata.category(char) in ("Cf", "Mn"):
        return ""
    folded = unicodedata.normalize("NFKC", char)
    return folded if len(folded) == 1 else char


def _sections(text: str) -> tuple[str, list[tuple[int, int | None]]]:
    """The text with headings blanked, and (start, step) of each section."""
    marks: list[tuple[int, int | None]] = [(0, None)]
    blanks: list[tuple[int, int]] = []
    lower = lowered(text)
    for match in _TAG.finditer(text):
        step = {"<answer>": ANSWER, "</think>": SUMMARY}.get(match[0])
        marks.append((match.start(), step))
        blanks.append(match.span())
    for match in _STEP.finditer(lower):
        marks.append((match.start(), int(match[1])))
        blanks.append(match.span())
    regexes = (_TITLES,) if "&" in text or "medical" in lower else ()
    regexes += (_HEADING,) if "#" in text else ()
    blanks += [match.span() for regex in regexes for match in regex.finditer(lower)]
    pieces, done = [], 0
    for start, end in sorted(blanks):
        if end > done:
            pieces += [text[done : max(start, done)], " " * (end - max(start, done))]
            done = end
    return "".join(pieces) + text[done:], sorted(marks, key=lambda mark: mark[0])


def lowered(text: str) -> str:
    """In lower case, as long as the text; a few letters would grow, and stay as they are."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def sentences(text: str) -> list[Sentence]:
    r"""Cut a text into sentences.

    Linear in its length.

    Example:
        >>> [(s.raw, s.step) for s in sentences("Rate 75. PR 0.16 s.\n<answer>normal ecg")]
        [('Rate 75', None), ('PR 0.16 s', None), ('normal ecg', 8)]
    """
    # Headings are found before stars vanish.
    headed, marks = _sections(text)
    plain, at = _plain(headed)
    found, mark = [], 0
    for start, end in _stretches(plain):
        raw = plain[start:end]
        lead = len(raw) - len(raw.lstrip(" -"))
        first, last = start + lead, start + len(raw.rstrip())
        if last <= first:
            continue
        while mark + 1 < len(marks) and marks[mark + 1][0] <= at[first]:
            mark += 1
        body, places = _single_spaced(plain[first:last], at[first:last])
        found.append(Sentence(body, places, marks[mark][1]))
    return found


def _single_spaced(body: str, at: Sequence[int]) -> tuple[str, Sequence[int]]:
    """A sentence with one space where stars, headings or tags left several."""
    if "  " not in body:
        return body, at
    kept = [i for i, char in enumerate(body) if char != " " or body[i - 1] != " "]
    return "".join([body[i] for i in kept]), [at[i] for i in kept]


def _stretches(plain: str) -> Iterator[tuple[int, int]]:
    """Start and end of each sentence; a question keeps its mark."""
    start = 0
    for end in [*(match.start() for match in _END.finditer(plain)), len(plain)]:
        while end - start > _LONGEST:
            cut = plain.find(" ", start + _LONGEST // 2, start + _LONGEST)
            cut = start + _LONGEST if cut < 0 else plain.rfind(" ", start, start + _LONGEST)
            yield start, cut
            start = cut
        yield start, end + (plain[end : end + 1] == "?")
        start = end + 1
