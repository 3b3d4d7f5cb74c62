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
class Way:
    """Of all sessions of one wire format that are at one version and show one value, to where the step leads them."""

    base: Success
    wire_format: StepFormat
    start: Version
    end: Version
    write: WriteFrame
    frames: dict[QueryId, Frame] = field(default_factory=dict)


@dataclass(slots=True)
class Steps:
    """`result` is true at `ts`. Frames go to the `volley`; `sent` and `sent_bytes` are of all that it was sent in."""

    result: Success
    ts: Timestamp
    volley: Volley
    sent: int = 0
    sent_bytes: int = 0
    _last: Way | None = None
    _ways: dict[tuple[int, StepFormat, Version], Way] = field(default_factory=dict)
    _writers: dict[tuple[int, StepFormat], WriteStep] = field(default_factory=dict)
    _kept: int = 0

    def way(self, base: Success, wire_format: StepFormat, start: Version) -> Way | None:
        """Of sessions that show `base` and are at `start`; None if they would see no difference."""
        way = self._last
        # Those whom a step has brought there have the same object for their version.
        if way is None or way.start is not start or way.base is not base or way.wire_format is not wire_format:
            way = self._ways.get((id(base), wire_format, start))
            if way is None:
                if base.value == self.result.value:
                    return None
                way = self._new_way(base, wire_format, start)
            self._last = way
        return way

    def frame(self, way: Way, query_id: QueryId) -> Frame:
        """For a session on this way, of which the query has this id."""
        frame = way.frames.get(query_id)
        if frame is not None:
            frame.share()
            return frame
        frame = way.write(query_id)
        if self._kept < _MAX_FRAMES:
            self._kept += 1
            way.frames[query_id] = frame
        return frame

    def _new_way(self, base: Success, wire_format: StepFormat, start: Version) -> Way:
        write = self._writers.get((id(base), wire_format))
        if write is None:
            write = self._writers[id(base), wire_format] = wire_format.step(base, self.result)
        end = Version(start.query_set, start.identity, self.ts)
        way = Way(base, wire_format, start, end, write(start, end))
        self._ways[id(base), wire_format, start] = way  # which keeps `base`, and so its identity
        return way
