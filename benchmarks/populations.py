"""How the simulated population compares with the real one, quantity by quantity.

Both sides are measured by the same `ecg_r1.measurement`. The simulator's shapes were fitted to
PTB-XL's folds 1-6, so folds 7-8 are also compared apart.
"""

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp

from benchmarks.realism import AMPLITUDES, PRE, Case, values_table
from ecg_r1.ecg import LEADS
from ecg_r1.labels import LABELS


def spread(values: pd.Series, digits: int) -> str:
    """Median [10th, 90th percentile]."""
    if values.notna().sum() < 5:
        return "-"
    middle, low, high = np.nanpercentile(values, [50, 10, 90])
    return f"{middle:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def compare(real: pd.DataFrame, simulated: pd.DataFrame, prefix: str) -> pd.DataFrame:
    """Medians, spreads and Kolmogorov-Smirnov distance per feature, worst first."""
    rows = []
    for name in (column for column in real if column.startswith(prefix)):
        a, b = real[name].dropna(), simulated[name].dropna()
        if min(a.size, b.size) < 20:
            continue
        digits = 0 if name.startswith("intervals") else 2
        rows.append(
            {
                "quantity": name.split(".", 1)[1],
                "ks": ks_2samp(a, b).statistic,
                "cohen_d": (b.mean() - a.mean()) / np.sqrt((a.var() + b.var()) / 2 + 1e-12),
                "real": spread(a, digits),
                "simulated": spread(b, digits),
            }
        )
    return pd.DataFrame(rows).sort_values("ks", ascending=False, ignore_index=True)


def print_rows(table: pd.DataFrame, most: int) -> None:
    """The first rows of a comparison."""
    print(f"   {'':18s}{'KS':>6s}{'d':>7s}  {'real':24s}simulated")
    for row in table.head(most).itertuples():
        numbers = f"{row.ks:6.2f}{row.cohen_d:7.2f}"
        print(f"   {row.quantity:18s}{numbers}  {row.real:24s}{row.simulated}")


def print_population(real: list[Case], simulated: list[Case], what: str) -> None:
    """Intervals and the worst amplitudes of one pair of populations."""
    a, b = values_table(real), values_table(simulated)
    print(f"\n4. Distributions, {what}: {len(real)} real, {len(simulated)} simulated")
    print_rows(compare(a, b, "intervals."), 20)
    table = compare(a, b, "amplitudes.")
    chance = 1.36 * np.sqrt(1 / len(a) + 1 / len(b))
    print(f"   amplitudes, mV, worst first (KS above {chance:.2f} is beyond chance, p = 0.05)")
    print_rows(table, 16)
    ks = table.set_index("quantity").ks
    print(f"   KS by lead: {'':6s}" + "".join(f"{lead:>6s}" for lead in LEADS))
    for name in AMPLITUDES:
        cells = (ks.get(f"{name}.{lead}", np.nan) for lead in LEADS)
        print(f"   {name:18s}" + "".join(f"{cell:6.2f}" for cell in cells))
    print(f"   median KS of amplitudes {ks.median():.3f}")


def print_folds(real: list[Case], simulated: list[Case]) -> None:
    """Whether the folds that the shapes were fitted to lie nearer than the others."""
    parts = {"1-6": range(1, 7), "7-8": (7, 8)}
    for name, folds in parts.items():
        some = [case for case in real if case.fold in folds]
        if len(some) < 30:
            continue
        tables = values_table(some), values_table(simulated)
        parts = [compare(*tables, prefix).cohen_d for prefix in ("intervals.", "amplitudes.")]
        effect = pd.concat(parts).abs().median()
        print(f"   folds {name} ({len(some)}): median |Cohen's d| {effect:.3f}")


def print_labels(real: list[Case], simulated: list[Case]) -> None:
    """Shares of labels that PTB-XL has a code for, largest difference first."""
    coded = {label.text for label in LABELS if label.scp}
    names = coded & {label for case in (*real, *simulated) for label in case.labels}
    shares = {
        name: [np.mean([name in case.labels for case in side]) for side in (real, simulated)]
        for name in names
    }
    print("\n   Labels, % of records: real, simulated (largest difference first)")
    for name, (a, b) in sorted(shares.items(), key=lambda x: (-abs(x[1][0] - x[1][1]), x[0])):
        print(f"   {name:46s}{100 * a:6.1f}{100 * b:6.1f}")


def lead_correlations(cases: list[Case]) -> np.ndarray:
    """Mean over records of the 12 x 12 correlations of the median beat, QRS to T."""
    part = slice(PRE - 25, PRE + 175)
    beats = [case.look.beat[:, part] for case in cases if case.look.beat is not None]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nanmean([np.corrcoef(beat) for beat in beats], axis=0)


def print_correlations(real: list[Case], simulated: list[Case]) -> None:
    """How alike the leads of one heart are, real against simulated."""
    a, b = lead_correlations(real), lead_correlations(simulated)
    rows, columns = np.triu_indices(12, 1)
    off = np.abs(a - b)[rows, columns]
    print(f"\n   Correlation between leads (QRS-T): mean |real - simulated| {off.mean():.3f};")
    worst = np.argsort(-off)[:6]
    pairs = (
        f"{LEADS[rows[k]]}-{LEADS[columns[k]]} {a[rows[k], columns[k]]:.2f} / "
        f"{b[rows[k], columns[k]]:.2f}"
        for k in worst
    )
    print("   worst: " + ", ".join(pairs))


def trends(cases: list[Case]) -> dict[str, float]:
    """What age and sex do to the normal ECG."""
    normal = [case for case in cases if "normal ecg" in case.labels]
    table = values_table(normal)
    age = np.array([case.age_years for case in normal])
    woman = np.array([case.sex == "female" for case in normal])
    size = table["amplitudes.r_mv.V5"] - table["amplitudes.s_mv.V2"]
    by_age = {
        "R V5 + S V2, mV": size,
        "axis, degrees": table["intervals.axis_deg"],
        "QTcF, ms": table["intervals.qtc_ms"],
        "PR, ms": table["intervals.pr_ms"],
    }
    by_sex = {
        "QTcF, ms": table["intervals.qtc_ms"],
        "QRS, ms": table["intervals.qrs_ms"],
        "J V2, mV": table["amplitudes.j_mv.V2"],
        "T V3, mV": table["amplitudes.t_mv.V3"],
        "R V5 + S V2, mV": size,
    }
    out = {}
    for name, y in by_age.items():
        known = np.isfinite(age) & y.notna()
        out[f"per decade: {name}"] = 10 * np.polyfit(age[known], y[known], 1)[0]
    for name, y in by_sex.items():
        out[f"women - men: {name}"] = y[woman].median() - y[~woman].median()
    return out


def print_trends(real: list[Case], simulated: list[Case]) -> None:
    """Age and sex, side by side."""
    print("\n   Normal ECGs by age and sex: real, simulated")
    a, b = trends(real), trends(simulated)
    for name in a:
        print(f"   {name:46s}{a[name]:8.2f}{b[name]:8.2f}")


def print_distributions(real: list[Case], simulated: list[Case]) -> None:
    """Everything of section 4."""
    normal = [[c for c in side if "normal ecg" in c.labels] for side in (real, simulated)]
    print_population(real, simulated, "all records")
    print_folds(real, simulated)
    print_population(*normal, "normal ECGs")
    print_folds(*normal)
    print_labels(real, simulated)
    print_correlations(real, simulated)
    print_correlations(*normal)
    print_trends(real, simulated)
