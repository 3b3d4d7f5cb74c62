"""Sockets: the endpoint of the sync protocol, and the one task that looks after all sockets of this process.

All decisions are those of `Session` and `Connection`. No socket has a clock of its own: one task goes through all of them and finds
who is to hear a Ping, and who does not read.
"""

from __future__ import annotations

import asyncio

from starlette.responses import Response
from starlette.websockets import WebSocket

from hub.clock import Slices
from hub.config import Settings
from hub.functions.identity import Caller
from hub.live.connection import Connection
from hub.live.engine import Engine
from hub.protocol.formats import chosen
from hub.protocol.messages import Close
from hub.protocol.outbox import Outbox
from hub.protocol.session import Session
from hub.server.ready_frames import ready_frames
from hub.server.shell import ReadyShell, SendingShell, Shell
from hub.server.tokens import Authenticator


class Sockets:
    """All sockets of this process."""

    def __init__(self, engine: Engine, authenticator: Authenticator, settings: Settings) -> None:
        self._engine = engine
        self._authenticator = authenticator
        self._settings = settings
        self._open: set[Shell] = set()
        self._beats: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._open)

    async def serve(self, socket: WebSocket) -> None:
        """The endpoint of `/api/sync`: one session, from its upgrade to its end."""
        metrics = self._engine.metrics
        if self._engine.is_stopping or len(self._open) >= self._settings.sessions_max:
            await socket.send_denial_response(Response("TooManyConcurrentRequests", status_code=503))
            return
        shell = self._shell(socket, await self._authenticator.caller(None))
        connection = shell.connection
        self._open.add(shell)
        metrics.sessions.inc()
        metrics.sessions_opened.inc()
        if self._beats is None:
            self._beats = asyncio.create_task(self._beat(), name="heartbeats")
        try:
            await socket.accept(subprotocol=connection.outbox.wire_format.subprotocol)
            await shell.run()
        finally:
            self._open.discard(shell)
            metrics.sessions.dec()
            connection.gone()
            if not self._open and self._beats is not None:
                self._beats.cancel()
                self._beats = None

    def _shell(self, socket: WebSocket, caller: Caller) -> Shell:
        settings, engine = self._settings, self._engine
        frames = ready_frames(socket.scope)
        shell: Shell
        if frames is not None:
            shell = ReadyShell(socket, self._authenticator, engine.clock, frames)
        else:
            shell = SendingShell(socket, self._authenticator, engine.clock)
        outbox = Outbox(
            chosen(socket.scope.get("subprotocols", ())),
            budget_bytes=settings.outbox_max_bytes,
            patience_s=settings.send_timeout_s,
            ping_after_s=settings.ping_interval_s,
            now=engine.clock.monotonic(),
            write=shell.write,
            on_wait=shell.wake,
            transport=shell.transport,
        )
        session = Session(max_queries=settings.session_queries_max, max_mutations=settings.session_mutations_max)
        shell.connection = Connection(engine, session, outbox, caller, on_close=shell.wake)
        return shell

    async def _beat(self) -> None:
        """What is due is found a tenth of its time late at most."""
        clock = self._engine.clock
        every_s = min(self._settings.ping_interval_s, self._settings.send_timeout_s) / 10
        while True:
            await clock.sleep(every_s)
            slices = Slices(clock)
            for shell in list(self._open):
                shell.beat(slices.now)
                if slices.is_over():
                    await slices.give_way()

    async def close_all(self, grace_s: float) -> None:
        """Ask every client to go elsewhere, spread over the grace period so that they do not all come back at once."""
        shells = list(self._open)
        batches = max(1, min(20, len(shells) // 50))
        for i in range(batches):
            for shell in shells[i::batches]:
                shell.connection.end(Close(1012, ""))
            if batches > 1:
                await self._engine.clock.sleep(grace_s / batches)
