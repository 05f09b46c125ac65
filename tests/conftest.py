"""Fixtures: where the real ECGs are, when they are there."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real ECGs and recorded reference numbers beside the project."""
    folder = ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip(f"needs the real ECGs in {folder}, which are not here")
    return folder


@pytest.fixture(scope="session")
def assets() -> Path:
    return ROOT / "assets"
