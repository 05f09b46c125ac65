"""Four readings of one shipped ECG, written by hand, for teaching and for tests.

They are of record A0003 (`assets/ecgs`): one honest and right, in words of its own; one half
right; one fluent and invented; one that wants a reward without committing itself. The answer
key holds the data set's label, and ST depression and T wave inversion, which are measured; so
is the rest of the evidence.

Example:
    >>> from ecg_r1.rewards import paper_evidence_reward, strict_evidence_reward
    >>> told = list(FOUR.values()), [SOLUTION] * 4
    >>> for reward in (paper_evidence_reward, strict_evidence_reward):
    ...     scores = reward(told[0], solution=told[1])
    ...     print(max(zip(scores, FOUR))[1])
    cheat
    honest
"""

from ecg_r1.rewards.cheats import reading

RECORD = "ecgs/A0003.hea"
SOLUTION = (
    "<|key_diagnostic_evidence|>"
    "step_1_technical_rate_rhythm: atrial fibrillation; irregularly irregular; no P waves; "
    "heart rate 146 bpm\n"
    "step_2_conduction_axis_intervals: QRS duration 84 ms; normal axis\n"
    "step_3_chamber_hypertrophy_voltage: no left ventricular hypertrophy; "
    "S in V1 5 mm\n"
    "step_4_ischemia_infarction_mimics: ST depression in V2-V6; T wave inversion in V5-V6; "
    "no ST elevation\n"
    "step_5_electrolytes_qt: QT 270 ms; QTc 363 ms\n"
    "step_6_final_medical_reasoning: atrial fibrillation; ST depression"
    "<|/key_diagnostic_evidence|>\n"
    "<|answer|>atrial fibrillation; st depression; t wave inversion<|/answer|>"
)

FOUR = {
    "honest": reading(
        {
            1: "The rhythm is irregularly irregular at 146 bpm and P waves are absent: "
            "atrial fibrillation.",
            2: "The QRS is narrow, 84 ms. The axis is normal at 31 degrees.",
            3: "There is no LVH. The S wave in V1 is 5 mm deep.",
            4: "The ST segment is depressed in V2-V6 and T waves are inverted in V5 and V6. "
            "ST elevation is absent.",
            5: "The QT measures 270 ms, the QTc 363 ms.",
            6: "This is atrial fibrillation with ST depression at a fast rate.",
        },
        "AF; ST depression; T-wave inversion",
    ),
    "half right": reading(
        {
            1: "Atrial fibrillation, irregularly irregular, heart rate 146 bpm.",
            2: "QRS duration 84 ms.",
            3: "R waves in V5 are tall: left ventricular hypertrophy.",
            4: "No ST elevation.",
            5: "Not assessed.",
            6: "Atrial fibrillation with left ventricular hypertrophy.",
        },
        "atrial fibrillation; left ventricular hypertrophy",
    ),
    "invented": reading(
        {
            1: "Sinus tachycardia, heart rate 104 bpm, regular, with a P wave before each QRS.",
            2: "PR 162 ms. QRS duration 138 ms with a left bundle branch block. "
            "Left axis deviation.",
            3: "Left ventricular hypertrophy.",
            4: "ST elevation in V1-V4 with pathological Q waves in V1-V3.",
            5: "QTc 492 ms, prolonged.",
            6: "Acute anterior infarction with left bundle branch block.",
        },
        "anterior myocardial infarction; left bundle branch block",
    ),
    "cheat": reading(
        {
            1: "Sinus rhythm, atrial fibrillation, atrial flutter, regular, irregularly "
            "irregular, no P waves, P waves in front of each QRS.",
            2: "Normal axis, left axis deviation, right axis deviation, QRS narrow, QRS wide.",
            3: "Left ventricular hypertrophy, no left ventricular hypertrophy.",
            4: "ST elevation, no ST elevation, ST depression in V2-V6, T wave inversion in "
            "V5-V6, Q waves in V1-V3.",
            5: "QTc normal, QTc prolonged, QTc short.",
            6: "Sinus rhythm, atrial fibrillation, infarction, no infarction.",
        },
        "atrial fibrillation; st depression; sinus rhythm; normal ecg",
    ),
}
