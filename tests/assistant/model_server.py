"""A small OpenAI-compatible server: real HTTP, and what it says is the test's."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.scenarios.hub_process import eventually, free_port

Ending = Literal["done", "cut", "error", "silence"]


@dataclass(slots=True)
class ModelServer:
    """`pieces` are the answer, and `ending` what comes after them; `requests` is what it was asked.

    Where `is_held`, the second half of the pieces waits for `release()`, and the model is known to be alive meanwhile.
    """

    port: int = field(default_factory=free_port)
    pieces: list[str] = field(default_factory=lambda: ["Hel", "lo ", "🙂", " there"])
    ending: Ending = "done"
    status: int = 200
    is_held: bool = False
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def release(self) -> None:
        self.is_held = False

    async def complete(self, request: Request) -> Response:
        self.requests.append(await request.json())
        self.keys.append(request.headers.get("Authorization"))
        if self.status != 200:
            return JSONResponse({"error": {"message": "a secret of the operator"}}, self.status)
        return StreamingResponse(self._events(), media_type="text/event-stream")

    async def _events(self) -> AsyncIterator[str]:
        yield ": a comment\n\n"
        yield _event({"choices": [{"delta": {"role": "assistant"}}]})
        for number, piece in enumerate(self.pieces):
            while self.is_held and number >= len(self.pieces) // 2:
                yield ": still there\n\n"
                await asyncio.sleep(0.05)
            yield _event({"choices": [{"delta": {"content": piece}}]})
        match self.ending:
            case "done":
                yield _event({"choices": [{"delta": {}, "finish_reason": "stop"}]})
                yield _event({"choices": [], "usage": {"total_tokens": 3}})
                yield "data: [DONE]\n\n"
            case "error":
                yield _event({"error": {"message": "a secret of the operator"}})
            case "silence":
                await asyncio.sleep(60)


def _event(tree: dict[str, Any]) -> str:
    return f"data: {json.dumps(tree)}\n\n"


@contextmanager
def model_server() -> Iterator[ModelServer]:
    model = ModelServer()
    app = Starlette(routes=[Route("/v1/chat/completions", model.complete, methods=["POST"])])
    config = uvicorn.Config(app, port=model.port, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="model")
    thread.start()
    try:
        eventually(lambda: server.started, 10, "the model server is up")
        yield model
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(10)
