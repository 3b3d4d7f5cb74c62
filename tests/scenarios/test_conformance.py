"""WebSocket conformance: the Autobahn cases (PyPI `kosoku`) against the running server.

The suite expects a server that echoes. This one speaks a protocol of its own and answers what is no message of it by saying so
and closing. So the cases that do not depend on the echo count: pings and pongs, reserved bits and opcodes, broken fragments,
invalid UTF-8, closing handshakes.
"""

from __future__ import annotations

import pytest
from kosoku import FailureError, run_fuzzingclient

from tests.scenarios.hub_process import HubProcess

pytestmark = pytest.mark.real


async def failures(hub: HubProcess, cases: list[str], exclude: list[str]) -> list[str]:
    try:
        await run_fuzzingclient(f"ws://127.0.0.1:{hub.port}/api/sync", cases, exclude, concurrency=4)
    except FailureError as failed:
        return [str(result) for result in failed.results]
    return []


async def test_frames_are_handled_as_the_standard_says(hub: HubProcess) -> None:
    assert await failures(hub, ["2.*", "3.*", "4.*", "5.*", "6.*", "7.*"], []) == []
