"""The contract's database on a real replica set, through either driver."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from pymongo import AsyncMongoClient, DeleteOne, InsertOne, ReplaceOne, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.write_concern import WriteConcern

from hub.mongo.driver import DriverName, from_bson
from hub.mongo.store import MongoStore
from hub.store import Delete, Insert, Replace, Store, Update, Write
from hub.timestamps import Timestamp
from tests.contract.databases import TABLES

Client = AsyncMongoClient[dict[str, Any]]


class OnMongo:
    """Writers that are no hub use a client of their own."""

    def __init__(self, stack: AsyncExitStack, url: str, name: str, driver: DriverName) -> None:
        self._stack = stack
        self._url = url
        self._name = name
        self._driver = driver
        self._client: Client = AsyncMongoClient(url)
        self._rows = self._client[name]
        stack.push_async_callback(self._client.close)

    async def hub(self, name: str = "hub-a") -> MongoStore:
        store = MongoStore(self._url, self._name, hub_id=name, driver=self._driver)
        await store.open()
        self._stack.push_async_callback(store.close)
        await store.prepare(TABLES, drop_unused=False)
        return store

    async def outside(self, *writes: Write) -> Timestamp:
        async def send(session: AsyncClientSession) -> None:
            for write in writes:
                await self._rows[write.table].bulk_write([_request(write)], session=session)

        async def send_inserts(session: AsyncClientSession) -> None:
            for table in dict.fromkeys(write.table for write in writes):
                rows = [dict(write.row) for write in writes if isinstance(write, Insert) and write.table == table]
                await self._rows[table].insert_many(rows, session=session)

        only_inserts = all(isinstance(write, Insert) for write in writes)
        async with self._client.start_session() as session:
            await session.with_transaction(send_inserts if only_inserts else send, write_concern=WriteConcern("majority"))
            assert session.operation_time is not None
            return from_bson(session.operation_time)

    async def drop(self, table: str) -> Timestamp:
        async with self._client.start_session() as session:
            await self._rows.drop_collection(table, session=session)
            assert session.operation_time is not None
            return from_bson(session.operation_time)

    async def lose_history(self, store: Store) -> None:
        """An `invalidate` ends the stream for good, as a lost oplog does."""
        assert isinstance(store, MongoStore)
        await self._client.drop_database(self._name)
        await asyncio.sleep(0)


def _request(write: Write) -> Any:
    match write:
        case Insert():
            return InsertOne(dict(write.row))
        case Replace():
            return ReplaceOne({"_id": write.id}, dict(write.row))
        case Delete():
            return DeleteOne({"_id": write.id})
        case Update():
            pushed = {name: {"$each": list(tail.items)} for name, tail in write.lists.items()}
            change = {"$set": dict(write.set), "$unset": dict.fromkeys(write.unset, True), "$push": pushed}
            return UpdateOne({"_id": write.id}, {name: fields for name, fields in change.items() if fields})
