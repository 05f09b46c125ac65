"""Tables of results: Markdown for the README, JSON for machines, and a loop with a bar."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import isfinite, sqrt
from multiprocessing import Pool
from typing import Any, TypeVar

from tqdm.auto import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Share:
    """`found` of `of` cases.

    Example:
        >>> str(Share(8, 10)), str(Share(0, 0))
        ('80 % [49, 94] (8/10)', 'none')
    """

    found: int
    of: int

    @property
    def value(self) -> float:
        """The share, NaN of no cases."""
        return self.found / self.of if self.of else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval; 0 to 1 of no cases.

        Source: Wilson EB 1927, J Am Stat Assoc 22:209.
        """
        if not self.of:
            return 0.0, 1.0
        z2, p = 1.959964**2 / self.of, self.value
        middle = (p + z2 / 2) / (1 + z2)
        reach = sqrt(z2 * p * (1 - p) + z2**2 / 4) / (1 + z2)
        return max(0.0, middle - reach), min(1.0, middle + reach)

    def __str__(self) -> str:
        if not self.of:
            return "none"
        low, high = self.interval
        return (
            f"{100 * self.value:.0f} % [{100 * low:.0f}, {100 * high:.0f}] "
            f"({self.found}/{self.of})"
        )

    def to_json(self) -> dict[str, Any]:
        """Counts and interval; the share is None of no cases."""
        low, high = self.interval
        value = round(self.value, 4) if self.of else None
        return {
            "found": self.found,
            "of": self.of,
            "share": value,
            "low": round(low, 4),
            "high": round(high, 4),
        }


@dataclass(frozen=True)
class Table:
    """Rows of named cells: words, counts, numbers or `Share`s; None and NaN are empty."""

    title: str
    rows: list[dict[str, Any]]
    notes: list[str] = field(default_factory=list)
    decimals: int = 1  # of floats

    def markdown(self) -> str:
        """The table as the README takes it, title above, notes below."""
        parts = [f"### {self.title}"]
        if self.rows:
            names = list(self.rows[0])
            lines = [names, ["---"] * len(names)]
            lines += [[self._cell(row[name]) for name in names] for row in self.rows]
            parts.append("\n".join(f"| {' | '.join(cells)} |" for cells in lines))
        return "\n\n".join([*parts, *self.notes]) + "\n"

    def _cell(self, value: object) -> str:
        if value is None or (isinstance(value, float) and not isfinite(value)):
            return ""
        if isinstance(value, bool):
            return "yes" if value else "**no**"
        return f"{value:.{self.decimals}f}" if isinstance(value, float) else str(value)

    def to_json(self) -> dict[str, Any]:
        """Plain Python, so that `json.dumps` gives valid JSON."""
        rows = [{name: _plain(value) for name, value in row.items()} for row in self.rows]
        return {"title": self.title, "rows": rows, "notes": self.notes}


def _plain(value: object) -> object:
    if isinstance(value, Share):
        return value.to_json()
    if isinstance(value, float):  # numpy's too
        return round(float(value), 4) if isfinite(value) else None
    return value


def each(
    work: Callable[[Item], Result], items: Iterable[Item], title: str, processes: int = 1
) -> list[Result]:
    """What `work` makes of each item, in their order, under a progress bar on stderr.

    Args:
        work: A function of a module (or a `partial` of one) where there are more processes.
        items: What it is given, one at a time.
        title: Stands before the bar.
        processes: 1 works here; more share the items out.
    """
    known: Sequence[Item] = list(items)
    bar = {"desc": title, "total": len(known), "leave": False, "mininterval": 1}
    if processes == 1:
        return [work(item) for item in tqdm(known, **bar)]
    with Pool(processes) as pool:
        return list(tqdm(pool.imap(work, known, chunksize=4), **bar))
