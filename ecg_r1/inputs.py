"""The door for files: a few paths in; one ECG, or one picture of an ECG page, out."""

import struct
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ecg_r1.ecg import ECG, ECGError, collect_wfdb, read_ecg

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
WFDB_SUFFIXES = (".hea", ".dat", ".mat")
# As Pillow reports broken files, and broken notes of a camera in them.
BROKEN_PICTURE = (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error)
LONGEST_SIDES = 20  # times the shorter one
RECORD_SUFFIXES = (*WFDB_SUFFIXES, ".dcm", ".csv", ".npy")


@dataclass(frozen=True, eq=False)
class Case:
    """What there is to read; exactly one of the two is given.

    Attributes:
        ecg: A recorded ECG, or None when only a picture came.
        image: A picture of an ECG page, RGB, or None when a record came.
    """

    ecg: ECG | None = None
    image: Image.Image | None = None


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
    return image.convert("RGB")


def open_page_image(path: Path) -> Image.Image:
    """A photographed, scanned or drawn page, upright and in RGB.

    Raises:
        ECGError: The file is not a picture, is cut short, or holds more pixels than is sane.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # A camera's damaged notes do not damage the picture.
            warnings.filterwarnings("ignore", "(Corrupt EXIF|Truncated File)", UserWarning)
            # No other of Pillow's readers may see a stranger's file: one runs PostScript.
            with Image.open(path, formats=("PNG", "JPEG")) as picture:
                _check_shape(path.name, *picture.size)
                return on_white_paper(ImageOps.exif_transpose(picture))
    except ECGError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        limit = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise ECGError(
            f"{path.name} holds more than {limit} million pixels; scale the picture down"
        ) from error
    except UnidentifiedImageError as error:
        raise ECGError(f"{path.name} is not a PNG or JPEG picture; save it as one") from error
    except BROKEN_PICTURE as error:
        raise ECGError(f"{path.name} cannot be read as a picture: {error}") from error


def _check_shape(name: str, width: int, height: int) -> None:
    if max(width, height) > LONGEST_SIDES * min(width, height):
        raise ECGError(f"{name} is {width} x {height} pixels, which is no ECG page")


def open_case(
    paths: Sequence[Path],
    *,
    fs: float | None = None,
    units: str | None = None,
    leads: Sequence[str] | None = None,
) -> Case:
    """Read the files of one ECG, whichever of the known kinds they are.

    Args:
        paths: One picture, one record, or the parts of one WFDB record in any folders.
        fs: Sampling rate in Hz, for files that do not carry it.
        units: Unit of the samples, for files that do not carry it, such as "mV".
        leads: Names of the columns, for files that do not carry them.

    Raises:
        ECGError: No file, files that do not belong together, or a file that cannot be read.
    """
    if not paths:
        raise ECGError("no file was given; choose a record or a picture of an ECG page")
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise ECGError(f"no such file: {', '.join(missing)}")
    if len(paths) > 1:
        return Case(ecg=_read_parts(paths, fs=fs, units=units, leads=leads))
    if paths[0].suffix.lower() in IMAGE_SUFFIXES:
        return Case(image=open_page_image(paths[0]))
    return Case(ecg=read_ecg(paths[0], fs=fs, units=units, leads=leads))


def _read_parts(paths: Sequence[Path], **given: object) -> ECG:
    strangers = [path.name for path in paths if path.suffix.lower() not in WFDB_SUFFIXES]
    if strangers:
        raise ECGError(
            f"{', '.join(strangers)} cannot be combined with other files; "
            "only the .hea and .dat (or .mat) of one WFDB record come together"
        )
    with tempfile.TemporaryDirectory(prefix="ecg-r1-") as folder:
        return read_ecg(collect_wfdb(paths, Path(folder)), **given)
