"""Stepping: sends into a function's coroutine, with an end to its processor time.

Nothing else of the process runs inside a step, because a step is synchronous, but what answers from memory; that is never broken
off.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from hub.functions.places import authors_line

A = TypeVar("A")
T = TypeVar("T")

_REPEAT_S = 0.005
"""The alarm rings again until the function is out: a bare `except:` may swallow some of them."""


class OutOfTime(BaseException):
    """Raised inside a function that has used up its processor time; not an Exception, so that `except Exception` lets it pass."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.place = place


class Stopwatch:
    """The processor time that one run has left.

    It is measured by the thread's clock, for the many short steps of a run; the alarm (`ITIMER_PROF`, the process's time, in ticks
    of some milliseconds) ends a step that does not end by itself. Off the main thread Python runs no signal handlers: there a
    function that never ends is not stopped. Neither is one that stays inside a single call of C code.
    """

    __slots__ = ("_left_s", "_place")

    def __init__(self, limit_s: float) -> None:
        self._left_s = limit_s
        self._place = ""

    def step(self, advance: Callable[[], T]) -> T:
        """Raises OutOfTime, inside `advance` where that is possible, and after it where it was swallowed there."""
        if self._left_s <= 0:
            raise OutOfTime(self._place)
        is_main = threading.current_thread() is threading.main_thread()
        started_s = time.thread_time()
        try:
            return self._under_alarm(advance) if is_main else advance()
        finally:
            self._left_s -= time.thread_time() - started_s
            if self._left_s <= 0:
                raise OutOfTime(self._place)

    def unalarmed(self, work: Callable[[A], T], argument: A) -> T:
        """Work of the hub's own inside a step. An alarm that rings meanwhile rings again after it."""
        global _ringing_for  # noqa: PLW0603
        ringing_for, _ringing_for = _ringing_for, None
        try:
            return work(argument)
        finally:
            _ringing_for = ringing_for

    def _under_alarm(self, advance: Callable[[], T]) -> T:
        global _ringing_for, _has_handler  # noqa: PLW0603  # a process has one alarm clock
        if not _has_handler:
            signal.signal(signal.SIGPROF, _ring)
            _has_handler = True
        try:
            _ringing_for = self
            signal.setitimer(signal.ITIMER_PROF, self._left_s, _REPEAT_S)
            try:
                return advance()
            finally:
                self._silence()
        except OutOfTime:
            self._silence()  # again: it may have rung on the way out, before the first one had silenced it
            raise

    def _silence(self) -> None:
        global _ringing_for  # noqa: PLW0603
        _ringing_for = None
        signal.setitimer(signal.ITIMER_PROF, 0)

    def ring(self, frame: FrameType | None) -> None:
        self._left_s = 0.0
        self._place = self._place or authors_line(frame)
        raise OutOfTime(self._place)


_ringing_for: Stopwatch | None = None
_has_handler = False
"""Whether `_ring` is what SIGPROF calls. (To ask each time takes 2 µs: `signal.getsignal` looks for an enumeration's member.)"""


def _ring(_number: int, frame: FrameType | None) -> None:
    if _ringing_for is not None:
        _ringing_for.ring(frame)
