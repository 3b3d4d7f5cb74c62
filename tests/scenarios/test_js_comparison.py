"""What clients over native frames show is, to the sign of a zero, what a stock client beside them shows.

Random values are written while the network loses frames and connections. Now and then all clients are brought to the same moment,
by a value that they all show, and what they show of everything else is compared.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Protocol

import pytest

from hub.client import AsyncHubClient
from hub.mongo.embedded import MongodBinary
from tests.conftest import require_chromium
from tests.scenarios.browser import Browser, bundle, chromium
from tests.scenarios.hub_process import HubProcess
from tests.scenarios.js_client import NEWEST, OLDEST, SCRIPTS
from tests.scenarios.proxy import COMPRESSION, Proxy, proxy_to
from tests.scenarios.random_values import changed, row
from tests.scenarios.scripts import Script, running

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("hub_client")]

APPLICATION = Path(__file__).parent / "application"
CELLS = ("text", "rows", "nested", "scalar", "mark")


@pytest.fixture(scope="module")
def hub(mongod_binary: MongodBinary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("hub"), app=APPLICATION) as hub:
        yield hub


@pytest.fixture
async def proxy(hub: HubProcess) -> AsyncIterator[Proxy]:
    async with proxy_to(hub.port) as proxy:
        proxy.hides = (COMPRESSION,)
        yield proxy


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
    values: dict[str, Any] = {"text": "", "rows": [row(random)], "nested": {"a": {}}, "scalar": 0.0}
    async with AsyncHubClient(hub.url) as writer:
        await writer.mutation("cells:put", name="mark", value=0.0)
        await compared.differences(0.0)
        for mark in range(1, rounds + 1):
            proxy.loses = lambda: random.random() < 2 / commits
            for number in range(commits):
                values = {name: changed(random, old) for name, old in values.items()}
                await writer.mutation("cells:putAll", values=values)
                if number == commits // 2 and mark % 2:
                    proxy.cut()
            proxy.loses = lambda: False
            await writer.mutation("cells:put", name="mark", value=float(mark))
            differences, counts = await compared.differences(float(mark))
            assert differences == [], f"seed {seed}, round {mark}: {values}"
    return counts


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
