"""`hubTransport` under the published clients: everything that they do over the stock protocol, over ours and over a fallback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.scenarios.conftest import Connect, Conversation, contents, shows
from tests.scenarios.hub_process import HubProcess
from tests.scenarios.js_client import NEWEST, OLDEST
from tests.scenarios.proxy import Proxy, proxy_to

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("hub_client")]

VERSIONS = (OLDEST, NEWEST)
FORMATS = ("stock",)


@pytest.fixture
async def proxy(hub: HubProcess) -> AsyncIterator[Proxy]:
    async with proxy_to(hub.port) as proxy:
        yield proxy


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("wire", FORMATS)
async def test_a_client_over_it_shows_and_writes_as_ever(version: str, wire: str, connect: Connect, chat: Conversation) -> None:
    client = await connect(version, transport={"format": wire})
    client.subscribe("list", "messages:list", chat.owned)
    await client.value("list", shows())

    screen = await client.screen_after("messages:send", chat.message("hello 😀"))

    assert contents(screen["list"]) == ["hello 😀"]
    assert client.values("list") == [[], screen["list"]]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("wire", FORMATS)
async def test_a_client_over_it_that_is_cut_off_loses_nothing_and_repeats_nothing(
    version: str, wire: str, connect: Connect, proxy: Proxy, chat: Conversation
) -> None:
    client = await connect(version, proxy.url, transport={"format": wire})
    client.subscribe("list", "messages:list", chat.owned)
    await client.value("list")
    sent = [str(number) for number in range(9)]

    for number, content in enumerate(sent):
        call = client.start_mutation("messages:send", chat.message(content))
        if number % 3 == 1:
            proxy.cut()
        await client.finish(call)

    await client.value("list", shows(*sent))
    shown = [contents(rows) for rows in client.values("list")]
    assert all(rows == sent[: len(rows)] for rows in shown), "a screen showed rows twice, or out of order"


@pytest.mark.parametrize("wire", FORMATS)
async def test_a_query_that_is_kept_warm_is_shown_without_asking_the_hub(
    wire: str, connect: Connect, proxy: Proxy, chat: Conversation
) -> None:
    client, witness = await connect(NEWEST, proxy.url, transport={"format": wire}), await connect(NEWEST)
    client.subscribe("chats", "chats:list", {"userId": chat.user_id})
    await client.value("chats")
    await client.prefetch("messages:list", chat.owned, ttl_ms=60_000)
    await witness.mutation("messages:send", chat.message("while nobody looked"))
    await client.mutation("messages:send", chat.message("mine"))  # the client has seen what came before it

    proxy.answers.clear()  # from now on the hub says nothing
    client.subscribe("list", "messages:list", chat.owned)

    assert contents(await client.value("list")) == ["while nobody looked", "mine"]


async def test_a_server_without_the_native_format_is_spoken_to_in_the_stock_one(
    connect: Connect, hub: HubProcess, chat: Conversation, hub_client: Path
) -> None:
    client = await connect(NEWEST, transport={"format": "stock"})
    client.subscribe("list", "messages:list", chat.owned)

    await client.value("list", shows())

    assert await client.wire_format() == ""
