"""MemoryStore: one hub's Store on a `MemoryDatabase`, for tests: no server, and races by command instead of by luck.

It keeps the contract of `hub.store` (the suite in `tests/contract` holds for it and for MongoDB), and every call yields to the
loop at least once, as one to a server does. A test stops it at a `Gate`, lets other things happen, and lets it go on:

    store.acknowledgements.hold()              # the feed is faster than the answer
    call = asyncio.create_task(...)
    await store.acknowledgements.reached()     # committed, and the feed has it
    store.acknowledgements.release()
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence

from hub.clock import Clock, SystemClock
from hub.core.commits import Commit
from hub.core.ranges import IndexRange
from hub.errors import BadRequest, DeadlineExceeded, HubError
from hub.store import CLOCK, Check, DeclaredTable, FeedBatch, RequestRecord, StoreHealth, Write, WriteBatch
from hub.testing.memory_database import Logged, MemoryDatabase
from hub.timestamps import Timestamp
from hub.values import Row, RowId

__all__ = ["Gate", "MemoryDatabase", "MemoryStore"]


class Gate:
    """Open until a test holds it; who comes to it then waits for the release."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._reached = asyncio.Event()

    def hold(self) -> None:
        self._open.clear()
        self._reached.clear()

    def release(self) -> None:
        self._open.set()

    async def reached(self) -> None:
        """Returns when somebody waits at the gate, or came to it since it was last held."""
        await self._reached.wait()

    async def passed(self) -> None:
        await asyncio.sleep(0)
        if not self._open.is_set():
            self._reached.set()
            await self._open.wait()


class MemoryStore:
    """One hub's view of the database. `name` names its own clock row.

    Gates: `reads` before a read's answer is looked up, `commits` before a transaction is sent, `acknowledgements` after it is
    committed and before the hub hears so, `feed` before the next batch is delivered.
    """

    def __init__(self, database: MemoryDatabase | None = None, *, name: str = "hub", clock: Clock | None = None) -> None:
        self.database = database if database is not None else MemoryDatabase()
        self.name = name
        self.reads = Gate()
        self.commits = Gate()
        self.acknowledgements = Gate()
        self.feed = Gate()
        self.reported_health = StoreHealth(has_primary=True, feed_is_live=True, lag_s=0.0)
        self._clock = clock if clock is not None else SystemClock()
        self._followers: set[_Follower] = set()
        self._failures: deque[tuple[HubError, bool]] = deque()
        self._is_transacting = False

    # --- what tests do to it -------------------------------------------------------------------------------------------

    def outside(self, *writes: Write) -> Timestamp:
        """Commit as a writer that is no hub: updates reach every feed unresolved."""
        return self.database.outside(*writes)

    def lose_history(self) -> None:
        """The feed cannot be continued: what this store's followers did not get yet they never get, but a resync."""
        for follower in self._followers:
            follower.lose_history()

    def fail_next_transact(self, error: HubError, *, committed: bool = False) -> None:
        """The next call to `transact` raises; with `committed`, after the commit. Several calls queue up."""
        self._failures.append((error, committed))

    # --- Store ---------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        await asyncio.sleep(0)

    async def close(self) -> None:
        self.feed.release()
        for follower in self._followers:
            follower.close()

    async def prepare(self, tables: Sequence[DeclaredTable], *, drop_unused: bool) -> list[str]:
        await asyncio.sleep(0)
        return self.database.prepare(tables, drop_unused=drop_unused)

    async def follow(self) -> AsyncIterator[FeedBatch]:
        follower = _Follower(self.database, origin=self)
        self._followers.add(follower)
        self.database.listeners.add(follower.wake.set)
        try:
            while True:
                await self.feed.passed()
                if follower.is_closed:
                    return
                batch = follower.take()
                if batch is not None:
                    yield batch
                else:
                    await follower.wake.wait()
        finally:
            self.database.listeners.discard(follower.wake.set)
            self._followers.discard(follower)

    async def read(self, wanted: IndexRange, at: Timestamp) -> list[Row]:
        await self.reads.passed()
        return self.database.read(wanted, at)

    async def get(self, table: str, ids: Sequence[RowId], at: Timestamp) -> dict[RowId, Row]:
        await self.reads.passed()
        return self.database.get(table, ids, at)

    async def get_records(self, keys: Sequence[str], at: Timestamp) -> dict[str, RequestRecord]:
        await self.reads.passed()
        found = ((key, self.database.record(key, at)) for key in keys)
        return {key: record for key, record in found if record is not None}

    async def transact(self, batch: WriteBatch, at: Timestamp, deadline: float, check: Check | None = None) -> Timestamp:
        assert not self._is_transacting, "one call at a time"
        self._is_transacting = True
        try:
            await self.commits.passed()
            error, is_committed = self._failures.popleft() if self._failures else (None, True)
            if error is not None and not is_committed:
                raise error
            if self._clock.monotonic() >= deadline:
                raise DeadlineExceeded("the deadline passed before the transaction was sent")
            if check is not None:
                await check(self.database.now)
            clock = CLOCK if batch.isolation == "serializable" else self.name
            ts = self.database.commit(batch.writes, batch.records, at, clock=clock, origin=self, batch=batch.id)
            if error is not None:
                raise error
            await self.acknowledgements.passed()
            return ts
        finally:
            self._is_transacting = False

    async def clocks(self) -> dict[str, int]:
        await asyncio.sleep(0)
        return self.database.clocks(self.database.now)

    async def now(self) -> Timestamp:
        await asyncio.sleep(0)
        return self.database.now

    async def barrier(self, ts: Timestamp) -> Timestamp:
        await asyncio.sleep(0)
        if ts > self.database.now:
            raise BadRequest("the timestamp is beyond the database's own clock")
        return ts

    def health(self) -> StoreHealth:
        return self.reported_health


class _Follower:
    """One reader of the log: where it stands, and whether it must begin anew."""

    def __init__(self, database: MemoryDatabase, origin: object) -> None:
        self.wake = asyncio.Event()
        self.is_closed = False
        self._database = database
        self._origin = origin
        self._next = 0
        self._has_lost_history = True  # the first batch is a resync too

    def close(self) -> None:
        self.is_closed = True
        self.wake.set()

    def lose_history(self) -> None:
        self._has_lost_history = True
        self.wake.set()

    def take(self) -> FeedBatch | None:
        """Everything that is new, at once; None when nothing is."""
        self.wake.clear()
        entries = self._database.log[self._next :]
        if not entries and not self._has_lost_history:
            return None
        self._next = len(self._database.log)
        now = self._database.now
        is_resync, self._has_lost_history = self._has_lost_history, False
        commits = () if is_resync else tuple(commit for entry in entries if (commit := self._as_commit(entry)) is not None)
        return FeedBatch(now, commits, is_resync, self._database.clocks(now))

    def _as_commit(self, entry: Logged) -> Commit | None:
        if entry.origin is self._origin:
            return Commit(entry.ts, entry.changes, entry.batch)
        return Commit(entry.ts, entry.as_seen_by_others) if entry.changes else None
