"""Waves: at which head stale live queries are evaluated, so that every session gets on whatever the load.

A session can be moved only to a moment at which all its queries have a result. Were each query evaluated at the head of its own
convenience, two queries that every commit touches might never have one in common. So they are evaluated in waves: all that are
stale, at one head. The next wave starts when this one is over, at the newest head then.

A slow query must not hold up the others, so a wave is over after a while, finished or not; what has not finished by then goes on,
and is from then on evaluated in the waves of a slower tier, which take longer. A slower tier starts its wave only together with all
faster ones: whatever is evaluated at a head by a slow query has been evaluated at that head by the fast ones too.

Plain decisions: no task, no clock. `evaluations` asks what to start, starts it, and says when it is done.
"""

from __future__ import annotations

from collections.abc import Hashable, Set
from dataclasses import dataclass
from typing import Generic, TypeVar

from hub.timestamps import Timestamp

Q = TypeVar("Q", bound=Hashable)

BOUNDS_S = (0.05, 0.2, 0.8, 3.2, float("inf"))
"""How long the waves of each tier last at most. A query that takes d waits for others for about 4 d at worst."""


@dataclass(slots=True)
class _Wave(Generic[Q]):
    at: Timestamp
    ends_by: float
    members: set[Q]


@dataclass(frozen=True, slots=True)
class _Run:
    at: Timestamp
    started: float


class Waves(Generic[Q]):
    """Invariants: a query is waiting or running, not both; a wave's members are running, at the wave's head; `_heads` counts those
    that run at each head."""

    def __init__(self) -> None:
        self._waiting: list[dict[Q, None]] = [{} for _ in BOUNDS_S]
        self._waves: list[_Wave[Q] | None] = [None for _ in BOUNDS_S]
        self._running: dict[Q, _Run] = {}
        self._heads: dict[Timestamp, int] = {}
        self._tiers: dict[Q, int] = {}

    def __len__(self) -> int:
        """Queries that wait or run."""
        return len(self._running) + sum(len(waiting) for waiting in self._waiting)

    def is_running(self, query: Q) -> bool:
        return query in self._running

    @property
    def heads_in_use(self) -> Set[Timestamp]:
        """Where something is being evaluated: what is true there must be kept. Asked after each evaluation, so few and counted."""
        return self._heads.keys()

    def want(self, query: Q) -> None:
        """It is stale. One that is running is not put in again: when it is done, whoever asks knows whether it still is."""
        if query not in self._running:
            self._waiting[self._tiers.get(query, 0)][query] = None

    def forget(self, query: Q) -> None:
        """Nobody wants it any more. If it is running, `done` comes all the same."""
        for waiting in self._waiting:
            waiting.pop(query, None)
        self._tiers.pop(query, None)

    def start(self, head: Timestamp, now: float) -> list[tuple[Q, Timestamp]]:
        """Queries to evaluate now, each with the timestamp to evaluate it at."""
        self._end_waves(now)
        free = next((tier for tier, wave in enumerate(self._waves) if wave is not None), len(self._waves))
        started: list[tuple[Q, Timestamp]] = []
        for tier in range(free):
            if self._waiting[tier]:
                started += self._start_wave(tier, head, now)
        return started

    def _start_wave(self, tier: int, head: Timestamp, now: float) -> list[tuple[Q, Timestamp]]:
        queries, self._waiting[tier] = self._waiting[tier], {}
        self._waves[tier] = _Wave(head, now + BOUNDS_S[tier], set(queries))
        for query in queries:
            self._begin(query, head, now)
        return [(query, head) for query in queries]

    def _begin(self, query: Q, head: Timestamp, now: float) -> None:
        self._running[query] = _Run(head, now)
        self._heads[head] = self._heads.get(head, 0) + 1

    def join(self, query: Q, now: float) -> Timestamp | None:
        """Evaluate a new query at the head of the fast wave that is under way; None if there is none, then it waits."""
        wave = self._waves[0]
        if wave is None or wave.ends_by <= now or query in self._running:
            return None
        wave.members.add(query)
        self._begin(query, wave.at, now)
        return wave.at

    def done(self, query: Q, now: float) -> None:
        """Its evaluation is over, or failed; how long it took decides the tier of its next one."""
        run = self._running.pop(query)
        self._heads[run.at] -= 1
        if not self._heads[run.at]:
            del self._heads[run.at]
        took_s = now - run.started
        self._tiers[query] = next(tier for tier, bound_s in enumerate(BOUNDS_S) if took_s < bound_s)
        for wave in self._waves:
            if wave is not None:
                wave.members.discard(query)

    def due(self) -> float | None:
        """When to call `start` again if nothing else happens: a wave is to be left then. None if nothing waits for that."""
        if not any(self._waiting):
            return None
        return min((wave.ends_by for wave in self._waves if wave is not None), default=None)

    def _end_waves(self, now: float) -> None:
        for tier, wave in enumerate(self._waves):
            if wave is not None and (not wave.members or wave.ends_by <= now):
                self._waves[tier] = None
