"""Believable patients: people, their intervals, and conditions that can stand together."""

from bisect import bisect
from functools import cache

import numpy as np

from ecg_r1.simulate.conditions import Condition, Dials, condition, of_group
from ecg_r1.simulate.recording import draw_recording
from ecg_r1.simulate.spec import HeartSpec, one_of

BALANCES = ("balanced", "prevalent")
# Share of patients without any condition, beside those whom each group passes by.
HEALTHY = {"balanced": 0.28, "prevalent": 0.40}
GROUPS = ("rhythm", "ectopy", "conduction", "muscle", "substance")
NORMAL = {
    "rhythm": "sinus rhythm",
    "ectopy": "no ectopy",
    "conduction": "normal conduction",
    "muscle": "healthy muscle",
    "substance": "no substance",
}
# Rhythms whose ventricles are not the muscle's own, or too fast to show more than themselves.
_ALONE = (
    "ventricular tachycardia", "ventricular pacing", "dual-chamber pacing",
    "complete AV block, ventricular escape", "AV nodal re-entrant tachycardia",
    "AV re-entrant tachycardia",
)  # fmt: skip
_SINUS = ("sinus rhythm", "sinus bradycardia", "sinus tachycardia")
_STEADY = (*_SINUS, "atrial fibrillation")
# Blocks that hide Q waves, hypertrophy, ischaemia and substances, and pre-excitation.
_HIDING = ("LBBB", "incomplete LBBB", "WPW")
_WIDE = (*_HIDING, "RBBB", "RBBB and LAFB", "RBBB and LPFB", "IVCD")
_FREE_OF_P = ("left atrial abnormality", "right atrial abnormality", "pericarditis")
SHORTEST_JT_MS = 130.0
SHORTEST_PR_MS = 122.0  # normal from 120 on (AHA/ACCF/HRS 2009 part III); beats vary by 1
ROOM_FOR_THREE_BPM = 72.0  # below it three PVCs may not find places in ten seconds


def sample_spec(rng: np.random.Generator, balance: str = "balanced") -> HeartSpec:
    """A believable patient.

    Args:
        rng: Draws every dial.
        balance: "balanced" shows each condition often enough to learn it; "prevalent" as
            often as a hospital meets it, after PTB-XL's statements.

    Returns:
        Dials that `simulate` accepts.

    Raises:
        ECGError: `balance` is neither.

    Example:
        >>> sample_spec(np.random.default_rng(1)).hr_bpm > 30
        True
    """
    one_of("balance", balance, BALANCES)
    names = {} if rng.random() < HEALTHY[balance] else _draw_names(rng, balance)
    return spec_of(names, rng)


def spec_of(names: dict[str, str], rng: np.random.Generator) -> HeartSpec:
    """A patient with the named condition of each group; groups left out are normal.

    Args:
        names: Group to a name of the catalogue.
        rng: Draws every dial.

    Raises:
        ECGError: A name is not in the catalogue.
    """
    names = NORMAL | names
    ill = names != NORMAL
    dials = _person(rng, ill=ill)
    for group in GROUPS:
        dials |= _drawn_rate_wins(dials, condition(names[group]), rng)
    if dials["hr_bpm"] < ROOM_FOR_THREE_BPM and "n_pvc" in dials:
        dials["n_pvc"] = min(dials["n_pvc"], 2)
    dials = _with_intervals(rng, dials)
    return HeartSpec(recording=draw_recording(rng), **dials)


def _drawn_rate_wins(dials: Dials, one: Condition, rng: np.random.Generator) -> Dials:
    """Later groups give way where the rhythm has set the rate or the ventricles' own QRS."""
    drawn = one.draw(rng)
    if one.group == "rhythm":
        return drawn
    special = dials.get("rhythm", "sinus") != "sinus" or "av_block" in dials
    return {
        name: value
        for name, value in drawn.items()
        if not (name in ("hr_bpm", "rr_variation") and special)
    }


def _draw_names(rng: np.random.Generator, balance: str) -> dict[str, str]:
    """A condition of each group, drawn again where they cannot stand together."""
    names = dict(NORMAL)
    for group in GROUPS:
        names[group] = _weighted(rng, group, balance).name
        if not _compatible(names, group):
            names[group] = NORMAL[group]
    return names


def _weighted(rng: np.random.Generator, group: str, balance: str) -> Condition:
    found, ends = _shares(group, balance)
    return found[bisect(ends, rng.random())]


@cache
def _shares(group: str, balance: str) -> tuple[list[Condition], list[float]]:
    """The conditions of a group, and where the share of each ends between 0 and 1."""
    found = of_group(group)
    weights = np.cumsum([getattr(one, balance) for one in found])
    return found, (weights / weights[-1]).tolist()


def _compatible(names: dict[str, str], group: str) -> bool:
    """Whether this group's condition can be seen beside those of the groups before."""
    if group == "rhythm" or names[group] == NORMAL[group]:
        return True
    rhythm = names["rhythm"]
    if rhythm in _ALONE:
        return False
    if group == "ectopy":
        return rhythm in _STEADY and (names["ectopy"] != "PAC" or rhythm in _SINUS)
    if group == "conduction":
        needs_sinus = names["conduction"] in ("first-degree AV block", "WPW")
        return rhythm in _SINUS or not needs_sinus
    return _muscle_fits(names) if group == "muscle" else _substance_fits(names)


def _muscle_fits(names: dict[str, str]) -> bool:
    rhythm, conduction, muscle = names["rhythm"], names["conduction"], names["muscle"]
    if muscle in _FREE_OF_P:
        return rhythm in _SINUS and conduction == "normal conduction"
    if muscle == "dextrocardia" or muscle.startswith("RVH"):
        return conduction == "normal conduction"
    return conduction not in _WIDE or (conduction not in _HIDING and "old" in muscle)


def _substance_fits(names: dict[str, str]) -> bool:
    """They need a narrow QRS and a muscle that does not move ST and T itself."""
    plain = names["muscle"] in ("healthy muscle", "LVH") and names["conduction"] not in _WIDE
    calm = names["rhythm"] != "sinus tachycardia" and names["ectopy"] == "no ectopy"
    return plain and calm and names["rhythm"] in _STEADY


def _within(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    """A normal number, drawn again as uniform where it leaves its range."""
    value = rng.normal(mean, sd)
    return float(value if low <= value <= high else rng.uniform(low, high))


def _person(rng: np.random.Generator, *, ill: bool) -> Dials:
    """Age, sex and the chest; PTB-XL's ages."""
    return {
        "age_years": float(round(_within(rng, 62 if ill else 48, 16, 18, 89))),
        "sex": "female" if rng.random() < 0.5 else "male",
        "rr_variation": float(min(max(np.exp(rng.normal(-3.45, 0.6)), 0.006), 0.07)),
        "breaths_per_min": float(rng.uniform(10, 20)),
        "front_gain": float(np.exp(rng.normal(0, 0.10))),
        "qrs_gain": float(np.exp(rng.normal(0.07, 0.06))),
        "u_mv": float(rng.uniform(0.02, 0.12)),
        "pr_depression_mv": float(rng.uniform(0.01, 0.035)),
    }


def _with_intervals(rng: np.random.Generator, dials: Dials) -> Dials:
    """P, PR, QRS and QT of this person, where no condition has set them.

    Limits by age and sex after Mason et al. 2007, J Electrocardiol 40:228; means such that
    `measure` reads the same on these as on PTB-XL's normal records.
    """
    male = dials["sex"] == "male"
    older = (dials["age_years"] - 50) / 10
    rr_ms = 60000 / dials["hr_bpm"]
    p_ms = _within(rng, 107 + 1.5 * older, 9, 84, 119)
    pr_ms = _within(rng, (171 if male else 159) + 4 * older, 20, 112, 199)
    pr_ms = max(pr_ms - max(0.0, 900 - rr_ms) * 0.03, SHORTEST_PR_MS)
    qrs_ms = _within(rng, 87 if male else 79, 7, 66, 109)
    qtc_ms = _within(rng, (395 if male else 402) + 4 * older, 15, 356, 440)
    found = {"p_ms": p_ms, "pr_ms": pr_ms, "qrs_ms": qrs_ms} | dials
    qtc_ms = found.pop("qtc_ms", qtc_ms + 0.6 * max(found["qrs_ms"] - 105, 0))
    if found.get("av_block", "none") == "none":
        # Restitution after a short RR lengthens nothing: T must end before the next P or QRS.
        room = rr_ms - (0.35 * rr_ms if dials.get("rhythm") == "atrial fibrillation" else 20)
        qt_ms = qtc_ms * np.cbrt(rr_ms / 1000)
        shortest = min(found["qrs_ms"] + SHORTEST_JT_MS, rr_ms)
        found["qt_ms"] = float(max(min(qt_ms, room), shortest))
    else:
        rate = dials["escape_bpm"] if dials["av_block"] == "third degree" else 45.0
        found["qt_ms"] = float(qtc_ms * np.cbrt(60 / max(rate, 45.0)))
    found["pr_ms"] = float(min(max(found["pr_ms"], found["p_ms"] + 6), 0.6 * rr_ms))
    found["p_ms"] = float(min(found["p_ms"], found["pr_ms"] - 4))
    return found
