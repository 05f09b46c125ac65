"""The rewards of ECG-R1 exactly as its code computes them, so that numbers can be compared.

They are easily cheated: "no ST elevation" earns the phrase "ST elevation". Source: ECG-R1
(arXiv:2602.04279) and what its reference code returned for sixty recorded cases. What this
leaves out: the environment variable that weighs the evidence (a reward's weight is set where
rewards are added up), and the reference's quadratic scans.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain, pairwise, repeat
from typing import Any

from ecg_r1.rewards.completions import completion_text

STEP_KEYS = (
    "step_1_technical_rate_rhythm",
    "step_2_conduction_axis_intervals",
    "step_3_chamber_hypertrophy_voltage",
    "step_4_ischemia_infarction_mimics",
    "step_5_electrolytes_qt",
    "step_6_final_medical_reasoning",
)
_NUMBER_OF = {key: number for number, key in enumerate(STEP_KEYS, start=1)}
_EVIDENCE_TAG = re.compile(r"<\|key_diagnostic_evidence\|>", re.IGNORECASE)
_EVIDENCE_END = re.compile(r"<\|[/\\]key_diagnostic_evidence\|>", re.IGNORECASE)
_ANSWER_END = re.compile(r"<\|[/\\]answer\|>")
_STEP_KEY = re.compile(r"step_\d+", re.IGNORECASE)
_HEADING = re.compile(r"\*\*step\s+(\d+)")  # searched in folded text
_HEADING_END = re.compile(r"\*\*|:|\n")
_LONGEST_INT = 4300  # digits; `int` refuses more, at which the reference gives up with 0
# Characters that `re.IGNORECASE` takes for one another although `lower` keeps them apart.
_ALIKE = {
    "\u00b5": "\u03bc",
    "\u0345": "\u03b9",
    "\u1fbe": "\u03b9",
    "\u1fd3": "\u0390",
    "\u1fe3": "\u03b0",
    "\u03d0": "\u03b2",
    "\u03f5": "\u03b5",
    "\u03d1": "\u03b8",
    "\u03f0": "\u03ba",
    "\u03d6": "\u03c0",
    "\u03f1": "\u03c1",
    "\u03c2": "\u03c3",
    "\u03d5": "\u03c6",
    "\u1c80": "\u0432",
    "\u1c81": "\u0434",
    "\u1c82": "\u043e",
    "\u1c83": "\u0441",
    "\u1c84": "\u0442",
    "\u1c85": "\u0442",
    "\u1c86": "\u044a",
    "\u1c87": "\u0463",
    "\u1c88": "\ua64b",
    "\u1e9b": "\u1e61",
    "\ufb05": "\ufb06",
}


def paper_format_reward(completions: Sequence[Any], **_: Any) -> list[float]:
    """1 if the first `<think>...</think>` holds anything but white space, else 0.

    Args:
        completions: Strings or TRL message lists.

    Example:
        >>> paper_format_reward(["<think>Sinus rhythm.</think>", "<think> </think>", "?"])
        [1.0, 0.0, 0.0]
    """
    inner = [_between(completion_text(c), "<think>", "</think>") for c in completions]
    return [float(text is not None and not text.isspace() and text != "") for text in inner]


def paper_diagnosis_reward(
    completions: Sequence[Any], *, solution: Sequence[Any], **_: Any
) -> list[float]:
    """Jaccard overlap of the labels in `<answer>` with those in the solution's `<|answer|>`.

    Labels are compared as lower-case strings, so a synonym or a full stop is another label. Two
    empty answers agree (1), and a missing tag is worth 0.

    Args:
        completions: Strings or TRL message lists.
        solution: In the reference's format, one for each completion; without one, 0.

    Returns:
        0 to 1 for each completion.

    Example:
        >>> key = "<|answer|>sinus rhythm; lbbb<|/answer|>"
        >>> paper_diagnosis_reward(["<answer>LBBB; AF</answer>"], solution=[key])
        [0.3333333333333333]
    """
    pairs = zip(completions, chain(solution, repeat(None)), strict=False)
    return [_label_overlap(completion_text(c), key) for c, key in pairs]


def paper_evidence_reward(
    completions: Sequence[Any], *, solution: Sequence[Any], **_: Any
) -> list[float]:
    """Share of the key phrases found literally in the step they belong to, mean over steps.

    Case does not count; negation, word boundaries and order do not either.

    Args:
        completions: Strings or TRL message lists.
        solution: In the reference's format, one for each completion; without one, 0.

    Returns:
        0 to 1 for each completion; 0 too where the solution holds no phrase at all.

    Example:
        >>> key = "step_5_electrolytes_qt: QTc 470 ms; tall T waves"
        >>> text = "<think>**Step 5: Electrolytes & QT** The QTc 470 ms.</think>"
        >>> paper_evidence_reward([text], solution=[key])
        [0.5]
    """
    pairs = zip(completions, chain(solution, repeat(None)), strict=False)
    return [_evidence_share(completion_text(c), key) for c, key in pairs]


def soft_overlong_reward(
    completions: Sequence[Any],  # noqa: ARG001  a part of TRL's signature
    *,
    completion_ids: Sequence[Sequence[int]],
    max_length: int = 2048,
    cache: int = 512,
    **_: Any,
) -> list[float]:
    """A penalty that grows over the last `cache` tokens before the limit.

    Args:
        completions: Not looked at; the tokens are counted.
        completion_ids: Token ids of each completion.
        max_length: Longest completion, tokens.
        cache: Tokens before it over which the penalty falls from 0 to -1. As in the reference
            it falls on beyond the limit, where nothing should be.

    Returns:
        At most 0 for each completion.

    Raises:
        ValueError: If `cache` does not lie between 1 and `max_length` - 1.

    Source:
        Yu et al. 2025, DAPO, section 3.4, arXiv:2503.14476

    Example:
        >>> soft_overlong_reward(["..."], completion_ids=[[0] * 1792])
        [-0.5]
    """
    if not 0 < cache < max_length:
        raise ValueError(f"cache must lie in 1..max_length - 1, got {cache=}, {max_length=}")
    free = max_length - cache
    return [min(-(len(ids) - free) / cache, 0.0) for ids in completion_ids]


def _between(text: str, start: str, end: str) -> str | None:
    """What stands between the first `start` and the first `end` after it."""
    first = text.find(start)
    last = text.find(end, first + len(start)) if first >= 0 else -1
    return text[first + len(start) : last] if last >= 0 else None


# --- diagnosis --------------------------------------------------------------------------------


def _label_overlap(text: str, solution: Any) -> float:
    answer = _between(text, "<answer>", "</answer>")
    truth = _true_answer(solution) if isinstance(solution, str) else None
    if answer is None or truth is None:
        return 0.0
    answer = answer.strip().lower()
    if ";" in answer or ";" in truth:
        told, true = _labels(answer), _labels(truth)
    else:  # a semicolon on one side only would otherwise change what the other side says
        told, true = {answer} - {""}, {truth} - {""}
    if not told and not true:
        return 1.0
    return len(told & true) / len(told | true)


def _labels(answer: str) -> set[str]:
    return {label.strip() for label in answer.split(";")} - {""}


def true_labels(solution: str) -> set[str]:
    """Labels of the solution's `<|answer|>`, as written, in lower case."""
    return _labels(_true_answer(solution) or "")


@lru_cache(maxsize=512)
def _true_answer(solution: str) -> str | None:
    tag = solution.find("<|answer|>")
    end = _ANSWER_END.search(solution, tag + len("<|answer|>")) if tag >= 0 else None
    return solution[tag + len("<|answer|>") : end.start()].strip().lower() if end else None


# --- evidence ---------------------------------------------------------------------------------


def _evidence_share(text: str, solution: Any) -> float:
    evidence = _evidence(solution) if isinstance(solution, str) else {}
    thought = _between(_fold(text), "<think>", "</think>")
    if not evidence or thought is None:
        return 0.0
    steps = _steps(thought)
    shares = [_share(steps.get(number, ""), phrases) for number, phrases in evidence.items()]
    return sum(shares) / len(shares)


def _share(step: str, phrases: tuple[str, ...]) -> float:
    if not all(phrase.isascii() for phrase in phrases):
        step, phrases = _fold_alike(step), tuple(map(_fold_alike, phrases))
    return sum(phrase in step for phrase in phrases) / len(phrases)


def _steps(thought: str) -> dict[int, str]:
    """Step number to its text; of a number that comes twice, the last that is not blank."""
    steps: dict[int, str] = {}
    heading = _HEADING.search(thought)
    while heading:
        if len(heading[1]) > _LONGEST_INT:
            return {}
        end = _HEADING_END.search(thought, heading.end())
        if end is None:
            break
        following = thought.find("**step", end.end())
        step = thought[end.end() : following if following >= 0 else len(thought)]
        if step and not step.isspace():
            steps[int(heading[1])] = step
        heading = _HEADING.search(thought, following) if following >= 0 else None
    return steps


@lru_cache(maxsize=512)
def _evidence(solution: str) -> dict[int, tuple[str, ...]]:
    found = evidence_phrases(solution)
    return {step: tuple(map(_fold, phrases)) for step, phrases in found.items()}


def evidence_phrases(solution: str) -> dict[int, tuple[str, ...]]:
    """Step number to its key phrases, for the steps that have any, in the order of steps."""
    tag = _EVIDENCE_TAG.search(solution)
    end = _EVIDENCE_END.search(solution, tag.end()) if tag else None
    listed = solution[tag.end() : end.start()] if tag and end else solution
    keys = list(_STEP_KEY.finditer(listed))
    starts = [key.start() for key in keys] + [len(listed)]
    found: dict[int, tuple[str, ...]] = {}
    for start, following in pairwise(starts):
        key, colon, phrases = listed[start:following].partition(":")
        number = _NUMBER_OF.get(key.lower())
        if number and colon:
            split = (phrase.strip() for phrase in phrases.split(";"))
            found[number] = tuple(phrase for phrase in split if phrase)
    return {number: found[number] for number in sorted(found) if found[number]}


def _fold(text: str) -> str:
    """Text in which `in` finds ASCII as `re.IGNORECASE` does; keeps the length."""
    if text.isascii():
        return text.lower()
    # The dotted capital I is the one character whose lower case is two.
    lower = text.replace("\u0130", "i").lower()
    return lower.replace("\u0131", "i").replace("\u017f", "s")


def _fold_alike(text: str) -> str:
    """Folded text in which `in` finds any character as `re.IGNORECASE` does."""
    for variant, character in _ALIKE.items():
        text = text.replace(variant, character)
    return text
