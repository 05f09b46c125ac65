"""How one text speaks: its chance, its units, and the names of claims inside a sentence."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Literal

import numpy as np

from ecg_r1.claims.schema import QUANTITIES, Claim
from ecg_r1.corpus.words import (
    DENIED_NAMES,
    FINDING_NAMES,
    LABEL_NAMES,
    LONG_VERDICT,
    PLURAL,
    QUANTITY_NAMES,
    SENTENCES,
    SHORT_VERDICT,
    TERRITORIES,
    WITH_ARTICLE,
)
from ecg_r1.ecg import LEADS

Detail = Literal["terse", "standard", "teaching"]
DETAILS: tuple[Detail, ...] = ("terse", "standard", "teaching")
_CHOICE = re.compile(r"<([^<>]*)>")
_END = re.compile(r";| \(")  # of the first source, without its author
_MODIFIER = re.compile(r" in | before |,| and ")
_CHEST = LEADS[6:]


@cache
def _parts(template: str) -> tuple[tuple[str, ...], ...]:
    """The choices of a template, one tuple for each place, fixed text as a single choice."""
    pieces = _CHOICE.split(template)
    return tuple(
        tuple(piece.split("|")) if index % 2 else (piece,) for index, piece in enumerate(pieces)
    )


class Voice:
    """Draws the wording of one text.

    Units, the sign of degrees and the style of verdicts are drawn once, so that a number looks
    the same wherever it is repeated. Terse texts keep to ms and mm.
    """

    def __init__(self, rng: np.random.Generator, detail: Detail) -> None:
        self.detail = detail
        self._draws: Iterator[float] = iter(rng.random(600).tolist())
        terse = detail == "terse"
        self.in_seconds = not terse and self.chance(0.2)
        self.in_mm = terse or self.chance(0.5)
        self.beats = "bpm" if terse or self.chance(0.7) else "beats per minute"
        self.degree = "°" if self.chance(0.4) else " degrees"
        self.brackets = self.chance(0.5)
        self.and_last = self.chance(0.5)  # "II, III and aVF" or "II, III, aVF"
        self.to = " to " if self.chance(0.4) else "-"

    @property
    def is_terse(self) -> bool:
        """Whether the text says only what it must."""
        return self.detail == "terse"

    @property
    def is_teaching(self) -> bool:
        """Whether the text explains."""
        return self.detail == "teaching"

    def chance(self, share: float) -> bool:
        """True in this share of the draws."""
        return next(self._draws) < share

    def pick(self, options: Sequence[str]) -> str:
        """One of the options."""
        return options[int(next(self._draws) * len(options))]

    def say(self, key: str, **fields: str) -> str:
        """One sentence for `key` with the fields filled in; its first letter is a capital."""
        template = self.pick(SENTENCES[key])
        if self.is_terse:
            template = min(template, self.pick(SENTENCES[key]), key=len)
        chosen = "".join(
            one[0] if len(one) == 1 else self.pick(one) for one in _parts(template)
        )
        return capital(chosen.format_map(_WithCapitals(fields)))

    def say_part(self, key: str, **fields: str) -> str:
        """A part of a sentence, as it stands in `SENTENCES`."""
        return self.pick(SENTENCES[key]).format_map(_WithCapitals(fields))

    # --- numbers ------------------------------------------------------------------------------

    def number(self, name: str, value: float) -> str:
        """A value of a quantity with its unit, in the units of this text."""
        unit = QUANTITIES[name][1]
        if unit == "ms" and self.in_seconds:
            return f"{_seconds(value)} s"
        if unit == "mV" and self.in_mm:
            return f"{round(value * 10, 1):g} mm"
        if unit == "bpm":
            return f"{value:g} {self.beats}"
        if unit == "degrees":
            return f"{value:g}{self.degree}"
        return f"{value:g} {unit}"

    def span(self, name: str, low: float, high: float) -> str:
        """A range of a quantity, its unit once."""
        last = self.number(name, high)
        first = self.number(name, low).split(" ")[0].removesuffix("°")
        return f"{first} to {last}"

    def value(self, claim: Claim) -> str:
        """The number of a claim as this text writes it."""
        if isinstance(claim.value, tuple):
            return self.span(claim.name, *claim.value)
        return self.number(claim.name, claim.value or 0.0)

    def verdict(
        self,
        claim: Claim,
        limits: tuple[float | None, float | None] | None,
        source: str,
    ) -> str:
        """What follows a number: its verdict, in teaching texts with limits and source."""
        if claim.qualifier is None:
            return ""
        short = SHORT_VERDICT[claim.qualifier]
        if self.is_teaching and limits is not None:
            where = self._limits(claim, limits)
            by = f"; {_END.split(source, maxsplit=1)[0]}" if self.chance(0.3) else ""
            return f", {short} ({where}{by})"
        if self.is_terse or self.brackets:
            return f" ({short})"
        return ", " + self.pick(LONG_VERDICT[claim.qualifier])

    def _limits(self, claim: Claim, limits: tuple[float | None, float | None]) -> str:
        low, high = limits
        if low is None:
            return f"upper limit {self.number(claim.name, high or 0.0)}"
        if high is None:
            return f"lower limit {self.number(claim.name, low)}"
        return f"normal range {self.span(claim.name, low, high)}"

    # --- names --------------------------------------------------------------------------------

    def leads(self, leads: Sequence[str]) -> str:
        """A list of leads; three or more neighbours on the chest as a range."""
        territory = TERRITORIES.get(tuple(leads))
        if territory and self.chance(0.3):
            return territory
        return self.join(_with_ranges(leads, self.to))

    def join(self, items: Sequence[str]) -> str:
        """A list in words, in this text's way."""
        if len(items) < 2:
            return "".join(items)
        last = " and " if self.and_last or len(items) == 2 else ", "
        return ", ".join(items[:-1]) + last + items[-1]

    def label(self, label: str) -> str:
        """A diagnosis inside a sentence."""
        name = LABEL_NAMES.get(label, label)
        return f"a {name}" if label in WITH_ARTICLE else name

    def noun(self, claim: Claim) -> str:
        """A claim as a noun: "a PR interval of 164 ms", "ST elevation in V2 and V3"."""
        if claim.name in QUANTITY_NAMES:
            return QUANTITY_NAMES[claim.name].format(
                value=self.value(claim), leads=self.join(claim.leads)
            )
        name = FINDING_NAMES[claim.name]
        if claim.polarity == "absent":
            return f"the absence of {name}"
        return f"{name} in {self.leads(claim.leads)}" if claim.leads else name


class _WithCapitals(dict[str, str]):
    """Also gives "{Label}", the field "label" with a capital."""

    def __missing__(self, key: str) -> str:
        return capital(self[key[0].lower() + key[1:]])


def capital(text: str) -> str:
    """The text with a capital first letter; names of leads and waves keep their form.

    Example:
        >>> capital("sinus rhythm"), capital("aVL and V5")
        ('Sinus rhythm', 'aVL and V5')
    """
    return text if text.startswith("aV") else text[:1].upper() + text[1:]


def be(name: str) -> str:
    """The verb that a finding's or diagnosis' name asks for.

    Example:
        >>> be("pathological Q waves"), be("ST elevation")
        ('are', 'is')
    """
    word = _MODIFIER.split(name, maxsplit=1)[0]
    plural = ("waves", "spikes", "beats", "intervals", "complexes")
    return "are" if word.endswith(plural) and not word.startswith("a ") else "is"


def bare(label: str) -> str:
    """A diagnosis after "no": without its article."""
    return DENIED_NAMES.get(label) or LABEL_NAMES.get(label, label)


def _seconds(ms: float) -> str:
    text = f"{ms / 1000:.3f}"
    return text[:-1] if text.endswith("0") else text


def _with_ranges(leads: Sequence[str], to: str) -> list[str]:
    items: list[str] = []
    run: list[str] = []
    for lead in [*leads, ""]:
        if run and lead in _CHEST and _CHEST.index(lead) == _CHEST.index(run[-1]) + 1:
            run.append(lead)
            continue
        items += [f"{run[0]}{to}{run[-1]}"] if len(run) > 2 else run
        run = [lead] if lead in _CHEST else []
        items += [lead] if lead and not run else []
    return items


IS_PLURAL = frozenset(PLURAL)
