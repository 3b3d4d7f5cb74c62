"""`hub serve`, as in production: processes of their own on a replica set that is not theirs."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
import websockets
from pymongo import AsyncMongoClient
from websockets.frames import Frame, Opcode

from hub import starter
from hub.mongo.embedded import EmbeddedMongod
from tests.mongo.conftest import Line
from tests.scenarios.hub_process import HubProcess, eventually

KEY = "a service key for tests"
SERVICE = {"Authorization": f"Convex {KEY}"}
Serve = Callable[..., HubProcess]

pytestmark = pytest.mark.real


@pytest.fixture
async def line(own_mongod: EmbeddedMongod, tmp_path: Path) -> AsyncIterator[Line]:
    """Between a hub and its database."""
    socket = unquote(own_mongod.url.removeprefix("mongodb://").partition("/?")[0])
    line = Line(socket, str(tmp_path / "line.sock"))
    await line.open()
    yield line
    await line.close()


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    hubs: list[HubProcess] = []

    def make(url: str) -> HubProcess:
        environment = {"HUB_MONGO_URL": url, "HUB_ADMIN_KEY": KEY, "HUB_AUTH_OPTIONAL": "1", "HUB_MUTATION_DEADLINE_S": "60"}
        hubs.append(HubProcess(tmp_path / f"hub-{len(hubs)}", command="serve", environment=environment))
        return hubs[-1]

    yield make
    for hub in hubs:
        hub.stop()


async def started(hub: HubProcess) -> HubProcess:
    """Not by `hub.start`: a proxy in this process has to go on meanwhile."""
    hub.launch()
    async with httpx.AsyncClient() as http:
        for _ in range(600):
            assert hub.process is not None
            assert hub.process.poll() is None, hub.output
            try:
                if (await http.get(f"{hub.url}/ready")).status_code == 200:
                    return hub
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)
    raise AssertionError(f"not ready:\n{hub.output}")


async def until_ready_is(status: int, hub: HubProcess, http: httpx.AsyncClient) -> None:
    async with asyncio.timeout(30):
        while (await http.get(f"{hub.url}/ready")).status_code != status:  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.05)


async def call(http: httpx.AsyncClient, hub: HubProcess, kind: str, path: str, args: dict[str, Any], **headers: str) -> Any:
    body = {"path": path, "args": args}
    reply = await http.post(f"{hub.url}/api/{kind}", json=body, headers={**SERVICE, **headers}, timeout=60)
    return reply.json()


async def test_it_serves_those_it_knows_and_leaves_the_database_alone(own_mongod: EmbeddedMongod, serve: Serve) -> None:
    hub = await started(serve(own_mongod.url))
    pid = own_mongod.pid
    async with httpx.AsyncClient() as http:
        ensured = await call(http, hub, "mutation", "users:ensure", {"externalId": "ann"})
        assert ensured["status"] == "success"
        nobody = await http.post(f"{hub.url}/api/query", json={"path": "users:me", "args": {}})
        assert nobody.json()["code"] == "Unauthorized"
        assert (await http.get(hub.url, headers={"Origin": "https://elsewhere.example"})).status_code == 403
        assert "users:me" not in (await http.get(hub.url)).text, "a page for anybody does not name the functions"

    hub.signal(signal.SIGTERM)

    assert hub.wait(15) == 0
    assert own_mongod.pid == pid


async def test_a_hub_killed_between_commit_and_answer_leaves_the_answer_to_another(
    own_mongod: EmbeddedMongod, line: Line, serve: Serve
) -> None:
    first, second = await started(serve(line.url)), await started(serve(own_mongod.url))
    async with httpx.AsyncClient() as http, AsyncMongoClient[dict[str, Any]](own_mongod.url) as database:
        # The first hub's commit arrives, and nothing tells it so: neither the acknowledgement nor the feed.
        line.lose_answers_to("commitTransaction", 1_000)
        line.lose("getMore", 1_000)
        await until_ready_is(503, first, http)  # the feed's last request had its answer, and no other gets one
        user = {"externalId": "ann", "name": "Ann"}

        async def ask(hub: HubProcess) -> Any:
            return await call(http, hub, "mutation", "users:ensure", user, **{"Idempotency-Key": "once"})

        waiting = asyncio.create_task(ask(first))
        for _ in range(600):
            row = await database["hub"]["users"].find_one({"externalId": "ann"})
            if row is not None:
                break
            await asyncio.sleep(0.05)
        assert row is not None
        assert not waiting.done()
        first.signal(signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            await waiting

        answer = await ask(second)

        assert answer["value"] == {"userId": row["_id"]}
        assert await database["hub"]["users"].count_documents({}) == 1


async def test_two_hubs_show_each_other_s_commits(own_mongod: EmbeddedMongod, serve: Serve) -> None:
    one, other = await started(serve(own_mongod.url)), await started(serve(own_mongod.url))
    async with httpx.AsyncClient() as http:
        for n in range(20):
            hub, asked = (one, other) if n % 2 else (other, one)
            user = await call(http, hub, "mutation", "users:ensure", {"externalId": f"user {n}"})
            chats = await call(http, asked, "mutation", "chats:create", {"userId": user["value"]["userId"], "title": "t"})
            listed = await call(http, hub, "query", "chats:list", {"userId": user["value"]["userId"]})
            assert [chat["_id"] for chat in listed["value"]] == [chats["value"]["chatId"]]


async def test_a_frame_that_is_not_utf_8_is_closed_and_leaves_no_traceback(own_mongod: EmbeddedMongod, serve: Serve) -> None:
    hub = await started(serve(own_mongod.url))

    async with websockets.connect(f"{hub.url.replace('http', 'ws')}/api/sync") as socket:
        socket.transport.write(Frame(Opcode.TEXT, b"\xff\xfe{}").serialize(mask=True))
        with pytest.raises(websockets.ConnectionClosedError) as closed:
            await socket.recv()

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1007
    assert "Traceback" not in hub.output


async def test_more_sockets_than_allowed_are_refused_before_they_open(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub", environment={"HUB_SESSIONS_MAX": "1"}) as hub:
        address = f"{hub.url.replace('http', 'ws')}/api/sync"
        async with websockets.connect(address):
            with pytest.raises(websockets.InvalidStatus) as refused:
                async with websockets.connect(address):
                    pass

    assert refused.value.response.status_code == 503
    assert "ERROR" not in hub.output


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "one") as one:
        other = HubProcess(tmp_path / "other", port=one.port)
        other.launch()

        assert eventually(lambda: other.process is not None and other.process.poll() == 2, 20, "it gave up")
        assert "choose another with --port" in other.output
        assert "Traceback" not in other.output


async def test_a_call_that_never_returns_ends_the_hub_with_its_place_in_the_log(tmp_path: Path) -> None:
    app = tmp_path / "app"
    starter.write(app)
    (app / "queries" / "stuck.py").write_text(
        "from hub import QueryContext, query\n\n\n"
        "@query\nasync def stuck(ctx: QueryContext) -> int:\n    return sum(range(10**13))\n"
    )
    with HubProcess(tmp_path / "hub", app=app, environment={"HUB_STALL_EXIT_S": "5"}) as hub:
        async with httpx.AsyncClient() as http:
            with pytest.raises(httpx.TransportError):
                await http.post(f"{hub.url}/api/query", json={"path": "stuck:stuck", "args": {}}, timeout=30)

        assert hub.wait(10) == 1
        assert "queries/stuck.py" in hub.output


async def test_nothing_of_the_development_page_is_there_in_production(own_mongod: EmbeddedMongod, serve: Serve) -> None:
    hub = await started(serve(own_mongod.url))

    async with httpx.AsyncClient(base_url=hub.url) as http:
        statuses = [(await http.get(path)).status_code for path in ("/dev/application", "/page/app.js")]
        statuses.append((await http.post("/dev/token", json={"subject": "ada"})).status_code)
        page = (await http.get("/")).text

    assert statuses == [404, 404, 404]
    assert "A hub runs here" in page
    assert "<script" not in page
