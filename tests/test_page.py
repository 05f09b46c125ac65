"""The page obeys the millimetre: places follow from speed, gain and resolution alone."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import pytest
from PIL import Image

from ecg_r1 import DISCLAIMER
from ecg_r1.ecg import ECG, FS, LEADS, ECGError
from ecg_r1.page import (
    LEFT_MM,
    PAGE_COLOURS,
    PAGE_LAYOUTS,
    _inked,
    draw_page,
    page_segments,
)

DARK = 90  # every grid colour is brighter, in every channel


def ecg_of(signal, calibrated=True):
    return ECG(signal, source="test", calibrated=calibrated)


def zeros(samples=5000):
    return np.zeros((12, samples))


def trace_ink(signal, layout="12x1", **options):
    """Dark pixels that this signal has and a page without any trace has not."""
    empty = np.full((12, 10), np.nan)
    drawn = np.asarray(draw_page(ecg_of(signal), layout, **options)).max(axis=2) < DARK
    return drawn & ~(np.asarray(draw_page(ecg_of(empty), layout, **options)).max(axis=2) < DARK)


def only(lead, samples):
    """All leads missing but one."""
    signal = np.full((12, len(samples)), np.nan)
    signal[LEADS.index(lead)] = samples
    return signal


def extent(ink, axis):
    places = np.flatnonzero(ink.any(axis=axis))
    return places[0], places[-1]


def centre(ink, axis):
    first, last = extent(ink, axis)
    return (first + last) / 2


@pytest.mark.parametrize("px_per_mm", [2.37, 4.0, 10.0])
def test_the_page_is_270_by_189_mm_at_its_stated_resolution(px_per_mm):
    page = draw_page(ecg_of(zeros()), px_per_mm=px_per_mm)
    assert page.mode == "RGB"
    assert page.size == (round(270 * px_per_mm), round(189 * px_per_mm))
    assert page.info["dpi"] == pytest.approx((px_per_mm * 25.4,) * 2)


def test_the_small_models_page_is_640_by_448_pixels():
    assert draw_page(ecg_of(zeros()), px_per_mm=2.37).size == (640, 448)


@pytest.mark.parametrize(("px_per_mm", "gain"), [*product([2.37, 4.0, 7.3, 12.0], [5, 10, 20])])
def test_one_millivolt_is_gain_millimetres_high(px_per_mm, gain):
    signal = np.zeros(5000)
    signal[2500:] = 1.0
    options = {"px_per_mm": px_per_mm, "gain_mm_mv": gain}
    ink = trace_ink(only("V3", signal), **options)
    middle = round((LEFT_MM + 125) * px_per_mm)
    before, after = ink[:, : middle - 30], ink[:, middle + 30 :]
    assert centre(before, 1) - centre(after, 1) == pytest.approx(gain * px_per_mm, abs=1)


@pytest.mark.parametrize(
    ("px_per_mm", "speed"),
    [(2.37, 25), (4.0, 12.5), (4.0, 25), (4.0, 50), (6.0, 100), (2.0, 200)],
)
def test_a_spike_at_one_second_lies_one_second_of_paper_from_the_margin(px_per_mm, speed):
    signal = np.zeros(5000)
    signal[FS] = 1.5
    ink = trace_ink(only("II", signal), "3x4", px_per_mm=px_per_mm, speed_mm_s=speed)
    strip = ink[ink.shape[0] * 3 // 4 :]
    tip = strip[: extent(strip, 1)[0] + 3]
    assert centre(tip, 0) == pytest.approx((LEFT_MM + speed) * px_per_mm, abs=1)


def test_twice_the_speed_doubles_distances_and_leaves_margins():
    signal = np.full(5000, np.nan)
    signal[[500, 1500]] = 0.0
    signal[[501, 1501]] = 0.0
    gaps = {}
    for speed in (25, 50):
        columns = np.flatnonzero(trace_ink(only("V1", signal), speed_mm_s=speed).any(axis=0))
        gaps[speed] = columns[-1] - columns[0]
        assert draw_page(ecg_of(zeros()), speed_mm_s=speed).size[0] == (20 + 10 * speed) * 4
    assert gaps == {25: pytest.approx(200, abs=2), 50: pytest.approx(400, abs=2)}


@pytest.mark.parametrize(("colour", "px_per_mm"), [*product(PAGE_COLOURS, [4.0, 6.0])])
def test_bold_lines_are_five_millimetres_apart_and_thin_ones_one(colour, px_per_mm):
    page = np.asarray(draw_page(ecg_of(zeros()), colour=colour, px_per_mm=px_per_mm))
    brightness = page[: int(3 * px_per_mm)].sum(axis=2).mean(axis=0)
    tone = np.abs(np.fft.rfft(brightness - brightness.mean()))
    per_mm = np.fft.rfftfreq(brightness.size, 1 / px_per_mm)
    assert per_mm[tone.argmax()] == pytest.approx(1.0, abs=0.005)
    slow = per_mm < 0.9
    fundamental = tone[slow & (np.abs(per_mm - 0.2) < 0.005)].max()
    assert fundamental > 0.2 * tone.max()
    bold = brightness[:: int(5 * px_per_mm)]
    assert bold[1:-1].max() < brightness[int(px_per_mm) :: int(5 * px_per_mm)].min()


def test_the_calibration_pulse_is_one_millivolt_by_a_fifth_of_a_second():
    page = np.asarray(draw_page(ecg_of(np.full((12, 10), np.nan)), "3x4")).max(axis=2) < DARK
    margin = page[: 46 * 4, : 14 * 4]  # the first row's pulse
    top, bottom = extent(margin, 1)
    assert bottom - top == pytest.approx(40, abs=1)
    baseline = trace_ink(only("I", np.zeros(5000)), "3x4")
    assert bottom == pytest.approx(centre(baseline, 1), abs=1.5)
    upper = margin[top : top + 20]
    left, right = extent(upper, 0)
    assert right - left == pytest.approx(20, abs=1)


@pytest.mark.parametrize("layout", PAGE_LAYOUTS)
def test_every_lead_stands_once_in_the_layout_and_times_follow_columns(layout):
    segments = page_segments(layout)
    body = segments[:12]
    assert sorted(s.lead for s in body) == sorted(LEADS)
    n_columns = {"3x4": 4, "6x2": 2, "12x1": 1}[layout]
    assert {s.start_s for s in body} == {10 / n_columns * k for k in range(n_columns)}
    assert len(segments) == (13 if layout == "3x4" else 12)


def test_the_columns_of_3x4_are_the_usual_ones():
    columns = {}
    for s in page_segments("3x4")[:12]:
        columns.setdefault(s.start_s, []).append(s.lead)
    assert list(columns.values()) == [
        ["I", "II", "III"],
        ["aVR", "aVL", "aVF"],
        ["V1", "V2", "V3"],
        ["V4", "V5", "V6"],
    ]


@pytest.mark.parametrize("layout", PAGE_LAYOUTS)
def test_a_lead_inks_only_its_own_stretch(layout):
    for segment in page_segments(layout, rhythm_lead="II")[:12]:
        if layout == "3x4" and segment.lead == "II":
            continue  # stands on the rhythm strip as well
        ink = trace_ink(only(segment.lead, np.zeros(5000)), layout)
        left, right = extent(ink, 0)
        assert left >= (LEFT_MM + 25 * segment.start_s) * 4 - 2
        assert right == pytest.approx((LEFT_MM + 25 * segment.end_s) * 4, abs=3)


def test_the_rhythm_strip_shows_the_lead_that_was_asked_for():
    signal = only("V1", np.zeros(5000))
    assert extent(trace_ink(signal, "3x4", rhythm_lead="V1"), 0)[1] >= (LEFT_MM + 249) * 4
    assert extent(trace_ink(signal, "3x4"), 0)[1] <= (LEFT_MM + 188) * 4


def test_a_negated_lead_is_drawn_upside_down():
    spike = np.zeros(5000)
    spike[1000] = 1.0
    up, down = (trace_ink(only("aVR", sign * spike), px_per_mm=6) for sign in (1, -1))
    (up_top, up_bottom), (down_top, down_bottom) = extent(up, 1), extent(down, 1)
    zero = (up_bottom + down_top) / 2
    assert zero - up_top == pytest.approx(down_bottom - zero, abs=1)
    assert up_bottom - up_top == pytest.approx(60, abs=4)


def test_missing_samples_leave_no_ink():
    signal = np.zeros(5000)
    signal[2000:3000] = np.nan
    columns = np.flatnonzero(trace_ink(only("II", signal), "12x1").any(axis=0))
    gap = columns[np.diff(columns, append=columns[-1]).argmax() :][:2]
    assert gap == pytest.approx([(LEFT_MM + 100) * 4, (LEFT_MM + 150) * 4], abs=3)


@pytest.mark.parametrize("px_per_mm", [2.37, 4.0])
def test_a_sample_between_two_gaps_is_still_seen(px_per_mm):
    signal = np.full(5000, np.nan)
    signal[2000] = 0.0
    ink = trace_ink(only("V6", signal), px_per_mm=px_per_mm)
    assert centre(ink, 0) == pytest.approx((LEFT_MM + 100) * px_per_mm, abs=1)


def test_a_short_record_ends_early_and_the_paper_does_not():
    page = draw_page(ecg_of(np.zeros((12, 2000))), "12x1")
    assert page.size == (1080, 756)
    ink = trace_ink(only("I", np.zeros(2000)))
    assert extent(ink, 0)[1] == pytest.approx((LEFT_MM + 100) * 4, abs=3)


def test_a_long_record_shows_its_first_ten_seconds():
    rng = np.random.default_rng(0)
    long = rng.normal(0, 0.2, (12, 7000))
    long[:, 5000] = long[:, 4999]  # the sample at exactly 10 s ends the line
    first = draw_page(ecg_of(long[:, :5001]), "12x1")
    assert draw_page(ecg_of(long), "12x1").tobytes() == first.tobytes()


@pytest.mark.parametrize("px_per_mm", [2.0, 2.37, 4.0])
def test_a_narrow_peak_keeps_its_height_at_low_resolution(px_per_mm):
    tops = []
    for sample in range(2000, 2008):
        signal = np.zeros(5000)
        signal[sample] = 1.0
        top, bottom = extent(trace_ink(only("I", signal), px_per_mm=px_per_mm), 1)
        tops.append(bottom - top)
    assert min(tops) >= 10 * px_per_mm - 1


@pytest.mark.parametrize("value", [1e6, -1e6, 3e38, np.inf])
def test_absurd_voltages_run_off_the_page_without_a_crash(value):
    signal = zeros()
    signal[:, 1000:1100] = value
    assert draw_page(ecg_of(signal)).size == (1080, 756)


def test_how_far_off_the_page_a_voltage_lies_does_not_matter():
    pages = []
    for value in (1e6, 3e38):
        signal = zeros()
        signal[:, 1000:1100] = value
        pages.append(draw_page(ecg_of(signal)).tobytes())
    assert pages[0] == pages[1]


@pytest.mark.parametrize("px_per_mm", [2.0, 12.0])
def test_both_ends_of_the_resolution_range_draw(px_per_mm):
    assert draw_page(ecg_of(zeros()), px_per_mm=px_per_mm).size[0] == 270 * px_per_mm


def footer(ecg, **options):
    page = np.asarray(draw_page(ecg, **options)).max(axis=2) < DARK
    return page[-36:, :]


def test_the_footer_prints_speed_and_gain():
    plain = footer(ecg_of(zeros()))
    assert plain.any()
    assert (footer(ecg_of(zeros()), gain_mm_mv=20) != plain).any()


@pytest.mark.parametrize("speed", [5, 25])
def test_an_uncalibrated_record_says_so_within_the_page(speed):
    plain = footer(ecg_of(zeros()), speed_mm_s=speed)
    warned = footer(ecg_of(zeros(), calibrated=False), speed_mm_s=speed)
    assert warned.sum() > 1.3 * plain.sum()
    assert not warned[:, -8:].any()


@pytest.mark.parametrize("speed", [5, 12.5, 25])
@pytest.mark.parametrize("layout", PAGE_LAYOUTS)
def test_a_disclaimer_stands_at_the_foot_within_the_page_and_changes_nothing_else(
    layout, speed
):
    ecg = ecg_of(np.full((12, 10), np.nan), calibrated=False)
    plain = draw_page(ecg, layout, speed_mm_s=speed)
    told = draw_page(ecg, layout, speed_mm_s=speed, disclaimer=DISCLAIMER)
    assert (told.size, told.info["Disclaimer"]) == (plain.size, DISCLAIMER)
    assert "Disclaimer" not in plain.info
    more = (np.asarray(told) != np.asarray(plain)).any(axis=2)
    assert more.sum() > 4 * len(DISCLAIMER)  # a letter is more than a few pixels
    top, bottom = extent(more, 1)
    left, right = extent(more, 0)
    assert 0.9 * plain.height <= top < bottom < plain.height - 4 * 5.5
    assert 4 * 5 <= left < right < plain.width - 4 * 4  # in mm at four pixels each
    assert draw_page(ecg, layout, speed_mm_s=speed).tobytes() == plain.tobytes()


def test_the_disclaimer_and_the_line_of_speed_and_gain_do_not_touch():
    ecg = ecg_of(np.full((12, 10), np.nan))
    page = np.asarray(draw_page(ecg, disclaimer=DISCLAIMER)).max(axis=2) < DARK
    rows = page[-48:, 60:].any(axis=1)
    starts = np.flatnonzero(np.diff(rows.astype(int)) == 1)
    assert len(starts) == 2


def test_ink_is_mixed_as_pillow_mixes_it():
    rng = np.random.default_rng(0)
    blank = rng.integers(0, 256, (64, 256, 3), dtype=np.uint8)
    cover = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    for colour in ((0, 0, 0), (26, 26, 26), (255, 3, 100)):
        pasted = Image.fromarray(blank)
        pasted.paste(colour, mask=Image.fromarray(cover))
        np.testing.assert_array_equal(_inked(blank, cover, colour), np.asarray(pasted))


def test_the_page_returned_is_the_callers_own():
    first = draw_page(ecg_of(zeros()))
    first.paste((0, 0, 0), (0, 0, 500, 500))
    assert np.asarray(draw_page(ecg_of(zeros())))[0, :500].max() > 200


def test_threads_draw_what_one_draws():
    """Each its own page, several geometries at once, from caches that they share."""
    rng = np.random.default_rng(0)
    jobs = [(ecg_of(rng.normal(0, 0.3, (12, 5000))), layout) for layout in 4 * PAGE_LAYOUTS]
    with ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(lambda job: draw_page(*job, px_per_mm=2).tobytes(), jobs))
    assert drawn == [draw_page(*job, px_per_mm=2).tobytes() for job in jobs]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("px_per_mm", 1.9),
        ("px_per_mm", 12.5),
        ("px_per_mm", float("nan")),
        ("speed_mm_s", 0),
        ("speed_mm_s", 201),
        ("gain_mm_mv", 0.5),
        ("gain_mm_mv", 81),
        ("colour", "green"),
        ("layout", "4x3"),
        ("rhythm_lead", "V7"),
    ],
)
def test_an_impossible_option_is_refused_with_its_value(option, value):
    with pytest.raises(ECGError, match=str(value)):
        draw_page(ecg_of(zeros()), **{option: value})


def test_a_page_beyond_memory_is_refused_with_its_size():
    with pytest.raises(ECGError, match="24240 x 2268 pixels"):
        draw_page(ecg_of(zeros()), px_per_mm=12, speed_mm_s=200)


def test_the_page_needs_neither_torch_nor_matplotlib():
    code = "import sys, ecg_r1.page; print({'torch', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_a_real_record_leaves_ink_in_every_row(shared):
    wfdb = pytest.importorskip("wfdb")
    header = min((shared / "data/ptbxl/records500").glob("*/*.hea"))
    record = wfdb.rdrecord(str(header.with_suffix("")))
    ink = trace_ink(record.p_signal.T, "3x4", px_per_mm=2.37)
    for quarter in np.array_split(ink[round(6 * 2.37) :], 4):
        assert quarter.sum() > 400
