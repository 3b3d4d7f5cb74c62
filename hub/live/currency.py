"""Currency: proof that this hub has received whatever any hub of the deployment acknowledged before somebody asked.

The clock rows are read with majority concern; when the feed has come to their numbers, nothing acknowledged earlier is missing.
A caller shares a read with others only if it *started* after the caller came, so at most one read runs and one waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from hub.live.position import FeedPosition
from hub.store import Store
from hub.timestamps import Timestamp


class Currency:
    def __init__(self, store: Store, position: FeedPosition) -> None:
        self._store = store
        self._position = position
        self._running: asyncio.Task[Mapping[str, int]] | None = None
        self._next: asyncio.Task[Mapping[str, int]] | None = None

    async def numbers(self) -> Mapping[str, int]:
        """The clock rows' numbers, from a read that started after this call."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._store.clocks(), name="clock read")
            return await asyncio.shield(self._running)
        if self._next is None:
            self._next = asyncio.create_task(self._read_after(self._running), name="next clock read")
        return await asyncio.shield(self._next)

    async def _read_after(self, running: asyncio.Task[Mapping[str, int]]) -> Mapping[str, int]:
        await asyncio.wait([running])
        self._running, self._next = self._next, None
        return await self._store.clocks()

    async def prove(self, deadline: float) -> Timestamp:
        """A position of the feed at which everything acknowledged before this call was received. Raises NotCaughtUp."""
        await self._position.reach_clocks(await self.numbers(), deadline)
        return self._position.ts
