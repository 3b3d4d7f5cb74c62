"""A TCP proxy between a client and the hub that a test can cut, hold back, make lossy, or aim at another hub."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

CHUNK_BYTES = 65_536
SUBPROTOCOLS, COMPRESSION = "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"


@dataclass(slots=True)
class Proxy:
    """`cut()` ends every connection without a closing handshake, as a lost network does.

    `answers` is cleared to hold back what the hub says (what the client says still arrives), `accepting` to refuse new
    connections. `loses` is asked for each WebSocket message of the hub whether to drop it; where they are compressed, each needs
    those before it. `hides` names what clients offer without the hub's hearing of it.
    """

    target_port: int
    port: int = 0
    accepted: int = 0
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    accepting: bool = True
    loses: Callable[[], bool] | None = None
    hides: tuple[str, ...] = ()
    lost: int = 0
    from_hub_bytes: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = {writer}
        self._writers.add(writer)  # at once: a cut also ends what is still being connected
        try:
            if not self.accepting:
                return
            self.accepted += 1
            upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", self.target_port)
            ends.add(upstream)
            self._writers.add(upstream)
            if writer.transport.is_closing():
                return
            async with asyncio.TaskGroup() as both:
                both.create_task(self._ask(reader, upstream), name="to the hub")
                both.create_task(self._answer(upstream_reader, writer), name="from the hub")
        except OSError:
            pass  # nobody listens there
        finally:
            self._writers -= ends
            for end in ends:
                end.transport.abort()

    async def _ask(self, reader: asyncio.StreamReader, upstream: asyncio.StreamWriter) -> None:
        try:
            if self.hides:
                head = await reader.readuntil(b"\r\n\r\n")
                for header in self.hides:
                    head = re.sub(rb"\r\n%b:[^\r]*" % header.encode(), b"", head, flags=re.IGNORECASE)
                upstream.write(head)
        except (ConnectionError, asyncio.IncompleteReadError):
            upstream.transport.abort()
            return
        await _pump(reader, upstream)

    async def _answer(self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.loses is not None:
            try:
                writer.write(await upstream.readuntil(b"\r\n\r\n"))
                while True:
                    frame = await _frame(upstream)
                    if is_message(frame) and self.loses():
                        self.lost += 1
                    else:
                        writer.write(frame)
                        await writer.drain()
            except (ConnectionError, asyncio.IncompleteReadError):
                writer.transport.abort()
                return
        await _pump(upstream, writer, self._let_through)

    async def _let_through(self, chunk: bytes) -> None:
        await self.answers.wait()
        self.from_hub_bytes += len(chunk)


async def _frame(reader: asyncio.StreamReader) -> bytes:
    """One WebSocket frame of a server: they are not masked."""
    head = await reader.readexactly(2)
    size = head[1]
    more = await reader.readexactly({126: 2, 127: 8}.get(size, 0))
    return head + more + await reader.readexactly(int.from_bytes(more) if more else size)


def is_message(frame: bytes) -> bool:
    return frame[0] & 0x0F in (1, 2)


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before_each: Callable[[bytes], Awaitable[None]] | None = None
) -> None:
    """Bytes one way until either end is gone, which takes the other way along."""
    try:
        while chunk := await reader.read(CHUNK_BYTES):
            if before_each is not None:
                await before_each(chunk)
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
        proxy.accepting = False
        server.close()
        proxy.cut()
        await server.wait_closed()
