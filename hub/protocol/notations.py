"""Notations: how the structure of the native format becomes bytes: MessagePack, or JSON that people can read.

`hub.protocol.native` says what a message consists of, and takes one of the two. An array is written as what opens it, its items
with a separator between them, and what closes it, so that items which many sessions share are never copied.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Mapping
from typing import Protocol

from hub import timestamps
from hub.errors import BadRequest
from hub.protocol import json_values, msgpack_values
from hub.timestamps import Timestamp
from hub.values import Value

MAX_HELD = 4


class Notation(Protocol):
    is_text: bool
    null: bytes
    separator: bytes
    close_array: bytes

    # --- writing ---

    def open_array(self, length: int) -> bytes: ...

    def mapping(self, fields: Mapping[str, bytes]) -> bytes: ...

    def text(self, plain: str) -> bytes:
        """A message for people may hold anything, also half a character: that is replaced."""
        ...

    def number(self, plain: int) -> bytes: ...

    def boolean(self, plain: bool) -> bytes: ...

    def ts(self, ts: Timestamp) -> bytes: ...

    def value(self, value: Value) -> bytes: ...

    def encoded(self, text: str) -> bytes:
        """A value that is there as JSON text only."""
        ...

    # --- reading ---

    def parse(self, payload: str | bytes) -> object: ...

    def read_value(self, tree: object) -> Value: ...

    def read_ts(self, tree: object) -> Timestamp: ...

    def read_digest(self, tree: object) -> bytes | None:
        """None if it is none."""
        ...


def array(notation: Notation, *items: bytes) -> bytes:
    return notation.open_array(len(items)) + notation.separator.join(items) + notation.close_array


class MsgpackNotation:
    is_text = False
    null = b"\xc0"
    separator = b""
    close_array = b""

    def open_array(self, length: int) -> bytes:
        return msgpack_values.array_header(length)

    def mapping(self, fields: Mapping[str, bytes]) -> bytes:
        return msgpack_values.map_header(len(fields)) + b"".join([self.text(name) + item for name, item in fields.items()])

    def text(self, plain: str) -> bytes:
        return msgpack_values.text(plain if plain.isascii() else plain.encode(errors="replace").decode())

    def number(self, plain: int) -> bytes:
        return msgpack_values.number(plain)

    def boolean(self, plain: bool) -> bytes:
        return b"\xc3" if plain else b"\xc2"

    def ts(self, ts: Timestamp) -> bytes:
        return b"\xc4\x08" + struct.pack("<Q", ts)

    def value(self, value: Value) -> bytes:
        return msgpack_values.encode(value)

    def encoded(self, text: str) -> bytes:
        return msgpack_values.encode(json_values.decode(json_values.parse(text)))

    def parse(self, payload: str | bytes) -> object:
        if isinstance(payload, str):
            raise BadRequest("frames of hub.v1.msgpack are binary, not text")
        return msgpack_values.parse(payload)

    def read_value(self, tree: object) -> Value:
        return msgpack_values.decode(tree)

    def read_ts(self, tree: object) -> Timestamp:
        if isinstance(tree, bytes) and len(tree) == 8:
            return Timestamp(struct.unpack("<Q", tree)[0])
        raise BadRequest("a timestamp must be 8 bytes, as the hub sends it")

    def read_digest(self, tree: object) -> bytes | None:
        return tree if isinstance(tree, bytes) else None


class JsonNotation:
    is_text = True
    null = b"null"
    separator = b","
    close_array = b"]"

    def open_array(self, length: int) -> bytes:
        return b"["

    def mapping(self, fields: Mapping[str, bytes]) -> bytes:
        return b"{" + b",".join([self.text(name) + b":" + item for name, item in fields.items()]) + b"}"

    def text(self, plain: str) -> bytes:
        return json_values.quoted(plain).encode()

    def number(self, plain: int) -> bytes:
        return b"%d" % plain

    def boolean(self, plain: bool) -> bytes:
        return b"true" if plain else b"false"

    def ts(self, ts: Timestamp) -> bytes:
        return f'"{timestamps.encode(ts)}"'.encode()

    def value(self, value: Value) -> bytes:
        return json_values.encode(value).encode()

    def encoded(self, text: str) -> bytes:
        return text.encode()

    def parse(self, payload: str | bytes) -> object:
        if isinstance(payload, bytes):
            raise BadRequest("frames of hub.v1.json are text, not binary")
        return json_values.parse(payload)

    def read_value(self, tree: object) -> Value:
        return json_values.decode(tree)

    def read_ts(self, tree: object) -> Timestamp:
        return timestamps.decode(tree)

    def read_digest(self, tree: object) -> bytes | None:
        try:
            return base64.b64decode(tree, validate=True) if isinstance(tree, str) else None
        except (binascii.Error, ValueError):
            return None


class NativeReading:
    """How `hub.protocol.requests` reads a message that is in a notation."""

    def __init__(self, notation: Notation) -> None:
        self._notation = notation

    def value(self, tree: object) -> Value:
        return self._notation.read_value(tree)

    def timestamp(self, tree: object) -> Timestamp:
        return self._notation.read_ts(tree)

    def digests(self, tree: object) -> tuple[bytes, ...]:
        if tree is None:
            return ()
        if not isinstance(tree, list) or len(tree) > MAX_HELD:
            raise BadRequest(f"`held` must be a list of at most {MAX_HELD} digests")
        digests = [self._notation.read_digest(item) for item in tree]
        read = tuple([digest for digest in digests if digest is not None and len(digest) == msgpack_values.DIGEST_BYTES])
        if len(read) < len(digests):
            raise BadRequest(f"a digest in `held` must be {msgpack_values.DIGEST_BYTES} bytes")
        return read
