"""Damaged and hostile uploads: `python -m benchmarks.fuzz --count 2000`.

Each round takes a sound file of some format, damages it by chance, and gives it to the door
that the app uses. It must come out as an ECG, as a page, or as an `ECGError` in one short
line; nothing else may be raised, no round may last 10 s or take 512 MiB, and no file may stay
behind. Prints a table and the rounds that broke a rule; leaves with 1 if one did.
"""

import argparse
import re
import shutil
import signal
import struct
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import numpy as np

from benchmarks.samples import EIGHT, write_all
from ecg_r1.ecg import LEADS, ECGError
from ecg_r1.inputs import Upload, inspect_upload, open_upload
from ecg_r1.shipped import shipped

MAX_ROUND_S = 10.0
MAX_ROUND_MIB = 512.0
MAX_MESSAGE = 700  # characters
HEAD = 2048  # bytes at the beginning, where formats keep what they promise
NUMBERS = (
    b"0",
    b"-1",
    b"1e309",
    b"nan",
    b"4294967295",
    b"99999999999999999999",
    b"",
    b"0.0001",
)
WORDS = (b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80")

MAT_COMPRESSED = 15  # the element that holds another, deflated

Damage = Callable[[bytearray, int, np.random.Generator], None]


def _flip(content: bytearray, at: int, rng: np.random.Generator) -> None:
    content[at] = int(rng.integers(256))


def _overwrite(content: bytearray, at: int, rng: np.random.Generator) -> None:
    content[at : at + 4] = WORDS[rng.integers(len(WORDS))]


def _cut_out(content: bytearray, at: int, rng: np.random.Generator) -> None:
    del content[at : at + int(rng.integers(1, 400))]


def _cut_off(content: bytearray, at: int, _rng: np.random.Generator) -> None:
    del content[at + 1 :]


def _repeat(content: bytearray, at: int, rng: np.random.Generator) -> None:
    content[at:at] = content[at : at + int(rng.integers(1, 400))] * int(rng.integers(1, 40))


def _insert(content: bytearray, at: int, rng: np.random.Generator) -> None:
    content[at:at] = rng.bytes(int(rng.integers(1, 40)))


def _number(content: bytearray, at: int, rng: np.random.Generator) -> None:
    """Another number for the next one in the text."""
    found = re.compile(rb"\d+\.?\d*").search(content, at)
    if found:
        content[found.start() : found.end()] = NUMBERS[rng.integers(len(NUMBERS))]


DAMAGES: tuple[Damage, ...] = (_flip, _flip, _overwrite, _cut_out, _repeat, _insert, _number)
DAMAGES += (_number, _cut_off)


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """The content after one to five damages, most of them near its beginning."""
    broken = bytearray(content)
    for _ in range(int(rng.choice([1, 1, 1, 2, 3, 5]))):
        if not broken:
            break
        reach = min(len(broken), HEAD) if rng.random() < 0.7 else len(broken)
        DAMAGES[rng.integers(len(DAMAGES))](broken, int(rng.integers(reach)), rng)
    return bytes(broken)


def _damaged_within(path: Path, rng: np.random.Generator) -> bytes:
    """A file's damaged content; half of those with checksums get right ones again."""
    content = path.read_bytes()
    if rng.random() < 0.5 and path.suffix == ".png":
        return _png_with_checksums(damaged(content, rng))
    kind, size = struct.unpack("<2I", content[128:136])
    if rng.random() < 0.5 and path.suffix == ".mat" and kind == MAT_COMPRESSED:
        body = zlib.compress(damaged(zlib.decompress(content[136 : 136 + size]), rng))
        return content[:128] + struct.pack("<2I", MAT_COMPRESSED, len(body)) + body
    return damaged(content, rng)


def _png_with_checksums(content: bytes) -> bytes:
    repaired, at = bytearray(content), 8
    while at + 12 <= len(repaired):
        stop = at + 8 + int.from_bytes(repaired[at : at + 4], "big")
        repaired[stop : stop + 4] = zlib.crc32(repaired[at + 4 : stop]).to_bytes(4, "big")
        at = stop + 4
    return bytes(repaired)


@dataclass(frozen=True)
class Round:
    """What became of one damaged upload.

    Attributes:
        number: Which round; with the seed it can be repeated.
        name: The sound file that was damaged.
        outcome: "read", "page" or "refused".
        broken: The rules that it broke, in words; none as it should be.
        seconds: How long it took.
        mib: How much the process grew at most meanwhile; 0 where that cannot be asked.
    """

    number: int
    name: str
    outcome: str
    broken: tuple[str, ...]
    seconds: float
    mib: float


class Hang(BaseException):
    """A round took too long; no reader catches this."""


def answers(upload: Upload) -> dict[str, object]:
    """What somebody would say who knows the sound file."""
    leads = EIGHT if len(upload.channels) == len(EIGHT) else LEADS
    keys = [channel.key for channel in upload.channels]
    said = {"fs": 500.0, "units": "mV", "leads": dict(zip(keys, leads, strict=False))}
    return {name: said[name] for name in upload.missing}


def offer(paths: Sequence[Path]) -> tuple[str, tuple[str, ...]]:
    """Give an upload to the door; what became of it, and the rules that it broke."""
    try:
        upload = inspect_upload(paths)
        if upload.image is not None:
            return "page", ()
        ecg = open_upload(paths, **answers(upload))
    except ECGError as error:
        told = str(error)
        fine = 0 < len(told) <= MAX_MESSAGE and "\n" not in told
        return "refused", () if fine else (f"message of {len(told)}: {told[:200]!r}",)
    except Hang:
        return "failed", (f"longer than {MAX_ROUND_S:g} s",)
    except Exception as error:  # noqa: BLE001  the very thing that is looked for
        return "failed", (f"{type(error).__name__}: {str(error)[:200]!r}",)
    return "read", () if ecg.signal.shape[0] == len(LEADS) else ("not twelve leads",)


def rounds(count: int, seed: int, folder: Path) -> Iterator[Round]:
    """Damage and offer, in turn over the formats.

    Args:
        count: How many rounds.
        seed: Source of all chance.
        folder: An empty folder for the files; what lies there after a round counts as left.
    """
    sound, work, temporary = (folder / name for name in ("sound", "work", "temporary"))
    for each in (sound, work, temporary):
        each.mkdir()
    uploads = write_all(sound, shipped("ecgs/guangxi_teaching_sinus_rhythm.dcm"))
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        paths = uploads[number % len(uploads)]
        copies = [Path(shutil.copy(path, work)) for path in paths]
        target = copies[rng.integers(len(copies))]
        target.write_bytes(_damaged_within(target, rng))
        with _temporary(temporary):
            yield _round(number, paths[-1].name, copies, (work, temporary))
        for path in copies:
            path.unlink()


def _round(number: int, name: str, copies: list[Path], places: tuple[Path, Path]) -> Round:
    before = set(places[0].iterdir())
    base = _memory_mib(reset=True)
    began = time.perf_counter()
    with _deadline(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcome, broken = offer(copies)
    seconds, mib = time.perf_counter() - began, _memory_mib() - base
    left = (set(places[0].iterdir()) - before) | set(places[1].iterdir())
    if left:
        broken += (f"left {sorted(path.name for path in left)}",)
    if mib > MAX_ROUND_MIB:
        broken += (f"took {mib:.0f} MiB",)
    return Round(number, name, outcome, broken, seconds, mib)


@contextmanager
def _temporary(folder: Path) -> Iterator[None]:
    kept, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = kept


@contextmanager
def _deadline() -> Iterator[None]:
    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise Hang

    kept = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, MAX_ROUND_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, kept)


def _memory_mib(*, reset: bool = False) -> float:
    """The process's peak since the last reset, where Linux tells it."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        told = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    found = re.search(r"VmHWM:\s*(\d+) kB", told)
    return int(found[1]) / 1024 if found else 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rounds and print what became of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        done = list(rounds(options.count, options.seed, Path(folder)))
    print(f"{'file':24s}{'rounds':>8s}{'read':>8s}{'refused':>9s}{'slowest s':>11s}{'MiB':>7s}")
    for name in dict.fromkeys(one.name for one in done):
        mine = [one for one in done if one.name == name]
        kinds = Counter(one.outcome for one in mine)
        slowest, largest = max(one.seconds for one in mine), max(one.mib for one in mine)
        print(
            f"{name:24.24s}{len(mine):8d}{kinds['read'] + kinds['page']:8d}"
            f"{kinds['refused']:9d}{slowest:11.2f}{largest:7.0f}"
        )
    broken = [one for one in done if one.broken]
    for one in broken:
        print(f"round {one.number}, {one.name}: {'; '.join(one.broken)}")
    print(f"{len(done)} rounds, {len(broken)} broke a rule")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
