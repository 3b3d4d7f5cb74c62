"""Users come into being when they first sign in."""

from hub import Id, Model, MutationContext, mutation
from schema.access import forbidden
from schema.users import User, users_by_external_id


class Ensured(Model):
    user_id: Id[User]


@mutation
async def ensure(
    ctx: MutationContext, external_id: str, email: str | None = None, name: str | None = None, avatar_url: str | None = None
) -> Ensured:
    """The user of an external id: the one there is, with the profile brought up to date, or a new one.

    What is not given stays as it is; a call that changes nothing writes nothing, so every page may make it. Two calls at once
    give one row: mutations run as if one after another. An end user may ensure only themselves.
    """
    is_self = ctx.auth is not None and ctx.auth.subject == external_id
    if not ctx.is_trusted and not is_self:
        raise forbidden()
    user = await ctx.db.query(users_by_external_id, external_id).unique()
    if user is None:
        new = User(external_id=external_id, email=email, name=name, avatar_url=avatar_url, created_at=ctx.now, updated_at=ctx.now)
        return Ensured(user_id=await ctx.db.insert(new))
    draft = user.draft()
    draft.email = user.email if email is None else email
    draft.name = user.name if name is None else name
    draft.avatar_url = user.avatar_url if avatar_url is None else avatar_url
    if (draft.email, draft.name, draft.avatar_url) != (user.email, user.name, user.avatar_url):
        draft.updated_at = ctx.now
        await ctx.db.patch(draft)
    return Ensured(user_id=user.id)
