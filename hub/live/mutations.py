"""MutationQueue: what waits for the sequencer, fair among sessions, in order within each.

One session's mutations run in the order sent; between sessions the queue goes round, so that one with a thousand waiting delays
another by one mutation, not by a thousand.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hub.errors import HubError, TooManyConcurrentRequests
from hub.functions.identity import Caller
from hub.protocol.messages import Result
from hub.timestamps import Timestamp
from hub.values import Value


@dataclass(frozen=True, slots=True)
class Answer:
    """How a mutation ended: with a result (a failure too is one), or with an error that says that there is none.

    `ts` is the commit's timestamp, or for one that committed nothing the timestamp at which its result is true.
    """

    result: Result | None
    ts: Timestamp | None = None
    error: HubError | None = None


@dataclass(frozen=True, slots=True, eq=False)
class MutationRequest:
    """`source` is the session (or the HTTP request) whose mutations keep their order. `key` makes it exactly-once; then `body`
    is the hash that a repeat must have, and `may_repeat` says that it can have been sent before. `arrived`
    and `deadline` are `Clock.monotonic` seconds. `reply` is called once, and must not block."""

    path: str
    args: Mapping[str, Value]
    caller: Caller
    source: str
    arrived: float
    deadline: float
    reply: Callable[[Answer], None]
    key: str | None = None
    body: str = ""
    may_repeat: bool = False
    keep_s: float = 0.0


class MutationQueue:
    def __init__(self, max_waiting: int) -> None:
        self._by_source: dict[str, deque[MutationRequest]] = {}
        self._turns: deque[str] = deque()
        self._size = 0
        self._max_waiting = max_waiting
        self._has_some = asyncio.Event()

    def __len__(self) -> int:
        return self._size

    def put(self, request: MutationRequest) -> None:
        """Raises TooManyConcurrentRequests when the queue is full."""
        if self._size >= self._max_waiting:
            raise TooManyConcurrentRequests(f"TooManyConcurrentRequests: {self._size:,} mutations wait already; try again later")
        waiting = self._by_source.get(request.source)
        if waiting is None:
            waiting = self._by_source[request.source] = deque()
            self._turns.append(request.source)
        waiting.append(request)
        self._size += 1
        self._has_some.set()

    async def take(self) -> MutationRequest:
        """The next one in turn; waits for one."""
        await self.arrival()
        return self._next()

    async def arrival(self) -> None:
        """Returns when something waits."""
        while not self._turns:
            self._has_some.clear()
            await self._has_some.wait()

    def take_waiting(self, count: int) -> list[MutationRequest]:
        """At most so many that wait now, in turn."""
        return [self._next() for _ in range(min(count, self._size))]

    def _next(self) -> MutationRequest:
        source = self._turns.popleft()
        waiting = self._by_source[source]
        request = waiting.popleft()
        self._size -= 1
        if waiting:
            self._turns.append(source)
        else:
            del self._by_source[source]
        return request

    def drop(self, source: str) -> list[MutationRequest]:
        """Take out everything that waits behind this source's last one."""
        dropped = list(self._by_source.pop(source, ()))
        if dropped:
            self._turns.remove(source)
            self._size -= len(dropped)
        return dropped
