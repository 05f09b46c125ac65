# %% [markdown]
# # 2 · The model
#
# You will
# - follow one ECG through the tower and the projector into the language model, shape by shape,
# - find out where its 101 tokens come from,
# - load the shipped model, read an ECG with it, and know what changes for the released 8B.
#
# | before this | minutes | memory | downloads | next |
# |---|---|---|---|---|
# | notebook 1 | under 2 to run on a CPU, 40 to work through | under 2 GB | none (the 8B: 17.7 GB, optional) | notebook 3 |
#
# **For education and research only. Not a medical device; never use it to diagnose or treat.**

# %%
from ecg_r1.notebook import FAST, check_environment, picture, trace

check_environment("torch", "transformers", "matplotlib")

# %% [markdown]
# ECG → measurements → protocol → text (01) → **model (02)** → modality dropout (03) →
# fine-tuning (04) → rewards (05) → reinforcement learning (06) → evaluation (07)
#
# ## 2.1 What goes in
#
# Ten seconds at 500 Hz. The tower cuts them into patches of 50 samples: 0.1 s, two and a half
# small squares.

# %%
from ecg_r1 import read_ecg
from ecg_r1.shipped import shipped

ecg = read_ecg(shipped("ecgs/A0003.hea"))
trace(ecg, ("II", "V1"), end_s=4)

# %% [markdown]
# **Predict before you run on.** How many tokens does the language model get for one ECG? (One
# per patch, and one more.)

# %%
guess_tokens = None

# %%
import torch

from ecg_r1 import load_model
from ecg_r1.processing import tower_input

nano = load_model("nano", device="cpu")  # where the tensors of this notebook lie
signal = torch.from_numpy(tower_input(ecg, nano.processor.prompt))[None]
signal.shape  # (ECGs, leads, samples)

# %% [markdown]
# ## 2.2 The tower by hand
#
# A vision transformer in one dimension: convolution to patches, a class token in front, learned
# positions added, a norm, then blocks of attention and MLP.

# %%
tower = nano.model.model.ecg_tower.eval()
with torch.no_grad():
    patches = tower.conv1(signal).transpose(1, 2)
    cls = tower.class_embedding.expand(1, 1, -1)
    tokens = torch.cat([cls, patches], dim=1) + tower.positional_embedding
    tokens = tower.ln_pre(tokens)
    for block in tower.transformer.resblocks:
        tokens = block(tokens)
patches.shape, tokens.shape

# %%
with torch.no_grad():
    assert torch.allclose(tokens, tower(signal), atol=1e-5), "the package does the same"
assert tokens.shape[1] == 5000 // 50 + 1
assert guess_tokens in (None, tokens.shape[1]), f"{tokens.shape[1]}: did you forget the class?"

# %% [markdown]
# 5000 samples / 50 = 100 patches, and the class token: 101. The released 8B makes as many, each 768
# numbers wide; nano's width is the last number above. Both leave out the contrastive head of
# ECG-CoCa (`ln_post`, `proj`), which the checkpoint carries all the same.
#
# ## 2.3 The projector
#
# Tower and language model speak in vectors of different width (in the 8B 768 and 4096 numbers).
# Two linear layers with a GELU between them translate.

# %%
with torch.no_grad():
    first, gelu, second = nano.model.model.ecg_projector
    projected = second(gelu(first(tokens)))
    assert torch.allclose(projected, nano.model.model.get_ecg_features(signal), atol=1e-5)
tokens.shape, projected.shape

# %% [markdown]
# ## 2.4 Into the text
#
# In the prompt, copies of `<|ecg_pad|>` keep the places, one for each token. Their embeddings are
# replaced by the projected tokens before the first layer runs. From there on it is a language model.

# %%
batch = nano.processor(["signal"], ecgs=[signal[0].numpy()])
ids = batch["input_ids"][0]
pads = ids == nano.processor.ecg_token_id
pads.sum().item(), nano.processor.tokenizer.decode(ids[~pads])

# %%
with torch.no_grad():
    embeds = nano.model.get_input_embeddings()(ids)[None].clone()
    embeds[0, pads] = projected[0]
    places = torch.arange(len(ids)).expand(3, 1, -1)  # time, height and width of plain text
    by_hand = nano.model(inputs_embeds=embeds, position_ids=places).logits
    by_package = nano.model(input_ids=ids[None], ecg_values=signal).logits
assert torch.allclose(by_hand, by_package, atol=1e-3), "the same scores for each next token"
embeds.shape, by_hand.shape

# %% [markdown]
# **Predict:** one placeholder too few. Does the model (a) shift the tokens, (b) leave the ECG
# out, (c) refuse?

# %%
guess_refuses = None  # "a", "b" or "c"

# %%
from contextlib import suppress

short = ids[torch.arange(len(ids)) != int(pads.nonzero()[0])]
it_ran = False
with suppress(ValueError):
    nano.model(input_ids=short[None], ecg_values=signal)
    it_ran = True
assert not it_ran, "a mismatch must not run in silence"
assert guess_refuses in (None, "c"), f"you said {guess_refuses}: it raised an error instead"

# %% [markdown]
# The reference runs on: with fewer placeholders nothing is injected, with more the rows shift
# into the next sample of the batch, and the reading is about somebody else's heart.
#
# ## 2.5 The picture
#
# The page goes through Qwen3-VL's own vision tower: cut into square patches, and these merged side by
# side. The size of nano's page and of a patch in pixels, and how many patches a side are merged:

# %%
from ecg_r1 import draw_page

page, vision = draw_page(ecg, **nano.page), nano.processor.image_processor
page.size, vision.patch_size, vision.merge_size

# %% [markdown]
# **Predict:** how many tokens does the language model get for a page?

# %%
guess_image_tokens = None

# %%
seen = nano.processor(["image"], images=[page])
height, width = seen["image_grid_thw"][0, 1:].tolist()
merged = height * width // vision.merge_size**2
assert merged == (seen["input_ids"] == nano.processor.image_token_id).sum()
assert guess_image_tokens in (None, merged), f"{height} x {width} patches, then merged"
{"patches": (height, width), "tokens": merged}

# %%
picture(page, width_px=640)

# %% [markdown]
# ## 2.6 What comes out
#
# Before training the same network says nothing; after training it writes six steps. First the
# untrained one: same shape, random weights.

# %%
from ecg_r1.model import ECGR1ForConditionalGeneration

torch.manual_seed(0)
untrained = ECGR1ForConditionalGeneration(nano.model.config).eval()
with torch.no_grad():
    out = untrained.generate(**batch, max_new_tokens=30, do_sample=False)
nano.processor.tokenizer.decode(out[0, len(ids) :])

# %%
from ecg_r1 import interpret

readings = interpret(ecg=ecg, model=nano, max_new_tokens=80 if FAST else None)
print(readings["both"].text)

# %%
(
    {arm: reading.diagnoses for arm, reading in readings.items()},
    {
        arm: f"{reading.n_tokens / reading.seconds:.0f} tokens/s"
        for arm, reading in readings.items()
    },
)

# %% [markdown]
# This record is labelled atrial fibrillation. Which arm says so?

# %%
# FAST cuts the readings before their answer, and then none does.
{arm: "atrial fibrillation" in reading.diagnoses for arm, reading in readings.items()}

# %% [markdown]
# nano is small, and fluent whether it is right or wrong. Do not believe a sentence because it is
# well formed. Notebook 7 checks each one.
#
# ## 2.7 Where the parameters are
#
# **Predict:** nine tenths of the 8B's weights are its language model's. Which share of nano's?

# %%
guess_language = None  # between 0 and 1

# %%
model = nano.model.model
parts = {
    "ECG tower": model.ecg_tower,
    "projector": model.ecg_projector,
    "vision": model.visual,
    "language": model.language_model,
}
millions = {n: sum(p.numel() for p in part.parameters()) / 1e6 for n, part in parts.items()}
share = millions["language"] / sum(millions.values())
assert guess_language is None or abs(guess_language - share) < 0.15, f"it is {share:.2f}"
{name: f"{size:.2f} M, {size / sum(millions.values()):.0%}" for name, size in millions.items()}

# %% [markdown]
# What to notice: eyes do not shrink as a language does. A small model needs a larger share of its
# weights for looking.

# %% [markdown]
# ## 2.8 The released 8B
#
# The same classes, other numbers in the configuration: `load_model` takes a hub name. It needs a
# GPU with about 20 GB and 17.7 GB of download, so this cell only runs when you say so; before it
# downloads, it tells you whether disk and memory suffice.

# %%
LOAD_8B = False
if LOAD_8B:
    big = load_model("PKUDigitalHealth/ECG-R1-8B-RL")
    print(interpret(ecg=ecg, model=big)["both"].text)

# %%
n_weights = 8.87e9  # Qwen3-VL-8B with tower and projector
f"bf16: {2 * n_weights / 1e9:.1f} GB of weights"

# %% [markdown]
# ## 2.9 Your own record
#
# Run on your own machine, nothing leaves it.

# %%
my_file = None  # "my_record.hea", "my_record.dcm"; a CSV needs fs= and units=
if my_file:
    print(interpret(ecg=read_ecg(my_file), model=nano)["signal"].text)

# %% [markdown]
# ## 2.10 What to remember
#
# - **Do** check that placeholders and encoder tokens match in number, sample by sample.
# - **Don't** load a backbone *after* the tower: transformers initialises what its file lacks,
#   and the reference's tower is random from then on, frozen, without an error.
# - **Limit:** one patch is 100 ms. Where inside it the QRS ends, the tower must learn.
#
# ### Exercise 1: count
# How many tokens would 10 s make with patches of 25 samples, class token included?

# %%
answer_1 = None


def check_1(tokens: int | None) -> str:
    if tokens is None:
        return "write a number into answer_1"
    from ecg_r1.tower import TowerConfig

    assert tokens == TowerConfig(patch_size=25).tokens, "samples / patch size, and one more"
    return "right"


check_1(answer_1)

# %% [markdown]
# ### Exercise 2: does it look at the signal?
# Write `different(model, signal)`: True when the next-token scores of the prompt change if the
# signal is replaced by zeros. A model that fails this never looks.

# %%
different = None  # a function (model, signal) -> bool


def check_2(function) -> str:
    if function is None:
        return "write a function into different; `batch` holds the prompt"
    assert function(nano.model, signal), "nano does look: compare the last logits"
    assert not function(lambda **_: nano.model(**batch), signal), "a deaf model must fail"
    return "right"


check_2(different)

# %% [markdown]
# **Sources.** ECG-R1, arXiv 2602.04279; ECG-Chat, arXiv 2408.08849 (ECG-CoCa); Qwen3-VL (Qwen
# team, 2025). Record A0003: CPSC2018, CC BY 4.0.
#
# ### Solutions

# %% tags=["solution"] jupyter={"source_hidden": true}
check_1(5000 // 25 + 1)


# %% tags=["solution"] jupyter={"source_hidden": true}
def solution(model, signal: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        real = model(**{**batch, "ecg_values": signal}).logits[0, -1]
        zero = model(**{**batch, "ecg_values": torch.zeros_like(signal)}).logits[0, -1]
    return (real - zero).abs().max() > 1e-4


check_2(solution)
