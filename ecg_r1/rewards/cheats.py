"""Completions that want a reward without reading the ECG, for tests and for teaching.

Each takes what a cheat could know (the solution that it is scored against, which no real model
sees, or nothing) and gives a completion. A reward is worth something when none of them beats an
honest reading that is half right.
"""

import re
from collections.abc import Callable

from ecg_r1.labels import LABELS
from ecg_r1.report import STEP_TITLES
from ecg_r1.rewards.paper import evidence_phrases, true_labels

Cheat = Callable[[str], str]


def reading(steps: dict[int, str], answer: str, *, titles: dict[int, str] | None = None) -> str:
    """A completion in the grammar, with any text in its steps."""
    names = titles or STEP_TITLES
    body = "\n".join(f"**Step {n}: {names[n]}** {steps.get(n) or 'Nothing.'}" for n in names)
    return f"<think>\n{body}\n</think>\nSummary.\n<answer>{answer}</answer>"


def honest(solution: str, share: float = 1.0) -> str:
    """An honest reading that knows a share of each step's evidence and of the labels."""
    phrases = evidence_phrases(solution)
    steps = {n: ". ".join(_first(list(p), share)) for n, p in phrases.items()}
    labels = sorted(true_labels(solution))
    return reading(steps, "; ".join(_first(labels, share)) or "normal ecg")


def _first(items: list[str], share: float) -> list[str]:
    return items[: max(1, round(share * len(items)))] if items else []


def _negated(solution: str) -> str:
    phrases = evidence_phrases(solution)
    steps = {n: ". ".join(f"There is no {one}" for one in p) for n, p in phrases.items()}
    return reading(steps, "; ".join(f"no {one}" for one in true_labels(solution)))


def _everywhere(solution: str) -> str:
    everything = ". ".join(one for p in evidence_phrases(solution).values() for one in p)
    return reading(dict.fromkeys(STEP_TITLES, everything), "; ".join(true_labels(solution)))


def _over_listed(_: str) -> str:
    every = "; ".join(label.text for label in LABELS)
    return reading(dict.fromkeys(STEP_TITLES, every.replace(";", ",")), every)


_SOUP = (
    "ST elevation, ST depression, T wave inversion, Q waves, poor R wave progression, LVH, "
    "RVH, LBBB, RBBB, sinus rhythm, atrial fibrillation, normal axis, left axis deviation, "
    "right axis deviation, prolonged QTc, hyperkalaemia, U waves, delta wave, PR prolonged, "
    "PR normal, QRS wide, QRS narrow, regular rhythm, irregular rhythm, P waves present"
)


def _soup(_: str) -> str:
    return reading(dict.fromkeys(STEP_TITLES, _SOUP), "sinus rhythm; normal ecg")


def _contradicting(solution: str) -> str:
    phrases = evidence_phrases(solution)
    steps = {n: ". ".join(f"{one}. There is no {one}" for one in p) for n, p in phrases.items()}
    return reading(steps, "; ".join(true_labels(solution)) + "; normal ecg; lbbb")


def _padded(solution: str) -> str:
    """The same among truisms, which dilute a share."""
    truisms = " ".join(
        f"The heart rate is above {20 + k % 20} bpm. The QTc is above {200 + k} ms."
        for k in range(80)
    )
    return _contradicting(solution).replace("**Step 6", f"{truisms}\n**Step 6")


def _wide_ranges(solution: str) -> str:
    """Each number as a range around it, wide enough to be right whatever is true."""
    phrases = evidence_phrases(solution)
    steps = {n: ". ".join(_widened(one) for one in p) for n, p in phrases.items()}
    return reading(steps, "sinus rhythm")


def _widened(phrase: str) -> str:
    return re.sub(
        r"(?<![\w-])\d+(?=\s*(?:bpm|ms|mm)\b|\Z)",
        lambda found: f"{int(found[0]) // 2}-{3 * int(found[0]) // 2}",
        phrase,
    )


def _wrong_leads(solution: str) -> str:
    turned = solution
    for old, new in (("V1", "@a"), ("V2", "@b"), ("II", "@c"), ("V5", "@d"), ("aVL", "@e")):
        turned = turned.replace(old, new)
    for mark, lead in (("@a", "V6"), ("@b", "aVF"), ("@c", "V4"), ("@d", "V1"), ("@e", "V3")):
        turned = turned.replace(mark, lead)
    phrases = evidence_phrases(turned)
    return reading({n: ". ".join(p) for n, p in phrases.items()}, "sinus rhythm")


def _wrong_numbers(solution: str) -> str:
    phrases = evidence_phrases(solution)
    steps = {n: ". ".join(_prefixed(one) for one in p) for n, p in phrases.items()}
    return reading(steps, "sinus rhythm")


def _withheld(solution: str) -> str:
    """True words, and of every number that it is not measurable."""
    phrases = evidence_phrases(solution)
    steps = {
        n: ". ".join(one for one in p if not re.search(r"\d", one)) for n, p in phrases.items()
    }
    for step, names in ((1, "Heart rate"), (2, "PR, QRS and axis"), (3, "Voltages"), (5, "QT")):
        steps[step] = f"{names} not measurable. {steps.get(step, '')}"
    return reading(steps, "; ".join(true_labels(solution)))


def _prefixed(phrase: str) -> str:
    """A digit before each number: the old number is still a substring."""
    return "".join(
        f"1{c}" if c.isdigit() and (i == 0 or phrase[i - 1] == " ") else c
        for i, c in enumerate(phrase)
    )


def _titles_only(_: str) -> str:
    return reading(dict(STEP_TITLES), "sinus rhythm; normal ecg")


def _swapped_steps(solution: str) -> str:
    phrases = evidence_phrases(solution)
    turned = {n: ". ".join(phrases.get(n % 6 + 1, ())) for n in STEP_TITLES}
    return reading(turned, "; ".join(true_labels(solution)))


def _steps_left_out(solution: str) -> str:
    """One step that holds everything."""
    everything = ". ".join(one for p in evidence_phrases(solution).values() for one in p)
    only = {1: STEP_TITLES[1]}
    return reading({1: everything}, "; ".join(true_labels(solution)), titles=only)


def _unicode(solution: str) -> str:
    """Letters of another alphabet that look alike, and marks that nobody sees."""
    alike = str.maketrans("aeopcSTVI", "аеорсЅТⅤІ")  # noqa: RUF001  that is the trick
    phrases = evidence_phrases(solution)
    steps = {n: ". ".join(p).translate(alike) for n, p in phrases.items()}
    return reading(steps, "\u200b; ".join(true_labels(solution)).translate(alike))


def _endless(solution: str) -> str:
    everything = ". ".join(one for p in evidence_phrases(solution).values() for one in p)
    many = everything + ". "
    return reading(
        dict.fromkeys(STEP_TITLES, many * (100_000 // (6 * max(len(many), 1)) + 1)),
        "; ".join(true_labels(solution)),
    )


def _many_answers(solution: str) -> str:
    text = reading({}, "sinus rhythm")
    return text + "".join(f"<answer>{one}</answer>" for one in true_labels(solution))


# Name -> cheat. The first ones know the solution, which is more than a model ever does.
CHEATS: dict[str, Cheat] = {
    "negates every finding": _negated,
    "pastes everything everywhere": _everywhere,
    "lists every diagnosis": _over_listed,
    "keyword soup": _soup,
    "affirms and denies": _contradicting,
    "affirms and denies among truisms": _padded,
    "right findings in wrong leads": _wrong_leads,
    "right words, wrong numbers": _wrong_numbers,
    "numbers as wide ranges": _wide_ranges,
    "calls numbers not measurable": _withheld,
    "copies the titles": _titles_only,
    "steps exchanged": _swapped_steps,
    "steps left out": _steps_left_out,
    "look-alike letters": _unicode,
    "100,000 characters": _endless,
    "several answers": _many_answers,
}
