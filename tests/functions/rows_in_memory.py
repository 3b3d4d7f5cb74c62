"""A Reader over plain dicts, and short ways to make functions and run them: the database of the tests in this folder."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from hub.core.ranges import IndexRange, tuple_key
from hub.functions.execution import Run, run
from hub.functions.identity import Caller
from hub.functions.ids import IdSource
from hub.functions.limits import Limits
from hub.functions.registry import Function, make_function, mark_of
from hub.functions.tables import Table, table_of
from hub.store import Delete, Insert, Write
from hub.values import ObjectId, Row, RowId, Value

SERVICE = Caller(is_trusted=True)
NOW = 1_790_000_000_000.0


class Rows:
    """Rows by collection and id; `asked` has every request that came."""

    def __init__(self, **rows: Iterable[Row]) -> None:
        self.rows: dict[str, dict[RowId, Row]] = {table: {_id(row): row for row in some} for table, some in rows.items()}
        self.asked: list[IndexRange | tuple[str, tuple[RowId, ...]]] = []

    async def read(self, wanted: IndexRange) -> list[Row]:
        self.asked.append(wanted)
        return self.fresh(wanted)

    async def get(self, table: str, ids: Sequence[RowId]) -> dict[RowId, Row]:
        self.asked.append((table, tuple(ids)))
        held = self.rows.get(table, {})
        return {row_id: deepcopy(held[row_id]) for row_id in ids if row_id in held}

    def fresh(self, wanted: IndexRange) -> list[Row]:
        """The range by brute force: every row looked at, sorted, cut."""
        inside = [deepcopy(row) for row in self.rows.get(wanted.table, {}).values() if wanted.contains(row)]
        inside.sort(key=lambda row: tuple_key((*wanted.index.position(row), _id(row))), reverse=wanted.descending)
        return inside[: wanted.limit]

    def apply(self, writes: Iterable[Write]) -> None:
        for write in writes:
            held = self.rows.setdefault(write.table, {})
            if isinstance(write, Delete):
                del held[write.id]
            elif isinstance(write, Insert):
                assert write.id not in held
                held[write.id] = write.row
            else:
                assert write.id in held
                held[write.id] = write.after if hasattr(write, "after") else write.row

    def all(self, table: type[Table]) -> list[Row]:
        return list(self.rows.get(table_of(table).collection, {}).values())


def function_of(call: Callable[..., Coroutine[Any, Any, Any]], name: str | None = None) -> Function:
    mark = mark_of(call)
    assert mark is not None, "not decorated"
    return make_function(call, mark, name or f"tests:{call.__name__}")


async def run_one(
    call: Callable[..., Coroutine[Any, Any, Any]],
    args: Mapping[str, Value] | None = None,
    *,
    rows: Rows | None = None,
    caller: Caller | None = SERVICE,
    journal: str | None = None,
    limits: Limits | None = None,
    ids: IdSource | None = None,
) -> Run:
    """Run it once against the rows; what it writes is applied to them."""
    held = rows if rows is not None else Rows()
    done = await run(
        function_of(call),
        args or {},
        caller=caller,
        reader=held,
        now=NOW,
        journal=journal,
        ids=ids or IdSource(),
        limits=limits or Limits(),
    )
    held.apply(done.writes)
    return done


async def value_of(call: Callable[..., Coroutine[Any, Any, Any]], args: Mapping[str, Value] | None = None, **options: Any) -> Any:
    """The value of a run that must succeed."""
    done = await run_one(call, args, **options)
    assert done.error is None, done.error
    return done.value


def _id(row: Row) -> RowId:
    row_id = row["_id"]
    assert isinstance(row_id, (str, ObjectId))
    return row_id
