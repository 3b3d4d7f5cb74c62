"""Who comes back with values gets what changed, from whichever hub, and never anything that another identity was shown."""

from __future__ import annotations

import pytest

from hub.functions.registry import Registry
from hub.live.query import QueryKey
from hub.live.recents import (
    KEY_BYTES,
    MAX_DIGESTED_BYTES,
    MAX_DIGESTED_BYTES_FOR_ONE,
    MAX_FOR_ONE_QUERY,
    Allowance,
    Recents,
    found,
)
from hub.protocol.content import Content
from hub.protocol.messages import Resumed
from hub.testing.memory import MemoryDatabase, MemoryStore
from tests.live.conftest import OpenHub
from tests.live.harness import LiveHub, Screen, caller_of, live_hub
from tests.model_client import ModelClient
from tests.native_client import JSON, NativeClient

LONG = "a text that is long enough for an edit to be smaller than it, which a few words would not be"
UPDATED, PATCHED, FAILED, RESUMED = 1, 2, 3, 4


async def a_reader(hub: LiveHub, path: str = "notes:newest", client: NativeClient | None = None) -> tuple[Screen, NativeClient]:
    client = client or NativeClient()
    screen = hub.screen(client=client)
    await screen.watch(path, room="a")
    return screen, client


async def come_back(screen: Screen, hub: LiveHub | None = None) -> None:
    screen.hub = hub or screen.hub
    screen.connect()
    await screen.calm()


async def test_who_comes_back_to_the_same_is_told_so(open_hub: OpenHub) -> None:
    hub = await open_hub()
    await hub.mutate("notes:add", room="a", rank=1, text=LONG)
    screen, client = await a_reader(hub)
    screen.disconnect()
    so_far = client.received_bytes

    await come_back(screen)

    assert client.kinds == [UPDATED, RESUMED]
    assert screen.texts(0) == [LONG]
    assert client.received_bytes - so_far < 50


@pytest.mark.parametrize("somebody_stays", [True, False])
async def test_who_comes_back_to_a_change_gets_an_edit(open_hub: OpenHub, somebody_stays: bool) -> None:
    hub = await open_hub()
    await hub.mutate("notes:add", room="a", rank=1, text=LONG)
    screen, client = await a_reader(hub, client=NativeClient(form=JSON))
    if somebody_stays:
        await hub.screen().watch("notes:newest", room="a")
    screen.disconnect()

    for n in range(5):
        await hub.mutate("notes:add", room="a", rank=0, text=f"{n}")
    await come_back(screen)
    await hub.mutate("notes:add", room="a", rank=2, text="and goes on")
    await screen.until(lambda: len(screen.texts(0)) == 3 and screen.texts(0)[0] == "and goes on")

    assert client.kinds[:2] == [UPDATED, RESUMED]


@pytest.mark.parametrize("somebody_stays", [True, False])
async def test_what_was_lost_in_the_socket_is_made_up_for(open_hub: OpenHub, somebody_stays: bool) -> None:
    hub = await open_hub()
    await hub.mutate("notes:add", room="a", rank=1, text=LONG)
    screen, client = await a_reader(hub)
    other = hub.screen()
    await other.watch("notes:newest", room="a")
    screen.reads = False
    await hub.mutate("notes:add", room="a", rank=2, text="lost")
    await other.until(lambda: other.texts(0) == ["lost", LONG])
    screen.disconnect()
    screen.reads = True
    if not somebody_stays:
        other.disconnect()

    await come_back(screen)

    assert client.kinds == [UPDATED, RESUMED]
    assert screen.texts(0) == ["lost", LONG]


async def test_another_hub_needs_only_the_digest(open_hub: OpenHub) -> None:
    here, there = await open_hub("hub-a"), await open_hub("hub-b")
    await here.mutate("notes:add", room="a", rank=1, text=LONG)
    screen, client = await a_reader(here)
    screen.disconnect()

    await come_back(screen, there)
    screen.disconnect()
    await here.mutate("notes:add", room="a", rank=2, text="more")
    await come_back(screen, here)

    assert client.kinds == [UPDATED, RESUMED, RESUMED]
    assert screen.texts(0) == ["more", LONG]


async def test_another_hub_that_showed_the_same_a_moment_ago_sends_an_edit(open_hub: OpenHub) -> None:
    here, there = await open_hub("hub-a"), await open_hub("hub-b")
    stays = there.screen()
    await stays.watch("notes:newest", room="a")
    await here.mutate("notes:add", room="a", rank=1, text=LONG)
    screen, client = await a_reader(here)
    await stays.until(lambda: stays.texts(0) == [LONG])
    screen.disconnect()
    await here.mutate("notes:add", room="a", rank=2, text="more")
    await stays.until(lambda: len(stays.texts(0)) == 2)

    await come_back(screen, there)

    assert client.kinds == [UPDATED, RESUMED]
    assert screen.texts(0) == ["more", LONG]


async def test_a_hub_that_was_started_again_needs_only_the_digest(memory: MemoryDatabase, registry: Registry) -> None:
    store = MemoryStore(memory, name="hub-a")
    await store.open()
    async with live_hub(store, registry) as first:
        await first.mutate("notes:add", room="a", rank=1, text=LONG)
        screen, client = await a_reader(first)
        screen.disconnect()
    await store.close()
    again = MemoryStore(memory, name="hub-a")
    await again.open()
    async with live_hub(again, registry) as second:
        await come_back(screen, second)
    await again.close()

    assert client.kinds == [UPDATED, RESUMED]
    assert screen.texts(0) == [LONG]


async def test_what_another_identity_was_shown_is_not_there(open_hub: OpenHub) -> None:
    """Alice's screen showed what Bob's does not: a client that offers Alice's digest as Bob gets Bob's whole value."""
    hub = await open_hub()
    await hub.mutate("notes:add", room="a", rank=1, text=LONG, owner="alice")
    await hub.mutate("notes:add", room="a", rank=2, text=LONG)
    client = NativeClient()
    screen = hub.screen(caller_of("alice"), client=client)
    await screen.watch("notes:visible", room="a")
    assert len(screen.texts(0)) == 2
    screen.disconnect()

    as_bob = hub.screen(caller_of("bob"), client=client)
    await as_bob.calm()

    assert client.kinds == [UPDATED, UPDATED]
    assert len(as_bob.texts(0)) == 1


async def test_nothing_is_kept_for_stock_clients(open_hub: OpenHub) -> None:
    hub = await open_hub()
    await hub.mutate("notes:add", room="a", rank=1, text=LONG)
    stock, (native, _) = hub.screen(client=ModelClient()), await a_reader(hub)
    await stock.watch("notes:newest", room="a")

    stock.disconnect()
    kept_of_stock = hub.engine.recents.size_bytes
    native.disconnect()

    assert kept_of_stock == 0
    assert hub.engine.recents.size_bytes > len(LONG)


async def test_a_value_leads_on_also_behind_an_error(open_hub: OpenHub) -> None:
    hub = await open_hub()
    await hub.mutate("notes:add", room="a", rank=1, text=LONG)
    screen, client = await a_reader(hub, "notes:strict")
    note_id = screen.value(0)[0]["_id"]

    await hub.mutate("notes:move", noteId=note_id, room="b", rank=1)
    await screen.until(lambda: client.queries[0].error is not None)
    await hub.mutate("notes:move", noteId=note_id, room="a", rank=1)
    await screen.until(lambda: client.queries[0].error is None)

    assert client.kinds == [UPDATED, FAILED, PATCHED]
    assert screen.texts(0) == [LONG]


# --- what is kept --------------------------------------------------------------------------------------------------


def a_key(name: str) -> QueryKey:
    return QueryKey(name, "{}", None, None)


def test_what_is_kept_is_bounded_and_the_longest_left_goes_first() -> None:
    of_key = KEY_BYTES + len("q:0" + "{}")
    recents = Recents(max_bytes=3 * (of_key + 30) + 10)
    contents = [Content(n, 30) for n in range(4)]

    for n, content in enumerate(contents):
        recents.keep(a_key(f"q:{n}"), [content])

    assert [list(recents.of(a_key(f"q:{n}"))) for n in range(4)] == [[], *([content] for content in contents[1:])]
    assert recents.size_bytes == 3 * (of_key + 30)
    recents.keep(a_key("q:1"), [contents[1]])  # somebody else left it, later
    recents.keep(a_key("q:4"), [Content(4, 30)])
    assert [bool(recents.of(a_key(f"q:{n}"))) for n in range(5)] == [False, True, False, True, True]
    recents.keep(a_key("q:9"), [Content("large", 10_000)])
    assert recents.size_bytes == 0


def test_what_is_kept_counts_with_the_arguments_that_it_is_kept_under() -> None:
    recents = Recents(max_bytes=1_000_000)

    for n in range(1_000):
        recents.keep(QueryKey("q:q", f"{n}".rjust(100_000), None, None), [Content(None, 4)])

    assert sum(bool(recents.of(QueryKey("q:q", f"{n}".rjust(100_000), None, None))) for n in range(1_000)) <= 10


def test_what_nobody_can_prove_to_hold_is_not_kept_in_place_of_others() -> None:
    recents = Recents(max_bytes=1_000_000)
    recents.keep(a_key("q:small"), [small := Content("small", 10)])

    recents.keep(a_key("q:huge"), [Content("huge", MAX_DIGESTED_BYTES + 1)])

    assert list(recents.of(a_key("q:small"))) == [small]


def test_of_one_query_only_the_latest_are_kept_and_each_counts_once() -> None:
    recents = Recents(max_bytes=10_000)
    empty = KEY_BYTES + len("q:q" + "{}")
    contents = [Content(n, 10) for n in range(MAX_FOR_ONE_QUERY + 2)]

    for content in [*contents, contents[-1]]:
        recents.keep(a_key("q:q"), [content])

    assert list(recents.of(a_key("q:q"))) == contents[2:]
    assert recents.size_bytes == empty + 10 * MAX_FOR_ONE_QUERY


def test_best_is_what_is_shown_now_then_what_the_client_named_first() -> None:
    now, one, other, huge = Content("now", 3), Content("one", 3), Content("other", 5), Content("huge", 10**9)

    assert found([one.digest, now.digest], now, [one], Allowance()) == Resumed(1, now)
    assert found([other.digest, one.digest], now, [one, other], Allowance()) == Resumed(0, other)
    assert found([bytes(32), one.digest], now, [other, one], Allowance()) == Resumed(1, one)
    assert found([bytes(32)], now, [one], Allowance()) is None
    assert found([Content("huge", 1).digest], huge, [], Allowance()) is None


def test_for_one_client_so_much_is_digested_and_no_more() -> None:
    allowance = Allowance()
    values = [Content(n, MAX_DIGESTED_BYTES) for n in range(100)]

    for value in values:
        found([bytes(32)], value, [], allowance)

    assert sum(value.is_digested for value in values) * MAX_DIGESTED_BYTES == MAX_DIGESTED_BYTES_FOR_ONE
    assert found([values[0].digest], values[0], [], allowance) == Resumed(0, values[0]), "it costs nothing any more"
