from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.statistics import Ratio, latency, median, percentile, ratio, thinned

finite = st.floats(-1e9, 1e9)
some = st.lists(finite, min_size=1, max_size=50)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        pytest.param([7], 0.99, 7, id="one value is every percentile"),
        pytest.param([3, 1, 2], 0, 1, id="the least"),
        pytest.param([3, 1, 2], 1, 3, id="the greatest"),
        pytest.param([4, 1, 3, 2], 0.5, 2.5, id="the median of an even number lies between two"),
        pytest.param(list(range(101)), 0.95, 95, id="the 95th of 0 to 100"),
        pytest.param([0, 10], 0.25, 2.5, id="in between by interpolation"),
    ],
)
def test_a_percentile_is_what_the_definition_says(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == pytest.approx(expected)


@given(some, st.floats(0, 1), st.floats(0, 1))
def test_a_percentile_lies_within_the_values_and_grows_with_its_share(values: list[float], one: float, other: float) -> None:
    low, high = sorted((one, other))
    slack = 1e-6  # of the interpolation
    assert min(values) - slack <= percentile(values, low) <= percentile(values, high) + slack <= max(values) + 2 * slack


@given(some)
def test_half_of_the_values_lie_on_either_side_of_the_median(values: list[float]) -> None:
    middle = median(values)
    assert sum(value < middle for value in values) <= len(values) / 2
    assert sum(value > middle for value in values) <= len(values) / 2


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], -0.1), ([1.0], 1.1)])
def test_a_percentile_of_nothing_or_beyond_the_ends_is_refused(values: list[float], share: float) -> None:
    with pytest.raises(ValueError, match=r"nothing|between 0 and 1"):
        percentile(values, share)


def test_a_latency_is_its_three_percentiles() -> None:
    found = latency([float(n) for n in range(101)])
    assert (found.p50_ms, found.p95_ms, found.p99_ms) == pytest.approx((50, 95, 99))


def test_a_ratio_pairs_the_rounds_so_that_a_slow_minute_slows_both_sides() -> None:
    assert ratio([2, 20, 3], [1, 10, 2]) == Ratio(median=2, low=1.5, high=2)


@pytest.mark.parametrize(
    ("measured", "base"),
    [
        pytest.param([1.0], [1.0, 2.0], id="rounds that do not pair up"),
        pytest.param([], [], id="no rounds"),
        pytest.param([1.0], [0.0], id="a base of nothing"),
    ],
)
def test_a_ratio_without_pairs_or_base_is_refused(measured: list[float], base: list[float]) -> None:
    with pytest.raises(ValueError, match=r"rounds against|to nothing"):
        ratio(measured, base)


@given(some, st.integers(2, 20))
def test_thinned_values_are_some_of_them_with_both_extremes(values: list[float], most: int) -> None:
    kept = thinned(values, most)
    assert len(kept) == min(most, len(values))
    assert (kept[0], kept[-1]) == (min(values), max(values))
    assert set(kept) <= set(values)
    assert kept == sorted(kept)


def test_thinning_keeps_the_percentiles() -> None:
    values = [float(n) for n in range(10_000)]
    for share in (0.5, 0.95, 0.99):
        assert percentile(thinned(values, 1_000), share) == pytest.approx(percentile(values, share), rel=0.01)
