"""Driver: the one module that opens connections, by PyMongo's async API or by Motor.

Everything else in `hub.mongo` holds a `Link` and cannot tell which driver is below it. Both drivers share `bson`, the request
classes and the exceptions of `pymongo`, so the seam is narrow: how a client is made, closed, and starts a session.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import inspect
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, TypeGuard, TypeVar, cast

import bson
import pymongo
from bson import ObjectId
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from bson.timestamp import Timestamp as BsonTimestamp
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import BulkWriteError, DocumentTooLarge, NetworkTimeout, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

from hub.core.heldrow import HeldRow
from hub.mongo.exchange import can_exchange, commit, exchange
from hub.timestamps import Timestamp, pack, unpack
from hub.values import Row, RowId, Value

log = logging.getLogger(__name__)

DriverName = Literal["pymongo", "motor"]
Document: TypeAlias = dict[str, Any]
WriteKind = Literal["insert", "update", "delete"]
ReplyT = TypeVar("ReplyT", bound=Mapping[str, Any])

GOODBYE_S = 1.0

MAX_ROW_BYTES = 16 * 1024 * 1024
"""Looked at before an insert, which the server would refuse without a code of its own. An update is refused with one."""
MAX_COMMAND_BYTES, MAX_STATEMENTS = 8 * 1024 * 1024, 10_000
"""Of one write command; what is beyond goes into another. PyMongo sends at most 16 MB, and the server takes 100,000 statements."""
_STATEMENTS = {"insert": "documents", "update": "updates", "delete": "deletes"}

STORED = CodecOptions[Document](
    document_class=dict, tz_aware=True, tzinfo=dt.UTC, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
"""How rows are decoded: dates aware and in UTC, those beyond Python's years as they are, instead of a stream that ends."""

RAW = CodecOptions[RawBSONDocument](document_class=RawBSONDocument)
"""Decodes nothing until it is looked at: drains a change stream 1.6 times as fast as dictionaries."""


def is_row_id(value: object) -> TypeGuard[RowId]:
    """Others may put anything but an array under `_id`. Not `isinstance`: JavaScript code is decoded as a kind of `str`."""
    return type(value) in (str, ObjectId)


class At(ReadConcern):
    """Reads, or a whole transaction, as of one cluster time. PyMongo itself has no option for the time of a snapshot."""

    def __init__(self, ts: Timestamp) -> None:
        super().__init__("snapshot")
        self._ts = ts

    @property
    def document(self) -> Document:
        return {"level": "snapshot", "atClusterTime": to_bson(self._ts)}


def to_bson(ts: Timestamp) -> BsonTimestamp:
    return BsonTimestamp(*unpack(ts))


def from_bson(ts: BsonTimestamp) -> Timestamp:
    return pack(ts.time, ts.inc)


class Session(Protocol):
    """What the hub uses of a driver's session."""

    @property
    def session_id(self) -> Mapping[str, Any]: ...

    @property
    def operation_time(self) -> BsonTimestamp | None: ...

    def start_transaction(self, *, read_concern: ReadConcern, write_concern: WriteConcern, read_preference: object) -> object: ...

    async def commit_transaction(self) -> None: ...

    async def abort_transaction(self) -> None: ...

    async def end_session(self) -> None: ...


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """How one client behaves. `reply_timeout_s` bounds a reply to `Link.raw_command`; 0 leaves it to `time_limit`."""

    app_name: str
    selection_timeout_s: float = 5.0
    connect_timeout_s: float = 3.0
    reply_timeout_s: float = 0.0
    max_connections: int = 32


def time_limit(seconds: float) -> AbstractContextManager[object]:
    """Everything the driver does inside ends by then, also when the server hangs; a retry counts to the same time."""
    return cast("AbstractContextManager[object]", pymongo.timeout(max(seconds, 0.001)))


@dataclass(frozen=True, slots=True)
class Statements:
    """Rows to insert into a collection, or statements of updates or deletes in it, in order."""

    kind: WriteKind
    collection: str
    statements: Sequence[Mapping[str, Any]]

    def commands(self) -> Iterator[Document]:
        """Encoded, and cut so that the server takes each. Raises what `bson` raises, and DocumentTooLarge."""
        for part in _parts(self.kind, self.statements):
            yield {self.kind: self.collection, _STATEMENTS[self.kind]: part, "ordered": True}


@dataclass(frozen=True, slots=True)
class Written:
    """What became of some `Statements`: how many rows each wrote, or found, up to the first that is refused; the `error` of that
    one (BulkWriteError for a single statement, as PyMongo's bulk API has it); the server's time when it `began` the first."""

    counts: list[int]
    error: PyMongoError | None
    began: Timestamp | None


class Link:
    """One client, bound to one database."""

    def __init__(self, client: Any, database: str, *, motor: bool, reply_timeout_s: float = 0.0) -> None:
        self._client = client
        self._motor = motor
        self._can_exchange = can_exchange(client)
        self._reply_timeout_s = reply_timeout_s
        self._database = client.get_database(database, codec_options=STORED)
        self.database_name = database

    async def command(self, command: Mapping[str, Any], *, session: Session | None = None, admin: bool = False) -> Document:
        """Run a command on the primary. Not retried by the driver."""
        target = self._client.admin if admin else self._database
        return cast("Document", await target.command(command, session=session, codec_options=STORED))

    async def raw_command(self, command: Mapping[str, Any], session: Session) -> RawBSONDocument:
        """The reply undecoded: its length tells how full it is. It comes in `LinkOptions.reply_timeout_s`, or NetworkTimeout."""
        is_limited_here = self._reply_timeout_s and not self._motor
        async with self.in_time(self._reply_timeout_s) if is_limited_here else nullcontext():
            replies, error = await self._exchange([command], session, RAW)
        if error is not None:
            raise error
        return replies[0]

    async def _exchange(
        self, commands: Sequence[Mapping[str, Any]], session: Session, codec_options: CodecOptions[ReplyT]
    ) -> tuple[list[ReplyT], PyMongoError | None]:
        """See `hub.mongo.exchange`; where that is not to be had, one command after the other, until one is refused."""
        if self._can_exchange:
            return await exchange(self._client, self.database_name, commands, cast(AsyncClientSession, session), codec_options)
        replies: list[ReplyT] = []
        for command in commands:
            try:
                replies.append(await self._database.command(command, session=session, codec_options=codec_options))
            except PyMongoError as error:
                return replies, error
            if "writeErrors" in replies[-1]:
                break
        return replies, None

    @asynccontextmanager
    async def in_time(self, seconds: float) -> AsyncIterator[None]:
        """What is awaited inside ends by then; NetworkTimeout says that it had to.

        Does to a command what `time_limit` does, but for the limit that the server is told. Under that PyMongo's async client makes
        a task for each request that it sends: of a transaction's 1,180 µs of processor time 75 go there, of a `getMore`'s 180 a
        quarter (medians of the lower half, in turns). What Motor does in its threads nobody can cut short from here.
        """
        if self._motor:
            with time_limit(seconds):
                yield
            return
        try:
            async with asyncio.timeout(max(seconds, 0.001)):
                yield
        except TimeoutError as exc:
            raise NetworkTimeout(f"no answer within {seconds:.3f} s") from exc

    async def find(
        self,
        collection: str,
        query: Mapping[str, Any],
        *,
        concern: ReadConcern,
        hint: str = "_id_",
        lower: Sequence[tuple[str, Value]] = (),
        upper: Sequence[tuple[str, Value]] = (),
        sort: Sequence[tuple[str, int]] = (),
        limit: int | None = None,
    ) -> list[Row]:
        """All rows found, in the order of the index `hint`. `lower` is included, `upper` is not."""
        rows = self._database[collection].with_options(read_concern=concern, read_preference=ReadPreference.PRIMARY)
        cursor = rows.find(query).hint(hint)
        if lower:
            cursor = cursor.min(lower).max(upper)
        if sort:
            cursor = cursor.sort(sort)
        if limit is not None:
            cursor = cursor.limit(limit)
        return cast("list[Row]", await cursor.to_list(None))

    async def write(self, writes: Sequence[Statements], session: Session) -> Written:
        """Carry them out in order, up to the first statement that the server refuses; all are sent at once where that is possible.

        By plain commands: PyMongo's bulk API costs a transaction of four of them 200 µs more (1,354 against 1,159, in turns).
        Raises what `bson` raises before anything is sent, and ConnectionFailure.
        """
        parts = [(number, part) for number, write in enumerate(writes) for part in write.commands()]
        replies, error = await self._exchange([command for _, command in parts], session, STORED)
        began = from_bson(replies[0]["operationTime"]) if replies else None
        counts = [0] * len(writes)
        for (number, _), reply in zip(parts, replies, strict=False):
            if (refusal := _refusal(reply)) is not None:
                return Written(counts[:number], refusal, began)
            counts[number] += int(reply["n"])
        return Written(counts if error is None else counts[: parts[len(replies)][0]], error, began)

    async def start_session(self) -> Session:
        """Without causal consistency: the hub says itself which moment it reads at."""
        started = self._client.start_session(causal_consistency=False)
        return cast("Session", await started if inspect.isawaitable(started) else started)

    async def begin(self, session: Session, at: Timestamp) -> None:
        """Open a transaction at `at`; the server hears of it with the first command."""
        begun = session.start_transaction(
            read_concern=At(at), write_concern=WriteConcern("majority"), read_preference=ReadPreference.PRIMARY
        )
        if inspect.isawaitable(begun):
            await begun

    async def commit(self, session: Session, seconds: float) -> None:
        """Commit the session's transaction. To be called under `time_limit(seconds)`, which PyMongo's own way keeps to.

        What is not acknowledged at once is asked for again by the driver, so an error is its own word. Raises NetworkTimeout.
        """
        if self._can_exchange:
            async with self.in_time(seconds):
                if await commit(self._client, cast(AsyncClientSession, session)):
                    return
        await session.commit_transaction()

    def has_primary(self) -> bool:
        """As the driver's monitor knows it; a server that hangs is noticed by it only after some seconds."""
        description = (self._client.delegate if self._motor else self._client).topology_description
        return any(server.is_writable for server in description.server_descriptions().values())

    async def close(self) -> None:
        """Says goodbye to the server if that is there; not for long."""
        with time_limit(GOODBYE_S):
            if self._motor:
                await asyncio.to_thread(self._client.close)  # Motor's blocks
            else:
                await self._client.close()


def _refusal(reply: Mapping[str, Any]) -> BulkWriteError | None:
    concern = reply.get("writeConcernError")
    if "writeErrors" not in reply and concern is None:
        return None
    refused = {"writeErrors": reply.get("writeErrors", []), "writeConcernErrors": [] if concern is None else [concern]}
    return BulkWriteError({**refused, "errorLabels": reply.get("errorLabels", [])})


def _parts(kind: WriteKind, statements: Sequence[Mapping[str, Any]]) -> Iterator[list[RawBSONDocument]]:
    part: list[RawBSONDocument] = []
    size_bytes = 0
    for statement in statements:
        raw = statement.take_encoded() if isinstance(statement, HeldRow) else None
        if raw is None:
            raw = bson.encode(statement, codec_options=STORED)
        if kind == "insert" and len(raw) > MAX_ROW_BYTES:
            raise DocumentTooLarge(f"a row of {len(raw)} bytes")
        if part and (size_bytes + len(raw) > MAX_COMMAND_BYTES or len(part) == MAX_STATEMENTS):
            yield part
            part, size_bytes = [], 0
        part.append(RawBSONDocument(raw))
        size_bytes += len(raw)
    if part:
        yield part


def connect(url: str, database: str, driver: DriverName, options: LinkOptions) -> Link:
    """A link that connects when it is first used. Must be called in the event loop it is for.

    Raises what the driver raises for a URL that it cannot read.
    """
    settings: dict[str, Any] = {
        "appname": options.app_name,
        "serverSelectionTimeoutMS": int(options.selection_timeout_s * 1000),
        "connectTimeoutMS": int(options.connect_timeout_s * 1000),
        "heartbeatFrequencyMS": 2000,
        "maxPoolSize": options.max_connections,
    }
    if driver == "pymongo":
        client = AsyncMongoClient[Document](url, **settings)
        link = Link(client, database, motor=False, reply_timeout_s=options.reply_timeout_s)
        if not link._can_exchange:
            log.info("the driver sends the commands of a transaction one by one", extra={"pymongo": pymongo.version})
        return link
    from motor.motor_asyncio import AsyncIOMotorClient  # only who asks for Motor loads it

    if options.reply_timeout_s:
        settings["socketTimeoutMS"] = int(options.reply_timeout_s * 1000)
    return Link(AsyncIOMotorClient(url, io_loop=asyncio.get_running_loop(), **settings), database, motor=True)
