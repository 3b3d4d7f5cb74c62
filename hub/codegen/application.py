"""An application, translated: its functions, tables and objects as types of a language, sorted, and everything named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hub.codegen.naming import merged, merged_object, merged_shape, names_of, one_form
from hub.codegen.translate import TYPESCRIPT, Terms, Translator
from hub.codegen.typenodes import DATA_MODEL, Imported, Object, Property, Shape, Type, literal
from hub.functions.registry import Function, Registry
from hub.functions.tables import TableInfo


@dataclass(frozen=True, slots=True)
class Called:
    """A function as its callers see it."""

    function: Function
    arguments: Object
    result: Type


@dataclass(frozen=True, slots=True)
class Stored:
    """A table, and its rows as queries return them."""

    table: TableInfo
    document: Object


@dataclass(frozen=True, slots=True)
class Application:
    """`names` has one for each shape in `objects` and `enums`, in TypeScript."""

    functions: tuple[Called, ...]
    tables: tuple[Stored, ...]
    objects: Mapping[Shape, Object]
    enums: Mapping[Shape, Type]
    docs: Mapping[Shape, str]
    names: Mapping[Shape, str]


def translated(registry: Registry, terms: Terms = TYPESCRIPT) -> Application:
    translator = Translator(registry.tables, terms)
    functions = [_called(translator, function) for _, function in sorted(registry.functions.items())]
    tables = [_stored(translator, table) for _, table in sorted(registry.tables.items())]
    same = one_form(translator.objects, translator.enums)
    objects = {merged_shape(shape, same): merged_object(found, same) for shape, found in translator.objects.items()}
    enums = {merged_shape(shape, same): found for shape, found in translator.enums.items()}
    return Application(
        tuple(Called(each.function, merged_object(each.arguments, same), merged(each.result, same)) for each in functions),
        tuple(Stored(each.table, merged_object(each.document, same)) for each in tables),
        objects,
        enums,
        {merged_shape(shape, same): doc for shape, doc in translator.docs.items()},
        names_of([*objects, *enums]),
    )


def _called(translator: Translator, function: Function) -> Called:
    arguments = [
        Property(each.wire, translator.type_of(each.annotation, "in"), not each.is_required)
        for each in function.signature.parameters
    ]
    return Called(function, Object(tuple(arguments)), translator.type_of(function.signature.returns, "out"))


def _stored(translator: Translator, table: TableInfo) -> Stored:
    own_id = Property("_id", Imported("Id", DATA_MODEL, (literal(table.name),)))
    created = Property("_creationTime", translator.type_of(float, "out"))
    found = translator.object_of(table.row_type, "out")
    return Stored(table, Object((own_id, created, *found.properties), found.is_open))
