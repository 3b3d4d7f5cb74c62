"""Execution: run one function once, against rows of one moment.

`run` steps the function's coroutine by hand and answers what it asks for from the `Reader`. What the function does comes back as
plain data: its value, what it read, what it wants written. Errors of the function are in the Run; errors of the Reader are raised,
for they are not the function's: the caller runs it again.
"""

from __future__ import annotations

import asyncio
import secrets
import traceback
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError

from hub.core.ranges import IndexRange
from hub.core.readset import ReadSet
from hub.errors import ApplicationError, BadRequest, FunctionCrashed, FunctionError, HubError, InvalidRow, LimitExceeded
from hub.functions.context import Log, LookedAtIdentity, MutationContext, QueryContext, current_log
from hub.functions.database import Database, Pages, WritableDatabase
from hub.functions.identity import Caller
from hub.functions.ids import IdSource
from hub.functions.limits import Limits
from hub.functions.places import is_authors
from hub.functions.registry import Function
from hub.functions.requests import Answer, Answers, Part, ReadRange, Request, checked
from hub.functions.stepping import OutOfTime, Stopwatch
from hub.functions.tables import describe, is_of_table
from hub.functions.transaction import Transaction
from hub.functions.usage import Usage
from hub.functions.wire import to_wire
from hub.store import Write
from hub.values import Row, RowId, Value

_ENDING_S = 1.0
"""Processor time that the `finally` blocks of a run which is given up may use."""


class Reader(Protocol):
    """Rows as they were at one timestamp."""

    async def read(self, wanted: IndexRange) -> list[Row]: ...

    async def get(self, table: str, ids: Sequence[RowId]) -> dict[RowId, Row]: ...


@dataclass(slots=True)
class Run:
    """What a function did. With an `error`, `value` is None and `writes` is empty; what it read counts all the same.

    Of a shared run (no caller) that `reads.saw_identity`, nothing but `reads` means anything.
    """

    value: Value
    error: HubError | None
    reads: ReadSet
    writes: tuple[Write, ...]
    log_lines: tuple[str, ...]
    journal: str | None


async def run(
    function: Function,
    args: Mapping[str, Value],
    *,
    caller: Caller | None,
    reader: Reader,
    now: float,
    journal: str | None,
    ids: IdSource,
    limits: Limits,
) -> Run:
    """Raises only what the Reader raises; its LimitExceeded ends the run like one of the function's own."""
    reads, log, pages = ReadSet(), Log(limits), Pages(journal)
    transaction = Transaction(reads, Usage(limits, function.name))
    outcome = Run(None, None, reads, (), (), None)
    try:
        keywords = function.signature.bind(args, limits)
        if function.kind == "query":
            ctx = QueryContext(Database(transaction, pages), log, caller, reads, now)
        else:
            ctx = MutationContext(WritableDatabase(transaction, pages, ids, now), log, caller, reads, now)
        returned = await _Stepper(function, log, reader, limits).finish(function.call(ctx, **keywords))
        outcome.value = function.signature.result(returned, limits)
        outcome.writes = transaction.overlay.writes()
    except LookedAtIdentity:
        pass
    except _ReaderFailed as failed:
        if not isinstance(failed.error, LimitExceeded):
            raise failed.error from None
        outcome.error = failed.error
    except HubError as error:
        outcome.error = error
    except Exception as error:  # of an application's own validators and serializers: its fault like any other
        outcome.error = _crash(error)
    outcome.journal = pages.new_journal
    outcome.log_lines = tuple(log.lines)
    return outcome


class _ReaderFailed(Exception):
    """Carries an error of the Reader past those of the function."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class _Stepper:
    """Drives one coroutine to its end."""

    def __init__(self, function: Function, log: Log, reader: Reader, limits: Limits) -> None:
        self._function = function
        self._log = log
        self._reader = reader
        self._limits = limits
        self._stopwatch = Stopwatch(limits.cpu_s)

    async def finish(self, coroutine: Coroutine[Any, Answers | None, object]) -> object:
        """What the function returns. Raises HubError for what it raises, LookedAtIdentity, and _ReaderFailed."""
        answers: Answers | None = None
        try:
            while True:
                try:
                    request = self._step(coroutine, answers)
                except StopIteration as stop:
                    return stop.value
                answers = await self._answer(request)
        finally:
            self._close(coroutine)

    def _step(self, coroutine: Coroutine[Any, Answers | None, object], answers: Answers | None) -> Request:
        token = current_log.set(self._log)
        try:
            return self._stopwatch.step(lambda: checked(coroutine.send(answers), coroutine))
        except (StopIteration, LookedAtIdentity, KeyboardInterrupt):
            raise
        except OutOfTime as late:
            place = f" at {late.place}" if late.place else ""
            raise LimitExceeded(f"{self._function.name} used more than {self._limits.cpu_s:g} s of processor time{place}") from None
        except ApplicationError as error:
            raise self._application_error(error) from error
        except (FunctionError, BadRequest):
            raise
        except ValidationError as error:
            if is_of_table(error):
                raise InvalidRow(f"{error.title}: {describe(error)}") from error
            raise _crash(error) from error
        except BaseException as error:  # also SystemExit and the like: a function does not end the hub
            raise _crash(error) from error
        finally:
            current_log.reset(token)

    async def _answer(self, request: Request) -> Answers:
        try:
            if len(request) == 1:
                return (await self._fetch(request[0]),)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._fetch(part)) for part in request]
            return [task.result() for task in tasks]
        except ExceptionGroup as errors:
            raise _ReaderFailed(errors.exceptions[0]) from None
        except Exception as error:
            raise _ReaderFailed(error) from None

    async def _fetch(self, part: Part) -> Answer:
        if isinstance(part, ReadRange):
            return await self._reader.read(part.wanted)
        return await self._reader.get(part.table, part.ids)

    def _close(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """End a coroutine that waits for something; what its `finally` blocks do then does not count."""
        try:
            Stopwatch(_ENDING_S).step(coroutine.close)
        except (Exception, OutOfTime, LookedAtIdentity):  # noqa: S110  # the run is over: there is nobody to tell
            pass

    def _application_error(self, error: ApplicationError) -> HubError:
        try:
            data = to_wire(error.data, self._limits, f"the data of an ApplicationError of {self._function.name}")
        except HubError as unusable:
            return unusable
        return ApplicationError(data, error.message)


def _crash(error: BaseException) -> FunctionCrashed:
    """The first line is for everybody; the rest, for developers, says what was raised and where."""
    reference = secrets.token_hex(8)
    told = traceback.format_exception_only(error)[-1].strip()  # also where its own str() fails
    crashed = FunctionCrashed(f"[Request ID: {reference}] Server Error\nUncaught {told}{_lines(error)}", reference)
    crashed.__cause__ = error
    return crashed


def _lines(error: BaseException) -> str:
    """Where it went through the author's code, innermost last."""
    steps = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__) if is_authors(frame.f_code)]
    return "".join(f"\n    at {frame.f_code.co_name} ({frame.f_code.co_filename}:{line})" for frame, line in steps)
