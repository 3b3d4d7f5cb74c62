"""Images: what rows that others updated are after each commit, as far as that is certain without asking the database.

Pure; used by `hub.live.rounds` before it applies what it received, and by `hub.live.ahead` as it comes. The feed tells of another
writer's update what it changed. Over the row that memory holds, and the commits since, that gives the row after it. What is left
unresolved is read in the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from hub.core.commits import Commit, RowChange, TableReset
from hub.core.deltas import applied
from hub.values import Row, RowId

Held = Callable[[str, RowId], Row | None]
"""The row as memory holds it, before the commits or the change in question; None if it does not."""


def with_deltas_applied(commits: Iterable[Commit], held: Held) -> list[Commit]:
    """The same commits; a change that stays unresolved is one whose row was not held, or whose delta is not certain."""
    known = _Known(held)
    return [replace(commit, changes=tuple(known.after(change) for change in commit.changes)) for commit in commits]


def brought_forward(change: RowChange | TableReset, held: Held) -> RowChange | TableReset:
    """With the row after it, if its delta is certain and the row before it is known."""
    if not isinstance(change, RowChange) or not change.is_unresolved or not change.deltas:
        return change
    before = held(change.table, change.id)
    return change if before is None else replace(change, after=applied(before, change.deltas))


def with_image(change: RowChange | TableReset, images: Mapping[str, Mapping[RowId, Row]]) -> RowChange | TableReset:
    """An unresolved change with its row's image; a row that is gone by now was deleted by a commit that is here too."""
    if not isinstance(change, RowChange) or not change.is_unresolved or change.table not in images:
        return change
    image = images[change.table].get(change.id)
    return replace(change, kind="delete") if image is None else replace(change, after=image)


def doubted(change: RowChange | TableReset, indexed: Mapping[str, frozenset[str]]) -> RowChange | TableReset:
    """A row of others with an array where an index looks has a place in it for each element, not the one we would compute: it
    counts as unresolved, which concerns everybody who read a range of the table."""
    if not isinstance(change, RowChange) or change.after is None:
        return change
    for name in indexed.get(change.table, ()):
        if isinstance(change.after.get(name), list):
            return replace(change, kind="update", after=None)
    return change


class _Known:
    """The rows after the commits so far, of those that changed. None: nobody can say, or it is gone."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self._rows: dict[tuple[str, RowId], Row | None] = {}
        self._resets: set[str] = set()

    def after(self, change: RowChange | TableReset) -> RowChange | TableReset:
        change = brought_forward(change, self._row)
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
