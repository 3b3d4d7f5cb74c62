"""Races, forced: what happens when things come in the order that is hard, on the memory store with its gates."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import struct
from collections.abc import AsyncIterator, Sequence

import pytest

from hub.core.commits import BatchId
from hub.core.ranges import IndexRange
from hub.errors import Conflict, DeadlineExceeded, InvalidRow, NotCaughtUp, OutcomeUnknown, Unavailable
from hub.functions.identity import SERVICE
from hub.functions.registry import Registry
from hub.protocol.messages import Failure, Success
from hub.store import CLOCK, Insert, Replace, RequestRecord
from hub.testing.memory import Gate, MemoryDatabase, MemoryStore
from hub.timestamps import Timestamp
from hub.values import Row
from tests.live.harness import LiveHub, Screen, live_hub
from tests.model_client import to_ts


def a_note(note_id: str, room: str = "a", text: str = "") -> Insert:
    return Insert("notes", {"_id": note_id, "_creationTime": 1.0, "room": room, "rank": 1.0, "text": text})


async def until_head(hub: LiveHub, ts: int) -> None:
    async with asyncio.timeout(20):
        while hub.engine.head < ts:  # noqa: ASYNC110  # the engine has no event for a test to wait on
            await asyncio.sleep(0)


@pytest.fixture
async def other(memory: MemoryDatabase, registry: Registry) -> AsyncIterator[LiveHub]:
    """A second hub of the deployment."""
    store = MemoryStore(memory, name="hub-b")
    await store.open()
    async with live_hub(store, registry) as hub:
        yield hub
    await store.close()


def store_of(hub: LiveHub) -> MemoryStore:
    assert isinstance(hub.store, MemoryStore)
    return hub.store


def kinds(frames: list[str]) -> list[str]:
    return [json.loads(frame)["type"] for frame in frames]


def taken(screen: Screen) -> list[str]:
    """What waits for the client, handed to it too."""
    frames: list[str] = []
    assert screen.connection is not None
    while (frame := screen.connection.outbox.next()) is not None:
        frames.append(frame.payload.decode())
        screen.client.receive(frames[-1])
        screen.connection.written()
    return frames


async def test_a_feed_that_is_faster_than_the_acknowledgement_does_not_show_a_commit_before_its_answer(
    hub: LiveHub, store: MemoryStore
) -> None:
    screen = hub.screen()
    query = await screen.watch("notes:newest", room="a")
    store.acknowledgements.hold()

    call = screen.client.mutate("notes:add", room="a", rank=1, text="quick")
    screen.pump()
    await store.acknowledgements.reached()
    await screen.until(lambda: call.is_settled)  # the model client checks the order; the acknowledgement is still held

    assert screen.texts(query) == ["quick"]
    store.acknowledgements.release()
    await screen.mutate("notes:add", room="a", rank=2, text="next")


async def test_a_commit_between_a_query_s_run_and_its_registration_is_not_missed(
    hub: LiveHub, store: MemoryStore, memory: MemoryDatabase
) -> None:
    screen = hub.screen()
    store.reads.hold()
    query = screen.client.watch("notes:newest", room="a")
    screen.pump()
    await store.reads.reached()

    committed = memory.outside(a_note("n1", text="in the gap"))
    await until_head(hub, committed)
    store.reads.release()

    await screen.until(lambda: screen.client.queries[query].has_result and screen.texts(query) == ["in the gap"])


async def test_a_commit_during_a_re_run_makes_it_run_again(store: MemoryStore, memory: MemoryDatabase, registry: Registry) -> None:
    async with live_hub(store, registry, cache_max_bytes=0) as hub:
        screen = hub.screen()
        query = await screen.watch("notes:total", room="a")
        store.reads.hold()
        memory.outside(a_note("n1"))
        await store.reads.reached()

        second = memory.outside(a_note("n2"))
        await until_head(hub, second)
        store.reads.release()

        await screen.until(lambda: screen.value(query) == 2)


async def test_a_resync_shows_a_commit_that_is_on_its_way_only_after_its_answer(hub: LiveHub, store: MemoryStore) -> None:
    screen = hub.screen()
    query = await screen.watch("notes:newest", room="a")
    store.feed.hold()
    store.database.elsewhere()
    await store.feed.reached()
    store.acknowledgements.hold()
    call = screen.client.mutate("notes:add", room="a", rank=1, text="on its way")
    screen.pump()
    await store.acknowledgements.reached()

    store.lose_history()
    store.feed.release()
    for _ in range(100):
        await asyncio.sleep(0)
        screen.pump()
    assert screen.texts(query) == []

    store.acknowledgements.release()
    await screen.until(lambda: call.is_settled)
    assert screen.texts(query) == ["on its way"]


class SlowRoom(MemoryStore):
    """Reads of the room `slow` wait at a gate of their own."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database)
        self.slow = Gate()

    async def read(self, wanted: IndexRange, at: Timestamp) -> list[Row]:
        if wanted.prefix == ("slow",):
            await self.slow.passed()
        return await super().read(wanted, at)


async def test_a_slow_query_delays_the_sessions_that_show_it_and_never_splits_a_commit(
    memory: MemoryDatabase, registry: Registry
) -> None:
    store = SlowRoom(memory)
    async with live_hub(store, registry, cache_max_bytes=0) as hub:
        both, quick = hub.screen(), hub.screen()
        slow_total, fast_total = await both.watch("notes:total", room="slow"), await both.watch("notes:total", room="fast")
        only = await quick.watch("notes:total", room="fast")

        store.slow.hold()
        await hub.mutate("notes:addTwo", one="slow", other="fast", rank=1)
        await hub.mutate("notes:add", room="fast", rank=1)
        await quick.until(lambda: quick.value(only) == 2)
        both.pump()
        assert (both.value(slow_total), both.value(fast_total)) == (0, 0)

        store.slow.release()
        await both.until(lambda: both.value(fast_total) == 2)
        assert both.value(slow_total) == 1
    await store.close()


async def test_a_hub_that_lags_waits_before_it_answers_about_what_another_acknowledged(hub: LiveHub, other: LiveHub) -> None:
    store_of(other).feed.hold()
    store_of(other).database.elsewhere()  # whatever was on its way is delivered before the feed stands still
    await store_of(other).feed.reached()
    await hub.mutate("notes:add", room="a", rank=1)

    query = asyncio.create_task(other.query("notes:total", room="a"))
    mutation = asyncio.create_task(other.mutate("notes:count", room="a"))
    for _ in range(50):
        await asyncio.sleep(0)
    assert not query.done()
    assert not mutation.done()

    store_of(other).feed.release()
    assert await query == Success("1.0")
    assert await mutation == Success("1.0")


async def test_a_query_with_a_minimum_fails_when_the_hub_does_not_get_there(hub: LiveHub, other: LiveHub) -> None:
    store_of(other).feed.hold()
    store_of(other).database.elsewhere()
    await store_of(other).feed.reached()
    _, ts = await hub.engine.mutate(
        "notes:add", {"room": "a", "rank": 1.0}, SERVICE, key=None, body_key="", deadline=hub.deadline()
    )

    with pytest.raises(NotCaughtUp):
        await other.engine.query("notes:total", {"room": "a"}, SERVICE, min_ts=ts, deadline=hub.deadline(0.05))
    store_of(other).feed.release()
    assert ts is not None
    result, at = await other.engine.query("notes:total", {"room": "a"}, SERVICE, min_ts=ts, deadline=hub.deadline())
    assert result == Success("1.0")
    assert at >= ts


async def test_a_client_that_saw_more_elsewhere_is_shown_nothing_older(hub: LiveHub, other: LiveHub) -> None:
    screen = hub.screen()
    query = await screen.watch("notes:total", room="a")
    store_of(other).feed.hold()
    store_of(other).database.elsewhere()
    await store_of(other).feed.reached()
    await screen.mutate("notes:add", room="a", rank=1)
    screen.disconnect()

    screen.hub = other
    screen.connect()
    for _ in range(50):
        await asyncio.sleep(0)
    screen.pump()
    assert not screen.client.queries[query].has_result

    store_of(other).feed.release()
    await screen.calm()
    assert screen.value(query) == 1


async def test_a_timestamp_beyond_the_database_s_clock_is_refused(hub: LiveHub, memory: MemoryDatabase) -> None:
    screen = hub.screen()
    screen.disconnect()
    screen.client.max_observed = memory.now + (1 << 40)

    screen.connect()
    await screen.until(lambda: screen.last_close is not None)

    assert screen.last_close is not None
    assert screen.last_close.reason.startswith("InternalServerError")


async def test_the_first_transition_after_a_reconnect_comes_after_the_answers_that_were_lost(hub: LiveHub) -> None:
    screen = hub.screen()
    await screen.watch("notes:newest", room="a")
    screen.reads = False
    call = screen.client.mutate("notes:add", room="a", rank=1, text="mine")
    screen.pump()
    await hub.mutate("notes:count", room="a")
    async with asyncio.timeout(20):
        while await hub.query("notes:total", room="a") != Success("1.0"):
            pass
    screen.disconnect()

    screen.connect()
    frames: list[str] = []
    async with asyncio.timeout(20):
        while not call.is_settled:
            assert screen.connection is not None
            await screen.wake.wait()
            frames += taken(screen)
            screen.wake.clear()

    assert kinds(frames)[:2] == ["MutationResponse", "Transition"]


async def test_an_outcome_that_stays_unknown_closes_the_socket_and_the_record_answers_the_repeat(
    hub: LiveHub, store: MemoryStore
) -> None:
    screen = hub.screen()
    query = await screen.watch("notes:newest", room="a")
    store.feed.hold()
    store.database.elsewhere()
    await store.feed.reached()
    store.fail_next_transact(OutcomeUnknown("nobody knows"), committed=True)

    call = screen.client.mutate("notes:add", room="a", rank=1, text="once")
    await screen.until(lambda: screen.last_close is not None)
    assert screen.last_close is not None
    assert screen.last_close.reason.startswith("InternalServerError")
    assert call.response is None

    store.feed.release()
    screen.connect()
    await screen.calm()
    assert call.result == screen.value(query)[0]["_id"]
    assert screen.texts(query) == ["once"]


async def test_the_feed_proves_a_commit_whose_acknowledgement_was_lost(hub: LiveHub, store: MemoryStore) -> None:
    screen = hub.screen()
    query = await screen.watch("notes:newest", room="a")
    store.acknowledgements.hold()
    call = screen.client.mutate("notes:add", room="a", rank=1, text="proved")
    screen.pump()
    await store.acknowledgements.reached()

    await screen.until(lambda: call.is_settled)

    assert screen.texts(query) == ["proved"]
    store.acknowledgements.release()


async def test_a_mutation_that_lost_to_another_writer_runs_again(hub: LiveHub, store: MemoryStore, memory: MemoryDatabase) -> None:
    store.commits.hold()
    running = asyncio.create_task(hub.mutate("notes:addIfEmpty", room="a"))
    await store.commits.reached()
    memory.commit([a_note("n1")], [], memory.now, clock=CLOCK, origin=object(), batch=BatchId("another hub's"))

    store.commits.release()

    assert await running == Success("false")
    assert hub.engine.metrics.registry.get_sample_value("hub_conflicts_total") == 1


async def test_what_a_session_sent_behind_an_unknown_outcome_does_not_overtake_it(hub: LiveHub, store: MemoryStore) -> None:
    screen = hub.screen()
    query = await screen.watch("notes:newest", room="a")
    store.commits.hold()
    for text in ("first", "second"):
        screen.client.mutate("notes:add", room="a", rank=0, text=text)
    screen.pump()
    await store.commits.reached()
    store.fail_next_transact(OutcomeUnknown("it did not happen, but nobody knows"))

    store.commits.release()
    await screen.until(lambda: screen.last_close is not None)
    screen.connect()
    await screen.calm()

    assert screen.texts(query)[::-1] == ["first", "second"]


class NoRecords(MemoryStore):
    """Its records cannot be looked up while `is_away`."""

    is_away = False

    async def get_records(self, keys: Sequence[str], at: Timestamp) -> dict[str, RequestRecord]:
        if self.is_away:
            raise Unavailable("no primary")
        return await super().get_records(keys, at)


async def test_a_repeat_that_cannot_be_looked_up_is_never_told_that_nothing_was_written(
    memory: MemoryDatabase, registry: Registry
) -> None:
    store = NoRecords(memory)
    async with live_hub(store, registry, mutation_deadline_s=0.3) as hub:
        screen = hub.screen()
        query = await screen.watch("notes:newest", room="a")
        screen.reads = False
        call = screen.client.mutate("notes:add", room="a", rank=1, text="once")
        screen.pump()
        async with asyncio.timeout(20):
            while await hub.query("notes:total", room="a") != Success("1.0"):
                pass
        screen.disconnect()

        store.is_away, screen.reads = True, True
        screen.connect()
        await screen.until(lambda: screen.last_close is not None)
        assert call.response is None, "the outcome is not known, so nothing is said"

        store.is_away = False
        screen.connect()
        await screen.calm()
        assert call.result == screen.value(query)[0]["_id"]
    await store.close()


async def test_a_mutation_whose_time_is_over_is_not_run_any_more(hub: LiveHub, store: MemoryStore) -> None:
    store.reads.hold()
    late = asyncio.create_task(
        hub.engine.mutate("notes:addIfEmpty", {"room": "a"}, SERVICE, key=None, body_key="", deadline=hub.deadline(0.1))
    )
    with pytest.raises(DeadlineExceeded):
        await late

    store.reads.release()
    assert await hub.query("notes:total", room="a") == Success("0.0")


async def test_a_mutation_that_waits_for_rows_holds_up_nobody_else(hub: LiveHub, store: MemoryStore) -> None:
    store.reads.hold()
    late = asyncio.create_task(hub.mutate("notes:addIfEmpty", room="a"))
    await store.reads.reached()

    assert isinstance(await hub.mutate("notes:add", room="b", rank=1.0), Success)

    assert not late.done()
    store.reads.release()
    assert await late == Success("true")


@pytest.mark.parametrize("committed", [pytest.param(True, id="after the commit"), pytest.param(False, id="before it")])
async def test_a_failure_inside_the_driver_is_an_unknown_outcome_and_the_hub_lives_on(
    hub: LiveHub, store: MemoryStore, committed: bool
) -> None:
    screen = hub.screen()
    query = await screen.watch("notes:newest", room="a")
    store.feed.hold()
    store.database.elsewhere()
    await store.feed.reached()
    store.fail_next_transact(ZeroDivisionError("a bug"), committed=committed)  # type: ignore[arg-type]  # not a HubError: that is it
    call = screen.client.mutate("notes:add", room="a", rank=1, text="once")
    await screen.until(lambda: screen.last_close is not None)
    assert call.response is None

    store.feed.release()
    screen.connect()
    await screen.calm()

    assert screen.texts(query) == ["once"]


async def test_a_client_with_more_mutations_than_may_wait_is_served_one_after_another(
    store: MemoryStore, registry: Registry
) -> None:
    async with live_hub(store, registry, session_mutations_max=3) as hub:
        screen = hub.screen()
        query = await screen.watch("notes:newest", room="a", limit=100)
        screen.disconnect()
        for n in range(10):
            screen.client.mutate("notes:add", room="a", rank=n, text=str(n))
        screen.client.take()

        screen.connect()
        await screen.calm()

        assert screen.last_close is None
        assert len(screen.texts(query)) == 10


class Unreadable(MemoryStore):
    """A row of the room `bad` is damaged."""

    async def read(self, wanted: IndexRange, at: Timestamp) -> list[Row]:
        if wanted.prefix == ("bad",):
            raise InvalidRow("notes: a row cannot be decoded")
        return await super().read(wanted, at)


async def test_a_row_that_cannot_be_read_fails_the_queries_that_read_it_and_nothing_else(
    memory: MemoryDatabase, registry: Registry
) -> None:
    store = Unreadable(memory)
    async with live_hub(store, registry) as hub:
        screen = hub.screen()
        bad, good = await screen.watch("notes:total", room="bad"), await screen.watch("notes:total", room="good")

        await screen.mutate("notes:add", room="good", rank=1)

        assert "cannot be decoded" in (screen.client.queries[bad].error or "")
        assert screen.value(good) == 1
    await store.close()


class Busy(MemoryStore):
    """While `is_busy`, a commit that touches every room lands during each read."""

    is_busy = False

    async def read(self, wanted: IndexRange, at: Timestamp) -> list[Row]:
        if self.is_busy:
            self.database.outside(*(Replace("notes", a_note(f"{room} 0", room, str(self.database.now)).row) for room in "abcde"))
        return await super().read(wanted, at)


async def test_a_session_gets_on_when_every_commit_touches_all_its_queries(memory: MemoryDatabase, registry: Registry) -> None:
    store = Busy(memory)
    async with live_hub(store, registry, runs_max=2, cache_max_bytes=0) as hub:
        for room in "abcde":
            memory.outside(a_note(f"{room} 0", room=room))
        screen = hub.screen()
        queries = [await screen.watch("notes:newest", room=room) for room in "abcde"]
        before, store.is_busy = [screen.texts(query) for query in queries], True
        memory.outside(a_note("start", room="a"))

        call = screen.client.mutate("notes:add", room="z", rank=1)
        await screen.until(lambda: call.is_settled)
        settled_at = screen.client.ts
        await screen.until(lambda: screen.client.ts > settled_at and [screen.texts(query) for query in queries] != before)
        store.is_busy = False
    await store.close()


async def test_more_live_queries_than_allowed_are_refused_by_name(memory: MemoryDatabase, registry: Registry) -> None:
    store = MemoryStore(memory)
    async with live_hub(store, registry, live_queries_max=1) as hub:
        screen = hub.screen()
        first, second = await screen.watch("notes:total", room="a"), await screen.watch("notes:total", room="b")

        assert screen.value(first) == 0
        assert "TooManyConcurrentRequests" in (screen.client.queries[second].error or "")
    await store.close()


async def test_in_production_a_crash_tells_its_reference_and_nothing_else(hub: LiveHub) -> None:
    failed = await hub.mutate("notes:crash")

    assert isinstance(failed, Failure)
    assert re.fullmatch(r"\[Request ID: [0-9a-f]{16}\] Server Error", failed.message)
    assert failed.log_lines == ()


async def test_a_reload_does_not_cut_pages_again(hub: LiveHub, registry: Registry) -> None:
    screen = hub.screen()
    for rank in range(4):
        await hub.mutate("notes:add", room="a", rank=rank * 10, text=str(rank * 10))
    page = await screen.watch("notes:page", room="a", paginationOpts={"numItems": 3, "cursor": None})
    await screen.mutate("notes:add", room="a", rank=5, text="5")
    updates = screen.client.queries[page].updates

    hub.engine.reload(registry)
    await screen.mutate("notes:add", room="a", rank=6, text="6")

    assert screen.client.queries[page].updates > updates
    assert [row["text"] for row in screen.value(page)["page"]] == ["0", "5", "6", "10", "20"]


async def test_a_mutation_gives_up_at_its_deadline_and_says_that_nothing_was_written(hub: LiveHub, store: MemoryStore) -> None:
    for _ in range(200):
        store.fail_next_transact(Conflict("always somebody else"))

    with pytest.raises(DeadlineExceeded, match="nothing of it was written"):
        await hub.engine.mutate("notes:add", {"room": "a", "rank": 1.0}, SERVICE, key=None, body_key="", deadline=hub.deadline(0.2))


async def test_a_mutation_waits_for_a_database_that_comes_back(hub: LiveHub, store: MemoryStore) -> None:
    store.fail_next_transact(Unavailable("no primary"))

    assert isinstance(await hub.mutate("notes:add", room="a", rank=1), Success)


async def test_a_client_that_does_not_read_gets_the_newest_state_later_and_not_every_state_late(hub: LiveHub) -> None:
    author, slow = hub.screen(), hub.screen()
    query = await slow.watch("notes:total", room="a")
    so_far = len(slow.client.transitions)
    slow.reads = False

    for _ in range(20):
        await author.mutate("notes:add", room="a", rank=1)
    assert slow.connection is not None
    assert len(slow.connection.outbox) <= 2
    slow.reads = True

    await slow.until(lambda: slow.value(query) == 20)
    assert len(slow.client.transitions) - so_far <= 4, "two that waited, and what came when it read again"


async def test_rounds_that_fall_behind_run_everything_again_instead_of_growing(memory: MemoryDatabase, registry: Registry) -> None:
    store = MemoryStore(memory)
    async with live_hub(store, registry, feed_backlog_max_commits=100) as hub:
        screen = hub.screen()
        query = await screen.watch("notes:total", room="a")

        for n in range(150):
            memory.outside(a_note(f"n{n}"))

        await screen.until(lambda: screen.value(query) == 150)
        assert hub.engine.metrics.registry.get_sample_value("hub_resyncs_total") == 1
    await store.close()


async def test_nothing_is_left_of_a_session_that_is_gone(hub: LiveHub) -> None:
    screens = [hub.screen() for _ in range(3)]
    for screen in screens:
        await screen.watch("notes:total", room="a")
        await screen.watch("notes:missing")

    for screen in screens:
        screen.disconnect()

    assert len(hub.engine.live) == 0


async def test_a_reload_runs_every_query_again_and_serves_functions_that_are_new(hub: LiveHub, registry: Registry) -> None:
    fewer = Registry(
        [function for function in registry.functions.values() if function.name != "notes:total"],
        [info.row_type for info in registry.tables.values()],
    )
    hub.engine.reload(fewer)
    screen = hub.screen()
    total, newest = await screen.watch("notes:total", room="a"), await screen.watch("notes:newest", room="a")
    assert "Could not find public function" in (screen.client.queries[total].error or "")

    hub.engine.reload(registry)

    await screen.until(lambda: screen.client.queries[total].error is None and screen.value(total) == 0)
    assert screen.texts(newest) == []


def test_the_model_client_reads_timestamps_as_the_protocol_writes_them() -> None:
    assert to_ts(base64.b64encode(struct.pack("<Q", 7)).decode()) == 7
