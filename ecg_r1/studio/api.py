"""The studio for programs: `read`, `measure`, `page` and `audit` with stable names.

Through `gradio_client.Client(url).predict(..., api_name="/measure")`. Arguments are the fields
of each function, in their order. Gradio shows each docstring by itself, and of an argument's
description the first line alone. Over MCP, where the server was started with it, the same four
take the record as text: Gradio cannot tell an MCP client of several files in one argument.
"""

import inspect
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import gradio as gr
from PIL import Image

from ecg_r1 import DISCLAIMER
from ecg_r1.auditing import audit
from ecg_r1.ecg import ECGError
from ecg_r1.formats import MAX_BYTES
from ecg_r1.inputs import UPLOAD_SUFFIXES
from ecg_r1.page import PAGE_LAYOUTS, draw_page
from ecg_r1.studio.models import Job, Models
from ecg_r1.studio.own import open_own, stated
from ecg_r1.studio.study import ARMS, Study, study
from ecg_r1.studio.tempfiles import Passing
from ecg_r1.studio.views import file_field

if TYPE_CHECKING:
    from ecg_r1.report import Reading

MAX_TEXT = 100_000  # characters of a text to audit: fifty times a reading


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
        files: One ECG file, or the parts of one WFDB record; no picture.
        fs: Sampling rate in Hz, only where the file does not say it; else 0.
        units: mV, uV or V, only where the file does not say it; else empty.
        leads: Names in the file's order, parted by commas, only where it has none; else empty.

    Returns:
        Measurements in bpm, ms, mV and degrees, criteria met, diagnoses by them, a disclaimer.
    """
    here = _record(files, fs, units, leads)
    return {"disclaimer": DISCLAIMER, **here.measured.to_json(), **here.found.to_json()}


def page_api(
    files: list[str], fs: float | None, units: str, leads: str, layout: str
) -> Image.Image:
    """Draw an ECG on paper at 25 mm/s and 10 mm/mV.

    Args:
        files: One ECG file, or the parts of one WFDB record; no picture.
        fs: Sampling rate in Hz, only where the file does not say it; else 0.
        units: mV, uV or V, only where the file does not say it; else empty.
        leads: Names in the file's order, parted by commas, only where it has none; else empty.
        layout: 3x4, 6x2 or 12x1.

    Returns:
        The page as a PNG picture, with a disclaimer at its foot and among its texts.
    """
    ecg = _record(files, fs, units, leads).ecg
    return draw_page(ecg, layout or "3x4", disclaimer=DISCLAIMER)


def audit_api(
    text: str, files: list[str], fs: float | None, units: str, leads: str
) -> dict[str, Any]:
    """Check every claim of a text against an ECG.

    Args:
        text: A reading in free words, at most 100,000 characters.
        files: One ECG file, or the parts of one WFDB record; of a picture nothing is checkable.
        fs: Sampling rate in Hz, only where the file does not say it; else 0.
        units: mV, uV or V, only where the file does not say it; else empty.
        leads: Names in the file's order, parted by commas, only where it has none; else empty.

    Returns:
        Each claim with its verdict, the measured value and the reason, and what is left out.
    """
    if len(text or "") > MAX_TEXT:
        raise ECGError(f"the text has {len(text)} characters; at most {MAX_TEXT} are audited")
    here = _opened(files, fs, units, leads)
    return {"disclaimer": DISCLAIMER, **audit(text or "", here.facts).to_json()}


def read_api(models: Models) -> Callable[[list[str], float | None, str, str], dict[str, Any]]:
    """The function that reads with the models, for `connect_api`."""

    def read(files: list[str], fs: float | None, units: str, leads: str) -> dict[str, Any]:
        """Read an ECG from its signal, from its image and from both, and audit each reading.

        Args:
            files: One ECG file, the parts of one WFDB record, or a picture of an ECG page.
            fs: Sampling rate in Hz, only where the file does not say it; else 0.
            units: mV, uV or V, only where the file does not say it; else empty.
            leads: Names in the file's order, parted by commas, only where it has none.

        Returns:
            For each arm its text, steps, summary, diagnoses and audit; never a diagnosis.
        """
        here = _opened(files, fs, units, leads)
        places = range(len(models.names))
        jobs = [Job(place, ARMS, ecg=here.ecg, image=here.image) for place in places]
        last = dict(models.stream(jobs))
        told = [_told_by(models.names[place], last[place], here) for place in places]
        second = told[1] if len(told) > 1 else None
        return {"disclaimer": DISCLAIMER, **told[0], "second": second}

    return read


def _told_by(name: str, readings: "Mapping[str, Reading]", here: Study) -> dict[str, Any]:
    """One model's readings with their audits, as plain Python."""
    arms = {}
    for arm, one in readings.items():
        found = None if one.problem else audit(one.text, here.facts).to_json()
        # JSON has only texts as keys.
        steps = {str(n): text for n, text in one.steps.items()}
        arms[arm] = asdict(one) | {"steps": steps, "audit": found}
    return {"model": name, "arms": arms}


def _guarded(call: Callable[..., Any], uploads: Passing) -> Callable[..., Any]:
    """The same, its refusals as Gradio passes them on, its uploads gone at its end."""

    @wraps(call)
    def guarded(*values: Any) -> Any:
        try:
            return call(*values)
        except ECGError as error:
            # Not escaped as the page's are: no browser shows it.
            raise gr.Error(str(error), print_exception=False) from error
        finally:
            uploads.release(one for each in values if isinstance(each, list) for one in each)

    return guarded


# --- over MCP ---------------------------------------------------------------------------------

_RECORD = (
    "    record: The ECG: CSV with a first row of lead names, or a file as base64 data: URI.",
    "    suffix: Kind of file: .csv for CSV, else .dcm, .xml, .mat, .npy, .png or .jpg.",
)


def as_tool(call: Callable[..., Any]) -> Callable[..., Any]:
    """The same with a record as text, and the suffix of its kind, in place of `files`."""
    taken = list(inspect.signature(call).parameters.values())
    at = [one.name for one in taken].index("files")
    text = [taken[at].replace(name=name, annotation=str) for name in ("record", "suffix")]
    lines = inspect.cleandoc(call.__doc__).splitlines()
    args = next(n for n, line in enumerate(lines) if line.startswith("    files: "))

    def tool(*values: Any) -> Any:
        record, suffix = values[at : at + 2]
        if suffix not in UPLOAD_SUFFIXES:
            raise ECGError(f"suffix {suffix!r} is none of {', '.join(UPLOAD_SUFFIXES)}")
        data = _decoded(record)
        with TemporaryDirectory(prefix="ecg-r1-") as folder:
            file = Path(folder) / f"record{suffix}"
            file.write_bytes(data)
            return call(*values[:at], [str(file)], *values[at + 2 :])

    tool.__doc__ = "\n".join([*lines[:args], *_RECORD, *lines[args + 1 :]])
    tool.__signature__ = inspect.Signature([*taken[:at], *text, *taken[at + 1 :]])
    return tool


def _decoded(record: str) -> bytes:
    if len(record or "") > MAX_BYTES:
        raise ECGError(f"the record has {len(record)} characters; at most {MAX_BYTES} are read")
    if not (record or "").startswith("data:"):
        return (record or "").encode()
    try:
        return b64decode(record.partition(",")[2], validate=True)
    except ValueError as error:
        raise ECGError(f"{record[:60]!r} is no data: URI in base64: {error}") from error


def connect_api(
    models: Models, slot: dict[str, Any], uploads: Passing, made: Passing, *, tools: bool
) -> None:
    """Add the four endpoints, on components that no visitor sees.

    Args:
        models: The models.
        slot: Concurrency of readings, shared with the page.
        uploads: Files that arrived, removed by the request that reads them.
        made: Pictures to be fetched, removed once they have been.
        tools: Whether they are also there as MCP tools, which take a record as text.
    """
    with gr.Column(elem_classes="api-only"):
        files = file_field(label="files")
        fs = gr.Number(None, label="fs")
        units = gr.Textbox(label="units")
        leads = gr.Textbox(label="leads")
        layout = gr.Dropdown(list(PAGE_LAYOUTS), value="3x4", label="layout")
        text = gr.Textbox(label="text")
        written = [gr.Textbox(label="record"), gr.Textbox(".csv", label="suffix")]
        out, picture, go = (
            gr.JSON(label="result"),
            gr.Image(label="page", format="png"),
            gr.Button(),
        )

    @wraps(page_api)
    def page(*values: Any) -> str:
        drawn = page_api(*values)
        file = gr.processing_utils.save_pil_to_cache(
            drawn, picture.GRADIO_CACHE, name="page", format="png"
        )
        made.expect([file])
        return file

    record = [files, fs, units, leads]
    public = {"api_visibility": "public", "show_progress": "hidden"}
    calls = (
        ("read", read_api(models), record, out, slot),
        ("measure", measure_api, record, out, {}),
        ("page", page, [*record, layout], picture, {}),
        ("audit", audit_api, [text, *record], out, {}),
    )
    for name, call, given, shown, more in calls:
        endpoint = _guarded(call, uploads)
        # For MCP: no tool, and not of a tool's name either.
        endpoint._mcp_type, endpoint.__name__ = "endpoint", f"{name}_files"
        go.click(endpoint, given, shown, api_name=name, **more, **public)
        if tools:
            tool = _guarded(as_tool(call), uploads)
            tool._mcp_type, tool.__name__ = "tool", name
            at = given.index(files)
            fields = [*given[:at], *written, *given[at + 1 :]]
            go.click(tool, fields, shown, api_name=f"{name}_text", **more, **public)
