"""Subscriptions of both clients, against a real hub and against sockets that break the protocol."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Iterator

import pytest
from websockets.asyncio.server import ServerConnection

from hub.client import (
    ApplicationError,
    AsyncHubClient,
    BadRequest,
    Forbidden,
    FunctionFailed,
    HubClient,
    Timeouts,
    Unauthorized,
    Unavailable,
)
from hub.client.sockets import refuse_redirect
from tests.client.conftest import AnySubscription, Open
from tests.client.faults import CUT, Reply, answering, talking, transition
from tests.scenarios.conftest import Conversation, contents, shows
from tests.scenarios.hub_process import HubProcess, free_port
from tests.scenarios.proxy import proxy_to

pytestmark = pytest.mark.real


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    """The synchronous library reads each socket in a thread of its own."""
    before = {thread for thread in threading.enumerate() if "recv_events" in thread.name or "keepalive" in thread.name}
    yield
    after = {thread for thread in threading.enumerate() if "recv_events" in thread.name or "keepalive" in thread.name}
    assert after <= before


async def test_a_subscription_shows_the_value_and_each_change(open_client: Open, hub: HubProcess, chat: Conversation) -> None:
    client = open_client(hub.url)
    screen = client.subscribe("messages:list", chat.owned)
    assert await anext(screen) == []

    for content in ("one", "two"):
        await client.mutation("messages:send", chat.message(content))

    assert contents((await screen.until(shows("one", "two")))[-1]) == ["one", "two"]


async def test_a_subscription_begins_no_earlier_than_the_client_has_seen(
    open_client: Open, hub: HubProcess, chat: Conversation
) -> None:
    client = open_client(hub.url)
    await client.mutation("messages:send", chat.message("mine"))

    assert contents(await anext(client.subscribe("messages:list", chat.owned))) == ["mine"]


async def test_every_final_state_is_shown_through_cut_connections(open_client: Open, hub: HubProcess, chat: Conversation) -> None:
    async with proxy_to(hub.port) as proxy:
        screen = open_client(proxy.url).subscribe("messages:list", chat.owned)
        await anext(screen)
        sent: list[str] = []
        seen: list[list[str]] = []
        for number in range(6):
            proxy.cut()
            sent.append(str(number))
            await asyncio.to_thread(hub.mutation, "messages:send", chat.message(str(number)))
            seen += [contents(rows) for rows in await screen.until(shows(*sent))]

    assert proxy.accepted > 6
    assert seen == [sent[: number + 1] for number in range(6)], "a state was shown twice, or one that never was"


async def test_a_query_that_fails_raises_and_goes_on(open_client: Open, hub: HubProcess, chat: Conversation) -> None:
    client = open_client(hub.url)
    screen = client.subscribe("chats:get", chat.owned)
    assert (await anext(screen))["_id"] == chat.chat_id
    await client.mutation("chats:remove", chat.owned)

    with pytest.raises(ApplicationError) as failed:
        await anext(screen)

    assert failed.value.data == {"code": "CHAT_NOT_FOUND", "chatId": chat.chat_id}


async def test_an_unknown_function_fails(open_client: Open, hub: HubProcess) -> None:
    with pytest.raises(FunctionFailed, match="Could not find"):
        await anext(open_client(hub.url).subscribe("nope:nope"))


async def test_a_token_says_who_subscribes(open_client: Open, hub: HubProcess, chat: Conversation) -> None:
    client = open_client(hub.url, token=hub.token(chat.external_id))

    assert (await anext(client.subscribe("users:me")))["_id"] == chat.user_id


async def test_a_token_that_expires_is_replaced(open_client: Open, hub: HubProcess, chat: Conversation) -> None:
    asked: list[bool] = []

    def fetch(refresh: bool) -> str:
        asked.append(refresh)
        return hub.token(chat.external_id) if refresh else "not.a.token"

    screen = open_client(hub.url, token=fetch).subscribe("messages:list", {"chatId": chat.chat_id})

    assert await anext(screen) == []
    assert asked == [False, True]


@pytest.mark.parametrize("token", ["not.a.token", lambda refresh: "not.a.token"], ids=["fixed", "fetched"])
async def test_a_token_that_stays_bad_ends_the_subscription(token: object, open_client: Open, hub: HubProcess) -> None:
    screen = open_client(hub.url, token=token).subscribe("users:me")

    with pytest.raises(Unauthorized):
        await anext(screen)
    with pytest.raises(StopAsyncIteration):
        await anext(screen)


async def test_a_closed_subscription_ends_a_reader_that_waits(open_client: Open, hub: HubProcess, chat: Conversation) -> None:
    screen = open_client(hub.url).subscribe("messages:list", chat.owned)
    await anext(screen)
    waiting = asyncio.create_task(collected(screen))
    await asyncio.sleep(0)

    await screen.close()

    assert await waiting == []


async def test_a_closed_client_ends_its_subscriptions(open_client: Open, hub: HubProcess, chat: Conversation) -> None:
    client = open_client(hub.url)
    screen = client.subscribe("messages:list", chat.owned)
    await anext(screen)

    await client.close()

    assert await collected(screen) == []


async def collected(screen: AnySubscription) -> list[object]:
    return [value async for value in screen]


def test_a_loop_may_be_left(hub: HubProcess, chat: Conversation) -> None:
    with HubClient(hub.url) as client, client.subscribe("messages:list", chat.owned) as screen:
        for rows in screen:
            assert rows == []
            break


async def test_a_reader_that_is_cancelled_may_wait_again(hub: HubProcess, chat: Conversation) -> None:
    async with AsyncHubClient(hub.url) as client, client.subscribe("messages:list", chat.owned) as screen:
        await anext(screen)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(screen)
        await client.mutation("messages:send", chat.message("after"))

        assert contents(await anext(screen)) == ["after"]


# --- servers that misbehave ------------------------------------------------------------------------------------------


async def greeting(socket: ServerConnection) -> list[dict[str, object]]:
    """Connect and ModifyQuerySet of a client without a token."""
    return [json.loads(await socket.recv()), json.loads(await socket.recv())]


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param("no JSON", id="no JSON"),
        pytest.param('{"type":"Transition"}', id="fields missing"),
        pytest.param(transition("bad", querySet=7), id="another start"),
        pytest.param(transition({"$integer": "?"}), id="a bad value"),
    ],
)
async def test_a_chain_that_breaks_means_another_socket(frame: str, open_client: Open) -> None:
    greetings: list[list[dict[str, object]]] = []

    async def talk(socket: ServerConnection, number: int) -> None:
        greetings.append(await greeting(socket))
        await socket.send('{"type":"Ping"}')
        await socket.send(frame if number == 1 else transition("good"))
        await socket.wait_closed()

    async with talking(talk) as url:
        screen = open_client(url).subscribe("a:b", {"x": 1})
        assert await anext(screen) == "good"
        await screen.close()

    (first, query), (second, again) = greetings
    assert (first["connectionCount"], first["lastCloseReason"]) == (0, "InitialConnect")
    assert (second["sessionId"], second["connectionCount"]) == (first["sessionId"], 1)
    assert str(second["lastCloseReason"]).startswith("ProtocolFailure")
    assert query == again


async def test_after_a_cut_the_client_says_what_it_has_seen_and_shows_nothing_twice(open_client: Open) -> None:
    greetings: list[list[dict[str, object]]] = []

    async def talk(socket: ServerConnection, number: int) -> None:
        greetings.append(await greeting(socket))
        if number == 2:  # behind what the client has seen: not to be shown
            await socket.send(transition("stale", end="AAAAAAEAAAA="))
        else:
            await socket.send(transition({"n": number} if number > 3 else {"n": 0}))
        await (socket.close(1012, "") if number < 4 else socket.wait_closed())

    async with talking(talk) as url:
        screen = open_client(url).subscribe("a:b")
        assert [await anext(screen), await anext(screen)] == [{"n": 0}, {"n": 4}]
        await screen.close()

    assert [hello[0].get("maxObservedTimestamp") for hello in greetings] == [None, *["AQAAAAEAAAA="] * 3]
    assert greetings[1][1]["modifications"] == [{"type": "Add", "queryId": 0, "udfPath": "a:b", "args": [{}], "journal": None}]


async def test_true_is_another_value_than_one(open_client: Open) -> None:
    async def talk(socket: ServerConnection, number: int) -> None:
        await greeting(socket)
        await socket.send(transition(1.0 if number == 1 else True))
        await (socket.close(1012, "") if number == 1 else socket.wait_closed())

    async with talking(talk) as url:
        screen = open_client(url).subscribe("a:b")
        values = [await anext(screen), await anext(screen)]
        await screen.close()

    assert [type(value) for value in values] == [float, bool]


async def test_a_socket_that_says_nothing_is_replaced(open_client: Open) -> None:
    reasons: list[object] = []

    async def talk(socket: ServerConnection, number: int) -> None:
        hello, _ = await greeting(socket)
        reasons.append(hello["lastCloseReason"])
        if number > 1:
            await socket.send(transition("good"))
        await socket.wait_closed()

    async with talking(talk) as url:
        screen = open_client(url, timeouts=Timeouts(silence_s=0.2)).subscribe("a:b")
        assert await anext(screen) == "good"
        await screen.close()

    assert reasons == ["InitialConnect", "InactiveServer"]


async def test_a_hub_that_cannot_read_the_client_ends_the_subscription(open_client: Open) -> None:
    async def talk(socket: ServerConnection, number: int) -> None:
        await greeting(socket)
        await socket.send('{"type":"FatalError","error":"nonsense"}')

    async with talking(talk) as url:
        with pytest.raises(BadRequest, match="nonsense"):
            await anext(open_client(url).subscribe("a:b"))


async def test_a_first_value_that_never_comes_is_unavailable(open_client: Open) -> None:
    async def talk(socket: ServerConnection, number: int) -> None:
        await greeting(socket)
        await socket.wait_closed()

    short = Timeouts(deadline_s=0.4)
    async with talking(talk) as url:
        with pytest.raises(Unavailable):
            await anext(open_client(url, timeouts=short).subscribe("a:b"))
    with pytest.raises(Unavailable):
        await anext(open_client(f"http://127.0.0.1:{free_port()}", timeouts=short).subscribe("a:b"))


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        pytest.param(Reply(404, "nothing"), BadRequest, id="nothing there"),
        pytest.param(Reply(503, "later"), Unavailable, id="full"),
        pytest.param(CUT, Unavailable, id="cut"),
    ],
)
async def test_an_upgrade_that_is_refused(reply: Reply, error: type[Exception], open_client: Open) -> None:
    async with answering(reply) as server:
        with pytest.raises(error):
            await anext(open_client(server.url, timeouts=Timeouts(deadline_s=0.5)).subscribe("a:b"))

    assert server.requests[0].path == "/api/sync"


async def test_a_redirect_does_not_lead_the_key_to_another_server(open_client: Open) -> None:
    heard: list[str | bytes] = []

    async def talk(socket: ServerConnection, number: int) -> None:
        heard.extend([frame async for frame in socket])

    async with talking(talk) as elsewhere, answering(Reply(302, "", {"Location": f"ws{elsewhere[4:]}/api/sync"})) as server:
        with pytest.raises(Forbidden, match="redirects"):
            await anext(open_client(server.url, service_key="secret").subscribe("a:b"))

    assert heard == []


@pytest.mark.parametrize(
    ("asked", "host"),
    [
        pytest.param("ws://Hub.example.com:80/api/sync", "hub.example.com", id="the default port"),
        pytest.param("wss://hub.example.com/base/api/sync", "hub.example.com", id="a path"),
        pytest.param("ws://[::1]:8000/api/sync", "[::1]:8000", id="an address of IPv6"),
    ],
)
def test_the_host_that_was_asked_is_no_redirect(asked: str, host: str) -> None:
    refuse_redirect(asked, host)


async def test_no_log_holds_a_secret(open_client: Open, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def talk(socket: ServerConnection, number: int) -> None:
        await greeting(socket)
        await socket.send(transition("good"))
        await socket.wait_closed()

    async with talking(talk) as url:
        screen = open_client(url, service_key="5ecret").subscribe("a:b")
        assert await anext(screen) == "good"
        await screen.close()

    said = [record for record in caplog.records if record.name != "websockets.server"]  # which is the test's own
    assert said
    assert "5ecret" not in "".join(record.getMessage() for record in said)
