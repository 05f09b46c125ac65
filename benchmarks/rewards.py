"""The three paper rewards beside plain regular expressions in the same run; the strict ones.

Run `python -m benchmarks.rewards`. One thread; readings of 7.9 thousand characters, like those
the reference was timed on (2,100 to 2,500 completions/s for the three, see `ecg-r1.md`).
Groups of six completions share their solution. The last line of the first table is a text that
makes a scan which restarts at each tag quadratic.

The strict rewards parse claims, and keep what single sentences said. "Cold" forgets all of it
before each completion; "warm" is the batch again, as in training, where sentences repeat. The
readings of the first table say one filling sentence over and over; the last row's readings say
no sentence twice.

The last table, which README publishes, is no timing: what cheats earn against the answer key of
the shipped record A0003, paper's rewards beside strict ones, and honest readings above them.
"""

import json
import re
import time
from collections.abc import Callable, Sequence
from itertools import count

from ecg_r1.claims import parse
from ecg_r1.report import STEP_TITLES
from ecg_r1.rewards import (
    paper_diagnosis_reward,
    paper_evidence_reward,
    paper_format_reward,
    strict_diagnosis_reward,
    strict_evidence_reward,
    strict_format_reward,
)
from ecg_r1.rewards.cheats import CHEATS, honest
from ecg_r1.rewards.four import SOLUTION
from ecg_r1.rewards.paper import STEP_KEYS

CHARACTERS, GROUP, COMPLETIONS, SECONDS = 7900, 6, 48, 2.0
PHRASES = {
    1: ("sinus rhythm", "108 bpm", "regular RR intervals"),
    2: ("left axis deviation", "QRS 96 ms", "PR 160 ms"),
    3: ("no voltage criteria for LVH",),
    4: ("ST elevation", "Q waves in V1-V3", "reciprocal ST depression"),
    5: ("QTc 470 ms", "no tented T waves"),
    6: ("acute anterior MI",),
}
LABELS = "acute anterior mi; sinus tachycardia; left axis deviation"
Columns = tuple[list[str], list[str]]
MEASURED = json.dumps({"hr_bpm": 146, "qrs_ms": 84, "qt_ms": 270, "qtc_ms": 363})  # of A0003


def reading(number: int, filler: str) -> str:
    """A reading of `CHARACTERS` characters that says two thirds of the phrases."""
    steps = {
        n: "; ".join(p for k, p in enumerate(phrases) if (k + n + number) % 3)
        for n, phrases in PHRASES.items()
    }
    answer = LABELS if number % 2 else "sinus tachycardia"
    bare = sum(map(len, steps.values())) + 400
    padding = (filler * CHARACTERS)[: (CHARACTERS - bare) // len(steps)]
    body = "\n\n".join(
        f"**Step {n}: {STEP_TITLES[n]}**\n{padding} {steps[n]}." for n in STEP_TITLES
    )
    return f"<think>\n{body}\n</think>\n\nSummary.\n\n<answer>{answer}</answer>"


def solution(number: int) -> str:
    """The key of a group, different from the other groups'."""
    lines = (f"{STEP_KEYS[n - 1]}: {'; '.join(p)}" for n, p in PHRASES.items())
    listed = "\n".join(lines)
    return (
        f"<|key_diagnostic_evidence|>{listed}; record {number}<|/key_diagnostic_evidence|>\n"
        f"<|answer|>{LABELS}<|/answer|>"
    )


def ours(completions: Sequence[str], solutions: Sequence[str]) -> list[list[float]]:
    """Format, diagnosis and evidence as the package computes them."""
    return [
        paper_format_reward(completions, solution=solutions),
        paper_diagnosis_reward(completions, solution=solutions),
        paper_evidence_reward(completions, solution=solutions),
    ]


def strict(completions: Sequence[str], solutions: Sequence[str]) -> list[list[float | None]]:
    """Format, diagnosis and evidence, hard to cheat."""
    return [
        strict_format_reward(completions),
        strict_diagnosis_reward(completions, solution=solutions),
        strict_evidence_reward(completions, solution=solutions),
    ]


def strict_cold(completions: Sequence[str], solutions: Sequence[str]) -> list[list]:
    """The same, each completion as if it were the first."""
    found = []
    for completion, solution in zip(completions, solutions, strict=True):
        parse._claims_of.cache_clear()
        parse._bare_claims_of.cache_clear()
        found.append(strict([completion], [solution]))
    return found


def plain(completions: Sequence[str], solutions: Sequence[str]) -> list[list[float]]:
    """The same rewards as one writes them first, with lazy patterns and one search a phrase."""
    pairs = list(zip(completions, solutions, strict=True))
    return [
        [_plain_format(c) for c in completions],
        [_plain_diagnosis(c, s) for c, s in pairs],
        [_plain_evidence(c, s) for c, s in pairs],
    ]


def _plain_format(text: str) -> float:
    found = re.search(r"<think>(.*?)</think>", text, re.DOTALL)
    return float(bool(found and found[1].strip()))


def _plain_diagnosis(text: str, key: str) -> float:
    told = re.search(r"<answer>(.*?)</answer>", text, re.DOTALL)
    true = re.search(r"<\|answer\|>(.*?)<\|[/\\]answer\|>", key, re.DOTALL)
    if not (told and true):
        return 0.0
    a, b = ({x.strip() for x in m[1].lower().split(";") if x.strip()} for m in (told, true))
    return len(a & b) / len(a | b) if a | b else 1.0


def _plain_evidence(text: str, key: str) -> float:
    flags = re.DOTALL | re.IGNORECASE
    thought = re.search(r"<think>(.*?)</think>", text, flags)
    tags = r"<\|key_diagnostic_evidence\|>(.*?)<\|[/\\]key_diagnostic_evidence\|>"
    listed = re.search(tags, key, flags)
    if not (thought and listed):
        return 0.0
    heading = r"\*\*Step\s+(\d+).*?(?:\*\*|:|\n)(.*?)(?=\*\*Step|\Z)"
    steps = {int(n): body for n, body in re.findall(heading, thought[1], flags)}
    entry = r"step_(\d+)_[a-z_]+:(.*?)(?=step_\d+|\Z)"
    shares = []
    for number, phrases in re.findall(entry, listed[1], flags):
        wanted = [phrase.strip() for phrase in phrases.split(";") if phrase.strip()]
        body = steps.get(int(number), "")
        hits = [bool(re.search(re.escape(w), body, re.IGNORECASE)) for w in wanted]
        if wanted:
            shares.append(sum(hits) / len(hits))
    return sum(shares) / len(shares) if shares else 0.0


def rate(score: Callable[..., list[list[float]]], columns: Columns) -> float:
    """Completions a second over about `SECONDS`."""
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < SECONDS or not done:
        score(*columns)
        done += len(columns[0])
    return done / (time.perf_counter() - started)


def columns(filler: str) -> Columns:
    """A batch of readings and their solutions."""
    groups = [n // GROUP for n in range(COMPLETIONS)]
    return [reading(n, filler) for n in range(COMPLETIONS)], [solution(g) for g in groups]


MOULDS = (
    "The R wave in V5 is {a}.{b} mm", "The S wave in V1 is {b}.{a} mm", "QRS duration {c} ms",
    "The heart rate is {c} bpm", "PR interval 1{c} ms", "No ST elevation in V{d} of beat {a}",
    "T wave inversion in V{d} of {b} mm", "The axis is {c} degrees", "QTc 4{b} ms, normal",
    "Minute {a}{b} shows no artefact", "Premature ventricular complexes in strip {a}{b}",
    "Left bundle branch block is unlikely in beat {c}",
)  # fmt: skip


def without_repetition(number: int) -> str:
    """A reading of `CHARACTERS` characters in which no sentence stands twice."""
    said = (
        mould.format(a=k % 89 + 10, b=(k * 7 + number) % 89 + 10, c=k + 40, d=k % 6 + 1)
        for k in count()
        for mould in MOULDS
    )
    steps = dict.fromkeys(STEP_TITLES, "")
    for n in STEP_TITLES:
        while len(steps[n]) < (CHARACTERS - 400) / len(STEP_TITLES):
            steps[n] += f"{next(said)}. "
    body = "\n\n".join(f"**Step {n}: {STEP_TITLES[n]}**\n{steps[n]}" for n in STEP_TITLES)
    return f"<think>\n{body}\n</think>\n\nSummary.\n\n<answer>{LABELS}</answer>"


def cheat_table() -> str:
    """Sums of the three rewards (0 to 3) for each cheat, and the strict evidence alone."""
    readings = {
        "**honest, all of it**": honest(SOLUTION),
        "**honest, half of it**": honest(SOLUTION, 0.5),
        **{name: cheat(SOLUTION) for name, cheat in CHEATS.items()},
    }
    lines = ["| | paper | strict | of it evidence |", "|---|---|---|---|"]
    for name, text in readings.items():
        paid = sum(values[0] for values in ours([text], [SOLUTION]))
        facts = {"solution": [SOLUTION], "measurements": [MEASURED]}
        evidence = strict_evidence_reward([text], **facts)[0]
        labels = strict_diagnosis_reward([text], **facts)[0]
        total = strict_format_reward([text])[0] + labels + evidence
        lines.append(f"| {name} | {paid:.2f} | {total:.2f} | {evidence:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables; ours and the baseline must agree on every text."""
    unclosed = (["<think>" * 5000], [solution(0)])
    cases = {
        "7.9k characters, ASCII": columns("The baseline is stable and there is no artefact. "),
        "7.9k characters, with signs": columns(
            "Amplitude \u2265 0.1 mV \u2013 within 60\u2013100 \u00b5s. "
        ),
        "5,000 unclosed tags": unclosed,
    }
    print(f"{'completions/s, one thread':30}{'ours':>12}{'plain regex':>14}{'ratio':>8}")
    for name, batch in cases.items():
        if ours(*batch) != plain(*batch):
            raise SystemExit(f"{name}: the two disagree")
        fast, slow = rate(ours, batch), rate(plain, batch)
        print(f"{name:30}{fast:12,.0f}{slow:14,.1f}{fast / slow:8.1f}")
    print(f"\n{'strict, completions/s':30}{'cold':>12}{'warm':>14}")
    groups = [solution(n // GROUP) for n in range(COMPLETIONS)]
    different = [without_repetition(n) for n in range(COMPLETIONS)], groups
    for name, batch in [*list(cases.items())[:2], ("no sentence twice", different)]:
        cold = rate(strict_cold, batch)
        strict(*batch)
        print(f"{name:30}{cold:12,.0f}{rate(strict, batch):14,.0f}")
    print(f"\n{cheat_table()}")


if __name__ == "__main__":
    main()
