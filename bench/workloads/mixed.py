"""Mixed: the chat product on an ordinary day, at a fixed rate."""

from __future__ import annotations

import asyncio
import itertools
import random
import time

from bench.chat import USERS, chat_id, marked, text, user_id
from bench.jobs import Case, Measurement, Places, Scale, case
from bench.measuring import Meter
from bench.sides import HubSocket, new_mark, room, send_args, sidebar

TITLE = "Mixed: the chat product"
TEXT = (
    "So many users, each with a sidebar (their chats) and one open room; so many sends a second, and 20 replies that are "
    "streamed in, ten states a second each. The rate is fixed, whatever the hub does: what it cannot do shows as latency. "
    "Latency is from the sending of a message, on another user's socket, to its arrival on the socket of the room's user; each "
    "message is waited for. An operation is one mutation."
)
OPERATION = "mutation"
FRESH = False
STATES_PER_S = 10
REPLY_CHARS = 2_000
CROWD = 50
ALL_SEEN_S = 30.0


def cases(scale: Scale) -> list[Case]:
    users, sends, streams, seconds = {"tiny": (20, 10, 2, 1.0), "quick": (500, 50, 20, 4.0), "full": (500, 50, 20, 15.0)}[scale]
    return [case("mixed", "hub", users=users, sends_per_s=sends, streams=streams, seconds=seconds)]


class Day:
    def __init__(self, case: Case, places: Places) -> None:
        self._places = places
        self._users = case.count("users")
        self._seconds = case.number("seconds")
        self._sends_per_s = case.number("sends per s")
        self._streams = case.count("streams")
        self._sent_at: dict[int, dict[int, float]] = {user: {} for user in range(self._users)}
        self._waiting = 0
        self._nothing_waits = asyncio.Event()
        self._sockets: list[HubSocket] = []
        self.latencies_ms: list[float] = []
        self.mutations = 0

    async def open(self) -> None:
        for start in range(0, self._users, CROWD):
            self._sockets += await asyncio.gather(*(self._open_user(n) for n in range(start, min(start + CROWD, self._users))))

    async def _open_user(self, user: int) -> HubSocket:
        session = HubSocket(self._places, lambda frame: self._see(user, frame))
        await session.open()
        await session.watch(sidebar(user), room(user))  # the first chats have the users' numbers
        return session

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
        # Streams are in the first rooms: there a message and a growing reply would share frames, which have one mark to find.
        user = random.randrange(self._streams, self._users)
        by = self._streams + (user + 1 - self._streams) % (self._users - self._streams)  # whoever writes is shown it first
        mark = new_mark()
        self._sent_at[user][mark] = time.perf_counter()
        self._waiting += 1
        self._nothing_waits.clear()
        await self._sockets[by].mutate("messages:send", send_args(user, mark, reply=False))
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
                status = "complete" if chars == REPLY_CHARS else "streaming"
                content = (text(0) * 10)[:chars]
                args = {"chatId": chat_id(user), "userId": user_id(user % USERS), "role": "assistant", "clientMessageId": name}
                started = time.perf_counter()
                await self._sockets[user].mutate("messages:streamUpsert", {**args, "content": content, "status": status})
                self.mutations += 1
                await asyncio.sleep(max(0.0, 1 / STATES_PER_S - (time.perf_counter() - started)))

    def close(self) -> None:
        for session in self._sockets:
            session.socket.close()


async def drive(case: Case, places: Places) -> Measurement:
    day = Day(case, places)
    await day.open()
    meter = Meter(places, places.hub_pid)
    await day.go()
    await day.all_seen()
    measured = meter.read(day.mutations, day.latencies_ms)
    measured.figures["% of a core"] = measured.server_cpu_s / measured.wall_s * 100
    day.close()
    return measured
