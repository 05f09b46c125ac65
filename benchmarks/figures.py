"""Pictures of real beside simulated records. Needs matplotlib (the `notebooks` extra)."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.realism import EIGHT, FS, PRE, SEGMENT, Case, values_table
from ecg_r1.ecg import LEADS

REAL, SIMULATED = "#1f4e9c", "#d1495b"
SHOWN = {
    "intervals.hr_bpm": "heart rate, bpm",
    "intervals.pr_ms": "PR, ms",
    "intervals.qrs_ms": "QRS, ms",
    "intervals.qtc_ms": "QTcF, ms",
    "intervals.axis_deg": "QRS axis, degrees",
    "intervals.t_axis_deg": "T axis, degrees",
    "amplitudes.p_mv.II": "P in II, mV",
    "amplitudes.r_mv.V5": "R in V5, mV",
    "amplitudes.s_mv.V2": "S in V2, mV",
    "amplitudes.st_mv.V2": "ST + 60 ms in V2, mV",
    "amplitudes.t_mv.V3": "T in V3, mV",
    "slope.mv_per_ms.V4": "steepest QRS in V4, mV/ms",
    "rank.qrs_beyond_3": "QRS power beyond 3 dimensions",
    "regularity.rr_cv": "SD of RR / mean",
    "regularity.gain_between_leads": "beat-to-beat QRS, lead against lead",
    "regularity.t_cv": "SD of T / mean",
}


def histograms(real: list[Case], simulated: list[Case], path: Path) -> None:
    """Key quantities of all records, within the common 1st to 99th percentile."""
    sides = [values_table(real), values_table(simulated)]
    figure = Figure(figsize=(13, 10), layout="constrained")
    for axes, (name, title) in zip(figure.subplots(4, 4).flat, SHOWN.items(), strict=True):
        both = pd.concat([side[name] for side in sides]).dropna()
        bins = np.linspace(*np.percentile(both, [1, 99]), 31)
        for side, colour in zip(sides, (REAL, SIMULATED), strict=True):
            axes.hist(
                side[name].dropna(), bins, density=True, histtype="step", color=colour, lw=1.5
            )
        axes.set_title(title, fontsize=9)
        axes.set_yticks([])
    _legend(figure)
    figure.savefig(path, dpi=90)


def _legend(figure: Figure) -> None:
    for side, colour in (("real (PTB-XL)", REAL), ("simulated", SIMULATED)):
        figure.axes[0].plot([], [], color=colour, label=side)
    figure.axes[0].legend(fontsize=8, frameon=False)


def _band(axes: Axes, x: np.ndarray, rows: np.ndarray, colour: str) -> None:
    low, middle, high = np.nanpercentile(rows, [10, 50, 90], axis=0)
    axes.fill_between(x, low, high, color=colour, alpha=0.2, lw=0)
    axes.plot(x, middle, color=colour, lw=1.3)


def _beats_of_normals(cases: list[Case]) -> np.ndarray:
    beats = [case.look.beat for case in cases if "normal ecg" in case.labels]
    return np.array([beat for beat in beats if beat is not None])


def normal_beats(real: list[Case], simulated: list[Case], path: Path) -> None:
    """Median and 10th to 90th percentile of the median beats of normal ECGs, by lead."""
    figure = Figure(figsize=(13, 9), layout="constrained")
    panels = figure.subplots(3, 4, sharex=True).T.flat
    sides = [_beats_of_normals(side) for side in (real, simulated)]
    ms = (np.arange(sides[0].shape[2]) - PRE) * 1000 / FS
    for row, (axes, lead) in enumerate(zip(panels, LEADS, strict=True)):
        for beats, colour in zip(sides, (REAL, SIMULATED), strict=True):
            _band(axes, ms, beats[:, row], colour)
        axes.set_title(lead, fontsize=9)
        axes.grid(alpha=0.3)
    _legend(figure)
    figure.supxlabel("ms from R; mV")
    figure.savefig(path, dpi=90)


def noise_spectra(real: list[Case], simulated: list[Case], path: Path) -> None:
    """Noise between T and P: median over records and 10th to 90th percentile."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes, hz = figure.subplots(), np.fft.rfftfreq(SEGMENT, 1 / FS)
    for side, colour in ((real, REAL), (simulated, SIMULATED)):
        rows = [c.look.spectrum for c in side if c.look.spectrum is not None]
        _band(axes, hz, np.array(rows), colour)
    axes.set(xlabel="Hz", ylabel="log10 mV²/Hz, mean over leads")
    _legend(figure)
    figure.savefig(path, dpi=90)


def strips(real: list[Case], simulated: list[Case], path: Path) -> None:
    """The first three seconds of II, V2 and V5 of six records a side, drawn by chance."""
    figure = Figure(figsize=(14, 12), layout="constrained")
    panels, rng = figure.subplots(6, 2), np.random.default_rng(0)
    rows = [EIGHT.index(LEADS.index(lead)) for lead in ("II", "V2", "V5")]
    for column, (side, colour) in enumerate(((real, REAL), (simulated, SIMULATED))):
        for axes, k in zip(panels[:, column], rng.permutation(len(side))[:6], strict=True):
            for place, row in enumerate(rows):
                axes.plot(side[k].eight[row, : 3 * FS] - 2.5 * place, color=colour, lw=0.7)
            axes.set_title(", ".join(side[k].labels), fontsize=7)
            axes.set(xticks=np.arange(0, 1501, 100), ylim=(-7.5, 2.5))
            axes.set_yticks(np.arange(-7.5, 2.6, 0.5), minor=True)
            axes.grid(alpha=0.25, which="both")
            axes.tick_params(labelbottom=False, labelleft=False)
    figure.savefig(path, dpi=80)


def draw_all(real: list[Case], simulated: list[Case], folder: Path) -> list[Path]:
    """Writes every picture as PNG into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    drawings = (histograms, normal_beats, noise_spectra, strips)
    paths = [folder / f"{drawing.__name__}.png" for drawing in drawings]
    for drawing, path in zip(drawings, paths, strict=True):
        drawing(real, simulated, path)
    return paths
