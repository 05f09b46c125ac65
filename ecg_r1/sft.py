"""Stage one: fine-tuning with Interleaved Modality Dropout, on transformers' Trainer."""

import json
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments

from ecg_r1.augment import degrade_signal, jitter_page
from ecg_r1.corpus import row_ecg, row_page
from ecg_r1.dropout import ModalityDropout
from ecg_r1.labels import LABELS
from ecg_r1.model import ECGR1ForConditionalGeneration
from ecg_r1.processing import NO_LOSS, ECGR1Processor, tower_input

UNITS = (" bpm", " ms", " mm", " degrees")
WINDOW = 16  # batches whose samples are arranged together


@dataclass(frozen=True)
class SFTConfig:
    """One run; the defaults are nano's.

    Attributes:
        steps: Optimiser steps.
        batch_size: Samples per step.
        learning_rate: Peak, after a linear warm-up, then a cosine to zero.
        warmup_steps: Steps of the warm-up.
        weight_decay: AdamW's.
        seed: Of data order, environments and augmentation.
        real_share: Share of samples that are real ECGs, where the corpus has both kinds.
        dropout: Interleaved Modality Dropout.
        number_smoothing: Standard deviation of a measured number's target as a share of it; 0
            asks for the exact one. A rate of 72 is then nearly right at 71.
        label_weight: Weight of tokens that are a diagnosis, of which a reading has few.
        workers: Processes that prepare batches.
        save_steps: Steps between two states to resume from.
        bf16: Mixed precision.
    """

    steps: int = 3000
    batch_size: int = 16
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    weight_decay: float = 0.05
    seed: int = 0
    real_share: float = 0.5
    dropout: ModalityDropout = field(default_factory=ModalityDropout)
    number_smoothing: float = 0.02
    label_weight: float = 3.0
    workers: int = 1
    save_steps: int = 250
    bf16: bool = True


def freeze_encoders(model: ECGR1ForConditionalGeneration) -> None:
    """Freeze the tower and the vision blocks as the paper does, not merger and projector."""
    visual = model.model.visual
    model.requires_grad_(requires_grad=True)
    for frozen in (model.model.ecg_tower, visual):
        frozen.requires_grad_(requires_grad=False)
    for trained in (visual.merger, visual.deepstack_merger_list):
        trained.requires_grad_(requires_grad=True)


class SFTData(Dataset):
    """Samples in the order of training; sample `i` depends on the seed and `i` alone.

    One pass over the drawn rows after another stands in a single long list, so that a sample's
    epoch is known without asking the trainer, in any worker and after any resume. Within a
    window of `WINDOW` batches, samples with as many inputs stand together: a batch is as long
    as its longest prompt.
    """

    def __init__(self, rows: Any, processor: ECGR1Processor, config: SFTConfig) -> None:
        self.rows = rows
        self.processor = processor
        self.config = config
        self.ids = rows["id"]
        real = np.array([source != "simulated" for source in rows["source"]])
        self.kinds = [np.flatnonzero(real), np.flatnonzero(~real)]
        self._window = lru_cache(maxsize=2)(self._arrange)

    def __len__(self) -> int:
        return self.config.steps * self.config.batch_size

    def locate(self, index: int) -> tuple[int, int]:
        """Row and epoch of a sample; each kind of record goes round in epochs of its own."""
        share = self.config.real_share
        real, simulated = self.kinds
        n_real = int(np.ceil(index * share))
        is_real = int(np.ceil((index + 1) * share)) > n_real
        if not len(real) or (len(simulated) and not is_real):
            kind, place = simulated, index - n_real if len(real) else index
        else:
            kind, place = real, n_real if len(simulated) else index
        epoch, position = divmod(place, len(kind))
        order = np.random.default_rng([self.config.seed, epoch]).permutation(len(kind))
        return int(kind[order[position]]), epoch

    def environment(self, index: int) -> str:
        """Which modalities the sample shows."""
        row, epoch = self.locate(index)
        return self.config.dropout.environment(
            self.ids[row], seed=self.config.seed, epoch=epoch
        )

    def _arrange(self, window: int) -> list[int]:
        """The samples of a window in the order of training."""
        batch = self.config.batch_size
        size = WINDOW * batch
        indices = range(window * size, min((window + 1) * size, len(self)))
        alike = sorted(indices, key=lambda i: len(self.environment(i)))
        batches = [alike[i : i + batch] for i in range(0, len(alike), batch)]
        np.random.default_rng([self.config.seed, 2, window]).shuffle(batches)
        return [i for members in batches for i in members]

    def __getitem__(self, place: int) -> dict[str, Any]:
        window, offset = divmod(place, WINDOW * self.config.batch_size)
        index = self._window(window)[offset]
        rng = np.random.default_rng([self.config.seed, 1, index])
        row = self.rows[self.locate(index)[0]]
        environment = self.environment(index)
        sample = {name: row[name] for name in ("text", "unlearned")}
        sample["environment"] = environment
        if "signal" in environment:
            ecg = degrade_signal(row_ecg(row), rng)
            sample["ecg"] = tower_input(ecg, self.processor.prompt)
        if "image" in environment:
            sample["image"] = jitter_page(row_page(row), rng)[0]
        return sample

    def seen(self, steps: int) -> Counter:
        """How often each environment was shown in the first `steps` steps."""
        return Counter(self.environment(i) for i in range(steps * self.config.batch_size))


@dataclass(frozen=True)
class Collator:
    """Samples to a batch of tensors."""

    processor: ECGR1Processor

    def __call__(self, samples: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """Tensors as the model's `forward` names them."""
        return dict(
            self.processor(
                [s["environment"] for s in samples],
                ecgs=[s["ecg"] for s in samples if "ecg" in s],
                images=[s["image"] for s in samples if "image" in s],
                answers=[s["text"] for s in samples],
                unlearned=[s["unlearned"] for s in samples],
            )
        )


class TokenLoss:
    """Cross-entropy with smoothed numbers and heavier diagnoses."""

    def __init__(self, processor: ECGR1Processor, config: SFTConfig) -> None:
        vocabulary = processor.tokenizer.get_vocab()
        numbers = {
            int(match[1]): token_id
            for token, token_id in vocabulary.items()
            if (match := re.fullmatch(r"\u0120(\d{1,3})", token))
            and str(int(match[1])) == match[1]
        }
        values = torch.tensor(sorted(numbers), dtype=torch.float32)
        self.number_ids = torch.tensor([numbers[int(v)] for v in values], dtype=torch.long)
        self.row_of = torch.full((len(processor.tokenizer),), -1)
        self.row_of[self.number_ids] = torch.arange(len(values))
        width = (config.number_smoothing * values).clamp(min=1e-3)
        distance = (values[None, :] - values[:, None]) / width[:, None]
        self.targets = torch.softmax(-0.5 * distance**2, dim=1)
        texts = [processor.tokenizer.decode([i]) for i in range(len(self.row_of))]
        self.is_unit = torch.tensor([t.startswith(UNITS) for t in texts])
        names = {label.text for label in LABELS}
        is_label = [text.strip() in names for text in texts]
        self.weights = 1 + (config.label_weight - 1) * torch.tensor(is_label).float()

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean loss over the tokens to learn.

        Args:
            logits: `(batch, tokens, vocabulary)`.
            labels: `(batch, tokens)`, not shifted.
        """
        logits, labels = logits[:, :-1], labels[:, 1:]
        learned = labels != NO_LOSS
        scores = torch.log_softmax(logits[learned].float(), dim=-1)
        target = labels[learned]
        weights = self.weights[target]
        loss = -scores.gather(1, target[:, None])[:, 0]
        measured = self._measured(labels)[learned]
        soft = self.targets[self.row_of[target[measured]]]
        loss[measured] = -(soft * scores[measured][:, self.number_ids]).sum(dim=1)
        return (loss * weights).sum() / weights.sum()

    def _measured(self, labels: Tensor) -> Tensor:
        """Where a reading states a number for the first time and with its unit.

        A threshold ("120 to 200") and a number said again have one right value.
        """
        following = torch.cat([labels[:, 1:], torch.full_like(labels[:, :1], NO_LOSS)], dim=1)
        known = labels.clamp(min=0)
        number = (self.row_of[known] >= 0) & self.is_unit[following.clamp(min=0)]
        earlier = torch.ones(labels.shape[1], labels.shape[1]).tril(diagonal=-1).bool()
        repeated = ((labels[:, :, None] == labels[:, None, :]) & earlier).any(dim=2)
        return number & ~repeated & (labels != NO_LOSS) & (following != NO_LOSS)


class SFTTrainer(Trainer):
    """transformers' Trainer with our loss, and samples in the order they stand."""

    def __init__(self, *args: Any, token_loss: TokenLoss, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.token_loss = token_loss

    def compute_loss(
        self, model: Any, inputs: dict[str, Tensor], return_outputs: bool = False, **_: Any
    ) -> Any:
        """The loss of a batch."""
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        loss = self.token_loss(outputs.logits, labels)
        return (loss, outputs) if return_outputs else loss


class _Clock(TrainerCallback):
    """Adds up the seconds of a run over the legs that it was cut into."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.spent = json.loads(file.read_text()) if file.is_file() else 0.0
        self.started = time.perf_counter()

    def seconds(self) -> float:
        return self.spent + time.perf_counter() - self.started

    def on_save(self, *_: Any, **__: Any) -> None:
        self.file.write_text(json.dumps(self.seconds()))


def train_sft(
    model: ECGR1ForConditionalGeneration,
    processor: ECGR1Processor,
    rows: Any,
    folder: Path,
    config: SFTConfig,
) -> dict[str, Any]:
    """Fine-tune `model` in place; resumes from the newest state in `folder`.

    Args:
        model: Parameters that require gradients are trained.
        processor: For the inputs.
        rows: A corpus, training rows only.
        folder: States and logs.
        config: The run.

    Returns:
        `log` (the trainer's history), `seconds` (of all its legs) and `environments` (how often
        each was shown).
    """
    data = SFTData(rows, processor, config)
    args = TrainingArguments(
        output_dir=str(folder),
        max_steps=config.steps,
        per_device_train_batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=config.warmup_steps,
        weight_decay=config.weight_decay,
        adam_beta2=0.98,
        seed=config.seed,
        bf16=config.bf16,
        use_cpu=not torch.cuda.is_available(),
        dataloader_num_workers=config.workers,
        save_steps=config.save_steps,
        save_total_limit=1,
        logging_steps=25,
        logging_first_step=True,
        report_to="none",
        remove_unused_columns=False,
        train_sampling_strategy="sequential",
    )
    trainer = SFTTrainer(
        model=model,
        args=args,
        train_dataset=data,
        data_collator=Collator(processor),
        token_loss=TokenLoss(processor, config),
    )
    clock = _Clock(folder / "seconds.json")
    trainer.add_callback(clock)
    trainer.train(resume_from_checkpoint=any(folder.glob("checkpoint-*")))
    return {
        "log": trainer.state.log_history,
        "seconds": clock.seconds(),
        "environments": dict(data.seen(trainer.state.global_step)),
    }
