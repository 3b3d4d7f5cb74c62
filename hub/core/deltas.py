"""Deltas: what an update changed in a row, as small as it was written.

A list that only grew, or got another tail, is written as that tail (`ListTail`), not as the whole list; the database's events tell
it the same way (`Delta`). Pure. Whoever holds the row as it was applies the delta in place of a read. Invariant: what `apply`
returns is the row as the database has it then; where that is not certain, it returns None and the row has to be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from hub.values import Row, Value


@dataclass(frozen=True, slots=True)
class ListTail:
    """The list keeps its first `keep` items, and `items` follow them. `cuts`: it had more than it keeps; else this is an append."""

    keep: int
    items: tuple[Value, ...]
    cuts: bool = False

    def after(self, before: list[Value]) -> list[Value]:
        return [*before[: self.keep], *self.items]


@dataclass(frozen=True, slots=True)
class ListEdit:
    """The list is cut to `size` if that is said; then the items at these places are set, or added one after the other."""

    size: int | None = None
    items: Mapping[int, Value] = field(default_factory=dict)

    def after(self, before: Value) -> list[Value] | None:
        if not isinstance(before, list) or (self.size is not None and self.size > len(before)):
            return None
        edited = list(before if self.size is None else before[: self.size])
        for place in sorted(self.items):
            if place > len(edited):
                return None
            edited[place : place + 1] = [self.items[place]]
        return edited


@dataclass(frozen=True, slots=True)
class Delta:
    """Top-level fields that were set or removed, and lists that were edited."""

    set: Mapping[str, Value] = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    lists: Mapping[str, ListEdit] = field(default_factory=dict)

    def apply(self, row: Row) -> Row | None:
        after = {name: value for name, value in row.items() if name not in self.unset}
        for name, edit in self.lists.items():
            edited = edit.after(row.get(name))
            if edited is None:
                return None
            after[name] = edited
        after.update(self.set)
        return after


def applied(row: Row, deltas: Iterable[Delta]) -> Row | None:
    """The row after all of them, one after the other; None if that is not certain."""
    known: Row | None = row
    for delta in deltas:
        known = None if known is None else delta.apply(known)
    return known


def new_tail(before: list[Value], after: list[Value], same: Callable[[Value, Value], bool]) -> ListTail | None:
    """How the one list becomes the other, if most of what it keeps is in front; None where the whole list is better written."""
    keep = 0
    for one, other in zip(before, after, strict=False):
        if one is not other and not same(one, other):
            break
        keep += 1
    items, cuts = after[keep:], keep < len(before)
    return ListTail(keep, tuple(items), cuts) if not cuts or len(items) <= keep else None
