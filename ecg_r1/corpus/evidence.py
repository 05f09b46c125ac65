"""Evidence per step for RL: claims from the plan, and phrases of the text as in the paper.

No model is asked: what matters is what the plan says, where it stands is what the parser finds.
"""

import json
import re
from collections.abc import Mapping, Sequence

from ecg_r1.claims.parse import parse_claims
from ecg_r1.claims.schema import Claim
from ecg_r1.corpus.statement import Plan, Statement, plain_claim
from ecg_r1.report import parse_report

STEP_KEYS = {
    1: "step_1_technical_rate_rhythm",
    2: "step_2_conduction_axis_intervals",
    3: "step_3_chamber_hypertrophy_voltage",
    4: "step_4_ischemia_infarction_mimics",
    5: "step_5_electrolytes_qt",
    6: "step_6_final_medical_reasoning",
}
MOST_PHRASES, MOST_WORDS = 3, 6  # the paper's; its prompt says fewer than four words
_NEGATION = re.compile(
    r"\b(?:no|not|without|neither|nor|absent|absence|nothing|exclude[sd]?|ruled|argues?"
    r"|speaks?)\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<!\d)\.(?=\s|$)|[:;]")


def evidence(plan: Plan) -> dict[str, list[dict]]:
    """The claims that a good reading makes, per step, as plain Python.

    What a reading must say, the evidence of the key's diagnoses, and what each excludes; not
    the numbers of single leads that it may mention. Unknown things are no evidence.
    """
    return {
        STEP_KEYS[number]: [plain_claim(claim) for claim in _claims(plan.steps[number])]
        for number in sorted(plan.steps)
    }


def _claims(statements: Sequence[Statement]) -> list[Claim]:
    found: dict[Claim, None] = {}
    for one in statements:
        if one.required or one.because:
            found[one.claim] = None
    return list(found)


def phrases(
    plan: Plan, text: str, claims: Sequence[Claim] | None = None
) -> dict[str, tuple[str, ...]]:
    """Verbatim pieces of a text that carry the plan's evidence, the most telling first.

    Args:
        plan: What the text was written from.
        text: A whole reading in the report grammar.
        claims: The text's claims, where it has been parsed already.

    Returns:
        Key of the step to at most three phrases of at most six words, one for a claim. A
        denial is kept whole or not at all.
    """
    found = parse_claims(text) if claims is None else claims
    steps = parse_report(text).steps
    chosen: dict[str, tuple[str, ...]] = {}
    for number, key in STEP_KEYS.items():
        own = [claim for claim in found if claim.step == number]
        chosen[key] = _chosen(text, own, _weights(plan, number), steps.get(number, ""))
    return chosen


def _chosen(
    text: str, claims: Sequence[Claim], weights: Mapping[tuple[str, str], int], step: str
) -> tuple[str, ...]:
    ranked: dict[tuple[str, str], tuple[int, int, str]] = {}
    for claim in claims:
        key = (claim.name, claim.polarity)
        phrase = _phrase(text, claim) if key in weights and key not in ranked else ""
        if phrase and phrase in step:
            ranked[key] = (weights[key], claim.span[0], phrase)
    chosen: list[str] = []
    for _, _, phrase in sorted(ranked.values()):
        is_new = not any(
            phrase.lower() in old.lower() or old.lower() in phrase.lower() for old in chosen
        )
        if is_new and len(chosen) < MOST_PHRASES:
            chosen.append(phrase)
    return tuple(chosen)


def _weights(plan: Plan, number: int) -> dict[tuple[str, str], int]:
    """How telling the step's claims are: 0 a diagnosis, then its evidence, then the rest."""
    weights: dict[tuple[str, str], int] = {}
    because = {claim.name for one in plan.statements for claim in one.because
               if one.claim.name in plan.labels}  # fmt: skip
    for one in plan.steps.get(number, ()):
        if not (one.required or one.because):
            continue
        claim = one.claim
        is_label = claim.name in plan.labels and claim.polarity == "present"
        is_odd = claim.qualifier not in (None, "normal")
        weight = 0 if is_label else 1 if claim.name in because else 2 if is_odd else 3
        key = (claim.name, claim.polarity)
        weights[key] = min(weight + (claim.kind == "exclusion"), weights.get(key, 9))
    return weights


def _phrase(text: str, claim: Claim) -> str:
    """The words of a claim in the text, whole words, at most six; "" where they do not fit."""
    start, end = claim.span
    if claim.polarity == "absent":
        start, end = _with_negation(text, start, end)
    while start > 0 and not text[start - 1].isspace():
        start -= 1
    while end < len(text) and not text[end].isspace():
        end += 1
    words = text[start:end].split()
    # The number and its unit stand at the end.
    piece = text[start:end]
    if len(words) > MOST_WORDS:
        if claim.value is None or claim.polarity == "absent":
            return ""
        piece = " ".join(words[-MOST_WORDS:])
    piece = piece.strip(" .,;:()")
    is_safe = ";" not in piece and "step_" not in piece and piece in text
    return piece if is_safe else ""


def _with_negation(text: str, start: int, end: int) -> tuple[int, int]:
    """The span widened to the nearest denying word of its sentence; empty without one."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text, 0, start)]
    begin = ends[-1] if ends else 0
    after = _SENTENCE_END.search(text, end)
    stop = after.start() if after else len(text)
    if _NEGATION.search(text, start, end):
        return start, end
    before = list(_NEGATION.finditer(text, begin, start))
    if before:
        return before[-1].start(), end
    behind = _NEGATION.search(text, end, stop)
    return (start, behind.end()) if behind else (start, start)


def solution(plan: Plan, text: str, claims: Sequence[Claim] | None = None) -> str:
    """What the reference's rewards compare with: phrases per step and the answer.

    Source:
        ECG-R1, arXiv:2602.04279, its RL data set; shared/ecg-r1.md A1.4
    """
    lines = [f"{key}: {'; '.join(found)}" for key, found in phrases(plan, text, claims).items()]
    return (
        f"<|key_diagnostic_evidence|>{chr(10).join(lines)}<|/key_diagnostic_evidence|>\n"
        f"<|answer|>{'; '.join(plan.labels)}<|/answer|>"
    )


def measurements(plan: Plan) -> dict[str, float]:
    """The numbers of the whole record that the plan states, in the units of `QUANTITIES`."""
    return {
        one.claim.name: float(one.claim.value)
        for step in plan.steps.values()
        for one in step
        if isinstance(one.claim.value, int | float)
        and not one.claim.leads
        and one.claim.name != "rr_ms"
    }


def evidence_columns(
    plan: Plan, text: str, claims: Sequence[Claim] | None = None
) -> dict[str, str]:
    """The columns of a row that RL and evaluation read: `solution`, and two as JSON."""
    return {
        "solution": solution(plan, text, claims),
        "evidence": json.dumps(evidence(plan)),
        "measurements": json.dumps(measurements(plan)),
    }
