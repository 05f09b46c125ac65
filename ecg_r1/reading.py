"""One ECG read by several arms at once: signal only, image only, both."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

from PIL import Image

from ecg_r1.decode import Prompts, greedy, prompts_of
from ecg_r1.ecg import ECG, ECGError
from ecg_r1.loading import LoadedModel, load_model
from ecg_r1.page import draw_page
from ecg_r1.processing import tower_input
from ecg_r1.report import Reading, parse_report

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
_TAIL = 64  # tokens of an unfinished reading that are decoded again for the next snapshot


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
    prompts = _prompts(loaded, running, (ecg, image), control)
    for rows in _generate(loaded, prompts, max_new_tokens, started):
        for arm, row in zip(running, rows, strict=True):
            readings[arm] = _grow(readings[arm], row)
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


def _prompts(
    loaded: LoadedModel,
    arms: Sequence[str],
    case: tuple[ECG | None, Image.Image | None],
    control: ECG | None,
) -> Prompts:
    """One prompt for each arm; signal and page of a case are the same objects in all arms."""
    cases = dict.fromkeys(arms, case)
    if control is not None:
        cases[CONTROL] = (control, draw_page(control, **loaded.page))
    shown = {arm: _ENVIRONMENT[arm] for arm in arms}
    records = {id(ecg): ecg for ecg, _ in cases.values() if ecg is not None}
    signals = {key: tower_input(ecg, loaded.processor.prompt) for key, ecg in records.items()}
    return prompts_of(
        loaded.processor,
        list(shown.values()),
        ecgs=[signals[id(cases[arm][0])] for arm in arms if "signal" in shown[arm]],
        images=[cases[arm][1] for arm in arms if "image" in shown[arm]],
    )


@dataclass(frozen=True)
class _Row:
    """What one arm has written so far."""

    text: str
    n_tokens: int
    seconds: float
    done: bool


def _grow(reading: Reading, row: _Row) -> Reading:
    if reading.done:
        return reading
    parsed = parse_report(row.text)
    return replace(
        reading,
        text=row.text,
        steps=dict(parsed.steps),
        summary=parsed.summary,
        diagnoses=list(parsed.diagnoses),
        well_formed=parsed.well_formed,
        seconds=row.seconds,
        n_tokens=row.n_tokens,
        done=row.done,
    )


class _Writing:
    """Tokens of one arm, and their text without decoding all of them at each look."""

    def __init__(self, tokenizer: Any, end_id: int) -> None:
        self.tokenizer, self.end_id = tokenizer, end_id
        self.ids: list[int] = []
        self.settled, self.text = 0, ""
        self.ended: float | None = None

    def add(self, token: int, seconds: float) -> None:
        if self.ended is not None:
            return
        if token == self.end_id:
            self.ended = seconds
        else:
            self.ids.append(token)

    def row(self, seconds: float, *, final: bool) -> _Row:
        """What is written, `seconds` after the request."""
        done = final or self.ended is not None
        text = self._decode(self.ids) if done else self._growing()
        ended = seconds if self.ended is None else self.ended
        return _Row(text, len(self.ids), ended, done)

    def _growing(self) -> str:
        tail = self._decode(self.ids[self.settled :])
        # A character may be spread over tokens; its first part decodes to this sign.
        whole = tail.rstrip("\N{REPLACEMENT CHARACTER}")
        if whole == tail and len(self.ids) - self.settled >= _TAIL:
            self.text, self.settled = self.text + tail, len(self.ids)
            return self.text
        return self.text + whole

    def _decode(self, ids: list[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=True)


def _generate(
    loaded: LoadedModel, prompts: Prompts, max_new_tokens: int | None, started: float
) -> Iterator[list[_Row]]:
    """Decode in a thread of its own, seen from here as text that grows."""
    steps, stop = SimpleQueue(), Event()
    processor = loaded.processor
    end_id = processor.tokenizer.convert_tokens_to_ids("<|im_end|>")

    def run() -> None:
        try:
            for tokens in greedy(
                loaded.model,
                prompts,
                max_new_tokens=max_new_tokens or processor.prompt.max_new_tokens,
                end_id=end_id,
                suppressed=processor.placeholder_ids,
            ):
                steps.put(tokens)
                if stop.is_set():
                    break
            steps.put(None)
        except BaseException as error:  # noqa: BLE001  raised again in the reader's thread
            steps.put(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        arms = [_Writing(processor.tokenizer, end_id) for _ in prompts.input_ids]
        yield from _collect(steps, arms, started)
    finally:
        stop.set()
        thread.join()


def _collect(
    steps: SimpleQueue, arms: Sequence[_Writing], started: float
) -> Iterator[list[_Row]]:
    """Rows of all arms, some twenty times a second, and at the end."""
    shown = started
    while (tokens := steps.get()) is not None:
        if isinstance(tokens, BaseException):
            raise tokens
        now = time.perf_counter()
        for arm, token in zip(arms, tokens, strict=True):
            arm.add(token, now - started)
        if now - shown > _REFRESH_S:
            shown = now
            yield [arm.row(now - started, final=False) for arm in arms]
    yield [arm.row(time.perf_counter() - started, final=True) for arm in arms]
