"""Light load: one writer, one other client; how long until that one sees the message?"""

from __future__ import annotations

import asyncio
import time

from bench.jobs import Case, Contender, Measurement, Places, Scale, case
from bench.measuring import Meter
from bench.sides import new_mark, side_of
from bench.workloads.fan_out import ALL_ARRIVED_S, Audience

TITLE = "Commit to another client, light load"
TEXT = (
    "One client sends a message to a chat every 20 ms, another one shows the chat. Bare does the same reads and writes in one "
    "transaction, and sends what its own change stream brings; nothing else. The peer inserts one object. Latency is from the "
    "sending of the message to its arrival at the other client; the acknowledgement is the writer's own."
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
    await side.open_writer()
    acknowledged_ms: list[float] = []

    async def one() -> None:
        mark = new_mark()
        seen = other.expect(mark)
        started = time.perf_counter()
        await side.send(CHAT, mark)
        acknowledged_ms.append((time.perf_counter() - started) * 1000)
        async with asyncio.timeout(ALL_ARRIVED_S):
            await seen
        await asyncio.sleep(PAUSE_S)

    for _ in range(5):
        await one()
    other.latencies_ms.clear()
    acknowledged_ms.clear()
    meter = Meter(places, side.pid)
    for _ in range(case.count("messages")):
        await one()
    acknowledged_ms.sort()
    measured = meter.read(
        case.count("messages"), other.latencies_ms, **{"ms to the acknowledgement, p50": acknowledged_ms[len(acknowledged_ms) // 2]}
    )
    socket.close()
    side.close()
    return measured
