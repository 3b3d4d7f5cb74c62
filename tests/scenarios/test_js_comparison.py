"""What clients over native frames show is, to the sign of a zero, what a stock client beside them shows.

Random values are written while the network loses frames and connections. Now and then all clients are brought to the same moment,
by a value that they all show, and what they show of everything else is compared.
"""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, example, given, settings

from hub.client import AsyncHubClient
from hub.core.diff import same
from hub.protocol import json_values
from hub.protocol.msgpack_values import canonical
from hub.values import Int64, Value
from tests.conftest import require_chromium
from tests.protocol.test_json_values import values
from tests.scenarios.browser import Browser, bundle, chromium
from tests.scenarios.hub_process import HubProcess
from tests.scenarios.js_client import NEWEST, OLDEST, SCRIPTS
from tests.scenarios.proxy import COMPRESSION, Proxy
from tests.scenarios.random_values import changed, row
from tests.scenarios.scripts import Script, running

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("hub_client")]

CELLS = ("text", "rows", "nested", "scalar", "mark")


@pytest.fixture(scope="module")
def hub(hub_of_cells: HubProcess) -> HubProcess:
    return hub_of_cells


@pytest.fixture
def proxy(proxy: Proxy) -> Proxy:
    proxy.hides = (COMPRESSION,)
    return proxy


class Compared(Protocol):
    async def differences(self, mark: float) -> tuple[list[str], dict[str, int]]:
        """Once all clients show `mark` in its cell: the cells that any shows differently, and how many values each has shown."""
        ...


class InNode(Script):
    async def differences(self, mark: float) -> tuple[list[str], dict[str, int]]:
        self.write(json.dumps({"id": mark, "key": "mark", "value": mark}))
        done = await self.event(lambda event: event.get("id") == mark, timeout_s=60)
        assert not [event for event in self.events if event["event"] == "problem"]
        return done["differences"], done["counts"]


@dataclass(frozen=True, slots=True)
class InChromium:
    browser: Browser

    async def differences(self, mark: float) -> tuple[list[str], dict[str, int]]:
        done = await self.browser.call("page", "differences", {"key": "mark", "value": mark})
        return done["differences"], done["counts"]


async def compare(compared: Compared, hub: HubProcess, proxy: Proxy, *, rounds: int, commits: int, seed: int) -> dict[str, int]:
    """In each round many commits of four values each, a few lost frames, and at times a lost connection; then a look."""
    random = Random(seed)
    values: dict[str, Any] = fresh(random)
    async with AsyncHubClient(hub.url) as writer:
        await writer.mutation("cells:put", name="mark", value=0.0)
        await compared.differences(0.0)
        for mark in range(1, rounds + 1):
            proxy.loses = lambda: random.random() < 2 / commits
            for number in range(commits):
                values = next_of(random, values)
                await writer.mutation("cells:putAll", values=values)
                if number == commits // 2 and mark % 2:
                    proxy.cut()
            proxy.loses = lambda: False
            await writer.mutation("cells:put", name="mark", value=float(mark))
            differences, counts = await compared.differences(float(mark))
            assert differences == [], f"seed {seed}, round {mark}: {values}"
    return counts


def fresh(random: Random) -> dict[str, Any]:
    return {"text": "", "rows": [row(random)], "nested": {"a": {}}, "scalar": 0.0}


def next_of(random: Random, values: dict[str, Any]) -> dict[str, Any]:
    """Every value a little different; one that was replaced by something of another kind becomes what it was meant to be."""
    meant = fresh(random)
    kept = {name: old for name, old in values.items() if name == "scalar" or type(old) is type(meant[name])}
    return {name: changed(random, kept[name]) if name in kept else meant[name] for name in values}


@pytest.mark.parametrize(("version", "seed"), [(OLDEST, 1), (NEWEST, 2)])
async def test_random_values_are_the_same_in_node(version: str, seed: int, node: str, hub: HubProcess, proxy: Proxy) -> None:
    proxy.loses = lambda: False
    arguments = (str(SCRIPTS / "compare-node.mjs"), version, hub.url, proxy.url, *CELLS)
    async with running(InNode, node, *arguments) as script:
        counts = await compare(script, hub, proxy, rounds=4, commits=80, seed=seed)

    assert proxy.lost > 0
    assert min(counts.values()) > 100


async def test_random_values_are_the_same_in_chromium(node: str, hub: HubProcess, proxy: Proxy, tmp_path: Path) -> None:
    executable = require_chromium()
    bundle(node, tmp_path / "page.js", "compare-page.mjs")
    proxy.loses = lambda: False
    async with chromium(node, executable, tmp_path / "page.js") as browser:
        await browser.open("page", browser.address(direct=hub.url, lossy=proxy.url, cells=",".join(CELLS)))
        await compare(InChromium(browser), hub, proxy, rounds=3, commits=60, seed=3)

    assert proxy.lost > 0


@dataclass(slots=True)
class ThereAndBack:
    """Values through the clients in Node, one after the other."""

    process: subprocess.Popen[str]

    def send(self, value: Value) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json_values.encode(value) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


@pytest.fixture
def there_and_back(node: str, hub: HubProcess) -> Iterator[ThereAndBack]:
    command = [node, str(SCRIPTS / "values-node.mjs"), hub.url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield ThereAndBack(process)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@example(value=[0.0, -0.0, math.nan, math.inf, -math.inf, 2.0**53, Int64(5), Int64(-(2**63)), b"", b"\x00\xff", "👩‍👩‍👧", {}])
@given(value=values)
def test_every_value_comes_back_as_it_went(there_and_back: ThereAndBack, value: Value) -> None:
    """From here to Node, by both clients to the hub and its database, and back."""
    answer = there_and_back.send(value)

    assert answer.get("error") is None
    assert answer["different"] == []
    assert same(json_values.decode(answer["back"]), json_values.decode(json.loads(json_values.encode(value))))
    assert answer["canonical"] == canonical(value).hex()
