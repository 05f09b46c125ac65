"""What a reading says, whatever model wrote it: numbers, labels, claims."""

from functools import lru_cache

from ecg_r1.claims.parse import parse_claims
from ecg_r1.claims.schema import GROUPS, QUANTITIES, Claim
from ecg_r1.labels import canonical
from ecg_r1.report import parse_report

# Numbers of the whole record that are judged, and their units.
NUMBERS = {"hr_bpm": "bpm", "pr_ms": "ms", "qrs_ms": "ms", "qt_ms": "ms", "axis_deg": "degrees"}
REPEATED_WITHIN = 1.0  # two statements of one number may differ by rounding


@lru_cache(maxsize=20_000)
def claims_of(text: str) -> tuple[Claim, ...]:
    """Every claim of a text; kept, since several measures ask for the same text."""
    return parse_claims(text)


def _all_stated(text: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for claim in claims_of(text):
        is_number = isinstance(claim.value, int | float) and claim.comparator == "="
        if claim.name in QUANTITIES and is_number and not claim.leads:
            found.setdefault(claim.name, []).append(float(claim.value))
    return found


def stated_numbers(text: str) -> dict[str, float]:
    """The first statement of each judged number in a text; absent ones are left out.

    Example:
        >>> stated_numbers("Heart rate 72 bpm. Frontal axis -30 degrees. PR 0.16 s.")
        {'hr_bpm': 72.0, 'pr_ms': 160.0, 'axis_deg': -30.0}
    """
    found = _all_stated(text)
    return {name: found[name][0] for name in NUMBERS if name in found}


def repeated_numbers(text: str) -> tuple[int, int]:
    """How many numbers a text states more than once, and how many of these differ.

    Any quantity of the whole record counts; what differs by at most 1 is called rounding.

    Example:
        >>> repeated_numbers("Heart rate 72 bpm. Sinus rhythm at 75 bpm. PR 160 ms.")
        (1, 1)
    """
    repeated = [values for values in _all_stated(text).values() if len(values) > 1]
    differing = [values for values in repeated if max(values) - min(values) > REPEATED_WITHIN]
    return len(repeated), len(differing)


def diagnoses_of(text: str) -> tuple[str, ...]:
    """Labels that a reading gives: those of `<answer>`, or without one those it affirms.

    Wordings of an answer that mean a canonical label become it, others stay as written, so that
    a made-up label counts as wrong.

    Example:
        >>> diagnoses_of("Sinus rhythm. No atrial fibrillation. Complete RBBB.")
        ('sinus rhythm', 'right bundle branch block')
    """
    if "<answer>" in text:
        labels = parse_report(text).diagnoses
        return tuple(dict.fromkeys(canonical(label) or label for label in labels))
    affirmed = (
        claim.name
        for claim in claims_of(text)
        if claim.name in GROUPS
        and claim.kind in ("diagnosis", "rhythm")
        and claim.polarity == "present"
    )
    return tuple(dict.fromkeys(affirmed))
