"""One moment: the timestamp a session can be moved to.

Every evaluation of a live query carries the interval of timestamps in which it is true. A session may be shown any timestamp
that lies in an interval of each of its queries; this picks the newest.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from hub.protocol.messages import Result
from hub.timestamps import Timestamp

K = TypeVar("K", bound=Hashable)

NEVER = Timestamp(-1)
"""Before all timestamps."""


@dataclass(slots=True)
class Evaluation:
    """A result that is true at every head `since <= ts < until`; while `until` is None, up to the current head."""

    result: Result
    since: Timestamp
    until: Timestamp | None = None

    def is_true_at(self, ts: Timestamp) -> bool:
        return self.since <= ts and (self.until is None or ts < self.until)


class Evaluated(Protocol):
    """A query with its evaluations in order of time, without overlap."""

    evaluations: Sequence[Evaluation]


def evaluation_at(evaluations: Sequence[Evaluation], ts: Timestamp) -> Evaluation | None:
    """The one that is true at `ts`."""
    for evaluation in reversed(evaluations):
        if evaluation.since <= ts:
            return evaluation if evaluation.is_true_at(ts) else None
    return None


def is_only_change(
    ts: Timestamp, changed: Evaluated, result: Result, queries: Mapping[K, Evaluated], shown: Mapping[K, Result]
) -> bool:
    """Whether at `ts` and since, `result` is the latest one of `changed`, and all others of the `queries` are as `shown`.

    A query that was taken out of them has no evaluations any more, and so is never the only change.
    """
    if not _stands(ts, changed, result):
        return False
    if len(queries) > 1:
        for name, query in queries.items():
            if query is not changed and not _stands(ts, query, shown.get(name)):
                return False
    return True


def _stands(ts: Timestamp, query: Evaluated, result: Result | None) -> bool:
    evaluations = query.evaluations
    if not evaluations:
        return False
    latest = evaluations[-1]
    return latest.result is result and latest.until is None and latest.since <= ts


def newest_common_moment(head: Timestamp, queries: Mapping[K, Evaluated]) -> tuple[Timestamp, Mapping[K, Result]]:
    """The greatest ts <= head at which every query has a true evaluation, and their results there; NEVER if there is none.

    Called once for each delivery. Usually each query's latest evaluation is true at the head, and nothing else is looked at.
    """
    results: dict[K, Result] = {}
    for name, query in queries.items():
        evaluations = query.evaluations
        if not evaluations:
            return NEVER, {}
        latest = evaluations[-1]
        if latest.until is not None or latest.since > head:
            return _earlier_moment(head, {name: query.evaluations for name, query in queries.items()})
        results[name] = latest.result
    return head, results


def _earlier_moment(head: Timestamp, queries: Mapping[K, Sequence[Evaluation]]) -> tuple[Timestamp, Mapping[K, Result]]:
    ts = head
    settled = False
    while not settled:
        settled = True
        for evaluations in queries.values():
            latest = _newest_true_moment(evaluations, ts)
            if latest is None:
                return NEVER, {}
            if latest < ts:
                ts, settled = latest, False
    return ts, {name: found.result for name, of_it in queries.items() if (found := evaluation_at(of_it, ts)) is not None}


def _newest_true_moment(evaluations: Sequence[Evaluation], ts: Timestamp) -> Timestamp | None:
    """The greatest moment <= ts at which one of the evaluations is true."""
    for evaluation in reversed(evaluations):
        if evaluation.since <= ts:
            return ts if evaluation.until is None or ts < evaluation.until else Timestamp(evaluation.until - 1)
    return None
