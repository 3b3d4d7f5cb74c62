"""Viewers: clients of the hub that count every byte that reaches them, in each of the ways a browser may be connected.

Sockets of the `websockets` library, for compression and binary frames; `bench.sockets` is for load without either.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias, cast

import msgpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from bench.jobs import Places
from bench.sides import FIRST_RESULT_S

Way: TypeAlias = Literal["stock", "stock, deflate", "native"]
NATIVE: Final = Subprotocol("hub.v1.msgpack")


class Counted(ClientConnection):
    """`received_bytes`: off the wire, before anything is decompressed."""

    received_bytes = 0

    def data_received(self, data: bytes) -> None:
        self.received_bytes += len(data)
        super().data_received(data)


class Viewer:
    """One query, shown live. `wait_for(mark)` returns when a frame has it."""

    def __init__(self, socket: Counted, is_native: bool) -> None:
        self._socket = socket
        self._is_native = is_native
        self._task = asyncio.create_task(self._read(), name="viewer")
        self._mark = b""
        self._seen: asyncio.Future[None] | None = None
        self.frames = 0

    @classmethod
    async def open(cls, places: Places, way: Way, path: str, args: dict[str, Any], mark: bytes) -> Viewer:
        """Returns with the first result, which has the mark. Raises AssertionError if the hub does not speak that way."""
        socket = await connect(
            places.hub_url.replace("http", "ws", 1) + "/api/sync",
            create_connection=Counted,
            compression="deflate" if way == "stock, deflate" else None,
            subprotocols=[NATIVE] if way == "native" else None,
            max_size=None,
        )
        assert (socket.subprotocol == NATIVE) == (way == "native"), f"the hub speaks {socket.subprotocol}"
        viewer = cls(cast(Counted, socket), way == "native")
        first = viewer.wait_for(mark)
        session = {"sessionId": str(uuid.uuid4()), "connectionCount": 0, "lastCloseReason": "InitialConnect", "clientTs": 0}
        await viewer._send(type="Connect", **session)
        await viewer._send(type="Authenticate", baseVersion=0, tokenType="Admin", value=places.service_key)
        add = [{"type": "Add", "queryId": 0, "udfPath": path, "args": [args]}]
        await viewer._send(type="ModifyQuerySet", baseVersion=0, newVersion=1, modifications=add)
        async with asyncio.timeout(FIRST_RESULT_S):
            await first
        return viewer

    @property
    def received_bytes(self) -> int:
        return self._socket.received_bytes

    @property
    def is_compressed(self) -> bool:
        return bool(self._socket.protocol.extensions)

    def wait_for(self, mark: bytes) -> asyncio.Future[None]:
        self._mark = mark
        self._seen = asyncio.get_running_loop().create_future()
        return self._seen

    async def close(self) -> None:
        await self._socket.close()
        await self._task

    async def _send(self, **message: Any) -> None:
        await self._socket.send(msgpack.packb(message) if self._is_native else json.dumps(message))

    async def _read(self) -> None:
        find: Callable[[bytes], None] = self._find
        try:
            while True:
                frame = await self._socket.recv(decode=False)
                find(frame)
        except ConnectionClosed:
            if self._seen is not None and not self._seen.done():
                self._seen.set_exception(ConnectionError("the hub closed a viewer's socket"))

    def _find(self, frame: bytes) -> None:
        self.frames += 1
        if self._seen is not None and not self._seen.done() and self._mark in frame:
            self._seen.set_result(None)
