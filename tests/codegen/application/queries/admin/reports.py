"""In a folder, and with a class whose name is taken elsewhere."""

from hub import Model, QueryContext, query


class Report(Model):
    line_count: int


@query(internal=True)
async def latest(ctx: QueryContext) -> Report:
    """Only for the service key."""
    return Report(line_count=0)


@query
async def public_one(ctx: QueryContext) -> Report:
    return Report(line_count=0)
