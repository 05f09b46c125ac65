"""Everything between the body surface and the file: skin, cables, cardiograph, storage.

Noise enters at the nine electrodes and the cardiograph records eight independent leads with
the same linear filters, so Einthoven's and Goldberger's laws survive it.

Colours and sizes are fitted to the noise between T and the next P of 324 records of PTB-XL
(Wagner 2020, Sci Data 7:154), 98 of LUDB (Kalyakulina 2020, IEEE Access 8:186181) and 19 of
the CinC 2021 challenge, brought from the leads back to the electrodes by least squares.

What this leaves out: the right-leg electrode, partial contact, notch filters, pacing marks.
"""

from bisect import bisect
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import accumulate
from math import ceil, cos, exp, pi
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ecg_r1.ecg import FS, MAX_FS, MIN_FS, MIN_SECONDS, ECGError
from ecg_r1.simulate.torso import TWELVE

ELECTRODES = ("RA", "LA", "LL", "V1", "V2", "V3", "V4", "V5", "V6")
_PLACES = {"RA": "right arm", "LA": "left arm", "LL": "left leg"}

# I, II, V1-V6 from the potentials of `ELECTRODES`; chest leads against Wilson's terminal.
LEADS_OF_ELECTRODES = np.zeros((8, 9), dtype=np.float32)
LEADS_OF_ELECTRODES[0, :3] = -1, 1, 0
LEADS_OF_ELECTRODES[1, :3] = -1, 0, 1
LEADS_OF_ELECTRODES[2:, :3] = -1 / 3
LEADS_OF_ELECTRODES[2:, 3:] = np.eye(6)
# And back, with Wilson's terminal at zero: RA + LA + LL = 0.
ELECTRODES_OF_LEADS = np.zeros((9, 8), dtype=np.float32)
ELECTRODES_OF_LEADS[:3, :2] = np.array([[-1, -1], [2, -1], [-1, 2]]) / 3
ELECTRODES_OF_LEADS[3:, 2:] = np.eye(6)
_TWELVE = TWELVE.astype(np.float32)

# Slow noise is made at 62.5 Hz and drawn between.
_BANK_SEED, _BANK, _SLOW_BANK = 20261122, 2**19, 2**18  # samples at 500 and 62.5 Hz
_STRIDE = 8
# What two neighbouring coarse samples give to each fine one between them.
_LINE = np.float32([1 - np.arange(_STRIDE) / _STRIDE, np.arange(_STRIDE) / _STRIDE])
# Wander: power falls as 1/f^4 above the corner; RMS by electrode against the dial, and the
# spread (SD of the logarithm) of each; neighbours on the chest move together.
_WANDER_HZ, _WANDER_CORNER_HZ = (0.07, 4.0), 0.14
_WANDER_SIZE = np.float32([0.62, 0.82, 1.1, 1.08, 1.08, 1.08, 1.08, 1.08, 1.08])[:, None]
_WANDER_SPREAD = 0.4
_TOGETHER = 0.4
# Muscle noise: flat at first, 0.77 at 75 Hz and half at 120 Hz; with a tremor whose power
# falls as 1/f^2 above its corner. Arms are loudest; it swells over seconds.
_MUSCLE_TAPS = (1.0, 1.0, 0.5)
_MUSCLE_SIZE = np.float32([1.05, 1.05, 0.55, 0.38, 0.36, 0.34, 0.34, 0.36, 0.38])[:, None]
_TREMOR_HZ, _TREMOR_CORNER_HZ = (1.0, 24.0), 8.0
_TREMOR_SIZE = np.float32([1.15, 1.15, 0.85, 0.65, 0.65, 0.65, 0.65, 0.65, 0.65])[:, None]
_MUSCLE_SPREAD, _MUSCLE_SWELL = 0.35, 0.5
# An electrode in the air against one on the skin: its drift in mV, its mains as a factor.
_AIR_DRIFT_MV, _AIR_MAINS = 0.3, 30.0
# A lead's offset is taken off in whole steps: means of PTB-XL's leads lie within 10 uV (98 %),
# whatever their wander.
_OFFSET_STEP_MV = 0.01
# PTB-XL's recorders hold the first 5 and the last 43 samples (353 of 353 records, at 400 Hz).
_HELD_START, _HELD_END = 5, 43
_BLOCK = 20  # samples that the high-pass takes at once
_LONGEST_LINE = 40  # samples; fewer than 1 % of PTB-XL's lines are longer
_FILE_UV = 1.0  # resolution of a file that was resampled


@dataclass(frozen=True)
class Recording:
    """The dials of the machine, the cables and the skin; the defaults are a clean record.

    Every dial scales or switches one thing: the random numbers of `record` do not depend on
    them.
    """

    wander_mv: float = 0.02  # RMS baseline wander at one electrode
    emg_mv: float = 0.002  # RMS muscle and amplifier noise at one electrode
    mains_mv: float = 0.0  # amplitude of the powerline at one electrode
    mains_hz: float = 50.0
    motion_mv: float = 0.0  # largest size of the motion artefacts, three of any electrode
    lead_off: tuple[str, ...] = ()  # of ELECTRODES: came off
    swapped: tuple[str, str] | None = None  # two of ELECTRODES, exchanged
    high_pass_hz: float = 0.05  # first order; 0 is none: the offset stays
    low_pass_hz: float | None = 150.0  # -3 dB, without delay; None, or fs / 2, is none
    clip_mv: float | None = None  # the recorded leads saturate here, on both sides
    adc_uv: float = 1.0  # quantisation step; 0 is none
    compression_uv: float = 0.0  # stored as straight lines, within this; 0 keeps all samples
    fs: float = FS  # sampling rate of the machine in Hz; the ECG has 500 Hz

    def __post_init__(self) -> None:
        for name in ("wander_mv", "emg_mv", "mains_mv", "motion_mv"):
            _within(name, getattr(self, name), 0.0, np.inf)
        for name in ("adc_uv", "compression_uv"):
            _within(name, getattr(self, name), 0.0, np.inf)
        _within("fs", self.fs, MIN_FS, MAX_FS)
        _within("mains_hz", self.mains_hz, 45.0, 65.0)
        _within("high_pass_hz", self.high_pass_hz, 0.0, 5.0)
        if self.low_pass_hz is not None:
            _within("low_pass_hz", self.low_pass_hz, 10.0, MAX_FS / 2)
        if self.clip_mv is not None:
            _within("clip_mv", self.clip_mv, 0.05, np.inf)
        for name in (*self.lead_off, *(self.swapped or ())):
            if name not in ELECTRODES:
                raise ECGError(
                    f"electrode {name!r} is unknown: choose from {', '.join(ELECTRODES)}"
                )
        if self.swapped is not None and len(set(self.swapped)) != 2:
            raise ECGError(f"swapped must name two electrodes, got {self.swapped!r}")


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high or value == np.inf:
        raise ECGError(f"{name} {value!r} must lie between {low:g} and {high:g}")


def record(eight: np.ndarray, recording: Recording, rng: np.random.Generator) -> np.ndarray:
    """What the file holds of a clean heart: noise, faults, filters, clipping, ADC.

    Args:
        eight: Clean I, II, V1-V6 in mV at 500 Hz, `(8, samples)`.
        recording: The dials.
        rng: Draws the noise; as many numbers for every recording of the same length.

    Returns:
        The twelve leads in mV, float32 `(12, samples)`, rows as `LEADS`. Unless `high_pass_hz`
        is 0, every recorded lead's mean is within 5 uV of 0, as in PTB-XL's and other files.

    Raises:
        ECGError: `eight` has another shape or lasts under a second; quotes it.
    """
    if eight.ndim != 2 or len(eight) != 8:
        raise ECGError(f"record takes the leads I, II, V1-V6, got shape {eight.shape}")
    if eight.shape[1] < FS * MIN_SECONDS:
        raise ECGError(
            f"{eight.shape[1] / FS:g} s were given: at least {MIN_SECONDS:g} s needed"
        )
    unit = _draw_unit_noise(eight.shape[1], rng)
    potentials = _electrode_noise(unit, recording)
    if recording.lead_off or recording.swapped:
        potentials += ELECTRODES_OF_LEADS @ eight.astype(np.float32)
        leads = LEADS_OF_ELECTRODES @ _misplaced(potentials, unit, recording)
    else:
        leads = LEADS_OF_ELECTRODES @ potentials
        leads += eight
    if recording.fs == FS:
        leads = _cardiograph(leads, recording)
    else:
        at_machine = _resample(leads, FS, recording.fs)
        leads = _resample(_cardiograph(at_machine, recording), recording.fs, FS)
        leads = _round_to(leads[:, : eight.shape[1]], _FILE_UV)
    return _TWELVE @ leads


# ---------------------------------------------------------------- skin and cables


class _UnitNoise(NamedTuple):
    """Noise of size one, before any dial scales it; rows are the nine electrodes."""

    wander: np.ndarray  # at 62.5 Hz
    muscle: np.ndarray  # at 500 Hz
    muscle_size: np.ndarray  # of each electrode, either way up, `(9, 1)`
    tremor: np.ndarray  # its slow part, at 62.5 Hz
    swell: np.ndarray  # loudness of the muscles, mean square 1, at 62.5 Hz
    mains: np.ndarray  # amplitude, -1.5 to 1.5
    turn: float  # phase of the powerline, 0 to 1
    events: np.ndarray  # motion: electrode, time, rise, decay, size; all 0 to 1, `(3, 5)`


def _draw_unit_noise(n: int, rng: np.random.Generator) -> _UnitNoise:
    chance = rng.random(25)
    spread = rng.standard_normal((2, 9, 1), dtype=np.float32)
    # Stretches of a bank, each upright or upside down: a tenth of the time of drawing samples.
    places, ways = rng.random((4, 2, 9)).swapaxes(0, 1)
    ways = np.where(ways < 0.5, -1, 1).astype(np.float32)[:, :, None]
    coarse = ceil(n / _STRIDE) + 1
    wander = _MOVING_TOGETHER @ (ways[0] * _taken("wander", coarse, places[0]))
    swell = _MOVING_TOGETHER @ (ways[1] * _taken("wander", coarse, places[1]))
    tremor_size = _sizes(_TREMOR_SIZE, _MUSCLE_SPREAD, spread[1])
    away = chance[:9, None].astype(np.float32) - 0.5
    return _UnitNoise(
        wander=wander * _sizes(_WANDER_SIZE, _WANDER_SPREAD, spread[0]),
        muscle=_taken("muscle", n, places[2]),
        muscle_size=ways[2] * _sizes(_MUSCLE_SIZE, _MUSCLE_SPREAD, spread[1]),
        tremor=_taken("tremor", coarse, places[3]) * (ways[3] * tremor_size),
        swell=np.exp(_MUSCLE_SWELL * swell - _MUSCLE_SWELL**2),
        mains=np.copysign(0.5, away) + 2 * away,
        turn=chance[9],
        events=chance[10:].reshape(3, 5),
    )


def _taken(kind: str, n: int, places: np.ndarray) -> np.ndarray:
    """`n` samples of a bank from each place, 0 to 1, on."""
    windows = _windows(kind, n)
    return windows[(places * (len(windows) - 1)).astype(int)]


@cache
def _windows(kind: str, n: int) -> np.ndarray:
    """Every stretch of `n` samples of a bank, without a copy."""
    return sliding_window_view(_muscle_bank() if kind == "muscle" else _slow_bank(kind), n)


@cache
def _muscle_bank() -> np.ndarray:
    """Seventeen minutes of muscle noise of RMS 1, the same in every process."""
    drawn = np.random.default_rng(_BANK_SEED).standard_normal(_BANK + 2, dtype=np.float32)
    noise = np.convolve(drawn, np.float32(_MUSCLE_TAPS), "valid")
    return noise / np.sqrt(np.float32(np.square(_MUSCLE_TAPS).sum()))


@cache
def _slow_bank(kind: str) -> np.ndarray:
    """Seventy minutes at 62.5 Hz of slow noise of RMS 1."""
    band, corner, fall = {
        "wander": (_WANDER_HZ, _WANDER_CORNER_HZ, 4),
        "tremor": (_TREMOR_HZ, _TREMOR_CORNER_HZ, 2),
    }[kind]
    hz = np.arange(_SLOW_BANK // 2 + 1) * (FS / _STRIDE / _SLOW_BANK)
    power = ((hz >= band[0]) & (hz <= band[1])) / (1 + (hz / corner) ** fall)
    seed = [_BANK_SEED, fall]
    drawn = np.random.default_rng(seed).standard_normal((2, len(hz)))
    course = np.fft.irfft((drawn[0] + 1j * drawn[1]) * np.sqrt(power))
    return (course / course.std()).astype(np.float32)


def _sizes(typical: np.ndarray, spread: float, unit: np.ndarray) -> np.ndarray:
    """Log-normal sizes, of mean square `typical` squared."""
    return typical * np.exp(spread * unit - spread**2)


def _chest_moves_together() -> np.ndarray:
    mixing = np.eye(9)
    chest = np.arange(6)
    mixing[3:, 3:] = np.linalg.cholesky(_TOGETHER ** np.abs(chest[:, None] - chest))
    return mixing.astype(np.float32)


_MOVING_TOGETHER = _chest_moves_together()


def _electrode_noise(unit: _UnitNoise, recording: Recording) -> np.ndarray:
    """What the skin and the room add to each electrode, in mV, `(9, samples)`."""
    n = unit.muscle.shape[1]
    loudness = recording.emg_mv * unit.swell
    # The wide part may well change its loudness in steps of 16 ms: only seconds show.
    noise = np.repeat(loudness * unit.muscle_size, _STRIDE, axis=1)[:, :n]
    noise *= unit.muscle
    noise += _between(recording.wander_mv * unit.wander + loudness * unit.tremor)[:, :n]
    if recording.mains_mv > 0:
        noise += recording.mains_mv * unit.mains * _hum(unit, recording.mains_hz)
    if recording.motion_mv > 0:
        _add_motion(noise, recording.motion_mv, unit.events)
    return noise


def _between(coarse: np.ndarray) -> np.ndarray:
    """Straight lines between the coarse samples, at 500 Hz."""
    ends = coarse.repeat(2, axis=1)[:, 1:-1].reshape(len(coarse), -1, 2)
    return (ends @ _LINE).reshape(len(coarse), -1)


def _hum(unit: _UnitNoise, mains_hz: float) -> np.ndarray:
    t = np.arange(unit.muscle.shape[1]) / FS
    return np.sin(2 * pi * (mains_hz * t + unit.turn)).astype(np.float32)


def _add_motion(noise: np.ndarray, motion_mv: float, events: np.ndarray) -> None:
    """Electrodes that are pulled: up or down within 20-300 ms, back within 0.1-2 s."""
    t = np.arange(noise.shape[1]) / FS
    for where, when, rise, decay, size in events:
        since = np.clip(t - when * t[-1], 0, None)
        course = (1 - np.exp(-since / (0.02 + 0.1 * rise))) * np.exp(-since / (0.1 + decay))
        noise[int(9 * where)] += (motion_mv * (2 * size - 1) / course.max()) * course


def _misplaced(potentials: np.ndarray, unit: _UnitNoise, recording: Recording) -> np.ndarray:
    """The potentials as the cables bring them: exchanged, or from the air."""
    order = list(range(9))
    if recording.swapped is not None:
        a, b = (ELECTRODES.index(name) for name in recording.swapped)
        order[a], order[b] = b, a
    potentials = potentials[order]
    n = potentials.shape[1]
    for row in (ELECTRODES.index(name) for name in recording.lead_off):
        potentials[row] = _between(_AIR_DRIFT_MV * unit.wander[row : row + 1])[0, :n]
        hum_mv = _AIR_MAINS * recording.mains_mv * unit.mains[row]
        potentials[row] += hum_mv * _hum(unit, recording.mains_hz)
    return potentials


# ---------------------------------------------------------------- cardiograph and file


def _cardiograph(leads: np.ndarray, recording: Recording) -> np.ndarray:
    """Eight leads through the filters, the amplifier and the ADC, at the machine's rate."""
    if recording.high_pass_hz > 0:
        leads = _high_pass(leads, recording.high_pass_hz, recording.fs)
    if recording.low_pass_hz is not None and recording.low_pass_hz < recording.fs / 2:
        leads = _low_pass(leads, recording.low_pass_hz, recording.fs)
    if recording.clip_mv is not None:
        leads = np.clip(leads, -recording.clip_mv, recording.clip_mv)
    leads = _round_to(leads, recording.adc_uv)
    if recording.compression_uv > 0:
        leads = _compress(leads, recording)
    return leads


def _compress(leads: np.ndarray, recording: Recording) -> np.ndarray:
    """What PTB-XL's recorders keep: II, III and V1-V6 as straight lines, I as II - III.

    In its records, breaks in II and in III come apart, and three in four of each are in I.
    """
    coded = leads.copy()
    coded[0] = leads[1] - leads[0]
    coded = _round_to(_as_lines(coded, recording.compression_uv / 1000), recording.adc_uv)
    coded[:, :_HELD_START] = coded[:, _HELD_START - 1 : _HELD_START]
    coded[:, -_HELD_END:] = coded[:, -_HELD_END][:, None]
    coded[0] = coded[1] - coded[0]
    return coded


def _high_pass(leads: np.ndarray, corner_hz: float, fs: float) -> np.ndarray:
    """First order, so that ST sags as on a cardiograph; a step decays as exp(-2 pi fc t)."""
    # Before the record the lead is taken to have been where it is over its first seconds.
    settled = ceil(fs * max(2.0, 1 / (2 * pi * corner_hz)))
    start = leads[:, :settled].mean(axis=1, keepdims=True)
    passed = _without_slow(leads, start, exp(-2 * pi * corner_hz / fs))
    offset = passed.mean(axis=1, keepdims=True)
    passed -= np.rint(offset / _OFFSET_STEP_MV) * np.float32(_OFFSET_STEP_MV)
    return passed


@cache
def _block_filter(keep: float) -> tuple[np.ndarray, np.ndarray]:
    """What a block's samples, and the slow part before it, give to its end and to each sample.

    `(_BLOCK, 1)` and `(_BLOCK + 1, _BLOCK)`.
    """
    back = np.arange(_BLOCK) - np.arange(_BLOCK)[:, None]
    inside = np.eye(_BLOCK) - np.where(back > 0, (1 - keep) * keep ** (back - 1.0), 0)
    to_end = (1 - keep) * keep ** np.arange(_BLOCK - 1, -1, -1.0)
    passed = np.vstack([inside, -(keep ** np.arange(_BLOCK))])
    return to_end[:, None].astype(np.float32), passed.astype(np.float32)


def _without_slow(leads: np.ndarray, start: np.ndarray, keep: float) -> np.ndarray:
    """`x - s` for the slow part `s' = keep s + (1 - keep) x`, which begins at `start`.

    By blocks, exactly: only their ends are filtered one after the other, what happens inside
    is a product of matrices. Three times as fast as filtering all samples.
    """
    from scipy.signal import lfilter  # noqa: PLC0415  (half a second to import)

    rows, n = leads.shape
    lacking = -n % _BLOCK
    if lacking:
        leads = np.pad(leads, ((0, 0), (0, lacking)))
    x = leads.reshape(rows, -1, _BLOCK)
    to_end, passed = _block_filter(keep)
    past = keep**_BLOCK
    at_end, _ = lfilter([1.0], [1.0, -past], (x @ to_end)[:, :, 0], zi=past * start)
    before = np.concatenate([start, at_end[:, :-1]], axis=1, dtype=np.float32)[:, :, None]
    return (np.concatenate([x, before], axis=2) @ passed).reshape(rows, -1)[:, :n]


def _low_pass(leads: np.ndarray, corner_hz: float, fs: float) -> np.ndarray:
    """Nearly Gaussian and without delay, -3 dB at the corner: `[a, 1 - 2a, a]`, repeated.

    In place, since writing to memory is what takes its time.
    """
    fall = 1 - cos(2 * pi * corner_hz / fs)
    times = 1
    # Above a quarter the tap would turn the highest frequencies over.
    while (1 - 0.5 ** (0.5 / times)) / (2 * fall) > 0.25:
        times += 1
    tap = np.float32((1 - 0.5 ** (0.5 / times)) / (2 * fall))
    for _ in range(times):
        bend = leads[:, 1:] - leads[:, :-1]
        bend *= tap
        leads[:, :-1] += bend
        leads[:, 1:] -= bend
    return leads


def _round_to(leads: np.ndarray, step_uv: float) -> np.ndarray:
    """In place, to whole steps."""
    if step_uv > 0:
        leads *= np.float32(1000 / step_uv)
        np.rint(leads, out=leads)
        leads *= np.float32(step_uv / 1000)
    return leads


def _as_lines(leads: np.ndarray, within_mv: float) -> np.ndarray:
    """Each line starts on a sample and misses none after it by more than `within_mv`.

    It is as long as it can be, by the narrowing fan of slopes, and takes the middle of the
    fan; the next one starts on the next sample, so they do not meet.
    """
    n = leads.shape[1]
    # The gap behind each lead fits no fan.
    padded = np.pad(leads, ((0, 0), (0, 1)), constant_values=np.nan).ravel()
    length, slope = np.zeros(padded.size, dtype=int), np.zeros(padded.size, dtype=np.float32)
    start = np.flatnonzero(~np.isnan(padded))
    low, high = np.full(start.size, -np.inf, dtype=np.float32), np.float32(np.inf)
    for ahead in range(1, _LONGEST_LINE + 1):
        rise = padded[start + ahead] - padded[start]
        low = np.maximum(low, (rise - within_mv) / ahead)
        high = np.minimum(high, (rise + within_mv) / ahead)
        fits = np.flatnonzero(low <= high)
        start, low, high = start[fits], low[fits], high[fits]
        length[start], slope[start] = ahead, (low + high) / 2
    lines = np.empty_like(leads)
    slopes = slope.reshape(len(leads), -1)
    for row, lengths in enumerate(length.reshape(len(leads), -1).tolist()):
        begins, at = [], 0
        while at < n:
            begins.append(at)
            at += lengths[at] + 1
        begin = np.repeat(begins, np.diff([*begins, n]))
        lines[row] = leads[row, begin] + slopes[row, begin] * (np.arange(n) - begin)
    return lines


def _resample(leads: np.ndarray, fs: float, to: float) -> np.ndarray:
    from scipy.signal import resample_poly  # noqa: PLC0415  (half a second to import)

    ratio = Fraction(to / fs).limit_denominator(1000)
    up, down = ratio.numerator, ratio.denominator
    # "line" takes the baseline out first: zeros beyond the ends would bend the edges.
    window = ("kaiser", 5.0) if to < fs else _spline_taps(up)
    return resample_poly(leads, up, down, axis=1, window=window, padtype="line")


@cache
def _spline_taps(up: int) -> np.ndarray:
    """Cubic splines through the samples, as a filter for `up` times as many.

    Splines bring the 400 Hz and 5 uV of PTB-XL's recorders to its files' samples, to the
    microvolt in all of I, II, III and V1-V6 of 353 records; beyond eight samples away a
    sample's weight is under 1e-4.
    """
    from scipy.interpolate import CubicSpline  # noqa: PLC0415  (half a second to import)

    reach = 8
    one = np.zeros(4 * reach + 1)
    one[2 * reach] = 1
    t = np.arange(-reach * up, reach * up + 1) / up
    spline = CubicSpline(np.arange(-2 * reach, 2 * reach + 1), one, bc_type="natural")
    return (spline(t) / up).astype(np.float32)


# ---------------------------------------------------------------- what is met

# Share of a kind of machine, and its dials. Georgia's and Ningbo's files have steps of 4.88 uV,
# LUDB's of 0.7 uV. PTB-XL's own recorder (400 Hz, 5 uV, stored as lines within 15 uV) is left
# to who asks for it: it takes four times as long as all the rest of a record.
_MACHINES: tuple[tuple[float, dict[str, float]], ...] = (
    (0.61, {"adc_uv": 1.0}),
    (0.22, {"adc_uv": 4.88}),
    (0.15, {"adc_uv": 2.5, "high_pass_hz": 0.5, "low_pass_hz": 40.0}),
    (0.01, {"fs": 1000, "adc_uv": 1.0}),
    (0.01, {"fs": 250, "adc_uv": 5.0, "low_pass_hz": 100.0}),
)
_MACHINE_ENDS = list(accumulate(share for share, _ in _MACHINES[:-1]))
_FAULT_SHARE = 0.15
# Arms are exchanged most often, then neighbours on the chest.
_SWAPS = (
    *[("RA", "LA")] * 4,
    ("RA", "LL"),
    ("LA", "LL"),
    ("V1", "V2"),
    ("V2", "V3"),
    ("V3", "V4"),
    ("V4", "V5"),
    ("V5", "V6"),
    ("V1", "V3"),
)


def draw_recording(rng: np.random.Generator, *, faults: bool = False) -> Recording:
    """A believable machine on a believable patient.

    Args:
        rng: Draws every dial.
        faults: Let 15 % have an electrode off or moved, two exchanged, or an amplifier that
            saturates; about 0.3 % of PTB-XL are marked so, which is too few to learn from.

    Example:
        >>> draw_recording(np.random.default_rng(0)).lead_off
        ()
    """
    dials: dict[str, Any] = dict(_MACHINES[bisect(_MACHINE_ENDS, rng.random())][1])
    # Medians and spreads between PTB-XL's (0.050 and 0.0055 mV) and LUDB's (0.028, 0.0035).
    dials["wander_mv"] = float(np.exp(rng.normal(np.log(0.042), 0.65)))
    dials["emg_mv"] = float(np.exp(rng.normal(np.log(0.0047), 0.55)))
    # A line at 50 or 60 Hz stands out of the noise in 9 % of PTB-XL and LUDB, 40 % of CinC.
    hums = rng.random() < 0.2
    dials["mains_mv"] = float(hums * np.exp(rng.normal(np.log(0.0025), 0.9)))
    dials["mains_hz"] = 50.0 if rng.random() < 0.5 else 60.0
    return Recording(**dials, **(_draw_fault(rng) if faults else {}))


def _draw_fault(rng: np.random.Generator) -> dict[str, Any]:
    if rng.random() >= _FAULT_SHARE:
        return {}
    kinds = (
        {"lead_off": (str(rng.choice(ELECTRODES)),)},
        {"swapped": _SWAPS[rng.integers(len(_SWAPS))]},
        {"motion_mv": float(rng.uniform(0.2, 1.5))},
        {"clip_mv": float(rng.uniform(0.4, 1.5))},
    )
    return kinds[rng.integers(len(kinds))]


def describe(recording: Recording) -> tuple[str, ...]:
    """What is wrong with a recording, in words; nothing for a sound one.

    Example:
        >>> describe(Recording(swapped=("RA", "LA"), lead_off=("V3",)))
        ('right arm and left arm electrodes exchanged', 'V3 electrode off')
    """
    found = []
    if recording.swapped is not None:
        first, second = (_PLACES.get(name, name) for name in recording.swapped)
        found.append(f"{first} and {second} electrodes exchanged")
    found += [f"{_PLACES.get(name, name)} electrode off" for name in recording.lead_off]
    if recording.motion_mv > 0:
        found.append("motion artefacts")
    if recording.clip_mv is not None:
        found.append(f"amplifier saturates at {recording.clip_mv:.2g} mV")
    return tuple(found)
