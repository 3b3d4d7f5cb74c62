"""Wire values: what may come in as arguments and go out as a result, checked and brought into one form.

A wire value is None, bool, int, float, str, bytes, Int64, or a list or dict of wire values. Who encodes them is
`hub.protocol.codec`.
"""

from __future__ import annotations

import datetime as dt
import enum
import math
from collections.abc import Mapping
from functools import lru_cache

from hub.core.heldrow import SentRow
from hub.errors import ArgumentValidation, FunctionError, HubError, LimitExceeded
from hub.functions.forms import Outgoing
from hub.functions.ids import Id
from hub.functions.limits import Limits
from hub.values import Int64, ObjectId, Value

MAX_SAFE_INTEGER = 2**53
_INT64 = 2**63


def checked_args(args: Mapping[str, Value], limits: Limits, function: str) -> dict[str, Value]:
    """Arguments as decoded, with whole floats as ints: JSON has one number type, and 3 and 3.0 are equal on the wire.

    Raises ArgumentValidation or LimitExceeded.
    """
    walk = _Walk(ArgumentValidation, f"ArgumentValidationError: arguments of {function}", limits.args_bytes, limits.nesting)
    return {name: walk.taken_in(value, 1) for name, value in args.items()}


def to_wire(value: object, limits: Limits, where: str) -> Value:
    """A function's own value in wire form: dates as milliseconds, ids as text.

    All of it is of the wire's exact types: of a subclass that an author made, nothing is left that could run later.
    Raises FunctionError, naming the place, for what the wire cannot carry, and LimitExceeded.
    """
    return _Walk(FunctionError, where, limits.result_bytes, limits.nesting).given_out(value, 0)


class _Walk:
    """One pass over one value that counts its size on the way."""

    def __init__(self, error: type[HubError], where: str, max_bytes: int, max_depth: int) -> None:
        self._error = error
        self._where = where
        self._max_bytes = max_bytes
        self._max_depth = max_depth
        self._bytes_left = max_bytes

    def taken_in(self, value: Value, depth: int) -> Value:
        if depth > self._max_depth:
            self._check_depth(depth)
        kind = type(value)
        if kind is str:  # the frequent types, without a match
            return self._text(value)  # type: ignore[arg-type]  # mypy does not narrow by `kind`
        if kind is dict:
            self._spend(2)
            return {self._text(name): self.taken_in(item, depth + 1) for name, item in value.items()}  # type: ignore[union-attr]
        match value:
            case float():
                self._spend(8)
                is_whole = value.is_integer() and abs(value) <= MAX_SAFE_INTEGER and not _is_negative_zero(value)
                return int(value) if is_whole else value
            case str():
                return self._text(value)
            case bytes():
                self._spend(len(value))
            case list():
                self._spend(2 + len(value))
                return [self.taken_in(item, depth + 1) for item in value]
            case dict():
                self._spend(2)
                return {self._text(name): self.taken_in(item, depth + 1) for name, item in value.items()}
            case _:
                self._spend(8)
        return value

    def given_out(self, value: object, depth: int) -> Value:
        self._check_depth(depth)
        exact = type(value)
        if exact is str:
            return self._text(value)  # type: ignore[arg-type]  # seen a line above
        if exact is float or exact is bool or value is None:
            self._spend(8)
            return value  # type: ignore[return-value]  # likewise; the frequent types come first, without a match
        if exact is Id:
            return self._text(value)  # type: ignore[arg-type]  # likewise
        if exact is dict:
            self._spend(2)
            return {self._key(name): self.given_out(item, depth + 1) for name, item in value.items()}  # type: ignore[attr-defined]
        if isinstance(value, Outgoing):
            return self._row(value, depth)
        match value:
            case enum.Enum():
                return self.given_out(value.value, depth)
            case int():
                self._spend(8)
                return self._integer(value)
            case float():
                self._spend(8)
                return float.__float__(value)
            case str():
                return self._text(value)
            case bytes():
                self._spend(len(value))
                return bytes.__bytes__(value)
            case dt.datetime():
                self._spend(8)
                return to_milliseconds(value)
            case ObjectId():
                self._spend(24)
                return str(value)
            case list() | tuple() | set() | frozenset():
                self._spend(2 + len(value))
                return [self.given_out(item, depth + 1) for item in value]
            case dict() | Mapping():
                self._spend(2)
                return {self._key(name): self.given_out(item, depth + 1) for name, item in value.items()}
        raise self._error(f"{self._where} holds a {type(value).__name__}, which has no form on the wire")

    def _row(self, row: Outgoing, depth: int) -> Value:
        """A row that is held in memory: walked the first time it goes out."""
        sent = row.form.sent
        if sent is None:
            left = self._bytes_left
            walked = self.given_out(row.dumped, depth)
            assert isinstance(walked, dict)
            sent = row.form.sent = SentRow(walked, left - self._bytes_left)
        else:
            self._check_depth(depth + 1)  # its fields: it has nothing that is nested deeper
            self._spend(sent.size_bytes)
        return sent

    def _integer(self, value: int) -> Value:
        if isinstance(value, Int64):
            if not -_INT64 <= value < _INT64:
                raise self._error(f"{self._where} holds {int(value)}, which does not fit 64 bits")
            return Int64(int.__int__(value))
        if abs(value) > MAX_SAFE_INTEGER:
            raise self._error(
                f"{self._where} holds the int {value}: JavaScript's numbers are exact up to 2^53 only; "
                "declare it hub.Int64 (a bigint there) or send a string"
            )
        return int.__int__(value)

    def _text(self, value: str) -> str:
        if value.isascii():
            self._bytes_left -= len(value) + 2
        else:
            try:
                self._bytes_left -= len(value.encode())
            except UnicodeEncodeError:
                raise self._error(f"{self._where} holds a string with an unpaired surrogate (half a character)") from None
        if self._bytes_left < 0:
            self._spend(0)
        return str.__str__(value)  # an Id becomes a plain string

    def _key(self, name: object) -> str:
        """Clients refuse other keys in the middle of a transition and are then stuck for ever."""
        key = str.__str__(name) if isinstance(name, str) else None
        if key is None or not is_key(key):
            raise self._error(
                f"{self._where} holds an object with the key {name!r}: "
                "keys are printable ASCII, at most 1024 characters, and do not start with $"
            )
        self._spend(len(key) + 4)
        return key

    def _check_depth(self, depth: int) -> None:
        if depth > self._max_depth:
            raise LimitExceeded(f"{self._where} is nested deeper than {self._max_depth} levels")

    def _spend(self, size: int) -> None:
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise LimitExceeded(f"{self._where} is larger than {self._max_bytes} bytes")


@lru_cache(maxsize=4096)
def is_key(name: str) -> bool:
    """Whether clients take it for the key of an object; what a row cannot be sent with, it is not stored with either."""
    return name.isascii() and name.isprintable() and len(name) <= 1024 and not name.startswith("$")


def to_milliseconds(moment: dt.datetime) -> float:
    """Milliseconds since 1970; a moment without a time zone is UTC, as the database has it."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
    return aware.timestamp() * 1000


def _is_negative_zero(value: float) -> bool:
    return value == 0 and math.copysign(1, value) < 0
