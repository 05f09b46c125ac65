"""The README keeps its word: front matter, commands, file tree, quick start."""

import re
import shlex
import subprocess
import sys

import click
import pytest
import yaml
from conftest import ROOT
from huggingface_hub.cli.hf import app as hf
from packaging.requirements import Requirement
from test_architecture import ORDER, modules

from ecg_r1 import DISCLAIMER
from ecg_r1.__main__ import command_line

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for found, text in BLOCKS if found == language]


def tree() -> list[str]:
    """Paths of the file tree, folders with a slash at their end."""
    drawn = next(text for text in blocks("") if text.startswith("README.md"))
    paths, folder = [], ""
    for line in drawn.splitlines():
        name = line.split()[0]
        inside = line.startswith(" ")
        paths.append(folder + name if inside else name)
        folder = folder if inside else name
    return paths


def test_the_spaces_header_fits_the_dependencies():
    header = yaml.safe_load(README.split("---\n")[1])
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    gradio = next(Requirement(line) for line in lines if line.startswith("gradio"))
    assert header["sdk"] == "gradio"
    assert gradio.specifier.contains(header["sdk_version"])
    assert header["python_version"] == "3.12"
    assert (ROOT / header["app_file"]).is_file()
    assert header["license"] == "apache-2.0"
    assert header["models"] == ["PKUDigitalHealth/ECG-R1-8B-RL"]


def test_the_disclaimer_stands_before_the_first_command():
    assert README.index(DISCLAIMER) < README.index("```")


@pytest.mark.parametrize("path", tree())
def test_every_path_of_the_tree_exists(path):
    assert (ROOT / path).is_dir() if path.endswith("/") else (ROOT / path).is_file()


def test_the_tree_names_every_module_in_import_order():
    named = [path.removeprefix("ecg_r1/").removesuffix(".py").strip("/") for path in tree()]
    named = [name for name in named if name in ORDER]
    assert named == [name for name in ORDER if name in named]
    assert set(modules()) <= set(named)


def test_the_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"^make (\w+)", "\n".join(blocks("sh")), re.MULTILINE))
    assert named == {"app", "test"}
    assert named <= set(re.findall(r"^(\w+):", makefile, re.MULTILINE))


@pytest.mark.parametrize(
    "line", re.findall(r"^python -m ecg_r1 (.*)$", README, re.MULTILINE), ids=str.strip
)
def test_every_command_line_is_understood(line):
    command_line().parse_args(shlex.split(line, comments=True))


@pytest.mark.parametrize("line", re.findall(r"^(hf .*)$|`(hf [^`]+)`", README, re.MULTILINE))
def test_the_hubs_own_command_line_is_understood(line):
    command, name, parent = hf, "hf", None
    words = shlex.split("".join(line))[1:]
    while isinstance(command, click.Group):
        parent = click.Context(command, parent=parent, info_name=name)
        name, command, words = command.resolve_command(parent, words)
    command.make_context(name, words, parent=parent)  # parsed, not run


def said_by(code: str) -> str:
    """What a Python example of the README prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_quick_start_runs():
    lines = said_by(blocks("python")[0]).splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["signal", "image", "both"]


def test_the_dialled_heart_is_what_its_comment_says():
    code = blocks("python")[1]
    promised = re.search(r"diagnoses\)  # (.*)", code)[1].split(", ")
    said = said_by(code).splitlines()[0]
    assert all(f"'{label}'" in said for label in promised)
    assert said.count("'") == 2 * len(promised)
