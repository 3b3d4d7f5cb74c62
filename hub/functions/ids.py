"""Ids: the typed string that names a row, and the source of new ones.

New ids rise with time and, inside one process, with the order in which they were made, so that ids order rows as they were
inserted and new rows land at one end of every index.
"""

from __future__ import annotations

import math
import os
import struct
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from bson import ObjectId
from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from hub.values import RowId

if TYPE_CHECKING:
    from hub.functions.tables import Table

RowT = TypeVar("RowT", bound="Table")

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base32, lower case: its order is the order of the digits
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_MS_SHIFTS, _REST_SHIFTS = range(40, -1, -10), range(70, -1, -10)
"""Where they are in the two parts of an id, which has 26 digits of 5 bits, made two at a time: 10 for the time, 16 for the rest."""
_COUNTER_BITS = 16
_RANDOM_BITS = 64
_RANDOM_AT_ONCE = 256
"""Numbers that the system is asked for together: 4 µs for each otherwise."""
_NO_ID = "Input should be an id (a string)"
_CREATION_TIME_STEP_MS = 1 / 1024
"""Between two rows of one moment; a float of milliseconds since 1970 still tells them apart."""


class Id(str, Generic[RowT]):
    """The id of a row of one table: a plain string on the wire, a type of its own in Python.

    `Id["User"]` with the class's name in quotes may name a table that is declared later, or in another module.
    """

    __slots__ = ()

    if not TYPE_CHECKING:

        def __class_getitem__(cls, table):  # the checker sees a generic class; pydantic sees which table, still unresolved
            return Annotated[Id, Reference(table)]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        made = core_schema.no_info_plain_validator_function(_to_id)
        return core_schema.union_schema(  # what is one already takes no call of Python
            [core_schema.is_instance_schema(cls), made], mode="left_to_right", custom_error_type="id", custom_error_message=_NO_ID
        )


class Reference:
    """Whose ids a field holds: a table class, or the name of one."""

    __slots__ = ("table",)

    def __init__(self, table: object) -> None:
        self.table = getattr(table, "__forward_arg__", table)

    @property
    def table_name(self) -> str:
        return self.table if isinstance(self.table, str) else getattr(self.table, "__name__", repr(self.table))


def _to_id(value: object) -> Id[Any]:
    if isinstance(value, str):
        return Id(value)
    if isinstance(value, ObjectId):
        return Id(str(value))
    raise PydanticCustomError("id", _NO_ID)


def stored_ids(row_id: str) -> tuple[RowId, ...]:
    """What the id can be in the database: ids that other writers made are ObjectIds, and 24 hex digits in Python."""
    text = str(row_id)
    return (text, ObjectId(text)) if len(text) == 24 and ObjectId.is_valid(text) else (text,)


class IdSource:
    """Makes ids and creation times; one for a process, shared by all runs.

    An id is 48 bits of milliseconds, 16 of a counter inside the millisecond, 64 random ones (two processes never meet).
    """

    def __init__(self) -> None:
        self._ms = -1  # before any moment: the first one writes its digits
        self._ms_digits = ""
        self._counter = 0
        self._creation_time = 0.0
        self._random: list[int] = []

    def new_id(self, now: float) -> str:
        """`now` is in milliseconds since the epoch; time that goes back is held until it has caught up."""
        ms = int(now)
        if ms > self._ms:
            self._begin(ms)
        else:
            self._counter += 1
            if self._counter >> _COUNTER_BITS:
                self._begin(self._ms + 1)
        if not self._random:
            self._random += struct.unpack(f"{_RANDOM_AT_ONCE}Q", os.urandom(_RANDOM_AT_ONCE * _RANDOM_BITS // 8))
        rest = self._counter << _RANDOM_BITS | self._random.pop()
        return self._ms_digits + "".join([_PAIRS[rest >> shift & 1023] for shift in _REST_SHIFTS])

    def _begin(self, ms: int) -> None:
        self._ms, self._counter = ms, 0
        self._ms_digits = "".join([_PAIRS[ms >> shift & 1023] for shift in _MS_SHIFTS])

    def new_object_id(self) -> ObjectId:
        return ObjectId()

    def new_creation_time(self, now: float) -> float:
        """At least `now`, and later than any this source gave before."""
        self._creation_time = max(now, math.floor(self._creation_time * 1024 + 1) * _CREATION_TIME_STEP_MS)
        return self._creation_time
