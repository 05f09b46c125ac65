"""What ECG files hold, as they hold it: channels, names, units and sampling rate, unconverted.

Files come from strangers: sizes, counts and companion file names are checked before a
library opens anything, and whatever a library cannot parse becomes an `ECGError`.

What this leaves out: multi-segment WFDB records, FLAC-compressed WFDB signals, 3x4 DICOM
(leads recorded one after the other).
"""

import csv
import io
import re
import shutil
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pydicom
    import wfdb

MAX_BYTES = 64 * 2**20
MAX_HEADER_BYTES = 2**20
MAX_CHANNELS = 64
# 11 s at 2000 Hz, the highest rate we read: 10 s are kept, the rest settles the filter's edge.
MAX_SAMPLES_LOADED = 22_000
MAX_AGE_YEARS = 130.0

# Bytes per sample. FLAC (508, 516, 524) is absent: its length cannot be checked beforehand.
WFDB_BYTES = {"8": 1, "16": 2, "24": 3, "32": 4, "61": 2, "80": 1, "160": 2}
WFDB_BYTES |= {"212": 1.5, "310": 4 / 3, "311": 4 / 3}
WFDB_PADDING_BYTES = 4  # the packed formats 212, 310, 311 fill up their last group

UNNAMED = ""

# What wfdb and pydicom let through on malformed files (found by corrupting real ones).
PARSE_FAILURES = (ValueError, LookupError, TypeError, AttributeError, NotImplementedError)
PARSE_FAILURES += (ArithmeticError, OSError, EOFError, RecursionError, struct.error)


class ECGError(ValueError):
    """An input that cannot be read as an ECG: quotes the value and says what to do."""


@dataclass(frozen=True, eq=False)
class Channels:
    """The content of one file before anything is converted.

    Attributes:
        signal: float64 `(channels, samples)` in the units of the file; NaN where not recorded.
            At most the first `MAX_SAMPLES_LOADED` samples.
        names: Channel names as written, or None when the file has none.
        units: One per channel as written, None where the file says nothing.
        fs: Sampling rate in Hz, or None when the file does not say.
        n_samples: Length of the whole file in samples.
        age_years: Age when the file says so.
        sex: "female" or "male" when the file says so.
        calibrated: False when the file says that its voltages are not true.
        notes: What a reader of the record should know about the file.
    """

    signal: np.ndarray
    names: tuple[str, ...] | None
    units: tuple[str | None, ...]
    fs: float | None
    n_samples: int
    age_years: float | None = None
    sex: str | None = None
    calibrated: bool = True
    notes: tuple[str, ...] = ()


def read_channels(path: str | Path, n_leads: int | None = None) -> Channels:
    """The channels of a WFDB, DICOM, CSV or NPY file.

    Args:
        path: The file; for WFDB its `.hea`, `.dat` or `.mat`, or the record without extension.
        n_leads: Number of leads that the caller named, which tells how an NPY array lies.

    Raises:
        ECGError: If the file is missing, too large, of another kind, or contradicts itself.
    """
    path = Path(path)
    header = _wfdb_header_of(path)
    if header is not None:
        return _read_wfdb(header)
    if not is_file(path):
        raise ECGError(f"no such file: {str(path)!r}")
    check_size(path, MAX_BYTES)
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return _read_csv(path)
    if suffix == ".npy":
        return _read_npy(path, n_leads)
    if suffix in (".dat", ".mat"):
        raise ECGError(f"{path.name} needs its WFDB header {path.stem}.hea beside it")
    if suffix in (".dcm", ".dicom") or _has_dicom_mark(path):
        return _read_dicom(path)
    raise ECGError(
        f"{path.name} is none of the files read here: WFDB (.hea with .dat or .mat), "
        "DICOM (.dcm), .csv, .npy"
    )


def is_file(path: Path) -> bool:
    """Whether a path names a file, also for names that the system cannot even look up."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # name too long, or no permission on the folder
        return False


def check_size(path: Path, limit: int) -> None:
    """Refuse a file that is empty or larger than `limit` bytes."""
    size = path.stat().st_size
    if size == 0:
        raise ECGError(f"{path.name} is empty")
    if size > limit:
        raise ECGError(f"{path.name} has {size} bytes, more than the {limit} read here")


def _brief(error: Exception) -> str:
    """What a library complains of, on one line: some quote pages of bytes."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]}..."


# ---- WFDB


def _wfdb_header_of(path: Path) -> Path | None:
    suffix = path.suffix.lower()
    if suffix == ".hea":
        return path
    if suffix in (".dat", ".mat"):
        header = path.with_suffix(".hea")
        return header if is_file(header) else None
    bare = path.parent / f"{path.name}.hea"
    return bare if is_file(bare) and not is_file(path) else None


def _read_wfdb(header: Path) -> Channels:
    import wfdb  # noqa: PLC0415  (half a second, which the other formats need not pay)

    lines, comments = wfdb_header_lines(header)
    record = str(header.absolute().with_suffix(""))
    if "::" in record or "://" in record:
        raise ECGError(f"{record!r} reads as an address: rename the file")
    try:
        info = wfdb.rdheader(record)
        n_samples = _check_wfdb_lengths(info, header)
        # Without a declared length wfdb cannot stop early.
        stop = None if info.sig_len is None else min(n_samples, MAX_SAMPLES_LOADED)
        content = wfdb.rdrecord(record, sampto=stop)
    except ECGError:
        raise
    except PARSE_FAILURES as error:
        raise ECGError(
            f"{header.name} is not a readable WFDB record: {_brief(error)}"
        ) from error
    age, sex, notes = _patient(comments)
    gains = [_wfdb_gain_and_units(line) for line in lines[1:]]
    if no_gain := not all(gain for gain, _ in gains):
        notes.append("the header states no gain: 200 steps per unit assumed, as WFDB does")
    uncalibrated = any("uncalibrated" in comment.lower() for comment in comments)
    if uncalibrated:
        notes.append("the header says that the voltages are uncalibrated")
    rate = lines[0].split()[2:3]
    return Channels(
        signal=np.asarray(content.p_signal, dtype=np.float64)[:MAX_SAMPLES_LOADED].T,
        names=None if None in info.sig_name else tuple(info.sig_name),
        units=tuple(units for _, units in gains),
        fs=float(info.fs) if rate else None,
        n_samples=n_samples,
        age_years=age,
        sex=sex,
        calibrated=not (no_gain or uncalibrated),
        notes=tuple(notes),
    )


def wfdb_header_lines(header: Path) -> tuple[list[str], list[str]]:
    """The record and signal lines of a WFDB header, and its comments without "#".

    Raises:
        ECGError: If the header is missing, too large, not one segment with signals, or names
            a signal file by more than a plain name.
    """
    if not is_file(header):
        raise ECGError(f"no such file: {str(header)!r}")
    check_size(header, MAX_HEADER_BYTES)
    # Read here too because wfdb drops non-ASCII characters: µV would become V.
    text = header.read_bytes().decode("utf-8", errors="replace")
    stripped = [line.strip() for line in text.splitlines()]
    lines = [line for line in stripped if line and not line.startswith("#")]
    comments = [line.lstrip("#").strip() for line in stripped if line.startswith("#")]
    if len(lines) < 2:
        raise ECGError(f"{header.name} lists no signals, so it is not a WFDB signal header")
    if "/" in lines[0].split()[0]:
        raise ECGError(
            f"{header.name} is a multi-segment record ({lines[0]!r}): give a segment"
        )
    for line in lines[1:]:
        _check_plain_name(line.split()[0], header)
    return lines, comments


def _check_plain_name(name: str, header: Path) -> None:
    plain = PurePosixPath(name).name == name == PureWindowsPath(name).name
    if not plain or ":" in name or name.startswith((".", "~")):
        raise ECGError(
            f"{header.name} names its signal file {name!r}: only a plain file name in the "
            "header's own folder is opened"
        )


def _check_wfdb_lengths(info: "wfdb.Record", header: Path) -> int:
    if info.n_sig > MAX_CHANNELS or info.n_sig != len(info.file_name):
        raise ECGError(
            f"{header.name} declares {info.n_sig} signals and lists {len(info.file_name)} "
            f"(at most {MAX_CHANNELS} are read): correct the header"
        )
    if max(info.samps_per_frame) > 1:
        raise ECGError(
            f"{header.name} stores {max(info.samps_per_frame)} samples per frame, which is not "
            "read here: write one per frame"
        )
    lengths = [_wfdb_length(info, header, name) for name in dict.fromkeys(info.file_name)]
    if len(set(lengths)) > 1:
        raise ECGError(f"{header.name}: its signal files differ in length, {lengths} samples")
    return lengths[0]


def _wfdb_length(info: "wfdb.Record", header: Path, file_name: str) -> int:
    _check_plain_name(file_name, header)
    path = header.parent / file_name
    if not is_file(path):
        raise ECGError(f"{file_name} is missing: {header.name} keeps its signals there")
    check_size(path, MAX_BYTES)
    rows = [row for row, name in enumerate(info.file_name) if name == file_name]
    formats = sorted({info.fmt[row] for row in rows})
    if len(formats) != 1 or formats[0] not in WFDB_BYTES:
        raise ECGError(f"{header.name}: signal format {', '.join(formats)} is not read here")
    per_frame = sum(info.samps_per_frame[row] for row in rows) * WFDB_BYTES[formats[0]]
    held = path.stat().st_size - (info.byte_offset[rows[0]] or 0)
    available = int(held / per_frame + 1e-9)
    declared = info.sig_len if info.sig_len is not None else available
    surplus = held - declared * per_frame
    if declared < 1 or available < declared or surplus >= per_frame + WFDB_PADDING_BYTES:
        raise ECGError(
            f"{header.name} declares {declared} samples, but {file_name} holds {available}: "
            "the file is cut short or the header is wrong"
        )
    return declared


def _wfdb_gain_and_units(line: str) -> tuple[float, str | None]:
    """Gain (0 when not stated) and units of one signal line, as the header writes them."""
    fields = line.split()
    field = fields[2] if len(fields) > 2 else ""
    gain, _, units = field.partition("/")
    number = re.match(r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?", gain, flags=re.IGNORECASE)
    return (float(number[0]) if number else 0.0), units or None


def collect_wfdb(paths: Iterable[str | Path], folder: str | Path) -> Path:
    """Bring the files of one WFDB upload together, so that the header finds its signals.

    A browser upload puts each file into its own folder. The header and the files that it
    names are copied into `folder` under the names that the header uses.

    Args:
        paths: The uploaded files, one `.hea` among them.
        folder: An existing empty folder of the caller, for instance a temporary one.

    Returns:
        The header in `folder`, ready for `read_ecg`.

    Raises:
        ECGError: If there is not exactly one header, if a file that it names is not among
            `paths`, or if it names a file outside its own folder.
    """
    uploads = [Path(path) for path in paths]
    headers = [path for path in uploads if path.suffix.lower() == ".hea"]
    if len(headers) != 1:
        names = ", ".join(path.name for path in uploads) or "nothing"
        raise ECGError(f"give one .hea file with its signal file, got {names}")
    header = headers[0]
    lines, _ = wfdb_header_lines(header)
    others = {path.name: path for path in uploads if path != header}
    target = Path(folder) / f"{header.stem}.hea"
    for name in dict.fromkeys(line.split()[0] for line in lines[1:]):
        if name not in others or not is_file(others[name]):
            raise ECGError(f"{name} is missing: give it together with {header.name}")
        check_size(others[name], MAX_BYTES)
        if name == target.name:
            raise ECGError(f"{header.name} names itself as its signal file")
        shutil.copyfile(others[name], Path(folder) / name)
    shutil.copyfile(header, target)
    return target


# ---- age and sex


def _patient(comments: Sequence[str]) -> tuple[float | None, str | None, list[str]]:
    notes: list[str] = []
    age_text = _comment_value(comments, "age")
    sex_text = _comment_value(comments, "sex")
    return parse_age(age_text, notes), parse_sex(sex_text), notes


def _comment_value(comments: Sequence[str], key: str) -> str:
    pattern = re.compile(rf"<?{key}>?\s*:\s*(.*)", flags=re.IGNORECASE)
    found = (pattern.match(comment) for comment in comments)
    return next((match[1].strip() for match in found if match), "")


def parse_age(text: str, notes: list[str]) -> float | None:
    """Age in years as headers write it; what was not plain is added to `notes`.

    Example:
        >>> notes = []
        >>> parse_age(">89", notes), notes
        (90.0, ['the file gives the age as >89'])
    """
    if text.lower() in ("", "nan", "unknown", "none", "n/a", "na", "-"):
        return None
    match = re.fullmatch(r"(>?)\s*(\d{1,3}(?:\.\d+)?)", text)
    if match is None or float(match[2]) > MAX_AGE_YEARS:
        notes.append(f"the file gives the age as {text[:40]}, which is not used")
        return None
    if match[1]:
        notes.append(f"the file gives the age as {text}")
        return float(match[2]) + 1.0
    return float(match[2])


def parse_sex(text: str) -> str | None:
    """Return female, male or None for what headers and DICOM write."""
    return {"f": "female", "female": "female", "m": "male", "male": "male"}.get(text.lower())


# ---- DICOM


def _has_dicom_mark(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _read_dicom(path: Path) -> Channels:
    import pydicom  # noqa: PLC0415  (slow to import, and only this format needs it)
    from pydicom.config import disable_value_validation  # noqa: PLC0415
    from pydicom.errors import BytesLengthException, InvalidDicomError  # noqa: PLC0415

    try:
        # Machines write texts longer than DICOM allows, which is no concern of ours.
        with disable_value_validation():
            _check_inflated(pydicom.filereader.read_file_meta_info(str(path)), path.name)
            return _dicom_channels(pydicom.dcmread(path), path.name)
    except ECGError:
        raise
    except (InvalidDicomError, BytesLengthException, *PARSE_FAILURES) as error:
        raise ECGError(f"{path.name} is not a readable DICOM file: {_brief(error)}") from error


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
        raise ECGError(f"{name} holds no waveforms: it is a DICOM file of another kind")

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
        raise ECGError(
            f"{name} declares {samples} samples, but holds {held}: it is cut short, or its "
            "header is wrong"
        )
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
    return float(match[1]) / {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}[match[2]]


# ---- CSV


def _read_csv(path: Path) -> Channels:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ECGError(f"{path.name} is not UTF-8 text ({error.reason}): save it so") from error
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise ECGError(f"{path.name} is empty")
    delimiter = max(",;\t", key=lines[0].count)
    header = [cell.strip() for cell in next(csv.reader([lines[0]], delimiter=delimiter))]
    if len(header) > MAX_CHANNELS:
        raise ECGError(f"{path.name} has {len(header)} columns, more than {MAX_CHANNELS}")
    has_names = not any(_is_number(cell) for cell in header)
    rows = lines[1:] if has_names else lines
    if not rows:
        raise ECGError(f"{path.name} has a header row but no samples")
    table = _csv_table(rows[:MAX_SAMPLES_LOADED], delimiter, path.name)
    if table.shape[1] != len(header):
        raise ECGError(
            f"{path.name} names {len(header)} columns, but its rows have {table.shape[1]}"
        )
    if not has_names:
        return Channels(table.T, None, (None,) * len(header), None, len(rows))
    return _csv_channels(table, header, len(rows))


def _csv_table(rows: list[str], delimiter: str, name: str) -> np.ndarray:
    def number(cell: str) -> float:
        return float(cell) if cell.strip() else np.nan  # an empty cell is a gap

    try:
        return np.loadtxt(
            io.StringIO("\n".join(rows)),
            delimiter=delimiter,
            converters=number,
            comments=None,
            quotechar='"',
            ndmin=2,
        )
    except ValueError as error:
        cause = f" ({error.__cause__})" if error.__cause__ else ""
        raise ECGError(f"{name}, below its header: {error}{cause}") from error


def _csv_channels(table: np.ndarray, header: list[str], n_samples: int) -> Channels:
    names, units = zip(*(_name_and_units(cell) for cell in header), strict=True)
    notes, fs, keep = [], None, list(range(len(header)))
    if names[0] == UNNAMED and np.array_equal(table[:, 0], np.arange(len(table))):
        keep.remove(0)
        notes.append("left out the first, unnamed column, which numbers the rows")
    times = [j for j in keep if names[j].lower().split("_")[0] in ("time", "t", "seconds")]
    if len(times) > 1:
        raise ECGError(f"several time columns: {', '.join(names[j] for j in times)}")
    for j in times:
        keep.remove(j)
        fs = _rate_of(table[:, j], header[j])
    return Channels(
        signal=table[:, keep].T,
        names=tuple(names[j] for j in keep),
        units=tuple(units[j] for j in keep),
        fs=fs,
        n_samples=n_samples,
        notes=tuple(notes),
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _name_and_units(cell: str) -> tuple[str, str | None]:
    """Split "V1 (uV)" or "V1 [uV]"; brackets without a unit stay in the name."""
    match = re.fullmatch(r"(.*?)\s*[(\[]\s*(\w{0,2}[vV]|s|ms|sec|seconds)\s*[)\]]", cell)
    return (match[1], match[2]) if match else (cell, None)


def _rate_of(times: np.ndarray, title: str) -> float:
    """Sampling rate in Hz of a column of evenly spaced times, in seconds unless it says ms."""
    unit = 1e-3 if re.search(r"(?:^|[\W_])ms\b", title.lower()) else 1.0
    even = np.linspace(times[0], times[-1], len(times))
    step = (times[-1] - times[0]) / max(len(times) - 1, 1)
    steps = np.diff(times)
    # Rounding moves a step by less than half of it; a missing row doubles one.
    uneven = len(steps) > 0 and np.abs(steps - np.median(steps)).max() >= 0.5 * step
    if not (step > 0 and np.abs(times - even).max() <= step) or uneven:
        raise ECGError(
            f"column {title!r} does not rise evenly from {times[0]:g} to {times[-1]:g}: "
            "samples are missing or in another order"
        )
    fs = 1.0 / (step * unit)
    # Written times are rounded: 0.003, 0.006, 0.008 are 360 Hz, not 360.02 Hz.
    return float(round(fs)) if abs(fs - round(fs)) <= 1e-3 * fs else fs


# ---- NPY


def _read_npy(path: Path, n_leads: int | None) -> Channels:
    shape = _npy_shape(path)
    if n_leads is None:
        raise ECGError(f"{path.name} has no lead names: pass leads=... in its order")
    if len(shape) != 2 or (shape[0] == n_leads) == (shape[1] == n_leads):
        raise ECGError(
            f"{path.name} has shape {shape}; with {n_leads} leads named, exactly one side "
            f"must be {n_leads}"
        )
    if min(shape) > MAX_CHANNELS:
        raise ECGError(f"{path.name} has shape {shape}: more than {MAX_CHANNELS} channels")
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    array = array if shape[0] == n_leads else array.T
    signal = np.array(array[:, :MAX_SAMPLES_LOADED], dtype=np.float64)
    return Channels(signal, None, (None,) * n_leads, None, array.shape[1])


def _npy_shape(path: Path) -> tuple[int, ...]:
    """Shape from the header, after checking that the file really holds that many numbers."""
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, _, dtype = read(file)
            held = (path.stat().st_size - file.tell()) // max(dtype.itemsize, 1)
    except (ValueError, KeyError, TypeError, SyntaxError, OSError) as error:
        raise ECGError(f"{path.name} is not a readable NPY file: {_brief(error)}") from error
    if dtype.kind not in "fiu":
        raise ECGError(f"{path.name} holds {dtype}, not plain numbers")
    declared = int(np.prod([int(side) for side in shape], dtype=object))
    if declared != held or declared < 1:
        raise ECGError(f"{path.name} declares {declared} numbers, but holds {held}")
    return tuple(int(side) for side in shape)
