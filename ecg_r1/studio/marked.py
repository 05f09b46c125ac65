"""A reading with every claim marked, and where on the trace each can be seen.

Everything that came from a model is escaped here. Colour, sign and word say the verdict, never
colour alone.
"""

import json
import re
from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ecg_r1.auditing import MARKS, Audit, AuditedClaim
from ecg_r1.claims.schema import QUANTITIES
from ecg_r1.display import reading_html, stretches, worst
from ecg_r1.ecg import FS
from ecg_r1.page import page_segments
from ecg_r1.report import STEP_TITLES

if TYPE_CHECKING:
    from ecg_r1.claims.judge import Verdict
    from ecg_r1.measurement import Measurements
    from ecg_r1.report import Reading

_END = re.compile(r"(?<=[.!?;])\s+")


def badge(verdict: "Verdict") -> str:
    """Sign and word of a verdict."""
    sign, name, *_ = MARKS[verdict]
    return f'<span class="badge {verdict}"><span aria-hidden="true">{sign}</span> {name}</span>'


def audited_html(
    reading: "Reading", found: Audit | None, measured: "Measurements | None"
) -> str:
    """One arm's reading: diagnoses and summary on top, the steps folded, each sentence marked.

    Args:
        reading: The arm's reading.
        found: Its audit; None while it is written, and then nothing is marked.
        measured: Where the claims' waves lie on the trace; None without a record.
    """
    if found is None:
        return reading_html(reading)
    places = dict(_parts(reading))
    steps = "".join(
        f"<details open><summary><h4>{number}. {escape(STEP_TITLES[number])}</h4></summary>"
        f"<p>{_marked(found, *places[number])}</p></details>"
        for number in reading.steps
        if number in places
    )
    top = f"<p>{_marked(found, *places['summary'])}</p>" if "summary" in places else ""
    note = (
        ""
        if reading.well_formed
        else '<p class="note">The text does not keep to the six steps.</p>'
    )
    claims = escape(json.dumps([_plain(one, measured) for one in found.claims]))
    return (
        f'<div class="reading" data-claims="{claims}">{_tally(found)}{_labels(reading, found)}'
        f"{top}{note}{steps}{_notes(found)}</div>"
    )


def _parts(reading: "Reading") -> Iterator[tuple[int | str, tuple[int, int]]]:
    """Where each step and the summary stand in the whole text."""
    at = 0
    for name, part in (*reading.steps.items(), ("summary", reading.summary)):
        start = reading.text.find(part, at) if part else -1
        if start >= 0:
            at = start + len(part)
            yield name, (start, at)


def _tally(found: Audit) -> str:
    counts = found.counts
    said = "".join(
        f"<li>{badge(verdict)} {counts[verdict]}</li>" for verdict in MARKS if counts[verdict]
    )
    return f'<ul class="tally" aria-label="Claims by verdict">{said}</ul>' if said else ""


def _labels(reading: "Reading", found: Audit) -> str:
    """The diagnoses as chips, each with the verdict on it."""
    chips = []
    for label in reading.diagnoses:
        ids = [
            index
            for index, one in enumerate(found.claims)
            if one.claim.step == 8 and label in (one.claim.name, one.text.strip().lower())
        ]
        mark = badge(worst([found.claims[i] for i in ids]))
        chips.append(f"<li>{_button(escape(label), ids, 'chip')} {mark}</li>")
    said = "".join(chips)
    return f'<ul class="chips" aria-label="Diagnoses">{said}</ul>' if said else ""


def _button(words: str, ids: Sequence[int], kind: str) -> str:
    if not ids:
        return f"<span>{words}</span>"
    listed = ",".join(map(str, ids))
    return f'<button type="button" class="claim {kind}" data-ids="{listed}">{words}</button>'


def _marked(found: Audit, start: int, end: int) -> str:
    """A stretch of the text: claims as buttons, a verdict after each sentence."""
    pieces = []
    for first, last in _sentences(found, start, end):
        inside = [
            index for index, one in enumerate(found.claims) if first <= one.span[0] < last
        ]
        verdict = worst([found.claims[index] for index in inside])
        pieces.append(
            f'<span class="sentence {verdict}">{_buttons(found, inside, first, last)} '
            f"{badge(verdict)}</span>"
        )
    return " ".join(pieces)


def _sentences(found: Audit, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Start and end of each sentence; none is cut through a claim."""
    begun = start
    for cut in _END.finditer(found.text, start, end):
        at = cut.start()
        if any(one.span[0] < at < one.span[1] for one in found.claims):
            continue
        yield begun, at
        begun = cut.end()
    if found.text[begun:end].strip():
        yield begun, end


def _buttons(found: Audit, inside: Sequence[int], first: int, last: int) -> str:
    pieces, done = [], first
    spans = (found.claims[index].span for index in inside)
    for start, end in stretches((start, min(last, end)) for start, end in spans):
        ids = [index for index in inside if start <= found.claims[index].span[0] < end]
        verdict = worst([found.claims[index] for index in ids])
        pieces.append(escape(found.text[done:start]))
        pieces.append(_button(escape(found.text[start:end]), ids, verdict))
        done = end
    return "".join(pieces) + escape(found.text[done:last])


def _notes(found: Audit) -> str:
    quarrels = [f"Contradicts itself: {one.reason}" for one in found.quarrels]
    omitted = [f"Left out: {one.text}" for one in found.omissions]
    items = "".join(f"<li>{escape(note)}</li>" for note in (*quarrels, *omitted))
    return f'<ul class="notes">{items}</ul>' if items else ""


def _plain(one: AuditedClaim, measured: "Measurements | None") -> dict[str, Any]:
    """A claim as the page's script takes it."""
    measured_words = None if one.measured is None else f"{one.measured:.4g} {one.unit}".strip()
    return {
        "text": " ".join(one.text.split()),
        "verdict": MARKS[one.verdict][1],
        "kind": one.verdict,
        "sign": MARKS[one.verdict][0],
        "claimed": claimed(one),
        "measured": measured_words or "no single number",
        "reason": one.reason,
        "leads": list(one.leads),
        "places": [] if measured is None else windows(one, measured),
    }


def claimed(one: AuditedClaim) -> str:
    """What a claim says, as short as a table wants it.

    Example:
        >>> from ecg_r1.auditing import audit
        >>> claimed(audit("No ST depression.", None).claims[0])
        'no st depression'
    """
    claim = one.claim
    how = {"absent": "no ", "possible": "possibly "}.get(claim.polarity, "")
    if claim.name not in QUANTITIES:
        return f"{how}{claim.name}"
    unit = QUANTITIES[claim.name][1]
    if isinstance(claim.value, tuple):
        return f"{claim.value[0]:g} to {claim.value[1]:g} {unit}"
    if claim.value is None:
        return f"{how}{claim.qualifier or claim.name}"
    sign = "" if claim.comparator in ("=", None) else f"{claim.comparator} "
    return f"{sign}{claim.value:g} {unit}"


def windows(one: AuditedClaim, measured: "Measurements") -> list[tuple[int, float, float]]:
    """Panels of the trace, counted from 1, with the seconds of each in which a claim shows.

    A claim's own time lies in one beat; it is marked at every beat of that beat's class which
    the panel shows whole. A claim without leads stands in the rhythm strip; a lead without a
    time, or without a whole beat, is marked as a whole.
    """
    segments = page_segments()
    leads = one.leads or (("II",) if one.time_s else ())
    found = []
    for panel, segment in enumerate(segments, start=1):
        is_strip = panel == len(segments)
        if segment.lead not in leads or is_strip != (not one.leads):
            continue
        low, high = segment.start_s, segment.end_s
        inside = [
            (start, end)
            for start, end in ([] if one.time_s is None else _repeats(one.time_s, measured))
            if low <= start and end <= high
        ]
        found += [
            (panel, round(start, 3), round(end, 3)) for start, end in inside or [(low, high)]
        ]
    return found


def _repeats(
    time_s: tuple[float, float], measured: "Measurements"
) -> list[tuple[float, float]]:
    """A stretch of one beat at every beat of its class; an RR interval at every other one."""
    beats = [float(beat) / FS for beat in measured.rpeaks]
    if not beats:
        return []
    for before, after in pairwise(beats):
        if max(abs(time_s[0] - before), abs(time_s[1] - after)) <= 1 / FS:
            return list(pairwise(beats))
    middle = (time_s[0] + time_s[1]) / 2
    own = min(range(len(beats)), key=lambda place: abs(beats[place] - middle))
    kinds = measured.beat_class
    return [
        (time_s[0] + beat - beats[own], time_s[1] + beat - beats[own])
        for place, beat in enumerate(beats)
        if len(kinds) != len(beats) or kinds[place] == kinds[own]
    ]
