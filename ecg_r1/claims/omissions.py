"""What the protocol found and a text passes over in silence."""

from collections.abc import Sequence
from dataclasses import dataclass

from ecg_r1.claims.bands import says_nothing
from ecg_r1.claims.facts import Facts
from ecg_r1.claims.judge_diagnoses import ANY_OF, IMPLIED_BY
from ecg_r1.claims.schema import Claim
from ecg_r1.claims.support import SUPPORT, met
from ecg_r1.ecg import LEADS
from ecg_r1.protocol import ALARMS

_RATE = ("hr_bpm", "sinus bradycardia", "sinus tachycardia")
_P = ("p waves", "upright p waves", "inverted p waves", "sinus rhythm")
_IRREGULAR = ("irregular rhythm", "irregularly irregular rhythm", "regular rhythm")
_DROPPED = ("dropped beats", "pr lengthening", "grouped beating", "second-degree av block")
_APART = ("av dissociation", "third-degree av block", "atrial_bpm")
_QRS = ("qrs_ms", "bundle branch block", "nonspecific intraventricular conduction delay")
_AXIS = ("axis_deg", "left axis deviation", "right axis deviation")
_T = ("tall t waves", "t_mv", "hyperkalaemia")
_ST = ("st elevation", "st-t changes", "st_mv")
_ST_DOWN = ("st depression", "st-t changes", "st_mv", "nonspecific st-t abnormality")
_T_DOWN = (
    "t wave inversion",
    "st-t changes",
    "nonspecific st-t abnormality",
    "biphasic t waves",
)
_Q = ("q waves", "qs complexes", "q_mv")
_VOLTAGE = ("high voltage", "r_mv", "s_mv", "tall r waves", "deep s waves")
_LOW = ("qrs_mv", "low qrs voltage", "r_mv")
_QTC = ("qtc_ms", "prolonged qt interval", "short qt interval")
# Finding of the protocol -> claims that speak of it, its plain name first.
SPOKEN_OF: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("bradycardia", "tachycardia", "rate_120", "rate_150", "slow_40"), _RATE),
    **dict.fromkeys(("irregular", "rr_spread", "regular"), _IRREGULAR),
    **dict.fromkeys(("no_p", "p_present", "p_unfollowed", "p_flat"), _P),
    "p_inverted": ("inverted p waves", *_P),
    "flutter_waves": ("flutter waves", "atrial flutter", "atrial_bpm"),
    **dict.fromkeys(("pacing_spikes", "paced_qrs"), ("pacing spikes", "paced rhythm")),
    **dict.fromkeys(
        ("long_pause", "pause_3_s", "pause_stands_out"), ("pause", "sinus pause", "rr_ms")
    ),
    **dict.fromkeys(("grouped", "p_lengthening", "p_blocked"), _DROPPED),
    **dict.fromkeys(("arms_exchanged", "leg_exchanged", "chest_exchanged"), ("lead reversal",)),
    "heart_on_right": ("dextrocardia",),
    "narrow_premature": ("premature atrial complexes", "irregular rhythm"),
    "wide_premature": ("premature ventricular complexes", "bigeminy", "trigeminy", "couplets"),
    "p_tall": ("tall p waves", "p_mv", "right atrial abnormality"),
    "p_long": ("broad p waves", "p_ms", "notched p waves", "left atrial abnormality"),
    "p_terminal_v1": ("terminal p negativity", "left atrial abnormality"),
    "pr_long": ("pr_ms", "first-degree av block", "av block"),
    "pr_short": ("pr_ms", "wolff-parkinson-white syndrome"),
    **dict.fromkeys(("p_dissociated", "p_apart"), _APART),
    **dict.fromkeys(
        ("more_p", "two_p", "three_p"),
        ("atrial_bpm", "2:1 conduction", "3:1 conduction", "av block"),
    ),
    "delta_wave": ("delta wave", "wolff-parkinson-white syndrome"),
    **dict.fromkeys(("qrs_wide", "qrs_slow", "qrs_above_110"), _QRS),
    **dict.fromkeys(
        ("rsr_v1", "r_prime_v1", "v1_positive"), ("rsr pattern", "dominant r waves", "r_mv")
    ),
    **dict.fromkeys(("s_lateral", "s_wide_lateral"), ("broad s waves", "s_mv")),
    **dict.fromkeys(("left_clean", "left_broad"), ("notched qrs", "small q waves", *_QRS)),
    **dict.fromkeys(
        ("axis_left", "axis_right", "axis_extreme", "axis_lafb", "axis_lafb_initial"), _AXIS
    ),
    "q_avl": ("small q waves", *_Q),
    **dict.fromkeys(("rs_inferior", "rs_high_lateral"), ("small r waves", "deep s waves")),
    "sokolow_lyon": ("sokolow_mv", *_VOLTAGE),
    "cornell": ("cornell_mv", *_VOLTAGE),
    **dict.fromkeys(("r_avl", "gubner"), _VOLTAGE),
    **dict.fromkeys(
        ("r_v1_tall", "r_v1_dominant"), ("dominant r waves", "tall r waves", "r_mv")
    ),
    **dict.fromkeys(("left_strain", "right_strain"), ("strain pattern", *_ST_DOWN)),
    **dict.fromkeys(("low_limb", "low_chest"), _LOW),
    **dict.fromkeys(
        ("r_v3_small", "r_v4_small"), ("small r waves", "r_mv", "poor r wave progression")
    ),
    **dict.fromkeys(
        (
            "st_elevation_inferior", "st_elevation_lateral", "st_elevation_anterior",
            "large_st_elevation_anterior", "widespread_st", "lad_score", "st_over_t_v6",
        ),
        _ST,
    ),
    **dict.fromkeys(
        (
            "concordant_st_inferior", "concordant_st_lateral", "concordant_st_anterior",
            "concordant_drop", "excessive_st_inferior", "excessive_st_lateral",
            "excessive_st_anterior",
        ),
        ("concordant st change", *_ST),
    ),
    **dict.fromkeys(
        (
            "st_depression_inferior", "st_depression_lateral", "st_depression_anterior",
            "st_sagging", "posterior_st",
        ),
        _ST_DOWN,
    ),
    **dict.fromkeys(
        ("t_inversion_inferior", "t_inversion_lateral", "t_inversion_anterior"), _T_DOWN
    ),
    **dict.fromkeys(
        (
            "q_waves_inferior", "q_waves_lateral", "q_waves_anterior", "q_over_r_inferior",
            "q_iii", "q_avf", "q_v2_v3", "qs_v2_v3", "q_inferior",
        ),
        _Q,
    ),
    **dict.fromkeys(("posterior_t", "t_tall", "t_tented", "t_narrow"), _T),
    "posterior_r": ("dominant r waves", "tall r waves", "r_mv"),
    "pr_depressed": ("pr depression",),
    "end_qrs_notch": ("j point notching", "osborn waves", "early repolarisation"),
    "t_low": ("flat t waves", "t_mv", "nonspecific st-t abnormality"),
    **dict.fromkeys(("qtc_long", "qtc_low", "qtc_short", "qtc_500"), _QTC),
    **dict.fromkeys(("u_tall", "u_large"), ("u waves", "u_mv")),
}  # fmt: skip


@dataclass(frozen=True)
class Omission:
    """A finding of the protocol that a text does not speak of.

    Attributes:
        finding: Name of the protocol's finding; of several alike the first.
        text: What it is in plain words, with its leads.
        leads: Leads that show it.
        supports: Diagnoses that rest on it and that the text does not name either.
        is_urgent: Whether it is part of what asks for action within hours.
    """

    finding: str
    text: str
    leads: tuple[str, ...]
    supports: tuple[str, ...]
    is_urgent: bool


def omissions(claims: Sequence[Claim], facts: Facts) -> tuple[tuple[Omission, ...], int]:
    """What a text passes over, and how many findings it should have spoken of.

    Those count that support a diagnosis of the protocol or are urgent. A text speaks of a
    finding by any word on it but a truism, or by naming a diagnosis that rests on it; that it
    is right is another matter.

    Args:
        claims: All claims of the text.
        facts: The record.
    """
    spoken = {claim.name for claim in claims if not says_nothing(claim)}
    wanted = _wanted(facts)
    urgent = _urgent(facts)
    # Findings that go by the same words, such as a rate above 100 and above 120, are one.
    alike: dict[str, list[str]] = {}
    for name in wanted:
        alike.setdefault(_words(name), []).append(name)
    found = []
    for words, names in alike.items():
        if any(_is_spoken_of(name, wanted[name], spoken) for name in names):
            continue
        showing = {lead for name in names for lead in facts.findings[name][1]}
        leads = tuple(lead for lead in LEADS if lead in showing)
        where = f" in {', '.join(leads)}" if 0 < len(leads) < len(LEADS) else ""
        labels = tuple(dict.fromkeys(label for name in names for label in wanted[name]))
        is_urgent = not urgent.isdisjoint(names)
        found.append(Omission(names[0], words + where, leads, labels, is_urgent))
    return tuple(found), len(alike)


_PLAIN = {"hr_bpm": "rate", "qrs_ms": "wide QRS", "pr_ms": "PR interval"}


def _words(finding: str) -> str:
    """What a finding is called, the first of the names it goes by."""
    name = SPOKEN_OF.get(finding, (finding,))[0]
    return _plain(_PLAIN.get(name, name))


def _is_spoken_of(finding: str, labels: Sequence[str], spoken: set[str]) -> bool:
    about = {*SPOKEN_OF.get(finding, ()), *labels}
    return bool(spoken & about) or any(_is_named(label, spoken) for label in labels)


def _plain(name: str) -> str:
    return (
        name.replace("_ms", "").replace("_mv", " voltage").replace("_deg", "").replace("_", " ")
    )


def _is_named(label: str, spoken: set[str]) -> bool:
    """Whether a text names a label, or one that includes it or leaves its side open."""
    wider = {name for name, members in ANY_OF.items() if label in members}
    return bool(spoken & {label, *IMPLIED_BY.get(label, ()), *wider})


def _wanted(facts: Facts) -> dict[str, tuple[str, ...]]:
    """Finding -> the diagnoses it supports, of all that are met and matter."""
    state = {name: is_met for name, (is_met, _) in facts.findings.items()}
    found: dict[str, tuple[str, ...]] = {}
    for label in facts.diagnoses:
        for entry in SUPPORT.get(label, ()):
            if met(entry, state):
                for name in entry:
                    found[name] = (*found.get(name, ()), label)
    for name in _urgent(facts):
        found.setdefault(name, ())
    return found


def _urgent(facts: Facts) -> frozenset[str]:
    """Findings of the alarms that the record sets off."""
    known = {name for name, (is_met, _) in facts.findings.items() if is_met}
    off = [a.needs for a in ALARMS if set(a.needs) <= known | set(facts.diagnoses)]
    return frozenset(name for needs in off for name in needs if name in known)
