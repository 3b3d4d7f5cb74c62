"""Registry: the functions and tables of one loaded application, by their wire names, and the decorators that declare them.

`@query` and `@mutation` only mark a function; it stays callable as it is. The loader finds the marks.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Concatenate, Literal, TypeAlias, TypeVar, overload

from hub.errors import FunctionNotFound, LoadError, Unauthorized
from hub.functions.context import MutationContext, QueryContext
from hub.functions.identity import Caller
from hub.functions.names import canonical_path
from hub.functions.signatures import Signature, SignatureProblem, read_signature
from hub.functions.tables import Table, TableInfo, table_of
from hub.store import RESERVED_PREFIXES, DeclaredTable
from hub.values import Value

Kind: TypeAlias = Literal["query", "mutation"]
Isolation: TypeAlias = Literal["serializable", "snapshot"]

Q = TypeVar("Q", bound=Callable[Concatenate[QueryContext, ...], Coroutine[Any, Any, Any]])
M = TypeVar("M", bound=Callable[Concatenate[MutationContext, ...], Coroutine[Any, Any, Any]])


@dataclass(frozen=True, slots=True)
class Mark:
    """What the decorator says about a function."""

    kind: Kind
    public: bool
    internal: bool
    isolation: Isolation = "serializable"


_MARK = "__hub_mark__"


@overload
def query(function: Q, /) -> Q: ...
@overload
def query(*, public: bool = False, internal: bool = False) -> Callable[[Q], Q]: ...
def query(function: Any = None, /, *, public: bool = False, internal: bool = False) -> Any:
    """Declare a query: a function that reads, and is run again whenever what it read has changed.

    Without options a caller needs a verified identity or the service key; `public`: anybody; `internal`: the service key only.
    """
    return _marked(function, Mark("query", public, internal))


@overload
def mutation(function: M, /) -> M: ...
@overload
def mutation(*, public: bool = False, internal: bool = False, isolation: Isolation = "serializable") -> Callable[[M], M]: ...
def mutation(
    function: Any = None, /, *, public: bool = False, internal: bool = False, isolation: Isolation = "serializable"
) -> Any:
    """Declare a mutation: a transaction that reads and writes, and may be run again before it commits.

    `isolation="snapshot"`: rows that it only reads may change before it commits.
    """
    return _marked(function, Mark("mutation", public, internal, isolation))


def _marked(function: Any, mark: Mark) -> Any:
    def decorate(decorated: Any) -> Any:
        setattr(decorated, _MARK, mark)
        return decorated

    return decorate if function is None else decorate(function)


def mark_of(value: object) -> Mark | None:
    mark = getattr(value, _MARK, None) if callable(value) else None
    return mark if isinstance(mark, Mark) else None


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """One function of the application. `name` is its wire name; `file` and `line` are for messages."""

    name: str
    kind: Kind
    isolation: Isolation
    public: bool
    internal: bool
    call: Callable[..., Coroutine[Any, Any, object]]
    signature: Signature
    module: str
    file: str
    line: int

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"

    def sharing_args(self, args: Mapping[str, Value]) -> Mapping[str, Value]:
        """The arguments without what only tells one client's subscriptions apart (`paginationOpts.id`)."""
        shared = dict(args)
        for name in self.signature.page_options:
            options = shared.get(name)
            if isinstance(options, dict):
                shared[name] = {key: value for key, value in options.items() if key != "id"}
        return shared


def make_function(call: Callable[..., Coroutine[Any, Any, object]], mark: Mark, name: str) -> Function:
    """Raises SignatureProblem."""
    if mark.public and mark.internal:
        raise SignatureProblem(["public=True and internal=True exclude each other"])
    signature = read_signature(call, name, QueryContext if mark.kind == "query" else MutationContext)
    code = call.__code__
    return Function(
        name,
        mark.kind,
        mark.isolation,
        mark.public,
        mark.internal,
        call,
        signature,
        call.__module__,
        code.co_filename,
        code.co_firstlineno,
    )


class Registry:
    """Everything callable and everything stored. Read-only once made; a reload makes another."""

    def __init__(self, functions: Iterable[Function], tables: Iterable[type[Table]]) -> None:
        """Raises LoadError with every problem of the tables."""
        self.functions: Mapping[str, Function] = {function.name: function for function in functions}
        infos = [table_of(table) for table in tables]
        self.tables: Mapping[str, TableInfo] = {info.name: info for info in infos}
        by_class = {info.class_name: info for info in infos}
        for info in infos:
            info.resolve_references(by_class)
        self.indexed_fields: Mapping[str, frozenset[str]] = {
            table.name: frozenset(name for index in table.indexes for name in index.fields) for table in self.declared_tables()
        }
        """Stored names, by collection, of the fields that some index looks at."""
        problems = [*(problem for info in infos for problem in info.problems), *_clashes(infos)]
        if problems:
            raise LoadError(problems)

    def declared_tables(self) -> list[DeclaredTable]:
        return [info.declared() for info in self.tables.values()]

    def find(self, path: str, kind: Kind | None, caller: Caller, component: str | None = None) -> Function:
        """The function that this caller may call by this path; with `kind` None of either kind.

        Raises FunctionNotFound (unknown, of another kind, internal, in a component) or Unauthorized.
        """
        name = path if path in self.functions else canonical_path(path)
        function = self.functions.get(name)
        if component or function is None or (function.internal and not caller.is_trusted):
            hint = "This hub has no components." if component else self._hint(name, kind)
            raise FunctionNotFound(f"Could not find public function for '{name}'. {hint}")
        if kind is not None and function.kind != kind:
            raise FunctionNotFound(f"Could not find public function for '{name}'. It is a {function.kind}, not a {kind}.")
        if not function.public and not caller.is_known:
            raise Unauthorized(f"'{name}' needs a verified identity: send a token. (public=True opens a function to everybody.)")
        return function

    def _hint(self, name: str, kind: Kind | None) -> str:
        known = [function.name for function in self.functions.values() if not function.internal and kind in (None, function.kind)]
        close = difflib.get_close_matches(name, known, n=1)
        return f"Did you mean '{close[0]}'?" if close else "Is the application that has it loaded?"


def _clashes(infos: list[TableInfo]) -> list[str]:
    problems: list[str] = []
    seen: dict[tuple[str, str], TableInfo] = {}
    for info in infos:
        if info.collection.startswith(RESERVED_PREFIXES):
            problems.append(f"{info.place}: names that begin with {' or '.join(RESERVED_PREFIXES)} are taken: {info.collection!r}")
        elif not info.collection or "$" in info.collection or "\0" in info.collection:
            problems.append(f"{info.place}: {info.collection!r} cannot be the name of a collection")
        for what, name in (("name", info.name), ("collection", info.collection), ("class name", info.class_name)):
            other = seen.setdefault((what, name), info)
            if other is not info:
                problems.append(f"{info.place}: the {what} {name!r} is already that of the table at {other.place}")
    return problems
