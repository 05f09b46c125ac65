"""Where records come from: each data set in its publisher's own layout."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from ecg_r1.corpus.databases import REPORT_LINES, labels_from_statements
from ecg_r1.corpus.record import measured
from ecg_r1.corpus.sources import folder_tasks, source_named, tasks_named
from ecg_r1.corpus.task import Task, hashed_split
from ecg_r1.ecg import LEADS, ECGError, read_ecg


@pytest.fixture
def example(assets):
    return assets / "ecgs" / "A0002.hea"


def put(example, target):
    """A copy of a shipped WFDB record under another name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    header = example.read_text().replace(example.stem, target.name)
    target.with_suffix(".hea").write_text(header)
    for suffix in (".dat", ".mat"):
        if example.with_suffix(suffix).is_file():
            shutil.copy(example.with_suffix(suffix), target.with_suffix(suffix))


def write_table(file, rows):
    names = list(dict.fromkeys(name for row in rows for name in row))
    with file.open("w", newline="") as out:
        table = csv.DictWriter(out, names)
        table.writeheader()
        table.writerows(rows)


# --- PTB-XL -----------------------------------------------------------------------------------


def ptbxl(tmp_path, example, **more):
    row = {
        "ecg_id": 1,
        "age": "63.0",
        "sex": "1",
        "report": "sinusrhythmus",
        "scp_codes": "{'SR': 0.0, 'LVH': 100.0}",
        "heart_axis": "MID",
        "strat_fold": "1",
        "filename_hr": "records500/00000/00001_hr",
    }
    put(example, tmp_path / row["filename_hr"])
    write_table(tmp_path / "ptbxl_database.csv", [row | more])
    (task,) = tasks_named(f"ptbxl:{tmp_path}")
    return task


def test_ptbxl_tells_labels_report_age_and_sex(tmp_path, example):
    task = ptbxl(tmp_path, example)
    assert task.labels == ("sinus rhythm", "left ventricular hypertrophy")
    assert (task.age_years, task.sex, task.split) == (63.0, "female", "train")
    assert task.report == "sinusrhythmus"
    record = measured(task)
    assert (record.ecg.age_years, record.ecg.sex, record.key) == (63.0, "female", "dataset")


def test_ptbxl_writes_300_for_those_above_89_years(tmp_path, example):
    assert ptbxl(tmp_path, example, age="300.0").age_years == 90


@pytest.mark.parametrize(
    ("code", "report", "label"),
    [
        ("LAD", "sinusrhythmus linkstyp", None),  # the "left type" ends where deviation begins
        ("LAD", "sinus rhythm. left axis deviation.", "left axis deviation"),
        ("ALAD", "überdrehter linkstyp", "left axis deviation"),
        ("RAD", "rechtstyp", "right axis deviation"),
        ("MID", "lagetyp normal", None),
    ],
)
def test_the_axis_column_is_a_label_where_it_means_a_deviation(
    tmp_path, example, code, report, label
):
    task = ptbxl(tmp_path, example, heart_axis=code, report=report)
    assert set(task.labels) - {"sinus rhythm", "left ventricular hypertrophy"} == {
        *([label] if label else [])
    }


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"scp_codes": "{'SVARR': 0.0}"}, "no label of ours: SVARR"),
        ({"strat_fold": "9"}, "strat_fold 9 is held back"),
        ({"filename_hr": "records500/00000/00002_hr"}, "its file is not in the folder"),
    ],
)
def test_what_ptbxl_loses_is_said(tmp_path, example, more, reason):
    assert ptbxl(tmp_path, example).problem == ""
    write_table(
        tmp_path / "ptbxl_database.csv",
        [
            {
                "scp_codes": "{'SR': 0.0}",
                "strat_fold": "1",
                "filename_hr": "records500/00000/00001_hr",
            }
            | more
        ],
    )
    (task,) = tasks_named(f"ptbxl:{tmp_path}")
    assert task.problem == reason
    with pytest.raises(ECGError, match=reason.split()[0]):
        measured(task)


def test_the_real_ptbxl_keeps_patients_together(shared):
    folder = shared / "data" / "ptbxl"
    with (folder / "ptbxl_database.csv").open(encoding="utf-8") as lines:
        patient = {Path(r["filename_hr"]).name: r["patient_id"] for r in csv.DictReader(lines)}
    splits = {}
    for task in tasks_named(f"ptbxl:{folder}"):
        splits.setdefault(patient[Path(task.record).name], set()).add(task.split)
    assert len(splits) > 300
    assert all(len(found) == 1 for found in splits.values())


def test_uncalibrated_records_stay_so(shared):
    task = next(t for t in tasks_named(f"ptbxl:{shared / 'data' / 'ptbxl_z'}") if not t.problem)
    assert not measured(task).ecg.calibrated


# --- LUDB -------------------------------------------------------------------------------------


def ludb(tmp_path, example, **more):
    row = {
        "ID": "7",
        "Sex": "F",
        "Age": ">89",
        "Rhythms": "Sinus bradycardia",
        "Electric axis of the heart": "Electric axis of the heart: normal",
        "Conduction abnormalities": "",
        "Ischemia": "",
        "Other states": "",
    }
    put(example, tmp_path / "data" / "7")
    write_table(tmp_path / "ludb.csv", [row | more])
    (task,) = tasks_named(f"ludb:{tmp_path}")
    return task


@pytest.mark.parametrize(
    ("more", "labels"),
    [
        ({}, ("sinus bradycardia", "normal ecg")),
        (
            {"Electric axis of the heart": "Electric axis of the heart: left axis deviation"},
            ("sinus bradycardia",),
        ),
        (
            {"Conduction abnormalities": "I degree av block\nLeft anterior hemiblock"},
            ("sinus bradycardia", "first-degree av block", "left anterior fascicular block"),
        ),
        (
            {"Ischemia": "Stemi: apical\nScar formation: inferior wall\nIschemia: septal"},
            ("sinus bradycardia", "anterior myocardial infarction",
             "inferior myocardial infarction", "myocardial ischaemia"),
        ),
        # Said, but by no label of ours: then it is not normal either.
        ({"Ischemia": "Undefined ischemia/scar/supp.nstemi: septal"}, ("sinus bradycardia",)),
        (
            {"Rhythms": "Atrial flutter, typical",
             "Other states": "Early repolarization syndrome"},
            ("atrial flutter", "early repolarisation"),
        ),
        (
            {"Conduction abnormalities": "Ventricular extrasystole, type: single pvc\n"
             "Atrial extrasystole: low atrial\nNon-specific intravintricular conduction delay"},
            ("sinus bradycardia", "premature atrial complexes",
             "premature ventricular complexes",
             "nonspecific intraventricular conduction delay"),
        ),
    ],
)  # fmt: skip
def test_ludb_labels_by_hand(tmp_path, example, more, labels):
    assert ludb(tmp_path, example, **more).labels == labels


def test_ludb_trains_and_tells_age_and_sex(tmp_path, example):
    task = ludb(tmp_path, example)
    assert (task.sample_id, task.split) == ("ludb/7/0", "train")
    assert (task.age_years, task.sex) == (90, "female")
    assert ludb(tmp_path, example, Rhythms="Cold feet").problem.startswith("no label of ours")
    assert ludb(tmp_path, example, ID="8").problem == "its file is not in the folder"
    with pytest.raises(ECGError, match=r"holds no ludb\.csv"):
        list(tasks_named(f"ludb:{tmp_path / 'data'}"))


def test_the_real_ludb_has_a_label_for_every_record_and_its_voltages(shared):
    tasks = list(tasks_named(f"ludb:{shared / 'data' / 'ludb'}"))
    assert len(tasks) == 100
    assert not [task for task in tasks if task.problem or task.split != "train"]
    counts = Counter(label for task in tasks for label in task.labels)
    # Counted in ludb.csv with grep; 4 records have nothing in the columns of disease.
    assert (counts["atrial fibrillation"], counts["left anterior fascicular block"]) == (9, 11)
    assert (counts["left bundle branch block"], counts["normal ecg"]) == (4, 4)
    record = measured(tasks[0])
    assert record.ecg.calibrated
    assert (record.ecg.age_years, record.ecg.sex) == (51, "female")
    assert record.labels == tasks[0].labels


# --- MIMIC-IV-ECG -----------------------------------------------------------------------------


def mimic(tmp_path, example, statements, *, shuffled=False):
    """A folder of MIMIC-IV-ECG: leads in its order, with aVF before aVL."""
    records, machine = [], []
    for study, lines in statements.items():
        path = f"files/p1000/p1000{study}/s{study}/{study}"
        put(example, tmp_path / path)
        records.append(
            {
                "subject_id": f"1000{study}",
                "study_id": study,
                "file_name": study,
                "ecg_time": "2180-07-23 08:44:00",
                "path": path,
            }
        )
        reports = dict(zip(REPORT_LINES, [*lines, *[""] * 18], strict=False))
        machine.append(
            {"subject_id": f"1000{study}", "study_id": study, "cart_id": "6848296", **reports}
            | {"rr_interval": "659", "qrs_axis": "-39"}
        )
    write_table(tmp_path / "record_list.csv", records)
    write_table(tmp_path / "machine_measurements.csv", machine[:: -1 if shuffled else 1])
    return list(tasks_named(f"mimic:{tmp_path}"))


STATEMENTS = {
    "40689238": ["Sinus rhythm with PACs", "Possible inferior infarct - age undetermined"],
    "44458630": ["Atrial fibrillation", "Left axis deviation", "Abnormal ECG"],
    "49036311": ["--- Pediatric criteria used ---"],
}


@pytest.mark.parametrize("shuffled", [False, True])
def test_mimic_reads_the_machines_statements(tmp_path, example, shuffled):
    first, second, third = mimic(tmp_path, example, STATEMENTS, shuffled=shuffled)
    # A hedged infarct is no label.
    assert first.labels == ("sinus rhythm", "premature atrial complexes")
    assert second.labels == ("atrial fibrillation", "left axis deviation")
    assert third.problem == "no label of ours: --- Pediatric criteria used ---"
    assert first.report.startswith("Sinus rhythm with PACs\nPossible inferior")
    assert first.sample_id == "mimic/40689238/0"
    assert all(task.restricted for task in (first, second, third))


def test_mimic_leads_are_matched_by_name(tmp_path, example):
    path = tmp_path / "files/p1000/p10001/s1/1"
    put(example, path)
    lines = path.with_suffix(".hea").read_text().splitlines()
    names = [line.split()[-1] for line in lines[1:13]]
    assert names == list(LEADS)
    # The order of MIMIC's files; the samples stay, so each lead now names another channel.
    order = ["I", "II", "III", "aVR", "aVF", "aVL", *LEADS[6:]]
    lines[1:13] = [
        f"{line.rsplit(' ', 1)[0]} {name}"
        for line, name in zip(lines[1:13], order, strict=True)
    ]
    path.with_suffix(".hea").write_text("\n".join(lines) + "\n")
    before, after = read_ecg(example), read_ecg(path)
    assert (after.lead("aVF") == before.lead("aVL")).all()
    assert (after.lead("aVL") == before.lead("aVF")).all()


def test_studies_without_statements_are_said(tmp_path, example):
    mimic(tmp_path, example, {"1": ["Sinus rhythm"]})
    write_table(
        tmp_path / "machine_measurements.csv",
        [{"study_id": "2", **dict.fromkeys(REPORT_LINES)}],
    )
    (task,) = tasks_named(f"mimic:{tmp_path}")
    assert task.problem == "machine_measurements.csv does not name its study"


@pytest.mark.parametrize(
    ("lines", "labels"),
    [
        (
            ["Sinus bradycardia.", "Normal ECG except for rate"],
            ("sinus bradycardia", "normal ecg"),
        ),
        (["Possible inferior infarct - age undetermined"], ()),
        (["Cannot rule out anterior infarct", "Sinus rhythm"], ("sinus rhythm",)),
        (
            ["Atrial fibrillation with right bundle branch block and left axis deviation"],
            ("atrial fibrillation", "left axis deviation", "right bundle branch block"),
        ),
        (["Atrial fibrillation or sinus rhythm with PACs"], ()),  # one of them at most
        ([], ()),
    ],
)
def test_statements_become_labels(lines, labels):
    assert set(labels_from_statements(lines)) == set(labels)


# --- CinC -------------------------------------------------------------------------------------


def test_cinc_reads_the_codes_of_the_header(tmp_path, example):
    put(example, tmp_path / "g1" / "E00001")
    header = tmp_path / "g1" / "E00001.hea"
    kept = [line for line in header.read_text().splitlines() if "Dx" not in line]
    header.write_text("\n".join([*kept, "# Dx: 426177001,59118001", ""]))
    put(example, tmp_path / "HR00001")
    (tmp_path / "broken.hea").write_text("broken 12 500\n")
    by_name = {Path(task.record).stem: task for task in tasks_named(f"cinc:{tmp_path}")}
    copy, broken, task = by_name["HR00001"], by_name["broken"], by_name["E00001"]
    assert "copy of a PTB-XL record" in copy.problem
    assert "lists 0" in broken.problem
    assert task.labels == ("sinus bradycardia", "right bundle branch block")


def test_real_challenge_records_have_labels(shared):
    tasks = list(tasks_named(f"cinc:{shared / 'data' / 'cinc2021'}"))
    assert len(tasks) == 40
    assert sum(bool(task.labels) for task in tasks) >= 38
    assert measured(next(t for t in tasks if t.labels)).m.hr_bpm > 20


# --- a folder ---------------------------------------------------------------------------------


def test_a_folder_without_a_table_is_keyed_by_the_protocol(tmp_path, example, assets):
    put(example, tmp_path / "ward" / "a")
    shutil.copy(next((assets / "ecgs").glob("*.dcm")), tmp_path / "b.dcm")
    tasks = list(folder_tasks(tmp_path))
    assert [task.sample_id.split("/", 1)[1] for task in tasks] == ["b/0", "ward/a/0"]
    record = measured(tasks[1])
    assert record.key == "protocol"
    assert record.labels == tuple(record.findings.diagnoses)


def test_a_table_says_more_of_a_folder(tmp_path, example):
    for name in ("a", "b", "c", "d"):
        put(example, tmp_path / name)
    write_table(
        tmp_path / "labels.csv",
        [
            {"file": "a.hea", "labels": "RBBB; sinus rhythm", "split": "report", "age": "51"},
            {"file": "b", "labels": "cold feet"},
            {"file": "c", "labels": "sinus rhythm", "split": "tests", "calibrated": "no"},
        ],
    )
    a, b, c, d = folder_tasks(tmp_path)
    assert a.labels == ("sinus rhythm", "right bundle branch block")
    assert (a.split, a.age_years, a.problem) == ("report", 51.0, "")
    assert b.problem == "no label of ours: cold feet"
    assert "split 'tests'" in c.problem
    assert c.calibrated is False
    assert d.problem == "labels.csv does not name it"


def test_csv_files_get_their_rate_and_units_from_the_table(tmp_path, example):
    ecg = read_ecg(example)
    lines = [",".join(LEADS), *(",".join(f"{v:.4f}" for v in s) for s in ecg.signal.T)]
    (tmp_path / "x.csv").write_text("\n".join(lines))
    write_table(tmp_path / "labels.csv", [{"file": "x.csv", "fs": "500", "units": "mV"}])
    (task,) = folder_tasks(tmp_path)
    assert measured(task).ecg.signal.shape == ecg.signal.shape


def test_patients_are_not_split(tmp_path, example):
    names = [f"r{i}" for i in range(6)]
    for name in names:
        put(example, tmp_path / name)
    write_table(tmp_path / "labels.csv", [{"file": name, "patient": "one"} for name in names])
    assert len({task.split for task in folder_tasks(tmp_path)}) == 1


def test_hashed_splits_are_stable_and_near_their_shares():
    splits = [hashed_split(f"patient {i}") for i in range(5000)]
    assert 0.78 < splits.count("train") / 5000 < 0.82
    assert 0.08 < splits.count("report") / 5000 < 0.12
    assert splits[:4] == [hashed_split(f"patient {i}") for i in range(4)]


# --- published corpora ------------------------------------------------------------------------

ANSWER = (
    "<think>\n**Step 1: Technical, Rate & Rhythm** Rate 70.\n</think>\nAll well.\n"
    "<answer>sinus rhythm; normal ecg</answer>"
)


def published(tmp_path, example, **more):
    put(example, tmp_path / "mimic_ecg" / "files" / "40000017")
    sample = {
        "id": "40000017",
        "messages": [
            {"role": "system", "content": "You are."},
            {"role": "user", "content": "<ecg><image>\nInterpret."},
            {"role": "assistant", "content": ANSWER},
        ],
        "images": ["mimic_gen/40000017-0.png"],
        "objects": {"ecg": ["mimic_ecg/files/40000017"]},
    }
    file = tmp_path / "cot.jsonl"
    file.write_text(json.dumps(sample | more) + "\n\n")
    (task,) = tasks_named(f"published:{file}")
    return task


def test_a_published_sample_keeps_its_own_words(tmp_path, example):
    task = published(tmp_path, example)
    assert task.labels == ("sinus rhythm", "normal ecg")
    assert json.loads(task.messages)[1]["content"].endswith("Interpret.")
    assert task.restricted
    assert task.problem == ""
    assert measured(task).m.hr_bpm > 20


def test_ecginstruct_as_first_published_is_read_too(tmp_path, example):
    task = published(
        tmp_path,
        example,
        messages=None,
        conversations=[
            {"from": "human", "value": "<image>\nIs there atrial fibrillation?"},
            {"from": "gpt", "value": "No, P waves precede each QRS complex."},
        ],
    )
    assert [turn["role"] for turn in json.loads(task.messages)] == ["user", "assistant"]
    assert task.labels == ()
    assert measured(task).labels == ()  # its text is not ours to key


def test_a_published_sample_does_not_reach_out_of_its_folder(tmp_path, example):
    put(example, tmp_path / "outside" / "1")
    (tmp_path / "corpus").mkdir()
    task = published(tmp_path / "corpus", example, objects={"ecg": ["../outside/1"]})
    assert "is not below" in task.problem


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"objects": {"ecg": ["elsewhere/1"]}}, "its record 'elsewhere/1' is not below"),
        ({"messages": [{"role": "user", "content": "?"}]}, "nothing to learn"),
    ],
)
def test_what_a_published_sample_lacks_is_said(tmp_path, example, more, reason):
    assert reason in published(tmp_path, example, **more).problem


def test_a_line_that_is_no_json_is_quoted(tmp_path):
    (tmp_path / "x.jsonl").write_text("[1, 2]\n")
    with pytest.raises(ECGError, match=r"x\.jsonl, line 1: '\[1, 2\]'"):
        list(tasks_named(f"published:{tmp_path / 'x.jsonl'}"))
    (tmp_path / "x.jsonl").write_text("not json\n")
    with pytest.raises(ECGError, match="line 1: 'not json' is no JSON"):
        list(tasks_named(f"published:{tmp_path / 'x.jsonl'}"))


# --- by name ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("moon:1", "'moon' is no source; choose from simulated:COUNT"),
        ("ptbxl", "write ptbxl:FOLDER"),
        ("simulated:many", "simulated:many is no number"),
        ("simulated:5@x", "no number of patients"),
        ("mimic:/nowhere", "holds no record_list.csv"),
        ("cinc:/nowhere", "holds no WFDB header"),
        ("folder:/nowhere", "no such folder: /nowhere"),
        ("published:/nowhere.jsonl", "no such file"),
    ],
)
def test_a_bad_source_says_what_to_write(text, words):
    with pytest.raises(ECGError, match=words):
        list(tasks_named(text))


def test_a_table_with_other_columns_is_refused(tmp_path):
    write_table(tmp_path / "ptbxl_database.csv", [{"a": 1}])
    with pytest.raises(ECGError, match="lacks the column filename_hr, scp_codes, strat_fold"):
        list(tasks_named(f"ptbxl:{tmp_path}"))


def test_every_source_has_a_licence_for_the_card():
    for name in ("simulated", "ptbxl", "mimic", "cinc", "folder", "published"):
        assert source_named(name).licence


def test_a_task_survives_a_table():
    task = Task("x", "y", ("sinus rhythm",), leads=("I", "II"), age_years=5.0, restricted=True)
    assert Task.from_json(json.loads(json.dumps(task.to_json()))) == task
