"""The handlers of the page: each translates between components and the package, and no more."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, fields
from html import escape
from pathlib import Path
from threading import Event
from typing import Any

import gradio as gr
from PIL import Image

from ecg_r1 import display
from ecg_r1.ecg import ECGError
from ecg_r1.inputs import inspect_upload, open_case
from ecg_r1.plots import plot_ecg
from ecg_r1.report import Reading
from ecg_r1.shipped import shipped
from ecg_r1.studio import exports, guess, links, views
from ecg_r1.studio.agreement import agreement, agreement_html
from ecg_r1.studio.dials import START, simulated
from ecg_r1.studio.embed import downloads_html, picture_html
from ecg_r1.studio.marked import audited_html
from ecg_r1.studio.models import Job, Models
from ecg_r1.studio.own import (
    UNKNOWN,
    channels_html,
    lacks_words,
    open_own,
    refusal,
    stated,
)
from ecg_r1.studio.recorded import Asked, Before
from ecg_r1.studio.study import (
    ARMS,
    Change,
    Session,
    Study,
    altered,
    altered_page,
    column,
    control_of,
    damaged,
    place_of,
    study,
)
from ecg_r1.studio.tempfiles import Passing

TRACE_PX = 480  # low enough for the readings to begin on the first screen
PAGE_WORDS = "The twelve leads drawn on ECG paper, as the model sees them"

Update = dict[Any, Any]  # component to its new value, as Gradio takes it from a handler
Values = dict[Any, Any]  # component to its value, as Gradio gives it to a handler


@dataclass(frozen=True)
class Reader:
    """The handlers around the models.

    Attributes:
        models: The models; each is loaded when its first reading begins.
        examples: The shipped ECGs by title.
        at: The page's components.
        uploads: Files that arrived and that a handler has yet to open.
        waiting: Visitor to the files in the field.
        running: Visitor to the signal that ends the reading.
        read_before: Model's name and example's file to finished readings, recorded or made
            since the start, for whoever opens the page: an untouched example reads the same
            for all.
    """

    models: Models
    examples: dict[str, dict[str, Any]]
    at: views.Page
    uploads: Passing
    waiting: dict[str | None, list[str]] = field(default_factory=dict)
    running: dict[str | None, Event] = field(default_factory=dict)
    read_before: dict[tuple[str, str], Before] = field(default_factory=dict)

    # ------------------------------------------------------------------ what to read

    def open_page(self, values: Values, request: gr.Request) -> Iterator[Update]:
        """The first view: what the link asks for, or the first example."""
        session = values[self.at.session]
        if not session.begin(values[self.at.number]):
            yield self._passed_over()
            return
        files = {one["file"]: title for title, one in self.examples.items()}
        try:
            linked = links.from_query(dict(request.query_params), list(files))
        except ECGError as error:
            gr.Warning(escape(str(error)))
            linked = links.Linked()
        title = files[linked.file] if linked.file else values[self.at.example.example]
        session.chosen = title  # the list is about to stand at it, which is no choice
        dials = linked.dials
        yield {
            self.at.example.example: title,
            self.at.actions.control: linked.control,
            **self._turned_to(linked.change),
            **self._dialled_to(START if dials is None else dials),
        }
        yield from self._guarded(
            lambda: self._example(title) if dials is None else simulated(dials),
            session,
            request,
            change=linked.change,
            control_kind=linked.control,
            reuse=True,
        )

    def ask(self, values: Values, request: gr.Request) -> int:
        """The number of a reading that is asked for now; the visitor's last one ends for it.

        Or this one would wait behind it.
        """
        self.stop(request)
        return values[self.at.session].ask()

    def ask_for_example(self, values: Values, request: gr.Request) -> Any:
        """The same, if another example now stands in the list than was read last from it."""
        session, title = values[self.at.session], values[self.at.example.example]
        if title == session.chosen:
            return gr.skip()
        session.chosen = title
        return self.ask(values, request)

    def read_example(self, values: Values, request: gr.Request) -> Iterator[Update]:
        """Read the chosen shipped ECG."""
        title = values[self.at.example.example]
        yield from self._asked(lambda: self._example(title), values, request)

    def open_own(self, values: Values, request: gr.Request) -> Iterator[Update]:
        """Open the uploaded or pasted ECG and remove its files, before any wait for a model.

        Files that only lack some words of their owner stay for those.
        """
        own, session = self.at.own, values[self.at.session]
        files = values[own.files] or []
        try:
            said = stated(values[own.fs], values[own.units], values[own.leads])
            case, title = open_own(files, values[own.pasted], said)
            session.opened = study(case, title)
        except ECGError as error:
            kept = files if lacks_words(files) else None
            if kept is None:
                self._forget(request, files)
            yield {own.found: display.status_html("none", str(error)), own.files: kept}
            raise refusal(error) from error
        self._forget(request, files)
        number = self.ask(values, request)
        removed = display.status_html("done", f"{title} is open; nothing of it is on disk.")
        # What was said of this ECG is not true of the next one.
        unsaid = dict.fromkeys((own.pasted, own.fs, own.units, own.leads), "")
        yield {own.found: removed, own.files: None, self.at.number: number} | unsaid

    def read_own(self, values: Values, request: gr.Request) -> Iterator[Update]:
        """Read what `open_own` opened."""
        session = values[self.at.session]

        def opened() -> Study:
            here, session.opened = session.opened, None
            return here

        yield from self._asked(opened, values, request)

    def inspect(self, files: list[str] | None, request: gr.Request) -> Update:
        """What an upload says of itself, and what its owner has to say for it.

        Leads that the file names stand in the field already, a question mark for each other.
        """
        own, visitor = self.at.own, request.session_hash
        gone = [one for one in self.waiting.pop(visitor, []) if one not in (files or [])]
        self.uploads.release(gone)
        if not files:
            return {own.found: "", own.leads: ""}
        self.waiting[visitor] = list(files)
        try:
            upload = inspect_upload([Path(file) for file in files])
        except ECGError as error:
            return {own.found: display.status_html("none", str(error)), own.leads: ""}
        leads = [one.lead or UNKNOWN for one in upload.channels]
        asked = ",".join(leads) if UNKNOWN in leads else ""
        found = display.upload_html(upload) + channels_html(upload)
        return {own.found: found, own.leads: asked}

    def leave(self, request: gr.Request) -> None:
        """A visitor has closed the page: what was not read goes, and what runs ends."""
        self._forget(request)
        self.stop(request)

    def _forget(self, request: gr.Request, files: list[str] | None = None) -> None:
        """Let go of a visitor's files: those in the field, else those given."""
        self.uploads.release(self.waiting.pop(request.session_hash, None) or files or [])

    def read_simulated(self, values: Values, request: gr.Request) -> Iterator[Update]:
        """Read a heart as dialled."""
        turned = {
            one.name: values[getattr(self.at.dials, one.name)] for one in fields(self.at.dials)
        }
        yield from self._asked(lambda: simulated(turned), values, request)

    def read_again(self, values: Values, request: gr.Request) -> Iterator[Update]:
        """Read what is on the screen once more, with the changes and control as set."""
        here = values[self.at.session].study
        if here is None:
            raise gr.Error(
                "There is no ECG here to read again: what is on a screen is forgotten a "
                "quarter of an hour after its last use. Please choose one.",
                print_exception=False,
            )
        yield from self._asked(lambda: here, values, request)

    def stop(self, request: gr.Request) -> None:
        """End the visitor's reading, if one runs; the reading itself then says so."""
        if running := self.running.get(request.session_hash):
            running.set()

    def undo(self) -> Update:
        """All changes back to none."""
        return self._turned_to(Change())

    def _turned_to(self, change: Change) -> Update:
        values = [getattr(change, one.name) for one in fields(change)]
        values = [list(one) if isinstance(one, tuple) else one for one in values]
        return dict(zip(self.at.play.all(), values, strict=True))

    def _dialled_to(self, dials: Mapping[str, Any]) -> Update:
        return {getattr(self.at.dials, name): value for name, value in dials.items()}

    def _example(self, title: str) -> Study:
        example = self.examples[title]
        return study(open_case([shipped(f"ecgs/{example['file']}")]), title, example)

    # ------------------------------------------------------------------ reading

    def _asked(
        self, opened: Callable[[], Study], values: Values, request: gr.Request
    ) -> Iterator[Update]:
        session = values[self.at.session]
        if not session.begin(values[self.at.number]):
            yield self._passed_over()
            return
        changed = [values[one] for one in self.at.play.all()]
        yield from self._guarded(
            opened,
            session,
            request,
            change=Change(tuple(changed[0]), *changed[1:]),
            control_kind=values[self.at.actions.control],
        )

    def _passed_over(self) -> Update:
        """No news of a reading for which another was asked for while it waited.

        Gradio takes no update at all, and an empty one, for empty fields.
        """
        return {self.at.actions.stop: gr.skip()}

    def _guarded(
        self,
        opened: Callable[[], Study],
        session: Session,
        request: gr.Request,
        *,
        change: Change,
        control_kind: str,
        reuse: bool = False,
    ) -> Iterator[Update]:
        """The whole of one reading; every refusal is told in the columns and as a message."""
        visitor, stop, button = request.session_hash, Event(), self.at.actions.stop
        self.running[visitor] = stop
        try:
            session.start(opened(), change, control_kind)
            yield self._show(session) | {button: gr.Button(interactive=True)}
            yield from self._stream(session, stop, reuse=reuse)
            yield {button: gr.Button(interactive=False)}
        except ECGError as error:
            yield self._ended(str(error))
            raise refusal(error) from error
        except gr.Error as error:  # ZeroGPU's own: no GPU, or the visitor's minutes are spent
            yield self._ended(error.message)
            raise
        except Exception:  # a mistake of ours: the columns must not go on waiting
            yield self._ended("something went wrong here; the server's log says what")
            raise
        finally:
            if self.running.get(visitor) is stop:
                del self.running[visitor]

    def _ended(self, why: str) -> Update:
        told = display.status_html("none", f"no reading: {why}")
        ended = {each.status: told for each in self.at.columns.values()}
        return ended | {self.at.actions.stop: gr.Button(interactive=False)}

    def _show(self, session: Session) -> Update:
        """The ECG and what was measured, before any model."""
        at, take, here = self.at.views, self.at.takeaway, session.study
        session.control = control_of(here, session.control_kind, list(self.examples.values()))
        changed = session.change.words()
        note = f'<p class="note">For the models: {escape(", ".join(changed))}.</p>'
        update: Update = {
            at.title: f"<h2>{escape(here.title)}</h2>{note if changed else ''}",
            at.known: display.known_html(here.known),
            at.reveal: gr.Accordion(open=False),
            at.trace: None,
            at.page: "" if here.image is None else picture_html({"": here.image}, PAGE_WORDS),
            at.agreement: "",
            at.asked: "",
            at.warned: "",
            at.measured: "<p>A picture carries no signal, so nothing is measured here.</p>",
        }
        # What was made of the last ECG is not to stand beside this one.
        update |= dict.fromkeys((at.feedback, take.files, take.link), "")
        for name, each in self.at.columns.items():
            waiting = display.status_html("waiting", "waiting for the model")
            update |= {each.status: waiting, each.reading: "", each.raw: ""}
            if place_of(name)[1] == "control":
                update[each.box] = gr.Column(visible=session.control is not None)
                if session.control is not None:
                    words = f"shown {session.control.words} in place of this ECG"
                    update[each.shown] = views.shown_html(words)
        if here.ecg is not None:
            seen = altered(here.ecg, session.change)
            figure = plot_ecg(seen, here.measured).update_layout(height=TRACE_PX)
            update[at.trace] = figure
            update[at.measured] = display.measured_html(here.ecg, here.measured, here.found)
        return update

    def _stream(self, session: Session, stop: Event, *, reuse: bool) -> Iterator[Update]:
        """What the models write, one after the other; what is known already comes first."""
        is_plain = session.change == Change() and session.control is None
        file = (session.study.known or {}).get("file") if is_plain else None
        known = self._recall(session, file) if reuse and file else set()
        places = [place for place in range(len(self.models.names)) if place not in known]
        jobs = [self._job(session, place) for place in places]
        drawn = {job.place: job.image for job in jobs}
        yield self._seen(session, drawn) | self._fill_all(session, stopped=False)
        if not jobs:
            return
        with closing(self.models.stream(jobs)) as snapshots:
            for place, readings in snapshots:
                stopped = stop.is_set()  # asked once, so that the page is told before the end
                session.readings |= {column(place, arm): one for arm, one in readings.items()}
                # Gradio takes an empty update for a value; the last snapshot may tell no news.
                if update := self._fill_all(session, stopped=stopped):
                    yield update
                if stopped:
                    return
        for place in places if file else ():
            arms = {arm: asdict(session.readings[column(place, arm)]) for arm in ARMS}
            key = (self.models.names[place], file)
            self.read_before[key] = Before(session.asked[place], arms)

    def _recall(self, session: Session, file: str) -> set[int]:
        """Take the readings that were made before; the places of their models."""
        known = set()
        for place, name in enumerate(self.models.names):
            if before := self.read_before.get((name, file)):
                known.add(place)
                session.asked[place] = before.asked
                for arm, reading in before.readings().items():
                    session.readings[column(place, arm)] = reading
        return known

    def _job(self, session: Session, place: int) -> Job:
        """What one model reads; arms without their input are told of at once."""
        here, change = session.study, session.change
        session.asked[place] = asked = Asked.of(self.models.get(place))
        ecg = None if here.ecg is None else altered(here.ecg, change)
        arms, image = ARMS, None
        if change.hide == "image":
            arms = ("signal",)
            for arm in set(ARMS) - set(arms):
                hidden = Reading(arm, done=True, problem="No reading: the image was hidden.")
                session.readings[column(place, arm)] = hidden
        else:
            image = self._page(session, asked)
        shown = None if change.hide == "signal" else ecg
        control = None if session.control is None else session.control.ecg
        return Job(place, arms, ecg=shown, image=image, control=control)

    @staticmethod
    def _page(session: Session, asked: Asked) -> Image.Image:
        here, change = session.study, session.change
        if here.ecg is None:
            return damaged(here.image, change)
        return altered_page(altered(here.ecg, change), change, dict(asked.page))

    def _seen(self, session: Session, drawn: Mapping[int, Image.Image | None]) -> Update:
        """The pages as the models see them, some drawn already, and the models' prompts."""
        at, asked = self.at.views, list(session.asked.values())
        if session.change.hide == "image":
            pages = "<p>The image is hidden from every arm.</p>"
        else:
            distinct = {str(one.page): place for place, one in session.asked.items()}
            named = len(distinct) > 1
            pictures = {}
            for place in distinct.values():
                one = session.asked[place]
                picture = drawn.get(place) or self._page(session, one)
                pictures[one.name if named else ""] = picture
            pages = picture_html(pictures, PAGE_WORDS)
        return {
            at.page: pages,
            at.asked: views.asked_html(asked),
            at.warned: views.warned_html(asked),
        }

    def _fill_all(self, session: Session, *, stopped: bool) -> Update:
        update: Update = {}
        newly = False
        for name, reading in session.readings.items():
            newly |= reading.done and not reading.problem and name not in session.audits
            update |= self._fill(session, name, reading, stopped=stopped)
        if stopped:
            never = display.status_html("stopped", "stopped before it began")
            begun = session.readings
            update |= {at.status: never for n, at in self.at.columns.items() if n not in begun}
        if newly:
            rows = agreement(session.study, session.readings, session.audits)
            update[self.at.views.agreement] = agreement_html(rows, session.titles())
        return update

    def _fill(self, session: Session, name: str, reading: Reading, *, stopped: bool) -> Update:
        at = self.at.columns[name]
        cut = stopped and not reading.done
        if name in session.audits:
            return {}  # told already
        found = session.finish(name)
        return {
            at.status: (
                display.status_html("stopped", f"stopped after {reading.n_tokens} tokens")
                if cut
                else display.reading_status(reading)
            ),
            at.reading: audited_html(reading, found, session.study.measured),
            at.raw: reading.text,
        }

    # ------------------------------------------------------------------ guess, take away

    def hide_answers(self) -> Update:
        """Leave the trace alone on the screen."""
        at = self.at.views
        hidden = dict.fromkeys((at.answers, at.values), gr.Column(visible=False))
        note = '<p role="status">Answers are hidden. The trace is below.</p>'
        return hidden | {at.feedback: note}

    def compare(self, values: Values) -> Update:
        """Feedback on a guess, and the answers again."""
        at, session = self.at.views, values[self.at.session].as_now()
        if session.study is None:
            raise gr.Error("Please choose an ECG first.", print_exception=False)
        *fields_, named = [values[one] for one in self.at.guess.all()]
        try:
            guessed = guess.marked(*fields_, diagnoses=named or ())
        except ECGError as error:
            raise refusal(error) from error
        told = guess.compare(guessed, session.study)
        rows = agreement(session.study, session.readings, session.audits)
        return {
            at.answers: gr.Column(visible=True),
            at.values: gr.Column(visible=True),
            at.feedback: guess.feedback_html(told, rows, session.titles()),
        }

    def prepare(self, values: Values) -> str:
        """The three files, inside links."""
        from ecg_r1.studio.pdf import to_pdf  # brings what only a report needs

        session = values[self.at.session].as_now()
        try:
            return downloads_html(
                {
                    "JSON": (
                        "ecg-r1-report.json",
                        "application/json",
                        exports.to_json(session).encode(),
                    ),
                    "Markdown": (
                        "ecg-r1-report.md",
                        "text/markdown",
                        exports.to_markdown(session).encode(),
                    ),
                    "PDF": ("ecg-r1-report.pdf", "application/pdf", to_pdf(session)),
                }
            )
        except ECGError as error:
            raise refusal(error) from error

    def share(self, values: Values) -> str:
        """The query of a link; only shipped examples and simulated hearts have one."""
        session = values[self.at.session]
        here = session.study
        file = None if here is None else (here.known or {}).get("file") or None
        if here is None or (file is None and here.dials is None):
            raise gr.Error(
                "Only shipped examples and simulated hearts can be linked to: an address never "
                "carries an ECG.",
                print_exception=False,
            )
        linked = links.Linked(file, here.dials, session.change, session.control_kind)
        return links.link_query(linked)
