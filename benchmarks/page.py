"""Drawing a 3x4 page 1000 pixels wide: ours beside plain matplotlib in the same run.

Run `python -m benchmarks.page`. Both draw the same simulated heartbeats, grid and lead
names into an RGB array; encoding is left out. Needs matplotlib (the `notebooks` extra).
"""

import time
from collections.abc import Callable

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


def milliseconds(draw: Callable[[], object]) -> tuple[float, float]:
    """Median and best wall-clock time of one call, after one to warm the caches."""
    draw()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        draw()
        times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times)), min(times)


def main() -> None:
    """Print both times and their ratio."""
    ecg = example_ecg()
    ours = milliseconds(lambda: np.asarray(draw_page(ecg, px_per_mm=PX_PER_MM)))
    plain = milliseconds(lambda: draw_with_matplotlib(ecg))
    print(f"3x4 page, 1000 px wide, RGB array, {ROUNDS} rounds: median (best) ms per page")
    print(f"ecg_r1.draw_page  {ours[0]:6.1f} ({ours[1]:.1f})")
    print(f"plain matplotlib  {plain[0]:6.1f} ({plain[1]:.1f})")
    print(f"ratio             {plain[0] / ours[0]:6.1f}")


if __name__ == "__main__":
    main()
