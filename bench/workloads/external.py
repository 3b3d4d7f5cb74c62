"""External writes: another program inserts rows; what does the hub pay, and when is it seen?"""

from __future__ import annotations

import asyncio
import itertools
import os
import time

from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection

from bench.chat import BARE_DB, HUB_DB, USERS, Document, mark_in, message_row
from bench.jobs import Case, Contender, Measurement, Places, Scale, case
from bench.measuring import Meter
from bench.sides import new_mark, side_of

TITLE = "External writes"
TEXT = (
    "A script inserts rows straight into MongoDB, at the given rate, in batches of 50: into `messages`, spread over 80 chats of "
    "which none is shown (watched), or into a collection that is no table of the hub (unwatched). Ten times a second it inserts "
    "a row into the chat that is shown. Latency is from that insert's call to its arrival at the subscriber. An operation is "
    "one row. `finds` counts how often the tables were read in the database meanwhile, for each commit that the shown chat saw. "
    "Bare follows the same rows with a change stream of its own and sends those of the shown chat; the peer sees only what is "
    "written through it."
)
OPERATION = "row"
FRESH = False
BATCH = 50
SHOWN_EVERY_S = 0.1
SHOWN_CHAT = 5
FIRST_CHAT = 10


def cases(scale: Scale) -> list[Case]:
    rate, seconds = {"tiny": (500, 1.0), "quick": (5_000, 1.5), "full": (5_000, 3.0)}[scale]
    contenders: list[Contender] = ["hub", "bare"]
    return [
        case("external", who, rows_per_s=rate, collection=name, seconds=seconds)
        for name in ("watched", "unwatched")
        for who in contenders
    ]


class Writer:
    """The script: keeps to its rate as long as the database does."""

    def __init__(self, into: AsyncCollection[Document], chats: int) -> None:
        self._into = into
        self._numbers = itertools.count()
        self._run = f"x{os.getpid()}-"
        self._chats = chats
        self.written = 0

    async def write(self, rows_per_s: float, seconds: float) -> None:
        started = time.perf_counter()
        while (elapsed := time.perf_counter() - started) < seconds:
            if self.written < rows_per_s * elapsed:
                await self._into.insert_many([self._row() for _ in range(BATCH)], ordered=False)
                self.written += BATCH
            else:
                await asyncio.sleep(0.002)

    def _row(self) -> Document:
        n = next(self._numbers)
        return message_row(f"{self._run}{n}", FIRST_CHAT + n % self._chats, USERS, 0, time.time() * 1000)


async def drive(case: Case, places: Places) -> Measurement:
    latencies_ms: list[float] = []
    sent_at: dict[int, float] = {}
    all_seen = asyncio.Event()

    def see(frame: bytes) -> None:
        newest = mark_in(frame)
        shown = [sent_at.pop(mark) for mark in tuple(sent_at) if mark <= newest]  # one transition may show several
        latencies_ms.extend((time.perf_counter() - started) * 1000 for started in shown)
        if not sent_at:
            all_seen.set()

    async with AsyncMongoClient[Document](places.mongo_url) as client:
        is_hub = case.contender == "hub"
        db = client[HUB_DB if is_hub else BARE_DB]

        async def show() -> None:
            while time.perf_counter() < until:
                mark = new_mark()
                sent_at[mark] = time.perf_counter()
                all_seen.clear()
                row = message_row(f"shown-{os.getpid()}-{mark}", SHOWN_CHAT, USERS, mark, time.time() * 1000)
                await db.messages.insert_one(row)
                await asyncio.sleep(SHOWN_EVERY_S)

        side = side_of(case, places)
        socket = await side.subscribe(SHOWN_CHAT, see)
        writer = Writer(db.messages if case.text("collection") == "watched" else db.somebody_elses, chats=80)
        finds = await _finds(client)
        meter = Meter(places, side.pid)
        until = time.perf_counter() + case.number("seconds")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(writer.write(case.number("rows per s"), case.number("seconds")))
            tasks.create_task(show())
        async with asyncio.timeout(30):
            await all_seen.wait()
        measured = meter.read(writer.written, latencies_ms)
        if is_hub:
            measured.figures["finds for each commit shown"] = (await _finds(client) - finds) / max(1, len(latencies_ms))
    socket.close()
    return measured


async def _finds(client: AsyncMongoClient[Document]) -> int:
    """Reads of the application's tables that the server was asked for since its start, by anybody."""
    totals = (await client.admin.command("top"))["totals"]
    tables = (totals.get(f"{HUB_DB}.{name}") for name in ("users", "chats", "messages"))
    return sum(int(table["queries"]["count"]) for table in tables if table)
