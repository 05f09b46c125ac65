"""The door for files: a few paths in; one ECG, or one picture of an ECG page, out.

Whoever has files of unknown content first asks `inspect_upload` what they say and what they
leave unsaid, and then calls `open_upload` with the missing words.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ecg_r1.ecg import (
    ECG,
    MAX_SECONDS,
    OTHER_LEADS,
    SKIP,
    ECGError,
    canonical_lead,
    collect_wfdb,
    ecg_from_channels,
    mv_per,
)
from ecg_r1.formats import (
    MAX_BYTES,
    MAX_CHANNELS,
    MAX_TEXT_BYTES,
    Channels,
    parse_table,
    quoted,
    read_channels,
)
from ecg_r1.pictures import IMAGE_SUFFIXES, MAX_PIXELS, looks_like_page, open_page_image

WFDB_SUFFIXES = (".hea", ".dat", ".mat")
# In a folder of records; a .txt is read when somebody gives it, but most are no records.
RECORD_SUFFIXES = (*WFDB_SUFFIXES, ".dcm", ".xml", ".csv", ".tsv", ".npy")
UPLOAD_SUFFIXES = (*RECORD_SUFFIXES, ".txt", *IMAGE_SUFFIXES)
MAX_FILES = 16  # a header and its signal files
PREVIEW_POINTS = 500
# A4 at 200 dots per inch: 13 MB instead of 190 for the largest photograph, and over twice as
# fine as nano or the released model sees a page.
MAX_PAGE_PX = 2400
PASTED = "the pasted table"
UPLOAD_LIMITS = (
    f"{MAX_BYTES >> 20} MiB a file, {MAX_TEXT_BYTES >> 20} MiB of text or XML",
    f"{MAX_FILES} files of one record",
    f"{MAX_CHANNELS} channels",
    f"{MAX_SECONDS / 60:g} minutes, of which the first 10 s are read",
    f"{MAX_PIXELS // 1_000_000} million pixels a picture",
)


@dataclass(frozen=True, eq=False)
class Case:
    """What there is to read; exactly one of the two is given.

    Attributes:
        ecg: A recorded ECG, or None when only a picture came.
        image: A picture of an ECG page, RGB, at most `MAX_PAGE_PX` long, or None when a record
            came.
    """

    ecg: ECG | None = None
    image: Image.Image | None = None


@dataclass(frozen=True, eq=False)
class UploadedChannel:
    """One channel of an upload, before anybody has said what it is.

    Attributes:
        key: What `open_upload` calls it: the file's own name, or "channel 3".
        lead: The standard lead that the file's name means, "-" for one that is left out (V7,
            a Frank lead), None when the name says nothing.
        units: As the file writes them, None when it does not.
        preview: At most 500 points in the file's units, lowest and highest of equal stretches
            in turn; NaN where not recorded.
    """

    key: str
    lead: str | None
    units: str | None
    preview: np.ndarray


@dataclass(frozen=True, eq=False)
class Upload:
    """What files say, and what somebody has to say for them.

    Attributes:
        source: Name of the file, for display.
        format: "WFDB", "DICOM", "GE MUSE XML", "HL7 aECG", "MATLAB", "NPY", "table" or
            "picture".
        missing: What `open_upload` needs beside the files, of "fs", "units" and "leads", each
            with a sentence on why.
        fs: Sampling rate in Hz, None when unsaid.
        n_samples: Length in samples.
        channels: In the order of the file; none for a picture.
        age_years: Age when the file says so.
        sex: "female" or "male" when the file says so.
        calibrated: False when the file says that its voltages are not true.
        notes: What a reader of the record should know about the file.
        image: The page, for a picture only.
    """

    source: str
    format: str
    missing: Mapping[str, str]
    fs: float | None = None
    n_samples: int = 0
    channels: tuple[UploadedChannel, ...] = ()
    age_years: float | None = None
    sex: str | None = None
    calibrated: bool = True
    notes: tuple[str, ...] = ()
    image: Image.Image | None = None


def inspect_upload(paths: Sequence[Path]) -> Upload:
    """What the files of one ECG say of themselves; nothing is guessed.

    Args:
        paths: One picture, one record, or the parts of one WFDB record in any folders.

    Raises:
        ECGError: The files cannot be read, whatever anybody adds; or a picture is no page.
    """
    _check_paths(paths)
    if _is_picture(paths):
        return Upload(paths[0].name, "picture", {}, image=_open_page(paths[0]))
    with _gathered(paths) as path:
        return _inspect(read_channels(path), path.name)


def inspect_table(text: str) -> Upload:
    """What a pasted table says of itself; see `inspect_upload`."""
    return _inspect(parse_table(text), PASTED)


def open_upload(
    paths: Sequence[Path],
    *,
    fs: float | None = None,
    units: str | None = None,
    leads: Mapping[str, str] | Sequence[str] | None = None,
) -> ECG:
    """The record in the files of one ECG.

    Args:
        paths: One record, or the parts of one WFDB record in any folders.
        fs: Sampling rate in Hz, for files that do not state it.
        units: "V", "mV" or "uV", for files that do not state them.
        leads: For each channel that needs it, by its `UploadedChannel.key`, one of the twelve
            leads or "-" to leave it out; or names for all channels in their order.

    Raises:
        ECGError: No file, files that do not belong together, a file that cannot be read or
            contradicts what is given, something unsaid; quotes the value at fault.
    """
    _check_paths(paths)
    if _is_picture(paths):
        raise ECGError(f"{paths[0].name} is a picture, which holds no recorded samples")
    with _gathered(paths) as path:
        named = None if leads is None or isinstance(leads, Mapping) else _as_list(leads)
        channels = read_channels(path, None if named is None else len(named))
        return _ecg(channels, path.name, fs, units, leads)


def open_table(
    text: str,
    *,
    fs: float | None = None,
    units: str | None = None,
    leads: Mapping[str, str] | Sequence[str] | None = None,
) -> ECG:
    r"""The record in a pasted table; see `open_upload`.

    Example:
        >>> names = ";".join(("I", "II", "V1", "V2", "V3", "V4", "V5", "V6"))
        >>> rows = "\n".join([names] + [";".join(["0,25"] * 8)] * 500)
        >>> open_table(rows, fs=500, units="mV").lead("II")[0].item()
        0.25
    """
    return _ecg(parse_table(text), PASTED, fs, units, leads)


def open_case(
    paths: Sequence[Path],
    *,
    fs: float | None = None,
    units: str | None = None,
    leads: Mapping[str, str] | Sequence[str] | None = None,
) -> Case:
    """Read the files of one ECG, whichever of the known kinds they are.

    Args:
        paths: One picture, one record, or the parts of one WFDB record in any folders.
        fs: Sampling rate in Hz, for files that do not carry it.
        units: Unit of the samples, for files that do not carry it, such as "mV".
        leads: Names of the channels, for files that do not carry them; see `open_upload`.

    Raises:
        ECGError: No file, files that do not belong together, a file that cannot be read, or a
            picture that is no ECG page.
    """
    _check_paths(paths)
    if _is_picture(paths):
        return Case(image=_open_page(paths[0]))
    return Case(ecg=open_upload(paths, fs=fs, units=units, leads=leads))


# ---- files


def _check_paths(paths: Sequence[Path]) -> None:
    if not paths:
        raise ECGError("no file was given; choose a record or a picture of an ECG page")
    if len(paths) > MAX_FILES:
        raise ECGError(f"{len(paths)} files were given; a record has at most {MAX_FILES}")
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise ECGError(f"no such file: {', '.join(missing)}")


def _is_picture(paths: Sequence[Path]) -> bool:
    return len(paths) == 1 and paths[0].suffix.lower() in IMAGE_SUFFIXES


def _open_page(path: Path) -> Image.Image:
    image = open_page_image(path)
    is_page, reason = looks_like_page(image)
    if not is_page:
        raise ECGError(f"{path.name} does not look like an ECG page: {reason}")
    image.thumbnail((MAX_PAGE_PX, MAX_PAGE_PX))  # in place
    return image


@contextmanager
def _gathered(paths: Sequence[Path]) -> Iterator[Path]:
    """The one file to read; parts of a WFDB record lie together while it is read."""
    if len(paths) == 1:
        yield paths[0]
        return
    strangers = [path.name for path in paths if path.suffix.lower() not in WFDB_SUFFIXES]
    if strangers:
        raise ECGError(
            f"{', '.join(strangers)} cannot be combined with other files; "
            "only the .hea and .dat (or .mat) of one WFDB record come together"
        )
    with tempfile.TemporaryDirectory(prefix="ecg-r1-") as folder:
        yield collect_wfdb(paths, Path(folder))


# ---- what is known and what is not


def _inspect(channels: Channels, source: str) -> Upload:
    leads = [_lead_of(name) for name in _names(channels)]
    upload = Upload(
        source=source,
        format=channels.format,
        missing=_missing(channels, leads),
        fs=channels.fs,
        n_samples=channels.n_samples,
        channels=tuple(
            UploadedChannel(key, lead, units, _preview(samples))
            for key, lead, units, samples in zip(
                _keys(channels), leads, channels.units, channels.signal, strict=True
            )
        ),
        age_years=channels.age_years,
        sex=channels.sex,
        calibrated=channels.calibrated,
        notes=channels.notes,
    )
    if not upload.missing:
        _ecg(channels, source, None, None, None)  # what cannot be read is said now
    return upload


def _names(channels: Channels) -> tuple[str, ...]:
    return channels.names or ("",) * len(channels.signal)


def _lead_of(name: str) -> str | None:
    return canonical_lead(name) or (SKIP if name.upper() in OTHER_LEADS else None)


def _keys(channels: Channels) -> list[str]:
    """A name for each channel that no other has."""
    names = _names(channels)
    return [
        name if name and names.count(name) == 1 else f"{name} channel {place}".strip()
        for place, name in enumerate(names, start=1)
    ]


def _missing(channels: Channels, leads: list[str | None]) -> dict[str, str]:
    missing = {}
    if channels.fs is None:
        missing["fs"] = "the sampling rate is not stated"
    stated = [unit for unit, lead in zip(channels.units, leads, strict=True) if lead != SKIP]
    for unit in filter(None, stated):
        mv_per(unit)
    if None in stated:
        missing["units"] = "the units of the voltages are not stated"
    known = [lead for lead in leads if lead not in (None, SKIP)]
    unknown = [key for key, lead in zip(_keys(channels), leads, strict=True) if lead is None]
    twice = sorted({lead for lead in known if known.count(lead) > 1})
    if channels.names is None:
        missing["leads"] = "the channels have no names"
    elif unknown:
        missing["leads"] = f"no lead is called {quoted(', '.join(unknown), 200)}"
    elif twice:
        missing["leads"] = f"several channels are called {', '.join(twice)}"
    return missing


def _preview(samples: np.ndarray) -> np.ndarray:
    if len(samples) <= PREVIEW_POINTS:
        return samples
    stretches = PREVIEW_POINTS // 2
    parts = samples[: len(samples) // stretches * stretches].reshape(stretches, -1)
    lowest, highest = np.fmin.reduce(parts, axis=1), np.fmax.reduce(parts, axis=1)
    return np.stack([lowest, highest], axis=1).ravel()


# ---- what is said


def _as_list(leads: Sequence[str]) -> list[str]:
    return leads.split(",") if isinstance(leads, str) else list(leads)


def _ecg(
    channels: Channels,
    source: str,
    fs: float | None,
    units: str | None,
    leads: Mapping[str, str] | Sequence[str] | None,
) -> ECG:
    if isinstance(leads, Mapping):
        leads = _in_order(channels, leads)
    given = None if leads is None else _as_list(leads)
    return ecg_from_channels(channels, source, fs=fs, units=units, leads=given)


def _in_order(channels: Channels, given: Mapping[str, str]) -> list[str] | None:
    """Lead names for all channels, from those given for some of them."""
    keys = _keys(channels)
    strangers = [key for key in given if key not in keys]
    if strangers:
        raise ECGError(
            f"there is no channel {quoted(strangers[0])!r}: the file has "
            f"{quoted(', '.join(keys), 200)}"
        )
    if not given:
        return None
    ordered = []
    for key, name in zip(keys, _names(channels), strict=True):
        lead = given.get(key) or _lead_of(name)
        if lead is None:
            raise ECGError(
                f"which lead is {quoted(key)!r}? Name one, or {SKIP!r} to leave it out"
            )
        ordered.append(lead)
    return ordered
