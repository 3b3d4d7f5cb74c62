"""One moment: the timestamp that a session can be moved to is the newest that all its queries have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.live.moment import NEVER, Evaluation, evaluation_at, is_only_change, newest_common_moment
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


open_ones = st.integers(0, 3).map(lambda since: [Evaluation(Success("open"), Timestamp(since))])


@settings(max_examples=300)
@given(st.lists(open_ones | open_ones | histories(), min_size=1, max_size=3), st.integers(0, HEAD), st.data())
def test_the_only_change_is_what_the_newest_common_moment_tells(
    queries: list[list[Evaluation]], head: int, data: st.DataObject
) -> None:
    """Never said where a session would be shown something else, and always where all are true at the head."""
    named = {name: Query(evaluations) for name, evaluations in enumerate(queries)}
    ts, results = newest_common_moment(Timestamp(head), named)
    changed = data.draw(st.sampled_from(range(len(queries))))
    latest = {name: evaluations[-1].result for name, evaluations in enumerate(queries) if evaluations}
    others = sorted(set(latest) - {changed})
    unseen = data.draw(st.sampled_from([None, *others]))
    shown = {name: latest[name] for name in others if name != unseen}
    result = data.draw(st.sampled_from([*latest.values(), Success("another")]))

    is_it = is_only_change(Timestamp(head), named[changed], result, named, shown)

    stands = all(evaluations and evaluations[-1].until is None and evaluations[-1].since <= head for evaluations in queries)
    differs = {name for name in results if results[name] is not shown.get(name)}
    assert is_it == (stands and ts == head and differs <= {changed} and results[changed] is result)
