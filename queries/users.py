"""What a page asks about the user who looks at it."""

from hub import QueryContext, query
from schema.access import own_user
from schema.users import User


@query
async def me(ctx: QueryContext) -> User | None:
    """The end user who calls; null for one without a row yet, and for a trusted caller."""
    return await own_user(ctx)
