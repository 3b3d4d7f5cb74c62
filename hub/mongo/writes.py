"""Writes: a batch as statements of write commands, table by table, in an order that lets keys of unique indexes pass between rows.

Pure; called by `hub.mongo.transactions`. The server checks unique indexes after each request, not at the commit, and a batch does
not say which keys its rows had before. So requests go out in the plain order first; should a key be in the way, the rows that may
hold it are parked on keys of their own before any gets its final one, which works for chains and for rows that swap keys.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence

from bson import ObjectId

from hub.core.deltas import ListTail
from hub.mongo.driver import Document, WriteKind
from hub.store import Delete, Insert, Replace, Update, Write
from hub.values import Row, Value


class Requests:
    def __init__(self, writes: Sequence[Write]) -> None:
        self._writes: dict[str, list[Write]] = defaultdict(list)
        for write in writes:
            self._writes[write.table].append(write)
        self._parked_fields: dict[str, set[str]] = defaultdict(set)

    @property
    def tables(self) -> list[str]:
        return list(self._writes)

    def of_existing(self, table: str) -> list[tuple[WriteKind, list[Document]]]:
        """Deletes first: what they free may be taken by the others. Each statement finds one row."""
        writes = self._writes[table]
        deletes = [{"q": {"_id": write.id}, "limit": 1} for write in writes if isinstance(write, Delete)]
        parking = [_update(write, {"$set": keys}) for write in _changes(writes) if (keys := self._parking(write))]
        updates = [*parking, *(_update(write, _change(write)) for write in _changes(writes))]
        kinds: list[tuple[WriteKind, list[Document]]] = [("delete", deletes), ("update", updates)]
        return [(kind, statements) for kind, statements in kinds if statements]

    def of_new(self, table: str) -> list[Row]:
        """To be inserted after the others are through."""
        return [write.row for write in self._writes[table] if isinstance(write, Insert)]

    def park(self, table: str, index: Sequence[str]) -> bool:
        """A key of this unique index was in the way of a row: from now on its rows are parked first. False if that cannot help:
        they were already, or no two of them change."""
        fields = {path.partition(".")[0] for path in index} - {"_id"}
        if fields <= self._parked_fields[table]:
            return False
        self._parked_fields[table] |= fields
        return sum(bool(self._parking(write)) for write in _changes(self._writes[table])) > 1

    def _parking(self, write: Update | Replace) -> dict[str, Value]:
        """Every field that counts and that the write determines: final values come with the write itself."""
        fields = self._parked_fields[write.table]
        if isinstance(write, Replace):
            return {name: _nobodys(write.row.get(name)) for name in fields}
        return {name: _nobodys(write.set.get(name)) for name in fields if name in write.set or name in write.unset}


def _nobodys(final: Value) -> Value:
    """A value that no row has; a text where a text will be, so that a validator may accept it."""
    return uuid.uuid4().hex if isinstance(final, str) else ObjectId()


def _changes(writes: Sequence[Write]) -> list[Update | Replace]:
    """All but updates that change nothing: MongoDB refuses those."""
    return [write for write in writes if isinstance(write, Replace) or (isinstance(write, Update) and not write.is_empty)]


def _update(write: Update | Replace, change: Mapping[str, Value] | list[Document]) -> Document:
    return {"q": {"_id": write.id}, "u": change}


def _change(write: Update | Replace) -> Mapping[str, Value] | list[Document]:
    if isinstance(write, Replace):
        return write.row
    return _stages(write) if any(tail.cuts for tail in write.lists.values()) else _operators(write)


def _operators(write: Update) -> Document:
    change: Document = {}
    if write.set:
        change["$set"] = dict(write.set)
    if write.unset:
        change["$unset"] = dict.fromkeys(write.unset, True)
    if write.lists:
        change["$push"] = {name: {"$each": list(tail.items)} for name, tail in write.lists.items()}
    return change


def _stages(write: Update) -> list[Document]:
    """The same as an aggregation, of whose outcome the server logs the difference alone.

    `$push` with `$slice` would do it, too, and log the whole list: 10,245 bytes of change event in place of 1,043 (measured).
    """
    lists = {name: _with_tail(name, tail) for name, tail in write.lists.items()}
    stages: list[Document] = [{"$set": {**{name: {"$literal": value} for name, value in write.set.items()}, **lists}}]
    if write.unset:
        stages.append({"$unset": list(write.unset)})
    return stages


def _with_tail(name: str, tail: ListTail) -> Document:
    kept: Document = {"$slice": [f"${name}", tail.keep]} if tail.keep else {"$literal": []}  # the server refuses to take 0 items
    return {"$concatArrays": [kept, {"$literal": list(tail.items)}]}
