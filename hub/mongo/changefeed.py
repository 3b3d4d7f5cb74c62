"""Changefeed: the one change stream of a hub process, as batches of whole commits. Called by `hub.mongo.store`.

A tailer of its own on `aggregate` and `getMore` instead of the driver's `watch()`: it needs each reply's
postBatchResumeToken, which says up to when everything was seen. Invariants: a stream is opened without a first batch (one
would be cut at 101 events, in the middle of a transaction) and read only by `getMore` without a batch size; a cursor whose
`getMore` failed or was cancelled is never used again (the server has let go of those events), the stream is reopened from the
last token that was processed; a token that the server refuses is never tried twice. Nothing that a writer puts into the
database ends the feed: what cannot be understood resets its table or, at worst, is a resync.
"""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import bson
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo.errors import PyMongoError

from hub.clock import Clock
from hub.core.commits import Commit, TableReset
from hub.errors import HubError
from hub.mongo import faults
from hub.mongo.batches import OwnBatches
from hub.mongo.driver import STORED, Link, Session, from_bson
from hub.mongo.events import Assembler, Event, Progress, Token, decode, start_position
from hub.mongo.names import REQUESTS, is_own_collection
from hub.store import FeedBatch
from hub.timestamps import ZERO, Timestamp

log = logging.getLogger(__name__)

MAX_WAIT_MS = 1000
"""How long the server holds a `getMore` that has nothing to say: the position moves, and a hang is noticed, as often."""
SILENT_AFTER_S = 3.0
"""Without a reply for this long the feed counts as dead."""
REPLY_TIMEOUT_S = 4.0
"""For the feed's client; must be longer than MAX_WAIT_MS."""
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.05, 1.0

# Images and lookups stay off (they can break the stream at 16 MB, and a row looked up later is not the row of that moment).
# The stored results of request records would be the largest part of many commits, and nobody reads them here.
# Whose session it was, and when by the wall, nobody reads either: half of what an event costs to decode.
_SHAPE = [
    {"$unset": ["lsid", "txnNumber", "wallTime", "collectionUUID"]},
    {"$set": {"fullDocument": {"$cond": [{"$eq": ["$ns.coll", REQUESTS]}, "$$REMOVE", "$fullDocument"]}}},
]


class StreamEnded(Exception):
    """The server closed the cursor after an `invalidate`: its token leads nowhere."""


@dataclass(frozen=True, slots=True)
class _Reply:
    """To a `getMore`. `cursor` is 0 when the server has closed it."""

    cursor: int
    events: Sequence[Event]
    token: Token
    database_time: Timestamp
    size_bytes: int


class _Cursor:
    """One server-side cursor and the session it belongs to."""

    def __init__(self, link: Link, session: Session, reply: RawBSONDocument) -> None:
        self._link = link
        self._session = session
        self._id = reply["cursor"]["id"]
        self.token = Token(bson.decode(reply["cursor"]["postBatchResumeToken"].raw))

    @classmethod
    async def open(cls, link: Link, resume: Token | None) -> _Cursor:
        stream: dict[str, Any] = {"showExpandedEvents": True}
        if resume is not None:
            stream["resumeAfter"] = resume
        session = await link.start_session()
        command = {"aggregate": 1, "pipeline": [{"$changeStream": stream}, *_SHAPE], "cursor": {"batchSize": 0}}
        try:
            return cls(link, session, await link.raw_command(command, session))
        except BaseException:
            await session.end_session()
            raise

    async def more(self, max_wait_ms: int) -> _Reply:
        if not self._id:
            raise StreamEnded
        command = {"getMore": self._id, "collection": "$cmd.aggregate", "maxTimeMS": max_wait_ms}
        reply = _read(await self._link.raw_command(command, self._session))
        self._id = reply.cursor
        return reply

    async def close(self) -> None:
        """The server forgets the cursor when the link's sessions end."""
        await self._session.end_session()


class Changefeed:
    """Followed by one task at a time.

    `read_clocks` gives the clock rows as they were at a timestamp; `recreate` makes what was dropped with the database.
    """

    def __init__(
        self,
        link: Link,
        own: OwnBatches,
        clock: Clock,
        *,
        read_clocks: Callable[[Timestamp], Awaitable[dict[str, int]]],
        recreate: Callable[[], Awaitable[object]],
    ) -> None:
        self._link = link
        self._own = own
        self._clock = clock
        self._read_clocks = read_clocks
        self._recreate = recreate
        self._cursor: _Cursor | None = None
        self._resume: Token | None = None
        self._assembler: Assembler | None = None
        self._tables: set[str] = set()
        self._new_tables: set[str] = set()
        self._last_reply: float | None = None
        self._behind_s = 0.0
        self._backoff_s = FIRST_BACKOFF_S
        self._is_closed = False
        self._was_dropped = False
        self.position: Timestamp = ZERO
        self.resyncs = 0
        """How often history was lost and everything had to be read again."""
        self.reopenings = 0
        """How often the stream was continued from its token after an error."""

    def declare(self, tables: Iterable[str]) -> bool:
        """Follow changes to these collections, too. Whether a running stream has left them out so far: then their reset comes
        with the next position."""
        added = {table for table in tables if not is_own_collection(table)} - self._tables
        self._tables |= added
        if added and self._assembler is not None:
            self._new_tables |= added
            return True
        return False

    async def follow(self) -> AsyncGenerator[FeedBatch, None]:
        """Batches from now on, the first with `resync=True`; a batch a second when nothing happens."""
        self._resume = self._assembler = None
        while not self._is_closed:
            try:
                if self._cursor is None:
                    await self._open()
                    if self._assembler is None:
                        yield await self._start_over()
                batch = await self._next()
                self._backoff_s = FIRST_BACKOFF_S
                if not self._is_closed:
                    yield batch
            except Exception as exc:  # a hub whose feed has ended serves nobody: whatever it is, begin again
                await self._recover(exc)
            except BaseException:
                await self._drop_cursor()
                raise
        await self._drop_cursor()

    def close(self) -> None:
        """`follow` ends with the reply it waits for."""
        self._is_closed = True

    @property
    def is_live(self) -> bool:
        return self._silent_s() < SILENT_AFTER_S

    @property
    def lag_s(self) -> float:
        """How far the feed was behind the database at its last reply, and how long it has been silent beyond its wait."""
        return self._behind_s + max(0.0, self._silent_s() - MAX_WAIT_MS / 1000)

    def _silent_s(self) -> float:
        return float("inf") if self._last_reply is None else self._clock.monotonic() - self._last_reply

    async def _open(self) -> None:
        if self._was_dropped:
            await self._recreate()
            self._was_dropped = False
        self._cursor = await _Cursor.open(self._link, self._resume)
        if self._resume is not None and self._assembler is not None:
            # What was held back of a large transaction comes again: the token lies before its first event.
            clocks = self._assembler.clocks
            self._assembler = self._new_assembler(self._resume)
            self._assembler.clocks = clocks
            self.reopenings += 1
            log.info("change feed reopened")

    async def _start_over(self) -> FeedBatch:
        """The first batch of a fresh stream: where it starts, and the clock rows as they are there."""
        assert self._cursor is not None
        position = start_position(self._cursor.token)
        clocks = await self._read_clocks(position)
        self._resume, self.position = self._cursor.token, position
        self._assembler = self._new_assembler(self._cursor.token)
        self._assembler.clocks = clocks
        self._new_tables.clear()
        self._own.lost_history()
        self._own.passed(position)
        self._heard(behind_s=0.0)
        return FeedBatch(position, resync=True, clocks=dict(clocks))

    def _new_assembler(self, start: Token) -> Assembler:
        return Assembler(start, self.position, self._own.images, self._tables.__contains__)

    async def _next(self) -> FeedBatch:
        assert self._cursor is not None
        assert self._assembler is not None
        max_wait_ms = MAX_WAIT_MS
        while True:
            reply = await self._cursor.more(max_wait_ms)
            progress = self._take(reply, self._assembler)
            if progress.commits or not progress.is_cut:
                break
            max_wait_ms = 1
        return FeedBatch(progress.position, progress.commits, clocks=dict(self._assembler.clocks))

    def _take(self, reply: _Reply, assembler: Assembler) -> Progress:
        progress = self._with_resets(assembler.add(reply.events, reply.token, reply.size_bytes))
        self._resume, self.position = progress.resume, progress.position
        for commit in progress.commits:
            if commit.batch is not None:
                self._own.delivered(commit.batch, commit.ts)
        self._own.passed(progress.position)
        self._heard(behind_s=max(0.0, float((reply.database_time >> 32) - (progress.position >> 32))))
        return progress

    def _with_resets(self, progress: Progress) -> Progress:
        """Changes to tables that were declared while the stream ran have been left out up to some time before here."""
        if not self._new_tables or progress.position <= self.position:
            return progress
        resets = tuple(TableReset(table) for table in sorted(self._new_tables))
        self._new_tables.clear()
        *before, last = (*progress.commits, Commit(progress.position, ()))
        if before and before[-1].ts == progress.position:
            last = before.pop()
        return replace(progress, commits=(*before, replace(last, changes=(*last.changes, *resets))))

    def _heard(self, *, behind_s: float) -> None:
        self._last_reply = self._clock.monotonic()
        self._behind_s = behind_s

    async def _recover(self, exc: Exception) -> None:
        """Decide how to go on: from the token, or from a fresh stream."""
        await self._drop_cursor()
        if self._is_closed:
            return
        if not isinstance(exc, (PyMongoError, StreamEnded, HubError)):
            log.error("change feed met what it does not understand", exc_info=exc)
        if self._assembler is not None and not isinstance(exc, HubError) and not faults.is_resumable(exc):
            self._resume = self._assembler = None
            self.resyncs += 1
            log.warning("change feed lost its history, everything is read again", extra={"error": faults.brief(exc)})
        else:
            log.warning("change feed interrupted", extra={"error": faults.brief(exc)})
        self._was_dropped = self._was_dropped or isinstance(exc, StreamEnded)
        await self._clock.sleep(self._backoff_s * random.uniform(0.5, 1.0))  # noqa: S311  # jitter, not a secret
        self._backoff_s = min(2 * self._backoff_s, LONGEST_BACKOFF_S)

    async def _drop_cursor(self) -> None:
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            await cursor.close()


def _read(raw: RawBSONDocument) -> _Reply:
    """All of it at once, which costs a third; the events one by one if there is something in it that cannot be decoded."""
    reply: Mapping[str, Any] = raw
    try:
        whole = bson.decode(raw.raw, codec_options=STORED)
        reply, events = whole, whole["cursor"]["nextBatch"]
    except BSONError:
        events = [decode(event) for event in raw["cursor"]["nextBatch"]]
    cursor = reply["cursor"]
    return _Reply(cursor["id"], events, Token(cursor["postBatchResumeToken"]), from_bson(reply["operationTime"]), len(raw.raw))
