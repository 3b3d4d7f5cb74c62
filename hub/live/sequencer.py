"""Sequencer: runs mutations one after another and commits each exactly once.

A mutation runs on the snapshot at H, the feed's position; its writes and its request record go to the store as one transaction
that is opened at H and first moves the clock row. Whoever else changed the clock, or a row it writes, after H makes it conflict:
nothing is written, and the mutation runs again at a newer H. So mutations are serializable among all hubs of a deployment.

The feed, not the acknowledgement, tells a commit's timestamp, and it can be the faster of the two: `committed` is then what
releases the answer, before anything shows the commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from hub.clock import Clock
from hub.core.commits import BatchId
from hub.core.readset import ReadSet
from hub.errors import (
    ApplicationError,
    Conflict,
    DeadlineExceeded,
    HubError,
    NotCaughtUp,
    OutcomeUnknown,
    RequestMismatch,
    RequestOfAnotherCaller,
    Unavailable,
)
from hub.functions.execution import Run
from hub.functions.registry import Function, Registry
from hub.live.currency import Currency
from hub.live.mutations import Answer, MutationQueue, MutationRequest
from hub.live.position import FeedPosition, covers
from hub.live.results import encode_run, failure, from_record, to_record
from hub.live.runner import Runner
from hub.metrics import Metrics
from hub.protocol.messages import Failure, Result
from hub.store import RequestRecord, Store, WriteBatch
from hub.timestamps import ZERO, Timestamp

log = logging.getLogger(__name__)

_FEED_GRACE_S = 1.0
"""How long an acknowledged commit waits for the feed to name its timestamp, before its upper bound is answered instead."""
_DECISION_S = 3.0
"""How long a resync waits for a commit that is on its way."""
_RETRY_S = 0.1
"""Pause before the database is asked again that was away."""


@dataclass(slots=True, eq=False)
class _Commit:
    """A transaction on its way: what is answered as soon as it is known to be committed, by whoever knows it first.

    `bound` is set by the acknowledgement. `is_unnamed`: the feed lost its history, and may never name the timestamp. `decided` is
    set when it was answered, or failed.
    """

    request: MutationRequest
    result: Result
    reply: Callable[[MutationRequest, Answer], None]
    ts: Timestamp | None = None
    bound: Timestamp | None = None
    is_unnamed: bool = False
    decided: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self, ts: Timestamp) -> None:
        if self.ts is None:
            self.ts = ts
            self.reply(self.request, Answer(self.result, ts))
            self.decided.set()


class Sequencer:
    """`registry` is read anew for each mutation, so that a reload takes effect between two of them."""

    def __init__(
        self,
        store: Store,
        runner: Runner,
        position: FeedPosition,
        currency: Currency,
        registry: Registry,
        clock: Clock,
        metrics: Metrics,
        *,
        max_waiting: int,
    ) -> None:
        self.registry = registry
        self.queue = MutationQueue(max_waiting)
        self._store = store
        self._runner = runner
        self._position = position
        self._currency = currency
        self._clock = clock
        self._metrics = metrics
        self._on_their_way: dict[BatchId, _Commit] = {}
        self._last_commit: Timestamp = ZERO
        self._is_busy = False
        self._doubtful: set[str] = set()  # keys of requests that may yet turn out to be committed; settled by the next commit

    @property
    def is_idle(self) -> bool:
        return not self._is_busy and not len(self.queue)

    def submit(self, request: MutationRequest) -> None:
        """Queue it. Raises TooManyConcurrentRequests."""
        self.queue.put(request)

    def committed(self, batch: BatchId, ts: Timestamp) -> None:
        """The feed has brought one of our commits: that proves it, acknowledged or not."""
        commit = self._on_their_way.get(batch)
        if commit is not None:
            commit.release(ts)

    async def lost_history(self) -> None:
        """The feed starts over and may have left out a commit that is on its way. Returns when that one is answered or failed,
        so that nothing shows it before; one that stays in doubt has its socket closed and is not waited for."""
        for commit in list(self._on_their_way.values()):
            commit.is_unnamed = True
            if commit.bound is not None:
                commit.release(commit.bound)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DECISION_S):
                    await commit.decided.wait()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            request = await self.queue.take()
            self._is_busy = True
            try:
                await self._answer(request)
            finally:
                self._is_busy = False

    async def _answer(self, request: MutationRequest) -> None:
        answer: Answer | None
        try:
            answer = await self._execute(request)
        except HubError as error:
            answer = Answer(None, error=error)
        except Exception:
            log.exception("mutation failed inside the hub", extra={"function": request.path})
            answer = Answer(None, error=HubError("InternalServerError: the hub failed; its log has the reason"))
        if answer is None:
            return
        self._reply(request, answer)
        if isinstance(answer.error, OutcomeUnknown):
            # What the session sent after it must not run before it: the client sends all of it again.
            for follower in self.queue.drop(request.source):
                self._reply(follower, Answer(None, error=OutcomeUnknown("OutcomeUnknown: what came before it is not known yet")))

    def _reply(self, request: MutationRequest, answer: Answer) -> None:
        code = answer.error.code if answer.error is not None else getattr(answer.result, "code", "ok")
        self._metrics.mutations.labels(code).inc()
        self._metrics.mutation_seconds.observe(self._clock.monotonic() - request.arrived)
        request.reply(answer)

    async def _execute(self, request: MutationRequest) -> Answer | None:
        """Attempts until one counts or the deadline has passed; None when the commit's release has given the answer.

        While it cannot be ruled out that an earlier sending was committed, running out of time is OutcomeUnknown, never "failed".
        """
        is_new = request.key is None or not request.may_repeat
        pause_s = 0.002
        while True:
            at = self._position.ts
            try:
                async with self._within(request):
                    await self._position.reach(self._last_commit, request.deadline)
                    await self._currency.catch_up()
                    at = self._position.ts
                    if not is_new:
                        assert request.key is not None
                        record = await self._store.get_record(request.key, at)
                        if record is not None:
                            return Answer(_recorded(record, request), at)
                        is_new = request.key not in self._doubtful
                return await self._attempt(request)
            except _Outdated:
                continue
            except Conflict:
                self._metrics.conflicts.inc()
                is_new = request.key is None  # the winner may be the same request, on another hub
                await self._see_winner(request, at)
            except Unavailable as error:
                if self._clock.monotonic() + pause_s >= request.deadline:
                    raise _out_of_time(is_new) from error
                await self._clock.sleep(_RETRY_S)
            if self._clock.monotonic() + pause_s >= request.deadline:
                raise _out_of_time(is_new)
            await self._clock.sleep(random.uniform(pause_s / 2, pause_s))  # noqa: S311 - chance keeps two hubs from running in step
            pause_s = min(2 * pause_s, 0.1)

    @asynccontextmanager
    async def _within(self, request: MutationRequest) -> AsyncIterator[None]:
        """Whatever is awaited inside ends by the request's deadline. Raises DeadlineExceeded."""
        try:
            async with asyncio.timeout(max(0.0, request.deadline - self._clock.monotonic())):
                yield
        except TimeoutError:
            raise DeadlineExceeded("the mutation did not get its turn in time; nothing of it was written") from None

    async def _attempt(self, request: MutationRequest) -> Answer | None:
        async with self._within(request):
            at, clocks = self._position.ts, dict(self._position.clocks)
            function, run = await self._run(request, at)
            result = encode_run(run)
            if function is None or not _commits(request, run, result):
                numbers = await self._currency.numbers()
                if covers(clocks, numbers):
                    return Answer(result, at)
                await self._position.reach_clocks(numbers, request.deadline)
                raise _Outdated
        await self._commit(request, function, run, result, at)
        return None

    async def _run(self, request: MutationRequest, at: Timestamp) -> tuple[Function | None, Run]:
        try:
            function = self.registry.find(request.path, "mutation", request.caller)
        except HubError as error:
            return None, Run(None, error, ReadSet(), (), (), None)
        return function, await self._runner.run(function, request.args, caller=request.caller, journal=None, at=at)

    async def _commit(self, request: MutationRequest, function: Function, run: Run, result: Result, at: Timestamp) -> None:
        writes = () if isinstance(result, Failure) else run.writes
        batch = WriteBatch(BatchId(uuid.uuid4().hex), writes, _records(request, result), function.isolation)
        commit = self._on_their_way[batch.id] = _Commit(request, result, self._reply)
        try:
            commit.bound = await self._store.transact(batch, at, request.deadline)
            await self._name(commit, commit.bound)
            self._doubtful.clear()
        except Exception as error:
            self._failed(commit, error)
        finally:
            del self._on_their_way[batch.id]
            commit.decided.set()
        if commit.ts is not None:
            self._last_commit = commit.ts

    def _failed(self, commit: _Commit, error: Exception) -> None:
        """Nothing, if the feed has proved the commit; otherwise raises what is known about it."""
        if isinstance(error, OutcomeUnknown):
            self._metrics.unknown_outcomes.inc()
        if commit.ts is not None:
            log.warning("a commit that the feed proved had no acknowledgement", extra={"function": commit.request.path})
            return
        if isinstance(error, HubError) and not isinstance(error, OutcomeUnknown):
            raise error  # definite: nothing was written
        if not isinstance(error, HubError):
            log.error("a commit failed in the driver", exc_info=error, extra={"function": commit.request.path})
        if commit.request.key is not None:
            self._doubtful.add(commit.request.key)
        raise OutcomeUnknown(
            "OutcomeUnknown: it is not known yet whether the mutation was committed; repeat it to learn"
        ) from error

    async def _name(self, commit: _Commit, bound: Timestamp) -> None:
        """Wait until the feed has named the commit's timestamp; if it is away, take the bound."""
        try:
            async with asyncio.timeout(0 if commit.is_unnamed else _FEED_GRACE_S):
                await commit.decided.wait()
        except TimeoutError:
            commit.release(bound)

    async def _see_winner(self, request: MutationRequest, at: Timestamp) -> None:
        """After a conflict the feed soon brings what won; running again before that would lose again."""
        try:
            await self._position.reach(Timestamp(at + 1), min(request.deadline, self._clock.monotonic() + _FEED_GRACE_S))
        except NotCaughtUp:
            log.warning("conflict with a commit that the feed does not bring", extra={"function": request.path})


def _out_of_time(is_new: bool) -> HubError:
    if is_new:
        return DeadlineExceeded("DeadlineExceeded: the mutation could not be committed in time; nothing of it was written")
    return OutcomeUnknown(
        "OutcomeUnknown: it could not be found out in time whether this mutation was committed; repeat it to learn"
    )


class _Outdated(Exception):
    """The run committed nothing, and this hub had not yet seen what others had acknowledged: run again."""


def _commits(request: MutationRequest, run: Run, result: Result) -> bool:
    """Whether there is something to commit: writes, or the record of a request that must get the same answer again.

    Errors other than the application's own are not recorded: a repeat may do better.
    """
    if run.error is not None or isinstance(result, Failure):
        return request.key is not None and isinstance(run.error, ApplicationError)
    return request.key is not None or bool(run.writes)


def _records(request: MutationRequest, result: Result) -> tuple[RequestRecord, ...]:
    if request.key is None:
        return ()
    return (RequestRecord(request.key, request.caller.name, request.body, to_record(result), request.keep_s),)


def _recorded(record: RequestRecord, request: MutationRequest) -> Result:
    """What a repeat is told. Raises RequestMismatch when the key was used for something else."""
    if record.caller != request.caller.name:
        return failure(RequestOfAnotherCaller("RequestOfAnotherCaller: this request id belongs to another caller"))
    if record.body != request.body:
        raise RequestMismatch("RequestMismatch: this request key was used before, for another function or other arguments")
    return from_record(record.outcome)
