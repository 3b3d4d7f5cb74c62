"""`chats:*`: the list, its pages, and a chat's life."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chat.conftest import App, Person, Refused, WallClock


def titles(rows: list[dict[str, Any]]) -> list[str]:
    return [row["title"] for row in rows]


async def fill(person: Person, clock: WallClock, *names: str) -> list[str]:
    """A chat for each name, one second after the other."""
    made = []
    for name in names:
        made.append(await person.new_chat(name))
        clock.advance()
    return made


async def test_a_new_chat_is_empty_and_of_its_maker(ann: Person, clock: WallClock) -> None:
    chat_id = await ann.new_chat("First")

    chat = await ann.query("chats:get", chatId=chat_id)
    assert chat.pop("_creationTime") >= clock.ms
    assert chat == {"_id": chat_id, "userId": ann.user_id, "title": "First", "createdAt": clock.ms, "updatedAt": clock.ms}


async def test_a_chat_is_not_made_for_a_user_who_is_not_there(app: App) -> None:
    with pytest.raises(Refused) as refused:
        await app.service.mutation("chats:create", userId="nobody", title="T")
    assert refused.value.data == {"code": "USER_NOT_FOUND"}


async def test_the_list_has_a_users_own_chats_the_last_changed_first(app: App, ann: Person, bob: Person, clock: WallClock) -> None:
    first, *_ = await fill(ann, clock, "1", "2", "3")
    await fill(bob, clock, "Bob's")

    assert titles(await ann.query("chats:list")) == ["3", "2", "1"]
    await ann.say(first, "hello")

    assert titles(await ann.query("chats:list")) == ["1", "3", "2"]
    assert titles(await ann.query("chats:list", limit=2)) == ["1", "3"]
    assert titles(await app.service.query("chats:list", userId=ann.user_id)) == ["1", "3", "2"]
    assert await app.service.query("chats:list", userId="nobody") == []


@pytest.mark.parametrize("limit", [0, -1, 1.5, 10_001, "5", True])
@pytest.mark.parametrize("path", ["chats:list", "messages:list"])
async def test_a_limit_that_makes_no_sense_is_refused_by_name(path: str, limit: object, ann: Person) -> None:
    args = {"chatId": await ann.new_chat()} if path == "messages:list" else {}

    with pytest.raises(Refused, match="limit") as refused:
        await ann.query(path, limit=limit, **args)
    assert refused.value.code == "ArgumentValidationError"


async def test_pages_of_chats_come_newest_first(ann: Person, clock: WallClock) -> None:
    await fill(ann, clock, "1", "2", "3")

    first = await ann.query("chats:page", paginationOpts={"numItems": 2, "cursor": None})
    second = await ann.query("chats:page", paginationOpts={"numItems": 2, "cursor": first["continueCursor"]})

    assert (titles(first["page"]), first["isDone"]) == (["3", "2"], False)
    assert (titles(second["page"]), second["isDone"]) == (["1"], True)


async def test_renaming_a_chat_moves_it_to_the_top(ann: Person, clock: WallClock) -> None:
    first, _ = await fill(ann, clock, "1", "2")

    assert await ann.mutation("chats:rename", chatId=first, title="renamed") is None

    top, _ = await ann.query("chats:list")
    assert (top["title"], top["updatedAt"]) == ("renamed", clock.ms)
    assert "lastMessageAt" not in top


async def test_removing_a_chat_takes_its_messages_and_nobody_elses(ann: Person) -> None:
    gone, kept = await ann.new_chat(), await ann.new_chat()
    for number in range(3):
        await ann.say(gone, str(number))
    await ann.say(kept, "stays")

    assert await ann.mutation("chats:remove", chatId=gone) == {"removed": 3, "done": True}

    with pytest.raises(Refused) as refused:
        await ann.messages(gone)
    assert refused.value.data == {"code": "CHAT_NOT_FOUND", "chatId": gone}
    assert [row["content"] for row in await ann.messages(kept)] == ["stays"]


async def test_an_empty_chat_is_removed_too(ann: Person) -> None:
    assert await ann.mutation("chats:remove", chatId=await ann.new_chat()) == {"removed": 0, "done": True}
    assert await ann.query("chats:list") == []


async def test_thousands_of_messages_go_in_one_transaction(app: App, ann: Person) -> None:
    chat_id = await ann.new_chat()
    await app.fill(chat_id, ann.user_id, ("word " * 20 for _ in range(3_000)))

    assert await ann.mutation("chats:remove", chatId=chat_id) == {"removed": 3_000, "done": True}
    assert await ann.query("chats:list") == []


async def test_a_chat_too_large_for_one_transaction_goes_in_several_calls(app: App, ann: Person) -> None:
    chat_id = await ann.new_chat()
    await app.fill(chat_id, ann.user_id, ("x" * 100_000 for _ in range(150)))

    assert await ann.mutation("chats:remove", chatId=chat_id) == {"removed": 128, "done": False}
    assert [row["_id"] for row in await ann.query("chats:list")] == [chat_id]
    assert await ann.mutation("chats:remove", chatId=chat_id) == {"removed": 22, "done": True}

    assert await ann.query("chats:list") == []
