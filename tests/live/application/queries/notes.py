"""Reads of every shape: a limited range, a bounded one, by id, pages, and some that look at who asks."""

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
