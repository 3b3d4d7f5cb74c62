"""The rows that every contender works on: users, chats, messages of 200 bytes; and the marks by which a message is found again.

Written straight to the database, as another program would: what is measured comes after.
"""

from __future__ import annotations

import itertools
import time
from typing import Any

from pymongo import AsyncMongoClient

Document = dict[str, Any]
Client = AsyncMongoClient[Document]

TEXT_BYTES = 200
ROOM_ROWS = 20
"""Messages in the list that a subscriber of a chat shows."""
MARK = b"~~"
MARK_DIGITS = 10
HUB_DB, BARE_DB, PEER_DB = "hub", "bare", "peer"

_now_ms = time.time() * 1000


def user_id(n: int) -> str:
    return f"user{n:06d}"


def chat_id(n: int) -> str:
    return f"chat{n:06d}"


def owner_of(chat: int, users: int) -> int:
    return chat % users


def marked(mark: int) -> bytes:
    """What a frame contains that shows the message."""
    return MARK + b"%0*d" % (MARK_DIGITS, mark)


def text(mark: int) -> str:
    """A message of 200 bytes that can be told from all others."""
    return f"{marked(mark).decode()} ".ljust(TEXT_BYTES, "x")


def mark_in(frame: bytes) -> int:
    """The newest message in a frame, by its mark; -1 if it has none. Lists have the newest last."""
    at = frame.rfind(MARK)
    return -1 if at < 0 else int(frame[at + len(MARK) : at + len(MARK) + MARK_DIGITS])


def message_row(row_id: str, chat: int, users: int, mark: int, created_at: float) -> Document:
    return {
        "_id": row_id,
        "_creationTime": created_at,
        "chatId": chat_id(chat),
        "userId": user_id(owner_of(chat, users)),
        "role": "user",
        "content": text(mark),
        "status": "complete",
        "createdAt": created_at,
        "updatedAt": created_at,
    }


USERS = 500


async def seed(client: Client, database: str, *, chats: int) -> None:
    """500 users, so many chats, 20 messages in each: whichever room is shown, its list is as long as any other."""
    db = client[database]
    moment = {"createdAt": _now_ms, "updatedAt": _now_ms, "_creationTime": _now_ms}
    await db.users.insert_many([{"_id": user_id(n), "externalId": user_id(n), **moment} for n in range(USERS)])
    numbers = itertools.count()
    for some in _slices(chats):
        await db.chats.insert_many(
            [{"_id": chat_id(n), "userId": user_id(owner_of(n, USERS)), "title": "a chat", **moment} for n in some]
        )
        await db.messages.insert_many(
            [message_row(f"seed{next(numbers):09d}", n, USERS, 0, _now_ms - 1000 + i) for n in some for i in range(ROOM_ROWS)]
        )


def _slices(count: int) -> list[range]:
    return [range(start, min(start + 1000, count)) for start in range(0, count, 1000)]


async def index_bare(client: Client) -> None:
    """The indexes that the hub's tables declare, for the loop that does without the hub."""
    db = client[BARE_DB]
    await db.users.create_index("externalId", unique=True)
    await db.chats.create_index([("userId", 1), ("updatedAt", 1), ("_id", 1)])
    await db.messages.create_index([("chatId", 1), ("createdAt", 1), ("_id", 1)])
    await db.messages.create_index(
        [("chatId", 1), ("clientMessageId", 1)], unique=True, partialFilterExpression={"clientMessageId": {"$exists": True}}
    )
