"""The store's contract: reads."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.core.ranges import IndexRange
from hub.store import Store
from hub.timestamps import Timestamp
from hub.values import Int64, ObjectId, Value
from tests import builders
from tests.builders import (
    BY_CLIENT_ID,
    a_row,
    at_least,
    at_most,
    delete,
    in_chat,
    insert,
    less_than,
    more_than,
    replace,
    update,
)
from tests.contract.databases import BY_EMAIL, BY_EXTERNAL_ID, BY_THING_ID, BY_XY, BY_Y, Database, Feed, evaluate

MESSAGES = [
    a_row(f"m{n}", chatId=chat, createdAt=time) for n, (chat, time) in enumerate([*zip("aaaaab", [1, 2, 2, 3, 5, 2], strict=True)])
]


def the_ids(rows: list[Any]) -> list[Any]:
    return [row["_id"] for row in rows]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param(in_chat(), "01234", id="a prefix alone"),
        pytest.param(in_chat(descending=True), "43210", id="backwards"),
        pytest.param(in_chat(limit=2), "01", id="limited"),
        pytest.param(in_chat(limit=2, descending=True), "43", id="the last two, backwards"),
        pytest.param(in_chat(limit=9), "01234", id="a limit that is not reached"),
        pytest.param(in_chat(lower=at_least(2)), "1234", id="from a value on"),
        pytest.param(in_chat(lower=more_than(2)), "34", id="after a value"),
        pytest.param(in_chat(upper=at_most(2)), "012", id="up to a value"),
        pytest.param(in_chat(upper=less_than(2)), "0", id="before a value"),
        pytest.param(in_chat(lower=at_least(2), upper=less_than(5), descending=True), "321", id="between, backwards"),
        pytest.param(in_chat(lower=more_than(2, "m1")), "234", id="after one row"),
        pytest.param(in_chat(lower=at_least(2, "m2"), upper=at_most(3, "m3")), "23", id="from one row to another"),
        pytest.param(in_chat(upper=less_than(2, "m2"), descending=True, limit=1), "1", id="the row before one row"),
        pytest.param(in_chat(lower=more_than(5)), "", id="after the end"),
        pytest.param(in_chat(lower=at_least(3), upper=at_most(2)), "", id="nothing between"),
        pytest.param(in_chat("nobody"), "", id="a prefix without rows"),
        pytest.param(IndexRange(builders.BY_CHAT, ("a", 2)), "12", id="a longer prefix"),
        pytest.param(IndexRange(builders.BY_CHAT, ("a", 2, "m2")), "2", id="the whole key"),
        pytest.param(IndexRange(builders.BY_CHAT), "012345", id="the whole index"),
        pytest.param(IndexRange(builders.BY_CHAT, lower=at_least("b"), descending=True), "5", id="no prefix, a bound"),
        pytest.param(IndexRange(builders.BY_ID, lower=more_than("m3")), "45", id="by id"),
        pytest.param(IndexRange(builders.BY_ID, ("m3",)), "3", id="one id as a prefix"),
    ],
)
async def test_a_range_has_its_rows_in_its_direction_up_to_its_limit(
    database: Database, store: Store, wanted: IndexRange, expected: str
) -> None:
    at = await database.outside(*(insert(row) for row in MESSAGES))
    assert await store.read(wanted, at) == [MESSAGES[int(n)] for n in expected]


FEW: list[Value] = [None, 0, 1, 2.0, 3, "", "a", "b", True, {"a": 1}, math.inf, b"a", ObjectId(b"b" * 12)]
THINGS = [
    {"_id": f"m{n}", **{name: value for name, value in (("x", x), ("y", y)) if value is not None}}
    for n, (x, y) in enumerate(
        [*zip(FEW, FEW, strict=True), *zip(FEW[3:], FEW, strict=False), *zip(FEW[::-1], FEW[::2] * 2, strict=False)]
    )
]


@pytest.fixture
async def things(database: Database) -> Timestamp:
    """THINGS are in their table, as of this timestamp."""
    return await database.outside(*(insert(row, "things") for row in THINGS))


@given(wanted=builders.few_ranges((BY_XY, BY_Y, BY_THING_ID)), limit=st.none() | st.integers(1, 5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # nothing writes: the examples may share the rows
async def test_any_range_over_mixed_types_is_what_its_definition_says(
    store: Store, things: Timestamp, wanted: IndexRange, limit: int | None
) -> None:
    wanted = IndexRange(wanted.index, wanted.prefix, wanted.lower, wanted.upper, wanted.descending, limit)
    assert await store.read(wanted, things) == evaluate(wanted, THINGS)


async def test_a_missing_field_and_null_stand_first_and_are_found_as_none(database: Database, store: Store) -> None:
    rows = [a_row("m1", y=1), a_row("m2"), a_row("m3", y=None), a_row("m4", y=-math.inf), a_row("m5", y=math.nan)]
    at = await database.outside(*(insert(row, "things") for row in rows))
    assert the_ids(await store.read(IndexRange(BY_Y), at)) == ["m2", "m3", "m5", "m4", "m1"]
    assert the_ids(await store.read(IndexRange(BY_Y, (None,)), at)) == ["m2", "m3"]
    assert the_ids(await store.read(IndexRange(BY_Y, lower=more_than(None)), at)) == ["m5", "m4", "m1"]
    assert the_ids(await store.read(IndexRange(BY_Y, lower=more_than(None, "m2"), upper=at_most(None)), at)) == ["m3"]


async def test_bounds_of_one_type_do_not_shut_out_the_others(database: Database, store: Store) -> None:
    mixed: list[Value] = [None, 7, "x", {"a": 1}, b"x", ObjectId(), True, dt.datetime(2026, 1, 1, tzinfo=dt.UTC)]
    at = await database.outside(*(insert(a_row(f"m{n}", **({} if v is None else {"y": v})), "things") for n, v in enumerate(mixed)))
    assert the_ids(await store.read(IndexRange(BY_Y, lower=more_than(7)), at)) == ["m2", "m3", "m4", "m5", "m6", "m7"]
    assert the_ids(await store.read(IndexRange(BY_Y, upper=less_than("x"), descending=True), at)) == ["m1", "m0"]


async def test_a_unique_index_is_read_by_its_key(database: Database, store: Store) -> None:
    user = a_row("u1", externalId="ext-1")
    at = await database.outside(insert(user, "users"), insert(a_row("u2", externalId="ext-2"), "users"))
    assert await store.read(IndexRange(BY_EXTERNAL_ID, ("ext-1",)), at) == [user]
    assert await store.read(IndexRange(BY_EXTERNAL_ID, ("ext-3",)), at) == []
    assert the_ids(await store.read(IndexRange(BY_EXTERNAL_ID, descending=True, limit=1), at)) == ["u2"]


async def test_a_partial_index_is_read_by_its_whole_key_and_has_only_rows_with_every_field(
    database: Database, store: Store
) -> None:
    at = await database.outside(
        insert(a_row("m1", chatId="a", createdAt=1, clientMessageId="c1")),
        insert(a_row("m2", chatId="a", createdAt=2)),
        insert(a_row("m3", chatId="a", createdAt=3)),
        insert(a_row("u1", externalId="e1", email="a@b.c"), "users"),
        insert(a_row("u2", externalId="e2", email="a@b.c"), "users"),
        insert(a_row("u3", externalId="e3"), "users"),
    )
    assert the_ids(await store.read(IndexRange(BY_CLIENT_ID, ("a", "c1")), at)) == ["m1"]
    assert the_ids(await store.read(IndexRange(BY_CLIENT_ID, ("a", "c2")), at)) == []
    assert the_ids(await store.read(IndexRange(BY_EMAIL, ("a@b.c",)), at)) == ["u1", "u2"]
    assert the_ids(await store.read(IndexRange(BY_EMAIL, ("a@b.c",), descending=True, limit=1), at)) == ["u2"]


async def test_rows_come_as_they_were_stored(database: Database, store: Store) -> None:
    row = a_row(
        "m1",
        chatId="a",
        whole=1,
        large=2**53 + 1,
        number=1.5,
        text="a\x00é😀",
        raw=b"\x00\xff",
        moment=dt.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=dt.UTC),
        reference=ObjectId(b"c" * 12),
        parts=[1, [2.0, {}], {"b": None, "a": True}],
    )
    at = await database.outside(insert(row))
    (found,) = await store.read(in_chat(), at)
    assert found == row
    assert (await store.get("messages", ["m1"], at))["m1"] == row
    assert isinstance(found["number"], float)
    assert isinstance(found["large"], Int64)
    assert isinstance(found["moment"], dt.datetime)
    assert found["moment"].tzinfo is not None


async def test_rows_of_a_read_are_the_readers_own(database: Database, store: Store) -> None:
    at = await database.outside(insert(a_row("m1", chatId="a", parts=[1])))
    (first,) = await store.read(in_chat(), at)
    first["parts"].append(2)  # type: ignore[union-attr]  # the list from above
    assert await store.read(in_chat(), at) == [a_row("m1", chatId="a", parts=[1])]


async def test_get_finds_rows_by_id_and_leaves_out_missing_ones(database: Database, store: Store) -> None:
    object_id = ObjectId()
    at = await database.outside(insert(a_row("m1")), insert(a_row("m2")), insert(a_row(object_id)))
    found = await store.get("messages", ["m2", "nowhere", object_id], at)
    assert found == {"m2": a_row("m2"), object_id: a_row(object_id)}
    assert await store.get("messages", [], at) == {}
    assert await store.get("messages", [str(object_id)], at) == {}


async def test_a_read_shows_the_rows_as_they_were_at_its_timestamp(database: Database, store: Store, feed: Feed) -> None:
    one, two = a_row("m1", chatId="a", createdAt=1), a_row("m2", chatId="a", createdAt=2)
    empty = feed.position
    first = await database.outside(insert(one), insert(two))
    second = await database.outside(update(one, createdAt=3), delete("m2"))
    third = await database.outside(replace(a_row("m1", chatId="b", createdAt=9)))
    assert await store.read(in_chat(), empty) == []
    assert await store.read(in_chat(), first) == [one, two]
    assert await store.read(in_chat(), second) == [a_row("m1", chatId="a", createdAt=3)]
    assert await store.read(in_chat(), third) == []
    assert await store.get("messages", ["m1", "m2"], empty) == {}
    assert await store.get("messages", ["m1", "m2"], first) == {"m1": one, "m2": two}
    assert await store.get("messages", ["m1", "m2"], second) == {"m1": a_row("m1", chatId="a", createdAt=3)}


async def test_all_reads_at_one_timestamp_agree_whatever_is_written_meanwhile(database: Database, store: Store) -> None:
    rows = [a_row(f"m{n}", chatId="a", createdAt=n) for n in range(5)]
    at = await database.outside(*(insert(row) for row in rows))
    for row in rows:
        await database.outside(update(row, chatId="b"))
        assert await store.read(in_chat("a"), at) == rows
        assert await store.read(in_chat("b"), at) == []


async def test_a_table_without_rows_reads_as_empty(store: Store, feed: Feed) -> None:
    assert await store.read(in_chat(), feed.position) == []
    assert await store.get("messages", ["m1"], feed.position) == {}
