"""The prompt from which a language model writes a reading: the plan in plain lines, and rules.

What this leaves out: the paper's own prompts, which ask the model to find the facts in a report
and a machine's numbers. Ours hands over what was measured and asks for words only.
"""

from dataclasses import replace

from ecg_r1.claims.schema import QUANTITIES, Claim
from ecg_r1.corpus.statement import Plan, Statement
from ecg_r1.corpus.words import FINDING_NAMES, LABEL_NAMES
from ecg_r1.report import STEP_TITLES

SYSTEM = """\
You are a cardiologist who teaches how to read the 12-lead ECG. You are given the facts of one \
ECG, step by step, and write its reading as if you had the tracing before you.

Rules
1. State every fact marked MUST in its own step. Facts marked MAY are at your choice.
2. State nothing else about this ECG: no number, lead, finding or diagnosis that is not listed.
3. Copy numbers and leads exactly. 0.16 s for 160 ms and 15 mm for 1.5 mV are allowed.
4. Call an interval, axis or voltage normal or abnormal only as listed.
5. Facts marked UNKNOWN could not be measured: say so, and neither claim nor deny them.
6. Facts marked OVERALL are diagnoses that the named measurements leave open: state them as \
the overall impression, and do not claim that these measurements show them.
7. Facts marked EXCLUDED may be denied, best with the reason given; never state them as found.
8. Never mention these facts as a list, a plan, a report, a label or a computer.
9. One paragraph a step, plain sentences, no bullets, no tables, no bold type but the headings.
10. The answer line is copied exactly."""

_LAYOUT = """\
Write exactly this and nothing before or after it:
<think>
{steps}
</think>
(one paragraph that names the diagnoses)
<answer>{answer}</answer>"""

_NAMES = {
    "hr_bpm": "heart rate",
    "atrial_bpm": "atrial rate",
    "rr_ms": "RR interval",
    "p_ms": "P wave duration",
    "pr_ms": "PR interval",
    "qrs_ms": "QRS duration",
    "qt_ms": "QT interval",
    "qtc_ms": "QTc (Fridericia)",
    "axis_deg": "frontal QRS axis",
    "p_mv": "P wave amplitude",
    "r_mv": "R wave amplitude",
    "s_mv": "S wave depth",
    "t_mv": "T wave amplitude",
    "st_mv": "ST level 60 ms after the J point",
    "sokolow_mv": "S(V1) + R(V5 or V6)",
    "cornell_mv": "R(aVL) + S(V3), the Cornell voltage",
    "normal r progression": "normal R wave progression",
}


def messages(plan: Plan) -> list[dict[str, str]]:
    """A chat for an instruction model that asks for the reading of a plan.

    Args:
        plan: What the reading has to say. Only what it holds leaves this machine: no signal,
            no report, no name.

    Example:
        >>> from ecg_r1.claims.schema import Claim
        >>> rate = Statement(Claim("rate", "hr_bpm", value=72, comparator="="), required=True)
        >>> plan = Plan({1: (rate,)}, (), ("sinus rhythm",))
        >>> "MUST heart rate 72 bpm" in messages(plan)[1]["content"]
        True
    """
    steps = [
        "\n".join([f"Step {number}: {STEP_TITLES[number]}", *_lines(plan, number)])
        for number in sorted(plan.steps)
    ]
    layout = _LAYOUT.format(
        steps="\n".join(f"**Step {n}: {title}** ..." for n, title in STEP_TITLES.items()),
        answer="; ".join(plan.labels),
    )
    facts = "\n\n".join([*steps, f"Diagnoses: {'; '.join(plan.labels)}"])
    return [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": f"Facts of this ECG\n\n{facts}\n\n{layout}"},
    ]


def _lines(plan: Plan, number: int) -> list[str]:
    """The facts of a step; numbers of single leads in one line, nothing twice."""
    lines: dict[str, None] = {}
    by_lead: dict[str, list[str]] = {}
    for one in plan.steps[number]:
        if number == 6 and one.claim.kind == "exclusion":
            lines["MAY deny once more what was excluded above"] = None
        elif one.claim.kind == "voltage" and one.claim.leads and not one.required:
            said = describe(replace(one.claim, leads=()))
            by_lead.setdefault(one.claim.leads[0], []).append(said)
        else:
            lines[_line(one)] = None
    leads = [f"{lead}: {', '.join(dict.fromkeys(said))}" for lead, said in by_lead.items()]
    return [*lines, *([f"MAY by lead: {'; '.join(leads)}"] if leads else [])]


def _line(one: Statement) -> str:
    """A statement as a line of the prompt."""
    said = describe(one.claim)
    if one.how == "unknown":
        return f"UNKNOWN {said}: {one.reason}"
    if one.how == "unconfirmed":
        return f"OVERALL {said}: left open by {one.reason}"
    mark = "EXCLUDED" if one.claim.kind == "exclusion" else "MUST" if one.required else "MAY"
    # An ST or T label is its own evidence.
    others = [claim for claim in one.because if claim.name != one.claim.name]
    because = "; ".join(describe(claim) for claim in others)
    tail = [
        *([f"normal {_limits(one)}"] if one.limits else []),
        *([one.source] if one.limits and one.source else []),
        *([f"because of {because}"] if because else []),
    ]
    return f"{mark} {said}" + (f" ({'; '.join(tail)})" if tail else "")


def _limits(one: Statement) -> str:
    low, high = one.limits or (None, None)
    # The limits of an ST or T finding are voltages, those of a Q wave its width.
    unit = QUANTITIES.get(one.claim.name, ("", "ms" if one.claim.name == "q waves" else "mV"))[
        1
    ]
    parts = [
        *([f"from {low:g} {unit}"] if low is not None else []),
        *([f"up to {high:g} {unit}"] if high is not None else []),
    ]
    return " ".join(parts)


def describe(claim: Claim) -> str:
    """A claim in a few plain words, the same each time.

    Example:
        >>> describe(Claim("finding", "st elevation", leads=("II", "aVF")))
        'ST elevation in II, aVF'
    """
    name = (
        _NAMES.get(claim.name)
        or FINDING_NAMES.get(claim.name)
        or LABEL_NAMES.get(claim.name, claim.name)
    )
    no = "no " if claim.polarity == "absent" and claim.kind != "exclusion" else ""
    maybe = "possible " if claim.polarity == "possible" else ""
    value = ""
    if isinstance(claim.value, tuple):
        value = f" {claim.value[0]:g} to {claim.value[1]:g}"
    elif claim.value is not None:
        value = f" {claim.value:g}"
    unit = f" {QUANTITIES[claim.name][1]}" if value else ""
    place = f" in {', '.join(claim.leads)}" if claim.leads else ""
    word = f", {claim.qualifier}" if claim.qualifier else ""
    return f"{maybe}{no}{name}{place}{value}{unit}{word}"
