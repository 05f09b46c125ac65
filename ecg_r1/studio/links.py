"""Share links: an example or a dialled heart with its settings, never anything of a patient."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from ecg_r1.ecg import LEADS, ECGError
from ecg_r1.page import PAGE_LAYOUTS
from ecg_r1.studio.dials import CHOICES, DIALS, START
from ecg_r1.studio.study import CONTROLS, GAINS_MM_MV, SPEEDS_MM_S, Change

SIMULATOR = "simulator"  # in place of an example's name
# Settings that travel, each with its range; whatever else stands in an address is ignored.
_NUMBERS = {
    "noise_mv": (0.0, 0.5),
    "wander_mv": (0.0, 1.0),
    "blur": (0.0, 1.0),
    "rotate_deg": (-15.0, 15.0),
    "grain": (0.0, 1.0),
}
_CHOSEN = {"speed_mm_s": SPEEDS_MM_S, "gain_mm_mv": GAINS_MM_MV}


@dataclass(frozen=True)
class Linked:
    """What a link asks for.

    Attributes:
        file: The example's file; None when it names none.
        dials: The simulator's dials; None when it asks for no simulated heart.
        change: What is done to the ECG for the models.
        control: One of `CONTROLS`.
    """

    file: str | None = None
    dials: Mapping[str, Any] | None = None
    change: Change = Change()  # noqa: RUF009  frozen
    control: str = "none"


def link_query(linked: Linked) -> str:
    """The query of a link; what stands at its default is left out.

    Example:
        >>> change = Change(blur=0.5, leads_off=("V1", "V2"))
        >>> link_query(Linked("A0002.hea", change=change, control="blank"))
        'example=A0002&control=blank&blur=0.5&leads_off=V1-V2'
        >>> link_query(Linked(dials={**START, "hr_bpm": 90, "territory": "high lateral"}))
        'example=simulator&hr_bpm=90&territory=high+lateral'
    """
    name = SIMULATOR if linked.file is None else linked.file.rsplit(".", 1)[0]
    plain, change = Change(), linked.change
    query = {"example": name} | {
        dial: value if dial in CHOICES else f"{value:g}"
        for dial, value in (linked.dials or {}).items()
        if value != START[dial]
    }
    if linked.control != "none":
        query["control"] = linked.control
    for name in (*_NUMBERS, *_CHOSEN):
        if (value := getattr(change, name)) != getattr(plain, name):
            query[name] = f"{value:g}"
    for name in ("layout", "hide"):
        if value := getattr(change, name):
            query[name] = value
    if change.leads_off:
        query["leads_off"] = "-".join(change.leads_off)
    return urlencode(query)


def from_query(query: Mapping[str, str], files: Sequence[str]) -> Linked:
    """What a link asks for.

    Raises:
        ECGError: A setting is no number, out of range or unknown; quotes it.
    """
    named = query.get("example")
    file = next((one for one in files if one.rsplit(".", 1)[0] == named), None)
    if named not in (None, SIMULATOR) and file is None:
        raise ECGError(f"the link names example {named[:40]!r}, which is not shipped here")
    said = {
        name: _number(name, query[name], *_NUMBERS[name]) for name in _NUMBERS if name in query
    }
    for name, allowed in _CHOSEN.items():
        if name in query:
            written = {f"{one:g}": one for one in allowed}
            said[name] = written[_one_of(name, query[name], tuple(written))]
    control = _one_of("control", query.get("control", "none"), CONTROLS)
    layout = _one_of("layout", query.get("layout", ""), ("", *PAGE_LAYOUTS))
    hide = _one_of("hide", query.get("hide", ""), ("", "signal", "image"))
    off = dict.fromkeys(
        _one_of("leads_off", lead, LEADS)
        for lead in query.get("leads_off", "").split("-")
        if lead
    )
    dials = _dials(query) if named == SIMULATOR else None
    return Linked(
        file, dials, Change(leads_off=tuple(off), hide=hide, layout=layout, **said), control
    )


def _dials(query: Mapping[str, str]) -> dict[str, Any]:
    said: dict[str, Any] = {
        name: _number(name, query[name], dial.low, dial.high)
        for name, dial in DIALS.items()
        if name in query
    }
    said |= {
        name: _one_of(name, query[name], choices)
        for name, choices in CHOICES.items()
        if name in query
    }
    return {**START, **said}


def _one_of(name: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        known = ", ".join(one for one in allowed if one)
        raise ECGError(f"the link's {name} {value[:40]!r} is unknown: use one of {known}")
    return value


def _number(name: str, text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise ECGError(f"the link's {name} {text[:40]!r} is no number from {low:g} to {high:g}")
    return value
