"""The store's contract: transactions, clock rows, request records."""

from __future__ import annotations

import time

import pytest

from hub.core.commits import RowChange
from hub.errors import Conflict, DuplicateKey, Unavailable
from hub.store import CLOCK, Store, Write, WriteBatch
from hub.timestamps import Timestamp
from tests.builders import a_batch, a_record, a_row, delete, in_chat, insert, replace, update
from tests.contract.conftest import Follow
from tests.contract.databases import Database, Feed

ONE = a_row("m1", chatId="a", createdAt=1)
TWO = a_row("m2", chatId="a", createdAt=2)
BYSTANDER = insert(a_row("m9", chatId="z", createdAt=9))
"""Written first by a transaction that will lose: it must not be there afterwards."""


async def commit(store: Store, at: Timestamp, *writes: Write, name: str = "batch-1", snapshot: bool = False) -> Timestamp:
    return await transact(store, a_batch(name, *writes, snapshot=snapshot), at)


async def transact(store: Store, batch: WriteBatch, at: Timestamp) -> Timestamp:
    return await store.transact(batch, at, time.monotonic() + 10)


async def test_a_transaction_comes_back_in_the_feed_whole_and_named(database: Database, store: Store, feed: Feed) -> None:
    at = await feed.until(await database.outside(insert(ONE), insert(TWO), insert(a_row("u1", externalId="e"), "users")))
    three, four = a_row("m3", chatId="b", createdAt=3), a_row("u1", externalId="e", email="a@b.c")
    bound = await commit(store, at, insert(three), update(ONE, createdAt=7), delete("m2"), replace(four, "users"), name="mine")
    await feed.until(bound)
    (mine,) = feed.after(at)
    assert at < mine.ts <= bound
    assert mine.batch == "mine"
    assert sorted(mine.changes, key=lambda change: str(change.id) if isinstance(change, RowChange) else "") == [
        RowChange("messages", "m1", "update", a_row("m1", chatId="a", createdAt=7)),
        RowChange("messages", "m2", "delete"),
        RowChange("messages", "m3", "insert", three),
        RowChange("users", "u1", "replace", four),
    ]


async def test_a_commit_is_seen_by_reads_from_its_timestamp_on(database: Database, store: Store, feed: Feed) -> None:
    at = await feed.until(await database.outside(insert(ONE)))
    bound = await commit(store, at, insert(TWO), update(ONE, unset=("createdAt",), chatId="b"))
    await feed.until(bound)
    (mine,) = feed.after(at)
    assert await store.get("messages", ["m1", "m2"], at) == {"m1": ONE}
    assert await store.get("messages", ["m1", "m2"], mine.ts) == {"m1": a_row("m1", chatId="b"), "m2": TWO}
    assert await store.read(in_chat("a"), feed.position) == [TWO]


async def test_transactions_follow_each_other_each_at_the_position_that_passed_the_last(store: Store, feed: Feed) -> None:
    start = feed.position
    for n in range(5):
        bound = await commit(store, feed.position, insert(a_row(f"m{n}", chatId="a", createdAt=n)), name=f"batch-{n}")
        await feed.until(bound)
    assert [one.batch for one in feed.after(start)] == [f"batch-{n}" for n in range(5)]
    assert len(await store.read(in_chat(), feed.position)) == 5


async def test_a_large_transaction_is_one_commit(store: Store, feed: Feed) -> None:
    start = feed.position
    await feed.until(await commit(store, start, *(insert(a_row(f"m{n:03}", chatId="a", createdAt=n)) for n in range(300))))
    (mine,) = feed.after(start)
    assert len(mine.changes) == 300


# --- conflicts: something that it writes changed after `at`, whoever changed it ----------------------------------------


@pytest.mark.parametrize("snapshot", [pytest.param(False, id="serializable"), pytest.param(True, id="snapshot")])
@pytest.mark.parametrize(
    ("meanwhile", "write"),
    [
        pytest.param(update(ONE, createdAt=5), update(ONE, createdAt=6), id="both update a row"),
        pytest.param(delete("m1"), update(ONE, createdAt=6), id="it updates what was deleted"),
        pytest.param(update(ONE, createdAt=5), delete("m1"), id="it deletes what was updated"),
        pytest.param(replace(a_row("m1", chatId="c")), replace(a_row("m1", chatId="d")), id="both replace a row"),
        pytest.param(insert(TWO), insert(a_row("m2", chatId="other", createdAt=3)), id="both insert an id"),
        pytest.param(delete("m1"), insert(ONE), id="it inserts the id of a row deleted after its snapshot"),
        pytest.param(
            insert(a_row("m5", chatId="a", clientMessageId="c1")),
            insert(a_row("m6", chatId="a", clientMessageId="c1")),
            id="both insert a unique key",
        ),
        pytest.param(
            insert(a_row("m5", chatId="a", clientMessageId="c1")),
            update(ONE, clientMessageId="c1"),
            id="it moves a row to a unique key just taken",
        ),
    ],
)
async def test_a_transaction_loses_against_what_changed_after_its_snapshot(
    database: Database, store: Store, feed: Feed, meanwhile: Write, write: Write, snapshot: bool
) -> None:
    at = await feed.until(await database.outside(insert(ONE)))
    clocks = await store.clocks()
    since = await database.outside(meanwhile)
    with pytest.raises(Conflict):
        await commit(store, at, BYSTANDER, write, snapshot=snapshot)
    await feed.until(await database.outside(insert(a_row("u1", externalId="marker"), "users")))
    assert await store.get("messages", ["m9"], feed.position) == {}
    assert await store.clocks() == clocks
    assert all(one.batch is None for one in feed.commits)
    assert (await store.get("messages", [write.id], feed.position)) == (await store.get("messages", [write.id], since))


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(insert(a_row("m1", chatId="other")), id="an id"),
        pytest.param(insert(a_row("m5", chatId="a", clientMessageId="c1")), id="a unique key of a new row"),
        pytest.param(update(TWO, clientMessageId="c1"), id="a unique key of a row that moves to it"),
    ],
)
async def test_a_key_that_exists_already_is_a_conflict_and_the_next_transaction_goes_through(
    database: Database, store: Store, feed: Feed, write: Write
) -> None:
    at = await feed.until(await database.outside(insert({**ONE, "clientMessageId": "c1"}), insert(TWO)))
    with pytest.raises(DuplicateKey):
        await commit(store, at, BYSTANDER, write, name="lost")
    bound = await commit(store, at, insert(a_row("m7", chatId="a", createdAt=7, clientMessageId="c2")), name="won")
    await feed.until(bound)
    assert [one.batch for one in feed.after(at)] == ["won"]
    assert set(await store.get("messages", ["m1", "m2", "m5", "m7", "m9"], feed.position)) == {"m1", "m2", "m7"}


async def test_rows_without_the_fields_of_a_partial_unique_index_do_not_collide(store: Store, feed: Feed) -> None:
    bound = await commit(store, feed.position, insert(a_row("m1", chatId="a")), insert(a_row("m2", chatId="a")))
    await feed.until(bound)
    assert len(await store.get("messages", ["m1", "m2"], feed.position)) == 2


async def test_a_row_that_nobody_touched_may_be_written_at_an_older_position(database: Database, store: Store, feed: Feed) -> None:
    at = await feed.until(await database.outside(insert(ONE), insert(TWO)))
    await database.outside(update(TWO, createdAt=8))
    await feed.until(await commit(store, at, update(ONE, createdAt=9)))
    found = await store.get("messages", ["m1", "m2"], feed.position)
    assert (found["m1"]["createdAt"], found["m2"]["createdAt"]) == (9, 8)


# --- isolation: the clock row -----------------------------------------------------------------------------------------


async def test_a_serializable_transaction_at_a_position_before_the_last_one_loses(store: Store, feed: Feed) -> None:
    at = feed.position
    await commit(store, at, insert(ONE), name="first")
    with pytest.raises(Conflict):
        await commit(store, at, insert(TWO), name="second")


async def test_write_skew_between_two_hubs_is_refused(database: Database, store: Store, follow: Follow) -> None:
    other = await database.hub("hub-b")
    feed, theirs = await follow(store), await follow(other)
    ts = await database.outside(insert(ONE), insert(TWO))
    mine_at, their_at = await feed.until(ts), await theirs.until(ts)
    await commit(store, mine_at, update(ONE, createdAt=0), name="mine")
    with pytest.raises(Conflict):  # it read ONE and writes TWO
        await commit(other, their_at, update(TWO, createdAt=0), name="theirs")


async def test_write_skew_is_possible_under_snapshot_isolation(database: Database, store: Store, follow: Follow) -> None:
    other = await database.hub("hub-b")
    feed, theirs = await follow(store), await follow(other)
    ts = await database.outside(insert(ONE), insert(TWO))
    mine_at, their_at = await feed.until(ts), await theirs.until(ts)
    mine = await commit(store, mine_at, update(ONE, createdAt=0), name="mine", snapshot=True)
    bound = await commit(other, their_at, update(TWO, createdAt=0), name="theirs", snapshot=True)
    await feed.until(max(mine, bound))
    assert [row["createdAt"] for row in await store.read(in_chat(), feed.position)] == [0, 0]


async def test_a_serializable_commit_moves_the_one_clock_and_a_snapshot_commit_its_own_hubs(
    database: Database, store: Store, feed: Feed
) -> None:
    before = await store.clocks()
    await feed.until(await commit(store, feed.position, insert(ONE), name="one"))
    serializable = await store.clocks()
    assert moved(before, serializable) == {CLOCK}
    await feed.until(await commit(store, feed.position, insert(TWO), name="two", snapshot=True))
    snapshot = await store.clocks()
    assert len(moved(serializable, snapshot)) == 1
    assert CLOCK not in moved(serializable, snapshot)
    assert all(number >= before.get(name, 0) for name, number in snapshot.items())


async def test_outsiders_move_no_clock(database: Database, store: Store, feed: Feed) -> None:
    before = await store.clocks()
    await database.outside(insert(ONE))
    assert await store.clocks() == before


def moved(before: dict[str, int], after: dict[str, int]) -> set[str]:
    return {name for name, number in after.items() if number > before.get(name, 0)}


# --- request records --------------------------------------------------------------------------------------------------


async def test_a_record_is_committed_with_the_writes_and_found_from_then_on(store: Store, feed: Feed) -> None:
    at, record = feed.position, a_record("ws:s:1", outcome=b"\x00answer", caller="me", body="hash")
    await feed.until(await transact(store, a_batch("b", insert(ONE), records=(record,)), at))
    (mine,) = feed.after(at)
    assert await store.get_records(["ws:s:1"], at) == {}
    assert (await store.get_records(["ws:s:1"], mine.ts))["ws:s:1"] == record
    assert await store.get_records(["ws:s:2"], mine.ts) == {}
    assert [change.table for change in mine.changes] == ["messages"]


async def test_a_record_alone_is_a_commit_without_row_changes(store: Store, feed: Feed) -> None:
    at, records = feed.position, (a_record("ws:s:1"), a_record("ws:s:2", outcome=b"error"))
    await feed.until(await transact(store, a_batch("b", records=records), at))
    (mine,) = feed.after(at)
    assert (mine.batch, mine.changes) == ("b", ())
    assert (await store.get_records(["ws:s:2"], mine.ts))["ws:s:2"] == records[1]


async def test_a_lost_transaction_leaves_no_record(database: Database, store: Store, feed: Feed) -> None:
    at = feed.position
    await database.outside(insert(ONE))
    with pytest.raises(Conflict):
        await transact(store, a_batch("b", insert(ONE), records=(a_record("ws:s:1"),)), at)
    await feed.until(await database.outside(insert(TWO)))
    assert await store.get_records(["ws:s:1"], feed.position) == {}


@pytest.mark.parametrize("snapshot", [pytest.param(False, id="serializable"), pytest.param(True, id="snapshot")])
async def test_a_repeat_that_races_on_another_hub_loses_and_then_finds_the_record(
    database: Database, store: Store, follow: Follow, snapshot: bool
) -> None:
    other = await database.hub("hub-b")
    feed, theirs = await follow(store), await follow(other)
    record = a_record("ws:s:1", outcome=b"first")
    bound = await transact(store, a_batch("b1", insert(ONE), records=(record,), snapshot=snapshot), feed.position)
    repeat = a_batch("b2", insert(TWO), records=(a_record("ws:s:1", outcome=b"second"),), snapshot=snapshot)
    with pytest.raises(Conflict):
        await transact(other, repeat, theirs.position)
    await theirs.until(bound)
    assert (await other.get_records(["ws:s:1"], theirs.position))["ws:s:1"] == record
    assert await other.get("messages", ["m2"], theirs.position) == {}


# --- the look before the commit ---------------------------------------------------------------------------------------


async def test_a_transaction_tells_a_time_that_is_not_before_what_anybody_was_told(
    database: Database, store: Store, feed: Feed
) -> None:
    at = feed.position
    told = await database.outside(insert(TWO))
    looked: list[Timestamp] = []

    async def look(now: Timestamp) -> None:
        looked.append(now)

    bound = await store.transact(a_batch("b", insert(ONE)), at, time.monotonic() + 10, look)

    assert len(looked) == 1
    assert told <= looked[0] <= bound


async def test_a_transaction_that_is_called_off_before_its_commit_wrote_nothing(store: Store, feed: Feed) -> None:
    async def call_off(now: Timestamp) -> None:
        raise Conflict("what was read has changed")

    with pytest.raises(Conflict, match="what was read has changed"):
        await store.transact(a_batch("off", insert(ONE), records=(a_record(),)), feed.position, time.monotonic() + 10, call_off)

    await feed.until(await commit(store, feed.position, insert(TWO), name="next"))
    assert set(await store.get("messages", ["m1", "m2"], feed.position)) == {"m2"}
    assert [one.batch for one in feed.commits] == ["next"]


# --- deadlines --------------------------------------------------------------------------------------------------------


async def test_a_transaction_whose_deadline_passed_writes_nothing(database: Database, store: Store, feed: Feed) -> None:
    with pytest.raises(Unavailable):
        await store.transact(a_batch("late", insert(ONE), records=(a_record("ws:s:1"),)), feed.position, time.monotonic() - 1)
    await feed.until(await commit(store, feed.position, insert(TWO), name="next"))
    assert set(await store.get("messages", ["m1", "m2"], feed.position)) == {"m2"}
    assert await store.get_records(["ws:s:1"], feed.position) == {}
