"""Idle sockets: what it costs to be there."""

from __future__ import annotations

import asyncio

from bench.jobs import Case, Contender, Measurement, Places, Scale, case
from bench.measuring import Meter, memory_bytes
from bench.sides import side_of
from bench.sockets import WebSocket

TITLE = "Idle sockets"
TEXT = (
    "So many sockets with one live query each, of a hundred rooms, and nothing is written; bare: as many accepted sockets; the "
    "peer: as many with one query. Memory is what the server's resident memory grew by, for each socket. An operation is one "
    "socket; the CPU is what all of them together cost (heartbeats)."
)
OPERATION = "socket"
FRESH = True
ROOMS = 100
OPENING = 100


def cases(scale: Scale) -> list[Case]:
    sockets, seconds = {"tiny": (100, 1.0), "quick": (1_000, 2.0), "full": (10_000, 20.0)}[scale]
    contenders: list[Contender] = ["hub", "bare", "peer"]
    return [case("idle", who, sockets=sockets, seconds=seconds) for who in contenders]


async def drive(case: Case, places: Places) -> Measurement:
    count = case.count("sockets")
    side = side_of(case, places)
    pid = side.pid
    is_bare = case.contender == "bare"

    def opening(n: int) -> asyncio.Task[WebSocket]:
        wanted = WebSocket.open(places.bare_url, "/idle", lambda _: None) if is_bare else side.subscribe(n % ROOMS, lambda _: None)
        return asyncio.ensure_future(wanted)

    sockets = list(await asyncio.gather(*(opening(n) for n in range(ROOMS))))  # what is loaded and made but once
    before = memory_bytes(pid)
    for start in range(0, count, OPENING):
        sockets += await asyncio.gather(*(opening(n) for n in range(start, min(start + OPENING, count))))
    await asyncio.sleep(0.5)
    grown = memory_bytes(pid) - before
    meter = Meter(places, pid)
    await asyncio.sleep(case.number("seconds"))
    measured = meter.read(count)
    measured.figures["KiB a socket"] = grown / count / 1024
    measured.figures["CPU s a minute"] = measured.server_cpu_s / measured.wall_s * 60
    for socket in sockets:
        socket.close()
    return measured
