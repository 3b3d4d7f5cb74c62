"""A module with the name of a folder."""

from schema.things import Thing

from hub import Id, MutationContext, mutation


@mutation
async def reports(ctx: MutationContext, thing_id: Id[Thing]) -> None:
    """A function with the name of a module."""


@mutation(internal=True)
async def remove(ctx: MutationContext, thing_id: Id[Thing]) -> None:
    return None
