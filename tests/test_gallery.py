"""The picture of a measured record: every mark at its sample, every reason in words."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from ecg_r1 import DISCLAIMER
from ecg_r1.ecg import ECG, FS, LEADS, read_ecg
from ecg_r1.measurement import Measurements, measure
from ecg_r1.protocol import Findings, Urgency, apply_protocol

pytest.importorskip("matplotlib", reason="the gallery needs matplotlib (extra `notebooks`)")
from PIL import Image

from ecg_r1.gallery import CLASSES, CLOSES, OPENS, WAVES, draw_gallery

NOTHING = Findings((), [], {})


def ramp_ecg(**changes):
    """Lead k rises by (k + 1) uV a sample about its middle: every place has its own height."""
    x = (np.arange(1000) - 499.5) / 1000 * (np.arange(12)[:, None] + 1) / 12
    return ECG(x, source="ramps", **changes)


def marked(**changes):
    rows = [
        {"beat": 0, "lead": lead, "wave": wave, "onset": on, "peak": on + 10, "offset": on + 20}
        for lead in (*LEADS, "global")
        for wave, on in (("P", 100), ("QRS", 200), ("T", 300))
    ]
    table = pd.DataFrame(rows).astype({"onset": float})
    table.loc[table["lead"] == "global", "onset"] -= 5
    values = {
        "hr_bpm": 60.0,
        "fiducials": table,
        "rpeaks": np.array([210, 710]),
        "beat_class": ("dominant", "premature wide"),
        "p_times": np.array([110]),
        "pacing_spikes": np.array([195]),
    }
    return Measurements(**(values | changes))


def texts(figure):
    return [text.get_text() for text in figure.findobj(lambda o: hasattr(o, "get_text"))]


def lines(axes, marker, colour):
    return [
        line
        for line in axes.lines
        if line.get_marker() is marker or line.get_marker() == marker
        if line.get_color() == colour
    ]


def test_the_picture_is_1600_pixels_wide_and_its_paper_25_mm_per_s(tmp_path):
    figure = draw_gallery(ramp_ecg(), marked(), NOTHING)
    figure.savefig(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width == 1600
    paper = figure.axes[0].get_window_extent()
    low, high = figure.axes[0].get_ylim()
    assert paper.width == pytest.approx(1500)  # 250 mm at 6 pixels
    assert paper.height / (high - low) == pytest.approx(60)  # 10 mm per mV


def test_every_mark_lies_on_its_leads_trace_in_its_own_shape_and_colour():
    figure = draw_gallery(ramp_ecg(), marked(), NOTHING)
    paper = figure.axes[0]
    traces = [line for line in paper.lines if len(line.get_xdata()) == 1000]
    assert len(traces) == 12
    for (wave, (colour, shape)), onset in zip(WAVES.items(), (100, 200, 300), strict=True):
        for marker, sample in ((OPENS, onset), (shape, onset + 10), (CLOSES, onset + 20)):
            (line,) = lines(paper, marker, colour)
            assert list(line.get_xdata()) == [sample / FS] * 12, wave
            heights = [trace.get_ydata()[sample] for trace in traces]
            np.testing.assert_allclose(line.get_ydata(), heights)
    assert len({shape for _, shape in WAVES.values()}) == len(WAVES)


def test_the_marks_over_leads_are_bands_through_all_rows():
    paper = draw_gallery(ramp_ecg(), marked(), NOTHING).axes[0]
    spans = {(p.get_x(), round(p.get_width(), 3)) for p in paper.patches}
    assert spans == {(0.19, 0.05), (0.39, 0.05), (0.59, 0.05)}
    assert all(patch.get_height() == 1 for patch in paper.patches)


def test_leads_do_not_run_into_each_other():
    rng = np.random.default_rng(0)
    ecg = ECG(rng.normal(0, 0.5, (12, 5000)), source="noise")
    paper = draw_gallery(ecg, marked(), NOTHING).axes[0]
    traces = [line.get_ydata() for line in paper.lines if len(line.get_xdata()) == 5000]
    for upper, lower in pairwise(traces):
        assert upper.min() > lower.max()
    low, high = paper.get_ylim()
    assert low < traces[-1].min()
    assert high > traces[0].max()


def test_beats_show_their_class_and_the_time_between():
    figure = draw_gallery(ramp_ecg(), marked(), NOTHING)
    strip = figure.axes[1]
    for kind, x in (("dominant", 0.42), ("premature wide", 1.42)):
        colour, marker, _ = CLASSES[kind]
        (line,) = lines(strip, marker, colour)
        assert list(line.get_xdata()) == [x]
    assert "1000" in texts(figure)  # 500 samples
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"P peak", "QRS peak", "T peak", "dominant beat", "premature and wide"} <= set(
        legend
    )


def test_a_poor_lead_is_greyed_with_its_reason_and_without_marks():
    figure = draw_gallery(ramp_ecg(), marked(quality={"V2": "flat"}), NOTHING)
    assert "not used, flat" in texts(figure)
    colours = [
        line.get_color() for line in figure.axes[0].lines if len(line.get_xdata()) == 1000
    ]
    assert len(set(colours)) == 2
    assert colours.index(min(colours, key=colours.count)) == LEADS.index("V2")
    (peaks,) = lines(figure.axes[0], WAVES["P"][1], WAVES["P"][0])
    assert len(peaks.get_xdata()) == 11


def test_leads_of_exchanged_electrodes_are_greyed_and_warned_of():
    figure = draw_gallery(ramp_ecg(), marked(reversal="chest order"), NOTHING)
    assert sum("may not show what its name says" in text for text in texts(figure)) == 6
    assert any("Suspected lead reversal" in text for text in texts(figure))


def test_the_header_tells_values_urgency_and_that_it_is_no_diagnosis():
    found = Findings(
        (),
        ["atrial fibrillation"],
        {},
        urgency=Urgency("prompt", ("fast atrial fibrillation",)),
    )
    figure = draw_gallery(ramp_ecg(), marked(uncertainty={"hr_bpm": 0.3}), found, title="x.hea")
    said = texts(figure)
    assert {DISCLAIMER, "x.hea", "Heart rate: 60.0 ± 0.3 bpm", "atrial fibrillation"} <= set(
        said
    )
    assert any(text.startswith("Prompt") for text in said)
    assert any("not a diagnosis" in text for text in said)


def test_long_headers_make_the_picture_higher_instead_of_running_into_it():
    many = Findings((), [f"diagnosis {k}" for k in range(60)], {})
    figures = [draw_gallery(ramp_ecg(), marked(), found) for found in (NOTHING, many)]
    heights = [figure.get_figheight() * figure.dpi for figure in figures]
    assert heights[1] - heights[0] > 40 * 15
    strip_top = figures[1].axes[1].get_window_extent().y1
    lowest = min(text.get_window_extent().y0 for text in figures[1].texts[:-1])
    assert lowest > strip_top


@pytest.mark.parametrize(
    "signal",
    [
        np.full((12, 5000), np.nan),
        np.zeros((12, 700)),
        np.random.default_rng(0).normal(0, 1e6, (12, 5000)),
        np.where(np.arange(5000) % 900 < 300, np.nan, 0.1) * np.ones((12, 1)),
    ],
    ids=["nothing", "short", "volts", "gaps"],
)
def test_any_record_can_be_drawn(signal, tmp_path):
    ecg = ECG(signal, source="odd", calibrated=False)
    measured = measure(ecg)
    figure = draw_gallery(ecg, measured, apply_protocol(measured, calibrated=False))
    assert figure.get_figheight() < 40  # before it is drawn: memory is finite
    figure.savefig(tmp_path / "a.png")
    assert any("not calibrated" in text for text in texts(figure))
    assert any("No heart rate could be measured" in text for text in texts(figure))


def test_what_is_cut_says_so():
    signal = np.zeros((12, 5000))
    signal[3, 100:200] = 9.0
    assert "drawn up to 4.5 mV only" in " ".join(
        texts(draw_gallery(ECG(signal, source="tall"), marked(), NOTHING))
    )


def test_tall_records_are_drawn_at_half_the_gain_on_the_same_millimetres():
    signal = np.zeros((12, 5000))
    signal[:, 100:110] = 4.0
    figure = draw_gallery(ECG(signal, source="tall"), marked(), NOTHING)
    low, high = figure.axes[0].get_ylim()
    assert figure.axes[0].get_window_extent().height / (high - low) == pytest.approx(30)
    assert any("5 mm/mV" in text for text in texts(figure))
    thin = figure.axes[0].collections[1].get_segments()
    assert abs(thin[0][0][1] - thin[1][0][1]) == pytest.approx(0.2)  # 1 mm


def test_a_real_record_has_marks_in_every_lead(assets):
    ecg = read_ecg(assets / "ecgs" / "A0002.hea")
    measured = measure(ecg)
    figure = draw_gallery(ecg, measured, apply_protocol(measured))
    (peaks,) = lines(figure.axes[0], WAVES["QRS"][1], WAVES["QRS"][0])
    assert len(peaks.get_xdata()) == pytest.approx(12 * len(measured.rpeaks), abs=12)
