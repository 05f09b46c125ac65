"""How well claims are found in texts, judged against ECGs, and planted errors caught.

Run `python -m benchmarks.claims [--records N] [--json OUT.json]`. The hand-labelled claims of
`tests/claims` were written before the parser. Of the lines, the odd ones (from 0) were looked
at while it was mended, and the even ones not before November 2026; they are counted apart, and
since then neither half is unseen. What the even half said last before it was looked at (at
commit f21913d) stands in the README. Planted errors come from `benchmarks.plants`, in template
readings of simulated records.

"name" asks for kind, name and polarity; "all" also for the number, the leads and the word on
it. A verdict is first asked of the labelled claim, then of the claim found in the text.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.plants import KINDS, leads_showing, plant_each
from benchmarks.tables import Share, Table, each
from ecg_r1.auditing import audit, facts_of
from ecg_r1.claims.facts import Facts
from ecg_r1.claims.judge import judge
from ecg_r1.claims.parse import parse_claims
from ecg_r1.claims.schema import Claim
from ecg_r1.corpus.plan import PlanError, make_plan
from ecg_r1.corpus.template import write
from ecg_r1.ecg import ECG, read_ecg
from ecg_r1.measurement import measure
from ecg_r1.protocol import apply_protocol
from ecg_r1.report import format_report
from ecg_r1.shipped import shipped
from ecg_r1.simulate import Recording, sample_spec, simulate
from ecg_r1.simulate.conditions import condition
from ecg_r1.simulate.population import spec_of

LABELLED = Path(__file__).parents[1] / "tests/claims/test.jsonl"
HALVES = ("even lines", "odd lines (seen longer)")
VERDICTS = ("supported", "contradicted", "unsupported", "not_checkable")
ROUNDING = 0.011  # of stated numbers: a tenth of a millimetre in ten

Line = dict[str, Any]


def lines() -> list[Line]:
    """The labelled texts."""
    return [json.loads(line) for line in LABELLED.read_text(encoding="utf-8").splitlines()]


def labelled(plain: dict[str, Any]) -> Claim:
    """A labelled claim in the schema's form."""
    value = tuple(plain["value"]) if isinstance(plain["value"], list) else plain["value"]
    return Claim(
        plain["kind"], plain["name"], plain["polarity"], tuple(plain["leads"]), value,
        plain["comparator"], plain["qualifier"],
    )  # fmt: skip


def is_same(told: Claim, found: Claim, *, whole: bool) -> bool:
    """Whether a claim found is the labelled one.

    Example:
        >>> told = Claim("interval", "pr_ms", value=160, qualifier="normal")
        >>> found = replace(told, qualifier=None)
        >>> is_same(told, found, whole=False), is_same(told, found, whole=True)
        (True, False)
    """
    if (told.kind, told.name, told.polarity) != (found.kind, found.name, found.polarity):
        return False
    rest = set(told.leads) == set(found.leads) and told.qualifier == found.qualifier
    return not whole or (rest and _is_close(told.value, found.value))


def _is_close(one: object, other: object) -> bool:
    if one is None or other is None:
        return one is other
    a, b = (sorted(v) if isinstance(v, tuple) else [v] for v in (one, other))
    pairs = zip(a, b, strict=False)
    return len(a) == len(b) and all(abs(x - y) <= ROUNDING * max(1, abs(y)) for x, y in pairs)


def matched(
    told: Iterable[Claim], found: Iterable[Claim], *, whole: bool
) -> tuple[list[tuple[Claim, Claim]], list[Claim], list[Claim]]:
    """Pairs of labelled and found claims, and what is left of either."""
    left, missed, pairs = list(found), [], []
    for claim in told:
        match = next((one for one in left if is_same(claim, one, whole=whole)), None)
        if match is None:
            missed.append(claim)
        else:
            left.remove(match)
            pairs.append((claim, match))
    return pairs, missed, left


def extraction(half: int) -> Table:
    """Recall and precision of finding claims, by kind."""
    counts = {whole: Counter[tuple[str, str]]() for whole in (False, True)}
    for line in lines()[half::2]:
        told, found = [labelled(c) for c in line["claims"]], parse_claims(line["text"])
        for whole, count in counts.items():
            pairs, missed, left = matched(told, found, whole=whole)
            count.update(("hit", one.kind) for one, _ in pairs)
            count.update(("missed", one.kind) for one in missed)
            count.update(("invented", one.kind) for one in left)
    kinds = sorted({kind for count in counts.values() for _, kind in count})
    rows = []
    for kind in ("all", *kinds):
        row: dict[str, Any] = {"kind": kind}
        for whole, count in counts.items():
            hit, missed, invented = (
                sum(n for (how, k), n in count.items() if how == word and kind in ("all", k))
                for word in ("hit", "missed", "invented")
            )
            asked = "all" if whole else "name"
            row[f"recall ({asked})"] = Share(hit, hit + missed)
            row[f"precision ({asked})"] = Share(hit, hit + invented)
        rows.append(row)
    return Table(f"Claims found, {HALVES[half]}", rows)


@cache
def facts_about(name: str) -> Facts:
    """Facts of a labelled text's ECG: a shipped record, or a condition without noise."""
    return facts_of(_record(name))


def _record(name: str) -> ECG:
    if not name.startswith("simulate:"):
        path = next(
            one for one in sorted(shipped("ecgs").glob(f"{name}*")) if one.suffix != ".dat"
        )
        return read_ecg(str(path))
    what, _, seed = name.removeprefix("simulate:").rpartition(":")
    spec = spec_of({condition(what).group: what}, np.random.default_rng([int(seed), 1]))
    return simulate(replace(spec, recording=Recording(wander_mv=0, emg_mv=0)), int(seed))


def verdicts(half: int) -> Table:
    """Recall and precision of verdicts: of labelled claims, and of claims found in the text."""
    given, heard = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for line in lines()[half::2]:
        facts = facts_about(line["ecg"])
        told = [(labelled(plain), plain["verdict"]) for plain in line["claims"]]
        given.update((verdict, judge(claim, facts).verdict) for claim, verdict in told)
        found = list(parse_claims(line["text"]))
        for claim, verdict in told:
            match = next((one for one in found if is_same(claim, one, whole=False)), None)
            if match is not None:
                found.remove(match)
            heard[(verdict, "missed" if match is None else judge(match, facts).verdict)] += 1
        heard.update(("no claim", judge(one, facts).verdict) for one in found)
    rows = []
    for verdict in ("all", *VERDICTS):
        row: dict[str, Any] = {"verdict": verdict}
        for asked, count in (("labelled claim", given), ("from the text", heard)):
            wanted = VERDICTS if verdict == "all" else (verdict,)
            right = sum(count[(one, one)] for one in wanted)
            row[f"recall ({asked})"] = Share(
                right, sum(n for (a, _), n in count.items() if a in wanted)
            )
            row[f"precision ({asked})"] = Share(
                right, sum(n for (_, b), n in count.items() if b in wanted)
            )
        rows.append(row)
    return Table(f"Verdicts, {HALVES[half]}", rows)


def planted(seed: int) -> dict[str, Any] | None:
    """One simulated record's reading, audited clean and with each error; None without one."""
    ecg = simulate(sample_spec(np.random.default_rng([seed, 8])), seed)
    measured = measure(ecg)
    found = apply_protocol(measured, age_years=ecg.age_years, sex=ecg.sex)
    labels = tuple(ecg.truth.diagnoses)
    try:
        plan = make_plan(measured, found, labels)
    except PlanError:
        return None
    rng = np.random.default_rng([seed, 9])
    text = format_report(write(plan, rng))
    facts = Facts.of(measured, found, key=labels, person=(ecg.age_years, ecg.sex))
    started = time.perf_counter()
    clean = audit(text, facts)
    seconds = time.perf_counter() - started
    errors, _ = plant_each(text, rng, shown=leads_showing(measured.leads))
    return {
        "claims": len(clean.claims),
        "false": clean.counts["contradicted"],
        "omitted": len(clean.omissions),
        "quarrels": len(clean.quarrels),
        "seconds": seconds,
        "caught": {
            kind: _wrong(audit(wrong, facts)) > _wrong(clean)
            for kind, (wrong, _) in errors.items()
        },
    }


def _wrong(found: Any) -> tuple[int, int]:
    """What speaks against a reading: claims that do not hold, then quarrels with itself."""
    counts = found.counts
    return counts["contradicted"] + counts["unsupported"], len(found.quarrels)


def plants(records: int) -> list[Table]:
    """Planted errors caught, and false alarms on the clean texts."""
    done = [one for one in each(planted, range(records), "planted errors") if one]
    rows = []
    for kind in KINDS:
        caught = [one["caught"][kind] for one in done if kind in one["caught"]]
        rows.append({"error": kind, "caught": Share(sum(caught), len(caught))})
    every = [hit for one in done for hit in one["caught"].values()]
    rows.append({"error": "all", "caught": Share(sum(every), len(every))})
    clean = [
        {
            "texts": len(done),
            "claims": sum(one["claims"] for one in done),
            "texts with a contradicted claim": Share(
                sum(o["false"] > 0 for o in done), len(done)
            ),
            "with a quarrel": Share(sum(o["quarrels"] > 0 for o in done), len(done)),
            "with an omission": Share(sum(o["omitted"] > 0 for o in done), len(done)),
            "ms per audit": 1000 * float(np.mean([one["seconds"] for one in done])),
        }
    ]
    notes = ["An error counts as caught when more claims fail than before, or more quarrel."]
    return [Table("Planted errors", rows, notes), Table("Clean template readings", clean)]


def main() -> None:
    """Print the tables, and keep them as JSON when asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=200, help="for planted errors")
    parser.add_argument("--json", type=Path, metavar="OUT.json")
    options = parser.parse_args()
    tables = [work(half) for half in (0, 1) for work in (extraction, verdicts)]
    tables += plants(options.records)
    print("\n".join(table.markdown() for table in tables))
    if options.json is not None:
        payload = {"records": options.records, "tables": [one.to_json() for one in tables]}
        options.json.write_text(json.dumps(payload, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
