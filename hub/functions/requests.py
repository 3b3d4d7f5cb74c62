"""Requests: what a function waits for. `ctx.db` awaits one, the stepper answers it, `gather` asks several at once.

A function is not a task: its coroutine is stepped by hand, so that it can run synchronously against rows in memory, and so that
it cannot wait for anything but these.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, cast

from hub.core.ranges import IndexRange
from hub.errors import FunctionError
from hub.functions.places import authors_line, is_authors
from hub.values import Row, RowId

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ReadRange:
    """Answered by the rows of the range, in its direction, up to its limit."""

    wanted: IndexRange

    def __await__(self) -> Generator[Request, Answers, list[Row]]:
        answers = yield (self,)
        return cast("list[Row]", answers[0])


@dataclass(frozen=True, slots=True)
class ReadRows:
    """Answered by the rows there are, by id."""

    table: str
    ids: tuple[RowId, ...]

    def __await__(self) -> Generator[Request, Answers, dict[RowId, Row]]:
        answers = yield (self,)
        return cast("dict[RowId, Row]", answers[0])


Part: TypeAlias = ReadRange | ReadRows
Answer: TypeAlias = list[Row] | dict[RowId, Row]
Request: TypeAlias = tuple[Part, ...]
Answers: TypeAlias = Sequence[Answer]


class ForeignAwait(FunctionError):
    """A function awaited something that the hub does not step."""


async def gather(awaitables: Sequence[Awaitable[T]]) -> list[T]:
    """Run ctx coroutines side by side: what they wait for at one time is fetched together.

    The first one to raise ends the others.
    """
    strands = [_Strand(_coroutine(awaitable)) for awaitable in awaitables]
    try:
        for strand in strands:
            strand.step(None)
        while waiting := [strand for strand in strands if strand.request]:
            answers = await _Together(tuple(part for strand in waiting for part in strand.request))
            for strand in waiting:
                count = len(strand.request)
                mine, answers = answers[:count], answers[count:]
                strand.step(mine)
        return [cast(T, strand.result) for strand in strands]
    finally:
        for strand, awaitable in zip(strands, awaitables, strict=True):
            strand.coroutine.close()
            if isinstance(awaitable, Coroutine):
                awaitable.close()  # one that was never begun would complain


async def _coroutine(awaitable: Awaitable[T]) -> T:
    return await awaitable


@dataclass(frozen=True, slots=True)
class _Together:
    request: Request

    def __await__(self) -> Generator[Request, Answers, Answers]:
        return (yield self.request)


class _Strand:
    """One of the coroutines in a gather: what it waits for, and in the end its result."""

    __slots__ = ("coroutine", "request", "result")

    def __init__(self, coroutine: Coroutine[Any, Answers | None, object]) -> None:
        self.coroutine = coroutine
        self.request: Request = ()
        self.result: object = None

    def step(self, answers: Answers | None) -> None:
        try:
            self.request = checked(self.coroutine.send(answers), self.coroutine)
        except StopIteration as stop:
            self.request, self.result = (), stop.value


def checked(waiting_for: object, coroutine: Coroutine[Any, Any, Any]) -> Request:
    """What a coroutine yielded, if it is a request; else the author's mistake, raised inside it at the line that awaits."""
    if isinstance(waiting_for, tuple) and waiting_for:
        for part in waiting_for:
            if not isinstance(part, (ReadRange, ReadRows)):
                break
        else:
            return waiting_for
    place = awaiting_line(coroutine)
    error = ForeignAwait(f"{place}: a function may await only ctx (ctx.db, ctx.gather), nothing else")
    try:
        coroutine.throw(error)
    except StopIteration:
        pass  # swallowed: it is an error all the same
    raise error


def awaiting_line(coroutine: object) -> str:
    """`file:line` of the author's code in which the coroutine waits, the innermost one."""
    place = ""
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None)
        if frame is not None and is_authors(frame.f_code):
            place = authors_line(frame)
        coroutine = getattr(coroutine, "cr_await", None)
    return place
