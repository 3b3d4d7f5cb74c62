"""Database: `ctx.db`, typed by the application's tables and indexes.

A query gets `Database`, which cannot write; a mutation gets `WritableDatabase`. Both are thin: what is read and written is
`Transaction`'s, what rows look like in the database is `hub.functions.rows`'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, Self, TypeVar, TypeVarTuple, cast, overload

from hub.core.ranges import Bound, IndexRange
from hub.errors import FunctionError
from hub.functions import pagination
from hub.functions.ids import Id, IdSource, stored_ids
from hub.functions.indexes import AnyIndex, Index
from hub.functions.pagination import Page, PageOptions
from hub.functions.rows import decode, encode, encode_as_read, encode_key
from hub.functions.tables import Table, TableInfo, table_of
from hub.functions.transaction import Transaction
from hub.values import Row, RowId

RowT = TypeVar("RowT", bound=Table)
K1 = TypeVar("K1")
K2 = TypeVar("K2")
K3 = TypeVar("K3")
K4 = TypeVar("K4")
Keys = TypeVarTuple("Keys")
Rest = TypeVarTuple("Rest")


@dataclass(slots=True)
class Pages:
    """The one paginated read of a run: the journal it came with, and the one it leaves."""

    journal: str | None
    new_journal: str | None = None
    is_used: bool = False


@dataclass(frozen=True, slots=True)
class Rows(Generic[RowT, *Keys]):
    """A range of an index, not yet read: narrow it, then await `first`, `unique`, `take`, `collect` or `paginate`.

    `Keys` are the types of the fields after those already fixed. Rows in which a field is None come before all others.
    """

    _db: Database
    _index: AnyIndex
    _wanted: IndexRange

    def above(self: Rows[RowT, K1, *Rest], value: K1) -> Rows[RowT, K1, *Rest]:
        """Only rows whose next field is greater than the value."""
        return self._from(value, inclusive=False)

    def at_least(self: Rows[RowT, K1, *Rest], value: K1) -> Rows[RowT, K1, *Rest]:
        """Only rows whose next field is the value or greater."""
        return self._from(value, inclusive=True)

    def below(self: Rows[RowT, K1, *Rest], value: K1) -> Rows[RowT, K1, *Rest]:
        """Only rows whose next field is less than the value."""
        return self._to(value, inclusive=False)

    def at_most(self: Rows[RowT, K1, *Rest], value: K1) -> Rows[RowT, K1, *Rest]:
        """Only rows whose next field is the value or less."""
        return self._to(value, inclusive=True)

    def order(self, direction: Literal["asc", "desc"]) -> Rows[RowT, *Keys]:
        """The direction of reading; ascending if nothing is said."""
        if direction not in ("asc", "desc"):
            raise FunctionError(f"order is 'asc' or 'desc', not {direction!r}")
        return replace(self, _wanted=replace(self._wanted, descending=direction == "desc"))

    async def first(self) -> RowT | None:
        rows = await self.take(1)
        return rows[0] if rows else None

    async def unique(self) -> RowT | None:
        """The only row there is, or None. Raises FunctionError if there are more."""
        rows = await self.take(2)
        if len(rows) > 1:
            raise FunctionError(f"unique() found more than one row in {self._index!r}")
        return rows[0] if rows else None

    async def take(self, count: int) -> list[RowT]:
        """At most so many rows."""
        if count < 0:
            raise FunctionError(f"take({count}): a count is not negative")
        return self._decoded(await self._db._transaction.range(self._wanted.limited_to(count)))

    async def collect(self) -> list[RowT]:
        """All rows; too many are an error (`Limits.rows_read`)."""
        return self._decoded(await self._db._transaction.range(self._wanted))

    async def paginate(self, options: PageOptions) -> Page[RowT]:
        """One page, whose end stays where it is from its second run on. Once in a run.

        Raises InvalidCursor.
        """
        pages = self._db._pages
        if pages.is_used:
            raise FunctionError("a function may paginate once: its journal has room for one page's end")
        pages.is_used = True
        where = pagination.cut(options, self._wanted, pages.journal)
        part = pagination.page_range(self._wanted, where)
        limit = options.num_items if where.until is None else None
        rows = [] if part is None else await self._db._transaction.range(part.limited_to(limit))
        end = where.until
        if end is None:
            end = self._wanted.index.position(rows[-1]) if len(rows) == limit else pagination.END
        pages.new_journal = pagination.encode(self._wanted, end)
        page_type = cast("type[Page[RowT]]", Page[self._index.table.row_type])  # type: ignore[name-defined]  # known at run time
        return page_type(page=self._decoded(rows), is_done=end == pagination.END, continue_cursor=pages.new_journal)

    def _decoded(self, rows: Sequence[Row]) -> list[RowT]:
        return [cast(RowT, decode(self._index.table, row)) for row in rows]

    def _from(self, value: object, *, inclusive: bool) -> Self:
        if self._wanted.lower is not None:
            raise FunctionError("a range has one lower bound")
        return replace(self, _wanted=replace(self._wanted, lower=self._bound(value, inclusive=inclusive)))

    def _to(self, value: object, *, inclusive: bool) -> Self:
        if self._wanted.upper is not None:
            raise FunctionError("a range has one upper bound")
        return replace(self, _wanted=replace(self._wanted, upper=self._bound(value, inclusive=inclusive)))

    def _bound(self, value: object, *, inclusive: bool) -> Bound:
        fixed = len(self._wanted.prefix)
        if fixed >= len(self._index.fields) or self._wanted.index.partial:
            raise FunctionError(f"{self._index!r} has no field left for a range")
        return Bound((encode_key(self._index.table, self._index.fields[fixed], value),), inclusive)


class Database:
    """Reads, all at one moment. What was read decides when a live query runs again."""

    def __init__(self, transaction: Transaction, pages: Pages) -> None:
        self._transaction = transaction
        self._pages = pages

    async def get(self, table: type[RowT], id: Id[RowT]) -> RowT | None:
        """The row with this id, or None: also for a text that is no id."""
        info = table_of(table)
        found = await self._transaction.rows(info.collection, stored_ids(id))
        return next((cast(RowT, decode(info, row)) for row in found.values()), None)

    async def get_many(self, table: type[RowT], ids: Sequence[Id[RowT]]) -> list[RowT | None]:
        """The rows with these ids, fetched together, in the order of the ids; None for each that is not there."""
        info = table_of(table)
        stored = await self._transaction.rows(info.collection, [raw for row_id in ids for raw in stored_ids(row_id)])
        found = (next((stored[raw] for raw in stored_ids(row_id) if raw in stored), None) for row_id in ids)
        return [None if row is None else cast(RowT, decode(info, row)) for row in found]

    @overload
    def query(self, index: type[RowT], /) -> Rows[RowT, Id[RowT]]: ...
    @overload
    def query(self, index: Index[RowT, *Keys], /) -> Rows[RowT, *Keys]: ...
    @overload
    def query(self, index: Index[RowT, K1, *Rest], v1: K1, /) -> Rows[RowT, *Rest]: ...
    @overload
    def query(self, index: Index[RowT, K1, K2, *Rest], v1: K1, v2: K2, /) -> Rows[RowT, *Rest]: ...
    @overload
    def query(self, index: Index[RowT, K1, K2, K3, *Rest], v1: K1, v2: K2, v3: K3, /) -> Rows[RowT, *Rest]: ...
    @overload
    def query(self, index: Index[RowT, K1, K2, K3, K4, *Rest], v1: K1, v2: K2, v3: K3, v4: K4, /) -> Rows[RowT, *Rest]: ...
    def query(self, index: Any, /, *values: object) -> Any:
        """Rows of an index whose first fields equal the values; a table's class alone means all its rows, by id."""
        named: AnyIndex = index if isinstance(index, Index) else table_of(index).by_id
        if len(values) > len(named.fields):
            raise FunctionError(f"{named!r} has {len(named.fields)} fields, not {len(values)}")
        if named.key.partial and len(values) < len(named.fields):
            raise FunctionError(f"{named!r} has only rows where its fields are present: it can be read only with all of them")
        prefix = tuple([encode_key(named.table, field, value) for field, value in zip(named.fields, values, strict=False)])
        return Rows(self, named, IndexRange(named.key, prefix))


class WritableDatabase(Database):
    """Reads and writes of a mutation: its own later reads see what it wrote, others see all of it or nothing."""

    def __init__(self, transaction: Transaction, pages: Pages, ids: IdSource, now: float) -> None:
        super().__init__(transaction, pages)
        self._ids = ids
        self._now = now

    async def insert(self, row: RowT) -> Id[RowT]:
        """Raises InvalidRow, UniqueViolation."""
        info = table_of(type(row))
        fields = encode(info, row)
        row_id: RowId = self._ids.new_object_id() if info.object_ids else self._ids.new_id(self._now)
        created = {"_id": row_id, "_creationTime": self._ids.new_creation_time(self._now)}
        await self._transaction.put(info, {**created, **fields}, before=None)
        return Id(str(row_id))

    async def patch(self, draft: Table) -> None:
        """Write the fields in which the draft differs from the row it was made from.

        Raises InvalidRow, UniqueViolation, FunctionError if the row is gone.
        """
        info = table_of(type(draft))
        original = draft._row_state().original
        if original is None:
            raise FunctionError(f"patch() takes a draft: draft = {info.name}_row.draft(); draft.field = ...; patch(draft)")
        old, new = encode_as_read(info, original), encode(info, draft)
        row = await self._existing(info, draft._row_state().raw_id)
        changed = {name: value for name, value in new.items() if name not in old or old[name] != value}
        removed = [name for name in old if name not in new]
        if changed or removed:
            after = {**row, **changed}
            for name in removed:
                after.pop(name, None)
            for text in info.growing:
                is_changed = text.text in changed or text.text in removed
                text.settle(row, after, is_changed=is_changed, still_grows=text.while_(draft))
            await self._transaction.put(info, after, before=row)

    async def replace(self, id: Id[RowT], row: RowT) -> None:
        """Put a new row under an existing id; it keeps its creation time.

        Raises InvalidRow, UniqueViolation, FunctionError if there is no such row.
        """
        info = table_of(type(row))
        before = await self._existing(info, *stored_ids(id))
        kept = {name: before[name] for name in ("_id", "_creationTime") if name in before}
        await self._transaction.put(info, {**kept, **encode(info, row)}, before=before, is_replaced=True)

    async def delete(self, table: type[RowT], id: Id[RowT]) -> bool:
        """Whether there was such a row."""
        info = table_of(table)
        found = await self._transaction.rows(info.collection, stored_ids(id))
        for row in list(found.values())[:1]:
            self._transaction.delete(info, row)
        return bool(found)

    async def _existing(self, table: TableInfo, *candidates: RowId) -> Row:
        found = await self._transaction.rows(table.collection, candidates)
        if not found:
            raise FunctionError(f"{table.name} has no row with the id {candidates[0]}")
        return next(iter(found.values()))
