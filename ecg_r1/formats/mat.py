"""MATLAB files of versions 4 and 5 to 7: one array of numbers, and its rate if it is beside.

The containers are walked here and not by scipy, whose reader believes every length that a
file states and inflates without a limit. Structures, cells and objects are never built.

What this leaves out: version 7.3 (HDF5), sparse and complex arrays, arrays inside structures.

Source:
    MATLAB MAT-File Format, MathWorks, R2023a, chapters 1 (level 5) and 2 (level 4)
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecg_r1.formats.common import (
    CUT_SHORT,
    MAX_BYTES,
    MAX_SAMPLES_LOADED,
    Channels,
    ECGError,
    brief,
    lies_upright,
    quoted,
)

LEVEL_5_HEADER = 128  # bytes: a text, and a mark of the order of bytes at its end
MATRIX, COMPRESSED = 14, 15
CLASSES = {1: "cell", 2: "structure", 3: "object", 4: "text", 5: "sparse array"}
CLASSES |= {16: "function", 17: "object"}
NUMERIC = range(6, 16)  # classes double to uint64
COMPLEX = 0x0800
TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8"}
TYPES |= {13: "u8"}
LEVEL_4_TYPES = ("f8", "f4", "i4", "i2", "u2", "u1")
SIGNAL_NAME = "val"  # what PhysioNet calls the array in its files
RATE_NAMES = ("fs", "sfreq", "srate", "sample_rate", "sampling_rate", "sampling_frequency")
MAX_VARIABLES = 256


@dataclass(frozen=True)
class _Variable:
    """One variable: `data` holds its numbers column by column, or nothing but its kind."""

    name: str
    shape: tuple[int, ...]
    kind: str  # "numbers", or what else it is
    data: np.ndarray | None = None


def read_mat(path: Path, n_leads: int | None) -> Channels:
    """The channels of the one array of numbers in a MATLAB file.

    Args:
        path: The file.
        n_leads: Number of leads that the caller named, which tells how the array lies.

    Raises:
        ECGError: If the file is damaged, of version 7.3, or does not hold one array.
    """
    content = path.read_bytes()
    if content.startswith(b"MATLAB 7.3") or b"\x89HDF" in content[:1024]:
        raise ECGError(f"{path.name} is of version 7.3 (HDF5): save it with save(..., '-v7')")
    try:
        variables = list(_variables(content, path.name))
    except (struct.error, IndexError, ValueError, zlib.error) as error:
        if isinstance(error, ECGError):
            raise
        raise ECGError(
            f"{path.name} is not a readable MATLAB file ({brief(error)}): save it again"
        ) from error
    found = _signal_of(variables, path.name)
    upright = lies_upright(found.shape, n_leads, f"{quoted(found.name)!r} in {path.name}")
    array = found.data.reshape(found.shape, order="F")
    array = array if upright else array.T
    signal = np.array(array[:, :MAX_SAMPLES_LOADED], dtype=np.float64)
    rates = [
        float(one.data[0])
        for one in variables
        if one.data is not None and one.data.size == 1 and one.name.lower() in RATE_NAMES
    ]
    return Channels(
        signal=signal,
        names=None,
        units=(None,) * len(signal),
        fs=rates[0] if len(rates) == 1 else None,
        n_samples=array.shape[1],
        format="MATLAB",
    )


def _signal_of(variables: list[_Variable], name: str) -> _Variable:
    arrays = [one for one in variables if one.data is not None and min(one.shape) > 1]
    arrays = [one for one in arrays if one.name == SIGNAL_NAME] or arrays
    if len(arrays) != 1:
        listed = [f"{quoted(one.name)} ({one.kind})" for one in variables]
        raise ECGError(
            f"{name} holds {quoted(', '.join(listed), 160) or 'nothing'}: save one array of "
            "leads and samples, alone or under the name val"
        )
    return arrays[0]


def _variables(content: bytes, name: str) -> Iterator[_Variable]:
    if content.startswith(b"MATLAB 5") and len(content) < LEVEL_5_HEADER:
        raise ECGError(
            f"{name} has {len(content)} of the {LEVEL_5_HEADER} bytes of its header: "
            f"{CUT_SHORT}"
        )
    mark = content[126:128]
    if mark in (b"IM", b"MI"):
        elements = _level_5(content, "<" if mark == b"IM" else ">", name)
    else:
        order = "<" if 0 <= struct.unpack("<i", content[:4])[0] <= 4052 else ">"
        elements = _level_4(content, order, name)
    for count, variable in enumerate(elements):
        if count == MAX_VARIABLES:
            raise ECGError(f"{name} holds more than {MAX_VARIABLES} variables")
        yield variable


# ---- level 5


def _level_5(content: bytes, order: str, name: str) -> Iterator[_Variable]:
    at, room = LEVEL_5_HEADER, MAX_BYTES
    while at + 8 <= len(content):
        kind, size, start, _ = _tag(content, at, order, name)
        body = content[start : start + size]
        at = start + size
        if kind == COMPRESSED:
            body = _inflate(body, room, name)
            room -= len(body)
            kind, size, start, _ = _tag(body, 0, order, name)
            body = body[start : start + size]
        if kind == MATRIX:
            yield _matrix(body, order, name)


def _tag(content: bytes, at: int, order: str, name: str) -> tuple[int, int, int, int]:
    """Type, size and place of the element at `at`, and where the next one begins."""
    kind, size = struct.unpack_from(f"{order}2I", content, at)
    if kind >> 16:  # packed into eight bytes
        kind, size, start, end = kind & 0xFFFF, kind >> 16, at + 4, at + 8
    else:
        start = at + 8
        end = start + size + (-size % 8)
    if start + size > len(content):
        raise ECGError(
            f"{name} declares {size} bytes for an element, but holds "
            f"{max(len(content) - start, 0)}: {CUT_SHORT}"
        )
    return kind, size, start, end


def _inflate(packed: bytes, room: int, name: str) -> bytes:
    plain = zlib.decompressobj()
    body = plain.decompress(packed, max(room, 1))
    if plain.unconsumed_tail:
        raise ECGError(f"{name} unpacks to more than the {MAX_BYTES} bytes read here")
    return body


def _matrix(body: bytes, order: str, name: str) -> _Variable:
    _, _, at, following = _tag(body, 0, order, name)
    flags = struct.unpack_from(f"{order}I", body, at)[0]
    _, size, at, following = _tag(body, following, order, name)
    shape = struct.unpack_from(f"{order}{size // 4}i", body, at)
    _, size, at, following = _tag(body, following, order, name)
    title = body[at : at + size].decode("latin-1")
    kind = flags & 0xFF
    if kind not in NUMERIC or flags & COMPLEX:
        return _Variable(title, shape, CLASSES.get(kind, "complex array"))
    stored, size, at, _ = _tag(body, following, order, name)
    if stored not in TYPES:
        raise ECGError(f"{name}: {quoted(title)!r} stores its numbers as unknown type {stored}")
    dtype = np.dtype(order + TYPES[stored])
    return _filled(title, shape, np.frombuffer(body, dtype, size // dtype.itemsize, at), name)


# ---- level 4


def _level_4(content: bytes, order: str, name: str) -> Iterator[_Variable]:
    at = 0
    while at < len(content):
        kind, rows, columns, imaginary, length = struct.unpack_from(f"{order}5i", content, at)
        if not (0 <= kind <= 4052 and 0 < length <= 256 and rows >= 0 and columns >= 0):
            raise ECGError(
                f"{name} is not a readable MATLAB file (no header at byte {at}): save it again"
            )
        precision, matrix = kind // 10 % 10, kind % 10
        if precision >= len(LEVEL_4_TYPES):
            raise ECGError(f"{name} stores numbers with unknown precision {precision}")
        title = content[at + 20 : at + 20 + length].rstrip(b"\0").decode("latin-1")
        dtype = np.dtype(order + LEVEL_4_TYPES[precision])
        start, count = at + 20 + length, rows * columns * (2 if imaginary else 1)
        at = start + count * dtype.itemsize
        if at > len(content):
            raise ECGError(
                f"{name} declares {count} numbers in {quoted(title)!r}, but holds "
                f"{max(len(content) - start, 0) // dtype.itemsize}: {CUT_SHORT}"
            )
        if matrix or imaginary:
            yield _Variable(title, (rows, columns), "text or complex array")
        else:
            data = np.frombuffer(content, dtype, count, start)
            yield _filled(title, (rows, columns), data, name)


def _filled(title: str, shape: tuple[int, ...], data: np.ndarray, name: str) -> _Variable:
    """A variable whose shape fits its numbers."""
    declared = 1
    for side in shape:
        declared *= side
    if len(shape) < 2 or min(shape) < 0 or declared != len(data):
        raise ECGError(
            f"{name}: {quoted(title)!r} declares shape {quoted(str(shape))}, but holds "
            f"{len(data)} numbers"
        )
    return _Variable(title, shape, "numbers", data)
