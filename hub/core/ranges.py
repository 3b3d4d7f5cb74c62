"""Index ranges: the one shape in which the hub reads, caches and invalidates.

An index sorts a table by a tuple of fields. A range is a part of one index: the leading fields equal to a prefix, what follows
between two bounds, read in one direction, up to a limit. Positions and bounds compare as tuples in MongoDB's order.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace as _replace

from hub.values import Row, SortKey, Value, is_present, sort_key


@dataclass(frozen=True, slots=True)
class IndexKey:
    """One declared index. `fields` are stored names; every index that is not unique ends in `_id`, so its order is total.

    `partial`: the index has only rows in which every field is present (`where_present`); it is read by its whole key alone.
    The index `("_id",)` exists in every table and is unique.
    """

    table: str
    fields: tuple[str, ...]
    unique: bool = False
    partial: bool = False

    def position(self, row: Row) -> tuple[Value, ...]:
        """Where the row stands in this index: one value for each field, None for a missing one."""
        return tuple(row.get(name) for name in self.fields)

    def holds(self, row: Row) -> bool:
        """Whether the index has an entry for the row."""
        return not self.partial or all(is_present(row.get(name)) for name in self.fields)


@dataclass(frozen=True, slots=True)
class Bound:
    """An end of a range: values of the fields after the prefix, at least one, at most all of them.

    A bound shorter than the key stands for all positions that begin with it: `inclusive` takes them all in or leaves all out.
    """

    values: tuple[Value, ...]
    inclusive: bool


@dataclass(frozen=True, slots=True)
class IndexRange:
    index: IndexKey
    prefix: tuple[Value, ...] = ()
    lower: Bound | None = None
    upper: Bound | None = None
    descending: bool = False
    limit: int | None = None

    @property
    def table(self) -> str:
        return self.index.table

    def contains(self, row: Row) -> bool:
        """Whether the row lies between the bounds (the limit is not looked at)."""
        return self.index.holds(row) and self.contains_position(self.index.position(row))

    def contains_position(self, position: tuple[Value, ...]) -> bool:
        n = len(self.prefix)
        if tuple_key(position[:n]) != tuple_key(self.prefix):
            return False
        rest = position[n:]
        return (self.lower is None or _is_after(rest, self.lower)) and (self.upper is None or _is_before(rest, self.upper))

    def ending_at(self, row: Row) -> IndexRange:
        """The part that was seen when reading stopped after `row`: up to it, in reading order, without a limit."""
        end = Bound(self.index.position(row)[len(self.prefix) :], inclusive=True)
        return _replace(self, lower=end, limit=None) if self.descending else _replace(self, upper=end, limit=None)

    def unlimited(self) -> IndexRange:
        return _replace(self, limit=None)


def tuple_key(values: tuple[Value, ...]) -> tuple[SortKey, ...]:
    return tuple(sort_key(value) for value in values)


def _is_after(rest: tuple[Value, ...], bound: Bound) -> bool:
    head, edge = tuple_key(rest[: len(bound.values)]), tuple_key(bound.values)
    return head > edge or (bound.inclusive and head == edge)


def _is_before(rest: tuple[Value, ...], bound: Bound) -> bool:
    head, edge = tuple_key(rest[: len(bound.values)]), tuple_key(bound.values)
    return head < edge or (bound.inclusive and head == edge)
