"""MemoryDatabase: what MongoDB promises the hub, in one process: versioned rows, snapshot transactions, one log of commits.

Several `hub.testing.memory.MemoryStore`s share one, as several hubs share a replica set. It is synchronous: whatever a method
does, it does at one moment. Nothing is ever thrown away but by `forget_history`: a test's data ends with the test. Rows lie here
as BSON, so that they come back as the driver brings them: copied, dates cut to milliseconds, large integers as Int64.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import bson
from bson.codec_options import CodecOptions

from hub.core.commits import BatchId, RowChange, TableReset
from hub.core.deltas import Delta, ListEdit
from hub.core.ranges import IndexKey, IndexRange, TupleKey, tuple_key
from hub.errors import ConfigError, Conflict, DuplicateKey, SnapshotTooOld
from hub.store import DeclaredTable, Delete, Insert, Replace, RequestRecord, Update, Write
from hub.timestamps import Timestamp, pack
from hub.values import Row, RowId, Value, sort_key

_AS_THE_DRIVER: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)

T = TypeVar("T")


class _History(Generic[T]):
    """All versions of one thing, each from the timestamp that made it; None is its absence."""

    __slots__ = ("_stamps", "_versions")

    def __init__(self) -> None:
        self._stamps: list[Timestamp] = []
        self._versions: list[T | None] = []

    def put(self, ts: Timestamp, version: T | None) -> None:
        self._stamps.append(ts)
        self._versions.append(version)

    def at(self, ts: Timestamp) -> T | None:
        n = bisect_right(self._stamps, ts)
        return self._versions[n - 1] if n else None

    def changed_after(self, ts: Timestamp) -> bool:
        return bool(self._stamps) and self._stamps[-1] > ts

    @property
    def latest(self) -> T | None:
        return self._versions[-1] if self._versions else None


@dataclass(frozen=True, slots=True)
class Logged:
    """One entry of the log. `origin` is the store that committed it, None for any other writer; `clock` the row it moved."""

    ts: Timestamp
    changes: tuple[RowChange | TableReset, ...] = ()
    origin: object | None = None
    batch: BatchId | None = None
    clock: tuple[str, int] | None = None

    @property
    def as_seen_by_others(self) -> tuple[RowChange | TableReset, ...]:
        """A change stream has the whole row of an insert and a replace, and of an update what it set.

        Which list an edit is of is certain of hubs only: others may have fields with dots in their names.
        """
        return tuple(self._as_seen(change) for change in self.changes)

    def _as_seen(self, change: RowChange | TableReset) -> RowChange | TableReset:
        if not isinstance(change, RowChange) or change.kind != "update":
            return change
        is_certain = self.batch is not None or not any(delta.lists for delta in change.deltas)
        return replace(change, after=None, deltas=change.deltas if is_certain else ())


@dataclass(slots=True)
class _Table:
    rows: dict[RowId, _History[bytes]] = field(default_factory=dict)
    indexes: dict[IndexKey, dict[TupleKey, _History[RowId]] | None] = field(default_factory=dict)
    """Declared ones; of a unique one, which row stands under each key."""
    is_declared: bool = False

    def current(self, ts: Timestamp) -> list[dict[str, Value]]:
        return [_decoded(image) for history in self.rows.values() if (image := history.at(ts)) is not None]


class MemoryDatabase:
    """All public methods act now; `now` is the newest timestamp given out, and moves with every entry of the log."""

    def __init__(self) -> None:
        self.now = pack(1_700_000_000, 1)
        self.log: list[Logged] = []
        self.listeners: set[Callable[[], None]] = set()
        """Called after every entry."""
        self._oldest = self.now
        self._tables: dict[str, _Table] = {}
        self._clocks: dict[str, _History[int]] = {}
        self._records: dict[str, _History[RequestRecord]] = {}

    # --- reading -------------------------------------------------------------------------------------------------------

    def read(self, wanted: IndexRange, at: Timestamp) -> list[Row]:
        self._check_readable(at)
        table = self._table(wanted.table)
        assert not table.is_declared or wanted.index in table.indexes or wanted.index.fields == ("_id",), f"no index {wanted.index}"
        found = [row for row in table.current(at) if wanted.contains(row)]
        found.sort(key=lambda row: tuple_key(wanted.index.position(row)), reverse=wanted.descending)
        return list(found[: wanted.limit])

    def get(self, table: str, ids: Iterable[RowId], at: Timestamp) -> dict[RowId, Row]:
        self._check_readable(at)
        histories = self._table(table).rows
        images = {row_id: histories[row_id].at(at) for row_id in ids if row_id in histories}
        return {row_id: _decoded(image) for row_id, image in images.items() if image is not None}

    def rows(self, table: str) -> list[dict[str, Value]]:
        """What lies in the table now, in no order that means anything."""
        return self._table(table).current(self.now)

    def record(self, key: str, at: Timestamp) -> RequestRecord | None:
        self._check_readable(at)
        return self._records[key].at(at) if key in self._records else None

    def clocks(self, at: Timestamp) -> dict[str, int]:
        numbers = {name: history.at(at) for name, history in self._clocks.items()}
        return {name: number for name, number in numbers.items() if number is not None}

    # --- writing -------------------------------------------------------------------------------------------------------

    def commit(
        self,
        writes: Sequence[Write],
        records: Sequence[RequestRecord],
        at: Timestamp,
        *,
        clock: str,
        origin: object,
        batch: BatchId,
    ) -> Timestamp:
        """A hub's transaction, opened at `at`. Raises Conflict where MongoDB does, and then wrote nothing."""
        self._check_readable(at)
        if self._clock(clock).changed_after(at):
            raise Conflict("another commit moved the clock row")
        for record in records:
            if record.key in self._records:
                taken_since = self._records[record.key].changed_after(at)
                raise (Conflict if taken_since else DuplicateKey)("the request is recorded already")
        transaction = _Transaction(self._tables, at)
        for write in writes:
            transaction.write(write, checked=True)
        number = (self._clock(clock).latest or 0) + 1
        ts = self._append(transaction.changes, origin=origin, batch=batch, clock=(clock, number))
        self._clock(clock).put(ts, number)
        for record in records:
            self._records.setdefault(record.key, _History()).put(ts, record)
        return ts

    def outside(self, *writes: Write) -> Timestamp:
        """Another MongoDB client's transaction, now. Of an Update only `set` and `unset` count; one without a row does nothing."""
        transaction = _Transaction(self._tables, self.now)
        for write in writes:
            transaction.write(write, checked=False)
        return self._append(transaction.changes)

    def drop(self, table: str) -> Timestamp:
        """Somebody drops the collection, rows and indexes."""
        self._table(table)
        ts = self._append((), reset=table)
        for history in self._tables[table].rows.values():
            if history.latest is not None:
                history.put(ts, None)
        self._tables[table].indexes.clear()
        self._tables[table].is_declared = False
        return ts

    def elsewhere(self) -> Timestamp:
        """Time moves on by a write that is none of the hub's business (another database)."""
        return self._append(())

    def forget_history(self) -> None:
        """From now on what was before cannot be read."""
        self._oldest = self.now

    def prepare(self, tables: Sequence[DeclaredTable], *, drop_unused: bool) -> list[str]:
        notes: list[str] = []
        for declared in tables:
            table = self._table(declared.name)
            for index in (index for index in declared.indexes if index not in table.indexes):
                table.indexes[index] = self._built(table, index) if index.unique else None
                notes.append(f"{index.table}: index {', '.join(index.fields)} made")
            for index in [index for index in table.indexes if index not in declared.indexes]:
                if drop_unused:
                    del table.indexes[index]
                notes.append(f"{index.table}: index {', '.join(index.fields)} {'dropped' if drop_unused else 'is left over'}")
            table.is_declared = True
        self._append(())
        return notes

    # --- its own -------------------------------------------------------------------------------------------------------

    def _append(
        self,
        changes: Sequence[RowChange],
        *,
        origin: object | None = None,
        batch: BatchId | None = None,
        clock: tuple[str, int] | None = None,
        reset: str | None = None,
    ) -> Timestamp:
        """One entry of the log, applied to rows and unique keys; then everybody who follows is told."""
        ts = self.now = Timestamp(self.now + 1)
        for change in changes:
            self._apply(change, ts)
        whole = (TableReset(reset),) if reset is not None else tuple(changes)
        self.log.append(Logged(ts, whole, origin, batch, clock))
        for listener in tuple(self.listeners):
            listener()
        return ts

    def _apply(self, change: RowChange, ts: Timestamp) -> None:
        table = self._tables[change.table]
        history = table.rows.setdefault(change.id, _History())
        before = history.latest
        history.put(ts, None if change.after is None else bson.encode(change.after))
        for index, owners in table.indexes.items():
            if owners is None:
                continue
            old, new = _key_in(index, None if before is None else _decoded(before)), _key_in(index, change.after)
            if old is not None and old != new:
                owners[old].put(ts, None)
            if new is not None and old != new:
                owners.setdefault(new, _History()).put(ts, change.id)

    def _built(self, table: _Table, index: IndexKey) -> dict[TupleKey, _History[RowId]]:
        owners: dict[TupleKey, _History[RowId]] = {}
        for row in table.current(self.now):
            key = _key_in(index, row)
            if key in owners:
                raise ConfigError(f"{index.table}: two rows have the same {', '.join(index.fields)}, which is declared unique")
            if key is not None:
                owners[key] = _History()
                owners[key].put(self.now, row["_id"])  # type: ignore[arg-type]  # ids of rows are row ids
        return owners

    def _check_readable(self, at: Timestamp) -> None:
        assert at <= self.now, "a read in the future"
        if at < self._oldest:
            raise SnapshotTooOld("the history of that timestamp is gone")

    def _table(self, name: str) -> _Table:
        return self._tables.setdefault(name, _Table())

    def _clock(self, name: str) -> _History[int]:
        return self._clocks.setdefault(name, _History())


class _Transaction:
    """Writes on a snapshot, checked against everything that changed after it."""

    def __init__(self, tables: dict[str, _Table], at: Timestamp) -> None:
        self._tables = tables
        self._at = at
        self._written: set[tuple[str, RowId]] = set()
        self._taken: dict[tuple[IndexKey, TupleKey], RowId | None] = {}
        self.changes: list[RowChange] = []

    def write(self, write: Write, *, checked: bool) -> None:
        """`checked` writes know their row: it must be there, and an update's `after` must be what the update makes of it."""
        assert (write.table, write.id) not in self._written, "one batch writes a row at most once"
        self._written.add((write.table, write.id))
        table = self._tables.setdefault(write.table, _Table())
        history = table.rows.get(write.id) or _History[bytes]()
        image = history.at(self._at)
        before = None if image is None else _decoded(image)
        after = _after(write, before)
        if before is None and not isinstance(write, Insert):
            if checked:
                raise Conflict("the row is not there")
            return
        if isinstance(write, Insert) and (before is not None or history.latest is not None):
            raise (Conflict if history.changed_after(self._at) else DuplicateKey)("a row of this id is there already")
        assert not (checked and isinstance(write, Update)) or _same(after, write.after), "`after` is not what the update makes"
        if _same(before, after):  # MongoDB writes nothing then: no conflict, no event
            return
        if history.changed_after(self._at):
            raise Conflict("a row that this transaction writes has changed")
        self._move_unique_keys(table, write.id, before, after)
        kind = type(write).__name__.lower()
        deltas = (_delta(write),) if isinstance(write, Update) else ()
        self.changes.append(RowChange(write.table, write.id, kind, after, deltas))  # type: ignore[arg-type]  # the kinds are Write's names

    def _move_unique_keys(self, table: _Table, row_id: RowId, before: Row | None, after: Row | None) -> None:
        for index, owners in table.indexes.items():
            if owners is None:
                continue
            old, new = _key_in(index, before), _key_in(index, after)
            if old is not None:
                self._taken[index, old] = None
            if new is not None:
                if new != old:
                    self._check_free(index, new, owners.get(new) or _History[RowId]())
                self._taken[index, new] = row_id

    def _check_free(self, index: IndexKey, key: TupleKey, owner: _History[RowId]) -> None:
        text = f"another row has this {', '.join(index.fields)}"
        if owner.changed_after(self._at):
            raise Conflict(text)
        if self._taken.get((index, key), owner.at(self._at)) is not None:
            raise DuplicateKey(text)


def _after(write: Write, before: dict[str, Value] | None) -> dict[str, Value] | None:
    match write:
        case Insert() | Replace():
            return _decoded(bson.encode(write.row))
        case Delete():
            return None
        case Update():
            lists = {name: tail.after(_list(before, name)) for name, tail in write.lists.items()}
            changed = {**(before or {}), **write.set, **lists}
            return _decoded(bson.encode({name: value for name, value in changed.items() if name not in write.unset}))


def _list(row: Mapping[str, Value] | None, name: str) -> list[Value]:
    value = (row or {}).get(name)
    assert isinstance(value, list), f"{name} is not a list"
    return value


def _delta(write: Update) -> Delta:
    """As a change stream tells it."""
    fields = _decoded(bson.encode({**write.set, **{name: list(tail.items) for name, tail in write.lists.items()}}))
    lists = {
        name: ListEdit(tail.keep if tail.cuts else None, dict(enumerate(_list(fields, name), tail.keep)))
        for name, tail in write.lists.items()
    }
    return Delta({name: value for name, value in fields.items() if name not in lists}, write.unset, lists)


def _key_in(index: IndexKey, row: Row | None) -> TupleKey | None:
    return tuple_key(index.position(row)) if row is not None and index.holds(row) else None


def _same(one: Mapping[str, Value] | None, other: Mapping[str, Value] | None) -> bool:
    if one is None or other is None:
        return one is other
    return {name: sort_key(value) for name, value in one.items()} == {name: sort_key(value) for name, value in other.items()}


def _decoded(image: bytes) -> dict[str, Value]:
    return bson.decode(image, _AS_THE_DRIVER)
