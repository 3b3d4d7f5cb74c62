"""CachedRange and RangeMap: what is known of one index under one equality prefix.

A cached range is a half-open interval of keys of which every row is known: two edges, and the rows between them in order. A
RangeMap holds disjoint ones. A read is answered by those that follow each other without a gap, in either direction, until its
limit or its far bound is reached; so pages that touch, other limits and narrower bounds share rows and cost no read. Used by
`hub.core.rangecache` alone, which keeps the rows true.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from hub.core.heldrow import HeldRow
from hub.core.ranges import BEYOND, IndexKey, IndexRange, TupleKey
from hub.values import Row, RowId


class Piece:
    """What is kept or evicted as a whole. `holders`: how many live queries show something of it. `used_at`: when one last read it,
    or let go of it."""

    __slots__ = ("holders", "is_dropped", "used_at")

    def __init__(self, now: float) -> None:
        self.holders = 0
        self.is_dropped = False
        self.used_at = now


class CachedRow:
    """One row, held once for all pieces. `row` is None where it is known that there is none.

    `ranges`: how many cached ranges contain it. `asked`: the piece that keeps it because it was read by id.
    """

    __slots__ = ("asked", "id", "ranges", "row", "size_bytes", "table")

    def __init__(self, table: str, row_id: RowId) -> None:
        self.table = table
        self.id = row_id
        self.row: HeldRow | None = None
        self.size_bytes = 0
        self.ranges = 0
        self.asked: AskedRow | None = None

    @property
    def is_needed(self) -> bool:
        return self.ranges > 0 or self.asked is not None


class AskedRow(Piece):
    """A row that was read by id."""

    __slots__ = ("held",)

    def __init__(self, held: CachedRow, now: float) -> None:
        super().__init__(now)
        self.held = held


class CachedRange(Piece):
    """Every row of the index under the prefix with `start <= key < end`, `keys` and `rows` side by side in order.

    Who reads up to a limit needs so many rows from the edge where its reading begins; with `most` rows there and some slack the
    range is cut, so that it does not grow for ever with what is put in before them.
    """

    __slots__ = ("descending", "end", "index", "keys", "most", "prefix", "rows", "start")

    def __init__(
        self,
        wanted: IndexRange,
        start: TupleKey,
        end: TupleKey,
        rows: Iterable[tuple[TupleKey, CachedRow]],
        now: float,
    ) -> None:
        super().__init__(now)
        self.index: IndexKey = wanted.index
        self.prefix: TupleKey = wanted.prefix_key
        self.start = start
        self.end = end
        self.descending = wanted.descending
        self.most = sys.maxsize if wanted.limit is None else wanted.limit
        self.keys: list[TupleKey] = []
        self.rows: list[CachedRow] = []
        for key, row in rows:
            self.keys.append(key)
            self.rows.append(row)

    def put(self, key: TupleKey, row: CachedRow) -> None:
        n = bisect_left(self.keys, key)
        self.keys.insert(n, key)
        self.rows.insert(n, row)

    def take(self, key: TupleKey, row: CachedRow) -> None:
        n = bisect_left(self.keys, key)
        while self.rows[n] is not row:  # two that swap their unique keys in one commit stand in one place for a moment
            n += 1
        assert self.keys[n] == key, "a row that stands in a cached range is in it"
        del self.keys[n], self.rows[n]

    def need(self, first: int, last: int, *, descending: bool) -> None:
        """Rows `first` to `last`, counted in the order of the index and perhaps beyond what is there, are read."""
        if descending != self.descending:
            self.most = sys.maxsize
        else:
            self.most = max(self.most, len(self.rows) - first if descending else last)

    def cut(self) -> list[CachedRow]:
        """Let go of the rows that nobody needs, if there are many."""
        surplus = len(self.rows) - self.most
        if surplus <= slack(self.most):
            return []
        if self.descending:
            gone, self.rows = self.rows[:surplus], self.rows[surplus:]
            self.start, self.keys = (*self.keys[surplus - 1], BEYOND), self.keys[surplus:]
        else:
            gone, self.rows = self.rows[self.most :], self.rows[: self.most]
            self.end, self.keys = self.keys[self.most], self.keys[: self.most]
        return gone


class RangeMap:
    """Disjoint cached ranges in order. One point lies in one of them at most."""

    __slots__ = ("_ranges",)

    def __init__(self) -> None:
        self._ranges: list[CachedRange] = []

    def __len__(self) -> int:
        return len(self._ranges)

    def __iter__(self) -> Iterator[CachedRange]:
        return iter(tuple(self._ranges))

    def at(self, key: TupleKey) -> CachedRange | None:
        """The range that the key lies in."""
        n = bisect_right(self._ranges, key, key=_start) - 1
        return self._ranges[n] if n >= 0 and key < self._ranges[n].end else None

    def add(self, new: CachedRange) -> None:
        self._ranges.insert(bisect_left(self._ranges, new.start, key=_start), new)

    def remove(self, gone: CachedRange) -> None:
        n = bisect_left(self._ranges, gone.start, key=_start)
        assert self._ranges[n] is gone
        del self._ranges[n]

    def gaps(self, start: TupleKey, end: TupleKey) -> Iterator[tuple[TupleKey, TupleKey]]:
        """The parts of the interval of which nothing is known."""
        n = max(bisect_right(self._ranges, start, key=_start) - 1, 0)
        for known in self._ranges[n:]:
            if known.start >= end:
                break
            if start < known.start:
                yield start, known.start
            start = max(start, known.end)
        if start < end:
            yield start, end

    def read(self, wanted: IndexRange, used: set[Piece]) -> list[Row] | None:
        """The rows of the range in its direction, up to its limit; None if they are not all known. Notes what they came from."""
        start, end = wanted.start, wanted.end
        if start >= end:
            return []
        limit = sys.maxsize if wanted.limit is None else wanted.limit
        read = self._backward if wanted.descending else self._forward
        return read(start, end, limit, used)

    def _forward(self, start: TupleKey, end: TupleKey, limit: int, used: set[Piece]) -> list[Row] | None:
        rows: list[Row] = []
        for n in range(max(bisect_right(self._ranges, start, key=_start) - 1, 0), len(self._ranges)):
            part = self._ranges[n]
            if not part.start <= start < part.end:
                break
            first, left = bisect_left(part.keys, start), limit - len(rows)
            last = min(bisect_left(part.keys, end, first), first + left)
            part.need(first, first + left, descending=False)
            rows += [held.row for held in part.rows[first:last] if held.row is not None]
            used.add(part)
            if len(rows) == limit or part.end >= end:
                return rows
            start = part.end
        return None

    def _backward(self, start: TupleKey, end: TupleKey, limit: int, used: set[Piece]) -> list[Row] | None:
        rows: list[Row] = []
        for n in range(bisect_left(self._ranges, end, key=_start) - 1, -1, -1):
            part = self._ranges[n]
            if not part.start < end <= part.end:
                break
            last, left = bisect_left(part.keys, end), limit - len(rows)
            first = max(bisect_left(part.keys, start, 0, last), last - left)
            part.need(last - left, last, descending=True)
            rows += [held.row for held in reversed(part.rows[first:last]) if held.row is not None]
            used.add(part)
            if len(rows) == limit or part.start <= start:
                return rows
            end = part.start
        return None


def slack(limit: int) -> int:
    """How many rows more than a limit are kept, so that a deletion is filled up without a read."""
    return min(4 + limit // 8, 64)


def _start(part: CachedRange) -> TupleKey:
    return part.start
