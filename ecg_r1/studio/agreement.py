"""One table of what was measured and what each arm says: where they part stands out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from ecg_r1.auditing import MARKS, Audit, AuditedClaim
from ecg_r1.claims.schema import GROUPS
from ecg_r1.display import headline, worst
from ecg_r1.studio.marked import claimed

if TYPE_CHECKING:
    from ecg_r1.claims.judge import Verdict
    from ecg_r1.report import Reading
    from ecg_r1.studio.study import Study

NUMBERS = {  # row -> quantity and its title in `headline`
    "Rate": ("hr_bpm", "Heart rate"),
    "Axis": ("axis_deg", "QRS axis"),
    "PR": ("pr_ms", "PR interval"),
    "QRS": ("qrs_ms", "QRS duration"),
    "QTc": ("qtc_ms", "QTc (Fridericia)"),
}
ROWS = ("Rhythm", *NUMBERS, "ST-T", "Diagnoses")
# Two arms tell different numbers beyond this, in the row's unit. Ours: what a reader's eye on
# paper, a millimetre at most, would still call the same.
SAME = {"Rate": 5.0, "Axis": 15.0, "PR": 20.0, "QRS": 20.0, "QTc": 20.0}
ST_T = frozenset(
    (
        "st elevation", "st depression", "st isoelectric", "st-t changes", "t wave inversion",
        "flat t waves", "tall t waves", "biphasic t waves", "normal t waves", "strain pattern",
        "nonspecific st-t abnormality", "myocardial ischaemia", "reciprocal changes",
    )
)  # fmt: skip
SILENT = "not said"


@dataclass(frozen=True)
class Cell:
    """What one arm says in one row: words, the verdict on them, and the number if it is one."""

    words: str
    verdict: "Verdict | None" = None
    value: float | None = None


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        title: One of `ROWS`.
        measured: What was measured, or why not.
        cells: Column of the page to what its arm says.
        is_split: Whether the arms contradict each other.
    """

    title: str
    measured: str
    cells: Mapping[str, Cell]
    is_split: bool


def agreement(
    study: "Study", readings: Mapping[str, "Reading"], audits: Mapping[str, Audit]
) -> tuple[Row, ...]:
    """The table; a column without a finished reading has empty cells.

    Args:
        study: What was measured.
        readings: Column to its reading.
        audits: Column to the audit of a finished one.
    """
    rows = []
    for title in ROWS:
        cells = {one: _cell(title, readings[one], audits.get(one)) for one in readings}
        # The control arm was shown something else, so it cannot disagree.
        said = [
            cell for one, cell in cells.items() if readings[one].arm != "control" and cell.words
        ]
        rows.append(Row(title, _measured(title, study), cells, _is_split(title, said)))
    return tuple(rows)


def _is_split(title: str, cells: Sequence[Cell]) -> bool:
    values = [cell.value for cell in cells if cell.value is not None]
    if len(values) == len(cells) > 0:
        return max(values) - min(values) > SAME.get(title, 0.0)
    return len({frozenset(cell.words.split("; ")) for cell in cells}) > 1


def _measured(title: str, study: "Study") -> str:
    if study.measured is None or study.found is None:
        return "no signal to measure"
    if title in NUMBERS:
        return headline(study.measured)[NUMBERS[title][1]]
    labels = study.found.diagnoses
    if title == "Rhythm":
        labels = [one for one in labels if GROUPS.get(one) == "rhythm"]
    elif title == "ST-T":
        labels = [one for one in labels if one in ST_T]
    return "; ".join(labels) or "nothing named"


def _cell(title: str, reading: "Reading", found: Audit | None) -> Cell:
    if found is None:
        return Cell("")
    if title in NUMBERS:
        return _number(NUMBERS[title][0], found)
    if title == "Diagnoses":
        answer = [one for one in found.claims if one.claim.step == 8]
        words = "; ".join(reading.diagnoses) or SILENT
        return Cell(words, worst(answer) if answer else None)
    if title == "Rhythm":
        return _listed([one for one in found.claims if GROUPS.get(one.claim.name) == "rhythm"])
    return _listed([one for one in found.claims if one.claim.name in ST_T])


def _number(name: str, found: Audit) -> Cell:
    told = [one for one in found.claims if one.claim.name == name]
    valued = [one for one in told if isinstance(one.claim.value, (int, float))]
    chosen = next(iter(valued or told), None)
    if chosen is None:
        return Cell(SILENT)
    value = float(chosen.claim.value) if valued else None
    return Cell(claimed(chosen), chosen.verdict, value)


def _listed(told: Sequence[AuditedClaim]) -> Cell:
    """What is affirmed; where nothing is, what is denied."""
    affirmed = [one for one in told if one.claim.polarity == "present"]
    shown = affirmed or list(told)
    words = "; ".join(dict.fromkeys(claimed(one) for one in shown))
    return Cell(words or SILENT, worst(shown) if shown else None)


def agreement_html(rows: Sequence[Row], names: Mapping[str, str]) -> str:
    """The table for the page.

    Args:
        rows: From `agreement`.
        names: Column to its title, in their order.
    """
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names.values())
    body = "".join(_row_html(row, list(names)) for row in rows)
    return (
        '<div class="agreement" tabindex="0" role="region" aria-label="Agreement table">'
        "<table><caption>What was measured, and what each arm says</caption>"
        f'<thead><tr><th scope="col"></th><th scope="col">Measured</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _row_html(row: Row, arms: Sequence[str]) -> str:
    split = '<span class="split">\u2260 arms differ</span>' if row.is_split else ""
    cells = "".join(_cell_html(row.cells[arm]) for arm in arms)
    kind = ' class="differs"' if row.is_split else ""
    return (
        f'<tr{kind}><th scope="row">{escape(row.title)} {split}</th>'
        f"<td>{escape(row.measured)}</td>{cells}</tr>"
    )


def _cell_html(cell: Cell) -> str:
    if cell.verdict is None:
        return f"<td>{escape(cell.words)}</td>"
    sign, name, *_ = MARKS[cell.verdict]
    mark = f'<span class="badge {cell.verdict}"><span aria-hidden="true">{sign}</span> {name}'
    return f'<td class="{cell.verdict}">{escape(cell.words)} {mark}</span></td>'
