"""What was put into a cell, and what was asked."""

from typing import Any

from schema.cells import Cell, cells_by_name

from hub import QueryContext, query


@query(public=True)
async def echo(ctx: QueryContext, value: Any) -> Any:
    return value


@query(public=True)
async def get(ctx: QueryContext, name: str) -> Any:
    cell = await ctx.db.query(cells_by_name, name).unique()
    return None if cell is None else cell.value


@query(public=True)
async def list_(ctx: QueryContext) -> list[Cell]:
    return await ctx.db.query(cells_by_name).collect()


@query(public=True)
async def mine(ctx: QueryContext, name: str) -> Any:
    """What is in the cell, and who looks at it: one person's value."""
    cell = await ctx.db.query(cells_by_name, name).unique()
    return {"subject": None if ctx.auth is None else ctx.auth.subject, "value": None if cell is None else cell.value}
