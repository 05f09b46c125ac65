"""The recording: laws survive noise, faults do what electrodes do, filters what they say."""

from dataclasses import replace
from math import exp, pi

import numpy as np
import pytest

from ecg_r1.ecg import FS, LEADS, ECGError, read_ecg
from ecg_r1.measurement import measure
from ecg_r1.simulate.recording import (
    ELECTRODES,
    ELECTRODES_OF_LEADS,
    LEADS_OF_ELECTRODES,
    Recording,
    describe,
    draw_recording,
    record,
)
from ecg_r1.simulate.torso import TWELVE

AT = {lead: row for row, lead in enumerate(LEADS)}
EIGHT = [AT[lead] for lead in ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")]
# Nothing between the skin and the file: every test turns on what it is about.
BARE = Recording(wander_mv=0, emg_mv=0, high_pass_hz=0, low_pass_hz=None, adc_uv=0)


def take(eight, recording, seed=0):
    return record(eight, recording, np.random.default_rng(seed))


def flat(seconds=10.0):
    return np.zeros((8, round(seconds * FS)), dtype=np.float32)


def beats():
    """Eight different leads of sharp and slow waves, 1 mV large."""
    t = np.arange(10 * FS) / FS
    sizes = np.linspace(-1, 1, 8)[:, None]
    spikes = np.exp(-0.5 * ((t % 0.8 - 0.3) / 0.01) ** 2)
    waves = np.exp(-0.5 * ((t % 0.8 - 0.6) / 0.04) ** 2)
    return (sizes * spikes + 0.3 * np.roll(sizes, 3) * waves).astype(np.float32)


def sine(hz, seconds=20.0):
    return np.tile(np.sin(2 * pi * hz * np.arange(seconds * FS) / FS), (8, 1))


def test_electrodes_to_leads_and_back_is_the_identity():
    assert np.abs(LEADS_OF_ELECTRODES @ ELECTRODES_OF_LEADS - np.eye(8)).max() < 1e-6
    assert np.abs(ELECTRODES_OF_LEADS[:3].sum(axis=0)).max() < 1e-6  # Wilson's terminal is 0


def test_leads_of_hand_worked_potentials():
    # RA 1, LA 2, LL 6: I = 2 - 1, II = 6 - 1, Wilson = 9 / 3; V1 at 10 gives 10 - 3.
    potentials = np.array([1, 2, 6, 10, 3, 3, 3, 3, 3])
    twelve = TWELVE @ LEADS_OF_ELECTRODES @ potentials
    # III is 6 - 2; Goldberger: aVR is 1 less the mean of 2 and 6, and so aVL and aVF.
    assert twelve == pytest.approx([1, 5, 4, -3, -1.5, 4.5, 7, 0, 0, 0, 0, 0], abs=1e-5)


def test_a_bare_recording_changes_nothing():
    eight = beats()
    assert np.array_equal(take(eight, BARE)[EIGHT], eight)


@pytest.mark.parametrize("seed", range(12))
def test_laws_hold_to_half_an_adc_step_in_every_sound_record(seed):
    recording = draw_recording(np.random.default_rng(seed))
    twelve = take(beats(), recording, seed)
    assert twelve.dtype == np.float32
    i, ii, iii, avr, avl, avf = twelve[:6].astype(float) * 1000
    half_uv = recording.adc_uv / 2
    assert np.abs(i + iii - ii).max() <= half_uv
    assert np.abs(avr + (i + ii) / 2).max() <= half_uv
    assert np.abs(avl - (i - iii) / 2).max() <= half_uv
    assert np.abs(avf - (ii + iii) / 2).max() <= half_uv


def test_exchanged_arms_invert_i_and_exchange_the_leads_of_the_other_two():
    sound = take(beats(), replace(BARE, emg_mv=0.01, wander_mv=0.05))
    wrong = take(beats(), replace(BARE, emg_mv=0.01, wander_mv=0.05, swapped=("RA", "LA")))
    seen_in = {"II": "III", "III": "II", "aVR": "aVL", "aVL": "aVR"}
    for lead in LEADS:
        expected = -sound[AT["I"]] if lead == "I" else sound[AT[seen_in.get(lead, lead)]]
        assert np.abs(wrong[AT[lead]] - expected).max() < 1e-5, lead


def test_exchanged_chest_electrodes_exchange_two_leads_only():
    sound, wrong = take(beats(), BARE), take(beats(), replace(BARE, swapped=("V1", "V3")))
    order = [*range(6), AT["V3"], AT["V2"], AT["V1"], 9, 10, 11]
    assert np.abs(wrong - sound[order]).max() < 1e-5


def test_a_chest_electrode_off_loses_its_lead_only():
    sound, wrong = take(beats(), BARE), take(beats(), replace(BARE, lead_off=("V3",)))
    others = [row for lead, row in AT.items() if lead != "V3"]
    assert np.abs(wrong[others] - sound[others]).max() < 1e-5
    assert abs(np.corrcoef(wrong[AT["V3"]], sound[AT["V3"]])[0, 1]) < 0.2


def test_a_left_leg_electrode_off_leaves_lead_i():
    sound, wrong = take(beats(), BARE), take(beats(), replace(BARE, lead_off=("LL",)))
    assert np.abs(wrong[AT["I"]] - sound[AT["I"]]).max() < 1e-5
    assert np.abs(wrong[AT["II"]] - sound[AT["II"]]).max() > 0.3
    # Wilson's terminal has lost a third of the left leg: the same in every chest lead.
    shift = wrong[6:] - sound[6:]
    assert np.abs(shift - shift[0]).max() < 1e-5
    assert np.abs(shift).max() > 0.1


@pytest.mark.parametrize("corner_hz", [0.05, 0.5])
def test_a_step_decays_as_a_first_order_high_pass_lets_it(corner_hz):
    eight = flat(20)
    eight[:, 4000:] = 1.0  # after 8 s
    lead = take(eight, replace(BARE, high_pass_hz=corner_hz))[0]
    assert lead[4000] - lead[3999] == pytest.approx(1, abs=1e-4)
    for seconds in (0.2, 1.0, 3.0):
        after = lead[4000 + round(seconds * FS)] - lead[3999]
        assert after == pytest.approx(exp(-2 * pi * corner_hz * seconds), abs=1e-3)


def test_the_high_pass_starts_settled():
    offset = flat() + 200.0  # an electrode offset of 200 mV
    lead = take(offset, replace(BARE, high_pass_hz=0.5))[0]
    assert np.abs(lead).max() < 1e-3


def test_every_lead_lies_about_zero():
    twelve = take(beats() + 3.0, replace(BARE, wander_mv=0.1, high_pass_hz=0.05))
    assert np.abs(twelve[EIGHT].mean(axis=1)).max() <= 0.00501


@pytest.mark.parametrize("corner_hz", [25.0, 40.0, 100.0, 150.0])
def test_the_low_pass_halves_the_power_at_its_corner_without_delay(corner_hz):
    dial = replace(BARE, low_pass_hz=corner_hz)
    wave = sine(corner_hz)
    middle = slice(500, -500)
    passed = take(wave, dial)[0, middle]
    gain = passed @ wave[0, middle] / (wave[0, middle] @ wave[0, middle])
    assert gain == pytest.approx(0.5**0.5, abs=1e-3)
    assert np.abs(passed - gain * wave[0, middle]).max() < 1e-3  # in phase
    slow = take(sine(corner_hz / 10), dial)[0, middle]
    assert slow.std() == pytest.approx(0.5**0.5, rel=0.01)


def test_clipping_is_never_exceeded_and_is_reached():
    twelve = take(5 * beats(), replace(BARE, wander_mv=0.1, clip_mv=1.25))
    recorded = np.abs(twelve[EIGHT])
    assert recorded.max() == 1.25
    assert (recorded == 1.25).sum() > 100


@pytest.mark.parametrize("step_uv", [1.0, 4.88, 5.0])
def test_recorded_leads_are_whole_adc_steps(step_uv):
    steps = take(beats(), Recording(adc_uv=step_uv))[EIGHT] * 1000 / step_uv
    assert np.abs(steps - np.rint(steps)).max() < 1e-2
    assert len(np.unique(np.rint(steps[7]))) > 50


@pytest.mark.parametrize("mains_hz", [50.0, 60.0])
def test_the_powerline_is_one_line_at_its_frequency(mains_hz):
    lead = take(flat(), replace(BARE, mains_mv=0.01, mains_hz=mains_hz))[AT["V2"]]
    power = np.abs(np.fft.rfft(lead)) ** 2
    assert np.argmax(power) == mains_hz * 10  # bins of 0.1 Hz
    assert power.max() > 0.999 * power.sum()
    assert 0.001 < np.abs(lead).max() < 0.03


@pytest.mark.parametrize("dial", ["wander_mv", "emg_mv"])
def test_noise_at_the_electrodes_has_the_rms_on_the_dial(dial):
    powers = []
    for seed in range(80):
        power = take(flat(), replace(BARE, **{dial: 0.05}), seed).var(axis=1)
        # Independent limbs: I, II and III hold each of their powers twice; Wilson's terminal
        # brings a ninth of their sum into each of the six chest leads.
        limbs = power[:3].sum() / 2
        powers.append((limbs + power[6:].sum() - 6 * limbs / 9) / 9)
    assert np.sqrt(np.mean(powers)) == pytest.approx(0.05, rel=0.1)


def test_wander_is_slow_and_muscle_noise_is_fast():
    slow = take(flat(), replace(BARE, wander_mv=0.05))
    fast = take(flat(), replace(BARE, emg_mv=0.05))
    hz = np.fft.rfftfreq(10 * FS, 1 / FS)
    for twelve, band in ((slow, hz < 1), (fast, (hz > 1) & (hz < 150))):
        power = np.abs(np.fft.rfft(twelve - twelve.mean(axis=1, keepdims=True))) ** 2
        assert power[:, band].sum() > 0.9 * power.sum()


def test_wander_does_not_come_back_to_its_beginning():
    first, last = [], []
    for seed in range(150):
        twelve = take(flat(), replace(BARE, wander_mv=0.05), seed)[6:]
        first.append(twelve[:, 0])
        last.append(twelve[:, -1])
    first, last = np.concatenate(first), np.concatenate(last)
    assert abs(np.corrcoef(first, last)[0, 1]) < 0.15


def test_neighbours_on_the_chest_wander_together():
    near, far = [], []
    for seed in range(200):
        chest = take(flat(), replace(BARE, wander_mv=0.05), seed)[6:]
        correlation = np.corrcoef(chest)
        near.append(correlation[3, 4])
        far.append(correlation[0, 5])
    assert np.mean(near) > np.mean(far) + 0.15  # PTB-XL: 0.66 and 0.22


def test_motion_is_of_the_dialled_size_and_settles():
    twelve = take(flat(), replace(BARE, motion_mv=1.0), 3)
    assert 0.05 < np.abs(twelve).max() < 6
    assert np.abs(twelve[:, 0]).max() < 1e-6


def test_one_dial_changes_one_thing():
    eight = flat()
    quiet = take(eight, replace(BARE, emg_mv=0.01))
    for dials in ({"wander_mv": 0.05}, {"mains_mv": 0.01}, {"motion_mv": 0.5}):
        both = take(eight, replace(BARE, emg_mv=0.01, **dials))
        alone = take(eight, replace(BARE, **dials))
        assert np.abs(both - quiet - alone).max() < 1e-5, dials
    twice = take(eight, replace(BARE, emg_mv=0.02))
    assert np.abs(twice - 2 * quiet).max() < 1e-6


def test_every_recording_draws_as_many_numbers():
    after = set()
    for recording in (BARE, Recording(motion_mv=1, mains_mv=0.1, lead_off=("V1",), fs=250)):
        rng = np.random.default_rng(5)
        record(beats(), recording, rng)
        after.add(rng.random())
    assert len(after) == 1


def test_the_same_seed_gives_the_same_samples_and_another_seed_others():
    recording = Recording(wander_mv=0.05, emg_mv=0.01)
    assert np.array_equal(take(beats(), recording, 1), take(beats(), recording, 1))
    assert not np.array_equal(take(beats(), recording, 1), take(beats(), recording, 2))


@pytest.mark.parametrize("fs", [250.0, 400.0, 1000.0])
def test_another_sampling_rate_keeps_the_waves_in_place(fs):
    eight = beats()
    twelve = take(eight, replace(BARE, fs=fs))
    assert twelve.shape == (12, eight.shape[1])
    middle = slice(50, -50)
    # Spikes of 10 ms (Gaussian SD) hold nothing above 60 Hz.
    assert np.abs(twelve[EIGHT][:, middle] - eight[:, middle]).max() < 0.01


def test_compression_stores_lines_within_its_tolerance():
    dials = replace(BARE, emg_mv=0.004, adc_uv=5.0)
    kept, lines = take(beats(), dials), take(beats(), replace(dials, compression_uv=15.0))
    coded = [row for lead, row in AT.items() if lead in ("II", "III") or row > 5]
    inner = slice(5, -43)  # what its recorders hold at both ends
    # 15 uV and half a step for rounding the line.
    assert np.abs(kept - lines)[coded, inner].max() <= 0.0176
    bends = np.abs(np.diff(lines[coded, inner], 2)) > 0.0051
    assert bends.mean() < 0.6 * (np.abs(np.diff(kept[coded, inner], 2)) > 0.0051).mean()
    assert np.ptp(lines[:, -43:], axis=1).max() < 1e-6
    assert np.abs(lines[0] + lines[2] - lines[1]).max() < 1e-6


def test_drawn_recordings_are_sound_unless_faults_are_asked_for():
    rng = np.random.default_rng(0)
    assert not any(describe(draw_recording(rng)) for _ in range(300))
    found = [describe(draw_recording(rng, faults=True)) for _ in range(300)]
    assert 0.08 < np.mean([bool(words) for words in found]) < 0.25
    assert len({words for words in found if words}) > 8


def test_faults_are_described():
    recording = Recording(
        swapped=("V1", "V2"), lead_off=("LL", "V6"), motion_mv=0.5, clip_mv=1.5
    )
    assert describe(recording) == (
        "V1 and V2 electrodes exchanged",
        "left leg electrode off",
        "V6 electrode off",
        "motion artefacts",
        "amplifier saturates at 1.5 mV",
    )
    assert describe(Recording()) == ()


@pytest.mark.parametrize(
    ("dials", "quoted"),
    [
        ({"wander_mv": -0.1}, "-0.1"),
        ({"emg_mv": float("nan")}, "nan"),
        ({"mains_hz": 400.0}, "400"),
        ({"fs": 50.0}, "50"),
        ({"low_pass_hz": 5.0}, "5.0"),
        ({"high_pass_hz": -1.0}, "-1"),
        ({"clip_mv": 0.0}, "0.0"),
        ({"adc_uv": float("inf")}, "inf"),
        ({"lead_off": ("V7",)}, "V7"),
        ({"swapped": ("RA", "RL")}, "RL"),
        ({"swapped": ("V1", "V1")}, "V1"),
    ],
)
def test_impossible_dials_are_refused_with_their_value(dials, quoted):
    with pytest.raises(ECGError, match=quoted):
        Recording(**dials)


@pytest.mark.parametrize(("shape", "quoted"), [((12, 5000), "12, 5000"), ((8, 250), "0.5 s")])
def test_other_shapes_are_refused(shape, quoted):
    with pytest.raises(ECGError, match=quoted):
        take(np.zeros(shape), Recording())


def test_real_beats_keep_their_rhythm_and_laws_through_a_noisy_recording(shared):
    record_path = shared / "data" / "ptbxl" / "records500" / "00000" / "00001_hr"
    real = read_ecg(record_path)
    noisy = Recording(wander_mv=0.1, emg_mv=0.01, mains_mv=0.005, adc_uv=5.0)
    twelve = take(real.signal[EIGHT], noisy)
    assert np.abs(twelve[0] + twelve[2] - twelve[1]).max() < 0.0025
    heard = measure(replace(real, signal=twelve, source="recorded again"))
    assert heard.hr_bpm == pytest.approx(measure(real).hr_bpm, abs=1)


def test_names_of_electrodes_are_those_of_the_matrices():
    assert ELECTRODES[3:] == LEADS[6:]
    assert LEADS_OF_ELECTRODES.shape == (8, len(ELECTRODES))
