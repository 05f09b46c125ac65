"""The studio for programs: `read`, `measure`, `page` and `audit` with stable names.

Through `gradio_client.Client(url).predict(..., api_name="/measure")`, and over MCP where the
server was started with it. Arguments are the fields of each function, in their order.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import gradio as gr
from PIL import Image

from ecg_r1 import DISCLAIMER
from ecg_r1.auditing import audit
from ecg_r1.ecg import ECGError
from ecg_r1.page import PAGE_LAYOUTS, draw_page
from ecg_r1.studio.reader import open_own, refusal, stated
from ecg_r1.studio.study import Study, study

if TYPE_CHECKING:
    from ecg_r1.loading import LoadedModel


def _opened(files: list[str], fs: float | None, units: str, leads: str) -> Study:
    said = stated("" if not fs else str(fs), units or "", leads or "")
    case, title = open_own(files, "", said)
    return study(case, title)


def _record(files: list[str], fs: float | None, units: str, leads: str) -> Study:
    here = _opened(files, fs, units, leads)
    if here.ecg is None:
        raise ECGError(f"{here.title} is a picture; give the recorded signal")
    return here


def measure_api(files: list[str], fs: float | None, units: str, leads: str) -> dict[str, Any]:
    """Measure an ECG: intervals, axis, amplitudes and what published criteria name.

    Args:
        files: One ECG file, or the parts of one WFDB record.
        fs: Sampling rate in Hz, where the file does not say; 0 or empty is unsaid.
        units: "mV", "uV" or "V", where the file does not say.
        leads: Names in the file's order, parted by commas, where the file does not say.
    """
    here = _record(files, fs, units, leads)
    return {"disclaimer": DISCLAIMER, **here.measured.to_json(), **here.found.to_json()}


def page_api(
    files: list[str], fs: float | None, units: str, leads: str, layout: str
) -> Image.Image:
    """Draw an ECG on paper at 25 mm/s and 10 mm/mV.

    Args:
        files: As in `measure`.
        fs: As in `measure`.
        units: As in `measure`.
        leads: As in `measure`.
        layout: "3x4", "6x2" or "12x1".
    """
    return draw_page(_record(files, fs, units, leads).ecg, layout or "3x4")


def audit_api(
    text: str, files: list[str], fs: float | None, units: str, leads: str
) -> dict[str, Any]:
    """Check every claim of a text against an ECG.

    Args:
        text: A reading in free words.
        files: As in `measure`; of a picture no claim is checkable.
        fs: As in `measure`.
        units: As in `measure`.
        leads: As in `measure`.
    """
    here = _opened(files, fs, units, leads)
    return {"disclaimer": DISCLAIMER, **audit(text, here.facts).to_json()}


def read_api(
    load: "Callable[[], LoadedModel]",
) -> Callable[[list[str], float | None, str, str], dict[str, Any]]:
    """The function that reads with a model, for `connect_api`."""

    def read(files: list[str], fs: float | None, units: str, leads: str) -> dict[str, Any]:
        """Read an ECG from its signal, from its image and from both, and audit each reading.

        Args:
            files: As in `measure`, or a picture of a page.
            fs: As in `measure`.
            units: As in `measure`.
            leads: As in `measure`.
        """
        from ecg_r1.reading import interpret  # brings torch

        here = _opened(files, fs, units, leads)
        model = load()
        found = interpret(ecg=here.ecg, image=here.image, model=model)
        audits = {
            arm: audit(one.text, here.facts).to_json()
            for arm, one in found.items()
            if one.problem is None
        }
        arms = {
            # JSON has only texts as keys.
            arm: asdict(one)
            | {"steps": {str(n): text for n, text in one.steps.items()}}
            | {"audit": audits.get(arm)}
            for arm, one in found.items()
        }
        return {"disclaimer": DISCLAIMER, "model": model.name, "arms": arms}

    return read


def _told(call: Callable[..., Any]) -> Callable[..., Any]:
    """The same, its refusals as the page words them."""

    def guarded(*values: Any) -> Any:
        try:
            return call(*values)
        except ECGError as error:
            raise refusal(error) from error

    guarded.__doc__, guarded.__name__ = call.__doc__, call.__name__
    return guarded


def connect_api(load: "Callable[[], LoadedModel]", slot: dict[str, Any]) -> None:
    """Add the four endpoints, on components that no visitor sees.

    Args:
        load: Gives the model.
        slot: Concurrency of readings, shared with the page.
    """
    with gr.Column(elem_classes="api-only"):
        files = gr.File(label="files", file_count="multiple")
        fs = gr.Number(None, label="fs")
        units = gr.Textbox(label="units")
        leads = gr.Textbox(label="leads")
        layout = gr.Dropdown(list(PAGE_LAYOUTS), value="3x4", label="layout")
        text = gr.Textbox(label="text", max_length=100_000)
        out, picture, go = (
            gr.JSON(label="result"),
            gr.Image(label="page", format="png"),
            gr.Button(),
        )
    record = [files, fs, units, leads]
    public = {"api_visibility": "public", "show_progress": "hidden"}
    go.click(_told(read_api(load)), record, out, api_name="read", **slot, **public)
    go.click(_told(measure_api), record, out, api_name="measure", **public)
    go.click(_told(page_api), [*record, layout], picture, api_name="page", **public)
    go.click(_told(audit_api), [text, *record], out, api_name="audit", **public)
