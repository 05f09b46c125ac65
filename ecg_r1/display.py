"""Results worded for people: as plain text for the command line, as HTML for the app.

Everything that came from a file or a model is escaped where it enters HTML: here, and in what
the studio adds.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from textwrap import fill
from typing import TYPE_CHECKING

from ecg_r1.claims.judgement import MARKS
from ecg_r1.labels import LABELS
from ecg_r1.report import STEP_TITLES

if TYPE_CHECKING:
    from ecg_r1.auditing import Audit, AuditedClaim
    from ecg_r1.claims.judgement import Verdict
    from ecg_r1.ecg import ECG
    from ecg_r1.inputs import Upload
    from ecg_r1.measurement import Measurements
    from ecg_r1.protocol import Findings
    from ecg_r1.report import Reading

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


REVERSALS = {  # value of Measurements.reversal: the electrodes it suspects
    "arms": "the two arm electrodes",
    "right leg": "the right leg electrode and one on an arm",
    "chest order": "some of the chest electrodes",
}
URGENCIES = {
    "immediate": "Immediate: findings like these need a clinician within minutes.",
    "prompt": "Prompt: findings like these need a clinician within hours.",
    "routine": "Routine: nothing that was judged asks for haste.",
}
BY_CRITERIA = "By published criteria alone; not a diagnosis."
TEXT_WIDTH = 96
_NAMED = {label.text for label in LABELS}


def headline(measured: "Measurements") -> dict[str, str]:
    """The headline quantities in words: "160 ± 11 ms", or "not measurable" with the reason.

    The half-width is that of `Measurements.uncertainty`, left out where none is known.

    Example:
        >>> from ecg_r1.measurement import Measurements
        >>> found = Measurements(
        ...     hr_bpm=71.6, uncertainty={"hr_bpm": 0.3}, unmeasurable={"pr_ms": "no P wave"}
        ... )
        >>> headline(found)["Heart rate"], headline(found)["PR interval"]
        ('71.6 ± 0.3 bpm', 'not measurable: no P wave')
    """
    words = {}
    for quantity, (title, unit) in HEADLINE.items():
        value, wide = getattr(measured, quantity), measured.uncertainty.get(quantity)
        reason = measured.unmeasurable.get(quantity)
        if value is None:
            words[title] = f"not measurable: {reason}" if reason else "not measurable"
        elif wide is None:
            words[title] = f"{value:.0f}{unit}"
        else:
            digits = 1 if wide < 1 else 0
            words[title] = f"{value:.{digits}f} ± {wide:.{digits}f}{unit}"
    return words


@dataclass(frozen=True)
class Named:
    """One diagnosis with what speaks for it.

    Attributes:
        label: The canonical text.
        support: Statements that make it true, with numbers.
        excluded: What was looked for and not found, as the diagnosis demands.
    """

    label: str
    support: tuple[str, ...]
    excluded: tuple[str, ...]


@dataclass(frozen=True)
class Account:
    """What is told of a measured record, in plain words; nothing is escaped yet.

    Attributes:
        warnings: What to know before anything else: exchanged electrodes, no calibration.
        values: Headline quantities, see `headline`.
        urgency: One sentence, "Immediate", "Prompt" or "Routine" first.
        reasons: Why, for the first two.
        diagnoses: Each with its support.
        unjudged: What was not judged and why, a line for each reason.
        met: Statements of all criteria met, with their sources.
        remarks: Notes of the file and of its leads.
    """

    warnings: tuple[str, ...]
    values: dict[str, str]
    urgency: str
    reasons: tuple[str, ...]
    diagnoses: tuple[Named, ...]
    unjudged: tuple[str, ...]
    met: tuple[str, ...]
    remarks: tuple[str, ...]


def account(ecg: "ECG", measured: "Measurements", found: "Findings") -> Account:
    """Everything the command line, the app and the picture tell of a record, said once."""
    said = {finding.name: finding.statement for finding in found.findings}
    diagnoses = tuple(
        Named(
            label,
            tuple(said.get(name, _plain(name)) for name in found.support.get(label, ())),
            tuple(_absence(name, said) for name in found.excluded.get(label, ())),
        )
        for label in found.diagnoses
    )
    leads = (f"{lead}: {why}" for lead, why in measured.quality.items())
    return Account(
        warnings=_warnings(ecg, measured),
        values=headline(measured),
        urgency=URGENCIES[found.urgency.level],
        reasons=tuple(found.urgency.reasons),
        diagnoses=diagnoses,
        unjudged=_unjudged(found, said),
        met=tuple(f"{each.statement} ({each.source})" for each in found.findings if each.met),
        remarks=(*ecg.notes, *leads),
    )


def _warnings(ecg: "ECG", measured: "Measurements") -> tuple[str, ...]:
    told = []
    if measured.reversal is not None:
        which = REVERSALS.get(measured.reversal, f"electrodes ({measured.reversal})")
        told.append(
            f"Suspected lead reversal: {which} seem to be exchanged. What the affected leads "
            "show is not judged; check the electrodes and record again."
        )
    if measured.hr_bpm is None:
        told.append(
            "No heart rate could be measured"
            + (f": {why}." if (why := measured.unmeasurable.get("hr_bpm")) else ".")
        )
    if not ecg.calibrated:
        told.append("The voltages of this record are not true millivolts; none is judged.")
    return tuple(told)


def _plain(name: str) -> str:
    """A label as it is; the name of an inner step in words."""
    return name if name in _NAMED else name.replace("_", " ")


def _absence(name: str, said: dict[str, str]) -> str:
    """What was not found: the meaning at the end of its statement, or the label."""
    return said.get(name, _plain(name)).rsplit(": ", 1)[-1].removeprefix("no ")


def _unjudged(found: "Findings", said: dict[str, str]) -> tuple[str, ...]:
    """Each reason once, after the diagnoses it left open; the criteria where there are none."""
    by_reason: dict[str, list[str]] = {}
    for name, why in found.unjudged.items():
        by_reason.setdefault(why, []).append(name)
    told = []
    for why, names in by_reason.items():
        labels = [name for name in names if name in _NAMED]
        subjects = [said.get(name, _plain(name)).split(" not judged")[0] for name in names]
        # Most reasons of single criteria begin with what was not measurable.
        open_ = labels or [one for one in subjects if not why.startswith(one.split(" in ")[0])]
        told.append(f"{', '.join(dict.fromkeys(open_))}: {why}" if open_ else why)
    return tuple(told)


def account_text(told: Account) -> str:
    """The account for a terminal, lines of at most `TEXT_WIDTH` characters."""
    width = max(len(title) for title in told.values)
    parts = [
        "\n".join(_lines(told.warnings, "  ! ")),
        "\n".join(f"  {title:<{width}}  {value}" for title, value in told.values.items()),
        "\n".join([told.urgency, *_lines(told.reasons, "  - ")]),
        "\n".join([BY_CRITERIA, *(_diagnosis_text(one) for one in told.diagnoses)])
        if told.diagnoses
        else f"{BY_CRITERIA}\n  Nothing to name.",
    ]
    if told.unjudged:
        parts.append("\n".join(["Not judged", *_lines(told.unjudged, "  - ")]))
    parts.append("\n".join(["Criteria met, with sources", *_lines(told.met, "  - ")]))
    if told.remarks:
        parts.append("\n".join(["About the record", *_lines(told.remarks, "  - ")]))
    return "\n\n".join(part for part in parts if part)


def _diagnosis_text(one: Named) -> str:
    absent = (f"excluded: {', '.join(one.excluded)}",) if one.excluded else ()
    return "\n".join(
        [f"  {one.label}", *_lines(one.support, "    + "), *_lines(absent, "    - ")]
    )


def _lines(items: Iterable[str], mark: str) -> list[str]:
    """Each item filled to the width, its further lines indented under the first."""
    indent = " " * len(mark)
    return [
        fill(item, TEXT_WIDTH, initial_indent=mark, subsequent_indent=indent) for item in items
    ]


def status_html(kind: str, text: str) -> str:
    """One line that says how far an arm is; `kind` is waiting, busy, done, none or stopped."""
    return f'<p class="status {escape(kind)}" role="status">{escape(text)}</p>'


def reading_status(reading: "Reading") -> str:
    """The status line of an arm that has begun."""
    if reading.problem:
        return status_html("none", reading.problem)
    if reading.done:
        return status_html("done", f"done in {reading.seconds:.1f} s, {_pace(reading)}")
    return status_html("busy", f"reading: {_pace(reading)}")


def _pace(reading: "Reading") -> str:
    """Tokens so far, and how many a second once there are some."""
    count = f"{reading.n_tokens} tokens"
    if not (reading.n_tokens and reading.seconds):
        return count
    return f"{count}, {reading.n_tokens / reading.seconds:.0f} tokens/s"


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
    """Warnings, values, how urgent, the diagnoses with their support, and the rest."""
    told = account(ecg, measured, found)
    rows = "".join(
        f'<tr><th scope="row">{escape(title)}</th><td>{escape(value)}</td></tr>'
        for title, value in told.values.items()
    )
    level = found.urgency.level
    return (
        '<div class="measured">'
        + "".join(f'<p class="warning" role="alert">{escape(one)}</p>' for one in told.warnings)
        + f"<table>{rows}</table>"
        f'<div class="urgency {escape(level)}"><p>{escape(told.urgency)}</p>'
        f"{_paragraph(', '.join(told.reasons))}</div>"
        f'<h4>What the criteria name</h4><p class="muted">{escape(BY_CRITERIA)}</p>'
        + ("".join(map(_diagnosis_html, told.diagnoses)) or "<p>Nothing to name.</p>")
        + _folded("Not judged, and why", told.unjudged)
        + _folded("Criteria met and their sources", told.met)
        + _folded("About the record", told.remarks)
        + "</div>"
    )


def _diagnosis_html(one: Named) -> str:
    absent = ", ".join(one.excluded)
    return (
        f'<details class="named"><summary>{escape(one.label)}</summary>{_items(one.support)}'
        + (f'<p class="muted">Excluded: {escape(absent)}</p>' if absent else "")
        + "</details>"
    )


def _folded(title: str, lines: Iterable[str]) -> str:
    items = _items(lines)
    return f"<details><summary>{escape(title)}</summary>{items}</details>" if items else ""


def audit_html(found: "Audit") -> str:
    """A reading of any form with its claims marked by colour, sign and words."""
    pieces, done = [], 0
    for start, end in stretches(one.span for one in found.claims):
        inside = [one for one in found.claims if start <= one.span[0] < end]
        pieces += [escape(found.text[done:start]), _marked(found.text[start:end], inside)]
        done = end
    body = "".join(pieces) + escape(found.text[done:])
    return (
        f'<div class="ecg-audit"><p><strong>{escape(found.summary)}</strong></p>'
        f'<div style="white-space:pre-wrap">{body}</div>{_items(found.notes)}</div>'
    )


def stretches(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Stretches of a text that spans cover, overlapping ones joined.

    Example:
        >>> stretches([(8, 9), (0, 4), (3, 6)])
        [(0, 6), (8, 9)]
    """
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


_WORST: tuple["Verdict", ...] = ("contradicted", "unsupported", "supported", "not_checkable")


def worst(claims: Iterable["AuditedClaim"]) -> "Verdict":
    """The verdict that matters most among some claims; without any, not checkable."""
    return min((one.verdict for one in claims), key=_WORST.index, default="not_checkable")


def _marked(words: str, inside: list["AuditedClaim"]) -> str:
    """A stretch of text in the colour of its worst verdict, with every verdict in words."""
    verdict = worst(inside)
    sign, name, colour, ground = MARKS[verdict]
    told = "; ".join(f"{MARKS[one.verdict][1]}: {one.reason}" for one in inside)
    return (
        f'<mark class="ecg-{verdict}" title="{escape(told)}" '
        f'style="color:{colour};background:{ground}">{escape(words)}'
        f'<sup aria-label="{name}">{sign} {name}</sup></mark>'
    )


def upload_html(upload: "Upload") -> str:
    """What files say of themselves, and what is missing, before anything is read."""
    length = "" if upload.fs is None else f", {upload.n_samples / upload.fs:.1f} s"
    rate = "" if upload.fs is None else f", {upload.fs:g} Hz"
    count = f", {len(upload.channels)} channels" if upload.channels else ""
    missing = _items(f"{name}: {why}" for name, why in upload.missing.items())
    need = f"<p><strong>Still to be said:</strong></p>{missing}" if missing else ""
    return (
        f"<p>{escape(upload.source)}: {escape(upload.format)}{count}{rate}{length}</p>"
        f"{need}{_items(upload.notes)}"
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
