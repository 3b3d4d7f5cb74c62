"""MongoStore: the `hub.store.Store` on a MongoDB replica set, made of the modules beside it. Built by `hub.wiring`.

It owns three clients, so that none waits behind another: one for reads and preparations, one for the sequencer's transactions
(with an application name by which they can be told from others, and one session for nothing else), one for the change feed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from pymongo.errors import PyMongoError

from hub.clock import Clock, SystemClock
from hub.core.ranges import IndexKey, IndexRange
from hub.errors import ConfigError, Unavailable
from hub.mongo import changefeed, faults, holders
from hub.mongo.barrier import Barrier
from hub.mongo.batches import OwnBatches
from hub.mongo.changefeed import Changefeed
from hub.mongo.connect import address, check_server, clear_errors
from hub.mongo.driver import GOODBYE_S, DriverName, Link, LinkOptions, Session, connect, from_bson, time_limit
from hub.mongo.holders import Holders
from hub.mongo.indexes import Patient, Prepared, prepare_own, prepare_tables
from hub.mongo.reads import Reads
from hub.mongo.transactions import Transactions
from hub.store import Check, DeclaredTable, FeedBatch, RequestRecord, StoreHealth, WriteBatch
from hub.timestamps import Timestamp
from hub.values import Row, RowId

PREPARED_WITHIN_S = 5.0
"""How long `prepare` waits for a running feed to pass the changes it made; later reads at older timestamps are refused."""
_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In seconds. `open_s`: to connect at the start; `read_s`: one read, or anything else without a deadline of its own;
    `build_s`: to build the indexes of one table, or to look through one."""

    open_s: float = 5.0
    read_s: float = 5.0
    build_s: float = 3600.0


class _Parts:
    """What exists between `open` and `close`."""

    def __init__(self, store: MongoStore, reads: Link, sequencer: Link, feed: Link, session: Session) -> None:
        own = OwnBatches()
        self.links = (reads, sequencer, feed)
        self.session = session
        self.read_link = reads
        self.reads = Reads(reads, store.index_names, store.timeouts.read_s)
        self.holders = Holders(sequencer, session, store.clock)
        self.barrier = Barrier(reads, store.clock, store.hub_id, store.timeouts.read_s)
        self.transactions = Transactions(sequencer, session, own, self.holders, store.clock, store.hub_id, store.declares_unique)
        self.feed = Changefeed(feed, own, store.clock, read_clocks=self.reads.clocks, recreate=store.recreate)

    async def close(self) -> None:
        self.feed.close()
        with time_limit(GOODBYE_S):
            await self.session.end_session()
        await asyncio.gather(*(link.close() for link in self.links))


class MongoStore:
    """Must be opened, used and closed in one event loop. See `hub.store.Store` for what the methods promise."""

    def __init__(
        self,
        url: str,
        database: str,
        *,
        hub_id: str,
        driver: DriverName = "pymongo",
        clock: Clock | None = None,
        timeouts: Timeouts = Timeouts(),  # frozen
    ) -> None:
        self._url = url
        self._database = database
        self._driver = driver
        self._opened: _Parts | None = None
        self._declared: Sequence[DeclaredTable] = ()
        self.hub_id = hub_id
        self.clock = clock or SystemClock()
        self.timeouts = timeouts
        self.index_names: dict[IndexKey, str] = {}

    def __repr__(self) -> str:
        return f"<MongoStore {self._database} at {address(self._url)} by {self._driver}>"

    async def open(self) -> None:
        assert self._opened is None, "opened twice"
        links: list[Link] = []
        try:
            with clear_errors(self._url):
                links += [connect(self._url, self._database, self._driver, options) for options in self._link_options()]
            reads, sequencer, feed = links
            await check_server(reads, self._url, self.timeouts.open_s)
            with clear_errors(self._url):
                await prepare_own(self._patient(reads))
                self._opened = _Parts(self, reads, sequencer, feed, await sequencer.start_session())
        except BaseException:
            for link in links:
                await link.close()
            raise
        await self._opened.holders.end_abandoned()

    def _link_options(self) -> tuple[LinkOptions, LinkOptions, LinkOptions]:
        wait_s = self.timeouts.open_s
        return (
            LinkOptions(f"hub {self._database}", selection_timeout_s=wait_s),
            LinkOptions(holders.app_name(self._database), selection_timeout_s=wait_s, max_connections=4),
            LinkOptions(
                f"hub feed {self._database}",
                selection_timeout_s=2.0,
                reply_timeout_s=changefeed.REPLY_TIMEOUT_S,
                max_connections=4,
            ),
        )

    async def close(self) -> None:
        parts, self._opened = self._opened, None
        if parts is not None:
            await parts.close()

    async def prepare(self, tables: Sequence[DeclaredTable], *, drop_unused: bool) -> list[str]:
        is_running_without_them = self._parts.feed.declare(table.name for table in tables)
        prepared = await self._prepare(tables, drop_unused=drop_unused)
        await self._passed(await self._now() if is_running_without_them else prepared.changed_at)
        self._use(prepared)
        return prepared.notes

    def _patient(self, link: Link) -> Patient:
        return Patient(link, short_s=self.timeouts.read_s, long_s=self.timeouts.build_s)

    async def _prepare(self, tables: Sequence[DeclaredTable], *, drop_unused: bool) -> Prepared:
        prepared = await prepare_tables(self._patient(self._parts.read_link), tables, drop_unused=drop_unused)
        self._declared = tuple(tables)
        return prepared

    def _use(self, prepared: Prepared) -> None:
        self.index_names.update(prepared.index_names)
        self._parts.reads.indexed_from = max(self._parts.reads.indexed_from, prepared.changed_at)

    def declares_unique(self, table: str, fields: tuple[str, ...]) -> bool:
        """Whether the application knows that these fields are unique."""
        keys = (key for declared in self._declared if declared.name == table for key in declared.indexes)
        return fields == ("_id",) or any(key.unique and key.fields == fields for key in keys)

    async def _now(self) -> Timestamp:
        """The database's own clock. Raises Unavailable."""
        try:
            with time_limit(self.timeouts.read_s):
                return from_bson((await self._parts.read_link.command({"ping": 1}))["operationTime"])
        except PyMongoError as exc:
            raise Unavailable(f"the database cannot be asked: {faults.brief(exc)}") from exc

    async def _passed(self, ts: Timestamp) -> None:
        """A running feed has gone past the change, so that reads at its position can use what was made.

        A feed that is opened later starts after it. One that nobody drains, or that is cut off, is not waited for long: a
        read that comes too early says SnapshotTooOld.
        """
        feed = self._parts.feed
        give_up = self.clock.monotonic() + PREPARED_WITHIN_S
        if ts <= feed.position or not feed.is_live:
            return
        await self.barrier(ts)
        while feed.position < ts and self.clock.monotonic() < give_up:
            await self.clock.sleep(_POLL_S)

    async def recreate(self) -> None:
        """After the database was dropped under the hub: the collections and indexes are made again, empty."""
        try:
            await prepare_own(self._patient(self._parts.read_link))
        except PyMongoError as exc:
            raise Unavailable(f"collections cannot be made again: {faults.brief(exc)}") from exc
        self._use(await self._prepare(self._declared, drop_unused=False))

    def follow(self) -> AsyncIterator[FeedBatch]:
        return self._parts.feed.follow()

    async def read(self, wanted: IndexRange, at: Timestamp) -> list[Row]:
        return await self._parts.reads.range(wanted, at)

    async def get(self, table: str, ids: Sequence[RowId], at: Timestamp) -> dict[RowId, Row]:
        return await self._parts.reads.rows(table, ids, at)

    async def get_records(self, keys: Sequence[str], at: Timestamp) -> dict[str, RequestRecord]:
        return await self._parts.reads.records(keys, at)

    async def transact(self, batch: WriteBatch, at: Timestamp, deadline: float, check: Check | None = None) -> Timestamp:
        return await self._parts.transactions.transact(batch, at, deadline, check)

    async def clocks(self) -> dict[str, int]:
        return await self._parts.reads.clocks()

    async def now(self) -> Timestamp:
        return await self._parts.reads.now()

    async def barrier(self, ts: Timestamp) -> Timestamp:
        return await self._parts.barrier.after(ts)

    def health(self) -> StoreHealth:
        if self._opened is None:
            return StoreHealth(has_primary=False, feed_is_live=False, lag_s=0.0, reason="the database is not open")
        feed = self._opened.feed
        has_primary = self._opened.read_link.has_primary()
        reason = "" if feed.is_live else "the change feed is silent"
        return StoreHealth(has_primary, feed.is_live, feed.lag_s, reason if has_primary else "no primary")

    @property
    def resyncs(self) -> int:
        """How often the feed lost its history since the store was opened."""
        return self._parts.feed.resyncs

    @property
    def reopenings(self) -> int:
        """How often the feed was continued after an error since the store was opened."""
        return self._parts.feed.reopenings

    @property
    def _parts(self) -> _Parts:
        if self._opened is None:
            raise ConfigError("the store is not open")
        return self._opened
