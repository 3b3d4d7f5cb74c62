"""Bodies and calls stay within their limits, on a real server: what is too much is refused before it is held."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from hub import config
from hub.clock import SystemClock
from hub.functions.identity import Caller
from hub.metrics import Metrics
from hub.protocol.messages import Result
from hub.server.http import HttpCalls
from hub.server.tokens import Authenticator
from hub.timestamps import Timestamp
from hub.values import Value
from tests.server.support import ScriptedEngine, serving

pytestmark = pytest.mark.real

LIMIT = 64 * 1024
JSON = {"content-type": "application/json"}


@asynccontextmanager
async def hub(engine: ScriptedEngine, **given: Any) -> AsyncIterator[httpx.AsyncClient]:
    settings = config.load(http_body_max_bytes=LIMIT, **given)
    routes = HttpCalls(engine, Authenticator({}), settings, SystemClock(), Metrics(process=False)).routes()
    async with serving(Starlette(routes=routes)) as address, httpx.AsyncClient(base_url=address, trust_env=False) as client:
        yield client


def body_of(size: int) -> bytes:
    frame = b'{"path":"a:b","args":{"s":""}}'
    return frame.replace(b'""', b'"' + b"x" * (size - len(frame)) + b'"')


async def test_a_body_of_the_limit_is_taken_and_one_byte_more_is_413() -> None:
    async with hub(ScriptedEngine()) as client:
        fits = await client.post("/api/query", content=body_of(LIMIT), headers=JSON)
        over = await client.post("/api/query", content=body_of(LIMIT + 1), headers=JSON)

    assert fits.status_code == 200
    assert (over.status_code, over.json()["code"]) == (413, "BodyTooLarge")


async def test_a_body_of_undeclared_size_is_refused_while_it_arrives() -> None:
    """Chunked, so that nothing is known before: the answer comes although the body never ends."""
    async with hub(ScriptedEngine()) as client:
        address = httpx.URL(client.base_url)
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(
            b"POST /api/query HTTP/1.1\r\nHost: hub\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"x" * 16_384
        for _ in range(LIMIT // len(chunk) + 1):
            writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        await writer.drain()

        status_line = await asyncio.wait_for(reader.readline(), 10)

        writer.close()
    assert b" 413 " in status_line


async def test_a_declared_size_that_is_too_much_is_refused_before_the_body_is_sent() -> None:
    async with hub(ScriptedEngine()) as client:
        address = httpx.URL(client.base_url)
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"POST /api/query HTTP/1.1\r\nHost: hub\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n")

        status_line = await asyncio.wait_for(reader.readline(), 10)

        writer.close()
    assert b" 413 " in status_line


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async with hub(ScriptedEngine(), http_body_timeout_s=0.05) as client:
        address = httpx.URL(client.base_url)
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"POST /api/query HTTP/1.1\r\nHost: hub\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{")

        status_line = await asyncio.wait_for(reader.readline(), 10)

        writer.close()
    assert b" 408 " in status_line


class StuckEngine(ScriptedEngine):
    """Answers no query before `released` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.released = asyncio.Event()
        self.reached = asyncio.Event()

    async def query(self, path: str, args: Mapping[str, Value], caller: Caller, **options: Any) -> tuple[Result, Timestamp]:
        self.reached.set()
        await self.released.wait()
        return await super().query(path, args, caller, **options)


async def test_calls_beyond_the_limit_are_told_to_come_back_and_those_running_go_on() -> None:
    engine = StuckEngine()
    async with hub(engine, http_requests_max=1) as client:
        running = asyncio.create_task(client.post("/api/query", json={"path": "a:b"}))
        await engine.reached.wait()

        refused = await client.post("/api/query", json={"path": "a:b"})
        engine.released.set()

        assert (refused.status_code, refused.json()["code"]) == (503, "TooManyConcurrentRequests")
        assert "retry-after" in refused.headers
        assert (await running).status_code == 200
        assert (await client.post("/api/query", json={"path": "a:b"})).status_code == 200
