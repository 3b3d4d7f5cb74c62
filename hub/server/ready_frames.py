"""ReadyFrames: uvicorn's WebSocket protocol, and one thing more: it takes frames that are ready for the transport.

uvicorn makes one for each socket (`hub.wiring` names the class). An application finds it in `scope["extensions"]["hub.frames"]` and
may then write whole messages at once, without a task that awaits `send`. All else, the handshake, reading, pings, closing, is
uvicorn's and ASGI's as ever. Messages of both ways do not mix: each of them is written whole.
"""

from __future__ import annotations

from asyncio.transports import BaseTransport
from collections.abc import MutableMapping
from typing import Any, Protocol

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from hub.protocol.frames import Frame

EXTENSION = "hub.frames"


class Listener(Protocol):
    """Who writes frames: a transport that is paused has not got rid of what it took."""

    def paused(self) -> None: ...

    def resumed(self) -> None: ...

    def lost(self) -> None: ...


class ReadyFrames(WebSocketsSansIOProtocol):
    """`listener` is told when the transport pauses and resumes. The transport counts as paused as long as it holds anything."""

    listener: Listener | None = None
    is_paused = False

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=0)

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.handshake_complete:  # not refused
            self.scope["extensions"][EXTENSION] = {"frames": self}

    def write_frame(self, frame: Frame) -> bool:
        """Write it now; False if the transport is paused, or the handshake not over. What is written to a socket that is closed is
        lost, as it would be a moment later."""
        if self.is_paused or not self.handshake_complete:
            return False
        if not (self.close_sent or self.disconnected):
            self.transport.write(frame.ready())
        return True

    @property
    def unsent_bytes(self) -> int:
        return self.transport.get_write_buffer_size()

    def abort(self) -> None:
        """End the connection without waiting for what the client does not read."""
        self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.is_paused = True
        if self.listener is not None:
            self.listener.paused()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.is_paused = False
        if self.listener is not None:
            self.listener.resumed()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.listener is not None:
            self.listener.lost()
            self.listener = None

    def keepalive_timeout(self) -> None:
        """A client that does not answer a ping will not read what waits for it either: uvicorn's close would wait for that."""
        super().keepalive_timeout()
        if self.unsent_bytes:
            self.transport.abort()


def ready_frames(scope: MutableMapping[str, Any]) -> ReadyFrames | None:
    """What the server offers for this socket, if it does."""
    offered = scope.get("extensions", {}).get(EXTENSION)
    return None if offered is None else offered["frames"]
