"""Trains the marking network's weights: for LUDB's benchmark by folds, and on everything.

    python -m benchmarks.fit_marks FILE.npz --data ../shared/data [--epochs 200]

The shipped `assets/marks.npz` came from this command at commit 97f466d. The simulator, which
draws most of the examples, has changed since, so that a new run gives weights of the same kind
and not the same numbers: run `benchmarks.measure` on them before they replace the shipped ones,
and set again what was set on these (`marks.SHIFT`, the decision whether there is a P,
`result.UNCERTAINTY`).

Each `fold` never sees the LUDB records whose number is `fold` modulo five; the simulated
records are the same for all.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.measure_ludb import annotations, load
from ecg_r1.ecg import LEADS, ECGError
from ecg_r1.measurement.fit import Example, example, save, train
from ecg_r1.measurement.marks import FOLDS
from ecg_r1.simulate import Recording, sample_spec, simulate

COLUMNS = (  # of LUDB's annotation, in the order of `marks.LEARNED`
    *(("p", "onset"), ("p", "peak"), ("p", "offset"), ("N", "onset"), ("N", "offset")),
    *(("t", "onset"), ("t", "peak"), ("t", "offset")),
)


def annotated(folder: Path, number: int) -> Example | None:
    """One LUDB record with its marks beat by beat."""
    table = annotations(folder, number)
    r = np.sort(table.peak[table.wave == "N"].to_numpy(float))
    peaks = np.array(
        [np.median(part) for part in np.split(r, np.flatnonzero(np.diff(r) > 75) + 1)]
    )
    marks = np.full((peaks.size, len(LEADS), len(COLUMNS)), np.nan)
    for lead, part in table.groupby("lead"):
        for beat, peak in enumerate(peaks):
            marks[beat, LEADS.index(lead)] = _of_beat(part, peak, peaks)
    return example(load(folder, number), peaks, marks)


def _of_beat(part: pd.DataFrame, peak: float, peaks: np.ndarray) -> list[float]:
    """The marks of one lead's waves that belong to the beat at `peak`."""
    last = peaks[peaks < peak].max(initial=-np.inf) + 30
    following = peaks[peaks > peak].min(initial=np.inf)
    spans = {"p": (max(peak - 250, last), peak - 1), "N": (peak - 75, peak + 75)}
    spans["t"] = (peak + 1, min(peak + 350, following))
    rows = {}
    for wave, (low, high) in spans.items():
        near = part[(part.wave == wave) & part.peak.between(low, high)]
        if len(near):
            rows[wave] = near.iloc[-1 if wave == "p" else 0]
    return [float(rows[w][c]) if w in rows else np.nan for w, c in COLUMNS]


def simulated(count: int, seed: int = 77) -> list[Example]:
    """Drawn patients, half of them without noise."""
    rng, found = np.random.default_rng(seed), []
    while len(found) < count:
        spec = sample_spec(rng)
        kept = {**vars(spec), "recording": Recording(wander_mv=0.0, emg_mv=0.0)}
        try:
            ecg = simulate(spec if rng.random() < 0.5 else type(spec)(**kept), seed=len(found))
        except ECGError:  # more premature beats than fit into ten seconds
            continue
        marks = ecg.truth.beat_marks[:, :12].reshape(-1, 12, 9)
        known = ~np.isnan(marks[:, :, 3]).all(axis=1)
        peaks = np.nanmedian(marks[known][:, :, 4], axis=1)
        one = example(ecg, peaks, np.delete(marks[known], 4, axis=2))
        found += [one] if one is not None else []
    return found


def main() -> None:
    """Trains and writes the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--epochs", type=int, default=200)
    args = parser.parse_args()
    torch.set_num_threads(1)  # the layers are too small to share
    records = {n: annotated(args.data / "ludb", n) for n in range(1, 101)}
    records = {n: e for n, e in records.items() if e is not None}
    drawn, nets = simulated(600), {}
    for fold in (None, *range(FOLDS)):
        name = "all" if fold is None else f"fold{fold}"
        seen = [e for n, e in records.items() if n % FOLDS != fold]
        nets[name] = train(seen, drawn, epochs=args.epochs, seed=len(nets))
        print(f"{name}: trained on {len(seen)} records of LUDB", flush=True)
    save(nets, args.file)


if __name__ == "__main__":
    main()
