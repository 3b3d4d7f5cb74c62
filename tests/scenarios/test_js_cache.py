"""Clients in a real browser: stored values are shown at once to whom they belong and to nobody else; and clients in a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import require_chromium
from tests.scenarios.browser import Browser, bundle, chromium
from tests.scenarios.hub_process import HubProcess
from tests.scenarios.proxy import Proxy

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("hub_client")]

EVERY_WAY = [
    pytest.param("convex", "session", id="the convex client, sessionStorage"),
    pytest.param("convex", "indexedDb", id="the convex client, IndexedDB"),
    pytest.param("hub", "session", id="HubClient, sessionStorage"),
    pytest.param("hub", "indexedDb", id="HubClient, IndexedDB"),
]


@pytest.fixture(scope="module")
def hub(hub_of_cells: HubProcess) -> HubProcess:
    return hub_of_cells


@pytest.fixture(scope="module")
def script(node: str, hub_client: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    script = tmp_path_factory.mktemp("page") / "page.js"
    bundle(node, script, "cache-page.mjs")
    return script


@pytest.fixture
async def browser(node: str, script: Path) -> AsyncIterator[Browser]:
    async with chromium(node, require_chromium(), script) as running:
        yield running


class Tab:
    """One tab, in which one person after the other looks at the same cell."""

    def __init__(self, browser: Browser, hub: HubProcess, proxy: Proxy, **query: str) -> None:
        self.browser, self.hub = browser, hub
        self.query = {"hub": proxy.url, "query": "cells:mine", "name": "shared", **query}
        self.since = 0

    async def open(self, subject: str | None) -> None:
        """The page anew, for somebody."""
        token = {} if subject is None else {"token": self.hub.token(subject)}
        url = self.browser.address(**self.query, **token)
        if self.since == 0:
            await self.browser.open("tab", url)
        else:
            self.since = len(self.browser.events)
            await self.browser.go("tab", url)
        self.since = self.since or 1

    @property
    def shown(self) -> list[Any]:
        """Every value since the page was opened last."""
        return [event["value"] for event in self.browser.events[self.since :] if event["event"] == "value"]

    async def shows(self, subject: str | None, value: str) -> None:
        wanted = {"subject": subject, "value": value}
        await self.browser.event(lambda event: event["event"] == "value" and event["value"] == wanted, after=self.since)

    async def flush(self) -> None:
        await self.browser.call("tab", "flush")

    async def stored(self) -> str:
        text: str = await self.browser.call("tab", "stored")
        return text

    async def has_forgotten(self, word: str) -> None:
        async with asyncio.timeout(10):  # it happens in another process, and can only be polled
            while word in await self.stored():
                pass


def put(hub: HubProcess, value: str) -> None:
    hub.mutation("cells:put", {"name": "shared", "value": value})


@pytest.mark.parametrize(("client", "cache"), EVERY_WAY)
async def test_the_last_values_are_shown_at_once_and_then_the_hubs(
    client: str, cache: str, browser: Browser, hub: HubProcess, proxy: Proxy
) -> None:
    put(hub, "first")
    tab = Tab(browser, hub, proxy, client=client, cache=cache)
    await tab.open("ann")
    await tab.shows("ann", "first")
    await tab.flush()
    put(hub, "second")

    proxy.answers.clear()  # the hub says nothing, not even that it is there
    await tab.open("ann")
    await tab.shows("ann", "first")
    proxy.answers.set()

    await tab.shows("ann", "second")
    assert tab.shown == [{"subject": "ann", "value": "first"}, {"subject": "ann", "value": "second"}]


@pytest.mark.parametrize(("client", "cache"), EVERY_WAY)
async def test_two_people_in_one_browser_see_nothing_of_each_other(
    client: str, cache: str, browser: Browser, hub: HubProcess, proxy: Proxy
) -> None:
    put(hub, "value")
    tab = Tab(browser, hub, proxy, client=client, cache=cache)
    await tab.open("ann")
    await tab.shows("ann", "value")
    await tab.flush()
    assert "ann" in await tab.stored()

    proxy.answers.clear()
    await tab.open("bob")
    await tab.has_forgotten("ann")
    proxy.answers.set()
    await tab.shows("bob", "value")
    await tab.flush()

    assert tab.shown == [{"subject": "bob", "value": "value"}]
    assert "bob" in await tab.stored()
    assert "ann" not in await tab.stored()


@pytest.mark.parametrize(("client", "cache"), [EVERY_WAY[0], EVERY_WAY[3]])
async def test_nothing_is_left_of_whom_signed_out(client: str, cache: str, browser: Browser, hub: HubProcess, proxy: Proxy) -> None:
    put(hub, "value")
    tab = Tab(browser, hub, proxy, client=client, cache=cache)
    await tab.open("ann")
    await tab.shows("ann", "value")
    await tab.flush()

    await browser.call("tab", "signOut")
    await tab.shows(None, "value")
    await tab.flush()

    await tab.has_forgotten("ann")
    await tab.open(None)
    await tab.shows(None, "value")
    assert not [value for value in tab.shown if value["subject"] == "ann"]


async def test_a_page_without_a_token_is_shown_nothing_that_was_somebodys(browser: Browser, hub: HubProcess, proxy: Proxy) -> None:
    put(hub, "value")
    tab = Tab(browser, hub, proxy, client="convex", cache="session")
    await tab.open("ann")
    await tab.shows("ann", "value")
    await tab.flush()

    await tab.open(None)  # its token may still come: what is stored stays

    await tab.shows(None, "value")
    assert not [value for value in tab.shown if value["subject"] == "ann"]


async def test_both_clients_run_in_a_worker(node: str, hub_client: Path, tmp_path: Path, hub: HubProcess) -> None:
    put(hub, "to a worker")
    bundle(node, tmp_path / "page.js", "worker-page.mjs")
    async with chromium(node, require_chromium(), tmp_path / "page.js") as browser:
        await browser.open("page", browser.address(hub=hub.url, name="shared"))

        for client in ("transport", "small"):
            await browser.event(
                lambda event, client=client: (event.get("client"), event.get("value")) == (client, "to a worker")  # type: ignore[misc]
            )
        assert browser.told("complaint", "page") == []
