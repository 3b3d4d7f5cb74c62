"""Runner: runs one function at one timestamp.

A function asks for index ranges and rows; whoever has it run says where they come from: a source that may have to wait (the store,
or what lies over it), or memory. The run is true at the timestamp of what it read.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Mapping, Sequence
from typing import Protocol, TypeVar

from hub.clock import Clock
from hub.core.ranges import IndexRange
from hub.core.readset import ReadSet
from hub.errors import FunctionCrashed, HubError, LimitExceeded, Unavailable
from hub.functions.execution import Memory, Run, run, run_now
from hub.functions.identity import Caller
from hub.functions.ids import IdSource
from hub.functions.limits import Limits
from hub.functions.registry import Function
from hub.metrics import Metrics
from hub.store import Store
from hub.timestamps import Timestamp
from hub.values import Row, RowId, Value

log = logging.getLogger(__name__)
T = TypeVar("T")


class Source(Protocol):
    """Where a run's rows come from: the store, or what lies over it."""

    async def read(self, wanted: IndexRange, at: Timestamp) -> list[Row]: ...

    async def get(self, table: str, ids: Sequence[RowId], at: Timestamp) -> dict[RowId, Row]: ...


class SnapshotReader:
    """All reads of one run, at one timestamp, until one deadline (event loop time). `asked` is all of them, unlimited: what a run
    depends on that failed before it could say so itself."""

    def __init__(self, source: Source, at: Timestamp, max_run_s: float) -> None:
        self.asked = ReadSet()
        self._source = source
        self._at = at
        self._max_run_s = max_run_s
        self._until = asyncio.get_running_loop().time() + max_run_s

    async def read(self, wanted: IndexRange) -> list[Row]:
        self.asked.ranges.append(wanted.unlimited())
        return await self._answer(self._source.read(wanted, self._at))

    async def get(self, table: str, ids: Sequence[RowId]) -> dict[RowId, Row]:
        self.asked.rows.update((table, row_id) for row_id in ids)
        return await self._answer(self._source.get(table, ids, self._at))

    async def _answer(self, reading: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout_at(self._until):
                return await reading
        except TimeoutError:
            raise LimitExceeded(f"the function took longer than {self._max_run_s:g} s and was stopped") from None


class Runner:
    """`max_run_s` bounds a run with all its waiting; its processor time has a limit of its own in `limits`.

    `shows_crashes`: what an author's bug says, and what the function prints, reaches callers (development).
    """

    def __init__(
        self, store: Store, clock: Clock, metrics: Metrics, limits: Limits, *, max_run_s: float, shows_crashes: bool
    ) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._limits = limits
        self._max_run_s = max_run_s
        self._shows_crashes = shows_crashes
        self._ids = IdSource()

    async def run(
        self,
        function: Function,
        args: Mapping[str, Value],
        *,
        caller: Caller | None,
        journal: str | None,
        at: Timestamp,
        source: Source | None = None,
    ) -> Run:
        """Reads the `source`, which is the store if nothing is said.

        Raises Unavailable when the database could not be read: that is nobody's result, the run is to be repeated.

        Whatever else goes wrong is the run's error, and depends on what was read until then.
        """
        reader = SnapshotReader(source or self._store, at, self._max_run_s)
        try:
            with self._metrics.run_seconds.time():
                finished = await run(
                    function,
                    args,
                    caller=caller,
                    reader=reader,
                    now=self._clock.now() * 1000,
                    journal=journal,
                    ids=self._ids,
                    limits=self._limits,
                )
        except Unavailable:
            raise
        except HubError as error:
            finished = Run(None, error, reader.asked, (), (), None)
        except Exception as error:
            finished = Run(None, _crash(error), reader.asked, (), (), None)
        if isinstance(finished.error, LimitExceeded):
            finished.reads.ranges += reader.asked.ranges
            finished.reads.rows |= reader.asked.rows
        return self._told(function, finished)

    def run_now(
        self, function: Function, args: Mapping[str, Value], *, caller: Caller | None, journal: str | None, memory: Memory
    ) -> Run | None:
        """Without waiting for anything; None if the function asks for something that is not in memory, or fails for the hub's fault
        or a limit's: then `run` has to say what it depends on."""
        began = self._clock.monotonic()
        try:
            finished = run_now(
                function,
                args,
                caller=caller,
                memory=memory,
                now=self._clock.now() * 1000,
                journal=journal,
                ids=self._ids,
                limits=self._limits,
            )
        except Exception:
            log.exception("a run in memory failed", extra={"function": function.name})
            return None
        finally:
            self._metrics.run_seconds.observe(self._clock.monotonic() - began)
        if finished is None or isinstance(finished.error, LimitExceeded):
            return None
        return self._told(function, finished)

    def _told(self, function: Function, finished: Run) -> Run:
        """What callers may hear of it."""
        if isinstance(finished.error, FunctionCrashed):
            self._report(function, finished.error)
        if not self._shows_crashes:
            self._keep_log_lines(function, finished)
        return finished

    def _keep_log_lines(self, function: Function, finished: Run) -> None:
        """In production what a function prints is for its authors, not for whoever calls it."""
        for line in finished.log_lines:
            log.info("function said", extra={"function": function.name, "line": line})
        finished.log_lines = ()

    def _report(self, function: Function, crash: FunctionCrashed) -> None:
        """The log has the traceback under the reference; in production that reference is all that callers hear."""
        log.error("function crashed", exc_info=crash.__cause__, extra={"function": function.name, "reference": crash.reference})
        if not self._shows_crashes:
            crash.message = crash.message.splitlines()[0]


def _crash(error: Exception) -> FunctionCrashed:
    """A bug of the hub or the driver, met in a function's run: it fails that function alone."""
    reference = secrets.token_hex(8)
    crash = FunctionCrashed(f"[Request ID: {reference}] Server Error", reference)
    crash.__cause__ = error
    return crash
