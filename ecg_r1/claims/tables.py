"""Tables with leads in rows or columns, read cell by cell."""

import re
from dataclasses import dataclass

_ROW = re.compile(r"^[^\n|]*\|[^\n]*$", re.MULTILINE)
_RULE = re.compile(r"[\s|:+-]+")
_LEAD = re.compile(r"(?:lead )?(?:av[rlf]|v[1-6]|i{1,3})", re.IGNORECASE)
_MOST_CELLS = 40


@dataclass(frozen=True)
class Cell:
    """What a cell says as a sentence, and where it stands in the text."""

    sentence: str
    start: int
    end: int


def without_tables(text: str) -> tuple[str, list[Cell]]:
    r"""The text with the tables of leads blanked, and their cells.

    A table of leads has a head of names and rows that begin with a lead, or a head of leads.

    Example:
        >>> rows = "Lead | R | S\n---|---|---\nV5 | 3.6 mm | 3.5 mm"
        >>> [cell.sentence for cell in without_tables(rows)[1]]
        ['R in V5 3.6 mm', 'S in V5 3.5 mm']
    """
    if "|" not in text:
        return text, []
    head: list[str] = []
    cells: list[Cell] = []
    blanks: list[tuple[int, int]] = []
    last = -1
    for row in _ROW.finditer(text):
        if row.start() > last + 1:
            head = []
        last = row.end()
        if _RULE.fullmatch(row[0]):
            continue
        found = _cells(row[0], row.start())
        names = [words for words, _, _ in found]
        if not head:
            head, head_span = names, row.span()
            continue
        read = _read(head, found)
        if read:
            cells += read
            blanks += [row.span(), head_span]
    pieces, done = [], 0
    for start, end in sorted(set(blanks)):
        pieces += [text[done:start], " " * (end - start)]
        done = end
    return "".join(pieces) + text[done:], cells


def _cells(row: str, offset: int) -> list[tuple[str, int, int]]:
    """(words, start, end) of each cell."""
    found, at = [], offset
    for part in row.split("|")[:_MOST_CELLS]:
        words = part.strip(" \t*")
        start = at + part.find(words) if words else at
        if words or found:
            found.append((words, start, start + len(words)))
        at += len(part) + 1
    return found


def _read(head: list[str], found: list[tuple[str, int, int]]) -> list[Cell]:
    """Cells of a row as sentences, none where the table is not one of leads."""
    first = found[0][0]
    by_row, by_column = _LEAD.fullmatch(first), len(head) > 1 and _LEAD.fullmatch(head[1])
    if not by_row and not by_column:
        return []
    cells = []
    for (words, start, end), above in zip(found[1:], head[1:], strict=False):
        what, lead = (above, first) if by_row else (first, above)
        if words and what:
            what = "ST level" if what.lower() == "st" and words[0] in "+-0123456789" else what
            cells.append(Cell(f"{what} in {lead} {words}", start, end))
    return cells
