"""The data card of a corpus, in Markdown; every number comes from the parts themselves."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ecg_r1 import DISCLAIMER
from ecg_r1.corpus.sources import source_named

_KEYS = {
    "simulator": "what was dialled in the simulator",
    "dataset": "the data set's own labels",
    "protocol": "this project's criteria, since the source gives no labels",
}


def data_card(origin: Mapping[str, Any], parts: Sequence[Mapping[str, Any]]) -> str:
    """The card of a corpus.

    Args:
        origin: Content of `made_from.json`.
        parts: What the markers of its parts hold.
    """
    counted = {
        name: sum((Counter(part[name]) for part in parts), Counter())
        for name in ("sources", "keys", "labels")
    }
    rows, restricted = (sum(part[name] for part in parts) for name in ("rows", "restricted"))
    rejects = [reject for part in parts for reject in part["rejects"]]
    return "\n".join(
        [
            "---",
            "tags: [ecg, education]",
            "---",
            f"# {rows} six-step readings of 12-lead ECGs",
            "",
            f"**{DISCLAIMER}**",
            "",
            "A number in a reading is what `ecg_r1.measure` measures on its record; a "
            "diagnosis comes from the answer key. All of a row follows from the corpus seed "
            f"and its `id`. Made by `{origin['maker']}`.",
            "",
            *_sources(origin),
            "## Rows",
            "",
            *_table("source, split", counted["sources"]),
            *_table("answer key", {_KEYS[k]: n for k, n in sorted(counted["keys"].items())}),
            *([_restricted(restricted), ""] if restricted else []),
            "## Labels",
            "",
            *_table("label", dict(counted["labels"].most_common())),
            "## Left out",
            "",
            *_rejection_table(rejects),
            "Each is a line of `rejects.jsonl`: `failed` where a record could not be used "
            "though its source offers it, otherwise left out by rule.",
            "",
        ]
    )


def _restricted(count: int) -> str:
    return (
        f"{count} rows come from records under a data-use agreement: pass them on only to whom "
        "that agreement allows."
    )


def _sources(origin: Mapping[str, Any]) -> list[str]:
    if not origin["sources"]:
        return []
    lines = ["## Sources", "", "| source | what it is | licence |", "|---|---|---|"]
    for text in origin["sources"]:
        kind = source_named(text.partition(":")[0])
        lines.append(f"| {text} | {kind.about} | {kind.licence} |")
    return [*lines, ""]


def _table(head: str, counts: Mapping[str, int]) -> list[str]:
    if not counts:
        return []
    body = [f"| {name} | {count} |" for name, count in counts.items()]
    return [f"| {head} | rows |", "|---|---|", *body, ""]


def _rejection_table(rejects: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rejects:
        return ["Nothing.", ""]
    counts = Counter(
        ("failed" if reject["failed"] else "left out", reject["reason"].partition(":")[0])
        for reject in rejects
    )
    lines = [f"| {kind} | {reason} | {n} |" for (kind, reason), n in sorted(counts.items())]
    return ["| | reason | records |", "|---|---|---|", *lines, ""]
