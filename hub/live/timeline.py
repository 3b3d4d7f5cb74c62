"""Timeline: the head, and everything that moves with it: commit log, range cache, invalidation index.

The rounds move it, in one step without an await; evaluations read it. Invariants: `head` is the position of a batch of the feed,
and everything up to it is applied to all three; between rounds it stands still. What a live query read is in the index from the
same step in which the commits since its run were replayed: there is no gap in which a commit could be missed.
"""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Iterable

from hub.core.commits import Commit, CommitLog, RowChange, TableReset
from hub.core.invalidation import InvalidationIndex, ReaderId, touches
from hub.core.rangecache import RangeCache
from hub.core.readset import ReadSet
from hub.timestamps import ZERO, Timestamp

_MAX_HEADS = 10_000


class Timeline:
    def __init__(self, commit_log: CommitLog, cache: RangeCache) -> None:
        self.head: Timestamp = ZERO
        self.log = commit_log
        self.cache = cache
        self._index: InvalidationIndex[ReaderId] = InvalidationIndex()
        self._heads: deque[Timestamp] = deque(maxlen=_MAX_HEADS)

    def needs_image(self, change: RowChange | TableReset) -> bool:
        """Whether an unresolved change must be resolved to know whom it concerns, or for the cache to go on holding the row."""
        if isinstance(change, TableReset) or not change.is_unresolved:
            return False
        return self._index.needs_image(change.table) or self.cache.holds(change.table, change.id)

    def lose_history(self, at: Timestamp) -> None:
        """What happened before `at` is unknown."""
        self.log.reset(at)
        self.cache.reset(at)

    def apply(self, commits: Iterable[Commit]) -> set[ReaderId]:
        """Enter the commits; the readers that they concern."""
        concerned: set[ReaderId] = set()
        for commit in commits:
            self.log.append(commit)
            self.cache.apply(commit)
            for change in commit.changes:
                concerned |= self._index.invalidate(change)
        return concerned

    def advance(self, head: Timestamp) -> None:
        """Everything up to here is entered."""
        if head > self.head:
            self.head = head
            self._heads.append(head)
            self.log.advance(head)
            self.cache.advance(head)

    def watch(self, reader: ReaderId, reads: ReadSet) -> None:
        self._index.watch(reader, reads)

    def forget(self, reader: ReaderId) -> None:
        self._index.forget(reader)

    def stale_since(self, reads: ReadSet, at: Timestamp) -> Timestamp | None:
        """Until when a run at `at` is true: None up to the head, else one past the last head before the commit that ended it."""
        commits = self.log.since(at)
        if commits is None:
            return Timestamp(at + 1)
        ended_by = next((commit for commit in commits if touches(reads, commit)), None)
        if ended_by is None:
            return None
        before = bisect.bisect_left(self._heads, ended_by.ts)
        last_head = self._heads[before - 1] if before else at
        return Timestamp(max(last_head, at) + 1)
