"""Steps: one query's new value on its way to all who show an older one.

Nearly every delivery is such a step, so it has a way of its own: what sessions in one state are sent is found out and written
once, and for each of them only the query's id, between what comes before it and behind it. `hub.live.evaluations` makes a `Steps`
for each value that it hands out, and counts what was sent; `Session.step` asks it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from hub.protocol.frames import SMALL_BYTES, Frame, header_of
from hub.protocol.messages import QueryId, Success, Version
from hub.protocol.volley import Volley
from hub.timestamps import Timestamp

_MAX_KEPT = 32
"""Frames kept for others who show the query under the same id. Where there are more ids, to keep each costs more than it saves."""

_JOINED_MAX_BYTES = 64 * 1024
"""A larger frame stays in pieces: each of those kept would be a copy of what is there once."""

Pieces: TypeAlias = tuple[bytes, ...]


@dataclass(frozen=True, slots=True, eq=False)
class StepText:
    """How a transition with this one change is written: `opening` of its two versions, the query's id (`number`), and `rest`."""

    is_text: bool
    opening: Callable[[Version, Version], bytes]
    number: Callable[[QueryId], bytes]
    rest: bytes


class StepFormat(Protocol):
    """What steps need of a wire format."""

    def step(self, base: Success, result: Success) -> StepText:
        """For transitions of which this is all: a query that showed `base` has the other value `result`."""
        ...


@dataclass(slots=True)
class _Room:
    """For frames that all ways of one value may still keep."""

    left: int = _MAX_KEPT


@dataclass(slots=True, eq=False)
class Way:
    """Of all sessions of one wire format that are at one version and show one value, to where the step leads them."""

    base: Success
    wire_format: StepFormat
    start: Version
    end: Version
    is_wide: bool
    _text: StepText
    _opening: bytes
    _room: _Room
    _heads: dict[int, tuple[bytes, int]] = field(default_factory=dict)
    _kept: dict[QueryId, tuple[Pieces, int]] = field(default_factory=dict)

    def frame(self, query_id: QueryId) -> Frame:
        own, rest = self._opening + self._text.number(query_id), self._text.rest
        return Frame(self._text.is_text, (own, rest), len(own) + len(rest), self.is_wide)

    def ready(self, query_id: QueryId) -> tuple[Pieces, int]:
        """The same as it is written to a transport (`Frame.ready`), and the size of its payload in bytes. Those who show the query
        under the same id get it in one piece, which takes a sixth off each writing of it, unless it is large."""
        known = self._kept.get(query_id)
        if known is not None:
            pieces, size_bytes = known
            if len(pieces) > 1 and size_bytes <= _JOINED_MAX_BYTES:
                known = self._kept[query_id] = (b"".join(pieces),), size_bytes
            return known
        number = self._text.number(query_id)
        head, size_bytes = self._heads.get(len(number)) or self._new_head(len(number))
        pieces = (head + number, self._text.rest) if size_bytes > SMALL_BYTES else (head + number + self._text.rest,)
        if self._room.left > 0:
            self._room.left -= 1
            self._kept[query_id] = pieces, size_bytes
        return pieces, size_bytes

    def _new_head(self, number_bytes: int) -> tuple[bytes, int]:
        """What comes before the id, and the size of the payload, where the id takes so many bytes."""
        size_bytes = len(self._opening) + number_bytes + len(self._text.rest)
        head = self._heads[number_bytes] = header_of(self._text.is_text, size_bytes) + self._opening, size_bytes
        return head


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
    _texts: dict[tuple[int, StepFormat], tuple[Success, StepText]] = field(default_factory=dict)  # with the base whose id it is
    _room: _Room = field(default_factory=_Room)

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

    def _new_way(self, base: Success, wire_format: StepFormat, start: Version) -> Way:
        known = self._texts.get((id(base), wire_format))
        if known is None:
            known = self._texts[id(base), wire_format] = base, wire_format.step(base, self.result)
        text, end = known[1], Version(start.query_set, start.identity, self.ts)
        way = Way(base, wire_format, start, end, self.result.is_wide, text, text.opening(start, end), self._room)
        self._ways[id(base), wire_format, start] = way
        return way
