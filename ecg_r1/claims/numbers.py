"""Numbers with units in a sentence, and which of them are limits instead of measurements."""

import re
from functools import lru_cache
from typing import NamedTuple

from ecg_r1.claims.anchors import Gated

# A class of characters comes first, so that the scan skips what cannot begin a number.
_LOW = (
    r"[-+\d](?:(?<=\d)(?<![a-z\d].)(?<!\d[.,].)\d{0,4}|(?<=[-+])(?<![\w.,].)\d{1,5})"
    r"(?:[.,]\d{1,4})?"
)
_HIGH = r"(?:(?<![\w.,])[-+](?=\d))?(?<![a-z\d])(?<!\d[.,])\d{1,5}(?:[.,]\d{1,4})?"
_UNIT = (
    r"(?P<unit>beats?[ /-]*(?:per|a|/)[ -]*min(?:ute)?|bpm\b|b\.p\.m\.?|/ ?min(?:ute)?\b|"
    r"per min(?:ute)?\b|"
    r"a minute\b|min-1|ms(?:ec)?\b|m ?sec\b|milliseconds?\b|s\b|sec(?:onds?)?\b|mv\b|"
    r"millivolts?\b|"
    r"(?:µ|μ|u)v\b|microvolts?\b|mm\b|millimet(?:er|re)s?\b|degrees?\b|deg\b|°|º|%|hz\b|"
    r"kg\b|years?\b|y/?o\b|cm\b|mmol)"
)
_RE = re.compile(
    rf"(?P<low>{_LOW})(?:(?:-| +- +|\s*(?:to|and|\.\.)\s*|"
    rf"\s*(?:°|degrees|bpm|ms|mv|mm|s)\s*(?:to|-)\s*)(?P<high>{_HIGH}))?"
    rf"(?![\d:]|(?:st|nd|rd|th)\b)(?:\s*-?\s*{_UNIT})?(?P<more>\s*(?:or|and) (?:more|above|"
    r"longer|less|below|higher|over|greater|wider|beyond))?"
)
_COMPARE = re.compile(
    r"(?P<lt><=?|\u2264|less than|below|under|at most|up to|no more than|shorter than|"
    r"not exceed(?:ing)?|not (?:above|over|(?:more|greater|longer) than))\s*\Z|"
    r"(?P<gt>not (?:below|under|less than)|>=?|\u2265|more than|greater than|above|over|"
    r"at least|exceed(?:s|ing)|"
    r"longer than|in excess of|beyond)\s*\Z"
)
_COMPARING = (
    "<", "=", "\u2264", ">", "\u2265", "than", "below", "under", "at most", "up to",
    "exceed", "exceeding", "above", "over", "at least", "exceeds", "in excess of", "beyond",
)  # fmt: skip
# "Has increased by 35 bpm" is a change, no measurement.
_CHANGE = Gated(
    r"\b(?:increased|decreased|risen|rose|fallen|fell|lengthened|shortened|changed|improved)\b"
    r"[^.;]{0,12}\bby\b[\w ~]{0,15}\Z"
)
# Words before a number that make it a limit of the textbook.
_LIMIT = Gated(
    r"(?:normal(?:ly)?|reference|ref\.?|limits?|thresholds?|criteri(?:on|a)|cut-?offs?|range|"
    r"upper|lower|expected|should be|must be|defined as|required|requires?|needs?|"
    r"considered|if|unless|until|when)\b[^.;]{0,28}\Z"
)
# "1500 / 20 = 75 bpm" states what stands behind the sign.
_SUM = re.compile(
    r"(?:\d[\d.]* ?(?:[/x+\u00f7\u00d7]|divided by) ?){1,4}\d[\d.]*[a-z ]{0,24}[=\u2248]"
)
_LIMIT_AFTER = re.compile(
    r"\s*(?:is|are|being)?\s*(?:the )?(?:limit|threshold|cut-?off|normal range|criterion|"
    r"norm\b|upper limit)"
)
_UNITS: tuple[tuple[str, str, float], ...] = (
    (r"b|/|per|a min|min", "bpm", 1.0),
    (r"ms|m ?sec|milliseconds?", "ms", 1.0),
    (r"s$|sec", "ms", 1000.0),
    (r"mv|millivolt", "mV", 1.0),
    (r"µv|μv|uv|microvolt", "mV", 0.001),
    (r"mm$|millimet", "mV", 0.1),
    (r"deg|°|º", "degrees", 1.0),
)


class Number(NamedTuple):
    """A number of a sentence.

    Attributes:
        start: Its first character.
        end: Behind its unit.
        low: In the unit of `unit`.
        high: End of a range, else None.
        unit: "bpm", "ms", "mV", "degrees", "" where none stands, "other" where none of these.
        comparator: "=", "<" or ">" (or equal), as words before it say; "range".
        is_limit: Whether it is a limit of normal, not a measurement.
    """

    start: int
    end: int
    low: float
    high: float | None
    unit: str
    comparator: str
    is_limit: bool


@lru_cache(maxsize=256)
def _unit(text: str | None) -> tuple[str, float]:
    if not text:
        return "", 1.0
    return next(
        ((unit, factor) for pattern, unit, factor in _UNITS if re.match(pattern, text)),
        ("other", 1.0),
    )


def _value(text: str) -> float:
    return float(text.replace(",", ".").replace("+", ""))


def _parentheses(text: str) -> list[tuple[int, int]]:
    """Stretches in round or square brackets, outermost."""
    found, depth, start = [], 0, 0
    for index, char in enumerate(text):
        if char in "([":
            start = index if depth == 0 else start
            depth += 1
        elif char in ")]" and depth:
            depth -= 1
            if depth == 0:
                found.append((start, index + 1))
    return found


def numbers(text: str) -> list[Number]:
    """Numbers of a sentence, in order.

    Args:
        text: One sentence in lower case.

    Example:
        >>> [(n.low, n.unit, n.is_limit) for n in numbers("pr 0.21 s (normal 120-200 ms)")]
        [(210.0, 'ms', False), (120.0, 'ms', True)]
    """
    brackets = _parentheses(text) if "(" in text or "[" in text else []
    sums = [match.span() for match in _SUM.finditer(text)] if "=" in text else []
    found: list[Number] = []
    for match in _RE.finditer(text):
        start, end = match.span("low")[0], match.end()
        unit, factor = _unit(match["unit"])
        low = round(_value(match["low"]) * factor, 4)
        high = round(_value(match["high"]) * factor, 4) if match["high"] else None
        joined = high is not None and text[match.end("low") : match.start("high")].strip()
        if joined == "and" and not text[:start].rstrip().endswith("between"):
            high, end = None, match.end("low")
        before = text[max(0, start - 40) : start]
        compared = _COMPARE.search(before) if before.rstrip().endswith(_COMPARING) else None
        comparator = "range" if high is not None else "="
        if compared and high is None:
            comparator = "<" if compared.lastgroup == "lt" else ">"
        is_limit = _is_limit(text, match, before, brackets, found, comparator) or any(
            first <= start < last for first, last in sums
        )
        found.append(
            Number(start, max(end, match.end("low")), low, high, unit, comparator, is_limit)
        )
    return found


def _is_limit(  # noqa: PLR0911  (one case after the other)
    text: str,
    match: re.Match,
    before: str,
    brackets: list[tuple[int, int]],
    earlier: list[Number],
    comparator: str,
) -> bool:
    start = match.start("low")
    if _CHANGE.search(text, before):
        return True
    inside = next((b for b in brackets if b[0] < start < b[1]), None)
    compares = comparator in ("<", ">") or bool(match["more"])
    if inside:
        outside_first = any(not n.is_limit and n.end <= inside[0] for n in earlier)
        words = text[inside[0] : start]
        if re.search(
            r"normal|limit|threshold|criteri|cut-?off|reference|ref\b|range|n[:=]", words
        ):
            return outside_first or compares or match["high"] is not None
        return compares
    if match["more"] or _LIMIT_AFTER.match(text, match.end()):
        return True
    tail = before[max(before.rfind(","), before.rfind("(")) + 1 :] if "," in before else before
    word = _LIMIT.search(text, tail)
    if word is None:
        return False
    # "PR is normal at 160 ms" states a number; "normal 120-200" and "normal < 200" a limit.
    said = word[0]
    if re.match(r"normal", said):
        joins = re.search(r"\b(?:at|of|with|is|are|:|=|measur\w+)\s*\(?\s*\Z", said)
        plain = re.match(r"normal\s+(?:pr|qrs|qtc?|axis|heart|rate|sinus|rhythm|p[- ])", said)
        return not (joins or plain) or bool(
            re.match(r"normal(?:ly)? (?:is|are|range|values?)", said)
        )
    return not re.match(r"range\b.*\b(?:of|:)\s*\Z", said) or compares
