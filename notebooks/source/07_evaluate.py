# %% [markdown]
# # 7 · Is any of it true?
#
# You will
# - audit a reading claim by claim, and find a hallucination where it stands in the trace,
# - see why a word-overlap score cannot tell "ST elevation" from "no ST elevation",
# - take a modality away, exchange the ECG, take the heart away, and see what the text does,
# - put a constant answer and the protocol beside the model, and ask whether its scores keep their
#   word.
#
# | before this | minutes | memory | downloads | next |
# |---|---|---|---|---|
# | notebook 3 | under 3 to run on a CPU, 45 to work through | under 2 GB | none | your own model |
#
# **For education and research only. Not a medical device; never use it to diagnose or treat.**

# %%
from ecg_r1.notebook import FAST, bars, check_environment, dials, lines, trace

check_environment("torch", "transformers", "matplotlib", "pandas")

# %% [markdown]
# ECG → measurements → protocol → text (01) → model (02) → modality dropout (03) →
# fine-tuning (04) → rewards (05) → reinforcement learning (06) → **evaluation (07)**
#
# ## 7.1 A reading that sounds right
#
# A real record, and a text that somebody hands you. It is fluent, in order, and partly invented.

# %%
from ecg_r1 import measure, read_ecg
from ecg_r1.shipped import shipped

ecg = read_ecg(shipped("ecgs/A0010.hea"))
measured = measure(ecg)
trace(ecg, ("II", "V1", "V6"), end_s=3, measurements=measured)

# %%
text = """Sinus rhythm at 70 bpm with a PR interval of 240 ms.
The QRS complex lasts 142 ms. There is right bundle branch block.
ST elevation in II, III and aVF. No pathological Q waves in V5 and V6.
The patient is anxious."""

# %% [markdown]
# **Predict before you run on.** How many of its statements does the trace contradict?

# %%
guess_contradicted = None

# %% [markdown]
# By hand: a claim, the number that decides, and a tolerance.

# %%
inferior_mv = measured.leads["st_mv"][["II", "III", "aVF"]].min()
by_hand = {
    "70 bpm": abs(70 - measured.hr_bpm) <= 5,
    "PR 240 ms": abs(240 - measured.pr_ms) <= 40,
    "QRS 142 ms": abs(142 - measured.qrs_ms) <= 20,
    "ST elevation in II, III, aVF": bool(inferior_mv >= 0.1),
}
by_hand

# %% [markdown]
# The package's version reads the text, checks every claim it understands, and says why.

# %%
import pandas as pd
from IPython.display import HTML

from ecg_r1.auditing import audit
from ecg_r1.display import audit_html

found = audit(text, ecg)
HTML(audit_html(found))

# %%
contradicted = [one for one in found.claims if one.verdict == "contradicted"]
assert {one.claim.name for one in contradicted} == {"pr_ms", "st elevation"}
assert list(by_hand.values()) == [True, False, True, False], "by hand the same two"
checkable = [one for one in found.claims if one.verdict != "not_checkable"]
assert found.hallucination_rate == len(contradicted) / len(checkable)
assert guess_contradicted in (None, len(contradicted)), [one.reason for one in contradicted]
[(one.text, one.reason) for one in contradicted]

# %% [markdown]
# A claim that can be checked can be shown: here are the leads in which ST should have been raised.

# %%
wrong = next(one for one in contradicted if one.claim.leads)
trace(ecg, wrong.claim.leads, end_s=2.5, measurements=measured)

# %% [markdown]
# What to notice: "anxious" is no statement about the ECG, and nobody checks it. A hallucination rate
# is a rate *among what was understood*. And a text can be spotless by saying nothing, so what it
# leaves out is counted too, and where it contradicts itself:

# %%
silent = audit("Sinus rhythm at 70 bpm.", ecg)
torn = audit("PR interval 160 ms. PR interval 240 ms. First-degree AV block.", ecg)
assert silent.hallucination_rate == 0
assert silent.omissions, "the bundle branch block was passed over"
assert torn.quarrels, "160 and 240 ms cannot both be true"
[one.text for one in silent.omissions], [one.reason for one in torn.quarrels]

# %% [markdown]
# And who audits the audit? Here the truth is known: a dialled heart, and a text that fits it. Dial the
# PR away from the text, and see how far is too far. Then put it back and turn up the noise of the
# muscles: the text stays *true*.
#
# **Predict:** what will the audit call a true statement that it cannot see for noise?

# %%
guess_verdict = None  # "supported", "contradicted" or "not_checkable"

# %%
from ecg_r1.simulate import HeartSpec, Recording, simulate

true_text = (
    "Sinus rhythm at 70 bpm. PR interval 180 ms. QRS duration 90 ms. QT interval 390 ms."
)


def heart(pr_ms, noise_mv):
    dialled = {"pr_ms": pr_ms, "recording": Recording(emg_mv=noise_mv)}
    return simulate(HeartSpec(axis_deg=60, variation=0, **dialled), seed=1)


def verdicts(ecg):
    claims = audit(true_text, ecg).claims
    return "\n".join(f"{one.text}: {one.verdict} ({one.reason})" for one in claims)


dials(
    heart,
    {"pr_ms": (120, 240, 2, 180), "noise_mv": (0, 0.3, 0.01, 0)},
    verdicts,
    lambda ecg: trace(ecg, ("II", "V1"), end_s=3),
)

# %%
noisy = {
    f"{noise:.2f} mV": audit(true_text, heart(180, noise)).counts
    for noise in (0, 0.05, 0.1, 0.2)
}
assert noisy["0.00 mV"]["supported"] == 5, "in a clean record the audit sees that all is true"
fooled = {verdict for verdict, n in noisy["0.20 mV"].items() if n} - {"supported"}
assert fooled, "nobody reads a P wave of 0.1 mV under noise of 0.2 mV"
assert guess_verdict is None or guess_verdict in fooled, f"at 0.2 mV it says {sorted(fooled)}"
pd.DataFrame(noisy).T

# %% [markdown]
# What to notice: where the measurement knows that it fails, the verdict is "not checkable", which is
# fair. Where it does not know, a true sentence is called a hallucination. Look at the trace before
# you believe an audit, or a rate made of many.
#
# ## 7.2 A reading of the model
#
# The same for the shipped model, signal arm. It is small; which of its claims are wrong on this
# record, if any, the colours say.

# %%
from ecg_r1 import interpret, load_model

nano = load_model("nano")
reading = interpret(ecg=ecg, model=nano, arms=("signal",))["signal"]
read = audit(reading.text, ecg)
HTML(audit_html(read))

# %%
assert read.claims, "a reading makes statements"
assert read.hallucination_rate is None or 0 <= read.hallucination_rate <= 1
read.counts, read.hallucination_rate, read.omission_rate

# %% [markdown]
# ## 7.3 A score that cannot see a "no"
#
# The paper compares two readings by word overlap (BLEU, ROUGE). Two sentences:

# %%
one = "There is ST elevation in leads II, III and aVF, with normal QRS duration."
other = "There is no ST elevation in leads II, III and aVF, with normal QRS duration."

# %% [markdown]
# **Predict before you run on.** BLEU-4 goes from 0 to 1. What does it give this pair?

# %%
guess_bleu = None

# %% [markdown]
# By hand: the share of runs of one, two, three and four words of the second that the first has too;
# their geometric mean. (A text longer than its reference has no penalty.)

# %%
import re
from collections import Counter


def runs(sentence, n):
    words = re.findall(r"\w+|[^\w\s]", sentence)
    return Counter(zip(*(words[k:] for k in range(n)), strict=False))


def shared(n):
    told, known = runs(other, n), runs(one, n)
    return sum((told & known).values()) / sum(told.values())


bleu_by_hand = (shared(1) * shared(2) * shared(3) * shared(4)) ** (1 / 4)
bleu_by_hand

# %%
import importlib.util

from ecg_r1.evaluate.consistency import bleu4, claim_agreement

has_sacrebleu = importlib.util.find_spec("sacrebleu") is not None
bleu = bleu4(other, one) if has_sacrebleu else bleu_by_hand
assert abs(bleu - bleu_by_hand) < 0.02
assert guess_bleu is None or abs(guess_bleu - bleu) < 0.15, f"measured {bleu:.2f}"
"sacrebleu agrees" if has_sacrebleu else 'by hand only: sacrebleu is in the extra "eval"'

# %%
assert bleu > 0.7, "nearly the same text"
assert claim_agreement(one, other)["contradictions"] > 0, "and the opposite statement"
claim_agreement(one, other)

# %% [markdown]
# What to notice: one word more, and the opposite finding. By claims, the pair disagrees. So
# consistency between the arms is measured by claims below.
#
# ## 7.4 Many records
#
# One reading proves little. These are simulated patients, so their true labels are known, and their
# seeds are ones the model was not trained on. They are few, to keep this short:
# `python -m ecg_r1 evaluate --suite nano` does the same on real records of PTB-XL's fold 8.
#
# Each record is shown to all three arms as it is, then with **another patient's ECG** in its place,
# then with **no heart at all** (0 mV in all leads).

# %%
import tempfile
from pathlib import Path

from ecg_r1.evaluate.records import list_records, prepare

n_records = 4 if FAST else 12
scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name, "nano")


def prepared(folder):
    return prepare(list_records([f"simulated:{n_records}@900000"], split=None), folder)


truths = prepared(folder)
[truth.labels for truth in truths][:4]

# %%
from ecg_r1.evaluate.files import Run
from ecg_r1.evaluate.own import OwnReader
from ecg_r1.evaluate.runner import run_reader

run_reader(OwnReader("nano"), truths, folder, conditions=("clean", "shuffled", "flat"))
run = Run.load(folder)
len(run.rows), run.arms, run.conditions

# %%
assert len(run.rows) == len(truths) * 3 * 3, "records x arms x conditions"

# %% [markdown]
# ## 7.5 Does the text follow the signal at all?
#
# A model that leans on what is usual reads the same from any ECG. So: give it another patient's ECG,
# and compare the heart rate that it writes with the rate of the ECG it was **shown**, and with that
# **on file**.
#
# **Predict before you run on:** for a model that looks, which error is the larger?

# %%
guess_larger = None  # "shown" or "on file"

# %%
import numpy as np

from ecg_r1.evaluate import stated_numbers


def rate_errors(arm):
    pairs = []
    for truth, row in run.pairs(arm, "shuffled"):
        told = stated_numbers(row.text).get("hr_bpm")
        rates = [t.facts["numbers"].get("hr_bpm") for t in (run.truths[row.shown], truth)]
        if told is not None and None not in rates:
            pairs.append([abs(told - rate) for rate in rates])
    return np.mean(pairs, axis=0).round(2).tolist()


errors = {arm: rate_errors(arm) for arm in run.arms}  # bpm: (shown, on file)
errors

# %%
from ecg_r1.evaluate.modality import control

controlled = control(run)
shuffled = controlled["signal"]["shuffled"]
assert abs(shuffled["shown"]["hr_mae"]["value"] - errors["signal"][0]) < 0.02
assert errors["signal"][0] < errors["signal"][1], "the text follows what it was shown"
assert guess_larger in (None, "on file"), (
    "it cannot know what is on file: it reads what it sees"
)
bars(
    {
        "heart rate, mean error (bpm)": {
            f"{arm}: {side}": {"error": errors[arm][k]}
            for arm in run.arms
            for k, side in enumerate(("shown", "on file"))
        }
    }
)

# %% [markdown]
# And with no heart at all? A rate in that text is made up.

# %%
{arm: {name: one["value"] for name, one in controlled[arm]["flat"].items()} for arm in run.arms}

# %%
flat = run.pairs("signal", "flat")[0][1].text
print(flat[:420], "...")

# %% [markdown]
# What to notice: the number follows the signal, which is good. Where there is nothing to follow, each
# rate that is stated all the same was made up. A model that never saw an ECG without a heart never
# learned to be silent. This is why measured values stand beside every reading in
# the app.
#
# ## 7.6 A modality goes missing
#
# In a share of the records the picture (or the signal) is not there. Removing it *is* the other arm, so
# the curve is a mixture. By hand for half of the records (the package draws *its* half by a hash):

# %%
from ecg_r1.evaluate import diagnoses_of, jaccard


def overlap(arm, condition="clean"):
    return [jaccard(diagnoses_of(row.text), t.labels) for t, row in run.pairs(arm, condition)]


both, only_signal = overlap("both"), overlap("signal")
half = len(both) // 2
mixed = both[:half] + only_signal[half:]
[round(float(np.mean(some)), 3) for some in (both, mixed, only_signal)]

# %%
from ecg_r1.evaluate.modality import missing_modality

missing = missing_modality(run)
assert abs(missing["image"]["0"]["jaccard"]["value"] - np.mean(both)) < 0.002
assert abs(missing["image"]["100"]["jaccard"]["value"] - np.mean(only_signal)) < 0.002
curves = {
    f"{gone} removed": (
        [int(r) for r in curve],
        [c["jaccard"]["value"] for c in curve.values()],
    )
    for gone, curve in missing.items()
}
lines({"overlap of diagnoses with the truth": curves}, "% of records without it")

# %% [markdown]
# Do the arms say the same of one record? By claims:

# %%
from ecg_r1.evaluate.consistency import consistency

agreement = consistency(run, "signal", "image")
for name in ("findings", "contradictions", "numbers", "labels"):
    assert 0 <= agreement[name]["value"] <= 1
{name: agreement[name]["value"] for name in ("findings", "contradictions", "numbers", "labels")}

# %% [markdown]
# What to notice: where the arms contradict each other at least one is wrong, and no label was needed
# to know it. But agreement is no proof: two arms of one model can share a mistake.
#
# ## 7.7 Beside what?
#
# A number means nothing alone. Two neighbours cost nothing: an answer that never looks ("sinus rhythm;
# normal ecg" for everyone), and the protocol of notebook 1, which is no model at all.

# %%
from ecg_r1.evaluate.readers import ProtocolReader
from ecg_r1.evaluate.stage_one import CONSTANT

beside = Path(scratch.name, "protocol")
run_reader(ProtocolReader(), prepared(beside), beside)
rows = Run.load(beside).pairs("signal")
scores = {
    "constant": float(np.mean([jaccard(CONSTANT, truth.labels) for truth in truths])),
    "protocol": float(np.mean([jaccard(diagnoses_of(r.text), t.labels) for t, r in rows])),
    **{f"nano, {arm}": float(np.mean(overlap(arm))) for arm in run.arms},
}
bars(
    {"overlap of diagnoses with the truth": {n: {"Jaccard": s} for n, s in scores.items()}},
    mark="constant",
)

# %%
assert all(0 <= score <= 1 for score in scores.values())
assert scores["protocol"] > scores["constant"], "measuring beats not looking"
{name: round(score, 2) for name, score in scores.items()}

# %% [markdown]
# **Read this with care.** The labels of simulated patients follow from the dials by much the same
# criteria as the protocol's, so here the protocol plays at home; what it is worth only
# cardiologists' labels on real records can tell. And a dozen records say little: each bar moves by
# a tenth when one or two of them change.

# %%
from ecg_r1.evaluate.statistics import with_interval

patients = [truth.patient for truth in truths]
spread = {arm: with_interval(patients, overlap(arm)) for arm in run.arms}
assert all(s["ci"][0] <= s["value"] <= s["ci"][1] for s in spread.values())
spread  # the mean, and the range that 95 % of 1000 redrawn sets of patients give

# %% [markdown]
# How much of what each of them says does the trace contradict? (The protocol writes what was
# measured, and the audit measures alike: it must be near 0, or one of the two has a fault.)

# %%
from ecg_r1.evaluate.suite import audited

rates = {f"nano, {arm}": audited(run, arm) for arm in run.arms}
rates["protocol"] = audited(Run.load(beside), "signal")
assert rates["protocol"]["hallucination_rate"]["value"] < 0.05
names = ["hallucination_rate", "omission_rate", "quarrels"]
pd.DataFrame({who: {k: one[k]["value"] for k in names} for who, one in rates.items()}).T

# %% [markdown]
# ## 7.8 Does a probability keep its word?
#
# A model gives each label a score. If it says 0.8 ten times, eight should be true. By hand, the Brier
# score: the mean square of what was said minus what came.

# %%
said = np.array([0.9, 0.8, 0.3, 0.1])
came = np.array([True, False, False, False])
brier = float(np.mean((said - came) ** 2))
round(brier, 4)

# %%
from ecg_r1.evaluate.statistics import reliability

assert abs(reliability(said, came)["brier"] - brier) < 1e-4
chance = float(np.mean((came.mean() - came) ** 2))  # saying the share of positives each time
round(brier, 4), round(chance, 4)

# %% [markdown]
# What to notice: three of four were well said, and one confident miss (0.8) undoes it all: saying 25 %
# each time would have scored as well. Now the model's: the geometric mean of a label's token
# probabilities at `<answer>`, for the labels of which this set holds at least five.

# %%
from ecg_r1.evaluate.calibration import calibration

calibrated = calibration(run, "signal")
if calibrated:
    kept = {name: calibrated[name]["brier"] for name in ("raw", "fitted")}
    print(
        f"labels: {calibrated['labels']}; Brier {kept}, always the base rate {calibrated['base']}"
    )
else:
    print("too few records for any label: run with FAST off, or on PTB-XL")

# %% [markdown]
# `raw` is no probability of being true, and on few records it is luck whether it looks like one.
# `fitted` is a curve through the scores, fitted on other patients. Only below the base rate's Brier
# score is a probability worth something.
#
# ## 7.9 Other models (off)
#
# Everything above takes any *reader*. A vision model of transformers (folder or hub id), or one behind
# an OpenAI-compatible endpoint, reads the same pages and is judged by the same code. **What is sent to
# an endpoint leaves your machine**; records under a data-use agreement are refused unless you say that
# the agreement allows it.

# %%
other_model = None  # a folder or hub id, such as "Qwen/Qwen3-VL-2B-Instruct" (4 GB): downloads
if other_model:
    from ecg_r1.evaluate.readers import ImageTextReader

    reader = ImageTextReader.load(other_model)
    place = Path(scratch.name, "other")
    run_reader(reader, prepared(place), place, batch=1)
    print(audited(Run.load(place), "image"))

# %%
ask_endpoint = False  # needs ECG_R1_LLM_URL, ECG_R1_LLM_MODEL and, if asked for, ECG_R1_LLM_KEY
if ask_endpoint:
    from ecg_r1.corpus.endpoint import Endpoint
    from ecg_r1.evaluate.readers import EndpointReader

    place = Path(scratch.name, "endpoint")
    reader = EndpointReader(Endpoint.from_environment(), place / "answers.jsonl", arm="image")
    run_reader(reader, prepared(place), place)
    print(audited(Run.load(place), "image"))

# %% [markdown]
# ## 7.10 Your own record and text
#
# A reading from anywhere (a report, another model, yourself) against a record. Run on your own
# machine, both stay there.

# %%
my_file, my_text = None, None  # "my_record.hea", "Sinus rhythm. PR 160 ms. ..."
mine = audit(my_text, read_ecg(my_file)) if my_file and my_text else found
print(mine.to_text().splitlines()[0])

# %% [markdown]
# ## 7.11 What to remember
#
# - **Do** put a constant answer, a shuffled ECG and an empty one beside every result.
# - **Don't** score medical text by word overlap: the shortest word decides.
# - **Limit:** the audit knows what was measured. A supported claim agrees with a machine, not with
#   a cardiologist, and a dozen records are a demonstration, not an evaluation.
#
# ### Exercise 1: fool the score
# Write two readings of one ECG with the same statements, and so little overlap that BLEU calls them
# different. (The opposite of 7.3.)

# %%
first, second = None, None  # two texts


def check_1(first: str | None, second: str | None) -> str:
    if first is None or second is None:
        return "write two texts into first and second"
    same = claim_agreement(first, second)
    assert same["findings"] is not None or same["numbers"] is not None, "no statement was found"
    assert same["findings"] in (None, 1.0), f"they differ in findings: {same}"
    assert same["numbers"] in (None, 1.0), f"they differ in numbers: {same}"
    words = [set(re.findall(r"\w+", text.lower())) for text in (first, second)]
    share = len(words[0] & words[1]) / len(words[0] | words[1])
    assert share < 0.5, f"they share {share:.0%} of their words: say it otherwise"
    return f"right: {share:.0%} of the words, all of the statements"


check_1(first, second)

# %% [markdown]
# ### Exercise 2: spotless and useless
# Write a text about the record of 7.1 with a hallucination rate of 0 and at least three checkable
# claims, that nevertheless keeps the one thing that matters to itself. Which number gives it away?

# %%
spotless, gives_away = None, None  # a text, and the name of an attribute of Audit


def check_2(text: str | None, name: str | None) -> str:
    if text is None:
        return "write a text into spotless"
    found = audit(text, ecg)
    wrong = [one.text for one in found.claims if one.verdict == "contradicted"]
    n = len(found.claims) - found.counts["not_checkable"]
    assert not wrong, f"the trace contradicts {wrong}"
    assert n >= 3, f"{n} checkable claims: say something about rate, PR or ST"
    assert found.omissions, "it says all that matters: leave out the block"
    assert name == "omission_rate", f"{name}: look at 7.1, where a text said too little"
    return f"right: omission rate {found.omission_rate:.2f}"


check_2(spotless, gives_away)

# %% [markdown]
# ### Exercise 3: how sure is "100 %"?
# All of n readings were well formed. Which share of badly formed ones is still possible, if seeing none
# in n readings should have a chance of 5 %? Write a function of n. (Each reading is well formed with
# chance 1 - p, so all n are with chance (1 - p) ** n.)

# %%
highest_share = None  # a function of n


def check_3(function) -> str:
    if function is None:
        return "write a function into highest_share"
    for n in (1, 12, 44):
        p = function(n)
        assert 0 <= p <= 1, f"{p} is no share"
        left = (1 - p) ** n
        assert abs(left - 0.05) < 1e-3, (
            f"n = {n}: with {p:.3f} the chance is {left:.3f}, not 0.05"
        )
    return f"right: after 44 perfect readings still up to {function(44):.1%}"


check_3(highest_share)

# %% [markdown]
# **Sources.** Papineni et al. 2002 (BLEU); Brier 1950; Platt 1999; ECG-R1, arXiv 2602.04279 (missing
# modality and consistency between arms); the audit's tolerances: `ecg_r1/claims/bands.py`. Record A0010:
# CPSC2018, CC BY 4.0.
#
# ### Solutions

# %% tags=["solution"] jupyter={"source_hidden": true}
check_1(
    "Heart rate 70 bpm. Right bundle branch block. No ST elevation.",
    "The ventricular rate is 70 per minute. Complete RBBB is present. ST elevation is absent.",
)

# %% tags=["solution"] jupyter={"source_hidden": true}
check_2(
    f"Heart rate {measured.hr_bpm:.0f} bpm. PR interval {measured.pr_ms:.0f} ms. Sinus rhythm.",
    "omission_rate",
)

# %% tags=["solution"] jupyter={"source_hidden": true}
check_3(lambda n: 1 - 0.05 ** (1 / n))
