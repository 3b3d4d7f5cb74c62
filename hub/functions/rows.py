"""Rows between the database and Python: decode what is stored, encode what is to be stored, and say what does not fit.

Rows handed to functions share nothing mutable with what was read, nor with each other: a row that is held in memory is decoded
once, and every run gets a copy of its own. A field that is None is missing in the database.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from typing import Any, TypeVar, cast

import bson
from pydantic import ValidationError

from hub.core.heldrow import HeldRow
from hub.errors import InvalidRow
from hub.functions.forms import RowForm
from hub.functions.growing import GrowingText
from hub.functions.ids import Id, stored_ids
from hub.functions.tables import STORED_FORM, Field, RowState, Table, TableInfo, describe
from hub.functions.wire import MAX_SAFE_INTEGER, is_key
from hub.values import Int64, ObjectId, Row, RowId, Value

RowT = TypeVar("RowT", bound=Table)

_INT64 = 2**63
_IMMUTABLE = frozenset({type(None), bool, int, float, str, bytes, Id, Int64, ObjectId, dt.datetime})
"""Types of values that copies of a row may share."""
_SCALARS = frozenset({type(None), bool, int, float, str, Id})
"""Types of values that pydantic dumps as they are."""


def decode(table: TableInfo, stored: Row) -> Table:
    """The row as an object of its class. Raises InvalidRow, naming table, id and field, if it does not fit."""
    if not isinstance(stored, HeldRow) or not table.is_plain:
        return _decoded(table, stored)
    form = stored.form
    if not isinstance(form, RowForm) or form.table is not table:
        row = _decoded(table, stored)
        values = row.__dict__.values()
        is_flat = _IMMUTABLE.issuperset(map(type, values)) or all(
            type(value) in _IMMUTABLE or isinstance(value, enum.Enum) for value in values
        )
        stored.form = form = RowForm(table, row if is_flat else None)
    return _decoded(table, stored) if form.row is None else cast(Table, form.row)._copy_of_held(form)


def _decoded(table: TableInfo, stored: Row) -> Table:
    values: dict[str, Value] = {}
    for field in table.fields:
        if field.stored in stored:
            value = stored[field.stored]
            values[field.python] = value if type(value) in _SCALARS else _own(value)
    raw_id = cast(RowId, stored["_id"])
    for text in table.growing:
        if stored.get(text.parts):
            values[text.python] = _joined(table, text, stored)
    try:
        row = table.row_type.model_validate(values, by_name=True)
    except ValidationError:
        row = _decode_loosely(table, raw_id, values)
    row._set_state(RowState(str(raw_id), raw_id, _creation_time(table, stored)))
    return row


def encode(table: TableInfo, row: Table) -> dict[str, Value]:
    """The row's fields as they are stored, without `_id` and `_creationTime`. Raises InvalidRow."""
    try:
        if _SCALARS.issuperset(map(type, row.__dict__.values())) and (checks := table.checks_of_plain_values()) is not None:
            checked: dict[str, object] = checks.validate_python(dict(row.__dict__), by_name=True)[0]
            if _SCALARS.issuperset(map(type, checked.values())):
                return _stored_scalars(table, checked)
        made = type(row).model_validate(dict(row.__dict__), by_name=True)  # lists in it may have been changed since
    except ValidationError as error:
        raise InvalidRow(f"{table.name}: {describe(error)}") from None
    dumped = made.model_dump(by_alias=True, exclude_none=True, context=STORED_FORM)
    stored = {name: _encode_field(table, name, value) for name, value in dumped.items()}
    for name in table.indexed:
        if isinstance(stored.get(name), list):
            raise InvalidRow(f"{table.name}.{name}: a list in an indexed field: MongoDB would index each item, in no one place")
    return stored


def _stored_scalars(table: TableInfo, values: Mapping[str, object]) -> dict[str, Value]:
    """One loop, for this is most of what is written: what is stored as it is takes no call."""
    stored: dict[str, Value] = {}
    for field in table.fields:
        value = values[field.python]
        if value is None:
            continue
        name, kind = field.stored, type(value)
        if kind is float:
            stored[name] = value  # type: ignore[assignment]  # mypy does not narrow by `kind`
        elif (kind is str or kind is Id) and name not in table.object_id_fields and value.isascii():  # type: ignore[attr-defined]
            stored[name] = str.__str__(value)
        else:
            stored[name] = _encode_field(table, name, value)
    return stored


def encode_as_read(table: TableInfo, row: Table) -> dict[str, Value]:
    """The same of a row as it was read; of one that is held in memory it is made once, and not to be changed."""
    form = row._row_state().form
    if form is None or form.row is None or form.row.__dict__ != row.__dict__:
        return encode(table, row)
    if form.stored is None:
        form.stored = encode(table, row)
    return form.stored


def encode_key(table: TableInfo, field: Field, value: object) -> Value:
    """A value to look a field up by, as it is stored."""
    return _encode_field(table, field.stored, value)


def size_of(row: Row) -> int:
    """Bytes of the row as BSON."""
    return row.size_bytes if isinstance(row, HeldRow) else len(bson.encode(row))


def _joined(table: TableInfo, text: GrowingText, stored: Row) -> Value:
    try:
        return text.joined(stored)
    except InvalidRow as error:
        raise InvalidRow(f"a row of {table.name} does not fit its table: {error.message}") from None


def _decode_loosely(table: TableInfo, raw_id: RowId, values: Mapping[str, Value]) -> Table:
    """Once more with whole floats as ints: writers in JavaScript store every number as a double."""
    try:
        return table.row_type.model_validate({name: _whole(value) for name, value in values.items()}, by_name=True)
    except ValidationError as error:
        raise InvalidRow(f"a row of {table.name} does not fit its table: {raw_id}: {_by_stored_name(table, error)}") from None


def _by_stored_name(table: TableInfo, error: ValidationError) -> str:
    """The mistake, with the field's name as it is in the database: that is where it must be put right."""
    text = describe(error)
    python, _, rest = text.partition(":")
    field = table.by_dumped_name.get(python) or table.field_named(python)
    return f"{field.stored}:{rest}" if field is not None else text


def _creation_time(table: TableInfo, stored: Row) -> float:
    value = stored.get("_creationTime")
    if type(value) is float:
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, dt.datetime):
        return _aware(value).timestamp() * 1000
    if value is not None:
        raise InvalidRow(f"a row of {table.name} does not fit its table: {stored['_id']!s}: _creationTime is not a number")
    raw_id = stored["_id"]
    return raw_id.generation_time.timestamp() * 1000 if isinstance(raw_id, ObjectId) else 0.0


def _own(value: Value) -> Value:
    """A copy that shares no list or dict with the stored row; moments get their time zone."""
    if isinstance(value, list):
        return [_own(item) for item in value]
    if isinstance(value, dict):
        return {name: _own(item) for name, item in value.items()}
    if isinstance(value, dt.datetime):
        return _aware(value)
    return value


def _whole(value: Value) -> Value:
    if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_SAFE_INTEGER:
        return int(value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    return value


def _aware(moment: dt.datetime) -> dt.datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)


def _encode_field(table: TableInfo, name: str, value: object) -> Value:
    if type(value) is float or type(value) is bool:
        return value
    if (type(value) is str or type(value) is Id) and name not in table.object_id_fields:
        return _encode_text(table, name, value)
    if name in table.object_id_fields:
        if isinstance(value, str):
            return _object_id(table, name, value)
        if isinstance(value, list):
            return [_object_id(table, name, item) if isinstance(item, str) else _encode(table, name, item) for item in value]
    return _encode(table, name, value)


def _object_id(table: TableInfo, name: str, text: str) -> RowId:
    found = stored_ids(text)[-1]
    if not isinstance(found, ObjectId):
        raise InvalidRow(f"{table.name}.{name}: {text!r} is not an id of that table, which are 24 hex digits")
    return found


def _encode(table: TableInfo, name: str, value: object) -> Value:
    match value:
        case None | bool() | ObjectId():
            return value
        case float():
            return float.__float__(value)  # of a subclass too the plain value: it is compared and stored after the run
        case bytes():
            return bytes.__bytes__(value)
        case enum.Enum():
            return _encode(table, name, value.value)
        case int():
            if not -_INT64 <= value < _INT64:
                raise InvalidRow(f"{table.name}.{name}: {value} does not fit 64 bits")
            return Int64(int.__int__(value)) if isinstance(value, Int64) else int.__int__(value)
        case str():
            return _encode_text(table, name, value)
        case dt.datetime():
            moment = _aware(value).astimezone(dt.UTC)
            return moment.replace(microsecond=moment.microsecond // 1000 * 1000)  # the database keeps milliseconds
        case list() | tuple() | set() | frozenset():
            return [_encode(table, name, item) for item in value]
        case Mapping():
            return {_encode_name(table, name, key): _encode(table, name, item) for key, item in value.items()}
    raise InvalidRow(f"{table.name}.{name}: a row cannot hold a {type(value).__name__}")


def _encode_text(table: TableInfo, name: str, value: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidRow(f"{table.name}.{name}: a string with an unpaired surrogate (half a character)") from None
    return str.__str__(value)


def _encode_name(table: TableInfo, name: str, key: Any) -> str:
    plain = str.__str__(key) if isinstance(key, str) else None
    if plain is None or not is_key(plain):
        raise InvalidRow(f"{table.name}.{name}: {key!r} cannot be a key: keys are printable ASCII and do not start with $")
    return plain
