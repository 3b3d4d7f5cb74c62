"""Outbox: the frames for one client, in the order they were decided. What the transport takes passes through, the rest waits.

`hub.live.connection` puts messages in. Order is all: an answer put before a transition reaches the client before it. While the
client is behind, the session is not advanced (`can_advance`), so its next transition jumps to the newest state, and nothing is read
from its socket either (`is_full`), so that what waits stays near the budget. Sizes are bytes, times are `Clock.monotonic` seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from hub.protocol.formats import WireFormat
from hub.protocol.frames import Frame
from hub.protocol.messages import Close, ServerMessage, Transition
from hub.protocol.volley import Transport

MAX_TRANSITIONS = 2
"""One on its way and one waiting: a third would be old before it is sent."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    frame: Frame
    is_transition: bool


def _later(_: Frame) -> bool:
    return False


def _nothing() -> None:
    pass


class Outbox:
    """`wire_format` is the socket's. `budget_bytes` is what may wait; `patience_s` for how long more may wait, or something without
    any of it being taken; `ping_after_s` is the longest silence. `write` takes a frame at once or says False: then it waits, and
    `on_wait` is called. `transport` is where `write` puts a frame that is not compressed, if there is such a place.

    There are two ways out. A transport that takes frames at once says when it cannot (`paused`) and when it can again (`resumed`).
    A task that sends takes the frame that `next` gives; it is left in place until `written`, so that it still counts.
    """

    __slots__ = (
        "_budget_bytes",
        "_full_since_s",
        "_is_paused",
        "_last_put_s",
        "_on_wait",
        "_patience_s",
        "_ping_after_s",
        "_stuck_since_s",
        "_transitions",
        "_waiting",
        "_write",
        "size_bytes",
        "transport",
        "wire_format",
    )

    def __init__(
        self,
        wire_format: WireFormat,
        *,
        budget_bytes: int,
        patience_s: float,
        ping_after_s: float,
        now: float,
        write: Callable[[Frame], bool] = _later,
        on_wait: Callable[[], None] = _nothing,
        transport: Transport | None = None,
    ) -> None:
        self.wire_format = wire_format
        self._write = write
        self.transport = transport
        self._on_wait = on_wait
        self._budget_bytes = budget_bytes
        self._patience_s = patience_s
        self._ping_after_s = ping_after_s
        self._waiting: deque[_Waiting] = deque()
        self._transitions = 0
        self._last_put_s = now
        self._full_since_s: float | None = None
        self._stuck_since_s: float | None = None
        self._is_paused = False
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def can_advance(self) -> bool:
        """Whether a transition may be put in."""
        return not self._is_paused and self._transitions < MAX_TRANSITIONS and self.size_bytes <= self._budget_bytes

    @property
    def is_full(self) -> bool:
        return self.size_bytes > self._budget_bytes

    @property
    def ping_at(self) -> float:
        """When a Ping is due if nothing else is put in before; clients reconnect when they hear nothing for long."""
        return self._last_put_s + self._ping_after_s

    @property
    def is_at_ease(self) -> bool:
        """Nothing waits, and the transport takes more: `overflow` has nothing to say."""
        return self._stuck_since_s is None

    def put(self, message: ServerMessage, now: float) -> int:
        """Write it, or let it wait. Returns its size."""
        frame = self.wire_format.write(message)
        self.put_frame(frame, now, is_transition=isinstance(message, Transition))
        return frame.size_bytes

    def put_frame(self, frame: Frame, now: float, *, is_transition: bool) -> None:
        """The same, of a message that was written in the socket's format."""
        self._last_put_s = now
        if self._waiting or not self._write(frame):
            self._queue(_Waiting(frame, is_transition), now)
            self._on_wait()

    def passed_by(self, now: float) -> None:
        """A frame is written to the `transport` right after this, in a volley, while the outbox `is_at_ease`."""
        self._last_put_s = now

    def _queue(self, item: _Waiting, now: float) -> None:
        assert not item.is_transition or self._transitions < MAX_TRANSITIONS, "the session is advanced only when there is room"
        if self._stuck_since_s is None:
            self._stuck_since_s = now
        self._waiting.append(item)
        self._transitions += item.is_transition
        self._resize(item.frame.size_bytes, now)

    def next(self) -> Frame | None:
        """The oldest frame, or None. The same again until `written`."""
        return self._waiting[0].frame if self._waiting else None

    def written(self, now: float) -> None:
        """The frame from `next` has left, and the transport takes more, unless it has just paused with this one."""
        item = self._waiting.popleft()
        self._transitions -= item.is_transition
        self._stuck_since_s = now if self._waiting or self._is_paused else None
        self._resize(-item.frame.size_bytes, now)

    # --- a transport that takes frames at once -------------------------------------------------------------------------

    def paused(self, now: float) -> None:
        """The transport still has some of what it took; also said again whenever it got rid of a part of that."""
        self._is_paused = True
        self._stuck_since_s = now

    def resumed(self, now: float) -> None:
        """The transport takes frames again."""
        self._is_paused = False
        self._stuck_since_s = None
        while self._waiting and not self._is_paused and self._write(self._waiting[0].frame):
            self.written(now)

    # --- a client that does not read -----------------------------------------------------------------------------------

    def overflow(self, now: float) -> Close | None:
        """The end for a client that has been too far behind for too long; it comes back to the newest state."""
        due = self.overflow_at
        return None if due is None or now < due else Close(1013, "TooManyConcurrentRequests: the client reads too slowly")

    @property
    def overflow_at(self) -> float | None:
        """When `overflow` will say so, if nothing is written before."""
        since = [since_s for since_s in (self._full_since_s, self._stuck_since_s) if since_s is not None]
        return min(since) + self._patience_s if since else None

    def clear(self) -> None:
        """Give up what waits: the socket is to be closed."""
        self._waiting.clear()
        self._transitions = self.size_bytes = 0

    def _resize(self, by_bytes: int, now: float) -> None:
        self.size_bytes += by_bytes
        if not self.is_full:
            self._full_since_s = None
        elif self._full_since_s is None:
            self._full_since_s = now
