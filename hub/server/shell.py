"""Shells: what is around one sync session: its reading, its writing, the expiry of its token.

Messages are handled strictly in order: while a token is verified the next one stays in the socket, and so it does while the client
does not read what is meant for it. There are two ways to read and write. `ReadyShell` writes at once, where the server takes ready
frames (`hub.server.ready_frames`), and handles a message when it comes, unless something must be waited for. `SendingShell` has a
task that awaits ASGI's `send`: any server will do.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable

from starlette.websockets import WebSocket, WebSocketDisconnect

from hub.clock import Clock
from hub.errors import BadRequest, HubError, Unauthorized
from hub.live.connection import Connection
from hub.protocol.frames import Frame
from hub.protocol.messages import Authenticate, Close, Verify
from hub.protocol.volley import Transport
from hub.server.ready_frames import ReadyFrames
from hub.server.tokens import Authenticator

log = logging.getLogger(__name__)

_CLOSE_S = 5.0
"""How long the close may take to leave, when the client does not read."""


class Shell(ABC):
    """`connection` is set before anything else is called."""

    connection: Connection

    def __init__(self, socket: WebSocket, authenticator: Authenticator, clock: Clock) -> None:
        self._socket = socket
        self._authenticator = authenticator
        self._clock = clock
        self._expiry: asyncio.TimerHandle | None = None
        self._is_idle = False  # whether the reading task waits for a message, and for nothing else

    @property
    @abstractmethod
    def write(self) -> Callable[[Frame], bool]:
        """Takes a frame at once, or says False: then it waits in the outbox."""

    @property
    def transport(self) -> Transport | None:
        """Where `write` puts a frame that is not compressed, if there is such a place."""
        return None

    @abstractmethod
    def wake(self) -> None:
        """Something waits in the outbox, or the socket is to be closed."""

    @abstractmethod
    async def _serve(self) -> None:
        """Read and write until either side has closed."""

    async def run(self) -> None:
        """From the upgrade until either side has closed."""
        try:
            await self._serve()
        except WebSocketDisconnect:
            pass
        except Exception:
            log.exception("session ended by an error of the hub")
        finally:
            if self._expiry is not None:
                self._expiry.cancel()

    def beat(self, now: float) -> None:
        self.connection.beat(now)

    async def _read(self) -> None:
        connection = self.connection
        while True:
            self._is_idle = True
            frame = await self._socket.receive()
            self._is_idle = False
            if frame["type"] == "websocket.disconnect":
                return
            while connection.is_full and not connection.is_over:
                connection.has_room.clear()
                await connection.has_room.wait()
            if connection.is_over:
                continue
            try:
                text = frame.get("text")
                payload = frame["bytes"] if text is None else text
                verify = connection.receive(connection.outbox.wire_format.read(payload))
            except BadRequest as error:
                connection.malformed(error)
                continue
            if verify is not None:
                await self._verify(verify)

    async def _verify(self, verify: Verify) -> None:
        try:
            caller, expires_at = await self._authenticator.for_socket(verify.message)
        except Unauthorized as error:
            self.connection.rejected(error.message)
            return
        except HubError as error:
            self.connection.end(Close(1011, f"InternalServerError: {error.code}"))
            return
        self.connection.authenticated(caller)
        self._expire_at(expires_at)

    def _expire_at(self, expires_at: float | None) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        if expires_at is not None:
            after_s = max(0.0, expires_at - self._clock.now())
            expire = self.connection.expired
            self._expiry = asyncio.get_running_loop().call_later(after_s, expire, "TokenExpired: the token has expired")

    async def _close(self, close: Close) -> bool:
        """Whether the close has left; it cannot if the client does not read."""
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._socket.close(close.code, close.reason)
        except (TimeoutError, WebSocketDisconnect):
            return False
        return True


class ReadyShell(Shell):
    """Frames go to the transport when they are made. What the transport cannot take waits in the outbox until it says so."""

    def __init__(self, socket: WebSocket, authenticator: Authenticator, clock: Clock, frames: ReadyFrames) -> None:
        super().__init__(socket, authenticator, clock)
        self._frames = frames
        self._unsent_bytes = 0
        self._closing: asyncio.Task[None] | None = None

    @property
    def write(self) -> Callable[[Frame], bool]:
        return self._frames.write_frame

    @property
    def transport(self) -> Transport | None:
        return self._frames.out

    def wake(self) -> None:
        close = self.connection.close
        if close is not None and not self.connection.outbox and self._closing is None:
            self._closing = asyncio.create_task(self._end(close), name="closing a socket")

    async def _serve(self) -> None:
        self._frames.listener = self.connection
        self._frames.take = self._take
        self.connection.resumed()  # the handshake is over
        try:
            await self._read()
        finally:
            self._frames.listener = self._frames.take = None
            if self._closing is not None:
                self._closing.cancel()
                await asyncio.gather(self._closing, return_exceptions=True)

    def _take(self, payload: str | bytes) -> bool:
        """A message at once, without the reading task: as long as that waits for nothing else, and need not wait for this one."""
        connection = self.connection
        if not self._is_idle or connection.is_full:
            return False
        if connection.is_over:
            return True
        try:
            message = connection.outbox.wire_format.read(payload)
            if isinstance(message, Authenticate):
                return False
            connection.receive(message)
        except BadRequest as error:
            connection.malformed(error)
        except Exception:
            log.exception("session ended by an error of the hub")
            connection.lost()  # what has come behind is not to be done before this one, which the client repeats
            self._frames.abort()
        return True

    async def _end(self, close: Close) -> None:
        if not await self._close(close):
            self._frames.abort()  # which ends the reading, too

    def beat(self, now: float) -> None:
        """A client that reads slowly is not one that does not read."""
        if self._frames.is_paused:
            before, self._unsent_bytes = self._unsent_bytes, self._frames.unsent_bytes
            if self._unsent_bytes < before:
                self.connection.paused()
        super().beat(now)


class SendingShell(Shell):
    """A task awaits `send` for one frame after the other."""

    def __init__(self, socket: WebSocket, authenticator: Authenticator, clock: Clock) -> None:
        super().__init__(socket, authenticator, clock)
        self._has_work = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None

    @property
    def write(self) -> Callable[[Frame], bool]:
        return lambda frame: False

    def wake(self) -> None:
        self._has_work.set()

    async def _serve(self) -> None:
        reading = asyncio.create_task(self._read(), name="socket reader")
        sending = self._sending = asyncio.create_task(self._send_all(), name="socket writer")
        try:
            await asyncio.wait((reading, sending), return_when=asyncio.FIRST_COMPLETED)
            if self.connection.close is not None and not reading.done():
                await self._close(self.connection.close)
        finally:
            ended = [task for task in (reading, sending) if not task.cancel()]
            await asyncio.gather(reading, sending, return_exceptions=True)
        for task in ended:
            if not task.cancelled():
                task.result()

    async def _send_all(self) -> None:
        """What waits, until it is time to close."""
        connection = self.connection
        while True:
            self._has_work.clear()
            frame = connection.outbox.next()
            if frame is not None:
                await self._send(frame)
                connection.written()
            elif connection.close is not None:
                return
            else:
                await self._has_work.wait()

    async def _send(self, frame: Frame) -> None:
        if frame.is_text:
            await self._socket.send_text(frame.payload.decode())
        else:
            await self._socket.send_bytes(frame.payload)

    def beat(self, now: float) -> None:
        super().beat(now)
        if self._sending is not None and self.connection.close is not None and not self.connection.outbox:
            self._sending.cancel()  # what it may still be sending was given up
