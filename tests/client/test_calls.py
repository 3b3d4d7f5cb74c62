"""Queries and mutations against a real hub."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from hub.client import ApplicationError, ArgumentValidation, FunctionNotFound, HubClient, RequestMismatch, Timeouts, Unauthorized
from hub.errors import BadRequest, NotCaughtUp
from tests.client.conftest import Open
from tests.scenarios.conftest import Conversation, contents
from tests.scenarios.hub_process import HubProcess
from tests.scenarios.proxy import proxy_to

pytestmark = pytest.mark.real


async def test_what_was_written_is_read(open_client: Open, hub: HubProcess, chat: Conversation) -> None:
    client = open_client(hub.url)

    sent = await client.mutation("messages:send", chat.message("hello"))
    (row,) = await client.query("messages:list", {**chat.owned, "limit": 5})

    assert (row["_id"], row["content"]) == (sent["userMessageId"], "hello")
    assert isinstance(row["_creationTime"], float)


async def test_arguments_may_be_named(hub: HubProcess, chat: Conversation) -> None:
    def call() -> Any:
        with HubClient(hub.url) as client:
            return client.query("chats:get", userId=chat.user_id, chatId=chat.chat_id)

    assert (await asyncio.to_thread(call))["_id"] == chat.chat_id


async def test_another_service_reads_what_was_written(open_client: Open, hub: HubProcess, chat: Conversation) -> None:
    writer, reader = open_client(hub.url), open_client(hub.url)
    assert writer.client.last_ts is None
    await writer.mutation("messages:send", chat.message("hello"))

    rows = await reader.query("messages:list", chat.owned, min_ts=writer.client.last_ts)

    assert contents(rows) == ["hello"]
    assert reader.client.last_ts is not None


async def test_a_minimum_that_never_comes_is_an_error_in_time(open_client: Open, hub: HubProcess) -> None:
    client = open_client(hub.url, timeouts=Timeouts(deadline_s=0.5))

    with pytest.raises((BadRequest, NotCaughtUp)):
        await client.query("users:me", min_ts="/////////38=")
    with pytest.raises(BadRequest):
        await client.query("users:me", min_ts="yesterday")


async def test_an_application_error_arrives_with_its_data(open_client: Open, hub: HubProcess, chat: Conversation) -> None:
    with pytest.raises(ApplicationError) as failed:
        await open_client(hub.url).mutation("chats:rename", {**chat.owned, "chatId": "nope", "title": "T"})

    assert failed.value.data == {"code": "CHAT_NOT_FOUND", "chatId": "nope"}


async def test_errors_have_types(open_client: Open, hub: HubProcess) -> None:
    client = open_client(hub.url)

    with pytest.raises(FunctionNotFound):
        await client.query("chat:list")
    with pytest.raises(ArgumentValidation, match="limit"):
        await client.query("chats:list", {"limit": "many"})
    with pytest.raises(BadRequest, match=r"limit: .*object"):
        await client.query("chats:list", {"limit": object()})


async def test_a_key_belongs_to_one_call(open_client: Open, hub: HubProcess, chat: Conversation) -> None:
    client, key = open_client(hub.url), str(uuid.uuid4())
    first = await client.mutation("messages:send", chat.message("once"), idempotency_key=key)

    assert await client.mutation("messages:send", chat.message("once"), idempotency_key=key) == first
    with pytest.raises(RequestMismatch):
        await client.mutation("messages:send", chat.message("twice"), idempotency_key=key)
    assert contents(await client.query("messages:list", chat.owned)) == ["once"]


async def test_a_mutation_whose_answer_is_lost_is_applied_once(open_client: Open, hub: HubProcess, chat: Conversation) -> None:
    async with proxy_to(hub.port) as proxy:
        client, witness = open_client(proxy.url), open_client(hub.url)
        screen = witness.subscribe("messages:list", chat.owned)
        await anext(screen)
        proxy.answers.clear()
        sending = asyncio.create_task(client.mutation("messages:send", chat.message("once")))
        await screen.until(lambda rows: contents(rows) == ["once"])  # it is committed, and the client cannot know
        proxy.cut()
        proxy.answers.set()

        sent = await sending

    assert [row["_id"] for row in await witness.query("messages:list", chat.owned)] == [sent["userMessageId"]]


async def test_a_token_says_who_calls(open_client: Open, hub: HubProcess, chat: Conversation) -> None:
    client = open_client(hub.url, token=hub.token(chat.external_id))

    assert (await client.query("users:me"))["_id"] == chat.user_id


async def test_a_refused_token_is_fetched_anew_once_for_all_calls(open_client: Open, hub: HubProcess, chat: Conversation) -> None:
    asked: list[bool] = []

    def fetch(refresh: bool) -> str:
        asked.append(refresh)
        return hub.token(chat.external_id) if refresh else "not.a.token"

    client = open_client(hub.url, token=fetch)

    found = await asyncio.gather(*(client.query("users:me") for _ in range(5)))

    assert [user["_id"] for user in found] == [chat.user_id] * 5
    assert asked == [False, True]


async def test_a_token_that_stays_bad_is_unauthorized(open_client: Open, hub: HubProcess) -> None:
    with pytest.raises(Unauthorized):
        await open_client(hub.url, token="not.a.token").query("users:me")
    with pytest.raises(Unauthorized):
        await open_client(hub.url, token=lambda refresh: "not.a.token").mutation("users:ensure", {"externalId": "x"})
    with pytest.raises(Unauthorized):
        await open_client(hub.url, service_key="not the key").query("users:me")
