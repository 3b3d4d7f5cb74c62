"""The load generator's own WebSocket client, against the library that others use."""

from __future__ import annotations

import asyncio

import pytest
from websockets.asyncio.server import ServerConnection, serve

from bench.sockets import TEXT, WebSocket, frame, next_frame


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 200_000])
async def test_messages_of_every_length_come_back_as_they_were(size: int) -> None:
    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with serve(echo, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        got: asyncio.Queue[bytes] = asyncio.Queue()
        socket = await WebSocket.open(f"http://127.0.0.1:{port}", "/", got.put_nowait)
        for text in (b"x" * size, b"the next one"):
            socket.send(text)
            assert await asyncio.wait_for(got.get(), 10) == text
        socket.close()
        await asyncio.wait_for(socket.closed, 10)


async def test_a_ping_is_answered() -> None:
    async def ask(connection: ServerConnection) -> None:
        await asyncio.wait_for(await connection.ping(), 10)
        await connection.send("answered")

    async with serve(ask, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        got: asyncio.Queue[bytes] = asyncio.Queue()
        socket = await WebSocket.open(f"http://127.0.0.1:{port}", "/", got.put_nowait)
        assert await asyncio.wait_for(got.get(), 10) == b"answered"
        await asyncio.wait_for(socket.closed, 10)


async def test_a_refused_upgrade_is_an_error_that_says_what_came() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionError, match="503"):
            await WebSocket.open(f"http://127.0.0.1:{port}", "/", lambda _: None)


@pytest.mark.parametrize("size", [5, 126, 65_536])
def test_a_frame_is_found_only_when_it_is_all_there(size: int) -> None:
    masked = frame(TEXT, b"x" * size)
    header = masked[: len(masked) - size - 4]
    whole = header[:1] + bytes([header[1] & 0x7F]) + header[2:] + b"x" * size  # as a server sends it
    assert next_frame(whole, 0) == (TEXT, len(whole) - size, len(whole))
    assert all(next_frame(whole[:end], 0) is None for end in (0, 1, len(whole) - size - 1, len(whole) - 1))
