"""End users with tokens: personal queries, a change of identity on a live socket, expiry, bad tokens."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import websockets

from hub.mongo.embedded import MongodBinary
from tests.scenarios.conftest import Connect, Conversation, contents, converse, shows
from tests.scenarios.hub_process import HubProcess
from tests.scenarios.js_client import VERSIONS
from tests.scenarios.scripts import ClientError

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def hub(mongod_binary: MongodBinary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub that lets no token live longer than it says."""
    with HubProcess(tmp_path_factory.mktemp("hub"), environment={"HUB_AUTH_LEEWAY_S": "0"}) as hub:
        yield hub


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_end_user_sees_their_own_chats_and_nobody_elses(version: str, connect: Connect, hub: HubProcess) -> None:
    ann, bob = converse(hub, "Ann's"), converse(hub, "Bob's")
    client = await connect(version)
    client.set_auth(hub.token(ann.external_id))
    client.subscribe("chats", "chats:list", {})
    await client.authenticated(True)

    assert [row["title"] for row in await client.value("chats", bool)] == ["Ann's"]
    with pytest.raises(ClientError) as failed:
        await client.query("chats:list", {"userId": bob.user_id})
    assert failed.value.data == {"code": "FORBIDDEN"}
    with pytest.raises(ClientError) as failed:
        await client.query("messages:list", {"chatId": bob.chat_id})
    assert failed.value.data == {"code": "CHAT_NOT_FOUND", "chatId": bob.chat_id}


async def test_a_change_of_identity_changes_what_a_live_query_shows(connect: Connect, hub: HubProcess) -> None:
    ann, bob = converse(hub, "Ann's"), converse(hub, "Bob's")
    client = await connect()
    client.set_auth(hub.token(ann.external_id))
    client.subscribe("me", "users:me", {})
    await client.value("me", lambda row: row is not None and row["externalId"] == ann.external_id)

    client.set_auth(hub.token(bob.external_id))

    await client.value("me", lambda row: row is not None and row["externalId"] == bob.external_id)


async def test_two_users_on_the_same_query_never_see_each_others_result(connect: Connect, hub: HubProcess) -> None:
    people = [converse(hub, f"Chat {number}") for number in range(3)]
    clients = [await connect() for _ in people]
    for client, person in zip(clients, people, strict=True):
        client.set_auth(hub.token(person.external_id))
        client.subscribe("chats", "chats:list", {})

    for number, (client, person) in enumerate(zip(clients, people, strict=True)):
        await client.value("chats", lambda rows: len(rows) == 1)
        await client.mutation("chats:rename", {"chatId": person.chat_id, "title": f"Renamed {number}"})

    for number, client in enumerate(clients):
        await client.value("chats", titled(f"Renamed {number}"))
        seen = {row["title"] for rows in client.values("chats") for row in rows}
        assert seen <= {f"Chat {number}", f"Renamed {number}"}


async def test_a_token_that_expires_is_replaced_and_queries_go_on(connect: Connect, hub: HubProcess, chat: Conversation) -> None:
    client, writer = await connect(), await connect()
    short, fresh = hub.token(chat.external_id, expires_s=2), hub.token(chat.external_id)
    client.set_auth(short, short, fresh)  # the client fetches twice at the start, and again when the server says it expired
    client.subscribe("list", "messages:list", {"chatId": chat.chat_id})
    await client.value("list")

    await client.event(lambda event: event["event"] == "token", after=_tokens_asked(client.events, 2))
    await writer.mutation("messages:send", chat.message("after the expiry"))

    await client.value("list", shows("after the expiry"))


async def test_the_hub_itself_ends_a_session_whose_token_expired(hub: HubProcess, chat: Conversation) -> None:
    token = hub.token(chat.external_id, expires_s=1)
    connect = {"type": "Connect", "sessionId": str(uuid.uuid4()), "connectionCount": 0, "lastCloseReason": "InitialConnect"}
    authenticate = {"type": "Authenticate", "baseVersion": 0, "tokenType": "User", "value": token}

    async with websockets.connect(f"ws://127.0.0.1:{hub.port}/api/1.48.0/sync") as socket:
        for message in (connect, authenticate):
            await socket.send(json.dumps(message))
        frames = [json.loads(frame) async for frame in socket]  # until it is closed

    accepted, expired = (frame for frame in frames if frame["type"] != "Ping")
    assert (accepted["type"], accepted["endVersion"]["identity"]) == ("Transition", 1)
    assert (expired["type"], expired["baseVersion"], expired["authUpdateAttempted"]) == ("AuthError", 1, False)


async def test_a_bad_token_is_refused_until_the_client_gives_up(connect: Connect) -> None:
    client = await connect()
    client.set_auth("not.a.token")

    await client.authenticated(False)

    assert sum(event["event"] == "token" for event in client.events) >= 2


async def test_a_user_without_a_row_ensures_it_and_goes_on(connect: Connect, hub: HubProcess) -> None:
    client = await connect()
    external_id = f"new-{uuid.uuid4()}"
    client.set_auth(hub.token(external_id))
    client.subscribe("me", "users:me", {})
    assert await client.value("me") is None

    ensured = await client.mutation("users:ensure", {"externalId": external_id, "name": "New"})

    assert (await client.value("me", lambda row: row is not None))["_id"] == ensured["userId"]
    chat_id = (await client.mutation("chats:create", {"title": "First"}))["chatId"]
    await client.mutation("messages:send", {"chatId": chat_id, "userMessage": {"content": "hi"}})
    assert contents(await client.query("messages:list", {"chatId": chat_id})) == ["hi"]


def titled(*titles: str) -> Callable[[list[dict[str, Any]]], bool]:
    return lambda rows: [row["title"] for row in rows] == list(titles)


def _tokens_asked(events: list[dict[str, object]], count: int) -> int:
    """Index after the `count`-th time the client asked for a token."""
    asked = [index for index, event in enumerate(events) if event["event"] == "token"]
    return asked[count - 1] + 1 if len(asked) >= count else len(events)
