"""Bounds: an index range as the two index keys between which MongoDB shall read (`min` is included, `max` is not).

Comparison operators would not do: they look at values of the bound's own type only. Called by `hub.mongo.reads`; pure.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import Any, TypeAlias

import bson
from bson import MaxKey, MinKey, ObjectId
from bson.binary import Binary
from bson.datetime_ms import DatetimeMS
from bson.int64 import Int64

from hub.core.ranges import Bound, IndexRange, tuple_key
from hub.errors import BadRequest
from hub.values import Value

Edge: TypeAlias = list[tuple[str, Any]]

_EXACT = 2**53
"""Below it every integer is a float; from here on integers lie between neighbouring floats."""


def edges(wanted: IndexRange) -> tuple[Edge, Edge] | None:
    """`min` and `max` for every field of the index; None if nothing can lie between them (MongoDB refuses to read that).

    A bound that is shorter than the key is filled up with what sorts before or after everything, so that it takes in, or
    leaves out, all positions that begin with it.
    """
    if _is_empty(wanted.lower, wanted.upper):
        return None
    lower, upper = wanted.lower, wanted.upper
    fields = wanted.index.fields
    low = _edge(wanted.prefix + (lower.values if lower else ()), len(fields), after=lower is not None and not lower.inclusive)
    high = _edge(wanted.prefix + (upper.values if upper else ()), len(fields), after=upper is None or upper.inclusive)
    if _encoded(low) == _encoded(high):
        return None
    return list(zip(fields, low, strict=True)), list(zip(fields, high, strict=True))


def _edge(values: tuple[Value, ...], length: int, *, after: bool) -> list[Any]:
    """The place just before, or just after, all positions that begin with `values`."""
    missing = length - len(values)
    if missing:
        return [*values, *([MaxKey() if after else MinKey()] * missing)]
    return [*values[:-1], successor(values[-1])] if after else list(values)


def _encoded(edge: list[Any]) -> bytes:
    try:
        return bson.encode({"": edge})
    except (bson.errors.InvalidDocument, OverflowError, UnicodeEncodeError) as exc:
        raise BadRequest(f"an index cannot be read up to such a value: {exc}") from exc


def _is_empty(lower: Bound | None, upper: Bound | None) -> bool:
    if lower is None or upper is None:
        return False
    common = min(len(lower.values), len(upper.values))
    low, high = tuple_key(lower.values[:common]), tuple_key(upper.values[:common])
    if low != high:
        return low > high
    # Both name the same group of positions; a shorter bound that leaves its group out leaves out the longer one's place too.
    if len(lower.values) < len(upper.values):
        return not lower.inclusive
    if len(lower.values) > len(upper.values):
        return not upper.inclusive
    return not (lower.inclusive and upper.inclusive)


def successor(value: Value) -> Any:
    """The value that comes next in BSON order: nothing that a row can hold lies between (decimals aside)."""
    match value:
        case None:
            return math.nan  # the least of the numbers, which come after null
        case bool():
            return True if value is False else DatetimeMS(-(2**63))
        case float():
            return _after_float(value)
        case int():
            return _after_int(value)
        case str():
            return value + "\x00"
        case bytes():
            return _after_bytes(value)
        case ObjectId():
            number = int.from_bytes(value.binary, "big") + 1
            return ObjectId(number.to_bytes(12, "big")) if number < 2**96 else False
        case dt.datetime() | DatetimeMS():
            return DatetimeMS(int(DatetimeMS(value)) + 1)
        case dict():
            return {**value, "": MinKey()}  # longer by the least there is
    raise BadRequest(f"an index cannot be read up to a value of type {type(value).__name__}")


def _after_float(value: float) -> Any:
    if math.isnan(value):
        return -math.inf
    if value == math.inf:
        return ""  # strings come after numbers
    if _EXACT <= abs(value) < 2**63:
        return Int64(int(value) + 1)
    return math.nextafter(value, math.inf)


def _after_int(value: int) -> Any:
    if abs(value) < _EXACT:
        return math.nextafter(float(value), math.inf)
    return Int64(value + 1) if value < 2**63 - 1 else float(2**63)


def _after_bytes(value: bytes) -> Binary:
    """Binaries are ordered by length, then subtype, then bytes."""
    subtype = value.subtype if isinstance(value, Binary) else 0
    number = int.from_bytes(value, "big") + 1
    if number < 256 ** len(value):
        return Binary(number.to_bytes(len(value), "big"), subtype)
    return Binary(bytes(len(value)), subtype + 1)
