"""Trains the network of `marks` on annotated records, simulated ones and drawn beats.

    python -m benchmarks.fit_marks assets/marks.npz --data ../shared/data

Needs torch; nothing that measures imports this. Every example is made anew in each epoch: the
median of some of a record's beats or a single one, stretched in time, scaled, tilted, with
noise, with leads left out. A tenth are drawn complexes of straight lines and half-sines, whose
corners are known to the sample and keep the marks honest. Where there is no P, the target is
"anywhere", so that the network's spread says so.

The shipped weights come from three runs after each other (110, 100 and 60 epochs; fewer drawn
complexes in the first two), each started from the one before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.signal import sosfiltfilt
from torch import Tensor, nn

from ecg_r1.ecg import ECG
from ecg_r1.measurement.beats import windows
from ecg_r1.measurement.complexes import POST, PRE, SMOOTH, middle
from ecg_r1.measurement.marks import (
    AFTER,
    BEFORE,
    DILATIONS,
    KERNEL,
    LEARNED,
    STEP,
    features,
)
from ecg_r1.measurement.prepare import prepare

HIDDEN, CHANNELS, BATCH = 16, 10, 16
RATE, DECAY, KEEP = 4e-3, 1e-2, 0.99  # of AdamW; KEEP: of the running mean of the weights
# How far from its mark a position may be and still count for half, about, in samples.
BLUR = torch.tensor([6.0, 5, 5, 3, 4, 8, 5, 8])
PLACES = torch.arange((BEFORE + AFTER) // STEP) * float(STEP) - BEFORE + 0.5
_BEFORE_QRS = ((PLACES > -200) & (PLACES < 0)).float()
ANYWHERE = _BEFORE_QRS / _BEFORE_QRS.sum()  # the target where there is no P

Drawn = tuple[np.ndarray, np.ndarray, np.ndarray]  # features, marks, leads that count


@dataclass
class Example:
    """A record with its marks.

    Attributes:
        beats: `(beats, 12, PRE + POST)` mV around each R.
        marks: `(beats, 12, 8)` samples after R in the order of `LEARNED`; NaN unknown.
        good: Beats that make the representative complex.
        dominant: Beats of the dominant shape.
        noise: Standard deviation of a single beat in each lead, mV.
        rr: Typical RR interval in samples.
        has_p: Whether any P is known to precede the QRS.
    """

    beats: np.ndarray
    marks: np.ndarray
    good: np.ndarray
    dominant: np.ndarray
    noise: np.ndarray
    rr: float
    has_p: bool


def example(ecg: ECG, peaks: np.ndarray, marks: np.ndarray) -> Example | None:
    """An annotated record made ready; None when nothing in it can be measured.

    Args:
        ecg: The record.
        peaks: Samples of the annotated beats' R, `(beats,)`.
        marks: `(beats, 12, 8)` annotated samples in the order of `LEARNED`; NaN unknown.
    """
    ready = prepare(ecg)
    if ready.complex_ is None or not peaks.size:
        return None
    rhythm = ready.rhythm
    own = np.full((rhythm.beats.size, 12, len(LEARNED)), np.nan)
    for beat, r in enumerate(rhythm.beats):
        nearest = int(np.argmin(np.abs(peaks - r)))
        if abs(peaks[nearest] - r) < 75:
            own[beat] = marks[nearest] - r
    if np.isnan(own[rhythm.dominant]).all():
        return None
    return Example(
        beats=windows(ready.complex_.levelled, rhythm.beats, PRE, POST).astype(np.float32),
        marks=own,
        good=rhythm.steady(),
        dominant=rhythm.dominant,
        noise=ready.complex_.noise * np.sqrt(ready.complex_.stack.shape[0]) / 1.25,
        rr=rhythm.typical_rr,
        has_p=bool(np.isfinite(own[..., 0]).any()),
    )


# --- examples ---------------------------------------------------------------------------------


def _choose(e: Example, rng: np.random.Generator) -> np.ndarray:
    """Beats to take the median of: all good ones, some, or a single one of any shape."""
    good, other = np.flatnonzero(e.good), np.flatnonzero(~e.good)
    if other.size and rng.random() < 0.25:
        return rng.choice(other, 1)
    if rng.random() < 0.3:
        return rng.choice(good, 1)
    if rng.random() < 0.45:
        return good
    return rng.choice(good, rng.integers(1, good.size + 1), replace=False)


def _marks_of(e: Example, chosen: np.ndarray) -> np.ndarray:
    """The single beat's own marks where they are known, else the median of its shape's."""
    known = e.marks[e.dominant]
    usual = middle(known.reshape(known.shape[0], -1)).reshape(known.shape[1:])
    if chosen.size > 1:
        return usual
    own = e.marks[chosen[0]]
    return np.where(np.isnan(own) & e.dominant[chosen[0]], usual, own)


def vary(e: Example, rng: np.random.Generator) -> Drawn:
    """One example to learn from, never twice the same."""
    chosen = _choose(e, rng)
    raw, marks = np.nan_to_num(middle(e.beats[chosen])), _marks_of(e, chosen)
    noise = np.maximum(1.25 * e.noise / np.sqrt(chosen.size), 0.001)
    warp, shift = np.exp(rng.normal(0, 0.06)), rng.integers(-6, 7)
    raw = np.roll(_stretch(raw, warp), shift, axis=1)
    marks, rr = marks * warp + shift, e.rr * warp
    raw = raw * np.exp(rng.normal(0, 0.25)) * (-1 if rng.random() < 0.15 else 1)
    if rng.random() < 0.3:
        raw = raw * np.exp(rng.normal(0, 0.3, (12, 1)))
    raw = raw + 0.01 * rng.normal(0, 1, (12, 1))
    if rng.random() < 0.5:
        raw = raw + np.linspace(-1, 1, raw.shape[1]) * 0.01 * rng.normal(0, 1, (12, 1))
    extra = np.exp(rng.normal(-6.2, 0.8))  # about 2 uV
    raw = raw + rng.normal(0, extra, raw.shape)
    if rng.random() < 0.2:  # as of a recorder that ends at 40 Hz
        raw = sosfiltfilt(SMOOTH, raw, axis=1)
    trusted = np.ones(12, bool)
    if rng.random() < 0.3:
        trusted[rng.choice(12, rng.integers(1, 7), replace=False)] = False
    if not e.has_p:
        marks[:, :3] = np.inf
    noise = np.hypot(noise, 0.4 * extra)
    smooth = sosfiltfilt(SMOOTH, raw, axis=1)
    return features(raw, smooth, noise, trusted, rr), marks, trusted


def _stretch(raw: np.ndarray, warp: float) -> np.ndarray:
    at = PRE + (np.arange(raw.shape[1]) - PRE) / warp
    left = np.clip(np.floor(at).astype(int), 0, raw.shape[1] - 2)
    part = np.clip(at - left, 0, 1)
    return raw[:, left] * (1 - part) + raw[:, left + 1] * part


def draw(rng: np.random.Generator) -> Drawn:
    """A complex of straight lines (QRS) and half-sines (P, T), whose bounds are exact."""
    time, marks = np.arange(PRE + POST) - PRE, np.full((12, len(LEARNED)), np.nan)
    on, length = -int(rng.integers(12, 35)), int(rng.integers(30, 75))
    raw = _zigzag((time - on) / length, rng)
    marks[:, 3:5] = on, on + length
    start, wide = on + length + int(rng.integers(10, 60)), int(rng.integers(60, 120))
    top, sharp = rng.uniform(0.45, 0.65), rng.choice([1.0, 1.5])
    raw = raw + rng.normal(0, 0.3, (12, 1)) * _half_sine(time, start, wide, top) ** sharp
    soft = 0.07 * wide if sharp > 1 else 0.0  # a soft end is seen before it is over
    marks[:, 5:] = start + soft, start + wide * top, start + wide - soft
    if rng.random() < 0.6:
        wide = int(rng.integers(35, 65))
        start = on - wide - int(rng.integers(5, 70))
        height = rng.choice([-1, 1], (12, 1)) * rng.uniform(0.03, 0.2, (12, 1))
        raw = raw + height * _half_sine(time, start, wide, 0.5)
        marks[:, :3] = start, start + wide / 2, start + wide
    else:
        marks[:, :3] = np.inf
    noise = np.exp(rng.normal(-6, 0.8))
    raw = raw + rng.normal(0, noise, raw.shape)
    each, smooth = np.full(12, max(0.001, 0.4 * noise)), sosfiltfilt(SMOOTH, raw, axis=1)
    leads = np.ones(12, bool)
    return features(raw, smooth, each, leads, float(rng.integers(300, 600))), marks, leads


def _zigzag(share: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Twelve QRS of up to four corners, given how much of the QRS has passed."""
    corners = np.sort(rng.uniform(0.12, 0.88, rng.integers(1, 5)))
    heights = rng.normal(0, 0.8, (12, corners.size))
    if rng.random() < 0.5:  # one shape in all leads
        heights = rng.normal(0, 0.8, (12, 1)) * rng.normal(0, 1, (1, corners.size))
    knots = np.r_[0, corners, 1]
    inside = (share >= 0) & (share <= 1)
    return np.stack([np.interp(share, knots, np.r_[0, h, 0]) * inside for h in heights])


def _half_sine(time: np.ndarray, start: int, wide: int, top: float) -> np.ndarray:
    share = np.clip((time - start) / wide, 0, 1)
    even = np.where(share < top, 0.5 * share / top, 0.5 + 0.5 * (share - top) / (1 - top))
    return np.maximum(np.sin(np.pi * even), 0)


# --- network ----------------------------------------------------------------------------------


class Net(nn.Module):
    """What `marks._forward` computes, to be trained."""

    def __init__(self) -> None:
        super().__init__()
        layers, inputs = [], CHANNELS
        for i, dilation in enumerate(DILATIONS):
            reach = dilation * (KERNEL // 2)
            layers.append(nn.Conv1d(inputs, HIDDEN, KERNEL, padding=reach, dilation=dilation))
            inputs = 2 * HIDDEN if i % 2 else HIDDEN
        self.layers = nn.ModuleList(layers)
        self.last = nn.Conv1d(inputs, len(LEARNED), 1)

    def forward(self, x: Tensor, trusted: Tensor) -> Tensor:
        """Scores `(batch, 12, marks, positions)` of features `(batch, 12, channels, ...)`."""
        batch, weight = x.shape[0], trusted.float()[:, :, None, None]
        x = x.flatten(0, 1)
        for i, layer in enumerate(self.layers):
            y = torch.relu(layer(x))
            if x.shape[1] in (HIDDEN, 2 * HIDDEN):
                y = y + x[:, :HIDDEN]
            if i % 2:
                leads = y.view(batch, 12, *y.shape[1:])
                mean = (leads * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True)
                y = torch.cat([leads, mean.expand_as(leads)], 2).flatten(0, 1)
            x = y
        return self.last(x).view(batch, 12, len(LEARNED), -1)


def loss_of(scores: Tensor, marks: Tensor, trusted: Tensor) -> Tensor:
    """Cross-entropy to a blurred mark, and the squared distance of the summed probabilities."""
    absent = torch.isinf(marks)
    known = ~torch.isnan(marks) & trusted[:, :, None]
    at = torch.nan_to_num(marks, posinf=0.0)[..., None]
    target = torch.exp(-0.5 * ((PLACES - at) / BLUR[:, None]) ** 2)
    target = target / target.sum(-1, keepdim=True).clamp(min=1e-6)
    target = torch.where(absent[..., None], ANYWHERE, target)
    logs = torch.log_softmax(scores, -1)
    step = torch.sigmoid(PLACES - at)
    far = STEP * ((logs.exp().cumsum(-1) - step) ** 2).sum(-1)
    each = -(target * logs).sum(-1) + 0.25 * torch.where(absent, 0.0, far)
    weight = known * torch.where(absent, 0.3, 1.0)
    return (each * weight).sum() / known.sum()


def train(
    real: Sequence[Example],
    simulated: Sequence[Example],
    *,
    epochs: int = 200,
    drawn: int = 12,
    seed: int = 0,
) -> Net:
    """A network trained on all real examples and 48 simulated ones in each epoch.

    Args:
        real: Annotated records.
        simulated: Simulated ones, of which each epoch sees 48.
        epochs: Passes over the real ones.
        drawn: Drawn complexes per epoch.
        seed: Of weights and examples.
    """
    torch.manual_seed(seed)
    rng, net = np.random.default_rng(seed), Net()
    optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=DECAY)
    some = min(48, len(simulated))
    steps = epochs * -(-(len(real) + some + drawn) // BATCH)
    plan = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, RATE, total_steps=steps, pct_start=0.1
    )
    mean = torch.optim.swa_utils.AveragedModel(
        net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(KEEP)
    )
    for _ in range(epochs):
        picked = rng.choice(len(simulated), some, replace=False)
        examples = [vary(e, rng) for e in (*real, *(simulated[i] for i in picked))]
        examples += [draw(rng) for _ in range(drawn)]
        order = rng.permutation(len(examples))
        for first in range(0, len(order), BATCH):
            batch = [examples[i] for i in order[first : first + BATCH]]
            x, marks, trusted = (
                torch.from_numpy(np.stack(part)) for part in zip(*batch, strict=True)
            )
            loss = loss_of(net(x, trusted), marks.float(), trusted)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            plan.step()
            mean.update_parameters(net)
    return mean.module


def save(nets: dict[str, Net], file: Path) -> None:
    """Writes the weights of networks by name ("all", "fold0", ...) as `marks.weights` reads."""
    arrays = {}
    for name, net in nets.items():
        for i, layer in enumerate((*net.layers, net.last)):
            arrays[f"{name}.w{i}"] = layer.weight.detach().numpy()
            arrays[f"{name}.b{i}"] = layer.bias.detach().numpy()
    np.savez(file, **arrays)
