"""Replies of a change stream become whole commits, wherever they are cut."""

from __future__ import annotations

import datetime as dt
from typing import Any

import bson
import pytest
from bson import Code, Decimal128
from bson.raw_bson import RawBSONDocument
from bson.timestamp import Timestamp as BsonTimestamp
from hypothesis import given
from hypothesis import strategies as st

from hub.core.commits import BatchId, Commit, RowChange, TableReset
from hub.core.deltas import applied
from hub.mongo.events import MAYBE_CUT_BYTES, Assembler, decode, start_position, token_time
from hub.timestamps import Timestamp, pack
from hub.values import Row


def at(increment: int) -> Timestamp:
    return pack(100, increment)


def a_token(increment: int, index: int | None = None) -> dict[str, Any]:
    """As the server makes them: a time and, for an event, its place in the transaction."""
    kind = "29296E04" if index is None else f"2C0100296E5A{index:08X}"
    return {"_data": f"82{100:08X}{increment:08X}2B02{kind}"}


def an_event(increment: int, index: int = 0, kind: str = "insert", table: str = "messages", **parts: Any) -> dict[str, Any]:
    row_id = parts.pop("row_id", f"m{index}")
    event = {
        "_id": a_token(increment, index),
        "operationType": kind,
        "clusterTime": BsonTimestamp(100, increment),
        "ns": {"db": "app", "coll": table},
        **parts,
    }
    if kind in ("insert", "update", "replace", "delete"):
        event["documentKey"] = {"_id": row_id}
    if kind in ("insert", "replace"):
        event.setdefault("fullDocument", {"_id": row_id})
    return event


def moved_clock(increment: int, n: int, by: str) -> dict[str, Any]:
    fields = {"updatedFields": {"n": n, "by": by}}
    return an_event(increment, 0, "update", "hub_clock", row_id="serializable", updateDescription=fields)


TABLES = {"messages", "letters"}


def an_assembler(**own: dict[tuple[str, Any], Any]) -> Assembler:
    return Assembler(a_token(0), at(0), own.get, TABLES.__contains__)


def test_a_stream_starts_before_the_time_of_its_first_token() -> None:
    """The next commit may get exactly that time."""
    assert start_position(a_token(7)) == at(6)
    assembler = Assembler(a_token(7), at(6), lambda _: None, TABLES.__contains__)
    assert assembler.add([], a_token(7), 200).position == at(6)
    assert assembler.add([an_event(7)], a_token(7, 0), 800).position == at(7)


def test_all_events_of_one_time_are_one_commit() -> None:
    progress = an_assembler().add([an_event(1, 0), an_event(1, 1), an_event(2, 0)], a_token(2, 0), 2000)
    assert [(commit.ts, len(commit.changes)) for commit in progress.commits] == [(at(1), 2), (at(2), 1)]
    assert (progress.position, progress.resume, progress.is_cut) == (at(2), a_token(2, 0), False)


def test_a_full_reply_holds_its_last_commit_back_until_it_is_known_to_be_whole() -> None:
    assembler = an_assembler()
    cut = assembler.add([an_event(1, 0), an_event(2, 0)], a_token(2, 0), MAYBE_CUT_BYTES)
    assert [commit.ts for commit in cut.commits] == [at(1)]
    assert (cut.position, cut.resume, cut.is_cut) == (at(1), a_token(1, 0), True)
    rest = assembler.add([an_event(2, 1), an_event(3, 0)], a_token(3, 0), 2000)
    assert [(commit.ts, len(commit.changes)) for commit in rest.commits] == [(at(2), 2), (at(3), 1)]


def test_an_empty_reply_proves_that_what_was_held_back_is_whole() -> None:
    assembler = an_assembler()
    cut = assembler.add([an_event(2, 0), an_event(2, 1)], a_token(2, 1), MAYBE_CUT_BYTES)
    assert (cut.commits, cut.position, cut.resume) == ((), at(0), a_token(0))
    whole = assembler.add([], a_token(2, 1), 200)
    assert [len(commit.changes) for commit in whole.commits] == [2]
    assert (whole.position, whole.is_cut) == (at(2), False)


def test_a_full_reply_that_ends_at_a_point_in_time_is_whole() -> None:
    progress = an_assembler().add([an_event(1, 0)], a_token(4), MAYBE_CUT_BYTES)
    assert (len(progress.commits), progress.position, progress.is_cut) == (1, at(4), False)


@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=8),
    cuts=st.lists(st.booleans(), min_size=40, max_size=40),
)
def test_wherever_replies_are_cut_the_commits_are_the_same_and_never_ahead_of_the_position(
    sizes: list[int], cuts: list[bool]
) -> None:
    events = [an_event(n, index) for n, size in enumerate(sizes, start=1) for index in range(size)]
    assembler, reply, commits = an_assembler(), list[dict[str, Any]](), list[Commit]()
    for event, is_cut in zip(events, cuts, strict=False):
        reply.append(event)
        if is_cut:
            progress = assembler.add(reply, event["_id"], MAYBE_CUT_BYTES)
            commits += progress.commits
            assert all(commit.ts <= progress.position for commit in commits)
            assert progress.position == (commits[-1].ts if commits else at(0))
            assert token_time(progress.resume) == progress.position
            reply = []
    commits += assembler.add(reply, a_token(99), 200).commits
    assert [(commit.ts, len(commit.changes)) for commit in commits] == [(at(n), size) for n, size in enumerate(sizes, start=1)]


def test_a_commit_of_this_process_is_known_by_the_clock_row_and_has_its_own_images() -> None:
    own = {("messages", "m1"): {"_id": "m1", "text": "new"}}
    delta = {"updatedFields": {"text": "new"}}
    events = [moved_clock(1, 7, "mine"), an_event(1, 1, "update", updateDescription=delta), an_event(1, 2, "delete")]
    assembler = an_assembler(mine=own)
    (commit,) = assembler.add(events, a_token(1, 2), 900).commits
    assert commit == Commit(
        at(1),
        (RowChange("messages", "m1", "update", {"_id": "m1", "text": "new"}), RowChange("messages", "m2", "delete")),
        BatchId("mine"),
    )
    assert assembler.clocks == {"serializable": 7}


def test_another_hubs_commit_has_no_name_and_no_images_of_updates() -> None:
    events = [moved_clock(1, 7, "theirs"), an_event(1, 1, "update", updateDescription={})]
    (commit,) = an_assembler(mine={}).add(events, a_token(1, 1), 900).commits
    assert (commit.batch, commit.changes) == (None, (RowChange("messages", "m1", "update"),))


HELD: Row = {"_id": "m1", "n": 1, "gone": True, "parts": ["a", "b"]}


@pytest.mark.parametrize(
    ("description", "after"),
    [
        pytest.param(
            {"updatedFields": {"n": 2}, "removedFields": ["gone"]}, {"_id": "m1", "n": 2, "parts": ["a", "b"]}, id="fields"
        ),
        pytest.param({"updatedFields": {"parts.2": "c", "n": 2}}, {**HELD, "n": 2, "parts": ["a", "b", "c"]}, id="a longer list"),
        pytest.param(
            {"updatedFields": {"parts.1": "c"}, "truncatedArrays": [{"field": "parts", "newSize": 2}]},
            {**HELD, "parts": ["a", "c"]},
            id="another tail",
        ),
        pytest.param({"updatedFields": {"parts.12": "c"}}, None, id="a gap"),
        pytest.param({"updatedFields": {"n.0": "c"}}, None, id="no list"),
        pytest.param({"updatedFields": {"n.x": "c"}}, None, id="a field of an object"),
        pytest.param({"updatedFields": {"n.x.0": "c"}}, None, id="something deeper"),
        pytest.param({"updatedFields": {}, "removedFields": ["n.x"]}, None, id="a field of an object is gone"),
        pytest.param({"updatedFields": {}, "truncatedArrays": [{"field": "n.x", "newSize": 0}]}, None, id="a list of an object"),
    ],
)
def test_what_another_hub_updated_is_known_where_its_delta_is_certain(description: dict[str, Any], after: Row | None) -> None:
    events = [moved_clock(1, 7, "theirs"), an_event(1, 1, "update", updateDescription=description)]
    assert brought_forward(events) == after


def test_of_other_writers_only_whole_fields_are_certain() -> None:
    assert brought_forward([an_event(1, 1, "update", updateDescription={"updatedFields": {"n": 2}})]) == {**HELD, "n": 2}
    assert brought_forward([an_event(1, 1, "update", updateDescription={"updatedFields": {"parts.2": "c"}})]) is None


def test_what_one_commit_did_to_a_row_in_several_steps_is_known_together() -> None:
    one, other = {"updatedFields": {"n": 2, "m": 1}}, {"updatedFields": {"n": 3}, "removedFields": ["gone"]}
    unsure = {"updatedFields": {"n.x": 1}}
    steps = [an_event(1, 1, "update", row_id="m1", updateDescription=step) for step in (one, other)]
    assert brought_forward(steps) == {"_id": "m1", "n": 3, "m": 1, "parts": ["a", "b"]}
    assert brought_forward([*steps, an_event(1, 1, "update", updateDescription=unsure)]) is None
    assert brought_forward([an_event(1, 1, "update", updateDescription=unsure), *steps]) is None

    ((inserted,),) = changes_of([an_event(1, 0, row_id="m1", fullDocument=HELD), *steps])
    assert (inserted.kind, inserted.after) == ("update", {"_id": "m1", "n": 3, "m": 1, "parts": ["a", "b"]})


def changes_of(events: list[dict[str, Any]]) -> list[list[RowChange]]:
    commits = an_assembler().add(events, a_token(1, 9), 900).commits
    return [[change for change in commit.changes if isinstance(change, RowChange)] for commit in commits]


def brought_forward(events: list[dict[str, Any]]) -> Row | None:
    """The held row after the one change that the events are; None if that is not certain."""
    ((change,),) = changes_of(events)
    assert change.is_unresolved
    return applied(HELD, change.deltas) if change.deltas else None


def test_a_record_alone_is_a_commit_and_a_mark_is_not() -> None:
    record = [moved_clock(1, 7, "mine"), an_event(1, 1, "insert", "hub_requests")]
    mark = [an_event(2, 0, "update", "hub_marks")]
    progress = an_assembler(mine={}).add(record + mark, a_token(2, 0), 900)
    assert progress.commits == (Commit(at(1), (), BatchId("mine")),)
    assert progress.position == at(2)


def test_several_changes_of_a_row_in_one_commit_are_the_last_one() -> None:
    events = [
        an_event(1, 0, row_id="a"),
        an_event(1, 1, "update", row_id="a", updateDescription={}),
        an_event(1, 2, row_id="b"),
        an_event(1, 3, "delete", row_id="b"),
        an_event(1, 4, "delete", row_id="c"),
        an_event(1, 5, "insert", row_id="c", fullDocument={"_id": "c", "again": True}),
    ]
    (commit,) = an_assembler().add(events, a_token(1, 5), 900).commits
    assert commit.changes == (
        RowChange("messages", "a", "update"),
        RowChange("messages", "b", "delete"),
        RowChange("messages", "c", "insert", {"_id": "c", "again": True}),
    )


def test_a_change_to_what_is_no_table_only_moves_the_position() -> None:
    events = [an_event(1, table="others"), an_event(2, kind="drop", table="others"), an_event(3, row_id={"day": 1}, table="others")]
    progress = an_assembler().add(events, a_token(3, 0), 900)
    assert (progress.commits, progress.position) == ((), at(3))


@pytest.mark.parametrize("kind", ["insert", "update", "replace", "delete"])
@pytest.mark.parametrize(
    "row_id", [{"day": 1}, 7, 7.5, None, True, dt.datetime(2026, 1, 1, tzinfo=dt.UTC), Code("x"), b"x", Decimal128("1")], ids=repr
)
def test_a_row_whose_id_no_table_can_have_resets_its_table(row_id: Any, kind: str) -> None:
    (commit,) = an_assembler().add([an_event(1, 0, kind, row_id=row_id), an_event(1, 1)], a_token(1, 1), 900).commits
    assert commit.changes == (TableReset("messages"), RowChange("messages", "m1", "insert", {"_id": "m1"}))


def test_an_event_that_cannot_be_decoded_resets_its_table() -> None:
    event = an_event(1, 0, row_id="bad", fullDocument={"_id": "bad", "text": "ZZ"})
    raw = bson.encode(event)
    assert decode(RawBSONDocument(raw)) == event
    damaged = decode(RawBSONDocument(raw.replace(b"ZZ\0", b"\xff\xfe\0")))
    (commit,) = an_assembler().add([damaged, an_event(1, 1)], a_token(1, 1), 900).commits
    assert commit == Commit(at(1), (TableReset("messages"), RowChange("messages", "m1", "insert", {"_id": "m1"})))


def test_a_collection_that_is_dropped_or_renamed_resets_its_tables() -> None:
    events = [
        an_event(1, kind="drop"),
        an_event(2, kind="rename", to={"db": "app", "coll": "letters"}),
        an_event(3, kind="dropIndexes"),
        an_event(4, kind="create"),
        an_event(5, kind="drop", table="hub_marks"),
    ]
    progress = an_assembler().add(events, a_token(5, 0), 900)
    assert [commit.changes for commit in progress.commits] == [
        (TableReset("messages"),),
        (TableReset("messages"), TableReset("letters")),
        (TableReset("messages"),),
    ]
