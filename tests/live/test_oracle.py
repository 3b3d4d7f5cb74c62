"""The oracle: whatever happens, every screen shows what its queries would return, and showed it at every moment.

Random writes, through hubs and behind their backs, against random queries of several clients on two hubs, with sockets that
break, feeds that lag or lose their history, clients that stop reading and users who change. One client speaks the stock format, the
others the hub's own: what they show is what the edits gave that they were sent. Whenever things have settled, each
client's values equal a fresh run; each transition that any client ever got was true at its timestamp; each mutation happened once.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import AsyncMongoClient

from hub.functions.identity import SERVICE, Caller
from hub.functions.registry import Registry
from hub.protocol.messages import Failure, Result, Success
from hub.store import Delete, Insert, Update
from hub.testing.memory import MemoryStore
from hub.timestamps import Timestamp
from tests.contract.databases import Database, InMemory
from tests.contract.on_mongo import OnMongo
from tests.live.harness import LiveHub, Screen, application, live_hub
from tests.model_client import Call, ModelClient, to_ts
from tests.native_client import JSON, NativeClient

ROOMS = ("a", "b")
rooms = st.sampled_from(ROOMS)
ranks = st.integers(0, 4)
screens = st.integers(0, 2)
notes = st.integers(0, 7)

queries = st.one_of(
    st.tuples(st.just("notes:newest"), st.fixed_dictionaries({"room": rooms, "limit": st.integers(1, 3)})),
    st.tuples(st.just("notes:between"), st.fixed_dictionaries({"room": rooms, "low": ranks, "high": ranks})),
    st.tuples(st.just("notes:total"), st.fixed_dictionaries({"room": rooms})),
    st.tuples(st.just("notes:visible"), st.fixed_dictionaries({"room": rooms})),
    st.tuples(st.just("notes:strict"), st.fixed_dictionaries({"room": rooms})),
    st.tuples(
        st.just("notes:page"),
        st.fixed_dictionaries({"room": rooms, "paginationOpts": st.just({"numItems": 2, "cursor": None, "id": 1})}),
    ),
)
steps = st.one_of(
    st.tuples(st.just("add"), screens, rooms, ranks, st.sampled_from([None, None, "alice", "bob"])),
    st.tuples(st.just("move"), screens, notes, rooms, ranks),
    st.tuples(st.just("write"), screens, notes),
    st.tuples(st.just("say"), screens, notes, st.lists(st.text("ab\u00e9\U0001f600", max_size=3), max_size=70)),
    st.tuples(st.just("tag"), screens, notes, st.integers(0, 5), st.lists(st.sampled_from("xyz"), max_size=4)),
    st.tuples(st.just("remove"), screens, notes),
    st.tuples(st.just("both"), screens, ranks),
    st.tuples(st.just("refuse"), screens, rooms),
    st.tuples(st.just("outside insert"), rooms, ranks),
    st.tuples(st.just("outside update"), notes, rooms, ranks),
    st.tuples(st.just("outside delete"), notes),
    st.tuples(st.just("watch"), screens, queries),
    st.tuples(st.just("unwatch"), screens),
    st.tuples(st.just("reconnect"), screens, st.integers(0, 1)),
    st.tuples(st.just("stop reading"), screens),
    st.tuples(st.just("identify"), screens, st.sampled_from(["alice", "bob"])),
    st.tuples(st.just("hold feed"), st.integers(0, 1)),
    st.tuples(st.just("lose history"), st.integers(0, 1)),
    st.tuples(st.just("settle")),
)


@dataclass(frozen=True)
class Shown:
    """What a client showed after one transition."""

    ts: int
    caller: Caller
    queries: dict[int, tuple[str, dict[str, Any], Any, str | None, Any]]


class World:
    def __init__(self, database: Database, hubs: list[LiveHub]) -> None:
        self.database = database
        self.hubs = hubs
        clients = [ModelClient(), NativeClient(), NativeClient(form=JSON)]
        self.screens = [
            hubs[i % len(hubs)].screen(SERVICE, client=client, is_written_at_once=i < 2) for i, client in enumerate(clients)
        ]
        for screen in self.screens[1:]:  # from the start, so that there is much to lead on from
            screen.client.watch("notes:newest", room="a", limit=3)
            screen.client.watch("notes:strict", room="b")
        self.shown: dict[Screen, list[Shown]] = {screen: [] for screen in self.screens}
        self.calls: list[Call] = []
        self.names = (f"text {n}" for n in itertools.count())
        self.outside_ids = (f"outside-{n}" for n in itertools.count())

    async def play(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("add", screen, room, rank, owner):
                self.mutate(screen, "notes:add", room=room, rank=rank, text=next(self.names), **({"owner": owner} if owner else {}))
            case ("move", screen, note, room, rank):
                await self.with_note(note, lambda id: self.mutate(screen, "notes:move", noteId=id, room=room, rank=rank))
            case ("write", screen, note):
                await self.with_note(note, lambda id: self.mutate(screen, "notes:write", noteId=id, text=next(self.names)))
            case ("say", screen, note, more):
                await self.with_note(note, lambda id: self.mutate(screen, "notes:say", noteId=id, more=more))
            case ("tag", screen, note, keep, tags):
                await self.with_note(note, lambda id: self.mutate(screen, "notes:tag", noteId=id, keep=keep, tags=tags))
            case ("remove", screen, note):
                await self.with_note(note, lambda id: self.mutate(screen, "notes:remove", noteId=id))
            case ("both", screen, rank):
                self.mutate(screen, "notes:addTwo", one="a", other="b", rank=rank)
            case ("refuse", screen, room):
                self.mutate(screen, "notes:refuse", room=room)
            case ("outside insert", room, rank):
                row = {"_id": next(self.outside_ids), "_creationTime": 1.0, "room": room, "rank": float(rank), "text": "outside"}
                await self.database.outside(Insert("notes", row))
            case ("outside update", note, room, rank):
                await self.update_outside(note, room, float(rank))
            case ("outside delete", note):
                row_or_none = await self.row(note)
                if row_or_none is not None:
                    await self.database.outside(Delete("notes", row_or_none["_id"]))
            case ("watch", screen, (path, args)):
                self.screens[screen].client.watch(path, **args)
            case ("unwatch", screen):
                client = self.screens[screen].client
                if client.queries:
                    client.unwatch(min(client.queries))
            case ("reconnect", screen, hub):
                self.reconnect(self.screens[screen], self.hubs[hub % len(self.hubs)])
            case ("stop reading", screen):
                self.screens[screen].reads = False
            case ("identify", screen, user):
                if self.screens[screen].connection is not None:
                    self.screens[screen].client.authenticate(user)
            case ("hold feed", hub):
                store = self.hubs[hub % len(self.hubs)].store
                if isinstance(store, MemoryStore):
                    store.feed.hold()
            case ("lose history", hub):
                store = self.hubs[hub % len(self.hubs)].store
                if isinstance(store, MemoryStore):
                    store.lose_history()
                    store.database.elsewhere()
            case ("settle",):
                await self.settle()
        self.pump()
        await asyncio.sleep(0)
        self.pump()

    def mutate(self, screen: int, path: str, **args: Any) -> None:
        if self.screens[screen].connection is not None:
            self.calls.append(self.screens[screen].client.mutate(path, **args))

    async def row(self, note: int) -> dict[str, Any] | None:
        """One of the notes there are, by number."""
        self.release()
        rows = await self.rows()
        return rows[note % len(rows)] if rows else None

    async def rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for room in ROOMS:
            args: dict[str, Any] = {"room": room, "limit": 1000.0}
            found, _ = await self.hubs[0].engine.query("notes:newest", args, SERVICE, deadline=self.deadline())
            assert isinstance(found, Success)
            rows += json.loads(found.value)
        return sorted(rows, key=lambda row: str(row["_id"]))

    async def with_note(self, note: int, act: Callable[[str], None]) -> None:
        row = await self.row(note)
        if row is not None:
            act(row["_id"])

    async def update_outside(self, note: int, room: str, rank: float) -> None:
        row = await self.row(note)
        if row is not None:
            await self.database.outside(
                Update("notes", row["_id"], {"room": room, "rank": rank}, (), {**row, "room": room, "rank": rank})
            )

    def reconnect(self, screen: Screen, hub: LiveHub) -> None:
        """The socket breaks, with whatever was in it, and the client comes back, to either hub."""
        screen.disconnect()
        screen.reads = True
        screen.hub = hub
        screen.connect()

    # --- settling ----------------------------------------------------------------------------------------------

    def release(self) -> None:
        for hub in self.hubs:
            if isinstance(hub.store, MemoryStore):
                hub.store.feed.release()

    def pump(self) -> None:
        for screen in self.screens:
            screen.pump()

    async def settle(self) -> None:
        """Let everything come to rest, then ask the oracle."""
        self.release()
        for screen in self.screens:
            screen.reads = True
            if screen.connection is None:
                self.reconnect(screen, screen.hub)
        give_up = time.monotonic() + 30
        while not await self.is_settled():
            assert time.monotonic() < give_up, [screen.client for screen in self.screens]
            self.pump()
            await asyncio.sleep(0.001)
        for screen in self.screens:
            await self.check_values(screen)

    async def is_settled(self) -> bool:
        """Every client has what it asked for, every hub has what was committed, and every query was run since."""
        if not self.is_calm():
            return False
        latest = [await hub.engine.latest(self.deadline()) for hub in self.hubs]
        self.pump()
        is_current = all(hub.engine.head >= ts for hub, ts in zip(self.hubs, latest, strict=True))
        is_idle = not any(live.is_stale for hub in self.hubs for live in hub.engine.live)
        return is_current and is_idle and self.is_calm()

    def is_calm(self) -> bool:
        return all(screen.client.is_calm and screen.connection is not None for screen in self.screens)

    async def check_values(self, screen: Screen) -> None:
        for watched in screen.client.queries.values():
            result = await fresh(screen.hub, watched.path, watched.args, watched.value, screen.caller)
            assert_shows(result, watched.value, watched.error, watched.error_data)

    async def check_history(self) -> None:
        """Every transition that anybody got was true at its timestamp."""
        for screen, history in self.shown.items():
            for shown in history:
                for path, args, value, error, data in shown.queries.values():
                    result = await fresh(screen.hub, path, args, value, shown.caller, Timestamp(shown.ts))
                    assert_shows(result, value, error, data)

    async def check_calls(self) -> None:
        """Every mutation happened at most once, and one that raised not at all."""
        texts = [row["text"] for row in await self.rows()]
        for call in self.calls:
            if call.path == "notes:add":
                assert texts.count(call.args["text"]) <= 1
        assert "never seen" not in texts

    def deadline(self) -> float:
        return time.monotonic() + 30


async def fresh(hub: LiveHub, path: str, args: dict[str, Any], shown: Any, caller: Caller, at: Timestamp | None = None) -> Result:
    """What the query returns; a page up to the end that was fixed when it was first shown."""
    if path == "notes:page" and shown is not None:
        args = {**args, "paginationOpts": {**args["paginationOpts"], "endCursor": shown["continueCursor"]}}
    wire = {name: float(value) if isinstance(value, int) else value for name, value in args.items()}
    result, _ = await hub.engine.query(path, wire, caller, at_ts=at, deadline=time.monotonic() + 30)
    return result


def assert_shows(result: Result, value: Any, error: str | None, data: Any) -> None:
    if isinstance(result, Failure):
        assert error == result.message
        assert data == (None if result.data is None else json.loads(result.data))
    else:
        assert error is None
        assert value == json.loads(result.value)


async def play(world: World, script: list[tuple[Any, ...]]) -> None:
    for screen in world.screens:
        screen.on_transition = lambda screen: world.shown[screen].append(
            Shown(
                to_ts(screen.client.version["ts"]),
                screen.callers[screen.client.version["identity"]],
                {
                    query_id: (watched.path, watched.args, watched.value, watched.error, watched.error_data)
                    for query_id, watched in screen.client.queries.items()
                    if watched.has_result
                },
            )
        )
    for step in script:
        await world.play(step)
    await world.settle()
    await world.check_history()
    await world.check_calls()


@pytest.fixture(autouse=True)
def every_result_is_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what is written at once leaves in volleys."""
    monkeypatch.setattr("hub.live.evaluations._WIDE", 0)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return application()


@given(script=st.lists(steps, min_size=5, max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=150)
def test_every_screen_shows_what_its_queries_return_whatever_happens(registry: Registry, script: list[tuple[Any, ...]]) -> None:
    async def run() -> None:
        async with AsyncExitStack() as stack:
            database = InMemory(stack)
            hubs = [
                await stack.enter_async_context(live_hub(await database.hub(name), registry, repeat_hold_s=0.01))
                for name in ("hub-a", "hub-b")
            ]
            await play(World(database, hubs), script)

    asyncio.run(run())


@given(script=st.lists(steps, min_size=5, max_size=30), cache_max_bytes=st.sampled_from([0, 12_000]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=80)
def test_and_so_it_is_with_little_memory_and_with_none(
    registry: Registry, script: list[tuple[Any, ...]], cache_max_bytes: int
) -> None:
    async def run() -> None:
        async with AsyncExitStack() as stack:
            database = InMemory(stack)
            hubs = [
                await stack.enter_async_context(
                    live_hub(await database.hub(name), registry, repeat_hold_s=0.01, cache_max_bytes=cache_max_bytes)
                )
                for name in ("hub-a", "hub-b")
            ]
            await play(World(database, hubs), script)

    asyncio.run(run())


@pytest.mark.real
@given(script=st.lists(steps, min_size=10, max_size=25))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=5)
def test_and_so_it_is_on_a_real_replica_set(
    mongo_url: str, database_name: str, registry: Registry, script: list[tuple[Any, ...]]
) -> None:
    async def run() -> None:
        async with AsyncExitStack() as stack:
            name = f"{database_name}-{next(_examples)}"
            client = await stack.enter_async_context(AsyncMongoClient[dict[str, Any]](mongo_url))
            stack.push_async_callback(client.drop_database, name)
            database = OnMongo(stack, mongo_url, name, "pymongo")
            hubs = [
                await stack.enter_async_context(live_hub(await database.hub(name), registry, repeat_hold_s=0.01))
                for name in ("hub-a", "hub-b")
            ]
            await play(World(database, hubs), script)

    asyncio.run(run())


_examples = itertools.count()
