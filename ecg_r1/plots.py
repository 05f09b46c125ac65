"""Interactive views with plotly: the twelve leads with their measured waves."""

import math

import numpy as np
import plotly.graph_objects as go

from ecg_r1.ecg import ECG, FS
from ecg_r1.measurement import Measurements
from ecg_r1.page import PAGE_S, Segment, page_segments

# Half-dark tones: each stands at least 4:1 against a white and against a near-black page.
TRACE_COLOUR, TEXT_COLOUR = "#6b7c93", "#7c8798"
GRID_COLOUR = "rgba(214, 108, 108, 0.28)"
WAVE_COLOURS = {
    "P": "rgba(56, 132, 255, 0.16)",
    "QRS": "rgba(255, 146, 43, 0.18)",
    "T": "rgba(46, 168, 118, 0.16)",
}
SMALLEST_RANGE_MV = (-1.0, 1.5)
LARGEST_RANGE_MV = (-5.0, 5.0)  # an artefact of volts must not flatten the ECG
BUCKET = 4  # samples; the lowest and highest of each are kept: 250 points per second
_MARGIN_PX = {"l": 44, "r": 12, "t": 34, "b": 40}


def plot_ecg(
    ecg: ECG, measurements: Measurements | None = None, layout: str = "3x4"
) -> go.Figure:
    """Plot the first 10 s of an ECG lead by lead, with its measured waves as bands.

    All leads share one voltage scale. Grid lines are 0.2 s and 0.5 mV apart, as the bold lines
    of ECG paper. The page behind is transparent and the colours suit light and dark themes.

    Args:
        ecg: The record.
        measurements: Its measurements; their global P, QRS and T are shaded and can be switched
            off in the legend.
        layout: "3x4" (with a lead II strip), "6x2" or "12x1".

    Returns:
        A figure of explicit height; each lead's trace has x in s and y in mV, thinned to the
        lowest and highest of every four samples.

    Raises:
        ECGError: an unknown layout; the message names what is allowed.
    """
    segments = page_segments(layout)
    range_mv = _range_mv(ecg)
    figure = go.Figure()
    for panel, segment in enumerate(segments, start=1):
        if measurements is not None:  # first, so that they lie under the trace
            figure.add_traces(_bands(measurements, segment, panel, range_mv))
        figure.add_trace(_trace(ecg, segment, panel))
    n_rows = segments[-1].row + 1
    figure.update_layout(
        height=_height_px(n_rows),
        margin=_MARGIN_PX,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": TEXT_COLOUR, "size": 12},
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom"},
        annotations=[_name(segment, panel) for panel, segment in enumerate(segments, 1)],
        **_axes(ecg, segments, range_mv),
    )
    return figure


def _height_px(n_rows: int) -> int:
    return _MARGIN_PX["t"] + _MARGIN_PX["b"] + max(84 * n_rows, 560)


def _range_mv(ecg: ECG) -> tuple[float, float]:
    """One voltage range that holds every lead, in whole grid lines."""
    recorded = ecg.signal[np.isfinite(ecg.signal)]
    if recorded.size == 0:
        return SMALLEST_RANGE_MV
    low, high = np.clip((recorded.min(), recorded.max()), *LARGEST_RANGE_MV)
    return (
        min(SMALLEST_RANGE_MV[0], math.floor(2 * low) / 2),
        max(SMALLEST_RANGE_MV[1], math.ceil(2 * high) / 2),
    )


def _trace(ecg: ECG, segment: Segment, panel: int) -> go.Scatter:
    samples = _thin(ecg.lead(segment.lead), segment)
    values = ecg.lead(segment.lead)[samples]
    unit = "mV" if ecg.calibrated else "mV (uncalibrated)"
    return go.Scatter(
        x=(samples / FS).tolist(),
        # Microvolts are beyond what any ECG resolves, and short numbers keep the page light.
        y=[round(v, 3) if math.isfinite(v) else None for v in values.tolist()],
        name=segment.lead,
        mode="lines",
        line={"color": TRACE_COLOUR, "width": 1.4},
        connectgaps=False,
        showlegend=False,
        hovertemplate=f"{segment.lead}  %{{x:.3f}} s  %{{y:.2f}} {unit}<extra></extra>",
        **_panel(panel),
    )


def _thin(signal: np.ndarray, segment: Segment) -> np.ndarray:
    """Samples of the lowest and highest value in each bucket, in order; gaps keep theirs."""
    start = round(segment.start_s * FS)
    stop = min(round(segment.end_s * FS), signal.size)
    if stop <= start:
        return np.zeros(0, int)
    samples = np.arange(start, start + -(-(stop - start) // BUCKET) * BUCKET)
    buckets = np.minimum(samples, stop - 1).reshape(-1, BUCKET)
    values = signal[buckets]
    missing = ~np.isfinite(values)
    # argmin finds a missing sample first, so that the gap's edge is drawn where it is.
    lowest = np.where(missing, -np.inf, values).argmin(axis=1)
    highest = np.where(missing, -np.inf, values).argmax(axis=1)
    rows = np.arange(len(buckets))
    return np.unique(np.concatenate([buckets[rows, lowest], buckets[rows, highest]]))


def _bands(
    measurements: Measurements, segment: Segment, panel: int, range_mv: tuple[float, float]
) -> list[go.Scatter]:
    """One filled trace per kind of wave: a rectangle from onset to offset of each beat."""
    waves = measurements.fiducials
    waves = waves[waves["lead"] == "global"]
    low, high = range_mv
    bands = []
    for wave, colour in WAVE_COLOURS.items():
        x: list[float | None] = []
        y: list[float | None] = []
        marks = waves.loc[waves["wave"] == wave, ["onset", "offset"]].to_numpy(float) / FS
        # A wave without bounds (NaN) compares false and has no band.
        for onset, offset in marks.clip(segment.start_s, segment.end_s):
            if offset > onset:
                x += [*np.round([onset, onset, offset, offset, onset], 3).tolist(), None]
                y += [low, high, high, low, low, None]
        bands.append(
            go.Scatter(
                x=x,
                y=y,
                name=wave,
                legendgroup=wave,
                showlegend=panel == 1,
                mode="lines",
                line={"width": 0},
                fill="toself",
                fillcolor=colour,
                hoverinfo="skip",
                **_panel(panel),
            )
        )
    return bands


def _panel(panel: int) -> dict[str, str]:
    return {"xaxis": _axis("x", panel), "yaxis": _axis("y", panel)}


def _axis(letter: str, panel: int) -> str:
    return letter if panel == 1 else f"{letter}{panel}"  # plotly knows no "x1"


def _name(segment: Segment, panel: int) -> dict[str, object]:
    return {
        "text": f"<b>{segment.lead}</b>",
        "xref": f"{_axis('x', panel)} domain",
        "yref": f"{_axis('y', panel)} domain",
        "x": 0.0,
        "xshift": 6,
        "y": 1.0,
        "xanchor": "left",
        "yanchor": "top",
        "showarrow": False,
    }


def _axes(
    ecg: ECG, segments: tuple[Segment, ...], range_mv: tuple[float, float]
) -> dict[str, dict[str, object]]:
    """Panels edge to edge, like stretches of one paper; only the outer ones carry numbers."""
    n_rows = segments[-1].row + 1
    grid = {"showgrid": True, "gridcolor": GRID_COLOUR, "gridwidth": 1}
    axes: dict[str, dict[str, object]] = {}
    for panel, segment in enumerate(segments, start=1):
        lowest = segment.row == n_rows - 1
        axes[f"xaxis{panel}"] = {
            "domain": [segment.start_s / PAGE_S, segment.end_s / PAGE_S],
            "anchor": _axis("y", panel),
            "range": [segment.start_s, segment.end_s],
            "showticklabels": lowest,
            "title": {"text": "s" if lowest else None},
            "dtick": 1,
            "minor": {"dtick": 0.2, **grid},
            "zeroline": False,
            **grid,
        }
        axes[f"yaxis{panel}"] = {
            "domain": [1 - (segment.row + 1) / n_rows, 1 - segment.row / n_rows],
            "anchor": _axis("x", panel),
            "range": list(range_mv),
            "showticklabels": segment.start_s == 0,
            "title": {"text": _unit_title(ecg, segment), "standoff": 4},
            # Not at the edges, where they would run into the next row's.
            "tickvals": list(range(math.floor(range_mv[0]) + 1, math.ceil(range_mv[1]))),
            "minor": {"dtick": 0.5, "tick0": 0, **grid},
            "zeroline": False,
            **({} if panel == 1 else {"matches": "y"}),
            **grid,
        }
    return axes


def _unit_title(ecg: ECG, segment: Segment) -> str | None:
    if segment.start_s > 0:
        return None
    return "mV" if ecg.calibrated else "uncal."
