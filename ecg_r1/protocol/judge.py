"""One criterion on one record: compared, and said in words."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from ecg_r1.ecg import LEADS
from ecg_r1.limits import COMPARE, possible
from ecg_r1.protocol.leads import CONTIGUOUS
from ecg_r1.protocol.model import Criterion, Finding
from ecg_r1.protocol.quantities import (
    INSIDE,
    QUANTITIES,
    Columns,
    heart_on_the_right,
    untrusted_leads,
)

if TYPE_CHECKING:
    from ecg_r1.measurement import Measurements

COUNTS = {"three": 3, "five": 5}  # how many leads, whichever they are

Values = dict[str, float]  # by lead, or under "" for the record
_Person = tuple[float | None, str | None]  # age in years, sex


def any_of(parts: list[bool | None]) -> bool | None:
    """OR of three values: None is "not known"."""
    return True if True in parts else None if None in parts else False


def all_of(parts: list[bool | None]) -> bool | None:
    """AND of three values: None is "not known"."""
    return False if False in parts else None if None in parts else True


def why_open(criterion: Criterion, m: "Measurements", values: Values) -> str:
    """The measurement's own reason, else the leads', else what is missing."""
    turned = untrusted_leads(m)
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
    if heart_on_the_right(m):
        return "the heart seems to lie on the right: leads do not show what they are named for"
    names = {"arms": "arm", "right leg": "right leg", "chest order": "chest"}
    return f"the {names[m.reversal or 'arms']} electrodes seem exchanged: record again"


def _verdict(criterion: Criterion, value: float, limits: list[float]) -> bool | None:
    if np.isnan(value):
        return None
    verdicts = {bool(COMPARE[criterion.comparator](value, limit)) for limit in limits}
    return verdicts.pop() if len(verdicts) == 1 else None


def read_values(criterion: Criterion, m: "Measurements", columns: Columns) -> Values:
    """The quantity by lead, or under "" for the record."""
    values = QUANTITIES[criterion.quantity](m, columns)
    if not criterion.leads:
        return {"": float(values)}
    return {lead: float(values[LEADS.index(lead)]) for lead in criterion.leads}


def judge(criterion: Criterion, values: Values, person: _Person, *, is_barred: bool) -> Finding:
    """Compare and say it in words; a barred criterion is not compared."""
    limits = {
        lead: possible(criterion.limits, criterion.threshold, lead, person) for lead in values
    }
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
        met = any_of(list(verdicts.values()))
        return met, tuple(lead for lead, verdict in verdicts.items() if verdict)
    if needs == "all":
        met = all_of(list(verdicts.values()))
        return met, tuple(verdicts) if met else ()
    if needs in COUNTS:
        known = list(verdicts.values())
        met = known.count(True) >= COUNTS[needs]
        open_ = not met and known.count(True) + known.count(None) >= COUNTS[needs]
        leads = tuple(lead for lead, verdict in verdicts.items() if verdict)
        return None if open_ else met, leads if met else ()
    pairs = {pair: all_of([verdicts[pair[0]], verdicts[pair[1]]]) for pair in _pairs(verdicts)}
    met = any_of(list(pairs.values()))
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
