"""An author's code runs in their types too: validators, properties, serializers, `__str__`. It is held to what functions are."""

# No `from __future__ import annotations`: annotations here name what is local to a test.

import enum
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, PlainSerializer, computed_field, model_serializer

from hub import ApplicationError, Id, Int64, Model, MutationContext, QueryContext, Table, mutation, query
from hub.errors import FunctionCrashed, FunctionError, LimitExceeded, SnapshotTooOld
from hub.functions.context import print as hub_print
from hub.functions.limits import Limits
from hub.store import Insert
from hub.values import Row, RowId
from tests.functions.rows_in_memory import Rows, run_one, value_of


class Note(Table, name="code_in_types_notes"):
    text: str
    anything: Any = None


def spin(seconds: float = 0.5) -> str:
    """Longer than any limit here, and not for ever: a hub that does not stop it fails the test instead of hanging it."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass
    return "spun"


def leave() -> str:
    raise SystemExit(3)


def stop_iterating() -> str:
    raise StopIteration("not the function's return")


Act = Callable[[], str]


def argument_validator(act: Act) -> Any:
    @query
    async def takes(ctx: QueryContext, text: Annotated[str, AfterValidator(lambda _: act())] = "") -> str:
        return text

    return takes


def result_validator(act: Act) -> Any:
    @query
    async def gives(ctx: QueryContext) -> Annotated[str, AfterValidator(lambda _: act())]:
        return "text"

    return gives


def computed(act: Act) -> Any:
    class Shown(Model):
        @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated property; pydantic's own example
        @property
        def text(self) -> str:
            return act()

    @query
    async def shows(ctx: QueryContext) -> Shown:
        return Shown()

    return shows


def serializer(act: Act) -> Any:
    class Shown(Model):
        text: Annotated[str, PlainSerializer(lambda _: act())] = ""

        @model_serializer(mode="wrap")
        def _serialize(self, dump: Callable[[object], dict[str, Any]]) -> dict[str, Any]:
            return dump(self)

    @query
    async def shows(ctx: QueryContext) -> Shown:
        return Shown()

    return shows


def mapping(act: Act) -> Any:
    class Lazy(Mapping[str, str]):
        def __getitem__(self, key: str) -> str:
            return act()

        def __iter__(self) -> Iterator[str]:
            return iter(["key"])

        def __len__(self) -> int:
            return 1

    @query
    async def gives(ctx: QueryContext) -> Any:
        return {"lazy": Lazy()}

    return gives


def text_of_an_error(act: Act) -> Any:
    class Told(Exception):
        def __str__(self) -> str:
            return act()

    @query
    async def fails(ctx: QueryContext) -> None:
        raise Told

    return fails


def data_of_an_application_error(act: Act) -> Any:
    class Refused(ApplicationError):
        def __init__(self) -> None:
            super().__init__("data")

        @property
        def data(self) -> Any:
            return act()

        @data.setter
        def data(self, _: Any) -> None: ...

    @query
    async def refuses(ctx: QueryContext) -> None:
        raise Refused

    return refuses


PLACES = [
    argument_validator,
    result_validator,
    computed,
    serializer,
    mapping,
    text_of_an_error,
    data_of_an_application_error,
]


@pytest.mark.parametrize("place", PLACES)
async def test_code_in_a_type_has_the_processor_time_of_its_function(place: Callable[[Act], Any]) -> None:
    run = await run_one(place(spin), {"text": ""} if place is argument_validator else {}, limits=Limits(cpu_s=0.05))
    assert isinstance(run.error, LimitExceeded), run.error
    assert f"used more than 0.05 s of processor time at {__file__}:" in run.error.message
    assert run.value is None


@pytest.mark.parametrize("act", [leave, stop_iterating])
@pytest.mark.parametrize("place", PLACES)
async def test_nothing_that_code_in_a_type_raises_ends_the_hub(place: Callable[[Act], Any], act: Act) -> None:
    run = await run_one(place(act), {"text": ""} if place is argument_validator else {})
    assert isinstance(run.error, FunctionError), run.error


async def test_arguments_function_and_result_share_one_time() -> None:
    def third(text: str) -> str:
        spin(0.04)
        return text

    @query
    async def all_three(ctx: QueryContext, text: Annotated[str, AfterValidator(third)]) -> Annotated[str, AfterValidator(third)]:
        return third(text)

    assert await value_of(all_three, {"text": "a"}, limits=Limits(cpu_s=1.0)) == "a"
    assert isinstance((await run_one(all_three, {"text": "a"}, limits=Limits(cpu_s=0.1))).error, LimitExceeded)


async def test_a_crash_in_a_validator_says_where() -> None:
    run = await run_one(argument_validator(leave), {"text": ""})
    assert isinstance(run.error, FunctionCrashed)
    assert "Uncaught SystemExit: 3" in run.error.message
    assert f"at leave ({__file__}:{leave.__code__.co_firstlineno + 1})" in run.error.message


async def test_a_validator_may_raise_an_application_error_with_data_of_any_kind() -> None:
    def refuse(_: str) -> str:
        raise ApplicationError({Color.RED: Color.RED}, "not today")

    class Color(enum.StrEnum):
        RED = "red"

    @query
    async def takes(ctx: QueryContext, text: Annotated[str, AfterValidator(refuse)]) -> str:
        return text

    run = await run_one(takes, {"text": ""})
    assert isinstance(run.error, ApplicationError)
    assert (run.error.data, run.error.message) == ({"red": "red"}, "not today")
    assert type(run.error.data["red"]) is str


async def test_what_a_validator_prints_is_a_log_line() -> None:
    def talk(text: str) -> str:
        hub_print("checked", text)
        return text

    @query
    async def takes(ctx: QueryContext, text: Annotated[str, AfterValidator(talk)]) -> Annotated[str, AfterValidator(talk)]:
        return text + "!"

    assert (await run_one(takes, {"text": "a"})).log_lines == ("[LOG] 'checked' 'a'", "[LOG] 'checked' 'a!'")


async def test_logging_a_crash_runs_no_code_of_the_author() -> None:
    asked: list[str] = []

    class Told(Exception):
        def __str__(self) -> str:
            asked.append("str")
            return "the text"

    @query
    async def fails(ctx: QueryContext) -> None:
        raise Told

    run = await run_one(fails)
    assert run.error is not None
    asked.clear()
    logged = "".join(traceback.format_exception(run.error))
    assert "Told: the text" in logged
    assert f'File "{__file__}", line' in logged
    assert asked == []


async def test_a_function_that_leaves_while_it_is_ended_does_not_end_the_hub() -> None:
    class Away(Rows):
        async def get(self, table: str, ids: Sequence[RowId]) -> dict[RowId, Row]:
            raise SnapshotTooOld("too old")

    @query
    async def leaves(ctx: QueryContext) -> None:
        try:
            await ctx.db.get(Note, Id("c"))
        finally:
            leave()

    with pytest.raises(SnapshotTooOld):
        await run_one(leaves, rows=Away())


class OwnFloat(float): ...


class OwnText(str):
    __slots__ = ()

    def __str__(self) -> str:
        return self


class OwnBytes(bytes): ...


class OwnInt(int): ...


class OwnInt64(Int64): ...


OWN: list[Any] = [OwnFloat(1.5), OwnText("a"), OwnText("ä"), OwnBytes(b"a"), OwnInt(1), OwnInt64(2)]
PLAIN = [float, str, str, bytes, int, Int64]


async def test_values_leave_a_run_as_exactly_the_types_of_the_wire() -> None:
    @query
    async def gives(ctx: QueryContext) -> Any:
        return [*OWN, {OwnText("key"): OwnInt(1)}]

    value = await value_of(gives)
    assert [type(item) for item in value] == [*PLAIN, dict]
    assert [type(item) for pair in value[-1].items() for item in pair] == [str, int]


async def test_written_values_are_of_exactly_the_stored_types() -> None:
    @mutation
    async def writes(ctx: MutationContext) -> None:
        await ctx.db.insert(Note(text="a", anything=OWN))

    [write] = (await run_one(writes)).writes
    assert isinstance(write, Insert)
    stored = write.row["anything"]
    assert isinstance(stored, list)
    assert [type(item) for item in stored] == PLAIN
