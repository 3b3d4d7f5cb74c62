"""Applications that come and go: two of them have modules of the same names."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.codegen.applications import APPLICATIONS


@pytest.fixture(autouse=True)
def _modules(modules_as_before: None) -> None:
    pass


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A copy of the application with every type, free to be changed."""
    folder = tmp_path / "app"
    shutil.copytree(APPLICATIONS["constructs"], folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder
