"""Who reads: anything that turns what is shown into text. One interface for all models."""

import base64
import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from PIL import Image

from ecg_r1.corpus.endpoint import Endpoint, EndpointError, EndpointWriter, RestrictedError
from ecg_r1.corpus.journal import Answer, Job, Journal
from ecg_r1.ecg import ECG, ECGError
from ecg_r1.evaluate.records import protocol_text
from ecg_r1.report import QUESTION, SYSTEM_PROMPT

if TYPE_CHECKING:
    from ecg_r1.claims.facts import Facts


@dataclass(frozen=True)
class Shown:
    """What a reader is shown.

    Attributes:
        record: Key of the record.
        arm: "signal", "image", "both" or "measurements".
        ecg: The record, for arms that show the signal; measured ones see its numbers.
        image: Its page, for arms that show it.
        facts: Its measurements, for "measurements".
        reasoning: Text that the reading has to begin with; "" leaves it free.
        scored: Whether labels are to be scored, where the reader can.
        restricted: Under a data-use agreement: must not leave this machine unasked.
    """

    record: str
    arm: str
    ecg: ECG | None = None
    image: Image.Image | None = None
    facts: "Facts | None" = None
    reasoning: str = ""
    scored: bool = False
    restricted: bool = False


@dataclass(frozen=True)
class Told:
    """What a reader wrote, or why it wrote nothing."""

    text: str
    n_tokens: int = 0
    seconds: float = 0.0
    scores: dict[str, float] | None = None
    problem: str | None = None
    cost: float = 0.0


def name_of(model: str) -> str:
    """What a checkpoint is called in results; those in a folder "model" by the run above it.

    Example:
        >>> name_of("nano"), name_of("runs/rl/model"), name_of("PKUDigitalHealth/ECG-R1-8B-RL")
        ('nano', 'rl', 'ECG-R1-8B-RL')
    """
    path = Path(model)
    return path.parent.name if path.name == "model" and path.parent.name else path.name


class Reader(Protocol):
    """Anything that reads.

    Attributes:
        name: In results.
        arms: What it can be shown.
    """

    name: str
    arms: tuple[str, ...]

    @property
    def page(self) -> dict[str, Any]:
        """Arguments of `draw_page` for its pages."""
        ...

    def about(self) -> dict[str, Any]:
        """What identifies it in `run.json`; two runs with the same answer can be joined."""
        ...

    def read(self, shown: Sequence[Shown]) -> list[Told]:
        """One reading for each thing shown, in order."""
        ...


class ProtocolReader:
    """The protocol engine itself: what measurement and rules alone would write."""

    name = "protocol"
    arms = ("signal",)
    page: dict[str, Any] = {}  # noqa: RUF012  it sees no page

    def about(self) -> dict[str, Any]:
        """What stands in `run.json`."""
        return {"name": self.name, "kind": "protocol"}

    def read(self, shown: Sequence[Shown]) -> list[Told]:
        """Measure each record and write what follows."""
        return [_timed(one) for one in shown]


def _timed(one: Shown) -> Told:
    started = time.perf_counter()
    try:
        text = protocol_text(one.ecg)
    except ECGError as error:
        return Told("", seconds=time.perf_counter() - started, problem=str(error))
    return Told(text, seconds=time.perf_counter() - started)


# --- chat models ------------------------------------------------------------------------------

FORMAT = """Answer in exactly this form:
<think>
**Step 1: Technical, Rate & Rhythm** ...
**Step 2: Conduction, Axis & Intervals** ...
**Step 3: Chamber Hypertrophy & Voltage** ...
**Step 4: Ischemia, Infarction & Mimics** ...
**Step 5: Electrolytes & QT** ...
**Step 6: Final Medical Reasoning** ...
</think>
One paragraph that sums up.
<answer>diagnosis; diagnosis</answer>"""
_NAMES = {"hr_bpm": "heart rate (bpm)", "pr_ms": "PR (ms)", "qrs_ms": "QRS (ms)",
          "qt_ms": "QT (ms)", "qtc_ms": "QTc Fridericia (ms)", "axis_deg": "QRS axis (degrees)",
          "p_axis_deg": "P axis (degrees)", "t_axis_deg": "T axis (degrees)"}  # fmt: skip
_PER_LEAD = ("p_mv", "q_mv", "r_mv", "s_mv", "st_mv", "t_mv")


def measurement_table(facts: "Facts") -> str:
    """Measurements in words and a table, for models that see neither signal nor page."""
    lines = [
        f"{words}: {facts.numbers[key]:g}"
        for key, words in _NAMES.items()
        if key in facts.numbers
    ]
    words = facts.words
    lines.append(f"P wave before each QRS: {_said(words.get('p_present'))}")
    lines.append(f"RR intervals regular: {_said(words.get('regular'))}")
    if facts.calibrated:
        lines.append(" ".join(["lead", *_PER_LEAD]))
        lines += [
            " ".join([lead, *(f"{row[c]:.2f}" if c in row else "-" for c in _PER_LEAD)])
            for lead, row in facts.leads.items()
        ]
    else:
        lines.append("The record is not calibrated: no voltages.")
    return "\n".join(lines)


def _said(value: bool | None) -> str:  # noqa: FBT001
    return {True: "yes", False: "no", None: "not known"}[value]


def chat_of(one: Shown) -> list[dict[str, Any]]:
    """The conversation that asks a chat model for a reading."""
    if one.arm == "measurements":
        told = measurement_table(one.facts)
        asked: Any = f"Measured on a 12-lead ECG:\n{told}\n\n{QUESTION}\n{FORMAT}"
    else:
        packed = io.BytesIO()
        one.image.convert("RGB").save(packed, "PNG")
        url = "data:image/png;base64," + base64.b64encode(packed.getvalue()).decode()
        asked = [
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "text", "text": f"{QUESTION}\n{FORMAT}"},
        ]
    chat = [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": asked}]
    if one.reasoning:
        chat.append({"role": "assistant", "content": one.reasoning})
        chat.append({"role": "user", "content": "Go on: write only <answer>...</answer>."})
    return chat


@dataclass(frozen=True)
class Question(Job):
    """Anything asked of an endpoint: the conversation itself stands in place of a plan."""


class ChatClient(EndpointWriter):
    """Asks an endpoint anything, with retries, journal and account as the corpus does."""

    def chat(self, job: Job) -> list[dict[str, Any]]:
        """The conversation of a question."""
        return job.plan

    def ask(self, questions: Sequence[tuple[str, list, bool]]) -> Iterator[Answer]:
        """Answers to (key, conversation, restricted), in order."""
        return self.answers(Question(key, chat, held) for key, chat, held in questions)


class EndpointReader:
    """A vision or text model behind an OpenAI-compatible endpoint.

    Args:
        endpoint: Where it is.
        journal: Keeps every answer.
        arm: "image" shows the page, "measurements" a table of numbers.
        allow_restricted: As in the corpus: your agreement allows it.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        journal: Path,
        *,
        arm: str = "image",
        allow_restricted: bool = False,
    ) -> None:
        self.endpoint, self.arms, self.name = endpoint, (arm,), endpoint.model
        self.client = ChatClient(endpoint, Journal(journal), allow_restricted=allow_restricted)

    @property
    def page(self) -> dict[str, Any]:
        """The usual page, about 1000 pixels wide."""
        return {"px_per_mm": 4.0}

    def about(self) -> dict[str, Any]:
        """What stands in `run.json`; never the key."""
        return {
            "name": self.name,
            "kind": "endpoint",
            "url": self.endpoint.base_url,
            "temperature": self.endpoint.temperature,
        }

    def read(self, shown: Sequence[Shown]) -> list[Told]:
        """Ask for each reading; several are under way at once.

        Raises:
            ECGError: The endpoint refuses us or has stopped answering, or a record under a
                data-use agreement would have left this machine.
        """
        started, before = time.perf_counter(), self.client.spent.cost
        questions = [(one.record, chat_of(one), one.restricted) for one in shown]
        try:
            answers = list(self.client.ask(questions))
        except (EndpointError, RestrictedError) as error:
            raise ECGError(str(error)) from error
        seconds = (time.perf_counter() - started) / max(len(shown), 1)
        cost = (self.client.spent.cost - before) / max(len(shown), 1)
        return [
            Told(
                one.reasoning + answer.text if answer.text else "",
                answer.completion_tokens,
                seconds,
                problem=answer.error or None,
                cost=cost,
            )
            for one, answer in zip(shown, answers, strict=True)
        ]


class ImageTextReader:
    """A transformers image-text-to-text model, such as Qwen3-VL or MedGemma.

    Args:
        model: A loaded model with `generate`.
        processor: Its processor, with a chat template that takes images.
        name: In results.
        max_new_tokens: Longest reading.
    """

    arms = ("image",)

    def __init__(
        self, model: Any, processor: Any, *, name: str, max_new_tokens: int = 1024
    ) -> None:
        self.model, self.processor = model.eval(), processor
        self.name, self.max_new_tokens = name, max_new_tokens

    @classmethod
    def load(cls, folder: str, **options: Any) -> "ImageTextReader":
        """A reader with the model of a folder or hub id.

        Raises:
            ECGError: It cannot be loaded.
        """
        from transformers import AutoModelForImageTextToText, AutoProcessor  # noqa: PLC0415

        try:
            model = AutoModelForImageTextToText.from_pretrained(folder)
            processor = AutoProcessor.from_pretrained(folder)
        except (OSError, ValueError, ImportError) as error:
            raise ECGError(
                f"no image-text model could be loaded from {folder!r}: {error}"
            ) from error
        return cls(model, processor, name=name_of(folder), **options)

    @property
    def page(self) -> dict[str, Any]:
        """The usual page, about 1000 pixels wide."""
        return {"px_per_mm": 4.0}

    def about(self) -> dict[str, Any]:
        """What stands in `run.json`."""
        return {"name": self.name, "kind": "image-text", "max_new_tokens": self.max_new_tokens}

    def read(self, shown: Sequence[Shown]) -> list[Told]:
        """One after the other, greedy."""
        return [self._one(one) for one in shown]

    def _one(self, one: Shown) -> Told:
        import torch  # noqa: PLC0415

        started = time.perf_counter()
        asked = [{"type": "image"}, {"type": "text", "text": f"{QUESTION}\n{FORMAT}"}]
        chat = [{"role": "user", "content": asked}]
        prompt = self.processor.apply_chat_template(chat, add_generation_prompt=True)
        inputs = self.processor(
            text=[prompt + one.reasoning],
            images=[one.image.convert("RGB")],
            return_tensors="pt",
        ).to(self.model.device)
        with torch.inference_mode():
            out = self.model.generate(
                **inputs, do_sample=False, max_new_tokens=self.max_new_tokens
            )
        new = out[0, inputs["input_ids"].shape[1] :]
        text = self.processor.batch_decode(new[None], skip_special_tokens=True)[0]
        return Told(one.reasoning + text.strip(), len(new), time.perf_counter() - started)
