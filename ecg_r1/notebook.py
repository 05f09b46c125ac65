"""What the notebooks share: the check of the machine, traces, dials and live curves.

What this leaves out: everything that is taught. A notebook does that by hand, then calls the
package. matplotlib and ipywidgets are imported when a picture or a dial is asked for.
"""

import importlib.util
import os
import platform
import sys
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ecg_r1 import DISCLAIMER
from ecg_r1.ecg import ECG, FS, LEADS, ECGError
from ecg_r1.measurement import Measurements
from ecg_r1.page import draw_page

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from matplotlib.figure import Figure

PICTURE_DPI = 90
MOST_PANELS = 4  # side by side
FAST = os.environ.get("ECG_R1_FAST", "0") not in ("", "0")
LINE_COLOUR = "#31688e"
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
    axes = figure.subplots(len(leads), sharex=True, squeeze=False)[:, 0]
    waves: dict[str, Any] = {}
    for axis, lead in zip(axes, leads, strict=True):
        axis.plot(time[shown], ecg.lead(lead)[shown], color="#222222", linewidth=1.1)
        axis.set_ylabel(f"{lead}\n{'mV' if ecg.calibrated else 'uncalibrated'}")
        _paper(axis)
        if measurements is not None:
            waves |= _shade(axis, measurements, lead, (start_s, end_s))
    if waves:  # above, where it hides no wave
        figure.legend(
            [*waves.values()], [*waves], loc="outside upper right", ncols=3, fontsize=8
        )
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


def _shade(axis: Any, measurements: Measurements, lead: str, shown_s: tuple) -> dict[str, Any]:
    """A band for each wave; gives one band of each kind of wave, for the legend."""
    marks = measurements.fiducials
    marks = marks[marks["lead"] == lead].dropna(subset=["onset", "offset"])
    bands = {}
    for mark in marks.itertuples():
        onset, offset = mark.onset / FS, mark.offset / FS
        if offset < shown_s[0] or onset > shown_s[1]:
            continue
        colour = MARK_COLOURS[mark.wave]
        bands[mark.wave] = axis.axvspan(onset, offset, color=colour, alpha=0.2, linewidth=0)
    return {wave: bands[wave] for wave in MARK_COLOURS if wave in bands}


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
    make: Callable[..., Any],
    ranges: Mapping[str, tuple[float, float, float, float]],
    say: Callable[[Any], str],
    show: Callable[[Any], Image.Image] = draw_page,
) -> Any:
    """Sliders over a picture: each move draws it anew.

    Args:
        make: Takes the dials by name, gives what is shown, say a record.
        ranges: Dial to (lowest, highest, step, start).
        say: Words about it, which stand under the picture.
        show: Draws it; the page of a record unless another is named.

    Returns:
        Shown by a notebook as sliders; without ipywidgets, and where nothing can show a
        widget, as on GitHub, as the picture at the starting values.
    """
    made = make(**{name: start for name, (_, _, _, start) in ranges.items()})
    still = picture(show(made))
    if importlib.util.find_spec("ipywidgets") is None:
        return still
    import ipywidgets as widgets  # noqa: PLC0415

    sliders = {name: _slider(name, *values) for name, values in ranges.items()}
    drawn = widgets.Image(value=_png(show(made)), format="png", layout={"max_width": "100%"})
    words = widgets.HTML(_as_html(say(made)))

    def redraw(_: object) -> None:
        try:
            made = make(**{name: slider.value for name, slider in sliders.items()})
        except ECGError as error:  # dials that no heart can have together
            words.value = _as_html(f"{error} (the picture is the one before)")
            return
        drawn.value, words.value = _png(show(made)), _as_html(say(made))

    for slider in sliders.values():
        slider.observe(redraw, names="value")
    rows = widgets.Box([*sliders.values()], layout={"flex_flow": "row wrap"})
    return _Dialled(widgets.VBox([rows, words, drawn]), still, say(made))


def _slider(name: str, low: float, high: float, step: float, start: float) -> Any:
    import ipywidgets as widgets  # noqa: PLC0415

    return widgets.FloatSlider(
        value=start,
        min=low,
        max=high,
        step=step,
        description=name,
        continuous_update=False,  # a picture each time it is let go, not on the way
        readout_format=f".{max(0, -Decimal(str(step)).as_tuple().exponent)}f",
        style={"description_width": "8em"},
        layout={"width": "26em"},
    )


def _as_html(text: str) -> str:
    return f'<div style="line-height: 1.5">{escape(text)}</div>'.replace("\n", "<br>")


class _Dialled:
    """A widget, and a picture and words for where nothing can show one."""

    def __init__(self, widget: Any, still: Image.Image, words: str) -> None:
        self.widget, self.still, self.words = widget, still, words

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """What IPython asks for; the front end takes the richest that it can show."""
        stills = {"image/png": _base64(self.still), "text/plain": self.words}
        return self.widget._repr_mimebundle_() | stills


def _png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _base64(image: Image.Image) -> str:
    return b64encode(_png(image)).decode()


class LiveCurves:
    """Curves that grow while something trains.

    In a notebook a plotly figure that replaces the cell's output, with a picture beside it at
    the last step, which stays where no plotly runs, as on GitHub; elsewhere a line of text.

    Args:
        names: One panel each.
        steps: The last step.
        every: Steps between two drawings.

    Example:
        >>> curves = LiveCurves(["loss", "reward"], steps=3, every=2)
        >>> curves.add(1, loss=3.2)
        >>> curves.add(2, loss=2.5, reward=0.1)
        step 2: loss 2.500, reward 0.100
        >>> curves.add(3, loss=2)
        step 3: loss 2.000, reward 0.100
    """

    def __init__(self, names: Sequence[str], *, steps: int, every: int = 10) -> None:
        self.values: dict[str, list[tuple[int, float]]] = {name: [] for name in names}
        self.steps, self.every = steps, every
        self._columns = min(len(self.values), MOST_PANELS)
        self._rows = -(-len(self.values) // self._columns)

    def add(self, step: int, **values: float) -> None:
        """Add one point to some of the curves; draws every so many steps, and the last."""
        for name, value in values.items():
            self.values[name].append((step, float(value)))
        if step % self.every == 0 or step == self.steps:
            self._draw(is_last=step == self.steps)

    def _draw(self, *, is_last: bool) -> None:
        if not _in_notebook():
            print(self.line())  # noqa: T201  the curves of a terminal
            return
        from IPython.display import clear_output, display  # noqa: PLC0415

        # Not update_display: JupyterLab's plotly never draws over a figure (plotly.py 3053).
        # FigureWidget would, but needs one more package, anywidget, wherever a notebook runs.
        clear_output(wait=True)
        live = self.figure()._repr_mimebundle_(config={"displayModeBar": False})
        shown = live | {"text/plain": self.line()}
        if is_last:
            shown["image/png"] = _base64(self.picture())
        display(shown, raw=True)

    def line(self) -> str:
        """The newest point of each curve as text."""
        newest = {name: points[-1] for name, points in self.values.items() if points}
        last = max((step for step, _ in newest.values()), default=0)
        parts = [f"{name} {value:.3f}" for name, (_, value) in newest.items()]
        return f"step {last}: {', '.join(parts)}"

    def figure(self) -> "go.Figure":
        """All curves with plotly, at most four side by side."""
        from plotly.subplots import make_subplots  # noqa: PLC0415

        figure = make_subplots(
            self._rows,
            self._columns,
            subplot_titles=[*self.values],
            vertical_spacing=0.25 / self._rows,
        )
        for place, points in enumerate(self.values.values()):
            row, column = divmod(place, self._columns)
            x, y = zip(*points, strict=True) if points else ((), ())
            figure.add_scatter(
                x=x,
                y=y,
                mode="lines+markers",  # one point shows too
                marker={"color": LINE_COLOUR, "size": 4},
                hovertemplate="step %{x}: %{y:.3f}<extra></extra>",
                row=row + 1,
                col=column + 1,
            )
        figure.update_annotations(font_size=13)
        figure.update_xaxes(range=[0, self.steps * 1.04])
        figure.update_xaxes(title_text="step", title_standoff=4, row=self._rows)
        return figure.update_layout(
            height=60 + 170 * self._rows,
            margin={"l": 40, "r": 10, "t": 30, "b": 40},
            showlegend=False,
            template="plotly_white",
        )

    def picture(self) -> Image.Image:
        """The same with matplotlib."""
        from matplotlib.figure import Figure  # noqa: PLC0415

        size = (min(3.2 * self._columns, 9), 2.2 * self._rows)  # no wider than a notebook
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(self._rows, self._columns, squeeze=False).ravel()
        for spare in panels[len(self.values) :]:
            spare.axis("off")
        for axis, (name, points) in zip(panels, self.values.items(), strict=False):
            x_y = zip(*points, strict=True) if points else ((), ())
            axis.plot(*x_y, color=LINE_COLOUR, marker=".", markersize=4)
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
