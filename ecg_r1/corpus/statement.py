"""A statement of a plan, a plan, and both as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ecg_r1.claims.schema import Claim

How = Literal["stated", "unknown", "unconfirmed"]


@dataclass(frozen=True)
class Statement:
    """One thing that a reading says, or must not say.

    Attributes:
        claim: The claim as a reader should find it; its step is where it is due.
        required: Whether a reading without it is incomplete.
        limits: Lowest and highest normal value in the claim's unit; None is open.
        source: Where the limits come from.
        how: "stated"; "unknown": could not be measured or judged, for `reason`; "unconfirmed":
            a diagnosis of the answer key that the measurements do not bear out, which leave
            `reason` open.
        reason: Why unknown, or which measurements leave it unconfirmed.
        because: Claims that speak for a diagnosis, or against an excluded one.
    """

    claim: Claim
    required: bool = False
    limits: tuple[float | None, float | None] | None = None
    source: str = ""
    how: How = "stated"
    reason: str = ""
    because: tuple[Claim, ...] = ()


@dataclass(frozen=True)
class Plan:
    """All that a reading says.

    Attributes:
        steps: Statements of steps 1 to 6, in the order in which they are best said.
        summary: Statements of the summary: those of the diagnoses.
        labels: The answer, canonical, in order.
        calibrated: False: nothing is said of voltages and ST levels.
        urgency: "immediate", "prompt" or "routine", by the protocol.
        left_out: What was left out, or softened, because key and measurements disagree.
    """

    steps: dict[int, tuple[Statement, ...]]
    summary: tuple[Statement, ...]
    labels: tuple[str, ...]
    calibrated: bool = True
    urgency: str = "routine"
    left_out: tuple[str, ...] = ()

    @property
    def statements(self) -> tuple[Statement, ...]:
        """All statements of the steps and the summary."""
        return (*(one for number in sorted(self.steps) for one in self.steps[number]),
                *self.summary)  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Plain Python throughout, so that `json.dumps` gives valid JSON.

        Fields that say nothing are left out.
        """
        return {
            "labels": list(self.labels),
            "calibrated": self.calibrated,
            "urgency": self.urgency,
            "left_out": list(self.left_out),
            "steps": {str(n): [_plain(one) for one in self.steps[n]] for n in self.steps},
            "summary": [_plain(one) for one in self.summary],
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any] | str) -> "Plan":
        """A plan from `to_json`'s result or its JSON text."""
        data = json.loads(plain) if isinstance(plain, str) else plain
        steps = {int(n): tuple(map(_statement, many)) for n, many in data["steps"].items()}
        return cls(
            steps=steps,
            summary=tuple(map(_statement, data["summary"])),
            labels=tuple(data["labels"]),
            calibrated=data["calibrated"],
            urgency=data["urgency"],
            left_out=tuple(data["left_out"]),
        )


_EMPTY = asdict(Statement(Claim("rate", "hr_bpm")))
_CLAIMS = ("claim", "because")


def _plain(one: Statement) -> dict[str, Any]:
    said = {k: v for k, v in asdict(one).items() if v != _EMPTY[k] and k not in _CLAIMS}
    if one.because:
        said["because"] = [plain_claim(claim) for claim in one.because]
    return {"claim": plain_claim(one.claim), **said}


def plain_claim(claim: Claim) -> dict[str, Any]:
    """A claim as JSON without its place in a text and without fields that say nothing."""
    fields = {k: v for k, v in vars(claim).items() if v not in (None, ()) or k == "name"}
    del fields["span"], fields["text"]
    return {k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}


def claim_from(plain: Mapping[str, Any]) -> Claim:
    """The claim that `plain_claim` gave."""
    value = plain.get("value")
    more = {"leads": tuple(plain.get("leads", ()))}
    more["value"] = tuple(value) if isinstance(value, list) else value
    return Claim(**{**plain, **more})


def _statement(plain: Mapping[str, Any]) -> Statement:
    more: dict[str, Any] = {"claim": claim_from(plain["claim"])}
    if "limits" in plain:
        more["limits"] = tuple(plain["limits"])
    more["because"] = tuple(claim_from(one) for one in plain.get("because", ()))
    return Statement(**{**plain, **more})
