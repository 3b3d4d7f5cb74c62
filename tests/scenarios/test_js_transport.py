"""`hubTransport` under the published clients, and `HubClient`: the same behaviour over the native format as over the stock one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenarios.conftest import Connect, Conversation, contents, shows
from tests.scenarios.hub_process import HubProcess
from tests.scenarios.js_client import NEWEST, OLDEST
from tests.scenarios.proxy import SUBPROTOCOLS, Proxy

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("hub_client")]

SMALL = "hub-client"
NATIVE = {"format": "msgpack"}
NATIVELY = [
    pytest.param(OLDEST, NATIVE, id="the oldest client"),
    pytest.param(NEWEST, NATIVE, id="the newest client"),
    pytest.param(SMALL, None, id="HubClient"),
]
CLIENTS = [
    *NATIVELY,
    pytest.param(NEWEST, {"format": "json"}, id="the readable format"),
    pytest.param(NEWEST, {"format": "stock"}, id="the stock protocol"),
]
Transport = dict[str, Any] | None


@pytest.mark.parametrize(("version", "transport"), CLIENTS)
async def test_a_client_shows_what_it_wrote_when_its_promise_resolves(
    version: str, transport: Transport, connect: Connect, chat: Conversation
) -> None:
    client = await connect(version, transport=transport)
    client.subscribe("list", "messages:list", chat.owned)
    await client.value("list", shows())

    screen = await client.screen_after("messages:send", chat.message("hello 😀"))

    assert contents(screen["list"]) == ["hello 😀"]
    assert client.values("list") == [[], screen["list"]]


@pytest.mark.parametrize(("version", "transport"), CLIENTS)
async def test_a_client_that_is_cut_off_loses_nothing_and_repeats_nothing(
    version: str, transport: Transport, connect: Connect, proxy: Proxy, chat: Conversation
) -> None:
    client = await connect(version, proxy.url, transport=transport)
    client.subscribe("list", "messages:list", chat.owned)
    await client.value("list")
    sent = [str(number) for number in range(9)]

    for number, content in enumerate(sent):
        call = client.start_mutation("messages:send", chat.message(content))
        if number % 3 == 1:
            proxy.cut()
        await client.finish(call)

    await client.value("list", shows(*sent))
    shown = [contents(rows) for rows in client.values("list")]
    assert all(rows == sent[: len(rows)] for rows in shown), "a screen showed rows twice, or out of order"


@pytest.mark.parametrize(("version", "transport"), NATIVELY)
async def test_a_mutation_whose_answer_was_lost_is_applied_once(
    version: str, transport: Transport, connect: Connect, proxy: Proxy, chat: Conversation
) -> None:
    client, witness = await connect(version, proxy.url, transport=transport), await connect(NEWEST)
    client.subscribe("list", "messages:list", chat.owned)
    await client.value("list")
    witness.subscribe("list", "messages:list", chat.owned)
    proxy.answers.clear()
    call = client.start_mutation("messages:send", chat.message("once"))
    await witness.value("list", shows("once"))
    proxy.cut()
    proxy.answers.set()

    sent = await client.finish(call)

    rows = await witness.query("messages:list", chat.owned)
    assert [row["_id"] for row in rows] == [sent["userMessageId"]]


@pytest.mark.parametrize(("version", "transport"), NATIVELY)
async def test_an_error_with_data_arrives_as_one(version: str, transport: Transport, connect: Connect, chat: Conversation) -> None:
    client = await connect(version, transport=transport)
    gone = {**chat.owned, "chatId": chat.user_id}
    client.subscribe("list", "messages:list", gone)

    failure = await client.failure("list")

    assert failure.is_convex_error
    assert failure.data == {"code": "CHAT_NOT_FOUND", "chatId": chat.user_id}


@pytest.mark.parametrize(("version", "transport"), CLIENTS)
async def test_a_query_that_is_kept_warm_is_shown_without_asking_the_hub(
    version: str, transport: Transport, connect: Connect, proxy: Proxy, chat: Conversation
) -> None:
    client, witness = await connect(version, proxy.url, transport=transport), await connect(NEWEST)
    client.subscribe("chats", "chats:list", {"userId": chat.user_id})
    await client.value("chats")
    await client.prefetch("messages:list", chat.owned, ttl_ms=60_000)
    await witness.mutation("messages:send", chat.message("while nobody looked"))
    await client.mutation("messages:send", chat.message("mine"))  # the client has seen what came before it

    proxy.answers.clear()  # from now on the hub says nothing
    client.subscribe("list", "messages:list", chat.owned)

    assert contents(await client.value("list")) == ["while nobody looked", "mine"]


@pytest.mark.parametrize(("version", "transport"), NATIVELY)
async def test_a_client_speaks_for_whoever_it_was_told(
    version: str, transport: Transport, connect: Connect, hub: HubProcess, chat: Conversation
) -> None:
    client = await connect(version, transport=transport)
    client.subscribe("list", "messages:list", {"chatId": chat.chat_id})

    client.set_auth(hub.token(chat.external_id))

    await client.authenticated(True)
    await client.value("list", shows())
    before = len(client.events)
    client.set_auth(hub.token("somebody else"))
    await client.failure("list", after=before)


@pytest.mark.parametrize(("version", "transport"), NATIVELY)
async def test_a_token_that_is_refused_is_fetched_anew(
    version: str, transport: Transport, connect: Connect, hub: HubProcess, chat: Conversation
) -> None:
    client = await connect(version, transport=transport)
    client.subscribe("list", "messages:list", {"chatId": chat.chat_id})

    client.set_auth("e30.e30.forged", hub.token(chat.external_id))

    await client.authenticated(True)
    await client.value("list", shows())
    assert [event["forced"] for event in client.events if event["event"] == "token"][:2] == [False, True]


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
async def test_a_server_without_the_native_format_is_spoken_to_in_the_stock_one(
    version: str, connect: Connect, proxy: Proxy, chat: Conversation
) -> None:
    proxy.hides = (SUBPROTOCOLS,)
    client = await connect(version, proxy.url, transport=NATIVE)
    client.subscribe("list", "messages:list", chat.owned)
    await client.value("list", shows())

    await client.mutation("messages:send", chat.message("hello"))

    await client.value("list", shows("hello"))
    assert await client.wire_format() == ""


@pytest.mark.parametrize(("version", "transport"), [NATIVELY[0], NATIVELY[1], CLIENTS[3]])
async def test_the_format_that_was_asked_for_is_spoken(
    version: str, transport: dict[str, str], connect: Connect, chat: Conversation
) -> None:
    client = await connect(version, transport=transport)
    client.subscribe("list", "messages:list", chat.owned)

    await client.value("list", shows())

    assert await client.wire_format() == f"hub.v1.{transport['format']}"


@pytest.mark.parametrize(("version", "transport"), NATIVELY)
async def test_who_comes_back_is_not_sent_what_is_there_already(
    version: str, transport: Transport, connect: Connect, proxy: Proxy, chat: Conversation
) -> None:
    client = await connect(version, proxy.url, transport=transport)
    client.subscribe("list", "messages:list", chat.owned)
    await client.value("list")
    await client.mutation("messages:send", chat.message("a long text " * 5_000))
    before, from_hub = len(client.events), proxy.from_hub_bytes

    proxy.cut()
    await client.value("list", after=before)

    assert proxy.from_hub_bytes - from_hub < 5_000


async def test_a_frame_that_is_lost_is_noticed_and_made_good(connect: Connect, proxy: Proxy, chat: Conversation) -> None:
    losses = iter([False, False, True])
    proxy.loses = lambda: next(losses, False)
    client = await connect(OLDEST, proxy.url, transport=NATIVE)
    client.subscribe("list", "messages:list", chat.owned)
    witness = await connect(NEWEST)
    sent = [str(number) for number in range(4)]

    for content in sent:
        await witness.mutation("messages:send", chat.message(content))

    await client.value("list", shows(*sent))
    assert proxy.lost == 1
    assert proxy.accepted == 2
