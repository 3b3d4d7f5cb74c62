"""FeedPosition: how far the change feed has come, and waiting for it.

The position is the first of the hub's two places in time: commits up to it were *received*. (The other, the head of the rounds,
is what screens show.) One task moves it; anybody may wait for it.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Mapping, Sequence

from hub.clock import Clock
from hub.core.commits import Commit, CommitLog
from hub.errors import NotCaughtUp
from hub.store import FeedBatch
from hub.timestamps import ZERO, Timestamp

_REPLAY_COMMITS, _REPLAY_CHANGES = 1_000, 10_000
"""How far back `since` goes: a transaction that lost is a few commits old."""


class FeedPosition:
    """`ts` never goes back. `clocks` are the clock rows' numbers as of `ts`: they tell whether a commit that another hub
    acknowledged has come by, without knowing its timestamp."""

    def __init__(self, clock: Clock) -> None:
        self.ts: Timestamp = ZERO
        self.clocks: dict[str, int] = {}
        self._clock = clock
        self._received = CommitLog(max_commits=_REPLAY_COMMITS, max_changes=_REPLAY_CHANGES)
        self._waiting_for_ts: list[tuple[Timestamp, int, asyncio.Future[None]]] = []
        self._waiting_for_clocks: dict[asyncio.Future[None], Mapping[str, int]] = {}
        self._order = itertools.count()

    def advance(self, batch: FeedBatch) -> None:
        if batch.resync:
            self.clocks = dict(batch.clocks)  # the database may be another one: its numbers count, not those of before
        elif batch.position >= self.ts:
            self.clocks.update(batch.clocks)
        self._remember(batch)
        self.ts = max(self.ts, batch.position)
        while self._waiting_for_ts and self._waiting_for_ts[0][0] <= self.ts:
            _resolve(heapq.heappop(self._waiting_for_ts)[2])
        for future, numbers in list(self._waiting_for_clocks.items()):
            if self.has_seen(numbers):
                _resolve(future)

    def since(self, ts: Timestamp) -> Sequence[Commit] | None:
        """Commits received after `ts`, a position from before; None when they are no longer known."""
        return self._received.since(ts)

    def _remember(self, batch: FeedBatch) -> None:
        if batch.resync:
            self._received.reset(max(self.ts, batch.position))
        for commit in batch.commits:
            if commit.ts > self._received.position:
                self._received.append(commit)
        self._received.advance(max(self._received.position, batch.position))

    @property
    def waiting(self) -> int:
        """How many wait for it to move."""
        return len(self._waiting_for_ts) + len(self._waiting_for_clocks)

    def has_seen(self, numbers: Mapping[str, int]) -> bool:
        return covers(self.clocks, numbers)

    async def reach(self, ts: Timestamp, deadline: float) -> None:
        """Wait until the position is at `ts` or beyond; `deadline` in `Clock.monotonic` seconds. Raises NotCaughtUp."""
        if self.ts >= ts:
            return
        future = asyncio.get_running_loop().create_future()
        entry = (ts, next(self._order), future)
        heapq.heappush(self._waiting_for_ts, entry)
        try:
            await self._wait(future, deadline)
        except BaseException:
            if entry in self._waiting_for_ts:
                self._waiting_for_ts.remove(entry)
                heapq.heapify(self._waiting_for_ts)
            raise

    async def reach_clocks(self, numbers: Mapping[str, int], deadline: float) -> None:
        """Wait until every commit these numbers count was received. Raises NotCaughtUp."""
        if self.has_seen(numbers):
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting_for_clocks[future] = numbers
        try:
            await self._wait(future, deadline)
        finally:
            self._waiting_for_clocks.pop(future, None)

    async def _wait(self, future: asyncio.Future[None], deadline: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, deadline - self._clock.monotonic())):  # wait_for of 3.11 can lose a cancellation
                await future
        except TimeoutError:
            raise NotCaughtUp("this hub has not yet received the commits that were asked for; try again") from None


def covers(clocks: Mapping[str, int], numbers: Mapping[str, int]) -> bool:
    return all(clocks.get(name, 0) >= number for name, number in numbers.items())


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
