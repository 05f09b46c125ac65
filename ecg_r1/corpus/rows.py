"""From a task to a row: the one function that processes, `datasets.map` and clusters run."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from ecg_r1.augment import draw_augmented_page, draw_varied_page, encode_page
from ecg_r1.corpus.record import (
    SAMPLES,
    Measured,
    measured,
    pack_signal,
    page_bytes,
    unpack_signal,
)
from ecg_r1.corpus.task import Task, chance
from ecg_r1.corpus.writing import (
    Written,
    check_model,
    columns,
    keep_published,
    write_plain,
    write_template,
)
from ecg_r1.ecg import ECG, ECGError
from ecg_r1.measurement import Measurements

NUMBERS = ("hr_bpm", "pr_ms", "qrs_ms", "qt_ms", "axis_deg", "p_present")
AMPLITUDES = ("r_mv", "s_mv", "t_mv", "st_mv")
PAGE = {"layout": "3x4", "px_per_mm": 640 / 270}  # nano's page: 640 x 448 pixels
PAGE_SIZE = (640, 448)

# Column -> type of `datasets.Features`; a list stands for a list of that type.
COLUMNS: dict[str, Any] = {
    "id": "string",
    "source": "string",
    "split": "string",
    "key": "string",
    "restricted": "bool",
    "labels": ["string"],
    "text": "string",
    "writer": "string",
    "messages": "string",
    "unlearned": [["int32"]],
    "solution": "string",
    "evidence": "string",
    "measurements": "string",
    "signal": "binary",
    "waves": "binary",
    "numbers": ["float32"],
    "amplitudes": ["float32"],
    "calibrated": "bool",
    "page": "binary",
    "page_style": "string",
    "reason": "string",
    "failed": "bool",
}


@dataclass(frozen=True)
class RowMaker:
    """Makes rows from tasks; all of a row follows from the seed and the sample's id.

    Calling it with a row of a table of tasks never raises on a bad record: it then returns a
    row with a `reason`. That is what `datasets.Dataset.map` and a cluster's engine need.

    Attributes:
        seed: Of page and wording.
        pages: "varied" draws RGB pages of any layout, speed, gain and colour, often as a
            scanner or phone sees them; "nano" draws grey ones of 640 x 448 pixels for the
            shipped model.
        writer: "template" varies wording, order, units and detail; "plain" writes the same
            sentences for every record, which is what the shipped model was trained on. Any
            other name is a language model's, whose texts come with the tasks and are checked.
        repair: Whether the template writes where a model's text is rejected.

    Example:
        >>> row = RowMaker()(Task("simulated", "7").to_json())
        >>> row["id"], row["key"], row["reason"]
        ('simulated/7/0', 'simulator', '')
    """

    seed: int = 0
    pages: Literal["varied", "nano"] = "varied"
    writer: str = "template"
    repair: bool = False

    def __call__(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        """The row of a task given as plain values, or one that says why there is none.

        With a model as writer, `answer` holds its text and `answer_error` why it has none.
        """
        task = Task.from_json(plain)
        if plain.get("answer_error"):
            return rejected(task, f"no text: {plain['answer_error']}")
        try:
            return self.make(task, plain.get("answer") or "")
        except ECGError as error:
            return rejected(task, str(error))

    def make(self, task: Task, answer: str = "") -> dict[str, Any]:
        """The row of a task.

        Args:
            task: The task.
            answer: What a model wrote of it.

        Raises:
            ECGError: There is none; says why.
        """
        record = measured(task)
        written = self._write(task, record, answer)
        ecg, m = record.ecg, record.m
        return {
            "id": task.sample_id,
            "source": task.source,
            "split": task.split,
            "key": record.key,
            "restricted": task.restricted,
            "labels": list(record.labels),
            **columns(written),
            "messages": task.messages,
            "signal": pack_signal(ecg).tobytes(),
            "waves": _waves(ecg, m).tobytes(),
            "numbers": _numbers(m),
            "amplitudes": _amplitudes(m, calibrated=ecg.calibrated),
            "calibrated": ecg.calibrated,
            **self._page(task, ecg),
            "reason": "",
            "failed": False,
        }

    def _write(self, task: Task, record: Measured, answer: str) -> Written:
        if task.messages:
            return keep_published(task, record)
        if self.writer == "plain":
            return write_plain(task, record)
        rng = chance(self.seed, task.sample_id, "text")
        if self.writer == "template":
            return write_template(task, record, rng)
        stand_in = rng if self.repair else None
        return check_model(task, record, answer, self.writer, else_template=stand_in)

    def _page(self, task: Task, ecg: ECG) -> dict[str, Any]:
        if task.picture:
            return {"page": page_bytes(Path(task.picture)), "page_style": "{}"}
        rng = chance(self.seed, task.sample_id, "page")
        if self.pages == "nano":
            style, image = draw_augmented_page(ecg, PAGE, rng)
        else:
            style, image = draw_varied_page(ecg, rng)
        return {"page": encode_page(image, style), "page_style": json.dumps(style)}


def make_row(task: Task) -> dict[str, Any]:
    """Measure one record and write a plain reading, with a page for the shipped model.

    Returns:
        A row of the corpus: `id`, `source`, `split`, `key` (whence the answer key: "simulator",
        "dataset" or "protocol"), `restricted`, `labels`, `text`, `writer`, `messages` (JSON of
        a published sample's own conversation), `unlearned` (spans of `text` that training must
        skip), `solution` (in the reference's format), `evidence` and `measurements` (JSON, as
        module `evidence` makes them), `signal` (int16 microvolts, `(12, 5000)`, as bytes),
        `waves` (uint8 `(5000,)`: 1 P, 2 QRS, 3 T, as bytes), `numbers` and `amplitudes` (see
        `NUMBERS`), `calibrated`, `page` (a PNG or JPEG file), `page_style` (JSON of how it was
        drawn), and for records without a row `reason` and `failed`.

    Raises:
        ECGError: If the record cannot be read or no heart rate can be measured.
    """
    return RowMaker(pages="nano", writer="plain").make(task)


def rejected(task: Task, reason: str) -> dict[str, Any]:
    """A row that only says why a task gave none; `failed` if its source expected one."""
    empty = {"string": "", "bool": False, "binary": b""}
    blank = {name: [] if isinstance(t, list) else empty[t] for name, t in COLUMNS.items()}
    known = {"id": task.sample_id, "source": task.source, "split": task.split}
    return blank | known | {"reason": reason, "failed": not task.problem}


def row_page(row: Mapping[str, Any]) -> Image.Image:
    """The page of a row: grey for nano's, otherwise RGB."""
    with Image.open(io.BytesIO(row["page"]), formats=("PNG", "JPEG")) as page:
        page.load()
        return page if page.mode in ("L", "RGB") else page.convert("RGB")


def row_ecg(row: Mapping[str, Any]) -> ECG:
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


def _numbers(m: Measurements) -> list[float]:
    values = [getattr(m, name) for name in NUMBERS]
    return [float("nan") if value is None else float(value) for value in values]


def _amplitudes(m: Measurements, *, calibrated: bool) -> list[float]:
    values = m.leads[list(AMPLITUDES)].to_numpy(dtype=float).ravel()
    return (values if calibrated else np.full_like(values, np.nan)).tolist()
