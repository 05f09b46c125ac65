"""The mean heart and its variation, fitted to real ECGs: writes `ecg_r1/simulate/hearts.json`.

    python -m benchmarks.fit_heart --data ../shared/data

Each record of PTB-XL's folds 1-6 gives one median beat. Its waves are written as bumps of a
dipole seen through Dower's lead field (least squares), and what that leaves unexplained as this
patient's own lead field. Normal records (NORM) give a mean, its trend with age and sex, and
principal components; some blocks of conduction give a mean loop each.
"""

import argparse
import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ecg_r1.ecg import FS, read_ecg
from ecg_r1.measurement import measure
from ecg_r1.simulate.loops import (
    P_CENTRES,
    P_WIDTH,
    QRS_CENTRES,
    QRS_WIDTH,
    T_CENTRES,
    T_WIDTH,
    evenly,
)
from ecg_r1.simulate.torso import ATRIAL_SHARE, FIELD

EIGHT = [0, 1, 6, 7, 8, 9, 10, 11]  # I, II, V1-V6
BEFORE, AFTER = 150, 350  # samples of a beat around its R
RIDGE = 1e-2  # of the bumps' weights
STIFF = 0.3  # mV^2, holds a patient's lead field to Dower's where the loop is flat
KEPT = 0.93  # share of the (standardised) variance in the kept components
# Loops of blocks: PTB-XL's statement, and statements that must be absent.
BLOCKS = {
    "lafb": ("LAFB", ("CRBBB", "CLBBB", "IRBBB")),
}


@dataclass(frozen=True)
class Beat:
    """Median beat of one record: I, II, V1-V6 in mV, and its marks in samples from R."""

    signal: np.ndarray
    marks: dict[str, float]

    def column(self, start: float, stop: float, n: int) -> np.ndarray:
        """`(8, n)` evenly between two times in samples from R."""
        at = np.linspace(start, stop, n) + BEFORE
        grid = np.arange(self.signal.shape[1])
        return np.array([np.interp(at, grid, row) for row in self.signal])


def median_beat(path: Path) -> Beat | None:
    """None when the record has gaps or no measurable QRS and T."""
    ecg = read_ecg(path)
    m = measure(ecg)
    table = m.fiducials[m.fiducials.lead == "global"]
    marks = {}
    for wave in ("P", "QRS", "T"):
        for end in ("onset", "offset"):
            from_r = table[table.wave == wave][end].to_numpy(float) - m.rpeaks
            if np.isfinite(from_r).any():
                marks[f"{wave} {end}"] = float(np.nanmedian(from_r))
    inside = [r for r in m.rpeaks if r > BEFORE and r + AFTER < ecg.signal.shape[1]]
    if np.isnan(ecg.signal).any() or len(inside) < 3 or "T offset" not in marks:
        return None
    on = round(marks["QRS onset"])
    beats = [
        ecg.signal[EIGHT, r - BEFORE : r + AFTER]
        - ecg.signal[EIGHT, r + on - 8 : r + on].mean(1, keepdims=True)
        for r in inside
    ]
    return Beat(np.median(beats, axis=0), marks)


def bumps(centres: np.ndarray, width: float, times: np.ndarray) -> np.ndarray:
    """Heights of the bumps of a wave, `(bumps, times)`."""
    return evenly(centres, width, np.zeros((len(centres), 3))).bumps(times)


def solve(signal: np.ndarray, design: np.ndarray) -> np.ndarray:
    """Weights `(8, bumps)` with which the bumps come nearest to the signal."""
    square = design @ design.T + RIDGE * np.eye(len(design))
    return signal @ design.T @ np.linalg.inv(square)


def fit_ventricles(beat: Beat) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors `(bumps, 3)` of QRS, the same of ST and T, and the patient's lead field."""
    on, off, end = (beat.marks[k] for k in ("QRS onset", "QRS offset", "T offset"))
    stop = end + 0.1 * (end - off)
    n = 300
    signal, t = beat.column(on - 6, stop, n), np.linspace(on - 6, stop, n)
    qrs = bumps(QRS_CENTRES, QRS_WIDTH, (t - on) / (off - on))
    design = np.vstack([qrs, bumps(T_CENTRES, T_WIDTH, (t - off) / (end - off))])
    weights = solve(signal, design)
    vectors = (np.linalg.pinv(FIELD) @ weights).T
    loop, stiff = vectors.T @ design, STIFF * np.eye(3)
    field = (signal @ loop.T + FIELD @ stiff) @ np.linalg.inv(loop @ loop.T + stiff)
    return vectors[: len(qrs)], vectors[len(qrs) :], field


def fit_atria(beat: Beat, field: np.ndarray) -> np.ndarray:
    """Vectors `(4, 3)` of P through the patient's own lead field; NaN where there is none."""
    if "P onset" not in beat.marks or "P offset" not in beat.marks:
        return np.full((4, 3), np.nan)
    on, off = beat.marks["P onset"], beat.marks["P offset"]
    tau = np.linspace(-0.2, 1.15, 80)
    signal = beat.column(on + tau[0] * (off - on), on + tau[-1] * (off - on), 80)
    signal = signal - np.linspace(signal[:, :5].mean(1), signal[:, -5:].mean(1), 80).T
    field = ATRIAL_SHARE[:, None] * field
    weights = np.array([3, 3, 1, 1, 1, 1, 1, 1])[:, None]  # P is judged in the limb leads
    seen = solve(signal, bumps(P_CENTRES, P_WIDTH, tau))
    return (np.linalg.pinv(weights * field) @ (weights * seen)).T


def fit_normal(rows: np.ndarray, people: np.ndarray) -> dict[str, list]:
    """Mean at 50 years over both sexes, trend a decade and with sex, and components.

    Args:
        rows: `(records, values)`.
        people: `(records, 2)`: decades from 50 years, and +0.5 male, -0.5 female.
    """
    design = np.column_stack([np.ones(len(rows)), people])
    effect, *_ = np.linalg.lstsq(design, rows, rcond=None)
    rest = rows - design @ effect
    size = rest.std(0)
    _, values, axes = np.linalg.svd(rest / size, full_matrices=False)
    kept = int(np.searchsorted(np.cumsum(values**2) / (values**2).sum(), KEPT)) + 1
    components = axes[:kept] * values[:kept, None] / np.sqrt(len(rows)) * size
    return {
        "mean": effect[0].round(4).tolist(),
        "decade": effect[1].round(4).tolist(),
        "male": effect[2].round(4).tolist(),
        "components": components.round(4).tolist(),
        "records": len(rows),
    }


def main() -> None:
    """Fits and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("ecg_r1/simulate/hearts.json"))
    args = parser.parse_args()
    table = pd.read_csv(args.data / "ptbxl" / "ptbxl_database.csv")
    rows, people, loops = [], [], {name: [] for name in BLOCKS}
    for record in table[table.strat_fold <= 6].itertuples():
        codes = set(ast.literal_eval(record.scp_codes))
        beat = median_beat(args.data / "ptbxl" / record.filename_hr)
        if beat is None:
            continue
        qrs, recovery, field = fit_ventricles(beat)
        for name, (code, absent) in BLOCKS.items():
            if code in codes and not codes & set(absent):
                loops[name].append(qrs)
        row = np.concatenate(
            [
                qrs.ravel(),
                recovery.ravel(),
                fit_atria(beat, field).ravel(),
                (field - FIELD).ravel(),
            ]
        )
        if "NORM" in codes and record.age < 90 and np.isfinite(row).all():
            rows.append(row)
            people.append([(record.age - 50) / 10, 0.5 if record.sex == 0 else -0.5])
    hearts = {
        "source": "PTB-XL (Wagner et al. 2020, doi:10.1038/s41597-020-0495-6, CC BY 4.0), "
        f"folds 1-6, fitted by benchmarks/fit_heart.py at {FS} Hz",
        "normal": fit_normal(np.array(rows), np.array(people)),
        "blocks": {
            name: {"qrs": np.mean(found, axis=0).round(4).tolist(), "records": len(found)}
            for name, found in loops.items()
        },
    }
    # A line a row: readable, and small differences between versions.
    text = json.dumps(hearts, indent=1)
    text = re.sub(r"(?<=[\d\[]),?\s+(?=[-\d\]])", lambda m: ", " if "," in m[0] else "", text)
    args.out.write_text(text + "\n", encoding="utf-8")
    kept, counts = len(hearts["normal"]["components"]), {k: len(v) for k, v in loops.items()}
    print(f"{len(rows)} normal records, {kept} components; blocks {counts}; {args.out}")


if __name__ == "__main__":
    main()
