"""Who may connect: which `Host` and `Origin` headers are taken, on HTTP and on the WebSocket upgrade, and CORS for those pages.

`OriginGuard` is the outermost layer of the application, so that error pages carry the headers too and nothing runs for a page
that may not be here. Invariant: where callers without a token are trusted (`hub dev` on loopback), every Host and Origin that
gets through is loopback, so that no web page reaches that trust by DNS rebinding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.config import Settings, is_loopback_host

PREFLIGHT_MAX_AGE_S = 86_400
_METHODS = "GET, POST, OPTIONS"


@dataclass(frozen=True, slots=True)
class Access:
    """`loopback_hosts_only`: any other Host is refused. `origins`: pages that may connect, `*` for all.

    `loopback_origins` and `own_origin` add pages of this machine, and pages that this very address serves.
    """

    origins: frozenset[str] = frozenset()
    loopback_hosts_only: bool = False
    loopback_origins: bool = False
    own_origin: bool = False

    def refusal(self, headers: Headers) -> str | None:
        """Why a request with these headers is not taken, None if it is. Each of repeated headers must be right."""
        hosts = headers.getlist("host")
        if self.loopback_hosts_only and (not hosts or not all(is_loopback_authority(host) for host in hosts)):
            return "this hub trusts whoever is on its own machine, so it answers only to loopback names like localhost"
        if not all(self._takes(origin, hosts) for origin in headers.getlist("origin")):
            return "pages of this origin may not connect; HUB_ALLOWED_ORIGINS of `hub serve` lists those that may"
        return None

    def _takes(self, origin: str, hosts: list[str]) -> bool:
        if "*" in self.origins or origin in self.origins:
            return True
        scheme, separator, authority = origin.partition("://")
        if scheme not in ("http", "https") or not separator:
            return False  # `null`, extensions, files
        if self.own_origin and hosts == [authority]:
            return True
        return self.loopback_origins and is_loopback_authority(authority)


def for_dev(settings: Settings) -> Access:
    """Loopback only, whatever is configured; beyond loopback nobody is trusted, and the configured pages may come too."""
    if settings.listens_on_loopback:
        return Access(loopback_hosts_only=True, loopback_origins=True)
    return Access(frozenset(settings.allowed_origins), loopback_origins=True, own_origin=True)


def for_serve(settings: Settings) -> Access:
    return Access(frozenset(settings.allowed_origins))


def is_loopback_authority(authority: str) -> bool:
    """Whether `host[:port]` names this machine, and is nothing but that."""
    try:
        parts = urlsplit(f"//{authority}")
        _ = parts.port  # raises where it is no number
    except ValueError:
        return False
    return parts.netloc == authority and parts.username is None and is_loopback_host(parts.hostname or "")


class OriginGuard:
    """Refuses foreign pages with 403, answers preflights, and adds CORS headers to every answer of the application."""

    def __init__(self, app: ASGIApp, access: Access, *, refused: Callable[[], None] = lambda: None) -> None:
        self._app, self._access, self._refused = app, access, refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        reason = self._access.refusal(headers)
        if reason is not None:
            self._refused()
            await _refuse(reason, scope, receive, send)
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            await _preflight(headers)(scope, receive, send)
        else:
            await self._app(scope, receive, _with_cors(send, headers.get("origin")))


async def _refuse(reason: str, scope: Scope, receive: Receive, send: Send) -> None:
    response = JSONResponse({"code": "Forbidden", "message": reason}, 403, {"Vary": "Origin"})
    if scope["type"] == "http" or "websocket.http.response" in scope.get("extensions", {}):
        await response(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": 1008, "reason": ""})  # before accept: the server answers 403


def _preflight(headers: Headers) -> Response:
    """Source: Fetch Standard, "CORS-preflight request". Never cached by caches in between, as it is no GET."""
    answer = {"Allow": _METHODS, "Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"}
    origin = headers.get("origin")
    if origin is not None:
        answer |= {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Credentials": "true",
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Max-Age": str(PREFLIGHT_MAX_AGE_S),
        }
        if wanted := headers.get("access-control-request-headers"):
            answer["Access-Control-Allow-Headers"] = wanted
    return Response(status_code=204, headers=answer)


def _with_cors(send: Send, origin: str | None) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.add_vary_header("Origin")
            if origin is not None:
                headers["Access-Control-Allow-Origin"] = origin
                headers["Access-Control-Allow-Credentials"] = "true"
                headers["Access-Control-Expose-Headers"] = "Retry-After"
        await send(message)

    return send_with_headers
