"""Interleaved Modality Dropout against its probabilities and its promises."""

import json
import multiprocessing
from collections import Counter

import pytest

from ecg_r1.dropout import ENVIRONMENTS, ModalityDropout, arrange_tags

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


RECORDED = {
    "signal": "ecg_only",
    "image": "image_only",
    "signal+image": "both_ecg_first",
    "image+signal": "both_image_first",
}


@pytest.mark.parametrize(
    ("name", "recorded"),
    [("paper", "single_call"), ("paper-code", "double_call_as_in_training_path")],
)
def test_named_settings_have_the_shares_that_the_reference_drew(shared, name, recorded):
    told = json.loads((shared / "reference" / "template.json").read_text())[recorded]
    drawn = next(run["dist"] for run in told if run["order"] == "ecg_first")
    found = shares(ModalityDropout.named(name))
    for environment, theirs in RECORDED.items():
        # 40,000 draws of ours, 100,000 of theirs: three standard errors are below 0.009.
        assert found[environment] == pytest.approx(drawn[theirs], abs=0.009), environment


def test_what_is_alone_is_never_dropped_and_keeps_its_place():
    full = ModalityDropout(p_drop=1, p_swap=1, draws=2)
    for alone in ("signal", "image"):
        assert full.environment("a", seed=0, epoch=0, present=(alone,)) == alone
    other = ModalityDropout(p_drop=0, p_swap=0)
    order = ("image", "signal")
    assert other.environment("a", seed=0, epoch=0, present=order) == "image+signal"


QUESTION = "Which is it?\n\nA. AF\n  - fast\n\nB.\tflutter  "


@pytest.mark.parametrize(
    ("content", "environment", "left"),
    [
        (f"<ecg><image>\n{QUESTION}", "signal", f"<ecg>\n{QUESTION}"),
        (f"<ecg><image>\n{QUESTION}", "image", f"<image>\n{QUESTION}"),
        (f"<ecg>\n<image>\n{QUESTION}", "signal", f"<ecg>\n{QUESTION}"),
        (f"<ecg>\n<image>\n{QUESTION}", "image", f"<image>\n{QUESTION}"),
        (f"<ecg>\n<image>\n{QUESTION}", "image+signal", f"<image>\n<ecg>\n{QUESTION}"),
        (f"<image><ecg>{QUESTION}", "signal+image", f"<ecg><image>{QUESTION}"),
        ("See <ecg> and <image>, then say.", "signal", "See <ecg> and , then say."),
        ("See <ecg> and <image>, then say.", "image", "See and <image>, then say."),
        ("What?\n<ecg>\n<image>", "signal", "What?\n<ecg>"),
        ("<ecg> What?", "signal", "<ecg> What?"),
    ],
)
def test_dropping_a_tag_leaves_the_rest_of_the_text_as_it_is(content, environment, left):
    assert arrange_tags(content, environment) == left


def test_tags_and_data_must_fit():
    with pytest.raises(ValueError, match=r"<image>.*lacks it"):
        arrange_tags("<ecg>What?", "signal+image")
    with pytest.raises(ValueError, match="<ecg> stands 2 times"):
        arrange_tags("<ecg><ecg>What?", "signal")


def test_an_unknown_setting_is_refused_by_name():
    with pytest.raises(ValueError, match="'half' is none of paper, paper-code, none"):
        ModalityDropout.named("half")
