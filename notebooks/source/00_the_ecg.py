# %% [markdown]
# # 0 · The ECG
#
# You will
# - read time and voltage off a page of ECG paper,
# - measure rate, intervals and axis by hand, then check the package against your own numbers,
# - dial a heart, predict what each dial moves, and measure whether you were right.
#
# | before this | minutes | memory | downloads | next |
# |---|---|---|---|---|
# | nothing | under 1 to run on a CPU, 40 to work through | under 1 GB | none | notebook 1 |
#
# **For education and research only. Not a medical device; never use it to diagnose or treat.**

# %%
from ecg_r1.notebook import FAST, check_environment, dials, picture, trace

check_environment("matplotlib", "ipywidgets", "wfdb")

# %% [markdown]
# ## 0.1 A page
#
# This is a real recording: ten seconds, twelve leads, on the paper every cardiologist reads.
# One small square is 1 mm: 0.04 s wide (the paper runs at 25 mm/s) and 0.1 mV high (10 mm/mV).

# %%
from ecg_r1 import draw_page, read_ecg
from ecg_r1.shipped import shipped

ecg = read_ecg(shipped("ecgs/A0002.hea"))
picture(draw_page(ecg))

# %% [markdown]
# Where we are. Everything in these notebooks is one box of this chain; the current one is bold.
#
# **ECG** → measurements → protocol → text (01) → model (02) → modality dropout (03) →
# fine-tuning (04) → rewards (05) → reinforcement learning (06) → evaluation (07)
#
# The record is an array: twelve rows in a fixed order, 500 samples a second, in millivolts.

# %%
from ecg_r1.ecg import ECG, FS, LEADS

ecg.signal.shape, FS, LEADS

# %% [markdown]
# ## 0.2 Twelve leads, two of them are enough for six
#
# Electrodes on three limbs give leads I (left arm minus right arm) and II (left leg minus right
# arm). Lead III is left leg minus left arm.
#
# **Predict before you run on:** how is III made of I and II?

# %%
guess = None  # a function of i and ii, for instance: lambda i, ii: i + ii

# %%
import numpy as np

i, ii, iii = (ecg.lead(name) for name in ("I", "II", "III"))
by_hand = ii - i  # (leg - right arm) - (left arm - right arm) = leg - left arm
largest_error_uv = 1000 * np.abs(by_hand - iii).max()
largest_error_uv

# %%
assert largest_error_uv < 10, "Einthoven's law holds to the rounding of the recorder"
if guess is not None:
    assert np.allclose(guess(i, ii), by_hand), "III is leg minus left arm: which sign has I?"

# %% [markdown]
# What to notice: six limb leads carry only two independent signals, so twelve rows hold eight. The
# chest leads V1 to V6 look at the same heart from the front and the left.
#
# ## 0.3 Heart rate
#
# Lead II for three seconds. Bold lines are 0.2 s apart. Count the bold squares from one tall
# peak (R) to the next.

# %%
trace(ecg, ("II",), end_s=3)

# %%
bold_squares = None  # how many between two R peaks? 4 would be 0.8 s

# %% [markdown]
# By hand: nothing changes as fast as the QRS, so a beat is where the trace becomes steep; the rate
# is 60,000 divided by the mean distance of the beats in milliseconds.

# %%
steep = np.abs(np.diff(ii))  # the QRS is what changes fastest
candidates = np.flatnonzero(steep > 0.5 * steep.max())
starts = candidates[np.diff(candidates, prepend=-FS) > 0.3 * FS]  # 300 ms: no beat sooner
rr_ms = np.diff(starts) * 1000 / FS
hr_by_hand = 60_000 / rr_ms.mean()
hr_by_hand, rr_ms.round()

# %%
from ecg_r1 import measure

measured = measure(ecg)
assert abs(measured.hr_bpm - hr_by_hand) < 1, "ten lines and the package agree"
if bold_squares is not None:
    assert abs(bold_squares * 200 - rr_ms.mean()) < 100, f"mean RR is {rr_ms.mean():.0f} ms"
measured.hr_bpm

# %% [markdown]
# What to notice: the package says the same, but it also says how sure it is, and it says
# nothing rather than guess where a value cannot be measured.

# %%
measured.uncertainty, measured.unmeasurable

# %% [markdown]
# ## 0.4 Intervals
#
# Each beat has a P wave (atria), a QRS complex (ventricles fire) and a T wave (ventricles
# recover). PR runs from the start of P to the start of QRS, QT from the start of QRS to the
# end of T. The bands are what the package found in these leads.

# %%
trace(ecg, ("II", "V2", "V5"), end_s=2.2, measurements=measured)

# %% [markdown]
# **Predict before you run on.** From the picture, in small squares times 40 ms: PR and QRS?

# %%
guess_pr_ms, guess_qrs_ms = None, None

# %% [markdown]
# By hand from the table of marks. The rows named "global" use all leads: the earliest start
# and the latest end that enough leads agree on, as an electrocardiograph reports them.

# %%
marks = measured.fiducials
marks = marks[marks["lead"] == "global"].pivot(index="beat", columns="wave")
to_ms = 1000 / FS
pr = (marks["onset"]["QRS"] - marks["onset"]["P"]).median() * to_ms
qrs = (marks["offset"]["QRS"] - marks["onset"]["QRS"]).median() * to_ms
qt = (marks["offset"]["T"] - marks["onset"]["QRS"]).median() * to_ms
pr, qrs, qt

# %%
assert abs(pr - measured.pr_ms) < 12
assert abs(qrs - measured.qrs_ms) < 12
assert abs(qt - measured.qt_ms) < 16
for name, told, true in (("PR", guess_pr_ms, pr), ("QRS", guess_qrs_ms, qrs)):
    assert told is None or abs(told - true) <= 40, (
        f"{name}: {told} ms, the marks say {true:.0f}"
    )

# %% [markdown]
# QT shortens when the heart speeds up, so it is corrected to a rate of 60. Fridericia divides
# by the cube root of RR in seconds, Bazett by the square root.

# %%
rr_s = 60 / measured.hr_bpm
fridericia = measured.qt_ms / rr_s ** (1 / 3)
bazett = measured.qt_ms / rr_s ** (1 / 2)
assert abs(fridericia - measured.qtc_ms) < 1
assert abs(bazett - measured.qtc_bazett_ms) < 1
round(fridericia), round(bazett)

# %% [markdown]
# **Predict before you run on:** QT is 330 ms at 110 bpm. Which of the two gives the larger QTc?

# %%
guess_larger = None  # "Fridericia" or "Bazett"

# %%
rr_at_110 = 60 / 110
at_110 = {"Fridericia": 330 / rr_at_110 ** (1 / 3), "Bazett": 330 / rr_at_110 ** (1 / 2)}
assert guess_larger in (None, max(at_110, key=at_110.get)), "below 1 s a square root is smaller"
{name: round(qtc) for name, qtc in at_110.items()}

# %% [markdown]
# What to notice: one QT, two answers, 40 ms apart. Bazett overcorrects when the heart is fast, so a
# QTc without the name of its formula says little.
#
# ## 0.5 The frontal axis
#
# The net area of the QRS in a lead tells how far the heart's mean vector points along that
# lead. Lead I looks to the left (0 degrees), aVF down (90 degrees). Two numbers, one angle.

# %%
onset, offset = (marks[side]["QRS"].to_numpy() for side in ("onset", "offset"))
whole = np.isfinite(onset) & np.isfinite(offset)
area = {
    lead: np.mean(
        [
            (ecg.lead(lead)[int(a) : int(b)] - ecg.lead(lead)[int(a)]).sum()
            for a, b in zip(onset[whole], offset[whole], strict=True)
        ]
    )
    for lead in ("I", "aVF")
}
# aVF is an augmented lead: its unit is 2 / sqrt(3) of a limb lead's
axis = np.degrees(np.arctan2(2 * area["aVF"] / np.sqrt(3), area["I"]))
axis

# %%
assert abs(axis - measured.axis_deg) < 15
measured.axis_deg

# %% [markdown]
# ## 0.6 Dial a heart
#
# Real hearts do not come with an answer. This one does: a moving dipole in a torso, with every
# dial in your hand and the truth attached. Move one slider at a time.

# %%
from ecg_r1.simulate import HeartSpec, simulate


def heart(**dials: float) -> ECG:
    st = {"inferior": dials.pop("inferior_st_mv", 0.0)}
    return simulate(HeartSpec(st_elevation_mv=st, variation=0, **dials), seed=1)


def truth(e: ECG) -> str:
    t = e.truth
    return f"truth: {t.hr_bpm:.0f} bpm, PR {t.pr_ms:.0f}, QRS {t.qrs_ms:.0f} ms, " + "; ".join(
        t.diagnoses
    )


# %%
dials(
    heart,
    {
        "hr_bpm": (40, 130, 1, 70),
        "pr_ms": (110, 300, 5, 160),
        "qrs_ms": (80, 160, 5, 90),
        "axis_deg": (-60, 120, 5, 45),
        "inferior_st_mv": (-0.3, 0.4, 0.05, 0.0),
    },
    truth,
)

# %% [markdown]
# Sliders need a live kernel; on GitHub you see the page they begin with. The next one has 0.25 mV
# of ST elevation dialled into II, III and aVF.
#
# **Predict before you run on:** what happens to ST in aVL, where nothing was dialled? Write
# -1 for down, 0 for nothing, 1 for up.

# %%
guess_avl = None

# %%
infarct = heart(inferior_st_mv=0.25)
picture(draw_page(infarct))

# %%
st = measure(infarct).leads["st_mv"]
st[["II", "III", "aVF", "I", "aVL", "V2"]].round(2)

# %%
assert st[["II", "III", "aVF"]].mean() > 0.15
assert st["aVL"] < -0.05, "a dipole that points down points away from aVL"
assert guess_avl in (None, -1), f"you said {guess_avl}; aVL is at {st['aVL']:.2f} mV"

# %% [markdown]
# What to notice: nobody dialled aVL. Reciprocal change is geometry: the same vector, seen from
# behind. That is why the protocol of the next notebook asks for it before it believes an
# infarction.
#
# ## 0.7 How true is the measurement?
#
# The simulator knows the truth, so we can measure the measurement, on many hearts:

# %%
from ecg_r1.simulate import sample_spec

n_hearts = 12 if FAST else 60
rows = []
for seed in range(n_hearts):
    one = simulate(sample_spec(np.random.default_rng(seed)), seed=seed)
    found = measure(one)
    rows.append(
        [
            (getattr(found, name) or np.nan) - (getattr(one.truth, name) or np.nan)
            for name in ("hr_bpm", "pr_ms", "qrs_ms", "qt_ms")
        ]
    )
np.nanmedian(np.abs(rows), axis=0).round(1)

# %%
assert np.nanmedian(np.abs(rows), axis=0)[0] < 1, "the rate of half of them within 1 bpm"

# %% [markdown]
# Median errors of rate (bpm), PR, QRS and QT (ms). Simulated hearts with noise, so the numbers
# say how good the measurement is on *these*; `benchmarks/measure.py` says it for 100 real
# records that cardiologists marked.
#
# ## 0.8 Your own record
#
# Put a WFDB, DICOM, CSV or NPY file beside this notebook and write its name here. For a CSV, say its
# sampling rate and unit: `read_ecg("my.csv", fs=500, units="mV")`. Run on your own machine, nothing
# leaves it. Colab, Kaggle and the like are *not* your machine: no recordings of patients there
# without an agreement that allows it.

# %%
my_file = None  # "my_record.hea"
mine = read_ecg(my_file) if my_file else ecg
measure(mine).hr_bpm

# %% [markdown]
# ## 0.9 What to remember
#
# - **Do** read the unit and the speed before the trace: a model that learns pixels instead of
#   millimetres changes its mind with the paper.
# - **Don't** trust a number without its uncertainty, or a lead without knowing its electrodes.
# - **Limit:** twelve leads at rest for ten seconds. A normal one excludes little.
#
# ### Exercise 1: the paper
# At 25 mm/s two R peaks are 15 mm apart. What is the heart rate?

# %%
answer_1 = None


def check_1(rate: float | None) -> str:
    if rate is None:
        return "write a number into answer_1"
    assert abs(rate - 250) > 1, "250 bpm would be 6 mm: did you take mm for squares of 0.04 s?"
    assert abs(rate - 100) < 1, "15 mm are 15 * 0.04 s; how many of those in 60 s?"
    return "right"


check_1(answer_1)

# %% [markdown]
# ### Exercise 2: exchanged cables
# Someone exchanged the cables of the two arms. Write `exchanged(signal)`: it takes the rows I,
# II and III and gives them as this recorder would show them.

# %%
exchanged = None  # a function from (i, ii, iii) to (i, ii, iii)


def check_2(function) -> str:
    if function is None:
        return "write a function into exchanged"
    new_i, new_ii, new_iii = function(i, ii, iii)
    assert np.allclose(new_i, -i, atol=0.02), "I is left arm minus right arm: it turns over"
    assert np.allclose(new_ii, iii, atol=0.02), "II now hangs between leg and the other arm"
    assert np.allclose(new_iii, ii, atol=0.02), "and III takes what II was"
    return "right"


check_2(exchanged)

# %% [markdown]
# ### Exercise 3: a dial of your own
# Dial a heart whose PR is longer than 200 ms *and* whose rate is below 60. The truth should
# name both.

# %%
spec = None  # HeartSpec(...)


def check_3(spec: HeartSpec | None) -> str:
    if spec is None:
        return "write a HeartSpec into spec"
    named = simulate(spec, seed=0).truth.diagnoses
    assert "sinus bradycardia" in named, f"too fast: {spec.hr_bpm} bpm gives {named}"
    assert "first-degree av block" in named, f"PR {spec.pr_ms} ms gives {named}"
    return "right"


check_3(spec)

# %% [markdown]
# **Sources.** Einthoven W 1912 (limb leads); Fridericia LS 1920, Bazett HC 1920 (QT);
# AHA/ACCF/HRS 2007-2009 recommendations (definitions of waves and intervals); Edenbrandt &
# Pahlm 1988 (the simulator's torso); ECG-R1: arXiv 2602.04279. Record A0002: CPSC2018, CC BY
# 4.0 (`assets/ecgs/ATTRIBUTION.md`).
#
# ### Solutions

# %% tags=["solution"] jupyter={"source_hidden": true}
check_1(60 / (15 * 0.04))

# %% tags=["solution"] jupyter={"source_hidden": true}
check_2(lambda i, ii, iii: (-i, iii, ii))

# %% tags=["solution"] jupyter={"source_hidden": true}
check_3(HeartSpec(hr_bpm=50, pr_ms=240))
