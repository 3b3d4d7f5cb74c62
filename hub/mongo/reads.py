"""Reads: index ranges, rows, request records and clock rows, each at one moment. Called by `hub.mongo.store`.

A range is read with `hint` and `min`/`max`, so the index alone decides what is in it. A collection that does not exist is an
empty table.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import TypeVar, cast

from pymongo.read_concern import ReadConcern

from hub.core.ranges import IndexKey, IndexRange
from hub.errors import InvalidRow, SnapshotTooOld, Unavailable
from hub.mongo import faults
from hub.mongo.bounds import edges
from hub.mongo.driver import At, Link, from_bson, is_row_id, time_limit
from hub.mongo.names import CLOCKS, REQUESTS, index_name, partial_filter
from hub.store import RequestRecord
from hub.timestamps import ZERO, Timestamp
from hub.values import Row, RowId

T = TypeVar("T")


class _MissingIndex(Exception):
    """The server does not know the index at the read's timestamp."""


class Reads:
    """`index_names` says what an index is called where that is not the hub's own name for it; it may change meanwhile."""

    def __init__(self, link: Link, index_names: Mapping[IndexKey, str], timeout_s: float) -> None:
        self._link = link
        self._index_names = index_names
        self.indexed_from: Timestamp = ZERO
        """Reads from here on can use every index that was prepared."""
        self._timeout_s = timeout_s

    async def range(self, wanted: IndexRange, at: Timestamp) -> list[Row]:
        """Rows in the range's direction, up to its limit. Raises SnapshotTooOld, Unavailable, InvalidRow."""
        index = wanted.index
        span = edges(wanted)
        if span is None or wanted.limit == 0 or (index.partial and None in wanted.prefix):
            return []
        name = self._index_names.get(index) or index_name(index)
        reading = self._link.find(
            index.table,
            partial_filter(index),
            concern=At(at),
            hint=name,
            lower=span[0],
            upper=span[1],
            sort=[(field, -1) for field in index.fields] if wanted.descending else [],
            limit=wanted.limit,
        )
        try:
            rows = await self._bounded(reading, index.table)
        except _MissingIndex as exc:
            if at < self.indexed_from:
                raise SnapshotTooOld(f"index {name} of {index.table} was made after this timestamp; take a newer one") from exc
            raise Unavailable(f"index {name} of {index.table} is not there (any more); start the hub again to make it") from exc
        if not all(is_row_id(row["_id"]) for row in rows):
            raise InvalidRow(f"a row of {index.table} has an _id that is neither a string nor an ObjectId")
        return rows

    async def rows(self, table: str, ids: Sequence[RowId], at: Timestamp) -> dict[RowId, Row]:
        """Rows by id; missing ones are left out."""
        if not ids:
            return {}
        found = await self._bounded(self._link.find(table, {"_id": {"$in": list(ids)}}, concern=At(at)), table)
        return {cast("RowId", row["_id"]): row for row in found}

    async def records(self, keys: Sequence[str], at: Timestamp) -> dict[str, RequestRecord]:
        """Request records by key; missing ones are left out."""
        if not keys:
            return {}
        found = await self._bounded(self._link.find(REQUESTS, {"_id": {"$in": list(keys)}}, concern=At(at)), REQUESTS)
        return {record.key: record for record in map(_record, found)}

    async def now(self) -> Timestamp:
        reply = await self._bounded(self._link.command({"ping": 1}), "the database")
        return from_bson(reply["operationTime"])

    async def clocks(self, at: Timestamp | None = None) -> dict[str, int]:
        """All clock rows' numbers; without a timestamp as of now, everything that was acknowledged included."""
        concern = ReadConcern("majority") if at is None else At(at)
        found = await self._bounded(self._link.find(CLOCKS, {}, concern=concern), CLOCKS)
        return {str(row["_id"]): int(cast("int", row["n"])) for row in found}

    async def _bounded(self, reading: Awaitable[T], collection: str) -> T:
        try:
            with time_limit(self._timeout_s):
                return await reading
        except faults.DRIVER_ERRORS as exc:
            if faults.is_missing_index(exc):
                raise _MissingIndex from exc
            raise faults.of_read(exc, collection) from exc


def _record(row: Row) -> RequestRecord:
    return RequestRecord(
        key=str(row["_id"]),
        caller=str(row["caller"]),
        body=str(row["body"]),
        outcome=bytes(cast("bytes", row["outcome"])),
        keep_s=float(cast("float", row["keepS"])),
    )
