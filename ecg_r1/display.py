"""Results worded for people: as plain text for the command line, as HTML for the app.

Everything that came from a file or a model is escaped here and nowhere else.
"""

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from ecg_r1.report import STEP_TITLES

if TYPE_CHECKING:
    from ecg_r1.ecg import ECG
    from ecg_r1.measurement import Measurements
    from ecg_r1.protocol import Findings
    from ecg_r1.reading import Reading

ARM_NAMES = {"signal": "Signal only", "image": "Image only", "both": "Signal and image"}

HEADLINE = {  # quantity of Measurements: its name and its unit, as it follows the number
    "hr_bpm": ("Heart rate", " bpm"),
    "pr_ms": ("PR interval", " ms"),
    "qrs_ms": ("QRS duration", " ms"),
    "qt_ms": ("QT interval", " ms"),
    "qtc_ms": ("QTc (Fridericia)", " ms"),
    "qtc_bazett_ms": ("QTc (Bazett)", " ms"),
    "axis_deg": ("QRS axis", "°"),
}


def headline(measured: "Measurements") -> dict[str, str]:
    """The headline quantities in words: "72 bpm", or "not measurable" with the reason.

    Example:
        >>> from ecg_r1.measurement import Measurements
        >>> found = Measurements(hr_bpm=71.6, unmeasurable={"pr_ms": "no P wave"})
        >>> headline(found)["Heart rate"], headline(found)["PR interval"]
        ('72 bpm', 'not measurable: no P wave')
    """
    words = {}
    for quantity, (title, unit) in HEADLINE.items():
        value = getattr(measured, quantity)
        reason = measured.unmeasurable.get(quantity)
        absent = f"not measurable: {reason}" if reason else "not measurable"
        words[title] = absent if value is None else f"{value:.0f}{unit}"
    return words


def status_html(kind: str, text: str) -> str:
    """One line that says how far an arm is; `kind` is waiting, busy, done, none or stopped."""
    return f'<p class="status {escape(kind)}" role="status">{escape(text)}</p>'


def reading_status(reading: "Reading") -> str:
    """The status line of an arm that has begun."""
    if reading.problem:
        return status_html("none", reading.problem)
    if reading.done:
        count = f"{reading.n_tokens} tokens"
        return status_html("done", f"done in {reading.seconds:.1f} s, {count}")
    return status_html("busy", f"reading: {reading.n_tokens} tokens")


def reading_html(reading: "Reading") -> str:
    """What one arm says: diagnoses and summary on top, then the six steps."""
    if reading.problem:
        return ""
    later = "" if reading.done else '<p class="muted">Summary and diagnoses come last.</p>'
    top = _chips(reading.diagnoses) + _paragraph(reading.summary)
    steps = "".join(
        f"<li><h4>{escape(title)}</h4>{_paragraph(reading.steps[number])}</li>"
        for number, title in STEP_TITLES.items()
        if number in reading.steps
    )
    wrong_form = reading.done and not reading.well_formed
    note = '<p class="note">The text does not keep to the six steps.</p>' if wrong_form else ""
    return f'<div class="reading">{top or later}{note}<ol class="steps">{steps}</ol></div>'


def measured_html(ecg: "ECG", measured: "Measurements", found: "Findings") -> str:
    """Measured values, the diagnoses they lead to, and the criteria met with their sources."""
    rows = "".join(
        f'<tr><th scope="row">{escape(title)}</th><td>{escape(value)}</td></tr>'
        for title, value in headline(measured).items()
    )
    met = _items(f"{each.statement} ({each.source})" for each in found.findings if each.met)
    remarks = _items(
        (*ecg.notes, *(f"{lead}: {why}" for lead, why in measured.quality.items()))
    )
    return (
        f'<div class="measured"><table>{rows}</table>'
        f"<h4>By these criteria</h4>{_chips(found.diagnoses) or '<p>Nothing to name.</p>'}"
        f"<details><summary>Criteria met and their sources</summary>{met}</details>"
        + (
            f"<details><summary>About the record</summary>{remarks}</details>"
            if remarks
            else ""
        )
        + "</div>"
    )


def known_html(known: dict[str, str] | None) -> str:
    """What the source of an example says about it; None stands for a visitor's own file."""
    if known is None:
        return "<p>This is your own file; no label is known to the studio.</p>"
    return (
        f"{_paragraph(known['known_label'])}"
        f'<p class="muted">{escape(known["source"])}; {escape(known["licence"])}</p>'
    )


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>" if text else ""


def _chips(names: Iterable[str]) -> str:
    chips = "".join(f"<li>{escape(name)}</li>" for name in names)
    return f'<ul class="chips" aria-label="Diagnoses">{chips}</ul>' if chips else ""


def _items(lines: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""
