"""Running functions: what comes in, what goes out, and what a function may not do."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import enum
import gc
import re
from collections.abc import Sequence
from typing import Any, Literal, NotRequired

import pytest
from pydantic import field_validator
from typing_extensions import TypedDict

from hub import ApplicationError, Id, Identity, Index, Int64, Model, MutationContext, ObjectId, QueryContext, Table, mutation, query
from hub.core.ranges import IndexRange
from hub.errors import (
    ArgumentValidation,
    FunctionCrashed,
    FunctionError,
    InvalidRow,
    LimitExceeded,
    SnapshotTooOld,
    UniqueViolation,
)
from hub.functions.context import print as hub_print
from hub.functions.execution import Run
from hub.functions.identity import Caller
from hub.functions.limits import Limits
from hub.store import Insert, Update
from hub.values import Row, RowId, Value
from tests.functions.rows_in_memory import Rows, run_one, value_of


class User(Table, name="users"):
    external_id: str
    nick_name: str | None = None


class Chat(Table, name="chats"):
    user_id: Id[User]
    title: str
    updated_at: float


users_by_external_id = User.index(lambda user: (user.external_id,), unique=True)
chats_by_user: Index[Chat, Id[User], float] = Chat.index(lambda chat: (chat.user_id, chat.updated_at))


class Created(Model):
    chat_id: Id[Chat]


@mutation
async def create(ctx: MutationContext, user_id: Id[User], title: str) -> Created:
    chat_id = await ctx.db.insert(Chat(user_id=user_id, title=title, updated_at=ctx.now))
    return Created(chat_id=chat_id)


@mutation
async def rename(ctx: MutationContext, chat_id: Id[Chat], title: str) -> None:
    chat = await ctx.db.get(Chat, chat_id)
    assert chat is not None
    draft = chat.draft()
    draft.title = title
    await ctx.db.patch(draft)


@query
async def list_(ctx: QueryContext, user_id: Id[User], limit: int = 50) -> list[Chat]:
    return await ctx.db.query(chats_by_user, user_id).order("desc").take(limit)


async def test_rows_go_out_with_wire_names_id_and_creation_time() -> None:
    rows = Rows()
    created = await run_one(create, {"userId": "u1", "title": "one"}, rows=rows)
    assert created.error is None
    [write] = created.writes
    assert isinstance(write, Insert)
    assert write.row == {"_id": write.id, "_creationTime": 1.79e12, "userId": "u1", "title": "one", "updatedAt": 1.79e12}
    assert created.value == {"chatId": write.id}
    assert await value_of(list_, {"userId": "u1"}, rows=rows) == [dict(write.row)]


async def test_a_patch_writes_only_what_changed() -> None:
    rows = Rows()
    chat_id = (await value_of(create, {"userId": "u1", "title": "one"}, rows=rows))["chatId"]
    [write] = (await run_one(rename, {"chatId": chat_id, "title": "two"}, rows=rows)).writes
    assert isinstance(write, Update)
    assert (write.set, write.unset) == ({"title": "two"}, ())
    assert write.after["updatedAt"] == 1.79e12
    assert (await run_one(rename, {"chatId": chat_id, "title": "two"}, rows=rows)).writes == ()


# --- Arguments -----------------------------------------------------------------------------------------------------


class Color(enum.Enum):
    RED = "red"


class Part(Model):
    item_count: int
    made_at: dt.datetime | None = None
    color: Color | None = None


@query
async def echo(
    ctx: QueryContext,
    count: int = 0,
    ratio: float = 0.0,
    is_on: bool = False,
    some_text: str = "",
    raw: bytes = b"",
    big: Int64 | None = None,
    made_at: dt.datetime | None = None,
    object_id: ObjectId | None = None,
    color: Color = Color.RED,
    pair: tuple[int, ...] = (),
    part: Part | None = None,
    parts: list[Part] | None = None,
    from_: str = "",
    anything: Any = None,
) -> list[Any]:
    given = [count, ratio, is_on, some_text, raw, big, made_at, object_id, color, pair, part, parts, from_, anything]
    return [value for value in given if value is not None and value not in (0, "", b"", (), Color.RED)]


MOMENT = dt.datetime(2026, 11, 23, 12, 0, 0, 500_000, tzinfo=dt.UTC)
MOMENT_MS = MOMENT.timestamp() * 1000
HEX = "5f0000000000000000000001"


@pytest.mark.parametrize(
    ("args", "value"),
    [
        pytest.param({"count": 3.0}, [3], id="a whole float is an int"),
        pytest.param({"ratio": 3}, [3.0], id="an int is a float"),
        pytest.param({"raw": b"x"}, [b"x"], id="bytes"),
        pytest.param({"big": Int64(2**60)}, [Int64(2**60)], id="a bigint"),
        pytest.param({"madeAt": MOMENT_MS}, [MOMENT_MS], id="a moment is milliseconds"),
        pytest.param({"objectId": HEX}, [HEX], id="an ObjectId is its digits"),
        pytest.param({"pair": [1.0, 2]}, [[1, 2]], id="a tuple is an array"),
        pytest.param({"part": {"itemCount": 1.0}}, [{"itemCount": 1}], id="a model is an object"),
        pytest.param({"parts": [{"itemCount": 1, "color": "red"}]}, [[{"itemCount": 1, "color": "red"}]], id="nested"),
        pytest.param({"part": {"itemCount": 1, "madeAt": 1000.5}}, [{"itemCount": 1, "madeAt": 1000.5}], id="a moment inside"),
        pytest.param({"from": "x"}, ["x"], id="a trailing underscore only avoids a Python name"),
        pytest.param({"anything": {"a": [1, None]}}, [{"a": [1, None]}], id="any value"),
    ],
)
async def test_arguments_come_in_and_go_out_in_wire_form(args: dict[str, Value], value: list[Value]) -> None:
    returned = await value_of(echo, args)
    assert returned == value
    assert [type(item) for item in returned] == [type(item) for item in value]


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ({"count": "3"}, "`count`: Input should be a valid integer, not a string"),
        ({"count": True}, "`count`: Input should be a valid integer, not a boolean"),
        ({"count": 3.5}, "`count`: Input should be a valid integer, not a number"),
        ({"count": None}, "`count`: Input should be a valid integer, not null"),
        ({"isOn": 1}, "`isOn`: Input should be a valid boolean, not a number"),
        ({"someText": 5}, "`someText`: Input should be a valid string, not a number"),
        ({"some_text": "x"}, "unknown argument `some_text`"),
        ({"nope": 1}, "unknown argument `nope`; tests:echo takes count, ratio"),
        ({"part": {"itemCount": "1"}}, "`part.itemCount`: Input should be a valid integer, not a string"),
        ({"part": {}}, "`part.itemCount` is missing"),
        ({"part": {"itemCount": 1, "more": 2}}, "`part.more`: Extra inputs are not permitted"),
        ({"parts": [{"itemCount": 1}, 7]}, "`parts.1`"),
        ({"objectId": "xyz"}, "`objectId`"),
        ({"color": "blue"}, "`color`: Input should be 'red'"),
        ({"madeAt": 1e300}, "`madeAt`"),
        ({"someText": "\ud83d"}, "unpaired surrogate"),
        ({"big": 5}, "`big`"),
    ],
)
async def test_a_wrong_argument_is_named_as_the_caller_wrote_it(args: dict[str, Value], told: str) -> None:
    run = await run_one(echo, args)
    assert isinstance(run.error, ArgumentValidation)
    assert run.error.message.startswith("ArgumentValidationError: ")
    assert told in run.error.message
    assert run.value is None


async def test_a_missing_argument_is_named() -> None:
    run = await run_one(create, {"userId": "u"})
    assert isinstance(run.error, ArgumentValidation)
    assert run.error.message == "ArgumentValidationError: `title` is missing"


# --- Results -------------------------------------------------------------------------------------------------------


class Shape(TypedDict):
    side_count: int
    nick_name: NotRequired[str | None]


@dataclasses.dataclass
class Point:
    x_axis: float


def returning(annotation: Any, value: object) -> Any:
    async def give(ctx: QueryContext) -> Any:
        return value

    give.__annotations__ = {"ctx": QueryContext, "return": annotation}
    return query(give)


@pytest.mark.parametrize(
    ("annotation", "value", "wire"),
    [
        (None, None, None),
        (int, 2**53, 2**53),
        (float, 3, 3.0),
        (Int64, Int64(2**60), Int64(2**60)),
        (list[Shape], [{"side_count": 3, "nick_name": None}], [{"sideCount": 3}]),
        (Point | None, Point(1.0), {"xAxis": 1.0}),
        (dict[str, int | None], {"a_b": None}, {"a_b": None}),
        (tuple[int, str], (1, "x"), [1, "x"]),
        (Literal["a", "b"], "b", "b"),
        (Color, Color.RED, "red"),
        (list[Part | int], [Part(item_count=1), 2], [{"itemCount": 1}, 2]),
        (dt.datetime, MOMENT, MOMENT_MS),
        (ObjectId, ObjectId(HEX), HEX),
        (Id[User], Id("u"), "u"),
        (object, {"any": [1]}, {"any": [1]}),
    ],
)
async def test_results_go_out_in_wire_form(annotation: Any, value: object, wire: Value) -> None:
    returned = await value_of(returning(annotation, value))
    assert returned == wire
    assert type(returned) is type(wire)


@pytest.mark.parametrize(
    ("annotation", "value", "told"),
    [
        (int, "x", "tests:give returned what its annotation does not allow: result: Input should be a valid integer"),
        (list[Part], [Part(item_count=1), 3], "result[1]"),
        (int, 2**53 + 1, "exact up to 2^53 only; declare it hub.Int64"),
        (Any, object(), "object"),
        (dict[str, int], {"ä": 1}, "printable ASCII"),
        (dict[str, int], {"$set": 1}, "do not start with $"),
        (str, "\udc00", "unpaired surrogate"),
        (User, User(external_id="x"), "not a row yet"),
    ],
)
async def test_a_result_the_wire_cannot_carry_is_the_functions_error(annotation: Any, value: object, told: str) -> None:
    run = await run_one(returning(annotation, value))
    assert isinstance(run.error, FunctionError)
    assert told in run.error.message


# --- Limits --------------------------------------------------------------------------------------------------------


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


async def test_values_may_be_nested_64_deep() -> None:
    assert await value_of(returning(Any, nested(64))) == nested(64)
    for run in (await run_one(returning(Any, nested(65))), await run_one(echo, {"anything": nested(64)})):
        assert isinstance(run.error, LimitExceeded)
        assert "deeper than 64" in run.error.message


async def test_arguments_and_results_have_a_size() -> None:
    limits = Limits(args_bytes=100, result_bytes=100)
    assert isinstance((await run_one(echo, {"someText": "x" * 101}, limits=limits)).error, LimitExceeded)
    assert isinstance((await run_one(returning(str, "x" * 101), limits=limits)).error, LimitExceeded)
    assert await value_of(echo, {"someText": "x" * 50}, limits=limits) == ["x" * 50]


def chats(count: int, title: str = "t") -> Rows:
    rows: list[Row] = [
        {"_id": f"c{n}", "_creationTime": 1.0, "userId": "u", "title": title, "updatedAt": float(n)} for n in range(count)
    ]
    return Rows(chats=rows)


@query
async def everything(ctx: QueryContext) -> int:
    return len(await ctx.db.query(chats_by_user, Id[User]("u")).collect())


async def test_too_many_rows_read_end_the_run_without_fetching_them_all() -> None:
    rows = chats(30)
    run = await run_one(everything, rows=rows, limits=Limits(rows_read=10))
    assert isinstance(run.error, LimitExceeded)
    assert "tests:everything read more than 10 rows" in run.error.message
    [asked] = rows.asked
    assert isinstance(asked, IndexRange)
    assert asked.limit == 11
    assert await value_of(everything, rows=rows, limits=Limits(rows_read=30)) == 30


async def test_too_many_bytes_read_end_the_run() -> None:
    run = await run_one(everything, rows=chats(3, title="x" * 1000), limits=Limits(bytes_read=2500))
    assert isinstance(run.error, LimitExceeded)


@mutation
async def write_many(ctx: MutationContext, count: int, size: int = 1) -> None:
    for _ in range(count):
        await ctx.db.insert(Chat(user_id=Id("u"), title="x" * size, updated_at=1))


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        (Limits(rows_written=4), "wrote more than 4 rows"),
        (Limits(bytes_written=3000), "wrote more than 3000 bytes"),
        (Limits(row_bytes=900), "a row may have 900"),
    ],
)
async def test_too_much_written_ends_the_run_and_writes_nothing(limits: Limits, told: str) -> None:
    run = await run_one(write_many, {"count": 5, "size": 1000}, limits=limits)
    assert isinstance(run.error, LimitExceeded)
    assert told in run.error.message
    assert run.writes == ()


@query
async def spin(ctx: QueryContext) -> None:
    while True:
        pass


@query
async def spin_and_swallow(ctx: QueryContext) -> None:
    while True:
        try:
            sum(range(10))
        except Exception:
            pass


@query
async def spin_and_swallow_everything(ctx: QueryContext) -> None:
    while True:
        try:
            sum(range(10))
        except:  # noqa: E722  # the worst an author can do
            pass


@pytest.mark.parametrize("function", [spin, spin_and_swallow, spin_and_swallow_everything])
async def test_a_function_that_spins_is_stopped_at_its_line(function: Any) -> None:
    run = await run_one(function, limits=Limits(cpu_s=0.05))
    assert isinstance(run.error, LimitExceeded)
    assert f"tests:{function.__name__} used more than 0.05 s of processor time at {__file__}:" in run.error.message


async def test_processor_time_is_that_of_the_whole_run() -> None:
    @query
    async def by_and_by(ctx: QueryContext) -> None:
        for number in range(10_000):
            await ctx.db.get(Chat, Id(str(number)))
            sum(range(20_000))

    run = await run_one(by_and_by, limits=Limits(cpu_s=0.1))
    assert isinstance(run.error, LimitExceeded)
    assert len(run.reads.rows) < 10_000


async def test_another_thread_measures_without_an_alarm() -> None:
    def in_a_thread() -> Run:
        return asyncio.run(run_one(everything, rows=chats(1), limits=Limits(cpu_s=0.0)))

    run = await asyncio.to_thread(in_a_thread)
    assert isinstance(run.error, LimitExceeded)


# --- What a function may wait for ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0, 1])
async def test_awaiting_anything_but_ctx_is_refused_at_its_line(seconds: int) -> None:
    @query
    async def nap(ctx: QueryContext) -> None:
        await asyncio.sleep(seconds)

    run = await run_one(nap)
    assert isinstance(run.error, FunctionError)
    line = nap.__code__.co_firstlineno + 2
    assert run.error.message == f"{__file__}:{line}: a function may await only ctx (ctx.db, ctx.gather), nothing else"


async def test_a_foreign_await_inside_of_a_gather_is_refused_at_its_line() -> None:
    @query
    async def nap(ctx: QueryContext) -> None:
        await ctx.gather(ctx.db.get(Chat, Id("c")), asyncio.sleep(0))
        await ctx.gather(doze(), ctx.db.get(Chat, Id("c")))

    async def doze() -> None:
        await asyncio.sleep(0)

    run = await run_one(nap)
    assert isinstance(run.error, FunctionError)
    assert "a function may await only ctx" in run.error.message


async def test_swallowing_the_refusal_does_not_help() -> None:
    @query
    async def nap(ctx: QueryContext) -> str:
        try:
            await asyncio.sleep(0)
        except Exception:
            return "slept"
        return "never"

    assert isinstance((await run_one(nap)).error, FunctionError)


async def test_gather_asks_for_everything_at_once() -> None:
    rows = chats(3)

    async def title(ctx: QueryContext, chat_id: str) -> str:
        chat = await ctx.db.get(Chat, Id(chat_id))
        assert chat is not None
        user = await ctx.db.get(User, chat.user_id)
        assert user is None
        return chat.title + chat_id

    steps: list[int] = []

    class Counting(Rows):
        async def get(self, table: str, ids: Sequence[RowId]) -> dict[RowId, Row]:
            steps.append(self.running)
            self.running += 1
            await asyncio.sleep(0)
            self.running -= 1
            return await rows.get(table, ids)

        running = 0

    @query
    async def titles(ctx: QueryContext) -> list[str]:
        both = await ctx.gather(title(ctx, "c0"), ctx.gather(title(ctx, "c1"), title(ctx, "c2")))
        return [both[0], *both[1]]

    assert await value_of(titles, rows=Counting()) == ["tc0", "tc1", "tc2"]
    assert steps == [0, 1, 2, 0, 1, 2]


async def test_the_first_error_in_a_gather_ends_the_others() -> None:
    ended: list[str] = []

    async def waits(ctx: QueryContext) -> None:
        try:
            await ctx.db.get(Chat, Id("a"))
            await ctx.db.get(Chat, Id("b"))
        finally:
            ended.append("waits")

    async def fails(ctx: QueryContext) -> None:
        await ctx.db.get(Chat, Id("c"))
        raise ApplicationError("no")

    @query
    async def both(ctx: QueryContext) -> None:
        await ctx.gather(waits(ctx), fails(ctx))

    run = await run_one(both)
    assert isinstance(run.error, ApplicationError)
    assert ended == ["waits"]


async def test_get_many_is_one_request_and_keeps_the_order() -> None:
    rows = chats(3)

    @query
    async def some(ctx: QueryContext) -> list[str | None]:
        await ctx.db.get(Chat, Id("c1"))
        found = await ctx.db.get_many(Chat, [Id("c2"), Id("nope"), Id("c1"), Id("c2")])
        return [None if chat is None else chat.id for chat in found]

    assert await value_of(some, rows=rows) == ["c2", None, "c1", "c2"]
    assert rows.asked == [("chats", ("c1",)), ("chats", ("c2", "nope"))], "what is known is not asked for again"


# --- Who asks ------------------------------------------------------------------------------------------------------


@query
async def whoami(ctx: QueryContext, look: bool = True) -> str:
    if not look:
        return "anybody"
    try:
        return ctx.auth.subject if ctx.auth is not None else f"trusted: {ctx.is_trusted}"
    except Exception:
        return "swallowed"


async def test_a_shared_run_ends_where_it_looks_at_the_caller() -> None:
    run = await run_one(whoami, caller=None)
    assert run.reads.saw_identity
    assert (run.value, run.error, run.writes) == (None, None, ())
    run = await run_one(whoami, {"look": False}, caller=None)
    assert not run.reads.saw_identity
    assert run.value == "anybody"


async def test_even_a_bare_except_cannot_hide_that_a_shared_run_looked() -> None:
    @query
    async def sly(ctx: QueryContext) -> str:
        try:
            return f"{ctx.is_trusted}"
        except:  # noqa: E722  # the worst an author can do
            return "for everybody"

    assert (await run_one(sly, caller=None)).reads.saw_identity


async def test_with_a_caller_looking_is_noted_and_works() -> None:
    run = await run_one(whoami, caller=Caller(Identity("https://issuer", "ada")))
    assert (run.value, run.reads.saw_identity) == ("ada", True)
    assert await value_of(whoami) == "trusted: True"


# --- Errors --------------------------------------------------------------------------------------------------------


async def test_an_application_error_carries_its_data_in_wire_form() -> None:
    @query
    async def refuse(ctx: QueryContext) -> None:
        raise ApplicationError({"code": "NO", "at": MOMENT, "id": Id[Chat]("c")})

    run = await run_one(refuse)
    assert isinstance(run.error, ApplicationError)
    assert run.error.data == {"code": "NO", "at": MOMENT_MS, "id": "c"}
    assert type(run.error.data["id"]) is str


async def test_data_the_wire_cannot_carry_is_the_functions_error() -> None:
    @query
    async def refuse(ctx: QueryContext) -> None:
        raise ApplicationError({"code": object()})

    run = await run_one(refuse)
    assert isinstance(run.error, FunctionError)
    assert "the data of an ApplicationError of tests:refuse holds a object" in run.error.message


async def test_a_crash_says_to_everybody_only_a_reference() -> None:
    @query
    async def crash(ctx: QueryContext) -> None:
        raise ValueError("secret")

    run = await run_one(crash)
    assert isinstance(run.error, FunctionCrashed)
    first, second, third = run.error.message.splitlines()
    assert re.fullmatch(r"\[Request ID: [0-9a-f]{16}\] Server Error", first)
    assert run.error.reference in first
    assert second == "Uncaught ValueError: secret"
    assert third == f"    at crash ({__file__}:{crash.__code__.co_firstlineno + 2})"
    assert str(run.error.__cause__).endswith("ValueError: secret")


@pytest.mark.parametrize("raised", [SystemExit(3), asyncio.CancelledError(), GeneratorExit(), RecursionError()])
async def test_nothing_a_function_raises_ends_the_hub(raised: BaseException) -> None:
    @query
    async def end(ctx: QueryContext) -> None:
        raise raised

    assert isinstance((await run_one(end)).error, FunctionCrashed)


async def test_errors_of_the_reader_are_not_the_functions() -> None:
    class Away(Rows):
        async def get(self, table: str, ids: Sequence[RowId]) -> dict[RowId, Row]:
            raise SnapshotTooOld("too old")

    @query
    async def hopeful(ctx: QueryContext) -> str:
        try:
            await ctx.gather(ctx.db.get(Chat, Id("c")), ctx.db.get(User, Id("u")))
        except Exception:
            return "swallowed"
        return "read"

    with pytest.raises(SnapshotTooOld):
        await run_one(hopeful, rows=Away())


async def test_cancelling_a_run_ends_the_function() -> None:
    ended: list[bool] = []

    class Stuck(Rows):
        async def get(self, table: str, ids: Sequence[RowId]) -> dict[RowId, Row]:
            task.cancel()
            await asyncio.sleep(60)
            return {}

    @query
    async def waits(ctx: QueryContext) -> None:
        try:
            await ctx.db.get(Chat, Id("c"))
        finally:
            ended.append(True)

    task = asyncio.create_task(run_one(waits, rows=Stuck()))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]


async def test_what_a_failed_run_read_counts_and_its_writes_do_not() -> None:
    @mutation
    async def fail(ctx: MutationContext) -> None:
        await ctx.db.insert(User(external_id="x"))
        raise ApplicationError("no")

    run = await run_one(fail)
    assert run.writes == ()
    assert run.reads.ranges


async def test_a_unique_violation_is_raised_at_the_insert_and_can_be_caught() -> None:
    @mutation
    async def twice(ctx: MutationContext, catch: bool) -> str:
        await ctx.db.insert(User(external_id="x"))
        try:
            await ctx.db.insert(User(external_id="x"))
        except UniqueViolation as error:
            if catch:
                return error.message
            raise
        return "both"

    assert await value_of(twice, {"catch": True}) == "users already has a row with externalId 'x'"
    run = await run_one(twice, {"catch": False})
    assert isinstance(run.error, UniqueViolation)
    assert run.writes == ()


async def test_who_looks_whether_a_key_is_taken_and_inserts_it_asks_for_it_once() -> None:
    @mutation
    async def ensure(ctx: MutationContext, name: str, again: bool) -> int:
        if await ctx.db.query(users_by_external_id, name).unique() is None:
            await ctx.db.insert(User(external_id=name))
        if again:
            await ctx.db.insert(User(external_id=name))
        return len(await ctx.db.query(users_by_external_id, name).collect())

    rows = Rows()
    run = await run_one(ensure, {"name": "x", "again": False}, rows=rows)
    assert (run.value, len(run.writes)) == (1, 1)
    key = IndexRange(users_by_external_id.key, ("x",))
    assert [wanted for wanted in rows.asked if isinstance(wanted, IndexRange)] == [key.limited_to(2)]
    assert run.reads.ranges == [key]
    assert await value_of(ensure, {"name": "x", "again": False}, rows=rows) == 1
    refused = await run_one(ensure, {"name": "x", "again": True}, rows=rows)
    assert isinstance(refused.error, UniqueViolation)


async def test_a_key_that_the_run_gave_up_and_took_again_is_seen_as_it_is() -> None:
    @mutation
    async def swap(ctx: MutationContext) -> list[int]:
        seen = []
        user = await ctx.db.query(users_by_external_id, "x").unique()
        assert user is not None
        draft = user.draft()
        draft.external_id = "y"
        await ctx.db.patch(draft)
        seen.append(len(await ctx.db.query(users_by_external_id, "x").collect()))
        await ctx.db.insert(User(external_id="x"))
        seen.append(len(await ctx.db.query(users_by_external_id, "x").take(5)))
        await ctx.db.delete(User, user.id)
        seen.append(len(await ctx.db.query(users_by_external_id, "x").take(5)))
        seen.append(len(await ctx.db.query(users_by_external_id, "y").take(5)))
        return seen

    rows = Rows(users=[{"_id": "u1", "_creationTime": 1.0, "externalId": "x"}])
    assert await value_of(swap, rows=rows) == [0, 1, 1, 0]


@pytest.mark.parametrize("way", ["construct", "copy", "patch"])
async def test_what_was_put_into_a_row_past_its_checks_is_refused_when_it_is_written(way: str) -> None:
    @mutation
    async def smuggle(ctx: MutationContext) -> None:
        good = User(external_id="x")
        wrong: Any = 3
        if way == "construct":
            await ctx.db.insert(User.model_construct(external_id=wrong))
        elif way == "copy":
            await ctx.db.insert(good.model_copy(update={"external_id": wrong}))
        else:
            row = await ctx.db.get(User, await ctx.db.insert(good))
            assert row is not None
            draft = row.draft()
            draft.__dict__["external_id"] = wrong
            await ctx.db.patch(draft)

    run = await run_one(smuggle)
    assert isinstance(run.error, InvalidRow)
    assert run.error.message == "users: external_id: Input should be a valid string"


async def test_a_row_that_its_table_refuses_is_told_to_the_caller() -> None:
    @mutation
    async def write(ctx: MutationContext, wrong: Any) -> None:
        await ctx.db.insert(User(external_id=wrong))

    run = await run_one(write, {"wrong": 3})
    assert isinstance(run.error, InvalidRow)
    assert run.error.message == "User: external_id: Input should be a valid string"


class Even(Model):
    number: int

    @field_validator("number")
    @classmethod
    def _is_even(cls, number: int) -> int:
        if number == 0:
            raise ZeroDivisionError("of the validator itself")
        if number % 2:
            raise ValueError("must be even")
        return number


async def test_an_applications_own_validators_may_refuse_and_may_fail() -> None:
    @query
    async def even(ctx: QueryContext, number: Even) -> int:
        return number.number

    assert await value_of(even, {"number": {"number": 2}}) == 2
    refused, failed = [await run_one(even, {"number": {"number": number}}) for number in (1, 0)]
    assert isinstance(refused.error, ArgumentValidation)
    assert "`number.number`: Value error, must be even" in refused.error.message
    assert isinstance(failed.error, FunctionCrashed)
    assert "Uncaught ZeroDivisionError: of the validator itself" in failed.error.message


async def test_an_error_that_cannot_even_be_shown_is_a_crash() -> None:
    class Ugly(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    @query
    async def crash(ctx: QueryContext) -> None:
        raise Ugly

    assert isinstance((await run_one(crash)).error, FunctionCrashed)


async def test_a_function_that_spins_while_it_is_ended_is_stopped() -> None:
    class Away(Rows):
        async def get(self, table: str, ids: Sequence[RowId]) -> dict[RowId, Row]:
            raise SnapshotTooOld("too old")

    @query
    async def clingy(ctx: QueryContext) -> None:
        try:
            await ctx.db.get(Chat, Id("c"))
        finally:
            while True:
                pass

    with pytest.raises(SnapshotTooOld):
        await run_one(clingy, rows=Away(), limits=Limits(cpu_s=0.05))


async def test_an_error_at_the_start_of_a_gather_leaves_nothing_behind() -> None:
    async def fails() -> None:
        raise ApplicationError("no")

    @query
    async def both(ctx: QueryContext) -> None:
        await ctx.gather(fails(), ctx.db.get(Chat, Id("c")))

    assert isinstance((await run_one(both)).error, ApplicationError)
    gc.collect()  # a coroutine that was never awaited would warn, and warnings are errors here


# --- Rows are read-only --------------------------------------------------------------------------------------------


async def test_setting_a_field_of_a_row_says_what_to_do_instead() -> None:
    @mutation
    async def careless(ctx: MutationContext) -> None:
        chat = await ctx.db.get(Chat, Id("c0"))
        assert chat is not None
        chat.title = "x"

    run = await run_one(careless, rows=chats(1))
    assert run.error is not None
    assert "rows are read-only: Chat.title cannot be set. Change a draft" in run.error.message


async def test_a_patch_takes_a_draft_of_a_row_that_is_there() -> None:
    @mutation
    async def patch(ctx: MutationContext, case: str) -> None:
        chat = await ctx.db.get(Chat, Id("c0"))
        assert chat is not None
        draft = chat.draft()
        draft.title = "new"
        if case == "gone":
            await ctx.db.delete(Chat, chat.id)
        await ctx.db.patch(chat if case == "row" else draft)

    for case, told in {"row": "patch() takes a draft", "gone": "chats has no row with the id c0"}.items():
        run = await run_one(patch, {"case": case}, rows=chats(1))
        assert isinstance(run.error, FunctionError)
        assert told in run.error.message


async def test_drafts_write_only_what_they_changed_so_two_of_them_add_up() -> None:
    @mutation
    async def both(ctx: MutationContext) -> None:
        chat = await ctx.db.get(Chat, Id("c0"))
        assert chat is not None
        one, other = chat.draft(), chat.draft()
        one.title, other.updated_at = "new", 9.0
        await ctx.db.patch(one)
        await ctx.db.patch(other)

    [write] = (await run_one(both, rows=chats(1))).writes
    assert isinstance(write, Update)
    assert write.set == {"title": "new", "updatedAt": 9.0}


async def test_a_query_has_no_way_to_write() -> None:
    @query
    async def sneaky(ctx: QueryContext) -> list[str]:
        return [name for name in ("insert", "patch", "replace", "delete") if hasattr(ctx.db, name)]

    assert await value_of(sneaky) == []


# --- Log lines -----------------------------------------------------------------------------------------------------


async def test_log_lines_have_the_form_that_clients_parse() -> None:
    @query
    async def talk(ctx: QueryContext) -> None:
        ctx.log.info("hello", {"b": 1}, 2)  # noqa: PLE1205  # not logging's
        ctx.log.error("bad")
        hub_print("printed", None)

    run = await run_one(talk)
    assert run.log_lines == ("[INFO] 'hello' {'b': 1} 2", "[ERROR] 'bad'", "[LOG] 'printed' None")


async def test_log_lines_are_bounded() -> None:
    @query
    async def chatter(ctx: QueryContext) -> None:
        for number in range(10):
            ctx.log.info("x" * number * 10)

    lines = (await run_one(chatter, limits=Limits(log_lines=3, log_line_chars=15))).log_lines
    assert lines == (
        "[INFO] ''",
        "[INFO] 'xxxxxxxxxx'",
        "[INFO] 'xxxxxxxxxxxxxx",
        "[WARN] 'more than 3 log lines: the rest is left out'",
    )


def test_print_outside_of_a_run_is_print(capsys: pytest.CaptureFixture[str]) -> None:
    hub_print("x", "y", sep="-")
    assert capsys.readouterr().out == "x-y\n"
