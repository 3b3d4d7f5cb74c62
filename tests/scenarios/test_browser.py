"""A real browser: pages of another origin with the published React hooks, and pages that may not come near a hub."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import require_chromium
from tests.scenarios.browser import FOREIGN, Browser, bundle, chromium, is_optimistic
from tests.scenarios.conftest import Conversation, contents
from tests.scenarios.hub_process import HubProcess

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def executable() -> str:
    return require_chromium()


@pytest.fixture(scope="module")
def application(node: str, executable: str, hub_client: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    script = tmp_path_factory.mktemp("page") / "page.js"
    bundle(node, script)
    return script


@pytest.fixture
async def browser(node: str, executable: str, application: Path) -> AsyncIterator[Browser]:
    async with chromium(node, executable, application) as running:
        yield running


@pytest.mark.parametrize("over", [{}, {"over": "hubTransport"}], ids=["over the stock protocol", "over hubTransport"])
async def test_a_message_is_shown_at_once_where_it_is_typed_and_then_in_another_page(
    over: dict[str, str], browser: Browser, hub: HubProcess, chat: Conversation
) -> None:
    for page, host in (("writer", "localhost"), ("reader", "127.0.0.1")):
        await browser.open(page, browser.address(host, hub=hub.url, **over, **chat.owned))
        await browser.shows(page)
    sent = [f"message {number}" for number in range(5)]

    for content in sent:
        await browser.type("writer", content)

    shown = await browser.shows("reader", *sent)
    assert shown == await browser.shows("writer", *sent)
    assert [row["id"] for row in shown] == [row["_id"] for row in hub.query("messages:list", chat.owned)]
    seen_by_writer = [row for screen in browser.screens("writer") for row in screen]
    first_seen = [next(row for row in seen_by_writer if row["content"] == content) for content in sent]
    assert all(is_optimistic(row) for row in first_seen), "the hub's own row came first"
    for screen in browser.screens("writer") + browser.screens("reader"):
        assert contents(screen) == sent[: len(screen)], "a message is missing, out of order, or shown twice"
    assert browser.told("complaint", "writer") + browser.told("complaint", "reader") == []


async def test_a_page_of_this_machine_may_ask_from_another_port(browser: Browser, hub: HubProcess, chat: Conversation) -> None:
    await browser.open("page", browser.address("localhost", hub=hub.url, **chat.owned))

    answers = await browser.knock("page", hub.url, {"path": "messages:send", "args": chat.message("knock")})

    assert (answers["read"], answers["opened"]) == (200, True)
    assert contents(await browser.ask("page")) == ["knock"]


async def test_a_page_of_another_name_gets_403_whatever_it_tries(browser: Browser, hub: HubProcess, chat: Conversation) -> None:
    await browser.open("page", browser.address(FOREIGN, hub=hub.url, **chat.owned))

    answers = await browser.knock("page", hub.url, {"path": "messages:send", "args": chat.message("knock")})

    assert answers == {"blind": 0, "read": "Failed to fetch", "opened": False}
    await _assert_all_refused(browser, hub)
    assert hub.query("messages:list", chat.owned) == []
    assert browser.screens("page") == []


async def test_a_name_that_is_pointed_at_the_hub_gets_403_though_it_is_its_own_origin(
    browser: Browser, hub: HubProcess, chat: Conversation
) -> None:
    rebound = f"http://{FOREIGN}:{hub.port}"
    assert await browser.open("page", rebound) == 403

    answers = await browser.knock("page", rebound, {"path": "messages:send", "args": chat.message("knock")})

    assert answers == {"blind": 403, "read": 403, "opened": False}
    await _assert_all_refused(browser, hub)
    assert hub.query("messages:list", chat.owned) == []


async def _assert_all_refused(browser: Browser, hub: HubProcess) -> None:
    """Of what the page sent to the hub, everything was answered, and with 403."""
    await browser.event(lambda event: event["event"] == "response" and f":{hub.port}/api/" in event["url"])
    await browser.event(lambda event: event["event"] == "refusedSocket")
    statuses = {answer["status"] for answer in browser.told("response", "page") if f":{hub.port}/" in answer["url"]}
    assert statuses == {403}
    assert all("Unexpected response code: 403" in refusal["text"] for refusal in browser.told("refusedSocket", "page"))
