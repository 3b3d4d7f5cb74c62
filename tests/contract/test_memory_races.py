"""MemoryStore's own: what tests force with it, beyond the contract that it shares with MongoDB."""

from __future__ import annotations

import asyncio
import time

import pytest

from hub.core.commits import RowChange, TableReset
from hub.core.ranges import IndexKey, IndexRange
from hub.errors import Conflict, OutcomeUnknown, SnapshotTooOld, Unavailable
from hub.store import StoreHealth, Update
from hub.testing.memory import MemoryDatabase, MemoryStore
from hub.timestamps import Timestamp
from tests.builders import BY_CHAT, a_batch, a_record, a_row, delete, in_chat, insert, replace, update
from tests.contract.databases import TABLES, Feed

ONE = a_row("m1", chatId="a", createdAt=1)
TWO = a_row("m2", chatId="a", createdAt=2)


@pytest.fixture
async def store() -> MemoryStore:
    store = MemoryStore()
    await store.prepare(TABLES, drop_unused=False)
    return store


@pytest.fixture
async def feed(store: MemoryStore) -> Feed:
    feed = Feed(store)
    await feed.next()
    return feed


def sending(store: MemoryStore, at: Timestamp, name: str = "b", row_id: str = "m1") -> asyncio.Task[Timestamp]:
    return asyncio.create_task(store.transact(a_batch(name, insert(a_row(row_id))), at, time.monotonic() + 10))


async def test_the_feed_can_be_faster_than_the_acknowledgement(store: MemoryStore, feed: Feed) -> None:
    store.acknowledgements.hold()
    sent = sending(store, feed.position)
    await store.acknowledgements.reached()
    await feed.next()
    assert [one.batch for one in feed.commits] == ["b"]
    assert not sent.done()
    store.acknowledgements.release()
    assert await sent == feed.commits[0].ts


async def test_a_held_feed_lags_and_then_brings_everything_in_order(store: MemoryStore, feed: Feed) -> None:
    store.feed.hold()
    stamps = [store.outside(insert(ONE)), store.outside(insert(TWO))]
    reading = asyncio.create_task(feed.next())
    await store.feed.reached()
    assert not reading.done()
    store.feed.release()
    await reading
    assert [one.ts for one in feed.commits] == stamps


async def test_a_foreign_write_can_land_between_a_snapshot_and_its_commit(store: MemoryStore, feed: Feed) -> None:
    store.commits.hold()
    sent = sending(store, feed.position)
    await store.commits.reached()
    store.outside(insert(ONE))
    store.commits.release()
    with pytest.raises(Conflict):
        await sent


async def test_a_write_can_land_between_a_read_and_its_answer(store: MemoryStore, feed: Feed) -> None:
    store.reads.hold()
    reading = asyncio.create_task(store.read(in_chat(), feed.position))
    await store.reads.reached()
    store.outside(insert(ONE))
    store.reads.release()
    assert await reading == []


async def test_history_that_is_lost_is_never_delivered(store: MemoryStore, feed: Feed) -> None:
    store.outside(insert(ONE))
    store.lose_history()
    batch = await feed.next()
    assert batch.resync
    assert feed.commits == []
    assert await store.read(in_chat(), batch.position) == [ONE]
    ts = store.outside(insert(TWO))
    assert await feed.until(ts) == ts
    assert feed.resyncs == 2


async def test_forgotten_history_cannot_be_read(store: MemoryStore, feed: Feed) -> None:
    old, new = feed.position, store.outside(insert(ONE))
    store.database.forget_history()
    with pytest.raises(SnapshotTooOld):
        await store.read(in_chat(), old)
    assert await store.read(in_chat(), new) == [ONE]


@pytest.mark.parametrize(("committed", "rows"), [pytest.param(False, 1, id="before"), pytest.param(True, 2, id="after the commit")])
async def test_a_transaction_can_be_made_to_fail(store: MemoryStore, feed: Feed, committed: bool, rows: int) -> None:
    store.fail_next_transact(OutcomeUnknown("no answer"), committed=committed)
    with pytest.raises(OutcomeUnknown):
        await sending(store, feed.position, "first")
    await feed.until(store.database.elsewhere())
    await sending(store, feed.position, "second", row_id="m2")
    assert len(store.database.rows("messages")) == rows


async def test_a_store_allows_one_transaction_at_a_time(store: MemoryStore, feed: Feed) -> None:
    store.commits.hold()
    first = sending(store, feed.position)
    await store.commits.reached()
    with pytest.raises(AssertionError, match="one call"):
        await sending(store, feed.position)
    store.commits.release()
    await first


async def test_each_follower_of_a_store_gets_everything(store: MemoryStore, feed: Feed) -> None:
    second = Feed(store)
    await second.next()
    ts = store.outside(insert(ONE))
    await asyncio.gather(feed.until(ts), second.until(ts))
    assert feed.commits == second.commits != []


async def test_a_hub_that_is_started_again_does_not_know_its_earlier_commits_by_name() -> None:
    database = MemoryDatabase()
    before, again = MemoryStore(database, name="hub"), MemoryStore(database, name="hub")
    feed = Feed(again)
    at = (await feed.next()).position
    await feed.until(await before.transact(a_batch("old", insert(ONE)), at, time.monotonic() + 10))
    assert [one.batch for one in feed.commits] == [None]


async def test_time_can_pass_without_a_commit(store: MemoryStore, feed: Feed) -> None:
    ts = store.database.elsewhere()
    batch = await feed.next()
    assert (batch.position, batch.commits, batch.resync) == (ts, (), False)


async def test_a_dropped_table_is_a_reset_and_takes_new_rows(store: MemoryStore, feed: Feed) -> None:
    store.outside(insert({**ONE, "clientMessageId": "c1"}))
    dropped = store.database.drop("messages")
    ts = store.outside(insert({**ONE, "clientMessageId": "c1"}))
    await feed.until(ts)
    assert feed.commits[1].changes == (TableReset("messages"),)
    assert await store.get("messages", ["m1"], dropped) == {}


async def test_a_write_that_changes_nothing_is_no_event_and_no_conflict(store: MemoryStore, feed: Feed) -> None:
    at = await feed.until(store.outside(insert(ONE), insert(TWO)))
    store.outside(update(ONE, createdAt=9))
    await store.transact(a_batch("b", update(ONE, createdAt=1.0), replace(TWO)), at, time.monotonic() + 10)
    await feed.until(store.database.now)
    assert feed.commits[-1].changes == ()
    assert (await store.get("messages", ["m1"], feed.position))["m1"]["createdAt"] == 9


async def test_unique_keys_may_change_hands_inside_one_transaction_once_they_are_free(store: MemoryStore, feed: Feed) -> None:
    one, two = {**ONE, "clientMessageId": "c1"}, {**TWO, "clientMessageId": "c2"}
    at = await feed.until(store.outside(insert(one), insert(two)))
    freed = a_batch("ok", delete("m1"), update(two, clientMessageId="c1"))
    await feed.until(await store.transact(freed, at, time.monotonic() + 10))
    too_early = a_batch("no", insert(a_row("m3", chatId="a", clientMessageId="c1")), delete("m2"))
    with pytest.raises(Conflict):
        await store.transact(too_early, feed.position, time.monotonic() + 10)


async def test_an_updates_image_must_be_what_the_update_makes(store: MemoryStore, feed: Feed) -> None:
    at = await feed.until(store.outside(insert(ONE)))
    wrong = Update("messages", "m1", {"createdAt": 2}, (), {**ONE, "createdAt": 3})
    with pytest.raises(AssertionError, match="after"):
        await store.transact(a_batch("b", wrong), at, time.monotonic() + 10)


async def test_a_read_by_an_index_that_nobody_declared_is_a_bug(store: MemoryStore, feed: Feed) -> None:
    with pytest.raises(AssertionError, match="no index"):
        await store.read(IndexRange(IndexKey("messages", ("role", "_id")), ("user",)), feed.position)
    assert BY_CHAT in TABLES[0].indexes


async def test_images_in_the_feed_are_resolved_for_the_committing_store_alone() -> None:
    database = MemoryDatabase()
    mine, theirs = MemoryStore(database, name="a"), MemoryStore(database, name="b")
    here, there = Feed(mine), Feed(theirs)
    await asyncio.gather(here.next(), there.next())
    at = database.outside(insert(ONE))
    await mine.transact(a_batch("b", update(ONE, createdAt=5), records=(a_record(),)), at, time.monotonic() + 10)
    await asyncio.gather(here.until(database.now), there.until(database.now))
    assert here.commits[-1].changes == (RowChange("messages", "m1", "update", {**ONE, "createdAt": 5}),)
    assert there.commits[-1].changes == (RowChange("messages", "m1", "update"),)


async def test_health_is_what_the_test_reports(store: MemoryStore) -> None:
    assert store.health().reason == ""
    store.reported_health = StoreHealth(has_primary=False, feed_is_live=True, lag_s=3.0, reason="no primary")
    assert store.health().reason == "no primary"


async def test_an_expired_deadline_is_known_before_anything_is_written(store: MemoryStore, feed: Feed) -> None:
    with pytest.raises(Unavailable):
        await store.transact(a_batch("b", insert(ONE)), feed.position, time.monotonic())
    assert store.database.rows("messages") == []
