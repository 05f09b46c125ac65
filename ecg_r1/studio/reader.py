"""The handlers of the page: each translates between components and the package, and no more."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, fields, replace
from html import escape
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import gradio as gr

from ecg_r1 import display
from ecg_r1.ecg import ECGError
from ecg_r1.inputs import Case, inspect_upload, open_case, open_table
from ecg_r1.plots import plot_ecg
from ecg_r1.shipped import shipped
from ecg_r1.studio import exports, guess, links
from ecg_r1.studio.agreement import agreement, agreement_html
from ecg_r1.studio.dials import dialled, simulated
from ecg_r1.studio.marked import audited_html
from ecg_r1.studio.recorded import Before
from ecg_r1.studio.study import (
    Change,
    Session,
    Study,
    altered,
    altered_page,
    control_of,
    damaged,
    study,
)

if TYPE_CHECKING:
    from ecg_r1.loading import LoadedModel
    from ecg_r1.reading import Reading
    from ecg_r1.studio.views import (
        Actions,
        Column,
        DialTab,
        ExampleTab,
        GuessTab,
        OwnTab,
        PlayTab,
        Takeaway,
        Views,
    )

ARMS = tuple(display.ARM_NAMES)
UNKNOWN = "?"  # in the field of leads: a channel whose name says nothing
TRACE_PX = 480  # low enough for the readings to begin on the first screen

Update = dict[Any, Any]  # component to its new value, as Gradio takes it from a handler
Values = dict[Any, Any]  # component to its value, as Gradio gives it to a handler


def stated(fs: str = "", units: str = "", leads: str = "") -> dict[str, Any]:
    """What a visitor wrote into the fields, as `open_case` takes it; empty is unsaid.

    Raises:
        ECGError: The sampling rate is no number, or a channel's lead is still unsaid.
    """
    try:
        rate = float(fs) if fs.strip() else None
    except ValueError as error:
        raise ECGError(f"sampling rate {fs!r} is no number; write it in Hz, as 500") from error
    names = [name.strip() for name in leads.split(",") if name.strip()]
    if UNKNOWN in names:
        which = ", ".join(str(n) for n, name in enumerate(names, 1) if name == UNKNOWN)
        raise ECGError(
            f'say which lead channel {which} is: replace each "{UNKNOWN}" by I, aVR, V1 ... or '
            'by "-" to leave the channel out'
        )
    return {"fs": rate, "units": units or None, "leads": names or None}


def open_own(files: list[str] | None, pasted: str, said: dict[str, Any]) -> tuple[Case, str]:
    """An uploaded ECG or a pasted table, and what to call it.

    Raises:
        ECGError: Nothing was given, too much, or it cannot be read.
    """
    if files:
        paths = [Path(file) for file in files]
        return open_case(paths, **said), " + ".join(path.name for path in paths)
    if not pasted.strip():
        raise ECGError("nothing to read: choose a file or paste a table")
    return Case(ecg=open_table(pasted, **said)), "Pasted table"


def refusal(error: ECGError) -> gr.Error:
    """The package's own words, as the page shows them."""
    return gr.Error(escape(str(error)), print_exception=False)


@dataclass(frozen=True)
class Page:
    """All groups of components."""

    session: gr.State
    example: "ExampleTab"
    own: "OwnTab"
    play: "PlayTab"
    dials: "DialTab"
    guess: "GuessTab"
    actions: "Actions"
    views: "Views"
    columns: dict[str, "Column"]
    takeaway: "Takeaway"


@dataclass(frozen=True)
class Reader:
    """The handlers around one model.

    Attributes:
        load: Gives the model; called when the first reading begins.
        examples: The shipped ECGs by title.
        at: The page's components.
        running: Visitor to the signal that ends the reading.
        read_before: Example file to finished readings of it, recorded or made since the start,
            for whoever opens the page: an untouched example reads the same for all.
    """

    load: Callable[[], "LoadedModel"]
    examples: dict[str, dict[str, Any]]
    at: Page
    running: dict[str | None, Event] = field(default_factory=dict)
    read_before: dict[str, Before] = field(default_factory=dict)

    # ------------------------------------------------------------------ what to read

    def open_page(self, values: Values, request: gr.Request) -> Iterator[Update]:
        """The first view: the example and settings of the link, or the first example."""
        files = {one["file"]: title for title, one in self.examples.items()}
        try:
            file, change, control = links.from_query(dict(request.query_params), list(files))
        except ECGError as error:
            gr.Warning(escape(str(error)))
            file, change, control = None, Change(), "none"
        title = files[file] if file else values[self.at.example.example]
        yield {
            self.at.example.example: title,
            self.at.actions.control: control,
            **self._dialled_back(change),
        }
        session = values[self.at.session]
        session.change, session.control = change, control
        yield from self._guarded(lambda: self._example(title), session, request, reuse=True)

    def read_example(self, values: Values, request: gr.Request) -> Iterator[Update]:
        """Read the chosen shipped ECG."""
        title = values[self.at.example.example]
        yield from self._asked(lambda: self._example(title), values, request)

    def read_own(self, values: Values, request: gr.Request) -> Iterator[Update]:
        """Read the uploaded or pasted ECG."""
        own = self.at.own

        def opened() -> Study:
            said = stated(values[own.fs], values[own.units], values[own.leads])
            case, title = open_own(values[own.files], values[own.pasted], said)
            return study(case, title)

        yield from self._asked(opened, values, request)

    def inspect(self, files: list[str] | None) -> Update:
        """What an upload says of itself, and what its owner has to say for it.

        Leads that the file names stand in the field already, a question mark for each other.
        """
        own = self.at.own
        if not files:
            return {own.found: "", own.leads: ""}
        try:
            upload = inspect_upload([Path(file) for file in files])
        except ECGError as error:
            return {own.found: display.status_html("none", str(error)), own.leads: ""}
        leads = [one.lead or UNKNOWN for one in upload.channels]
        asked = ",".join(leads) if UNKNOWN in leads else ""
        return {own.found: display.upload_html(upload), own.leads: asked}

    def read_simulated(self, values: Values, request: gr.Request) -> Iterator[Update]:
        """Read a heart as dialled."""
        *dials, seed = [values[one] for one in self.at.dials.all()]
        names = [one.name for one in fields(self.at.dials)]

        def made() -> Study:
            spec = dialled(**dict(zip(names, dials, strict=False)))
            return simulated(spec, int(seed or 0))

        yield from self._asked(made, values, request)

    def read_again(self, values: Values, request: gr.Request) -> Iterator[Update]:
        """Read what is on the screen once more, with the changes and control as set."""
        here = values[self.at.session].study
        title = values[self.at.example.example]
        yield from self._asked(lambda: here or self._example(title), values, request)

    def stop(self, request: gr.Request) -> None:
        """End the visitor's reading, if one runs; the reading itself then says so."""
        if running := self.running.get(request.session_hash):
            running.set()

    def undo(self) -> Update:
        """All changes back to none."""
        return self._dialled_back(Change())

    def _dialled_back(self, change: Change) -> Update:
        values = [getattr(change, one.name) for one in fields(change)]
        values = [list(one) if isinstance(one, tuple) else one for one in values]
        return dict(zip(self.at.play.all(), values, strict=True))

    def _example(self, title: str) -> Study:
        example = self.examples[title]
        return study(open_case([shipped(f"ecgs/{example['file']}")]), title, example)

    # ------------------------------------------------------------------ reading

    def _asked(
        self, opened: Callable[[], Study], values: Values, request: gr.Request
    ) -> Iterator[Update]:
        session = values[self.at.session]
        changed = [values[one] for one in self.at.play.all()]
        session.change = Change(tuple(changed[0]), *changed[1:])
        session.control = values[self.at.actions.control]
        yield from self._guarded(opened, session, request)

    def _guarded(
        self,
        opened: Callable[[], Study],
        session: Session,
        request: gr.Request,
        *,
        reuse: bool = False,
    ) -> Iterator[Update]:
        """The whole of one reading; every refusal is told in the columns and as a message."""
        visitor, stop, button = request.session_hash, Event(), self.at.actions.stop
        self.running[visitor] = stop
        try:
            session.start(opened())
            yield self._show(session) | {button: gr.Button(interactive=True)}
            yield from self._stream(session, stop, reuse=reuse)
            yield {button: gr.Button(interactive=False)}
        except ECGError as error:
            told = display.status_html("none", f"no reading: {error}")
            ended = {column.status: told for column in self.at.columns.values()}
            yield ended | {button: gr.Button(interactive=False)}
            raise refusal(error) from error
        finally:
            if self.running.get(visitor) is stop:
                del self.running[visitor]

    def _show(self, session: Session) -> Update:
        """The ECG and what was measured, before any model."""
        views, here = self.at.views, session.study
        changed = session.change.words()
        note = f'<p class="note">For the models: {escape(", ".join(changed))}.</p>'
        update: Update = {
            views.title: f"<h2>{escape(here.title)}</h2>{note if changed else ''}",
            views.known: display.known_html(here.known),
            views.reveal: gr.Accordion(open=False),
            views.trace: None,
            views.page: here.image,
            views.agreement: "",
            views.measured: "<p>A picture carries no signal, so nothing is measured here.</p>",
        }
        for arm, column in self.at.columns.items():
            waiting = display.status_html("waiting", "waiting for the model")
            update |= {column.status: waiting, column.reading: "", column.raw: ""}
            if arm == "control":
                update[column.box] = gr.Column(visible=session.control != "none")
        if here.ecg is not None:
            seen = altered(here.ecg, session.change)
            figure = plot_ecg(seen, here.measured).update_layout(height=TRACE_PX)
            update[views.trace] = figure
            update[views.measured] = display.measured_html(here.ecg, here.measured, here.found)
        return update

    def _stream(self, session: Session, stop: Event, *, reuse: bool) -> Iterator[Update]:
        from ecg_r1.reading import Reading, stream  # brings torch: the trace comes first

        here, change = session.study, session.change
        file = (here.known or {}).get("file")
        is_plain = bool(file) and change == Change() and session.control == "none"
        if reuse and is_plain and file in self.read_before:
            yield self._recall(session, self.read_before[file])
            return
        model = self.load()
        session.model = model.name
        ecg = None if here.ecg is None else altered(here.ecg, change)
        page = damaged(here.image, change) if ecg is None else None
        page = page or altered_page(ecg, change, model.page)
        yield {self.at.views.page: None if change.hide == "image" else page}
        arms = ARMS
        if change.hide == "image":
            arms = ("signal",)
            hidden = Reading("", done=True, problem="No reading: the image was hidden.")
            session.readings = {
                arm: replace(hidden, arm=arm) for arm in ARMS if arm not in arms
            }
        given = {
            "ecg": None if change.hide == "signal" else ecg,
            "image": page,
            "control": control_of(here, session.control, list(self.examples.values())),
        }
        with closing(stream(model=model, arms=arms, **given)) as snapshots:
            for readings in snapshots:
                stopped = stop.is_set()  # asked once, so that the page is told before the end
                session.readings = session.readings | readings
                # Gradio takes an empty update for a value; the last snapshot may tell no news.
                if update := self._fill_all(session, stopped=stopped):
                    yield update
                if stopped:
                    return
        if is_plain:
            before = Before(model.name, model.page, dict(session.readings))
            self.read_before[file] = before

    def _recall(self, session: Session, before: Before) -> Update:
        """Readings that were made before, with the page that they were made of."""
        session.model, session.readings = before.model, dict(before.readings)
        page = altered_page(session.study.ecg, session.change, before.page)
        return {self.at.views.page: page} | self._fill_all(session, stopped=False)

    def _fill_all(self, session: Session, *, stopped: bool) -> Update:
        update: Update = {}
        newly = False
        for arm, reading in session.readings.items():
            newly |= reading.done and arm not in session.audits
            update |= self._fill(session, arm, reading, stopped=stopped)
        if newly:
            rows = agreement(session.study, session.readings, session.audits)
            update[self.at.views.agreement] = agreement_html(rows, exports.NAMES)
        return update

    def _fill(self, session: Session, arm: str, reading: "Reading", *, stopped: bool) -> Update:
        column = self.at.columns[arm]
        cut = stopped and not reading.done
        if arm in session.audits:
            return {}  # told already
        found = session.finish(arm)
        return {
            column.status: (
                display.status_html("stopped", f"stopped after {reading.n_tokens} tokens")
                if cut
                else display.reading_status(reading)
            ),
            column.reading: audited_html(reading, found, session.study.measured),
            column.raw: reading.text,
        }

    # ------------------------------------------------------------------ guess, take away

    def hide_answers(self) -> Update:
        """Leave the trace alone on the screen."""
        views = self.at.views
        hidden = dict.fromkeys((views.answers, views.values), gr.Column(visible=False))
        note = '<p role="status">Answers are hidden. The trace is below.</p>'
        return hidden | {views.feedback: note}

    def compare(self, values: Values) -> Update:
        """Feedback on a guess, and the answers again."""
        views, session = self.at.views, values[self.at.session]
        if session.study is None:
            raise gr.Error("Choose an ECG first.", print_exception=False)
        *fields_, named = [values[one] for one in self.at.guess.all()]
        try:
            guessed = guess.marked(*fields_, diagnoses=named or ())
        except ECGError as error:
            raise refusal(error) from error
        told = guess.compare(guessed, session.study)
        rows = agreement(session.study, session.readings, session.audits)
        return {
            views.answers: gr.Column(visible=True),
            views.values: gr.Column(visible=True),
            views.feedback: guess.feedback_html(told, rows, exports.NAMES),
        }

    def prepare(self, values: Values) -> Update:
        """The three files, in Gradio's own folder, which is swept."""
        session, take = values[self.at.session], self.at.takeaway
        made: Mapping[Any, tuple[str, bytes]]
        try:
            made = {
                take.json: ("json", exports.to_json(session).encode()),
                take.markdown: ("md", exports.to_markdown(session).encode()),
                take.pdf: ("pdf", exports.to_pdf(session)),
            }
        except ECGError as error:
            raise refusal(error) from error
        update: Update = {}
        for button, (suffix, content) in made.items():
            with tempfile.TemporaryDirectory(prefix="ecg-r1-") as folder:
                file = Path(folder) / f"ecg-r1-report.{suffix}"
                file.write_bytes(content)
                # Gradio takes its own copy, so that ours can go at once.
                kept = gr.processing_utils.save_file_to_cache(file, button.GRADIO_CACHE)
            update[button] = gr.DownloadButton(value=kept, interactive=True)
        return update

    def share(self, values: Values) -> str:
        """The query of a link; only shipped examples have one."""
        session = values[self.at.session]
        here = session.study
        if here is None or not (here.known or {}).get("file"):
            raise gr.Error(
                "Only shipped examples can be linked to: an address never carries an ECG.",
                print_exception=False,
            )
        return links.link_query(here.known["file"], session.change, session.control)
