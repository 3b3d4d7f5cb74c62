"""Steps: one query's new value on its way to all who show an older one.

Nearly every delivery is such a step, so it has a way of its own: what sessions in one state are sent is found out and written once,
and for others only what is their own is written, around what they share. `hub.live.evaluations` makes a `Steps` for each value that
it hands out, and counts what was sent; `Session.step` asks it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from hub.protocol.frames import Frame
from hub.protocol.messages import QueryId, Success, Version
from hub.protocol.volley import Volley
from hub.timestamps import Timestamp

_MAX_FRAMES = 32
"""Kept for others in the same state. Where there are more states than that, to keep each of them costs more than it saves."""

WriteFrame: TypeAlias = Callable[[QueryId], Frame]
"""Writes a transition that has this one change, of the query of this id."""
WriteStep: TypeAlias = Callable[[Version, Version], WriteFrame]
"""For transitions from the first version to the second."""


class StepFormat(Protocol):
    """What steps need of a wire format."""

    def step(self, base: Success, result: Success) -> WriteStep:
        """For transitions of which this is all: a query that showed `base` has the other value `result`."""
        ...


@dataclass(slots=True, eq=False)
class _Way:
    """Of all sessions at one version, to where the step leads them."""

    start: Version
    end: Version
    write: WriteFrame
    frames: dict[QueryId, Frame] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Step:
    """To the new value from `base`, for sessions of one wire format."""

    base: Success
    ts: Timestamp
    _write: WriteStep
    _ways: dict[Version, _Way] = field(default_factory=dict)
    _last: _Way | None = None
    _kept: int = 0

    def take(self, start: Version, query_id: QueryId) -> tuple[Version, Frame]:
        """The frame for a session at `start`, and where that leads."""
        way = self._last
        if way is None or way.start is not start:  # those whom a step has brought there have the same object for it
            way = self._last = self._ways.get(start) or self._new_way(start)
        frame = way.frames.get(query_id)
        if frame is None:
            frame = way.write(query_id)
            if self._kept < _MAX_FRAMES:
                self._kept += 1
                way.frames[query_id] = frame
        else:
            frame.share()
        return way.end, frame

    def _new_way(self, start: Version) -> _Way:
        end = Version(start.query_set, start.identity, self.ts)
        way = self._ways[start] = _Way(start, end, self._write(start, end))
        return way


@dataclass(slots=True)
class Steps:
    """`result` is true at `ts`. Frames go to the `volley`; `sent` and `sent_bytes` are of all that it was sent in."""

    result: Success
    ts: Timestamp
    volley: Volley
    sent: int = 0
    sent_bytes: int = 0
    _last: tuple[Success, StepFormat, Step] | None = None
    _known: dict[tuple[int, StepFormat], Step] = field(default_factory=dict)

    def of(self, base: Success, wire_format: StepFormat) -> Step | None:
        """For sessions that show `base`; None if they would see no difference."""
        last = self._last
        if last is not None and last[0] is base and last[1] is wire_format:
            return last[2]
        step = self._known.get((id(base), wire_format))
        if step is None:
            if base.value == self.result.value:
                return None
            step = Step(base, self.ts, wire_format.step(base, self.result))
            self._known[id(base), wire_format] = step  # which keeps `base`, and so its identity
        self._last = base, wire_format, step
        return step
