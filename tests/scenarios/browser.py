"""Chromium with pages of its own: `tests/js/browser`, a React application of the published hooks, and what drives it."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.scenarios.js_client import NEWEST, SCRIPTS
from tests.scenarios.scripts import ClientError, Event, Script, running

BROWSER = SCRIPTS / "browser"
FOREIGN = "evil.test"
"""A name that the browser resolves to this machine."""


def bundle(node: str, file: Path, page: str = "page.jsx") -> None:
    """A page's application as one script, at `file`."""
    subprocess.run([node, str(BROWSER / "bundle.mjs"), NEWEST, str(file), page], check=True, timeout=60)


def is_optimistic(row: Mapping[str, str]) -> bool:
    """Whether the page made the row itself, ahead of the hub's."""
    return row["id"].startswith("optimistic ")


@dataclass(slots=True)
class Browser(Script):
    """Pages by names that a test chooses; `events` is what happened in all of them."""

    _calls: int = 0

    @property
    def port(self) -> int:
        """Where the application is served, for every name of this machine."""
        port: int = self.events[0]["port"]
        return port

    def address(self, host: str = "localhost", **query: str) -> str:
        """Of the application: a host's name makes the origin, the query says what the application is to show."""
        return f"http://{host}:{self.port}/?{urlencode(query)}"

    async def open(self, page: str, url: str) -> int:
        """Returns the status of the answer, once the page has loaded."""
        status: int = await self._call("open", page=page, url=url)
        return status

    async def go(self, page: str, url: str) -> int:
        """As `open`, for a tab that is open already."""
        status: int = await self._call("go", page=page, url=url)
        return status

    async def call(self, page: str, name: str, argument: Any = None) -> Any:
        """A function that the page has put on its window."""
        return await self._call("call", page=page, name=name, argument=argument)

    async def type(self, page: str, content: str) -> None:
        """Into the form, and Enter."""
        await self._call("type", page=page, content=content)

    async def ask(self, page: str) -> Any:
        """The page's list as its `ConvexHttpClient` gets it."""
        return await self._call("ask", page=page)

    async def knock(self, page: str, hub: str, call: dict[str, Any]) -> dict[str, Any]:
        """What a page gets that posts a mutation to a hub, `blind` and to `read` the answer, and whether a socket `opened`."""
        answers: dict[str, Any] = await self._call("knock", page=page, hub=hub, call=call)
        return answers

    async def shows(self, page: str, *contents: str) -> list[dict[str, str]]:
        """The rows, once there are exactly these on the screen, and all of them the hub's."""

        def is_it(event: Event) -> bool:
            rows = event.get("rows", [])
            are_real = not any(is_optimistic(row) for row in rows)
            return (event["event"], event.get("page")) == ("shown", page) and are_real and _contents(rows) == contents

        rows: list[dict[str, str]] = (await self.event(is_it))["rows"]
        return rows

    def screens(self, page: str) -> list[list[dict[str, str]]]:
        """Every list that the page has had on the screen, in order."""
        return [event["rows"] for event in self.events if event["event"] == "shown" and event["page"] == page]

    def told(self, kind: str, page: str) -> list[Event]:
        return [event for event in self.events if event["event"] == kind and event["page"] == page]

    async def _call(self, op: str, **fields: Any) -> Any:
        self._calls += 1
        call = self._calls
        self.write(json.dumps({"id": call, "op": op, **fields}))
        answer = await self.event(lambda event: event.get("id") == call)
        if answer["event"] == "failed":
            raise ClientError(answer)
        return answer["value"]


@asynccontextmanager
async def chromium(node: str, executable: str, script: Path) -> AsyncIterator[Browser]:
    async with running(Browser, node, str(BROWSER / "driver.mjs"), executable, str(script)) as browser:
        yield browser
        assert browser.process.stdin is not None
        browser.process.stdin.close()  # it closes Chromium, which removes its profile
        async with asyncio.timeout(10):
            await browser.process.wait()


def _contents(rows: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    return tuple(row["content"] for row in rows)
