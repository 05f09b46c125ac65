"""Supervised pretraining of nano's two encoders, each alone with heads that are thrown away.

From text alone an encoder of this size learns slowly; from dense targets (where P, QRS and T
are), intervals, amplitudes and labels it learns in minutes. Only nano needs this: the paper's
model starts from pretrained ECG-CoCa and Qwen3-VL weights.
"""

import json
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from ecg_r1.augment import degrade_signal, hide_parts, jitter_page
from ecg_r1.corpus import AMPLITUDES, row_ecg, row_page
from ecg_r1.ecg import LEADS
from ecg_r1.labels import LABELS
from ecg_r1.model import ECGR1ForConditionalGeneration
from ecg_r1.nano import GRID, MERGE, page_patches, pixel_values
from ecg_r1.page import LEFT_MM, RIGHT_MM
from ecg_r1.processing import ECGR1Processor, tower_input

LABEL_INDEX = {label.text: i for i, label in enumerate(LABELS)}
WAVE_CLASSES = 4  # none, P, QRS, T
RARE = 0.03  # share of the records that carry a label, on the average of all labels
N_NUMBERS = 7  # rate, PR, QRS, QT, cosine and sine of the axis, P present


@dataclass(frozen=True)
class PretrainConfig:
    """One encoder's run.

    Attributes:
        part: "tower" or "vision".
        steps: Optimiser steps.
        batch_size: Records of a step.
        learning_rate: Peak, after a linear warm-up, then a cosine to a fiftieth.
        warmup_steps: Steps of the warm-up.
        weight_decay: AdamW's.
        seed: Of order, augmentation and the heads' first weights.
        workers: Processes that prepare batches.
        save_every: Steps between two states to resume from.
        real_share: Share of real records, where the corpus has both kinds.
        rare_most: How much likelier a real record with a rare label may be drawn than others.
        distil: Weight of the other encoder's heads as teachers, where they are given.
        hide: Blank parts of a signal (`augment.hide_parts`).
        head_dropout: Share of the heads' inputs that are dropped.
        label_smoothing: How far a label's target is moved from 0 and 1 towards `RARE`.
    """

    part: str
    steps: int = 4000
    batch_size: int = 32
    learning_rate: float = 1e-3
    warmup_steps: int = 150
    weight_decay: float = 0.05
    seed: int = 0
    workers: int = 1
    save_every: int = 500
    real_share: float = 0.5
    rare_most: int = 1
    distil: float = 0.0
    hide: bool = False
    head_dropout: float = 0.1
    label_smoothing: float = 0.0


# --- targets ----------------------------------------------------------------------------------


def number_targets(numbers: list[float]) -> np.ndarray:
    """Scaled targets `(7,)` of a row's `numbers`; NaN where there is none."""
    hr, pr, qrs, qt, axis, p_present = numbers
    angle = math.radians(axis)
    return np.array(
        [
            math.log2(hr / 70) * 2,
            (pr - 160) / 40,
            (qrs - 95) / 20,
            (qt - 390) / 50,
            math.cos(angle),
            math.sin(angle),
            p_present,
        ],
        dtype=np.float32,
    )


def wave_bins(waves: np.ndarray, n_bins: int) -> np.ndarray:
    """The wave in the middle of each of `n_bins` equal stretches of the 10 s."""
    centres = (np.arange(n_bins) + 0.5) * len(waves) / n_bins
    return waves[centres.astype(int)]


def page_waves(
    waves: np.ndarray, page: dict[str, Any], n_bins: int, *, moved: float = 0
) -> np.ndarray:
    """The wave at each of `n_bins` positions across a page; its rows share their time.

    Args:
        waves: Wave of each sample.
        page: Arguments of `draw_page`.
        n_bins: Positions.
        moved: By how much of its width the page was moved to the right.
    """
    speed = page.get("speed_mm_s", 25)
    width_mm = LEFT_MM + 10 * speed + RIGHT_MM
    time_s = (((np.arange(n_bins) + 0.5) / n_bins - moved) * width_mm - LEFT_MM) / speed
    index = (time_s * len(waves) / 10).astype(int)
    inside = (time_s >= 0) & (time_s < 10)
    return np.where(inside, waves[np.clip(index, 0, len(waves) - 1)], 0)


class EncoderData(Dataset):
    """Augmented inputs and targets, drawn from (seed, index) alone so that a run can resume."""

    def __init__(
        self,
        rows: Any,
        config: PretrainConfig,
        processor: ECGR1Processor,
        first_step: int,
        teacher: dict[str, np.ndarray] | None = None,
    ) -> None:
        self.config = config
        self.processor = processor
        self.teacher = teacher
        self.first = first_step * config.batch_size
        self.weights = sampling_weights(rows, config)
        unused = "page" if config.part == "tower" else "signal"
        needed = ("waves", "labels", "numbers", "amplitudes", "signal", "calibrated", "id")
        needed += ("page", "page_style")
        self.rows = rows.select_columns([name for name in needed if name != unused])

    def __len__(self) -> int:
        return self.config.steps * self.config.batch_size - self.first

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng([self.config.seed, self.first + index])
        index = draw_row(self.weights, rng)
        row = self.rows[index]
        waves = np.frombuffer(row["waves"], dtype=np.uint8)
        labels = np.zeros(len(LABELS), dtype=np.float32)
        labels[[LABEL_INDEX[name] for name in row["labels"]]] = 1
        labels += self.config.label_smoothing * (RARE - labels)
        sample = {
            "numbers": number_targets(row["numbers"]),
            "amplitudes": np.array(row["amplitudes"], dtype=np.float32),
            "labels": labels,
        }
        if self.teacher:
            sample |= {f"taught_{name}": values[index] for name, values in self.teacher.items()}
        if self.config.part == "tower":
            ecg = degrade_signal(row_ecg(row), rng)
            values = tower_input(ecg, self.processor.prompt)
            return sample | {
                "ecg_values": hide_parts(values, rng) if self.config.hide else values,
                "waves": wave_bins(waves, 1000).astype(np.int64),
            }
        image, right = jitter_page(row_page(row), rng)
        return sample | {
            "patches": page_patches(image),
            "waves": page_waves(
                waves,
                json.loads(row["page_style"]),
                GRID[1] * 16,
                moved=right / image.width,
            ).astype(np.int64),
        }


def sampling_weights(rows: Any, config: PretrainConfig) -> np.ndarray:
    """Cumulative probabilities of the rows: real and simulated ones have their shares."""
    simulated = np.array([source == "simulated" for source in rows["source"]])
    share = np.where(simulated, 1.0, rarity(rows["labels"], ~simulated, config.rare_most))
    for kind, part in ((~simulated, config.real_share), (simulated, 1 - config.real_share)):
        share[kind] *= part / max(share[kind].sum(), 1e-9)
    return np.cumsum(share / share.sum())


def draw_row(weights: np.ndarray, rng: np.random.Generator) -> int:
    """A row by its cumulative probability."""
    return min(int(np.searchsorted(weights, rng.random())), len(weights) - 1)


def rarity(labels: Sequence[Sequence[str]], among: np.ndarray, most: float) -> np.ndarray:
    """How much likelier each row is to be drawn for its rarest label, from 1 to `most`.

    The square root of how much rarer than a tenth of the rows the label is: its share of the
    draws grows, and its few records are not learned by heart.

    Example:
        >>> labels = [["sinus rhythm"]] * 39 + [["atrial flutter"]]
        >>> rarity(labels, np.ones(40, dtype=bool), most=3)[[0, 39]]
        array([1., 2.])
    """
    members, labels = np.flatnonzero(among), list(labels)  # a column of `datasets` is slow
    count = Counter(label for i in members for label in set(labels[i]))
    weight = np.ones(len(labels))
    for i in members:
        rarest = min((count[label] for label in labels[i]), default=len(members))
        weight[i] = np.clip((0.1 * len(members) / rarest) ** 0.5, 1, most)
    return weight


# --- heads ------------------------------------------------------------------------------------


class Heads(nn.Module):
    """Linear heads on an encoder's tokens: numbers, amplitudes, labels, and waves per token."""

    def __init__(self, width: int, bins_per_token: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.whole = nn.Sequential(nn.LayerNorm(2 * width), nn.Dropout(dropout))
        self.numbers = nn.Linear(2 * width, N_NUMBERS)
        self.amplitudes = nn.Linear(2 * width, len(LEADS) * len(AMPLITUDES))
        self.labels = nn.Linear(2 * width, len(LABELS))
        self.waves = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, bins_per_token * WAVE_CLASSES)
        )

    def forward(self, first: Tensor, tokens: Tensor) -> dict[str, Tensor]:
        """Predict from one summary token `(batch, width)` and `(batch, columns, width)`."""
        whole = self.whole(torch.cat([first, tokens.mean(dim=1)], dim=-1))
        waves = self.waves(tokens)
        return {
            "numbers": self.numbers(whole),
            "amplitudes": self.amplitudes(whole),
            "labels": self.labels(whole),
            "waves": waves.view(len(waves), -1, WAVE_CLASSES),
        }


def _masked_l1(predicted: Tensor, target: Tensor) -> Tensor:
    known = torch.isfinite(target)
    if not known.any():
        return predicted.sum() * 0
    return functional.smooth_l1_loss(predicted[known], target[known], beta=0.2)


def losses(
    predicted: dict[str, Tensor], batch: dict[str, Tensor], distil: float = 0.0
) -> dict[str, Tensor]:
    """The parts of the loss; their sum is trained.

    Args:
        predicted: What `Heads` returns.
        batch: Targets; with `taught_numbers` and `taught_labels` where there is a teacher.
        distil: Weight of the teacher.
    """
    predicted = {name: value.float() for name, value in predicted.items()}
    parts = {
        "numbers": _masked_l1(predicted["numbers"], batch["numbers"]),
        "amplitudes": _masked_l1(predicted["amplitudes"], batch["amplitudes"]),
        "labels": 4
        * functional.binary_cross_entropy_with_logits(predicted["labels"], batch["labels"]),
        "waves": functional.cross_entropy(
            predicted["waves"].flatten(0, 1), batch["waves"].flatten()
        ),
    }
    if distil and "taught_labels" in batch:
        parts["taught"] = distil * (
            _masked_l1(predicted["numbers"], batch["taught_numbers"])
            + 4
            * functional.binary_cross_entropy_with_logits(
                predicted["labels"], batch["taught_labels"]
            )
        )
    return parts


def encode(
    model: ECGR1ForConditionalGeneration, heads: Heads, batch: dict[str, Tensor]
) -> dict:
    """Run the encoder of the batch and the heads on it."""
    if "ecg_values" in batch:
        tokens = model.model.ecg_tower(batch["ecg_values"])
        return heads(tokens[:, 0], tokens[:, 1:])
    n, (rows, columns) = len(batch["patches"]), GRID
    grid_thw = torch.tensor([[1, rows, columns]] * n, device=batch["patches"].device)
    patches = model.model.visual(
        pixel_values(batch["patches"].flatten(0, 1)), grid_thw=grid_thw
    ).last_hidden_state
    blocks = patches.view(n, rows // MERGE, columns // MERGE, MERGE, MERGE, -1)
    grid = blocks.permute(0, 1, 3, 2, 4, 5).reshape(n, rows, columns, -1)
    across = grid.mean(dim=1)
    return heads(grid.flatten(1, 2).amax(dim=1), across)


def new_heads(model: ECGR1ForConditionalGeneration, part: str, dropout: float = 0.0) -> Heads:
    """Heads for "tower" (10 bins of 10 ms per token) or "vision" (16 bins per column)."""
    if part == "tower":
        return Heads(model.config.tower.width, 10, dropout)
    return Heads(model.config.vision_config.hidden_size, 16, dropout)


# --- training ---------------------------------------------------------------------------------


def learning_rate(step: int, config: PretrainConfig) -> float:
    """Linear warm-up, then a cosine to a fiftieth."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(config.steps - config.warmup_steps, 1)
    return config.learning_rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))


def pretrain(
    model: ECGR1ForConditionalGeneration,
    processor: ECGR1Processor,
    rows: Any,
    folder: Path,
    config: PretrainConfig,
    teacher: dict[str, np.ndarray] | None = None,
) -> Iterator[dict[str, float]]:
    """Train one encoder of `model` in place; resumes from `folder` when a state lies there.

    Args:
        model: Its tower or vision part is trained, the rest is left alone.
        processor: For the inputs.
        rows: A corpus with split "train".
        folder: Keeps the state to resume from.
        config: The run.
        teacher: What another encoder's heads say of each row, as `teach` returns it.

    Yields:
        Every 50 steps, and at the last, the mean parts of the loss, the step, the seconds spent
        in all, samples a second and the minutes left.
    """
    torch.manual_seed(config.seed)  # the heads' first weights
    encoder = model.model.ecg_tower if config.part == "tower" else model.model.visual
    heads = new_heads(model, config.part, config.head_dropout).to(model.device)
    trained = nn.ModuleDict({"encoder": encoder, "heads": heads})

    def parts_of(batch: dict[str, Tensor]) -> dict[str, Tensor]:
        with torch.autocast(model.device.type, torch.bfloat16):
            predicted = encode(model, heads, batch)
        return losses(predicted, batch, config.distil)

    def data_from(step: int) -> Dataset:
        return EncoderData(rows, config, processor, step, teacher)

    model.train()
    yield from steps(trained, parts_of, data_from, folder / f"{config.part}.pt", config)


def steps(
    trained: nn.Module,
    parts_of: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    data_from: Callable[[int], Dataset],
    state_file: Path,
    config: PretrainConfig,
) -> Iterator[dict[str, float]]:
    """The optimiser steps of a pretraining; resumes from the state when there is one.

    Args:
        trained: What learns.
        parts_of: Parts of the loss of a batch; their sum is trained.
        data_from: Data set that begins with the samples of a step.
        state_file: Where the state is kept.
        config: The run.

    Yields:
        As `pretrain`.
    """
    device = next(trained.parameters()).device
    optimizer = torch.optim.AdamW(
        trained.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=config.weight_decay
    )
    step, spent = _resume(trained, optimizer, state_file)
    loader = DataLoader(
        data_from(step), batch_size=config.batch_size, num_workers=config.workers
    )
    started, first, seen = time.perf_counter(), step, []
    bar = tqdm(loader, initial=step, total=config.steps, desc=config.part, mininterval=5)
    for batch in bar:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config)
        torch.manual_seed(config.seed + 1_000_003 * step)  # dropout as in an uninterrupted run
        parts = parts_of({name: value.to(device) for name, value in batch.items()})
        optimizer.zero_grad()
        sum(parts.values()).backward()
        nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
        optimizer.step()
        step += 1
        seen.append({name: value.item() for name, value in parts.items()})
        seconds = time.perf_counter() - started
        if step % config.save_every == 0 or step == config.steps:
            state = {"trained": trained.state_dict(), "optimizer": optimizer.state_dict()}
            _replace(state | {"step": step, "seconds": spent + seconds}, state_file)
        if step % 50 == 0 or step == config.steps:
            mean = {name: float(np.mean([s[name] for s in seen])) for name in seen[0]}
            pace = (step - first) / seconds
            report = {"loss": sum(mean.values()), "step": step, "seconds": spent + seconds}
            report["samples_per_second"] = pace * config.batch_size
            report["minutes_left"] = (config.steps - step) / pace / 60
            _say(config.part, report)
            yield mean | report
            seen = []


def _say(part: str, report: dict[str, float]) -> None:
    tqdm.write(
        "{part} step {step}: loss {loss:.3f}, {samples_per_second:.0f} samples/s, "
        "{minutes_left:.0f} min left".format(part=part, **report),
        file=sys.stderr,
    )


@torch.inference_mode()
def teach(
    model: ECGR1ForConditionalGeneration,
    heads: Heads,
    processor: ECGR1Processor,
    rows: Any,
    batch_size: int = 32,
) -> dict[str, np.ndarray]:
    """What a trained tower's heads say of each row: a teacher for the image arm.

    Labels that a data set does not give, and numbers that could not be measured, are in it.

    Returns:
        `numbers` `(rows, 7)` as `number_targets` scales them and `labels` `(rows, labels)`, the
        probability of each.
    """
    model.eval()
    heads.eval()
    signals = rows.select_columns(["signal", "calibrated", "id"])
    told: dict[str, list[np.ndarray]] = {"numbers": [], "labels": []}
    for start in tqdm(range(0, len(rows), batch_size), desc="teacher", mininterval=5):
        some = [signals[i] for i in range(start, min(start + batch_size, len(rows)))]
        values = np.stack([tower_input(row_ecg(row), processor.prompt) for row in some])
        with torch.autocast(model.device.type, torch.bfloat16):
            batch = {"ecg_values": torch.from_numpy(values).to(model.device)}
            said = encode(model, heads, batch)
        told["numbers"].append(said["numbers"].float().cpu().numpy())
        told["labels"].append(said["labels"].float().sigmoid().cpu().numpy())
    return {name: np.concatenate(values) for name, values in told.items()}


def load_part(model: ECGR1ForConditionalGeneration, folder: Path, part: str) -> Heads:
    """Put a pretrained encoder into `model`, check that it is there, and return its heads.

    Raises:
        RuntimeError: If a tensor of the encoder is missing from the state.
        ValueError: If a tensor is another one after loading.
    """
    encoder = model.model.ecg_tower if part == "tower" else model.model.visual
    state = torch.load(folder / f"{part}.pt", weights_only=True)["trained"]
    own = {k.removeprefix("encoder."): v for k, v in state.items() if k.startswith("encoder.")}
    encoder.load_state_dict(own)
    for name, value in encoder.state_dict().items():
        if not torch.equal(value, own[name].to(value)):
            raise ValueError(f"{part}: tensor {name} differs from its source after loading")
    heads = new_heads(model, part).to(model.device)
    given = {k.removeprefix("heads."): v for k, v in state.items() if k.startswith("heads.")}
    if given:
        heads.load_state_dict(given)
    return heads


def _resume(trained: nn.Module, optimizer: Any, state_file: Path) -> tuple[int, float]:
    """Steps done and seconds spent so far."""
    if not state_file.is_file():
        return 0, 0.0
    state = torch.load(state_file, map_location="cpu", weights_only=True)
    trained.load_state_dict(state["trained"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"], state["seconds"]


def _replace(state: dict[str, Any], file: Path) -> None:
    """Write beside and rename, so that a cut run never leaves half a state."""
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, file.with_suffix(".tmp"))
    file.with_suffix(".tmp").replace(file)
