"""Protocol-guided instruction data: measured ECGs and six-step readings written from them.

What this leaves out, for now: varied wording, LLM writers, the verifier and evidence for RL.
"""

import ast
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from scipy.signal import resample

from ecg_r1.augment import draw_augmented_page
from ecg_r1.ecg import ECG, FS, LEADS, ECGError, read_ecg
from ecg_r1.labels import LABELS, in_order, labels_from_scp
from ecg_r1.measurement import Measurements, measure
from ecg_r1.protocol import Findings, apply_protocol
from ecg_r1.report import Report, format_report
from ecg_r1.simulate import sample_spec, simulate

UNCALIBRATED = "Voltages and ST levels are not judged: the record is not calibrated."
SAMPLES = 10 * FS
MICROVOLT = 1000  # stored steps per mV
GAP = -32768  # int16 value of a missing sample
_GROUP = {label.text: label.group for label in LABELS}
_SINUS = ("sinus rhythm", "sinus bradycardia", "sinus tachycardia")
SPLITS = {7: "choose", 8: "report"}  # strat_fold to split; folds 1-6 train


# --- writing ----------------------------------------------------------------------------------


def write_report(m: Measurements, findings: Findings, labels: Sequence[str]) -> Report:
    """Write the six steps from what was measured, with the labels as answer key.

    Every number comes from `m`, every statement about leads from `findings`, every diagnosis
    from `labels`; a label is first named in the step that its evidence stands in.

    Args:
        m: Measurements of the record.
        findings: The protocol applied to them.
        labels: Canonical labels, at least one.

    Raises:
        ValueError: If there is no label.
    """
    labels = in_order(labels)
    if not labels:
        raise ValueError("a reading needs at least one label, got none")
    of = {group: [x for x in labels if _GROUP[x] == group] for group in set(_GROUP.values())}
    steps = {
        1: _technical(m, of["rhythm"], of["ectopy"]),
        2: _conduction(m, of["conduction"]),
        3: _chambers(m, of["chamber"], calibrated=_voltages_judged(findings)),
        4: _ischaemia(findings, of["ischaemia"]),
        5: _qt(m, of["electrolytes"]),
        6: _reasoning(m, labels),
    }
    return Report(steps, _summary(labels), labels)


def _list(items: Sequence[str], none: str) -> str:
    return ", ".join(items) if items else none


def _voltages_judged(findings: Findings) -> bool:
    return not any("calibrated" in reason for reason in findings.unjudged.values())


def _technical(m: Measurements, rhythm: list[str], ectopy: list[str]) -> str:
    quality = f"limited in {', '.join(m.quality)}" if m.quality else "adequate"
    rate = "not measurable" if m.hr_bpm is None else f"{round(m.hr_bpm)} bpm"
    regular = {True: "regular", False: "irregular", None: "of undecided regularity"}[m.regular]
    p_waves = {
        True: "P waves precede the QRS complexes.",
        False: "No consistent P waves.",
        None: "P waves cannot be judged.",
    }[m.p_present]
    beats = f" Ectopy: {_list(ectopy, 'none')}."
    return (
        f"Signal quality {quality}. Heart rate {rate}, RR intervals {regular}. {p_waves} "
        f"Rhythm: {_list(rhythm, 'not classified')}.{beats}"
    )


def _conduction(m: Measurements, conduction: list[str]) -> str:
    return f"{_pr(m)} {_qrs(m)} {_axis(m)} Conduction: {_list(conduction, 'no block')}."


def _pr(m: Measurements) -> str:
    if m.pr_ms is None:
        return "PR interval not measurable."
    pr = round(m.pr_ms)  # the verdict must fit the number that is shown
    verdict = "short, below 120" if pr < 120 else "normal, 120 to 200"
    verdict = "prolonged, above 200" if pr > 200 else verdict
    return f"PR interval {pr} ms ({verdict})."


def _qrs(m: Measurements) -> str:
    if m.qrs_ms is None:
        return "QRS duration not measurable."
    qrs = round(m.qrs_ms)
    verdict = "wide, 120 or more" if qrs >= 120 else "normal, up to 110"
    verdict = "borderline, 110 to 120" if 110 < qrs < 120 else verdict
    return f"QRS duration {qrs} ms ({verdict})."


def _axis(m: Measurements) -> str:
    if m.axis_deg is None:
        return "Axis not measurable."
    axis = round(m.axis_deg)
    verdict = "normal, -30 to 90" if -30 <= axis <= 90 else "right of 90"
    verdict = "left of -30" if -90 <= axis < -30 else verdict
    verdict = "extreme" if axis < -90 else verdict
    return f"Frontal axis {axis} degrees ({verdict})."


def _mm(value_mv: float) -> int:
    return round(abs(value_mv) * 10)


def _chambers(m: Measurements, chamber: list[str], *, calibrated: bool) -> str:
    return (
        f"{_sokolow(m) if calibrated else UNCALIBRATED} "
        f"Chambers and voltage: {_list(chamber, 'no abnormality')}."
    )


def _sokolow(m: Measurements) -> str:
    """Sokolow-Lyon 1949, in millimetres; the sum is that of the two rounded numbers."""
    s, r = m.leads.at["V1", "s_mv"], m.leads.loc[["V5", "V6"], "r_mv"].max()
    if not np.isfinite(r) or m.leads.loc["V1", ["q_mv", "r_mv", "s_mv"]].isna().all():
        return "Voltages not measurable."
    s_mm, r_mm = _mm(s) if np.isfinite(s) else 0, _mm(max(r, 0))
    verdict = "35 or more" if s_mm + r_mm >= 35 else "below 35"
    return (
        f"S in V1 {s_mm} mm and R in V5 or V6 {r_mm} mm, together {s_mm + r_mm} mm ({verdict})."
    )


# Statement in step 4 -> how the names of the protocol's findings for it begin.
_ST_STATEMENTS = {
    "ST elevation": "st_elevation",
    "ST depression": "st_depression",
    "T wave inversion": "t_inversion",
    "pathological Q waves": "q_waves",
}


def _leads_of(findings: Findings, kind: str) -> list[str]:
    """Leads of the findings of a kind that are met, in the order of the page."""
    met = [f for f in findings.findings if f.met and f.name.startswith(kind)]
    return [lead for lead in LEADS if any(lead in f.leads for f in met)]


def _undecided(findings: Findings, kind: str) -> bool:
    """Whether a finding of a kind could not be judged, so that its absence is not known."""
    return any(f.met is None for f in findings.findings if f.name.startswith(kind))


def _ischaemia(findings: Findings, ischaemia: list[str]) -> str:
    if _voltages_judged(findings):
        shown = {s: _leads_of(findings, kind) for s, kind in _ST_STATEMENTS.items()}
        open_ = [s for s, kind in _ST_STATEMENTS.items() if _undecided(findings, kind)]
        present = [f"{s} in {', '.join(leads)}." for s, leads in shown.items() if leads]
        absent = [s for s, leads in shown.items() if not leads and s not in open_]
        unknown = [s for s in open_ if not shown[s]]
        text = " ".join(
            [
                *present,
                *([f"No {_or(absent)}."] if absent else []),
                *([f"Not judged: {', '.join(unknown)}."] if unknown else []),
            ]
        )
    else:
        text = UNCALIBRATED
    return f"{text} Ischaemia and infarction: {_list(ischaemia, 'none')}."


def _or(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} or {items[-1]}"


def _qt(m: Measurements, electrolytes: list[str]) -> str:
    if m.qt_ms is None or m.qtc_ms is None:
        text = "QT interval not measurable."
    else:
        text = f"QT {round(m.qt_ms)} ms, QTc {round(m.qtc_ms)} ms (Fridericia)."
    return f"{text} Electrolytes and QT: {_list(electrolytes, 'no abnormality')}."


def _reasoning(m: Measurements, labels: Sequence[str]) -> str:
    rate = "" if m.hr_bpm is None else f" at {round(m.hr_bpm)} bpm"
    rhythm = _list([x for x in labels if _GROUP[x] == "rhythm"], "unclassified rhythm")
    abnormal = _list([x for x in labels if _GROUP[x] not in ("rhythm", "normal")], "nothing")
    return f"{rhythm.capitalize()}{rate}. Abnormal beside the rhythm: {abnormal}."


def _summary(labels: Sequence[str]) -> str:
    kind = "Normal" if "normal ecg" in labels else "Abnormal"
    if set(labels) == {"sinus rhythm"}:
        kind = "Unremarkable"
    rest = [x for x in labels if x != "normal ecg"]
    return f"{kind} 12-lead ECG: {_list(rest, 'no specific finding')}."


# --- sources ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """One record to make: where it comes from and which variant of it.

    Attributes:
        source: "simulated" or a folder's name.
        record: Seed of a simulated record, path of a real one.
        labels: Answer key of a real record.
        split: "train", "choose" or "report".
        variant: 0 is the record itself; others are stretched in time by a few per cent.
    """

    source: str
    record: str
    labels: tuple[str, ...] = ()
    split: str = "train"
    variant: int = 0

    @property
    def sample_id(self) -> str:
        """Key of the sample, unique in a corpus."""
        return f"{self.source}/{Path(self.record).stem}/{self.variant}"


def simulated_tasks(count: int, *, first_seed: int = 0, split: str = "train") -> list[Task]:
    """Tasks for simulated records with seeds `first_seed`, `first_seed + 1`, ..."""
    return [Task("simulated", str(first_seed + i), split=split) for i in range(count)]


def ptbxl_tasks(folder: Path, *, variants: int = 0) -> list[Task]:
    """Tasks for a PTB-XL folder: folds 1-6 train, 7 to choose, 8 to report.

    Args:
        folder: Holds `ptbxl_database.csv` and the records it names.
        variants: Stretched copies of each training record.

    Raises:
        ECGError: If the folder is no PTB-XL.
    """
    table = folder / "ptbxl_database.csv"
    if not table.is_file():
        raise ECGError(
            f"{folder} holds no ptbxl_database.csv: give a folder as PhysioNet has it"
        )
    tasks = []
    for row in pd.read_csv(table).itertuples():
        path = folder / row.filename_hr
        labels = labels_from_scp(ast.literal_eval(row.scp_codes))
        if row.strat_fold > 8 or not labels or not path.with_suffix(".hea").is_file():
            continue
        split = SPLITS.get(row.strat_fold, "train")
        copies = variants if split == "train" else 0
        tasks += [
            Task(folder.name, str(path), labels, split, variant)
            for variant in range(copies + 1)
        ]
    return tasks


def _record(task: Task) -> tuple[ECG, tuple[str, ...]]:
    if task.source == "simulated":
        seed = int(task.record)
        # Two streams: one seed for both would tie the body's nuisances to the dials.
        ecg = simulate(sample_spec(np.random.default_rng([seed, 1])), seed=seed)
        return ecg, ecg.truth.diagnoses
    ecg = read_ecg(task.record)
    return (_stretch(ecg, task) if task.variant else ecg), task.labels


def _stretch(ecg: ECG, task: Task) -> ECG:
    """The record played up to 6 % slower or faster, and up to 5 % higher or lower."""
    if np.isnan(ecg.signal).any():
        raise ECGError(f"{ecg.source} has gaps, which stretching would fill: left out")
    rng = np.random.default_rng([task.variant, *task.sample_id.encode()])
    n_samples = round(ecg.signal.shape[1] * rng.uniform(0.94, 1.06))
    signal = resample(ecg.signal, n_samples, axis=1)[:, :SAMPLES] * rng.uniform(0.95, 1.05)
    return replace(ecg, signal=signal, source=f"{ecg.source}, stretched")


def _relabel(
    labels: Sequence[str], before_bpm: float, after_bpm: float | None
) -> tuple[str, ...]:
    """The sinus label that fits the new rate, where stretching has moved it over a limit."""

    def name(bpm: float) -> str:
        return _SINUS[1] if round(bpm) < 60 else _SINUS[2] if round(bpm) > 100 else _SINUS[0]

    if after_bpm is None or name(before_bpm) == name(after_bpm):
        return tuple(labels)
    return in_order([name(after_bpm) if x in _SINUS else x for x in labels])


# --- rows -------------------------------------------------------------------------------------


def make_row(task: Task) -> dict[str, Any]:
    """Measure one record and write its reading.

    Returns:
        A row of the corpus: `id`, `source`, `split`, `labels`, `text`, `unlearned` (spans of
        `text` that training must skip), `signal` (int16 microvolts, `(12, 5000)`, as bytes),
        `waves` (uint8 `(5000,)`: 1 P, 2 QRS, 3 T, as bytes), `numbers` and `amplitudes` (see
        `NUMBERS`), `calibrated`, `page` (grey pixels as bytes, `PAGE_SIZE`) and `page_style`
        (JSON of the arguments of `draw_page`).

    Raises:
        ECGError: If the record cannot be read or no heart rate can be measured.
    """
    ecg, labels = _record(task)
    m = measure(ecg)
    if m.hr_bpm is None:
        raise ECGError(f"no heart rate: {m.unmeasurable['hr_bpm']}")
    if task.variant:
        original = measure(read_ecg(task.record)).hr_bpm
        labels = _relabel(labels, original or m.hr_bpm, m.hr_bpm)
    findings = apply_protocol(
        m, age_years=ecg.age_years, sex=ecg.sex, calibrated=ecg.calibrated
    )
    text = format_report(write_report(m, findings, labels))
    return {
        "id": task.sample_id,
        "source": task.source,
        "split": task.split,
        "labels": list(labels),
        "text": text,
        "unlearned": _spans(text, UNCALIBRATED),
        "signal": pack_signal(ecg).tobytes(),
        "waves": _waves(ecg, m).tobytes(),
        "numbers": _numbers(m),
        "amplitudes": _amplitudes(m, calibrated=ecg.calibrated),
        "calibrated": ecg.calibrated,
        **_page(ecg, task.sample_id),
    }


PAGE = {"layout": "3x4", "px_per_mm": 640 / 270}  # nano's page: 640 x 448 pixels
PAGE_SIZE = (640, 448)


def _page(ecg: ECG, sample_id: str) -> dict[str, Any]:
    style, image = draw_augmented_page(ecg, PAGE, np.random.default_rng([*sample_id.encode()]))
    return {"page": image.tobytes(), "page_style": json.dumps(style)}


def row_page(row: dict[str, Any]) -> Image.Image:
    """The page of a row, grey."""
    return Image.frombytes("L", PAGE_SIZE, row["page"])


def _spans(text: str, phrase: str) -> list[list[int]]:
    spans, start = [], text.find(phrase)
    while start >= 0:
        spans.append([start, start + len(phrase)])
        start = text.find(phrase, start + 1)
    return spans


def pack_signal(ecg: ECG) -> np.ndarray:
    """int16 microvolts `(12, 5000)`; missing samples are `GAP`."""
    packed = np.full((len(LEADS), SAMPLES), GAP, dtype=np.int16)
    signal = ecg.signal[:, :SAMPLES] * MICROVOLT
    kept = np.where(np.isnan(signal), GAP, np.clip(np.round(signal), -32767, 32767))
    packed[:, : signal.shape[1]] = kept
    return packed


def unpack_signal(data: bytes) -> np.ndarray:
    """float32 millivolts `(12, 5000)`, NaN where samples are missing."""
    packed = np.frombuffer(data, dtype=np.int16).reshape(len(LEADS), SAMPLES)
    return np.where(packed == GAP, np.nan, packed / np.float32(MICROVOLT)).astype(np.float32)


def row_ecg(row: dict[str, Any]) -> ECG:
    """The record of a row."""
    return ECG(unpack_signal(row["signal"]), source=row["id"], calibrated=row["calibrated"])


def _waves(ecg: ECG, m: Measurements) -> np.ndarray:
    if ecg.truth is not None:
        return ecg.truth.wave_mask[:SAMPLES].astype(np.uint8)
    waves = np.zeros(SAMPLES, dtype=np.uint8)
    marks = m.fiducials[m.fiducials["lead"] == "global"].dropna(subset=["onset", "offset"])
    for mark in marks.itertuples():
        value = ("P", "QRS", "T").index(mark.wave) + 1
        waves[max(int(mark.onset), 0) : max(int(mark.offset) + 1, 0)] = value
    return waves


NUMBERS = ("hr_bpm", "pr_ms", "qrs_ms", "qt_ms", "axis_deg", "p_present")
AMPLITUDES = ("r_mv", "s_mv", "t_mv", "st_mv")


def _numbers(m: Measurements) -> list[float]:
    values = [getattr(m, name) for name in NUMBERS]
    return [float("nan") if value is None else float(value) for value in values]


def _amplitudes(m: Measurements, *, calibrated: bool) -> list[float]:
    values = m.leads[list(AMPLITUDES)].to_numpy(dtype=float).ravel()
    return (values if calibrated else np.full_like(values, np.nan)).tolist()


def rows(tasks: Sequence[Task], rejects: Path) -> Iterator[dict[str, Any]]:
    """The rows of many tasks; one line in `rejects` for each record that gave none."""
    for task in tasks:
        try:
            yield make_row(task)
        except ECGError as error:
            line = json.dumps({"id": task.sample_id, "reason": str(error)})
            with rejects.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


def build_corpus(tasks: Sequence[Task], folder: Path, *, processes: int) -> Any:
    """Make a corpus in parallel, with a progress bar, and keep it in `folder`.

    Args:
        tasks: What to make.
        folder: Where it goes; one that was made there from the same tasks is used again.
        processes: Worker processes.

    Returns:
        A `datasets.Dataset` of `make_row` rows.
    """
    # An extra that reading needs not install.
    from datasets import Dataset, Features, List, Value  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    features = Features(
        {
            "id": Value("string"),
            "source": Value("string"),
            "split": Value("string"),
            "labels": List(Value("string")),
            "text": Value("string"),
            "unlearned": List(List(Value("int32"))),
            "signal": Value("binary"),
            "waves": Value("binary"),
            "numbers": List(Value("float32")),
            "amplitudes": List(Value("float32")),
            "calibrated": Value("bool"),
            "page": Value("binary"),
            "page_style": Value("string"),
        }
    )
    return Dataset.from_generator(
        rows,
        features=features,
        gen_kwargs={"tasks": list(tasks), "rejects": folder / "rejects.jsonl"},
        cache_dir=str(folder),
        num_proc=processes,
        writer_batch_size=100,
    )
