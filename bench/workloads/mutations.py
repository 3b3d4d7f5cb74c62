"""Mutations: `messages:send`, so many in flight, to one chat or to many."""

from __future__ import annotations

import asyncio
import itertools
import time

from pymongo import AsyncMongoClient

from bench.chat import Document
from bench.jobs import Case, Contender, Measurement, Places, Scale, case
from bench.measuring import Meter
from bench.sides import Side, new_mark, side_of
from bench.transactions import send

TITLE = "Mutations"
TEXT = (
    "`messages:send` with the user's message and the assistant's reply: the chat and both names are looked up, two rows "
    "inserted, the chat updated. So many clients, each with one call under way, over WebSockets (hub) and HTTP (hub http); to "
    "many chats, or all to one. The bare loop does the same reads and writes, one transaction each, straight on the driver, in "
    "the load generator's own process: that is its server. It has no request record and no clock row. The peer inserts one "
    "object, without a transaction. Each chat was met once before. An operation is one call; latency is to its acknowledgement."
)
OPERATION = "call"
FRESH = False
CHATS = 100
FIRST_CHAT = 20
MOST_BARE = 32
"""Of more bare transactions on one row most are refused, again and again: the last ones are through after minutes."""


def cases(scale: Scale) -> list[Case]:
    in_flight = {"tiny": [1, 8], "quick": [1, 32], "full": [1, 8, 32, 128]}[scale]
    seconds = {"tiny": 0.3, "quick": 0.6, "full": 1.3}[scale]
    everybody: list[Contender] = ["hub", "hub http", "bare loop", "peer"]
    transactional: list[Contender] = ["hub", "hub http", "bare loop"]
    many = [case("mutations", who, in_flight=n, chats="many", seconds=seconds) for n in in_flight for who in everybody]
    one = [case("mutations", who, in_flight=n, chats="one", seconds=seconds) for n in in_flight for who in transactional]
    return many + [case for case in one if case.contender != "bare loop" or case.count("in flight") <= MOST_BARE]


async def drive(case: Case, places: Places) -> Measurement:
    in_flight = case.count("in flight")
    chats = [FIRST_CHAT] if case.text("chats") == "one" else list(range(FIRST_CHAT, FIRST_CHAT + CHATS))
    if case.contender == "bare loop":
        async with AsyncMongoClient[Document](places.mongo_url, maxPoolSize=in_flight + 2) as client:
            return await _measure(case, places, None, [_Loop(client) for _ in range(in_flight)], chats)
    sides = [side_of(case, places) for _ in range(in_flight)]
    await asyncio.gather(*(side.open_writer() for side in sides))
    try:
        return await _measure(case, places, sides[0].pid, sides, chats)
    finally:
        for side in sides:
            side.close()


class _Loop:
    def __init__(self, client: AsyncMongoClient[Document]) -> None:
        self._client = client

    async def send(self, chat: int, mark: int) -> None:
        await send(self._client, chat, mark)


async def _measure(
    case: Case, places: Places, server: int | None, senders: list[Side] | list[_Loop], chats: list[int]
) -> Measurement:
    turns = itertools.cycle(chats)
    latencies_ms: list[float] = []

    async def meet_all() -> None:
        """A chat met for the first time is read from the database by the hub: that is not what is measured here."""
        unmet = iter(chats)

        async def meet(sender: Side | _Loop) -> None:
            for chat in unmet:
                await sender.send(chat, new_mark())

        async with asyncio.TaskGroup() as tasks:
            for sender in senders:
                tasks.create_task(meet(sender))

    async def send_until(sender: Side | _Loop, until: float) -> None:
        while (started := time.perf_counter()) < until:
            await sender.send(next(turns), new_mark())
            latencies_ms.append((time.perf_counter() - started) * 1000)

    async def all_until(until: float) -> None:
        async with asyncio.TaskGroup() as tasks:
            for sender in senders:
                tasks.create_task(send_until(sender, until))

    await meet_all()
    await all_until(time.perf_counter() + min(0.3, case.number("seconds") / 4))
    latencies_ms.clear()
    meter = Meter(places, server)
    await all_until(time.perf_counter() + case.number("seconds"))
    return meter.read(len(latencies_ms), latencies_ms)
