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
    "nobody shows them before. Warm: somebody shows all of them. Bare accepts the same sockets and is asked nothing; the peer is "
    "left out, its subscriptions bring no first result. Latency is from the start of a socket's connect to its last first "
    "result. An operation is one subscription (three on each socket)."
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


async def _opened(places: Places) -> HubSocket:
    session = HubSocket(places)
    await session.open()
    return session


async def _watch(session: HubSocket, user: int) -> None:
    await session.watch(sidebar(user), room(user), room(user + USERS))


async def drive(case: Case, places: Places) -> Measurement:
    count = case.count("sockets")
    gate = asyncio.Semaphore(AT_ONCE)
    latencies_ms: list[float] = []
    holders: list[WebSocket] = []
    if case.contender == "warm":
        for user in range(min(count, USERS)):
            session = await _opened(places)
            await _watch(session, user)
            holders.append(session.socket)
    is_bare = case.contender == "bare"

    async def one(n: int) -> WebSocket:
        async with gate:
            started = time.perf_counter()
            session = None if is_bare else await _opened(places)
            socket = await WebSocket.open(places.bare_url, "/idle", lambda _: None) if session is None else session.socket
        if session is not None:
            await _watch(session, n % USERS)
        latencies_ms.append((time.perf_counter() - started) * 1000)
        return socket

    meter = Meter(places, places.bare_pid if is_bare else places.hub_pid)
    sockets = await asyncio.gather(*(one(n) for n in range(count)))
    measured = meter.read(count * QUERIES, latencies_ms)
    for socket in [*sockets, *holders]:
        socket.close()
    return measured
