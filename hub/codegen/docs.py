"""Docstrings of an application's classes and fields, read from its source: a field's docstring is in no object.

A class whose source cannot be found has none.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

_REMEMBERED_FILES = 64
_LIBRARIES = frozenset({"hub", "pydantic", "builtins", "typing", "enum"})
"""Bases whose docstrings say nothing about the application."""


def function_doc(function: Callable[..., object]) -> str:
    return inspect.getdoc(function) or ""


def class_doc(cls: type) -> str:
    node = _definition(cls)
    return (ast.get_docstring(node) or "") if node is not None else ""


def field_docs(cls: type) -> dict[str, str]:
    """By Python name; a base's docstring counts where the class does not declare the field again."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        node = _definition(base)
        if node is not None:
            docs.update(_documented(node.body))
    return docs


def _documented(body: Iterable[ast.stmt]) -> dict[str, str]:
    """Declarations with the string that follows each."""
    statements = list(body)
    found: dict[str, str] = {}
    for declared, following in zip(statements, [*statements[1:], ast.Pass()], strict=True):
        match declared:
            case ast.AnnAssign(target=ast.Name(id=name)):
                found[name] = _text(following)
            case ast.FunctionDef(name=name):
                found[name] = ast.get_docstring(declared) or ""
    return found


def _text(statement: ast.stmt) -> str:
    match statement:
        case ast.Expr(value=ast.Constant(value=str() as text)):
            return inspect.cleandoc(text)
    return ""


def _definition(cls: type) -> ast.ClassDef | None:
    module = sys.modules.get(cls.__module__)
    file = getattr(module, "__file__", None)
    if file is None or not file.endswith(".py") or cls.__module__.partition(".")[0] in _LIBRARIES:
        return None
    try:
        classes = _classes(file, Path(file).stat().st_mtime_ns)
    except (OSError, SyntaxError, ValueError):  # gone or changed since it was loaded
        return None
    return classes.get(cls.__qualname__.partition("[")[0])  # the class of `Box[int]` is `Box`


@lru_cache(_REMEMBERED_FILES)
def _classes(file: str, _changed_at: int) -> dict[str, ast.ClassDef]:
    """The classes of a file by their qualified names."""
    found: dict[str, ast.ClassDef] = {}
    pending: list[tuple[str, ast.AST]] = [("", ast.parse(Path(file).read_bytes()))]
    while pending:
        prefix, parent = pending.pop()
        for node in ast.iter_child_nodes(parent):
            name = prefix
            if isinstance(node, ast.ClassDef):
                name = f"{prefix}{node.name}"
                found[name] = node
                name += "."
            pending.append((name, node))
    return found
