"""Text frames of the sync protocol: client frames to messages, server messages to frames.

The stock format (`hub.protocol.formats`). Whatever a client sends, `read_message` returns a message or raises BadRequest
and nothing else. What `write_message` makes parses in every known client: required fields are there, integers are integers,
plain errors have no `errorData`, and results are spliced in as what they already are.
"""

from __future__ import annotations

from functools import lru_cache
from typing import assert_never

from hub import timestamps
from hub.protocol.frames import Frame, text_frame
from hub.protocol.json_values import decode, parse, quoted
from hub.protocol.messages import (
    AuthError,
    CallResponse,
    ClientMessage,
    Failure,
    FatalError,
    Ping,
    QueryChanged,
    Result,
    ServerMessage,
    Success,
    Transition,
    Version,
)
from hub.protocol.requests import read_frame
from hub.protocol.steps import StepText
from hub.timestamps import Timestamp
from hub.values import Value

_FRAGMENT = "json"


# --- client to server ----------------------------------------------------------------------------------------------


class _Reading:
    """Of JSON. A stock client holds no values over a reconnect."""

    def value(self, tree: object) -> Value:
        return decode(tree)

    def timestamp(self, tree: object) -> Timestamp:
        return timestamps.decode(tree)

    def digests(self, tree: object) -> tuple[bytes, ...]:
        return ()


_READING = _Reading()


def read_message(text: str) -> ClientMessage:
    """Raises BadRequest with a plain reason."""
    return read_frame(parse(text), _READING)


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
            return text_frame(f'{{"type":"AuthError","error":{quoted(message.error)},{detail}}}'.encode())
        case FatalError():
            return text_frame(f'{{"type":"FatalError","error":{quoted(message.error)}}}'.encode())
        case Ping():
            return text_frame(b'{"type":"Ping"}')
        case _:
            assert_never(message)


def _write_transition(message: Transition) -> Frame:
    """What is the session's own is written around the shared fragments."""
    start, end, modifications = message
    own = _open_transition(start, end)
    pieces: list[bytes] = []
    comma, is_wide = "", False
    for item in modifications:
        if isinstance(item, QueryChanged):  # a `match` that takes it apart costs twice as much, at each delivery
            result = item.result
            if isinstance(result, Success):
                kind, is_wide = "QueryUpdated", is_wide or result.is_wide
            else:
                kind = "QueryFailed"
            own = f"{own}{comma}{_open_change(kind)}{item.query_id},"
            pieces += (own.encode(), result.encoded.get(_FRAGMENT) or result_fragment(result))
            own = "}"
        else:
            own = f'{own}{comma}{{"type":"QueryRemoved","queryId":{item.query_id}}}'
        comma = ","
    return text_frame(*pieces, f"{own}]}}".encode(), is_wide=is_wide)


def step_text(result: Success) -> StepText:
    """Of transitions that bring this result and nothing else."""
    fragment = result.encoded.get(_FRAGMENT) or result_fragment(result)
    return StepText(True, _open_step, b"%d,".__mod__, fragment + b"}]}")


def _open_step(start: Version, end: Version) -> bytes:
    return (_open_transition(start, end) + _open_change("QueryUpdated")).encode()


def _open_change(kind: str) -> str:
    return f'{{"type":"{kind}","queryId":'


def result_fragment(result: Result) -> bytes:
    """The fields of a query's result that are the same for every subscriber, kept with it."""
    fragment = result.encoded[_FRAGMENT] = _write_fragment(result).encode()
    return fragment


def _write_fragment(result: Result) -> str:
    """`journal` is always there: JavaScript reads a missing one as "keep the old", Rust as null."""
    journal = "null" if result.journal is None else quoted(result.journal)
    shared = f'"logLines":{_write_log_lines(result)},"journal":{journal}'
    if isinstance(result, Success):
        return f'"value":{result.value},{shared}'
    return f'"errorMessage":{quoted(result.message)},{shared}{_write_error_data(result)}'


def _write_response(message: CallResponse) -> str:
    head = f'"type":"{"MutationResponse" if message.kind == "mutation" else "ActionResponse"}","requestId":{message.request_id}'
    log_lines = f'"logLines":{_write_log_lines(message.result)}'
    ts = f'"ts":{_write_ts(message.ts)},' if message.kind == "mutation" else ""
    match message.result:
        case Success(value):
            return f'{{{head},"success":true,"result":{value},{ts}{log_lines}}}'
        case Failure(text) as failure:
            return f'{{{head},"success":false,"result":{quoted(text)},{ts}{log_lines}{_write_error_data(failure)}}}'
        case _:
            assert_never(message.result)


def _write_error_data(failure: Failure) -> str:
    """Left out for plain errors: `null` would count as data and make a ConvexError of them."""
    return "" if failure.data is None else f',"errorData":{failure.data}'


def _write_log_lines(result: Result) -> str:
    return "[" + ",".join([quoted(line) for line in result.log_lines]) + "]" if result.log_lines else "[]"


@lru_cache(maxsize=1024)  # sessions are in few states: those of one round mostly move between the same two
def _open_transition(start: Version, end: Version) -> str:
    return f'{{"type":"Transition","startVersion":{_write_version(start)},"endVersion":{_write_version(end)},"modifications":['


def _write_version(version: Version) -> str:
    return f'{{"querySet":{version.query_set},"identity":{version.identity},"ts":{_write_ts(version.ts)}}}'


def _write_ts(ts: Timestamp | None) -> str:
    return "null" if ts is None else f'"{timestamps.encode(ts)}"'
