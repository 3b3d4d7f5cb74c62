"""AsyncTextStream and TextStream: a text that is written as it comes, from a model for one. Made by the clients' `stream_text`.

Thin shells around `outgoing`: one task or thread of the stream's own writes what is due, so that whoever has the text does not wait
for the hub, unless it is far ahead. Invariant: when the context is left that task or thread is over.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Generic, Self

from typing_extensions import TypeVar

from hub.client.errors import UnexpectedAnswer
from hub.client.outgoing import Outgoing, Write

T_co = TypeVar("T_co", covariant=True, default=Any)


class _Stream(Generic[T_co]):
    """What both have."""

    def __init__(self, text: Outgoing) -> None:
        self._text = text

    @property
    def answer(self) -> T_co:
        """What the mutation returned last."""
        answer: T_co = self._text.answer
        return answer

    @property
    def message_id(self) -> str:
        """The `messageId` that the mutation returned, known from the beginning. Raises UnexpectedAnswer if it returns none."""
        answer = self._text.answer
        if not isinstance(answer, dict) or not isinstance(answer.get("messageId"), str):
            raise UnexpectedAnswer("the mutation does not return a messageId")
        message_id: str = answer["messageId"]
        return message_id

    @property
    def length(self) -> int:
        """Of the text so far, in UTF-16 code units: what the next piece has as its offset."""
        return self._text.length

    @property
    def written(self) -> int:
        """Of what the hub has of it."""
        return self._text.written

    @property
    def is_stopped(self) -> bool:
        """Whether somebody else completed the message (a stop button): what comes now is not written."""
        return self._text.is_stopped


class AsyncTextStream(_Stream[T_co]):
    """`async with client.stream_text(...) as text: await text.write(delta)`. One task writes to it."""

    def __init__(self, text: Outgoing, send: Callable[[Write], Awaitable[Any]]) -> None:
        super().__init__(text)
        self._send = send
        self._has_news = asyncio.Event()
        self._has_room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        opening = self._text.opening()
        self._text.succeeded(opening, await self._send(opening))
        self._task = asyncio.create_task(self._run(), name="text stream")
        return self

    async def write(self, delta: str) -> None:
        """Returns at once, unless the hub is far behind. Raises HubError if an earlier write failed."""
        self._text.add(delta)
        self._has_news.set()
        while self._text.is_full:
            self._has_room.clear()
            await self._has_room.wait()
        self._text.check()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Write the rest. The message is complete, or in error if the body raised, and all of it is known to be stored then."""
        assert self._task is not None
        self._text.end("complete" if error is None else "error")
        self._has_news.set()
        await self._task  # cancelled with this one, if it comes to that
        if error is None:
            self._text.check()

    async def _run(self) -> None:
        while (due := self._text.due(time.monotonic())) is not None:
            if isinstance(due, Write):
                await self._write(due)
                continue
            self._has_news.clear()
            try:
                async with asyncio.timeout(None if due == float("inf") else due):
                    await self._has_news.wait()
            except TimeoutError:
                pass

    async def _write(self, write: Write) -> None:
        try:
            self._text.succeeded(write, await self._send(write))
        except Exception as error:  # told to whoever writes next, or leaves
            self._text.failed(error)
        finally:
            self._has_room.set()


class TextStream(_Stream[T_co]):
    """`with client.stream_text(...) as text: text.write(delta)`. A thread of its own writes; one thread writes to it."""

    def __init__(self, text: Outgoing, send: Callable[[Write], Any]) -> None:
        super().__init__(text)
        self._send = send
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="text stream", daemon=True)

    def __enter__(self) -> Self:
        opening = self._text.opening()
        self._text.succeeded(opening, self._send(opening))
        self._thread.start()
        return self

    def write(self, delta: str) -> None:
        """Returns at once, unless the hub is far behind. Raises HubError if an earlier write failed."""
        with self._changed:
            self._text.add(delta)
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._text.is_full)
            self._text.check()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Write the rest. The message is complete, or in error if the body raised, and all of it is known to be stored then."""
        with self._changed:
            self._text.end("complete" if error is None else "error")
            self._changed.notify_all()
        self._thread.join()
        if error is None:
            self._text.check()

    def _run(self) -> None:
        with self._changed:
            while (due := self._text.due(time.monotonic())) is not None:
                if isinstance(due, Write):
                    self._write(due)
                else:
                    self._changed.wait(None if due == float("inf") else due)

    def _write(self, write: Write) -> None:
        """Without the lock while the hub is asked."""
        self._changed.release()
        try:
            answer = self._send(write)
        except Exception as error:  # told to whoever writes next, or leaves
            self._changed.acquire()
            self._text.failed(error)
        else:
            self._changed.acquire()
            self._text.succeeded(write, answer)
        self._changed.notify_all()
