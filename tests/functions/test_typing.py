"""What the type checker accepts and rejects, without a plugin: what an author's editor knows."""

from __future__ import annotations

from pathlib import Path

from mypy import api

PREAMBLE = """
from hub import Id, Index, MutationContext, Page, PageOptions, QueryContext, Rows, Table, mutation, query
from typing import assert_type

class User(Table, name="users"):
    external_id: str

class Chat(Table, name="chats", collection="old_chats"):
    user_id: Id["User"]
    title: str
    updated_at: float
    last_message_at: float | None = None

chats_by_user = Chat.index(lambda chat: (chat.user_id, chat.updated_at))
users_by_external_id = User.index(lambda user: (user.external_id,), unique=True)
"""

ACCEPTED = """
assert_type(chats_by_user, Index[Chat, Id[User], float])

@query
async def list_(ctx: QueryContext, user_id: Id[User], limit: int = 50) -> list[Chat]:
    chat = await ctx.db.get(Chat, Id[Chat]("c"))
    assert_type(chat, Chat | None)
    assert_type(ctx.db.query(chats_by_user, user_id), Rows[Chat, float])
    assert_type(await ctx.db.query(chats_by_user, user_id).at_least(3.0).below(9).order("desc").take(limit), list[Chat])
    assert_type(await ctx.db.query(users_by_external_id, "x").unique(), User | None)
    assert_type(await ctx.db.query(User).collect(), list[User])
    assert_type(await ctx.gather(ctx.db.get(Chat, Id[Chat]("c")), ctx.db.get(User, user_id)), tuple[Chat | None, User | None])
    return await ctx.db.query(chats_by_user).collect()

@query(public=True)
async def page(ctx: QueryContext, user_id: Id[User], pagination_opts: PageOptions) -> Page[Chat]:
    return await ctx.db.query(chats_by_user, user_id).paginate(pagination_opts)

@mutation(internal=True, isolation="snapshot")
async def change(ctx: MutationContext, user_id: Id[User], chat_id: Id[Chat]) -> Id[Chat]:
    made = await ctx.db.insert(Chat(user_id=user_id, title="x", updated_at=1))
    assert_type(made, Id[Chat])
    chat = await ctx.db.get(Chat, made)
    assert chat is not None
    assert_type(chat.id, Id[Chat])
    assert_type(chat.creation_time, float)
    draft = chat.draft()
    draft.title, draft.last_message_at = "y", None
    await ctx.db.patch(draft)
    await ctx.db.replace(chat.id, Chat(user_id=user_id, title="z", updated_at=ctx.now))
    await list_(ctx, user_id, limit=3)
    await ctx.db.delete(Chat, chat_id)
    return made
"""

IN_A_MUTATION = """
async def write(ctx: MutationContext) -> None: ...
@query
async def listed(ctx: QueryContext, user_id: Id[User]) -> None: ...
async def body(ctx: MutationContext, read: QueryContext, user_id: Id[User], chat_id: Id[Chat], chat: Chat) -> None:
"""


def checked(tmp_path: Path, text: str) -> tuple[str, int]:
    module = tmp_path / "snippet.py"
    module.write_text(PREAMBLE + text)
    cache = Path(__file__).resolve().parents[2] / ".mypy_cache"
    out, err, status = api.run(
        ["--strict", "--config-file=", f"--cache-dir={cache}", "--no-error-summary", "--hide-error-context", str(module)]
    )
    return out + err, status


def test_a_whole_application_is_typed(tmp_path: Path) -> None:
    assert checked(tmp_path, ACCEPTED) == ("", 0)


REJECTED = {
    "an id of another table": ("await ctx.db.get(Chat, user_id)", "get"),
    "a plain string for an id": ('await ctx.db.get(Chat, "c")', "Id[Chat]"),
    "a prefix value of another type": ("ctx.db.query(chats_by_user, chat_id)", "query"),
    "a second value of another type": ('ctx.db.query(chats_by_user, user_id, "late")', "query"),
    "more values than fields": ("ctx.db.query(chats_by_user, user_id, 1.0, 2.0)", "query"),
    "a range of another type": ('ctx.db.query(chats_by_user, user_id).at_least("x")', "float"),
    "a range where no field is left": ("ctx.db.query(chats_by_user, user_id, 1.0).above(1.0)", "above"),
    "an order that is none": ('ctx.db.query(chats_by_user).order("up")', "order"),
    "a misspelt index field": ("Chat.index(lambda chat: (chat.usr_id,))", "usr_id"),
    "a misspelt index": ("ctx.db.query(chats_by_usr)", "chats_by_usr"),
    "a misspelt field of a row": ("chat.titel", "titel"),
    "a misspelt field of a draft": ('chat.draft().titel = "x"', "titel"),
    "a draft's field of another type": ("chat.draft().title = 3", "str"),
    "a missing field": ("Chat(user_id=user_id, updated_at=1)", "title"),
    "an unknown field": ("User(external_id='x', nick='y')", "nick"),
    "a field of another type": ("User(external_id=3)", "int"),
    "an id given to the constructor": ("User(external_id='x', id='y')", "id"),
    "a row under another table's id": ("await ctx.db.replace(user_id, chat)", "replace"),
    "setting a row's id": ("chat.id = chat_id", "read-only"),
    "a write in a query": ("await read.db.insert(chat)", "insert"),
    "a query handed where writing is needed": ("await write(read)", "MutationContext"),
    "a function that is not async": ("query(lambda ctx: 3)", "query"),
    "an argument of another type": ("await listed(ctx, 3)", "Id[User]"),
    "an isolation that is none": ('mutation(isolation="none")', "isolation"),
}


def test_mistakes_are_rejected_at_their_lines(tmp_path: Path) -> None:
    before = PREAMBLE + IN_A_MUTATION
    first_line = before.count("\n") + 1
    report, _ = checked(tmp_path, IN_A_MUTATION + "\n".join(f"    {line}" for line, _ in REJECTED.values()) + "\n")
    complaints: dict[int, str] = {}
    for complaint in report.splitlines():
        line = int(complaint.split(":")[1])
        complaints[line] = complaints.get(line, "") + complaint
    for line, (name, (_, told)) in enumerate(REJECTED.items(), first_line):
        assert told in complaints.pop(line, "accepted"), name
    assert not complaints
