"""LiveHub: the engine on a store, with an application made for tests, and screens that watch it.

No socket: a `Screen` hands its client's frames to a Connection and takes the hub's, as the WebSocket shells do: from its outbox,
or written at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.frames import Opcode

from hub import config
from hub.clock import Clock, SystemClock
from hub.errors import BadRequest
from hub.functions import loader
from hub.functions.identity import SERVICE, Caller, Identity
from hub.functions.registry import Registry
from hub.live.connection import Connection
from hub.live.engine import Engine
from hub.metrics import Metrics
from hub.protocol.formats import chosen
from hub.protocol.frames import Frame
from hub.protocol.messages import Close
from hub.protocol.outbox import Outbox
from hub.protocol.session import Session
from hub.store import Store
from tests.model_client import Call, ModelClient

APPLICATION = Path(__file__).parent / "application"
PATIENCE_S = 20.0


def caller_of(token: str) -> Caller:
    """`alice` is a user of that name; an empty token is nobody."""
    return Caller(Identity("https://issuer.test", token, {"sub": token})) if token else Caller()


class Wire:
    """A transport that takes each frame at once. While the client does not read it is paused, with the one it took."""

    def __init__(self, screen: Screen) -> None:
        self.is_paused = False
        self.was_written_to_while_paused = False
        self._screen = screen
        self._frames: deque[bytes] = deque()

    def write(self, frame: Frame) -> bool:
        if self.is_paused:
            return False
        self.writelines(frame.ready())
        return True

    def writelines(self, pieces: Iterable[bytes]) -> None:
        self.was_written_to_while_paused |= self.is_paused
        self._frames.append(b"".join(pieces))
        self._screen.wake.set()
        if not self._screen.reads and self._screen.connection is not None:
            self.is_paused = True
            self._screen.connection.paused()

    def take(self) -> Iterable[str | bytes]:
        """What the client reads: the payloads of the WebSocket frames."""
        assert not self.was_written_to_while_paused
        while self._frames:
            frame = self._frames.popleft()
            header_bytes = {126: 4, 127: 10}.get(frame[1], 2)
            payload = frame[header_bytes:]
            yield payload.decode() if frame[0] & 0x0F == Opcode.TEXT else payload
        if self.is_paused and self._screen.connection is not None:
            self.is_paused = False
            self._screen.connection.resumed()
            yield from self.take()


class Screen:
    """One client and its connection. `caller` is who it is before it authenticates.

    `is_written_at_once`: its frames go to a transport; otherwise they are taken from its outbox.
    """

    def __init__(self, hub: LiveHub, client: ModelClient, caller: Caller, *, is_written_at_once: bool) -> None:
        self.hub = hub
        self.client = client
        self._first_caller = caller
        self.connection: Connection | None = None
        self._is_written_at_once = is_written_at_once
        self.reads = True
        self.last_close: Close | None = None
        self.callers: list[Caller] = []
        self._in_socket: list[str] = []
        self.wake = asyncio.Event()
        self.on_transition: Callable[[Screen], None] = lambda screen: None

    @property
    def caller(self) -> Caller:
        return self.callers[-1]

    def connect(self) -> None:
        settings = self.hub.engine.settings
        outbox = Outbox(
            chosen([self.client.subprotocol or ""]),
            budget_bytes=settings.outbox_max_bytes,
            patience_s=60.0,
            ping_after_s=60.0,
            now=self.hub.engine.clock.monotonic(),
            on_wait=self.wake.set,
            **self._way_out(),
        )
        self.session = Session(max_queries=settings.session_queries_max, max_mutations=settings.session_mutations_max)
        self.connection = Connection(self.hub.engine, self.session, outbox, self._first_caller, on_close=self.wake.set)
        self.callers = [self._first_caller]
        self.client.connect()
        self.pump()

    def _way_out(self) -> dict[str, Any]:
        self.wire = Wire(self)
        return {"write": self.wire.write, "transport": self.wire} if self._is_written_at_once else {}

    def disconnect(self) -> None:
        """The socket breaks: what was not read is lost, in both directions."""
        if self.connection is not None:
            self.connection.gone()
        self.connection = None
        self.client.take()
        self._in_socket.clear()

    def pump(self) -> None:
        """Everything that can be delivered now, both ways."""
        if self.connection is None:
            return
        self._in_socket += self.client.take()
        while self._in_socket and not self.connection.is_full and self.connection.close is None:
            self._deliver(self._in_socket.pop(0))
        for payload in self._arriving() if self.reads else ():
            so_far = len(self.client.transitions)
            self.client.receive_frame(payload)
            if len(self.client.transitions) > so_far:
                self.on_transition(self)
        if self.connection.close is not None:
            self.last_close = self.connection.close
            self.disconnect()

    def _arriving(self) -> Iterable[str | bytes]:
        assert self.connection is not None
        if self._is_written_at_once:
            yield from self.wire.take()
            return
        while (frame := self.connection.outbox.next()) is not None:
            yield frame.payload.decode() if frame.is_text else frame.payload
            self.connection.written()

    def _deliver(self, frame: str) -> None:
        assert self.connection is not None
        try:
            verify = self.connection.receive(self.connection.outbox.wire_format.read(self.client.packed(frame)))
        except BadRequest as error:
            self.connection.malformed(error)
            return
        if verify is not None:
            self.callers.append(caller_of(verify.message.value))
            self.connection.authenticated(self.callers[-1])

    async def until(self, condition: Callable[[], bool]) -> None:
        """Pump until it holds."""
        give_up = time.monotonic() + PATIENCE_S
        self.pump()
        while not condition():
            assert time.monotonic() < give_up, f"not within {PATIENCE_S} s: {self.client}"
            if self.connection is not None:
                self.wake.clear()
                try:
                    await asyncio.wait_for(self.wake.wait(), 0.05)
                except TimeoutError:
                    pass
            else:
                await asyncio.sleep(0)
            self.pump()

    async def calm(self) -> None:
        await self.until(lambda: self.client.is_calm)

    async def watch(self, path: str, **args: Any) -> int:
        query_id = self.client.watch(path, **args)
        await self.calm()
        return query_id

    async def mutate(self, path: str, **args: Any) -> Call:
        call = self.client.mutate(path, **args)
        await self.until(lambda: call.is_settled)
        return call

    async def reaches(self, ts: int) -> None:
        """Until it shows this timestamp. Idle sessions are not moved, so this asks the hub for nothing but its own pace."""
        await self.until(lambda: self.client.ts >= ts)

    def value(self, query_id: int) -> Any:
        watched = self.client.queries[query_id]
        assert watched.error is None, watched.error
        return watched.value

    def texts(self, query_id: int) -> list[str]:
        return [row["text"] for row in self.value(query_id)]


class LiveHub:
    def __init__(self, engine: Engine, store: Store) -> None:
        self.engine = engine
        self.store = store

    def screen(self, caller: Caller = SERVICE, *, client: ModelClient | None = None, is_written_at_once: bool = False) -> Screen:
        screen = Screen(self, client or ModelClient(), caller, is_written_at_once=is_written_at_once)
        screen.connect()
        return screen

    async def query(self, path: str, caller: Caller = SERVICE, **args: Any) -> Any:
        """A fresh run, by HTTP's way."""
        result, _ = await self.engine.query(path, args, caller, deadline=self.deadline())
        return result

    async def mutate(self, path: str, *, key: str | None = None, caller: Caller = SERVICE, **args: Any) -> Any:
        body = f"{path} {sorted(args.items())}"
        result, _ = await self.engine.mutate(path, args, caller, key=key, body_key=body, deadline=self.deadline())
        return result

    def deadline(self, seconds: float = PATIENCE_S) -> float:
        return self.engine.clock.monotonic() + seconds


def application() -> Registry:
    return loader.load(APPLICATION)


@asynccontextmanager
async def live_hub(
    store: Store, registry: Registry | None = None, *, clock: Clock | None = None, **settings: Any
) -> AsyncIterator[LiveHub]:
    """`store` is open; its tables are prepared here."""
    registry = registry or application()
    await store.prepare(registry.declared_tables(), drop_unused=True)
    engine = Engine(store, registry, config.load(**settings), clock=clock or SystemClock(), metrics=Metrics(process=False))
    async with engine.running():
        yield LiveHub(engine, store)
