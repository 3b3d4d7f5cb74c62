"""Contexts: what a function gets as its first argument, and all it may use of the world.

Looking at who asks is noted: such a result belongs to that caller alone. A shared run, which has no caller, ends there.
"""

from __future__ import annotations

import builtins
from collections.abc import Awaitable
from contextvars import ContextVar
from typing import Any, TypeVar, overload

from hub.core.readset import ReadSet
from hub.functions import requests
from hub.functions.database import Database, WritableDatabase
from hub.functions.identity import Caller, Identity
from hub.functions.limits import Limits

T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")


class LookedAtIdentity(BaseException):
    """Ends a shared run that asks who is asking; not an Exception, so that `except Exception` lets it pass."""


class Log:
    """`ctx.log`: lines that go to the caller's console in development, `print` included."""

    def __init__(self, limits: Limits) -> None:
        self.lines: list[str] = []
        self._limits = limits

    def debug(self, *values: object) -> None:
        self.add("DEBUG", values)

    def info(self, *values: object) -> None:
        self.add("INFO", values)

    def warn(self, *values: object) -> None:
        self.add("WARN", values)

    warning = warn

    def error(self, *values: object) -> None:
        self.add("ERROR", values)

    def add(self, level: str, values: tuple[object, ...]) -> None:
        """Strings in single quotes, everything joined by blanks: the form that clients parse."""
        if len(self.lines) < self._limits.log_lines:
            text = " ".join(f"'{value}'" if isinstance(value, str) else repr(value) for value in values)
            self.lines.append(f"[{level}] {text[: self._limits.log_line_chars]}")
        elif len(self.lines) == self._limits.log_lines:
            self.lines.append(f"[WARN] 'more than {self._limits.log_lines} log lines: the rest is left out'")


current_log: ContextVar[Log | None] = ContextVar("hub_current_log", default=None)
"""The log of the run whose step is being taken."""


def print(*values: object, sep: str | None = " ", end: str | None = "\n", file: Any = None, flush: bool = False) -> None:
    """What `print` means in an application's modules: a log line while a function runs, else the usual.

    The loader puts it into each module; nobody else's `print` changes.
    """
    log = current_log.get()
    if log is None or file is not None:
        builtins.print(*values, sep=sep, end=end, file=file, flush=flush)
    else:
        log.add("LOG", values)


class QueryContext:
    """`ctx` of a query. `now` is the moment of the run in milliseconds since 1970; it stands still while the function runs."""

    def __init__(self, db: Database, log: Log, caller: Caller | None, reads: ReadSet, now: float) -> None:
        self._db = db
        self._caller = caller
        self._reads = reads
        self.log = log
        self.now = now

    @property
    def db(self) -> Database:
        return self._db

    @property
    def auth(self) -> Identity | None:
        """Who asks: a verified identity, or None (nobody, or the service key: see `is_trusted`)."""
        return self._seen_caller().identity

    @property
    def is_trusted(self) -> bool:
        """Whether the service key asks (in development also a local caller without a token)."""
        return self._seen_caller().is_trusted

    @overload
    async def gather(self, a: Awaitable[T1], b: Awaitable[T2], /) -> tuple[T1, T2]: ...
    @overload
    async def gather(self, a: Awaitable[T1], b: Awaitable[T2], c: Awaitable[T3], /) -> tuple[T1, T2, T3]: ...
    @overload
    async def gather(self, a: Awaitable[T1], b: Awaitable[T2], c: Awaitable[T3], d: Awaitable[T4], /) -> tuple[T1, T2, T3, T4]: ...
    @overload
    async def gather(
        self, a: Awaitable[T1], b: Awaitable[T2], c: Awaitable[T3], d: Awaitable[T4], e: Awaitable[T5], /
    ) -> tuple[T1, T2, T3, T4, T5]: ...
    @overload
    async def gather(self, *awaitables: Awaitable[T1]) -> tuple[T1, ...]: ...
    async def gather(self, *awaitables: Awaitable[Any]) -> tuple[Any, ...]:
        """Several ctx reads at once: what they wait for is fetched together. The first to raise ends the others."""
        return tuple(await requests.gather(awaitables))

    def _seen_caller(self) -> Caller:
        self._reads.saw_identity = True
        if self._caller is None:
            raise LookedAtIdentity
        return self._caller


class MutationContext(QueryContext):
    """`ctx` of a mutation: that of a query, with a `db` that also writes."""

    def __init__(self, db: WritableDatabase, log: Log, caller: Caller | None, reads: ReadSet, now: float) -> None:
        super().__init__(db, log, caller, reads, now)
        self._writable = db

    @property
    def db(self) -> WritableDatabase:
        return self._writable
