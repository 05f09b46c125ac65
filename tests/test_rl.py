"""DAPO: hand arithmetic, TRL's loss, scores as sampled, resume, two processes."""

import copy
import io
import json
import math
import os
import subprocess
import sys

import pytest
import torch

pytest.importorskip("accelerate", reason="needs the extra 'train'")
datasets = pytest.importorskip("datasets", reason="needs the extra 'train'")

from accelerate import Accelerator
from conftest import ROOT

from ecg_r1.__main__ import main
from ecg_r1.corpus import PAGE, pack_signal
from ecg_r1.dropout import ENVIRONMENTS, ModalityDropout
from ecg_r1.ecg import ECGError, read_ecg
from ecg_r1.loading import load_model
from ecg_r1.model import ECGR1ForConditionalGeneration
from ecg_r1.nano import nano_config
from ecg_r1.page import draw_page
from ecg_r1.rewards import REWARDS, soft_overlong_reward
from ecg_r1.rl.config import RLConfig
from ecg_r1.rl.groups import Rewards
from ecg_r1.rl.loss import (
    clipped_tokens,
    dapo_loss,
    group_advantages,
    kl_penalty,
    log_probabilities,
)
from ecg_r1.rl.policy import Policy, _draw
from ecg_r1.rl.prompts import PromptStream
from ecg_r1.rl.train import RunLog, train_rl

CPU = torch.device("cpu")
SMALL = RLConfig(
    steps=2,
    prompts=2,
    samples=4,
    max_new_tokens=24,
    learning_rate=1e-3,
    warmup_steps=0,
    save_steps=2,
    seed=3,
)


# --- the arithmetic ---------------------------------------------------------------------------


def test_advantages_by_hand():
    told = group_advantages(torch.tensor([[0.0, 1.0, 2.0]]), eps=1e-4)
    # Mean 1, standard deviation with 2 below: 1.
    assert told[0].tolist() == pytest.approx([-1 / 1.0001, 0, 1 / 1.0001])
    # Equal rewards teach exactly nothing, although the mean of these is rounded.
    assert group_advantages(torch.full((1, 6), 0.3)).tolist() == [[0] * 6]
    with pytest.raises(ValueError, match="at least 2 answers, got 1"):
        group_advantages(torch.ones(3, 1))


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss"),
    [
        (2.0, 1.0, -1.3),  # the gain is capped above
        (2.0, -1.0, 2.0),  # the penalty is not
        (0.5, 1.0, -0.5),
        (0.5, -1.0, 0.8),  # below 1 - 0.2 a bad token is not pushed further down
        (1.25, 1.0, -1.25),  # between 1.2 and 1.3: the wider side above
    ],
)
def test_clipping_by_hand(ratio, advantage, loss):
    args = (
        torch.tensor([[math.log(ratio)]]),
        torch.zeros(1, 1),
        torch.tensor([advantage]),
        torch.ones(1, 1),
    )
    assert dapo_loss(*args).item() == pytest.approx(loss)
    low, high = clipped_tokens(*args)
    assert (low.item(), high.item()) == (loss == 0.8, loss == -1.3)


def test_tokens_count_alike_whatever_the_length_of_their_answer():
    logps = torch.zeros(2, 3)
    mask = torch.tensor([[1, 0, 0], [1, 1, 1]])
    advantages = torch.tensor([3.0, -1.0])
    # Four tokens: -(3 - 1 - 1 - 1) / 4 = 0, where a mean over answers would be -1.
    assert dapo_loss(logps, logps, advantages, mask).item() == 0
    halves = [
        dapo_loss(logps[i], logps[i], advantages[i], mask[i], n_tokens=4).item()
        for i in (slice(0, 1), slice(1, 2))
    ]
    assert halves == [-0.75, 0.75]


def test_what_padding_holds_reaches_neither_loss_nor_gradient():
    logps = torch.tensor([[-1.0, float("-inf"), float("nan")]], requires_grad=True)
    args = (logps.detach(), torch.tensor([2.0]), torch.tensor([[1, 0, 0]]))
    loss = dapo_loss(logps, *args) + kl_penalty(logps, logps.detach(), args[2])
    loss.backward()
    assert loss.item() == -2
    assert logps.grad.tolist() == [[-2, 0, 0]]  # on policy: minus advantage over tokens
    assert dapo_loss(logps, *args[:2], torch.zeros(1, 3)).item() == 0


def test_divergence_by_hand():
    logps, ref = torch.tensor([[0.0, 5.0]]), torch.tensor([[math.log(2), 0.0]])
    told = kl_penalty(logps, ref, torch.tensor([[1, 0]]))
    assert told.item() == pytest.approx(2 - math.log(2) - 1)


def test_log_probabilities_by_hand():
    told = log_probabilities(
        torch.tensor([0.0, 2 * math.log(3), 99.0]), temperature=2, banned=[2]
    )
    assert told.exp().tolist() == pytest.approx([0.25, 0.75, 0])


def test_drawing_by_hand():
    scores = torch.tensor([[0.0, 0.25, 0.0, 0.75, 0.0]]).log().repeat(4, 1)
    chances = torch.tensor([0.0, 0.2499, 0.25, 1 - 2**-24])
    assert _draw(scores, chances).tolist() == [1, 1, 3, 3]  # never a token of probability 0


# --- TRL --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nano():
    return load_model("nano", device="cpu")


@pytest.fixture(scope="module")
def trl_trainer(nano, tmp_path_factory):
    trl = pytest.importorskip("trl", reason="needs the extra 'dev'")
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokenizer = copy.deepcopy(nano.processor.tokenizer)  # TRL changes its own
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=16,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    args = trl.GRPOConfig(
        output_dir=str(tmp_path_factory.mktemp("trl")),
        per_device_train_batch_size=4,
        num_generations=4,
        max_completion_length=8,
        max_steps=1,
        loss_type="bnpo",
        use_bias_correction_kl=False,
        epsilon=0.2,
        epsilon_high=0.3,
        learning_rate=1e-3,
        use_cpu=True,
        bf16=False,
        report_to="none",
        logging_steps=1,
        save_strategy="no",
    )
    rows = [{"prompt": "Interpret this ECG.", "solution": "<|answer|>af<|/answer|>"}] * 4
    return trl.GRPOTrainer(
        Qwen3ForCausalLM(config),
        reward_funcs=list(REWARDS.values()),
        args=args,
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=tokenizer,
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("beta", [0.0, 0.1])
def test_the_loss_is_trl_s_on_the_same_tensors(trl_trainer, monkeypatch, beta):
    generator = torch.Generator().manual_seed(0)
    logps, old, ref = (-torch.rand(6, 9, generator=generator) * 3 for _ in range(3))
    mask = (torch.arange(9) < torch.tensor([9, 1, 4, 7, 0, 9])[:, None]).long()
    rewards = torch.tensor([[0.0, 1.0, 3.0], [2.0, 0.5, 1.0]])
    advantages = group_advantages(rewards).flatten()
    logps.requires_grad_()
    inputs = {
        "prompt_ids": torch.ones(6, 2).long(),
        "prompt_mask": torch.ones(6, 2).long(),
        "completion_ids": torch.ones(6, 9).long(),
        "completion_mask": mask,
        "advantages": advantages,
        "old_per_token_logps": old,
        "ref_per_token_logps": ref,
    }
    monkeypatch.setattr(
        trl_trainer,
        "_get_per_token_logps_and_entropies",
        lambda *_, **__: (logps, torch.zeros(6, 9), None),
    )
    monkeypatch.setattr(trl_trainer, "beta", beta)
    monkeypatch.setattr(trl_trainer, "current_gradient_accumulation_steps", 1, raising=False)
    theirs = trl_trainer._compute_loss(trl_trainer.model, inputs)
    (their_gradient,) = torch.autograd.grad(theirs, logps)
    ours = dapo_loss(logps, old, advantages, mask) + beta * kl_penalty(logps, ref, mask)
    (our_gradient,) = torch.autograd.grad(ours, logps)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
    torch.testing.assert_close(our_gradient, their_gradient)
    low, high = clipped_tokens(logps, old, advantages, mask)
    told = trl_trainer._metrics["train" if trl_trainer.model.training else "eval"]
    assert low.item() / mask.sum() == pytest.approx(told["clip_ratio/low_mean"][-1])
    assert high.item() / mask.sum() == pytest.approx(told["clip_ratio/high_mean"][-1])
    assert low > 0
    assert high > 0


@pytest.mark.filterwarnings("ignore")
def test_our_rewards_run_unchanged_in_trl_s_trainer(trl_trainer):
    trl_trainer.train()
    told = next(entry for entry in trl_trainer.state.log_history if "reward" in entry)
    for function in REWARDS.values():
        mean = told[f"rewards/{function.__name__}/mean"]
        assert mean in (0, None)  # random text; without evidence there is nothing to judge


# --- sampling and scoring ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows(assets):
    made = []
    for file in sorted((assets / "ecgs").glob("*.hea"))[:5]:
        ecg = read_ecg(file)
        row = {"id": file.stem, "split": "train", "calibrated": True}
        row |= {"signal": pack_signal(ecg).tobytes(), "solution": "<|answer|>af<|/answer|>"}
        page = io.BytesIO()
        draw_page(ecg, **PAGE).convert("L").save(page, "PNG")
        made.append(row | {"page": page.getvalue()})
    return made


@pytest.fixture
def small(nano):
    """nano with one thin layer of each part and random weights; ends after some ten tokens."""
    torch.manual_seed(0)
    config = nano_config(nano.processor.tokenizer)
    config.text_config.num_hidden_layers = 1
    config.vision_config.depth = 1
    config.ecg_tower_config = config.ecg_tower_config | {"layers": 1}
    model = ECGR1ForConditionalGeneration(config).eval()
    with torch.no_grad():
        embeddings = model.get_input_embeddings().weight
        embeddings[:, 0] += 0.2  # a direction that every state has, so that it can be a bias
        embeddings[nano.processor.tokenizer.eos_token_id, 0] += 1.0
    return model


@pytest.fixture
def stream(rows, nano):
    return PromptStream(rows, nano.processor, ModalityDropout(), 0)


def places_of_all_environments(stream):
    """One place of each environment; their prompts differ in length."""
    seen = {}
    for place in range(200):
        seen.setdefault(stream.environment(place), place)
    assert set(seen) == set(ENVIRONMENTS)
    return [seen[environment] for environment in ENVIRONMENTS]


def test_scores_are_the_sampler_s_log_probabilities(nano, stream):
    policy, places = Policy(nano.model, nano.processor), places_of_all_environments(stream)
    prompts = stream.inputs(places, CPU)
    answers = policy.sample(prompts, stream.chances(places, 2, 40))
    tokens, logps, mask = policy.pad(answers)
    with torch.no_grad():
        scored, entropies = policy(prompts, tokens)
    assert (scored - logps)[mask].abs().max() < 1e-5
    assert len(set(map(tuple, tokens.tolist()))) > 6  # temperature 1: answers differ
    assert entropies.min() >= 0


def test_scores_are_those_of_a_plain_pass_over_prompt_and_answer(nano, stream):
    """Without cache, one row after the other, positions by the model itself."""
    policy, places = Policy(nano.model, nano.processor), places_of_all_environments(stream)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(100, 900, (8, 7), generator=generator)
    with torch.no_grad():
        scored, entropies = policy(stream.inputs(places, CPU), tokens)
    for i, place in enumerate(places):
        prompt = stream.inputs([place], CPU)
        for row in (2 * i, 2 * i + 1):
            ids = torch.cat([prompt["input_ids"], tokens[row : row + 1]], dim=1)
            types = torch.nn.functional.pad(prompt["mm_token_type_ids"], (0, 7))
            whole = {"input_ids": ids, "mm_token_type_ids": types}
            whole["attention_mask"] = torch.ones_like(ids)
            with torch.no_grad():
                logits = nano.model(**{**prompt, **whole}).logits[0, -8:-1]
            logits[:, nano.processor.placeholder_ids] = float("-inf")
            expected = torch.distributions.Categorical(logits=logits)
            torch.testing.assert_close(
                scored[row], expected.log_prob(tokens[row]), atol=1e-4, rtol=0
            )
            plain = -(expected.probs * expected.probs.clamp(min=1e-30).log()).sum(-1)
            torch.testing.assert_close(entropies[row], plain, atol=1e-4, rtol=0)


def test_an_answer_depends_on_its_own_prompt_and_luck_alone(small, nano, stream):
    policy, places = Policy(small, nano.processor), places_of_all_environments(stream)
    together = policy.sample(stream.inputs(places, CPU), stream.chances(places, 3, 12))
    for i, place in enumerate(places):
        alone = policy.sample(stream.inputs([place], CPU), stream.chances([place], 3, 12))
        assert [a.tokens for a in alone] == [a.tokens for a in together[3 * i : 3 * i + 3]]
    assert len({answer.finished for answer in together}) == 2  # the end and the limit occur
    assert all((a.tokens[-1] == policy.end_id) == a.finished for a in together)
    assert all(a.finished or len(a.tokens) == 12 for a in together)


def test_placeholders_are_never_sampled(small, nano, stream):
    among = torch.zeros(small.config.text_config.vocab_size)
    among[nano.processor.placeholder_ids] = 100  # now likelier than all other tokens together
    small.lm_head.register_forward_hook(lambda _head, _inputs, scores: scores + among)
    prompts, chances = stream.inputs([0], CPU), stream.chances([0], 8, 12)
    policy = Policy(small, nano.processor)
    written = {t for answer in policy.sample(prompts, chances) for t in answer.tokens}
    assert not written & set(nano.processor.placeholder_ids)
    policy.space["banned"] = []
    written = {t for answer in policy.sample(prompts, chances) for t in answer.tokens}
    assert written <= set(nano.processor.placeholder_ids)


def test_prompts_follow_seed_and_place_alone(rows, nano):
    stream, again, other = (
        PromptStream(rows, nano.processor, ModalityDropout(), seed) for seed in (0, 0, 1)
    )
    places = range(3 * len(rows))
    assert [stream.record_id(p) for p in places] == [again.record_id(p) for p in places]
    assert [stream.record_id(p) for p in places] != [other.record_id(p) for p in places]
    for epoch in range(3):
        seen = {stream.record_id(epoch * len(rows) + p) for p in range(len(rows))}
        assert len(seen) == len(rows)
    assert torch.equal(stream.chances([4], 2, 5), again.chances([3, 4], 2, 5)[2:])
    assert not {"signal", "page"} & set(stream.columns(0))


def test_a_table_gives_the_prompts_of_a_list_and_is_cut_once(rows, nano, monkeypatch):
    table = datasets.Dataset.from_list(rows)
    one, other = (PromptStream(r, nano.processor, ModalityDropout(), 5) for r in (rows, table))
    monkeypatch.setattr(
        datasets.Dataset, "select_columns", lambda *_: pytest.fail("the table is copied again")
    )
    monkeypatch.setattr(
        datasets.Dataset, "_fast_select_column", lambda *_: pytest.fail("a column is copied")
    )
    places = range(len(rows))
    for name in ("record_id", "environment", "columns"):
        chosen = [[getattr(s, name)(p) for p in places] for s in (one, other)]
        assert chosen[0] == chosen[1]
    told, same = (s.inputs(places, CPU) for s in (one, other))
    assert all(torch.equal(told[name], same[name]) for name in told)


# --- rewards as one ---------------------------------------------------------------------------


def unsure(completions, **_):
    return [None, 2.0]


def wants(completions, *, findings, **_):
    return [0.0] * len(completions)


def test_rewards_add_up_with_their_weights():
    scored = Rewards([unsure, soft_overlong_reward], [0.5, 2.0], max_length=8)
    told, totals = scored(["a", "b"], [[1] * 7, [1] * 6], {"id": "x"})
    assert math.isnan(told[0][0])
    assert told[1] == [2.0, 0.0]
    assert totals == [2.0 * -0.5, 0.5 * 2.0]  # at 7 of 8 tokens half of the last two are used


@pytest.mark.parametrize(
    ("functions", "weights", "fault"),
    [
        ([], (), "each once"),
        ([unsure, unsure], (), "each once"),
        ([unsure], (1, 2), "2 weights for 1"),
    ],
)
def test_rewards_that_do_not_fit_are_refused(functions, weights, fault):
    with pytest.raises(ValueError, match=fault):
        Rewards(functions, weights, max_length=8)


def test_a_missing_column_is_named_before_the_run(small, nano, rows, tmp_path):
    with pytest.raises(ECGError, match="wants needs a column 'findings'"):
        train_rl(small, nano.processor, rows, [wants], tmp_path, SMALL)


# --- the loop ---------------------------------------------------------------------------------


def even_share(completions, *, completion_ids, **_):
    """Share of the tokens with an even id: something that any model can learn."""
    return [sum(t % 2 == 0 for t in ids) / len(ids) for ids in completion_ids]


def changed(**fields):
    return RLConfig(**{**vars(SMALL), **fields})


def weights_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_training_raises_the_reward_and_leaves_the_encoders_alone(small, nano, rows, tmp_path):
    before = weights_of(small)
    config = changed(steps=4, prompts=3, samples=6, learning_rate=5e-3)
    told = []
    log = train_rl(
        small, nano.processor, rows, [even_share], tmp_path, config, on_step=told.append
    )
    assert told == log
    rewards = [entry["reward"] for entry in log]
    assert sum(rewards[-2:]) > sum(rewards[:2]) + 0.3
    moved = {name for name, value in weights_of(small).items() if (value != before[name]).any()}
    assert moved
    assert not {n for n in moved if "ecg_" in n or "visual" in n}
    first = log[0]
    assert first["rewards"] == {"even_share": pytest.approx(first["reward"], abs=1e-6)}
    assert sum(first["environments"].values()) == 3
    assert first["clip_low"] == first["clip_high"] == 0  # one step a batch: still on policy
    assert 0 < first["sampling_share"] < 1
    best, worst = (sample["rewards"]["even_share"] for sample in first["samples"])
    assert best > worst


def test_a_resumed_run_is_the_uninterrupted_one(small, nano, rows, tmp_path):
    start = weights_of(small)
    config = changed(steps=3, save_steps=2)
    whole = train_rl(small, nano.processor, rows, [even_share], tmp_path / "a", config)
    final = weights_of(small)
    train_until_power_fails(small, start, nano, rows, tmp_path / "b", config)
    small.load_state_dict(start)
    resumed = train_rl(small, nano.processor, rows, [even_share], tmp_path / "b", config)
    for entry in whole + resumed:
        for clock in ("seconds", "sampling_share", "tokens_per_s"):
            del entry[clock]
    assert resumed == whole
    assert all(torch.equal(value, final[n]) for n, value in small.state_dict().items())


def test_a_run_with_other_settings_is_not_gone_on_with(tmp_path):
    about = {"seed": 3, "clip_low": 0.2, "steps": 2, "rewards": ["even_share"]}
    accelerator = Accelerator(cpu=True)
    RunLog(tmp_path, accelerator, about)
    RunLog(tmp_path, accelerator, about | {"steps": 9})
    with pytest.raises(ECGError, match=r"holds a run with rewards \['even_share'\], not \[\]"):
        RunLog(tmp_path, accelerator, about | {"rewards": []})


def train_until_power_fails(small, start, nano, rows, folder, config):
    """Two steps and a state, then a third step that was logged but not kept."""

    def failing(completions, *, completion_ids, **_):
        if len((folder / "log.jsonl").read_text().splitlines()) == 2:
            raise KeyboardInterrupt
        return even_share(completions, completion_ids=completion_ids)

    failing.__name__ = even_share.__name__
    small.load_state_dict(start)
    with pytest.raises(KeyboardInterrupt):
        train_rl(small, nano.processor, rows, [failing], folder, config)
    with (folder / "log.jsonl").open("a") as log:
        log.write('{"step": 3, "reward": "lost"}\n{"step": 4, "rew')
    (folder / "state-3").mkdir()  # was being written


def test_sampling_and_scoring_see_the_same_prompt(small, nano, rows, tmp_path, monkeypatch):
    shown = {}
    honest = PromptStream.inputs

    def spied(stream, places, device):
        for place in places:
            ids = honest(stream, [place], device)["input_ids"]
            shown.setdefault(place, []).append((stream.environment(place), ids.tolist()))
        return honest(stream, places, device)

    monkeypatch.setattr(PromptStream, "inputs", spied)
    config = changed(steps=1, prompts=4, iterations=2)
    log = train_rl(small, nano.processor, rows, [even_share], tmp_path, config)
    assert len(shown) == 4
    for seen in shown.values():
        assert len(seen) == 3  # once to sample, twice to learn
        assert all(one == seen[0] for one in seen)
    assert log[0]["environments"] == {
        environment: sum(seen[0][0] == environment for seen in shown.values())
        for environment in log[0]["environments"]
    }


def test_groups_that_teach_nothing_are_played_again_within_limits(small, nano, rows, tmp_path):
    played = []

    def flat_but_for(*teaching):
        def reward(completions, *, prompts, completion_ids, **_):
            played.append(prompts[0])
            if prompts[0] not in teaching:
                return [1.0] * len(completions)
            return even_share(completions, completion_ids=completion_ids)

        return reward

    ids = [
        PromptStream(rows, nano.processor, ModalityDropout(), 3).record_id(p) for p in range(5)
    ]
    config = changed(steps=1, retries=3)
    some = flat_but_for(ids[0], ids[4])
    (entry,) = train_rl(small, nano.processor, rows, [some], tmp_path / "a", config)
    # Two prompts, of which the second is flat; then one more at a time.
    assert played == ids
    assert (entry["played"], entry["flat_share"]) == (5, 0.6)
    assert entry["group_variance"] > 0
    played.clear()
    before = weights_of(small)
    none = flat_but_for()
    (entry,) = train_rl(
        small, nano.processor, rows, [none], tmp_path / "b", changed(steps=1, retries=1)
    )
    assert played == ids[:4]  # two rounds of two, and no more
    assert (entry["played"], entry["flat_share"], entry["loss"]) == (4, 1, 0)
    assert all(torch.equal(v, before[n]) for n, v in small.state_dict().items())


def test_answers_cut_by_the_limit_are_not_learned_from(small, nano, rows, tmp_path):
    before = weights_of(small)
    with torch.no_grad():
        small.get_input_embeddings().weight[nano.processor.tokenizer.eos_token_id, 0] -= 5
    start = weights_of(small)
    (entry,) = train_rl(small, nano.processor, rows, [even_share], tmp_path, changed(steps=1))
    assert entry["cut_share"] == 1
    assert entry["group_variance"] > 0  # they do have advantages
    assert (entry["loss"], entry["gradient_norm"]) == (0, 0)
    assert all(torch.equal(v, start[n]) for n, v in small.state_dict().items())
    assert before.keys() == start.keys()


def test_several_steps_on_a_batch_clip_and_a_reference_holds_back(small, nano, rows, tmp_path):
    fresh = copy.deepcopy(small)  # one that learned may no longer end its answers
    config = changed(beta=0.1, learning_rate=3e-3)
    log = train_rl(small, nano.processor, rows, [even_share], tmp_path / "a", config)
    assert log[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert log[1]["kl"] > 1e-4
    config = changed(steps=1, iterations=4, learning_rate=1e-2)
    (entry,) = train_rl(fresh, nano.processor, rows, [even_share], tmp_path / "b", config)
    assert entry["clip_low"] + entry["clip_high"] > 0
    assert "kl" not in entry


def test_lora_trains_its_matrices_and_ends_in_the_weights(small, nano, rows, tmp_path):
    before = weights_of(small)
    config = changed(lora_rank=2, learning_rate=1e-2)
    train_rl(small, nano.processor, rows, [even_share], tmp_path, config)
    after = weights_of(small)
    assert after.keys() == before.keys()  # merged: nothing of LoRA is left
    moved = {name for name, value in after.items() if (value != before[name]).any()}
    assert len(moved) == 7  # q, k, v, o, gate, up and down of the one layer
    assert all("language_model.layers" in name for name in moved)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("samples", 1),
        ("steps", 0),
        ("temperature", 0.0),
        ("clip_low", 1.5),
        ("beta", -1.0),
        ("max_new_tokens", 0),
    ],
)
def test_settings_that_mean_nothing_are_refused(field, value):
    with pytest.raises(ValueError, match=f"{field}.*{value}"):
        changed(**{field: value})


# --- the command and several processes --------------------------------------------------------

RUN = "--steps 2 --prompts 2 --samples 4 --max-new-tokens 24 --learning-rate 1e-3 --seed 3"


def test_two_processes_learn_what_one_learns(small, nano, rows, tmp_path):
    small.save_pretrained(tmp_path / "small")
    nano.processor.save_pretrained(tmp_path / "small")
    unfit = [rows[0] | {"split": "report"}, rows[0] | {"solution": ""}]
    datasets.Dataset.from_list([*rows, *unfit]).save_to_disk(tmp_path / "rows")
    launch = "-m torch.distributed.run --standalone --nproc-per-node 2 -m ecg_r1 rl"
    words = [*launch.split(), str(tmp_path / "rows"), "--model", str(tmp_path / "small")]
    words += ["--out", str(tmp_path / "two"), "--rewards", "soft_overlong", *RUN.split()]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    two = [json.loads(line) for line in (tmp_path / "two/log.jsonl").read_text().splitlines()]
    one = train_rl(
        small,
        nano.processor,
        rows,
        [soft_overlong_reward],
        tmp_path / "one",
        changed(warmup_steps=5),
    )
    same = ("step", "reward", "rewards", "played", "length", "environments", "samples")
    for a, b in zip(one, two, strict=True):
        assert {name: a[name] for name in same} == {name: b[name] for name in same}
        for name in ("loss", "gradient_norm", "entropy"):
            assert b[name] == pytest.approx(a[name], rel=1e-3, abs=1e-7)
    assert one[0]["gradient_norm"] > 0
    told = json.loads((tmp_path / "two/model/run.json").read_text())
    assert (told["processes"], told["rows"]) == (2, len(rows))
    trained = load_model(tmp_path / "two/model", device="cpu").model.state_dict()
    for name, value in small.state_dict().items():
        torch.testing.assert_close(trained[name], value, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["nowhere"], "nowhere is no folder"),
        (["nowhere", "--rewards", "kindness"], "'kindness' must be one of paper_format"),
        (["nowhere", "--rewards", "paper_format", "--rewards", "paper_format"], "each once"),
        (["nowhere", "--rewards", "paper_format=much"], "'much' in 'paper_format=much'"),
        (["nowhere", "--samples", "1"], "samples must be at least 2, got 1"),
    ],
)
def test_the_command_says_what_is_wrong_in_one_line(words, fault, capsys):
    assert main(["rl", *words]) == 2
    told = capsys.readouterr().err
    assert fault in told
    assert told.count("\n") == 1
