"""Hubs to test the engine with: on the memory store, where races are forced, and on a real replica set."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import pytest

from hub.functions.registry import Registry
from hub.testing.memory import MemoryDatabase, MemoryStore
from tests.contract.databases import Database, InMemory
from tests.contract.on_mongo import OnMongo
from tests.live.harness import LiveHub, application, live_hub

OpenHub: TypeAlias = Callable[..., Awaitable[LiveHub]]
"""`await open_hub("b", **settings)`: one more hub of the deployment."""


@pytest.fixture(scope="session")
def registry() -> Registry:
    return application()


@pytest.fixture
async def memory() -> MemoryDatabase:
    return MemoryDatabase()


@pytest.fixture
async def store(memory: MemoryDatabase) -> AsyncIterator[MemoryStore]:
    """A hub's store with gates, for tests that force an order of events."""
    store = MemoryStore(memory, name="hub-a")
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def hub(store: MemoryStore, registry: Registry) -> AsyncIterator[LiveHub]:
    async with live_hub(store, registry) as hub:
        yield hub


@pytest.fixture(params=["memory", pytest.param("mongo", marks=pytest.mark.real)])
def server(request: pytest.FixtureRequest) -> tuple[str, str] | None:
    """None is the memory. Not asynchronous: a mongod that starts here wants a loop of its own."""
    if request.param == "memory":
        return None
    return request.getfixturevalue("mongo_url"), request.getfixturevalue("database_name")


@pytest.fixture
async def database(server: tuple[str, str] | None) -> AsyncIterator[Database]:
    async with AsyncExitStack() as stack:
        yield InMemory(stack) if server is None else OnMongo(stack, *server, "pymongo")


@pytest.fixture
async def open_hub(database: Database, registry: Registry) -> AsyncIterator[OpenHub]:
    async with AsyncExitStack() as stack:

        async def opened(name: str = "hub-a", **settings: Any) -> LiveHub:
            return await stack.enter_async_context(live_hub(await database.hub(name), registry, **settings))

        yield opened
