"""WFDB records: a header in text, and the signal files that it names.

What this leaves out: multi-segment records, FLAC-compressed signals, several samples a frame.
"""

import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

import numpy as np

from ecg_r1.formats.common import (
    CUT_SHORT,
    MAX_BYTES,
    MAX_CHANNELS,
    MAX_SAMPLES_LOADED,
    PARSE_FAILURES,
    Channels,
    ECGError,
    brief,
    check_size,
    is_file,
    parse_age,
    parse_sex,
    quoted,
)

if TYPE_CHECKING:
    import wfdb

MAX_HEADER_BYTES = 2**20
MAX_LINE = 2000  # characters; real lines have below a hundred

# Bytes per sample. FLAC (508, 516, 524) is absent: its length cannot be checked beforehand.
WFDB_BYTES = {"8": 1, "16": 2, "24": 3, "32": 4, "61": 2, "80": 1, "160": 2}
WFDB_BYTES |= {"212": 1.5, "310": 4 / 3, "311": 4 / 3}
WFDB_PADDING_BYTES = 4  # the packed formats 212, 310, 311 fill up their last group


def wfdb_header_of(path: Path) -> Path | None:
    """The header of the record that a path belongs to; None when it is of another kind."""
    suffix = path.suffix.lower()
    if suffix == ".hea":
        return path
    if suffix in (".dat", ".mat"):
        header = path.with_suffix(".hea")
        return header if is_file(header) else None
    bare = path.parent / f"{path.name}.hea"
    return bare if is_file(bare) and not is_file(path) else None


def read_wfdb(header: Path) -> Channels:
    """The channels of a record, from the signal files beside its header."""
    import wfdb  # noqa: PLC0415  (half a second, which the other formats need not pay)

    lines, comments = wfdb_header_lines(header)
    record = str(header.absolute().with_suffix(""))
    if "::" in record or "://" in record:
        raise ECGError(f"{record!r} reads as an address: rename the file")
    try:
        info = wfdb.rdheader(record)
        n_samples = _check_wfdb_lengths(info, header)
        stop = None if info.sig_len is None else min(n_samples, MAX_SAMPLES_LOADED)
        with np.errstate(all="ignore"):  # a gain near 0 makes voltages infinite
            content = wfdb.rdrecord(record, sampto=stop)
    except ECGError:
        raise
    except PARSE_FAILURES as error:
        raise ECGError(
            f"{header.name} is not a readable WFDB record: {brief(error)}"
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
        format="WFDB",
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
    if lines and "/" in lines[0].split()[0]:
        raise ECGError(
            f"{header.name} is a multi-segment record ({quoted(lines[0])!r}): give a segment"
        )
    if longest := next((line for line in lines if len(line) > MAX_LINE), None):
        raise ECGError(f"{header.name} has a line of {len(longest)} characters: {longest[:40]}")
    _check_whole(lines, header, ends=not text or text[-1] in "\r\n")
    if len(lines) - 1 > MAX_CHANNELS:
        raise ECGError(
            f"{header.name} lists {len(lines) - 1} signals (at most {MAX_CHANNELS} are read)"
        )
    for line in lines[1:]:
        _check_plain_name(line.split()[0], header)
    return lines, comments


def _check_whole(lines: list[str], header: Path, *, ends: bool) -> None:
    """Refuse a header that lacks signal lines or, where its last line never `ends`, fields."""
    declared = "".join(lines[0].split()[1:2]) if lines else ""
    listed = len(lines) - 1
    if declared.isdecimal() and int(declared) > max(listed, 0):
        raise ECGError(
            f"{header.name} declares {declared} signals and lists {listed}: {CUT_SHORT}"
        )
    if listed < 1:
        raise ECGError(f"{header.name} lists no signals, so it is not a WFDB signal header")
    # Behind eight fields a line has a name, of any number of words.
    first, last = (len(line.split(maxsplit=8)) for line in (lines[1], lines[-1]))
    if not ends and last < first:
        raise ECGError(
            f"{header.name} ends with {quoted(lines[-1])!r}, which lacks fields that its first "
            f"signal has: {CUT_SHORT}"
        )


def _check_plain_name(name: str, header: Path) -> None:
    plain = PurePosixPath(name).name == name == PureWindowsPath(name).name
    if not plain or ":" in name or name.startswith((".", "~")):
        raise ECGError(
            f"{header.name} names its signal file {quoted(name)!r}: only a plain file name in "
            "the header's own folder is opened"
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
    shifted = [skew for skew in info.skew if skew]
    if shifted:
        raise ECGError(
            f"{header.name} shifts a signal by {shifted[0]} samples (skew), which is not read "
            "here: write it unshifted"
        )
    lengths = [_wfdb_length(info, header, name) for name in dict.fromkeys(info.file_name)]
    if len(set(lengths)) > 1:
        raise ECGError(f"{header.name}: its signal files differ in length, {lengths} samples")
    if info.sig_len is None and lengths[0] > MAX_SAMPLES_LOADED:
        # Without a declared length wfdb cannot stop early.
        raise ECGError(
            f"{header.name} does not state its length and holds {lengths[0]} samples: write "
            "the number on its first line"
        )
    return lengths[0]


def _wfdb_length(info: "wfdb.Record", header: Path, file_name: str) -> int:
    _check_plain_name(file_name, header)
    path = header.parent / file_name
    if not is_file(path):
        raise ECGError(f"{quoted(file_name)} is missing: {header.name} keeps its signals there")
    _check_at_home(path, header)
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
        why = CUT_SHORT if available < declared else "they are not of one record"
        raise ECGError(
            f"{header.name} declares {declared} samples, but {file_name} holds {available}: "
            f"{why}"
        )
    return declared


def _check_at_home(path: Path, header: Path) -> None:
    """Refuse a link that leads elsewhere; caches link a header and its signals to one place."""
    if path.resolve().parent not in (header.parent.resolve(), header.resolve().parent):
        raise ECGError(
            f"{path.name} is a link to {quoted(str(path.readlink()), 200)!r}, outside the "
            f"folder of {header.name}: copy the file there"
        )


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
            raise ECGError(f"{quoted(name)} is missing: give it together with {header.name}")
        check_size(others[name], MAX_BYTES)
        if name == target.name:
            raise ECGError(f"{header.name} names itself as its signal file")
        shutil.copyfile(others[name], Path(folder) / name)
    shutil.copyfile(header, target)
    return target


def _patient(comments: Sequence[str]) -> tuple[float | None, str | None, list[str]]:
    notes: list[str] = []
    age_text = _comment_value(comments, "age")
    sex_text = _comment_value(comments, "sex")
    return parse_age(age_text, notes), parse_sex(sex_text), notes


def _comment_value(comments: Sequence[str], key: str) -> str:
    pattern = re.compile(rf"<?{key}>?\s*:\s*(.*)", flags=re.IGNORECASE)
    found = (pattern.match(comment) for comment in comments)
    return next((match[1].strip() for match in found if match), "")
