"""Tables: names, and rows between Python and the database, others' rows included."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import Field

from hub import Id, Int64, InvalidRow, Model, MutationContext, ObjectId, QueryContext, Table, mutation, query
from hub.core.ranges import IndexKey
from hub.errors import LoadError
from hub.functions.ids import IdSource
from hub.functions.registry import Registry
from hub.functions.rows import decode, encode
from hub.functions.tables import TableInfo, table_of
from hub.store import Insert, Update
from hub.values import Row, Value
from tests.functions.rows_in_memory import NOW, Rows, run_one, value_of

HEX = "5f5e10000000000000000001"  # made on 2020-09-13


class Member(Table, name="members", object_ids=True):
    email: str


class Address(Model):
    street_name: str
    house_number: int | None = None


class Order(Table, name="orders", collection="legacy_orders"):
    member_id: Id[Member]
    created_at: Annotated[float, Field(alias="created_at")]
    paid_at: dt.datetime | None = None
    item_count: int = 1
    total: Int64 | None = None
    kind: Literal["web", "shop"] = "web"
    address: Address | None = None
    labels: list[str] = Field(default_factory=list)
    watcher_ids: list[Id[Member]] = Field(default_factory=list)
    extra: Any = None
    pair: tuple[int, int] | None = None
    tags: set[str] | None = None


orders_by_member = Order.index(lambda order: (order.member_id, order.paid_at))
orders_by_time = Order.index(lambda order: (order.creation_time,))
orders_by_extra = Order.index(lambda order: (order.extra,))

REGISTRY = Registry([], [Member, Order])
ORDERS: TableInfo = table_of(Order)


def an_order(**fields: Value) -> Row:
    return {"_id": "o1", "_creationTime": 5.0, "memberId": ObjectId(HEX), "created_at": 1.0, **fields}


def test_a_table_has_python_wire_and_stored_names() -> None:
    names = {field.python: (field.wire, field.stored) for field in ORDERS.fields}
    assert names["member_id"] == ("memberId", "memberId")
    assert names["created_at"] == ("createdAt", "created_at")
    assert (ORDERS.name, ORDERS.collection) == ("orders", "legacy_orders")
    assert [index.key for index in ORDERS.indexes] == [
        IndexKey("legacy_orders", ("memberId", "paidAt", "_id")),
        IndexKey("legacy_orders", ("_creationTime", "_id")),
        IndexKey("legacy_orders", ("extra", "_id")),
    ]
    assert [table.name for table in REGISTRY.declared_tables()] == ["members", "legacy_orders"]


@query
async def show(ctx: QueryContext, id: Id[Order]) -> Order | None:
    return await ctx.db.get(Order, id)


async def shown(**fields: Value) -> Any:
    return await value_of(show, {"id": "o1"}, rows=Rows(legacy_orders=[an_order(**fields)]))


async def test_rows_of_others_go_out_in_wire_form() -> None:
    naive = dt.datetime(2026, 1, 1)  # noqa: DTZ001  # as the driver reads it
    assert await shown(paidAt=naive, itemCount=3.0, unknown="kept in the database", address={"streetName": "x"}) == {
        "_id": "o1",
        "_creationTime": 5.0,
        "memberId": HEX,
        "createdAt": 1.0,
        "paidAt": 1767225600000.0,
        "itemCount": 3,
        "kind": "web",
        "address": {"streetName": "x"},
        "labels": [],
        "watcherIds": [],
    }


@pytest.mark.parametrize(
    ("fields", "creation_time"),
    [
        ({"_id": ObjectId(HEX), "_creationTime": None}, 1600000000000.0),
        ({"_creationTime": None}, 0.0),
        ({"_creationTime": dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=dt.UTC)}, 1000.0),
        ({"_creationTime": 7}, 7.0),
    ],
)
def test_a_creation_time_that_others_left_out_comes_from_the_object_id(fields: dict[str, Value], creation_time: float) -> None:
    assert decode(ORDERS, an_order(**fields)).creation_time == creation_time


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"itemCount": "3"}, "a row of orders does not fit its table: o1: itemCount: Input should be a valid integer"),
        ({"created_at": None}, "o1: created_at: Input should be a valid number"),
        ({"address": {}}, "o1: address.streetName: Field required"),
        ({"_creationTime": "yesterday"}, "o1: _creationTime is not a number"),
    ],
)
async def test_a_row_that_does_not_fit_is_named_with_its_field(fields: dict[str, Value], told: str) -> None:
    run = await run_one(show, {"id": "o1"}, rows=Rows(legacy_orders=[an_order(**fields)]))
    assert isinstance(run.error, InvalidRow)
    assert told in run.error.message


async def test_an_object_id_is_24_digits_for_functions_and_clients() -> None:
    rows = Rows(members=[{"_id": ObjectId(HEX), "email": "x"}])

    @query
    async def member(ctx: QueryContext, id: Id[Member]) -> Member | None:
        return await ctx.db.get(Member, id)

    assert (await value_of(member, {"id": HEX}, rows=rows))["_id"] == HEX
    assert await value_of(member, {"id": "no id at all"}, rows=rows) is None


async def test_references_to_object_ids_are_stored_and_looked_up_as_such() -> None:
    rows = Rows()

    @mutation
    async def order(ctx: MutationContext) -> list[Id[Order]]:
        member_id = await ctx.db.insert(Member(email="x"))
        order_id = await ctx.db.insert(Order(member_id=member_id, created_at=1, watcher_ids=[member_id]))
        found = await ctx.db.query(orders_by_member, member_id).collect()
        assert [row.id for row in found] == [order_id]
        assert found[0].watcher_ids == [member_id]
        return [row.id for row in found]

    run = await run_one(order, rows=rows)
    assert run.error is None, run.error
    made, placed = run.writes
    assert isinstance(made, Insert)
    assert isinstance(placed, Insert)
    assert isinstance(made.id, ObjectId)
    assert placed.row["memberId"] == made.id
    assert placed.row["watcherIds"] == [made.id]
    assert placed.row["_id"] == run.value[0]  # type: ignore[index]  # a list


async def test_a_string_table_finds_rows_that_others_gave_an_object_id() -> None:
    rows = Rows(legacy_orders=[an_order(_id=ObjectId(HEX))])
    assert (await value_of(show, {"id": HEX}, rows=rows))["_id"] == HEX

    @mutation
    async def relabel(ctx: MutationContext) -> bool:
        row = await ctx.db.get(Order, Id(HEX))
        assert row is not None
        draft = row.draft()
        draft.labels.append("x")
        await ctx.db.patch(draft)
        return True

    [write] = (await run_one(relabel, rows=rows)).writes
    assert isinstance(write, Update)
    assert (write.id, dict(write.set)) == (ObjectId(HEX), {"labels": ["x"]})


def test_none_is_a_missing_field() -> None:
    stored = encode(ORDERS, Order(member_id=Id(HEX), created_at=1, address=Address(street_name="x")))
    assert "paidAt" not in stored
    assert stored["address"] == {"streetName": "x"}


async def test_unset_a_field_by_setting_it_to_none_and_leave_what_is_not_declared() -> None:
    rows = Rows(legacy_orders=[an_order(kind="shop", total=Int64(7), foreign="stays")])

    @mutation
    async def clear(ctx: MutationContext) -> None:
        row = await ctx.db.get(Order, Id("o1"))
        assert row is not None
        draft = row.draft()
        draft.total = None
        await ctx.db.patch(draft)

    [write] = (await run_one(clear, rows=rows)).writes
    assert isinstance(write, Update)
    assert (dict(write.set), write.unset) == ({}, ("total",))
    assert write.after == an_order(kind="shop", foreign="stays")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda: Order(member_id=Id(HEX), created_at=1, extra=[1]), "orders.extra: a list in an indexed field"),
        (lambda: Order(member_id=Id(HEX), created_at=1, extra=2**70), "does not fit 64 bits"),
        (lambda: Order(member_id=Id(HEX), created_at=1, extra=object()), "cannot hold a object"),
        (lambda: Order(member_id=Id(HEX), created_at=1, extra="\ud800"), "unpaired surrogate"),
        (lambda: Order(member_id=Id(HEX), created_at=1, extra={"$set": 1}), "do not start with $"),
    ],
)
async def test_what_cannot_be_stored_is_refused_on_write(wrong: Callable[[], Order], told: str) -> None:
    @mutation
    async def write(ctx: MutationContext) -> None:
        await ctx.db.insert(wrong())

    run = await run_one(write)
    assert isinstance(run.error, InvalidRow)
    assert told in run.error.message


async def test_a_list_changed_in_place_is_checked_when_it_is_written() -> None:
    @mutation
    async def write(ctx: MutationContext) -> None:
        order = Order(member_id=Id(HEX), created_at=1)
        order.labels.append(3)  # type: ignore[arg-type]  # the mistake
        await ctx.db.insert(order)

    run = await run_one(write)
    assert isinstance(run.error, InvalidRow)
    assert "orders: labels.0: Input should be a valid string" in run.error.message


async def test_a_drafts_field_is_checked_where_it_is_set() -> None:
    draft = decode(ORDERS, an_order()).draft()
    assert isinstance(draft, Order)
    with pytest.raises(InvalidRow, match=r"Order\.item_count: Input should be a valid integer"):
        draft.item_count = "x"  # type: ignore[assignment]  # the mistake


def test_rows_share_nothing_mutable_with_what_was_read() -> None:
    stored = an_order(labels=["a"], extra={"deep": [1]})
    row = decode(ORDERS, stored)
    assert isinstance(row, Order)
    row.labels.append("b")
    row.extra["deep"].append(2)
    assert stored == an_order(labels=["a"], extra={"deep": [1]})
    draft = row.draft()
    draft.labels.append("c")
    assert row.labels == ["a", "b"]


def test_a_row_that_was_not_inserted_has_no_id() -> None:
    with pytest.raises(AttributeError, match="this Order is not a row yet"):
        _ = Order(member_id=Id(HEX), created_at=1).id


scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(), st.binary())
documents = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "bC", "d_e"]), inner)),
    max_leaves=8,
)


@given(
    extra=documents.filter(lambda value: value is not None and not isinstance(value, list)),
    labels=st.lists(st.text()),
    moment=st.none() | st.datetimes(timezones=st.just(dt.UTC)),
    pair=st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9)),
    tags=st.none() | st.sets(st.sampled_from("abc")),
)
def test_decoding_undoes_encoding(extra: Any, labels: list[str], moment: dt.datetime | None, pair: Any, tags: Any) -> None:
    moment = None if moment is None else moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    row = Order(member_id=Id(HEX), created_at=2, paid_at=moment, extra=extra, labels=labels, pair=pair, tags=tags)
    again = decode(ORDERS, {"_id": "x", "_creationTime": 1.0, **encode(ORDERS, row)})
    assert dict(again) == dict(row)


# --- Declarations --------------------------------------------------------------------------------------------------


def problems_of(*tables: type[Table]) -> str:
    with pytest.raises(LoadError) as caught:
        Registry([], tables)
    assert all(problem.startswith(f"{__file__}:") for problem in caught.value.problems)
    return "\n".join(problem.split(": ", 1)[1] for problem in caught.value.problems)


def test_mistakes_in_indexes_are_problems_with_their_place() -> None:
    class Thing(Table, name="things"):
        size: int
        marks: list[str] | None = None

    Thing.index(lambda thing: (thing.sise,))  # type: ignore[attr-defined]
    Thing.index(lambda thing: thing.size)  # type: ignore[arg-type, return-value]
    Thing.index(lambda thing: (thing.marks,))
    Thing.index(lambda thing: (thing.size, thing.size))
    Thing.index(lambda thing: (3,))
    Thing.index(lambda thing: (thing.size,), where_present=True)
    Thing.index(lambda thing: (thing.size,), unique=True)
    Thing.index(lambda thing: (thing.size,), unique=True)
    told = problems_of(Thing).splitlines()
    assert told[0] == "index of Thing: Thing has no field 'sise'; did you mean 'size'?"
    assert "must return a tuple of fields" in told[1]
    assert "'marks' is an array" in told[2]
    assert "'size' is named twice" in told[3]
    assert "3 is not a field" in told[4]
    assert "where_present needs unique=True" in told[5]
    assert "already declared at" in told[6]
    assert len(told) == 7


def test_mistakes_in_names_are_problems() -> None:
    class Clash(Table, name="clashes"):
        user_id: str
        userId: str
        one: str = Field(serialization_alias="other.name")
        to: Id["Nobody"] | None = None  # type: ignore[name-defined]  # noqa: F821, UP037

    told = problems_of(Clash)
    assert "Clash.userId: its name 'userId' is also that of 'user_id'" in told
    assert "Clash.one: 'other.name' cannot be a field's name in the database" in told
    assert "Clash.to is an Id of 'Nobody', which is no table" in told


def test_two_tables_do_not_share_a_collection() -> None:
    class First(Table, name="first", collection="shared"):
        x: int

    class Second(Table, name="second", collection="shared"):
        x: int

    assert "the collection 'shared' is already that of the table at" in problems_of(First, Second)


def test_a_shared_base_is_no_table() -> None:
    class Owned(Table):
        owner: str

    class Car(Owned, name="cars"):
        wheels: int

    assert [field.stored for field in table_of(Car).fields] == ["owner", "wheels"]
    with pytest.raises(TypeError, match="Owned is no table: declare it with a name"):
        table_of(Owned)


# --- Ids -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 2**42), min_size=1, max_size=40))
@example([0.0, 1.0])
def test_ids_and_creation_times_rise_whatever_the_clock_does(moments: list[float]) -> None:
    source = IdSource()
    ids = [source.new_id(moment) for moment in moments]
    times = [source.new_creation_time(moment) for moment in moments]
    assert ids == sorted(set(ids))
    assert times == sorted(set(times))
    assert all(time >= moment for time, moment in zip(times, moments, strict=True))


def test_ids_rise_beyond_one_milliseconds_counter_and_differ_between_processes() -> None:
    source = IdSource()
    ids = [source.new_id(NOW) for _ in range(70_000)]
    assert ids == sorted(set(ids))
    assert all(len(row_id) == 26 and row_id.isalnum() and row_id.islower() for row_id in ids[:100])
    assert IdSource().new_id(NOW) != IdSource().new_id(NOW)
    assert ids[-1] < IdSource().new_id(NOW + 5)
