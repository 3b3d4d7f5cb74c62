"""The ASGI application: every route of the hub under one guard."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import ASGIApp

from hub.server.http import CollapseSlashes
from hub.server.origins import Access, OriginGuard
from hub.server.websocket import Sockets


def build_app(routes: Sequence[BaseRoute], sockets: Sockets, access: Access, refused: Callable[[], None]) -> ASGIApp:
    """`routes` are those of `http`, `probes` and `page`."""
    sync = [WebSocketRoute("/api/sync", sockets.serve), WebSocketRoute("/api/{version}/sync", sockets.serve)]
    return OriginGuard(CollapseSlashes(Starlette(routes=[*sync, *routes])), access, refused=refused)
