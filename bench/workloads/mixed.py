"""Mixed: the chat product on an ordinary day, at a fixed rate."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from typing import ClassVar, Protocol

from bench.chat import USERS, chat_id, marked, text, user_id
from bench.jobs import Case, Contender, Measurement, Places, Scale, case
from bench.measuring import Meter
from bench.sides import HubSocket, OnText, PeerSide, message_object, new_mark, room, send_args, sidebar
from bench.sockets import WebSocket

TITLE = "Mixed: the chat product"
TEXT = (
    "So many users, each with a sidebar (their chats) and one open room; so many sends a second, and 20 replies that are "
    "streamed in, ten states a second each. The rate is fixed, whatever the hub does: what it cannot do shows as latency. "
    "Latency is from the sending of a message, on another user's socket, to its arrival on the socket of the room's user; each "
    "message is waited for. An operation is one mutation. The peer creates the same messages and replies, changes the chat of each "
    "message, and tells of single objects, not of lists; nothing of that is one transaction."
)
OPERATION = "mutation"
FRESH = False
STATES_PER_S = 10
REPLY_CHARS = 2_000
CROWD = 50
ALL_SEEN_S = 30.0


def cases(scale: Scale) -> list[Case]:
    users, sends, streams, seconds = {"tiny": (20, 10, 2, 1.0), "quick": (500, 50, 20, 4.0), "full": (500, 50, 20, 15.0)}[scale]
    contenders: list[Contender] = ["hub", "peer"]
    return [case("mixed", who, users=users, sends_per_s=sends, streams=streams, seconds=seconds) for who in contenders]


class Person(Protocol):
    """One user with a sidebar and a room on the screen."""

    socket: WebSocket

    async def open(self, user: int, on_text: OnText) -> None: ...

    async def send(self, chat: int, mark: int) -> None: ...

    async def stream(self, chat: int, name: str, content: str, *, is_complete: bool) -> None:
        """The reply of that name has grown to this."""
        ...


class HubPerson:
    def __init__(self, places: Places) -> None:
        self._places = places
        self._session: HubSocket
        self.socket: WebSocket

    async def open(self, user: int, on_text: OnText) -> None:
        self._session = HubSocket(self._places, on_text)
        await self._session.open()
        self.socket = self._session.socket
        await self._session.watch(sidebar(user), room(user))  # the first chats have the users' numbers

    async def send(self, chat: int, mark: int) -> None:
        await self._session.mutate("messages:send", send_args(chat, mark, reply=False))

    async def stream(self, chat: int, name: str, content: str, *, is_complete: bool) -> None:
        args = {"chatId": chat_id(chat), "userId": user_id(chat % USERS), "role": "assistant", "clientMessageId": name}
        status = "complete" if is_complete else "streaming"
        await self._session.mutate("messages:streamUpsert", {**args, "content": content, "status": status})


class PeerPerson:
    chats: ClassVar[dict[int, str]] = {}
    """The chats' objects, made by whoever opens them."""

    def __init__(self, places: Places) -> None:
        self._side = PeerSide(places)
        self._reply = ("", "")
        self.socket: WebSocket

    async def open(self, user: int, on_text: OnText) -> None:
        await self._side.open_writer()
        self.chats[user] = await self._side.create("Chat", {"user": user_id(user), "title": "a chat", "lastMessageAt": 0})
        queries = [("Chat", {"user": user_id(user)}), ("Message", {"chat": chat_id(user)})]
        self.socket = await self._side.subscribe_to(queries, on_text)

    async def send(self, chat: int, mark: int) -> None:
        await self._side.create("Message", message_object(chat, text(mark), "user"))
        await self._side.change("Chat", self.chats[chat], {"lastMessageAt": time.time()})

    async def stream(self, chat: int, name: str, content: str, *, is_complete: bool) -> None:
        if self._reply[0] != name:
            self._reply = (name, await self._side.create("Message", message_object(chat, content, "assistant")))
        else:
            await self._side.change("Message", self._reply[1], {"content": content})


class Day:
    def __init__(self, case: Case, places: Places) -> None:
        self._places = places
        self._is_peer = case.contender == "peer"
        self._users = case.count("users")
        self._seconds = case.number("seconds")
        self._sends_per_s = case.number("sends per s")
        self._streams = case.count("streams")
        self._sent_at: dict[int, dict[int, float]] = {user: {} for user in range(self._users)}
        self._waiting = 0
        self._nothing_waits = asyncio.Event()
        self._people: list[Person] = []
        self.latencies_ms: list[float] = []
        self.mutations = 0

    async def open(self) -> None:
        for start in range(0, self._users, CROWD):
            self._people += await asyncio.gather(*(self._open_user(n) for n in range(start, min(start + CROWD, self._users))))

    async def _open_user(self, user: int) -> Person:
        person: Person = PeerPerson(self._places) if self._is_peer else HubPerson(self._places)
        await person.open(user, lambda frame: self._see(user, frame))
        return person

    def _see(self, user: int, frame: bytes) -> None:
        waiting = self._sent_at[user]
        for mark in [mark for mark in waiting if marked(mark) in frame]:  # one transition may show several
            self.latencies_ms.append((time.perf_counter() - waiting.pop(mark)) * 1000)
            self._waiting -= 1
        if not self._waiting:
            self._nothing_waits.set()

    async def go(self) -> None:
        until = time.perf_counter() + self._seconds
        async with asyncio.TaskGroup() as tasks:
            for n in range(self._streams):
                tasks.create_task(self._stream(n, until))
            for k in range(int(self._sends_per_s * self._seconds)):
                tasks.create_task(self._send_after(k / self._sends_per_s))

    async def _send_after(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        # Not to the first rooms: there a reply grows, and each of its states brings a frame on which a message could ride.
        user = random.randrange(self._streams, self._users)
        by = self._streams + (user + 1 - self._streams) % (self._users - self._streams)  # whoever writes is shown it first
        mark = new_mark()
        self._sent_at[user][mark] = time.perf_counter()
        self._waiting += 1
        self._nothing_waits.clear()
        await self._people[by].send(user, mark)
        self.mutations += 1

    async def all_seen(self) -> None:
        """What never came would be missing from the latencies, and make them better."""
        async with asyncio.timeout(ALL_SEEN_S):
            await self._nothing_waits.wait()

    async def _stream(self, user: int, until: float) -> None:
        """One reply after the other, each growing to its end."""
        await asyncio.sleep(random.random() / STATES_PER_S)
        for reply in itertools.count():
            name = f"stream-{user}-{reply}-{new_mark()}"
            for chars in range(50, REPLY_CHARS + 1, 50):
                if time.perf_counter() > until:
                    return
                content = (text(0) * 10)[:chars]
                started = time.perf_counter()
                await self._people[user].stream(user, name, content, is_complete=chars == REPLY_CHARS)
                self.mutations += 1
                await asyncio.sleep(max(0.0, 1 / STATES_PER_S - (time.perf_counter() - started)))

    def close(self) -> None:
        for person in self._people:
            person.socket.close()


async def drive(case: Case, places: Places) -> Measurement:
    day = Day(case, places)
    await day.open()
    meter = Meter(places, places.peer_pid if case.contender == "peer" else places.hub_pid)
    await day.go()
    await day.all_seen()
    measured = meter.read(day.mutations, day.latencies_ms)
    measured.figures["% of a core"] = measured.server_cpu_s / measured.wall_s * 100
    day.close()
    return measured
