"""What was put into a cell, and what was asked."""

from typing import Any

from schema.cells import cells_by_name

from hub import QueryContext, query


@query(public=True)
async def echo(ctx: QueryContext, value: Any) -> Any:
    return value


@query(public=True)
async def get(ctx: QueryContext, name: str) -> Any:
    cell = await ctx.db.query(cells_by_name, name).unique()
    return None if cell is None else cell.value
