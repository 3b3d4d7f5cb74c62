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
from hub.config import Settings
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
    def __init__(self, calls: Calls, settings: Settings, clock: Clock, metrics: Metrics) -> None:
        self._calls, self._settings, self._clock, self._metrics = calls, settings, clock, metrics
        self._started = clock.monotonic()

    def routes(self) -> list[Route]:
        return [
            Route("/health", self._health, methods=["GET"]),
            Route("/ready", self._ready, methods=["GET"]),
            Route("/version", self._version, methods=["GET"]),
            Route("/metrics", self._text, methods=["GET"]),
        ]

    def not_ready_because(self) -> str:
        """Why this hub may not take traffic now, "" if it may."""
        health, most_s = self._calls.health(), self._settings.ready_max_lag_s
        if not health.ready:
            return health.reason or "starting"
        return f"the change feed is {health.lag_s:.1f} s behind, more than {most_s:g} s" if health.lag_s > most_s else ""

    async def _health(self, request: Request) -> Response:
        """503 until the hub was ready once, so that a start can be waited for; from then on 200 as long as it lives."""
        reason, was_ready = self.not_ready_because(), self._calls.health().was_ready
        body = {
            "status": "ok" if was_ready else "starting",
            "version": VERSION,
            "uptimeSeconds": round(self._clock.monotonic() - self._started, 3),
            "ready": not reason,
            "reason": reason,
        }
        return answered(json.dumps(body), 200 if was_ready else 503)

    async def _ready(self, request: Request) -> Response:
        reason = self.not_ready_because()
        if not reason:
            return answered('{"ready":true}')
        return answered(json.dumps({"ready": False, "reason": reason}), 503, {"Retry-After": str(RETRY_AFTER_S)})

    async def _version(self, request: Request) -> Response:
        return answered(json.dumps({"name": "hub", "version": VERSION}))

    async def _text(self, request: Request) -> Response:
        self._calls.measure()
        return Response(self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})
