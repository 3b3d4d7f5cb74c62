"""Rooms: many distinct live queries, of which each commit touches one."""

from __future__ import annotations

import asyncio
import time

from bench.chat import mark_in
from bench.jobs import Case, Contender, Measurement, Places, Scale, case
from bench.measuring import Meter, cpu_s
from bench.sides import HubSocket, PeerSide, Side, new_mark, room, side_of
from bench.sockets import WebSocket

TITLE = "Rooms"
TEXT = (
    "So many distinct live queries, each of a chat of its own with its newest 20 messages, ten on every socket; each message "
    "goes to one of the chats, in turn, and the next one when it was seen. What the open sockets cost while nothing is written "
    "is measured before, and taken off: the server's CPU here is that of the commits. An operation is one message."
)
OPERATION = "commit"
FRESH = False
ON_A_SOCKET = 10
SEEN_S = 10.0
OPENING = 20


def cases(scale: Scale) -> list[Case]:
    sizes = {"tiny": [20, 100], "quick": [100, 1000], "full": [100, 1000, 10_000]}[scale]
    seconds = {"tiny": 0.3, "quick": 0.8, "full": 1.5}[scale]
    contenders: list[Contender] = ["hub", "peer"]
    return [case("rooms", who, live_queries=size, seconds=seconds) for size in sizes for who in contenders]


class Watch:
    """Which mark was seen last, by whoever shows the room it went to."""

    def __init__(self) -> None:
        self._mark = -1
        self._seen: asyncio.Future[None] | None = None

    def expect(self, mark: int) -> asyncio.Future[None]:
        self._mark = mark
        self._seen = asyncio.get_running_loop().create_future()
        return self._seen

    def see(self, frame: bytes) -> None:
        if self._seen is not None and mark_in(frame) == self._mark:
            self._seen.set_result(None)
            self._seen = None


async def drive(case: Case, places: Places) -> Measurement:
    side = side_of(case, places)
    count = case.count("live queries")
    watch = Watch()
    sockets: list[WebSocket] = []
    starts = range(0, count, ON_A_SOCKET)
    for some in (starts[i : i + OPENING] for i in range(0, len(starts), OPENING)):
        sockets += await asyncio.gather(*(_open(side, places, range(n, min(n + ON_A_SOCKET, count)), watch) for n in some))
    await side.open_writer()
    idle_cpu_share = await _idle_share(side.pid, case.number("seconds") / 2)
    latencies_ms: list[float] = []
    stride = max(1, count // 97)  # so that a short run touches rooms of all ages
    meter = Meter(places, side.pid)
    until = time.perf_counter() + case.number("seconds")
    while time.perf_counter() < until or len(latencies_ms) < 5:
        mark = new_mark()
        seen = watch.expect(mark)
        started = time.perf_counter()
        await side.send(len(latencies_ms) * stride % count, mark)
        async with asyncio.timeout(SEEN_S):
            await seen
        latencies_ms.append((time.perf_counter() - started) * 1000)
    measured = meter.read(len(latencies_ms), latencies_ms, **{"% of a core when idle": idle_cpu_share * 100})
    measured.server_cpu_s = max(0.0, measured.server_cpu_s - idle_cpu_share * measured.wall_s)
    for socket in sockets:
        socket.close()
    side.close()
    return measured


async def _open(side: Side, places: Places, chats: range, watch: Watch) -> WebSocket:
    if isinstance(side, PeerSide):
        return await side.subscribe_all(chats, watch.see)
    session = HubSocket(places, watch.see)
    await session.open()
    await session.watch(*(room(chat) for chat in chats))
    return session.socket


async def _idle_share(pid: int, seconds: float) -> float:
    await asyncio.sleep(0.2)  # until what came with the subscriptions is over
    before, started = cpu_s(pid), time.perf_counter()
    await asyncio.sleep(seconds)
    return (cpu_s(pid) - before) / (time.perf_counter() - started)
