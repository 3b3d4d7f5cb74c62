"""The hub's own wire format: results as edits of what the client holds, in MessagePack or, for people, in JSON.

One of the wire formats (`hub.protocol.formats`); the page `docs/wire-format.md` describes it for whoever writes a client. What
all sessions with one result, or with one base and one result, are sent alike is made once and kept with the result.
"""

from __future__ import annotations

from functools import lru_cache
from typing import assert_never

from hub.core.diff import diff
from hub.core.edits import Append, Edit, Elements, Fields, Insert, Move, Operation, Remove, Replace, Splice, Update
from hub.protocol.content import Content
from hub.protocol.frames import Frame
from hub.protocol.messages import (
    AuthError,
    CallResponse,
    ClientMessage,
    Failure,
    FatalError,
    Ping,
    QueryChanged,
    QueryId,
    QueryRemoved,
    Result,
    ServerMessage,
    Success,
    Transition,
    Version,
)
from hub.protocol.notations import NativeReading, Notation, array
from hub.protocol.requests import read_frame
from hub.protocol.steps import StepText
from hub.timestamps import Timestamp

MAX_ENCODED = 32
"""Forms kept with one result. Sessions with still other bases get the whole value: they are few, and each would cost a diff."""
_LEAST_SHARE = 8
"""No value's MessagePack is less than an eighth of its JSON: 2 bytes for `{"$bytes":""},` are the least. An edit of an eighth is
smaller than the value for certain, which then need not be written to know it."""

_TRANSITION = 1
_REMOVED, _UPDATED, _PATCHED, _FAILED, _RESUMED = range(5)


class NativeFormat:
    resumes = True

    def __init__(self, subprotocol: str, notation: Notation) -> None:
        self.subprotocol: str | None = subprotocol
        self._notation = notation
        self._opening = notation.open_array(4) + notation.number(_TRANSITION) + notation.separator
        self._reading = NativeReading(notation)
        self._version = lru_cache(maxsize=1024)(self._write_version)
        self._head = lru_cache(maxsize=64)(self._write_head)

    def read(self, payload: str | bytes) -> ClientMessage:
        return read_frame(self._notation.parse(payload), self._reading)

    def write(self, message: ServerMessage) -> Frame:
        pieces = self._transition(message) if isinstance(message, Transition) else [self._write_fields(message)]
        is_wide = isinstance(message, Transition) and message.is_wide
        return Frame(self._notation.is_text, tuple(pieces), sum(map(len, pieces)), is_wide)

    # --- transitions ---------------------------------------------------------------------------------------------------

    def _transition(self, message: Transition) -> list[bytes]:
        """What is the session's own is written around the shared fragments."""
        write = self._notation
        own = self._open_transition(message.start, message.end, len(message.modifications))
        pieces: list[bytes] = []
        between = b""
        for item in message.modifications:
            match item:
                case QueryRemoved(query_id):
                    own += between + array(write, write.number(_REMOVED), write.number(query_id))
                case QueryChanged():
                    kind, length, shared = self._change(item)
                    head = self._head(kind, length) + write.number(item.query_id) + write.separator
                    pieces += (own + between + head, shared)
                    own = write.close_array
                case _:
                    assert_never(item)
            between = write.separator
        if own or write.close_array:
            pieces.append(own + write.close_array * 2)
        return pieces

    def _open_transition(self, start: Version, end: Version, modifications: int) -> bytes:
        versions = self._version(start.query_set, start.identity, start.ts) + self._version(end.query_set, end.identity, end.ts)
        return self._opening + versions + self._notation.open_array(modifications)

    def step(self, base: Success, result: Success) -> StepText:
        notation = self._notation
        kind, length, change = self._change(QueryChanged(QueryId(0), result, base, result.journal != base.journal))
        head = self._head(kind, length)

        def opening(start: Version, end: Version) -> bytes:
            return self._open_transition(start, end, 1) + head

        def number(query_id: QueryId) -> bytes:
            return notation.number(query_id) + notation.separator

        return StepText(notation.is_text, opening, number, change + notation.close_array * 3)

    def _change(self, item: QueryChanged) -> tuple[int, int, bytes]:
        """Its kind, how many items it has, and those behind the query's id: the same for all that are told the same."""
        result = item.result
        if isinstance(result, Failure):
            return _FAILED, 5 if result.data is None else 6, self._once(result, _FAILED)
        base = item.resumed.content if item.resumed is not None else item.base.content if item.base is not None else None
        edit = self._edit(base, result) if base is not None else b""
        logs = len(result.log_lines) > 0
        if not edit:
            return _UPDATED, 4 + logs, self._once(result, _UPDATED)
        if item.resumed is not None:
            parts = (self._notation.number(item.resumed.index), edit, self._told(result))
            return _RESUMED, 5 + logs, self._notation.separator.join(parts)
        if item.tells_journal or logs:
            return _PATCHED, 4 + logs, self._notation.separator.join((edit, self._told(result)))
        return _PATCHED, 3, edit

    def _once(self, result: Result, kind: int) -> bytes:
        key = (self.subprotocol, kind)
        fragment = result.encoded.get(key)
        if fragment is None:
            fragment = result.encoded[key] = self._failed(result) if isinstance(result, Failure) else self._updated(result)
        return fragment

    def _updated(self, result: Success) -> bytes:
        return self._notation.separator.join((self._value(result), self._told(result)))

    def _value(self, result: Success) -> bytes:
        return self._notation.encoded(result.value) if result.content is None else self._notation.value(result.content.tree)

    def _failed(self, failure: Failure) -> bytes:
        write = self._notation
        logs = self._log_lines(failure) if failure.log_lines else write.null
        data = () if failure.data is None else (write.encoded(failure.data),)
        return write.separator.join((write.text(failure.message), self._journal(failure), logs, *data))

    def _edit(self, base: Content, result: Success) -> bytes:
        """Empty where the whole value is no longer, or there is none to compare; made once for everybody with this base."""
        key = (self.subprotocol, base)
        edit = result.encoded.get(key)
        if edit is None:
            if result.content is None or len(result.encoded) >= MAX_ENCODED:
                return b""
            edit = self._smaller(diff(base.tree, result.content.tree), result)
            result.encoded[key] = edit
        return edit

    def _smaller(self, edit: Edit | None, result: Success) -> bytes:
        if edit is None:
            return self._notation.null
        if isinstance(edit, Replace):
            return b""
        written = write_edit(self._notation, edit)
        is_smaller = len(written) * _LEAST_SHARE <= len(result.value) or len(written) < len(self._once(result, _UPDATED))
        return written if is_smaller else b""

    def _told(self, result: Result) -> bytes:
        """The journal, and the log lines if there are any."""
        journal = self._journal(result)
        return self._notation.separator.join((journal, self._log_lines(result))) if result.log_lines else journal

    def _journal(self, result: Result) -> bytes:
        return self._notation.null if result.journal is None else self._notation.text(result.journal)

    def _log_lines(self, result: Result) -> bytes:
        return array(self._notation, *map(self._notation.text, result.log_lines))

    def _write_head(self, kind: int, length: int) -> bytes:
        """Up to the query's id."""
        return self._notation.open_array(length) + self._notation.number(kind) + self._notation.separator

    def _write_version(self, query_set: int, identity: int, ts: Timestamp) -> bytes:
        """With what follows it. Kept: many sessions are brought from one version to another one."""
        write = self._notation
        return array(write, write.number(query_set), write.number(identity), write.ts(ts)) + write.separator

    # --- everything else -----------------------------------------------------------------------------------------------

    def _write_fields(self, message: CallResponse | AuthError | FatalError | Ping) -> bytes:
        return self._notation.mapping(self._fields(message))

    def _fields(self, message: CallResponse | AuthError | FatalError | Ping) -> dict[str, bytes]:
        """The stock protocol's, by the stock names."""
        write = self._notation
        match message:
            case CallResponse():
                return self._response(message)
            case AuthError(error, base_version, update_attempted):
                detail = {"baseVersion": write.number(base_version), "authUpdateAttempted": write.boolean(update_attempted)}
                return {"type": write.text("AuthError"), "error": write.text(error), **detail}
            case FatalError(error):
                return {"type": write.text("FatalError"), "error": write.text(error)}
            case Ping():
                return {"type": write.text("Ping")}
            case _:
                assert_never(message)

    def _response(self, message: CallResponse) -> dict[str, bytes]:
        write, result = self._notation, message.result
        fields = {
            "type": write.text("MutationResponse" if message.kind == "mutation" else "ActionResponse"),
            "requestId": write.number(message.request_id),
            "success": write.boolean(isinstance(result, Success)),
            "result": self._value(result) if isinstance(result, Success) else write.text(result.message),
            "logLines": self._log_lines(result),
        }
        if message.kind == "mutation":
            fields["ts"] = write.null if message.ts is None else write.ts(message.ts)
        if isinstance(result, Failure) and result.data is not None:
            fields["errorData"] = write.encoded(result.data)
        return fields


# --- edits ---------------------------------------------------------------------------------------------------------


def write_edit(write: Notation, edit: Edit) -> bytes:
    match edit:
        case Replace(value):
            return array(write, write.number(0), write.value(value))
        case Fields(changed, removed):
            fields = write.mapping({name: write_edit(write, change) for name, change in changed.items()})
            names = (array(write, *map(write.text, removed)),) if removed else ()
            return array(write, write.number(1), fields, *names)
        case Elements(operations):
            return array(write, write.number(2), array(write, *[_write_operation(write, item) for item in operations]))
        case Append(suffix):
            return array(write, write.number(3), write.text(suffix))
        case Splice(start, deleted, inserted):
            return array(write, write.number(4), write.number(start), write.number(deleted), write.text(inserted))
        case _:
            assert_never(edit)


def _write_operation(write: Notation, operation: Operation) -> bytes:
    match operation:
        case Update(index, edit):
            return array(write, write.number(0), write.number(index), write_edit(write, edit))
        case Remove(index, count):
            return array(write, write.number(1), write.number(index), write.number(count))
        case Insert(index, values):
            return array(write, write.number(2), write.number(index), write.value(values))
        case Move(origin, target):
            return array(write, write.number(3), write.number(origin), write.number(target))
        case _:
            assert_never(operation)
