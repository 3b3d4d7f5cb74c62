"""What goes over the wire to the `ai` package: its UI message stream, version 1, as server-sent events.

One message is `start` (with the id under which it is stored), one text part, and `finish` or `error`. A stream may be read from the
beginning any number of times: `start` carries the id, so a client that already has a part of the message replaces it.
Source: the package's `ui-message-stream` (`UIMessageChunk`, `UI_MESSAGE_STREAM_HEADERS`).
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing
from typing import Any, Final

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

HEADERS: Final = {
    "Cache-Control": "no-cache",
    "x-vercel-ai-ui-message-stream": "v1",
    "x-accel-buffering": "no",  # nginx would collect the events
}
_PART: Final = "text"


async def events(message_id: str, metadata: Mapping[str, Any], deltas: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    """The whole of one message. `deltas` raises Failed at its end if the message is not complete."""
    yield _event({"type": "start", "messageId": message_id, "messageMetadata": dict(metadata)})
    yield _event({"type": "start-step"})
    yield _event({"type": "text-start", "id": _PART})
    failure: str | None = None
    try:
        async with aclosing(deltas):
            async for delta in deltas:
                yield _event({"type": "text-delta", "id": _PART, "delta": delta})
    except Failed as error:
        failure = str(error)
    yield _event({"type": "text-end", "id": _PART})
    yield _event({"type": "finish-step"})
    yield _event({"type": "finish", "finishReason": "stop"} if failure is None else {"type": "error", "errorText": failure})
    yield "data: [DONE]\n\n"


class Failed(Exception):
    """The message ends as an error. The text of it is for the person who asked."""


class EventStream(StreamingResponse):
    """The answer to a request that follows a message. `held` is let go of when the client has gone, whichever side went first."""

    def __init__(
        self, message_id: str, metadata: Mapping[str, Any], deltas: AsyncGenerator[str, None], held: AsyncExitStack | None = None
    ) -> None:
        self._events = events(message_id, metadata, deltas)
        self._held = held or AsyncExitStack()
        super().__init__(self._events, media_type="text/event-stream", headers=HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held, aclosing(self._events):
            await super().__call__(scope, receive, send)


def _event(chunk: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(chunk)}\n\n"
