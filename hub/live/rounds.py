"""Rounds: what the change feed brings moves the head, and makes live queries stale that are then evaluated again.

Two tasks. `receive` follows the feed: it moves the position at once, and releases the answers of our own commits, so that an answer
is always out before anything shows its commit. `run` works in rounds: it takes what was received and moves the timeline, in one
step without an await; then the stale queries are evaluated from memory. The round may give way to the loop meanwhile, and no commit
is applied inside it. What has to read the database leaves the round (`hub.live.evaluations`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace

from hub.clock import Clock
from hub.core.commits import BatchId, Commit, RowChange
from hub.errors import HubError
from hub.live.directory import LiveQueries
from hub.live.evaluations import Evaluations
from hub.live.images import doubted, with_deltas_applied, with_image
from hub.live.position import FeedPosition
from hub.live.query import LiveQuery, Subscriber
from hub.live.timeline import Timeline
from hub.metrics import Metrics
from hub.store import FeedBatch, Store
from hub.timestamps import ZERO, Timestamp
from hub.values import Row, RowId

log = logging.getLogger(__name__)

_TURNS_LATER = 2
"""Of the loop, after a batch of the feed: whoever waited for it to send the next transaction does so first, and the database works
on that during the round."""


class Rounds:
    def __init__(
        self,
        store: Store,
        timeline: Timeline,
        evaluations: Evaluations,
        position: FeedPosition,
        clock: Clock,
        metrics: Metrics,
        *,
        max_waiting_commits: int,
    ) -> None:
        self._store = store
        self._timeline = timeline
        self._evaluations = evaluations
        self._position = position
        self._clock = clock
        self._metrics = metrics
        self._received: deque[FeedBatch] = deque()
        self._has_received = asyncio.Event()
        self._waiting_commits = 0
        self._max_waiting_commits = max_waiting_commits
        self._has_head = asyncio.Event()
        self._evictions_told = 0
        self._live: LiveQueries | None = None
        self._on_commit: Callable[[BatchId, Timestamp], None] = lambda batch, ts: None
        self._on_head: Callable[[], Collection[Subscriber]] = tuple
        self._before_resync: Callable[[], Awaitable[None]] = _nothing

    def connect(
        self,
        live: LiveQueries,
        on_commit: Callable[[BatchId, Timestamp], None],
        on_head: Callable[[], Collection[Subscriber]],
        before_resync: Callable[[], Awaitable[None]],
    ) -> None:
        """`on_commit(batch, ts)` when the feed names one of our commits; `on_head()` after the head moved, it returns those who
        waited for that; `before_resync()` is awaited when the feed has lost its history, before anything newer is shown."""
        self._live, self._on_commit, self._on_head, self._before_resync = live, on_commit, on_head, before_resync
        self._evaluations.connect(live)

    @property
    def head(self) -> Timestamp:
        return self._timeline.head

    # --- receiving ---------------------------------------------------------------------------------------------

    async def receive(self) -> None:
        """Follow the feed until cancelled."""
        async for batch in self._store.follow():
            for commit in batch.commits:
                if commit.batch is not None:
                    self._metrics.own_commits.inc()
                    self._on_commit(commit.batch, commit.ts)
            if batch.resync and self._position.ts > ZERO:
                self._metrics.resyncs.inc()
                log.warning("change feed lost its history, every live query is run again")
            self._queue(batch)
            self._position.advance(batch)

    def _queue(self, batch: FeedBatch) -> None:
        """Beyond the limit what waits is given up for one resync: bounded memory, and the same screens in the end."""
        self._waiting_commits += len(batch.commits)
        if self._waiting_commits > self._max_waiting_commits:
            self._received.clear()
            self._waiting_commits = 0
            batch = FeedBatch(batch.position, resync=True, clocks=batch.clocks)
            self._metrics.resyncs.inc()
            log.warning("rounds fell behind the change feed, every live query is run again")
        self._received.append(batch)
        self._has_received.set()

    # --- rounds ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work in rounds until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._evaluations.run_in(tasks)
            while True:
                await self._has_received.wait()
                for _ in range(_TURNS_LATER):
                    await asyncio.sleep(0)
                self._has_received.clear()
                batches = list(self._received)
                self._received.clear()
                self._waiting_commits = 0
                with self._metrics.round_seconds.time():
                    await self._round(batches)

    async def _round(self, batches: list[FeedBatch]) -> None:
        position = batches[-1].position
        resync_at: Timestamp | None = None
        commits: list[Commit] = []
        for batch in batches:
            if batch.resync:
                resync_at = batch.position
                commits.clear()
            commits.extend(batch.commits)
        if resync_at is not None:
            await self._before_resync()
        if resync_at is None:  # else what memory holds is of a past that nobody knows the end of
            commits = with_deltas_applied(commits, self._timeline.cache.row)
        commits = await self._resolve(commits, position)
        # From here to the new head there is no await: nobody sees a half-applied round.
        stale = self._lose_history(resync_at) if resync_at is not None else {}
        stale |= self._apply(commits)
        self._timeline.advance(position)
        self._has_head.set()
        authors = self._on_head()
        of_authors = [live for author in authors for live in author.shown() if live in stale]
        await self._evaluations.evaluate_all(dict.fromkeys(of_authors) | stale, authors=authors)
        self._tidy()

    async def started(self) -> None:
        """Returns when there is a head."""
        await self._has_head.wait()

    def _queries(self) -> LiveQueries:
        assert self._live is not None, "connect() comes first"
        return self._live

    async def _resolve(self, commits: list[Commit], position: Timestamp) -> list[Commit]:
        """Read the rows that other writers updated, as they are at `position`, where we hold them or they could enter a range we
        watch.

        The head goes to `position` in one step, so the states in between are shown to nobody. A change that stays unresolved
        (its table came to be watched meanwhile, or could not be read) concerns everybody who read a range of the table.
        """
        unknown: dict[str, set[RowId]] = {}
        for commit in commits:
            for change in commit.changes:
                if isinstance(change, RowChange) and self._timeline.needs_image(change):
                    unknown.setdefault(change.table, set()).add(change.id)
        images: dict[str, Mapping[RowId, Row]] = {}
        for table, ids in unknown.items():
            try:
                images[table] = await self._store.get(table, list(ids), position)
            except HubError as error:
                log.warning("changed rows could not be read, the whole table counts as changed", extra={"reason": error.message})
        indexed = self._queries().registry.indexed_fields
        return [
            replace(commit, changes=tuple(doubted(with_image(change, images), indexed) for change in commit.changes))
            for commit in commits
        ]

    def _lose_history(self, position: Timestamp) -> dict[LiveQuery, None]:
        self._timeline.lose_history(position)
        everything = dict.fromkeys(self._queries())
        for live in everything:
            live.invalidate(Timestamp(self.head + 1))
        return everything

    def _apply(self, commits: list[Commit]) -> dict[LiveQuery, None]:
        """Enter the commits; the live queries they make stale, which are true up to the last head."""
        found = (self._queries().get(reader) for reader in self._timeline.apply(commits))
        stale = {live: None for live in found if live is not None}
        for live in stale:
            live.invalidate(Timestamp(self.head + 1))
        self._metrics.commits.inc(len(commits))
        self._metrics.row_changes.inc(sum(len(commit.changes) for commit in commits))
        self._metrics.invalidations.inc(len(stale))
        return stale

    def _tidy(self) -> None:
        cache = self._timeline.cache
        cache.sweep(self._clock.monotonic())
        self._metrics.cache_evictions.inc(cache.evictions - self._evictions_told)
        self._evictions_told = cache.evictions


async def _nothing() -> None:
    pass
