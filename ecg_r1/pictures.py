"""Pictures of ECG pages: opened with care, and told from pictures of anything else.

What this leaves out: finding the page's edges, straightening it, reading the trace.
"""

import struct
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ecg_r1.formats import MAX_BYTES, ECGError, check_size, quoted

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
MAX_PIXELS = 64_000_000  # what phones of today take at most by default; 256 MB when opened
# A progressive JPEG has about ten scans; each costs a pass over all pixels.
MAX_JPEG_SCANS = 32
LONGEST_SIDES = 20  # times the shorter one
# As Pillow reports broken files, and broken notes of a camera in them.
BROKEN_PICTURE = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError)
BROKEN_PICTURE += (ArithmeticError, AttributeError, struct.error, MemoryError, EOFError)


def on_white_paper(image: Image.Image) -> Image.Image:
    """The picture in RGB, with transparent parts as white paper instead of black.

    Raises:
        ECGError: If the picture holds numbers that have no agreed white.
    """
    if image.mode.startswith("I;16"):  # Pillow clips these to 8 bits instead of scaling
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise ECGError(f"a picture of mode {image.mode} is not read; save it with 8 bits")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        paper = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(paper, rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def open_page_image(path: Path) -> Image.Image:
    """A photographed, scanned or drawn page, upright and in RGB.

    Raises:
        ECGError: The file is not a picture, is cut short, or holds more pixels than is sane.
    """
    check_size(path, MAX_BYTES)
    try:
        with warnings.catch_warnings():
            # Of pixels we judge ourselves, and a camera's damaged notes damage no picture.
            warnings.simplefilter("ignore")
            # No other of Pillow's readers may see a stranger's file: one runs PostScript.
            with Image.open(path, formats=("PNG", "JPEG")) as picture:
                _check_shape(path.name, *picture.size)
                if picture.format != "PNG":
                    _check_scans(path)
                # In place: each copy of a large picture is a quarter of a gigabyte.
                ImageOps.exif_transpose(picture, in_place=True)
                picture.load()
                return on_white_paper(picture)
    except ECGError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(path.name) from error
    except UnidentifiedImageError as error:
        raise ECGError(f"{path.name} is not a PNG or JPEG picture; save it as one") from error
    except BROKEN_PICTURE as error:
        told = quoted(" ".join(str(error).split()) or type(error).__name__, 200)
        raise ECGError(f"{path.name} cannot be read as a picture: {told}") from error


def _check_shape(name: str, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise _too_large(name, f" ({width} x {height})")
    if max(width, height) > LONGEST_SIDES * min(width, height):
        raise ECGError(f"{name} is {width} x {height} pixels, which is no ECG page")


def _too_large(name: str, size: str = "") -> ECGError:
    return ECGError(
        f"{name} holds more than {MAX_PIXELS // 1_000_000} million pixels{size}; scale the "
        "picture down"
    )


def _check_scans(path: Path) -> None:
    # Inside a scan every byte FF is followed by 00, so the mark of a scan is one.
    scans = path.read_bytes().count(b"\xff\xda")
    if scans > MAX_JPEG_SCANS:
        raise ECGError(f"{path.name} is a JPEG of {scans} scans; save it as a plain one")


# ---- is it a page?

# All thresholds are ours, set on drawn and degraded pages of every layout, speed and colour and
# on photographs, text, tables and patterns; `tests/test_pictures.py` has both kinds.
MIN_SIDE = 200  # pixels; a page of 189 mm has less than a pixel per millimetre below
WORKING_SIDE = 1600  # pixels; longer pictures are scaled down to it
PATCH = 128  # pixels: four or more of the 5 mm squares at the resolutions that can be read
LINES = range(3, 57)  # in a patch: spacings of 43 down to 2.3 pixels
TILT_DEG = 9.0  # a page may lie aslant by this much
COVERED = 0.25  # share of a patch that may be ink or text; millimetre lines cover 0.38
GRID_STRENGTH = 45.0  # of lines, as a multiple of the power in between the axes
MIN_GRID_SHARE = 0.35  # of patches; nearly all of a page, but a photo shows the table too
THIN, SPARSE = 1.1, 15.0  # darkest over the 85th and 90th percentile of darkness
INK, MIN_INK_SHARE = 0.45, 0.15  # darkness of ink as a share of the paper's; bold lines: 0.38


def looks_like_page(image: Image.Image) -> tuple[bool, str]:
    """Whether a picture shows an ECG page: a square grid of thin lines, and darker ink on it.

    Graph paper with handwriting passes; the readings are then worth nothing, as the app says.

    Args:
        image: A picture in any mode.

    Returns:
        True and "", or False and the reason for a person, without a full stop.

    Example:
        >>> looks_like_page(Image.new("RGB", (640, 448), "white"))
        (False, 'no millimetre grid was found: 0 % of the picture has lines alike both ways')
    """
    if min(image.size) < MIN_SIDE:
        size = f"{image.size[0]} x {image.size[1]}"
        return False, f"it has {size} pixels, and a page needs {MIN_SIDE} each way"
    patches = _patches(image)
    gridded = patches[_grid_strength(patches) >= GRID_STRENGTH]
    share = len(gridded) / len(patches)
    if share < MIN_GRID_SHARE:
        return False, (
            f"no millimetre grid was found: {100 * share:.0f} % of the picture has lines alike "
            "both ways"
        )
    paper = np.quantile(gridded, 0.9, axis=(1, 2))
    half, dense, darkest = (
        paper - np.quantile(gridded, q, axis=(1, 2)) for q in (0.15, 0.1, 0.005)
    )
    if np.median(darkest / (half + 3)) < THIN or np.median(darkest / (dense + 3)) > SPARSE:
        return False, "its pattern is not the thin, narrow lines of millimetre paper"
    if np.mean(darkest >= INK * paper) < MIN_INK_SHARE:
        return False, "there is a grid, but no trace: nothing on it is darker than its lines"
    return True, ""


def _patches(image: Image.Image) -> np.ndarray:
    """The grey picture in squares, float32 `(patches, PATCH, PATCH)`; what is over is left."""
    grey = image.convert("L")
    scale = WORKING_SIDE / max(grey.size)
    if scale < 1:
        size = tuple(max(MIN_SIDE, round(side * scale)) for side in grey.size)
        grey = grey.resize(size, Image.Resampling.BILINEAR)
    pixels = np.asarray(grey, dtype=np.float32)
    rows, columns = (side // PATCH for side in pixels.shape)
    top, left = ((side % PATCH) // 2 for side in pixels.shape)
    kept = pixels[top : top + rows * PATCH, left : left + columns * PATCH]
    squares = kept.reshape(rows, PATCH, columns, PATCH).swapaxes(1, 2)
    return squares.reshape(-1, PATCH, PATCH)


def _grid_strength(patches: np.ndarray) -> np.ndarray:
    """How strong the strongest pattern is that repeats alike across and down, `(patches,)`.

    Power at each spatial frequency near both axes over the mean power in between: text has
    lines in one direction only, noise and photographs in none.
    """
    window = np.hanning(PATCH).astype(np.float32)
    # Traces and print go, and lines stay: they repeat below the darkness of the covered share.
    lines_only = np.maximum(patches, np.quantile(patches, COVERED, axis=(1, 2), keepdims=True))
    levelled = lines_only - lines_only.mean(axis=(1, 2), keepdims=True)
    power = np.abs(np.fft.rfft2(levelled * np.outer(window, window))) ** 2
    down, across = np.meshgrid(
        np.abs(np.fft.fftfreq(PATCH)) * PATCH, np.arange(PATCH // 2 + 1), indexing="ij"
    )
    radius = np.rint(np.hypot(across, down)).astype(int)
    angle = np.degrees(np.arctan2(down, across))
    strengths = np.zeros((2, len(LINES), len(patches)))
    for row, lines in enumerate(LINES):
        ring = radius == lines
        # The floor is what rounding to whole grey levels leaves.
        between = power[:, ring & (angle > 20) & (angle < 70)].mean(axis=1) + 1e-3 * PATCH**2
        strengths[0, row] = power[:, ring & (angle <= TILT_DEG)].max(axis=1) / between
        strengths[1, row] = power[:, ring & (angle >= 90 - TILT_DEG)].max(axis=1) / between
    # Perspective makes spacings differ by a step of frequency.
    near = np.pad(strengths, ((0, 0), (1, 1), (0, 0)))
    near = np.maximum(near[:, 1:-1], np.maximum(near[:, :-2], near[:, 2:]))
    alike = np.maximum(np.minimum(strengths[0], near[1]), np.minimum(near[0], strengths[1]))
    return alike.max(axis=0)
