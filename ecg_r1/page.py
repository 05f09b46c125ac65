"""The ECG page: twelve leads on millimetre paper, the image that a model or a person reads.

Every length is in millimetres of paper, so that speed, gain and resolution change nothing but
scale. What never changes between records (grid, lead names, calibration pulse, print) is drawn
once per geometry and kept; a page is that with the ink of the traces laid over it.
"""

from array import array
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ecg_r1.ecg import ECG, FS, LEADS, ECGError

PAGE_S = 10.0  # seconds of trace on a page
LEFT_MM, RIGHT_MM = 15.0, 5.0  # margins; the calibration pulse stands in the left one
TOP_MM, BODY_MM, FOOTER_MM = 6.0, 174.0, 9.0
HEIGHT_MM = TOP_MM + BODY_MM + FOOTER_MM
BASELINE = 0.55  # of the row's height from its top: QRS complexes reach up more than down
PEN_MM = 0.35
SUPERSAMPLE = 2
MAX_PIXELS = 40_000_000  # a page at 12 px/mm and 100 mm/s still fits
PULSE_MV, PULSE_S = 1.0, 0.2
PULSE_MAX_MM = 10.0  # above 50 mm/s the pulse is narrower than 0.2 s, or it would hit the trace
# The page of ECG-image-kit (Shivashankara et al. 2024, doi:10.1088/1361-6579/ad4954) with
# `--num_columns 1`, from which released ECG-R1 checkpoints learned: Letter paper at 200 dpi,
# the rows in that tool's order, lead II once more below. Measures as in its `ecg_plot.py`
# (0b1f9c2); no page of the training set was at hand to compare.
IMAGE_KIT = "image-kit"
KIT_HEIGHT_MM, KIT_LEFT_MM, KIT_RIGHT_MM = 215.9, 10.0, 19.4
KIT_HEAD_MM = 8.0  # down to here it prints nothing
KIT_PEN_MM, KIT_LINE_MM, KIT_FONT_MM = (points * 25.4 / 72 for points in (0.75, 0.5, 11.0))
KIT_INK = (26, 26, 26)  # it draws a grey from 0 to 0.2 by chance; this is the middle

_KIT_ROWS = ("V4", "V1", "aVR", "I", "V5", "V2", "aVL", "II", "V6", "V3", "aVF", "III")
# layout -> rows of leads, each row read from left to right
_ROWS_OF_LEADS: dict[str, tuple[tuple[str, ...], ...]] = {
    "3x4": (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6")),
    "6x2": tuple(zip(LEADS[:6], LEADS[6:], strict=True)),
    "12x1": tuple((lead,) for lead in LEADS),
    IMAGE_KIT: tuple((lead,) for lead in _KIT_ROWS),
}
PAGE_LAYOUTS = ("3x4", "6x2", "12x1")
_WITH_STRIP = ("3x4", IMAGE_KIT)

# colour name -> paper, 1 mm line, 5 mm line
_PAPERS: dict[str, tuple[tuple[int, int, int], ...]] = {
    "red": ((255, 248, 246), (244, 190, 190), (224, 120, 120)),
    "blue": ((248, 251, 255), (184, 208, 240), (112, 156, 216)),
    "grey": ((255, 255, 255), (214, 214, 214), (158, 158, 158)),
    IMAGE_KIT: ((255, 255, 255), (254, 223, 219), (255, 0, 0)),
}
PAGE_COLOURS = ("red", "blue", "grey")
_THIN_MM, _BOLD_MM = 0.14, 0.26


@dataclass(frozen=True)
class Segment:
    """One stretch of trace on the page: `lead` from `start_s` to `end_s` in row `row`."""

    lead: str
    row: int
    start_s: float
    end_s: float


@dataclass(frozen=True)
class _Geometry:
    """All that the unchanging part of a page depends on; the key of its cache."""

    layout: str
    speed_mm_s: float
    gain_mm_mv: float
    px_per_mm: float
    colour: str
    rhythm_lead: str
    calibrated: bool
    disclaimer: str

    @property
    def is_kit(self) -> bool:
        return self.layout == IMAGE_KIT

    @property
    def left_mm(self) -> float:
        return KIT_LEFT_MM if self.is_kit else LEFT_MM

    @property
    def width_mm(self) -> float:
        right_mm = KIT_RIGHT_MM if self.is_kit else RIGHT_MM
        return self.left_mm + PAGE_S * self.speed_mm_s + right_mm

    @property
    def height_mm(self) -> float:
        return KIT_HEIGHT_MM if self.is_kit else HEIGHT_MM

    @property
    def size(self) -> tuple[int, int]:
        return round(self.width_mm * self.px_per_mm), round(self.height_mm * self.px_per_mm)

    @property
    def n_rows(self) -> int:
        return 1 + max(s.row for s in page_segments(self.layout, self.rhythm_lead))

    @property
    def pen_mm(self) -> float:
        return KIT_PEN_MM if self.is_kit else PEN_MM

    def row_mm(self, row: int) -> float:
        """Where this row's 0 mV lies, in mm from the top; on a line of our own pages' grid."""
        if self.is_kit:
            pitch_mm = KIT_HEIGHT_MM / (self.n_rows + 2)
            is_strip = row == self.n_rows - 1
            above_mm = pitch_mm / 2 + 3 if is_strip else (self.n_rows - row - 0.5) * pitch_mm
            return KIT_HEIGHT_MM - above_mm
        return float(round(TOP_MM + BODY_MM / self.n_rows * (row + BASELINE)))

    def x_mm(self, time_s: float | np.ndarray) -> float | np.ndarray:
        return self.left_mm + time_s * self.speed_mm_s


@lru_cache(maxsize=32)
def page_segments(layout: str = "3x4", rhythm_lead: str = "II") -> tuple[Segment, ...]:
    """Which lead stands where and when in a layout; some end with a 10 s rhythm strip.

    Raises:
        ECGError: an unknown layout or rhythm lead; the message names what is allowed.

    Example:
        >>> page_segments("3x4")[1]
        Segment(lead='aVR', row=0, start_s=2.5, end_s=5.0)
    """
    if layout not in _ROWS_OF_LEADS:
        raise ECGError(f"unknown layout {layout!r}; use one of {', '.join(PAGE_LAYOUTS)}")
    if rhythm_lead not in LEADS:
        raise ECGError(f"unknown rhythm lead {rhythm_lead!r}; use one of {', '.join(LEADS)}")
    rows = _ROWS_OF_LEADS[layout]
    span_s = PAGE_S / len(rows[0])
    segments = [
        Segment(lead, row, column * span_s, (column + 1) * span_s)
        for row, leads in enumerate(rows)
        for column, lead in enumerate(leads)
    ]
    if layout in _WITH_STRIP:
        segments.append(Segment(rhythm_lead, len(rows), 0.0, PAGE_S))
    return tuple(segments)


def draw_page(  # noqa: PLR0913  what a page has, each by its name
    ecg: ECG,
    layout: str = "3x4",
    *,
    speed_mm_s: float = 25,
    gain_mm_mv: float = 10,
    px_per_mm: float = 4.0,
    colour: str = "red",
    rhythm_lead: str = "II",
    disclaimer: str = "",
) -> Image.Image:
    """Draw the first 10 s of an ECG as an electrocardiograph prints it.

    At 25 mm/s the page is 270 x 189 mm; at another speed the 10 s take more or less paper while
    the margins stay. Columns of a layout show consecutive times, not the same ones. A shorter
    record ends early, missing samples (NaN) leave a gap, and a trace that leaves its row runs
    into its neighbours, as on paper.

    Args:
        ecg: The record, in millivolts.
        layout: "3x4" (with a rhythm strip), "6x2" or "12x1"; "image-kit" is the page that
            released ECG-R1 checkpoints were trained on, 279.4 x 215.9 mm at 25 mm/s.
        speed_mm_s: Paper speed, 5 to 200 mm/s; 25 and 50 are the usual ones.
        gain_mm_mv: Millimetres per millivolt, 1 to 80.
        px_per_mm: Resolution, 2 to 12; 4 gives a page 1080 pixels wide at 25 mm/s.
        colour: The grid's: "red", "blue" or "grey"; "image-kit" is that tool's red on white.
        rhythm_lead: The lead of the 10 s strip.
        disclaimer: Words at the foot of a page that is given away, say `ecg_r1.DISCLAIMER`;
            models learned from pages without any.

    Returns:
        An RGB image whose `info["dpi"]` holds the true resolution, and `info["Disclaimer"]` the
        words at its foot if there are any.

    Raises:
        ECGError: an unknown layout, colour or lead, or a number out of range.

    Example:
        >>> flat = ECG(np.zeros((12, 5000)), source="zeros")
        >>> draw_page(flat).size
        (1080, 756)
    """
    _require("speed_mm_s", speed_mm_s, 5, 200, "mm/s")
    _require("gain_mm_mv", gain_mm_mv, 1, 80, "mm/mV")
    _require("px_per_mm", px_per_mm, 2, 12, "px/mm")
    if colour not in _PAPERS:
        raise ECGError(f"unknown colour {colour!r}; use one of {', '.join(PAGE_COLOURS)}")
    segments = page_segments(layout, rhythm_lead)
    page = _Geometry(
        layout,
        speed_mm_s,
        gain_mm_mv,
        px_per_mm,
        colour,
        rhythm_lead,
        ecg.calibrated,
        disclaimer,
    )
    if page.size[0] * page.size[1] > MAX_PIXELS:
        raise ECGError(
            f"a page of {page.size[0]} x {page.size[1]} pixels is too large: "
            f"lower px_per_mm ({px_per_mm}) or speed_mm_s ({speed_mm_s})"
        )
    ink = KIT_INK if page.is_kit else (0, 0, 0)
    image = Image.fromarray(_inked(_background(page), _ink(ecg, page, segments), ink))
    image.info["dpi"] = (px_per_mm * 25.4, px_per_mm * 25.4)
    if disclaimer:
        image.info["Disclaimer"] = disclaimer
    return image


def _require(name: str, value: float, low: float, high: float, unit: str) -> None:
    if not low <= value <= high:
        raise ECGError(f"{name} must be from {low} to {high} {unit}, got {value}")


def _ink(ecg: ECG, page: _Geometry, segments: tuple[Segment, ...]) -> np.ndarray:
    """How much of each of the page's pixels the traces cover, 0 to 255, `(height, width)`."""
    width, height = page.size
    mask = Image.new("L", (width * SUPERSAMPLE, height * SUPERSAMPLE), 0)
    draw = ImageDraw.Draw(mask)
    pen = _pen(page)
    for segment in segments:
        for run in _runs(ecg, page, segment):
            x, y = run[0].tolist()
            # The pen touches down: a line shorter than a pixel would leave no ink.
            draw.rectangle((x - pen // 2, y - pen // 2, x + pen // 2, y + pen // 2), fill=255)
            # Pillow reads an array of C floats as it lies; 20,000 Python numbers take longer.
            draw.line(array("f", run.tobytes()), fill=255, width=pen)
    return np.asarray(mask.reduce(SUPERSAMPLE))


def _inked(blank: np.ndarray, cover: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """A copy of the blank page with ink mixed into the few pixels that it covers."""
    pixels = blank.copy().reshape(-1, 3)
    at = np.flatnonzero(cover > 0)  # of flags: twelve times as fast as of numbers
    share = cover.ravel()[at, np.newaxis].astype(np.uint32)
    mixed = share * np.array(colour, np.uint32) + (255 - share) * pixels[at]
    pixels[at] = (mixed + 127) // 255  # rounded
    return pixels.reshape(blank.shape)


def _runs(ecg: ECG, page: _Geometry, segment: Segment) -> list[np.ndarray]:
    """The segment's unbroken stretches, each `(points, 2)` of whole supersampled pixels."""
    start = round(segment.start_s * FS)
    # One sample more than the segment holds, so that the line reaches its right edge.
    signal = ecg.lead(segment.lead)[start : round(segment.end_s * FS) + 1]
    time_s = (start + np.arange(signal.size)) / FS
    y_mm = page.row_mm(segment.row) - page.gain_mm_mv * signal.astype(np.float64)
    y_mm = np.clip(y_mm, -5.0, page.height_mm + 5.0)
    points_mm = np.stack([page.x_mm(time_s), y_mm], axis=1)
    points = np.trunc((points_mm * page.px_per_mm + 0.5) * SUPERSAMPLE).astype(np.float32)
    recorded = np.isfinite(signal)
    edges = np.flatnonzero(np.diff(recorded)) + 1
    pieces = zip(np.split(points, edges), np.split(recorded, edges), strict=True)
    return [piece for piece, kept in pieces if kept.any()]


def _pen(page: _Geometry) -> int:
    # Below 1.5 pixels the upstroke of a QRS complex fades into the grid.
    return max(3, round(page.pen_mm * page.px_per_mm * SUPERSAMPLE))


# Few entries: a page at the largest size takes 100 MB.
@lru_cache(maxsize=4)
def _background(page: _Geometry) -> np.ndarray:
    """Paper, grid, lead names, column marks, calibration pulses and footer, read-only."""
    image = _paper(page.colour, page.size, page.px_per_mm, from_below=page.is_kit).copy()
    draw = ImageDraw.Draw(image)
    _print_disclaimer(draw, page)
    if page.is_kit:
        _print_kit(draw, page)
        return np.asarray(image)
    pen = max(1, round(page.pen_mm * page.px_per_mm))
    for segment in page_segments(page.layout, page.rhythm_lead):
        _print_name(draw, page, segment)
        if segment.start_s > 0:
            _mark_column(draw, page, segment, pen)
    for row in range(page.n_rows):
        _draw_pulse(draw, page, row, pen)
    _print_footer(draw, page)
    return np.asarray(image)


# Layout, gain and lead names change far more often than the paper under them.
@lru_cache(maxsize=12)
def _paper(
    colour: str, size: tuple[int, int], px_per_mm: float, *, from_below: bool
) -> Image.Image:
    """The millimetre grid, each pixel mixed by the share that a line covers of it.

    Its lines are counted from the left edge and from the upper or the lower one.
    """
    paper, thin, bold = _PAPERS[colour]
    widths = (KIT_LINE_MM, KIT_LINE_MM) if colour == IMAGE_KIT else (_THIN_MM, _BOLD_MM)
    width, height = size
    image = Image.new("RGB", size, paper)
    for ink, step_mm, line_mm in zip((thin, bold), (1.0, 5.0), widths, strict=True):
        columns = _line_cover(width, step_mm * px_per_mm, line_mm * px_per_mm)
        rows = _line_cover(height, step_mm * px_per_mm, line_mm * px_per_mm)
        rows = rows[::-1] if from_below else rows
        cover = np.rint(255 * (1 - np.outer(1 - rows, 1 - columns))).astype(np.uint8)
        image.paste(ink, mask=Image.fromarray(cover))
    return image


def _line_cover(n_pixels: int, step: float, line: float) -> np.ndarray:
    """Share of each pixel covered by lines at multiples of `step`, all lengths in pixels."""
    edges = np.arange(n_pixels + 1)
    # Length covered from the first line's start to each edge; lines are centred on pixel
    # centres, hence the half, so that they stay crisp where `step` is whole.
    shifted = edges - 0.5 + line / 2
    covered = np.floor(shifted / step) * line + np.minimum(shifted % step, line)
    return np.diff(covered)


def _print_name(draw: ImageDraw.ImageDraw, page: _Geometry, segment: Segment) -> None:
    above_mm = min(13.0, 0.36 * BODY_MM / page.n_rows)
    x_mm = float(page.x_mm(segment.start_s)) + 1.2
    at = _pixels(page, x_mm, page.row_mm(segment.row) - above_mm)
    draw.text(at, segment.lead, fill=(0, 0, 0), font=_font(page, 3.6), anchor="ls")


def _mark_column(
    draw: ImageDraw.ImageDraw, page: _Geometry, segment: Segment, pen: int
) -> None:
    x_mm, zero_mm = float(page.x_mm(segment.start_s)), page.row_mm(segment.row)
    for sign in (-1, 1):
        ends = _pixels(page, x_mm, zero_mm + 2 * sign), _pixels(page, x_mm, zero_mm + 4 * sign)
        draw.line(ends, fill=(0, 0, 0), width=pen)


def _draw_pulse(draw: ImageDraw.ImageDraw, page: _Geometry, row: int, pen: int) -> None:
    width_mm = min(PULSE_S * page.speed_mm_s, PULSE_MAX_MM)
    left_mm = (LEFT_MM - 1 - width_mm) / 2
    zero_mm = page.row_mm(row)
    top_mm = zero_mm - PULSE_MV * page.gain_mm_mv
    x_mm = (left_mm - 1.5, left_mm, left_mm, left_mm + width_mm, left_mm + width_mm)
    y_mm = (zero_mm, zero_mm, top_mm, top_mm, zero_mm)
    points = [_pixels(page, x, y) for x, y in zip(x_mm, y_mm, strict=True)]
    points.append(_pixels(page, left_mm + width_mm + 1.5, zero_mm))
    draw.line(points, fill=(0, 0, 0), width=pen)


def _print_footer(draw: ImageDraw.ImageDraw, page: _Geometry) -> None:
    text = f"{page.speed_mm_s:g} mm/s  {page.gain_mm_mv:g} mm/mV"
    if not page.calibrated:
        text += "   UNCALIBRATED: voltages not to scale"
    font = _font(page, 3.4)
    room = page.size[0] - 2 * RIGHT_MM * page.px_per_mm
    if font.getlength(text) > room:  # slow paper is narrow, and the warning must not be cut off
        font = _load_font(font.size * room / font.getlength(text))
    x_mm = LEFT_MM if LEFT_MM * page.px_per_mm + font.getlength(text) < room else RIGHT_MM
    draw.text(_pixels(page, x_mm, HEIGHT_MM - 3), text, fill=(0, 0, 0), font=font, anchor="ls")


def _print_disclaimer(draw: ImageDraw.ImageDraw, page: _Geometry) -> None:
    """The disclaimer above the line of speed and gain; of the kit's page the head is free."""
    font = _font(page, 2.8)
    room = page.size[0] - 2 * RIGHT_MM * page.px_per_mm
    lines = [""]
    for word in page.disclaimer.split():
        longer = f"{lines[-1]} {word}".strip()
        lines[-1:] = [longer] if font.getlength(longer) <= room else [lines[-1], word]
    end = page.left_mm * page.px_per_mm + font.getlength(page.disclaimer)
    left_mm = page.left_mm if end < room else RIGHT_MM
    at = _pixels(page, left_mm, KIT_HEAD_MM if page.is_kit else HEIGHT_MM - 6)
    draw.text(at, "\n".join(lines), fill=(0, 0, 0), font=font, anchor="ld", spacing=2)


def _print_kit(draw: ImageDraw.ImageDraw, page: _Geometry) -> None:
    """Lead names under the traces' beginnings, speed and gain at the foot; no pulses."""
    font, black = _font(page, KIT_FONT_MM), (0, 0, 0)
    for segment in page_segments(page.layout, page.rhythm_lead):
        below_mm = 8.0 if segment.row == page.n_rows - 1 else 7.0
        at = _pixels(page, page.left_mm, page.row_mm(segment.row) + below_mm)
        draw.text(at, segment.lead, fill=black, font=font, anchor="ls")
    said = {50.0: f"{page.speed_mm_s:g}mm/s", 100.0: f"{page.gain_mm_mv:g}mm/mV"}
    if not page.calibrated:
        said[140.0] = "UNCALIBRATED: voltages not to scale"
    for x_mm, text in said.items():
        at = _pixels(page, x_mm, KIT_HEIGHT_MM - 5)
        draw.text(at, text, fill=black, font=font, anchor="ls")


def _font(page: _Geometry, height_mm: float) -> ImageFont.FreeTypeFont:
    # 10 pixels is where Pillow's own font stops being readable.
    return _load_font(max(10.0, height_mm * page.px_per_mm))


@lru_cache(maxsize=32)
def _load_font(size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _pixels(page: _Geometry, x_mm: float, y_mm: float) -> tuple[float, float]:
    return x_mm * page.px_per_mm, y_mm * page.px_per_mm
