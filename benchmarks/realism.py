"""What one record looks like in numbers: the features by which real and simulated may differ.

Every number comes from the signal and from `measure`, never from the simulator's truth, and
is made the same way for both sides; `populations`, `giveaways` and `figures` compare them.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.signal import butter, find_peaks, sosfiltfilt, welch

from ecg_r1.ecg import ECG, FROM_I_AND_II, FS, LEADS, read_ecg
from ecg_r1.labels import labels_from_scp
from ecg_r1.measurement import Measurements, frontal_axis, measure
from ecg_r1.simulate import sample_spec, simulate

PRE, POST = 170, 260  # samples of a beat's window before and after R
EIGHT = [LEADS.index(lead) for lead in ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")]
NOISE_BANDS = ((4, 12), (12, 28), (28, 44), (44, 66), (66, 95), (95, 140), (140, 250))  # Hz
SLOW_BANDS = ((50, 150), (150, 400), (400, 750))  # mHz; below the heart's own rate
SEGMENT = 64  # samples of one noise spectrum
AMPLITUDES = ("p_mv", "q_mv", "r_mv", "s_mv", "j_mv", "st_mv", "t_mv")
MS = 1000 / FS
BELOW_35 = butter(4, 35, fs=FS, output="sos")


@dataclass(frozen=True, eq=False)
class Look:
    """One record as the comparison sees it.

    Attributes:
        values: Feature, as "group.name" or "group.name.lead", to number; NaN unmeasurable.
        beat: Median dominant beat, `(12, PRE + POST)` mV against the level before the QRS;
            None without beats.
        spectrum: Noise between T and P, mean over leads of log10 mV^2/Hz; None without room.
    """

    values: dict[str, float]
    beat: np.ndarray | None = field(default=None, repr=False)
    spectrum: np.ndarray | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class Case:
    """One real or simulated record, ready to be compared.

    Attributes:
        look: Its numbers.
        eight: Leads I, II, V1-V6, float32 `(8, samples)` mV.
        labels: Its diagnoses.
        patient: Records of one patient never stand on both sides of a split.
        fold: PTB-XL's strat_fold; 0 for simulated records.
        age_years: Age, NaN if unknown.
        sex: "female", "male" or "".
    """

    look: Look
    eight: np.ndarray = field(repr=False)
    labels: tuple[str, ...]
    patient: str
    fold: int = 0
    age_years: float = np.nan
    sex: str = ""


def real_cases(folder: Path, most: int) -> list[Case]:
    """Records of a PTB-XL folder, calibrated, 500 Hz; drawn by chance if there are more."""
    table = pd.read_csv(folder / "ptbxl_database.csv")
    table = table.sample(min(most, len(table)), random_state=0).sort_values("ecg_id")
    return [_real_case(folder, row) for _, row in table.iterrows()]


def _real_case(folder: Path, row: pd.Series) -> Case:
    ecg = read_ecg(folder / f"{row.filename_hr}.hea")
    return Case(
        look=look_at(ecg),
        eight=ecg.signal[EIGHT],
        labels=labels_from_scp(ast.literal_eval(row.scp_codes)),
        patient=f"real {row.patient_id:.0f}",
        fold=int(row.strat_fold),
        age_years=min(row.age, 90.0),  # PTB-XL writes 300 for "older than 89"
        sex="female" if row.sex == 1 else "male",
    )


def simulated_ecgs(count: int, balance: str, seed: int) -> Iterator[ECG]:
    """Records drawn by `sample_spec`; the same seed gives the same records."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        yield simulate(sample_spec(rng, balance), seed=seed + number)


def as_ptbxl(count: int, seed: int) -> Iterator[ECG]:
    """What a hospital would send ("prevalent"), from the recorder that PTB-XL was made with.

    It stores 400 Hz in steps of 5 uV as straight lines, holds its last samples, and its files
    round every lead to 1 uV: without that, the file's format alone tells simulated from real.
    """
    rng = np.random.default_rng(seed)
    for number in range(count):
        spec = sample_spec(rng, "prevalent")
        recorder = replace(
            spec.recording,
            fs=400,
            adc_uv=5.0,
            compression_uv=15.0,
            high_pass_hz=0.05,
            low_pass_hz=150.0,
        )
        ecg = simulate(replace(spec, recording=recorder), seed=seed + number)
        yield replace(ecg, signal=np.round(ecg.signal * 1000) / 1000)  # every lead by itself


def simulated_cases(count: int, seed: int = 0) -> list[Case]:
    """As many simulated records, as PTB-XL would hold them."""
    return [
        Case(
            look=look_at(ecg),
            eight=ecg.signal[EIGHT],
            labels=ecg.truth.diagnoses,
            patient=f"simulated {number}",
            age_years=np.nan if ecg.age_years is None else ecg.age_years,
            sex=ecg.sex or "",
        )
        for number, ecg in enumerate(as_ptbxl(count, seed))
    ]


def neutral(case: Case) -> Case:
    """The case below 35 Hz, its first and last 0.3 s cut off: no trace of the file's format."""
    eight = sosfiltfilt(BELOW_35, case.eight.astype(float), axis=1)[:, 150:-150]
    of_two = np.array([[1, 0], [0, 1], *FROM_I_AND_II.values()])
    ecg = ECG(np.concatenate([of_two @ eight[:2], eight[2:]]), "neutral")
    return replace(case, look=look_at(ecg), eight=ecg.signal[EIGHT])


def values_table(cases: list[Case]) -> pd.DataFrame:
    """One row per case, one column per feature."""
    return pd.DataFrame([case.look.values for case in cases])


@dataclass
class _Beats:
    """Dominant beats of one record, levelled before each QRS, and marks on their mean."""

    stack: np.ndarray  # (beats, 12, PRE + POST) mV
    knots: np.ndarray  # (beats, 12) mV: levels before the QRS
    median: np.ndarray  # (12, PRE + POST)
    qrs: slice
    p: slice | None
    t: slice | None
    quiet: list[slice]  # parts of the record between T and the next P


def look_at(ecg: ECG) -> Look:
    """Everything the comparison needs to know of one record."""
    m = measure(ecg)
    x = ecg.signal.astype(float)
    values = _intervals(m) | _amplitudes(m) | _edges(x) | _digits(x) | _slow(x)
    beats = _find_beats(x, m)
    if beats is None:
        return Look(values)
    values |= _regularity(beats, m) | _rank(beats) | _shape(beats)
    noise, spectrum = _noise(x, beats)
    return Look(values | noise, beats.median, spectrum)


def _per_lead(name: str, numbers: np.ndarray) -> dict[str, float]:
    names = LEADS if len(numbers) == 12 else [LEADS[i] for i in EIGHT]
    return {f"{name}.{lead}": float(v) for lead, v in zip(names, numbers, strict=True)}


# ---------------------------------------------------------------- measured


def _intervals(m: Measurements) -> dict[str, float]:
    names = ("hr_bpm", "pr_ms", "qrs_ms", "qt_ms", "qtc_ms", "axis_deg")
    out = {f"intervals.{n}": getattr(m, n) for n in names}
    for wave in ("p", "t"):
        values = m.leads[f"{wave}_mv"]
        out[f"intervals.{wave}_axis_deg"] = frontal_axis(values["I"], values["aVF"])
    lengths = m.leads["p_ms"].dropna()
    out["intervals.p_ms"] = np.median(lengths) if lengths.size else None
    return {k: np.nan if v is None else float(v) for k, v in out.items()}


def _amplitudes(m: Measurements) -> dict[str, float]:
    """P, Q, R, S, J, ST + 60 ms and T by lead; a wave that is not there is 0 mV."""
    table, out = m.leads, {}
    seen = table.qrs_ms.notna().to_numpy()
    for name in AMPLITUDES:
        numbers = table[name].to_numpy(float)
        if name in ("q_mv", "r_mv", "s_mv"):
            numbers = np.where(seen & np.isnan(numbers), 0.0, numbers)
        out |= _per_lead(f"amplitudes.{name}", numbers)
    return out


# ---------------------------------------------------------------- beats


def _part(marks: np.ndarray, least: int) -> slice | None:
    """A wave's place in the window, when both marks are inside and it is long enough."""
    if np.isnan(marks).any():
        return None
    a, b = int(marks[0]) + PRE, int(marks[1]) + PRE
    return slice(a, b + 1) if a >= 0 and b < PRE + POST and b - a >= least else None


def _find_beats(x: np.ndarray, m: Measurements) -> _Beats | None:
    if m.rpeaks.size < 3:
        return None
    table = m.fiducials
    one = table[table.lead != "global"].pivot_table(
        index="beat", columns="wave", values="onset", aggfunc="count"
    )
    dominant = one.index[one.get("QRS", 0) > 0].to_numpy()
    marks = table[table.lead == "global"].set_index(["wave", "beat"])[["onset", "offset"]]
    middle = {}
    for wave in ("P", "QRS", "T"):
        late = marks.loc[wave].reindex(dominant).to_numpy(float) - m.rpeaks[dominant, None]
        known = late[~np.isnan(late).any(axis=1)]
        middle[wave] = np.median(known, axis=0) if known.size else np.full(2, np.nan)
    qrs = _part(middle["QRS"], 10)
    if qrs is None or dominant.size < 3:
        return None
    return _cut_beats(np.nan_to_num(x), m.rpeaks, m.rpeaks[dominant], middle, qrs)


def _cut_beats(
    x: np.ndarray, every: np.ndarray, r: np.ndarray, middle: dict[str, np.ndarray], qrs: slice
) -> _Beats | None:
    """Windows around the dominant beats, straightened between the levels before the QRS."""
    samples = x.shape[1]
    on = r + qrs.start - PRE
    r, on = r[(on > 12) & (on < samples)], on[(on > 12) & (on < samples)]
    knots = np.stack([x[:, a - 9 : a - 2].mean(axis=1) for a in on])
    time = np.arange(samples)
    level = x - np.stack([np.interp(time, on - 6, knots[:, i]) for i in range(12)])
    whole = (r >= PRE) & (r + POST <= samples)
    if whole.sum() < 3:
        return None
    stack = np.stack([level[:, a - PRE : a + POST] for a in r[whole]])
    p, t = _part(middle["P"], 15), _part(middle["T"], 30)
    first = POST - 60 if t is None else t.stop + 8 - PRE
    last = qrs.start - PRE - 25 if p is None else p.start - PRE - 5
    quiet = [slice(a + first, b + last) for a, b in pairwise(every)]
    quiet = [s for s in quiet if s.stop - s.start >= SEGMENT and s.stop < samples]
    return _Beats(stack, knots, np.median(stack, axis=0), qrs, p, t, quiet)


def _lag(stack: np.ndarray, shape: np.ndarray, part: slice) -> np.ndarray:
    """How much later each beat's wave comes than the median beat's, in ms."""
    slope = np.gradient(shape, axis=1)[:, part]
    own = stack[:, :, part] - stack[:, :, part].mean(axis=2, keepdims=True)
    want = shape[:, part] - shape[:, part].mean(axis=1, keepdims=True)
    scale = (own * want).sum(axis=(1, 2)) / (want**2).sum()
    late = -((own - scale[:, None, None] * want) * slope).sum(axis=(1, 2))
    return late / np.maximum(scale, 0.3) / (slope**2).sum() * MS


def _regularity(beats: _Beats, m: Measurements) -> dict[str, float]:
    """How beats follow and resemble each other."""
    rr = np.array(m.rr_ms)
    eight, shape = beats.stack[:, EIGHT], beats.median[EIGHT]
    own = eight[:, :, beats.qrs]
    want = shape[:, beats.qrs]
    gain = (own * want).sum(axis=2) / np.maximum((want**2).sum(axis=1), 1e-9)
    rest = own - gain[:, :, None] * want
    before = eight[:, :, beats.qrs.start - 12 : beats.qrs.start - 2]
    out = {
        "regularity.rr_cv": rr.std() / rr.mean(),
        "regularity.rr_step": np.abs(np.diff(rr)).mean() / rr.mean() if rr.size > 2 else np.nan,
        "regularity.gain_common": gain.mean(axis=1).std(),
        "regularity.shape_rest": np.sqrt((rest**2).mean() / (want**2).mean()),
        "regularity.shape_over_noise": np.sqrt((rest**2).mean() / max(before.var(), 1e-8)),
        "regularity.pr_jitter_ms": np.nan,
        "regularity.qt_jitter_ms": np.nan,
    }
    out |= _per_lead("regularity.qrs_cv", gain.std(axis=0))
    turn = gain[:, 1:] - gain[:, :1]
    out["regularity.gain_between_leads"] = turn.std(axis=0).mean()
    if beats.p is not None:
        out["regularity.pr_jitter_ms"] = _lag(eight, shape, beats.p).std()
    if beats.t is not None:
        out["regularity.qt_jitter_ms"] = _lag(eight, shape, beats.t).std()
        t_own, t_want = eight[:, :, beats.t], shape[:, beats.t]
        t_gain = (t_own * t_want).sum(axis=(1, 2)) / max((t_want**2).sum(), 1e-9)
        out["regularity.t_cv"] = t_gain.std()
    return {k: float(v) for k, v in out.items()}


def _beyond(x: np.ndarray, rank: int) -> float:
    """Share of the power of `(8, samples)` beyond the first `rank` principal components."""
    power = np.linalg.svd(x - x.mean(axis=1, keepdims=True), compute_uv=False) ** 2
    return float(power[rank:].sum() / max(power.sum(), 1e-12))


def _rank(beats: _Beats) -> dict[str, float]:
    """How far the median beat is from a single fixed dipole."""
    x = beats.median[EIGHT]
    out = {f"rank.qrs_beyond_{k}": _beyond(x[:, beats.qrs], k) for k in (1, 2, 3, 4)}
    for name, part in (("p", beats.p), ("t", beats.t)):
        for k in (1, 3):
            out[f"rank.{name}_beyond_{k}"] = np.nan if part is None else _beyond(x[:, part], k)
    out["rank.all_beyond_3"] = _beyond(x[:, beats.qrs.start :], 3)
    return out


def _turns(x: np.ndarray) -> int:
    """Peaks and notches that stand out by 4 % of the range."""
    least = max(0.04 * np.ptp(x), 0.02)
    return sum(find_peaks(s * x, prominence=least)[0].size for s in (1, -1))


def _shape(beats: _Beats) -> dict[str, float]:
    """Course of the median beat: samples over its size, slopes, notches, spectrum."""
    x = beats.median
    qrs = x[:, beats.qrs]
    slope = np.abs(np.diff(qrs, axis=1)).max(axis=1) / MS
    size = np.maximum(np.ptp(qrs, axis=1), 0.05)
    out = _per_lead("slope.mv_per_ms", slope) | _per_lead("slope.over_size", slope / size)
    bend = np.abs(np.diff(qrs, 2, axis=1)).max(axis=1)
    out |= _per_lead("slope.bend_over_size", bend / size)
    out |= _per_lead("slope.turns", np.array([_turns(row) for row in qrs]))
    near = x[:, beats.qrs.start - 10 : beats.qrs.stop + 10]
    power = np.abs(np.fft.rfft(near - near.mean(axis=1, keepdims=True), 256, axis=1)) ** 2
    hz = np.fft.rfftfreq(256, 1 / FS)
    for low, high in ((20, 40), (40, 80), (80, 150)):
        band = power[:, (hz >= low) & (hz < high)].sum(axis=1)
        share = band / np.maximum(power.sum(axis=1), 1e-12)
        out |= _per_lead(f"slope.log_power_{low}_{high}", np.log10(share + 1e-9))
    scale = np.sqrt((qrs**2).mean())
    for at in (*range(-50, 51, 10), *range(70, 240, 24)):  # samples from R
        out |= _per_lead(f"morphology.at_{at * 2}_ms", x[EIGHT, PRE + at] / scale)
    return out


# ---------------------------------------------------------------- noise


def _noise(x: np.ndarray, beats: _Beats) -> tuple[dict[str, float], np.ndarray | None]:
    """Power by band and lead, tails, steadiness and kinship of leads between T and P."""
    out = _per_lead("noise.level_sd", beats.knots.std(axis=0))
    out |= _per_lead("noise.level_step", np.abs(np.diff(beats.knots, axis=0)).mean(axis=0))
    if not beats.quiet:
        return out, None
    parts = [_straight(x[:, s]) for s in beats.quiet]
    spectra = np.stack(
        [welch(part, FS, nperseg=SEGMENT, detrend="linear")[1] for part in parts]
    )
    hz, mean = np.fft.rfftfreq(SEGMENT, 1 / FS), spectra.mean(axis=0)
    for low, high in NOISE_BANDS:
        band = mean[:, (hz >= low) & (hz < high)].mean(axis=1)
        out |= _per_lead(f"noise.log_psd_{low}_{high}", np.log10(band[EIGHT] + 1e-12))
    fast = [np.diff(part, axis=1) for part in parts]
    whole = np.concatenate(fast, axis=1)
    kurt = (whole**4).mean(axis=1) / np.maximum((whole**2).mean(axis=1), 1e-12) ** 2
    out |= _per_lead("noise.kurtosis", kurt[EIGHT])
    sd = np.stack([part.std(axis=1) for part in fast])[:, EIGHT]
    out["noise.unsteady"] = float((sd.std(axis=0) / np.maximum(sd.mean(axis=0), 1e-9)).mean())
    with np.errstate(invalid="ignore", divide="ignore"):
        alike = np.corrcoef(whole[EIGHT])
    pairs = {"I_II": (0, 1), "II_V1": (1, 2), "V1_V2": (2, 3), "V3_V4": (4, 5), "V5_V6": (6, 7)}
    out |= {f"noise.corr_{name}": float(alike[pair]) for name, pair in pairs.items()}
    return out | _mains(x), np.log10(mean + 1e-12).mean(axis=0)


def _straight(part: np.ndarray) -> np.ndarray:
    ramp = np.linspace(-1, 1, part.shape[1])
    part = part - part.mean(axis=1, keepdims=True)
    return part - (part @ ramp / (ramp @ ramp))[:, None] * ramp


def _mains(x: np.ndarray) -> dict[str, float]:
    """Power of 50 and 60 Hz against its surroundings, log10."""
    power = np.abs(np.fft.rfft(np.nan_to_num(x)[EIGHT] * np.hanning(x.shape[1]), axis=1)) ** 2
    hz = np.fft.rfftfreq(x.shape[1], 1 / FS)
    out = {}
    for line in (50, 60):
        near = np.abs(hz - line)
        ratio = power[:, near < 0.25].mean(axis=1) / power[:, (near > 1) & (near < 4)].mean(1)
        out[f"noise.mains_{line}"] = float(np.log10(ratio.mean() + 1e-9))
    return out


def _slow(x: np.ndarray) -> dict[str, float]:
    """Baseline wander below the heart rate, log10 mV^2 by band, mean over leads."""
    x = np.nan_to_num(x)[EIGHT]
    power = np.abs(np.fft.rfft(x - x.mean(axis=1, keepdims=True), axis=1)) ** 2
    mhz = 1000 * np.fft.rfftfreq(x.shape[1], 1 / FS)
    power *= 2 / x.shape[1] ** 2
    return {
        f"wander.log_power_{low}_{high}_mhz": float(
            np.log10(power[:, (mhz >= low) & (mhz < high)].sum(axis=1) + 1e-9).mean()
        )
        for low, high in SLOW_BANDS
    } | {"wander.mean_mv": float(np.abs(x.mean(axis=1)).mean())}


# ---------------------------------------------------------------- edges and digits


def _edges(x: np.ndarray) -> dict[str, float]:
    """First and last 50 ms against their neighbourhood, over leads."""
    out, rest = {}, np.abs(np.diff(x, axis=1)).mean(axis=1) + 1e-6
    for name, y in (("first", x), ("last", x[:, ::-1])):
        edge, beside = y[:, :25], y[:, 25:125]
        ramp = np.linspace(-1, 1, 25)
        out[f"edges.{name}_jump"] = np.abs(edge.mean(1) - np.median(beside, 1)).mean()
        out[f"edges.{name}_slope"] = np.abs(edge @ ramp).mean() / (ramp @ ramp)
        out[f"edges.{name}_rough"] = np.log10(
            (np.abs(np.diff(edge, axis=1)).mean(axis=1) / rest).mean() + 1e-6
        )
        out[f"edges.{name}_sample_mv"] = np.abs(y[:, 0]).mean()
        out[f"edges.{name}_repeats"] = (np.diff(edge, axis=1) == 0).mean()
    return {k: float(v) for k, v in out.items()}


def _digits(x: np.ndarray) -> dict[str, float]:
    """Steps of the converter and the rounding left in Einthoven's and Goldberger's laws."""
    steps = np.diff(np.unique(np.round(x[EIGHT] * 1e6)))  # nV
    i, ii, iii, avr, avl, avf = x[:6] * 1000
    residuals = (i + iii - ii, avr + (i + ii) / 2, avl - (i - iii) / 2, avf - (ii + iii) / 2)
    return {
        "digits.step_uv": float(np.median(steps) / 1000) if steps.size else np.nan,
        "digits.off_grid": float(np.abs(x * 1000 - np.round(x * 1000)).mean()),
        "digits.off_5_uv": float((np.abs(np.round(x * 1000) % 5) > 0.5).mean()),
        "digits.distinct": float(np.mean([np.unique(row).size for row in x]) / x.shape[1]),
        "digits.einthoven_uv": float(np.abs(residuals[0]).mean()),
        "digits.goldberger_uv": float(np.abs(residuals[1:]).mean()),
    }
