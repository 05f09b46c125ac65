"""`measure` and the protocol against everything there is truth about.

    python -m benchmarks.measure --data ../shared/data [--only ludb,ptbxl] [--json FILE]

Sections, each also by itself with `--only`:
    ludb        intervals, marks and amplitudes against LUDB's cardiologists, beside neurokit2
    cinc        40 records of other makers: a value or a reason, never a crash
    draws       1,000 noise-free simulated patients: every quantity against the truth
    conditions  every condition of the simulator's catalogue: is the dialled diagnosis found
    noise       the same hearts at five levels of noise
    ptbxl       diagnoses against PTB-XL's statements, folds 1-7
    ptbxl_z     the same on the uncalibrated records: what can be judged without voltages

The tables are Markdown on stdout; bars are on stderr. Set OMP_NUM_THREADS=1 for the speed.
About six minutes on one core. Needs the extra `dev`.
"""

import argparse
import json
import warnings
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure_ludb import cinc_tables, ludb_tables
from benchmarks.measure_ptbxl import ptbxl_tables
from benchmarks.measure_simulated import condition_tables, draw_tables, noise_tables
from benchmarks.tables import Table
from ecg_r1 import DISCLAIMER

SECTIONS: dict[str, Callable[[argparse.Namespace], list[Table]]] = {
    "ludb": lambda a: ludb_tables(a.data / "ludb", a.records, a.neurokit),
    "cinc": lambda a: cinc_tables(a.data / "cinc2021"),
    "draws": lambda a: draw_tables(a.draws, a.processes),
    "conditions": lambda a: condition_tables(a.per_condition, a.processes),
    "noise": lambda a: noise_tables(a.hearts, a.processes),
    "ptbxl": lambda a: ptbxl_tables(a.data / "ptbxl", a.processes),
    "ptbxl_z": lambda a: ptbxl_tables(a.data / "ptbxl_z", a.processes),
}


def _sections(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"{unknown[0]!r} is no section; choose from {', '.join(SECTIONS)}"
        )
    return names


def _records(text: str) -> range:
    try:
        first, last = (int(part) for part in text.split("-"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no range; write 1-100") from error
    return range(first, last + 1)


def _count(text: str) -> int:
    if not text.isdecimal() or text == "0":
        raise argparse.ArgumentTypeError(f"{text!r} is no count; give 1 or more")
    return int(text)


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument(
        "--only", type=_sections, default=list(SECTIONS), help=f"some of {','.join(SECTIONS)}"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    parser.add_argument("--processes", type=_count, default=1, help="for all but ludb, cinc")
    parser.add_argument("--records", type=_records, default=_records("1-100"), help="of LUDB")
    parser.add_argument("--neurokit", type=int, default=20, help="records for neurokit2 (slow)")
    parser.add_argument("--draws", type=_count, default=1000, help="patients of `draws`")
    parser.add_argument("--per-condition", type=_count, default=20, help="of `conditions`")
    parser.add_argument("--hearts", type=_count, default=100, help="of `noise`, at each level")
    return parser.parse_args(arguments)


def main() -> None:
    """Prints the tables of every section asked for, each as soon as it is there."""
    asked = options()
    warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
    made: dict[str, list[Table]] = {}
    print(f"{DISCLAIMER}\n")
    for name in asked.only:
        made[name] = SECTIONS[name](asked)
        for table in made[name]:
            print(table.markdown(), flush=True)
    if asked.json is not None:
        plain = {name: [table.to_json() for table in tables] for name, tables in made.items()}
        asked.json.write_text(json.dumps(plain, indent=1, allow_nan=False), encoding="utf-8")


if __name__ == "__main__":
    main()
