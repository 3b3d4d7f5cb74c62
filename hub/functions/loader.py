"""Loader: a folder of Python, made into a Registry.

`schema/` has tables, `queries/` and `mutations/` functions; packages inside them are part of a function's name. All of it is
loaded before anything is said, so that an author hears of every mistake at once.
"""

from __future__ import annotations

import ast
import importlib
import os
import re
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from pathlib import Path
from types import ModuleType

from hub.errors import LoadError
from hub.functions.imports import PACKAGES, Imports
from hub.functions.names import function_name
from hub.functions.registry import Function, Mark, Registry, make_function, mark_of
from hub.functions.signatures import SignatureProblem
from hub.functions.tables import Table, TableInfo

_KIND_BY_PACKAGE = {"queries": "query", "mutations": "mutation"}


def load(app_dir: Path) -> Registry:
    """The application as it is on the disk now. Raises LoadError with every mistake; what was loaded before then stays."""
    app_dir = app_dir.resolve()
    found = _Found(app_dir)
    with Imports(app_dir) as imports:
        for name, file in _modules(app_dir):
            found.take_in(name, file)
        registry = found.registry()
        imports.keep()
    return registry


def is_code(app_dir: Path, path: str) -> bool:
    """Whether the file is one that `load` reads."""
    file = Path(path)
    return file.suffix == ".py" and file.is_relative_to(app_dir) and file.relative_to(app_dir).parts[0] in PACKAGES


def _modules(app_dir: Path) -> list[tuple[str, Path]]:
    """Names and files of all modules, tables first. Raises LoadError if there is nothing to load."""
    files = [file for package in PACKAGES for file in sorted((app_dir / package).rglob("*.py")) if not file.name.startswith(".")]
    if not files:
        raise LoadError([f"{app_dir}: no application here: it needs schema/, queries/ and mutations/ (see `hub init`)"])
    return [(_module_name(file.relative_to(app_dir)), file) for file in files]


def _module_name(relative: Path) -> str:
    parts = relative.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@dataclass(slots=True)
class _Found:
    """What loading has found so far."""

    app_dir: Path
    functions: dict[str, Function] = field(default_factory=dict)
    tables: dict[str, type[Table]] = field(default_factory=dict)
    problems: dict[str, None] = field(default_factory=dict)

    def registry(self) -> Registry:
        """Raises LoadError if anything was wrong."""
        try:
            registry = Registry(self.functions.values(), self.tables.values())
        except LoadError as error:
            self._complain(*error.problems)
        if self.problems:
            raise LoadError(sorted(self.problems, key=_file_and_line))
        return registry

    def take_in(self, name: str, file: Path) -> None:
        try:
            module = importlib.import_module(name)
        except (Exception, SystemExit) as error:
            self._complain(self._import_problem(file, error))
            return
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Table) and value.__module__ == name:
                self._take_table(value)
        for attribute, value in vars(module).items():
            mark = mark_of(value)
            if mark is not None and getattr(value, "__module__", None) == name:
                self._take_function(module, attribute, value, mark)
        self._complain(*_written_twice(file))

    def _take_table(self, table: type[Table]) -> None:
        info = table.__dict__.get("__hub_table__")
        if isinstance(info, TableInfo):
            self.tables[f"{table.__module__}.{table.__qualname__}"] = table

    def _take_function(self, module: ModuleType, attribute: str, value: object, mark: Mark) -> None:
        package, _, rest = module.__name__.partition(".")
        wire_name = function_name(rest, attribute)
        code = getattr(value, "__code__", None)
        place = f"{code.co_filename}:{code.co_firstlineno}" if code is not None else f"{module.__file__}"
        problems: list[str] = []
        if _KIND_BY_PACKAGE.get(package) != mark.kind:
            problems.append(f"a {mark.kind} belongs into {'queries' if mark.kind == 'query' else 'mutations'}/")
        if not rest:
            problems.append("a function belongs into a module of its own, not into __init__.py")
        if not iscoroutinefunction(value):
            problems.append(f"a {mark.kind} must be an `async def`")
        else:
            try:
                function = make_function(value, mark, wire_name)
                other = self.functions.setdefault(wire_name, function)
                if other is not function:
                    problems.append(f"{wire_name!r} is already the {other.kind} at {other.file}:{other.line}")
            except SignatureProblem as error:
                problems.extend(error.problems)
        self._complain(*(f"{place}: {attribute}: {problem}" for problem in problems))

    def _import_problem(self, file: Path, error: BaseException) -> str:
        if isinstance(error, SyntaxError) and error.filename:
            return f"{error.filename}:{error.lineno}: syntax error: {error.msg}"
        own = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__) if self._is_own(frame.f_code.co_filename)]
        place = f"{own[-1][0].f_code.co_filename}:{own[-1][1]}" if own else str(file)
        return f"{place}: {type(error).__name__}: {error}"

    def _is_own(self, filename: str) -> bool:
        return any(filename.startswith(str(self.app_dir / package) + os.sep) for package in PACKAGES)

    def _complain(self, *problems: str) -> None:
        """Paths are shown from the application's folder on; the same mistake, met by every module that imports it, once."""
        self.problems.update(dict.fromkeys(problem.replace(f"{self.app_dir}{os.sep}", "") for problem in problems))


def _file_and_line(problem: str) -> tuple[str, int]:
    place = re.match(r"(.*?):(\d+): ", problem)
    return (place[1], int(place[2])) if place else ("", 0)


def _written_twice(file: Path) -> Iterable[str]:
    """Functions that a later one of the same name hides: Python would say nothing."""
    lines: dict[str, int] = {}
    for node in ast.parse(file.read_bytes()).body:
        if isinstance(node, ast.AsyncFunctionDef) and node.decorator_list:
            if node.name in lines:
                yield f"{file}:{node.lineno}: {node.name}: already defined at line {lines[node.name]}"
            lines[node.name] = node.lineno
