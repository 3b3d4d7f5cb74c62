"""Subscribe storm: everybody connects at once, as after a deployment."""

from __future__ import annotations

import asyncio
import time

from bench.chat import USERS
from bench.jobs import Case, Contender, Measurement, Places, Scale, case
from bench.measuring import Meter
from bench.sides import HubSocket, room, sidebar
from bench.sockets import WebSocket

TITLE = "Subscribe storm"
TEXT = (
    "So many sockets connect at once, and each asks for three queries: a sidebar and two rooms, which 500 users share. Cold: "
    "nobody shows them before. Warm: somebody shows all of them. Bare accepts the same sockets and is asked nothing. Latency is "
    "from the start of a socket's connect to its last first result. An operation is one subscription (three on each socket)."
)
OPERATION = "subscription"
FRESH = True
QUERIES = 3
AT_ONCE = 500
"""Handshakes under way at the same time: the kernel's queue of a listening socket is not what is measured."""


def cases(scale: Scale) -> list[Case]:
    sockets = {"tiny": 30, "quick": 500, "full": 2000}[scale]
    contenders: list[Contender] = ["cold", "warm", "bare"]
    return [case("storm", who, sockets=sockets) for who in contenders]


async def _subscribe(places: Places, user: int) -> WebSocket:
    session = HubSocket(places)
    await session.open()
    await session.watch(sidebar(user), room(user), room(user + USERS))
    return session.socket


async def drive(case: Case, places: Places) -> Measurement:
    count = case.count("sockets")
    gate = asyncio.Semaphore(AT_ONCE)
    latencies_ms: list[float] = []
    holders: list[WebSocket] = []
    if case.contender == "warm":
        holders = [await _subscribe(places, user) for user in range(min(count, USERS))]
    is_bare = case.contender == "bare"

    async def one(n: int) -> WebSocket:
        async with gate:
            started = time.perf_counter()
            opening = WebSocket.open(places.bare_url, "/idle", lambda _: None) if is_bare else _subscribe(places, n % USERS)
            socket = await opening
            latencies_ms.append((time.perf_counter() - started) * 1000)
            return socket

    meter = Meter(places, places.bare_pid if is_bare else places.hub_pid)
    sockets = await asyncio.gather(*(one(n) for n in range(count)))
    measured = meter.read(count * QUERIES, latencies_ms)
    for socket in [*sockets, *holders]:
        socket.close()
    return measured
