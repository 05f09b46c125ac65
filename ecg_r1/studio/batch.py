"""Many records into one table: `python -m ecg_r1 read FOLDER -o table.csv`."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecg_r1 import DISCLAIMER
from ecg_r1.auditing import audit
from ecg_r1.display import HEADLINE
from ecg_r1.ecg import ECGError
from ecg_r1.inputs import IMAGE_SUFFIXES, RECORD_SUFFIXES, open_case
from ecg_r1.studio.study import study

if TYPE_CHECKING:
    from ecg_r1.loading import LoadedModel

PARTS = (".dat", ".mat")  # of a WFDB record, which its header brings along


def records(folder: Path) -> list[Path]:
    """The ECG files of a folder and of those in it, by name.

    Raises:
        ECGError: There is none; names the folder.
    """
    known = {*RECORD_SUFFIXES, *IMAGE_SUFFIXES}
    found = sorted(
        one for one in folder.rglob("*") if one.suffix.lower() in known and one.is_file()
    )
    headers = {one.with_suffix("") for one in found if one.suffix.lower() == ".hea"}
    kept = [
        one
        for one in found
        if not (one.suffix.lower() in PARTS and one.with_suffix("") in headers)
    ]
    if not kept:
        raise ECGError(f"no ECG file in {str(folder)!r}; known are {', '.join(sorted(known))}")
    return kept


def read_folder(
    folder: Path,
    table: Path,
    *,
    model: "LoadedModel",
    arms: Sequence[str],
    **given: Any,
) -> Iterator[str]:
    """Read and audit every ECG of a folder into a CSV table, a row as soon as it is done.

    Args:
        folder: Where the records lie.
        table: Where the table goes: one row a file, measured values, and for each arm its
            diagnoses, whether it is well formed, and its hallucination rate. A file that cannot
            be read has its reason in the column `problem`.
        model: A loaded model.
        arms: Some of "signal", "image", "both".
        given: `fs`, `units`, `leads`, for files that do not carry them.

    Yields:
        A line for each file, to be shown.

    Raises:
        ECGError: No record, or the table is not named .csv.
    """
    from ecg_r1.reading import interpret

    if table.suffix.lower() != ".csv":
        raise ECGError(f"cannot write {table.name!r}; name the table .csv")
    # The table of the last time may lie among the records.
    files = [one for one in records(folder) if one.resolve() != table.resolve()]
    columns = ["file", *HEADLINE, "criteria"]
    columns += [f"{arm}_{name}" for arm in arms for name in _ARM]
    columns += ["model", "problem", "disclaimer"]
    with table.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, columns, restval="")
        writer.writeheader()
        for number, file in enumerate(files, start=1):
            row = {"file": file.relative_to(folder).as_posix(), "disclaimer": DISCLAIMER}
            try:
                case = open_case([file], **given)
                here = study(case, file.name)
                found = interpret(ecg=case.ecg, image=case.image, model=model, arms=arms)
                row |= _values(here) | {"model": model.name}
                for arm, reading in found.items():
                    row |= _arm(arm, reading, here)
            except (ECGError, OSError) as error:  # OSError: a file that may not be read
                row["problem"] = " ".join(str(error).split())
            writer.writerow({name: _cell(value) for name, value in row.items()})
            out.flush()
            yield f"{number}/{len(files)} {row['file']}: {row.get('problem') or 'read'}"


_ARM = ("diagnoses", "well_formed", "hallucination_rate", "problem")


def _values(here: Any) -> dict[str, Any]:
    if here.measured is None:
        return {}
    values = {name: getattr(here.measured, name) for name in HEADLINE}
    rounded = {name: None if v is None else round(v, 1) for name, v in values.items()}
    return rounded | {"criteria": "; ".join(here.found.diagnoses)}


def _arm(arm: str, reading: Any, here: Any) -> dict[str, Any]:
    rate = None if reading.problem else audit(reading.text, here.facts).hallucination_rate
    return {
        f"{arm}_diagnoses": "; ".join(reading.diagnoses),
        f"{arm}_well_formed": reading.well_formed,
        f"{arm}_hallucination_rate": None if rate is None else round(rate, 3),
        f"{arm}_problem": reading.problem,
    }


def _cell(value: Any) -> Any:
    """A spreadsheet runs what begins like a formula; a stranger's words must not."""
    if value is None:
        return ""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value
