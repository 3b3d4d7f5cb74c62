"""Users: the people who own chats."""

from hub import Table


class User(Table, name="users"):
    external_id: str
    """Who this is to the identity provider: the `sub` of their token."""
    email: str | None = None
    name: str | None = None
    avatar_url: str | None = None
    created_at: float
    updated_at: float


users_by_external_id = User.index(lambda user: (user.external_id,), unique=True)
