"""How many planted errors the verifier finds, and how often it objects to a clean text.

    python -m benchmarks.verify [--errors 2000] [--first-seed 5000]

Texts are the template writer's on simulated records; each gets one error of each kind of
`benchmarks.plants`, whose rules share nothing with the verifier's.
"""

import argparse
import time
from collections import Counter

import numpy as np
from tqdm.auto import tqdm

from benchmarks.plants import KINDS, leads_showing, plant
from ecg_r1.claims.facts import Facts
from ecg_r1.corpus import simulated_tasks
from ecg_r1.corpus.record import measured
from ecg_r1.corpus.template import write
from ecg_r1.corpus.verify import verify
from ecg_r1.corpus.writing import plan_of
from ecg_r1.ecg import ECGError
from ecg_r1.report import format_report


class Tally:
    """What was planted, found and objected to."""

    def __init__(self) -> None:
        self.planted, self.caught, self.alarms = Counter(), Counter(), Counter()
        self.escaped: Counter[str] = Counter()
        self.clean, self.seconds = 0, 0.0

    def text(self, seed: int, most: int) -> None:
        """One record: its clean text, then one error of each kind, up to `most` errors."""
        rng = np.random.default_rng(seed)
        task = simulated_tasks(1, first_seed=seed)[0]
        try:
            record = measured(task)
            plan = plan_of(task, record)
        except ECGError:  # key and record contradict each other: no text, no plant
            return
        person = record.ecg.age_years, record.ecg.sex
        facts = Facts.of(record.m, record.findings, key=record.labels, person=person)
        text = format_report(write(plan, rng))
        start = time.perf_counter()
        found = verify(text, plan, facts)
        self.seconds += time.perf_counter() - start
        self.clean += 1
        self.alarms.update({problem.kind for problem in found.problems})
        self.alarms["any"] += not found.ok
        shown = leads_showing(record.m.leads)
        for kind in KINDS:
            change = plant(text, kind, rng, shown=shown)
            if change is None or self.planted.total() == most:
                continue
            self.planted[kind] += 1
            is_caught = not verify(change[0], plan, facts).ok
            self.caught[kind] += is_caught
            self.escaped[f"{kind}: {change[1]}"] += not is_caught

    def table(self) -> str:
        """The result as Markdown."""
        rows = [(kind, self.caught[kind], self.planted[kind]) for kind in KINDS]
        rows.append(("all", self.caught.total(), self.planted.total()))
        lines = ["| planted error | caught | of | share |", "|---|---|---|---|"]
        lines += [f"| {k} | {c} | {n} | {100 * c / max(n, 1):.1f} % |" for k, c, n in rows]
        return "\n".join(lines)


def main() -> None:
    """Plants, looks, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--errors", type=int, default=2000)
    parser.add_argument("--first-seed", type=int, default=5000)
    args = parser.parse_args()
    tally, seed = Tally(), args.first_seed
    with tqdm(total=args.errors, desc="errors planted") as bar:
        while tally.planted.total() < args.errors:
            tally.text(seed, args.errors)
            seed += 1
            bar.update(tally.planted.total() - bar.n)
    print(f"\n{tally.table()}\n")
    alarms = dict(tally.alarms)
    print(f"false alarms: {tally.alarms['any']} of {tally.clean} clean texts; {alarms}")
    print(f"{1000 * tally.seconds / tally.clean:.1f} ms a text")
    print(f"escaped: {[one for one in tally.escaped.most_common(12) if one[1]]}")


if __name__ == "__main__":
    main()
