"""Typed calls: a function's path and arguments as a value that knows the type of its result.

Made by the modules that `hub codegen --python` writes, and taken by `query`, `mutation` and `subscribe` of both clients. What is
on the wire, and what comes back, is the same as for a path and arguments by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, NotRequired, TypeAlias, TypedDict, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Args: TypeAlias = Mapping[str, Any]
"""By their names on the wire. Checked when they are encoded: a type for it would refuse a `list[str]`."""


@dataclass(frozen=True, slots=True)
class Query(Generic[T_co]):
    """A call of a query, whose result is a `T_co`."""

    path: str
    args: Args


@dataclass(frozen=True, slots=True)
class Mutation(Generic[T_co]):
    """A call of a mutation, whose result is a `T_co`. It may be sent more than once, as any other."""

    path: str
    args: Args


class PageOptions(TypedDict):
    """Which page: the first has `cursor` None, the next one the `continueCursor` of the page before it."""

    numItems: int
    cursor: str | None
    endCursor: NotRequired[str | None]
    """Ends the page where another one begins, wherever that is by now."""


class Page(TypedDict, Generic[T]):
    """What a paginated query gives."""

    page: list[T]
    isDone: bool
    continueCursor: str


class _Unset:
    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final[Any] = _Unset()
"""The default of an argument that is left out: the function's own default counts, which null does not mean everywhere."""


def given(args: Args) -> dict[str, Any]:
    """Without the arguments that are left out."""
    return {name: value for name, value in args.items() if value is not UNSET}


def opened(target: str | Query[Any] | Mutation[Any], args: Args | None, named: Args) -> tuple[str, Args]:
    """Path and arguments of a call, whichever way it is written."""
    if args is not None and named:
        raise TypeError("arguments are one mapping, or named ones; not both")
    if isinstance(target, str):
        return target, named if args is None else args
    if args is not None or named:
        raise TypeError(f"the call of {target.path} has its arguments")
    return target.path, target.args
