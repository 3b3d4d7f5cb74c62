"""Client frames to messages, for every wire format: what fields a message has, and of which types.

A wire format parses its frames and hands the tree to `read_frame`, with its own way to read the values inside of it. Whatever a
client sends, a message comes back or BadRequest is raised, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from hub.errors import BadRequest
from hub.protocol.json_values import canonical, quoted
from hub.protocol.messages import (
    AddQuery,
    Authenticate,
    Call,
    ClientMessage,
    Connect,
    Event,
    ModifyQuerySet,
    QueryId,
    RemoveQuery,
    RequestId,
)
from hub.timestamps import Timestamp
from hub.values import Value

Parsed: TypeAlias = Mapping[str, Any]
MAX_SESSION_ID_LENGTH = 128


class Reading(Protocol):
    """How a format reads what is encoded inside of a message. Each raises BadRequest."""

    def value(self, tree: object) -> Value: ...

    def timestamp(self, tree: object) -> Timestamp: ...

    def digests(self, tree: object) -> tuple[bytes, ...]:
        """Of the values of a query that the client still holds; `tree` is None where it said nothing about them."""
        ...


def canonical_path(path: str) -> str:
    """`m`, `m:default` and `m.js:default` are one function; so are `chats.js:list` and `chats:list`."""
    module, colon, function = path.rpartition(":")
    if not colon:
        module, function = path, "default"
    return f"{module.removesuffix('.js')}:{function}"


def read_frame(frame: object, reading: Reading) -> ClientMessage:
    """A type that is not known is an Event: newer clients may have more of them."""
    if not isinstance(frame, dict):
        raise BadRequest("a message must be an object")
    reader = _READERS.get(_text(frame, "type"))
    return reader(frame, reading) if reader is not None else Event()


def _read_connect(frame: Parsed, reading: Reading) -> Connect:
    session_id = _text(frame, "sessionId")
    if not 0 < len(session_id) <= MAX_SESSION_ID_LENGTH or not (session_id.isascii() and session_id.isprintable()):
        raise BadRequest("`sessionId` must be a UUID")
    seen = frame.get("maxObservedTimestamp")
    return Connect(
        session_id=session_id,
        connection_count=_u32(frame, "connectionCount"),
        last_close_reason=_optional_text(frame, "lastCloseReason"),
        max_observed_timestamp=None if seen is None else reading.timestamp(seen),
    )


def _read_modify_query_set(frame: Parsed, reading: Reading) -> ModifyQuerySet:
    modifications = frame.get("modifications")
    if not isinstance(modifications, list):
        raise BadRequest("`modifications` must be a list")
    return ModifyQuerySet(
        base_version=_u32(frame, "baseVersion"),
        new_version=_u32(frame, "newVersion"),
        modifications=tuple(_read_modification(item, reading) for item in modifications),
    )


def _read_modification(item: object, reading: Reading) -> AddQuery | RemoveQuery:
    if not isinstance(item, dict):
        raise BadRequest("a modification must be an object")
    query_id = QueryId(_u32(item, "queryId"))
    match _text(item, "type"):
        case "Add":
            path = canonical_path(_text(item, "udfPath"))
            args, problem = _read_args(item, reading)
            journal, component = _optional_text(item, "journal"), _optional_text(item, "componentPath") or None
            held = reading.digests(item.get("held"))
            return AddQuery(query_id, path, args, canonical(args), journal, component, problem, held)
        case "Remove":
            return RemoveQuery(query_id)
        case _:
            raise BadRequest("a modification must be of type Add or Remove")


def _read_mutation(frame: Parsed, reading: Reading) -> Call:
    path = canonical_path(_text(frame, "udfPath"))
    args, problem = _read_args(frame, reading)
    return Call(
        kind="action" if frame["type"] == "Action" else "mutation",
        request_id=RequestId(_u32(frame, "requestId")),
        path=path,
        args=args,
        body_key=body_key(path, args),
        component=_optional_text(frame, "componentPath") or None,
        problem=problem,
    )


def body_key(path: str, args: Mapping[str, Value]) -> str:
    """What a repeat of a call must equal. `path` is canonical."""
    return f"{quoted(path)} {canonical(args)}"


def _read_args(frame: Parsed, reading: Reading) -> tuple[dict[str, Value], str | None]:
    """The arguments, or what is wrong with a value in them.

    The second is the fault of this one call, not of the connection: half an emoji in a chat message must not end in a
    FatalError, which stops a JavaScript client for good.
    """
    tree = frame.get("args")
    if not (isinstance(tree, list) and len(tree) == 1 and isinstance(tree[0], dict)):
        raise BadRequest("`args` must be a list of one object")
    try:
        args = reading.value(tree[0])
        if not isinstance(args, dict):
            raise BadRequest("`args` must be an object")
    except BadRequest as error:
        return {}, f"the arguments cannot be read: {error.message}"
    return args, None


def _read_authenticate(frame: Parsed, reading: Reading) -> Authenticate:
    base_version = _u32(frame, "baseVersion")
    match _text(frame, "tokenType"):
        case "None":
            return Authenticate(base_version, "None")
        case "User":
            return Authenticate(base_version, "User", _text(frame, "value"))
        case "Admin":
            return Authenticate(base_version, "Admin", _text(frame, "value"), _read_acting_as(frame, reading))
        case _:
            raise BadRequest("`tokenType` must be None, User or Admin")


def _read_acting_as(frame: Parsed, reading: Reading) -> Mapping[str, Value] | None:
    """JavaScript says `impersonating`, Rust `acting_as`."""
    tree = frame.get("impersonating", frame.get("acting_as"))
    if tree is None:
        return None
    attributes = reading.value(tree)
    if not isinstance(attributes, dict):
        raise BadRequest("`impersonating` must be an object")
    return attributes


def _u32(frame: Parsed, name: str) -> int:
    number = frame.get(name)
    if type(number) is not int or not 0 <= number < 2**32:
        raise BadRequest(f"`{name}` must be an integer from 0 to 2^32 - 1")
    return number


def _text(frame: Parsed, name: str) -> str:
    text = frame.get(name)
    if not isinstance(text, str):
        raise BadRequest(f"`{name}` must be a string")
    return text


def _optional_text(frame: Parsed, name: str) -> str | None:
    return None if frame.get(name) is None else _text(frame, name)


_READERS: Mapping[str, Callable[[Parsed, Reading], ClientMessage]] = {
    "Connect": _read_connect,
    "ModifyQuerySet": _read_modify_query_set,
    "Mutation": _read_mutation,
    "Action": _read_mutation,
    "Authenticate": _read_authenticate,
    "Event": lambda frame, reading: Event(),
}
