"""Deltas: how a list gets another tail, and what a row is after one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.core.deltas import Delta, ListEdit, new_tail
from hub.values import Value, sort_key
from tests.builders import values

lists = st.lists(values, max_size=5)


def same(one: Value, other: Value) -> bool:
    return sort_key(one) == sort_key(other)


@given(lists, lists, lists)
def test_a_tail_makes_the_one_list_the_other(common: list[Value], old: list[Value], new: list[Value]) -> None:
    before, after = [*common, *old], [*common, *new]
    tail = new_tail(before, after, same)
    if tail is None:
        assert old, "a list that only grew has a tail"
        return
    assert same(tail.after(before), after)
    assert tail.cuts == (tail.keep < len(before))
    told = ListEdit(tail.keep if tail.cuts else None, dict(enumerate(tail.items, tail.keep)))
    assert told.after(before) == tail.after(before)


def test_a_delta_sets_removes_and_edits_and_leaves_the_row_alone() -> None:
    row: dict[str, Value] = {"_id": "m1", "a": 1, "b": 2, "list": ["x", "y", "z"]}
    held = dict(row)
    edit = ListEdit(size=2, items={1: "new", 2: "more"})
    assert Delta({"a": 5, "c": 6}, ("b",), {"list": edit}).apply(row) == {"_id": "m1", "a": 5, "c": 6, "list": ["x", "new", "more"]}
    assert row == held
    assert row["list"] == ["x", "y", "z"]


def test_what_does_not_fit_the_row_is_not_certain() -> None:
    for edit in (ListEdit(items={4: "beyond the end"}), ListEdit(size=4)):
        assert Delta(lists={"list": edit}).apply({"_id": "m1", "list": ["x", "y", "z"]}) is None
        assert Delta(lists={"list": edit}).apply({"_id": "m1", "list": "no list"}) is None
        assert Delta(lists={"list": edit}).apply({"_id": "m1"}) is None
