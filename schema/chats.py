"""Chats: one conversation of one user."""

from hub import Id, Table
from schema.users import User


class Chat(Table, name="chats"):
    user_id: Id[User]
    title: str
    created_at: float
    updated_at: float
    last_message_at: float | None = None


chats_by_user = Chat.index(lambda chat: (chat.user_id, chat.updated_at))
