"""Exchange: several commands of one session in one go: all are sent before the first is answered. Called by `hub.mongo.driver`.

MongoDB takes the requests of a connection in order and answers in order, so the writes of a transaction cost one round trip, not
one each. If one of them fails the server has ended the transaction, and refuses those behind it: nothing is half done. PyMongo's
public interface sends one command at a time, so this module, and it alone, uses what lies below that (the same in 4.18 to 4.20);
`can_exchange` says whether all of it is there, and without it commands go one by one. What PyMongo's own way does for commands that
are nobody's business here is left out: command monitoring, limits by `pymongo.timeout`, and logging in again in the middle.

Figures: `docs/decisions/0024-a-transaction-in-two-round-trips.md`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar, cast

from bson.codec_options import DEFAULT_CODEC_OPTIONS, CodecOptions
from pymongo import AsyncMongoClient, helpers_shared, message, network_layer
from pymongo.asynchronous import client_session
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.pool import AsyncConnection
from pymongo.errors import ConnectionFailure, PyMongoError
from pymongo.read_preferences import ReadPreference

ReplyT = TypeVar("ReplyT", bound=Mapping[str, Any])

_PLAIN = DEFAULT_CODEC_OPTIONS
"""Of requests: what is in them is encoded already, or has types that every codec writes alike."""
_COMMIT = {"commitTransaction": 1, "writeConcern": {"w": "majority"}}
_LOOK_S = 0.5
"""How often it is looked whether the driver has given the server up: its own period."""
_NEEDED = (
    (AsyncMongoClient, ("_conn_for_writes", "_process_response")),
    (AsyncClientSession, ("_apply_to", "_starting_transaction")),
    (AsyncConnection, ("add_server_api", "send_cluster_time", "_raise_connection_failure")),
    (helpers_shared, ("_check_command_response",)),
    (network_layer, ("PyMongoProtocol",)),
    (client_session, ("_TxnState",)),
    (message, ("_op_msg", "_UNPACK_REPLY")),
)


def can_exchange(client: object) -> bool:
    """Whether this client's commands may be sent so: it is PyMongo's, as known here, and neither encrypts nor logs in anew."""
    return (
        isinstance(client, AsyncMongoClient)
        and all(hasattr(owner, name) for owner, names in _NEEDED for name in names)
        and client.options.auto_encryption_opts is None
        and not _renews_its_login(client)
    )


def _renews_its_login(client: AsyncMongoClient[Any]) -> bool:
    credentials = client.options.pool_options._credentials
    return credentials is not None and credentials.mechanism == "MONGODB-OIDC"


async def exchange(
    client: AsyncMongoClient[Any],
    database: str,
    commands: Sequence[Mapping[str, Any]],
    session: AsyncClientSession,
    codec_options: CodecOptions[ReplyT],
) -> tuple[list[ReplyT], PyMongoError | None]:
    """The replies up to the first that is an error, and that error. To be called under a time limit of the caller's.

    Raises ConnectionFailure if not every command was answered: any of them may have been carried out.
    """
    replies: list[ReplyT] = []
    refusal: PyMongoError | None = None
    try:
        async with await client._conn_for_writes(session, next(iter(commands[0]))) as connection:
            requests = [_request(command, client, database, connection, session) for command in commands]
            received = await _round_trip(connection, requests)
            unpacked = [data.unpack_response(codec_options=codec_options)[0] for data in received]
            await client._process_response(unpacked[-1], session)  # it tells the latest time
            for reply in unpacked:
                try:
                    helpers_shared._check_command_response(reply, connection.max_wire_version)
                except PyMongoError as error:
                    refusal = error
                    raise  # so that the driver hears what it says of the server
                replies.append(cast(ReplyT, reply))
    except PyMongoError as error:
        if error is not refusal:
            raise
    return replies, refusal


async def commit(client: AsyncMongoClient[Any], session: AsyncClientSession) -> bool:
    """Ask for the commit of the session's transaction; whether it is acknowledged. If not, it can be asked for again, by
    PyMongo too: a commit counts once."""
    states, transaction = client_session._TxnState, session._transaction  # type: ignore[attr-defined]  # it is not for export
    transaction.state = states.IN_PROGRESS  # also when it was asked for before
    try:
        replies, refusal = await exchange(client, "admin", [_COMMIT], session, _PLAIN)
    except ConnectionFailure:
        return False
    finally:
        transaction.state = states.COMMITTED
    return refusal is None and "writeConcernError" not in replies[0]


class _Request(NamedTuple):
    id: int
    data: bytes


def _request(
    command: Mapping[str, Any],
    client: AsyncMongoClient[Any],
    database: str,
    connection: AsyncConnection,
    session: AsyncClientSession,
) -> _Request:
    filled = dict(command)
    connection.add_server_api(filled)
    session._apply_to(filled, False, ReadPreference.PRIMARY, connection)
    if session._starting_transaction:  # the next command is not the first of the transaction
        session._transaction.set_in_progress()
    connection.send_cluster_time(filled, session, client)
    context = connection.compression_context
    request_id, data, _, _ = message._op_msg(0, filled, database, ReadPreference.PRIMARY, _PLAIN, context)
    return _Request(request_id, data)


async def _round_trip(connection: AsyncConnection, requests: Sequence[_Request]) -> list[message._OpMsg]:
    """All replies, also those to requests behind one that fails: else the next to use the connection would get them."""
    protocol = connection.conn.get_conn
    replies: list[message._OpMsg] = []
    try:
        # Not by `send_message`: where a limit is left from a command before, that has a task write, after whatever is ready to run.
        await protocol.write(b"".join([request.data for request in requests]))
        _read_on(protocol)
        with _until_given_up(connection):
            for request in requests:
                data, op_code = await protocol.read(request.id, connection.max_message_size)
                replies.append(message._UNPACK_REPLY[op_code](data))
    except BaseException as error:
        await connection._raise_connection_failure(error)
    return replies


class _Unpaused:
    """A connection's transport that goes on reading."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def _read_on(protocol: network_layer.PyMongoProtocol) -> None:
    """PyMongo pauses a connection after each message, and resumes it to read the next: a turn of the loop and two system calls for
    each reply. Here the server says nothing that it was not asked for, so what waits is bounded anyway."""
    transport = protocol.transport
    if not isinstance(transport, _Unpaused):
        protocol.transport = cast(asyncio.Transport, _Unpaused(transport))
        transport.resume_reading()  # a reply may have paused it already


@contextmanager
def _until_given_up(connection: AsyncConnection) -> Iterator[None]:
    """The driver's monitor gives up a server that does not answer; then what waits for a reply ends.

    A timer: PyMongo's own way has a task for this beside each command, and another one for the reply.
    """
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def look_later() -> asyncio.TimerHandle:
        return loop.call_later(_LOOK_S, look)

    def look() -> None:
        nonlocal timer
        if connection.cancel_context.cancelled:
            connection.conn.get_conn.close(OSError("the server does not answer"))
        else:
            timer = look_later()

    timer = look_later()
    try:
        yield
    finally:
        timer.cancel()
