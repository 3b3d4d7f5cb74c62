"""TypeScript: the files that `npx convex codegen` would write, from the Python declarations of an application.

A registry in, the text of each file out, and the same text for the same declarations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from hub.codegen import layout
from hub.codegen.application import Application, Called, Stored, translated
from hub.codegen.docs import class_doc, function_doc
from hub.codegen.paths import field_paths
from hub.codegen.typenodes import DATA_MODEL, SERVER, TYPES, VALUES, Speller, literal, union
from hub.functions.registry import Registry

_API_USAGE: Final = "The functions that clients call: `api.module.function`."
_INTERNAL_USAGE: Final = "The functions that only the service key may call."


def typescript(registry: Registry) -> dict[str, str]:
    """The text of each file, by its name."""
    application = translated(registry)
    return {
        "api.d.ts": _api_declarations(application),
        "api.js": _API_MODULE,
        "dataModel.d.ts": _data_model(application),
        "server.d.ts": _SERVER,
        "types.d.ts": _types(application),
    }


# --- functions -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Node:
    """What one name in `api.a.b` stands for: a folder, a module, a function, or several of these at once."""

    function: str = ""
    doc: str = ""
    children: dict[str, _Node] = field(default_factory=dict)

    def at(self, path: Iterable[str]) -> _Node:
        node = self
        for name in path:
            node = node.children.setdefault(name, _Node())
        return node

    def text(self) -> str:
        if not self.children:
            return self.function or "{}"
        members = (
            f"{layout.comment(node.doc)}{layout.key(name)}: {node.text()};\n" for name, node in sorted(self.children.items())
        )
        own = f"{self.function} & " if self.function else ""
        return own + layout.block(members)


def _api_declarations(application: Application) -> str:
    speller = Speller(application.names)
    public = _tree([each for each in application.functions if not each.function.internal], "public", speller)
    internal = _tree([each for each in application.functions if each.function.internal], "internal", speller)
    return "\n".join(
        [
            layout.header("The application's functions."),
            *_imports(speller),
            f"{layout.comment(_API_USAGE)}export declare const api: {public};\n",
            f"{layout.comment(_INTERNAL_USAGE)}export declare const internal: {internal};\n",
        ]
    )


def _tree(functions: Iterable[Called], visibility: str, speller: Speller) -> str:
    root = _Node()
    for each in functions:
        module, _, name = each.function.name.rpartition(":")
        node = root.at([*module.split("/"), name])
        node.function, node.doc = _reference(each, visibility, speller), function_doc(each.function.call)
    return root.text()


def _reference(called: Called, visibility: str, speller: Speller) -> str:
    arguments, result = layout.arguments_type(called.arguments, speller), speller.text(called.result)
    parts = ",\n".join((f'"{called.function.kind}"', f'"{visibility}"', arguments, result))
    return f"{speller.imported('FunctionReference', SERVER)}<\n{layout.indented(parts)}\n>"


_API_MODULE: Final = (
    layout.header("The application's functions.")
    + """
import { anyApi } from "convex/server";

export const api = anyApi;
export const internal = anyApi;
"""
)


# --- tables --------------------------------------------------------------------------------------------------------


def _data_model(application: Application) -> str:
    speller = Speller(application.names, own_source=DATA_MODEL)
    tables = [
        f"{layout.comment(class_doc(each.table.row_type))}{layout.key(each.table.name)}: {_table(each, application, speller)};\n"
        for each in application.tables
    ]
    speller.imported("DocumentByName", SERVER)
    speller.imported("TableNamesInDataModel", SERVER)
    speller.imported("GenericId", VALUES)
    return "\n".join(
        [
            layout.header("The application's tables."),
            *_imports(speller),
            f"{layout.comment('What is stored: tables, their rows and their indexes.')}"
            f"export type DataModel = {layout.block(tables)};\n",
            _DATA_MODEL_TYPES,
        ]
    )


def _table(stored: Stored, application: Application, speller: Speller) -> str:
    paths = union(literal(path) for path in field_paths(stored.document, application.objects))
    return layout.block(
        [
            f"document: {layout.object_type(stored.document, speller)};\n",
            f"fieldPaths: {speller.text(paths)};\n",
            f"indexes: {layout.block(_indexes(stored))};\n",
            "searchIndexes: {};\n",
            "vectorIndexes: {};\n",
        ]
    )


def _indexes(stored: Stored) -> list[str]:
    """By the fields they sort by: in Python an index is a variable, and has no name of its own."""
    keys = [tuple(known.wire for known in index.fields) for index in (stored.table.by_id, *stored.table.indexes)]
    named = {"by_" + "_".join(name.lstrip("_") for name in names): names for names in keys}
    listed = {name: ", ".join(f'"{part}"' for part in names) for name, names in named.items()}
    return [f"{layout.key(name)}: [{names}];\n" for name, names in sorted(listed.items())]


_DATA_MODEL_TYPES: Final = """\
/** The names of the tables. */
export type TableNames = TableNamesInDataModel<DataModel>;

/** A row of a table, as functions return it: `Doc<"users">`. */
export type Doc<TableName extends TableNames> = DocumentByName<DataModel, TableName>;

/** The id of a row of a table, `Id<"users">`: a string that is not mistaken for another table's. */
export type Id<TableName extends TableNames> = GenericId<TableName>;
"""


# --- objects -------------------------------------------------------------------------------------------------------


def _types(application: Application) -> str:
    speller = Speller(application.names, own_source=TYPES)
    texts = {shape: layout.object_type(found, speller) for shape, found in application.objects.items()}
    texts |= {shape: speller.text(found) for shape, found in application.enums.items()}
    declared = {
        application.names[shape]: f"{layout.comment(application.docs[shape])}export type {application.names[shape]} = {text};\n"
        for shape, text in texts.items()
    }
    declarations = [text for _, text in sorted(declared.items())]
    return "\n".join(
        [
            layout.header("The objects that functions take and return."),
            *_imports(speller),
            *(declarations or ["export {};\n"]),
        ]
    )


def _imports(speller: Speller) -> list[str]:
    imports: Mapping[str, Iterable[str]] = speller.imports
    return [layout.import_lines(imports)] if imports else []


# --- the rest ------------------------------------------------------------------------------------------------------

_SERVER: Final = (
    layout.header("Types of code that reads and writes the application's tables.")
    + """
import type {
  GenericDatabaseReader,
  GenericDatabaseWriter,
  GenericMutationCtx,
  GenericQueryCtx,
} from "convex/server";
import type { DataModel } from "./dataModel.js";

// Functions are declared in Python, so there is no `query` or `mutation` to import. These types are for code that is shared with,
// or comes from, functions in TypeScript.

/** What a query gets. */
export type QueryCtx = GenericQueryCtx<DataModel>;

/** What a mutation gets. */
export type MutationCtx = GenericMutationCtx<DataModel>;

/** Reads the tables. */
export type DatabaseReader = GenericDatabaseReader<DataModel>;

/** Reads and writes the tables. */
export type DatabaseWriter = GenericDatabaseWriter<DataModel>;
"""
)
