"""What a row of the corpus costs, part by part, and how many rows come out of a whole run.

Run `python -m benchmarks.corpus`; `--rows N --processes P` sizes the whole run. Times of the
parts are processor time on one core, since a shared machine stretches the others. The memory
is the largest of any process, sampled from /proc during the run (Linux).
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ecg_r1.augment import draw_varied_page, encode_page
from ecg_r1.corpus import Plant, RowMaker, Task, build_corpus, simulated_tasks
from ecg_r1.corpus.record import measured, read_record
from ecg_r1.corpus.task import chance
from ecg_r1.corpus.writing import columns, write_template
from ecg_r1.measurement import measure
from ecg_r1.page import draw_page
from ecg_r1.protocol import apply_protocol

PARTS_ROWS = 60
WARM_UP = 10


def parts() -> dict[str, float]:
    """Mean processor time in ms of each step of a row, over the same simulated records."""
    tasks = simulated_tasks(PARTS_ROWS + WARM_UP)
    spent: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = work()
        spent.setdefault(name, []).append(1000 * (time.process_time() - start))
        return result

    for task in tasks:
        ecg, _ = timed("simulation", lambda task=task: read_record(task))
        m = timed("measurement", lambda ecg=ecg: measure(ecg))
        timed(
            "protocol",
            lambda ecg=ecg, m=m: apply_protocol(m, age_years=ecg.age_years, sex=ecg.sex),
        )
        timed("clean page of 1000 px", lambda ecg=ecg: draw_page(ecg, px_per_mm=1000 / 270))
        style, page = timed("page, varied and scanned", lambda e=ecg, t=task: _page(e, t))
        timed("page as a file", lambda s=style, p=page: encode_page(p, s))
        record = measured(task)
        written = timed("plan and text", lambda t=task, r=record: _written(t, r))
        timed("evidence", lambda w=written: columns(w))
        timed("a whole row", lambda task=task: RowMaker().make(task))
    return {name: float(np.mean(times[WARM_UP:])) for name, times in spent.items()}


def _page(ecg: Any, task: Task) -> Any:
    return draw_varied_page(ecg, chance(0, task.sample_id, "page"))


def _written(task: Task, record: Any) -> Any:
    return write_template(task, record, chance(0, task.sample_id, "text"))


def whole_run(rows: int, processes: int) -> tuple[float, float]:
    """Seconds for a corpus with pages and records as files, and the largest process in MB."""
    largest, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            largest.append(max(map(_megabytes, _family()), default=0.0))

    watcher = threading.Thread(target=watch, daemon=True)
    with tempfile.TemporaryDirectory() as folder:
        watcher.start()
        start = time.perf_counter()
        build_corpus(
            simulated_tasks(rows),
            Path(folder),
            maker=RowMaker(),
            plant=Plant(processes),
            files=True,
        )
        seconds = time.perf_counter() - start
        over.set()
        watcher.join()
    return seconds, max(largest)


def _family() -> list[Path]:
    """This process and its children, as folders of /proc."""
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        return []
    found = [Path("/proc/self")]
    for task in tasks.iterdir():
        children = task / "children"
        if children.is_file():
            found += [Path("/proc") / pid for pid in children.read_text().split()]
    return found


def _megabytes(process: Path) -> float:
    try:
        status = (process / "status").read_text()
    except OSError:  # it has ended
        return 0.0
    lines = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return float(lines[0].split()[1]) / 1024 if lines else 0.0


def main() -> None:
    """Print what a row costs, and a run of many."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    for name, milliseconds in parts().items():
        print(f"{name:26s}{milliseconds:8.1f} ms CPU")
    seconds, megabytes = whole_run(options.rows, options.processes)
    print(
        f"{options.rows} rows, {options.processes} processes: {seconds:.1f} s, "
        f"{1000 * seconds / options.rows:.0f} ms a row; largest process {megabytes:.0f} MB"
    )


if __name__ == "__main__":
    main()
