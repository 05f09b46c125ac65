"""The instruction data: numbers from the measurements, answers from the labels."""

import csv
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ecg_r1.corpus import (
    GAP,
    UNCALIBRATED,
    Task,
    make_row,
    pack_signal,
    ptbxl_tasks,
    row_ecg,
    row_page,
    simulated_tasks,
    unpack_signal,
    write_report,
)
from ecg_r1.corpus import record as record_module
from ecg_r1.ecg import ECG, LEADS, ECGError
from ecg_r1.measurement import Measurements
from ecg_r1.protocol import apply_protocol
from ecg_r1.report import parse_report


def measured(**values):
    leads = pd.DataFrame(0.0, index=pd.Index(LEADS), columns=list(Measurements().leads.columns))
    leads["t_mv"], leads["r_mv"], leads["s_mv"] = 0.3, 1.0, -0.5
    leads.loc["aVR", ["t_mv", "r_mv", "s_mv"]] = [-0.3, np.nan, -1.0]
    leads.loc["V1", "s_mv"], leads.loc["V5", "r_mv"], leads.loc["V6", "r_mv"] = -1.24, 2.36, 1.0
    plain = {
        "hr_bpm": 71.6,
        "pr_ms": 163.8,
        "qrs_ms": 91.2,
        "qt_ms": 392.0,
        "qtc_ms": 415.4,
        "axis_deg": -12.4,
        "p_present": True,
        "regular": True,
        "leads": leads,
    }
    return Measurements(**(plain | values))


def written(labels, *, calibrated=True, **values):
    m = measured(**values)
    return write_report(m, apply_protocol(m, calibrated=calibrated), labels)


def test_every_number_is_the_rounded_measurement():
    steps = written(("sinus rhythm", "normal ecg")).steps
    assert "Heart rate 72 bpm, RR intervals regular." in steps[1]
    assert "PR interval 164 ms (normal, 120 to 200)" in steps[2]
    assert "QRS duration 91 ms (normal, up to 110)" in steps[2]
    assert "Frontal axis -12 degrees (normal, -30 to 90)" in steps[2]
    assert "QT 392 ms, QTc 415 ms (Fridericia)." in steps[5]


def test_the_voltage_sum_is_the_sum_of_the_two_numbers_shown():
    # S(V1) 12.4 mm and R(V5) 23.6 mm round to 12 and 24; 36 is their sum as shown.
    step = written(("sinus rhythm",)).steps[3]
    assert "S in V1 12 mm and R in V5 or V6 24 mm, together 36 mm (35 or more)." in step


@pytest.mark.parametrize(
    ("value", "step", "words"),
    [
        ({"pr_ms": 119.0}, 2, "119 ms (short, below 120)"),
        ({"pr_ms": 200.0}, 2, "200 ms (normal, 120 to 200)"),
        ({"pr_ms": 201.0}, 2, "201 ms (prolonged, above 200)"),
        ({"pr_ms": None}, 2, "PR interval not measurable."),
        ({"qrs_ms": 110.0}, 2, "110 ms (normal, up to 110)"),
        ({"qrs_ms": 115.0}, 2, "115 ms (borderline, 110 to 120)"),
        ({"qrs_ms": 120.0}, 2, "120 ms (wide, 120 or more)"),
        ({"pr_ms": 119.6}, 2, "120 ms (normal, 120 to 200)"),
        ({"pr_ms": 200.4}, 2, "200 ms (normal, 120 to 200)"),
        ({"qrs_ms": 110.4}, 2, "110 ms (normal, up to 110)"),
        ({"axis_deg": 90.3}, 2, "90 degrees (normal, -30 to 90)"),
        ({"axis_deg": -31.0}, 2, "-31 degrees (left of -30)"),
        ({"axis_deg": 91.0}, 2, "91 degrees (right of 90)"),
        ({"axis_deg": -91.0}, 2, "-91 degrees (extreme)"),
        ({"axis_deg": None}, 2, "Axis not measurable."),
        ({"p_present": False}, 1, "No consistent P waves."),
        ({"regular": False}, 1, "RR intervals irregular"),
        ({"qt_ms": None}, 5, "QT interval not measurable."),
        ({"quality": {"V3": "flat"}}, 1, "Signal quality limited in V3."),
    ],
)
def test_verdicts_change_at_their_thresholds(value, step, words):
    assert words in written(("sinus rhythm",), **value).steps[step]


def test_each_label_is_named_in_its_step_and_in_the_answer():
    labels = ("normal ecg", "left ventricular hypertrophy", "atrial fibrillation")
    report = written(
        (*labels[1:], "right bundle branch block", "premature ventricular complexes")
    )
    assert "Rhythm: atrial fibrillation." in report.steps[1]
    assert "Ectopy: premature ventricular complexes." in report.steps[1]
    assert "Conduction: right bundle branch block." in report.steps[2]
    assert "voltage: left ventricular hypertrophy." in report.steps[3]
    assert report.diagnoses == (
        "atrial fibrillation",
        "premature ventricular complexes",
        "right bundle branch block",
        "left ventricular hypertrophy",
    )


def test_an_uncalibrated_record_says_so_and_is_not_learned_there():
    step = written(("sinus rhythm",), calibrated=False).steps
    assert UNCALIBRATED in step[3]
    assert UNCALIBRATED in step[4]
    assert " mm" not in step[3]


def test_what_could_not_be_judged_is_not_called_absent():
    m = measured()
    m.leads["st_mv"] = m.leads["j_mv"] = np.nan
    step = write_report(m, apply_protocol(m), ("sinus rhythm",)).steps[4]
    assert "Not judged: ST elevation, ST depression." in step
    assert "No ST elevation" not in step


def test_a_voltage_sum_needs_a_measured_v1():
    m = measured()
    m.leads.loc["V1"] = np.nan
    step = write_report(m, apply_protocol(m), ("sinus rhythm",)).steps[3]
    assert "Voltages not measurable." in step


def test_a_reading_without_a_label_is_refused():
    with pytest.raises(ValueError, match="label"):
        written(())


@pytest.fixture(scope="module")
def simulated_row():
    return make_row(simulated_tasks(1, first_seed=3)[0])


def test_a_row_is_a_well_formed_reading_with_its_page_and_signal(simulated_row):
    parsed = parse_report(simulated_row["text"])
    assert parsed.well_formed, parsed.problems
    assert parsed.diagnoses == simulated_row["labels"]
    assert row_ecg(simulated_row).signal.shape == (12, 5000)
    page = np.asarray(row_page(simulated_row))
    assert page.shape == (448, 640)
    assert page.min() < 90  # ink


def test_a_row_depends_on_its_task_alone(simulated_row):
    again = make_row(simulated_tasks(1, first_seed=3)[0])
    other = make_row(simulated_tasks(1, first_seed=4)[0])
    for key in ("text", "signal", "waves", "page", "page_style"):
        assert again[key] == simulated_row[key]
    assert other["signal"] != simulated_row["signal"]


def test_microvolts_survive_storage_and_gaps_stay_gaps():
    signal = np.random.default_rng(0).normal(size=(12, 5000)).astype(np.float32)
    signal[4, 10:20] = np.nan
    back = unpack_signal(pack_signal(ECG(signal, "x")).tobytes())
    assert np.array_equal(np.isnan(back), np.isnan(signal))
    assert np.nanmax(np.abs(back - signal)) <= 0.0005 + 1e-6  # half a microvolt step
    short = pack_signal(ECG(signal[:, :100], "x"))
    assert (short[:, 100:] == GAP).all()


def test_only_fold_1_to_8_are_used_and_each_has_its_split(tmp_path, assets):
    source = next((assets / "ecgs").glob("*.hea"))
    table = [["filename_hr", "scp_codes", "strat_fold"]]
    for fold in range(1, 11):
        for ending in (".hea", ".dat"):
            shutil.copy(source.with_suffix(ending), tmp_path / f"r{fold}{ending}")
        table.append([f"r{fold}", "{'SR': 0.0, 'NORM': 100.0}", fold])
    with (tmp_path / "ptbxl_database.csv").open("w", newline="") as file:
        csv.writer(file).writerows(table)
    tasks = ptbxl_tasks(tmp_path, variants=1)
    by_fold = {(t.record[-1], t.variant): t.split for t in tasks}
    assert {fold for fold, _ in by_fold} == set("12345678")
    assert by_fold["7", 0] == "choose"
    assert by_fold["8", 0] == "report"
    assert ("7", 1) not in by_fold  # only training records get copies
    assert by_fold["1", 1] == "train"
    assert tasks[0].labels == ("sinus rhythm", "normal ecg")


def test_a_folder_that_is_no_ptbxl_is_refused(tmp_path):
    with pytest.raises(ECGError, match=r"ptbxl_database\.csv"):
        ptbxl_tasks(tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [(61, 59, "sinus bradycardia"), (99, 101, "sinus tachycardia"), (62, 61, "sinus rhythm")],
)
def test_stretching_over_a_limit_changes_the_sinus_label(before, after, expected):
    assert record_module.relabel(("sinus rhythm", "normal ecg"), before, after)[0] == expected


def test_a_record_with_gaps_is_not_stretched():
    signal = np.zeros((12, 5000), np.float32)
    signal[2, 100:200] = np.nan
    with pytest.raises(ECGError, match=r"a\.hea has gaps"):
        record_module.stretch(ECG(signal, "a.hea"), Task("ptbxl", "a", variant=1))


def test_real_records_answer_with_their_labels_and_stretched_ones_move_in_time(shared):
    tasks = [
        t for t in ptbxl_tasks(shared / "data" / "ptbxl", variants=1) if t.split == "train"
    ]
    plain, stretched = make_row(tasks[0]), make_row(replace(tasks[0], variant=1))
    assert plain["labels"] == list(tasks[0].labels)
    ratio = stretched["numbers"][0] / plain["numbers"][0]
    assert 0.93 < ratio < 1.07
    assert abs(ratio - 1) > 1e-4


def test_sample_ids_are_unique(shared):
    tasks = [*ptbxl_tasks(shared / "data" / "ptbxl", variants=2), *simulated_tasks(50)]
    ids = [task.sample_id for task in tasks]
    assert len(set(ids)) == len(ids)
    assert Task("simulated", "7").sample_id == "simulated/7/0"
