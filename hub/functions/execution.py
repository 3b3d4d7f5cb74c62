"""Execution: run one function once, against rows of one moment.

`execute` steps the function's coroutine by hand: it yields what the function asks for and is sent the answers. `run` answers from a
`Reader`, which may have to wait; `run_now` from a `Memory`, in one go and without the event loop. What the function does comes back
as plain data: its value, what it read, what it wants written. Errors of the function are in the Run; errors of the Reader are
raised, for they are not the function's: the caller runs it again.
"""

from __future__ import annotations

import asyncio
import inspect
import secrets
import traceback
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, cast

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


class Memory(Protocol):
    """Rows as they are at one timestamp, as far as they are at hand; None where they are not."""

    def read(self, wanted: IndexRange) -> list[Row] | None: ...

    def get(self, table: str, ids: Sequence[RowId]) -> dict[RowId, Row] | None: ...


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
    size_bytes: int = 0
    """Of the rows it read and wrote."""


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
    with closing(execute(function, args, caller=caller, now=now, journal=journal, ids=ids, limits=limits)) as execution:
        try:
            request = next(execution)
            while True:
                try:
                    answers = await _answered(request, reader)
                except LimitExceeded as error:
                    request = execution.throw(error)
                else:
                    request = execution.send(answers)
        except StopIteration as stop:
            return cast(Run, stop.value)


def run_now(
    function: Function,
    args: Mapping[str, Value],
    *,
    caller: Caller | None,
    memory: Memory,
    now: float,
    journal: str | None,
    ids: IdSource,
    limits: Limits,
) -> Run | None:
    """As `run`, without waiting; None if the function asks for something that is not at hand.

    All of it is one step: what is at hand is answered inside it.
    """
    asked = _AtHand(memory)
    execution = execute(function, args, caller=caller, now=now, journal=journal, ids=ids, limits=limits, at_hand=asked.answers)
    finished: Run | None = None
    with closing(execution):
        try:
            next(execution)
        except StopIteration as stop:
            finished = cast(Run, stop.value)
    if asked.error is not None:
        raise asked.error
    return finished


async def _answered(request: Request, reader: Reader) -> Answers:
    if len(request) == 1:
        return (await _fetch(request[0], reader),)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_fetch(part, reader)) for part in request]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def _fetch(part: Part, reader: Reader) -> Answer:
    if isinstance(part, ReadRange):
        return await reader.read(part.wanted)
    return await reader.get(part.table, part.ids)


class _AtHand:
    """Answers from memory. An error of the memory is kept, for it is not the function's."""

    __slots__ = ("_memory", "error")

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.error: Exception | None = None

    def answers(self, request: Request) -> Answers | None:
        """None if it is not all there."""
        answers: list[Answer] = []
        try:
            for part in request:
                answer = self._answer(part)
                if answer is None:
                    return None
                answers.append(answer)
        except Exception as error:
            self.error = error
            return None
        return answers

    def _answer(self, part: Part) -> Answer | None:
        if isinstance(part, ReadRange):
            return self._memory.read(part.wanted)
        return self._memory.get(part.table, part.ids)


def execute(
    function: Function,
    args: Mapping[str, Value],
    *,
    caller: Caller | None,
    now: float,
    journal: str | None,
    ids: IdSource,
    limits: Limits,
    at_hand: AtHand = lambda request: None,
) -> Generator[Request, Answers, Run]:
    """Yields what the function waits for, unless it is `at_hand`, and returns what it did. A LimitExceeded thrown in ends the run;
    closing gives it up."""
    reads, log, pages = ReadSet(), Log(limits), Pages(journal)
    usage = Usage(limits, function.name)
    transaction = Transaction(reads, usage)
    if function.kind == "query":
        ctx = QueryContext(Database(transaction, pages), log, caller, reads, now)
    else:
        ctx = MutationContext(WritableDatabase(transaction, pages, ids, now), log, caller, reads, now)
    outcome = Run(None, None, reads, (), (), None)
    try:
        outcome.value = yield from _Stepper(function, ctx, args, limits, at_hand).steps()
        outcome.writes = transaction.overlay.writes()
    except LookedAtIdentity:
        pass
    except HubError as error:
        outcome.error = error
    outcome.journal = pages.new_journal
    outcome.log_lines = tuple(log.lines)
    outcome.size_bytes = usage.size_bytes
    return outcome


AtHand: TypeAlias = Callable[[Request], Answers | None]


class Raised(Exception):
    """Stands for what an author's code raised, as the text of its traceback: whoever logs it runs none of that code."""


@dataclass(frozen=True, slots=True)
class _Returned:
    value: Value


class _Stepper:
    """Drives one call of a function to its end: its arguments, its coroutine, its result.

    All three run code of the author (validators, properties, serializers), so all of it happens inside of steps.
    """

    def __init__(self, function: Function, ctx: QueryContext, args: Mapping[str, Value], limits: Limits, at_hand: AtHand) -> None:
        self._at_hand = at_hand
        self._function = function
        self._ctx = ctx
        self._args = args
        self._limits = limits
        self._stopwatch = Stopwatch(limits.cpu_s)
        self._coroutine: Coroutine[Any, Answers | None, object] | None = None

    def steps(self) -> Generator[Request, Answers, Value]:
        """What the function returns, in wire form. Raises HubError for what it raises, LookedAtIdentity, and what is thrown in."""
        answers: Answers | None = None
        try:
            while not isinstance(reached := self._step(answers), _Returned):
                answers = yield reached
            return reached.value
        finally:
            self._close()

    def _step(self, answers: Answers | None) -> Request | _Returned:
        token = current_log.set(self._ctx.log)
        try:
            reached = self._stopwatch.step(lambda: self._guarded(answers))
        except OutOfTime as late:
            place = f" at {late.place}" if late.place else ""
            raise LimitExceeded(f"{self._function.name} used more than {self._limits.cpu_s:g} s of processor time{place}") from None
        finally:
            current_log.reset(token)
        if isinstance(reached, HubError):
            raise reached
        return reached

    def _guarded(self, answers: Answers | None) -> Request | _Returned | HubError:
        """Errors are returned, not raised: what the author raised, with all its frames, then ends here."""
        try:
            return self._advance(answers)
        except (OutOfTime, LookedAtIdentity, KeyboardInterrupt):
            raise
        except BaseException as error:  # also SystemExit and the like: a function does not end the hub
            return self._told(error)

    def _advance(self, answers: Answers | None) -> Request | _Returned:
        """One step: the first one also makes the coroutine, and the last one makes the result ready."""
        if self._coroutine is None:
            keywords = self._function.signature.bind(self._args, self._limits)
            self._coroutine = self._function.call(self._ctx, **keywords)
        try:
            while True:
                request = checked(self._coroutine.send(answers), self._coroutine)
                answers = self._stopwatch.unalarmed(self._at_hand, request)
                if answers is None:
                    return request
        except StopIteration as stop:
            returned = stop.value
        return _Returned(self._function.signature.result(returned, self._limits))

    def _close(self) -> None:
        """End a coroutine that waits for something; what its `finally` blocks do then does not count."""
        if self._coroutine is None or inspect.getcoroutinestate(self._coroutine) == inspect.CORO_CLOSED:
            return
        try:
            Stopwatch(_ENDING_S).step(self._coroutine.close)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: S110  # the run is over: there is nobody to tell
            pass

    def _told(self, error: BaseException) -> HubError:
        """What the caller is told. Runs inside of the step: the error's own data and text may be the author's code."""
        try:
            match error:
                case ApplicationError():
                    where = f"the data of an ApplicationError of {self._function.name}"
                    return ApplicationError(to_wire(error.data, self._limits, where), error.message)
                case FunctionError() | BadRequest():
                    return error
                case ValidationError() if is_of_table(error):
                    return InvalidRow(f"{error.title}: {describe(error)}")
                case _:
                    return _crash(error)
        except FunctionError as unusable:
            return unusable
        except (OutOfTime, LookedAtIdentity, KeyboardInterrupt):
            raise
        except BaseException as worse:
            return _crash(worse)


def _crash(error: BaseException) -> FunctionCrashed:
    """The first line is for everybody; the rest, for developers, says what was raised and where."""
    reference = secrets.token_hex(8)
    shown = traceback.TracebackException.from_exception(error)  # also where its own str() fails
    told = list(shown.format_exception_only())[-1].strip()
    crashed = FunctionCrashed(f"[Request ID: {reference}] Server Error\nUncaught {told}{_lines(error)}", reference)
    crashed.__cause__ = Raised("".join(shown.format()).rstrip())
    return crashed


def _lines(error: BaseException) -> str:
    """Where it went through the author's code, innermost last."""
    steps = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__) if is_authors(frame.f_code)]
    return "".join(f"\n    at {frame.f_code.co_name} ({frame.f_code.co_filename}:{line})" for frame, line in steps)
