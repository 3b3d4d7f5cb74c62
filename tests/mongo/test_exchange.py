"""Several commands in one go: what comes back, and what becomes of the connection."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator

import bson
import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import BulkWriteError, ConnectionFailure, OperationFailure
from pymongo.read_concern import ReadConcern

from hub.core.heldrow import HeldRow
from hub.mongo.driver import DriverName, Link, LinkOptions, Session, Statements, connect
from hub.mongo.embedded import EmbeddedMongod
from hub.mongo.exchange import can_exchange
from tests.mongo.conftest import Client, Line

pytestmark = pytest.mark.real

DRIVERS: tuple[DriverName, ...] = ("pymongo", "motor")


@pytest.fixture(params=DRIVERS)
async def link(request: pytest.FixtureRequest, mongo_url: str, database_name: str) -> AsyncIterator[Link]:
    link = connect(mongo_url, database_name, request.param, LinkOptions("hub exchange test", max_connections=1))
    yield link
    await link.close()


async def begun(link: Link) -> Session:
    session = await link.start_session()
    started = session.start_transaction(read_concern=ReadConcern("snapshot"), write_concern=None, read_preference=None)  # type: ignore[arg-type]  # defaults
    if asyncio.iscoroutine(started):
        await started
    return session


def inserted(*ids: str, into: str = "things") -> Statements:
    return Statements("insert", into, [{"_id": one} for one in ids])


async def test_the_installed_pymongo_takes_commands_in_one_go(mongo_url: str) -> None:
    async with AsyncMongoClient[dict[str, object]](mongo_url) as client:
        assert can_exchange(client), "a transaction costs a round trip for each command: see hub/mongo/exchange.py"
    async with AsyncMongoClient[dict[str, object]](
        "mongodb://localhost/?authMechanism=MONGODB-OIDC&authMechanismProperties=ENVIRONMENT:k8s"
    ) as client:
        assert not can_exchange(client), "its login may have to be renewed in the middle"


async def test_all_of_a_transaction_is_written_and_counted(link: Link, client: Client, database_name: str) -> None:
    things = client[database_name]["things"]
    await things.insert_one({"_id": "old"})
    session = await begun(link)
    change = Statements(
        "update", "things", [{"q": {"_id": "old"}, "u": {"$set": {"n": 1}}}, {"q": {"_id": "none"}, "u": {"$set": {"n": 1}}}]
    )
    written = await link.write([change, inserted("a", "b"), inserted("c", into="others")], session)
    assert (written.counts, written.error) == ([1, 2, 1], None)
    assert await things.count_documents({}) == 1, "nothing shows before the commit"
    await session.commit_transaction()
    assert [row["_id"] for row in await things.find().sort("_id").to_list()] == ["a", "b", "old"]
    assert await client[database_name]["others"].count_documents({}) == 1


def test_a_new_row_is_sent_as_it_was_encoded_when_it_was_written_and_again_if_need_be() -> None:
    row = HeldRow({"_id": "a", "text": "é"}, is_to_send=True)
    statements = Statements("insert", "things", [row])
    first, again = [[part["documents"][0].raw for part in statements.commands()] for _ in range(2)]
    assert first == again == [bson.encode(row)]
    assert row.take_encoded() is None, "it is not kept with the row in memory"
    assert HeldRow({"_id": "a"}).take_encoded() is None


async def test_what_is_refused_is_named_and_what_comes_behind_is_not_done(link: Link, client: Client, database_name: str) -> None:
    await client[database_name]["things"].insert_one({"_id": "taken"})
    session = await begun(link)
    written = await link.write([inserted("a"), inserted("b", "taken", "d"), inserted("e")], session)
    assert written.counts == [1]
    assert isinstance(written.error, BulkWriteError)
    assert [error["code"] for error in written.error.details["writeErrors"]] == [11000]
    await session.abort_transaction()
    assert await client[database_name]["things"].count_documents({}) == 1


async def test_an_error_of_the_first_is_not_taken_for_one_of_those_behind_it(
    link: Link, client: Client, database_name: str
) -> None:
    await client[database_name]["things"].insert_one({"_id": "a", "n": 0})
    session, other = await begun(link), await begun(link)
    bump = Statements("update", "things", [{"q": {"_id": "a"}, "u": {"$inc": {"n": 1}}}])
    assert (await link.write([bump], other)).error is None
    written = await link.write([bump, inserted("b"), inserted("c")], session)
    assert written.counts == []
    assert isinstance(written.error, OperationFailure)
    assert written.error.code == 112, "a conflict, not that there is no such transaction"
    await session.abort_transaction()
    await other.abort_transaction()


async def test_the_connection_is_in_step_after_a_refusal(link: Link) -> None:
    """The link has one connection: were a reply left in it, the next command would get it."""
    session = await begun(link)
    assert (await link.write([inserted("a"), inserted("a"), inserted("b"), inserted("c")], session)).counts == [1]
    await session.abort_transaction()
    assert (await link.command({"hello": 1}))["isWritablePrimary"]
    again = await begun(link)
    assert (await link.write([inserted("a"), inserted("b")], again)).counts == [1, 1]
    await again.commit_transaction()


async def test_a_line_that_breaks_in_the_middle_raises_and_nothing_is_written(
    line: Line, client: Client, database_name: str
) -> None:
    link = connect(line.url, database_name, "pymongo", LinkOptions("hub exchange test"))
    session = await begun(link)
    line.lose_answers_to("insert")
    with pytest.raises(ConnectionFailure):
        await link.write([inserted("a"), inserted("b")], session)
    await session.abort_transaction()
    assert await client[database_name]["things"].count_documents({}) == 0
    await link.close()


async def test_who_waits_for_a_server_that_the_driver_gives_up_does_not_wait_for_ever(own_mongod: EmbeddedMongod) -> None:
    link = connect(
        own_mongod.url, "test", "pymongo", LinkOptions("hub exchange test", selection_timeout_s=1, connect_timeout_s=0.5)
    )
    session = await begun(link)
    assert (await link.write([inserted("a")], session)).error is None
    assert own_mongod.pid is not None
    os.kill(own_mongod.pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(ConnectionFailure):
            await link.write([inserted("b"), inserted("c")], session)
        assert time.monotonic() - started < 20
    finally:
        os.kill(own_mongod.pid, signal.SIGCONT)
    await link.close()
