"""What the server's tests share: a clock that stands still, keys that sign, servers on loopback, an engine that answers."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from hub.functions.identity import Caller
from hub.protocol.messages import Result, Success
from hub.timestamps import Timestamp
from hub.values import Value

AUDIENCE = "chat"
TS = Timestamp(7)


@dataclass
class ManualClock:
    seconds: float = 1_000.0

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return self.seconds

    def thread_time(self) -> float:
        return time.thread_time()

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


# --- keys and tokens -----------------------------------------------------------------------------------------------


@cache
def rsa_key(name: str = "a", bits: int = 2048) -> rsa.RSAPrivateKey:
    """One key for each name: making them is slow."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=bits)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def public_jwk(key: Any, **fields: str) -> dict[str, Any]:
    match key:
        case rsa.RSAPrivateKey():
            found = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case ec.EllipticCurvePrivateKey():
            found = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case _:
            found = jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    found.pop("key_ops", None)
    return {**found, **fields}


def signed(key: Any, algorithm: str = "RS256", *, kid: str | None = "k1", **claims: Any) -> str:
    """A token that is right in every way, but for what `claims` say; a claim that is None is left out."""
    now = int(time.time())
    right = {"iss": "https://issuer.example", "sub": "alice", "aud": AUDIENCE, "iat": now, "exp": now + 600}
    chosen = {name: value for name, value in {**right, **claims}.items() if value is not None}
    return jwt.encode(chosen, key, algorithm=algorithm, headers={"kid": kid} if kid else None)


# --- servers -------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[str]:
    """The application on a free loopback port, by a real server; gives its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, ws="none", timeout_graceful_shutdown=1))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:  # it listens already: who connects before it serves waits
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
        listener.close()


@dataclass
class Issuer:
    """An OpenID provider. `keys` is what it publishes now; `is_down` makes it answer 500."""

    keys: list[dict[str, Any]]
    address: str = ""
    is_down: bool = False
    claims_to_be: str | None = None
    fetches: list[str] = field(default_factory=list)

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/.well-known/openid-configuration", self._discover), Route("/keys", self._publish)])

    async def _discover(self, request: Request) -> Response:
        self.fetches.append("discovery")
        if self.is_down:
            return Response(status_code=500)
        return JSONResponse({"issuer": self.claims_to_be or self.address, "jwks_uri": f"{self.address}/keys"})

    async def _publish(self, request: Request) -> Response:
        self.fetches.append("keys")
        return Response(status_code=500) if self.is_down else JSONResponse({"keys": self.keys})


@asynccontextmanager
async def running_issuer(*keys: dict[str, Any]) -> AsyncIterator[Issuer]:
    issuer = Issuer(list(keys))
    async with serving(issuer.app()) as issuer.address:
        yield issuer


# --- an engine -----------------------------------------------------------------------------------------------------


@dataclass
class Called:
    """One call that reached the engine."""

    kind: str
    path: str
    args: Mapping[str, Value]
    caller: Caller
    options: Mapping[str, Any]


@dataclass(frozen=True)
class How:
    ready: bool = True
    was_ready: bool = True
    reason: str = ""


@dataclass
class ScriptedEngine:
    """Answers every call with `result` at `ts`, or raises `error`; `calls` is what reached it."""

    result: Result = field(default_factory=lambda: Success("null"))
    ts: Timestamp = TS
    error: Exception | None = None
    how: How = field(default_factory=How)
    kinds: Mapping[str, Literal["query", "mutation"]] = field(default_factory=dict)
    calls: list[Called] = field(default_factory=list)
    measured: int = 0

    async def query(self, path: str, args: Mapping[str, Value], caller: Caller, **options: Any) -> tuple[Result, Timestamp]:
        return self._answer("query", path, args, caller, options), self.ts

    async def query_batch(
        self, calls: Sequence[tuple[str, Mapping[str, Value]]], caller: Caller, **options: Any
    ) -> tuple[list[Result], Timestamp]:
        return [self._answer("query", path, args, caller, options) for path, args in calls], self.ts

    async def mutate(self, path: str, args: Mapping[str, Value], caller: Caller, **options: Any) -> tuple[Result, Timestamp | None]:
        return self._answer("mutation", path, args, caller, options), self.ts

    async def latest(self, deadline: float) -> Timestamp:
        return self.ts

    def kind_of(self, path: str, caller: Caller) -> Literal["query", "mutation"]:
        if self.error is not None:
            raise self.error
        return self.kinds[path]

    def health(self) -> How:
        return self.how

    def measure(self) -> None:
        self.measured += 1

    def _answer(self, kind: str, path: str, args: Mapping[str, Value], caller: Caller, options: Mapping[str, Any]) -> Result:
        self.calls.append(Called(kind, path, args, caller, options))
        if self.error is not None:
            raise self.error
        return self.result


def as_json(text: str) -> Any:
    return json.loads(text)
