"""Ahead: whether it pays to run mutations before their turn in a batch.

It saves waiting for rows where they touch different things, and is work for nothing where each touches what the one before wrote.
So the sequencer counts what came of it, and stops for a while where most of it was wasted.
"""

from __future__ import annotations

_MEMORY = 32
"""About so many of the latest runs count."""
_TOO_MUCH = 0.5
_FORGIVEN = 0.98
"""What is left of the memory after each batch that ran nothing ahead: so it is tried again after some dozens of them."""


class Ahead:
    def __init__(self) -> None:
        self._wasted = 0.0

    def pays(self) -> bool:
        """Ask once for each batch."""
        if self._wasted <= _TOO_MUCH:
            return True
        self._wasted *= _FORGIVEN
        return False

    def count(self, *, was_wasted: bool) -> None:
        self._wasted += (was_wasted - self._wasted) / _MEMORY
