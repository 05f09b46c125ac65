"""The loop: sample, reward, learn, log, save; exact on resume, on one process or several."""

import copy
import json
import math
import shutil
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from tqdm.auto import tqdm

from ecg_r1.ecg import ECGError
from ecg_r1.evaluate.files import write_whole
from ecg_r1.model import ECGR1ForConditionalGeneration
from ecg_r1.processing import ECGR1Processor
from ecg_r1.rl.config import RLConfig
from ecg_r1.rl.groups import Batch, Group, Player, Reward, Rewards
from ecg_r1.rl.loss import clipped_tokens, dapo_loss, group_advantages, kl_penalty
from ecg_r1.rl.policy import Policy
from ecg_r1.rl.prompts import PromptStream

GRADIENT_NORM = 1.0  # the reference's limit
# Settings that a run may be gone on with otherwise: how long, and what memory allows.
_MAY_CHANGE = ("steps", "save_steps", "sample_prompts", "learn_prompts")
LORA_TARGETS = r".*language_model.*\.(q|k|v|o|gate|up|down)_proj"


def train_rl(
    model: ECGR1ForConditionalGeneration,
    processor: ECGR1Processor,
    rows: Any,
    rewards: Sequence[Reward],
    folder: Path,
    config: RLConfig,
    *,
    on_step: Callable[[dict[str, Any]], object] | None = None,
) -> list[dict[str, Any]]:
    """Train the language model of `model` in place; resumes from the newest state in `folder`.

    Encoders and projectors stay as they are, as in the paper. Under `torchrun` or `accelerate
    launch` each process samples and learns its share; the result is the same up to rounding.

    Args:
        model: As it was before the first step, also when a run is resumed.
        processor: Its processor.
        rows: Prompts with `id`, `signal`, `page` and the columns that the rewards read.
        rewards: With TRL's signature; their sum, weighted, is what is learned from.
        folder: `log.jsonl` with one line a step, and states to resume from.
        config: The run.
        on_step: Called with each new line of the log, on the main process, for curves that
            grow.

    Returns:
        The lines of the log.

    Raises:
        ECGError: If the rows lack a column that a reward reads, or the folder holds a run with
            other settings or rewards.
        ValueError: If the prompts cannot be shared out equally, or the rewards do not fit.
    """
    # Unless told, accelerate takes each of several CPU processes for the only one.
    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    if config.prompts % accelerator.num_processes:
        raise ValueError(
            f"{config.prompts} prompts cannot be shared out equally "
            f"among {accelerator.num_processes} processes"
        )
    limit = config.max_new_tokens or processor.prompt.max_new_tokens
    scored = Rewards(rewards, config.reward_weights, limit)
    stream = PromptStream(rows, processor, config.dropout, config.seed)
    scored.check(stream.columns(0))
    learner = Learner(accelerator, model, stream, config)
    player = Player(accelerator, learner.sampler, stream, scored, config, limit)
    log = RunLog(folder, accelerator, asdict(config) | {"rewards": scored.names})
    step, place = log.resume()
    bar = tqdm(total=config.steps, initial=step, disable=not accelerator.is_main_process)
    while step < config.steps:
        started = time.perf_counter()
        batch = player.batch(place)
        sampled = time.perf_counter()
        told = learner.learn(batch.groups, step)
        step, place = step + 1, batch.next_place
        clock = {"sampling_s": sampled - started, "seconds": time.perf_counter() - started}
        entry = {"step": step} | told | describe(batch, scored.names, clock)
        entry["samples"] = examples(batch, stream, scored.names)
        log.write(entry)
        if on_step is not None and accelerator.is_main_process:
            on_step(entry)
        bar.update()
        shown = ("reward", "length", "sampling_share", "tokens_per_s")
        bar.set_postfix({name: entry[name] for name in shown})
        if step % config.save_steps == 0 or step == config.steps:
            log.save(step, place)
    bar.close()
    learner.finish()
    return log.lines()


class Learner:
    """The policy with its optimiser."""

    def __init__(
        self,
        accelerator: Accelerator,
        model: ECGR1ForConditionalGeneration,
        stream: PromptStream,
        config: RLConfig,
    ) -> None:
        self.accelerator, self.stream, self.config = accelerator, stream, config
        model.to(accelerator.device)
        self.reference = None
        if config.beta:
            frozen = copy.deepcopy(model).requires_grad_(requires_grad=False)
            self.reference = self._policy(frozen)
        self.sampler = self._policy(trainable(model, config.lora_rank))
        learned = [p for p in self.sampler.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(learned, lr=config.learning_rate, weight_decay=0.0)
        self.policy, self.optimizer = accelerator.prepare(self.sampler, optimizer)

    def _policy(self, model: nn.Module) -> Policy:
        return Policy(model, self.stream.processor, temperature=self.config.temperature)

    def learn(self, groups: Sequence[Group], step: int) -> dict[str, float]:
        """Take the optimiser steps on one batch.

        Args:
            groups: Of all processes; each takes its share.
            step: For the warm-up.

        Returns:
            Means over the batch's tokens: loss, entropy, share of clipped tokens, divergence.
        """
        config, accelerator = self.config, self.accelerator
        for options in self.optimizer.param_groups:
            options["lr"] = config.learning_rate * min(
                1, (step + 1) / (config.warmup_steps + 1)
            )
        advantages = group_advantages(torch.tensor([group.totals for group in groups]))
        n_tokens = sum(len(a.tokens) for g in groups for a in g.answers if a.finished)
        mine = list(zip(groups, advantages, strict=True))
        mine = mine[accelerator.process_index :: accelerator.num_processes]
        size = config.learn_prompts
        parts = [mine[start : start + size] for start in range(0, len(mine), size)]
        sums, norms = torch.zeros(5, device=accelerator.device), []
        for _ in range(config.iterations):
            for part in parts:
                last = part is parts[-1]  # gradients are shared among processes once
                with nullcontext() if last else accelerator.no_sync(self.policy):
                    sums += self._backward(part, n_tokens)
            norm = accelerator.clip_grad_norm_(self.sampler.parameters(), GRADIENT_NORM)
            norms.append(float(norm))
            self.optimizer.step()
            self.optimizer.zero_grad()
        sums = accelerator.reduce(sums, "sum") / config.iterations
        loss, divergence, entropy, low, high = sums.tolist()
        told = {"loss": loss, "entropy": entropy, "clip_low": low, "clip_high": high}
        told |= {"kl": divergence} if self.reference is not None else {}
        rate = self.optimizer.param_groups[0]["lr"]
        return told | {"gradient_norm": sum(norms) / len(norms), "learning_rate": rate}

    def _backward(self, part: Sequence[tuple[Group, Tensor]], n_tokens: int) -> Tensor:
        """Add the gradient of some groups; what they add to the sums that `learn` returns."""
        config, device = self.config, self.accelerator.device
        answers = [answer for group, _ in part for answer in group.answers]
        padded = self.sampler.pad(answers)
        tokens, old_logps, mask = (tensor.to(device) for tensor in padded)
        # An answer that the limit cut was not wrong to go on: it counts in its group's mean,
        # and is not learned from.
        mask &= torch.tensor([answer.finished for answer in answers], device=device)[:, None]
        advantages = torch.cat([advantage for _, advantage in part]).to(device)
        prompts = self.stream.inputs([group.place for group, _ in part], device)
        logps, entropies = self.policy(prompts, tokens)
        ratio = (logps, old_logps, advantages, mask)
        clips = {"clip_low": config.clip_low, "clip_high": config.clip_high}
        loss = dapo_loss(*ratio, **clips, n_tokens=n_tokens)
        divergence = torch.zeros((), device=device)
        if self.reference is not None:
            with torch.no_grad():
                ref_logps, _ = self.reference(prompts, tokens)
            divergence = kl_penalty(logps, ref_logps, mask, n_tokens=n_tokens)
            loss = loss + config.beta * divergence
        # The wrapper averages gradients over processes, and each has a part of the sum.
        self.accelerator.backward(loss * self.accelerator.num_processes)
        counts = torch.stack([entropies[mask].sum(), *clipped_tokens(*ratio, **clips)])
        return torch.cat(
            [torch.stack([loss, divergence]).detach(), counts.detach() / max(n_tokens, 1)]
        )

    def finish(self) -> None:
        """Put LoRA matrices into the weights that they belong to."""
        if self.config.lora_rank:
            self.sampler.model = self.sampler.model.merge_and_unload()


def trainable(model: ECGR1ForConditionalGeneration, lora_rank: int) -> nn.Module:
    """The model with its language model alone to be trained, in full or by LoRA."""
    model.requires_grad_(requires_grad=False)
    if lora_rank:
        from peft import LoraConfig, get_peft_model  # noqa: PLC0415  needed for LoRA only

        options = LoraConfig(r=lora_rank, lora_alpha=2 * lora_rank, target_modules=LORA_TARGETS)
        with warnings.catch_warnings():  # peft asks transformers 5 by an older name
            warnings.simplefilter("ignore", FutureWarning)
            return get_peft_model(model, options)
    model.model.language_model.requires_grad_(requires_grad=True)
    model.lm_head.requires_grad_(requires_grad=True)
    return model


def describe(
    batch: Batch, names: Sequence[str], clock: dict[str, float]
) -> dict[str, float | dict[str, float]]:
    """A batch in numbers.

    Args:
        batch: The batch.
        names: Of the rewards.
        clock: `sampling_s` and `seconds` of the step.
    """
    groups = batch.groups
    answers = [answer for group in groups for answer in group.answers]
    totals = torch.tensor([group.totals for group in groups])
    columns = list(zip(*(row for group in groups for row in group.rewards), strict=True))
    return {
        "reward": round(float(totals.mean()), 6),
        "rewards": {n: _mean(values) for n, values in zip(names, columns, strict=True)},
        "group_variance": round(float(totals.var(dim=1).mean()), 6),
        "flat_share": round(batch.flat / batch.played, 4),
        "played": batch.played,
        "length": round(_mean([len(answer.tokens) for answer in answers]), 2),
        "cut_share": round(_mean([not answer.finished for answer in answers]), 4),
        "environments": dict(Counter(group.environment for group in groups)),
        "seconds": round(clock["seconds"], 3),
        "sampling_share": round(clock["sampling_s"] / clock["seconds"], 4),
        "tokens_per_s": round(batch.tokens / clock["sampling_s"], 1),
    }


def _mean(values: Sequence[float]) -> float | None:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else None


def examples(batch: Batch, stream: PromptStream, names: Sequence[str]) -> list[dict[str, Any]]:
    """The best and the worst answer to the batch's first prompt."""
    group = batch.groups[0]
    order = sorted(range(len(group.totals)), key=group.totals.__getitem__)
    return [
        {
            "id": stream.record_id(group.place),
            "environment": group.environment,
            "rewards": {
                name: None if math.isnan(value) else value
                for name, value in zip(names, group.rewards[i], strict=True)
            },
            "text": group.texts[i],
        }
        for i in (order[-1], order[0])
    ]


class RunLog:
    """The log and the states of a run.

    Args:
        folder: Of the run.
        accelerator: Of the processes.
        settings: What makes it this run; kept in `settings.json`.

    Raises:
        ECGError: If the folder holds a run with other settings.
    """

    def __init__(
        self, folder: Path, accelerator: Accelerator, settings: dict[str, Any]
    ) -> None:
        self.folder, self.accelerator = folder, accelerator
        self.file, kept = folder / "log.jsonl", folder / "settings.json"
        settings = json.loads(json.dumps(settings))
        earlier = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else settings
        for name in (one for one in settings if one not in _MAY_CHANGE):
            if earlier.get(name) != settings[name]:
                raise ECGError(
                    f"{folder} holds a run with {name} {earlier.get(name)!r}, not "
                    f"{settings[name]!r}: choose another --out, or delete it"
                )
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            write_whole(kept, json.dumps(settings, indent=1) + "\n")
        accelerator.wait_for_everyone()

    def lines(self) -> list[dict[str, Any]]:
        """What the log says so far; a last line that a kill cut short is none."""
        if not self.file.is_file():
            return []
        whole = self.file.read_text(encoding="utf-8").rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def write(self, entry: dict[str, Any]) -> None:
        """Add a line."""
        if self.accelerator.is_main_process:
            with self.file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")

    def save(self, step: int, place: int) -> None:
        """Keep the state after a step and drop the one before."""
        target = self.folder / f"state-{step}"
        self.accelerator.save_state(str(target))
        self.accelerator.wait_for_everyone()
        if not self.accelerator.is_main_process:
            return
        # Written last: a state without it was cut short and is not resumed from.
        progress = json.dumps({"step": step, "place": place})
        (target / "progress.json").write_text(progress, encoding="utf-8")
        for old in self.folder.glob("state-*"):
            if old != target:
                shutil.rmtree(old)

    def resume(self) -> tuple[int, int]:
        """Load the newest whole state; its step and the place to go on from, or zeros."""
        whole = [file.parent for file in self.folder.glob("state-*/progress.json")]
        if not whole:
            kept: list[dict[str, Any]] = []
            step, place = 0, 0
        else:
            newest = max(whole, key=lambda state: int(state.name.removeprefix("state-")))
            told = json.loads((newest / "progress.json").read_text(encoding="utf-8"))
            step, place = told["step"], told["place"]
            self.accelerator.load_state(str(newest))
            kept = [entry for entry in self.lines() if entry["step"] <= step]
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            text = "".join(json.dumps(entry) + "\n" for entry in kept)
            write_whole(self.file, text)
        return step, place
