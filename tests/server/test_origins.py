"""Who may connect: the table of Hosts and Origins, on HTTP and on the upgrade, and what browsers need to hear."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpx
import pytest
import uvicorn
import websockets
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from hub import config
from hub.server import origins
from hub.server.origins import Access, OriginGuard

LOOPBACK = {"host": "127.0.0.1"}
LAN = {"host": "0.0.0.0", "allowed_origins": "https://app.example"}
ALLOWING = {"allowed_origins": "https://app.example"}


async def hello(request: Request) -> Response:
    return PlainTextResponse("hello")


async def broken(request: Request) -> Response:
    raise RuntimeError("broken")


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("open")
    await socket.close()


def guarded(access: Access) -> OriginGuard:
    routes = [Route("/", hello, methods=["GET", "POST"]), Route("/broken", broken), WebSocketRoute("/sync", echo)]
    return OriginGuard(Starlette(routes=routes), access)


async def ask(access: Access, method: str = "GET", path: str = "/", *headers: tuple[str, str]) -> httpx.Response:
    transport = httpx.ASGITransport(guarded(access), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
        return await client.request(method, path, headers=list(headers))


def dev(**given: Any) -> Access:
    return origins.for_dev(config.load(**given))


def serve(**given: Any) -> Access:
    return origins.for_serve(config.load(**given))


@pytest.mark.parametrize(
    ("access", "host", "origin", "may"),
    [
        # hub dev on loopback trusts whoever comes: loopback names and pages, and nothing else
        pytest.param(dev(**LOOPBACK), "localhost:8000", None, True, id="dev: curl"),
        pytest.param(dev(**LOOPBACK), "127.0.0.1:8000", "http://localhost:5173", True, id="dev: a page of this machine"),
        pytest.param(dev(**LOOPBACK), "[::1]:8000", "http://[::1]:3000", True, id="dev: IPv6"),
        pytest.param(dev(**LOOPBACK), "app.localhost", "https://app.localhost", True, id="dev: a name under localhost"),
        pytest.param(dev(**LOOPBACK), "evil.example:8000", None, False, id="dev: DNS rebinding, a GET without Origin"),
        pytest.param(dev(**LOOPBACK), "evil.example:8000", "http://evil.example:8000", False, id="dev: DNS rebinding"),
        pytest.param(dev(**LOOPBACK), "localhost:8000", "https://evil.example", False, id="dev: a foreign page"),
        pytest.param(dev(**LOOPBACK), "localhost:8000", "null", False, id="dev: a sandboxed page"),
        pytest.param(dev(**LOOPBACK), "localhost:8000", "chrome-extension://abc", False, id="dev: an extension"),
        pytest.param(dev(**LOOPBACK), "localhost:8000", "http://localhost.evil.example", False, id="dev: a look-alike"),
        pytest.param(dev(**LOOPBACK), "localhost:8000", "http://localhost@evil.example", False, id="dev: user info"),
        pytest.param(dev(**LOOPBACK), "localhost:8000", "http://evil.example/http://localhost", False, id="dev: a path"),
        pytest.param(dev(**LOOPBACK), "localhost:8000", "http://localhost:port", False, id="dev: no port"),
        pytest.param(dev(**LOOPBACK), "localhost:8000", "http://[::1", False, id="dev: no address"),
        pytest.param(dev(**LOOPBACK), "localhost/x", None, False, id="dev: no host"),
        pytest.param(dev(**LOOPBACK), "192.168.1.5:8000", None, False, id="dev: by another address of this machine"),
        pytest.param(dev(**LOOPBACK, **ALLOWING), "localhost", "https://app.example", False, id="dev: a setting opens nothing"),
        pytest.param(dev(**LOOPBACK, allowed_origins="*"), "localhost", "https://x.example", False, id="dev: nor does *"),
        # beyond loopback nobody is trusted
        pytest.param(dev(**LAN), "192.168.1.5:8000", None, True, id="LAN: curl"),
        pytest.param(dev(**LAN), "192.168.1.5:8000", "http://192.168.1.5:8000", True, id="LAN: the hub's own page"),
        pytest.param(dev(**LAN), "192.168.1.5:8000", "https://app.example", True, id="LAN: a configured page"),
        pytest.param(dev(**LAN), "192.168.1.5:8000", "http://localhost:5173", True, id="LAN: a page of this machine"),
        pytest.param(dev(**LAN), "192.168.1.5:8000", "http://192.168.1.5:9000", False, id="LAN: another port"),
        pytest.param(dev(**LAN), "192.168.1.5:8000", "https://evil.example", False, id="LAN: a foreign page"),
        # production
        pytest.param(serve(**ALLOWING), "hub.example", None, True, id="serve: a server"),
        pytest.param(serve(**ALLOWING), "10.0.0.7:8000", None, True, id="serve: a probe by address"),
        pytest.param(serve(**ALLOWING), "hub.example", "https://app.example", True, id="serve: a configured page"),
        pytest.param(serve(**ALLOWING), "hub.example", "http://app.example", False, id="serve: without TLS"),
        pytest.param(serve(**ALLOWING), "hub.example", "https://app.example:444", False, id="serve: another port"),
        pytest.param(serve(**ALLOWING), "hub.example", "https://x.app.example", False, id="serve: a name below"),
        pytest.param(serve(**ALLOWING), "hub.example", "https://hub.example", False, id="serve: its own name is no exception"),
        pytest.param(serve(**ALLOWING), "localhost", "http://localhost", False, id="serve: nor is loopback"),
        pytest.param(serve(), "hub.example", "https://app.example", False, id="serve: nothing configured"),
        pytest.param(serve(allowed_origins="*"), "hub.example", "https://any.example", True, id="serve: all"),
    ],
)
async def test_a_request_gets_in_by_its_host_and_origin(access: Access, host: str, origin: str | None, may: bool) -> None:
    response = await ask(access, "GET", "/", ("Host", host), *([("Origin", origin)] if origin else []))

    assert (response.status_code, response.text == "hello") == ((200, True) if may else (403, False))
    assert response.headers.get("access-control-allow-origin") == (origin if may else None)
    assert response.headers["vary"] == "Origin"
    if not may:
        assert response.json()["code"] == "Forbidden"


async def test_every_one_of_repeated_headers_must_be_right() -> None:
    hosts = await ask(dev(**LOOPBACK), "GET", "/", ("Host", "localhost"), ("Host", "evil.example"))
    pages = await ask(dev(**LOOPBACK), "GET", "/", ("Origin", "http://localhost"), ("Origin", "https://evil.example"))

    assert (hosts.status_code, pages.status_code) == (403, 403)


async def test_a_key_does_not_open_the_door_for_a_foreign_page() -> None:
    response = await ask(serve(), "POST", "/", ("Origin", "https://evil.example"), ("Authorization", "Convex key"))

    assert response.status_code == 403


async def test_a_preflight_mirrors_what_the_browser_asks_for() -> None:
    response = await ask(
        serve(**ALLOWING),
        "OPTIONS",
        "/api/query",
        ("Origin", "https://app.example"),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization,content-type,convex-client"),
    )

    assert response.status_code == 204
    assert {name: value for name, value in response.headers.items() if name.startswith("access-control")} == {
        "access-control-allow-origin": "https://app.example",
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "GET, POST, OPTIONS",
        "access-control-allow-headers": "authorization,content-type,convex-client",
        "access-control-max-age": "86400",
    }
    assert response.headers["vary"] == "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


async def test_a_foreign_preflight_is_refused() -> None:
    response = await ask(serve(**ALLOWING), "OPTIONS", "/", ("Origin", "https://evil.example"))

    assert response.status_code == 403
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(("path", "status"), [("/broken", 500), ("/nowhere", 404)])
async def test_a_page_can_read_errors_too(path: str, status: int) -> None:
    response = await ask(serve(**ALLOWING), "GET", path, ("Origin", "https://app.example"))

    assert response.status_code == status
    assert response.headers["access-control-allow-origin"] == "https://app.example"
    assert response.headers["access-control-allow-credentials"] == "true"


@pytest.mark.real
@pytest.mark.parametrize("implementation", ["websockets-sansio", "wsproto"])
async def test_the_upgrade_of_a_foreign_page_is_answered_with_403(implementation: Any) -> None:
    if implementation == "wsproto":
        pytest.importorskip("wsproto")
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"ws://127.0.0.1:{listener.getsockname()[1]}/sync"
    server = uvicorn.Server(uvicorn.Config(guarded(dev()), lifespan="off", log_config=None, ws=implementation))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        for origin in ("http://localhost:3000", None):
            async with websockets.connect(address, origin=origin, proxy=None) as client:  # type: ignore[arg-type]  # NewType
                assert await client.recv() == "open"
        with pytest.raises(websockets.InvalidStatus) as caught:
            await websockets.connect(address, origin="https://evil.example", proxy=None)  # type: ignore[arg-type]
        assert caught.value.response.status_code == 403
    finally:
        server.should_exit = True
        await running
        listener.close()
