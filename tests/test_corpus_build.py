"""A corpus on disk: the same bytes however often a run is cut off, and nothing in silence."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from ecg_r1.corpus import Plant, RowMaker, Task, make_row, row_ecg, row_page, simulated_tasks
from ecg_r1.corpus.build import build_corpus, in_shard, load_corpus
from ecg_r1.corpus.journal import Answer
from ecg_r1.corpus.parts import file_name
from ecg_r1.corpus.template import write
from ecg_r1.ecg import ECGError, read_ecg
from ecg_r1.report import format_report, parse_report

datasets = pytest.importorskip("datasets")


def fingerprint(folder):
    """Path and content of every file."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def build(tasks, folder, **options):
    plant = Plant(options.pop("processes", 1), options.pop("model", None))
    return build_corpus(tasks, folder, plant=plant, **({"maker": RowMaker()} | options))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    rows = build(simulated_tasks(6), folder, files=True, sources=["simulated:6"])
    return folder, rows


# --- the layout -------------------------------------------------------------------------------


def test_lines_have_the_papers_layout(built):
    folder, rows = built
    samples = lines(folder / "corpus.jsonl")
    assert [sample["id"] for sample in samples] == rows["id"]
    for sample, row in zip(samples, rows, strict=True):
        assert [turn["role"] for turn in sample["messages"]] == ["system", "user", "assistant"]
        assert sample["messages"][1]["content"].startswith("<ecg><image>\nInterpret the")
        assert sample["messages"][2]["content"] == row["text"]
        assert parse_report(row["text"]).well_formed
        assert len(sample["images"]) == len(sample["objects"]["ecg"]) == 1


def test_pages_and_records_lie_where_the_lines_say(built):
    folder, rows = built
    for sample, row in zip(lines(folder / "corpus.jsonl"), rows, strict=True):
        with Image.open(folder / sample["images"][0]) as page:
            assert np.array_equal(page, row_page(row))
        record = read_ecg(folder / sample["objects"]["ecg"][0])
        assert np.array_equal(record.signal, row_ecg(row).signal)
        assert record.calibrated


def test_records_agree_with_the_wfdb_library(built):
    import wfdb

    folder, rows = built
    path = str(folder / lines(folder / "corpus.jsonl")[0]["objects"]["ecg"][0])
    record = wfdb.rdrecord(path)
    assert record.sig_name == list(row_ecg(rows[0]).leads)
    assert np.abs(record.p_signal.T - row_ecg(rows[0]).signal).max() < 1e-6
    digital = wfdb.rdrecord(path, physical=False)
    assert digital.calc_checksum() == digital.checksum


def test_datasets_reads_the_folder_without_us(built):
    folder, rows = built
    assert datasets.load_from_disk(str(folder))["id"] == rows["id"]
    assert datasets.load_dataset(
        "json", data_files=str(folder / "corpus.jsonl"), cache_dir=str(folder.parent / "cache")
    )["train"].num_rows == len(rows)


def test_the_card_counts_what_is_there(built):
    folder, rows = built
    card = (folder / "README.md").read_text()
    assert f"# {len(rows)} six-step readings" in card
    assert "| simulated:6 | patients of this project's simulator | Apache-2.0" in card
    assert f"| simulated, train | {len(rows)} |" in card
    label = rows[0]["labels"][0]
    count = sum(label in row["labels"] for row in rows)
    assert f"| {label} | {count} |" in card
    assert str(folder) not in card


def test_gaps_stay_gaps_in_the_record_and_the_page_of_uncalibrated_says_so(tmp_path, assets):
    source = assets / "ecgs" / "A0002"
    header = source.with_suffix(".hea").read_text() + "# uncalibrated\n"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "A0002.hea").write_text(header)
    shutil.copy(source.with_suffix(".dat"), tmp_path / "in")
    tasks = [Task("folder", str(tmp_path / "in" / "A0002.hea"), ("sinus rhythm",))]
    rows = build(tasks, tmp_path / "out", files=True)
    assert rows[0]["calibrated"] is False
    assert np.isnan(rows[0]["amplitudes"]).all()
    assert "mV" not in rows[0]["text"]
    sample = lines(tmp_path / "out" / "corpus.jsonl")[0]
    assert not read_ecg(tmp_path / "out" / sample["objects"]["ecg"][0]).calibrated


@pytest.mark.parametrize(
    ("one", "other"), [("a/b-c/0", "a/b/c-0"), ("a/../0", "a/./0"), ("a/ü/0", "a/ä/0")]
)
def test_different_samples_get_different_plain_file_names(one, other):
    assert file_name(one) != file_name(other)
    for name in (file_name(one), file_name(other)):
        assert "/" not in name
        assert not name.startswith(".")


# --- cut off and resumed ----------------------------------------------------------------------


def test_processes_change_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("ecg_r1.corpus.build.PART_ROWS", 2)
    tasks = simulated_tasks(5)
    build(tasks, tmp_path / "one", files=True)
    build(tasks, tmp_path / "two", files=True, processes=2)
    assert fingerprint(tmp_path / "one") == fingerprint(tmp_path / "two")


RUN = """
import sys
from pathlib import Path
import ecg_r1.corpus.build as build
from ecg_r1.corpus import Plant, RowMaker, simulated_tasks
build.PART_ROWS = 3
if __name__ == "__main__":
    build.build_corpus(
        simulated_tasks(24), Path(sys.argv[1]), plant=Plant(2), maker=RowMaker(), files=True
    )
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(RUN)

    def start(name):
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [sys.executable, str(script), str(tmp_path / name)],
            env=environment,
            stderr=subprocess.DEVNULL,
        )

    assert start("whole").wait() == 0
    markers = tmp_path / "cut" / "parts"
    for least in (1, 3):
        run = start("cut")
        deadline = time.time() + 120
        while len(list(markers.glob("*.json"))) < least and time.time() < deadline:
            time.sleep(0.02)
        run.send_signal(signal.SIGKILL)
        run.wait()
        # The workers notice that they are orphans within a second or so.
        time.sleep(2.5)
    done = {p.name: p.stat().st_mtime_ns for p in markers.glob("*.json")}
    assert 3 <= len(done) < 8
    assert start("cut").wait() == 0
    assert fingerprint(tmp_path / "cut") == fingerprint(tmp_path / "whole")
    # Finished parts were not made again.
    for name, when in done.items():
        assert (markers / name).stat().st_mtime_ns == when


def test_a_half_written_part_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr("ecg_r1.corpus.build.PART_ROWS", 2)
    tasks = simulated_tasks(4)
    build(tasks, tmp_path, files=True)
    before = fingerprint(tmp_path)
    (tmp_path / "parts" / "0-of-1-000001.json").unlink()
    (tmp_path / "parts" / "0-of-1-000001.arrow").write_bytes(b"half")
    next((tmp_path / "images").rglob("simulated-3-0.*")).write_bytes(b"half")
    (tmp_path / "parts" / "0-of-1-000001.arrow.99.tmp").write_bytes(b"stray")
    build(tasks, tmp_path, files=True)
    assert fingerprint(tmp_path) == before


def test_another_corpus_in_the_folder_is_refused(tmp_path):
    build(simulated_tasks(2), tmp_path)
    with pytest.raises(ECGError, match="made from other records"):
        build(simulated_tasks(2, first_seed=5), tmp_path)
    with pytest.raises(ECGError, match="holds a corpus with maker"):
        build(simulated_tasks(2), tmp_path, maker=RowMaker(seed=1))


# --- shards -----------------------------------------------------------------------------------


def test_shards_share_the_samples_among_them(tmp_path):
    tasks = simulated_tasks(7)
    rows = {row["id"]: row for row in build(tasks, tmp_path / "whole")}
    for i in range(3):
        build(tasks, tmp_path / "shared", shard=(i, 3))
    together = load_corpus(tmp_path / "shared")
    assert sorted(together["id"]) == sorted(rows)
    # As text, since NaN is not equal to itself.
    assert all(repr(row) == repr(rows[row["id"]]) for row in together)


def test_shards_are_even_and_stable():
    tasks = simulated_tasks(3000)
    counts = [sum(in_shard(task, (i, 4)) for task in tasks) for i in range(4)]
    assert sum(counts) == 3000
    assert min(counts) > 670
    # A hash of Python's own would change with each process.
    assert [in_shard(Task("simulated", str(i)), (0, 4)) for i in range(8)] == EXPECTED_SHARD


EXPECTED_SHARD = [False, False, False, True, False, False, False, True]


# --- rejects ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Broken(RowMaker):
    """Fails on records whose number ends in one of `digits`."""

    digits: str = ""

    def make(self, task, answer=""):
        if task.record[-1] in self.digits:
            raise ECGError(f"lead V3 is missing: {task.record}")
        return super().make(task, answer)


def test_a_record_that_fails_leaves_a_line_with_its_reason(tmp_path):
    rows = build(simulated_tasks(6), tmp_path, maker=Broken(digits="1"))
    assert rows["id"] == [f"simulated/{i}/0" for i in (0, 2, 3, 4, 5)]
    assert lines(tmp_path / "rejects.jsonl") == [
        {"id": "simulated/1/0", "reason": "lead V3 is missing: 1", "failed": True}
    ]
    assert "| failed | lead V3 is missing | 1 |" in (tmp_path / "README.md").read_text()


def test_what_a_source_leaves_out_is_listed_but_does_not_count_as_failed(tmp_path):
    tasks = [*simulated_tasks(1), *(Task("x", str(i), problem="no label") for i in range(9))]
    assert len(build(tasks, tmp_path)) == 1
    assert [r["failed"] for r in lines(tmp_path / "rejects.jsonl")] == [False] * 9


def test_a_run_with_too_many_rejects_stops_with_a_summary(tmp_path, monkeypatch):
    monkeypatch.setattr("ecg_r1.corpus.build.PART_ROWS", 5)
    monkeypatch.setattr("ecg_r1.corpus.build.FEWEST_JUDGED", 10)
    with pytest.raises(ECGError, match=r"4 of 10 records failed, more than 20%: 4 x lead V3"):
        build(simulated_tasks(40), tmp_path, maker=Broken(digits="1279"))
    assert len(lines(tmp_path / "rejects.jsonl")) == 4
    assert len(list((tmp_path / "parts").glob("*.json"))) == 2
    assert len(load_corpus(tmp_path)) == 6  # what was made is kept


def test_a_small_run_is_judged_at_its_end(tmp_path):
    with pytest.raises(ECGError, match="3 of 4 records failed"):
        build(simulated_tasks(4), tmp_path, maker=Broken(digits="123"))


def test_no_row_at_all_is_an_error(tmp_path):
    with pytest.raises(ECGError, match="no record was left"):
        build([Task("x", "1", problem="no label")], tmp_path)


def test_a_corrupt_file_is_a_reject_and_not_a_crash(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.hea").write_bytes(os.urandom(300))
    tasks = [*simulated_tasks(5), Task("folder", str(tmp_path / "in" / "x.hea"))]
    build(tasks, tmp_path / "out")
    (reject,) = lines(tmp_path / "out" / "rejects.jsonl")
    assert reject["id"] == "folder/x/0"


def test_one_name_for_two_samples_is_refused(tmp_path):
    with pytest.raises(ECGError, match="simulated/3/0 stands twice"):
        build([*simulated_tasks(4), Task("simulated", "3")], tmp_path)


def test_a_folder_without_a_corpus_is_refused(tmp_path):
    with pytest.raises(ECGError, match="holds no rows of a corpus"):
        load_corpus(tmp_path)


# --- texts of a language model ----------------------------------------------------------------


class Scribe:
    """Writes the template's words, fails on one sample and lies about another."""

    def __init__(self, fails="", lies=""):
        self.fails, self.lies, self.asked = fails, lies, []

    def answers(self, jobs):
        for job in jobs:
            self.asked.append(job.sample_id)
            text = format_report(write(job.plan, np.random.default_rng(0), detail="terse"))
            if job.sample_id == self.fails:
                yield Answer(job.sample_id, "", error="HTTP 500: no")
            elif job.sample_id == self.lies:
                yield Answer(job.sample_id, re.sub(r"\d+", "999", text))
            else:
                yield Answer(job.sample_id, text)


def test_a_models_texts_are_checked_and_asked_for_once(tmp_path, monkeypatch):
    monkeypatch.setattr("ecg_r1.corpus.build.PART_ROWS", 3)
    monkeypatch.setattr("ecg_r1.corpus.build.FEWEST_JUDGED", 99)
    tasks = [Task("x", "0", problem="no label"), *simulated_tasks(11)]
    scribe = Scribe(fails="simulated/4/0", lies="simulated/7/0")
    maker = RowMaker(writer="scribe")
    rows = build(tasks, tmp_path, maker=maker, model=scribe)
    assert scribe.asked == [task.sample_id for task in tasks[1:]]
    assert set(rows["writer"]) == {"scribe"}
    rejects = {reject["id"]: reject["reason"] for reject in lines(tmp_path / "rejects.jsonl")}
    assert rejects.pop("x/0/0") == "no label"
    assert rejects.pop("simulated/4/0") == "no text: HTTP 500: no"
    assert rejects.pop("simulated/7/0").startswith("the model's text was rejected")
    assert rejects == {}
    build(tasks, tmp_path, maker=maker, model=scribe)
    assert len(scribe.asked) == 11  # finished parts are not written again


def test_the_template_can_stand_in_for_a_rejected_text(tmp_path):
    scribe = Scribe(lies="simulated/1/0")
    rows = build(
        simulated_tasks(3), tmp_path, maker=RowMaker(writer="scribe", repair=True), model=scribe
    )
    assert rows["writer"] == ["scribe", "template", "scribe"]
    assert "999" not in rows[1]["text"]


# --- the function of one record ---------------------------------------------------------------


def test_the_row_maker_runs_unchanged_in_datasets_map():
    tasks = [*simulated_tasks(3), Task("folder", "/nowhere.csv")]
    table = datasets.Dataset.from_list([task.to_json() for task in tasks])
    mapped = table.map(
        RowMaker(), num_proc=2, remove_columns=table.column_names, keep_in_memory=True
    )
    kept = mapped.filter(lambda row: not row["reason"], keep_in_memory=True)
    assert kept["id"] == ["simulated/0/0", "simulated/1/0", "simulated/2/0"]
    assert "nowhere.csv" in mapped[3]["reason"]
    direct = RowMaker().make(tasks[1])
    for name in ("text", "signal", "page", "labels"):
        assert kept[1][name] == direct[name]


def test_a_row_follows_from_the_seed_and_its_id_alone():
    task = Task("simulated", "11")
    one, same, other = RowMaker(seed=5), RowMaker(seed=5), RowMaker(seed=6)
    first = one.make(task)
    one.make(Task("simulated", "12"))
    # As text, since NaN is not equal to itself.
    assert repr(same.make(task)) == repr(one.make(task)) == repr(first)
    changed = other.make(task)
    assert changed["signal"] == first["signal"]  # the patient is the sample's, not the seed's
    assert changed["page"] != first["page"]


def test_nanos_pages_are_grey_and_small():
    row = make_row(Task("simulated", "4"))
    assert (row_page(row).mode, row_page(row).size) == ("L", (640, 448))
