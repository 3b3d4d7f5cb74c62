"""Ahead: what the feed has brought and no round has applied, seen as a fresh read would see it, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from hub.clock import SystemClock
from hub.core.commits import Commit, RowChange, TableReset
from hub.core.deltas import Delta, ListEdit
from hub.core.rangecache import RangeCache
from hub.live.ahead import Ahead
from hub.live.position import FeedPosition
from hub.store import FeedBatch
from hub.timestamps import Timestamp
from hub.values import Row
from tests.builders import a_commit, a_row, deleted, in_chat, inserted, updated, updated_by_others

ONE = a_row("m1", chatId="a", createdAt=1, parts=["a"])
PUSHED = Delta(lists={"parts": ListEdit(items={1: "b"})})
MOVED = Delta({"chatId": "b"})


def by_another_hub(*deltas: Delta, row_id: str = "m1") -> RowChange:
    return RowChange("messages", row_id, "update", None, deltas)


class World:
    """The cache stands at 10 and holds chat a; the feed goes on from there."""

    def __init__(self) -> None:
        self.cache = RangeCache(max_bytes=10**6, grace_s=60.0)
        self.cache.advance(Timestamp(10))
        assert self.cache.hydrate(in_chat("a"), [ONE], [], 0.0, set())
        self.position = FeedPosition(SystemClock())
        self.position.advance(FeedBatch(Timestamp(10), resync=True))
        self.ahead = Ahead(self.cache, self.position, lambda: {"messages": frozenset({"chatId", "createdAt"})})
        self._ts = 10

    def feed(self, *changes: RowChange | TableReset, batch: str | None = None) -> Commit:
        self._ts += 1
        commit = a_commit(self._ts, *changes, batch=batch)
        self.position.advance(FeedBatch(Timestamp(self._ts), (commit,)))
        return commit

    def rows(self) -> list[Row] | None:
        return self.ahead.read(in_chat("a"))


@pytest.fixture
def world() -> World:
    return World()


def test_what_another_hub_updated_is_known_without_a_read(world: World) -> None:
    world.feed(by_another_hub(PUSHED))
    assert world.rows() == [{**ONE, "parts": ["a", "b"]}]
    world.feed(by_another_hub(Delta(lists={"parts": ListEdit(items={2: "c"})}), Delta({"createdAt": 2})))
    assert world.rows() == [{**ONE, "createdAt": 2, "parts": ["a", "b", "c"]}]
    assert world.ahead.get("messages", ["m1"]) == {"m1": {**ONE, "createdAt": 2, "parts": ["a", "b", "c"]}}
    world.feed(by_another_hub(MOVED))
    assert world.rows() == []


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param([updated_by_others("m1")], id="no delta"),
        pytest.param([by_another_hub(Delta(lists={"parts": ListEdit(items={5: "gap"})}))], id="a delta that does not fit"),
        pytest.param([by_another_hub(PUSHED, row_id="m9")], id="a row that is not held"),
        pytest.param([updated_by_others("m1"), by_another_hub(PUSHED)], id="a delta after something unknown"),
        pytest.param([deleted("m1"), by_another_hub(PUSHED)], id="a delta of a row that is gone"),
        pytest.param([TableReset("messages"), by_another_hub(PUSHED)], id="a delta after a reset"),
        pytest.param([by_another_hub(Delta({"chatId": ["a"]}))], id="an array where an index looks"),
    ],
)
def test_what_is_not_certain_is_not_answered(world: World, changes: list[Any]) -> None:
    for change in changes:
        world.feed(change)
    assert world.rows() is None
    assert world.ahead.is_in_doubt("messages")


def test_a_row_that_is_known_again_takes_deltas_again(world: World) -> None:
    world.feed(updated_by_others("m1"))
    world.feed(updated({**ONE, "parts": ["x"]}), batch="ours")
    world.feed(by_another_hub(PUSHED))
    world.feed(inserted(a_row("m2", chatId="a", createdAt=2, parts=["y"])), by_another_hub(PUSHED, row_id="m2"))
    assert world.rows() == [{**ONE, "parts": ["x", "b"]}, a_row("m2", chatId="a", createdAt=2, parts=["y", "b"])]
