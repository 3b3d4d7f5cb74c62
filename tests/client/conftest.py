"""One hub for the tests of the Python clients, and one way to drive both of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any, Literal, Self, TypeAlias

import pytest

from hub.client import AsyncHubClient, AsyncSubscription, HubClient, Subscription
from tests.scenarios.conftest import chat as chat  # the fixtures
from tests.scenarios.conftest import hub as hub
from tests.scenarios.conftest import shared_hub as shared_hub

Kind: TypeAlias = Literal["sync", "async"]
_OVER = object()


class AnyClient:
    """Either client behind the asynchronous interface: the synchronous one runs in threads."""

    def __init__(self, client: HubClient | AsyncHubClient) -> None:
        self.client = client

    async def query(self, path: str, args: dict[str, Any] | None = None, **options: Any) -> Any:
        if isinstance(self.client, AsyncHubClient):
            return await self.client.query(path, args or {}, **options)
        return await asyncio.to_thread(self.client.query, path, args or {}, **options)

    async def mutation(self, path: str, args: dict[str, Any] | None = None, **options: Any) -> Any:
        if isinstance(self.client, AsyncHubClient):
            return await self.client.mutation(path, args or {}, **options)
        return await asyncio.to_thread(self.client.mutation, path, args or {}, **options)

    def subscribe(self, path: str, args: dict[str, Any] | None = None, **options: Any) -> AnySubscription:
        return AnySubscription(self.client.subscribe(path, args or {}, **options))

    async def close(self) -> None:
        if isinstance(self.client, AsyncHubClient):
            await self.client.close()
        else:
            await asyncio.to_thread(self.client.close)


class AnySubscription:
    def __init__(self, subscription: Subscription | AsyncSubscription) -> None:
        self.subscription = subscription

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if isinstance(self.subscription, AsyncSubscription):
            return await anext(self.subscription)
        value = await asyncio.to_thread(next, self.subscription, _OVER)
        if value is _OVER:
            raise StopAsyncIteration
        return value

    async def until(self, is_wanted: Callable[[Any], bool]) -> list[Any]:
        """Every value up to the first that is wanted."""
        values = [await anext(self)]
        while not is_wanted(values[-1]):
            values.append(await anext(self))
        return values

    async def close(self) -> None:
        if isinstance(self.subscription, AsyncSubscription):
            await self.subscription.close()
        else:
            await asyncio.to_thread(self.subscription.close)


Open: TypeAlias = Callable[..., AnyClient]


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@pytest.fixture
async def open_client(kind: Kind) -> AsyncIterator[Open]:
    """`open_client(url, ...)`: a client of either kind, until the test is over."""
    async with AsyncExitStack() as clients:

        def open_one(url: str, **options: Any) -> AnyClient:
            client = AnyClient(HubClient(url, **options) if kind == "sync" else AsyncHubClient(url, **options))
            clients.push_async_callback(client.close)
            return client

        yield open_one
