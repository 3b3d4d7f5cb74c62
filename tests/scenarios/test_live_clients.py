"""The published `ConvexClient`: subscriptions, mutations, optimistic updates, errors."""

from __future__ import annotations

import uuid

import pytest

from tests.scenarios.conftest import Connect, Conversation, contents, shows
from tests.scenarios.hub_process import HubProcess
from tests.scenarios.js_client import NEWEST, VERSIONS
from tests.scenarios.scripts import ClientError

pytestmark = pytest.mark.real
OPTIMISTIC_VERSIONS = [version for version in VERSIONS if version != "1.17.0"]  # `ConvexClient` has them from 1.24.5 on


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_message_sent_by_one_client_appears_in_another(version: str, connect: Connect, chat: Conversation) -> None:
    reader, writer = await connect(version), await connect(NEWEST)
    reader.subscribe("list", "messages:list", chat.owned)
    assert await reader.value("list") == []

    await writer.mutation("messages:send", chat.message("hello"))

    (row,) = await reader.value("list", shows("hello"))
    assert (row["role"], row["status"], row["chatId"], row["userId"]) == ("user", "complete", chat.chat_id, chat.user_id)
    assert isinstance(row["_id"], str)
    assert isinstance(row["_creationTime"], int | float)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_mutation_resolves_only_after_its_rows_are_shown(version: str, connect: Connect, chat: Conversation) -> None:
    client = await connect(version)
    client.subscribe("list", "messages:list", chat.owned)
    await client.value("list")

    for number in range(10):
        screen = await client.screen_after("messages:send", chat.message(f"message {number}"))
        assert contents(screen["list"])[-1] == f"message {number}"


@pytest.mark.parametrize("version", OPTIMISTIC_VERSIONS)
async def test_an_optimistic_row_and_the_real_one_are_never_shown_together(
    version: str, connect: Connect, chat: Conversation
) -> None:
    client = await connect(version)
    client.subscribe("list", "messages:list", chat.owned)
    await client.value("list")
    sent: list[str] = []

    for number in range(10):
        content = f"message {number}"
        row = {"_id": "optimistic", "content": content}
        call = client.start_mutation(
            "messages:send", chat.message(content), {"path": "messages:list", "args": chat.owned, "row": row}
        )
        sent.append(content)
        await client.finish(call)

    await client.value("list", lambda rows: contents(rows) == sent and rows[-1]["_id"] != "optimistic")
    shown = client.values("list")
    assert any(rows and rows[-1]["_id"] == "optimistic" for rows in shown), "the optimistic row was never shown"
    assert [contents(rows) for rows in shown if len(set(contents(rows))) != len(rows)] == []


async def test_a_failed_mutation_takes_its_optimistic_row_back(connect: Connect, chat: Conversation) -> None:
    client = await connect()
    client.subscribe("list", "messages:list", chat.owned)
    await client.value("list")
    wrong = {**chat.message("never"), "chatId": "nope"}

    optimistic = {"path": "messages:list", "args": chat.owned, "row": {"_id": "optimistic", "content": "never"}}
    with pytest.raises(ClientError):
        await client.finish(client.start_mutation("messages:send", wrong, optimistic))

    shown = await client.event(lambda event: event["event"] == "update" and shows("never")(event["value"]))
    await client.value("list", shows(), after=client.events.index(shown))


async def test_mutations_of_one_client_run_in_the_order_sent(connect: Connect, chat: Conversation) -> None:
    client = await connect()
    calls = [client.start_mutation("messages:send", chat.message(str(number))) for number in range(30)]
    for call in calls:
        await client.finish(call)

    rows = await client.query("messages:list", chat.owned)

    assert contents(rows) == [str(number) for number in range(30)]


async def test_queries_that_one_commit_touches_change_together(connect: Connect, chat: Conversation) -> None:
    client = await connect()
    client.subscribe("messages", "messages:list", chat.owned)
    client.subscribe("chats", "chats:list", {"userId": chat.user_id})
    await client.value("messages")
    await client.value("chats")
    screen = await client.screen_after("messages:send", chat.message("hello"))

    (message,), (shown,) = screen["messages"], screen["chats"]
    assert shown["lastMessageAt"] == shown["updatedAt"] == message["createdAt"]
    names = [event["name"] for event in client.events if event["event"] == "update"]
    assert sorted(names[-2:]) == ["chats", "messages"]


async def test_an_application_error_arrives_with_its_data(connect: Connect, chat: Conversation) -> None:
    client = await connect()
    expected = {"code": "CHAT_NOT_FOUND", "chatId": "nope"}

    with pytest.raises(ClientError) as failed:
        await client.mutation("messages:send", {**chat.message("x"), "chatId": "nope"})
    assert failed.value.data == expected

    client.subscribe("list", "messages:list", {**chat.owned, "chatId": "nope"})
    assert (await client.failure("list")).data == expected


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_unknown_function_is_a_plain_error_and_the_client_goes_on(
    version: str, connect: Connect, chat: Conversation
) -> None:
    client = await connect(version)

    with pytest.raises(ClientError, match="Could not find public function for 'messages:nope'") as failed:
        await client.mutation("messages:nope", {})
    assert not failed.value.is_convex_error
    client.subscribe("nope", "messages:nope", {})
    assert "Could not find public function for 'messages:nope'" in str(await client.failure("nope"))
    with pytest.raises(ClientError):
        await client.action("messages:act", {})

    await client.mutation("messages:send", chat.message("still here"))
    assert contents(await client.query("messages:list", chat.owned)) == ["still here"]


async def test_arguments_that_do_not_fit_are_refused_by_name(connect: Connect, chat: Conversation) -> None:
    client = await connect()

    with pytest.raises(ClientError, match="title") as failed:
        await client.mutation("chats:create", {"userId": chat.user_id, "title": 5})
    assert not failed.value.is_convex_error
    with pytest.raises(ClientError, match="surprise"):
        await client.mutation("chats:create", {"userId": chat.user_id, "title": "T", "surprise": 1})


async def test_a_query_that_failed_recovers_when_its_rows_change(connect: Connect, hub: HubProcess) -> None:
    client = await connect()
    external_id = f"user-{uuid.uuid4()}"
    token = hub.token(external_id)
    client.set_auth(token)
    client.subscribe("chats", "chats:list", {})
    assert (await client.failure("chats")).data == {"code": "USER_NOT_FOUND"}

    await client.mutation("users:ensure", {"externalId": external_id})

    assert await client.value("chats") == []


async def test_a_closed_subscription_is_not_updated_any_more(connect: Connect, chat: Conversation) -> None:
    client = await connect()
    client.subscribe("gone", "messages:list", {**chat.owned, "limit": 5})
    client.subscribe("kept", "messages:list", chat.owned)
    await client.value("gone")
    client.unsubscribe("gone")

    await client.mutation("messages:send", chat.message("hello"))

    await client.value("kept", shows("hello"))
    assert client.values("gone") == [[]]


async def test_a_reply_is_shown_as_it_is_streamed_in(connect: Connect, chat: Conversation) -> None:
    reader, writer = await connect(), await connect()
    reader.subscribe("list", "messages:list", chat.owned)
    reply = {**chat.owned, "clientMessageId": "reply", "role": "assistant"}
    text = ""

    for word in ("Once ", "upon ", "a ", "time"):
        text += word
        await writer.mutation("messages:streamUpsert", {**reply, "content": text, "status": "streaming"})
        await reader.value("list", shows(text))
    await writer.mutation("messages:streamUpsert", {**reply, "content": text, "status": "complete"})

    await reader.value("list", lambda rows: bool(rows) and rows[0]["status"] == "complete")
    lengths = [len(rows[0]["content"]) for rows in reader.values("list") if rows]
    assert lengths == sorted(lengths), "a shown reply became shorter"
