"""Index ranges read by MongoDB are what their definition says, whatever types meet in the index."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.core.ranges import Bound, IndexKey, IndexRange, tuple_key
from hub.errors import BadRequest, SnapshotTooOld
from hub.mongo.bounds import edges
from hub.mongo.driver import from_bson
from hub.mongo.store import MongoStore
from hub.store import DeclaredTable
from hub.timestamps import Timestamp
from hub.values import ObjectId, Value, sort_key
from tests.builders import at_least, at_most, in_chat, indexed_values, less_than, more_than
from tests.contract.databases import Feed
from tests.mongo.conftest import Client

pytestmark = pytest.mark.real

BY_VALUE = IndexKey("values", ("v",), unique=True)


@st.composite
def ranges_over(draw: Any, values: list[Value]) -> IndexRange:
    """A bound is a value that a row has, or its neighbourhood, as often as anything else."""
    bound = st.none() | st.builds(Bound, st.tuples(st.sampled_from(values) | indexed_values), inclusive=st.booleans())
    return IndexRange(BY_VALUE, (), draw(bound), draw(bound), draw(st.booleans()), draw(st.none() | st.integers(1, 4)))


def distinct(values: list[Value]) -> list[Value]:
    return list({sort_key(value): value for value in values}.values())


@given(data=st.data(), values=st.lists(indexed_values, min_size=1, max_size=12).map(distinct))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
async def test_a_range_over_a_unique_index_is_what_brute_force_finds(
    store: MongoStore, client: Client, database_name: str, data: st.DataObject, values: list[Value]
) -> None:
    await store.prepare([DeclaredTable("values", (BY_VALUE,))], drop_unused=False)
    rows: list[dict[str, Value]] = [{"_id": f"r{n}", "v": value} for n, value in enumerate(values)]
    async with client.start_session() as session:
        await client[database_name]["values"].delete_many({}, session=session)
        await client[database_name]["values"].insert_many(rows, session=session)
        assert session.operation_time is not None
        at = from_bson(session.operation_time)
    for wanted in data.draw(st.lists(ranges_over(values), min_size=3, max_size=6)):
        inside = sorted((row for row in rows if wanted.contains(row)), key=lambda row: tuple_key((row["v"],)))
        expected = [row["_id"] for row in (inside[::-1] if wanted.descending else inside)][: wanted.limit]
        assert [row["_id"] for row in await store.read(wanted, at)] == expected


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        pytest.param(more_than(1), less_than(1), id="both leave one value out"),
        pytest.param(at_least(1), less_than(1.0), id="one takes it in, the other not"),
        pytest.param(more_than(1), at_most(1, "m1"), id="a row in a group that is left out"),
        pytest.param(at_least(1, "m1"), less_than(1), id="a row in a group that is left out above"),
        pytest.param(more_than(1, "a"), less_than(1, "a\x00"), id="neighbours"),
        pytest.param(at_least("b"), at_most("a"), id="the wrong way round"),
    ],
)
def test_ranges_with_nothing_between_are_not_asked_for(lower: Bound, upper: Bound) -> None:
    assert edges(in_chat(lower=lower, upper=upper)) is None


def test_a_bound_that_no_index_can_hold_is_a_bad_request() -> None:
    with pytest.raises(BadRequest):
        edges(in_chat(lower=at_least(2**70)))
    with pytest.raises(BadRequest):
        edges(in_chat(lower=more_than(1, "\ud800")))


async def test_ids_that_are_object_ids_have_neighbours_too(store: MongoStore, client: Client, database_name: str) -> None:
    ids = sorted(ObjectId() for _ in range(3))
    async with client.start_session() as session:
        rows = [{"_id": row_id, "chatId": "a", "createdAt": 1} for row_id in ids]
        await client[database_name]["messages"].insert_many(rows, session=session)
        assert session.operation_time is not None
        at = from_bson(session.operation_time)
    after_first = await store.read(in_chat(lower=more_than(1, ids[0]), upper=at_most(1, ids[2])), at)
    assert [row["_id"] for row in after_first] == ids[1:]


async def test_a_timestamp_that_the_server_has_forgotten_is_too_old(store: MongoStore) -> None:
    with pytest.raises(SnapshotTooOld):
        await store.read(in_chat(), Timestamp(1 << 32))


async def test_a_read_before_its_index_was_made_is_too_old(store: MongoStore, client: Client, database_name: str) -> None:
    feed = Feed(store)
    before = (await feed.next()).position
    by_title = IndexKey("messages", ("title", "_id"))
    preparing = asyncio.create_task(store.prepare([DeclaredTable("messages", (by_title,))], drop_unused=False))
    while not preparing.done():  # it waits until the feed has come by
        await feed.next()
    with pytest.raises(SnapshotTooOld):
        await store.read(IndexRange(by_title), before)
    await feed.close()


async def test_a_collection_that_does_not_exist_is_an_empty_table(store: MongoStore) -> None:
    at = (await anext(store.follow())).position
    assert await store.read(IndexRange(IndexKey("nowhere", ("a", "_id"))), at) == []
    assert await store.get("nowhere", ["m1"], at) == {}
