from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hub.core.intervals import IntervalIndex
from hub.core.ranges import TupleKey
from hub.values import SortKey

points = st.integers(0, 12)


def at(n: int) -> TupleKey:
    return ((2, 1, n),)


def readers_at(index: IntervalIndex[int], point: int) -> set[int]:
    found: set[int] = set()
    index.collect(at(point), found)
    return found


class IntervalsAgainstAList(RuleBasedStateMachine):
    """Any order of additions and removals; after each, every point is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.index: IntervalIndex[int] = IntervalIndex()
        self.entries: set[tuple[int, int, int]] = set()

    @rule(ends=st.tuples(points, points).filter(lambda ends: ends[0] < ends[1]), reader=st.integers(0, 4))
    def add(self, ends: tuple[int, int], reader: int) -> None:
        self.index.add(at(ends[0]), at(ends[1]), reader)
        self.entries.add((*ends, reader))

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        if self.entries:
            start, end, reader = data.draw(st.sampled_from(sorted(self.entries)))
            self.index.remove(at(start), at(end), reader)
            self.entries.remove((start, end, reader))

    @invariant()
    def every_point_finds_what_the_list_says(self) -> None:
        for point in range(-1, 14):
            assert readers_at(self.index, point) == {reader for start, end, reader in self.entries if start <= point < end}
        assert len(self.index) == len({(start, end) for start, end, _ in self.entries})


IntervalsAgainstAList.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestIntervals = IntervalsAgainstAList.TestCase


class Counted(tuple[SortKey, ...]):
    """A key that counts how often it is compared: what a look-up costs, without a clock."""

    comparisons = 0

    def __le__(self, other: object) -> bool:
        Counted.comparisons += 1
        return super().__le__(other)  # type: ignore[operator]  # keys are compared with keys

    def __lt__(self, other: object) -> bool:
        Counted.comparisons += 1
        return super().__lt__(other)  # type: ignore[operator]  # keys are compared with keys

    def __ge__(self, other: object) -> bool:
        Counted.comparisons += 1
        return super().__ge__(other)  # type: ignore[operator]  # keys are compared with keys

    def __gt__(self, other: object) -> bool:
        Counted.comparisons += 1
        return super().__gt__(other)  # type: ignore[operator]  # keys are compared with keys


def ascending(n: int) -> list[int]:
    return list(range(n))


def outside_in(n: int) -> list[int]:
    """First, last, second, last but one: every insertion bends the tree the other way."""
    return [page for pair in zip(range(n // 2), range(n - 1, n // 2 - 1, -1), strict=True) for page in pair]


def inside_out(n: int) -> list[int]:
    """From the middle, where the root is."""
    return outside_in(n)[::-1]


def pages(order: list[int]) -> IntervalIndex[int]:
    """Adjacent intervals, as the pages of a chat are, put in in this order."""
    index: IntervalIndex[int] = IntervalIndex()
    for page in order:
        index.add(at(page), at(page + 1), page)
    return index


def most_comparisons(index: IntervalIndex[int], among: list[int]) -> int:
    """The dearest look-up of one of these pages."""
    worst = 0
    for page in among:
        Counted.comparisons, found = 0, set[int]()
        index.collect(Counted(at(page)), found)
        assert found == {page}
        worst = max(worst, Counted.comparisons)
    return worst


def affordable(n: int) -> float:
    """What a look-up may cost among n: an AVL tree's depth, three comparisons a node and one for the child left out."""
    return 4 * 1.45 * math.log2(n + 2)


def test_ten_thousand_adjacent_pages_cost_about_as_much_as_ten() -> None:
    few = most_comparisons(pages(ascending(10)), ascending(10))
    many = most_comparisons(pages(ascending(10_000)), ascending(10_000)[::100])
    assert 0 < few <= affordable(10)
    assert few < many <= 5 * few


@pytest.mark.parametrize("order", [ascending, outside_in, inside_out])
def test_no_order_of_insertions_makes_look_ups_dear(order: Callable[[int], list[int]]) -> None:
    index = pages(order(2_000))
    assert most_comparisons(index, ascending(2_000)) <= affordable(2_000)


@pytest.mark.parametrize("order", [ascending, outside_in, inside_out])
def test_no_order_of_removals_makes_look_ups_dear(order: Callable[[int], list[int]]) -> None:
    index = pages(ascending(2_000))
    left = set(range(2_000))
    for page in order(2_000):
        index.remove(at(page), at(page + 1), page)
        left.remove(page)
        if len(left) in {1_000, 500, 100, 20, 1}:
            assert most_comparisons(index, sorted(left)) <= affordable(len(left))
    assert len(index) == 0


def test_many_wide_intervals_that_ended_before_cost_nothing() -> None:
    index = pages(ascending(2_000))
    for start in range(0, 2_000, 2):
        index.add(at(-1), at(start + 1), -1 - start)
    found: set[int] = set()
    Counted.comparisons = 0
    index.collect(Counted(at(1_999)), found)
    assert found == {1_999}
    assert Counted.comparisons <= affordable(3_000)
