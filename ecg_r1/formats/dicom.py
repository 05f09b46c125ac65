"""DICOM waveforms: the recorded rhythm, not the median beat.

What this leaves out: 3x4 recordings (leads one after the other), deflated files.
"""

import io
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecg_r1.formats.common import (
    CUT_SHORT,
    MAX_CHANNELS,
    MAX_SAMPLES_LOADED,
    PARSE_FAILURES,
    UNNAMED,
    YEARS_PER,
    Channels,
    ECGError,
    brief,
    parse_age,
    parse_sex,
    quoted,
)

if TYPE_CHECKING:
    import pydicom

# What a file is for stands near its beginning: waveforms have classes of this root.
WAVEFORMS = "1.2.840.10008.5.1.4.1.1.9."


def has_dicom_mark(path: Path) -> bool:
    """Whether the file says of itself that it is DICOM."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def read_dicom(path: Path) -> Channels:
    """The channels of the rhythm that a DICOM file holds."""
    import pydicom  # noqa: PLC0415  (slow to import, and only this format needs it)
    from pydicom.config import disable_value_validation  # noqa: PLC0415
    from pydicom.errors import BytesLengthException, InvalidDicomError  # noqa: PLC0415

    # From memory, because a length that lies would make a file's `read` reserve so much.
    content = io.BytesIO(path.read_bytes())
    try:
        # Machines write texts longer than DICOM allows, which is no concern of ours.
        with disable_value_validation(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _check_inflated(pydicom.filereader.read_file_meta_info(str(path)), path.name)
            dataset = pydicom.dcmread(content, stop_before_pixels=True)
            return _dicom_channels(dataset, path.name)
    except ECGError:
        raise
    except InvalidDicomError as error:
        raise ECGError(
            f"{path.name} is not a readable DICOM file (no DICM after its first 128 bytes): "
            "give the file as the machine exports it"
        ) from error
    except OSError as error:  # read from memory, so that this is no fault of a disk
        raise ECGError(
            f"{path.name} ends within its elements ({brief(error)}): {CUT_SHORT}"
        ) from error
    except (BytesLengthException, *PARSE_FAILURES) as error:
        raise ECGError(
            f"{path.name} is not a readable DICOM file ({brief(error)}): export it again"
        ) from error


def _check_inflated(meta: "pydicom.Dataset", name: str) -> None:
    """A deflated file can grow a thousandfold, and pydicom inflates it whole."""
    if meta.get("TransferSyntaxUID") == "1.2.840.10008.1.2.1.99":
        raise ECGError(f"{name} is deflated, of unknown true size: save it uncompressed")


def _dicom_channels(dataset: "pydicom.Dataset", name: str) -> Channels:
    index, group = _rhythm_group(dataset, name)
    raw = _dicom_samples(dataset, index, name)
    scaled = [_scale_dicom(raw[:, j], c, group) for j, c in enumerate(_definitions(group))]
    notes: list[str] = []
    rate = group.get("SamplingFrequency")
    # A calibrated channel states what one step is worth; without it the steps have no unit.
    stated = [_factor(c, "ChannelSensitivity") for c in _definitions(group)]
    if not (calibrated := None not in stated):
        notes.append("the file states no channel sensitivity: its voltages are uncalibrated")
    return Channels(
        signal=np.array(scaled),
        names=tuple(_dicom_name(c) for c in _definitions(group)),
        units=tuple(_dicom_units(c) for c in _definitions(group)),
        fs=None if rate is None else float(rate),
        n_samples=int(group.NumberOfWaveformSamples),
        format="DICOM",
        age_years=_dicom_age(str(dataset.get("PatientAge") or ""), notes),
        sex=parse_sex(str(dataset.get("PatientSex") or "")),
        calibrated=calibrated,
        notes=tuple(notes),
    )


def _definitions(group: "pydicom.Dataset") -> Sequence["pydicom.Dataset"]:
    return group.ChannelDefinitionSequence


def _rhythm_group(dataset: "pydicom.Dataset", name: str) -> tuple[int, "pydicom.Dataset"]:
    """The recorded rhythm: the longest original group; a median beat is a derived second."""
    groups = dataset.get("WaveformSequence") or []
    if not groups:
        kind = dataset.file_meta.get("MediaStorageSOPClassUID")
        if str(kind or WAVEFORMS).startswith(WAVEFORMS):
            raise ECGError(f"{name} ends before its waveforms: {CUT_SHORT}")
        raise ECGError(
            f"{name} holds no waveforms: it is a DICOM file of another kind, "
            f"{quoted(kind.name)!r}; give the ECG"
        )

    def rank(item: tuple[int, "pydicom.Dataset"]) -> tuple[bool, bool, float]:
        group = item[1]
        original = group.get("WaveformOriginality", "ORIGINAL") == "ORIGINAL"
        label = str(group.get("MultiplexGroupLabel") or "").lower()
        rate = float(group.get("SamplingFrequency") or 1.0)
        seconds = float(group.get("NumberOfWaveformSamples") or 0) / rate
        return "median" not in label, original, seconds

    return max(enumerate(groups), key=rank)


def _dicom_samples(dataset: "pydicom.Dataset", index: int, name: str) -> np.ndarray:
    group = dataset.WaveformSequence[index]
    samples, channels = int(group.NumberOfWaveformSamples), int(group.NumberOfWaveformChannels)
    width = int(group.WaveformBitsAllocated) // 8
    held = len(group.WaveformData) // max(channels * width, 1)
    if not 0 < channels <= MAX_CHANNELS or channels != len(_definitions(group)):
        raise ECGError(
            f"{name} declares {channels} channels and defines {len(_definitions(group))} "
            f"(at most {MAX_CHANNELS} are read)"
        )
    if samples < 1 or held != samples:
        why = CUT_SHORT if held < samples else "its header is wrong; export it again"
        raise ECGError(f"{name} declares {samples} samples, but holds {held}: {why}")
    from pydicom.waveforms import multiplex_array  # noqa: PLC0415  (as pydicom itself)

    return multiplex_array(dataset, index, as_raw=True)[:MAX_SAMPLES_LOADED]


def _factor(channel: "pydicom.Dataset", keyword: str) -> float | None:
    """What the channel states as this factor; None when it states nothing."""
    value = channel.get(keyword)
    if value is None or value == "":
        return None
    if float(value) == 0:
        raise ECGError(
            f"{keyword} of channel {_dicom_name(channel)!r} is 0: no voltage follows"
        )
    return float(value)


def _scale_dicom(
    raw: np.ndarray, channel: "pydicom.Dataset", group: "pydicom.Dataset"
) -> np.ndarray:
    factors = ("ChannelSensitivity", "ChannelSensitivityCorrectionFactor")
    sensitivity, correction = (_factor(channel, keyword) for keyword in factors)
    scale = (1.0 if sensitivity is None else sensitivity) * (correction or 1.0)
    values = raw * scale + float(channel.get("ChannelBaseline") or 0.0)
    padding = group.get("WaveformPaddingValue")
    if padding is not None:
        filler = np.frombuffer(bytes(padding)[: raw.dtype.itemsize], dtype=raw.dtype)
        values[np.isin(raw, filler)] = np.nan
    return values


def _dicom_name(channel: "pydicom.Dataset") -> str:
    source = channel.get("ChannelSourceSequence") or [{}]
    return str(source[0].get("CodeMeaning") or channel.get("ChannelLabel") or UNNAMED)


def _dicom_units(channel: "pydicom.Dataset") -> str | None:
    units = channel.get("ChannelSensitivityUnitsSequence") or [{}]
    value = units[0].get("CodeValue")
    return None if value is None else str(value)


def _dicom_age(text: str, notes: list[str]) -> float | None:
    """DICOM ages are three digits and D, W, M or Y."""
    match = re.fullmatch(r"(\d{3})([DWMY])", text)
    if match is None:
        return parse_age(text, notes)
    return float(match[1]) * YEARS_PER[match[2]]
