"""Wire formats: how the messages of one socket are written and read. A client chooses one by the subprotocol it asks for.

A format keeps nothing about a session: what it makes of a result is kept with the result (`encoded` of Success and Failure), under
the format's own key, so that it is made once however many sessions show it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hub.errors import BadRequest
from hub.protocol.codec import read_message, step_text, write_message
from hub.protocol.frames import Frame
from hub.protocol.messages import ClientMessage, ServerMessage, Success
from hub.protocol.native import NativeFormat
from hub.protocol.notations import JsonNotation, MsgpackNotation
from hub.protocol.steps import StepFormat, StepText


class WireFormat(StepFormat, Protocol):
    """`subprotocol` is the name a client asks for it by; None for what is spoken when a client asks for none."""

    @property
    def subprotocol(self) -> str | None: ...

    @property
    def resumes(self) -> bool:
        """Whether its clients keep values over a reconnect and offer them."""
        ...

    def read(self, payload: str | bytes) -> ClientMessage:
        """The message in a client's text or binary frame. Raises BadRequest with a plain reason."""
        ...

    def write(self, message: ServerMessage) -> Frame: ...


class StockFormat:
    """Text frames of JSON: what the published clients speak."""

    subprotocol: str | None = None
    resumes = False

    def read(self, payload: str | bytes) -> ClientMessage:
        if isinstance(payload, bytes):
            raise BadRequest("frames of the sync protocol are text, not binary")
        return read_message(payload)

    def write(self, message: ServerMessage) -> Frame:
        return write_message(message)

    def step(self, base: Success, result: Success) -> StepText:
        return step_text(result)


STOCK = StockFormat()
MSGPACK = NativeFormat("hub.v1.msgpack", MsgpackNotation())
JSON = NativeFormat("hub.v1.json", JsonNotation())
FORMATS: Sequence[WireFormat] = (STOCK, MSGPACK, JSON)
"""All that this hub speaks."""


def chosen(asked: Sequence[str]) -> WireFormat:
    """The first one that the client asks for; the stock format if it asks for none that is known."""
    by_name = {known.subprotocol: known for known in FORMATS}
    return next((by_name[name] for name in asked if name in by_name), STOCK)
