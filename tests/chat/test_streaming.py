"""`messages:streamUpsert`: one row for one reply, whatever is retried, reordered or sent at once."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from tests.chat.conftest import Person, Refused, WallClock

State = tuple[str, str]
STREAM: list[State] = [("On", "streaming"), ("Once upon", "streaming"), ("Once upon a", "streaming"), ("Once upon.", "complete")]


@pytest.fixture
async def chat_id(ann: Person) -> str:
    return await ann.new_chat()


async def reply_in(ann: Person, chat_id: str) -> State:
    (row,) = await ann.messages(chat_id)
    return row["content"], row["status"]


async def test_a_reply_grows_in_one_row_known_by_either_id(ann: Person, chat_id: str) -> None:
    first = await ann.stream(chat_id, "On", clientMessageId="r1")
    by_name = await ann.stream(chat_id, "Once", clientMessageId="r1")
    by_id = await ann.stream(chat_id, "Once upon", messageId=first)
    by_both = await ann.stream(chat_id, "Once upon a time", "complete", messageId=first, clientMessageId="r1")

    assert {first, by_name, by_id, by_both} == {first}
    assert await reply_in(ann, chat_id) == ("Once upon a time", "complete")


async def test_a_placeholder_of_send_is_streamed_into(ann: Person, chat_id: str) -> None:
    reply = {"content": "", "clientMessageId": "r1"}
    sent = await ann.mutation("messages:send", chatId=chat_id, userMessage={"content": "Q"}, assistantMessage=reply)

    assert await ann.stream(chat_id, "An", clientMessageId="r1") == sent["assistantMessageId"]
    assert await ann.stream(chat_id, "An answer", "complete", messageId=sent["assistantMessageId"]) == sent["assistantMessageId"]

    assert [row["content"] for row in await ann.messages(chat_id)] == ["Q", "An answer"]


@pytest.mark.parametrize("order", list(itertools.permutations(range(len(STREAM)))), ids=str)
async def test_a_stream_ends_the_same_in_whatever_order_it_arrives(order: tuple[int, ...], ann: Person, chat_id: str) -> None:
    for index in order:
        content, status = STREAM[index]
        await ann.stream(chat_id, content, status, clientMessageId="r1")

    assert await reply_in(ann, chat_id) == ("Once upon.", "complete")


async def test_a_stream_sent_twice_and_all_at_once_is_one_row(ann: Person, chat_id: str) -> None:
    ids = await asyncio.gather(*[ann.stream(chat_id, content, status, clientMessageId="r1") for content, status in STREAM + STREAM])

    assert len(set(ids)) == 1
    assert await reply_in(ann, chat_id) == ("Once upon.", "complete")


@pytest.mark.parametrize(
    ("stored", "late"),
    [
        pytest.param(("Done", "complete"), ("Done and more", "streaming"), id="a delta after the end"),
        pytest.param(("Done", "complete"), ("Done", "error"), id="an error after the end"),
        pytest.param(("Broken off", "error"), ("Broken", "streaming"), id="a shorter delta after an error"),
        pytest.param(("Longer", "streaming"), ("Long", "streaming"), id="a shorter delta"),
        pytest.param(("Same", "streaming"), ("Same", "streaming"), id="a repeated delta"),
        pytest.param(("Done", "complete"), ("Done", "complete"), id="a repeated end"),
        pytest.param(("Done and dusted", "complete"), ("Done", "complete"), id="an end with less text"),
    ],
)
async def test_what_comes_late_changes_nothing(stored: State, late: State, ann: Person, chat_id: str, clock: WallClock) -> None:
    message_id = await ann.stream(chat_id, *stored, clientMessageId="r1")
    before, chat = await ann.messages(chat_id), await ann.query("chats:get", chatId=chat_id)
    clock.advance()

    assert await ann.stream(chat_id, *late, clientMessageId="r1") == message_id

    assert await ann.messages(chat_id) == before
    assert await ann.query("chats:get", chatId=chat_id) == chat


@pytest.mark.parametrize(
    ("stored", "later"),
    [
        pytest.param(("Once", "streaming"), ("Once upon", "streaming"), id="it grows"),
        pytest.param(("Once upon", "streaming"), ("Once.", "complete"), id="the end has the last word, also a shorter one"),
        pytest.param(("Once", "streaming"), ("Once", "error"), id="it broke off"),
        pytest.param(("Once", "error"), ("Once upon", "complete"), id="it was finished after all"),
    ],
)
async def test_a_reply_moves_forward(stored: State, later: State, ann: Person, chat_id: str, clock: WallClock) -> None:
    await ann.stream(chat_id, *stored, clientMessageId="r1")
    now = clock.advance()

    await ann.stream(chat_id, *later, clientMessageId="r1")

    (row,) = await ann.messages(chat_id)
    assert (row["content"], row["status"]) == later
    assert (row["createdAt"], row["updatedAt"]) == (now - 1000, now)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
async def test_a_reply_that_breaks_off_keeps_its_longest_text(order: tuple[int, ...], ann: Person, chat_id: str) -> None:
    states: list[State] = [("Once", "streaming"), ("", "error"), ("Once upon", "streaming")]
    for index in order:
        await ann.stream(chat_id, *states[index], clientMessageId="r1")

    assert await reply_in(ann, chat_id) == ("Once upon", "error")


async def test_only_the_end_stamps_the_chat(ann: Person, chat_id: str, clock: WallClock) -> None:
    created = clock.ms
    clock.advance()
    await ann.stream(chat_id, "On", clientMessageId="r1")
    assert (await ann.query("chats:get", chatId=chat_id))["updatedAt"] == created

    done = clock.advance()
    await ann.stream(chat_id, "Once", "complete", clientMessageId="r1")

    chat = await ann.query("chats:get", chatId=chat_id)
    assert (chat["updatedAt"], chat["lastMessageAt"]) == (done, done)


async def test_a_reply_that_is_complete_at_once_stamps_the_chat(ann: Person, chat_id: str, clock: WallClock) -> None:
    now = clock.advance()

    await ann.stream(chat_id, "Once", "complete", clientMessageId="r1")

    assert (await ann.query("chats:get", chatId=chat_id))["lastMessageAt"] == now


async def test_the_two_ids_must_mean_the_same_row(ann: Person, chat_id: str) -> None:
    one = await ann.stream(chat_id, "One", clientMessageId="r1")
    two = await ann.stream(chat_id, "Two", clientMessageId="r2")
    unnamed = await ann.say(chat_id, "Three")

    for message_id, name in [(one, "r2"), (two, "r1"), (one, "unknown"), (unnamed, "r1"), (unnamed, "unknown")]:
        with pytest.raises(Refused) as refused:
            await ann.stream(chat_id, "Changed", "complete", messageId=message_id, clientMessageId=name)
        assert refused.value.data == {"code": "MESSAGE_NOT_FOUND", "messageId": message_id}

    assert [row["content"] for row in await ann.messages(chat_id)] == ["One", "Two", "Three"]


async def test_one_of_the_two_ids_is_needed(ann: Person, chat_id: str) -> None:
    with pytest.raises(Refused) as refused:
        await ann.stream(chat_id, "Lost")
    assert refused.value.data == {"code": "MESSAGE_ID_MISSING"}


async def test_a_message_of_another_chat_is_out_of_reach(ann: Person, bob: Person, chat_id: str) -> None:
    bobs_chat, own_other = await bob.new_chat(), await ann.new_chat()

    for message_id in (await bob.say(bobs_chat, "Bob's"), await ann.say(own_other, "elsewhere"), chat_id, "nope"):
        with pytest.raises(Refused) as refused:
            await ann.stream(chat_id, "Changed, and longer", messageId=message_id)
        assert refused.value.data == {"code": "MESSAGE_NOT_FOUND", "messageId": message_id}

    assert [row["content"] for row in await bob.messages(bobs_chat)] == ["Bob's"]
