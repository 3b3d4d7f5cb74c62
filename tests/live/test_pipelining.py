"""What runs while something else commits, or while a round goes on: neither waits, and neither is believed too early."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from hub.errors import Conflict, HubError, LimitExceeded, OutcomeUnknown
from hub.store import Insert, Update
from hub.testing.memory import Gate, MemoryDatabase
from hub.timestamps import Timestamp
from hub.values import Row, RowId
from tests.live.harness import LiveHub
from tests.live.test_batches import Call, Recorded, add, another_hub, busy, runs, texts, total
from tests.live.test_races import a_note, until_head


class Watched(Recorded):
    """Counts reads. `round_waits` stops the first look-up of the row "held": the one of the round that applies its change."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database)
        self.gets: list[Sequence[RowId]] = []
        self.round_waits = Gate()
        self._is_first = True

    async def get(self, table: str, ids: Sequence[RowId], at: Timestamp) -> dict[RowId, Row]:
        self.gets.append(ids)
        if "held" in ids and self._is_first:
            self._is_first = False
            await self.round_waits.passed()
        return await super().get(table, ids, at)

    @property
    def reads_of_rows(self) -> int:
        return len(self.gets) + len(self.read_rooms)


@pytest.fixture
async def store(memory: MemoryDatabase) -> AsyncIterator[Watched]:
    store = Watched(memory)
    await store.open()
    yield store
    await store.close()


async def executed(hub: LiveHub, count: float) -> None:
    """Returns when so many runs have been made."""
    async with asyncio.timeout(20):
        while runs(hub) < count:  # noqa: ASYNC110  # the engine has no event for a test to wait on
            await asyncio.sleep(0)


async def next_one(hub: LiveHub, *paths_and_args: tuple[str, dict[str, Any]]) -> list[Call]:
    """Mutations that come while something commits, and have run when this returns."""
    before = runs(hub)
    calls = [Call(hub, path, key=f"{n} {path}", **args) for n, (path, args) in enumerate(paths_and_args)]
    await executed(hub, before + len(calls))
    return calls


async def known(hub: LiveHub, *rooms: str) -> None:
    """From now on these rooms are in memory."""
    for room in rooms:
        await Call(hub, "notes:count", room=room).value()


# --- rounds --------------------------------------------------------------------------------------------------------


async def test_commits_go_on_during_a_long_round(hub: LiveHub, store: Watched, memory: MemoryDatabase) -> None:
    screen = hub.screen()
    shown = await screen.watch("notes:newest", room="a", limit=10)
    row: Row = {"_id": "held", "_creationTime": 1.0, "room": "elsewhere", "rank": 90.0, "text": "moved in"}
    await until_head(hub, memory.outside(Insert("notes", row)))
    store.round_waits.hold()
    memory.outside(Update("notes", "held", {"room": "a"}, (), {**row, "room": "a"}))
    await store.round_waits.reached()
    head = hub.engine.head

    counted = []
    for n in range(20):
        await Call(hub, "notes:add", room="a", rank=float(n), text=str(n)).value()
        counted.append(await Call(hub, "notes:count", room="a").value())

    assert counted == list(range(2, 22)), "each saw what was committed before it"
    assert hub.engine.head == head, "the round still waits"
    assert store.read_rooms == ["a"], "the one read of the query"
    store.round_waits.release()
    await screen.until(lambda: "moved in" in screen.texts(shown))
    assert len(screen.value(shown)) == 10


async def test_a_mutation_on_rows_in_memory_reads_nothing(hub: LiveHub, store: Watched) -> None:
    note = await Call(hub, "notes:add", room="a", rank=1.0).value()
    await known(hub, "a")
    await Call(hub, "notes:write", noteId=note, text="0").value()
    before = store.reads_of_rows

    for n in range(1, 10):
        await Call(hub, "notes:write", noteId=note, text=str(n)).value()
        assert await Call(hub, "notes:count", room="a", key=f"k{n}").value() == 1

    assert store.reads_of_rows == before


# --- while one commits ---------------------------------------------------------------------------------------------


async def test_the_next_runs_while_one_commits_and_commits_without_running_again(hub: LiveHub, store: Watched) -> None:
    await known(hub, "a")
    store.commits.hold()
    first = await add(hub, "first")
    await store.commits.reached()
    following = await next_one(hub, ("notes:count", {"room": "a"}), ("notes:add", {"room": "a", "rank": 1.0, "text": "next"}))
    so_far = runs(hub)
    assert not first.answer.done()
    store.commits.release()

    assert await first.value()
    assert await following[0].value() == 1, "it saw the one that was committing"
    assert await following[1].value()
    assert runs(hub) == so_far
    assert [texts(batch) for batch in store.sent] == [["first"], ["next"]]


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        pytest.param(LimitExceeded("a row is too large"), 0, id="refused"),
        pytest.param(Conflict("somebody was first"), 1, id="first refused and then committed"),
    ],
)
async def test_what_ran_on_a_commit_that_failed_runs_again(hub: LiveHub, store: Watched, error: HubError, seen: int) -> None:
    await known(hub, "a")
    store.commits.hold()
    first = await add(hub, "first")
    await store.commits.reached()
    store.fail_next_transact(error)  # the one that waits at the gate
    following = await next_one(hub, ("notes:count", {"room": "a"}))
    store.commits.release()

    assert await following[0].value() == seen
    assert (await first.answer).error is (error if seen == 0 else None)
    assert await total(hub, "a") == seen


async def test_what_ran_on_a_commit_that_lost_sees_the_winner_instead(hub: LiveHub, store: Watched, memory: MemoryDatabase) -> None:
    await known(hub, "b", "list")
    store.commits.hold()
    first = Call(hub, "notes:addIfEmpty", room="b")
    await store.commits.reached()
    (following,) = await next_one(hub, ("notes:append", {"room": "list", "value": "v", "lookAt": ["b"]}))
    another_hub(memory, a_note("n", "b", "another hub's"))
    store.commits.release()

    assert await first.value() is False
    assert await following.value() == [["another hub's"]]


@pytest.mark.parametrize("committed", [pytest.param(True, id="it happened"), pytest.param(False, id="it did not")])
async def test_what_ran_on_a_commit_whose_outcome_is_unknown_says_what_became_of_it(
    hub: LiveHub, store: Watched, committed: bool
) -> None:
    await known(hub, "a")
    store.commits.hold()
    store.feed.hold()  # so that it proves nothing before the error is heard
    first = await add(hub, "first", key="first")
    await store.commits.reached()
    store.fail_next_transact(OutcomeUnknown("nobody knows"), committed=committed)
    following = await next_one(hub, ("notes:count", {"room": "a"}))
    store.commits.release()
    assert isinstance(await first.error(), OutcomeUnknown)
    store.feed.release()

    assert await following[0].value() == (1 if committed else 0)


async def test_what_was_overtaken_while_another_committed_runs_again(hub: LiveHub, store: Watched, memory: MemoryDatabase) -> None:
    await known(hub, "a", "b", "list")
    store.commits.hold()
    first = await add(hub, "first")
    await store.commits.reached()
    following = await next_one(
        hub, ("notes:append", {"room": "list", "value": "v", "lookAt": ["b"]}), ("notes:count", {"room": "a"})
    )
    so_far = runs(hub)
    memory.outside(a_note("n", "b", "a script's"))
    store.commits.release()

    assert await first.value()
    assert await following[0].value() == [["a script's"]]
    assert await following[1].value() == 1
    assert runs(hub) == so_far + 1


async def test_one_that_was_overtaken_before_its_own_commit_runs_again(
    hub: LiveHub, store: Watched, memory: MemoryDatabase
) -> None:
    await known(hub, "b", "list")
    store.commits.hold()
    call = Call(hub, "notes:append", room="list", value="v", lookAt=["b"])
    await store.commits.reached()
    memory.outside(a_note("n", "b", "told to a script before"))
    store.commits.release()

    assert await call.value() == [["told to a script before"]]


async def test_a_write_of_another_that_concerns_nobody_disturbs_no_commit(
    hub: LiveHub, store: Watched, memory: MemoryDatabase
) -> None:
    await known(hub, "b", "list")
    store.commits.hold()
    call = Call(hub, "notes:append", room="list", value="v", lookAt=["b"])
    await store.commits.reached()
    so_far = runs(hub)
    ts = memory.outside(a_note("n", "elsewhere"))
    store.commits.release()

    assert await call.value() == [[]]
    assert runs(hub) == so_far
    await until_head(hub, ts)


async def test_a_session_s_mutations_that_run_ahead_keep_their_order(hub: LiveHub, store: Watched) -> None:
    await known(hub, "list")
    await busy(hub, store)
    before = runs(hub)
    calls = [
        Call(hub, "notes:append", source="s", room="list", value="0", lookAt=["cold"]),
        *(Call(hub, "notes:append", source="s", room="list", value=str(n), lookAt=["list"]) for n in range(1, 4)),
    ]
    await executed(hub, before + 1)
    store.commits.release()

    assert [await call.value() for call in calls] == [[[]], [["0"]], [["0", "1"]], [["0", "1", "2"]]]
