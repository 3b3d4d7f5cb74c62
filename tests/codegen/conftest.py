"""Applications that come and go: two of them have modules of the same names."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.codegen.applications import APPLICATIONS


@pytest.fixture(autouse=True)
def _modules_as_before() -> Iterator[None]:
    """Other tests import applications of the same names, too."""
    names = ("schema", "queries", "mutations")
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in names}
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] in names]:
        del sys.modules[name]
    sys.modules.update(before)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A copy of the application with every type, free to be changed."""
    folder = tmp_path / "app"
    shutil.copytree(APPLICATIONS["constructs"], folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder
