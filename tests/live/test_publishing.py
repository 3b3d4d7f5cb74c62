"""Handing a result to very many: the loop gets its turns, and whoever wrote sees it first."""

from __future__ import annotations

import asyncio
import json

import pytest

from hub.clock import SystemClock
from hub.core.ranges import IndexRange
from hub.functions.identity import SERVICE
from hub.live.query import LiveQuery, Subscription
from hub.protocol import volley
from hub.protocol.messages import QueryId, Success
from hub.protocol.steps import Steps
from hub.testing.memory import MemoryDatabase, MemoryStore
from hub.timestamps import Timestamp
from hub.values import Row
from tests.live.harness import LiveHub, Screen, application, live_hub


class Ticking(SystemClock):
    """Also moves when it is told to: what takes long in a test takes no time."""

    def __init__(self) -> None:
        self.added_s = 0.0
        monotonic = SystemClock.monotonic
        self.monotonic = lambda: monotonic() + self.added_s


class Audience:
    """Shows one query of a room; each showing takes a millisecond. `order` is who was shown something, one after the other."""

    def __init__(self, name: str, hub: LiveHub, clock: Ticking, order: list[str]) -> None:
        self._name, self._hub, self._clock, self._order = name, hub, clock, order
        self._subscription = Subscription(self, QueryId(0), SERVICE, "notes:newest", {"room": "a"}, None)
        hub.engine.live.watch(self._subscription)

    def refresh(self) -> None:
        self._clock.added_s += 0.001
        self._order.append(self._name)

    def step(self, subscription: Subscription, steps: Steps, now: float) -> bool:
        self.refresh()
        return False

    def shown(self) -> list[LiveQuery]:
        return [self._subscription.live] if self._subscription.live is not None else []

    def awaits_the_next_head(self) -> None:
        self._hub.engine.refresh_at_next_head(self)


async def everybody(order: list[str], count: int) -> None:
    async with asyncio.timeout(20):
        while len(order) < count:  # noqa: ASYNC110  # turns of the loop are what is counted
            await asyncio.sleep(0)


@pytest.fixture
def clock() -> Ticking:
    return Ticking()


async def test_publishing_to_many_gives_way_to_the_loop_every_few_milliseconds(store: MemoryStore, clock: Ticking) -> None:
    async with live_hub(store, application(), clock=clock) as hub:
        order: list[str] = []
        audience = [Audience(str(n), hub, clock, order) for n in range(500)]
        await everybody(order, len(audience))
        order.clear()
        most, seen = 0, 0

        await hub.mutate("notes:add", room="a", rank=1)
        async with asyncio.timeout(20):
            while len(order) < len(audience):
                await asyncio.sleep(0)
                most, seen = max(most, len(order) - seen), len(order)

        assert most <= 10


async def test_mutations_go_on_while_a_result_is_handed_out(store: MemoryStore, clock: Ticking) -> None:
    async with live_hub(store, application(), clock=clock) as hub:
        order: list[str] = []
        audience = [Audience(str(n), hub, clock, order) for n in range(2_000)]
        await everybody(order, len(audience))
        order.clear()
        await hub.mutate("notes:add", room="a", rank=1)
        await everybody(order, 1)

        await hub.mutate("notes:add", room="b", rank=1)

        assert len(order) < len(audience)


async def test_whoever_wrote_is_shown_it_first(store: MemoryStore, clock: Ticking) -> None:
    async with live_hub(store, application(), clock=clock) as hub:
        order: list[str] = []
        audience = [Audience(str(n), hub, clock, order) for n in range(200)]
        await everybody(order, len(audience))
        for author in ("20", "120"):
            order.clear()
            audience[int(author)].awaits_the_next_head()

            await hub.mutate("notes:add", room="a", rank=1)
            await everybody(order, len(audience) + 1)

            assert order[:2] == [author, author]  # when the head moved, and with the result


class Far(MemoryStore):
    """A database that answers after a second, by the hub's clock."""

    def __init__(self, database: MemoryDatabase, clock: Ticking) -> None:
        super().__init__(database)
        self._ticking = clock

    async def read(self, wanted: IndexRange, at: Timestamp) -> list[Row]:
        self._ticking.added_s += 1.0
        return await super().read(wanted, at)


async def test_a_query_that_waited_for_the_database_does_not_count_as_a_slow_one(memory: MemoryDatabase, clock: Ticking) -> None:
    async with live_hub(Far(memory, clock), application(), clock=clock) as hub:
        order: list[str] = []
        audience = Audience("one", hub, clock, order)
        await everybody(order, 1)

        assert all(live.took_s < 0.5 for live in audience.shown())
        assert clock.added_s >= 1.0


async def test_a_session_that_cannot_be_written_to_ends_and_all_others_are_shown_the_result(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with live_hub(store) as hub:
        screens = [hub.screen() for _ in range(8)]
        shown = [await screen.watch("notes:newest", room="a") for screen in screens]
        breaks(screens[0], monkeypatch)
        await hub.mutate("notes:add", room="a", rank=1)

        for screen, query_id in list(zip(screens, shown, strict=True))[1:]:
            await screen.until(lambda screen=screen, query_id=query_id: len(screen.value(query_id)) == 1)  # type: ignore[misc]
        assert screens[0].connection is not None
        assert screens[0].connection.is_over


async def test_an_answer_or_a_ping_that_cannot_be_written_ends_its_session_and_nothing_else(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with live_hub(store) as hub:
        author, idle, other = hub.screen(), hub.screen(), hub.screen()
        shown = await other.watch("notes:newest", room="a")
        breaks(author, monkeypatch)
        breaks(idle, monkeypatch)
        author.client.mutate("notes:add", room="a", rank=1)
        author.pump()
        assert idle.connection is not None
        idle.connection.beat(hub.engine.clock.monotonic() + 3600)

        await hub.mutate("notes:add", room="a", rank=2)
        await other.until(lambda: len(other.value(shown)) == 2)
        assert author.connection is not None
        assert (author.connection.is_over, idle.connection.is_over) == (True, True)


def breaks(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> None:
        raise RuntimeError("what compresses its frames is broken")

    assert screen.connection is not None
    monkeypatch.setattr(screen.connection.outbox, "_write", failing)


async def test_a_volley_reaches_everybody_whatever_stands_between(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some are written to at once and some are not, one is paused, one is broken, and they are more than a volley."""
    async with live_hub(store) as hub:
        screens = [hub.screen(is_written_at_once=n % 5 != 0) for n in range(2 * volley.MAX_FRAMES)]
        shown = [await screen.watch("notes:newest", room="a") for screen in screens]
        screens[7].reads = False
        broken = screens[11]

        def failing(pieces: object) -> None:
            raise RuntimeError("the handler is closed")

        monkeypatch.setattr(broken.wire, "writelines", failing)
        for rank in (1, 2):
            await hub.mutate("notes:add", room="a", rank=rank)
            await screens[0].until(lambda rank=rank: len(screens[0].value(shown[0])) == rank)  # type: ignore[misc]
        screens[7].reads = True

        for screen, query_id in zip(screens, shown, strict=True):
            if screen is not broken:
                await screen.until(lambda screen=screen, query_id=query_id: len(screen.value(query_id)) == 2)  # type: ignore[misc]
        broken.pump()
        assert broken.last_close is not None
        assert broken.last_close.code == 1011


async def test_when_the_loop_gets_its_turn_everybody_has_what_their_session_says(store: MemoryStore, clock: Ticking) -> None:
    """Else what the loop does next could be written before it."""
    async with live_hub(store, application(), clock=clock) as hub:
        order: list[str] = []
        slow = [Audience(str(n), hub, clock, order) for n in range(20)]
        await everybody(order, len(slow))
        screens = [hub.screen(is_written_at_once=True) for _ in range(40)]
        shown = [await screen.watch("notes:newest", room="a") for screen in screens]
        order.clear()
        turns = set[int]()

        await hub.mutate("notes:add", room="a", rank=1)
        while len(order) < len(slow):
            await asyncio.sleep(0)
            turns.add(len(order))
            for screen, query_id in zip(screens, shown, strict=True):
                screen.pump()
                told = screen.session.shown[QueryId(query_id)]
                assert isinstance(told, Success)
                assert json.loads(told.value) == screen.value(query_id)

        assert len(turns) > 2
