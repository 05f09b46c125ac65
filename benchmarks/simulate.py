"""The simulator: its speed, its laws, its truth, and how real it looks.

    python -m benchmarks.simulate [--data ../shared/data] [--records 353] [--out FOLDER]

Speed and laws stand beside neurokit2's 12-lead simulation in the same run. Truth is compared
with `ecg_r1.measurement`, which knows nothing of the simulator. Realism is judged against the
real records of PTB-XL by distributions (`benchmarks.populations`), by pictures
(`benchmarks.figures`) and by classifiers (`benchmarks.giveaways`). About four minutes; needs
the extras `dev`, `eval` and, for pictures, `notebooks`.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import neurokit2 as nk
import numpy as np
import pandas as pd

from benchmarks.giveaways import print_classifiers
from benchmarks.populations import print_distributions
from benchmarks.realism import AMPLITUDES, FS, real_cases, simulated_cases, simulated_ecgs
from ecg_r1.ecg import ECG, LEADS
from ecg_r1.measurement import measure
from ecg_r1.simulate import BALANCES, HeartSpec, sample_spec, simulate

INTERVALS = ("hr_bpm", "pr_ms", "qrs_ms", "qt_ms", "axis_deg")


# ---------------------------------------------------------------- 1. speed


def seconds_per_record(draw: Callable[[], object], count: int, rounds: int = 5) -> float:
    """Median over rounds of the processor time of one call."""
    draw()
    spent = []
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(count):
            draw()
        spent.append((time.process_time() - start) / count)
    return float(np.median(spent))


def draw_ours(rng: np.random.Generator, balance: str) -> ECG:
    """A new patient's record."""
    return simulate(sample_spec(rng, balance), seed=int(rng.integers(2**31)))


def draw_neurokit(seed: int = 0) -> pd.DataFrame:
    """neurokit2's twelve leads, 10 s at 500 Hz, mV."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nk.ecg_simulate(
            duration=10, sampling_rate=FS, method="multileads", random_state=seed
        )


def print_speed() -> None:
    """Records per second and core, ours and neurokit2's."""
    print("1. Speed: 12-lead 10-s records per second of one core (goal: 500)")
    theirs = seconds_per_record(draw_neurokit, 3, rounds=3)
    for balance in BALANCES:
        rng = np.random.default_rng(0)
        ours = seconds_per_record(lambda r=rng, b=balance: draw_ours(r, b), 60)
        print(f"   {balance:10s}{1 / ours:8.0f}   {theirs / ours:.0f} times neurokit2")
    print(f"   {'neurokit2':10s}{1 / theirs:8.1f}")


# ---------------------------------------------------------------- 2. laws


def law_residuals(signal: np.ndarray) -> tuple[float, float]:
    """Largest violation of Einthoven's and of Goldberger's law in microvolts."""
    i, ii, iii, avr, avl, avf = signal[:6].astype(float) * 1000
    goldberger = (avr + (i + ii) / 2, avl - (i - iii) / 2, avf - (ii + iii) / 2)
    return float(np.abs(i + iii - ii).max()), float(np.abs(goldberger).max())


def print_laws(count: int) -> None:
    """Largest residuals over records, ours and neurokit2's."""
    ours = [law_residuals(ecg.signal) for ecg in simulated_ecgs(count, "balanced", 0)]
    theirs = [law_residuals(draw_neurokit(seed)[list(LEADS)].to_numpy().T) for seed in range(5)]
    print(f"\n2. Laws: largest residual of any sample, microvolts ({count} records; 5)")
    for name, rows in (("ours", ours), ("neurokit2", theirs)):
        einthoven, goldberger = np.max(rows, axis=0)
        print(f"   {name:10s} Einthoven {einthoven:8.2f}   Goldberger {goldberger:8.2f}")


# ---------------------------------------------------------------- 3. truth


def make_clean(spec: HeartSpec) -> HeartSpec:
    """The same heart, recorded without noise, drift, filter or digits."""
    clean = type(spec.recording)(
        wander_mv=0.0, emg_mv=0.0, high_pass_hz=0.0, low_pass_hz=None, adc_uv=0.0
    )
    return replace(spec, recording=clean)


def clean_ecgs(count: int, seed: int) -> Iterator[ECG]:
    """Noise-free records of every rhythm and morphology that `sample_spec` draws."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        yield simulate(make_clean(sample_spec(rng, "balanced")), seed=seed + number)


def truth_errors(count: int, seed: int = 1) -> tuple[pd.DataFrame, list[tuple[str, ...]]]:
    """Measured minus true, NaN where either is missing, with presence; and the labels."""
    rows, labels = [], []
    for ecg in clean_ecgs(count, seed):
        found, true = measure(ecg), ecg.truth
        row = {}
        for name in INTERVALS:
            ours, real = getattr(found, name), getattr(true, name)
            row[f"{name} invented"] = ours is not None and real is None
            row[f"{name} missed"] = ours is None and real is not None
            row[name] = np.nan if ours is None or real is None else ours - real
        row["axis_deg"] = (row["axis_deg"] + 180) % 360 - 180
        for name in AMPLITUDES:
            if name in true.lead_values:
                row[name] = found.leads[name].to_numpy(float) - true.lead_values[name]
        rows.append(row)
        labels.append(true.diagnoses)
    return pd.DataFrame(rows), labels


def print_amplitude_errors(errors: pd.DataFrame) -> None:
    """Agreement of the amplitudes over all leads, in microvolts."""
    for name in (name for name in AMPLITUDES if name in errors):
        e = 1000 * np.concatenate(errors[name].dropna().to_list())
        e = e[np.isfinite(e)]
        print(
            f"   {name:10s}{e.mean():8.1f}{np.abs(e).mean():8.1f}{e.std():8.1f}"
            f"{(np.abs(e) <= 50).mean():10.1%}{e.size:6d}   uV, within 50, leads"
        )


def print_worst(errors: pd.DataFrame) -> None:
    """The records that disagree most, by their place in `clean_ecgs(count, 1)`."""
    for name in INTERVALS:
        worst = errors[name].abs().sort_values(ascending=False).index[:5]
        cells = (f"record {k} {errors[name][k]:+.0f}" for k in worst)
        print(f"   worst {name:9s} " + ", ".join(cells))


def print_truth(count: int) -> None:
    """Agreement over all records, then mean +- SD of the error by label."""
    errors, labels = truth_errors(count)
    print(f"\n3. Truth: `measure` minus truth on {count} noise-free records (ms, bpm, degrees)")
    print(f"   {'':10s}{'bias':>8s}{'MAE':>8s}{'SD':>8s}{'within 8':>10s}{'n':>6s}")
    for name in INTERVALS:
        e = errors[name].dropna()
        print(
            f"   {name:10s}{e.mean():8.2f}{e.abs().mean():8.2f}{e.std():8.2f}"
            f"{(e.abs() <= 8).mean():10.1%}{e.size:6d}"
            f"   missed {errors[f'{name} missed'].sum()}"
            f", invented {errors[f'{name} invented'].sum()}"
        )
    print_amplitude_errors(errors)
    print_worst(errors)
    print(f"   {'mean +- SD by label':46s}{'n':>5s}" + "".join(f"{n:>16s}" for n in INTERVALS))
    for label in sorted({one for some in labels for one in some}):
        part = errors[[label in some for some in labels]][list(INTERVALS)]
        cells = (f"{part[n].mean():7.1f} +-{part[n].std():6.1f}" for n in INTERVALS)
        if len(part) >= 5:
            print(f"   {label:46s}{len(part):5d}" + "".join(f"{cell:>16s}" for cell in cells))


# ---------------------------------------------------------------- the whole


def print_realism(folder: Path, records: int, out: Path | None) -> None:
    """Sections 4 to 6, where the real records are at hand."""
    if not (folder / "ptbxl_database.csv").is_file():
        print(
            f"\nSections 4-6 left out: no ptbxl_database.csv in {folder}; "
            "pass --data with the folder that holds ptbxl/",
            file=sys.stderr,
        )
        return
    real = real_cases(folder, records)
    simulated = simulated_cases(len(real))
    print_distributions(real, simulated)
    if out is not None:
        from benchmarks.figures import draw_all  # noqa: PLC0415  (matplotlib only for pictures)

        print(
            "\n5. Pictures: " + ", ".join(str(path) for path in draw_all(real, simulated, out))
        )
    print_classifiers(real, simulated)


def main() -> None:
    """Prints every section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--records", type=int, default=353, help="records a side, at most")
    parser.add_argument("--out", type=Path, help="folder for pictures (needs matplotlib)")
    args = parser.parse_args()
    if args.records < 100:
        parser.error(f"--records {args.records} is too few to compare: take 100 or more")
    warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
    print_speed()
    print_laws(args.records)
    print_truth(args.records)
    print_realism(args.data / "ptbxl", args.records, args.out)


if __name__ == "__main__":
    main()
