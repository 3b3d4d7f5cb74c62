"""Index ranges: the one shape in which the hub reads, caches and invalidates.

An index sorts a table by a tuple of fields. A range is a part of one index: the leading fields equal to a prefix, what follows
between two bounds, read in one direction, up to a limit. Positions and bounds compare as tuples in MongoDB's order.

Every range is also a half-open interval `[start, end)` of keys of what follows the prefix: an edge that lies behind all positions
that begin with some values ends in `BEYOND`. So one comparison serves every kind of bound, and ranges that touch share an edge.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from dataclasses import replace as _replace
from typing import TypeAlias

from hub.values import TEXT_RANK, Row, SortKey, Value, sort_key

TupleKey: TypeAlias = tuple[SortKey, ...]
"""Several values' keys in a row; compares as MongoDB compares compound keys, and a shorter one comes before all that extend it."""

BEYOND: SortKey = (128,)
"""Greater than the key of any value."""


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
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.table, self.fields, self.unique, self.partial)))

    def __hash__(self) -> int:
        return self._hash  # made once: every look-up of a range or among written rows asks for it

    def position(self, row: Row) -> tuple[Value, ...]:
        """Where the row stands in this index: one value for each field, None for a missing one."""
        return tuple(map(row.get, self.fields))

    def holds(self, row: Row) -> bool:
        """Whether the index has an entry for the row."""
        return self.entry(row) is not None

    def entry(self, row: Row) -> tuple[Value, ...] | None:
        """The row's position, if the index has an entry for it."""
        position = self.position(row)
        return position if not self.partial or None not in position else None


@dataclass(frozen=True, slots=True)
class Bound:
    """An end of a range: values of the fields after the prefix, at least one, at most all of them.

    A bound shorter than the key stands for all positions that begin with it: `inclusive` takes them all in or leaves all out.
    """

    values: tuple[Value, ...] = field(compare=False)  # Python's True == 1 and NaN != NaN; the key has MongoDB's equality
    inclusive: bool
    key: TupleKey = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", tuple_key(self.values))


@dataclass(slots=True, unsafe_hash=True)
class IndexRange:
    """A part of one index. Equal and hashable by what it reads: keys, not Python's idea of equal values.

    Nobody changes one. It is not declared frozen because each read makes some: 1.5 µs if it is, 0.7 as it is.
    """

    index: IndexKey
    prefix: tuple[Value, ...] = field(default=(), compare=False)
    lower: Bound | None = None
    upper: Bound | None = None
    descending: bool = False
    limit: int | None = None
    prefix_key: TupleKey = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.prefix_key = tuple_key(self.prefix)

    @property
    def table(self) -> str:
        return self.index.table

    @property
    def start(self) -> TupleKey:
        """The first key after the prefix that the range may contain."""
        if self.lower is None:
            return ()
        return self.lower.key if self.lower.inclusive else (*self.lower.key, BEYOND)

    @property
    def end(self) -> TupleKey:
        """The first key after the prefix that lies behind the range."""
        if self.upper is None:
            return (BEYOND,)
        return (*self.upper.key, BEYOND) if self.upper.inclusive else self.upper.key

    def contains(self, row: Row) -> bool:
        """Whether the row lies between the bounds (the limit is not looked at)."""
        position = self.index.entry(row)
        return position is not None and self.contains_position(position)

    def contains_position(self, position: tuple[Value, ...]) -> bool:
        return self.contains_key(tuple_key(position))

    def contains_key(self, key: TupleKey) -> bool:
        """The same for a whole position's key, for callers that test many ranges of one index."""
        n = len(self.prefix_key)
        if key[:n] != self.prefix_key:
            return False
        return (self.lower is None and self.upper is None) or self.start <= key[n:] < self.end

    def ending_at(self, row: Row) -> IndexRange:
        """The part that was seen when reading stopped after `row`: up to it, in reading order, without a limit."""
        rest = self.index.position(row)[len(self.prefix) :]
        if not rest:  # the prefix was the whole key: there is one position, and it was seen
            return self.unlimited()
        end = Bound(rest, inclusive=True)
        return _replace(self, lower=end, limit=None) if self.descending else _replace(self, upper=end, limit=None)

    def unlimited(self) -> IndexRange:
        return self.limited_to(None)

    def limited_to(self, limit: int | None) -> IndexRange:
        """The same up to another limit: a copy, without making its keys again."""
        if limit == self.limit:
            return self
        other: IndexRange = object.__new__(IndexRange)
        other.index, other.prefix, other.prefix_key = self.index, self.prefix, self.prefix_key
        other.lower, other.upper, other.descending = self.lower, self.upper, self.descending
        other.limit = limit
        return other


def tuple_key(values: tuple[Value, ...]) -> TupleKey:
    """Most values are texts, and take no call."""
    return tuple([(TEXT_RANK, value) if type(value) is str else sort_key(value) for value in values])
