"""Our measurements on LUDB against its cardiologists, beside neurokit2's `dwt` in one run.

Record level: the median over leads of `Measurements.leads` against the median over the
annotated leads of each beat, then over beats. Per beat and lead: `Measurements.fiducials`
against the annotation of the same lead, matched within 150 ms inside the annotated span. At the
marks: amplitudes of the same raw signal, taken by the same rule at our marks and at theirs.
"""

import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import neurokit2 as nk
import numpy as np
import pandas as pd
import wfdb
from tqdm.auto import tqdm

from benchmarks.tables import Share, Table
from ecg_r1.ecg import ECG, FS, LEADS
from ecg_r1.measurement import Measurements, frontal_axis, measure
from ecg_r1.measurement.marks import FOLDS

MS = 1000 / FS
TOLERANCE = 75  # samples: 150 ms
MARKS = {  # name in the tables: wave of ours, wave of LUDB's, column
    "P on": ("P", "p", "onset"),
    "P off": ("P", "p", "offset"),
    "QRS on": ("QRS", "N", "onset"),
    "QRS off": ("QRS", "N", "offset"),
    "T off": ("T", "t", "offset"),
}
LEVELS = ("P", "R", "S", "T", "ST")  # amplitudes taken at the marks
NAMES = {"hr": "HR (bpm)", "pr": "PR", "qrs": "QRS", "qt": "QT", "qtcf": "QTc (Fridericia)"}

# What issue 4 asks for. Upper limits, but for the counts and shares named "least".
GOAL_INTERVAL = {"pr": (7, 9), "qrs": (7, 10), "qt": (9, 12), "qtcf": (10, 14)}  # MAE, SD
GOAL_MARK_SD = {"P on": 14, "P off": 13, "QRS on": 10, "QRS off": 12, "T off": 25}
GOAL_LEVEL = {"P": 10, "R": 15, "S": 15, "T": 15, "ST": 10, "axis": 5}  # uV; degrees


# --- LUDB -------------------------------------------------------------------------------------


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


def reference(table: pd.DataFrame) -> dict[str, float]:
    """HR (bpm) over the annotated beats, median-lead PR, QRS, QT, QTcF (ms), first and last R.

    Args:
        table: What `annotations` gives. Intervals that are not annotated are NaN.
    """
    qrs = table[table.wave == "N"].sort_values("peak")
    qrs = qrs.assign(beat=(qrs.peak.diff() > 75).cumsum())
    rows = []
    for _, beat in qrs.groupby("beat"):
        if beat.lead.nunique() >= 6:
            rows.append({"r": beat.peak.median(), **_beat_intervals(table, beat)})
    beats = pd.DataFrame(rows)
    rr = np.diff(beats.r)
    hr = 60 * FS / rr.mean() if rr.size else np.nan
    middle = beats[["pr", "qrs", "qt"]].median().to_dict()
    span = {"first": beats.r.iloc[0] - 60, "last": beats.r.iloc[-1] + 60}
    return {"hr": hr, **middle, "qtcf": middle["qt"] * (hr / 60) ** (1 / 3), **span}


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


# --- one record, ours and neurokit2's ---------------------------------------------------------


@dataclass
class Case:
    """One record: the cardiologists' marks and what one tool made of it."""

    number: int
    signal: np.ndarray
    table: pd.DataFrame  # annotations
    true: dict[str, float]
    marks: pd.DataFrame  # columns lead, wave, onset, peak, offset of the tool
    values: dict[str, float]  # hr, pr, qrs, qt, qtcf and the headline's under global_
    seconds: float
    widths: dict[str, float] = field(default_factory=dict)  # `Measurements.uncertainty`


def rate_inside(rpeaks: np.ndarray, span: tuple[float, float]) -> float:
    """Heart rate over the beats inside a span of samples."""
    inside = rpeaks[(rpeaks > span[0]) & (rpeaks < span[1])]
    return 60 * FS / np.diff(inside).mean() if inside.size > 1 else np.nan


def ours(result: Measurements, span: tuple[float, float]) -> dict[str, float]:
    """Our values: per-lead medians and, under `global_`, the headline ones."""
    middle = result.leads[["pr_ms", "qrs_ms", "qt_ms"]].median()
    hr = rate_inside(result.rpeaks, span)
    headline = {
        "pr": result.pr_ms,
        "qrs": result.qrs_ms,
        "qt": result.qt_ms,
        "qtcf": result.qtc_ms,
        "axis": result.axis_deg,
    }
    return {
        "hr": hr,
        "pr": middle.pr_ms,
        "qrs": middle.qrs_ms,
        "qt": middle.qt_ms,
        "qtcf": middle.qt_ms * (hr / 60) ** (1 / 3),
        **{f"global_{k}": np.nan if v is None else v for k, v in headline.items()},
    }


def neurokit(ecg: ECG, span: tuple[float, float]) -> tuple[pd.DataFrame, dict[str, float]]:
    """Marks and intervals of neurokit2's `dwt`, lead by lead; intervals: median over leads."""
    rows, marks = [], []
    for lead, x in zip(LEADS, ecg.signal.astype(float), strict=True):
        try:
            clean = nk.ecg_clean(x, sampling_rate=FS)
            peaks = nk.ecg_peaks(clean, sampling_rate=FS)[1]["ECG_R_Peaks"]
            found = nk.ecg_delineate(clean, peaks, sampling_rate=FS, method="dwt")[1]
        except (ValueError, IndexError, ZeroDivisionError):
            continue  # neurokit2 fails on a lead now and then: counted as no detection
        at = {k: np.asarray(v, float) for k, v in found.items()}
        on, off = at["ECG_R_Onsets"], at["ECG_R_Offsets"]
        rate = rate_inside(np.asarray(peaks), span)
        pr, qt = on - at["ECG_P_Onsets"], at["ECG_T_Offsets"] - on
        row = {"hr": rate, "pr": pr, "qrs": off - on, "qt": qt}
        rows.append({k: np.nanmedian(v) * (1 if k == "hr" else MS) for k, v in row.items()})
        for wave, name in (("P", "P"), ("QRS", "R"), ("T", "T")):
            ends = [at[f"ECG_{name}_{end}s"] for end in ("Onset", "Offset")]
            peak = np.asarray(peaks, float) if wave == "QRS" else at[f"ECG_{name}_Peaks"]
            columns = {"onset": ends[0], "peak": peak, "offset": ends[1]}
            marks.append(pd.DataFrame({"lead": lead, "wave": wave, **columns}))
    middle = pd.DataFrame(rows).median().to_dict()
    middle["qtcf"] = middle["qt"] * (middle["hr"] / 60) ** (1 / 3)
    return pd.concat(marks), middle


def cases(folder: Path, numbers: range, few: int) -> tuple[list[Case], list[Case]]:
    """Every record measured by us, and the first `few` of them by neurokit2."""
    mine, theirs = [], []
    for number in tqdm(numbers, desc="LUDB", leave=False, mininterval=1):
        ecg, table = load(folder, number), annotations(folder, number)
        true = reference(table)
        span = (true["first"], true["last"])
        start = time.perf_counter()
        result = measure(ecg, fold=number % FOLDS)
        spent = time.perf_counter() - start
        signal = ecg.signal.astype(float)
        values = ours(result, span)
        marks, widths = result.fiducials, result.uncertainty
        mine.append(Case(number, signal, table, true, marks, values, spent, widths))
        if len(theirs) < few:
            start = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                marks, values = neurokit(ecg, span)
            spent = time.perf_counter() - start
            theirs.append(Case(number, signal, table, true, marks, values, spent))
    return mine, theirs


# --- metrics ----------------------------------------------------------------------------------


@dataclass
class Matches:
    """Marks of one kind, pooled over beats, leads and records."""

    errors: list[float] = field(default_factory=list)  # ms, ours minus theirs
    missed: int = 0
    extra: int = 0

    def add(self, found: np.ndarray, true: np.ndarray, span: tuple[float, float]) -> None:
        """Pairs every annotated mark with the nearest found one within `TOLERANCE`."""
        used = np.zeros(found.size, bool)
        for mark in true:
            distance = np.where(used, np.inf, np.abs(found - mark))
            if found.size and distance.min() <= TOLERANCE:
                nearest = int(np.argmin(distance))
                used[nearest] = True
                self.errors.append((found[nearest] - mark) * MS)
            else:
                self.missed += 1
        self.extra += int((~used & (found >= span[0]) & (found <= span[1])).sum())

    @property
    def sensitivity(self) -> float:
        """Share of the annotated marks that were found."""
        return len(self.errors) / max(1, len(self.errors) + self.missed)

    @property
    def ppv(self) -> float:
        """Share of the found marks that are annotated."""
        return len(self.errors) / max(1, len(self.errors) + self.extra)


def match_marks(records: list[Case], name: str) -> Matches:
    """All marks of one kind (key of `MARKS`) in every lead of the given records."""
    wave, symbol, column = MARKS[name]
    pool = Matches()
    for case in records:
        mine = case.marks[case.marks.wave == wave].groupby("lead")[column]
        found = {lead: marks.dropna().to_numpy(float) for lead, marks in mine}
        for lead, table in case.table.groupby("lead"):
            span = (table.onset.min(), table.offset.max())
            true = table[column][table.wave == symbol].dropna().to_numpy(float)
            pool.add(found.get(lead, np.zeros(0)), true, span)
    return pool


def levels(x: np.ndarray, marks: pd.DataFrame) -> dict[str, float]:
    """Amplitudes (uV) and net QRS of one lead: medians over its beats, at the given marks.

    Args:
        x: The raw lead in mV.
        marks: Columns wave (P, QRS, T), onset, offset in samples.

    The level is the mean of the 12 ms before the QRS onset (P: before the P onset); T is the
    largest deflection from 60 ms after the QRS to the T end; ST is 60 ms after the QRS.
    """
    rows = {name: [] for name in (*LEVELS, "net")}
    whole = marks.dropna(subset=["onset", "offset"])
    ends = whole.offset[whole.wave == "T"].to_numpy(int)
    for wave, onset, offset in whole[["wave", "onset", "offset"]].itertuples(index=False):
        on, off = int(onset), int(offset)
        if wave == "T" or on < 6 or off + 30 >= x.size or off <= on:
            continue
        part = x[on : off + 1] - x[on - 6 : on].mean()
        if wave == "P":
            rows["P"].append(part[np.argmax(np.abs(part))])
            continue
        rows["R"].append(part.max())
        rows["S"].append(part.min())
        rows["ST"].append(x[off + 30] - x[on - 6 : on].mean())
        rows["net"].append(part.sum())
        end = ends[(ends > off + 40) & (ends < off + 300)]
        if end.size:
            late = x[off + 30 : end[0] + 1] - x[on - 6 : on].mean()
            rows["T"].append(late[np.argmax(np.abs(late))])
    return {k: 1000 * np.median(v) if v else np.nan for k, v in rows.items()}


def level_errors(case: Case) -> dict[str, list[float]]:
    """Per amplitude the absolute difference between our marks and theirs, lead by lead."""
    names = {"p": "P", "N": "QRS", "t": "T"}
    table = case.table.assign(wave=case.table.wave.map(names))
    span = (case.true["first"] - 150, case.true["last"] + 250)
    near = case.marks[case.marks.peak.between(*span)]
    mine, true = {}, {}
    for lead, x in zip(LEADS, case.signal, strict=True):
        mine[lead] = levels(x, near[near.lead == lead])
        true[lead] = levels(x, table[table.lead == lead])
    errors = {k: [abs(mine[lead][k] - true[lead][k]) for lead in LEADS] for k in LEVELS}
    axes = [frontal_axis(side["I"]["net"], side["aVF"]["net"]) for side in (mine, true)]
    errors["axis"] = [abs((axes[0] - axes[1] + 180) % 360 - 180)]
    return errors


# --- tables -----------------------------------------------------------------------------------


def ludb_tables(folder: Path, numbers: range, few: int) -> list[Table]:
    """Everything measured on LUDB, ours above neurokit2's; always in one process, for speed."""
    mine, theirs = cases(folder, numbers, few)
    tools = {"ours": mine, "neurokit2 dwt": theirs} if theirs else {"ours": mine}
    title = f"LUDB, {len(mine)} records" + (f" (neurokit2: the first {few})" if theirs else "")
    return [
        Table(
            f"{title}: intervals against the cardiologists' (ms)",
            [row for tool, records in tools.items() for row in interval_rows(tool, records)],
            ["Median over leads; `global`: the headline value, over leads by our rule."],
            decimals=2,
        ),
        Table("LUDB: P waves", [withheld_row(tool, one) for tool, one in tools.items()]),
        Table(
            f"{title}: marks of each beat and lead (ms)",
            [row for tool, records in tools.items() for row in mark_rows(tool, records)],
            ["Mean and SD over records with P; the records without stand apart."],
        ),
        Table(
            f"{title}: amplitudes at the marks",
            [row for tool, records in tools.items() for row in level_rows(tool, records)],
        ),
        Table(
            "LUDB: headline values and speed",
            [*headline_rows(mine, folder), *uncertainty_rows(mine), *speed_rows(mine, theirs)],
        ),
    ]


def interval_rows(tool: str, records: list[Case]) -> list[dict[str, object]]:
    """Record level: bias, MAE, SD, 95th percentile and missing share of every interval."""
    truth = pd.DataFrame([case.true for case in records])
    found = pd.DataFrame([case.values for case in records])
    rows = []
    for name in found:
        key = name.removeprefix("global_")
        if key not in truth:  # the axis, which has rows of its own
            continue
        known = truth[key].notna()
        error = (found[name] - truth[key])[known]
        rows.append(
            {
                "tool": tool,
                "": NAMES[key] + (", global" if key != name else ""),
                "bias": float(error.mean()),
                "MAE": float(error.abs().mean()),
                "SD": float(error.std()),
                "95th percentile": float(error.abs().quantile(0.95)),
                "missing": f"{error.isna().sum()} of {known.sum()}",
                **_interval_goal(name, error),
            }
        )
    return rows


def _interval_goal(name: str, error: pd.Series) -> dict[str, object]:
    size, spread, lost = error.abs().mean(), error.std(), error.isna().mean()
    if name == "hr":
        off = int((error.abs() > 2).sum())
        return {
            "goal": "MAE 0.2, 1 % off by more than 2",
            "reached": bool(size <= 0.2 and off <= 0.01 * len(error)),
        }
    if name not in GOAL_INTERVAL:
        return {"goal": "", "reached": None}
    most, sd = GOAL_INTERVAL[name]
    return {
        "goal": f"MAE {most}, SD {sd}, 2 % missing",
        "reached": bool(size <= most and spread <= sd and lost <= 0.02),
    }


def withheld_row(tool: str, records: list[Case]) -> dict[str, object]:
    """PR where no P is annotated, and real PRs lost."""
    none = np.array([np.isnan(case.true["pr"]) for case in records])
    kept = np.array([np.isnan(case.values["pr"]) for case in records])
    withheld = Share(int((none & kept).sum()), int(none.sum()))
    lost = Share(int((kept & ~none).sum()), int((~none).sum()))
    return {
        "tool": tool,
        "PR withheld where no P is annotated": withheld,
        "real PR lost": lost,
        "goal": "80 % and 2 %",
        "reached": bool(withheld.found >= 0.8 * withheld.of and lost.found <= 0.02 * lost.of),
    }


def mark_rows(tool: str, records: list[Case]) -> list[dict[str, object]]:
    """Per beat and lead: sensitivity, PPV over all records, mean and SD where P is present."""
    with_p = [case for case in records if not np.isnan(case.true["pr"])]
    without = [case for case in records if np.isnan(case.true["pr"])]
    rows = []
    for name in MARKS:
        pool, sinus, other = (match_marks(r, name) for r in (records, with_p, without))
        spread = float(np.std(sinus.errors)) if sinus.errors else np.nan
        least = 0.95 if name.startswith("P") else 0.98
        apart = "" if not other.errors else f"{np.mean(other.errors):+.1f} ± "
        apart += "" if not other.errors else f"{np.std(other.errors):.1f} "
        rows.append(
            {
                "tool": tool,
                "": name,
                "sensitivity": f"{pool.sensitivity:.1%}",
                "PPV": f"{pool.ppv:.1%}",
                "mean": float(np.mean(sinus.errors)) if sinus.errors else np.nan,
                "SD": spread,
                "marks": len(sinus.errors),
                "records without P": f"{apart}({len(other.errors)})",
                "goal": f"99 %, {least:.0%}, SD {GOAL_MARK_SD[name]}",
                "reached": bool(
                    pool.sensitivity >= 0.99
                    and pool.ppv >= least
                    and spread <= GOAL_MARK_SD[name]
                ),
            }
        )
    return rows


def level_rows(tool: str, records: list[Case]) -> list[dict[str, object]]:
    """MAE of the amplitudes taken at the marks (uV) and of the axis (degrees)."""
    pools = [level_errors(case) for case in records]
    rows = []
    for name, most in GOAL_LEVEL.items():
        errors = np.concatenate([pool[name] for pool in pools])
        size = float(np.nanmean(errors))
        rows.append(
            {
                "tool": tool,
                "": "axis (°)" if name == "axis" else f"{name} (uV)",
                "MAE": size,
                "95th percentile": float(np.nanquantile(errors, 0.95)),
                "goal": f"{most}",
                "reached": size <= most,
            }
        )
    return rows


def _said(what: str, value: str, goal: str = "", reached: object = None) -> dict[str, object]:
    return {"": what, "value": value, "goal": goal, "reached": reached}


def headline_rows(records: list[Case], folder: Path) -> list[dict[str, object]]:
    """The global QRS where nothing widens it, and its offset from the median lead's."""
    told = pd.read_csv(folder / "ludb.csv").set_index("ID")
    plain = told["Conduction abnormalities"].isna() & told["Cardiac pacing"].isna()
    few = pd.DataFrame([case.values for case in records if plain[case.number]])
    top = float(few.global_qrs.quantile(0.975))
    what = f"global QRS, 97.5th percentile of {len(few)} records without block or pacing"
    rows = [_said(what, f"{top:.1f} ms", "110 ms", top <= 110)]
    for name in ("pr", "qrs", "qt"):
        shift = (few[f"global_{name}"] - few[name]).mean()
        rows.append(_said(f"global {name.upper()} less median-lead", f"{shift:+.1f} ms"))
    return rows


def uncertainty_rows(records: list[Case]) -> list[dict[str, object]]:
    """How many records have the cardiologists' value within the stated uncertainty."""
    rows = []
    units = {
        "pr": "pr_ms",
        "qrs": "qrs_ms",
        "qt": "qt_ms",
        "qtcf": "qtc_ms",
        "axis": "axis_deg",
    }
    for name, key in units.items():
        wide = np.array([case.widths.get(key, np.nan) for case in records])
        true = np.array(
            [marked_axis(case) if name == "axis" else case.true[name] for case in records]
        )
        error = np.array([case.values[f"global_{name}"] for case in records]) - true
        if name == "axis":
            error = (error + 180) % 360 - 180
        known = ~np.isnan(wide + error)
        inside = Share(int((np.abs(error[known]) <= wide[known]).sum()), int(known.sum()))
        half = f"{np.median(wide[known]):.0f} {'°' if name == 'axis' else 'ms'}"
        what = f"{name.upper()} within its uncertainty (median {half})"
        rows.append(_said(what, str(inside)))
    return rows


def marked_axis(case: Case) -> float:
    """The QRS axis in degrees between the cardiologists' marks."""
    table = case.table.assign(wave=case.table.wave.map({"p": "P", "N": "QRS", "t": "T"}))
    net = [
        levels(case.signal[LEADS.index(lead)], table[table.lead == lead])["net"]
        for lead in ("I", "aVF")
    ]
    return frontal_axis(*net)


def speed_rows(mine: list[Case], theirs: list[Case]) -> list[dict[str, object]]:
    """Median time per record; the whole of `measure` against neurokit2's twelve leads."""
    spent = float(np.median([case.seconds for case in mine])) * 1000
    rows = [_said("`measure`, a record", f"{spent:.0f} ms", "50 ms", spent <= 50)]
    if theirs:
        other = float(np.median([case.seconds for case in theirs])) * 1000
        times = f"{other / spent:.1f} times slower"
        said = f"{other:.0f} ms, {times}"
        rows.append(_said("neurokit2 dwt, a record", said, "8 times", other >= 8 * spent))
    return rows


def cinc_tables(folder: Path) -> list[Table]:
    """Every CinC record gives a heart rate or a reason."""
    files = sorted(folder.rglob("*.hea"))
    rates = 0
    for file in tqdm(files, desc="CinC 2021", leave=False):
        signal, fields = wfdb.rdsamp(str(file.with_suffix("")))
        names = [name.lower() for name in fields["sig_name"]]
        rows = [signal[:, names.index(lead.lower())] for lead in LEADS]
        rates += measure(ECG(signal=np.stack(rows), source=file.stem)).hr_bpm is not None
    row = {"records": len(files), "without a crash": len(files), "with a heart rate": rates}
    return [Table("CinC 2021", [row])]
