"""TypeScript types as values, and their text.

`hub.codegen.translate` makes them of annotations. Objects and enumerations are named, and get their names only when all are known:
until then a type refers to one by its `Shape`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, assert_never

Direction: TypeAlias = Literal["in", "out"]
"""Of an argument, or of a result: an optional field may be null on its way in, and is left out on its way out."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A type that is spelt the same everywhere: `number`, `"asc"`."""

    text: str


@dataclass(frozen=True, slots=True)
class Imported:
    """A type of another file, with its arguments: `Id<"chats">`."""

    name: str
    source: str
    args: tuple[Type, ...] = ()


@dataclass(frozen=True, slots=True)
class Builtin:
    """A type of TypeScript's own, with its arguments: `Array<string>`."""

    name: str
    args: tuple[Type, ...]


@dataclass(frozen=True, slots=True)
class Union:
    members: tuple[Type, ...]


@dataclass(frozen=True, slots=True)
class Tuple:
    items: tuple[Type, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """A class that becomes a named type; `direction` is None where both of its forms are the same."""

    cls: type
    direction: Direction | None


Type: TypeAlias = Plain | Imported | Builtin | Union | Tuple | Shape


@dataclass(frozen=True, slots=True)
class Property:
    """A field of an object, by its name on the wire."""

    name: str
    type: Type
    is_optional: bool = False
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Object:
    """The fields of an object; `is_open`: it may have others."""

    properties: tuple[Property, ...]
    is_open: bool = False


ANY = Plain("any")
NEVER = Plain("never")
NULL = Plain("null")
STRING = Plain("string")
NUMBER = Plain("number")
BIGINT = Plain("bigint")
BOOLEAN = Plain("boolean")
BYTES = Plain("ArrayBuffer")


def array(item: Type) -> Type:
    return Builtin("Array", (item,))


def literal(text: str) -> Type:
    return Plain(json.dumps(text))  # every JSON string is one of TypeScript's


def union(members: Iterable[Type]) -> Type:
    """Without doubles, null last; with `any` among them nothing else counts."""
    flat: dict[Type, None] = {}
    for member in members:
        flat.update(dict.fromkeys(member.members if isinstance(member, Union) else (member,)))
    if ANY in flat:
        return ANY
    if NULL in flat:
        del flat[NULL]
        flat[NULL] = None
    if not flat:
        return NEVER
    return next(iter(flat)) if len(flat) == 1 else Union(tuple(flat))


def without_null(given: Type) -> Type:
    """What is left of the type of a field that is left out when it is null."""
    if isinstance(given, Union):
        return union(member for member in given.members if member != NULL)
    return given


def accepts_null(given: Type) -> bool:
    return given in (ANY, NULL) or (isinstance(given, Union) and NULL in given.members)


def parts(given: Type) -> tuple[Type, ...]:
    """The types that a type directly consists of."""
    match given:
        case Imported() | Builtin():
            return given.args
        case Union():
            return given.members
        case Tuple():
            return given.items
        case Plain() | Shape():
            return ()
        case _:
            assert_never(given)


@dataclass(slots=True)
class Speller:
    """Writes types down in one file, and notes what that file must import. `names` are those of all shapes."""

    names: Mapping[Shape, str]
    own_source: str = ""
    imports: dict[str, set[str]] = field(default_factory=dict)

    def text(self, given: Type) -> str:
        match given:
            case Plain():
                return given.text
            case Imported():
                return self.imported(given.name, given.source) + self._args(given.args)
            case Builtin():
                return given.name + self._args(given.args)
            case Union():
                return " | ".join(map(self.text, given.members))
            case Tuple():
                return f"[{', '.join(map(self.text, given.items))}]"
            case Shape():
                return self.imported(self.names[given], TYPES)
            case _:
                assert_never(given)

    def imported(self, name: str, source: str) -> str:
        if source != self.own_source:
            self.imports.setdefault(source, set()).add(name)
        return name

    def _args(self, args: tuple[Type, ...]) -> str:
        return f"<{', '.join(map(self.text, args))}>" if args else ""


DATA_MODEL = "./dataModel.js"
TYPES = "./types.js"
SERVER = "convex/server"
VALUES = "convex/values"
