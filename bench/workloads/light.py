"""Light load: one writer, one other client; how long until that one sees the message?"""

from __future__ import annotations

import asyncio
import time

from bench.jobs import Case, Contender, Measurement, Places, Scale, case
from bench.measuring import Meter
from bench.sides import HubSide, new_mark, side_of
from bench.statistics import median
from bench.workloads.fan_out import ALL_ARRIVED_S, Audience

TITLE = "Commit to another client, light load"
TEXT = (
    "One client sends a message to a chat every 20 ms, another one shows the chat. Bare does the same reads and writes in one "
    "transaction, and sends what its own change stream brings; nothing else. The peer inserts one object. Latency is from the "
    "sending of the message to its arrival at the other client; the acknowledgement and the own transition are the writer's."
)
OPERATION = "message"
FRESH = False
PAUSE_S = 0.02
CHAT = 1


def cases(scale: Scale) -> list[Case]:
    messages = {"tiny": 10, "quick": 30, "full": 100}[scale]
    contenders: list[Contender] = ["hub", "bare", "peer"]
    return [case("light", who, messages=messages) for who in contenders]


async def drive(case: Case, places: Places) -> Measurement:
    side = side_of(case, places)
    other = Audience(1)
    socket = await side.subscribe(CHAT, other.see)
    acknowledged_ms: list[float] = []
    own_ms: list[float] = []
    own_frame_at = 0.0

    def see_own(_: bytes) -> None:
        nonlocal own_frame_at
        own_frame_at = time.perf_counter()

    if isinstance(side, HubSide):
        side.on_own_frame = see_own
    await side.open_writer()

    async def one() -> None:
        mark = new_mark()
        seen = other.expect(mark)
        started = time.perf_counter()
        await side.send(CHAT, mark)
        acknowledged_ms.append((time.perf_counter() - started) * 1000)
        async with asyncio.timeout(ALL_ARRIVED_S):
            await seen
        await asyncio.sleep(PAUSE_S)
        if own_frame_at > started:
            own_ms.append((own_frame_at - started) * 1000)

    for _ in range(5):
        await one()
    other.latencies_ms.clear()
    acknowledged_ms.clear()
    own_ms.clear()
    meter = Meter(places, side.pid)
    for _ in range(case.count("messages")):
        await one()
    measured = meter.read(case.count("messages"), other.latencies_ms)
    measured.figures["ms to the acknowledgement, p50"] = median(acknowledged_ms)
    if own_ms:
        measured.figures["ms to the own transition, p50"] = median(own_ms)
    socket.close()
    side.close()
    return measured
