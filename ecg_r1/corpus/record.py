"""From a task to its record, measured and judged; signals as rows keep them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.signal import resample

from ecg_r1.corpus.task import Task
from ecg_r1.ecg import ECG, FS, LEADS, ECGError, read_ecg
from ecg_r1.labels import in_order
from ecg_r1.measurement import Measurements, measure
from ecg_r1.protocol import Findings, apply_protocol
from ecg_r1.simulate import sample_spec, simulate

SAMPLES = 10 * FS
MICROVOLT = 1000  # stored steps per mV
GAP = -32768  # int16 value of a missing sample
_SINUS = ("sinus rhythm", "sinus bradycardia", "sinus tachycardia")


@dataclass(frozen=True, eq=False)
class Measured:
    """A task's record with everything that is known of it before a word is written.

    Attributes:
        ecg: The record.
        m: Its measurements.
        findings: The protocol applied to them.
        labels: The answer key, at least one label unless the task brings its own text.
        key: Where the answer key comes from: "simulator", "dataset" or "protocol".
    """

    ecg: ECG
    m: Measurements
    findings: Findings
    labels: tuple[str, ...]
    key: str


def measured(task: Task) -> Measured:
    """Read or simulate a task's record, measure it and settle its answer key.

    Raises:
        ECGError: The source left it out, it cannot be read, no heart rate can be measured, or
            nothing can be said to be its diagnosis.
    """
    if task.problem:
        raise ECGError(task.problem)
    ecg, labels = read_record(task)
    m = measure(ecg)
    if m.hr_bpm is None:
        raise ECGError(f"no heart rate: {m.unmeasurable['hr_bpm']}")
    if task.variant:
        original = measure(_read(task)).hr_bpm
        labels = relabel(labels, original or m.hr_bpm, m.hr_bpm)
    findings = apply_protocol(
        m, age_years=ecg.age_years, sex=ecg.sex, calibrated=ecg.calibrated
    )
    key = "simulator" if task.source == "simulated" else "dataset"
    if not labels and not task.messages:
        key, labels = "protocol", findings.diagnoses
        if not labels:
            raise ECGError("no label was given, and the protocol names no diagnosis")
    return Measured(ecg, m, findings, tuple(labels), key)


def read_record(task: Task) -> tuple[ECG, tuple[str, ...]]:
    """The record of a task, and its labels where something is known of them.

    Raises:
        ECGError: It cannot be read.
    """
    if task.source == "simulated":
        seed = int(task.record)
        # Two streams: one seed for both would tie the body's nuisances to the dials.
        ecg = simulate(sample_spec(np.random.default_rng([seed, 1])), seed=seed)
        return ecg, ecg.truth.diagnoses
    ecg = _read(task)
    return (stretch(ecg, task) if task.variant else ecg), task.labels


def _read(task: Task) -> ECG:
    """The file of a task, with what its source knows better than the file."""
    ecg = read_ecg(task.record, fs=task.fs, units=task.units, leads=task.leads or None)
    known = {
        name: value
        for name in ("age_years", "sex", "calibrated")
        if (value := getattr(task, name)) is not None
    }
    return replace(ecg, **known) if known else ecg


def stretch(ecg: ECG, task: Task) -> ECG:
    """The record played up to 6 % slower or faster, and up to 5 % higher or lower."""
    if np.isnan(ecg.signal).any():
        raise ECGError(f"{ecg.source} has gaps, which stretching would fill: left out")
    rng = np.random.default_rng([task.variant, *task.sample_id.encode()])
    n_samples = round(ecg.signal.shape[1] * rng.uniform(0.94, 1.06))
    signal = resample(ecg.signal, n_samples, axis=1)[:, :SAMPLES] * rng.uniform(0.95, 1.05)
    return replace(ecg, signal=signal, source=f"{ecg.source}, stretched")


def relabel(
    labels: Sequence[str], before_bpm: float, after_bpm: float | None
) -> tuple[str, ...]:
    """The sinus label that fits the new rate, where stretching has moved it over a limit."""

    def name(bpm: float) -> str:
        return _SINUS[1] if round(bpm) < 60 else _SINUS[2] if round(bpm) > 100 else _SINUS[0]

    if after_bpm is None or name(before_bpm) == name(after_bpm):
        return tuple(labels)
    return in_order([name(after_bpm) if x in _SINUS else x for x in labels])


# --- signals as rows keep them ----------------------------------------------------------------


def pack_signal(ecg: ECG) -> np.ndarray:
    """int16 microvolts `(12, 5000)`; missing samples are `GAP`."""
    packed = np.full((len(LEADS), SAMPLES), GAP, dtype=np.int16)
    signal = ecg.signal[:, :SAMPLES] * MICROVOLT
    kept = np.where(np.isnan(signal), GAP, np.clip(np.round(signal), -32767, 32767))
    packed[:, : signal.shape[1]] = kept
    return packed


def unpack_signal(data: bytes) -> np.ndarray:
    """float32 millivolts `(12, 5000)`, NaN where samples are missing."""
    packed = np.frombuffer(data, dtype=np.int16).reshape(len(LEADS), SAMPLES)
    return np.where(packed == GAP, np.nan, packed / np.float32(MICROVOLT)).astype(np.float32)


def wfdb_header(name: str, signal: bytes, comments: Sequence[str]) -> str:
    """The header of a WFDB record whose `.dat` is a row's signal, sample by sample.

    Args:
        name: Name of the record, a plain one.
        signal: A row's `signal`.
        comments: Lines to add, without "#".
    """
    samples = np.frombuffer(signal, dtype=np.int16).reshape(len(LEADS), SAMPLES)
    lines = [f"{name} {len(LEADS)} {FS} {SAMPLES}"]
    for lead, row in zip(LEADS, samples, strict=True):
        # Both fields are 16 bits wide in the format; the sum wraps around.
        checksum = int(row.astype(np.int64).sum()) & 0xFFFF
        lines.append(f"{name}.dat 16 {MICROVOLT}(0)/mV 16 0 {row[0]} {checksum} 0 {lead}")
    return "\n".join([*lines, *(f"# {comment}" for comment in comments)]) + "\n"


def wfdb_samples(signal: bytes) -> bytes:
    """The `.dat` of a WFDB record (format 16): all leads of one sample after the other."""
    samples = np.frombuffer(signal, dtype=np.int16).reshape(len(LEADS), SAMPLES)
    return samples.T.astype("<i2").tobytes()


def picture_format(data: bytes) -> str:
    """Suffix of an encoded page.

    Raises:
        ECGError: Neither PNG nor JPEG.
    """
    if data.startswith(b"\x89PNG"):
        return ".png"
    if data.startswith(b"\xff\xd8"):
        return ".jpg"
    raise ECGError("a page must be PNG or JPEG")


def page_bytes(path: Path) -> bytes:
    """A picture's file as it is.

    Raises:
        ECGError: No such file, or neither PNG nor JPEG.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ECGError(f"its page {path.name} cannot be read: {error}") from error
    picture_format(data)
    return data
