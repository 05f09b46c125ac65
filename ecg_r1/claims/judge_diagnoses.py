"""Does a diagnosis, or its denial, follow from what was measured?"""

from ecg_r1.claims.facts import Facts
from ecg_r1.claims.judgement import OUT_OF_SCOPE, Judgement, Verdict
from ecg_r1.claims.schema import GROUPS, Claim
from ecg_r1.claims.support import is_excluded, standing
from ecg_r1.labels import SINUS_RHYTHMS

# Diagnoses that leave a side, a degree or a territory open.
ANY_OF: dict[str, tuple[str, ...]] = {
    "bundle branch block": ("left bundle branch block", "right bundle branch block"),
    "av block": ("first-degree av block", "second-degree av block", "third-degree av block"),
    "fascicular block": ("left anterior fascicular block", "left posterior fascicular block"),
    "atrial enlargement": ("left atrial abnormality", "right atrial abnormality"),
    "ventricular hypertrophy": (
        "left ventricular hypertrophy",
        "right ventricular hypertrophy",
    ),
    "myocardial infarction": tuple(
        f"{place} myocardial infarction"
        for place in ("anterior", "inferior", "lateral", "posterior")
    ),
    "septal myocardial infarction": ("anterior myocardial infarction",),
    "electrolyte disturbance": ("hyperkalaemia", "hypokalaemia"),
    "drug effect": ("digoxin effect",),
}
# Labels that say less than another one that implies them.
IMPLIED_BY: dict[str, tuple[str, ...]] = {
    "sinus rhythm": ("sinus bradycardia", "sinus tachycardia", "sinus arrhythmia"),
    "st elevation": (
        "pericarditis", "early repolarisation",
    ),
}  # fmt: skip


# Diagnoses that the protocol only reaches when it has ruled these out by the same findings.
RIVALS: dict[str, tuple[str, ...]] = {
    f"{place} myocardial infarction": ("pericarditis", "early repolarisation")
    for place in ("anterior", "inferior", "lateral")
}


def judge_diagnosis(claim: Claim, facts: Facts) -> Judgement:
    """The verdict on a diagnosis, affirmed, hedged or denied."""
    names = ANY_OF.get(claim.name, (claim.name,))
    if claim.name == "bifascicular block":
        return _bifascicular(claim, facts)
    if claim.name == "abnormal ecg":
        return _turned(claim, _standing("normal ecg", facts), turn=True)
    if not all(name in GROUPS for name in names):
        return Judgement("not_checkable", OUT_OF_SCOPE)
    wrong_age = _wrong_age(claim, facts)
    if wrong_age:
        return _turned(claim, ("unconfirmed", wrong_age), turn=False)
    raised = _raised(claim, facts)
    if raised:
        return _turned(claim, raised, turn=False)
    standings = [_standing(name, facts) for name in names]
    order = ("confirmed", "open", "weak", "unconfirmed")
    return _turned(claim, min(standings, key=lambda one: order.index(one[0])), turn=False)


def _standing(name: str, facts: Facts) -> tuple[str, str]:  # noqa: PLR0911  (first that fits)
    """How far the record bears a label out, and why."""
    state = {key: met for key, (met, _) in facts.findings.items()}
    known = (*facts.diagnoses, *(facts.key or ()))
    if name in known or any(one in known for one in IMPLIED_BY.get(name, ())):
        return "confirmed", f"{name} follows from what was measured"
    if name == "normal ecg":
        return _normal(facts, state)
    if name in facts.unjudged:
        return "open", facts.unjudged[name]
    if GROUPS[name] == "rhythm" and _other_rhythm(name, facts):
        return "unconfirmed", f"the rhythm is {_other_rhythm(name, facts)}"
    if is_excluded(name, state, facts.diagnoses):
        return "unconfirmed", f"no finding speaks for {name}"
    rival = next((one for one in RIVALS.get(name, ()) if one in known), None)
    if rival:
        return "unconfirmed", f"{rival} explains what would speak for {name}"
    found = standing(name, state, facts.diagnoses)
    if found == "confirmed":  # by one finding, and not by the protocol's rule
        return "weak", f"some finding speaks for {name}, the protocol does not conclude it"
    return found, f"{name} could not be judged"


def _other_rhythm(name: str, facts: Facts) -> str | None:
    """A rhythm that was found and that leaves no room for this one."""
    found = [one for one in facts.diagnoses if GROUPS[one] == "rhythm" and one != name]
    rival = [one for one in found if not (name in SINUS_RHYTHMS and one in SINUS_RHYTHMS)]
    return rival[0] if rival and name != "sinus pause" else None


def _normal(facts: Facts, state: dict[str, bool | None]) -> tuple[str, str]:
    abnormal = [one for one in facts.diagnoses if one not in SINUS_RHYTHMS[:1]]
    if abnormal:
        return "unconfirmed", f"found: {', '.join(abnormal)}"
    is_known = any(met is not None for met in state.values())
    return ("weak" if is_known else "open"), "not all could be judged"


_PLACED = ("anterior", "inferior", "lateral")


def _wrong_age(claim: Claim, facts: Facts) -> str | None:
    """Why an infarction is not as fresh, or as old, as the text says; None when it may be."""
    place = claim.name.partition(" ")[0]
    if claim.qualifier not in ("acute", "old") or place not in _PLACED:
        return None
    is_raised = facts.met(f"st_elevation_{place}")
    if claim.qualifier == "acute" and is_raised is False:
        return f"ST is not raised in {place} leads"
    if claim.qualifier == "old" and facts.met(f"large_st_elevation_{place}"):
        return f"ST is raised in {place} leads"
    return None


# What raises ST without an infarction: the fourth universal definition (2018, table 2) asks for
# ST elevation without LVH and bundle branch block, and names the others as pitfalls.
_RAISES_ST = (
    "left ventricular hypertrophy", "left bundle branch block", "paced rhythm", "pericarditis",
    "early repolarisation", "wolff-parkinson-white syndrome", "hyperkalaemia",
)  # fmt: skip


def _raised(claim: Claim, facts: Facts) -> tuple[str, str] | None:
    """An acute infarction that ST elevation bears out by the fourth universal definition.

    The protocol asks for more before it names one itself; who denies one is not refuted.
    """
    place = claim.name.partition(" ")[0]
    if claim.qualifier != "acute" or claim.polarity == "absent" or place not in _PLACED:
        return None
    known = (*facts.diagnoses, *(facts.key or ()))
    if not facts.met(f"st_elevation_{place}") or any(one in known for one in _RAISES_ST):
        return None
    return (
        "confirmed",
        f"ST is raised in {place} leads, and nothing found explains it otherwise",
    )


def _turned(claim: Claim, found: tuple[str, str], *, turn: bool) -> Judgement:
    """The verdict on a diagnosis, or on its denial."""
    how, reason = found
    where, leads = None, ()
    denied = (claim.polarity == "absent") is not turn
    verdicts: dict[str, tuple[Verdict, Verdict]] = {
        "confirmed": ("supported", "contradicted"),
        "weak": ("unsupported", "unsupported"),
        "open": ("not_checkable", "not_checkable"),
        "unconfirmed": ("contradicted", "supported"),
    }
    return Judgement(verdicts[how][denied], reason, None, leads, where)


def _bifascicular(claim: Claim, facts: Facts) -> Judgement:
    parts = [
        _standing("right bundle branch block", facts),
        min(
            _standing("left anterior fascicular block", facts),
            _standing("left posterior fascicular block", facts),
        ),
    ]
    order = ("unconfirmed", "open", "weak", "confirmed")
    return _turned(claim, min(parts, key=lambda one: order.index(one[0])), turn=False)
