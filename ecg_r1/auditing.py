"""The audit of a reading: every claim checked against the trace, and what it leaves out.

A hallucination is a claim that the record contradicts; the rate is their share of the claims
that can be checked. What this leaves out: finding claims (`claims.parse`), their check
(`claims.judge`), and HTML (`display.audit_html`). For education and research only, never a
diagnosis.
"""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from ecg_r1.claims.facts import Facts
from ecg_r1.claims.judge import judge
from ecg_r1.claims.judgement import MARKS, Verdict
from ecg_r1.claims.omissions import Omission, omissions
from ecg_r1.claims.parse import parse_claims
from ecg_r1.claims.quarrels import Quarrel, quarrels
from ecg_r1.claims.schema import QUANTITIES, Claim
from ecg_r1.ecg import ECG
from ecg_r1.measurement import Measurements, measure
from ecg_r1.protocol import apply_protocol

NO_SIGNAL = "nothing was measured: a picture alone cannot be checked"


@dataclass(frozen=True)
class AuditedClaim:
    """A claim with its verdict.

    Attributes:
        text: Its words.
        kind: What sort of statement, see `claims.schema.Claim`.
        verdict: "supported", "contradicted", "unsupported" or "not_checkable".
        reason: Why, in one sentence.
        span: Start and end of its words in the reading.
        measured: The number that decided, in `unit`; None where none did.
        unit: Unit of `measured` and of the claim's value, "" without numbers.
        leads: Leads in which it can be seen.
        time_s: Stretch of the trace in which it can be seen, in seconds; None where nowhere.
        claim: What was understood.
    """

    text: str
    kind: str
    verdict: Verdict
    reason: str
    span: tuple[int, int]
    measured: float | None
    unit: str
    leads: tuple[str, ...]
    time_s: tuple[float, float] | None
    claim: Claim


@dataclass(frozen=True)
class Audit:
    """A reading, checked.

    Attributes:
        text: The reading.
        claims: Every claim found in it, in order.
        omissions: Findings that support a diagnosis or are urgent and that it passes over.
        n_expected: Number of findings that it should have spoken of.
        quarrels: Where it contradicts itself.
    """

    text: str
    claims: tuple[AuditedClaim, ...]
    omissions: tuple[Omission, ...]
    n_expected: int
    quarrels: tuple[Quarrel, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many claims have each verdict."""
        found = Counter(one.verdict for one in self.claims)
        return {verdict: found[verdict] for verdict in MARKS}

    @property
    def hallucination_rate(self) -> float | None:
        """Contradicted claims per checkable one; None when nothing is checkable."""
        checkable = len(self.claims) - self.counts["not_checkable"]
        return self.counts["contradicted"] / checkable if checkable else None

    @property
    def omission_rate(self) -> float | None:
        """Share of the expected findings that are passed over; None when none was expected."""
        return len(self.omissions) / self.n_expected if self.n_expected else None

    @property
    def summary(self) -> str:
        """How many claims, of which verdicts, and the hallucination rate, in one line."""
        counts = self.counts
        said = ", ".join(f"{counts[v]} {MARKS[v][1]}" for v in MARKS if counts[v])
        rate = self.hallucination_rate
        rated = "" if rate is None else f"; hallucination rate {100 * rate:.0f} %"
        n = len(self.claims)
        return f"{n} claim{'s' * (n != 1)}{': ' + said if said else ''}{rated}"

    @property
    def notes(self) -> tuple[str, ...]:
        """Quarrels, then omissions, each in a line."""
        return (
            *(f"contradicts itself: {one.reason}" for one in self.quarrels),
            *(f"left out: {_omitted(one)}" for one in self.omissions),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain Python throughout, so that `json.dumps` gives valid JSON."""
        return {
            "hallucination_rate": self.hallucination_rate,
            "omission_rate": self.omission_rate,
            "counts": self.counts,
            "claims": [_plain(asdict(one)) for one in self.claims],
            "omissions": [_plain(asdict(one)) for one in self.omissions],
            "quarrels": [_plain(asdict(one)) for one in self.quarrels],
        }

    def to_text(self) -> str:
        """One line for each claim, quarrel and omission."""
        lines = [self.summary]
        lines += [f"  {_told(one)}" for one in self.claims]
        lines += [f"  ! {note}" for note in self.notes]
        return "\n".join(lines)


def audit(text: str, subject: ECG | Measurements | Facts | None) -> Audit:
    """Check a reading against its ECG.

    Args:
        text: Any free text about one ECG, in the six-step grammar or not.
        subject: The record, its measurements, or its facts; None where there is only a
            picture, and then no claim is checkable. Of measurements alone neither age nor sex
            is known, and they count as calibrated.

    Raises:
        TypeError: If the text is no string or the subject none of these; names its type.

    Example:
        >>> found = audit("PR 160 ms. Sinus rhythm.", Facts(numbers={"pr_ms": 230.0}))
        >>> [(one.text, one.verdict) for one in found.claims]
        [('PR 160 ms', 'contradicted'), ('Sinus rhythm', 'not_checkable')]
        >>> found.hallucination_rate
        1.0
    """
    if not isinstance(text, str):
        raise TypeError(f"a reading is a string, got {type(text).__name__}")
    facts = facts_of(subject)
    claims = parse_claims(text)
    person = (None, None) if facts is None else facts.person
    left_out, expected = ((), 0) if facts is None else omissions(claims, facts)
    return Audit(
        text,
        tuple(_audited(claim, facts) for claim in claims),
        left_out,
        expected,
        quarrels(claims, person),
    )


def facts_of(subject: ECG | Measurements | Facts | None) -> Facts | None:
    """The facts of a record, measured where that has not been done.

    Raises:
        TypeError: If the subject is none of these; names its type.
    """
    if subject is None or isinstance(subject, Facts):
        return subject
    if isinstance(subject, ECG):
        age, sex, calibrated = subject.age_years, subject.sex, subject.calibrated
        measured = measure(subject)
    elif isinstance(subject, Measurements):
        age, sex, calibrated, measured = None, None, True, subject
    else:
        raise TypeError(
            f"an audit needs an ECG, Measurements, Facts or None, got {type(subject).__name__}"
        )
    found = apply_protocol(measured, age_years=age, sex=sex, calibrated=calibrated)
    return Facts.of(measured, found, calibrated=calibrated, person=(age, sex))


def _audited(claim: Claim, facts: Facts | None) -> AuditedClaim:
    unit = QUANTITIES[claim.name][1] if claim.name in QUANTITIES else ""
    if facts is None:
        return AuditedClaim(
            claim.text, claim.kind, "not_checkable", NO_SIGNAL, claim.span, None, unit, (),
            None, claim,
        )  # fmt: skip
    found = judge(claim, facts)
    return AuditedClaim(
        claim.text, claim.kind, found.verdict, found.reason, claim.span, found.measured, unit,
        found.leads, found.span_s, claim,
    )  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def _told(one: AuditedClaim) -> str:
    sign, name, *_ = MARKS[one.verdict]
    how = {"absent": " (denied)", "possible": " (hedged)"}.get(one.claim.polarity, "")
    return f'{sign} {name:<13} "{" ".join(one.text.split())}"{how}: {one.reason}'


def _omitted(one: Omission) -> str:
    why = f" (supports {', '.join(one.supports)})" if one.supports else ""
    return f"{one.text}{why}{', urgent' if one.is_urgent else ''}"
