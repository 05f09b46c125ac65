"""The benchmark tables: counted and worked out by hand, printed whole, refused by name."""

import json
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

import benchmarks.measure
import benchmarks.measure_ptbxl
from benchmarks.measure import options
from benchmarks.measure_ludb import Case, interval_rows, withheld_row
from benchmarks.measure_ptbxl import Read, alarm_rows, diagnosis_row, read_row
from benchmarks.measure_simulated import (
    Draw,
    condition_row,
    condition_tables,
    heart,
    quantity_row,
    with_noise,
)
from benchmarks.tables import Share, Table, each
from ecg_r1.labels import labels_from_scp
from ecg_r1.protocol import Findings
from ecg_r1.simulate import simulate


@pytest.mark.parametrize(("found", "of"), [(8, 10), (0, 10), (10, 10), (140, 199)])
def test_the_interval_is_that_of_scipy(found, of):
    theirs = binomtest(found, of).proportion_ci(method="wilson")
    assert Share(found, of).interval == pytest.approx((theirs.low, theirs.high), abs=1e-6)


def test_a_table_prints_as_markdown_and_as_valid_json():
    rows = [{"": "PR", "MAE": 4.84, "n": 3, "met": False, "gap": np.nan, "share": Share(1, 4)}]
    table = Table("Title", rows, ["A note."])
    assert table.markdown().splitlines() == [
        "### Title",
        "",
        "|  | MAE | n | met | gap | share |",
        "| --- | --- | --- | --- | --- | --- |",
        "| PR | 4.8 | 3 | **no** |  | 25 % [5, 70] (1/4) |",
        "",
        "A note.",
    ]
    plain = json.loads(json.dumps(table.to_json(), allow_nan=False))
    assert plain["rows"][0]["gap"] is None
    assert plain["rows"][0]["share"]["of"] == 4


def test_more_processes_give_the_same_in_the_same_order():
    items, double = range(20), partial(pow, 2)
    assert (
        each(double, items, "powers", 2)
        == each(double, items, "powers")
        == [2**k for k in items]
    )


# --- simulator ------------------------------------------------------------------------------


def draw(true=None, found=None, labels=(), diagnoses=(), unjudged=()):
    def values(numbers):
        return {name: np.array([value], float) for name, value in (numbers or {}).items()}

    return Draw(values(true), values(found), labels, diagnoses, frozenset(unjudged))


def test_the_axis_is_compared_the_short_way_round():
    one = draw({"axis_deg": 179}, {"axis_deg": -179})
    assert one.errors("axis_deg").tolist() == [2]


def test_withheld_and_invented_values_are_counted_apart():
    pairs = [(100, 105), (100, 110), (np.nan, 90), (np.nan, np.nan), (100, np.nan), (100, 108)]
    row = quantity_row([draw({"pr_ms": t}, {"pr_ms": f}) for t, f in pairs], "pr_ms")
    assert row["within, of all"] == Share(2, 4)  # 5 and 8 ms, the limit itself counts
    assert row["within, of measured"] == Share(2, 3)
    assert row["withheld"] == Share(1, 4)
    assert row["given where there is none"] == Share(1, 2)
    assert row["bias"] == pytest.approx((5 + 10 + 8) / 3)
    assert row["goal 95 % of all"] is False


def test_a_condition_is_judged_on_the_draws_whose_truth_shows_it():
    shown = {"labels": ("left ventricular hypertrophy",)}
    draws = [
        *(draw(**shown, diagnoses=("left ventricular hypertrophy",)) for _ in range(9)),
        draw(**shown, diagnoses=("low qrs voltage",), unjudged=shown["labels"]),
        *(draw(diagnoses=("sinus rhythm",)) for _ in range(10)),
    ]
    row = condition_row("LVH", "left ventricular hypertrophy", draws)
    assert row["found"] == Share(9, 20)
    assert (row["in the truth"], row["found of these"]) == (10, Share(9, 10))
    assert row["goal 90 %"] is True
    assert row["not judged"] == 1
    assert row["said instead"] == "low qrs voltage 1"  # sinus rhythm is no mistake


@pytest.mark.parametrize("level", [(0.01, 0.0), (0.0, 0.05)], ids=["muscle", "wander"])
def test_noise_is_the_only_thing_that_the_levels_change(level):
    none, once, twice = (
        simulate(with_noise(heart(3), *(k * mv for mv in level)), seed=3).signal.astype(float)
        for k in range(3)
    )
    assert (once - none).std() > 0.002
    np.testing.assert_allclose(twice - none, 2 * (once - none), atol=1e-5)


def test_every_condition_with_a_diagnosis_has_its_row():
    (table,) = condition_tables(1, processes=1)
    assert len(table.rows) == len({row["condition"] for row in table.rows}) > 60
    by_name = {row["condition"]: row for row in table.rows}
    assert by_name["first-degree AV block"]["found"] == Share(1, 1)


# --- PTB-XL ---------------------------------------------------------------------------------


def read(codes, diagnoses=(), unjudged=()):
    codes = dict.fromkeys(codes, 100.0) if not isinstance(codes, dict) else codes
    return Read(codes, labels_from_scp(codes), diagnoses, frozenset(unjudged))


ANTERIOR = "anterior myocardial infarction"


def test_another_statement_of_the_same_label_is_neither_positive_nor_negative():
    reads = [
        read({"ASMI": 100.0}, (ANTERIOR,)),
        read({"ASMI": 15.0}),
        read({"AMI": 100.0}, (ANTERIOR,)),
        read({"NORM": 100.0}, (ANTERIOR,)),
        read({"NORM": 100.0}),
        read({"IMI": 100.0}, unjudged=(ANTERIOR,)),
    ]
    row = diagnosis_row(reads, "ASMI", ANTERIOR)
    assert row["sensitivity"] == Share(1, 2)
    assert row["specificity"] == Share(2, 3)
    assert row["sensitivity where likelihood >= 80 %"] == Share(1, 1)
    assert (row["positives not judged"], row["negatives not judged"]) == (0, 1)


def test_what_is_left_unjudged_in_most_positives_has_no_sensitivity():
    label = "left ventricular hypertrophy"
    reads = [read(["LVH"], unjudged=(label,)), read(["LVH"], unjudged=(label,)), read(["NORM"])]
    row = diagnosis_row(reads, "LVH", label)
    assert row["sensitivity"] == row["specificity"] == row["weak"] == "not judged"


@pytest.mark.parametrize(
    ("hits", "positives", "alarms", "weak"),
    [
        (8, 10, 2, ""),
        (7, 10, 2, "sensitivity"),
        (15, 20, 2, ""),  # 75 % itself is not weak
        (8, 10, 3, "specificity"),  # 27 of 30 are 90 %, 27 of 29 would not be
        (9, 9, 0, "too few"),
    ],
)
def test_weak_is_what_the_stated_rule_says(hits, positives, alarms, weak):
    label = "atrial fibrillation"
    reads = [read(["AFIB"], (label,) if k < hits else ()) for k in range(positives)]
    reads += [read(["SR"], (label,) if k < alarms else ()) for k in range(29)]
    assert diagnosis_row(reads, "AFIB", label)["weak"] == weak


def test_false_alarms_leave_out_sinus_rhythms_and_records_not_normal():
    reads = [
        read(["NORM", "SR"], ("sinus bradycardia", "normal ecg")),
        read(["NORM", "SR"], ("left axis deviation", "low qrs voltage")),
        read(["NORM", "SR"], ("low qrs voltage",)),
        read(["LVH"], ("low qrs voltage",)),
    ]
    said = {row["said"]: row["of NORM"] for row in alarm_rows(reads)}
    assert said == {
        "any abnormality": Share(2, 3),
        "low qrs voltage": Share(2, 3),
        "left axis deviation": Share(1, 3),
    }


def test_a_record_is_read_with_its_age_and_sex(shared, monkeypatch):
    asked = {}

    def protocol(measured, **person):
        asked.update(person, hr=measured.hr_bpm)
        return Findings((), ["normal ecg"], {"low qrs voltage": "why"})

    monkeypatch.setattr(benchmarks.measure_ptbxl, "apply_protocol", protocol)
    folder = shared / "data" / "ptbxl"
    row = pd.read_csv(folder / "ptbxl_database.csv").iloc[0].to_dict()
    found = read_row(folder, row | {"age": 300.0, "sex": 1})
    assert (asked["age_years"], asked["sex"], asked["calibrated"]) == (90.0, "female", True)
    assert 30 < asked["hr"] < 200
    assert (found.diagnoses, found.unjudged) == (("normal ecg",), {"low qrs voltage"})


# --- LUDB -----------------------------------------------------------------------------------


def case(number, true, found):
    names = ("hr", "pr", "qrs", "qt", "qtcf")
    return Case(
        number,
        np.zeros((12, 10)),
        pd.DataFrame(),
        dict.fromkeys(names, true),
        pd.DataFrame(),
        dict.fromkeys(names, found),
        0.01,
    )


def test_ludb_intervals_and_withheld_pr_by_hand():
    cases = [case(1, 100.0, 104.0), case(2, 100.0, 98.0), case(3, np.nan, np.nan)]
    pr = next(row for row in interval_rows("ours", cases) if row[""] == "PR")
    assert (pr["bias"], pr["MAE"], pr["missing"]) == (1.0, 3.0, "0 of 2")
    assert pr["SD"] == pytest.approx(18**0.5)
    assert pr["reached"] is True
    cases.append(case(4, 150.0, np.nan))
    row = withheld_row("ours", cases)
    assert row["PR withheld where no P is annotated"] == Share(1, 1)
    assert row["real PR lost"] == Share(1, 3)
    assert row["reached"] is False


# --- the command ----------------------------------------------------------------------------


def test_the_sections_asked_for_are_printed_and_written(monkeypatch, tmp_path, capsys):
    made = {"draws": lambda _: [Table("Draws", [{"a": 1}])], "ptbxl": lambda _: 1 / 0}
    monkeypatch.setattr(benchmarks.measure, "SECTIONS", made)
    path = tmp_path / "out.json"
    monkeypatch.setattr("sys.argv", ["measure", "--only", "draws", "--json", str(path)])
    benchmarks.measure.main()
    assert "### Draws" in capsys.readouterr().out
    assert json.loads(path.read_text())["draws"][0]["rows"] == [{"a": 1}]


@pytest.mark.parametrize(
    ("words", "quoted"),
    [
        (["--only", "draws,weather"], "'weather'"),
        (["--records", "some"], "'some'"),
        (["--draws", "0"], "'0'"),
        (["--processes", "-1"], "'-1'"),
    ],
)
def test_bad_options_are_quoted(words, quoted, capsys):
    with pytest.raises(SystemExit):
        options(words)
    assert quoted in capsys.readouterr().err
