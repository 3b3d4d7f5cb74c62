"""Field paths: the names by which a field of a row, or of an object inside it, is addressed (`profile.name`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from hub.codegen.typenodes import Object, Shape, Type, Union

_DEPTH_MAX: Final = 4
"""An object may hold objects of its own class."""


def field_paths(document: Object, objects: Mapping[Shape, Object]) -> list[str]:
    return sorted(set(_paths(document, objects, "", _DEPTH_MAX)))


def _paths(given: Object, objects: Mapping[Shape, Object], prefix: str, depth: int) -> Iterator[str]:
    for each in given.properties:
        path = f"{prefix}{each.name}"
        yield path
        for inner in _objects_in(each.type, objects) if depth > 1 else ():
            yield from _paths(inner, objects, f"{path}.", depth - 1)


def _objects_in(given: Type, objects: Mapping[Shape, Object]) -> Iterator[Object]:
    """Those that a field may be; what is in an array has no path."""
    for member in given.members if isinstance(given, Union) else (given,):
        if isinstance(member, Shape) and member in objects:
            yield objects[member]
