"""Headings that name topics: "Ischaemia and infarction: none", which affirms neither.

Two or more findings or diagnoses, joined and closed by a colon, are what the sentence is about.
A single one is left to the words around it ("Infarction: old, inferior").
"""

import re
from collections.abc import Sequence

from ecg_r1.claims.lexicon import Mention

_JOIN = re.compile(r"[\s,/&]*(?:(?:and|or|and/or)\b[\s,/&]*)?")
_NOTHING = re.compile(r"\s*(?:none|nil|no|not|absent|negative|without)\b")


def topics_of(text: str, named: Sequence[Mention]) -> tuple[list[Mention], bool]:
    """The mentions that are a heading, and whether what follows says that there is none.

    Args:
        text: A sentence in lower case.
        named: What it names, in its order.

    Example:
        >>> from ecg_r1.claims.lexicon import mentions
        >>> text = "ischaemia and infarction: none"
        >>> topics, denied = topics_of(text, mentions(text))
        >>> len(topics), denied
        (2, True)
    """
    colon = text.find(":")
    heads = [one for one in named if one.end <= colon]
    if len(heads) < 2 or any(one.is_quantity for one in heads):
        return [], False
    ends = [0, *(one.end for one in heads)]
    starts = [*(one.start for one in heads), colon]
    joined = all(
        _JOIN.fullmatch(text, end, start) for end, start in zip(ends, starts, strict=True)
    )
    if not joined:
        return [], False
    if any(one.start > colon for one in named):
        # "LVH, LBBB: QRS 150 ms" gives a number for them.
        by_number = any(one.is_quantity for one in named if one.start > colon)
        return ([], False) if by_number else (heads, False)
    denied = _NOTHING.match(text, colon + 1) is not None
    return (heads, True) if denied else ([], False)
