"""The answers that are being written. Each is a task of this process, not of the request that asked for it.

So a browser that goes away changes nothing: the answer is written to its end, into the hub, where every screen sees it. A request
follows its answer (`Answer.deltas`) as any number of others may. Invariant: an answer is in `Answers` exactly as long as its task
runs, and the task ends with the message no longer streaming, unless the hub could not be told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass

from hub.client import AsyncHubClient, HubError, Mutation

from .chunks import Failed
from .hub_api import ChatId, MessageId, Upserted, UserId, api
from .models import Model, ModelFailed, Turn

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """The message that an answer is written into. `user_id` is for whom, if a service writes it."""

    chat_id: ChatId
    message_id: MessageId
    user_id: UserId | None

    @property
    def message(self) -> Mutation[Upserted]:
        """What the pieces of the text are added to."""
        return api.messages.streamUpsert(
            chatId=self.chat_id, messageId=self.message_id, role="assistant", status="streaming", userId=self.user_id
        )


class Answer:
    """The text so far, for whoever follows it."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._text = ""
        self._failure: str | None = None
        self._ended = asyncio.Event()
        self._changed = asyncio.Event()
        self._was_stopped = False
        self._waiting: asyncio.Timeout | None = None

    async def deltas(self) -> AsyncGenerator[str, None]:
        """All of the text, from its beginning. Raises Failed if the answer did."""
        seen = 0
        while seen < len(self._text) or not self._ended.is_set():
            changed = self._changed
            if seen < len(self._text):
                delta, seen = self._text[seen:], len(self._text)
                yield delta
            else:
                await changed.wait()
        if self._failure is not None:
            raise Failed(self._failure)

    async def stop(self) -> None:
        """End it with what there is; returns when that is written. Safe to repeat."""
        self._was_stopped = True
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())
        await self._ended.wait()

    async def write(self, model: Model, turns: Sequence[Turn], client: AsyncHubClient, limit_s: float) -> None:
        """Called once, by the task. Raises ModelFailed and HubError; the message is marked as error then."""
        ends = asyncio.get_running_loop().time() + limit_s
        async with (
            client.stream_text(self.place.message) as reply,
            aclosing(model.reply(turns)) as pieces,
        ):
            while (piece := await self._next(pieces, ends)) is not None and not reply.is_stopped:
                self._text += piece
                self._tell()
                await reply.write(piece)

    def end(self, failure: str | None) -> None:
        self._failure = failure
        self._ended.set()
        self._tell()

    async def _next(self, pieces: AsyncGenerator[str, None], ends: float) -> str | None:
        """What the model says next; None at its end, and when it was stopped. Only waiting for the model is ever broken off."""
        if self._was_stopped:
            return None
        try:
            async with asyncio.timeout_at(ends) as self._waiting:
                return await anext(pieces, None)
        except TimeoutError:
            if self._was_stopped:
                return None
            raise ModelFailed("The answer took too long.") from None
        finally:
            self._waiting = None

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Busy(Exception):
    """As many answers are being written as may be."""


class Answers:
    """Those of this process, by the message that they are written into."""

    def __init__(self, model: Model, *, limit_s: float, answers_max: int) -> None:
        self._model, self._limit_s, self._answers_max = model, limit_s, answers_max
        self._running: dict[str, Answer] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group = asyncio.TaskGroup()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """At the end, what is still being written is broken off, and marked so."""
        async with self._group:
            yield
            for task in list(self._tasks.values()):
                task.cancel()

    @property
    def are_full(self) -> bool:
        return len(self._running) >= self._answers_max

    def get(self, message_id: str) -> Answer | None:
        return self._running.get(message_id)

    def start(self, place: Place, turns: Sequence[Turn], writer: AbstractAsyncContextManager[AsyncHubClient]) -> Answer:
        """The answer to a message that nobody answers yet. Raises Busy."""
        assert place.message_id not in self._running
        if self.are_full:
            raise Busy
        answer = Answer(place)
        self._running[place.message_id] = answer
        self._tasks[place.message_id] = self._group.create_task(
            self._write(answer, turns, writer), name=f"answer {place.message_id}"
        )
        return answer

    async def _write(self, answer: Answer, turns: Sequence[Turn], writer: AbstractAsyncContextManager[AsyncHubClient]) -> None:
        failure: str | None = "The answer broke off."  # what is left to say if this task is cancelled
        try:
            async with writer as client:
                await answer.write(self._model, turns, client, self._limit_s)
            failure = None
        except ModelFailed as error:
            failure = str(error)
        except HubError as error:
            log.warning("an answer cannot be written", extra={"message_id": answer.place.message_id, "code": error.code})
            failure = "The answer could not be kept."
        except Exception:
            log.exception("an answer failed")
            failure = "Something went wrong."
        finally:
            del self._running[answer.place.message_id], self._tasks[answer.place.message_id]
            answer.end(failure)
