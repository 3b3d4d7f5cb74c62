"""Overlay: what a mutation has written and not committed, laid over what it reads.

Pure: rows in, rows out. `merged` equals what the database would answer had the writes been made; `writes` are their net effect.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from hub.core.deltas import ListTail, new_tail
from hub.core.ranges import IndexKey, IndexRange, TupleKey, tuple_key
from hub.store import Delete, Insert, Replace, Update, Write
from hub.values import Row, RowId, Value, sort_key

Place = tuple[str, RowId]


@dataclass(slots=True)
class _Written:
    """One row before the mutation and as it is now; None where there is none."""

    before: Row | None
    after: Row | None
    is_replaced: bool = False


_WrittenByPrefix: TypeAlias = dict[TupleKey, dict[RowId, _Written]]


class Overlay:
    """Rows by table and id, in the order in which they were first written.

    What is written is also found by each (index, prefix) that was asked for, so that a look-up among many written rows costs the
    rows near it, not all of them. A row stays in every place it ever had: being near is no claim to be in the range.
    """

    def __init__(self) -> None:
        self._written: dict[Place, _Written] = {}
        self._written_by_table: dict[str, dict[RowId, _Written]] = {}
        self._written_by_prefix: dict[tuple[IndexKey, int], _WrittenByPrefix] = {}
        self._looked_up: dict[str, list[tuple[IndexKey, int, _WrittenByPrefix]]] = {}
        """By table, all of `_written_by_prefix`."""

    def __len__(self) -> int:
        return len(self._written)

    def __contains__(self, place: Place) -> bool:
        return place in self._written

    def touches(self, table: str) -> bool:
        """Whether a row of the table was written."""
        return table in self._written_by_table

    def row(self, place: Place) -> Row | None:
        """The row as it is now. The place must have been written."""
        return self._written[place].after

    def put(self, place: Place, before: Row | None, after: Row | None, *, is_replaced: bool = False) -> None:
        """`before` is the database's row; it counts only the first time a row is written."""
        known = self._written.get(place)
        if known is None:
            known = self._written[place] = _Written(before, after, is_replaced)
            self._written_by_table.setdefault(place[0], {})[place[1]] = known
            entered: tuple[Row | None, ...] = (before, after)
        else:
            known.after = after
            known.is_replaced = known.is_replaced or is_replaced
            entered = (after,)
        for index, length, written_by_prefix in self._looked_up.get(place[0], ()):
            _enter(written_by_prefix, index, length, known, place[1], entered)

    def is_near(self, wanted: IndexRange) -> bool:
        """Whether the range may differ from the database's: a written row stands, or stood, under its prefix. Only where the rows
        before are known that were put in."""
        return bool(self._near(wanted))

    def widened(self, wanted: IndexRange) -> IndexRange:
        """What to read from the database so that `merged` can fill the limit: as many more as rows may have left the range."""
        if wanted.limit is None:
            return wanted
        moved_out = self.moved_out(wanted)
        return wanted.limited_to(wanted.limit + moved_out) if moved_out else wanted

    def moved_out(self, wanted: IndexRange) -> int:
        """How many of the written rows are in the range in the database, whether or not they still are."""
        near = self._near(wanted)
        return sum([1 for entry in near if entry.before is not None and wanted.contains(entry.before)]) if near else 0

    def merged(self, wanted: IndexRange, base: list[Row]) -> list[Row]:
        """The range as it is now, given the database's rows of `widened(wanted)`."""
        written = self._written_by_table.get(wanted.table)
        if not written:
            return base
        rows = [row for row in base if row["_id"] not in written]
        entered = [entry.after for entry in self._near(wanted) if entry.after is not None and wanted.contains(entry.after)]
        if entered:
            rows += entered
            if len(rows) > 1:
                rows.sort(key=lambda row: tuple_key(wanted.index.position(row)), reverse=wanted.descending)
        return rows[: wanted.limit]

    def enters(self, wanted: IndexRange) -> bool:
        """Whether a written row is in the range now, and none of the written rows was before."""
        near = self._near(wanted)
        is_in = any(entry.after is not None and wanted.contains(entry.after) for entry in near)
        return is_in and not any(entry.before is not None and wanted.contains(entry.before) for entry in near)

    def writes(self) -> tuple[Write, ...]:
        """At most one for each row; none for a row that is as it was."""
        net = [_net(table, row_id, entry) for (table, row_id), entry in self._written.items()]
        return tuple([write for write in net if write is not None])

    def _near(self, wanted: IndexRange) -> Collection[_Written]:
        """At least those that stand, or stood in the database, under the range's prefix."""
        index, length = wanted.index, len(wanted.prefix)
        written_by_prefix = self._written_by_prefix.get((index, length))
        if written_by_prefix is None:
            written = self._written_by_table.get(index.table)
            if written is None:
                return ()
            written_by_prefix = self._written_by_prefix[index, length] = {}
            self._looked_up.setdefault(index.table, []).append((index, length, written_by_prefix))
            for row_id, entry in written.items():
                _enter(written_by_prefix, index, length, entry, row_id, (entry.before, entry.after))
        near = written_by_prefix.get(wanted.prefix_key)
        return () if near is None else near.values()


def _enter(
    written_by_prefix: _WrittenByPrefix,
    index: IndexKey,
    length: int,
    entry: _Written,
    row_id: RowId,
    rows: Iterable[Row | None],
) -> None:
    """Where the rows stand."""
    for row in rows:
        if row is not None and (position := index.entry(row)) is not None:
            written_by_prefix.setdefault(tuple_key(position[:length]), {})[row_id] = entry


def _net(table: str, row_id: RowId, entry: _Written) -> Write | None:
    if entry.after is None:
        return None if entry.before is None else Delete(table, row_id)
    if entry.before is None:
        return Insert(table, entry.after)
    update = _update(table, row_id, entry.before, entry.after)
    if update.is_empty:
        return None
    return Replace(table, entry.after) if entry.is_replaced else update


def _update(table: str, row_id: RowId, before: Row, after: Row) -> Update:
    """What makes the one row the other; of a list that only grew, what it grew by."""
    changed = {
        name: value
        for name, value in after.items()
        if name not in before or ((old := before[name]) is not value and not _same(old, value))
    }
    lists: dict[str, ListTail] = {}
    for name, value in list(changed.items()):
        old = before.get(name)
        tail = new_tail(old, value, _same) if isinstance(old, list) and isinstance(value, list) else None
        if tail is not None:
            lists[name] = tail
            del changed[name]
    return Update(table, row_id, changed, tuple(name for name in before if name not in after), after, lists)


def _same(one: Value, other: Value) -> bool:
    try:
        return sort_key(one) == sort_key(other)
    except TypeError:  # a type that only other writers use
        return type(one) is type(other) and one == other
