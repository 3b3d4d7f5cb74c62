"""Puts anything into a cell."""

from typing import Any

from schema.cells import Cell, cells_by_name

from hub import MutationContext, mutation


@mutation(public=True)
async def put(ctx: MutationContext, name: str, value: Any) -> Any:
    """The value, as a client reads it in an answer."""
    cell = await ctx.db.query(cells_by_name, name).unique()
    if cell is None:
        await ctx.db.insert(Cell(name=name, value=value))
    else:
        draft = cell.draft()
        draft.value = value
        await ctx.db.patch(draft)
    return value


@mutation(public=True)
async def put_all(ctx: MutationContext, values: dict[str, Any]) -> None:
    """Several cells in one commit."""
    for name, value in values.items():
        await put(ctx, name, value)
