"""What a text says of a quantity in words: "prolonged", "within normal limits"."""

import re
from functools import cache

from ecg_r1.claims.anchors import Gated
from ecg_r1.claims.frame import Frame
from ecg_r1.claims.numbers import Number

_VERY = r"(?:markedly|severely|very|grossly|dangerously|critically|extremely)"
# The earliest word counts; of several at one place the first of this table.
_WORDS = {
    "severely prolonged": rf"{_VERY} (?:prolonged|long|lengthened)|severe(?:ly)? prolong\w+",
    "borderline": r"border-?line|upper limit of normal|high-normal|"
    r"slightly (?:prolonged|long|wide)\w*",
    "normal": r"(?<!ab)(?<!not )(?:within (?:the )?(?:normal )?(?:limits|range)(?: of normal)?|"
    r"wnl|nl\b|normal(?!:? ?[<>\u2264\u2265]|:? ?\d+ ?(?:-|to) ?\d|: \d)"
    r"(?! (?:is|range|values?|limits?))|unremarkable|preserved|controlled|intermediate|"
    r"physiologic\w*)",
    "prolonged": r"prolong(?:ed|ation)|lengthened|long(?!er than)|increased(?! voltage)|"
    r"delayed",
    "short": r"short(?:ened|ening)?(?!er than)",
    "narrow": r"narrow",
    "wide": r"wid(?:e|ened|ening)|broad(?:ened|ening)?",
    "slow": r"slow(?!er)|brady\w*|below 60",
    "fast": r"fast(?!er)|rapid|tachy\w*|elevated|uncontrolled|accelerated",
    "extreme": r"extreme|north-?west|superior|indeterminate",
    "left": r"left(?:ward)?(?! (?:bundle|ant|post|atri|vent|prec))",
    "right": r"right(?:ward)?(?! (?:bundle|atri|vent|prec))",
    "low": r"low\b",
    "high": r"high\b|increased|tall|elevated|large|above 35|exceed\w*",
}
ALLOWED: dict[str, tuple[str, ...]] = {
    "hr_bpm": ("normal", "slow", "fast"),
    "atrial_bpm": ("normal", "slow", "fast"),
    "pr_ms": ("normal", "borderline", "severely prolonged", "prolonged", "short"),
    "p_ms": ("normal", "prolonged", "short", "wide"),
    "qrs_ms": ("normal", "borderline", "severely prolonged", "prolonged", "narrow", "wide"),
    "qt_ms": ("normal", "severely prolonged", "prolonged", "short", "borderline"),
    "qtc_ms": ("normal", "borderline", "severely prolonged", "prolonged", "short"),
    "axis_deg": ("normal", "extreme", "left", "right", "borderline"),
    "p_axis_deg": ("normal", "left", "right"),
    "t_axis_deg": ("normal", "left", "right"),
    "sokolow_mv": ("normal", "high", "low", "borderline"),
    "cornell_mv": ("normal", "high", "low", "borderline"),
    "qrs_mv": ("normal", "high", "low"),
}
_LIST = re.compile(r"\s*(?:,|and|or|/|&|, and|,? as well as)\s*(?:the )?")
# "QRS (88 ms) and QTc (415 ms) are normal": the word behind a list is said of all of it.
_LISTED = re.compile(
    r"(?:[\s(),/&\d.]|\b(?:and|the|of|at|m?s|bpm|interval|duration|heart rate|axis|p[rq]|qrs|"
    r"qtc?|"
    r"degrees)\b|°){4,80}?\b(?:are|both|all)(?: all| both| also)? (?P<said>[^,;.]{1,40})"
)
# Where what follows a quantity speaks of something else.
_AFTER_WORD = re.compile(r"\b(?:but|while|whereas|with|without|no|and (?=\w+ (?:axis|rate)))\b")
_AFTER_NUMBER = re.compile(r";|\b(?:but|while|whereas|there (?:is|are)|no|without)\b|, the\b")
_NOUN_OF = re.compile(r"\b(prolongation|widening|broadening|shortening) of (?:the )?\Z")
_NEITHER = re.compile(r"\b(?:neither|not) ([\w-]+) n?or ([\w-]+)")
_LEAD_IN = re.compile(r"[,;:|.(]|\band\b|\bwith\b|\bis\b|\bof\b")


def first_word(
    text: str, allowed: tuple[str, ...], part: str | None = None
) -> tuple[str, int] | None:
    """The earliest of the allowed words in a text, or in a part of it, and where it stands.

    Example:
        >>> first_word("is markedly prolonged", ("prolonged", "severely prolonged"))
        ('severely prolonged', 3)
    """
    match = _any_of(allowed).search(text, part) if allowed else None
    if match is None:
        return None
    name = match.lastgroup or ""
    return name.replace("_", " "), match.start()


@cache
def _any_of(names: tuple[str, ...]) -> Gated:
    """One pattern for several words, in the order of the table."""
    words = (f"(?P<{n.replace(' ', '_')}>{w})" for n, w in _WORDS.items() if n in names)
    return Gated(rf"\b(?:{'|'.join(words)})")


def qualifier(
    frame: Frame, index: int, name: str, number: Number | None
) -> tuple[str | None, bool]:
    """The word on the quantity of a mention, and whether it is denied."""
    one, allowed = frame.named[index], ALLOWED.get(name, ())
    words = frame.text[one.start : one.end]
    noun = _NOUN_OF.search(frame.plain[frame.previous_end(index) : one.start])
    of_noun = first_word(noun[1], allowed) if noun else None
    if of_noun:
        return of_noun[0], False
    if name == "hr_bpm" and re.search(r"brady|tachy|rvr", words):
        return ("slow" if "brady" in words else "fast"), False
    lead_in = _LEAD_IN.split(frame.plain[frame.previous_end(index) : one.start][-28:])[-1]
    text = frame.text
    found = first_word(text, allowed, words) or first_word(text, allowed, lead_in)
    if found:
        return found[0], False
    late = _late_word(frame, index, allowed, number)
    if late:
        return late
    if number:
        listed = _LISTED.match(frame.text, number.end)
        word = first_word(frame.text, allowed, listed["said"]) if listed else None
        return (word[0] if word else None), False
    return _shared(frame, index, allowed), False


def denied_words(frame: Frame, index: int, name: str) -> tuple[str, ...]:
    """Both words of "neither short nor prolonged" behind a quantity; empty without them."""
    after = frame.plain[frame.named[index].end : frame.next_start(index)][:70]
    match = _NEITHER.search(after)
    found = [first_word(one, ALLOWED.get(name, ())) for one in match.groups()] if match else []
    return tuple(one[0] for one in found if one) if None not in found else ()


def _late_word(
    frame: Frame, index: int, allowed: tuple[str, ...], number: Number | None
) -> tuple[str, bool] | None:
    """The word behind a quantity or its number, and whether "not" stands before it."""
    one = frame.named[index]
    stop = frame.quantity_end(index) if number else frame.next_start(index)
    after = frame.plain[one.end : stop][: 90 if number else 70]
    if number is None:
        cut = _AFTER_WORD.search(after)
    else:
        cut = _AFTER_NUMBER.search(after, max(0, number.end - one.end))
    found = first_word(frame.text, allowed, after[: cut.start()] if cut else after)
    if found is None:
        return None
    denied = re.search(r"\b(?:not|n't)\s+(?:\w+\s)?\Z", after[: found[1]]) is not None
    return found[0], denied


def _shared(frame: Frame, index: int, allowed: tuple[str, ...]) -> str | None:
    """A word that stands with a neighbour of a list: "PR, QRS and QTc are normal"."""
    named = frame.named
    if index + 1 < len(named) and named[index + 1].is_quantity:
        following = named[index + 1]
        if _LIST.fullmatch(frame.text, named[index].end, following.start):
            word, denied = qualifier(frame, index + 1, following.names[0], None)
            return word if word in allowed and not denied else None
    return _shared_before(frame, index, allowed)


def _shared_before(frame: Frame, index: int, allowed: tuple[str, ...]) -> str | None:
    while index and frame.named[index - 1].is_quantity:
        one, before = frame.named[index], frame.named[index - 1]
        if not _LIST.fullmatch(frame.text, before.end, one.start):
            return None
        lead_in = frame.plain[frame.previous_end(index - 1) : before.end]
        start = -28 - before.end + before.start
        found = first_word(frame.text, allowed, lead_in[start:])
        if found:
            return found[0]
        index -= 1
    return None
