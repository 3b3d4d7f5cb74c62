"""The MessagePack form of values: what the native wire format carries, and the canonical bytes that digests are made of.

`encode` is given what `json_values.encode` has accepted or `decode` has returned, so it does not look for mistakes again. `decode`
undoes it with the same strictness as the JSON form's; an `int` comes back as the equal `float`: a plain number is a float64.

An Int64 is extension type 1, 8 bytes big-endian; everything else is MessagePack's own.
"""

from __future__ import annotations

import hashlib
import math
import struct
from typing import Any

import msgpack

from hub.core.heldrow import SentRow
from hub.errors import BadRequest
from hub.protocol.value_rules import MAX_EXACT_INT, MAX_NESTING, Problem, read_list, read_object, refuse_unpaired_surrogates
from hub.values import Int64, Value

INT64 = 1
DIGEST_BYTES = 32

_headers = msgpack.Packer()
"""Packs a header or a plain text or number in one go: nothing else can come in between, in no thread."""


# --- values to bytes -----------------------------------------------------------------------------------------------


def encode(value: Value) -> bytes:
    """Rows are looked for in a list, and in the lists of an object (a page): an unchanged one is not encoded again."""
    kind = type(value)
    if kind is list:
        return array_header(len(value)) + b"".join(map(_encode_element, value))  # type: ignore[arg-type]  # `kind` tells
    if kind is dict:
        return map_header(len(value)) + b"".join([text(name) + _encode_field(item) for name, item in value.items()])  # type: ignore[arg-type, union-attr]
    return _encode_element(value)


def _encode_field(value: Value) -> bytes:
    return encode(value) if type(value) is list else _encode_element(value)


def _encode_element(value: Value) -> bytes:
    if isinstance(value, SentRow):
        value.packed = value.packed or _pack(dict(value))
        return value.packed
    return _pack(value)


def array_header(length: int) -> bytes:
    header: bytes = _headers.pack_array_header(length)
    return header


def map_header(length: int) -> bytes:
    header: bytes = _headers.pack_map_header(length)
    return header


def text(plain: str) -> bytes:
    packed: bytes = _headers.pack(plain)
    return packed


def number(plain: int) -> bytes:
    packed: bytes = _headers.pack(plain)
    return packed


def _pack(value: object) -> bytes:
    packed: bytes = msgpack.packb(value, default=_plain, strict_types=True)
    return packed


def _plain(value: object) -> object:
    """What the packer does not know: an Int64, and subclasses of what it knows (rows in memory, enumerations)."""
    match value:
        case Int64():
            return msgpack.ExtType(INT64, struct.pack(">q", value))
        case dict():
            return dict(value)
        case list():
            return list(value)
        case str():
            return str.__str__(value)
        case bytes():
            return bytes.__bytes__(value)
        case int():
            return int.__int__(value)
        case float():
            return float.__float__(value)
    raise TypeError(f"a {type(value).__name__} cannot go over the wire")


# --- canonical bytes -----------------------------------------------------------------------------------------------


def canonical(value: Value) -> bytes:
    """One row of bytes for values that are the same on the wire, in every language: numbers as float64, keys sorted."""
    return _pack(_canonical(value))


def digest(value: Value) -> bytes:
    return hashlib.sha256(canonical(value)).digest()


def _canonical(value: Value) -> object:
    if isinstance(value, dict):
        return {name: _canonical(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, (bool, Int64)) or not isinstance(value, (int, float)):
        return value
    return math.nan if value != value else float(value)


# --- bytes to values -----------------------------------------------------------------------------------------------


def parse(packed: bytes) -> Any:
    """MessagePack to Python's tree. Raises BadRequest for whatever is wrong with it.

    What a header announces must fit in the bytes that follow, so no short frame makes a long list. Half a character is let
    through: in arguments it is the fault of one call, and `decode` finds it there.
    """
    try:
        return msgpack.unpackb(packed, unicode_errors="surrogatepass")
    except msgpack.StackError:
        raise BadRequest("the MessagePack is nested too deeply") from None
    except ValueError as error:
        raise BadRequest(f"not MessagePack: {type(error).__name__}") from None


def decode(tree: object, *, max_nesting: int = MAX_NESTING) -> Value:
    """The value that an unpacked tree stands for. Raises BadRequest, naming the place."""
    try:
        return _read(tree, max_nesting)
    except Problem as problem:
        raise BadRequest(str(problem)) from None


def _read(tree: object, room: int) -> Value:
    if tree is None or tree is True or tree is False or isinstance(tree, (float, bytes)):
        return tree
    if isinstance(tree, str):
        if not tree.isascii():
            refuse_unpaired_surrogates(tree)
        return tree
    if isinstance(tree, int):
        if not -MAX_EXACT_INT <= tree <= MAX_EXACT_INT:
            raise Problem("the integer is beyond ±2^53, where numbers are no longer exact; an int64 is extension type 1")
        return float(tree)
    if isinstance(tree, dict):
        return read_object(tree, room, _read)
    if isinstance(tree, list):
        return read_list(tree, room, _read)
    if isinstance(tree, msgpack.ExtType) and tree.code == INT64 and len(tree.data) == 8:
        return Int64(struct.unpack(">q", tree.data)[0])
    raise Problem("the only extension type is 1, an int64 of 8 bytes")
