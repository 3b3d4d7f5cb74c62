"""Images: what rows that others updated are after each commit, as far as that is certain without asking the database.

Pure; used by `hub.live.rounds` before it applies what it received. The feed tells of another writer's update what it changed. Over
the row that memory holds at the head, and the commits since, that gives the row after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from hub.core.commits import Commit, RowChange, TableReset
from hub.core.deltas import applied
from hub.values import Row, RowId

Held = Callable[[str, RowId], Row | None]
"""The row as memory holds it before the first of the commits; None if it does not."""


def with_deltas_applied(commits: Iterable[Commit], held: Held) -> list[Commit]:
    """The same commits; a change that stays unresolved is one whose row was not held, or whose delta is not certain."""
    known = _Known(held)
    return [replace(commit, changes=tuple(known.after(change) for change in commit.changes)) for commit in commits]


class _Known:
    """The rows after the commits so far, of those that changed. None: nobody can say, or it is gone."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self._rows: dict[tuple[str, RowId], Row | None] = {}
        self._resets: set[str] = set()

    def after(self, change: RowChange | TableReset) -> RowChange | TableReset:
        if isinstance(change, RowChange) and change.is_unresolved and change.deltas:
            before = self._row(change.table, change.id)
            change = change if before is None else replace(change, after=applied(before, change.deltas))
        self._enter(change)
        return change

    def _row(self, table: str, row_id: RowId) -> Row | None:
        if (table, row_id) in self._rows:
            return self._rows[table, row_id]
        return None if table in self._resets else self._held(table, row_id)

    def _enter(self, change: RowChange | TableReset) -> None:
        if isinstance(change, RowChange):
            self._rows[change.table, change.id] = change.after
            return
        self._resets.add(change.table)
        self._rows = {place: row for place, row in self._rows.items() if place[0] != change.table}
