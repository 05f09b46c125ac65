"""Share links: an example and its settings in the address, and never anything of a patient."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from ecg_r1.ecg import LEADS, ECGError
from ecg_r1.page import PAGE_LAYOUTS
from ecg_r1.studio.study import CONTROLS, Change

# Settings that travel, each with its range; whatever else stands in an address is ignored.
_NUMBERS = {
    "noise_mv": (0.0, 0.5),
    "wander_mv": (0.0, 1.0),
    "blur": (0.0, 1.0),
    "rotate_deg": (-15.0, 15.0),
    "grain": (0.0, 1.0),
    "speed_mm_s": (12.5, 50.0),
    "gain_mm_mv": (5.0, 20.0),
}


def link_query(file: str, change: Change, control: str) -> str:
    """The query of a link to a shipped example.

    Args:
        file: The example's file name.
        change: What was done to it; what stands at its default is left out.
        control: One of `CONTROLS`.

    Example:
        >>> link_query("A0002.hea", Change(blur=0.5, leads_off=("V1", "V2")), "blank")
        'example=A0002&control=blank&blur=0.5&leads_off=V1-V2'
    """
    plain, query = Change(), {"example": file.rsplit(".", 1)[0]}
    if control != "none":
        query["control"] = control
    for name in _NUMBERS:
        if (value := getattr(change, name)) != getattr(plain, name):
            query[name] = f"{value:g}"
    for name in ("layout", "hide"):
        if value := getattr(change, name):
            query[name] = value
    if change.leads_off:
        query["leads_off"] = "-".join(change.leads_off)
    return urlencode(query)


def from_query(
    query: Mapping[str, str], files: Sequence[str]
) -> tuple[str | None, Change, str]:
    """What a link asks for: the example's file (None when it names none), change and control.

    Raises:
        ECGError: A setting is no number, out of range or unknown; quotes it.
    """
    named = query.get("example")
    file = next((one for one in files if one.rsplit(".", 1)[0] == named), None)
    if named is not None and file is None:
        raise ECGError(f"the link names example {named[:40]!r}, which is not shipped here")
    said = {name: _number(name, query[name]) for name in _NUMBERS if name in query}
    control = _one_of("control", query.get("control", "none"), CONTROLS)
    layout = _one_of("layout", query.get("layout", ""), ("", *PAGE_LAYOUTS))
    hide = _one_of("hide", query.get("hide", ""), ("", "signal", "image"))
    off = tuple(
        _one_of("leads_off", lead, LEADS)
        for lead in query.get("leads_off", "").split("-")
        if lead
    )
    return file, Change(leads_off=off, hide=hide, layout=layout, **said), control


def _one_of(name: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        known = ", ".join(one for one in allowed if one)
        raise ECGError(f"the link's {name} {value[:40]!r} is unknown: use one of {known}")
    return value


def _number(name: str, text: str) -> float:
    low, high = _NUMBERS[name]
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise ECGError(f"the link's {name} {text[:40]!r} is no number from {low:g} to {high:g}")
    return value
