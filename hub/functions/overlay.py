"""Overlay: what a mutation has written and not committed, laid over what it reads.

Pure: rows in, rows out. `merged` equals what the database would answer had the writes been made; `writes` are their net effect.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from hub.core.ranges import IndexRange, tuple_key
from hub.store import Delete, Insert, Replace, Update, Write
from hub.values import Row, RowId, Value, sort_key

Place = tuple[str, RowId]


@dataclass(slots=True)
class _Written:
    """One row before the mutation and as it is now; None where there is none."""

    before: Row | None
    after: Row | None
    is_replaced: bool = False


class Overlay:
    """Rows by table and id, in the order in which they were first written."""

    def __init__(self) -> None:
        self._written: dict[Place, _Written] = {}
        self._ids_by_table: dict[str, dict[RowId, None]] = {}

    def __len__(self) -> int:
        return len(self._written)

    def __contains__(self, place: Place) -> bool:
        return place in self._written

    def row(self, place: Place) -> Row | None:
        """The row as it is now. The place must have been written."""
        return self._written[place].after

    def put(self, place: Place, before: Row | None, after: Row | None, *, is_replaced: bool = False) -> None:
        """`before` is the database's row; it counts only the first time a row is written."""
        known = self._written.get(place)
        if known is None:
            self._written[place] = _Written(before, after, is_replaced)
            self._ids_by_table.setdefault(place[0], {})[place[1]] = None
        else:
            known.after = after
            known.is_replaced = known.is_replaced or is_replaced

    def widened(self, wanted: IndexRange) -> IndexRange:
        """What to read from the database so that `merged` can fill the limit: as many more as rows may have left the range."""
        if wanted.limit is None:
            return wanted
        gone = sum(1 for entry in self._of(wanted.table) if entry.before is not None and wanted.contains(entry.before))
        return replace(wanted, limit=wanted.limit + gone)

    def merged(self, wanted: IndexRange, base: list[Row]) -> list[Row]:
        """The range as it is now, given the database's rows of `widened(wanted)`."""
        ids = self._ids_by_table.get(wanted.table)
        if not ids:
            return base
        rows = [row for row in base if row["_id"] not in ids]
        entered = [entry.after for entry in self._of(wanted.table) if entry.after is not None and wanted.contains(entry.after)]
        if entered:
            rows += entered
            rows.sort(key=lambda row: tuple_key(wanted.index.position(row)), reverse=wanted.descending)
        return rows[: wanted.limit]

    def writes(self) -> tuple[Write, ...]:
        """At most one for each row; none for a row that is as it was."""
        net = (_net(table, row_id, entry) for (table, row_id), entry in self._written.items())
        return tuple(write for write in net if write is not None)

    def _of(self, table: str) -> Iterable[_Written]:
        return (self._written[table, row_id] for row_id in self._ids_by_table.get(table, ()))


def _net(table: str, row_id: RowId, entry: _Written) -> Write | None:
    if entry.after is None:
        return None if entry.before is None else Delete(table, row_id)
    if entry.before is None:
        return Insert(table, entry.after)
    changed, unset = difference(entry.before, entry.after)
    if not changed and not unset:
        return None
    return Replace(table, entry.after) if entry.is_replaced else Update(table, row_id, changed, unset, entry.after)


def difference(before: Row, after: Row) -> tuple[dict[str, Value], tuple[str, ...]]:
    """What to set and what to unset to make the one row the other."""
    changed = {name: value for name, value in after.items() if name not in before or not _same(before[name], value)}
    return changed, tuple(name for name in before if name not in after)


def _same(one: Value, other: Value) -> bool:
    if one is other:
        return True
    try:
        return sort_key(one) == sort_key(other)
    except TypeError:  # a type that only other writers use
        return type(one) is type(other) and one == other
