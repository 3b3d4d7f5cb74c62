"""A storm of callers costs the database two writes, and each gets a proof that was made after it came."""

from __future__ import annotations

import asyncio
import time

import pytest

from hub.errors import BadRequest, Unavailable
from hub.mongo.store import MongoStore
from hub.timestamps import Timestamp
from tests.contract.databases import Feed
from tests.mongo.conftest import Client, Line, MakeStore

pytestmark = pytest.mark.real


async def marks(client: Client, database: str) -> int:
    """How many were made so far."""
    row = await client[database]["hub_marks"].find_one({"_id": "hub-a"})
    return row["n"] if row else 0


async def test_callers_that_come_while_a_mark_is_made_share_the_next_one(
    store: MongoStore, client: Client, database_name: str
) -> None:
    feed = Feed(store)
    at = (await feed.next()).position
    await store.barrier(at)
    before = await marks(client, database_name)
    first = asyncio.create_task(store.barrier(at))
    await asyncio.sleep(0)  # it has begun
    storm = await asyncio.gather(*(store.barrier(at) for _ in range(500)))
    assert await marks(client, database_name) - before == 2
    assert len(set(storm)) == 1
    assert storm[0] > await first
    await feed.close()


async def test_a_caller_never_shares_a_mark_that_was_begun_before_it_came(
    store: MongoStore, client: Client, database_name: str
) -> None:
    feed = Feed(store)
    await feed.next()
    first = asyncio.create_task(store.barrier(feed.position))
    await asyncio.sleep(0)
    await client[database_name]["messages"].insert_one({"_id": "m1"})
    barrier = await store.barrier(feed.position)
    assert barrier > await first
    await feed.until(barrier)
    assert [change.id for one in feed.commits for change in one.changes] == ["m1"]  # type: ignore[union-attr]  # a RowChange
    await feed.close()


async def test_one_callers_bad_timestamp_is_nobody_elses(store: MongoStore) -> None:
    feed = Feed(store)
    at = (await feed.next()).position
    future = Timestamp(at + (1000 << 32))
    answers = await asyncio.gather(*(store.barrier(ts) for ts in (at, future, at, future)), return_exceptions=True)
    assert [isinstance(answer, BadRequest) for answer in answers] == [False, True, False, True]
    await feed.close()


async def test_a_caller_that_goes_away_takes_nobodys_mark_with_it(store: MongoStore) -> None:
    feed = Feed(store)
    at = (await feed.next()).position
    calls = [asyncio.create_task(store.barrier(at)) for _ in range(4)]
    await asyncio.sleep(0)
    calls[0].cancel()  # the one that makes the mark
    calls[1].cancel()  # the one that would make the next
    await asyncio.wait(calls)
    assert calls[1].cancelled()
    assert calls[2].result() == calls[3].result() > at
    await feed.close()


async def test_callers_share_a_failure_too_instead_of_each_waiting_in_turn(line: Line, make_store: MakeStore) -> None:
    store = await make_store(line.url, read_s=0.5)
    feed = Feed(store)
    at = (await feed.next()).position
    line.lose("update", 10_000)
    line.lose("ping", 10_000)
    started = time.monotonic()
    answers = await asyncio.gather(*(store.barrier(at) for _ in range(50)), return_exceptions=True)
    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert time.monotonic() - started < 3
    await feed.close()
