"""Leads and territories in a sentence."""

import re
from typing import NamedTuple

from ecg_r1.claims.anchors import Gated
from ecg_r1.ecg import LEADS

LIMB, CHEST = LEADS[:6], LEADS[6:]
TERRITORY: dict[str, tuple[str, ...]] = {
    "inferior": ("II", "III", "aVF"),
    "high lateral": ("I", "aVL"),
    "lateral": ("I", "aVL", "V5", "V6"),
    "anterolateral": ("I", "aVL", "V3", "V4", "V5", "V6"),
    "anteroseptal": ("V1", "V2", "V3", "V4"),
    "anterior": ("V1", "V2", "V3", "V4"),
    "septal": ("V1", "V2"),
    "inferolateral": ("I", "II", "III", "aVL", "aVF", "V5", "V6"),
    "precordial": CHEST,
    "chest": CHEST,
    "left precordial": ("V4", "V5", "V6"),
    "right precordial": ("V1", "V2", "V3"),
    "limb": LIMB,
    "extremity": LIMB,
}
_WORDS = "|".join(
    name.replace(" ", r"[ -]").replace("septal", r"septal(?! q)")
    for name in sorted(TERRITORY, key=len, reverse=True)
)
# A territory counts beside "leads", or right before what is found there.
_TERRITORY = Gated(
    rf"\b({_WORDS})(?:(?:,| and| or|/|-)+\s*({_WORDS}))?(?=[ -](?:(?:leads?|wall|region|"
    r"territor\w+|derivations?|complexes)\b|(?:\w+ ){0,2}"
    r"(?:st\b|isch|t[- ]|t wave|q[- ]|q wave|qs|r wave|s wave|qrs|inversion|elevation|"
    r"depression)))"
)
_AFTER = re.compile(r"[ -](?:leads?|wall|region|territor\w+|derivations?)\b")
_ALL = Gated(
    r"\b(?<!almost )(?<!nearly )(?:(?:in |across |throughout )?(?:all|any|"
    r"every)(?: of the)?(?: (?:twelve|12))? leads?"
    r"|throughout)\b|\bin any lead\b"
)
_NAME = r"(?:avr|avl|avf|v[1-6]|iii|ii|i)"
# "RV5" and "SV1" name a lead too. A class of characters comes first, in both cases instead of
# a flag, so that the scan skips what cannot begin a lead.
_ONE = re.compile(
    r"[aAvViI](?:(?<![a-zA-Z0-9].)|(?<=\b[rstqpRSTQP][aAvV]))"
    r"(?:(?<=[aA])[vV][rRlLfF]|(?<=[vV])[1-6]|(?<=[iI])[iI]{0,2})(?![a-zA-Z0-9])",
    re.ASCII,
)
_RANGE = re.compile(
    r"[vV](?<![a-zA-Z0-9].)([1-6])\s*(?:-|[tT](?:[oO]|[hH][rR][uU]|[hH][rR][oO][uU][gG][hH]))"
    r"\s*[vV]?([1-6])(?![a-zA-Z0-9.])"
)
_JOIN = re.compile(
    r"[\s,/&+]*(?:and|or|und|plus|as well as)?(?: in)?(?: the)?(?: leads?)?[\s,/&+]*\Z"
)
_ROMAN = re.compile(r"(?:mobitz|type|grade|class|degree|part|stage|phase)\s*\Z", re.IGNORECASE)
_SPOKEN = re.compile(r"(?:\bleads?|\bin|\bof|[,/&(]|\band|\bor|:)\s*\Z", re.IGNORECASE)
_BY_NAME = {lead.lower(): lead for lead in LEADS}


class Place(NamedTuple):
    """Leads named together, from `start` to `end` of the sentence.

    `before` says that they stand as an adjective before what is found there.
    """

    start: int
    end: int
    leads: tuple[str, ...]
    before: bool = False


def _singles(raw: str) -> list[Place]:
    found = []
    for match in _RANGE.finditer(raw):
        low, high = sorted((int(match[1]), int(match[2])))
        found.append(Place(*match.span(), CHEST[low - 1 : high]))
    taken = [(one.start, one.end) for one in found]
    for match in _ONE.finditer(raw):
        start, end = match.span()
        if any(a <= start < b for a, b in taken):
            continue
        name = match[0]
        is_roman = name.lower() in ("i", "ii", "iii")
        if is_roman and (name != name.upper() or _ROMAN.search(raw[:start][-8:])):
            continue
        if name == "I" and not _is_lead_one(raw, start, end):
            continue
        found.append(Place(start, end, (_BY_NAME[name.lower()],)))
    return sorted(found, key=lambda one: one.start)


_NEXT_LEAD = re.compile(
    rf"\s*(?:,|/|&|and|or|\+|-|to|:|\||\)|is|are|shows?|$)\s*({_NAME}\b)?", re.I
)


def _is_lead_one(raw: str, start: int, end: int) -> bool:
    """Whether a lone capital I is the lead: beside a lead, a comma of a list, or "lead"."""
    before = bool(_SPOKEN.search(raw[:start][-8:])) or not raw[:start].strip()
    return before and _NEXT_LEAD.match(raw, end) is not None


def _spells_out(territory: Place, leads: Place, raw: str) -> bool:
    """Whether leads say which of a territory's are meant: "the lateral leads V5 and V6"."""
    gap = raw[territory.end : leads.start].strip(" (")
    return not gap and set(leads.leads) < set(territory.leads)


def _merged(found: list[Place], raw: str) -> list[Place]:
    """Neighbours in a list become one place."""
    merged: list[Place] = []
    for one in found:
        joins = merged and not one.before and not merged[-1].before
        if joins and _spells_out(merged[-1], one, raw):
            merged[-1] = Place(merged[-1].start, one.end, one.leads)
        elif joins and _JOIN.match(raw[merged[-1].end : one.start].lower()):
            last = merged.pop()
            names = set(last.leads) | set(one.leads)
            merged.append(Place(last.start, one.end, tuple(x for x in LEADS if x in names)))
        else:
            merged.append(one)
    return merged


_ADVERBS = re.compile(
    r"\b(infero-?lateral|antero-?lateral|antero-?septal|inferior|anterior|lateral|septal)ly\b"
)


def places(raw: str, text: str) -> list[Place]:
    """Leads named in a sentence, those of one list together, in order.

    Args:
        raw: The sentence with its case.
        text: The same in lower case.

    Example:
        >>> raw = "Q waves in II, III and aVF; V2-V4 and the lateral leads"
        >>> [one.leads for one in places(raw, raw.lower())]
        [('II', 'III', 'aVF'), ('I', 'aVL', 'V2', 'V3', 'V4', 'V5', 'V6')]
    """
    found = _singles(raw)
    for match in _ALL.finditer(text):
        found.append(Place(*match.span(), LEADS))
    for match in _ADVERBS.finditer(text):
        found.append(Place(*match.span(), TERRITORY[match[1].replace("-", "")]))
    for match in _TERRITORY.finditer(text):
        names = {
            lead
            for name in match.groups()
            if name
            for lead in TERRITORY[name.replace("-", " ")]
        }
        end = match.end()
        after = _AFTER.match(text, end)
        leads = tuple(lead for lead in LEADS if lead in names)
        stop = after.end() if after else end
        found.append(Place(match.start(), stop, leads, before=after is None))
    return _merged(sorted(found, key=lambda one: one.start), raw)
