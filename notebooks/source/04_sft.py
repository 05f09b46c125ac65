# %% [markdown]
# # 4 · Fine-tuning
#
# You will
# - take one training sample apart: what is asked, what is learned, what costs how much,
# - train a decoder from nothing for minutes and watch words, numbers and diagnoses arrive, each in
#   its time,
# - compare the minutes-old model with the shipped one, arm by arm, on ECGs that neither has seen,
# - kill a run and find out what it lost.
#
# | before this | minutes | memory | downloads | next |
# |---|---|---|---|---|
# | notebook 3 | under 10 to run on a CPU (a GPU is left alone), 45 to work through | under 4 GB, 0.5 GB of disk | none | notebook 5 |
#
# **For education and research only. Not a medical device; never use it to diagnose or treat.**

# %%
import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""  # nano is small: the CPU, alike on every machine

from ecg_r1.notebook import FAST, LiveCurves, bars, check_environment, lines, picture

check_environment("torch", "accelerate", "datasets", "peft", "matplotlib", "pandas")

# %% [markdown]
# ECG → measurements → protocol → text (01) → model (02) → modality dropout (03) →
# **fine-tuning (04)** → rewards (05) → reinforcement learning (06) → evaluation (07)
#
# ## 4.1 Something to learn from
#
# A small corpus, made as in notebook 1: simulated patients, measured, judged, written down in the
# plain sentences that the shipped model learned too. Their seeds are none that it was trained on.
# This takes about a tenth of a second for each.

# %%
import tempfile
from pathlib import Path

from ecg_r1.corpus import Plant, RowMaker, build_corpus, row_page, simulated_tasks

n_learn = 16 if FAST else 320
scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name)
maker = RowMaker(pages="nano", writer="plain")
patients = simulated_tasks(n_learn, first_seed=5_000_000)
corpus = build_corpus(patients, folder / "corpus", maker=maker, plant=Plant())
row = corpus[0]
picture(row_page(row), width_px=640)

# %%
print(row["text"])

# %% [markdown]
# Numbers and findings were measured, the diagnoses are the simulator's; now and then the two quarrel
# (notebook 1). A record whose rate cannot be measured, or whose text would contradict it, is left out.
#
# ## 4.2 A sample by hand
#
# The sample is a conversation. We ask, with placeholders where the ECG will be (notebook 2), and
# the text above is the answer. The model is to foretell each token from those before it, but only
# the answer's tokens are *learned*: everything else gets the label -100, which the loss leaves out.

# %%
from ecg_r1 import load_model
from ecg_r1.processing import ECG_END, ECG_PAD, ECG_START, NO_LOSS

nano = load_model("nano", device="cpu")
tokenizer, settings = nano.processor.tokenizer, nano.processor.prompt
pads = ECG_PAD * settings.ecg_tokens
prompt = (
    f"<|im_start|>system\n{settings.system}<|im_end|>\n"
    f"<|im_start|>user\n{ECG_START}{pads}{ECG_END}\n{settings.question}<|im_end|>\n"
    "<|im_start|>assistant\n"
)


def sample_by_hand(answer: str) -> tuple[list[int], list[int]]:
    asked = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    told = tokenizer(answer + "<|im_end|>", add_special_tokens=False)["input_ids"]
    return asked + told, [NO_LOSS] * len(asked) + told


print(prompt.replace(pads, f"[{settings.ecg_tokens} pads]"))

# %% [markdown]
# **Predict before you run on.** Which share of this sample's tokens is learned?

# %%
guess_share = None  # between 0 and 1

# %%
ids, labels = sample_by_hand(row["text"])
share = sum(label != NO_LOSS for label in labels) / len(labels)
assert guess_share is None or abs(guess_share - share) < 0.1, f"it is {share:.2f}"
len(ids), round(share, 2), tokenizer.batch_decode([[i] for i in ids[-12:]])

# %% [markdown]
# The package's version: `SFTData` decides what each sample shows (modality dropout, notebook 3) and
# reads its inputs, the *collator* makes a batch of several.

# %%
from ecg_r1.sft import Collator, SFTConfig, SFTData

drawn = SFTData(corpus, nano.processor, SFTConfig(steps=4, batch_size=8))
collate = Collator(nano.processor)
samples = [drawn[place] for place in range(len(drawn))]
sample = next(one for one in samples if one["environment"] == "signal")
batch = collate([sample])
{name: tuple(value.shape) for name, value in batch.items() if name != "problems"}

# %%
ids, labels = sample_by_hand(sample["text"])
assert batch["input_ids"][0].tolist() == ids, "token by token the same"
assert batch["labels"][0].tolist() == labels
both = next(one for one in samples if one["environment"] == "signal+image")
two = collate([sample, both])
{"tokens": two["input_ids"].shape[1], "learned": (two["labels"] != NO_LOSS).sum(1).tolist()}

# %% [markdown]
# What to notice: the last learned token is `<|im_end|>`. A model that never learns it never stops.
# And a batch is as wide as its longest sample; the rest is padding, which is not learned either.
#
# ## 4.3 What it costs, token by token
#
# The loss of a token is minus the logarithm of the probability that the model gave it. The scores
# at one place are about the *next* token, so the two are shifted by one.

# %%
import torch


def logits_of(model: torch.nn.Module, batch: dict) -> torch.Tensor:
    asked = ("labels", "environments", "problems")
    with torch.no_grad():
        return model(**{k: v for k, v in batch.items() if k not in asked}).logits


def loss_per_token(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    target = labels[:, 1:]
    learned = target != NO_LOSS
    scores = torch.log_softmax(logits[:, :-1][learned].float(), dim=-1)
    return -scores.gather(1, target[learned][:, None])[:, 0]


logits = logits_of(nano.model, batch)
by_hand = loss_per_token(logits, batch["labels"])
by_hand.shape, by_hand.mean().item()

# %%
from ecg_r1.sft import TokenLoss

plain = TokenLoss(nano.processor, SFTConfig(number_smoothing=0, label_weight=1))
assert abs(plain(logits, batch["labels"]) - by_hand.mean()) < 1e-4, "the package's plain loss"
answer = [label for label in labels if label != NO_LOSS]
hardest = by_hand.topk(8).indices.sort().values.tolist()
words = tokenizer.batch_decode([[token] for token in answer])
{f"{words[i - 1]}[{words[i]}]": round(by_hand[i].item(), 2) for i in hardest}

# %% [markdown]
# Those are the tokens at which the shipped model was least sure, each with the one before it. Are
# they of one kind? Four kinds: numbers that were measured (a unit follows), diagnoses, either of
# them *said again* later in the text, and all other words.
#
# **Predict:** which kind costs the shipped model most, and which least?

# %%
guess_most, guess_least = None, None  # "words", "numbers", "diagnoses", "said again"

# %%
from ecg_r1.labels import LABELS
from ecg_r1.sft.loss import UNITS

names = {label.text for label in LABELS}


def kinds_of(answer: list[int]) -> list[str]:
    texts, kinds = tokenizer.batch_decode([[token] for token in answer]), []
    for place, text in enumerate(texts):
        number = text.strip().isdigit() and texts[place + 1].startswith(UNITS)
        kind = "numbers" if number else "diagnoses" if text.strip() in names else "words"
        again = kind != "words" and text.strip() in [t.strip() for t in texts[:place]]
        kinds.append("said again" if again else kind)
    return kinds


{kind: kinds_of(answer).count(kind) for kind in ("words", "numbers", "diagnoses", "said again")}

# %% [markdown]
# On a few patients that neither this corpus nor the shipped model's holds, signal and image shown:

# %%
import numpy as np

from ecg_r1.corpus import Task, make_row

n_exam = 2 if FAST else 12
exam = [
    make_row(Task("simulated", str(6_000_000 + seed), split="report")) for seed in range(n_exam)
]


def shown(row: dict, inputs: dict, environment: str) -> dict:
    sample = {name: row[name] for name in ("text", "unlearned")} | {"turns": []}
    given = {"ecg": inputs["signal"]} if "signal" in environment else {}
    given |= {"image": inputs["image"]} if "image" in environment else {}
    return sample | {"environment": environment} | given


# %%
from datasets import Dataset

table = Dataset.from_list(exam[:6])
at_exam = SFTData(table, nano.processor, SFTConfig())
inputs = [at_exam.plain_inputs(i) for i in range(len(table))]
exam_batch = collate(
    [shown(one, given, "signal+image") for one, given in zip(exam, inputs, strict=False)]
)
exam_kinds = []
for of_one in exam_batch["labels"]:
    exam_kinds += kinds_of(of_one[of_one != NO_LOSS].tolist())
exam_kinds = np.array(exam_kinds)


def by_kind(model: torch.nn.Module, batch: dict) -> dict[str, float]:
    costs = loss_per_token(logits_of(model, batch), batch["labels"]).numpy()
    return {
        str(kind): float(costs[exam_kinds == kind].mean()) for kind in np.unique(exam_kinds)
    }


of_nano = by_kind(nano.model, exam_batch)
bars({"shipped model: mean loss of a token": {k: {"loss": v} for k, v in of_nano.items()}})

# %%
most, least = max(of_nano, key=of_nano.get), min(of_nano, key=of_nano.get)
assert guess_most in (None, most), f"most is {most}: {of_nano[most]:.2f}"
assert guess_least in (None, least), f"least is {least}: {of_nano[least]:.2f}"
per_kind = {kind: float(np.mean(exam_kinds == kind)) for kind in of_nano}
{kind: f"{share:.0%} of the tokens" for kind, share in per_kind.items()}

# %% [markdown]
# What to notice: what needs a *look at the ECG* is a small share of the tokens, and most of the
# rest is a form that is the same every time. A mean loss can be low while every number is wrong.
#
# ## 4.4 Two departures from the plain loss
#
# Is 71 bpm as wrong as 140 when 72 was measured? For plain cross-entropy, yes. So the package spreads
# a measured number's target over its neighbours, and gives diagnoses more weight.

# %%
import math

target, width = 72, 0.02 * 72  # 2 % of the number
weights = [math.exp(-(((v - target) / width) ** 2) / 2) for v in range(700)]
spread = [weight / sum(weights) for weight in weights]

token_of = {v: tokenizer(f" {v}", add_special_tokens=False)["input_ids"] for v in range(60, 85)}
loss = TokenLoss(nano.processor, SFTConfig(number_smoothing=0.02, label_weight=3))
soft = loss.targets[loss.row_of[token_of[target][0]]]
for v, (token,) in token_of.items():
    assert abs(soft[loss.row_of[token]] - spread[v]) < 1e-3, f"{v} bpm"
shares = {f"{v} bpm": {"share of the target": spread[v]} for v in range(68, 77)}
bars({"what counts as right where 72 bpm was measured": shares})

# %% [markdown]
# Only a measured number at its first mention: a limit ("up to 110") and a number said again have one
# right value. But then a model that does just as it is asked pays something even for the right
# number, by the plain count of 4.3:


# %%
def floor(v: int) -> float:
    return math.log(sum(math.exp(-(((u - v) / (0.02 * v)) ** 2) / 2) for u in range(700)))


assert abs(floor(72) + math.log(spread[72])) < 1e-9, "minus the logarithm of the largest share"
{f"{v} {unit}": round(floor(v), 2) for v, unit in ((72, "bpm"), (160, "ms"), (400, "ms"))}

# %% [markdown]
# What to notice: fine-tuned like this, no model brings the bar of the numbers in 4.3 near 0, and how high
# it is does not say how wrong they are. 4.8 and 4.9 ask that otherwise.
#
# ## 4.5 What learns
#
# A *preset* says which parts learn, the others are frozen: their weights stay, and no gradient is
# kept for them. The paper's freezes both encoders.
#
# **Predict:** which share of the shipped model's weights learns under the paper's preset?

# %%
guess_learns = None  # between 0 and 1

# %%
import copy

import pandas as pd

from ecg_r1.sft import PRESETS, freeze
from ecg_r1.sft.parts import modules_of

model = copy.deepcopy(nano.model)
size_of = {
    part: sum({p: p.numel() for module in modules for p in module.parameters()}.values())
    for part, modules in modules_of(model).items()
}
counts = {}
for preset, parts in PRESETS.items():
    freeze(model, preset)
    by_package = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert by_package == sum(size_of[part] for part in parts), preset
    share = by_package / sum(size_of.values())
    counts[preset] = {"weights that learn, million": by_package / 1e6, "share": share}
share = counts["paper"]["share"]
assert guess_learns is None or abs(guess_learns - share) < 0.15, f"it is {share:.2f}"
pd.DataFrame(counts).T.round(2)

# %% [markdown]
# In the 8B the encoders are some 6 % of all weights: there nearly everything learns, and the
# optimiser's memory decides which machine you need.
#
# **LoRA** learns less: beside a frozen matrix of *out* x *in* weights it puts two thin ones, *out* x
# rank and rank x *in*, and learns only those.

# %%
from ecg_r1.sft.parts import with_lora

RANK = 8


def lora_weights(rank: int) -> int:
    layers = nano.model.model.language_model.layers
    linear = [m for m in layers.modules() if isinstance(m, torch.nn.Linear)]
    return sum(rank * (m.in_features + m.out_features) for m in linear)


thin = with_lora(copy.deepcopy(nano.model), RANK, "paper")
by_package = sum(p.numel() for n, p in thin.named_parameters() if "lora_" in n)
assert by_package == lora_weights(RANK), "rank x (in + out) for each linear layer"
learns = sum(p.numel() for p in thin.parameters() if p.requires_grad)
{
    "LoRA matrices": by_package,
    "with merger and projector": learns,
    "decoder": size_of["language"],
}

# %% [markdown]
# What to notice: mergers and projector learn as a whole beside LoRA: they are small, and they alone
# carry the ECG into the text.
#
# ## 4.6 Where to start
#
# Mostly one goes on from a trained model (4.10 does). But to *see* learning, start from nothing:
# the shipped model's encoders, and a new decoder, with fewer layers than nano's so that minutes
# are enough.
#
# **Predict:** what does a token cost a model that knows nothing? (To it, all words of its
# vocabulary are equally likely.)

# %%
guess_first_loss = None

# %%
from ecg_r1.loading import LoadedModel
from ecg_r1.model import ECGR1ForConditionalGeneration
from ecg_r1.nano import order_numbers

plan = copy.deepcopy(nano.model.config)
plan.text_config.num_hidden_layers = 2
torch.manual_seed(0)
student = ECGR1ForConditionalGeneration(plan).eval()
order_numbers(student, tokenizer, seed=0)  # 71 and 72 begin as neighbours
for part in ("ecg_tower", "visual"):
    trained = getattr(nano.model.model, part).state_dict()
    getattr(student.model, part).load_state_dict(trained)
freeze(student, "paper")
pupil = LoadedModel("minutes", student, nano.processor)
{"learns": sum(p.numel() for p in student.parameters() if p.requires_grad)}

# %%
at_start = by_kind(student, exam_batch)
first_loss = sum(per_kind[kind] * cost for kind, cost in at_start.items())
assert abs(first_loss - math.log(len(tokenizer))) < 0.5, "1 of so many words: ln(number)"
assert guess_first_loss is None or abs(guess_first_loss - first_loss) < 1, f"{first_loss:.2f}"
{"by hand": round(math.log(len(tokenizer)), 2), "measured": round(first_loss, 2)}

# %% [markdown]
# ## 4.7 Train for minutes
#
# The encoders are frozen, so what they make of a record never changes: it is computed once and
# kept, and each step runs the decoder alone. (Each record is kept as one slightly noisy copy; the
# shipped model learned from more of them.)

# %%
from ecg_r1.sft.features import encode_rows

features = encode_rows(student, nano.processor, corpus, folder / "features", variants=1)
steps, every = (8, 2) if FAST else (400, 20)
config = SFTConfig(
    steps=steps,
    batch_size=4 if FAST else 8,
    warmup_steps=2 if FAST else 25,
    save_steps=steps,
    log_steps=every,
    workers=0,
)
config.dropout, config.learning_rate, features.tower.shape, features.vision.shape

# %% [markdown]
# Modality dropout is on: each sample shows the signal, the image, or both. **Predict:** in how many
# of this run's samples does the image stand *before* the signal? And which kind of token will be the
# first to come halfway from the empty model's loss to the shipped one's, and which the last?

# %%
guess_image_first = None  # a number of samples
guess_first, guess_last = None, None  # "words", "numbers", "diagnoses", "said again"

# %% [markdown]
# While it trains you see two rows of curves. First the loss on what it learns from, by what was
# shown; then the loss on patients that it does *not* learn from, by kind of token (point at a curve for
# its numbers). At three steps it has to read one of those.

# %%
from ecg_r1 import interpret
from ecg_r1.corpus import row_ecg
from ecg_r1.dropout import ENVIRONMENTS
from ecg_r1.sft.features import computed

look_at = (every, steps // 4 // every * every, steps)
history, readings = {0: at_start}, {}


def read(loaded: LoadedModel) -> str:
    most = 60 if FAST else 200  # an empty model would go on and on
    asked = {"arms": ("both",), "max_new_tokens": most}
    return interpret(ecg=row_ecg(exam[0]), model=loaded, **asked)["both"].text


def on_log(line: dict) -> None:
    learned = {name[5:]: cost for name, cost in line.items() if name.startswith("loss/")}
    with computed(student):  # the encoders run after all: the exam's records were not kept
        history[line["step"]] = by_kind(student, exam_batch)
        curves.add(line["step"], **learned, **history[line["step"]])
        if line["step"] in look_at:
            readings[line["step"]] = read(pupil)


# %%
import logging
from contextlib import redirect_stderr
from io import StringIO

from ecg_r1.sft import train_sft

for talker in ("accelerate", "transformers.trainer", "transformers.trainer_utils"):
    logging.getLogger(talker).setLevel(logging.ERROR)
readings[0] = read(pupil)
curves = LiveCurves([*ENVIRONMENTS, *at_start], steps=steps, every=every)
with redirect_stderr(StringIO()) as as_text:
    told = train_sft(
        student,
        nano.processor,
        corpus,
        folder / "run",
        config,
        features=features,
        on_log=on_log,
    )
student.eval()
print(*[line for line in as_text.getvalue().splitlines() if "left" in line][-3:], sep="\n")

# %%
assert sum(told["environments"].values()) == config.steps * config.batch_size
drawn = SFTData(corpus, nano.processor, config).seen(config.steps)
assert {name: n for name, n in told["environments"].items() if n} == dict(drawn)
n_swapped = told["environments"]["image+signal"]
close = max(5, 0.5 * n_swapped)
assert guess_image_first is None or abs(guess_image_first - n_swapped) <= close, (
    f"{n_swapped}: half show both, and of these a tenth is swapped"
)
told["environments"], f"{told['seconds']:.0f} s"

# %% [markdown]
# What to notice: half of the samples show both, a twentieth the image first (notebook 3). The log
# counts what was really shown, and `SFTData` says beforehand what will be: they agree.
#
# ## 4.8 What came when
#
# For each kind, the first logged step at which the loss on unseen patients was halfway down from
# the empty model's to the shipped one's:

# %%
came = {}
for kind in of_nano:
    halfway = (at_start[kind] + of_nano[kind]) / 2
    reached = [step for step, costs in history.items() if costs[kind] <= halfway]
    came[kind] = reached[0] if reached else math.inf  # not in this run
first, last = min(came, key=came.get), max(came, key=came.get)
told_first, told_last = (came.get(guess) for guess in (guess_first, guess_last))
assert guess_first is None or told_first == came[first], f"{first} came first: {came}"
assert guess_last is None or told_last == came[last], f"{last} came last: {came}"
panel = {kind: (list(history), [costs[kind] for costs in history.values()]) for kind in of_nano}
lines({"loss on unseen patients, by kind of token": panel}, "step")

# %%
ends = {"empty": at_start, "after minutes": history[config.steps], "shipped": of_nano}
last_loss = sum(per_kind[kind] * cost for kind, cost in history[config.steps].items())
assert last_loss < first_loss, "it learned something"
pd.DataFrame(ends).assign(halfway_at_step=came).round(2)

# %% [markdown]
# Halfway down is not *read*: to know which numbers are usual is worth a lot already. So ask again, with
# the same texts to foretell and the ECG of *another* patient to look at. Where a model looks, its loss
# must rise.
#
# **Predict:** for which kinds does it rise in the shipped model?

# %%
guess_rises = None  # a set of kinds

# %%
swapped = dict(exam_batch)
swapped["ecg_values"] = swapped["ecg_values"].roll(1, dims=0)
patches = swapped["pixel_values"]  # of all pages, one below the other
swapped["pixel_values"] = patches.roll(len(patches) // len(swapped["ecg_values"]), dims=0)
rises = {}
for name, model in (("after minutes", student), ("shipped", nano.model)):
    own, others = by_kind(model, exam_batch), by_kind(model, swapped)
    rises[name] = {kind: {"rise": others[kind] - own[kind]} for kind in own}
bars({f"{name}: loss added by another's ECG": rows for name, rows in rises.items()})

# %%
look = {kind for kind, rise in rises["shipped"].items() if rise["rise"] > 0.2}
assert "numbers" in look, "the shipped model takes its numbers from the ECG"
assert guess_rises in (None, look), f"it rises for {look}"
{
    "of the shipped model's rise, after minutes": {
        kind: f"{rises['after minutes'][kind]['rise'] / rises['shipped'][kind]['rise']:.0%}"
        for kind in look
    }
}

# %% [markdown]
# What to notice: most words need no ECG, so hardly anything is added there. The last line says how
# far this run came from *knowing what is usual* to *reading*.
#
# The same ECG, read on the way. First from nothing, then after the first few steps, then after a
# quarter of the run:

# %%
readings[0][:200]

# %%
readings[look_at[0]][:400]

# %%
print(readings[look_at[1]].strip())

# %% [markdown]
# At the end, and below it what was to be written:

# %%
print(readings[config.steps].strip())

# %%
print(exam[0]["text"])

# %% [markdown]
# What to notice: most tokens are form, so the form is there long before the content. A reading can
# look finished when nothing in it was read from the ECG: its numbers are *usual* numbers. Compare
# them with those below, one by one. Whether this run came as far as reading is a matter of its
# minutes; 4.9 measures it. (In FAST mode it cannot: that is a handful of steps.)
#
# ## 4.9 Beside the shipped model, arm by arm
#
# On patients that neither has seen, and on the real records in `assets/`. Both models get the same
# inputs and write greedily. *Constant* looks at nothing: it answers each ECG with the median of
# these very rates and with "sinus rhythm; normal ecg".
#
# **Predict:** in which measure does the minutes-old model come closest to the shipped one: share of
# readings in the right form, error of the heart rate, or overlap of the labels?

# %%
guess_closest = None  # "well formed", "heart rate", "labels"

# %%
import json

from ecg_r1.corpus.sources import labels_of_wordings
from ecg_r1.evaluate import read_rows, summarise
from ecg_r1.shipped import shipped

real = []
for example in json.loads(shipped("ecgs/examples.json").read_text(encoding="utf-8")):
    if "age 11" in example["title"]:
        continue  # a child: neither model learned from any
    labels, _ = labels_of_wordings(example["known_label"].split(";"))
    file = str(shipped(f"ecgs/{example['file']}"))
    real.append(make_row(Task("examples", file, labels=labels)))
real = real[:1] if FAST else real
[(one["id"], one["labels"]) for one in real]

# %%
wanted = {
    "well_formed": "well formed",
    "hr_bpm_mae": "heart rate, error (bpm)",
    "hr_bpm_n": "texts with a rate",
    "label_jaccard": "labels, overlap",
}
scores = {}
for group, some in (("simulated", exam), ("real", real)):
    for loaded in (pupil, nano):
        found = summarise(read_rows(some, loaded))
        for arm, one in found.items():
            name = arm if arm == "constant" else f"{loaded.name}, {arm}"
            scores[group, name] = {words: one.get(key) for key, words in wanted.items()}
compared = pd.DataFrame.from_dict(scores, orient="index").astype(float).round(2)
compared

# %%
simulated = compared.loc["simulated"]
overlaps = simulated["labels, overlap"].items()
bars(
    {"overlap of labels, simulated patients": {who: {"Jaccard": v} for who, v in overlaps}},
    mark="constant",
)

# %%
ours, theirs = simulated.loc["minutes, both"], simulated.loc["nano, both"]
assert compared["well formed"].dropna().between(0, 1).all()
assert compared["labels, overlap"].between(0, 1).all()
assert theirs["well formed"] > 0.5, "the shipped model writes readings"
gaps = (theirs - ours).rename({"heart rate, error (bpm)": "heart rate, error (bpm, minus)"})
{"you said": guess_closest} | gaps.drop("texts with a rate").round(2).to_dict()

# %% [markdown]
# Read the table line by line, not as one number:
# - Is a heart rate nearer than the *constant's*? If not, nobody read it from the ECG.
# - Is one arm of the minutes-old model behind the others? Each of signal and image was the only
#   thing shown in about a quarter of its samples.
# - Real against simulated: this corpus holds no real ECG, the shipped model's does. The real ones
#   are few and carry one or two labels each, so an overlap moves in large steps: a demonstration,
#   not an evaluation (notebook 7).
#
# ## 4.10 Killed and continued
#
# Runs are cut: by a time limit, a full disk, a closed laptop. Every few steps a *state* is saved:
# weights, the optimiser's averages, the place in the data. Here the *shipped* model goes on
# learning, four steps, with a state after every second one, and the run is killed at step 3. (Its
# encoders are those of 4.7, so what they made of the records serves again.)
#
# **Predict:** at which step does it go on? And will its losses be those of a run that was not cut?

# %%
guess_goes_on_at, guess_same = None, None  # a number; True or False

# %%
from contextlib import suppress

few = SFTConfig(
    steps=4,
    batch_size=2,
    warmup_steps=1,
    learning_rate=1e-4,
    save_steps=2,
    log_steps=1,
    workers=0,
)


# %%
def go_on(place: str, kill_at: int | None = None) -> dict[int, float]:
    model, heard = copy.deepcopy(nano.model), {}
    freeze(model, "paper")

    def hear(line: dict) -> None:
        heard[line["step"]] = line["loss"]
        if line["step"] == kill_at:
            raise KeyboardInterrupt  # as if somebody stopped it

    with redirect_stderr(StringIO()), suppress(KeyboardInterrupt):
        train_sft(
            model, nano.processor, corpus, folder / place, few, features=features, on_log=hear
        )
    return heard


# %%
whole = go_on("whole")
before_kill, after_kill = go_on("cut", kill_at=3), go_on("cut")
legs = {"whole": whole, "until it was killed": before_kill, "continued": after_kill}
pd.DataFrame(legs).rename_axis("step").round(4)

# %%
goes_on_at = min(after_kill)
assert goes_on_at == 3, "the newest state was that of step 2"
for leg in (before_kill, after_kill):
    assert all(abs(cost - whole[step]) < 1e-3 for step, cost in leg.items()), "the same losses"
assert guess_goes_on_at in (None, goes_on_at), f"it went on at step {goes_on_at}"
assert guess_same in (None, True), "what a sample shows depends on seed, epoch and id alone"
{"first loss, new decoder": round(first_loss, 2), "shipped model": round(whole[1], 2)}

# %% [markdown]
# What to notice: step 3 was done twice and counts once; nothing else changed. Place, noise and
# environment of a sample follow from numbers, not from what happened to be drawn before it. The
# last line says how far below a new decoder the shipped model starts. For long on a *small* corpus, it
# would learn those patients and forget others.
#
# ## 4.11 Your own record
#
# Both models on it. Run on your own machine, nothing leaves it.

# %%
my_file = None  # "my_record.hea", "my_record.dcm"; a CSV needs fs= and units=
if my_file:
    from ecg_r1 import read_ecg

    for loaded in (pupil, nano):
        mine = interpret(ecg=read_ecg(my_file), model=loaded, arms=("signal",))["signal"]
        print(f"{loaded.name}: {mine.text}\n")

# %% [markdown]
# ## 4.12 Eight GPUs
#
# The same `train_sft` trains the released 8B, with several processes. A batch is *global*: 64
# samples on eight GPUs are eight each, in passes of as many as fit.

# %%
passes = (64 // 8) // 4
assert SFTConfig(batch_size=64, micro_batch=4).micro(processes=8) == (4, passes)
learns, frozen = 8.37e9, 0.50e9  # weights of the 8B under the paper's preset
bytes_of = {
    "weights, gradients, AdamW's two averages (float32)": 16 * learns / 8,
    "frozen encoders (float32)": 4 * frozen / 8,
    "activations of 4 x 4,096 tokens, checkpointed": 36 * 4 * 4096 * 4096 * 2,
    "scores of 4 x 2,000 learned tokens, 3 copies": 3 * 4 * 2000 * 151_672 * 4,
}
{what: f"{size / 1e9:.2f} GB on each GPU" for what, size in bytes_of.items()}

# %% [markdown]
# Computed from sizes, **not produced by a run**. FSDP cuts weights, gradients and averages into
# eight shards and gathers one layer at a time. From a checkout of the repository, with a corpus
# that `python -m ecg_r1 corpus` made:
#
# ```sh
# accelerate launch --config_file configs/fsdp_8x80gb.yaml -m ecg_r1 sft --data corpus \
#     --model base --preset paper --batch-size 64 --micro-batch 4 --learning-rate 2e-5 \
#     --gradient-checkpointing
# ```
#
# On one GPU: `--lora-rank 16` and a smaller batch. `base` is a Qwen3-VL into which
# `python -m ecg_r1 tower assemble` put the pretrained ECG tower *last* (notebook 2, "don't"). A
# tower that was never trained is refused where it would be frozen.
#
# ## 4.13 What to remember
#
# - **Do** look at the loss by kind of token and by environment, and at readings of ECGs that were
#   not learned from.
# - **Don't** trust a low mean loss, or a reading because its form is right: the form comes first.
# - **Limit:** the texts are what a program wrote from what a program measured. At best the model
#   learns to agree with them.
#
# ### Exercise 1: what is learned?
# A conversation of several turns, as tokens (`flat`). Write `labels_of(turns)`: one label for each
# token: the token itself where it is learned, else None. Every answer is learned, and its end.

# %%
labels_of = None  # a function turns -> list
talk = [
    ("user", ["Which", "rate", "?"]),
    ("assistant", ["72", "bpm"]),
    ("user", ["And", "rhythm", "?"]),
    ("assistant", ["sinus"]),
]
flat = [t for who, said in talk for t in ("<|im_start|>", who, *said, "<|im_end|>")]


def check_1(function) -> str:
    if function is None:
        return f"write a function into labels_of; the tokens: {flat}"
    found = function(talk)
    assert len(found) == len(flat), f"{len(found)} labels for {len(flat)} tokens"
    assert "Which" not in found, "a question is learned: the model would ask instead of answer"
    assert "72" in found, "the first answer is not learned"
    assert "sinus" in found, "the last answer is not learned"
    assert "assistant" not in found, "whose turn it is, is given, not learned"
    assert found.count("<|im_end|>") == 2, "the end of an answer is learned, of a question not"
    pairs = zip(found, flat, strict=True)
    assert all(label in (None, token) for label, token in pairs), "a label at the wrong place"
    return "right"


# %%
check_1(labels_of)

# %% [markdown]
# ### Exercise 2: one step in several passes
# A batch that does not fit is split into passes. Each gives the *sum* of its losses and the number
# of its learned tokens. Write `step_loss(passes)`: the mean loss of a token of the whole step.

# %%
step_loss = None  # a function of a list of (sum of losses, learned tokens)


def check_2(function) -> str:
    if function is None:
        return "write a function into step_loss"
    found = function([(30.0, 10), (90.0, 90)])
    assert abs(found - 2.0) > 1e-6, (
        "a mean of means: a token of the short pass weighs nine fold"
    )
    assert abs(found - 60.0) > 1e-6, "that is a sum for each pass: divide by the tokens"
    assert abs(found - 1.2) < 1e-6, f"120 on 100 tokens, got {found}"
    return "right: so a step is the same however it is split"


check_2(step_loss)

# %% [markdown]
# ### Exercise 3: how thin is LoRA?
# Which is the highest rank at which nano's LoRA matrices are at most a tenth of its decoder?
# (`lora_weights(rank)` and `size_of["language"]` are above.)

# %%
answer_3 = None


def check_3(rank: int | None) -> str:
    if rank is None:
        return "write a number into answer_3"
    assert rank >= 1, f"a rank is 1 at least, got {rank}"
    share, more = (lora_weights(r) / size_of["language"] for r in (rank, rank + 1))
    assert share <= 0.1, f"rank {rank} is {share:.1%}, more than a tenth"
    assert more > 0.1, f"rank {rank} is {share:.1%}: one higher still fits"
    return f"right: {share:.1%}"


check_3(answer_3)

# %% [markdown]
# **Sources.** ECG-R1, arXiv 2602.04279 (instruction tuning, what is frozen); Hu et al. 2021, LoRA,
# arXiv 2106.09685; Loshchilov and Hutter 2019, AdamW, arXiv 1711.05101; Zhao et al. 2023, PyTorch
# FSDP, arXiv 2304.11277. Spread targets for numbers and heavier diagnoses are this project's.
# Records A0002 to A0010: CPSC2018, CC BY 4.0; `waveform_ecg.dcm`: pydicom, MIT.
#
# ### Solutions


# %% tags=["solution"] jupyter={"source_hidden": true}
def solution_1(turns) -> list:
    labels = []
    for who, said in turns:
        answer = [*said, "<|im_end|>"]
        labels += [None, None] + (answer if who == "assistant" else [None] * len(answer))
    return labels


check_1(solution_1)

# %% tags=["solution"] jupyter={"source_hidden": true}
check_2(lambda passes: sum(cost for cost, _ in passes) / sum(tokens for _, tokens in passes))

# %% tags=["solution"] jupyter={"source_hidden": true}
check_3(int(size_of["language"] / 10 // lora_weights(1)))
