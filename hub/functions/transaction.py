"""Transaction: one run's view of the database, in stored form: reads that record, writes that wait for the commit.

`ctx.db` is the typed face of it. Everything is read at one snapshot, so a row that was read once is not asked for again; a
mutation's own writes lie over what it reads. After the run, `reads` says what it depends on and `overlay.writes()` what it wants.
"""

from __future__ import annotations

from collections.abc import Sequence

from hub.core.heldrow import HeldRow
from hub.core.ranges import IndexKey, IndexRange, TupleKey, tuple_key
from hub.core.readset import ReadSet
from hub.errors import LimitExceeded, UniqueViolation
from hub.functions.overlay import Overlay
from hub.functions.requests import ReadRange, ReadRows
from hub.functions.tables import TableInfo
from hub.functions.usage import Usage
from hub.values import Row, RowId, Value, id_of


class Transaction:
    __slots__ = ("_known", "_usage", "_whole_keys", "overlay", "reads")

    def __init__(self, reads: ReadSet, usage: Usage) -> None:
        self.reads = reads
        self.overlay = Overlay()
        self._usage = usage
        self._known: dict[tuple[str, RowId], Row | None] = {}
        self._whole_keys: dict[tuple[IndexKey, TupleKey], list[Row]] = {}
        """All rows of a whole key in the database: who looks whether a name is taken inserts it next, which asks again."""

    async def range(self, wanted: IndexRange) -> list[Row]:
        """The rows of the range as this run sees them; recorded up to the last one where the limit was reached."""
        if _is_empty(wanted):
            return []
        capped = self._capped(wanted)
        is_one_key = len(wanted.prefix) == len(wanted.index.fields)
        base = self._whole_keys.get((wanted.index, wanted.prefix_key)) if is_one_key else None
        if base is not None:
            rows = self.overlay.merged(capped, base)[: capped.limit]
        else:
            widened = self.overlay.widened(capped)
            base = await ReadRange(widened)
            rows = self.overlay.merged(capped, base)
            self.reads.ranges.append(_seen(wanted, rows))
            self._learn(wanted.table, base)
            if is_one_key and (widened.limit is None or len(base) < widened.limit):
                self._whole_keys[wanted.index, wanted.prefix_key] = base
        if rows:
            self.reads.rows.update([(wanted.table, id_of(row)) for row in rows])
            self._usage.count_read(rows)
        return rows

    async def rows(self, table: str, ids: Sequence[RowId]) -> dict[RowId, Row]:
        """The rows there are, by stored id."""
        places = [(table, row_id) for row_id in ids]
        self.reads.rows.update(places)
        unknown = tuple(dict.fromkeys([place[1] for place in places if place not in self._known and place not in self.overlay]))
        if len(unknown) > self._usage.rows_left:
            raise LimitExceeded(f"more rows of {table} by id than a run may read: {len(unknown)}")
        if unknown:
            found = await ReadRows(table, unknown)
            self._known.update(((table, row_id), found.get(row_id)) for row_id in unknown)
            self._usage.count_read(list(found.values()))
        return {place[1]: row for place in places if (row := self._now(place)) is not None}

    async def put(self, table: TableInfo, row: Row, before: Row | None, *, is_replaced: bool = False) -> None:
        """Write the row over `before`, which is how this run saw it. Raises UniqueViolation, LimitExceeded."""
        for key in table.unique_keys:
            taken = key.entry(row)
            if taken is not None and (before is None or tuple_key(key.position(before)) != tuple_key(taken)):
                await self._check_free(table, key, row, taken)
        place, held = (table.collection, id_of(row)), HeldRow(row, is_to_send=before is None)
        self._usage.count_write(*place, held)
        self.overlay.put(place, self._known.get(place), held, is_replaced=is_replaced)

    def delete(self, table: TableInfo, row: Row) -> None:
        place = (table.collection, id_of(row))
        self._usage.count_write(*place, None)
        self.overlay.put(place, self._known.get(place), None)

    async def _check_free(self, table: TableInfo, key: IndexKey, row: Row, taken: tuple[Value, ...]) -> None:
        """An ordinary read: whoever takes the key before this commits makes the run stale."""
        holders = await self.range(IndexRange(key, prefix=taken, limit=1))
        if holders and holders[0]["_id"] != row["_id"]:
            fields = ", ".join(f"{name} {value!r}" for name, value in zip(key.fields, taken, strict=True))
            raise UniqueViolation(f"{table.name} already has a row with {fields}")

    def _capped(self, wanted: IndexRange) -> IndexRange:
        """One row beyond what the run may still read tells that there is too much, without fetching all of it."""
        most = max(self._usage.rows_left, 0) + 1
        return wanted if wanted.limit is not None and wanted.limit <= most else wanted.limited_to(most)

    def _learn(self, table: str, rows: Sequence[Row]) -> None:
        for row in rows:
            self._known[table, id_of(row)] = row

    def _now(self, place: tuple[str, RowId]) -> Row | None:
        return self.overlay.row(place) if place in self.overlay else self._known[place]


def _seen(wanted: IndexRange, rows: Sequence[Row]) -> IndexRange:
    """What a read depends on: where its limit was reached, what comes after the last row does not matter."""
    is_one_key = len(wanted.prefix) == len(wanted.index.fields)
    return wanted.unlimited() if is_one_key or len(rows) != wanted.limit else wanted.ending_at(rows[-1])


def _is_empty(wanted: IndexRange) -> bool:
    """Whether the bounds leave no room: nothing to read, and nothing that a commit could change."""
    lower, upper = wanted.lower, wanted.upper
    if wanted.limit == 0:
        return True
    if lower is None or upper is None:
        return False
    shared = min(len(lower.values), len(upper.values))
    low, high = tuple_key(lower.values[:shared]), tuple_key(upper.values[:shared])
    if low != high:
        return low > high
    # Both begin alike: the shorter one decides, for it takes all such positions in, or leaves them out.
    return not all(bound.inclusive for bound in (lower, upper) if len(bound.values) == shared)
