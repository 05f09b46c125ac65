"""The template writer: a plan said in words that vary, offline and by a seed."""

from collections.abc import Callable, Sequence

import numpy as np

from ecg_r1.claims.schema import GROUPS, Claim
from ecg_r1.corpus.plain import write_report
from ecg_r1.corpus.statement import Plan, Statement
from ecg_r1.corpus.voice import DETAILS, Detail, Voice, bare, be, capital
from ecg_r1.corpus.words import FINDING_NAMES, SENTENCES, UNCALIBRATED
from ecg_r1.report import Report

__all__ = ["DETAILS", "UNCALIBRATED", "Detail", "write", "write_report"]

# Diagnoses of which an ECG gives signs, but which it cannot rule out.
_SOFT = ("ischaemia", "electrolytes", "chamber")


def write(plan: Plan, rng: np.random.Generator, *, detail: Detail | None = None) -> Report:
    """A reading that says what the plan says, each time in other words.

    Args:
        plan: What to say.
        rng: Draws wording, order and units; the same state gives the same text.
        detail: "terse" says what must be said, in ms and mm, in at most as many words as a
            plain report; "standard" adds evidence and what it excludes; "teaching" adds
            limits with their sources, a walk through the leads, and a sentence on how to
            read. None draws one.

    Raises:
        ValueError: If `detail` is none of these.

    Example:
        >>> from ecg_r1.corpus.plan import make_plan
        >>> from ecg_r1.measurement import Measurements
        >>> from ecg_r1.protocol import apply_protocol
        >>> m = Measurements(hr_bpm=70.0, p_present=True, regular=True, pr_ms=150.0)
        >>> plan = make_plan(m, apply_protocol(m), ("sinus rhythm",))
        >>> "PR" in write(plan, np.random.default_rng(0)).steps[2]
        True
    """
    if detail is None:
        detail = DETAILS[int(rng.integers(len(DETAILS)))]
    if detail not in DETAILS:
        raise ValueError(f"detail {detail!r} is unknown: choose one of {', '.join(DETAILS)}")
    voice = Voice(rng, detail)
    steps = {number: _Step(plan, number, voice).text() for number in sorted(plan.steps)}
    return Report(steps, _summary(plan, voice), plan.labels)


def _summary(plan: Plan, voice: Voice) -> str:
    rest = [x for x in plan.labels if x != "normal ecg"]
    if not rest:
        return voice.say("normal")
    names = [voice.label(label) for label in rest]
    rate = next((s.claim for s in plan.steps[1] if s.claim.name == "hr_bpm"), None)
    is_rhythm = _rate_is_its_own(plan)
    if rate is not None and rate.value is not None and is_rhythm and voice.chance(0.4):
        names[0] = voice.say_part("at rate", label=names[0], value=voice.value(rate))
    key = "normal summary" if len(rest) < len(plan.labels) else "summary"
    return voice.say(key, names=voice.join(names))


def _rate_is_its_own(plan: Plan) -> bool:
    """Whether the ventricular rate is that of the first label: not where beats are lost."""
    first = next((x for x in plan.labels if x != "normal ecg"), "normal ecg")
    lost = {"second-degree av block", "third-degree av block"} & set(plan.labels)
    return GROUPS[first] == "rhythm" and not lost


class _Step:
    """One step of one text: its statements, and the sentences made of them."""

    def __init__(self, plan: Plan, number: int, voice: Voice) -> None:
        self.plan, self.number, self.voice = plan, number, voice
        self.statements = plan.steps[number]
        self.by_name = {
            one.claim.name: one
            for one in self.statements
            if one.claim.polarity == "present" and not one.claim.leads
        }

    def text(self) -> str:
        """The step's paragraph."""
        writers: dict[int, Callable[[], list[str]]] = {
            1: self._technical,
            2: self._conduction,
            3: self._chambers,
            4: self._ischaemia,
            5: self._electrolytes,
            6: self._reasoning,
        }
        sentences = writers[self.number]()
        if self.voice.is_teaching and self.number < 6 and self.voice.chance(0.4):
            place = 0 if self.voice.chance(0.5) else len(sentences)
            sentences.insert(place, self.voice.say(f"teach {self.number}"))
        return " ".join(sentence for sentence in sentences if sentence)

    # --- parts that several steps share -------------------------------------------------------

    def _named(self, *names: str) -> list[Statement]:
        return [one for one in self.statements if one.claim.name in names]

    def _optional(self, *names: str, share: float = 0.5) -> list[Statement]:
        """Statements that need not be said: never in terse texts, always in teaching ones."""
        share = {"terse": 0.0, "standard": share, "teaching": 1.0}[self.voice.detail]
        return [s for s in self._named(*names) if s.required or self.voice.chance(share)]

    def _number(self, name: str) -> str:
        """The sentence of a headline number, or that it could not be measured."""
        one = self.by_name.get(name)
        if one is None:
            return ""
        if one.how == "unknown":
            reason = "" if self.voice.is_terse else f" because {one.reason}"
            return self.voice.say(f"unknown {name}", because=reason)
        key = "rate" if name == "hr_bpm" else name
        verdict = self.voice.verdict(one.claim, one.limits, one.source)
        return self.voice.say(key, value=self.voice.value(one.claim), verdict=verdict)

    def _diagnoses(self, *groups: str) -> list[str]:
        return [
            self._diagnosis(one)
            for one in self.statements
            if one.claim.name in self.plan.labels
            and one.claim.polarity == "present"
            and one.claim.kind != "finding"
            and (not groups or GROUPS[one.claim.name] in groups)
        ]

    def _diagnosis(self, one: Statement) -> str:
        voice = self.voice
        label = voice.label(one.claim.name)
        if one.how == "unconfirmed":
            if voice.is_terse:
                return voice.say("overall short", label=label)
            return voice.say("overall", label=label, reason=one.reason)
        share = {"terse": 0.0, "standard": 0.45, "teaching": 0.9}[voice.detail]
        if one.because and voice.chance(share):
            return voice.say("diagnosis because", label=label, because=self._because(one))
        if be(label) == "are":
            return voice.say("in no lead", name=label, be="are")
        return voice.say("diagnosis", label=label)

    def _because(self, one: Statement) -> str:
        return self.voice.join(self._reasons(one))

    def _reasons(self, one: Statement) -> list[str]:
        """Evidence as nouns; what is absent comes last, or "and" would deny what follows."""
        ordered = sorted(one.because, key=lambda claim: claim.polarity == "absent")
        return [self.voice.noun(claim) for claim in ordered]

    def _exclusions(self, most: int) -> list[str]:
        """Sentences on what is excluded; those with the same evidence share one."""
        voice = self.voice
        if voice.is_terse and not voice.chance(0.25):
            return []
        found = [one for one in self.statements if one.claim.kind == "exclusion"]
        found = _some(found, most, voice)
        together: dict[tuple[Claim, ...], list[Statement]] = {}
        for one in found:
            together.setdefault(() if voice.is_terse else one.because, []).append(one)
        return [self._exclusion(many) for many in together.values()]

    def _exclusion(self, many: list[Statement]) -> str:
        """What is excluded for one reason, or for none that is said."""
        names = [one.claim.name for one in many]
        label = _or([bare(name) for name in names])
        if self.voice.is_terse or not many[0].because:
            return self.voice.say("excluded", label=label)
        soft = len(many) > 1 or GROUPS.get(names[0], "ischaemia") in _SOFT
        key = "excluded because" if soft or self.voice.chance(0.4) else "ruled out because"
        reasons = self._reasons(many[0])
        s = "" if len(reasons) > 1 or be(reasons[0]) == "are" else "s"
        return self.voice.say(
            key,
            label=label,
            labels=label.replace(" or ", " and "),
            because=self.voice.join(reasons),
            argue=f"argue{s}",
            speak=f"speak{s}",
            exclude=f"exclude{s}",
        )

    def _finding(self, one: Statement) -> str:
        """A finding that is there, in its leads."""
        if one.claim.name in SENTENCES:
            return self.voice.say(one.claim.name, leads=self.voice.leads(one.claim.leads))
        name = FINDING_NAMES[one.claim.name]
        if not one.claim.leads:
            return self.voice.say("in no lead", name=name, be=be(name))
        leads = self.voice.leads(one.claim.leads)
        show = "shows" if len(one.claim.leads) == 1 else "show"
        return self.voice.say("in leads", name=name, leads=leads, be=be(name), show=show)

    def _absences(self, *names: str) -> str:
        """What was looked for and is nowhere, in one sentence."""
        missing = [
            one.claim.name
            for one in self._optional(*names)
            if one.claim.polarity == "absent" and one.claim.kind == "finding"
        ]
        if not missing:
            return ""
        shown = [FINDING_NAMES[name] for name in missing]
        return self.voice.say("absent", names=_or(shown), be=be(shown[0]))

    # --- steps --------------------------------------------------------------------------------

    def _technical(self) -> list[str]:
        quality = [self._quality(one) for one in self.statements if one.claim.kind == "quality"]
        rate = [
            self._number("hr_bpm"),
            *self._rhythm("regular rhythm", "irregular rhythm", "irregularly irregular rhythm"),
        ]
        rate += self._rr()
        atria = [self._p(one) for one in self._optional("p waves")]
        atria += [
            self._finding(one)
            for one in self._optional(
                "upright p waves", "inverted p waves", "flutter waves", "pacing spikes",
                "pause", "grouped beating",
            )
        ]  # fmt: skip
        atria += [
            self.voice.say("atrial rate", value=self.voice.value(one.claim))
            for one in self._optional("atrial_bpm")
        ]
        middle = [rate, atria]
        if self.voice.chance(0.25):
            middle.reverse()
        most = {"terse": 1, "standard": 2, "teaching": 4}[self.voice.detail]
        diagnoses = self._diagnoses("rhythm", "ectopy")
        if self.voice.chance(0.2):
            middle.insert(0, diagnoses)
        else:
            middle.append(diagnoses)
        return [*quality, *(x for part in middle for x in part), *self._exclusions(most)]

    def _quality(self, one: Statement) -> str:
        claim = one.claim
        if claim.name == "lead reversal":
            kind = {"arms": "arm", "chest order": "chest"}.get(one.reason, one.reason)
            return self.voice.say("lead reversal", kind=kind)
        if claim.polarity == "possible":
            return self.voice.say("possible noise")
        return self.voice.say(claim.name, leads=self.voice.leads(claim.leads))

    def _rhythm(self, *names: str) -> list[str]:
        return [
            self.voice.say(
                f"unknown {one.claim.name}" if one.how == "unknown" else one.claim.name
            )
            for one in self._named(*names)
            if one.claim.polarity == "present"
        ]

    def _rr(self) -> list[str]:
        return [
            self.voice.say(
                "rr range" if one.claim.comparator == "range" else "rr longest",
                value=self.voice.value(one.claim),
            )
            for one in self._optional("rr_ms")
        ]

    def _p(self, one: Statement) -> str:
        if one.how == "unknown":
            return self.voice.say("unknown p waves")
        return self.voice.say("p waves" if one.claim.polarity == "present" else "no p waves")

    def _conduction(self) -> list[str]:
        numbers = [self._number(name) for name in ("pr_ms", "qrs_ms")]
        axis = self._number("axis_deg")
        shapes = [
            self._finding(one)
            for one in self._optional(
                "rsr pattern", "broad s waves", "delta wave", "pr lengthening", "dropped beats",
                "2:1 conduction", "av dissociation",
            )
        ]  # fmt: skip
        parts = [axis, *numbers] if self.voice.chance(0.3) else [*numbers, axis]
        most = {"terse": 1, "standard": 2, "teaching": 4}[self.voice.detail]
        return [*parts, *shapes, *self._diagnoses(), *self._exclusions(most)]

    def _chambers(self) -> list[str]:
        if not self.plan.calibrated:
            return [UNCALIBRATED, *self._diagnoses()]
        parts = [
            self._sokolow(),
            self._cornell(),
            *(
                self._finding(one)
                for one in self._optional(
                    "normal r progression", "late transition", "early transition",
                    "strain pattern", "dominant r waves",
                )
            ),
            self._p_size(),
        ]  # fmt: skip
        if self.voice.is_teaching and self.voice.chance(0.3):
            parts.append(self._walk("r_mv", "s_mv"))
        most = {"terse": 1, "standard": 2, "teaching": 4}[self.voice.detail]
        return [*parts, *self._diagnoses(), *self._exclusions(most)]

    def _sokolow(self) -> str:
        total = self.by_name.get("sokolow_mv")
        if total is None:
            return ""
        if total.how == "unknown":
            return self.voice.say("unknown sokolow_mv")
        s, r = (one.claim for one in self.statements if one.required and one.claim.leads
                and one.claim.kind == "voltage")  # fmt: skip
        return self.voice.say(
            "sokolow",
            s=self.voice.value(s),
            r=self.voice.value(r),
            lead=r.leads[0],
            value=self.voice.value(total.claim),
            verdict=self.voice.verdict(total.claim, total.limits, total.source),
        )

    def _cornell(self) -> str:
        total = self.by_name.get("cornell_mv")
        if total is None:
            return ""
        verdict = self.voice.verdict(total.claim, total.limits, total.source)
        return self.voice.say("cornell", value=self.voice.value(total.claim), verdict=verdict)

    def _p_size(self) -> str:
        sizes = {one.claim.name: one.claim for one in self._named("p_ms", "p_mv")}
        share = {"terse": 0.0, "standard": 0.3, "teaching": 0.8}[self.voice.detail]
        if len(sizes) < 2 or not self.voice.chance(share):
            return ""
        return self.voice.say("p size", **{k: self.voice.value(c) for k, c in sizes.items()})

    def _walk(self, *names: str) -> str:
        """The leads one by one, as a beginner is taught to scan them."""
        by_lead: dict[str, list[Claim]] = {}
        for one in self._named(*names):
            if not one.required and not one.reason:
                by_lead.setdefault(one.claim.leads[0], []).append(one.claim)
        parts = []
        for lead, claims in by_lead.items():
            values = [f"{_WAVES[claim.name]} {self.voice.value(claim)}" for claim in claims]
            parts.append(f"in {lead} {' and '.join(values)}")
        opening = self.voice.pick(
            ("Lead by lead", "Going through the leads", "Scanning the tracing")
        )
        return f"{opening}: {'; '.join(parts)}." if parts else ""

    def _ischaemia(self) -> list[str]:
        if not self.plan.calibrated:
            return [UNCALIBRATED, *self._diagnoses()]
        kinds = ("st elevation", "st depression", "t wave inversion", "q waves")
        parts = []
        for kind in kinds:
            parts += [self._finding(one) for one in self._named(kind)
                      if one.claim.leads and one.claim.polarity == "present"]  # fmt: skip
        parts += [
            self._finding(one) for one in self._optional("pr depression", "j point notching")
        ]
        if not self.voice.is_terse:
            parts += self._most_changed()
        parts.append(self._absences(*kinds))
        parts += self._unjudged(kinds)
        if self.voice.is_teaching and self.voice.chance(0.3):
            parts.append(self._walk("st_mv", "t_mv"))
        unconfirmed = [
            self._diagnosis(one)
            for one in self.statements
            if one.claim.name in kinds and one.how == "unconfirmed"
        ]
        most = {"terse": 1, "standard": 2, "teaching": 3}[self.voice.detail]
        return [*parts, *unconfirmed, *self._diagnoses(), *self._exclusions(most)]

    def _most_changed(self) -> list[str]:
        keys = {"st_mv": "st level", "t_mv": "t size"}
        return [
            self.voice.say(
                keys[one.claim.name],
                lead=one.claim.leads[0],
                value=self.voice.value(one.claim),
            )
            for one in self._optional(*keys)
            if one.reason
        ]

    def _unjudged(self, kinds: Sequence[str]) -> list[str]:
        names = [FINDING_NAMES[s.claim.name] for s in self._named(*kinds) if s.how == "unknown"]
        return (
            [self.voice.say("not judged", names=_or(names), be=be(names[0]))] if names else []
        )

    def _electrolytes(self) -> list[str]:
        parts = [self._qt()]
        parts += [
            self._finding(one)
            for one in self._optional("tall t waves", "u waves", "flat t waves")
            if one.claim.polarity == "present"
        ]
        parts.append(self._absences("tall t waves", "u waves"))
        if self.voice.chance(0.2):
            parts.reverse()
        most = {"terse": 1, "standard": 2, "teaching": 3}[self.voice.detail]
        return [*parts, *self._diagnoses(), *self._exclusions(most)]

    def _qt(self) -> str:
        qt, qtc = self.by_name.get("qt_ms"), self.by_name["qtc_ms"]
        if qt is None or qtc.how == "unknown":
            return self.voice.say("unknown qtc_ms")
        return self.voice.say(
            "qt",
            qt=self.voice.value(qt.claim),
            value=self.voice.value(qtc.claim),
            verdict=self.voice.verdict(qtc.claim, qtc.limits, qtc.source),
        )

    def _reasoning(self) -> list[str]:
        voice = self.voice
        first = self._conclusions() if self.plan.labels != ("normal ecg",) else []
        if "normal ecg" in self.plan.labels:
            first.append(voice.say("normal"))
        opening = "" if voice.is_terse else voice.pick(SENTENCES["opening"])
        if opening and first:
            first[0] = opening + _lower(first[0])
        most = {"terse": 0, "standard": 2, "teaching": 4}[voice.detail]
        urgent = []
        if self.plan.urgency != "routine" and not voice.is_terse and voice.chance(0.7):
            urgent.append(voice.say(self.plan.urgency))
        return [*first, *self._exclusions(most), *urgent]

    def _conclusions(self) -> list[str]:
        """The diagnoses once more: the rhythm with its rate, then the rest."""
        voice = self.voice
        found = [
            one
            for one in self.statements
            if one.claim.name in self.plan.labels
            and one.claim.polarity == "present"
            and one.claim.name != "normal ecg"
        ]
        rate = self.by_name.get("hr_bpm")
        sentences = []
        if found and rate is not None and _rate_is_its_own(self.plan):
            label = voice.label(found[0].claim.name)
            named = voice.say_part("at rate", label=label, value=voice.value(rate.claim))
            sentences.append(f"{capital(named)}.")
            found = found[1:]
        plain = [one for one in found if voice.is_terse or not one.because]
        sentences += [self._conclusion(one) for one in found if one not in plain]
        if plain:
            names = [voice.label(one.claim.name) for one in plain]
            key = "beside" if sentences else "at all"
            sentences.append(voice.say(key, names=voice.join(names), be=be(names[0])))
        return sentences

    def _conclusion(self, one: Statement) -> str:
        label = self.voice.label(one.claim.name)
        because = self._because(one)
        if one.claim.kind == "finding":  # an ST or T label: its evidence is itself
            return self.voice.say("in no lead", name=because, be=be(because))
        return self.voice.say("diagnosis because", label=label, because=because)


_WAVES = {"r_mv": "R wave", "s_mv": "S wave", "st_mv": "ST level", "t_mv": "T wave"}


def _some(found: list[Statement], most: int, voice: Voice) -> list[Statement]:
    """At most so many, drawn, in their order."""
    if len(found) <= most:
        return found
    ranked = sorted(range(len(found)), key=lambda _: voice.chance(0.5) + voice.chance(0.5))
    return [found[index] for index in sorted(ranked[:most])]


def _or(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} or {items[-1]}"


def _lower(sentence: str) -> str:
    """A sentence that goes on after an opening; acronyms and names keep their capitals."""
    first = sentence.split(" ", 1)[0]
    keeps = any(c.isupper() for c in first[1:]) or len(first) == 1 or first[:5] == "Wolff"
    keeps = keeps and first != "A"
    return sentence if keeps else sentence[:1].lower() + sentence[1:]
