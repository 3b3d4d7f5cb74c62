"""Store: the port to the database. The engine knows this and never a driver.

Implemented by `hub.mongo.store.MongoStore` and, for tests, `hub.testing.memory.MemoryStore`; one contract suite
(`tests/contract`) holds for both. All rows are in stored form (names and types as in the database).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from hub.core.commits import BatchId, Commit
from hub.core.deltas import ListTail
from hub.core.ranges import IndexKey, IndexRange
from hub.timestamps import Timestamp
from hub.values import Row, RowId, Value

RESERVED_PREFIXES = ("hub_", "system.")
"""Collections whose names begin so are the hub's own or the database's: no table can have such a name."""

CLOCK = "serializable"
"""Id of the clock row that every serializable commit moves; other clock rows are named after the hub that owns them."""


Check: TypeAlias = Callable[[Timestamp], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Insert:
    table: str
    row: Row

    @property
    def id(self) -> RowId:
        return self.row["_id"]  # type: ignore[return-value]  # checked by whoever built it


@dataclass(frozen=True, slots=True)
class Update:
    """`set` and `unset` are top-level stored names, `lists` those of lists that get another tail; `after` is the row as it is then.

    A field is in one of the three. Of a list in `lists` nothing but the tail is written, and nothing but the tail is told by the
    change feed.
    """

    table: str
    id: RowId
    set: Mapping[str, Value]
    unset: tuple[str, ...]
    after: Row
    lists: Mapping[str, ListTail] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether it changes nothing: MongoDB refuses such a request."""
        return not (self.set or self.unset or self.lists)


@dataclass(frozen=True, slots=True)
class Replace:
    table: str
    row: Row

    @property
    def id(self) -> RowId:
        return self.row["_id"]  # type: ignore[return-value]  # checked by whoever built it


@dataclass(frozen=True, slots=True)
class Delete:
    table: str
    id: RowId


Write = Insert | Update | Replace | Delete


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """What makes a mutation exactly-once; committed with its writes.

    `key` names the request ("ws:<session>:<request id>", "http:<hash of caller and Idempotency-Key>"), `caller` who may hear
    the answer, `body` the hash of path and arguments, `outcome` the encoded answer (opaque here). It is kept for `keep_s`.
    """

    key: str
    caller: str
    body: str
    outcome: bytes
    keep_s: float


@dataclass(frozen=True, slots=True)
class WriteBatch:
    """One transaction, of one mutation or several: at most one write for each row, tables in the order of their first writes."""

    id: BatchId
    writes: tuple[Write, ...]
    records: tuple[RequestRecord, ...] = ()
    isolation: Literal["serializable", "snapshot"] = "serializable"


@dataclass(frozen=True, slots=True)
class FeedBatch:
    """What the change feed brought at once: whole commits, in order, all `<= position`.

    Everything committed at or before `position` has been delivered. `resync` says that history was lost before this batch
    (or that it is the first): commits between the last position and this one are unknown, `commits` is empty.
    `clocks` are the clock rows' newest numbers as of `position`, as far as the feed has seen them.
    """

    position: Timestamp
    commits: tuple[Commit, ...] = ()
    resync: bool = False
    clocks: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """`reason` says in a few words what is wrong, and is "" when nothing is."""

    has_primary: bool
    feed_is_live: bool
    lag_s: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DeclaredTable:
    """What the database must have for one table: the collection's name and its indexes."""

    name: str
    indexes: tuple[IndexKey, ...]


class Store(Protocol):
    async def open(self) -> None:
        """Connect, check the server (replica set, version), prepare the hub's own collections.

        Raises ConfigError with one clear line: standalone, sharded, unreachable, wrong password, too old.
        """
        ...

    async def close(self) -> None: ...

    async def prepare(self, tables: Sequence[DeclaredTable], *, drop_unused: bool) -> list[str]:
        """Create what is missing of collections and indexes; return notes for the operator (what was made, what is left over).

        With `drop_unused` (development) indexes that the hub made and nobody declares any more are dropped; never others.
        Raises ConfigError where data forbids it (duplicates under a unique index, collations, views, capped collections).
        When it returns, reads may use the indexes: the feed's position has passed the change, or will before they are used.
        """
        ...

    def follow(self) -> AsyncIterator[FeedBatch]:
        """The change feed, from now on. The first batch has `resync=True` and says where the feed starts.

        Reconnects by itself; when it cannot resume it yields a `resync` batch and goes on. Ends only by being closed.
        Changes to tables that were never prepared may be left out.
        """
        ...

    async def read(self, wanted: IndexRange, at: Timestamp) -> list[Row]:
        """Rows of the range in its direction, up to its limit, as they were at `at`.

        Raises SnapshotTooOld, Unavailable, InvalidRow (another writer's row cannot be decoded, or its id is no RowId).
        """
        ...

    async def get(self, table: str, ids: Sequence[RowId], at: Timestamp) -> dict[RowId, Row]:
        """Rows by id as they were at `at`; missing ones are left out. Raises as `read` does."""
        ...

    async def get_records(self, keys: Sequence[str], at: Timestamp) -> dict[str, RequestRecord]:
        """Records by key as they were at `at`; missing ones are left out."""
        ...

    async def transact(self, batch: WriteBatch, at: Timestamp, deadline: float, check: Check | None = None) -> Timestamp:
        """Commit the batch as one transaction opened at `at`; its first write moves the clock row.

        `check` is awaited before the commit, with the database's time when the transaction began: not before anything that was
        acknowledged to anybody before this call. What it raises ends the transaction, and nothing is written.

        `deadline` is `Clock.monotonic` seconds. Returns an upper bound of the commit's timestamp (the feed tells the
        timestamp itself, as the `Commit` with this batch's id). One call at a time.

        Raises Conflict (nothing written: something it wrote, or the clock, changed after `at`; DuplicateKey: a key existed then),
        Unavailable (nothing written, the deadline passed), OutcomeUnknown (the deadline passed and nobody can tell yet; the
        next call first finds out).
        What would be refused again is an error of the function: LimitExceeded, InvalidRow, UniqueViolation (by an index that
        was not prepared), FunctionError with the database's words.
        """
        ...

    async def clocks(self) -> dict[str, int]:
        """All clock rows' numbers as of now, majority committed. A position whose `clocks` reach these has seen every
        commit that any hub of the deployment acknowledged before this call."""
        ...

    async def now(self) -> Timestamp:
        """The database's own time: not before anything it has acknowledged to anybody."""
        ...

    async def barrier(self, ts: Timestamp) -> Timestamp:
        """A position, `>= ts`, that proves: once the feed has passed it, everything up to `ts` was delivered.

        Raises BadRequest if `ts` is beyond the database's own clock.
        """
        ...

    def health(self) -> StoreHealth: ...
