"""The session that docs/session.md shows can be had by anybody: the same commands print the same, but for ids and times."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hub.mongo.embedded import MongodBinary
from tests.docs.pages import blocks
from tests.docs.session import PAGE, Terminals, masked, play
from tests.scenarios.hub_process import HubProcess


@pytest.mark.real
def test_the_session_of_the_page_can_be_repeated(mongod_binary: MongodBinary, reader: Path, tmp_path: Path) -> None:
    shown = {" ".join(block.words): block.text for block in blocks(PAGE) if block.language == "console"}
    with HubProcess(tmp_path, options=("--no-reload",)) as hub:
        played = play(Terminals(hub.url, tmp_path / "output.txt", reader))
        assert ready_line(hub.output).replace(hub.url, "http://127.0.0.1:8000") == ready_line(shown["make dev"])
    assert {name: masked(shown[name]) for name in played} == {name: masked(str(block)) for name, block in played.items()}


def ready_line(output: str) -> str:
    """Without the place of the database."""
    (line,) = [line for line in output.splitlines() if line.startswith("hub is ready")]
    return re.sub(r"\(database [^;]*", "(database", line)
