"""Numbers that a text says could not be measured: "PR interval not measurable".

It is a statement about the ECG as well, and an easy one: a model that is paid for true numbers
learns to say it of those that it reads badly. Statements about single leads, and "not judged",
"not assessed", are left alone: those speak of the reader.
"""

import re
from collections.abc import Sequence

from ecg_r1.claims.anchors import Gated
from ecg_r1.claims.ignored import unjudged
from ecg_r1.claims.lexicon import Mention
from ecg_r1.claims.places import places
from ecg_r1.claims.schema import NOT_MEASURABLE, QUANTITIES, Claim, kind_of

_SAID = Gated(
    r"\b(?:not (?:reliably )?(?:measurable|determinable)|unmeasurable|"
    r"(?:can ?not|can't|could not) be (?:reliably )?(?:measured|determined))\b"
)
_ALL_VOLTAGES = re.compile(r"\bvoltages\b")
# What may stand between quantities, and between the last one and the words above.
_LINK = re.compile(r"(?:[\s,/]|\b(?:and|or|the|interval|duration|is|are|was|were)\b)*")


def withheld_claims(text: str, raw: str, named: Sequence[Mention]) -> list[Claim]:
    """Claims that a quantity is not measurable; of "voltages" as one on the QRS voltage.

    Args:
        text: A sentence in lower case.
        raw: The same as written.
        named: What it names.
    """
    said = _SAID.search(text)
    if said is None:
        return []
    first, last = unjudged(text)
    if any(first <= one.start < last for one in places(raw, text)):
        return []
    of = [
        (m.start(), m.end(), "qrs_mv")
        for m in _ALL_VOLTAGES.finditer(text, first, said.start())
    ]
    of += [(m.start, m.end, m.names[0]) for m in named if m.names[0] in QUANTITIES]
    found: list[Claim] = []
    begin = said.start()
    for start, end, name in sorted(of, reverse=True):
        if first <= start and end <= begin and _LINK.fullmatch(text, end, begin):
            words = raw[start : said.end()]
            span = (start, said.end())
            found.append(
                Claim(kind_of(name), name, qualifier=NOT_MEASURABLE, span=span, text=words)
            )
            begin = start
    return found[::-1]
