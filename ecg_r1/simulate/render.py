"""Ten seconds of clean leads: the waves of a heart laid at the times of its impulses."""

import numpy as np

from ecg_r1.simulate.heart import Heart
from ecg_r1.simulate.loops import Loop
from ecg_r1.simulate.rhythm import RECORD_MS, STEP_MS, Impulses
from ecg_r1.simulate.spec import HeartSpec
from ecg_r1.simulate.torso import Torso

N_SAMPLES = round(RECORD_MS / STEP_MS)
REACH = 3.3  # standard deviations after which a bump is nothing (0.4 %)
# The heart from beat to beat, after PTB-XL's normal records: SD of its size along x, y, z and
# of its turn about them (rad). Breathing makes the larger part of both.
SIZE_SD, TURN_SD = 0.02, np.radians([2.6, 2.2, 1.4])
_MOVES = np.zeros((6, 3, 3))  # what each of the six does to a dipole, a row
_MOVES[[0, 1, 2], [0, 1, 2], [0, 1, 2]] = SIZE_SD
_MOVES[[3, 4, 5], [1, 2, 0], [2, 0, 1]] = TURN_SD
_MOVES[[3, 4, 5], [2, 0, 1], [1, 2, 0]] = -TURN_SD
T_SIZE_SD = 0.035  # of T by itself
BREATHING = 0.85  # share of the standard deviation
RESTITUTION = 0.2  # exponent with which a beat's JT follows the RR before it
SPIKE_MV = np.array([0.55, -0.80, 0.35])  # dipole of a stimulus
# Six slow waves, of which the rate and size of fibrillation are mixed.
_SLOW = 2 * np.pi * np.outer(np.arange(1, 7) * 0.17, np.arange(N_SAMPLES) * STEP_MS / 1000)
_SLOW = np.concatenate([np.cos(_SLOW), np.sin(_SLOW)]).astype(np.float32)
MOST_BEATS = 160  # in and around ten seconds
TIMES_MS = np.arange(N_SAMPLES) * STEP_MS


def stretches(impulses: Impulses, rr_ms: float) -> np.ndarray:
    """How much longer than usual each beat's recovery takes, after the RR before it.

    Args:
        impulses: Their times.
        rr_ms: The interval at which recovery takes its usual time.
    """
    return ((impulses.rr_before() / rr_ms) ** RESTITUTION).clip(0.8, 1.15)


def render(
    spec: HeartSpec,
    heart: Heart,
    impulses: Impulses,
    scales: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """I, II, V1-V6 `(8, samples)` in mV at 500 Hz, without noise."""
    lead_field = heart.torso.field.T.astype(np.float32)
    lead_fields = _moves(spec, impulses, rng).astype(np.float32) @ lead_field
    drawn = rng.standard_normal(MOST_BEATS)[: len(impulses.qrs)]
    sizes = (1 + T_SIZE_SD * spec.beat_variation * drawn).astype(np.float32)
    waves = rng.standard_normal((3, 2, 12))
    phases = rng.uniform(0, 2 * np.pi, 6)
    record = np.zeros((N_SAMPLES, 8), np.float32)
    for number, form in enumerate(heart.forms):
        own = impulses.forms == number
        at, scale = impulses.qrs[own], scales[own]
        seen = lead_fields[own]
        _lay(record, form.qrs, seen, at, np.ones(len(at)))
        seen *= sizes[own, None, None]
        _lay(record, form.recovery + form.u, seen, at + form.qrs_ms, scale)
    for kind, atria in enumerate(heart.atria):
        own = impulses.p_kinds == kind
        if own.any():
            at = impulses.p[own]
            still = np.broadcast_to(lead_field, (len(at), 3, 8))
            _lay(record, atria.loop, still, at, np.ones(len(at)))
    if spec.rhythm == "atrial flutter":
        record += _flutter_waves(spec, heart.torso, impulses).T @ lead_field
    elif spec.rhythm == "atrial fibrillation":
        record += _fibrillation_waves(spec, heart.torso, waves, phases).T @ lead_field
    return _spiked(record, lead_field, impulses.spikes).T


def _moves(spec: HeartSpec, impulses: Impulses, rng: np.random.Generator) -> np.ndarray:
    """Size and turn of the heart in each beat, `(beats, 3, 3)` for dipoles as rows."""
    shift = rng.uniform(0, 2 * np.pi, (6, 1))
    chance = rng.standard_normal((6, MOST_BEATS))[:, : len(impulses.qrs)]
    phase = 2 * np.pi * impulses.qrs * spec.breaths_per_min / 60000 + shift
    course = BREATHING * np.sqrt(2) * np.sin(phase) + np.sqrt(1 - BREATHING**2) * chance
    moves = spec.beat_variation * course.T @ _MOVES.reshape(6, 9)
    return np.eye(3) + moves.reshape(-1, 3, 3)


def _lay(
    record: np.ndarray,
    loop: Loop,
    lead_fields: np.ndarray,
    onsets: np.ndarray,
    scales: np.ndarray,
) -> None:
    """Adds a wave to the record.

    Args:
        record: mV of I, II, V1-V6, `(samples, 8)`: a beat's samples lie together.
        loop: The wave in ms from its onset.
        lead_fields: `(beats, 3, 8)` as each beat sees them.
        onsets: `(beats,)` in ms.
        scales: `(beats,)` stretch of each beat's wave.
    """
    low = (loop.centres - REACH * loop.widths).min()
    high = (loop.centres + REACH * loop.widths).max()
    begin = np.ceil((onsets + low * scales) / STEP_MS).astype(int)
    n = int((high - low) * scales.max(initial=1.0) / STEP_MS) + 1
    seen = (begin + n > 0) & (begin < N_SAMPLES)
    begin, scales = begin[seen], scales[seen].astype(np.float32)
    first = (begin * STEP_MS - onsets[seen]).astype(np.float32)
    times = first[:, None] + np.arange(n, dtype=np.float32) * np.float32(STEP_MS)
    times /= scales[:, None]
    heights = loop.vectors.astype(np.float32) @ lead_fields[seen]
    heights += loop.near.astype(np.float32)
    waves = loop.bumps(times).transpose(1, 2, 0) @ heights
    for start, wave in zip(begin.tolist(), waves, strict=True):
        a, b = max(start, 0), min(start + n, N_SAMPLES)
        record[a:b] += wave[a - start : b - start]


def _flutter_waves(spec: HeartSpec, torso: Torso, impulses: Impulses) -> np.ndarray:
    """A sawtooth without a level line between, `f_wave_mv` high in II."""
    turns = np.interp(TIMES_MS, impulses.flutter, np.arange(len(impulses.flutter)))
    angle = 2 * np.pi * turns
    # Down slowly and up fast in the inferior leads: counter-clockwise circuit.
    double = np.sin(2 * angle)
    saw = -(np.sin(angle) + 0.45 * double + 0.22 * np.sin(3 * angle))
    second = np.sin(angle + 0.9) + 0.3 * double
    wave = np.outer([0.05, 0.85, -0.05], saw) + np.outer([-0.08, 0.1, -0.3], second)
    return wave * spec.f_wave_mv / max(np.abs(torso.field[1] @ wave).max(), 1e-9)


def _fibrillation_waves(
    spec: HeartSpec, torso: Torso, drawn: np.ndarray, phases: np.ndarray
) -> np.ndarray:
    """Several wavelets, 350-500 a minute, each with its own wandering rate and size.

    Their amplitude is that of V1 from trough to crest, two standard deviations each way.
    """
    # Main activity near V1, in the right atrium; the rest seen below and from the left.
    directions = np.array([[-0.20, 0.25, -0.85], [0.10, 0.45, 0.20], [0.25, 0.10, -0.30]])
    courses = np.einsum("kij,jt->ikt", 0.35 * drawn.astype(np.float32), _SLOW)
    bends, swells = courses
    shapes = np.empty((3, N_SAMPLES), np.float32)
    for k in range(3):
        rate = (6.0 + 0.5 * phases[k] / np.pi + 0.55 * k) * (1 + 0.16 * bends[k])
        angle = np.cumsum(2 * np.pi * rate * STEP_MS / 1000) + phases[3 + k]
        angle = np.remainder(angle, 2 * np.pi).astype(np.float32)
        shape = np.sin(angle) + 0.15 * np.sin(3 * angle)
        shape += 0.40 * np.sin(2 * angle + np.float32(phases[k]))
        shapes[k] = shape * np.clip(1 + 0.55 * swells[k], 0.1, None) / (1 + k)
    record = directions.T.astype(np.float32) @ shapes
    return record * np.float32(spec.f_wave_mv / max(4 * (torso.field[2] @ record).std(), 1e-9))


def _spiked(record: np.ndarray, lead_field: np.ndarray, spikes: np.ndarray) -> np.ndarray:
    """Stimuli of 0.5 ms as a cardiograph's filter leaves them: one or two samples."""
    spike = (SPIKE_MV @ lead_field).astype(np.float32)
    for at in np.round(spikes / STEP_MS).astype(int):
        if 0 <= at < N_SAMPLES - 1:
            record[at] += spike
            record[at + 1] += 0.33 * spike
    return record
