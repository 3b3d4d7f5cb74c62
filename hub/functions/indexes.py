"""Index: a declared order of a table's rows, typed by the fields it sorts by.

Made by `Table.index`, used by `ctx.db.query`. The function that names the fields is run once, on a recorder: a misspelt field is
a problem of the table, reported with all others when the application is loaded, and an error of the type checker.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, TypeVarTuple

from hub.core.ranges import IndexKey

if TYPE_CHECKING:
    from hub.functions.tables import Field, Table, TableInfo

RowT = TypeVar("RowT", bound="Table")
Keys = TypeVarTuple("Keys")


class Index(Generic[RowT, *Keys]):
    """Rows of one table by one or more fields, in this order. `place` is where it was declared."""

    __slots__ = ("fields", "key", "place", "table")

    def __init__(self, table: TableInfo, fields: tuple[Field, ...], *, unique: bool, where_present: bool, place: str) -> None:
        self.table = table
        self.fields = fields
        self.place = place
        stored = tuple(field.stored for field in fields)
        is_total = unique or "_id" in stored  # every other index ends in the id, so that its order is total
        self.key = IndexKey(table.collection, stored if is_total else (*stored, "_id"), unique=unique, partial=where_present)

    def __repr__(self) -> str:
        return f"<Index {self.table.name} ({', '.join(field.python for field in self.fields)})>"


AnyIndex: TypeAlias = Index[Any, *tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class _Recorded:
    field: Field


class _Recorder:
    """Stands for a row in the function that names an index's fields."""

    def __init__(self, table: TableInfo) -> None:
        self._table = table

    def __getattr__(self, name: str) -> _Recorded:
        field = self._table.field_named(name)
        if field is None:
            close = difflib.get_close_matches(name, [known.python for known in self._table.all_fields], n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise BadField(f"{self._table.class_name} has no field {name!r}{hint}")
        return _Recorded(field)


class BadField(Exception):
    """What is wrong with a field that a declaration names."""


def declare(table: TableInfo, named: Callable[[object], object], *, unique: bool, where_present: bool, place: str) -> AnyIndex:
    """Make the index and give it to its table; what is wrong with it becomes a problem of the table."""
    try:
        fields = _recorded_fields(table, named)
        if where_present and not unique:
            raise BadField("where_present needs unique=True: such an index can only be read by its whole key")
    except BadField as problem:
        table.problems.append(f"{place}: index of {table.class_name}: {problem}")
        fields = ()
    index: AnyIndex = Index(table, fields, unique=unique, where_present=where_present, place=place)
    if fields:
        table.add_index(index)
    return index


def recorded_field(table: TableInfo, named: Callable[[object], object]) -> Field:
    """The one field that the function names, as in `lambda row: row.text`. Raises BadField."""
    item = named(_Recorder(table))
    if not isinstance(item, _Recorded) or item.field not in table.fields:
        raise BadField("the function must return a field of the table, as in `lambda row: row.text`")
    return item.field


def _recorded_fields(table: TableInfo, named: Callable[[object], object]) -> tuple[Field, ...]:
    recorded = named(_Recorder(table))
    if not isinstance(recorded, tuple) or not recorded:
        raise BadField("the function must return a tuple of fields, as in `lambda row: (row.name,)`")
    fields: list[Field] = []
    for item in recorded:
        if not isinstance(item, _Recorded):
            raise BadField(f"{item!r} is not a field of the row")
        if item.field.is_array:
            raise BadField(f"{item.field.python!r} is an array, which has no one place in an order")
        if item.field in fields:
            raise BadField(f"{item.field.python!r} is named twice")
        fields.append(item.field)
    return tuple(fields)
