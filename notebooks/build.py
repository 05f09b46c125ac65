"""Make the notebooks: `source/NN_name.py` is the truth, `NN_name.ipynb` its executed form.

    python notebooks/build.py              # all, executed at full length
    python notebooks/build.py 00 03        # some
    python notebooks/build.py --check      # is every .ipynb made of its source? runs nothing
    python notebooks/build.py --fast --to /tmp/out   # executed in FAST mode, elsewhere

What is written carries outputs but no widget state, no execution counts of the machine's past,
and no path of the machine.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

HERE = Path(__file__).resolve().parent
REPOSITORY = "ecg-r1-studio/ecg-r1-studio"  # a fork writes its own name here
COLAB = f"https://colab.research.google.com/github/{REPOSITORY}/blob/main/notebooks"
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
MAX_BYTES = 500_000
WIDGET = "application/vnd.jupyter.widget-view+json"  # without its state nothing can show it
SETUP = f"""# On Colab or Kaggle this installs what is missing and leaves their torch alone.
import importlib.util

if importlib.util.find_spec("ecg_r1") is None:
    %pip install -q "ecg-r1-studio[train,notebooks] @ git+https://github.com/{REPOSITORY}"
"""


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
    """A notebook without outputs; badge and set-up cell are put in behind the title."""
    notebook = jupytext.read(path)
    badge = f"[![Open in Colab]({BADGE})]({COLAB}/{path.stem}.ipynb)"
    notebook.cells[0].source += f"\n\n{badge}"
    notebook.cells.insert(1, nbformat.v4.new_code_cell(SETUP.strip()))
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{index:03d}"  # stable, so that a new run changes only outputs
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def execute(notebook: NotebookNode, *, fast: bool) -> float:
    """Run every cell in a fresh kernel, in the folder of the notebooks; seconds it took."""
    os.environ["ECG_R1_FAST"] = "1" if fast else "0"
    os.environ["PYTHONPATH"] = str(HERE.parent)  # the package of this checkout
    start = time.perf_counter()
    NotebookClient(
        notebook, timeout=1200, resources={"metadata": {"path": str(HERE)}}
    ).execute()
    return time.perf_counter() - start


def clean(notebook: NotebookNode) -> None:
    """Drop what GitHub cannot show and what differs from run to run, in place."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        cell.outputs = [o for o in cell.outputs if WIDGET not in o.get("data", {})]


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
        seconds = execute(notebook, fast=args.fast)
        clean(notebook)
        target = args.to / f"{path.stem}.ipynb"
        nbformat.write(notebook, target)
        size = target.stat().st_size
        print(f"{path.stem}: {seconds:.0f} s, {size / 1000:.0f} kB")
        if size > MAX_BYTES:
            sys.exit(f"{target.name} has {size} bytes, more than {MAX_BYTES}: smaller pictures")


if __name__ == "__main__":
    main()
