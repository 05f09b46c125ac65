"""Our intervals on LUDB against its cardiologists, beside neurokit2's `dwt` in the same run.

    python -m benchmarks.measure --data ../shared/data [--records 1-100] [--neurokit 5]

A reference interval is the median over the annotated leads of each beat, then over beats; ours
is the median over leads of `Measurements.leads`. Headline (global) values are printed apart.
"""

import argparse
import time
import warnings
from pathlib import Path

import neurokit2 as nk
import numpy as np
import pandas as pd
import wfdb

from ecg_r1.ecg import ECG, FS, LEADS
from ecg_r1.measurement import Measurements, measure

MS = 1000 / FS


def load(folder: Path, number: int) -> ECG:
    """One LUDB record, leads put in our order by name."""
    signal, fields = wfdb.rdsamp(str(folder / "data" / str(number)))
    names = [name.lower() for name in fields["sig_name"]]
    rows = [signal[:, names.index(lead.lower())] for lead in LEADS]
    return ECG(signal=np.stack(rows), source=f"ludb/{number}")


def annotations(folder: Path, number: int) -> pd.DataFrame:
    """Every annotated wave: lead, wave (p, N, t), onset, peak, offset in samples."""
    rows = []
    for lead in LEADS:
        marks = wfdb.rdann(str(folder / "data" / str(number)), lead.lower())
        symbols, samples = [*marks.symbol, ""], [*marks.sample, -1]
        for k, symbol in enumerate(symbols[:-1]):
            if symbol in "pNt":
                onset = samples[k - 1] if k and symbols[k - 1] == "(" else np.nan
                offset = samples[k + 1] if symbols[k + 1] == ")" else np.nan
                rows.append((lead, symbol, onset, samples[k], offset))
    return pd.DataFrame(rows, columns=["lead", "wave", "onset", "peak", "offset"])


def reference(folder: Path, number: int) -> dict[str, float]:
    """HR (bpm) over the annotated beats, median-lead PR, QRS, QT (ms, NaN if absent), span."""
    table = annotations(folder, number).sort_values("peak")
    qrs = table[table.wave == "N"].copy()
    qrs["beat"] = (qrs.peak.diff() > 75).cumsum()
    rows = []
    for _, beat in qrs.groupby("beat"):
        if beat.lead.nunique() >= 6:
            rows.append({"r": beat.peak.median(), **_beat_intervals(table, beat)})
    beats = pd.DataFrame(rows)
    rr = np.diff(beats.r)
    return {
        "hr": 60 * FS / rr.mean() if rr.size else np.nan,
        **beats[["pr", "qrs", "qt"]].median().to_dict(),
        "first": beats.r.iloc[0] - 60,
        "last": beats.r.iloc[-1] + 60,
    }


def _beat_intervals(table: pd.DataFrame, beat: pd.DataFrame) -> dict[str, float]:
    pr, qt = [], []
    for lead, onset, offset in beat[["lead", "onset", "offset"]].itertuples(index=False):
        waves = table[table.lead == lead]
        p = waves[(waves.wave == "p") & waves.peak.between(onset - 250, onset)]
        t = waves[(waves.wave == "t") & waves.peak.between(offset, offset + 300)]
        pr += [(onset - p.onset.iloc[-1]) * MS] if len(p) else []
        qt += [(t.offset.iloc[0] - onset) * MS] if len(t) else []
    return {
        "pr": np.median(pr) if len(pr) >= 4 else np.nan,
        "qrs": ((beat.offset - beat.onset) * MS).median(),
        "qt": np.nanmedian(qt) if len(qt) >= 4 else np.nan,
    }


def rate_inside(rpeaks: np.ndarray, span: tuple[float, float]) -> float:
    """Heart rate over the beats inside a span of samples."""
    inside = rpeaks[(rpeaks > span[0]) & (rpeaks < span[1])]
    return 60 * FS / np.diff(inside).mean() if inside.size > 1 else np.nan


def ours(result: Measurements, span: tuple[float, float]) -> dict[str, float]:
    """Our values: per-lead medians and, under `global_`, the headline ones."""
    middle = result.leads[["pr_ms", "qrs_ms", "qt_ms"]].median()
    return {
        "hr": rate_inside(result.rpeaks, span),
        "pr": middle.pr_ms,
        "qrs": middle.qrs_ms,
        "qt": middle.qt_ms,
        "global_pr": np.nan if result.pr_ms is None else result.pr_ms,
        "global_qrs": np.nan if result.qrs_ms is None else result.qrs_ms,
        "global_qt": np.nan if result.qt_ms is None else result.qt_ms,
    }


def neurokit(ecg: ECG, span: tuple[float, float]) -> dict[str, float]:
    """neurokit2's `dwt` on every lead, median over beats, then over leads."""
    rows = []
    for x in ecg.signal.astype(float):
        try:
            clean = nk.ecg_clean(x, sampling_rate=FS)
            peaks = nk.ecg_peaks(clean, sampling_rate=FS)[1]["ECG_R_Peaks"]
            waves = nk.ecg_delineate(clean, peaks, sampling_rate=FS, method="dwt")[1]
        except (ValueError, IndexError, ZeroDivisionError):
            continue  # neurokit2 fails on a lead now and then: counted as no detection
        at = {k: np.asarray(v, float) for k, v in waves.items()}
        on, off = at["ECG_R_Onsets"], at["ECG_R_Offsets"]
        rows.append(
            {
                "hr": rate_inside(np.asarray(peaks), span),
                "pr": np.nanmedian(on - at["ECG_P_Onsets"]) * MS,
                "qrs": np.nanmedian(off - on) * MS,
                "qt": np.nanmedian(at["ECG_T_Offsets"] - on) * MS,
            }
        )
    return pd.DataFrame(rows).median().to_dict()


def error_table(found: pd.DataFrame, truth: pd.DataFrame, columns: dict[str, str]) -> str:
    """Bias, MAE, SD, 95th percentile and missing share of each column against its truth."""
    lines = [f"{'':12s}{'bias':>8s}{'MAE':>8s}{'SD':>8s}{'p95':>8s}{'missing':>9s}{'n':>6s}"]
    for name, true in columns.items():
        known = truth[true].notna()
        error = (found[name] - truth[true])[known]
        lines.append(
            f"{name:12s}{error.mean():8.1f}{error.abs().mean():8.1f}{error.std():8.1f}"
            f"{error.abs().quantile(0.95):8.1f}{error.isna().mean():9.1%}{known.sum():6d}"
        )
    return "\n".join(lines)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--records", default="1-100", help="first-last")
    parser.add_argument("--neurokit", type=int, default=5, help="records for neurokit2 (slow)")
    args = parser.parse_args()
    folder = args.data / "ludb"
    first, last = (int(part) for part in args.records.split("-"))
    truth, found, beside, spent, theirs = [], [], [], [], []
    for number in range(first, last + 1):
        ecg, true = load(folder, number), reference(folder, number)
        span = (true["first"], true["last"])
        start = time.process_time()
        result = measure(ecg)
        spent.append(time.process_time() - start)
        truth.append(true)
        found.append(ours(result, span))
        if len(beside) < args.neurokit:
            start = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                beside.append(neurokit(ecg, span))
            theirs.append(time.process_time() - start)
    truth, found = pd.DataFrame(truth), pd.DataFrame(found)
    names = {k: k.removeprefix("global_") for k in found}
    print(f"LUDB {args.records}, ms (hr: bpm), {np.median(spent) * 1000:.0f} ms per record")
    print(error_table(found, truth, names))
    none = truth.pr.isna()
    print(f"PR withheld without annotated P: {found.pr[none].isna().sum()} of {none.sum()}")
    if beside:
        few = len(beside)
        print(
            f"\nthe first {few} records: ours, then neurokit2 dwt "
            f"({np.median(theirs) * 1000:.0f} ms per record)"
        )
        columns = {k: k for k in ("hr", "pr", "qrs", "qt")}
        print(error_table(found[:few], truth[:few], columns))
        print(error_table(pd.DataFrame(beside), truth[:few], columns))


if __name__ == "__main__":
    main()
