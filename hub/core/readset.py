"""ReadSet: what a run looked at, so that it can be told which commits concern it."""

from __future__ import annotations

from dataclasses import dataclass, field

from hub.core.ranges import IndexRange
from hub.values import RowId


@dataclass(slots=True)
class ReadSet:
    """Collected while a function runs.

    `ranges`: every index range that was read, the empty ones too, each cut off at the last row it returned when its limit was
    reached (so it never carries a limit). `rows`: every row that was returned or asked for by id, the missing ones too.
    `saw_identity`: the run looked at who asks; its result then belongs to that caller alone.
    """

    ranges: list[IndexRange] = field(default_factory=list)
    rows: set[tuple[str, RowId]] = field(default_factory=set)
    saw_identity: bool = False
