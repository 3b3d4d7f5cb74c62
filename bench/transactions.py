"""The bare loop: what `messages:send` reads and writes, one transaction each, straight on the driver.

Without request record and clock row, and so without exactly-once and without serializability: a floor, not an equal.
"""

from __future__ import annotations

import time

from bson import ObjectId
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from bench.chat import BARE_DB, USERS, Client, Document, chat_id, message_row

SNAPSHOT = ReadConcern("snapshot")
MAJORITY = WriteConcern("majority")


async def send(client: Client, chat: int, mark: int) -> None:
    """The user's message and the assistant's reply, and the chat's stamp; run again by the driver when it meets a conflict."""

    async def run(session: AsyncClientSession) -> None:
        db = client[BARE_DB]
        found = await db.chats.find_one({"_id": chat_id(chat)}, session=session)
        assert found is not None
        said = _row(chat, mark)
        reply: Document = {**_row(chat, mark), "role": "assistant", "clientMessageId": f"m{mark}/reply"}
        for row in (said, reply):
            by_name = {"chatId": row["chatId"], "clientMessageId": row["clientMessageId"]}
            assert await db.messages.find_one(by_name, session=session) is None
        now = said["createdAt"]
        await db.chats.update_one({"_id": chat_id(chat)}, {"$set": {"updatedAt": now, "lastMessageAt": now}}, session=session)
        await db.messages.insert_many([said, reply], session=session)

    async with client.start_session() as session:
        await session.with_transaction(run, read_concern=SNAPSHOT, write_concern=MAJORITY)


def _row(chat: int, mark: int) -> Document:
    row = message_row(str(ObjectId()), chat, USERS, mark, time.time() * 1000)
    return {**row, "clientMessageId": f"m{mark}"}
