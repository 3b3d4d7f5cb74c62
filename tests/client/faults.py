"""A server that answers what a test tells it to: HTTP replies by script, and sockets that break the protocol."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection, serve


@dataclass(frozen=True, slots=True)
class Reply:
    """`status` 0: the connection is cut without a word, after the request was read."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


CUT = Reply(0)


def success(value: Any) -> Reply:
    return Reply(body={"status": "success", "value": value, "logLines": [], "ts": "AQAAAAEAAAA="})


def refusal(status: int, code: str, **headers: str) -> Reply:
    return Reply(
        status, {"code": code, "message": f"a {code} for tests"}, {name.replace("_", "-"): text for name, text in headers.items()}
    )


@dataclass(frozen=True, slots=True)
class Request:
    path: str
    headers: dict[str, str]
    body: Any


@dataclass(slots=True)
class FaultyServer:
    """Answers with `replies` in order, the last one for ever."""

    replies: list[Reply]
    port: int = 0
    requests: list[Request] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in head[1:])}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.requests.append(Request(head[0].split(" ")[1], headers, json.loads(body) if body else None))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if not reply.status:
            return False
        content = reply.body.encode() if isinstance(reply.body, str) else json.dumps(reply.body).encode()
        fields = {"Content-Length": str(len(content)), **reply.headers}
        lines = [f"HTTP/1.1 {reply.status} Reason", *(f"{name}: {text}" for name, text in fields.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        await writer.drain()
        return True


@asynccontextmanager
async def answering(*replies: Reply) -> AsyncIterator[FaultyServer]:
    faulty = FaultyServer(list(replies))
    server = await asyncio.start_server(faulty.handle, "127.0.0.1", 0)
    faulty.port = server.sockets[0].getsockname()[1]
    try:
        yield faulty
    finally:
        server.close()


Talk = Callable[[ServerConnection, int], Awaitable[None]]


@asynccontextmanager
async def talking(talk: Talk) -> AsyncIterator[str]:
    """The address of a server that does `talk(socket, number)` with each socket; it is closed after that."""
    count = 0

    async def handle(socket: ServerConnection) -> None:
        nonlocal count
        count += 1
        await talk(socket, count)

    async with serve(handle, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


def transition(value: Any, *, start: str = "AAAAAAAAAAA=", end: str = "AQAAAAEAAAA=", **start_fields: int) -> str:
    """A first transition, right but for what is said."""
    change = {"type": "QueryUpdated", "queryId": 0, "value": value, "logLines": [], "journal": None}
    return json.dumps(
        {
            "type": "Transition",
            "startVersion": {"querySet": 0, "identity": 0, "ts": start, **start_fields},
            "endVersion": {"querySet": 1, "identity": 0, "ts": end},
            "modifications": [change],
        }
    )
