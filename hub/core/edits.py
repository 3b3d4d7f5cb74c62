"""Edits: what leads from one wire value to another, and how one is applied.

`hub.core.diff` finds them, `hub.protocol.native` writes them; whoever reads the wire format in Python applies them with `patch`.
An edit belongs to the value that it was made from: applied to any other it raises ValueError, or gives nonsense.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from hub.values import Value


@dataclass(frozen=True, slots=True)
class Replace:
    """The whole value instead of the one before."""

    value: Value


@dataclass(frozen=True, slots=True)
class Fields:
    """Of an object: edits of fields, a new field as its Replace; then fields that are taken out."""

    changed: Mapping[str, Edit]
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Elements:
    """Of a list: operations one after the other, each on the list as it is by then."""

    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class Append:
    """Of a text: what it grew by."""

    suffix: str


@dataclass(frozen=True, slots=True)
class Splice:
    """Of a text: `deleted` UTF-16 code units from `start` on give way to `inserted`. Never splits a surrogate pair."""

    start: int
    deleted: int
    inserted: str


@dataclass(frozen=True, slots=True)
class Update:
    index: int
    edit: Edit


@dataclass(frozen=True, slots=True)
class Remove:
    index: int
    count: int


@dataclass(frozen=True, slots=True)
class Insert:
    """Before `index`."""

    index: int
    values: list[Value]


@dataclass(frozen=True, slots=True)
class Move:
    """Taken out at `origin`, put in at `target`, which is counted without it."""

    origin: int
    target: int


Operation: TypeAlias = Update | Remove | Insert | Move
Edit: TypeAlias = Replace | Fields | Elements | Append | Splice


def patch(value: Value, edit: Edit | None) -> Value:
    """The edited value; `value` is left as it is, and what the edit does not touch is shared with it. None changes nothing."""
    match edit:
        case None:
            return value
        case Replace(new):
            return new
        case Fields():
            return _patch_object(value, edit)
        case Elements(operations):
            return _patch_list(value, operations)
        case Append(suffix):
            return _text(value) + suffix
        case Splice():
            return _patch_text(_text(value), edit)
        case _:
            assert_never(edit)


def utf16_length(text: str) -> int:
    """In code units, as JavaScript counts."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _patch_object(value: Value, edit: Fields) -> dict[str, Value]:
    if not isinstance(value, dict):
        raise ValueError("an edit of fields needs an object")
    patched = dict(value)
    for name, change in edit.changed.items():
        if name not in patched and not isinstance(change, Replace):
            raise ValueError("an edit of a field that is not there")
        patched[name] = patch(patched.get(name), change)
    for name in edit.removed:
        if patched.pop(name, patched) is patched:
            raise ValueError("an edit removes a field that is not there")
    return patched


def _patch_list(value: Value, operations: tuple[Operation, ...]) -> list[Value]:
    if not isinstance(value, list):
        raise ValueError("an edit of elements needs a list")
    patched = list(value)
    for operation in operations:
        match operation:
            case Update(index, edit):
                _check(0 <= index < len(patched))
                patched[index] = patch(patched[index], edit)
            case Remove(index, count):
                _check(index >= 0 and count >= 0 and index + count <= len(patched))
                del patched[index : index + count]
            case Insert(index, values):
                _check(0 <= index <= len(patched))
                patched[index:index] = values
            case Move(origin, target):
                _check(0 <= origin < len(patched) and 0 <= target < len(patched))
                patched.insert(target, patched.pop(origin))
            case _:
                assert_never(operation)
    return patched


def _patch_text(text: str, edit: Splice) -> str:
    end = edit.start + edit.deleted
    if text.isascii():
        _check(0 <= edit.start <= end <= len(text))
        return text[: edit.start] + edit.inserted + text[end:]
    units = text.encode("utf-16-le")
    _check(0 <= edit.start <= end <= len(units) // 2)
    try:
        return units[: 2 * edit.start].decode("utf-16-le") + edit.inserted + units[2 * end :].decode("utf-16-le")
    except UnicodeDecodeError:
        raise ValueError("an edit splits a surrogate pair") from None


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise ValueError("an edit of a text needs a text")
    return value


def _check(is_inside: bool) -> None:
    if not is_inside:
        raise ValueError("an edit reaches outside of its value")
