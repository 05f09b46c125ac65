"""A heart that can be dialled: a moving dipole in the torso, its twelve leads, and the truth.

`spec` holds the dials, `heart` turns them into waves, `rhythm` into times; `render` lays one
at the other, `recording` adds what skin, cables and machine do, and `truth` keeps what is
true. `population` draws believable patients.
"""

import numpy as np

from ecg_r1.ecg import ECG
from ecg_r1.simulate.heart import draw_heart, under_potassium
from ecg_r1.simulate.population import BALANCES, sample_spec
from ecg_r1.simulate.recording import Recording, record
from ecg_r1.simulate.render import render, stretches
from ecg_r1.simulate.rhythm import fire
from ecg_r1.simulate.spec import CONDUCTIONS, RHYTHMS, HeartSpec
from ecg_r1.simulate.torso import TERRITORIES
from ecg_r1.simulate.truth import Truth

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
        seed: Draws the patient around the mean heart, the rhythm's chance and the noise, as
            many numbers whatever the dials: a dial moves what it names and nothing else. The
            same seed and spec give the same samples in every process.

    Returns:
        An `ECG` whose `truth` holds what was dialled and came out of the clean waves.

    Raises:
        ECGError: more premature beats are dialled than fit into ten seconds.

    Source:
        Edenbrandt L, Pahlm O 1988, J Electrocardiol 21:361-367 (lead field); the mean heart
        and its variation: PTB-XL (`benchmarks/fit_heart.py`).

    Example:
        >>> ecg = simulate(HeartSpec(hr_bpm=75, variation=0))
        >>> ecg.signal.shape, ecg.truth.diagnoses
        ((12, 5000), ('sinus rhythm', 'normal ecg'))
    """
    # Every part draws as many numbers whatever the dials, so one stream keeps them apart.
    rng = np.random.default_rng(seed)
    moved = under_potassium(spec)
    heart = draw_heart(moved, rng)
    impulses = fire(moved, rng)
    scales = stretches(impulses, moved.rr_ms)
    eight = render(moved, heart, impulses, scales, rng)
    return ECG(
        signal=record(eight, spec.recording, rng),
        source="simulated",
        source_fs=spec.recording.fs,
        age_years=spec.age_years,
        sex=spec.sex,
        truth=Truth(moved, heart, impulses, scales),
    )
