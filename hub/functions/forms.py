"""Forms: what was made of a row that is held in memory, kept with it so that it is made once.

A held row is decoded once, and every run gets a copy; it is brought into wire form once, and all results that show it unchanged
share that. Only rows whose values are immutable have forms: a copy shares nothing that a function could change.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from hub.core.heldrow import SentRow
from hub.values import Value


@dataclass(slots=True, eq=False)
class RowForm:
    """`table` is the TableInfo it was made for. `row` is never handed out; None where a copy would share what can be changed."""

    table: object
    row: BaseModel | None
    sent: SentRow | None = None
    stored: dict[str, Value] | None = None
    """Its fields as they are stored: what a draft of it is compared with."""


class Outgoing:
    """An unchanged copy of a held row on its way into a result. `dumped` is its content, if the form does not have it yet.

    Not a dataclass: pydantic would take it apart.
    """

    __slots__ = ("dumped", "form")

    def __init__(self, form: RowForm, dumped: dict[str, Value] | None) -> None:
        self.form = form
        self.dumped = dumped
