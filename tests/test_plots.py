"""The interactive view: what it shows is the signal, at the right time and on one scale."""

import json

import numpy as np
import pandas as pd
import pytest

from ecg_r1.ecg import ECG, FS, LEADS, ECGError
from ecg_r1.measurement import Measurements
from ecg_r1.plots import plot_ecg


def noise_ecg(samples=5000, calibrated=True):
    rng = np.random.default_rng(3)
    return ECG(rng.normal(0, 0.4, (12, samples)), source="noise", calibrated=calibrated)


def marked(beats=10):
    rows = [
        {"beat": k, "lead": lead, "wave": w, "onset": 500 * k + on, "peak": 0, "offset": 0}
        for k in range(beats)
        for lead in ("global", "II")
        for w, on in (("P", 100), ("QRS", 180), ("T", 300))
    ]
    table = pd.DataFrame(rows).astype({"onset": float, "offset": float})
    table["offset"] = table["onset"] + 50
    table.loc[table["wave"].eq("P") & table["beat"].eq(0), ["onset", "offset"]] = np.nan
    return Measurements(fiducials=table)


def by_axis(figure, panel):
    return figure.layout[f"xaxis{panel or 1}"], figure.layout[f"yaxis{panel or 1}"]


@pytest.mark.parametrize(("layout", "n_traces"), [("3x4", 13), ("6x2", 12), ("12x1", 12)])
def test_every_lead_has_one_trace_in_its_own_panel(layout, n_traces):
    figure = plot_ecg(noise_ecg(), layout=layout)
    assert len(figure.data) == n_traces
    assert {trace.name for trace in figure.data} == set(LEADS)
    assert all(trace.type == "scatter" for trace in figure.data)
    assert len({trace.xaxis for trace in figure.data}) == n_traces


@pytest.mark.parametrize("layout", ["3x4", "6x2", "12x1"])
def test_every_plotted_point_is_a_sample_of_its_lead(layout):
    ecg = noise_ecg()
    for trace in plot_ecg(ecg, layout=layout).data:
        samples = np.rint(np.array(trace.x) * FS).astype(int)
        expected = ecg.signal[LEADS.index(trace.name)][samples]
        np.testing.assert_allclose(np.array(trace.y, float), expected, atol=0.00051)
        assert np.all(np.diff(samples) > 0)


def test_no_peak_is_lost_in_thinning():
    signal = np.zeros((12, 5000))
    signal[1, 1003], signal[1, 2222] = 1.25, -0.75
    strip = plot_ecg(ECG(signal, source="spikes")).data[-1]
    points = dict(zip(np.rint(np.array(strip.x) * FS).astype(int), strip.y, strict=True))
    assert points[1003] == 1.25
    assert points[2222] == -0.75


def test_columns_show_consecutive_times_and_the_strip_all_ten_seconds():
    figure = plot_ecg(noise_ecg())
    ranges = {t.name: by_axis(figure, t.xaxis[1:])[0].range for t in figure.data[:12]}
    assert ranges["III"] == (0, 2.5)
    assert ranges["aVF"] == (2.5, 5)
    assert ranges["V3"] == (5, 7.5)
    assert ranges["V6"] == (7.5, 10)
    assert figure.layout.xaxis13.range == (0, 10)


def test_all_leads_share_one_voltage_scale():
    signal = np.zeros((12, 5000))
    signal[7, 100] = -2.3
    figure = plot_ecg(ECG(signal, source="deep S"))
    assert {by_axis(figure, k)[1].range for k in range(1, 14)} == {(-2.5, 1.5)}
    assert figure.layout.yaxis9.matches == "y"


def test_an_artefact_of_volts_does_not_flatten_the_scale():
    signal = np.zeros((12, 5000))
    signal[0, 9] = 1e6
    assert plot_ecg(ECG(signal, source="artefact")).layout.yaxis1.range == (-1.0, 5.0)


def test_grid_lines_are_those_of_ecg_paper():
    for axis, dtick in zip(by_axis(plot_ecg(noise_ecg()), 4), (0.2, 0.5), strict=True):
        assert axis.minor.dtick == dtick
        assert axis.minor.showgrid
        assert axis.showgrid


@pytest.mark.parametrize("layout", ["3x4", "6x2", "12x1"])
def test_the_height_is_explicit_and_the_json_small(layout):
    figure = plot_ecg(noise_ecg(), marked(), layout=layout)
    assert figure.layout.height >= 560
    assert len(figure.to_json()) < 600_000


def test_lead_names_stand_in_their_panels():
    figure = plot_ecg(noise_ecg(), layout="12x1")
    assert [note.text for note in figure.layout.annotations] == [f"<b>{n}</b>" for n in LEADS]


def test_global_waves_are_bands_with_one_legend_entry_each():
    figure = plot_ecg(noise_ecg(), marked(), layout="12x1")
    bands = [trace for trace in figure.data if trace.fill == "toself"]
    assert len(bands) == 3 * 12
    assert [band.name for band in bands if band.showlegend] == ["P", "QRS", "T"]
    assert {band.legendgroup for band in bands} == {"P", "QRS", "T"}
    # QRS of beat 0 from sample 180 to 230, once although lead II has the same row.
    qrs = next(band for band in bands if band.name == "QRS")
    assert qrs.x[:6] == (0.36, 0.36, 0.46, 0.46, 0.36, None)
    assert qrs.x.count(None) == 10


def test_a_wave_without_bounds_has_no_band():
    p_waves = plot_ecg(noise_ecg(), marked(), layout="12x1").data[0]
    assert p_waves.name == "P"
    assert p_waves.x.count(None) == 9


def test_a_band_ends_at_its_panel():
    figure = plot_ecg(noise_ecg(), marked(), layout="3x4")
    for band in (t for t in figure.data if t.fill == "toself"):
        low, high = by_axis(figure, band.xaxis[1:])[0].range
        assert all(low <= x <= high for x in band.x if x is not None)


def test_a_gap_stays_a_gap():
    signal = np.ones((12, 5000))
    signal[:, 1000:1250] = np.nan
    trace = plot_ecg(ECG(signal, source="gap"), layout="12x1").data[0]
    x, y = np.array(trace.x), np.array(trace.y, float)
    inside = (x >= 2.0) & (x < 2.5)
    assert inside.any()
    assert np.isnan(y[inside]).all()
    assert np.isfinite(y[~inside]).all()
    assert trace.connectgaps is False
    assert "NaN" not in json.dumps(trace.to_plotly_json()["y"])


def test_a_single_missing_sample_is_not_bridged():
    signal = np.ones((12, 5000))
    signal[:, 1002] = np.nan
    trace = plot_ecg(ECG(signal, source="one gap"), layout="12x1").data[0]
    assert [x for x, y in zip(trace.x, trace.y, strict=True) if y is None] == [1002 / FS]


def test_waves_lie_under_the_trace():
    names = [trace.name for trace in plot_ecg(noise_ecg(), marked()).data]
    assert names[:4] == ["P", "QRS", "T", "I"]


def test_a_short_record_ends_early_on_the_same_axes():
    figure = plot_ecg(noise_ecg(samples=1502), layout="3x4")
    assert figure.layout.xaxis13.range == (0, 10)
    traces = {trace.name: trace for trace in figure.data[:12]}
    assert len(traces["V6"].x) == 0
    assert traces["aVR"].x[-1] <= 1501 / FS


def test_a_record_without_any_sample_still_plots():
    plot_ecg(ECG(np.full((12, 5000), np.nan), source="nothing"))


def test_an_uncalibrated_record_says_so_where_voltages_are_read():
    trace = plot_ecg(noise_ecg(calibrated=False)).data[0]
    assert "uncalibrated" in trace.hovertemplate
    assert "uncalibrated" not in plot_ecg(noise_ecg()).data[0].hovertemplate


def test_an_unknown_layout_is_refused_by_name():
    with pytest.raises(ECGError, match=r"'4x3'.*3x4, 6x2, 12x1"):
        plot_ecg(noise_ecg(), layout="4x3")
