"""GE MUSE: the rhythm of a `RestingECG` in XML, as the archive exports it.

Each lead is base64 of little-endian 16-bit steps, with the worth of a step beside it. MUSE
stores I, II and V1 to V6 and computes the other limb leads, as `read_ecg` does.

What this leaves out: median beats, measurements and statements of the machine; leads that
were recorded one after the other.
"""

import base64
import binascii
from xml.etree import ElementTree as ET

import numpy as np

from ecg_r1.formats.common import (
    CUT_SHORT,
    MAX_CHANNELS,
    MAX_SAMPLES_LOADED,
    YEARS_PER,
    Channels,
    ECGError,
    parse_age,
    parse_sex,
    quoted,
)
from ecg_r1.formats.markup import child_text, number

UNITS = {"MICROVOLTS": "uV", "MILLIVOLTS": "mV", "VOLTS": "V"}


def muse_channels(root: ET.Element, name: str) -> Channels:
    """The channels of a parsed MUSE file.

    Raises:
        ECGError: If there is no rhythm, or a lead that contradicts itself.
    """
    rhythms = [
        wave
        for wave in root.findall("Waveform")
        if child_text(wave, "WaveformType").lower() == "rhythm"
    ]
    if len(rhythms) != 1:
        raise ECGError(f"{name} holds {len(rhythms)} waveforms of type Rhythm: one is needed")
    leads = rhythms[0].findall("LeadData")
    if not 0 < len(leads) <= MAX_CHANNELS:
        raise ECGError(f"{name} holds {len(leads)} leads: 1 to {MAX_CHANNELS} are read")
    samples = [_samples(lead, name) for lead in leads]
    lengths = {len(row) for row in samples}
    if len(lengths) > 1:
        raise ECGError(f"{name}: its leads differ in length, {sorted(lengths)} samples")
    notes: list[str] = []
    off = [_lead_name(lead) for lead in leads if child_text(lead, "LeadOff").upper() == "TRUE"]
    if off:
        notes.append(f"the machine marked as not connected: {', '.join(off)}")
    person = root.find("PatientDemographics")
    return Channels(
        signal=np.array([row[:MAX_SAMPLES_LOADED] for row in samples], dtype=np.float64)
        * np.array([[_worth(lead)] for lead in leads]),
        names=tuple(_lead_name(lead) for lead in leads),
        units=tuple(_units(lead) for lead in leads),
        fs=_rate(rhythms[0]),
        n_samples=lengths.pop(),
        format="GE MUSE XML",
        age_years=_age(person, notes),
        sex=parse_sex(child_text(person, "Gender")),
        notes=tuple(notes),
    )


def _lead_name(lead: ET.Element) -> str:
    return child_text(lead, "LeadID")


def _units(lead: ET.Element) -> str | None:
    written = child_text(lead, "LeadAmplitudeUnits")
    return UNITS.get(written.upper(), written) or None


def _worth(lead: ET.Element) -> float:
    """Units of one step."""
    what = f"LeadAmplitudeUnitsPerBit of lead {quoted(_lead_name(lead))!r}"
    value = number(child_text(lead, "LeadAmplitudeUnitsPerBit"), what)
    if value == 0:
        raise ECGError(f"{what} is 0: no voltage follows")
    return value


def _rate(wave: ET.Element) -> float | None:
    """Sampling rate in Hz: a base and a power of ten."""
    base = child_text(wave, "SampleBase")
    if not base:
        return None
    exponent = number(child_text(wave, "SampleExponent") or "0", "SampleExponent")
    if not abs(exponent) <= 6:
        raise ECGError(f"SampleExponent is {exponent:g}, which gives no sampling rate")
    return number(base, "SampleBase") * 10.0**exponent


def _samples(lead: ET.Element, name: str) -> np.ndarray:
    title = f"lead {quoted(_lead_name(lead))!r} of {name}"
    size = child_text(lead, "LeadSampleSize")
    if size not in ("", "2"):
        raise ECGError(f"{title} has samples of {quoted(size)} bytes: 2 are read")
    offset = number(child_text(lead, "LeadOffsetFirstSample") or "0", "LeadOffsetFirstSample")
    if offset != 0:
        raise ECGError(f"{title} begins {offset:g} samples late: leads must run together")
    text = "".join(child_text(lead, "WaveFormData").split())
    try:
        packed = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ECGError(f"{title} is not base64 ({error}): export the file again") from error
    if not packed or len(packed) % 2:
        raise ECGError(f"{title} holds {len(packed)} bytes, not pairs of them: {CUT_SHORT}")
    declared = child_text(lead, "LeadSampleCountTotal")
    held = len(packed) // 2
    if declared and number(declared, "LeadSampleCountTotal") != held:
        raise ECGError(
            f"{title} declares {quoted(declared)} samples, but holds {held}: export it again"
        )
    return np.frombuffer(packed, dtype="<i2")


def _age(person: ET.Element | None, notes: list[str]) -> float | None:
    unit = child_text(person, "AgeUnits").upper() or "YEARS"
    age = parse_age(child_text(person, "PatientAge"), notes)
    if age is None or unit not in ("YEARS", "MONTHS", "WEEKS", "DAYS"):
        return None
    return age * YEARS_PER[unit[0]]
