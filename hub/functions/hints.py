"""Hints: what loads, works, and is probably not meant. `hub check` prints them.

Guessed from the functions' code without running it, so a hint may be wrong, and its absence proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import CodeType, FunctionType

from hub.functions.registry import Function, Registry
from hub.functions.tables import Table

_WRITES = frozenset({"insert", "patch", "replace", "delete"})


def hints(registry: Registry) -> list[str]:
    """One line for each table that serializable and snapshot mutations both seem to write."""
    writers: dict[str, dict[str, list[str]]] = {}
    for function in registry.functions.values():
        if function.kind == "mutation":
            for table in _written_tables(function):
                writers.setdefault(table, {}).setdefault(function.isolation, []).append(function.name)
    return [
        f"{table} is written by snapshot mutations ({', '.join(kinds['snapshot'])}) and serializable ones "
        f"({', '.join(kinds['serializable'])}): for what the latter only read, the former are like any outside writer"
        for table, kinds in sorted(writers.items())
        if len(kinds) > 1
    ]


def _written_tables(function: Function) -> set[str]:
    """Names of tables that the function, or a function of its application that it calls, names where it writes."""
    tables: set[str] = set()
    pending, seen = [function.call], set()
    while pending:
        call = pending.pop()
        if call in seen or not isinstance(call, FunctionType):
            continue
        seen.add(call)
        names = set(_names(call.__code__))
        used = [call.__globals__[name] for name in names if name in call.__globals__]
        pending += [value for value in used if isinstance(value, FunctionType)]
        if names & _WRITES:
            named = (value.__dict__.get("__hub_table__") for value in used if isinstance(value, type) and issubclass(value, Table))
            tables.update(info.name for info in named if info is not None)
    return tables


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
