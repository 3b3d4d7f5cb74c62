"""What a row may hold: the types, MongoDB's order among them, and a form of each that can be a dictionary key.

Wire encoding is `hub.protocol.codec`'s; names on the wire are `hub.functions.tables`'.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any, TypeAlias, Union

from bson import ObjectId
from bson.int64 import Int64

__all__ = ["Int64", "ObjectId", "Row", "RowId", "SortKey", "Value", "is_present", "sort_key"]

Value: TypeAlias = Union[bool, int, float, str, bytes, Int64, ObjectId, dt.datetime, "list[Value]", "dict[str, Value]", None]
Row: TypeAlias = Mapping[str, Value]
RowId: TypeAlias = Union[str, ObjectId]
SortKey: TypeAlias = tuple[Any, ...]
"""Orders as MongoDB's indexes do, is hashable, and is equal exactly where MongoDB's equality is (1 and 1.0, not True and 1)."""


def is_present(value: Value) -> bool:
    """Whether a `where_present` index has an entry for the value."""
    return value is not None


def sort_key(value: Value) -> SortKey:
    """The value's place in BSON comparison order; a missing field is None.

    Source: MongoDB manual, "Comparison/Sort Order": null, numbers (NaN first), strings by UTF-8 bytes, objects, arrays,
    binary (length, then bytes), ObjectId, booleans, dates.
    """
    if value is None:
        return (1,)
    if isinstance(value, bool):
        return (8, value)
    if isinstance(value, (int, float)):
        return (2, 0, 0) if math.isnan(value) else (2, 1, value)
    if isinstance(value, str):
        return (3, value)  # Python compares code points, which is the order of UTF-8 bytes
    if isinstance(value, dict):
        return (4, tuple((*_type_rank(item), name, sort_key(item)) for name, item in value.items()))
    if isinstance(value, list):
        return (5, tuple(sort_key(item) for item in value))
    if isinstance(value, bytes):
        return (6, len(value), value)
    if isinstance(value, ObjectId):
        return (7, value.binary)
    if isinstance(value, dt.datetime):
        return (9, _milliseconds(value))
    raise TypeError(f"a row cannot hold a {type(value).__name__}")


def _type_rank(value: Value) -> tuple[int]:
    """Inside objects MongoDB compares a field's type before its name."""
    return (sort_key(value)[0],)


def _milliseconds(moment: dt.datetime) -> int:
    """BSON dates have millisecond precision; naive ones are UTC, as the driver reads them."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
    return (aware - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)
