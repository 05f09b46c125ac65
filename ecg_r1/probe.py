"""What a frozen tower knows: linear probes on its tokens, scored on other patients."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from ecg_r1.coca import pretrain_coca
from ecg_r1.corpus import NUMBERS, row_ecg
from ecg_r1.ecg import ECGError
from ecg_r1.model import ECGR1ForConditionalGeneration
from ecg_r1.nano import new_nano
from ecg_r1.pretrain import PretrainConfig, pretrain
from ecg_r1.processing import ECGR1Processor, tower_input

METHODS: dict[str, Callable[..., Any]] = {"supervised": pretrain, "contrastive": pretrain_coca}
RIDGES = (1.0, 10.0, 100.0, 1000.0)
FEWEST_POSITIVES = 5  # of a label, for its AUROC to count (the table of issue 6)


@torch.inference_mode()
def tower_features(
    model: ECGR1ForConditionalGeneration, processor: ECGR1Processor, rows: Any
) -> np.ndarray:
    """Class token and mean of the others for each row, `(rows, 2 * width)`."""
    model.eval()
    signals = rows.select_columns(["signal", "calibrated", "id"])
    told = []
    for start in tqdm(range(0, len(rows), 32), desc="probe", mininterval=5):
        some = [signals[i] for i in range(start, min(start + 32, len(rows)))]
        values = np.stack([tower_input(row_ecg(row), processor.prompt) for row in some])
        tokens = model.model.ecg_tower(torch.from_numpy(values).to(model.device))
        both = torch.cat([tokens[:, 0], tokens[:, 1:].mean(dim=1)], dim=1)
        told.append(both.float().cpu().numpy())
    return np.concatenate(told)


def ridge(x: np.ndarray, y: np.ndarray, strength: float) -> Callable[[np.ndarray], np.ndarray]:
    """A linear map from standardised features, by least squares with a penalty.

    Example:
        >>> x = np.array([[0.0], [1.0], [2.0]])
        >>> fitted = ridge(x, 3 * x[:, 0] + 1, strength=1e-9)
        >>> fitted(np.array([[5.0]])).round(3)
        array([16.])
    """
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-6
    scaled = (x - mean) / spread
    level = y.mean(axis=0)
    gram = scaled.T @ scaled + strength * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, scaled.T @ (y - level))
    return lambda new: (new - mean) / spread @ weights + level


def auroc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Share of pairs of a positive and a negative that are in the right order; ties are half.

    Example:
        >>> auroc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
        0.75
    """
    above = scores[positive][:, None] - scores[~positive][None, :]
    return float((above > 0).mean() + (above == 0).mean() / 2)


def probe(fit: np.ndarray, fit_rows: Any, test: np.ndarray, test_rows: Any) -> dict[str, float]:
    """Errors of numbers and AUROC of labels read linearly off the features.

    Args:
        fit: Features that the probes are fitted on.
        fit_rows: Their rows.
        test: Features of other patients.
        test_rows: Their rows.

    Returns:
        Mean absolute error of each of `NUMBERS` but the last, `macro_auroc` over labels with at
        least `FEWEST_POSITIVES` positives in the test rows, and `labels`, how many those are.
    """
    told = {}
    wanted, truth = np.array(fit_rows["numbers"]), np.array(test_rows["numbers"])
    for column, name in enumerate(NUMBERS[:-1]):
        known, there = np.isfinite(wanted[:, column]), np.isfinite(truth[:, column])
        if name == "axis_deg":
            angle = np.radians(wanted[known, column])
            circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
            read = _fitted(fit[known], circle)(test[there])
            said = np.degrees(np.arctan2(read[:, 1], read[:, 0]))
            error = np.abs((said - truth[there, column] + 180) % 360 - 180)
        else:
            error = np.abs(
                _fitted(fit[known], wanted[known, column])(test[there]) - truth[there, column]
            )
        told[name] = float(error.mean())
    shown, learned = list(test_rows["labels"]), list(fit_rows["labels"])
    names = sorted({label for labels in shown for label in labels})
    scores = []
    for name in names:
        positive = np.array([name in labels for labels in shown])
        taught = np.array([name in labels for labels in learned])
        if FEWEST_POSITIVES <= positive.sum() < len(positive) and taught.any():
            scores.append(auroc(_fitted(fit, taught.astype(float))(test), positive))
    told["macro_auroc"] = float(np.mean(scores)) if scores else float("nan")
    told["labels"] = len(scores)
    return told


def _fitted(x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The ridge whose strength does best on every fifth row, fitted on all."""
    held = np.arange(len(x)) % 5 == 0
    if held.all() or not held.any():
        return ridge(x, y, RIDGES[-1])

    def error(strength: float) -> float:
        return float(np.square(ridge(x[~held], y[~held], strength)(x[held]) - y[held]).mean())

    return ridge(x, y, min(RIDGES, key=error))


def compare_towers(
    rows: Any, out: Path, config: PretrainConfig, methods: Sequence[str] = tuple(METHODS)
) -> dict[str, dict[str, float]]:
    """Pretrain a tower by each method with the same steps and batches, and probe each.

    Args:
        rows: A corpus; its training split trains and fits the probes, the real records of the
            split to choose by (PTB-XL's fold 7) score them.
        out: A folder for each method's state; each resumes.
        config: The run of each.
        methods: Some of `METHODS`; "untrained" probes a tower as new.

    Returns:
        Of each method what `probe` returns, and the `minutes` of its training.

    Raises:
        ECGError: There are no real records to choose by, or an unknown method.
    """
    unknown = [name for name in methods if name not in (*METHODS, "untrained")]
    if unknown:
        raise ECGError(f"{unknown[0]!r} is no method; choose from {', '.join(METHODS)}")
    split, source = np.array(rows["split"]), np.array(rows["source"])
    training = rows.select(np.flatnonzero(split == "train"))
    chosen = rows.select(np.flatnonzero((split == "choose") & (source != "simulated")))
    if not len(chosen) or not len(training):
        raise ECGError("a comparison needs records to train on and real ones to choose by")
    told = {}
    for name in methods:
        model, processor = new_nano(training[:4000]["text"], config.seed)
        started = time.perf_counter()
        if name != "untrained":
            for _ in METHODS[name](model, processor, training, out / name, replace(config)):
                pass
        minutes = (time.perf_counter() - started) / 60
        x, test = (tower_features(model, processor, some) for some in (training, chosen))
        told[name] = probe(x, training, test, chosen) | {"minutes": minutes}
    return told
