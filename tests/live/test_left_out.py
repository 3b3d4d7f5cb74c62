"""What another mutation of the batch wrote counts only if that one commits with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from hub.core.commits import Commit, TableReset
from hub.store import Delete, FeedBatch, Update
from hub.testing.memory import MemoryDatabase
from tests.live.harness import LiveHub
from tests.live.test_batches import Call, Recorded, another_hub, busy, runs
from tests.live.test_pipelining import executed, known
from tests.live.test_races import a_note, until_head


class Declaring(Recorded):
    """Its feed tells, with a commit of this hub, that a table that was declared has to be read anew."""

    declares = False

    async def follow(self) -> AsyncIterator[FeedBatch]:
        async for batch in super().follow():
            yield replace(batch, commits=tuple(map(self._with_reset, batch.commits))) if self.declares else batch

    def _with_reset(self, commit: Commit) -> Commit:
        return replace(commit, changes=(*commit.changes, TableReset("notes")))


@pytest.fixture
async def store(memory: MemoryDatabase) -> AsyncIterator[Declaring]:
    store = Declaring(memory)
    await store.open()
    yield store
    await store.close()


async def test_what_ran_on_the_writes_of_one_that_is_left_out_runs_again(
    hub: LiveHub, store: Recorded, memory: MemoryDatabase
) -> None:
    left, right, cold = a_note("left-1", "left"), a_note("right-1", "right"), a_note("cold-1", "cold")
    await until_head(hub, memory.outside(left, right, cold))
    await known(hub, "left", "right")
    await busy(hub, store)
    before = runs(hub)
    takes = Call(hub, "notes:takeLast", mine="left", other="right")  # deletes the note, as it runs now
    writes = Call(hub, "notes:write", noteId="left-1", text="there")  # finds no note, as it runs now
    await executed(hub, before + 2)
    memory.outside(
        Update("notes", "right-1", {"room": "elsewhere"}, (), {**right.row, "room": "elsewhere"}),
        Update("notes", "cold-1", {"text": "new"}, (), {**cold.row, "text": "new"}),  # nobody holds it: the table is in doubt
    )
    store.commits.release()

    assert await takes.value() is False
    assert await writes.value() is True, "the note was there all the time"


async def test_one_that_waits_writes_what_it_read_in_memory_before_the_feed_moved_on(
    hub: LiveHub, store: Recorded, memory: MemoryDatabase
) -> None:
    await until_head(hub, memory.outside(a_note("n")))
    store.slow.hold()
    cold = [f"cold {n}" for n in range(6)]
    call = Call(hub, "notes:writeAfterLooking", noteId="n", text="written", lookAt=[*cold, "slow"])
    await store.slow.reached()
    memory.elsewhere()
    await until_head(hub, memory.now)
    store.slow.release()

    assert await call.value() is True


async def test_a_snapshot_mutation_sees_what_another_hub_acknowledged_before(
    hub: LiveHub, store: Recorded, memory: MemoryDatabase
) -> None:
    await known(hub, "a")
    store.feed.hold()
    another_hub(memory, a_note("n", "a", "acknowledged"))
    call = Call(hub, "notes:tick", room="a")
    async with asyncio.timeout(20):
        while not hub.engine.metrics.registry.get_sample_value("hub_conflicts_total"):
            assert not call.answer.done(), "this hub lags"
            await asyncio.sleep(0)
    store.feed.release()

    assert await call.value() == 2


async def test_a_table_that_is_reset_with_the_commit_before_is_read_anew(
    hub: LiveHub, store: Declaring, memory: MemoryDatabase
) -> None:
    await known(hub, "a")
    await busy(hub, store)
    before = runs(hub)
    call = Call(hub, "notes:count", room="a", key="k")
    await executed(hub, before + 1)
    store.declares = True
    store.commits.release()

    assert await call.value() == 0
    assert runs(hub) > before + 1


async def test_what_did_not_see_a_row_that_is_there_after_all_runs_again(
    hub: LiveHub, store: Recorded, memory: MemoryDatabase
) -> None:
    await until_head(hub, memory.outside(a_note("left-1", "left"), a_note("right-1", "right")))
    await known(hub, "left", "right")
    await busy(hub, store)
    before = runs(hub)
    takes = Call(hub, "notes:takeLast", mine="left", other="right")  # deletes the note, as it runs now
    finds = Call(hub, "notes:addIfEmpty", room="left")  # it is, as it runs now
    await executed(hub, before + 2)
    memory.outside(Delete("notes", "right-1"))
    store.commits.release()

    assert await takes.value() is False
    assert await finds.value() is False, "the note was there all the time"
