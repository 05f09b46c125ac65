# %% [markdown]
# # 1 · From the trace to the text
#
# You will
# - apply a criterion by hand, find the same one in the package, and see where the paper's
#   threshold and the guideline's part,
# - follow a diagnosis back to the numbers and the samples that carry it,
# - have one plan written three times, plant an error and watch the verifier catch it,
# - make a small data set of instruction samples and write a criterion of your own.
#
# | before this | minutes | memory | downloads | next |
# |---|---|---|---|---|
# | notebook 0 | under 1 to run on a CPU, 50 to work through | under 1 GB | none | notebook 2 |
#
# **For education and research only. Not a medical device; never use it to diagnose or treat.**

# %%
from ecg_r1.notebook import FAST, check_environment, dials, picture, trace

check_environment("matplotlib", "datasets", "pandas")

# %% [markdown]
# ECG → **measurements → protocol → text (01)** → model (02) → modality dropout (03) →
# fine-tuning (04) → rewards (05) → reinforcement learning (06) → evaluation (07)
#
# Where does a model's training text come from? If a language model makes it up from labels, it
# invents the numbers. Here the order is the other way round: measure first, judge by sourced
# thresholds, decide what has to be said, and only then look for words.
#
# ## 1.1 A record, measured
#
# A real recording. The bands are what was measured in each lead: P, QRS, T.

# %%
from ecg_r1 import apply_protocol, measure, read_ecg
from ecg_r1.shipped import shipped

ecg = read_ecg(shipped("ecgs/A0010.hea"))
measured = measure(ecg)
trace(ecg, ("V1", "V6"), end_s=2.5, measurements=measured)

# %%
measured.hr_bpm, measured.pr_ms, measured.qrs_ms, measured.qtc_ms, measured.axis_deg

# %% [markdown]
# ## 1.2 One criterion by hand
#
# Another record, with tall waves. Sokolow and Lyon (1949) add the S wave in V1 to the R wave in
# V5 or V6, whichever is taller: 3.5 mV (35 small squares) and more speak for a thick left
# ventricle in adults over 35.

# %%
tall = read_ecg(shipped("ecgs/waveform_ecg.dcm"))
tall_measured = measure(tall)
trace(tall, ("V1", "V5", "V6"), end_s=2.5, measurements=tall_measured)

# %% [markdown]
# **Predict before you run on.** Count small squares from the level before the QRS: how deep is S
# in V1, how tall is R in V5, together how many mV?

# %%
guess_sum_mv = None

# %% [markdown]
# By hand: in each beat the highest (or lowest) sample of the QRS, against the sample where it
# begins; the middle one of all beats.

# %%
import numpy as np


def height(ecg, measured, lead, extreme):
    marks = measured.fiducials
    beats = marks[(marks["lead"] == lead) & (marks["wave"] == "QRS")].dropna()
    volts = ecg.lead(lead)
    spans = zip(beats["onset"].astype(int), beats["offset"].astype(int), strict=True)
    return float(np.median([extreme(volts[a:b]) - volts[a] for a, b in spans]))


s_v1 = -height(tall, tall_measured, "V1", np.min)
r_v5, r_v6 = (height(tall, tall_measured, lead, np.max) for lead in ("V5", "V6"))
round(s_v1, 2), round(r_v5, 2), round(r_v6, 2), round(s_v1 + max(r_v5, r_v6), 2)

# %% [markdown]
# The package's version is a *finding*: the number, the leads, the limit that applies to this
# person, whether it is met, and who says so.


# %%
def judge_record(ecg, measured):
    return apply_protocol(
        measured, age_years=ecg.age_years, sex=ecg.sex, calibrated=ecg.calibrated
    )


findings = {f.name: f for f in judge_record(tall, tall_measured).findings}
sokolow = findings["sokolow_lyon"]
print(sokolow.statement)
print(sokolow.source)

# %%
assert abs(sokolow.value - (s_v1 + max(r_v5, r_v6))) < 0.15, "ten lines and the package agree"
assert sokolow.met == (sokolow.value >= sokolow.threshold)
if guess_sum_mv is not None:
    assert abs(guess_sum_mv - sokolow.value) < 0.5, f"it is {sokolow.value:.2f} mV"

# %% [markdown]
# What to notice: nothing here is a matter of taste except the threshold, and that one has a name
# and a year.
#
# ## 1.3 The paper's threshold and the guideline's
#
# ECG-R1's protocol gives thresholds without sources, and some are not the guidelines'. The package
# uses the guideline's and keeps the paper's beside it.

# %%
import pandas as pd

from ecg_r1.protocol import CRITERIA

shown = ("sokolow_lyon", "qrs_wide", "axis_left", "st_elevation_lateral", "qtc_long")
pd.DataFrame(
    [
        (c.name, f"{c.comparator} {c.threshold:g} {c.unit}", c.paper_threshold, c.source)
        for c in CRITERIA
        if c.paper_threshold and c.name in shown
    ],
    columns=["criterion", "used here", "in the paper", "source of what is used"],
).style.hide(axis="index").set_properties(**{"text-align": "left"})

# %%
differ = [c.name for c in CRITERIA if c.paper_threshold]
assert len(differ) >= 10
len(CRITERIA), len(differ)

# %% [markdown]
# Does it matter? Here is one simulated heart with a little ST elevation in V2 and V3, at the J point
# (where the QRS ends). The Universal Definition asks for 0.15 mV there in women, 0.2 mV in men from
# 40 on; the paper for 2 mm (0.2 mV) in any chest lead, whoever it is.

# %%
from ecg_r1.simulate import HeartSpec, simulate

heart = simulate(HeartSpec(st_elevation_mv={"anterior": 0.2}, variation=0), seed=1)
heart_measured = measure(heart)
heart_measured.leads["j_mv"][["V1", "V2", "V3", "V4"]].round(2)

# %% [markdown]
# **Predict before you run on:** is there ST elevation in a woman of 55? In a man of 55? And if
# nobody tells the protocol whose ECG it is?

# %%
guess_woman, guess_man, guess_unknown = None, None, None  # True, False or "not judged"


# %%
def judged(measured, name, age_years=None, sex=None):
    found = apply_protocol(measured, age_years=age_years, sex=sex)
    met = {f.name: f.met for f in found.findings}[name]
    return "not judged" if met is None else met


people = {"a woman of 55": (55, "female"), "a man of 55": (55, "male"), "anyone": (None, None)}
woman, man, unknown = (
    judged(heart_measured, "st_elevation_anterior", *who) for who in people.values()
)
by_paper = bool((heart_measured.leads["j_mv"][["V2", "V3"]] >= 0.2).all())
woman, man, unknown, by_paper

# %%
assert (woman, man, unknown) == (True, False, "not judged")
assert by_paper is False, "the paper's limit misses this woman"
for name, told, true in (("woman", guess_woman, woman), ("man", guess_man, man)):
    assert told in (None, true), (
        f"{name}: you said {told}, the limit for this person says {true}"
    )
assert guess_unknown in (None, unknown), "with two limits and no person, neither yes nor no"

# %% [markdown]
# What to notice: one trace, three answers, all of them right. A criterion that ignores sex and age
# is wrong for one of these two. And "not judged" is an answer: the protocol never turns
# *unknown* into *no*.
#
# Now move the heart over its limits. Where does the woman's finding appear, and where the man's?
# First-degree AV block is a PR above 200 ms: does it appear where you *dial* more than 200?


# %%
def dialled(anterior_st_mv, pr_ms):
    st = {"anterior": anterior_st_mv}
    ecg = simulate(HeartSpec(st_elevation_mv=st, pr_ms=pr_ms, variation=0), seed=1)
    return ecg, measure(ecg)


def verdicts(made):
    j, pr = made[1].leads["j_mv"], made[1].pr_ms
    said = [f"{w}: {judged(made[1], 'st_elevation_anterior', *of)}" for w, of in people.items()]
    block = judged(made[1], "pr_long")
    return f"""J point measured in V2 {j["V2"]:.2f} mV, in V3 {j["V3"]:.2f} mV
ST elevation in {", in ".join(said)}
PR measured {pr:.0f} ms, first-degree AV block: {block}"""


dials(
    dialled,
    {"anterior_st_mv": (0, 0.4, 0.01, 0.2), "pr_ms": (140, 240, 2, 190)},
    verdicts,
    lambda made: trace(made[0], ("II", "V2", "V3"), end_s=2, measurements=made[1]),
)

# %% [markdown]
# What to notice: a finding is either met or not, the heart is not. A hundredth of a millivolt turns
# it over, and that is less than the measurement's own error: the protocol judges what was
# *measured*, which is not what was dialled. Close to a limit, read the number.
#
# ## 1.4 A diagnosis and what carries it
#
# Back to the first record. Which findings make its bundle branch block true?

# %%
found = judge_record(ecg, measured)
found.diagnoses, found.urgency.level

# %%
block = "right bundle branch block"
by_name = {f.name: f for f in found.findings}
for name in found.support[block]:
    print(by_name[name].statement, "--", by_name[name].source)

# %% [markdown]
# One of these is a width. It was measured from the first onset to the last offset of the QRS, and
# these are samples of the trace:

# %%
from ecg_r1.ecg import FS

beat = measured.fiducials.query("lead == 'global' and wave == 'QRS'").dropna().iloc[2]
width_ms = (beat["offset"] - beat["onset"]) * 1000 / FS
print(f"samples {beat['onset']:.0f} to {beat['offset']:.0f}: {width_ms:.0f} ms")
start_s = max(beat["onset"] / FS - 0.3, 0)
trace(ecg, ("V1",), start_s=start_s, end_s=start_s + 0.9, measurements=measured)

# %%
assert abs(width_ms - measured.qrs_ms) < 20, "one beat against the whole record"

# %% [markdown]
# **Predict before you run on:** we leave the trace as it is and write 100 ms where the QRS duration
# stands. Does the block stay, because V1 still shows its rSR'?

# %%
guess_block_stays = None  # True or False

# %%
from dataclasses import replace

narrow = judge_record(ecg, replace(measured, qrs_ms=100.0))
block_stays = block in narrow.diagnoses
assert not block_stays
assert guess_block_stays in (None, block_stays), "complete block needs a QRS of 120 ms and more"
narrow.diagnoses

# %% [markdown]
# What to notice: the diagnosis hung on that number. The protocol can say so; a model that was
# trained on labels alone cannot.
#
# ## 1.5 The plan: what has to be said
#
# Numbers come from the measurement, diagnoses from the *answer key* (here the data set's label).
# The plan joins them, step by step, before any word is chosen.

# %%
from ecg_r1.corpus.plan import make_plan

key = ("sinus rhythm", "right bundle branch block")
plan = make_plan(measured, found, key)
pd.DataFrame(
    [
        (one.claim.name, one.claim.value, one.claim.qualifier, one.claim.polarity, one.required)
        for one in plan.steps[2]
    ],
    columns=["what", "value", "in a word", "polarity", "must be said"],
).head(8)

# %% [markdown]
# ## 1.6 The text: one plan, three writers
#
# The template writer draws its words by a seed. So a model cannot learn a sentence by heart and
# call it a diagnosis.

# %%
from ecg_r1.corpus.template import write
from ecg_r1.report import format_report

texts = [
    format_report(write(plan, np.random.default_rng(seed), detail="standard"))
    for seed in (4, 3, 5)
]
for text in texts:
    print(text.splitlines()[2], end="\n\n")  # step 2 of each

# %% [markdown]
# **Predict before you run on.** Take the words of two of these texts as sets. What share of them
# do both use?

# %%
guess_share = None  # between 0 and 1

# %%
words = [set(text.lower().split()) for text in texts]
share = len(words[0] & words[1]) / len(words[0] | words[1])
assert share < 0.9
assert guess_share is None or abs(guess_share - share) < 0.2, f"measured {share:.2f}"
round(share, 2)

# %% [markdown]
# Other words, the same content? `parse_claims` finds the statements in any text: by hand we look for
# one number, the parser looks for all of them.

# %%
import re

from ecg_r1.claims.parse import parse_claims

number, unit = re.search(r"QRS\D*([\d.]+) (ms|s)\b", texts[0]).groups()
by_hand = float(number) * (1000 if unit == "s" else 1)
claims = [parse_claims(text) for text in texts]
widths = [{c.value for c in some if c.name == "qrs_ms" and c.value} for some in claims]
assert by_hand in widths[0], "the parser found the number that we found"
assert all(w == {float(round(measured.qrs_ms))} for w in widths), "and so in the others"
by_hand, widths

# %%
must = {(s.claim.name, s.claim.polarity) for s in plan.statements if s.required}
told = [{(c.name, c.polarity) for c in some} for some in claims]
assert all(must <= one for one in told), "each text says all that the plan requires"
len(must), [len(some) for some in claims]

# %% [markdown]
# ## 1.7 Plant an error
#
# A language model may be asked to write instead of the template. Then every text is checked before
# it may teach anyone: against the plan, and against the trace.

# %%
from ecg_r1.claims.facts import Facts
from ecg_r1.corpus.verify import verify

facts = Facts.of(measured, found, key=key, calibrated=True, person=(ecg.age_years, ecg.sex))
honest = format_report(write(plan, np.random.default_rng(0), detail="terse"))
assert all(verify(text, plan, facts).ok for text in [honest, *texts])
print(honest)

# %%
wrong = {
    "another number": honest.replace(f"{round(measured.qrs_ms)} ms", "96 ms"),
    "an infarction": honest.replace("\n</think>", " Acute inferior infarction.\n</think>"),
    "a no too many": honest.replace("\n**Step 3", " No bundle branch block.\n**Step 3"),
    "another answer": honest.replace("<answer>", "<answer>atrial fibrillation; "),
}
for name, text in wrong.items():
    print(f"{name}: {verify(text, plan, facts).problems[0]}")

# %%
assert honest not in wrong.values(), "each error was planted"
assert not any(verify(text, plan, facts).ok for text in wrong.values())

# %% [markdown]
# What to notice: the verifier does not compare with another text. It understands the sentence and
# asks the plan and the trace. (How this fools word-overlap scores: notebook 7.)
#
# ## 1.8 When answer key and measurement disagree
#
# Labels are wrong at times, and so are measurements. Three keys for the same record:
#
# **Predict before you run on:** which of them still gets a reading?

# %%
keys = {
    "A": ("sinus tachycardia", "right bundle branch block"),
    "B": ("sinus rhythm", "normal ecg"),
    "C": ("sinus rhythm", "right bundle branch block", "left ventricular hypertrophy"),
}
guess_readable = None  # a letter

# %%
from ecg_r1.corpus.contradiction import contradiction

reasons = {name: contradiction(measured, found, one) for name, one in keys.items()}
assert [name for name, reason in reasons.items() if reason is None] == ["C"]
assert guess_readable in (None, "C"), f"{guess_readable}: {reasons[guess_readable]}"
reasons

# %% [markdown]
# A and B contradict the trace: no row is made, and the reason is kept. C names a hypertrophy that
# the voltages do not show. An ECG can miss one, so the label stays, and the text must not pretend:

# %%
doubtful = make_plan(measured, found, keys["C"])
print(write(doubtful, np.random.default_rng(0), detail="standard").steps[3])
doubtful.left_out

# %%
assert any("hypertrophy unconfirmed" in reason for reason in doubtful.left_out)

# %% [markdown]
# ## 1.9 Evidence, and a row
#
# For reinforcement learning (notebooks 5 and 6) each row also carries its evidence: per step the
# claims of a good reading, and phrases of this text in the paper's format.

# %%
from ecg_r1.corpus.evidence import evidence, solution

assert {c["name"] for c in evidence(plan)["step_2_conduction_axis_intervals"]} >= {
    "qrs_ms",
    block,
}
print(solution(plan, texts[0]))

# %% [markdown]
# Five real records with their data set's label, and some simulated patients. The seed and the
# record's id decide page and words, so the same rows come out on any machine.

# %%
import json
import tempfile
from pathlib import Path

from ecg_r1.corpus import Plant, RowMaker, Task, build_corpus, row_page, simulated_tasks
from ecg_r1.labels import canonical

examples = json.loads(shipped("ecgs/examples.json").read_text(encoding="utf-8"))
labels = {one["file"]: canonical(one["known_label"]) for one in examples}  # our names
real = [
    Task("cpsc2018", str(shipped(f"ecgs/{name}")), labels=(label,))
    for name, label in labels.items()
    if name.startswith("A0")
]
tasks = [*real, *simulated_tasks(2 if FAST else 5, first_seed=500)]
scratch = tempfile.TemporaryDirectory()
rows = build_corpus(tasks, Path(scratch.name), maker=RowMaker(), plant=Plant(most_rejects=0.5))
rows

# %%
rejects = Path(scratch.name, "rejects.jsonl").read_text().splitlines()
assert len(rows) + len(rejects) == len(tasks), "each record is a row or has a reason"
pd.DataFrame({name: rows[name] for name in ("id", "key", "labels")})

# %%
[json.loads(line)["reason"] for line in rejects]

# %% [markdown]
# One row as a model sees it: a picture of the page (paper, colours and camera are drawn anew for
# each row), the signal, and a text that was measured on it.

# %%
row = next(row for row in rows if "A0010" in row["id"])
picture(row_page(row), width_px=700)

# %%
print(row["text"][:700], "...")

# %%
assert parse_claims(row["text"]), "a row's text makes statements"
json.loads(row["measurements"])

# %% [markdown]
# ## 1.10 A language model as the writer (off)
#
# Any OpenAI-compatible endpoint can write instead: it gets the *plan*, never the signal, and what it
# writes is verified like everything else. **Before you switch this on:** what is sent leaves your
# machine. Records under a data-use agreement (MIMIC, your hospital's) must not be sent to a third
# party, not even as numbers, unless the agreement allows it.

# %%
ask_a_model = False  # needs ECG_R1_LLM_URL, ECG_R1_LLM_MODEL and, if asked for, ECG_R1_LLM_KEY
if ask_a_model:
    from ecg_r1.corpus.endpoint import Endpoint, EndpointWriter
    from ecg_r1.corpus.journal import Job, Journal

    journal = Journal(Path(scratch.name, "answers.jsonl"))
    writer = EndpointWriter(Endpoint.from_environment(), journal)
    answer = next(iter(writer.answers([Job("A0010", plan)])))
    print(answer.text or answer.error)
    print(verify(answer.text, plan, facts).problems)

# %% [markdown]
# What it would be asked:

# %%
from ecg_r1.corpus.prompt import messages

print(messages(plan)[1]["content"][:600], "...")

# %% [markdown]
# ## 1.11 Your own record
#
# Run on your own machine, nothing leaves it. Age and sex matter (1.3): where a file does not say
# them, you can: `replace(mine, age_years=62, sex="male")`.

# %%
my_file = None  # "my_record.hea"
mine = read_ecg(my_file) if my_file else ecg
judge_record(mine, measure(mine)).diagnoses

# %% [markdown]
# ## 1.12 What to remember
#
# - **Do** give each threshold a source, and each diagnosis the findings that carry it.
# - **Don't** let a text into a training set because it reads well: check what it says.
# - **Limit:** the verifier knows what the measurement knows. A wrong mark makes a wrong text that
#   passes, and a criterion is not a diagnosis.
#
# ### Exercise 1: a criterion of your own
# Goldberger (1949, quoted in AHA/ACCF/HRS 2009 part V): an R wave above 20 mm in aVF speaks for left
# ventricular hypertrophy. Write the `Criterion`. The quantity is `"r_height_mv"` (R in each lead, mV);
# look at `r_avl` for the form: `next(c for c in CRITERIA if c.name == "r_avl")`.

# %%
my_criterion = None  # Criterion("r_avf", 3, ...)

# %%
from ecg_r1.protocol import Criterion
from ecg_r1.protocol.judge import judge, read_values
from ecg_r1.protocol.quantities import columns_of


def met_with(criterion, r_avf_mv, *, calibrated=True):
    leads = measured.leads.copy()
    leads.loc["aVF", "r_mv"] = r_avf_mv
    own = replace(measured, leads=leads)
    values = read_values(criterion, own, columns_of(own))
    barred = criterion.voltage and not calibrated
    return judge(criterion, values, (ecg.age_years, ecg.sex), is_barred=barred).met


# %%
def check_1(criterion: Criterion | None) -> str:
    if criterion is None:
        return "write a Criterion into my_criterion"
    assert criterion.leads == ("aVF",), f"leads {criterion.leads}: only aVF counts"
    assert criterion.quantity == "r_height_mv", f"{criterion.quantity!r}: which quantity is R?"
    assert met_with(criterion, 1.2) is False, "12 mm meet it: is the threshold in mV?"
    assert met_with(criterion, 2.0) is False, "20 mm are not above 20 mm: which comparator?"
    assert met_with(criterion, 2.1) is True, "21 mm do not meet it: 10 mm are 1 mV"
    assert met_with(criterion, 2.1, calibrated=False) is None, "say that it needs voltages"
    assert re.search(r"\b(19|20)\d\d\b", criterion.source), "a source has a year"
    return "right"


check_1(my_criterion)

# %% [markdown]
# ### Exercise 2: leave something out
# Write `forget(text)`: it takes the text `honest` of 1.7 and leaves out something that had to be said, so
# that the verifier finds something *missing*, and nothing else wrong.

# %%
forget = None  # a function from text to text


def check_2(function) -> str:
    if function is None:
        return "write a function into forget"
    problems = verify(function(honest), plan, facts).problems
    kinds = {problem.kind for problem in problems}
    assert problems, "the verifier finds nothing wrong: what must a reading say? see 1.5"
    assert "grammar" not in kinds, f"keep the six steps and the tags: {problems[0]}"
    assert kinds == {"missing"}, f"only leave out: {[str(p) for p in problems]}"
    return f"right: {problems[0]}"


check_2(forget)

# %% [markdown]
# ### Exercise 3: a key in doubt
# Find a label that is not in this record's measurements and yet is *not* refused: it stays in the
# reading as "unconfirmed". (Not the hypertrophy of 1.8. Names: `ecg_r1.protocol.LABELS`.)

# %%
answer_3 = None  # a label


def check_3(label: str | None) -> str:
    if label is None:
        return "write a label into answer_3"
    assert label != "left ventricular hypertrophy", "that one is taken"
    labels = ("sinus rhythm", "right bundle branch block", label)
    reason = contradiction(measured, found, labels)
    assert reason is None, f"refused: {reason}"
    own = make_plan(measured, found, labels)
    doubts = {s.claim.name for s in own.statements if s.how == "unconfirmed"}
    assert label in doubts, (
        f"{label} is borne out by the measurements, or they say nothing of it"
    )
    return "right"


check_3(answer_3)

# %% [markdown]
# **Sources.** Sokolow M & Lyon TP 1949; AHA/ACCF/HRS 2009 recommendations parts III to V;
# Fourth Universal Definition of Myocardial Infarction 2018; the protocol's five phases and the
# `key_diagnostic_evidence` format: ECG-R1, arXiv 2602.04279. Records A0002 to A0010: CPSC2018,
# CC BY 4.0; `waveform_ecg.dcm`: pydicom, MIT (`assets/ecgs/ATTRIBUTION.md`).
#
# ### Solutions

# %% tags=["solution"] jupyter={"source_hidden": true}
goldberger = Criterion(
    "r_avf", 3, "R wave in aVF", "left ventricular voltage in aVF", "r_height_mv", ">", 2.0,
    "mV", "Goldberger 1949; AHA/ACCF/HRS 2009 part V (Hancock)", leads=("aVF",), voltage=True,
)  # fmt: skip
check_1(goldberger)

# %% tags=["solution"] jupyter={"source_hidden": true}
check_2(lambda text: re.sub(r"[^.*]*\bPR\b[^.*]*\.", "", text))  # the sentence on PR

# %% tags=["solution"] jupyter={"source_hidden": true}
check_3("left atrial abnormality")
