"""Fan-out: one chat, many subscribers; each send is awaited by all of them before the next."""

from __future__ import annotations

import asyncio
import time

from bench.chat import mark_in
from bench.jobs import Case, Contender, Measurement, Places, Scale, case
from bench.measuring import Meter
from bench.sides import new_mark, side_of
from bench.sockets import WebSocket

TITLE = "Fan-out"
TEXT = (
    "One chat and so many subscribers, each on a socket and with a query set of its own, who show its newest 20 messages of 200 "
    "bytes. The next message is sent when all have seen the one before. The hub sends each of them the whole list in the stock "
    "client's format, and what changed in the list in its own; bare is a Starlette application that sends the same number of bytes "
    "to the same number of sockets; the peer sends the new object alone. Deflate is off everywhere. An operation is one delivery; "
    "latency is from the sending of the message to its arrival at a subscriber."
)
OPERATION = "delivery"
FRESH = False
ALL_ARRIVED_S = 30.0
OPENING = 100
"""Sockets that are opened at the same time."""


def cases(scale: Scale) -> list[Case]:
    sizes = {"tiny": [1, 50], "quick": [1, 100, 1000], "full": [1, 100, 1000, 5000]}[scale]
    seconds = {"tiny": 0.3, "quick": 0.8, "full": 1.0}[scale]
    contenders: list[Contender] = ["hub", "hub native", "bare", "peer"]
    return [case("fan_out", who, subscribers=size, seconds=seconds) for size in sizes for who in contenders]


class Audience:
    """All subscribers of the chat; knows when each of them has seen a mark."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.latencies_ms: list[float] = []
        self.frame_bytes = 0
        self._mark = -1
        self._missing = 0
        self._sent_at = 0.0
        self._all: asyncio.Future[None] | None = None

    def expect(self, mark: int) -> asyncio.Future[None]:
        self._mark, self._missing, self._sent_at = mark, self.size, time.perf_counter()
        self._all = asyncio.get_running_loop().create_future()
        return self._all

    def see(self, frame: bytes) -> None:
        if mark_in(frame) != self._mark or self._all is None:
            return
        self.frame_bytes = len(frame)
        self.latencies_ms.append((time.perf_counter() - self._sent_at) * 1000)
        self._missing -= 1
        if self._missing == 0 and not self._all.done():
            self._all.set_result(None)


async def drive(case: Case, places: Places) -> Measurement:
    side = side_of(case, places)
    audience = Audience(case.count("subscribers"))
    sockets: list[WebSocket] = []
    for start in range(0, audience.size, OPENING):
        opening = [side.subscribe(0, audience.see) for _ in range(min(OPENING, audience.size - start))]
        sockets += await asyncio.gather(*opening)
    await side.open_writer()

    async def publish() -> None:
        mark = new_mark()
        all_arrived = audience.expect(mark)
        await side.send(0, mark)
        async with asyncio.timeout(ALL_ARRIVED_S):
            await all_arrived

    for _ in range(3):
        await publish()
    audience.latencies_ms.clear()
    commits = 0
    meter = Meter(places, side.pid)
    until = time.perf_counter() + case.number("seconds")
    while time.perf_counter() < until or commits < 3:
        await publish()
        commits += 1
    measured = meter.read(commits * audience.size, audience.latencies_ms, **{"bytes a frame": audience.frame_bytes})
    if case.contender == "hub":
        assert audience.frame_bytes > 1_000, "a list, not a message"
    for socket in sockets:
        socket.close()
    side.close()
    return measured
