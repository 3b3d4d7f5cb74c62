"""A table with what the engine's tests need: rooms to move between, ranks to order by, unique names, lists and texts that grow."""

from hub import Table


class Note(Table, name="notes"):
    room: str
    rank: float
    text: str
    owner: str | None = None
    name: str | None = None
    tags: list[str] | None = None
    body: str | None = None


Note.grows(lambda note: note.body, while_=lambda note: note.rank != 0)
notes_by_room = Note.index(lambda note: (note.room, note.rank))
notes_by_name = Note.index(lambda note: (note.room, note.name), unique=True, where_present=True)
