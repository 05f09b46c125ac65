"""Guess first: what a learner marked against what was measured and what the models say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from ecg_r1.claims.schema import GROUPS
from ecg_r1.display import HEADLINE, headline
from ecg_r1.ecg import ECGError
from ecg_r1.labels import LABELS

if TYPE_CHECKING:
    from ecg_r1.studio.agreement import Row
    from ecg_r1.studio.study import Study

RHYTHMS = tuple(label.text for label in LABELS if label.group == "rhythm")
DIAGNOSES = tuple(label.text for label in LABELS if label.group != "rhythm")
AXES = ("normal", "left", "right", "extreme")
# How near counts as right. Ours: one small square of paper and half for intervals, 5 bpm or
# 5 % for the rate, since a learner counts squares.
NEAR = {"hr_bpm": 5.0, "pr_ms": 30.0, "qrs_ms": 20.0, "qtc_ms": 30.0}
ROW_OF = {"hr_bpm": "Rate", "pr_ms": "PR", "qrs_ms": "QRS", "qtc_ms": "QTc"}


@dataclass(frozen=True)
class Guess:
    """What a learner marked; None and empty are "no guess".

    Attributes:
        rhythm: One of `RHYTHMS`.
        hr_bpm: Heart rate.
        axis: One of `AXES`.
        pr_ms: PR interval.
        qrs_ms: QRS duration.
        qtc_ms: QTc by Fridericia.
        diagnoses: Labels beside the rhythm.
    """

    rhythm: str | None = None
    hr_bpm: float | None = None
    axis: str | None = None
    pr_ms: float | None = None
    qrs_ms: float | None = None
    qtc_ms: float | None = None
    diagnoses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Feedback:
    """One field: what was guessed, what was measured, whether it fits, and why."""

    field: str
    guessed: str
    measured: str
    is_right: bool | None
    reason: str


def marked(
    rhythm: str,
    hr_bpm: str,
    axis: str | None,
    *intervals: str,
    diagnoses: Sequence[str] = (),
) -> Guess:
    """A guess as the fields of the page hold it: texts, empty where nothing was marked.

    Args:
        rhythm: One of `RHYTHMS`.
        hr_bpm: Heart rate.
        axis: One of `AXES`.
        intervals: PR, QRS and QTc.
        diagnoses: Labels beside the rhythm.

    Raises:
        ECGError: A number is none; quotes it.
    """
    pr, qrs, qtc = (_parsed(text) for text in intervals)
    return Guess(rhythm or None, _parsed(hr_bpm), axis, pr, qrs, qtc, tuple(diagnoses))


def _parsed(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 < value < 3000:
        raise ECGError(f"{text[:40]!r} is no number of beats or milliseconds; leave it empty")
    return value


def axis_word(degrees: float) -> str:
    """Normal, left, right or extreme.

    Source:
        Surawicz et al. 2009, AHA/ACCF/HRS Part III: adults, normal from -30 to 90 degrees.

    Example:
        >>> axis_word(-45), axis_word(60), axis_word(-120)
        ('left', 'normal', 'extreme')
    """
    if -30 <= degrees <= 90:
        return "normal"
    if -90 <= degrees < -30:
        return "left"
    return "right" if 90 < degrees <= 180 else "extreme"


def compare(guess: Guess, study: "Study") -> tuple[Feedback, ...]:
    """Feedback for each field; without a record nothing can be right or wrong."""
    if study.measured is None or study.found is None:
        return ()
    labels = study.found.diagnoses
    rhythms = [one for one in labels if GROUPS.get(one) == "rhythm"]
    others = [one for one in labels if GROUPS.get(one) != "rhythm"]
    return (
        _rhythm(guess.rhythm, rhythms),
        _number("hr_bpm", guess.hr_bpm, study),
        _axis(guess.axis, study),
        *(_number(name, getattr(guess, name), study) for name in ("pr_ms", "qrs_ms", "qtc_ms")),
        _diagnoses(guess.diagnoses, others),
    )


def _rhythm(guessed: str | None, rhythms: Sequence[str]) -> Feedback:
    measured = "; ".join(rhythms) or "nothing named"
    if not guessed:
        return Feedback("Rhythm", "no guess", measured, None, "")
    right = guessed in rhythms if rhythms else None
    reason = "" if right else "the criteria name another rhythm" if rhythms else "left open"
    return Feedback("Rhythm", guessed, measured, right, reason)


def _number(name: str, guessed: float | None, study: "Study") -> Feedback:
    title, unit = HEADLINE[name]
    words = headline(study.measured)[title]
    if guessed is None:
        return Feedback(title, "no guess", words, None, "")
    value = getattr(study.measured, name)
    told = f"{guessed:g}{unit}"
    if value is None:
        return Feedback(title, told, words, None, "there is nothing to compare with")
    near = max(NEAR[name], 0.05 * value if name == "hr_bpm" else 0.0)
    off = guessed - value
    reason = f"{abs(off):.0f}{unit} too {'high' if off > 0 else 'low'}"
    return Feedback(title, told, words, abs(off) <= near, reason if abs(off) > near else "")


def _axis(guessed: str | None, study: "Study") -> Feedback:
    words = headline(study.measured)["QRS axis"]
    if not guessed:
        return Feedback("QRS axis", "no guess", words, None, "")
    degrees = study.measured.axis_deg
    if degrees is None:
        return Feedback("QRS axis", guessed, words, None, "there is nothing to compare with")
    truth = axis_word(degrees)
    reason = "" if truth == guessed else f"{degrees:.0f}° is {truth}"
    return Feedback("QRS axis", guessed, f"{words} ({truth})", truth == guessed, reason)


def _diagnoses(guessed: Sequence[str], truth: Sequence[str]) -> Feedback:
    measured = "; ".join(truth) or "nothing named"
    if not guessed:
        return Feedback("Diagnoses", "no guess", measured, None, "")
    missed = [one for one in truth if one not in guessed]
    beyond = [one for one in guessed if one not in truth]
    parts = [f"missed: {', '.join(missed)}"] if missed else []
    parts += [f"not found: {', '.join(beyond)}"] if beyond else []
    right = not missed and not beyond
    return Feedback("Diagnoses", "; ".join(guessed), measured, right, "; ".join(parts))


def feedback_html(
    told: Sequence[Feedback], rows: Sequence["Row"], names: Mapping[str, str]
) -> str:
    """The feedback as a table, what each arm said beside it once the models have read."""
    if not told:
        return "<p>A picture carries no signal, so there is nothing to compare with.</p>"
    arms = [arm for arm in names if rows and arm in rows[0].cells and arm != "control"]
    by_title = {row.title: row for row in rows}
    head = "".join(f'<th scope="col">{escape(names[arm])}</th>' for arm in arms)
    body = "".join(_row(one, by_title, arms) for one in told)
    right = sum(one.is_right is True for one in told)
    asked = sum(one.is_right is not None for one in told)
    return (
        f'<p role="status"><strong>{right} of {asked} right.</strong> Measured values are by '
        "published criteria, not a diagnosis.</p>"
        '<div class="agreement" tabindex="0" role="region" aria-label="Your guess">'
        '<table><thead><tr><th scope="col"></th><th scope="col">You</th>'
        f'<th scope="col">Measured</th>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _row(one: Feedback, rows: Mapping[str, "Row"], arms: Sequence[str]) -> str:
    titles = {HEADLINE[name][0]: row for name, row in ROW_OF.items()} | {"QRS axis": "Axis"}
    row = rows.get(titles.get(one.field, one.field))
    cells = "".join(f"<td>{escape(row.cells[arm].words)}</td>" for arm in arms) if row else ""
    kind, sign, word = {
        True: ("supported", "\u2713", "right"),
        False: ("contradicted", "\u2717", "not yet"),
        None: ("not_checkable", "\u2013", "not compared"),
    }[one.is_right]
    reason = f": {escape(one.reason)}" if one.reason else ""
    return (
        f'<tr><th scope="row">{escape(one.field)}</th><td>{escape(one.guessed)} '
        f'<span class="badge {kind}"><span aria-hidden="true">{sign}</span> {word}{reason}'
        f"</span></td><td>{escape(one.measured)}</td>{cells}</tr>"
    )
