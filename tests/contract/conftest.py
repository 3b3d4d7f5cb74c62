from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TypeAlias

import pytest

from hub.mongo.driver import DriverName
from hub.store import Store
from tests.contract.databases import Database, Feed, InMemory
from tests.contract.on_mongo import OnMongo

Follow: TypeAlias = Callable[[Store], Awaitable[Feed]]


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    database: str
    driver: DriverName


@pytest.fixture(params=["memory", pytest.param("pymongo", marks=pytest.mark.real), pytest.param("motor", marks=pytest.mark.real)])
def server(
    request: pytest.FixtureRequest,
) -> Server | None:
    """None is the memory. Not asynchronous: a mongod that starts here wants a loop of its own."""
    if request.param == "memory":
        return None
    return Server(request.getfixturevalue("mongo_url"), request.getfixturevalue("database_name"), request.param)


@pytest.fixture
async def database(server: Server | None) -> AsyncIterator[Database]:
    async with AsyncExitStack() as stack:
        yield InMemory(stack) if server is None else OnMongo(stack, server.url, server.database, server.driver)


@pytest.fixture
async def store(database: Database) -> Store:
    return await database.hub()


@pytest.fixture
async def follow(database: Database) -> AsyncIterator[Follow]:
    """Opens a store's feed and reads its first batch."""
    feeds: list[Feed] = []

    async def opened(store: Store) -> Feed:
        feed = Feed(store)
        feeds.append(feed)
        await feed.next()
        return feed

    yield opened
    for feed in feeds:
        await feed.close()


@pytest.fixture
async def feed(store: Store, follow: Follow) -> Feed:
    return await follow(store)
