"""Rounds: what the change feed brings becomes stale live queries, new evaluations, and sessions that are refreshed.

Two tasks. `receive` follows the feed: it moves the position at once, and releases the answers of our own commits, so that an answer
is always out before anything shows its commit. `run` works in rounds: it takes what was received, invalidates, and moves the head,
in one step without an await; then it starts the evaluations, in waves (`hub.live.waves`). An evaluation that is slow delays the
sessions that show it and nobody else.

Invariants: `head` is the position of a batch, and everything up to it is applied to the log, the invalidation index and the live
queries. Between rounds it stands still. A live query's read set is in the index from the same step in which the commits since its
run were replayed: there is no gap in which a commit could be missed.
"""

from __future__ import annotations

import asyncio
import bisect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace

from hub.clock import Clock
from hub.core.commits import BatchId, Commit, CommitLog, RowChange, TableReset
from hub.core.invalidation import InvalidationIndex, ReaderId, touches
from hub.core.readset import ReadSet
from hub.errors import HubError, Unavailable
from hub.functions.execution import Run
from hub.live.directory import LiveQueries
from hub.live.position import FeedPosition
from hub.live.query import LiveQuery
from hub.live.results import encode_run
from hub.live.runner import Runner
from hub.live.waves import Waves
from hub.metrics import Metrics
from hub.protocol.messages import Failure
from hub.store import FeedBatch, Store
from hub.timestamps import ZERO, Timestamp
from hub.values import Row, RowId

log = logging.getLogger(__name__)

_RETRY_S, _MAX_RETRY_S = 0.1, 5.0
"""Pauses, doubling, before a run is repeated that could not read the database."""


class Rounds:
    def __init__(
        self,
        store: Store,
        runner: Runner,
        position: FeedPosition,
        clock: Clock,
        metrics: Metrics,
        commit_log: CommitLog,
        *,
        max_concurrent_runs: int,
        max_waiting_commits: int,
    ) -> None:
        self.head: Timestamp = ZERO
        self._store = store
        self._runner = runner
        self._position = position
        self._clock = clock
        self._metrics = metrics
        self._log = commit_log
        self._index: InvalidationIndex[ReaderId] = InvalidationIndex()
        self._heads: deque[Timestamp] = deque(maxlen=10_000)
        self._received: deque[FeedBatch] = deque()
        self._has_received = asyncio.Event()
        self._waiting_commits = 0
        self._max_waiting_commits = max_waiting_commits
        self._slots = asyncio.Semaphore(max_concurrent_runs)
        self._waves: Waves[LiveQuery] = Waves()
        self._wave_timer: asyncio.TimerHandle | None = None
        self._has_head = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._live: LiveQueries | None = None
        self._on_commit: Callable[[BatchId, Timestamp], None] = lambda batch, ts: None
        self._on_head: Callable[[], None] = lambda: None
        self._before_resync: Callable[[], Awaitable[None]] = _nothing

    def connect(
        self,
        live: LiveQueries,
        on_commit: Callable[[BatchId, Timestamp], None],
        on_head: Callable[[], None],
        before_resync: Callable[[], Awaitable[None]],
    ) -> None:
        """`on_commit(batch, ts)` when the feed names one of our commits; `on_head()` after the head moved; `before_resync()` is
        awaited when the feed has lost its history, before anything newer is shown."""
        self._live, self._on_commit, self._on_head, self._before_resync = live, on_commit, on_head, before_resync

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
        async with asyncio.TaskGroup() as self._tasks:
            while True:
                await self._has_received.wait()
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
        commits = await self._resolve(commits, position)
        # From here to the new head there is no await: nobody sees a half-applied round.
        stale = self._lose_history(resync_at) if resync_at is not None else set()
        stale |= self._apply(commits)
        if position > self.head:
            self.head = position
            self._heads.append(position)
            self._log.advance(position)
        self._has_head.set()
        self._on_head()
        for live in stale:
            self._waves.want(live)
        self._start_waves()

    async def started(self) -> None:
        """Returns when there is a head."""
        await self._has_head.wait()

    def _queries(self) -> LiveQueries:
        assert self._live is not None, "connect() comes first"
        return self._live

    async def _resolve(self, commits: list[Commit], position: Timestamp) -> list[Commit]:
        """Read the rows that other writers updated, as they are at `position`, where they could enter a range we watch.

        The head goes to `position` in one step, so the states in between are shown to nobody. A change that stays unresolved
        (its table came to be watched meanwhile, or could not be read) concerns everybody who read a range of the table.
        """
        unknown: dict[str, set[RowId]] = {}
        for commit in commits:
            for change in commit.changes:
                if isinstance(change, RowChange) and change.is_unresolved and self._index.needs_image(change.table):
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

    def _lose_history(self, position: Timestamp) -> set[LiveQuery]:
        self._log.reset(position)
        everything = set(self._queries())
        for live in everything:
            live.invalidate(Timestamp(self.head + 1))
        return everything

    def _apply(self, commits: list[Commit]) -> set[LiveQuery]:
        """Enter the commits in the log; the live queries they make stale, which are true up to the last head."""
        stale: set[LiveQuery] = set()
        for commit in commits:
            self._log.append(commit)
            for change in commit.changes:
                stale |= self._touched_by(change)
        for live in stale:
            live.invalidate(Timestamp(self.head + 1))
        self._metrics.commits.inc(len(commits))
        self._metrics.row_changes.inc(sum(len(commit.changes) for commit in commits))
        self._metrics.invalidations.inc(len(stale))
        return stale

    def _touched_by(self, change: RowChange | TableReset) -> set[LiveQuery]:
        found = (self._queries().get(reader) for reader in self._index.invalidate(change))
        return {live for live in found if live is not None}

    # --- evaluations -------------------------------------------------------------------------------------------

    def evaluate(self, live: LiveQuery) -> None:
        """Evaluate a new live query, at the head of the wave that is under way if there is one."""
        at = self._waves.join(live, self._clock.monotonic())
        if at is not None:
            self._launch(live, at)
        else:
            self._waves.want(live)
            self._start_waves()

    def forget(self, live: LiveQuery) -> None:
        self._index.forget(live.id)
        self._waves.forget(live)

    def _start_waves(self) -> None:
        now = self._clock.monotonic()
        for live, at in self._waves.start(self.head, now):
            self._launch(live, at)
        if self._wave_timer is not None:
            self._wave_timer.cancel()
            self._wave_timer = None
        due = self._waves.due()
        if due is not None and due < float("inf"):
            self._wave_timer = asyncio.get_running_loop().call_later(max(0.0, due - now), self._start_waves)

    def _launch(self, live: LiveQuery, at: Timestamp) -> None:
        assert self._tasks is not None, "run() comes first"
        self._tasks.create_task(self._evaluate(live, at), name=f"evaluate {live.key.path}")

    async def _evaluate(self, live: LiveQuery, at: Timestamp) -> None:
        run: Run | None = None
        try:
            async with self._slots:
                run = await self._run(live, at)
        finally:
            self._waves.done(live, self._clock.monotonic())
        if run is None:
            await self._pause(live)
        elif run.reads.saw_identity and live.caller is None:
            self._metrics.discarded_runs.inc()
            self._queries().make_personal(live)
        elif live.subscriptions:
            self._show(live, run, at)
        if not live.subscriptions:
            self.forget(live)
        elif live.is_stale:
            self._waves.want(live)
        self._start_waves()

    async def _run(self, live: LiveQuery, at: Timestamp) -> Run | None:
        """None when there is no result to believe: the run is repeated, and meanwhile nobody is shown an error."""
        function = self._queries().registry.functions.get(live.key.path)
        if function is None or not live.subscriptions:
            return None  # it was taken out of the application a moment ago, or nobody wants it any more
        self._metrics.reruns.inc()
        try:
            return await self._runner.run(function, live.args, caller=live.caller, journal=live.journal, at=at)
        except Unavailable as error:
            log.warning("live query waits for the database", extra={"query": live.key.path, "reason": error.message})
        return None

    async def _pause(self, live: LiveQuery) -> None:
        """Before a run is repeated that could not read the database; longer each time."""
        live.failed_runs += 1
        self._start_waves()
        await self._clock.sleep(min(_RETRY_S * 2 ** min(live.failed_runs - 1, 10), _MAX_RETRY_S))

    def _show(self, live: LiveQuery, run: Run, at: Timestamp) -> None:
        """The evaluation is in: register what it read, replay what came since, hand it to the subscribers. No await."""
        live.failed_runs = 0
        self._index.watch(live.id, run.reads)
        result = encode_run(run)
        is_new = live.evaluated(result, at, self._stale_since(run.reads, at))
        live.forget_evaluations(self._waves.heads_in_use)
        if run.journal is not None:
            self._queries().fix_page(live, run.journal)
        if not is_new:
            self._metrics.wasted_reruns.inc()
        elif isinstance(result, Failure):
            self._metrics.errors.labels(result.code).inc()
        for subscription in list(live.subscriptions):
            subscription.subscriber.refresh()

    def _stale_since(self, reads: ReadSet, at: Timestamp) -> Timestamp | None:
        """Until when a run at `at` is true: None up to the head, else one past the last head before the commit that ended it."""
        commits = self._log.since(at)
        if commits is None:
            return Timestamp(at + 1)
        ended_by = first_that_touches(reads, commits)
        if ended_by is None:
            return None
        before = bisect.bisect_left(self._heads, ended_by.ts)
        last_head = self._heads[before - 1] if before else at
        return Timestamp(max(last_head, at) + 1)


async def _nothing() -> None:
    pass


def first_that_touches(reads: ReadSet, commits: Iterable[Commit]) -> Commit | None:
    return next((commit for commit in commits if touches(reads, commit)), None)


def with_image(change: RowChange | TableReset, images: Mapping[str, Mapping[RowId, Row]]) -> RowChange | TableReset:
    """An unresolved change with its row's image; a row that is gone by now was deleted by a commit that is here too."""
    if not isinstance(change, RowChange) or not change.is_unresolved or change.table not in images:
        return change
    image = images[change.table].get(change.id)
    return replace(change, kind="delete") if image is None else replace(change, after=image)


def doubted(change: RowChange | TableReset, indexed: Mapping[str, frozenset[str]]) -> RowChange | TableReset:
    """A row of others with an array where an index looks has a place in it for each element, not the one we would compute: it
    counts as unresolved, which concerns everybody who read a range of the table."""
    if not isinstance(change, RowChange) or change.after is None:
        return change
    fields = indexed.get(change.table, frozenset())
    if not any(isinstance(change.after.get(name), list) for name in fields):
        return change
    return replace(change, kind="update", after=None)
