"""What a visitor takes away: one account of a session as JSON, Markdown and PDF."""

import json
import re
from dataclasses import asdict, dataclass
from functools import cache
from io import BytesIO
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from ecg_r1 import DISCLAIMER, __version__
from ecg_r1.auditing import MARKS
from ecg_r1.display import account
from ecg_r1.ecg import ECGError
from ecg_r1.page import draw_page
from ecg_r1.studio.agreement import agreement
from ecg_r1.studio.study import Session, altered, damaged

DECODING = "greedy (no sampling, so no seed), one batch for all arms of a model"
# A4 at 150 dots per inch.
A4_PX, MARGIN_PX, TEXT_PX = (1240, 1754), 90, 25


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
        MARKDOWN[line.kind].format(_literal(line.words)) for line in _lines(session)
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
class _Line:
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
LETTERS_PX = {"title": 42, "heading": 34, "subheading": 28}


def _items(*words: str) -> list[_Line]:
    return [_Line(one, "item") for one in words]


def _lines(session: Session) -> list[_Line]:
    """The report line by line."""
    plain, study, asked = report(session), session.study, session.asked.values()
    lines = [_Line(f"ECG-R1 Studio: {plain['title']}", "title"), _Line(DISCLAIMER, "strong")]
    names = ", ".join(f"{one.name} {one.version}".strip() for one in asked)
    lines += [_Line(), *_items(f"{plain['studio']}; model: {names or 'none has read'}")]
    for one in asked:
        lines += _items(
            f"{one.name} was told: {one.system} And asked: {one.question}",
            *(f"{one.name}: {warning}" for warning in one.warnings),
        )
    lines += _items(
        f"Decoding: {DECODING}",
        f"Changed for the models: {', '.join(plain['changed']) or 'nothing'}",
    )
    lines += [_Line(), _Line("Measured on the signal", "heading")]
    if study.ecg is None:
        lines.append(_Line("A picture carries no signal; nothing was measured."))
    else:
        told = account(study.ecg, study.measured, study.found)
        named = ", ".join(one.label for one in told.diagnoses) or "nothing to name"
        lines += _items(
            *told.warnings,
            *(f"{title}: {value}" for title, value in told.values.items()),
            f"By published criteria, not a diagnosis: {named}",
        )
        lines += [_Line(), _Line(told.urgency)]
    lines.append(_Line())
    for one, title in session.titles().items():
        lines += _reading_lines(session, one, title)
    return lines


def _reading_lines(session: Session, column: str, title: str) -> list[_Line]:
    reading = session.readings[column]
    lines = [_Line(f"{title}, read by {session.reader(column)}", "heading")]
    if reading.problem:
        return [*lines, _Line(reading.problem), _Line()]
    state = "" if reading.done else " (stopped)"
    lines += [_Line(f"{reading.n_tokens} tokens in {reading.seconds:.1f} s{state}"), _Line()]
    lines += [*map(_Line, reading.text.splitlines()), _Line()]
    found = session.audits.get(column)
    if found is not None:
        lines.append(_Line(f"Audit: {title}", "subheading"))
        for one in found.claims:
            sign, name, *_ = MARKS[one.verdict]
            words = " ".join(one.text.split())
            lines += _items(f'{sign} {name}: "{words}" ({one.reason})')
        lines += _items(*found.notes)
        lines.append(_Line())
    return lines


def to_pdf(session: Session) -> bytes:
    """The report as a PDF of A4 pages: the trace first, then the words; drawn with Pillow."""
    pages = [_first_page(session)]
    lines = [broken for line in _lines(session)[2:] for broken in _wrapped(line)]
    body = A4_PX[1] - 3 * MARGIN_PX
    while lines:
        page, draw = _blank(len(pages) + 1)
        used = 0
        while lines and used + lines[0][0] <= body:
            height, size, text = lines.pop(0)
            draw.text((MARGIN_PX, MARGIN_PX + used), text, fill="black", font=_font(size))
            used += height
        pages.append(page)
    out = BytesIO()
    pages[0].save(
        out,
        "PDF",
        save_all=True,
        append_images=pages[1:],
        resolution=150,
        title=f"ECG-R1 Studio: {session.study.title}",
        subject=DISCLAIMER,
        quality=85,
    )
    return out.getvalue()


def _blank(number: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    page = Image.new("RGB", A4_PX, "white")
    draw = ImageDraw.Draw(page)
    foot = A4_PX[1] - MARGIN_PX
    draw.text((MARGIN_PX, foot), f"{DISCLAIMER}   {number}", fill="#7a0c12", font=_font(20))
    return page, draw


def _first_page(session: Session) -> Image.Image:
    page, draw = _blank(1)
    draw.text(
        (MARGIN_PX, MARGIN_PX), f"ECG-R1 Studio {__version__}", fill="black", font=_font(42)
    )
    for row, (_, _, text) in enumerate(_wrapped(_Line(session.study.title))[:2]):
        draw.text((MARGIN_PX, 160 + 36 * row), text, fill="black", font=_font(TEXT_PX))
    draw.text((MARGIN_PX, 240), DISCLAIMER, fill="#7a0c12", font=_font(22))
    study = session.study
    picture = (
        damaged(study.image, session.change)
        if study.ecg is None
        else draw_page(altered(study.ecg, session.change), px_per_mm=4)
    )
    picture.thumbnail((A4_PX[0] - 2 * MARGIN_PX, 1300))
    page.paste(picture, (MARGIN_PX, 300))
    return page


def _wrapped(one: _Line) -> list[tuple[int, int, str]]:
    """A line broken to the page's width: height, size of letters, words."""
    size = LETTERS_PX.get(one.kind, TEXT_PX)
    font, room = _font(size), A4_PX[0] - 2 * MARGIN_PX
    text = f"- {one.words}" if one.kind == "item" else one.words
    found, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and font.getlength(longer) > room:
            found.append(line)
            longer = word
        while font.getlength(longer) > room:
            cut = max(1, int(len(longer) * room / font.getlength(longer)) - 1)
            found.append(longer[:cut])
            longer = longer[cut:]
        line = longer
    return [(round(size * 1.35), size, one) for one in (*found, line)]


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans: Pillow's own font has 113 characters, and none of them is é or ≥."""
    from matplotlib import get_data_path  # wfdb brings it

    return ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf", size)
