"""Who may do what: the rules that hold in every function of the application."""

from __future__ import annotations

from typing import Any

import pytest

from hub.functions.identity import NOBODY
from tests.chat.conftest import App, Person, Refused

FORBIDDEN = {"code": "FORBIDDEN"}
USER_NOT_FOUND = {"code": "USER_NOT_FOUND"}
PAGE = {"paginationOpts": {"numItems": 5, "cursor": None}}
MESSAGE = {"userMessage": {"content": "hi"}}
STATE = {"clientMessageId": "c", "role": "assistant", "content": "hi", "status": "streaming"}

Call = tuple[str, str, dict[str, Any]]
OF_A_USER: list[Call] = [
    ("query", "chats:list", {}),
    ("query", "chats:page", PAGE),
    ("mutation", "chats:create", {"title": "T"}),
]
OF_A_CHAT: list[Call] = [
    ("query", "chats:get", {}),
    ("mutation", "chats:rename", {"title": "T"}),
    ("mutation", "chats:remove", {}),
    ("query", "messages:list", {}),
    ("query", "messages:page", PAGE),
    ("mutation", "messages:send", MESSAGE),
    ("mutation", "messages:streamUpsert", STATE),
]


def path_of(value: object) -> str | None:
    return value[1] if isinstance(value, tuple) else None


async def make(person: Person, call: Call, **args: Any) -> Any:
    kind, path, own = call
    return await (person.query if kind == "query" else person.mutation)(path, **own, **args)


async def refusal(person: Person, call: Call, **args: Any) -> Any:
    """The data of the error that the call ends with."""
    with pytest.raises(Refused) as refused:
        await make(person, call, **args)
    return refused.value.data


@pytest.mark.parametrize("call", OF_A_USER + OF_A_CHAT, ids=path_of)
async def test_an_end_user_who_names_somebody_else_is_refused_first_of_all(call: Call, app: App, ann: Person, bob: Person) -> None:
    args = {"chatId": "nope"} if call in OF_A_CHAT else {}

    assert await refusal(ann, call, userId=bob.user_id, **args) == FORBIDDEN
    assert await refusal(ann, call, userId="nobody", **args) == FORBIDDEN
    assert await refusal(app.stranger("new"), call, userId=bob.user_id, **args) == FORBIDDEN


@pytest.mark.parametrize("call", OF_A_USER + OF_A_CHAT, ids=path_of)
async def test_an_end_user_may_name_themselves(call: Call, ann: Person) -> None:
    args = {"chatId": await ann.new_chat()} if call in OF_A_CHAT else {}

    await make(ann, call, userId=ann.user_id, **args)


@pytest.mark.parametrize("call", OF_A_USER + OF_A_CHAT, ids=path_of)
async def test_an_end_user_without_a_row_is_told_so(call: Call, app: App) -> None:
    args = {"chatId": "nope"} if call in OF_A_CHAT else {}

    assert await refusal(app.stranger("new"), call, **args) == USER_NOT_FOUND


@pytest.mark.parametrize("call", OF_A_USER + OF_A_CHAT, ids=path_of)
async def test_a_trusted_caller_says_for_whom_it_asks(call: Call, app: App, ann: Person) -> None:
    args = {"chatId": await ann.new_chat()} if call in OF_A_CHAT else {}

    assert await refusal(app.service, call, **args) == USER_NOT_FOUND
    await make(app.service, call, userId=ann.user_id, **args)


@pytest.mark.parametrize("call", OF_A_CHAT, ids=path_of)
async def test_a_chat_that_is_absent_or_anothers_or_no_id_is_not_found_alike(
    call: Call, app: App, ann: Person, bob: Person
) -> None:
    bobs = await bob.new_chat()
    gone = await ann.new_chat()
    await ann.mutation("chats:remove", chatId=gone)

    for chat_id in (bobs, gone, ann.user_id, "nope", "", "0" * 24, "x" * 5000):
        expected = {"code": "CHAT_NOT_FOUND", "chatId": chat_id}
        assert await refusal(ann, call, chatId=chat_id) == expected
        assert await refusal(app.service, call, chatId=chat_id, userId=ann.user_id) == expected
    assert (await bob.query("chats:get", chatId=bobs))["title"] == "A chat"


@pytest.mark.parametrize("call", OF_A_USER + OF_A_CHAT, ids=path_of)
async def test_nobody_is_not_let_in_at_all(call: Call, app: App) -> None:
    args = {"chatId": "nope"} if call in OF_A_CHAT else {}
    with pytest.raises(Refused) as refused:
        await make(Person(app.engine, NOBODY), call, **args)
    assert refused.value.data is None
