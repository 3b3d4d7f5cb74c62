"""The small application that `hub init` writes: one table, one query, one mutation, each in the file it belongs in.

It is what a newcomer reads first, so it shows the shape and nothing else. Nothing that exists is ever overwritten.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hub.errors import ConfigError

_SCHEMA: Final = '''"""Notes: short texts that people leave in a room."""

from hub import Table


class Note(Table, name="notes"):
    room: str
    text: str


notes_by_room = Note.index(lambda note: (note.room,))
'''

_QUERIES: Final = '''"""What screens show. The hub runs a query again whenever a row it read changes."""

from hub import QueryContext, query
from schema.notes import Note, notes_by_room


@query(public=True)
async def list_(ctx: QueryContext, room: str) -> list[Note]:
    """The newest notes of a room."""
    return await ctx.db.query(notes_by_room, room).order("desc").take(50)
'''

_MUTATIONS: Final = '''"""What people do. All writes of one call are committed together, or none."""

from hub import ApplicationError, Id, MutationContext, mutation
from schema.notes import Note


@mutation(public=True)
async def add(ctx: MutationContext, room: str, text: str) -> Id[Note]:
    """Leave a note; returns its id."""
    if not text.strip():
        raise ApplicationError({"code": "EMPTY_NOTE"})
    return await ctx.db.insert(Note(room=room, text=text))
'''

_README: Final = """# Notes

A small application of the hub: `schema/` declares the tables, `queries/` what can be read, `mutations/` what can be written.

    hub check --app .
    hub dev --app .

    curl http://127.0.0.1:8000/api/mutation -H "Content-Type: application/json" \\
      -d '{"path": "notes:add", "args": {"room": "hall", "text": "hello"}}'
    curl http://127.0.0.1:8000/api/query -H "Content-Type: application/json" \\
      -d '{"path": "notes:list", "args": {"room": "hall"}}'

Both functions say `public=True`: anybody may call them. Without it a caller needs a token (`hub token alice` signs one).
"""

FILES: Final = {
    "schema/notes.py": _SCHEMA,
    "queries/notes.py": _QUERIES,
    "mutations/notes.py": _MUTATIONS,
    "README.md": _README,
    ".gitignore": ".hub/\n__pycache__/\n",
}


def write(directory: Path) -> list[Path]:
    """Write the application and return its files. Raises ConfigError if the folder has something in it already."""
    try:
        if directory.exists() and any(directory.iterdir()):
            raise ConfigError(f"{directory} is not empty; hub init writes into a folder of its own")
        written = []
        for name, text in FILES.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            written.append(path)
        return written
    except OSError as exc:
        raise ConfigError(f"{exc.filename}: {exc.strerror}") from None
