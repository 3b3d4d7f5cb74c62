"""One running hub for the scenarios, the published clients, and a chat to talk in."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hub.mongo.embedded import MongodBinary
from tests.conftest import Once, install_packages, missing, require_node
from tests.scenarios.hub_process import HubProcess
from tests.scenarios.js_client import NEWEST, SCRIPTS, JsClient, js_client
from tests.scenarios.proxy import Proxy, proxy_to

Connect = Callable[..., Awaitable[JsClient]]
PACKAGE = Path(__file__).parents[2] / "clients" / "js"
OUTPUT_SHOWN_CHARS = 6_000


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A scenario that fails shows what its hub said."""
    report = yield
    used: dict[str, Any] = getattr(item, "funcargs", {})
    hubs = {id(part): part for part in used.values() if isinstance(part, HubProcess)}
    if report.failed:
        report.sections += [("Output of the hub", hub.output[-OUTPUT_SHOWN_CHARS:]) for hub in hubs.values()]
    return report


@pytest.fixture(scope="session")
def node(once: Once) -> str:
    """Node, with the clients of `tests/js/package-lock.json` installed beside the scripts."""
    path = require_node()
    once("tests-js", lambda: install_packages(SCRIPTS))
    return path


@pytest.fixture(scope="session")
def hub_client(node: str, once: Once) -> Path:
    """The folder of the npm package `hub-client`, built from the source that is here."""
    once("hub-client", _build_hub_client)
    return PACKAGE


def _build_hub_client() -> None:
    install_packages(PACKAGE)
    npm = shutil.which("npm") or missing("npm is not on PATH")
    built = subprocess.run([npm, "run", "build"], cwd=PACKAGE, capture_output=True, text=True, timeout=100, check=False)
    assert built.returncode == 0, built.stdout + built.stderr


@pytest.fixture(scope="session")
def shared_hub(mongod_binary: MongodBinary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """Without the assistant: nobody answers but the test."""
    with HubProcess(tmp_path_factory.mktemp("hub"), options=("--no-mount",)) as hub:
        yield hub


@pytest.fixture(scope="module")
def hub(shared_hub: HubProcess) -> HubProcess:
    """The hub that all scenarios share; a module that harms its own, or edits its application, overrides this."""
    return shared_hub


@pytest.fixture(scope="session")
def hub_of_cells(mongod_binary: MongodBinary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """With `application/`: queries that show any value there is."""
    with HubProcess(tmp_path_factory.mktemp("hub"), app=Path(__file__).parent / "application") as hub:
        yield hub


@pytest.fixture
async def proxy(hub: HubProcess) -> AsyncIterator[Proxy]:
    """What stands between the hub and clients that are to be cut off."""
    async with proxy_to(hub.port) as proxy:
        yield proxy


@pytest.fixture
async def connect(node: str, hub: HubProcess) -> AsyncIterator[Connect]:
    """`await connect(version)`: a client of the hub, or of an address given, until the test is over."""
    async with AsyncExitStack() as clients:

        async def open_one(
            version: str = NEWEST, address: str | None = None, transport: Mapping[str, Any] | None = None
        ) -> JsClient:
            return await clients.enter_async_context(js_client(node, address or hub.url, version, transport))

        yield open_one


@dataclass(frozen=True, slots=True)
class Conversation:
    """A chat of a user that nobody else's test touches."""

    external_id: str
    user_id: str
    chat_id: str

    @property
    def owned(self) -> dict[str, Any]:
        """The arguments every function of this chat takes from a trusted caller."""
        return {"userId": self.user_id, "chatId": self.chat_id}

    def message(self, content: str, **fields: Any) -> dict[str, Any]:
        """Arguments of `messages:send`."""
        return {**self.owned, "userMessage": {"content": content, **fields}}


def converse(hub: HubProcess, title: str = "A chat") -> Conversation:
    external_id = f"user-{uuid.uuid4()}"
    user_id = hub.mutation("users:ensure", {"externalId": external_id})["userId"]
    chat_id = hub.mutation("chats:create", {"userId": user_id, "title": title})["chatId"]
    return Conversation(external_id, user_id, chat_id)


@pytest.fixture
def chat(hub: HubProcess) -> Conversation:
    return converse(hub)


def contents(rows: list[dict[str, Any]]) -> list[str]:
    return [row["content"] for row in rows]


def shows(*expected: str) -> Callable[[list[dict[str, Any]]], bool]:
    """Whether a list of messages has exactly these contents, in this order."""
    return lambda rows: contents(rows) == list(expected)
