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
from collections.abc import Callable, Sequence

from bson.int64 import Int64
from pymongo.errors import PyMongoError

from hub.clock import Clock
from hub.errors import Conflict, DeadlineExceeded, OutcomeUnknown, Unavailable, UniqueViolation
from hub.mongo import faults
from hub.mongo.batches import OwnBatches
from hub.mongo.driver import Document, Link, Session, Statements, from_bson, time_limit
from hub.mongo.holders import Holders
from hub.mongo.names import CLOCKS, KEPT, REQUESTS
from hub.mongo.outcomes import Outcomes, Sent, clock_of
from hub.mongo.writes import Requests
from hub.store import CLOCK, Check, RequestRecord, WriteBatch
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


class _KeyInTheWay(Exception):
    """A unique key is held by a row that gives it up in the same batch: the same can be tried again in another order."""


class Transactions:
    """`declares_unique(table, fields)` says whether the application knows of such a unique index."""

    def __init__(
        self,
        link: Link,
        session: Session,
        own: OwnBatches,
        holders: Holders,
        clock: Clock,
        hub_id: str,
        declares_unique: Callable[[str, tuple[str, ...]], bool],
    ) -> None:
        self._link = link
        self._session = session
        self._own = own
        self._holders = holders
        self._clock = clock
        self._hub_id = hub_id
        self._declares_unique = declares_unique
        self._outcomes = Outcomes(link, own, hub_id)
        self._in_doubt: Sent | None = None
        self._is_cancelled = False

    async def transact(self, batch: WriteBatch, at: Timestamp, deadline: float, check: Check | None = None) -> Timestamp:
        """See `hub.store.Store.transact`. When cancelled it ends only after the transaction has: never left open."""
        self._is_cancelled = False
        attempt = asyncio.create_task(self._transact(batch, at, deadline, check), name=f"transact {batch.id}")
        try:
            await asyncio.wait({attempt})
        except asyncio.CancelledError:
            self._is_cancelled = True
            await _ended(attempt)
            raise
        return attempt.result()

    async def _transact(self, batch: WriteBatch, at: Timestamp, deadline: float, check: Check | None) -> Timestamp:
        await self._resolve(deadline)
        try:
            self._own.register(batch)
            await self._send_until_open(batch, at, deadline, check)
        except faults.DRIVER_ERRORS as exc:
            self._own.failed(batch.id)
            raise faults.of_write(exc) from exc
        except BaseException:
            self._own.failed(batch.id)
            raise
        return await self._commit(Sent(batch, at), deadline)

    async def _send_until_open(self, batch: WriteBatch, at: Timestamp, deadline: float, check: Check | None) -> None:
        """Repeats what lost its connection; afterwards everything is written and only the commit is missing."""
        requests = Requests(batch.writes)
        backoff_s = FIRST_BACKOFF_S
        while True:
            try:
                return await self._send(batch, requests, at, deadline, check)
            except _KeyInTheWay:
                continue  # each index can be in the way once
            except _LostConnection as exc:
                if self._is_cancelled or self._clock.monotonic() + backoff_s >= deadline:
                    raise DeadlineExceeded("the database could not be reached in time; nothing was written") from exc
            await self._clock.sleep(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311  # jitter, not a secret
            backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)

    async def _send(self, batch: WriteBatch, requests: Requests, at: Timestamp, deadline: float, check: Check | None) -> None:
        await self._link.begin(self._session, at)
        try:
            async with self._link.in_time(deadline - self._clock.monotonic()):
                began = await self._write(batch, requests)
            if check is not None and began is not None:
                await check(began)
            if self._is_cancelled:
                raise Unavailable("the call was cancelled before its commit")
            if self._clock.monotonic() >= deadline:
                raise DeadlineExceeded("the deadline passed before the commit; nothing was written")
        except BaseException as exc:
            await self._abort()
            if isinstance(exc, PyMongoError) and (faults.is_connection_lost(exc) or exc.timeout):
                raise _LostConnection from exc
            raise

    async def _write(self, batch: WriteBatch, requests: Requests) -> Timestamp | None:
        """All but the commit. Returns the server's time when it began, which its replies tell also inside a transaction.

        The clock row comes first: whoever moved the same clock after our position has won already.
        """
        existing = [Statements(kind, table, some) for table in requests.tables for kind, some in requests.of_existing(table)]
        new = [Statements("insert", table, rows) for table in requests.tables if (rows := requests.of_new(table))]
        records = [Statements("insert", REQUESTS, self._records(batch.records))] if batch.records else []
        steps = [self._move_of_clock(batch), *existing, *new, *records]
        written = await self._link.write(steps, self._session)
        if written.counts:
            self._holders.clock_is_free()
        if any(count != len(step.statements) for step, count in zip(steps, written.counts, strict=False)):
            # The transaction sees exactly what was there at its position, so the mutation ran on something older or newer.
            raise Conflict("a row that is to be written is not there any more")
        if written.error is not None:
            await self._judge(steps[len(written.counts)].collection, written.error, requests, clock_of(batch, self._hub_id))
            raise written.error
        return written.began

    def _move_of_clock(self, batch: WriteBatch) -> Statements:
        change: Document = {"$inc": {"n": Int64(1)}, "$set": {"by": batch.id}}
        row = clock_of(batch, self._hub_id)
        if row != CLOCK:
            change["$set"]["expiresAt"] = self._date() + KEPT
        return Statements("update", CLOCKS, [{"q": {"_id": row}, "u": change, "upsert": True}])

    async def _judge(self, collection: str, exc: PyMongoError, requests: Requests, clock: str) -> None:
        """A write was refused. Returns if the mutation may do better when it runs again."""
        if collection == CLOCKS:
            if clock == CLOCK and faults.is_conflict(exc):
                await self._abort()
                await self._holders.clock_is_taken()
        elif collection != REQUESTS and (index := faults.taken_key(exc)):
            self._judge_taken_key(collection, index, requests, exc)

    def _judge_taken_key(self, table: str, index: tuple[str, ...], requests: Requests, exc: PyMongoError) -> None:
        """Returns if the mutation may do better when it runs again."""
        if requests.park(table, index):
            raise _KeyInTheWay from exc
        if not self._declares_unique(table, index):  # so the mutation cannot have looked, and would do the same again
            fields = ", ".join(index)
            raise UniqueViolation(f"{table}: another row has the same ({fields}), unique by an index that is not declared") from exc

    def _records(self, records: Sequence[RequestRecord]) -> list[Row]:
        now = self._date()
        return [
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

    async def _commit(self, sent: Sent, deadline: float) -> Timestamp:
        """Commit again until it is known what happened. That is safe: a commit counts once.

        Whatever goes wrong meanwhile, the transaction stays in doubt until something proves the one or the other.
        """
        self._in_doubt = sent
        backoff_s = FIRST_BACKOFF_S
        while True:
            try:
                seconds = min(deadline - self._clock.monotonic(), COMMIT_ATTEMPT_S)
                with time_limit(seconds):
                    return self._settled(await self._ask(sent, seconds))
            except Conflict:
                self._in_doubt = None
                self._own.failed(sent.batch.id)
                raise
            except Exception as exc:  # not only the driver's: nothing but a proof ends the doubt
                cause = exc
            if (ts := self._own.committed_at(sent.batch.id)) is not None:
                return self._settled(ts)  # the feed has brought it, which is as good as an acknowledgement
            log.warning("commit without an answer", extra={"batch": sent.batch.id, "error": faults.brief(cause)})
            if self._clock.monotonic() + backoff_s >= deadline:
                raise self._given_up(sent) from cause
            await self._clock.sleep(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311  # jitter, not a secret
            backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)

    async def _ask(self, sent: Sent, seconds: float) -> Timestamp:
        """Raises Conflict if it is proven that nothing was written; whatever else it raises proves nothing."""
        if sent.over_at is None:
            try:
                await self._link.commit(self._session, seconds)
                assert self._session.operation_time is not None
                return from_bson(self._session.operation_time)
            except PyMongoError as exc:
                if faults.is_outcome_unknown(exc):
                    raise
        # The driver may have sent the commit twice, so even its first answer can be the server's second.
        return await self._outcomes.tell(sent)

    def _settled(self, ts: Timestamp) -> Timestamp:
        self._in_doubt = None
        return ts

    def _given_up(self, sent: Sent) -> OutcomeUnknown:
        if sent.over_at is not None:
            self._in_doubt = None  # for ever unknown, but over: nothing of it can be committed beside the next one
        return OutcomeUnknown("the database did not say in time whether it committed")

    async def _resolve(self, deadline: float) -> None:
        """Nothing else commits until it is known what became of the batch before."""
        if (sent := self._in_doubt) is None:
            return
        try:
            await self._commit(sent, deadline)
        except OutcomeUnknown as exc:
            raise Unavailable("it is not known yet whether the commit before happened; nothing was written") from exc
        except Conflict:
            log.warning("commit without an answer did not happen", extra={"batch": sent.batch.id})

    async def _abort(self) -> None:
        try:
            with time_limit(ABORT_TIMEOUT_S):
                await self._session.abort_transaction()
        except PyMongoError:
            log.debug("abort did not arrive")

    def _date(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._clock.now(), dt.UTC)


async def _ended(task: asyncio.Task[Timestamp]) -> None:
    """Waits however often this is cancelled; the task ends by its deadline."""
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            continue
    if not task.cancelled():
        task.exception()  # looked at, so that nobody reports it as lost
