"""Fields: what an object of an application's class has on the wire, whichever kind of class it is.

Asks pydantic, which is what makes and reads these objects when functions run.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass
from typing import Annotated, Any, NotRequired, Required, get_args, get_origin

import pydantic.dataclasses
from pydantic import AliasChoices, AliasPath, BaseModel, PlainSerializer, WrapSerializer
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from typing_extensions import ReadOnly, is_typeddict

from hub.codegen.docs import field_docs
from hub.codegen.typenodes import Direction
from hub.functions.names import to_camel
from hub.functions.objects import STRICT
from hub.functions.tables import Table


@dataclass(frozen=True, slots=True)
class Declared:
    """`may_be_missing` as declared: a null that is left out is another matter."""

    wire: str
    annotation: Any
    may_be_missing: bool
    doc: str


def has_fields(cls: type) -> bool:
    return issubclass(cls, BaseModel) or is_dataclass(cls) or is_typeddict(cls)


def is_open(cls: type) -> bool:
    config = getattr(cls, "model_config", None) or getattr(cls, "__pydantic_config__", None) or {}
    return config.get("extra") == "allow"


def declared_fields(cls: type, direction: Direction) -> list[Declared]:
    """In the order of their declaration."""
    if issubclass(cls, Table):
        return list(_of_row(cls))
    if issubclass(cls, BaseModel):
        cls.model_rebuild(raise_errors=False)
        fields = [*_of_infos(cls, cls.model_fields, direction)]
        return [*fields, *_computed(cls)] if direction == "out" else fields
    if is_dataclass(cls):
        return list(_of_infos(cls, _dataclass_fields(cls), direction))
    return list(_of_typed_dict(cls))


def own_form(cls: type) -> Any | None:
    """What a class that writes its objects itself (`@model_serializer`) makes of them; None if it does not."""
    serializers = getattr(getattr(cls, "__pydantic_decorators__", None), "model_serializers", {})
    return next((_returned(each.func) for each in serializers.values()), None)


def serialized(serializer: PlainSerializer | WrapSerializer) -> Any:
    """What a serializer in an annotation makes."""
    returned: Any = serializer.return_type
    return _returned(serializer.func) if returned is PydanticUndefined else returned


def _of_row(cls: type[Table]) -> Iterator[Declared]:
    docs, names = field_docs(cls), {known.python: known.wire for known in cls.__hub_table__.fields}
    for python, info in cls.model_fields.items():
        yield Declared(names[python], annotation_of(info), False, info.description or docs.get(python, ""))


def _of_infos(cls: type, infos: dict[str, FieldInfo], direction: Direction) -> Iterator[Declared]:
    docs, serialized = field_docs(cls), _field_serializers(cls)
    for python, info in infos.items():
        if direction == "out" and info.exclude:
            continue
        written = serialized.get(python, annotation_of(info)) if direction == "out" else annotation_of(info)
        wire = _name_out(python, info) if direction == "out" else _name_in(python, info)
        may_be_missing = direction == "in" and not info.is_required()
        yield Declared(wire, written, may_be_missing, info.description or docs.get(python, ""))


def _computed(cls: type[BaseModel]) -> Iterator[Declared]:
    docs = field_docs(cls)
    for python, info in cls.model_computed_fields.items():
        yield Declared(info.alias or python, info.return_type, False, info.description or docs.get(python, ""))


def annotation_of(info: FieldInfo) -> Any:
    """The whole of what was declared: pydantic keeps `Annotated`'s metadata apart."""
    named: Any = Annotated  # made at run time: nothing for the checker
    return named[(info.annotation, *info.metadata)] if info.metadata else info.annotation


def _name_out(python: str, info: FieldInfo) -> str:
    return info.serialization_alias or info.alias or python


def _name_in(python: str, info: FieldInfo) -> str:
    match info.validation_alias or info.alias:
        case str() as name:
            return name
        case AliasChoices(choices=[str() as name, *_]):
            return name
        case AliasPath(path=[str() as name, *_]):
            return name
    return python


def _dataclass_fields(cls: type) -> dict[str, FieldInfo]:
    """A plain dataclass in a result gets the wire's rules; one of pydantic's own keeps those it has."""
    if "__pydantic_fields__" not in cls.__dict__:
        cls = pydantic.dataclasses.dataclass(config=getattr(cls, "__pydantic_config__", STRICT))(cls)
    fields: dict[str, FieldInfo] = vars(cls)["__pydantic_fields__"]
    return fields


def _of_typed_dict(cls: type) -> Iterator[Declared]:
    docs = field_docs(cls)
    required: frozenset[str] = getattr(cls, "__required_keys__", frozenset())
    is_renamed = bool(getattr(cls, "__pydantic_config__", STRICT).get("alias_generator"))
    for key, hint in typing.get_type_hints(cls, include_extras=True).items():
        wire = to_camel(key) if is_renamed else key
        annotation, is_required = _unqualified(hint, is_required=key in required)
        yield Declared(wire, annotation, not is_required, docs.get(key, ""))


def _unqualified(hint: Any, *, is_required: bool) -> tuple[Any, bool]:
    """`NotRequired[int]` taken apart: where annotations are strings, the class itself has not seen it."""
    while (qualifier := get_origin(hint)) in (NotRequired, Required, ReadOnly):
        is_required = qualifier is Required or (is_required and qualifier is ReadOnly)
        hint = get_args(hint)[0]
    return hint, is_required


def _field_serializers(cls: type) -> dict[str, Any]:
    """What `@field_serializer` methods return, by the fields they are for."""
    decorators = getattr(getattr(cls, "__pydantic_decorators__", None), "field_serializers", {})
    return {name: _returned(each.func) for each in decorators.values() for name in each.info.fields}


def _returned(function: Callable[..., object]) -> Any:
    try:
        return typing.get_type_hints(function, include_extras=True).get("return", Any)
    except (NameError, TypeError):
        return Any
