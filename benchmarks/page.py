"""Drawing a 3x4 page 1000 pixels wide: ours beside matplotlib and ecg-plot in the same run.

Run `python -m benchmarks.page`. Ours and matplotlib draw the same heartbeats, grid and lead
names into an RGB array; encoding is left out. ecg-plot, if it is installed, makes an SVG of
them, its own fastest output, which is not yet pixels. Needs matplotlib (the `notebooks` extra).
"""

import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from ecg_r1.ecg import ECG, FS
from ecg_r1.page import HEIGHT_MM, LEFT_MM, draw_page, page_segments

PX_PER_MM = 1000 / 270
ROUNDS = 40


def example_ecg() -> ECG:
    """Twelve leads of peaked beats with noise: about as many strokes as a real record."""
    rng = np.random.default_rng(0)
    phase = (np.arange(10 * FS) / FS * 1.2) % 1
    beat = np.exp(-(((phase - 0.3) / 0.012) ** 2)) + 0.25 * np.exp(
        -(((phase - 0.6) / 0.05) ** 2)
    )
    return ECG(
        np.outer(np.linspace(-1, 1.5, 12), beat) + rng.normal(0, 0.01, (12, 10 * FS)), "-"
    )


def draw_with_matplotlib(ecg: ECG) -> np.ndarray:
    """The same page as plain matplotlib users draw it: a new figure, Agg, RGB array."""
    figure = Figure(figsize=(270 / 25.4, HEIGHT_MM / 25.4), dpi=PX_PER_MM * 25.4)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 270), ylim=(HEIGHT_MM, 0))
    axes.axis("off")
    for step, colour in ((1, "#f4bebe"), (5, "#e07878")):
        across = [((0, y), (270, y)) for y in np.arange(0, HEIGHT_MM, step)]
        down = [((x, 0), (x, HEIGHT_MM)) for x in np.arange(0, 270, step)]
        axes.add_collection(LineCollection(across + down, colors=colour, linewidths=0.5))
    for segment in page_segments("3x4"):
        samples = np.arange(round(segment.start_s * FS), round(segment.end_s * FS))
        zero = 30 + 43.5 * segment.row
        x, y = LEFT_MM + 25 * samples / FS, zero - 10 * ecg.lead(segment.lead)[samples]
        axes.plot(x, y, "k", linewidth=0.8)
        axes.text(x[0] + 1, zero - 13, segment.lead)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3]


def draw_with_ecg_plot(ecg: ECG) -> str:
    """The twelve leads as SVG by ecg-plot 0.3."""
    import ecg_plot  # noqa: PLC0415  not one of our dependencies

    chart = ecg_plot.plot(
        ecg.signal,
        sample_rate=FS,
        lead_names=list(ecg.leads),
        layout="12lead",
        rhythm_lead="II",
    )
    return chart.to_svg()


def milliseconds(ways: dict[str, Callable[[], object]]) -> dict[str, tuple[float, ...]]:
    """Medians of processor and wall time of one call and the best wall time, caches warm.

    The ways take turns, so that a busy machine is busy for all of them.
    """
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for draw in ways.values():
        draw()
    for _ in range(ROUNDS):
        for name, draw in ways.items():
            cpu, wall = time.process_time(), time.perf_counter()
            draw()
            spent = time.process_time() - cpu, time.perf_counter() - wall
            times[name].append((1000 * spent[0], 1000 * spent[1]))
    return {
        name: (*np.median(all_, axis=0), float(np.min(all_, axis=0)[1]))
        for name, all_ in times.items()
    }


def main() -> None:
    """Print the times, processor time first, and how many times as long the others take."""
    ecg = example_ecg()
    ways: dict[str, Callable[[], object]] = {
        "ecg_r1.draw_page": lambda: np.asarray(draw_page(ecg, px_per_mm=PX_PER_MM)),
        "matplotlib, new figure": lambda: draw_with_matplotlib(ecg),
    }
    if find_spec("ecg_plot"):
        ways["ecg-plot, SVG text"] = lambda: draw_with_ecg_plot(ecg)
    print(f"3x4 page, 1000 px wide, {ROUNDS} rounds in turn: ms per page")
    print(f"{'':24s}{'CPU':>8s}{'wall':>8s}{'best':>8s}{'ratio':>8s}")
    times = milliseconds(ways)
    ours = times["ecg_r1.draw_page"][0]
    for name, (cpu, wall, best) in times.items():
        print(f"{name:24s}{cpu:8.1f}{wall:8.1f}{best:8.1f}{cpu / ours:8.1f}")
    if not find_spec("ecg_plot"):
        print("ecg-plot is not installed (pip install ecg-plot)")


if __name__ == "__main__":
    main()
