"""transformers' Trainer with our loss, our order, and states that survive a kill."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm
from transformers import Trainer, TrainerCallback

from ecg_r1.dropout import ENVIRONMENTS
from ecg_r1.ecg import ECGError
from ecg_r1.processing import NO_LOSS, ECGR1Processor
from ecg_r1.sft.config import SFTConfig
from ecg_r1.sft.features import computed
from ecg_r1.sft.loss import TokenLoss
from ecg_r1.sft.saving import facts_of, mark_complete, told_when_full


class SFTTrainer(Trainer):
    """transformers' Trainer with our loss, and samples in the order they stand.

    The loss is the mean over all tokens of a step, of whatever process and accumulated pass
    they are, so that it does not depend on how the step was split. Each line of the log tells
    the loss and the number of samples of each environment since the line before.
    """

    def __init__(
        self, *args: Any, token_loss: TokenLoss, config: SFTConfig, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.token_loss = token_loss
        self.config = config
        self.loss_is_scaled_for_ga = True
        self.skipped = 0
        # Rows: sum of losses, sum of weights, samples.
        self._seen = torch.zeros(3, len(ENVIRONMENTS), dtype=torch.float64)
        self._shown = torch.zeros(len(ENVIRONMENTS))  # samples up to the last line of the log

    def get_batch_samples(
        self, epoch_iterator: Iterator, num_batches: int, device: torch.device
    ) -> tuple[list, Tensor]:
        """The passes of a step, and the weight of all their tokens over all processes."""
        batches = []
        for _ in range(num_batches):
            batch = next(epoch_iterator, None)
            if batch is not None:
                self._tell(batch.pop("problems"))
                batches.append(batch)
        totals = [self.token_loss.total(batch["labels"]) for batch in batches]
        total = (
            torch.stack(totals).sum().to(device) if totals else torch.zeros((), device=device)
        )
        return batches, self.accelerator.reduce(total, "sum")

    def _tell(self, problems: list[str]) -> None:
        for line in problems:
            tqdm.write(f"left out: {line}", file=sys.stderr)
        self.skipped += len(problems)
        most = max(1, self.config.most_skipped * self.config.steps * self.config.batch_size)
        if self.skipped > most:
            raise ECGError(
                f"{self.skipped} samples could not be decoded, more than "
                f"{self.config.most_skipped:.0%} of the run; the last: {problems[-1]}"
            )

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Any:
        """This pass's share of the loss of a step."""
        labels, environments = inputs.pop("labels"), inputs.pop("environments")
        # The last token foretells nothing, and no answer begins before the first learned one.
        first = int((labels != NO_LOSS).any(dim=0).int().argmax()) - 1
        kept = torch.arange(max(first, 0), labels.shape[1] - 1, device=labels.device)
        outputs = model(**inputs, logits_to_keep=kept, use_cache=False)
        sums = self.token_loss.sums(outputs.logits, labels[:, kept[0] + 1 :])
        self._count(sums.detach(), self.token_loss.weight(labels), environments)
        if num_items_in_batch is None:  # evaluation
            loss = sums.sum() / self.token_loss.total(labels)
        else:  # processes average their gradients, so each gives its part that many times
            loss = sums.sum() / num_items_in_batch * self.accelerator.num_processes
        return (loss, outputs) if return_outputs else loss

    def _count(self, sums: Tensor, weights: Tensor, environments: Tensor) -> None:
        parts = torch.stack([sums.double(), weights.double(), torch.ones_like(sums).double()])
        self._seen.index_add_(1, environments.cpu(), parts.cpu())

    def _since_last_line(self) -> Tensor:
        """`_seen` over all processes."""
        return self.accelerator.reduce(self._seen.float().to(self.args.device), "sum").cpu()

    def environments(self) -> dict[str, int]:
        """How often each environment was shown so far, over all processes and legs."""
        shown = self._shown + self._since_last_line()[2]
        return {name: int(n) for name, n in zip(ENVIRONMENTS, shown.tolist(), strict=True)}

    def go_on_from(self, shown: dict[str, float]) -> None:
        """Count on from what a state has noted of `environments`."""
        self._shown = torch.tensor([float(shown.get(name, 0)) for name in ENVIRONMENTS])

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the environments to a line of the log."""
        if "loss" in logs:
            seen = self._since_last_line()
            self._shown += seen[2]
            for name, (loss, weight, samples) in zip(
                ENVIRONMENTS, seen.T.tolist(), strict=True
            ):
                logs[f"samples/{name}"] = samples
                if weight:
                    logs[f"loss/{name}"] = loss / weight
            self._seen.zero_()
        super().log(logs, start_time)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        with told_when_full(Path(self.args.output_dir)):
            super()._save_checkpoint(model, trial)


class Marker(TrainerCallback):
    """Marks a state as complete when all of it is written, with the seconds spent so far."""

    def __init__(self, trainer: SFTTrainer, resumed: Path | None) -> None:
        self.trainer = trainer
        facts = facts_of(resumed)
        self.spent = facts.get("seconds", 0.0)
        trainer.go_on_from(facts)
        self.started = time.perf_counter()

    def seconds(self) -> float:
        """Seconds of the run over all the legs that it was cut into."""
        return self.spent + time.perf_counter() - self.started

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Every process has written its part by then."""
        self.trainer.accelerator.wait_for_everyone()
        shown = self.trainer.environments()
        if state.is_world_process_zero:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            with told_when_full(folder):
                mark_complete(folder, {"seconds": self.seconds()} | shown)


class Pace(TrainerCallback):
    """One line for each line of the log: loss, samples a second, minutes left.

    `on_log`, where it is given, gets the log's line itself with its step.
    """

    def __init__(
        self, config: SFTConfig, on_log: Callable[[dict[str, Any]], object] | None = None
    ) -> None:
        self.config = config
        self.tell = on_log
        self.last: tuple[float, int] | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Start the clock."""
        self.last = (time.perf_counter(), state.global_step)

    def on_log(
        self,
        args: Any,  # noqa: ARG002
        state: Any,
        control: Any,  # noqa: ARG002
        logs: dict | None = None,
        **_: Any,
    ) -> None:
        """Write the line."""
        if not state.is_world_process_zero or not logs or "loss" not in logs or not self.last:
            return
        now, (then, step) = time.perf_counter(), self.last
        rate = (state.global_step - step) / max(now - then, 1e-9)
        self.last = (now, state.global_step)
        left = (self.config.steps - state.global_step) / max(rate, 1e-9) / 60
        parts = " ".join(
            f"{name.removeprefix('loss/')} {value:.3f}"
            for name, value in logs.items()
            if name.startswith("loss/")
        )
        tqdm.write(
            f"step {state.global_step} of {self.config.steps}: "
            f"loss {logs['loss']:.3f} ({parts}), "
            f"{rate * self.config.batch_size:.1f} samples/s, {left:.0f} min left",
            file=sys.stderr,
        )
        if self.tell is not None:
            self.tell({"step": state.global_step, **logs})


class Samples(TrainerCallback):
    """Writes what the model says of one record in each arm, every `sample_steps` steps."""

    def __init__(
        self, model: Any, processor: ECGR1Processor, data: Any, config: SFTConfig, folder: Path
    ) -> None:
        self.model, self.processor, self.data = model, processor, data
        self.every, self.file = config.sample_steps, folder / "samples.jsonl"

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Read, greedily, without touching the run's chance."""
        if state.global_step % self.every or not state.is_world_process_zero:
            return
        devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
        with torch.random.fork_rng(devices):
            lines = self._read()
        with self.file.open("a", encoding="utf-8") as out:
            for line in lines:
                out.write(
                    json.dumps({"step": state.global_step} | line, ensure_ascii=False) + "\n"
                )
        tqdm.write(f"{lines[-1]['arm']}: {lines[-1]['text'][:300]}", file=sys.stderr)

    @torch.no_grad()
    def _read(self) -> list[dict[str, str]]:
        row = next(i for i, present in enumerate(self.data.present) if present)
        told, inputs = [], self.data.plain_inputs(row)
        training = self.model.training
        self.model.eval()
        for arm in ("signal", "image", "signal+image"):
            if not set(arm.split("+")) <= set(self.data.present[row]):
                continue
            batch = self.processor(
                [arm],
                ecgs=[inputs["signal"]] if "signal" in arm else [],
                images=[inputs["image"]] if "image" in arm else [],
            ).to(self.model.device)
            # With LoRA, what learns is float32 beside a frozen rest in bfloat16.
            mixed = torch.autocast(
                self.model.device.type,
                torch.bfloat16,
                enabled=next(self.model.parameters()).dtype is torch.bfloat16,
            )
            with computed(self.model) if self.data.features else nullcontext(), mixed:
                made = self.model.generate(
                    **batch,
                    max_new_tokens=min(self.processor.prompt.max_new_tokens, 512),
                    do_sample=False,
                    suppress_tokens=self.processor.placeholder_ids,
                )
            words = made[0, batch["input_ids"].shape[1] :]
            text = self.processor.tokenizer.decode(words, skip_special_tokens=True)
            told.append({"id": self.data.ids[row], "arm": arm, "text": text})
        self.model.train(training)
        return told
