"""Rows that others updated, brought forward commit by commit."""

from __future__ import annotations

from hub.core.commits import Commit, RowChange, TableReset
from hub.core.deltas import Delta, ListEdit
from hub.live.images import with_deltas_applied
from hub.values import Row, RowId
from tests.builders import a_commit, a_row, deleted, inserted, updated, updated_by_others

HELD = a_row("m1", n=1, parts=["a"])


def by_another_hub(row_id: str = "m1", **fields: int) -> RowChange:
    return RowChange("messages", row_id, "update", None, (Delta(fields),))


def pushed(place: int, part: str) -> RowChange:
    return RowChange("messages", "m1", "update", None, (Delta(lists={"parts": ListEdit(items={place: part})}),))


def held(table: str, row_id: RowId) -> Row | None:
    return HELD if (table, row_id) == ("messages", "m1") else None


def after(*commits: Commit) -> list[Row | None]:
    """The images of all changes of rows; None where it is not known."""
    applied = with_deltas_applied(commits, held)
    assert [commit.ts for commit in applied] == [commit.ts for commit in commits]
    return [change.after for commit in applied for change in commit.changes if isinstance(change, RowChange)]


def test_each_commit_has_the_image_of_its_moment() -> None:
    images = after(a_commit(1, pushed(1, "b")), a_commit(2, by_another_hub(n=2)), a_commit(3, pushed(2, "c")))
    assert images == [
        {**HELD, "parts": ["a", "b"]},
        {**HELD, "parts": ["a", "b"], "n": 2},
        {**HELD, "parts": ["a", "b", "c"], "n": 2},
    ]
    assert a_row("m1", n=1, parts=["a"]) == HELD


def test_images_that_came_whole_are_gone_on_from() -> None:
    other = a_row("m2", n=1)
    assert after(a_commit(1, inserted(other)), a_commit(2, by_another_hub("m2", n=2))) == [other, {**other, "n": 2}]
    mine = {**HELD, "n": 7}
    assert after(a_commit(1, updated(mine), batch="mine"), a_commit(2, pushed(1, "b"))) == [mine, {**mine, "parts": ["a", "b"]}]


def test_what_is_not_held_or_not_certain_stays_unresolved_until_it_is_known_again() -> None:
    assert after(a_commit(1, by_another_hub("m9", n=2))) == [None]
    assert after(a_commit(1, updated_by_others("m1")), a_commit(2, by_another_hub(n=2))) == [None, None]
    assert after(a_commit(1, pushed(5, "gap")), a_commit(2, by_another_hub(n=2))) == [None, None]
    again = a_row("m1", n=3)
    assert after(a_commit(1, deleted("m1")), a_commit(2, inserted(again)), a_commit(3, by_another_hub(n=4))) == [
        None,
        again,
        {**again, "n": 4},
    ]


def test_what_was_held_of_a_collection_that_was_dropped_counts_no_more() -> None:
    again = a_row("m1", n=3)
    reset = a_commit(1, TableReset("messages"))
    assert after(reset, a_commit(2, by_another_hub(n=2))) == [None]
    assert after(reset, a_commit(2, inserted(again)), a_commit(3, by_another_hub(n=4))) == [again, {**again, "n": 4}]
    other = a_row("m2")
    dropped_since = after(a_commit(1, inserted(other)), a_commit(2, TableReset("messages")), a_commit(3, by_another_hub("m2", n=1)))
    assert dropped_since == [other, None]
