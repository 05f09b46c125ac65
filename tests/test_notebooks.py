"""The notebooks: made of their sources, short cells, and every cell runs, solutions too."""

import ast
import re
import sys

import nbformat
import pytest
from conftest import ROOT

from ecg_r1 import notebook

sys.path.insert(0, str(ROOT / "notebooks"))
import build

SOURCES = build.sources([])
NAMES = [path.stem for path in SOURCES]


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
    for cell in build.read_source(source).cells[2:]:
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
    first = [c for c in committed.cells if c.cell_type == "code"][1:4]  # behind the set-up
    pictures = [o for c in first for o in c.outputs if "image/png" in o.get("data", {})]
    assert pictures, "a picture within the first cells"


def test_badge_and_disclaimer_stand_on_top(committed, source):
    top = committed.cells[0].source
    assert f"/blob/main/notebooks/{source.stem}.ipynb" in top
    assert "education and research only" in top.lower()
    assert "| minutes |" in top


def test_has_exercises_whose_solutions_run(source):
    cells = build.read_source(source).cells
    solutions = [c for c in cells if "solution" in c.metadata.get("tags", [])]
    exercises = re.findall(r"### Exercise \d", "\n".join(c.source for c in cells))
    assert 2 <= len(exercises) <= 4
    assert len(solutions) >= len(exercises)
    assert all(c.metadata["jupyter"]["source_hidden"] for c in solutions)


def test_the_map_the_times_and_the_instructors_page_know_every_notebook():
    readme = (build.HERE / "README.md").read_text(encoding="utf-8")
    times = readme.split("## Times")[1].split("\n## ")[0]
    expected = readme.split("## For the instructor")[1]
    for name in NAMES:
        assert f"| `{name}` |" in readme
        assert f"| {name[:2]} |" in times
        assert re.search(rf"^\| {name[:2]}\b", expected, re.MULTILINE), name


def test_live_curves_replace_one_picture(monkeypatch):
    drawn, replaced = [], []

    class Handle:
        update = replaced.append

    def display(image, *, display_id):
        assert display_id
        drawn.append(image)
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr(notebook, "_in_notebook", lambda: True)
    curves = notebook.LiveCurves(["loss", "reward"], every=2)
    for step in range(1, 7):
        curves.add(step, loss=1 / step)
    assert (len(drawn), len(replaced)) == (1, 2)
    assert drawn[0].size == replaced[-1].size
    assert curves.line() == "step 6: loss 0.167"


@pytest.mark.slow
def test_every_cell_runs_in_fast_mode(source):
    build.execute(build.read_source(source), fast=True)
