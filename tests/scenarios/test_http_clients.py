"""The published `ConvexHttpClient`: one call, one answer."""

from __future__ import annotations

import pytest

from tests.scenarios.conftest import Connect, Conversation, contents, shows
from tests.scenarios.js_client import VERSIONS
from tests.scenarios.scripts import ClientError

pytestmark = pytest.mark.real


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_mutation_over_http_is_seen_by_the_next_query(version: str, connect: Connect, chat: Conversation) -> None:
    client = await connect(version)

    sent = await client.http("mutation", "messages:send", chat.message("hello"))
    (row,) = await client.http("query", "messages:list", chat.owned)

    assert (row["_id"], row["content"]) == (sent["userMessageId"], "hello")


async def test_a_consistent_query_sees_what_was_acknowledged(connect: Connect, chat: Conversation) -> None:
    client = await connect()
    await client.http("mutation", "messages:send", chat.message("hello"))

    assert contents(await client.http("consistentQuery", "messages:list", chat.owned)) == ["hello"]


async def test_a_mutation_over_http_is_pushed_to_subscribers(connect: Connect, chat: Conversation) -> None:
    reader, writer = await connect(), await connect()
    reader.subscribe("list", "messages:list", chat.owned)
    await reader.value("list")

    await writer.http("mutation", "messages:send", chat.message("over http"))

    await reader.value("list", shows("over http"))


async def test_an_application_error_over_http_carries_its_data(connect: Connect, chat: Conversation) -> None:
    client = await connect()

    with pytest.raises(ClientError) as failed:
        await client.http("query", "chats:get", {**chat.owned, "chatId": "nope"})

    assert failed.value.data == {"code": "CHAT_NOT_FOUND", "chatId": "nope"}


async def test_an_action_is_answered_with_a_clear_error(connect: Connect) -> None:
    client = await connect()

    with pytest.raises(ClientError, match=r"(?i)action"):
        await client.http("action", "messages:summarize", {})


async def test_a_bad_token_over_http_is_refused(connect: Connect, chat: Conversation) -> None:
    client = await connect()
    await client.set_http_auth("not a token")

    with pytest.raises(ClientError, match=r"Unauthorized|InvalidAuth|token"):
        await client.http("query", "chats:list", {"userId": chat.user_id})
