"""The chats of a user: the side bar, and the head of one chat."""

from hub import Id, Page, PageOptions, QueryContext, query
from schema.access import chat_of_call, user_of_call
from schema.chats import Chat, chats_by_user
from schema.limits import Limit
from schema.users import User


@query
async def list_(ctx: QueryContext, user_id: Id[User] | None = None, limit: Limit = 200) -> list[Chat]:
    """The user's chats, the one that changed last first."""
    owner_id = await user_of_call(ctx, user_id)
    return await ctx.db.query(chats_by_user, owner_id).order("desc").take(limit)


@query
async def page(ctx: QueryContext, pagination_opts: PageOptions, user_id: Id[User] | None = None) -> Page[Chat]:
    """The same, page by page."""
    owner_id = await user_of_call(ctx, user_id)
    return await ctx.db.query(chats_by_user, owner_id).order("desc").paginate(pagination_opts)


@query
async def get(ctx: QueryContext, chat_id: Id[Chat], user_id: Id[User] | None = None) -> Chat:
    return await chat_of_call(ctx, chat_id, user_id)
