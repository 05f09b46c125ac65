"""The components of the page and where they stand; no behaviour."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from html import escape
from typing import Any
from urllib.parse import unquote

import gradio as gr
from gradio.data_classes import ListFiles
from gradio.utils import is_in_or_equal
from gradio_client.utils import is_http_url_like

from ecg_r1.display import ARM_NAMES, status_html
from ecg_r1.ecg import LEADS
from ecg_r1.inputs import UPLOAD_LIMITS, UPLOAD_SUFFIXES
from ecg_r1.page import PAGE_LAYOUTS
from ecg_r1.studio import guess
from ecg_r1.studio.dials import CHOICES, DIALS, START
from ecg_r1.studio.exports import DECODING
from ecg_r1.studio.recorded import Asked
from ecg_r1.studio.study import GAINS_MM_MV, NAMES, SPEEDS_MM_S, column

ARM_INPUTS = {
    "signal": "twelve leads, 500 samples per second; no picture",
    "image": "the paper page as a picture; no numbers",
    "both": "the samples and the picture together",
    "control": "shown something else in place of this ECG",
}
CONTROL_CHOICES = [
    ("none", "none"),
    ("a flat line", "blank"),
    ("another patient's ECG", "other"),
]
CONTROL_INFO = (
    "One more reading, of something else in place of this ECG: what the model says there too, "
    "it has not read off this ECG. The model cannot be asked without any ECG, since its prompt "
    "always holds a signal or a page; a flat line comes nearest to nothing."
)
UNITS = [("as the file says", ""), "mV", "uV", "V"]
STACK = ["stack"]
TRACE_WORDS = (
    "A plot of the twelve leads over 10 seconds, each with its name, on a grid of 0.2 seconds "
    "and 0.5 millivolts. What was measured on it stands in the table after it."
)


def file_field(**options: Any) -> gr.File:
    """A field for several files, which gives handlers their paths.

    `gr.File` itself would leave an empty temporary file behind at each request, and fetch
    whatever address a program names, of any size. A handler that has the field among its
    outputs must give it a value, or Gradio makes the field anew.

    Args:
        options: Further arguments of `gr.File`.
    """
    field = gr.File(file_count="multiple", **options)
    field.preprocess = _paths
    kept = field.async_move_resource_to_block_cache
    field.async_move_resource_to_block_cache = partial(_uploaded, field.GRADIO_CACHE, kept)
    return field


async def _uploaded(
    folder: str, kept: Callable[[str], Awaitable[str | None]], where: str | None
) -> str | None:
    """The path of an upload; of addresses only those that Gradio gives to uploads."""
    if where is not None and is_http_url_like(where):
        path = unquote(where.partition("/file=")[2])
        if not (path and is_in_or_equal(path, folder)):
            raise gr.Error(
                "No address is fetched here: upload the file itself.", print_exception=False
            )
        where = path
    return await kept(where)


def _paths(payload: ListFiles | None) -> list[str] | None:
    return None if payload is None else [one.path for one in payload.root]


class Parts:
    """A group of components, as a list where Gradio wants one."""

    def all(self) -> list[Any]:
        """Every component of the group, in the order of its fields."""
        return [getattr(self, one.name) for one in fields(self)]


@dataclass(frozen=True)
class ExampleTab(Parts):
    """Choosing a shipped ECG."""

    example: gr.Dropdown
    read: gr.Button


@dataclass(frozen=True)
class OwnTab(Parts):
    """A visitor's own ECG, and what its file does not say."""

    files: gr.File
    pasted: gr.Textbox
    fs: gr.Textbox
    units: gr.Dropdown
    leads: gr.Textbox
    found: gr.HTML
    read: gr.Button


@dataclass(frozen=True)
class PlayTab(Parts):
    """What is done to the ECG for the models; the fields of `Change` in their order."""

    leads_off: gr.CheckboxGroup
    hide: gr.Radio
    noise_mv: gr.Slider
    wander_mv: gr.Slider
    blur: gr.Slider
    rotate_deg: gr.Slider
    grain: gr.Slider
    layout: gr.Dropdown
    speed_mm_s: gr.Radio
    gain_mm_mv: gr.Radio


@dataclass(frozen=True)
class DialTab(Parts):
    """The simulator's dials: the keys of `dials.START`."""

    rhythm: gr.Dropdown
    hr_bpm: gr.Slider
    pr_ms: gr.Slider
    qrs_ms: gr.Slider
    qt_ms: gr.Slider
    axis_deg: gr.Slider
    conduction: gr.Dropdown
    territory: gr.Dropdown
    st_mv: gr.Slider
    potassium_mmol: gr.Slider
    seed: gr.Number


@dataclass(frozen=True)
class GuessTab(Parts):
    """What a learner marks; the fields of `Guess` in their order."""

    rhythm: gr.Dropdown
    hr_bpm: gr.Textbox
    axis: gr.Radio
    pr_ms: gr.Textbox
    qrs_ms: gr.Textbox
    qtc_ms: gr.Textbox
    diagnoses: gr.Dropdown


@dataclass(frozen=True)
class Actions(Parts):
    """The buttons of the tabs and under them."""

    play: gr.Button
    reset: gr.Button
    simulate: gr.Button
    hide: gr.Button
    compare: gr.Button
    control: gr.Radio
    again: gr.Button
    stop: gr.Button


@dataclass(frozen=True)
class Views(Parts):
    """Where the ECG and what was measured on it are shown."""

    title: gr.HTML
    trace: gr.Plot
    page: gr.HTML
    measured: gr.HTML
    known: gr.HTML
    reveal: gr.Accordion
    agreement: gr.HTML
    asked: gr.HTML
    warned: gr.HTML
    feedback: gr.HTML
    answers: gr.Column
    values: gr.Column


@dataclass(frozen=True)
class Column(Parts):
    """Where one arm's reading is shown."""

    box: gr.Column
    shown: gr.HTML
    status: gr.HTML
    reading: gr.HTML
    raw: gr.Textbox


@dataclass(frozen=True)
class Takeaway(Parts):
    """What a visitor takes along."""

    prepare: gr.Button
    files: gr.HTML
    share: gr.Button
    link: gr.Textbox


@dataclass(frozen=True)
class Page:
    """All groups of components."""

    session: gr.State
    number: gr.Number
    example: ExampleTab
    own: OwnTab
    play: PlayTab
    dials: DialTab
    guess: GuessTab
    actions: Actions
    views: Views
    columns: dict[str, Column]
    takeaway: Takeaway


def lay_example(titles: list[str]) -> ExampleTab:
    """The tab of shipped ECGs."""
    with gr.Tab("Examples", id="examples"), gr.Row(elem_classes=[*STACK, "bar"]):
        example = gr.Dropdown(
            titles, value=titles[0], label="Example ECG (real, public)", scale=6
        )
        read = gr.Button("Read", variant="primary", min_width=120)
    return ExampleTab(example, read)


def lay_own() -> OwnTab:
    """The tab of a visitor's own ECG."""
    with gr.Tab("Your own", id="own"):
        gr.Markdown(
            "Choose **one ECG**: a WFDB record (the .hea together with its .dat or .mat), "
            "DICOM, GE MUSE or HL7 XML, a table (.csv, .tsv, .txt), MATLAB or NPY; or a "
            "picture of an ECG page (PNG, JPEG), which only the image arm can read. Remove "
            "names and other marks of a patient first. The server removes each file as soon as "
            "it is opened, and forgets the ECG a quarter of an hour after your last click. "
            f"Limits: {'; '.join(UPLOAD_LIMITS)}."
        )
        files = file_field(
            label="ECG files",
            elem_id="files",
            file_types=list(UPLOAD_SUFFIXES),
            height=130,
        )
        with gr.Accordion("Or paste a table", open=False):
            pasted = gr.Textbox(
                "",
                label="CSV with a first row of lead names",
                placeholder="I,II,V1,V2,V3,V4,V5,V6\n0.01,0.02,...",
                lines=4,
                max_lines=8,
                max_length=2_000_000,
            )
        found = gr.HTML(elem_id="found")
        gr.Markdown("Only when the file does not say it itself:")
        with gr.Row(elem_classes=STACK):
            fs = gr.Textbox("", label="Sampling rate fs (Hz)", placeholder="500")
            units = gr.Dropdown(UNITS, value="", label="Unit")
            leads = gr.Textbox(
                "",
                label="Leads in order (- leaves a channel out)",
                placeholder="I,II,V1,...",
                scale=2,
            )
            read = gr.Button("Read my ECG", variant="primary", min_width=120)
    return OwnTab(files, pasted, fs, units, leads, found, read)


def lay_play() -> tuple[PlayTab, gr.Button, gr.Button]:
    """The tab that changes what the models see, with its two buttons."""
    with gr.Tab("Play", id="play"):
        gr.Markdown(
            "Change what the **models** see. Measurements, and the check of each claim, keep "
            "to the untouched ECG, so that you see which arm notices."
        )
        with gr.Row(elem_classes=STACK):
            off = gr.CheckboxGroup(list(LEADS), label="Silent leads", scale=3)
            hide = gr.Radio(
                [("nothing", ""), ("the signal", "signal"), ("the image", "image")],
                value="",
                label="Hide from every arm",
                scale=2,
            )
        with gr.Row(elem_classes=STACK):
            noise = gr.Slider(0, 0.5, 0, step=0.01, label="Muscle noise (mV)")
            wander = gr.Slider(0, 1, 0, step=0.05, label="Baseline wander (mV)")
            blur = gr.Slider(0, 1, 0, step=0.05, label="Blur of the page")
            rotate = gr.Slider(-15, 15, 0, step=0.5, label="Turn of the page (degrees)")
            grain = gr.Slider(0, 1, 0, step=0.05, label="Grain of the picture")
        with gr.Row(elem_classes=STACK):
            layout = gr.Dropdown(
                [("as the model was trained", ""), *PAGE_LAYOUTS], value="", label="Layout"
            )
            speed = gr.Radio(_numbers(SPEEDS_MM_S), value=25.0, label="Paper speed (mm/s)")
            gain = gr.Radio(_numbers(GAINS_MM_MV), value=10.0, label="Gain (mm/mV)")
        with gr.Row(elem_classes=[*STACK, "bar"]):
            go = gr.Button("Read with these changes", variant="primary")
            reset = gr.Button("Undo all changes")
    tab = PlayTab(off, hide, noise, wander, blur, rotate, grain, layout, speed, gain)
    return tab, go, reset


def _numbers(choices: Sequence[float]) -> list[tuple[str, float]]:
    return [(f"{one:g}", one) for one in choices]


def lay_dials() -> tuple[DialTab, gr.Button]:
    """The simulator's tab and its button."""
    with gr.Tab("Simulator", id="simulator"):
        gr.Markdown(
            "Dial a heart and have it read. It is simulated and nobody's data; what is true of "
            'it stands under "Reveal the source\'s label".'
        )
        with gr.Row(elem_classes=STACK):
            rhythm = gr.Dropdown(list(CHOICES["rhythm"]), value=START["rhythm"], label="Rhythm")
            hr, pr, qrs = (_slider(name) for name in ("hr_bpm", "pr_ms", "qrs_ms"))
        with gr.Row(elem_classes=STACK):
            qt, axis = _slider("qt_ms"), _slider("axis_deg")
            conduction = gr.Dropdown(
                list(CHOICES["conduction"]), value=START["conduction"], label="Conduction"
            )
            potassium = _slider("potassium_mmol")
        with gr.Row(elem_classes=[*STACK, "bar"]):
            places = [(name or "none", name) for name in CHOICES["territory"]]
            territory = gr.Dropdown(places, value=START["territory"], label="ST change in")
            st, dial = _slider("st_mv"), DIALS["seed"]
            seed = gr.Number(
                dial.start, label=dial.title, precision=0, minimum=dial.low, maximum=dial.high
            )
            go = gr.Button("Simulate and read", variant="primary")
    tab = DialTab(rhythm, hr, pr, qrs, qt, axis, conduction, territory, st, potassium, seed)
    return tab, go


def _slider(name: str) -> gr.Slider:
    dial = DIALS[name]
    return gr.Slider(dial.low, dial.high, dial.start, step=dial.step, label=dial.title)


def lay_guess() -> tuple[GuessTab, gr.Button, gr.Button, gr.HTML]:
    """The tab of a learner's guess, its two buttons, and where feedback goes."""
    with gr.Tab("Guess first", id="guess"):
        with gr.Row(elem_classes=[*STACK, "bar"]):
            gr.Markdown(
                "Hide the answers, look at the trace below, mark what you see, then compare. "
                "Leave empty what you do not know."
            )
            hide = gr.Button("Hide all answers")
        with gr.Row(elem_classes=STACK):
            rhythm = gr.Dropdown(
                [("no guess", ""), *guess.RHYTHMS], value="", label="Your rhythm"
            )
            hr = gr.Textbox("", label="Your rate (bpm)", placeholder="72")
            axis = gr.Radio(list(guess.AXES), label="Your axis")
        with gr.Row(elem_classes=STACK):
            pr = gr.Textbox("", label="Your PR (ms)", placeholder="160")
            qrs = gr.Textbox("", label="Your QRS (ms)", placeholder="90")
            qtc = gr.Textbox("", label="Your QTc (ms)", placeholder="410")
        with gr.Row(elem_classes=[*STACK, "bar"]):
            named = gr.Dropdown(
                list(guess.DIAGNOSES), multiselect=True, label="Your diagnoses", scale=4
            )
            go = gr.Button("Compare", variant="primary")
        feedback = gr.HTML(elem_id="feedback")
    return GuessTab(rhythm, hr, axis, pr, qrs, qtc, named), hide, go, feedback


def lay_actions() -> tuple[gr.Radio, gr.Button, gr.Button]:
    """The control arm, "Read again" and "Stop"."""
    with gr.Row(elem_classes=[*STACK, "bar"]):
        control = gr.Radio(
            CONTROL_CHOICES, value="none", label="Control arm", info=CONTROL_INFO, scale=5
        )
        again = gr.Button("Read again", min_width=120)
        stop = gr.Button("Stop", interactive=False, min_width=120)
    return control, again, stop


def lay_views(feedback: gr.HTML, models: Sequence[str]) -> tuple[Views, dict[str, Column]]:
    """Trace, page, measured values, agreement and the columns of each model."""
    title = gr.HTML(elem_classes="case")
    with gr.Row(elem_classes=STACK):
        with gr.Column(scale=7), gr.Tabs():
            with gr.Tab("Signal"):
                gr.HTML(f'<p class="unseen">{TRACE_WORDS}</p>')
                trace = gr.Plot(show_label=False, elem_classes="trace", elem_id="trace")
            with gr.Tab("Page, as the model sees it"):
                page = gr.HTML(elem_id="page")
        with gr.Column(scale=3, min_width=300) as values:
            gr.Markdown("### Measured on the signal")
            measured = gr.HTML()
            with gr.Accordion("Reveal the source's label", open=False) as reveal:
                known = gr.HTML()
    with gr.Column() as answers:
        gr.Markdown(
            "### Readings by the model\nReadings are often wrong. Each sentence is checked "
            "against what was measured: choose an underlined claim to see where and why."
        )
        warned = gr.HTML(elem_id="warned")
        columns: dict[str, Column] = {}
        for place, name in enumerate(models):
            if len(models) > 1:
                gr.HTML(f'<h3 class="reader">{escape(name)}</h3>')
            columns |= _lay_columns(place)
        with gr.Accordion("Same for all arms: question and decoding", open=False):
            asked = gr.HTML(elem_id="asked")
            gr.Markdown(f"Decoding: {DECODING}.")
        agreement = gr.HTML(elem_id="agreement")
    views = Views(
        title, trace, page, measured, known, reveal, agreement, asked, warned, feedback,
        answers, values,
    )  # fmt: skip
    return views, columns


def shown_html(words: str) -> str:
    """What an arm is shown."""
    return f'<p class="from">{escape(words)}</p>'


def _lay_columns(place: int) -> dict[str, Column]:
    columns = {}
    with gr.Row(elem_classes=[*STACK, "arms"]):
        for arm, title in NAMES.items():
            name = column(place, arm)
            with gr.Column(
                elem_classes="arm",
                elem_id=f"arm-{name}",
                min_width=240,
                visible=arm in ARM_NAMES,
            ) as box:
                gr.HTML(f"<h3>{title}</h3>")
                shown = gr.HTML(shown_html(ARM_INPUTS[arm]))
                status = gr.HTML(status_html("waiting", "waiting"))
                reading = gr.HTML(elem_id=f"reading-{name}")
                with gr.Accordion("The model's text, verbatim", open=False):
                    raw = gr.Textbox(show_label=False, lines=8, max_lines=24, buttons=["copy"])
            columns[name] = Column(box, shown, status, reading, raw)
    return columns


def warned_html(asked: Sequence[Asked]) -> str:
    """What a reader of the readings must know of the models."""
    return "".join(
        f'<p class="note" role="alert">{escape(one.name)}: {escape(warning)}</p>'
        for one in asked
        for warning in one.warnings
    )


def told_html(lines: Sequence[str]) -> str:
    """What was said while a model was loaded, without the server's own folders."""
    shown = ["\n".join(line.splitlines()[:2]) for line in lines]  # the third names the cache
    return "".join(f'<p class="told">{escape(line)}</p>' for line in shown)


def asked_html(asked: Sequence[Asked]) -> str:
    """What the models were told and asked, in their own prompts' words."""
    return "".join(
        f"<p><strong>{escape(one.name)}</strong> was told: <em>{escape(one.system)}</em> "
        f"And asked: <em>{escape(one.question)}</em></p>"
        for one in asked
    )


def lay_takeaway() -> Takeaway:
    """Downloads and the share link."""
    with gr.Accordion("Take away: report and link", open=False):
        prepare = gr.Button("Prepare the report")
        files = gr.HTML(elem_id="downloads")
        with gr.Row(elem_classes=[*STACK, "bar"]):
            share = gr.Button("Link to this ECG and its settings")
            link = gr.Textbox(
                elem_id="share-link",
                label="Link (no data of any patient in it)",
                buttons=["copy"],
                scale=3,
            )
    return Takeaway(prepare, files, share, link)
