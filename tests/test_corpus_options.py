"""`python -m ecg_r1 corpus`: what it makes, and what it says when it cannot."""

import json

import pytest
from test_corpus_sources import published, put

from ecg_r1.__main__ import main
from ecg_r1.corpus import load_corpus, row_page
from ecg_r1.corpus.options import Listing
from ecg_r1.page import draw_page
from ecg_r1.simulate import HeartSpec, simulate

pytest.importorskip("datasets")


@pytest.fixture
def example(assets):
    return assets / "ecgs" / "A0002.hea"


def corpus(*words):
    return main(["corpus", *map(str, words), "--processes", "1"])


def test_a_corpus_is_made_from_several_sources_and_again_in_no_time(tmp_path, example, capsys):
    put(example, tmp_path / "ward" / "a")
    words = [
        "simulated:2",
        "simulated:1@900",
        f"folder:{tmp_path / 'ward'}",
        "-o",
        tmp_path / "c",
    ]
    assert corpus(*words) == 0
    assert "4 rows in" in capsys.readouterr().out
    rows = load_corpus(tmp_path / "c")
    ids = ["simulated/0/0", "simulated/1/0", "simulated/900/0", "ward/a/0"]
    assert rows["id"] == ids
    before = (tmp_path / "c" / "corpus.jsonl").stat().st_mtime_ns
    made = {p: p.stat().st_mtime_ns for p in (tmp_path / "c" / "parts").iterdir()}
    assert corpus(*words) == 0
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "c" / "parts").iterdir()} == made
    assert (tmp_path / "c" / "corpus.jsonl").stat().st_mtime_ns >= before
    card = (tmp_path / "c" / "README.md").read_text()
    assert "folder:ward" in card
    assert str(tmp_path) not in card


def test_rows_have_solutions_and_evidence_for_rl(tmp_path):
    assert corpus("simulated:2", "-o", tmp_path) == 0
    for row in load_corpus(tmp_path):
        assert row["solution"].startswith("<|key_diagnostic_evidence|>step_1_technical")
        assert f"<|answer|>{'; '.join(row['labels'])}<|/answer|>" in row["solution"]
        assert json.loads(row["measurements"])["hr_bpm"] == pytest.approx(
            row["numbers"][0], abs=1
        )
        assert len(json.loads(row["evidence"])) == 6


def test_a_published_sample_passes_through_with_its_own_words_and_page(tmp_path, example):
    page = tmp_path / "mimic_gen" / "40000017-0.png"
    page.parent.mkdir()
    draw_page(simulate(HeartSpec(), seed=3), px_per_mm=2).save(page)
    published(tmp_path, example)
    assert corpus(f"published:{tmp_path / 'cot.jsonl'}", "-o", tmp_path / "c") == 0
    (row,) = load_corpus(tmp_path / "c")
    assert row["page"] == page.read_bytes()
    assert row_page(row).size == (540, 378)
    assert row["writer"] == "published"
    assert row["restricted"]
    line = json.loads((tmp_path / "c" / "corpus.jsonl").read_text())
    assert line["messages"][1]["content"] == "<ecg><image>\nInterpret."
    assert "under a data-use agreement" in (tmp_path / "c" / "README.md").read_text()


def test_restricted_records_are_not_sent_to_an_endpoint(tmp_path, example, monkeypatch, capsys):
    # Port 9 discards: a request would fail with another message.
    monkeypatch.setenv("ECG_R1_LLM_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("ECG_R1_LLM_MODEL", "m")
    put(example, tmp_path / "mimic" / "files" / "1")
    (tmp_path / "mimic" / "record_list.csv").write_text(
        "subject_id,study_id,path\n1,1,files/1\n"
    )
    lines = ",".join(f"report_{i}" for i in range(18))
    said = "Sinus rhythm" + "," * 17
    (tmp_path / "mimic" / "machine_measurements.csv").write_text(
        f"subject_id,study_id,{lines}\n1,1,{said}\n"
    )
    words = [f"mimic:{tmp_path / 'mimic'}", "-o", tmp_path / "c", "--writer", "endpoint"]
    assert corpus(*words) == 2
    assert "mimic/1/0 is under a data-use agreement" in capsys.readouterr().err
    assert corpus(f"mimic:{tmp_path / 'mimic'}", "-o", tmp_path / "d") == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["moon:1"], "'moon' is no source"),
        (["simulated:2", "--seed", "-1"], "--seed -1: give 0 or more"),
        (["simulated:2", "--most-rejects", "2"], "--most-rejects 2.0: give a share"),
        (["simulated:2", "--concurrency", "0"], "--concurrency 0: give 1 or more"),
        (["simulated:2", "--writer", "pencil"], "--writer 'pencil' is none of template"),
        (
            ["simulated:2", "--writer", "endpoint"],
            "ECG_R1_LLM_URL and ECG_R1_LLM_MODEL not set",
        ),
        (["ptbxl:/nowhere"], "holds no ptbxl_database.csv"),
        (["simulated:2", "simulated:1"], "simulated/0/0 stands twice"),
    ],
)
def test_bad_options_end_with_one_line(tmp_path, capsys, monkeypatch, words, said):
    monkeypatch.delenv("ECG_R1_LLM_URL", raising=False)
    monkeypatch.delenv("ECG_R1_LLM_MODEL", raising=False)
    assert corpus(*words, "-o", tmp_path / "c") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert said in error


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--shard", "4/4", "'4/4' is no share"),
        ("--shard", "half", "'half' is no share"),
        ("--prices", "1", "'1' are no two prices"),
        ("--pages", "pink", "invalid choice: 'pink'"),
    ],
)
def test_options_that_cannot_be_read_are_quoted(tmp_path, capsys, option, value, said):
    with pytest.raises(SystemExit) as error:
        main(["corpus", "simulated:1", "-o", str(tmp_path), option, value])
    assert error.value.code == 2
    assert said in capsys.readouterr().err


def test_a_listing_can_be_gone_through_twice():
    listing = Listing(("simulated:3",))
    assert [t.record for t in listing] == [t.record for t in listing] == ["0", "1", "2"]
