"""The shell around one sync session: a task that reads frames, a task that writes them, and the token's expiry.

All decisions are `Session`'s and `Connection`'s; this is the only place where a session waits for anything. Messages are handled
strictly in order: while a token is verified the next one stays in the socket, and so it does while the client does not read what
is meant for it.
"""

from __future__ import annotations

import asyncio
import logging

from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from hub.config import Settings
from hub.errors import BadRequest, HubError, Unauthorized
from hub.functions.identity import Caller
from hub.live.connection import Connection
from hub.live.engine import Engine
from hub.protocol.formats import WireFormat, chosen
from hub.protocol.frames import Frame
from hub.protocol.messages import Authenticate, Close, Verify
from hub.protocol.outbox import Outbox
from hub.protocol.session import Session
from hub.server.tokens import Authenticator

log = logging.getLogger(__name__)


class Sockets:
    """All sockets of this process."""

    def __init__(self, engine: Engine, authenticator: Authenticator, settings: Settings) -> None:
        self._engine = engine
        self._authenticator = authenticator
        self._settings = settings
        self._open: set[Connection] = set()

    def __len__(self) -> int:
        return len(self._open)

    async def serve(self, socket: WebSocket) -> None:
        """The endpoint of `/api/sync`: one session, from its upgrade to its end."""
        metrics = self._engine.metrics
        if self._engine.is_stopping or len(self._open) >= self._settings.sessions_max:
            await socket.send_denial_response(Response("TooManyConcurrentRequests", status_code=503))
            return
        wire_format = chosen(socket.scope.get("subprotocols", ()))
        connection = self._connect(await self._authenticator.caller(None), wire_format)
        self._open.add(connection)
        metrics.sessions.inc()
        metrics.sessions_opened.inc()
        try:
            await socket.accept(subprotocol=wire_format.subprotocol)
            await _Shell(socket, connection, self._authenticator, self._engine, self._settings.send_timeout_s).run()
        finally:
            self._open.discard(connection)
            metrics.sessions.dec()
            connection.gone()

    def _connect(self, caller: Caller, wire_format: WireFormat) -> Connection:
        settings = self._settings
        outbox = Outbox(
            wire_format,
            budget_bytes=settings.outbox_max_bytes,
            patience_s=settings.send_timeout_s,
            ping_after_s=settings.ping_interval_s,
            now=self._engine.clock.monotonic(),
        )
        session = Session(max_queries=settings.session_queries_max, max_mutations=settings.session_mutations_max)
        return Connection(self._engine, session, outbox, caller)

    async def close_all(self, grace_s: float) -> None:
        """Ask every client to go elsewhere, spread over the grace period so that they do not all come back at once."""
        connections = list(self._open)
        batches = max(1, min(20, len(connections) // 50))
        for i in range(batches):
            for connection in connections[i::batches]:
                connection.end(Close(1012, ""))
            if batches > 1:
                await self._engine.clock.sleep(grace_s / batches)


class _Shell:
    def __init__(
        self, socket: WebSocket, connection: Connection, authenticator: Authenticator, engine: Engine, send_timeout_s: float
    ) -> None:
        self._socket = socket
        self._connection = connection
        self._authenticator = authenticator
        self._engine = engine
        self._send_timeout_s = send_timeout_s
        self._expiry: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Until either side has closed: the first task to end ends the other."""
        tasks = [
            asyncio.create_task(self._read(), name="socket reader"),
            asyncio.create_task(self._write(), name="socket writer"),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if self._expiry is not None:
                self._expiry.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            error = task.exception()
            if error is not None and not isinstance(error, WebSocketDisconnect):
                log.error("session ended by an error of the hub", exc_info=error)

    # --- reading -----------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        connection = self._connection
        while True:
            frame = await self._socket.receive()
            if frame["type"] == "websocket.disconnect":
                return
            if connection.close is not None:
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
            while connection.is_full and connection.close is None:
                connection.has_room.clear()
                await connection.has_room.wait()

    async def _verify(self, verify: Verify) -> None:
        message: Authenticate = verify.message
        try:
            caller, expires_at = await self._authenticator.for_socket(message)
        except Unauthorized as error:
            self._connection.rejected(error.message)
            return
        except HubError as error:
            self._connection.end(Close(1011, f"InternalServerError: {error.code}"))
            return
        self._connection.authenticated(caller)
        self._expire_at(expires_at)

    def _expire_at(self, expires_at: float | None) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        if expires_at is not None:
            after_s = max(0.0, expires_at - self._engine.clock.now())
            expire = self._connection.expired
            self._expiry = asyncio.get_running_loop().call_later(after_s, expire, "TokenExpired: the token has expired")

    # --- writing -----------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        connection, outbox = self._connection, self._connection.outbox
        while True:
            frame = outbox.next()
            too_slow = outbox.overflow(self._engine.clock.monotonic())
            if too_slow is not None:
                log.warning("session closed, outbox full", extra={"bytes": outbox.size_bytes})
                await self._close(too_slow)
                return
            if frame is not None:
                await self._send(frame)
                connection.written()
            elif connection.close is not None:
                await self._close(connection.close)
                return
            else:
                await self._wait_for_work()

    async def _send(self, frame: Frame) -> None:
        """A transport that takes nothing for too long belongs to a client that does not read: it is given up."""
        try:
            async with asyncio.timeout(self._send_timeout_s):
                if frame.is_text:
                    await self._socket.send_text(frame.payload.decode())
                else:
                    await self._socket.send_bytes(frame.payload)
        except TimeoutError:
            log.warning("session closed, the client does not read", extra={"bytes": self._connection.outbox.size_bytes})
            raise WebSocketDisconnect(1013, "the client reads too slowly") from None

    async def _wait_for_work(self) -> None:
        connection = self._connection
        connection.wake.clear()
        due_s = connection.outbox.ping_at - self._engine.clock.monotonic()
        try:
            async with asyncio.timeout(max(0.0, due_s)):
                await connection.wake.wait()
        except TimeoutError:
            connection.ping()

    async def _close(self, close: Close) -> None:
        async with asyncio.timeout(5.0):
            await self._socket.close(close.code, close.reason)
