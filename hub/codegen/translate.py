"""Translator: Python annotations to the types that callers see, as the wire makes them.

Numbers, ids and moments are what clients decode, not what Python has: the `Terms` of a language say which. What has no form of its
own there is `any`.
"""

from __future__ import annotations

import collections.abc as abc
import datetime as dt
import enum
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias, get_args, get_origin

from pydantic import PlainSerializer, RootModel, WrapSerializer
from typing_extensions import TypeAliasType

from hub.codegen import fields
from hub.codegen.docs import class_doc
from hub.codegen.typenodes import (
    ANY,
    BIGINT,
    BOOLEAN,
    BYTES,
    DATA_MODEL,
    NULL,
    NUMBER,
    SERVER,
    STRING,
    Builtin,
    Direction,
    Imported,
    Object,
    Plain,
    Property,
    Shape,
    Tuple,
    Type,
    Union,
    accepts_null,
    array,
    literal,
    union,
    without_null,
)
from hub.functions.ids import Reference
from hub.functions.pagination import Page, PageOptions
from hub.functions.tables import Table, TableInfo
from hub.values import Int64, ObjectId

_ALIASES: tuple[Any, ...] = tuple({TypeAliasType, getattr(typing, "TypeAliasType", TypeAliasType)})
Scalars: TypeAlias = tuple[tuple[type, Type], ...]
"""The first that fits counts: a bool is an int, and so is an Int64."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a language calls values: scalars by direction, and the type that has one number alone."""

    scalars: Mapping[Direction, Scalars]
    number: Callable[[int, Direction], Type]


def _typescript_number(value: int, direction: Direction) -> Type:
    return Plain(f"{int(value)}n" if isinstance(value, Int64) else str(int(value)))


_SCALARS: Final[Scalars] = (
    (bool, BOOLEAN),
    (Int64, BIGINT),
    (int, NUMBER),
    (float, NUMBER),
    (str, STRING),
    (bytes, BYTES),
    (dt.datetime, NUMBER),
    (ObjectId, STRING),
    (types.NoneType, NULL),
)
TYPESCRIPT: Final = Terms({"in": _SCALARS, "out": _SCALARS}, _typescript_number)
_MAPPINGS = (dict, abc.Mapping, abc.MutableMapping)
_COLLECTIONS = (list, set, frozenset, abc.Sequence, abc.MutableSequence, abc.Set, abc.MutableSet, abc.Collection, abc.Iterable)


class Translator:
    """Of one application. `objects` and `enums` are what has been referred to so far, and needs a name."""

    def __init__(self, tables: Mapping[str, TableInfo], terms: Terms = TYPESCRIPT) -> None:
        self._terms = terms
        self._table_names = {info.class_name: info.name for info in tables.values()}
        self._opened_aliases: set[int] = set()
        self.objects: dict[Shape, Object] = {}
        self.enums: dict[Shape, Type] = {}
        self.docs: dict[Shape, str] = {}

    def type_of(self, annotation: Any, direction: Direction) -> Type:
        origin, args = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            return self._annotated(args[0], args[1:], direction)
        if isinstance(annotation, _ALIASES) or isinstance(origin, _ALIASES):
            return self._alias(annotation if origin is None else origin, direction)
        if origin in (typing.Union, types.UnionType):
            return union(self.type_of(arg, direction) for arg in args)
        if origin is typing.Literal:
            return union(self._value(arg, direction) for arg in args)
        if isinstance(annotation, typing.NewType):
            return self.type_of(annotation.__supertype__, direction)
        if isinstance(annotation, typing.TypeVar):
            return ANY if annotation.__bound__ is None else self.type_of(annotation.__bound__, direction)
        if annotation is None:
            return NULL
        cls = origin or annotation
        return self._class(cls, args, direction) if isinstance(cls, type) else ANY

    def object_of(self, cls: type, direction: Direction) -> Object:
        """The fields of an object; what is null in a result is left out."""
        declared = fields.declared_fields(cls, direction)
        return Object(tuple(self._property(each, direction) for each in declared), fields.is_open(cls))

    def _property(self, declared: fields.Declared, direction: Direction) -> Property:
        given = self.type_of(declared.annotation, direction)
        if direction == "in":
            return Property(declared.wire, given, declared.may_be_missing, declared.doc)
        return Property(declared.wire, without_null(given), declared.may_be_missing or accepts_null(given), declared.doc)

    def _annotated(self, annotation: Any, metadata: Iterable[Any], direction: Direction) -> Type:
        for item in metadata:
            if isinstance(item, Reference):
                return self._id(item)
            if isinstance(item, (PlainSerializer, WrapSerializer)) and direction == "out":
                return self.type_of(fields.serialized(item), direction)
        return self.type_of(annotation, direction)

    def _id(self, reference: Reference) -> Type:
        """A reference to no table is still a string."""
        name = self._table_names.get(reference.table_name)
        return STRING if name is None else Imported("Id", DATA_MODEL, (literal(name),))

    def _alias(self, alias: Any, direction: Direction) -> Type:
        """What the alias stands for; where it stands for itself, anything."""
        if id(alias) in self._opened_aliases:
            return ANY
        self._opened_aliases.add(id(alias))
        try:
            return self.type_of(alias.__value__, direction)
        finally:
            self._opened_aliases.remove(id(alias))

    def _class(self, cls: type, args: tuple[Any, ...], direction: Direction) -> Type:
        if issubclass(cls, tuple):
            return self._tuple(cls, args, direction)
        if cls in _MAPPINGS:
            return self._record(args, direction)
        if cls in _COLLECTIONS:
            return array(self.type_of(args[0], direction) if args else ANY)
        if issubclass(cls, enum.Enum):
            return self._enum(cls, direction)
        if fields.has_fields(cls):
            return self._object(cls, direction)
        return self._scalar(cls, direction)

    def _tuple(self, cls: type, args: tuple[Any, ...], direction: Direction) -> Type:
        if hasattr(cls, "_fields"):  # a NamedTuple is a tuple on the wire
            args = tuple(typing.get_type_hints(cls, include_extras=True).values())
        if not args:
            return array(ANY) if cls is tuple and not hasattr(cls, "_fields") else Tuple(())
        if args[-1] is Ellipsis:
            return array(self.type_of(args[0], direction))
        return Tuple(tuple(self.type_of(arg, direction) for arg in args))

    def _record(self, args: tuple[Any, ...], direction: Direction) -> Type:
        """Keys that are listed may be missing: a dict promises none of them."""
        key, value = (self.type_of(arg, direction) for arg in args or (str, Any))
        if isinstance(key, Imported):
            return Builtin("Record", (key, value))
        if key == STRING or not _are_strings(key):
            return Builtin("Record", (STRING, value))
        return Builtin("Partial", (Builtin("Record", (key, value)),))

    def _object(self, cls: type, direction: Direction) -> Type:
        if cls is PageOptions:
            return Imported("PaginationOptions", SERVER)
        if (item := _item_of_page(cls)) is not None:
            return Imported("PaginationResult", SERVER, (self.type_of(item, direction),))
        if issubclass(cls, Table):
            name = self._table_names.get(cls.__name__)
            return ANY if name is None else Imported("Doc", DATA_MODEL, (literal(name),))
        if issubclass(cls, RootModel):
            return self.type_of(fields.annotation_of(cls.model_fields["root"]), direction)
        written = fields.own_form(cls) if direction == "out" else None
        return self._named_object(cls, direction) if written is None else self.type_of(written, direction)

    def _named_object(self, cls: type, direction: Direction) -> Type:
        shape = Shape(cls, direction)
        if shape not in self.objects:
            self.objects[shape] = Object(())  # known by now: its fields may refer to it
            self.objects[shape] = self.object_of(cls, direction)
            self.docs[shape] = class_doc(cls)
        return shape

    def _enum(self, cls: type[enum.Enum], direction: Direction) -> Type:
        shape = Shape(cls, direction)
        self.enums[shape] = union(self._value(member.value, direction) for member in cls)
        self.docs[shape] = class_doc(cls)
        return shape

    def _value(self, value: object, direction: Direction) -> Type:
        """The type that has this one value."""
        match value:
            case enum.Enum():
                return self._value(value.value, direction)
            case bool():
                return Plain("true" if value else "false")
            case int():
                return self._terms.number(value, direction)
            case str():
                return literal(value)
        return self._scalar(type(value), direction)

    def _scalar(self, cls: type, direction: Direction) -> Type:
        return next((made for python, made in self._terms.scalars[direction] if issubclass(cls, python)), ANY)


def _are_strings(given: Type) -> bool:
    members = given.members if isinstance(given, Union) else (given,)
    return all(isinstance(member, Plain) and member.text.startswith('"') for member in members)


def _item_of_page(cls: type) -> Any | None:
    """What a `Page[...]` has pages of; None for any other class."""
    generic = getattr(cls, "__pydantic_generic_metadata__", {})
    if cls is Page:
        return Any
    return generic["args"][0] if generic.get("origin") is Page else None
