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
_OPEN = float("inf")
SLACK = {"bpm": 5.0, "ms": 10.0, "degrees": 10.0, "mV": 0.1}  # of a word about a number
QT_NORMAL_MS = (340, 470)  # uncorrected, at 60-100 bpm: ours, wide on purpose


# Between these lies nearly every ECG that can be read, alarms included: a bound or a range that
# leaves none of it out says nothing. Ours; wide, so that "above 40" and "below 500" speak.
_EVERY: dict[str, tuple[float, float]] = {
    "hr_bpm": (35, 180),
    "atrial_bpm": (35, 350),
    "rr_ms": (330, 1700),
    "p_ms": (60, 150),
    "pr_ms": (100, 320),
    "qrs_ms": (70, 170),
    "qt_ms": (300, 520),
    "qtc_ms": (330, 550),
    "axis_deg": (-90, 120),
    "p_axis_deg": (-90, 120),
    "t_axis_deg": (-90, 120),
    "sokolow_mv": (0.8, 5.0),
    "cornell_mv": (0.4, 4.0),
    "qrs_mv": (0.2, 4.0),
    "p_mv": (0.05, 0.3),
    "q_mv": (0.0, 1.0),
    "r_mv": (0.1, 3.5),
    "s_mv": (0.0, 3.0),
    "t_mv": (-0.5, 1.2),
    "st_mv": (-0.3, 0.5),
}


def says_nothing(claim: Claim) -> bool:
    """Whether what a claim allows of a number holds of nearly every ECG.

    Args:
        claim: Of any kind; only one with a bound or a range can say nothing.

    Example:
        >>> told = ((100, 900), "range"), ((400, 440), "range"), (500, "<")
        >>> [says_nothing(Claim("interval", "qtc_ms", value=v, comparator=c)) for v, c in told]
        [True, False, False]
    """
    if claim.name not in _EVERY or claim.comparator in (None, "="):
        return False
    least, most = _EVERY[claim.name]
    low, high = allowed(claim)
    return low <= least and high >= most


def allowed(claim: Claim) -> tuple[float, float]:
    """The least and the largest number that a claim with a value allows."""
    if isinstance(claim.value, tuple):
        return min(claim.value), max(claim.value)
    value = float(claim.value or 0.0)
    low = value if claim.comparator in ("=", ">", ">=") else -_OPEN
    return low, value if claim.comparator in ("=", "<", "<=") else _OPEN


def tolerance(claim: Claim, measured: float) -> float:
    """How far a stated number may lie from the measured one."""
    least, share = TOLERANCE.get(claim.name, VOLTAGE_TOLERANCE)
    return max(least, share * abs(measured))


def middle(value: float | tuple[float, float] | None) -> float | None:
    """A stated number, of a range its middle."""
    return sum(value) / 2 if isinstance(value, tuple) else value


def away(claim: Claim, measured: float, unit: str) -> float:
    """How far the measured number lies outside what the text says, signed; 0 inside."""
    if claim.value is None:
        return 0.0
    low, high = allowed(claim)
    if unit == "degrees" and low == high:
        return (measured - low + 180) % 360 - 180
    return min(measured - low, 0.0) + max(measured - high, 0.0)


def word_against(claim: Claim, value: float | None, person: Person) -> str | None:
    """Why a number does not deserve the word that the text gives it, or None.

    Args:
        claim: Its name and qualifier count; a number that is not the claim's own has slack,
            which speaks for the text: where the word is denied, the number must be well inside
            what deserves it.
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
    slack = -slack if claim.polarity == "absent" else slack
    if band[0] - slack <= value <= band[1] + slack:
        return None
    return f"{value:g} {unit} is not {claim.qualifier}"


_LONG = ("prolonged", "severely prolonged")  # no source draws a line between them but for QTc


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
            **dict.fromkeys(_LONG, (PR_LONG.threshold, _OPEN)),
        },
        "qrs_ms": {
            "narrow": (0, QRS_WIDE.threshold),
            "normal": (0, QRS_LONG.threshold),
            "borderline": (100, QRS_WIDE.threshold),
            "wide": (QRS_LONG.threshold, _OPEN),
            **dict.fromkeys(_LONG, (QRS_LONG.threshold, _OPEN)),
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
