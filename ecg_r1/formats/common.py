"""What every reader of ECG files shares: limits, the error, and the unconverted content."""

import re
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MAX_BYTES = 64 * 2**20
# Text grows when it is parsed: a number of a few characters becomes an object of 50 bytes.
MAX_TEXT_BYTES = 32 * 2**20
MAX_CHANNELS = 64
# 11 s at 2000 Hz, the highest rate we read: 10 s are kept, the rest settles the filter's edge.
MAX_SAMPLES_LOADED = 22_000
MIN_SAMPLES = 100  # one second, the least that is read, at 100 Hz, the lowest rate
MAX_AGE_YEARS = 130.0

UNNAMED = ""
CUT_SHORT = "it seems cut short; copy or export it again, whole"

# What libraries let through on malformed files (found by corrupting real ones).
PARSE_FAILURES = (ValueError, LookupError, TypeError, AttributeError, NotImplementedError)
PARSE_FAILURES += (ArithmeticError, OSError, EOFError, RecursionError, struct.error)
PARSE_FAILURES += (MemoryError, AssertionError)


class ECGError(ValueError):
    """An input that cannot be read as an ECG: quotes the value and says what to do."""


@dataclass(frozen=True, eq=False)
class Channels:
    """The content of one file before anything is converted.

    Attributes:
        signal: float64 `(channels, samples)` in the units of the file; NaN where not recorded.
            At most the first `MAX_SAMPLES_LOADED` samples.
        names: Channel names as written, or None when the file has none.
        units: One per channel as written, None where the file says nothing.
        fs: Sampling rate in Hz, or None when the file does not say.
        n_samples: Length of the whole file in samples.
        format: What kind of file it is, for display.
        age_years: Age when the file says so.
        sex: "female" or "male" when the file says so.
        calibrated: False when the file says that its voltages are not true.
        notes: What a reader of the record should know about the file.
    """

    signal: np.ndarray
    names: tuple[str, ...] | None
    units: tuple[str | None, ...]
    fs: float | None
    n_samples: int
    format: str = ""
    age_years: float | None = None
    sex: str | None = None
    calibrated: bool = True
    notes: tuple[str, ...] = ()


def is_file(path: Path) -> bool:
    """Whether a path names a file, also for names that the system cannot even look up."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # name too long, or no permission on the folder
        return False


def check_size(path: Path, limit: int) -> None:
    """Refuse a file that is empty or larger than `limit` bytes."""
    size = path.stat().st_size
    if size == 0:
        raise ECGError(f"{path.name} is empty")
    if size > limit:
        raise ECGError(f"{path.name} has {size} bytes, more than the {limit} read here")


def brief(error: Exception) -> str:
    """What a library complains of, on one line: some quote pages of bytes."""
    return quoted(" ".join(str(error).split()) or type(error).__name__, 200)


def quoted(text: str, limit: int = 60) -> str:
    """A stranger's text as far as an error message can bear it.

    Example:
        >>> quoted("a" * 9, 4), quoted("V1")
        ('aaaa...', 'V1')
    """
    return text if len(text) <= limit else f"{text[:limit]}..."


def lies_upright(shape: tuple[int, ...], n_leads: int | None, name: str) -> bool:
    """Whether an array holds leads in rows; False when in columns.

    With the number of leads unsaid, the sides tell: one of at most 64 cannot be samples, of
    which a second at 100 Hz has a hundred, and one of a hundred or more cannot be channels.

    Raises:
        ECGError: The array can lie either way, or neither.

    Example:
        >>> lies_upright((12, 5000), None, "a.npy"), lies_upright((5000, 8), 8, "a.npy")
        (True, False)
    """
    if n_leads is not None:
        if len(shape) != 2 or (shape[0] == n_leads) == (shape[1] == n_leads):
            raise ECGError(
                f"{name} has shape {shape}; with {n_leads} leads named, exactly one side "
                f"must be {n_leads}"
            )
        upright = shape[0] == n_leads
    else:
        if len(shape) != 2 or not min(shape) <= MAX_CHANNELS or max(shape) < MIN_SAMPLES:
            raise ECGError(
                f"{name} has shape {shape}: one side must be the channels (at most "
                f"{MAX_CHANNELS}) and the other their samples (at least {MIN_SAMPLES})"
            )
        upright = shape[0] < shape[1]
    if min(shape) > MAX_CHANNELS:
        raise ECGError(f"{name} has shape {shape}: more than {MAX_CHANNELS} channels")
    return upright


# ---- age and sex

YEARS_PER = {"D": 1 / 365.25, "W": 1 / 52.18, "M": 1 / 12, "Y": 1.0}


def parse_age(text: str, notes: list[str]) -> float | None:
    """Age in years as headers write it; what was not plain is added to `notes`.

    Example:
        >>> notes = []
        >>> parse_age(">89", notes), notes
        (90.0, ['the file gives the age as >89'])
    """
    if text.lower() in ("", "nan", "unknown", "none", "n/a", "na", "-"):
        return None
    match = re.fullmatch(r"(>?)\s*(\d{1,3}(?:\.\d{1,9})?)", text)
    if match is None or float(match[2]) > MAX_AGE_YEARS:
        notes.append(f"the file gives the age as {text[:40]}, which is not used")
        return None
    if match[1]:
        notes.append(f"the file gives the age as {text}")
        return float(match[2]) + 1.0
    return float(match[2])


def parse_sex(text: str) -> str | None:
    """Return female, male or None for what headers, DICOM and XML write."""
    return {"f": "female", "female": "female", "m": "male", "male": "male"}.get(text.lower())
