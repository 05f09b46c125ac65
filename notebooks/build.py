"""Make the notebooks: `source/NN_name.py` is the truth, `NN_name.ipynb` its executed form.

    python notebooks/build.py              # all, executed at full length
    python notebooks/build.py 00 03        # some
    python notebooks/build.py --check      # is every .ipynb made of its source? runs nothing
    python notebooks/build.py --fast --to /tmp/out   # executed in FAST mode, elsewhere
    python notebooks/build.py --times      # and note seconds and memory in README.md

What is written carries outputs but no widgets (a picture stands for each), no execution counts
of the machine's past, and no path of the machine.
"""

import argparse
import os
import re
import sys
import time
from pathlib import Path
from typing import NamedTuple

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

HERE = Path(__file__).resolve().parent
REPOSITORY = "ecg-r1-studio/ecg-r1-studio"  # a fork writes its own name here
COLAB = f"https://colab.research.google.com/github/{REPOSITORY}/blob/main/notebooks"
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
MAX_BYTES = 500_000
# What GitHub cannot show: a widget without its state, and a figure that a picture stands beside.
LIVE = {"application/vnd.jupyter.widget-view+json", "application/vnd.plotly.v1+json"}
PARAMETERS = """# True: less of everything, for a hurried workshop. None: as ECG_R1_FAST in the environment says.
# A change counts after a restart of the kernel.
fast = None"""
SETUP = f"""# Installs what is missing, from the checkout around this notebook where there is one.
# pip keeps each installed package that fits, so Colab's and Kaggle's torch stays.
import importlib.util
import os
from pathlib import Path

if fast is not None:
    os.environ["ECG_R1_FAST"] = str(int(fast))
if importlib.util.find_spec("ecg_r1") is None:
    place = "git+https://github.com/{REPOSITORY}"
    github = f"ecg-r1-studio[train,notebooks] @ {{place}}"
    source = "..[train,notebooks]" if Path("../pyproject.toml").is_file() else github
    %pip install -q "{{source}}\""""
# JupyterLab shows the first line of a collapsed cell, which must not be the solution.
COVER = "# @title A solution (unfold to see it)"
INSERTED = 2  # cells behind the title
PROBE = "import resource\nresource.getrusage(resource.RUSAGE_SELF).ru_maxrss"


class Spent(NamedTuple):
    """What a run of a notebook took; gigabytes are None where the system does not tell."""

    seconds: float
    gigabytes: float | None


def sources(names: list[str]) -> list[Path]:
    """The sources whose names begin with one of `names`; all when none is given."""
    found = sorted((HERE / "source").glob("[0-9][0-9]_*.py"))
    if not names:
        return found
    chosen = [path for path in found if path.name.startswith(tuple(names))]
    if len(chosen) < len(names):
        sys.exit(f"{names} name {len(chosen)} notebooks: choose from {[p.stem for p in found]}")
    return chosen


def read_source(path: Path) -> NotebookNode:
    """A notebook without outputs; badge, parameters and set-up are put in behind the title."""
    notebook = jupytext.read(path)
    badge = f"[![Open in Colab]({BADGE})]({COLAB}/{path.stem}.ipynb)"
    notebook.cells[0].source += f"\n\n{badge}"
    # The tag is papermill's, which puts cells of its own behind the one that has it.
    fast = nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
    notebook.cells[1:1] = [fast, nbformat.v4.new_code_cell(SETUP)]
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{index:03d}"  # stable, so that a new run changes only outputs
        if "solution" in cell.metadata.get("tags", []):
            cell.source = f"{COVER}\n{cell.source}"
            cell.metadata["cellView"] = "form"  # how Colab collapses a cell; it wants a title
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def execute(notebook: NotebookNode, *, fast: bool) -> Spent:
    """Run every cell in a fresh kernel, in the folder of the notebooks."""
    os.environ["ECG_R1_FAST"] = "1" if fast else "0"
    os.environ["PYTHONPATH"] = str(HERE.parent)  # the package of this checkout
    probe = nbformat.v4.new_code_cell(PROBE)
    if os.name == "posix":
        notebook.cells.append(probe)
    start = time.perf_counter()
    NotebookClient(
        notebook, timeout=1200, resources={"metadata": {"path": str(HERE)}}
    ).execute()
    seconds = time.perf_counter() - start
    if os.name != "posix":
        return Spent(seconds, None)
    notebook.cells.pop()
    told = int(probe.outputs[0]["data"]["text/plain"])
    return Spent(seconds, told * (1 if sys.platform == "darwin" else 1024) / 1e9)


def note_times(name: str, spent: Spent, *, fast: bool) -> None:
    """Write what a run took into the notebook's row of the table of times in README.md."""
    readme = HERE / "README.md"
    text = readme.read_text(encoding="utf-8")
    row = re.search(rf"^\| {name[:2]} \| (\S+) \| (\S+) \| (\S+) \|$", text, re.MULTILINE)
    if row is None:
        sys.exit(f"{readme} has no row '| {name[:2]} | FAST | normal | GB |' to note times in")
    in_fast, normal, gigabytes = row.groups()
    seconds = f"{spent.seconds:.0f}"
    if fast:
        in_fast = seconds
    else:
        normal = seconds
        gigabytes = gigabytes if spent.gigabytes is None else f"{spent.gigabytes:.1f}"
    noted = f"| {name[:2]} | {in_fast} | {normal} | {gigabytes} |"
    readme.write_text(text[: row.start()] + noted + text[row.end() :], encoding="utf-8")


def clean(notebook: NotebookNode) -> None:
    """Drop what GitHub cannot show and what differs from run to run, in place."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        cell.outputs = [still for one in cell.outputs if (still := stilled(one)) is not None]


def stilled(output: NotebookNode) -> NotebookNode | None:
    """Without what is live; None when no picture is left to stand for it."""
    data = output.get("data", {})
    if not LIVE & set(data):
        return output
    if "image/png" not in data:
        return None
    for kind in LIVE & set(data):
        del data[kind]
    return output


def same_source(path: Path) -> bool:
    """Whether the committed notebook has just the cells of its source."""
    target = HERE / f"{path.stem}.ipynb"
    if not target.is_file():
        return False
    made, truth = nbformat.read(target, as_version=4), read_source(path)
    return [(c.cell_type, c.source) for c in made.cells] == [
        (c.cell_type, c.source) for c in truth.cells
    ]


def main() -> None:
    """Build, or check, the notebooks that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="beginnings of names; default all")
    parser.add_argument("--fast", action="store_true", help="small numbers of everything")
    parser.add_argument("--check", action="store_true", help="compare with the sources only")
    parser.add_argument("--times", action="store_true", help="note them in README.md")
    parser.add_argument("--to", type=Path, default=HERE, help="folder of the results")
    args = parser.parse_args()
    chosen = sources(args.names)
    if args.check:
        old = [path.stem for path in chosen if not same_source(path)]
        if old:
            sys.exit(f"not made of their sources: {old}. Run: python notebooks/build.py")
        return
    args.to.mkdir(parents=True, exist_ok=True)
    for path in chosen:
        notebook = read_source(path)
        spent = execute(notebook, fast=args.fast)
        clean(notebook)
        target = args.to / f"{path.stem}.ipynb"
        nbformat.write(notebook, target)
        size = target.stat().st_size
        memory = "" if spent.gigabytes is None else f", {spent.gigabytes:.1f} GB of memory"
        print(f"{path.stem}: {spent.seconds:.0f} s{memory}, {size / 1000:.0f} kB", flush=True)
        if args.times:
            note_times(path.stem, spent, fast=args.fast)
        if size > MAX_BYTES:
            sys.exit(f"{target.name} has {size} bytes, more than {MAX_BYTES}: smaller pictures")


if __name__ == "__main__":
    main()
