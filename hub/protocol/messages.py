"""Messages of the sync protocol, client to server and back, as frozen values; `codec` turns them into text and from it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, NewType, TypeAlias

from hub.protocol.content import Content
from hub.timestamps import ZERO, Timestamp
from hub.values import Value

QueryId = NewType("QueryId", int)
RequestId = NewType("RequestId", int)


class Version(NamedTuple):
    """Where one side of a session stands. `querySet` and `identity` count per socket, `ts` is the snapshot shown."""

    query_set: int = 0
    identity: int = 0
    ts: Timestamp = ZERO


# --- client to server ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Connect:
    session_id: str
    connection_count: int
    last_close_reason: str | None = None
    max_observed_timestamp: Timestamp | None = None


@dataclass(frozen=True, slots=True)
class AddQuery:
    """`path` is canonical (`module:function`), `args` decoded wire values, `args_key` their canonical text. `held`: digests of
    values of it that the client holds from before, the best first.

    `problem` says what the value encoding of the arguments forbids; then there are none, and the session itself answers.
    """

    query_id: QueryId
    path: str
    args: Mapping[str, Value]
    args_key: str
    journal: str | None = None
    component: str | None = None
    problem: str | None = None
    held: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoveQuery:
    query_id: QueryId


@dataclass(frozen=True, slots=True)
class ModifyQuerySet:
    base_version: int
    new_version: int
    modifications: tuple[AddQuery | RemoveQuery, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A mutation or an action. `body_key` is the canonical text of path and arguments: what a repeat must equal.

    `problem`: as in AddQuery.
    """

    kind: Literal["mutation", "action"]
    request_id: RequestId
    path: str
    args: Mapping[str, Value]
    body_key: str
    component: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Authenticate:
    """`token_type` None is logged out, User a JWT in `value`, Admin the service key in `value`, `acting_as` whom it speaks for."""

    base_version: int
    token_type: Literal["None", "User", "Admin"]
    value: str = ""
    acting_as: Mapping[str, Value] | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Telemetry of the client, and every message type the hub does not know: ignored."""


ClientMessage: TypeAlias = Connect | ModifyQuerySet | Call | Authenticate | Event


# --- results -------------------------------------------------------------------------------------------------------

Encoded: TypeAlias = dict[Hashable, bytes]
"""What wire formats made of a result, each under a key of its own: once, however many sessions get it."""


@dataclass(frozen=True, slots=True)
class Success:
    """A function's value, already encoded (JSON text of the value encoding), shared by everybody who gets it. `content`: the
    same as a tree; None where only the text is kept. `is_wide`: it was made for many sessions."""

    value: str
    log_lines: tuple[str, ...] = ()
    journal: str | None = None
    content: Content | None = field(default=None, compare=False, repr=False)
    is_wide: bool = field(default=False, compare=False, repr=False)
    encoded: Encoded = field(default_factory=dict, init=False, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Failure:
    """A function's error. `data` is the encoded data of an ApplicationError, None for plain errors; `code` is for metrics
    and HTTP and does not go over the socket. Equality leaves the reference in `message` to the caller."""

    message: str
    code: str
    data: str | None = None
    log_lines: tuple[str, ...] = ()
    journal: str | None = None
    encoded: Encoded = field(default_factory=dict, init=False, compare=False, repr=False)


Result: TypeAlias = Success | Failure


# --- server to client ----------------------------------------------------------------------------------------------
# What is made for each delivery is a NamedTuple: half as expensive as a frozen dataclass.


@dataclass(frozen=True, slots=True)
class Resumed:
    """The value that the client holds from before this socket: `index` is its place among the digests that it offered."""

    index: int
    content: Content


class QueryChanged(NamedTuple):
    """`base` is the last value that was sent to this session for the query, also if an error came after it; `tells_journal`:
    the journal is another than it was told last. `resumed` only in the first result on this socket."""

    query_id: QueryId
    result: Result
    base: Success | None = None
    tells_journal: bool = False
    resumed: Resumed | None = None


@dataclass(frozen=True, slots=True)
class QueryRemoved:
    query_id: QueryId


class Transition(NamedTuple):
    start: Version
    end: Version
    modifications: tuple[QueryChanged | QueryRemoved, ...] = ()

    @property
    def is_wide(self) -> bool:
        """Whether it brings a result that many get."""
        return any(isinstance(item, QueryChanged) and isinstance(item.result, Success) and item.result.is_wide for item in self[2])


@dataclass(frozen=True, slots=True)
class CallResponse:
    """`ts` is set for a mutation that succeeded, and only then."""

    kind: Literal["mutation", "action"]
    request_id: RequestId
    result: Result
    ts: Timestamp | None = None


@dataclass(frozen=True, slots=True)
class AuthError:
    error: str
    base_version: int
    update_attempted: bool


@dataclass(frozen=True, slots=True)
class FatalError:
    error: str


@dataclass(frozen=True, slots=True)
class Ping:
    pass


ServerMessage: TypeAlias = Transition | CallResponse | AuthError | FatalError | Ping


# --- what a session asks its shell to do ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    message: ServerMessage


@dataclass(frozen=True, slots=True)
class Watch:
    """Subscribe the session to this query. A query id is watched at most once; after Unwatch it may come again (new identity)."""

    query: AddQuery


@dataclass(frozen=True, slots=True)
class Unwatch:
    query_id: QueryId


@dataclass(frozen=True, slots=True)
class RunMutation:
    """Queue it. `may_repeat` says that an earlier socket of this session may have sent it too: look its record up first.

    Where it is False no earlier run exists, but a later socket's repeat may overtake this run: then the record is found when
    this one tries to commit its own.
    """

    call: Call
    session_id: str
    may_repeat: bool


@dataclass(frozen=True, slots=True)
class Verify:
    """Check the token, before the next message is received; then call `Session.authenticated` or `Session.rejected`."""

    message: Authenticate


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Send no transition before the hub is past this timestamp (the client has seen it elsewhere)."""

    ts: Timestamp


@dataclass(frozen=True, slots=True)
class HoldForRepeats:
    """A reconnected client: its first transition waits, briefly, for repeated mutations that are on their way."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket after what was sent. `reason` is at most 123 bytes; clients read their back-off from its beginning."""

    code: int = 1000
    reason: str = ""


Effect: TypeAlias = Send | Watch | Unwatch | RunMutation | Verify | CatchUp | HoldForRepeats | Close
