"""A ModelClient on a real socket, in whichever wire format it speaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.model_client import Call, ModelClient

PATIENCE_S = 30.0


class SocketClient:
    """`heard` is set by each frame. A socket that ends is not opened again by itself: `reconnect` does it."""

    def __init__(self, url: str, model: ModelClient) -> None:
        self.model = model
        self._url = url
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._heard = asyncio.Event()

    async def connect(self) -> None:
        asked = [Subprotocol(self.model.subprotocol)] if self.model.subprotocol is not None else None
        self._socket = await connect(self._url, subprotocols=asked, proxy=None, max_size=None, open_timeout=PATIENCE_S)
        assert self._socket.subprotocol == self.model.subprotocol
        self.model.connect()
        self._reader = asyncio.create_task(self._read(self._socket), name="reader")
        await self._send()

    async def reconnect(self) -> None:
        """The socket breaks, with whatever was in it."""
        await self.close()
        self.model.take()
        await self.connect()

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            with suppress(asyncio.CancelledError):
                await self._reader
        if self._socket is not None:
            self._socket.transport.abort()

    async def watch(self, path: str, **args: Any) -> int:
        query_id = self.model.watch(path, **args)
        await self._send()
        return query_id

    async def unwatch(self, query_id: int) -> None:
        self.model.unwatch(query_id)
        await self._send()

    async def mutate(self, path: str, **args: Any) -> Call:
        call = self.model.mutate(path, **args)
        await self._send()
        await self.until(lambda: call.is_settled)
        return call

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                assert self._reader is not None
                if self._reader.done():
                    self._reader.result()  # what it could not make sense of
                    raise AssertionError(f"the hub closed the socket: {self.model.fatal}")
                self._heard.clear()
                await self._heard.wait()

    async def _read(self, socket: ClientConnection) -> None:
        try:
            with suppress(ConnectionClosed):
                async for frame in socket:
                    self.model.receive_frame(frame)
                    self._heard.set()
        finally:
            self._heard.set()

    async def _send(self) -> None:
        assert self._socket is not None
        for message in self.model.take():
            await self._socket.send(self.model.packed(message))


@asynccontextmanager
async def open_client(url: str, model: ModelClient) -> AsyncIterator[SocketClient]:
    client = SocketClient(url, model)
    try:
        await client.connect()
        yield client
    finally:
        await client.close()
