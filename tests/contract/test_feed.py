"""The store's contract: the change feed, and how to know that it has passed something."""

from __future__ import annotations

import asyncio
import time

import pytest

from hub.core.commits import RowChange, TableReset
from hub.core.ranges import IndexKey, IndexRange
from hub.errors import BadRequest, ConfigError
from hub.store import DeclaredTable, Store, StoreHealth, Write
from hub.timestamps import Timestamp
from tests.builders import BY_CHAT, BY_CLIENT_ID, a_batch, a_row, delete, in_chat, insert, replace, update
from tests.contract.conftest import Follow
from tests.contract.databases import PATIENCE_S, TABLES, Database, Feed

ONE = a_row("m1", chatId="a", createdAt=1)
TWO = a_row("m2", chatId="a", createdAt=2)


async def commit(store: Store, at: Timestamp, *writes: Write, name: str = "batch-1") -> Timestamp:
    return await store.transact(a_batch(name, *writes), at, time.monotonic() + 10)


async def test_the_feed_begins_now_with_a_resync_and_nothing_of_the_past(database: Database, store: Store) -> None:
    past = await database.outside(insert(ONE))
    feed = Feed(store)
    first = await feed.next()
    assert first.resync
    assert first.commits == ()
    assert first.position >= past
    assert await store.read(in_chat(), first.position) == [ONE]
    await feed.until(await database.outside(insert(TWO)))
    assert [change for one in feed.commits for change in one.changes] == [RowChange("messages", "m2", "insert", TWO)]
    assert feed.resyncs == 1
    await feed.close()


async def test_others_writes_come_with_the_image_that_a_change_stream_has(database: Database, store: Store, feed: Feed) -> None:
    at = feed.position
    moved = a_row("m2", chatId="b", createdAt=2)
    first = await database.outside(insert(ONE), insert(TWO))
    second = await database.outside(update(ONE, createdAt=5))
    third = await database.outside(replace(moved))
    await feed.until(await database.outside(delete("m1")))
    assert [(one.batch, one.changes) for one in feed.after(at)] == [
        (None, (RowChange("messages", "m1", "insert", ONE), RowChange("messages", "m2", "insert", TWO))),
        (None, (RowChange("messages", "m1", "update"),)),
        (None, (RowChange("messages", "m2", "replace", moved),)),
        (None, (RowChange("messages", "m1", "delete"),)),
    ]
    assert [one.ts for one in feed.commits[:3]] == [first, second, third]
    assert feed.commits[1].changes[0].is_unresolved  # type: ignore[union-attr]  # a RowChange, as asserted


async def test_anothers_transaction_of_300_rows_is_one_commit(database: Database, feed: Feed) -> None:
    ts = await database.outside(*(insert(a_row(f"m{n:03}", chatId="a", createdAt=n)) for n in range(300)))
    await feed.until(ts)
    (one,) = feed.commits
    assert (one.ts, len(one.changes)) == (ts, 300)


async def test_another_hubs_commit_is_in_my_feed_without_its_name(database: Database, store: Store, follow: Follow) -> None:
    other = await database.hub("hub-b")
    feed, theirs = await follow(store), await follow(other)
    ts = await database.outside(insert(ONE))
    await feed.until(ts)
    bound = await commit(other, await theirs.until(ts), update(ONE, createdAt=9), insert(TWO), name="theirs")
    await feed.until(bound)
    await theirs.until(bound)
    (seen_here,), (seen_there,) = feed.after(ts), theirs.after(ts)
    assert seen_here.ts == seen_there.ts
    assert (seen_here.batch, seen_there.batch) == (None, "theirs")
    assert set(map(repr, seen_here.changes)) == {
        repr(RowChange("messages", "m1", "update")),
        repr(RowChange("messages", "m2", "insert", TWO)),
    }


async def test_the_feed_is_in_order_and_says_how_far_it_came(database: Database, feed: Feed) -> None:
    stamps = [await database.outside(insert(a_row(f"m{n}", chatId="a", createdAt=n))) for n in range(20)]
    position = await feed.until(stamps[-1])  # Feed checks each batch's order
    assert [one.ts for one in feed.commits] == stamps
    assert position >= stamps[-1]


async def test_a_position_has_everything_up_to_it_delivered(database: Database, store: Store, feed: Feed) -> None:
    """Replaying the feed on a snapshot gives the snapshot at the feed's position, at every batch."""
    rows = {row["_id"]: row for row in await store.read(in_chat(), feed.position)}
    for n in range(5):
        await database.outside(insert(a_row(f"m{n}", chatId="a", createdAt=n)))
        await database.outside(
            replace(a_row(f"m{n}", chatId="a", createdAt=-n)), delete("m0") if n == 1 else insert(a_row(f"n{n}"))
        )
        batch = await feed.next()
        for change in (change for one in batch.commits for change in one.changes if isinstance(change, RowChange)):
            rows.pop(change.id, None)
            if change.after is not None and change.after.get("chatId") == "a":
                rows[change.id] = change.after
        at_position = await store.read(in_chat(), batch.position)
        assert {row["_id"]: row for row in at_position} == rows


async def test_a_dropped_collection_makes_its_table_stale(database: Database, store: Store, feed: Feed) -> None:
    at = await feed.until(await database.outside(insert(ONE)))
    dropped = await database.drop("messages")
    await feed.until(dropped)
    assert TableReset("messages") in [change for one in feed.after(at) for change in one.changes] or feed.resyncs == 2
    assert await store.get("messages", ["m1"], feed.position) == {}


async def test_a_feed_that_cannot_be_continued_resyncs_once_and_goes_on(database: Database, store: Store, feed: Feed) -> None:
    await feed.until(await database.outside(insert(ONE)))
    await database.lose_history(store)
    while feed.resyncs < 2:
        await feed.next()
    resynced = feed.position
    ts = await database.outside(insert(a_row("m7", chatId="a", createdAt=7)))
    await feed.until(ts)
    assert [one.ts for one in feed.after(resynced)] == [ts]
    assert feed.resyncs == 2


# --- clocks and barriers ----------------------------------------------------------------------------------------------


async def test_a_feed_whose_clocks_reach_mine_has_seen_what_any_hub_acknowledged(
    database: Database, store: Store, follow: Follow
) -> None:
    other = await database.hub("hub-b")
    feed, theirs = await follow(store), await follow(other)
    bound = await commit(other, theirs.position, insert(ONE), name="one")
    await theirs.until(bound)
    snapshot = a_batch("two", insert(TWO), snapshot=True)
    await other.transact(snapshot, theirs.position, time.monotonic() + 10)
    numbers = await store.clocks()
    assert len(numbers) >= 2
    await feed.until_clocks(numbers)
    assert await store.read(in_chat(), feed.position) == [ONE, TWO]
    assert len(feed.commits) == 2


async def test_clocks_of_a_batch_are_those_of_its_position(store: Store, feed: Feed) -> None:
    for n in range(3):
        bound = await commit(store, feed.position, insert(a_row(f"m{n}", chatId="a")), name=f"batch-{n}")
        before = dict(feed.clocks)
        numbers = await store.clocks()
        await feed.until(bound)
        assert feed.clocks != before
        assert feed.clocks == {**before, **numbers}


async def test_a_barrier_is_passed_by_a_feed_that_has_nothing_to_bring(database: Database, store: Store, feed: Feed) -> None:
    ts = await database.outside(insert(ONE))
    barrier = await store.barrier(ts)
    assert barrier >= ts
    await feed.until(barrier)
    assert [one.ts for one in feed.commits] == [ts]
    assert await store.barrier(ts) >= ts


async def test_a_barrier_beyond_the_databases_own_clock_is_refused(store: Store, feed: Feed) -> None:
    with pytest.raises(BadRequest):
        await store.barrier(Timestamp(feed.position + (1000 << 32)))


async def test_health_is_good_while_the_feed_is_followed(store: Store, feed: Feed) -> None:
    await feed.until(await commit(store, feed.position, insert(ONE)))
    health = store.health()
    assert (health.has_primary, health.feed_is_live, health.reason) == (True, True, "")
    assert isinstance(health, StoreHealth)
    assert health.lag_s < PATIENCE_S


async def test_closing_the_store_ends_its_feed(database: Database, store: Store) -> None:
    feed = store.follow()
    assert (await anext(feed)).resync
    reading = asyncio.create_task(anext(feed, None))
    await asyncio.sleep(0)
    await store.close()
    async with asyncio.timeout(PATIENCE_S):
        assert await reading is None


# --- preparing tables -------------------------------------------------------------------------------------------------


async def test_preparing_twice_changes_nothing(store: Store) -> None:
    assert await store.prepare(TABLES, drop_unused=True) == []


async def test_an_index_made_later_has_the_rows_of_before(database: Database, store: Store, follow: Follow) -> None:
    await database.outside(insert(a_row("n1", kind="b"), "notes"), insert(a_row("n2", kind="a"), "notes"))
    by_kind = IndexKey("notes", ("kind", "_id"))
    notes = await store.prepare([*TABLES, DeclaredTable("notes", (by_kind,))], drop_unused=False)
    assert any("notes" in note for note in notes)
    feed = await follow(store)
    assert [row["_id"] for row in await store.read(IndexRange(by_kind), feed.position)] == ["n2", "n1"]
    await feed.until(await database.outside(insert(a_row("n3", kind="c"), "notes")))
    assert [row["_id"] for row in await store.read(IndexRange(by_kind), feed.position)] == ["n2", "n1", "n3"]


async def test_an_index_that_nobody_declares_is_left_over_or_dropped(store: Store) -> None:
    fewer = [DeclaredTable("messages", (BY_CHAT,)), *TABLES[1:]]
    left_over = await store.prepare(fewer, drop_unused=False)
    assert len(left_over) == 1
    assert "clientMessageId" in left_over[0]
    assert len(await store.prepare(fewer, drop_unused=True)) == 1
    assert await store.prepare(fewer, drop_unused=True) == []


async def test_duplicates_under_a_new_unique_index_are_refused(database: Database, store: Store) -> None:
    await store.prepare([DeclaredTable("messages", (BY_CHAT,)), *TABLES[1:]], drop_unused=True)
    await database.outside(*(insert(a_row(f"m{n}", chatId="a", clientMessageId="c1")) for n in range(2)))
    with pytest.raises(ConfigError, match="messages"):
        await store.prepare([DeclaredTable("messages", (BY_CHAT, BY_CLIENT_ID)), *TABLES[1:]], drop_unused=True)
