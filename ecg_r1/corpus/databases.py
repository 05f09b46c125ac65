"""The big public data sets, each as its publisher lays it out, as tasks.

Tables are read line by line: MIMIC-IV-ECG has 800,000 rows.
"""

import ast
import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ecg_r1.corpus.task import Task, hashed_split
from ecg_r1.ecg import ECGError
from ecg_r1.formats import wfdb_header_lines
from ecg_r1.labels import canonical, in_order, labels_from_scp, labels_from_snomed

SPLITS = {7: "choose", 8: "report"}  # strat_fold to split; folds 1-6 train
HELD_BACK = (9, 10)
TOP_AGE = 90.0  # PTB-XL writes 300 for patients of 90 and older


def _rows(table: Path, columns: Iterable[str]) -> Iterator[dict[str, str]]:
    """Rows of a CSV table, one at a time; refuses one without the columns."""
    with table.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        lacking = [name for name in columns if name not in (reader.fieldnames or ())]
        if lacking:
            raise ECGError(f"{table} lacks the column {', '.join(lacking)}")
        yield from reader


# --- PTB-XL -----------------------------------------------------------------------------------

# `heart_axis` to our label. LAD counts only where the report spells "left axis deviation":
# it mostly stands for the German "Linkstyp", a variant of the normal. Measured on folds 1-6 of
# shared/data, the axis is left of -30 degrees in 94 % of 67 ALAD records and in 93 % of 41
# LAD records whose report says so, but in 16 % of 45 with "Linkstyp"; it is right of 90 in
# 93 % of 14 RAD records.
AXIS_LABELS = {
    "LAD": "left axis deviation",
    "ALAD": "left axis deviation",
    "RAD": "right axis deviation",
    "ARAD": "right axis deviation",
}


def _axis_label(code: str, report: str) -> str | None:
    if code == "LAD" and "left axis deviation" not in report.lower():
        return None
    return AXIS_LABELS.get(code)


def ptbxl_listing(folder: Path, *, variants: int = 0) -> Iterator[Task]:
    """Tasks for a PTB-XL folder, with a problem for every record that is left out.

    Args:
        folder: Holds `ptbxl_database.csv` and the records it names.
        variants: Stretched copies of each training record.

    Raises:
        ECGError: If the folder is no PTB-XL.

    Source:
        Wagner et al. 2020, doi:10.1038/s41597-020-0495-6: folds keep patients together.
    """
    table = folder / "ptbxl_database.csv"
    if not table.is_file():
        raise ECGError(
            f"{folder} holds no ptbxl_database.csv: give a folder as PhysioNet has it"
        )
    for row in _rows(table, ("filename_hr", "scp_codes", "strat_fold")):
        task = _ptbxl_task(folder, row)
        yield task
        copies = variants if task.split == "train" and not task.problem else 0
        for variant in range(1, copies + 1):
            yield Task.from_json(task.to_json() | {"variant": variant})


def _ptbxl_task(folder: Path, row: dict[str, str]) -> Task:
    path, fold = folder / row["filename_hr"], int(float(row["strat_fold"]))
    codes = ast.literal_eval(row["scp_codes"])
    report = row.get("report") or ""
    axis = _axis_label(row.get("heart_axis") or "", report)
    labels = labels_from_scp(codes)
    if labels and axis:
        labels = in_order([*labels, axis])
    problem = ""
    if fold in HELD_BACK:
        problem = f"strat_fold {fold} is held back"
    elif not labels:
        problem = f"no label of ours: {', '.join(codes) or 'no statement'}"
    elif not path.with_suffix(".hea").is_file():
        problem = "its file is not in the folder"
    return Task(
        folder.name,
        str(path),
        labels,
        SPLITS.get(fold, "train"),
        report=report,
        age_years=_ptbxl_age(row.get("age") or ""),
        sex={"0": "male", "1": "female"}.get((row.get("sex") or "")[:1]),
        problem=problem,
    )


def _ptbxl_age(text: str) -> float | None:
    age = float(text) if text else None
    return TOP_AGE if age is not None and age > TOP_AGE else age


# --- MIMIC-IV-ECG -----------------------------------------------------------------------------

MIMIC_REPORTS = "machine_measurements.csv"
REPORT_LINES = tuple(f"report_{i}" for i in range(18))
# Lines of the machine that say nothing of the heart, or only how sure it is.
_HEDGE = re.compile(
    r"\b(?:possible|possibly|probable|probably|consider|cannot rule out|cannot exclude|"
    r"may be|suggests?|suspect|or)\b",
    re.IGNORECASE,
)
_PARTS = re.compile(r"\s+(?:with|and)\s+|[,;]|\s+-\s+|\.\s+", re.IGNORECASE)


def labels_from_statements(lines: Iterable[str]) -> tuple[str, ...]:
    """Canonical labels of the lines of a machine report; hedged and unknown ones give none.

    A line is taken as a whole where that is a wording we know, otherwise part by part.

    Example:
        >>> labels_from_statements(["Sinus rhythm with PACs", "Possible inferior infarct"])
        ('sinus rhythm', 'premature atrial complexes')
    """
    found = []
    for line in lines:
        whole = canonical(line)
        if whole:
            found.append(whole)
        elif not _HEDGE.search(line):
            found += [label for part in _PARTS.split(line) if (label := canonical(part))]
    return in_order(found)


def mimic_tasks(folder: Path) -> Iterator[Task]:
    """Tasks for MIMIC-IV-ECG 1.0, labelled by the statements of its machine.

    `record_list.csv` and `machine_measurements.csv` are read side by side; both go by
    `study_id`. All tasks are `restricted`. Its files put aVF before aVL, which does no harm:
    leads are matched by name.

    Raises:
        ECGError: One of the two tables is missing or has other columns.

    Source:
        Gow et al. 2023, doi:10.13026/4nqg-sb35
    """
    listing, measured = folder / "record_list.csv", folder / MIMIC_REPORTS
    for table in (listing, measured):
        if not table.is_file():
            raise ECGError(f"{folder} holds no {table.name}: give a folder as PhysioNet has it")
    statements = _Statements(measured)
    for record in _rows(listing, ("subject_id", "study_id", "path")):
        yield _mimic_task(folder, record, statements.of(record["study_id"]))


class _Statements:
    """The machine's statements by study; reads on only as far as it is asked.

    The two tables are in the same order, so that hardly a study has to be remembered.
    """

    def __init__(self, table: Path) -> None:
        self._rows = _rows(table, ("study_id", *REPORT_LINES))
        self._passed: dict[str, list[str]] = {}

    def of(self, study: str) -> list[str] | None:
        if study in self._passed:
            return self._passed.pop(study)
        for row in self._rows:
            lines = [row[name].strip() for name in REPORT_LINES if row[name]]
            if row["study_id"] == study:
                return lines
            self._passed[row["study_id"]] = lines
        return None


def _mimic_task(folder: Path, record: dict[str, str], lines: list[str] | None) -> Task:
    path = folder / record["path"]
    labels = labels_from_statements(lines or ())
    problem = ""
    if lines is None:
        problem = f"{MIMIC_REPORTS} does not name its study"
    elif not labels:
        problem = f"no label of ours: {'; '.join(lines) or 'no statement'}"
    elif not path.with_suffix(".hea").is_file():
        problem = "its file is not in the folder"
    return Task(
        "mimic",
        str(path),
        labels,
        hashed_split(f"mimic {record['subject_id']}"),
        key=record["study_id"],
        report="\n".join(lines or ()),
        restricted=True,
        problem=problem,
    )


# --- CinC 2020 and 2021 -----------------------------------------------------------------------

# Challenge names of records that are copies of PTB-XL, whose folds they would undermine.
_PTBXL_COPY = re.compile(r"HR\d{5}")


def cinc_tasks(folder: Path) -> Iterator[Task]:
    """Tasks for records of the CinC challenges, labelled by the SNOMED codes of their headers.

    Copies of PTB-XL (`HR*`) are left out: they would carry its held-back patients back in.
    The challenges do not say which records share a patient; splits are by record.

    Raises:
        ECGError: The folder holds no WFDB header.

    Source:
        Reyna et al. 2021, doi:10.13026/34va-7q14
    """
    headers = sorted(folder.rglob("*.hea"))
    if not headers:
        raise ECGError(f"{folder} holds no WFDB header (.hea)")
    for header in headers:
        yield _cinc_task(header)


def _cinc_task(header: Path) -> Task:
    name = header.stem
    try:
        _, comments = wfdb_header_lines(header)
    except ECGError as error:
        return Task("cinc", str(header), problem=str(error))
    said = [line.partition(":")[2] for line in comments if line.lower().startswith("dx:")]
    codes = [code.strip() for line in said for code in line.split(",") if code.strip()]
    labels = labels_from_snomed(codes)
    problem = "" if labels else f"no label of ours: {', '.join(codes) or 'no Dx line'}"
    if _PTBXL_COPY.fullmatch(name):
        problem = "a copy of a PTB-XL record: use the source ptbxl, which keeps its folds"
    return Task("cinc", str(header), labels, hashed_split(f"cinc {name}"), problem=problem)


# --- LUDB -------------------------------------------------------------------------------------

# Its axis gives no label: "left axis deviation" stands for a horizontal heart too. Measured on
# records 1-100, the axis is left of -30 degrees in 12 of the 38 that say so.
_LUDB_AXIS = "Electric axis of the heart"
_LUDB_ALWAYS = ("ID", "Sex", "Age", "Rhythms", _LUDB_AXIS)  # the other columns are abnormal
# Wall to territory; the septum and the apex count as anterior, as in PTB-XL's subclasses.
_WALLS = {
    "anterior wall": "anterior", "septal": "anterior", "apical": "anterior",
    "lateral wall": "lateral", "inferior wall": "inferior", "posterior wall": "posterior",
}  # fmt: skip


def labels_from_ludb(statements: Iterable[str]) -> tuple[str, ...]:
    """Canonical labels of LUDB's statements, "subject: wall" or "subject, kind: more".

    A scar and an ST elevation infarction are infarctions of their wall. What LUDB leaves open
    ("undefined ischemia/scar/supp.nstemi") and the overload of a ventricle have no label.

    Example:
        >>> labels_from_ludb(["Sinus rhythm", "Scar formation: septal"])
        ('sinus rhythm', 'anterior myocardial infarction')
    """
    found = (_ludb_label(one) for one in statements)
    return in_order(label for label in found if label)


def _ludb_label(statement: str) -> str | None:
    subject, _, rest = (part.strip() for part in statement.lower().partition(":"))
    if subject in ("stemi", "scar formation"):
        return f"{_WALLS[rest]} myocardial infarction" if rest in _WALLS else None
    return canonical(subject.partition(",")[0])


def ludb_tasks(folder: Path) -> Iterator[Task]:
    """Tasks for LUDB, all of them to train on, labelled by its cardiologists.

    They filled in the same columns for every record, so one with a sinus rhythm, no deviation
    of the axis and nothing in the columns of disease is a normal ECG.

    Raises:
        ECGError: The folder is no LUDB.

    Source:
        Kalyakulina et al. 2020, doi:10.1109/ACCESS.2020.3029211
    """
    table = folder / "ludb.csv"
    if not table.is_file():
        raise ECGError(f"{folder} holds no ludb.csv: give a folder as PhysioNet has it")
    for row in _rows(table, _LUDB_ALWAYS):
        yield _ludb_task(folder, row)


def _ludb_task(folder: Path, row: dict[str, str]) -> Task:
    path = folder / "data" / f"{row['ID'].strip()}.hea"
    said = {name: (cell or "").strip().splitlines() for name, cell in row.items()}
    disease = [one for name, cell in said.items() if name not in _LUDB_ALWAYS for one in cell]
    statements = [*said["Rhythms"], *said[_LUDB_AXIS], *disease]
    labels = labels_from_ludb([*said["Rhythms"], *disease])
    if labels and not disease and "deviation" not in row[_LUDB_AXIS]:
        labels = in_order([*labels, "normal ecg"])
    problem = "" if labels else f"no label of ours: {'; '.join(statements) or 'no statement'}"
    if labels and not path.is_file():
        problem = "its file is not in the folder"
    age = row["Age"].strip()
    return Task(
        "ludb",
        str(path),
        labels,
        report="\n".join(statements),
        age_years=TOP_AGE if age.startswith(">") else float(age) if age else None,
        sex={"F": "female", "M": "male"}.get(row["Sex"].strip()),
        problem=problem,
    )
