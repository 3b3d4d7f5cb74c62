"""The messages of a chat, as a whole or page by page."""

from typing import Literal

from hub import Id, Page, PageOptions, QueryContext, query
from schema.access import chat_of_call
from schema.chats import Chat
from schema.limits import Limit
from schema.messages import Message, messages_by_chat
from schema.users import User


@query
async def list_(ctx: QueryContext, chat_id: Id[Chat], user_id: Id[User] | None = None, limit: Limit = 200) -> list[Message]:
    """The newest messages, the oldest of them first."""
    chat = await chat_of_call(ctx, chat_id, user_id)
    newest_first = await ctx.db.query(messages_by_chat, chat.id).order("desc").take(limit)
    return newest_first[::-1]


@query
async def page(
    ctx: QueryContext,
    chat_id: Id[Chat],
    pagination_opts: PageOptions,
    user_id: Id[User] | None = None,
    order: Literal["asc", "desc"] = "desc",
) -> Page[Message]:
    """One page, in order of `createdAt`; newest first unless asked otherwise."""
    chat = await chat_of_call(ctx, chat_id, user_id)
    return await ctx.db.query(messages_by_chat, chat.id).order(order).paginate(pagination_opts)
