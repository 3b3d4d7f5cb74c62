"""diff(old, new): the edit that leads from one wire value to another, small where little changed.

Called once for each pair of results that somebody needs. `patch(old, diff(old, new))` is `new`, as exactly as the wire tells values
apart: an Int64 is no float64, -0 is not 0, NaN is NaN; `1` and `1.0` are one float64. Values that are the same object are equal at
once, so a list of rows costs a comparison of addresses for each row that did not change.

Cost: in proportion to what is compared, times the nesting at worst; moves in a list are looked for as far as MAX_MOVE_STEPS.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

from hub.core.edits import Append, Edit, Elements, Fields, Insert, Move, Operation, Remove, Replace, Splice, Update, utf16_length
from hub.values import Int64, Value

MAX_MOVE_STEPS = 1_000_000
"""Elements that moved times elements of the list (about 10 ms); beyond it those that moved are sent anew."""
_SPLICE_OVERHEAD = 8


def diff(old: Value, new: Value) -> Edit | None:
    """None if they are the same."""
    if old is new:
        return None
    if isinstance(old, dict) and isinstance(new, dict):
        return _diff_objects(old, new)
    if isinstance(old, list) and isinstance(new, list):
        return _diff_lists(old, new)
    if isinstance(old, str) and isinstance(new, str):
        return _diff_texts(old, new)
    return None if same(old, new) else Replace(new)


def same(one: Value, other: Value) -> bool:
    """Whether the two are one value on the wire."""
    if one is other:
        return True
    if isinstance(one, str):
        return isinstance(other, str) and one == other
    if isinstance(one, dict):
        if not isinstance(other, dict) or len(one) != len(other):
            return False
        return all(name in other and same(value, other[name]) for name, value in one.items())
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, bytes):
        return isinstance(other, bytes) and one == other
    return _is_number(one) and _is_number(other) and _same_number(one, other)  # type: ignore[arg-type]  # just asked


def _is_number(value: Value) -> bool:
    """Of the constants (None, True, False) each is the same only as itself."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _same_number(one: float, other: float) -> bool:
    if isinstance(one, Int64) or isinstance(other, Int64):
        return isinstance(one, Int64) and isinstance(other, Int64) and int(one) == int(other)
    if one == other:
        return one != 0 or math.copysign(1, one) == math.copysign(1, other)
    return one != one and other != other


# --- objects -------------------------------------------------------------------------------------------------------


def _diff_objects(old: dict[str, Value], new: dict[str, Value]) -> Edit | None:
    changed: dict[str, Edit] = {}
    keeps_something = False
    for name, value in new.items():
        if name not in old:
            changed[name] = Replace(value)
            continue
        edit = diff(old[name], value)
        keeps_something = keeps_something or not isinstance(edit, Replace)
        if edit is not None:
            changed[name] = edit
    removed = tuple([name for name in old if name not in new])
    if not changed and not removed:
        return None
    return Fields(changed, removed) if keeps_something else Replace(new)


# --- lists ---------------------------------------------------------------------------------------------------------


def _diff_lists(old: list[Value], new: list[Value]) -> Edit | None:
    """What both begin and end with is left alone; between that, rows are matched by their ids, anything else by its place."""
    shorter = min(len(old), len(new))
    start = 0
    while start < shorter and same(old[start], new[start]):
        start += 1
    if start == len(old) == len(new):
        return None
    end = 0
    while end < shorter - start and same(old[-1 - end], new[-1 - end]):
        end += 1
    old_middle, new_middle = old[start : len(old) - end], new[start : len(new) - end]
    old_ids, new_ids = _ids(old_middle), _ids(new_middle)
    if old_ids is not None and new_ids is not None:
        rows = _Rows(old_middle, new_middle, old_ids, new_ids)
        operations, keeps_something = rows.operations(start), rows.keeps_something
    else:
        operations, keeps_something = _by_place(old_middle, new_middle, start)
    return Elements(tuple(operations)) if start or end or keeps_something else Replace(new)


def _by_place(old: list[Value], new: list[Value], offset: int) -> tuple[list[Operation], bool]:
    """The operations, and whether they keep anything."""
    edits = [diff(before, after) for before, after in zip(old, new, strict=False)]
    operations: list[Operation] = [Update(offset + i, edit) for i, edit in enumerate(edits) if edit is not None]
    common = len(edits)
    if len(old) > common:
        operations.append(Remove(offset + common, len(old) - common))
    elif len(new) > common:
        operations.append(Insert(offset + common, new[common:]))
    return operations, not all(isinstance(edit, Replace) for edit in edits)


def _ids(values: list[Value]) -> list[str] | None:
    """The rows' ids, if all are objects with one and none has another's."""
    ids: list[str] = []
    for value in values:
        row_id = value.get("_id") if isinstance(value, dict) else None
        if not isinstance(row_id, str):
            return None
        ids.append(row_id)
    return ids if len(set(ids)) == len(ids) else None


class _Rows:
    """Two lists of rows, matched by id. A row is named by its place in the new list."""

    def __init__(self, old: list[Value], new: list[Value], old_ids: list[str], new_ids: list[str]) -> None:
        self._old = old
        self._new = new
        place_by_id = {row_id: place for place, row_id in enumerate(new_ids)}
        self._origins = {place_by_id[row_id]: i for i, row_id in enumerate(old_ids) if row_id in place_by_id}
        current = list(self._origins)
        self._moved = sorted(set(current) - set(longest_increasing(current)))
        if len(self._moved) * len(current) > MAX_MOVE_STEPS:
            for place in self._moved:
                del self._origins[place]
            self._moved = []
        self.keeps_something = bool(self._origins)

    def operations(self, offset: int) -> list[Operation]:
        return [*self._removals(offset), *self._moves(offset), *self._insertions(offset), *self._updates(offset)]

    def _removals(self, offset: int) -> list[Operation]:
        """From the end, so that no index needs correction."""
        kept = set(self._origins.values())
        gone = [i for i in range(len(self._old)) if i not in kept]
        return [Remove(offset + first, count) for first, count in reversed(_runs(gone))]

    def _moves(self, offset: int) -> list[Operation]:
        """Each goes behind the row that precedes it in the new list: that one stays, or was moved already."""
        current, ordered = list(self._origins), sorted(self._origins)
        operations: list[Operation] = []
        for place in self._moved:
            origin = current.index(place)
            del current[origin]
            rank = bisect_left(ordered, place)
            target = current.index(ordered[rank - 1]) + 1 if rank else 0
            current.insert(target, place)
            operations.append(Move(offset + origin, offset + target))
        return operations

    def _insertions(self, offset: int) -> list[Operation]:
        """From the start: what is left of a new row is in place when it comes."""
        fresh = [place for place in range(len(self._new)) if place not in self._origins]
        return [Insert(offset + first, self._new[first : first + count]) for first, count in _runs(fresh)]

    def _updates(self, offset: int) -> list[Operation]:
        edits = [(place, diff(self._old[origin], self._new[place])) for place, origin in self._origins.items()]
        return [Update(offset + place, edit) for place, edit in edits if edit is not None]


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """Ascending numbers as (first, count) of those that follow each other."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and sum(runs[-1]) == number:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((number, 1))
    return runs


def longest_increasing(numbers: Sequence[int]) -> list[int]:
    """A longest increasing subsequence of different numbers; O(n log n)."""
    ends: list[int] = []  # the least number that a subsequence of each length can end with
    previous: dict[int, int | None] = {}
    for number in numbers:
        length = bisect_left(ends, number)
        previous[number] = ends[length - 1] if length else None
        ends[length : length + 1] = [number]
    chain: list[int] = []
    number_or_none = ends[-1] if ends else None
    while number_or_none is not None:
        chain.append(number_or_none)
        number_or_none = previous[number_or_none]
    return chain[::-1]


# --- texts ---------------------------------------------------------------------------------------------------------


def _diff_texts(old: str, new: str) -> Edit | None:
    """One splice. Counted in whole characters, so that it never splits a surrogate pair; told in UTF-16 code units."""
    if old == new:
        return None
    if old and new.startswith(old):
        return Append(new[len(old) :])
    start = _common_prefix(old, new)
    end = _common_suffix(old[start:], new[start:])
    inserted = new[start : len(new) - end]
    if len(inserted) + _SPLICE_OVERHEAD >= len(new):
        return Replace(new)
    return Splice(utf16_length(old[:start]), utf16_length(old[start : len(old) - end]), inserted)


def _common_prefix(one: str, other: str) -> int:
    """By halving: comparing slices is what Python does fast."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _common_suffix(one: str, other: str) -> int:
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[len(one) - middle : len(one) - low] == other[len(other) - middle : len(other) - low]:
            low = middle
        else:
            high = middle - 1
    return low
