"""Stores on a real mongod, and what breaks the line between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeAlias
from urllib.parse import quote, unquote

import pytest
from pymongo import AsyncMongoClient

from hub.mongo.driver import DriverName
from hub.mongo.store import MongoStore, Timeouts
from hub.store import DeclaredTable
from tests.builders import BY_CHAT, BY_CLIENT_ID

Client: TypeAlias = AsyncMongoClient[dict[str, Any]]
MakeStore: TypeAlias = Callable[..., Awaitable[MongoStore]]

MESSAGES = DeclaredTable("messages", (BY_CHAT, BY_CLIENT_ID))


@pytest.fixture
async def make_store(database_name: str) -> AsyncIterator[MakeStore]:
    """Opens a store on the server of the URL, with `messages` prepared; all are closed when the test ends."""
    async with AsyncExitStack() as stack:

        async def make(url: str, *, hub_id: str = "hub-a", driver: DriverName = "pymongo", read_s: float = 5.0) -> MongoStore:
            store = MongoStore(url, database_name, hub_id=hub_id, driver=driver, timeouts=Timeouts(read_s=read_s))
            await store.open()
            stack.push_async_callback(store.close)
            await store.prepare([MESSAGES], drop_unused=False)
            return store

        yield make


@pytest.fixture
async def store(make_store: MakeStore, mongo_url: str) -> MongoStore:
    return await make_store(mongo_url)


@pytest.fixture
async def client(mongo_url: str) -> AsyncIterator[Client]:
    """Somebody else's connection."""
    async with AsyncMongoClient[dict[str, Any]](mongo_url) as client:
        yield client


class Line:
    """A proxy between a store and its server, which loses what a test tells it to.

    `lose_answers_to(name, n)`: the next n times that a command of this name passes, the server gets it, and the connection
    breaks before its answer comes. `lose(name, n)`: the server does not even get it.
    """

    def __init__(self, target: str, path: str) -> None:
        self._target = target
        self._path = path
        self._answers: dict[bytes, int] = {}
        self._requests: dict[bytes, int] = {}
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.url = f"mongodb://{quote(path, safe='')}/?directConnection=true"

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._connected, self._path)

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        await asyncio.sleep(0.05)  # what was accepted a moment ago becomes a task
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def lose_answers_to(self, command: str, times: int = 1) -> None:
        self._answers[command.encode()] = times

    def lose(self, command: str, times: int = 1) -> None:
        self._requests[command.encode()] = times

    def restore(self) -> None:
        self._answers.clear()
        self._requests.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        onward: asyncio.StreamWriter | None = None
        try:
            upstream, onward = await asyncio.open_unix_connection(self._target)
            is_deaf = asyncio.Event()
            await _until_one_ends(self._requests_of(reader, onward, is_deaf), _answers(upstream, writer, is_deaf))
        except (OSError, asyncio.CancelledError):
            pass  # either end is gone, or the test is over
        finally:
            for one in (writer, onward):
                if one is not None:
                    one.close()

    async def _requests_of(self, reader: asyncio.StreamReader, onward: asyncio.StreamWriter, is_deaf: asyncio.Event) -> None:
        while data := await reader.read(1 << 20):
            if _counts(self._requests, data):
                return
            if _counts(self._answers, data):
                is_deaf.set()
            onward.write(data)
            await onward.drain()


async def _answers(upstream: asyncio.StreamReader, writer: asyncio.StreamWriter, is_deaf: asyncio.Event) -> None:
    while data := await upstream.read(1 << 20):
        if is_deaf.is_set():
            return
        writer.write(data)
        await writer.drain()


async def _until_one_ends(*directions: Coroutine[Any, Any, None]) -> None:
    tasks = [asyncio.create_task(direction) for direction in directions]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _counts(wanted: dict[bytes, int], data: bytes) -> bool:
    for command in wanted:
        if b"\x01" + command in data or b"\x10" + command in data or b"\x02" + command in data or b"\x12" + command in data:
            wanted[command] -= 1
            if not wanted[command]:
                del wanted[command]
            return True
    return False


@pytest.fixture
async def line(mongo_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Line]:
    target = unquote(mongo_url.removeprefix("mongodb://").partition("/")[0])
    line = Line(target, str(tmp_path_factory.mktemp("line") / "l.sock"))
    await line.open()
    yield line
    await line.close()
