"""Reading: where live queries get their rows: from memory at the head, else from the database, and then from memory too.

A run at the head asks `Reading.memory()` without waiting. One that misses runs again in a wave, at the wave's head, and asks
`Reading.source()`: what memory knows at that very timestamp, and snapshot reads for the rest, whose rows are taken into the cache
together with the commits that came meanwhile. So nothing is read twice that is kept. Reads of one range at one timestamp that wait
at the same time are one read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import TypeVar

from hub.clock import Clock
from hub.core.commits import CommitLog
from hub.core.rangecache import RangeCache
from hub.core.rangemap import Piece, slack
from hub.core.ranges import IndexRange
from hub.metrics import Metrics
from hub.store import Store
from hub.timestamps import Timestamp
from hub.values import Row, RowId

T = TypeVar("T")


class Reading:
    """The cache and the log move together, in one step without an await (`hub.live.rounds`)."""

    def __init__(self, store: Store, cache: RangeCache, commit_log: CommitLog, clock: Clock, metrics: Metrics) -> None:
        self.cache = cache
        self._store = store
        self._log = commit_log
        self._clock = clock
        self._metrics = metrics
        self._under_way: dict[Hashable, asyncio.Future[object]] = {}

    def memory(self) -> MemoryReads:
        """For one run, at the cache's position."""
        return MemoryReads(self.cache)

    def source(self) -> CachingSource:
        """For one run, at a head of the rounds."""
        return CachingSource(self)

    async def read(self, wanted: IndexRange, at: Timestamp, used: set[Piece]) -> list[Row]:
        if self.cache.position == at:
            known = self.cache.read(wanted, used)
            if known is not None:
                self._metrics.cache_hits.inc()
                return known
        self._metrics.cache_misses.inc()
        # Up to a few rows more than the limit, so that a deletion is filled up without another read.
        widened = wanted if wanted.limit is None else wanted.limited_to(wanted.limit + slack(wanted.limit))
        rows = await self._shared((widened, at), lambda: self._store.read(widened, at))
        since = self._log.since(at)
        if since is not None and self.cache.hydrate(widened, rows, since, self._clock.monotonic(), used):
            self._metrics.cache_hydrations.inc()
        return rows[: wanted.limit]

    async def get(self, table: str, ids: Sequence[RowId], at: Timestamp, used: set[Piece]) -> dict[RowId, Row]:
        known = self.cache.get(table, ids, used) if self.cache.position == at else {}
        found = {row_id: row for row_id, row in known.items() if row is not None}
        unknown = tuple(row_id for row_id in ids if row_id not in known)
        if not unknown:
            self._metrics.cache_hits.inc()
            return found
        self._metrics.cache_misses.inc()
        read = await self._shared((table, unknown, at), lambda: self._store.get(table, unknown, at))
        since = self._log.since(at)
        if since is not None:
            self.cache.hydrate_rows(table, unknown, read, since, self._clock.monotonic(), used)
            self._metrics.cache_hydrations.inc()
        return found | read

    async def _shared(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """What `read` returns, or what a read of the same that is under way does; if that one fails, this one reads itself."""
        while (other := self._under_way.get(key)) is not None:
            await asyncio.wait([other])
            if not other.cancelled():
                return other.result()  # type: ignore[return-value]  # a key stands for one kind of read
        under_way = self._under_way[key] = asyncio.get_running_loop().create_future()
        try:
            result = await read()
            under_way.set_result(result)
            return result
        finally:
            del self._under_way[key]
            under_way.cancel()  # does nothing to one that has its result


class MemoryReads:
    """The reads of one run that does not wait. `used`: what they came from."""

    def __init__(self, cache: RangeCache) -> None:
        self.used: set[Piece] = set()
        self.hits = 0
        self._cache = cache

    def read(self, wanted: IndexRange) -> list[Row] | None:
        rows = self._cache.read(wanted, self.used)
        self.hits += rows is not None
        return rows

    def get(self, table: str, ids: Sequence[RowId]) -> dict[RowId, Row] | None:
        known = self._cache.get(table, ids, self.used)
        if any(row_id not in known for row_id in ids):
            return None
        self.hits += 1
        return {row_id: row for row_id, row in known.items() if row is not None}


class CachingSource:
    """The reads of one run that may wait. `used`: what of them is in the cache now."""

    def __init__(self, reading: Reading) -> None:
        self.used: set[Piece] = set()
        self._reading = reading

    async def read(self, wanted: IndexRange, at: Timestamp) -> list[Row]:
        return await self._reading.read(wanted, at, self.used)

    async def get(self, table: str, ids: Sequence[RowId], at: Timestamp) -> dict[RowId, Row]:
        return await self._reading.get(table, ids, at, self.used)
