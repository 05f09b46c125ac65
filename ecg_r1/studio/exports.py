"""What a visitor takes away: one account of a session as JSON, Markdown and PDF."""

import json
from dataclasses import asdict
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
        ("#" * level + " " + text) if level else text for level, text in _lines(session)
    )


def _lines(session: Session) -> list[tuple[int, str]]:
    """The report line by line, each with its level of heading; 0 is plain text."""
    plain = report(session)
    study = session.study
    lines = [(1, _safe(f"ECG-R1 Studio: {plain['title']}")), (0, f"**{DISCLAIMER}**"), (0, "")]
    names = ", ".join(_safe(one.name) for one in session.asked.values())
    lines.append((0, f"- {plain['studio']}; model: {names or 'none has read'}"))
    for one in session.asked.values():
        name, told, question = map(_safe, (one.name, one.system, one.question))
        lines.append((0, f"- {name} was told: {told} And asked: {question}"))
        lines += [(0, f"- {name}: {_safe(warning)}") for warning in one.warnings]
    lines += [
        (0, f"- Decoding: {DECODING}"),
        (0, f"- Changed for the models: {', '.join(plain['changed']) or 'nothing'}"),
        (0, ""),
        (2, "Measured on the signal"),
    ]
    if study.ecg is None:
        lines.append((0, "A picture carries no signal; nothing was measured."))
    else:
        told = account(study.ecg, study.measured, study.found)
        lines += [(0, f"- {_safe(warning)}") for warning in told.warnings]
        lines += [(0, f"- {title}: {value}") for title, value in told.values.items()]
        named = ", ".join(one.label for one in told.diagnoses) or "nothing to name"
        lines += [(0, f"- By published criteria, not a diagnosis: {named}"), (0, "")]
        lines += [(0, told.urgency)]
    lines.append((0, ""))
    for one, title in session.titles().items():
        lines += _reading_lines(session, one, title)
    return lines


def _reading_lines(session: Session, column: str, title: str) -> list[tuple[int, str]]:
    reading = session.readings[column]
    lines = [(2, f"{_safe(title)}, read by {_safe(session.reader(column))}")]
    if reading.problem:
        return [*lines, (0, reading.problem), (0, "")]
    state = "" if reading.done else " (stopped)"
    lines += [(0, f"{reading.n_tokens} tokens in {reading.seconds:.1f} s{state}"), (0, "")]
    lines += [(0, _safe(line)) for line in reading.text.splitlines()] + [(0, "")]
    found = session.audits.get(column)
    if found is not None:
        lines.append((3, f"Audit: {_safe(title)}"))
        for one in found.claims:
            sign, name, *_ = MARKS[one.verdict]
            words = _safe(" ".join(one.text.split()))
            lines.append((0, f'- {sign} {name}: "{words}" ({_safe(one.reason)})'))
        lines += [(0, f"- contradicts itself: {_safe(one.reason)}") for one in found.quarrels]
        lines += [(0, f"- left out: {_safe(one.text)}") for one in found.omissions]
        lines.append((0, ""))
    return lines


def _safe(text: str) -> str:
    """A stranger's words that no Markdown reader takes for markup."""
    return text.replace("<", "&lt;").replace("[", "\\[").replace("`", "'")


def to_pdf(session: Session) -> bytes:
    """The report as a PDF of A4 pages: the trace first, then the words; drawn with Pillow."""
    pages = [_first_page(session)]
    lines = [line for level, text in _lines(session)[3:] for line in _wrapped(level, text)]
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
    for row, (_, _, text) in enumerate(_wrapped(0, session.study.title)[:2]):
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


def _wrapped(level: int, text: str) -> list[tuple[int, int, str]]:
    """A line broken to the page's width: height, size of letters, words."""
    size = {0: TEXT_PX, 1: 42, 2: 34, 3: 28}[level]
    font, room = _font(size), A4_PX[0] - 2 * MARGIN_PX
    text = text.replace("**", "").replace("&lt;", "<").replace("\\[", "[")
    # Pillow's own font has no such signs, and the word beside each says the same.
    for sign, *_ in MARKS.values():
        text = text.replace(f"- {sign} ", "- ")
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


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
