"""The notebooks: made of their sources, short cells, and every cell runs, solutions too.

Exercises are tried with wrong answers as well: each check must say what is wrong.
"""

import ast
import re
import sys
from base64 import b64decode
from io import BytesIO

import nbformat
import pytest
from conftest import ROOT
from PIL import Image

from ecg_r1 import notebook
from ecg_r1.simulate import HeartSpec, simulate

sys.path.insert(0, str(ROOT / "notebooks"))
import build

SOURCES = build.sources([])
NAMES = [path.stem for path in SOURCES]
BEHIND_SETUP = 1 + build.INSERTED
TITLE_ROW = re.compile(
    r"\| under (\d+) to run on a CPU.*, (\d+) to work through \| under (\d+) GB"
)
MOST_SECONDS = {"fast": 12 * 60, "normal": 10 * 60}  # all eight together; each (issue 9)

# A learner's wrong answers, and words of what the check says to each.
WRONG = {
    "00_the_ecg": {
        "check_1(250)": "did you take mm for squares",
        "check_1(60)": "15 mm are 15",
        "check_2(lambda i, ii, iii: (i, iii, ii))": "it turns over",
        "check_2(lambda i, ii, iii: (-i, ii, iii))": "hangs between leg",
        "check_3(HeartSpec(hr_bpm=80, pr_ms=240))": "too fast: 80",
        "check_3(HeartSpec(hr_bpm=50, pr_ms=160))": "PR 160",
    },
    "01_protocol_data": {
        "check_1(replace(goldberger, leads=('aVL',)))": "only aVF counts",
        "check_1(replace(goldberger, threshold=20.0))": "10 mm are 1 mV",
        "check_1(replace(goldberger, threshold=1.0))": "is the threshold in mV",
        "check_1(replace(goldberger, comparator='>='))": "which comparator",
        "check_1(replace(goldberger, voltage=False))": "needs voltages",
        "check_1(replace(goldberger, source='my teacher'))": "has a year",
        "check_2(lambda text: text)": "finds nothing wrong",
        "check_2(lambda text: '')": "keep the six steps",
        "check_3('left ventricular hypertrophy')": "taken",
        "check_3('normal ecg')": "refused",
        "check_3('right bundle branch block')": "borne out",
    },
    "02_model": {
        "check_1(200)": "and one more",
        "check_2(lambda model, signal: False)": "nano does look",
        "check_2(lambda model, signal: True)": "a deaf model must fail",
    },
    "03_modality_dropout": {
        "check_1(0.5)": "wanted 0.33",
        "check_2(lambda worker, record: forked(worker)[(record + worker) % 8])": "changed with",
        "check_2(lambda worker, record: 'signal')": "the same environment",
    },
    "04_sft": {
        "check_1(lambda turns: flat)": "a question is learned",
        "check_1(lambda turns: flat[1:])": "labels for",
        "check_1(lambda turns: [t if t == '72' else None for t in flat])": "the last answer",
        "check_2(lambda passes: sum(c / n for c, n in passes) / len(passes))": "mean of means",
        "check_2(lambda passes: sum(c for c, _ in passes) / 2)": "divide by the tokens",
        "check_3(0)": "a rank is 1 at least",
        "check_3(1000)": "more than a tenth",
        "check_3(1)": "one higher still fits",
    },
    "05_rewards": {
        "check_1((2 / 5, 2 / 5))": "that is F1",
        "check_1((1 / 3, 2 / 5))": "in either",
        "check_1((1 / 4, 1 / 3))": "2 x hits",
        "check_2('nothing')": "not found in their steps",
        "check_2(honest(SOLUTION))": "affirmed",
        "check_3(my_reward)": "falls for",
        "check_3(lambda text, solution: 1)": "does it read",
    },
    "06_rl": {
        "check_1(2)": "the mean is 1.5",
        "check_1(3**0.5)": "samples - 1",
        "check_2(lambda groups, wanted: groups[:wanted])": "although enough others teach",
        "check_2(lambda groups, wanted: [g for g in groups if len(set(g)) > 1])": "more groups",
        "check_3(lambda lengths, limit: sum(lengths))": "mask it",
        "check_3(lambda lengths, limit: sum(n for n in lengths if n < limit))": "divide by 0",
    },
    "07_evaluate": {
        "check_1('Hello.', 'Good day.')": "no statement was found",
        "check_1(one, other)": "they differ in findings",
        "check_1(one, one)": "say it otherwise",
        "check_2('PR interval 240 ms.', 'omission_rate')": "the trace contradicts",
        "check_2('The patient is anxious.', 'omission_rate')": "0 checkable claims",
        "check_3(lambda n: 0.05)": "not 0.05",
        "check_3(lambda n: 2)": "is no share",
    },
}
REFUSAL = """
def refusal(answer):
    try:
        return eval(answer)
    except AssertionError as error:
        return "refused: " + str(error)


{answer: refusal(answer) for answer in %r}
"""


@pytest.fixture(params=SOURCES, ids=NAMES)
def source(request):
    return request.param


@pytest.fixture
def committed(source):
    return nbformat.read(build.HERE / f"{source.stem}.ipynb", as_version=4)


def test_the_notebook_is_made_of_its_source(source):
    assert build.same_source(source), f"run: python notebooks/build.py {source.stem[:2]}"


def test_a_changed_cell_is_noticed(source, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "HERE", tmp_path)
    notebook = build.read_source(source)
    notebook.cells[2].source += " "
    nbformat.write(notebook, tmp_path / f"{source.stem}.ipynb")
    assert not build.same_source(source)


def test_cells_are_short_and_plain(source):
    for cell in build.read_source(source).cells[BEHIND_SETUP:]:
        if cell.cell_type != "code":
            assert "data:image" not in cell.source, "pictures live in outputs"
            continue
        assert len(cell.source.splitlines()) <= 24, cell.source
        tree = ast.parse(cell.source)
        assert not [n for n in ast.walk(tree) if isinstance(n, (ast.ClassDef, ast.Try))]
        assert not re.search(r"['\"]/(home|work|tmp)", cell.source)


def test_committed_outputs_are_whole_and_small(committed, source):
    code = [cell for cell in committed.cells if cell.cell_type == "code"]
    assert any(cell.outputs for cell in code), "committed without outputs"
    assert not [o for c in code for o in c.outputs if o.output_type == "error"]
    assert "widgets" not in committed.metadata
    assert (build.HERE / f"{source.stem}.ipynb").stat().st_size <= build.MAX_BYTES
    first = code[build.INSERTED : build.INSERTED + 2]
    pictures = [o for c in first for o in c.outputs if "image/png" in o.get("data", {})]
    assert pictures, "a picture within two code cells"


def test_badge_and_disclaimer_stand_on_top(committed, source):
    top = committed.cells[0].source
    assert f"/blob/main/notebooks/{source.stem}.ipynb" in top
    assert "education and research only" in top.lower()
    assert TITLE_ROW.search(top), "minutes and memory, as bounds"


def test_has_exercises_whose_solutions_run(source):
    cells = build.read_source(source).cells
    solutions = [c for c in cells if "solution" in c.metadata.get("tags", [])]
    exercises = re.findall(r"### Exercise \d", "\n".join(c.source for c in cells))
    assert 2 <= len(exercises) <= 4
    assert len(solutions) >= len(exercises)
    assert all(c.metadata["jupyter"]["source_hidden"] for c in solutions)
    assert all(c.source.startswith("# @title A solution") for c in solutions), "shown collapsed"
    checks = {f"check_{n}(" for n in range(1, len(exercises) + 1)}
    assert {answer[: len("check_1(")] for answer in WRONG[source.stem]} == checks


def test_what_refuses_an_answer_says_why(source):
    tree = ast.parse(source.read_text(encoding="utf-8"))
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    checks = [function for function in functions if function.name.startswith("check_")]
    of_checks = {id(n) for check in checks for n in ast.walk(check)}
    silent = [
        ast.unparse(one)
        for one in ast.walk(tree)
        if isinstance(one, ast.Assert) and one.msg is None
        if id(one) in of_checks or re.search(r"\bguess(_|\b)", ast.unparse(one))
    ]
    assert not silent


def test_nothing_private_is_taught(source):
    tree = ast.parse(source.read_text(encoding="utf-8"))
    names = [n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)]
    names += [a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names]
    assert not [name for name in names if re.match(r"_[^_]", name)]


def test_the_first_cells_are_the_parameters_and_the_set_up(source):
    fast, setup = build.read_source(source).cells[1:BEHIND_SETUP]
    assert fast.metadata["tags"] == ["parameters"]
    assert ast.parse(fast.source).body[0].targets[0].id == "fast"
    assert "find_spec" in setup.source


@pytest.mark.parametrize(
    ("fast", "spent", "row"),
    [
        (True, (61.6, 0.9), "| 03 | 62 | 50 | 1.1 |"),
        (False, (61.6, 0.94), "| 03 | 14 | 62 | 0.9 |"),
        (False, (61.6, None), "| 03 | 14 | 62 | 1.1 |"),
    ],
)
def test_times_are_noted_in_their_row(tmp_path, monkeypatch, fast, spent, row):
    monkeypatch.setattr(build, "HERE", tmp_path)
    others = "| 02 | 9 | - | 1.0 |\n{}\n| 04 | - | - | - |\n\n| 03 | expected |\n"
    readme = tmp_path / "README.md"
    readme.write_text(others.format("| 03 | 14 | 50 | 1.1 |"), encoding="utf-8")
    build.note_times("03_modality_dropout", build.Spent(*spent), fast=fast)
    assert readme.read_text(encoding="utf-8") == others.format(row)


def test_the_map_the_times_and_the_instructors_page_know_every_notebook():
    readme = (build.HERE / "README.md").read_text(encoding="utf-8")
    times = readme.split("## Times")[1].split("\n## ")[0]
    expected = readme.split("## For the instructor")[1]
    front = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in NAMES:
        assert f"| `{name}` |" in readme
        assert f"| {name[:2]} |" in times
        assert f"](notebooks/{name}.ipynb) |" in front
        assert re.search(rf"^\| {name[:2]}\b", expected, re.MULTILINE), name


def test_titles_keep_to_the_times_and_the_map():
    readme = (build.HERE / "README.md").read_text(encoding="utf-8")
    of_all = 0.0
    for path in SOURCES:
        title = build.read_source(path).cells[0].source
        minutes, reading, memory = map(int, TITLE_ROW.search(title).groups())
        assert re.search(rf"^\| `{path.stem}` .* \| {reading} \|$", readme, re.MULTILINE)
        row = re.search(rf"^\| {path.stem[:2]} \| (\S+) \| (\S+) \| (\S+) \|$", readme, re.M)
        fast, normal, used = (None if one == "-" else float(one) for one in row.groups())
        of_all += fast or 0
        assert normal is None or normal < min(60 * minutes, MOST_SECONDS["normal"]), path.stem
        assert used is None or used < memory, path.stem
    assert of_all < MOST_SECONDS["fast"]


def test_live_curves_replace_the_output_and_leave_a_picture(monkeypatch):
    happened = []

    def display(bundle, *, raw):
        assert raw
        happened.append(set(bundle))

    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr("IPython.display.clear_output", lambda *, wait: happened.append(wait))
    monkeypatch.setattr(notebook, "_in_notebook", lambda: True)
    monkeypatch.setattr("plotly.io.renderers.default", "plotly_mimetype")
    curves = notebook.LiveCurves(["loss", "reward"], steps=5, every=2)
    for step in range(1, 6):
        curves.add(step, loss=1 / step)
    live = {"application/vnd.plotly.v1+json", "text/plain"}
    assert happened == [True, live, True, live, True, live | {"image/png"}]
    assert curves.line() == "step 5: loss 0.200"
    drawn = curves.figure()
    assert [panel.text for panel in drawn.layout.annotations] == ["loss", "reward"]
    assert drawn.data[0].y == (1, 0.5, 1 / 3, 0.25, 0.2)
    assert not drawn.data[1].y


def test_a_dial_moves_picture_and_words_and_an_impossible_one_says_why():
    def make(hr_bpm):
        return simulate(HeartSpec(hr_bpm=hr_bpm), seed=1)

    dialled = notebook.dials(
        make,
        {"hr_bpm": (60, 400, 10, 70)},
        lambda ecg: f"{ecg.truth.hr_bpm:.0f} bpm < 500",
        lambda ecg: notebook.trace(ecg, ("II",), end_s=1),
    )
    rows, words, drawn = dialled.widget.children
    before = drawn.value
    assert "70 bpm &lt; 500" in words.value
    rows.children[0].value = 90
    assert "90 bpm" in words.value
    assert drawn.value != before
    last = drawn.value
    rows.children[0].value = 400
    assert "hr_bpm 400" in words.value
    assert drawn.value == last


def test_what_is_live_is_committed_as_a_picture():
    def display_data(**kinds):
        return nbformat.v4.new_output("display_data", data=kinds)

    ranges = {"hr_bpm": (60, 100, 1, 70)}
    dialled = notebook.dials(
        lambda hr_bpm: hr_bpm, ranges, str, lambda _: Image.new("RGB", (9, 9))
    )
    dialled = nbformat.v4.new_output("execute_result", data=dialled._repr_mimebundle_())
    widget = display_data(**{"application/vnd.jupyter.widget-view+json": {}, "text/plain": "H"})
    curves = display_data(**{"application/vnd.plotly.v1+json": {}, "image/png": "iVBO"})
    cell = nbformat.v4.new_code_cell(outputs=[dialled, widget, curves, display_data(a="b")])
    made = nbformat.v4.new_notebook(cells=[cell], metadata={"widgets": {}})
    build.clean(made)
    assert [set(one.data) for one in cell.outputs] == [
        {"image/png", "text/plain"},
        {"image/png"},
        {"a"},
    ]
    assert cell.outputs[0].data["text/plain"] == "70"
    assert Image.open(BytesIO(b64decode(cell.outputs[0].data["image/png"]))).size == (9, 9)
    assert not made.metadata


@pytest.mark.slow
def test_every_cell_runs_in_fast_mode_and_wrong_answers_are_refused(source):
    notebook, wrong = build.read_source(source), WRONG[source.stem]
    notebook.cells.append(nbformat.v4.new_code_cell(REFUSAL % list(wrong)))
    build.execute(notebook, fast=True)
    said = ast.literal_eval(notebook.cells[-1].outputs[0]["data"]["text/plain"])
    for answer, words in wrong.items():
        assert said[answer].startswith("refused: "), answer
        assert words in said[answer], (answer, said[answer])
