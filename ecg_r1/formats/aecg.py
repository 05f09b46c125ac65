"""HL7 annotated ECG: the rhythm of an `AnnotatedECG` in XML, as regulators receive it.

What this leaves out: derived beats, annotations, and leads recorded one after the other.

Source:
    HL7 aECG Implementation Guide, final, 21 March 2005, pages 34 to 41
"""

from xml.etree import ElementTree as ET

import numpy as np

from ecg_r1.formats.common import (
    MAX_CHANNELS,
    MAX_SAMPLES_LOADED,
    Channels,
    ECGError,
    parse_sex,
    quoted,
)
from ecg_r1.formats.markup import child_text, number

LEAD_CODE = "MDC_ECG_LEAD_"
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}


def aecg_channels(root: ET.Element, name: str) -> Channels:
    """The channels of a parsed annotated ECG.

    Raises:
        ECGError: If there is not one set of leads, or a lead that contradicts itself.
    """
    sets = root.findall("component/series/component/sequenceSet")
    if len(sets) != 1:
        raise ECGError(f"{name} holds {len(sets)} sets of leads: one recorded together is read")
    rate, leads = None, []
    for sequence in sets[0].findall("component/sequence"):
        code = _attribute(sequence.find("code"), "code")
        value = sequence.find("value")
        if code.startswith("TIME_"):
            rate = _rate(value)
        elif value is not None and _attribute(value, "type").endswith("SLIST_PQ"):
            leads.append((code.removeprefix(LEAD_CODE), value))
    if not 0 < len(leads) <= MAX_CHANNELS:
        raise ECGError(f"{name} holds {len(leads)} leads: 1 to {MAX_CHANNELS} are read")
    lengths = {_count(value) for _, value in leads}
    if len(lengths) > 1:
        raise ECGError(f"{name}: its leads differ in length, {sorted(lengths)} samples")
    person = root.find(".//subjectDemographicPerson/administrativeGenderCode")
    return Channels(
        signal=np.array([_samples(lead, value) for lead, value in leads]),
        names=tuple(lead for lead, _ in leads),
        units=tuple(_attribute(value.find("scale"), "unit") or None for _, value in leads),
        fs=rate,
        n_samples=lengths.pop(),
        format="HL7 aECG",
        sex=parse_sex(_attribute(person, "code")),
    )


def _attribute(node: ET.Element | None, name: str) -> str:
    return "" if node is None else node.get(name, "").strip()


def _rate(value: ET.Element | None) -> float | None:
    increment = None if value is None else value.find("increment")
    if increment is None:
        return None
    unit = _attribute(increment, "unit")
    step = number(_attribute(increment, "value"), "the time increment")
    if unit not in SECONDS or step <= 0:
        raise ECGError(f"a time increment of {step:g} {quoted(unit)!r} gives no sampling rate")
    fs = 1.0 / (step * SECONDS[unit])
    # Increments are written with few digits: 0.00278 s are 360 Hz.
    return float(round(fs)) if abs(fs - round(fs)) <= 1e-3 * fs else fs


def _digits(value: ET.Element) -> str:
    return child_text(value, "digits")


def _count(value: ET.Element) -> int:
    """How many numbers there are, without making as many objects."""
    blank = np.frombuffer(_digits(value).encode("ascii", "replace"), dtype=np.uint8) <= 32
    return int(np.count_nonzero(np.diff(blank.astype(np.int8), prepend=1) == -1))


def _samples(lead: str, value: ET.Element) -> np.ndarray:
    title = f"lead {quoted(lead)!r}"
    scale, origin = value.find("scale"), value.find("origin")
    worth = number(_attribute(scale, "value"), f"the scale of {title}")
    zero = number(_attribute(origin, "value") or "0", f"the origin of {title}")
    if worth == 0:
        raise ECGError(f"the scale of {title} is 0: no voltage follows")
    if zero and _attribute(origin, "unit") != _attribute(scale, "unit"):
        raise ECGError(
            f"{title} has its origin in {quoted(_attribute(origin, 'unit'))!r} and its scale "
            f"in {quoted(_attribute(scale, 'unit'))!r}: one unit is needed"
        )
    words = _digits(value).split(maxsplit=MAX_SAMPLES_LOADED)[:MAX_SAMPLES_LOADED]
    steps = [number(word, f"a sample of {title}") for word in words]
    return zero + worth * np.array(steps, dtype=np.float64)
