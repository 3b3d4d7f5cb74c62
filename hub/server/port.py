"""Calls: what HTTP needs of the engine. `hub.live.engine.Engine` is it; tests of routing pass a small one of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

from hub.functions.identity import Caller
from hub.protocol.messages import Result
from hub.timestamps import Timestamp
from hub.values import Value

Args: TypeAlias = Mapping[str, Value]


class Health(Protocol):
    @property
    def ready(self) -> bool: ...

    @property
    def was_ready(self) -> bool: ...

    @property
    def reason(self) -> str:
        """Why it may not take traffic now, "" if it may."""
        ...


class Calls(Protocol):
    """Deadlines are `Clock.monotonic` seconds; whatever cannot be answered by then raises."""

    async def query(
        self,
        path: str,
        args: Args,
        caller: Caller,
        *,
        min_ts: Timestamp | None = None,
        at_ts: Timestamp | None = None,
        deadline: float,
    ) -> tuple[Result, Timestamp]: ...

    async def query_batch(
        self, calls: Sequence[tuple[str, Args]], caller: Caller, *, min_ts: Timestamp | None = None, deadline: float
    ) -> tuple[list[Result], Timestamp]: ...

    async def mutate(
        self, path: str, args: Args, caller: Caller, *, key: str | None, body_key: str, deadline: float
    ) -> tuple[Result, Timestamp | None]: ...

    async def latest(self, deadline: float) -> Timestamp: ...

    def kind_of(self, path: str, caller: Caller) -> Literal["query", "mutation"]: ...

    def health(self) -> Health: ...

    def measure(self) -> None:
        """Bring the gauges up to date."""
        ...
