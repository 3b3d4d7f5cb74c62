"""Guesses: which functions may take a unique key for free without looking it up.

Most look-ups of a unique key come before an insert of it, and the index refuses that insert anyway if the key is taken: asking
first costs a round trip and proves nothing new. So a mutation is told that there is no such row. The guess holds if what the batch
writes in the end has the key, for then the database itself has checked it; every other one is looked up before the batch commits.
A function that guessed wrong asks first for a while, for a wrong guess costs the batch a second run.
"""

from __future__ import annotations

from hub.clock import Clock
from hub.core.ranges import IndexKey, IndexRange

_ASKS_FIRST_S = 60.0
_MOST = 10_000
"""Pairs of function and index remembered; an application has far fewer."""


class Guesses:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asks_first_until: dict[tuple[str, IndexKey], float] = {}

    def may(self, function: str, index: IndexKey) -> bool:
        return self._asks_first_until.get((function, index), 0.0) <= self._clock.monotonic()

    def was_wrong(self, function: str, index: IndexKey) -> None:
        if len(self._asks_first_until) >= _MOST:
            self._asks_first_until.clear()
        self._asks_first_until[function, index] = self._clock.monotonic() + _ASKS_FIRST_S


def is_guessable(wanted: IndexRange) -> bool:
    """Whether it is one key of a unique index that is declared. (Ids are looked up: who has one has it from a row.)"""
    index = wanted.index
    return index.unique and len(wanted.prefix) == len(index.fields) and index.fields != ("_id",)
