"""A client in a process of its own, driven by lines on stdin and followed by JSON events on stdout.

The scripts write everything that happens in the order in which it happened, so `events` is the client's own history; an index
into it says what came before what.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

TIMEOUT_S = 20.0
LINE_LIMIT_BYTES = 64 << 20

Event = dict[str, Any]
Running = TypeVar("Running", bound="Script")


class ClientError(Exception):
    """A call that the client's promise rejected. `data` is the ConvexError's, absent from a plain error."""

    def __init__(self, event: Event) -> None:
        super().__init__(event["message"])
        self.is_convex_error: bool = event["isConvexError"]
        self.data = event.get("data")


@dataclass(slots=True)
class Script:
    """A running script and the events it has written so far."""

    process: asyncio.subprocess.Process
    events: list[Event] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    ended: bool = False
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            async with self._changed:
                self.events.append(json.loads(line))
                self._changed.notify_all()
        async with self._changed:
            self.ended = True
            self._changed.notify_all()

    async def read_errors(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.errors.append(line.decode(errors="replace").rstrip())

    def write(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())

    async def event(self, wanted: Callable[[Event], bool], *, after: int = 0, timeout_s: float = TIMEOUT_S) -> Event:
        """The first event, from index `after` on, that is wanted."""
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                while True:
                    found = next((event for event in self.events[after:] if wanted(event)), None)
                    if found is not None:
                        return found
                    assert not self.ended, f"the script ended: {self._story()}"
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"nothing of the kind within {timeout_s:g} s: {self._story()}") from None

    def _story(self) -> str:
        return "\n".join([*(json.dumps(event)[:500] for event in self.events[-20:]), *self.errors[-20:]])


@asynccontextmanager
async def running(kind: type[Running], *command: str) -> AsyncIterator[Running]:
    """A script, from its first event until the test is over."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe, limit=LINE_LIMIT_BYTES)
    client = kind(process)
    readers = [asyncio.create_task(client.read(), name="stdout"), asyncio.create_task(client.read_errors(), name="stderr")]
    try:
        await client.event(lambda event: event["event"] == "started")
        yield client
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await asyncio.gather(*readers)
