"""Running functions: what comes in, what goes out, and what a function may not do."""

from __future__ import annotations

from hub import Id, Index, Model, MutationContext, QueryContext, Table, mutation, query
from hub.store import Insert, Update
from tests.functions.rows_in_memory import Rows, run_one, value_of


class User(Table, name="users"):
    external_id: str
    nick_name: str | None = None


class Chat(Table, name="chats"):
    user_id: Id[User]
    title: str
    updated_at: float


users_by_external_id = User.index(lambda user: (user.external_id,), unique=True)
chats_by_user: Index[Chat, Id[User], float] = Chat.index(lambda chat: (chat.user_id, chat.updated_at))


class Created(Model):
    chat_id: Id[Chat]


@mutation
async def create(ctx: MutationContext, user_id: Id[User], title: str) -> Created:
    chat_id = await ctx.db.insert(Chat(user_id=user_id, title=title, updated_at=ctx.now))
    return Created(chat_id=chat_id)


@mutation
async def rename(ctx: MutationContext, chat_id: Id[Chat], title: str) -> None:
    chat = await ctx.db.get(Chat, chat_id)
    assert chat is not None
    draft = chat.draft()
    draft.title = title
    await ctx.db.patch(draft)


@query
async def list_(ctx: QueryContext, user_id: Id[User], limit: int = 50) -> list[Chat]:
    return await ctx.db.query(chats_by_user, user_id).order("desc").take(limit)


async def test_rows_go_out_with_wire_names_id_and_creation_time() -> None:
    rows = Rows()
    created = await run_one(create, {"userId": "u1", "title": "one"}, rows=rows)
    assert created.error is None
    [write] = created.writes
    assert isinstance(write, Insert)
    assert write.row == {"_id": write.id, "_creationTime": 1.79e12, "userId": "u1", "title": "one", "updatedAt": 1.79e12}
    assert created.value == {"chatId": write.id}
    assert await value_of(list_, {"userId": "u1"}, rows=rows) == [dict(write.row)]


async def test_a_patch_writes_only_what_changed() -> None:
    rows = Rows()
    chat_id = (await value_of(create, {"userId": "u1", "title": "one"}, rows=rows))["chatId"]
    [write] = (await run_one(rename, {"chatId": chat_id, "title": "two"}, rows=rows)).writes
    assert isinstance(write, Update)
    assert (write.set, write.unset) == ({"title": "two"}, ())
    assert write.after["updatedAt"] == 1.79e12
    assert (await run_one(rename, {"chatId": chat_id, "title": "two"}, rows=rows)).writes == ()
