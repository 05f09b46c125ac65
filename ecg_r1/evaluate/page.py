"""Result files as one page: Markdown with pictures, runs side by side."""

import json
from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ecg_r1 import DISCLAIMER
from ecg_r1.ecg import ECGError
from ecg_r1.evaluate.compare import compare
from ecg_r1.evaluate.files import JUDGED, RESULT, Run, write_whole
from ecg_r1.evaluate.stated import NUMBERS

Result = dict[str, Any]
_TITLES = {"hr_bpm": "heart rate", "pr_ms": "PR", "qrs_ms": "QRS", "qt_ms": "QT",
           "axis_deg": "axis"}  # fmt: skip
PAGE = "RESULTS.md"


def load_results(folders: Sequence[Path]) -> list[Result]:
    """The result files of some runs.

    Raises:
        ECGError: A folder holds none, or one of an earlier version.
    """
    found = []
    for folder in folders:
        path = folder / RESULT
        if not path.is_file():
            raise ECGError(f"{folder} holds no {RESULT}: run `evaluate --recompute {folder}`")
        found.append(json.loads(path.read_text(encoding="utf-8")))
        if "measured_by" not in found[-1]:
            raise ECGError(
                f"{path} is of an earlier version: run `evaluate --recompute {folder}`"
            )
    return found


# --- cells ------------------------------------------------------------------------------------


def cell(one: dict[str, Any] | None, *, key: str = "value", factor: float = 1) -> str:
    """A number with its interval, "-" where there is none.

    Example:
        >>> cell({"value": 0.5, "ci": [0.25, 0.75], "n": 4}, factor=100)
        '50 [25, 75]'
    """
    if not one or one.get(key) is None:
        return "-"
    text = f"{factor * one[key]:.3g}"
    if one.get("ci") and key != "median":  # the interval is the mean's
        low, high = (f"{factor * x:.3g}" for x in one["ci"])
        text += f" [{low}, {high}]"
    return text


Column = tuple[str, dict[str, Any]]


def columns_of(results: Sequence[Result]) -> list[Column]:
    """Every arm of every run, and the arms that were shown another patient's ECG."""
    found: list[Column] = []
    for result in results:
        name = result["run"]["reader"]["name"]
        found += [(f"{name}, {arm}", measures) for arm, measures in result["arms"].items()]
        found += [
            (f"{name}, {arm}, another's ECG", one) for arm, one in result["shuffled"].items()
        ]
    return found


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table.

    Example:
        >>> print(table(["", "a"], [["x", "1"]]))
        | | a |
        |---|---|
        | x | 1 |
    """
    lines = [f"| {' | '.join(head)} |".replace("|  |", "| |"), "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def summary_table(results: Sequence[Result]) -> str:
    """The table of stage one: measures down, arms and the constant answer across."""
    columns = columns_of(results)
    if not columns:
        return "no readings"
    rows = [[title, *(give(one) for _, one in columns), constant(columns[0][1])]
            for title, give, constant in _lines()]  # fmt: skip
    return table(["", *(name for name, _ in columns), "constant answer"], rows)


Give = Callable[[dict[str, Any]], str]


def _lines() -> Iterator[tuple[str, Give, Give]]:
    def at(*path: str, factor: float = 1, key: str = "value") -> Give:
        def give(one: dict[str, Any]) -> str:
            for name in path:
                one = (one or {}).get(name)
            return cell(one, key=key, factor=factor)

        return give

    def nothing(_: dict[str, Any]) -> str:
        return ""

    yield "records", lambda one: str(one["stage_one"]["records"]), nothing
    yield "well-formed (%)", at("stage_one", "well_formed", factor=100), nothing
    for name, unit in NUMBERS.items():
        place = ("stage_one", "numbers", name)
        title = _TITLES[name]
        yield f"{title}, MAE ({unit})", at(*place, key="mae"), at(*place, "constant", key="mae")
        yield (
            f"{title}, median error",
            at(*place, key="median"),
            at(*place, "constant", key="median"),
        )
        yield f"{title}, r (n)", _correlation(name), nothing
    labels = ("stage_one", "labels")
    yield "labels, Jaccard", at(*labels, "jaccard"), at(*labels, "constant_jaccard")
    yield "labels, macro AUROC", at(*labels, "auroc", key="macro"), lambda _: "0.5"
    yield "number stated twice differs (%)", at("stage_one", "repeated", factor=100), nothing
    yield (
        "claims the trace contradicts (%)",
        at("audit", "hallucination_rate", factor=100),
        nothing,
    )
    yield (
        "walks to a diagnosis without a wrong step (%)",
        at("evidence", "completion", factor=100),
        nothing,
    )
    yield "PTB-XL super-classes, macro F1 (%)", at("ecgbench_ptbxl", "f1"), nothing
    yield (
        "PTB-XL super-classes, AUC of label scores (%)",
        at("ecgbench_ptbxl", "auc_from_scores"),
        lambda _: "50",
    )
    yield "tokens", lambda one: _plain(one["stage_one"]["tokens"]), nothing
    yield "seconds", lambda one: _plain(one["stage_one"]["seconds"]), nothing


def _correlation(name: str) -> Give:
    def give(one: dict[str, Any]) -> str:
        found = one["stage_one"]["numbers"][name]
        return f"{_plain(found['r'])} ({found['n']})"

    return give


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


# --- the page ---------------------------------------------------------------------------------


def write_page(folders: Sequence[Path], out: Path) -> Path:
    """Write `RESULTS.md` and its pictures.

    Args:
        folders: Of runs with a `result.json`; all others are compared with the first.
        out: Where the page goes; pictures lie beside it.

    Returns:
        The page.

    Raises:
        ECGError: A folder has no result, or matplotlib is missing.
    """
    results = load_results(folders)
    out.mkdir(parents=True, exist_ok=True)
    pictures = draw_pictures(results, out)
    text = "\n\n".join(part for part in _parts(folders, results, pictures) if part)
    write_whole(out / PAGE, text + "\n")
    return out / PAGE


def _parts(
    folders: Sequence[Path], results: Sequence[Result], pictures: dict[str, str]
) -> Iterator[str]:
    yield f"# Results\n\n**{DISCLAIMER}**\n\nAll intervals are 95 % bootstrap by patient."
    yield "## What was run\n\n" + "\n".join(_what(result) for result in results)
    yield "## Numbers and labels\n\n" + summary_table(results)
    yield _compared(folders)
    yield _missing(results)
    yield _per_label(results)
    for folder, result in zip(folders, results, strict=True):
        name = result["run"]["reader"]["name"]
        yield from (part for part in _sections(name, result) if part)
        yield _judged(name, folder / JUDGED)
    for title, file in pictures.items():
        yield f"## {title}\n\n![{title}]({file})"


_CHANGES = {
    "well_formed": ("well-formed (%)", 100),
    "hr_error": ("heart rate, error (bpm)", 1),
    "labels": ("labels, Jaccard", 1),
    "hallucination_rate": ("claims the trace contradicts (%)", 100),
    "findings": ("findings said alike (%)", 100),
    "numbers": ("numbers alike (%)", 100),
}


def _compared(folders: Sequence[Path]) -> str:
    """Differences to the first run, on the records that both read."""
    if len(folders) < 2:
        return ""
    first, *others = (Run.load(folder) for folder in folders)
    rows = [
        [run.about["reader"]["name"], arm, title, cell(told[name], factor=factor),
         str(told[name]["n"])]
        for run in others
        for arm, told in compare(first, run).items()
        for name, (title, factor) in _CHANGES.items() if name in told
    ]  # fmt: skip
    if not rows:
        return ""
    name = first.about["reader"]["name"]
    about = (
        f"Each record's value less that of {name}, same arm, and the mean of these "
        "differences. An interval that holds 0 shows nothing."
    )
    return f"### Against {name}, record by record\n\n{about}\n\n" + table(
        ["", "arm", "", "difference", "records"], rows
    )


def _what(result: Result) -> str:
    run, later = result["run"], result["measured_by"]["commit"]
    reader, machine = run["reader"], run["machine"]
    versions = ", ".join(f"{k} {v}" for k, v in run["versions"].items() if v)
    return (
        f"- **{reader['name']}** (weights `{reader.get('weights') or '-'}`): {run['records']} "
        f"records of {run['patients']} patients from {', '.join(run['sources'])} (data "
        f"`{run['data_hash']}`), seed {run['seed']}, {run['started']}, commit "
        f"`{run['commit'] or '-'}` (measured by `{later or '-'}`), {machine['platform']}, "
        f"{machine['cores']} cores, {machine['gpu'] or 'no GPU'}; {versions}. "
        f"`{run['command']}`"
    )


def _missing(results: Sequence[Result]) -> str:
    """A modality taken from ever more records, run below run."""
    rows, ratios = [], []
    for result in results:
        for removed, curve in result["missing_modality"].items():
            ratios = [f"{ratio} %" for ratio in curve]
            name = result["run"]["reader"]["name"]
            for key, title in (("jaccard", "labels, Jaccard"), ("hr_mae", "heart rate, MAE")):
                cells = (cell(one[key]) for one in curve.values())
                rows.append([f"{name} without {removed}", title, *cells])
    if not rows:
        return ""
    about = "Of so many records one modality is hidden; the others are read with both."
    return f"### A modality missing\n\n{about}\n\n" + table(["", "mean", *ratios], rows)


def _per_label(results: Sequence[Result]) -> str:
    columns = [(n, one) for n, one in columns_of(results) if "grounded" in one]
    names = sorted({x for _, one in columns for x in one["stage_one"]["labels"]["per_label"]})
    rows = []
    for name in names:
        cells = []
        for _, one in columns:
            found = one["stage_one"]["labels"]["per_label"].get(name)
            cells.append("-" if found is None else _label_cell(found, one, name))
        rows.append([_words(name), *cells])
    about = "F1 (right / wrongly named / missed); AUROC where a class has five positives."
    return f"### Label by label\n\n{about}\n\n" + table(["", *(n for n, _ in columns)], rows)


def _words(label: str) -> str:
    r"""A label as a cell; what an unreadable answer calls one may hold lines, bars and tags.

    Example:
        >>> print(_words("sinus\n<answer>a|b"))
        sinus &lt;answer&gt;a\|b
    """
    return escape(" ".join(label.split())).replace("|", "\\|")


def _label_cell(found: dict[str, Any], one: dict[str, Any], name: str) -> str:
    area = ((one["stage_one"]["labels"]["auroc"] or {}).get("classes") or {}).get(name)
    text = f"{found['f1']:.2f} ({found['tp']}/{found['fp']}/{found['fn']})"
    return text + (f"; {area['auroc']:.2f}" if area else "")


def _sections(name: str, result: Result) -> Iterator[str]:
    if not result["arms"]:  # nothing was read yet
        return
    yield _consistency(name, result["consistency"])
    yield _grounded(name, result["arms"])
    yield _robust(name, result)
    yield _control(name, result["control"])
    yield _evidence(name, result["arms"])
    yield _audit(name, result["arms"])
    yield _ecgbench(name, result["arms"])
    yield _calibration(name, result["arms"])


def _consistency(name: str, told: dict[str, Any]) -> str:
    if not told.get("records"):
        return ""
    rows = []
    for key, title in (
        ("bleu4", "BLEU-4"),
        ("rouge_l", "ROUGE-L"),
        ("cosine", f"cosine ({told['embedding']})"),
        ("findings", "findings said alike"),
        ("contradictions", "affirmed by one, denied by the other"),
        ("numbers", "numbers alike"), ("labels", "labels, Jaccard"),
    ):  # fmt: skip
        rows.append([title, told[key].get("skipped") or cell(told[key])])
    return f"## {name}: signal alone against image alone\n\n" + table(["", "mean"], rows)


def _judged(name: str, path: Path) -> str:
    """The seven criteria by a language model, where one was asked."""
    if not path.is_file():
        return ""
    told = json.loads(path.read_text(encoding="utf-8"))
    arms = told["arms"]
    agreed = [one["agreement"] or {} for one in arms.values()]  # none of a single run
    rows = [
        [title, *(cell(one["strict"][title]) for one in arms.values()),
         *(_plain(one.get(title, {}).get("same")) for one in agreed)]
        for title in next(iter(arms.values()))["strict"]
    ]  # fmt: skip
    head = ["", *(f"{arm}, strict" for arm in arms)]
    head += [f"{arm}, same score in two runs (share)" for arm in arms]
    failed = ", ".join(f"{one['failed']} ({arm})" for arm, one in arms.items())
    about = f"Judge: {told['judge']}. Readings that it could not judge: {failed}."
    return f"## {name}: seven criteria, language model\n\n{about}\n\n" + table(head, rows)


def _grounded(name: str, arms: dict[str, Any]) -> str:
    first = next(iter(arms.values()))["grounded"]
    rows = [
        [title, *(cell(one["grounded"]["strict"][title]) for one in arms.values()),
         *(_plain(one["grounded"]["paper"].get(title)) for one in arms.values())]
        for title in first["strict"]
    ]  # fmt: skip
    head = ["", *(f"{arm}, strict" for arm in arms), *(f"{arm}, paper's sums" for arm in arms)]
    return f"## {name}: seven criteria, offline judge\n\n" + table(head, rows)


def _robust(name: str, result: Result) -> str:
    rows = [
        [condition, one["about"], arm, cell(told["changed"], factor=100),
         cell(told["jaccard"]), cell(told["jaccard_change"]), cell(told["hr_mae"]),
         cell(told["clean"]["hr_mae"])]
        for condition, one in result["robustness"].items() for arm, told in one["arms"].items()
    ]  # fmt: skip
    if not rows:
        return ""
    head = [
        "condition",
        "",
        "arm",
        "diagnoses change (%)",
        "labels, Jaccard",
        "less clean, same records",
        "heart rate, MAE",
        "clean, same records",
    ]
    lines = [
        f"Diagnoses differ between the four papers (25/10, 25/5, 50/10, 50/5) for "
        f"{cell(one, factor=100)} % of records ({arm})."
        for arm, one in result["papers"].items()
    ]
    return f"## {name}: robustness\n\n{table(head, rows)}\n\n" + "\n".join(lines)


def _control(name: str, told: dict[str, Any]) -> str:
    rows = []
    for arm, one in told.items():
        swapped, flat = one["shuffled"], one["flat"]
        rows.append([
            arm,
            cell(swapped["shown"]["jaccard"]) if swapped else "-",
            cell(swapped["on_file"]["jaccard"]) if swapped else "-",
            cell(swapped["shown"]["hr_mae"]) if swapped else "-",
            cell(swapped["on_file"]["hr_mae"]) if swapped else "-",
            cell(flat["states_rate"], factor=100) if flat else "-",
        ])  # fmt: skip
    if not rows:
        return ""
    head = ["arm", "labels of the ECG shown", "labels on file", "rate of the ECG shown, MAE",
            "rate on file, MAE", "a rate stated for a flat line (%)"]  # fmt: skip
    return f"## {name}: does the text follow the ECG?\n\n" + table(head, rows)


def _evidence(name: str, arms: dict[str, Any]) -> str:
    rows = []
    for arm, one in arms.items():
        told = one["evidence"]
        stops = " / ".join(str(n) for n in told["stopped_at"].values())
        given = told["supplied"] or {}
        rows.append([arm, str(told["diagnoses"]), cell(told["completion"], factor=100), stops,
                     cell(told["initial"], factor=100),
                     cell(given.get("found"), factor=100),
                     cell(given.get("unaided"), factor=100)])  # fmt: skip
    head = ["arm", "true diagnoses with evidence", "no wrong step (%)",
            "stopped at criterion / finding / grounding / decision",
            "concluded (%)", "concluded, correct reasoning supplied (%)",
            "the same records without (%)"]  # fmt: skip
    return f"## {name}: from criterion to decision\n\n" + table(head, rows)


def _audit(name: str, arms: dict[str, Any]) -> str:
    rows = [
        [arm, *(cell(one["audit"][key], factor=100) for key in
                ("hallucination_rate", "omission_rate", "quarrels")),
         cell(one["audit"]["claims"])]
        for arm, one in arms.items()
    ]  # fmt: skip
    head = ["arm", "contradicted, of checkable claims (%)", "left out, of what matters (%)",
            "readings that contradict themselves (%)", "claims"]  # fmt: skip
    return f"## {name}: claims against the trace\n\n" + table(head, rows)


def _ecgbench(name: str, arms: dict[str, Any]) -> str:
    rows = [
        [title, arm, str(told["n"]), cell(told["f1"]), cell(told["auc"]),
         cell(told["auc_from_scores"]), cell(told["hamming"])]
        for key, title in (("ecgbench_ptbxl", "PTB-XL super"), ("ecgbench_cpsc", "CPSC2018"))
        for arm, one in arms.items() if (told := one[key])
    ]  # fmt: skip
    if not rows:
        return ""
    head = ["labels", "arm", "records", "macro F1 (%)", "AUC of decisions (%)",
            "AUC of label scores (%)", "Hamming loss (%)"]  # fmt: skip
    return f"## {name}: ECGBench's label sets, strict parser\n\n" + table(head, rows)


def _calibration(name: str, arms: dict[str, Any]) -> str:
    rows = [
        [arm, str(told["labels"]), *(f"{told[kind][key]:.3f}" for kind in ("raw", "fitted")
                                     for key in ("brier", "ece")), f"{told['base']:.3f}"]
        for arm, one in arms.items() if (told := one["calibration"])
    ]  # fmt: skip
    if not rows:
        return ""
    head = ["arm", "labels", "Brier, raw", "ECE, raw", "Brier, fitted", "ECE, fitted",
            "Brier, always the frequency"]  # fmt: skip
    return f"## {name}: calibration\n\n" + table(head, rows)


# --- pictures ---------------------------------------------------------------------------------


def draw_pictures(results: Sequence[Result], out: Path) -> dict[str, str]:
    """Draw what curves show better than tables.

    Returns:
        Title to file name; a curve without data is left out.

    Raises:
        ECGError: matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415  the extra "notebooks"
    except ModuleNotFoundError as error:
        raise ECGError(f'{error}; a page needs `pip install -e ".[notebooks]"`') from error
    drawn: dict[str, str] = {}
    for title, file, draw in (
        ("Missing modality", "missing_modality.png", _draw_missing),
        ("Calibration of label probabilities", "calibration.png", _draw_calibration),
    ):
        figure = Figure(figsize=(7, 3.2), layout="constrained", dpi=120)
        if draw(figure, results):
            figure.savefig(out / file)
            drawn[title] = file
    return drawn


def _draw_missing(figure: Any, results: Sequence[Result]) -> bool:
    axes = figure.subplots(1, 2, sharey=True)
    lines = 0
    for result in results:
        for axis, (removed, curve) in zip(
            axes, result["missing_modality"].items(), strict=False
        ):
            ratios = [float(ratio) for ratio in curve]
            told = [one["jaccard"] for one in curve.values()]
            middle = [one["value"] for one in told]
            axis.plot(ratios, middle, marker="o", label=result["run"]["reader"]["name"])
            bands = [one["ci"] or [one["value"]] * 2 for one in told]
            axis.fill_between(ratios, [b[0] for b in bands], [b[1] for b in bands], alpha=0.2)
            axis.set(xlabel=f"records without {removed} (%)", ylim=(0, 1))
            lines += 1
    axes[0].set_ylabel("labels, Jaccard")
    if lines:
        axes[0].legend(frameon=False)
    return lines > 0


def _draw_calibration(figure: Any, results: Sequence[Result]) -> bool:
    axes = figure.subplots(1, 2, sharey=True)
    lines = 0
    for axis, kind in zip(axes, ("raw", "fitted"), strict=True):
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        for result in results:
            for arm, one in result["arms"].items():
                if one["calibration"]:
                    curve = one["calibration"][kind]["curve"]
                    name = f"{result['run']['reader']['name']}, {arm}"
                    axis.plot(
                        [p[0] for p in curve], [p[1] for p in curve], marker=".", label=name
                    )
                    lines += 1
        axis.set(xlabel=f"probability ({kind})", xlim=(0, 1), ylim=(0, 1))
    axes[0].set_ylabel("share of positives")
    if lines:
        axes[1].legend(frameon=False, fontsize=7)
    return lines > 0
