# %% [markdown]
# # 3 · Training with a missing modality
#
# You will
# - decide, for each training sample, which of signal and image the model gets to see,
# - write Interleaved Modality Dropout by hand, then find the same few lines in the package,
# - see the shipped model read with a modality missing, and where its readings part.
#
# | before this | minutes | memory | downloads | next |
# |---|---|---|---|---|
# | notebook 2 | under 1 to run on a CPU, 25 to work through | under 2 GB | none | notebook 4 |
#
# **For education and research only. Not a medical device; never use it to diagnose or treat.**

# %%
from ecg_r1.notebook import FAST, check_environment, picture

check_environment("torch", "transformers", "matplotlib")

# %% [markdown]
# ECG → measurements → protocol → text (01) → model (02) → **modality dropout (03)** →
# fine-tuning (04) → rewards (05) → reinforcement learning (06) → evaluation (07)
#
# ## 3.1 One record, four environments
#
# A hospital may have the digital signal, or only a print. A model that always saw both leans on
# whichever is easier. So each training sample shows one of four *environments*:

# %%
from ecg_r1 import draw_page, read_ecg
from ecg_r1.dropout import ENVIRONMENTS
from ecg_r1.shipped import shipped

ecg = read_ecg(shipped("ecgs/A0010.hea"))
picture(draw_page(ecg, layout="6x2"), width_px=700)

# %%
ENVIRONMENTS

# %% [markdown]
# ## 3.2 By hand
#
# With probability `p_drop` one of the two is hidden, each as likely as the other; never both.
# With probability `p_swap` the picture comes before the signal.

# %%
import random
from collections import Counter

rng = random.Random(0)
p_drop, p_swap = 0.5, 0.1


def draw() -> str:
    shown = ["signal", "image"]
    if rng.random() < p_drop:
        shown.remove(rng.choice(shown))
    if rng.random() < p_swap:
        shown.reverse()
    return "+".join(shown)


[draw() for _ in range(6)]

# %% [markdown]
# **Predict before you run on.** Over many samples, what share shows both, in either order?
# And what share shows the image first?

# %%
guess_both, guess_image_first = None, None  # numbers between 0 and 1

# %%
n = 20_000
seen = Counter(draw() for _ in range(n))
{name: round(seen[name] / n, 3) for name in ENVIRONMENTS}

# %%
both = (seen["signal+image"] + seen["image+signal"]) / n
image_first = seen["image+signal"] / n
assert abs(both - (1 - p_drop)) < 0.02
assert abs(image_first - (1 - p_drop) * p_swap) < 0.01, "a swap needs two to swap"
assert guess_both is None or abs(guess_both - both) < 0.05, f"measured {both:.3f}"
assert guess_image_first is None or abs(guess_image_first - image_first) < 0.03, (
    f"measured {image_first:.3f}: where only one is shown there is nothing to swap"
)

# %% [markdown]
# ## 3.3 The same thing in the package
#
# One difference matters more than it looks: the draw depends on (seed, epoch, sample id) and on
# nothing else. No worker, process or restart can change it.

# %%
from ecg_r1.dropout import ModalityDropout

dropout = ModalityDropout(p_drop=p_drop, p_swap=p_swap)
drawn = Counter(dropout.environment(f"record-{i}", seed=0, epoch=0) for i in range(n))
{name: round(drawn[name] / n, 3) for name in ENVIRONMENTS}

# %%
for name in ENVIRONMENTS:
    assert abs(drawn[name] - seen[name]) / n < 0.015, name
[dropout.environment("record-7", seed=0, epoch=epoch) for epoch in range(5)]

# %% [markdown]
# What to notice: the same record shows other things in other epochs, but ask twice and you get
# the same answer. The reference code draws from each data worker's own random state; forked
# workers then make identical decisions, which one finds only by counting.
#
# ## 3.4 Count before you believe
#
# The reference code applies its dropout twice to each training sample, by mistake. `draws=2`
# reproduces that.
#
# **Predict:** what share still shows both?

# %%
guess_twice = None

# %%
as_released = ModalityDropout(p_drop=p_drop, p_swap=p_swap, draws=2)
twice = Counter(as_released.environment(f"record-{i}", seed=0, epoch=0) for i in range(n))
share = (twice["signal+image"] + twice["image+signal"]) / n
assert abs(share - (1 - p_drop) ** 2) < 0.02, "it must survive two draws"
assert guess_twice is None or abs(guess_twice - share) < 0.05, f"measured {share:.3f}"
share

# %% [markdown]
# A quarter instead of a half: no error, no warning, another experiment than the one described.
#
# ## 3.5 What the model sees
#
# The environment decides the prompt. A placeholder stands for each token that an encoder will
# put in; what is hidden leaves no trace, not even a blank line.

# %%
import re

from ecg_r1 import load_model
from ecg_r1.processing import tower_input

nano = load_model("nano", device="cpu")
signal, page = tower_input(ecg, nano.processor.prompt), draw_page(ecg, **nano.page)


def prompt_in(environment: str) -> str:
    ecgs = [signal] if "signal" in environment else []
    pages = [page] if "image" in environment else []
    batch = nano.processor([environment], ecgs=ecgs, images=pages)
    text = nano.processor.tokenizer.decode(batch["input_ids"][0])
    pads = r"(<\|(?:ecg|image)_pad\|>)+"  # a long row of them, written short
    return re.sub(pads, lambda found: f"[{found[0].count('<')} pads]", text)


print(prompt_in("image+signal"))

# %%
print(prompt_in("signal"))

# %% [markdown]
# ## 3.6 Take a modality away
#
# The shipped model was trained with this dropout. The same record, three arms, one batch.
#
# **Predict:** do all three name the bundle branch block that the record is labelled with?

# %%
guess_all_name_it = None  # True or False

# %%
from ecg_r1 import interpret

readings = interpret(ecg=ecg, model=nano, max_new_tokens=60 if FAST else None)
{arm: reading.text[:160] for arm, reading in readings.items()}

# %%
assert set(readings) == {"signal", "image", "both"}
named = {arm: "right bundle branch block" in one.diagnoses for arm, one in readings.items()}
if guess_all_name_it is not None and not FAST:  # FAST cuts the readings before their answer
    assert guess_all_name_it == all(named.values()), f"named by: {named}"
named, {arm: reading.diagnoses for arm, reading in readings.items()}

# %% [markdown]
# What to notice: no arm is silent, and they need not agree. Where they disagree, at least one is
# wrong; notebook 7 finds out which, claim by claim. How much a missing modality costs on real
# records stands in the model card (`assets/nano/README.md`), next to the answer of a model that
# never looks.
#
# ## 3.7 Your own record
#
# A signal, a picture of a page, or both. Run on your own machine, nothing leaves it.

# %%
my_signal, my_picture = None, None  # "my_record.hea", "my_page.png"
if my_signal or my_picture:
    from pathlib import Path

    from ecg_r1.inputs import open_page_image

    mine = interpret(
        ecg=read_ecg(my_signal) if my_signal else None,
        image=open_page_image(Path(my_picture)) if my_picture else None,
        model=nano,
    )
    print(*[f"{arm}:\n{reading.text}" for arm, reading in mine.items()], sep="\n\n")

# %% [markdown]
# ## 3.8 What to remember
#
# - **Do** drop per sample, in the data path of training only, and log what was really seen.
# - **Don't** drop at evaluation, or between sampling an answer and scoring it: the probability
#   of the answer would belong to another input (notebook 6).
# - **Limit:** dropout shows the model *absence*. It does not teach it to notice a *wrong* image.
#
# ### Exercise 1: another rate
# Which `p_drop` makes "signal only", "image only" and "both" equally frequent?

# %%
answer_1 = None


def check_1(p: float | None) -> str:
    if p is None:
        return "write a number into answer_1"
    count = Counter(
        ModalityDropout(p_drop=p).environment(str(i), seed=1, epoch=0) for i in range(9000)
    )
    shares = [count["signal"] / 9000, count["image"] / 9000]
    assert abs(shares[0] - 1 / 3) < 0.02, f"signal only: {shares[0]:.2f}, wanted 0.33"
    return "right"


check_1(answer_1)

# %% [markdown]
# ### Exercise 2: a worker's bug
# `forked(worker)` imitates two data workers that were forked with the same random state: each
# draws for its own records. Write `fair(worker, record)` that gives each record its own
# decision, whichever worker loads it.

# %%
fair = None  # a function (worker, record) -> environment


def forked(worker: int) -> list[str]:
    state = random.Random(0)  # every worker starts alike
    return [state.choice(ENVIRONMENTS) for _ in range(8)]


def check_2(function) -> str:
    if function is None:
        return f"worker 0 and worker 1 draw the same list: {forked(0) == forked(1)}"
    table = [[function(worker, record) for record in range(200)] for worker in (0, 1)]
    assert table[0] == table[1], "a record's environment changed with the worker that loads it"
    assert len(set(table[0])) > 1, "every record got the same environment"
    return "right"


check_2(fair)

# %% [markdown]
# **Sources.** ECG-R1, arXiv 2602.04279 (Interleaved Modality Dropout). Record A0010: CPSC2018,
# CC BY 4.0.
#
# ### Solutions

# %% tags=["solution"] jupyter={"source_hidden": true}
check_1(2 / 3)

# %% tags=["solution"] jupyter={"source_hidden": true}
check_2(lambda worker, record: dropout.environment(str(record), seed=0, epoch=0))
