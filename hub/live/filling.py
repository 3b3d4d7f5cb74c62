"""Filling: runs mutations into a batch, one after another, each on what those before it wrote.

Called by `hub.live.sequencer`. A mutation runs without waiting, on rows in memory. One that asks for a row which is not there is
left for a later batch, with whatever its session sent after it, and the row is fetched meanwhile: nobody waits for it but that
session. After some tries it runs as one that waits, at the batch's position.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import partial

from hub.clock import Clock
from hub.core.rangemap import Piece
from hub.errors import HubError, Unavailable
from hub.functions.registry import Function
from hub.functions.requests import Part, ReadRange
from hub.live.ahead import Ahead
from hub.live.batch import Batch, BatchLimits, Done, Member, Overtaken, finish, without_run
from hub.live.batch_rows import BatchRows, MemberRows, MemberSource
from hub.live.guesses import Guesses
from hub.live.mutations import MutationQueue, MutationRequest
from hub.live.reading import Reading
from hub.live.runner import Runner
from hub.store import Store
from hub.timestamps import Timestamp

log = logging.getLogger(__name__)

_BREATH_S = 0.005
"""How long runs that do not wait keep the loop from everybody else, and a batch from being sent; in processor time."""
_SLICE_S = 0.001
"""The same while another batch commits: the database's replies wait for the end of it, and with them all who are in that batch."""
_TOGETHER_S = 0.005
"""Rows that were asked for at the same time come at the same time; who waits for others longer than this goes on without them."""
_MOST_FETCHES = 5
"""How often a mutation begins anew because a row was not in memory; then it runs as one that waits."""


class Filling:
    """`function_of` is asked anew for each run, so that a reload takes effect between two of them."""

    def __init__(
        self,
        store: Store,
        runner: Runner,
        reading: Reading,
        ahead: Ahead,
        guesses: Guesses,
        clock: Clock,
        limits: BatchLimits,
        function_of: Callable[[MutationRequest], Function | HubError],
    ) -> None:
        self._store = store
        self._runner = runner
        self._reading = reading
        self._ahead = ahead
        self._guesses = guesses
        self._clock = clock
        self._limits = limits
        self._function_of = function_of
        self._tasks: asyncio.TaskGroup | None = None
        self._fetches: dict[Hashable, asyncio.Task[bool]] = {}

    def run_in(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks

    def rows(self, at: Timestamp) -> BatchRows:
        """What the mutations of a batch at the feed's position read."""
        return BatchRows(self._ahead, self._store, at)

    async def fill(self, batch: Batch, members: Sequence[Member], overtaken: Overtaken) -> None:
        """Until it is full, or has taken its time: the others run while it commits."""
        began, ends = self._clock.monotonic(), self._clock.thread_time() + _BREATH_S
        for member, function in self._callable(batch, members, overtaken):
            done = self._done_now(batch, member, function, overtaken)
            if done is None and member.fetches > _MOST_FETCHES:
                left_s = began + self._limits.run_s - self._clock.monotonic() if batch.done else None
                done = await self._done_later(batch, member, function, left_s)
                if done is not None:
                    overtaken.runs_again(done)
            if done is None:
                _leave_out(batch, member, overtaken)
                continue
            batch.add(done)
            if self._clock.thread_time() >= ends:
                break
        self._ahead.keep_used(self._clock.monotonic())

    def fill_now(self, batch: Batch, members: Iterable[Member], overtaken: Overtaken) -> None:
        """Without giving way to the loop, for about a millisecond; who would have to wait is left out."""
        ends = self._clock.thread_time() + _SLICE_S
        for member, function in self._callable(batch, members, overtaken):
            done = self._done_now(batch, member, function, overtaken)
            if done is None:
                _leave_out(batch, member, overtaken)
            else:
                batch.add(done)
            if self._clock.thread_time() >= ends:
                return

    async def fetched(self, members: Iterable[Member], queue: MutationQueue) -> None:
        """Returns when one of them has what it missed, and those that asked at the same time mostly do; or when another comes."""
        under_way = {member.fetch for member in members if member.fetch is not None and not member.fetch.done()}
        if not under_way:
            return
        arrival = asyncio.ensure_future(queue.arrival())
        try:
            done, late = await asyncio.wait({arrival, *under_way}, return_when=asyncio.FIRST_COMPLETED)
            if late - {arrival} and arrival not in done:
                await asyncio.wait(late - {arrival}, timeout=_TOGETHER_S)
        finally:
            arrival.cancel()

    # --- runs ----------------------------------------------------------------------------------------------------------

    def _callable(
        self, batch: Batch, members: Iterable[Member], overtaken: Overtaken
    ) -> Iterator[tuple[Member, Function | HubError]]:
        """Those whose turn it is: of the first one's isolation, which says what clock moves, and nothing of a session after one
        that is left out."""
        for member in members:
            if batch.is_full(self._limits):
                return
            if member.request.source in batch.held_up:
                _leave_out(batch, member, overtaken)
                continue
            function = self._function_of(member.request)
            if isinstance(function, Function):
                batch.isolation = batch.isolation or function.isolation
                if function.isolation != batch.isolation:
                    _leave_out(batch, member, overtaken)
                    continue
            yield member, function

    def _done_now(self, batch: Batch, member: Member, function: Function | HubError, overtaken: Overtaken) -> Done | None:
        """How it ends, or ended before; None if it has to wait."""
        done = batch.repeated(member)
        if done is None and isinstance(function, HubError):
            done = without_run(member, function)
        if done is None:
            assert isinstance(function, Function)
            if (held := overtaken.still_holds(member)) is not None:
                return held
            if member.fetch is not None and not member.fetch.done():
                return None
            done = self._run_now(batch.rows, member, function)
        if done is not None:
            overtaken.runs_again(done)
        return done

    def _run_now(self, rows: BatchRows, member: Member, function: Function) -> Done | None:
        request = member.request
        if member.fetches > _MOST_FETCHES:
            return None
        memory = MemberRows(rows, partial(self._guesses.may, request.path))
        run = self._runner.run_now(function, request.args, caller=request.caller, journal=None, memory=memory)
        if run is not None:
            return finish(member, run, memory.guessed)
        if memory.missed is None:
            member.fetches = _MOST_FETCHES + 1  # it met a limit: `_run` says what it depends on
        elif rows.is_current:
            self._fetch(member, memory.missed)
        return None

    async def _done_later(self, batch: Batch, member: Member, function: Function | HubError, left_s: float | None) -> Done | None:
        """As one that waits; None if it takes too long for those before it, which are ready to commit."""
        assert isinstance(function, Function)
        request = member.request
        try:
            async with asyncio.timeout(left_s):
                memory = MemberRows(batch.rows, partial(self._guesses.may, request.path))
                run = await self._runner.run(
                    function,
                    request.args,
                    caller=request.caller,
                    journal=None,
                    at=batch.rows.at,
                    source=MemberSource(memory),
                )
        except (TimeoutError, Unavailable):
            if not batch.done:
                raise
            return None
        return finish(member, run, memory.guessed)

    # --- rows that are not in memory -----------------------------------------------------------------------------------

    def _fetch(self, member: Member, missed: Part) -> None:
        """Have it in memory soon; those who miss the same share the read."""
        assert self._tasks is not None, "run_in() comes first"
        member.fetches += 1
        key: Hashable = missed
        under_way = self._fetches.get(key)
        if under_way is None:
            under_way = self._fetches[key] = self._tasks.create_task(self._fetch_into_memory(missed), name="fetch for a mutation")
            under_way.add_done_callback(lambda _: self._fetches.pop(key))
        member.fetch = under_way
        under_way.add_done_callback(lambda task: _count(member, task))

    async def _fetch_into_memory(self, missed: Part) -> bool:
        """Whether it is in memory now."""
        used: set[Piece] = set()
        head = self._reading.cache.position
        try:
            if isinstance(missed, ReadRange):
                if self._ahead.is_in_doubt(missed.wanted.table):
                    return await self._ahead.resolve(missed.wanted.table, self._store)
                await self._reading.read(missed.wanted, head, used)
                return self._ahead.read(missed.wanted) is not None
            if self._ahead.is_in_doubt(missed.table):
                return await self._ahead.resolve(missed.table, self._store)
            await self._reading.get(missed.table, missed.ids, head, used)
            return len(self._ahead.get(missed.table, missed.ids)) == len(missed.ids)
        except HubError:
            return False  # whoever runs as one that waits meets the same error, and tells it
        except Exception:
            log.exception("rows for a mutation could not be read")
            return False


def _leave_out(batch: Batch, member: Member, overtaken: Overtaken) -> None:
    """It is for a later batch, as is what its session sent after it; so nothing in this one may rest on how it ran before."""
    batch.held_up.add(member.request.source)
    overtaken.is_left_out(member)


def _count(member: Member, fetch: asyncio.Task[bool]) -> None:
    """What is not in memory now will not be there when it is asked for again."""
    if fetch.cancelled() or not fetch.result():
        member.fetches = _MOST_FETCHES + 1
