"""Everything a claim is judged by, as plain values that travel in a data set's column."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from ecg_r1.ecg import FS, LEADS
from ecg_r1.protocol.quantities import untrusted_leads

if TYPE_CHECKING:
    from ecg_r1.measurement import Measurements
    from ecg_r1.protocol import Findings

_NUMBERS = (
    "hr_bpm", "pr_ms", "qrs_ms", "qt_ms", "qtc_ms", "axis_deg", "p_axis_deg", "t_axis_deg",
    "atrial_bpm", "flutter_bpm", "rr_sd_ms", "n_wide_premature", "n_narrow_premature",
)  # fmt: skip
_WORDS = ("p_present", "regular", "av_relation", "grouped", "reversal", "transition_lead")


@dataclass(frozen=True)
class Facts:
    """What is known about one record.

    Attributes:
        numbers: Measured numbers of the whole record; what was not measurable is absent.
        reasons: Why a number is absent.
        words: `p_present`, `regular`, `av_relation`, `grouped`, `reversal`, `transition_lead`.
        rr_ms: RR intervals.
        beats: Class of each beat.
        n_spikes: Pacing spikes found.
        leads: Lead to its measured values; leads whose electrodes seem exchanged are absent.
        findings: Finding of the protocol to (met, leads).
        diagnoses: What the protocol concludes.
        unjudged: Finding or label to the reason why the protocol could not judge it.
        key: Labels of an answer key, None where there is none.
        calibrated: Whether voltages mean anything.
        quality: Lead to the reason why it is not trusted.
        lead_quality: Lead to `QUALITY_COLUMNS` of the measurement.
        person: Age in years and sex, None where unknown.
        marks: Wave to (start, end) in seconds of its first marked beat; "RR" from R to R.
    """

    numbers: Mapping[str, float]
    reasons: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, Any] = field(default_factory=dict)
    rr_ms: tuple[float, ...] = ()
    beats: tuple[str, ...] = ()
    n_spikes: int = 0
    leads: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    findings: Mapping[str, tuple[bool | None, tuple[str, ...]]] = field(default_factory=dict)
    diagnoses: tuple[str, ...] = ()
    unjudged: Mapping[str, str] = field(default_factory=dict)
    key: tuple[str, ...] | None = None
    calibrated: bool = True
    quality: Mapping[str, str] = field(default_factory=dict)
    lead_quality: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    person: tuple[float | None, str | None] = (None, None)
    marks: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        m: "Measurements",
        findings: "Findings",
        *,
        key: tuple[str, ...] | None = None,
        calibrated: bool = True,
        person: tuple[float | None, str | None] = (None, None),
    ) -> "Facts":
        """The facts of a measured record.

        Args:
            m: The measurements.
            findings: The protocol applied to them.
            key: Labels that are known to be true, if any.
            calibrated: Whether voltages mean anything.
            person: Age in years and sex, None where unknown.
        """
        turned = untrusted_leads(m)
        numbers = {name: getattr(m, name) for name in _NUMBERS}
        return cls(
            numbers={k: round(float(v), 2) for k, v in numbers.items() if v is not None},
            reasons=dict(m.unmeasurable),
            words={name: getattr(m, name) for name in _WORDS},
            rr_ms=tuple(round(float(one), 1) for one in m.rr_ms),
            beats=tuple(m.beat_class),
            n_spikes=len(m.pacing_spikes),
            leads={k: v for k, v in _table(m.leads).items() if k not in turned},
            findings={one.name: (one.met, one.leads) for one in findings.findings},
            diagnoses=tuple(findings.diagnoses),
            unjudged=dict(findings.unjudged),
            key=key,
            calibrated=calibrated,
            quality=dict(m.quality),
            lead_quality=_table(m.lead_quality),
            person=person,
            marks=_marks(m),
        )

    def met(self, name: str) -> bool | None:
        """Whether a finding of the protocol is met; None when it could not be judged."""
        return self.findings.get(name, (None, ()))[0]

    def value(self, lead: str, column: str) -> float | None:
        """A lead's measured value, None where there is none."""
        return self.leads.get(lead, {}).get(column)

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | Mapping[str, Any]) -> "Facts":
        """Facts from `to_json`'s text, or from what it parses to."""
        plain = dict(json.loads(text) if isinstance(text, str) else text)
        for name in ("rr_ms", "beats", "diagnoses", "person"):
            plain[name] = tuple(plain[name])
        plain["key"] = None if plain["key"] is None else tuple(plain["key"])
        plain["findings"] = {k: (v[0], tuple(v[1])) for k, v in plain["findings"].items()}
        plain["marks"] = {k: tuple(v) for k, v in plain["marks"].items()}
        return cls(**plain)


def _table(table: Any) -> dict[str, dict[str, float]]:
    """A table of the measurement by lead, without what is NaN."""
    return {
        lead: {k: round(v, 4) for k, v in row.items() if isfinite(v)}
        for lead, row in table.reindex(list(LEADS)).astype(float).to_dict("index").items()
    }


def _marks(m: "Measurements") -> dict[str, tuple[float, float]]:
    """Where on the trace each wave can be seen, over all leads, in seconds."""
    table = m.fiducials[m.fiducials["lead"] == "global"].dropna(subset=["onset", "offset"])
    found = {
        wave: table[table["wave"] == wave].iloc[0]
        for wave in ("P", "QRS", "T")
        if wave in set(table["wave"])
    }
    spans = {w: (float(row.onset) / FS, float(row.offset) / FS) for w, row in found.items()}
    if len(m.rpeaks) > 1:
        spans["RR"] = tuple((np.asarray(m.rpeaks[:2]) / FS).tolist())
    return {name: (round(a, 3), round(b, 3)) for name, (a, b) in spans.items()}
