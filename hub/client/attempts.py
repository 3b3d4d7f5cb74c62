"""When a call is tried again, and what its caller hears when it is not.

Pure: the clients tell it the time and what happened, and sleep for as long as it says. Two promises. No wait ends beyond the
deadline, and none is shorter than the hub asked for. And a mutation that may have been applied is never reported as failed: once
an attempt leaves that doubt, only an answer removes it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from hub.client.calls import Setback
from hub.client.errors import MutationOutcomeUnknown
from hub.client.options import Timeouts
from hub.errors import HubError, RequestMismatch

FIRST_DELAY_S: Final = 0.1
MAX_DELAY_S: Final = 5.0


def backoff_s(failures: int, jitter: float, first_s: float, most_s: float) -> float:
    """The wait after so many failures in a row, between half and one and a half of an exponential; `jitter` is in [0, 1)."""
    return float(min(first_s * 2 ** min(failures - 1, 30), most_s) * (0.5 + jitter))


class Attempts:
    """The attempts of one call. `key` is a mutation's idempotency key, None for a query."""

    def __init__(self, key: str | None, timeouts: Timeouts, now: float, jitter: Callable[[], float] = random.random) -> None:
        self._key, self._timeouts, self._jitter = key, timeouts, jitter
        self._ends = now + timeouts.deadline_s
        self._failures = 0
        self._is_doubtful = False
        self._has_renewed = False

    def timeout_s(self, now: float) -> float:
        """How long the next attempt may take."""
        return max(0.001, min(self._timeouts.attempt_s, self._ends - now))

    def may_renew(self, setback: Setback) -> bool:
        """Whether a fresh token is worth an attempt: once for each call, without a wait."""
        if setback.status != 401 or self._has_renewed:
            return False
        self._has_renewed = True
        return True

    def wait_s(self, setback: Setback, now: float) -> float:
        """How long to wait before the next attempt. Raises what the caller is to hear if there is none."""
        self._failures += 1
        self._is_doubtful = self._is_doubtful or (setback.leaves_doubt and self._key is not None)
        if not setback.may_retry:
            raise self._ending(setback.error)
        delay_s = max(backoff_s(self._failures, self._jitter(), FIRST_DELAY_S, MAX_DELAY_S), setback.retry_after_s)
        if now + delay_s >= self._ends:
            raise self._ending(setback.error)
        return delay_s

    def _ending(self, error: HubError) -> HubError:
        # a key that is recorded for another call was not this call's: nothing of this one was ever applied
        if self._key is None or not self._is_doubtful or isinstance(error, RequestMismatch):
            return error
        unknown = MutationOutcomeUnknown(error.message, self._key)
        unknown.__cause__ = error
        return unknown
