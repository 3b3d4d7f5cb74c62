"""The promises to a client, one test each, on the memory store and on a real replica set."""

from __future__ import annotations

import asyncio

import pytest

from hub.errors import RequestMismatch
from hub.functions.identity import NOBODY, SERVICE
from hub.functions.registry import Registry
from hub.protocol.messages import Failure, Success
from hub.store import Delete, Insert, Update
from hub.values import Row, Value
from tests.contract.databases import Database
from tests.live.conftest import OpenHub
from tests.live.harness import caller_of, live_hub


async def test_a_mutation_reaches_every_screen_that_shows_what_it_changed(open_hub: OpenHub) -> None:
    hub = await open_hub()
    author, reader, elsewhere = hub.screen(), hub.screen(), hub.screen()
    here, there = await reader.watch("notes:newest", room="a"), await elsewhere.watch("notes:newest", room="b")

    await author.mutate("notes:add", room="a", rank=1, text="hello")

    await reader.until(lambda: reader.texts(here) == ["hello"])
    assert elsewhere.client.queries[there].updates == 1


async def test_one_commit_changes_all_queries_of_a_session_in_one_transition(open_hub: OpenHub) -> None:
    hub = await open_hub()
    screen = hub.screen()
    one, other = await screen.watch("notes:newest", room="a"), await screen.watch("notes:total", room="b")

    await hub.screen().mutate("notes:addTwo", one="a", other="b", rank=5)

    await screen.until(lambda: screen.value(other) == 5)
    changed = [
        sorted(item["queryId"] for item in transition["modifications"])
        for transition in screen.client.transitions
        if transition["modifications"]
    ]
    assert changed[-1] == [one, other]


async def test_a_mutation_is_settled_only_by_a_transition_that_shows_it(open_hub: OpenHub) -> None:
    hub = await open_hub()
    screen = hub.screen()
    query = await screen.watch("notes:newest", room="a")

    for n in range(5):
        call = screen.client.mutate("notes:add", room="a", rank=n, text=str(n))
        await screen.until(lambda call=call: call.is_settled)  # type: ignore[misc]

        assert screen.texts(query)[0] == str(n)


async def test_changes_of_any_other_writer_are_pushed(open_hub: OpenHub, database: Database) -> None:
    hub = await open_hub()
    screen = hub.screen()
    query = await screen.watch("notes:newest", room="a")
    total = await screen.watch("notes:total", room="b")
    row: Row = {"_id": "n1", "_creationTime": 1.0, "room": "a", "rank": 1.0, "text": "from a script"}

    await database.outside(Insert("notes", row))
    await screen.until(lambda: screen.texts(query) == ["from a script"])

    await database.outside(Update("notes", "n1", {"room": "b"}, (), {**row, "room": "b"}))
    await screen.until(lambda: screen.texts(query) == [] and screen.value(total) == 1)

    await database.outside(Delete("notes", "n1"))
    await screen.until(lambda: screen.value(total) == 0)


async def test_the_mutations_of_a_session_run_in_the_order_sent(open_hub: OpenHub) -> None:
    hub = await open_hub()
    screen = hub.screen()
    query = await screen.watch("notes:newest", room="a", limit=10)

    calls = [screen.client.mutate("notes:add", room="a", rank=0, text=str(n)) for n in range(6)]
    await screen.until(lambda: all(call.is_settled for call in calls))

    assert screen.texts(query)[::-1] == [str(n) for n in range(6)]


# --- exactly once --------------------------------------------------------------------------------------------------


async def test_a_repeat_after_a_lost_answer_is_answered_and_not_run_again(open_hub: OpenHub) -> None:
    hub = await open_hub()
    screen = hub.screen()
    query = await screen.watch("notes:newest", room="a")
    screen.reads = False
    call = screen.client.mutate("notes:add", room="a", rank=1, text="once")
    screen.pump()
    witness = hub.screen()
    seen = await witness.watch("notes:newest", room="a")
    await witness.until(lambda: witness.texts(seen) == ["once"])

    screen.disconnect()
    screen.reads = True
    screen.connect()
    await screen.calm()

    assert call.result == witness.value(seen)[0]["_id"]
    assert screen.texts(query) == ["once"]


async def test_a_repeat_on_another_hub_is_answered_from_the_record(open_hub: OpenHub) -> None:
    first, second = await open_hub("hub-a"), await open_hub("hub-b")
    screen = first.screen()
    call = await screen.mutate("notes:add", room="a", rank=1, text="once")
    result, call.response, call.is_settled = call.result, None, False
    screen.disconnect()

    screen.hub = second
    screen.connect()
    await screen.until(lambda: call.is_settled)

    assert call.result == result
    assert await second.query("notes:total", room="a") == Success("1.0")


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("notes:count", id="one that wrote nothing"),
        pytest.param("notes:refuse", id="one that raised ApplicationError"),
    ],
)
async def test_a_repeat_gets_the_same_answer_also_to(open_hub: OpenHub, path: str) -> None:
    hub = await open_hub()
    before = await hub.mutate(path, key="k", room="a")
    await hub.mutate("notes:add", room="a", rank=1)

    assert await hub.mutate(path, key="k", room="a") == before
    assert await hub.query("notes:total", room="a") == Success("1.0")


async def test_a_failure_that_is_no_application_error_is_not_recorded(open_hub: OpenHub) -> None:
    hub = await open_hub()

    first, second = await hub.mutate("notes:crash", key="k"), await hub.mutate("notes:crash", key="k")

    assert isinstance(first, Failure)
    assert isinstance(second, Failure)
    assert first.message != second.message, "each run has a reference of its own"


async def test_a_request_key_belongs_to_one_body(open_hub: OpenHub) -> None:
    hub = await open_hub()
    await hub.mutate("notes:add", key="k", room="a", rank=1)

    with pytest.raises(RequestMismatch):
        await hub.mutate("notes:add", key="k", room="a", rank=2)


async def test_over_http_each_caller_has_keys_of_their_own(open_hub: OpenHub) -> None:
    hub = await open_hub()
    alice, bob = caller_of("alice"), caller_of("bob")

    one = await hub.mutate("notes:add", key="k", caller=alice, room="a", rank=1)
    other = await hub.mutate("notes:add", key="k", caller=bob, room="a", rank=1)

    assert one != other
    assert await hub.query("notes:total", room="a") == Success("2.0")


async def test_a_repeat_by_another_caller_is_neither_run_nor_shown_the_result(open_hub: OpenHub) -> None:
    hub = await open_hub()
    screen = hub.screen(caller_of("alice"))
    call = await screen.mutate("notes:add", room="a", rank=1)
    screen.disconnect()

    call.response, call.is_settled = None, False
    stranger = hub.screen(caller_of("bob"), client=screen.client)
    await stranger.until(lambda: call.is_settled)

    assert call.response is not None
    assert "RequestOfAnotherCaller" in call.response["result"]
    assert await hub.query("notes:total", room="a") == Success("1.0")


# --- serializable --------------------------------------------------------------------------------------------------


async def test_write_skew_cannot_happen_between_hubs(open_hub: OpenHub) -> None:
    first, second = await open_hub("hub-a"), await open_hub("hub-b")
    for n in range(5):
        left, right = f"left {n}", f"right {n}"
        await first.mutate("notes:addTwo", one=left, other=right, rank=1)
        await second.query("notes:total", room=left)

        results = await asyncio.gather(
            first.mutate("notes:takeLast", mine=left, other=right),
            second.mutate("notes:takeLast", mine=right, other=left),
        )

        assert sorted(result.value for result in results) == ["false", "true"]


async def test_a_phantom_cannot_happen_between_hubs(open_hub: OpenHub) -> None:
    hubs = [await open_hub("hub-a"), await open_hub("hub-b")]
    for n in range(5):
        results = await asyncio.gather(*(hub.mutate("notes:addIfEmpty", room=f"room {n}") for hub in hubs for _ in range(2)))

        assert sorted(result.value for result in results) == ["false", "false", "false", "true"]


async def test_two_at_once_find_or_make_one_row(open_hub: OpenHub) -> None:
    hubs = [await open_hub("hub-a"), await open_hub("hub-b")]

    results = await asyncio.gather(*(hub.mutate("notes:named", room="a", name="x") for hub in hubs for _ in range(3)))

    assert len(set(results)) == 1


# --- several hubs --------------------------------------------------------------------------------------------------


async def test_what_one_hub_acknowledged_another_sees_at_once(open_hub: OpenHub) -> None:
    first, second = await open_hub("hub-a"), await open_hub("hub-b")

    for n in range(1, 6):
        await first.mutate("notes:add", room="a", rank=1)

        assert await second.query("notes:total", room="a") == Success(f"{n}.0")
        assert await second.mutate("notes:count", room="a") == Success(f"{n}.0")


async def test_a_session_that_moves_to_another_hub_never_goes_back(open_hub: OpenHub) -> None:
    first, second = await open_hub("hub-a"), await open_hub("hub-b")
    screen = first.screen()
    query = await screen.watch("notes:total", room="a")
    for _ in range(10):
        await screen.mutate("notes:add", room="a", rank=1)
        screen.disconnect()
        screen.hub = second if screen.hub is first else first
        before = screen.value(query)

        screen.connect()
        await screen.calm()

        assert screen.value(query) >= before


# --- who may see ---------------------------------------------------------------------------------------------------


async def test_a_result_that_depends_on_who_asks_is_not_shared(open_hub: OpenHub) -> None:
    hub = await open_hub()
    alice, bob = hub.screen(caller_of("alice")), hub.screen(caller_of("bob"))
    queries = {screen: await screen.watch("notes:visible", room="a") for screen in (alice, bob)}
    assert len(hub.engine.live) == 1, "nothing is personal yet"

    await hub.mutate("notes:add", room="a", rank=1, text="hers", owner="alice")

    await alice.until(lambda: alice.texts(queries[alice]) == ["hers"])
    await bob.until(lambda: len(hub.engine.live) == 2)
    await bob.mutate("notes:add", room="a", rank=2, text="everybody's")
    assert bob.texts(queries[bob]) == ["everybody's"]


async def test_a_new_identity_gets_its_own_results(open_hub: OpenHub) -> None:
    hub = await open_hub()
    await hub.mutate("notes:add", room="a", rank=1, text="hers", owner="alice")
    screen = hub.screen(caller_of("alice"))
    query = await screen.watch("notes:visible", room="a")
    assert screen.texts(query) == ["hers"]

    screen.client.authenticate("bob")
    await screen.calm()

    assert screen.texts(query) == []


async def test_functions_are_closed_to_nobody_unless_public(open_hub: OpenHub) -> None:
    hub = await open_hub()
    screen = hub.screen(NOBODY)
    closed, public = await screen.watch("notes:total", room="a"), await screen.watch("notes:greeting")

    assert screen.value(public) == "hello"
    assert "verified identity" in (screen.client.queries[closed].error or "")


# --- failures ------------------------------------------------------------------------------------------------------


async def test_a_query_that_raises_fails_for_its_subscribers_alone_and_recovers(open_hub: OpenHub) -> None:
    hub = await open_hub()
    screen = hub.screen()
    strict, total = await screen.watch("notes:strict", room="a"), await screen.watch("notes:total", room="a")
    assert screen.client.queries[strict].error_data == {"code": "EMPTY", "room": "a"}
    assert screen.value(total) == 0

    await screen.mutate("notes:add", room="a", rank=1, text="now")

    assert screen.texts(strict) == ["now"]


async def test_a_feed_that_lost_its_history_makes_every_query_run_again_once(open_hub: OpenHub, database: Database) -> None:
    hub = await open_hub()
    screen = hub.screen()
    await hub.mutate("notes:add", room="a", rank=1)
    query = await screen.watch("notes:total", room="a")
    assert screen.value(query) == 1

    await database.lose_history(hub.store)

    await screen.until(lambda: hub.engine.metrics.registry.get_sample_value("hub_resyncs_total") == 1)
    await screen.mutate("notes:add", room="a", rank=3)
    fresh = await hub.query("notes:total", room="a")
    assert isinstance(fresh, Success)
    assert screen.value(query) == float(fresh.value)


async def test_a_page_keeps_its_end_while_rows_come_and_go(open_hub: OpenHub) -> None:
    hub = await open_hub()
    screen = hub.screen()
    for rank in range(6):
        await hub.mutate("notes:add", room="a", rank=rank * 10, text=str(rank * 10))
    first = await screen.watch("notes:page", room="a", paginationOpts={"numItems": 3, "cursor": None, "id": 1})
    end = screen.value(first)["continueCursor"]
    second = await screen.watch("notes:page", room="a", paginationOpts={"numItems": 3, "cursor": end, "id": 1})

    await screen.mutate("notes:add", room="a", rank=5, text="5")
    await screen.mutate("notes:add", room="a", rank=25, text="25")

    assert [row["text"] for row in screen.value(first)["page"]] == ["0", "5", "10", "20"]
    assert [row["text"] for row in screen.value(second)["page"]] == ["25", "30", "40", "50"]
    screen.disconnect()
    screen.connect()
    await screen.calm()
    assert [row["text"] for row in screen.value(first)["page"]] == ["0", "5", "10", "20"], "the journal says where it ends"


async def test_a_later_subscriber_cuts_a_page_of_its_own(open_hub: OpenHub) -> None:
    hub = await open_hub()
    one, other = hub.screen(), hub.screen()
    options = {"numItems": 2, "cursor": None}
    await one.watch("notes:page", room="a", paginationOpts=options)
    for rank in range(5):
        await one.mutate("notes:add", room="a", rank=rank)

    query = await other.watch("notes:page", room="a", paginationOpts=options)

    assert len(other.value(query)["page"]) == 2


async def test_equal_queries_of_many_sessions_are_one_live_query(open_hub: OpenHub) -> None:
    hub = await open_hub()
    screens = [hub.screen(SERVICE) for _ in range(5)]
    for screen in screens:
        await screen.watch("notes:total", room="a")

    runs = hub.engine.metrics.registry.get_sample_value("hub_reruns_total")
    await screens[0].mutate("notes:add", room="a", rank=1)
    for screen in screens:
        await screen.until(lambda screen=screen: screen.value(0) == 1)  # type: ignore[misc]

    assert len(hub.engine.live) == 1
    assert hub.engine.metrics.registry.get_sample_value("hub_reruns_total") == (runs or 0) + 1


async def test_a_hub_that_is_stopped_right_after_a_commit_stops(database: Database, registry: Registry) -> None:
    for n in range(5):
        async with asyncio.timeout(30), live_hub(await database.hub(f"hub-{n}"), registry) as hub:
            for rank in range(3):
                await hub.mutate("notes:add", room="a", rank=rank)


async def test_what_other_writers_were_told_is_written_is_seen_by_the_next_call(open_hub: OpenHub, database: Database) -> None:
    hub = await open_hub()
    for n in range(1, 31):
        await database.outside(Insert("notes", {"_id": f"n{n}", "_creationTime": 1.0, "room": "a", "rank": 1.0, "text": ""}))

        assert await hub.mutate("notes:count", room="a") == Success(f"{n}.0")
        assert await hub.query("notes:total", room="a") == Success(f"{n}.0")


async def test_a_row_with_an_array_where_an_index_looks_fails_the_queries_that_would_meet_it(
    open_hub: OpenHub, database: Database
) -> None:
    hub = await open_hub()
    screen = hub.screen()
    total, other = await screen.watch("notes:total", room="a"), await screen.watch("notes:total", room="b")
    row: Row = {"_id": "n1", "_creationTime": 1.0, "room": ["a", "c"], "rank": 1.0, "text": ""}

    await database.outside(Insert("notes", row))
    await screen.mutate("notes:add", room="b", rank=2)

    assert screen.value(other) == 2
    fresh = await hub.query("notes:total", room="a")
    if isinstance(fresh, Failure):  # a real server finds the row under each element; it fits no table
        assert "InvalidRow" in fresh.code
        await screen.until(lambda: "does not fit" in (screen.client.queries[total].error or ""))


@pytest.mark.parametrize("room", ["a", "b"])
@pytest.mark.parametrize("odd", [{"room": ["a", "c"], "rank": 1.0}, {"room": "a", "rank": [1.0, 7.0]}], ids=["prefix", "after it"])
async def test_a_row_whose_array_is_put_right_by_somebody_else_is_shown_where_it_belongs(
    open_hub: OpenHub, database: Database, room: str, odd: dict[str, Value]
) -> None:
    hub = await open_hub()
    screen = hub.screen()
    at: dict[str, Value] = {"_id": "n1", "_creationTime": 1.0, "text": ""}
    await database.outside(Insert("notes", {**at, **odd}))
    totals = {name: await screen.watch("notes:total", room=name) for name in "abc"}
    by_id = await screen.watch("notes:get", noteId="n1")
    await screen.mutate("notes:add", room="b", rank=2)

    await database.outside(Update("notes", "n1", {"room": room, "rank": 5.0}, (), {**at, "room": room, "rank": 5.0}))

    await screen.until(lambda: screen.client.queries[by_id].error is None and screen.value(by_id) is not None)
    expected = {"a": 0.0, "b": 2.0, "c": 0.0}
    expected[room] += 5
    assert {name: screen.value(query) for name, query in totals.items()} == expected
