"""Events: change stream replies become whole commits. Pure; called by `hub.mongo.changefeed`.

All events of one transaction carry the same `clusterTime`, which no other commit has, and arrive together. The exception is
the 16 MB that a reply may have: what may have been cut there is held back until the next reply shows where the commit ends.
Source: MongoDB manual, "Change Events"; the form of resume tokens was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import bson
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument

from hub.core.commits import BatchId, Commit, RowChange, TableReset
from hub.core.deltas import Delta, ListEdit, applied
from hub.mongo import names
from hub.mongo.batches import Images
from hub.mongo.driver import STORED, Document, from_bson, is_row_id
from hub.timestamps import Timestamp, pack
from hub.values import Value

MAYBE_CUT_BYTES = 256 * 1024
"""A reply this large that ends in the middle of things may be followed by the rest of its last transaction. Holding that back
costs one more request; only a row of nearly 16 MB could still be cut off from a smaller reply."""

Token = Document
Event = Document
OwnImages = Callable[[BatchId], Images | None]
IsTable = Callable[[str], bool]


def decode(event: RawBSONDocument) -> Event:
    """Any writer may store what cannot be decoded, a string that is not UTF-8 for one: of that, time and place are left."""
    try:
        return bson.decode(event.raw, codec_options=STORED)
    except BSONError:
        return {
            "_id": bson.decode(event["_id"].raw),
            "operationType": "unreadable",
            "clusterTime": event["clusterTime"],
            "ns": bson.decode(event["ns"].raw),
        }


def token_time(token: Token) -> Timestamp:
    """Everything up to this time was delivered before the token, unless it is a stream's first (see `start_position`)."""
    data = token["_data"]
    assert data[:2] == "82", "a resume token of a form that is not known"
    return pack(int(data[2:10], 16), int(data[10:18], 16))


def start_position(token: Token) -> Timestamp:
    """What lies before a fresh stream, by its first token.

    That token names the first moment that the stream covers, not the last one before it: on a quiet server it is one tick
    ahead of the clock, the next commit gets exactly this time, and a snapshot cannot be read there yet (measured).
    """
    return Timestamp(token_time(token) - 1)


def ends_in_event(token: Token) -> bool:
    """Whether the token is an event's own, not a point in time after it ("high-water mark")."""
    return bool(token["_data"][22:24] != "29")


@dataclass(frozen=True, slots=True)
class Progress:
    """`resume` is where a new stream must start so that nothing after `position` is missed or cut."""

    commits: tuple[Commit, ...]
    position: Timestamp
    resume: Token
    is_cut: bool
    """Something was held back: ask again at once."""


class Assembler:
    """Groups events into commits. Invariant: everything at or before `position` has been returned; nothing after it has.

    A token that did not change says nothing new: the position stays, which matters for a stream's first token. Only changes to
    collections that `is_table` says are tables count; others only move the position.
    """

    def __init__(self, start: Token, position: Timestamp, own: OwnImages, is_table: IsTable) -> None:
        self._own = own
        self._is_table = is_table
        self._resume = start
        self._position = position
        self._held: list[Event] = []
        self.clocks: dict[str, int] = {}
        """The clock rows' numbers as of the position."""

    def add(self, events: Sequence[Event], token: Token, size_bytes: int) -> Progress:
        """`token` is the reply's postBatchResumeToken, `size_bytes` its length."""
        groups = [list(group) for _, group in groupby([*self._held, *events], key=_cluster_time)]
        is_cut = bool(events) and size_bytes >= MAYBE_CUT_BYTES and ends_in_event(token)
        self._held = groups.pop() if is_cut else []
        if not is_cut and token["_data"] != self._resume["_data"]:
            self._resume, self._position = token, token_time(token)
        elif is_cut and groups:
            last = groups[-1][-1]
            self._resume, self._position = last["_id"], _cluster_time(last)
        commits = tuple(commit for group in groups if (commit := self._commit(group)) is not None)
        return Progress(commits, self._position, self._resume, is_cut)

    def _commit(self, events: list[Event]) -> Commit | None:
        """None for what concerns nobody: creations, the hub's marks."""
        batch = self._move_clocks(events)
        images = self._own(batch) if batch is not None else None
        changes = _net_changes(events, images or {}, self._is_table, by_hub=batch is not None)
        if not changes and all(_collection(event) not in (names.CLOCKS, names.REQUESTS) for event in events):
            return None
        return Commit(_cluster_time(events[0]), changes, batch if images is not None else None)

    def _move_clocks(self, events: list[Event]) -> BatchId | None:
        """Every transaction of a hub moves a clock row and writes the batch's id there."""
        batch = None
        for event in events:
            if _collection(event) != names.CLOCKS or "documentKey" not in event:
                continue
            moved = event.get("fullDocument") or event.get("updateDescription", {}).get("updatedFields", {})
            clock = str(event["documentKey"]["_id"])
            if event["operationType"] == "delete":
                self.clocks.pop(clock, None)
            if "n" in moved:
                self.clocks[clock] = int(moved["n"])
            if moved.get("by"):
                batch = BatchId(moved["by"])
        return batch


def _net_changes(events: list[Event], images: Images, is_table: IsTable, *, by_hub: bool) -> tuple[RowChange | TableReset, ...]:
    """One change for each row: the last one, which is where its new image is, if any is known, or what all of them did to it."""
    changes: dict[tuple[str, Any], RowChange | TableReset] = {}
    for event in events:
        for change in _changes(event, images, by_hub=by_hub):
            if not is_table(change.table):
                continue
            key = (change.table, change.id if isinstance(change, RowChange) else TableReset)
            before = changes.pop(key, None)
            changes[key] = _net(before, change) if isinstance(change, RowChange) and isinstance(before, RowChange) else change
    return tuple(changes.values())


def _net(before: RowChange, change: RowChange) -> RowChange:
    """Two changes of one commit to one row."""
    if not change.is_unresolved:
        return change
    if before.after is not None:
        return replace(change, after=applied(before.after, change.deltas) if change.deltas else None)
    return replace(change, deltas=(*before.deltas, *change.deltas) if before.deltas and change.deltas else ())


def _changes(event: Event, images: Images, *, by_hub: bool) -> list[RowChange | TableReset]:
    table = _collection(event)
    if table is None:
        return []
    kind = event["operationType"]
    match kind:
        case "update":
            row_id = event["documentKey"]["_id"]
            if not is_row_id(row_id):
                return [TableReset(table)]  # no table of the hub can name this row; reads that meet it fail, others go on
            delta = _delta(event.get("updateDescription", {}), by_hub=by_hub)
            return [RowChange(table, row_id, kind, images.get((table, row_id)), () if delta is None else (delta,))]
        case "insert" | "replace" | "delete":
            row_id = event["documentKey"]["_id"]
            return [RowChange(table, row_id, kind, event.get("fullDocument")) if is_row_id(row_id) else TableReset(table)]
        case "drop" | "dropIndexes" | "unreadable":
            return [TableReset(table)]
        case "rename":
            return [TableReset(table), TableReset(event["to"]["coll"])]
    return []


def _delta(description: Document, *, by_hub: bool) -> Delta | None:
    """What an update did; None where its words may mean more than one thing.

    `parts.7` is an item of a list, or a field of an object, or a field of that very name: only what a hub wrote is certain to be
    the first, if the row has a list there (`ListEdit.after` looks).
    """
    if "updatedFields" not in description:
        return None
    fields: dict[str, Value] = {}
    sizes = {cut["field"]: int(cut["newSize"]) for cut in description.get("truncatedArrays") or ()}
    items: dict[str, dict[int, Value]] = {name: {} for name in sizes}
    for path, value in description["updatedFields"].items():
        name, dot, place = path.partition(".")
        if not dot:
            fields[path] = value
        elif place.isdecimal():
            items.setdefault(name, {})[int(place)] = value
        else:
            return None
    unset = tuple(description.get("removedFields") or ())
    if any("." in name for name in (*items, *unset)) or (items and not by_hub):
        return None
    lists = {name: ListEdit(sizes.get(name), places) for name, places in items.items()}
    return Delta(fields, unset, lists)


def _collection(event: Event) -> str | None:
    collection: str | None = event.get("ns", {}).get("coll")
    return collection


def _cluster_time(event: Event) -> Timestamp:
    return from_bson(event["clusterTime"])
