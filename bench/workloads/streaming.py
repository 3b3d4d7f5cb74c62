"""Streaming: a reply of 2,000 tokens, written one by one and watched by several viewers."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

from pymongo import AsyncMongoClient

from bench.chat import USERS, Document, chat_id, owner_of, user_id
from bench.jobs import Case, Measurement, Places, Scale, case
from bench.measuring import Meter, cpu_s
from bench.sides import HubSide, HubSocket, new_mark, room
from bench.viewers import Viewer, Way

TITLE = "Streaming: a reply of 2,000 tokens"
TEXT = (
    "An assistant's reply grows by one token of 10 characters at a time, to 20 kB, in a chat that so many viewers show (its newest "
    "20 messages). Each token is a mutation of its own, sent when every viewer has seen the one before: nothing is put together, "
    "which is the dearest way to write it (the Python client writes 20 times a second at most). `delta` sends the token and its "
    "offset, which is stored as a part; `content` is the whole text so far, of which the hub stores what is new as a part, too. "
    "Latency is from the sending of a token to its arrival at the last viewer; an operation is one token. To MongoDB: all that it "
    "received, commands and all; oplog: what it wrote there, which is what change streams and secondaries read."
)
OPERATION = "token"
FRESH = False
CHATS = 1_000
SEEN_S = 30.0


def cases(scale: Scale) -> list[Case]:
    tokens, viewers = {"tiny": (60, 2), "quick": (500, 5), "full": (2_000, 5)}[scale]
    ways: list[tuple[Way, str]] = [("stock", "content"), ("stock", "delta"), ("stock, deflate", "delta"), ("native", "delta")]
    return [case("streaming", "hub", tokens=tokens, viewers=viewers, client=way, written_as=form) for way, form in ways]


async def drive(case: Case, places: Places) -> Measurement:
    reply = Reply(places, case)
    await reply.begin()
    async with AsyncMongoClient[Document](places.mongo_url) as client:
        written, received = await Written.begin(client), reply.received_bytes
        meter = Meter(places, HubSide(places).pid)
        early, late = await reply.write_all()
        measured = meter.read(len(reply.tokens), reply.latencies_ms)
        kib = await written.read()
        measured.figures = {**kib, "KiB a viewer": (reply.received_bytes - received) / len(reply.viewers) / 1024}
    measured.figures["KiB of oplog a token"] = kib["KiB of oplog"] / len(reply.tokens)
    measured.figures["server CPU, last tenth / first"] = late / early
    await reply.close()
    return measured


class Reply:
    """A reply and its audience, in a chat that has no other."""

    def __init__(self, places: Places, case: Case) -> None:
        run = new_mark()
        self._places = places
        self._way = cast(Way, case.text("client"))
        self._is_delta = case.text("written as") == "delta"
        self._chat = run % CHATS
        self._name = f"reply-{run}"
        self._writer = HubSocket(places)
        self._wanted = case.count("viewers")
        self.tokens = [f"{run % 10_000:04}-{n:04} " for n in range(case.count("tokens"))]  # each is nowhere else
        self.viewers: list[Viewer] = []
        self.latencies_ms: list[float] = []

    @property
    def received_bytes(self) -> int:
        return sum(viewer.received_bytes for viewer in self.viewers)

    async def begin(self) -> None:
        await self._writer.open()
        await self._upsert(content="")
        opening = (Viewer.open(self._places, self._way, *room(self._chat), self._name.encode()) for _ in range(self._wanted))
        self.viewers = await asyncio.gather(*opening)
        is_compressed = self.viewers[0].is_compressed
        assert is_compressed == (self._way == "stock, deflate"), "the hub does not compress"

    async def write_all(self) -> tuple[float, float]:
        """Token by token, to the end; CPU of the hub for the first tenth, and for the last."""
        tenth = len(self.tokens) // 10
        parts = [self.tokens[:tenth], self.tokens[tenth:-tenth], self.tokens[-tenth:]]
        costs: list[float] = []
        text = ""
        for part in parts:
            before = cpu_s(self._places.hub_pid)
            for token in part:
                await self._write(text, token)
                text += token
            costs.append(cpu_s(self._places.hub_pid) - before)
        await self._upsert("complete", content=text)
        return costs[0], costs[2]

    async def _write(self, text: str, token: str) -> None:
        started = time.perf_counter()
        async with asyncio.timeout(SEEN_S):
            seen = [viewer.wait_for(token.strip().encode()) for viewer in self.viewers]
            form = {"delta": token, "offset": len(text)} if self._is_delta else {"content": text + token}
            await asyncio.gather(self._upsert(**form), *seen)
        self.latencies_ms.append((time.perf_counter() - started) * 1000)

    async def _upsert(self, status: str = "streaming", **form: Any) -> None:
        args = {"chatId": chat_id(self._chat), "userId": user_id(owner_of(self._chat, USERS)), "clientMessageId": self._name}
        await self._writer.mutate("messages:streamUpsert", {**args, "role": "assistant", "status": status, **form})

    async def close(self) -> None:
        await asyncio.gather(*(viewer.close() for viewer in self.viewers))
        self._writer.socket.close()


class Written:
    """What MongoDB received and wrote since `begin`."""

    def __init__(self, client: AsyncMongoClient[Document], received: int, since: Any) -> None:
        self._client, self._received, self._since = client, received, since

    @classmethod
    async def begin(cls, client: AsyncMongoClient[Document]) -> Written:
        status = await client.admin.command("serverStatus", repl=1)
        return cls(client, status["network"]["bytesIn"], status["repl"]["lastWrite"]["opTime"]["ts"])

    async def read(self) -> dict[str, float]:
        status = await self._client.admin.command("serverStatus")
        later: Document = {"$match": {"ts": {"$gt": self._since}}}
        size: Document = {"$group": {"_id": None, "bytes": {"$sum": {"$bsonSize": "$$ROOT"}}}}
        found = await (await self._client.local["oplog.rs"].aggregate([later, size])).to_list()
        received = status["network"]["bytesIn"] - self._received
        return {"KiB to MongoDB": received / 1024, "KiB of oplog": found[0]["bytes"] / 1024}
