"""Evaluations: runs the live queries that are new or stale, registers what they read, and hands the results to their subscribers.

First from memory: at the head, without waiting, one after the other. A query
whose rows are not all in memory, or that took long the last time, is evaluated in a wave instead (`hub.live.waves`): in a task, at
the wave's head, beside others, and what it reads is in memory from then on. A slow evaluation delays the sessions that show it and
nobody else. Evaluating from memory and handing results out give way to the event loop every few milliseconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable
from itertools import chain

from hub.clock import Clock, Slices
from hub.core.rangemap import Piece
from hub.errors import Unavailable
from hub.functions.execution import Run
from hub.functions.registry import Function
from hub.live.directory import LiveQueries
from hub.live.query import LiveQuery, Subscriber, Subscription
from hub.live.reading import Reading
from hub.live.results import encode_run
from hub.live.runner import Runner
from hub.live.timeline import Timeline
from hub.live.waves import Waves
from hub.metrics import Metrics
from hub.protocol.messages import Failure, Success
from hub.protocol.steps import Steps
from hub.protocol.volley import Volley
from hub.timestamps import Timestamp

log = logging.getLogger(__name__)

_RETRY_S, _MAX_RETRY_S = 0.1, 5.0
"""Pauses, doubling, before a run is repeated that could not read the database."""
_WIDE = 20
"""A result that more sessions get is not compressed for each of them."""
_LONG_S = 0.02
"""A query that took longer than this goes into waves, so that it does not hold up the round, until it is quick again.

What it took is processor time, from memory: neither what other processes took of the machine nor waiting for the database is its
fault. A wave only tells that it has become quicker: were a first result, one of hundreds that are read at once, to say how slow a
query is, each would be run in a wave once more.
"""


class Evaluations:
    def __init__(
        self, timeline: Timeline, reading: Reading, runner: Runner, clock: Clock, metrics: Metrics, *, max_concurrent_runs: int
    ) -> None:
        self._timeline = timeline
        self._reading = reading
        self._runner = runner
        self._clock = clock
        self._metrics = metrics
        self._slots = asyncio.Semaphore(max_concurrent_runs)
        self._waves: Waves[LiveQuery] = Waves()
        self._wave_timer: asyncio.TimerHandle | None = None
        self._new: dict[LiveQuery, None] = {}
        self._is_working_on_new = False
        self._sweeps = 0
        self._changed: dict[Subscriber, Subscription | None] = {}  # None: more than one of its results
        self._authors: Collection[Subscriber] = ()
        self._tasks: asyncio.TaskGroup | None = None
        self._live: LiveQueries | None = None

    def connect(self, live: LiveQueries) -> None:
        self._live = live

    def run_in(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks

    def evaluate(self, live: LiveQuery) -> None:
        """Evaluate it soon; the head may move meanwhile."""
        self._new[live] = None
        if not self._is_working_on_new:
            self._is_working_on_new = True
            self._group().create_task(self._evaluate_new(), name="evaluate new queries")

    async def _evaluate_new(self) -> None:
        try:
            while self._new:
                new, self._new = self._new, {}
                await self.evaluate_all(new)
        finally:
            self._is_working_on_new = False

    def forget(self, live: LiveQuery) -> None:
        self._timeline.forget(live.id)
        self._timeline.cache.release(live.id, self._clock.monotonic())
        self._waves.forget(live)
        self._new.pop(live, None)

    # --- from memory ---------------------------------------------------------------------------------------------------

    async def evaluate_all(self, queries: Iterable[LiveQuery], *, authors: Collection[Subscriber] = ()) -> None:
        """Returns when those that can be are evaluated from memory, and shown; the others wait for a wave, or are in one.

        `authors` wrote what made them stale, and see it first.
        """
        self._authors = authors or self._authors
        self._sweeps += 1
        try:
            await self._sweep(queries)
        finally:
            self._sweeps -= 1
        await self._publish()
        self._start_waves()

    async def _sweep(self, queries: Iterable[LiveQuery]) -> None:
        slices = Slices(self._clock)
        for live in queries:
            if not live.subscriptions or not live.is_stale or self._waves.is_running(live):
                continue
            if live.took_s > _LONG_S or not self._evaluate_now(live):
                self._wait_for_wave(live)
            if slices.is_over():
                await self._publish()
                await slices.give_way()

    def _evaluate_now(self, live: LiveQuery) -> bool:
        """Evaluate it at the head; False if its rows are not all in memory."""
        function = self._function_of(live)
        if function is None:
            return True  # it was taken out of the application a moment ago
        memory = self._reading.memory()
        started = self._clock.thread_time()
        run = self._runner.run_now(function, live.args, caller=live.caller, journal=live.journal, memory=memory)
        live.took_s = self._clock.thread_time() - started
        self._metrics.cache_hits.inc(memory.hits)
        if run is None:
            return False
        self._metrics.reruns.inc()
        self._take(live, run, self._timeline.head, memory.used)
        return True

    async def _publish(self) -> None:
        """Hand the results to their subscribers."""
        changed, self._changed = self._changed, {}
        first = [(author, changed.pop(author)) for author in self._authors if author in changed]
        live, steps, volley = None, None, Volley()
        slices = Slices(self._clock)
        for subscriber, subscription in chain(first, changed.items()):
            if subscription is not None and (subscription.live is not live or steps is None):
                self._count(steps)
                live, steps = subscription.live, self._steps(subscription.live, volley)
            if subscription is None or steps is None:
                subscriber.refresh()
            elif subscriber.step(subscription, steps, slices.now) and not slices.is_over():
                continue
            volley.leave()
            if slices.is_over():
                await slices.give_way()
        volley.leave()
        self._count(steps)

    def _steps(self, live: LiveQuery | None, volley: Volley) -> Steps | None:
        """To its newest result, if that is a value; the subscribers of a query come one after the other."""
        latest = live.evaluations[-1] if live is not None and live.evaluations else None
        if latest is None or latest.until is not None or not isinstance(latest.result, Success):
            return None
        return Steps(latest.result, self._timeline.head, volley)

    def _count(self, steps: Steps | None) -> None:
        if steps is not None:
            self._metrics.transitions.value += steps.sent
            self._metrics.sent_bytes.value += steps.sent_bytes

    # --- in waves ------------------------------------------------------------------------------------------------------

    def _wait_for_wave(self, live: LiveQuery) -> None:
        """One that was never shown joins the fast wave that is under way, if there is one."""
        at = None if live.evaluations else self._waves.join(live, self._clock.monotonic())
        if at is not None:
            self._launch(live, at)
        else:
            self._waves.want(live)

    def _start_waves(self) -> None:
        """Once it is known of every stale query whether it has to wait for one: those that a wave left out would be evaluated at
        another head, again and again, and a session with some of both would have none in common."""
        if self._new or self._sweeps:
            return  # called again when that is known
        now = self._clock.monotonic()
        for live, at in self._waves.start(self._timeline.head, now):
            self._launch(live, at)
        if self._wave_timer is not None:
            self._wave_timer.cancel()
            self._wave_timer = None
        due = self._waves.due()
        if due is not None and due < float("inf"):
            self._wave_timer = asyncio.get_running_loop().call_later(max(0.0, due - now), self._start_waves)

    def _launch(self, live: LiveQuery, at: Timestamp) -> None:
        self._group().create_task(self._evaluate_in_wave(live, at), name=f"evaluate {live.key.path}")

    async def _evaluate_in_wave(self, live: LiveQuery, at: Timestamp) -> None:
        source = self._reading.source()
        run: Run | None = None
        ended: float | None = None
        try:
            async with self._slots:
                started = self._clock.monotonic()
                function = self._function_of(live)
                if function is not None and live.subscriptions:
                    self._metrics.reruns.inc()
                    run = await self._runner.run(
                        function, live.args, caller=live.caller, journal=live.journal, at=at, source=source
                    )
                ended = self._clock.monotonic()
                live.took_s = min(live.took_s, ended - started)
            if run is not None:
                self._take(live, run, at, source.used)
                await self._publish()  # before it is done: the head that is still in use may be all that a session's queries share
        except Unavailable as error:
            log.warning("live query waits for the database", extra={"query": live.key.path, "reason": error.message})
        finally:
            self._waves.done(live, ended or self._clock.monotonic())
        if run is None:
            await self._pause(live)
        if not live.subscriptions:
            self.forget(live)
        elif live.is_stale:
            self.evaluate(live)
        self._start_waves()

    async def _pause(self, live: LiveQuery) -> None:
        """There is no result to believe: the run is repeated, later each time, and meanwhile nobody is shown an error."""
        live.failed_runs += 1
        self._start_waves()
        await self._clock.sleep(min(_RETRY_S * 2 ** min(live.failed_runs - 1, 10), _MAX_RETRY_S))

    # --- results -------------------------------------------------------------------------------------------------------

    def _take(self, live: LiveQuery, run: Run, at: Timestamp, used: set[Piece]) -> None:
        """The evaluation is in: register what it read, replay what came since, note who is concerned. No await."""
        if run.reads.saw_identity and live.caller is None:
            self._metrics.discarded_runs.inc()
            self._queries().make_personal(live)
            return
        if not live.subscriptions:
            return
        live.failed_runs = 0
        self._timeline.watch(live.id, run.reads)
        self._timeline.cache.hold(live.id, used, self._clock.monotonic())
        result = encode_run(run, is_wide=len(live.subscriptions) > _WIDE)
        is_new = live.evaluated(result, at, self._timeline.stale_since(run.reads, at))
        live.forget_evaluations(self._waves.heads_in_use)
        if run.journal is not None:
            self._queries().fix_page(live, run.journal)
        if not is_new:
            self._metrics.wasted_reruns.inc()
        elif isinstance(result, Failure):
            self._metrics.errors.labels(result.code).inc()
        changed = self._changed
        for subscription in live.subscriptions:
            subscriber = subscription.subscriber
            changed[subscriber] = None if subscriber in changed else subscription

    def _function_of(self, live: LiveQuery) -> Function | None:
        return self._queries().registry.functions.get(live.key.path)

    def _queries(self) -> LiveQueries:
        assert self._live is not None, "connect() comes first"
        return self._live

    def _group(self) -> asyncio.TaskGroup:
        assert self._tasks is not None, "run_in() comes first"
        return self._tasks
