"""`messages:list`, `messages:page` and `messages:send`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.chat.conftest import Person, Refused, WallClock


@pytest.fixture
async def chat_id(ann: Person) -> str:
    return await ann.new_chat()


def contents(rows: list[dict[str, Any]]) -> list[str]:
    return [row["content"] for row in rows]


async def test_a_sent_message_is_complete_and_stamps_its_chat(ann: Person, chat_id: str, clock: WallClock) -> None:
    now = clock.advance()

    message_id = await ann.say(chat_id, "hello", clientMessageId="c1")

    (row,) = await ann.messages(chat_id)
    assert row.pop("_creationTime") >= now
    assert row == {
        "_id": message_id,
        "chatId": chat_id,
        "userId": ann.user_id,
        "role": "user",
        "content": "hello",
        "status": "complete",
        "clientMessageId": "c1",
        "createdAt": now,
        "updatedAt": now,
    }
    chat = await ann.query("chats:get", chatId=chat_id)
    assert (chat["updatedAt"], chat["lastMessageAt"]) == (now, now)


async def test_the_list_has_the_newest_messages_oldest_first(ann: Person, chat_id: str) -> None:
    for number in range(5):
        await ann.say(chat_id, str(number), createdAt=1000 + number)

    assert contents(await ann.messages(chat_id)) == ["0", "1", "2", "3", "4"]
    assert contents(await ann.messages(chat_id, limit=2)) == ["3", "4"]


async def test_a_list_has_200_messages_unless_asked_otherwise(ann: Person, chat_id: str) -> None:
    for number in range(201):
        await ann.say(chat_id, str(number))

    assert contents(await ann.messages(chat_id)) == [str(number) for number in range(1, 201)]
    assert len(await ann.messages(chat_id, limit=500)) == 201


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        pytest.param({}, ["4", "3", "2"], id="newest first by default"),
        pytest.param({"order": "desc"}, ["4", "3", "2"], id="desc"),
        pytest.param({"order": "asc"}, ["0", "1", "2"], id="asc"),
    ],
)
async def test_pages_follow_the_time_of_creation(args: dict[str, str], expected: list[str], ann: Person, chat_id: str) -> None:
    for number in (3, 0, 4, 1, 2):
        await ann.say(chat_id, str(number), createdAt=1000 + number)

    first = await ann.query("messages:page", chatId=chat_id, paginationOpts={"numItems": 3, "cursor": None}, **args)
    rest = {"numItems": 3, "cursor": first["continueCursor"]}
    second = await ann.query("messages:page", chatId=chat_id, paginationOpts=rest, **args)

    assert contents(first["page"]) == expected
    assert sorted(contents(first["page"] + second["page"])) == ["0", "1", "2", "3", "4"]
    assert (first["isDone"], second["isDone"]) == (False, True)


async def test_a_repeated_client_id_gives_the_first_row_and_adds_nothing(ann: Person, chat_id: str, clock: WallClock) -> None:
    first = await ann.say(chat_id, "hello", clientMessageId="c1")
    stamped = await ann.query("chats:get", chatId=chat_id)
    clock.advance()

    assert await ann.say(chat_id, "hello again", clientMessageId="c1") == first

    assert contents(await ann.messages(chat_id)) == ["hello"]
    assert await ann.query("chats:get", chatId=chat_id) == stamped


async def test_a_message_sent_several_times_at_once_is_one(ann: Person, chat_id: str) -> None:
    sent = await asyncio.gather(*[ann.say(chat_id, "hello", clientMessageId="c1") for _ in range(8)])

    assert len(set(sent)) == 1
    assert len(await ann.messages(chat_id)) == 1


async def test_client_ids_are_names_inside_one_chat(ann: Person, chat_id: str) -> None:
    other = await ann.new_chat()

    assert await ann.say(chat_id, "one", clientMessageId="c1") != await ann.say(other, "two", clientMessageId="c1")


async def test_messages_without_a_client_id_are_all_different(ann: Person, chat_id: str) -> None:
    await ann.say(chat_id, "same")
    await ann.say(chat_id, "same")

    assert contents(await ann.messages(chat_id)) == ["same", "same"]


async def exchange(ann: Person, chat_id: str, said: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
    sent: dict[str, Any] = await ann.mutation("messages:send", chatId=chat_id, userMessage=said, assistantMessage=reply)
    return sent


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        pytest.param({"content": "An answer"}, "complete", id="a whole reply"),
        pytest.param({"content": ""}, "streaming", id="a place for a stream"),
        pytest.param({"content": "An", "status": "streaming"}, "streaming", id="as said"),
    ],
)
async def test_a_reply_is_added_with_the_message_and_after_it(
    reply: dict[str, Any], status: str, ann: Person, chat_id: str
) -> None:
    sent = await exchange(ann, chat_id, {"content": "A question"}, reply)

    said, answer = await ann.messages(chat_id)
    assert (said["_id"], answer["_id"]) == (sent["userMessageId"], sent["assistantMessageId"])
    assert (said["role"], answer["role"], answer["status"], answer["userId"]) == ("user", "assistant", status, ann.user_id)


async def test_a_reply_comes_after_its_message_also_when_the_clients_clock_is_ahead(
    ann: Person, chat_id: str, clock: WallClock
) -> None:
    await exchange(ann, chat_id, {"content": "A question", "createdAt": clock.ms + 60_000}, {"content": "An answer"})

    assert contents(await ann.messages(chat_id)) == ["A question", "An answer"]


async def test_a_send_without_a_reply_has_no_reply_id(ann: Person, chat_id: str) -> None:
    sent = await ann.mutation("messages:send", chatId=chat_id, userMessage={"content": "hi"})

    assert sent.get("assistantMessageId") is None


@pytest.mark.parametrize(
    "reply", [{"content": "An answer"}, {"content": "An answer", "clientMessageId": "r1"}], ids=["unnamed reply", "named reply"]
)
async def test_a_repeated_exchange_adds_neither_message_again(reply: dict[str, Any], ann: Person, chat_id: str) -> None:
    said = {"content": "A question", "clientMessageId": "c1"}

    first = await exchange(ann, chat_id, said, reply)
    assert await exchange(ann, chat_id, said, reply) == first

    assert contents(await ann.messages(chat_id)) == ["A question", "An answer"]


@pytest.mark.parametrize(
    "fields",
    [{"clientMessageId": ""}, {"createdAt": float("nan")}, {"createdAt": -1}, {"surprise": 1}, {"content": None}],
    ids=["empty client id", "no number", "before time", "unknown field", "no content"],
)
async def test_a_message_that_makes_no_sense_is_refused_by_name(fields: dict[str, Any], ann: Person, chat_id: str) -> None:
    with pytest.raises(Refused, match=next(iter(fields))) as refused:
        await ann.mutation("messages:send", chatId=chat_id, userMessage={"content": "hi", **fields})

    assert refused.value.code == "ArgumentValidationError"
    assert await ann.messages(chat_id) == []
