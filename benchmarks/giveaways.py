"""Real or simulated? Two kinds of classifier, and what gives the simulated records away.

An area under the curve (AUC) of 0.5 means that nobody can tell, 1 that anybody can. Both learn
on one half of the patients and are judged on the other; with 350 records a side an AUC of 0.5
has a standard error of 0.03.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from scipy.signal import butter, sosfiltfilt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from torch import nn

from benchmarks.realism import EIGHT, FS, Case, neutral, values_table

TRIVIAL = ("digits", "edges")  # of the file, not of the heart
EPOCHS, BATCH = 25, 32
SPLITS, NET_SPLITS = 5, 2
Mix = tuple[list[Case], np.ndarray]  # cases of both sides, and which are simulated
BAND = butter(2, (0.5, 40), "bandpass", fs=FS, output="sos")


def split_by_patient(
    cases: list[Case], simulated: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the two halves; each holds half of the patients of either side."""
    rng = np.random.default_rng(seed)
    patients = np.array([case.patient for case in cases])
    learn = np.zeros(len(cases), bool)
    for side in (False, True):
        names = rng.permutation(np.unique(patients[simulated == side]))
        learn |= np.isin(patients, names[: len(names) // 2])
    return np.flatnonzero(learn), np.flatnonzero(~learn)


def _boosted_auc(
    x: np.ndarray, y: np.ndarray, halves: tuple[np.ndarray, np.ndarray], seed: int
) -> float:
    learn, judge = halves
    model = HistGradientBoostingClassifier(
        max_iter=80,
        learning_rate=0.1,
        max_leaf_nodes=8,
        min_samples_leaf=10,
        max_features=0.5,
        random_state=seed,
    )
    model.fit(x[learn], y[learn])
    return float(roc_auc_score(y[judge], model.predict_proba(x[judge])[:, 1]))


def feature_families(table: pd.DataFrame) -> dict[str, list[str]]:
    """Columns that differ by the lead alone."""
    families: dict[str, list[str]] = {}
    for column in table:
        families.setdefault(".".join(column.split(".")[:2]), []).append(column)
    return families


def feature_groups(table: pd.DataFrame) -> dict[str, list[str]]:
    """Group name to its columns, then the unions that are worth a classifier."""
    names = list(dict.fromkeys(column.split(".")[0] for column in table))
    groups = {name: [c for c in table if c.startswith(f"{name}.")] for name in names}
    heart = ("intervals", "amplitudes", "slope", "morphology", "rank")
    groups["all of the median beat"] = [c for name in heart for c in groups[name]]
    groups["all but digits, edges"] = [c for c in table if c.split(".")[0] not in TRIVIAL]
    groups["all"] = list(table)
    return groups


def boosted_aucs(
    cases: list[Case], simulated: np.ndarray, groups: dict[str, list[str]], seeds: int
) -> dict[str, tuple[float, float]]:
    """Per group of features: mean and SD of the AUC over several splits."""
    table, out = values_table(cases), {}
    halves = [split_by_patient(cases, simulated, seed) for seed in range(seeds)]
    for name, columns in groups.items():
        x = table[columns].to_numpy(float)
        aucs = [_boosted_auc(x, simulated, half, k) for k, half in enumerate(halves)]
        out[name] = float(np.mean(aucs)), float(np.std(aucs))
    return out


def chance_auc(real: list[Case], seeds: int) -> tuple[float, float]:
    """What chance gives: half of the real patients called simulated, all features."""
    x, aucs = values_table(real).to_numpy(float), []
    for seed in range(seeds):
        called, _ = split_by_patient(real, np.zeros(len(real), bool), 100 + seed)
        y = np.isin(np.arange(len(real)), called)
        aucs.append(_boosted_auc(x, y, split_by_patient(real, y, seed), seed))
    return float(np.mean(aucs)), float(np.std(aucs))


def single_giveaways(cases: list[Case], simulated: np.ndarray) -> pd.DataFrame:
    """Every feature alone: its AUC (0.5 to 1), medians and missing shares, worst first."""
    table, rows = values_table(cases), []
    for name in table:
        x = table[name].to_numpy(float)
        known = np.isfinite(x)
        y = simulated[known]
        auc = roc_auc_score(y, x[known]) if 20 < y.sum() < y.size - 20 else np.nan
        rows.append(
            {
                "feature": name,
                "auc": max(auc, 1 - auc),
                "real": np.median(x[known & ~simulated]),
                "simulated": np.median(x[known & simulated]),
                "missing_real": 1 - known[~simulated].mean(),
                "missing_simulated": 1 - known[simulated].mean(),
            }
        )
    return pd.DataFrame(rows).sort_values("auc", ascending=False, ignore_index=True)


# ---------------------------------------------------------------- a small conv net


def raw_start(case: Case) -> np.ndarray:
    """The first 5 s at 250 Hz, as recorded."""
    return case.eight[:, :2500:2]


def filtered_middle(case: Case) -> np.ndarray:
    """5 s from the middle, 0.5-40 Hz: neither edges nor digits nor fast noise."""
    return sosfiltfilt(BAND, case.eight, axis=1)[:, 1250:3750:2]


def median_beat(case: Case) -> np.ndarray:
    """The median beat alone: no rhythm and hardly any noise."""
    beat = case.look.beat
    return np.zeros((8, 215)) if beat is None else beat[EIGHT, ::2]


VIEWS: dict[str, Callable[[Case], np.ndarray]] = {
    "raw, first 5 s": raw_start,
    "0.5-40 Hz, middle 5 s": filtered_middle,
    "median beat": median_beat,
}


class Net(nn.Module):
    """Four strided convolutions, then mean and maximum over time."""

    def __init__(self) -> None:
        super().__init__()
        sizes = ((8, 24, 9), (24, 32, 9), (32, 48, 7), (48, 48, 5))
        self.layers = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv1d(a, b, k, stride=2, padding=k // 2, bias=False),
                    nn.BatchNorm1d(b),
                    nn.ReLU(),
                )
                for a, b, k in sizes
            )
        )
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(96, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logit of "simulated", `(batch,)`, from `(batch, 8, samples)`."""
        y = self.layers(x)
        return self.head(torch.cat([y.mean(dim=2), y.amax(dim=2)], dim=1))[:, 0]


def _net_auc(
    x: torch.Tensor, y: torch.Tensor, halves: tuple[np.ndarray, np.ndarray], seed: int
) -> float:
    torch.manual_seed(seed)
    learn, judge = (torch.from_numpy(half) for half in halves)
    net = Net()
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-2)
    steps = EPOCHS * -(-len(learn) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    for _ in range(EPOCHS):
        for batch in learn[torch.randperm(len(learn))].split(BATCH):
            loss = nn.functional.binary_cross_entropy_with_logits(net(x[batch]), y[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    net.eval()
    with torch.no_grad():
        return float(roc_auc_score(y[judge], net(x[judge])))


def net_auc(
    cases: list[Case], simulated: np.ndarray, view: str, seeds: int
) -> tuple[float, float]:
    """Mean and SD of the net's AUC over several splits, on one of `VIEWS`."""
    torch.set_num_threads(1)
    y = torch.from_numpy(simulated.astype(np.float32))
    x = np.nan_to_num(np.stack([VIEWS[view](case) for case in cases])).astype(np.float32)
    tensor = torch.from_numpy(x / x.std())
    aucs = [
        _net_auc(tensor, y, split_by_patient(cases, simulated, seed), seed)
        for seed in range(seeds)
    ]
    return float(np.mean(aucs)), float(np.std(aucs))


# ---------------------------------------------------------------- printed


def print_aucs(what: str, aucs: dict[str, tuple[float, float]]) -> None:
    """One line per classifier."""
    print(f"   {what}")
    for name, (mean, sd) in aucs.items():
        print(f"      {name:36s}{mean:6.3f} +- {sd:.3f}")


def mix(real: list[Case], simulated: list[Case]) -> Mix:
    """Both sides in one list, cut to the same number, and which are simulated."""
    count = min(len(real), len(simulated))
    return [*real[:count], *simulated[:count]], np.arange(2 * count) >= count


def print_classifiers(real: list[Case], simulated: list[Case]) -> None:
    """AUC per group of features and per view of the signal, with what chance gives."""
    print("\n6. Real or simulated? AUC on held-out patients, mean +- SD over splits")
    both = mix(real, simulated)
    groups = feature_groups(values_table(real))
    print_aucs("boosted trees on groups of features", boosted_aucs(*both, groups, SPLITS))
    print_aucs("chance", {"real or real?": chance_auc(real, SPLITS)})
    normal = mix(*([c for c in side if "normal ecg" in c.labels] for side in (real, simulated)))
    heart = {name: groups[name] for name in ("all of the median beat", "all but digits, edges")}
    print_aucs("normal ECGs alone", boosted_aucs(*normal, heart, SPLITS))
    print_aucs("conv net", {view: net_auc(*both, view, NET_SPLITS) for view in VIEWS})
    plain = mix([neutral(case) for case in real], [neutral(case) for case in simulated])
    left = {name: groups[name] for name in groups if name not in (*TRIVIAL, "all")}
    aucs = boosted_aucs(*plain, left, NET_SPLITS)
    print_aucs("both sides below 35 Hz, first and last 0.3 s cut off", aucs)
    print_families(both, plain)
    print_single(*both)


def print_families(raw: Mix, plain: Mix) -> None:
    """AUC of each family of features (all leads of one), worst first."""
    table = values_table(plain[0])
    families = feature_families(table[[c for c in table if c.split(".")[0] not in TRIVIAL]])
    sides = [boosted_aucs(*mixed, families, NET_SPLITS) for mixed in (raw, plain)]
    print("   families of features, worst first: AUC as recorded; below 35 Hz, ends cut off")
    for name in sorted(families, key=lambda n: -sides[1][n][0])[:40]:
        print(f"      {name:36s}{sides[0][name][0]:6.3f}{sides[1][name][0]:8.3f}")


def print_single(cases: list[Case], simulated: np.ndarray) -> None:
    """The features that tell most by themselves, as recorded, by group."""
    table = single_giveaways(cases, simulated)
    group = table.feature.str.split(".").str[0]
    print(f"   single features{'':25s}{'AUC':>6s}{'real':>11s}{'simulated':>11s}  missing, %")
    for name in dict.fromkeys(group):
        for row in table[group == name].head(6).itertuples():
            print(
                f"   {row.feature:40s}{row.auc:6.2f}{row.real:11.4g}{row.simulated:11.4g}"
                f"{100 * row.missing_real:7.0f}{100 * row.missing_simulated:5.0f}"
            )
