"""The six-step reading as text: the one place that formats and parses it.

What this leaves out: wording. What the steps say is the corpus writer's and the model's.
"""

import re
from dataclasses import dataclass, field

STEP_TITLES = {
    1: "Technical, Rate & Rhythm",
    2: "Conduction, Axis & Intervals",
    3: "Chamber Hypertrophy & Voltage",
    4: "Ischemia, Infarction & Mimics",
    5: "Electrolytes & QT",
    6: "Final Medical Reasoning",
}
# The paper's conversation around a reading.
SYSTEM_PROMPT = (
    "You are a helpful, harmless clinical ECG assistant. "
    "Provide concise, evidence-based interpretations."
)
QUESTION = (
    "Interpret the provided ECG image, identify key features and abnormalities in each lead, "
    "and generate a clinical diagnosis that is supported by the observed evidence."
)
TAGS = ("<think>", "</think>", "<answer>", "</answer>")
# No two neighbouring repeats can match the same character, which keeps the scan linear.
_HEADING = re.compile(r"\*\*Step[ \t]+([0-9]{1,2})[ \t]*:([^*\n]*)\*\*", re.IGNORECASE)
_STEP_MARK = re.compile(r"\*\*\s*step", re.IGNORECASE)


@dataclass(frozen=True)
class Report:
    """A whole reading.

    Attributes:
        steps: Text of steps 1 to 6, without their titles.
        summary: The paragraph between the steps and the answer.
        diagnoses: Lower-case labels, at least one.
    """

    steps: dict[int, str]
    summary: str
    diagnoses: tuple[str, ...]


@dataclass(frozen=True)
class ParsedReport:
    """What a text says so far, and what is wrong with it as a reading.

    Attributes:
        steps: Step texts without titles; of a repeated step, the first.
        summary: What stands between `</think>` and `<answer>`.
        diagnoses: Labels as written, lower-case and stripped; in an answer that is still open
            only those already ended by a semicolon.
        problems: Why the text is not well formed, one sentence each.
    """

    steps: dict[int, str]
    summary: str
    diagnoses: list[str]
    problems: tuple[str, ...]

    @property
    def well_formed(self) -> bool:
        """Whether the whole grammar stands there, once and in order."""
        return not self.problems


@dataclass(frozen=True)
class Reading:
    """What one arm wrote, as far as it has come.

    Attributes:
        arm: "signal", "image", "both" or "control".
        text: The model's text, verbatim.
        steps: Step number to text.
        summary: The paragraph after the steps.
        diagnoses: Labels of `<answer>`.
        well_formed: Whether the text follows the whole grammar.
        seconds: Time since the request until the arm's last token.
        n_tokens: Tokens written.
        done: Whether the arm has finished.
        problem: Why the arm has no reading, or None.
    """

    arm: str
    text: str = ""
    steps: dict[int, str] = field(default_factory=dict)
    summary: str = ""
    diagnoses: list[str] = field(default_factory=list)
    well_formed: bool = False
    seconds: float = 0.0
    n_tokens: int = 0
    done: bool = False
    problem: str | None = None


def format_report(report: Report) -> str:
    """Write a reading in the one layout that `parse_report` reads back unchanged.

    Raises:
        ValueError: If a step is missing or a text would break the grammar; quotes the text.

    Example:
        >>> steps = {number: f"Finding {number}." for number in range(1, 7)}
        >>> text = format_report(Report(steps, "All well.", ("normal ecg",)))
        >>> parse_report(text).steps == steps
        True
    """
    if sorted(report.steps) != sorted(STEP_TITLES):
        raise ValueError(f"a reading has steps 1 to 6, got {sorted(report.steps)}")
    if not report.diagnoses:
        raise ValueError("a reading needs at least one diagnosis, got ()")
    for name, text in [*report.steps.items(), ("summary", report.summary)]:
        _refuse_text(name, text)
    for label in report.diagnoses:
        _refuse_label(label)
    steps = "\n".join(f"**Step {n}: {STEP_TITLES[n]}** {report.steps[n]}" for n in STEP_TITLES)
    answer = "; ".join(report.diagnoses)
    return f"<think>\n{steps}\n</think>\n{report.summary}\n<answer>{answer}</answer>"


def _refuse_text(name: int | str, text: str) -> None:
    place = f"step {name}" if isinstance(name, int) else name
    if not text or text != text.strip():
        raise ValueError(f"{place} must be non-empty without space around it, got {text!r}")
    if any(tag in text for tag in TAGS) or _STEP_MARK.search(text):
        raise ValueError(f"{place} holds a tag or a step heading: {text!r}")


def _refuse_label(label: str) -> None:
    if not label or label != label.strip().lower() or any(mark in label for mark in ";<\n"):
        raise ValueError(f"a label is lower-case, non-empty, without ';' or '<', got {label!r}")


def parse_report(text: str) -> ParsedReport:
    r"""Read a text, whole or still arriving, as a six-step reading; never raises.

    Linear in the length of the text.

    Args:
        text: A model's output so far, or a whole reading.

    Example:
        >>> parse_report("<think>\n**Step 1: Technical, Rate & Rhythm** Rate 70 bpm.").steps
        {1: 'Rate 70 bpm.'}
    """
    before, thought, after = _cut_think(text)
    summary, answer, rest, is_closed = _cut_answer(after)
    headings = list(_HEADING.finditer(thought))
    starts = [heading.start() for heading in headings] + [len(thought)]
    steps: dict[int, str] = {}
    for heading, end in zip(headings, starts[1:], strict=True):
        steps.setdefault(int(heading[1]), thought[heading.end() : end].strip())
    labels = [label.strip().lower() for label in answer.split(";")]
    finished = labels if is_closed else labels[:-1]
    problems = [
        *_tag_problems(text),
        *_stray_problems(before, thought[: starts[0]], rest),
        *_step_problems(headings, steps),
        *_end_problems(summary, labels),
    ]
    known = {number: steps[number] for number in sorted(steps) if number in STEP_TITLES}
    return ParsedReport(known, summary.strip(), [x for x in finished if x], tuple(problems))


def _cut_think(text: str) -> tuple[str, str, str]:
    """Text before `<think>`, inside it, and after it; without the tag all before an answer."""
    before, opened, inside = text.partition("<think>")
    if not opened:
        before, inside = "", text
    thought, closed, after = inside.partition("</think>")
    if closed:
        return before, thought, after
    thought, opened, after = inside.partition("<answer>")
    return before, thought if opened else _without_unfinished(thought), opened + after


def _cut_answer(text: str) -> tuple[str, str, str, bool]:
    """Summary, answer, what follows, and whether the answer is closed."""
    summary, opened, after = text.partition("<answer>")
    answer, closed, rest = after.partition("</answer>")
    return (summary if opened else _without_unfinished(summary)), answer, rest, bool(closed)


def _without_unfinished(text: str) -> str:
    """A stream's text without the tag or heading that has begun at its very end."""
    for tag in TAGS:
        for length in range(len(tag) - 1, 0, -1):
            if text.endswith(tag[:length]):
                return text[:-length]
    start = text.rfind("\n") + 1
    line = text[start:]
    is_begun = line.lower().startswith("**step") or (line and "**step".startswith(line.lower()))
    return text[:start] if is_begun and not _HEADING.match(line) else text


def _tag_problems(text: str) -> list[str]:
    counts = {tag: text.count(tag) for tag in TAGS}
    wrong = [f"{tag} stands {n} times, not once" for tag, n in counts.items() if n != 1]
    places = [text.find(tag) for tag in TAGS]
    if not wrong and places != sorted(places):
        return ["the tags are not in the order <think> </think> <answer> </answer>"]
    return wrong


def _stray_problems(before: str, preface: str, rest: str) -> list[str]:
    places = {"before <think>": before, "before the first step": preface}
    places["after </answer>"] = rest
    return [f"there is text {place}" for place, text in places.items() if text.strip()]


def _step_problems(headings: list[re.Match[str]], steps: dict[int, str]) -> list[str]:
    numbers = [int(heading[1]) for heading in headings]
    problems = []
    if numbers != list(STEP_TITLES):
        shown = ", ".join(map(str, numbers[:12])) or "none"
        problems.append(f"steps must be 1 to 6, once each and in order; found {shown}")
    for heading in headings[: len(STEP_TITLES)]:
        expected = STEP_TITLES.get(int(heading[1]))
        if expected and _plain_title(heading[2]) != _plain_title(expected):
            problems.append(
                f"step {heading[1]} is titled {heading[2].strip()[:60]!r}, not {expected!r}"
            )
    empty = [number for number in STEP_TITLES if steps.get(number) == ""]
    return problems + [f"step {number} is empty" for number in empty]


def _plain_title(title: str) -> str:
    return " ".join(title.casefold().replace("ischaemia", "ischemia").split())


def _end_problems(summary: str, labels: list[str]) -> list[str]:
    problems = []
    if not summary.strip():
        problems.append("the summary between </think> and <answer> is missing")
    elif _HEADING.search(summary):
        problems.append("there is a step heading after </think>")
    if not all(labels):
        problems.append("the answer is missing or holds an empty label")
    return problems
