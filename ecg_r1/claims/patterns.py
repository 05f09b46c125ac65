"""Findings of the whole record: rhythm, progression, quality."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ecg_r1.claims.facts import Facts
from ecg_r1.claims.signs import NEEDED, USUAL_LEADS, sign
from ecg_r1.ecg import LEADS

NOISE_MV, WANDER_MV, MAINS_MV = 0.03, 0.25, 0.03  # ours: visible on paper at 10 mm/mV
CLIPPED = 0.01  # share of the samples: ours
IRREGULARLY = 0.08  # SD of RR over mean RR from which no pattern is heard: ours
NOT_MEASURED = "it was not measured on this record"


@dataclass(frozen=True)
class Seen:
    """Whether the record shows a pattern, None where that is unknown, and why."""

    shows: bool | None
    reason: str
    leads: tuple[str, ...] = ()


Pattern = Callable[[Facts, tuple[str, ...]], Seen]


def _said(shows: bool | None, yes: str, no: str) -> Seen:  # noqa: FBT001
    return Seen(shows, NOT_MEASURED if shows is None else yes if shows else no)


def _by_finding(*names: str) -> Pattern:
    """Any of the protocol's findings; false only when all were judged."""

    def pattern(facts: Facts, _: tuple[str, ...]) -> Seen:
        states = [facts.met(name) for name in names]
        shows = True if True in states else None if None in states else False
        leads = tuple(
            lead
            for lead in LEADS
            if any(facts.met(n) and lead in facts.findings[n][1] for n in names)
        )
        words = " or ".join(name.replace("_", " ") for name in names)
        return Seen(shows, f"{words}: {_answer(shows)}", leads)

    return pattern


def _answer(shows: bool | None) -> str:  # noqa: FBT001
    return {True: "found", False: "not found", None: "could not be judged"}[shows]


def _never(reason: str) -> Pattern:
    return lambda _, __: Seen(None, reason)


# --- rhythm -----------------------------------------------------------------------------------


def _regular(facts: Facts, _: tuple[str, ...]) -> Seen:
    return _said(facts.words.get("regular"), "RR intervals are even", "RR intervals vary")


def _irregular(facts: Facts, _: tuple[str, ...]) -> Seen:
    regular = facts.words.get("regular")
    ectopic = any("premature" in one for one in facts.beats)
    shows = None if regular is None else not regular or ectopic
    return _said(shows, "RR intervals vary", "RR intervals are even")


def _irregularly(facts: Facts, _: tuple[str, ...]) -> Seen:
    if len(facts.rr_ms) < 4:
        return Seen(None, "too few beats")
    spread = float(np.std(facts.rr_ms) / np.mean(facts.rr_ms))
    shows = spread >= IRREGULARLY and not facts.words.get("regular")
    return Seen(shows, f"RR intervals vary by {100 * spread:.0f} %")


def _p_waves(facts: Facts, _: tuple[str, ...]) -> Seen:
    return _said(facts.words.get("p_present"), "P before QRS found", "no P before QRS found")


def _fibrillatory(facts: Facts, leads: tuple[str, ...]) -> Seen:
    if facts.words.get("p_present") is None:
        return Seen(None, NOT_MEASURED)
    shows = not facts.words["p_present"] and _irregularly(facts, leads).shows is True
    return _said(shows, "irregular without P", "P waves or a regular rhythm")


def _flutter(facts: Facts, _: tuple[str, ...]) -> Seen:
    shows = facts.met("flutter_waves")
    return _said(shows, "a regular atrial wave was found", "no regular atrial wave was found")


def _ratio(count: int) -> Pattern:
    def pattern(facts: Facts, _: tuple[str, ...]) -> Seen:
        atrial, own = facts.numbers.get("atrial_bpm"), facts.numbers.get("hr_bpm")
        if not atrial or not own:
            return Seen(None, "the atrial rate was not measurable")
        ratio = atrial / own
        return Seen(abs(ratio - count) < 0.25 * count, f"{ratio:.1f} atrial waves per QRS")

    return pattern


def _dissociated(facts: Facts, _: tuple[str, ...]) -> Seen:
    relation = facts.words.get("av_relation")
    if relation is None:
        return Seen(None, "no series of P waves was found")
    shows = True if relation == "dissociated" else None if relation == "variable" else False
    return Seen(shows, f"P and QRS: {relation}")


def _spikes(facts: Facts, _: tuple[str, ...]) -> Seen:
    return Seen(facts.n_spikes > 0, f"{facts.n_spikes} pacing spikes found")


def _every(n: int) -> Pattern:
    """Every n-th beat another one, for most of the record."""

    def pattern(facts: Facts, _: tuple[str, ...]) -> Seen:
        odd = [one != "dominant" for one in facts.beats]
        if len(odd) < 4:
            return Seen(None, "too few beats")
        gaps = [b - a for a, b in pairwise(np.flatnonzero(odd))]
        shows = len(gaps) >= 2 and float(np.mean(np.array(gaps) == n)) >= 0.6
        return Seen(shows, f"{sum(odd)} of {len(odd)} beats are premature or of another shape")

    return pattern


def _couplets(facts: Facts, _: tuple[str, ...]) -> Seen:
    odd = [one != "dominant" for one in facts.beats]
    if len(odd) < 3:
        return Seen(None, "too few beats")
    return Seen(any(a and b for a, b in pairwise(odd)), f"{sum(odd)} beats of another kind")


def _escape(facts: Facts, _: tuple[str, ...]) -> Seen:
    if "third-degree av block" in facts.diagnoses:
        return Seen(shows=True, reason="the ventricles keep their own time")
    return Seen(None, "late beats are not told apart")


# --- QRS, ST and T ----------------------------------------------------------------------------


def _transition(*places: str) -> Pattern:
    def pattern(facts: Facts, _: tuple[str, ...]) -> Seen:
        if not any(lead in facts.leads for lead in LEADS[6:]):
            return Seen(None, NOT_MEASURED)
        lead = facts.words.get("transition_lead")
        return Seen((lead or "none") in places, f"R outgrows S from {lead or 'no lead'} on")

    return pattern


def _any_sign(*names: str) -> Pattern:
    def pattern(facts: Facts, leads: tuple[str, ...]) -> Seen:
        found: list[str] = []
        known = False
        for name in names:
            usual = leads or USUAL_LEADS.get(name, LEADS)
            signs = {lead: sign(facts, name, lead) for lead in usual}
            known |= any(value is not None for value in signs.values())
            showing = [lead for lead, v in signs.items() if v is not None and v > -0.5]
            if len(showing) >= (1 if leads else NEEDED.get(name, 1)):
                found += showing
        where = tuple(lead for lead in LEADS if lead in found)
        if not known:
            return Seen(None, NOT_MEASURED)
        return Seen(bool(where), f"seen in {', '.join(where) or 'no lead'}", where)

    return pattern


def _reciprocal(facts: Facts, _: tuple[str, ...]) -> Seen:
    up = _any_sign("st elevation")(facts, ())
    down = _any_sign("st depression")(facts, ())
    if up.shows is None or down.shows is None:
        return Seen(None, NOT_MEASURED)
    return Seen(up.shows and down.shows, f"elevation {up.reason}, depression {down.reason}")


# --- quality ----------------------------------------------------------------------------------


def _measure_of(column: str, limit: float, unit: str) -> Pattern:
    def pattern(facts: Facts, leads: tuple[str, ...]) -> Seen:
        known = {
            lead: row[column]
            for lead, row in facts.lead_quality.items()
            if column in row and (not leads or lead in leads)
        }
        if not known:
            return Seen(None, NOT_MEASURED)
        worst = max(known, key=known.__getitem__)
        shows = known[worst] >= limit
        where = tuple(lead for lead in LEADS if known.get(lead, 0) >= limit)
        return Seen(shows, f"at most {known[worst]:.2f}{unit} ({worst})", where)

    return pattern


def _noise(facts: Facts, leads: tuple[str, ...]) -> Seen:
    poor = [lead for lead in (leads or LEADS) if lead in facts.quality]
    if poor:
        return Seen(
            shows=True, reason=f"{poor[0]}: {facts.quality[poor[0]]}", leads=tuple(poor)
        )
    return _measure_of("noise_mv", NOISE_MV, " mV")(facts, leads)


def _good(facts: Facts, leads: tuple[str, ...]) -> Seen:
    poor = [lead for lead in (leads or LEADS) if lead in facts.quality]
    if poor:
        return Seen(
            shows=False, reason=f"{poor[0]}: {facts.quality[poor[0]]}", leads=tuple(poor)
        )
    return Seen(shows=True, reason="no lead was found wanting")


def _lost(facts: Facts, leads: tuple[str, ...]) -> Seen:
    off = _measure_of("off", 0.5, "")(facts, leads)
    flat = _measure_of("flat", 0.5, "")(facts, leads)
    return off if off.shows or not flat.shows else flat


def _clipped(facts: Facts, leads: tuple[str, ...]) -> Seen:
    said = [lead for lead in leads or LEADS if "clip" in facts.quality.get(lead, "")]
    if said:
        return Seen(
            shows=True, reason=f"{said[0]}: {facts.quality[said[0]]}", leads=tuple(said)
        )
    return _measure_of("clipped", CLIPPED, " of the samples")(facts, leads)


def _reversal(facts: Facts, _: tuple[str, ...]) -> Seen:
    kind = facts.words.get("reversal")
    return Seen(kind is not None, f"electrodes exchanged: {kind or 'none suspected'}")


PATTERNS: Mapping[str, Pattern] = {
    "regular rhythm": _regular,
    "irregular rhythm": _irregular,
    "irregularly irregular rhythm": _irregularly,
    "grouped beating": _by_finding("grouped"),
    "p waves": _p_waves,
    "fibrillatory waves": _fibrillatory,
    "flutter waves": _flutter,
    "pacing spikes": _spikes,
    "dropped beats": _by_finding("p_lengthening", "p_blocked", "more_p"),
    "pr lengthening": _by_finding("p_lengthening"),
    "av dissociation": _dissociated,
    "2:1 conduction": _ratio(2),
    "3:1 conduction": _ratio(3),
    "pause": _by_finding("long_pause"),
    "bigeminy": _every(2),
    "trigeminy": _every(3),
    "couplets": _couplets,
    "escape beats": _escape,
    "tall p waves": _by_finding("p_tall"),
    "broad p waves": _by_finding("p_long"),
    "notched p waves": _never("the notch of P is not measured"),
    "terminal p negativity": _by_finding("p_terminal_v1"),
    "delta wave": _by_finding("delta_wave"),
    "normal r progression": _transition("V2", "V3", "V4"),
    "early transition": _transition("V1", "V2"),
    "late transition": _transition("V5", "V6", "none"),
    "st-t changes": _any_sign("st elevation", "st depression", "t wave inversion"),
    "reciprocal changes": _reciprocal,
    "j point notching": _by_finding("end_qrs_notch"),
    "biphasic t waves": _never("both halves of T are not measured apart"),
    "strain pattern": _by_finding("left_strain", "right_strain"),
    "high voltage": _by_finding("sokolow_lyon", "cornell", "gubner", "r_avl"),
    "concordant st change": _by_finding(
        *(f"concordant_st_{place}" for place in ("inferior", "lateral", "anterior")),
        "concordant_drop",
    ),
    "electrical alternans": _never("the height of R is not followed from beat to beat"),
    "osborn waves": _never("Osborn waves are not told from notches"),
    "epsilon waves": _never("epsilon waves are not measured"),
    "good quality": _good,
    "noise": _noise,
    "muscle artefact": _noise,
    "baseline wander": _measure_of("wander_mv", WANDER_MV, " mV"),
    "mains interference": _measure_of("mains_mv", MAINS_MV, " mV"),
    "motion artefact": _measure_of("wander_mv", WANDER_MV, " mV"),
    "lead off": _lost,
    "clipping": _clipped,
    "lead reversal": _reversal,
    "uncalibrated": lambda facts, _: Seen(not facts.calibrated, "as its file says"),
}
