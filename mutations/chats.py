"""A user makes, renames and removes chats."""

from hub import ApplicationError, Id, Model, MutationContext, mutation
from schema.access import chat_of_call, user_of_call
from schema.chats import Chat
from schema.messages import Message, messages_by_chat
from schema.users import User

# The hub's limits: a transaction may write 16,000 rows, and read 16 MiB of them. So messages are fetched in batches, and no more of
# them once they hold this much text: there is room for the last batch then, and for what is in the rows beside the text.
MAX_ROWS = 16_000
MAX_TEXT_BYTES = 4 * 1024 * 1024
BATCH_ROWS = 128


class Created(Model):
    chat_id: Id[Chat]


class Removed(Model):
    removed: int
    """How many messages went with this call."""
    done: bool
    """Whether the chat is gone; if not, call again."""


@mutation
async def create(ctx: MutationContext, title: str, user_id: Id[User] | None = None) -> Created:
    owner_id = await user_of_call(ctx, user_id)
    if await ctx.db.get(User, owner_id) is None:  # a trusted caller may name anybody, also somebody who does not exist
        raise ApplicationError({"code": "USER_NOT_FOUND"})
    chat = Chat(user_id=owner_id, title=title, created_at=ctx.now, updated_at=ctx.now)
    return Created(chat_id=await ctx.db.insert(chat))


@mutation
async def rename(ctx: MutationContext, chat_id: Id[Chat], title: str, user_id: Id[User] | None = None) -> None:
    chat = await chat_of_call(ctx, chat_id, user_id)
    draft = chat.draft()
    draft.title = title
    draft.updated_at = ctx.now
    await ctx.db.patch(draft)


@mutation
async def remove(ctx: MutationContext, chat_id: Id[Chat], user_id: Id[User] | None = None) -> Removed:
    """Remove the chat with all its messages, or, of a chat too large for one transaction, as many of the oldest as fit.

    The chat's own row goes last: as long as it is there, the rest can be found and removed by calling again.
    """
    chat = await chat_of_call(ctx, chat_id, user_id)
    messages, are_all = await _oldest_that_fit(ctx, chat)
    for message in messages:
        await ctx.db.delete(Message, message.id)
    if are_all:
        await ctx.db.delete(Chat, chat.id)
    return Removed(removed=len(messages), done=are_all)


async def _oldest_that_fit(ctx: MutationContext, chat: Chat) -> tuple[list[Message], bool]:
    """As many messages as one call may read and delete beside the chat, and whether they are all there are."""
    found: list[Message] = []
    text_bytes = 0
    while len(found) < MAX_ROWS and text_bytes < MAX_TEXT_BYTES:
        batch = await _following(ctx, chat, found[-1] if found else None)
        found += batch
        text_bytes += sum(len(message.content.encode()) for message in batch)
        if len(batch) < BATCH_ROWS:
            return found, len(found) < MAX_ROWS
    return found, False


async def _following(ctx: MutationContext, chat: Chat, last: Message | None) -> list[Message]:
    """The next messages after one, oldest first; several may have been created at the same moment."""
    if last is None:
        return await ctx.db.query(messages_by_chat, chat.id).take(BATCH_ROWS)
    at_once = await ctx.db.query(messages_by_chat, chat.id, last.created_at).above(last.id).take(BATCH_ROWS)
    later = await ctx.db.query(messages_by_chat, chat.id).above(last.created_at).take(BATCH_ROWS - len(at_once))
    return at_once + later
