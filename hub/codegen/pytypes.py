"""Types as Python spells them, as values are in `hub.client`: what JSON and its tags become, not what the functions have.

Of the types in `hub.codegen.typenodes`, which `hub.codegen.python` has translated in these terms. Numbers come as `float`, so
that is what a result has; an argument that must be whole is an `int`. A tuple is a list on the wire.
"""

from __future__ import annotations

import builtins
import datetime as dt
import json
import types
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, assert_never

from hub.codegen.translate import Terms
from hub.codegen.typenodes import (
    BIGINT,
    BOOLEAN,
    BYTES,
    NULL,
    NUMBER,
    STRING,
    Builtin,
    Direction,
    Imported,
    Object,
    Plain,
    Shape,
    Tuple,
    Type,
    Union,
    union,
)
from hub.values import Int64, ObjectId

_INTEGER: Final = Plain("int")
_SCALARS: Final = (
    (bool, BOOLEAN),
    (Int64, BIGINT),
    (int, _INTEGER),
    (float, NUMBER),
    (str, STRING),
    (bytes, BYTES),
    (dt.datetime, NUMBER),
    (ObjectId, STRING),
    (types.NoneType, NULL),
)


def _number(value: int, direction: Direction) -> Type:
    if isinstance(value, Int64):
        return BIGINT
    return NUMBER if direction == "out" else Plain(str(int(value)))


PYTHON: Final = Terms(
    {"in": _SCALARS, "out": tuple((cls, NUMBER if made is _INTEGER else made) for cls, made in _SCALARS)}, _number
)

_NAMES: Final = {
    "int": "int",
    "number": "float",
    "string": "str",
    "boolean": "bool",
    "ArrayBuffer": "bytes",
    "null": "None",
    "bigint": "Int64",
    "any": "Any",
    "never": "Never",
}
SOURCES: Final = {
    "Any": "typing",
    "Literal": "typing",
    "Never": "typing",
    "NewType": "typing",
    "NotRequired": "typing",
    "TypeAlias": "typing",
    "TypedDict": "typing",
    "Mapping": "collections.abc",
    "Int64": "hub.client",
    "Mutation": "hub.client",
    "Page": "hub.client",
    "PageOptions": "hub.client",
    "Query": "hub.client",
    "UNSET": "hub.client.references",
    "given": "hub.client.references",
}
"""Where a generated module has its names from."""


@dataclass(slots=True)
class PythonSpeller:
    """Writes types down, and notes what the module must import.

    `names` are those of all shapes, `rows` and `ids` those of a table's row and of its id. `shadowed` are builtins that mean a
    function of the application somewhere.
    """

    names: Mapping[Shape, str]
    objects: Mapping[Shape, Object]
    rows: Mapping[str, str]
    ids: Mapping[str, str]
    shadowed: Collection[str] = ()
    used: set[str] = field(default_factory=set)

    def text(self, given: Type, direction: Direction) -> str:
        match given:
            case Plain():
                literal = _literal(given)
                return self.name(_NAMES[given.text]) if literal is None else f"{self.name('Literal')}[{literal}]"
            case Imported():
                return self._imported(given, direction)
            case Builtin(name="Array", args=(item,)):
                return f"{self.name('list')}[{self.text(item, direction)}]"
            case Builtin(name="Partial", args=(record,)):
                return self.text(record, direction)
            case Builtin():  # a Record
                return f"{self.name('dict')}[{', '.join(self.text(arg, direction) for arg in given.args)}]"
            case Union():
                return self._union(given, direction)
            case Tuple():
                return f"{self.name('list')}[{self.text(union(given.items), direction)}]"
            case Shape():
                return self._shape(given, direction)
            case _:
                assert_never(given)

    def name(self, name: str) -> str:
        if name in self.shadowed and hasattr(builtins, name):
            self.used.add("builtins")
            return f"builtins.{name}"
        if name in SOURCES:
            self.used.add(name)
        return name

    def import_lines(self) -> str:
        """Python's own first."""
        own = "import builtins\n" if "builtins" in self.used else ""
        sources = sorted(
            {SOURCES[name] for name in self.used if name in SOURCES}, key=lambda source: (source.startswith("hub"), source)
        )
        lines = [f"from {source} import {', '.join(self._used_from(source))}\n" for source in sources]
        return own + "".join(f"\n{line}" if line.startswith("from hub.client import") else line for line in lines)

    def _used_from(self, source: str) -> list[str]:
        return sorted(name for name in self.used if SOURCES.get(name) == source)

    def _imported(self, given: Imported, direction: Direction) -> str:
        match given:
            case Imported(name="Id", args=(Plain(text=table),)):
                return self.ids[json.loads(table)]
            case Imported(name="Doc", args=(Plain(text=table),)):
                return self.rows[json.loads(table)]
            case Imported(name="PaginationResult", args=(item,)):
                return f"{self.name('Page')}[{self.text(item, direction)}]"
        return self.name("PageOptions")

    def _union(self, given: Union, direction: Direction) -> str:
        """Values that stand for themselves are one `Literal`."""
        literals = [text for member in given.members if isinstance(member, Plain) and (text := _literal(member)) is not None]
        others = [self.text(member, direction) for member in given.members if not _is_literal(member)]
        own = [f"{self.name('Literal')}[{', '.join(literals)}]"] if literals else []
        return " | ".join([*own, *dict.fromkeys(others)])

    def _shape(self, given: Shape, direction: Direction) -> str:
        """An argument that may have other fields is anything that has names: a TypedDict takes none but its own."""
        if "in" in (direction, given.direction) and given in self.objects and self.objects[given].is_open:
            return f"{self.name('Mapping')}[{self.name('str')}, {self.name('Any')}]"
        return self.names[given]


def _literal(given: Plain) -> str | None:
    """The value that a type stands for, as Python writes it; None for a type of many values."""
    if given.text in _NAMES:
        return None
    value = json.loads(given.text)
    return repr(value) if not isinstance(value, str) else json.dumps(value)


def _is_literal(given: Type) -> bool:
    return isinstance(given, Plain) and _literal(given) is not None
