"""What goes into the model: prompts, placeholders, the signal's tensor, the page's patches."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoProcessor, AutoTokenizer, BatchFeature
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.processing_utils import ProcessorMixin
from transformers.utils import cached_file

from ecg_r1.dropout import ENVIRONMENTS, TAGS
from ecg_r1.ecg import ECG, LEADS
from ecg_r1.model import ECGR1Config
from ecg_r1.pictures import on_white_paper
from ecg_r1.report import QUESTION, SYSTEM_PROMPT

ECG_PAD, ECG_START, ECG_END = "<|ecg_pad|>", "<|ecg_start|>", "<|ecg_end|>"
IMAGE_PAD, IMAGE_START, IMAGE_END = "<|image_pad|>", "<|vision_start|>", "<|vision_end|>"
INPUT_TOKENS = (ECG_PAD, ECG_START, ECG_END, IMAGE_PAD, IMAGE_START, IMAGE_END)
SPECIAL_TOKENS = ("<|im_start|>", "<|im_end|>", *INPUT_TOKENS)
# The reference trains and reads with this image budget, which an environment variable holds.
# A third party that forgot it measured a heart-rate error of 17.8 instead of 4.4 bpm.
REFERENCE_IMAGE_TOKENS = (4, 768)
# Rows of the tower's input. MIMIC-IV-ECG, from which released checkpoints learned most, stores
# aVF before aVL, and the reference takes a file's rows as they come.
LEAD_ORDERS = {"standard": LEADS, "mimic": (*LEADS[:4], "aVF", "aVL", *LEADS[6:])}
# What released checkpoints were trained on but do not say in their files.
REFERENCE_SETTINGS = {
    "lead_order": LEAD_ORDERS["mimic"],
    "page": {"layout": "image-kit", "colour": "image-kit", "px_per_mm": 200 / 25.4},
}
NO_LOSS = -100  # transformers' label for tokens that are not learned


@dataclass(frozen=True)
class PromptSettings:
    """How a checkpoint wants its inputs; travels in `processor_config.json`.

    Attributes:
        system: System prompt.
        question: The user's words after the ECG.
        lead_order: Order of the tower's input rows, a value of `LEAD_ORDERS`.
        ecg_samples: Length of the tower's input at 500 Hz.
        ecg_tokens: Placeholders per ECG.
        max_new_tokens: Longest reading.
        page: Arguments of `draw_page` for the pages that the checkpoint was trained on.
        canvas: Width and height in pixels that every picture is stretched to; 10 s at 50 mm/s
            then look almost like 10 s at 25. None (the paper's) keeps the picture's shape.
    """

    system: str = SYSTEM_PROMPT
    question: str = QUESTION
    lead_order: tuple[str, ...] = LEADS
    ecg_samples: int = 5000
    ecg_tokens: int = 101
    max_new_tokens: int = 2048
    page: dict[str, Any] = field(default_factory=dict)
    canvas: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "lead_order", tuple(self.lead_order))
        if self.canvas is not None:
            object.__setattr__(self, "canvas", tuple(self.canvas))
        if sorted(self.lead_order) != sorted(LEADS):
            raise ValueError(f"lead_order must hold {LEADS} once each, got {self.lead_order}")


def tower_input(ecg: ECG, settings: PromptSettings) -> np.ndarray:
    """The signal as the tower reads it.

    Args:
        ecg: The record.
        settings: Lead order and length.

    Returns:
        float32 millivolts `(12, ecg_samples)`; missing samples and the padding are 0 mV.
    """
    rows = [LEADS.index(name) for name in settings.lead_order]
    values = np.zeros((len(LEADS), settings.ecg_samples), dtype=np.float32)
    n_samples = min(ecg.signal.shape[1], settings.ecg_samples)
    values[:, :n_samples] = np.nan_to_num(ecg.signal[rows, :n_samples], nan=0.0)
    return values


class ECGR1Processor(ProcessorMixin):
    """Tokenizer, image processor and prompt settings of one checkpoint.

    Built from its parts: transformers' own Qwen3-VL processor needs torchvision.
    """

    def __init__(
        self,
        image_processor: Qwen2VLImageProcessorPil,
        tokenizer: Any,
        settings: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(image_processor, tokenizer, **kwargs)
        self.settings = asdict(PromptSettings(**(settings or {})))
        lacking = [t for t in SPECIAL_TOKENS if len(_ids(tokenizer, t)) != 1]
        if lacking:
            raise ValueError(f"the tokenizer does not know {lacking} as single tokens")
        self.image_token_id = tokenizer.convert_tokens_to_ids(IMAGE_PAD)
        self.ecg_token_id = tokenizer.convert_tokens_to_ids(ECG_PAD)

    @property
    def prompt(self) -> PromptSettings:
        """The settings, typed."""
        return PromptSettings(**self.settings)

    @property
    def placeholder_ids(self) -> list[int]:
        """Tokens that stand for inputs and must never be sampled."""
        return [self.tokenizer.convert_tokens_to_ids(name) for name in INPUT_TOKENS]

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | Path, **kwargs: Any
    ) -> "ECGR1Processor":
        """Build the processor from a checkpoint's files, ours or Qwen3-VL's.

        Args:
            pretrained_model_name_or_path: Folder or hub id.
            kwargs: Hub options such as `revision` and `local_files_only`; `settings` replaces
                what the checkpoint says (`REFERENCE_SETTINGS`, where it says nothing),
                `tokenizer` its tokenizer.
        """
        settings, tokenizer = kwargs.pop("settings", None), kwargs.pop("tokenizer", None)
        name = str(pretrained_model_name_or_path)
        tokenizer = tokenizer or AutoTokenizer.from_pretrained(name, **kwargs)
        found = cached_file(
            name, "processor_config.json", _raise_exceptions_for_missing_entries=False, **kwargs
        )
        saved = json.loads(Path(found).read_text(encoding="utf-8")) if found else {}
        if "image_processor" in saved:
            options = saved["image_processor"]
            options.pop("image_processor_type", None)
            image_processor = Qwen2VLImageProcessorPil(**options)
        else:
            image_processor = Qwen2VLImageProcessorPil.from_pretrained(name, **kwargs)
            token = (image_processor.patch_size * image_processor.merge_size) ** 2
            least, most = REFERENCE_IMAGE_TOKENS
            image_processor.size = {
                "shortest_edge": least * token,
                "longest_edge": most * token,
            }
        settings = settings or saved.get("settings") or REFERENCE_SETTINGS
        return cls(image_processor, tokenizer, settings=settings)

    def __call__(
        self,
        environments: Sequence[str],
        *,
        ecgs: Sequence[np.ndarray] = (),
        images: Sequence[Image.Image] = (),
        answers: Sequence[str] | None = None,
        unlearned: Sequence[Sequence[Sequence[int]]] | None = None,
        grids: Sequence[Sequence[int]] = (),
        conversations: Sequence[Sequence[Mapping[str, str]]] | None = None,
    ) -> BatchFeature:
        """Tensors for a batch.

        Args:
            environments: For each sample, which inputs it shows in which order: "signal",
                "image", "signal+image" or "image+signal".
            ecgs: `tower_input` of each sample that shows the signal, in the batch's order.
            images: Page of each sample that shows the image, in the batch's order.
            answers: Texts to learn, for training; padding is then on the right and `labels`
                are returned. Without them it is on the left, as generation needs.
            unlearned: For each answer, spans (first character, end) that get no loss.
            grids: Instead of `images`, patches (1, down, across) of pages that were encoded
                before; then neither pages nor signals are read.
            conversations: For each sample that has words of its own, its turns (`role`,
                `content`) with "<ecg>" and "<image>" where its inputs stand, instead of the
                settings' question and of `answers`; empty for the others. Every assistant's
                turn is learned.

        Returns:
            `input_ids`, `attention_mask`, `mm_token_type_ids` `(batch, tokens)`, and where the
            batch has them `ecg_values`, `pixel_values`, `image_grid_thw`, `labels`.

        Raises:
            ValueError: If the inputs do not match the environments.
        """
        if not grids:
            _check_counts(environments, ecgs, images)
        batch: dict[str, torch.Tensor] = {}
        if images:
            seen = self.image_processor(
                [self._on_canvas(on_white_paper(i)) for i in images], return_tensors="pt"
            )
            batch |= {"pixel_values": seen["pixel_values"]}
            batch |= {"image_grid_thw": seen["image_grid_thw"]}
            grids = seen["image_grid_thw"].tolist()
        if ecgs:
            batch["ecg_values"] = torch.from_numpy(np.stack(ecgs))
        merged = self.image_processor.merge_size**2
        counts = iter([math.prod(grid) // merged for grid in grids])
        n_image = [next(counts) if "image" in e else 0 for e in environments]
        if answers is None:
            prompts = [
                _ids(self.tokenizer, self._prompt_text(e, n))
                for e, n in zip(environments, n_image, strict=True)
            ]
            return BatchFeature(batch | self._pad(prompts))
        turns = conversations or [()] * len(answers)
        spans = unlearned or [()] * len(answers)
        whole = [
            self._conversation(turn, n) if turn else self._reading(e, n, answer, span)
            for turn, e, n, answer, span in zip(
                turns, environments, n_image, answers, spans, strict=True
            )
        ]
        return BatchFeature(batch | self._pad(*zip(*whole, strict=True)))

    def _on_canvas(self, image: Image.Image) -> Image.Image:
        canvas = self.prompt.canvas
        if canvas is None or image.size == canvas:
            return image
        return image.resize(canvas, Image.Resampling.BICUBIC)

    def _prompt_text(self, environment: str, image_tokens: int) -> str:
        settings, inputs = self.prompt, self._placeholders(image_tokens)
        shown = "".join(inputs[TAGS[name]] for name in environment.split("+"))
        return (
            f"<|im_start|>system\n{settings.system}<|im_end|>\n"
            f"<|im_start|>user\n{shown}\n{settings.question}<|im_end|>\n"
            "<|im_start|>assistant\n"
        )

    def _placeholders(self, image_tokens: int) -> dict[str, str]:
        """What a tag of the text becomes."""
        return {
            TAGS["signal"]: ECG_START + ECG_PAD * self.prompt.ecg_tokens + ECG_END,
            TAGS["image"]: IMAGE_START + IMAGE_PAD * image_tokens + IMAGE_END,
        }

    def _reading(
        self, environment: str, image_tokens: int, answer: str, unlearned: Sequence
    ) -> tuple[list[int], list[int]]:
        """Token ids and labels of the settings' prompt and an answer."""
        prompt = _ids(self.tokenizer, self._prompt_text(environment, image_tokens))
        ids, labels = self._answer(answer, unlearned)
        return prompt + ids, [NO_LOSS] * len(prompt) + labels

    def _conversation(
        self, turns: Sequence[Mapping[str, str]], image_tokens: int
    ) -> tuple[list[int], list[int]]:
        """Token ids and labels of a sample with words of its own."""
        ids, labels = [], []
        if turns[0]["role"] != "system":
            turns = [{"role": "system", "content": self.prompt.system}, *turns]
        for turn in turns:
            text = turn["content"]
            learned = turn["role"] == "assistant"
            if not learned:
                for tag, tokens in self._placeholders(image_tokens).items():
                    text = text.replace(tag, tokens)
            opening = _ids(self.tokenizer, f"<|im_start|>{turn['role']}\n")
            words = _ids(self.tokenizer, f"{text}<|im_end|>")
            closing = _ids(self.tokenizer, "\n") if turn is not turns[-1] else []
            ids += opening + words + closing
            labels += [NO_LOSS] * len(opening)
            labels += words if learned else [NO_LOSS] * len(words)
            labels += [NO_LOSS] * len(closing)
        return ids, labels

    def _answer(self, answer: str, unlearned: Sequence[Sequence[int]]) -> tuple[list, list]:
        """Token ids of an answer and its labels."""
        told = self.tokenizer(
            answer + "<|im_end|>", add_special_tokens=False, return_offsets_mapping=True
        )
        labels = [
            NO_LOSS if any(start < last and end > first for first, last in unlearned) else token
            for token, (start, end) in zip(
                told["input_ids"], told["offset_mapping"], strict=True
            )
        ]
        return told["input_ids"], labels

    def _pad(
        self, rows: Sequence[list[int]], learned: Sequence[list[int]] | None = None
    ) -> dict[str, torch.Tensor]:
        width = max(map(len, rows))
        ids = torch.full((len(rows), width), self.tokenizer.pad_token_id)
        mask = torch.zeros_like(ids)
        for i, row in enumerate(rows):
            start = 0 if learned else width - len(row)
            ids[i, start : start + len(row)] = torch.tensor(row)
            mask[i, start : start + len(row)] = 1
        out = {
            "input_ids": ids,
            "attention_mask": mask,
            "mm_token_type_ids": (ids == self.image_token_id).int(),
        }
        if learned is None:
            return out
        labels = torch.full_like(ids, NO_LOSS)
        for i, row in enumerate(learned):
            labels[i, : len(row)] = torch.tensor(row)
        return out | {"labels": labels}


def _ids(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def _check_counts(
    environments: Sequence[str], ecgs: Sequence[np.ndarray], images: Sequence[Image.Image]
) -> None:
    for environment in environments:
        if environment not in ENVIRONMENTS:
            raise ValueError(f"environment must be one of {ENVIRONMENTS}, got {environment!r}")
    for name, given in (("signal", ecgs), ("image", images)):
        wanted = sum(name in environment for environment in environments)
        if wanted != len(given):
            raise ValueError(f"{wanted} samples show the {name}, but {len(given)} were given")


AutoProcessor.register(ECGR1Config, ECGR1Processor)
