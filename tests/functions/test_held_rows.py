"""Rows that are held in memory: made once, copied for each run, and sent as if they were made anew each time."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, computed_field, field_validator

from hub import Id, Model, MutationContext, QueryContext, Table, mutation, query
from hub.core.heldrow import HeldRow
from hub.core.ranges import IndexRange
from hub.errors import LimitExceeded
from hub.functions.execution import Run, run_now
from hub.functions.ids import IdSource
from hub.functions.limits import Limits
from hub.functions.rows import decode
from hub.functions.tables import table_of
from hub.protocol import json_values
from hub.values import Row, RowId, Value
from tests.functions.rows_in_memory import NOW, function_of


class Color(enum.Enum):
    RED = "red"


class Thing(Table, name="things"):
    text: str
    number: float = 0.0
    whole: int = 0
    color: Color | None = None
    at: dt.datetime | None = None
    owner: Id[Thing] | None = None
    raw: bytes | None = None
    stored_elsewhere: str | None = Field(default=None, alias="elsewhere")
    parts: list[str] | None = None


class Wrapped(Model):
    things: list[Thing]
    first: Thing | None


class Held:
    """A memory that always knows, of rows that it holds or of ones it makes anew each time."""

    def __init__(self, *rows: Row, held: bool = True) -> None:
        self.rows: list[Row] = [HeldRow(row) if held else row for row in rows]

    def read(self, wanted: IndexRange) -> list[Row]:
        return self.rows

    def get(self, table: str, ids: object) -> dict[RowId, Row]:
        return {row["_id"]: row for row in self.rows}  # type: ignore[misc]  # the rows made here have string ids


def run_over(memory: Held, call: Callable[..., Any], limits: Limits | None = None, **args: Value) -> Run:
    done = run_now(
        function_of(call), args, caller=None, memory=memory, now=NOW, journal=None, ids=IdSource(), limits=limits or Limits()
    )
    assert done is not None
    return done


def a_thing(name: str = "t1", **fields: Any) -> Row:
    return {"_id": name, "_creationTime": 1.5, "text": name, **fields}


@query
async def everything(ctx: QueryContext) -> list[Thing]:
    return await ctx.db.query(Thing).collect()


@query
async def wrapped(ctx: QueryContext) -> Wrapped:
    things = await ctx.db.query(Thing).collect()
    return Wrapped(things=things, first=things[0] if things else None)


@query
async def by_hand(ctx: QueryContext) -> list[dict[str, Any]]:
    return [{**thing.model_dump(by_alias=True), "id": thing.id} for thing in await ctx.db.query(Thing).collect()]


@query
async def untyped(ctx: QueryContext) -> Any:
    return {"all": await ctx.db.query(Thing).collect()}


moments = st.datetimes(dt.datetime(1980, 1, 1), dt.datetime(2090, 1, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001  # naive bounds
some_rows = st.fixed_dictionaries(
    {"_id": st.sampled_from(["a", "b"]), "_creationTime": st.just(1.0), "text": st.text(st.characters(codec="utf-8"), max_size=4)},
    optional={
        "number": st.floats(),
        "whole": st.integers(-(2**31), 2**31),
        "color": st.just("red"),
        "at": moments,
        "owner": st.just("x"),
        "raw": st.binary(max_size=3),
        "elsewhere": st.text("ab", max_size=2),
        "parts": st.lists(st.text("ab", max_size=2), max_size=2),
        "undeclared": st.integers(-5, 5),
    },
)


@given(st.lists(some_rows, max_size=3), st.sampled_from([everything, wrapped, by_hand, untyped]))
def test_what_is_sent_of_held_rows_is_what_is_sent_of_rows_made_anew(rows: list[Row], call: Callable[..., Any]) -> None:
    fresh = run_over(Held(*rows, held=False), call)
    memory = Held(*rows)
    for _ in range(3):
        again = run_over(memory, call)
        assert again.error is fresh.error is None
        assert json_values.encode(again.value) == json_values.encode(fresh.value)
        assert again.reads == fresh.reads


@pytest.mark.parametrize("parts", [None, ["one"]])
def test_no_run_sees_what_another_did_to_its_rows(parts: list[str] | None) -> None:
    @query
    async def vandal(ctx: QueryContext) -> list[Thing]:
        things = await ctx.db.query(Thing).collect()
        for thing in things:
            thing.__dict__["text"] = "defaced"
            object.__setattr__(thing, "number", 99.0)
            if thing.parts is not None:
                thing.parts.append("defaced")
        return things

    memory = Held({**a_thing(), "parts": parts} if parts else a_thing())  # type: ignore[dict-item]  # a list of str is a Value
    before, seen_before = json_values.encode(run_over(memory, everything).value), run_over(memory, by_hand).value

    assert "defaced" in json_values.encode(run_over(memory, vandal).value), "its own result is its own business"

    assert json_values.encode(run_over(memory, everything).value) == before
    assert run_over(memory, by_hand).value == seen_before


def test_a_draft_of_a_held_row_goes_out_as_it_is() -> None:
    @query
    async def drafted(ctx: QueryContext) -> list[Thing]:
        drafts = [thing.draft() for thing in await ctx.db.query(Thing).collect()]
        for draft in drafts:
            draft.text = "as drafted"
        return drafts

    memory = Held(a_thing())
    run_over(memory, everything)
    assert "as drafted" in json_values.encode(run_over(memory, drafted).value)


@mutation
async def touch_twice(ctx: MutationContext, text: str, number: float) -> None:
    for row in await ctx.db.query(Thing).collect():
        for _ in range(2):
            draft = row.draft()
            draft.text, draft.number = text, number
            await ctx.db.patch(draft)


@given(st.lists(some_rows, max_size=3), st.sampled_from(["", "é", "t"]), st.sampled_from([0.0, 1.5, -0.0]))
def test_what_is_written_over_held_rows_is_what_is_written_over_rows_made_anew(rows: list[Row], text: str, number: float) -> None:
    once = {row["_id"]: row for row in rows}.values()
    memories = [Held(*once), Held(*once, held=False)]
    held, anew = (run_over(memory, touch_twice, text=text, number=number) for memory in memories)
    again = run_over(memories[0], touch_twice, text=text, number=number)
    assert held.error is anew.error is again.error is None
    assert repr(held.writes) == repr(anew.writes) == repr(again.writes)  # tells 0.0 from -0.0, and NaN is NaN


def test_held_rows_count_in_the_size_of_a_result_each_time() -> None:
    memory = Held(*(a_thing(f"t{n}", number=1.0) for n in range(20)))
    size = len(json_values.encode(run_over(memory, everything).value))
    for _ in range(2):
        assert isinstance(run_over(memory, everything, Limits(result_bytes=size // 2)).error, LimitExceeded)
        assert isinstance(run_over(memory, everything, Limits(nesting=1)).error, LimitExceeded)
        assert run_over(memory, everything).error is None


class Checked(Table, name="checkedThings"):
    text: str

    @field_validator("text")
    @classmethod
    def _upper(cls, text: str) -> str:
        return text.upper()


class Computed(Table, name="computedThings"):
    text: str

    @computed_field  # type: ignore[prop-decorator]  # as pydantic documents it
    @property
    def length(self) -> int:
        return len(self.text)


class Initialized(Table, name="initializedThings"):
    text: str

    def model_post_init(self, context: Any) -> None:
        self.__dict__["text"] = "made"


@pytest.mark.parametrize(("table", "is_plain"), [(Thing, True), (Checked, False), (Computed, False), (Initialized, False)], ids=str)
def test_rows_of_classes_that_run_code_of_their_own_are_made_anew(table: type[Table], is_plain: bool) -> None:
    assert table_of(table).is_plain == is_plain
    row = HeldRow(a_thing())
    decode(table_of(table), row)
    assert (row.form is not None) == is_plain
