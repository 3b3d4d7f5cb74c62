"""Frames: what goes over a socket for one message: its payload in pieces, most of them shared with other sessions.

Made by a wire format (`hub.protocol.formats`), kept by the outbox, written by the WebSocket shell, which alone knows how.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Frame:
    """`pieces` in order are the payload; a text's are UTF-8, each of them whole characters."""

    is_text: bool
    pieces: tuple[bytes, ...]
    size_bytes: int

    @property
    def payload(self) -> bytes:
        return b"".join(self.pieces)


def text_frame(*pieces: bytes) -> Frame:
    return Frame(True, pieces, sum(map(len, pieces)))


def binary_frame(*pieces: bytes) -> Frame:
    return Frame(False, pieces, sum(map(len, pieces)))
