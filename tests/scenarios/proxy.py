"""A TCP proxy between a client and the hub that a test can cut, hold back, or aim at another hub."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

CHUNK_BYTES = 65_536


@dataclass(slots=True)
class Proxy:
    """`cut()` ends every connection without a closing handshake, as a lost network does.

    `answers` is cleared to hold back what the hub says (what the client says still arrives), `accepting` to refuse new
    connections.
    """

    target_port: int
    port: int = 0
    accepted: int = 0
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    accepting: bool = True
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.accepting:
            writer.transport.abort()
            return
        self.accepted += 1
        try:
            upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, upstream}
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, upstream), name="to the hub")
                both.create_task(_pump(upstream_reader, writer, self.answers), name="from the hub")
        finally:
            self._writers -= {writer, upstream}
            for end in (writer, upstream):
                end.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event | None = None) -> None:
    """Bytes one way until either end is gone, which takes the other way along."""
    try:
        while chunk := await reader.read(CHUNK_BYTES):
            if gate is not None:
                await gate.wait()
            writer.write(chunk)
            await writer.drain()
    except ConnectionError:
        pass
    writer.transport.abort()


@asynccontextmanager
async def proxy_to(port: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(target_port=port)
    proxy.answers.set()
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        proxy.answers.set()
        proxy.cut()
        server.close()
        await server.wait_closed()
