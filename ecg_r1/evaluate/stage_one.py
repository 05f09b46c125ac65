"""The table of stage one: grammar, stated numbers and labels of each arm, beside a constant."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

from ecg_r1.auditing import facts_of
from ecg_r1.evaluate.conditions import ARMS
from ecg_r1.evaluate.files import Readings, Row, Run, Truth
from ecg_r1.evaluate.readers import Shown
from ecg_r1.evaluate.stated import NUMBERS, diagnoses_of, repeated_numbers, stated_numbers
from ecg_r1.evaluate.statistics import (
    counts_of,
    jaccard,
    macro_auroc,
    mean_interval,
    turned,
    with_interval,
)
from ecg_r1.page import draw_page
from ecg_r1.report import parse_report

if TYPE_CHECKING:
    from ecg_r1.loading import LoadedModel

AT_ONCE = 8  # records of a batch, each with its arms
CONSTANT = ("sinus rhythm", "normal ecg")  # what an answer that never looks would say


# --- from a run -------------------------------------------------------------------------------


def stage_one(run: Run, arm: str, condition: str = "clean") -> dict[str, Any]:
    """Grammar, numbers, labels, tokens and seconds of one arm.

    Numbers are judged on calibrated records only, against our own `measure`; labels on all. A
    record whose text states no number counts in `unstated`, not in the errors.

    Returns:
        `numbers` (name to `mae` with interval, `median`, `r`, `n`, `unstated` and the same
        for a constant answer, the median of these records), `labels`, `well_formed`,
        `repeated`, `tokens`, `seconds`.
    """
    pairs = run.pairs(arm, condition)
    return {
        "records": len(pairs),
        "well_formed": _share(pairs, lambda row: parse_report(row.text).well_formed),
        "numbers": {name: _number(name, pairs) for name in NUMBERS},
        "labels": _labels(pairs),
        "repeated": _repeated(pairs),
        # 0 tokens: the reader does not count them.
        "tokens": _mean([row.n_tokens for _, row in pairs if row.n_tokens]),
        "seconds": _mean([row.seconds for _, row in pairs if row.problem is None]),
        "failed": sum(row.problem is not None for _, row in pairs),
    }


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 3) if len(values) else None


def _share(pairs: list[tuple[Truth, Row]], holds: Callable[[Row], bool]) -> dict[str, Any]:
    patients = [truth.patient for truth, _ in pairs]
    return with_interval(patients, [float(holds(row)) for _, row in pairs])


def _number(name: str, pairs: list[tuple[Truth, Row]]) -> dict[str, Any]:
    known = [(t, r) for t, r in pairs if t.calibrated and name in t.facts["numbers"]]
    true = np.array([truth.facts["numbers"][name] for truth, _ in known])
    middle = float(np.median(true)) if len(true) else np.nan
    told = [stated_numbers(row.text).get(name) for _, row in known]
    kept = [k for k, value in enumerate(told) if value is not None]
    patients = [known[k][0].patient for k in kept]
    values = np.array([told[k] for k in kept], dtype=float)
    found = error_summary(name, values, true[kept] if kept else np.array([]), patients)
    constant = np.abs(_difference(name, np.full(len(true), middle), true))
    return found | {
        "unstated": len(known) - len(kept),
        "constant": {
            "answer": round(middle, 1) if len(true) else None,
            "mae": round(float(constant.mean()), 2) if len(true) else None,
            "median": round(float(np.median(constant)), 2) if len(true) else None,
        },
    }


def _difference(name: str, told: np.ndarray, true: np.ndarray) -> np.ndarray:
    return turned(told - true) if name == "axis_deg" else told - true


def error_summary(
    name: str, told: np.ndarray, true: np.ndarray, patients: Sequence[str]
) -> dict[str, Any]:
    """Mean and median absolute error, correlation and count of one number."""
    if not len(told):
        return {"mae": None, "ci": None, "median": None, "r": None, "n": 0}
    error = np.abs(_difference(name, told, true))
    varies = len(told) > 2 and told.std() > 0 and true.std() > 0
    found = mean_interval(patients, error)
    return {
        "mae": round(float(error.mean()), 2),
        "ci": None if found is None else [round(x, 2) for x in found],
        "median": round(float(np.median(error)), 2),
        "r": round(float(np.corrcoef(told, true)[0, 1]), 3) if varies else None,
        "n": len(told),
    }


def _labels(pairs: list[tuple[Truth, Row]]) -> dict[str, Any]:
    patients = [truth.patient for truth, _ in pairs]
    true = [truth.labels for truth, _ in pairs]
    told = [diagnoses_of(row.text) for _, row in pairs]
    names = sorted({label for labels in (*true, *told) for label in labels})
    table = {}
    for name in names:
        counts = counts_of(name, told, true)
        table[name] = {
            "f1": round(counts.f1, 3),
            "tp": counts.true_positive,
            "fp": counts.false_positive,
            "fn": counts.false_negative,
        }
    scored = [(t, r) for t, r in pairs if r.scores is not None]
    auroc = None
    if scored:
        auroc = macro_auroc(
            [row.scores for _, row in scored],
            [truth.labels for truth, _ in scored],
            [truth.patient for truth, _ in scored],
        ) | {"unscored": len(pairs) - len(scored)}
    return {
        "jaccard": with_interval(
            patients, [jaccard(a, b) for a, b in zip(told, true, strict=True)]
        ),
        "constant_jaccard": with_interval(patients, [jaccard(CONSTANT, b) for b in true]),
        "per_label": table,
        "auroc": auroc,
    }


def _repeated(pairs: list[tuple[Truth, Row]]) -> dict[str, Any]:
    """Readings that state one number twice and differently, of those that state one twice."""
    counts = [(truth.patient, *repeated_numbers(row.text)) for truth, row in pairs]
    twice = [(patient, differing > 0) for patient, repeated, differing in counts if repeated]
    return with_interval([p for p, _ in twice], [float(d) for _, d in twice])


# --- the rows of a corpus -----------------------------------------------------------------


def read_rows(
    rows: Sequence[Mapping[str, Any]], model: "LoadedModel", file: Path | None = None
) -> Run:
    """Read every row of a corpus with all arms; shows a progress bar.

    Every row is its own patient: the records that a corpus holds out have no copies.

    Args:
        rows: Of a corpus.
        model: The reader.
        file: Keeps the readings; those that it holds are not made again.
    """
    from ecg_r1.evaluate.own import OwnReader  # noqa: PLC0415  brings torch

    reader = OwnReader(model)
    kept = Readings(file) if file else None
    truths = {row["id"]: truth_of_row(row) for row in rows}
    readings = {
        key: row for key, row in (kept.rows if kept else {}).items() if key[0] in truths
    }
    # A kill may have cut a record's last arms off: all are asked for.
    waiting = [
        row for row in rows if any((row["id"], arm, "clean") not in readings for arm in ARMS)
    ]
    with tqdm(total=len(rows), initial=len(rows) - len(waiting), desc="reading") as bar:
        for start in range(0, len(waiting), AT_ONCE):
            some = waiting[start : start + AT_ONCE]
            shown = [one for row in some for one in _shown(row, reader.page)]
            made = [
                Row(one.record, one.arm, "clean", told.text, told.n_tokens, told.seconds,
                    scores=told.scores)
                for one, told in zip(shown, reader.read(shown), strict=True)
            ]  # fmt: skip
            readings |= {one.key: one for one in made}
            if kept:
                kept.keep(made)
            bar.update(len(some))
    return Run({}, truths, readings)


def _shown(row: Mapping[str, Any], page: Mapping[str, Any]) -> list[Shown]:
    """A row of a corpus to each arm, its page drawn anew and clean."""
    from ecg_r1.corpus import row_ecg  # noqa: PLC0415

    ecg = row_ecg(row)
    picture = draw_page(ecg, **page)
    return [
        Shown(
            row["id"],
            arm,
            ecg=ecg if arm != "image" else None,
            image=picture if arm != "signal" else None,
            scored=True,
        )
        for arm in ARMS
    ]


def truth_of_row(row: Mapping[str, Any]) -> Truth:
    """The labels of a row of a corpus, and what is measured on its record."""
    from ecg_r1.corpus import row_ecg  # noqa: PLC0415

    # Measured anew: the row holds a few numbers, and claims speak of waves and leads too.
    facts = replace(facts_of(row_ecg(row)), key=tuple(row["labels"]))
    return Truth(
        record=row["id"],
        patient=row["id"],
        task={"source": row["source"]},
        labels=tuple(row["labels"]),
        codes=(),
        facts=json.loads(facts.to_json()),
        reference=row["text"],
        signal_hash=hashlib.sha256(row["signal"]).hexdigest()[:16],
    )


def summarise(run: Run) -> dict[str, dict[str, Any]]:
    """The means of `stage_one`, flat, for each arm of a run and for a constant answer.

    Returns:
        Arm, or "constant", to `label_jaccard` and, of each number, `<number>_mae`,
        `<number>_median`, `<number>_r` and `<number>_n`; arms also have `records`,
        `well_formed`, `repeated`, `label_auroc`, `tokens` and `seconds`. The constant answers
        the median of these very records and `CONSTANT`.
    """
    found = {arm: stage_one(run, arm) for arm in run.arms}
    told = {arm: _flat(one) for arm, one in found.items()}
    if found:  # the same for every arm
        told["constant"] = _constant(next(iter(found.values())))
    return told


def _flat(one: Mapping[str, Any]) -> dict[str, Any]:
    flat = {name: one[name] for name in ("records", "tokens", "seconds")}
    flat["well_formed"] = one["well_formed"]["value"]
    flat["repeated"] = one["repeated"]["value"]
    flat["label_jaccard"] = one["labels"]["jaccard"]["value"]
    flat["label_auroc"] = (one["labels"]["auroc"] or {}).get("macro")
    for name, errors in one["numbers"].items():
        flat |= {f"{name}_{key}": errors[key] for key in ("mae", "median", "r", "n")}
    return flat


def _constant(one: Mapping[str, Any]) -> dict[str, Any]:
    flat = {"label_jaccard": one["labels"]["constant_jaccard"]["value"]}
    for name, errors in one["numbers"].items():
        flat |= {f"{name}_{key}": errors["constant"][key] for key in ("mae", "median")}
        flat |= {f"{name}_r": None, f"{name}_n": errors["n"] + errors["unstated"]}
    return flat
