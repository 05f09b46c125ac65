"""One picture of a measured record: twelve leads on paper with every mark that was found.

To look at what `measure` and the protocol made of a record. Needs matplotlib (the extra
`notebooks`); drawn without a display.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.path import Path as Outline
from matplotlib.transforms import blended_transform_factory

from ecg_r1 import DISCLAIMER
from ecg_r1.display import Account, account
from ecg_r1.ecg import FS, LEADS
from ecg_r1.protocol.quantities import untrusted_leads

if TYPE_CHECKING:
    from ecg_r1.ecg import ECG
    from ecg_r1.measurement import Measurements
    from ecg_r1.protocol import Findings

DPI, WIDTH_PX = 100, 1600
PX_PER_MM = 6.0  # 10 s at 25 mm/s are 1500 px
LEFT_PX, LINE_PX, FOOT_PX, STRIP_PX = 66, 17, 64, 62
TALLEST_MV = 34.0  # all rows together; taller records are drawn at half the gain
ROW_MV = (-4.5, 4.5)  # what a row shows at most about the lead's median
SMALLEST_ROW_MV = (-0.4, 0.6)
PAPER, THIN, BOLD = "#fffdfc", "#f8dcd8", "#efb8b0"
INK, GREY, TRACE, PALE = "#16202c", "#5f6b7a", "#1b2531", "#98a1ad"
ALARM = "#9b1c1c"
# Okabe and Ito's colours, which the colour-blind tell apart; each wave has a shape of its own.
WAVES = {"P": ("#0072b2", "o"), "QRS": ("#d55e00", "D"), "T": ("#00795a", "^")}
CLASSES = {
    "dominant": (GREY, "o", "dominant beat"),
    "premature": ("#7b3fa0", "^", "premature"),
    "wide": ("#8a5a00", "s", "wide"),
    "premature wide": ("#c1121f", "D", "premature and wide"),
}
SPIKE = "#c2188b"


def _bracket(side: float) -> Outline:
    """A bracket open to the right (1) or to the left (-1): where a wave begins or ends."""
    return Outline([(0.45 * side, 1), (0, 1), (0, -1), (0.45 * side, -1)])


OPENS, CLOSES = _bracket(1.0), _bracket(-1.0)


@dataclass(frozen=True)
class Row:
    """Where one lead stands on the paper.

    Attributes:
        lead: Its name.
        samples: mV about the lead's median, cut at the row's edges.
        base_mv: Height of its zero line on the paper.
        problem: Why it was not measured or judged; "" when it was.
        remark: The same, and whether the trace is cut at the row's edge.
    """

    lead: str
    samples: np.ndarray
    base_mv: float
    problem: str
    remark: str


def draw_gallery(
    ecg: "ECG", measured: "Measurements", found: "Findings", title: str = ""
) -> Figure:
    """Draws the record with its fiducials, beat classes, values, diagnoses and urgency.

    Args:
        ecg: The record; its first 10 s are drawn at 25 mm/s and 10 mm/mV (5 for very tall
            ones, said in the footer).
        measured: What `measure` found on it.
        found: What `apply_protocol` made of that.
        title: Stands on top; the record's source when empty.

    Returns:
        A matplotlib figure 1600 px wide and as high as it needs to be; `savefig` writes it.

    Example:
        >>> from ecg_r1.ecg import ECG
        >>> from ecg_r1.measurement import measure
        >>> from ecg_r1.protocol import apply_protocol
        >>> flat = ECG(np.zeros((12, 5000)), source="flat")
        >>> nothing = measure(flat)
        >>> figure = draw_gallery(flat, nothing, apply_protocol(nothing))
        >>> round(figure.get_figwidth() * figure.dpi)
        1600
    """
    told = account(ecg, measured, found)
    rows, top, bottom = _lay_rows(ecg, measured)
    gain = 10.0 if top - bottom <= TALLEST_MV else 5.0
    warnings = [line for warning in told.warnings for line in wrap(warning, 170)]
    left, right = _values_column(told), _diagnoses_column(told)
    head_px = LINE_PX * (len(warnings) + max(len(left), len(right)) + 4)
    body_px = (top - bottom) * gain * PX_PER_MM
    height = head_px + STRIP_PX + body_px + FOOT_PX
    figure = Figure(figsize=(WIDTH_PX / DPI, height / DPI), dpi=DPI, facecolor="white")
    _write_head(figure, title or ecg.source, warnings, left, right)
    paper = figure.add_axes(
        (LEFT_PX / WIDTH_PX, FOOT_PX / height, 1500 / WIDTH_PX, body_px / height)
    )
    _rule_paper(paper, bottom, top, gain)
    _draw_leads(paper, rows, measured)
    strip = figure.add_axes(
        (LEFT_PX / WIDTH_PX, (FOOT_PX + body_px) / height, 1500 / WIDTH_PX, STRIP_PX / height)
    )
    _draw_beats(strip, measured)
    _write_foot(figure, gain, calibrated=ecg.calibrated)
    return figure


# --- header and footer ------------------------------------------------------------------------

Line = tuple[str, dict[str, object]]  # text and how it is set


def _values_column(told: Account) -> list[Line]:
    """Values, on the left."""
    lines: list[Line] = [("Measured", {"weight": "bold"})]
    for name, value in told.values.items():
        for text in wrap(f"{name}: {value}", 66, subsequent_indent="      "):
            lines.append((text, {"color": GREY if "not measurable" in value else INK}))
    return lines


def _diagnoses_column(told: Account) -> list[Line]:
    """Urgency and diagnoses with their support, on the right."""
    lines: list[Line] = [
        (text, {"weight": "bold", "color": INK if told.urgency.startswith("R") else ALARM})
        for text in wrap(told.urgency, 118)
    ]
    if told.reasons:
        lines += [(text, {"color": ALARM}) for text in wrap(", ".join(told.reasons), 118)]
    lines.append(("Named by published criteria; not a diagnosis", {"weight": "bold"}))
    for one in told.diagnoses:
        lines.append((one.label, {"color": INK}))
        for statement in one.support:
            lines += [
                (text, {"color": GREY, "size": 8.5})
                for text in wrap(
                    statement, 122, initial_indent="   + ", subsequent_indent="      "
                )
            ]
    if not told.diagnoses:
        lines.append(("nothing to name", {"color": GREY}))
    if told.unjudged:
        count = len(told.unjudged)
        text = f"Not judged, {count} reason{'s' * (count > 1)}: {'; '.join(told.unjudged)}"
        short = wrap(text, 122, max_lines=3, placeholder=" …")
        lines += [(text, {"color": GREY, "size": 8.5}) for text in short]
    return lines


def _write_head(
    figure: Figure, title: str, warnings: list[str], left: list[Line], right: list[Line]
) -> None:
    height = figure.get_figheight() * DPI

    def write(x_px: float, line: int, text: str, **style: object) -> None:
        y = 1 - (line + 0.5) * LINE_PX / height
        figure.text(x_px / WIDTH_PX, y, text, va="top", **({"size": 9.5, "color": INK} | style))

    write(16, 0, title, size=13, weight="bold")
    write(16, 1.4, DISCLAIMER, weight="bold", color=ALARM)
    for number, text in enumerate(warnings):
        write(16, number + 2.6, text, weight="bold")
    for x_px, column in ((16, left), (480, right)):
        for number, (text, style) in enumerate(column):
            write(x_px, len(warnings) + number + 2.9, text, **style)


def _write_foot(figure: Figure, gain: float, *, calibrated: bool) -> None:
    """The legend of all marks, and the scale."""
    handles = []
    for wave, (colour, marker) in WAVES.items():
        handles.append(_key(f"{wave} peak", color=colour, marker=marker))
    handles += [
        _key("onset in the lead", color=INK, marker=OPENS, markersize=10, fillstyle="none"),
        _key("end in the lead", color=INK, marker=CLOSES, markersize=10, fillstyle="none"),
        *(
            _key(f"{wave} over leads", color=colour, marker="s", markersize=12, alpha=0.25)
            for wave, (colour, _) in WAVES.items()
        ),
        *(_key(name, color=colour, marker=mark) for colour, mark, name in CLASSES.values()),
        _key("pacing spike", color=SPIKE, marker="|", markersize=12, markeredgewidth=2),
        _key("P wave in the record", color=WAVES["P"][0], marker="v"),
    ]
    figure.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.005, 0.0),
        ncols=7,
        frameon=False,
        fontsize=8.5,
        columnspacing=1.6,
        handletextpad=0.3,
        borderaxespad=0.2,
    )
    unit = "" if calibrated else ", voltages not calibrated"
    scale = f"25 mm/s, {gain:.0f} mm/mV{unit}\n1 mm squares: 40 ms"
    figure.text(
        0.995, 8 / (figure.get_figheight() * DPI), scale, size=8.5, ha="right", color=GREY
    )


def _key(label: str, **style: object) -> Line2D:
    return Line2D([], [], linestyle="none", label=label, **({"markersize": 6} | style))


# --- paper and leads --------------------------------------------------------------------------


def _lay_rows(ecg: "ECG", measured: "Measurements") -> tuple[list[Row], float, float]:
    """Rows from the top, no lead into its neighbour; the paper's upper and lower edge (mV)."""
    away = untrusted_leads(measured)
    rows, base, floor = [], 0.0, 0.0
    for lead in LEADS:
        x = ecg.lead(lead)[: 10 * FS].astype(float)
        known = x[np.isfinite(x)]
        x -= np.median(known) if known.size else 0.0
        is_cut = bool((np.abs(x) > ROW_MV[1]).any())
        x = np.clip(x, *ROW_MV)
        low, high = (np.nanmin(x), np.nanmax(x)) if known.size else (0.0, 0.0)
        high = max(high, SMALLEST_ROW_MV[1])
        # Half a millivolt is a bold line: every zero line lies on one.
        base = math.floor(2 * (floor - high - 0.1)) / 2
        floor = base + min(low, SMALLEST_ROW_MV[0])
        remark = _problem(lead, measured, away)
        cut = f"drawn up to {ROW_MV[1]:g} mV only" if is_cut else ""
        rows.append(Row(lead, x, base, remark, "; ".join(filter(None, (remark, cut)))))
    return rows, 0.0, math.floor(2 * floor - 0.2) / 2


def _problem(lead: str, measured: "Measurements", away: Iterable[str]) -> str:
    """Why a lead is greyed; "" when it was measured and judged."""
    if lead in measured.quality:
        return f"not used, {measured.quality[lead]}"
    if lead in away:
        return "not judged: it may not show what its name says"
    marks = measured.fiducials
    own = marks[marks["lead"] == lead][["onset", "peak", "offset"]]
    return "" if own.notna().any(axis=None) else "no waves marked"


def _rule_paper(paper: Axes, bottom: float, top: float, gain: float) -> None:
    """Lines each millimetre and, bold, each fifth; a zero line of a lead lies on one."""
    paper.set(xlim=(0, 10), ylim=(bottom, top), facecolor=PAPER)
    for step_s, step_mm, colour, width in ((0.04, 1, THIN, 0.5), (0.2, 5, BOLD, 0.8)):
        style = {"colors": colour, "linewidths": width, "zorder": 0}
        step_mv = step_mm / gain
        paper.vlines(np.arange(0, 10 + step_s / 2, step_s), bottom, top, **style)
        paper.hlines(np.arange(top, bottom - step_mv / 2, -step_mv), 0, 10, **style)
    paper.set_yticks([])
    paper.set_xticks(range(11), [f"{second} s" for second in range(11)], fontsize=8.5)
    paper.tick_params(length=3, colors=GREY)
    paper.spines[:].set_color(BOLD)


def _draw_leads(paper: Axes, rows: list[Row], measured: "Measurements") -> None:
    beside = blended_transform_factory(paper.transAxes, paper.transData)
    for row in rows:
        seconds = np.arange(row.samples.size) / FS
        paper.plot(
            seconds, row.samples + row.base_mv, color=PALE if row.problem else TRACE, lw=0.9
        )
        paper.text(
            -0.006, row.base_mv, row.lead, transform=beside, ha="right", va="center",
            weight="bold", size=11, color=GREY if row.problem else INK,
        )  # fmt: skip
        if row.remark:
            paper.text(
                0.05, row.base_mv + 0.32, row.remark, size=9, color=ALARM,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5},
            )  # fmt: skip
    marks = measured.fiducials
    if marks.empty:
        return
    _shade_global(paper, measured)
    used = {row.lead: row for row in rows if row.lead not in measured.quality}
    for wave, (colour, marker) in WAVES.items():
        own = marks[(marks["wave"] == wave) & marks["lead"].isin(used)]
        for column, shape, size in (
            ("onset", OPENS, 8),
            ("offset", CLOSES, 8),
            ("peak", marker, 4),
        ):
            x, y = _places(own["lead"], own[column], used)
            paper.plot(
                x, y, linestyle="none", marker=shape, markersize=size, color=colour,
                fillstyle="full" if column == "peak" else "none", markeredgewidth=1.3,
            )  # fmt: skip


def _places(
    leads: Iterable[str], samples: Iterable[float], rows: dict[str, Row]
) -> tuple[list[float], list[float]]:
    """Seconds and heights on the paper of marks, those outside the record left out."""
    x, y = [], []
    for lead, sample in zip(leads, samples, strict=True):
        row = rows[lead]
        if np.isfinite(sample) and 0 <= sample < row.samples.size:
            x.append(sample / FS)
            y.append(row.base_mv + row.samples[int(sample)])
    return x, y


def _shade_global(paper: Axes, measured: "Measurements") -> None:
    """A band from onset to end over leads of each wave, through all rows."""
    marks = measured.fiducials
    for wave, (colour, _) in WAVES.items():
        own = marks[(marks["lead"] == "global") & (marks["wave"] == wave)]
        for onset, offset in own[["onset", "offset"]].to_numpy(float) / FS:
            if offset > onset:  # false for NaN
                paper.axvspan(onset, offset, color=colour, alpha=0.10, lw=0, zorder=0.5)


# --- beats ------------------------------------------------------------------------------------


def _draw_beats(strip: Axes, measured: "Measurements") -> None:
    """Class of every beat, the RR intervals between, P waves and pacing spikes."""
    strip.set(xlim=(0, 10), ylim=(0, 3))
    strip.axis("off")
    beats = np.asarray(measured.rpeaks, float) / FS
    for kind, (colour, marker, _) in CLASSES.items():
        own = [r for r, each in zip(beats, measured.beat_class, strict=False) if each == kind]
        strip.plot(own, [1.6] * len(own), linestyle="none", marker=marker, color=colour, ms=7)
    for before, after in pairwise(beats):
        middle, gap = (before + after) / 2, 1000 * (after - before)
        if gap >= 250:  # below, the number would run into its neighbours
            strip.text(middle, 1.6, f"{gap:.0f}", size=8, ha="center", va="center", color=GREY)
    waves = np.asarray(measured.p_times, float) / FS
    strip.plot(
        waves, [0.45] * waves.size, linestyle="none", marker="v", ms=6, color=WAVES["P"][0]
    )
    if not waves.size:
        strip.text(0.02, 0.45, "no series of P waves", size=8.5, color=GREY, va="center")
    strip.vlines(np.asarray(measured.pacing_spikes, float) / FS, 0, 2.5, colors=SPIKE, lw=1.6)
    beside = {"transform": strip.get_yaxis_transform(), "ha": "right", "va": "center"}
    for name, height in (("RR, ms", 1.6), ("P", 0.45)):
        strip.text(-0.006, height, name, size=8.5, color=GREY, **beside)
