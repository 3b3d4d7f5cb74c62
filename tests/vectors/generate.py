"""The test vectors of the wire format, `tests/vectors/wire/*.json`: what every implementation of it must agree on.

`python -m tests.vectors.generate` writes them anew; a test tells when they are not what the hub writes. Values stand in them in the
stock protocol's JSON encoding, bytes of MessagePack in hex. `docs/wire-format.md` says what each file is for.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from pathlib import Path
from typing import Any

from hub.core.diff import diff
from hub.core.edits import Append, Edit, Elements, Fields, Insert, Move, Remove, Replace, Splice, Update, patch
from hub.protocol import json_values, msgpack_values
from hub.protocol.codec import write_message
from hub.protocol.content import Content
from hub.protocol.formats import JSON, MSGPACK
from hub.protocol.messages import (
    AuthError,
    CallResponse,
    Failure,
    FatalError,
    Ping,
    QueryChanged,
    QueryId,
    QueryRemoved,
    RequestId,
    Resumed,
    ServerMessage,
    Success,
    Transition,
    Version,
)
from hub.protocol.native import write_edit
from hub.protocol.notations import JsonNotation, MsgpackNotation
from hub.timestamps import Timestamp
from hub.values import Int64, Value
from tests.native_client import MSGPACK as MSGPACK_CLIENT

FOLDER = Path(__file__).parent / "wire"
WAVE = "\N{WAVING HAND SIGN}"
FAMILY = "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}"


def stock(value: Value) -> Any:
    return json.loads(json_values.encode(value))


# --- values --------------------------------------------------------------------------------------------------------

VALUES: dict[str, Value] = {
    "null": None,
    "true": True,
    "false": False,
    "zero": 0,
    "minus zero": -0.0,
    "one": 1,
    "minus one": -1,
    "127": 127,
    "128": 128,
    "minus 33": -33,
    "2^31": 2**31,
    "2^53": 2**53,
    "minus 2^53": -(2**53),
    "a whole float64": 3.0,
    "a half": 0.5,
    "a tenth": 0.1,
    "the greatest float64": 1.7976931348623157e308,
    "the least float64": 5e-324,
    "NaN": math.nan,
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "int64 zero": Int64(0),
    "int64 one": Int64(1),
    "int64 minus one": Int64(-1),
    "the greatest int64": Int64(2**63 - 1),
    "the least int64": Int64(-(2**63)),
    "an empty string": "",
    "ASCII": "hello",
    "31 bytes": "x" * 31,
    "32 bytes": "x" * 32,
    "256 bytes": "x" * 256,
    "beyond ASCII": "héllo, wörld",
    "the last before surrogates": "\ud7ff\ue000",
    "an emoji": WAVE,
    "a family of emoji": FAMILY,
    "control characters": "a\u0000b\n\u007f\u2028",
    "empty bytes": b"",
    "bytes": bytes(range(8)),
    "256 bytes of bytes": bytes(256),
    "an empty list": [],
    "a list": [1, "two", None, [True]],
    "16 elements": list(range(16)),
    "an empty object": {},
    "an object out of order": {"b": 1, "a": 2, "B": 3, "_id": "x", "a1": 4},
    "16 fields": {f"f{n:02}": n for n in range(16)},
    "a tag's name as a text": {"x": "$integer"},
    "a message": {"_creationTime": 1795423449702.25, "_id": "m1", "author": None, "seq": Int64(7), "text": f"hi {WAVE}"},
    "nested": {"page": [{"_id": "m1", "parts": [{"n": -0.0}, {"n": math.nan}]}], "isDone": False, "continueCursor": "c"},
}

# Other bytes for the same value, which a reader takes as well.
ALSO: dict[str, list[bytes]] = {
    "one": [b"\xcc\x01", b"\xcd\x00\x01", b"\xd0\x01", b"\xd3" + struct.pack(">q", 1), b"\xcb" + struct.pack(">d", 1)],
    "minus one": [b"\xd0\xff", b"\xd3" + struct.pack(">q", -1), b"\xcb" + struct.pack(">d", -1)],
    "a whole float64": [b"\x03", b"\xca" + struct.pack(">f", 3)],
    "2^53": [b"\xcb" + struct.pack(">d", 2**53)],
    "int64 one": [b"\xc7\x08\x01" + struct.pack(">q", 1)],
    "ASCII": [b"\xd9\x05hello", b"\xda\x00\x05hello"],
    "an empty list": [b"\xdc\x00\x00"],
    "an empty object": [b"\xde\x00\x00"],
}


def values() -> Any:
    return [
        {
            "name": name,
            "value": stock(value),
            "msgpack": msgpack_values.encode(value).hex(),
            **({"also": [packed.hex() for packed in ALSO[name]]} if name in ALSO else {}),
            "canonical": msgpack_values.canonical(value).hex(),
            "digest": msgpack_values.digest(value).hex(),
        }
        for name, value in VALUES.items()
    ]


# --- edits ---------------------------------------------------------------------------------------------------------


def row(number: int, **fields: Value) -> dict[str, Value]:
    return {"_id": f"m{number}", "text": f"message {number}, of some length", **fields}


ROWS: list[Value] = [row(n) for n in range(5)]
FACE = "\U0001f600" * 20

# What the hub makes of two values.
FOUND: dict[str, tuple[Value, Value]] = {
    "another number": (1, 2),
    "a number becomes an int64": (1, Int64(1)),
    "zero becomes minus zero": (0, -0.0),
    "a text grows": ("a reply that", "a reply that grows"),
    "a text grows by an emoji": ("a reply ", f"a reply {WAVE}"),
    "a text grows behind an emoji": (f"a reply {WAVE}", f"a reply {WAVE}!"),
    "a text is cut": ("a reply that is too long, by far", "a reply that is too long"),
    "a word in a text": ("one word in a longer text", "one emoji in a longer text"),
    "an offset behind emoji": (f"{FACE}one{FACE}", f"{FACE}two{FACE}"),
    "an emoji becomes another of the same high surrogate": (f"0123456789{WAVE}9876543210", "0123456789\U0001f44c9876543210"),
    "an emoji becomes another of the same low surrogate": (f"0123456789{WAVE}9876543210", "0123456789\U0001f04b9876543210"),
    "a family is joined": ("a family: \N{MAN}\u200d\N{WOMAN}, yes", f"a family: {FAMILY}, yes"),
    "a field changes": ({"a": 1, "b": [2]}, {"a": 3, "b": [2]}),
    "a field comes and one goes": ({"a": 1, "b": 2}, {"a": 1, "c": 3}),
    "a field of a field": ({"a": {"b": {"c": 1, "d": 2}}}, {"a": {"b": {"c": 1, "d": 4}}}),
    "an element comes last": ([1, 2], [1, 2, 3]),
    "an element comes first": ([1, 2], [0, 1, 2]),
    "an element goes": ([1, 2, 3], [1, 3]),
    "an element changes": ([1, 2, 3], [1, -2, 3]),
    "a list in a list": ([[1], [2]], [[1], [2, 3]]),
    "a row's text grows": (ROWS, [*ROWS[:4], row(4, text="message 4, of some length and more")]),
    "a row comes and one goes": (ROWS, [row(9), *ROWS[:4]]),
    "a row goes to the top": (ROWS, [ROWS[3], *ROWS[:3], ROWS[4]]),
    "rows change places": (ROWS, [ROWS[4], ROWS[1], ROWS[2], ROWS[0], ROWS[3]]),
    "everything at once": (ROWS, [row(8), ROWS[3], row(7), row(1, read=True), ROWS[0]]),
    "ids that are not unique": ([row(1), row(1)], [row(1), row(2)]),
    "a page": ({"page": ROWS, "isDone": False}, {"page": [*ROWS, row(5)], "isDone": True}),
}

# Others that are edits all the same: the hub may come to make them.
WRITTEN: dict[str, tuple[Value, Edit]] = {
    "the whole value": ([1], Replace({"a": Int64(1)})),
    "no field": ({"a": 1}, Fields({})),
    "no operation": ([1], Elements(())),
    "an empty suffix": ("a", Append("")),
    "all of a text": ("abc", Splice(0, 3, "x")),
    "at the end of a text": ("abc", Splice(3, 0, "d")),
    "one operation after the other": (
        [0, 1, 2, 3],
        Elements((Remove(1, 2), Insert(1, [7, 8]), Move(0, 3), Update(0, Replace("first")), Insert(4, ["last"]))),
    ),
    "moved to where it is": ([0, 1], Elements((Move(1, 1),))),
    "moved to the end": ([0, 1, 2], Elements((Move(0, 2),))),
    "an element that is edited twice": (["a"], Elements((Update(0, Append("b")), Update(0, Append("c"))))),
    "a field named like one of Object's": ({"toString": "a"}, Fields({"toString": Append("b"), "constructor": Replace(1)})),
}

# Edits of another value than this: a client that meets one has lost something, closes its socket and connects anew.
REFUSED: dict[str, tuple[Value, Edit]] = {
    "a suffix of a number": (1, Append("a")),
    "a splice beyond the end": ("abc", Splice(2, 2, "")),
    "a splice inside of an emoji": (WAVE, Splice(1, 0, "x")),
    "a splice that leaves half of an emoji": (WAVE, Splice(0, 1, "")),
    "fields of a list": ([], Fields({"a": Replace(1)})),
    "elements of an object": ({}, Elements((Insert(0, [1]),))),
    "an edit of a field that is not there": ({}, Fields({"a": Append("b")})),
    "a field goes that is not there": ({}, Fields({}, ("a",))),
    "an element beyond the end": ([1], Elements((Update(1, Replace(2)),))),
    "more elements go than there are": ([1], Elements((Remove(0, 2),))),
    "an element comes behind the end": ([1], Elements((Insert(2, [2]),))),
    "moved beyond the end": ([1, 2], Elements((Move(0, 2),))),
}


def edits() -> Any:
    found: list[tuple[str, Value, Edit]] = []
    for name, (old, new) in FOUND.items():
        edit = diff(old, new)
        assert edit is not None
        found.append((name, old, edit))
    made = [*found, *((name, old, edit) for name, (old, edit) in WRITTEN.items())]
    return {
        "edits": [{"name": name, "old": stock(old), **both(edit), "new": stock(patch(old, edit))} for name, old, edit in made],
        "refused": [{"name": name, "old": stock(old), **both(edit)} for name, (old, edit) in REFUSED.items()],
    }


def both(edit: Edit) -> dict[str, Any]:
    packed = write_edit(MsgpackNotation(), edit)
    return {"edit": json.loads(write_edit(JsonNotation(), edit)), "msgpack": packed.hex()}


# --- messages ------------------------------------------------------------------------------------------------------


def sent(message: ServerMessage) -> dict[str, Any]:
    """In all three formats. What an edit leads to is in the stock one, which has whole values."""
    in_json = json.loads(JSON.write(message).payload)
    return {"msgpack": MSGPACK.write(message).payload.hex(), "json": in_json, "stock": json.loads(write_message(message).payload)}


def server_messages() -> Any:
    error = Failure("boom", "ApplicationError", data=json_values.encode({"n": Int64(1)}), log_lines=("[LOG] 'a'",))
    answer = Success(json_values.encode({"id": "m1", "n": Int64(5)}))
    named: dict[str, ServerMessage] = {
        "a mutation succeeded": CallResponse("mutation", RequestId(2), answer, Timestamp(1795423449 << 32 | 7)),
        "a mutation failed": CallResponse("mutation", RequestId(3), Failure("boom", "FunctionCrashed")),
        "a mutation failed with data": CallResponse("mutation", RequestId(4), error),
        "an action failed": CallResponse("action", RequestId(300), Failure("no actions", "FunctionNotFound")),
        "a token was refused": AuthError("InvalidAuthHeader: no", 1, update_attempted=True),
        "the client is broken": FatalError("not MessagePack"),
        "nothing happened": Ping(),
    }
    return [{"name": name, **sent(message)} for name, message in named.items()]


def client_messages() -> Any:
    args: dict[str, Value] = {"chatId": "c1", "n": Int64(5), "raw": b"ab", "zero": -0.0, "limit": 20}
    digest = msgpack_values.digest([row(1)])
    add = {"type": "Add", "queryId": 0, "udfPath": "messages:list", "args": [stock(args)], "journal": None}
    held = {"held": [base64.b64encode(digest).decode()]}
    connect = {"type": "Connect", "sessionId": "c6c64edc-cf2f-44d8-a64d-277b64a979ce", "connectionCount": 1}
    named: dict[str, dict[str, Any]] = {
        "Connect": {**connect, "lastCloseReason": "InactiveServer", "maxObservedTimestamp": "AJaDQCqg6hg=", "clientTs": 0},
        "an empty query set": {"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1, "modifications": []},
        "a query": {"type": "ModifyQuerySet", "baseVersion": 1, "newVersion": 2, "modifications": [add]},
        "a query that is held": {"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1, "modifications": [{**add, **held}]},
        "a query goes": {
            "type": "ModifyQuerySet",
            "baseVersion": 2,
            "newVersion": 3,
            "modifications": [{"type": "Remove", "queryId": 0}],
        },
        "a mutation": {"type": "Mutation", "requestId": 0, "udfPath": "messages:send", "args": [stock(args)]},
        "a token": {"type": "Authenticate", "baseVersion": 0, "tokenType": "User", "value": "e30.e30.sig"},
        "no token": {"type": "Authenticate", "baseVersion": 1, "tokenType": "None"},
    }
    return [{"name": name, "json": message, "msgpack": MSGPACK_CLIENT.pack(message).hex()} for name, message in named.items()]


def result(value: Value, *log_lines: str, journal: str | None = None) -> Success:
    text = json_values.encode(value)
    return Success(text, log_lines, journal, Content(value, len(text)))


def transitions() -> Any:
    """One session after the other: what is sent to it, and, in the stock format, what it then shows."""
    return [{"name": name, **make()} for name, make in {"a chat": a_chat, "errors": errors, "coming back": coming_back}.items()]


def a_chat() -> Any:
    first = result(ROWS, journal="end 1")
    grown = result([*ROWS[:4], row(4, text=f"message 4, of some length {WAVE}")], journal="end 1")
    logged = result([*ROWS[:4], row(4)], "[LOG] 'a'", journal="end 1")
    cut_anew = result([*ROWS[:4], row(4, read=True)], journal="end 2")
    count = result(1)
    q0, q1 = QueryId(0), QueryId(1)
    return session(
        (1, (QueryChanged(q0, first), QueryChanged(q1, count))),
        (1, ()),
        (1, (QueryChanged(q0, grown, first), QueryChanged(q1, result(2), count))),
        (1, (QueryChanged(q0, logged, grown),)),
        (1, (QueryChanged(q0, cut_anew, logged, tells_journal=True),)),
        (2, (QueryRemoved(q1),)),
    )


def errors() -> Any:
    value, q0 = result(ROWS), QueryId(300)
    plain = Failure("boom", "FunctionCrashed")
    with_data = Failure("no such chat", "ApplicationError", data=json_values.encode({"n": Int64(1)}), log_lines=("[LOG] 1",))
    later = result([*ROWS, row(5)])
    return session(
        (1, (QueryChanged(q0, value),)),
        (1, (QueryChanged(q0, plain, value),)),
        (1, (QueryChanged(q0, with_data, value),)),
        (1, (QueryChanged(q0, value, value),)),
        (1, (QueryChanged(q0, plain, value),)),
        (1, (QueryChanged(q0, later, value),)),
    )


def coming_back() -> Any:
    held: list[Value] = [ROWS, ROWS[:3], {"a": 1}]
    unchanged, grown, other = result(ROWS), result([*ROWS[:3], row(9)]), result("something else")
    of = [Resumed(index, Content(value, 0)) for index, value in enumerate(held)]
    first = (
        QueryChanged(QueryId(0), unchanged, resumed=of[0]),
        QueryChanged(QueryId(1), grown, resumed=of[1]),
        QueryChanged(QueryId(2), other, resumed=of[2]),
    )
    then = (QueryChanged(QueryId(0), grown, unchanged),)
    return {"held": [stock(value) for value in held], **session((1, first), (1, then))}


def session(*steps: tuple[int, tuple[QueryChanged | QueryRemoved, ...]]) -> dict[str, Any]:
    frames, start, seconds = [], Version(), 1795423449
    for number, (query_set, modifications) in enumerate(steps):
        end = Version(query_set, 0, Timestamp(seconds + number << 32 | 1))
        frames.append(sent(Transition(start, end, modifications)))
        start = end
    return {"frames": frames}


# --- files ---------------------------------------------------------------------------------------------------------


def files() -> dict[str, str]:
    made = {
        "values.json": values(),
        "edits.json": edits(),
        "server-messages.json": server_messages(),
        "client-messages.json": client_messages(),
        "transitions.json": transitions(),
    }
    return {name: json.dumps(content, indent=1, ensure_ascii=True) + "\n" for name, content in made.items()}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in files().items():
        (FOLDER / name).write_text(text)
