"""The published convex clients for JavaScript, each in a Node process of its own: `tests/js/driver.mjs` and `react.mjs`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.scenarios.scripts import ClientError, Event, Script, running

SCRIPTS = Path(__file__).parents[1] / "js"
OLDEST, NEWEST = "1.17.0", "1.48.0"
VERSIONS = (OLDEST, "1.24.8", "1.31.0", NEWEST)


@dataclass(slots=True)
class JsClient(Script):
    """One `ConvexClient` and one `ConvexHttpClient` of one version."""

    _calls: int = 0

    def _send(self, op: str, **fields: Any) -> int:
        self._calls += 1
        self.write(json.dumps({"id": self._calls, "op": op, **fields}))
        return self._calls

    async def _result(self, call: int) -> Any:
        answer = await self.event(lambda event: event.get("id") == call)
        if answer["event"] == "failed":
            raise ClientError(answer)
        return answer["value"]

    # --- Subscriptions -------------------------------------------------------------------------------------------------

    def subscribe(self, name: str, path: str, args: Mapping[str, Any]) -> None:
        self._send("subscribe", name=name, path=path, args=args)

    def unsubscribe(self, name: str) -> None:
        self._send("unsubscribe", name=name)

    async def value(self, name: str, wanted: Callable[[Any], bool] = lambda _: True, *, after: int = 0) -> Any:
        """The first value of a subscription, from event `after` on, that is wanted."""
        is_it = lambda event: event["event"] == "update" and event["name"] == name and wanted(event["value"])  # noqa: E731
        return (await self.event(is_it, after=after))["value"]

    async def failure(self, name: str, *, after: int = 0) -> ClientError:
        return ClientError(await self.event(lambda event: event["event"] == "error" and event["name"] == name, after=after))

    def values(self, name: str) -> list[Any]:
        """Every value a subscription has shown so far."""
        return [event["value"] for event in self.events if event["event"] == "update" and event["name"] == name]

    def paginate(self, name: str, path: str, args: Mapping[str, Any], items: int) -> None:
        self._send("paginate", name=name, path=path, args=args, items=items)

    def load_more(self, name: str, items: int) -> None:
        self._send("more", name=name, items=items)

    async def page(self, wanted: Callable[[Event], bool], *, after: int = 0) -> Event:
        return await self.event(lambda event: event["event"] == "page" and wanted(event), after=after)

    # --- Calls ---------------------------------------------------------------------------------------------------------

    def start_mutation(self, path: str, args: Mapping[str, Any], optimistic: Mapping[str, Any] | None = None) -> int:
        """Send it, and do not wait: the number to give to `finish`."""
        return self._send("mutation", path=path, args=args, optimistic=optimistic)

    async def finish(self, call: int) -> Any:
        return await self._result(call)

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        return await self._result(self._send("mutation", path=path, args=args))

    async def screen_after(self, path: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """What each subscription shows at the moment in which the mutation's promise resolves."""
        call = self.start_mutation(path, args)
        await self.finish(call)
        screen: dict[str, Any] = (await self.event(lambda event: event.get("id") == call))["screen"]
        return screen

    async def action(self, path: str, args: Mapping[str, Any]) -> Any:
        return await self._result(self._send("action", path=path, args=args))

    async def query(self, path: str, args: Mapping[str, Any]) -> Any:
        return await self._result(self._send("query", path=path, args=args))

    # --- The transport under it ----------------------------------------------------------------------------------------

    async def prefetch(self, path: str, args: Mapping[str, Any], ttl_ms: int) -> None:
        await self._result(self._send("prefetch", path=path, args=args, ttlMs=ttl_ms))

    async def wire_format(self) -> str:
        """The subprotocol in use, empty for the stock protocol."""
        protocol: str = await self._result(self._send("wireFormat"))
        return protocol

    async def http(self, kind: str, path: str, args: Mapping[str, Any]) -> Any:
        """`kind` is a method of ConvexHttpClient: query, consistentQuery, mutation, action."""
        return await self._result(self._send("http", kind=kind, path=path, args=args))

    # --- Who I am ------------------------------------------------------------------------------------------------------

    def set_auth(self, *tokens: str | None) -> None:
        """The client asks for tokens when it likes: it gets these in order, the last one for ever."""
        self._send("auth", tokens=tokens)

    async def authenticated(self, expected: bool, *, after: int = 0) -> Event:
        return await self.event(lambda event: event["event"] == "auth" and event["isAuthenticated"] is expected, after=after)

    async def set_http_auth(self, token: str) -> None:
        await self._result(self._send("httpAuth", token=token))


@asynccontextmanager
async def js_client(
    node: str, address: str, version: str = NEWEST, transport: Mapping[str, Any] | None = None
) -> AsyncIterator[JsClient]:
    """With `transport`, options of `hubTransport`, the client runs over it."""
    over = () if transport is None else (json.dumps(transport),)
    async with running(JsClient, node, str(SCRIPTS / "driver.mjs"), version, address, *over) as client:
        yield client


@asynccontextmanager
async def react_pages(
    node: str, address: str, path: str, args: Mapping[str, Any], items: int, version: str = NEWEST
) -> AsyncIterator[Script]:
    arguments = (version, address, path, json.dumps(args), str(items))
    async with running(Script, node, str(SCRIPTS / "react.mjs"), *arguments) as script:
        yield script
