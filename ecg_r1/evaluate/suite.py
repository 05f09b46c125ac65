"""All offline measures of a run, joined; a pure function of its files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ecg_r1 import __version__
from ecg_r1.auditing import audit
from ecg_r1.evaluate.calibration import calibration
from ecg_r1.evaluate.consistency import EMBEDDING_NAME, consistency
from ecg_r1.evaluate.ecgbench import ecgbench
from ecg_r1.evaluate.evidence import evidence_following
from ecg_r1.evaluate.files import RESULT, Run, code_state, write_whole
from ecg_r1.evaluate.modality import control, missing_modality, papers, robustness
from ecg_r1.evaluate.offline_judge import grounded_offline
from ecg_r1.evaluate.stage_one import stage_one
from ecg_r1.evaluate.statistics import with_interval

# Conditions of each suite; all need is what the measures below look for.
SUITES: dict[str, tuple[str, ...]] = {
    "stage-one": ("clean",),
    "nano": (
        "clean", "25/5", "50/10", "50/5", "leads", "noise", "rotated", "blurred",
        "shuffled", "flat", "reasoned",
    ),
}  # fmt: skip


def audited(run: Run, arm: str, condition: str = "clean") -> dict[str, Any]:
    """How much of what an arm says the trace contradicts, and what it leaves out.

    Returns:
        Means over readings, with intervals: `hallucination_rate` (contradicted of checkable
        claims), `omission_rate` (findings passed over, of those expected), `quarrels` (share
        of readings that contradict themselves) and `claims`.
    """
    pairs = run.pairs(arm, condition)
    found = [(truth.patient, audit(row.text, truth.measured)) for truth, row in pairs]

    def over(values: list[tuple[str, float | None]], *, digits: int = 3) -> dict[str, Any]:
        known = [(patient, value) for patient, value in values if value is not None]
        return with_interval([p for p, _ in known], [v for _, v in known], digits=digits)

    return {
        "hallucination_rate": over([(p, one.hallucination_rate) for p, one in found]),
        "omission_rate": over([(p, one.omission_rate) for p, one in found]),
        "quarrels": over([(p, float(bool(one.quarrels))) for p, one in found]),
        "claims": over([(p, len(one.claims)) for p, one in found], digits=1),
    }


PER_ARM: dict[str, Callable[[Run, str], Any]] = {
    "stage_one": stage_one,
    "audit": audited,
    "grounded": grounded_offline,
    "evidence": evidence_following,
    "calibration": calibration,
    "ecgbench_ptbxl": lambda run, arm: ecgbench(run, arm, "ptbxl"),
    "ecgbench_cpsc": lambda run, arm: ecgbench(run, arm, "cpsc"),
}
# Against the record on file, of readings of another patient's ECG.
SHUFFLED: dict[str, Callable[[Run, str, str], Any]] = {
    "stage_one": stage_one,
    "audit": audited,
    "evidence": evidence_following,
}
WHOLE: dict[str, Callable[[Run], Any]] = {
    "missing_modality": missing_modality,
    "papers": papers,
    "robustness": robustness,
    "control": control,
}


def evaluate_run(folder: Path, *, embedding: str = EMBEDDING_NAME) -> dict[str, Any]:
    """Compute every measure of a folder's readings and write `result.json`; needs no model.

    Args:
        folder: Of a run; an unfinished one gives the measures of what is there.
        embedding: Sentence-embedding model of the consistency, see `embedding_cosines`.

    Returns:
        `run` (what `run.json` says), `measured_by` (the code that made these numbers, which
        may be younger than the one that read), `arms` (arm to measures), `shuffled` (the same
        of those of `SHUFFLED`), `consistency` and the measures of `WHOLE`.
        Measures that nothing was read for are empty or None.

    Raises:
        ECGError: The folder holds no run, or the embedding model cannot be loaded.
    """
    run = Run.load(folder)
    arms = {
        arm: {name: measure(run, arm) for name, measure in PER_ARM.items()}
        for arm in run.arms
        if run.pairs(arm)
    }
    shuffled = {
        arm: {name: measure(run, arm, "shuffled") for name, measure in SHUFFLED.items()}
        for arm in run.arms
        if run.pairs(arm, "shuffled")
    }
    result = {"run": run.about, "measured_by": {"commit": code_state(), "ecg_r1": __version__}}
    result |= {"arms": arms, "shuffled": shuffled}
    result["consistency"] = consistency(run, embedding=embedding)
    result |= {name: measure(run) for name, measure in WHOLE.items()}
    write_whole(folder / RESULT, json.dumps(result, indent=1, allow_nan=False) + "\n")
    return result
