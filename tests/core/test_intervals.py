from __future__ import annotations

import math

from hypothesis import given, settings
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


def most_comparisons(pages: int) -> int:
    """The dearest look-up among this many adjacent pages, put in in order: what would unbalance a plain tree."""
    index: IntervalIndex[int] = IntervalIndex()
    for page in range(pages):
        index.add(at(page), at(page + 1), page)
    worst = 0
    for page in range(0, pages, max(1, pages // 50)):
        Counted.comparisons, found = 0, set[int]()
        index.collect(Counted(at(page)), found)
        assert found == {page}
        worst = max(worst, Counted.comparisons)
    return worst


def test_ten_thousand_adjacent_pages_cost_about_as_much_as_ten() -> None:
    few, many = most_comparisons(10), most_comparisons(10_000)
    assert 0 < few <= 6 * math.ceil(math.log2(10))
    assert many <= 6 * math.ceil(math.log2(10_000))


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 300)), max_size=200, unique=True), st.data())
@settings(max_examples=40, deadline=None)
def test_the_tree_stays_balanced_through_removals(ends: list[tuple[int, int]], data: st.DataObject) -> None:
    index: IntervalIndex[int] = IntervalIndex()
    for start, length in ends:
        index.add(at(start), at(start + length), 0)
    for start, length in data.draw(st.permutations(ends)) if ends else []:
        index.remove(at(start), at(start + length), 0)
        assert index.depth <= 1.45 * math.log2(len(index) + 2)
    assert len(index) == 0
