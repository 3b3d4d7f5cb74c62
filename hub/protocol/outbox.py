"""Outbox: the frames that wait for one client, in the order they were decided.

The session's shell puts messages in; its writing task takes one frame at a time, and says when the transport has room again.
Order is all: an answer put before a transition reaches the client before it. While the client is behind, the session is not
advanced (`can_advance`), so its next transition jumps to the newest state, and nothing is read from its socket either
(`is_full`), so that what waits stays near the budget. Sizes are bytes, times are `Clock.monotonic` seconds.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from hub.protocol.formats import WireFormat
from hub.protocol.frames import Frame
from hub.protocol.messages import Close, ServerMessage, Transition

MAX_TRANSITIONS = 2
"""One on its way and one waiting: a third would be old before it is sent."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    frame: Frame
    is_transition: bool


class Outbox:
    """`wire_format` is the socket's. `budget_bytes` is what may wait, `patience_s` for how long more may wait, `ping_after_s` the
    longest silence.

    `next` leaves the frame in place until `written`: a frame that is being sent still counts.
    """

    def __init__(self, wire_format: WireFormat, *, budget_bytes: int, patience_s: float, ping_after_s: float, now: float) -> None:
        self.wire_format = wire_format
        self._budget_bytes = budget_bytes
        self._patience_s = patience_s
        self._ping_after_s = ping_after_s
        self._waiting: deque[_Waiting] = deque()
        self._transitions = 0
        self._last_put_s = now
        self._full_since_s: float | None = None
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def can_advance(self) -> bool:
        """Whether a transition may be put in."""
        return self._transitions < MAX_TRANSITIONS and not self.is_full

    @property
    def is_full(self) -> bool:
        return self.size_bytes > self._budget_bytes

    @property
    def ping_at(self) -> float:
        """When a Ping is due if nothing else is put in before; clients reconnect when they hear nothing for long."""
        return self._last_put_s + self._ping_after_s

    def put(self, message: ServerMessage, now: float) -> None:
        item = _Waiting(self.wire_format.write(message), isinstance(message, Transition))
        assert not item.is_transition or self.can_advance, "the session is advanced only when there is room"
        self._waiting.append(item)
        self._transitions += item.is_transition
        self._last_put_s = now
        self._resize(item.frame.size_bytes, now)

    def next(self) -> Frame | None:
        """The oldest frame, or None. The same again until `written`."""
        return self._waiting[0].frame if self._waiting else None

    def written(self, now: float) -> None:
        """The frame from `next` has left, and the transport takes more."""
        item = self._waiting.popleft()
        self._transitions -= item.is_transition
        self._resize(-item.frame.size_bytes, now)

    def overflow(self, now: float) -> Close | None:
        """The end for a client that has been too far behind for too long; it comes back to the newest state."""
        if self._full_since_s is None or now - self._full_since_s < self._patience_s:
            return None
        return Close(1013, "TooManyConcurrentRequests: the client reads too slowly")

    @property
    def overflow_at(self) -> float | None:
        """When `overflow` will say so, if nothing is written before."""
        return None if self._full_since_s is None else self._full_since_s + self._patience_s

    def _resize(self, by_bytes: int, now: float) -> None:
        self.size_bytes += by_bytes
        if not self.is_full:
            self._full_since_s = None
        elif self._full_since_s is None:
            self._full_since_s = now
