"""RangeCache: rows of index ranges, kept true by the commits the feed brings.

Live queries read it in place of the database (`hub.live.reading`), the rounds apply every commit to it (`hub.live.rounds`). Rows
are held once for each table and id and shared by all ranges; a change to a row is applied once, and costs look-ups and binary
searches that do not depend on how many ranges there are. By the row that is held it is known where a changed row stood before.

Invariant: at `position`, each cached range and each cached row equals a fresh read; what cannot be kept true for certain is
dropped, or not taken in. It is filled without a gap: rows are read at a timestamp, and the commits since then replayed over them
in the same step in which they are taken in (`hydrate`). Bounded in bytes, as estimated; what no live query shows is kept for a
while and is the first to go.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence

from hub.core.commits import Commit, RowChange, TableReset
from hub.core.heldrow import HeldRow
from hub.core.rangemap import AskedRow, CachedRange, CachedRow, Piece, RangeMap
from hub.core.ranges import BEYOND, IndexKey, IndexRange, TupleKey, tuple_key
from hub.core.retention import Retention
from hub.timestamps import ZERO, Timestamp
from hub.values import Row, RowId, Value, id_of

_ROW_BYTES = 1_500
"""What a row costs beside its values: dictionaries, objects, its place in the table."""
_FORMS = 3
"""How many times its values are held, in bytes of BSON: as stored, and as what its readers made of it."""
_SLOT_BYTES = 250
"""What a row's place in one range costs: key and two list items."""
_PIECE_BYTES = 500
_GREATEST_SHARE = 4
"""A range larger than this part of the budget is not kept: it would push out what others use, and be pushed out itself."""


class RangeCache:
    def __init__(self, *, max_bytes: int, grace_s: float) -> None:
        self.position: Timestamp = ZERO
        self.evictions = 0
        self._max_bytes = max_bytes
        self._bytes = 0
        self._now = 0.0  # when the cache was last told the time; what is made between counts from there
        self._tables: dict[str, _CachedTable] = {}
        self._retention = Retention(grace_s)

    @property
    def size_bytes(self) -> int:
        return self._bytes

    @property
    def ranges(self) -> int:
        """Cached ranges, and rows that were asked for by id."""
        return len(self._retention)

    # --- reading -------------------------------------------------------------------------------------------------------

    def read(self, wanted: IndexRange, used: set[Piece]) -> list[Row] | None:
        """The rows of the range at `position`; None if they are not all known. Adds to `used` what they came from."""
        table = self._tables.get(wanted.table)
        known = None if table is None else table.map_of(wanted)
        return None if known is None else known.read(wanted, used)

    def get(self, table: str, ids: Iterable[RowId], used: set[Piece]) -> dict[RowId, Row | None]:
        """What is known of these rows at `position`; None is a row that is not there, an id left out is not known."""
        cached = self._tables.get(table)
        known: dict[RowId, Row | None] = {}
        if cached is None:
            return known
        for row_id in ids:
            held = cached.rows.get(row_id)
            if held is not None:
                used.add(self._ask_for(held, self._now))
                known[row_id] = held.row
        return known

    def holds(self, table: str, row_id: RowId) -> bool:
        """Whether a change to the row must be known in full for the cache to go on holding it."""
        cached = self._tables.get(table)
        return cached is not None and row_id in cached.rows

    def row(self, table: str, row_id: RowId) -> Row | None:
        """The row as it is held, at `position`; None if it is not there or not known."""
        cached = self._tables.get(table)
        held = None if cached is None else cached.rows.get(row_id)
        return None if held is None else held.row

    # --- filling -------------------------------------------------------------------------------------------------------

    def hydrate(self, wanted: IndexRange, rows: Sequence[Row], since: Iterable[Commit], now: float, used: set[Piece]) -> bool:
        """Take in what a read of the range returned, and the commits between that read's timestamp and `position`.

        False if it cannot be kept: a commit in between cannot be applied for certain, a row has an array where the index looks
        and so no one place in it, or it is too large.
        """
        self._now = now
        current = self._replayed(wanted, rows, since)
        if current is None or self._is_too_large(current.values()):
            return False
        if any(_is_scattered(wanted.index.position(row)) for row in rows):
            return False
        keyed = sorted(((_rest_of_key(wanted, row), row) for row in current.values()), key=lambda entry: entry[0])
        known = self._tables.setdefault(wanted.table, _CachedTable()).make_map(wanted)
        for low, high in list(known.gaps(*_known_interval(wanted, rows))):
            inside = [(key, self._hold_row(wanted.table, row)) for key, row in keyed if low <= key < high]
            part = CachedRange(wanted, low, high, inside, now)
            for _, held in inside:
                held.ranges += 1
            known.add(part)
            used.add(part)
            self._retention.add(part)
            self._bytes += _PIECE_BYTES + _SLOT_BYTES * len(inside)
        self._keep_to_budget(used)
        return True

    def _replayed(self, wanted: IndexRange, rows: Sequence[Row], since: Iterable[Commit]) -> dict[RowId, HeldRow] | None:
        """The rows at `position`, by id."""
        current = {id_of(row): HeldRow(row) for row in rows}
        for change in _changes(since, wanted.table):
            after = self._after(change)
            if after is _UNKNOWN or isinstance(change, TableReset):
                return None
            if after is not None and _is_scattered(wanted.index.position(after)):
                return None
            current.pop(change.id, None)
            if after is not None and wanted.contains(after):
                current[change.id] = HeldRow(after)
        return current

    def _is_too_large(self, rows: Collection[HeldRow]) -> bool:
        size_bytes = sum(_FORMS * row.size_bytes for row in rows) + (_ROW_BYTES + _SLOT_BYTES) * len(rows)
        return size_bytes > self._max_bytes / _GREATEST_SHARE

    def hydrate_rows(
        self, table: str, ids: Iterable[RowId], rows: Mapping[RowId, Row], since: Sequence[Commit], now: float, used: set[Piece]
    ) -> None:
        """The same for rows that were read by id; those that were not found are known not to be there."""
        self._now = now
        current: dict[RowId, Row | None] = {row_id: rows.get(row_id) for row_id in ids}
        for change in _changes(since, table):
            if isinstance(change, TableReset):
                return
            if change.id in current:
                after = self._after(change)
                if after is _UNKNOWN:
                    del current[change.id]
                else:
                    current[change.id] = after
        cached = self._tables.setdefault(table, _CachedTable())
        for row_id, row in current.items():
            held = cached.rows.get(row_id)
            if held is None:
                held = cached.rows[row_id] = CachedRow(table, row_id)
                self._set(held, row)
            used.add(self._ask_for(held, now))
        self._keep_to_budget(used)

    # --- being kept true -----------------------------------------------------------------------------------------------

    def apply(self, commit: Commit) -> None:
        """Move on to this commit."""
        for change in commit.changes:
            table = self._tables.get(change.table)
            if table is None:
                continue
            if isinstance(change, TableReset):
                self._drop_table(change.table)
            elif change.is_unresolved:
                self._doubt(table, change.id)
            else:
                self._apply(table, change)
        self.position = commit.ts

    def advance(self, to: Timestamp) -> None:
        """The feed passed `to` without another commit."""
        self.position = to

    def reset(self, at: Timestamp) -> None:
        """Begin anew at `at`: what changed before is unknown."""
        for name in list(self._tables):
            self._drop_table(name)
        self.position = at

    def _apply(self, table: _CachedTable, change: RowChange) -> None:
        held = table.rows.get(change.id)
        before = None if held is None else held.row
        if held is None and change.after is None:
            return
        if held is None:
            held = CachedRow(change.table, change.id)  # stays only if a range takes it in
        grown: list[CachedRange] = []
        for index, by_length in table.maps.items():
            old, new = _place_in(index, before), _place_in(index, change.after)
            if old == new:
                continue
            for length, by_prefix in by_length.items():
                self._move(held, old, new, length, by_prefix, grown)
        if held.is_needed:
            table.rows[change.id] = held
            self._set(held, change.after)
        else:
            self._forget_if_unneeded(held)
        for part in grown:
            for gone in part.cut():
                self._leave(gone)

    def _move(
        self,
        held: CachedRow,
        old: TupleKey | None,
        new: TupleKey | None,
        length: int,
        by_prefix: Mapping[TupleKey, RangeMap],
        grown: list[CachedRange],
    ) -> None:
        """Out of the range where it stood, into the one where it stands."""
        left = _range_at(by_prefix, length, old)
        entered = _range_at(by_prefix, length, new)
        if left is not None and old is not None:
            left.take(old[length:], held)
            held.ranges -= 1
            self._bytes -= _SLOT_BYTES
        if entered is not None and new is not None:
            entered.put(new[length:], held)
            held.ranges += 1
            self._bytes += _SLOT_BYTES
            grown.append(entered)

    def _after(self, change: RowChange | TableReset) -> Row | None:
        """The row after the change; what is held of it is at `position` already. `_UNKNOWN` if nobody can say."""
        if isinstance(change, TableReset) or not change.is_unresolved:
            return change.after if isinstance(change, RowChange) else None
        table = self._tables.get(change.table)
        held = None if table is None else table.rows.get(change.id)
        return _UNKNOWN if held is None else held.row

    # --- what is kept, and what goes -----------------------------------------------------------------------------------

    def hold(self, holder: Hashable, pieces: set[Piece], now: float) -> None:
        """From now on `holder` shows these, and nothing it showed before."""
        self._now = now
        self._retention.hold(holder, pieces, now)

    def release(self, holder: Hashable, now: float) -> None:
        self._retention.release(holder, now)

    def touch(self, pieces: Iterable[Piece], now: float) -> None:
        """Somebody who shows nothing read these: what nobody shows is kept for the grace period from now."""
        self._now = now
        self._retention.touch(pieces, now)

    def sweep(self, now: float) -> None:
        """Evict what nobody shows and nobody used for the grace period, and what is too much."""
        self._now = now
        while (piece := self._retention.expired(now)) is not None:
            self._evict(piece)
        self._keep_to_budget(set())

    def _keep_to_budget(self, in_use: set[Piece]) -> None:
        """What live queries show goes only when nothing else is left: they read the database again then."""
        while self._bytes > self._max_bytes and (piece := self._retention.least_needed(in_use)) is not None:
            self._evict(piece)

    def _evict(self, piece: Piece) -> None:
        self.evictions += 1
        self._drop(piece)

    def _drop(self, piece: Piece) -> None:
        self._retention.remove(piece)
        self._bytes -= _PIECE_BYTES
        if isinstance(piece, CachedRange):
            self._tables[piece.index.table].remove(piece)
            for held in piece.rows:
                self._leave(held)
        elif isinstance(piece, AskedRow):
            piece.held.asked = None
            self._forget_if_unneeded(piece.held)

    def _doubt(self, table: _CachedTable, row_id: RowId) -> None:
        """Nobody can say what became of this row: it may stand in any range now."""
        for part in table.cached_ranges():
            self._drop(part)
        held = table.rows.get(row_id)
        if held is not None and held.asked is not None:
            self._drop(held.asked)

    def _drop_table(self, name: str) -> None:
        table = self._tables[name]
        for part in table.cached_ranges():
            self._drop(part)
        for row_id in list(table.rows):
            self._doubt(table, row_id)
        del self._tables[name]

    # --- rows ----------------------------------------------------------------------------------------------------------

    def _hold_row(self, table: str, row: HeldRow) -> CachedRow:
        rows = self._tables[table].rows
        held = rows.get(id_of(row))
        if held is None:
            held = rows[id_of(row)] = CachedRow(table, id_of(row))
            self._set(held, row)
        return held

    def _ask_for(self, held: CachedRow, now: float) -> AskedRow:
        if held.asked is None:
            held.asked = AskedRow(held, now)
            self._retention.add(held.asked)
            self._bytes += _PIECE_BYTES
        return held.asked

    def _set(self, held: CachedRow, row: Row | None) -> None:
        self._bytes -= held.size_bytes
        held.row = row if row is None or isinstance(row, HeldRow) else HeldRow(row)
        held.size_bytes = _ROW_BYTES + (0 if held.row is None else _FORMS * held.row.size_bytes)
        self._bytes += held.size_bytes

    def _leave(self, held: CachedRow) -> None:
        """A range no longer contains it."""
        self._bytes -= _SLOT_BYTES
        held.ranges -= 1
        self._forget_if_unneeded(held)

    def _forget_if_unneeded(self, held: CachedRow) -> None:
        if not held.is_needed:
            self._bytes -= held.size_bytes
            held.size_bytes = 0
            self._tables[held.table].rows.pop(held.id, None)


class _CachedTable:
    """What is held of one table: rows by id; ranges by index, length of prefix, prefix."""

    __slots__ = ("maps", "rows")

    def __init__(self) -> None:
        self.rows: dict[RowId, CachedRow] = {}
        self.maps: dict[IndexKey, dict[int, dict[TupleKey, RangeMap]]] = {}

    def map_of(self, wanted: IndexRange) -> RangeMap | None:
        by_length = self.maps.get(wanted.index)
        by_prefix = None if by_length is None else by_length.get(len(wanted.prefix_key))
        return None if by_prefix is None else by_prefix.get(wanted.prefix_key)

    def make_map(self, wanted: IndexRange) -> RangeMap:
        by_prefix = self.maps.setdefault(wanted.index, {}).setdefault(len(wanted.prefix_key), {})
        return by_prefix.setdefault(wanted.prefix_key, RangeMap())

    def cached_ranges(self) -> list[CachedRange]:
        maps = (known for by_length in self.maps.values() for by_prefix in by_length.values() for known in by_prefix.values())
        return [part for known in maps for part in known]

    def remove(self, part: CachedRange) -> None:
        """Levels that become empty go, so that a change looks up only what is in use."""
        by_length = self.maps[part.index]
        by_prefix = by_length[len(part.prefix)]
        known = by_prefix[part.prefix]
        known.remove(part)
        if not known:
            del by_prefix[part.prefix]
        if not by_prefix:
            del by_length[len(part.prefix)]
        if not by_length:
            del self.maps[part.index]


_UNKNOWN: Row = {}


def _changes(commits: Iterable[Commit], table: str) -> Iterator[RowChange | TableReset]:
    return (change for commit in commits for change in commit.changes if change.table == table)


def _rest_of_key(wanted: IndexRange, row: Row) -> TupleKey:
    return tuple_key(wanted.index.position(row))[len(wanted.prefix_key) :]


def _known_interval(wanted: IndexRange, rows: Sequence[Row]) -> tuple[TupleKey, TupleKey]:
    """The keys of which a read says everything: where it stopped at its limit, no further than its last row."""
    if wanted.limit is None or len(rows) < wanted.limit:
        return wanted.start, wanted.end
    last = _rest_of_key(wanted, rows[-1])
    return (last, wanted.end) if wanted.descending else (wanted.start, (*last, BEYOND))


def _place_in(index: IndexKey, row: Row | None) -> TupleKey | None:
    """None also for a row that is scattered: no range is kept that contains one, and a row that becomes one is unresolved."""
    if row is None or not index.holds(row):
        return None
    position = index.position(row)
    return None if _is_scattered(position) else tuple_key(position)


def _is_scattered(position: tuple[Value, ...]) -> bool:
    """Whether it has an array: the database enters such a row once for each item, and reads it where the first one lies."""
    return list in map(type, position)


def _range_at(by_prefix: Mapping[TupleKey, RangeMap], length: int, key: TupleKey | None) -> CachedRange | None:
    known = None if key is None else by_prefix.get(key[:length])
    return None if known is None or key is None else known.at(key[length:])
