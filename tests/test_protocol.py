"""Each criterion at, just under and just over its threshold, by hand; codes to labels."""

import ast
import csv
import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from ecg_r1.ecg import LEADS
from ecg_r1.labels import LABELS, canonical, labels_from_scp, labels_from_snomed
from ecg_r1.protocol import ALARMS, CRITERIA, RULES, apply_protocol

COLUMNS = [
    *("pr_ms", "qrs_ms", "qt_ms", "p_mv", "q_mv", "q_ms", "r_mv", "s_mv"),
    *("t_mv", "j_mv", "st_mv", "p_ms", "rsr", "r_ms", "r2_mv", "s_ms", "t_ms", "delta_ms"),
    *("pr_level_mv", "u_mv", "st40_mv"),
]
NORMAL_R = dict(
    zip(LEADS, (0.8, 1.0, 0.3, 0.0, 0.4, 0.6, 0.2, 0.4, 0.7, 1.2, 1.3, 1.1), strict=True)
)
NORMAL_S = dict(
    zip(LEADS, (0, 0, -0.1, -0.9, 0, -0.1, -0.8, -1.0, -0.7, -0.4, -0.2, 0), strict=True)
)
NAN = float("nan")


def measured(cells=None, **headline):
    """A healthy adult's measurements, with single values replaced."""
    leads = pd.DataFrame(0.0, index=list(LEADS), columns=COLUMNS)
    leads["q_mv"] = leads["q_ms"] = NAN
    leads["r_mv"] = pd.Series(NORMAL_R).replace(0.0, NAN)
    leads["s_mv"] = pd.Series(NORMAL_S).replace(0.0, NAN)
    leads["t_mv"] = [0.3, 0.3, 0.1, -0.3, 0.1, 0.2, -0.05, 0.3, 0.3, 0.3, 0.3, 0.3]
    leads["p_mv"] = [0.1, 0.12, 0.05, -0.1, 0.05, 0.08, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05]
    leads["p_ms"] = 100.0
    leads["r_ms"], leads["t_ms"], leads["delta_ms"] = 30.0, 210.0, 30.0
    leads["r2_mv"] = leads["st40_mv"] = NAN
    leads["qt_ms"] = 390.0
    for (lead, column), value in (cells or {}).items():
        leads.loc[lead.split() if " " in lead else lead, column] = value
    leads["st40_mv"] = leads["st40_mv"].fillna(leads["st_mv"])
    fields = {
        "hr_bpm": 70.0, "pr_ms": 160.0, "qrs_ms": 90.0, "qt_ms": 390.0, "qtc_ms": 410.0,
        "qtc_bazett_ms": 420.0, "axis_deg": 45.0, "initial_axis_deg": 45.0,
        "p_present": True, "regular": True,
        "rr_ms": (850.0, 860.0, 855.0), "n_wide_premature": 0, "n_narrow_premature": 0,
        "unmeasurable": {}, "quality": {}, "rpeaks": np.arange(10) * 430 + 200,
        "pacing_spikes": np.zeros(0, int), "p_times": np.arange(10) * 430 + 140,
        "atrial_bpm": 70.0, "av_relation": "constant", "flutter_bpm": None, "grouped": False,
        "reversal": None,
    }  # fmt: skip
    return SimpleNamespace(leads=leads, **(fields | headline))


def judge(cells=None, *, sex="male", age_years=50, calibrated=True, **headline):
    return apply_protocol(
        measured(cells, **headline), sex=sex, age_years=age_years, calibrated=calibrated
    )


def finding(found, name):
    return next(each for each in found.findings if each.name == name)


def test_healthy_adult_is_normal():
    found = judge()
    assert found.diagnoses == ["sinus rhythm", "normal ecg"]
    assert not found.unjudged
    assert found.urgency.level == "routine"


@pytest.mark.parametrize(
    ("name", "field", "under", "at", "over", "expected"),
    [
        ("bradycardia", "hr_bpm", 59.9, 60, 60.1, (True, False, False)),
        ("tachycardia", "hr_bpm", 99.9, 100, 100.1, (False, False, True)),
        ("rr_spread", "rr_ms", (800.0, 919.0), (800.0, 920.0), (800.0, 921.0),
         (False, False, True)),
        ("narrow_premature", "n_narrow_premature", 0, 1, 2, (False, True, True)),
        ("wide_premature", "n_wide_premature", 0, 1, 2, (False, True, True)),
        ("rate_120", "hr_bpm", 119, 120, 121, (False, False, True)),
        ("rate_150", "hr_bpm", 149, 150, 151, (False, True, True)),
        ("slow_40", "hr_bpm", 39, 40, 41, (True, False, False)),
        ("long_pause", "rr_ms", (900.0, 900.0, 1999.0), (900.0, 900.0, 2000.0),
         (900.0, 900.0, 2001.0), (False, True, True)),
        ("pause_3_s", "rr_ms", (900.0, 900.0, 2999.0), (900.0, 900.0, 3000.0),
         (900.0, 900.0, 3001.0), (False, True, True)),
        ("pause_stands_out", "rr_ms", (800.0, 800.0, 1199.0), (800.0, 800.0, 1200.0),
         (800.0, 800.0, 1201.0), (False, True, True)),
        ("more_p", "atrial_bpm", 80.4, 80.51, 80.6, (False, True, True)),  # at 70 beats
        ("two_p", "atrial_bpm", 132.9, 133.0, 133.1, (False, True, True)),
        ("three_p", "atrial_bpm", 146.9, 147.0, 147.1, (False, False, True)),
        ("qtc_500", "qtc_ms", 499, 500, 501, (False, True, True)),
        ("pr_long", "pr_ms", 199, 200, 201, (False, False, True)),
        ("pr_short", "pr_ms", 119, 120, 121, (True, False, False)),
        ("qrs_wide", "qrs_ms", 119, 120, 121, (False, True, True)),
        ("qrs_slow", "qrs_ms", 109, 110, 111, (False, True, True)),
        ("qrs_above_110", "qrs_ms", 109, 110, 111, (False, False, True)),
        ("axis_left", "axis_deg", -31, -30, -29, (True, False, False)),
        ("axis_lafb", "axis_deg", -46, -45, -44, (True, True, False)),
        ("axis_lafb", "axis_deg", -91, -90, -89, (False, True, True)),
        ("axis_lafb_initial", "initial_axis_deg", -46, -45, -44, (True, True, False)),
        ("axis_lafb_initial", "initial_axis_deg", -91, -90, -89, (False, True, True)),
        ("axis_left", "axis_deg", -91, -90, -89, (False, True, True)),
        ("axis_extreme", "axis_deg", -91, -90, -89, (True, False, False)),
        ("axis_right", "axis_deg", 89, 90, 91, (False, False, True)),
        ("qtc_long", "qtc_ms", 449, 450, 451, (False, True, True)),
        ("qtc_low", "qtc_ms", 389, 390, 391, (True, True, False)),
        ("qtc_short", "qtc_ms", 339, 340, 341, (True, True, False)),
    ],
)  # fmt: skip
def test_headline_thresholds(name, field, under, at, over, expected):
    met = tuple(finding(judge(**{field: value}), name).met for value in (under, at, over))
    assert met == expected


@pytest.mark.parametrize(
    ("name", "cells", "column", "under", "at", "over", "expected"),
    [
        ("p_tall", "II", "p_mv", 0.24, 0.25, 0.26, (False, False, True)),
        ("p_long", "II", "p_ms", 119, 120, 121, (False, True, True)),
        ("p_terminal_v1", "V1", "p_mv", -0.11, -0.1, -0.09, (True, True, False)),
        ("sokolow_lyon", "V1", "s_mv", -2.21, -2.2, -2.19, (True, True, False)),  # + 1.3 in V5
        ("r_avl", "aVL", "r_mv", 1.09, 1.1, 1.11, (False, False, True)),
        ("cornell", "aVL", "r_mv", 2.09, 2.1, 2.11, (False, False, True)),  # + 0.7 in V3
        ("gubner", "I", "r_mv", 2.39, 2.4, 2.41, (False, False, True)),  # + 0.1 in III
        ("r_prime_v1", "V1", "r2_mv", 0.149, 0.15, 0.151, (False, True, True)),
        ("r_v1_tall", "V1", "r_mv", 0.59, 0.6, 0.61, (False, False, True)),
        ("r_v1_dominant", "V1", "r_mv", 0.79, 0.8, 0.81, (False, False, True)),  # S is 0.8
        ("r_v3_small", "V3", "r_mv", 0.29, 0.3, 0.31, (True, True, False)),
        ("v1_positive", "V1", "r_mv", 0.79, 0.8, 0.81, (False, False, True)),
        ("st_depression_inferior", "II aVF", "st_mv j_mv", -0.051, -0.05, -0.049,
         (True, True, False)),
        ("st_elevation_inferior", "III aVF", "st_mv j_mv", 0.099, 0.1, 0.101,
         (False, True, True)),
        ("st_elevation_lateral", "V5 V6", "st_mv j_mv", 0.099, 0.1, 0.101,
         (False, True, True)),
        ("st_elevation_anterior", "V2 V3", "st_mv j_mv", 0.199, 0.2, 0.201,
         (False, True, True)),
        ("t_inversion_lateral", "V5 V6", "t_mv", -0.101, -0.1, -0.099, (True, False, False)),
        ("large_st_elevation_anterior", "V2 V3", "st_mv j_mv", 0.299, 0.3, 0.301,
         (False, True, True)),
        ("p_inverted", "II aVF", "p_mv", -0.051, -0.05, -0.049, (True, True, False)),
        ("r_v4_small", "V4", "r_mv", 0.49, 0.5, 0.51, (True, True, False)),
        ("left_broad", "I V6", "r_ms", 62, 63, 64, (False, True, True)),  # of 90 ms
        ("posterior_st", "V1 V2", "st_mv j_mv", -0.051, -0.05, -0.049, (True, True, False)),
        ("posterior_t", "V2 V3", "t_mv", 0.09, 0.1, 0.11, (False, False, True)),
        ("concordant_st_lateral", "V6", "st_mv j_mv", 0.099, 0.1, 0.101, (False, True, True)),
        # S is 0.8 and 1.0 mV in V1 and V2: the larger share is V1's.
        ("excessive_st_anterior", "V1 V2", "j_mv", 0.199, 0.2, 0.201, (False, True, True)),
        ("concordant_drop", "V2", "st_mv j_mv", -0.101, -0.1, -0.099, (True, True, False)),
        ("widespread_st", "I II aVF V5 V6", "st_mv j_mv", 0.049, 0.05, 0.051,
         (False, True, True)),
        ("pr_depressed", "II aVF", "pr_level_mv", -0.031, -0.03, -0.029, (True, True, False)),
        ("st_over_t_v6", "V6", "j_mv", 0.074, 0.075, 0.076, (False, True, True)),  # T is 0.3
        ("end_qrs_notch", "II aVF", "j_mv", 0.099, 0.1, 0.101, (False, True, True)),
        ("delta_wave", "I II V5", "delta_ms", 44, 45, 46, (False, True, True)),
        ("s_wide_lateral", "I V6", "s_ms", 39, 40, 41, (False, True, True)),
        ("p_flat", "II", "p_mv", 0.049, 0.05, 0.051, (True, False, False)),
        ("u_tall", "V2 V3", "u_mv", 0.299, 0.3, 0.301, (False, True, True)),  # T is 0.3
        ("u_large", "V2 V3", "u_mv", 0.149, 0.15, 0.151, (False, True, True)),  # half of 0.3
        ("st_sagging", "V5 V6", "st_mv", -0.051, -0.05, -0.049, (True, True, False)),
        ("t_tall", "V2 V3", "t_mv", 0.99, 1.0, 1.01, (False, False, True)),
        ("t_tall", "II aVF", "t_mv", 0.49, 0.5, 0.51, (False, False, True)),
    ],
)  # fmt: skip
def test_lead_thresholds(name, cells, column, under, at, over, expected):
    met = tuple(
        finding(judge({(cells, each): value for each in column.split()}), name).met
        for value in (under, at, over)
    )
    assert met == expected


@pytest.mark.parametrize(
    ("width_ms", "depth_mv", "expected"),
    [(29, -0.2, False), (30, -0.1, True), (31, -0.2, True), (40, -0.09, False)],
)
def test_q_waves_need_30_ms_and_a_tenth_of_a_millivolt(width_ms, depth_mv, expected):
    found = judge(
        {("III aVF", "q_ms"): width_ms, ("III aVF", "q_mv"): depth_mv, ("III aVF", "r_mv"): 1.0}
    )
    assert finding(found, "q_waves_inferior").met is expected
    assert ("inferior myocardial infarction" in found.diagnoses) is expected


@pytest.mark.parametrize(
    ("width_ms", "height_mv", "tented", "narrow"),
    [(195, 0.61, True, False), (196, 0.61, False, False), (195, 0.6, False, False),
     (187, 0.61, True, True), (188, 0.61, True, False), (187, 0.51, False, True),
     (187, 0.5, False, False)],
)  # fmt: skip
def test_tented_t_is_tall_and_takes_up_at_most_half_of_qt(width_ms, height_mv, tented, narrow):
    # Half of a QT of 390 ms are 195 ms, and 0.48 of it 187.2 ms.
    found = judge({("V3 V4", "t_mv"): height_mv, ("V3 V4", "t_ms"): width_ms})
    assert finding(found, "t_tented").met is tented
    assert finding(found, "t_narrow").met is narrow
    assert ("hyperkalaemia" in found.diagnoses) is tented


@pytest.mark.parametrize(
    ("width_ms", "depth_mv", "r_mv", "expected"),
    [(19, -0.2, 0.6, False), (20, -0.2, 0.6, True), (21, -0.2, 0.6, True),
     (20, -0.2, 0.61, False), (20, -0.09, 0.2, False)],
)  # fmt: skip
def test_an_inferior_q_of_20_ms_counts_where_it_is_a_third_of_r(
    width_ms, depth_mv, r_mv, expected
):
    cells = {"q_ms": width_ms, "q_mv": depth_mv, "r_mv": r_mv}
    found = judge({("III aVF", name): value for name, value in cells.items()})
    assert finding(found, "q_over_r_inferior").met is expected
    assert ("inferior myocardial infarction" in found.diagnoses) is expected


@pytest.mark.parametrize(
    ("iii_ms", "avf_mv", "expected"), [(39, -0.1, False), (40, -0.1, True), (40, -0.09, False)]
)
def test_a_q_of_40_ms_in_iii_counts_beside_one_in_avf(iii_ms, avf_mv, expected):
    cells = {("III", "q_ms"): iii_ms, ("III", "q_mv"): -0.1, ("aVF", "q_mv"): avf_mv,
             ("aVF", "q_ms"): 18, ("aVF", "r_mv"): 0.6}  # fmt: skip
    found = judge(cells)
    assert finding(found, "q_iii").met is expected
    assert ("inferior myocardial infarction" in found.diagnoses) is expected


@pytest.mark.parametrize(("width_ms", "r_mv"), [(39, 0.3), (40, 0.3), (40, NAN)])
def test_a_q_of_40_ms_in_avf_counts_alone_and_a_qs_does_not(width_ms, r_mv):
    cells = {("aVF", "q_ms"): width_ms, ("aVF", "q_mv"): -0.3, ("aVF", "r_mv"): r_mv}
    found = judge(cells)
    expected = width_ms == 40 and r_mv == 0.3
    assert finding(found, "q_avf").met is expected
    assert ("inferior myocardial infarction" in found.diagnoses) is expected


@pytest.mark.parametrize(
    ("leads", "expected"), [("V2", False), ("V3", False), ("V2 V3", True), ("V1 V2 V3", True)]
)
def test_a_qs_counts_in_v2_and_v3_together(leads, expected):
    cells = {
        (lead, name): value
        for lead in leads.split()
        for name, value in {"q_mv": -0.8, "s_mv": -0.8, "q_ms": 24, "r_mv": NAN}.items()
    }
    found = judge(cells)
    assert finding(found, "qs_v2_v3").met is expected
    assert ("anterior myocardial infarction" in found.diagnoses) is expected


@pytest.mark.parametrize(
    ("age_years", "limit_mv"), [(29, 5.3), (30, 4.5), (34, 4.5), (35, 3.5), (70, 3.5)]
)
def test_the_sokolow_lyon_limit_falls_with_age(age_years, limit_mv):
    for sum_mv, expected in ((limit_mv - 0.01, False), (limit_mv, True)):
        found = judge({("V1", "s_mv"): 1.3 - sum_mv}, age_years=age_years)  # R in V5 is 1.3
        assert finding(found, "sokolow_lyon").met is expected
        assert ("left ventricular hypertrophy" in found.diagnoses) is expected


def test_an_extreme_axis_has_no_label_and_is_not_normal():
    found = judge(axis_deg=-124)
    assert finding(found, "axis_extreme").met
    assert found.diagnoses == ["sinus rhythm"]
    assert "axis_extreme" in judge().excluded["normal ecg"]


def test_a_u_below_a_tenth_of_a_millivolt_is_not_large():
    low_t = {("V2 V3", "t_mv"): 0.1}
    for u_mv, expected in ((0.099, False), (0.1, True)):
        assert finding(judge(low_t | {("V2 V3", "u_mv"): u_mv}), "u_large").met is expected


def test_st_sags_only_below_j_and_before_an_upright_t():
    sagging = {("V5 V6", "st_mv"): -0.08}
    assert finding(judge(sagging), "st_sagging").met is True
    assert "digoxin effect" in judge(sagging, qtc_ms=380).diagnoses
    for other in ({("V5 V6", "j_mv"): -0.061}, {("V5 V6", "t_mv"): -0.1}):
        assert finding(judge(sagging | other), "st_sagging").met is False


@pytest.mark.parametrize(("p_mv", "expected"), [(0.014, False), (0.015, True), (0.1, True)])
def test_a_p_wave_that_no_lead_shows_is_none(p_mv, expected):
    cells = {(" ".join(LEADS), "p_mv"): p_mv}
    assert finding(judge(cells), "p_present").met is expected
    assert ("junctional rhythm" in judge(cells).diagnoses) is not expected


def test_st_elevation_that_healthy_hearts_know_is_infarction_by_the_formula_alone():
    level = {("V2 V3", "st_mv"): 0.25, ("V2 V3", "j_mv"): 0.25}
    for bazett, expected in ((350, False), (420, True)):
        found = judge(level, qtc_bazett_ms=bazett)
        assert finding(found, "lad_score").met is expected
        assert ("anterior myocardial infarction" in found.diagnoses) is expected
        assert "st elevation" in found.diagnoses


def test_a_narrow_t_need_not_be_so_tall_beside_a_slowed_qrs():
    cells = {("V3 V4", "t_mv"): 0.55, ("V3 V4", "t_ms"): 180}
    said = [
        "hyperkalaemia" in judge(cells, qrs_ms=qrs_ms).diagnoses for qrs_ms in (109, 110, 150)
    ]
    assert said == [False, True, True]
    assert "hyperkalaemia" not in judge(cells, qrs_ms=150, hr_bpm=130).diagnoses


@pytest.mark.parametrize(
    ("bazett_ms", "hr_bpm", "score", "met"),
    [(365.4, 70, 18.197, False), (365.5, 60, 18.202, True), (420, 59.9, 15.6, False)],
)
def test_the_formula_of_anterior_occlusion_by_hand(bazett_ms, hr_bpm, score, met):
    # 1.062 * 3 - 0.151 * (4 + 10) - 0.268 * 7 = 3.186 - 2.114 - 1.876 = -0.804, and
    # 0.052 * 365.4 = 19.001; below 60 bpm with QT itself, 0.052 * 315.46 = 16.404.
    cells = {("V2 V3", "st_mv"): 0.3, ("V2 V3", "j_mv"): 0.3, ("V4", "r_mv"): 0.7}
    found = finding(
        judge(cells, hr_bpm=hr_bpm, qtc_bazett_ms=bazett_ms, qt_ms=315.46), "lad_score"
    )
    assert found.value == pytest.approx(score, abs=0.001)
    assert found.met is met


@pytest.mark.parametrize(
    ("r_ms", "r_mv", "t_mv", "expected"),
    [(39, 1.0, 0.2, False), (40, 1.0, 0.2, True), (41, 1.1, 0.2, True), (41, 0.99, 0.2, False),
     (41, 1.1, -0.1, False)],
)  # fmt: skip
def test_posterior_r_is_broad_dominant_and_before_an_upright_t(r_ms, r_mv, t_mv, expected):
    cells = {("V1 V2", "r_ms"): r_ms, ("V1 V2", "r_mv"): r_mv, ("V1 V2", "s_mv"): -1.0}
    found = judge(cells | {("V1 V2", "t_mv"): t_mv})
    assert finding(found, "posterior_r").met is expected
    assert ("posterior myocardial infarction" in found.diagnoses) is expected


@pytest.mark.parametrize(
    ("notch_mv", "j_mv", "expected"),
    [(0.099, 0.05, False), (0.1, 0.05, True), (0.101, 0.05, True), (0.2, 0.049, False)],
)
def test_end_qrs_notch_needs_a_tenth_of_a_millivolt_and_a_raised_j(notch_mv, j_mv, expected):
    found = judge({("V5 V6", "r2_mv"): notch_mv, ("V5 V6", "j_mv"): j_mv})
    assert finding(found, "end_qrs_notch").met is expected


@pytest.mark.parametrize(
    ("st_mv", "t_mv", "expected"),
    [(-0.05, -0.01, True), (-0.049, -0.01, False), (-0.05, 0.0, False)],
)
def test_strain_needs_low_st_and_inverted_t(st_mv, t_mv, expected):
    cells = {("V5 V6", "st_mv"): st_mv, ("V5 V6", "t_mv"): t_mv}
    assert finding(judge(cells), "left_strain").met is expected


@pytest.mark.parametrize(("n_paced", "expected"), [(4, False), (5, True), (6, True)])
def test_pacing_needs_spikes_before_half_of_the_beats(n_paced, expected):
    beats = measured().rpeaks
    found = judge(pacing_spikes=beats[:n_paced] - 60)  # 120 ms
    assert finding(found, "pacing_spikes").met is expected
    assert finding(found, "paced_qrs").met is expected
    early = judge(pacing_spikes=beats[:n_paced] - 61)
    assert finding(early, "paced_qrs").met is False
    assert ("paced rhythm" in early.diagnoses) is expected


@pytest.mark.parametrize(
    ("flutter_bpm", "expected"), [(280, True), (290, True), (292, False), (None, False)]
)
def test_flutter_waves_must_fit_the_rr_intervals(flutter_bpm, expected):
    # 857 ms at 280 a minute are 4.00 waves, at 290 4.14 and at 292 4.17; a rate known to 1.5 %
    # may be nearer to a whole number by 0.06, and 0.10 is allowed.
    found = judge(flutter_bpm=flutter_bpm, p_present=False, rr_ms=(857.0,) * 5)
    assert finding(found, "flutter_waves").met is expected
    assert ("atrial flutter" in found.diagnoses) is expected


def test_even_p_waves_count_for_two_to_one_block_and_a_t_between_them_does_not():
    found = judge(av_relation="blocked", atrial_bpm=90.0, hr_bpm=45.0)
    assert "second-degree av block" in found.diagnoses
    uneven = np.cumsum([300, 360] * 8)
    found = judge(av_relation="blocked", atrial_bpm=90.0, hr_bpm=45.0, p_times=uneven)
    assert "second-degree av block" not in found.diagnoses


def test_t_below_a_tenth_of_r_is_low():
    for t_mv, expected in ((0.099, True), (0.1, False), (0.101, False)):
        cells = {("V5 V6", "t_mv"): t_mv, ("V5 V6", "r_mv"): 1.0}
        assert finding(judge(cells), "t_low").met is expected


def test_any_q_wider_than_20_ms_in_v2_counts():
    met = [
        finding(judge({("V2", "q_ms"): width, ("V2", "q_mv"): -0.06}), "q_v2_v3").met
        for width in (19, 20, 21)
    ]
    assert met == [False, False, True]


@pytest.mark.parametrize(
    ("sex", "age_years", "limit"), [("female", 30, 0.15), ("male", 39, 0.25), ("male", 40, 0.2)]
)
def test_st_limit_in_v2_v3_follows_sex_and_age(sex, age_years, limit):
    for level, expected in ((limit - 0.001, False), (limit, True)):
        cells = {("V2 V3", "st_mv"): level, ("V2 V3", "j_mv"): level}
        found = finding(judge(cells, sex=sex, age_years=age_years), "st_elevation_anterior")
        assert found.met is expected
        assert found.threshold == limit


@pytest.mark.parametrize(("level", "expected"), [(0.14, False), (0.2, None), (0.25, True)])
def test_unknown_sex_leaves_only_the_levels_between_the_limits_open(level, expected):
    cells = {("V2 V3", "st_mv"): level, ("V2 V3", "j_mv"): level}
    found = judge(cells, sex=None, age_years=None)
    assert finding(found, "st_elevation_anterior").met is expected
    assert ("sex or age" in found.unjudged.get("st_elevation_anterior", "")) is (
        expected is None
    )


def test_qtc_and_cornell_limits_follow_sex():
    assert finding(judge(qtc_ms=455, sex="female"), "qtc_long").met is False
    assert finding(judge(qtc_ms=460, sex="female"), "qtc_long").met is True
    assert finding(judge(qtc_ms=455, sex=None), "qtc_long").met is None
    cells = {("aVL", "r_mv"): 1.5}  # 1.5 + 0.7 = 2.2 mV
    assert finding(judge(cells, sex="female"), "cornell").met is True
    assert finding(judge(cells, sex="male"), "cornell").met is False


def test_st_change_in_leads_that_are_not_neighbours_is_none():
    assert finding(judge({("aVL V5", "st_mv"): 0.2, ("aVL V5", "j_mv"): 0.2},
                         ), "st_elevation_lateral").met is False  # fmt: skip


def test_finding_names_only_the_leads_that_meet_it():
    found = finding(judge({("II aVF", "st_mv"): -0.1, ("II aVF", "j_mv"): -0.2}),
                    "st_depression_inferior")  # fmt: skip
    assert found.leads == ("II", "aVF")
    assert found.value == pytest.approx(-0.1)
    assert found.statement == (
        "ST level -0.10 mV in II, aVF (<= -0.05 mV): ST depression in the inferior leads"
    )


def test_value_of_an_excluded_pair_is_the_weaker_lead_of_the_best_pair():
    cells = {("V5", "st_mv"): 0.2, ("V5", "j_mv"): 0.2, ("V6", "st_mv"): 0.05}
    cells[("V6", "j_mv")] = 0.05
    assert finding(judge(cells), "st_elevation_lateral").value == pytest.approx(0.05)


def test_label_found_by_one_rule_is_not_unjudged_by_another():
    cells = {("V1", column): NAN for column in ("r_mv", "s_mv", "q_mv")}
    found = judge(cells | {("aVL", "r_mv"): 1.2, ("I", "r_mv"): 2.5})
    assert finding(found, "sokolow_lyon").met is None
    assert "left ventricular hypertrophy" in found.diagnoses
    assert "left ventricular hypertrophy" not in found.unjudged


def test_statement_carries_number_unit_and_verdict():
    found = finding(judge(pr_ms=212.0), "pr_long")
    assert found.statement == "PR interval 212 ms (> 200 ms): first-degree AV block"
    excluded = finding(judge(), "pr_long")
    assert excluded.statement == "PR interval 160 ms (not > 200 ms): no first-degree AV block"


LBBB = {("I V6", "q_mv"): NAN, ("I V6", "s_mv"): NAN, ("V1", "r_mv"): NAN, ("V1", "q_mv"): -1.5,
        ("V1", "s_mv"): -1.5, ("V1", "q_ms"): 120.0, ("I V6", "r_ms"): 110.0}  # fmt: skip
RBBB = {("V1", "rsr"): 1.0, ("V1", "r_mv"): 0.9, ("I V6", "s_mv"): -0.4}
LAFB = {("aVL", "q_mv"): -0.1, ("II III aVF", "r_mv"): 0.2, ("II III aVF", "s_mv"): -0.8}
LPFB = {("I aVL", "r_mv"): 0.2, ("I aVL", "s_mv"): -0.6, ("III aVF", "q_mv"): -0.08,
        ("III aVF", "q_ms"): 20.0, ("III aVF", "r_mv"): 1.0}  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "headline", "expected", "absent"),
    [
        ({}, {"hr_bpm": 50}, {"sinus bradycardia", "normal ecg"}, {"sinus rhythm"}),
        ({}, {"hr_bpm": 120}, {"sinus tachycardia"}, {"sinus rhythm"}),
        ({}, {"rr_ms": (700.0, 900.0)}, {"sinus arrhythmia"}, {"sinus rhythm"}),
        ({}, {"rr_ms": (700.0, 900.0), "n_wide_premature": 1},
         {"sinus rhythm", "premature ventricular complexes"},
         {"sinus arrhythmia", "normal ecg"}),
        ({}, {"n_narrow_premature": 2}, {"premature atrial complexes"}, {"normal ecg"}),
        ({}, {"p_present": False, "regular": False, "pr_ms": None, "n_narrow_premature": None},
         {"atrial fibrillation"}, {"sinus rhythm", "premature atrial complexes"}),
        ({}, {"p_present": False, "pr_ms": None}, {"junctional rhythm"}, {"sinus rhythm"}),
        ({}, {"p_present": False, "hr_bpm": 170}, {"supraventricular tachycardia"}, set()),
        ({}, {"p_present": False, "hr_bpm": 170, "qrs_ms": 150}, {"ventricular tachycardia"},
         {"supraventricular tachycardia"}),
        ({}, {"hr_bpm": 170, "av_relation": None}, {"supraventricular tachycardia"},
         {"sinus tachycardia"}),
        ({}, {"hr_bpm": 149, "av_relation": None}, {"sinus tachycardia"},
         {"supraventricular tachycardia"}),
        ({}, {"p_present": False, "av_relation": "dissociated", "atrial_bpm": 80, "hr_bpm": 40},
         {"third-degree av block"}, {"junctional rhythm", "sinus rhythm"}),
        ({}, {"p_present": False, "av_relation": "lengthening", "atrial_bpm": 90,
              "regular": False, "grouped": True},
         {"second-degree av block", "sinus rhythm"}, {"atrial fibrillation"}),
        ({}, {"av_relation": "blocked", "atrial_bpm": 90, "grouped": True, "regular": False},
         {"second-degree av block"}, {"sinus arrhythmia"}),
        ({}, {"rr_ms": (900.0, 900.0, 2400.0, 900.0), "regular": False},
         {"sinus pause"}, {"sinus arrhythmia"}),
        ({("I II aVL V5", "delta_ms"): 60, ("V1", "s_mv"): -4.0}, {"pr_ms": 100, "qrs_ms": 125},
         {"wolff-parkinson-white syndrome"}, {"left ventricular hypertrophy"}),
        ({("I II aVF V4 V5 V6", "st_mv"): 0.12, ("I II aVF V4 V5 V6", "j_mv"): 0.1,
          ("II V5 V6", "pr_level_mv"): -0.06}, {}, {"pericarditis", "st elevation"},
         {"inferior myocardial infarction", "early repolarisation"}),
        ({("V4 V5", "r2_mv"): 0.2, ("V4 V5", "j_mv"): 0.12}, {}, {"early repolarisation"},
         {"pericarditis"}),
        ({("V1 V2 V3", "st_mv"): -0.1, ("V1 V2 V3", "j_mv"): -0.1}, {},
         {"posterior myocardial infarction"}, {"digoxin effect"}),
        ({("V5 V6", "st_mv"): -0.1, ("V5 V6", "j_mv"): -0.06, ("V5 V6", "t_mv"): 0.2},
         {"qtc_ms": 370}, {"digoxin effect"}, {"short qt interval"}),
        ({("V2 V3", "u_mv"): 0.2, ("V2 V3 V4 V5 V6", "t_mv"): 0.06}, {}, {"hypokalaemia"},
         set()),
        ({("V1", "r_mv"): 0.5, ("V1", "s_mv"): -0.3, ("V1 V2", "st_mv"): -0.1,
          ("V1 V2", "t_mv"): -0.2}, {"axis_deg": 110}, {"right ventricular hypertrophy"},
         {"myocardial ischaemia"}),
        ({("I", "p_mv"): -0.1, ("V6", "p_mv"): -0.05, ("I", "t_mv"): -0.2}, {"axis_deg": 130},
         {"sinus rhythm", "dextrocardia"}, {"right axis deviation"}),
        ({("II aVF", "p_mv"): -0.1}, {}, {"ectopic atrial rhythm"}, {"sinus rhythm"}),
        ({("II aVF", "p_mv"): -0.1}, {"pr_ms": 100}, {"junctional rhythm"},
         {"ectopic atrial rhythm"}),
        ({}, {"pr_ms": 220}, {"first-degree av block"}, {"normal ecg"}),
        (LBBB, {"qrs_ms": 150}, {"left bundle branch block"},
         {"anterior myocardial infarction", "nonspecific intraventricular conduction delay"}),
        (LBBB, {"qrs_ms": 114}, {"incomplete left bundle branch block"},
         {"left bundle branch block"}),
        (RBBB, {"qrs_ms": 140}, {"right bundle branch block"},
         {"incomplete right bundle branch block"}),
        (RBBB, {"qrs_ms": 112}, {"incomplete right bundle branch block"},
         {"right bundle branch block", "nonspecific intraventricular conduction delay"}),
        (RBBB, {"qrs_ms": 100}, {"normal ecg"}, {"incomplete right bundle branch block"}),
        (RBBB | {("V1", "r2_mv"): 0.2}, {"qrs_ms": 92},
         {"incomplete right bundle branch block"}, {"normal ecg"}),
        (RBBB | {("V1", "r2_mv"): 0.2, ("I V6", "s_mv"): -0.05}, {"qrs_ms": 92}, set(),
         {"incomplete right bundle branch block"}),
        ({}, {"qrs_ms": 116}, set(), {"normal ecg"}),
        (LAFB, {"axis_deg": -60},
         {"left anterior fascicular block", "left axis deviation"}, set()),
        (LAFB, {"axis_deg": -31}, {"left anterior fascicular block"}, set()),
        (LAFB, {"axis_deg": -30}, set(), {"left anterior fascicular block"}),
        (LAFB | {("aVL", "q_mv"): NAN}, {"axis_deg": -45}, {"left anterior fascicular block"},
         set()),
        (LAFB | {("aVL", "q_mv"): NAN}, {"axis_deg": -44}, {"left axis deviation"},
         {"left anterior fascicular block"}),
        (LAFB | {("aVL", "q_mv"): -0.025}, {"axis_deg": -44},
         {"left anterior fascicular block"}, set()),
        (LAFB | {("aVL", "q_mv"): -0.024}, {"axis_deg": -44}, set(),
         {"left anterior fascicular block"}),
        (LAFB | RBBB, {"axis_deg": -124, "initial_axis_deg": -79, "qrs_ms": 140},
         {"left anterior fascicular block", "right bundle branch block"},
         {"left axis deviation"}),
        (LAFB | RBBB, {"axis_deg": -124, "initial_axis_deg": -40, "qrs_ms": 140},
         {"right bundle branch block"}, {"left anterior fascicular block"}),
        (LAFB, {"axis_deg": -124, "initial_axis_deg": -79}, set(),
         {"left anterior fascicular block", "left axis deviation", "normal ecg"}),
        (LPFB, {"axis_deg": 120}, {"left posterior fascicular block", "right axis deviation"},
         set()),
        ({("V1", "r_mv"): 1.0}, {"axis_deg": 120}, {"right ventricular hypertrophy"}, set()),
        ({("V1", "s_mv"): -2.5}, {}, {"left ventricular hypertrophy"}, {"normal ecg"}),
        ({("II", "p_ms"): 130, ("V1", "p_mv"): -0.12}, {}, {"left atrial abnormality"}, set()),
        ({("II", "p_mv"): 0.3}, {}, {"right atrial abnormality"}, set()),
        ({("III aVF II", "st_mv"): 0.2, ("III aVF II", "j_mv"): 0.2,
          ("I aVL", "st_mv"): -0.1, ("I aVL", "j_mv"): -0.1}, {},
         {"inferior myocardial infarction", "st elevation", "st depression"}, {"normal ecg"}),
        ({("V5 V6", "st_mv"): -0.1, ("V5 V6", "j_mv"): -0.1, ("V5 V6", "t_mv"): -0.2}, {},
         {"st depression", "t wave inversion", "myocardial ischaemia"},
         {"nonspecific st-t abnormality"}),
        ({("V5 V6", "t_mv"): 0.05}, {}, {"nonspecific st-t abnormality"}, {"t wave inversion"}),
        ({}, {"qtc_ms": 480}, {"prolonged qt interval"}, set()),
        ({}, {"qtc_ms": 480, "qrs_ms": 150}, set(), {"prolonged qt interval"}),
        ({}, {"qtc_ms": 330}, {"short qt interval"}, {"normal ecg"}),
    ],
)  # fmt: skip
def test_diagnoses_follow_from_findings(cells, headline, expected, absent):
    found = set(judge(cells, **headline).diagnoses)
    assert expected <= found
    assert not absent & found


def test_left_block_with_a_small_last_r_in_v1_stays_left_and_with_wide_s_does_not():
    cells = LBBB | {("V1", "rsr"): 1.0}
    assert "left bundle branch block" in judge(cells, qrs_ms=150).diagnoses
    late = cells | {("I V6", "s_mv"): -0.2, ("I V6", "s_ms"): 60.0}
    assert "left bundle branch block" not in judge(late, qrs_ms=150).diagnoses


def test_infarction_beside_left_block_needs_sgarbossas_criteria():
    raised = {("V5", "st_mv"): 0.12, ("V5", "j_mv"): 0.12}
    found = judge(LBBB | raised, qrs_ms=150)
    assert "lateral myocardial infarction" in found.diagnoses
    assert found.urgency.level == "immediate"
    assert "Sgarbossa" in found.urgency.reasons[0]
    assert "lateral myocardial infarction" not in judge(raised).diagnoses
    assert found.support["lateral myocardial infarction"] == (
        "qrs_wide", "left_clean", "left_broad", "concordant_st_lateral",
    )  # fmt: skip


def test_negative_p_in_i_is_dextrocardia_only_with_a_negative_p_in_v6():
    cells = {("I", "p_mv"): -0.025, ("I", "t_mv"): -0.2}
    assert "dextrocardia" not in judge(cells).diagnoses
    assert "dextrocardia" in judge(cells | {("V6", "p_mv"): -0.05}).diagnoses
    cells[("I", "p_mv")] = -0.024
    assert "dextrocardia" not in judge(cells | {("V6", "p_mv"): -0.05}).diagnoses


def test_hypertrophy_explains_an_st_elevation_of_less_than_a_quarter_of_s():
    cells = {("V1 V2 V3", "s_mv"): -2.5, ("V1 V2 V3", "st_mv"): 0.62}
    for j_mv, expected in ((0.62, False), (0.625, True), (0.63, True)):
        found = judge(cells | {("V1 V2 V3", "j_mv"): j_mv})
        assert "left ventricular hypertrophy" in found.diagnoses
        assert ("anterior myocardial infarction" in found.diagnoses) is expected


def test_paced_ventricles_speak_of_nothing_else():
    cells = LBBB | {("III aVF", "q_ms"): 60.0, ("III aVF", "q_mv"): -0.5}
    found = judge(cells, qrs_ms=160, pacing_spikes=measured().rpeaks - 40, p_present=False)
    assert found.diagnoses == ["paced rhythm"]


@pytest.mark.parametrize(
    ("reversal", "name", "lost"),
    [("arms", "arms_exchanged", {"axis_left", "gubner", "q_avl", "st_elevation_inferior"}),
     ("right leg", "leg_exchanged", {"axis_left", "low_limb", "p_tall"}),
     ("chest order", "chest_exchanged", {"r_v3_small", "sokolow_lyon", "q_waves_anterior"})],
)  # fmt: skip
def test_exchanged_electrodes_are_said_and_not_judged(reversal, name, lost):
    cells = {
        ("I II III aVL aVF V1 V2 V3", "q_ms"): 60.0,
        ("I II III aVL aVF V1 V2 V3", "q_mv"): -0.5,
    }
    found = judge(cells, reversal=reversal, axis_deg=-100)
    assert finding(found, name).met is True
    assert all(finding(found, each).met is None for each in lost)
    assert all("electrodes seem exchanged" in found.unjudged[each] for each in lost)
    assert "right axis deviation" not in found.diagnoses
    assert found.urgency.level == "prompt"
    kept = ("inferior", "lateral") if reversal == "chest order" else ("anterior",)
    infarctions = {each for each in found.diagnoses if each.endswith("infarction")}
    assert infarctions == {f"{place} myocardial infarction" for place in kept}


@pytest.mark.parametrize(
    ("cells", "headline", "level"),
    [
        ({("III aVF", "st_mv"): 0.3, ("III aVF", "j_mv"): 0.3}, {}, "immediate"),
        ({("III aVF", "q_ms"): 40.0, ("III aVF", "q_mv"): -0.3}, {}, "prompt"),
        ({}, {"p_present": False, "av_relation": "dissociated", "atrial_bpm": 80, "hr_bpm": 45},
         "immediate"),
        ({}, {"p_present": False, "hr_bpm": 170, "qrs_ms": 150}, "immediate"),
        ({("V3 V4", "t_mv"): 1.2, ("V3 V4", "t_ms"): 150.0}, {}, "immediate"),
        ({}, {"rr_ms": (900.0, 900.0, 2999.0)}, "prompt"),
        ({}, {"rr_ms": (900.0, 900.0, 3000.0)}, "immediate"),
        ({}, {"p_present": False, "regular": False, "hr_bpm": 101}, "prompt"),
        ({}, {"p_present": False, "regular": False, "hr_bpm": 100}, "routine"),
        ({("V2 V3", "st_mv"): 0.2, ("V2 V3", "j_mv"): 0.2}, {"qtc_bazett_ms": 350}, "prompt"),
        ({}, {"qtc_ms": 499}, "routine"),
        ({}, {"qtc_ms": 500}, "prompt"),
        ({}, {"pr_ms": 220}, "routine"),
    ],
)  # fmt: skip
def test_urgency(cells, headline, level):
    urgency = judge(cells, **headline).urgency
    assert urgency.level == level
    assert bool(urgency.reasons) is (level != "routine")


def test_every_diagnosis_rests_on_findings_that_are_met_and_excludes_those_that_are_not():
    for cells, headline in (({}, {}), (LBBB, {"qrs_ms": 150}), (RBBB, {"qrs_ms": 140}),
                            ({}, {"p_present": False, "regular": False}),
                            ({("V1", "s_mv"): -2.5}, {"qtc_ms": 480})):  # fmt: skip
        found = judge(cells, **headline)
        met = {each.name for each in found.findings if each.met}
        assert set(found.support) == set(found.excluded) == set(found.diagnoses)
        for label in found.diagnoses:
            assert found.support[label]
            assert set(found.support[label]) <= met
            assert not set(found.excluded[label]) & (met | set(found.diagnoses))
    assert found.support["left ventricular hypertrophy"] == ("sokolow_lyon",)
    assert "left bundle branch block" in found.excluded["left ventricular hypertrophy"]


def test_nonspecific_delay_is_what_no_bundle_branch_block_explains():
    cells = {("I V6", "q_mv"): -0.3, ("I V6", "s_mv"): NAN}
    assert "nonspecific intraventricular conduction delay" in judge(cells, qrs_ms=130).diagnoses


@pytest.mark.parametrize(
    ("leads", "limit_mv"), [(LEADS[:6], 0.5), (LEADS[6:], 1.0)], ids=["limb", "chest"]
)
def test_low_voltage_needs_all_leads_of_a_group_below_its_limit(leads, limit_mv):
    for size_mv, expected in ((limit_mv - 0.01, True), (limit_mv, False)):
        cells = {(lead, "r_mv"): size_mv for lead in leads}
        cells |= {(lead, "s_mv"): NAN for lead in leads}
        assert ("low qrs voltage" in judge(cells).diagnoses) is expected
    cells = {(lead, column): 0.0 for lead in leads[1:] for column in ("r_mv", "s_mv")}
    assert "low qrs voltage" not in judge(cells).diagnoses


def test_uncalibrated_record_keeps_rhythm_and_loses_voltage():
    found = judge({("V1", "s_mv"): -5.0}, calibrated=False, pr_ms=220)
    assert found.diagnoses == ["sinus rhythm", "first-degree av block"]
    for criterion in CRITERIA:
        if criterion.voltage:
            assert finding(found, criterion.name).met is None
            assert finding(found, criterion.name).value is None
            assert "not calibrated" in found.unjudged[criterion.name]
    assert "normal ecg" in judge(calibrated=False).unjudged


def test_missing_values_are_unjudged_with_the_measurements_reason():
    found = judge(pr_ms=None, unmeasurable={"pr_ms": "no P waves"})
    assert finding(found, "pr_long").met is None
    assert found.unjudged["pr_long"] == found.unjudged["first-degree av block"] == "no P waves"
    assert found.diagnoses == ["sinus rhythm"]  # and no "normal ecg" while something is open


def test_a_bad_lead_opens_a_pair_only_where_it_could_decide():
    level = {("V2", "st_mv"): NAN, ("V2", "j_mv"): NAN}
    assert finding(judge(level), "st_elevation_anterior").met is False
    raised = level | {("V3", "st_mv"): 0.3, ("V3", "j_mv"): 0.3}
    found = apply_protocol(measured(raised, quality={"V2": "flat"}), sex="male", age_years=50)
    assert finding(found, "st_elevation_anterior").met is None
    assert "V2: flat" in found.unjudged["st_elevation_anterior"]


def test_nothing_measured_gives_no_diagnosis_and_valid_json():
    kept = {"leads", "rr_ms", "unmeasurable", "quality", "rpeaks", "pacing_spikes", "p_times"}
    names = vars(measured()).keys() - kept
    empty = measured(**dict.fromkeys(names))
    empty.leads = empty.leads * np.nan
    empty.rr_ms, empty.rpeaks = (), np.zeros(0, int)
    found = apply_protocol(empty)
    assert found.diagnoses == []
    assert all(each.met is None for each in found.findings)
    assert set(found.unjudged) >= {criterion.name for criterion in CRITERIA}
    json.dumps(found.to_json(), allow_nan=False)


def test_judgement_is_plain_json():
    plain = json.loads(json.dumps(judge(LBBB, qrs_ms=150).to_json(), allow_nan=False))
    assert plain["diagnoses"][:2] == ["sinus rhythm", "left bundle branch block"]
    assert len(plain["findings"]) == len(CRITERIA)
    assert plain["support"]["left bundle branch block"] == [
        "qrs_wide", "left_clean", "left_broad",
    ]  # fmt: skip
    assert "v1_positive" in plain["excluded"]["left bundle branch block"]
    assert plain["urgency"] == {"level": "prompt", "reasons": ["left bundle branch block"]}


def test_criteria_and_rules_fit_together():
    names = [criterion.name for criterion in CRITERIA]
    texts = {label.text for label in LABELS}
    assert len(set(names)) == len(names)
    for criterion in CRITERIA:
        assert re.search(r"(19|20)\d\d", criterion.source) or "ours" in criterion.source
    assert {criterion.phase for criterion in CRITERIA} == {1, 2, 3, 4, 5}
    steps = {rule.label for rule in RULES} - texts  # between criteria and labels
    assert {rule.label for rule in RULES} - steps | {"normal ecg"} == texts
    known = set(names)
    assert not known & texts
    for rule in RULES:
        assert {*rule.needs, *rule.one_of, *rule.without} <= known
        known.add(rule.label)
    assert all(set(alarm.needs) <= known for alarm in ALARMS)


# Codes


def test_each_code_and_wording_has_one_label_and_every_label_is_its_own_wording():
    for kind in ("scp", "snomed"):
        codes = [code for label in LABELS for code in getattr(label, kind)]
        assert len(set(codes)) == len(codes)
    for label in LABELS:
        for wording in (label.text, label.text.upper(), *label.paper, *label.scp):
            assert canonical(wording) == label.text


@pytest.mark.parametrize(
    ("wording", "label"),
    [
        ("Complete Right Bundle-Branch Block.", "right bundle branch block"),
        ("1st degree A-V block", "first-degree av block"),
        ("PVCs", "premature ventricular complexes"),
        ("myocardial ischemia", "myocardial ischaemia"),
        ("Hyperkalemia", "hyperkalaemia"),
        ("Early Repolarization", "early repolarisation"),
        ("normal sinus rhythm", "sinus rhythm"),
        ("Non-specific ST-T changes", "nonspecific st-t abnormality"),
        ("no st elevation", None),
        ("abnormal ecg", None),
        ("", None),
    ],
)
def test_wordings(wording, label):
    assert canonical(wording) == label


@pytest.mark.parametrize(
    ("codes", "labels"),
    [
        ({"NORM": 100.0, "LVOLT": 0.0, "SR": 0.0}, ("sinus rhythm", "low qrs voltage")),
        ({"NORM": 80.0, "SBRAD": 0.0}, ("sinus bradycardia", "normal ecg")),
        ({"NORM": 100.0, "SARRH": 0.0, "SR": 0.0}, ("sinus arrhythmia", "normal ecg")),
        ({"NORM": 80.0, "SVARR": 0.0}, ()),
        ({"NORM": 80.0, "AFIB": 0.0}, ("atrial fibrillation",)),
        ({"NORM": 80.0, "VCLVH": 0.0, "SR": 0.0}, ("sinus rhythm", "normal ecg")),
        ({"ISC_": 100.0, "DIG": 0.0}, ("myocardial ischaemia", "digoxin effect")),
        ({"ALMI": 15.0}, ("anterior myocardial infarction",)),
        ({"1AVB": 100.0, "LPR": 0.0, "SR": 0.0}, ("sinus rhythm", "first-degree av block")),
        ({}, ()),
    ],
)
def test_scp_statements(codes, labels):
    assert labels_from_scp(codes) == labels


def test_infarction_territories_follow_the_table_of_ptbxl(shared):
    place = {"AMI": "anterior", "IMI": "inferior", "LMI": "lateral", "PMI": "posterior"}
    with (shared / "data/ptbxl/scp_statements.csv").open() as lines:
        rows = [row for row in csv.DictReader(lines) if row["diagnostic_class"] == "MI"]
    assert len(rows) == 14
    for row in rows:
        expected = f"{place[row['diagnostic_subclass']]} myocardial infarction"
        assert labels_from_scp({row[""]: 100.0}) == (expected,)


def test_real_records_have_their_rhythm(shared):
    with (shared / "data/ptbxl/ptbxl_database.csv").open() as lines:
        rows = [ast.literal_eval(row["scp_codes"]) for row in csv.DictReader(lines)]
    for codes in rows:
        labels = labels_from_scp(codes)
        for code, label in (("SR", "sinus rhythm"), ("AFIB", "atrial fibrillation")):
            if code in codes and "SARRH" not in codes and "SBRAD" not in codes:
                assert label in labels
        assert ("normal ecg" not in labels) or "NORM" in codes


def test_snomed_codes_of_both_kinds_of_bundle_branch_block():
    assert labels_from_snomed(["713427006"]) == labels_from_snomed(["59118001"])
    assert labels_from_snomed(["733534002"]) == ("left bundle branch block",)
    assert labels_from_snomed([" 427084000", "55827005", "284470004"]) == (
        "sinus tachycardia",
        "premature atrial complexes",
    )
