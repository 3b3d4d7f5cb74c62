"""Objects and types on the wire: `Model` for arguments and results, and how annotations accept what JSON can say.

Everything is strict (a "3" is no number, a 1 no boolean); the only conversions are those the wire makes necessary.
"""

from __future__ import annotations

import datetime as dt
import enum
import types
from typing import Annotated, Any, Union, cast, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, GetCoreSchemaHandler, Strict
from pydantic_core import CoreSchema

from hub.functions.names import to_camel
from hub.values import ObjectId

STRICT = ConfigDict(
    strict=True,
    extra="forbid",
    alias_generator=to_camel,
    validate_by_name=True,
    validate_by_alias=True,
    arbitrary_types_allowed=True,
    protected_namespaces=(),
)


class Model(BaseModel):
    """An object in arguments or results: snake_case in Python, camelCase on the wire, unknown fields rejected, read-only."""

    model_config = ConfigDict(**STRICT, frozen=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema: Any = handler(source)
        if schema["type"] == "model":
            schema["strict"] = False  # made from a JSON object, too; its fields stay strict
        return cast(CoreSchema, schema)

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        super().__pydantic_init_subclass__(**options)
        accept_wire_forms(cls)


def accept_wire_forms(cls: type[BaseModel]) -> None:
    """Give each field of the class the annotation that `from_wire` makes of it."""
    changed = False
    for declared in cls.model_fields.values():
        accepted = from_wire(declared.annotation)
        if accepted is not declared.annotation:
            declared.annotation, changed = accepted, True
    if changed:
        cls.model_rebuild(force=True)


def from_wire(annotation: Any) -> Any:
    """The annotation, made to accept the wire's form of what JSON has no type for; the same object if that is nothing."""
    if annotation is dt.datetime:
        return Annotated[dt.datetime, BeforeValidator(_to_datetime)]
    if annotation is ObjectId:
        return Annotated[ObjectId, BeforeValidator(_to_object_id)]
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return Annotated[annotation, Strict(False)]
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is None or not args or origin is Annotated:
        return annotation
    accepted = tuple(from_wire(arg) for arg in args)
    if origin in (tuple, set, frozenset):
        return Annotated[origin[accepted], Strict(False)]
    if all(new is old for new, old in zip(accepted, args, strict=True)):
        return annotation
    return Union[accepted] if origin in (Union, types.UnionType) else origin[accepted]


def nested_types(annotation: Any) -> set[type]:
    """Every class that the annotation names, at any depth of its type arguments."""
    args = get_args(annotation)
    found = {annotation} if isinstance(annotation, type) and not args else set()
    for arg in args:
        found |= nested_types(arg)
    return found


def foreign_models(annotation: Any) -> list[str]:
    """Names of pydantic classes that do not follow the wire's rules, because they derive from neither Model nor Table."""
    return sorted(
        cls.__name__
        for cls in nested_types(annotation)
        if issubclass(cls, BaseModel) and not cls.model_config.get("alias_generator") and not hasattr(cls, "__hub_table__")
    )


def _to_datetime(value: object) -> object:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return dt.datetime.fromtimestamp(value / 1000, tz=dt.UTC)
        except (OverflowError, OSError, ValueError):
            raise ValueError("not a moment in milliseconds since 1970") from None
    return value


def _to_object_id(value: object) -> object:
    if isinstance(value, str) and len(value) == 24 and ObjectId.is_valid(value):
        return ObjectId(value)
    return value
