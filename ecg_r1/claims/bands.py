"""How far a stated number may be off, and which numbers deserve which word."""

from ecg_r1.claims.schema import QUANTITIES, Claim
from ecg_r1.limits import (
    AXIS_EXTREME,
    AXIS_LEFT,
    AXIS_RIGHT,
    BRADYCARDIA,
    CORNELL,
    PR_LONG,
    QRS_LONG,
    QRS_WIDE,
    QTC_LONG,
    QTC_SHORT,
    SOKOLOW,
    TACHYCARDIA,
)

Person = tuple[float | None, str | None]  # age in years and sex

# Name -> absolute tolerance and share of the measured value; the larger one counts. Sources:
# tests/claims/README.md; between-reader differences of LUDB's cardiologists are smaller.
TOLERANCE: dict[str, tuple[float, float]] = {
    "hr_bpm": (5, 0.05),
    "atrial_bpm": (15, 0.05),
    "rr_ms": (40, 0.05),
    "p_ms": (25, 0.0),
    "pr_ms": (20, 0.0),
    "qrs_ms": (20, 0.0),
    "qt_ms": (30, 0.0),
    "qtc_ms": (30, 0.0),
    "axis_deg": (20, 0.0),
    "p_axis_deg": (30, 0.0),
    "t_axis_deg": (30, 0.0),
    "st_mv": (0.05, 0.2),
}
VOLTAGE_TOLERANCE = (0.1, 0.2)
PR_SHORT_MS = 120  # AHA/ACCF/HRS 2009 part III: below it the PR is short
SLACK = {"bpm": 5.0, "ms": 10.0, "degrees": 10.0, "mV": 0.1}  # of a word about a number
QT_NORMAL_MS = (340, 470)  # uncorrected, at 60-100 bpm: ours, wide on purpose


def tolerance(claim: Claim, measured: float) -> float:
    """How far a stated number may lie from the measured one."""
    least, share = TOLERANCE.get(claim.name, VOLTAGE_TOLERANCE)
    return max(least, share * abs(measured))


def middle(value: float | tuple[float, float] | None) -> float | None:
    """A stated number, of a range its middle."""
    return sum(value) / 2 if isinstance(value, tuple) else value


def away(claim: Claim, measured: float, unit: str) -> float:
    """How far the measured number lies outside what the text says, signed; 0 inside."""
    told = claim.value
    if told is None:
        return 0.0
    if isinstance(told, tuple):
        low, high = min(told), max(told)
        return min(measured - low, 0.0) + max(measured - high, 0.0)
    if unit == "degrees":
        return (measured - told + 180) % 360 - 180
    off = measured - told
    if claim.comparator in ("<", "<="):
        return max(off, 0.0)
    return min(off, 0.0) if claim.comparator in (">", ">=") else off


def word_against(claim: Claim, value: float | None, person: Person) -> str | None:
    """Why a number does not deserve the word that the text gives it, or None.

    Args:
        claim: Its name and qualifier count; a number that is not the claim's own has slack.
        value: The number, in the claim's unit.
        person: Age in years and sex, None where unknown.

    Example:
        >>> claim = Claim("interval", "qtc_ms", value=450, qualifier="normal")
        >>> word_against(claim, 450, (50, "male"))
        '450 ms is not normal'
    """
    if claim.qualifier is None or value is None:
        return None
    band = _band(claim.name, claim.qualifier, person)
    if band is None:
        return None
    unit = QUANTITIES[claim.name][1]
    slack = SLACK[unit] if value != middle(claim.value) else 0.0
    if band[0] - slack <= value <= band[1] + slack:
        return None
    return f"{value:g} {unit} is not {claim.qualifier}"


_OPEN = float("inf")


def _band(name: str, word: str, person: Person) -> tuple[float, float] | None:
    """From where to where a number may be called so; None where the word says nothing."""
    age, sex = person
    qtc = QTC_LONG.possible("", age, sex)
    bands: dict[str, dict[str, tuple[float, float]]] = {
        "hr_bpm": {
            "slow": (0, BRADYCARDIA.threshold),
            "normal": (50, TACHYCARDIA.threshold),  # 50: ACC/AHA/HRS 2018
            "fast": (TACHYCARDIA.threshold, _OPEN),
        },
        "pr_ms": {
            "short": (0, PR_SHORT_MS),
            "normal": (PR_SHORT_MS, PR_LONG.threshold),
            "borderline": (190, 210),
            "prolonged": (PR_LONG.threshold, _OPEN),
        },
        "qrs_ms": {
            "narrow": (0, QRS_WIDE.threshold),
            "normal": (0, QRS_LONG.threshold),
            "borderline": (100, QRS_WIDE.threshold),
            "wide": (QRS_LONG.threshold, _OPEN),
            "prolonged": (QRS_LONG.threshold, _OPEN),
        },
        "qt_ms": {"normal": QT_NORMAL_MS},
        "qtc_ms": {
            "short": (0, 360),
            "normal": (QTC_SHORT.threshold, max(qtc) - 1),  # the limit itself is long
            "borderline": (430, 480),
            "prolonged": (min(440, *qtc), _OPEN),  # 440: the paper's protocol
            "severely prolonged": (500, _OPEN),
        },
        "axis_deg": {
            "normal": (AXIS_LEFT.threshold, AXIS_RIGHT.threshold),
            "left": (AXIS_EXTREME.threshold, 0),
            "right": (AXIS_RIGHT.threshold, 180),
        },
        "sokolow_mv": {
            "normal": (0, max(SOKOLOW.possible("", age, sex))),
            "high": (min(SOKOLOW.possible("", age, sex)), _OPEN),
        },
        "cornell_mv": {
            "normal": (0, max(CORNELL.possible("", age, sex))),
            "high": (min(CORNELL.possible("", age, sex)), _OPEN),
        },
        "p_ms": {"normal": (0, 120), "prolonged": (110, _OPEN), "wide": (110, _OPEN)},
    }
    return bands.get(name, {}).get(word)
