"""What a row may hold: the types, MongoDB's order among them, and a form of each that can be a dictionary key.

Wire encoding is `hub.protocol.codec`'s; names on the wire are `hub.functions.tables`'.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any, Final, TypeAlias, Union

import bson.timestamp
from bson import Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex
from bson.datetime_ms import DatetimeMS

__all__ = ["TEXT_RANK", "Int64", "ObjectId", "Row", "RowId", "SortKey", "Value", "id_of", "sort_key"]

Value: TypeAlias = Union[bool, int, float, str, bytes, Int64, ObjectId, dt.datetime, "list[Value]", "dict[str, Value]", None]
Row: TypeAlias = Mapping[str, Value]
RowId: TypeAlias = Union[str, ObjectId]
SortKey: TypeAlias = tuple[Any, ...]
"""Orders as MongoDB's indexes do, is hashable, and is equal exactly where MongoDB's equality is (1 and 1.0, not True and 1)."""
TEXT_RANK: Final = 3
"""Begins the key of a text."""


def id_of(row: Row) -> RowId:
    return row["_id"]  # type: ignore[return-value]  # every stored row has one, of these types


def sort_key(value: Value) -> SortKey:
    """The value's place in BSON comparison order; a missing field is None.

    Source: MongoDB manual, "Comparison/Sort Order": null, numbers (NaN first), strings by UTF-8 bytes, objects, arrays,
    binary (length, then bytes), ObjectId, booleans, dates. Others' rows may hold BSON's remaining types, so these have a place too.
    """
    if type(value) is str or (isinstance(value, str) and not isinstance(value, Code)):
        return (TEXT_RANK, value)  # Python compares code points, which is the order of UTF-8 bytes
    if value is None:
        return (1,)
    if isinstance(value, bool):
        return (8, value)
    if isinstance(value, (int, float)):
        return _NAN if value != value else (2, 1, value)
    if isinstance(value, ObjectId):
        return (7, value.binary)
    if isinstance(value, dt.datetime):
        return (9, _milliseconds(value))
    if isinstance(value, dict):
        return (4, tuple(_field_key(name, item) for name, item in value.items()))
    if isinstance(value, list):
        return (5, tuple(sort_key(item) for item in value))
    if isinstance(value, bytes):
        return (6, len(value), getattr(value, "subtype", 0), bytes(value))
    return _foreign_key(value)


_NAN: SortKey = (2, 0, 0)
_REGEX_FLAGS = ((re.I, "i"), (re.L, "l"), (re.M, "m"), (re.S, "s"), (re.U, "u"), (re.X, "x"))
"""As they are stored: letters in alphabetical order."""


def _field_key(name: str, item: Value) -> tuple[int, str, SortKey]:
    """Inside objects MongoDB compares a field's type before its name, and its name before its value."""
    key = sort_key(item)
    return (key[0], name, key)


def _foreign_key(value: object) -> SortKey:
    """Types that no declared table has and another writer's row may: a change to it must not stop the feed."""
    match value:
        case Decimal128():
            number = value.to_decimal()
            return _NAN if number.is_nan() else (2, 1, number)
        case DatetimeMS():  # a date that Python's datetime cannot hold
            return (9, int(value))
        case bson.timestamp.Timestamp():
            return (10, value.time, value.inc)
        case Regex():
            return (11, value.pattern, "".join(letter for flag, letter in _REGEX_FLAGS if value.flags & flag))
        case Code():
            return (13, str(value)) if value.scope is None else (14, str(value), sort_key(dict(value.scope)))
        case DBRef():  # an object, to the database
            return sort_key(dict(value.as_doc()))
        case MinKey():
            return (0,)
        case MaxKey():
            return (127,)
    raise TypeError(f"a row cannot hold a {type(value).__name__}")


def _milliseconds(moment: dt.datetime) -> int:
    """BSON dates have millisecond precision; naive ones are UTC, as the driver reads them."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
    return (aware - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)
