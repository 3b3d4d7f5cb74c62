"""The chat application on an engine without sockets, and the people who use it.

The store is the one in memory: the rules tested here are the application's, and `tests/scenarios` has it on a real mongod.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hub import config
from hub.clock import SystemClock
from hub.functions import loader
from hub.functions.identity import SERVICE, Caller, Identity
from hub.functions.registry import Registry
from hub.live.engine import Engine
from hub.metrics import Metrics
from hub.protocol import json_values
from hub.protocol.messages import Failure, Result
from hub.store import Insert
from hub.testing.memory import MemoryStore
from hub.values import Value

REPOSITORY = Path(__file__).parents[2]
PATIENCE_S = 60.0


class Refused(Exception):
    """A call that failed; `data` is the ApplicationError's, None for any other error."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.code = failure.code
        self.data = None if failure.data is None else json.loads(failure.data)


@dataclass
class WallClock(SystemClock):
    """Real time for waiting; the time of day goes on when a test says so."""

    seconds: float = 1_800_000_000.0

    def now(self) -> float:
        return self.seconds

    @property
    def ms(self) -> float:
        """What functions see as `ctx.now`."""
        return self.seconds * 1000

    def advance(self, seconds: float = 1.0) -> float:
        self.seconds += seconds
        return self.ms


@dataclass(frozen=True)
class Person:
    """Somebody who calls functions: an end user with a token, the service key, or nobody."""

    engine: Engine
    caller: Caller
    user_id: str = ""

    async def query(self, path: str, **args: Any) -> Any:
        result, _ = await self.engine.query(path, args, self.caller, deadline=self._deadline())
        return _value(result)

    async def mutation(self, path: str, **args: Any) -> Any:
        result, _ = await self.engine.mutate(path, args, self.caller, key=None, body_key=path, deadline=self._deadline())
        return _value(result)

    async def new_chat(self, title: str = "A chat") -> str:
        chat_id: str = (await self.mutation("chats:create", title=title))["chatId"]
        return chat_id

    async def say(self, chat_id: str, content: str, **fields: Any) -> str:
        """Send a message of the user; its id."""
        sent = await self.mutation("messages:send", chatId=chat_id, userMessage={"content": content, **fields})
        message_id: str = sent["userMessageId"]
        return message_id

    async def stream(self, chat_id: str, content: str, status: str = "streaming", **fields: Any) -> str:
        """One state of an assistant's reply; its id."""
        state = {"role": "assistant", "content": content, "status": status, **fields}
        message_id: str = (await self.mutation("messages:streamUpsert", chatId=chat_id, **state))["messageId"]
        return message_id

    async def messages(self, chat_id: str, **args: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = await self.query("messages:list", chatId=chat_id, **args)
        return rows

    def _deadline(self) -> float:
        return self.engine.clock.monotonic() + PATIENCE_S


def _value(result: Result) -> Any:
    if isinstance(result, Failure):
        raise Refused(result)
    return json_values.decode(json.loads(result.value))


@dataclass
class App:
    engine: Engine
    store: MemoryStore
    clock: WallClock
    service: Person = field(init=False)

    def __post_init__(self) -> None:
        self.service = Person(self.engine, SERVICE)

    def stranger(self, subject: str) -> Person:
        """Somebody with a token and without a row."""
        return Person(self.engine, Caller(Identity("https://issuer.test", subject, {"sub": subject})))

    async def user(self, name: str) -> Person:
        """An end user who has signed in before; everybody else's name may be the same."""
        person = self.stranger(f"{name}-{uuid.uuid4()}")
        identity = person.caller.identity
        assert identity is not None
        ensured = await person.mutation("users:ensure", externalId=identity.subject, name=name)
        return Person(self.engine, person.caller, ensured["userId"])

    async def fill(self, chat_id: str, user_id: str, contents: Iterable[str]) -> None:
        """Messages as an import writes them behind the hub's back, all created at the same moment; it has seen them then."""
        rows: list[Insert] = []
        fields: dict[str, Value] = {
            "chatId": chat_id,
            "userId": user_id,
            "role": "user",
            "status": "complete",
            "createdAt": 1.0,
            "updatedAt": 1.0,
        }
        for number, text in enumerate(contents):
            rows.append(Insert("messages", {"_id": f"{chat_id}-{number:06}", "content": text, **fields}))
        await self.engine.catch_up(self.store.outside(*rows))


@pytest.fixture(scope="session")
def registry() -> Registry:
    return loader.load(REPOSITORY)


@pytest.fixture
async def app(registry: Registry) -> AsyncIterator[App]:
    store = MemoryStore()
    await store.open()
    await store.prepare(registry.declared_tables(), drop_unused=True)
    clock = WallClock()
    engine = Engine(store, registry, config.load(mutation_deadline_s=PATIENCE_S), clock=clock, metrics=Metrics(process=False))
    async with engine.running():
        yield App(engine, store, clock)
    await store.close()


@pytest.fixture
def clock(app: App) -> WallClock:
    return app.clock


@pytest.fixture
async def ann(app: App) -> Person:
    return await app.user("Ann")


@pytest.fixture
async def bob(app: App) -> Person:
    return await app.user("Bob")
