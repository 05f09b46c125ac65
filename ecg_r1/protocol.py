"""The five-phase protocol: thresholds as data, findings with numbers, diagnoses by rule.

A `Criterion` compares one measured quantity with a sourced threshold and gives a `Finding`; a
`Rule` combines findings into a label. Both are three-valued: what was not measured is neither
met nor excluded but unjudged, with the reason.

Every diagnosis names the findings that made it true (`Findings.support`) and those whose
absence was needed (`Findings.excluded`, the paper's differential exclusion). Leads whose
electrodes seem exchanged are not judged at all.

What this leaves out: hyperacute T waves alone, flutter with a fixed 2:1 or 3:1 block, whose
waves look like P, and old infarction beside left bundle branch block. For education and
research only, never a diagnosis.
"""

import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ecg_r1.ecg import FS, LEADS
from ecg_r1.labels import (
    LABELS,
    SINUS_RHYTHMS,
    Label,
    canonical,
    in_order,
    labels_from_scp,
    labels_from_snomed,
)

if TYPE_CHECKING:
    from ecg_r1.measurement import Measurements

__all__ = [
    "CRITERIA",
    "LABELS",
    "RULES",
    "Criterion",
    "Finding",
    "Findings",
    "Label",
    "Limit",
    "Rule",
    "Urgency",
    "apply_protocol",
    "canonical",
    "labels_from_scp",
    "labels_from_snomed",
]

CHOU = "Surawicz & Knilans, Chou's Electrocardiography, 6th ed. 2008"
PART3 = "AHA/ACCF/HRS 2009 part III (Surawicz)"
PART4 = "AHA/ACCF/HRS 2009 part IV (Rautaharju)"
PART5 = "AHA/ACCF/HRS 2009 part V (Hancock)"
UDMI = "Fourth Universal Definition of Myocardial Infarction 2018 (Thygesen)"
ESC_PERI = "ESC 2015 pericardial diseases (Adler)"
SGARBOSSA = "Sgarbossa 1996"
BRADY = "ACC/AHA/HRS 2018 bradycardia (Kusumoto)"
SVT = "ACC/AHA/HRS 2015 supraventricular tachycardia (Page)"
REVERSAL = "Batchvarov 2007"
UNCALIBRATED = "the record is not calibrated, so voltages and ST levels mean nothing"

LIMB = ("I", "II", "III", "aVR", "aVL", "aVF")
CHEST = ("V1", "V2", "V3", "V4", "V5", "V6")
INFERIOR = ("II", "III", "aVF")
LATERAL = ("I", "aVL", "V5", "V6")
AWAY_FROM_V1 = (*INFERIOR, "I", "aVL", "V4", "V5", "V6")
ANTERIOR = ("V1", "V2", "V3", "V4")
# Neighbours in which two leads confirm each other: the groups of the Universal Definition
# (I, aVL; V1-V6; II, III, aVF), with I and V6 as the two that look from the left.
CONTIGUOUS = (
    *(("I", "aVL"), ("I", "V6"), ("II", "aVF"), ("III", "aVF"), ("II", "III")),
    *pairwise(CHEST),
)
COUNTS = {"three": 3, "five": 5}  # how many leads, whichever they are
COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "is": operator.eq,
}


@dataclass(frozen=True)
class Limit:
    """A threshold for some leads or persons, in place of the criterion's own."""

    threshold: float
    leads: tuple[str, ...] = ()  # empty: every lead
    sex: str | None = None
    min_age_years: float = 0
    max_age_years: float = float("inf")  # exclusive


@dataclass(frozen=True)
class Criterion:
    """One comparison of the protocol.

    Attributes:
        name: Unique key, also the finding's name.
        phase: 1 rhythm, 2 conduction, 3 chambers, 4 ischaemia, 5 electrolytes and QT.
        subject: What is measured, in words.
        meaning: What it means when met, in words.
        quantity: Key of `QUANTITIES`.
        comparator: Key of `COMPARE`.
        threshold: In `unit`; 1 for yes-or-no quantities.
        source: Guideline or monograph with its year.
        leads: Leads looked at; empty for quantities of the whole record.
        needs: "any" lead, "two" contiguous leads, any "three" or "five", or "all" leads must
            meet it.
        voltage: Whether it needs a calibrated record.
        paper_threshold: What the ECG-R1 paper's protocol says, where that differs.
        limits: Thresholds for certain leads, sexes or ages, which replace `threshold`.
    """

    name: str
    phase: int
    subject: str
    meaning: str
    quantity: str
    comparator: str
    threshold: float
    unit: str
    source: str
    leads: tuple[str, ...] = ()
    needs: str = "any"
    voltage: bool = False
    paper_threshold: str | None = None
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True)
class Rule:
    """A label that follows when all of `needs` and one of `one_of` are met, none of `without`.

    Names are those of criteria or of labels decided by earlier rules.
    """

    label: str
    needs: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One criterion applied to one record.

    Attributes:
        name: The criterion's name.
        phase: 1 to 5.
        statement: The same in plain English, with number and unit.
        leads: The leads that meet it, or those looked at when it is not met.
        value: The measured number that decides: of the leads that meet it the clearest.
        threshold: The limit that applied to this person and lead.
        unit: Unit of both; "" for yes-or-no quantities, where 1 is yes.
        met: None when it could not be judged.
        source: Where the threshold comes from.
    """

    name: str
    phase: int
    statement: str
    leads: tuple[str, ...]
    value: float | None
    threshold: float
    unit: str
    met: bool | None
    source: str


@dataclass(frozen=True)
class Urgency:
    """How soon a record like this one must be acted on.

    Attributes:
        level: "immediate" (minutes), "prompt" (hours) or "routine".
        reasons: What makes it so; those of the highest level only.
    """

    level: Literal["immediate", "prompt", "routine"] = "routine"
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Alarm:
    """All of `needs` (criteria or labels) met ask for this level of urgency."""

    level: Literal["immediate", "prompt"]
    reason: str
    needs: tuple[str, ...]


@dataclass(frozen=True)
class Findings:
    """Everything the protocol says about a record.

    Attributes:
        findings: One per criterion, in the order of `CRITERIA`.
        diagnoses: Canonical labels in canonical order.
        unjudged: Criterion or label to the reason why it was not judged.
        support: Diagnosis to the names of the findings that make it true.
        excluded: Diagnosis to the findings and labels that were looked for and not met, as
            the diagnosis demands.
        urgency: How soon someone must act, and why.
    """

    findings: tuple[Finding, ...]
    diagnoses: list[str]
    unjudged: dict[str, str]
    support: dict[str, tuple[str, ...]] = field(default_factory=dict)
    excluded: dict[str, tuple[str, ...]] = field(default_factory=dict)
    urgency: Urgency = field(default_factory=Urgency)

    def to_json(self) -> dict[str, Any]:
        """Plain Python throughout, so that `json.dumps` gives valid JSON."""
        found = [asdict(finding) | {"leads": list(finding.leads)} for finding in self.findings]
        return {
            "findings": found,
            "diagnoses": list(self.diagnoses),
            "unjudged": dict(self.unjudged),
            "support": {label: list(names) for label, names in self.support.items()},
            "excluded": {label: list(names) for label, names in self.excluded.items()},
            "urgency": {"level": self.urgency.level, "reasons": list(self.urgency.reasons)},
        }


FLUTTER_FIT = 0.1  # of a flutter wave: chance gives 0.25
NARROW_T_MS = 190  # a narrow base: PTB-XL's normal records have a median of 209 ms

# --- Quantities: what the criteria look at, an array over leads or one number for the record

Columns = dict[str, np.ndarray]  # `Measurements.leads` by column, rows as in LEADS
Quantity = Callable[["Measurements", Columns], "np.ndarray | float"]


def _heart_on_the_right(m: "Measurements") -> bool:
    """P points down in I and in V6 and up in aVF, and QRS or T points down in I.

    Exchanged arms turn lead I alike, but leave V6 as it is.
    """
    at = m.leads.reindex(list(LEADS))
    p, first = at["p_mv"], at.loc["I"]
    turned = first["t_mv"] < 0 or first["r_mv"] < -first[["q_mv", "s_mv"]].min()
    seen = bool(m.p_present) and m.av_relation is not None
    return bool(seen and p["I"] <= -0.025 and p["V6"] < 0 < p["aVF"] and turned)


def _untrusted_leads(m: "Measurements") -> tuple[str, ...]:
    """Leads that do not show what their names say; aVF outlives an exchange of the arms."""
    no_avf = tuple(lead for lead in LEADS if lead != "aVF")
    if _heart_on_the_right(m):
        return no_avf
    affected = {"arms": no_avf[:5], "right leg": LIMB, "chest order": CHEST}
    return affected.get(m.reversal or "", ())


def _reversed(kind: str) -> Quantity:
    def read(m: "Measurements", _: Columns) -> float:
        return float(m.reversal == kind) if m.hr_bpm is not None else float("nan")

    return read


def _dextrocardia(m: "Measurements", _: Columns) -> float:
    known = m.leads.reindex(["I", "aVF", "V6"])[["p_mv"]].notna().all(axis=None)
    return float(_heart_on_the_right(m)) if known else float("nan")


def _columns(m: "Measurements") -> Columns:
    table = m.leads.reindex(list(LEADS))
    c = {name: table[name].to_numpy(float).copy() for name in table.columns}
    away = [LEADS.index(lead) for lead in _untrusted_leads(m)]
    for values in c.values():
        values[away] = np.nan
    q, r, s = c["q_mv"], c["r_mv"], c["s_mv"]
    c["known"] = ~np.isnan(np.stack([q, r, s])).all(axis=0)
    c["q"] = np.nan_to_num(-q)  # depths of Q and S as positive numbers, 0 where there is none
    c["r"] = np.nan_to_num(r)
    c["s"] = np.where(np.isnan(s), np.where(np.isnan(r), c["q"], 0.0), -s)  # a QS counts as S
    return c


def _headline(name: str) -> Quantity:
    def read(m: "Measurements", _: Columns) -> float:
        value = getattr(m, name)
        return float("nan") if value is None else float(value)

    return read


def _column(name: str) -> Quantity:
    return lambda _, c: c[name]


def _qrs(formula: Callable[[Columns], np.ndarray]) -> Quantity:
    """A value of the QRS complex: NaN in leads where none was measured."""
    return lambda _, c: np.where(c["known"], formula(c), np.nan)


def _sum(*parts: tuple[str, str]) -> Quantity:
    """Sum of R or S over single leads, NaN if one of them was not measured."""

    def add(_: "Measurements", c: Columns) -> float:
        at = [(name, LEADS.index(lead)) for name, lead in parts]
        return float(sum(c[name][i] if c["known"][i] else np.nan for name, i in at))

    return add


def _sokolow(m: "Measurements", c: Columns) -> float:
    each = [_sum(("s", "V1"), ("r", lead))(m, c) for lead in ("V5", "V6")]
    return float(np.fmax(*each))


def _low_of_st(_: "Measurements", c: Columns) -> np.ndarray:
    # Raised at J, as the guideline asks, and still at J+60 ms: not a J wave alone.
    return np.fmin(c["j_mv"], c["st_mv"])


def _high_of_st(_: "Measurements", c: Columns) -> np.ndarray:
    # A steep upslope from J back to the baseline does not count.
    return np.fmax(c["j_mv"], c["st_mv"])


def _t_with_r(_: "Measurements", c: Columns) -> np.ndarray:
    # "Prominent R or R/S > 1" (Universal Definition); 0.5 mV is our reading of prominent.
    is_tall = (c["r"] >= 0.5) | (c["r"] > c["s"])
    return np.where(is_tall, c["t_mv"], np.maximum(c["t_mv"], 0.0))


def _p_inverted(_: "Measurements", c: Columns) -> np.ndarray:
    return np.where(np.isnan(c["p_mv"]), np.nan, c["p_mv"] < 0)


def _axis(m: "Measurements", _: Columns) -> float:
    turned = "I" in _untrusted_leads(m)
    return float("nan") if turned or m.axis_deg is None else float(m.axis_deg)


def _p_before_qrs(m: "Measurements", _: Columns) -> float:
    """Unknown where what hides P is called flutter but does not fit regular RR intervals."""
    fits = m.flutter_bpm is None or _flutter_misfit(m) <= FLUTTER_FIT
    known = m.p_present is not None and (fits or m.regular is False)
    return float(m.p_present) if known else float("nan")


def _flutter_misfit(m: "Measurements") -> float:
    """How far RR intervals are from whole numbers of flutter waves, at best 0, by chance 0.25.

    The rate of the flutter is known to 1.5 %, so the best one within that counts.
    """
    rr = np.array(m.rr_ms, float)
    if m.flutter_bpm is None or rr.size < 3:
        return float("nan")
    waves = rr[:, None] * m.flutter_bpm / 60000 * np.linspace(0.985, 1.015, 25)
    return float(np.abs(waves - np.round(waves)).mean(axis=0).min())


def _flutters(m: "Measurements", _: Columns) -> float:
    if m.hr_bpm is None:
        return float("nan")
    return float(_flutter_misfit(m) <= FLUTTER_FIT)


def _relation(*kinds: str | None) -> Quantity:
    """Whether P and QRS go together in one of these ways; None is "no series of P waves"."""

    def read(m: "Measurements", _: Columns) -> float:
        return float("nan") if m.hr_bpm is None else float(m.av_relation in kinds)

    return read


def _atrial_ratio(m: "Measurements", _: Columns) -> float:
    """P waves per QRS; 0 where no series of P waves was found."""
    if not m.hr_bpm:
        return float("nan")
    return (m.atrial_bpm or 0.0) / m.hr_bpm if m.flutter_bpm is None else 0.0


def _even_ratio(m: "Measurements", c: Columns) -> float:
    """The same, but 0 where the P waves do not keep time: a T may look like a P."""
    ratio = _atrial_ratio(m, c)
    gaps = np.diff(np.asarray(m.p_times, float))
    if gaps.size < 2 or np.isnan(ratio):
        return ratio if np.isnan(ratio) else 0.0
    whole = gaps / np.median(gaps)  # a P inside a QRS or T may be missed
    is_even = (np.abs(whole - np.round(whole)) < 0.15).mean() >= 0.7
    return ratio if is_even else 0.0


def _is_grouped(m: "Measurements", _: Columns) -> float:
    return float("nan") if m.hr_bpm is None else float(bool(m.grouped))


def _paced_share(before_ms: float) -> Quantity:
    """Share of beats with a pacing spike at most so long before their R."""

    def read(m: "Measurements", _: Columns) -> float:
        beats, spikes = np.asarray(m.rpeaks), np.asarray(m.pacing_spikes)
        if not beats.size:
            return float("nan")
        lag = beats[:, None] - spikes[None, :]
        near = (lag >= 0) & (lag * 1000 / FS <= before_ms)
        return float(near.any(axis=1).mean())

    return read


def _longest_rr(m: "Measurements", _: Columns) -> float:
    return float(max(m.rr_ms)) if m.rr_ms else float("nan")


def _pause_ratio(m: "Measurements", _: Columns) -> float:
    return float(max(m.rr_ms) / np.median(m.rr_ms)) if len(m.rr_ms) >= 3 else float("nan")


def _st_over_t_v6(_: "Measurements", c: Columns) -> float:
    """0 where T is too low to divide by; NaN where it was not measured."""
    st, t = (float(c[name][LEADS.index("V6")]) for name in ("st_mv", "t_mv"))
    return st / t if t > 0.05 else float("nan") if np.isnan(t) else 0.0


def _posterior_r(_: "Measurements", c: Columns) -> np.ndarray:
    """Width of R where it outgrows S before an upright T, else 0."""
    turned = (c["r"] >= c["s"]) & (c["t_mv"] > 0)
    return np.where(c["known"], np.where(turned, c["r_ms"], 0.0), np.nan)


def _end_notch(_: "Measurements", c: Columns) -> np.ndarray:
    """Height of a second R that is lower than the first, where J stays raised; else 0."""
    late = (c["r2_mv"] < c["r"]) & (c["j_mv"] >= 0.05)
    return np.where(c["known"], np.where(late, np.nan_to_num(c["r2_mv"]), 0.0), np.nan)


def _narrow_t(_: "Measurements", c: Columns) -> np.ndarray:
    """Height of T where its base is narrow, else 0."""
    height = np.where(c["t_ms"] <= NARROW_T_MS, c["t_mv"], 0.0)
    return np.where(np.isnan(c["t_mv"]), np.nan, height)


def _u_over_t(_: "Measurements", c: Columns) -> np.ndarray:
    # No U that stands out (or no room for it before the next P) is no U wave.
    u = np.nan_to_num(c["u_mv"])
    return np.where(u >= 0.05, u, 0.0) / np.maximum(np.abs(c["t_mv"]), 0.02)


def _strain(_: "Measurements", c: Columns) -> np.ndarray:
    known = ~np.isnan(c["st_mv"] + c["t_mv"])
    return np.where(known, (c["st_mv"] <= -0.05) & (c["t_mv"] < 0), np.nan)


def _concordant_rise(m: "Measurements", c: Columns) -> np.ndarray:
    up = c["r"] > np.maximum(c["q"], c["s"])
    return np.where(c["known"], np.where(up, _low_of_st(m, c), 0.0), np.nan)


def _concordant_drop(m: "Measurements", c: Columns) -> np.ndarray:
    down = c["r"] < np.maximum(c["q"], c["s"])
    return np.where(c["known"], np.where(down, _high_of_st(m, c), 0.0), np.nan)


def _discordant_share(_: "Measurements", c: Columns) -> np.ndarray:
    """ST elevation of at least 0.1 mV as a share of the S (or QS) before it."""
    depth = np.maximum(c["q"], c["s"])
    counts = (c["r"] < depth) & (c["j_mv"] >= 0.1)
    share = np.where(counts, c["j_mv"] / np.maximum(depth, 0.1), 0.0)
    return np.where(c["known"], share, np.nan)


def _rr_spread(m: "Measurements", _: Columns) -> float:
    return float(np.ptp(m.rr_ms)) if len(m.rr_ms) >= 2 else float("nan")


def _q_width(depth_mv: float) -> Quantity:
    """Q duration where Q is at least so deep, else 0; a QS counts with its whole width."""
    return _qrs(lambda c: np.where(c["q"] >= depth_mv, c["q_ms"], 0.0))


QUANTITIES: dict[str, Quantity] = {
    **{
        name: _headline(name)
        for name in (
            *("hr_bpm", "pr_ms", "qrs_ms", "qtc_ms", "regular"),
            *("n_wide_premature", "n_narrow_premature"),
        )
    },
    **{name: _column(name) for name in ("p_ms", "p_mv", "t_mv", "rsr", "delta_ms", "j_mv")},
    "pr_level_mv": _column("pr_level_mv"),
    "s_width_ms": _qrs(lambda c: np.nan_to_num(c["s_ms"])),
    "axis_deg": _axis,
    "p_present": _p_before_qrs,
    "p_unfollowed": _relation(None),
    "p_lengthening": _relation("lengthening"),
    "p_blocked": _relation("blocked"),
    "p_dissociated": _relation("dissociated"),
    "p_apart": _relation("dissociated", "variable"),
    "atrial_ratio": _atrial_ratio,
    "even_ratio": _even_ratio,
    "grouped": _is_grouped,
    "flutters": _flutters,
    "paced_share": _paced_share(400),
    "paced_qrs_share": _paced_share(120),
    "rr_longest_ms": _longest_rr,
    "pause_ratio": _pause_ratio,
    "arms_exchanged": _reversed("arms"),
    "leg_exchanged": _reversed("right leg"),
    "chest_exchanged": _reversed("chest order"),
    "dextrocardia": _dextrocardia,
    "st_over_t_v6": _st_over_t_v6,
    "posterior_r_ms": _posterior_r,
    "end_notch_mv": _end_notch,
    "narrow_t_mv": _narrow_t,
    "u_over_t": _u_over_t,
    "strain": _strain,
    "concordant_rise_mv": _concordant_rise,
    "concordant_drop_mv": _concordant_drop,
    "discordant_share": _discordant_share,
    "rr_spread_ms": _rr_spread,
    "p_inverted": _p_inverted,
    "r_height_mv": _qrs(lambda c: c["r"]),
    "size_mv": _qrs(lambda c: c["r"] + np.maximum(c["q"], c["s"])),
    "net_mv": _qrs(lambda c: c["r"] - np.maximum(c["q"], c["s"])),
    "r_over_s": _qrs(lambda c: c["r"] / np.maximum(c["s"], 1e-3)),
    "has_q": _qrs(lambda c: c["q"] >= 0.05),
    "has_s": _qrs(lambda c: c["s"] >= 0.1 * c["r"]),
    "rs": _qrs(lambda c: (c["r"] > 0) & (c["s"] > c["r"])),
    "clean_left": _qrs(lambda c: (c["q"] < 0.1 * c["r"]) & (c["s"] < c["r"] / 3)),
    "q_deep_ms": _q_width(0.1),
    "q_any_ms": _q_width(0.05),
    "rise_mv": _low_of_st,
    "drop_mv": _high_of_st,
    "t_with_r_mv": _t_with_r,
    # Only beside an R of at least 0.3 mV (part IV); elsewhere T is not low, whatever its size.
    "t_share": _qrs(
        lambda c: np.where(c["r"] >= 0.3, np.abs(c["t_mv"]) / np.maximum(c["r"], 0.3), np.inf)
    ),
    "sokolow_mv": _sokolow,
    "cornell_mv": _sum(("r", "aVL"), ("s", "V3")),
    "gubner_mv": _sum(("r", "I"), ("s", "III")),
}


# Leads inside the quantities of the whole record.
INSIDE = {
    "axis_deg": ("I", "aVF"),
    "sokolow_mv": ("V1", "V5", "V6"),
    "cornell_mv": ("aVL", "V3"),
    "gubner_mv": ("I", "III"),
    "st_over_t_v6": ("V6",),
}


# --- Criteria

_ST_LIMITS = (
    Limit(0.1, leads=tuple(lead for lead in LIMB + CHEST if lead not in ("V2", "V3"))),
    Limit(0.15, leads=("V2", "V3"), sex="female"),
    Limit(0.25, leads=("V2", "V3"), sex="male", max_age_years=40),
    Limit(0.2, leads=("V2", "V3"), sex="male", min_age_years=40),
)


def _st_elevation(place: str, leads: tuple[str, ...]) -> Criterion:
    return Criterion(
        name=f"st_elevation_{place}",
        phase=4,
        subject="ST level",
        meaning=f"ST elevation in the {place} leads",
        quantity="rise_mv",
        comparator=">=",
        threshold=0.1,
        unit="mV",
        source=UDMI,
        leads=leads,
        needs="two",
        voltage=True,
        paper_threshold=">= 1 mm in limb leads, >= 2 mm in chest leads",
        limits=_ST_LIMITS,
    )


def _st_depression(place: str, leads: tuple[str, ...]) -> Criterion:
    return Criterion(
        name=f"st_depression_{place}",
        phase=4,
        subject="ST level",
        meaning=f"ST depression in the {place} leads",
        quantity="drop_mv",
        comparator="<=",
        threshold=-0.05,
        unit="mV",
        source=UDMI,
        leads=leads,
        needs="two",
        voltage=True,
        paper_threshold="horizontal or downsloping, without a number",
    )


def _t_inversion(place: str, leads: tuple[str, ...]) -> Criterion:
    return Criterion(
        name=f"t_inversion_{place}",
        phase=4,
        subject="T wave",
        meaning=f"T wave inversion in the {place} leads",
        quantity="t_with_r_mv",
        comparator="<=",
        threshold=-0.1,
        unit="mV",
        source=UDMI,
        leads=leads,
        needs="two",
        voltage=True,
        paper_threshold="symmetrical inversion, without a number",
    )


def _q_waves(place: str, leads: tuple[str, ...]) -> Criterion:
    return Criterion(
        name=f"q_waves_{place}",
        phase=4,
        subject="width of Q waves at least 0.1 mV deep",
        meaning=f"pathological Q waves in the {place} leads",
        quantity="q_deep_ms",
        comparator=">=",
        threshold=30,
        unit="ms",
        source=UDMI,
        leads=leads,
        needs="two",
        voltage=True,
        paper_threshold="> 0.03 s wide or > 0.1 mV deep",
    )


_PLACES = {"inferior": INFERIOR, "lateral": LATERAL, "anterior": ANTERIOR}
# T waves may point down in V1 and aVR of healthy adults, and in III beside a horizontal heart.
_T_PLACES = {"inferior": ("II", "aVF"), "lateral": LATERAL, "anterior": ("V2", "V3", "V4")}


def _large_rise(place: str, leads: tuple[str, ...], threshold: float) -> Criterion:
    return Criterion(
        name=f"large_st_elevation_{place}",
        phase=4,
        subject="ST level",
        meaning=f"an ST elevation in the {place} leads beyond that of healthy hearts",
        quantity="rise_mv",
        comparator=">=",
        threshold=threshold,
        unit="mV",
        source=f"{UDMI}; Macfarlane 2004",
        leads=leads,
        needs="two",
        voltage=True,
        paper_threshold="convex with reciprocal change, without a number",
    )


def _sgarbossa(place: str, leads: tuple[str, ...]) -> Iterator[Criterion]:
    yield Criterion(
        f"concordant_st_{place}",
        4,
        "ST level beside a positive QRS",
        f"concordant ST elevation in the {place} leads",
        "concordant_rise_mv",
        ">=",
        0.1,
        "mV",
        SGARBOSSA,
        leads=leads,
        voltage=True,
    )
    yield Criterion(
        f"excessive_st_{place}", 4, "ST elevation as a share of S",
        f"excessive discordant ST elevation in the {place} leads", "discordant_share", ">=",
        0.25, "",
        "Smith 2012 (in place of 0.5 mV, Sgarbossa 1996); in hypertrophy Armstrong 2012",
        leads=leads, needs="two", voltage=True,
    )  # fmt: skip


_PHASE_1 = (
    Criterion("bradycardia", 1, "heart rate", "bradycardia", "hr_bpm", "<", 60, "bpm", CHOU),
    Criterion("tachycardia", 1, "heart rate", "tachycardia", "hr_bpm", ">", 100, "bpm", CHOU),
    Criterion("rate_120", 1, "heart rate", "a rate above 120", "hr_bpm", ">", 120, "bpm", CHOU),
    Criterion(
        "rate_150", 1, "heart rate", "a rate that the resting sinus node seldom reaches",
        "hr_bpm", ">=", 150, "bpm", SVT,
    ),
    Criterion(
        "slow_40", 1, "heart rate", "a very slow rate", "hr_bpm", "<", 40, "bpm", BRADY,
    ),
    Criterion(
        "irregular", 1, "RR intervals", "an irregular rhythm", "regular", "is", 0, "", CHOU,
    ),
    Criterion(
        "no_p", 1, "P waves", "absence of P waves before the QRS", "p_present", "is", 0, "",
        CHOU,
    ),
    Criterion(
        "p_unfollowed", 1, "P waves over the record", "absence of a series of P waves",
        "p_unfollowed", "is", 1, "", SVT,
    ),
    Criterion(
        "flutter_waves", 1, "regular atrial waves that fit the RR intervals",
        "flutter waves of 200 to 350 a minute", "flutters", "is", 1, "", SVT,
    ),
    Criterion(
        "pacing_spikes", 1, "share of beats led by a pacing spike", "pacing spikes",
        "paced_share", ">=", 0.5, "", CHOU,
    ),
    Criterion(
        "paced_qrs", 1, "share of beats with a pacing spike within 120 ms before R",
        "pacing of the ventricles", "paced_qrs_share", ">=", 0.5, "", CHOU,
    ),
    Criterion(
        "long_pause", 1, "longest RR", "a pause of two seconds", "rr_longest_ms", ">=", 2000,
        "ms", f"{CHOU}; treated from 3 s on: {BRADY}",
    ),
    Criterion(
        "pause_3_s", 1, "longest RR", "a pause of three seconds", "rr_longest_ms", ">=", 3000,
        "ms", BRADY,
    ),
    Criterion(
        "pause_stands_out", 1, "longest RR over the median", "a pause against the other beats",
        "pause_ratio", ">=", 1.5, "", CHOU,
    ),
    Criterion(
        "grouped", 1, "RR intervals", "grouped beating", "grouped", "is", 1, "", CHOU,
        paper_threshold="grouped beating = Mobitz I",
    ),
    Criterion(
        "arms_exchanged", 1, "P and QRS in I against V6", "exchanged arm electrodes",
        "arms_exchanged", "is", 1, "", REVERSAL,
        paper_threshold="P, QRS and T inverted in I (consider dextrocardia)",
    ),
    Criterion(
        "leg_exchanged", 1, "the smallest of I, II and III",
        "a right leg electrode on an arm", "leg_exchanged", "is", 1, "", REVERSAL,
    ),
    Criterion(
        "chest_exchanged", 1, "QRS from V1 to V6", "exchanged chest electrodes",
        "chest_exchanged", "is", 1, "", REVERSAL,
    ),
    Criterion(
        "heart_on_right", 1, "P in I, aVF and V6, QRS and T in I", "a heart on the right",
        "dextrocardia", "is", 1, "", CHOU,
        paper_threshold="P, QRS and T inverted in I",
    ),
    Criterion("regular", 1, "RR intervals", "a regular rhythm", "regular", "is", 1, "", CHOU),
    Criterion(
        "p_present", 1, "P waves", "P waves before the QRS", "p_present", "is", 1, "", CHOU,
    ),
    Criterion(
        "p_inverted", 1, "P wave", "an atrial focus below the sinus node", "p_inverted", "is",
        1,
        "", CHOU, leads=("II", "aVF"), needs="all",
    ),
    Criterion(
        "rr_spread", 1, "longest less shortest RR", "RR variation as in sinus arrhythmia",
        "rr_spread_ms", ">", 120, "ms", CHOU,
    ),
    Criterion(
        "narrow_premature", 1, "number of premature narrow beats", "supraventricular ectopy",
        "n_narrow_premature", ">=", 1, "", CHOU,
    ),
    Criterion(
        "wide_premature", 1, "number of premature wide beats", "ventricular ectopy",
        "n_wide_premature", ">=", 1, "", CHOU,
    ),
    Criterion(
        "p_tall", 1, "P wave amplitude", "a tall P wave (right atrium)", "p_mv", ">", 0.25,
        "mV", PART5, leads=("II",), voltage=True,
    ),
    Criterion(
        "p_long", 1, "P wave duration", "a prolonged P wave (left atrium)", "p_ms", ">=", 120,
        "ms", PART5, leads=("II",), paper_threshold="> 0.12 s",
    ),
    Criterion(
        "p_terminal_v1", 1, "P wave", "a negative P wave in V1 (left atrium)", "p_mv", "<=",
        -0.1,
        "mV", f"{PART5}; Morris 1964", leads=("V1",), voltage=True,
        paper_threshold="deep terminal negative part, without a number",
    ),
)  # fmt: skip

_PHASE_2 = (
    Criterion(
        "pr_long", 2, "PR interval", "first-degree AV block", "pr_ms", ">", 200, "ms", CHOU,
    ),
    Criterion(
        "pr_short", 2, "PR interval", "a short PR interval", "pr_ms", "<", 120, "ms", CHOU,
    ),
    Criterion(
        "p_lengthening", 2, "PR intervals", "PR growing until a P wave is blocked",
        "p_lengthening", "is", 1, "", BRADY, paper_threshold="grouped beating = Mobitz I",
    ),
    Criterion(
        "p_blocked", 2, "P waves", "P waves without QRS beside a steady PR", "p_blocked", "is",
        1, "", BRADY,
    ),
    Criterion(
        "p_dissociated", 2, "P waves and QRS", "dissociation of atria and ventricles",
        "p_dissociated", "is", 1, "", BRADY,
    ),
    Criterion(
        "p_apart", 2, "P waves and QRS", "a variable relation of P waves to QRS", "p_apart",
        "is", 1, "", BRADY,
    ),
    Criterion(
        "more_p", 2, "P waves per QRS", "more P waves than QRS complexes", "atrial_ratio", ">=",
        1.25, "", BRADY,
    ),
    Criterion(
        "two_p", 2, "P waves per QRS", "two P waves for each QRS", "even_ratio", ">=", 1.9,
        "", BRADY,
    ),
    Criterion(
        "three_p", 2, "P waves per QRS", "more than two P waves for each QRS", "even_ratio",
        ">", 2.1, "", BRADY,
    ),
    Criterion(
        "delta_wave", 2, "time to the steep part of the QRS", "a slurred onset (delta wave)",
        "delta_ms", ">=", 45, "ms", f"{PART3}; the number of ms is ours", leads=LEADS,
        needs="three", paper_threshold="delta, without a number",
    ),
    Criterion(
        "qrs_wide", 2, "QRS duration", "a wide QRS complex", "qrs_ms", ">=", 120, "ms", PART3,
        paper_threshold="> 120 ms",
    ),
    Criterion(
        "qrs_slow", 2, "QRS duration", "slowed ventricular conduction", "qrs_ms", ">=", 110,
        "ms",
        PART3, paper_threshold="normal < 100 ms, incomplete block 100 to 120 ms",
    ),
    Criterion(
        "qrs_above_110", 2, "QRS duration", "a prolonged QRS duration", "qrs_ms", ">",
        110,
        "ms", PART3, paper_threshold="normal < 100 ms",
    ),
    Criterion(
        "rsr_v1", 2, "second R wave", "an RSR' complex in V1 or V2", "rsr", "is", 1, "", PART3,
        leads=("V1", "V2"), paper_threshold="rSR' in V1",
    ),
    Criterion(
        "v1_positive", 2, "net QRS", "a positive QRS in V1", "net_mv", ">", 0, "mV", PART3,
        leads=("V1",),
    ),
    Criterion(
        "s_lateral", 2, "S wave", "an S wave in I or V6", "has_s", "is", 1, "", PART3,
        leads=("I", "V6"),
    ),
    Criterion(
        "s_wide_lateral", 2, "S wave", "wide S waves in I and V6", "s_width_ms", ">=", 40, "ms",
        PART3, leads=("I", "V6"), needs="all",
    ),
    Criterion(
        "left_clean", 2, "monophasic R wave", "R waves in I and V6 without Q or S",
        "clean_left",
        "is", 1, "", PART3, leads=("I", "V6"), needs="all", paper_threshold="QS in V1",
    ),
    Criterion(
        "axis_left", 2, "frontal QRS axis", "left axis deviation", "axis_deg", "<", -30,
        "degrees", PART3, paper_threshold="I positive and II negative",
    ),
    Criterion(
        "axis_right", 2, "frontal QRS axis", "right axis deviation", "axis_deg", ">", 90,
        "degrees", PART3, paper_threshold="I negative and aVF positive",
    ),
    Criterion(
        "axis_extreme", 2, "frontal QRS axis", "an extreme axis", "axis_deg", "<", -90,
        "degrees", PART3,
    ),
    Criterion(
        "axis_lafb", 2, "frontal QRS axis", "the axis of left anterior fascicular block",
        "axis_deg", "<=", -45, "degrees", PART3, paper_threshold="left axis",
    ),
    Criterion(
        "q_avl", 2, "Q wave", "a qR complex in aVL", "has_q", "is", 1, "", PART3, leads=("aVL",)
    ),
    Criterion(
        "rs_inferior", 2, "rS complex", "rS complexes in II, III and aVF", "rs", "is", 1, "",
        PART3, leads=INFERIOR, needs="all",
    ),
    Criterion(
        "rs_high_lateral", 2, "rS complex", "rS complexes in I and aVL", "rs", "is", 1, "",
        PART3,
        leads=("I", "aVL"), needs="all",
    ),
    Criterion(
        "q_inferior", 2, "Q wave", "a qR complex in III or aVF", "has_q", "is", 1, "", PART3,
        leads=("III", "aVF"),
    ),
)  # fmt: skip

_PHASE_3 = (
    Criterion(
        "sokolow_lyon", 3, "S(V1) + R(V5 or V6)", "Sokolow-Lyon voltage", "sokolow_mv", ">=",
        3.5,
        "mV", f"Sokolow & Lyon 1949; {PART5}, for adults over 35: below, 4.5 mV is ours",
        voltage=True,
        paper_threshold="S(V1) + R(V6) > 35 mm",
        limits=(Limit(4.5, max_age_years=35), Limit(3.5, min_age_years=35)),
    ),
    Criterion(
        "r_avl", 3, "R wave in aVL", "left ventricular voltage in aVL", "r_height_mv", ">", 1.1,
        "mV", f"Sokolow & Lyon 1949; {PART5}", leads=("aVL",), voltage=True,
    ),
    Criterion(
        "cornell", 3, "R(aVL) + S(V3)", "Cornell voltage", "cornell_mv", ">", 2.8, "mV",
        f"Casale 1985; {PART5}", voltage=True,
        limits=(Limit(2.8, sex="male"), Limit(2.0, sex="female")),
    ),
    Criterion(
        "gubner", 3, "R(I) + S(III)", "Gubner-Ungerleider voltage", "gubner_mv", ">", 2.5, "mV",
        f"Gubner & Ungerleider 1943; {PART5}", voltage=True, paper_threshold="R(I) > 15 mm",
    ),
    Criterion(
        "r_v1_tall", 3, "R wave in V1", "a tall R wave in V1", "r_height_mv", ">", 0.6, "mV",
        PART5,
        leads=("V1",), voltage=True,
    ),
    Criterion(
        "r_v1_dominant", 3, "R/S ratio in V1", "a dominant R wave in V1", "r_over_s", ">", 1,
        "",
        PART5, leads=("V1",),
    ),
    Criterion(
        "left_strain", 3, "ST and T", "left ventricular strain", "strain", "is", 1, "", PART5,
        leads=LATERAL, needs="two", voltage=True,
    ),
    Criterion(
        "right_strain", 3, "ST and T", "right ventricular strain", "strain", "is", 1, "", PART5,
        leads=("V1", "V2", "V3"), needs="two", voltage=True,
    ),
    Criterion(
        "low_limb", 3, "QRS size", "low voltage in the limb leads", "size_mv", "<", 0.5, "mV",
        CHOU, leads=LIMB, needs="all", voltage=True,
    ),
    Criterion(
        "low_chest", 3, "QRS size", "low voltage in the chest leads", "size_mv", "<", 1.0, "mV",
        CHOU, leads=CHEST, needs="all", voltage=True,
    ),
    Criterion(
        "r_v3_small", 3, "R wave in V3", "poor R wave progression", "r_height_mv", "<=", 0.3,
        "mV",
        "Zema & Kligfield 1982", leads=("V3",), voltage=True,
        paper_threshold="poor progression V1-V4, without a number",
    ),
)  # fmt: skip

_PHASE_4 = (
    *(_st_elevation(place, leads) for place, leads in _PLACES.items()),
    *(_st_depression(place, leads) for place, leads in _PLACES.items()),
    *(_t_inversion(place, leads) for place, leads in _T_PLACES.items()),
    *(_q_waves(place, leads) for place, leads in _PLACES.items()),
    Criterion(
        "q_v2_v3", 4, "width of Q waves at least 0.05 mV deep", "a Q wave in V2 or V3",
        "q_any_ms", ">", 20, "ms", UDMI, leads=("V2", "V3"), voltage=True,
        paper_threshold="> 0.03 s wide or > 0.1 mV deep",
    ),
    _large_rise("anterior", ANTERIOR, 0.3),
    _large_rise("inferior", INFERIOR, 0.2),
    _large_rise("lateral", LATERAL, 0.3),
    Criterion(
        "posterior_st", 4, "ST level", "ST depression as in posterior infarction", "drop_mv",
        "<=", -0.05, "mV", UDMI, leads=("V1", "V2", "V3"), needs="two", voltage=True,
    ),
    Criterion(
        "posterior_t", 4, "T wave", "an upright T wave in V2 and V3", "t_mv", ">", 0.1, "mV",
        UDMI, leads=("V2", "V3"), needs="all", voltage=True,
    ),
    Criterion(
        "posterior_r", 4, "width of an R at least as tall as S before an upright T",
        "R waves as in posterior infarction", "posterior_r_ms", ">=", 40, "ms", UDMI,
        leads=("V1", "V2"), needs="all",
        paper_threshold="dominant R in V1: RVH or posterior infarction",
    ),
    *(one for place, leads in _PLACES.items() for one in _sgarbossa(place, leads)),
    Criterion(
        "concordant_drop", 4, "ST level beside a negative QRS",
        "concordant ST depression in V1 to V3", "concordant_drop_mv", "<=", -0.1, "mV",
        SGARBOSSA, leads=("V1", "V2", "V3"), voltage=True,
    ),
    Criterion(
        "widespread_st", 4, "ST level", "widespread ST elevation", "rise_mv", ">=", 0.05, "mV",
        f"{ESC_PERI}; the number of leads is ours", needs="five", voltage=True,
        leads=("I", "II", "aVL", "aVF", "V3", "V4", "V5", "V6"),
        paper_threshold="diffuse concave elevation",
    ),
    Criterion(
        "pr_depressed", 4, "PR segment", "PR depression", "pr_level_mv", "<=", -0.03, "mV",
        f"{ESC_PERI}; the number of mV is ours", leads=("I", "II", "aVF", "V4", "V5", "V6"),
        needs="two", voltage=True, paper_threshold="PR depression, without a number",
    ),
    Criterion(
        "st_over_t_v6", 4, "ST as a share of T in V6", "the ST/T ratio of pericarditis",
        "st_over_t_v6", ">=", 0.25, "", "Ginzton & Laks 1982", voltage=True,
    ),
    Criterion(
        "end_qrs_notch", 4, "notch at the end of the QRS", "a J wave", "end_notch_mv", ">=",
        0.1, "mV", "Macfarlane 2015", leads=AWAY_FROM_V1, needs="two",
        voltage=True,
    ),
    Criterion(
        "j_raised", 4, "J point", "a raised J point", "j_mv", ">=", 0.1, "mV",
        "Macfarlane 2015", leads=AWAY_FROM_V1, needs="two",
        voltage=True,
    ),
    Criterion(
        "t_low", 4, "T wave as a share of R", "low or flat T waves", "t_share", "<", 0.1, "",
        PART4, leads=("I", "II", "V4", "V5", "V6"), needs="two", voltage=True,
    ),
)  # fmt: skip

_PHASE_5 = (
    Criterion(
        "qtc_long", 5, "QTc (Fridericia)", "a prolonged QT interval", "qtc_ms", ">=", 460, "ms",
        PART4, paper_threshold="<= 440 ms is normal",
        limits=(Limit(450, sex="male"), Limit(460, sex="female")),
    ),
    Criterion(
        "qtc_low", 5, "QTc (Fridericia)", "a QTc in the short range", "qtc_ms", "<=", 390, "ms",
        PART4,
    ),
    Criterion(
        "qtc_short", 5, "QTc (Fridericia)", "a short QT interval", "qtc_ms", "<=", 340, "ms",
        "ESC 2015 ventricular arrhythmias (Priori)",
    ),
    Criterion(
        "t_tall", 5, "T wave", "tall T waves", "t_mv", ">", 1.0, "mV", CHOU,
        leads=LIMB[:3] + LIMB[4:] + CHEST, needs="two", voltage=True,
        paper_threshold="tall and tented, without a number",
        limits=(Limit(0.5, leads=LIMB), Limit(1.0, leads=CHEST)),
    ),
    Criterion(
        "t_tented", 5, f"T wave not wider than {NARROW_T_MS} ms",
        "tall T waves on a narrow base", "narrow_t_mv", ">", 0.8, "mV",
        f"{CHOU}; height and width are ours", leads=CHEST[1:],
        needs="two", voltage=True, paper_threshold="tall and tented, without a number",
    ),
    Criterion(
        "t_narrow", 5, f"T wave not wider than {NARROW_T_MS} ms", "narrow T waves of some size",
        "narrow_t_mv", ">", 0.5, "mV", f"{CHOU}; the width is ours", leads=CHEST[1:],
        needs="two", voltage=True,
    ),
    Criterion(
        "p_flat", 5, "P wave amplitude", "a flat P wave", "p_mv", "<", 0.05, "mV", CHOU,
        leads=("II",), voltage=True,
    ),
    Criterion(
        "u_tall", 5, "U wave as a share of T", "U waves as tall as T", "u_over_t", ">=", 1,
        "", CHOU, leads=("V2", "V3", "V4"), needs="two", voltage=True,
        paper_threshold="flat T and U wave",
    ),
    Criterion(
        "qtc_500", 5, "QTc (Fridericia)", "a QTc at which torsades threaten", "qtc_ms", ">=",
        500, "ms", "AHA/ACCF 2010 torsade de pointes (Drew)",
    ),
)  # fmt: skip

CRITERIA: tuple[Criterion, ...] = (*_PHASE_1, *_PHASE_2, *_PHASE_3, *_PHASE_4, *_PHASE_5)


# --- Rules

_BLOCKS = ("left bundle branch block", "right bundle branch block")
_INCOMPLETE = tuple(f"incomplete {block}" for block in _BLOCKS)
# Ventricles that are not stirred through their own bundles: their QRS, ST and T speak of
# nothing else.
_FOREIGN = (
    "paced_qrs", "wide_escape", "ventricular tachycardia", "wolff-parkinson-white syndrome",
)  # fmt: skip
_NOT_SINUS = ("p_inverted", "pacing_spikes", "flutter_waves")
_DROPPED = ("second-degree av block", "third-degree av block")
_MIMICS = ("pericarditis", "early repolarisation", "left ventricular hypertrophy")


def _infarction_rules(place: str, mirror: str) -> Iterator[Rule]:
    """Old infarction by its Q waves; acute by ST elevation.

    That is so with reciprocal depression, or beyond what hearts without infarction show.
    """
    label = f"{place} myocardial infarction"
    hidden = (*_FOREIGN, _BLOCKS[0], _INCOMPLETE[0])
    q_waves = ("q_waves_anterior", "q_v2_v3") if place == "anterior" else (f"q_waves_{place}",)
    yield Rule(label, one_of=q_waves, without=hidden)
    yield Rule(label, (f"st_elevation_{place}", f"st_depression_{mirror}"),
               without=(*hidden, "pericarditis"))  # fmt: skip
    large = f"large_st_elevation_{place}"
    yield Rule(label, (large,), without=(*hidden, *_MIMICS))
    # Hypertrophy raises ST by less than a quarter of the QRS: Armstrong 2012.
    yield Rule(label, (large, f"excessive_st_{place}"), without=(*hidden, *_MIMICS[:2]))
    yield Rule(label, (f"sgarbossa_{place}",))


def _sgarbossa_rules() -> Iterator[Rule]:
    """Infarction beside left bundle branch block or a paced QRS, by territory."""
    for place in _PLACES:
        names = (f"concordant_st_{place}", f"excessive_st_{place}")
        yield Rule(f"sgarbossa_{place}", (_BLOCKS[0],), one_of=names)
        yield Rule(f"sgarbossa_{place}", ("paced_wide", names[0]))
    for ventricles in (_BLOCKS[0], "paced_wide"):
        yield Rule("sgarbossa_posterior", (ventricles, "concordant_drop"))


_RHYTHM_RULES = (
    Rule("paced rhythm", ("pacing_spikes",)),
    Rule("paced_wide", ("paced_qrs", "qrs_wide")),
    Rule("dextrocardia", ("heart_on_right",), without=("qrs_wide",)),
    Rule("second-degree av block", ("p_lengthening", "more_p")),
    Rule("second-degree av block", ("p_blocked", "more_p", "grouped")),
    Rule("second-degree av block", ("p_blocked", "two_p", "regular"),
         without=("three_p", "tachycardia")),
    Rule("third-degree av block", ("p_dissociated", "more_p", "regular", "bradycardia"),
         without=("paced_qrs",)),
    Rule("third-degree av block", ("p_apart", "no_p", "more_p", "regular", "bradycardia"),
         without=("paced_qrs",)),
    Rule("wide_escape", ("third-degree av block", "qrs_wide")),
    Rule("atrial flutter", ("flutter_waves", "no_p"), without=("pacing_spikes",)),
    Rule("atrial fibrillation", ("irregular", "no_p"),
         without=("atrial flutter", *_DROPPED)),
    Rule("wolff-parkinson-white syndrome", ("p_present", "pr_short", "delta_wave", "qrs_slow"),
         without=("paced_qrs",)),
    Rule("ectopic atrial rhythm", ("p_present", "p_inverted"),
         without=("pr_short", "pacing_spikes")),
    Rule("junctional rhythm", ("p_present", "p_inverted", "pr_short"),
         without=("pacing_spikes", "wolff-parkinson-white syndrome")),
    Rule("junctional rhythm", ("regular", "no_p"),
         without=("qrs_wide", "tachycardia", "pacing_spikes", "atrial flutter", *_DROPPED)),
    Rule("supraventricular tachycardia", ("regular", "tachycardia", "no_p"),
         without=("qrs_wide", "pacing_spikes", "atrial flutter")),
    Rule("supraventricular tachycardia", ("regular", "rate_150", "p_unfollowed"),
         without=("qrs_wide", "pacing_spikes", "atrial flutter")),
    Rule("ventricular tachycardia", ("regular", "tachycardia", "qrs_wide"),
         ("no_p", "p_dissociated"), ("pacing_spikes", "atrial flutter")),
    Rule("ventricular tachycardia", ("regular", "rate_150", "qrs_wide", "p_unfollowed"),
         without=("pacing_spikes", "atrial flutter")),
    Rule("sinus bradycardia", ("p_present", "bradycardia"),
         without=(*_NOT_SINUS, *_DROPPED)),
    Rule("sinus tachycardia", ("p_present", "tachycardia"),
         without=(*_NOT_SINUS, "supraventricular tachycardia", "ventricular tachycardia")),
    Rule("sinus arrhythmia", ("p_present", "rr_spread"),
         without=(*_NOT_SINUS, "narrow_premature", "wide_premature", "long_pause", *_DROPPED)),
    Rule("sinus rhythm", ("p_present",),
         without=(*_NOT_SINUS, "bradycardia", "tachycardia", "third-degree av block")),
    Rule("sinus rhythm", ("second-degree av block", "p_lengthening"),
         without=("flutter_waves",)),
    Rule("sinus pause", ("long_pause", "pause_stands_out", "p_present"),
         without=("pacing_spikes", "grouped", "wide_premature", *_DROPPED)),
    Rule("premature atrial complexes", ("narrow_premature",),
         without=("atrial fibrillation", "atrial flutter", *_DROPPED)),
    Rule("premature ventricular complexes", ("wide_premature",)),
    Rule("first-degree av block", ("p_present", "pr_long"),
         without=("supraventricular tachycardia", "ventricular tachycardia",
                  "third-degree av block")),
)  # fmt: skip

_VENTRICLE_RULES = (
    Rule("late_right", ("rsr_v1", "s_wide_lateral")),
    # The QRS of V1 may end in a small second R: only a positive one speaks against the left.
    Rule("left bundle branch block", ("qrs_wide", "left_clean"),
         without=("v1_positive", "late_right")),
    Rule("incomplete left bundle branch block", ("qrs_slow", "left_clean"),
         without=("qrs_wide", "v1_positive", "rsr_v1")),
    Rule("right bundle branch block", ("qrs_wide", "s_lateral"),
         ("rsr_v1", "v1_positive"), (_BLOCKS[0],)),
    Rule("incomplete right bundle branch block", ("qrs_slow", "s_lateral", "rsr_v1"),
         without=("qrs_wide",)),
    Rule("nonspecific intraventricular conduction delay", ("qrs_above_110",),
         without=(*_BLOCKS, *_INCOMPLETE)),
    # Beside a right bundle branch block the late forces turn the axis further still.
    Rule("left anterior fascicular block",
         ("axis_lafb", "rs_inferior", "right bundle branch block")),
    Rule("left anterior fascicular block", ("axis_lafb", "rs_inferior"),
         without=("axis_extreme", _BLOCKS[0])),
    Rule("left anterior fascicular block", ("axis_left", "rs_inferior", "q_avl"),
         without=("axis_extreme", _BLOCKS[0])),
    Rule("left axis deviation", ("axis_left",), without=("axis_extreme",)),
    Rule("right axis deviation", ("axis_right",)),
    Rule("left ventricular hypertrophy", one_of=("sokolow_lyon", "cornell"), without=_BLOCKS),
    # The left anterior fascicle's block alone raises R in I and aVL and deepens S in III.
    Rule("left ventricular hypertrophy", needs=("r_avl", "gubner"),
         without=(*_BLOCKS, "left anterior fascicular block")),
    Rule("right ventricular hypertrophy", ("r_v1_tall", "r_v1_dominant", "axis_right"),
         without=_BLOCKS),
    Rule("right ventricular hypertrophy", ("r_v1_dominant", "axis_right", "right_strain"),
         without=_BLOCKS),
    Rule("left posterior fascicular block", ("axis_right", "rs_high_lateral", "q_inferior"),
         without=("right ventricular hypertrophy", _BLOCKS[0])),
    Rule("low qrs voltage", one_of=("low_limb", "low_chest")),
    Rule("poor r wave progression", ("r_v3_small",), without=_BLOCKS[:1]),
    Rule("pericarditis", ("widespread_st", "pr_depressed", "st_over_t_v6"),
         without=("qrs_wide", *(f"st_depression_{place}" for place in _PLACES))),
    Rule("early repolarisation", ("end_qrs_notch", "j_raised"),
         without=("qrs_wide", "pericarditis", "atrial flutter",
                  *(f"st_depression_{place}" for place in _PLACES))),
    # ST and T follow a bundle branch block by themselves (secondary changes).
    Rule("st elevation", one_of=tuple(f"st_elevation_{place}" for place in _PLACES),
         without=_BLOCKS[:1]),
    Rule("st depression", one_of=tuple(f"st_depression_{place}" for place in _PLACES),
         without=_BLOCKS),
    Rule("t wave inversion", one_of=tuple(f"t_inversion_{place}" for place in _PLACES),
         without=_BLOCKS),
    Rule("myocardial ischaemia", ("st depression", "t wave inversion"),
         without=("left ventricular hypertrophy", "right_strain")),
    Rule("nonspecific st-t abnormality", ("t_low",),
         without=(*_BLOCKS, "myocardial ischaemia", "t wave inversion")),
    # A wide QRS lengthens QT by itself (part IV), so no label beside one.
    Rule("prolonged qt interval", ("qtc_long",), without=("qrs_wide",)),
    Rule("short qt interval", ("qtc_short",)),
    Rule("hyperkalaemia", ("t_tented",), without=_BLOCKS),
    Rule("hyperkalaemia", ("t_narrow", "qrs_slow", "regular"), ("p_flat", "no_p"),
         ("tachycardia", _BLOCKS[0])),
    # Where T has sunk into U, their common end is taken for that of T: the QT is a QU.
    Rule("hypokalaemia", ("u_tall", "t_low"), without=_BLOCKS),
    Rule("hypokalaemia", ("qtc_500", "t_low", "st depression"), without=_BLOCKS),
)  # fmt: skip


def _own_ventricles_only(rule: Rule) -> Rule:
    return replace(rule, without=(*_FOREIGN, *rule.without))


RULES: tuple[Rule, ...] = (
    *_RHYTHM_RULES,
    Rule("left atrial abnormality", ("p_present", "p_long", "p_terminal_v1")),
    Rule("right atrial abnormality", ("p_present", "p_tall"),
         without=("supraventricular tachycardia", "ventricular tachycardia")),
    *(_own_ventricles_only(rule) for rule in _VENTRICLE_RULES),
    *_sgarbossa_rules(),
    *_infarction_rules("anterior", "inferior"),
    *_infarction_rules("inferior", "lateral"),
    *_infarction_rules("lateral", "inferior"),
    Rule("posterior myocardial infarction", ("posterior_st", "posterior_t"),
         without=(*_FOREIGN, *_BLOCKS, "right ventricular hypertrophy")),
    Rule("posterior myocardial infarction", ("posterior_r",),
         without=(*_FOREIGN, *_BLOCKS, *_INCOMPLETE, "right ventricular hypertrophy",
                  "axis_right")),
    Rule("posterior myocardial infarction", ("sgarbossa_posterior",)),
    Rule("digoxin effect", ("st depression", "qtc_low"),
         without=(*_FOREIGN, *_BLOCKS, "left ventricular hypertrophy", "t wave inversion",
                  "right_strain", "tachycardia",
                  *(f"{place} myocardial infarction" for place in (*_PLACES, "posterior")))),
)  # fmt: skip

_ACUTE = "ST elevation as in acute infarction"
# Immediate: reperfusion, pacing, cardioversion or calcium within minutes; ESC 2023 acute
# coronary syndromes (Byrne), ACC/AHA/HRS 2018 bradycardia, 2017 ventricular arrhythmias.
ALARMS: tuple[Alarm, ...] = (
    *(Alarm("immediate", f"{_ACUTE} ({place})",
            (f"st_elevation_{place}", f"{place} myocardial infarction")) for place in _PLACES),
    *(Alarm("immediate", "infarction by Sgarbossa's criteria", (f"sgarbossa_{place}",))
      for place in (*_PLACES, "posterior")),
    Alarm("immediate", "ST depression as in acute posterior infarction",
          ("posterior myocardial infarction", "posterior_st")),
    Alarm("immediate", "complete AV block", ("third-degree av block",)),
    Alarm("immediate", "ventricular tachycardia", ("ventricular tachycardia",)),
    Alarm("immediate", "T waves as in hyperkalaemia", ("hyperkalaemia",)),
    Alarm("immediate", "heart rate below 40 in AV block",
          ("second-degree av block", "slow_40")),
    Alarm("immediate", "pause of three seconds or more", ("sinus pause", "pause_3_s")),
    *(Alarm("prompt", label, (label,)) for label in (
        "second-degree av block", "sinus pause", "supraventricular tachycardia",
        "atrial flutter", "wolff-parkinson-white syndrome", "left bundle branch block",
        "myocardial ischaemia", "st elevation", "st depression", "pericarditis", "hypokalaemia",
        *(f"{place} myocardial infarction" for place in (*_PLACES, "posterior")),
    )),
    Alarm("prompt", "fast atrial fibrillation", ("atrial fibrillation", "tachycardia")),
    Alarm("prompt", "heart rate below 40", ("slow_40",)),
    Alarm("prompt", "QTc of 500 ms or more", ("prolonged qt interval", "qtc_500")),
    *(Alarm("prompt", "electrodes seem exchanged: record again", (name,))
      for name in ("arms_exchanged", "leg_exchanged", "chest_exchanged")),
)  # fmt: skip


# --- Applying them

Values = dict[str, float]  # by lead, or under "" for the record
_Person = tuple[float | None, str | None]  # age in years, sex


def apply_protocol(
    measurements: "Measurements",
    *,
    age_years: float | None = None,
    sex: str | None = None,
    calibrated: bool = True,
) -> Findings:
    """Judge a record's measurements by the five phases.

    Where a limit depends on sex or age and these are not known, a criterion is met or excluded
    only if every possible limit says so, else unjudged.

    Args:
        measurements: What `measure` gave.
        age_years: For the ST limits in V2 and V3.
        sex: "female" or "male", for ST, QTc and Cornell limits; anything else is unknown.
        calibrated: False leaves all voltage and ST criteria unjudged.

    Returns:
        Findings, diagnoses and what was not judged; never a clinical diagnosis.

    Source:
        Each criterion names its own; the phases are those of ECG-R1, arXiv:2602.04279.
    """
    unjudged: dict[str, str] = {}
    findings = []
    columns = _columns(measurements)
    for criterion in CRITERIA:
        is_barred = criterion.voltage and not calibrated
        values = _read(criterion, measurements, columns)
        finding = _judge(criterion, values, (age_years, sex), is_barred=is_barred)
        if finding.met is None:
            reason = UNCALIBRATED if is_barred else _why(criterion, measurements, values)
            unjudged[criterion.name] = reason
        findings.append(finding)
    state = {finding.name: finding.met for finding in findings}
    for rule in RULES:
        _decide(rule, state, unjudged)
    labels = [label.text for label in LABELS if state.get(label.text)]
    if labels and set(labels) <= set(SINUS_RHYTHMS) and not calibrated:
        unjudged["normal ecg"] = UNCALIBRATED
    elif labels and set(labels) <= set(SINUS_RHYTHMS):
        labels += _normal(state, unjudged)
    diagnoses = list(in_order(labels))
    support, excluded = _reasons(state, diagnoses)
    urgency = _urgency(state, set(diagnoses))
    return Findings(tuple(findings), diagnoses, unjudged, support, excluded, urgency)


def _reasons(
    state: dict[str, bool | None], diagnoses: list[str]
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Diagnosis to the findings it rests on, and to what it demanded to be absent."""
    support: dict[str, dict[str, None]] = {}  # keys only: a set that keeps its order
    excluded: dict[str, dict[str, None]] = {}
    for rule in RULES:
        if not _met(rule, state):
            continue
        names = (*rule.needs, *(name for name in rule.one_of if state[name]))
        found = support.setdefault(rule.label, {})
        for name in names:
            found.update(support.get(name, {name: None}))
        excluded.setdefault(rule.label, {}).update(dict.fromkeys(rule.without))
    if "normal ecg" in diagnoses:
        rhythms = [support[label] for label in diagnoses if label in support]
        support["normal ecg"] = {name: None for found in rhythms for name in found}
        others = [rule.label for rule in RULES if rule.label not in SINUS_RHYTHMS]
        excluded["normal ecg"] = dict.fromkeys(others)
    return (
        {label: tuple(support[label]) for label in diagnoses},
        {label: tuple(excluded[label]) for label in diagnoses},
    )


def _urgency(state: dict[str, bool | None], diagnoses: set[str]) -> Urgency:
    """The highest level that an alarm asks for, with the reasons of that level."""
    named = {label.text for label in LABELS}
    met = [
        alarm
        for alarm in ALARMS
        if all(name in diagnoses if name in named else state[name] for name in alarm.needs)
    ]
    for level in ("immediate", "prompt"):
        reasons = dict.fromkeys(alarm.reason for alarm in met if alarm.level == level)
        if reasons:
            return Urgency(level, tuple(reasons))
    return Urgency()


def _normal(state: dict[str, bool | None], unjudged: dict[str, str]) -> list[str]:
    """Normal only if every rule could be judged."""
    open_labels = [label.text for label in LABELS if state.get(label.text, False) is None]
    if not open_labels:
        return ["normal ecg"]
    unjudged["normal ecg"] = f"{open_labels[0]} could not be judged"
    return []


def _decide(rule: Rule, state: dict[str, bool | None], unjudged: dict[str, str]) -> None:
    """Three-valued AND of the rule's parts; several rules for one label are joined by OR."""
    met = _met(rule, state)
    joined = _any([state.get(rule.label, False), met])
    state[rule.label] = joined
    if joined is None and met is None:
        names = (*rule.needs, *rule.one_of, *rule.without)
        missing = next(name for name in names if state[name] is None)
        unjudged[rule.label] = unjudged[missing]
    elif joined is not None:
        unjudged.pop(rule.label, None)


def _met(rule: Rule, state: dict[str, bool | None]) -> bool | None:
    parts = [state[name] for name in rule.needs]
    parts += [None if state[name] is None else not state[name] for name in rule.without]
    if rule.one_of:
        parts.append(_any([state[name] for name in rule.one_of]))
    return _all(parts)


def _any(parts: list[bool | None]) -> bool | None:
    return True if True in parts else None if None in parts else False


def _all(parts: list[bool | None]) -> bool | None:
    return False if False in parts else None if None in parts else True


def _why(criterion: Criterion, m: "Measurements", values: Values) -> str:
    """The measurement's own reason, else the leads', else what is missing."""
    turned = _untrusted_leads(m)
    if set(turned) & set(criterion.leads or INSIDE.get(criterion.quantity, ())):
        return _turned_reason(m)
    name = "rr_ms" if criterion.quantity == "rr_spread_ms" else criterion.quantity
    if name in m.unmeasurable:
        return m.unmeasurable[name]
    if criterion.limits and not np.isnan(list(values.values())).any():
        return f"{criterion.subject}: the limit depends on sex or age, which are not both known"
    missing = [lead for lead, value in values.items() if lead and np.isnan(value)]
    bad = [f"{lead}: {m.quality[lead]}" for lead in missing if lead in m.quality]
    place = f" in {', '.join(missing)}" if missing else ""
    return f"{criterion.subject} not measurable{place}" + (
        f" ({'; '.join(bad)})" if bad else ""
    )


def _turned_reason(m: "Measurements") -> str:
    if _heart_on_the_right(m):
        return "the heart seems to lie on the right: leads do not show what they are named for"
    names = {"arms": "arm", "right leg": "right leg", "chest order": "chest"}
    return f"the {names[m.reversal or 'arms']} electrodes seem exchanged: record again"


def _possible_limits(
    criterion: Criterion, lead: str, age_years: float | None, sex: str | None
) -> list[float]:
    """Every threshold that may apply to this person in this lead."""
    known_sex = sex if sex in ("female", "male") else None
    fits = [
        limit.threshold
        for limit in criterion.limits
        if (not limit.leads or lead in limit.leads)
        and (limit.sex is None or known_sex is None or limit.sex == known_sex)
        and (age_years is None or limit.min_age_years <= age_years < limit.max_age_years)
    ]
    return fits or [criterion.threshold]


def _verdict(criterion: Criterion, value: float, limits: list[float]) -> bool | None:
    if np.isnan(value):
        return None
    verdicts = {bool(COMPARE[criterion.comparator](value, limit)) for limit in limits}
    return verdicts.pop() if len(verdicts) == 1 else None


def _read(criterion: Criterion, m: "Measurements", columns: Columns) -> Values:
    """The quantity by lead, or under "" for the record."""
    values = QUANTITIES[criterion.quantity](m, columns)
    if not criterion.leads:
        return {"": float(values)}
    return {lead: float(values[LEADS.index(lead)]) for lead in criterion.leads}


def _judge(
    criterion: Criterion, values: Values, person: _Person, *, is_barred: bool
) -> Finding:
    """Compare and say it in words; a barred criterion is not compared."""
    limits = {lead: _possible_limits(criterion, lead, *person) for lead in values}
    verdicts = {
        lead: None if is_barred else _verdict(criterion, value, limits[lead])
        for lead, value in values.items()
    }
    met, leads = _combine(criterion.needs, verdicts)
    shown = {lead: values[lead] for lead in leads or values}
    lead = _speaking_lead(criterion, shown, is_met=bool(met))
    value = None if is_barred or not np.isfinite(values[lead]) else values[lead]
    names = tuple(lead for lead in shown if lead)
    return Finding(
        name=criterion.name,
        phase=criterion.phase,
        statement=_statement(criterion, value, limits[lead][0], names, met=met),
        leads=names,
        value=value,
        threshold=limits[lead][0],
        unit=criterion.unit,
        met=met,
        source=criterion.source,
    )


def _combine(
    needs: str, verdicts: dict[str, bool | None]
) -> tuple[bool | None, tuple[str, ...]]:
    """The verdict over leads and the leads that meet it (none unless met)."""
    if needs == "any":
        met = _any(list(verdicts.values()))
        return met, tuple(lead for lead, verdict in verdicts.items() if verdict)
    if needs == "all":
        met = _all(list(verdicts.values()))
        return met, tuple(verdicts) if met else ()
    if needs in COUNTS:
        known = list(verdicts.values())
        met = known.count(True) >= COUNTS[needs]
        open_ = not met and known.count(True) + known.count(None) >= COUNTS[needs]
        leads = tuple(lead for lead, verdict in verdicts.items() if verdict)
        return None if open_ else met, leads if met else ()
    pairs = {pair: _all([verdicts[pair[0]], verdicts[pair[1]]]) for pair in _pairs(verdicts)}
    met = _any(list(pairs.values()))
    found = {lead for pair, verdict in pairs.items() if verdict for lead in pair}
    return met, tuple(lead for lead in verdicts if lead in found)


def _pairs(leads: Iterable[str]) -> list[tuple[str, str]]:
    known = set(leads)
    return [pair for pair in CONTIGUOUS if known >= set(pair)]


def _speaking_lead(criterion: Criterion, values: Values, *, is_met: bool) -> str:
    """The lead whose value is quoted.

    It is the clearest where the criterion is met; otherwise the one that decides against it:
    the clearest of single leads, the weakest where all must agree, the weaker of the best pair.
    """
    known = [lead for lead, value in values.items() if np.isfinite(value)]
    if not known:
        return next(iter(values))
    sign = -1 if criterion.comparator in ("<", "<=") else 1

    def clarity(lead: str) -> float:
        return sign * values[lead]

    if criterion.needs in COUNTS:
        return sorted(known, key=clarity)[-min(COUNTS[criterion.needs], len(known))]
    pairs = _pairs(known)
    if criterion.needs == "any" or is_met or (criterion.needs == "two" and not pairs):
        return max(known, key=clarity)
    if criterion.needs == "all":
        return min(known, key=clarity)
    return max((min(pair, key=clarity) for pair in pairs), key=clarity)


def _statement(
    criterion: Criterion,
    value: float | None,
    threshold: float,
    leads: tuple[str, ...],
    *,
    met: bool | None,
) -> str:
    """One sentence such as "PR interval 212 ms (> 200 ms): first-degree AV block"."""
    subject = criterion.subject[0].upper() + criterion.subject[1:]
    place = f" in {', '.join(leads)}" if leads and leads[0] not in subject else ""
    if met is None:
        return f"{subject}{place} not judged: {criterion.meaning} neither found nor excluded"
    bare = criterion.meaning.removeprefix("a ").removeprefix("an ").removeprefix("the ")
    verdict = criterion.meaning if met else f"no {bare}"
    if criterion.comparator == "is":
        return f"{subject}{place}: {verdict}"
    decimals = (
        2 if criterion.unit == "mV" or (not criterion.unit and criterion.threshold % 1) else 0
    )
    number = (
        "without a number"
        if value is None
        else f"{round(value, decimals) + 0:.{decimals}f} {criterion.unit}"
    )
    relation = criterion.comparator if met else f"not {criterion.comparator}"
    limit = f"{threshold:g} {criterion.unit}".strip()
    return f"{subject} {number.strip()}{place} ({relation} {limit}): {verdict}"
