"""What the protocol is made of: criteria, rules, alarms, and what they say of a record."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ecg_r1.limits import Limit


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
