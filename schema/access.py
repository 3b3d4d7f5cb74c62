"""Who a call is for, and what they may touch: the one place in which the application decides it.

A trusted caller says for whom it asks. An end user is the row whose `external_id` is the `sub` of their verified token; they may
name themselves, and nobody else. Every function goes through here, each time it is called.
"""

from hub import ApplicationError, Id, QueryContext
from schema.chats import Chat
from schema.users import User, users_by_external_id


async def own_user(ctx: QueryContext) -> User | None:
    """The row of the end user who calls, if there is one yet; None for a trusted caller, who is nobody in particular."""
    if ctx.auth is None:
        return None
    return await ctx.db.query(users_by_external_id, ctx.auth.subject).unique()


async def user_of_call(ctx: QueryContext, user_id: Id[User] | None) -> Id[User]:
    """The user this call is for.

    Raises FORBIDDEN if an end user names anybody else, before anything else is looked at; USER_NOT_FOUND if it is for no one.
    """
    if ctx.is_trusted and user_id is not None:
        return user_id
    user = await own_user(ctx)
    if user_id is not None and (user is None or user.id != user_id):
        raise forbidden()
    if user is None:
        raise ApplicationError({"code": "USER_NOT_FOUND"})
    return user.id


async def chat_of_call(ctx: QueryContext, chat_id: Id[Chat], user_id: Id[User] | None) -> Chat:
    """The chat, if it belongs to the user this call is for.

    Raises CHAT_NOT_FOUND alike for a chat that is not there, not theirs, or no chat id at all: nobody learns which chats exist.
    """
    owner_id = await user_of_call(ctx, user_id)
    chat = await ctx.db.get(Chat, chat_id)
    if chat is None or chat.user_id != owner_id:
        raise ApplicationError({"code": "CHAT_NOT_FOUND", "chatId": chat_id})
    return chat


def forbidden() -> ApplicationError:
    return ApplicationError({"code": "FORBIDDEN"})
