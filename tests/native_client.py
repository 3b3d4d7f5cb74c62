"""NativeClient: a ModelClient on the hub's own wire format, as the JavaScript transport is one under the published client.

What the hub sends is decoded, edits are applied to the values that the client holds, and the model underneath gets the message of
the stock protocol that says the same; so it checks the same promises. What would part the two sides is an assertion here.
"""

from __future__ import annotations

import base64
import json
import struct
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgpack

from hub.core.edits import Append, Edit, Elements, Fields, Insert, Move, Operation, Remove, Replace, Splice, Update, patch
from hub.protocol import json_values, msgpack_values
from hub.values import Int64, Value
from tests.model_client import ModelClient, Watched


class Form(Protocol):
    """One of the two notations, from the client's side."""

    subprotocol: str

    def pack(self, message: dict[str, Any]) -> str | bytes: ...

    def unpack(self, payload: str | bytes) -> Any: ...

    def value(self, tree: Any) -> Value: ...

    def ts(self, tree: Any) -> str:
        """In the stock form."""
        ...


class Msgpack:
    subprotocol = "hub.v1.msgpack"

    def pack(self, message: dict[str, Any]) -> bytes:
        return bytes(msgpack.packb(_natively(message), default=_int64, strict_types=True))

    def unpack(self, payload: str | bytes) -> Any:
        assert isinstance(payload, bytes)
        return msgpack.unpackb(payload)

    def value(self, tree: Any) -> Value:
        return msgpack_values.decode(tree)

    def ts(self, tree: Any) -> str:
        assert len(tree) == 8
        return base64.b64encode(tree).decode()


class Json:
    subprotocol = "hub.v1.json"

    def pack(self, message: dict[str, Any]) -> str:
        return json.dumps(message)

    def unpack(self, payload: str | bytes) -> Any:
        assert isinstance(payload, str)
        return json.loads(payload)

    def value(self, tree: Any) -> Value:
        return json_values.decode(tree)

    def ts(self, tree: Any) -> str:
        assert len(tree) == 12
        return str(tree)


def _int64(value: Any) -> msgpack.ExtType:
    assert isinstance(value, Int64)
    return msgpack.ExtType(1, struct.pack(">q", value))


def _natively(message: dict[str, Any]) -> dict[str, Any]:
    """A client message with its values, timestamp and digests as MessagePack has them."""
    native = dict(message)
    if "args" in native:
        native["args"] = [json_values.decode(args) for args in native["args"]]
    if "maxObservedTimestamp" in native:
        native["maxObservedTimestamp"] = base64.b64decode(native["maxObservedTimestamp"])
    if "held" in native:
        native["held"] = [base64.b64decode(digest) for digest in native["held"]]
    if "modifications" in native:
        native["modifications"] = [_natively(item) for item in native["modifications"]]
    return native


def read_edit(form: Form, tree: Any) -> Edit:
    match tree:
        case [0, value]:
            return Replace(form.value(value))
        case [1, dict() as changed, *rest]:
            assert len(rest) < 2
            return Fields({name: read_edit(form, edit) for name, edit in changed.items()}, tuple(*rest))
        case [2, list() as operations]:
            return Elements(tuple(_read_operation(form, item) for item in operations))
        case [3, str() as suffix]:
            return Append(suffix)
        case [4, int() as start, int() as deleted, str() as inserted]:
            return Splice(start, deleted, inserted)
    raise AssertionError(f"no edit: {tree}")


def _read_operation(form: Form, tree: Any) -> Operation:
    match tree:
        case [0, int() as index, edit]:
            return Update(index, read_edit(form, edit))
        case [1, int() as index, int() as count]:
            return Remove(index, count)
        case [2, int() as index, list() as values]:
            return Insert(index, [form.value(value) for value in values])
        case [3, int() as origin, int() as target]:
            return Move(origin, target)
    raise AssertionError(f"no operation: {tree}")


MSGPACK, JSON = Msgpack(), Json()


@dataclass
class NativeClient(ModelClient):
    """`holds`: the values that edits of this socket lead on from; `kept`: those from before it, which it offers."""

    form: Form = MSGPACK
    holds: dict[int, Value] = field(default_factory=dict)
    kept: dict[int, list[Value]] = field(default_factory=dict)
    kinds: list[int] = field(default_factory=list)
    received_bytes: int = 0

    def connect(self) -> None:
        for query_id, value in self.holds.items():
            self.kept[query_id] = [value, *self.kept.get(query_id, [])][:4]
        self.holds = {}
        super().connect()

    def _add(self, query_id: int, watched: Watched, *, again: bool = False) -> dict[str, Any]:
        add = super()._add(query_id, watched, again=again)
        if again and query_id in self.kept:
            digests = [msgpack_values.digest(value) for value in self.kept[query_id]]
            add["held"] = [base64.b64encode(digest).decode() for digest in digests]
        return add

    @property
    def subprotocol(self) -> str | None:
        return self.form.subprotocol

    def packed(self, message: str) -> str | bytes:
        """A message of the model's, as it goes over the socket."""
        return self.form.pack(json.loads(message))

    def receive_frame(self, payload: str | bytes) -> None:
        self.received_bytes += len(payload)
        self.receive(json.dumps(self.as_stock(payload)))

    def as_stock(self, payload: str | bytes) -> dict[str, Any]:
        """The message of the stock protocol that says the same."""
        message = self.form.unpack(payload)
        if isinstance(message, list):
            kind, start, end, modifications = message
            assert kind == 1
            versions = {"startVersion": self._version(start), "endVersion": self._version(end)}
            return {"type": "Transition", **versions, "modifications": [self._modified(item) for item in modifications]}
        stock = dict(message)
        if message.get("ts") is not None:
            stock["ts"] = self.form.ts(message["ts"])
        if message.get("success"):
            stock["result"] = _stock_value(self.form.value(message["result"]))
        if "errorData" in message:
            stock["errorData"] = _stock_value(self.form.value(message["errorData"]))
        return stock

    def _version(self, version: Any) -> dict[str, Any]:
        query_set, identity, ts = version
        return {"querySet": query_set, "identity": identity, "ts": self.form.ts(ts)}

    def _modified(self, item: list[Any]) -> dict[str, Any]:
        kind, query_id, *rest = item
        self.kinds.append(kind)
        is_known = query_id in self.queries
        match kind, rest:
            case 0, []:
                self.holds.pop(query_id, None)
                return {"type": "QueryRemoved", "queryId": query_id}
            case 1, [value, journal, *logs]:
                return self._updated(query_id, self.form.value(value), journal, logs)
            case 2, [edit, *told]:
                assert not is_known or query_id in self.holds, "an edit of a value that was never sent"
                journal, *logs = told or [self.queries[query_id].journal if is_known else None]
                return self._patched(query_id, self.holds.get(query_id), edit, journal, logs)
            case 3, [message, journal, logs, *data]:
                failed = {"type": "QueryFailed", "queryId": query_id, "errorMessage": message, "journal": journal}
                failed["logLines"] = logs or []
                return {**failed, "errorData": _stock_value(self.form.value(data[0]))} if data else failed
            case 4, [index, edit, journal, *logs]:
                assert query_id not in self.holds, "only a first result is resumed"
                return self._patched(query_id, self.kept[query_id][index] if is_known else None, edit, journal, logs)
        raise AssertionError(f"no modification: {item}")

    def _patched(self, query_id: int, base: Value, edit: Any, journal: Any, logs: list[Any]) -> dict[str, Any]:
        if query_id not in self.queries:
            return {"type": "QueryRemoved", "queryId": query_id}  # removed meanwhile: whatever it says is not shown
        new = base if edit is None else patch(base, read_edit(self.form, edit))
        return self._updated(query_id, new, journal, logs)

    def _updated(self, query_id: int, value: Value, journal: Any, logs: list[Any]) -> dict[str, Any]:
        self.holds[query_id] = value
        shown = {"value": _stock_value(value), "journal": journal, "logLines": logs[0] if logs else []}
        return {"type": "QueryUpdated", "queryId": query_id, **shown}


def _stock_value(value: Value) -> Any:
    return json.loads(json_values.encode(value))
