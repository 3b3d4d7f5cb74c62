"""BatchRows: what the mutations of one batch read: the rows of one position, and over them what those before wrote.

Used by `hub.live.batch`. The rows of the position come from memory (`hub.live.ahead`) while the feed stands there; what memory does
not know, or knows no longer because the feed has moved on, is read in the database at the position, once for the whole batch. A
batch that runs while the one before it commits lies over that one's writes. Invariant: a read gives what the database would answer
had the writes applied so far been committed at the position.
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
from hub.functions.requests import Part, ReadRange, ReadRows
from hub.live.ahead import Ahead
from hub.live.guesses import is_guessable
from hub.live.runner import Source
from hub.store import Delete, Insert, Replace, Update, Write
from hub.timestamps import Timestamp
from hub.values import Row, RowId, id_of

Place = tuple[str, RowId]

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
    """`under`: the rows of the batch that is committing, at the same position."""

    def __init__(self, memory: Ahead, source: Source, at: Timestamp, under: BatchRows | None = None) -> None:
        self.at = at
        self._memory = memory
        self._source = source
        self._under = under
        self._overlay = Overlay()
        self._rows: dict[Place, Row | None] = {}
        """Rows at the position that were read in the database, or written: how they were before."""
        self._ranges: dict[IndexRange, _Known] = {}

    def on_top(self) -> BatchRows:
        """For the batch that runs while this one commits."""
        return BatchRows(self._memory, self._source, self.at, under=self)

    def moved(self, at: Timestamp, commits: Sequence[Commit], *, with_writes: bool = False) -> BatchRows:
        """At a later position: what was read counts there too, as far as it is known what the commits in between made of it. With
        its writes only if none of these but those of the batch under it concerns them: what they were written over is the same."""
        moved = BatchRows(self._memory, self._source, at)
        if with_writes:
            moved._overlay = self._overlay
        moved._rows = dict(self._rows)
        for change in (change for commit in commits for change in commit.changes):
            moved._change(change)
        moved._ranges = self._untouched_ranges(commits) if self._ranges else {}
        return moved

    def _change(self, change: RowChange | TableReset) -> None:
        if isinstance(change, TableReset):
            self._rows = {place: row for place, row in self._rows.items() if place[0] != change.table}
        elif (place := (change.table, change.id)) in self._rows:
            if change.is_unresolved:
                del self._rows[place]
            else:
                self._rows[place] = change.after

    def _untouched_ranges(self, commits: Sequence[Commit]) -> dict[IndexRange, _Known]:
        readers: InvalidationIndex[IndexRange] = InvalidationIndex()
        for wanted, known in self._ranges.items():
            readers.watch(wanted, ReadSet([wanted], {(wanted.table, id_of(row)) for row in known.rows}))
        touched = {wanted for commit in commits for change in commit.changes for wanted in readers.invalidate(change)}
        return {wanted: known for wanted, known in self._ranges.items() if wanted not in touched}

    @property
    def is_current(self) -> bool:
        """Whether the feed still stands at the position, so that memory answers."""
        return self._memory.position == self.at

    # --- without waiting -----------------------------------------------------------------------------------------------

    def read_now(self, wanted: IndexRange) -> list[Row] | None:
        """None if it has to be read in the database."""
        is_near = self._overlay.is_near(wanted)
        widened = self._overlay.widened(wanted) if is_near else wanted
        base = self._under.read_now(widened) if self._under is not None else self._at_hand(widened)
        return base if base is None or not is_near else self._overlay.merged(wanted, base)

    def get_now(self, table: str, ids: Sequence[RowId]) -> dict[RowId, Row | None] | None:
        """None if one of them has to be read in the database; a row that is not there is None."""
        found: dict[RowId, Row | None] = {}
        for row_id in ids:
            place = (table, row_id)
            if place in self._overlay:
                found[row_id] = self._overlay.row(place)
            elif place in self._rows:
                found[row_id] = self._rows[place]
            else:
                known = self._beneath(table, row_id)
                if known is None:
                    return None
                found |= known
        return found

    def _beneath(self, table: str, row_id: RowId) -> dict[RowId, Row | None] | None:
        if self._under is not None:
            return self._under.get_now(table, (row_id,))
        known = self._memory.get(table, (row_id,)) if self.is_current else {}
        return known or None

    def _at_hand(self, wanted: IndexRange) -> list[Row] | None:
        known = self._ranges.get(wanted.unlimited()) if self._ranges else None
        if known is not None and known.answers(wanted.limit):
            return known.rows[: wanted.limit]
        return self._memory.read(wanted) if self.is_current else None

    def guess(self, wanted: IndexRange) -> list[Row] | None:
        """Without asking the database: what the batch wrote. None where that, or something that was read, says more."""
        if self._ranges and wanted.unlimited() in self._ranges:
            return None
        under = [] if self._under is None else self._under.guess(wanted)
        if under is None or not self._overlay.is_near(wanted):
            return under
        return None if self._overlay.moved_out(wanted) else self._overlay.merged(wanted, under)

    # --- in the database -----------------------------------------------------------------------------------------------

    async def read(self, wanted: IndexRange) -> list[Row]:
        assert self._under is None, "a batch that runs while another commits does not wait"
        widened = self._overlay.widened(wanted)
        rows = self._at_hand(widened)
        return self._overlay.merged(wanted, await self._ask(widened) if rows is None else rows)

    async def get(self, table: str, ids: Sequence[RowId]) -> dict[RowId, Row]:
        found = self.get_now(table, ids)
        if found is None:
            unknown = [row_id for row_id in ids if (table, row_id) not in self._overlay and (table, row_id) not in self._rows]
            stored = await self._source.get(table, unknown, self.at)
            self._rows.update(((table, row_id), stored.get(row_id)) for row_id in unknown)
            found = self.get_now(table, ids)
            assert found is not None, "all of them are known now"
        return {row_id: row for row_id, row in found.items() if row is not None}

    async def look_up(self, keys: Iterable[IndexRange]) -> set[IndexRange]:
        """Those of the keys that are taken in the database; from now on it is known of all of them."""
        asked = list(keys)
        for start in range(0, len(asked), _AT_ONCE):
            await asyncio.gather(*(self._ask(key) for key in asked[start : start + _AT_ONCE]))
        return {key for key in asked if self._ranges[key].rows}

    async def _ask(self, wanted: IndexRange) -> list[Row]:
        whole = wanted.unlimited()
        known = self._ranges.get(whole)
        if known is None or not known.answers(wanted.limit):
            rows = await self._source.read(wanted, self.at)
            is_one_key = wanted.index.unique and len(wanted.prefix) == len(wanted.index.fields)
            is_whole = wanted.limit is None or len(rows) < wanted.limit or (is_one_key and wanted.limit > 0)
            known = self._ranges[whole] = _Known(rows, is_whole)
            self._rows.update(((wanted.table, id_of(row)), row) for row in rows)
        return known.rows[: wanted.limit]

    def keep(self, table: str, rows: Iterable[Row]) -> None:
        """For a run that has waited when it writes one of them: by then memory may know the row as it is at a later position."""
        for row in rows:
            place = (table, id_of(row))
            if place not in self._overlay:
                self._rows.setdefault(place, row)

    # --- writes --------------------------------------------------------------------------------------------------------

    def proves(self, key: IndexRange) -> bool:
        """Whether a row that is written has this unique key, and none that had it is written: then the database refuses all of it
        if the key is taken."""
        return self._overlay.enters(key)

    def apply(self, writes: Iterable[Write]) -> None:
        """From now on reads see them. Whoever wrote a row had read it here, so how it was before is known."""
        for write in writes:
            place = (write.table, write.id)
            match write:
                case Insert() | Replace():
                    after: Row | None = write.row
                case Update():
                    after = write.after
                case Delete():
                    after = None
            self._overlay.put(place, self._before(place, write), after, is_replaced=isinstance(write, Replace))

    def before(self, place: Place) -> Row | None:
        """A row that was written as it was at the position; None if it was not there."""
        return self._rows.get(place)

    def _before(self, place: Place, write: Write) -> Row | None:
        """The row at the position. It is noted: when the batch runs on at a later one, memory may have let go of it."""
        if isinstance(write, Insert) or place in self._overlay:
            return self._rows.get(place)
        if place not in self._rows:
            known = self._beneath(*place)
            assert known is not None, "written without having been read"
            self._rows[place] = known[place[1]]
        return self._rows[place]

    def writes(self) -> tuple[Write, ...]:
        """The net effect of all that was applied: at most one for each row."""
        return self._overlay.writes()


class MemberRows:
    """What one member reads, without waiting. `may_guess` says of an index whether an unknown key of it may be taken for free;
    `guessed` were. `missed` is what the run would have had to wait for."""

    def __init__(self, rows: BatchRows, may_guess: Callable[[IndexKey], bool]) -> None:
        self.rows = rows
        self.guessed: dict[IndexRange, None] = {}
        self.missed: Part | None = None
        self._may_guess = may_guess

    def read(self, wanted: IndexRange) -> list[Row] | None:
        found = self.rows.read_now(wanted)
        if found is None and is_guessable(wanted) and self._may_guess(wanted.index):
            found = self.rows.guess(wanted)
            if found is not None and not found:
                self.guessed[wanted.unlimited()] = None
        if found is None:
            self.missed = ReadRange(wanted)
        return found

    def get(self, table: str, ids: Sequence[RowId]) -> dict[RowId, Row] | None:
        found = self.rows.get_now(table, ids)
        if found is None:
            self.missed = ReadRows(table, tuple(ids))
            return None
        return {row_id: row for row_id, row in found.items() if row is not None}


class MemberSource:
    """The same for a run that waits for what is not at hand. What it read in memory is kept for what it writes in the end."""

    def __init__(self, member: MemberRows) -> None:
        self._member = member

    async def read(self, wanted: IndexRange, at: Timestamp) -> list[Row]:
        assert at == self._member.rows.at
        found = self._member.read(wanted)
        if found is None:
            return await self._member.rows.read(wanted)
        self._member.rows.keep(wanted.table, found)
        return found

    async def get(self, table: str, ids: Sequence[RowId], at: Timestamp) -> dict[RowId, Row]:
        assert at == self._member.rows.at
        found = await self._member.rows.get(table, ids)
        self._member.rows.keep(table, found.values())
        return found
