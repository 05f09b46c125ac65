"""What the notebooks share: the check of the machine, traces, dials and live curves.

What this leaves out: everything that is taught. A notebook does that by hand, then calls the
package. matplotlib and ipywidgets are imported when a picture or a dial is asked for.
"""

import importlib.util
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ecg_r1 import DISCLAIMER
from ecg_r1.ecg import ECG, FS, LEADS, ECGError
from ecg_r1.measurement import Measurements
from ecg_r1.page import draw_page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURE_DPI = 90
MOST_PANELS = 4  # side by side
FAST = os.environ.get("ECG_R1_FAST", "0") not in ("", "0")
MARK_COLOURS = {"P": "#3884ff", "QRS": "#e0701a", "T": "#1f9d6b"}
# Okabe and Ito's, which the colour-blind tell apart.
PART_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")


def check_environment(*packages: str) -> str:
    """Say whether this notebook can run here: "OK ..." or what to install.

    Args:
        packages: Import names that the notebook needs beside the package itself.

    Example:
        >>> check_environment("numpy").split()[0], check_environment("no_such_package")
        ('OK', 'MISSING no_such_package: run  pip install -e ".[train,notebooks]"  and restart')
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        return (
            f"MISSING {', '.join(missing)}: run  "
            'pip install -e ".[train,notebooks]"  and restart'
        )
    speed = "FAST: smaller numbers of everything" if FAST else "normal length"
    return (
        f"OK  Python {platform.python_version()}, {os.cpu_count()} cores, {speed}. {DISCLAIMER}"
    )


def trace(
    ecg: ECG,
    leads: Sequence[str] = ("II",),
    *,
    start_s: float = 0.0,
    end_s: float = 3.0,
    measurements: Measurements | None = None,
) -> Image.Image:
    """Draw some leads on paper squares, with the measured waves as bands.

    Args:
        ecg: The record.
        leads: Names out of `LEADS`, one row each.
        start_s: Where the picture begins.
        end_s: Where it ends.
        measurements: Whose P, QRS and T of each lead are shaded; None for the bare trace.

    Raises:
        ECGError: If a lead is unknown or the picture would be empty; quotes it.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415

    unknown = [lead for lead in leads if lead not in LEADS]
    if unknown or not leads:
        raise ECGError(f"leads {unknown or tuple(leads)} are unknown: choose from {LEADS}")
    if not 0 <= start_s < end_s:
        raise ECGError(f"start_s {start_s:g} must lie before end_s {end_s:g}, both from 0 on")
    time = np.arange(ecg.signal.shape[1]) / FS
    shown = (time >= start_s) & (time <= end_s)
    figure = Figure(figsize=(9, 1.1 + 1.5 * len(leads)), layout="constrained")
    for axis, lead in zip(
        figure.subplots(len(leads), sharex=True, squeeze=False)[:, 0], leads, strict=True
    ):
        axis.plot(time[shown], ecg.lead(lead)[shown], color="#222222", linewidth=1.1)
        axis.set_ylabel(f"{lead}\n{'mV' if ecg.calibrated else 'uncalibrated'}")
        _paper(axis)
        if measurements is not None:
            _shade(axis, measurements, lead, (start_s, end_s))
    axis.set_xlabel("seconds")
    axis.set_xlim(start_s, end_s)
    return _image(figure)


def _image(figure: "Figure") -> Image.Image:
    """As an image, which every notebook shows without a backend of matplotlib."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=PICTURE_DPI)
    return Image.open(buffer).convert("RGB").quantize(64)


def _paper(axis: Any) -> None:
    """Bold lines 0.2 s and 0.5 mV apart, thin ones 0.04 s and 0.1 mV."""
    from matplotlib.ticker import MultipleLocator  # noqa: PLC0415

    for side, bold, thin in ((axis.xaxis, 0.2, 0.04), (axis.yaxis, 0.5, 0.1)):
        side.set_major_locator(MultipleLocator(bold))
        side.set_minor_locator(MultipleLocator(thin))
    axis.grid(which="major", color="#e07878", linewidth=0.6)
    axis.grid(which="minor", color="#f4bebe", linewidth=0.3)
    axis.tick_params(which="both", length=0, labelsize=8)
    axis.tick_params(axis="x", rotation=90)


def _shade(axis: Any, measurements: Measurements, lead: str, shown_s: tuple) -> None:
    marks = measurements.fiducials
    marks = marks[marks["lead"] == lead].dropna(subset=["onset", "offset"])
    named = set()
    for mark in marks.itertuples():
        onset, offset = mark.onset / FS, mark.offset / FS
        if offset < shown_s[0] or onset > shown_s[1]:
            continue
        axis.axvspan(
            onset,
            offset,
            color=MARK_COLOURS[mark.wave],
            alpha=0.2,
            linewidth=0,
            label=None if mark.wave in named else mark.wave,
        )
        named.add(mark.wave)
    if named:
        axis.legend(loc="upper right", ncols=3, fontsize=8, framealpha=0.9)


def picture(image: Image.Image, *, width_px: int = 900) -> Image.Image:
    """A page small enough to live in a committed notebook: 64 colours, at most so wide."""
    small = image.convert("RGB")
    small.thumbnail((width_px, width_px))
    return small.quantize(64)


def bars(
    panels: Mapping[str, Mapping[str, Mapping[str, float]]], *, mark: str | None = None
) -> Image.Image:
    """Stacked bars, one panel beside the other, the same rows in each.

    Args:
        panels: Title of a panel to row to part to value; parts of one row are added up.
        mark: A row at whose sum a dashed line stands, to compare the others with.

    Raises:
        ECGError: If there is no panel or their rows differ; names them.

    Example:
        >>> bars({"earned": {"honest": {"format": 1.0, "answer": 0.5}}}).mode
        'P'
    """
    from matplotlib.figure import Figure  # noqa: PLC0415

    rows = [list(panel) for panel in panels.values()]
    if not rows or any(own != rows[0] for own in rows):
        raise ECGError(f"each panel needs the same rows in the same order, got {rows}")
    figure = Figure(figsize=(9, 1.2 + 0.32 * len(rows[0])), layout="constrained")
    axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    for axis, (title, panel) in zip(axes, panels.items(), strict=True):
        _stack(axis, panel)
        axis.set_title(title, fontsize=10)
        if mark is not None:
            axis.axvline(sum(panel[mark].values()), color="#333333", linestyle="--", lw=1)
    axes[0].invert_yaxis()
    handles, labels = axes[0].get_legend_handles_labels()
    if len(labels) > 1:
        figure.legend(handles, labels, loc="outside lower center", ncols=6, fontsize=9)
    return _image(figure)


def _stack(axis: Any, panel: Mapping[str, Mapping[str, float]]) -> None:
    names, left = list(panel), np.zeros(len(panel))
    for part, colour in zip(next(iter(panel.values())), PART_COLOURS, strict=False):
        width = np.array([panel[name][part] for name in names])
        axis.barh(names, width, left=left, color=colour, height=0.7, label=part)
        left = left + width
    digits = 2 if np.abs(left).max(initial=0.0) >= 0.5 else 3
    for row, total in enumerate(left):
        axis.annotate(
            f"{total:.{digits}f}", (max(total, 0.0), row), (3, 0), textcoords="offset points",
            va="center", fontsize=8, zorder=3,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        )  # fmt: skip
    axis.axvline(0, color="#333333", linewidth=0.8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=9)
    axis.margins(x=0.12)


def lines(
    panels: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]],
    x_label: str,
) -> Image.Image:
    """Curves, one panel beside the other.

    Args:
        panels: Title of a panel to name of a curve to its x and y.
        x_label: Under each panel.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (title, curves) in zip(axes, panels.items(), strict=True):
        for (name, (x, y)), colour in zip(curves.items(), PART_COLOURS, strict=False):
            axis.plot(x, y, color=colour, label=name)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel(x_label, fontsize=9)
        axis.tick_params(labelsize=9)
        axis.grid(color="#dddddd", linewidth=0.5)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(fontsize=8)
    return _image(figure)


def dials(
    make: Callable[..., ECG],
    ranges: Mapping[str, tuple[float, float, float, float]],
    say: Callable[[ECG], str],
) -> Any:
    """Sliders over a page: each move draws the ECG anew.

    Args:
        make: Takes the dials by name, gives a record.
        ranges: Dial to (lowest, highest, step, start).
        say: One line about the record that stands under the page.

    Returns:
        A widget; without ipywidgets the page at the starting values.
    """
    start = {name: values[3] for name, values in ranges.items()}
    if importlib.util.find_spec("ipywidgets") is None:
        return picture(draw_page(make(**start)))
    import ipywidgets as widgets  # noqa: PLC0415

    sliders = {
        name: widgets.FloatSlider(
            value=value,
            min=low,
            max=high,
            step=step,
            description=name,
            continuous_update=False,
            style={"description_width": "8em"},
            layout={"width": "26em"},
        )
        for name, (low, high, step, value) in ranges.items()
    }
    page, line = widgets.Image(format="png", layout={"max_width": "100%"}), widgets.Label()

    def redraw(_: object = None) -> None:
        try:
            ecg = make(**{name: slider.value for name, slider in sliders.items()})
        except ECGError as error:  # dials that no heart can have together
            line.value = str(error)
            return
        page.value, line.value = _png(draw_page(ecg)), say(ecg)

    for slider in sliders.values():
        slider.observe(redraw, names="value")
    redraw()
    half = (len(sliders) + 1) // 2
    columns = [list(sliders.values())[:half], list(sliders.values())[half:]]
    return widgets.VBox([widgets.HBox([widgets.VBox(one) for one in columns]), page, line])


def _png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


class LiveCurves:
    """Curves that grow while something trains.

    In a notebook a picture that is replaced in place; elsewhere a line of text.

    Args:
        names: One panel each.
        every: Steps between two pictures.

    Example:
        >>> curves = LiveCurves(["loss", "reward"], every=2)
        >>> curves.add(1, loss=3.2)
        >>> curves.add(2, loss=2.5, reward=0.1)
        step 2: loss 2.500, reward 0.100
    """

    def __init__(self, names: Sequence[str], *, every: int = 10) -> None:
        self.values: dict[str, list[tuple[int, float]]] = {name: [] for name in names}
        self.every = every
        self._handle: Any = None

    def add(self, step: int, **values: float) -> None:
        """Add one point to some of the curves; draws every so many steps."""
        for name, value in values.items():
            self.values[name].append((step, float(value)))
        if step % self.every == 0:
            self.draw()

    def draw(self) -> None:
        """Replace the picture by one with all points so far."""
        if not _in_notebook():
            print(self.line())  # noqa: T201  the curves of a terminal
            return
        from IPython.display import display  # noqa: PLC0415

        if self._handle is None:
            self._handle = display(self.picture(), display_id=True)
        else:
            self._handle.update(self.picture())

    def line(self) -> str:
        """The newest point of each curve as text."""
        newest = {name: points[-1] for name, points in self.values.items() if points}
        last = max((step for step, _ in newest.values()), default=0)
        parts = [f"{name} {value:.3f}" for name, (_, value) in newest.items()]
        return f"step {last}: {', '.join(parts)}"

    def picture(self) -> Image.Image:
        """All curves, at most four side by side."""
        from matplotlib.figure import Figure  # noqa: PLC0415

        columns = min(len(self.values), MOST_PANELS)
        rows = -(-len(self.values) // columns)
        figure = Figure(figsize=(3.2 * columns, 2.6 * rows), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for spare in panels[len(self.values) :]:
            spare.axis("off")
        for axis, (name, points) in zip(panels, self.values.items(), strict=False):
            x_y = zip(*points, strict=True) if points else ((), ())
            axis.plot(*x_y, color="#31688e", marker=".", markersize=4)  # one point shows too
            axis.set_title(name, fontsize=9)
            axis.set_xlabel("step", fontsize=8)
            axis.tick_params(labelsize=8)
        return _image(figure)


def _in_notebook() -> bool:
    """Whether a kernel listens that can replace a picture."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython  # noqa: PLC0415

    return hasattr(get_ipython(), "kernel")
