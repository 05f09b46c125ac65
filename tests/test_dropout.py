"""Interleaved Modality Dropout against its probabilities and its promises."""

import multiprocessing
from collections import Counter

import pytest

from ecg_r1.dropout import ENVIRONMENTS, ModalityDropout

N = 40_000


def shares(dropout):
    drawn = Counter(dropout.environment(str(i), seed=0, epoch=0) for i in range(N))
    assert set(drawn) <= set(ENVIRONMENTS)
    return {name: drawn[name] / N for name in ENVIRONMENTS}


@pytest.mark.parametrize(
    ("draws", "expected"),
    [
        # paper: p/2, p/2, (1-p)(1-s), (1-p)s with p = 0.5, s = 0.1
        (1, {"signal": 0.25, "image": 0.25, "signal+image": 0.45, "image+signal": 0.05}),
        # twice: both kept 0.25; swapped once of two 2 * 0.1 * 0.9 = 0.18 of those
        (2, {"signal": 0.375, "image": 0.375, "signal+image": 0.205, "image+signal": 0.045}),
    ],
)
def test_environments_have_the_papers_and_the_codes_shares(draws, expected):
    found = shares(ModalityDropout(draws=draws))
    for name, share in expected.items():
        assert found[name] == pytest.approx(share, abs=0.008), name  # over 3 standard errors


def test_no_dropout_keeps_both():
    assert shares(ModalityDropout(p_drop=0, p_swap=0))["signal+image"] == 1


def test_full_dropout_never_leaves_a_sample_empty():
    found = shares(ModalityDropout(p_drop=1, draws=2))
    assert found["signal"] + found["image"] == 1


def draw(sample):
    return ModalityDropout().environment(sample, seed=7, epoch=3)


def test_workers_draw_what_the_main_process_draws():
    samples = [f"ptbxl/{i}" for i in range(64)]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(draw, samples) == [draw(s) for s in samples]


def test_epochs_and_seeds_change_the_draw():
    dropout, samples = ModalityDropout(), [str(i) for i in range(200)]
    by = {
        key: [dropout.environment(s, seed=key[0], epoch=key[1]) for s in samples]
        for key in ((0, 0), (0, 1), (1, 0))
    }
    assert by[0, 0] != by[0, 1] != by[1, 0] != by[0, 0]


@pytest.mark.parametrize(("field", "value"), [("p_drop", 1.5), ("p_swap", -0.1), ("draws", 3)])
def test_impossible_settings_are_refused_by_value(field, value):
    with pytest.raises(ValueError, match=str(value)):
        ModalityDropout(**{field: value})
