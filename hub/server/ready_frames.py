"""ReadyFrames: uvicorn's WebSocket protocol, and one thing more: it takes frames that are ready for the transport.

uvicorn makes one for each socket (`hub.wiring` names the class). An application finds it in `scope["extensions"]["hub.frames"]` and
may then write whole messages at once, without a task that awaits `send`, and take a client's message at once, without one that
awaits `receive`. All else, the handshake, pings, closing, is uvicorn's and ASGI's as ever. Messages of both ways do not mix: each
of them is written whole, and none is taken before one that waits.

Compression (permessage-deflate) is chosen for each message: RSV1 says so in its frame. It pays where the window still holds the
last message, and costs several times what writing does: so it is for frames of a few kB that few sessions get.
"""

from __future__ import annotations

from asyncio.transports import BaseTransport, WriteTransport
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.http11 import Request

from hub.protocol.frames import Frame
from hub.protocol.volley import Transport

EXTENSION = "hub.frames"


class Listener(Protocol):
    """Who writes frames: a transport that is paused has not got rid of what it took."""

    def paused(self) -> None: ...

    def resumed(self) -> None: ...

    def lost(self) -> None: ...


_COMPRESSED_BYTES = range(256, 16 * 1024)
"""Sizes of messages that are compressed: a smaller one gains nothing, and of a larger one the window has forgotten the last."""
_DEFLATE = ServerPerMessageDeflateFactory(client_no_context_takeover=True, compress_settings={"level": 1, "memLevel": 8})
"""With the widest window, and nothing kept for what clients send: their messages are small."""


@dataclass(slots=True)
class DeflateContexts:
    """How many more sockets of this process may compress: each of them has 256 KiB for it."""

    left: int


class _Joining:
    """For a transport of asyncio's own loop: in 3.12 and 3.13 its `writelines` does not pause for what it could not write, and
    takes up a socket again that was aborted."""

    def __init__(self, transport: WriteTransport) -> None:
        self._transport = transport

    def writelines(self, pieces: Iterable[bytes], /) -> None:
        self._transport.write(b"".join(pieces))


class ReadyFrames(WebSocketsSansIOProtocol):
    """`listener` is told when the transport pauses and resumes. The transport counts as paused as long as it holds anything.

    `out` is where pieces of frames are written.
    """

    listener: Listener | None = None
    take: Callable[[str | bytes], bool] | None = None
    """Handles a message of the client, or says False: then it waits, and so do those after it, for who awaits `receive`."""
    is_paused = False
    contexts = DeflateContexts(0)
    _compresses = False

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=0)
        is_asyncios = type(transport).__module__.startswith("asyncio.")
        self.out: Transport = _Joining(self.transport) if is_asyncios else self.transport

    def handle_connect(self, event: Request) -> None:
        self.conn.available_extensions = [_DEFLATE] if self.contexts.left > 0 else []
        super().handle_connect(event)
        self._compresses = bool(self.conn.extensions)
        self.contexts.left -= self._compresses
        if not self.handshake_complete:  # not refused
            self.scope["extensions"][EXTENSION] = {"frames": self}

    def write_frame(self, frame: Frame) -> bool:
        """Write it now; False if the transport is paused, or the handshake not over. What is written to a socket that is closed is
        lost, as it would be a moment later."""
        if self.is_paused or not self.handshake_complete:
            return False
        if self.close_sent or self.disconnected:
            return True
        if self._compresses and not frame.is_wide and frame.size_bytes in _COMPRESSED_BYTES:
            self.transport.write(frame.as_websocket_frame().serialize(mask=False, extensions=self.conn.extensions))
        else:
            self.out.writelines(frame.ready())
        return True

    def send_receive_event_to_app(self) -> None:
        """A whole message has come. uvicorn's way has a queue, a task that wakes, and a pause of the socket until then."""
        if self.take is None or self.close_sent or not self.queue.empty() or not self._is_taken(self.take):
            super().send_receive_event_to_app()

    def _is_taken(self, take: Callable[[str | bytes], bool]) -> bool:
        data = b"".join(self.frames)
        try:
            is_taken = take(data.decode() if self.curr_msg_data_type == "text" else data)
        except UnicodeDecodeError:
            return False  # uvicorn ends the connection
        if is_taken:
            self.frames = []
        return is_taken

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
        self.contexts.left += self._compresses
        self._compresses = False
        if self.listener is not None:
            self.listener.lost()
            self.listener = None

    def keepalive_timeout(self) -> None:
        """A client that does not answer a ping will not read what waits for it either: uvicorn's close would wait for that."""
        super().keepalive_timeout()
        if self.unsent_bytes:
            self.transport.abort()


def protocol_class(contexts: DeflateContexts) -> type[ReadyFrames]:
    """For a server whose sockets share these contexts."""
    return type("ReadyFrames", (ReadyFrames,), {"contexts": contexts})


def ready_frames(scope: MutableMapping[str, Any]) -> ReadyFrames | None:
    """What the server offers for this socket, if it does."""
    offered = scope.get("extensions", {}).get(EXTENSION)
    return None if offered is None else offered["frames"]
