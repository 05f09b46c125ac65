"""A small network that marks P, QRS and T on twelve leads of one complex, in numpy.

It sees the representative complex of all leads at once, shares what it finds over leads
(without caring for their order or number) and gives, for each lead and each mark, how probable
each position is; the median of that is the mark, and its spread the mark's uncertainty. Why a
network: rules with thresholds stay 6-9 ms (mean absolute error) from LUDB's cardiologists, this
4-6 ms. `fit` trains it; the weights are in `assets/marks.npz`.

What this leaves out: whether a wave is there at all (`atrial` decides about P).
"""

from functools import cache
from itertools import pairwise

import numpy as np
from scipy.signal import find_peaks

from ecg_r1.measurement.complexes import PRE
from ecg_r1.shipped import shipped

LEARNED = ("p_on", "p_peak", "p_off", "qrs_on", "qrs_off", "t_on", "t_peak", "t_off")
MARKS = (*LEARNED[:4], "qrs_peak", *LEARNED[4:])
P_ON, P_PEAK, P_OFF, QRS_ON, QRS_PEAK, QRS_OFF, T_ON, T_PEAK, T_OFF = range(9)
BEFORE, AFTER = 250, 350  # samples before and after R that the network sees
STEP = 2  # the network works at 250 Hz
# Samples added to the network's marks: its bias on LUDB's folds and on simulated records alike
# (it says less QRS and QT than both), halved between them.
SHIFT = np.array([-0.5, 0, 0, -1, 0, 0, 0, 1])
DILATIONS = (1, 2, 4, 8, 4, 1)
KERNEL = 5
LEVELS = (0.05, 0.5, 0.95)  # shares of a mark's probability: its spread and itself
T_WAVE = slice(5, 8)  # of `LEARNED`
BEFORE_VALLEY, AFTER_VALLEY = 5, 6  # samples about the valley before U in which T ends
MARGIN = max(DILATIONS) * (KERNEL // 2)
FOLDS = 5  # LUDB record n was not seen by the weights of fold n % 5 (and by no simulated one)


def features(
    raw: np.ndarray, smooth: np.ndarray, noise: np.ndarray, trusted: np.ndarray, rr: float
) -> np.ndarray:
    """What the network sees: `(12, 10, positions)`.

    Args:
        raw: Complex in mV, `(12, PRE + POST)`, zero before the QRS.
        smooth: The same below 40 Hz.
        noise: Standard error of `smooth` per lead, in mV.
        trusted: Leads that count for what is taken over leads.
        rr: Typical RR interval in samples, to know where the next P may lie.
    """
    part = slice(PRE - BEFORE, PRE + AFTER)
    sharp = 0.5 * (raw[:, part][:, ::STEP] + raw[:, part][:, 1::STEP])
    soft = 0.5 * (smooth[:, part][:, ::STEP] + smooth[:, part][:, 1::STEP])
    slope = np.gradient(soft, axis=1)
    size = np.ptp(soft[:, 90:170], axis=1, keepdims=True) + 0.05
    height = np.sqrt((soft[trusted] ** 2).mean(axis=0))
    speed = np.sqrt((slope[trusted] ** 2).mean(axis=0))
    time = np.arange(soft.shape[1]) * STEP - BEFORE
    each = np.ones((12, 1))
    # Scales and shifts bring every channel to about -1..1.
    channels = (
        np.arcsinh(soft / 0.03) / 3,
        np.arcsinh(sharp / 0.03) / 3,
        soft / size,
        np.arcsinh(slope / 0.004) / 3,
        np.arcsinh(np.gradient(sharp, axis=1) / 0.004) / 3,
        each * (np.log(height + 0.003) / 2 + 1.5),
        each * (np.log(speed + 0.0005) / 2 + 2.5),
        each * time / 250,
        each * np.clip((time - rr) / 125, -2, 2),
        np.repeat(np.log(noise + 0.001)[:, None] / 2 + 2, time.size, axis=1),
    )
    return np.stack(channels, axis=1).astype(np.float32)


@cache
def weights(fold: int | None) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weight and bias of each layer; `fold` None: those trained on all records."""
    name = "all" if fold is None else f"fold{fold}"
    with np.load(shipped("marks.npz")) as file:
        layers = len(DILATIONS) + 1
        pairs = [(file[f"{name}.w{i}"], file[f"{name}.b{i}"]) for i in range(layers)]
    return [(w.astype(np.float32), b.astype(np.float32)) for w, b in pairs]


def _convolve(x: np.ndarray, w: np.ndarray, b: np.ndarray, dilation: int) -> np.ndarray:
    """`(channels, rows, positions)` through one layer; rows are `MARGIN` wider on each side.

    Margins hold zeros, so that all rows can be shifted as one line and none is copied.
    """
    line = x.reshape(x.shape[0], -1)
    reach = dilation * (KERNEL // 2)
    inner = slice(reach, line.shape[1] - reach)
    y = np.zeros((w.shape[0], line.shape[1]), np.float32)
    for k in range(KERNEL):
        shift = k * dilation
        y[:, inner] += (
            np.ascontiguousarray(w[:, :, k])
            @ line[:, shift : line.shape[1] - 2 * reach + shift]
        )
    y = np.maximum(y + b[:, None], 0).reshape(w.shape[0], *x.shape[1:])
    y[:, :, :MARGIN] = y[:, :, -MARGIN:] = 0
    return y


def _forward(
    x: np.ndarray, trusted: np.ndarray, layers: list[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """Scores `(complexes, 12, marks, positions)` of what `features` gave for each complex."""
    complexes = x.shape[0]
    h = np.pad(x, ((0, 0), (0, 0), (0, 0), (MARGIN, MARGIN)))
    h = h.transpose(2, 0, 1, 3).reshape(x.shape[2], complexes * 12, -1)
    share = (trusted / trusted.sum()).astype(np.float32)
    for i, ((w, b), dilation) in enumerate(zip(layers[:-1], DILATIONS, strict=True)):
        y = _convolve(h, w, b, dilation)
        if h.shape[0] in (y.shape[0], 2 * y.shape[0]):
            y += h[: y.shape[0]]
        if i % 2:
            leads = y.reshape(y.shape[0], complexes, 12, -1)
            mean = np.einsum("cbln,l->cbn", leads, share)[:, :, None]
            y = np.concatenate([leads, np.broadcast_to(mean, leads.shape)]).reshape(
                2 * y.shape[0], complexes * 12, -1
            )
        h = y
    w, b = layers[-1]
    scores = w[:, :, 0] @ h.reshape(h.shape[0], -1) + b[:, None]
    scores = scores.reshape(len(LEARNED), complexes, 12, -1)[..., MARGIN:-MARGIN]
    return scores.transpose(1, 2, 0, 3)


def _quantiles(scores: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
    """Positions (samples after R) below which the given shares of probability lie."""
    p = np.exp(scores - scores.max(axis=-1, keepdims=True))
    total = np.cumsum(p / p.sum(axis=-1, keepdims=True), axis=-1)
    found = []
    for level in levels:
        i = np.clip((total < level).sum(axis=-1), 1, total.shape[-1] - 1)
        below = np.take_along_axis(total, i[..., None] - 1, -1)[..., 0]
        above = np.take_along_axis(total, i[..., None], -1)[..., 0]
        part = np.clip((level - below) / np.maximum(above - below, 1e-6), 0, 1)
        # A share of a position reaches from its first sample to the next position's.
        found.append(STEP * (i - 1 + part) + 1.5 - BEFORE)
    return np.stack(found)


def mark(
    raw: np.ndarray,
    smooth: np.ndarray,
    noise: np.ndarray,
    trusted: np.ndarray,
    rr: float,
    *,
    fold: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Marks and their spread of several complexes.

    Args:
        raw: `(complexes, 12, PRE + POST)` mV.
        smooth: The same below 40 Hz.
        noise: `(complexes, 12)` mV.
        trusted: Leads to mark; the others are NaN.
        rr: Typical RR interval in samples.
        fold: Weights to use; None for those trained on everything.

    Returns:
        Samples from the window's start `(complexes, 12, 9)` in the order of `MARKS`, and half
        the width in samples of the middle 90 % of each one's probability (QRS peak: 0).
    """
    x = np.stack([features(*one, trusted, rr) for one in zip(raw, smooth, noise, strict=True)])
    scores = _forward(x, trusted, weights(fold))
    low, centre, high = _quantiles(scores, LEVELS)
    for i, wave in enumerate(smooth):
        valley = _t_ends_before(wave[trusted], centre[i][trusted] + PRE, rr)
        if valley is not None:
            scores[i, :, T_WAVE, (valley + AFTER_VALLEY - PRE + BEFORE) // STEP :] = -np.inf
            low[i], centre[i], high[i] = _quantiles(scores[i], LEVELS)
            centre[i, :, -1] = np.maximum(centre[i, :, -1], valley - BEFORE_VALLEY - PRE)
    centre += SHIFT
    spread = np.insert((high - low) / 2, QRS_PEAK, 0.0, axis=2)
    centre = _in_order(np.insert(centre + PRE, QRS_PEAK, 0.0, axis=2))
    for one, wave in zip(centre, smooth, strict=True):
        one[:, QRS_PEAK] = _largest(wave, one)
    centre[:, ~trusted] = np.nan
    return centre, spread


def _t_ends_before(smooth: np.ndarray, marks: np.ndarray, rr: float) -> int | None:
    """Where the valley between T and U lies if the T end was set behind U; else None.

    Two humps over all leads, 120 ms or more apart, with less than half of the smaller between:
    parts of a T are nearer to each other. (None in LUDB 1-100; the limits are ours.)

    Args:
        smooth: `(leads, PRE + POST)` mV below 40 Hz.
        marks: `(leads, 8)` samples in the order of `LEARNED`.
        rr: Typical RR interval in samples.
    """
    on, off = (
        float(np.median(marks[:, LEARNED.index(name)])) for name in ("qrs_on", "qrs_off")
    )
    first = int(off) + 30
    last = int(min(marks[:, -1].max() + 10, on + rr - 20, smooth.shape[1] - 1))
    if last - first < 80:
        return None
    x = smooth[:, first:last]
    x = x - np.linspace(0, 1, last - first) * x[:, [-1]]
    size = np.sqrt((x**2).mean(axis=0))
    humps, _ = find_peaks(size, prominence=0.1 * size.max())
    for t, u in pairwise(humps):
        valley = t + int(np.argmin(size[t:u]))
        parted = size[valley] < 0.5 * min(size[t], size[u])
        if u - t >= 60 and parted and size[t] > max(0.015, 0.15 * size[u]):
            return first + valley
    return None


def _in_order(marks: np.ndarray) -> np.ndarray:
    """Marks of which none lies before the one it must follow."""
    order = [P_ON, P_PEAK, P_OFF, QRS_ON, QRS_OFF, T_ON, T_PEAK, T_OFF]
    marks[..., order] = np.maximum.accumulate(marks[..., order], axis=-1)
    return marks


def _largest(x: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """Sample of the largest deflection of each lead's QRS."""
    at = np.arange(x.shape[1])
    inside = (at >= marks[:, QRS_ON, None]) & (at <= marks[:, QRS_OFF, None])
    return np.argmax(np.where(inside, np.abs(x), -1.0), axis=1)
