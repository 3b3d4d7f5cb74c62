"""The floors: what has to be paid by anybody, without a hub. A process of its own: `python -m bench.floors PORT MONGO_URL`.

- `/broadcast`: sockets that get whatever is posted to `/publish`, one ASGI send each.
- `/follow?chat=`: sockets that get each message of that chat from this process's own change stream; a text that such a socket
  sends is written as `messages:send` is, and answered when it is committed.
- `/idle`: sockets of which nothing is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator

import uvicorn
from pymongo import AsyncMongoClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from bench.chat import BARE_DB, Client, Document
from bench.transactions import send


class Floors:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._audience: set[WebSocket] = set()
        self._followers: dict[str, set[WebSocket]] = {}

    def app(self) -> Starlette:
        routes = [
            WebSocketRoute("/broadcast", self._broadcast),
            WebSocketRoute("/follow", self._follow),
            WebSocketRoute("/idle", self._idle),
            Route("/publish", self._publish, methods=["POST"]),
        ]
        return Starlette(routes=routes, lifespan=self._lifespan)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        following = asyncio.create_task(self._push_inserts())
        yield
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    async def _idle(self, socket: WebSocket) -> None:
        await socket.accept()
        await _until_closed(socket)

    async def _broadcast(self, socket: WebSocket) -> None:
        await socket.accept()
        self._audience.add(socket)
        try:
            await _until_closed(socket)
        finally:
            self._audience.discard(socket)

    async def _publish(self, request: Request) -> Response:
        text = (await request.body()).decode()
        for socket in tuple(self._audience):
            await socket.send_text(text)
        return Response()

    async def _follow(self, socket: WebSocket) -> None:
        await socket.accept()
        followers = self._followers.setdefault(socket.query_params.get("chat", ""), set())
        followers.add(socket)
        try:
            while True:
                asked = json.loads(await socket.receive_text())
                await send(self._client, asked["chat"], asked["mark"])
                await socket.send_text(json.dumps({"committed": asked["mark"]}))
        except WebSocketDisconnect:
            pass
        finally:
            followers.discard(socket)

    async def _push_inserts(self) -> None:
        only = [{"$match": {"operationType": "insert", "ns.coll": "messages", "fullDocument.role": "user"}}]
        async with await self._client[BARE_DB].watch(only, max_await_time_ms=1000) as stream:
            async for event in stream:
                followers = self._followers.get(event["fullDocument"]["chatId"])
                if followers:
                    text = json.dumps(event["fullDocument"])
                    for socket in tuple(followers):
                        await socket.send_text(text)


async def _until_closed(socket: WebSocket) -> None:
    try:
        while True:
            await socket.receive_text()
    except WebSocketDisconnect:
        pass


async def main(port: int, mongo_url: str) -> None:
    async with AsyncMongoClient[Document](mongo_url) as client:
        app = Floors(client).app()
        # As the hub is run: the same loop, parser and WebSocket implementation.
        config = uvicorn.Config(
            app,
            port=port,
            loop="none",
            http="httptools",
            ws="websockets-sansio",
            access_log=False,
            log_level="warning",
            backlog=4096,
        )
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
