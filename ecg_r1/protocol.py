"""The five-phase protocol: thresholds as data, findings with numbers, diagnoses by rule.

A `Criterion` compares one measured quantity with a sourced threshold and gives a `Finding`; a
`Rule` combines findings into a label. Both are three-valued: what was not measured is neither
met nor excluded but unjudged, with the reason.

What this leaves out, and says so in `Findings.unjudged`: everything that needs flutter waves,
pacing spikes, the AV relation, delta waves, notches, the PR segment or U waves
(`NOT_MEASURED`). For education and research only, never a diagnosis.
"""

import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ecg_r1.ecg import LEADS
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
    "NOT_MEASURED",
    "RULES",
    "Criterion",
    "Finding",
    "Findings",
    "Label",
    "Limit",
    "Rule",
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
UNCALIBRATED = "the record is not calibrated, so voltages and ST levels mean nothing"

LIMB = ("I", "II", "III", "aVR", "aVL", "aVF")
CHEST = ("V1", "V2", "V3", "V4", "V5", "V6")
INFERIOR = ("II", "III", "aVF")
LATERAL = ("I", "aVL", "V5", "V6")
ANTERIOR = ("V1", "V2", "V3", "V4")
# Neighbours in which two leads confirm each other: the groups of the Universal Definition
# (I, aVL; V1-V6; II, III, aVF), with I and V6 as the two that look from the left.
CONTIGUOUS = (
    *(("I", "aVL"), ("I", "V6"), ("II", "aVF"), ("III", "aVF"), ("II", "III")),
    *pairwise(CHEST),
)
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
        needs: "any" lead, "two" contiguous leads, or "all" leads must meet it.
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
class Findings:
    """Everything the protocol says about a record.

    Attributes:
        findings: One per criterion, in the order of `CRITERIA`.
        diagnoses: Canonical labels in canonical order.
        unjudged: Criterion or label to the reason why it was not judged.
    """

    findings: tuple[Finding, ...]
    diagnoses: list[str]
    unjudged: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Plain Python throughout, so that `json.dumps` gives valid JSON."""
        found = [asdict(finding) | {"leads": list(finding.leads)} for finding in self.findings]
        return {
            "findings": found,
            "diagnoses": list(self.diagnoses),
            "unjudged": dict(self.unjudged),
        }


# --- Quantities: what the criteria look at, an array over leads or one number for the record

Columns = dict[str, np.ndarray]  # `Measurements.leads` by column, rows as in LEADS
Quantity = Callable[["Measurements", Columns], "np.ndarray | float"]


def _columns(m: "Measurements") -> Columns:
    table = m.leads.reindex(list(LEADS))
    c = {name: table[name].to_numpy(float) for name in table.columns}
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


def _rr_spread(m: "Measurements", _: Columns) -> float:
    return float(np.ptp(m.rr_ms)) if len(m.rr_ms) >= 2 else float("nan")


def _q_width(depth_mv: float) -> Quantity:
    """Q duration where Q is at least so deep, else 0; a QS counts with its whole width."""
    return _qrs(lambda c: np.where(c["q"] >= depth_mv, c["q_ms"], 0.0))


QUANTITIES: dict[str, Quantity] = {
    **{
        name: _headline(name)
        for name in (
            *("hr_bpm", "pr_ms", "qrs_ms", "qtc_ms", "axis_deg", "p_present", "regular"),
            *("n_wide_premature", "n_narrow_premature"),
        )
    },
    **{name: _column(name) for name in ("p_ms", "p_mv", "t_mv", "rsr")},
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

_PHASE_1 = (
    Criterion("bradycardia", 1, "heart rate", "bradycardia", "hr_bpm", "<", 60, "bpm", CHOU),
    Criterion("tachycardia", 1, "heart rate", "tachycardia", "hr_bpm", ">", 100, "bpm", CHOU),
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
        "q_inferior", 2, "Q wave", "qR complexes in III and aVF", "has_q", "is", 1, "", PART3,
        leads=("III", "aVF"), needs="all",
    ),
)  # fmt: skip

_PHASE_3 = (
    Criterion(
        "sokolow_lyon", 3, "S(V1) + R(V5 or V6)", "Sokolow-Lyon voltage", "sokolow_mv", ">=",
        3.5,
        "mV", f"Sokolow & Lyon 1949; {PART5}", voltage=True,
        paper_threshold="S(V1) + R(V6) > 35 mm",
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
)  # fmt: skip

CRITERIA: tuple[Criterion, ...] = (*_PHASE_1, *_PHASE_2, *_PHASE_3, *_PHASE_4, *_PHASE_5)


# --- Rules

_BLOCKS = ("left bundle branch block", "right bundle branch block")


def _infarction_rules(place: str, mirror: str) -> Iterator[Rule]:
    """Old infarction by its Q waves; acute by ST elevation with reciprocal depression."""
    label, lbbb = f"{place} myocardial infarction", _BLOCKS[:1]
    q_waves = ("q_waves_anterior", "q_v2_v3") if place == "anterior" else (f"q_waves_{place}",)
    yield Rule(label, one_of=q_waves, without=lbbb)
    yield Rule(label, (f"st_elevation_{place}", f"st_depression_{mirror}"), without=lbbb)


RULES: tuple[Rule, ...] = (
    Rule("atrial fibrillation", without=("regular", "p_present")),
    Rule("ectopic atrial rhythm", ("p_present", "p_inverted"), without=("pr_short",)),
    Rule("junctional rhythm", ("p_present", "p_inverted", "pr_short")),
    Rule("junctional rhythm", ("regular",), without=("p_present", "qrs_wide", "tachycardia")),
    Rule("supraventricular tachycardia", ("regular", "tachycardia"),
         without=("p_present", "qrs_wide")),
    Rule("ventricular tachycardia", ("regular", "tachycardia", "qrs_wide"),
         without=("p_present",)),
    Rule("sinus bradycardia", ("p_present", "bradycardia"), without=("p_inverted",)),
    Rule("sinus tachycardia", ("p_present", "tachycardia"), without=("p_inverted",)),
    Rule("sinus arrhythmia", ("p_present", "rr_spread"),
         without=("p_inverted", "narrow_premature", "wide_premature")),
    Rule("sinus rhythm", ("p_present",), without=("p_inverted", "bradycardia", "tachycardia")),
    Rule("premature atrial complexes", ("narrow_premature",), without=("atrial fibrillation",)),
    Rule("premature ventricular complexes", ("wide_premature",)),
    Rule("first-degree av block", ("p_present", "pr_long")),
    Rule("left bundle branch block", ("qrs_wide", "left_clean"),
         without=("v1_positive", "rsr_v1")),
    Rule("incomplete left bundle branch block", ("qrs_slow", "left_clean"),
         without=("qrs_wide", "v1_positive", "rsr_v1")),
    Rule("right bundle branch block", ("qrs_wide", "s_lateral"),
         one_of=("rsr_v1", "v1_positive")),
    Rule("incomplete right bundle branch block", ("qrs_slow", "s_lateral", "rsr_v1"),
         without=("qrs_wide",)),
    Rule("nonspecific intraventricular conduction delay", ("qrs_above_110",),
         without=(*_BLOCKS, *(f"incomplete {block}" for block in _BLOCKS))),
    # Beside a right bundle branch block the late forces turn the axis further still.
    Rule("left anterior fascicular block",
         ("axis_lafb", "q_avl", "rs_inferior", "right bundle branch block")),
    Rule("left anterior fascicular block", ("axis_lafb", "q_avl", "rs_inferior"),
         without=("axis_extreme", _BLOCKS[0])),
    Rule("left axis deviation", ("axis_left",), without=("axis_extreme",)),
    Rule("right axis deviation", ("axis_right",)),
    Rule("left atrial abnormality", ("p_present", "p_long", "p_terminal_v1")),
    Rule("right atrial abnormality", ("p_present", "p_tall")),
    Rule("left ventricular hypertrophy", one_of=("sokolow_lyon", "cornell"), without=_BLOCKS),
    # The left anterior fascicle's block alone raises R in I and aVL and deepens S in III.
    Rule("left ventricular hypertrophy", one_of=("r_avl", "gubner"),
         without=(*_BLOCKS, "left anterior fascicular block")),
    Rule("right ventricular hypertrophy", ("r_v1_tall", "r_v1_dominant", "axis_right"),
         without=_BLOCKS),
    Rule("left posterior fascicular block", ("axis_right", "rs_high_lateral", "q_inferior"),
         without=("right ventricular hypertrophy", _BLOCKS[0])),
    Rule("low qrs voltage", one_of=("low_limb", "low_chest")),
    Rule("poor r wave progression", ("r_v3_small",), without=_BLOCKS[:1]),
    *_infarction_rules("anterior", "inferior"),
    *_infarction_rules("inferior", "lateral"),
    *_infarction_rules("lateral", "inferior"),
    Rule("st elevation", one_of=tuple(f"st_elevation_{place}" for place in _PLACES),
         without=_BLOCKS[:1]),
    # ST and T follow a bundle branch block by themselves (secondary changes).
    Rule("st depression", one_of=tuple(f"st_depression_{place}" for place in _PLACES),
         without=_BLOCKS),
    Rule("t wave inversion", one_of=tuple(f"t_inversion_{place}" for place in _PLACES),
         without=_BLOCKS),
    Rule("myocardial ischaemia", ("st depression", "t wave inversion"),
         without=("left ventricular hypertrophy",)),
    Rule("nonspecific st-t abnormality", ("t_low",),
         without=(*_BLOCKS, "myocardial ischaemia", "t wave inversion")),
    # A wide QRS lengthens QT by itself (part IV), so no label beside one.
    Rule("prolonged qt interval", ("qtc_long",), without=("qrs_wide",)),
    Rule("short qt interval", ("qtc_short",)),
)  # fmt: skip

NOT_MEASURED: dict[str, str] = {
    "sinus pause": "pauses are not told from dropped beats",
    "atrial flutter": "flutter waves are not measured",
    "paced rhythm": "pacing spikes are not measured",
    "second-degree av block": "the relation of single P waves to QRS is not measured",
    "third-degree av block": "the relation of single P waves to QRS is not measured",
    "wolff-parkinson-white syndrome": "delta waves are not measured",
    "dextrocardia": "it is not told from exchanged arm electrodes",
    "posterior myocardial infarction": "the duration of R in V1 and V2 is not measured",
    "pericarditis": "the level of the PR segment is not measured",
    "early repolarisation": "notches at the end of the QRS are not measured",
    "hyperkalaemia": "the shape of T waves is not measured",
    "hypokalaemia": "U waves are not measured",
    "digoxin effect": "the shape of the ST segment is not measured",
}


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
    unjudged |= NOT_MEASURED
    if labels and set(labels) <= set(SINUS_RHYTHMS) and not calibrated:
        unjudged["normal ecg"] = UNCALIBRATED
    elif labels and set(labels) <= set(SINUS_RHYTHMS):
        labels += _normal(state, unjudged)
    return Findings(tuple(findings), list(in_order(labels)), unjudged)


def _normal(state: dict[str, bool | None], unjudged: dict[str, str]) -> list[str]:
    """Normal only if every rule could be judged."""
    open_labels = [rule.label for rule in RULES if state[rule.label] is None]
    if not open_labels:
        return ["normal ecg"]
    unjudged["normal ecg"] = f"{open_labels[0]} could not be judged"
    return []


def _decide(rule: Rule, state: dict[str, bool | None], unjudged: dict[str, str]) -> None:
    """Three-valued AND of the rule's parts; several rules for one label are joined by OR."""
    parts = [state[name] for name in rule.needs]
    parts += [None if state[name] is None else not state[name] for name in rule.without]
    if rule.one_of:
        parts.append(_any([state[name] for name in rule.one_of]))
    met = _all(parts)
    joined = _any([state.get(rule.label, False), met])
    state[rule.label] = joined
    if joined is None and met is None:
        names = (*rule.needs, *rule.one_of, *rule.without)
        missing = next(name for name in names if state[name] is None)
        unjudged[rule.label] = unjudged[missing]
    elif joined is not None:
        unjudged.pop(rule.label, None)


def _any(parts: list[bool | None]) -> bool | None:
    return True if True in parts else None if None in parts else False


def _all(parts: list[bool | None]) -> bool | None:
    return False if False in parts else None if None in parts else True


def _why(criterion: Criterion, m: "Measurements", values: Values) -> str:
    """The measurement's own reason, else the leads', else what is missing."""
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
        2 if criterion.unit == "mV" or criterion.quantity in ("r_over_s", "t_share") else 0
    )
    number = (
        "without a number"
        if value is None
        else f"{round(value, decimals) + 0:.{decimals}f} {criterion.unit}"
    )
    relation = criterion.comparator if met else f"not {criterion.comparator}"
    limit = f"{threshold:g} {criterion.unit}".strip()
    return f"{subject} {number.strip()}{place} ({relation} {limit}): {verdict}"
