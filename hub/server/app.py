"""The ASGI application: every route of the hub under one guard."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import ASGIApp

from hub.server.answers import crashed, no_route
from hub.server.http import CollapseSlashes
from hub.server.origins import Access, OriginGuard
from hub.server.websocket import Sockets


def build_app(routes: Sequence[BaseRoute], sockets: Sockets, access: Access, refused: Callable[[], None]) -> ASGIApp:
    """`routes` are those of `http`, `probes` and `page`."""
    sync = [WebSocketRoute("/api/sync", sockets.serve), WebSocketRoute("/api/{version}/sync", sockets.serve)]
    errors = {HTTPException: no_route, Exception: crashed}
    app = Starlette(routes=[*sync, *routes], exception_handlers=errors)
    return OriginGuard(CollapseSlashes(app), access, refused=refused)
