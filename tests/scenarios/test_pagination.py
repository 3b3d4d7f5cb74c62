"""Paginated queries in the published clients: pages stay subscribed, and stay gapless while rows come and go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.scenarios.conftest import Connect, Conversation, contents
from tests.scenarios.hub_process import HubProcess
from tests.scenarios.js_client import react_pages
from tests.scenarios.proxy import proxy_to
from tests.scenarios.scripts import Event

pytestmark = pytest.mark.real
REACT_VERSIONS = ("1.17.0", "1.48.0")


def fill(hub: HubProcess, chat: Conversation, count: int) -> None:
    for number in range(count):
        hub.mutation("messages:send", chat.message(str(number), createdAt=1_000.0 + number))


def showing(expected: list[str], status: str) -> Callable[[Event], bool]:
    return lambda event: event["event"] == "page" and event["status"] == status and contents(event["rows"]) == expected


def newest_first(count: int, of: int) -> list[str]:
    return [str(number) for number in range(of - 1, of - 1 - count, -1)]


@pytest.mark.parametrize("version", REACT_VERSIONS)
async def test_the_react_hook_loads_page_after_page(version: str, node: str, hub: HubProcess, chat: Conversation) -> None:
    fill(hub, chat, 7)
    async with react_pages(node, hub.url, "messages:page", chat.owned, 3, version) as pages:
        await pages.event(showing(newest_first(3, 7), "CanLoadMore"))

        pages.write("3")
        await pages.event(showing(newest_first(6, 7), "CanLoadMore"))
        pages.write("3")

        await pages.event(showing(newest_first(7, 7), "Exhausted"))


@pytest.mark.parametrize("version", REACT_VERSIONS)
async def test_pages_stay_gapless_while_rows_come_and_go(version: str, node: str, hub: HubProcess, chat: Conversation) -> None:
    fill(hub, chat, 7)
    async with react_pages(node, hub.url, "messages:page", chat.owned, 3, version) as pages:
        await pages.event(showing(newest_first(3, 7), "CanLoadMore"))
        pages.write("3")
        await pages.event(showing(newest_first(6, 7), "CanLoadMore"))

        hub.mutation("messages:send", chat.message("newest", createdAt=2_000.0))
        await pages.event(showing(["newest", *newest_first(6, 7)], "CanLoadMore"))
        hub.mutation("messages:send", chat.message("between", createdAt=1_003.5))  # on the border of the two pages
        await pages.event(showing(["newest", "6", "5", "4", "between", "3", "2", "1"], "CanLoadMore"))

        for event in pages.events:
            if event["event"] == "page":
                assert len(set(contents(event["rows"]))) == len(event["rows"]), "a row was shown twice"


async def test_the_last_page_grows(connect: Any, hub: HubProcess, chat: Conversation) -> None:
    fill(hub, chat, 2)
    client = await connect()
    client.paginate("pages", "messages:page", {**chat.owned, "order": "asc"}, 5)
    await client.page(showing(["0", "1"], "Exhausted"))

    hub.mutation("messages:send", chat.message("2", createdAt=5_000.0))

    await client.page(showing(["0", "1", "2"], "Exhausted"))


async def test_pages_of_the_plain_client_keep_their_borders_over_a_reconnect(
    connect: Connect, hub: HubProcess, chat: Conversation
) -> None:
    fill(hub, chat, 6)
    async with proxy_to(hub.port) as proxy:
        client = await connect(address=proxy.url)
        client.paginate("pages", "messages:page", chat.owned, 2)
        await client.page(showing(["5", "4"], "CanLoadMore"))
        client.load_more("pages", 2)
        await client.page(showing(["5", "4", "3", "2"], "CanLoadMore"))
        proxy.accepting = False
        proxy.cut()
        hub.mutation("messages:send", chat.message("6", createdAt=9_000.0))
        proxy.accepting = True

        await client.page(showing(["6", "5", "4", "3", "2"], "CanLoadMore"))


async def test_chats_are_paged_newest_first(connect: Connect, hub: HubProcess, chat: Conversation) -> None:
    for number in range(4):
        hub.mutation("chats:create", {"userId": chat.user_id, "title": str(number)})
    client = await connect()

    client.paginate("pages", "chats:page", {"userId": chat.user_id}, 3)
    await client.page(lambda event: [row["title"] for row in event["rows"]] == ["3", "2", "1"])
    client.load_more("pages", 3)

    await client.page(
        lambda event: event["status"] == "Exhausted" and [row["title"] for row in event["rows"]] == ["3", "2", "1", "0", "A chat"]
    )
