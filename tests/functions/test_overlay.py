"""A mutation's reads, whatever it wrote before, equal those of a database in which it had been written."""

from __future__ import annotations

from typing import Any, Literal

from hypothesis import given
from hypothesis import strategies as st

from hub import Id, MutationContext, Table, mutation
from hub.core.ranges import IndexRange, tuple_key
from hub.functions.execution import run
from hub.functions.ids import IdSource
from hub.functions.limits import Limits
from hub.functions.tables import table_of
from hub.store import Delete, Insert, Replace, Update
from hub.values import Row
from tests.functions.rows_in_memory import NOW, SERVICE, Rows, function_of


class Item(Table, name="items"):
    room: str
    rank: float | None = None
    name: str | None = None


items_by_rank = Item.index(lambda item: (item.room, item.rank))
items_by_name = Item.index(lambda item: (item.room, item.name), unique=True, where_present=True)

rooms = st.sampled_from(["a", "a", "a", "b"])
ranks = st.one_of(st.none(), st.integers(0, 4).map(float))
bounds = st.one_of(st.none(), st.none(), st.none(), st.integers(0, 4).map(float))
numbers = st.integers(0, 7)
limits = st.one_of(st.none(), st.integers(0, 5))
reads = st.tuples(st.just("a"), limits, st.sampled_from(["asc", "desc"]), bounds, bounds)
writes = st.one_of(
    st.tuples(st.just("insert"), rooms, ranks),
    st.tuples(st.just("patch"), numbers, rooms, ranks),
    st.tuples(st.just("replace"), numbers, rooms, ranks),
    st.tuples(st.just("delete"), numbers),
)
scripts = st.lists(st.tuples(writes, reads), min_size=1, max_size=8)
starts = st.lists(st.tuples(rooms, ranks), min_size=2, max_size=8)


def stored(number: int, room: str, rank: float | None) -> Row:
    row: dict[str, Any] = {"_id": f"old{number}", "_creationTime": float(number), "room": room}
    return row if rank is None else row | {"rank": rank}


class Model:
    """The rows as a mutation should see them, kept by hand."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = {str(row["_id"]): dict(row) for row in rows}

    def pick(self, number: int) -> str | None:
        ids = sorted(self.rows)
        return ids[number % len(ids)] if ids else None

    def set(self, row_id: str, room: str, rank: float | None, *, keep: bool) -> None:
        row = self.rows[row_id]
        self.rows[row_id] = {**row, "room": room} if keep else {k: row[k] for k in ("_id", "_creationTime")} | {"room": room}
        self.rows[row_id].pop("rank", None)
        if rank is not None:
            self.rows[row_id]["rank"] = rank

    def read(self, room: str, limit: int | None, order: str, least: float | None, below: float | None) -> list[str]:
        inside = [
            row
            for row in self.rows.values()
            if row["room"] == room
            and (least is None or tuple_key((row.get("rank"),)) >= tuple_key((least,)))
            and (below is None or tuple_key((row.get("rank"),)) < tuple_key((below,)))
        ]
        inside.sort(key=lambda row: tuple_key((row.get("rank"), row["_id"])), reverse=order == "desc")
        return [str(row["_id"]) for row in inside][:limit]


async def take_steps(ctx: MutationContext, script: list[Any], model: Model) -> None:
    for write, wanted in script:
        await make(ctx, write, model)
        assert await read(ctx, *wanted) == model.read(*wanted)
        for row_id, row in model.rows.items():
            item = await ctx.db.get(Item, Id[Item](row_id))
            assert item is not None
            assert (item.room, item.rank) == (row["room"], row.get("rank"))


async def make(ctx: MutationContext, write: Any, model: Model) -> None:
    match write:
        case ("insert", room, rank):
            row_id = await ctx.db.insert(Item(room=room, rank=rank))
            model.rows[row_id] = {"_id": str(row_id), "room": room}
            model.set(row_id, room, rank, keep=True)
            model.rows[row_id]["_creationTime"] = 0.0
        case ("patch", number, room, rank) if (picked := model.pick(number)) is not None:
            item = await ctx.db.get(Item, Id[Item](picked))
            assert item is not None
            draft = item.draft()
            draft.room, draft.rank = room, rank
            await ctx.db.patch(draft)
            model.set(picked, room, rank, keep=True)
        case ("replace", number, room, rank) if (picked := model.pick(number)) is not None:
            await ctx.db.replace(Id[Item](picked), Item(room=room, rank=rank))
            model.set(picked, room, rank, keep=False)
        case ("delete", number) if (picked := model.pick(number)) is not None:
            assert await ctx.db.delete(Item, Id[Item](picked))
            assert not await ctx.db.delete(Item, Id[Item](picked))
            del model.rows[picked]


async def read(
    ctx: MutationContext, room: str, limit: int | None, order: Literal["asc", "desc"], least: float | None, below: float | None
) -> list[str]:
    part = ctx.db.query(items_by_rank, room).order(order)
    if least is not None:
        part = part.at_least(least)
    if below is not None:
        part = part.below(below)
    return [item.id for item in (await part.collect() if limit is None else await part.take(limit))]


@given(starts, scripts)
async def test_reads_see_earlier_writes_and_the_net_writes_lead_to_the_same_rows(
    before: list[tuple[str, float | None]], script: list[Any]
) -> None:
    rows = Rows(items=[stored(number, *row) for number, row in enumerate(before)])
    old = dict(rows.rows["items"])
    model = Model(list(old.values()))

    @mutation
    async def change(ctx: MutationContext) -> None:
        await take_steps(ctx, script, model)

    done = await run(function_of(change), {}, caller=SERVICE, reader=rows, now=NOW, journal=None, ids=IdSource(), limits=Limits())
    assert done.error is None, done.error
    assert len({write.id for write in done.writes}) == len(done.writes)
    for write in done.writes:
        match write:
            case Insert():
                assert write.id not in old
            case Update():
                assert write.after != old[write.id]
                unset = {name: value for name, value in old[write.id].items() if name not in write.unset}
                assert {**unset, **write.set} == write.after
            case Replace():
                assert write.row != old[write.id]
            case Delete():
                assert write.id in old
    rows.apply(done.writes)
    created = {row_id: row["_creationTime"] for row_id, row in rows.rows["items"].items()}
    assert rows.rows["items"] == {row_id: row | {"_creationTime": created[row_id]} for row_id, row in model.rows.items()}


@given(
    starts,
    reads,
    rooms,
    ranks,
)
async def test_a_row_outside_of_the_recorded_range_changes_nothing(
    before: list[tuple[str, float | None]], wanted: tuple[Any, ...], room: str, rank: float | None
) -> None:
    """What was read is recorded no narrower than what the result depends on."""
    rows = Rows(items=[stored(number, *row) for number, row in enumerate(before)])
    seen: list[list[str]] = []

    @mutation
    async def look(ctx: MutationContext) -> None:
        seen.append(await read(ctx, *wanted))

    async def once() -> Any:
        return await run(function_of(look), {}, caller=SERVICE, reader=rows, now=NOW, journal=None, ids=IdSource(), limits=Limits())

    done = await once()
    assert all(recorded.limit is None for recorded in done.reads.ranges)
    newcomer: Row = {**stored(99, room, rank), "_id": "mid"}
    rows.rows["items"]["mid"] = newcomer
    again = await once()
    assert again.error is None
    if seen[0] != seen[1]:
        assert any(recorded.contains(newcomer) for recorded in done.reads.ranges)
    assert {("items", row_id) for row_id in seen[0]} <= done.reads.rows


async def test_a_unique_key_that_is_taken_is_an_ordinary_read() -> None:
    rows = Rows(items=[{**stored(1, "a", None), "name": "x"}])

    @mutation
    async def take_name(ctx: MutationContext) -> None:
        await ctx.db.insert(Item(room="b", name="x"))

    done = await run(
        function_of(take_name), {}, caller=SERVICE, reader=rows, now=NOW, journal=None, ids=IdSource(), limits=Limits()
    )
    key = table_of(Item).indexes[1].key
    assert done.error is None
    assert done.reads.ranges == [IndexRange(key, ("b", "x"))]
