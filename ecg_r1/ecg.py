"""The record: twelve leads in millivolts at 500 Hz, with what the file said about them.

What this leaves out: judging the signal. A flat, noisy or wrongly connected lead is read as
it is; `measurement` says what cannot be trusted.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecg_r1.formats import Channels, ECGError, collect_wfdb, quoted, read_channels

if TYPE_CHECKING:
    from ecg_r1.simulate import Truth

__all__ = [
    "ECG",
    "FS",
    "LEADS",
    "ECGError",
    "canonical_lead",
    "collect_wfdb",
    "ecg_from_channels",
    "mv_per",
    "read_ecg",
]

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
FS = 500  # Hz, the one sampling rate inside the package

MIN_FS, MAX_FS = 100.0, 2000.0  # Hz
MIN_SECONDS, KEPT_SECONDS, MAX_SECONDS = 1.0, 10.0, 3600.0
# Electrode offsets reach +-300 mV (IEC 60601-2-25:2011); a volt means that the unit is wrong.
MAX_MV = 1000.0

MV_PER_UNIT = {"V": 1000.0, "mV": 1.0, "uV": 1e-3}
# Leads that exist in clinical records beside the twelve: left out, and said so.
OTHER_LEADS = frozenset(("VX", "VY", "VZ", "V7", "V8", "V9", "V3R", "V4R"))
SKIP = "-"  # in `leads`: leave this channel out

# Goldberger: the augmented leads from I and II alone; III by Einthoven. Weights of (I, II).
FROM_I_AND_II = {"III": (-1, 1), "aVR": (-0.5, -0.5), "aVL": (1, -0.5), "aVF": (-0.5, 1)}


@dataclass(frozen=True, eq=False)
class ECG:
    """One resting 12-lead ECG; immutable.

    Attributes:
        signal: float32 millivolts, `(12, samples)`, rows in the order of `LEADS`, 500 Hz.
            NaN marks samples that were not recorded.
        source: Where it came from (a file name or "simulated"), for display.
        source_fs: Sampling rate of the source in Hz, before resampling to 500 Hz.
        age_years: Age when the source says so, else None.
        sex: "female" or "male" when the source says so, else None.
        calibrated: False when the source says that its voltages are not in true millivolts.
        derived: Leads computed from I and II because the source lacks them.
        notes: What was done to the record on the way in, one sentence each.
        truth: What was dialled, for simulated records only.
    """

    signal: np.ndarray
    source: str
    source_fs: float = FS
    age_years: float | None = None
    sex: str | None = None
    calibrated: bool = True
    derived: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    truth: "Truth | None" = field(default=None, repr=False)

    def __post_init__(self) -> None:
        signal = np.array(self.signal, dtype=np.float32)
        if signal.ndim != 2 or signal.shape[0] != len(LEADS) or signal.shape[1] == 0:
            raise ECGError(
                f"signal must be (12, samples) in millivolts, got shape {signal.shape}"
            )
        signal.setflags(write=False)
        object.__setattr__(self, "signal", signal)

    @property
    def fs(self) -> int:
        """Sampling rate of `signal` in Hz, always 500."""
        return FS

    @property
    def leads(self) -> tuple[str, ...]:
        """Names of the rows of `signal`."""
        return LEADS

    @property
    def duration_s(self) -> float:
        """Length of the record in seconds."""
        return self.signal.shape[1] / FS

    def lead(self, name: str) -> np.ndarray:
        """One lead's samples in millivolts, by its exact name."""
        return self.signal[LEADS.index(name)]


def read_ecg(
    path: str | Path,
    *,
    fs: float | None = None,
    units: str | None = None,
    leads: Sequence[str] | None = None,
) -> ECG:
    """The first 10 s of a 12-lead ECG file, in millivolts at 500 Hz.

    Reads WFDB (`.hea` with `.dat` or `.mat`), DICOM waveforms, GE MUSE and HL7 aECG in XML
    (of all these the recorded rhythm, not the median beat), tables in text (an optional header
    row of lead names, an optional time column), MATLAB arrays and NPY. Nothing is guessed:
    sampling rate, units and lead names come from the file or from the arguments, and an
    argument that contradicts the file is an error. What was done stands in `ECG.notes`.

    Args:
        path: The file; for WFDB any of its files, or the record name without extension.
        fs: Sampling rate in Hz, 100 to 2000, where the file does not say.
        units: "V", "mV" or "uV", where the file does not say.
        leads: Lead names in the order of the file's channels, where the file does not say or
            uses names of its own; "-" leaves a channel out. One text with commas also will do.

    Raises:
        ECGError: If the file cannot be read as a 12-lead ECG; quotes the value at fault.

    Source:
        III, aVR, aVL and aVF from I and II: Kligfield 2007, AHA/ACC/HRS Part I,
        doi:10.1161/CIRCULATIONAHA.106.180200
    """
    given = leads.split(",") if isinstance(leads, str) else leads
    channels = read_channels(path, None if given is None else len(given))
    return ecg_from_channels(channels, Path(path).name, fs=fs, units=units, leads=given)


def ecg_from_channels(
    channels: Channels,
    source: str,
    *,
    fs: float | None = None,
    units: str | None = None,
    leads: Sequence[str] | None = None,
) -> ECG:
    """The first 10 s of what a file holds, in millivolts at 500 Hz.

    Args:
        channels: As `formats.read_channels` gives them.
        source: What messages call the file.
        fs: As in `read_ecg`.
        units: As in `read_ecg`.
        leads: As in `read_ecg`, one for each channel.

    Raises:
        ECGError: If the channels are no 12-lead ECG; quotes the value at fault.
    """
    notes = list(channels.notes)
    rate = _resolve_fs(channels.fs, fs, source)
    seconds = _check_seconds(channels.n_samples / rate, source)
    rows = _match_leads(channels.names, leads, len(channels.signal), notes)
    scales = _resolve_units(channels.units, units, rows, source)
    kept = {}
    for name, row in rows.items():
        # A second more than is kept, so that the filter's edge falls outside.
        samples = channels.signal[row, : math.ceil((KEPT_SECONDS + 1.0) * rate)]
        kept[name] = _check_values(samples * scales[name], name)
    kept = {name: resample(samples, rate) for name, samples in kept.items()}
    derived = _derive_leads(kept, source)
    signal = np.stack([kept[name] for name in LEADS])[:, : int(KEPT_SECONDS * FS)]
    if np.isnan(signal).all():
        raise ECGError(f"{source} holds no samples: every lead is a gap from start to end")
    notes += _notes_on(signal, rate, seconds, derived)
    return ECG(
        signal=signal,
        source=source,
        source_fs=rate,
        age_years=channels.age_years,
        sex=channels.sex,
        calibrated=channels.calibrated,
        derived=derived,
        notes=tuple(notes),
    )


def canonical_lead(name: str) -> str | None:
    """The standard name of one of the twelve leads, however it is spelt, else None.

    Example:
        >>> canonical_lead("Lead I (Einthoven)"), canonical_lead("AVR"), canonical_lead("MLII")
        ('I', 'aVR', None)
    """
    # DICOM code meanings put an explanation behind a comma: "aVR, augmented voltage, right".
    bare = re.sub(r"\(einthoven\)|,.*", "", name.strip().lower())
    bare = re.sub(r"^(?:ecg[\s_-]+)?(?:lead[\s_-]*)?", "", bare).strip()
    return next((lead for lead in LEADS if lead.lower() == bare), None)


def resample(samples: np.ndarray, fs: float) -> np.ndarray:
    """One lead brought from `fs` to 500 Hz by polyphase filtering; gaps (NaN) stay gaps."""
    ratio = Fraction(FS / fs).limit_denominator(1000)
    if ratio == 1:
        return samples
    gaps = np.isnan(samples)
    length = math.ceil(len(samples) * ratio)
    if gaps.all():
        return np.full(length, np.nan)
    from scipy.signal import resample_poly  # noqa: PLC0415  (half a second to import)

    index = np.arange(len(samples))
    bridged = np.interp(index, index[~gaps], samples[~gaps])
    # "line" takes the baseline out first: zeros beyond the ends would bend the edges.
    out = resample_poly(bridged, ratio.numerator, ratio.denominator, padtype="line")
    place = np.arange(length) * ratio.denominator / ratio.numerator
    # A new sample is a gap when any old one is that it stands between or in for.
    reach = math.ceil(ratio.denominator / ratio.numerator) - 1
    low = np.clip(np.floor(place).astype(int) - reach, 0, len(samples) - 1)
    high = np.clip(np.ceil(place).astype(int) + reach, 0, len(samples) - 1)
    count = np.concatenate([[0], np.cumsum(gaps)])
    return np.where(count[high + 1] > count[low], np.nan, out[:length])


def _resolve_fs(stated: float | None, given: float | None, source: str) -> float:
    if stated is None and given is None:
        raise ECGError(f"{source} does not state its sampling rate: pass fs=... in Hz")
    if (
        stated is not None
        and given is not None
        and not math.isclose(stated, given, rel_tol=1e-3)
    ):
        raise ECGError(
            f"{source} states {stated:g} Hz, but fs={given:g} was given: which is it?"
        )
    rate = float(given if stated is None else stated)
    if not MIN_FS <= rate <= MAX_FS:
        raise ECGError(
            f"sampling rate {rate:g} Hz of {source} is outside {MIN_FS:g} to {MAX_FS:g} Hz"
        )
    return rate


def _check_seconds(seconds: float, source: str) -> float:
    if seconds < MIN_SECONDS:
        raise ECGError(f"{source} lasts {seconds:.3g} s: at least {MIN_SECONDS:g} s are needed")
    if seconds > MAX_SECONDS:
        raise ECGError(
            f"{source} lasts {seconds:.0f} s, more than the {MAX_SECONDS:g} s read here: "
            "cut out the part to read"
        )
    return seconds


def _match_leads(
    names: tuple[str, ...] | None,
    given: Sequence[str] | None,
    n_channels: int,
    notes: list[str],
) -> dict[str, int]:
    """Row of each standard lead in the file; channels left out are added to `notes`."""
    if given is None and names is None:
        raise ECGError("the file has no lead names: pass leads=... in its order")
    wanted = names if given is None else tuple(name.strip() for name in given)
    if len(wanted) != n_channels:
        raise ECGError(f"{len(wanted)} leads were given for {n_channels} channels")
    if given is not None and names is not None:
        _check_against_file(names, wanted)
    rows: dict[str, int] = {}
    skipped = []
    for row, name in enumerate(wanted):
        lead = canonical_lead(name)
        if lead is None:
            _check_skippable(name, given is not None)
            skipped.append(names[row] if names else f"channel {row + 1}")
        elif lead in rows:
            raise ECGError(
                f"lead {lead} stands twice, in channels {rows[lead] + 1} and {row + 1}"
            )
        else:
            rows[lead] = row
    if skipped:
        notes.append(f"left out {', '.join(skipped)}, which are not among the 12 leads")
    return rows


def _check_against_file(names: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    for stated, name in zip(names, wanted, strict=True):
        lead = canonical_lead(stated)
        if lead is not None and name != SKIP and lead != canonical_lead(name):
            raise ECGError(
                f"the file calls a channel {quoted(stated)!r}, but leads=... says "
                f"{quoted(name)!r}"
            )


def _check_skippable(name: str, was_given: bool) -> None:  # noqa: FBT001  (private)
    if name == SKIP if was_given else name.upper() in OTHER_LEADS:
        return
    raise ECGError(
        f"unknown lead {quoted(name)!r}: pass leads=... with one of {', '.join(LEADS)} for "
        f"each channel, or {SKIP!r} for a channel to leave out"
    )


def _resolve_units(
    stated: tuple[str | None, ...], given: str | None, rows: dict[str, int], source: str
) -> dict[str, float]:
    """Millivolts per unit of the file, for each lead."""
    scales = {}
    for name, row in rows.items():
        unit = stated[row]
        if unit is None and given is None:
            raise ECGError(f"{source} does not state the units of lead {name}: pass units=...")
        if unit is not None and given is not None and mv_per(unit) != mv_per(given):
            raise ECGError(
                f"{source} states {unit!r}, but units={given!r} was given: which is it?"
            )
        scales[name] = mv_per(given if unit is None else unit)
    return scales


def mv_per(unit: str) -> float:
    """Millivolts per unit, for V, mV and uV however the micro sign is written.

    Raises:
        ECGError: Another unit; quotes it.
    """
    # Both micro signs; the prefix keeps its case, since MV would be a million volts.
    plain = unit.strip().replace("\u00b5", "u").replace("\u03bc", "u")
    plain = plain[:-1] + "V" if plain.endswith("v") else plain
    if plain not in MV_PER_UNIT:
        raise ECGError(
            f"unknown units {quoted(unit)!r}: one of {', '.join(MV_PER_UNIT)} is needed"
        )
    return MV_PER_UNIT[plain]


def _check_values(samples: np.ndarray, lead: str) -> np.ndarray:
    infinite = np.flatnonzero(np.isinf(samples))
    if infinite.size:
        raise ECGError(
            f"lead {lead} holds {samples[infinite[0]]} at sample {infinite[0]}: "
            "write NaN where nothing was recorded"
        )
    largest = np.max(np.abs(samples), where=~np.isnan(samples), initial=0.0)
    if largest > MAX_MV:
        raise ECGError(
            f"lead {lead} reaches {largest:g} mV, which no electrode gives: check the units"
        )
    return samples


def _derive_leads(kept: dict[str, np.ndarray], source: str) -> tuple[str, ...]:
    """Add the limb leads that follow from I and II; the others must be there."""
    missing = [name for name in LEADS if name not in kept]
    lacking = [name for name in missing if name not in FROM_I_AND_II]
    if lacking:
        raise ECGError(
            f"{source} lacks {', '.join(lacking)}: at least I, II and V1 to V6 are needed"
        )
    for name in missing:
        of_i, of_ii = FROM_I_AND_II[name]
        kept[name] = of_i * kept["I"] + of_ii * kept["II"]
    return tuple(missing)


def _notes_on(
    signal: np.ndarray, rate: float, seconds: float, derived: tuple[str, ...]
) -> list[str]:
    notes = []
    if rate != FS:
        notes.append(f"resampled from {rate:g} Hz to {FS} Hz")
    if round(seconds * FS) > signal.shape[1]:
        length = f"{seconds:.1f}" if seconds >= KEPT_SECONDS + 0.05 else f"{seconds:.3f}"
        notes.append(f"cut to the first {KEPT_SECONDS:g} s of {length} s")
    if derived:
        notes.append(f"computed {', '.join(derived)} from I and II, which the file has")
    gaps = np.isnan(signal).sum(axis=1) / FS
    listed = [f"{lead} {gap:.3g} s" for lead, gap in zip(LEADS, gaps, strict=True) if gap > 0]
    if listed:
        notes.append(f"gaps where nothing was recorded: {', '.join(listed)}")
    return notes
