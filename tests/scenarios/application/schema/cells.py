"""Cells that hold whatever a value can be."""

from typing import Any

from hub import Table


class Cell(Table, name="cells"):
    name: str
    value: Any = None


cells_by_name = Cell.index(lambda cell: (cell.name,), unique=True)
