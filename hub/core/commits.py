"""Commits: what the change feed tells, in order, and the bounded log of the latest.

A Commit is one write transaction of anybody; its row changes are the net effect on each row. Values are in stored form:
names and types as they lie in the database. The log is written by the task that follows the feed and read by everybody who
brings something from an older timestamp to the present: read at a timestamp, then replay what came after it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NewType

from hub.core.deltas import Delta
from hub.timestamps import ZERO, Timestamp
from hub.values import Row, RowId

BatchId = NewType("BatchId", str)
"""Names one transaction of this deployment, before it is sent; unique for ever."""


@dataclass(frozen=True, slots=True)
class RowChange:
    """What one commit did to one row.

    `after` is the row's new image; None for a delete, and None with `kind == "update"` when another writer's delta alone is
    known: whoever needs the image then applies `deltas`, one after the other, to the row it holds, or reads the row at the position
    it is working at. No `deltas` there: what was changed cannot be told for certain.
    """

    table: str
    id: RowId
    kind: Literal["insert", "replace", "update", "delete"]
    after: Row | None = None
    deltas: tuple[Delta, ...] = field(default=(), compare=False, repr=False)

    @property
    def is_unresolved(self) -> bool:
        return self.kind != "delete" and self.after is None


@dataclass(frozen=True, slots=True)
class TableReset:
    """A collection was dropped, renamed or its indexes rebuilt by hand: everything read from it is stale."""

    table: str


@dataclass(frozen=True, slots=True)
class Commit:
    """One transaction. `batch` is set when this process committed it."""

    ts: Timestamp
    changes: tuple[RowChange | TableReset, ...]
    batch: BatchId | None = None


class CommitLog:
    """The latest commits, in order, without a gap between `floor` and `position`.

    `position` is how far the feed was followed: everything committed at or before it is here or was dropped for room.
    `floor` is the oldest timestamp from which replay is complete: the ts of the newest commit that was dropped, or where the
    log began. Bounded by commits and by row changes; the newest commit is kept whatever its size, so that whoever keeps up
    never misses one.
    """

    __slots__ = ("_changes", "_commits", "_dropped", "_floor", "_max_changes", "_max_commits", "_position", "_stamps")

    def __init__(self, *, max_commits: int, max_changes: int, at: Timestamp = ZERO) -> None:
        assert max_commits > 0
        assert max_changes > 0
        self._max_commits = max_commits
        self._max_changes = max_changes
        self.reset(at)

    def reset(self, at: Timestamp) -> None:
        """Begin anew at `at`: what came before is unknown (first batch, or a resync)."""
        self._commits: list[Commit] = []
        self._stamps: list[Timestamp] = []  # of _commits, for the binary search
        self._dropped = 0  # commits at the front that no longer count; cut off many at a time
        self._changes = 0  # in the commits that do count
        self._floor = self._position = at

    @property
    def position(self) -> Timestamp:
        return self._position

    @property
    def floor(self) -> Timestamp:
        return self._floor

    @property
    def changes(self) -> int:
        """Row changes held, for the metrics."""
        return self._changes

    def __len__(self) -> int:
        return len(self._commits) - self._dropped

    def append(self, commit: Commit) -> None:
        assert commit.ts > self._position, "the feed brought a commit that it had already passed"
        self._commits.append(commit)
        self._stamps.append(commit.ts)
        self._changes += len(commit.changes)
        self._position = commit.ts
        while len(self) > 1 and (len(self) > self._max_commits or self._changes > self._max_changes):
            self._drop_oldest()

    def advance(self, to: Timestamp) -> None:
        """The feed passed `to` without another commit."""
        assert to >= self._position, "the feed went back"
        self._position = to

    def since(self, ts: Timestamp) -> Sequence[Commit] | None:
        """Commits after `ts`, oldest first; None when some of them are no longer known: then run again instead of replaying."""
        if ts < self._floor:
            return None
        return self._commits[bisect_right(self._stamps, ts, lo=self._dropped) :]

    def _drop_oldest(self) -> None:
        oldest = self._commits[self._dropped]
        self._floor = oldest.ts
        self._changes -= len(oldest.changes)
        self._dropped += 1
        if self._dropped > len(self):  # half of the list is dead: cutting it now costs each commit O(1)
            del self._commits[: self._dropped]
            del self._stamps[: self._dropped]
            self._dropped = 0
