"""Fine-tuning: sample order, the loss by hand, freezing, and a resume that changes nothing."""

from collections import Counter

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from ecg_r1.corpus import make_row, simulated_tasks
from ecg_r1.model import ECGR1ForConditionalGeneration
from ecg_r1.nano import nano_config, nano_processor, train_tokenizer
from ecg_r1.processing import NO_LOSS
from ecg_r1.sft import Collator, SFTConfig, SFTData, TokenLoss, freeze_encoders, train_sft

datasets = pytest.importorskip("datasets", reason="needs the extra 'train'")
CONFIG = SFTConfig(
    steps=4, batch_size=2, warmup_steps=1, workers=0, save_steps=2, bf16=False, seed=5
)


@pytest.fixture(scope="module")
def rows():
    made = [make_row(task) for task in simulated_tasks(5)]
    for row in made[:2]:
        row["source"] = "ptbxl"  # stands for real records in questions of order
    return datasets.Dataset.from_list(made)


@pytest.fixture(scope="module")
def processor(rows):
    return nano_processor(train_tokenizer(list(rows["text"]) * 10))


def small_model(processor):
    """nano cut to one thin layer of each part."""
    torch.manual_seed(0)
    config = nano_config(processor.tokenizer)
    config.text_config.num_hidden_layers = 1
    config.vision_config.depth = 1
    config.ecg_tower_config = config.ecg_tower_config | {"layers": 1}
    return ECGR1ForConditionalGeneration(config)


def test_each_kind_is_seen_once_in_each_of_its_epochs(rows, processor):
    data = SFTData(rows, processor, SFTConfig(steps=30, batch_size=2, real_share=0.5))
    places = [data.locate(i) for i in range(60)]
    real = [p for p in places if p[0] < 2]
    simulated = [p for p in places if p[0] >= 2]
    assert len(real) == len(simulated) == 30
    assert set(Counter(real).values()) == {1}  # a row never comes twice in an epoch
    assert real == sorted(real, key=lambda p: p[1])
    assert Counter(epoch for _, epoch in simulated) == dict.fromkeys(range(10), 3)


def test_workers_make_the_batches_that_the_main_process_makes(rows, processor):
    data, collate = SFTData(rows, processor, CONFIG), Collator(processor)
    batches = [
        list(DataLoader(data, batch_size=2, collate_fn=collate, num_workers=workers))
        for workers in (0, 2)
    ]
    for alone, forked in zip(*batches, strict=True):
        assert alone.keys() == forked.keys()
        assert all(torch.equal(alone[name], forked[name]) for name in alone)


def test_environments_seen_are_those_of_the_batches(rows, processor):
    data = SFTData(rows, processor, CONFIG)
    shown = Counter(data[i]["environment"] for i in range(len(data)))
    assert data.seen(CONFIG.steps) == shown


def test_arranging_by_length_keeps_every_sample_once(rows, processor):
    data = SFTData(rows, processor, SFTConfig(steps=20, batch_size=4))
    placed = [i for window in range(2) for i in data._arrange(window)]
    assert sorted(placed) == list(range(80))
    first = [data.environment(i) for i in placed[:64]]
    mixed = [len({len(e) for e in first[b : b + 4]}) > 1 for b in range(0, 64, 4)]
    assert sum(mixed) <= 2  # three lengths, so at most two batches where they meet


def tokens(processor, text):
    return processor.tokenizer(text)["input_ids"]


@pytest.fixture
def one_token(processor):
    """Logits that favour " 71" by 2 nats where " 72" bpm is asked for; the unit is certain."""
    (near,), (asked,), (unit,) = (tokens(processor, t) for t in (" 71", " 72", " bpm"))
    logits = torch.zeros(1, 3, len(processor.tokenizer))
    logits[0, 0, near] = 2.0
    logits[0, 1, unit] = 100.0
    return logits, torch.tensor([[NO_LOSS, asked, unit]])


def test_without_options_the_loss_is_plain_cross_entropy(processor, one_token):
    logits, labels = one_token
    loss = TokenLoss(processor, SFTConfig(number_smoothing=0, label_weight=1))(logits, labels)
    plain = torch.nn.functional.cross_entropy(logits[0, :2], labels[0, 1:])
    torch.testing.assert_close(loss, plain)


def test_smoothing_forgives_a_near_miss_by_the_neighbours_share(processor, one_token):
    """72 with sd 1.44: weights exp(-d^2 / 2 / 1.44^2), so 71 has 0.2180 of them by hand."""
    logits, labels = one_token
    exact = TokenLoss(processor, SFTConfig(number_smoothing=0, label_weight=1))(logits, labels)
    smooth = TokenLoss(processor, SFTConfig(number_smoothing=0.02, label_weight=1))(
        logits, labels
    )
    offsets = np.arange(-20, 21)
    weights = np.exp(-0.5 * (offsets / 1.44) ** 2)
    share = weights[19] / weights.sum()
    # The mean is over two tokens; the certain unit costs nothing either way.
    assert (exact - smooth).item() == pytest.approx(2.0 * share / 2, rel=1e-3)


@pytest.mark.parametrize(
    ("text", "measured"),
    [
        (" PR interval 164 ms (normal, 120 to 200).", [" 164"]),  # thresholds are exact
        (" Heart rate 72 bpm. Sinus rhythm at 72 bpm.", [" 72"]),  # said again: exact
        (" S in V1 7 mm and R in V5 or V6 9 mm, together 16 mm", [" 7", " 9", " 16"]),
    ],
)
def test_only_first_statements_with_a_unit_are_smoothed(processor, text, measured):
    loss = TokenLoss(processor, SFTConfig())
    ids = torch.tensor([tokens(processor, text)])
    found = ids[loss._measured(ids)].tolist()
    assert [processor.tokenizer.decode([i]) for i in found] == measured


def test_diagnoses_weigh_as_configured(processor):
    """Two tokens, one a diagnosis of weight 3: (1 * a + 3 * b) / 4."""
    word, label = (processor.tokenizer(t)["input_ids"] for t in (" axis", " sinus rhythm"))
    torch.manual_seed(0)
    logits = torch.randn(1, 3, len(processor.tokenizer))
    labels = torch.tensor([[NO_LOSS, word[0], *label]])
    loss = TokenLoss(processor, SFTConfig(label_weight=3))(logits, labels)
    a, b = torch.nn.functional.cross_entropy(logits[0, :2], labels[0, 1:], reduction="none")
    torch.testing.assert_close(loss, (a + 3 * b) / 4)


def test_freezing_leaves_what_the_paper_trains(processor):
    model = small_model(processor)
    freeze_encoders(model)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert not any("ecg_tower" in name or "visual.blocks" in name for name in trained)
    for part in ("visual.merger", "ecg_projector", "language_model"):
        assert any(part in name for name in trained), part


def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(
    rows, processor, tmp_path, monkeypatch
):
    whole = small_model(processor)
    train_sft(whole, processor, rows, tmp_path / "whole", CONFIG)

    fetch = SFTData.__getitem__

    def cut(self, index):
        if index == 3 * CONFIG.batch_size:  # the fourth step never comes; step 2 is saved
            raise KeyboardInterrupt
        return fetch(self, index)

    monkeypatch.setattr(SFTData, "__getitem__", cut)
    with pytest.raises(KeyboardInterrupt):
        train_sft(small_model(processor), processor, rows, tmp_path / "cut", CONFIG)
    monkeypatch.undo()

    resumed = small_model(processor)
    train_sft(resumed, processor, rows, tmp_path / "cut", CONFIG)
    for (name, a), b in zip(whole.named_parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-7, msg=name)
