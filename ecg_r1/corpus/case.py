"""One record as the builders of statements see it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING

from ecg_r1.claims.facts import Facts
from ecg_r1.claims.judge import judge
from ecg_r1.claims.schema import GROUPS, QUANTITIES, Claim, Comparator, Polarity, kind_of
from ecg_r1.claims.signs import SIGNS
from ecg_r1.claims.support import SUPPORT, Standing, is_excluded, standing
from ecg_r1.corpus.statement import Statement
from ecg_r1.ecg import LEADS
from ecg_r1.labels import WITHOUT_P
from ecg_r1.protocol.quantities import untrusted_leads

if TYPE_CHECKING:
    from ecg_r1.measurement import Measurements
    from ecg_r1.protocol import Finding, Findings

_FOREIGN = (
    "left bundle branch block", "paced rhythm", "ventricular tachycardia",
    "wolff-parkinson-white syndrome",
)  # fmt: skip
DECIMALS = {"ms": 0, "bpm": 0, "degrees": 0, "mV": 2}
COARSE = ("r_mv", "s_mv", "q_mv", "sokolow_mv", "cornell_mv")  # read to the millimetre

# A verdict on a number that speaks against a label; the number then stands without it.
CONFLICTS: dict[tuple[str, str], tuple[str, ...]] = {
    ("hr_bpm", "normal"): (
        "sinus bradycardia", "sinus tachycardia", "supraventricular tachycardia",
        "ventricular tachycardia",
    ),
    ("hr_bpm", "slow"): ("sinus tachycardia",),
    ("hr_bpm", "fast"): ("sinus bradycardia",),
    ("pr_ms", "normal"): ("first-degree av block", "wolff-parkinson-white syndrome"),
    ("pr_ms", "short"): ("first-degree av block", "normal ecg"),
    ("pr_ms", "prolonged"): ("normal ecg", "wolff-parkinson-white syndrome"),
    ("qrs_ms", "normal"): (
        "left bundle branch block", "right bundle branch block", "ventricular tachycardia",
        "incomplete left bundle branch block", "wolff-parkinson-white syndrome",
        "nonspecific intraventricular conduction delay",
    ),
    ("qrs_ms", "borderline"): (
        "left bundle branch block", "right bundle branch block", "ventricular tachycardia",
        "normal ecg",
    ),
    ("qrs_ms", "wide"): (
        "normal ecg", "incomplete left bundle branch block",
        "incomplete right bundle branch block", "supraventricular tachycardia",
    ),
    ("axis_deg", "normal"): (
        "left axis deviation", "right axis deviation", "left anterior fascicular block",
        "left posterior fascicular block",
    ),
    ("axis_deg", "left"): (
        "normal ecg", "right axis deviation", "left posterior fascicular block",
    ),
    ("axis_deg", "right"): (
        "normal ecg", "left axis deviation", "left anterior fascicular block",
    ),
    ("axis_deg", "extreme"): ("normal ecg", "left axis deviation"),
    ("qtc_ms", "normal"): ("prolonged qt interval", "short qt interval"),
    ("qtc_ms", "borderline"): ("prolonged qt interval", "short qt interval"),
    ("qtc_ms", "short"): ("prolonged qt interval", "normal ecg"),
    ("qtc_ms", "prolonged"): ("short qt interval", "normal ecg"),
    ("qtc_ms", "severely prolonged"): ("short qt interval", "normal ecg"),
    ("sokolow_mv", "normal"): ("left ventricular hypertrophy",),
    ("sokolow_mv", "high"): ("normal ecg", "low qrs voltage"),
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One record: measurements, what the protocol found, and the answer key.

    Attributes:
        m: The measurements.
        key: The labels.
        findings: The protocol's findings.
        found: A finding's name to the finding.
        state: A finding's name to whether it is met.
        facts: The leads' values, as `judge` takes them; exchanged leads are left out.
        standing: Label to how the measurements bear it out.
        muted: Findings whose absence is not said: a label of the key needs them.
        calibrated: Whether voltages mean anything.
        warned: Whether the answer key's report warns of the recording's quality.
        left_out: What key and measurements disagree about, filled by the builders.
    """

    m: "Measurements"
    key: tuple[str, ...]
    findings: "Findings"
    found: Mapping[str, "Finding"]
    state: Mapping[str, bool | None]
    facts: Facts
    standing: Mapping[str, Standing]
    muted: frozenset[str]
    calibrated: bool
    warned: bool
    left_out: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        m: "Measurements",
        findings: "Findings",
        key: tuple[str, ...],
        *,
        calibrated: bool,
        warned: bool,
    ) -> "Case":
        """The case of a record."""
        state = {finding.name: finding.met for finding in findings.findings}
        known = {label: standing(label, state, findings.diagnoses) for label in key}
        doubtful = [label for label in key if known[label] != "confirmed"]
        table = m.leads.to_numpy(float)
        names = list(m.leads.columns)
        turned = untrusted_leads(m)
        rows = {
            lead: {k: v for k, v in zip(names, values, strict=True) if isfinite(v)}
            for lead, values in zip(m.leads.index, table.tolist(), strict=True)
            if lead not in turned
        }
        return cls(
            m=m,
            key=key,
            findings=findings,
            found={finding.name: finding for finding in findings.findings},
            state=state,
            facts=Facts(
                {}, words={"p_present": m.p_present}, leads=rows, calibrated=calibrated
            ),
            standing=known,
            muted=frozenset(
                name for label in doubtful for entry in SUPPORT[label] for name in entry
            ),
            calibrated=calibrated,
            warned=warned,
        )

    def has(self, *labels: str) -> bool:
        """Whether the key holds any of these labels."""
        return any(label in self.key for label in labels)

    @property
    def is_normal(self) -> bool:
        """Whether the key says "normal ecg"."""
        return "normal ecg" in self.key

    @property
    def has_p_statement(self) -> bool:
        """Whether the reading may speak of P waves as those of its rhythm."""
        return not self.has(*WITHOUT_P)

    @property
    def is_foreign(self) -> bool:
        """Whether the ventricles are not stirred through both their own bundles.

        Their Q waves and voltages then speak of nothing else (AHA/ACCF/HRS 2009 part III).
        """
        escape = self.has("third-degree av block") and self.state.get("qrs_wide") is True
        return escape or self.has(*_FOREIGN)

    def excludes(self, *labels: str) -> bool:
        """Whether all of these labels may be denied."""
        return not self.has(*labels) and all(
            is_excluded(label, self.state, self.findings.diagnoses) for label in labels
        )

    def is_absent(self, *names: str) -> bool:
        """Whether all these findings were judged, not met, and may be said to be absent."""
        return all(self.state.get(name) is False and name not in self.muted for name in names)

    def shows(self, claim: Claim) -> bool:
        """Whether the leads bear out what a claim says of a finding, denied ones included.

        The protocol asks for neighbours and for what matters; a reader with a ruler sees single
        leads too. What they would object to is not said.
        """
        return claim.name not in SIGNS or judge(claim, self.facts).verdict == "supported"

    def value(self, lead: str, column: str) -> float | None:
        """A lead's value, None where there is none."""
        return self.facts.leads.get(lead, {}).get(column)

    def verdict(self, name: str, value: float, qualifier: str | None) -> str | None:
        """The qualifier, or None where it would speak against the key."""
        against = [x for x in CONFLICTS.get((name, qualifier or ""), ()) if self.has(x)]
        if not against:
            return qualifier
        self.left_out.append(f"{name} {value:g} called {qualifier}, against {against[0]}")
        return None

    def of_group(self, *groups: str) -> list[str]:
        """Labels of the key that belong to these groups."""
        return [label for label in self.key if GROUPS[label] in groups]


# --- claims -----------------------------------------------------------------------------------


def quantity(
    name: str,
    value: float | tuple[float, float],
    *,
    leads: tuple[str, ...] = (),
    qualifier: str | None = None,
    comparator: Comparator = "=",
) -> Claim:
    """A claim about a number, rounded as it is shown."""
    kind, unit = QUANTITIES[name]
    digits = 1 if name in COARSE else DECIMALS[unit]
    shown = (
        tuple(_shown(one, digits) for one in value)
        if isinstance(value, tuple)
        else _shown(value, digits)
    )
    return Claim(
        kind, name, leads=leads, value=shown, comparator=comparator, qualifier=qualifier
    )


def _shown(value: float, digits: int) -> float:
    return round(value, digits) + 0.0  # never -0.0


def finding(name: str, leads: Iterable[str] = (), *, polarity: Polarity = "present") -> Claim:
    """A claim about a finding, its leads in the order of the page."""
    order = tuple(lead for lead in LEADS if lead in set(leads))
    return Claim(kind_of(name, polarity=polarity), name, polarity, order)


def absent(name: str) -> Claim:
    """The claim that a finding or a diagnosis is not there."""
    return finding(name, polarity="absent")


def diagnosis(label: str, *, qualifier: str | None = None) -> Claim:
    """The claim of a diagnosis."""
    return Claim(kind_of(label), label, qualifier=qualifier)


def unknown(name: str, reason: str) -> Statement:
    """What could not be measured or judged."""
    return Statement(Claim(kind_of(name), name), how="unknown", reason=reason)


def excluded(label: str, *because: Claim) -> Statement:
    """A diagnosis that the record speaks against."""
    return Statement(absent(label), because=because)
