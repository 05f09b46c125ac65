"""The studio's web page: one ECG, read from its signal, from its page and from both.

`python app.py` serves it on this machine alone; `--host 0.0.0.0` opens it to the network.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from html import escape
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import gradio as gr

from ecg_r1 import DISCLAIMER, display
from ecg_r1.ecg import ECGError
from ecg_r1.inputs import IMAGE_SUFFIXES, RECORD_SUFFIXES, Case, open_case
from ecg_r1.measurement import measure
from ecg_r1.page import draw_page
from ecg_r1.plots import plot_ecg
from ecg_r1.protocol import apply_protocol
from ecg_r1.shipped import shipped

if TYPE_CHECKING:
    from ecg_r1.loading import LoadedModel
    from ecg_r1.reading import Reading

ARMS = tuple(display.ARM_NAMES)
ARM_INPUTS = {
    "signal": "twelve leads, 500 samples per second; no picture",
    "image": "the paper page as a picture; no numbers",
    "both": "the samples and the picture together",
}
TRACE_PX = 480  # low enough for the readings to begin on the first screen
UPLOAD_LIMIT = "20mb"
# Gradio's own copies of uploads and pictures are swept after this, looked at once a minute.
KEEP_UPLOADS_S = 14 * 60

Update = dict[Any, Any]  # component to its new value, as Gradio takes it from a handler

THEME = gr.themes.Soft(
    primary_hue="teal",
    secondary_hue="teal",
    neutral_hue="slate",
    font=["system-ui", "sans-serif"],  # what the visitor's machine has: nothing is fetched
    font_mono=["ui-monospace", "monospace"],
).set(
    body_background_fill="*neutral_50",
    body_background_fill_dark="*neutral_950",
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="*neutral_300",
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_hover_dark="*primary_600",
    block_label_text_color="*primary_800",
    block_title_text_color="*primary_800",
)
MASTHEAD = f"""<div class="masthead"><h1>ECG-R1 Studio</h1>
<p class="lead">One ECG, read three ways: from its signal, from its image, and from both.</p>
<p class="disclaimer" role="note">{escape(DISCLAIMER)}</p></div>"""
MODEL_LINE = """### Three readings by the model
**nano**, a small model trained for teaching; its readings are often wrong. Compare them
with what was measured. All three arms have the same question and the same greedy decoding."""
UNITS = [("as the file says", ""), "mV", "uV", "V"]

CSS = """
.gradio-container { max-width: 1480px !important; margin: 0 auto; }
.html-container { padding: 0 !important; }
.toast-wrap { top: auto !important; bottom: 1rem; }
.bar { align-items: flex-end; }
.masthead h1 { font-size: 1.6rem; margin: .2rem 0 0; }
.masthead .lead { color: var(--body-text-color-subdued); margin: .1rem 0 .6rem; }
.disclaimer { border-left: 6px solid #b45309; background: #fef3c7; color: #451a03;
  padding: .6rem .9rem; border-radius: 6px; font-weight: 600; margin: 0; }
.dark .disclaimer { background: #451a03; color: #fef3c7; border-color: #f59e0b; }
.case h2 { font-size: 1.15rem; margin: .3rem 0 0; overflow-wrap: anywhere; }
.measured table, .measured th, .measured td { border: 0 !important; }
.measured tr { border: 0 !important;
  border-bottom: 1px solid var(--border-color-primary) !important; }
.measured table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
.measured th { text-align: left; font-weight: 500; padding: .25rem .5rem .25rem 0; }
.measured td { text-align: right; padding: .25rem 0; font-weight: 600; }
.measured h4 { margin: .8rem 0 .3rem; }
.measured details { margin-top: .6rem; font-size: .9rem; }
.measured summary { cursor: pointer; }
.measured details ul { padding-left: 1.1rem; list-style: disc; }
.chips { list-style: none; display: flex; flex-wrap: wrap; gap: .35rem; padding: 0; margin: 0; }
.chips li { background: var(--primary-100); color: var(--primary-950); border-radius: 999px;
  padding: .15rem .65rem; font-weight: 600; font-size: .9rem; margin: 0; }
.dark .chips li { background: var(--primary-900); color: var(--primary-50); }
.arm { border: 1px solid var(--border-color-primary); border-radius: 10px; padding: 1rem;
  background: var(--block-background-fill); gap: .5rem; }
.arm h3 { margin: 0; font-size: 1.1rem; }
.muted, .arm .from { color: var(--body-text-color-subdued); font-size: .88rem; margin: 0; }
.status { font-size: .9rem; font-weight: 600; margin: 0; padding-left: 1.1rem;
  position: relative; color: var(--body-text-color); }
.status::before { content: ""; position: absolute; left: 0; top: .42em; width: .65em;
  height: .65em; border-radius: 50%; border: 2px solid currentColor; }
.status.busy::before { background: currentColor; animation: beat 1s infinite alternate; }
.status.done::before { background: #0f766e; border-color: #0f766e; }
.status.none::before, .status.stopped::before { background: #b45309; border-color: #b45309; }
@keyframes beat { to { opacity: .25; } }
@media (prefers-reduced-motion: reduce) { .status.busy::before { animation: none; } }
.reading { min-height: 6rem; overflow-wrap: anywhere; }
.reading > p { margin: .6rem 0; }
.reading .steps { list-style: none; padding: 0; margin: .4rem 0 0; counter-reset: step; }
.reading .steps li { counter-increment: step; margin: 0 0 .7rem; }
.reading .steps h4 { margin: 0; font-size: .92rem; }
.reading .steps h4::before { content: counter(step) ". "; color: var(--primary-600); }
.reading .steps p { margin: .1rem 0 0; font-size: .95rem; line-height: 1.5; }
.note { font-size: .88rem; border-left: 3px solid #b45309; padding-left: .5rem; }
@media (max-width: 800px) {
  .trace { overflow-x: auto !important; max-width: calc(100vw - 4rem); }
  .toast-wrap { top: auto !important; bottom: 1rem; }
.bar { align-items: stretch; }
  .trace .js-plotly-plot { min-width: 760px; }
  .stack { flex-direction: column !important; } }
"""

LAUNCH = {
    "theme": THEME,
    "css": CSS,
    "max_file_size": UPLOAD_LIMIT,
    "run_history": False,
    "show_error": False,
    "ssr_mode": False,
    "footer_links": ["gradio", "settings"],
}


def read_examples() -> dict[str, dict[str, Any]]:
    """The shipped ECGs by title, in their order."""
    listed = json.loads(shipped("ecgs/examples.json").read_text(encoding="utf-8"))
    return {example["title"]: example for example in listed}


def stated(fs: str = "", units: str = "", leads: str = "") -> dict[str, Any]:
    """What a visitor wrote into the fields, as `open_case` takes it; empty is unsaid.

    Raises:
        ECGError: The sampling rate is no number.
    """
    try:
        rate = float(fs) if fs.strip() else None
    except ValueError as error:
        raise ECGError(f"sampling rate {fs!r} is no number; write it in Hz, as 500") from error
    names = [name.strip() for name in leads.split(",") if name.strip()]
    return {"fs": rate, "units": units or None, "leads": names or None}


def model_card() -> str:
    """The shipped model's own card, without the header that only a hub needs."""
    card = shipped("nano/README.md")
    if not card.is_file():
        return "The shipped model is not here yet, so there are no numbers to show."
    text = card.read_text(encoding="utf-8")
    return text.split("\n---\n", 1)[-1] if text.startswith("---\n") else text


@dataclass(frozen=True)
class Controls:
    """Where a visitor says what to read."""

    example: gr.Dropdown
    files: gr.File
    fs: gr.Textbox
    units: gr.Dropdown
    leads: gr.Textbox
    read: gr.Button
    stop: gr.Button


@dataclass(frozen=True)
class Views:
    """Where the ECG and what was measured on it are shown."""

    title: gr.HTML
    trace: gr.Plot
    page: gr.Image
    measured: gr.HTML
    known: gr.HTML
    reveal: gr.Accordion


@dataclass(frozen=True)
class Column:
    """Where one arm's reading is shown."""

    status: gr.HTML
    reading: gr.HTML
    raw: gr.Textbox


def build_demo(load: Callable[[], "LoadedModel"]) -> gr.Blocks:
    """Lay out the page around a model.

    Args:
        load: Gives the model; called when the first reading begins, so that the page is there
            at once. What it raises as ECGError is shown in the three columns.
    """
    examples = read_examples()
    with gr.Blocks(
        title="ECG-R1 Studio", analytics_enabled=False, delete_cache=(60, KEEP_UPLOADS_S)
    ) as demo:
        gr.HTML(MASTHEAD)
        controls = _lay_controls(list(examples))
        views = _lay_views()
        columns = _lay_columns()
        with gr.Accordion("About the model: data, training and test numbers", open=False):
            gr.Markdown(model_card())
        _connect(demo, controls, Reader(load, examples, controls, views, columns))
    return demo


def _lay_controls(titles: list[str]) -> Controls:
    with gr.Row(elem_classes=["stack", "bar"]):
        example = gr.Dropdown(
            titles, value=titles[0], label="Example ECG (real, public)", scale=6
        )
        read = gr.Button("Read", variant="primary", min_width=120)
        stop = gr.Button("Stop", interactive=False, min_width=120)
    with gr.Accordion("Read an ECG of your own", open=False):
        files = gr.File(
            label=".hea with .dat or .mat together; or one DICOM, CSV, NPY, PNG or JPEG",
            file_count="multiple",
            file_types=[*RECORD_SUFFIXES, *IMAGE_SUFFIXES],
            height=130,
        )
        gr.Markdown("Only when the file does not say it itself (CSV, NPY):")
        with gr.Row(elem_classes="stack"):
            fs = gr.Textbox(label="Sampling rate fs (Hz)", placeholder="500")
            units = gr.Dropdown(UNITS, value="", label="Unit")
            leads = gr.Textbox(label="Leads in order", placeholder="I,II,V1,...", scale=2)
    return Controls(example, files, fs, units, leads, read, stop)


def _lay_views() -> Views:
    title = gr.HTML(elem_classes="case")
    with gr.Row(elem_classes="stack"):
        with gr.Column(scale=7), gr.Tabs():
            with gr.Tab("Signal"):
                trace = gr.Plot(show_label=False, elem_classes="trace")
            with gr.Tab("Page, as the model sees it"):
                page = gr.Image(
                    show_label=False,
                    interactive=False,
                    format="png",
                    buttons=["fullscreen"],
                    alt_text="The ECG drawn on paper",
                )
        with gr.Column(scale=3, min_width=300):
            gr.Markdown("### Measured on the signal")
            measured = gr.HTML()
            with gr.Accordion("Reveal the source's label", open=False) as reveal:
                known = gr.HTML()
    return Views(title, trace, page, measured, known, reveal)


def _lay_columns() -> dict[str, Column]:
    gr.Markdown(MODEL_LINE)
    columns = {}
    with gr.Row(elem_classes=["stack", "arms"]):
        for arm, name in display.ARM_NAMES.items():
            with gr.Column(elem_classes="arm", elem_id=f"arm-{arm}", min_width=240):
                gr.HTML(f'<h3>{name}</h3><p class="from">{ARM_INPUTS[arm]}</p>')
                status = gr.HTML(display.status_html("waiting", "waiting"))
                reading = gr.HTML(elem_id=f"reading-{arm}")
                with gr.Accordion("The model's text, verbatim", open=False):
                    raw = gr.Textbox(show_label=False, lines=8, max_lines=24, buttons=["copy"])
            columns[arm] = Column(status, reading, raw)
    return columns


@dataclass(frozen=True)
class Reader:
    """The handlers: each translates between components and the package, and no more."""

    load: Callable[[], "LoadedModel"]
    examples: dict[str, dict[str, Any]]
    controls: Controls
    views: Views
    columns: dict[str, Column]
    running: dict[str | None, Event] = field(default_factory=dict)  # visitor to stop signal

    def read_example(self, title: str, request: gr.Request) -> Iterator[Update]:
        """Show and read a shipped ECG; an upload that stands in the form is put away."""
        example = self.examples[title]
        yield {self.controls.files: None}
        file = shipped(f"ecgs/{example['file']}")
        yield from self._read([file], title, example, request.session_hash)

    def read_asked(
        self,
        title: str,
        files: list[str] | None,
        fs: str,
        units: str,
        leads: str,
        request: gr.Request,
    ) -> Iterator[Update]:
        """Show and read the uploaded files, or the chosen example when there are none."""
        if not files:
            yield from self.read_example(title, request)
            return
        paths = [Path(file) for file in files]
        title = " + ".join(path.name for path in paths)
        try:
            said = stated(fs, units, leads)
        except ECGError as error:
            raise gr.Error(escape(str(error)), print_exception=False) from error
        yield from self._read(paths, title, None, request.session_hash, said)

    def stop(self, request: gr.Request) -> None:
        """End the visitor's reading, if one runs; the reading itself then says so."""
        if running := self.running.get(request.session_hash):
            running.set()

    def _read(
        self,
        paths: list[Path],
        title: str,
        example: dict[str, Any] | None,
        visitor: str | None,
        said: dict[str, Any] | None = None,
    ) -> Iterator[Update]:
        button, stop = self.controls.stop, Event()
        self.running[visitor] = stop
        try:
            case = open_case(paths, **(said or {}))
            yield self._show(case, title, example) | {button: gr.Button(interactive=True)}
            yield from self._stream(case, stop)
            yield {button: gr.Button(interactive=False)}
        except ECGError as error:
            told = display.status_html("none", f"no reading: {error}")
            ended = {column.status: told for column in self.columns.values()}
            yield ended | {button: gr.Button(interactive=False)}
            raise gr.Error(escape(str(error)), print_exception=False) from error
        finally:
            self.running.pop(visitor, None)

    def _show(self, case: Case, title: str, example: dict[str, Any] | None) -> Update:
        views = self.views
        update: Update = {
            views.title: f"<h2>{escape(title)}</h2>",
            views.known: display.known_html(example),
            views.reveal: gr.Accordion(open=False),
            views.trace: None,
            views.page: case.image,
            views.measured: "<p>A picture carries no signal, so nothing is measured here.</p>",
        }
        for column in self.columns.values():
            waiting = display.status_html("waiting", "waiting for the model")
            update |= {column.status: waiting, column.reading: "", column.raw: ""}
        if case.ecg is not None:
            measured = measure(case.ecg)
            found = apply_protocol(
                measured,
                age_years=case.ecg.age_years,
                sex=case.ecg.sex,
                calibrated=case.ecg.calibrated,
            )
            update[views.trace] = plot_ecg(case.ecg, measured).update_layout(height=TRACE_PX)
            update[views.measured] = display.measured_html(case.ecg, measured, found)
        return update

    def _stream(self, case: Case, stop: Event) -> Iterator[Update]:
        from ecg_r1.reading import stream  # brings torch: the page and the trace come first

        model = self.load()
        page = case.image or draw_page(case.ecg, **model.page)
        yield {self.views.page: page}
        with closing(stream(ecg=case.ecg, image=page, model=model, arms=ARMS)) as snapshots:
            for readings in snapshots:
                stopped = stop.is_set()  # asked once, so that the page is told before the end
                update: Update = {}
                for arm, reading in readings.items():
                    update |= self._fill(arm, reading, stopped=stopped)
                yield update
                if stopped:
                    return

    def _fill(self, arm: str, reading: "Reading", *, stopped: bool) -> Update:
        column = self.columns[arm]
        cut = stopped and not reading.done
        return {
            column.status: (
                display.status_html("stopped", f"stopped after {reading.n_tokens} tokens")
                if cut
                else display.reading_status(reading)
            ),
            column.reading: display.reading_html(reading),
            column.raw: reading.text,
        }


def _connect(demo: gr.Blocks, controls: Controls, reader: Reader) -> None:
    """Tie the events to the handlers; one reading runs at a time, the others queue."""
    columns = [each for column in reader.columns.values() for each in vars(column).values()]
    outputs = [controls.files, controls.stop, *vars(reader.views).values(), *columns]
    one_at_a_time = {
        "outputs": outputs,
        "concurrency_limit": 1,
        "concurrency_id": "reading",
        "show_progress": "hidden",
        "api_visibility": "undocumented",
    }
    form = [controls.example, controls.files, controls.fs, controls.units, controls.leads]
    at_once = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    demo.load(reader.read_example, controls.example, api_name="open", **one_at_a_time)
    # A visitor's next reading ends the one that still runs, or it would wait behind it.
    controls.example.input(reader.stop, **at_once).then(
        reader.read_example, controls.example, api_name="example", **one_at_a_time
    )
    controls.read.click(reader.stop, **at_once).then(
        reader.read_asked, form, api_name="read", **one_at_a_time
    )
    controls.stop.click(reader.stop, **at_once)


@cache
def load_nano() -> "LoadedModel":
    """The shipped model, loaded once for all visitors."""
    from ecg_r1.loading import load_model  # brings torch: seconds that the page need not wait

    return load_model("nano")


def main() -> None:
    """Serve the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", help="address to listen on (default: this machine alone)")
    parser.add_argument("--port", type=int, help="port (default: 7860 or the next free one)")
    options = parser.parse_args()
    # Without a host, Gradio takes GRADIO_SERVER_NAME, which Spaces sets, else 127.0.0.1.
    demo.launch(server_name=options.host, server_port=options.port, **LAUNCH)


demo = build_demo(load_nano)

if __name__ == "__main__":
    main()
