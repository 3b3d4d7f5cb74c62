"""The newest moment a client has seen, over all its calls and subscriptions; threads share it."""

from __future__ import annotations

import threading

from hub import timestamps
from hub.timestamps import ZERO, Timestamp


class Latest:
    def __init__(self) -> None:
        self._ts = ZERO
        self._lock = threading.Lock()

    @property
    def ts(self) -> Timestamp:
        return self._ts

    @property
    def text(self) -> str | None:
        """As it goes over the wire; None if nothing was seen yet."""
        return timestamps.encode(self._ts) if self._ts else None

    def observe(self, ts: Timestamp | None) -> None:
        with self._lock:
            if ts is not None and ts > self._ts:
                self._ts = ts
