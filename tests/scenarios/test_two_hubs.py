"""Two hub processes on one database, writing the same rows: what they answered has a serial order, and both get on."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from tests.live.harness import APPLICATION
from tests.live.histories import Appended, problem
from tests.scenarios.hub_process import HubProcess

KEY = "a service key for tests"
ROOMS = [f"list {n}" for n in range(4)]
CLIENTS, CALLS = 8, 5
"""Clients of each hub, and calls of each client."""

pytestmark = pytest.mark.real


class Hub:
    """A process, and somebody who calls it."""

    def __init__(self, process: HubProcess, http: httpx.AsyncClient) -> None:
        self.process = process
        self._http = http

    async def call(self, kind: str, path: str, key: str | None = None, **args: Any) -> Any:
        headers = {"Authorization": f"Convex {KEY}"} | ({"Idempotency-Key": key} if key else {})
        body = {"path": path, "args": args}
        reply = (await self._http.post(f"{self.process.url}/api/{kind}", json=body, headers=headers)).json()
        assert reply["status"] == "success", reply
        return reply["value"]

    async def counted(self, name: str) -> float:
        headers = {"Authorization": f"Convex {KEY}"}
        text = (await self._http.get(f"{self.process.url}/metrics", headers=headers)).text
        found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
        assert found, text
        return float(found[1])


@pytest.fixture(scope="module")
def processes(mongo_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[HubProcess]]:
    folder = tmp_path_factory.mktemp("hubs")
    environment = {
        "HUB_MONGO_URL": mongo_url,
        "HUB_MONGO_DB": "two_hubs",
        "HUB_ADMIN_KEY": KEY,
        "HUB_AUTH_OPTIONAL": "1",
        "HUB_MUTATION_DEADLINE_S": "60",
    }
    hubs = [HubProcess(folder / f"hub-{n}", app=APPLICATION, command="serve", environment=environment) for n in range(2)]
    try:
        for hub in hubs:
            hub.launch()
        for hub in hubs:
            hub.until_ready()
        yield hubs
    finally:
        for hub in hubs:
            hub.stop()


@pytest.fixture
async def hubs(processes: list[HubProcess]) -> AsyncIterator[list[Hub]]:
    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=64)) as http:
        yield [Hub(process, http) for process in processes]


async def append(hub: Hub, name: str, chance: random.Random) -> Appended:
    to, looked_at = chance.choice(ROOMS), chance.sample(ROOMS, chance.randint(0, 3))
    seen = await hub.call("mutation", "notes:append", name, room=to, value=name, lookAt=looked_at)
    return Appended(name, to, dict(zip(looked_at, seen, strict=True)))


async def test_lists_that_both_append_to_have_a_serial_order(hubs: list[Hub]) -> None:
    chance = random.Random(11)  # the script is always the same; how it interleaves is not

    async def client(hub: Hub, name: str) -> list[Appended]:
        return [await append(hub, f"{name}.{n}", chance) for n in range(CALLS)]

    started = time.monotonic()
    parts = await asyncio.gather(*(client(hub, f"{n}-{c}") for n, hub in enumerate(hubs) for c in range(CLIENTS)))
    took_s = time.monotonic() - started

    history = list(itertools.chain.from_iterable(parts))
    final = {
        room: [row["text"] for row in await hubs[0].call("query", "notes:between", room=room, low=0, high=10_000)] for room in ROOMS
    }
    assert problem(history, final) is None
    commits = [await hub.counted("hub_batch_mutations_count") for hub in hubs]
    conflicts = sum([await hub.counted("hub_conflicts_total") for hub in hubs])
    print(f"{len(history) / took_s:.0f} mutations in {sum(commits) / took_s:.0f} commits a second, {conflicts:.0f} conflicts")
    assert min(commits) >= 1, "both got on"
    assert sum(commits) < len(history), "they were committed in batches"
    assert conflicts > 0, "they were in each other's way, else nothing was tested"


async def test_write_skew_between_them_cannot_happen(hubs: list[Hub]) -> None:
    one, other = hubs
    pairs = [(f"left {n}", f"right {n}") for n in range(12)]
    await asyncio.gather(*(one.call("mutation", "notes:addTwo", one=left, other=right, rank=1) for left, right in pairs))

    async def race(left: str, right: str) -> tuple[bool, bool]:
        calls = (
            one.call("mutation", "notes:takeLast", mine=left, other=right),
            other.call("mutation", "notes:takeLast", mine=right, other=left),
        )
        mine, theirs = await asyncio.gather(*calls)
        return mine, theirs

    results = await asyncio.gather(*itertools.starmap(race, pairs))

    assert [sorted(result) for result in results] == [[False, True]] * len(pairs)
