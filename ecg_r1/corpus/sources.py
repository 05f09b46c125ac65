"""Where records come from, behind one interface: a text names a source, tasks come out.

`"simulated:1000"`, `"ptbxl:FOLDER"`, `"mimic:FOLDER"`, `"cinc:FOLDER"`, `"ludb:FOLDER"`,
`"folder:FOLDER"` and `"published:FILE.jsonl"`; big data sets are in `databases`, published
corpora in `published`. A record that a source leaves out becomes a task with a `problem`, so
that none goes missing in silence.
"""

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ecg_r1.corpus.databases import cinc_tasks, ludb_tasks, mimic_tasks, ptbxl_listing
from ecg_r1.corpus.published import published_tasks
from ecg_r1.corpus.task import SPLIT_NAMES, Task, hashed_split
from ecg_r1.ecg import ECGError
from ecg_r1.inputs import RECORD_SUFFIXES
from ecg_r1.labels import canonical, in_order


@dataclass(frozen=True)
class Source:
    """A kind of source, and what a data card says of it.

    Attributes:
        name: As it stands before the colon.
        where: What stands behind the colon.
        about: One line on what it is.
        licence: Licence of the data.
        tasks: From what stands behind the colon to its tasks.
    """

    name: str
    where: str
    about: str
    licence: str
    tasks: Callable[[str], Iterable[Task]]


def simulated_tasks(count: int, *, first_seed: int = 0, split: str = "train") -> list[Task]:
    """Tasks for simulated records with seeds `first_seed`, `first_seed + 1`, ..."""
    return list(_simulated(count, first_seed, split))


def _simulated(count: int, first_seed: int, split: str = "train") -> Iterator[Task]:
    return (Task("simulated", str(first_seed + i), split=split) for i in range(count))


def _simulated_by_text(text: str) -> Iterator[Task]:
    """`COUNT` or `COUNT@FIRST`."""
    count, _, first = text.partition("@")
    if not count.isdecimal() or (first and not first.isdecimal()):
        raise ECGError(
            f"simulated:{text} is no number of patients: say simulated:1000, or "
            "simulated:1000@5000 for those from number 5000 on"
        )
    return _simulated(int(count), int(first or 0))


# --- a folder of records ----------------------------------------------------------------------

LABEL_FILE = "labels.csv"
_NO = ("no", "false", "0")
_ONE_PER_RECORD = tuple(suffix for suffix in RECORD_SUFFIXES if suffix not in (".dat", ".mat"))


def folder_tasks(folder: Path) -> Iterator[Task]:
    """Tasks for every WFDB, DICOM, CSV and NPY record below a folder, in order of their names.

    A table `labels.csv` in the folder may say more: `file` (path below the folder, with or
    without its suffix) and any of `labels` (parted by semicolons, any wording that
    `labels.canonical` knows), `split`, `patient`, `report`, `age`, `sex`, `calibrated`
    ("no"), `fs`, `units` and `leads`. Records are split by patient where it is said,
    otherwise by record. Without labels the protocol's diagnoses are the answer key.

    Raises:
        ECGError: The folder is none, holds no record, or its table has something unreadable.
    """
    if not folder.is_dir():
        raise ECGError(f"no such folder: {folder}")
    table = _read_table(folder / LABEL_FILE)
    found = False
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in _ONE_PER_RECORD or path == folder / LABEL_FILE:
            continue
        found = True
        name = path.relative_to(folder)
        yield _folder_task(folder.name, path, name, table)
    if not found:
        raise ECGError(f"{folder} holds no {', '.join(_ONE_PER_RECORD)} file")


def _read_table(file: Path) -> dict[str, dict[str, str]] | None:
    if not file.is_file():
        return None
    with file.open(newline="", encoding="utf-8-sig") as lines:
        rows = list(csv.DictReader(lines))
    if not rows or "file" not in rows[0]:
        raise ECGError(f"{file} needs a header row with the column 'file', and records below")
    return {(row["file"] or "").strip(): row for row in rows}


def _folder_task(
    source: str, path: Path, name: Path, table: dict[str, dict[str, str]] | None
) -> Task:
    key = name.with_suffix("").as_posix()
    if table is None:
        return Task(source, str(path), split=hashed_split(key), key=key)
    row = table.get(name.as_posix()) or table.get(key)
    if row is None:
        return Task(source, str(path), key=key, problem=f"{LABEL_FILE} does not name it")
    said = {column: (value or "").strip() for column, value in row.items() if column}
    labels, unknown = labels_of_wordings(said.get("labels", "").split(";"))
    problem = f"no label of ours: {', '.join(unknown)}" if unknown and not labels else ""
    split = said.get("split") or hashed_split(said.get("patient") or key)
    if split not in SPLIT_NAMES:
        problem = f"split {split!r} is none of {', '.join(SPLIT_NAMES)}"
    return Task(
        source,
        str(path),
        labels,
        split,
        key=key,
        report=said.get("report", ""),
        age_years=_number(said.get("age", ""), "age", key),
        sex=said.get("sex") or None,
        calibrated=False
        if said.get("calibrated", "").lower() in ("no", "false", "0")
        else None,
        fs=_number(said.get("fs", ""), "fs", key),
        units=said.get("units") or None,
        leads=tuple(lead for lead in said.get("leads", "").replace(",", " ").split() if lead),
        problem=problem,
    )


def labels_of_wordings(wordings: Iterable[str]) -> tuple[tuple[str, ...], list[str]]:
    """Canonical labels of free wordings, and the wordings that mean none of them.

    Example:
        >>> labels_of_wordings(["Normal sinus rhythm", " RBBB", "cold feet", ""])
        (('sinus rhythm', 'right bundle branch block'), ['cold feet'])
    """
    stripped = [wording.strip() for wording in wordings if wording.strip()]
    meant = {wording: canonical(wording) for wording in stripped}
    labels = in_order(label for label in meant.values() if label)
    return labels, [wording for wording, label in meant.items() if label is None]


def _number(text: str, column: str, key: str) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError as error:
        raise ECGError(f"{LABEL_FILE}: {column} {text!r} of {key} is no number") from error


# --- PTB-XL for training ----------------------------------------------------------------------


def ptbxl_tasks(folder: Path, *, variants: int = 0) -> list[Task]:
    """Tasks for a PTB-XL folder: folds 1-6 train, 7 to choose, 8 to report.

    Args:
        folder: Holds `ptbxl_database.csv` and the records it names.
        variants: Stretched copies of each training record.

    Raises:
        ECGError: If the folder is no PTB-XL.
    """
    listing = ptbxl_listing(folder, variants=variants)
    return [task for task in listing if not task.problem]


# --- by name ----------------------------------------------------------------------------------

SOURCES: tuple[Source, ...] = (
    Source(
        "simulated",
        "COUNT[@FIRST]",
        "patients of this project's simulator",
        "Apache-2.0 (this project)",
        _simulated_by_text,
    ),
    Source(
        "ptbxl",
        "FOLDER",
        "PTB-XL as PhysioNet lays it out (Wagner et al. 2020, doi:10.13026/kfzx-aw45); folds "
        "1-6 train, 7 chooses, 8 reports, 9 and 10 are held back",
        "CC BY 4.0",
        lambda where: ptbxl_listing(Path(where)),
    ),
    Source(
        "mimic",
        "FOLDER",
        "MIMIC-IV-ECG as PhysioNet lays it out (Gow et al. 2023, doi:10.13026/4nqg-sb35); "
        "split by patient",
        "ODbL 1.0; treated as under the data-use agreement of MIMIC-IV, to which it links",
        lambda where: mimic_tasks(Path(where)),
    ),
    Source(
        "cinc",
        "FOLDER",
        "records of the PhysioNet/CinC challenges 2020 and 2021 (Reyna et al. 2021, "
        "doi:10.13026/34va-7q14); split by record",
        "CC BY 4.0",
        lambda where: cinc_tasks(Path(where)),
    ),
    Source(
        "ludb",
        "FOLDER",
        "LUDB as PhysioNet lays it out (Kalyakulina et al. 2020, doi:10.13026/eegm-h675), by "
        "its cardiologists' diagnoses; all of it trains",
        "ODC-By 1.0",
        lambda where: ludb_tasks(Path(where)),
    ),
    Source(
        "published",
        "FILE.jsonl",
        "an instruction corpus as its authors published it, texts included; records are "
        "looked for beside the file",
        "its publisher's",
        lambda where: published_tasks(Path(where)),
    ),
    Source(
        "folder",
        "FOLDER",
        f"WFDB, DICOM, CSV and NPY records, with an optional {LABEL_FILE}",
        "its owner's",
        lambda where: folder_tasks(Path(where)),
    ),
)


def source_named(name: str) -> Source:
    """The kind of source of this name.

    Raises:
        ECGError: There is none; the message lists them.
    """
    for source in SOURCES:
        if source.name == name:
            return source
    known = ", ".join(f"{source.name}:{source.where}" for source in SOURCES)
    raise ECGError(f"{name!r} is no source; choose from {known}")


def tasks_named(text: str) -> Iterable[Task]:
    """The tasks of a source given as "kind:where".

    Raises:
        ECGError: Unknown kind, nothing behind the colon, or what stands there is unreadable.

    Example:
        >>> [task.sample_id for task in tasks_named("simulated:2@7")]
        ['simulated/7/0', 'simulated/8/0']
    """
    name, _, where = text.partition(":")
    source = source_named(name)
    if not where:
        raise ECGError(f"{text!r} does not say where: write {name}:{source.where}")
    return source.tasks(where)
