"""Messages of a chat: what the user wrote, and the assistant's replies as they are streamed in."""

from typing import Literal

from hub import Id, Table
from schema.chats import Chat
from schema.users import User

Role = Literal["user", "assistant", "system"]
Status = Literal["streaming", "complete", "error"]


class Message(Table, name="messages"):
    chat_id: Id[Chat]
    user_id: Id[User]
    """The owner of the chat, also for what the assistant says."""
    role: Role
    content: str
    status: Status
    client_message_id: str | None = None
    """The name the client gave the message before it was stored: a repeat with the same name is the same message."""
    created_at: float
    updated_at: float


Message.grows(lambda message: message.content, while_=lambda message: message.status == "streaming")
messages_by_chat = Message.index(lambda message: (message.chat_id, message.created_at, message.id))
messages_by_client_id = Message.index(lambda message: (message.chat_id, message.client_message_id), unique=True, where_present=True)
