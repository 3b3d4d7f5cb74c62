"""BatchRows: what the mutations of one batch read: the rows of one position, and over them what those before wrote.

Used by `hub.live.batch`. A row or range that one mutation read is not asked for again by the next, for all of them run at the same
position; how much that may be is bounded by what a batch may read. Invariant: a read gives what the database would answer had the
writes applied so far been committed at the position.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hub.core.commits import Commit, RowChange, TableReset
from hub.core.invalidation import InvalidationIndex
from hub.core.ranges import IndexKey, IndexRange
from hub.core.readset import ReadSet
from hub.functions.overlay import Overlay
from hub.live.guesses import is_guessable
from hub.live.runner import Source
from hub.store import Delete, Insert, Replace, Update, Write
from hub.timestamps import Timestamp
from hub.values import Row, RowId

_AT_ONCE = 32
"""Look-ups that the database answers at the same time."""


@dataclass(frozen=True, slots=True)
class _Known:
    """The first rows of a range. `is_whole`: there are no others."""

    rows: list[Row]
    is_whole: bool

    def answers(self, limit: int | None) -> bool:
        return self.is_whole or (limit is not None and limit <= len(self.rows))


class BatchRows:
    def __init__(self, source: Source, at: Timestamp) -> None:
        self.at = at
        self._source = source
        self._overlay = Overlay()
        self._rows: dict[tuple[str, RowId], Row | None] = {}
        self._ranges: dict[IndexRange, _Known] = {}

    def moved(self, at: Timestamp, commits: Sequence[Commit]) -> BatchRows:
        """Without writes, at a later position: what was read counts there too, unless one of the commits in between changed it."""
        moved = BatchRows(self._source, at)
        changes = [change for commit in commits for change in commit.changes]
        tables = {change.table for change in changes if isinstance(change, TableReset)}
        changed = {(change.table, change.id) for change in changes if isinstance(change, RowChange)}
        moved._rows = {place: row for place, row in self._rows.items() if place not in changed and place[0] not in tables}
        readers: InvalidationIndex[IndexRange] = InvalidationIndex()
        for wanted, known in self._ranges.items():
            readers.watch(wanted, ReadSet([wanted], {(wanted.table, _id(row)) for row in known.rows}))
        touched = {wanted for change in changes for wanted in readers.invalidate(change)}
        moved._ranges = {wanted: known for wanted, known in self._ranges.items() if wanted not in touched}
        return moved

    async def read(self, wanted: IndexRange) -> list[Row]:
        return self._overlay.merged(wanted, await self._stored(self._overlay.widened(wanted)))

    def guess(self, wanted: IndexRange) -> list[Row] | None:
        """Without asking the database: what the batch wrote. None where that, or something that was read, says more."""
        if not is_guessable(wanted) or wanted.unlimited() in self._ranges or self._overlay.moved_out(wanted):
            return None
        return self._overlay.merged(wanted, [])

    def proves(self, key: IndexRange) -> bool:
        """Whether a row that is written has this unique key, and none that had it is written: then the database refuses all of it
        if the key is taken."""
        return bool(self._overlay.merged(key, [])) and not self._overlay.moved_out(key)

    async def look_up(self, keys: Iterable[IndexRange]) -> set[IndexRange]:
        """Those of the keys that are taken in the database; from now on it is known of all of them."""
        asked = list(keys)
        for start in range(0, len(asked), _AT_ONCE):
            await asyncio.gather(*(self._stored(key) for key in asked[start : start + _AT_ONCE]))
        return {key for key in asked if self._ranges[key].rows}

    async def get(self, table: str, ids: Sequence[RowId]) -> dict[RowId, Row]:
        unknown = [row_id for row_id in ids if (table, row_id) not in self._overlay and (table, row_id) not in self._rows]
        if unknown:
            found = await self._source.get(table, unknown, self.at)
            self._rows.update(((table, row_id), found.get(row_id)) for row_id in unknown)
        now = ((row_id, self._now((table, row_id))) for row_id in ids)
        return {row_id: row for row_id, row in now if row is not None}

    def apply(self, writes: Iterable[Write]) -> None:
        """From now on reads see them. Whoever wrote a row had read it here, so how it was before is known."""
        for write in writes:
            place = (write.table, write.id)
            assert isinstance(write, Insert) or place in self._overlay or place in self._rows, "written without having been read"
            match write:
                case Insert() | Replace():
                    after: Row | None = write.row
                case Update():
                    after = write.after
                case Delete():
                    after = None
            self._overlay.put(place, self._rows.get(place), after, is_replaced=isinstance(write, Replace))

    def writes(self) -> tuple[Write, ...]:
        """The net effect of all that was applied: at most one for each row."""
        return self._overlay.writes()

    async def _stored(self, wanted: IndexRange) -> list[Row]:
        whole = wanted.unlimited()
        known = self._ranges.get(whole)
        if known is None or not known.answers(wanted.limit):
            rows = await self._source.read(wanted, self.at)
            is_one_key = wanted.index.unique and len(wanted.prefix) == len(wanted.index.fields)
            is_whole = wanted.limit is None or len(rows) < wanted.limit or (is_one_key and wanted.limit > 0)
            known = self._ranges[whole] = _Known(rows, is_whole)
            self._rows.update(((wanted.table, _id(row)), row) for row in rows)
        return known.rows[: wanted.limit]

    def _now(self, place: tuple[str, RowId]) -> Row | None:
        return self._overlay.row(place) if place in self._overlay else self._rows[place]


def _id(row: Row) -> RowId:
    return row["_id"]  # type: ignore[return-value]  # every stored row has one, of these types


class MemberRows:
    """The source of one run. `may_guess` says of an index whether an unknown key of it may be taken for free; `guessed` were."""

    def __init__(self, rows: BatchRows, may_guess: Callable[[IndexKey], bool]) -> None:
        self.guessed: dict[IndexRange, None] = {}
        self._rows = rows
        self._may_guess = may_guess

    async def read(self, wanted: IndexRange, at: Timestamp) -> list[Row]:
        assert at == self._rows.at
        rows = self._rows.guess(wanted) if self._may_guess(wanted.index) else None
        if rows is None:
            return await self._rows.read(wanted)
        if not rows:
            self.guessed[wanted.unlimited()] = None
        return rows

    async def get(self, table: str, ids: Sequence[RowId], at: Timestamp) -> dict[RowId, Row]:
        assert at == self._rows.at
        return await self._rows.get(table, ids)
