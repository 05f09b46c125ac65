"""Many visitors at once, then many readings: `python -m benchmarks.load --pid PROCESS`.

Against a running app, whose process is named: each visitor sends another ECG, first alone and
then all at once, and must get the same reading as alone, which differs from everybody else's.
Then readings one after the other, with the server's memory. Prints two tables; leaves with 1 if
there was an error, a reading of somebody else's ECG, or memory that grew.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from threading import Barrier
from typing import Any

import numpy as np
from gradio_client import Client, handle_file

from benchmarks.tables import Table
from ecg_r1.ecg import LEADS
from ecg_r1.simulate import HeartSpec, simulate

URL = "http://127.0.0.1:7860"
# Growth from the middle to the end that counts as flat, as a share. Ours: the first half fills
# whatever is kept on purpose, and allocators breathe by a few percent.
FLAT = 0.03


@dataclass(frozen=True)
class Answer:
    """What came back to one visitor.

    Attributes:
        said: Texts and audits of all arms, without times; "" after an error.
        seconds: From sending the file to the answer.
        error: The server's refusal, "" where there is none.
    """

    said: str
    seconds: float
    error: str = ""


def write_ecgs(folder: Path, count: int) -> list[Path]:
    """As many hearts, each with a rate and an axis of its own, as plain arrays."""
    files = []
    for number in range(count):
        rate, axis = 48 + 70 * number / max(1, count - 1), -60 + (37 * number) % 150
        spec = HeartSpec(hr_bpm=rate, qt_ms=360, axis_deg=axis)
        files.append(folder / f"visitor{number}.npy")
        np.save(files[-1], simulate(spec, number).signal)
    return files


def read(client: Client, file: Path) -> Answer:
    """One reading through the API."""
    begun = time.perf_counter()
    try:
        found = client.predict(
            [handle_file(file)], 500, "mV", ",".join(LEADS), api_name="/read"
        )
    except Exception as error:  # noqa: BLE001  whatever it is, it is counted
        return Answer("", time.perf_counter() - begun, str(error) or type(error).__name__)
    return Answer(said_in(found), time.perf_counter() - begun)


def said_in(found: dict[str, Any]) -> str:
    """What of an answer is the same whenever the ECG is the same.

    Example:
        >>> arm = {"text": "Rate 70 bpm.", "seconds": 1.5, "audit": None}
        >>> said_in({"model": "nano", "arms": {"both": arm}, "second": None})
        '[{"both": ["Rate 70 bpm.", null]}]'
    """
    models = [found] + ([found["second"]] if found["second"] else [])
    return json.dumps(
        [
            {arm: [one["text"], one["audit"]] for arm, one in model["arms"].items()}
            for model in models
        ]
    )


def read_at_once(url: str, files: Sequence[Path]) -> list[Answer]:
    """Every visitor, connected already, sends at the same moment."""
    gate = Barrier(len(files))

    def visit(file: Path) -> Answer:
        client = Client(url, verbose=False)
        gate.wait()
        return read(client, file)

    with ThreadPoolExecutor(len(files)) as pool:
        return list(pool.map(visit, files))


def resident_mb(pid: int) -> float:
    """Memory of a process in MB, as Linux tells it."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    held = next(line for line in lines if line.startswith("VmRSS:"))
    return int(held.split()[1]) * 1024 / 1e6


def visitors_table(alone: Sequence[Answer], at_once: Sequence[Answer]) -> tuple[Table, int]:
    """The first table, and how many things were wrong."""
    errors = [one.error for one in (*alone, *at_once) if one.error]
    mixed = sum(
        not one.error and one.said != own.said for own, one in zip(alone, at_once, strict=True)
    )
    same = len(alone) - len({one.said for one in alone})
    row = {
        "visitors": len(at_once),
        "errors": len(errors),
        "readings of another's ECG": mixed,
        "readings that no one could tell apart": same,
        "alone, median (s)": median(one.seconds for one in alone),
        "at once, first (s)": min(one.seconds for one in at_once),
        "at once, last (s)": max(one.seconds for one in at_once),
    }
    notes = [f"First error: {errors[0]}"] if errors else []
    return Table("Visitors at once", [row], notes), len(errors) + mixed + same


def readings_table(
    url: str, files: Sequence[Path], alone: Sequence[Answer], count: int, pid: int
) -> tuple[Table, int]:
    """Readings one after the other with the server's memory, and how many things were wrong."""
    client = Client(url, verbose=False)
    rows, wrong = [], 0
    marks = {0, count // 2, count}
    for number in range(count + 1):
        if number in marks:
            rows.append({"readings": number, "memory (MB)": resident_mb(pid), "wrong": wrong})
        if number < count:
            place = number % len(files)
            wrong += read(client, files[place]).said != alone[place].said
    middle, end = (row["memory (MB)"] for row in rows[-2:])
    grew = end > (1 + FLAT) * middle
    note = f"From the middle to the end {100 * (end / middle - 1):+.1f} %"
    return Table("One after the other", rows, [f"{note}{', which is growth' * grew}."]), (
        wrong + grew
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; 1 if something was wrong."""
    parser = argparse.ArgumentParser(prog="benchmarks.load", description=__doc__)
    parser.add_argument("--url", default=URL, help=f"the app's address ({URL})")
    parser.add_argument("--visitors", type=int, default=30, help="at once (30)")
    parser.add_argument("--readings", type=int, default=300, help="one after the other (300)")
    parser.add_argument("--pid", type=int, required=True, help="the app's process")
    said = parser.parse_args(arguments)
    if said.visitors < 2 or said.readings < 2:
        parser.error("--visitors and --readings must be 2 or more")
    with tempfile.TemporaryDirectory(prefix="ecg-r1-load-") as folder:
        files = write_ecgs(Path(folder), said.visitors)
        client = Client(said.url, verbose=False)
        alone = [read(client, file) for file in files]
        shown, wrong = visitors_table(alone, read_at_once(said.url, files))
        print(shown.markdown(), flush=True)
        shown, more = readings_table(said.url, files, alone, said.readings, said.pid)
        print(shown.markdown())
    return int(wrong + more > 0)


if __name__ == "__main__":
    sys.exit(main())
