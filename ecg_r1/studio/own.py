"""A visitor's own ECG: files or a pasted table, and the words that its owner adds."""

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from ecg_r1.ecg import ECGError
from ecg_r1.inputs import Case, Upload, inspect_upload, open_case, open_table

UNKNOWN = "?"  # in the field of leads: a channel whose name says nothing


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


def lacks_words(files: list[str]) -> bool:
    """Whether files can be read as soon as somebody says what they leave unsaid."""
    try:
        return bool(files) and bool(inspect_upload([Path(file) for file in files]).missing)
    except ECGError:
        return False


def channels_html(upload: Upload) -> str:
    """The channels of a file that leaves something unsaid, in its order, each with a sketch."""
    if not (upload.missing and upload.channels):
        return ""
    rows = "".join(
        f'<tr><th scope="row">{place}</th><td>{escape(one.key)}</td>'
        f"<td>{escape(one.units or UNKNOWN)}</td><td>{escape(one.lead or UNKNOWN)}</td>"
        f"<td>{_sketch(one.preview)}</td></tr>"
        for place, one in enumerate(upload.channels, start=1)
    )
    titles = ("Channel", "Its name in the file", "Unit", "Lead", "Its samples")
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    return (
        '<div class="agreement" tabindex="0" role="region" aria-label="Channels of the file">'
        f'<table class="channels"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
        "</div>"
    )


def _sketch(samples: np.ndarray) -> str:
    """Samples as a small drawing from the lowest to the highest, with gaps where none are."""
    held = np.isfinite(samples)
    if not held.any():
        return "nothing recorded"
    low, high = samples[held].min(), samples[held].max()
    across = np.linspace(0, 200, len(samples))
    down = 30 - 30 * (samples - low) / ((high - low) or 1)
    begins = held & ~np.concatenate([[False], held[:-1]])
    points = (
        f"{'M' if first else 'L'}{x:.0f} {y:.0f}"
        for first, x, y in zip(begins[held], across[held], down[held], strict=True)
    )
    return (
        f'<svg viewBox="0 -1 200 32" role="img" aria-label="from {low:.3g} to {high:.3g}">'
        f'<path d="{"".join(points)}"/></svg>'
    )


def refusal(error: ECGError) -> gr.Error:
    """The package's own words, as the page shows them."""
    return gr.Error(escape(str(error)), print_exception=False)
