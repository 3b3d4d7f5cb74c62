"""A `hub dev` of this repository, with the assistant that it mounts, and people who chat there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, fields
from typing import Any

import httpx
import pytest

from hub.mongo.embedded import MongodBinary
from tests.assistant.model_server import ModelServer, model_server
from tests.scenarios.conftest import node as node  # the fixture
from tests.scenarios.hub_process import HTTP, REPOSITORY, HubProcess, eventually, free_port
from tests.scenarios.js_client import SCRIPTS
from tests.scenarios.scripts import Event, Script, running

PACE_S = 0.01
LEASE_S = 2.0


@pytest.fixture(scope="session")
def dev(mongod_binary: MongodBinary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """With the built-in model."""
    environment = {"HUB_CHAT_PACE_S": str(PACE_S), "HUB_CHAT_LEASE_S": str(LEASE_S), "HUB_CHAT_MODEL_SILENCE_S": "1"}
    with HubProcess(tmp_path_factory.mktemp("dev"), options=("--no-reload",), environment=environment) as hub:
        yield hub


@pytest.fixture(scope="session")
def _model() -> Iterator[ModelServer]:
    with model_server() as server:
        yield server


@pytest.fixture
def model(_model: ModelServer) -> ModelServer:
    """An endpoint that was asked nothing yet, and answers well."""
    fresh = ModelServer(port=_model.port)
    for each in fields(ModelServer):
        setattr(_model, each.name, getattr(fresh, each.name))
    return _model


@pytest.fixture(scope="session")
def by_itself(dev: HubProcess, _model: ModelServer) -> Iterator[str]:
    """An assistant in a process of its own, as its README starts it: with that endpoint, and without a service key."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")} | {
        "HUB_URL": dev.url,
        "HUB_CHAT_MODEL_URL": _model.url,
        "HUB_CHAT_MODEL_KEY": "a-key",
        "HUB_CHAT_MODEL": "small",
        "HUB_CHAT_MODEL_SILENCE_S": "1",
    }
    command = [sys.executable, "-m", "uvicorn", "--factory", "clients.assistant.app:build_app", "--port", str(port)]
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: _answers(address), 20, "the assistant is up")
        yield address
    finally:
        process.terminate()
        process.wait(10)


def _answers(address: str) -> bool:
    try:
        return HTTP.get(address, timeout=5).status_code == 404
    except httpx.TransportError:
        return False


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a token and a chat of their own."""

    hub: HubProcess
    subject: str
    token: str
    chat_id: str

    def call(self, kind: str, path: str, **args: Any) -> Any:
        return (self.hub.query if kind == "query" else self.hub.mutation)(path, args, self.token)

    def messages(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.call("query", "messages:list", chatId=self.chat_id)
        return rows

    def reply(self) -> dict[str, Any]:
        return next(row for row in reversed(self.messages()) if row["role"] == "assistant")

    def ended(self, timeout_s: float = 30) -> dict[str, Any]:
        """The reply, once nobody writes it any more."""
        return eventually(lambda: (row := self.reply())["status"] != "streaming" and row, timeout_s, "the reply has ended")

    @property
    def assistant(self) -> str:
        """The one that the hub mounts."""
        return f"{self.hub.url}/assistant"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def post(self, path: str, body: Any, base: str | None = None, **options: Any) -> httpx.Response:
        """`base` is where an assistant is that runs by itself."""
        url = f"{base or self.assistant}{path}"
        return HTTP.post(url, **{"json": body, "headers": self.headers, "timeout": 30, **options})

    def start(self, text: str, name: str = "one", base: str | None = None) -> str:
        """Say something, and go away in the middle of the answer: the id of its message."""
        url = f"{base or self.assistant}/chat"
        with HTTP.stream("POST", url, json=self.said(text, name), headers=self.headers, timeout=30) as answer:
            found = (chunk for chunk in map(chunk_of, answer.iter_lines()) if chunk is not None)
            message_id: str = next(found)["messageId"]
            next(chunk for chunk in found if chunk["type"] == "text-delta")
        return message_id

    def said(self, text: str, name: str = "one") -> dict[str, Any]:
        return {"chatId": self.chat_id, "userMessage": {"clientMessageId": name, "content": text}}


def chunk_of(line: str) -> dict[str, Any] | None:
    """What one line of the stream says; None for one that ends an event, or the stream."""
    is_chunk = line.startswith("data: {")
    chunk: dict[str, Any] | None = json.loads(line.removeprefix("data: ")) if is_chunk else None
    return chunk


def chunks_of(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    assert response.text.endswith("data: [DONE]\n\n")
    return [chunk for chunk in map(chunk_of, response.text.splitlines()) if chunk is not None]


def text_of(chunks: list[dict[str, Any]]) -> str:
    return "".join(chunk["delta"] for chunk in chunks if chunk["type"] == "text-delta")


def somebody(hub: HubProcess) -> Person:
    subject = f"user-{uuid.uuid4()}"
    token = hub.token(subject)
    hub.mutation("users:ensure", {"externalId": subject}, token)
    return Person(hub, subject, token, hub.mutation("chats:create", {"title": "A chat"}, token)["chatId"])


@pytest.fixture
def person(dev: HubProcess) -> Person:
    return somebody(dev)


class Page(Script):
    """A headless chat of the `ai` package."""

    def do(self, op: str, **fields: Any) -> int:
        """Returns where the events begin that follow."""
        self.write(json.dumps({"op": op, **fields}))
        return len(self.events)

    async def shows(self, wanted: Callable[[list[Event]], bool], *, after: int = 0) -> list[Event]:
        found = await self.event(lambda event: event["event"] == "messages" and wanted(event["messages"]), after=after)
        messages: list[Event] = found["messages"]
        return messages

    async def done(self, op: str, *, after: int = 0) -> list[Event]:
        """What it shows when a command is through."""
        await self.event(lambda event: event["event"] == "done" and event["op"] == op, after=after)
        shown: list[Event] = next((event["messages"] for event in reversed(self.events) if event["event"] == "messages"), [])
        return shown


Open = Callable[..., Awaitable[Page]]


@pytest.fixture
async def page(node: str) -> AsyncIterator[Open]:
    """`await page(person)`: one more page of theirs; also at an assistant that runs by itself."""
    async with AsyncExitStack() as pages:

        async def open_one(person: Person, base: str | None = None) -> Page:
            command = (node, str(SCRIPTS / "assistant.mjs"), base or person.assistant, person.token, person.chat_id)
            return await pages.enter_async_context(running(Page, *command))

        yield open_one
