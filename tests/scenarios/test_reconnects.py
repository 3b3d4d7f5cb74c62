"""Connections that break: nothing is lost, nothing happens twice, no screen stays behind."""

from __future__ import annotations

import pytest

from tests.scenarios.conftest import Connect, Conversation, contents, shows
from tests.scenarios.js_client import NEWEST, VERSIONS
from tests.scenarios.proxy import Proxy

pytestmark = pytest.mark.real


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_client_that_was_cut_off_shows_what_it_missed(
    version: str, connect: Connect, proxy: Proxy, chat: Conversation
) -> None:
    reader, writer = await connect(version, proxy.url), await connect(NEWEST)
    reader.subscribe("list", "messages:list", chat.owned)
    await reader.value("list")
    proxy.accepting = False
    proxy.cut()
    await writer.mutation("messages:send", chat.message("while you were away"))
    proxy.accepting = True

    await reader.value("list", shows("while you were away"))
    await writer.mutation("messages:send", chat.message("and now"))

    await reader.value("list", shows("while you were away", "and now"))


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_mutation_whose_answer_was_lost_is_applied_once(
    version: str, connect: Connect, proxy: Proxy, chat: Conversation
) -> None:
    client, witness = await connect(version, proxy.url), await connect(NEWEST)
    client.subscribe("list", "messages:list", chat.owned)
    await client.value("list")
    witness.subscribe("list", "messages:list", chat.owned)
    proxy.answers.clear()
    call = client.start_mutation("messages:send", chat.message("once"))
    await witness.value("list", shows("once"))  # it is committed, and the client cannot know
    proxy.cut()
    proxy.answers.set()

    sent = await client.finish(call)

    rows = await witness.query("messages:list", chat.owned)
    assert [row["_id"] for row in rows] == [sent["userMessageId"]]


async def test_an_optimistic_row_stays_single_when_the_answer_was_lost(connect: Connect, proxy: Proxy, chat: Conversation) -> None:
    client, witness = await connect(NEWEST, proxy.url), await connect(NEWEST)
    client.subscribe("list", "messages:list", chat.owned)
    await client.value("list")
    witness.subscribe("list", "messages:list", chat.owned)
    proxy.answers.clear()
    row = {"_id": "optimistic", "content": "once"}
    call = client.start_mutation("messages:send", chat.message("once"), {"path": "messages:list", "args": chat.owned, "row": row})
    await witness.value("list", shows("once"))
    proxy.cut()
    proxy.answers.set()

    await client.finish(call)

    assert [contents(rows) for rows in client.values("list") if len(rows) > 1] == []
    assert client.values("list")[-1][0]["_id"] != "optimistic"


async def test_mutations_sent_while_offline_arrive_in_order_and_once(connect: Connect, proxy: Proxy, chat: Conversation) -> None:
    client = await connect(NEWEST, proxy.url)
    client.subscribe("list", "messages:list", chat.owned)
    await client.value("list")
    proxy.accepting = False
    proxy.cut()
    calls = [client.start_mutation("messages:send", chat.message(str(number))) for number in range(5)]
    proxy.accepting = True

    for call in calls:
        await client.finish(call)

    assert contents(await client.query("messages:list", chat.owned)) == ["0", "1", "2", "3", "4"]


async def test_a_connection_that_breaks_again_and_again_loses_nothing(connect: Connect, proxy: Proxy, chat: Conversation) -> None:
    client = await connect(NEWEST, proxy.url)
    client.subscribe("list", "messages:list", chat.owned)
    await client.value("list")
    sent = [str(number) for number in range(12)]

    for number, content in enumerate(sent):
        call = client.start_mutation("messages:send", chat.message(content))
        if number % 3 == 1:
            proxy.cut()  # before, while or after the hub hears of it: the answer must not matter
        await client.finish(call)

    await client.value("list", shows(*sent))
    shown = [contents(rows) for rows in client.values("list")]
    assert all(rows == sent[: len(rows)] for rows in shown), "a screen showed rows twice, or out of order"
