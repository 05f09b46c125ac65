"""A heart that can be dialled: a moving dipole in the torso, its twelve leads, and the truth.

`spec` holds the dials, `heart` turns them into waves, `rhythm` into times; `render` lays one
at the other, `recording` adds what skin, cables and machine do, and `truth` keeps what is
true. `population` draws believable patients.
"""

import numpy as np

from ecg_r1.ecg import ECG
from ecg_r1.simulate.diagnoses import diagnose
from ecg_r1.simulate.heart import Heart, draw_heart, under_potassium
from ecg_r1.simulate.population import BALANCES, sample_spec
from ecg_r1.simulate.recording import Recording, describe, record
from ecg_r1.simulate.render import N_SAMPLES, STEP_MS, render, stretches
from ecg_r1.simulate.rhythm import RECORD_MS, Impulses, fire
from ecg_r1.simulate.spec import CONDUCTIONS, RHYTHMS, HeartSpec
from ecg_r1.simulate.torso import TERRITORIES
from ecg_r1.simulate.truth import (
    Truth,
    atrial_rate,
    axes,
    lay_marks,
    lead_values,
    pr_interval,
)

__all__ = [
    "BALANCES",
    "CONDUCTIONS",
    "RHYTHMS",
    "TERRITORIES",
    "HeartSpec",
    "Recording",
    "Truth",
    "sample_spec",
    "simulate",
]


def simulate(spec: HeartSpec, seed: int = 0) -> ECG:
    """Ten seconds of twelve leads at 500 Hz, with the truth attached.

    Args:
        spec: The dials.
        seed: Draws the patient around the mean heart, the rhythm's chance and the noise, each
            from its own stream: a dial moves what it names and nothing else. The same seed
            and spec give the same samples in every process.

    Returns:
        An `ECG` whose `truth` holds what was dialled and came out of the clean waves.

    Raises:
        ECGError: more premature beats are dialled than fit into ten seconds.

    Source:
        Edenbrandt L, Pahlm O 1988, J Electrocardiol 21:361-367 (lead field); the mean heart
        and its variation: PTB-XL (`benchmarks/fit_heart.py`).

    Example:
        >>> ecg = simulate(HeartSpec(hr_bpm=75))
        >>> ecg.signal.shape, ecg.truth.diagnoses
        ((12, 5000), ('sinus rhythm', 'normal ecg'))
    """
    of_heart, of_rhythm, of_beats, of_recording = (
        np.random.default_rng([seed, stream]) for stream in range(4)
    )
    moved = under_potassium(spec)
    heart = draw_heart(moved, of_heart)
    impulses = fire(moved, of_rhythm)
    scales = stretches(impulses, moved.rr_ms)
    dipole = render(moved, heart, impulses, scales, of_beats)
    eight = heart.torso.field.astype(np.float32) @ dipole.astype(np.float32)
    return ECG(
        signal=record(eight, spec.recording, of_recording),
        source="simulated",
        source_fs=spec.recording.fs,
        age_years=spec.age_years,
        sex=spec.sex,
        truth=_truth(moved, heart, impulses, scales),
    )


def _truth(spec: HeartSpec, heart: Heart, impulses: Impulses, scales: np.ndarray) -> Truth:
    laid = lay_marks(heart, impulses, scales)
    inside = impulses.qrs[(impulses.qrs >= 0) & (impulses.qrs < RECORD_MS)]
    rr_ms = np.diff(inside)
    hr_bpm = 60000 / float(rr_ms.mean()) if rr_ms.size else spec.hr_bpm
    axis_deg, p_axis_deg, t_axis_deg = axes(heart)
    values = lead_values(heart)
    atrial_bpm = atrial_rate(impulses)
    spikes = impulses.spikes / STEP_MS
    return Truth(
        rhythm=spec.rhythm,
        hr_bpm=hr_bpm,
        atrial_bpm=atrial_bpm,
        pr_ms=pr_interval(spec, impulses),
        qrs_ms=heart.forms[0].qrs_ms,
        qt_ms=heart.forms[0].qt_ms,
        axis_deg=axis_deg,
        p_axis_deg=p_axis_deg,
        t_axis_deg=t_axis_deg,
        diagnoses=diagnose(
            spec,
            rr_ms=rr_ms,
            hr_bpm=hr_bpm,
            atrial_bpm=atrial_bpm,
            axis_deg=axis_deg,
            values=values,
        ),
        faults=describe(spec.recording),
        lead_values=values,
        beat_marks=laid.beat_marks,
        beat_forms=laid.beat_forms,
        p_waves=laid.p_waves,
        spikes=spikes[(spikes >= 0) & (spikes < N_SAMPLES)],
        spans=laid.spans,
    )
