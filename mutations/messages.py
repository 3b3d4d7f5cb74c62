"""What is said in a chat: whole messages, and replies that are streamed in.

Every call may arrive twice, and the calls of one stream in any order: the chat looks the same as if each had come once, in turn.
"""

from typing import Annotated

from pydantic import Field

from hub import ApplicationError, Id, Model, MutationContext, append_at, mutation
from schema.access import chat_of_call
from schema.chats import Chat
from schema.messages import Message, Role, Status, messages_by_client_id
from schema.users import User

State = tuple[Status, str]
"""How far a stream has come: its status, and all of its text so far."""
ClientMessageId = Annotated[str, Field(min_length=1)]
Offset = Annotated[int, Field(ge=0)]
Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class UserMessage(Model):
    content: str
    client_message_id: ClientMessageId | None = None
    created_at: Milliseconds | None = None


class AssistantMessage(Model):
    content: str
    client_message_id: ClientMessageId | None = None
    created_at: Milliseconds | None = None
    status: Status | None = None
    """Unless said, a reply with text is complete, and one without is a place for a stream."""


class Sent(Model):
    user_message_id: Id[Message]
    assistant_message_id: Id[Message] | None = None


class Upserted(Model):
    message_id: Id[Message]
    status: Status
    """As it is now: a writer whose message is complete, because somebody stopped it, need not go on."""


@mutation
async def send(
    ctx: MutationContext,
    chat_id: Id[Chat],
    user_message: UserMessage,
    assistant_message: AssistantMessage | None = None,
    user_id: Id[User] | None = None,
) -> Sent:
    """Add what the user said, and the assistant's reply if there is one already.

    A message whose `clientMessageId` is in the chat is not added again; a reply without one goes by its user message's.
    """
    chat = await chat_of_call(ctx, chat_id, user_id)
    said_at = ctx.now if user_message.created_at is None else user_message.created_at
    said = Message(
        chat_id=chat.id,
        user_id=chat.user_id,
        role="user",
        content=user_message.content,
        status="complete",
        client_message_id=user_message.client_message_id,
        created_at=said_at,
        updated_at=ctx.now,
    )
    messages = [said] if assistant_message is None else [said, _reply(said, assistant_message, ctx.now)]
    added = [await _add_once(ctx, chat, message) for message in messages]
    if any(is_new for _, is_new in added):
        await _stamp(ctx, chat)
    ids = [message_id for message_id, _ in added]
    return Sent(user_message_id=ids[0], assistant_message_id=ids[1] if len(ids) > 1 else None)


def _reply(said: Message, reply: AssistantMessage, now: float) -> Message:
    """The reply's row: never before what it replies to, also when the user's clock is ahead of ours."""
    name = reply.client_message_id
    if name is None and said.client_message_id is not None:
        name = f"{said.client_message_id}/reply"
    return Message(
        chat_id=said.chat_id,
        user_id=said.user_id,
        role="assistant",
        content=reply.content,
        status=reply.status or ("complete" if reply.content else "streaming"),
        client_message_id=name,
        created_at=max(now, said.created_at) if reply.created_at is None else reply.created_at,
        updated_at=now,
    )


async def _add_once(ctx: MutationContext, chat: Chat, message: Message) -> tuple[Id[Message], bool]:
    """Add the message, unless one of its name is there; the id of the one that is there then, and whether it is new."""
    first = await _named(ctx, chat, message.client_message_id)
    return (first.id, False) if first is not None else (await ctx.db.insert(message), True)


@mutation
async def stream_upsert(
    ctx: MutationContext,
    chat_id: Id[Chat],
    role: Role,
    status: Status,
    content: str | None = None,
    delta: str | None = None,
    offset: Offset | None = None,
    message_id: Id[Message] | None = None,
    client_message_id: ClientMessageId | None = None,
    user_id: Id[User] | None = None,
) -> Upserted:
    """Bring one message to a state of its stream: `content` is all of its text so far, or `delta` what stands at `offset` of it.

    A message only moves forward: from streaming to error to complete, and to a longer text until it is complete; what is behind the
    stored state is ignored, and so is every delta once it is complete. So a stream may be retried and reordered, and ends the same.

    `offset` counts UTF-16 code units, as JavaScript does. A delta whose text is there already changes nothing, however the text was
    cut before. Raises OFFSET_GAP, which names the `expected` offset, for one that leaves a gap; TEXT_DIFFERS where another text is;
    OFFSET_IN_CHARACTER for one that begins in the middle of a character. A delta never takes text away: the one that completes a
    message completes it with all the text there is.

    Both forms may be mixed. A whole `content` that goes on from the text so far is as good as a delta; of two that differ the
    longer one counts, the one that completes the message in any case; deltas go on from whichever text is stored.
    """
    chat = await chat_of_call(ctx, chat_id, user_id)
    message = await _addressed(ctx, chat, message_id, client_message_id)
    if message is not None and message.status == "complete" and status != "complete":
        return Upserted(message_id=message.id, status=message.status)
    text = _text(message, content, delta, offset)
    if message is None:
        new = Message(
            chat_id=chat.id,
            user_id=chat.user_id,
            role=role,
            content=text,
            status=status,
            client_message_id=client_message_id,
            created_at=ctx.now,
            updated_at=ctx.now,
        )
        message_id, state = await ctx.db.insert(new), (status, text)
    else:
        message_id = message.id
        state = _later((message.status, message.content), (status, text))
        if state == (message.status, message.content):
            return Upserted(message_id=message_id, status=message.status)
        draft = message.draft()
        draft.status, draft.content = state
        draft.updated_at = ctx.now
        await ctx.db.patch(draft)
    if status == "complete":
        await _stamp(ctx, chat)
    return Upserted(message_id=message_id, status=state[0])


def _text(message: Message | None, content: str | None, delta: str | None, offset: int | None) -> str:
    """All of the text so far, as a call says it. A complete message has its text."""
    if (content is None) == (delta is None) or (delta is None) != (offset is None):
        raise ApplicationError({"code": "CONTENT_OR_DELTA"}, "give content, or delta and offset")
    if delta is None or offset is None:
        return content or ""
    if message is None:
        return append_at("", delta, offset)
    return message.content if message.status == "complete" else append_at(message.content, delta, offset)


def _later(one: State, other: State) -> State:
    """What two states of one stream come to, whichever arrives first: the end has the last word, and no text gets shorter."""
    if (one[0] == "complete") != (other[0] == "complete"):
        return one if one[0] == "complete" else other
    return max(one[0], other[0], key=("streaming", "error", "complete").index), max(one[1], other[1], key=len)


async def _addressed(
    ctx: MutationContext, chat: Chat, message_id: Id[Message] | None, client_message_id: str | None
) -> Message | None:
    """The message of the ids, of which one may be missing; None if `client_message_id` is new here.

    Raises MESSAGE_NOT_FOUND unless a given `message_id` is that of a message in this chat, and the two ids are of one message.
    """
    if message_id is None and client_message_id is None:
        raise ApplicationError({"code": "MESSAGE_ID_MISSING"}, "give messageId, clientMessageId or both")
    if message_id is None:
        return await _named(ctx, chat, client_message_id)
    message = await ctx.db.get(Message, message_id)
    is_here = message is not None and message.chat_id == chat.id
    if message is None or not is_here or client_message_id not in (None, message.client_message_id):
        raise ApplicationError({"code": "MESSAGE_NOT_FOUND", "messageId": message_id})
    return message


async def _named(ctx: MutationContext, chat: Chat, client_message_id: str | None) -> Message | None:
    if client_message_id is None:
        return None
    return await ctx.db.query(messages_by_client_id, chat.id, client_message_id).unique()


async def _stamp(ctx: MutationContext, chat: Chat) -> None:
    """Something was said: the chat moves to the top of the list."""
    draft = chat.draft()
    draft.updated_at = draft.last_message_at = ctx.now
    await ctx.db.patch(draft)
