"""Clock: what time it is, how to wait, and when long work gives way; tests pass their own."""

from __future__ import annotations

import asyncio
import time
from typing import Final, Protocol

SLICE_S: Final = 0.005
"""How long work goes on before the event loop gets its turn: heartbeats and calls wait no longer than that for a wide fan-out."""


class Clock(Protocol):
    def now(self) -> float:
        """Wall-clock seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, for deadlines."""
        ...

    def thread_time(self) -> float:
        """Seconds of processor time that this thread has used."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def now(self) -> float:
        return time.time()

    monotonic = staticmethod(time.monotonic)
    thread_time = staticmethod(time.thread_time)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Slices:
    """Cuts work that goes through many things into slices; the one that has it asks after each thing whether its slice is over."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begin()

    def _begin(self) -> None:
        self.now = self._clock.monotonic()
        self._ends = self.now + SLICE_S

    def is_over(self) -> bool:
        """Looks at the clock; `now` is what it said."""
        self.now = self._clock.monotonic()
        return self.now >= self._ends

    async def give_way(self) -> None:
        """The event loop gets its turn, and then the next slice begins."""
        await asyncio.sleep(0)
        self._begin()
