"""What the contract suite needs of a database beside `hub.store.Store`: hubs on it, and writers that are no hub."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack
from typing import Any, Protocol

from hub.core.commits import Commit
from hub.core.ranges import IndexKey, IndexRange, tuple_key
from hub.store import DeclaredTable, FeedBatch, Store, Write
from hub.testing.memory import MemoryDatabase, MemoryStore
from hub.timestamps import ZERO, Timestamp
from hub.values import Row
from tests.builders import BY_CHAT, BY_CLIENT_ID

BY_XY = IndexKey("things", ("x", "y", "_id"))
BY_Y = IndexKey("things", ("y", "_id"))
BY_THING_ID = IndexKey("things", ("_id",), unique=True)
BY_EXTERNAL_ID = IndexKey("users", ("externalId",), unique=True)
BY_EMAIL = IndexKey("users", ("email", "_id"), partial=True)

TABLES = (
    DeclaredTable("messages", (BY_CHAT, BY_CLIENT_ID)),
    DeclaredTable("things", (BY_XY, BY_Y)),
    DeclaredTable("users", (BY_EXTERNAL_ID, BY_EMAIL)),
)

PATIENCE_S = 20.0
"""How long the suite waits for what must come; a broken store fails, a slow machine does not."""


class Database(Protocol):
    """One database, shared by the hubs of a test."""

    async def hub(self, name: str = "hub-a") -> Store:
        """A new hub's store: open, with `TABLES` prepared; closed when the test ends."""
        ...

    async def outside(self, *writes: Write) -> Timestamp:
        """Another client's transaction, majority committed; its timestamp."""
        ...

    async def drop(self, table: str) -> Timestamp: ...

    async def lose_history(self, store: Store) -> None:
        """Make it impossible for the store's feed to be continued from where it is."""
        ...


class InMemory:
    def __init__(self, stack: AsyncExitStack) -> None:
        self._database = MemoryDatabase()
        self._stack = stack

    async def hub(self, name: str = "hub-a") -> MemoryStore:
        store = MemoryStore(self._database, name=name)
        await store.open()
        self._stack.push_async_callback(store.close)
        await store.prepare(TABLES, drop_unused=False)
        return store

    async def outside(self, *writes: Write) -> Timestamp:
        return self._database.outside(*writes)

    async def drop(self, table: str) -> Timestamp:
        return self._database.drop(table)

    async def lose_history(self, store: Store) -> None:
        assert isinstance(store, MemoryStore)
        store.lose_history()
        self._database.elsewhere()


class Feed:
    """A store's feed as a test reads it: everything it brought so far, checked for order on the way."""

    def __init__(self, store: Store) -> None:
        self._source = store.follow()
        self.commits: list[Commit] = []
        self.position = ZERO
        self.clocks: dict[str, int] = {}
        self.resyncs = 0

    async def next(self) -> FeedBatch:
        async with asyncio.timeout(PATIENCE_S):
            batch = await anext(self._source)
        assert batch.position >= self.position
        assert not (batch.resync and batch.commits)
        for commit in batch.commits:
            previous = self.commits[-1].ts if self.commits else ZERO
            assert max(self.position, previous) < commit.ts <= batch.position
            self.commits.append(commit)
        self.position = batch.position
        self.clocks.update(batch.clocks)
        self.resyncs += batch.resync
        return batch

    async def until(self, ts: Timestamp) -> Timestamp:
        """Read until everything up to `ts` was delivered; the position then."""
        while self.position < ts:
            await self.next()
        return self.position

    async def until_clocks(self, numbers: Mapping[str, int]) -> None:
        while any(self.clocks.get(name, 0) < number for name, number in numbers.items()):
            await self.next()

    def after(self, ts: Timestamp) -> list[Commit]:
        return [commit for commit in self.commits if commit.ts > ts]

    async def close(self) -> None:
        if isinstance(self._source, AsyncGenerator):
            await self._source.aclose()


def evaluate(wanted: IndexRange, rows: list[dict[str, Any]]) -> list[Row]:
    """A range read by its definition."""
    inside = sorted((row for row in rows if wanted.contains(row)), key=lambda row: tuple_key(wanted.index.position(row)))
    return list((inside[::-1] if wanted.descending else inside)[: wanted.limit])
