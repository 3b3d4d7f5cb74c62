"""The store's contract: lists that get another tail, and the deltas by which others hear of updates."""

from __future__ import annotations

import time

import pytest

from hub.core.commits import RowChange
from hub.core.deltas import ListTail, applied
from hub.functions.overlay import Overlay
from hub.store import Store, Update, Write
from hub.timestamps import Timestamp
from hub.values import Row, Value
from tests.builders import a_batch, a_row, insert
from tests.contract.conftest import Follow
from tests.contract.databases import Database, Feed

PARTS: list[Value] = ["$one", "two.2", "three", "vier", "fünf", "sechs"]
BEFORE = a_row("m1", chatId="a", createdAt=1, content="", parts=PARTS, note="kept")


def written(before: Row, after: Row) -> tuple[Write, ...]:
    """What a mutation writes that makes the one row the other."""
    overlay = Overlay()
    overlay.put(("messages", "m1"), before, after)
    return overlay.writes()


async def commit(store: Store, feed: Feed, *writes: Write) -> Timestamp:
    ts = await store.transact(a_batch(f"batch-{time.monotonic_ns()}", *writes), feed.position, time.monotonic() + 10)
    return await feed.until(ts)


def changed(**fields: Value) -> Row:
    return {name: value for name, value in {**BEFORE, **fields}.items() if value is not None}


CASES = [
    pytest.param(changed(parts=[*PARTS, "$seven"]), 6, False, id="it grew"),
    pytest.param(changed(parts=[*PARTS, "7", "8"], createdAt=2, note=None), 6, False, id="it grew, and other fields changed"),
    pytest.param(changed(parts=["$one", "two.2", "three", "$rest"]), 3, True, id="another tail"),
    pytest.param(changed(parts=["$one", "two.2", "three"], note=None), 3, True, id="no tail"),
    pytest.param(changed(parts=[*PARTS[:5], {"a": ["$b"], "c.d": 1}], createdAt="$x", note={"e": 1}), 5, True, id="any values"),
]


@pytest.mark.parametrize(("after", "keep", "cuts"), CASES)
async def test_a_list_with_another_tail_is_written_as_that_tail_and_everybody_sees_the_row(
    after: Row, keep: int, cuts: bool, database: Database, store: Store, follow: Follow
) -> None:
    other = await database.hub("hub-b")
    feed, theirs = await follow(store), await follow(other)
    await theirs.until(await commit(store, feed, insert(BEFORE)))
    at = feed.position
    (write,) = written(BEFORE, after)
    assert isinstance(write, Update)
    assert write.lists["parts"] == ListTail(keep, tuple(after["parts"][keep:]), cuts)  # type: ignore[index, arg-type]  # a list
    assert "parts" not in write.set

    await theirs.until(await commit(store, feed, write))

    assert await store.get("messages", ["m1"], feed.position) == {"m1": after}
    assert [one.changes for one in feed.after(at)] == [(RowChange("messages", "m1", "update", after),)]
    ((change,),) = [one.changes for one in theirs.after(at)]
    assert isinstance(change, RowChange)
    assert change.is_unresolved
    assert applied(BEFORE, change.deltas) == after


async def test_of_a_writer_that_is_no_hub_the_fields_it_set_are_certain_and_parts_of_lists_are_not(
    database: Database, feed: Feed
) -> None:
    at = await feed.until(await database.outside(insert(BEFORE)))
    await database.outside(Update("messages", "m1", {"createdAt": 5, "note": {"a.b": 1}}, ("content",), {}))
    await feed.until(await database.outside(Update("messages", "m1", {}, (), {}, {"parts": ListTail(6, ("7",))})))

    fields, parts = [change for one in feed.after(at) for change in one.changes]
    assert isinstance(fields, RowChange)
    assert isinstance(parts, RowChange)
    assert applied(BEFORE, fields.deltas) == changed(createdAt=5, note={"a.b": 1}, content=None)
    assert (parts.is_unresolved, parts.deltas) == (True, ())
