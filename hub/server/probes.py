"""What orchestrators and dashboards ask: `/health`, `/ready`, `/version`, `/metrics`.

Answered from memory: a database that is away or hangs delays none of them. Alive and ready are two things: an outage of the
database must not make an orchestrator kill hubs, so `/health` stays 200 through it and only its body says so.
"""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub.clock import Clock
from hub.metrics import CONTENT_TYPE, Metrics
from hub.server.answers import RETRY_AFTER_S, answered
from hub.server.port import Calls


def _installed_version() -> str:
    try:
        return version("hub")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "0+unknown"


VERSION: Final = _installed_version()


class Probes:
    def __init__(self, calls: Calls, clock: Clock, metrics: Metrics) -> None:
        self._calls, self._clock, self._metrics = calls, clock, metrics
        self._started = clock.monotonic()

    def routes(self) -> list[Route]:
        return [
            Route("/health", self._health, methods=["GET"]),
            Route("/ready", self._ready, methods=["GET"]),
            Route("/version", self._version, methods=["GET"]),
            Route("/metrics", self._text, methods=["GET"]),
        ]

    async def _health(self, request: Request) -> Response:
        """503 until the hub was ready once, so that a start can be waited for; from then on 200 as long as it lives."""
        health = self._calls.health()
        body = {
            "status": "ok" if health.was_ready else "starting",
            "version": VERSION,
            "uptimeSeconds": round(self._clock.monotonic() - self._started, 3),
            "ready": health.ready,
            "reason": health.reason,
        }
        return answered(json.dumps(body), 200 if health.was_ready else 503)

    async def _ready(self, request: Request) -> Response:
        health = self._calls.health()
        if health.ready:
            return answered('{"ready":true}')
        return answered(json.dumps({"ready": False, "reason": health.reason}), 503, {"Retry-After": str(RETRY_AFTER_S)})

    async def _version(self, request: Request) -> Response:
        return answered(json.dumps({"name": "hub", "version": VERSION}))

    async def _text(self, request: Request) -> Response:
        self._calls.measure()
        return Response(self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})
