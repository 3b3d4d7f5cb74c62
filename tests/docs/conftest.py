"""Hubs that the documents' examples call, and a folder in which a reader would type them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

import pytest

from hub.mongo.embedded import MongodBinary
from tests.docs.pages import REPOSITORY, application, callers
from tests.scenarios.conftest import node as node  # the fixture
from tests.scenarios.hub_process import HubProcess

NEWEST_CLIENT = REPOSITORY / "tests" / "js" / "node_modules" / "convex-1.48.0"
ADDRESS = "http://127.0.0.1:8000"
TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Terminal:
    """A shell in a reader's folder, with everything the documents say is installed. Their address is this hub's."""

    folder: Path
    hub: HubProcess

    def command(self, text: str) -> str:
        """What the documents say to type, as it must be typed here."""
        return re.sub(r"(\S*/)?\.venv/bin/hub\b", "hub", text).replace(ADDRESS, self.hub.url)

    @property
    def environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("HUB_", "http_", "HTTP_"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        database = f"mongodb://{quote(str(self.hub.data / 'mongo' / 'm.sock'), safe='')}/?directConnection=true"
        own = {"PATH": path, "HUB_DATA_DIR": str(self.hub.data), "HUB_APP_DIR": str(self.hub.app), "MONGO_URL": database}
        return {**clean, **own, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}

    def run(self, text: str) -> str:
        """What a command prints. One that fails fails the test."""
        # `-s` and a line feed after each answer: curl alone shows progress when it is not looked at, and ends no line.
        prelude = 'curl() { command curl --silent --show-error --write-out "\\n" "$@"; }\nset -e\n'
        done = subprocess.run(
            ["bash", "-c", prelude + self.command(text)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}\n{self.hub.output}"
        return "".join(f"{line}\n" for line in done.stdout.splitlines() if line)


@pytest.fixture(scope="session")
def reader(node: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `npm install convex` was typed, with the examples in it."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "node_modules").mkdir()
    (folder / "node_modules" / "convex").symlink_to(NEWEST_CLIENT)
    for example in (REPOSITORY / "docs" / "examples").iterdir():
        (folder / example.name).write_text(example.read_text())
    return folder


@pytest.fixture(scope="module")
def chat_terminal(mongod_binary: MongodBinary, reader: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """Beside a hub with the repository's own application."""
    with HubProcess(tmp_path_factory.mktemp("hub"), options=("--no-reload",)) as hub:
        yield Terminal(reader, hub)


@pytest.fixture
def page_terminal(mongod_binary: MongodBinary, reader: Path, tmp_path: Path) -> Iterator[Callable[[Path], Terminal]]:
    """Beside a hub with the application of a page; one for a test."""
    with ExitStack() as hubs:

        @cache
        def terminal(page: Path) -> Terminal:
            application(page, tmp_path / "app")
            callers(page, reader)
            hub = HubProcess(tmp_path / "hub", app=tmp_path / "app", options=("--no-reload",))
            return Terminal(reader, hubs.enter_context(hub))

        yield terminal
