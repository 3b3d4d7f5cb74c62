"""Declared tables meet a database that is empty, older, or somebody else's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hub.core.commits import TableReset
from hub.core.ranges import IndexKey, IndexRange
from hub.errors import ConfigError, SnapshotTooOld, Unavailable
from hub.mongo.store import MongoStore
from hub.store import DeclaredTable
from tests.contract.databases import Feed
from tests.mongo.conftest import Client, MakeStore

pytestmark = pytest.mark.real

BY_TITLE = IndexKey("notes", ("title", "_id"))
BY_NAME = IndexKey("notes", ("name",), unique=True)
NOTES = DeclaredTable("notes", (BY_TITLE, BY_NAME))


async def names_of(client: Client, database: str, table: str = "notes") -> set[str]:
    return set(await client[database][table].index_information())


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param({"capped": True, "size": 4096}, "capped", id="capped"),
        pytest.param({"collation": {"locale": "en"}}, "collation", id="collation"),
        pytest.param({"viewOn": "messages", "pipeline": []}, "view", id="view"),
        pytest.param({"timeseries": {"timeField": "at"}}, "time series", id="time series"),
        pytest.param({"clusteredIndex": {"key": {"_id": 1}, "unique": True}}, "clustered", id="clustered"),
    ],
)
async def test_a_collection_of_another_kind_is_refused(
    store: MongoStore, client: Client, database_name: str, options: dict[str, Any], reason: str
) -> None:
    await client[database_name].command({"create": "notes", **options})
    with pytest.raises(ConfigError, match=f"notes.*{reason}"):
        await store.prepare([NOTES], drop_unused=True)


async def test_the_hubs_own_names_are_taken(store: MongoStore) -> None:
    with pytest.raises(ConfigError, match="hub_notes"):
        await store.prepare([DeclaredTable("hub_notes", ())], drop_unused=False)


async def test_every_table_that_cannot_be_is_named_and_the_others_are_made(
    store: MongoStore, client: Client, database_name: str
) -> None:
    for name in ("bad", "worse"):
        await client[database_name].create_collection(name, capped=True, size=4096)
    with pytest.raises(ConfigError) as refused:
        await store.prepare([DeclaredTable("bad", ()), DeclaredTable("worse", ()), NOTES], drop_unused=False)
    assert len(refused.value.message.splitlines()) == 2
    assert await names_of(client, database_name) == {"_id_", "hub:title,_id", "hub:name:unique"}


async def test_an_index_of_others_that_does_the_same_is_used(store: MongoStore, client: Client, database_name: str) -> None:
    rows = client[database_name]["notes"]
    await rows.create_index([("title", 1), ("_id", 1)], name="theirs")
    await rows.insert_many([{"_id": "n1", "title": "b", "name": 1}, {"_id": "n2", "title": "a", "name": 2}])
    await store.prepare([NOTES], drop_unused=True)
    assert await names_of(client, database_name) == {"_id_", "theirs", "hub:name:unique"}
    feed = Feed(store)
    at = (await feed.next()).position
    assert [row["_id"] for row in await store.read(IndexRange(BY_TITLE), at)] == ["n2", "n1"]
    await feed.close()


@pytest.mark.parametrize(
    ("keys", "options"),
    [
        pytest.param([("name", 1)], {}, id="not unique"),
        pytest.param([("name", -1)], {"unique": True}, id="the other direction"),
        pytest.param([("name", 1)], {"unique": True, "sparse": True}, id="sparse"),
        pytest.param([("name", 1)], {"unique": True, "partialFilterExpression": {"name": {"$gt": "m"}}}, id="partial"),
        pytest.param([("name", 1)], {"unique": True, "collation": {"locale": "en"}}, id="collation"),
    ],
)
async def test_an_index_of_others_that_does_not_do_the_same_is_left_and_not_used(
    store: MongoStore, client: Client, database_name: str, keys: list[tuple[str, int]], options: dict[str, Any]
) -> None:
    await client[database_name]["notes"].create_index(keys, name="theirs", **options)
    await store.prepare([NOTES], drop_unused=True)
    assert await names_of(client, database_name) == {"_id_", "theirs", "hub:title,_id", "hub:name:unique"}


async def test_duplicates_are_named_with_their_key(store: MongoStore, client: Client, database_name: str) -> None:
    await client[database_name]["notes"].insert_many([{"name": "twice"}, {"name": "twice"}])
    with pytest.raises(ConfigError, match=r"notes: index \(name\).*name='twice'"):
        await store.prepare([NOTES], drop_unused=False)


async def test_a_refused_change_of_tables_drops_nothing_that_the_tables_of_before_need(
    store: MongoStore, client: Client, database_name: str
) -> None:
    by_day = IndexKey("days", ("day", "_id"))
    before = [NOTES, DeclaredTable("days", (by_day,))]
    await store.prepare(before, drop_unused=True)
    await client[database_name]["days"].insert_many([{"room": "twice"}, {"room": "twice"}])
    with pytest.raises(ConfigError, match="days"):
        await store.prepare(
            [DeclaredTable("notes", (BY_NAME,)), DeclaredTable("days", (IndexKey("days", ("room",), unique=True),))],
            drop_unused=True,
        )
    assert await names_of(client, database_name) == {"_id_", "hub:title,_id", "hub:name:unique"}
    assert await names_of(client, database_name, "days") == {"_id_", "hub:day,_id"}
    assert await store.prepare(before, drop_unused=True) == []


async def test_an_index_that_becomes_another_over_the_same_fields_is_made_before_the_old_one_is_dropped(
    store: MongoStore, client: Client, database_name: str
) -> None:
    for partial in (True, False, True):
        by_name = IndexKey("notes", ("name",), unique=True, partial=partial)
        await store.prepare([DeclaredTable("notes", (by_name,))], drop_unused=True)
        assert await names_of(client, database_name) == {"_id_", "hub:name:unique" + ":present" * partial}


async def test_an_array_in_an_indexed_field_is_refused_until_it_is_gone(
    store: MongoStore, client: Client, database_name: str
) -> None:
    await client[database_name]["notes"].insert_one({"_id": "n1", "title": ["a", "b"], "name": 1})
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"notes: index \(title, _id\).*'title' is an array in row n1"):
            await store.prepare([NOTES], drop_unused=False)
    assert "hub:title,_id" not in await names_of(client, database_name)
    await client[database_name]["notes"].update_one({"_id": "n1"}, {"$set": {"title": "a"}})
    await store.prepare([NOTES], drop_unused=False)


async def test_an_index_that_held_an_array_once_is_used(store: MongoStore, client: Client, database_name: str) -> None:
    rows = client[database_name]["notes"]
    await rows.create_index([("title", 1), ("_id", 1)], name="theirs")
    await rows.insert_one({"_id": "n1", "title": ["a"], "name": 1})
    await rows.delete_one({"_id": "n1"})
    await store.prepare([NOTES], drop_unused=False)


async def test_an_index_with_our_name_that_is_something_else_is_made_anew_in_development_and_refused_in_production(
    store: MongoStore, client: Client, database_name: str
) -> None:
    await client[database_name]["notes"].create_index([("title", -1)], name="hub:title,_id")
    with pytest.raises(ConfigError, match="title"):
        await store.prepare([NOTES], drop_unused=False)
    await store.prepare([NOTES], drop_unused=True)
    information = await client[database_name]["notes"].index_information()
    assert information["hub:title,_id"]["key"] == [("title", 1), ("_id", 1)]


async def test_two_hubs_may_prepare_at_once(make_store: MakeStore, store: MongoStore, mongo_url: str) -> None:
    other = await make_store(mongo_url, hub_id="hub-b")
    await asyncio.gather(*(one.prepare([NOTES], drop_unused=True) for one in (store, other, store, other)))
    assert await store.prepare([NOTES], drop_unused=False) == []


async def test_while_the_feed_runs_reads_at_its_position_can_use_a_new_index_at_once(
    store: MongoStore, client: Client, database_name: str
) -> None:
    feed = Feed(store)
    await feed.next()
    stop = asyncio.Event()

    async def drain() -> None:
        while not stop.is_set():
            await feed.next()

    draining = asyncio.create_task(drain())
    await store.prepare([NOTES], drop_unused=True)
    assert await store.read(IndexRange(BY_TITLE), feed.position) == []
    assert await store.read(IndexRange(BY_NAME), feed.position) == []
    stop.set()
    await draining
    await feed.close()


async def test_a_feed_that_nobody_drains_does_not_block_preparations_for_long(
    store: MongoStore, client: Client, database_name: str
) -> None:
    feed = Feed(store)
    await feed.next()
    async with asyncio.timeout(15):
        await store.prepare([NOTES], drop_unused=True)
    await feed.close()


async def test_an_index_that_was_dropped_by_hand_is_named_by_the_reads_that_need_it(
    store: MongoStore, client: Client, database_name: str
) -> None:
    await store.prepare([NOTES], drop_unused=True)
    feed = Feed(store)
    await feed.next()
    await client[database_name]["notes"].drop_index("hub:title,_id")
    while not feed.commits:
        await feed.next()
    assert feed.commits[0].changes == (TableReset("notes"),)
    with pytest.raises(Unavailable, match="hub:title,_id of notes") as refused:
        await store.read(IndexRange(BY_TITLE), feed.position)
    assert not isinstance(refused.value, SnapshotTooOld)
    await feed.close()
