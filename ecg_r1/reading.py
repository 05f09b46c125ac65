"""One ECG read by several arms at once: signal only, image only, both."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

import torch
from PIL import Image
from transformers import StoppingCriteria, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer

from ecg_r1.ecg import ECG, ECGError
from ecg_r1.loading import LoadedModel, load_model
from ecg_r1.page import draw_page
from ecg_r1.processing import tower_input
from ecg_r1.report import parse_report

ARMS = ("signal", "image", "both")
CONTROL = "control"  # a further arm: the same question about another ECG
_ENVIRONMENT = {
    "signal": "signal",
    "image": "image",
    "both": "signal+image",
    CONTROL: "signal+image",
}
_NEEDS = {"signal": ("signal",), "image": ("image",), "both": ("signal", "image"), CONTROL: ()}
_REFRESH_S = 0.05  # between two snapshots; faster than the eye reads


@dataclass(frozen=True)
class Reading:
    """What one arm wrote, as far as it has come.

    Attributes:
        arm: "signal", "image", "both" or "control".
        text: The model's text, verbatim.
        steps: Step number to text.
        summary: The paragraph after the steps.
        diagnoses: Labels of `<answer>`.
        well_formed: Whether the text follows the whole grammar.
        seconds: Time since the request until the arm's last token.
        n_tokens: Tokens written.
        done: Whether the arm has finished.
        problem: Why the arm has no reading, or None.
    """

    arm: str
    text: str = ""
    steps: dict[int, str] = field(default_factory=dict)
    summary: str = ""
    diagnoses: list[str] = field(default_factory=list)
    well_formed: bool = False
    seconds: float = 0.0
    n_tokens: int = 0
    done: bool = False
    problem: str | None = None


def stream(
    *,
    ecg: ECG | None = None,
    image: Image.Image | None = None,
    model: LoadedModel | str = "nano",
    arms: Sequence[str] = ARMS,
    max_new_tokens: int | None = None,
    control: ECG | None = None,
) -> Iterator[dict[str, Reading]]:
    """Read an ECG and yield the readings as they grow; all arms are one batch, greedy.

    Args:
        ecg: The record. Without it, the arms that need a signal say so.
        image: A page of it. By default the record is drawn as the model was trained to see it.
        model: A loaded model or what `load_model` takes.
        arms: Some of "signal", "image", "both".
        max_new_tokens: Longest reading in tokens; by default what the checkpoint says.
        control: Another ECG, read from signal and image as the arm "control" of the same batch:
            what a reading says whatever it is shown.

    Yields:
        Arm to `Reading`; the last dictionary is final. Closing the iterator stops the model.

    Raises:
        ECGError: If neither record nor image is given, or an arm is unknown.
    """
    started = time.perf_counter()
    _check_request(ecg, image, arms)
    if max_new_tokens is not None and max_new_tokens < 1:
        raise ECGError(f"max_new_tokens must be at least 1, got {max_new_tokens}")
    arms = [*arms, *([CONTROL] if control is not None else [])]
    loaded = model if isinstance(model, LoadedModel) else load_model(model)
    if image is None and any("image" in _NEEDS[arm] for arm in arms):
        image = draw_page(ecg, **loaded.page)
    given = {"signal": ecg is not None, "image": image is not None}
    readings = {arm: _start(arm, given) for arm in arms}
    running = [arm for arm in arms if readings[arm].problem is None]
    yield dict(readings)
    if not running:
        return
    inputs = loaded.processor(
        [_ENVIRONMENT[arm] for arm in running],
        ecgs=[
            tower_input(control if arm == CONTROL else ecg, loaded.processor.prompt)
            for arm in running
            if arm != "image"
        ],
        images=[
            draw_page(control, **loaded.page) if arm == CONTROL else image
            for arm in running
            if arm != "signal"
        ],
    )
    for rows in _generate(loaded, inputs, max_new_tokens, started):
        for arm, row in zip(running, rows, strict=True):
            readings[arm] = _grow(readings[arm], row, loaded)
        yield dict(readings)


def interpret(
    *,
    ecg: ECG | None = None,
    image: Image.Image | None = None,
    model: LoadedModel | str = "nano",
    arms: Sequence[str] = ARMS,
    max_new_tokens: int | None = None,
    on_update: Callable[[dict[str, Reading]], None] | None = None,
) -> dict[str, Reading]:
    """Read an ECG and return the finished readings.

    Args:
        ecg: As in `stream`.
        image: As in `stream`.
        model: As in `stream`.
        arms: As in `stream`.
        max_new_tokens: As in `stream`.
        on_update: Called with the readings so far, some twenty times a second.

    Returns:
        Arm to `Reading`. An arm without its input has `problem` set and no text.
    """
    readings: dict[str, Reading] = {}
    for readings in stream(
        ecg=ecg, image=image, model=model, arms=arms, max_new_tokens=max_new_tokens
    ):
        if on_update is not None:
            on_update(readings)
    return readings


def _check_request(ecg: ECG | None, image: Image.Image | None, arms: Sequence[str]) -> None:
    if ecg is None and image is None:
        raise ECGError("nothing to read: give an ECG record, an image of a page, or both")
    unknown = [arm for arm in arms if arm not in ARMS]
    if unknown or not arms or len(set(arms)) != len(arms):
        raise ECGError(f"arms must be some of {', '.join(ARMS)}, each once; got {list(arms)}")


def _start(arm: str, given: dict[str, bool]) -> Reading:
    lacking = [name for name in _NEEDS[arm] if not given[name]]
    if not lacking:
        return Reading(arm)
    problem = f"No reading: this arm needs a {lacking[0]}, and only the other input was given."
    return Reading(arm, done=True, problem=problem)


@dataclass(frozen=True)
class _Row:
    """Tokens of one arm so far."""

    ids: tuple[int, ...]
    seconds: float
    done: bool


def _grow(reading: Reading, row: _Row, loaded: LoadedModel) -> Reading:
    if reading.done:
        return reading
    text = loaded.processor.tokenizer.decode(row.ids, skip_special_tokens=True)
    parsed = parse_report(text)
    return replace(
        reading,
        text=text,
        steps=dict(parsed.steps),
        summary=parsed.summary,
        diagnoses=list(parsed.diagnoses),
        well_formed=parsed.well_formed,
        seconds=row.seconds,
        n_tokens=len(row.ids),
        done=row.done,
    )


class _TokenQueue(BaseStreamer):
    """Takes each step's tokens from `generate`; None marks the end, an exception a failure."""

    def __init__(self) -> None:
        self.steps: SimpleQueue = SimpleQueue()
        self.prompt_seen = False

    def put(self, value: torch.Tensor) -> None:
        if self.prompt_seen:
            self.steps.put(value.tolist())
        self.prompt_seen = True

    def end(self) -> None:
        self.steps.put(None)


class _Stopped(StoppingCriteria):
    def __init__(self, event: Event) -> None:
        self.event = event

    def __call__(self, input_ids: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        return torch.full((len(input_ids),), self.event.is_set(), device=input_ids.device)


def _generate(
    loaded: LoadedModel, inputs: Any, max_new_tokens: int | None, started: float
) -> Iterator[list[_Row]]:
    """One `generate` call in a thread of its own, seen from here token by token."""
    queue, stop = _TokenQueue(), Event()
    tokenizer = loaded.processor.tokenizer
    end_id = tokenizer.convert_tokens_to_ids("<|im_end|>")

    def run() -> None:
        try:
            loaded.model.generate(
                **inputs.to(loaded.device),
                do_sample=False,
                max_new_tokens=max_new_tokens or loaded.processor.prompt.max_new_tokens,
                suppress_tokens=loaded.processor.placeholder_ids,
                eos_token_id=end_id,
                pad_token_id=tokenizer.pad_token_id,
                stopping_criteria=StoppingCriteriaList([_Stopped(stop)]),
                streamer=queue,
            )
        except BaseException as error:  # noqa: BLE001  raised again in the reader's thread
            queue.steps.put(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        yield from _collect(queue, len(inputs["input_ids"]), end_id, started)
    finally:
        stop.set()
        thread.join()


def _collect(
    queue: _TokenQueue, n_rows: int, end_id: int, started: float
) -> Iterator[list[_Row]]:
    ids: list[list[int]] = [[] for _ in range(n_rows)]
    ended: list[float | None] = [None] * n_rows
    shown = started

    def rows(*, final: bool) -> list[_Row]:
        now = time.perf_counter() - started
        return [
            _Row(tuple(i), now if e is None else e, final or e is not None)
            for i, e in zip(ids, ended, strict=True)
        ]

    while (step := queue.steps.get()) is not None:
        if isinstance(step, BaseException):
            raise step
        for row, token in enumerate(step):
            if ended[row] is None:
                if token == end_id:
                    ended[row] = time.perf_counter() - started
                else:
                    ids[row].append(token)
        if time.perf_counter() - shown > _REFRESH_S:
            shown = time.perf_counter()
            yield rows(final=False)
    yield rows(final=True)
