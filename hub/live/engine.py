"""Engine: what a server can ask of the hub: run a query, run a mutation, open a session, say how it is.

It makes the parts of `hub.live` and owns their tasks. Everything it needs from outside (store, application, clock, limits) is
passed in; it knows no socket and no driver.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from hub.clock import Clock
from hub.config import Settings
from hub.core.commits import CommitLog
from hub.core.rangecache import RangeCache
from hub.errors import BadRequest, HubError, NotCaughtUp, SnapshotTooOld
from hub.functions.identity import Caller
from hub.functions.limits import Limits
from hub.functions.registry import Registry
from hub.live.batch import BatchLimits
from hub.live.currency import Currency
from hub.live.directory import LiveQueries
from hub.live.evaluations import Evaluations
from hub.live.mutations import Answer, MutationRequest
from hub.live.position import FeedPosition
from hub.live.query import Subscriber
from hub.live.reading import Reading
from hub.live.recents import Recents
from hub.live.results import encode_run, failure
from hub.live.rounds import Rounds
from hub.live.runner import Runner
from hub.live.sequencer import Sequencer
from hub.live.timeline import Timeline
from hub.metrics import Metrics
from hub.protocol.messages import Result
from hub.store import Store
from hub.timestamps import ZERO, Timestamp, unpack
from hub.values import Value

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EngineHealth:
    """`ready`: may take traffic now. `was_ready`: has been at least once. `reason` says what is missing, "" when nothing is."""

    ready: bool
    was_ready: bool
    reason: str


class Engine:
    """`shows_crashes`: callers hear what a function's bug says and where it is (development); otherwise a reference."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        settings: Settings,
        *,
        clock: Clock,
        metrics: Metrics,
        shows_crashes: bool = False,
    ) -> None:
        self.clock = clock
        self.settings = settings
        self.metrics = metrics
        self._store = store
        self._runner = Runner(
            store,
            clock,
            metrics,
            function_limits(settings),
            max_run_s=settings.function_run_s,
            shows_crashes=shows_crashes,
        )
        self._position = FeedPosition(clock)
        self._currency = Currency(store, self._position, clock)
        self._one_shots = asyncio.Semaphore(settings.runs_max)
        self._timeline = Timeline(
            CommitLog(max_commits=settings.commit_log_max_commits, max_changes=settings.commit_log_max_changes),
            RangeCache(max_bytes=settings.cache_max_bytes, grace_s=settings.cache_grace_s),
        )
        reading = Reading(store, self._timeline.cache, self._timeline.log, clock, metrics)
        self._sequencer = Sequencer(
            store,
            self._runner,
            reading,
            self._position,
            self._currency,
            registry,
            clock,
            metrics,
            batch_limits(settings),
            max_waiting=settings.mutation_queue_max,
        )
        evaluations = Evaluations(
            self._timeline,
            reading,
            self._runner,
            clock,
            metrics,
            max_concurrent_runs=settings.runs_max,
        )
        self._rounds = Rounds(
            store,
            self._timeline,
            evaluations,
            self._position,
            clock,
            metrics,
            max_waiting_commits=settings.feed_backlog_max_commits,
        )
        self.live = LiveQueries(registry, evaluations.evaluate, evaluations.forget, max_live_queries=settings.live_queries_max)
        self.recents = Recents(max_bytes=settings.resume_max_bytes)
        self._waiting_for_head: dict[Subscriber, None] = {}
        self._rounds.connect(self.live, self._sequencer.committed, self._refresh_waiting, self._sequencer.lost_history)
        self._was_ready = False
        self.is_stopping = False

    @property
    def registry(self) -> Registry:
        return self.live.registry

    @property
    def head(self) -> Timestamp:
        return self._timeline.head

    @property
    def position(self) -> Timestamp:
        return self._position.ts

    # --- life --------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the feed, work in rounds, run mutations; entered when the feed has told where it starts."""
        async with asyncio.TaskGroup() as tasks:
            working = [
                tasks.create_task(self._rounds.receive(), name="change feed"),
                tasks.create_task(self._rounds.run(), name="rounds"),
                tasks.create_task(self._sequencer.run(), name="sequencer"),
            ]
            try:
                await self._rounds.started()
                yield
            finally:
                await _end(working)

    async def drain(self, deadline: float) -> None:
        """Finish the mutations that are queued; from now on the hub says that it is not ready."""
        self.is_stopping = True
        while not self._sequencer.is_idle and self.clock.monotonic() < deadline:
            await self.clock.sleep(0.02)

    def reload(self, registry: Registry) -> None:
        """Serve this application from now on: the next mutation runs its code, every live query is evaluated again."""
        self._sequencer.registry = registry
        self.live.replace_registry(registry)

    def health(self) -> EngineHealth:
        store = self._store.health()
        reason = store.reason
        if self.is_stopping:
            reason = "stopping"
        elif not reason and self.head == ZERO:
            reason = "starting"
        elif not reason and store.lag_s > self.settings.ready_max_lag_s:
            reason = f"the change feed is {store.lag_s:.1f} s behind, more than {self.settings.ready_max_lag_s:g} s"
        elif not reason and not (store.has_primary and store.feed_is_live):
            reason = "the database is away"
        self._was_ready = self._was_ready or not reason
        return EngineHealth(not reason, self._was_ready, reason)

    def measure(self) -> None:
        """Bring the gauges up to date; called when somebody looks at them."""
        self.metrics.ready.set(self.health().ready)
        self.metrics.lag_seconds.set(self._store.health().lag_s)
        self.metrics.feed_position_seconds.set(unpack(self._position.ts)[0])
        self.metrics.head_seconds.set(unpack(self.head)[0])
        self.metrics.live_queries.set(len(self.live))
        self.metrics.cache_bytes.set(self._timeline.cache.size_bytes)
        self.metrics.cache_ranges.set(self._timeline.cache.ranges)
        self.metrics.queue_length.labels("mutations").set(len(self._sequencer.queue))

    # --- reading -----------------------------------------------------------------------------------------------

    async def latest(self, deadline: float) -> Timestamp:
        """A timestamp at which everything acknowledged before this call is seen. Raises NotCaughtUp."""
        async with _until(self.clock, deadline):
            return await self._currency.prove(deadline)

    async def query(
        self,
        path: str,
        args: Mapping[str, Value],
        caller: Caller,
        *,
        min_ts: Timestamp | None = None,
        at_ts: Timestamp | None = None,
        deadline: float,
    ) -> tuple[Result, Timestamp]:
        """The query's result and the timestamp at which it is true.

        It sees everything that any hub acknowledged before; with `min_ts`, that timestamp at least; with `at_ts` exactly that
        moment. Raises NotCaughtUp, Unavailable, BadRequest for a moment that is too old.
        """
        results, ts = await self.query_batch([(path, args)], caller, min_ts=min_ts, at_ts=at_ts, deadline=deadline)
        return results[0], ts

    async def query_batch(
        self,
        calls: Sequence[tuple[str, Mapping[str, Value]]],
        caller: Caller,
        *,
        min_ts: Timestamp | None = None,
        at_ts: Timestamp | None = None,
        deadline: float,
    ) -> tuple[list[Result], Timestamp]:
        """Several queries at one moment; otherwise as `query`."""
        async with _until(self.clock, deadline):
            at = await self._moment(min_ts, at_ts, deadline)
            try:
                return [await self._run_once(path, args, caller, at) for path, args in calls], at
            except SnapshotTooOld:
                if at_ts is not None:
                    raise BadRequest("the database no longer keeps the history of that timestamp; ask for a newer one") from None
                raise

    async def _moment(self, min_ts: Timestamp | None, at_ts: Timestamp | None, deadline: float) -> Timestamp:
        wanted = at_ts if at_ts is not None else min_ts
        if wanted is None:
            return await self._currency.prove(deadline)
        if unpack(wanted)[0] == 0:
            raise BadRequest("the database has no history of that timestamp; ask for one that the hub has sent")
        if self._position.ts < wanted:
            await self._position.reach(await self._store.barrier(wanted), deadline)
        return wanted if at_ts is not None else self._position.ts

    async def _run_once(self, path: str, args: Mapping[str, Value], caller: Caller, at: Timestamp) -> Result:
        try:
            function = self.registry.find(path, "query", caller)
        except HubError as error:
            return failure(error)
        async with self._one_shots:
            run = await self._runner.run(function, args, caller=caller, journal=None, at=at)
        return encode_run(run)

    # --- writing -----------------------------------------------------------------------------------------------

    async def mutate(
        self, path: str, args: Mapping[str, Value], caller: Caller, *, key: str | None, body_key: str, deadline: float
    ) -> tuple[Result, Timestamp | None]:
        """Run a mutation; with `key` (an Idempotency-Key) exactly once for this caller.

        Raises RequestMismatch (the key was used for something else), OutcomeUnknown, Unavailable.
        """
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def reply(answer: Answer) -> None:
            if not answered.done():
                answered.set_result(answer)

        record_key = None if key is None else "http:" + hashlib.sha256(f"{caller.name}\n{key}".encode()).hexdigest()
        self._sequencer.submit(
            MutationRequest(
                path=path,
                args=args,
                caller=caller,
                source=f"http:{id(answered)}",
                arrived=self.clock.monotonic(),
                deadline=deadline,
                reply=reply,
                key=record_key,
                body=body_hash(body_key),
                may_repeat=True,
                keep_s=self.settings.http_record_keep_s,
            )
        )
        answer = await answered
        if answer.error is not None:
            raise answer.error
        assert answer.result is not None
        return answer.result, answer.ts

    def submit(self, request: MutationRequest) -> None:
        """Queue a session's mutation. Raises TooManyConcurrentRequests."""
        self._sequencer.submit(request)

    # --- sessions ----------------------------------------------------------------------------------------------

    def refresh_at_next_head(self, subscriber: Subscriber) -> None:
        """Call its `refresh` when the head has moved."""
        self._waiting_for_head[subscriber] = None

    def forget(self, subscriber: Subscriber) -> None:
        self._waiting_for_head.pop(subscriber, None)

    def _refresh_waiting(self) -> Collection[Subscriber]:
        waiting, self._waiting_for_head = self._waiting_for_head, {}
        for subscriber in waiting:
            subscriber.refresh()
        return waiting

    async def catch_up(self, ts: Timestamp) -> None:
        """Wait until this hub is past a timestamp that a client saw elsewhere.

        Raises NotCaughtUp after `catch_up_deadline_s`, BadRequest when the database itself is not that far.
        """
        if self.head >= ts:
            return
        deadline = self.clock.monotonic() + self.settings.catch_up_deadline_s
        async with _until(self.clock, deadline):
            await self._position.reach(await self._store.barrier(ts), deadline)

    # --- what is here ------------------------------------------------------------------------------------------

    def kind_of(self, path: str, caller: Caller) -> Literal["query", "mutation"]:
        """Raises FunctionNotFound."""
        return self.registry.find(path, None, caller).kind


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel until they have ended: a cancellation can be lost in the driver (`asyncio.wait_for` of Python 3.11 swallows one that
    comes when what it waits for is done)."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.5)


def function_limits(settings: Settings) -> Limits:
    return Limits(
        cpu_s=settings.function_cpu_s,
        rows_read=settings.function_rows_read_max,
        bytes_read=settings.function_bytes_read_max,
        rows_written=settings.function_rows_written_max,
        bytes_written=settings.function_bytes_written_max,
        args_bytes=settings.function_args_max_bytes,
        result_bytes=settings.function_result_max_bytes,
        nesting=settings.function_nesting_max,
        log_lines=settings.function_log_lines_max,
    )


def batch_limits(settings: Settings) -> BatchLimits:
    return BatchLimits(
        mutations=settings.mutation_batch_max,
        rows=settings.mutation_batch_max_rows,
        size_bytes=settings.mutation_batch_max_bytes,
        run_s=settings.mutation_batch_run_s,
    )


def body_hash(body_key: str) -> str:
    """Of path and arguments: what a repeat of a request must have in common with it."""
    return hashlib.sha256(body_key.encode("utf-8", "surrogatepass")).hexdigest()


@asynccontextmanager
async def _until(clock: Clock, deadline: float) -> AsyncIterator[None]:
    """Whatever is awaited inside ends by the deadline (`Clock.monotonic` seconds). Raises NotCaughtUp."""
    try:
        async with asyncio.timeout(max(0.0, deadline - clock.monotonic())):
            yield
    except TimeoutError:
        raise NotCaughtUp("NotCaughtUp: this hub could not answer in time; the database may be away") from None
