"""Writes of every shape, and mutations that write nothing, raise, or depend on what they read."""

from schema.notes import Note, notes_by_name, notes_by_room

from hub import ApplicationError, Id, MutationContext, mutation


@mutation
async def add(
    ctx: MutationContext, room: str, rank: float, text: str = "", owner: str | None = None, name: str | None = None
) -> Id[Note]:
    return await ctx.db.insert(Note(room=room, rank=rank, text=text, owner=owner, name=name))


@mutation
async def move(ctx: MutationContext, note_id: Id[Note], room: str, rank: float) -> bool:
    note = await ctx.db.get(Note, note_id)
    if note is None:
        return False
    draft = note.draft()
    draft.room, draft.rank = room, rank
    await ctx.db.patch(draft)
    return True


@mutation
async def write(ctx: MutationContext, note_id: Id[Note], text: str) -> bool:
    note = await ctx.db.get(Note, note_id)
    if note is None:
        return False
    draft = note.draft()
    draft.text = text
    await ctx.db.patch(draft)
    return True


@mutation
async def write_after_looking(ctx: MutationContext, note_id: Id[Note], text: str, look_at: list[str]) -> bool:
    """Reads the note, then these rooms one after the other, and then writes the note."""
    note = await ctx.db.get(Note, note_id)
    for room in look_at:
        await ctx.db.query(notes_by_room, room).collect()
    if note is None:
        return False
    draft = note.draft()
    draft.text = text
    await ctx.db.patch(draft)
    return True


@mutation
async def say(ctx: MutationContext, note_id: Id[Note], more: list[str]) -> bool:
    """Adds to the note's body, one after the other."""
    for piece in more:
        note = await ctx.db.get(Note, note_id)
        if note is None:
            return False
        draft = note.draft()
        draft.body = (note.body or "") + piece
        await ctx.db.patch(draft)
    return True


@mutation
async def tag(ctx: MutationContext, note_id: Id[Note], keep: int, tags: list[str]) -> bool:
    """The note keeps its first tags, and gets these after them."""
    note = await ctx.db.get(Note, note_id)
    if note is None:
        return False
    draft = note.draft()
    draft.tags = [*(note.tags or [])[:keep], *tags]
    await ctx.db.patch(draft)
    return True


@mutation
async def remove(ctx: MutationContext, note_id: Id[Note]) -> bool:
    if await ctx.db.get(Note, note_id) is None:
        return False
    await ctx.db.delete(Note, note_id)
    return True


@mutation
async def add_two(ctx: MutationContext, one: str, other: str, rank: float) -> None:
    await ctx.db.insert(Note(room=one, rank=rank, text="one"))
    await ctx.db.insert(Note(room=other, rank=rank, text="other"))


@mutation
async def count(ctx: MutationContext, room: str) -> int:
    """Writes nothing."""
    return len(await ctx.db.query(notes_by_room, room).collect())


@mutation
async def refuse(ctx: MutationContext, room: str) -> None:
    """Writes, and then takes it back by raising."""
    await ctx.db.insert(Note(room=room, rank=0, text="never seen"))
    raise ApplicationError({"code": "REFUSED", "room": room})


@mutation
async def crash(ctx: MutationContext) -> None:
    print("about to fail")
    raise ValueError("a bug")


@mutation
async def take_last(ctx: MutationContext, mine: str, other: str) -> bool:
    """Write skew, if it could happen: leaves a room only if the other one is not empty."""
    if not await ctx.db.query(notes_by_room, other).collect():
        return False
    for note in await ctx.db.query(notes_by_room, mine).collect():
        await ctx.db.delete(Note, note.id)
    return True


@mutation
async def add_if_empty(ctx: MutationContext, room: str) -> bool:
    """A phantom, if it could happen: at most one note gets in."""
    if await ctx.db.query(notes_by_room, room).collect():
        return False
    await ctx.db.insert(Note(room=room, rank=1, text="the only one"))
    return True


@mutation
async def named(ctx: MutationContext, room: str, name: str) -> Id[Note]:
    """Finds or makes the note of that name."""
    found = await ctx.db.query(notes_by_name, room, name).unique()
    return found.id if found is not None else await ctx.db.insert(Note(room=room, rank=0, text="", name=name))


@mutation(isolation="snapshot")
async def tick(ctx: MutationContext, room: str) -> int:
    """Commits beside the serializable ones."""
    await ctx.db.insert(Note(room=room, rank=0, text="tick"))
    return len(await ctx.db.query(notes_by_room, room).collect())


@mutation
async def append(ctx: MutationContext, room: str, value: str, look_at: list[str]) -> list[list[str]]:
    """Adds the value to the room's list, and tells what the lists of some rooms were before."""
    seen = [[note.text for note in await ctx.db.query(notes_by_room, other).collect()] for other in look_at]
    length = len(await ctx.db.query(notes_by_room, room).collect())
    await ctx.db.insert(Note(room=room, rank=length, text=value))
    return seen


@mutation
async def has_name(ctx: MutationContext, room: str, name: str) -> bool:
    return await ctx.db.query(notes_by_name, room, name).unique() is not None


@mutation
async def claim(ctx: MutationContext, room: str, name: str) -> bool:
    """Takes the name if nobody has it, and lets it go."""
    if await ctx.db.query(notes_by_name, room, name).unique() is not None:
        return False
    await ctx.db.delete(Note, await ctx.db.insert(Note(room=room, rank=0, text="", name=name)))
    return True
