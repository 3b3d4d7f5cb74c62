"""A WebSocket and an HTTP client that cost little: the load generator must not be what is measured.

They do what these workloads need and no more: frames in one piece, no extensions, keep-alive requests one at a time, answers
with a Content-Length. Frames are masked with a key of zeros, which is a key like any other.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable
from typing import Self
from urllib.parse import urlsplit

HEADER_END = b"\r\n\r\n"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(opcode: int, payload: bytes) -> bytes:
    """One masked frame, whole."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB4x", 0x80 | opcode, 0x80 | size) + payload
    if size < 65_536:
        return struct.pack("!BBH4x", 0x80 | opcode, 0x80 | 126, size) + payload
    return struct.pack("!BBQ4x", 0x80 | opcode, 0x80 | 127, size) + payload


def next_frame(data: bytes | bytearray, at: int) -> tuple[int, int, int] | None:
    """Opcode, first byte and end of the payload of the frame that begins at `at`; None while it is not all there."""
    if len(data) < at + 2:
        return None
    opcode, size, start = data[at] & 0x0F, data[at + 1], at + 2
    assert data[at] & 0x80, "a message in parts"
    if size == 126:
        if len(data) < at + 4:
            return None
        size, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
    elif size == 127:
        if len(data) < at + 10:
            return None
        size, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
    return (opcode, start, start + size) if len(data) >= start + size else None


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


class WebSocket(asyncio.Protocol):
    """`on_text` is called with each message, as it arrives, binary ones too."""

    def __init__(self, host: str, path: str, on_text: Callable[[bytes], None], subprotocol: str | None) -> None:
        self._host, self._path = host, path
        self._subprotocol = subprotocol
        self.on_text = on_text
        self._buffer = bytearray()
        self._is_open = False
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, url: str, path: str, on_text: Callable[[bytes], None], subprotocol: str | None = None) -> Self:
        host, port = _address(url)
        loop = asyncio.get_running_loop()
        _, socket = await loop.create_connection(lambda: cls(f"{host}:{port}", path, on_text, subprotocol), host, port)
        await socket.opened
        return socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's is no subclass
        asked = f"Sec-WebSocket-Protocol: {self._subprotocol}\r\n" if self._subprotocol is not None else ""
        self._write(
            (
                f"GET {self._path} HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n{asked}\r\n"
            ).encode()
        )

    def _write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def send(self, text: bytes) -> None:
        self._write(frame(TEXT, text))

    def send_binary(self, payload: bytes) -> None:
        self._write(frame(BINARY, payload))

    def close(self) -> None:
        if self._transport is not None and not self.closed.done():
            self._write(frame(CLOSE, struct.pack("!H", 1000)))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(f"{self._path} was refused: {bytes(self._buffer[:200])!r}"))
        if not self.closed.done():
            self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        if not self._is_open and not self._take_handshake():
            return
        at = 0
        while (found := next_frame(buffer, at)) is not None:
            opcode, start, at = found
            if opcode in (TEXT, BINARY):
                self.on_text(bytes(buffer[start:at]))
            elif opcode == PING:
                self._write(frame(PONG, bytes(buffer[start:at])))
            elif opcode == CLOSE and self._transport is not None:
                self._transport.close()
        del buffer[:at]

    def _take_handshake(self) -> bool:
        end = self._buffer.find(HEADER_END)
        if end < 0:
            return False
        if b" 101 " not in self._buffer[:end].split(b"\r\n", 1)[0]:
            assert self._transport is not None
            self._transport.close()
            return False
        del self._buffer[: end + len(HEADER_END)]
        self._is_open = True
        self.opened.set_result(None)
        return True


class HttpConnection(asyncio.Protocol):
    """One keep-alive connection; requests are answered in their order."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._buffer = bytearray()
        self._waiting: deque[asyncio.Future[bytes]] = deque()
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, url: str) -> Self:
        host, port = _address(url)
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: cls(f"{host}:{port}"), host, port)
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's is no subclass

    async def post(self, path: str, body: bytes, headers: str = "") -> bytes:
        """The body of a 2xx answer. `headers` are whole lines. Raises AssertionError with any other answer."""
        assert self._transport is not None
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        head = f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n{headers}"
        self._transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        return await answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        for answer in self._waiting:
            if not answer.done():
                answer.set_exception(ConnectionError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(HEADER_END)) >= 0:
            head = bytes(self._buffer[:end]).lower()
            _, found, length = head.partition(b"\r\ncontent-length:")
            assert found, head
            whole = end + len(HEADER_END) + int(length.split(b"\r\n", 1)[0])
            if len(self._buffer) < whole:
                return
            body = bytes(self._buffer[end + len(HEADER_END) : whole])
            del self._buffer[:whole]
            answer = self._waiting.popleft()
            if answer.done():
                continue
            if head.split(b" ", 2)[1][:1] == b"2":
                answer.set_result(body)
            else:
                answer.set_exception(AssertionError(f"{head!r} {body[:300]!r}"))
