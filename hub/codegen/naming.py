"""Names of the objects and enumerations of an application, in the language they are generated for.

A class keeps its name. Two classes of one name get that of their module in front, and a class that looks different as an argument
and as a result is `…Input` there. Names depend on the declarations alone, not on the order in which they are met.
"""

from __future__ import annotations

import re
import typing
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Final, get_args, get_origin

from hub.codegen.typenodes import Builtin, Imported, Object, Property, Shape, Tuple, Type, Union
from hub.functions.ids import Reference
from hub.functions.names import to_camel

TYPESCRIPT_NAMES: Final = frozenset(
    {
        *("Array", "ArrayBuffer", "Partial", "Record"),
        *("DataModel", "Doc", "Id", "PaginationOptions", "PaginationResult", "TableNames"),
        *("any", "bigint", "boolean", "never", "number", "string", "null", "undefined", "unknown", "object", "symbol", "void"),
    }
)
_NO_IDENTIFIER: Final = re.compile(r"[^A-Za-z0-9_$]+")


def one_form(objects: Mapping[Shape, Object], enums: Mapping[Shape, Type]) -> frozenset[type]:
    """Classes whose two forms are the same, or of which only one is used."""
    both = {shape.cls for shape in (*objects, *enums)}
    both -= {shape.cls for shape, found in enums.items() if any(enums.get(other, found) != found for other in _both_ways(shape))}
    while True:  # taking one out may tell apart those that refer to it
        unlike = {cls for cls in both if len(set(_forms(cls, objects, both))) > 1}
        if not unlike:
            return frozenset(both)
        both -= unlike


def merged(given: Type, same: Collection[type]) -> Type:
    """The type, with one shape for both directions where they are the same."""
    match given:
        case Shape():
            return merged_shape(given, same)
        case Imported():
            return Imported(given.name, given.source, tuple(merged(arg, same) for arg in given.args))
        case Builtin():
            return Builtin(given.name, tuple(merged(arg, same) for arg in given.args))
        case Union():
            return Union(tuple(merged(member, same) for member in given.members))
        case Tuple():
            return Tuple(tuple(merged(item, same) for item in given.items))
    return given


def merged_shape(shape: Shape, same: Collection[type]) -> Shape:
    return Shape(shape.cls, None) if shape.cls in same else shape


def merged_object(given: Object, same: Collection[type]) -> Object:
    properties = (Property(each.name, merged(each.type, same), each.is_optional, each.doc) for each in given.properties)
    return Object(tuple(properties), given.is_open)


def _both_ways(shape: Shape) -> tuple[Shape, Shape]:
    return Shape(shape.cls, "in"), Shape(shape.cls, "out")


def _forms(cls: type, objects: Mapping[Shape, Object], same: set[type]) -> list[Object]:
    return [merged_object(found, same) for shape, found in objects.items() if shape.cls is cls]


def names_of(shapes: Iterable[Shape], taken: Collection[str] = TYPESCRIPT_NAMES) -> dict[Shape, str]:
    """A different name for each, and none that is `taken`."""
    ordered = sorted(shapes, key=lambda shape: (shape.cls.__module__, shape.cls.__qualname__, shape.direction or ""))
    longer = [_candidates(shape) for shape in ordered]
    names = [each[0] for each in longer]
    for level in range(1, max((len(each) for each in longer), default=0)):
        counted = Counter(names)
        names = [
            each[min(level, len(each) - 1)] if counted[name] > 1 or name in taken else name
            for name, each in zip(names, longer, strict=True)
        ]
    return dict(zip(ordered, numbered(names, taken), strict=True))


def _candidates(shape: Shape) -> list[str]:
    """Shortest first."""
    end = "Input" if shape.direction == "in" else ""
    *packages, module = shape.cls.__module__.split(".")
    name = joined([_spoken(shape.cls)]) or "Object"
    outer = joined(shape.cls.__qualname__.partition("[")[0].split(".")[:-1]) + name
    return [f"{name}{end}", f"{joined([module])}{name}{end}", f"{joined([*packages, module])}{outer}{end}"]


def _spoken(annotation: Any) -> str:
    """A type's name in words: `Box[Place | None]` is `Box Place Or Null`. Python's own way to write it is not always the same."""
    generic = getattr(annotation, "__pydantic_generic_metadata__", None) or {}
    origin, args = generic.get("origin") or get_origin(annotation), generic.get("args") or get_args(annotation)
    if origin is Annotated:
        table = next((f" {item.table_name}" for item in args[1:] if isinstance(item, Reference)), "")
        return f"{_spoken(args[0])}{table}"
    if origin in (typing.Union, UnionType):
        return " Or ".join(map(_spoken, args))
    if annotation is NoneType:
        return "Null"
    name = getattr(origin or annotation, "__name__", None) or str(annotation)
    return " ".join([name, *map(_spoken, args)])


def joined(parts: Iterable[str]) -> str:
    """`["admin", "chat_rooms"]` becomes `AdminChatRooms`, `["Box int"]` becomes `BoxInt`."""
    words = (word for part in parts for word in _NO_IDENTIFIER.split(part) if word)
    named = (word if word[0].isupper() else to_camel(word) for word in words)
    return "".join(word[0].upper() + word[1:] for word in named if word)


def numbered(names: Iterable[str], taken: Collection[str] = ()) -> list[str]:
    """The last resort: `Box`, `Box2`."""
    used, found = set(taken), []
    for name in names:
        number, free = 1, name
        while free in used:
            number += 1
            free = f"{name}{number}"
        used.add(free)
        found.append(free)
    return found
