"""`users:ensure` and `users:me`."""

from __future__ import annotations

import asyncio

import pytest

from tests.chat.conftest import App, Person, Refused, WallClock


async def test_a_new_user_gets_a_row(app: App, clock: WallClock) -> None:
    new = app.stranger("new")

    ensured = await new.mutation("users:ensure", externalId="new", email="a@b.c", name="N", avatarUrl="https://a/b.png")

    me = await new.query("users:me")
    assert me.pop("_creationTime") >= clock.ms
    assert me == {
        "_id": ensured["userId"],
        "externalId": "new",
        "email": "a@b.c",
        "name": "N",
        "avatarUrl": "https://a/b.png",
        "createdAt": clock.ms,
        "updatedAt": clock.ms,
    }


async def test_a_known_user_keeps_the_row_and_what_was_not_given(app: App, clock: WallClock) -> None:
    new = app.stranger("new")
    first = await new.mutation("users:ensure", externalId="new", name="Old", email="a@b.c")
    created = clock.ms
    changed = clock.advance()

    assert await new.mutation("users:ensure", externalId="new", name="New") == first

    me = await new.query("users:me")
    assert (me["name"], me["email"], me["createdAt"], me["updatedAt"]) == ("New", "a@b.c", created, changed)


async def test_ensuring_an_unchanged_user_writes_nothing(app: App, clock: WallClock) -> None:
    new = app.stranger("new")
    await new.mutation("users:ensure", externalId="new", name="N")
    created = clock.ms
    clock.advance()

    await new.mutation("users:ensure", externalId="new", name="N")
    await new.mutation("users:ensure", externalId="new")

    assert (await new.query("users:me"))["updatedAt"] == created


async def test_users_ensured_at_once_are_one(app: App) -> None:
    ensured = await asyncio.gather(*[app.service.mutation("users:ensure", externalId="same") for _ in range(8)])

    assert len({one["userId"] for one in ensured}) == 1


async def test_an_end_user_may_ensure_only_themselves(app: App, ann: Person) -> None:
    with pytest.raises(Refused) as refused:
        await ann.mutation("users:ensure", externalId="somebody else")
    assert refused.value.data == {"code": "FORBIDDEN"}


async def test_me_is_null_for_those_without_a_row(app: App, ann: Person) -> None:
    assert await app.stranger("new").query("users:me") is None
    assert await app.service.query("users:me") is None
    assert (await ann.query("users:me"))["_id"] == ann.user_id
