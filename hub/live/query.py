"""LiveQuery: one name, arguments and (if it matters) identity; its latest evaluations and who subscribes to it.

Owned by `directory` (which finds and forgets it) and `evaluations` (which evaluates it). Invariants: its `evaluations` are in order
of time and do not overlap; only the last one may be open (`until is None`), and then the query is not stale.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from hub.core.invalidation import ReaderId
from hub.functions.identity import Caller
from hub.live.moment import Evaluation
from hub.live.results import same_result
from hub.protocol.content import Content
from hub.protocol.messages import QueryId, Result, Success
from hub.protocol.steps import Steps
from hub.timestamps import Timestamp
from hub.values import Value

MAX_REPLACED = 3


class QueryKey(NamedTuple):
    """What makes two subscriptions one live query.

    `args_key` is the canonical text of the arguments without the page's client-side id; `journal` the page end that an earlier
    run fixed; `sharing_key` whose result it is, None for a result that everybody gets.
    """

    path: str
    args_key: str
    journal: str | None
    sharing_key: str | None


class Subscriber(Protocol):
    """A session, as far as live queries know it."""

    def refresh(self) -> None:
        """Something it shows has changed, or may: show the newest common moment when it can be shown."""
        ...

    def step(self, subscription: Subscription, steps: Steps, now: float) -> bool:
        """The same, where this subscription is the only one with another result. `now` is `Clock.monotonic` seconds.

        Returns whether all that was done is to enter a frame in the volley, and that has room for more.
        """
        ...

    def shown(self) -> list[LiveQuery]:
        """What it shows."""
        ...


@dataclass(slots=True, eq=False)
class Subscription:
    """One session's interest in one query. The directory moves it to another live query when the result turns out personal.

    `evaluations`: what it may be shown, its live query's own list. A refusal (no such function for the caller) is true at any time.
    """

    subscriber: Subscriber
    query_id: QueryId
    caller: Caller
    path: str
    args: Mapping[str, Value]
    journal: str | None
    live: LiveQuery | None = None
    evaluations: Sequence[Evaluation] = ()


@dataclass(slots=True, eq=False)
class LiveQuery:
    """`caller` is None while the result is shared: the function may then not look at who asks."""

    id: ReaderId
    key: QueryKey
    args: Mapping[str, Value]
    caller: Caller | None
    journal: str | None
    subscriptions: set[Subscription] = field(default_factory=set)
    evaluations: list[Evaluation] = field(default_factory=list)
    replaced: tuple[Content, ...] = ()
    """Values that it showed before; a client whose socket broke may not have got the newest."""
    failed_runs: int = 0
    took_s: float = 0.0
    """Processor time of its last run from memory; less, if a wave was quicker since."""

    @property
    def is_stale(self) -> bool:
        return not self.evaluations or self.evaluations[-1].until is not None

    def invalidate(self, until: Timestamp) -> None:
        """What it shows is true only before `until`."""
        if self.evaluations and self.evaluations[-1].until is None:
            self.evaluations[-1].until = until

    def evaluated(self, result: Result, since: Timestamp, until: Timestamp | None) -> bool:
        """Add an evaluation; an equal result is kept as the same object. Returns whether the result is another one."""
        previous = self.evaluations[-1] if self.evaluations else None
        is_new = previous is None or not same_result(previous.result, result)
        if is_new and previous is not None and isinstance(previous.result, Success) and previous.result.content is not None:
            self.replaced = (*self.replaced[1 - MAX_REPLACED :], previous.result.content)
        self.evaluations.append(Evaluation(result if is_new or previous is None else previous.result, since, until))
        return is_new

    def forget_evaluations(self, needed: Collection[Timestamp]) -> None:
        """Keep the latest, and those that are true at a timestamp at which a slower query is still being evaluated."""
        *older, latest = self.evaluations
        self.evaluations[:] = [kept for kept in older if any(kept.is_true_at(ts) for ts in needed)] + [latest]

    def __repr__(self) -> str:
        return f"<LiveQuery {self.key.path}, {len(self.subscriptions)} subscribers{', stale' if self.is_stale else ''}>"
