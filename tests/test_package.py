"""What is installed is what runs: dependencies, and the files that a wheel carries."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
from conftest import ROOT
from packaging.requirements import Requirement

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MODULE_OF = {
    "pillow": "PIL",
    "fpdf2": "fpdf",
    "scikit-learn": "sklearn",
    "rouge-score": "rouge_score",
    "sentence-transformers": "sentence_transformers",
}
# Brought by a named dependency that could not work without it.
COMES_WITH = {
    "huggingface_hub": "transformers",
    "fastapi": "gradio",
    "gradio_client": "gradio",
    "starlette": "gradio",
    "pyarrow": "datasets",
    "IPython": "ipywidgets",
}


def runtime() -> list[Requirement]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def imported() -> set[str]:
    """Top-level third-party modules that the package or the app import."""
    found = set()
    for path in [ROOT / "app.py", *(ROOT / "ecg_r1").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"ecg_r1"}


def test_each_dependency_stands_once():
    extras = PROJECT["project"]["optional-dependencies"]
    names = [need.name for need in runtime()]
    assert len(names) == len(set(names))
    for needs in extras.values():
        assert not {Requirement(need).name for need in needs} & set(names)


def test_every_import_is_a_declared_dependency():
    declared = {need.name for need in runtime()}
    extras = PROJECT["project"]["optional-dependencies"]
    declared |= {
        Requirement(n).name for extra, needs in extras.items() if extra != "dev" for n in needs
    }
    declared = {MODULE_OF.get(name, name) for name in declared}
    known = declared | {name for name, by in COMES_WITH.items() if by in declared}
    assert imported() <= known


def test_torch_stays_in_the_range_that_was_promised():
    torch = next(need for need in runtime() if need.name == "torch")
    assert str(torch.specifier) in (">=2.8,<2.14", "<2.14,>=2.8")


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """The folder that a built wheel was installed into, far from the checkout."""
    base = tmp_path_factory.mktemp("wheel")
    source = base / "source"
    for name in ("ecg_r1", "assets"):
        shutil.copytree(
            ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("pyproject.toml", "requirements.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    wheel = [
        *pip,
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        "dist",
        ".",
    ]
    subprocess.run(wheel, cwd=source, check=True, capture_output=True)
    built = next((source / "dist").glob("*.whl"))
    target = base / "site"
    subprocess.run(
        [*pip, "install", "--no-deps", "--no-index", "--target", str(target), str(built)],
        check=True,
        capture_output=True,
    )
    return target


def run_far_away(code, installed, folder):
    """What a script prints that sees the installed wheel and not the checkout."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.slow
def test_a_wheel_carries_the_assets_and_finds_them_from_any_folder(installed, tmp_path):
    code = (
        "from ecg_r1.shipped import shipped\n"
        "for path in sorted(shipped().rglob('*')):\n"
        "    print(path) if path.is_file() else None"
    )
    told = run_far_away(code, installed, tmp_path)
    carried = {
        re.sub(r".*/ecg_r1/assets/", "", line)
        for line in told.splitlines()
        if line.startswith(str(installed))
    }
    here = {p.relative_to(ROOT / "assets") for p in (ROOT / "assets").rglob("*") if p.is_file()}
    assert "ecgs/examples.json" in carried
    assert {path.as_posix() for path in here if path.suffix != ".pyc"} <= carried


@pytest.mark.slow
def test_the_shipped_model_loads_from_a_wheel_in_any_folder(installed, tmp_path):
    code = "import ecg_r1; print(ecg_r1.load_model('nano').model.config.name_or_path)"
    told = run_far_away(code, installed, tmp_path)
    assert told.strip() == str(installed / "ecg_r1" / "assets" / "nano")
