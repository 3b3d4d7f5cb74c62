"""Mutations that commit together: what each sees of the others, and that none pays for another's fault."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from hub.clock import SystemClock
from hub.core.commits import BatchId
from hub.core.ranges import IndexRange
from hub.errors import (
    Conflict,
    DeadlineExceeded,
    DuplicateKey,
    HubError,
    LimitExceeded,
    OutcomeUnknown,
    RequestMismatch,
    UniqueViolation,
)
from hub.functions.identity import SERVICE, Caller
from hub.functions.registry import Registry
from hub.live.mutations import Answer, MutationRequest
from hub.protocol.messages import Failure, Success
from hub.store import CLOCK, Check, Insert, RequestRecord, Update, Write, WriteBatch
from hub.testing.memory import Gate, MemoryDatabase, MemoryStore
from hub.timestamps import Timestamp
from hub.values import Row
from tests.live.harness import LiveHub, caller_of, live_hub


class Tireless(SystemClock):
    """No work takes any time: what waits together is one batch, however slow the machine is."""

    @staticmethod
    def thread_time() -> float:
        return 0.0


class Recorded(MemoryStore):
    """Remembers what was sent and read, and refuses what a test says."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database, name="hub-a")
        self.sent: list[WriteBatch] = []
        self.read_rooms: list[object] = []
        self.looked_up: list[list[str]] = []
        self.refused: dict[str, HubError] = {}
        """By a text that the transaction must not hold."""
        self.slow = Gate()

    async def transact(self, batch: WriteBatch, at: Timestamp, deadline: float, check: Check | None = None) -> Timestamp:
        self.sent.append(batch)
        for text in texts(batch):
            if text in self.refused:
                raise self.refused[text]
        return await super().transact(batch, at, deadline, check)

    async def get_records(self, keys: Sequence[str], at: Timestamp) -> dict[str, RequestRecord]:
        self.looked_up.append(list(keys))
        return await super().get_records(keys, at)

    async def read(self, wanted: IndexRange, at: Timestamp) -> list[Row]:
        self.read_rooms.append(wanted.prefix[0])
        if wanted.prefix == ("slow",):
            await self.slow.passed()
        return await super().read(wanted, at)


def texts(batch: WriteBatch) -> list[object]:
    return [write.row["text"] for write in batch.writes if isinstance(write, Insert)]


@pytest.fixture
async def store(memory: MemoryDatabase) -> AsyncIterator[Recorded]:
    store = Recorded(memory)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def hub(store: Recorded, registry: Registry) -> AsyncIterator[LiveHub]:
    async with live_hub(store, registry, clock=Tireless()) as hub:
        yield hub


class Call:
    """One mutation that is on its way, by its own session unless it says otherwise."""

    def __init__(
        self,
        hub: LiveHub,
        path: str,
        *,
        key: str | None = None,
        source: str | None = None,
        caller: Caller = SERVICE,
        within_s: float = 20.0,
        body: str = "",
        **args: Any,
    ) -> None:
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        now = hub.engine.clock.monotonic()
        hub.engine.submit(
            MutationRequest(
                path=path,
                args=args,
                caller=caller,
                source=source or f"session {id(self)}",
                arrived=now,
                deadline=now + within_s,
                reply=self.answer.set_result,
                key=key,
                body=body,
                keep_s=100.0,
            )
        )

    async def value(self) -> Any:
        answer = await self.answer
        assert isinstance(answer.result, Success), answer
        return json.loads(answer.result.value)

    async def failure(self) -> Failure:
        answer = await self.answer
        assert isinstance(answer.result, Failure), answer
        return answer.result

    async def error(self) -> HubError | None:
        return (await self.answer).error


async def busy(hub: LiveHub, store: MemoryStore) -> Call:
    """The sequencer is committing something else, so what comes now waits, and will be taken together."""
    store.commits.hold()
    first = Call(hub, "notes:add", room="elsewhere", rank=0.0, text="first")
    await store.commits.reached()
    return first


async def add(hub: LiveHub, text: str, room: str = "a", **more: Any) -> Call:
    return Call(hub, "notes:add", room=room, rank=0.0, text=text, **more)


async def total(hub: LiveHub, room: str) -> int:
    result = await hub.query("notes:newest", room=room, limit=1000.0)
    assert isinstance(result, Success)
    return len(json.loads(result.value))


async def test_what_waits_while_one_commits_is_the_next_transaction(hub: LiveHub, store: Recorded) -> None:
    first = await busy(hub, store)
    waiting = [Call(hub, "notes:add", room="a", rank=float(n), text=str(n)) for n in range(9)]
    store.commits.release()

    answers = await asyncio.gather(*(call.answer for call in [first, *waiting]))

    assert [len(batch.writes) for batch in store.sent] == [1, 9]
    assert len({answer.ts for answer in answers}) == 2
    assert hub.engine.metrics.registry.get_sample_value("hub_batch_mutations_count") == 2
    assert hub.engine.metrics.registry.get_sample_value("hub_batch_mutations_sum") == 10


async def test_a_mutation_alone_waits_for_no_other(hub: LiveHub, store: Recorded) -> None:
    for n in range(3):
        await Call(hub, "notes:add", room="a", rank=0.0, text=str(n)).value()

    assert [texts(batch) for batch in store.sent] == [["0"], ["1"], ["2"]]


async def test_a_session_s_mutations_keep_their_order_in_a_batch_and_over_several(
    memory: MemoryDatabase, registry: Registry
) -> None:
    store = Recorded(memory)
    async with live_hub(store, registry, clock=Tireless(), mutation_batch_max=4) as hub:
        await busy(hub, store)
        calls = [
            Call(hub, "notes:append", source=source, room="list", value=f"{source} {n}", lookAt=[])
            for source in ("x", "y")
            for n in range(5)
        ]
        store.commits.release()
        await asyncio.gather(*(call.value() for call in calls))

        assert [len(batch.writes) for batch in store.sent] == [1, 4, 4, 2]
        seen = await Call(hub, "notes:append", room="other", value="", lookAt=["list"]).value()
        for source in ("x", "y"):
            assert [value for value in seen[0] if value.startswith(source)] == [f"{source} {n}" for n in range(5)]
    await store.close()


async def test_a_mutation_sees_what_those_before_it_in_the_batch_wrote(hub: LiveHub, store: Recorded) -> None:
    await busy(hub, store)
    calls = [Call(hub, "notes:named", room="a", name="x") for _ in range(3)]
    only_one = [Call(hub, "notes:addIfEmpty", room="b") for _ in range(3)]
    store.commits.release()

    assert len({await call.value() for call in calls}) == 1
    assert [await call.value() for call in only_one] == [True, False, False]
    assert len(store.sent) == 2


async def test_rows_that_several_change_are_written_once(hub: LiveHub, store: Recorded) -> None:
    note, gone = [await Call(hub, "notes:add", room="a", rank=0.0, text=text).value() for text in ("kept", "gone")]
    store.sent.clear()
    await busy(hub, store)
    calls = [
        Call(hub, "notes:write", noteId=note, text="one"),
        Call(hub, "notes:move", noteId=note, room="b", rank=7.0),
        Call(hub, "notes:write", noteId=gone, text="never seen"),
        Call(hub, "notes:remove", noteId=gone),
        Call(hub, "notes:write", noteId=gone, text="too late"),
    ]
    store.commits.release()

    assert [await call.value() for call in calls] == [True, True, True, True, False]
    assert [(type(write).__name__, write.id) for write in store.sent[-1].writes] == [("Update", note), ("Delete", gone)]
    result = await hub.query("notes:get", noteId=note)
    assert {"room": "b", "rank": 7, "text": "one"}.items() <= json.loads(result.value).items()


async def test_a_unique_key_taken_earlier_in_the_batch_is_taken(hub: LiveHub, store: Recorded) -> None:
    await busy(hub, store)
    one, other = await add(hub, "one", name="x"), await add(hub, "other", name="x")
    store.commits.release()

    assert await one.value()
    assert (await other.failure()).code == "UniqueViolation"
    assert await total(hub, "a") == 1


async def test_a_unique_key_passes_to_another_row_within_a_batch(hub: LiveHub, store: Recorded) -> None:
    note = await (await add(hub, "one", name="x")).value()
    await busy(hub, store)
    removed, taken = Call(hub, "notes:remove", noteId=note), await add(hub, "other", name="x")
    store.commits.release()

    assert await removed.value()
    assert await taken.value()


async def test_write_skew_inside_a_batch_cannot_happen(hub: LiveHub, store: Recorded) -> None:
    await Call(hub, "notes:addTwo", one="left", other="right", rank=1.0).value()
    await busy(hub, store)
    calls = [Call(hub, "notes:takeLast", mine=mine, other=other) for mine, other in (("left", "right"), ("right", "left"))]
    store.commits.release()

    assert [await call.value() for call in calls] == [True, False]


# --- failures are one's own ----------------------------------------------------------------------------------------


async def test_one_that_raises_leaves_its_record_and_nothing_else(hub: LiveHub, store: Recorded) -> None:
    await busy(hub, store)
    before, refused = await add(hub, "before"), Call(hub, "notes:refuse", room="a", key="k")
    after = Call(hub, "notes:count", room="a", key="c")
    store.commits.release()

    assert await before.value()
    assert (await refused.failure()).code == "ApplicationError"
    assert await after.value() == 1
    assert texts(store.sent[-1]) == ["before"]
    assert [record.key for record in store.sent[-1].records] == ["k", "c"]


async def test_one_that_crashes_contributes_nothing(hub: LiveHub, store: Recorded) -> None:
    await busy(hub, store)
    before, crashed, after = await add(hub, "before"), Call(hub, "notes:crash", key="k"), await add(hub, "after")
    unknown = Call(hub, "notes:missing")
    store.commits.release()

    assert (await crashed.failure()).code == "FunctionCrashed"
    assert (await unknown.failure()).code == "FunctionNotFound"
    assert await before.value()
    assert await after.value()
    assert (texts(store.sent[-1]), store.sent[-1].records) == (["before", "after"], ())


@pytest.mark.parametrize(
    ("error", "told"),
    [
        pytest.param(LimitExceeded("a row is too large"), LimitExceeded, id="too large"),
        pytest.param(DuplicateKey("an index of somebody else"), UniqueViolation, id="key of an undeclared index"),
    ],
)
@pytest.mark.parametrize("place", [0, 4, 8])
async def test_what_the_database_refuses_for_one_fails_that_one_alone(
    hub: LiveHub, store: Recorded, error: HubError, told: type[HubError], place: int
) -> None:
    store.refused["culprit"] = error
    await busy(hub, store)
    calls = [await add(hub, "culprit" if n == place else str(n), key=f"k{n}") for n in range(9)]
    store.commits.release()

    for n, call in enumerate(calls):
        if n == place:
            assert type(await call.error()) is told
        else:
            assert await call.value()
    assert await total(hub, "a") == 8


async def test_one_that_keeps_losing_to_other_writers_fails_alone(hub: LiveHub, store: Recorded) -> None:
    store.refused["contended"] = Conflict("others write this row all the time")
    await busy(hub, store)
    before, contended, after = await add(hub, "before"), await add(hub, "contended", within_s=1.0), await add(hub, "after")
    store.commits.release()

    others = asyncio.create_task(_keep_writing(store))
    assert await before.value()
    assert isinstance(await contended.error(), DeadlineExceeded)
    assert await after.value()
    others.cancel()


async def _keep_writing(store: Recorded) -> None:
    while True:
        store.database.elsewhere()
        await asyncio.sleep(0.001)


async def test_one_that_waits_long_for_its_rows_begins_the_next_batch_with_what_its_session_sent_after_it(
    hub: LiveHub, store: Recorded
) -> None:
    await busy(hub, store)
    quick, slow = await add(hub, "quick"), Call(hub, "notes:append", source="s", room="list", value="slow", lookAt=["slow"])
    behind = Call(hub, "notes:append", source="s", room="list", value="behind", lookAt=["list"])
    store.slow.hold()
    store.commits.release()

    assert await quick.value()
    assert not behind.answer.done()
    store.slow.release()
    assert await slow.value() == [[]]
    assert await behind.value() == [["slow"]]


async def test_a_batch_ends_with_the_mutation_that_passes_a_limit(memory: MemoryDatabase, registry: Registry) -> None:
    store = Recorded(memory)
    async with live_hub(store, registry, clock=Tireless(), mutation_batch_max_rows=3) as hub:
        await busy(hub, store)
        calls = [Call(hub, "notes:addTwo", one="a", other="b", rank=1.0) for _ in range(5)]
        store.commits.release()
        await asyncio.gather(*(call.value() for call in calls))

        assert [len(batch.writes) for batch in store.sent] == [1, 4, 4, 2]
    await store.close()


# --- repeats, isolation, outcomes ----------------------------------------------------------------------------------


async def test_a_repeat_in_the_same_batch_gets_the_same_answer(hub: LiveHub, store: Recorded) -> None:
    await busy(hub, store)
    call = await add(hub, "once", key="k")
    repeat, altered = await add(hub, "once", key="k"), await add(hub, "twice", key="k", body="another")
    stranger = await add(hub, "once", key="k", caller=caller_of("bob"))
    store.commits.release()

    assert await repeat.value() == await call.value()
    assert (await repeat.answer).ts == (await call.answer).ts
    assert isinstance(await altered.error(), RequestMismatch)
    assert (await stranger.failure()).code == "RequestOfAnotherCaller"
    assert await total(hub, "a") == 1


async def test_the_records_of_a_batch_s_repeats_are_looked_up_together(hub: LiveHub, store: Recorded) -> None:
    await busy(hub, store)
    calls = [asyncio.create_task(hub.mutate("notes:add", key=key, room="a", rank=1)) for key in ("x", "y", "z")]
    await asyncio.sleep(0)
    store.commits.release()
    await asyncio.gather(*calls)

    assert [len(keys) for keys in store.looked_up] == [3]


async def test_a_repeat_of_one_that_crashed_in_the_same_batch_is_run(hub: LiveHub, store: Recorded) -> None:
    await busy(hub, store)
    calls = [Call(hub, "notes:crash", key="k") for _ in range(2)]
    store.commits.release()

    failures = [await call.failure() for call in calls]
    assert failures[0].message != failures[1].message


async def test_each_isolation_commits_in_batches_of_its_own(hub: LiveHub, store: Recorded) -> None:
    await busy(hub, store)
    Call(hub, "notes:tick", source="x", room="a")
    Call(hub, "notes:add", source="y", room="a", rank=0.0)
    ticks = [Call(hub, "notes:tick", source=source, room="a") for source in ("z", "y")]
    store.commits.release()
    assert [await tick.value() for tick in ticks] == [2, 4]

    assert [(batch.isolation, len(batch.writes)) for batch in store.sent[1:]] == [
        ("snapshot", 2),
        ("serializable", 1),
        ("snapshot", 1),
    ]


async def test_an_unknown_outcome_concerns_the_whole_batch_and_what_its_sessions_sent_after(
    memory: MemoryDatabase, registry: Registry
) -> None:
    store = Recorded(memory)
    async with live_hub(store, registry, clock=Tireless(), mutation_batch_max=2) as hub:
        store.refused["2"] = OutcomeUnknown("nobody knows")
        await busy(hub, store)
        calls = [await add(hub, str(n), key=f"k{n}", source=f"s{n % 2}") for n in range(6)]
        mate = await add(hub, "commits with 2")
        store.commits.release()

        errors = [await call.error() for call in calls]
        assert [n for n, error in enumerate(errors) if isinstance(error, OutcomeUnknown)] == [2, 4]
        assert [n for n, error in enumerate(errors) if error is None] == [0, 1, 3, 5]
        assert isinstance(await mate.error(), OutcomeUnknown)
        assert await total(hub, "a") == 4

        store.refused.clear()
        again = [await add(hub, str(n), key=f"k{n}", source="s0") for n in (2, 4)]
        await asyncio.gather(*(call.value() for call in again))
        assert await total(hub, "a") == 6
    await store.close()


async def test_a_deadline_that_passes_while_the_batch_commits_is_an_unknown_outcome_for_that_one(
    hub: LiveHub, store: Recorded
) -> None:
    await busy(hub, store)
    hasty, patient = await add(hub, "hasty", key="h", within_s=0.3), await add(hub, "patient", key="p")
    store.commits.release()
    await _second_commit(store)

    assert isinstance(await hasty.error(), OutcomeUnknown)
    assert not patient.answer.done()
    store.commits.release()
    assert await patient.value()
    assert await total(hub, "a") == 2


async def test_after_a_conflict_only_what_was_overtaken_runs_again(hub: LiveHub, store: Recorded, memory: MemoryDatabase) -> None:
    await busy(hub, store)
    counts = [Call(hub, "notes:count", room=room, key=room) for room in ("a", "b", "c")]
    dependent = Call(hub, "notes:addIfEmpty", room="b")
    store.commits.release()
    await _second_commit(store)
    before = runs(hub)
    note: Row = {"_id": "n", "_creationTime": 1.0, "room": "b", "rank": 1.0, "text": "another hub's"}
    another_hub(memory, Insert("notes", note))
    store.commits.release()

    assert [await call.value() for call in counts] == [0, 1, 0]
    assert await dependent.value() is False
    assert runs(hub) < before + len([*counts, dependent])


def runs(hub: LiveHub) -> float:
    return hub.engine.metrics.registry.get_sample_value("hub_query_run_seconds_count") or 0.0


async def test_what_depended_on_an_overtaken_mutation_runs_again_too(hub: LiveHub, store: Recorded, memory: MemoryDatabase) -> None:
    await busy(hub, store)
    taken, counted = Call(hub, "notes:addIfEmpty", room="b"), Call(hub, "notes:named", room="b", name="x")
    looked = Call(hub, "notes:append", room="list", value="v", lookAt=["b"])
    store.commits.release()
    await _second_commit(store)
    note: Row = {"_id": "n", "_creationTime": 1.0, "room": "b", "rank": 1.0, "text": "another hub's"}
    another_hub(memory, Insert("notes", note))
    store.commits.release()

    assert await taken.value() is False
    assert await counted.value()
    assert sorted((await looked.value())[0]) == ["", "another hub's"]


async def test_what_a_second_run_wrote_is_seen_by_those_that_ran_before_it(
    hub: LiveHub, store: Recorded, memory: MemoryDatabase
) -> None:
    await Call(hub, "notes:add", room="mine", rank=0.0).value()
    store.sent.clear()
    await busy(hub, store)
    emptied, counted = Call(hub, "notes:takeLast", mine="mine", other="b"), Call(hub, "notes:count", room="mine", key="k")
    store.commits.release()
    await _second_commit(store)
    another_hub(memory, Insert("notes", {"_id": "n", "_creationTime": 1.0, "room": "b", "rank": 1.0, "text": ""}))
    store.commits.release()

    assert await emptied.value() is True
    assert await counted.value() == 0


async def test_a_row_that_another_hub_changed_meanwhile_is_read_anew(hub: LiveHub, store: Recorded, memory: MemoryDatabase) -> None:
    note = await Call(hub, "notes:add", room="a", rank=0.0, text="old").value()
    (row,) = memory.rows("notes")
    store.sent.clear()
    await busy(hub, store)
    written = Call(hub, "notes:write", noteId=note, text="new")
    store.commits.release()
    await _second_commit(store)
    another_hub(memory, Update("notes", note, {"room": "b"}, (), {**row, "room": "b"}))
    store.commits.release()

    assert await written.value()
    assert ("b", "new") in [(row["room"], row["text"]) for row in memory.rows("notes")]


def another_hub(memory: MemoryDatabase, *writes: Write) -> None:
    memory.commit(writes, [], memory.now, clock=CLOCK, origin=object(), batch=BatchId("another hub's"))


async def _second_commit(store: Recorded) -> None:
    """The batch after the one whose commit was just let go has come to the gate."""
    await asyncio.sleep(0)
    store.commits.hold()
    await store.commits.reached()
    assert len(store.sent) == 2


# --- guesses -------------------------------------------------------------------------------------------------------


async def test_a_key_that_is_new_is_not_looked_up(hub: LiveHub, store: Recorded) -> None:
    for n in range(3):
        assert await Call(hub, "notes:named", room="a", name=str(n)).value()

    assert store.read_rooms == []


async def test_a_key_that_was_taken_is_found_after_all(hub: LiveHub, store: Recorded) -> None:
    note = await Call(hub, "notes:add", room="a", rank=0.0, name="x").value()
    await busy(hub, store)
    found, new = Call(hub, "notes:named", room="a", name="x"), Call(hub, "notes:named", room="a", name="y")
    store.commits.release()

    assert await found.value() == note
    assert await new.value() != note
    assert await Call(hub, "notes:named", room="a", name="x").value() == note
    assert hub.engine.metrics.registry.get_sample_value("hub_conflicts_total") == 1, "from then on it asks first"


async def test_a_guess_that_no_write_proves_is_looked_up(hub: LiveHub, store: Recorded) -> None:
    assert await Call(hub, "notes:hasName", room="a", name="x").value() is False
    note = await Call(hub, "notes:add", room="a", rank=0.0, name="x").value()

    assert await Call(hub, "notes:hasName", room="a", name="x").value() is True
    assert await Call(hub, "notes:remove", noteId=note).value()
    assert await Call(hub, "notes:hasName", room="a", name="x").value() is False


async def test_a_guess_is_not_proved_by_a_write_that_came_after_the_key_was_freed(hub: LiveHub, store: Recorded) -> None:
    note = await Call(hub, "notes:add", room="a", rank=0.0, name="x").value()
    await busy(hub, store)
    looked = Call(hub, "notes:hasName", room="a", name="x", key="k")
    removed, taken = Call(hub, "notes:remove", noteId=note), await add(hub, "new", name="x")
    store.commits.release()

    assert await looked.value() is True
    assert await removed.value()
    assert await taken.value()


async def test_a_guess_is_not_proved_by_a_row_that_is_gone_again(hub: LiveHub, store: Recorded) -> None:
    await Call(hub, "notes:add", room="a", rank=0.0, name="x").value()
    await busy(hub, store)
    call = Call(hub, "notes:claim", room="a", name="x", key="k")
    store.commits.release()

    assert await call.value() is False
