"""Currency: proof that this hub has received whatever was acknowledged before somebody asked.

By any hub of the deployment: the clock rows are read with majority concern; when the feed has come to their numbers, nothing that a
hub acknowledged earlier is missing. By any other writer: the database says what time it is; once the feed has passed that, nothing
at all is missing. The first is a promise. The second waits only so long: the feed of a hub that is cut off must not keep it from
writing, for what others change meanwhile conflicts.

A caller shares a read with others only if it *started* after the caller came, so at most one read runs and one waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hub.clock import Clock
from hub.errors import BadRequest, NotCaughtUp, Unavailable
from hub.live.position import FeedPosition
from hub.store import Store
from hub.timestamps import Timestamp

_USUALLY_S = 0.005
"""The feed brings a commit 0.2 ms after its acknowledgement. What it has not brought after this long may be no commit of the
watched database at all (a no-op of the server): then a mark of the hub's own makes the feed pass it, for 3 ms and one write."""
_PATIENCE_S = 0.5
"""How long a hub waits for what other writers did."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The clock rows' numbers, and the database's time: whatever was acknowledged before the look is counted, or not later."""

    numbers: Mapping[str, int]
    now: Timestamp


class Currency:
    def __init__(self, store: Store, position: FeedPosition, clock: Clock) -> None:
        self._store = store
        self._position = position
        self._clock = clock
        self._running: asyncio.Task[Seen] | None = None
        self._next: asyncio.Task[Seen] | None = None

    async def prove(self, deadline: float) -> Timestamp:
        """A position of the feed at which everything acknowledged before this call was received; by writers that are no hubs,
        too, unless the feed is away. Raises NotCaughtUp."""
        seen = await self.look()
        await self._position.reach_clocks(seen.numbers, deadline)
        await self.pass_by(seen.now)
        return self._position.ts

    async def pass_by(self, ts: Timestamp) -> None:
        """Have the feed pass this time of the database, if it can."""
        now = self._clock.monotonic()
        with suppress(NotCaughtUp):
            await self._position.reach(ts, now + _USUALLY_S)
            return
        with suppress(Unavailable, BadRequest, TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                await self._position.reach(await self._store.barrier(ts), now + _PATIENCE_S)

    async def look(self) -> Seen:
        """What the database says, in a read that started after this call."""
        if self._running is None or self._running.done():
            self._running = _watched(self._read(), "clock read")
            return await asyncio.shield(self._running)
        if self._next is None:
            self._next = _watched(self._read_after(self._running), "next clock read")
        return await asyncio.shield(self._next)

    async def _read_after(self, running: asyncio.Task[Seen]) -> Seen:
        await asyncio.wait([running])
        self._running, self._next = self._next, None
        return await self._read()

    async def _read(self) -> Seen:
        numbers, now = await asyncio.gather(self._store.clocks(), self._store.now())
        return Seen(numbers, now)


def _watched(read: Coroutine[Any, Any, Seen], name: str) -> asyncio.Task[Seen]:
    """A read that may end when nobody waits for it any more."""
    task = asyncio.create_task(read, name=name)
    task.add_done_callback(_look_at_error)
    return task


def _look_at_error(task: asyncio.Task[Seen]) -> None:
    if not task.cancelled():
        task.exception()
