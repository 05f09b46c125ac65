# %% [markdown]
# # 5 · Rewards
#
# You will
# - pay four hand-written readings of one real ECG with the paper's rewards, by hand and by package,
# - see a list of cheats, which of them those rewards pay well, and why,
# - read texts as claims, pay for claims instead of words, and write a reward of your own.
#
# | before this | minutes | memory | downloads | next |
# |---|---|---|---|---|
# | notebook 1 (the text) | under 1 to run on a CPU, 40 to work through | under 1 GB | none | notebook 6 |
#
# **For education and research only. Not a medical device; never use it to diagnose or treat.**

# %%
from ecg_r1.notebook import bars, check_environment, trace

check_environment("matplotlib", "pandas")

# %% [markdown]
# ECG → measurements → protocol → text (01) → model (02) → modality dropout (03) →
# fine-tuning (04) → **rewards (05)** → reinforcement learning (06) → evaluation (07)
#
# Fine-tuning shows a model how readings sound. Reinforcement learning lets it write its own and
# pays for the better ones. What "better" means is decided here, and the model will do exactly
# what it is paid for.
#
# ## 5.1 One record, four readings
#
# A real ECG of an 81-year-old woman. Its data set labels it "atrial fibrillation".

# %%
from ecg_r1 import read_ecg
from ecg_r1.rewards.four import FOUR, RECORD
from ecg_r1.shipped import shipped

ecg = read_ecg(shipped(RECORD))
trace(ecg, ("II", "V1", "V4"), end_s=4)

# %% [markdown]
# Four readings of it, written by hand: one honest and right, in words of its own; one half right;
# one fluent and invented; one that wants a reward and commits itself to nothing.

# %%
print(FOUR["honest"])

# %%
print(FOUR["cheat"])

# %% [markdown]
# The other two stand in `FOUR["half right"]` and `FOUR["invented"]`; print them too.
#
# **Predict before you run on.** Whom will the paper's rewards pay most?

# %%
guess_best = None  # "honest", "half right", "invented" or "cheat"

# %% [markdown]
# ## 5.2 The paper's rewards, by hand
#
# Every prompt carries a solution: key phrases for each step, and the labels. The words are those
# of one writer; a model that was fine-tuned on that writer's texts often hits them, a person
# rarely.

# %%
from ecg_r1.rewards.four import SOLUTION

print(SOLUTION.replace("|>step", "|>\nstep"))

# %% [markdown]
# **Format**: 1 when there is something between `<think>` and `</think>`. **Diagnosis**: overlap
# of the labels, those in both divided by those in either (Jaccard).

# %%
import re


def format_by_hand(text: str) -> float:
    found = re.search(r"<think>(.*?)</think>", text, re.DOTALL)
    return float(bool(found and found[1].strip()))


def labels(text: str, start: str, end: str) -> set[str]:
    inside = text.lower().split(start)[1].split(end)[0]
    return {label.strip() for label in inside.split(";")}


def diagnosis_by_hand(text: str) -> float:
    told = labels(text, "<answer>", "</answer>")
    true = labels(SOLUTION, "<|answer|>", "<|/answer|>")
    return len(told & true) / len(told | true)


{name: (format_by_hand(text), diagnosis_by_hand(text)) for name, text in FOUR.items()}

# %% [markdown]
# The honest reading says "AF", and "af" is another string than "atrial fibrillation".
#
# **Evidence**: the share of a step's key phrases that stand in that step, letter by letter; then
# the mean over the steps.


# %%
def steps_of(text: str) -> dict[str, str]:
    return dict(re.findall(r"\*\*step (\d)[^*]*\*\*(.*)", text.lower()))


def phrases_of(solution: str) -> dict[str, list[str]]:
    block = solution.split("<|/key_diagnostic_evidence|>", 1)[0].lower()
    found = re.findall(r"step_(\d)_\w+: (.*)", block)
    return {number: phrases.split("; ") for number, phrases in found}


def evidence_by_hand(text: str) -> float:
    steps, shares = steps_of(text), []
    for number, phrases in phrases_of(SOLUTION).items():
        hits = [phrase in steps.get(number, "") for phrase in phrases]
        shares.append(sum(hits) / len(hits))
    return sum(shares) / len(shares)


{name: round(evidence_by_hand(text), 3) for name, text in FOUR.items()}

# %% [markdown]
# The package's version takes a batch and the data set's columns, as TRL's trainer hands them.

# %%
from ecg_r1.rewards import paper_diagnosis_reward, paper_evidence_reward, paper_format_reward

texts, solutions = list(FOUR.values()), [SOLUTION] * 4
hands = {
    paper_format_reward: format_by_hand,
    paper_diagnosis_reward: diagnosis_by_hand,
    paper_evidence_reward: evidence_by_hand,
}
for reward, by_hand in hands.items():
    told = reward(texts, solution=solutions)
    assert all(abs(a - by_hand(text)) < 1e-9 for a, text in zip(told, texts, strict=True))

# %% [markdown]
# A fourth one pays nothing and only takes: an answer that comes near the limit of its length
# loses up to 1, linearly over the last `cache` tokens.
#
# **Predict:** limit 2,048 tokens, cache 512. What does an answer of 1,792 tokens lose?

# %%
guess_lost = None

# %%
from ecg_r1.rewards import soft_overlong_reward

n_tokens, limit, cache = 1792, 2048, 512
by_hand = min(0.0, (limit - cache - n_tokens) / cache)
assert [by_hand] == soft_overlong_reward([""], completion_ids=[[0] * n_tokens])
assert guess_lost is None or abs(abs(guess_lost) + by_hand) < 0.01, f"it is {by_hand}"
by_hand

# %% [markdown]
# ## 5.3 Whom it pays

# %%
from ecg_r1.rewards import REWARDS

PARTS = ("format", "diagnosis", "evidence")


def earned(text: str, kind: str, **columns: list) -> dict[str, float]:
    functions = {part: REWARDS[f"{kind}_{part}"] for part in PARTS}
    return {
        part: function([text], solution=[SOLUTION], **columns)[0]
        for part, function in functions.items()
    }


paper = {name: earned(text, "paper") for name, text in FOUR.items()}
bars({"the paper's rewards": paper})

# %%
sums = {name: sum(parts.values()) for name, parts in paper.items()}
best = max(sums, key=sums.get)
assert best == "cheat"
assert sums["honest"] < sums["half right"]
assert guess_best in (None, best), f"you said {guess_best}; paid most is the {best}"

# %% [markdown]
# What to notice: the reading that says everything *and* its opposite wins. The honest one earns
# less than the half right one, because it found its own words. Nobody needs to cheat on purpose:
# a model tries many things, and repeats what it was paid for.
#
# ## 5.4 Claims instead of words
#
# Three words show what is wrong: "no ST elevation" contains "ST elevation".

# %%
key = ["step_4_ischemia_infarction_mimics: ST elevation"]
text = "<think>**Step 4: Ischemia** There is no ST elevation.</think>"
paper_evidence_reward([text], solution=key)

# %% [markdown]
# So first find out what a text *claims*: a finding, denied or not, in which leads, with which
# number. One parser does that for the corpus, the rewards and the audit of notebook 7.

# %%
import pandas as pd

from ecg_r1.claims.parse import parse_claims


def table_of(text: str) -> pd.DataFrame:
    columns = ("step", "name", "polarity", "leads", "value")
    rows = [[getattr(claim, column) for column in columns] for claim in parse_claims(text)]
    table = pd.DataFrame(rows, columns=columns, dtype=object)
    table["leads"] = table["leads"].map(" ".join)
    return table.where(table.notna(), "")


table_of(FOUR["honest"])

# %% [markdown]
# **Predict:** how many of the findings that the cheat affirms does it also deny?

# %%
guess_both = None

# %%
said = {(claim.name, claim.polarity) for claim in parse_claims(FOUR["cheat"])}
both = sorted(name for name, how in said if how == "present" and (name, "absent") in said)
assert len(both) >= 2
both

# %% [markdown]
# Now pay for claims. *Recall*: how much of the evidence was said. *Precision*: how much of what
# was said is evidence. F1, their harmonic mean, needs both: silence has no recall, and listing
# everything has no precision. By hand, for one step:

# %%
wanted = {("qtc_ms", "present"), ("u waves", "absent")}
text = "<think>**Step 5: Electrolytes & QT** QTc 363 ms. No U waves. Flat T waves.</think>"
told = {(claim.name, claim.polarity) for claim in parse_claims(text)}
recall = len(wanted & told) / len(wanted)
precision = len(wanted & told) / len(told)
f1 = 2 * precision * recall / (precision + recall)
recall, precision, f1

# %%
from ecg_r1.rewards import strict_evidence_reward

key = ["step_5_electrolytes_qt: QTc 363 ms; no U waves"]
assert abs(strict_evidence_reward([text], solution=key)[0] - f1) < 1e-9
variants = {
    "right": "QTc 363 ms. No U waves.",
    "within the tolerance": "QTc 366 ms. No U waves.",
    "another number": "QTc 463 ms. No U waves.",
    "denied": "QTc 363 ms. U waves are seen.",
}
inside = "<think>**Step 5: Electrolytes & QT** {}</think>"
{
    name: round(strict_evidence_reward([inside.format(words)], solution=key)[0], 2)
    for name, words in variants.items()
}

# %% [markdown]
# The strict reward does this for all steps, and five things more: a number counts within half of
# what an audit forgives; leads count by their overlap; a claim in the wrong step is worth a
# quarter; what the measurements contradict costs twice its share; and what they bear out beyond the
# evidence counts for nothing, so that truisms ("the rate is above 20") dilute nothing.
#
# ## 5.5 The four again
#
# The measured facts of the record go in as a column, as the corpus writes them.

# %%
from ecg_r1 import audit
from ecg_r1.auditing import facts_of

facts = facts_of(ecg)
measured = [facts.to_json()]
strict = {name: earned(text, "strict", measurements=measured) for name, text in FOUR.items()}
bars({"the paper's": paper, "strict": strict})

# %%
sums = {name: sum(parts.values()) for name, parts in strict.items()}
order = sorted(sums, key=sums.get, reverse=True)
assert order == ["honest", "half right", "cheat", "invented"]
pd.DataFrame({name: audit(text, facts).counts for name, text in FOUR.items()}).T

# %% [markdown]
# What to notice: "AF" now counts (labels have synonyms), the honest words count, and the invented
# reading keeps one point, for its form. A model paid like this learns the form first (notebook 6).
#
# ## 5.6 The cheats
#
# Each gets the solution, which no real model ever sees, and tries to be paid for it without
# reading the ECG:

# %%
from ecg_r1.rewards.cheats import CHEATS, honest

list(CHEATS)

# %% [markdown]
# Beside them stands an honest reading that knows half of the evidence.
#
# **Predict:** how many of the cheats earn more than that from the paper's rewards? From ours?

# %%
guess_paper, guess_strict = None, None

# %%
HALF = "honest, half right"
written = {"honest, all right": honest(SOLUTION), HALF: honest(SOLUTION, 0.5)}
written |= {name: cheat(SOLUTION) for name, cheat in CHEATS.items()}
table = {
    kind: {name: earned(text, kind, measurements=measured) for name, text in written.items()}
    for kind in ("paper", "strict")
}
bars(table, mark=HALF)  # the dashed line: half of it, honestly

# %%
above = {}
for kind, rows in table.items():
    total = {name: sum(parts.values()) for name, parts in rows.items()}
    above[kind] = [name for name in CHEATS if total[name] > total[HALF]]
above

# %%
assert len(above["paper"]) >= 3
assert above["strict"] == []
assert guess_paper in (None, len(above["paper"])), f"it is {len(above['paper'])}"
assert guess_strict in (None, len(above["strict"])), f"it is {len(above['strict'])}"

# %% [markdown]
# What to notice: the cheats know the *whole* solution, and under strict each earns less than someone
# who honestly knows half. Which one keeps the most, and of which part?
#
# One of them was invented by no person: a version of nano that was paid for true numbers learned
# within forty steps to write "Voltages not measurable", because wrong voltages cost and that did
# not. The strict reward now takes it for what it is, a false statement about the ECG.

# %%
best_cheat = max(CHEATS, key=lambda name: sum(table["strict"][name].values()))
best_cheat, {part: round(value, 2) for part, value in table["strict"][best_cheat].items()}

# %% [markdown]
#
# ## 5.7 A reward of your own
#
# Change `my_reward` and run the two cells again. This one pays for each different finding that is
# named, up to ten: which cheats does it fall for?


# %%
def my_reward(text: str, solution: str) -> float:
    names = {claim.name for claim in parse_claims(text[:20_000])}
    return min(len(names), 10) / 10


def falls_for(reward) -> list[str]:
    least = reward(written[HALF], SOLUTION)
    return [name for name in CHEATS if reward(written[name], SOLUTION) > least]


falls_for(my_reward)

# %%
mine = {name: {"earned": my_reward(text, SOLUTION)} for name, text in written.items()}
bars({"my reward": mine}, mark=HALF)

# %% [markdown]
# ## 5.8 Your own record and reading
#
# Run on your own machine, nothing leaves it. A picture alone cannot be checked.

# %%
my_file, my_reading = None, "Sinus rhythm, heart rate 72 bpm. No ST elevation."
mine = read_ecg(my_file) if my_file else ecg
print(audit(my_reading, mine).to_text())

# %% [markdown]
# ## 5.9 What to remember
#
# - **Do** write the cheat before you trust the reward, and keep the table as a test.
# - **Don't** look at the sum alone: a reward that rises may be the length or the form.
# - **Limit:** a reward sees claims, not understanding. What its parser cannot read it cannot pay,
#   and what nobody measured it cannot check.
#
# ### Exercise 1: the answer's overlap
# The truth is "atrial fibrillation; st depression", a model answers "atrial fibrillation; left
# bundle branch block; normal ecg". The paper's reward (Jaccard), and the strict one (F1)?

# %%
answer_1 = None  # (jaccard, f1)


def check_1(answer: tuple[float, float] | None) -> str:
    if answer is None:
        return "write two numbers into answer_1"
    jaccard, f1 = answer
    assert abs(jaccard - 2 / 5) > 0.01, "that is F1: Jaccard divides by the labels in either"
    assert abs(jaccard - 1 / 4) < 0.01, f"{jaccard:.2f}: one label is in both; in either?"
    assert abs(f1 - 2 / 5) < 0.01, f"{f1:.2f}: 2 x hits / (told + true), with 3 told and 2 true"
    return "right"


check_1(answer_1)

# %% [markdown]
# ### Exercise 2: be the cheat
# Write a completion that the paper's evidence reward pays at least 0.9, and in which *no* finding
# is affirmed. `phrases_of(SOLUTION)` has the phrases; mind the headings (`**Step 1: ...**`) and what
# "no no ST elevation" means.

# %%
cheat_2 = None  # a text


def check_2(text: str | None) -> str:
    if text is None:
        return "write a text into cheat_2"
    score = paper_evidence_reward([text], solution=[SOLUTION])[0]
    missing = {
        n: [p for p in phrases if p not in steps_of(text).get(n, "")]
        for n, phrases in phrases_of(SOLUTION).items()
    }
    assert score >= 0.9, f"paid {score:.2f}; not found in their steps: {missing}"
    claims = [c for c in parse_claims(text) if c.polarity == "present" and c.kind == "finding"]
    assert not claims, f"affirmed: {[claim.text for claim in claims]}"
    return f"right; strict pays it {earned(text, 'strict')['evidence']:.2f}"


check_2(cheat_2)

# %% [markdown]
# ### Exercise 3: a reward that holds
# Write a reward `(text, solution) -> number` that falls for none of the cheats, and pays an
# all-right reading more than a half-right one. You may use `parse_claims` and everything above.

# %%
reward_3 = None  # a function (text, solution) -> number


def check_3(reward) -> str:
    if reward is None:
        return "write a function into reward_3"
    half, whole = (reward(written[name], SOLUTION) for name in (HALF, "honest, all right"))
    assert whole > half, f"all right earns {whole:.2f}, half right {half:.2f}: does it read?"
    fallen = falls_for(reward)
    assert not fallen, f"falls for: {', '.join(fallen)}"
    return "right"


check_3(reward_3)

# %% [markdown]
# **Sources.** ECG-R1, arXiv 2602.04279 (the rewards, and the form of the solution); Yu et al.
# 2025, DAPO, arXiv 2503.14476 (over-long answers); Skalse et al. 2022, arXiv 2209.13085 (what
# reward hacking is). Record A0003: CPSC2018, CC BY 4.0; the readings are ours.
#
# ### Solutions

# %% tags=["solution"] jupyter={"source_hidden": true}
check_1((1 / 4, 2 / 5))


# %% tags=["solution"] jupyter={"source_hidden": true}
def denied(phrase: str) -> str:  # "no no ST elevation" would affirm it
    return phrase if phrase.startswith("no ") else f"There is no {phrase}"


lines = [
    f"**Step {number}: Denied** " + ". ".join(map(denied, phrases))
    for number, phrases in phrases_of(SOLUTION).items()
]
check_2("<think>" + "\n".join(lines) + "</think>")


# %% tags=["solution"] jupyter={"source_hidden": true}
def denied_too(claim: tuple, told: set[tuple]) -> bool:
    return len({polarity for _, name, polarity, *_ in told if name == claim[1]}) > 1


# %% tags=["solution"] jupyter={"source_hidden": true}
def claims_paid(text: str, solution: str) -> float:
    if not REWARDS["strict_format"]([text])[0]:
        return 0.0
    wanted = {
        (int(number), claim.name, claim.polarity, claim.leads, claim.value)
        for number, phrases in phrases_of(solution).items()
        for claim in parse_claims(". ".join(phrases))
    }
    told = {
        (claim.step, claim.name, claim.polarity, claim.leads, claim.value)
        for claim in parse_claims(text)
        if claim.step in range(1, 7)
    }
    hits = {claim for claim in wanted & told if not denied_too(claim, told)}
    # What the answer key holds a number of is measurable.
    withheld = sum(claim.qualifier == "not measurable" for claim in parse_claims(text))
    evidence = 2 * max(len(hits) - withheld, 0) / (len(wanted) + len(told))
    return evidence + REWARDS["strict_diagnosis"]([text], solution=[solution])[0]


check_3(claims_paid)
