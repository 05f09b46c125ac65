"""Tables in text: leads in columns, samples in rows, from a file or a clipboard.

Cells are separated by tabs, semicolons or commas; with the first two a comma may also be the
decimal mark. A header row of names is optional, and so is a column of times.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from ecg_r1.formats.common import (
    CUT_SHORT,
    MAX_CHANNELS,
    MAX_SAMPLES_LOADED,
    MAX_TEXT_BYTES,
    UNNAMED,
    Channels,
    ECGError,
    brief,
    check_size,
    quoted,
)

MAX_LINE = 10_000  # characters; 64 columns of full precision have 1,600
# The first that the first row has; a comma beside another is a decimal mark.
DELIMITERS = "\t;,"


def read_table(path: Path) -> Channels:
    """The columns of a text file.

    Raises:
        ECGError: If it is not UTF-8, not a table of numbers, or too large.
    """
    check_size(path, MAX_TEXT_BYTES)
    try:
        with path.open(encoding="utf-8-sig") as lines:
            return _read_lines(lines, path.name)
    except UnicodeDecodeError as error:
        raise ECGError(f"{path.name} is not UTF-8 text ({error.reason}): save it so") from error


def parse_table(text: str, name: str = "the pasted table") -> Channels:
    r"""The columns of a pasted text.

    Args:
        text: Rows of samples, with or without a header row.
        name: What messages call it.

    Raises:
        ECGError: If it is not a table of numbers, or too large.

    Example:
        >>> parse_table("I;II\n0,5;1\n-0,5;2").signal.tolist()
        [[0.5, -0.5], [1.0, 2.0]]
    """
    if len(text) > MAX_TEXT_BYTES:
        raise ECGError(
            f"{name} has {len(text)} characters, more than the {MAX_TEXT_BYTES} read"
        )
    return _read_lines(io.StringIO(text.removeprefix("\ufeff")), name)


def _read_lines(lines: Iterable[str], name: str) -> Channels:
    filled = _filled(lines, name)
    first = next(filled, None)
    if first is None:
        raise ECGError(f"{name} is empty")
    delimiter = next((mark for mark in DELIMITERS if mark in first), ",")
    header = _cells(first, delimiter, name)
    if len(header) > MAX_CHANNELS:
        raise ECGError(f"{name} has {len(header)} columns, more than {MAX_CHANNELS}")
    has_names = not any(_is_number(cell, delimiter) for cell in header)
    rows = [] if has_names else [first]
    rows += islice(filled, MAX_SAMPLES_LOADED - len(rows))
    n_samples = len(rows) + sum(1 for _ in filled)
    if not rows:
        raise ECGError(f"{name} has a header row but no samples")
    table = _numbers(rows, delimiter, name)
    if table.shape[1] != len(header):
        raise ECGError(
            f"{name} names {len(header)} columns, but its rows have {table.shape[1]}: if its "
            "numbers have decimal commas, separate them by semicolons or tabs"
        )
    if not has_names:
        return Channels(table.T, None, (None,) * len(header), None, n_samples, "table")
    return _named_channels(table, header, n_samples)


def _filled(lines: Iterable[str], name: str) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if len(line) > MAX_LINE:
            raise ECGError(
                f"line {number} of {name} has {len(line)} characters, more than {MAX_LINE}: it "
                "is no table with a row for each sample"
            )
        if line.strip():
            yield line.rstrip("\r\n")


def _cells(line: str, delimiter: str, name: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]
    except csv.Error as error:
        raise ECGError(f"{name}: its first row is not readable: {brief(error)}") from error


def _number(cell: str, delimiter: str) -> float:
    """A cell's number; an empty one is a gap. Python alone would read 1_000 as a thousand."""
    text = cell.strip()
    if not text:
        return np.nan
    if "_" in text or not text.isascii():
        raise ValueError(f"could not convert string to float: {quoted(text)!r}")
    return float(text if delimiter == "," else text.replace(",", "."))


def _is_number(cell: str, delimiter: str) -> bool:
    try:
        return bool(cell) and _number(cell, delimiter) is not None
    except ValueError:
        return False


def _numbers(rows: list[str], delimiter: str, name: str) -> np.ndarray:
    try:
        return _parsed(rows, delimiter)
    except ValueError as error:
        is_short = rows[-1].count(delimiter) <= rows[0].count(delimiter)
        if is_short and len(rows) > 1 and _is_table(rows[:-1], delimiter):
            raise ECGError(
                f"{name} ends with {quoted(rows[-1])!r}, which is no row like the "
                f"{len(rows) - 1} before it: {CUT_SHORT}, or leave that row out"
            ) from error
        # What numpy advises after a semicolon are arguments of its own.
        told = brief(error).partition("; use `usecols`")[0]
        cause = f" ({brief(error.__cause__)})" if isinstance(error.__cause__, Exception) else ""
        raise ECGError(
            f"{name}, below its header: {told}{cause}; every row needs one number for each lead"
        ) from error


def _parsed(rows: list[str], delimiter: str) -> np.ndarray:
    return np.loadtxt(
        rows,
        delimiter=delimiter,
        converters=lambda cell: _number(cell, delimiter),
        comments=None,
        quotechar='"',
        ndmin=2,
    )


def _is_table(rows: list[str], delimiter: str) -> bool:
    try:
        return _parsed(rows, delimiter) is not None
    except ValueError:
        return False


def _named_channels(table: np.ndarray, header: list[str], n_samples: int) -> Channels:
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
        format="table",
        notes=tuple(notes),
    )


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
