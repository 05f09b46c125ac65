"""What the app's tests share: a scripted model, which writes at once what it is told."""

import time
from dataclasses import dataclass, field, replace
from threading import Event
from types import SimpleNamespace

from ecg_r1.reading import ARMS
from ecg_r1.report import Reading, Report, format_report, parse_report

HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
# PR 160 ms is wrong for the first example, whose PR is measured near 190 ms.
STEPS = {
    1: f"Heart rate 78 bpm. Sinus rhythm. {HOSTILE}",
    2: "PR interval 120 ms. QRS duration 92 ms.",
    3: "No abnormality of the chambers.",
    4: "No ST elevation.",
    5: "QTc 404 ms.",
    6: f"{HOSTILE} sinus rhythm.",
}


def text_of(arm):
    steps = STEPS | ({5: "QTc 540 ms."} if arm == "image" else {})
    return format_report(Report(steps, f"All is well, says {arm}.", ("sinus rhythm",)))


class Nano:
    """The shape of LoadedModel, no more."""

    page = {"px_per_mm": 2.0}  # noqa: RUF012
    processor = SimpleNamespace(
        prompt=SimpleNamespace(system="You read.", question="What <is> it?", max_new_tokens=300)
    )

    def __init__(self, name="nano", warnings=(), folder="nano"):
        self.name, self.warnings = name, warnings
        self.model = SimpleNamespace(name_or_path=folder)


@dataclass
class Script:
    """What the stand-ins for `reading.stream` and `load_model` saw, and how they behave."""

    asked: list = field(default_factory=list)
    loaded: list = field(default_factory=list)
    closed: Event = field(default_factory=Event)
    slow: bool = False

    def load(self, name, *, quantise, tell):
        self.loaded.append((name, quantise))
        tell(f"{name}: 17.7 GB, licence <free>")
        return Nano(name)

    def stream(self, *, ecg=None, image=None, model=None, arms=ARMS, control=None):
        self.asked.append((ecg, image, tuple(arms), control))
        arms = [*arms, *(["control"] if control is not None else [])]
        lacks = {arm: ecg is None and arm in ("signal", "both") for arm in arms}
        try:
            slow = self.slow
            for n in range(10_000 if slow else 3):
                share = min(0.2 * n, 0.6)  # a slow model never ends
                yield {arm: self.written(arm, share, lacks[arm]) for arm in arms}
                time.sleep(0.1 if slow else 0.01)
            for _ in range(2):  # the last snapshot may come twice, as from `reading.stream`
                yield {arm: self.written(arm, 1.0, lacks[arm]) for arm in arms}
        finally:
            self.closed.set()

    def interpret(self, *, ecg=None, image=None, model=None, arms=ARMS):
        *_, last = self.stream(ecg=ecg, image=image, model=model, arms=arms)
        return last

    def written(self, arm, share, lacks):
        if lacks:
            return Reading(arm, done=True, problem="This arm needs a signal.")
        whole = text_of(arm)
        text = whole[: round(min(share, 1.0) * len(whole))]
        parsed = parse_report(text)
        begun = Reading(arm, text=text, steps=dict(parsed.steps), summary=parsed.summary)
        done = share >= 1
        diagnoses = list(parsed.diagnoses)
        ended = {
            "done": done,
            "diagnoses": diagnoses,
            "well_formed": done and parsed.well_formed,
        }
        return replace(begun, **ended, seconds=1.5, n_tokens=round(30 * share))
