"""Text frames of the sync protocol: client frames to messages, server messages to frames.

The stock format (`hub.protocol.formats`). Whatever a client sends, `read_message` returns a message or raises BadRequest
and nothing else. What `write_message` makes parses in every known client: required fields are there, integers are integers,
plain errors have no `errorData`, and results are spliced in as what they already are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, assert_never

from hub import timestamps
from hub.errors import BadRequest
from hub.protocol.frames import Frame, text_frame
from hub.protocol.json_values import canonical, decode, decode_args, parse
from hub.protocol.messages import (
    AddQuery,
    Authenticate,
    AuthError,
    Call,
    CallResponse,
    ClientMessage,
    Connect,
    Event,
    Failure,
    FatalError,
    ModifyQuerySet,
    Ping,
    QueryChanged,
    QueryId,
    QueryRemoved,
    RemoveQuery,
    RequestId,
    Result,
    ServerMessage,
    Success,
    Transition,
    Version,
)
from hub.values import Value

Parsed: TypeAlias = Mapping[str, Any]
MAX_SESSION_ID_LENGTH = 128
_FRAGMENT = "json"


def canonical_path(path: str) -> str:
    """`m`, `m:default` and `m.js:default` are one function; so are `chats.js:list` and `chats:list`."""
    module, colon, function = path.rpartition(":")
    if not colon:
        module, function = path, "default"
    return f"{module.removesuffix('.js')}:{function}"


# --- client to server ----------------------------------------------------------------------------------------------


def read_message(text: str) -> ClientMessage:
    """Raises BadRequest with a plain reason. A type that is not known is an Event: newer clients may have more of them."""
    frame = parse(text)
    if not isinstance(frame, dict):
        raise BadRequest("a message must be a JSON object")
    reader = _READERS.get(_text(frame, "type"))
    return reader(frame) if reader is not None else Event()


def _read_connect(frame: Parsed) -> Connect:
    session_id = _text(frame, "sessionId")
    if not 0 < len(session_id) <= MAX_SESSION_ID_LENGTH or not (session_id.isascii() and session_id.isprintable()):
        raise BadRequest("`sessionId` must be a UUID")
    seen = frame.get("maxObservedTimestamp")
    return Connect(
        session_id=session_id,
        connection_count=_u32(frame, "connectionCount"),
        last_close_reason=_optional_text(frame, "lastCloseReason"),
        max_observed_timestamp=None if seen is None else timestamps.decode(seen),
    )


def _read_modify_query_set(frame: Parsed) -> ModifyQuerySet:
    modifications = frame.get("modifications")
    if not isinstance(modifications, list):
        raise BadRequest("`modifications` must be a list")
    return ModifyQuerySet(
        base_version=_u32(frame, "baseVersion"),
        new_version=_u32(frame, "newVersion"),
        modifications=tuple(_read_modification(item) for item in modifications),
    )


def _read_modification(item: object) -> AddQuery | RemoveQuery:
    if not isinstance(item, dict):
        raise BadRequest("a modification must be an object")
    query_id = QueryId(_u32(item, "queryId"))
    match _text(item, "type"):
        case "Add":
            path = canonical_path(_text(item, "udfPath"))
            args, problem = _read_args(item)
            journal, component = _optional_text(item, "journal"), _optional_text(item, "componentPath") or None
            return AddQuery(query_id, path, args, canonical(args), journal, component, problem)
        case "Remove":
            return RemoveQuery(query_id)
        case _:
            raise BadRequest("a modification must be of type Add or Remove")


def _read_mutation(frame: Parsed) -> Call:
    path = canonical_path(_text(frame, "udfPath"))
    args, problem = _read_args(frame)
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
    return f"{_quoted(path)} {canonical(args)}"


def _read_args(frame: Parsed) -> tuple[dict[str, Value], str | None]:
    """The arguments, or what is wrong with a value in them.

    The second is the fault of this one call, not of the connection: half an emoji in a chat message must not end in a
    FatalError, which stops a JavaScript client for good.
    """
    tree = frame.get("args")
    if not (isinstance(tree, list) and len(tree) == 1 and isinstance(tree[0], dict)):
        raise BadRequest("`args` must be a list of one object")
    try:
        return decode_args(tree), None
    except BadRequest as error:
        return {}, f"the arguments cannot be read: {error.message}"


def _read_authenticate(frame: Parsed) -> Authenticate:
    base_version = _u32(frame, "baseVersion")
    match _text(frame, "tokenType"):
        case "None":
            return Authenticate(base_version, "None")
        case "User":
            return Authenticate(base_version, "User", _text(frame, "value"))
        case "Admin":
            return Authenticate(base_version, "Admin", _text(frame, "value"), _read_acting_as(frame))
        case _:
            raise BadRequest("`tokenType` must be None, User or Admin")


def _read_acting_as(frame: Parsed) -> Mapping[str, Value] | None:
    """JavaScript says `impersonating`, Rust `acting_as`."""
    tree = frame.get("impersonating", frame.get("acting_as"))
    if tree is None:
        return None
    attributes = decode(tree)
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


_READERS: Mapping[str, Callable[[Parsed], ClientMessage]] = {
    "Connect": _read_connect,
    "ModifyQuerySet": _read_modify_query_set,
    "Mutation": _read_mutation,
    "Action": _read_mutation,
    "Authenticate": _read_authenticate,
    "Event": lambda frame: Event(),
}


# --- server to client ----------------------------------------------------------------------------------------------


def write_message(message: ServerMessage) -> Frame:
    match message:
        case Transition():
            return _write_transition(message)
        case CallResponse():
            return text_frame(_write_response(message).encode())
        case AuthError():
            attempted = "true" if message.update_attempted else "false"
            detail = f'"baseVersion":{message.base_version},"authUpdateAttempted":{attempted}'
            return text_frame(f'{{"type":"AuthError","error":{_quoted(message.error)},{detail}}}'.encode())
        case FatalError():
            return text_frame(f'{{"type":"FatalError","error":{_quoted(message.error)}}}'.encode())
        case Ping():
            return text_frame(b'{"type":"Ping"}')
        case _:
            assert_never(message)


def _write_transition(message: Transition) -> Frame:
    """What is the session's own is written around the shared fragments."""
    versions = f'"startVersion":{_write_version(message.start)},"endVersion":{_write_version(message.end)}'
    own = f'{{"type":"Transition",{versions},"modifications":['
    pieces: list[bytes] = []
    comma = ""
    for item in message.modifications:
        match item:
            case QueryRemoved():
                own = f'{own}{comma}{{"type":"QueryRemoved","queryId":{item.query_id}}}'
            case QueryChanged():
                kind = "QueryUpdated" if isinstance(item.result, Success) else "QueryFailed"
                own = f'{own}{comma}{{"type":"{kind}","queryId":{item.query_id},'
                pieces += (own.encode(), result_fragment(item.result))
                own = "}"
            case _:
                assert_never(item)
        comma = ","
    return text_frame(*pieces, f"{own}]}}".encode())


def result_fragment(result: Result) -> bytes:
    """The fields of a query's result that are the same for every subscriber, written once."""
    fragment = result.encoded.get(_FRAGMENT)
    if fragment is None:
        fragment = result.encoded[_FRAGMENT] = _write_fragment(result).encode()
    return fragment


def _write_fragment(result: Result) -> str:
    """`journal` is always there: JavaScript reads a missing one as "keep the old", Rust as null."""
    journal = "null" if result.journal is None else _quoted(result.journal)
    shared = f'"logLines":{_write_log_lines(result)},"journal":{journal}'
    if isinstance(result, Success):
        return f'"value":{result.value},{shared}'
    return f'"errorMessage":{_quoted(result.message)},{shared}{_write_error_data(result)}'


def _write_response(message: CallResponse) -> str:
    head = f'"type":"{"MutationResponse" if message.kind == "mutation" else "ActionResponse"}","requestId":{message.request_id}'
    log_lines = f'"logLines":{_write_log_lines(message.result)}'
    ts = f'"ts":{_write_ts(message.ts)},' if message.kind == "mutation" else ""
    match message.result:
        case Success(value):
            return f'{{{head},"success":true,"result":{value},{ts}{log_lines}}}'
        case Failure(text) as failure:
            return f'{{{head},"success":false,"result":{_quoted(text)},{ts}{log_lines}{_write_error_data(failure)}}}'
        case _:
            assert_never(message.result)


def _write_error_data(failure: Failure) -> str:
    """Left out for plain errors: `null` would count as data and make a ConvexError of them."""
    return "" if failure.data is None else f',"errorData":{failure.data}'


def _write_log_lines(result: Result) -> str:
    return "[" + ",".join([_quoted(line) for line in result.log_lines]) + "]" if result.log_lines else "[]"


def _write_version(version: Version) -> str:
    return f'{{"querySet":{version.query_set},"identity":{version.identity},"ts":{_write_ts(version.ts)}}}'


def _write_ts(ts: timestamps.Timestamp | None) -> str:
    return "null" if ts is None else f'"{timestamps.encode(ts)}"'


def _quoted(text: str) -> str:
    """A message for people may hold anything, also half a character, which the Rust client would not read."""
    whole = text if text.isascii() else text.encode(errors="replace").decode()
    return json.dumps(whole, ensure_ascii=False)
