"""What orchestrators and people hear: alive, ready, which version, how much; and the page at `/`."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette

from hub.metrics import Metrics
from hub.server import page
from hub.server.probes import VERSION, Probes
from tests.server.support import How, ManualClock, ScriptedEngine

STARTING = How(ready=False, was_ready=False, reason="starting")
READY = How()
AWAY = How(ready=False, was_ready=True, reason="the database has no primary")


async def get(how: How, path: str, *, clock: ManualClock | None = None, later_s: float = 0) -> httpx.Response:
    clock, engine = clock or ManualClock(), ScriptedEngine(how=how)
    routes = Probes(engine, clock, Metrics("1.2.3")).routes()
    routes += [page.route()]
    clock.seconds += later_s
    async with httpx.AsyncClient(transport=httpx.ASGITransport(Starlette(routes=routes)), base_url="http://hub:1") as client:
        return await client.get(path)


@pytest.mark.parametrize(
    ("how", "health", "ready", "reason"),
    [
        pytest.param(STARTING, 503, 503, "starting", id="starting"),
        pytest.param(READY, 200, 200, "", id="ready"),
        pytest.param(AWAY, 200, 503, "no primary", id="the database is away: alive, not ready"),
    ],
)
async def test_alive_and_ready_are_two_things(how: How, health: int, ready: int, reason: str) -> None:
    alive, may_serve = await get(how, "/health"), await get(how, "/ready")

    assert (alive.status_code, may_serve.status_code) == (health, ready)
    assert alive.json()["ready"] is may_serve.json()["ready"] is (ready == 200)
    assert reason in alive.json()["reason"]
    assert reason in may_serve.json().get("reason", "")


async def test_health_tells_version_and_uptime() -> None:
    body = (await get(READY, "/health", later_s=12.5)).json()

    assert (body["status"], body["version"], body["uptimeSeconds"]) == ("ok", VERSION, 12.5)


async def test_no_probe_is_cached() -> None:
    for path in ("/health", "/ready", "/version"):
        assert (await get(READY, path)).headers["cache-control"] == "no-store"


async def test_version_names_the_release() -> None:
    assert (await get(STARTING, "/version")).json() == {"name": "hub", "version": VERSION}


async def test_metrics_are_prometheus_text_with_every_number_the_hub_promises() -> None:
    response = await get(AWAY, "/metrics")

    assert response.headers["content-type"].startswith("text/plain; version=")
    for line in ('hub_build_info{version="1.2.3"} 1.0', "process_cpu_seconds_total"):
        assert line in response.text
    for name in (
        "commits_total",
        "reruns_total",
        "wasted_reruns_total",
        "sessions",
        "resyncs_total",
        "queue_length",
        "errors_total",
    ):
        assert f"# TYPE hub_{name} " in response.text


async def test_two_hubs_in_one_process_share_no_number() -> None:
    one, other = Metrics(), Metrics()
    one.resyncs.inc()

    assert "hub_resyncs_total 1.0" in one.text().decode()
    assert "hub_resyncs_total 0.0" in other.text().decode()


async def test_the_page_says_how_to_call_this_hub_and_needs_nothing_from_elsewhere() -> None:
    response = await get(READY, "/")

    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "curl http://hub:1/api/query" in response.text
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "src=" not in response.text


async def test_a_host_header_cannot_put_anything_into_the_page() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(Starlette(routes=[page.route()])), base_url="http://hub") as client:
        response = await client.get("/", headers={"Host": '"><script>alert(1)</script>'})

    assert "<script" not in response.text
