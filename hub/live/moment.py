"""One moment: the timestamp a session can be moved to.

Every evaluation of a live query carries the interval of timestamps in which it is true. A session may be shown any timestamp
that lies in an interval of each of its queries; this picks the newest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hub.protocol.messages import Result
from hub.timestamps import Timestamp


@dataclass(slots=True)
class Evaluation:
    """A result that is true at every head `since <= ts < until`; while `until` is None, up to the current head."""

    result: Result
    since: Timestamp
    until: Timestamp | None = None

    def is_true_at(self, ts: Timestamp) -> bool:
        return self.since <= ts and (self.until is None or ts < self.until)


def evaluation_at(evaluations: Sequence[Evaluation], ts: Timestamp) -> Evaluation | None:
    """The one that is true at `ts`; `evaluations` are in order of time."""
    for evaluation in reversed(evaluations):
        if evaluation.since <= ts:
            return evaluation if evaluation.is_true_at(ts) else None
    return None


def newest_common_moment(head: Timestamp, queries: Iterable[Sequence[Evaluation]]) -> Timestamp | None:
    """The greatest ts <= head at which every query has a true evaluation, None if there is none."""
    ts = head
    pending = list(queries)
    settled = False
    while not settled:
        settled = True
        for evaluations in pending:
            latest = _newest_true_moment(evaluations, ts)
            if latest is None:
                return None
            if latest < ts:
                ts, settled = latest, False
    return ts


def _newest_true_moment(evaluations: Sequence[Evaluation], ts: Timestamp) -> Timestamp | None:
    """The greatest moment <= ts at which one of the evaluations is true."""
    for evaluation in reversed(evaluations):
        if evaluation.since <= ts:
            return ts if evaluation.until is None or ts < evaluation.until else Timestamp(evaluation.until - 1)
    return None
