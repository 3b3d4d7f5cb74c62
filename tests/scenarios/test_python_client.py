"""The published Python client (PyPI `convex`): live over the WebSocket, and one call over HTTP."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.conftest import Conversation, contents, shows
from tests.scenarios.hub_process import HubProcess
from tests.scenarios.proxy import proxy_to
from tests.scenarios.scripts import ClientError, Script, running

pytestmark = pytest.mark.real
SCRIPT = Path(__file__).with_name("pypi_client.py")


def python(address: str, what: str, function: str, args: Mapping[str, Any], *token: str) -> AbstractAsyncContextManager[Script]:
    return running(Script, sys.executable, str(SCRIPT), address, what, function, json.dumps(args), *token)


async def call(address: str, what: str, function: str, args: Mapping[str, Any], *token: str) -> Any:
    async with python(address, what, function, args, *token) as script:
        event = await script.event(lambda event: event["event"] in {"done", "failed"})
        if event["event"] == "failed":
            raise ClientError(event)
        return event["value"]


async def shown(script: Script, *expected: str) -> list[dict[str, Any]]:
    event = await script.event(lambda event: event["event"] == "update" and shows(*expected)(event["value"]))
    rows: list[dict[str, Any]] = event["value"]
    return rows


async def test_a_message_sent_from_python_appears_in_python(hub: HubProcess, chat: Conversation) -> None:
    async with python(hub.url, "watch", "messages:list", chat.owned) as watcher:
        await shown(watcher)

        sent = await call(hub.url, "mutation", "messages:send", chat.message("hello from Python"))

        (row,) = await shown(watcher, "hello from Python")
        assert row["_id"] == sent["userMessageId"]


async def test_one_query_answers(hub: HubProcess, chat: Conversation) -> None:
    hub.mutation("messages:send", chat.message("hello"))

    assert contents(await call(hub.url, "query", "messages:list", {**chat.owned, "limit": 5})) == ["hello"]


@pytest.mark.parametrize("what", ["mutation", "http-mutation"])
async def test_an_application_error_arrives_with_its_data(what: str, hub: HubProcess, chat: Conversation) -> None:
    with pytest.raises(ClientError) as failed:
        await call(hub.url, what, "chats:rename", {**chat.owned, "chatId": "nope", "title": "T"})

    assert failed.value.data == {"code": "CHAT_NOT_FOUND", "chatId": "nope"}


@pytest.mark.parametrize("what", ["query", "mutation", "action", "http-query", "http-mutation"])
async def test_an_unknown_function_is_a_plain_error(what: str, hub: HubProcess) -> None:
    with pytest.raises(ClientError) as failed:
        await call(hub.url, what, "messages:nope", {})

    assert not failed.value.is_convex_error


async def test_calls_over_http(hub: HubProcess, chat: Conversation) -> None:
    sent = await call(hub.url, "http-mutation", "messages:send", chat.message("over http"))

    (row,) = await call(hub.url, "http-query", "messages:list", chat.owned)

    assert (row["_id"], row["content"]) == (sent["userMessageId"], "over http")


async def test_an_end_user_with_a_token(hub: HubProcess, chat: Conversation) -> None:
    token = hub.token(chat.external_id)

    assert (await call(hub.url, "query", "users:me", {}, token))["_id"] == chat.user_id
    assert (await call(hub.url, "http-query", "users:me", {}, token))["_id"] == chat.user_id


async def test_a_watcher_that_was_cut_off_shows_what_it_missed(hub: HubProcess, chat: Conversation) -> None:
    async with proxy_to(hub.port) as proxy, python(proxy.url, "watch", "messages:list", chat.owned) as watcher:
        await shown(watcher)
        proxy.accepting = False
        proxy.cut()
        hub.mutation("messages:send", chat.message("while you were away"))
        proxy.accepting = True

        await shown(watcher, "while you were away")
