"""The statements of every step, built from measurements, findings and answer key."""

from collections.abc import Callable, Iterator

from ecg_r1.claims.schema import Claim
from ecg_r1.corpus.case import (
    Case,
    absent,
    diagnosis,
    excluded,
    finding,
    quantity,
    unknown,
)
from ecg_r1.corpus.reasons import labelled
from ecg_r1.corpus.statement import Statement
from ecg_r1.corpus.voltage import chambers, electrolytes, ischaemia
from ecg_r1.labels import SINUS_RHYTHMS, WITHOUT_P
from ecg_r1.protocol.sources import CHOU, PART3

_FAST = ("supraventricular tachycardia", "ventricular tachycardia")
_FIBRILLATION = ("atrial fibrillation", "atrial flutter")
_P_NEEDED = (*SINUS_RHYTHMS, "sinus pause", "ectopic atrial rhythm", "first-degree av block")
_AV_BLOCKS = ("first-degree av block", "second-degree av block", "third-degree av block")
_BLOCKS = (
    "left bundle branch block", "right bundle branch block",
    "incomplete left bundle branch block", "incomplete right bundle branch block",
)  # fmt: skip
_AXIS_LABELS = ("left axis deviation", "right axis deviation")
_NOT_MEASURED = "the marks for it were not found in enough leads"


def build(case: Case) -> tuple[dict[int, list[Statement]], list[Statement]]:
    """Statements of steps 1 to 6 and of the summary."""
    builders: dict[int, Callable[[Case], Iterator[Statement]]] = {
        1: technical,
        2: conduction,
        3: chambers,
        4: ischaemia,
        5: electrolytes,
    }
    steps = {number: list(builder(case)) for number, builder in builders.items()}
    steps[6] = list(_reasoning(case, steps))
    return steps, list(_summary(case, steps))


# --- step 1 -----------------------------------------------------------------------------------


def technical(case: Case) -> Iterator[Statement]:
    """Quality, rate, regularity, P waves, rhythm and ectopy."""
    yield from _quality(case)
    yield _rate(case)
    yield from _regularity(case)
    yield from _p_waves(case)
    yield from _atria(case)
    yield from labelled(case, "rhythm", "ectopy")
    yield from _no_ectopy(case)
    yield from _not_the_rhythm(case)


# How the reasons of `Measurements.quality` begin -> what texts call it.
_PROBLEMS = {
    "noisy": "noise",
    "clipped": "clipping",
    "flat": "lead off",
    "gap": "lead off",
    "out of range": "lead off",
}


def _quality(case: Case) -> Iterator[Statement]:
    leads: dict[str, list[str]] = {}
    for lead, reason in case.m.quality.items():
        leads.setdefault(_PROBLEMS.get(reason.split(":")[0], "noise"), []).append(lead)
    for name, where in leads.items():
        yield Statement(finding(name, where), required=True)
    if case.m.reversal:
        yield Statement(
            finding("lead reversal", polarity="possible"), required=True, reason=case.m.reversal
        )
    elif case.warned and not leads:
        yield Statement(finding("noise", polarity="possible"))
    elif not leads:
        yield Statement(finding("good quality"))


def _rate(case: Case) -> Statement:
    if case.m.hr_bpm is None:
        return unknown("hr_bpm", "no two beats follow each other")
    bpm = round(case.m.hr_bpm)
    word = "slow" if bpm < 60 else "fast" if bpm > 100 else "normal"
    word = case.verdict("hr_bpm", bpm, word)
    return Statement(
        quantity("hr_bpm", bpm, qualifier=word),
        required=True,
        limits=(60, 100) if word else None,
        source=CHOU,
    )


def _regularity(case: Case) -> Iterator[Statement]:
    regular = case.m.regular
    if regular is None:
        yield unknown("regular rhythm", "there are too few beats")
    elif regular and case.has("atrial fibrillation", "sinus arrhythmia"):
        case.left_out.append(f"a regular rhythm, against {case.key[0]}")
    elif regular:
        yield Statement(finding("regular rhythm"), required=True)
    elif case.has("atrial fibrillation"):
        yield Statement(finding("irregularly irregular rhythm"), required=True)
    else:
        yield Statement(finding("irregular rhythm"), required=True)
    rr = case.m.rr_ms
    if len(rr) >= 3 and (not regular or case.has("sinus arrhythmia")):
        yield Statement(quantity("rr_ms", (min(rr), max(rr)), comparator="range"))


def _p_waves(case: Case) -> Iterator[Statement]:
    p = case.state.get("p_present")
    hidden = "they do not stand out clearly enough"
    if p is None:
        yield unknown("p waves", hidden)
    elif p and case.has(*WITHOUT_P):
        case.left_out.append("P waves before each QRS, against the rhythm of the key")
    elif p:
        yield Statement(finding("p waves"), required=True)
        yield from _p_direction(case)
    elif case.has(*_P_NEEDED) and not case.has(*_FIBRILLATION, "third-degree av block"):
        case.left_out.append("absence of P waves, against the rhythm of the key")
        yield unknown("p waves", hidden)
    elif case.has("second-degree av block", "third-degree av block"):
        return
    else:
        yield Statement(absent("p waves"), required=True)


def _p_direction(case: Case) -> Iterator[Statement]:
    """In which leads P points up, as in sinus rhythm, or down."""
    heights = {lead: case.value(lead, "p_mv") for lead in ("I", "II", "aVF")}
    if case.state.get("p_inverted"):
        if not case.has(*SINUS_RHYTHMS):
            yield Statement(finding("inverted p waves", ("II", "aVF")), required=True)
        return
    up = [lead for lead, mv in heights.items() if mv is not None and mv >= 0.03]
    if "II" in up and case.calibrated:
        yield Statement(finding("upright p waves", up))
    avr = case.value("aVR", "p_mv")
    if avr is not None and avr <= -0.03 and case.calibrated and case.has(*SINUS_RHYTHMS):
        yield Statement(finding("inverted p waves", ("aVR",)))


def _atria(case: Case) -> Iterator[Statement]:
    """Flutter waves, pacing spikes, pauses and grouped beats."""
    if case.state.get("flutter_waves") and case.has("atrial flutter"):
        yield Statement(finding("flutter waves"), required=True)
        if case.m.flutter_bpm:
            yield Statement(quantity("atrial_bpm", case.m.flutter_bpm))
    apart = case.m.av_relation in ("dissociated", "variable") and not case.m.flutter_bpm
    if case.has("third-degree av block") and apart and case.m.atrial_bpm:
        yield Statement(quantity("atrial_bpm", case.m.atrial_bpm))
    if case.state.get("pacing_spikes") and case.has("paced rhythm"):
        yield Statement(finding("pacing spikes"), required=True)
    rr = case.m.rr_ms
    if case.state.get("long_pause") and rr and not case.is_normal:
        yield Statement(finding("pause"))
        yield Statement(quantity("rr_ms", max(rr)))
    if case.state.get("grouped") and case.has("second-degree av block"):
        yield Statement(finding("grouped beating"))


def _no_ectopy(case: Case) -> Iterator[Statement]:
    if case.has("paced rhythm", *_FIBRILLATION, *_FAST):
        return
    for label in ("premature atrial complexes", "premature ventricular complexes"):
        if case.excludes(label):
            yield excluded(label)


def _not_the_rhythm(case: Case) -> Iterator[Statement]:
    """Rhythms that the P waves, or their absence, speak against."""
    p_waves = finding("p waves")
    says_p = case.state.get("p_present") is True and not case.has(*WITHOUT_P)
    if says_p and case.excludes("atrial fibrillation") and case.has(*SINUS_RHYTHMS):
        regular = (finding("regular rhythm"),) if case.m.regular else ()
        yield excluded("atrial fibrillation", *regular, p_waves)
    if says_p and case.excludes("atrial flutter") and case.has(*SINUS_RHYTHMS):
        yield excluded("atrial flutter", p_waves)
    if case.has("atrial fibrillation") and case.excludes("atrial flutter"):
        yield excluded("atrial flutter", absent("flutter waves"))


# --- step 2 -----------------------------------------------------------------------------------


def conduction(case: Case) -> Iterator[Statement]:
    """PR, QRS, axis, and what they say of AV node, bundles and fascicles."""
    pr, qrs, axis = _pr(case), _qrs(case), _axis(case)
    yield from (pr, qrs, axis)
    yield from _shapes(case)
    yield from labelled(case, "conduction")
    yield from labelled(case, "chamber", only=_AXIS_LABELS)
    normal_pr, normal_qrs, normal_axis = (
        one.claim.qualifier == "normal" and one.how == "stated" for one in (pr, qrs, axis)
    )
    if normal_pr and case.excludes(*_AV_BLOCKS):
        yield excluded("first-degree av block", pr.claim)
    if normal_qrs and not case.has(*_BLOCKS):
        for label in _BLOCKS[:2]:
            if label not in case.findings.diagnoses:
                yield excluded(label, qrs.claim)
    if normal_pr and case.excludes("wolff-parkinson-white syndrome"):
        yield excluded("wolff-parkinson-white syndrome", pr.claim)
    if normal_axis and case.excludes("left anterior fascicular block"):
        yield excluded("left anterior fascicular block", axis.claim)
    if normal_axis and case.excludes("left posterior fascicular block"):
        yield excluded("left posterior fascicular block", axis.claim)


def _pr(case: Case) -> Statement:
    if case.m.pr_ms is None or case.has(*WITHOUT_P):
        no_p = case.state.get("p_present") is False and "p_present" not in case.muted
        no_p = no_p and not case.has(*_AV_BLOCKS)
        return unknown("pr_ms", "there are no P waves before the QRS" if no_p else
                       "no constant interval from P to QRS was found")  # fmt: skip
    pr = round(case.m.pr_ms)
    word = "short" if pr < 120 else "prolonged" if pr > 200 else "normal"
    word = case.verdict("pr_ms", pr, word)
    return Statement(
        quantity("pr_ms", pr, qualifier=word),
        required=True,
        limits=(120, 200) if word else None,
        source=CHOU,
    )


def _qrs(case: Case) -> Statement:
    if case.m.qrs_ms is None:
        return unknown("qrs_ms", _NOT_MEASURED)
    qrs = round(case.m.qrs_ms)
    word = "wide" if qrs >= 120 else "borderline" if qrs > 110 else "normal"
    word = case.verdict("qrs_ms", qrs, word)
    return Statement(
        quantity("qrs_ms", qrs, qualifier=word),
        required=True,
        limits=(None, 110) if word else None,
        source=PART3,
    )


def _axis(case: Case) -> Statement:
    turned = case.state.get("axis_left") is None
    if case.m.axis_deg is None or turned:
        return unknown("axis_deg", "leads I and aVF do not give a clear direction")
    axis = round(case.m.axis_deg)
    word = "normal" if -30 <= axis <= 90 else "right"
    word = "left" if -90 <= axis < -30 else "extreme" if axis < -90 else word
    word = case.verdict("axis_deg", axis, word)
    return Statement(
        quantity("axis_deg", axis, qualifier=word),
        required=True,
        limits=(-30, 90) if word else None,
        source=PART3,
    )


_DROPPED = ("second-degree av block", "third-degree av block")
# Finding -> what it is called, and the labels beside which it is worth saying.
_SHAPES = {
    "rsr_v1": ("rsr pattern", _BLOCKS[1::2]),
    "s_wide_lateral": ("broad s waves", _BLOCKS[1::2]),
    "delta_wave": ("delta wave", ("wolff-parkinson-white syndrome",)),
    "p_lengthening": ("pr lengthening", ("second-degree av block",)),
    "p_blocked": ("dropped beats", ("second-degree av block",)),
    "two_p": ("2:1 conduction", ("second-degree av block",)),
    "p_dissociated": ("av dissociation", ("third-degree av block", "ventricular tachycardia")),
}


def _shapes(case: Case) -> Iterator[Statement]:
    """Forms of the QRS and ways of conduction that speak for a label of the key."""
    for name, (said, labels) in _SHAPES.items():
        if not case.state.get(name) or not case.has(*labels):
            continue
        if name == "two_p" and case.state.get("three_p"):
            continue
        yield Statement(finding(said, case.found[name].leads))


# --- step 6 -----------------------------------------------------------------------------------


def _reasoning(case: Case, steps: dict[int, list[Statement]]) -> Iterator[Statement]:
    """The diagnoses once more with their evidence, the rate, then what was excluded.

    Exclusions that rest on nothing but a missing count are not repeated.
    """
    everything = [one for step in steps.values() for one in step]
    said = {one.claim.name: one for one in everything if one.claim.polarity == "present"}
    yield from (said[label] for label in case.key if label in said)
    if case.is_normal:
        yield Statement(Claim("diagnosis", "normal ecg"), required=True)
    rate = said["hr_bpm"]
    if rate.how == "stated":
        yield rate
    for step in (4, 1, 3, 2, 5):
        yield from (one for one in steps[step] if one.claim.kind == "exclusion" and one.because)


def _summary(case: Case, steps: dict[int, list[Statement]]) -> Iterator[Statement]:
    """The diagnoses, as confirmed as they were in their step."""
    said = {
        one.claim.name: one
        for step in steps.values()
        for one in step
        if one.claim.name in case.key and one.how == "unconfirmed"
    }
    for label in case.key:
        doubt = said.get(label)
        yield doubt or Statement(diagnosis(label), required=True)
