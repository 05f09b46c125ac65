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
# How near counts as right, and within twice as much as half right. Ours: one small square of
# paper and half for intervals, 5 bpm or 5 % for the rate, since a learner counts squares.
NEAR = {"hr_bpm": 5.0, "pr_ms": 30.0, "qrs_ms": 20.0, "qtc_ms": 30.0}
# So near its limit an axis is half right under the neighbour's name. Ours: the error with which
# the isoelectric lead, 30 degrees from the next, can be picked out by eye.
NEAR_AXIS_DEG = 15.0
# Labels of one family are half right for each other: the mechanism was seen, and its side,
# place or degree mistaken. Ours, along the chapters of any textbook.
FAMILIES: tuple[frozenset[str], ...] = tuple(
    frozenset(each.split("; "))
    for each in (
        "sinus rhythm; sinus bradycardia; sinus tachycardia; sinus arrhythmia; sinus pause",
        "atrial fibrillation; atrial flutter; supraventricular tachycardia",
        "ectopic atrial rhythm; junctional rhythm",
        "premature atrial complexes; premature ventricular complexes",
        "first-degree av block; second-degree av block; third-degree av block",
        "left bundle branch block; incomplete left bundle branch block; right bundle branch "
        "block; incomplete right bundle branch block; nonspecific intraventricular conduction "
        "delay",
        "left anterior fascicular block; left axis deviation",
        "left posterior fascicular block; right axis deviation",
        "left atrial abnormality; right atrial abnormality",
        "left ventricular hypertrophy; right ventricular hypertrophy",
        "anterior myocardial infarction; inferior myocardial infarction; lateral myocardial "
        "infarction; posterior myocardial infarction",
        "st elevation; early repolarisation; pericarditis",
        "st depression; t wave inversion; myocardial ischaemia; nonspecific st-t abnormality",
        "hyperkalaemia; hypokalaemia",
    )
)
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
    """One field of a guess.

    Attributes:
        field: Its title.
        guessed: What was marked.
        measured: What was measured.
        credit: 1 right, 0.5 near, 0 wrong, between them for several diagnoses; None when there
            is no guess or nothing to compare it with.
        reason: Why it is not wholly right.
    """

    field: str
    guessed: str
    measured: str
    credit: float | None
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
    if not rhythms:
        return Feedback("Rhythm", guessed, measured, None, "the criteria name none")
    if guessed in rhythms:
        return Feedback("Rhythm", guessed, measured, 1.0, "")
    if any(akin(guessed, one) for one in rhythms):
        return Feedback("Rhythm", guessed, measured, 0.5, "a rhythm of the same family")
    return Feedback("Rhythm", guessed, measured, 0.0, "the criteria name another rhythm")


def akin(one: str, other: str) -> bool:
    """Whether two different labels are of one family.

    Example:
        >>> akin("atrial flutter", "atrial fibrillation"), akin("atrial flutter", "normal ecg")
        (True, False)
    """
    return one != other and any({one, other} <= family for family in FAMILIES)


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
    off = abs(guessed - value)
    if off <= near:
        return Feedback(title, told, words, 1.0, "")
    reason = f"{off:.0f}{unit} too {'high' if guessed > value else 'low'}"
    return Feedback(title, told, words, 0.5 if off <= 2 * near else 0.0, reason)


def _axis(guessed: str | None, study: "Study") -> Feedback:
    words = headline(study.measured)["QRS axis"]
    if not guessed:
        return Feedback("QRS axis", "no guess", words, None, "")
    degrees = study.measured.axis_deg
    if degrees is None:
        return Feedback("QRS axis", guessed, words, None, "there is nothing to compare with")
    truth = axis_word(degrees)
    words = f"{words} ({truth})"
    if truth == guessed:
        return Feedback("QRS axis", guessed, words, 1.0, "")
    turned = [(degrees + by + 180) % 360 - 180 for by in (-NEAR_AXIS_DEG, NEAR_AXIS_DEG)]
    if guessed in map(axis_word, turned):
        return Feedback("QRS axis", guessed, words, 0.5, f"{degrees:.0f}° is just {truth}")
    return Feedback("QRS axis", guessed, words, 0.0, f"{degrees:.0f}° is {truth}")


def _diagnoses(guessed: Sequence[str], truth: Sequence[str]) -> Feedback:
    """Each of the labels on either side counts the same; a near pair earns half of one."""
    measured = "; ".join(truth) or "nothing named"
    if not guessed:
        return Feedback("Diagnoses", "no guess", measured, None, "")
    right = [one for one in guessed if one in truth]
    missed = [one for one in truth if one not in guessed]
    beyond = [one for one in guessed if one not in truth]
    near = []
    for one in list(beyond):
        kin = next((other for other in missed if akin(one, other)), None)
        if kin is not None:
            near.append(f"{one} for {kin}")
            beyond.remove(one)
            missed.remove(kin)
    credit = (len(right) + len(near) / 2) / (len(right) + len(near) + len(missed) + len(beyond))
    parts = {"near": near, "missed": missed, "not found": beyond}
    reason = "; ".join(f"{name}: {', '.join(named)}" for name, named in parts.items() if named)
    return Feedback("Diagnoses", "; ".join(guessed), measured, credit, reason)


def feedback_html(
    told: Sequence[Feedback], rows: Sequence["Row"], names: Mapping[str, str]
) -> str:
    """The feedback as a table, what each arm said beside it once the models have read.

    Args:
        told: From `compare`.
        rows: From `agreement`.
        names: Column to its title; the control arm's is left out.
    """
    if not told:
        return "<p>A picture carries no signal, so there is nothing to compare with.</p>"
    arms = [one for one in names if not one.startswith("control")]
    by_title = {row.title: row for row in rows}
    head = "".join(f'<th scope="col">{escape(names[arm])}</th>' for arm in arms)
    body = "".join(_row(one, by_title, arms) for one in told)
    credits_ = [one.credit for one in told if one.credit is not None]
    return (
        f'<p role="status"><strong>{sum(credits_):.3g} of {len(credits_)} points.</strong> '
        "Near answers earn half a point. Measured values are by published criteria, not a "
        'diagnosis.</p><div class="agreement" tabindex="0" role="region" aria-label="Your '
        'guess">'
        '<table><thead><tr><th scope="col"></th><th scope="col">You</th>'
        f'<th scope="col">Measured</th>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _row(one: Feedback, rows: Mapping[str, "Row"], arms: Sequence[str]) -> str:
    titles = {HEADLINE[name][0]: row for name, row in ROW_OF.items()} | {"QRS axis": "Axis"}
    row = rows.get(titles.get(one.field, one.field))
    cells = "".join(f"<td>{escape(row.cells[arm].words)}</td>" for arm in arms) if row else ""
    kind, sign, word = _judged(one.credit)
    reason = f": {escape(one.reason)}" if one.reason else ""
    return (
        f'<tr><th scope="row">{escape(one.field)}</th><td>{escape(one.guessed)} '
        f'<span class="badge {kind}"><span aria-hidden="true">{sign}</span> {word}{reason}'
        f"</span></td><td>{escape(one.measured)}</td>{cells}</tr>"
    )


def _judged(credit: float | None) -> tuple[str, str, str]:
    """The badge's class, sign and word for a credit."""
    if credit is None:
        return "not_checkable", "\u2013", "not compared"
    if credit == 1:
        return "supported", "\u2713", "right"
    if credit == 0:
        return "contradicted", "\u2717", "not yet"
    return "unsupported", "\u223c", f"near ({credit:.2g} of 1)"
