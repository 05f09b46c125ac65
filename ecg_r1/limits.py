"""Limits that the simulator's truth and the protocol both go by, each with its source.

Where the ECG-R1 paper's protocol says otherwise, that stands beside it (`Bound.paper`); the
guideline's is the one used.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ecg_r1.ecg import LEADS

CHOU = "Surawicz & Knilans, Chou's Electrocardiography, 6th ed. 2008"
PART3 = "AHA/ACCF/HRS 2009 part III (Surawicz)"
PART4 = "AHA/ACCF/HRS 2009 part IV (Rautaharju)"
PART5 = "AHA/ACCF/HRS 2009 part V (Hancock)"
UDMI = "Fourth Universal Definition of Myocardial Infarction 2018 (Thygesen)"
MINNESOTA = "Minnesota code (Prineas 1982)"
BRADY = "ACC/AHA/HRS 2018 bradycardia (Kusumoto)"

COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "is": operator.eq,
}


@dataclass(frozen=True)
class Limit:
    """A threshold for some leads or persons, in place of the general one."""

    threshold: float
    leads: tuple[str, ...] = ()  # empty: every lead
    sex: str | None = None
    min_age_years: float = 0
    max_age_years: float = float("inf")  # exclusive


@dataclass(frozen=True)
class Bound:
    """One comparison with its threshold.

    Attributes:
        comparator: Key of `COMPARE`.
        threshold: In `unit`, where none of `cases` fits.
        unit: Of the threshold.
        source: Guideline or monograph with its year; "ours" with the reason where it is ours.
        paper: What the ECG-R1 paper's protocol says, where that differs.
        cases: Thresholds for certain leads, sexes or ages.
    """

    comparator: str
    threshold: float
    unit: str
    source: str
    paper: str | None = None
    cases: tuple[Limit, ...] = ()

    def terms(self) -> dict[str, Any]:
        """The same under the names of a `Criterion`'s fields."""
        return {
            "comparator": self.comparator,
            "threshold": self.threshold,
            "unit": self.unit,
            "source": self.source,
            "paper_threshold": self.paper,
            "limits": self.cases,
        }

    def possible(self, lead: str, age_years: float | None, sex: str | None) -> list[float]:
        """Every threshold that may apply to this person in this lead; see `possible`."""
        return possible(self.cases, self.threshold, lead, (age_years, sex))

    def met(self, value: float, age_years: float | None = None, sex: str | None = None) -> bool:
        """Whether a value of the whole record passes, for an unknown person every threshold.

        Example:
            >>> QTC_LONG.met(455, sex="male"), QTC_LONG.met(455, sex="female")
            (True, False)
            >>> QTC_LONG.met(455)
            False
        """
        limits = self.possible("", age_years, sex)
        return all(COMPARE[self.comparator](value, limit) for limit in limits)

    def met_by_lead(
        self, values: np.ndarray, age_years: float | None = None, sex: str | None = None
    ) -> np.ndarray:
        """The same of twelve values in the order of `LEADS`, as booleans.

        Example:
            >>> ST_ELEVATION.met_by_lead(np.full(12, 0.15), 50, "male")[6:].tolist()
            [True, False, False, True, True, True]
        """
        return COMPARE[self.comparator](np.asarray(values), _surest(self, age_years, sex))


@cache
def _surest(bound: Bound, age_years: float | None, sex: str | None) -> np.ndarray:
    """By lead, the threshold that an unknown person must pass to be sure."""
    last = max if bound.comparator in (">", ">=") else min
    return np.array([last(bound.possible(lead, age_years, sex)) for lead in LEADS])


def possible(
    cases: tuple[Limit, ...],
    threshold: float,
    lead: str,
    person: tuple[float | None, str | None],
) -> list[float]:
    """Every threshold that may apply: those of `cases` that fit, else the general one.

    Args:
        cases: Thresholds for certain leads, sexes or ages.
        threshold: The general one.
        lead: A lead's name, "" for the whole record.
        person: Age in years and sex, None where unknown.
    """
    age_years, sex = person
    known_sex = sex if sex in ("female", "male") else None
    fits = [
        limit.threshold
        for limit in cases
        if (not limit.leads or lead in limit.leads)
        and (limit.sex is None or known_sex is None or limit.sex == known_sex)
        and (age_years is None or limit.min_age_years <= age_years < limit.max_age_years)
    ]
    return fits or [threshold]


# --- rhythm -----------------------------------------------------------------------------------

BRADYCARDIA = Bound("<", 60, "bpm", f"{CHOU}; below 50 bpm: {BRADY}")
TACHYCARDIA = Bound(">", 100, "bpm", CHOU)
RR_SPREAD = Bound(">", 120, "ms", CHOU)
PAUSE = Bound(">=", 2000, "ms", f"{CHOU}; treated from 3 s on: {BRADY}")

# --- P and conduction -------------------------------------------------------------------------

P_TALL = Bound(">", 0.25, "mV", PART5)
P_LONG = Bound(">=", 120, "ms", PART5, paper="> 0.12 s")
P_TERMINAL = Bound(
    "<=", -0.1, "mV", f"{PART5}; Morris 1964",
    paper="deep terminal negative part, without a number",
)  # fmt: skip
PR_LONG = Bound(">", 200, "ms", f"{CHOU}; {BRADY}")
QRS_WIDE = Bound(">=", 120, "ms", PART3, paper="> 120 ms")
QRS_LONG = Bound(">", 110, "ms", PART3, paper="normal < 100 ms")
AXIS_LEFT = Bound("<", -30, "degrees", PART3, paper="I positive and II negative")
AXIS_RIGHT = Bound(">", 90, "degrees", PART3, paper="I negative and aVF positive")
AXIS_EXTREME = Bound("<", -90, "degrees", PART3)

# --- voltages ---------------------------------------------------------------------------------

SOKOLOW = Bound(
    ">=", 3.5, "mV",
    f"Sokolow & Lyon 1949; {PART5}, for adults over 35. The young have larger voltages: below "
    f"30 the 99th percentile of healthy ones, 5.3 mV ({CHOU}); from 30 to 35, 4.5 mV is ours",
    paper="S(V1) + R(V6) > 35 mm",
    cases=(
        Limit(5.3, max_age_years=30),
        Limit(4.5, min_age_years=30, max_age_years=35),
        Limit(3.5, min_age_years=35),
    ),
)  # fmt: skip
CORNELL = Bound(
    ">", 2.8, "mV", f"Casale 1985; {PART5}",
    cases=(Limit(2.8, sex="male"), Limit(2.0, sex="female")),
)  # fmt: skip
R_V1_TALL = Bound(">", 0.6, "mV", PART5)
LOW_LIMB = Bound("<", 0.5, "mV", CHOU)
LOW_CHEST = Bound("<", 1.0, "mV", CHOU)
R_V3_SMALL = Bound(
    "<=", 0.3, "mV", "Zema & Kligfield 1982",
    paper="poor progression V1-V4, without a number",
)  # fmt: skip
R_V4_SMALL = Bound(
    "<=", 0.5, "mV",
    "ours: an R that has grown by V4 is the late transition of many healthy hearts",
    paper="poor progression V1-V4, without a number",
)  # fmt: skip

# --- ST, T and Q ------------------------------------------------------------------------------

_V2_V3 = ("V2", "V3")
ST_ELEVATION = Bound(
    ">=", 0.1, "mV", UDMI,
    paper=">= 1 mm in limb leads, >= 2 mm in chest leads",
    cases=(
        Limit(0.1, leads=tuple(lead for lead in LEADS if lead not in _V2_V3)),
        Limit(0.15, leads=_V2_V3, sex="female"),
        Limit(0.25, leads=_V2_V3, sex="male", max_age_years=40),
        Limit(0.2, leads=_V2_V3, sex="male", min_age_years=40),
    ),
)  # fmt: skip
ST_DEPRESSION = Bound(
    "<=", -0.05, "mV", UDMI, paper="horizontal or downsloping, without a number"
)
T_INVERSION = Bound("<", -0.1, "mV", UDMI, paper="symmetrical inversion, without a number")
T_TALL = Bound(
    ">", 1.0, "mV", CHOU,
    paper="tall and tented, without a number",
    cases=(Limit(0.5, leads=LEADS[:6]), Limit(1.0, leads=LEADS[6:])),
)  # fmt: skip
T_LOW = Bound("<", 0.1, "", PART4)  # as a share of an R of at least LEAST_R_MV
LEAST_R_MV = 0.3
Q_WIDE = Bound(">=", 30, "ms", UDMI, paper="> 0.03 s wide or > 0.1 mV deep")
Q_DEPTH_MV = 0.1  # of a Q that counts: the same source
Q_V2_V3 = Bound(">", 20, "ms", UDMI, paper="> 0.03 s wide or > 0.1 mV deep")
R_POSTERIOR = Bound(">=", 40, "ms", UDMI, paper="dominant R in V1: RVH or posterior infarction")
NOTCH = Bound(">=", 0.1, "mV", "Macfarlane 2015")

# --- QT ---------------------------------------------------------------------------------------

QTC_LONG = Bound(
    ">=", 460, "ms", PART4, paper="<= 440 ms is normal",
    cases=(Limit(450, sex="male"), Limit(460, sex="female")),
)  # fmt: skip
QTC_SHORT = Bound("<=", 340, "ms", "ESC 2015 ventricular arrhythmias (Priori)")
