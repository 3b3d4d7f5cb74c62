"""The contenders as the load generator sees them: subscribe to a chat, send to a chat. One class for each.

`subscribe` returns when the first result, or its like, has come; from then on `on_text` gets every frame that can carry a message.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgpack

from bench.chat import MARK, ROOM_ROWS, USERS, chat_id, marked, owner_of, text, user_id
from bench.jobs import Case, Places
from bench.sockets import HttpConnection, WebSocket

OnText = Callable[[bytes], None]
NATIVE = "hub.v1.msgpack"
FIRST_RESULT_S = 60.0
ANSWER_S = 30.0

_run = uuid.uuid4().hex[:8]
_marks = itertools.count(int(time.time() * 1000) % 1_000_000_000)


def new_mark() -> int:
    """Rises within a process; two load generators, one after the other, do not share any."""
    return next(_marks)


def _nothing(_: bytes) -> None:
    pass


class Side(Protocol):
    """One contender. `pid` is the process that serves."""

    pid: int

    async def subscribe(self, chat: int, on_text: OnText) -> WebSocket: ...

    async def send(self, chat: int, mark: int) -> None:
        """Returns when the message is acknowledged."""
        ...

    async def open_writer(self) -> None: ...

    def close(self) -> None: ...


def side_of(case: Case, places: Places) -> Side:
    match case.contender:
        case "hub" | "cold" | "warm":
            return HubSide(places)
        case "hub native":
            return NativeSide(places)
        case "hub http":
            return HubHttpSide(places)
        case "bare":
            return BroadcastSide(places) if case.workload == "fan_out" else FollowSide(places)
        case "peer":
            return PeerSide(places)
        case _:
            raise AssertionError(f"{case.contender} is not asked over a network")


# --- the hub --------------------------------------------------------------------------------------------------------


class HubSocket:
    """A session of the sync protocol: its query set and its mutations. The ids of its queries begin at `first_query`."""

    def __init__(self, places: Places, on_text: OnText = _nothing, *, first_query: int = 0) -> None:
        self._places = places
        self._on_text = on_text
        self._next_query = itertools.count(first_query)
        self._query_set = 0
        self._requests = itertools.count()
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._first: asyncio.Future[None] | None = None
        self._awaited = b""
        self.socket: WebSocket

    async def open(self) -> None:
        self.socket = await WebSocket.open(self._places.hub_url, "/api/sync", self._receive)
        self._greet()

    def _greet(self) -> None:
        connect = {"sessionId": str(uuid.uuid4()), "connectionCount": 0, "lastCloseReason": "InitialConnect", "clientTs": 0}
        self._send(type="Connect", **connect)
        self._send(type="Authenticate", baseVersion=0, tokenType="Admin", value=self._places.service_key)

    def _send(self, **message: Any) -> None:
        self.socket.send(json.dumps(message).encode())

    async def watch(self, *queries: tuple[str, dict[str, Any]]) -> None:
        """Returns with the transition that brings the first results."""
        base, self._query_set = self._query_set, self._query_set + 1
        add = [{"type": "Add", "queryId": next(self._next_query), "udfPath": path, "args": [args]} for path, args in queries]
        self._awaited = f'"querySet":{self._query_set}'.encode()
        self._first = asyncio.get_running_loop().create_future()
        self._send(type="ModifyQuerySet", baseVersion=base, newVersion=self._query_set, modifications=add)
        async with asyncio.timeout(FIRST_RESULT_S):
            await self._first

    async def mutate(self, path: str, args: dict[str, Any]) -> dict[str, Any]:
        request = next(self._requests)
        answer = self._answers[request] = asyncio.get_running_loop().create_future()
        self._send(type="Mutation", requestId=request, udfPath=path, args=[args])
        async with asyncio.timeout(ANSWER_S):
            reply: dict[str, Any] = await answer
        assert reply["success"], reply
        return reply

    def _receive(self, frame: bytes) -> None:
        if self._first is not None and self._awaited in frame.replace(b" ", b""):
            assert b'"QueryFailed"' not in frame, frame[:500]
            self._first.set_result(None)
            self._first = None
        if self._answers and b'"MutationResponse"' in frame[:400]:
            reply = json.loads(frame)
            self._answers.pop(reply["requestId"]).set_result(reply)
            return
        assert b'"AuthError"' not in frame[:200], frame
        assert b'"FatalError"' not in frame[:200], frame
        self._on_text(frame)


def room(chat: int) -> tuple[str, dict[str, Any]]:
    return "messages:list", {"chatId": chat_id(chat), "userId": user_id(owner_of(chat, USERS)), "limit": ROOM_ROWS}


def sidebar(user: int) -> tuple[str, dict[str, Any]]:
    return "chats:list", {"userId": user_id(user), "limit": ROOM_ROWS}


def send_args(chat: int, mark: int, *, reply: bool = True) -> dict[str, Any]:
    args: dict[str, Any] = {
        "chatId": chat_id(chat),
        "userId": user_id(owner_of(chat, USERS)),
        "userMessage": {"content": text(mark), "clientMessageId": f"{_run}-{mark}"},
    }
    return {**args, "assistantMessage": {"content": text(mark)}} if reply else args


class NativeSocket(HubSocket):
    """The same in the hub's own wire format, for who only watches. A frame is decoded while a first result is awaited, else not."""

    async def open(self) -> None:
        self.socket = await WebSocket.open(self._places.hub_url, "/api/sync", self._receive, NATIVE)
        self._greet()

    def _send(self, **message: Any) -> None:
        self.socket.send_binary(msgpack.packb(message))

    def _receive(self, frame: bytes) -> None:
        if self._first is not None:
            read = msgpack.unpackb(frame)
            assert isinstance(read, list), read
            if read[2][0] == self._query_set:
                assert all(modification[0] == 1 for modification in read[3]), read
                self._first.set_result(None)
                self._first = None
        self._on_text(frame)


class HubSide:
    _socket_type: type[HubSocket] = HubSocket
    """Of the subscribers."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.pid = places.hub_pid
        self.on_own_frame: OnText = _nothing
        """What the writer's socket gets beside its answers: transitions. To be set before it is opened."""
        self._writer: HubSocket | None = None
        self._subscribers = itertools.count(100, 100)

    async def subscribe(self, chat: int, on_text: OnText) -> WebSocket:
        """With query ids that no other has: sessions in equal state would share their frames, and this counts those that do not."""
        session = self._socket_type(self._places, on_text, first_query=next(self._subscribers))
        await session.open()
        await session.watch(room(chat))
        return session.socket

    async def open_writer(self) -> None:
        self._writer = HubSocket(self._places, self.on_own_frame)
        await self._writer.open()

    async def send(self, chat: int, mark: int) -> None:
        assert self._writer is not None
        await self._writer.mutate("messages:send", send_args(chat, mark))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.socket.close()


class NativeSide(HubSide):
    _socket_type = NativeSocket


class HubHttpSide(HubSide):
    def __init__(self, places: Places) -> None:
        super().__init__(places)
        self._connection: HttpConnection | None = None

    async def open_writer(self) -> None:
        self._connection = await HttpConnection.open(self._places.hub_url)

    async def send(self, chat: int, mark: int) -> None:
        assert self._connection is not None
        body = json.dumps({"path": "messages:send", "args": send_args(chat, mark), "format": "json"}).encode()
        answer = await self._connection.post("/api/mutation", body, f"Authorization: Convex {self._places.service_key}\r\n")
        assert b'"status":"success"' in answer.replace(b" ", b""), answer

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


# --- the floors -----------------------------------------------------------------------------------------------------


class BroadcastSide:
    """Posts the hub's own frame, with another mark in it; it is sent to everybody."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.pid = places.bare_pid
        self._connection: HttpConnection | None = None
        self._before, self._behind = b"", b""

    async def subscribe(self, chat: int, on_text: OnText) -> WebSocket:
        return await WebSocket.open(self._places.bare_url, "/broadcast", on_text)

    async def open_writer(self) -> None:
        self._connection = await HttpConnection.open(self._places.bare_url)
        frames: list[bytes] = []
        socket = await HubSide(self._places).subscribe(0, frames.append)
        socket.close()
        frame = next(frame for frame in frames if MARK in frame)
        at = frame.rfind(MARK)
        self._before, self._behind = frame[:at], frame[at + len(marked(0)) :]

    async def send(self, chat: int, mark: int) -> None:
        assert self._connection is not None
        await self._connection.post("/publish", self._before + marked(mark) + self._behind)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


class FollowSide:
    """Bare insert → own change stream → socket; each socket gets the messages of the chat that it asks for."""

    def __init__(self, places: Places) -> None:
        self._url = places.bare_url
        self.pid = places.bare_pid
        self._writer: WebSocket | None = None
        self._answer: asyncio.Future[None] | None = None

    async def subscribe(self, chat: int, on_text: OnText) -> WebSocket:
        return await WebSocket.open(self._url, f"/follow?chat={chat_id(chat)}", on_text)

    async def open_writer(self) -> None:
        self._writer = await WebSocket.open(self._url, "/follow", self._answered)

    def _answered(self, frame: bytes) -> None:
        if frame.startswith(b'{"committed"') and self._answer is not None:
            self._answer.set_result(None)
            self._answer = None

    async def send(self, chat: int, mark: int) -> None:
        assert self._writer is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._writer.send(json.dumps({"chat": chat, "mark": mark}).encode())
        async with asyncio.timeout(ANSWER_S):
            await self._answer

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


# --- the peer -------------------------------------------------------------------------------------------------------

PEER_KEYS = "X-Parse-Application-Id: bench\r\nX-Parse-REST-API-Key: bench-rest\r\n"


def message_object(chat: int, content: str, role: str) -> dict[str, Any]:
    return {"chat": chat_id(chat), "user": user_id(owner_of(chat, USERS)), "role": role, "content": content}


class PeerSide:
    """Parse Server: LiveQuery sends the object that is new, not the list it is in; a plain insert, not a transaction."""

    def __init__(self, places: Places) -> None:
        assert places.peer_url is not None
        assert places.peer_pid is not None
        self._url = places.peer_url
        self.pid = places.peer_pid
        self._connection: HttpConnection | None = None

    async def subscribe(self, chat: int, on_text: OnText) -> WebSocket:
        return await self.subscribe_all([chat], on_text)

    async def subscribe_all(self, chats: Sequence[int], on_text: OnText) -> WebSocket:
        """One socket with a query for each chat."""
        return await self.subscribe_to([("Message", {"chat": chat_id(chat)}) for chat in chats], on_text)

    async def subscribe_to(self, queries: Sequence[tuple[str, dict[str, str]]], on_text: OnText) -> WebSocket:
        """One socket with so many queries: a class, and what its objects must equal. `on_text` gets objects that are new."""
        subscribed = asyncio.get_running_loop().create_future()
        missing = len(queries)

        def receive(frame: bytes) -> None:
            nonlocal missing
            op = json.loads(frame)["op"] if b'"create"' not in frame[:40] else "create"
            if op == "connected":
                for i, (name, where) in enumerate(queries):
                    query = {"className": name, "where": where}
                    socket.send(json.dumps({"op": "subscribe", "requestId": i + 1, "query": query}).encode())
            elif op == "subscribed":
                missing -= 1
                if missing == 0:
                    subscribed.set_result(None)
            elif op == "create":
                on_text(frame)
            elif op != "update":
                raise AssertionError(frame)

        socket = await WebSocket.open(self._url, "/", receive)
        socket.send(json.dumps({"op": "connect", "applicationId": "bench", "restAPIKey": "bench-rest"}).encode())
        async with asyncio.timeout(FIRST_RESULT_S):
            await subscribed
        return socket

    async def open_writer(self) -> None:
        self._connection = await HttpConnection.open(self._url)

    async def send(self, chat: int, mark: int) -> None:
        await self.create("Message", message_object(chat, text(mark), "user"))

    async def create(self, name: str, values: dict[str, Any]) -> str:
        """The new object's id."""
        assert self._connection is not None
        answer = await self._connection.post(f"/parse/classes/{name}", json.dumps(values).encode(), PEER_KEYS)
        return str(json.loads(answer)["objectId"])

    async def change(self, name: str, object_id: str, values: dict[str, Any]) -> None:
        assert self._connection is not None
        body = json.dumps({"_method": "PUT", **values}).encode()
        await self._connection.post(f"/parse/classes/{name}/{object_id}", body, PEER_KEYS)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
