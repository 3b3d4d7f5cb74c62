"""Reads of every shape: a limited range, a bounded one, by id, pages, and some that look at who asks."""

import time

from schema.notes import Note, notes_by_room

from hub import ApplicationError, Id, Page, PageOptions, QueryContext, query


@query
async def newest(ctx: QueryContext, room: str, limit: int = 3) -> list[Note]:
    return await ctx.db.query(notes_by_room, room).order("desc").take(limit)


@query
async def between(ctx: QueryContext, room: str, low: float, high: float) -> list[Note]:
    return await ctx.db.query(notes_by_room, room).at_least(low).below(high).collect()


@query
async def get(ctx: QueryContext, note_id: Id[Note]) -> Note | None:
    return await ctx.db.get(Note, note_id)


@query
async def page(ctx: QueryContext, room: str, pagination_opts: PageOptions) -> Page[Note]:
    return await ctx.db.query(notes_by_room, room).paginate(pagination_opts)


@query
async def total(ctx: QueryContext, room: str) -> float:
    return sum(note.rank for note in await ctx.db.query(notes_by_room, room).collect())


@query
async def visible(ctx: QueryContext, room: str) -> list[Note]:
    """Looks at who asks only when a note of the room has an owner."""
    notes = await ctx.db.query(notes_by_room, room).collect()
    if all(note.owner is None for note in notes):
        return notes
    me = ctx.auth.subject if ctx.auth is not None else None
    return [note for note in notes if note.owner in (None, me)]


@query
async def strict(ctx: QueryContext, room: str) -> list[Note]:
    """Fails while the room is empty."""
    notes = await ctx.db.query(notes_by_room, room).collect()
    if not notes:
        raise ApplicationError({"code": "EMPTY", "room": room})
    return notes


@query(public=True)
async def greeting(ctx: QueryContext) -> str:
    return "hello"


@query
async def by_vandals(ctx: QueryContext, room: str) -> int:
    """Does to the rows it is given whatever Python lets it do."""
    for note in await ctx.db.query(notes_by_room, room).collect():
        note.__dict__["text"] = "defaced"
        object.__setattr__(note, "rank", 99.0)
        if note.tags is not None:
            note.tags.append("defaced")
        note._state = None
    return 0


@query
async def salted(ctx: QueryContext, room: str, salt: int) -> int:
    """As many live queries of one range as there are salts."""
    return len(await ctx.db.query(notes_by_room, room).collect()) + salt


@query
async def crawling(ctx: QueryContext, room: str) -> int:
    """Takes longer than a round should be held up."""
    until = time.thread_time() + 0.03
    while time.thread_time() < until:
        pass
    return len(await ctx.db.query(notes_by_room, room).collect())


@query
async def apart(ctx: QueryContext, room: str, other: str) -> list[float]:
    """Two reads, one after the other."""
    return [float(len(await ctx.db.query(notes_by_room, each).collect())) for each in (room, other)]


@query
async def owners(ctx: QueryContext, room: str) -> list[str]:
    """Reads by id what it found by index."""
    found = [await ctx.db.get(Note, note.id) for note in await ctx.db.query(notes_by_room, room).collect()]
    return [note.owner or "" for note in found if note is not None]


@query
async def pair(ctx: QueryContext, first: Id[Note], second: Id[Note]) -> list[bool]:
    """Whether they are there, asked one after the other."""
    return [await ctx.db.get(Note, each) is not None for each in (first, second)]
