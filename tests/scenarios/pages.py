"""Chromium on the hub's own pages: `tests/js/browser/pages.mjs`, and what drives it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.conftest import Once, install_packages, require_chromium
from tests.scenarios.browser import BROWSER
from tests.scenarios.scripts import TIMEOUT_S, ClientError, Event, Script, running

WEB = Path(__file__).parents[2] / "clients" / "js" / "web"
AXE = WEB / "node_modules" / "axe-core" / "axe.min.js"
LOOK_S = 0.03


@dataclass(slots=True)
class Pages(Script):
    """Pages by names that a test chooses. Targets are selectors of playwright: CSS, `text=`, `role=button[name="Send"]`."""

    _calls: int = 0

    async def open(self, page: str, url: str, *, person: str = "", **options: Any) -> None:
        """Pages of one person are tabs of one browser, and share its storage."""
        assert await self.do("open", page, url=url, person=person or page, **options) == 200

    async def do(self, op: str, page: str, target: str = "", **fields: Any) -> Any:
        self._calls += 1
        call = self._calls
        self.write(json.dumps({"id": call, "op": op, "page": page, "target": target, **fields}))
        answer = await self.event(lambda event: event.get("id") == call)
        if answer["event"] == "failed":
            raise ClientError(answer)
        return answer["value"]

    async def click(self, page: str, target: str) -> None:
        await self.do("click", page, target)

    async def press(self, page: str, *keys: str) -> None:
        for key in keys:
            await self.do("press", page, key=key)

    async def wait(self, page: str, target: str, state: str = "visible") -> None:
        await self.do("wait", page, target, state=state)

    async def texts(self, page: str, target: str) -> list[str]:
        return [text.strip() for text in await self.do("texts", page, target)]

    async def until(self, page: str, target: str, is_it: Callable[[list[str]], bool]) -> list[str]:
        """The texts of what the selector finds, once they are as wanted."""
        found: list[str] = []
        try:
            async with asyncio.timeout(TIMEOUT_S):
                while not is_it(found := await self.texts(page, target)):  # noqa: ASYNC110  # it happens in another process
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            raise AssertionError(f"{target} on {page} is {found}") from None
        return found

    async def shows(self, page: str, target: str, *texts: str) -> None:
        await self.until(page, target, lambda found: found == list(texts))

    async def say(self, page: str, text: str) -> None:
        """Into the field of the room that is open, and Enter."""
        await self.do("fill", page, "textarea", text=text)
        await self.press(page, "Enter")

    def screens(self, page: str) -> list[Event]:
        """Every state that the room of this page was seen in."""
        return [event for event in self.events if event["event"] == "screen" and event["page"] == page]

    def complaints(self) -> list[str]:
        """Errors and warnings in the consoles, and what was raised in the pages."""
        return [f"{event['page']}: {event['text']}" for event in self.events if event["event"] == "complaint"]

    def requested(self) -> set[str]:
        return {event["url"] for event in self.events if event["event"] == "request"}


@asynccontextmanager
async def opened_pages(node: str, executable: str) -> AsyncIterator[Pages]:
    async with running(Pages, node, str(BROWSER / "pages.mjs"), executable, str(AXE)) as pages:
        yield pages
        assert pages.process.stdin is not None
        pages.process.stdin.close()  # it closes Chromium, which removes its profile
        async with asyncio.timeout(10):
            await pages.process.wait()


@pytest.fixture(scope="session")
def web(once: Once) -> None:
    """The packages of `clients/js/web`: the checker of accessibility is one of them."""
    once("web", lambda: install_packages(WEB))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(node: str, web: None) -> AsyncIterator[Pages]:
    """One Chromium for all tests of a module: it takes longer to start than most of them run."""
    async with opened_pages(node, require_chromium()) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def pages(browser: Pages) -> AsyncIterator[Pages]:
    """Nobody has been here before: pages and their storage end with the test."""
    browser.events.clear()
    yield browser
    await browser.do("end", "")
