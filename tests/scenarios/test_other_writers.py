"""Other programs in the same database: what they write is pushed, and what they wrote before is served."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from tests.scenarios.conftest import Connect, Conversation, shows
from tests.scenarios.hub_process import HubProcess

pytestmark = pytest.mark.real
Rows = Database[dict[str, Any]]


@pytest.fixture
def outsider(hub: HubProcess) -> Iterator[Rows]:
    """Another program that writes into the same database."""
    with MongoClient[dict[str, Any]](hub.database_url) as client:
        yield client.get_default_database()


def imported(chat: Conversation, count: int) -> list[dict[str, Any]]:
    """Messages as a script would bring them along."""
    fields = {"chatId": chat.chat_id, "userId": chat.user_id, "role": "user", "status": "complete", "updatedAt": 1.0}
    return [{"_id": f"{chat.chat_id}-{n}", "content": str(n), "createdAt": 1.0 + n // 10, **fields} for n in range(count)]


async def test_what_another_program_writes_is_pushed_too(connect: Connect, chat: Conversation, outsider: Rows) -> None:
    client = await connect()
    client.subscribe("list", "messages:list", chat.owned)
    await client.value("list")
    await client.mutation("messages:send", chat.message("ours"))

    outsider["messages"].update_one({"chatId": chat.chat_id}, {"$set": {"content": "changed behind its back"}})
    await client.value("list", shows("changed behind its back"))
    changed = len(client.events)
    outsider["messages"].delete_many({"chatId": chat.chat_id})

    await client.value("list", shows(), after=changed)


async def test_a_chat_with_more_messages_than_a_transaction_may_write_goes_in_several_calls(
    connect: Connect, hub: HubProcess, chat: Conversation, outsider: Rows
) -> None:
    outsider["messages"].insert_many(imported(chat, 16_100))
    client = await connect()
    client.subscribe("list", "messages:list", {**chat.owned, "limit": 1})
    await client.value("list", shows("16099"))
    start = time.monotonic()

    assert await client.mutation("chats:remove", chat.owned) == {"removed": 16_000, "done": False}
    assert await client.mutation("chats:remove", chat.owned) == {"removed": 100, "done": True}

    assert (await client.failure("list")).data == {"code": "CHAT_NOT_FOUND", "chatId": chat.chat_id}
    assert outsider["messages"].count_documents({"chatId": chat.chat_id}) == 0
    assert time.monotonic() - start < 30
