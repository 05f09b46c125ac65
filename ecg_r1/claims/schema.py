"""What one statement about an ECG is: the form that texts, plans and rewards share.

`tests/claims/README.md` explains the same for people who label texts by hand. What this leaves
out: finding claims in text (`parse`) and checking them (`judge`).
"""

from dataclasses import dataclass
from typing import Literal

from ecg_r1.labels import LABELS

Kind = Literal[
    "rate", "rhythm", "interval", "axis", "voltage", "finding", "quality", "diagnosis",
    "exclusion",
]  # fmt: skip
Polarity = Literal["present", "absent", "possible"]
Comparator = Literal["=", "<", "<=", ">", ">=", "range"]

# Name of a quantity -> its kind and the unit its values are kept in.
QUANTITIES: dict[str, tuple[Kind, str]] = {
    "hr_bpm": ("rate", "bpm"),
    "atrial_bpm": ("rate", "bpm"),
    "rr_ms": ("interval", "ms"),
    "p_ms": ("interval", "ms"),
    "pr_ms": ("interval", "ms"),
    "qrs_ms": ("interval", "ms"),
    "qt_ms": ("interval", "ms"),
    "qtc_ms": ("interval", "ms"),
    "axis_deg": ("axis", "degrees"),
    "p_axis_deg": ("axis", "degrees"),
    "t_axis_deg": ("axis", "degrees"),
    "p_mv": ("voltage", "mV"),
    "q_mv": ("voltage", "mV"),
    "r_mv": ("voltage", "mV"),
    "s_mv": ("voltage", "mV"),
    "t_mv": ("voltage", "mV"),
    "u_mv": ("voltage", "mV"),
    "st_mv": ("voltage", "mV"),
    "qrs_mv": ("voltage", "mV"),
    "sokolow_mv": ("voltage", "mV"),
    "cornell_mv": ("voltage", "mV"),
}

NOT_MEASURABLE = "not measurable"
# What a text may say of a quantity in words; "normal" also when it says "within limits".
QUALIFIERS = (
    "normal", "short", "prolonged", "borderline", "wide", "narrow", "slow", "fast", "left",
    "right", "extreme", "low", "high", "severely prolonged", NOT_MEASURABLE,
)  # fmt: skip

RHYTHM_FINDINGS = (
    "regular rhythm",
    "irregular rhythm",
    "irregularly irregular rhythm",
    "grouped beating",
    "p waves",  # one before each QRS
    "upright p waves",  # in the leads named, as in sinus rhythm
    "inverted p waves",
    "fibrillatory waves",
    "flutter waves",
    "pacing spikes",
    "dropped beats",
    "pr lengthening",
    "av dissociation",
    "2:1 conduction",
    "3:1 conduction",
    "pause",
    "bigeminy",
    "trigeminy",
    "couplets",
    "escape beats",
)

FINDINGS = (
    "tall p waves",
    "broad p waves",
    "notched p waves",
    "terminal p negativity",
    "delta wave",
    "rsr pattern",
    "broad s waves",
    "notched qrs",
    "small q waves",
    "q waves",  # pathological
    "qs complexes",
    "small r waves",
    "tall r waves",
    "dominant r waves",
    "deep s waves",
    "normal r progression",
    "early transition",
    "late transition",
    "st elevation",
    "st depression",
    "st isoelectric",  # "ST segments are isoelectric"
    "st-t changes",
    "reciprocal changes",
    "convex st",
    "concave st",
    "horizontal st",
    "upsloping st",
    "downsloping st",
    "pr depression",
    "j point notching",
    "t wave inversion",
    "flat t waves",
    "tall t waves",  # peaked, tented, hyperacute
    "biphasic t waves",
    "normal t waves",
    "u waves",
    "strain pattern",
    "high voltage",
    "concordant st change",
    "electrical alternans",
    "osborn waves",
    "epsilon waves",
)

QUALITY_FINDINGS = (
    "good quality",
    "noise",
    "baseline wander",
    "muscle artefact",
    "mains interference",
    "motion artefact",
    "lead off",
    "clipping",
    "lead reversal",
    "uncalibrated",
)

# Diagnoses that texts name and no label of ours covers: heard, but not checkable.
OTHER_DIAGNOSES = (
    "brugada pattern",
    "pulmonary embolism",
    "cardiomyopathy",
    "ventricular fibrillation",
    "ventricular aneurysm",
    "hypercalcaemia",
    "hypocalcaemia",
    "hypothermia",
    "wellens pattern",
    "arrhythmogenic cardiomyopathy",
    "heart failure",
    "pulmonary disease",
    "myocarditis",
    "pericardial effusion",
    "trifascicular block",
    "bifascicular block",
    "myocardial infarction",  # no territory said
    "septal myocardial infarction",
    "right ventricular infarction",
    "abnormal ecg",
    "borderline ecg",
    "sinoatrial block",
    "wandering atrial pacemaker",
    "multifocal atrial tachycardia",
    "atrial enlargement",  # side not said
    "ventricular hypertrophy",  # side not said
    "bundle branch block",  # side not said
    "av block",  # degree not said
    "fascicular block",  # which not said
    "electrolyte disturbance",
    "drug effect",
)
DIAGNOSES = tuple(label.text for label in LABELS) + OTHER_DIAGNOSES
GROUPS = {label.text: label.group for label in LABELS}
_KINDS: dict[str, Kind] = {
    **{name: "rhythm" if GROUPS.get(name) == "rhythm" else "diagnosis" for name in DIAGNOSES},
    **dict.fromkeys(RHYTHM_FINDINGS, "rhythm"),
    **dict.fromkeys(QUALITY_FINDINGS, "quality"),
    **dict.fromkeys(FINDINGS, "finding"),
    **{name: kind for name, (kind, _) in QUANTITIES.items()},
}
# A name that is a finding and a label is a finding here.
_DIAGNOSES = frozenset(DIAGNOSES) - {
    *QUANTITIES,
    *FINDINGS,
    *QUALITY_FINDINGS,
    *RHYTHM_FINDINGS,
}


@dataclass(frozen=True)
class Claim:
    """One statement about one ECG.

    Attributes:
        kind: What sort of statement; of a quantity the kind in `QUANTITIES`. "rhythm" is a
            label of the rhythm group or one of `RHYTHM_FINDINGS`; "exclusion" is a diagnosis
            (rhythms included) that the text denies.
        name: Of a quantity its key, otherwise the canonical words.
        polarity: "absent" when denied, "possible" when hedged ("may", "cannot exclude").
        leads: Leads the text names, in the order of the page; territories are spelt out
            ("inferior leads" is II, III, aVF). Empty when it names none.
        value: The number in the unit of `QUANTITIES`, or two for a range.
        comparator: How the value is meant; None without a value.
        qualifier: The text's own word on a quantity, one of `QUALIFIERS`; of an infarction
            "acute" or "old".
        step: Step of the grammar the claim stands in, 7 for the summary, 8 for the answer;
            None outside the grammar.
        span: Start and end of its words in the text.
        text: Those words.
        wrong_unit: A unit that the quantity cannot have, where the text gives its number one;
            `value` is then None.
    """

    kind: Kind
    name: str
    polarity: Polarity = "present"
    leads: tuple[str, ...] = ()
    value: float | tuple[float, float] | None = None
    comparator: Comparator | None = None
    qualifier: str | None = None
    step: int | None = None
    span: tuple[int, int] = (0, 0)
    text: str = ""
    wrong_unit: str | None = None

    def at(self, step: int | None, span: tuple[int, int], text: str) -> "Claim":
        """The same statement at another place."""
        # As `dataclasses.replace`, at a fifth of its time: most claims of a reading are moved.
        moved = object.__new__(Claim)
        moved.__dict__.update(self.__dict__, step=step, span=span, text=text)
        return moved


def kind_of(name: str, *, polarity: Polarity = "present") -> Kind:
    """The kind of a claim from its name.

    Raises:
        ValueError: If the name is in none of the vocabularies; quotes it.

    Example:
        >>> kind_of("pr_ms"), kind_of("st elevation")
        ('interval', 'finding')
        >>> kind_of("pericarditis", polarity="absent")
        'exclusion'
    """
    if polarity == "absent" and name in _DIAGNOSES:
        return "exclusion"
    if name not in _KINDS:
        raise ValueError(f"{name!r} is no name of a claim: see QUANTITIES, FINDINGS, DIAGNOSES")
    return _KINDS[name]
