"""Protocol against PTB-XL's statements, see `benchmarks.measure`.

A record is positive for a diagnosis when it carries its statement, at any likelihood (rhythms
carry 0), and negative when none of its statements means the same label: an AMI neither helps
nor hurts the specificity of ASMI, since both are "anterior myocardial infarction".
"""

import ast
from collections import Counter
from dataclasses import dataclass
from functools import partial
from math import isnan
from pathlib import Path

import pandas as pd

from benchmarks.tables import Share, Table, each
from ecg_r1.ecg import read_ecg
from ecg_r1.labels import LABELS, SINUS_RHYTHMS, labels_from_scp
from ecg_r1.measurement import measure
from ecg_r1.protocol import apply_protocol

FOLDS = range(1, 8)  # 8 is kept for the last report
STATEMENTS = {  # of PTB-XL, to the label that answers it
    "AFIB": "atrial fibrillation",
    "1AVB": "first-degree av block",
    "CLBBB": "left bundle branch block",
    "CRBBB": "right bundle branch block",
    "LAFB": "left anterior fascicular block",
    "LVH": "left ventricular hypertrophy",
    "SBRAD": "sinus bradycardia",
    "STACH": "sinus tachycardia",
    "PVC": "premature ventricular complexes",
    "IMI": "inferior myocardial infarction",
    "ASMI": "anterior myocardial infarction",
    "NORM": "normal ecg",
}
# When a diagnosis is called weak (ours): it misses a quarter, or alarms one in ten without it.
LEAST_SENSITIVITY, LEAST_SPECIFICITY = 0.75, 0.90
FEWEST = 10  # positives; fewer are too few to say
SURE = 80  # per cent: a statement's likelihood from which it counts as sure


@dataclass(frozen=True)
class Read:
    """One record: what the cardiologists said and what the protocol says."""

    codes: dict[str, float]  # statement to likelihood in per cent
    labels: tuple[str, ...]
    diagnoses: tuple[str, ...]
    unjudged: frozenset[str]


def read_row(folder: Path, row: dict[str, object]) -> Read:
    """One line of `ptbxl_database.csv`, measured and read by the protocol."""
    ecg = read_ecg(folder / f"{row['filename_hr']}.hea")
    codes = ast.literal_eval(str(row["scp_codes"]))
    age = float(row["age"])
    found = apply_protocol(
        measure(ecg),
        age_years=None if isnan(age) else min(age, 90.0),  # 300 stands for "older than 89"
        sex="female" if row["sex"] == 1 else "male",
        calibrated=ecg.calibrated,
    )
    diagnoses, unjudged = tuple(found.diagnoses), frozenset(found.unjudged)
    return Read(codes, labels_from_scp(codes), diagnoses, unjudged)


def ptbxl_tables(folder: Path, processes: int) -> list[Table]:
    """Sensitivity and specificity by diagnosis, then the false alarms on normal ECGs."""
    table = pd.read_csv(folder / "ptbxl_database.csv")
    rows = table[table.strat_fold.isin(FOLDS)].to_dict("records")
    reads = each(partial(read_row, folder), rows, folder.name, processes)
    found = [diagnosis_row(reads, code, label) for code, label in STATEMENTS.items()]
    weak = [f"{row['statement']} ({row['weak']})" for row in found if row["weak"]]
    folds = f"folds {FOLDS[0]}-{FOLDS[-1]}"
    alarms = alarm_rows(reads)
    return [
        Table(
            f"PTB-XL `{folder.name}`, {folds}: {len(reads)} records against the statements",
            found,
            [
                f"Weak, or not to be told: {'; '.join(weak) or 'none'}.",
                f"Weak: sensitivity below {LEAST_SENSITIVITY:.0%} or specificity below "
                f"{LEAST_SPECIFICITY:.0%} over all records, those not judged taken as not "
                f"named; with fewer than {FEWEST} positives nothing can be told. "
                '"Not judged": more than half of the positives were not, '
                "as without calibration. Intervals are Wilson's, 95 %.",
            ],
        ),
        Table(
            f"PTB-XL `{folder.name}`, {folds}: what is said of records labelled NORM",
            alarms,
            ["Beside sinus rhythms only, and those are not counted, whatever their rate."],
        ),
    ]


def diagnosis_row(reads: list[Read], code: str, label: str) -> dict[str, object]:
    """One statement: how often it is found, missed, alarmed and left unjudged."""
    yes = [read for read in reads if code in read.codes]
    no = [read for read in reads if label not in read.labels]
    sure = [read for read in yes if read.codes[code] >= SURE]
    judged = _share_judged(yes or no, label) >= 0.5
    sensitivity = _share_named(yes, label)
    specificity = Share(len(no) - _share_named(no, label).found, len(no))
    return {
        "statement": code,
        "label of ours": label,
        "sensitivity": sensitivity if judged else "not judged",
        "specificity": specificity if judged else "not judged",
        "positives not judged": sum(label in read.unjudged for read in yes),
        "negatives not judged": sum(label in read.unjudged for read in no),
        f"sensitivity where likelihood >= {SURE} %": _share_named(sure, label)
        if sure and judged
        else None,
        "weak": _weakness(sensitivity, specificity) if judged else "not judged",
    }


def _share_judged(reads: list[Read], label: str) -> float:
    return sum(label not in read.unjudged for read in reads) / max(1, len(reads))


def _share_named(reads: list[Read], label: str) -> Share:
    return Share(sum(label in read.diagnoses for read in reads), len(reads))


def _weakness(sensitivity: Share, specificity: Share) -> str:
    """Why a diagnosis is weak; "" when it is not."""
    if sensitivity.of < FEWEST:
        return "too few"
    low = []
    if sensitivity.value < LEAST_SENSITIVITY:
        low.append("sensitivity")
    if specificity.value < LEAST_SPECIFICITY:
        low.append("specificity")
    return ", ".join(low)


def alarm_rows(reads: list[Read]) -> list[dict[str, object]]:
    """Every label said of records that are normal by their statements, most frequent first."""
    normal = [read for read in reads if "normal ecg" in read.labels]
    said = Counter(label for r in normal for label in set(r.diagnoses))
    known = [one.text for one in LABELS if one.text not in (*SINUS_RHYTHMS, "normal ecg")]
    wrong = [read for read in normal if set(read.diagnoses) & set(known)]
    rows = [("any abnormality", len(wrong)), *((a, said[a]) for a in known if said[a])]
    rows.sort(key=lambda row: -row[1])
    return [{"said": label, "of NORM": Share(count, len(normal))} for label, count in rows]
