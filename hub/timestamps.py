"""Timestamp: the order of commits, as one number.

It is MongoDB's cluster time packed as `seconds << 32 | increment` (below 2^63 until 2038), and the `ts` of the sync
protocol: 8 bytes little-endian in standard base64, 12 characters.
"""

from __future__ import annotations

import base64
import binascii
import struct
from functools import lru_cache
from typing import NewType

from hub.errors import BadRequest

Timestamp = NewType("Timestamp", int)

ZERO = Timestamp(0)


def pack(seconds: int, increment: int) -> Timestamp:
    return Timestamp(seconds << 32 | increment)


def unpack(ts: Timestamp) -> tuple[int, int]:
    """(seconds, increment), the two halves of a BSON timestamp."""
    return ts >> 32, ts & 0xFFFFFFFF


@lru_cache(maxsize=64)
def encode(ts: Timestamp) -> str:
    """All deliveries of a round write the same few."""
    return base64.b64encode(struct.pack("<Q", ts)).decode("ascii")


def decode(text: object) -> Timestamp:
    """Raises BadRequest unless `text` is the base64 of exactly 8 bytes."""
    if isinstance(text, str) and len(text) == 12:
        try:
            return Timestamp(struct.unpack("<Q", base64.b64decode(text, validate=True))[0])
        except (binascii.Error, struct.error, ValueError):
            pass
    raise BadRequest("a timestamp must be 8 bytes in base64 (12 characters), as the hub sends it in `ts`")
