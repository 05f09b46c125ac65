"""Phase 1: rate, rhythm, P waves, and electrodes that seem exchanged."""

from ecg_r1 import limits
from ecg_r1.protocol.model import Criterion
from ecg_r1.protocol.sources import BRADY, CHOU, REVERSAL, SVT

RHYTHM = (
    Criterion(
        "bradycardia", 1, "heart rate", "bradycardia",
        "hr_bpm", **limits.BRADYCARDIA.terms(),
    ),
    Criterion(
        "tachycardia", 1, "heart rate", "tachycardia",
        "hr_bpm", **limits.TACHYCARDIA.terms(),
    ),
    Criterion("rate_120", 1, "heart rate", "a rate above 120", "hr_bpm", ">", 120, "bpm", CHOU),
    Criterion(
        "rate_150", 1, "heart rate", "a rate that the resting sinus node seldom reaches",
        "hr_bpm", ">=", 150, "bpm", SVT,
    ),
    Criterion(
        "slow_40", 1, "heart rate", "a very slow rate", "hr_bpm", "<", 40, "bpm", BRADY,
    ),
    Criterion(
        "irregular", 1, "RR intervals", "an irregular rhythm", "regular", "is", 0, "", CHOU,
    ),
    Criterion(
        "no_p", 1, "P waves", "absence of P waves before the QRS", "p_present", "is", 0, "",
        CHOU,
    ),
    Criterion(
        "p_unfollowed", 1, "P waves over the record", "absence of a series of P waves",
        "p_unfollowed", "is", 1, "", SVT,
    ),
    Criterion(
        "flutter_waves", 1, "regular atrial waves that fit the RR intervals",
        "flutter waves of 200 to 350 a minute", "flutters", "is", 1, "", SVT,
    ),
    Criterion(
        "pacing_spikes", 1, "share of beats led by a pacing spike", "pacing spikes",
        "paced_share", ">=", 0.5, "", CHOU,
    ),
    Criterion(
        "paced_qrs", 1, "share of beats with a pacing spike within 120 ms before R",
        "pacing of the ventricles", "paced_qrs_share", ">=", 0.5, "", CHOU,
    ),
    Criterion(
        "long_pause", 1, "longest RR", "a pause of two seconds",
        "rr_longest_ms", **limits.PAUSE.terms(),
    ),
    Criterion(
        "pause_3_s", 1, "longest RR", "a pause of three seconds", "rr_longest_ms", ">=", 3000,
        "ms", BRADY,
    ),
    Criterion(
        "pause_stands_out", 1, "longest RR over the median", "a pause against the other beats",
        "pause_ratio", ">=", 1.5, "", CHOU,
    ),
    Criterion(
        "grouped", 1, "RR intervals", "grouped beating", "grouped", "is", 1, "", CHOU,
        paper_threshold="grouped beating = Mobitz I",
    ),
    Criterion(
        "arms_exchanged", 1, "P and QRS in I against V6", "exchanged arm electrodes",
        "arms_exchanged", "is", 1, "", REVERSAL,
        paper_threshold="P, QRS and T inverted in I (consider dextrocardia)",
    ),
    Criterion(
        "leg_exchanged", 1, "the smallest of I, II and III",
        "a right leg electrode on an arm", "leg_exchanged", "is", 1, "", REVERSAL,
    ),
    Criterion(
        "chest_exchanged", 1, "QRS from V1 to V6", "exchanged chest electrodes",
        "chest_exchanged", "is", 1, "", REVERSAL,
    ),
    Criterion(
        "heart_on_right", 1, "P in I, aVF and V6, QRS and T in I", "a heart on the right",
        "dextrocardia", "is", 1, "", CHOU,
        paper_threshold="P, QRS and T inverted in I",
    ),
    Criterion("regular", 1, "RR intervals", "a regular rhythm", "regular", "is", 1, "", CHOU),
    Criterion(
        "p_present", 1, "P waves", "P waves before the QRS", "p_present", "is", 1, "", CHOU,
    ),
    Criterion(
        "p_inverted", 1, "P wave", "an atrial focus below the sinus node", "p_mv", "<=", -0.05,
        "mV", f"{CHOU}; the depth is ours, half a small square: flatter P have no direction",
        leads=("II", "aVF"), needs="all",
    ),
    Criterion(
        "rr_spread", 1, "longest less shortest RR", "RR variation as in sinus arrhythmia",
        "rr_spread_ms", **limits.RR_SPREAD.terms(),
    ),
    Criterion(
        "narrow_premature", 1, "number of premature narrow beats", "supraventricular ectopy",
        "n_narrow_premature", ">=", 1, "", CHOU,
    ),
    Criterion(
        "wide_premature", 1, "number of premature wide beats", "ventricular ectopy",
        "n_wide_premature", ">=", 1, "", CHOU,
    ),
    Criterion(
        "p_tall", 1, "P wave amplitude", "a tall P wave (right atrium)",
        "p_mv", leads=("II",), voltage=True, **limits.P_TALL.terms(),
    ),
    Criterion(
        "p_long", 1, "P wave duration", "a prolonged P wave (left atrium)",
        "p_ms", leads=("II",), **limits.P_LONG.terms(),
    ),
    Criterion(
        "p_terminal_v1", 1, "P wave", "a negative P wave in V1 (left atrium)",
        "p_mv", leads=("V1",), voltage=True, **limits.P_TERMINAL.terms(),
    ),
)  # fmt: skip
