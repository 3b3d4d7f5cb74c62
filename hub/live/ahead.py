"""Ahead: rows as they are at the feed's position, from memory: the range cache, and over it what no round has applied yet.

Mutations read it (`hub.live.batch_rows`); nothing waits for a round. The cache stands at the head of the rounds. What the feed has
brought since lies over it, entered once, as it comes, and is thrown away when the head moves past it. Invariant: what it answers
equals a fresh read at `position`; where a change cannot be applied for certain it does not answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hub.core.commits import RowChange, TableReset
from hub.core.rangecache import RangeCache
from hub.core.rangemap import Piece
from hub.core.ranges import IndexRange
from hub.functions.overlay import Overlay
from hub.live.images import brought_forward, doubted
from hub.live.position import FeedPosition
from hub.store import Store
from hub.timestamps import ZERO, Timestamp
from hub.values import Row, RowId, id_of


class Ahead:
    """`indexed_fields` says by table in which fields an index looks: a row of others with an array there is in doubt."""

    def __init__(
        self, cache: RangeCache, position: FeedPosition, indexed_fields: Callable[[], Mapping[str, frozenset[str]]]
    ) -> None:
        self._cache = cache
        self._position = position
        self._indexed_fields = indexed_fields
        self._used: set[Piece] = set()
        self._begin(ZERO)

    @property
    def position(self) -> Timestamp:
        """What it answers is true at this timestamp."""
        return self._position.ts

    def read(self, wanted: IndexRange) -> list[Row] | None:
        """The rows of the range; None if they are not all known."""
        if not self._is_up_to_date() or self.is_in_doubt(wanted.table):
            return None
        if not self._changed.touches(wanted.table):
            return self._cache.read(wanted, self._used)
        base = self._unchanged(wanted)
        return None if base is None else self._changed.merged(wanted, base)

    def get(self, table: str, ids: Sequence[RowId]) -> dict[RowId, Row | None]:
        """What is known of these rows; None is a row that is not there, an id left out is not known."""
        if not self._is_up_to_date():
            return {}
        if table in self._reset:
            return {}
        known = self._cache.get(table, ids, self._used)
        if self._changed.touches(table):
            known.update((row_id, self._changed.row((table, row_id))) for row_id in ids if (table, row_id) in self._changed)
        for row_id in self._unresolved.get(table, ()):
            known.pop(row_id, None)
        return known

    def is_in_doubt(self, table: str) -> bool:
        """Whether something of the table is not known for certain, until a round has read it anew."""
        return table in self._unresolved or table in self._reset

    def keep_used(self, now: float) -> None:
        """What was read since the last call stays in memory for the grace period."""
        used, self._used = self._used, set()
        self._cache.touch(used, now)

    def _unchanged(self, wanted: IndexRange) -> list[Row] | None:
        """So many of the range's rows in the cache that enough of them are none that changed."""
        asked = wanted
        while True:
            base = self._cache.read(asked, self._used)
            if base is None or wanted.limit is None or asked.limit is None or len(base) < asked.limit:
                return base
            changed = sum((wanted.table, id_of(row)) in self._changed for row in base)
            if len(base) - changed >= wanted.limit:
                return base
            asked = wanted.limited_to(wanted.limit + changed)

    # --- what the feed brought -----------------------------------------------------------------------------------------

    def _begin(self, at: Timestamp) -> None:
        self._base = self._entered = at
        self._changed = Overlay()
        self._unresolved: dict[str, set[RowId]] = {}
        self._reset: set[str] = set()

    def _is_up_to_date(self) -> bool:
        """Enter what came since it was asked last; False if that is not known any more: then the next round begins anew."""
        if self._cache.position != self._base:
            self._begin(self._cache.position)
        if self._entered == self._position.ts:
            return True
        commits = self._position.since(self._entered)
        if commits is None:
            return False
        indexed = self._indexed_fields()
        for commit in commits:
            for change in commit.changes:
                self._enter(change if commit.batch is not None else doubted(brought_forward(change, self._row), indexed))
        self._entered = self._position.ts
        return True

    def _row(self, table: str, row_id: RowId) -> Row | None:
        """As it is after what was entered; None if that is not known, or it is not there."""
        if table in self._reset or row_id in self._unresolved.get(table, ()):
            return None
        place = (table, row_id)
        return self._changed.row(place) if place in self._changed else self._cache.row(*place)

    def _enter(self, change: RowChange | TableReset) -> None:
        if isinstance(change, TableReset):
            self._reset.add(change.table)
        elif change.is_unresolved:
            self._unresolved.setdefault(change.table, set()).add(change.id)
        else:
            self._put(change.table, change.id, change.after)

    def _put(self, table: str, row_id: RowId, row: Row | None) -> None:
        self._changed.put((table, row_id), None, row)
        unresolved = self._unresolved.get(table)
        if unresolved is not None:
            unresolved.discard(row_id)
            if not unresolved:
                del self._unresolved[table]

    async def resolve(self, table: str, store: Store) -> bool:
        """Read the rows of the table of which it is not known what became of them. Whether nothing is in doubt then."""
        at, ids = self._position.ts, list(self._unresolved.get(table, ()))
        rows = await store.get(table, ids, at)
        since = self._position.since(at)
        if since is None or not self._is_up_to_date():
            return False
        changed_again = {change.id for commit in since for change in commit.changes if isinstance(change, RowChange)}
        indexed = self._indexed_fields()
        for row_id in self._unresolved.get(table, set()).intersection(ids) - changed_again:
            row = rows.get(row_id)
            self._enter(doubted(RowChange(table, row_id, "update" if row is not None else "delete", row), indexed))
        return not self.is_in_doubt(table)
