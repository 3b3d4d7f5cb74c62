"""Reading from memory: what is kept is asked for once, is never wrong, and belongs to nobody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from hub.clock import SystemClock
from hub.core.deltas import ListTail
from hub.core.ranges import IndexRange
from hub.errors import Unavailable
from hub.functions.registry import Registry
from hub.store import Delete, Insert, Update
from hub.testing.memory import MemoryDatabase, MemoryStore
from hub.timestamps import Timestamp
from hub.values import Row, RowId
from tests.contract.on_mongo import OnMongo
from tests.live.harness import LiveHub, Screen, live_hub


class Counting(MemoryStore):
    """Notes every read of rows; the next `failing` reads of ranges fail."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database)
        self.read_for: list[object] = []
        self.failing = 0

    async def read(self, wanted: IndexRange, at: Timestamp) -> list[Row]:
        self.read_for.append(wanted)
        rows = await super().read(wanted, at)
        if self.failing:
            self.failing -= 1
            raise Unavailable("no answer")
        return rows

    async def get(self, table: str, ids: Sequence[RowId], at: Timestamp) -> dict[RowId, Row]:
        self.read_for.append((table, tuple(ids)))
        return await super().get(table, ids, at)


class Dragging(SystemClock):
    """Each look at it costs 3 ms: a round of some queries is a long one on any machine, and is cut at the same places on all."""

    def __init__(self) -> None:
        self._looks = 0

    def monotonic(self) -> float:
        self._looks += 1
        return time.monotonic() + self._looks * 0.003


@pytest.fixture
async def store(memory: MemoryDatabase) -> AsyncIterator[Counting]:
    store = Counting(memory)
    await store.open()
    yield store
    await store.close()


def a_note(note_id: str, room: str = "a", rank: float = 1.0, **fields: Any) -> Insert:
    return Insert("notes", {"_id": note_id, "_creationTime": 1.0, "room": room, "rank": rank, "text": note_id, **fields})


def moved(note_id: str, room: str, rank: float = 1.0) -> Update:
    return Update("notes", note_id, {"room": room, "rank": rank}, (), {})


def counted(hub: LiveHub, name: str) -> float:
    value = hub.engine.metrics.registry.get_sample_value(f"hub_{name}")
    assert value is not None
    return value


def stale(hub: LiveHub) -> int:
    return sum(live.is_stale for live in hub.engine.live)


async def until_head(hub: LiveHub, ts: Timestamp) -> None:
    async with asyncio.timeout(20):
        while hub.engine.head < ts:  # noqa: ASYNC110  # the engine has no event for a test to wait on
            await asyncio.sleep(0)


async def rest(hub: LiveHub, screen: Screen) -> None:
    """Until everything committed so far is shown."""
    latest = await hub.engine.latest(hub.deadline())
    await screen.until(lambda: hub.engine.head >= latest and not any(live.is_stale for live in hub.engine.live))


async def test_queries_that_run_again_do_not_ask_the_database(hub: LiveHub, store: Counting, memory: MemoryDatabase) -> None:
    await until_head(hub, memory.outside(*(a_note(f"n{n}", rank=float(n), owner="alice") for n in range(9))))
    screen = hub.screen()
    newest, between = await screen.watch("notes:newest", room="a"), await screen.watch("notes:between", room="a", low=2, high=6)
    total, owners = await screen.watch("notes:total", room="a"), await screen.watch("notes:owners", room="a")
    visible = await screen.watch("notes:visible", room="b")
    page = await screen.watch("notes:page", room="a", paginationOpts={"numItems": 4, "cursor": None, "id": 1})
    store.read_for.clear()
    reruns = counted(hub, "reruns_total")

    memory.outside(a_note("top", rank=20.0), a_note("middle", rank=4.0), a_note("other", room="b"))
    await rest(hub, screen)
    memory.outside(Delete("notes", "n8"), Delete("notes", "n3"))
    await rest(hub, screen)

    assert store.read_for == []
    assert counted(hub, "reruns_total") - reruns >= 6
    assert screen.texts(newest) == ["top", "n7", "n6"]
    assert screen.texts(between) == ["n2", "middle", "n4", "n5"]
    assert screen.value(total) == sum(range(9)) - 8 - 3 + 20 + 4
    assert screen.value(owners) == ["alice"] * 3 + [""] + ["alice"] * 4 + [""], "n0 n1 n2 middle n4 n5 n6 n7 top"
    assert [row["_id"] for row in screen.value(visible)] == ["other"]
    assert [row["_id"] for row in screen.value(page)["page"]] == ["n0", "n1", "n2"]


async def test_rows_that_go_are_filled_up_from_memory_where_a_limit_cut_them_off(
    hub: LiveHub, store: Counting, memory: MemoryDatabase
) -> None:
    await until_head(hub, memory.outside(*(a_note(f"n{n:02}", rank=float(n)) for n in range(30))))
    screen = hub.screen()
    newest = await screen.watch("notes:newest", room="a")
    page = await screen.watch("notes:page", room="a", paginationOpts={"numItems": 3, "cursor": None, "id": 1})
    store.read_for.clear()

    memory.outside(Delete("notes", "n29"), Delete("notes", "n27"), Delete("notes", "n01"))
    await rest(hub, screen)

    assert screen.texts(newest) == ["n28", "n26", "n25"]
    assert [row["_id"] for row in screen.value(page)["page"]] == ["n00", "n02"], "a page keeps its ends"
    assert store.read_for == []


@pytest.mark.parametrize("is_certain", [True, False], ids=["a certain delta", "an uncertain one"])
async def test_a_row_that_somebody_else_changed_is_read_at_most_once_for_everybody(
    hub: LiveHub, store: Counting, memory: MemoryDatabase, is_certain: bool
) -> None:
    await until_head(hub, memory.outside(*(a_note(f"n{n}", rank=float(n), tags=["one"]) for n in range(5))))
    screen = hub.screen()
    total, newest, moved_to = [
        await screen.watch(path, room=room) for path, room in (("notes:total", "a"), ("notes:newest", "a"), ("notes:total", "b"))
    ]
    by_id = await screen.watch("notes:get", noteId="n2")
    store.read_for.clear()

    # of another writer "tags.1" may be a field's name
    more = {} if is_certain else {"tags": ListTail(1, ("two",))}
    memory.outside(replace(moved("n2", "b"), lists=more), moved("n3", "a", 30.0))
    await rest(hub, screen)

    assert len(store.read_for) == (0 if is_certain else 1), "what is held is brought forward, where that is certain"
    assert (screen.value(total), screen.value(moved_to)) == (0 + 1 + 30 + 4, 1)
    assert [row["_id"] for row in screen.value(newest)] == ["n3", "n4", "n1"]
    assert screen.value(by_id)["room"] == "b"


async def test_what_another_hub_adds_to_a_text_is_shown_and_added_to_without_a_read(
    hub: LiveHub, store: Counting, memory: MemoryDatabase, registry: Registry
) -> None:
    """Its deltas are applied to the rows that are held here: the reply of a model may be written by any hub."""
    await until_head(hub, memory.outside(a_note("n1"), a_note("n2")))
    screen = hub.screen()
    newest = await screen.watch("notes:newest", room="a")
    async with live_hub(MemoryStore(memory, name="hub-b"), registry) as other:
        await other.mutate("notes:say", noteId="n1", more=["Once"])
        await rest(hub, screen)
        store.read_for.clear()
        for n in range(70):
            await other.mutate("notes:say", noteId="n1", more=[f" {n}"])
        await other.mutate("notes:tag", noteId="n1", keep=0.0, tags=["a", "b", "c"])
        await other.mutate("notes:tag", noteId="n1", keep=2.0, tags=["d"])
        await rest(hub, screen)
        await hub.mutate("notes:say", noteId="n1", more=[" and more"])
        await rest(hub, screen)

    assert store.read_for == []
    (row,) = (row for row in screen.value(newest) if row["_id"] == "n1")
    assert (row["body"], row["tags"]) == ("Once" + "".join(f" {n}" for n in range(70)) + " and more", ["a", "b", "d"])


async def test_a_row_that_is_shown_by_its_id_alone_is_kept_through_a_change_by_somebody_else(
    hub: LiveHub, memory: MemoryDatabase
) -> None:
    await until_head(hub, memory.outside(a_note("n1")))
    screen = hub.screen()
    query = await screen.watch("notes:get", noteId="n1")
    misses = counted(hub, "cache_misses_total")

    memory.outside(moved("n1", "b"))
    await rest(hub, screen)

    assert screen.value(query)["room"] == "b"
    assert counted(hub, "cache_misses_total") == misses


async def test_a_new_subscriber_to_what_is_in_memory_asks_nothing(hub: LiveHub, store: Counting, memory: MemoryDatabase) -> None:
    await until_head(hub, memory.outside(*(a_note(f"n{n}", rank=float(n)) for n in range(5))))
    first = hub.screen()
    await first.watch("notes:total", room="a")
    store.read_for.clear()
    first.disconnect()

    again = hub.screen()
    total, newest = await again.watch("notes:total", room="a"), await again.watch("notes:newest", room="a")

    assert (again.value(total), again.texts(newest)) == (10, ["n4", "n3", "n2"])
    assert store.read_for == []


async def test_what_nobody_shows_is_read_again_after_the_grace_period(
    store: Counting, memory: MemoryDatabase, registry: Registry
) -> None:
    async with live_hub(store, registry, cache_grace_s=0) as hub:
        stays, leaves = hub.screen(), hub.screen()
        await stays.watch("notes:total", room="a")
        await leaves.watch("notes:total", room="b")
        leaves.disconnect()
        memory.outside(a_note("n1"))
        await rest(hub, stays)
        store.read_for.clear()

        await hub.screen().watch("notes:total", room="b")

        assert len(store.read_for) == 1
        assert counted(hub, "cache_evictions_total") == 1


async def test_runs_that_miss_the_same_range_together_share_one_read(hub: LiveHub, store: Counting, memory: MemoryDatabase) -> None:
    await until_head(hub, memory.outside(a_note("n1")))
    screen = hub.screen()
    store.reads.hold()
    total, visible = screen.client.watch("notes:total", room="a"), screen.client.watch("notes:visible", room="a")
    screen.pump()
    await store.reads.reached()
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(store.read_for) == 1

    store.reads.release()
    await screen.calm()

    assert (screen.value(total), len(screen.value(visible))) == (1, 1)
    assert len(store.read_for) == 1


async def test_a_read_that_fails_fails_for_one_and_the_others_that_wanted_it_read_themselves(
    hub: LiveHub, store: Counting, memory: MemoryDatabase
) -> None:
    await until_head(hub, memory.outside(a_note("n1")))
    one, other = hub.screen(), hub.screen()
    store.reads.hold()
    total = one.client.watch("notes:total", room="a")
    one.pump()
    await store.reads.reached()
    visible = other.client.watch("notes:visible", room="a")
    other.pump()
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(store.read_for) == 1

    store.failing = 1
    store.reads.release()
    await other.calm()
    await one.calm()

    assert (one.value(total), len(other.value(visible))) == (1, 1)
    assert len(store.read_for) == 2, "the first one came again, and found it in memory"


async def test_a_commit_while_a_range_is_read_is_in_memory_too(hub: LiveHub, store: Counting, memory: MemoryDatabase) -> None:
    await until_head(hub, memory.outside(a_note("n1"), a_note("n2")))
    screen = hub.screen()
    store.reads.hold()
    query = screen.client.watch("notes:total", room="a")
    screen.pump()
    await store.reads.reached()

    committed = memory.outside(a_note("n3", rank=5.0), Delete("notes", "n1"))
    await until_head(hub, committed)
    store.reads.release()
    await screen.until(lambda: screen.client.queries[query].has_result and screen.value(query) == 6)
    reads = len(store.read_for)

    memory.outside(a_note("n4", rank=7.0))
    await rest(hub, screen)

    assert screen.value(query) == 13
    assert reads == len(store.read_for) == 1


async def test_a_row_that_comes_while_it_is_looked_for_is_in_memory_too(
    hub: LiveHub, store: Counting, memory: MemoryDatabase
) -> None:
    screen = hub.screen()
    store.reads.hold()
    query = screen.client.watch("notes:get", noteId="n1")
    screen.pump()
    await store.reads.reached()

    await until_head(hub, memory.outside(a_note("n1")))
    store.reads.release()
    await screen.until(lambda: screen.client.queries[query].has_result and screen.value(query) is not None)

    assert len(store.read_for) == 1, "what was read, and what came since"


async def test_all_reads_of_a_run_that_waited_are_at_its_own_moment_though_memory_went_on(
    hub: LiveHub, store: Counting, memory: MemoryDatabase
) -> None:
    """A note moves between two rooms while one is read and the other is in memory."""
    await until_head(hub, memory.outside(a_note("n1", room="b"), a_note("n2", room="b")))
    others, screen = hub.screen(), hub.screen()
    await others.watch("notes:total", room="b")
    seen: list[list[float]] = []
    store.reads.hold()
    query = screen.client.watch("notes:apart", room="a", other="b")
    screen.on_transition = lambda screen: seen.append(screen.value(query))
    screen.pump()
    await store.reads.reached()

    await until_head(hub, memory.outside(Delete("notes", "n1"), a_note("moved", room="a")))
    store.reads.release()
    await screen.until(lambda: [1.0, 1.0] in seen)

    assert seen in ([[0.0, 2.0], [1.0, 1.0]], [[1.0, 1.0]])


async def test_all_rows_that_a_run_reads_by_id_are_of_its_own_moment_though_memory_went_on(
    hub: LiveHub, store: Counting, memory: MemoryDatabase
) -> None:
    await until_head(hub, memory.outside(a_note("n1", owner="before")))
    others, screen = hub.screen(), hub.screen()
    await others.watch("notes:get", noteId="later")
    seen: list[Any] = []
    store.reads.hold()
    query = screen.client.watch("notes:pair", first="n1", second="later")
    screen.on_transition = lambda screen: seen.append(screen.value(query))
    screen.pump()
    await store.reads.reached()

    await until_head(hub, memory.outside(Delete("notes", "n1"), a_note("later")))
    store.reads.release()
    await screen.until(lambda: [False, True] in seen)

    assert seen in ([[True, False], [False, True]], [[False, True]])


async def test_what_a_quick_query_showed_when_a_slow_one_was_read_is_kept_until_both_can_be_shown(
    hub: LiveHub, store: Counting, memory: MemoryDatabase
) -> None:
    screen = hub.screen()
    quick = await screen.watch("notes:total", room="a")
    seen: list[tuple[float, float]] = []
    store.reads.hold()
    slow = screen.client.watch("notes:total", room="b")
    screen.on_transition = lambda screen: seen.append((screen.value(quick), screen.value(slow)))
    screen.pump()
    await store.reads.reached()

    committed = memory.outside(a_note("n1", room="a"), a_note("n2", room="b"))
    await screen.until(lambda: hub.engine.head >= committed and stale(hub) == 1)
    store.reads.release()
    await screen.until(lambda: (1.0, 1.0) in seen)

    assert seen == [(0.0, 0.0), (1.0, 1.0)], "the slow one's first result is of the moment before the commit"


async def test_a_range_that_became_doubtful_while_it_was_read_is_not_believed(
    hub: LiveHub, store: Counting, memory: MemoryDatabase
) -> None:
    await until_head(hub, memory.outside(a_note("n1", rank=3.0), a_note("elsewhere", room="z")))
    screen = hub.screen()
    store.reads.hold()
    query = screen.client.watch("notes:total", room="a")
    screen.pump()
    await store.reads.reached()

    committed = memory.outside(moved("elsewhere", "a", 4.0))  # nobody watches the table yet, so nobody asks what this row is now
    await until_head(hub, committed)
    store.reads.release()

    await screen.until(lambda: screen.client.queries[query].has_result and screen.value(query) == 7)


@pytest.mark.parametrize(
    "unseen",
    [
        pytest.param(a_note("low", rank=-1.0), id="beyond the limit"),
        pytest.param(a_note("other", room="b"), id="in another room"),
        pytest.param(Delete("notes", "n0"), id="a row beyond the limit goes"),
        pytest.param(moved("n0", "a", 1.5), id="a row beyond the limit changes its place"),
        pytest.param(Update("notes", "n5", {"text": "new"}, (), {}), id="the row that is kept for the next deletion changes"),
        pytest.param(Update("notes", "n0", {"name": "first"}, (), {}), id="an index that nobody reads"),
    ],
)
async def test_a_commit_that_changes_nothing_a_query_shows_wakes_nobody(
    hub: LiveHub, memory: MemoryDatabase, unseen: Insert | Delete | Update
) -> None:
    await until_head(hub, memory.outside(*(a_note(f"n{n}", rank=float(n)) for n in range(9))))
    screen = hub.screen()
    query = await screen.watch("notes:newest", room="a")
    reruns, transitions = counted(hub, "reruns_total"), len(screen.client.transitions)

    memory.outside(unseen)
    await rest(hub, screen)

    assert counted(hub, "reruns_total") == reruns
    assert len(screen.client.transitions) == transitions
    assert screen.texts(query) == ["n8", "n7", "n6"]


async def test_a_run_that_changes_nothing_sends_nothing_and_is_counted(hub: LiveHub, memory: MemoryDatabase) -> None:
    await until_head(hub, memory.outside(a_note("n1")))
    screen = hub.screen()
    await screen.watch("notes:total", room="a")
    wasted, transitions = counted(hub, "wasted_reruns_total"), len(screen.client.transitions)

    memory.outside(Update("notes", "n1", {"text": "not in the total"}, (), {}))
    await rest(hub, screen)

    assert counted(hub, "wasted_reruns_total") == wasted + 1
    assert len(screen.client.transitions) == transitions


async def test_a_function_cannot_change_what_others_see(hub: LiveHub, memory: MemoryDatabase) -> None:
    await until_head(hub, memory.outside(a_note("n1", tags=["one"]), a_note("n2")))
    screen = hub.screen()
    before = await screen.watch("notes:newest", room="a")
    shown = screen.value(before)

    await screen.watch("notes:byVandals", room="a")
    after = hub.screen()
    again = await after.watch("notes:newest", room="a", limit=2)
    memory.outside(a_note("n3", room="b"), a_note("n0"))  # all run again
    await rest(hub, screen)

    assert after.value(again) == shown
    assert [row for row in screen.value(before) if row["_id"] != "n0"] == shown


@pytest.fixture
async def hub_of_long_rounds(store: Counting, registry: Registry) -> AsyncIterator[LiveHub]:
    async with live_hub(store, registry, clock=Dragging()) as hub:
        yield hub


async def test_a_long_round_gives_way_to_the_loop_and_what_is_received_waits_for_its_end(
    hub_of_long_rounds: LiveHub, memory: MemoryDatabase
) -> None:
    hub = hub_of_long_rounds
    screen = hub.screen()
    for salt in range(20):
        await screen.watch("notes:salted", room="a", salt=salt)
    shown: list[int] = []
    screen.on_transition = lambda screen: shown.append(screen.client.ts)
    first = memory.outside(a_note("n1"))

    await until_head(hub, first)
    assert stale(hub) > 0, "the round is under way"
    second = memory.outside(a_note("n2"))
    await rest(hub, screen)

    assert shown == [first, second], "all twenty ran at the first head before there was a second one"


async def test_in_a_long_round_everybody_sees_what_is_ready(hub_of_long_rounds: LiveHub, memory: MemoryDatabase) -> None:
    hub = hub_of_long_rounds
    one, others = hub.screen(), hub.screen()
    await one.watch("notes:salted", room="a", salt=0)
    for salt in range(1, 20):
        await others.watch("notes:salted", room="a", salt=salt)
    still_stale: list[int] = []
    one.on_transition = lambda screen: still_stale.append(stale(hub))

    memory.outside(a_note("n1"))
    await one.until(lambda: bool(still_stale))

    assert still_stale[-1] > 0, "the round was not over"
    await rest(hub, others)


async def test_a_query_that_takes_long_leaves_the_round_and_holds_up_nobody_else(hub: LiveHub, memory: MemoryDatabase) -> None:
    slow, quick = hub.screen(), hub.screen()
    crawling = await slow.watch("notes:crawling", room="a")
    total = await quick.watch("notes:total", room="a")
    memory.outside(a_note("n0"))
    await rest(hub, slow)
    await rest(hub, quick)
    order: list[str] = []
    slow.on_transition = lambda screen: order.append("slow")
    quick.on_transition = lambda screen: order.append("quick")

    memory.outside(a_note("n1"))
    async with asyncio.timeout(20):
        while len(order) < 2:
            slow.pump()
            quick.pump()
            await asyncio.sleep(0)

    assert order == ["quick", "slow"]
    assert (slow.value(crawling), quick.value(total)) == (2, 2)


async def test_in_a_long_round_whoever_wrote_sees_it_first(hub_of_long_rounds: LiveHub) -> None:
    hub = hub_of_long_rounds
    others, writer = hub.screen(), hub.screen()
    for salt in range(20):
        await others.watch("notes:salted", room="a", salt=salt)
    total = await writer.watch("notes:total", room="a")

    call = writer.client.mutate("notes:add", room="a", rank=1)
    still_stale: list[int] = []
    writer.on_transition = lambda screen: still_stale.append(stale(hub))
    await writer.until(lambda: call.is_settled and writer.value(total) == 1)

    assert still_stale[-1] > 0, "the round was not over"
    await rest(hub, others)


async def test_memory_stays_in_its_budget_and_screens_stay_right(
    store: Counting, memory: MemoryDatabase, registry: Registry
) -> None:
    async with live_hub(store, registry, cache_max_bytes=40_000) as hub:
        rooms = [f"room {n}" for n in range(30)]
        await until_head(hub, memory.outside(*(a_note(room, room, 1.0, tags=["x" * 1_000]) for room in rooms)))
        screen = hub.screen()
        totals = [await screen.watch("notes:total", room=room) for room in rooms]
        memory.outside(*(a_note(f"{room} again", room, 1.0) for room in rooms))
        await rest(hub, screen)
        hub.engine.measure()

        assert [screen.value(total) for total in totals] == [2] * 30
        assert counted(hub, "cache_bytes") <= 40_000
        assert counted(hub, "cache_evictions_total") > 0


@pytest.mark.real
async def test_a_real_server_gets_no_command_for_a_run_from_memory(mongo_url: str, database_name: str, registry: Registry) -> None:
    async with AsyncExitStack() as stack:
        database = OnMongo(stack, mongo_url, database_name, "pymongo")
        hub = await stack.enter_async_context(live_hub(await database.hub(), registry))
        client = await stack.enter_async_context(AsyncMongoClient[dict[str, Any]](mongo_url))
        screen = hub.screen()
        newest, total = await screen.watch("notes:newest", room="a"), await screen.watch("notes:total", room="a")
        await database.outside(a_note("first"))
        await screen.until(lambda: screen.value(total) == 1)
        before = await commands(client)

        for n in range(5):
            await database.outside(a_note(f"n{n}", rank=float(n)))
            await screen.until(lambda n=n: screen.value(total) == 1 + sum(range(n + 1)))  # type: ignore[misc]  # its default is n

        assert screen.texts(newest)[0] == "n4"
        assert await commands(client) == before


async def commands(client: AsyncMongoClient[dict[str, Any]]) -> dict[str, int]:
    """How often the server was asked for rows."""
    status = await client.admin.command("serverStatus")
    return {name: status["metrics"]["commands"][name]["total"] for name in ("find", "aggregate", "count", "distinct")}
