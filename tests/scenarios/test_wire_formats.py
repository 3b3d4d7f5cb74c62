"""The wire formats beside each other on real sockets: the same values on every screen, whatever is written and whatever breaks."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from hub.core.diff import same
from hub.mongo.embedded import MongodBinary
from hub.protocol import json_values
from hub.values import Value
from tests.core.test_diff import few_values, rows
from tests.model_client import ModelClient
from tests.native_client import JSON, NativeClient
from tests.protocol.test_json_values import values
from tests.scenarios.conftest import Conversation
from tests.scenarios.hub_process import HubProcess
from tests.scenarios.socket_client import SocketClient, open_client

pytestmark = pytest.mark.real

CELLS = Path(__file__).parent / "application"
NATIVE = ["hub.v1.msgpack", "hub.v1.json"]


def sync_url(hub: HubProcess, path: str = "/api/sync") -> str:
    return f"ws://127.0.0.1:{hub.port}{path}"


def a_client_of_each() -> list[ModelClient]:
    return [ModelClient(), NativeClient(), NativeClient(form=JSON)]


@pytest.fixture
async def three(hub: HubProcess) -> AsyncIterator[list[SocketClient]]:
    """One client for each wire format."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_client(sync_url(hub), model)) for model in a_client_of_each()]


# --- values --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cells(mongod_binary: MongodBinary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("cells"), app=CELLS) as hub:
        yield hub


@pytest.fixture(scope="module")
def world(cells: HubProcess) -> Iterator[tuple[asyncio.Runner, list[SocketClient]]]:
    """Clients that stay open over all examples, on a loop that does."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def opened() -> list[SocketClient]:
            clients = [await stack.enter_async_context(open_client(sync_url(cells), model)) for model in a_client_of_each()]
            for client in clients:
                await client.watch("cells:get", name="a")
                await client.until(lambda client=client: client.model.is_calm)  # type: ignore[misc]
            return clients

        yield runner, runner.run(opened())
        runner.run(stack.aclose())


@given(value=values | few_values | rows)
@example(value={"_id": "a", "text": "\N{WAVING HAND SIGN}" * 50})
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_goes_to_the_hub_and_comes_to_every_screen(
    world: tuple[asyncio.Runner, list[SocketClient]], value: Value
) -> None:
    runner, clients = world

    async def round_trip() -> None:
        stock = json.loads(json_values.encode(value))
        for client in clients:
            query = await client.watch("cells:echo", value=stock)
            call = await client.mutate("cells:put", name="a", value=stock)
            await client.until(lambda client=client: client.model.is_calm)  # type: ignore[misc]

            assert same(json_values.decode(call.result), value)
            assert same(json_values.decode(client.model.queries[query].value), value)
            await client.unwatch(query)
        for client in clients:  # each of them wrote the same
            await client.until(lambda client=client: shown(client) == shown(clients[-1]))  # type: ignore[misc]

    runner.run(round_trip())


def shown(client: SocketClient) -> str:
    return json.dumps(client.model.queries[0].value, sort_keys=True)


# --- a chat --------------------------------------------------------------------------------------------------------


async def test_screens_are_equal_over_many_writes_and_broken_sockets(
    hub: HubProcess, three: list[SocketClient], chat: Conversation
) -> None:
    dice = random.Random(7)
    for client in three:
        await client.watch("messages:list", **chat.owned, limit=30)
        await client.watch("chats:list", userId=chat.user_id)
        options = {"numItems": 5, "cursor": None, "id": 1}
        await client.watch("messages:page", **chat.owned, paginationOpts=options)
    writes = a_lot_of_writes(dice, chat)

    for number, (path, args) in enumerate(writes):
        call = await dice.choice(three).mutate(path, **args)
        assert call.result is not False
        if number % 40 == 0:
            await dice.choice(three).reconnect()
    marker = await three[0].mutate("messages:send", **chat.message("that is all"))

    for client in three:
        await client.until(lambda client=client: client.model.is_calm and "that is all" in everything(client))  # type: ignore[misc]
    assert marker.is_settled
    assert everything(three[0]) == everything(three[1]) == everything(three[2])
    native = three[1].model
    assert isinstance(native, NativeClient)
    assert {2, 4} <= set(native.kinds)


def everything(client: SocketClient) -> str:
    return json.dumps([watched.value for watched in client.model.queries.values()], sort_keys=True)


def a_lot_of_writes(dice: random.Random, chat: Conversation) -> list[tuple[str, dict[str, Any]]]:
    """Messages, replies that grow by emoji and words, and titles."""
    writes: list[tuple[str, dict[str, Any]]] = []
    for number in range(25):
        writes.append(("messages:send", chat.message(f"message {number} " + "x" * dice.randint(0, 90))))
        text = ""
        for _ in range(dice.randint(1, 14)):
            text += dice.choice(["word ", "\N{WAVING HAND SIGN}", "\N{MAN}\u200d\N{WOMAN}", "é", "\n"])
            reply = {"role": "assistant", "status": "streaming", "clientMessageId": f"reply-{number}", "content": text}
            writes.append(("messages:streamUpsert", {**chat.owned, **reply}))
        writes.append(("chats:rename", {**chat.owned, "title": f"A chat of {number}"}))
    return writes


# --- what does not fit ---------------------------------------------------------------------------------------------


async def opened(hub: HubProcess, *asked: str, path: str = "/api/sync") -> ClientConnection:
    subprotocols = [Subprotocol(name) for name in asked]
    return await connect(sync_url(hub, path), subprotocols=subprotocols or None, proxy=None)


@pytest.mark.parametrize("path", ["/api/sync", "/api/1.48.0/sync", "//api/sync"])
@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        pytest.param([], None, id="none"),
        pytest.param(["something-else"], None, id="unknown"),
        pytest.param(NATIVE, NATIVE[0], id="both"),
        pytest.param(["hub.v9.cbor", *reversed(NATIVE)], NATIVE[1], id="the first that is known"),
    ],
)
async def test_the_hub_chooses_the_first_format_that_it_knows(
    hub: HubProcess, asked: list[str], chosen: str | None, path: str
) -> None:
    async with await opened(hub, *asked, path=path) as socket:
        assert socket.subprotocol == chosen


GARBAGE: list[Any] = [
    pytest.param("hub.v1.msgpack", b"\xc1", id="no MessagePack"),
    pytest.param("hub.v1.msgpack", b"\xdd\x7f\xff\xff\xff", id="a list that is not there"),
    pytest.param("hub.v1.msgpack", b"\x91" * 100_000, id="deep"),
    pytest.param("hub.v1.msgpack", b"", id="nothing"),
    pytest.param("hub.v1.msgpack", msgpack.packb([1, 2]), id="no message"),
    pytest.param("hub.v1.msgpack", '{"type":"Connect"}', id="text for binary"),
    pytest.param("hub.v1.json", msgpack.packb({"type": "Event"}), id="binary for text"),
    pytest.param("hub.v1.json", "[1]", id="no message in JSON"),
    pytest.param(None, msgpack.packb({"type": "Event"}), id="binary on a stock socket"),
]


@pytest.mark.parametrize(("subprotocol", "frame"), GARBAGE)
async def test_a_frame_that_cannot_be_read_ends_its_socket_and_says_why(
    hub: HubProcess, subprotocol: str | None, frame: str | bytes
) -> None:
    async with await opened(hub, *([subprotocol] if subprotocol else [])) as socket:
        await socket.send(frame)
        heard = [piece async for piece in _until_closed(socket)]

    fatal = msgpack.unpackb(heard[0]) if isinstance(heard[0], bytes) else json.loads(heard[0])
    assert fatal["type"] == "FatalError"
    assert (len(heard), socket.close_code) == (1, 1002)
    assert hub.get("/ready") == 200


async def _until_closed(socket: ClientConnection) -> AsyncIterator[str | bytes]:
    try:
        async with asyncio.timeout(20):
            async for frame in socket:
                yield frame
    except ConnectionClosed:
        return


@given(frame=st.binary(max_size=200))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_binary_frame_harms_the_hub(hub: HubProcess, frame: bytes) -> None:
    async def send() -> None:
        async with await opened(hub, "hub.v1.msgpack") as socket:
            await socket.send(frame)
            await socket.send(msgpack.packb({"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1, "modifications": []}))
            async with asyncio.timeout(20):
                assert await socket.recv()

    asyncio.run(send())


async def test_who_comes_back_to_a_hub_that_was_started_again_is_told_that_nothing_changed(cells: HubProcess) -> None:
    model = NativeClient()
    async with open_client(sync_url(cells), model) as client:
        await client.watch("cells:get", name="restart")
        await client.mutate("cells:put", name="restart", value={"text": "a long text " * 1_000})
        await client.until(lambda: model.queries[0].value is not None)
        shown, so_far = model.queries[0].value, model.received_bytes
        cells.stop()
        cells.start()

        await client.reconnect()
        await client.until(lambda: model.is_calm)

    assert (model.kinds[-1], model.queries[0].value) == (4, shown)
    assert model.received_bytes - so_far < 200
