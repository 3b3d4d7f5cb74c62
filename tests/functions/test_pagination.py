"""Pages of a live list have neither gaps nor doubles, and a cursor never opens more than the function reads."""

from __future__ import annotations

import base64
from typing import Any, Literal

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import Page, PageOptions, QueryContext, Table, query
from hub.errors import ArgumentValidation, FunctionError, InvalidCursor
from hub.functions.execution import Run
from hub.values import Row
from tests.functions.rows_in_memory import Rows, function_of, run_one


class Post(Table, name="posts"):
    room: str
    at: float


class Other(Table, name="others"):
    room: str
    at: float


posts_by_room = Post.index(lambda post: (post.room, post.at))
others_by_room = Other.index(lambda other: (other.room, other.at))
posts_by_time = Post.index(lambda post: (post.at, post.room), unique=True)


@query
async def page(
    ctx: QueryContext,
    room: str,
    pagination_opts: PageOptions,
    order: Literal["asc", "desc"] = "asc",
    since: float | None = None,
    until: float | None = None,
) -> Page[Post]:
    posts = ctx.db.query(posts_by_room, room).order(order)
    if since is not None:
        posts = posts.at_least(since)
    if until is not None:
        posts = posts.at_most(until)
    return await posts.paginate(pagination_opts)


@query
async def page_of_others(ctx: QueryContext, room: str, pagination_opts: PageOptions) -> Page[Other]:
    return await ctx.db.query(others_by_room, room).paginate(pagination_opts)


@query
async def page_by_time(ctx: QueryContext, at: float, room: str, pagination_opts: PageOptions) -> Page[Post]:
    return await ctx.db.query(posts_by_time, at, room).paginate(pagination_opts)


def post(number: int, at: float, room: str = "a") -> Row:
    return {"_id": f"p{number:03}", "_creationTime": 1.0, "room": room, "at": at}


def posts(count: int) -> Rows:
    return Rows(posts=[post(number, float(number)) for number in range(count)])


async def load(
    rows: Rows,
    *,
    journal: str | None = None,
    order: str = "asc",
    since: float | None = None,
    until: float | None = None,
    **options: Any,
) -> Run:
    bounds = {"since": since, "until": until}
    args: dict[str, Any] = {"room": "a", "order": order, "paginationOpts": {"cursor": None, "numItems": 3, **options}, **bounds}
    return await run_one(page, args, rows=rows, journal=journal)


def ids(run: Run) -> list[str]:
    assert run.error is None, run.error
    assert isinstance(run.value, dict)
    return [row["_id"] for row in run.value["page"]]  # type: ignore[index, union-attr, call-overload, misc]  # a page


async def test_a_page_has_the_shape_that_clients_need() -> None:
    run = await load(posts(3), numItems=2)
    assert isinstance(run.value, dict)
    assert run.value.keys() == {"page", "isDone", "continueCursor"}
    assert run.value["isDone"] is False
    assert isinstance(run.value["continueCursor"], str)
    assert run.value["continueCursor"] == run.journal


async def test_exactly_as_many_rows_as_asked_for_are_not_known_to_be_the_last() -> None:
    rows = posts(3)
    first = await load(rows)
    assert isinstance(first.value, dict)
    assert first.value["isDone"] is False
    last = await load(rows, cursor=first.value["continueCursor"])
    assert isinstance(last.value, dict)
    assert (last.value["page"], last.value["isDone"]) == ([], True)


async def test_a_page_grows_and_shrinks_between_fixed_ends() -> None:
    rows = posts(6)
    first = await load(rows)
    rows.rows["posts"]["new"] = {**post(0, 0.5), "_id": "new"}
    del rows.rows["posts"]["p001"]
    again = await load(rows, journal=first.journal)
    assert ids(again) == ["p000", "new", "p002"]
    assert again.journal == first.journal
    assert isinstance(again.value, dict)
    rows.rows["posts"]["newer"] = {**post(0, 0.7), "_id": "newer"}
    assert ids(await load(rows, journal=first.journal)) == ["p000", "new", "newer", "p002"], "numItems counts once"


async def test_the_last_page_keeps_growing() -> None:
    rows = posts(2)
    first = await load(rows)
    rows.rows["posts"].update({f"p{number:03}": post(number, float(number)) for number in range(2, 9)})
    again = await load(rows, journal=first.journal)
    assert len(ids(again)) == 9
    assert isinstance(again.value, dict)
    assert again.value["isDone"] is True


async def test_an_end_cursor_is_used_instead_of_the_journal() -> None:
    rows = posts(6)
    short, long = await load(rows, numItems=2), await load(rows, numItems=4)
    run = await load(rows, journal=long.journal, endCursor=short.journal)
    assert ids(run) == ["p000", "p001"]
    assert run.journal == short.journal


async def test_a_full_page_depends_on_nothing_after_its_last_row() -> None:
    run = await load(posts(6))
    [recorded] = run.reads.ranges
    assert recorded.contains(post(9, 1.5))
    assert not recorded.contains(post(9, 2.5))


moves = st.one_of(
    st.tuples(st.just("insert"), st.integers(0, 20)),
    st.tuples(st.just("delete"), st.integers(0, 20)),
    st.tuples(st.just("load more"), st.integers(1, 4)),
)


@given(st.lists(st.integers(0, 20), max_size=12), st.lists(moves, max_size=12), st.sampled_from(["asc", "desc"]))
async def test_pages_together_are_the_list_whatever_is_inserted_and_deleted(
    start: list[int], script: list[tuple[str, int]], order: str
) -> None:
    """As a client does: every page stays subscribed, by its cursor and its journal."""
    rows = Rows(posts=[post(number, float(at)) for number, at in enumerate(start)])
    first = await load(rows, order=order, numItems=2)
    pages: list[tuple[str | None, Run]] = [(None, first)]
    for number, (move, at) in enumerate(script):
        if move == "insert":
            row = post(100 + number, at / 2)
            rows.rows["posts"][f"p{100 + number}"] = row
        elif move == "delete" and rows.rows["posts"]:
            del rows.rows["posts"][sorted(rows.rows["posts"], key=str)[at % len(rows.rows["posts"])]]
        elif move == "load more" and not is_done(pages[-1][1]):
            cursor = pages[-1][1].journal
            pages.append((cursor, await load(rows, order=order, cursor=cursor, numItems=at)))
        pages = [(cursor, await load(rows, order=order, cursor=cursor, journal=run.journal)) for cursor, run in pages]
        shown = [row_id for _, run in pages for row_id in ids(run)]
        whole = [
            row["_id"]
            for row in sorted(rows.rows["posts"].values(), key=lambda row: (row["at"], row["_id"]), reverse=order == "desc")
        ]
        assert shown == whole[: len(shown)]
        if is_done(pages[-1][1]):
            assert shown == whole


def is_done(run: Run) -> bool:
    assert isinstance(run.value, dict)
    return run.value["isDone"] is True


async def test_a_cursor_of_another_list_is_told_to_start_over() -> None:
    rows = posts(6)
    cursor = (await load(rows)).journal
    elsewhere: list[Run] = [
        await run_one(page, {"room": "b", "paginationOpts": {"cursor": cursor, "numItems": 1}}, rows=rows),
        await run_one(page_of_others, {"room": "a", "paginationOpts": {"cursor": cursor, "numItems": 1}}, rows=rows),
        await load(rows, order="desc", cursor=cursor),
        await load(rows, journal="of another hub"),
        await load(rows, cursor=""),
        await load(rows, endCursor="ä"),
    ]
    for run in elsewhere:
        assert isinstance(run.error, InvalidCursor)
        assert "InvalidCursor" in run.error.message
        assert run.journal is None


@given(st.binary(max_size=60))
async def test_no_bytes_are_a_cursor_by_chance(noise: bytes) -> None:
    run = await load(posts(2), cursor=base64.urlsafe_b64encode(noise).decode())
    assert isinstance(run.error, InvalidCursor)


def forged(genuine: str | None, position: list[object]) -> str:
    assert genuine is not None
    inside = bson.decode(base64.urlsafe_b64decode(genuine + "=="))
    return base64.urlsafe_b64encode(bson.encode({**inside, "p": position})).decode()


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("at", [-5.0, 2.5, 99.0])
async def test_a_forged_cursor_never_shows_rows_outside_of_the_functions_bounds(order: str, at: float) -> None:
    rows = posts(6)
    cursor = forged((await load(rows, order=order)).journal, ["a", at, "p"])
    for options in ({"cursor": cursor}, {"endCursor": cursor}, {"cursor": cursor, "endCursor": cursor}):
        run = await load(rows, order=order, since=2.0, until=3.0, **options)
        assert set(ids(run)) <= {"p002", "p003"}


@pytest.mark.parametrize("position", [["a"], ["a", 1.0], ["b", 1.0, "p"], ["a", 1.0, "p", 1], [bson.Regex("x"), 1.0, "p"]])
async def test_a_position_of_another_shape_or_prefix_is_no_cursor(position: list[object]) -> None:
    rows = posts(6)
    run = await load(rows, cursor=forged((await load(rows)).journal, position))
    assert isinstance(run.error, InvalidCursor)


async def test_the_end_of_one_list_is_not_the_end_of_another() -> None:
    rows = posts(2)
    end = (await load(rows)).journal
    run = await run_one(page, {"room": "b", "paginationOpts": {"cursor": end, "numItems": 1}}, rows=rows)
    assert isinstance(run.error, InvalidCursor)


async def test_a_bound_that_moves_with_time_does_not_invalidate_cursors() -> None:
    rows = posts(9)
    first = await load(rows, since=1.0)
    again = await load(rows, since=2.0, journal=first.journal)
    assert ids(again) == ["p002", "p003"]
    past_its_end = await load(rows, since=7.0, journal=first.journal)
    assert ids(past_its_end) == []


async def test_a_whole_unique_key_can_be_paged() -> None:
    rows = posts(3)
    options = {"cursor": None, "numItems": 1}
    args: dict[str, Any] = {"at": 1.0, "room": "a", "paginationOpts": options}
    first = await run_one(page_by_time, args, rows=rows)
    assert ids(first) == ["p001"]
    assert ids(await run_one(page_by_time, args, rows=rows, journal=first.journal)) == ["p001"]
    args["paginationOpts"] = {**options, "cursor": first.journal}
    assert ids(await run_one(page_by_time, args, rows=rows)) == []


async def test_a_function_paginates_once() -> None:
    @query
    async def twice(ctx: QueryContext, pagination_opts: PageOptions) -> Page[Post]:
        await ctx.db.query(posts_by_room, "a").paginate(pagination_opts)
        return await ctx.db.query(posts_by_room, "b").paginate(pagination_opts)

    run = await run_one(twice, {"paginationOpts": {"cursor": None, "numItems": 1}})
    assert isinstance(run.error, FunctionError)
    assert "paginate once" in run.error.message


async def test_a_client_may_send_whole_numbers_as_floats_and_options_the_hub_does_not_know() -> None:
    assert len(ids(await load(posts(3), numItems=2.0, id=1.0, maximumRowsRead=5.0, somethingNew=True))) == 2


async def test_a_page_has_at_least_one_row() -> None:
    run = await load(posts(3), numItems=0)
    assert isinstance(run.error, ArgumentValidation)
    assert "`paginationOpts.numItems`" in run.error.message


def test_the_clients_own_id_of_a_page_does_not_count_for_sharing() -> None:
    function = function_of(page)
    args: dict[str, Any] = {"room": "a", "paginationOpts": {"cursor": None, "numItems": 3, "id": 7}}
    assert function.sharing_args(args) == {"room": "a", "paginationOpts": {"cursor": None, "numItems": 3}}
    assert function.sharing_args({"room": "a"}) == {"room": "a"}
