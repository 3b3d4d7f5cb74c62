"""What `hub dev` serves for its page: files under a strict policy, the application, and tokens where all are trusted anyway."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from hub import config
from hub.metrics import Metrics
from hub.server import development, development_page, tokens
from tests.server.support import ManualClock

WEB = development_page.WEB


def client(data_dir: Path, host: str = "127.0.0.1", extras: frozenset[str] = frozenset()) -> httpx.AsyncClient:
    settings = config.load(data_dir=data_dir, host=host)
    routes = development_page.routes(settings, lambda: '{"functions":[]}', development.open_issuer(data_dir), extras)
    return httpx.AsyncClient(transport=httpx.ASGITransport(Starlette(routes=routes)), base_url="http://localhost:1")


async def test_every_file_comes_under_a_policy_that_lets_the_page_load_nothing_from_elsewhere(tmp_path: Path) -> None:
    names = [path.relative_to(WEB).as_posix() for path in WEB.rglob("*") if path.is_file()]

    async with client(tmp_path) as http:
        for name in names:
            response = await http.get("/" if name == "index.html" else f"/{name}")
            policy = response.headers["content-security-policy"]
            assert response.content == (WEB / name).read_bytes()
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "http" not in policy
            assert response.headers["x-content-type-options"] == "nosniff"


async def test_a_file_that_is_known_is_not_sent_again(tmp_path: Path) -> None:
    async with client(tmp_path) as http:
        first = await http.get("/page/app.js")
        again = await http.get("/page/app.js", headers={"If-None-Match": first.headers["etag"]})

    assert (first.headers["cache-control"], again.status_code) == ("no-cache", 304)


@pytest.mark.parametrize("path", ["/page/none.js", "/page/..%2f..%2fcli.py", "/page/%2e%2e", "/page/"])
async def test_nothing_else_of_the_disk_is_served(tmp_path: Path, path: str) -> None:
    async with client(tmp_path) as http:
        assert (await http.get(path)).status_code == 404


async def test_the_page_hears_what_is_served_and_what_else_is_there(tmp_path: Path) -> None:
    async with client(tmp_path, extras=frozenset({"assistant"})) as http:
        response = await http.get("/dev/application")

    assert response.json() == {"has": ["assistant", "tokens"], "application": {"functions": []}}
    assert response.headers["cache-control"] == "no-store"


async def test_a_token_is_one_of_the_hubs_own_issuer(tmp_path: Path) -> None:
    async with client(tmp_path) as http:
        token = (await http.post("/dev/token", json={"subject": "ada"})).json()["token"]

    authenticator, _ = tokens.for_dev(config.load(data_dir=tmp_path), ManualClock(), Metrics("1.2.3"))
    verified = await authenticator.verify(token)
    assert (verified.identity.subject, verified.identity.issuer) == ("ada", development.ISSUER)


@pytest.mark.parametrize("body", [{}, {"subject": ""}, {"subject": 1}, {"subject": "x" * 201}, []])
async def test_a_token_is_for_a_subject(tmp_path: Path, body: object) -> None:
    async with client(tmp_path) as http:
        response = await http.post("/dev/token", json=body)

    assert response.status_code == 400
    assert set(response.json()) == {"code", "message"}


async def test_a_form_of_another_page_gets_no_token(tmp_path: Path) -> None:
    """A browser sends a form, or text, to anywhere without asking first; JSON it does not."""
    async with client(tmp_path) as http:
        response = await http.post("/dev/token", content=json.dumps({"subject": "ada"}), headers={"Content-Type": "text/plain"})

    assert response.status_code == 400


async def test_beyond_loopback_there_are_no_tokens(tmp_path: Path) -> None:
    async with client(tmp_path, host="0.0.0.0") as http:
        assert (await http.post("/dev/token", json={"subject": "ada"})).status_code == 404
        assert (await http.get("/dev/application")).json()["has"] == []
