"""Missing modalities, other paper, bad signals, and whether the text follows the ECG at all."""

from collections.abc import Callable, Sequence
from typing import Any

from ecg_r1.corpus.task import stable_hash
from ecg_r1.evaluate.conditions import CONDITIONS, PAPERS
from ecg_r1.evaluate.files import Row, Run, Truth
from ecg_r1.evaluate.stated import diagnoses_of, stated_numbers
from ecg_r1.evaluate.statistics import jaccard, with_interval
from ecg_r1.report import parse_report

RATIOS = (0.0, 0.25, 0.5, 0.75, 1.0)  # as the paper's test sets
_LEFT = {"signal": "image", "image": "signal"}  # what is removed -> the arm that is left


def missing_modality(run: Run, *, seed: int = 0) -> dict[str, Any]:
    """Labels and heart rate with one modality missing in a share of the records.

    Rates are those of every record with one, calibrated or not.

    Removing a modality is what the single arms are; so a ratio mixes readings of "both" with
    those of the other arm. The records that lose it at a lower ratio lose it at a higher too.

    Returns:
        "signal" and "image" (what is removed) to ratio in per cent to `jaccard` and `hr_mae`;
        empty unless all three arms have read the same records.
    """
    arms = {arm: dict(_by_record(run.pairs(arm))) for arm in ("signal", "image", "both")}
    keys = sorted(set.intersection(*(set(one) for one in arms.values())))
    if not keys:
        return {}
    rank = sorted(keys, key=lambda key: stable_hash(f"missing {seed} {key}"))
    found: dict[str, Any] = {}
    for removed, left in _LEFT.items():
        curve = {}
        for ratio in RATIOS:
            lost = set(rank[: round(ratio * len(rank))])
            chosen = [arms[left if key in lost else "both"][key] for key in keys]
            curve[f"{100 * ratio:.0f}"] = _quality(chosen)
        found[removed] = curve
    return found


def _by_record(pairs: Sequence[tuple[Truth, Row]]) -> list[tuple[str, tuple[Truth, Row]]]:
    return [(truth.record, (truth, row)) for truth, row in pairs]


def _quality(pairs: Sequence[tuple[Truth, Row]]) -> dict[str, Any]:
    overlap = [jaccard(diagnoses_of(row.text), truth.labels) for truth, row in pairs]
    patients = [truth.patient for truth, _ in pairs]
    rates = [(t.patient, error) for t, r in pairs if (error := rate_error(r, t)) is not None]
    return {
        "jaccard": with_interval(patients, overlap),
        "hr_mae": with_interval([p for p, _ in rates], [e for _, e in rates], digits=2),
    }


def rate_error(row: Row, truth: Truth) -> float | None:
    """How far the stated heart rate is off, in bpm; None where it is not stated or measured."""
    told, true = stated_numbers(row.text).get("hr_bpm"), truth.facts["numbers"].get("hr_bpm")
    return None if told is None or true is None else abs(told - true)


# --- other conditions -------------------------------------------------------------------------


def robustness(run: Run) -> dict[str, Any]:
    """For each condition and arm: quality, and how often the diagnoses differ from the clean.

    Returns:
        Condition to `about` and `arms`: arm to `changed` (share of records whose set of
        diagnoses differs), `well_formed`, `jaccard` and `hr_mae` under it; `clean`, the last
        two on the clean readings of the same records; and `jaccard_change`, the mean of the
        records' differences.
    """
    found: dict[str, Any] = {}
    for condition in run.conditions:
        if condition not in CONDITIONS or condition in ("clean", "reasoned"):
            continue
        arms = {}
        for arm in run.arms:
            pairs = run.pairs(arm, condition)
            if pairs:
                arms[arm] = {
                    "changed": _changed(run, arm, (condition,)),
                    **_form(pairs),
                    **_beside_clean(run, arm, pairs),
                }
        found[condition] = {"about": CONDITIONS[condition].about, "arms": arms}
    return found


def _form(pairs: Sequence[tuple[Truth, Row]]) -> dict[str, Any]:
    formed = [float(parse_report(row.text).well_formed) for _, row in pairs]
    patients = [truth.patient for truth, _ in pairs]
    return {"well_formed": with_interval(patients, formed), **_quality(pairs)}


def _beside_clean(run: Run, arm: str, pairs: Sequence[tuple[Truth, Row]]) -> dict[str, Any]:
    """Clean readings of the same records: others would compare patients, not conditions."""
    usual = {truth.record: row for truth, row in run.pairs(arm)}
    both = [(t, row, usual[t.record]) for t, row in pairs if t.record in usual]
    change = [
        jaccard(diagnoses_of(row.text), t.labels) - jaccard(diagnoses_of(clean.text), t.labels)
        for t, row, clean in both
    ]
    return {
        "clean": _quality([(t, clean) for t, _, clean in both]),
        "jaccard_change": with_interval([t.patient for t, *_ in both], change),
    }


def _changed(run: Run, arm: str, conditions: Sequence[str]) -> dict[str, Any]:
    """Share of records whose set of diagnoses is not the clean one under all conditions."""
    patients, changed = [], []
    for truth, clean in run.pairs(arm):
        others = [run.rows.get((truth.record, arm, name)) for name in conditions]
        if None in others:
            continue
        usual = set(diagnoses_of(clean.text))
        patients.append(truth.patient)
        changed.append(float(any(set(diagnoses_of(row.text)) != usual for row in others)))
    return with_interval(patients, changed)


def papers(run: Run) -> dict[str, Any]:
    """Share of records whose diagnoses are not the same on all four papers, for each arm.

    Paper speed (mm/s) and gain (mm/mV): 25/10, 25/5, 50/10, 50/5. A third party found 90 %
    for the reference.
    """
    found = {arm: _changed(run, arm, PAPERS[1:]) for arm in run.arms}
    return {arm: one for arm, one in found.items() if one["n"]}


def control(run: Run) -> dict[str, Any]:
    """Does the text follow the ECG? Another patient's ECG, and no heart at all.

    Returns:
        For each arm, under "shuffled": label overlap with the record shown and with the one
        on file, and the same for heart-rate errors; a reader that looks has the first much
        better than the second. `same_text` is the share of texts equal to the clean reading
        of the record on file. Under "flat": the share that states a heart rate and the share
        that names a rhythm or a disease, both of which are made up.
    """
    return {
        arm: {"shuffled": _shuffled(run, arm), "flat": _flat(run, arm)}
        for arm in run.arms
        if run.pairs(arm, "shuffled") or run.pairs(arm, "flat")
    }


def _shuffled(run: Run, arm: str) -> dict[str, Any] | None:
    pairs = [(t, r) for t, r in run.pairs(arm, "shuffled") if r.shown in run.truths]
    if not pairs:
        return None
    shown = [(run.truths[row.shown], row) for _, row in pairs]
    clean = {truth.record: row.text for truth, row in run.pairs(arm)}
    same = [float(clean.get(truth.record) == row.text) for truth, row in pairs]
    return {
        "shown": _quality(shown),
        "on_file": _quality(pairs),
        "same_text": with_interval([truth.patient for truth, _ in pairs], same),
    }


def _flat(run: Run, arm: str) -> dict[str, Any] | None:
    pairs = run.pairs(arm, "flat")
    if not pairs:
        return None
    patients = [truth.patient for truth, _ in pairs]

    def share(holds: Callable[[str], bool]) -> dict[str, Any]:
        return with_interval(patients, [float(holds(row.text)) for _, row in pairs])

    return {
        "states_rate": share(lambda text: "hr_bpm" in stated_numbers(text)),
        "names_diagnosis": share(lambda text: bool(diagnoses_of(text))),
    }
