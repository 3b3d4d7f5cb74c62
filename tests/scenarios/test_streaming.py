"""A long reply, token by token: what a token costs does not depend on how long the reply is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import bson
import pytest
from pymongo import MongoClient

from hub.client import AsyncHubClient
from tests.scenarios.conftest import Connect, Conversation, shows
from tests.scenarios.hub_process import HubProcess

pytestmark = pytest.mark.real
LONG = "0123456789" * 2_000
TOKEN_BYTES = 1_000
"""What the change event of a token of three characters may have at 20 kB; it has about 500."""
COMMAND_BYTES = 8_000
"""All that MongoDB may receive for such a token, transaction and feed; it is about 3,000."""


@pytest.fixture
def database(hub: HubProcess) -> Iterator[MongoClient[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](hub.database_url) as client:
        yield client


async def test_a_token_at_20_kb_is_a_small_command_and_a_small_event(
    hub: HubProcess, chat: Conversation, database: MongoClient[dict[str, Any]]
) -> None:
    messages = database.get_default_database()["messages"]

    def received() -> int:
        bytes_in: int = database.admin.command("serverStatus")["network"]["bytesIn"]
        return bytes_in

    reply = {**chat.owned, "role": "assistant", "clientMessageId": "r1", "status": "streaming"}
    async with AsyncHubClient(hub.url) as client:
        await client.mutation("messages:streamUpsert", {**reply, "delta": LONG, "offset": 0})
        with messages.watch(show_expanded_events=True) as stream:
            before = received()
            for n in range(10):
                await client.mutation("messages:streamUpsert", {**reply, "delta": "abc", "offset": len(LONG) + 3 * n})
            taken = received() - before
            events = [await asyncio.to_thread(stream.next) for _ in range(10)]

        sizes = [len(bson.encode(event)) for event in events]
        assert max(sizes) < TOKEN_BYTES, sizes
        assert taken / 10 < COMMAND_BYTES
        (row,) = messages.find({"chatId": chat.chat_id})
        assert (row["content"], row["contentParts"]) == (LONG, ["abc"] * 10)

        await client.mutation("messages:streamUpsert", {**reply, "delta": "", "offset": 0, "status": "complete"})

    (row,) = messages.find({"chatId": chat.chat_id})
    assert (row["content"], "contentParts" in row) == (LONG + "abc" * 10, False)


async def test_a_published_client_sees_the_text_grow_as_one(connect: Connect, hub: HubProcess, chat: Conversation) -> None:
    viewer = await connect()
    viewer.subscribe("list", "messages:list", chat.owned)
    viewer.subscribe("page", "messages:page", {**chat.owned, "paginationOpts": {"numItems": 5, "cursor": None, "id": 1}})
    await viewer.value("list")
    async with AsyncHubClient(hub.url) as client:
        reply = {**chat.owned, "role": "assistant", "clientMessageId": "r1"}
        async with client.stream_text("messages:streamUpsert", reply) as text:
            for n in range(100):
                await text.write(f"\U0001f600{n} ")
                if n % 25 == 0:
                    await asyncio.sleep(0.06)  # so that the text is written in several pieces
        whole = "".join(f"\U0001f600{n} " for n in range(100))

    (row,) = await viewer.value("list", shows(whole))
    assert "contentParts" not in row
    page = await viewer.value("page", lambda page: [found["content"] for found in page["page"]] == [whole])
    assert page["page"] == [row]
