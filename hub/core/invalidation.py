"""InvalidationIndex: which readers does a row change concern?

The rounds register each live query's read set here and ask about every change the feed brings. A change concerns whoever holds
the row (it leaves, or shows other values) and whoever read a range that the row now stands in (it enters): by the first, before
images are never needed. Invariant: a reader whose ranges would return other rows after a change than before is always named; one
too many may be named, one too few never.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Generic, NamedTuple, NewType, TypeVar

from hub.core.commits import Commit, RowChange, TableReset
from hub.core.intervals import IntervalIndex
from hub.core.ranges import IndexKey, IndexRange, TupleKey, tuple_key
from hub.core.readset import ReadSet
from hub.values import Row, RowId

ReaderId = NewType("ReaderId", int)
"""One registered reader: a live query."""

R = TypeVar("R", bound=Hashable)


class _Span(NamedTuple):
    """The keys a range covers: the same for both directions, and for every way to write its bounds."""

    key: IndexKey
    prefix: TupleKey
    start: TupleKey
    end: TupleKey


class _Watched(NamedTuple):
    spans: frozenset[_Span]
    rows: frozenset[tuple[str, RowId]]


_NOTHING = _Watched(frozenset(), frozenset())


class InvalidationIndex(Generic[R]):
    """Readers by what they read. One reader has one read set; registering again replaces it."""

    def __init__(self) -> None:
        self._tables: dict[str, _WatchedTable[R]] = {}
        self._watched: dict[R, _Watched] = {}

    def __len__(self) -> int:
        return len(self._watched)

    def watch(self, reader: R, reads: ReadSet) -> None:
        """From now on changes to what `reads` names concern the reader, and nothing it was registered for before."""
        watched = _Watched(frozenset(_spans(reads.ranges)), frozenset(reads.rows))
        before = self._watched.get(reader, _NOTHING)
        self._watched[reader] = watched
        for span in watched.spans - before.spans:
            self._table(span.key.table).add_span(span, reader)
        for table, row_id in watched.rows - before.rows:
            self._table(table).add_row(row_id, reader)
        self._leave(reader, _Watched(before.spans - watched.spans, before.rows - watched.rows))

    def forget(self, reader: R) -> None:
        """Nothing concerns the reader any more; one that is not registered is no error."""
        self._leave(reader, self._watched.pop(reader, _NOTHING))

    def _leave(self, reader: R, left: _Watched) -> None:
        for span in left.spans:
            self._tables[span.key.table].remove_span(span, reader)
        for table, row_id in left.rows:
            self._tables[table].remove_row(row_id, reader)
        for name in {span.key.table for span in left.spans} | {table for table, _ in left.rows}:
            if self._tables[name].is_empty:
                del self._tables[name]

    def watches_table(self, table: str) -> bool:
        """Whether a change to the table can concern anybody at all."""
        return table in self._tables

    def needs_image(self, table: str) -> bool:
        """Whether somebody read a range of the table, so that an unresolved change must be resolved to know who is concerned."""
        watched = self._tables.get(table)
        return watched is not None and bool(watched.indexes)

    def invalidate(self, change: RowChange | TableReset) -> set[R]:
        """Readers that the change may concern: those who hold the row and those whose ranges it now stands in.

        Costs i · p look-ups and O(log n + hits) in each: i indexes of the table that were read, p prefix lengths in use, n
        different ranges under one prefix. A table that was reset concerns everybody who read from it. So that nothing is
        missed, an unresolved change concerns everybody who read a range of its table: resolve it first (`needs_image`).
        """
        watched = self._tables.get(change.table)
        if watched is None:
            return set()
        if isinstance(change, TableReset):
            return self._readers_of(change.table)
        concerned = set(watched.rows.get(change.id, ()))
        if change.is_unresolved:
            concerned |= self._readers_of(change.table, ranges_only=True)
        elif change.after is not None:
            watched.collect_entered(change.after, concerned)
        return concerned

    def _table(self, name: str) -> _WatchedTable[R]:
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = _WatchedTable()
        return table

    def _readers_of(self, table: str, *, ranges_only: bool = False) -> set[R]:
        """By a walk over all readers: rare (a dropped collection), and nothing has to be kept up for it."""
        return {
            reader
            for reader, watched in self._watched.items()
            if any(span.key.table == table for span in watched.spans)
            or (not ranges_only and any(name == table for name, _ in watched.rows))
        }


def _spans(ranges: Iterable[IndexRange]) -> Iterator[_Span]:
    """Without those that no row can be in."""
    for wanted in ranges:
        start, end = wanted.start, wanted.end
        if start < end:
            yield _Span(wanted.index, wanted.prefix_key, start, end)


def touches(reads: ReadSet, commit: Commit) -> bool:
    """Whether the commit concerns what was read: the same answer as the index's, for one read set and the log."""
    return any(_touches(reads, change) for change in commit.changes)


def _touches(reads: ReadSet, change: RowChange | TableReset) -> bool:
    ranges = (wanted for wanted in reads.ranges if wanted.table == change.table)
    if isinstance(change, TableReset):
        return any(True for _ in ranges) or any(table == change.table for table, _ in reads.rows)
    if (change.table, change.id) in reads.rows:
        return True
    if change.after is None:
        return change.is_unresolved and any(True for _ in ranges)
    return any(wanted.contains(change.after) for wanted in ranges)


class _WatchedTable(Generic[R]):
    """What readers read of one table: rows by id; ranges by index, length of prefix, prefix."""

    __slots__ = ("indexes", "rows")

    def __init__(self) -> None:
        self.rows: dict[RowId, set[R]] = {}
        self.indexes: dict[IndexKey, dict[int, dict[TupleKey, IntervalIndex[R]]]] = {}

    @property
    def is_empty(self) -> bool:
        return not self.rows and not self.indexes

    def add_row(self, row_id: RowId, reader: R) -> None:
        self.rows.setdefault(row_id, set()).add(reader)

    def remove_row(self, row_id: RowId, reader: R) -> None:
        readers = self.rows[row_id]
        readers.discard(reader)
        if not readers:
            del self.rows[row_id]

    def add_span(self, span: _Span, reader: R) -> None:
        by_prefix = self.indexes.setdefault(span.key, {}).setdefault(len(span.prefix), {})
        intervals = by_prefix.get(span.prefix)
        if intervals is None:
            intervals = by_prefix[span.prefix] = IntervalIndex()
        intervals.add(span.start, span.end, reader)

    def remove_span(self, span: _Span, reader: R) -> None:
        """Levels that become empty go, so that a change looks up only what is in use."""
        by_length = self.indexes[span.key]
        by_prefix = by_length[len(span.prefix)]
        intervals = by_prefix[span.prefix]
        intervals.remove(span.start, span.end, reader)
        if not intervals:
            del by_prefix[span.prefix]
        if not by_prefix:
            del by_length[len(span.prefix)]
        if not by_length:
            del self.indexes[span.key]

    def collect_entered(self, row: Row, into: set[R]) -> None:
        for intervals, rest in self._intervals_around(row):
            intervals.collect(rest, into)

    def _intervals_around(self, row: Row) -> Iterator[tuple[IntervalIndex[R], TupleKey]]:
        for index, by_length in self.indexes.items():
            if not index.holds(row):
                continue
            key = tuple_key(index.position(row))
            for length, by_prefix in by_length.items():
                intervals = by_prefix.get(key[:length])
                if intervals is not None:
                    yield intervals, key[length:]
