"""Sequencer: runs mutations in batches and commits each exactly once.

What waits is taken together, up to a limit; a mutation that is alone is not made to wait for others. A batch runs on the rows at
H, the feed's position, each mutation seeing what those before it wrote; its writes and its request records go to the store as one
transaction that is opened at H and first moves the clock row. Whoever else changed the clock, or a row it writes, after H makes it
conflict: nothing is written, and what was overtaken runs again at a newer H. So mutations are serializable among all hubs of a
deployment.

While one batch commits, what comes in runs already, on that one's writes: that is the next batch, if the commit succeeds. Its own
transaction is opened only when the feed has passed the one before. Otherwise it never was.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from hub.clock import Clock
from hub.core.commits import BatchId, Commit, TableReset
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
from hub.live.ahead import Ahead
from hub.live.batch import Batch, BatchLimits, Member, Overtaken, recorded
from hub.live.currency import Currency
from hub.live.departure import Departures, new_name
from hub.live.filling import Filling
from hub.live.guesses import Guesses
from hub.live.mutations import Answer, MutationQueue, MutationRequest
from hub.live.position import FeedPosition, covers
from hub.live.reading import Reading
from hub.live.runner import Runner
from hub.metrics import Metrics
from hub.store import CLOCK, Store
from hub.timestamps import ZERO, Timestamp

log = logging.getLogger(__name__)

_WINNER_S = 1.0
"""How long a batch that lost waits for the feed to bring what won."""
_ENOUGH = 8
"""So many that ran while the batch before committed are sent at once. What has come since runs while they commit: the database and
this process then work at the same time, where one batch of all would have each wait for the other."""
_RETRY_S = 0.1
"""Pause before the database is asked again that was away."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.002, 0.1
"""Pauses, doubling, between the tries of a batch that conflicts."""


class Sequencer:
    """`registry` is read anew for each batch, so that a reload takes effect between two of them.

    A member is in `_open` while its batch is worked on, in `_put_off` when it was taken and left for the next one, and otherwise
    in the queue; in that order they came, as far as they are of one session. `_next` is how some of those put off ran already, on
    the batch that is committing.
    """

    def __init__(
        self,
        store: Store,
        runner: Runner,
        reading: Reading,
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
        self._position = position
        self._currency = currency
        self._clock = clock
        self._metrics = metrics
        self._limits = limits
        self._guesses = Guesses(clock)
        ahead = Ahead(reading.cache, position, lambda: self.registry.indexed_fields)
        self._filling = Filling(store, runner, reading, ahead, self._guesses, clock, limits, self._function_of)
        self._departures = Departures(store, clock, metrics, self._reply)
        self._open: list[Member] = []
        self._put_off: deque[Member] = deque()
        self._most = limits.mutations  # in one batch; halved when a batch was refused, to find the one it was refused for
        self._next: Batch | None = None
        self._runs_on = False  # whether `_run_on` is about to be called
        self._last_commit: Timestamp = ZERO
        self._is_proved = False  # that no open member misses what was acknowledged before it came

    @property
    def is_idle(self) -> bool:
        return not self._open and not self._put_off and not len(self.queue)

    def submit(self, request: MutationRequest) -> None:
        """Queue it. Raises TooManyConcurrentRequests."""
        self.queue.put(request)
        self._run_on_soon()

    def committed(self, batch: BatchId, ts: Timestamp) -> None:
        """The feed has brought one of our commits: that proves it, acknowledged or not."""
        self._departures.committed(batch, ts)

    async def lost_history(self) -> None:
        """See `Departures.lost_history`."""
        await self._departures.lost_history()

    # --- batches -----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._filling.run_in(tasks)
            while True:
                await self._take()
                try:
                    await self._settle()
                except Exception:
                    log.exception("a batch of mutations failed inside the hub")
                    text = "InternalServerError: the hub failed; its log has the reason"
                    for member in self._open:
                        self._reply(member, Answer(None, error=HubError(text)))
                    self._next = None
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
        batch, self._next = self._next, None
        self._is_proved = False
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
            await self._position.reach(Timestamp(at + 1), min(self._first_deadline(), self._clock.monotonic() + _WINNER_S))
        except NotCaughtUp:
            log.warning("conflict with a commit that the feed does not bring", extra={"members": len(self._open)})

    # --- runs --------------------------------------------------------------------------------------------------

    async def _run_open(self, earlier: Batch | None) -> Batch:
        """Run the open members, one after another, at the feed's position; who is left for the next batch is put off.

        `earlier` is how they ran before, at an older position: what nothing has touched since is not run again.
        """
        while True:
            async with self._in_time():
                await self._position.reach(self._last_commit, self._first_deadline())
                await self._look_up(self._position.ts)
                batch = await self._filled(earlier)
                if batch.done or not self._open:
                    break
                await self._filling.fetched(self._open, self.queue)
            if came := self.queue.take_waiting(self._most - len(self._open)):
                self._open += map(_member, came)
                self._is_proved = False
        ran = {done.member for done in batch.done}
        self._put_off.extendleft(member for member in reversed(self._open) if member not in ran)
        self._open = [done.member for done in batch.done]
        return batch

    async def _filled(self, earlier: Batch | None) -> Batch:
        at, clocks = self._position.ts, dict(self._position.clocks)
        commits = None if earlier is None else self._position.since(earlier.rows.at)
        if earlier is None or commits is None:
            batch, overtaken = Batch(self._filling.rows(at), clocks), Overtaken(None, (), ())
            await self._filling.fill(batch, self._open, overtaken)
            return batch
        news = [_beyond(commit, earlier.follows) for commit in commits]
        if earlier.holds_for(self._open, news):  # as it mostly does: nothing is put together anew
            earlier.move(at, commits, clocks)
            if len(earlier.done) < _ENOUGH:
                await self._filling.fill(earlier, self._open[len(earlier.done) :], Overtaken(None, (), ()))
            return earlier
        batch = Batch(earlier.rows.moved(at, commits), clocks)
        await self._filling.fill(batch, self._open, Overtaken(earlier, self._open, news))
        return batch

    def _run_on_soon(self) -> None:
        """While a batch commits, run what waits on top of it."""
        if self._next is not None and not self._runs_on and (self._put_off or len(self.queue)):
            self._runs_on = True
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, self._run_on)  # behind what a reply of the database has just woken

    def _run_on(self) -> None:
        self._runs_on = False
        batch = self._next
        if batch is None or batch.follows is None or not batch.rows.is_current:
            return
        self._put_off += map(_member, self.queue.take_waiting(self._most - len(self._put_off)))
        ran = {done.member for done in batch.done}
        waiting = [member for member in self._put_off if member not in ran and not member.is_answered]
        so_far = len(batch.done)
        try:
            self._filling.fill_now(batch, waiting, Overtaken(None, (), ()))
        except Exception:
            log.exception("running a mutation ahead failed; it runs again in its turn")
            self._next = None
            return
        if so_far < len(batch.done) < len(ran) + len(waiting):
            self._run_on_soon()

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
                member.may_be_recorded = member.request.key in self._departures.doubtful
        self._forget_answered()

    def _function_of(self, request: MutationRequest) -> Function | HubError:
        try:
            return self.registry.find(request.path, "mutation", request.caller)
        except HubError as error:
            return error

    async def _is_current(self, batch: Batch) -> bool:
        """Whether this hub had seen, when the batch ran, all that anybody was told before the members came. A commit proves it
        itself (`_check`)."""
        if batch.is_conclusive or self._is_proved:
            return True
        async with self._in_time():
            seen = await self._currency.look()
            if seen.now <= batch.rows.at and covers(batch.clocks, seen.numbers):
                return True
            await self._position.reach_clocks(seen.numbers, self._first_deadline())
            await self._currency.pass_by(seen.now)
        self._is_proved = True
        return False

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
        name = new_name()
        self._next = Batch(batch.rows.on_top(), batch.clocks, follows=name)
        self._run_on_soon()
        ts: Timestamp | None = None
        try:
            ts = await self._departures.send(batch, name, partial(self._check, batch))
        finally:
            self._keep_next(is_committed=ts is not None)
        if ts is not None:
            self._last_commit = ts

    def _keep_next(self, *, is_committed: bool) -> None:
        """Unless it ran on writes that there may never be, or there is nothing in it; `_run_on` may have given it up itself."""
        if not is_committed or self._next is None or not self._next.done:
            self._next = None

    async def _check(self, batch: Batch, now: Timestamp) -> None:
        """The transaction has begun, and the database says what time it was: whatever anybody was told before the members came is
        older. It must have come by, and concern none of them. Raises Conflict."""
        if now <= batch.rows.at:
            return
        await self._currency.pass_by(now)
        if batch.isolation == "snapshot" and self._position.ts < now:  # it moves a clock that no other hub moves
            seen = await self._currency.look()
            if not self._position.has_seen(seen.numbers):
                raise Conflict("another hub has committed what this one has not received")
        commits = self._position.since(batch.rows.at)
        if commits is None or batch.is_overtaken_by(commits):
            raise Conflict("what the batch read has changed before it was committed")

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
        self._metrics.mutations.count(code)
        self._metrics.mutation_seconds.observe(self._clock.monotonic() - member.request.arrived)
        member.request.reply(answer)

    def _take_out(self, source: str) -> list[Member]:
        """Everything of the session that is not answered yet."""
        put_off = [member for member in self._put_off if member.request.source == source]
        for member in put_off:
            self._put_off.remove(member)
        is_open = [member for member in self._open if member.request.source == source]
        return is_open + put_off + [_member(request) for request in self.queue.drop(source)]


def _beyond(commit: Commit, follows: BatchId | None) -> Commit:
    """What of a commit is news to whoever ran on the writes of the batch `follows`; the feed may reset tables along with it."""
    if commit.batch is None or commit.batch != follows:
        return commit
    return replace(commit, changes=tuple(change for change in commit.changes if isinstance(change, TableReset)))


def _member(request: MutationRequest) -> Member:
    return Member(request, may_be_recorded=request.key is not None and request.may_repeat)


def _out_of_time(member: Member) -> HubError:
    if member.may_be_recorded:
        return OutcomeUnknown(
            "OutcomeUnknown: it could not be found out in time whether this mutation was committed; repeat it to learn"
        )
    return DeadlineExceeded("DeadlineExceeded: the mutation could not be committed in time; nothing of it was written")
