"""The page put together: components laid out, events tied to the handlers."""

import json
import re
from typing import TYPE_CHECKING, Any

import gradio as gr
from fastapi.responses import JSONResponse
from PIL import Image
from starlette.middleware import Middleware
from starlette.routing import Route

from ecg_r1 import __version__
from ecg_r1.formats import MAX_BYTES
from ecg_r1.shipped import shipped
from ecg_r1.studio import views
from ecg_r1.studio.api import connect_api
from ecg_r1.studio.embed import picture_html
from ecg_r1.studio.models import Models
from ecg_r1.studio.reader import Reader
from ecg_r1.studio.sessions import forgetting
from ecg_r1.studio.study import Session
from ecg_r1.studio.tempfiles import Passing, Watch
from ecg_r1.studio.theme import CSS, HEAD, MASTHEAD, THEME

if TYPE_CHECKING:
    from ecg_r1.studio.recorded import Before

# Files that no request ever used are swept after this, looked at once a minute; a visitor's
# screen is forgotten as long after it was last used.
KEEP_S = 14 * 60
LAUNCH = {
    "theme": THEME,
    "css": CSS,
    "head": HEAD,
    "max_file_size": MAX_BYTES,
    "run_history": False,
    "enable_monitoring": False,
    # Visitors whose screens are remembered, the latest ones. Ours: ten classes.
    "state_session_capacity": 300,
    "show_error": False,
    "ssr_mode": False,
    "footer_links": ["api", "settings"],
}
_SLOT = {"concurrency_limit": 1, "concurrency_id": "reading"}
_PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")  # of Markdown: its words, its file


def read_examples() -> dict[str, dict[str, Any]]:
    """The shipped ECGs by title, in their order."""
    listed = json.loads(shipped("ecgs/examples.json").read_text(encoding="utf-8"))
    return {example["title"]: example for example in listed}


def model_card() -> str:
    """The shipped model's own card, without the header that only a hub needs."""
    card = shipped("nano/README.md")
    if not card.is_file():
        return "The shipped model is not here yet, so there are no numbers to show."
    text = card.read_text(encoding="utf-8")
    return text.split("\n---\n", 1)[-1] if text.startswith("---\n") else text


def _lay_card() -> None:
    """The shipped model's card with its pictures, whose files the server does not give out."""
    text, *rest = _PICTURE.split(model_card())
    gr.Markdown(text)
    for words, file, after in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        with Image.open(shipped(f"nano/{file}")) as picture:
            gr.HTML(picture_html({"": picture}, words))
        gr.Markdown(after)


def health(_request: Any) -> JSONResponse:
    """That the server answers, and which version does."""
    return JSONResponse({"status": "ok", "version": __version__})


def build_demo(
    models: Models,
    before: "dict[tuple[str, str], Before] | None" = None,
    *,
    mcp: bool = False,
) -> tuple[gr.Blocks, dict[str, Any]]:
    """Lay out the page around the models.

    Args:
        models: The first, and perhaps one beside it; each is loaded when it first reads, so
            that the page is there at once. What loading raises as ECGError is shown in the
            columns.
        before: Readings of the examples that were made before, by model and file, see
            `recorded`.
        mcp: Whether there are tools for MCP.

    Returns:
        The page, and what `launch` takes to serve it.
    """
    uploads, made = Passing(KEEP_S), Passing(KEEP_S)
    examples = read_examples()
    with gr.Blocks(
        title="ECG-R1 Studio", analytics_enabled=False, delete_cache=(60, KEEP_S)
    ) as demo:
        gr.HTML(MASTHEAD)
        page = _lay_page(list(examples), models.names)
        reader = Reader(models, examples, page, uploads, read_before=dict(before or {}))
        for name in models.names:
            title = f"About the model ({name}): data, training and test numbers"
            with gr.Accordion(title, open=False):
                if name == "nano":
                    _lay_card()
                else:
                    gr.Markdown("See its own card.")
                gr.HTML(views.told_html(models.told[name]))
        _connect(demo, reader)
        connect_api(models, _SLOT, uploads, made, tools=mcp)
    served = {
        "routes": [Route("/health", health)],
        "middleware": [Middleware(Watch, uploads=uploads, made=made)],
        "lifespan": forgetting(KEEP_S),
    }
    return demo, {**LAUNCH, "app_kwargs": served}


def _lay_page(titles: list[str], models: tuple[str, ...]) -> views.Page:
    session = gr.State(Session())
    # Of the reading that was asked for last: with the visitor, so that each request carries it.
    number = gr.Number(0, precision=0, visible=False)
    with gr.Tabs():
        example = views.lay_example(titles)
        own = views.lay_own()
        play, go, reset = views.lay_play()
        dials, simulate = views.lay_dials()
        guess, hide, compare, feedback = views.lay_guess()
    control, again, stop = views.lay_actions()
    actions = views.Actions(go, reset, simulate, hide, compare, control, again, stop)
    shown, columns = views.lay_views(feedback, models)
    takeaway = views.lay_takeaway()
    return views.Page(
        session, number, example, own, play, dials, guess, actions, shown, columns, takeaway
    )


def _connect(demo: gr.Blocks, reader: Reader) -> None:
    """Tie the events to the handlers; one reading runs at a time, the others queue."""
    at = reader.at
    actions, take = at.actions, at.takeaway
    form = {
        at.session, at.number, at.example.example, actions.control,
        *at.own.all()[:-2], *at.play.all(), *at.dials.all(),
    }  # fmt: skip
    columns = [each for column in at.columns.values() for each in column.all()]
    reading = {
        "inputs": form,
        "outputs": [
            at.example.example, actions.control, actions.stop,
            *at.play.all(), *at.dials.all(), *at.views.all(), *columns,
            take.files, take.link,
        ],
        "show_progress": "hidden",
        "api_visibility": "private",
        # A button pressed while its own reading still ends must not be passed over.
        "trigger_mode": "always_last",
        **_SLOT,
    }  # fmt: skip
    at_once = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    # What may be refused is queued: without a queue the page hears nothing of the reason.
    soon = {"show_progress": "hidden", "api_visibility": "private"}
    demo.load(reader.open_page, api_name="open", **reading)
    asked = (
        # Not `input`, which a mouse sends twice, nor `select`, which no keyboard sends.
        (at.example.example.change, reader.ask_for_example, reader.read_example),
        (at.example.read.click, reader.ask, reader.read_example),
        (actions.play.click, reader.ask, reader.read_again),
        (actions.simulate.click, reader.ask, reader.read_simulated),
        (actions.again.click, reader.ask, reader.read_again),
    )
    for event, ask, handler in asked:
        event(ask, {at.session, at.example.example}, at.number, **at_once).then(
            handler, **reading
        )
    own = at.own
    opened = own.read.click(reader.open_own, form, [*own.all()[:-1], at.number], **soon)
    opened.success(reader.read_own, **reading)
    changed = [own.files.upload, own.files.clear, own.files.delete]
    gr.on(changed, reader.inspect, own.files, [own.found, own.leads], **at_once)
    demo.unload(reader.leave)
    actions.stop.click(reader.stop, **at_once)
    actions.reset.click(reader.undo, outputs=at.play.all(), **at_once)
    answers = [at.views.answers, at.views.values, at.views.feedback]
    actions.hide.click(reader.hide_answers, outputs=answers, **at_once)
    guessed = {at.session, *at.guess.all()}
    actions.compare.click(reader.compare, guessed, answers, **soon)
    take.prepare.click(reader.prepare, {at.session}, take.files, api_visibility="private")
    take.share.click(reader.share, {at.session}, take.link, **soon).success(
        None, take.link, take.link,
        js="query => location.origin + location.pathname + '?' + query",
        **at_once,
    )  # fmt: skip
