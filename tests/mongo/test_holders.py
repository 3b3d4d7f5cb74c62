"""A hub that died inside its transaction does not keep the others from writing."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hub.errors import Conflict
from hub.mongo.store import MongoStore
from hub.timestamps import Timestamp
from tests.builders import a_batch, a_row, insert
from tests.contract.databases import Feed
from tests.mongo.conftest import Client, MakeStore

pytestmark = pytest.mark.real

A_HUB_THAT_STOPS_INSIDE_ITS_TRANSACTION = """
import asyncio, sys
from pymongo.read_concern import ReadConcern
from hub.mongo.driver import LinkOptions, Statements, connect
from hub.mongo.holders import app_name

async def run(url: str, database: str) -> None:
    link = connect(url, database, "pymongo", LinkOptions(app_name(database)))
    session = await link.start_session()
    await session.start_transaction(read_concern=ReadConcern("snapshot"))
    move = {"q": {"_id": "serializable"}, "u": {"$inc": {"n": 1}}}
    await link.write([Statements("update", "hub_clock", [move])], session)
    print("holds", flush=True)
    await asyncio.Event().wait()

asyncio.run(run(*sys.argv[1:]))
"""


@asynccontextmanager
async def a_holder(url: str, database: str) -> AsyncIterator[int]:
    """Another process with the clock row in its hands."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", A_HUB_THAT_STOPS_INSIDE_ITS_TRANSACTION, url, database, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"holds\n"
        yield process.pid
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def commit_until_it_works(store: MongoStore, feed: Feed) -> Timestamp:
    """As the sequencer does: at each conflict again, a little later."""
    while True:
        try:
            return await store.transact(a_batch("mine", insert(a_row())), feed.position, time.monotonic() + 10)
        except Conflict:
            await asyncio.sleep(0.05)


async def test_writes_go_on_within_3_seconds_of_a_hubs_death_inside_its_transaction(
    store: MongoStore, mongo_url: str, database_name: str
) -> None:
    feed = Feed(store)
    await feed.next()
    async with a_holder(mongo_url, database_name) as process:
        os.kill(process, signal.SIGKILL)
        died = time.monotonic()
        bound = await commit_until_it_works(store, feed)
        assert time.monotonic() - died < 3
    await feed.until(bound)
    assert [one.batch for one in feed.commits] == ["mine"]
    await feed.close()


async def test_a_holder_that_lives_and_does_nothing_is_ended_too(store: MongoStore, mongo_url: str, database_name: str) -> None:
    feed = Feed(store)
    await feed.next()
    async with a_holder(mongo_url, database_name):
        started = time.monotonic()
        await commit_until_it_works(store, feed)
        assert time.monotonic() - started < 3
    await feed.close()


async def test_a_hub_that_starts_frees_the_clock_before_its_first_batch(
    make_store: MakeStore, store: MongoStore, mongo_url: str, database_name: str
) -> None:
    async with a_holder(mongo_url, database_name) as process:
        os.kill(process, signal.SIGKILL)
        await asyncio.sleep(1.2)  # what is younger may still be at work
        other = await make_store(mongo_url, hub_id="hub-b")
        feed = Feed(other)
        await feed.next()
        await other.transact(a_batch("mine", insert(a_row())), feed.position, time.monotonic() + 10)
        await feed.close()


async def test_transactions_that_are_not_a_hubs_are_left_alone(store: MongoStore, client: Client, database_name: str) -> None:
    feed = Feed(store)
    await feed.next()
    async with client.start_session() as session:
        await session.start_transaction()
        await client[database_name]["hub_clock"].update_one({"_id": "serializable"}, {"$inc": {"n": 1}}, session=session)
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            with pytest.raises(Conflict):
                await store.transact(a_batch("mine", insert(a_row())), feed.position, time.monotonic() + 10)
            await asyncio.sleep(0.05)
        await session.commit_transaction()
    await feed.close()
