"""Readings by the shipped model: one batch of three arms, streamed, on real ECGs."""

import threading
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from ecg_r1 import draw_page, interpret, load_model, measure, read_ecg
from ecg_r1.ecg import ECG, ECGError
from ecg_r1.evaluate import stated_numbers
from ecg_r1.loading import check_parts
from ecg_r1.processing import INPUT_TOKENS
from ecg_r1.reading import ARMS, _Writing, stream


@pytest.fixture(scope="module")
def nano(assets):
    if not (assets / "nano" / "config.json").is_file():
        pytest.fail("assets/nano is not here; `python -m ecg_r1 train nano` makes it")
    return load_model("nano")


@pytest.fixture(scope="module")
def ecg(assets):
    return read_ecg(assets / "ecgs" / "A0002.hea")


@pytest.fixture(scope="module")
def readings(nano, ecg):
    return interpret(ecg=ecg, model=nano)


def test_all_arms_write_well_formed_readings_of_a_real_ecg(readings):
    assert tuple(readings) == ARMS
    for arm, reading in readings.items():
        assert reading.well_formed, (arm, reading.text)
        assert sorted(reading.steps) == [1, 2, 3, 4, 5, 6]
        assert reading.diagnoses
        assert reading.summary
        assert reading.done
        assert reading.problem is None
        assert reading.seconds > 0
        assert reading.n_tokens > 100


def test_one_batch_gives_the_tokens_of_one_by_one(nano, ecg, readings):
    for arm in ARMS:
        alone = interpret(ecg=ecg, model=nano, arms=(arm,))[arm]
        assert alone.text == readings[arm].text, arm


def test_the_stated_rate_follows_the_record(nano, assets, readings, ecg):
    """Two real ECGs of different rates: the text must move with the signal."""
    fast = read_ecg(assets / "ecgs" / "guangxi_teaching_sinus_rhythm.dcm")
    for record, told in ((ecg, readings), (fast, interpret(ecg=fast, model=nano))):
        rate = stated_numbers(told["signal"].text)["hr_bpm"]
        assert rate == pytest.approx(measure(record).hr_bpm, abs=12)


def test_the_stream_only_ever_adds_text_and_ends_finished(nano, ecg):
    snapshots = list(stream(ecg=ecg, model=nano, max_new_tokens=60))
    assert len(snapshots) > 2
    for earlier, later in pairwise(snapshots):
        for arm in ARMS:
            assert later[arm].text.startswith(earlier[arm].text)
            assert later[arm].n_tokens >= earlier[arm].n_tokens
    assert all(reading.done for reading in snapshots[-1].values())
    assert all(reading.n_tokens == 60 for reading in snapshots[-1].values())
    assert not any(reading.well_formed for reading in snapshots[-1].values())  # cut off


def test_a_callback_sees_what_is_returned(nano, ecg):
    seen = []
    final = interpret(ecg=ecg, model=nano, arms=("signal",), on_update=seen.append)
    assert seen[-1] == final


def test_closing_the_stream_stops_the_model(nano, ecg):
    before = threading.active_count()
    running = stream(ecg=ecg, model=nano, max_new_tokens=400)
    for _ in range(3):
        next(running)
    running.close()
    assert threading.active_count() == before


def test_text_grows_as_it_is_decoded_whole_and_each_token_a_few_times_only(nano):
    """Letters that are spread over tokens too: the tokenizer spells them in bytes."""
    tokenizer, decoded = nano.processor.tokenizer, []
    text = "Sinusrhythmus, QRS schmal, für 72 Schläge; 正常心电图。\n" * 60
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]

    class Counting:
        def decode(self, ids, **options):
            decoded.append(len(ids))
            return tokenizer.decode(ids, **options)

    arm = _Writing(Counting(), end_id=-1)
    seen = []
    for token in ids:
        arm.add(token, 0.0)
        seen.append(arm.row(0.0, final=False).text)
    assert all(later.startswith(earlier) for earlier, later in pairwise(seen))
    assert not any("\N{REPLACEMENT CHARACTER}" in one for one in seen)
    assert seen[-1] == arm.row(0.0, final=True).text == text
    assert len(ids) > 2000
    assert sum(decoded) < 80 * len(ids)  # all of them each time would be 1,000 times and more


def test_signal_and_page_are_drawn_and_encoded_once_for_all_arms(nano, ecg, assets):
    other = read_ecg(assets / "ecgs" / "A0003.hea")
    seen = []
    hook = nano.model.model.ecg_tower.register_forward_hook(
        lambda _, given, out: seen.append(len(given[0]))
    )
    final = list(stream(ecg=ecg, model=nano, control=other, max_new_tokens=60))[-1]
    hook.remove()
    assert seen == [2]  # its own and the control's
    alone = interpret(ecg=other, model=nano, arms=("both",), max_new_tokens=60)["both"]
    assert final["control"].text == alone.text
    assert final["control"].text != final["both"].text


def test_an_image_alone_is_read_by_its_arm_and_the_others_say_why_not(nano, ecg, readings):
    page = draw_page(ecg, **nano.page)
    told = interpret(image=page, model=nano)
    assert told["image"].text == readings["image"].text
    for arm in ("signal", "both"):
        assert told[arm].done
        assert told[arm].text == ""
        assert "signal" in told[arm].problem


def test_a_given_page_is_read_instead_of_the_drawn_one(nano, ecg, assets, readings):
    other = read_ecg(assets / "ecgs" / "A0003.hea")
    told = interpret(ecg=ecg, image=draw_page(other, **nano.page), model=nano)
    assert told["signal"].text == readings["signal"].text
    assert told["image"].text != readings["image"].text


def test_short_gappy_and_flat_records_are_read_without_failing(nano, ecg):
    signal = ecg.signal[:, :1500].copy()
    signal[2, 100:400] = np.nan
    records = [replace(ecg, signal=signal), ECG(np.zeros((12, 5000)), "flat")]
    for record in records:
        told = interpret(ecg=record, model=nano, arms=("signal", "both"), max_new_tokens=20)
        assert all(reading.n_tokens for reading in told.values())


def test_placeholders_are_never_written(readings):
    for reading in readings.values():
        assert not any(token in reading.text for token in INPUT_TOKENS)


@pytest.mark.parametrize("arms", [("signal", "sound"), (), ("both", "both")])
def test_unknown_missing_or_repeated_arms_are_refused(nano, ecg, arms):
    with pytest.raises(ECGError, match="signal, image, both"):
        interpret(ecg=ecg, model=nano, arms=arms)


def test_nothing_to_read_is_an_error(nano):
    with pytest.raises(ECGError, match="give an ECG record"):
        interpret(model=nano)


@pytest.mark.parametrize("name", ["nono", "no/such/folder", ""])
def test_an_unknown_model_is_refused_by_name(name):
    with pytest.raises(ECGError, match=repr(name)):
        load_model(name)


def test_parts_that_disagree_are_refused_with_both_numbers(nano):
    nano.model.config.ecg_token_id += 1
    try:
        with pytest.raises(ValueError, match=r"id of <\|ecg_pad\|>: the model has \d+"):
            check_parts(nano.model, nano.processor)
    finally:
        nano.model.config.ecg_token_id -= 1


def test_a_reading_of_no_tokens_is_refused(nano, ecg):
    with pytest.raises(ECGError, match="at least 1, got 0"):
        interpret(ecg=ecg, model=nano, max_new_tokens=0)


def test_an_error_inside_generation_reaches_the_reader(nano, ecg, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(nano.model.model, "get_ecg_features", fail)
    seen = []
    with pytest.raises(RuntimeError, match="out of memory"):
        interpret(ecg=ecg, model=nano, on_update=seen.append)
    assert not any(reading.done for readings in seen for reading in readings.values())


def test_nano_is_small_and_ships_in_small_safe_files(nano, assets):
    files = list((assets / "nano").iterdir())
    assert sum(f.stat().st_size for f in files) <= 20_000_000
    assert all(f.stat().st_size < 9_000_000 for f in files)
    assert not [f.name for f in files if f.suffix in (".bin", ".pt", ".pth", ".pkl")]
    assert nano.model.dtype == torch.float32
