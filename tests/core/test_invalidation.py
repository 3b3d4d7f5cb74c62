from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hub.core.commits import RowChange, TableReset
from hub.core.invalidation import InvalidationIndex, touches
from hub.core.ranges import IndexKey, IndexRange, tuple_key
from hub.core.readset import ReadSet
from hub.values import Row, RowId
from tests.builders import (
    BY_EMAIL,
    a_commit,
    a_row,
    at_least,
    at_most,
    deleted,
    few_ranges,
    few_rows,
    ids,
    in_chat,
    inserted,
    reads,
    updated,
    updated_by_others,
)

Table = dict[RowId, Row]

tables = st.lists(few_rows(), max_size=6).map(lambda rows: {row["_id"]: row for row in rows})
limited_ranges = st.tuples(few_ranges(), st.none() | st.integers(1, 3))


def evaluate(wanted: IndexRange, limit: int | None, table: Table) -> list[Row]:
    """A range read by its definition."""
    inside = sorted((row for row in table.values() if wanted.contains(row)), key=lambda row: tuple_key(wanted.index.position(row)))
    return (inside[::-1] if wanted.descending else inside)[:limit]


def read_set(wanted: IndexRange, limit: int | None, table: Table) -> ReadSet:
    """What a run that reads this range notes."""
    rows = evaluate(wanted, limit, table)
    part = wanted.ending_at(rows[-1]) if limit is not None and len(rows) == limit else wanted
    return reads(part, rows={("t", row["_id"]) for row in rows})  # type: ignore[misc]  # the rows built here have string ids


def after(table: Table, change: RowChange) -> Table:
    rest = {row_id: row for row_id, row in table.items() if row_id != change.id}
    return rest if change.after is None else {**rest, change.id: change.after}


changes = st.one_of(
    st.builds(lambda row: inserted(row, "t"), few_rows()),
    st.builds(lambda row: updated(row, "t"), few_rows()),
    st.builds(lambda row_id: deleted(row_id, "t"), ids),
)


@given(tables, st.lists(limited_ranges, min_size=1, max_size=6), changes)
def test_every_reader_whose_rows_would_differ_is_named(
    table: Table, wanted: list[tuple[IndexRange, int | None]], change: RowChange
) -> None:
    index: InvalidationIndex[int] = InvalidationIndex()
    sets = [read_set(one, limit, table) for one, limit in wanted]
    for reader, one_set in enumerate(sets):
        index.watch(reader, one_set)
    changed = after(table, change)
    stale = {reader for reader, (one, limit) in enumerate(wanted) if evaluate(one, limit, table) != evaluate(one, limit, changed)}
    concerned = index.invalidate(change)
    assert stale <= concerned
    assert {reader for reader, one_set in enumerate(sets) if touches(one_set, a_commit(1, change))} == concerned


@given(tables, st.lists(limited_ranges, min_size=1, max_size=6), changes)
def test_nobody_is_named_who_neither_holds_the_row_nor_reads_where_it_stands(
    table: Table, wanted: list[tuple[IndexRange, int | None]], change: RowChange
) -> None:
    index: InvalidationIndex[int] = InvalidationIndex()
    sets = [read_set(one, limit, table) for one, limit in wanted]
    for reader, one_set in enumerate(sets):
        index.watch(reader, one_set)
    for reader in index.invalidate(change):
        holds = ("t", change.id) in sets[reader].rows
        assert holds or (change.after is not None and any(one.contains(change.after) for one in sets[reader].ranges))


@given(st.lists(st.tuples(st.integers(0, 3), st.lists(few_ranges(), max_size=3), st.sets(ids, max_size=2)), max_size=12), changes)
def test_only_the_last_read_set_of_a_reader_counts(steps: list[tuple[int, list[IndexRange], set[str]]], change: RowChange) -> None:
    index: InvalidationIndex[int] = InvalidationIndex()
    current: dict[int, ReadSet] = {}
    for reader, ranges, rows in steps:
        if not ranges and not rows:
            index.forget(reader)
            current.pop(reader, None)
        else:
            current[reader] = reads(*ranges, rows={("t", row_id) for row_id in rows})
            index.watch(reader, current[reader])
    assert index.invalidate(change) == {reader for reader, one in current.items() if touches(one, a_commit(1, change))}
    assert len(index) == len(current)
    for reader in current:
        index.forget(reader)
    assert not index.watches_table("t")


@given(few_ranges(), few_rows(), few_rows())
def test_an_unresolved_change_names_at_least_whom_the_resolved_one_names(wanted: IndexRange, held: Row, row: Row) -> None:
    one_set = reads(wanted, rows={("t", held["_id"])})  # type: ignore[arg-type]  # the rows built here have string ids
    index: InvalidationIndex[int] = InvalidationIndex()
    index.watch(1, one_set)
    resolved = updated(row, "t")
    unresolved = updated_by_others(resolved.id, "t")
    assert index.invalidate(resolved) <= index.invalidate(unresolved)
    assert touches(one_set, a_commit(1, unresolved)) or not touches(one_set, a_commit(1, resolved))


def test_an_unresolved_change_concerns_whoever_read_a_range_of_its_table() -> None:
    commit = a_commit(1, updated_by_others("m1"))
    assert touches(reads(in_chat()), commit)
    assert touches(reads(rows={("messages", "m1")}), commit)
    assert not touches(reads(rows={("messages", "m2")}), commit)
    assert not touches(reads(IndexRange(BY_EMAIL)), commit)


@pytest.mark.parametrize(
    ("before", "now", "stale"),
    [
        pytest.param(None, "a", {"a"}, id="an insert enters"),
        pytest.param("a", None, {"a"}, id="a delete leaves"),
        pytest.param("a", "b", {"a", "b"}, id="a move leaves and enters"),
        pytest.param("a", "a", {"a"}, id="an update in place"),
        pytest.param("c", "c", set(), id="nobody watches"),
    ],
)
def test_a_change_names_each_chat_the_row_leaves_or_enters(before: str | None, now: str | None, stale: set[str]) -> None:
    index: InvalidationIndex[str] = InvalidationIndex()
    for chat in ("a", "b"):
        index.watch(chat, reads(in_chat(chat), rows={("messages", "m1")} if before == chat else set()))
    change = deleted("m1") if now is None else updated(a_row("m1", chatId=now, createdAt=1))
    assert index.invalidate(change) == stale


def test_a_row_beyond_a_ranges_last_row_names_nobody() -> None:
    index: InvalidationIndex[str] = InvalidationIndex()
    newest = a_row("m5", chatId="a", createdAt=5)
    index.watch("newest", reads(in_chat(descending=True).ending_at(newest), rows={("messages", "m5")}))
    assert index.invalidate(inserted(a_row("m4", chatId="a", createdAt=4))) == set()
    assert index.invalidate(inserted(a_row("m6", chatId="a", createdAt=6))) == {"newest"}


def test_an_empty_range_is_watched_too() -> None:
    index: InvalidationIndex[str] = InvalidationIndex()
    index.watch("nobody yet", reads(IndexRange(IndexKey("users", ("externalId",), unique=True), ("u1",))))
    assert index.invalidate(inserted({"_id": "x", "externalId": "u1"}, "users")) == {"nobody yet"}
    assert index.invalidate(inserted({"_id": "y", "externalId": "u2"}, "users")) == set()


def test_a_row_that_was_looked_for_in_vain_is_watched() -> None:
    index: InvalidationIndex[str] = InvalidationIndex()
    index.watch("looked", reads(rows={("messages", "m1")}))
    assert index.invalidate(inserted(a_row("m1"))) == {"looked"}
    assert index.invalidate(inserted(a_row("m1"), "users")) == set()


def test_a_row_that_a_partial_index_leaves_out_enters_none_of_its_ranges() -> None:
    index: InvalidationIndex[str] = InvalidationIndex()
    index.watch("all with a mail", reads(IndexRange(BY_EMAIL)))
    assert index.invalidate(inserted(a_row("u1", email="a@b.c"), "users")) == {"all with a mail"}
    assert index.invalidate(inserted(a_row("u2"), "users")) == set()


def test_one_run_may_read_the_same_keys_in_several_ways() -> None:
    index: InvalidationIndex[str] = InvalidationIndex()
    ranges = [in_chat(), in_chat(descending=True), in_chat(limit=3), in_chat(lower=at_least(1), upper=at_most(2))]
    index.watch("reader", reads(*ranges, *ranges))
    assert index.invalidate(inserted(a_row("m1", chatId="a", createdAt=1))) == {"reader"}
    index.forget("reader")
    assert not index.watches_table("messages")


def test_a_range_that_can_hold_nothing_is_never_concerned_by_a_row() -> None:
    index: InvalidationIndex[str] = InvalidationIndex()
    index.watch("reader", reads(in_chat(lower=at_least(2), upper=at_most(1))))
    assert index.invalidate(inserted(a_row("m1", chatId="a", createdAt=1))) == set()
    index.watch("reader", reads())


def test_a_reset_table_concerns_everybody_who_read_from_it() -> None:
    index: InvalidationIndex[str] = InvalidationIndex()
    index.watch("a range", reads(in_chat()))
    index.watch("a row", reads(rows={("messages", "m1")}))
    index.watch("another table", reads(IndexRange(BY_EMAIL), rows={("users", "u1")}))
    assert index.invalidate(TableReset("messages")) == {"a range", "a row"}
    assert index.invalidate(TableReset("nothing")) == set()


def test_images_are_needed_only_where_a_range_was_read() -> None:
    index: InvalidationIndex[str] = InvalidationIndex()
    index.watch("a row", reads(rows={("messages", "m1")}))
    index.watch("a range", reads(IndexRange(BY_EMAIL)))
    assert index.watches_table("messages")
    assert not index.needs_image("messages")
    assert index.needs_image("users")
    assert not index.needs_image("nothing")
    assert index.invalidate(updated_by_others("m1")) == {"a row"}


@given(st.lists(few_ranges(), min_size=1, max_size=4), few_rows())
def test_forgetting_is_complete(ranges: list[IndexRange], row: Row) -> None:
    index: InvalidationIndex[Any] = InvalidationIndex()
    index.watch("gone", reads(*ranges))
    index.watch("stays", reads(*ranges))
    index.forget("gone")
    index.forget("never there")
    concerned = index.invalidate(updated(row, "t"))
    assume(concerned)
    assert concerned == {"stays"}
