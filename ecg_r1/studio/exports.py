"""What a visitor takes away: one account of a session as JSON and Markdown, see `pdf` too."""

import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from ecg_r1 import DISCLAIMER, __version__
from ecg_r1.auditing import MARKS
from ecg_r1.display import account
from ecg_r1.ecg import ECGError
from ecg_r1.studio.agreement import agreement
from ecg_r1.studio.study import Session

DECODING = "greedy (no sampling, so no seed), one batch for all arms of a model"


def report(session: Session) -> dict[str, Any]:
    """Everything on the screen as plain Python, JSON-ready.

    Raises:
        ECGError: Nothing has been read yet.
    """
    study = session.study
    if study is None:
        raise ECGError("there is nothing to take away yet: choose an ECG first")
    plain: dict[str, Any] = {
        "disclaimer": DISCLAIMER,
        "studio": f"ECG-R1 Studio {__version__}",
        "title": study.title,
        "models": [asdict(one) for one in session.asked.values()],
        "decoding": DECODING,
        "changed": session.change.words(),
        "control": None if session.control is None else session.control.words,
        "measured": None if study.measured is None else study.measured.to_json(),
        "protocol": None if study.found is None else study.found.to_json(),
        "readings": {
            one: asdict(reading)
            | {
                "model": session.reader(one),
                "steps": {str(n): s for n, s in reading.steps.items()},
            }
            for one, reading in session.readings.items()
        },
        "audits": {arm: one.to_json() for arm, one in session.audits.items()},
    }
    rows = agreement(study, session.readings, session.audits)
    plain["agreement"] = {
        row.title: {"measured": row.measured}
        | {one: cell.words for one, cell in row.cells.items()}
        for row in rows
    }
    return plain


def to_json(session: Session) -> str:
    """The report as JSON."""
    return json.dumps(report(session), indent=2, allow_nan=False, ensure_ascii=False)


def to_markdown(session: Session) -> str:
    """The report as Markdown."""
    return "\n".join(
        MARKDOWN[line.kind].format(_literal(line.words)) for line in report_lines(session)
    )


def _literal(words: str) -> str:
    r"""Words that no Markdown reader takes for markup.

    Example:
        >>> _literal("# <b> *x* & [y](z)"), _literal("1. one"), _literal("PR 160 ms.")
        ('\\# &lt;b> \\*x\\* &amp; \\[y\\](z)', '1\\. one', 'PR 160 ms.')
    """
    inert = words.strip().replace("&", "&amp;").replace("<", "&lt;")
    inert = re.sub(r"([\\`*_\[\]|~])", r"\\\1", inert)
    return re.sub(r"^(\d*)([#>+=.)-])", r"\1\\\2", inert)  # headings, quotes, lists, rules


@dataclass(frozen=True)
class Line:
    """A line of the report: plain words, and what they are, a key of `MARKDOWN`."""

    words: str = ""
    kind: str = "text"


MARKDOWN = {
    "title": "# {}",
    "heading": "## {}",
    "subheading": "### {}",
    "strong": "**{}**",
    "item": "- {}",
    "text": "{}",
}


def _items(*words: str) -> list[Line]:
    return [Line(one, "item") for one in words]


def report_lines(session: Session) -> list[Line]:
    """The report line by line."""
    plain, study, asked = report(session), session.study, session.asked.values()
    lines = [Line(f"ECG-R1 Studio: {plain['title']}", "title"), Line(DISCLAIMER, "strong")]
    names = ", ".join(f"{one.name} {one.version}".strip() for one in asked)
    lines += [Line(), *_items(f"{plain['studio']}; model: {names or 'none has read'}")]
    for one in asked:
        lines += _items(
            f"{one.name} was told: {one.system} And asked: {one.question}",
            *(f"{one.name}: {warning}" for warning in one.warnings),
        )
    lines += _items(
        f"Decoding: {DECODING}",
        f"Changed for the models: {', '.join(plain['changed']) or 'nothing'}",
    )
    lines += [Line(), Line("Measured on the signal", "heading")]
    if study.ecg is None:
        lines.append(Line("A picture carries no signal; nothing was measured."))
    else:
        told = account(study.ecg, study.measured, study.found)
        named = ", ".join(one.label for one in told.diagnoses) or "nothing to name"
        lines += _items(
            *told.warnings,
            *(f"{title}: {value}" for title, value in told.values.items()),
            f"By published criteria, not a diagnosis: {named}",
        )
        lines += [Line(), Line(told.urgency)]
    lines.append(Line())
    for one, title in session.titles().items():
        lines += _reading_lines(session, one, title)
    return lines


def _reading_lines(session: Session, column: str, title: str) -> list[Line]:
    reading = session.readings[column]
    lines = [Line(f"{title}, read by {session.reader(column)}", "heading")]
    if reading.problem:
        return [*lines, Line(reading.problem), Line()]
    state = "" if reading.done else " (stopped)"
    lines += [Line(f"{reading.n_tokens} tokens in {reading.seconds:.1f} s{state}"), Line()]
    lines += [*map(Line, reading.text.splitlines()), Line()]
    found = session.audits.get(column)
    if found is not None:
        lines.append(Line(f"Audit: {title}", "subheading"))
        for one in found.claims:
            sign, name, *_ = MARKS[one.verdict]
            words = " ".join(one.text.split())
            lines += _items(f'{sign} {name}: "{words}" ({one.reason})')
        lines += _items(*found.notes)
        lines.append(Line())
    return lines
