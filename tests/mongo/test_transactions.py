"""Transactions when answers get lost, servers die, calls are cancelled, and rows do not fit."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import signal
import time
from typing import Any

import pytest
from pymongo.write_concern import WriteConcern

from hub.clock import SystemClock
from hub.core.commits import BatchId, RowChange
from hub.core.ranges import IndexRange
from hub.errors import (
    Conflict,
    DeadlineExceeded,
    DuplicateKey,
    FunctionError,
    HubError,
    InvalidRow,
    LimitExceeded,
    OutcomeUnknown,
    Unavailable,
    UniqueViolation,
)
from hub.mongo.batches import OwnBatches
from hub.mongo.driver import DriverName, Link, LinkOptions, Session, connect
from hub.mongo.embedded import EmbeddedMongod
from hub.mongo.holders import Holders
from hub.mongo.store import MongoStore
from hub.mongo.transactions import Transactions
from hub.store import CLOCK, Update, Write
from hub.timestamps import Timestamp
from tests.builders import BY_CHAT, a_batch, a_record, a_row, delete, insert, replace, update
from tests.contract.databases import Feed
from tests.mongo.conftest import MESSAGES, Client, Line, MakeStore

pytestmark = pytest.mark.real

DRIVERS: tuple[DriverName, ...] = ("pymongo", "motor")


async def commit(store: MongoStore, at: Timestamp, *writes: Write, name: str = "batch", within_s: float = 10) -> Timestamp:
    return await store.transact(a_batch(name, *writes), at, time.monotonic() + within_s)


async def followed(store: MongoStore) -> Feed:
    feed = Feed(store)
    await feed.next()
    return feed


async def open_transactions(client: Client, database: str) -> list[dict[str, Any]]:
    """The sessions that sequencers of this database have a transaction in."""
    async with await client.admin.aggregate(
        [
            {"$currentOp": {"allUsers": False, "idleSessions": True}},
            {"$match": {"appName": f"hub sequencer {database}", "transaction": {"$exists": True}}},
        ]
    ) as found:
        return [{"id": one["lsid"]["id"]} async for one in found]


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("how", ["lose_answers_to", "lose"])
async def test_a_commit_whose_answer_is_lost_happens_once(line: Line, make_store: MakeStore, driver: DriverName, how: str) -> None:
    store = await make_store(line.url, driver=driver)
    feed = await followed(store)
    before = feed.position
    getattr(line, how)("commitTransaction", 2)
    bound = await commit(store, before, insert(a_row(chatId="a")), name="mine")
    await feed.until(bound)
    assert [one.batch for one in feed.after(before)] == ["mine"]
    assert (await store.clocks())[CLOCK] == 1
    await feed.close()


@pytest.mark.parametrize("command", ["update", "insert"])
async def test_a_connection_lost_before_the_commit_is_tried_again_within_the_deadline(
    line: Line, make_store: MakeStore, command: str
) -> None:
    store = await make_store(line.url)
    feed = await followed(store)
    line.lose_answers_to(command)
    bound = await commit(store, feed.position, insert(a_row(chatId="a")), name="mine")
    await feed.until(bound)
    assert [one.batch for one in feed.commits] == ["mine"]
    assert (await store.clocks())[CLOCK] == 1
    await feed.close()


async def test_past_the_deadline_the_outcome_is_unknown_and_the_next_call_finds_out_first(
    line: Line, make_store: MakeStore
) -> None:
    store = await make_store(line.url)
    feed = await followed(store)
    before = feed.position
    line.lose("commitTransaction", 10_000)
    with pytest.raises(OutcomeUnknown):
        await commit(store, before, insert(a_row("m1", chatId="a")), name="in doubt", within_s=1)
    with pytest.raises(Unavailable):
        await commit(store, before, insert(a_row("m2", chatId="a")), name="too soon", within_s=1)
    line.restore()
    with pytest.raises(Conflict):  # the one before did happen, and moved the clock
        await commit(store, before, insert(a_row("m2", chatId="a")), name="second")
    while not feed.commits:
        await feed.next()
    await feed.until(await commit(store, feed.position, insert(a_row("m2", chatId="a")), name="third"))
    assert [one.batch for one in feed.commits] == ["in doubt", "third"]
    await feed.close()


async def test_the_feed_is_proof_of_a_commit_that_nobody_acknowledges(line: Line, make_store: MakeStore) -> None:
    store = await make_store(line.url)
    feed = await followed(store)
    line.lose_answers_to("commitTransaction", 10_000)
    call = asyncio.create_task(commit(store, feed.position, insert(a_row(chatId="a")), name="mine"))
    while not feed.commits:
        await feed.next()
    async with asyncio.timeout(5):
        assert await call >= feed.commits[0].ts
    assert feed.commits[0].batch == "mine"
    await feed.close()


async def test_a_lost_commit_that_never_happened_is_a_conflict(
    line: Line, make_store: MakeStore, client: Client, database_name: str
) -> None:
    """The server ended the transaction while the answer to its commit was awaited."""
    store = await make_store(line.url)
    feed = await followed(store)
    line.lose("commitTransaction", 3)
    call = asyncio.create_task(commit(store, feed.position, insert(a_row(chatId="a")), name="mine"))
    while not (sessions := await open_transactions(client, database_name)):
        pass
    await client.admin.command({"killSessions": sessions})
    with pytest.raises(Conflict):
        await call
    bound = await commit(store, feed.position, insert(a_row(chatId="a")), name="again")
    await feed.until(bound)
    assert [one.batch for one in feed.commits] == ["again"]
    await feed.close()


async def applied_and_forgotten(line: Line, client: Client, database: str) -> None:
    """The commit has happened, its answers got lost, and the server no longer knows of the session."""
    while not await client[database]["messages"].find_one({"_id": "m1"}):
        pass
    unacknowledged = WriteConcern(0)  # anything else is sent on a session, and refused
    await client["config"]["transactions"].with_options(write_concern=unacknowledged).delete_many({})
    while await client["config"]["transactions"].find_one({}):
        pass


async def test_a_commit_that_the_server_has_forgotten_is_known_by_the_clock_row(
    line: Line, make_store: MakeStore, client: Client, database_name: str
) -> None:
    store = await make_store(line.url)
    feed = await followed(store)
    line.lose_answers_to("commitTransaction", 10_000)
    call = asyncio.create_task(commit(store, feed.position, insert(a_row("m1", chatId="a")), name="mine"))
    await applied_and_forgotten(line, client, database_name)
    line.restore()
    bound = await call
    await feed.until(bound)
    assert [one.batch for one in feed.commits] == ["mine"]
    await feed.until(await commit(store, feed.position, insert(a_row("m2", chatId="a")), name="next"))
    assert (await store.clocks())[CLOCK] == 2
    await feed.close()


async def moved_on(make_store: MakeStore, url: str) -> None:
    """Another hub commits twice."""
    other = await make_store(url, hub_id="hub-b")
    theirs = await followed(other)
    for name in ("theirs-1", "theirs-2"):
        await theirs.until(await commit(other, theirs.position, insert(a_row(name)), name=name))
    await theirs.close()


@pytest.mark.parametrize("is_followed", [True, False])
async def test_a_forgotten_commit_behind_others_is_told_by_the_feed_or_unknown_and_never_a_conflict(
    line: Line, make_store: MakeStore, client: Client, mongo_url: str, database_name: str, is_followed: bool
) -> None:
    store = await make_store(line.url)
    feed = await followed(store)
    at = feed.position
    line.lose_answers_to("commitTransaction", 10_000)
    within_s = 20 if is_followed else 4  # who is not followed waits for its end
    call = asyncio.create_task(commit(store, at, insert(a_row("m1", chatId="a")), name="mine", within_s=within_s))
    await applied_and_forgotten(line, client, database_name)
    await moved_on(make_store, mongo_url)
    line.restore()
    if is_followed:
        while not feed.commits:
            await feed.next()
        assert await call >= feed.commits[0].ts
    else:
        with pytest.raises(OutcomeUnknown):
            await call
    await feed.until(await store.barrier(feed.position))
    await feed.until(await commit(store, feed.position, insert(a_row("m2", chatId="a")), name="next"))
    assert [one.batch for one in feed.commits] == ["mine", None, None, "next"]
    await feed.close()


async def test_a_transaction_ended_by_others_who_went_on_is_a_conflict_once_the_feed_has_passed_it_by(
    line: Line, make_store: MakeStore, client: Client, mongo_url: str, database_name: str
) -> None:
    store = await make_store(line.url)
    feed = await followed(store)
    line.lose("commitTransaction", 10_000)
    call = asyncio.create_task(commit(store, feed.position, insert(a_row(chatId="a")), name="mine"))
    while not (sessions := await open_transactions(client, database_name)):
        pass
    await client.admin.command({"killSessions": sessions})
    await moved_on(make_store, mongo_url)
    line.restore()
    while not call.done():
        await feed.next()
    with pytest.raises(Conflict):
        await call
    assert [one.batch for one in feed.commits] == [None, None]
    await feed.close()


async def test_a_resync_while_a_commit_is_in_doubt_proves_nothing_about_it(
    line: Line, make_store: MakeStore, client: Client, mongo_url: str, database_name: str
) -> None:
    store = await make_store(line.url)
    feed = await followed(store)
    line.lose_answers_to("commitTransaction", 10_000)
    call = asyncio.create_task(commit(store, feed.position, insert(a_row("m1", chatId="a")), name="mine", within_s=4))
    await applied_and_forgotten(line, client, database_name)
    await moved_on(make_store, mongo_url)
    await feed.close()
    line.restore()
    again = await followed(store)
    while not call.done():
        await again.next()
    with pytest.raises(OutcomeUnknown):
        await call
    await again.close()


class Stumbling(Link):
    """Commits, and then fails as no driver should."""

    async def commit(self, session: Session, seconds: float) -> None:
        await super().commit(session, seconds)
        raise RuntimeError("stumbled")


async def test_whatever_a_commit_raises_is_a_doubt_and_nothing_else_commits_until_it_is_resolved(
    mongo_url: str, database_name: str, store: MongoStore
) -> None:
    feed = await followed(store)
    link = connect(mongo_url, database_name, "pymongo", LinkOptions("hub doubt test"))
    session = await link.start_session()
    own, clock = OwnBatches(), SystemClock()
    transactions = Transactions(link, session, own, Holders(link, session, clock), clock, "hub-a", lambda _, __: True)
    steady, link.__class__ = link.__class__, Stumbling
    with pytest.raises(OutcomeUnknown):
        await transactions.transact(a_batch("mine", insert(a_row("m1"))), feed.position, time.monotonic() + 1)
    with pytest.raises(Unavailable):
        await transactions.transact(a_batch("too soon", insert(a_row("m2"))), feed.position, time.monotonic() + 0.5)
    link.__class__ = steady
    await feed.until(await store.barrier(feed.position))
    bound = await transactions.transact(a_batch("next", insert(a_row("m3"))), feed.position, time.monotonic() + 10)
    await feed.until(bound)
    assert set(await store.get("messages", ["m1", "m2", "m3"], feed.position)) == {"m1", "m3"}
    await link.close()
    await feed.close()


@pytest.mark.parametrize("driver", DRIVERS)
async def test_a_cancelled_call_leaves_no_transaction_open(
    make_store: MakeStore, mongo_url: str, client: Client, database_name: str, driver: DriverName
) -> None:
    store = await make_store(mongo_url, driver=driver)
    feed = await followed(store)
    for n in range(12):
        at = feed.position
        rows = [insert(a_row(f"m{n}-{k:03}", chatId="a", text="x" * 500)) for k in range(200)]
        call = asyncio.create_task(commit(store, at, *rows, name=f"batch-{n}"))
        for _ in range(n * 3):
            await asyncio.sleep(0)
        await asyncio.sleep(0.003 * n)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        assert await open_transactions(client, database_name) == []
        await feed.until(await store.barrier(feed.position))
        found = await store.read(IndexRange(BY_CHAT, ("a",)), feed.position)
        assert sum(str(row["_id"]).startswith(f"m{n}-") for row in found) in (0, 200)
    await feed.until(await commit(store, feed.position, insert(a_row("last")), name="last"))
    assert feed.commits[-1].batch == "last"
    await feed.close()


@pytest.mark.parametrize(
    ("row", "error"),
    [
        pytest.param(a_row("big", text="x" * 17_000_000), LimitExceeded, id="a row of 17 MB"),
        pytest.param(a_row("big", text="x" * 16 * 1024 * 1024), LimitExceeded, id="a row just above 16 MiB"),
        pytest.param(a_row("big", number=2**70), InvalidRow, id="a number of 70 bits"),
        pytest.param(a_row("big", text="\ud83d"), InvalidRow, id="half an emoji"),
        pytest.param(a_row("big", thing=object()), InvalidRow, id="an object"),  # type: ignore[arg-type]  # the point
    ],
)
async def test_a_row_that_the_database_cannot_hold_is_refused_and_nothing_is_written(
    store: MongoStore, client: Client, database_name: str, row: Any, error: type[HubError]
) -> None:
    feed = await followed(store)
    with pytest.raises(error):
        await commit(store, feed.position, insert(a_row("m1")), insert(row))
    assert await open_transactions(client, database_name) == []
    await feed.until(await commit(store, feed.position, insert(a_row("m2")), name="next"))
    assert set(await store.get("messages", ["m1", "m2"], feed.position)) == {"m2"}
    await feed.close()


@pytest.mark.parametrize("driver", DRIVERS)
async def test_a_batch_that_no_one_command_can_hold_is_written_whole(
    make_store: MakeStore, mongo_url: str, driver: DriverName
) -> None:
    store = await make_store(mongo_url, driver=driver)
    feed = await followed(store)
    ids = [f"m{n:02}" for n in range(20)]
    rows = [a_row(name, chatId="a", text="x" * 1_000_000) for name in ids]
    await feed.until(await commit(store, feed.position, *map(insert, rows), name="inserted"))
    changed = [update(row, text="y" * 1_000_000) for row in rows[1:]]
    await feed.until(await commit(store, feed.position, delete(ids[0]), *changed, name="changed"))
    assert [one.batch for one in feed.commits] == ["inserted", "changed"]
    found = await store.get("messages", ids, feed.position)
    assert {name: str(row["text"])[0] for name, row in found.items()} == dict.fromkeys(ids[1:], "y")
    await feed.close()


@pytest.mark.parametrize("driver", DRIVERS)
async def test_a_key_that_is_taken_is_noticed_wherever_in_the_batch_it_is(
    make_store: MakeStore, mongo_url: str, driver: DriverName
) -> None:
    store = await make_store(mongo_url, driver=driver)
    feed = await followed(store)
    await feed.until(await commit(store, feed.position, insert(a_row("m0")), name="first"))
    rows = [a_row(name, text="x" * 3_000_000) for name in ("m1", "m2", "m3", "m4", "m0")]
    with pytest.raises(DuplicateKey):
        await commit(store, feed.position, *map(insert, rows), name="second")
    await feed.until(await store.barrier(feed.position))
    assert set(await store.get("messages", ["m0", "m1", "m4"], feed.position)) == {"m0"}
    await feed.close()


async def test_an_update_that_makes_a_row_too_large_is_refused(store: MongoStore, client: Client, database_name: str) -> None:
    half = a_row("m1", text="x" * 9_000_000)
    await client[database_name]["messages"].insert_one(half)
    feed = await followed(store)
    with pytest.raises(LimitExceeded):
        await commit(store, feed.position, update(half, more="x" * 9_000_000))
    await feed.close()


async def test_a_unique_key_may_pass_from_one_row_to_another(store: MongoStore) -> None:
    feed = await followed(store)
    one = a_row("m1", chatId="a", clientMessageId="c1")
    await feed.until(await commit(store, feed.position, insert(one), name="one"))
    two = a_row("m2", chatId="a", clientMessageId="c1")
    await feed.until(await commit(store, feed.position, insert(two), delete("m1"), name="two"))
    three = a_row("m3", chatId="a", clientMessageId="c1")
    freed = update(two, unset=("clientMessageId",))
    await feed.until(await commit(store, feed.position, insert(three), freed, name="three"))
    taken = update(a_row("m2", chatId="a"), clientMessageId="c1")
    await feed.until(await commit(store, feed.position, taken, delete("m3"), name="four"))
    assert set(await store.get("messages", ["m1", "m2", "m3"], feed.position)) == {"m2"}
    await feed.close()


KEYED = [a_row(f"m{n}", chatId="a", clientMessageId=f"c{n}") for n in range(4)]


def rekeyed(row: int, key: int | None, *, whole: bool = False) -> Write:
    """Gives the row another key, or none."""
    if whole:
        return replace(a_row(f"m{row}", chatId="a", clientMessageId=f"c{key}"))
    return update(KEYED[row], unset=("clientMessageId",)) if key is None else update(KEYED[row], clientMessageId=f"c{key}")


@pytest.mark.parametrize(
    ("writes", "keys"),
    [
        pytest.param([rekeyed(0, 1), rekeyed(1, 2), rekeyed(2, 9)], "c1 c2 c9 c3", id="a chain from its wrong end"),
        pytest.param([rekeyed(2, 9), rekeyed(1, 2), rekeyed(0, 1)], "c1 c2 c9 c3", id="a chain from its right end"),
        pytest.param([rekeyed(0, 1), rekeyed(1, 0)], "c1 c0 c2 c3", id="a swap"),
        pytest.param([rekeyed(0, 1), rekeyed(1, 2), rekeyed(2, 0)], "c1 c2 c0 c3", id="a ring"),
        pytest.param([rekeyed(0, 1), rekeyed(1, None)], "c1 None c2 c3", id="a key given up after it is taken"),
        pytest.param([rekeyed(0, 1, whole=True), rekeyed(1, 0, whole=True)], "c1 c0 c2 c3", id="whole rows swap"),
        pytest.param([rekeyed(0, 1), rekeyed(1, 3), delete("m3")], "c1 c3 c2", id="a deleted row's key"),
        pytest.param(
            [insert(a_row("m9", chatId="a", clientMessageId="c0")), rekeyed(0, 1), rekeyed(1, 8)], "c1 c8 c2 c3 c0", id="new"
        ),
    ],
)
async def test_unique_keys_pass_along_rows_of_one_batch_in_any_order(
    store: MongoStore, client: Client, database_name: str, writes: list[Write], keys: str
) -> None:
    await client[database_name]["messages"].insert_many(KEYED)
    feed = await followed(store)
    await feed.until(await commit(store, feed.position, *writes, name="mine"))
    (mine,) = feed.commits
    found = await store.get("messages", [f"m{n}" for n in range(10)], feed.position)
    assert " ".join(str(found[row_id].get("clientMessageId")) for row_id in sorted(found, key=str)) == keys
    images = {change.id: change.after for change in mine.changes if isinstance(change, RowChange) and change.after}
    assert images == {row_id: found[row_id] for row_id in images}
    assert {change.id for change in mine.changes if isinstance(change, RowChange)} == {write.id for write in writes}
    await feed.close()


async def test_a_key_that_a_row_outside_of_the_batch_holds_is_a_conflict_after_two_attempts(
    store: MongoStore, client: Client, database_name: str
) -> None:
    await client[database_name]["messages"].insert_many(KEYED)
    feed = await followed(store)
    async with asyncio.timeout(5):
        with pytest.raises(Conflict):
            await commit(store, feed.position, rekeyed(0, 3), rekeyed(1, 0))
    await feed.close()


async def test_a_unique_index_that_the_application_does_not_know_is_named_at_once(
    store: MongoStore, client: Client, database_name: str
) -> None:
    await client[database_name]["messages"].create_index([("text", 1)], unique=True)
    await client[database_name]["messages"].insert_one(a_row("m1", text="t"))
    feed = await followed(store)
    async with asyncio.timeout(5):
        with pytest.raises(UniqueViolation, match=r"messages.*\(text\)"):
            await commit(store, feed.position, insert(a_row("m2", text="t")), within_s=60)
    await feed.close()


@pytest.mark.parametrize("whole", [False, True])
async def test_a_write_that_changes_nothing_finds_its_row_all_the_same(
    store: MongoStore, client: Client, database_name: str, whole: bool
) -> None:
    row = a_row("m1", chatId="a")
    await client[database_name]["messages"].insert_one(row)
    feed = await followed(store)
    write = replace(row) if whole else update(row, chatId="a")
    await feed.until(await commit(store, feed.position, write, name="mine"))
    assert [one.batch for one in feed.commits] == ["mine"]
    await feed.close()


@pytest.mark.parametrize("write", [update(a_row("gone"), text="x"), replace(a_row("gone")), delete("gone")], ids=repr)
async def test_a_row_that_is_not_there_is_a_conflict_at_once(store: MongoStore, write: Write) -> None:
    feed = await followed(store)
    async with asyncio.timeout(5):
        with pytest.raises(Conflict):
            await commit(store, feed.position, write)
    await feed.close()


async def test_what_a_validator_refuses_is_refused_at_once(store: MongoStore, client: Client, database_name: str) -> None:
    await client[database_name].command({"collMod": "messages", "validator": {"text": {"$ne": "no"}}})
    feed = await followed(store)
    async with asyncio.timeout(5):
        with pytest.raises(InvalidRow, match="validator"):
            await commit(store, feed.position, insert(a_row(text="no")), within_s=60)
    await feed.until(await commit(store, feed.position, insert(a_row(text="yes"))))
    await feed.close()


async def test_what_the_server_refuses_for_good_is_refused_at_once_in_its_words(
    store: MongoStore, client: Client, database_name: str
) -> None:
    await client[database_name]["messages"].insert_one({"_id": "m1", "text": "x"})
    feed = await followed(store)
    async with asyncio.timeout(5):
        with pytest.raises(FunctionError, match=r"_id.*immutable"):
            await commit(store, feed.position, Update("messages", "m1", {"_id": "m2"}, (), a_row("m2")), within_s=60)
    await feed.until(await commit(store, feed.position, insert(a_row("m2"))))
    await feed.close()


async def test_an_image_in_the_feed_is_what_a_read_gives(store: MongoStore) -> None:
    """Microseconds are cut; a large number is an Int64."""
    feed = await followed(store)
    row = a_row("m1", chatId="a")
    await feed.until(await commit(store, feed.position, insert(row), name="one"))
    moment = dt.datetime(2026, 1, 1, 0, 0, 0, 123_456, tzinfo=dt.UTC)
    await feed.until(await commit(store, feed.position, update(row, moment=moment, large=2**60), name="two"))
    (change,) = feed.commits[-1].changes
    found = (await store.get("messages", ["m1"], feed.position))["m1"]
    assert change.after == found  # type: ignore[union-attr]  # a RowChange
    assert type(change.after["large"]) is type(found["large"])  # type: ignore[union-attr]  # as above
    await feed.close()


async def test_a_database_that_hangs_costs_a_call_its_deadline_and_no_more(
    own_mongod: EmbeddedMongod, make_store: MakeStore
) -> None:
    store = await make_store(own_mongod.url, read_s=1.0)
    feed = await followed(store)
    at = feed.position
    assert own_mongod.pid is not None
    os.kill(own_mongod.pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            await commit(store, at, insert(a_row("m1")), name="hangs", within_s=1)
        assert time.monotonic() - started < 2.5
        for call in (
            store.read(IndexRange(BY_CHAT), at),
            store.get("messages", ["m1"], at),
            store.get_records(["key"], at),
            store.clocks(),
            store.barrier(at),
            store.prepare([MESSAGES], drop_unused=True),
        ):
            started = time.monotonic()
            with pytest.raises(Unavailable):
                await call
            assert time.monotonic() - started < 2.5
        async with asyncio.timeout(5):
            while store.health().feed_is_live:  # noqa: ASYNC110  # it is a matter of time
                await asyncio.sleep(0.05)
    finally:
        os.kill(own_mongod.pid, signal.SIGCONT)
    bound = await commit(store, at, insert(a_row("m2")), name="after")
    await feed.until(bound)
    assert [one.batch for one in feed.commits] == ["after"]
    await feed.close()


@pytest.mark.parametrize("driver", DRIVERS)
async def test_nothing_acknowledged_is_lost_and_nothing_is_done_twice_when_the_server_is_killed(
    own_mongod: EmbeddedMongod, make_store: MakeStore, driver: DriverName
) -> None:
    store = await make_store(own_mongod.url, driver=driver)
    feed = await followed(store)
    acknowledged: list[str] = []
    kill_at = {8, 20}
    for n in range(32):
        if n in kill_at:
            assert own_mongod.pid is not None
            asyncio.get_running_loop().call_later(0.002, os.kill, own_mongod.pid, signal.SIGKILL)
        while True:
            try:
                batch = a_batch(f"batch-{n}", insert(a_row(f"m{n:02}", chatId="a")), records=(a_record(f"key-{n}"),))
                bound = await store.transact(batch, feed.position, time.monotonic() + 20)
                await feed.until(bound)
                break
            except Conflict:
                await feed.next()
        acknowledged.append(f"m{n:02}")
    assert [row["_id"] for row in await store.read(IndexRange(BY_CHAT, ("a",)), feed.position)] == acknowledged
    assert [one.batch for one in feed.commits] == [BatchId(f"batch-{n}") for n in range(32)]
    assert (await store.clocks())[CLOCK] == 32
    assert store.resyncs == 0
    await feed.close()
