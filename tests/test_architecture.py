"""The package is a chain: each module imports only from those above it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

ORDER = (
    "formats",
    "ecg",
    "pictures",
    "inputs",
    "shipped",
    "fiducials",
    "labels",
    "limits",
    "simulate",
    "measurement",
    "page",
    "augment",
    "protocol",
    "report",
    "claims",
    "auditing",
    "fetch",
    "corpus",
    "rewards",
    "dropout",
    "tower",
    "model",
    "processing",
    "nano",
    "hub",
    "quantise",
    "room",
    "loading",
    "assemble",
    "pretrain",
    "coca",
    "probe",
    "towers",
    "sft",
    "decode",
    "reading",
    "evaluate",
    "rl",
    "card",
    "train",
    "plots",
    "display",
    "gallery",
    "studio",
    "notebook",
    "__main__",
)
PACKAGE = ROOT / "ecg_r1"


def imports(path: Path) -> set[str]:
    """Modules of the package that this file imports when it runs, typing-only ones left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and node.module == "ecg_r1":
            found |= {
                alias.name for alias in node.names if (PACKAGE / f"{alias.name}.py").exists()
            }
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ecg_r1."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            found |= {name.split(".")[1] for name in names if name.startswith("ecg_r1.")}
    return found


def modules() -> list[str]:
    files = sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")
    return files + sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


def test_every_module_has_a_place_in_the_order():
    assert set(modules()) <= set(ORDER)


@pytest.mark.parametrize("module", modules())
def test_a_module_imports_only_from_above(module):
    above = set(ORDER[: ORDER.index(module)])
    files = [PACKAGE / f"{module}.py", *(PACKAGE / module).glob("*.py")]
    found = set().union(*(imports(file) for file in files if file.exists()))
    assert found - {module} <= above


def test_the_checker_sees_an_upward_import(tmp_path):
    file = tmp_path / "page.py"
    file.write_text("def f():\n    from ecg_r1.reading import stream\n    import ecg_r1.sft\n")
    assert imports(file) == {"reading", "sft"}


@pytest.mark.parametrize(
    "statement",
    [
        "import ecg_r1",
        "import ecg_r1.__main__",
        "import ecg_r1; ecg_r1.measure, ecg_r1.draw_page",
    ],
)
def test_what_needs_no_model_loads_neither_torch_nor_transformers(statement):
    check = f"{statement}\nimport sys\nprint({{'torch', 'transformers'}} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
