"""Sequencer: runs mutations in batches and commits each exactly once.

What waits is taken together, up to a limit; a mutation that is alone is not made to wait for others. A batch runs on the snapshot
at H, the feed's position, each mutation seeing what those before it wrote; its writes and its request records go to the store as
one transaction that is opened at H and first moves the clock row. Whoever else changed the clock, or a row it writes, after H
makes it conflict: nothing is written, and what was overtaken runs again at a newer H. So mutations are serializable among all hubs
of a deployment.

The feed, not the acknowledgement, tells a commit's timestamp, and it can be the faster of the two: `committed` is then what
releases the answers, before anything shows the commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import uuid
from collections import deque
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from hub.clock import Clock
from hub.core.commits import BatchId
from hub.core.ranges import IndexRange
from hub.errors import (
    Conflict,
    DeadlineExceeded,
    DuplicateKey,
    HubError,
    NotCaughtUp,
    OutcomeUnknown,
    Unavailable,
    UniqueViolation,
)
from hub.functions.registry import Function, Registry
from hub.live.batch import Batch, BatchLimits, Done, Isolation, Member, Overtaken, finish, recorded, without_run
from hub.live.batch_rows import BatchRows, MemberRows
from hub.live.currency import Currency
from hub.live.departure import Departure
from hub.live.guesses import Guesses
from hub.live.mutations import Answer, MutationQueue, MutationRequest
from hub.live.position import FeedPosition, covers
from hub.live.runner import Runner
from hub.metrics import Metrics
from hub.store import CLOCK, Store
from hub.timestamps import ZERO, Timestamp

log = logging.getLogger(__name__)

_FEED_GRACE_S = 1.0
"""How long an acknowledged commit waits for the feed to name its timestamp, before its upper bound is answered instead."""
_DECISION_S = 3.0
"""How long a resync waits for a commit that is on its way."""
_RETRY_S = 0.1
"""Pause before the database is asked again that was away."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.002, 0.1
"""Pauses, doubling, between the tries of a batch that conflicts."""
_BREATH_S = 0.005
"""How long runs that never wait may keep the loop from everybody else."""


class Sequencer:
    """`registry` is read anew for each batch, so that a reload takes effect between two of them.

    A member is in `_open` while its batch is worked on, in `_put_off` when it was taken and left for the next one, and otherwise
    in the queue; in that order they came, as far as they are of one session.
    """

    def __init__(
        self,
        store: Store,
        runner: Runner,
        position: FeedPosition,
        currency: Currency,
        registry: Registry,
        clock: Clock,
        metrics: Metrics,
        limits: BatchLimits,
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
        self._limits = limits
        self._guesses = Guesses(clock)
        self._open: list[Member] = []
        self._put_off: deque[Member] = deque()
        self._most = limits.mutations  # in one batch; halved when a batch was refused, to find the one it was refused for
        self._on_their_way: dict[BatchId, Departure] = {}
        self._last_commit: Timestamp = ZERO
        self._doubtful: set[str] = set()  # keys of requests that may yet turn out to be committed; settled by the next commit

    @property
    def is_idle(self) -> bool:
        return not self._open and not self._put_off and not len(self.queue)

    def submit(self, request: MutationRequest) -> None:
        """Queue it. Raises TooManyConcurrentRequests."""
        self.queue.put(request)

    def committed(self, batch: BatchId, ts: Timestamp) -> None:
        """The feed has brought one of our commits: that proves it, acknowledged or not."""
        departure = self._on_their_way.get(batch)
        if departure is not None:
            departure.release(ts)

    async def lost_history(self) -> None:
        """The feed starts over and may have left out a commit that is on its way. Returns when that one is answered or failed,
        so that nothing shows it before; one that stays in doubt has its sockets closed and is not waited for."""
        for departure in list(self._on_their_way.values()):
            departure.is_unnamed = True
            if departure.bound is not None:
                departure.release(departure.bound)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DECISION_S):
                    await departure.decided.wait()

    # --- batches -----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._take()
            try:
                await self._settle()
            except Exception:
                log.exception("a batch of mutations failed inside the hub")
                for member in self._open:
                    self._reply(member, Answer(None, error=HubError("InternalServerError: the hub failed; its log has the reason")))
            finally:
                self._open = []

    async def _take(self) -> None:
        """What was put off, and what waits now; waits only if there is nothing at all."""
        if not self._put_off:
            self._put_off.append(_member(await self.queue.take()))
        while self._put_off and len(self._open) < self._most:
            self._open.append(self._put_off.popleft())
        self._open += map(_member, self.queue.take_waiting(self._most - len(self._open)))

    async def _settle(self) -> None:
        """Attempts until every open member is answered or put off.

        While it cannot be ruled out that an earlier sending was committed, running out of time is OutcomeUnknown, never "failed".
        """
        pause_s = 0.0
        losses = 0  # in a row, and not to another hub
        batch: Batch | None = None
        while self._is_in_time(pause_s):
            try:
                batch = await self._run_open(batch)
                if await self._has_wrong_guess(batch, batch.unproved()) or not await self._is_current(batch):
                    continue
                if not await self._goes_through(batch):
                    continue
                self._most = min(2 * self._most, self._limits.mutations)
                return
            except DuplicateKey:
                losses += 1
                self._lost()
                if losses > 1:
                    self._part(UniqueViolation("the database has a unique index in which a written row meets another one"))
            except Conflict:
                assert batch is not None
                self._lost()
                await self._see_winner(batch.rows.at)
                losses = 0 if self._position.clocks.get(CLOCK) != batch.clocks.get(CLOCK) else losses + 1
                if losses > 1 and len(self._open) > 1:
                    self._halve()  # a row that others write all the time is one member's trouble, not everybody's
            except Unavailable:
                pause_s = max(pause_s, _FIRST_PAUSE_S)
                if self._is_in_time(pause_s):
                    await self._clock.sleep(_RETRY_S)
                continue
            except HubError as error:
                self._part(error)
                continue
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S) or _FIRST_PAUSE_S
            if self._is_in_time(pause_s):
                await self._clock.sleep(random.uniform(pause_s / 2, pause_s))  # noqa: S311 - so that two hubs do not run in step

    def _is_in_time(self, pause_s: float) -> bool:
        """Whether there is something left to do; who has no time for it any more is told so."""
        latest = self._clock.monotonic() + pause_s
        for member in self._open:
            if latest >= member.request.deadline:
                self._reply(member, Answer(None, error=_out_of_time(member)))
        self._forget_answered()
        return bool(self._open)

    def _lost(self) -> None:
        """Whoever was first may have been one of these requests, on another hub."""
        self._metrics.conflicts.inc()
        for member in self._open:
            member.may_be_recorded = member.request.key is not None

    def _part(self, error: HubError) -> None:
        """The database refuses the batch because of one of its members: once that is alone, it is told."""
        if len(self._open) == 1:
            self._reply(self._open[0], Answer(None, error=error))
            self._forget_answered()
        else:
            self._halve()

    def _halve(self) -> None:
        """Go on with the first half; batches stay small until one goes through."""
        self._most = len(self._open) // 2
        self._put_off.extendleft(reversed(self._open[self._most :]))
        del self._open[self._most :]

    def _forget_answered(self) -> None:
        self._open = [member for member in self._open if not member.is_answered]

    async def _see_winner(self, at: Timestamp) -> None:
        """After a conflict the feed soon brings what won; running again before that would lose again."""
        try:
            await self._position.reach(Timestamp(at + 1), min(self._first_deadline(), self._clock.monotonic() + _FEED_GRACE_S))
        except NotCaughtUp:
            log.warning("conflict with a commit that the feed does not bring", extra={"members": len(self._open)})

    # --- runs --------------------------------------------------------------------------------------------------

    async def _run_open(self, earlier: Batch | None) -> Batch:
        """Run the open members, one after another, at the feed's position; who is left for the next batch is put off.

        `earlier` is how they ran before, at an older position: what nothing has touched since is not run again.
        """
        async with self._in_time():
            await self._position.reach(self._last_commit, self._first_deadline())
            await self._currency.catch_up()
            at, clocks = self._position.ts, dict(self._position.clocks)
            await self._look_up(at)
            commits = None if earlier is None else self._position.since(earlier.rows.at)
            if earlier is None or commits is None:
                earlier, commits, rows = None, (), BatchRows(self._store, at)
            else:
                rows = earlier.rows.moved(at, commits)
            isolation, callable_ones = self._of_one_kind()
            batch = Batch(rows, isolation, clocks)
            await self._fill(batch, callable_ones, Overtaken(earlier, self._open, commits))
        ran = {done.member for done in batch.done}
        self._put_off.extendleft(member for member in reversed(self._open) if member not in ran)
        self._open = [done.member for done in batch.done]
        return batch

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """Whatever is awaited inside ends by the first of the members' deadlines. Raises DeadlineExceeded."""
        try:
            async with asyncio.timeout(max(0.0, self._first_deadline() - self._clock.monotonic())):
                yield
        except TimeoutError:
            raise DeadlineExceeded("the mutation did not get its turn in time; nothing of it was written") from None

    def _first_deadline(self) -> float:
        return min((member.request.deadline for member in self._open), default=self._clock.monotonic())

    async def _look_up(self, at: Timestamp) -> None:
        """Answer the repeats among the open members by their records."""
        asked = [member for member in self._open if member.may_be_recorded]
        if not asked:
            return
        keys = dict.fromkeys(member.request.key for member in asked if member.request.key is not None)
        records = await self._store.get_records(list(keys), at)
        for member in asked:
            record = records.get(member.request.key or "")
            if record is not None:
                self._reply(member, replace(recorded(record, member.request), ts=at))
            else:
                member.may_be_recorded = member.request.key in self._doubtful
        self._forget_answered()

    def _of_one_kind(self) -> tuple[Isolation, list[tuple[Member, Function | HubError]]]:
        """Those of the first one's isolation, which says what clock moves; of a session what comes before one of the other."""
        isolation: Isolation | None = None
        chosen: list[tuple[Member, Function | HubError]] = []
        others: set[str] = set()
        for member in self._open:
            function = self._function_of(member.request)
            if isinstance(function, Function):
                isolation = isolation or function.isolation
                if function.isolation != isolation:
                    others.add(member.request.source)
            if member.request.source not in others:
                chosen.append((member, function))
        return isolation or "serializable", chosen

    def _function_of(self, request: MutationRequest) -> Function | HubError:
        try:
            return self.registry.find(request.path, "mutation", request.caller)
        except HubError as error:
            return error

    async def _fill(self, batch: Batch, members: list[tuple[Member, Function | HubError]], overtaken: Overtaken) -> None:
        """Until the batch is full or has taken its time: nobody waits for a slow one, but what its session sent after it."""
        began = breath = self._clock.monotonic()
        waiting: set[str] = set()
        for member, function in members:
            if batch.is_full(self._limits):
                return
            if member.request.source in waiting:
                continue
            left_s = began + self._limits.run_s - self._clock.monotonic() if batch.done else None
            if left_s is not None and left_s <= 0:
                return
            try:
                async with asyncio.timeout(left_s):
                    done = await self._run(batch, member, function, overtaken)
            except (TimeoutError, Unavailable):
                if not batch.done:
                    raise
                waiting.add(member.request.source)
                continue
            batch.add(done)
            if self._clock.monotonic() - breath > _BREATH_S:
                await asyncio.sleep(0)
                breath = self._clock.monotonic()

    async def _run(self, batch: Batch, member: Member, function: Function | HubError, overtaken: Overtaken) -> Done:
        done = batch.repeated(member)
        if done is None and isinstance(function, HubError):
            done = without_run(member, function)
        if done is None:
            if (held := overtaken.still_holds(member)) is not None:
                return held
            assert isinstance(function, Function)
            done = await self._run_on(batch.rows, member, function)
        overtaken.runs_again(done)
        return done

    async def _run_on(self, rows: BatchRows, member: Member, function: Function) -> Done:
        request = member.request
        source = MemberRows(rows, partial(self._guesses.may, request.path))
        run = await self._runner.run(function, request.args, caller=request.caller, journal=None, at=rows.at, source=source)
        return finish(member, run, source.guessed)

    async def _is_current(self, batch: Batch) -> bool:
        """Whether this hub had seen, when the batch ran, all that any hub had acknowledged before. A commit proves it itself."""
        if batch.is_conclusive:
            return True
        async with self._in_time():
            numbers = await self._currency.numbers()
            if not covers(batch.clocks, numbers):
                await self._position.reach_clocks(numbers, self._first_deadline())
                return False
        return True

    async def _has_wrong_guess(self, batch: Batch, keys: Collection[IndexRange]) -> bool:
        """Look up these keys that were guessed free; who was wrong runs again."""
        if not keys:
            return False
        async with self._in_time():
            batch.wrong |= await batch.rows.look_up(keys)
        for function, index in batch.guessers(batch.wrong):
            self._guesses.was_wrong(function, index)
        return bool(batch.wrong)

    # --- commits -----------------------------------------------------------------------------------------------

    async def _goes_through(self, batch: Batch) -> bool:
        """Commit it; False when it was refused because of a key that was guessed free."""
        try:
            await self._commit(batch)
        except DuplicateKey:
            if not await self._has_wrong_guess(batch, batch.guessed()):
                raise
            self._metrics.conflicts.inc()
            return False
        return True

    async def _commit(self, batch: Batch) -> None:
        """Returns when all are answered. Raises what is definite: nothing was written."""
        if not batch.commits:
            for done in batch.done:
                self._reply(done.member, replace(done.answer, ts=batch.rows.at))
            return
        write = batch.to_write(BatchId(uuid.uuid4().hex))
        departure = self._on_their_way[write.id] = Departure(batch, self._reply)
        deadline = max(member.request.deadline for member in departure.members)
        expiry = self._expire_in_time(departure, deadline)
        try:
            departure.bound = await self._store.transact(write, batch.rows.at, deadline)
            await self._name(departure, departure.bound)
            self._doubtful.clear()
        except Exception as error:
            self._failed(departure, error)
        finally:
            expiry.cancel()
            del self._on_their_way[write.id]
            departure.decided.set()
        if departure.ts is not None:
            self._last_commit = departure.ts
            self._metrics.batch_mutations.observe(sum(done.commits for done in batch.done))

    async def _name(self, departure: Departure, bound: Timestamp) -> None:
        """Wait until the feed has named the commit's timestamp; if it is away, take the bound."""
        try:
            async with asyncio.timeout(0 if departure.is_unnamed else _FEED_GRACE_S):
                await departure.decided.wait()
        except TimeoutError:
            departure.release(bound)

    def _failed(self, departure: Departure, error: Exception) -> None:
        """Nothing, if the feed has proved the commit; raises what is definite; everything else is an unknown outcome of all."""
        if isinstance(error, OutcomeUnknown):
            self._metrics.unknown_outcomes.inc()
        if departure.ts is not None:
            log.warning("a commit that the feed proved had no acknowledgement", extra={"members": len(departure.members)})
            return
        if isinstance(error, HubError) and not isinstance(error, OutcomeUnknown):
            raise error
        if not isinstance(error, HubError):
            log.error("a commit failed in the driver", exc_info=error, extra={"members": len(departure.members)})
        self._doubt(departure.members)

    def _expire_in_time(self, departure: Departure, deadline: float) -> asyncio.TimerHandle:
        """Whoever's own deadline passes while the commit is on its way is not kept waiting until the last one's."""
        waiting = [member for member in departure.members if member.request.deadline < deadline]
        first = min((member.request.deadline for member in waiting), default=deadline)
        after_s = max(0.0, first - self._clock.monotonic())
        return asyncio.get_running_loop().call_later(after_s, self._expire, waiting)

    def _expire(self, members: list[Member]) -> None:
        self._doubt([member for member in members if self._clock.monotonic() >= member.request.deadline])

    def _doubt(self, members: list[Member]) -> None:
        """It is not known whether they were committed; the next commit settles it."""
        self._doubtful.update(member.request.key for member in members if member.request.key is not None)
        text = "OutcomeUnknown: it is not known yet whether the mutation was committed; repeat it to learn"
        for member in members:
            self._reply(member, Answer(None, error=OutcomeUnknown(text)))

    # --- answers -----------------------------------------------------------------------------------------------

    def _reply(self, member: Member, answer: Answer) -> None:
        self._tell(member, answer)
        if isinstance(answer.error, OutcomeUnknown):
            # What the session sent after it must not run before it: the client sends all of it again.
            for follower in self._take_out(member.request.source):
                self._tell(follower, Answer(None, error=OutcomeUnknown("OutcomeUnknown: what came before it is not known yet")))

    def _tell(self, member: Member, answer: Answer) -> None:
        if member.is_answered:
            return
        member.is_answered = True
        code = answer.error.code if answer.error is not None else getattr(answer.result, "code", "ok")
        self._metrics.mutations.labels(code).inc()
        self._metrics.mutation_seconds.observe(self._clock.monotonic() - member.request.arrived)
        member.request.reply(answer)

    def _take_out(self, source: str) -> list[Member]:
        """Everything of the session that is not answered yet."""
        put_off = [member for member in self._put_off if member.request.source == source]
        for member in put_off:
            self._put_off.remove(member)
        is_open = [member for member in self._open if member.request.source == source]
        return is_open + put_off + [_member(request) for request in self.queue.drop(source)]


def _member(request: MutationRequest) -> Member:
    return Member(request, may_be_recorded=request.key is not None and request.may_repeat)


def _out_of_time(member: Member) -> HubError:
    if member.may_be_recorded:
        return OutcomeUnknown(
            "OutcomeUnknown: it could not be found out in time whether this mutation was committed; repeat it to learn"
        )
    return DeadlineExceeded("DeadlineExceeded: the mutation could not be committed in time; nothing of it was written")
