"""Departures: transactions on their way, and the answers that go out as soon as one is known to be committed.

Used by `hub.live.sequencer`. Whoever knows first releases a departure: the feed, which names the commit's timestamp and can be the
faster of the two, or the acknowledgement. Invariant: an answer says that something was committed only if that is proven, and that
nothing was only if that is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from hub.clock import Clock
from hub.core.commits import BatchId
from hub.errors import HubError, OutcomeUnknown
from hub.live.batch import Batch, Member
from hub.live.mutations import Answer
from hub.metrics import Metrics
from hub.store import Store
from hub.timestamps import Timestamp

log = logging.getLogger(__name__)

_FEED_GRACE_S = 1.0
"""How long an acknowledged commit waits for the feed to name its timestamp, before its upper bound is answered instead."""
_DECISION_S = 3.0
"""How long a resync waits for a commit that is on its way."""

Reply = Callable[[Member, Answer], None]


@dataclass(slots=True, eq=False)
class Departure:
    """`bound` is set by the acknowledgement. `is_unnamed`: the feed lost its history, and may never name the timestamp. `decided`
    is set when all were answered, or it failed."""

    batch: Batch
    reply: Reply
    ts: Timestamp | None = None
    bound: Timestamp | None = None
    is_unnamed: bool = False
    decided: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def members(self) -> list[Member]:
        return [done.member for done in self.batch.done]

    def release(self, ts: Timestamp) -> None:
        if self.ts is None:
            self.ts = ts
            for done in self.batch.done:
                self.reply(done.member, Answer(done.answer.result, ts, done.answer.error))
            self.decided.set()


class Departures:
    """`doubtful` are keys of requests that may yet turn out to be committed; the next commit settles them."""

    def __init__(self, store: Store, clock: Clock, metrics: Metrics, reply: Reply) -> None:
        self.doubtful: set[str] = set()
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._reply = reply
        self._on_their_way: dict[BatchId, Departure] = {}

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

    async def send(self, batch: Batch, name: BatchId, check: Callable[[Timestamp], Awaitable[None]]) -> Timestamp | None:
        """Commit it and answer all; its timestamp, None if the outcome stays unknown. Raises what is definite: nothing was
        written. `check` is as in `Store.transact`."""
        departure = self._on_their_way[name] = Departure(batch, self._reply)
        deadline = max(member.request.deadline for member in departure.members)
        expiry = self._expire_in_time(departure, deadline)
        try:
            departure.bound = await self._store.transact(batch.to_write(name), batch.rows.at, deadline, check)
            await self._name(departure, departure.bound)
            self.doubtful.clear()
        except Exception as error:
            self._failed(departure, error)
        finally:
            if expiry is not None:
                expiry.cancel()
            del self._on_their_way[name]
            departure.decided.set()
        if departure.ts is not None:
            self._metrics.batch_mutations.observe(sum(done.commits for done in batch.done))
        return departure.ts

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

    def _expire_in_time(self, departure: Departure, deadline: float) -> asyncio.TimerHandle | None:
        """Whoever's own deadline passes while the commit is on its way is not kept waiting until the last one's."""
        waiting = [member for member in departure.members if member.request.deadline < deadline]
        if not waiting:
            return None
        first = min(member.request.deadline for member in waiting)
        after_s = max(0.0, first - self._clock.monotonic())
        return asyncio.get_running_loop().call_later(after_s, self._expire, waiting)

    def _expire(self, members: list[Member]) -> None:
        self._doubt([member for member in members if self._clock.monotonic() >= member.request.deadline])

    def _doubt(self, members: list[Member]) -> None:
        """It is not known whether they were committed; the next commit settles it."""
        self.doubtful.update(member.request.key for member in members if member.request.key is not None)
        text = "OutcomeUnknown: it is not known yet whether the mutation was committed; repeat it to learn"
        for member in members:
            self._reply(member, Answer(None, error=OutcomeUnknown(text)))


def new_name() -> BatchId:
    return BatchId(uuid.uuid4().hex)
