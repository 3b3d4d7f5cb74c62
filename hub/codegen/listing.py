"""An application as the development page is told about it: functions and tables, with docs, types and JSON schemas.

Made by `hub dev` of the code that it serves. Schemas are of JSON Schema 2020-12, with two words of our own: `x-table` beside the
text that is an id of that table, and `x-wire` beside a text that stands for an int64 or for bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, assert_never

from hub.codegen.application import Application, Called, Stored, translated
from hub.codegen.docs import class_doc, function_doc
from hub.codegen.typenodes import (
    ANY,
    BIGINT,
    BOOLEAN,
    BYTES,
    NEVER,
    NULL,
    NUMBER,
    STRING,
    Builtin,
    Imported,
    Object,
    Plain,
    Shape,
    Speller,
    Tuple,
    Type,
    Union,
    parts,
)
from hub.functions.registry import Registry

Schema = dict[str, Any]

_PLAIN: Final[Mapping[Plain, Schema]] = {
    ANY: {},
    NEVER: {"not": {}},
    NULL: {"type": "null"},
    STRING: {"type": "string"},
    NUMBER: {"type": "number"},
    BOOLEAN: {"type": "boolean"},
    BIGINT: {"type": "string", "x-wire": "int64"},
    BYTES: {"type": "string", "contentEncoding": "base64", "x-wire": "bytes"},
}
_PAGE_OPTIONS: Final[Schema] = {
    "type": "object",
    "properties": {"numItems": {"type": "number"}, "cursor": {"type": ["string", "null"]}},
    "required": ["numItems", "cursor"],
    "default": {"numItems": 10, "cursor": None},
}


def listing(registry: Registry) -> dict[str, Any]:
    """Plain JSON, the same for the same declarations."""
    application = translated(registry)
    schemas = _Schemas(application)
    return {
        "functions": [_function(each, schemas) for each in application.functions],
        "tables": [_table(each, schemas) for each in application.tables],
    }


def _function(called: Called, schemas: _Schemas) -> dict[str, Any]:
    function = called.function
    return {
        "name": function.name,
        "kind": function.kind,
        "access": "public" if function.public else "internal" if function.internal else "known",
        "docs": function_doc(function.call),
        "args": schemas.of_arguments(called.arguments),
        "returns": schemas.text(called.result),
    }


def _table(stored: Stored, schemas: _Schemas) -> dict[str, Any]:
    table = stored.table
    return {
        "name": table.name,
        "collection": table.collection,
        "docs": class_doc(table.row_type),
        "row": schemas.of_object(stored.document),
        "indexes": [{"fields": [field.wire for field in index.fields], "unique": index.key.unique} for index in table.indexes],
    }


class _Schemas:
    """Schemas of the types of one application; each that refers to named types has their definitions in it."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._speller = Speller(application.names)

    def text(self, given: Type) -> str:
        """The type as TypeScript spells it."""
        return self._speller.text(given)

    def of_arguments(self, arguments: Object) -> Schema:
        schema = self.of_object(arguments)
        named = self._named(each.type for each in arguments.properties)
        return schema | ({"$defs": {self._application.names[shape]: self._definition(shape) for shape in named}} if named else {})

    def of_object(self, given: Object) -> Schema:
        schema: Schema = {
            "type": "object",
            "properties": {
                each.name: {**self._of(each.type), "x-type": self.text(each.type)} | ({"description": each.doc} if each.doc else {})
                for each in given.properties
            },
            "required": [each.name for each in given.properties if not each.is_optional],
        }
        return schema if given.is_open else schema | {"additionalProperties": False}

    def _definition(self, shape: Shape) -> Schema:
        found = self._application.objects.get(shape)
        schema = self._of(self._application.enums[shape]) if found is None else self.of_object(found)
        docs = self._application.docs[shape]
        return schema | ({"description": docs} if docs else {})

    def _named(self, types: Iterable[Type]) -> list[Shape]:
        """Every named type that these lead to, sorted by name."""
        found: dict[Shape, None] = {}
        waiting = list(types)
        while waiting:
            given = waiting.pop()
            if not isinstance(given, Shape):
                waiting += parts(given)
            elif given not in found:
                found[given] = None
                entry = self._application.objects.get(given)
                waiting += [self._application.enums[given]] if entry is None else [each.type for each in entry.properties]
        return sorted(found, key=lambda shape: self._application.names[shape])

    def _of(self, given: Type) -> Schema:
        match given:
            case Plain():
                return dict(_PLAIN[given]) if given in _PLAIN else _constant(given.text)
            case Imported():
                return _of_imported(given)
            case Builtin():
                return self._of_builtin(given)
            case Union():
                return self._of_union(given)
            case Tuple():
                items = [self._of(item) for item in given.items]
                return {"type": "array", "prefixItems": items, "minItems": len(items), "items": False}
            case Shape():
                return {"$ref": f"#/$defs/{self._application.names[given]}"}
            case _:
                assert_never(given)

    def _of_builtin(self, given: Builtin) -> Schema:
        if given.name == "Array":
            return {"type": "array", "items": self._of(given.args[0])}
        if given.name == "Record":
            return {"type": "object", "additionalProperties": self._of(given.args[1])}
        return self._of(given.args[0])  # Partial: a record promises no key anyway

    def _of_union(self, given: Union) -> Schema:
        schemas = [self._of(member) for member in given.members]
        if all(schema.keys() == {"const"} for schema in schemas):
            return {"enum": [schema["const"] for schema in schemas]}
        return {"anyOf": schemas}


def _constant(text: str) -> Schema:
    return {"const": text.removesuffix("n"), "x-wire": "int64"} if text.endswith("n") else {"const": json.loads(text)}


def _of_imported(given: Imported) -> Schema:
    """Of the types that generated files import, arguments can have ids and page options; rows and pages are only returned."""
    match given.name:
        case "Id":
            (table,) = given.args
            assert isinstance(table, Plain)
            return {"type": "string", "x-table": json.loads(table.text)}
        case "PaginationOptions":
            return dict(_PAGE_OPTIONS)
    return {}


def listing_text(registry: Registry) -> str:
    return json.dumps(listing(registry), ensure_ascii=False, separators=(",", ":"))
