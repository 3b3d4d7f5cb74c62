"""Transactions: one batch of writes becomes one MongoDB transaction, or nothing. Called by `hub.mongo.store`.

The transaction is opened at the position the batch ran at and first moves a clock row, so the server itself aborts it if
anything it writes, or the clock, was changed after that position by anybody. It lives on one long-lived session that is used
for nothing else: had the same session written anything after the position, the commit would fail for ever.

Invariant: at most one transaction is open, and none is begun while the outcome of the one before is not known.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import random
from collections import defaultdict
from collections.abc import Sequence

from bson.int64 import Int64
from pymongo import DeleteOne, ReplaceOne, UpdateOne
from pymongo.errors import PyMongoError

from hub.clock import Clock
from hub.errors import Conflict, DeadlineExceeded, HubError, OutcomeUnknown, Unavailable
from hub.mongo import faults
from hub.mongo.batches import OwnBatches
from hub.mongo.driver import Document, Link, Session, WriteRequest, from_bson, time_limit
from hub.mongo.holders import Holders
from hub.mongo.names import CLOCKS, KEPT, REQUESTS, hub_clock
from hub.store import CLOCK, Delete, Insert, Replace, RequestRecord, Update, Write, WriteBatch
from hub.timestamps import Timestamp
from hub.values import Row

log = logging.getLogger(__name__)

ABORT_TIMEOUT_S = 0.5
"""An abort that does not arrive is made good by the next transaction of the session, which ends the one before."""
COMMIT_ATTEMPT_S = 1.0
"""Then it is asked again; in between the feed may have brought the proof."""
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.02, 0.5


class _LostConnection(Exception):
    """Before the commit was sent: nothing of this attempt will ever be written, the same can be tried again."""


class Transactions:
    def __init__(self, link: Link, session: Session, own: OwnBatches, holders: Holders, clock: Clock, hub_id: str) -> None:
        self._link = link
        self._session = session
        self._own = own
        self._holders = holders
        self._clock = clock
        self._hub_id = hub_id
        self._in_doubt: WriteBatch | None = None
        self._is_cancelled = False

    async def transact(self, batch: WriteBatch, at: Timestamp, deadline: float) -> Timestamp:
        """See `hub.store.Store.transact`. When cancelled it ends only after the transaction has: never left open."""
        self._is_cancelled = False
        attempt = asyncio.create_task(self._transact(batch, at, deadline), name=f"transact {batch.id}")
        try:
            await asyncio.wait({attempt})
        except asyncio.CancelledError:
            self._is_cancelled = True
            await _ended(attempt)
            raise
        return attempt.result()

    async def _transact(self, batch: WriteBatch, at: Timestamp, deadline: float) -> Timestamp:
        await self._resolve(deadline)
        try:
            self._own.register(batch)
            await self._send_until_open(batch, at, deadline)
        except faults.DRIVER_ERRORS as exc:
            self._own.failed(batch.id)
            raise faults.of_write(exc) from exc
        except BaseException:
            self._own.failed(batch.id)
            raise
        return await self._commit(batch, deadline)

    async def _send_until_open(self, batch: WriteBatch, at: Timestamp, deadline: float) -> None:
        """Repeats what lost its connection; afterwards everything is written and only the commit is missing."""
        backoff_s = FIRST_BACKOFF_S
        while True:
            try:
                return await self._send(batch, at, deadline)
            except _LostConnection as exc:
                if self._is_cancelled or self._clock.monotonic() + backoff_s >= deadline:
                    raise DeadlineExceeded("the database could not be reached in time; nothing was written") from exc
            await self._clock.sleep(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311  # jitter, not a secret
            backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)

    async def _send(self, batch: WriteBatch, at: Timestamp, deadline: float) -> None:
        await self._link.begin(self._session, at)
        try:
            with time_limit(deadline - self._clock.monotonic()):
                await self._move_clock(batch)
                for collection, writes in _by_table(batch.writes).items():
                    await self._write(collection, writes)
                await self._record(batch.records)
            if self._is_cancelled:
                raise Unavailable("the call was cancelled before its commit")
        except BaseException as exc:
            await self._abort()
            if isinstance(exc, PyMongoError) and (faults.is_connection_lost(exc) or exc.timeout):
                raise _LostConnection from exc
            raise

    async def _move_clock(self, batch: WriteBatch) -> None:
        """The first write: whoever moved the same clock after our position has won already."""
        change: Document = {"$inc": {"n": Int64(1)}, "$set": {"by": batch.id}}
        if batch.isolation == "serializable":
            row = CLOCK
        else:
            row = hub_clock(self._hub_id)
            change["$set"]["expiresAt"] = self._date() + KEPT
        try:
            await self._link.bulk_write(CLOCKS, [UpdateOne({"_id": row}, change, upsert=True)], self._session)
        except PyMongoError as exc:
            if row == CLOCK and faults.is_conflict(exc):
                await self._abort()
                await self._holders.clock_is_taken()
            raise
        self._holders.clock_is_free()

    async def _write(self, collection: str, writes: Sequence[Write]) -> None:
        """Deletes before updates before inserts: a key of a unique index may pass from one row to another."""
        deletes = [_request(write) for write in writes if isinstance(write, Delete)]
        others = [_request(write) for write in writes if isinstance(write, (Update, Replace)) and not _is_empty(write)]
        inserts = [write.row for write in writes if isinstance(write, Insert)]
        if requests := deletes + others:
            found = await self._link.bulk_write(collection, requests, self._session)
            if found != len(requests):
                raise Conflict("a row that is to be written is not there any more")
        if inserts:
            await self._link.insert(collection, inserts, self._session)

    async def _record(self, records: Sequence[RequestRecord]) -> None:
        if not records:
            return
        now = self._date()
        rows: list[Row] = [
            {
                "_id": record.key,
                "caller": record.caller,
                "body": record.body,
                "outcome": record.outcome,
                "keepS": record.keep_s,
                "expiresAt": now + dt.timedelta(seconds=record.keep_s),
            }
            for record in records
        ]
        await self._link.insert(REQUESTS, rows, self._session)

    async def _commit(self, batch: WriteBatch, deadline: float) -> Timestamp:
        """Commit again until the server says for certain what happened. That is safe: a commit counts once."""
        backoff_s = FIRST_BACKOFF_S
        while True:
            try:
                with time_limit(min(deadline - self._clock.monotonic(), COMMIT_ATTEMPT_S)):
                    await self._session.commit_transaction()
                self._in_doubt = None
                assert self._session.operation_time is not None
                return from_bson(self._session.operation_time)
            except PyMongoError as exc:
                if (ts := self._own.committed_at(batch.id)) is not None:
                    self._in_doubt = None
                    return ts  # the feed has brought it, which is as good as an acknowledgement
                if not faults.is_outcome_unknown(exc):
                    self._in_doubt = None
                    self._own.failed(batch.id)
                    raise faults.of_write(exc) from exc
                self._in_doubt = batch
                log.warning("commit without an answer", extra={"batch": batch.id, "error": faults.brief(exc)})
                if self._clock.monotonic() + backoff_s >= deadline:
                    raise OutcomeUnknown("the database did not say in time whether it committed") from exc
            await self._clock.sleep(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311  # jitter, not a secret
            backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)

    async def _resolve(self, deadline: float) -> None:
        """Nothing else commits until it is known what became of the batch before."""
        if (batch := self._in_doubt) is None:
            return
        try:
            await self._commit(batch, deadline)
        except OutcomeUnknown as exc:
            raise Unavailable("it is not known yet whether the commit before happened; nothing was written") from exc
        except HubError:
            log.warning("commit without an answer did not happen", extra={"batch": batch.id})

    async def _abort(self) -> None:
        try:
            with time_limit(ABORT_TIMEOUT_S):
                await self._session.abort_transaction()
        except PyMongoError:
            log.debug("abort did not arrive")

    def _date(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._clock.now(), dt.UTC)


def _by_table(writes: Sequence[Write]) -> dict[str, list[Write]]:
    tables: dict[str, list[Write]] = defaultdict(list)
    for write in writes:
        tables[write.table].append(write)
    return tables


def _is_empty(write: Update | Replace) -> bool:
    return isinstance(write, Update) and not write.set and not write.unset


def _request(write: Update | Replace | Delete) -> WriteRequest:
    match write:
        case Delete():
            return DeleteOne({"_id": write.id})
        case Replace():
            return ReplaceOne({"_id": write.id}, dict(write.row))
        case Update():
            change: Document = {}
            if write.set:
                change["$set"] = dict(write.set)
            if write.unset:
                change["$unset"] = dict.fromkeys(write.unset, True)
            return UpdateOne({"_id": write.id}, change)


async def _ended(task: asyncio.Task[Timestamp]) -> None:
    """Waits however often this is cancelled; the task ends by its deadline."""
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            continue
    if not task.cancelled():
        task.exception()  # looked at, so that nobody reports it as lost
