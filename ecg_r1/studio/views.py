"""The components of the page and where they stand; no behaviour."""

from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from ecg_r1.display import ARM_NAMES, status_html
from ecg_r1.ecg import LEADS
from ecg_r1.inputs import UPLOAD_LIMITS, UPLOAD_SUFFIXES
from ecg_r1.page import PAGE_LAYOUTS
from ecg_r1.report import QUESTION
from ecg_r1.studio import dials, guess
from ecg_r1.studio.exports import DECODING, NAMES

ARM_INPUTS = {
    "signal": "twelve leads, 500 samples per second; no picture",
    "image": "the paper page as a picture; no numbers",
    "both": "the samples and the picture together",
    "control": "another ECG: what is said here was not read off this one",
}
CONTROL_CHOICES = [
    ("none", "none"),
    ("no ECG (flat line, empty page)", "blank"),
    ("another patient's ECG", "other"),
]
UNITS = [("as the file says", ""), "mV", "uV", "V"]
STACK = ["stack"]


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
    """The simulator's dials; arguments of `dials.dialled` in their order, then the seed."""

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
    page: gr.Image
    measured: gr.HTML
    known: gr.HTML
    reveal: gr.Accordion
    agreement: gr.HTML
    feedback: gr.HTML
    answers: gr.Column
    values: gr.Column


@dataclass(frozen=True)
class Column(Parts):
    """Where one arm's reading is shown."""

    box: gr.Column
    status: gr.HTML
    reading: gr.HTML
    raw: gr.Textbox


@dataclass(frozen=True)
class Takeaway(Parts):
    """What a visitor takes along."""

    json: gr.DownloadButton
    markdown: gr.DownloadButton
    pdf: gr.DownloadButton
    prepare: gr.Button
    share: gr.Button
    link: gr.Textbox


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
            "One ECG: a file, or the .hea with its .dat or .mat together; or a page as PNG or "
            "JPEG, which only the image arm can read. Nothing is kept. Limits: "
            f"{'; '.join(UPLOAD_LIMITS)}."
        )
        files = gr.File(
            label="ECG files",
            file_count="multiple",
            file_types=list(UPLOAD_SUFFIXES),
            height=130,
        )
        with gr.Accordion("Or paste a table", open=False):
            pasted = gr.Textbox(
                label="CSV with a first row of lead names",
                placeholder="I,II,V1,V2,V3,V4,V5,V6\n0.01,0.02,...",
                lines=4,
                max_lines=8,
                max_length=2_000_000,
            )
        found = gr.HTML(elem_id="found")
        gr.Markdown("Only when the file does not say it itself:")
        with gr.Row(elem_classes=STACK):
            fs = gr.Textbox(label="Sampling rate fs (Hz)", placeholder="500")
            units = gr.Dropdown(UNITS, value="", label="Unit")
            leads = gr.Textbox(
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
            "Change what the **models** see. The measurement and the audit keep to the "
            "untouched ECG, so you see which arm notices."
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
            speed = gr.Radio([12.5, 25, 50], value=25, label="Paper speed (mm/s)")
            gain = gr.Radio([5, 10, 20], value=10, label="Gain (mm/mV)")
        with gr.Row(elem_classes=[*STACK, "bar"]):
            go = gr.Button("Read with these changes", variant="primary")
            reset = gr.Button("Undo all changes")
    tab = PlayTab(off, hide, noise, wander, blur, rotate, grain, layout, speed, gain)
    return tab, go, reset


def lay_dials() -> tuple[DialTab, gr.Button]:
    """The simulator's tab and its button."""
    with gr.Tab("Simulator", id="simulator"):
        gr.Markdown("Dial a heart; nobody's data. Its truth stands under the measured values.")
        with gr.Row(elem_classes=STACK):
            rhythm = gr.Dropdown(list(dials.RHYTHMS), value="sinus", label="Rhythm")
            hr = gr.Slider(30, 220, 70, step=1, label="Heart rate (bpm)")
            pr = gr.Slider(110, 400, 160, step=5, label="PR (ms)")
            qrs = gr.Slider(70, 200, 90, step=5, label="QRS (ms)")
        with gr.Row(elem_classes=STACK):
            qt = gr.Slider(240, 640, 390, step=5, label="QT (ms)")
            axis = gr.Slider(-180, 180, 40, step=5, label="QRS axis (degrees)")
            conduction = gr.Dropdown(
                list(dials.CONDUCTIONS), value="normal", label="Conduction"
            )
            potassium = gr.Slider(2, 9, 4.2, step=0.1, label="Potassium (mmol/l)")
        with gr.Row(elem_classes=[*STACK, "bar"]):
            places = [("none", ""), *dials.TERRITORIES]
            territory = gr.Dropdown(places, value="", label="ST change in")
            st = gr.Slider(-0.4, 0.6, 0, step=0.05, label="ST level there (mV)")
            seed = gr.Number(0, label="Patient (seed)", precision=0, minimum=0)
            go = gr.Button("Simulate and read", variant="primary")
    tab = DialTab(rhythm, hr, pr, qrs, qt, axis, conduction, territory, st, potassium, seed)
    return tab, go


def lay_guess() -> tuple[GuessTab, gr.Button, gr.Button, gr.HTML]:
    """The tab of a learner's guess, its two buttons, and where feedback goes."""
    with gr.Tab("Guess first", id="guess"):
        with gr.Row(elem_classes=[*STACK, "bar"]):
            gr.Markdown(
                "Hide the answers, look at the trace below, mark what you see, then compare. "
                "Leave open what you do not know."
            )
            hide = gr.Button("Hide all answers")
        with gr.Row(elem_classes=STACK):
            rhythm = gr.Dropdown(
                [("no guess", ""), *guess.RHYTHMS], value="", label="Your rhythm"
            )
            hr = gr.Textbox(label="Your rate (bpm)", placeholder="72")
            axis = gr.Radio(list(guess.AXES), label="Your axis")
        with gr.Row(elem_classes=STACK):
            pr = gr.Textbox(label="Your PR (ms)", placeholder="160")
            qrs = gr.Textbox(label="Your QRS (ms)", placeholder="90")
            qtc = gr.Textbox(label="Your QTc (ms)", placeholder="410")
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
        control = gr.Radio(CONTROL_CHOICES, value="none", label="Control arm", scale=5)
        again = gr.Button("Read again", min_width=120)
        stop = gr.Button("Stop", interactive=False, min_width=120)
    return control, again, stop


def lay_views(feedback: gr.HTML) -> tuple[Views, dict[str, Column]]:
    """Trace, page, measured values, agreement and the arms."""
    title = gr.HTML(elem_classes="case")
    with gr.Row(elem_classes=STACK):
        with gr.Column(scale=7), gr.Tabs():
            with gr.Tab("Signal"):
                trace = gr.Plot(show_label=False, elem_classes="trace", elem_id="trace")
            with gr.Tab("Page, as the model sees it"):
                page = gr.Image(
                    show_label=False,
                    interactive=False,
                    format="png",
                    buttons=["fullscreen"],
                    alt_text="The twelve leads drawn on ECG paper, as the model sees them",
                )
        with gr.Column(scale=3, min_width=300) as values:
            gr.Markdown("### Measured on the signal")
            measured = gr.HTML()
            with gr.Accordion("Reveal the source's label", open=False) as reveal:
                known = gr.HTML()
    with gr.Column() as answers:
        columns = _lay_columns()
        agreement = gr.HTML(elem_id="agreement")
    views = Views(
        title, trace, page, measured, known, reveal, agreement, feedback, answers, values
    )
    return views, columns


def _lay_columns() -> dict[str, Column]:
    gr.Markdown(
        "### Readings by the model\nReadings are often wrong. Each sentence is checked against "
        "what was measured: choose an underlined claim to see where and why."
    )
    columns = {}
    with gr.Row(elem_classes=[*STACK, "arms"]):
        for arm, name in NAMES.items():
            shown = arm in ARM_NAMES
            with gr.Column(
                elem_classes="arm", elem_id=f"arm-{arm}", min_width=240, visible=shown
            ) as box:
                gr.HTML(f'<h3>{name}</h3><p class="from">{ARM_INPUTS[arm]}</p>')
                status = gr.HTML(status_html("waiting", "waiting"))
                reading = gr.HTML(elem_id=f"reading-{arm}")
                with gr.Accordion("The model's text, verbatim", open=False):
                    raw = gr.Textbox(show_label=False, lines=8, max_lines=24, buttons=["copy"])
            columns[arm] = Column(box, status, reading, raw)
    with gr.Accordion("Same for all arms: question and decoding", open=False):
        gr.Markdown(f"Question: *{QUESTION}*\n\nDecoding: {DECODING}.")
    return columns


def lay_takeaway() -> Takeaway:
    """Downloads and the share link."""
    with gr.Accordion("Take away: report and link", open=False):
        with gr.Row(elem_classes=[*STACK, "bar"]):
            prepare = gr.Button("Prepare the report")
            made = [
                gr.DownloadButton(f"Download {kind}", interactive=False)
                for kind in ("JSON", "Markdown", "PDF")
            ]
        with gr.Row(elem_classes=[*STACK, "bar"]):
            share = gr.Button("Link to this example and its settings")
            link = gr.Textbox(
                elem_id="share-link",
                label="Link (no data of any patient in it)",
                buttons=["copy"],
                scale=3,
            )
    return Takeaway(*made, prepare, share, link)
