from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hub.core.ranges import Bound, IndexKey, IndexRange, tuple_key
from hub.values import Row, Value
from tests.builders import (
    BY_CHAT,
    BY_CLIENT_ID,
    a_row,
    at_least,
    at_most,
    few_ranges,
    few_rows,
    few_values,
    in_chat,
    less_than,
    more_than,
)


def seen_by(wanted: IndexRange, rows: list[dict[str, Value]]) -> list[dict[str, Value]]:
    """The range by its definition: sort, filter, cut."""
    inside = sorted((row for row in rows if wanted.contains(row)), key=lambda row: tuple_key(wanted.index.position(row)))
    return (inside[::-1] if wanted.descending else inside)[: wanted.limit]


@pytest.mark.parametrize(
    ("wanted", "times"),
    [
        pytest.param(in_chat(), [1, 2, 3], id="no bounds"),
        pytest.param(in_chat(lower=at_least(2)), [2, 3], id="a short inclusive lower bound takes all that begin with it"),
        pytest.param(in_chat(lower=more_than(2)), [3], id="a short exclusive lower bound leaves all out"),
        pytest.param(in_chat(upper=at_most(2)), [1, 2], id="a short inclusive upper bound takes all that begin with it"),
        pytest.param(in_chat(upper=less_than(2)), [1], id="a short exclusive upper bound leaves all out"),
        pytest.param(in_chat(lower=more_than(2, "m2"), upper=at_most(3, "m3")), [3], id="full bounds"),
        pytest.param(in_chat(lower=at_least(2, "m2"), upper=less_than(3, "m3")), [2], id="full bounds the other way"),
        pytest.param(in_chat(lower=at_least(3), upper=at_most(1)), [], id="nothing between"),
        pytest.param(in_chat("b"), [], id="another prefix"),
    ],
)
def test_a_range_contains_what_lies_between_its_bounds(wanted: IndexRange, times: list[int]) -> None:
    rows = [a_row(f"m{n}", chatId="a", createdAt=n) for n in (1, 2, 3)]
    assert [row["createdAt"] for row in rows if wanted.contains(row)] == times


def _stands(rest: tuple[Value, ...], bound: Bound) -> int:
    """-1, 0, 1: before, among and after the positions that begin with the bound's values."""
    head, edge = tuple_key(rest[: len(bound.values)]), tuple_key(bound.values)
    return (head > edge) - (head < edge)


@given(few_ranges(), few_rows())
def test_contains_is_what_prefix_and_bounds_say_one_by_one(wanted: IndexRange, row: Row) -> None:
    n = len(wanted.prefix)
    position = wanted.index.position(row)
    rest = position[n:]
    expected = (
        wanted.index.holds(row)
        and all(tuple_key((a,)) == tuple_key((b,)) for a, b in zip(wanted.prefix, position, strict=False))
        and (
            wanted.lower is None or _stands(rest, wanted.lower) > 0 or (wanted.lower.inclusive and _stands(rest, wanted.lower) == 0)
        )
        and (
            wanted.upper is None or _stands(rest, wanted.upper) < 0 or (wanted.upper.inclusive and _stands(rest, wanted.upper) == 0)
        )
    )
    assert wanted.contains(row) == expected


MAY_BE_EMPTY = settings(suppress_health_check=[HealthCheck.filter_too_much])
"""Most ranges hold none of a few rows; what is asked here is about the others."""


@MAY_BE_EMPTY
@given(few_ranges(), st.lists(few_rows(), max_size=12, unique_by=lambda row: str(row["_id"])), st.integers(1, 6))
def test_a_limited_read_saw_exactly_the_part_that_ends_at_its_last_row(
    wanted: IndexRange, rows: list[dict[str, Value]], limit: int
) -> None:
    if wanted.index.unique:  # such an index has one row for each position
        rows = list({tuple_key(wanted.index.position(row)): row for row in rows}.values())
    limited = IndexRange(wanted.index, wanted.prefix, wanted.lower, wanted.upper, wanted.descending, limit)
    result = seen_by(limited, rows)
    assume(result)
    part = limited.ending_at(result[-1])
    assert part.limit is None
    assert seen_by(part, rows) == result


@MAY_BE_EMPTY
@given(few_ranges(), few_rows(), few_rows())
def test_the_part_that_ends_at_a_row_holds_that_row_and_no_row_from_outside(wanted: IndexRange, last: Row, other: Row) -> None:
    assume(wanted.contains(last))
    part = wanted.ending_at(last)
    assert part.contains(last)
    assert wanted.contains(other) or not part.contains(other)


@given(st.lists(few_values, min_size=2, max_size=2), st.booleans(), few_rows())
def test_two_ranges_that_meet_at_a_bound_share_no_row_and_leave_none_out(at: list[Value], short: bool, row: Row) -> None:
    index = IndexKey("t", ("x", "y", "_id"))
    edge = (at[0],) if short else (at[0], at[1], "m3")
    left, right = IndexRange(index, upper=Bound(edge, inclusive=True)), IndexRange(index, lower=Bound(edge, inclusive=False))
    assert left.contains(row) != right.contains(row)
    assert left.end == right.start


def test_a_row_without_one_of_its_fields_is_not_in_a_partial_index() -> None:
    wanted = IndexRange(BY_CLIENT_ID, ("a", "c1"))
    assert wanted.contains(a_row(chatId="a", clientMessageId="c1"))
    assert not IndexRange(BY_CLIENT_ID, ("a",)).contains(a_row(chatId="a"))
    assert not IndexRange(BY_CLIENT_ID, ("a",)).contains(a_row(chatId="a", clientMessageId=None))


def test_a_missing_field_stands_where_none_stands() -> None:
    assert in_chat(lower=at_least(None), upper=at_most(None)).contains(a_row(chatId="a"))


def test_the_part_seen_of_a_whole_key_is_the_whole_key() -> None:
    wanted = IndexRange(BY_CLIENT_ID, ("a", "c1"), limit=1)
    assert wanted.ending_at(a_row(chatId="a", clientMessageId="c1")) == wanted.unlimited()


def test_ranges_are_equal_where_the_database_reads_the_same() -> None:
    assert in_chat(lower=at_least(1)) == in_chat(lower=at_least(1.0))
    assert IndexRange(BY_CHAT, (True,)) != IndexRange(BY_CHAT, (1,))
    assert IndexRange(BY_CHAT, (math.nan,)) == IndexRange(BY_CHAT, (float("nan"),))
    assert in_chat(lower=at_least(True)) != in_chat(lower=at_least(1))
    assert hash(IndexRange(BY_CHAT, ({"a": [1]},))) == hash(IndexRange(BY_CHAT, ({"a": [1.0]},)))
