"""The change feed on a real server: cut off, lost, silent."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import bson
import pytest
from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure

from hub.clock import SystemClock
from hub.core.commits import RowChange, TableReset
from hub.core.ranges import IndexRange
from hub.errors import InvalidRow
from hub.mongo.batches import OwnBatches
from hub.mongo.changefeed import Changefeed
from hub.mongo.driver import DriverName, Link, LinkOptions, Session, connect
from hub.mongo.store import MongoStore
from hub.store import DeclaredTable
from hub.timestamps import Timestamp
from tests.builders import BY_CHAT, a_batch, a_row, in_chat, insert
from tests.contract.databases import Feed
from tests.mongo.conftest import MESSAGES, Client, Line, MakeStore

pytestmark = pytest.mark.real


async def cut_off(client: Client, database: str) -> None:
    """End the feed's session on the server, with the cursor in it."""
    async with await client.admin.aggregate(
        [
            {"$currentOp": {"allUsers": False, "idleCursors": True, "idleSessions": True}},
            {"$match": {"ns": f"{database}.$cmd.aggregate", "lsid": {"$exists": True}}},
        ]
    ) as found:
        sessions = [{"id": one["lsid"]["id"]} async for one in found]
    assert sessions
    await client.admin.command({"killSessions": sessions})


async def marked(feed: Feed, client: Client, database: str) -> list[Any]:
    """Everything the feed brought before a marker row of somebody else's."""
    await client[database]["messages"].insert_one({"_id": "marker"})
    while not any(is_marker(change) for one in feed.commits for change in one.changes):
        await feed.next()
    return [change for one in feed.commits for change in one.changes if not is_marker(change)]


def is_marker(change: RowChange | TableReset) -> bool:
    return isinstance(change, RowChange) and change.id == "marker"


async def test_a_feed_reopened_in_front_of_a_300_row_transaction_brings_it_whole(
    store: MongoStore, client: Client, database_name: str
) -> None:
    feed = Feed(store)
    await feed.next()
    rows = [a_row(f"m{n:03}", chatId="a", createdAt=n) for n in range(300)]
    async with client.start_session() as session, await session.start_transaction():
        await client[database_name]["messages"].insert_many(rows, session=session)
    await cut_off(client, database_name)
    await marked(feed, client, database_name)
    assert [len(one.changes) for one in feed.commits] == [300, 1]
    assert (feed.resyncs, store.resyncs, store.reopenings) == (1, 0, 1)
    await feed.close()


async def test_a_feed_that_is_cut_off_again_and_again_misses_nothing_and_repeats_nothing(
    store: MongoStore, client: Client, database_name: str
) -> None:
    feed = Feed(store)
    await feed.next()
    for n in range(4):
        await client[database_name]["messages"].insert_one({"_id": f"a{n}"})
        await cut_off(client, database_name)
        await client[database_name]["messages"].insert_one({"_id": f"b{n}"})
        while len(feed.commits) < 2 * (n + 1):
            await feed.next()
    assert [change.id for change in await marked(feed, client, database_name)] == [f"{x}{n}" for n in range(4) for x in "ab"]
    assert store.resyncs == 0
    await feed.close()


async def test_a_transaction_larger_than_a_reply_is_one_commit(store: MongoStore, client: Client, database_name: str) -> None:
    feed = Feed(store)
    await feed.next()
    async with client.start_session() as session, await session.start_transaction():
        for n in range(20):
            await client[database_name]["messages"].insert_one({"_id": f"m{n}", "text": "x" * 1_000_000}, session=session)
    await marked(feed, client, database_name)
    assert [len(one.changes) for one in feed.commits] == [20, 1]
    await feed.close()


async def test_on_a_quiet_server_a_fresh_feed_can_be_read_at_and_brings_the_very_next_write(
    store: MongoStore, client: Client, database_name: str
) -> None:
    for n in range(3):
        feed = Feed(store)
        first = await feed.next()
        await store.read(IndexRange(BY_CHAT), first.position)
        await client[database_name]["messages"].insert_one({"_id": f"m{n}"})
        while not feed.commits:
            await feed.next()
        assert [change.id for one in feed.commits for change in one.changes if isinstance(change, RowChange)] == [f"m{n}"]
        await feed.close()


async def test_a_dropped_database_is_a_resync_after_which_the_hub_works_as_before(
    store: MongoStore, client: Client, database_name: str
) -> None:
    feed = Feed(store)
    await feed.next()
    await client.drop_database(database_name)
    while feed.resyncs < 2:
        await feed.next()
    resets = [change for one in feed.commits for change in one.changes]
    assert resets == [TableReset("messages")]
    assert store.resyncs == 1
    bound = await store.transact(a_batch("b", insert(a_row(chatId="a"))), feed.position, time.monotonic() + 10)
    await feed.until(bound)
    assert await store.read(IndexRange(BY_CHAT), feed.position) == [a_row(chatId="a")]
    await feed.close()


class Refusing(Link):
    """A link whose server refuses what `refuse` is set to, with an error of this code, and talks nonsense once to `garble`."""

    refuse: tuple[str, int] | None = None
    garble: str | None = None

    async def raw_command(self, command: Any, session: Session) -> RawBSONDocument:
        if self.refuse is not None and self.refuse[0] in command:
            raise OperationFailure("refused by the test", self.refuse[1])
        reply = await super().raw_command(command, session)
        if self.garble is not None and self.garble in command:
            self.garble = None
            return RawBSONDocument(bson.encode({"cursor": {"id": 1, "nextBatch": [{"strange": True}]}}))
        return reply


@pytest.fixture
async def link(mongo_url: str, database_name: str) -> Any:
    link = connect(mongo_url, database_name, "pymongo", LinkOptions("hub feed test"))
    link.__class__ = Refusing
    yield link
    await link.close()


def a_changefeed(link: Link) -> Changefeed:
    async def no_clocks(_: Timestamp) -> dict[str, int]:
        return {}

    async def nothing_to_make() -> None:
        raise AssertionError("nothing was dropped")

    return Changefeed(link, OwnBatches(), SystemClock(), read_clocks=no_clocks, recreate=nothing_to_make)


@pytest.mark.parametrize(
    ("step", "code"),
    [
        pytest.param("getMore", 286, id="history lost"),
        pytest.param("getMore", 10334, id="an event too large"),
        pytest.param("aggregate", 286, id="history lost when reopening"),
        pytest.param("aggregate", 260, id="a token that is none"),
    ],
)
async def test_a_dead_token_is_a_fresh_stream_and_never_tried_twice(link: Refusing, step: str, code: int) -> None:
    feed = a_changefeed(link)
    batches = feed.follow()
    assert (await anext(batches)).resync
    if step == "aggregate":
        link.refuse = ("getMore", 43)
    else:
        link.refuse = (step, code)
    reading = asyncio.ensure_future(anext(batches))
    while feed.resyncs == 0 and not reading.done():
        await asyncio.sleep(0.01)
        if step == "aggregate" and feed.reopenings == 1:
            link.refuse = (step, code)
    link.refuse = None
    async with asyncio.timeout(10):
        assert (await reading).resync
    assert feed.resyncs == 1
    await batches.aclose()


async def test_the_positions_of_a_feed_with_nothing_to_say_move_on_with_others_databases(
    store: MongoStore, client: Client, database_name: str
) -> None:
    feed = Feed(store)
    start = (await feed.next()).position
    for n in range(3):
        await client[f"{database_name}_other"]["rows"].insert_one({"n": n})
        await feed.next()
    await client.drop_database(f"{database_name}_other")
    assert feed.position > start
    assert feed.commits == []
    await feed.close()


async def test_a_silent_feed_shows_in_the_stores_health(line: Line, make_store: MakeStore) -> None:
    store = await make_store(line.url)
    assert not store.health().feed_is_live
    feed = Feed(store)
    await feed.next()
    await feed.next()
    assert (store.health().feed_is_live, store.health().reason) == (True, "")
    assert store.health().lag_s < 3
    line.lose("aggregate", 10_000)
    line.lose("getMore", 10_000)
    reading = asyncio.create_task(feed.next())
    async with asyncio.timeout(8):
        while store.health().feed_is_live:  # noqa: ASYNC110  # it is a matter of time
            await asyncio.sleep(0.05)
    assert store.health().reason
    assert store.health().lag_s > 1
    line.restore()
    await reading
    assert store.health().feed_is_live
    assert store.resyncs == 0
    await feed.close()


@pytest.mark.parametrize("driver", ["pymongo", "motor"])
async def test_a_reply_that_does_not_come_in_time_is_given_up_and_nothing_is_missed(
    mongo_url: str, client: Client, database_name: str, driver: DriverName
) -> None:
    link = connect(mongo_url, database_name, driver, LinkOptions("hub impatient test", reply_timeout_s=0.2))
    feed = a_changefeed(link)  # which has the server hold a reply for a second when there is nothing to say
    feed.declare(["messages"])
    batches = feed.follow()
    assert (await anext(batches)).resync
    reading = asyncio.ensure_future(anext(batches))
    async with asyncio.timeout(10):
        while feed.reopenings == 0:  # noqa: ASYNC110  # it is a matter of time
            await asyncio.sleep(0.01)
        await client[database_name]["messages"].insert_one({"_id": "m1"})
        commits = list((await reading).commits)
        while not commits:
            commits += (await anext(batches)).commits
    assert [change.id for commit in commits for change in commit.changes if isinstance(change, RowChange)] == ["m1"]
    assert feed.resyncs == 0
    await batches.aclose()
    await link.close()


def not_utf8(row_id: str) -> RawBSONDocument:
    """A row as some software in another language may store it."""
    return RawBSONDocument(bson.encode({"_id": row_id, "chatId": "a", "text": "ZZ"}).replace(b"ZZ\0", b"\xff\xfe\0"))


@pytest.mark.parametrize(
    "row",
    [
        pytest.param({"_id": {"day": 1}, "chatId": "a"}, id="an id that is an object"),
        pytest.param({"_id": 7, "chatId": "a"}, id="an id that is a number"),
        pytest.param(not_utf8("bad"), id="a string that is not UTF-8"),
    ],
)
async def test_a_row_that_no_hub_could_write_resets_its_table_and_fails_the_reads_that_meet_it(
    store: MongoStore, client: Client, database_name: str, row: Any
) -> None:
    feed = Feed(store)
    await feed.next()
    await client[database_name]["others"].insert_one(row)
    await client[database_name]["messages"].insert_one(row)
    await client[database_name]["messages"].insert_one({"_id": "m1", "chatId": "b"})
    assert await marked(feed, client, database_name) == [
        TableReset("messages"),
        RowChange("messages", "m1", "insert", {"_id": "m1", "chatId": "b"}),
    ]
    with pytest.raises(InvalidRow, match="messages"):
        await store.read(in_chat("a"), feed.position)
    assert [found["_id"] for found in await store.read(in_chat("b"), feed.position)] == ["m1"]
    assert set(await store.get("messages", ["m1", "m2"], feed.position)) == {"m1"}
    assert store.resyncs == 0
    await feed.close()


async def test_a_row_that_cannot_be_decoded_fails_the_reads_by_its_id(
    store: MongoStore, client: Client, database_name: str
) -> None:
    feed = Feed(store)
    await feed.next()
    await client[database_name]["messages"].insert_one(not_utf8("bad"))
    await marked(feed, client, database_name)
    with pytest.raises(InvalidRow, match="messages"):
        await store.get("messages", ["bad"], feed.position)
    await feed.close()


async def test_a_reply_that_nobody_understands_is_a_resync_with_a_traceback_in_the_log(
    link: Refusing, caplog: pytest.LogCaptureFixture
) -> None:
    feed = a_changefeed(link)
    batches = feed.follow()
    assert (await anext(batches)).resync
    link.garble = "getMore"
    assert (await anext(batches)).resync
    assert feed.resyncs == 1
    assert any(record.levelname == "ERROR" and record.exc_info for record in caplog.records)
    assert not (await anext(batches)).resync
    await batches.aclose()


async def test_a_table_declared_while_the_feed_runs_is_reset_once_and_followed_from_there(
    store: MongoStore, client: Client, database_name: str
) -> None:
    notes = client[database_name]["notes"]
    await notes.insert_one({"_id": "before"})
    feed = Feed(store)
    await feed.next()
    await notes.insert_one({"_id": "left out"})
    await feed.until(await store.barrier(feed.position))
    preparing = asyncio.create_task(store.prepare([MESSAGES, DeclaredTable("notes", ())], drop_unused=False))
    await client[database_name]["elsewhere"].insert_one({})  # without writes the database's time stands still for up to 10 s
    while not (preparing.done() and feed.commits):
        await feed.next()
    await notes.insert_one({"_id": "after"})
    changes = await marked(feed, client, database_name)
    assert changes == [TableReset("notes"), RowChange("notes", "after", "insert", {"_id": "after"})]
    await feed.close()
