"""Sockets on a real server: on the way that takes ready frames, and on plain ASGI, which must not be told apart."""

from __future__ import annotations

import asyncio
import json
import socket
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import uvicorn
import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from hub import config
from hub.clock import SystemClock
from hub.functions.identity import SERVICE, Caller
from hub.live.mutations import MutationRequest
from hub.metrics import Metrics
from hub.protocol.messages import Authenticate
from hub.server.origins import Access
from hub.server.tokens import Authenticator
from hub.testing.memory import MemoryStore
from hub.wiring import Hub, build, uvicorn_config
from tests.live.harness import application

pytestmark = pytest.mark.real
PATIENCE_S = 20.0
BIG = "x" * 400_000
"""A list of these is more than a socket holds that nobody reads."""


class Running:
    """A hub on a server; `address` is where clients connect."""

    def __init__(self, hub: Hub, address: str, stack: AsyncExitStack) -> None:
        self.hub = hub
        self._address = address
        self._stack = stack

    async def client(self, *, receive_buffer: int | None = None, **options: Any) -> Client:
        """It has said Connect."""
        host, port = self._address.rsplit(":", 1)
        link = socket.socket()
        if receive_buffer is not None:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        link.setblocking(False)
        await asyncio.get_running_loop().sock_connect(link, (host, int(port)))
        options = {"compression": None, "max_size": None, "proxy": None, "close_timeout": 0.5, **options}
        opened = await self._stack.enter_async_context(connect(f"ws://{self._address}/api/sync", sock=link, **options))
        client = Client(opened)
        await client.say(type="Connect", sessionId=str(uuid.uuid4()), connectionCount=0, lastCloseReason=None)
        return client

    async def add(self, rank: float, text: str = "") -> None:
        engine = self.hub.engine
        args: dict[str, Any] = {"room": "a", "rank": rank, "text": text}
        await engine.mutate("notes:add", args, SERVICE, key=None, body_key="", deadline=engine.clock.monotonic() + PATIENCE_S)


class Client:
    def __init__(self, opened: ClientConnection) -> None:
        self.socket = opened
        self.shown: list[Any] = []

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def watch(self) -> None:
        """The newest notes of room a."""
        add = {"type": "Add", "queryId": 0, "udfPath": "notes:newest", "args": [{"room": "a"}]}
        await self.say(type="ModifyQuerySet", baseVersion=0, newVersion=1, modifications=[add])
        await self.until(lambda message: message["type"] == "Transition")

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            message: dict[str, Any] = json.loads(await self.socket.recv())
        self.shown += [item["value"] for item in message.get("modifications", ()) if item["type"] == "QueryUpdated"]
        return message

    async def until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while not condition(message := await self.hear()):
            pass
        return message

    @property
    def rank(self) -> float:
        """Of the newest note that it shows; -1 if it shows none."""
        return self.shown[-1][0]["rank"] if self.shown and self.shown[-1] else -1

    async def shows(self, rank: float) -> None:
        """Until its newest note is this one."""
        while self.rank != rank:
            await self.hear()

    async def ended(self) -> tuple[int, str]:
        """Read to the end; the code and reason of the close."""
        try:
            while True:
                await self.hear()
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd is not None else (1006, "")


@asynccontextmanager
async def running(ways: str, *, authenticator: Authenticator | None = None, **given: Any) -> AsyncIterator[Running]:
    settings, clock, metrics = config.load(**given), SystemClock(), Metrics(process=False)
    registry = application()
    async with AsyncExitStack() as stack:
        store = MemoryStore()
        await store.open()
        stack.push_async_callback(store.close)
        await store.prepare(registry.declared_tables(), drop_unused=True)
        authenticator = authenticator or Authenticator({}, anyone=SERVICE)
        hub = build(settings, store, registry, authenticator, Access(), clock=clock, metrics=metrics)
        served = uvicorn_config(hub)
        if ways == "asgi":
            served.ws = "websockets-sansio"
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        server = uvicorn.Server(served)
        await stack.enter_async_context(hub.engine.running())
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            async with AsyncExitStack() as clients:
                yield Running(hub, f"127.0.0.1:{listener.getsockname()[1]}", clients)
        finally:
            server.should_exit = True
            await serving


@pytest.fixture(params=["ready frames", "asgi"])
def ways(request: pytest.FixtureRequest) -> str:
    way: str = request.param
    return way


async def holds(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # the server's own business, of which nobody is told
            await asyncio.sleep(0.01)


async def test_an_answer_comes_before_the_transition_that_shows_it(ways: str) -> None:
    async with running(ways) as it:
        client = await it.client()
        await client.watch()
        kinds: list[str] = []
        for n in range(20):
            await client.say(type="Mutation", requestId=n, udfPath="notes:add", args=[{"room": "a", "rank": n, "text": "hi"}])
        while client.rank != 19:
            kinds.append((await client.hear())["type"])
            assert kinds.count("MutationResponse") >= client.rank + 1

    assert kinds.count("MutationResponse") == 20


async def test_all_sockets_show_every_size_of_message_whole(ways: str) -> None:
    """Around the lengths at which the frame's header changes."""
    async with running(ways) as it:
        clients = [await it.client() for _ in range(3)]
        for client in clients:
            await client.watch()
        for rank, size in enumerate([0, 100, 65_000, 70_000]):
            await it.add(rank, "é" * size)
            for client in clients:
                await client.shows(rank)
                assert client.shown[-1][0]["text"] == "é" * size


async def test_a_slow_reader_gets_the_newest_state_and_not_every_state(ways: str) -> None:
    async with running(ways) as it:
        slow, quick = await it.client(receive_buffer=4096, max_queue=1), await it.client()
        for client in (slow, quick):
            await client.watch()
        for rank in range(40):
            await it.add(rank, BIG)
            await quick.shows(rank)

        await slow.shows(39)

    assert len(quick.shown) >= 40
    assert len(slow.shown) < 35


async def test_a_client_that_does_not_read_is_closed_and_costs_others_nothing(ways: str) -> None:
    async with running(ways, send_timeout_s=0.5) as it:
        stuck, quick = await it.client(receive_buffer=4096, max_queue=1), await it.client()
        for client in (stuck, quick):
            await client.watch()
        for rank in range(15):
            await it.add(rank, BIG)
            await quick.shows(rank)
        await holds(lambda: len(it.hub.sockets) == 1)

        await it.add(15)
        await quick.shows(15)


async def among_many_some_leave_some_break_and_some_do_not_read(ways: str) -> None:
    """Nobody else notices, whatever state a socket is in when what many get is written to it."""
    async with running(ways) as it:
        leaving, breaking, staying = [[await it.client() for _ in range(n)] for n in (8, 8, 25)]
        slow = await it.client(receive_buffer=4096, max_queue=1)
        for client in (*leaving, *breaking, *staying, slow):
            await client.watch()
        for rank in range(12):
            for client in breaking[rank : rank + 1]:
                client.socket.transport.abort()
            closing = [asyncio.create_task(client.socket.close()) for client in leaving[rank : rank + 1]]
            await it.add(rank, BIG)
            for client in staying:
                await client.shows(rank)
            await asyncio.gather(*closing)
        await slow.shows(11)
        await holds(lambda: len(it.hub.sockets) == len(staying) + 1)

    assert [len(client.shown) for client in staying] == [13] * len(staying)
    assert len(slow.shown) < 13


async def test_among_many_some_leave_some_break_and_some_do_not_read(ways: str, caplog: pytest.LogCaptureFixture) -> None:
    await among_many_some_leave_some_break_and_some_do_not_read(ways)
    assert "session could not be" not in caplog.text


def test_and_so_it_is_on_the_loop_that_hubs_run_on(ways: str, caplog: pytest.LogCaptureFixture) -> None:
    uvloop.run(among_many_some_leave_some_break_and_some_do_not_read(ways))
    assert "session could not be" not in caplog.text


async def test_a_client_that_reads_again_in_time_stays(ways: str) -> None:
    async with running(ways, send_timeout_s=5) as it:
        slow = await it.client(receive_buffer=4096, max_queue=1)
        await slow.watch()
        for rank in range(30):
            await it.add(rank, BIG)
        await slow.shows(29)

        await it.add(30)
        await slow.shows(30)


async def test_answers_beyond_the_budget_stop_the_reading_until_the_client_reads(ways: str) -> None:
    """Nothing is lost meanwhile: all mutations are answered in the end."""
    async with running(ways, outbox_max_bytes=64 * config.KIB) as it:
        await it.add(0, BIG[:100_000])
        client = await it.client(receive_buffer=4096, max_queue=1)
        for n in range(20):
            modification = {"type": "Add", "queryId": n, "udfPath": "notes:newest", "args": [{"room": "a", "limit": n + 1}]}
            await client.say(type="ModifyQuerySet", baseVersion=n, newVersion=n + 1, modifications=[modification])
            await client.say(type="Mutation", requestId=n, udfPath="notes:add", args=[{"room": "b", "rank": n}])
        answered = 0
        while answered < 20:
            answered += (await client.hear())["type"] == "MutationResponse"


async def test_mutations_beyond_those_that_may_wait_stay_in_the_socket(ways: str) -> None:
    async with running(ways, session_mutations_max=2) as it:
        client = await it.client()
        for n in range(20):
            await client.say(type="Mutation", requestId=n, udfPath="notes:add", args=[{"room": "b", "rank": n}])

        for n in range(20):
            assert (await client.until(lambda message: message["type"] == "MutationResponse"))["requestId"] == n


class Deliberate(Authenticator):
    """Decides when it is told to."""

    def __init__(self) -> None:
        super().__init__({}, anyone=SERVICE)
        self.asked, self.may_decide = asyncio.Event(), asyncio.Event()

    async def for_socket(self, message: Authenticate) -> tuple[Caller, float | None]:
        self.asked.set()
        await self.may_decide.wait()
        return await super().for_socket(message)


async def test_what_comes_behind_a_token_waits_until_that_is_verified(ways: str) -> None:
    authenticator = Deliberate()
    async with running(ways, authenticator=authenticator) as it:
        client, other = await it.client(), await it.client()
        await client.say(type="Authenticate", baseVersion=0, tokenType="None")
        await authenticator.asked.wait()
        for n in range(3):
            await client.say(type="Mutation", requestId=n, udfPath="notes:add", args=[{"room": "a", "rank": n}])
        await other.watch()
        authenticator.may_decide.set()

        for n in range(3):
            assert (await client.until(lambda message: message["type"] == "MutationResponse"))["requestId"] == n
        assert other.shown[0] == []


async def test_silence_is_broken_by_a_ping(ways: str) -> None:
    async with running(ways, ping_interval_s=0.2) as it:
        client = await it.client()
        for _ in range(3):
            assert await client.hear() == {"type": "Ping"}


async def test_a_client_that_answers_no_ping_is_gone_within_two_heartbeats(ways: str) -> None:
    async with running(ways, socket_ping_interval_s=0.3, socket_ping_timeout_s=0.3) as it:
        client = await it.client()
        client.socket.transport.pause_reading()
        started = asyncio.get_running_loop().time()

        await holds(lambda: not it.hub.sockets)

        assert asyncio.get_running_loop().time() - started < 3
        client.socket.transport.abort()


async def test_a_dead_client_is_gone_although_something_waits_for_it(ways: str) -> None:
    async with running(ways, socket_ping_interval_s=0.5, socket_ping_timeout_s=0.5, send_timeout_s=2) as it:
        client = await it.client(receive_buffer=4096)
        await client.watch()
        client.socket.transport.pause_reading()
        for rank in range(15):
            await it.add(rank, BIG)

        await holds(lambda: not it.hub.sockets)
        client.socket.transport.abort()


async def test_a_frame_that_is_no_message_ends_the_session_with_a_reason(ways: str) -> None:
    async with running(ways) as it:
        client = await it.client()
        await client.socket.send(b"\x00")
        fatal = await client.hear()
        code, reason = await client.ended()

    assert fatal["type"] == "FatalError"
    assert (code, reason) == (1002, "BadRequest")


async def test_after_a_message_that_the_hub_failed_on_none_is_handled(ways: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client comes back and repeats what was not answered: what came behind would be done before it."""
    async with running(ways) as it:
        submit, submitted = it.hub.engine.submit, list[str | None]()

        def failing(request: MutationRequest) -> None:
            submitted.append(request.key)
            if len(submitted) == 1:
                raise RuntimeError("an error of the hub")
            submit(request)

        monkeypatch.setattr(it.hub.engine, "submit", failing)
        client = await it.client()
        messages = [
            {"type": "Mutation", "requestId": n, "udfPath": "notes:add", "args": [{"room": "a", "rank": n}]} for n in range(3)
        ]
        frames = [Frame(Opcode.TEXT, json.dumps(message).encode()).serialize(mask=True) for message in messages]
        client.socket.transport.write(b"".join(frames))  # they come at once

        await client.ended()
        await holds(lambda: not it.hub.sockets)

    assert len(submitted) == 1


async def test_a_hub_that_stops_asks_its_clients_to_go_elsewhere_after_what_it_had_to_say(ways: str) -> None:
    async with running(ways) as it:
        client, other = await it.client(receive_buffer=4096), await it.client()
        for each in (client, other):
            await each.watch()
        await it.add(1, BIG)
        await other.shows(1)  # so it was said to both
        await it.hub.sockets.close_all(0)

        codes = [(await each.ended())[0] for each in (client, other)]
        await holds(lambda: not it.hub.sockets)

    assert codes == [1012, 1012]
    assert client.rank == 1


async def test_idle_sockets_have_one_task_each_and_no_clock() -> None:
    async with running("ready frames") as it:
        before = len(asyncio.all_tasks())
        sockets = 10
        for _ in range(sockets):
            await (await it.client()).watch()
        clients = 2 * sockets  # tasks of the clients' own
        assert len(asyncio.all_tasks()) <= before + sockets + clients + 1


# --- compression ---------------------------------------------------------------------------------------------------


def compressed(client: Client) -> list[bool]:
    """Whether each message was that comes from now on."""
    found: list[bool] = []
    extensions = client.socket.protocol.extensions
    if extensions:
        decode = extensions[0].decode

        def noting(frame: Frame, *, max_size: int | None = None) -> Frame:
            if frame.opcode is Opcode.TEXT:
                found.append(frame.rsv1)
            return decode(frame, max_size=max_size)

        extensions[0].decode = noting  # type: ignore[method-assign]  # to look at what came
    return found


async def test_what_few_get_is_compressed_and_what_is_small_or_large_is_not() -> None:
    async with running("ready frames") as it:
        client = await it.client(compression="deflate")
        await client.watch()
        found = compressed(client)
        for n, size in enumerate([2_000, 100_000]):
            add = {"room": "a", "rank": n, "text": "x" * size}
            await client.say(type="Mutation", requestId=n, udfPath="notes:add", args=[add])
            await client.shows(n)

    answer, list_of_2_kb, list_of_100_kb = False, True, False
    assert found == [answer, list_of_2_kb, answer, list_of_100_kb]


async def test_what_many_get_is_not_compressed() -> None:
    async with running("ready frames") as it:
        clients = [await it.client(compression="deflate") for _ in range(22)]
        for client in clients:
            await client.watch()
        await it.add(0)
        for client in clients:
            await client.shows(0)
        found = compressed(clients[0])
        await it.add(1, "x" * 2_000)
        for client in clients:
            await client.shows(1)
            assert client.shown[-1][0]["text"] == "x" * 2_000

    assert found == [False]


async def test_only_so_many_sockets_compress_as_the_setting_says() -> None:
    async with running("ready frames", deflate_sockets_max=1) as it:
        first, second = [await it.client(compression="deflate") for _ in range(2)]
        assert [bool(each.socket.protocol.extensions) for each in (first, second)] == [True, False]
        await first.socket.close()
        await holds(lambda: len(it.hub.sockets) == 1)

        third = await it.client(compression="deflate")

        assert third.socket.protocol.extensions
