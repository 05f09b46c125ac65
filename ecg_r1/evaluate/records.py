"""Records to evaluate on: found, measured once, and kept with the truth about them."""

import ast
import csv
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from ecg_r1.claims.facts import Facts
from ecg_r1.corpus.plan import PlanError, make_plan
from ecg_r1.corpus.record import Measured, measured, pack_signal
from ecg_r1.corpus.sources import tasks_named
from ecg_r1.corpus.task import Task, chance, stable_hash
from ecg_r1.corpus.template import write, write_report
from ecg_r1.corpus.writing import plan_of
from ecg_r1.ecg import ECG, ECGError
from ecg_r1.evaluate.files import Truth, keep_truth, read_truths, write_whole
from ecg_r1.formats import wfdb_header_lines
from ecg_r1.measurement import measure
from ecg_r1.protocol import apply_protocol
from ecg_r1.report import format_report

# Where PTB-XL is looked for when nobody says: where `fetch` puts it, and beside the project.
USUAL_FOLDERS = ("data/ptbxl", "data/ptbxl_z", "../shared/data/ptbxl", "../shared/data/ptbxl_z")
LEFT_OUT = "left_out.txt"


@dataclass(frozen=True)
class Listed:
    """A task with what only evaluation asks for."""

    task: Task
    patient: str
    codes: tuple[str, ...]


def usual_sources() -> tuple[str, ...]:
    """PTB-XL where it usually lies.

    Raises:
        ECGError: It lies in none of these places.
    """
    places = USUAL_FOLDERS[:2] if Path(USUAL_FOLDERS[0]).is_dir() else USUAL_FOLDERS[2:]
    found = tuple(f"ptbxl:{place}" for place in places if Path(place).is_dir())
    if not found:
        raise ECGError(
            f"no PTB-XL in {', '.join(USUAL_FOLDERS)}: fetch it with `python -m ecg_r1 fetch "
            "ptbxl --folds 8`, or name records with --data"
        )
    return found


def list_records(
    sources: Sequence[str],
    *,
    split: str | None = "report",
    limit: int | None = None,
    seed: int = 0,
) -> list[Listed]:
    """The records of some sources that are there to be reported on.

    Args:
        sources: As `python -m ecg_r1 corpus` takes them: "ptbxl:FOLDER", "cinc:FOLDER", ...
        split: "train", "choose" or "report"; None takes all.
        limit: At most so many, drawn by a hash of seed and key, so that a larger limit keeps
            the records of a smaller one.
        seed: Of that draw.

    Raises:
        ECGError: No record is left.
    """
    found: list[Listed] = []
    for source in sources:
        extra = _ptbxl_extra(source)
        for task in tasks_named(source):
            if task.problem or task.variant or (split and task.split != split):
                continue
            patient, codes = extra.get(Path(task.record).name, (task.sample_id, ()))
            found.append(Listed(task, patient, codes or _dx_codes(task)))
    if not found:
        raise ECGError(
            f"{', '.join(sources)} holds no record to {split or 'evaluate on'}: give another "
            "source, or --split all"
        )
    if limit is not None and limit < len(found):
        rank = sorted(found, key=lambda one: stable_hash(f"{seed}:{one.task.sample_id}"))
        kept = {one.task.sample_id for one in rank[:limit]}
        found = [one for one in found if one.task.sample_id in kept]
    return found


def _ptbxl_extra(source: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """File name of a PTB-XL record to its patient and its SCP statements."""
    kind, _, where = source.partition(":")
    table = Path(where) / "ptbxl_database.csv"
    if kind != "ptbxl" or not table.is_file():
        return {}
    with table.open(newline="", encoding="utf-8") as file:
        return {
            Path(row["filename_hr"]).name: (
                f"ptbxl {float(row['patient_id']):.0f}",
                tuple(ast.literal_eval(row["scp_codes"])),
            )
            for row in csv.DictReader(file)
        }


def _dx_codes(task: Task) -> tuple[str, ...]:
    """SNOMED codes of a challenge record's header; none for other files."""
    header = Path(task.record).with_suffix(".hea")
    if task.source == "simulated" or not header.is_file():
        return ()
    _, comments = wfdb_header_lines(header)
    said = [line.partition(":")[2] for line in comments if line.lower().startswith("dx:")]
    return tuple(code.strip() for line in said for code in line.split(",") if code.strip())


def prepare(listed: Iterable[Listed], folder: Path) -> list[Truth]:
    """Measure every record once and keep the truth about it; goes on where it was cut off.

    A record that cannot be read or has no measurable heart rate is named in `LEFT_OUT` of the
    folder, which is empty when there is none, and never replaced by another one.
    """
    listed = list(listed)
    folder.mkdir(parents=True, exist_ok=True)
    known = {one.record: one for one in read_truths(folder)}
    problems = []
    for one in tqdm(listed, desc="measuring", unit="record"):
        if one.task.sample_id in known:
            continue
        try:
            truth = truth_of(one)
        except ECGError as error:
            problems.append(f"{one.task.sample_id}: {error}")
            continue
        keep_truth(folder, truth)
        known[truth.record] = truth
    write_whole(folder / LEFT_OUT, "".join(f"{line}\n" for line in problems))
    wanted = [one.task.sample_id for one in listed]
    return [known[key] for key in wanted if key in known]


def truth_of(one: Listed) -> Truth:
    """Measure a record.

    Raises:
        ECGError: It cannot be read, has no measurable heart rate, or no label.
    """
    record = measured(one.task)
    ecg = record.ecg
    facts = Facts.of(
        record.m,
        record.findings,
        key=record.labels,
        calibrated=ecg.calibrated,
        person=(ecg.age_years, ecg.sex),
    )
    return Truth(
        record=one.task.sample_id,
        patient=one.patient,
        task=one.task.to_json(),
        labels=record.labels,
        codes=one.codes,
        facts=json.loads(facts.to_json()),
        reference=reference_text(one.task, record),
        signal_hash=hashlib.sha256(pack_signal(ecg).tobytes()).hexdigest()[:16],
    )


def reference_text(task: Task, record: Measured) -> str:
    """A reading written from measurements and answer key by the corpus' own writer."""
    try:
        report = write(plan_of(task, record), chance(0, task.sample_id, "reference"))
    except PlanError:  # the key contradicts the trace: only plain sentences can hold both
        report = write_report(record.m, record.findings, record.labels)
    return format_report(report)


def protocol_text(ecg: ECG) -> str:
    """What the protocol engine alone would write, without any label.

    Raises:
        ECGError: No heart rate can be measured, or the protocol names no diagnosis.
    """
    m = measure(ecg)
    found = apply_protocol(m, age_years=ecg.age_years, sex=ecg.sex, calibrated=ecg.calibrated)
    if m.hr_bpm is None:
        raise ECGError(f"no heart rate: {m.unmeasurable['hr_bpm']}")
    if not found.diagnoses:
        raise ECGError("the protocol names no diagnosis")
    try:
        plan = make_plan(m, found, found.diagnoses, calibrated=ecg.calibrated)
        report = write(plan, np.random.default_rng(0), detail="standard")
    except PlanError:
        report = write_report(m, found, found.diagnoses)
    return format_report(report)
