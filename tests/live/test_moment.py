"""One moment: the timestamp that a session can be moved to is the newest that all its queries have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from hub.live.moment import NEVER, Evaluation, evaluation_at, newest_common_moment
from hub.protocol.messages import Success
from hub.timestamps import Timestamp

HEAD = 12


@dataclass
class Query:
    evaluations: Sequence[Evaluation]


@st.composite
def histories(draw: st.DrawFn) -> list[Evaluation]:
    """Evaluations in order, without overlap, with gaps; the last may be open."""
    edges = sorted(draw(st.sets(st.integers(0, HEAD), max_size=6)))
    closed = [
        Evaluation(Success(str(since)), Timestamp(since), Timestamp(until))
        for since, until in zip(edges[::2], edges[1::2], strict=False)
    ]
    if len(edges) % 2:
        closed.append(Evaluation(Success("open"), Timestamp(edges[-1])))
    return closed


@given(st.lists(histories(), max_size=4), st.integers(0, HEAD))
def test_it_is_the_newest_moment_at_which_every_query_is_true(queries: list[list[Evaluation]], head: int) -> None:
    def all_true(ts: int) -> bool:
        return all(any(evaluation.is_true_at(Timestamp(ts)) for evaluation in evaluations) for evaluations in queries)

    expected = max((ts for ts in range(head + 1) if all_true(ts)), default=None)

    ts, results = newest_common_moment(Timestamp(head), {name: Query(evaluations) for name, evaluations in enumerate(queries)})

    assert ts == (NEVER if expected is None else expected)
    assert list(results) == ([] if expected is None else list(range(len(queries))))
    for name, result in results.items():
        assert any(each.result == result and each.is_true_at(ts) for each in queries[name])


@given(histories(), st.integers(0, HEAD))
def test_an_evaluation_is_found_exactly_where_it_is_true(evaluations: list[Evaluation], ts: int) -> None:
    found = evaluation_at(evaluations, Timestamp(ts))

    assert found == next((evaluation for evaluation in evaluations if evaluation.is_true_at(Timestamp(ts))), None)


def test_a_session_without_queries_is_moved_to_the_head() -> None:
    assert newest_common_moment(Timestamp(7), {}) == (7, {})
