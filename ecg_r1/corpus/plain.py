"""The six steps written from what was measured, with the labels as answer key."""

from collections.abc import Sequence

import numpy as np

from ecg_r1.ecg import LEADS
from ecg_r1.labels import LABELS, in_order
from ecg_r1.measurement import Measurements
from ecg_r1.protocol import Findings
from ecg_r1.report import Report

UNCALIBRATED = "Voltages and ST levels are not judged: the record is not calibrated."
_GROUP = {label.text: label.group for label in LABELS}


def write_report(m: Measurements, findings: Findings, labels: Sequence[str]) -> Report:
    """Write the six steps from what was measured, with the labels as answer key.

    Every number comes from `m`, every statement about leads from `findings`, every diagnosis
    from `labels`; a label is first named in the step that its evidence stands in.

    Args:
        m: Measurements of the record.
        findings: The protocol applied to them.
        labels: Canonical labels, at least one.

    Raises:
        ValueError: If there is no label.
    """
    labels = in_order(labels)
    if not labels:
        raise ValueError("a reading needs at least one label, got none")
    of = {group: [x for x in labels if _GROUP[x] == group] for group in set(_GROUP.values())}
    steps = {
        1: _technical(m, of["rhythm"], of["ectopy"]),
        2: _conduction(m, of["conduction"]),
        3: _chambers(m, of["chamber"], calibrated=_voltages_judged(findings)),
        4: _ischaemia(findings, of["ischaemia"]),
        5: _qt(m, of["electrolytes"]),
        6: _reasoning(m, labels),
    }
    return Report(steps, _summary(labels), labels)


def _list(items: Sequence[str], none: str) -> str:
    return ", ".join(items) if items else none


def _voltages_judged(findings: Findings) -> bool:
    return not any("calibrated" in reason for reason in findings.unjudged.values())


def _technical(m: Measurements, rhythm: list[str], ectopy: list[str]) -> str:
    quality = f"limited in {', '.join(m.quality)}" if m.quality else "adequate"
    rate = "not measurable" if m.hr_bpm is None else f"{round(m.hr_bpm)} bpm"
    regular = {True: "regular", False: "irregular", None: "of undecided regularity"}[m.regular]
    p_waves = {
        True: "P waves precede the QRS complexes.",
        False: "No consistent P waves.",
        None: "P waves cannot be judged.",
    }[m.p_present]
    beats = f" Ectopy: {_list(ectopy, 'none')}."
    return (
        f"Signal quality {quality}. Heart rate {rate}, RR intervals {regular}. {p_waves} "
        f"Rhythm: {_list(rhythm, 'not classified')}.{beats}"
    )


def _conduction(m: Measurements, conduction: list[str]) -> str:
    return f"{_pr(m)} {_qrs(m)} {_axis(m)} Conduction: {_list(conduction, 'no block')}."


def _pr(m: Measurements) -> str:
    if m.pr_ms is None:
        return "PR interval not measurable."
    pr = round(m.pr_ms)  # the verdict must fit the number that is shown
    verdict = "short, below 120" if pr < 120 else "normal, 120 to 200"
    verdict = "prolonged, above 200" if pr > 200 else verdict
    return f"PR interval {pr} ms ({verdict})."


def _qrs(m: Measurements) -> str:
    if m.qrs_ms is None:
        return "QRS duration not measurable."
    qrs = round(m.qrs_ms)
    verdict = "wide, 120 or more" if qrs >= 120 else "normal, up to 110"
    verdict = "borderline, 110 to 120" if 110 < qrs < 120 else verdict
    return f"QRS duration {qrs} ms ({verdict})."


def _axis(m: Measurements) -> str:
    if m.axis_deg is None:
        return "Axis not measurable."
    axis = round(m.axis_deg)
    verdict = "normal, -30 to 90" if -30 <= axis <= 90 else "right of 90"
    verdict = "left of -30" if -90 <= axis < -30 else verdict
    verdict = "extreme" if axis < -90 else verdict
    return f"Frontal axis {axis} degrees ({verdict})."


def _mm(value_mv: float) -> int:
    return round(abs(value_mv) * 10)


def _chambers(m: Measurements, chamber: list[str], *, calibrated: bool) -> str:
    return (
        f"{_sokolow(m) if calibrated else UNCALIBRATED} "
        f"Chambers and voltage: {_list(chamber, 'no abnormality')}."
    )


def _sokolow(m: Measurements) -> str:
    """Sokolow-Lyon 1949, in millimetres; the sum is that of the two rounded numbers."""
    s, r = m.leads.at["V1", "s_mv"], m.leads.loc[["V5", "V6"], "r_mv"].max()
    if not np.isfinite(r) or m.leads.loc["V1", ["q_mv", "r_mv", "s_mv"]].isna().all():
        return "Voltages not measurable."
    s_mm, r_mm = _mm(s) if np.isfinite(s) else 0, _mm(max(r, 0))
    verdict = "35 or more" if s_mm + r_mm >= 35 else "below 35"
    return (
        f"S in V1 {s_mm} mm and R in V5 or V6 {r_mm} mm, together {s_mm + r_mm} mm ({verdict})."
    )


# Statement in step 4 -> how the names of the protocol's findings for it begin.
_ST_STATEMENTS = {
    "ST elevation": "st_elevation",
    "ST depression": "st_depression",
    "T wave inversion": "t_inversion",
    "pathological Q waves": "q_waves",
}


def _leads_of(findings: Findings, kind: str) -> list[str]:
    """Leads of the findings of a kind that are met, in the order of the page."""
    met = [f for f in findings.findings if f.met and f.name.startswith(kind)]
    return [lead for lead in LEADS if any(lead in f.leads for f in met)]


def _undecided(findings: Findings, kind: str) -> bool:
    """Whether a finding of a kind could not be judged, so that its absence is not known."""
    return any(f.met is None for f in findings.findings if f.name.startswith(kind))


def _ischaemia(findings: Findings, ischaemia: list[str]) -> str:
    if _voltages_judged(findings):
        shown = {s: _leads_of(findings, kind) for s, kind in _ST_STATEMENTS.items()}
        open_ = [s for s, kind in _ST_STATEMENTS.items() if _undecided(findings, kind)]
        present = [f"{s} in {', '.join(leads)}." for s, leads in shown.items() if leads]
        absent = [s for s, leads in shown.items() if not leads and s not in open_]
        unknown = [s for s in open_ if not shown[s]]
        text = " ".join(
            [
                *present,
                *([f"No {_or(absent)}."] if absent else []),
                *([f"Not judged: {', '.join(unknown)}."] if unknown else []),
            ]
        )
    else:
        text = UNCALIBRATED
    return f"{text} Ischaemia and infarction: {_list(ischaemia, 'none')}."


def _or(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} or {items[-1]}"


def _qt(m: Measurements, electrolytes: list[str]) -> str:
    if m.qt_ms is None or m.qtc_ms is None:
        text = "QT interval not measurable."
    else:
        text = f"QT {round(m.qt_ms)} ms, QTc {round(m.qtc_ms)} ms (Fridericia)."
    return f"{text} Electrolytes and QT: {_list(electrolytes, 'no abnormality')}."


def _reasoning(m: Measurements, labels: Sequence[str]) -> str:
    rate = "" if m.hr_bpm is None else f" at {round(m.hr_bpm)} bpm"
    rhythm = _list([x for x in labels if _GROUP[x] == "rhythm"], "unclassified rhythm")
    abnormal = _list([x for x in labels if _GROUP[x] not in ("rhythm", "normal")], "nothing")
    return f"{rhythm.capitalize()}{rate}. Abnormal beside the rhythm: {abnormal}."


def _summary(labels: Sequence[str]) -> str:
    kind = "Normal" if "normal ecg" in labels else "Abnormal"
    if set(labels) == {"sinus rhythm"}:
        kind = "Unremarkable"
    rest = [x for x in labels if x != "normal ecg"]
    return f"{kind} 12-lead ECG: {_list(rest, 'no specific finding')}."
