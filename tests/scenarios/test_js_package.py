"""The npm package `hub-client` by itself: its pure parts, in Node's own test runner, and what it weighs in a browser."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.scenarios.js_client import SCRIPTS

pytestmark = pytest.mark.real


def test_the_pure_parts_keep_their_promises(node: str, hub_client: Path) -> None:
    done = subprocess.run(
        [node, "--test", str(SCRIPTS / "units")], cwd=hub_client, capture_output=True, text=True, timeout=100, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_its_types_accept_what_is_right_and_refuse_what_is_wrong(node: str, hub_client: Path) -> None:
    """With the generated types of the chat; every mistake in it is one that is expected."""
    tsc = SCRIPTS / "node_modules" / "typescript" / "bin" / "tsc"
    command = [node, str(tsc), "-p", str(SCRIPTS / "client-types")]

    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)

    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("names", "limit_bytes"),
    [
        pytest.param("hubTransport", 7_000, id="the transport"),
        pytest.param("HubClient", 6_500, id="the client"),
        pytest.param("sessionCache", 1_400, id="a cache, which is left out where it is not used"),
    ],
)
def test_a_browser_loads_little(names: str, limit_bytes: int, node: str, hub_client: Path) -> None:
    """Minified and gzipped, without the MessagePack library."""
    done = subprocess.run([node, str(SCRIPTS / "size.mjs"), names], capture_output=True, text=True, timeout=60, check=True)
    sizes = json.loads(done.stdout)

    assert sizes["withoutMessagePack"] <= limit_bytes, sizes
