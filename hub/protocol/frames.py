"""Frames: what goes over a socket for one message: its payload in pieces, most of them shared with other sessions.

Made by a wire format (`hub.protocol.formats`), kept by the outbox, written by the WebSocket shell. `ready` gives the bytes for a
transport: a WebSocket frame around the payload, unmasked and uncompressed, made by the `websockets` library.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from websockets.frames import Frame as WebSocketFrame
from websockets.frames import Opcode

SMALL_BYTES = 512
"""A frame of this size is put together, and of a larger one the header and a small first piece, which is a session's own: what is
copied costs less than one more piece for the system to gather."""


@dataclass(slots=True)
class Frame:
    """`pieces` in order are the payload; a text's are UTF-8, each of them whole characters. Not to be changed.

    `is_wide`: most of it goes to many sessions, so that compressing it for each of them costs more than it is worth.
    """

    is_text: bool
    pieces: tuple[bytes, ...]
    size_bytes: int
    is_wide: bool = False

    @property
    def payload(self) -> bytes:
        return b"".join(self.pieces)

    def ready(self) -> tuple[bytes, ...]:
        """The WebSocket frame in pieces: what is shared is not copied, also while it waits to leave."""
        header, pieces = header_of(self.is_text, self.size_bytes), self.pieces
        if self.size_bytes <= SMALL_BYTES:
            return (b"".join((header, *pieces)),)
        return (header + pieces[0], *pieces[1:]) if len(pieces[0]) <= SMALL_BYTES else (header, *pieces)

    def as_websocket_frame(self) -> WebSocketFrame:
        return WebSocketFrame(Opcode.TEXT if self.is_text else Opcode.BINARY, self.payload)


@lru_cache(maxsize=4096)
def header_of(is_text: bool, size_bytes: int) -> bytes:
    """What the library puts before a payload of this size: the same for all of them, and 0.9 µs each time it is made."""
    empty = Frame(is_text, (bytes(size_bytes),), size_bytes).as_websocket_frame().serialize(mask=False)
    return empty[: len(empty) - size_bytes]


def text_frame(*pieces: bytes, is_wide: bool = False) -> Frame:
    return Frame(True, pieces, sum(map(len, pieces)), is_wide)
