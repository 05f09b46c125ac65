# %% [markdown]
# # 6 · Reinforcement learning
#
# You will
# - turn the rewards of four hand-written readings into advantages and a loss, by hand and by package,
# - see why an answer must be scored under the prompt that it was written under,
# - train the shipped model with DAPO for minutes, with a live curve for each reward, and find out
#   what it did and did not change.
#
# | before this | minutes | memory | downloads | next |
# |---|---|---|---|---|
# | notebooks 4 and 5 | under 10 to run on a CPU (a GPU is left alone), 50 to work through | under 3 GB | none | notebook 7 |
#
# **For education and research only. Not a medical device; never use it to diagnose or treat.**

# %%
import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""  # nano is small: the CPU, alike on every machine

from ecg_r1.notebook import FAST, LiveCurves, bars, check_environment, lines

check_environment("torch", "accelerate", "datasets", "matplotlib", "pandas")

# %% [markdown]
# ECG → measurements → protocol → text (01) → model (02) → modality dropout (03) →
# fine-tuning (04) → rewards (05) → **reinforcement learning (06)** → evaluation (07)
#
# One step of DAPO: sample a *group* of answers to each prompt, reward them, and make the tokens
# of those that did better than their group likelier, the others less likely. No model judges.
#
# ## 6.1 A group of four
#
# The four readings of notebook 5, as if a model had sampled them, and what they earn.

# %%
from ecg_r1 import read_ecg
from ecg_r1.auditing import facts_of
from ecg_r1.rewards import REWARDS
from ecg_r1.rewards.four import FOUR, RECORD, SOLUTION
from ecg_r1.shipped import shipped

ecg = read_ecg(shipped(RECORD))
key = {"solution": [SOLUTION] * 4, "measurements": [facts_of(ecg).to_json()] * 4}
totals = {}
for kind in ("paper", "strict"):
    parts = [
        REWARDS[f"{kind}_{part}"](list(FOUR.values()), **key)
        for part in ("format", "diagnosis", "evidence")
    ]
    totals[kind] = [sum(of_one) for of_one in zip(*parts, strict=True)]
shown = {
    kind: {name: {"reward": value} for name, value in zip(FOUR, values, strict=True)}
    for kind, values in totals.items()
}
bars({f"{kind} rewards": rows for kind, rows in shown.items()})

# %% [markdown]
# The *advantage* is how much better than its own group an answer was: the reward less the group's
# mean, divided by the group's standard deviation.
#
# **Predict before you run on:** with strict rewards, is the half right reading pushed up or down?

# %%
guess_half = None  # "up" or "down"


# %%
def advantages_by_hand(rewards: list[float]) -> list[float]:
    mean = sum(rewards) / len(rewards)
    variance = sum((reward - mean) ** 2 for reward in rewards) / (len(rewards) - 1)
    return [(reward - mean) / (variance**0.5 + 1e-4) for reward in rewards]


by_hand = {kind: advantages_by_hand(values) for kind, values in totals.items()}
bars(
    {
        f"advantage, {kind}": {
            name: {"advantage": value} for name, value in zip(FOUR, values, strict=True)
        }
        for kind, values in by_hand.items()
    }
)

# %%
import torch

from ecg_r1.rl.loss import group_advantages

told = group_advantages(torch.tensor([totals["paper"], totals["strict"]]))
assert torch.allclose(told, torch.tensor([by_hand["paper"], by_hand["strict"]]), atol=1e-4)
of_half = "up" if by_hand["strict"][1] > 0 else "down"
assert guess_half in (None, of_half), f"its advantage is {by_hand['strict'][1]:.2f}"
assert by_hand["paper"][3] == max(by_hand["paper"]), "the cheat is pushed up most"
assert by_hand["strict"][0] == max(by_hand["strict"]), "the honest one is"

# %% [markdown]
# What to notice: an answer is compared with its *siblings*, so a good answer among better ones is
# pushed down. And the same four texts teach opposite things under the two kinds of reward.
#
# ## 6.2 The loss
#
# The probability of each token now, divided by its probability when it was sampled, is the
# *ratio*. The loss raises the ratio where the advantage is positive, but clips it: beyond
# 1.3 a token has been pushed up enough, and below 0.8 down enough.

# %%
CLIP_LOW, CLIP_HIGH = 0.2, 0.3
ratio = torch.linspace(0.4, 1.8, 141)
clipped = ratio.clamp(1 - CLIP_LOW, 1 + CLIP_HIGH)
even = ratio.clamp(1 - CLIP_LOW, 1 + CLIP_LOW)
panels = {}
for title, advantage in (("advantage +1", 1), ("advantage -1", -1)):
    panels[title] = {
        "not clipped": (ratio, ratio * advantage),
        "clipped at 0.8 and 1.2": (ratio, torch.minimum(ratio * advantage, even * advantage)),
        "clip-higher: 0.8 and 1.3": (
            ratio,
            torch.minimum(ratio * advantage, clipped * advantage),
        ),
    }
lines(panels, "ratio: new probability / old probability")

# %% [markdown]
# Where a curve is flat, a token teaches nothing. Clip-higher leaves more room above: a rare token
# at probability 0.01 may grow to 0.013 in one step instead of 0.012.
#
# By hand, on two answers: one of a single token and advantage +1, one of three and -1.
#
# **Predict:** which of the four tokens get no gradient?

# %%
guess_flat = None  # a set of numbers out of 1, 2, 3, 4

# %%
old = [[0.50], [0.20, 0.50, 0.10]]  # probabilities when sampled
new = [[0.80], [0.10, 0.60, 0.15]]  # and now
advantages = [1.0, -1.0]
gains = []
for before, now, advantage in zip(old, new, advantages, strict=True):
    for was, is_now in zip(before, now, strict=True):
        r = is_now / was
        held = min(max(r, 1 - CLIP_LOW), 1 + CLIP_HIGH)
        gains.append(min(r * advantage, held * advantage))
loss_by_hand = -sum(gains) / len(gains)
gains, loss_by_hand

# %%
from ecg_r1.rl.loss import dapo_loss

padded_old = torch.tensor([[0.50, 1, 1], [0.20, 0.50, 0.10]]).log()
padded_new = torch.tensor([[0.80, 1, 1], [0.10, 0.60, 0.15]]).log().requires_grad_()
mask = torch.tensor([[1, 0, 0], [1, 1, 1]]).bool()
loss = dapo_loss(padded_new, padded_old, torch.tensor(advantages), mask)
loss.backward()
assert abs(loss.item() - loss_by_hand) < 1e-6
slopes = padded_new.grad[mask]
still = {n for n, slope in enumerate(slopes.tolist(), start=1) if slope == 0}
assert guess_flat in (None, still), f"no gradient: {still}"
slopes

# %% [markdown]
# What to notice: the first token rose by more than 30 % and the second fell by more than 20 %:
# enough. The last two went up although their answer was bad, and there the penalty is never
# clipped.
#
# Each *token* counts alike. Averaging inside each answer first, as the original GRPO does, gives
# a token of a long answer less weight, so that a long bad answer costs as little as a short one:

# %%
per_answer = -(gains[0] + sum(gains[1:]) / 3) / 2
{"mean over tokens": round(loss_by_hand, 3), "mean over answers": round(per_answer, 3)}

# %% [markdown]
# ## 6.3 The four teach the model
#
# The shipped model did not write the four readings, but it can score them: each has a probability
# under it. One optimiser step with their strict advantages:

# %%
import copy

from ecg_r1 import load_model
from ecg_r1.corpus import Task, make_row
from ecg_r1.dropout import ModalityDropout
from ecg_r1.rl.policy import Answer, Policy
from ecg_r1.rl.prompts import PromptStream

nano, CPU = load_model("nano", device="cpu"), torch.device("cpu")
row = make_row(Task("cpsc2018", str(shipped(RECORD)), labels=("atrial fibrillation",)))
both = ModalityDropout(p_drop=0, p_swap=0)  # always signal and image
prompt = PromptStream([row], nano.processor, both, seed=0).inputs([0], CPU)
pupil = Policy(copy.deepcopy(nano.model), nano.processor)
written = []
for text in FOUR.values():
    ids = [*nano.processor.tokenizer(text)["input_ids"], pupil.end_id]
    written.append(Answer(ids, [0.0] * len(ids), finished=True))
tokens, _, mask = pupil.pad(written)
{name: len(answer.tokens) for name, answer in zip(FOUR, written, strict=True)}

# %%
strict = group_advantages(torch.tensor([totals["strict"]]))[0]
with torch.no_grad():
    at_start, _ = pupil(prompt, tokens)
optimizer = torch.optim.AdamW(pupil.parameters(), lr=1e-5, weight_decay=0.0)
now, _ = pupil(prompt, tokens)
loss = dapo_loss(now, at_start, strict, mask)
loss.backward()
optimizer.step()
with torch.no_grad():
    after, _ = pupil(prompt, tokens)
    assert dapo_loss(after, at_start, strict, mask) < loss, "one small step downhill"
moved = [(after - at_start)[i][mask[i]].mean().item() for i in range(4)]
bars(
    {
        "change of a token's mean log-probability": {
            name: {"change": change} for name, change in zip(FOUR, moved, strict=True)
        }
    }
)

# %% [markdown]
# What to notice: what counts is the order. All four share words and headings, so pushing one moves
# the others too; the model learns from what *differs* between them.
#
# ## 6.4 One environment per prompt
#
# Modality dropout (notebook 3) decides what a prompt shows. The model writes an answer after
# seeing, say, both; then the answer is scored to get the ratio. Nothing was learned in between,
# so the ratio must be 1.
#
# **Predict:** which share of its tokens would be clipped at once, if scoring showed the image only?

# %%
guess_share = None  # 0 to 1

# %%
from ecg_r1.corpus import row_page
from ecg_r1.dropout import ENVIRONMENTS
from ecg_r1.processing import tower_input

policy = Policy(nano.model, nano.processor)


def prompt_in(environment: str) -> dict:
    ecgs = [tower_input(ecg, nano.processor.prompt)] if "signal" in environment else []
    pages = [row_page(row)] if "image" in environment else []
    return dict(nano.processor([environment], ecgs=ecgs, images=pages))


luck = torch.rand(4, 60 if FAST else 200, generator=torch.Generator().manual_seed(0))
sampled, old_logps, mask = policy.pad(policy.sample(prompt_in("signal+image"), luck))
log_ratio = {}
for environment in ENVIRONMENTS:
    with torch.no_grad():
        scored, _ = policy(prompt_in(environment), sampled)
    log_ratio[environment] = (scored - old_logps)[mask]
{name: f"{change.abs().max():.6f}" for name, change in log_ratio.items()}

# %%
out = {
    name: {"share": ((r.exp() < 0.8) | (r.exp() > 1.3)).float().mean().item()}
    for name, r in log_ratio.items()
}
assert log_ratio["signal+image"].abs().max() < 1e-4, "as sampled: the ratio is 1"
others = [r for name, r in log_ratio.items() if name != "signal+image"]
assert min(r.abs().max() for r in others) > 0.01, "another question, another ratio"
share = out["image"]["share"]
assert guess_share is None or abs(guess_share - share) < 0.15, f"it is {share:.2f}"
bars({"share of tokens whose ratio is outside 0.8 to 1.3": out})

# %% [markdown]
# What to notice: even the *order* of signal and image matters. Without an error the loss would
# compare two different questions. So the environment is drawn once for each prompt, and sampling
# and scoring both get it from one place. The same holds for temperature and forbidden tokens.
#
# ## 6.5 Dynamic sampling
#
# When all answers of a group earn the same, every advantage is 0 and the group taught nothing.
# Say an answer is right (1) with probability p, else 0.
#
# **Predict:** p = 0.9 and six answers. What share of the groups is flat?

# %%
guess_flat_share = None

# %%
p, size = 0.9, 6
flat_by_hand = p**size + (1 - p) ** size  # all right, or all wrong
coins = torch.rand(20_000, size, generator=torch.Generator().manual_seed(0)) < p
flat = (group_advantages(coins.float()) == 0).all(dim=1).float().mean().item()
assert abs(flat - flat_by_hand) < 0.02
assert guess_flat_share is None or abs(guess_flat_share - flat) < 0.1, f"it is {flat:.2f}"
chance = torch.linspace(0, 1, 101)
lines(
    {
        "share of groups that teach nothing": {
            f"{n} answers": (chance, chance**n + (1 - chance) ** n) for n in (4, 6, 16)
        }
    },
    "probability of a right answer",
)

# %% [markdown]
# DAPO plays other prompts instead, up to a limit, and logs how many it threw away. The better a
# model gets at a reward of 0 or 1, the more it throws away; graded rewards are rarely equal.
#
# ## 6.6 DAPO for minutes
#
# Simulated hearts to learn from, and others to examine, with two real records among them. Each row
# brings its solution, evidence and measurements, written by the corpus (notebook 1). What the shipped
# model has been through before stands in 6.7.

# %%
n_learn, n_exam = (3, 1) if FAST else (24, 10)
learn = [make_row(Task("simulated", str(7_000_000 + seed))) for seed in range(n_learn)]
exam = [make_row(Task("simulated", str(8_000_000 + seed))) for seed in range(n_exam)]
sinus = Task("cpsc2018", str(shipped("ecgs/A0002.hea")), labels=("sinus rhythm",))
exam += [row, make_row(sinus)]
len(learn), len(exam), learn[0]["labels"]

# %%
from ecg_r1.rl.options import DEFAULT_REWARDS

functions = {name: REWARDS[name] for name in DEFAULT_REWARDS}
longest = nano.processor.prompt.max_new_tokens
limits = {"max_length": longest, "cache": longest // 4}  # a quarter, as in the paper
at_exam = PromptStream(exam, nano.processor, both, seed=0)


def examine(model: torch.nn.Module) -> tuple[dict, list[str]]:
    """Each reward of one answer to each record; the same luck every time."""
    policy, places = Policy(model, nano.processor), range(len(exam))
    chances = at_exam.chances(places, 1, longest)
    answers = policy.sample(at_exam.inputs(places, CPU), chances)
    ids = [answer.tokens for answer in answers]
    texts = [nano.processor.tokenizer.decode(one, skip_special_tokens=True) for one in ids]
    rows = [at_exam.columns(place) for place in places]
    columns = {name: [one.get(name) for one in rows] for name in ("solution", "evidence")}
    columns |= {"measurements": [one["measurements"] for one in rows], "completion_ids": ids}
    earned = {name: f(texts, **columns, **limits) for name, f in functions.items()}
    return earned, texts


before, texts_before = examine(nano.model)
{name: round(sum(values) / len(values), 3) for name, values in before.items()}

# %% [markdown]
# **Predict:** which of the four rewards will rise on the records that it does *not* learn from?

# %%
guess_rise = None  # a set of names out of `functions`

# %%
from ecg_r1.rl.config import RLConfig

config = RLConfig(
    steps=2 if FAST else 20,
    prompts=2 if FAST else 4,
    samples=3 if FAST else 4,
    retries=0 if FAST else 1,
    learning_rate=1e-4,  # nano is small; the paper's 8 billion parameters take 1e-6
    warmup_steps=2,
)

# %%
import logging
import tempfile
from pathlib import Path

from ecg_r1.rl.train import train_rl

logging.getLogger("accelerate").setLevel(logging.ERROR)
short = {f"{name}_reward": name for name in functions}
curves = LiveCurves(
    ["reward", *functions, "entropy", "length", "flat_share"],
    steps=config.steps,
    every=1 if FAST else 3,
)


def on_step(entry: dict) -> None:
    values = {short[name]: value for name, value in entry["rewards"].items()}
    also = ("reward", "entropy", "length", "flat_share")
    curves.add(entry["step"], **values, **{name: entry[name] for name in also})


# %%
student = copy.deepcopy(nano.model)
with tempfile.TemporaryDirectory() as folder:
    log = train_rl(
        student,
        nano.processor,
        learn,
        list(functions.values()),
        Path(folder),
        config,
        on_step=on_step,
    )

# %%
assert len(log) == config.steps
assert all(entry["clip_low"] == entry["clip_high"] == 0 for entry in log), "on policy"
seconds = sum(entry["seconds"] for entry in log) / len(log)
sampling = sum(entry["sampling_share"] for entry in log) / len(log)
f"{seconds:.1f} s a step, {sampling:.0%} of it sampling", log[-1]["environments"]

# %% [markdown]
# What to notice: one step looks like noise, since each has other prompts, and some prompts are
# hard. The first 100 steps look like nothing. With one optimiser step a batch nothing is ever
# clipped: the ratio is still 1 when the gradient is taken.
#
# ## 6.7 Did it help?
#
# The same records, the same luck, before and after. The interval comes from drawing the records
# again, with replacement (a bootstrap).

# %%
import numpy as np
import pandas as pd

from ecg_r1.evaluate.statistics import mean_interval

after, texts_after = examine(student)
records = [str(number) for number in range(len(exam))]  # each is a patient of its own
told = []
for name in functions:
    per_record = np.array(after[name]) - np.array(before[name])
    low, high = mean_interval(records, per_record) or (np.nan, np.nan)  # one record has none
    verdict = "better" if low > 0 else "worse" if high < 0 else "not shown"
    told.append([name, np.mean(before[name]), np.mean(after[name]), low, high, verdict])
columns = ["reward", "before", "after", "change from", "to", "verdict"]
result = pd.DataFrame(told, columns=columns).round(3)
result

# %%
better = set(result["reward"][result["verdict"] == "better"])
assert (result["after"] <= 1).all()
if guess_rise is not None and guess_rise != better:
    print(f"you said {guess_rise}, shown is {better or 'nothing'}")
better

# %%
print(texts_before[0])

# %%
print(texts_after[0])

# %% [markdown]
# Read the verdicts, not the curves. "Not shown" is the usual result of minutes on a dozen records,
# and this notebook may well show it to you: a reward near its ceiling (the form) cannot rise, and
# claims about small waves need a better *look* at the trace, which is the encoders' work; they are
# frozen here. RL sharpens what a model already does sometimes. What it never does is never paid.
#
# A longer run, **not produced here**: reinforcement learning may be the last stage of the shipped model's
# own training, and then its `run.json` tells what that changed on real records that it never saw, after
# less before, with the range that 95 % of redrawn sets of patients give. (Of `hr_error`, in bpm, and of
# `hallucination_rate` less is better.)

# %%
import json

made = json.loads(shipped("nano/run.json").read_text(encoding="utf-8"))
told_by_run, longer = "the shipped model was fine-tuned only", []
if "rl" in made:
    rl, when = made["rl"], "after" if made["rl"]["shipped"] else "before"
    told_by_run = (
        f"{rl['minutes']} min, {made['machine']}; fold 7 chose what is shipped: {when} it"
    )
    for arm, changes in rl["groups"]["fold 8"]["changes"].items():
        for measure, one in changes.items():
            longer.append([arm, measure, one["value"], *(one["ci"] or (None, None))])
print(told_by_run)
pd.DataFrame(longer, columns=["arm", "of", "change", "from", "to"])

# %% [markdown]
# What to notice: a range with 0 in it shows nothing, after hours too. And a model that has been through
# this has less left to gain from the minutes above.
#
# Such a run on a corpus of your own, resumed whenever it was cut: `python -m ecg_r1 rl CORPUS`.
#
# ## 6.8 What the memory knobs cost
#
# While sampling, each answer keeps keys and values of every token in every layer. By hand, then
# measured on a real cache:

# %%
text_config = nano.model.config.text_config
n_prompt = prompt["input_ids"].shape[1]
per_token = 2 * text_config.num_hidden_layers * text_config.num_key_value_heads
per_token *= text_config.head_dim * 4  # keys and values, float32
with torch.no_grad():
    cache = nano.model(**prompt, use_cache=True).past_key_values
measured = sum(t.nbytes for layer in cache.layers for t in (layer.keys, layer.values))
assert measured == per_token * n_prompt
f"{per_token / 1000:.1f} kB a token, {measured / 1e6:.2f} MB for the prompt"


# %%
def megabytes(layers, heads, width, vocabulary, weights, length, size) -> dict[str, float]:
    cache = 2 * layers * heads * width * size * length
    return {
        "samples + 1: cache of another answer": cache / 1e6,
        "sample_prompts + 1: cache of 6 answers": 6 * cache / 1e6,
        "learn_prompts + 1: scores of 6 answers, 3 copies": 18 * length * vocabulary * 4 / 1e6,
        "max_new_tokens x 2: cache of each answer": cache / 1e6,
        "lora_rank 0: gradients and AdamW, float32": 12 * weights / 1e6,
        "beta > 0: a frozen copy": size * weights / 1e6,
    }


n_text = sum(p.numel() for p in nano.model.model.language_model.parameters())
names = ("num_hidden_layers", "num_key_value_heads", "head_dim", "vocab_size")
nano_sizes = [getattr(text_config, name) for name in names]
costs = {
    f"nano, {longest} tokens (MB)": megabytes(*nano_sizes, n_text, longest, 4),
    "8B in bf16, 2,048 tokens (MB)": megabytes(36, 8, 128, 151_672, 8.87e9, 2048, 2),
}
pd.DataFrame(costs).round(1)

# %% [markdown]
# Computed from sizes, activations apart; not produced by a run. What to notice: at 8 billion the
# optimiser is the largest by far, so it is sharded over GPUs or replaced by LoRA, and
# `learn_prompts` is the first knob to turn down: it and `sample_prompts` change memory and speed
# only. The other four also change *what* is learned.
#
# ## 6.9 Your own record
#
# What does the trained model say to it, next to the shipped one? It lives in this notebook only.

# %%
my_file = None  # "my_record.hea", "my_record.dcm"
if my_file:
    mine = make_row(Task("mine", my_file))
    asked = PromptStream([mine], nano.processor, both, seed=0)
    for model in (nano.model, student):
        answer = Policy(model, nano.processor).sample(
            asked.inputs([0], CPU), asked.chances([0], 1, 300)
        )
        print(nano.processor.tokenizer.decode(answer[0].tokens, skip_special_tokens=True))

# %% [markdown]
# ## 6.10 What to remember
#
# - **Do** log every reward by itself, the group's variance, entropy, length, and some answers.
# - **Don't** change anything between sampling and scoring: prompt, temperature, forbidden tokens,
#   dropout inside the network.
# - **Limit:** RL finds what the reward pays, not what you meant. Read the answers.
#
# ### Exercise 1: an advantage
# Four answers earn 1, 1, 1 and 3. What is the advantage of the last one (eps apart)?

# %%
answer_1 = None


def check_1(advantage: float | None) -> str:
    if advantage is None:
        return "write a number into answer_1"
    assert abs(advantage - 2) > 0.01, "2 is the distance to the others; the mean is 1.5"
    assert abs(advantage - 3**0.5) > 0.01, "divide the squares by samples - 1, here 3"
    assert abs(advantage - 1.5) < 0.01, "distance to the mean, over the standard deviation"
    return "right"


check_1(answer_1)

# %% [markdown]
# ### Exercise 2: dynamic sampling
# Write `keep(groups, wanted)`: of the groups (lists of rewards), in order, the first `wanted` that
# teach; where there are not enough, flat ones fill up, so that the batch keeps its size.

# %%
keep = None  # a function (groups, wanted) -> groups


def check_2(function) -> str:
    if function is None:
        return "write a function into keep"
    a, b, flat, other = [0.0, 1.0], [2.0, 1.0], [1.0, 1.0], [0.0, 0.0]
    found = function([flat, a, b], 2)
    assert flat not in found, "a flat group was kept although enough others teach"
    assert found == [a, b], f"[flat, a, b], 2 gives {found}, wanted {[a, b]}"
    assert len(function([a, b], 1)) == 1, "more groups than wanted"
    filled = function([flat, a, other], 2)
    assert len(filled) == 2, f"the batch must keep its size, got {len(filled)} of 2"
    assert filled[0] == a, "those that teach come first"
    return "right"


check_2(keep)

# %% [markdown]
# ### Exercise 3: answers that were cut
# An answer that the limit cut was not wrong to go on. It counts in its group's mean, but its tokens
# do not teach. Write `teaching_tokens(lengths, limit)`: the number of tokens that the loss is
# divided by. An answer that ends by itself is shorter than the limit.

# %%
teaching_tokens = None  # a function (lengths, limit) -> number


def check_3(function) -> str:
    if function is None:
        return "write a function into teaching_tokens"
    assert function([10, 20], 300) == 30, "nothing was cut: every token counts"
    assert function([10, 300, 20], 300) != 330, "the answer of 300 tokens was cut: mask it"
    assert function([10, 300, 20], 300) == 30, "whole answers are masked, not their ends"
    assert function([300, 300], 300) == 1, "nothing is left: never divide by 0, use 1"
    return "right"


check_3(teaching_tokens)

# %% [markdown]
# **Sources.** Shao et al. 2024, DeepSeekMath (GRPO), arXiv 2402.03300; Yu et al. 2025, DAPO, arXiv
# 2503.14476 (clip-higher, dynamic sampling, token-level loss, over-long answers); ECG-R1, arXiv
# 2602.04279; "the first 100 steps" is what TRL's and Unsloth's guides tell beginners too. Records
# A0002, A0003: CPSC2018, CC BY 4.0.
#
# ### Solutions

# %% tags=["solution"] jupyter={"source_hidden": true}
check_1((3 - 1.5) / ((3 * 0.5**2 + 1.5**2) / 3) ** 0.5)


# %% tags=["solution"] jupyter={"source_hidden": true}
def kept(groups: list[list[float]], wanted: int) -> list[list[float]]:
    teaching = [group for group in groups if len(set(group)) > 1]
    flat = [group for group in groups if len(set(group)) == 1]
    return (teaching + flat)[:wanted]


check_2(kept)

# %% tags=["solution"] jupyter={"source_hidden": true}
check_3(lambda lengths, limit: max(sum(n for n in lengths if n < limit), 1))
