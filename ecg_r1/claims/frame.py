"""One sentence with all that was found in it, and whose leads are whose."""

import re

from ecg_r1.claims.lexicon import Mention
from ecg_r1.claims.numbers import Number
from ecg_r1.claims.places import Place
from ecg_r1.claims.polarity import polarity
from ecg_r1.claims.schema import Claim, Polarity, kind_of

_TURN = re.compile(r"\b(?:but|while|whereas|with|however)\b")
_EACH = re.compile(r"\b(?:each|every) \Z")
_IS_WITH_NEXT = re.compile(r"\s*")
_JOINED = re.compile(r",| and | or |/")
# Said of no lead in particular, whatever stands before.
_DIFFUSE = re.compile(r"\b(?:diffuse|widespread|generali[sz]ed|global)(?:ly)? \Z")


class Frame:
    """A sentence, what it names, its numbers and its leads; `used` numbers have an owner."""

    def __init__(
        self,
        text: str,
        raw: str,
        named: list[Mention],
        numbers: list[Number],
        places: list[Place],
    ) -> None:
        self.text, self.raw = text, raw
        # The "s" of "0.16 s" is no S wave; "each QRS" counts complexes.
        self.named = [
            one
            for one in named
            if (
                one.end - one.start > 2
                or not any(n.start <= one.start and one.end <= n.end for n in numbers)
            )
            and not (one.names == ("qrs_ms",) and _EACH.search(text, 0, one.start))
            and not _is_word_on_rate(one, named, text)
        ]
        self.numbers, self.places = numbers, places
        self.used: set[int] = set()
        self.plain = blanked(self.named, text)

    def next_start(self, index: int) -> int:
        """Where the next mention starts."""
        return self.named[index + 1].start if index + 1 < len(self.named) else len(self.text)

    def previous_end(self, index: int) -> int:
        """Where the mention before ends."""
        return self.named[index - 1].end if index else 0

    def quantity_end(self, index: int) -> int:
        """How far a quantity reaches: to the next one."""
        later = (m.start for m in self.named[index + 1 :] if m.is_quantity)
        return next(later, len(self.text))

    def claim(self, name: str, start: int, end: int, said: Polarity, **fields: object) -> Claim:
        """A claim on the words from `start` to `end` of the sentence."""
        kind = kind_of(name, polarity=said)
        return Claim(kind, name, said, span=(start, end), text=self.raw[start:end], **fields)

    def polarity_of(self, one: Mention) -> Polarity:
        """Whether the sentence affirms, denies or hedges a mention."""
        return polarity(self.text, one.start, one.end)

    def leads_of(self, index: int) -> tuple[str, ...]:
        """Leads that belong to a mention: those right before it, the list behind, or above."""
        own = self._inside(index) or self._as_adjective(index) or self._behind(index)
        if own or _DIFFUSE.search(self.text, 0, self.named[index].start):
            return own
        return self._before(index)

    def leads_close_to(self, index: int) -> tuple[str, ...]:
        """As `leads_of`, without leads that stand with something else before it."""
        return self._inside(index) or self._as_adjective(index) or self._behind(index)

    def leads_behind(self, index: int) -> tuple[str, ...]:
        """Leads named after a mention: those among its own words are how it is called."""
        return self._behind(index)

    def _inside(self, index: int) -> tuple[str, ...]:
        """Leads among the words themselves: "lead V3 is off"."""
        one = self.named[index]
        inside = (p for p in self.places if one.start <= p.start < one.end)
        return next((p.leads for p in inside), ())

    def _as_adjective(self, index: int) -> tuple[str, ...]:
        """The word before: "inferior" of "inferior ST elevation"."""
        start = self.named[index].start
        near = [p for p in self.places if p.end <= start and start - p.end <= 14]
        if not near or re.search(
            r"[,;:]|\b(?:and|with|n?or)\b", self.text[near[-1].end : start]
        ):
            return ()
        return near[-1].leads

    def _behind(self, index: int) -> tuple[str, ...]:
        one = self.named[index]
        place = next((p for p in self.places if p.start >= one.end), None)
        if place is None:
            return ()
        between = self.text[one.end : place.start]
        others = [m for m in self.named if one.end <= m.start < place.start]
        if others and _IS_WITH_NEXT.fullmatch(between, 0, others[0].start - one.end):
            del others[0]  # "horizontal ST depression" is one thing in two words
        if others and one.names == ("p waves",) and "," in between:
            return ()  # "P waves before each QRS, upright in II"
        theirs = place.before and any(
            place.start <= m.start <= place.end + 14 for m in self.named[index + 1 :]
        )
        if theirs or _TURN.search(between) or any(m.is_quantity for m in others):
            return ()
        opened = any(p.end <= one.start for p in self.places)
        joined = _JOINED.search(between) is not None or not others
        if joined and not (opened and others and ":" in self.text[: one.start]):
            return place.leads
        return ()

    def _before(self, index: int) -> tuple[str, ...]:
        start = self.named[index].start
        first = [p for p in self.places if p.end <= start]
        if not first:
            return ()
        between = self.text[first[-1].end : start]
        if re.search(r"[;]|\b(?:but|while|whereas)\b", between):
            return ()
        return first[-1].leads if first[-1].start <= self.named[0].start else ()


def _is_word_on_rate(one: Mention, named: list[Mention], text: str) -> bool:
    """Whether "tachycardic" is said of a rate that is named before it."""
    rates = [m for m in named if m.names == ("hr_bpm",) and m.end <= one.start]
    return bool(rates) and one.names == ("hr_bpm",) and text[: one.end].endswith("cardic")


def blanked(named: list[Mention], text: str) -> str:
    """The text with the words of findings and diagnoses blanked."""
    pieces, done = [], 0
    for one in named:
        if not one.is_quantity:
            pieces += [text[done : one.start], "\0" * (one.end - one.start)]
            done = one.end
    return "".join(pieces) + text[done:]
